//! Ids of this product's records: texts of 24 ASCII letters and digits, drawn at
//! random. One type each, so that a user's id never stands where an app's belongs.

use std::fmt;

use platform::{Entropy, Value, db::FromValue};
use serde::{Deserialize, Serialize};

const LENGTH: usize = 24;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A fresh id.
            pub(crate) fn random(entropy: &Entropy) -> $name {
                $name(entropy.alphanumeric(LENGTH))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&$name> for Value {
            fn from(id: &$name) -> Value {
                Value::Text(id.0.clone())
            }
        }

        impl FromValue for $name {
            fn from_value(value: Value) -> Option<$name> {
                String::from_value(value).map($name)
            }
        }
    )*};
}

/// Ids that arrive from outside and are always of our making.
macro_rules! ids_from_outside {
    ($($name:ident)*) => {$(
        impl $name {
            /// Reads an id; nothing when the text cannot be one. Whether it
            /// belongs to something is another question.
            pub fn parse(text: &str) -> Option<$name> {
                let well_formed =
                    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
                well_formed.then(|| $name(text.to_owned()))
            }
        }
    )*};
}

ids! {
    /// Public identifier of an app; part of every path.
    AppId;
    /// Identifies an API key to people; not part of the secret.
    ApiKeyId;
    /// Identifies a native client of an app.
    NativeClientId;
    /// Our own id of a user, also the content of the user handle.
    UserId;
    /// Id of a device; distinct from its credential id.
    DeviceId;
    /// Names a transaction, and is the authority to run its ceremony.
    TransactionId;
    /// Names one run of a ceremony.
    HandshakeId;
    /// Identifies an event, and its delivery to a webhook.
    EventId;
    /// Identifies a webhook.
    WebhookId;
}

ids_from_outside! {
    AppId ApiKeyId NativeClientId TransactionId HandshakeId EventId WebhookId
}

/// Ids that arrive from outside and may have been imported: any text of 1 to 64 bytes.
macro_rules! ids_of_any_form {
    ($($name:ident)*) => {$(
        impl $name {
            /// Reads an id; nothing when the text cannot be one. Whether it
            /// belongs to something is another question.
            pub fn parse(text: &str) -> Option<$name> {
                // PostgreSQL holds no NUL in a text.
                let well_formed =
                    (1..=ANY_FORM_BYTES_MAX).contains(&text.len()) && !text.contains('\0');
                well_formed.then(|| $name(text.to_owned()))
            }
        }
    )*};
}

ids_of_any_form! { UserId DeviceId }

/// The event of a ceremony has the id of its handshake, so that a finish finds it.
impl From<&HandshakeId> for EventId {
    fn from(id: &HandshakeId) -> EventId {
        EventId(id.0.clone())
    }
}

const ANY_FORM_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_24_letters_and_digits_are_an_id() {
        let id = TransactionId::random(&Entropy::seeded(1));
        assert_eq!(TransactionId::parse(id.as_str()), Some(id));
        for text in [
            "",
            "abc",
            "aaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaaaa",
            "aaaaaaaaaaaaaaaaaaaaaaa\0",
            "aaaaaaaaaaaaaaaaaaaaaaa ",
            "aaaaaaaaaaaaaaaaaaaaaa-_",
            "ääääääääääää",
        ] {
            assert_eq!(TransactionId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_imported_id_has_1_to_64_bytes_and_no_nul() {
        for text in ["a", "dev/1", "ä b", &"a".repeat(64)] {
            assert_eq!(UserId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a\0", &"a".repeat(65), &"ä".repeat(33)] {
            assert_eq!(UserId::parse(text), None, "{text:?}");
        }
    }
}
