//! What fuzzers feed to the import: files of users, lines of credentials, keys.

use std::io::Cursor;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use webauthn::check_public_key;

use super::{
    UserColumns, credentials,
    keys::{self, Encoding, PublicKey},
    users::{self, UserRecord},
};

/// By the first byte: a file of users (0), lines of credentials with ids in
/// base64 (1) or hex (2), or a public key, as text or JSON (any other).
pub fn imports(input: &[u8]) -> bool {
    match input.split_first() {
        Some((0, file)) => users_file(file),
        Some((1, file)) => credentials_file(file, Encoding::Base64),
        Some((2, file)) => credentials_file(file, Encoding::Hex),
        Some((_, key)) => public_key(key),
        None => false,
    }
}

fn users_file(file: &[u8]) -> bool {
    let read = |file: &[u8]| {
        users::read(
            Box::new(Cursor::new(file.to_vec())),
            &UserColumns::default(),
        )
    };
    let Ok(entries) = read(file) else {
        return false;
    };
    let mut accepted = false;
    for entry in entries {
        let entry = entry.expect("memory can be read");
        assert!(entry.line >= 1);
        let Ok(user) = entry.record else {
            continue;
        };
        assert!((1..=256).contains(&user.external_id.len()));
        assert!((0..=i64::from(i32::MAX)).contains(&user.login_count));
        // Written in either form, it is the same user.
        for written in [json_of(&user), csv_of(&user)] {
            let again: Vec<_> = read(&written)
                .expect("it was written well")
                .map(|entry| entry.expect("memory can be read").record)
                .collect();
            assert_eq!(again, [Ok(user.clone())]);
        }
        accepted = true;
    }
    accepted
}

/// The members of a user that are there, with their texts.
fn members(user: &UserRecord) -> Vec<(&'static str, String)> {
    let time = |time_ms: Option<i64>| {
        let time = Timestamp::from_millisecond(time_ms?).expect("a time that was read");
        Some(time.to_string())
    };
    let status = user.status.map(|status| match json!(status) {
        Value::String(word) => word,
        other => unreachable!("a status is a word and not {other}"),
    });
    [
        ("external_id", Some(user.external_id.clone())),
        ("id", user.id.as_ref().map(|id| id.as_str().to_owned())),
        ("status", status),
        ("login_count", Some(user.login_count.to_string())),
        ("created_at", time(user.created_at_ms)),
        ("updated_at", time(user.updated_at_ms)),
        ("last_login_at", time(user.last_login_at_ms)),
    ]
    .into_iter()
    .filter_map(|(name, text)| Some((name, text?)))
    .collect()
}

fn json_of(user: &UserRecord) -> Vec<u8> {
    let members = members(user)
        .into_iter()
        .map(|(name, text)| (name.to_owned(), Value::from(text)));
    Value::Object(members.collect()).to_string().into_bytes()
}

fn csv_of(user: &UserRecord) -> Vec<u8> {
    let (names, texts): (Vec<_>, Vec<_>) = members(user).into_iter().unzip();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let written = writer
        .write_record(names)
        .and_then(|()| writer.write_record(texts));
    written.expect("memory takes every record");
    writer.into_inner().expect("memory takes every record")
}

fn credentials_file(file: &[u8], encoding: Encoding) -> bool {
    let Ok(entries) = credentials::read(Box::new(Cursor::new(file.to_vec())), encoding) else {
        return false;
    };
    let mut accepted = false;
    for entry in entries {
        let entry = entry.expect("memory can be read");
        assert!(entry.line >= 1);
        let Ok(credential) = entry.record else {
            continue;
        };
        assert!((1..=1023).contains(&credential.credential_id.len()));
        assert!(credential.external_id.is_some() || credential.user_id.is_some());
        assert!(!credential.backed_up || credential.backup_eligible == Some(true));
        assert!(credential.usage_count >= 0 && !credential.user_agent.contains('\0'));
        credential.public_key.iter().for_each(check);
        accepted = true;
    }
    accepted
}

fn public_key(key: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(key) else {
        return false;
    };
    let as_text = keys::read(&Value::from(text));
    if let Ok(value) = serde_json::from_str::<Value>(text)
        && value.is_object()
        && text.trim().starts_with('{')
    {
        assert_eq!(keys::read(&value), as_text);
    }
    as_text.iter().for_each(check);
    as_text.is_ok()
}

/// A key that was read is one that a ceremony can use, and is read from its own bytes again.
fn check(key: &PublicKey) {
    assert_eq!(check_public_key(&key.cose), Ok(key.algorithm));
    for text in [
        BASE64_URL_SAFE_NO_PAD.encode(&key.cose),
        hex::encode(&key.cose),
    ] {
        assert_eq!(keys::read(&Value::from(text)).as_ref(), Ok(key));
    }
}
