//! Registration: the options that ask for a new credential, and the verification of what comes back.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::attestation::{self, AttestationObject, NewCredential};
use crate::authenticator_data::Attested;
use crate::client_data::{self, ClientData};
use crate::cose::CoseKey;
use crate::response::{ResponseJson, member};
use crate::{
    Algorithm, Attestation, AttestationConveyance, AttestationPolicy, Credential,
    CredentialDescriptor, Denial, RelyingParty, UserVerification, encode_user_id,
};

/// What the options of a registration are made from.
#[derive(Clone, Copy, Debug)]
pub struct RegistrationOptions<'a> {
    /// The RP ID: a host name, never a URL.
    pub rp_id: &'a str,
    /// The name people know the relying party by.
    pub rp_name: &'a str,
    /// The stable id of the user; sent encoded, see [`encode_user_id`].
    pub user_id: &'a str,
    /// The label the authenticator shows, both as `name` and as `displayName`.
    pub display_name: &'a str,
    /// At least 16 random bytes, for this ceremony only.
    pub challenge: &'a [u8],
    /// Algorithms in order of preference.
    pub algorithms: &'a [Algorithm],
    /// A hint to the client.
    pub timeout_ms: u64,
    /// All credentials the user already has, so that an authenticator does not make a second one.
    pub exclude: &'a [CredentialDescriptor],
    /// The kind of authenticator that is wanted; `None` for any.
    pub attachment: Option<AuthenticatorAttachment>,
    /// Whether user verification is required.
    pub user_verification: UserVerification,
    /// Whether an attestation statement is wanted, see [`AttestationPolicy::conveyance`].
    pub attestation: AttestationConveyance,
}

/// The kind of authenticator ([section 5.4.5](https://www.w3.org/TR/webauthn-3/#enum-attachment)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthenticatorAttachment {
    /// Part of the device.
    Platform,
    /// Roaming: a security key, or a phone near by.
    CrossPlatform,
}

/// The `publicKey` object for `navigator.credentials.create()`, binary members as base64url.
///
/// The credential must be discoverable.
pub fn options(options: &RegistrationOptions<'_>) -> Value {
    let mut selection = json!({
        "residentKey": "required",
        "requireResidentKey": true,
        "userVerification": options.user_verification,
    });
    if let Some(attachment) = options.attachment {
        selection["authenticatorAttachment"] = json!(attachment);
    }
    let parameters: Vec<Value> = options
        .algorithms
        .iter()
        .map(|algorithm| json!({"type": "public-key", "alg": algorithm.cose_id()}))
        .collect();
    let exclude: Vec<Value> = options
        .exclude
        .iter()
        .map(CredentialDescriptor::to_json)
        .collect();
    json!({
        "rp": {"id": options.rp_id, "name": options.rp_name},
        "user": {
            "id": encode_user_id(options.user_id),
            "name": options.display_name,
            "displayName": options.display_name,
        },
        "challenge": BASE64_URL_SAFE_NO_PAD.encode(options.challenge),
        "pubKeyCredParams": parameters,
        "timeout": options.timeout_ms,
        "excludeCredentials": exclude,
        "authenticatorSelection": selection,
        "attestation": options.attestation,
        "extensions": {"credProps": true},
    })
}

/// A registration as the client posted it, its JSON read and nothing in it believed yet.
#[derive(Clone, Debug)]
pub struct RegistrationResponse {
    credential_id: Vec<u8>,
    client_data_json: Vec<u8>,
    attestation_object: Vec<u8>,
    transports: Vec<String>,
    credential_properties: CredentialProperties,
}

/// What the client reported under `credProps` (section 10.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CredentialProperties {
    Missing,
    Discoverable(bool),
    WrongType,
}

impl RegistrationResponse {
    /// Reads the JSON of a response. Every fault is [`Denial::RequestMalformed`].
    ///
    /// `transports` is taken from the top level, or else from `response`: clients differ in where they put it.
    pub fn from_json(json: &Value) -> Result<Self, Denial> {
        let response = ResponseJson::read(json)?;
        let outer = read_transports(member(response.outer, "transports"))?;
        let inner = read_transports(member(response.inner, "transports"))?;
        Ok(Self {
            client_data_json: response.bytes("clientDataJSON")?,
            attestation_object: response.bytes("attestationObject")?,
            transports: if outer.is_empty() { inner } else { outer },
            credential_properties: read_credential_properties(response.outer),
            credential_id: response.credential_id,
        })
    }

    /// The credential id the client claims; [`verify`] holds it against the authenticator's.
    pub fn credential_id(&self) -> &[u8] {
        &self.credential_id
    }

    /// The model that the authenticator data names, if it can be read: to look up what is known about it for
    /// [`DirectAttestation::models`](crate::DirectAttestation::models). Nothing of it is believed yet.
    pub fn claimed_aaguid(&self) -> Option<[u8; 16]> {
        let object = AttestationObject::parse(&self.attestation_object).ok()?;
        let attested = Attested::parse(object.authenticator_data).ok()?;
        Some(attested.aaguid)
    }

    /// The transports the client reports, unknown ones included.
    pub fn transports(&self) -> &[String] {
        &self.transports
    }
}

/// What a registration must fit.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedRegistration<'a> {
    /// RP ID and origins.
    pub relying_party: &'a RelyingParty,
    /// The challenge of this ceremony's options.
    pub challenge: &'a [u8],
    /// The demand of this ceremony's options.
    pub user_verification: UserVerification,
    /// The algorithms of this ceremony's options.
    pub algorithms: &'a [Algorithm],
    /// Whether the ceremony was started with conditional mediation, by our own record and not by the client's word.
    /// Only then may user presence be missing.
    pub conditional: bool,
    /// What is demanded of the attestation.
    pub attestation: &'a AttestationPolicy,
    /// The time, in milliseconds since 1970: certificates of an attestation must be valid then.
    pub now_ms: i64,
}

/// A verified registration. The caller still has to store it, which is where a known credential id shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// What to keep.
    pub credential: Credential,
    /// Whether somebody touched the authenticator; false only with conditional mediation.
    pub user_present: bool,
    /// Whether the authenticator verified the user.
    pub user_verified: bool,
    /// The format of the attestation statement, as the client named it; proves nothing without `attestation`.
    pub attestation_format: String,
    /// What the attestation proved; `None` where none was asked for: the credential is unattested.
    pub attestation: Option<Attestation>,
    /// The allowed origin at which the ceremony ran.
    pub origin: String,
}

/// Verifies a registration: the steps of
/// [section 7.1](https://www.w3.org/TR/webauthn-3/#sctn-registering-a-new-credential) from 5 on.
///
/// Steps 1 to 4 are the client's and [`RegistrationResponse::from_json`]'s; 25 and 26 (the credential id must be new,
/// and is stored) need the caller's storage.
pub fn verify(
    expected: &ExpectedRegistration<'_>,
    response: &RegistrationResponse,
) -> Result<Registration, Denial> {
    let relying_party = expected.relying_party;

    // 5, 6. UTF-8 and JSON.
    let client_data = ClientData::parse(&response.client_data_json)?;
    // 7. Type.
    client_data.check_type("webauthn.create")?;
    // 8. Challenge.
    client_data.check_challenge(expected.challenge)?;
    // 9. Origin.
    client_data.check_origin(relying_party)?;
    // 10. Embedding.
    client_data.check_cross_origin(relying_party)?;
    // 11. The embedding page.
    client_data.check_top_origin(relying_party)?;
    // 12. The hash of the client data, which attestation statements sign.
    let client_data_hash = client_data::hash(&response.client_data_json);
    // 13. Attestation object and authenticator data.
    let attestation = AttestationObject::parse(&response.attestation_object)?;
    let attested = Attested::parse(attestation.authenticator_data)?;
    let header = &attested.header;
    // 14. RP ID.
    header.check_rp_id_hash(&relying_party.rp_id)?;
    // 15. User presence, unless the client was asked to create the credential without a gesture.
    if !expected.conditional {
        header.check_user_present()?;
    }
    // 16. User verification.
    header.check_user_verified(expected.user_verification)?;
    // 17. Backup flags.
    header.check_backup_flags()?;
    // 18. Whether credentials that can be backed up are welcome is for the caller to say.
    // 19. Algorithm, and (ours) whether the key is one that can ever verify and protects anything.
    let key = CoseKey::read(attested.public_key)?;
    let algorithm = key
        .algorithm()
        .filter(|algorithm| expected.algorithms.contains(algorithm))
        .ok_or(Denial::AlgorithmNotOffered)?;
    let public_key = key.public_key(algorithm)?;
    // 20 to 23. Attestation statement, and trust in it.
    let proof = attestation::verify(
        expected.attestation,
        &attestation,
        &NewCredential {
            authenticator_data: attestation.authenticator_data,
            attested: &attested,
            client_data_hash,
            key: key.numbers(algorithm),
            public_key: &public_key,
        },
        expected.now_ms,
    )?;
    // 24. Length of the credential id, and (ours) not empty and the same that the JSON names.
    if !CREDENTIAL_ID_BYTES.contains(&attested.credential_id.len()) {
        return Err(Denial::CredentialIdBad);
    }
    if attested.credential_id != response.credential_id {
        return Err(Denial::CredentialIdMismatch);
    }
    // 27. Extension outputs: only credProps was asked for, and a discoverable credential was required.
    match response.credential_properties {
        CredentialProperties::Missing | CredentialProperties::Discoverable(true) => {}
        CredentialProperties::Discoverable(false) | CredentialProperties::WrongType => {
            return Err(Denial::ExtensionOutputBad);
        }
    }

    Ok(Registration {
        user_present: header.is_user_present(),
        user_verified: header.is_user_verified(),
        attestation_format: attestation.format.to_owned(),
        attestation: proof,
        origin: client_data.into_origin(),
        credential: Credential {
            id: attested.credential_id.to_vec(),
            public_key: attested.public_key.to_vec(),
            algorithm,
            sign_count: header.sign_count,
            aaguid: attested.aaguid,
            transports: response.transports.clone(),
            backup_eligible: Some(header.is_backup_eligible()),
            backed_up: header.is_backed_up(),
            requires_user_verification: attested.requires_user_verification,
        },
    })
}

fn read_transports(json: Option<&Value>) -> Result<Vec<String>, Denial> {
    let Some(json) = json else {
        return Ok(Vec::new());
    };
    let entries = json.as_array().ok_or(Denial::RequestMalformed)?;
    if entries.len() > TRANSPORTS_MAX {
        return Err(Denial::RequestMalformed);
    }
    entries
        .iter()
        .map(|entry| match entry.as_str() {
            Some(transport) if transport.len() <= TRANSPORT_BYTES_MAX => Ok(transport.to_owned()),
            _ => Err(Denial::RequestMalformed),
        })
        .collect()
}

fn read_credential_properties(outer: &serde_json::Map<String, Value>) -> CredentialProperties {
    let Some(outputs) = member(outer, "clientExtensionResults") else {
        return CredentialProperties::Missing;
    };
    let Some(outputs) = outputs.as_object() else {
        return CredentialProperties::WrongType;
    };
    let Some(properties) = member(outputs, "credProps") else {
        return CredentialProperties::Missing;
    };
    let Some(properties) = properties.as_object() else {
        return CredentialProperties::WrongType;
    };
    match member(properties, "rk") {
        None => CredentialProperties::Missing,
        Some(Value::Bool(discoverable)) => CredentialProperties::Discoverable(*discoverable),
        Some(_) => CredentialProperties::WrongType,
    }
}

/// Step 24 for the upper bound; an empty id could not be looked up.
const CREDENTIAL_ID_BYTES: std::ops::RangeInclusive<usize> = 1..=1023;

/// More than the standard has names for, few enough to store without a thought.
const TRANSPORTS_MAX: usize = 16;
const TRANSPORT_BYTES_MAX: usize = 32;
