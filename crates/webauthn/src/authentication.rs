//! Authentication: the options that ask for an assertion, and the verification of what comes back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::authenticator_data::Header;
use crate::client_data::{self, ClientData};
use crate::cose::{CoseKey, PublicKey};
use crate::response::{ResponseJson, member};
use crate::user_handle::USER_HANDLE_BYTES_MAX;
use crate::{Credential, CredentialDescriptor, Denial, RelyingParty, UserVerification};

/// What the options of an authentication are made from.
#[derive(Clone, Copy, Debug)]
pub struct AuthenticationOptions<'a> {
    /// The RP ID: a host name, never a URL.
    pub rp_id: &'a str,
    /// At least 16 random bytes, for this ceremony only.
    pub challenge: &'a [u8],
    /// The credentials of a known user; `None` when the user is still unknown ("discoverable").
    pub allow: Option<&'a [CredentialDescriptor]>,
    /// Whether user verification is required.
    pub user_verification: UserVerification,
    /// A hint to the client.
    pub timeout_ms: u64,
}

/// The `publicKey` object for `navigator.credentials.get()`, binary members as base64url.
pub fn options(options: &AuthenticationOptions<'_>) -> Value {
    let mut public_key = json!({
        "challenge": BASE64_URL_SAFE_NO_PAD.encode(options.challenge),
        "rpId": options.rp_id,
        "userVerification": options.user_verification,
        "timeout": options.timeout_ms,
    });
    if let Some(allow) = options.allow {
        public_key["allowCredentials"] = allow.iter().map(CredentialDescriptor::to_json).collect();
    }
    public_key
}

/// An authentication as the client posted it, its JSON read and nothing in it believed yet.
#[derive(Clone, Debug)]
pub struct AuthenticationResponse {
    credential_id: Vec<u8>,
    client_data_json: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
    user_handle: Option<String>,
}

impl AuthenticationResponse {
    /// Reads the JSON of a response. Every fault is [`Denial::RequestMalformed`].
    pub fn from_json(json: &Value) -> Result<Self, Denial> {
        let response = ResponseJson::read(json)?;
        Ok(Self {
            client_data_json: response.bytes("clientDataJSON")?,
            authenticator_data: response.bytes("authenticatorData")?,
            signature: response.bytes("signature")?,
            user_handle: read_user_handle(member(response.inner, "userHandle"))?,
            credential_id: response.credential_id,
        })
    }

    /// The credential the client says it used; find it by this id before calling [`verify`].
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// The user handle as the text the client sent; an empty one counts as missing, because some clients send that
    /// when the authenticator gave none. Compare it with [`user_handle_matches`](crate::user_handle_matches); one that
    /// does not match is refused as [`user_handle_fault`](crate::user_handle_fault) says.
    pub fn user_handle(&self) -> Option<&str> {
        self.user_handle.as_deref()
    }
}

/// What to do when a signature counter does not grow, which may mean a cloned authenticator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CounterPolicy {
    /// Accept, and mark it on the event.
    #[default]
    Record,
    /// Refuse.
    Refuse,
}

/// What an authentication must fit.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedAuthentication<'a> {
    /// RP ID and origins.
    pub relying_party: &'a RelyingParty,
    /// The challenge of this ceremony's options.
    pub challenge: &'a [u8],
    /// The demand of this ceremony's options.
    pub user_verification: UserVerification,
    /// What a counter that does not grow means.
    pub counter_policy: CounterPolicy,
}

/// A verified authentication: what to store and record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Whether the authenticator verified the user.
    pub user_verified: bool,
    /// Whether the credential is synced now.
    pub backed_up: bool,
    /// Whether the credential can be synced; new to the record only for an import that did not say.
    pub backup_eligible: bool,
    /// The counter as the authenticator sent it. Store the greater of this and the stored one, so that two
    /// authentications finishing in reverse order never take it down.
    pub sign_count: u32,
    /// Whether the counter failed to grow, for the event.
    pub counter_not_increased: bool,
    /// The allowed origin at which the ceremony ran.
    pub origin: String,
}

/// Verifies an authentication by `credential`: the steps of
/// [section 7.2](https://www.w3.org/TR/webauthn-3/#sctn-verifying-assertion) from 7 on.
///
/// Steps 1 to 4 are the client's and [`AuthenticationResponse::from_json`]'s. Steps 5 and 6 (the credential is
/// allowed, exists, and belongs to the user the handle names) and 24 (store what is returned) need the caller's
/// storage. [`Denial::StoredCredentialDamaged`] is a failure of our own and not the client's.
pub fn verify(
    expected: &ExpectedAuthentication<'_>,
    credential: &Credential,
    response: &AuthenticationResponse,
) -> Result<Authentication, Denial> {
    let relying_party = expected.relying_party;
    let key = stored_key(credential)?;

    // 8, 9. UTF-8 and JSON.
    let client_data = ClientData::parse(&response.client_data_json)?;
    // 10. Type.
    client_data.check_type("webauthn.get")?;
    // 11. Challenge.
    client_data.check_challenge(expected.challenge)?;
    // 12. Origin.
    client_data.check_origin(relying_party)?;
    // 13. Embedding.
    client_data.check_cross_origin(relying_party)?;
    // 14. The embedding page.
    client_data.check_top_origin(relying_party)?;
    // 15. RP ID. The appid extension is never asked for, so there is one hash that can be right.
    let header = Header::parse_assertion(&response.authenticator_data)?;
    header.check_rp_id_hash(&relying_party.rp_id)?;
    // 16. User presence.
    header.check_user_present()?;
    // 17. User verification; (ours) also when the authenticator once promised never to sign without.
    header.check_user_verified(expected.user_verification)?;
    if credential.requires_user_verification {
        header.check_user_verified(UserVerification::Required)?;
    }
    // 18. Backup flags.
    header.check_backup_flags()?;
    // 19. Backup eligibility never changes (ours: in neither direction).
    let backup_eligible = header.is_backup_eligible();
    if credential
        .backup_eligible
        .is_some_and(|registered| registered != backup_eligible)
    {
        return Err(Denial::BackupEligibilityChanged);
    }
    // 20. Hash of the client data.
    let hash = client_data::hash(&response.client_data_json);
    // 21. Signature, over the bytes as sent.
    let signed = [&response.authenticator_data[..], &hash].concat();
    key.verify(&signed, &response.signature)?;
    // 22. Signature counter, unless neither side ever counted.
    let sign_count = header.sign_count;
    let counts = sign_count != 0 || credential.sign_count != 0;
    let counter_not_increased = counts && sign_count <= credential.sign_count;
    if counter_not_increased && expected.counter_policy == CounterPolicy::Refuse {
        return Err(Denial::CounterNotIncreased);
    }
    // 23. Extension outputs: none was asked for, so all are ignored.

    Ok(Authentication {
        user_verified: header.is_user_verified(),
        backed_up: header.is_backed_up(),
        backup_eligible,
        sign_count,
        counter_not_increased,
        origin: client_data.into_origin(),
    })
}

/// The key of the record, for the algorithm of the record: the message has no say in either.
fn stored_key(credential: &Credential) -> Result<PublicKey, Denial> {
    CoseKey::read(&credential.public_key)
        .ok()
        .filter(|key| key.algorithm() == Some(credential.algorithm))
        .and_then(|key| key.public_key(credential.algorithm).ok())
        .ok_or(Denial::StoredCredentialDamaged)
}

fn read_user_handle(json: Option<&Value>) -> Result<Option<String>, Denial> {
    let Some(json) = json else {
        return Ok(None);
    };
    let text = json.as_str().ok_or(Denial::RequestMalformed)?;
    // Whether it is base64url is asked later: some clients send the handle itself, as text.
    if text.len() > USER_HANDLE_TEXT_MAX {
        return Err(Denial::RequestMalformed);
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// The base64url of the longest handle.
const USER_HANDLE_TEXT_MAX: usize = (USER_HANDLE_BYTES_MAX * 4).div_ceil(3);
