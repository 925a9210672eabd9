//! The client data: what the browser or the platform says about the ceremony
//! ([section 5.8.1](https://www.w3.org/TR/webauthn-3/#dictdef-collectedclientdata)).
//!
//! Parsed as JSON, never compared as text: members may come in any order, with any white space and with company.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};

use crate::{Denial, RelyingParty};

/// The members of the client data that are looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, deserialize_with = "present")]
    cross_origin: Option<bool>,
    #[serde(default, deserialize_with = "present")]
    top_origin: Option<String>,
}

impl ClientData {
    /// Steps r5 and r6, a8 and a9: UTF-8, perhaps behind a byte order mark, and one JSON object.
    ///
    /// Stricter than the standard: bytes that are not UTF-8 are refused, not replaced, and so is a known member
    /// that comes twice, because two readers could see two different ceremonies in it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Denial> {
        let text = std::str::from_utf8(bytes).map_err(|_| Denial::ClientDataMalformed)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // serde would also read the members from an array, by position.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Denial::ClientDataMalformed);
        }
        let data: Self = serde_json::from_str(text).map_err(|_| Denial::ClientDataMalformed)?;
        if data.kind.is_empty() {
            return Err(Denial::ClientDataMalformed);
        }
        Ok(data)
    }

    /// Steps r7 and a10; `wanted` is `webauthn.create` or `webauthn.get`.
    pub(crate) fn check_type(&self, wanted: &str) -> Result<(), Denial> {
        if self.kind == wanted {
            Ok(())
        } else {
            Err(Denial::TypeWrong)
        }
    }

    /// Steps r8 and a11. Compared as the one text that is base64url of the bytes, so padding or spare bits differ.
    pub(crate) fn check_challenge(&self, challenge: &[u8]) -> Result<(), Denial> {
        if self.challenge == BASE64_URL_SAFE_NO_PAD.encode(challenge) {
            Ok(())
        } else {
            Err(Denial::ChallengeMismatch)
        }
    }

    /// Steps r9 and a12. Byte for byte: no suffix, case folding or default port can be played with.
    pub(crate) fn check_origin(&self, relying_party: &RelyingParty) -> Result<(), Denial> {
        if relying_party.origins.contains(&self.origin) {
            Ok(())
        } else {
            Err(Denial::OriginNotAllowed)
        }
    }

    /// Steps r10 and a13: a frame of another origin, only where the relying party may be embedded.
    pub(crate) fn check_cross_origin(&self, relying_party: &RelyingParty) -> Result<(), Denial> {
        if self.is_cross_origin() && relying_party.top_origins.is_none() {
            Err(Denial::CrossOriginNotAllowed)
        } else {
            Ok(())
        }
    }

    /// Steps r11 and a14: the page around the frame must be on the list.
    ///
    /// Stricter than the standard: an embedded ceremony that does not name the page around it is refused, since
    /// nothing would be left of the list.
    pub(crate) fn check_top_origin(&self, relying_party: &RelyingParty) -> Result<(), Denial> {
        let is_allowed = match (&self.top_origin, &relying_party.top_origins) {
            (Some(top_origin), Some(allowed)) => allowed.contains(top_origin),
            (Some(_), None) => false,
            (None, _) => !self.is_cross_origin(),
        };
        if is_allowed {
            Ok(())
        } else {
            Err(Denial::TopOriginNotAllowed)
        }
    }

    /// The origin as the client named it.
    pub(crate) fn into_origin(self) -> String {
        self.origin
    }

    fn is_cross_origin(&self) -> bool {
        self.cross_origin == Some(true)
    }
}

/// Steps r12 and a20: the hash that is signed, over the bytes as sent, byte order mark included.
pub(crate) fn hash(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes)
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

/// A member that may be missing, but may not be null.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
