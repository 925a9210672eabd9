//! Users as other systems write them: CSV, JSON, JSON Lines (passkey-flex
//! section g). Which of them a file is shows in its first lines.

use std::io::{self, BufRead, Cursor, Read as _};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    fields::Members,
    lines::{Entries, Entry, first_byte, lines},
};
use crate::{UserId, UserStatus, users::ExternalId};

/// A user of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserRecord {
    pub(crate) id: Option<UserId>,
    pub(crate) external_id: String,
    pub(crate) status: Option<UserStatus>,
    pub(crate) login_count: i64,
    pub(crate) created_at_ms: Option<i64>,
    pub(crate) updated_at_ms: Option<i64>,
    pub(crate) last_login_at_ms: Option<i64>,
}

/// Which column of a CSV file holds which member of a user.
#[derive(Clone, Debug, Default)]
pub struct UserColumns(Vec<(&'static str, String)>);

impl UserColumns {
    /// Says that `member` (`id`, `external_id`, `status`, `created_at`,
    /// `updated_at`, `last_login_at`, `login_count`) is in the column with this
    /// header, whatever else the headers suggest. False for any other member.
    pub fn set(&mut self, member: &str, header: &str) -> bool {
        match MEMBERS.iter().find(|(known, _)| *known == member) {
            Some((known, _)) => {
                self.0.push((known, header.to_owned()));
                true
            }
            None => false,
        }
    }

    /// The position of each member's column.
    fn find(&self, headers: &csv::StringRecord) -> Result<Vec<(&'static str, usize)>, String> {
        let position = |wanted: &dyn Fn(&str) -> bool| headers.iter().position(wanted);
        let mut found = Vec::new();
        for (member, guesses) in MEMBERS {
            if let Some((_, named)) = self.0.iter().find(|(known, _)| known == member) {
                let at = position(&|header| header == named)
                    .ok_or_else(|| format!("there is no column {named}; {}", listed(headers)))?;
                found.push((*member, at));
            } else if let Some(at) = guesses
                .iter()
                .find_map(|guess| position(&|header| folded(header) == *guess))
            {
                found.push((*member, at));
            }
        }
        if !found.iter().any(|(member, _)| *member == "external_id") {
            return Err(format!(
                "no column looks like external_id; name it; {}",
                listed(headers)
            ));
        }
        Ok(found)
    }
}

/// The members of a user, and what their columns may be called when case and
/// everything but letters and digits is taken away.
const MEMBERS: &[(&str, &[&str])] = &[
    ("id", &["id", "userid", "passageid", "passageuserid"]),
    ("external_id", &["externalid"]),
    ("status", &["status"]),
    ("created_at", &["createdat", "created"]),
    ("updated_at", &["updatedat", "updated"]),
    ("last_login_at", &["lastloginat", "lastlogin"]),
    ("login_count", &["logincount", "logins"]),
];

/// The users of a file. JSON is one user, a list, a page of the users list
/// (`users`) or a single answer (`user`), or several of these after each other;
/// JSON Lines has one of these on each line; anything else is CSV with headers.
///
/// An error says why nothing of the file can be read.
pub(crate) fn read<'a>(
    mut input: Box<dyn BufRead + 'a>,
    columns: &UserColumns,
) -> io::Result<Entries<'a, UserRecord>> {
    match first_byte(&mut *input)? {
        None => Ok(Box::new(std::iter::empty())),
        Some(b'[') => document(input),
        Some(b'{') => {
            let mut begun = Vec::new();
            while begun.trim_ascii().is_empty() {
                input.read_until(b'\n', &mut begun)?;
            }
            let is_whole = serde_json::from_slice::<&RawValue>(&begun).is_ok();
            let input = Box::new(Cursor::new(begun).chain(input));
            if is_whole {
                Ok(Box::new(lines(input).flat_map(of_line)))
            } else {
                document(input)
            }
        }
        Some(_) => csv(input, columns),
    }
}

fn of_line(line: io::Result<Entry<String>>) -> Vec<io::Result<Entry<UserRecord>>> {
    let Entry { line, record } = match line {
        Ok(entry) => entry,
        Err(error) => return vec![Err(error)],
    };
    let texts = record.and_then(|text| {
        let value: &RawValue = serde_json::from_str(&text).map_err(not_json)?;
        Ok(users_of(value)
            .into_iter()
            .map(|user| user_of_json(user.get()))
            .collect())
    });
    texts
        .unwrap_or_else(|error| vec![Err(error)])
        .into_iter()
        .map(|record| Ok(Entry { line, record }))
        .collect()
}

fn document<'a>(mut input: Box<dyn BufRead + 'a>) -> io::Result<Entries<'a, UserRecord>> {
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    let mut entries = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for value in serde_json::Deserializer::from_str(&text).into_iter::<&RawValue>() {
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                let line = error.line() as u64;
                let record = Err(format!("{}; the rest was not read", not_json(error)));
                entries.push(Ok(Entry { line, record }));
                break;
            }
        };
        for user in users_of(value) {
            // The user's text is a part of the whole text.
            let begin = user.get().as_ptr() as usize - text.as_ptr() as usize;
            line += text[counted..begin].matches('\n').count() as u64;
            counted = begin;
            let record = user_of_json(user.get());
            entries.push(Ok(Entry { line, record }));
        }
    }
    Ok(Box::new(entries.into_iter()))
}

fn not_json(error: serde_json::Error) -> String {
    format!("not JSON: {error}")
}

/// The users in a value: of a list, a page, an answer, or itself.
fn users_of(value: &RawValue) -> Vec<&RawValue> {
    #[derive(Deserialize)]
    struct Answer<'t> {
        #[serde(borrow)]
        users: Option<Vec<&'t RawValue>>,
        #[serde(borrow)]
        user: Option<&'t RawValue>,
    }
    let in_object = |value| match serde_json::from_str::<Answer<'_>>(RawValue::get(value)) {
        Ok(Answer {
            users: Some(users), ..
        }) => users,
        Ok(Answer {
            user: Some(user), ..
        }) => vec![user],
        _ => vec![value],
    };
    match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
        Ok(list) => list.into_iter().flat_map(in_object).collect(),
        Err(_) => in_object(value),
    }
}

fn user_of_json(text: &str) -> Result<UserRecord, String> {
    let mut members = Members::parse(text)?;
    if let Some(id) = members.0.remove("user_id") {
        members.0.entry("id").or_insert(id);
    }
    user(&members)
}

fn csv<'a>(
    input: Box<dyn BufRead + 'a>,
    columns: &UserColumns,
) -> io::Result<Entries<'a, UserRecord>> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::Headers)
        .from_reader(input);
    let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
    let headers = reader.headers().map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        _ => invalid("the header row is not UTF-8".into()),
    })?;
    let positions = columns.find(headers).map_err(invalid)?;
    let line_of = |position: Option<&csv::Position>| position.map_or(0, csv::Position::line);
    Ok(Box::new(reader.into_records().map(move |row| {
        let row = match row {
            Ok(row) => row,
            Err(error) if error.is_io_error() => return Err(io::Error::other(error)),
            Err(error) => {
                return Ok(Entry {
                    line: line_of(error.position()),
                    record: Err("the row is not UTF-8".into()),
                });
            }
        };
        let mut members = Members::default();
        for (member, at) in &positions {
            if let Some(text) = row.get(*at) {
                members.0.insert((*member).into(), Value::from(text));
            }
        }
        Ok(Entry {
            line: line_of(row.position()),
            record: user(&members),
        })
    })))
}

fn user(members: &Members) -> Result<UserRecord, String> {
    let id = members
        .text("id")?
        .map(|text| UserId::parse(&text).ok_or("the id has more than 64 bytes or a NUL"))
        .transpose()?;
    let external_id = members
        .text("external_id")?
        .ok_or("external_id is missing")?;
    let external_id = ExternalId::parse(&external_id).map_err(|refusal| refusal.to_string())?;
    let status = match members.get("status") {
        None => None,
        Some(_) => Some(
            members
                .hint("status")
                .ok_or("status is none of active, inactive and pending")?,
        ),
    };
    Ok(UserRecord {
        id,
        external_id: external_id.as_str().to_owned(),
        status,
        login_count: members
            .count("login_count", i32::MAX.into())?
            .unwrap_or_default(),
        created_at_ms: members.time_ms("created_at")?,
        updated_at_ms: members.time_ms("updated_at")?,
        last_login_at_ms: members.time_ms("last_login_at")?,
    })
}

/// A header without case and without anything but letters and digits.
fn folded(header: &str) -> String {
    header
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|character| character.to_ascii_lowercase())
        .collect()
}

fn listed(headers: &csv::StringRecord) -> String {
    let headers: Vec<&str> = headers.iter().collect();
    format!("the header row has: {}", headers.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, proptest};

    use super::*;

    /// Line, and id and external id or the error.
    type Seen = (u64, Result<(String, String), String>);

    fn seen_with(text: &str, columns: &UserColumns) -> Vec<Seen> {
        read(Box::new(Cursor::new(text.to_owned())), columns)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|Entry { line, record }| {
                let user = record.map(|user| {
                    let id = user.id.map_or(String::new(), |id| id.to_string());
                    (id, user.external_id)
                });
                (line, user)
            })
            .collect()
    }

    fn seen(text: &str) -> Vec<Seen> {
        seen_with(text, &UserColumns::default())
    }

    fn is(line: u64, id: &str, external_id: &str) -> Seen {
        (line, Ok((id.into(), external_id.into())))
    }

    #[test]
    fn users_come_as_csv_with_guessed_or_named_columns() {
        let users =
            "\u{feff}External ID,ignored,User-Id,status\nann,x,u1,active\n\"b\n\"\"b\",x,u2,\nc\n";
        assert_eq!(
            seen(users),
            [is(2, "u1", "ann"), is(3, "u2", "b\n\"b"), is(5, "", "c")]
        );
        let mut columns = UserColumns::default();
        assert!(columns.set("external_id", "Customer") && columns.set("id", "P"));
        assert!(!columns.set("email", "E"));
        assert_eq!(
            seen_with("id,Customer,P\nx, ann ,u1\n", &columns),
            [is(2, "u1", " ann ")]
        );
    }

    #[test]
    fn a_csv_file_without_the_columns_is_refused_as_a_whole() {
        let mut named = UserColumns::default();
        named.set("external_id", "customer");
        for (columns, reason) in [
            (UserColumns::default(), "external_id"),
            (named, "no column customer"),
        ] {
            let input = Box::new(Cursor::new("a,b\n1,2\n"));
            let Err(error) = read(input, &columns) else {
                panic!("it was read");
            };
            let error = error.to_string();
            assert!(error.contains(reason) && error.contains("a, b"), "{error}");
        }
    }

    #[test]
    fn a_wrong_row_or_line_does_not_end_the_file() {
        let rows = seen("external_id,status,created_at\n,active,\na,dead,\nb,,soon\nc,,\n");
        let errors: Vec<&str> = rows
            .iter()
            .filter_map(|(_, user)| user.as_ref().err())
            .map(String::as_str)
            .collect();
        assert_eq!(
            errors,
            [
                "external_id is missing",
                "status is none of active, inactive and pending",
                "created_at is not a time",
            ]
        );
        assert_eq!(rows[3], is(5, "", "c"));
        let lines = seen("{\"external_id\": \"a\"}\n{\"external\n[1]\n{\"external_id\": 7}\n");
        assert_eq!((&lines[0], &lines[3]), (&is(1, "", "a"), &is(4, "", "7")));
        assert_eq!((lines[1].0, lines[2].0), (2, 3));
        assert!(lines[1].1.is_err() && lines[2].1.is_err());
    }

    #[test]
    fn users_come_as_json_in_every_shape_that_the_service_answered_with() {
        let (ann, bob) = (
            r#"{"id": "u1", "external_id": "ann", "user_metadata": null}"#,
            r#"{"user_id": "u2", "external_id": "bob"}"#,
        );
        for (text, lines) in [
            (format!("{ann}\n{bob}"), [1, 2]),
            (format!("\n\n{ann}\r\n\n{bob}\n"), [3, 5]),
            (format!("[{ann},\n{bob}]"), [1, 2]),
            (
                format!("{{\"page\": 1,\n\"users\": [{ann},\n{bob}]}}"),
                [2, 3],
            ),
            (format!("{{\"users\": [{ann}, {bob}]}}"), [1, 1]),
            (
                format!("{{\"users\": [{ann}]}}\n{{\"users\": [{bob}]}}"),
                [1, 2],
            ),
            (
                format!("{{\n\"users\": [{ann}]}}\n{{\"users\": [{bob}]}}"),
                [2, 3],
            ),
            (
                format!("[{{\"user\": {ann}}},\n\n{{\"user\": {bob}}}]"),
                [1, 3],
            ),
        ] {
            let expected = [is(lines[0], "u1", "ann"), is(lines[1], "u2", "bob")];
            assert_eq!(seen(&text), expected, "{text}");
        }
        assert_eq!(seen(""), []);
        assert_eq!(seen(" \n"), []);
        assert_eq!(seen("[]"), []);
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_is_read_to_its_end(
            begin in "[\\[{a-z]?",
            rest in "([ -~\n\"{}\\[\\],:é]|external_id|user|users|id){0,60}",
        ) {
            let input = Box::new(Cursor::new(format!("{begin}{rest}")));
            if let Ok(entries) = read(input, &UserColumns::default()) {
                for entry in entries {
                    prop_assert!(entry.unwrap().line >= 1);
                }
            }
        }
    }

    #[test]
    fn a_broken_document_says_where() {
        let seen = seen("[{\"external_id\": \"a\"},\n{\"external_id\": }]");
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].0, 2);
        assert!(seen[0].1.as_ref().unwrap_err().contains("was not read"));
    }
}
