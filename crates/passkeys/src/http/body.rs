//! Request bodies: one JSON object of bounded size, its members read by name and
//! checked for type. Unknown members are ignored, and `null` is the same as
//! absent (passkey-flex sections b.1 and c.1).

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use futures_util::StreamExt as _;
use serde_json::{Map, Value};

use crate::{Failure, Refusal};

/// The object in a request's body, or one inside it; empty when the body is.
#[derive(Default)]
pub(super) struct Object(Map<String, Value>);

impl<S: Sync> FromRequest<S> for Object {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Object, Failure> {
        let bytes = read(request.into_body()).await?;
        Ok(Object::parse(&bytes)?)
    }
}

impl Object {
    /// Nesting is bounded by the parser.
    pub(super) fn parse(bytes: &[u8]) -> Result<Object, Refusal> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Object(Map::new()));
        }
        serde_json::from_slice(bytes)
            .map(Object)
            .map_err(|_| invalid("The body must be one JSON object."))
    }

    /// The member as text, if it is there.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(&format!("{name} must be a text."))),
        }
    }

    /// The member as text that is not empty.
    pub(super) fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.optional_text(name)?
            .filter(|text| !text.is_empty())
            .ok_or_else(|| invalid(&format!("{name} is missing or empty.")))
    }

    /// The member as true or false, if it is there.
    pub(super) fn optional_bool(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(invalid(&format!("{name} must be true or false."))),
        }
    }

    /// The member as a whole number, if it is there.
    pub(super) fn optional_integer(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.member(name)
            .map(|value| {
                value
                    .as_i64()
                    .ok_or_else(|| invalid(&format!("{name} must be a whole number.")))
            })
            .transpose()
    }

    /// The member as one of some words, if it is there.
    pub(super) fn optional_word<T: Copy>(
        &self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Refusal> {
        let Some(text) = self.optional_text(name)? else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(invalid(&format!("{name} must be {}.", words.join(" or "))))
            }
        }
    }

    /// The member as a list of texts, each read by `read`, if it is there.
    pub(super) fn optional_list<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, Refusal> {
        let not_texts = || invalid(&format!("{name} must be a list of texts."));
        let Some(member) = self.member(name) else {
            return Ok(None);
        };
        member
            .as_array()
            .ok_or_else(not_texts)?
            .iter()
            .map(|entry| {
                read(entry.as_str().ok_or_else(not_texts)?)
                    .map_err(|what| invalid(&format!("{name}: {what}.")))
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The member as a list of texts, if it is there.
    pub(super) fn optional_texts(&self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        self.optional_list(name, |text| Ok(text.to_owned()))
    }

    /// The member as an object, if it is there.
    pub(super) fn optional_object(&self, name: &str) -> Result<Option<Object>, Refusal> {
        match self.member(name) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Object(members.clone()))),
            Some(_) => Err(invalid(&format!("{name} must be an object."))),
        }
    }

    /// The member, if it is there and not null.
    pub(super) fn member(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }
}

/// Reads a body up to the limit. One that is longer is read on and thrown away
/// for a while: a client that is still sending would not see the answer.
async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let mut kept = Vec::new();
    let mut seen = 0_usize;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| invalid("The body could not be read."))?;
        seen = seen.saturating_add(piece.len());
        if seen <= BYTES_MAX {
            kept.extend_from_slice(&piece);
        } else if seen > BYTES_DRAINED_MAX {
            break;
        }
    }
    if seen > BYTES_MAX {
        return Err(invalid("The body is too large."));
    }
    Ok(kept)
}

fn invalid(text: &str) -> Refusal {
    Refusal::InvalidRequest(text.to_owned())
}

/// Several times what an attestation with its certificates takes.
const BYTES_MAX: usize = 128 * 1024;
const BYTES_DRAINED_MAX: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_is_a_body() {
        for body in ["", " \n", "{}", r#"{"a":1}"#] {
            assert!(Object::parse(body.as_bytes()).is_ok(), "{body}");
        }
        let deep = "[".repeat(10_000);
        let deep_member = format!(r#"{{"a":{deep}"#);
        for body in [
            "null",
            "1",
            "[]",
            r#"["a"]"#,
            r#""{}""#,
            "{",
            "{}{}",
            "{'a':1}",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            &deep,
            &deep_member,
        ] {
            assert!(Object::parse(body.as_bytes()).is_err(), "{body:.20}");
        }
        assert!(Object::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_member_is_a_text_or_absent_or_refused() {
        let object = Object::parse(br#"{"text":"a","empty":"","null":null,"number":1}"#).unwrap();
        assert_eq!(object.text("text"), Ok("a"));
        assert_eq!(object.optional_text("empty"), Ok(Some("")));
        assert_eq!(object.optional_text("null"), Ok(None));
        assert_eq!(object.optional_text("absent"), Ok(None));
        assert!(object.optional_text("number").is_err());
        for name in ["empty", "null", "absent", "number"] {
            assert!(object.text(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_member_of_another_type_is_refused_by_name() {
        let object = Object::parse(
            br#"{"bool":true,"integer":-7,"half":0.5,"huge":18446744073709551615,"word":"b",
                 "list":["a","b"],"mixed":["a",1],"object":{"inner":1},"null":null}"#,
        )
        .unwrap();
        let words = [("a", 1), ("b", 2)];
        assert_eq!(object.optional_bool("bool"), Ok(Some(true)));
        assert_eq!(object.optional_integer("integer"), Ok(Some(-7)));
        assert_eq!(object.optional_word("word", &words), Ok(Some(2)));
        assert_eq!(
            object.optional_texts("list"),
            Ok(Some(vec!["a".into(), "b".into()]))
        );
        let inner = object.optional_object("object").unwrap().unwrap();
        assert_eq!(inner.optional_integer("inner"), Ok(Some(1)));
        for name in ["null", "absent"] {
            assert_eq!(object.optional_bool(name), Ok(None));
            assert_eq!(object.optional_integer(name), Ok(None));
            assert_eq!(object.optional_word(name, &words), Ok(None));
            assert_eq!(object.optional_texts(name), Ok(None));
            assert!(object.optional_object(name).unwrap().is_none());
        }
        let names = |refusal: Option<Refusal>, name: &str| {
            let text = refusal.expect(name).to_string();
            assert!(text.starts_with(name), "{text}");
        };
        for name in ["integer", "half", "huge", "word", "list", "mixed", "object"] {
            names(object.optional_bool(name).err(), name);
        }
        for name in ["bool", "half", "huge", "word", "list", "object"] {
            names(object.optional_integer(name).err(), name);
        }
        for name in ["bool", "integer", "word", "mixed", "object"] {
            names(object.optional_texts(name).err(), name);
        }
        for name in ["bool", "integer", "word", "list"] {
            names(object.optional_object(name).err(), name);
        }
        names(object.optional_word("word", &words[..1]).err(), "word");
        names(object.optional_word("list", &words).err(), "list");
        let picky = |_: &str| Err::<(), _>("an entry is wrong".into());
        names(object.optional_list("list", picky).err(), "list");
    }
}
