//! Signatures of messages, by the Standard Webhooks specification 1.0: HMAC-SHA-256
//! over id, time and body, so that a receiver knows who sent a message, that nobody
//! changed it, and when it was sent.

use aws_lc_rs::hmac;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use platform::Entropy;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

/// The key of a webhook's signatures.
#[derive(Clone, Debug)]
pub(crate) struct SigningKey(SecretSlice<u8>);

impl SigningKey {
    /// A fresh one.
    pub(crate) fn random(entropy: &Entropy) -> SigningKey {
        SigningKey(entropy.bytes::<32>().to_vec().into())
    }

    /// What [`SigningKey::as_bytes`] gave.
    pub(crate) fn from_bytes(bytes: &[u8]) -> SigningKey {
        SigningKey(bytes.to_vec().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// As receivers configure it: `whsec_` and the base64 of the key.
    pub(crate) fn to_text(&self) -> SecretString {
        SecretString::from(format!(
            "{PREFIX}{}",
            BASE64_STANDARD.encode(self.as_bytes())
        ))
    }

    /// The signature of one attempt at a message; `id` has no dot.
    fn sign(&self, id: &str, timestamp_s: i64, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for piece in [id, ".", &timestamp_s.to_string(), ".", body] {
            context.update(piece.as_bytes());
        }
        format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
    }
}

/// The value of the header `webhook-signature`: one signature by each key, so
/// that a receiver may still know the previous one.
pub(crate) fn header(keys: &[SigningKey], id: &str, timestamp_s: i64, body: &str) -> String {
    let signatures: Vec<String> = keys
        .iter()
        .map(|key| key.sign(id, timestamp_s, body))
        .collect();
    signatures.join(" ")
}

const PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let key = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let signature = SigningKey::from_bytes(&key).sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_key_signs_on_its_own() {
        let entropy = Entropy::seeded(1);
        let keys = [(); 2].map(|()| SigningKey::random(&entropy));
        let both = header(&keys, "id", 1, "{}");
        let each: Vec<String> = keys
            .chunks(1)
            .map(|key| header(key, "id", 1, "{}"))
            .collect();
        assert_ne!(each[0], each[1]);
        assert_eq!(both, each.join(" "));
    }

    #[test]
    fn a_key_is_shown_as_text_and_in_no_log() {
        let key = SigningKey::from_bytes(&[7; 32]);
        assert_eq!(
            key.to_text().expose_secret(),
            "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
        );
        assert!(!format!("{key:?}").contains('7'));
    }
}
