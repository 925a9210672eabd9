//! A CSV file as a sequence of rows, each with the line where it begins. What a
//! row and a field is, the csv crate decides; it takes every text for some rows,
//! and what a quote swallowed is found here by holding each row against its text.

use std::io::{self, BufRead, Read};

use csv::{ByteRecord, StringRecord};

use super::lines::{Entries, Entry, LINE_BYTES_MAX};

/// The rows of a file, the header row among them, as texts without their quotes.
pub(crate) fn rows<'a>(input: Box<dyn BufRead + 'a>, separator: u8) -> Entries<'a, StringRecord> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(separator)
        .from_reader(Source {
            input,
            line: 1,
            row: Vec::new(),
            row_line: 1,
            is_cut: false,
        });
    Box::new(std::iter::from_fn(move || {
        reader.get_mut().row.clear();
        let mut row = ByteRecord::new();
        match reader.read_byte_record(&mut row) {
            Ok(false) => None,
            Ok(true) => Some(Ok(reader.get_ref().entry(row))),
            Err(error) => Some(Err(error.into())),
        }
    }))
}

/// Hands a file on line by line. The csv crate asks for more only when it has used
/// up what it got, so all that it asked for between two rows is the next row.
struct Source<'a> {
    input: Box<dyn BufRead + 'a>,
    /// Where the input is, from 1.
    line: u64,
    /// The text of the row so far, without the blank lines before it.
    row: Vec<u8>,
    /// Where that began.
    row_line: u64,
    /// Whether the row was too long and ended the file.
    is_cut: bool,
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.is_cut |= self.row.len() as u64 >= LINE_BYTES_MAX;
        if self.is_cut {
            return Ok(0);
        }
        let waiting = self.input.fill_buf()?;
        let waiting = &waiting[..waiting.len().min(buffer.len())];
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let end = waiting.iter().position(is_end);
        let size = end.map_or(waiting.len(), |end| end + 1);
        let part = &mut buffer[..size];
        part.copy_from_slice(&waiting[..size]);
        self.input.consume(size);
        if self.row.is_empty() {
            self.row_line = self.line;
        }
        if !self.row.is_empty() || !part.iter().all(is_end) {
            self.row.extend_from_slice(part);
        }
        self.line += newlines(part);
        Ok(size)
    }
}

impl Source<'_> {
    fn entry(&self, row: ByteRecord) -> Entry<StringRecord> {
        let record = if self.is_cut {
            Err(format!(
                "the row does not end within {LINE_BYTES_MAX} bytes, perhaps because a quote is \
                 never closed; nothing after it was imported"
            ))
        } else {
            self.check_quotes(&row).and_then(|()| {
                StringRecord::from_byte_record(row).map_err(|_| "the row is not UTF-8".into())
            })
        };
        Entry {
            line: self.row_line,
            record,
        }
    }

    /// A field in quotes ends with its closing quote, and a quote in it is written
    /// twice (RFC 4180, section 2). A quote that was forgotten shows here: the
    /// next one is somewhere in the middle, or there is none up to the end.
    fn check_quotes(&self, row: &ByteRecord) -> Result<(), String> {
        let (mut rest, mut line) = (&self.row[..], self.row_line);
        for field in row {
            let after = match rest.strip_prefix(b"\"") {
                None => rest.get(field.len()..).unwrap_or_default(),
                Some(quoted) => match quoted.strip_prefix(&doubled(field)[..]) {
                    Some([b'"', after @ ..]) => after,
                    Some([]) => {
                        return Err(format!(
                            "the quote that opens in line {line} is never closed; nothing after it \
                             was imported"
                        ));
                    }
                    _ => {
                        return Err(format!(
                            "the quote that opens in line {line} is not closed at the end of its \
                             field (inside, a quote is written twice); nothing was imported up to \
                             line {}",
                            self.row_line + newlines(self.row.trim_ascii_end())
                        ));
                    }
                },
            };
            line += newlines(field);
            // Without the separator.
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(())
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn doubled(field: &[u8]) -> Vec<u8> {
    let times = |byte: &u8| if *byte == b'"' { 2 } else { 1 };
    field
        .iter()
        .flat_map(|byte| std::iter::repeat_n(*byte, times(byte)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line, and the fields joined by bars or the error.
    fn all(bytes: &[u8]) -> Vec<(u64, Result<String, String>)> {
        rows(Box::new(bytes), b',')
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let fields = entry
                    .record
                    .map(|row| row.iter().collect::<Vec<_>>().join("|"));
                (entry.line, fields)
            })
            .collect()
    }

    #[test]
    fn a_row_has_the_line_where_it_begins() {
        let unix = "a,b\n\n\n1,2\n\"3\n\n\"\"\",\"\"\n5,6\n7,8";
        let expected = [
            (1, Ok("a|b".into())),
            (4, Ok("1|2".into())),
            (5, Ok("3\n\n\"|".into())),
            (8, Ok("5|6".into())),
            (9, Ok("7|8".into())),
        ];
        assert_eq!(all(unix.as_bytes()), expected);
        let lines: Vec<u64> = all(unix.replace('\n', "\r\n").as_bytes())
            .iter()
            .map(|(line, row)| {
                assert!(row.is_ok());
                *line
            })
            .collect();
        assert_eq!(lines, [1, 4, 5, 8, 9]);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\r\n\n"), []);
        assert_eq!(all(b"a\rb").len(), 2);
    }

    #[test]
    fn a_row_longer_than_a_buffer_is_one() {
        let long = "x".repeat(20_000);
        let rows = all(format!("a,b\r\n\"{long}\n{long}\",{long}\r\n1,2\r\n").as_bytes());
        assert_eq!(rows[1], (2, Ok(format!("{long}\n{long}|{long}"))));
        assert_eq!(rows[2], (4, Ok("1|2".into())));
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told_with_its_line() {
        for (text, line, reason) in [
            ("a,b\n1,\"x\n2,y\n", 2, "opens in line 2 is never closed"),
            ("a,b\r\n1,\"x\r\n2,y", 2, "opens in line 2 is never closed"),
            ("\"x\ny\",\"z\n", 1, "opens in line 2 is never closed"),
            ("a,\"", 1, "opens in line 1 is never closed"),
            ("a,\"x\"\"", 1, "opens in line 1 is never closed"),
        ] {
            let rows = all(text.as_bytes());
            let (at, row) = rows.last().unwrap();
            let error = row.as_ref().unwrap_err();
            assert_eq!(*at, line, "{text}");
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_quote_that_the_quote_of_a_later_row_closes_is_told_with_its_line() {
        for text in [
            "1,\"x\n2,\"y\"\n3,z\n",
            "1,\"x\r\n2,\"y\"\r\n3,z\r\n",
            "1,\"x\n2,\"\"y\"\" \"z\n3,z\n",
        ] {
            let rows = all(text.as_bytes());
            assert_eq!(rows.len(), 2, "{text}");
            let error = rows[0].1.as_ref().unwrap_err();
            assert!(error.contains("line 1") && error.contains("up to line 2"));
            assert_eq!(rows[1], (3, Ok("3|z".into())));
        }
        for text in ["\"a\" ,b", "\"a\"b,c", "\"a\"\"b\"c\"\",\"d\""] {
            assert!(all(text.as_bytes())[0].1.is_err(), "{text}");
        }
        // A quote that opens nothing is a character.
        assert_eq!(
            all(b"5\" disk, \"b\"\n"),
            [(1, Ok("5\" disk| \"b\"".into()))]
        );
    }

    #[test]
    fn a_row_without_end_is_not_taken_into_memory() {
        let mut bytes = b"1,2\n\"".to_vec();
        bytes.resize(LINE_BYTES_MAX as usize + 100_000, b'a');
        bytes.extend(b"\"\n3,4\n");
        let rows = all(&bytes);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1].0, 2);
        assert!(
            rows[1]
                .1
                .as_ref()
                .unwrap_err()
                .contains("does not end within")
        );
    }

    #[test]
    fn a_row_that_is_not_text_does_not_end_the_file() {
        assert_eq!(
            all(b"\xff,1\n2,3"),
            [
                (1, Err("the row is not UTF-8".into())),
                (2, Ok("2|3".into()))
            ]
        );
    }
}
