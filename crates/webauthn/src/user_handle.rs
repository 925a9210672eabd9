//! The user handle: what authenticators keep of the user, and the forms in which clients send it back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::{Denial, response::base64url};

/// The `user.id` of the registration options for a user: base64url of the id's bytes, without padding.
///
/// `user_id` has 1 to 64 bytes and no personal data. Of ASCII letters and digits every client can read the handle as
/// text; of other bytes, in an id from elsewhere, some clients cannot.
pub fn encode_user_id(user_id: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(user_id)
}

/// Whether the handle a client sent is one of the forms of this user's.
///
/// Some clients store the text of `user.id` where others store the bytes it encodes, and some send text where
/// others send base64url; a synced passkey may be made on one and used on another. So with `X` the encoded id, the
/// id itself, `X` and base64url of `X` are all right, and nothing else.
pub fn user_handle_matches(user_id: &str, sent: &str) -> bool {
    let encoded = encode_user_id(user_id);
    sent == user_id || sent == encoded || sent == BASE64_URL_SAFE_NO_PAD.encode(&encoded)
}

/// Why a login is refused whose user handle, as `sent`, is that of nobody it could belong to: it is no handle at all
/// (webauthn-checks L07), or somebody else's (L10).
pub fn user_handle_fault(sent: &str) -> Denial {
    match base64url(sent) {
        Ok(handle) if handle.len() <= USER_HANDLE_BYTES_MAX => Denial::UserHandleMismatch,
        _ => Denial::RequestMalformed,
    }
}

/// [Section 5.4.3](https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialuserentity).
pub(crate) const USER_HANDLE_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const USER_ID: &str = "aB3dE6gH9jK2mN5pQ8sT1vW4";

    #[test]
    fn every_form_in_which_clients_send_a_handle_matches() {
        let encoded = BASE64_URL_SAFE_NO_PAD.encode(USER_ID);
        let twice = BASE64_URL_SAFE_NO_PAD.encode(&encoded);
        for sent in [USER_ID, &encoded, &twice] {
            assert!(user_handle_matches(USER_ID, sent), "{sent}");
        }
        assert_eq!(encode_user_id(USER_ID), encoded);
    }

    #[test]
    fn an_id_from_elsewhere_matches_as_text_even_if_it_is_no_base64url() {
        for user_id in [
            "ann@example.com",
            "user:1",
            "a1b2c",
            "abcdefghijklmnopqrstuV",
        ] {
            assert!(user_handle_matches(user_id, user_id), "{user_id}");
            assert!(
                user_handle_matches(user_id, &encode_user_id(user_id)),
                "{user_id}"
            );
        }
    }

    #[test]
    fn what_does_not_match_is_malformed_or_somebody_elses() {
        let of_bytes = |bytes: usize| "A".repeat((bytes * 4).div_ceil(3));
        for sent in ["AA", USER_ID, &of_bytes(64)] {
            assert_eq!(
                user_handle_fault(sent),
                Denial::UserHandleMismatch,
                "{sent}"
            );
        }
        for sent in ["a b", "AB==", "A", "AB", "ann@example.com", &of_bytes(65)] {
            assert_eq!(user_handle_fault(sent), Denial::RequestMalformed, "{sent}");
        }
    }

    #[test]
    fn no_other_text_matches() {
        let other = "aB3dE6gH9jK2mN5pQ8sT1vW5";
        let thrice =
            BASE64_URL_SAFE_NO_PAD.encode(BASE64_URL_SAFE_NO_PAD.encode(encode_user_id(USER_ID)));
        let padded = format!("{}=", encode_user_id(USER_ID));
        for sent in [
            "",
            other,
            &encode_user_id(other),
            &USER_ID.to_lowercase(),
            &USER_ID[..23],
            &thrice,
            &padded,
        ] {
            assert!(!user_handle_matches(USER_ID, sent), "{sent}");
        }
    }
}
