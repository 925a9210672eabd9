//! Ids of this product's records: texts of 24 ASCII letters and digits, drawn at
//! random, or begun by the time where many are made. One type each, so that a user's id never stands where an app's belongs.

use std::fmt;

use platform::{Entropy, Value, db::FromValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const LENGTH: usize = 24;

macro_rules! id_types {
    ($($(#[$attribute:meta])* $name:ident;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        $(#[$attribute])*
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
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

/// Ids that are drawn at random.
macro_rules! ids {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        id_types! { $($(#[$attribute])* $name;)* }
        $(impl $name {
            /// A fresh id.
            pub(crate) fn random(entropy: &Entropy) -> $name {
                $name(entropy.alphanumeric(LENGTH))
            }
        })*
    };
}

/// Ids of which many are made. They begin with the time, so that those of one
/// moment are neighbors in every index: a commit then writes one page for all
/// of them instead of one for each (decision 7).
macro_rules! ids_by_time {
    ($($(#[$attribute:meta])* $name:ident;)*) => {
        id_types! { $($(#[$attribute])* $name;)* }
        $(impl $name {
            /// A fresh id. Its 17 random characters have 101 bits.
            pub(crate) fn random_at(entropy: &Entropy, now_ms: i64) -> $name {
                let mut id = time_text(now_ms);
                id.push_str(&entropy.alphanumeric(LENGTH - TIME_LENGTH));
                $name(id)
            }
        })*
    };
}

/// The time in [`TIME_LENGTH`] letters and digits that sort as it does. In 2081
/// the order begins anew; nothing depends on it.
fn time_text(now_ms: i64) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = now_ms.unsigned_abs();
    let mut digits = [0; TIME_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

const TIME_LENGTH: usize = 7;

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
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    AppId;
    /// Identifies an API key to people; not part of the secret.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    ApiKeyId;
    /// Identifies a native client of an app.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    NativeClientId;
    /// Identifies a webhook.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    WebhookId;
}

ids_by_time! {
    /// Our own id of a user, also the content of the user handle.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\x00]+$")]
    UserId;
    /// Id of a device; distinct from its credential id.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\x00]+$")]
    DeviceId;
    /// Names a transaction, and is the authority to run its ceremony.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    TransactionId;
    /// Names one run of a ceremony.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    HandshakeId;
    /// Identifies an event, and its delivery to a webhook.
    #[schema(pattern = "^[A-Za-z0-9]{24}$")]
    EventId;
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

impl HandshakeId {
    /// Stands for a text that is no id: well-formed, and nobody's.
    pub(crate) fn never_issued() -> HandshakeId {
        HandshakeId("0".repeat(LENGTH))
    }
}

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
        let id = TransactionId::random_at(&Entropy::seeded(1), 0);
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
    fn ids_begun_by_the_time_sort_by_it_and_differ_within_it() {
        let entropy = Entropy::seeded(1);
        let at = |now_ms| TransactionId::random_at(&entropy, now_ms);
        let now_ms = 1_800_000_000_000;
        assert!(at(now_ms).as_str() < at(now_ms + 1).as_str());
        assert!(at(now_ms).as_str() < at(now_ms * 3 / 2).as_str());
        assert_ne!(at(now_ms), at(now_ms));
        assert!(TransactionId::parse(at(now_ms).as_str()).is_some());
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
