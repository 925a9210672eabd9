//! What another system said about a credential beside what verifies it, and
//! which user handles its authenticator may therefore send. Pure.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use webauthn::user_handle_matches;

use crate::{DeviceType, UserId};

/// What an import said about a credential; stored as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The user handle that the authenticator keeps, base64url; nothing when the import did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<String>,
    /// What people called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friendly_name: Option<String>,
    /// Its kind, for as long as nobody knows whether it can be synced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_type: Option<DeviceType>,
}

impl Imported {
    /// Whether `sent`, as the client sent it, may be the handle of this
    /// credential of the user `user_id` (passkey-flex section c.6, rule 2).
    ///
    /// An authenticator whose handle nobody wrote down may send any: the
    /// signature and the credential id decide.
    pub(crate) fn accepts_user_handle(&self, user_id: &UserId, sent: &str) -> bool {
        let Some(handle) = &self.user_handle else {
            return true;
        };
        if user_handle_matches(user_id.as_str(), sent) {
            return true;
        }
        // The forms of c.6, of a handle that need not be a text.
        sent == handle
            || sent == BASE64_URL_SAFE_NO_PAD.encode(handle)
            || BASE64_URL_SAFE_NO_PAD
                .decode(handle)
                .is_ok_and(|bytes| bytes == sent.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_handle_is_accepted_in_every_form_and_no_other() {
        let user_id = UserId::parse("passage-user").unwrap();
        let handle = BASE64_URL_SAFE_NO_PAD.encode("handle");
        let imported = Imported {
            user_handle: Some(handle.clone()),
            ..Imported::default()
        };
        let of_user_id = BASE64_URL_SAFE_NO_PAD.encode("passage-user");
        for sent in [
            "handle",
            &handle,
            &BASE64_URL_SAFE_NO_PAD.encode(&handle),
            "passage-user",
            &of_user_id,
        ] {
            assert!(imported.accepts_user_handle(&user_id, sent), "{sent}");
        }
        for sent in ["", "Handle", "handle2", "other"] {
            assert!(!imported.accepts_user_handle(&user_id, sent), "{sent}");
        }
    }

    #[test]
    fn an_unknown_handle_may_be_any() {
        let user_id = UserId::parse("passage-user").unwrap();
        assert!(Imported::default().accepts_user_handle(&user_id, "whatever"));
    }

    #[test]
    fn what_was_not_said_is_not_stored() {
        assert_eq!(crate::stored::json(Imported::default()), "{}");
    }
}
