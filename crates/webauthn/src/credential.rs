//! What must be kept of a credential between its registration and its authentications
//! ([section 4, "credential record"](https://www.w3.org/TR/webauthn-3/#credential-record)).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::Algorithm;

/// A public key credential, as stored. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// The credential id: 1 to 1023 bytes.
    pub id: Vec<u8>,
    /// The public key: COSE_Key in CBOR, as received.
    pub public_key: Vec<u8>,
    /// The algorithm of the key. An authentication trusts this and never the message.
    pub algorithm: Algorithm,
    /// The highest signature counter seen; synced passkeys always say 0.
    pub sign_count: u32,
    /// The model of the authenticator; all zero for many, and unproven unless an attestation says otherwise.
    pub aaguid: [u8; 16],
    /// How the authenticator can be reached, as the client said; unknown words are kept.
    pub transports: Vec<String>,
    /// Whether the credential can be synced, fixed at registration; `None` for an import that did not say.
    pub backup_eligible: Option<bool>,
    /// Whether the credential is synced now; changes over time.
    pub backed_up: bool,
    /// Whether the authenticator promised at registration (`credProtect` level 3) to sign only after user
    /// verification. An authentication without it is then refused whatever the app's setting.
    pub requires_user_verification: bool,
}

/// A credential as named in the options of a ceremony
/// ([section 5.8.3](https://www.w3.org/TR/webauthn-3/#dictdef-publickeycredentialdescriptor)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialDescriptor {
    /// The credential id.
    pub id: Vec<u8>,
    /// The stored transports; left out of the JSON when there are none.
    pub transports: Vec<String>,
}

impl CredentialDescriptor {
    pub(crate) fn to_json(&self) -> Value {
        let mut descriptor = json!({
            "type": "public-key",
            "id": BASE64_URL_SAFE_NO_PAD.encode(&self.id),
        });
        if !self.transports.is_empty() {
            descriptor["transports"] = json!(self.transports);
        }
        descriptor
    }
}

impl From<&Credential> for CredentialDescriptor {
    fn from(credential: &Credential) -> Self {
        Self {
            id: credential.id.clone(),
            transports: credential.transports.clone(),
        }
    }
}
