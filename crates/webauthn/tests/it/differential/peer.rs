//! The other verifier, `webauthn_rp`, asked the same questions as ours.
//!
//! It shares nothing with ours but `serde_json`: it reads CBOR by itself and has its cryptography from other libraries.
//! It is asked in its most lenient manner, so that what it still refuses is by its own conviction.

use serde_json::Value;
use webauthn::forge::Item;
use webauthn::{Algorithm, CounterPolicy, UserVerification};
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::auth::{
    AllowedCredentials, AuthenticationVerificationOptions, AuthenticatorAttachmentEnforcement,
    NonDiscoverableCredentialRequestOptions, SignatureCounterEnforcement,
};
use webauthn_rp::request::register::{
    CoseAlgorithmIdentifier, CoseAlgorithmIdentifiers, CredProtect,
    RegistrationVerificationOptions, UserHandle,
};
use webauthn_rp::request::{
    AsciiDomain, CredentialMediationRequirement, Credentials as _, ExtensionReq,
    PublicKeyCredentialDescriptor, RpId, UserVerificationRequirement,
};
use webauthn_rp::response::auth::ser_relaxed::NonDiscoverableAuthenticationRelaxed;
use webauthn_rp::response::register::ser_relaxed::RegistrationRelaxed;
use webauthn_rp::response::register::{DynamicState, StaticState, UncompressedPubKey};
use webauthn_rp::response::{AuthTransports, Backup, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, NonDiscoverableAuthenticationServerState,
    PublicKeyCredentialCreationOptions, RegistrationServerState,
};

use super::{AuthenticationFacts, RegistrationFacts};
use crate::site::{Site, USER_ID};

/// What the peer keeps of a credential.
#[derive(Clone, Debug)]
pub(super) struct Record {
    id: Vec<u8>,
    transports: u8,
    key: Vec<u8>,
    state: DynamicState,
}

impl Record {
    /// Changes the signature counter.
    pub(super) fn count_to(&mut self, sign_count: u32) {
        self.state.sign_count = sign_count;
    }
}

/// The peer's verdict on a registration: facts and what it keeps, or its own words for why not.
pub(super) fn verify_registration(
    site: &Site,
    json: &Value,
) -> Result<(RegistrationFacts, Record), String> {
    let response: RegistrationRelaxed =
        serde_json::from_str(&json.to_string()).map_err(|error| format!("JSON: {error}"))?;
    let (rp_id, user) = (rp_id(site), user());
    let mut options =
        PublicKeyCredentialCreationOptions::first_passkey_with_blank_user_info(&rp_id, &user);
    if site.conditional {
        options.mediation = CredentialMediationRequirement::Conditional;
    }
    options.pub_key_cred_params = algorithms(site);
    options.authenticator_selection.user_verification = user_verification(site);
    options.extensions.cred_protect = CredProtect::None;
    options.extensions.cred_props = Some(ExtensionReq::Allow);
    let (state, _) = options.start_ceremony().expect("options that fit together");
    // One byte for the mediation stands before the challenge.
    let state = with_challenge(site, state.encode().expect("a time after 1970"), 1);
    let state = RegistrationServerState::<{ USER_ID.len() }>::decode(&state)
        .expect("the state as the peer wrote it");
    let registered = state
        .verify(
            &rp_id,
            &response.0,
            &RegistrationVerificationOptions {
                allowed_origins: &site.relying_party.origins,
                allowed_top_origins: site.relying_party.top_origins.as_deref(),
                error_on_unsolicited_extensions: false,
                ..RegistrationVerificationOptions::<String, String>::default()
            },
        )
        .map_err(|refusal| format!("{refusal:?}"))?;
    let state = registered.dynamic_state();
    let key = registered.static_state();
    let facts = RegistrationFacts {
        credential_id: registered.id().as_ref().to_vec(),
        public_key: cose_key(key.credential_public_key),
        aaguid: registered.metadata().aaguid.data().to_vec(),
        user_verified: state.user_verified,
        backup_eligible: state.backup != Backup::NotEligible,
        backed_up: state.backup == Backup::Exists,
        sign_count: state.sign_count,
    };
    let record = Record {
        id: facts.credential_id.clone(),
        transports: registered.transports().encode().expect("infallible"),
        key: key.encode().expect("infallible"),
        state,
    };
    Ok((facts, record))
}

/// The peer's verdict on an authentication by a known user, whose only credential is the recorded one.
pub(super) fn verify_authentication(
    site: &Site,
    record: &Record,
    json: &Value,
) -> Result<AuthenticationFacts, String> {
    let response: NonDiscoverableAuthenticationRelaxed<{ USER_ID.len() }> =
        serde_json::from_str(&json.to_string()).map_err(|error| format!("JSON: {error}"))?;
    let (rp_id, user) = (rp_id(site), user());
    let id = CredentialId::<Vec<u8>>::decode(record.id.clone()).expect("the id of a record");
    let mut allowed = AllowedCredentials::with_capacity(1);
    allowed.push(
        PublicKeyCredentialDescriptor {
            id: id.clone(),
            transports: AuthTransports::decode(record.transports).expect("as the peer wrote them"),
        }
        .into(),
    );
    let mut options = NonDiscoverableCredentialRequestOptions::second_factor(&rp_id, allowed)
        .expect("a credential is allowed");
    options.options().user_verification = user_verification(site);
    let (state, _) = options.start_ceremony().expect("options that fit together");
    let state = with_challenge(site, state.encode().expect("a time after 1970"), 0);
    let state = NonDiscoverableAuthenticationServerState::decode(&state)
        .expect("the state as the peer wrote it");
    let mut credential = AuthenticatedCredential::new(
        (&id).into(),
        &user,
        StaticState::decode(&record.key).expect("the key as the peer wrote it"),
        record.state,
    )
    .expect("a record of the peer");
    state
        .verify(
            &rp_id,
            &response.0,
            &mut credential,
            &AuthenticationVerificationOptions {
                allowed_origins: &site.relying_party.origins,
                allowed_top_origins: site.relying_party.top_origins.as_deref(),
                error_on_unsolicited_extensions: false,
                auth_attachment_enforcement: AuthenticatorAttachmentEnforcement::Ignore(false),
                sig_counter_enforcement: match site.counter_policy {
                    CounterPolicy::Record => SignatureCounterEnforcement::Ignore,
                    CounterPolicy::Refuse => SignatureCounterEnforcement::Fail,
                },
                ..AuthenticationVerificationOptions::<String, String>::default()
            },
        )
        .map_err(|refusal| format!("{refusal:?}"))?;
    let state = credential.dynamic_state();
    Ok(AuthenticationFacts {
        backup_eligible: state.backup != Backup::NotEligible,
        backed_up: state.backup == Backup::Exists,
        sign_count: state.sign_count,
    })
}

fn rp_id(site: &Site) -> RpId {
    let domain = AsciiDomain::try_from(site.relying_party.rp_id.clone());
    RpId::Domain(domain.expect("a domain"))
}

fn user() -> UserHandle<{ USER_ID.len() }> {
    let id = USER_ID.as_bytes().try_into().expect("the length of the id");
    UserHandle::decode(id).expect("infallible")
}

fn user_verification(site: &Site) -> UserVerificationRequirement {
    match site.user_verification {
        UserVerification::Preferred => UserVerificationRequirement::Preferred,
        UserVerification::Required => UserVerificationRequirement::Required,
    }
}

/// Those of the site's algorithms that the peer knows.
fn algorithms(site: &Site) -> CoseAlgorithmIdentifiers {
    [
        (Algorithm::Es256, CoseAlgorithmIdentifier::Es256),
        (Algorithm::Es384, CoseAlgorithmIdentifier::Es384),
        (Algorithm::EdDsa, CoseAlgorithmIdentifier::Eddsa),
        (Algorithm::Rs256, CoseAlgorithmIdentifier::Rs256),
    ]
    .into_iter()
    .filter(|(ours, _)| !site.algorithms.contains(ours))
    .fold(CoseAlgorithmIdentifiers::ALL, |all, (_, unwanted)| {
        all.remove(unwanted)
    })
}

/// Puts the site's challenge in the place of the peer's random one. The peer knows 16 bytes only: any other leaves its
/// own, which nothing fits.
fn with_challenge(site: &Site, mut state: Vec<u8>, at: usize) -> Vec<u8> {
    if site.challenge.len() == 16 {
        state[at..at + 16].copy_from_slice(&site.challenge);
    }
    state
}

/// The peer's key as the only COSE_Key it would have read it from.
fn cose_key(key: UncompressedPubKey<'_>) -> Vec<u8> {
    let int = |label, value| (Item::Int(label), Item::Int(value));
    let bytes = |label, value: &[u8]| (Item::Int(label), Item::Bytes(value.to_vec()));
    Item::Map(match key {
        UncompressedPubKey::Ed25519(key) => {
            vec![int(1, 1), int(3, -8), int(-1, 6), bytes(-2, key.inner())]
        }
        UncompressedPubKey::P256(key) => vec![
            int(1, 2),
            int(3, -7),
            int(-1, 1),
            bytes(-2, key.x()),
            bytes(-3, key.y()),
        ],
        UncompressedPubKey::P384(key) => vec![
            int(1, 2),
            int(3, -35),
            int(-1, 2),
            bytes(-2, key.x()),
            bytes(-3, key.y()),
        ],
        UncompressedPubKey::Rsa(key) => {
            let exponent = key.e().to_be_bytes();
            let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
            vec![
                int(1, 3),
                int(3, -257),
                bytes(-1, key.n()),
                bytes(-2, &exponent[zeros..]),
            ]
        }
    })
    .encode()
}
