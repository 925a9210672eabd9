//! The JSON around a response, as the client posts it: strict reading of the members both ceremonies share.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::Denial;

/// The members of a public key credential in JSON
/// ([section 5.1](https://www.w3.org/TR/webauthn-3/#iface-pkcredential)). Unknown members are ignored.
pub(crate) struct ResponseJson<'j> {
    pub(crate) credential_id: Vec<u8>,
    pub(crate) outer: &'j Map<String, Value>,
    pub(crate) inner: &'j Map<String, Value>,
}

impl<'j> ResponseJson<'j> {
    /// Reads `id`, `rawId`, `type` and `response`.
    ///
    /// `rawId` may be missing; when it is there it must be the same text, so that no two readers can take two
    /// different credentials from one response.
    pub(crate) fn read(json: &'j Value) -> Result<Self, Denial> {
        let outer = json.as_object().ok_or(Denial::RequestMalformed)?;
        let id = text(outer, "id")?;
        if member(outer, "rawId").is_some_and(|raw_id| raw_id != id) {
            return Err(Denial::RequestMalformed);
        }
        if text(outer, "type")? != "public-key" {
            return Err(Denial::RequestMalformed);
        }
        let inner = member(outer, "response")
            .and_then(Value::as_object)
            .ok_or(Denial::RequestMalformed)?;
        Ok(Self {
            credential_id: base64url(id)?,
            outer,
            inner,
        })
    }

    /// A member of `response` that must be base64url of at least one byte.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>, Denial> {
        let bytes = base64url(text(self.inner, name)?)?;
        if bytes.is_empty() {
            return Err(Denial::RequestMalformed);
        }
        Ok(bytes)
    }
}

/// A member that is there and not null: clients differ in which of the two means "none".
pub(crate) fn member<'j>(object: &'j Map<String, Value>, name: &str) -> Option<&'j Value> {
    object.get(name).filter(|value| !value.is_null())
}

/// Decodes base64url without padding, white space or spare bits: one text for one value.
pub(crate) fn base64url(text: &str) -> Result<Vec<u8>, Denial> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Denial::RequestMalformed)
}

fn text<'j>(object: &'j Map<String, Value>, name: &str) -> Result<&'j str, Denial> {
    member(object, name)
        .and_then(Value::as_str)
        .ok_or(Denial::RequestMalformed)
}
