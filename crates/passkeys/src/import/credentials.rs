//! Credentials as JSON Lines (passkey-flex section g): what one line holds.

use std::io::{self, BufRead, Cursor, Read as _};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use uuid::Uuid;
use webauthn::AuthenticatorAttachment;

use super::{
    fields::Members,
    keys::{self, Encoding, PublicKey},
    lines::{Entries, Entry, begin, lines},
};
use crate::{DeviceId, UserId, imported::Imported, users::ExternalId};

/// A credential of a file.
#[derive(Clone, Debug)]
pub(crate) struct CredentialRecord {
    /// One of `external_id` and `user_id` is there.
    pub(crate) external_id: Option<String>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) credential_id: Vec<u8>,
    pub(crate) device_id: Option<DeviceId>,
    pub(crate) rp_id: Option<String>,
    /// Nothing: the credential cannot be used.
    pub(crate) public_key: Option<PublicKey>,
    pub(crate) sign_count: u32,
    pub(crate) aaguid: [u8; 16],
    pub(crate) transports: Vec<String>,
    pub(crate) backup_eligible: Option<bool>,
    pub(crate) backed_up: bool,
    pub(crate) requires_user_verification: bool,
    pub(crate) attachment: Option<AuthenticatorAttachment>,
    pub(crate) user_agent: String,
    pub(crate) usage_count: i64,
    pub(crate) created_at_ms: Option<i64>,
    pub(crate) updated_at_ms: Option<i64>,
    pub(crate) last_login_at_ms: Option<i64>,
    pub(crate) imported: Imported,
    /// The members as they were given, without whose it is, its id and RP ID;
    /// kept of a credential without a key.
    pub(crate) facts: Map<String, Value>,
}

/// The credentials of a file; ids and handles in it are written in `encoding`.
pub(crate) fn read<'a>(
    input: Box<dyn BufRead + 'a>,
    encoding: Encoding,
) -> io::Result<Entries<'a, CredentialRecord>> {
    let (begun, input) = begin(input)?;
    let input = Box::new(Cursor::new(begun).chain(input));
    Ok(Box::new(lines(input).map(move |entry| {
        entry.map(|Entry { line, record }| Entry {
            line,
            record: record.and_then(|text| credential(&text, encoding)),
        })
    })))
}

fn credential(text: &str, encoding: Encoding) -> Result<CredentialRecord, String> {
    let mut members = Members::parse(text)?;
    for (other, name) in [("cred_id", "credential_id"), ("backed_up", "backup_state")] {
        members.rename(other, name)?;
    }
    let bytes = |name: &str, bytes_max: usize| -> Result<Option<Vec<u8>>, String> {
        let Some(text) = members.text(name)? else {
            return Ok(None);
        };
        match encoding.decode(&text) {
            Some(bytes) if (1..=bytes_max).contains(&bytes.len()) => Ok(Some(bytes)),
            Some(_) => Err(format!("{name} is not of 1 to {bytes_max} bytes")),
            None => Err(match encoding {
                Encoding::Base64 => format!("{name} is not base64url or base64"),
                Encoding::Hex => format!("{name} is not hexadecimal"),
            }),
        }
    };
    let external_id = members
        .text("external_id")?
        .map(|text| ExternalId::parse(&text).map_err(|refusal| refusal.to_string()))
        .transpose()?
        .map(|id| id.as_str().to_owned());
    let user_id = members
        .text("user_id")?
        .map(|text| UserId::parse(&text).ok_or("user_id has more than 64 bytes or a NUL"))
        .transpose()?;
    if external_id.is_none() && user_id.is_none() {
        return Err("external_id and user_id are both missing".into());
    }
    let backup_eligible = members.flag("backup_eligible")?;
    let backed_up = members.flag("backup_state")?;
    if (backup_eligible, backed_up) == (Some(false), Some(true)) {
        return Err("backup_state is true although backup_eligible is false".into());
    }
    let user_agent = members.text("user_agent")?.unwrap_or_default();
    if user_agent.contains('\0') {
        return Err("user_agent has a NUL".into());
    }
    let sign_count = members.count("sign_count", u32::MAX.into())?;
    let user_handle = bytes("user_handle", USER_HANDLE_BYTES_MAX)?
        .map(|bytes| BASE64_URL_SAFE_NO_PAD.encode(bytes));
    Ok(CredentialRecord {
        external_id,
        user_id,
        credential_id: bytes("credential_id", CREDENTIAL_ID_BYTES_MAX)?
            .ok_or("credential_id is missing")?,
        device_id: members
            .text("device_id")?
            .map(|text| DeviceId::parse(&text).ok_or("device_id has more than 64 bytes or a NUL"))
            .transpose()?,
        rp_id: members.text("rp_id")?,
        public_key: members.get("public_key").map(keys::read).transpose()?,
        sign_count: u32::try_from(sign_count.unwrap_or_default()).unwrap_or(u32::MAX),
        aaguid: members
            .text("aaguid")?
            .map(|text| Uuid::try_parse(text.trim()).map_err(|_| "aaguid is not a UUID"))
            .transpose()?
            .unwrap_or_default()
            .into_bytes(),
        transports: members.texts("transports")?,
        // What is synced can be.
        backup_eligible: backup_eligible.or(backed_up.filter(|backed_up| *backed_up)),
        backed_up: backed_up.unwrap_or_default(),
        requires_user_verification: members
            .flag("requires_user_verification")?
            .unwrap_or_default(),
        attachment: members.hint("attachment"),
        user_agent,
        usage_count: members
            .count("usage_count", i32::MAX.into())?
            .unwrap_or_default(),
        created_at_ms: members.time_ms("created_at")?,
        updated_at_ms: members.time_ms("updated_at")?,
        last_login_at_ms: members.last_login_at_ms()?,
        imported: Imported {
            user_handle: user_handle.clone(),
            friendly_name: members
                .text("friendly_name")?
                .map(|name| name.chars().take(FRIENDLY_NAME_CHARACTERS_MAX).collect()),
            device_type: members.hint("type"),
        },
        facts: facts(members, user_handle),
    })
}

fn facts(mut members: Members, user_handle: Option<String>) -> Map<String, Value> {
    members
        .0
        .retain(|name, value| FACTS.contains(&name.as_str()) && !value.is_null());
    if let Some(user_handle) = user_handle {
        members.0.insert("user_handle".into(), user_handle.into());
    }
    members.0
}

/// What is kept of a credential without a key.
const FACTS: &[&str] = &[
    "aaguid",
    "attachment",
    "backup_eligible",
    "backup_state",
    "created_at",
    "device_id",
    "friendly_name",
    "last_login_at",
    "sign_count",
    "transports",
    "type",
    "updated_at",
    "usage_count",
    "user_agent",
    "user_handle",
];

/// [Section 4](https://www.w3.org/TR/webauthn-3/#credential-id).
const CREDENTIAL_ID_BYTES_MAX: usize = 1023;

/// [Section 5.4.3](https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialuserentity).
const USER_HANDLE_BYTES_MAX: usize = 64;

const FRIENDLY_NAME_CHARACTERS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use webauthn::{Algorithm, forge::SigningKey};

    use super::*;
    use crate::DeviceType;

    fn parse(line: &Value) -> Result<CredentialRecord, String> {
        credential(&line.to_string(), Encoding::Base64)
    }

    #[test]
    fn the_least_that_a_line_may_say_leaves_the_rest_unknown() {
        let key = SigningKey::from_seed(Algorithm::Es256, "ann");
        let cose = key.cose_key().encode();
        let read = parse(&json!({
            "external_id": "ann",
            "credential_id": "AQID",
            "public_key": hex::encode(&cose),
        }))
        .unwrap();
        assert_eq!(read.credential_id, [1, 2, 3]);
        assert_eq!(read.public_key.unwrap().cose, cose);
        assert_eq!((read.backup_eligible, read.backed_up), (None, false));
        assert_eq!((read.sign_count, read.aaguid), (0, [0; 16]));
        assert_eq!(read.imported, Imported::default());
    }

    #[test]
    fn everything_that_a_line_may_say_is_read() {
        let line = json!({
            "user_id": "u1",
            "device_id": "d1",
            "cred_id": "+/8=",
            "rp_id": "example.com",
            "sign_count": 7,
            "aaguid": "d548826e-79b4-db40-a3d8-11116f7e8349",
            "transports": ["usb"],
            "backed_up": true,
            "requires_user_verification": true,
            "attachment": "cross-platform",
            "friendly_name": "Key",
            "type": "passkey",
            "usage_count": 3,
            "created_at": "2024-08-20T00:20:47Z",
            "last_login_at": 1724113248,
            "user_handle": "aGFuZGxl",
            "icons": {"light": null},
        });
        let read = parse(&line).unwrap();
        assert_eq!(read.user_id.unwrap().as_str(), "u1");
        assert_eq!(read.device_id.unwrap().as_str(), "d1");
        assert_eq!(read.credential_id, [0xfb, 0xff]);
        assert_eq!(read.rp_id.as_deref(), Some("example.com"));
        assert!(read.public_key.is_none());
        assert_eq!((read.sign_count, read.usage_count), (7, 3));
        assert_eq!(read.aaguid[..2], [0xd5, 0x48]);
        assert_eq!(read.transports, ["usb"]);
        assert_eq!((read.backup_eligible, read.backed_up), (Some(true), true));
        assert!(read.requires_user_verification);
        assert_eq!(
            read.attachment,
            Some(AuthenticatorAttachment::CrossPlatform)
        );
        assert_eq!(read.created_at_ms, Some(1_724_113_247_000));
        assert_eq!(read.last_login_at_ms, Some(1_724_113_248_000));
        assert_eq!(
            read.imported,
            Imported {
                user_handle: Some("aGFuZGxl".into()),
                friendly_name: Some("Key".into()),
                device_type: Some(DeviceType::Passkey),
            }
        );
        assert!(read.facts.contains_key("usage_count") && read.facts.contains_key("backup_state"));
        assert!(!read.facts.contains_key("user_id") && !read.facts.contains_key("icons"));
    }

    #[test]
    fn a_line_that_cannot_be_meant_is_refused_with_a_reason() {
        let good = json!({"external_id": "ann", "credential_id": "AQID"});
        parse(&good).unwrap();
        for (name, wrong, reason) in [
            ("external_id", json!(null), "both missing"),
            ("external_id", json!(["a"]), "external_id"),
            ("external_id", json!("a\0"), "NUL"),
            ("credential_id", json!(""), "credential_id is missing"),
            ("credential_id", json!("A!"), "base64"),
            ("credential_id", json!("A".repeat(1368)), "1023"),
            ("user_handle", json!("A".repeat(88)), "64"),
            ("public_key", json!("AQID"), "neither COSE nor SPKI"),
            ("sign_count", json!(-1), "sign_count"),
            ("sign_count", json!(4_294_967_296_u64), "sign_count"),
            ("aaguid", json!("x"), "aaguid"),
            ("transports", json!("usb"), "transports"),
            ("backup_eligible", json!("yes"), "backup_eligible"),
            ("created_at", json!("soon"), "created_at"),
            ("device_id", json!("d".repeat(65)), "device_id"),
        ] {
            let mut line = good.clone();
            line[name] = wrong;
            let error = parse(&line).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
        let mut line = good.clone();
        line["cred_id"] = json!("BAUG");
        assert_eq!(
            parse(&line).unwrap_err(),
            "cred_id and credential_id are both there and differ"
        );
        let mut line = good;
        line["backup_eligible"] = json!(false);
        line["backup_state"] = json!(true);
        assert!(parse(&line).unwrap_err().contains("backup_state"));
    }

    #[test]
    fn hex_is_read_when_it_was_announced() {
        let line = r#"{"external_id": "ann", "credential_id": "0aFF", "user_handle": "6869"}"#;
        let read = credential(line, Encoding::Hex).unwrap();
        assert_eq!(read.credential_id, [0x0a, 0xff]);
        assert_eq!(read.imported.user_handle.as_deref(), Some("aGk"));
        let wrong = r#"{"external_id": "ann", "credential_id": "AQID-_"}"#;
        assert!(credential(wrong, Encoding::Hex).is_err());
    }
}
