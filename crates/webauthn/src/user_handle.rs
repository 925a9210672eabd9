//! The user handle: what authenticators keep of the user, and the forms in which clients send it back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

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
