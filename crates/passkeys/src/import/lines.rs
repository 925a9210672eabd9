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

/// Skips a byte order mark and gives the first byte that is not white space, unread.
pub(crate) fn first_byte(input: &mut dyn BufRead) -> io::Result<Option<u8>> {
    if input.fill_buf()?.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    let waiting = input.fill_buf()?;
    Ok(waiting
        .iter()
        .copied()
        .find(|byte| !byte.is_ascii_whitespace()))
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

/// A page of 500 users with their devices fits.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

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

    #[test]
    fn the_first_byte_is_seen_and_not_read() {
        let mut input: &[u8] = b"\xef\xbb\xbf\n {x";
        assert_eq!(first_byte(&mut input).unwrap(), Some(b'{'));
        assert_eq!(input, b"\n {x");
        let mut empty: &[u8] = b" \n";
        assert_eq!(first_byte(&mut empty).unwrap(), None);
    }
}
