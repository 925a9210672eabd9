//! Native apps on phones and computers that may use an app's passkeys, as their
//! stores and signatures know them (passkey-flex section e).
//!
//! They are stored with their app; `association` tells the platforms about them.

use std::{fmt, str::FromStr};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AppId, Failure, NativeClientId, Passkeys, Refusal, app_settings::without_repeats};

/// A native app that belongs to an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NativeClient {
    /// Identifies it.
    pub id: NativeClientId,
    /// What the platform knows it by.
    #[serde(flatten)]
    pub software: NativeSoftware,
    /// When it was added.
    pub created_at_ms: i64,
}

/// A native app, as its platform knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "platform", rename_all = "lowercase")]
pub enum NativeSoftware {
    /// For Android.
    Android {
        /// Its name in the store, such as `com.example.app`.
        #[schema(
            max_length = 255,
            pattern = r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$"
        )]
        package_name: String,
        /// Of the certificates it is signed with, 1 to 16.
        #[schema(min_items = 1, max_items = 16)]
        sha256_cert_fingerprints: Vec<Fingerprint>,
    },
    /// For Apple's platforms.
    Apple {
        /// The App ID prefix: 10 capital letters and digits.
        #[schema(pattern = "^[A-Z0-9]{10}$")]
        team_id: String,
        /// Such as `com.example.app`.
        #[schema(max_length = 255, pattern = r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$")]
        bundle_id: String,
    },
}

/// The SHA-256 of a signing certificate. Written `AA:BB:…`; read in that form or
/// as plain hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(into = "String", try_from = "String")]
#[schema(
    value_type = String,
    pattern = "^([0-9A-Fa-f]{64}|([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2})$"
)]
pub struct Fingerprint([u8; 32]);

/// The text is no SHA-256 fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 32 bytes, written AA:BB:… or as 64 hexadecimal digits")]
pub struct FingerprintError;

impl Passkeys {
    /// Adds a native app to an app, which has at most 100 of them. Refuses one
    /// that is there already, whatever its fingerprints.
    pub async fn create_native_client(
        &self,
        app_id: &AppId,
        software: NativeSoftware,
    ) -> Result<NativeClient, Failure> {
        let client = NativeClient {
            id: NativeClientId::random(&self.platform.entropy),
            software: software.checked()?,
            created_at_ms: self.platform.clock.now_ms(),
        };
        let added = client.clone();
        self.change_app(app_id, false, move |app| {
            let clients = &mut app.native_clients;
            if clients
                .iter()
                .any(|known| known.software.is_same(&added.software))
            {
                return Err(Refusal::NativeClientAlreadyExists);
            }
            if clients.len() >= CLIENTS_MAX {
                return Err(Refusal::InvalidRequest(format!(
                    "An app has at most {CLIENTS_MAX} native clients."
                )));
            }
            clients.push(added.clone());
            Ok(())
        })
        .await?;
        Ok(client)
    }

    /// Takes a native app from an app: what it signs is refused from now on.
    pub async fn delete_native_client(
        &self,
        app_id: &AppId,
        id: &NativeClientId,
    ) -> Result<(), Failure> {
        let id = id.clone();
        self.change_app(app_id, false, move |app| {
            let clients = &mut app.native_clients;
            let at = clients.iter().position(|client| client.id == id);
            clients.remove(at.ok_or(Refusal::NativeClientNotFound)?);
            Ok(())
        })
        .await?;
        Ok(())
    }
}

impl NativeSoftware {
    /// The origins that it signs on its own. On Apple's platforms that is the
    /// one of the RP ID, which every app has.
    pub(crate) fn origins(&self) -> impl Iterator<Item = String> {
        let fingerprints = match self {
            NativeSoftware::Android {
                sha256_cert_fingerprints,
                ..
            } => &sha256_cert_fingerprints[..],
            NativeSoftware::Apple { .. } => &[],
        };
        fingerprints.iter().map(Fingerprint::origin)
    }

    fn checked(self) -> Result<NativeSoftware, Refusal> {
        let refused = |text: String| Err(Refusal::InvalidRequest(text));
        match self {
            NativeSoftware::Android {
                package_name,
                sha256_cert_fingerprints,
            } => {
                if !is_package_name(&package_name) {
                    return refused(format!(
                        "package_name {package_name:?} is not the name of an Android app, such as \
                         com.example.app."
                    ));
                }
                let fingerprints = without_repeats(sha256_cert_fingerprints);
                if !(1..=FINGERPRINTS_MAX).contains(&fingerprints.len()) {
                    return refused(format!(
                        "sha256_cert_fingerprints must have 1 to {FINGERPRINTS_MAX} entries."
                    ));
                }
                Ok(NativeSoftware::Android {
                    package_name,
                    sha256_cert_fingerprints: fingerprints,
                })
            }
            NativeSoftware::Apple { team_id, bundle_id } => {
                let is_team_id = team_id.len() == TEAM_ID_LENGTH
                    && team_id
                        .bytes()
                        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                if !is_team_id {
                    return refused(format!(
                        "team_id {team_id:?} is not the id of an Apple team: \
                         {TEAM_ID_LENGTH} capital letters and digits."
                    ));
                }
                if !is_bundle_id(&bundle_id) {
                    return refused(format!(
                        "bundle_id {bundle_id:?} is not the bundle id of an app, such as \
                         com.example.app."
                    ));
                }
                Ok(NativeSoftware::Apple { team_id, bundle_id })
            }
        }
    }

    /// Whether both are the same app to the platform.
    fn is_same(&self, other: &NativeSoftware) -> bool {
        match (self, other) {
            (
                NativeSoftware::Android { package_name, .. },
                NativeSoftware::Android {
                    package_name: other,
                    ..
                },
            ) => package_name == other,
            _ => self == other,
        }
    }
}

impl Fingerprint {
    /// The origin that Android signs for an app with this certificate
    /// (passkey-flex section c.7).
    fn origin(&self) -> String {
        format!(
            "android:apk-key-hash:{}",
            BASE64_URL_SAFE_NO_PAD.encode(self.0)
        )
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Fingerprint, FingerprintError> {
        let digits = match text.len() == WITH_COLONS_LENGTH {
            true => text
                .split(':')
                .map(|byte| (byte.len() == 2).then_some(byte))
                .collect::<Option<String>>()
                .ok_or(FingerprintError)?,
            false => text.to_owned(),
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| FingerprintError)?;
        Ok(Fingerprint(bytes))
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(text: String) -> Result<Fingerprint, FingerprintError> {
        text.parse()
    }
}

/// Two parts or more between dots, each a letter with letters, digits and `_`.
fn is_package_name(text: &str) -> bool {
    let is_part = |part: &str| {
        part.bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.len() <= NAME_BYTES_MAX && text.contains('.') && text.split('.').all(is_part)
}

/// Letters, digits, `-` and dots, none of them at an end or beside another.
fn is_bundle_id(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= NAME_BYTES_MAX && text.split('.').all(is_part)
}

const CLIENTS_MAX: usize = 100;
const FINGERPRINTS_MAX: usize = 16;
const TEAM_ID_LENGTH: usize = 10;
const NAME_BYTES_MAX: usize = 255;
/// 32 times two digits, and the colons between.
const WITH_COLONS_LENGTH: usize = 32 * 3 - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn android(package_name: &str, fingerprints: Vec<Fingerprint>) -> NativeSoftware {
        NativeSoftware::Android {
            package_name: package_name.into(),
            sha256_cert_fingerprints: fingerprints,
        }
    }

    fn apple(team_id: &str, bundle_id: &str) -> NativeSoftware {
        NativeSoftware::Apple {
            team_id: team_id.into(),
            bundle_id: bundle_id.into(),
        }
    }

    #[test]
    fn a_fingerprint_is_written_in_one_form_and_read_in_two() {
        let colons = format!("{}FF", "0A:".repeat(31));
        let fingerprint: Fingerprint = colons.parse().unwrap();
        assert_eq!(fingerprint.to_string(), colons);
        for text in [colons.to_lowercase(), colons.replace(':', "")] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
        for text in [
            String::new(),
            "AA:BB".into(),
            colons[3..].into(),
            format!("{colons}:00"),
            colons.replace("0A:0A", "0A::0A"),
            colons.replace("0A:0A", "0A0:A"),
            colons.replacen(':', ";", 1),
            colons.replace("FF", "FG"),
            "ä".repeat(32),
            colons.replace(":", "")[1..].into(),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text}");
        }
    }

    #[test]
    fn only_android_apps_have_origins_of_their_own() {
        // The hash of no bytes, for which base64url is known.
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let client = android("com.example.app", vec![empty.parse().unwrap()]);
        let origins: Vec<String> = client.origins().collect();
        assert_eq!(
            origins,
            ["android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"]
        );
        assert_eq!(apple("TEAMID1234", "com.example.app").origins().count(), 0);
    }

    #[test]
    fn names_that_no_platform_has_are_refused() {
        let one = vec![Fingerprint([1; 32])];
        for software in [
            android("com.example.app", one.clone()),
            android("a.B_2", one.clone()),
            apple("TEAMID1234", "com.example.my-app"),
            apple("TEAMID1234", "App"),
        ] {
            assert_eq!(software.clone().checked(), Ok(software));
        }
        let many = (0..17).map(|byte| Fingerprint([byte; 32])).collect();
        for (software, member) in [
            (android("", one.clone()), "package_name"),
            (android("app", one.clone()), "package_name"),
            (android("com..app", one.clone()), "package_name"),
            (android("com.2app", one.clone()), "package_name"),
            (android("com.example.app\0", one.clone()), "package_name"),
            (
                android(&format!("a.{}", "a".repeat(254)), one),
                "package_name",
            ),
            (android("com.example.app", vec![]), "sha256"),
            (android("com.example.app", many), "sha256"),
            (apple("", "com.example.app"), "team_id"),
            (apple("teamid1234", "com.example.app"), "team_id"),
            (apple("TEAMID12345", "com.example.app"), "team_id"),
            (apple("TEAMID1234", ""), "bundle_id"),
            (apple("TEAMID1234", "com.example."), "bundle_id"),
            (apple("TEAMID1234", "com.*"), "bundle_id"),
        ] {
            let text = software.checked().unwrap_err().to_string();
            assert!(text.contains(member), "{text}");
        }
    }
}
