//! The members of a record, read with patience: numbers may be texts, times come
//! in several spellings, and an empty text is as good as none. The errors are
//! for the person who runs the import.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::{Deserialize as _, de::DeserializeOwned};
use serde_json::{Map, Value};

/// The members of one record.
#[derive(Debug, Default)]
pub(crate) struct Members(pub(crate) Map<String, Value>);

impl Members {
    /// Reads an object.
    pub(crate) fn parse(text: &str) -> Result<Members, String> {
        serde_json::from_str(text)
            .map(Members)
            .map_err(|error| format!("not a JSON object: {error}"))
    }

    /// The value of a member, unless it is null, an empty text or missing.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0
            .get(name)
            .filter(|value| !value.is_null() && value.as_str() != Some(""))
    }

    /// Gives a member that comes under another name its own.
    pub(crate) fn rename(&mut self, other: &str, name: &'static str) -> Result<(), String> {
        let Some(value) = self.get(other).cloned() else {
            return Ok(());
        };
        match self.get(name) {
            Some(known) if *known != value => {
                Err(format!("{other} and {name} are both there and differ"))
            }
            _ => {
                self.0.insert(name.into(), value);
                Ok(())
            }
        }
    }

    /// A text; a whole number counts as its digits.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Ok(Some(number.to_string()))
            }
            Some(_) => Err(format!("{name} is not a text")),
        }
    }

    /// A word of a fixed list, in any case and with space around it; any other word
    /// counts as none, for members that are only shown.
    pub(crate) fn hint<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let word = self.get(name)?.as_str()?.trim().to_ascii_lowercase();
        serde_json::from_value(Value::String(word)).ok()
    }

    /// True or false.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(format!("{name} is neither true nor false")),
        }
    }

    /// A whole number from 0 to `max`.
    pub(crate) fn count(&self, name: &str, max: i64) -> Result<Option<i64>, String> {
        let number = match self.get(name) {
            None => return Ok(None),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(other) => other.as_i64(),
        };
        match number {
            Some(number) if (0..=max).contains(&number) => Ok(Some(number)),
            _ => Err(format!("{name} is not a whole number from 0 to {max}")),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(list) => {
                Vec::deserialize(list).map_err(|_| format!("{name} is not a list of texts"))
            }
        }
    }

    /// A time in milliseconds: RFC 3339, the same without a zone (then UTC), a
    /// date, or a Unix time in seconds or milliseconds. None is before 1970.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, String> {
        match self.any_time_ms(name)? {
            Some(..0) => Err(format!("{name} is before 1970")),
            time_ms => Ok(time_ms),
        }
    }

    /// `last_login_at`, in which the year 1 counts as none: the zero of times in
    /// Go is how some systems write that somebody never logged in.
    pub(crate) fn last_login_at_ms(&self) -> Result<Option<i64>, String> {
        match self.any_time_ms("last_login_at")? {
            Some(NEVER_MS) => Ok(None),
            _ => self.time_ms("last_login_at"),
        }
    }

    fn any_time_ms(&self, name: &str) -> Result<Option<i64>, String> {
        let time_ms = match self.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64().and_then(unix_time_ms),
            Some(Value::String(text)) => parse_time_ms(text.trim()),
            Some(_) => None,
        };
        match time_ms {
            Some(time_ms) => Ok(Some(time_ms)),
            None => Err(format!("{name} is not a time")),
        }
    }
}

fn parse_time_ms(text: &str) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return unix_time_ms(number);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let zoneless: DateTime = text.strip_suffix(" UTC").unwrap_or(text).parse().ok()?;
    let time = zoneless.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(time.as_millisecond())
}

/// 0001-01-01T00:00:00Z.
const NEVER_MS: i64 = -62_135_596_800_000;

/// As milliseconds, a time in 1973, before there were passkeys; as seconds, one in the year 5138.
const SECONDS_END: i64 = 100_000_000_000;

fn unix_time_ms(number: i64) -> Option<i64> {
    let time_ms = if number < SECONDS_END {
        number.checked_mul(1_000)?
    } else {
        number
    };
    Timestamp::from_millisecond(time_ms)
        .ok()
        .map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Members {
        Members::parse(text).unwrap()
    }

    #[test]
    fn a_time_comes_in_several_spellings() {
        for (spelling, time_ms) in [
            (r#""2024-08-20T00:20:47Z""#, Some(1_724_113_247_000)),
            (
                r#""2024-08-20T02:20:47.125+02:00""#,
                Some(1_724_113_247_125),
            ),
            (r#""2024-08-20T00:20:47.125999Z""#, Some(1_724_113_247_125)),
            (r#""2024-08-20 00:20:47""#, Some(1_724_113_247_000)),
            (r#""2024-08-20 00:20:47 UTC""#, Some(1_724_113_247_000)),
            (r#""2024-08-20""#, Some(1_724_112_000_000)),
            (r#""1724113247""#, Some(1_724_113_247_000)),
            ("1724113247", Some(1_724_113_247_000)),
            ("1724113247125", Some(1_724_113_247_125)),
            ("0", Some(0)),
            (r#""""#, None),
            ("null", None),
        ] {
            let members = members(&format!(r#"{{"at": {spelling}}}"#));
            assert_eq!(members.time_ms("at"), Ok(time_ms), "{spelling}");
        }
        for wrong in [r#""yesterday""#, "true", "1.5", "9223372036854775807", "[]"] {
            let members = members(&format!(r#"{{"at": {wrong}}}"#));
            assert_eq!(members.time_ms("at"), Err("at is not a time".into()));
        }
        for early in [
            r#""1969-12-31T23:59:59.999Z""#,
            r#""0001-01-01T00:00:00Z""#,
            "-1",
        ] {
            let members = members(&format!(r#"{{"at": {early}}}"#));
            assert_eq!(members.time_ms("at"), Err("at is before 1970".into()));
        }
    }

    #[test]
    fn only_a_login_can_have_happened_never() {
        let last_login_at =
            |time: &str| members(&format!(r#"{{"last_login_at": {time}}}"#)).last_login_at_ms();
        assert_eq!(last_login_at(r#""0001-01-01T00:00:00Z""#), Ok(None));
        assert_eq!(last_login_at("null"), Ok(None));
        assert_eq!(last_login_at("7"), Ok(Some(7_000)));
        assert_eq!(
            last_login_at(r#""1969-12-31""#),
            Err("last_login_at is before 1970".into())
        );
        assert!(last_login_at(r#""never""#).is_err());
    }

    #[test]
    fn a_member_under_two_names_is_one_unless_the_names_disagree() {
        for (text, id) in [
            (r#"{"user_id": "u1"}"#, Ok(Some("u1".into()))),
            (r#"{"id": "u1"}"#, Ok(Some("u1".into()))),
            (r#"{"id": "u1", "user_id": "u1"}"#, Ok(Some("u1".into()))),
            (r#"{"id": "", "user_id": "u1"}"#, Ok(Some("u1".into()))),
            (r#"{"id": "u1", "user_id": null}"#, Ok(Some("u1".into()))),
            ("{}", Ok(None)),
            (
                r#"{"id": "u1", "user_id": "u2"}"#,
                Err("user_id and id are both there and differ".into()),
            ),
        ] {
            let mut members = members(text);
            let renamed = members.rename("user_id", "id");
            assert_eq!(renamed.and_then(|()| members.text("id")), id, "{text}");
        }
    }

    #[test]
    fn members_are_of_their_types_or_say_so() {
        let given = members(
            r#"{"t": "x", "n": 42, "f": 1.5, "b": true, "l": ["a"], "s": "7", "w": " Active ", "e": ""}"#,
        );
        assert_eq!(given.text("t"), Ok(Some("x".into())));
        assert_eq!(given.text("n"), Ok(Some("42".into())));
        assert_eq!((given.text("e"), given.text("none")), (Ok(None), Ok(None)));
        assert_eq!(given.flag("b"), Ok(Some(true)));
        assert_eq!(given.texts("l"), Ok(vec!["a".into()]));
        assert_eq!(given.texts("none"), Ok(vec![]));
        assert_eq!(given.count("n", 42), Ok(Some(42)));
        assert_eq!(given.count("s", 42), Ok(Some(7)));
        assert_eq!(
            given.hint::<crate::UserStatus>("w"),
            Some(crate::UserStatus::Active)
        );
        assert_eq!(given.hint::<crate::UserStatus>("t"), None);
        assert!(given.text("f").is_err() && given.text("l").is_err());
        assert!(given.flag("t").is_err() && given.texts("t").is_err());
        assert!(given.count("n", 41).is_err() && given.count("t", 9).is_err());
        for wrong in ["", "[]", "7", "{\"a\": 1", &"[".repeat(10_000)] {
            assert!(Members::parse(wrong).is_err(), "{wrong}");
        }
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(Members::parse(&deep).is_err());
    }
}
