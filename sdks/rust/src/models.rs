//! What the service tells about users, devices and finished ceremonies. How to ask is in `users` and `auth`.
//!
//! Names are Passage's. New members of an answer are ignored; a new value of an enumeration is kept as `Other`. Times are
//! RFC 3339 in UTC, as sent: `2026-01-16T09:30:00.000000Z`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A finished ceremony, as its nonce proves it. Names are the service's own; Passage told the external id only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VerifiedNonce {
    /// Your own identifier of the user who did it.
    pub external_id: String,
    /// Which ceremony it was.
    pub r#type: CeremonyType,
    /// The transaction it was permitted by; `None` if it had none, so that anybody of the app may have done it.
    pub transaction_id: Option<String>,
    /// The device that was registered or used: its `id`, not its `cred_id`.
    pub device_id: String,
    /// Whether the authenticator made sure of the person (fingerprint, face, PIN), and not only that somebody was there.
    pub user_verified: bool,
    /// When it was finished, by the service's clock.
    pub authenticated_at: String,
}

/// The kind of a ceremony.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CeremonyType {
    /// A device was registered.
    Register,
    /// A device was used.
    Authenticate,
    /// A value that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl CeremonyType {
    /// The value as sent.
    pub fn as_str(&self) -> &str {
        match self {
            CeremonyType::Register => "register",
            CeremonyType::Authenticate => "authenticate",
            CeremonyType::Other(value) => value,
        }
    }
}

impl fmt::Display for CeremonyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A user of the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PassageUser {
    /// When the user came to be.
    pub created_at: String,
    /// Your own identifier of the user.
    pub external_id: String,
    /// The service's identifier of the user.
    pub id: String,
    /// When the user last signed in; `created_at` until the first time.
    pub last_login_at: String,
    /// How often the user signed in.
    pub login_count: i32,
    /// Whether the user may sign in.
    pub status: UserStatus,
    /// When the user last changed.
    pub updated_at: String,
    /// Always `None` for users of Claviger.
    pub user_metadata: Option<serde_json::Value>,
    /// Whether the user has a device.
    pub webauthn: bool,
    /// The user's devices, as [`User::list_devices`](crate::User::list_devices) lists them.
    pub webauthn_devices: Vec<WebAuthnDevices>,
    /// The kinds of the user's devices, each once.
    pub webauthn_types: Vec<WebAuthnType>,
}

/// One device: a passkey that the user registered. The plural is Passage's name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebAuthnDevices {
    /// When it was registered.
    pub created_at: String,
    /// The WebAuthn credential id, base64url without padding.
    pub cred_id: String,
    /// A name a person recognizes.
    pub friendly_name: String,
    /// What [`User::revoke_device`](crate::User::revoke_device) takes.
    pub id: String,
    /// When it was last used; `created_at` until the first time.
    pub last_login_at: String,
    /// Its kind.
    pub r#type: WebAuthnType,
    /// When it last changed.
    pub updated_at: String,
    /// How often the user signed in with it.
    pub usage_count: i32,
    /// The logo of the passkey's provider.
    pub icons: WebAuthnIcons,
}

/// The logo of a passkey's provider, as `data:` URLs, for light and dark backgrounds. `None` if the provider is not
/// known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WebAuthnIcons {
    /// For light backgrounds.
    pub light: Option<String>,
    /// For dark backgrounds.
    pub dark: Option<String>,
}

/// Whether a user may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UserStatus {
    /// Yes.
    Active,
    /// No: somebody deactivated the user.
    Inactive,
    /// Not yet: the first passkey is not registered.
    Pending,
    /// A value that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl UserStatus {
    /// The value as sent.
    pub fn as_str(&self) -> &str {
        match self {
            UserStatus::Active => "active",
            UserStatus::Inactive => "inactive",
            UserStatus::Pending => "pending",
            UserStatus::Other(value) => value,
        }
    }
}

impl fmt::Display for UserStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of a device.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WebAuthnType {
    /// May be synced between the user's machines.
    Passkey,
    /// Stays in a security key.
    SecurityKey,
    /// Stays in the machine it was made on.
    Platform,
    /// A value that this version does not know.
    #[serde(untagged)]
    Other(String),
}

impl WebAuthnType {
    /// The value as sent.
    pub fn as_str(&self) -> &str {
        match self {
            WebAuthnType::Passkey => "passkey",
            WebAuthnType::SecurityKey => "security_key",
            WebAuthnType::Platform => "platform",
            WebAuthnType::Other(value) => value,
        }
    }
}

impl fmt::Display for WebAuthnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_travels_as_its_name_and_an_unknown_one_unchanged() {
        for name in ["active", "inactive", "pending", "suspended"] {
            let json = format!("\"{name}\"");
            let status: UserStatus = serde_json::from_str(&json).expect("any text is a status");
            assert_eq!(status.as_str(), name);
            assert_eq!(serde_json::to_string(&status).expect("JSON"), json);
            assert_eq!(
                matches!(status, UserStatus::Other(_)),
                name == "suspended",
                "{name}"
            );
        }
        for name in ["register", "authenticate", "attest"] {
            let json = format!("\"{name}\"");
            let kind: CeremonyType = serde_json::from_str(&json).expect("any text is a type");
            assert_eq!(kind.as_str(), name);
            assert_eq!(serde_json::to_string(&kind).expect("JSON"), json);
            assert_eq!(
                matches!(kind, CeremonyType::Other(_)),
                name == "attest",
                "{name}"
            );
        }
        for name in ["passkey", "security_key", "platform", "ring"] {
            let json = format!("\"{name}\"");
            let kind: WebAuthnType = serde_json::from_str(&json).expect("any text is a type");
            assert_eq!(kind.as_str(), name);
            assert_eq!(serde_json::to_string(&kind).expect("JSON"), json);
            assert_eq!(
                matches!(kind, WebAuthnType::Other(_)),
                name == "ring",
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_text_is_not_a_value() {
        for json in ["null", "1", "{}", "[\"active\"]"] {
            assert!(serde_json::from_str::<UserStatus>(json).is_err(), "{json}");
            assert!(
                serde_json::from_str::<WebAuthnType>(json).is_err(),
                "{json}"
            );
            assert!(
                serde_json::from_str::<CeremonyType>(json).is_err(),
                "{json}"
            );
        }
    }
}
