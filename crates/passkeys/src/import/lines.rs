//! A file as a sequence of records, each with the line where it begins. A record
//! that cannot be read does not end the sequence.

use std::io::{self, BufRead, Read as _};

/// A record, or why there is none, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<T> {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) record: Result<T, String>,
}

/// The records of a file; an error ends them.
pub(crate) type Entries<'a, T> = Box<dyn Iterator<Item = io::Result<Entry<T>>> + 'a>;

/// Reads a file through its first line that is not blank; gives that beginning,
/// without a byte order mark, and the rest. The beginning is nothing but white
/// space only if the whole file is.
///
/// An error also says that the file is of a form that nobody can import.
pub(crate) fn begin<'a>(
    mut input: Box<dyn BufRead + 'a>,
) -> io::Result<(Vec<u8>, Box<dyn BufRead + 'a>)> {
    let mut begun = Vec::new();
    loop {
        let before = begun.len();
        (&mut input)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut begun)?;
        if before == 0 {
            while begun.starts_with(BYTE_ORDER_MARK) {
                begun.drain(..BYTE_ORDER_MARK.len());
            }
            if let Some((_, what)) = FOREIGN.iter().find(|(sign, _)| begun.starts_with(sign)) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, *what));
            }
        }
        let line = begun.get(before..).unwrap_or_default();
        if line.is_empty() || !line.trim_ascii().is_empty() {
            return Ok((begun, input));
        }
    }
}

/// The lines that are not blank, as texts without their ends.
pub(crate) fn lines<'a>(mut input: Box<dyn BufRead + 'a>) -> Entries<'a, String> {
    let mut line = 0;
    Box::new(std::iter::from_fn(move || {
        loop {
            line += 1;
            match read_line(&mut input) {
                Ok(None) => return None,
                Ok(Some(record)) if record.as_ref().is_ok_and(|text| text.trim().is_empty()) => {}
                Ok(Some(record)) => return Some(Ok(Entry { line, record })),
                Err(error) => return Some(Err(error)),
            }
        }
    }))
}

fn read_line(input: &mut Box<dyn BufRead + '_>) -> io::Result<Option<Result<String, String>>> {
    let mut bytes = Vec::new();
    input.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() as u64 == LINE_BYTES_MAX && bytes.last() != Some(&b'\n') {
        input.skip_until(b'\n')?;
        return Ok(Some(Err(format!(
            "the line is longer than {LINE_BYTES_MAX} bytes"
        ))));
    }
    Ok(Some(
        String::from_utf8(bytes).map_err(|_| "the line is not UTF-8".into()),
    ))
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What files begin with that have to be turned into text first.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "it is compressed with gzip; unpack it first"),
    (
        b"PK\x03\x04",
        "it is a ZIP archive or a spreadsheet; unpack it, or save it as CSV, first",
    ),
    (b"\xff\xfe", "it is UTF-16; convert it to UTF-8 first"),
    (b"\xfe\xff", "it is UTF-16; convert it to UTF-8 first"),
];

/// A page of 500 users with their devices fits.
pub(crate) const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<(u64, Result<String, String>)> {
        lines(Box::new(bytes))
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.line, entry.record))
            .collect()
    }

    #[test]
    fn lines_keep_their_numbers_over_blank_and_unreadable_ones() {
        assert_eq!(
            all(b"a\r\n\n  \n\xff\nb"),
            [
                (1, Ok("a\r\n".into())),
                (4, Err("the line is not UTF-8".into())),
                (5, Ok("b".into())),
            ]
        );
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_line_without_end_is_not_taken_into_memory() {
        let mut bytes = vec![b'a'; LINE_BYTES_MAX as usize + 5];
        bytes.extend(b"\nb\n");
        let read = all(&bytes);
        assert_eq!(read.len(), 2);
        assert!(read[0].1.as_ref().unwrap_err().contains("longer"));
        assert_eq!(read[1], (2, Ok("b\n".into())));
    }

    fn begun(bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (begun, mut input) = begin(Box::new(bytes)).unwrap();
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        (begun, rest)
    }

    #[test]
    fn a_file_begins_with_its_first_line_that_is_not_blank() {
        assert_eq!(
            begun(b"\xef\xbb\xbf\n \r\n {x\ny\n"),
            (b"\n \r\n {x\n".to_vec(), b"y\n".to_vec())
        );
        assert_eq!(begun(b"x"), (b"x".to_vec(), vec![]));
        for empty in [&b""[..], b"\xef\xbb\xbf", b" \n\n", b"\xef\xbb\xbf\n"] {
            let (begun, rest) = begun(empty);
            assert!(begun.trim_ascii().is_empty() && rest.is_empty());
        }
    }

    #[test]
    fn a_file_that_is_no_text_is_called_what_it_is() {
        for (bytes, what) in [
            (&b"\x1f\x8b\x08\x00"[..], "compressed with gzip"),
            (b"PK\x03\x04\x14\x00", "ZIP archive"),
            (b"\xff\xfee\x00", "UTF-16"),
            (b"\xfe\xff\x00e", "UTF-16"),
        ] {
            let Err(error) = begin(Box::new(bytes)) else {
                panic!("it was read: {what}");
            };
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}
