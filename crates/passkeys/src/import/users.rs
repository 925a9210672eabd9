//! Users as other systems write them: CSV, JSON, JSON Lines (passkey-flex
//! section g). Which of them a file is shows in its first lines.

use std::io::{self, BufRead, Cursor, Read as _};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{
    fields::Members,
    lines::{Entries, Entry, begin, lines},
    rows::rows,
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

    /// The member and the position of each column that is read. A member can have
    /// several columns, whose headers differ.
    fn find(&self, headers: &[String]) -> Result<Vec<(&'static str, usize)>, String> {
        let mut found: Vec<(&'static str, usize)> = Vec::new();
        for (member, guesses) in MEMBERS {
            let named = self.0.iter().find(|(known, _)| known == member);
            let before = found.len();
            for (at, header) in headers.iter().enumerate() {
                let is_it = match named {
                    Some((_, named)) => header == named,
                    None => guesses.contains(&folded(header).as_str()),
                };
                if !is_it {
                    continue;
                }
                let is_same = |(_, other): &(_, usize)| folded(&headers[*other]) == folded(header);
                if found[before..].iter().any(is_same) {
                    return Err(format!(
                        "the column {header} is there twice; {}",
                        listed(headers)
                    ));
                }
                found.push((*member, at));
            }
            if let (Some((_, named)), true) = (named, found.len() == before) {
                return Err(format!("there is no column {named}; {}", listed(headers)));
            }
        }
        if !found.iter().any(|(member, _)| *member == "external_id") {
            return Err(format!(
                "a CSV file needs a header row, and no column looks like external_id; name it with \
                 --column external_id=HEADER; {}",
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
/// An empty file is none of them.
///
/// An error says why nothing of the file can be read.
pub(crate) fn read<'a>(
    input: Box<dyn BufRead + 'a>,
    columns: &UserColumns,
) -> io::Result<Entries<'a, UserRecord>> {
    let (begun, input) = begin(input)?;
    let first = begun.trim_ascii_start().first().copied();
    let is_line = first == Some(b'{') && serde_json::from_slice::<&RawValue>(&begun).is_ok();
    let separator = separator_of(&begun);
    let input = Box::new(Cursor::new(begun).chain(input));
    match first {
        None => Err(invalid("it is empty; a CSV file needs a header row".into())),
        Some(_) if is_line => Ok(Box::new(lines(input).flat_map(of_line))),
        Some(b'{' | b'[') => document(input),
        Some(_) => csv(input, separator, columns),
    }
}

fn invalid(error: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
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
    if let Some(name) = OF_CREDENTIALS
        .iter()
        .find(|name| members.get(name).is_some())
    {
        return Err(format!(
            "{name} is of a credential and not of a user; credentials are imported with --credentials"
        ));
    }
    members.rename("user_id", "id")?;
    user(&members)
}

/// Members that tell a credential from a user.
const OF_CREDENTIALS: &[&str] = &["credential_id", "cred_id", "public_key"];

fn csv<'a>(
    input: Box<dyn BufRead + 'a>,
    separator: u8,
    columns: &UserColumns,
) -> io::Result<Entries<'a, UserRecord>> {
    let mut rows = rows(input, separator);
    let headers = match rows.next().transpose()? {
        Some(Entry {
            record: Ok(row), ..
        }) => row,
        Some(Entry {
            record: Err(reason),
            ..
        }) => return Err(invalid(format!("its header row: {reason}"))),
        None => return Err(invalid("it has no header row".into())),
    };
    let headers: Vec<String> = headers.iter().map(|header| header.trim().into()).collect();
    let found = columns.find(&headers).map_err(invalid)?;
    Ok(Box::new(rows.map(move |entry| {
        entry.map(|Entry { line, record }| Entry {
            line,
            record: record.and_then(|row| user_of_row(&row, &headers, &found, separator)),
        })
    })))
}

fn user_of_row(
    row: &csv::StringRecord,
    headers: &[String],
    found: &[(&'static str, usize)],
    separator: u8,
) -> Result<UserRecord, String> {
    if row.len() != headers.len() {
        let (fields, s) = (row.len(), if row.len() == 1 { "" } else { "s" });
        let hint = match separator {
            _ if fields < headers.len() => "",
            b';' => "; a value with a semicolon needs quotes",
            b'\t' => "; a value with a tab needs quotes",
            _ => "; a value with a comma needs quotes",
        };
        return Err(format!(
            "it has {fields} field{s}, the header has {}{hint}",
            headers.len()
        ));
    }
    let mut members = Members::default();
    let given = found.iter().filter(|(_, at)| !row[*at].is_empty());
    for (member, at) in given {
        let value = Value::from(&row[*at]);
        match members.0.insert((*member).into(), value.clone()) {
            Some(other) if other != value => {
                let columns: Vec<&str> = found
                    .iter()
                    .filter(|(known, _)| known == member)
                    .map(|(_, at)| &*headers[*at])
                    .collect();
                return Err(format!(
                    "the columns {} differ; say which it is with --column {member}=HEADER",
                    columns.join(" and ")
                ));
            }
            _ => {}
        }
    }
    user(&members)
}

/// What is between the columns, as far as the header row shows: commas, or semicolons or
/// tabs when there is no comma.
fn separator_of(headers: &[u8]) -> u8 {
    *b",;\t"
        .iter()
        .find(|separator| headers.contains(separator))
        .unwrap_or(&b',')
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
    let is_blank = |status: &Value| status.as_str().is_some_and(|text| text.trim().is_empty());
    let status = match members.get("status") {
        Some(status) if !is_blank(status) => Some(
            members
                .hint("status")
                .ok_or("status is none of active, inactive and pending")?,
        ),
        _ => None,
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
        last_login_at_ms: members.last_login_at_ms()?,
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

fn listed(headers: &[String]) -> String {
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
        let users = "\u{feff}External ID,ignored,User-Id,status\nann,x,u1,active\n\"b\n\"\"b\",x,u2,\nc,,,\n";
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

    fn refusal_of(text: &str, columns: &UserColumns) -> String {
        match read(Box::new(Cursor::new(text.to_owned())), columns) {
            Ok(_) => panic!("it was read: {text}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_file_that_is_empty_or_has_no_usable_header_row_is_refused() {
        for (text, reason) in [
            ("", "is empty"),
            (" \r\n\n", "is empty"),
            ("\u{feff}", "is empty"),
            ("ann,u1\nbob,u2\n", "a CSV file needs a header row"),
            (
                "external_id,id,External-ID\nann,u1,x\n",
                "External-ID is there twice",
            ),
            (
                "external_id,id,id\nann,u1,u1\n",
                "the column id is there twice",
            ),
            (
                "external_id,\"id\nann,u1\n",
                "opens in line 1 is never closed",
            ),
        ] {
            let error = refusal_of(text, &UserColumns::default());
            assert!(error.contains(reason), "{text}: {error}");
        }
        let mut named = UserColumns::default();
        named.set("external_id", "Customer");
        let error = refusal_of("Customer,Customer\na,b\n", &named);
        assert!(error.contains("Customer is there twice"), "{error}");
        // Nobody asks for these.
        assert_eq!(seen("external_id,note,note\nann,,\n"), [is(2, "", "ann")]);
        assert_eq!(seen("external_id\n"), []);
    }

    #[test]
    fn columns_are_separated_by_what_the_header_row_shows() {
        for text in [
            "id;external_id\nu1;\"a;b,\"\n",
            "id\texternal_id\nu1\ta;b,\n",
            "id,external_id\nu1,\"a;b,\"\n",
        ] {
            assert_eq!(seen(text), [is(2, "u1", "a;b,")], "{text}");
        }
    }

    #[test]
    fn a_row_with_more_or_fewer_fields_than_the_header_is_refused() {
        let rows = seen("external_id,id\na,b,u1\nann\nbob,u2\n");
        assert_eq!(
            rows[0].1.as_ref().unwrap_err(),
            "it has 3 fields, the header has 2; a value with a comma needs quotes"
        );
        assert_eq!(
            rows[1].1.as_ref().unwrap_err(),
            "it has 1 field, the header has 2"
        );
        assert_eq!(rows[2], is(4, "u2", "bob"));
    }

    #[test]
    fn an_id_in_two_columns_or_members_has_to_be_the_same() {
        let rows = seen("external_id,id,user_id\nann,u1,u1\nbob,,u2\neve,u3,u4\n");
        assert_eq!(rows[..2], [is(2, "u1", "ann"), is(3, "u2", "bob")]);
        assert_eq!(
            rows[2].1.as_ref().unwrap_err(),
            "the columns id and user_id differ; say which it is with --column id=HEADER"
        );
        let mut columns = UserColumns::default();
        columns.set("id", "user_id");
        let text = "external_id,id,user_id\neve,u3,u4\n";
        assert_eq!(seen_with(text, &columns), [is(2, "u4", "eve")]);
        let lines = seen(
            "{\"external_id\": \"ann\", \"id\": \"u1\", \"user_id\": \"u1\"}\n\
             {\"external_id\": \"eve\", \"id\": \"u3\", \"user_id\": \"u4\"}\n",
        );
        assert_eq!(lines[0], is(1, "u1", "ann"));
        let error = lines[1].1.as_ref().unwrap_err();
        assert_eq!(error, "user_id and id are both there and differ");
    }

    #[test]
    fn a_status_may_have_space_around_it_and_an_id_keeps_its_own() {
        let input = "external_id,status,id\n ann , Active , u1\nbob,  ,u2\n";
        let users: Vec<UserRecord> = read(Box::new(input.as_bytes()), &UserColumns::default())
            .unwrap()
            .map(|entry| entry.unwrap().record.unwrap())
            .collect();
        assert_eq!(users[0].status, Some(UserStatus::Active));
        assert_eq!(users[0].external_id, " ann ");
        assert_eq!(users[0].id, UserId::parse(" u1"));
        assert_eq!(users[1].status, None);
    }

    #[test]
    fn a_credential_is_no_user() {
        for member in ["credential_id", "cred_id", "public_key"] {
            let line = format!("{{\"external_id\": \"ann\", \"{member}\": \"AQID\"}}");
            let error = seen(&line).remove(0).1.unwrap_err();
            assert!(error.contains(member) && error.contains("--credentials"));
        }
        let user = r#"{"external_id": "ann", "webauthn_devices": [{"cred_id": "AQID"}]}"#;
        assert_eq!(seen(user), [is(1, "", "ann")]);
    }

    #[test]
    fn a_csv_file_without_the_columns_is_refused_as_a_whole() {
        let mut named = UserColumns::default();
        named.set("external_id", "customer");
        for (columns, reason) in [
            (UserColumns::default(), "external_id"),
            (named, "no column customer"),
        ] {
            let error = refusal_of("a,b\n1,2\n", &columns);
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
        assert_eq!(seen("[]"), []);
        assert_eq!(seen("{\"users\": []}"), []);
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
