//! What both doors' answers have in common: a status, headers that cannot be broken by the text
//! put into them, and a body. The formats themselves live in `json11` and `rest_json`.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

/// An answer ready to be sent. The web framework's own body type is put around the bytes by the
/// shell.
pub type Answer = Response<Vec<u8>>;

pub(crate) const REQUEST_ID: &str = "x-amzn-requestid";
pub(crate) const ERROR_TYPE: &str = "x-amzn-errortype";

/// Longer texts are cut in a header: some carry what the caller sent, and clients and proxies give
/// up on header blocks of a few kilobytes. The body keeps the whole text.
const HEADER_TEXT_MAX: usize = 1024;

pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: Vec<u8>,
    request_id: &str,
) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(REQUEST_ID, header_text(request_id));
    answer
}

/// Serializing a [`Value`] cannot fail: its keys are texts and its numbers are finite.
pub(crate) fn json(body: &Value) -> Vec<u8> {
    body.to_string().into_bytes()
}

/// The text as a header value: white space becomes a space, and what a header cannot carry
/// becomes `?`, so that no text of a caller can end the header or start another one.
pub(crate) fn header_text(text: &str) -> HeaderValue {
    let safe: String = text
        .chars()
        .take(HEADER_TEXT_MAX)
        .map(|character| match character {
            ' '..='~' => character,
            '\t' | '\r' | '\n' => ' ',
            _ => '?',
        })
        .collect();
    HeaderValue::from_str(&safe).expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_carries_only_printable_ascii() {
        for (text, expected) in [
            ("plain", "plain"),
            ("", ""),
            ("two\r\nx-evil: 1", "two  x-evil: 1"),
            ("Zoë \u{7f}\u{0}", "Zo? ??"),
        ] {
            assert_eq!(header_text(text), expected);
        }
    }

    #[test]
    fn a_long_text_is_cut_in_a_header() {
        assert_eq!(header_text(&"é".repeat(100_000)).len(), HEADER_TEXT_MAX);
    }
}
