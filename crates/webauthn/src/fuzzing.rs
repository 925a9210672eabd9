//! What fuzzers feed (feature `fuzz`): for each parser of a stranger's bytes one function that takes any bytes and
//! asserts what must hold of every input. Each says whether the input was accepted, so that a test can tell that the
//! kept inputs still reach the end of the road.
//!
//! The ceremonies are those of a [`Site`] that never changes. What would be base64url inside JSON is given in plain
//! bytes, where a changed byte is a changed byte.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::attestation::NO_AAGUID;
use crate::cbor::{self, Map};
use crate::client_data::ClientData;
use crate::cose::CoseKey;
use crate::forge::attestation::{Attester, Format};
use crate::forge::{Authenticator, ForgedAuthentication, ForgedRegistration};
use crate::origin::{default_rp_id, may_use_rp_id, normalize_auth_origin};
use crate::{
    Algorithm, AttestationPolicy, Authentication, AuthenticationOptions, AuthenticationResponse,
    CounterPolicy, Credential, Denial, DirectAttestation, ExpectedAuthentication,
    ExpectedRegistration, Registration, RegistrationOptions, RegistrationResponse, RelyingParty,
    TrustAnchor, UserVerification, authentication, check_public_key, registration,
};

/// The origin of the site.
pub const ORIGIN: &str = "https://example.org";

/// The algorithms of the two credentials that [`authentication`](self::authentication()) knows.
pub const CREDENTIALS: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

const RP_ID: &str = "example.org";
const CHALLENGE: [u8; 32] = [0x5a; 32];
/// 1 July 2026.
const NOW_MS: i64 = 1_782_864_000_000;
/// The `publicKey` options of the site's registrations.
pub fn registration_options() -> Value {
    registration::options(&RegistrationOptions {
        rp_id: RP_ID,
        rp_name: "Example",
        user_id: "aB3dE6gH9jK2mN5pQ8sT1vW4",
        display_name: "ann",
        challenge: &CHALLENGE,
        algorithms: &Algorithm::ALL,
        timeout_ms: 300_000,
        exclude: &[],
        attachment: None,
        user_verification: UserVerification::Preferred,
        attestation: crate::AttestationConveyance::Direct,
    })
}

/// The `publicKey` options of the site's authentications.
pub fn authentication_options() -> Value {
    authentication::options(&AuthenticationOptions {
        rp_id: RP_ID,
        challenge: &CHALLENGE,
        allow: None,
        user_verification: UserVerification::Preferred,
        timeout_ms: 300_000,
    })
}

/// The authenticator of the site's only user, with a key of one of the [`CREDENTIALS`] or of another algorithm.
pub fn authenticator(algorithm: Algorithm) -> Authenticator {
    Authenticator::new(algorithm, "fuzzed")
}

/// A registration: first a byte, then the JSON of a response (0) or its attestation object (any other). It is judged
/// with and without a demand for attestation, and accepted if it met the one (2) or at least the other.
pub fn registration(input: &[u8]) -> bool {
    let Some((form, bytes)) = input.split_first() else {
        return false;
    };
    let site = Site::get();
    let json = match form {
        0 => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => {
            let mut forged = site.registration.clone();
            forged.attestation_object = Some(bytes.to_vec());
            forged.json()
        }
    };
    let Ok(response) = RegistrationResponse::from_json(&json) else {
        return false;
    };
    let unattested = site.register(&response, &AttestationPolicy::None);
    let attested = site.register(&response, &site.attestation);
    for registration in [&unattested, &attested].into_iter().flatten() {
        let credential = &registration.credential;
        assert_eq!(credential.id, response.credential_id());
        assert!((1..=1023).contains(&credential.id.len()));
        assert_eq!(
            check_public_key(&credential.public_key),
            Ok(credential.algorithm)
        );
        assert!(registration.user_present);
        assert!(!credential.backed_up || credential.backup_eligible == Some(true));
        assert_eq!(registration.origin, ORIGIN);
    }
    if let Ok(attested) = &attested {
        // More was demanded, so less is accepted, and never anything else.
        let unattested = unattested
            .as_ref()
            .expect("accepted with attestation means accepted without");
        assert_eq!(unattested.credential, attested.credential);
        let attestation = attested.attestation.as_ref().expect("it was demanded");
        assert_eq!(attestation.trust_path.last(), Some(&site.root));
        assert!(!attestation.is_aaguid_proven || attested.credential.aaguid != NO_AAGUID);
    }
    if let Ok(unattested) = &unattested {
        assert_eq!(unattested.attestation, None);
    }
    match form {
        2 => attested.is_ok(),
        _ => unattested.is_ok(),
    }
}

/// An authentication: first a byte, then the JSON of a response (0), or for one of the [`CREDENTIALS`] (1, 2)
/// the length of the authenticator data in two bytes, the authenticator data and the signature.
pub fn authentication(input: &[u8]) -> bool {
    let Some((form, bytes)) = input.split_first() else {
        return false;
    };
    let site = Site::get();
    let number = usize::from(*form == 2);
    let json = match form {
        0 => serde_json::from_slice(bytes).unwrap_or_default(),
        _ => {
            let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
                return false;
            };
            let Some((authenticator_data, signature)) =
                rest.split_at_checked(u16::from_be_bytes(*length).into())
            else {
                return false;
            };
            let mut forged = site.authentications[number].clone();
            forged.signature = Some(signature.to_vec());
            let mut json = forged.json();
            json["response"]["authenticatorData"] =
                BASE64_URL_SAFE_NO_PAD.encode(authenticator_data).into();
            json
        }
    };
    let Ok(response) = AuthenticationResponse::from_json(&json) else {
        return false;
    };
    let [credential, other] = [number, 1 - number].map(|number| &site.credentials[number]);
    let verified = site.authenticate(&CHALLENGE, credential, &response);
    if let Ok(verified) = &verified {
        // Only the holder of the key could say this, and only in answer to this challenge.
        assert_eq!(
            site.authenticate(&CHALLENGE, other, &response),
            Err(Denial::SignatureBad)
        );
        assert_eq!(
            site.authenticate(&[0; 32], credential, &response),
            Err(Denial::ChallengeMismatch)
        );
        assert_eq!(verified.origin, ORIGIN);
        assert!(!verified.backed_up || verified.backup_eligible);
        assert_eq!(credential.backup_eligible, Some(verified.backup_eligible));
    }
    verified.is_ok()
}

/// Client data (first byte even), or the texts of an origin and an RP ID with a line break between them (odd).
pub fn client_data(input: &[u8]) -> bool {
    match input.split_first() {
        Some((form, bytes)) if form % 2 == 0 => client_data_of_a_ceremony(bytes),
        Some((_, bytes)) => std::str::from_utf8(bytes).is_ok_and(origin_and_rp_id),
        None => false,
    }
}

fn client_data_of_a_ceremony(bytes: &[u8]) -> bool {
    let Ok(data) = ClientData::parse(bytes) else {
        return false;
    };
    let relying_party = RelyingParty {
        top_origins: Some(vec!["https://embedding.example".into()]),
        ..Site::get().relying_party.clone()
    };
    let verdict = data
        .check_type("webauthn.get")
        .and_then(|()| data.check_challenge(&CHALLENGE))
        .and_then(|()| data.check_origin(&relying_party))
        .and_then(|()| data.check_cross_origin(&relying_party))
        .and_then(|()| data.check_top_origin(&relying_party));
    // Another reader of the same bytes sees the same ceremony.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let other: Value = serde_json::from_slice(text).expect("what was parsed is JSON");
    if verdict.is_ok() {
        assert_eq!(other["type"], "webauthn.get");
        assert_eq!(other["challenge"], BASE64_URL_SAFE_NO_PAD.encode(CHALLENGE));
        assert_eq!(other["origin"], ORIGIN);
        assert!(
            other.get("topOrigin").is_none() || other["topOrigin"] == "https://embedding.example"
        );
        assert!(other["crossOrigin"] != true || other.get("topOrigin").is_some());
    }
    assert_eq!(other["origin"], data.into_origin());
    verdict.is_ok()
}

fn origin_and_rp_id(text: &str) -> bool {
    let (origin, rp_id) = text.split_once('\n').unwrap_or((text, ""));
    let may_use = may_use_rp_id(origin, rp_id);
    let Ok(normal) = normalize_auth_origin(origin) else {
        assert!(!may_use && default_rp_id(origin).is_err());
        return false;
    };
    assert_eq!(normalize_auth_origin(&normal).as_ref(), Ok(&normal));
    let host = default_rp_id(origin).expect("an origin has a host");
    assert_eq!(default_rp_id(&normal).as_ref(), Ok(&host));
    assert!(may_use_rp_id(origin, &host) && may_use_rp_id(&normal, &host));
    assert!(
        normal.starts_with("https://") || (normal.starts_with("http://") && host == "localhost")
    );
    assert_eq!(host, host.to_lowercase());
    if may_use {
        assert!(host == rp_id || host.ends_with(&format!(".{rp_id}")));
        assert!(host == rp_id || rp_id.contains('.'));
    }
    true
}

/// A COSE_Key, and the reading of CBOR beneath it.
pub fn keys(input: &[u8]) -> bool {
    if let Ok((first, rest)) = cbor::split_first(input) {
        assert_eq!([first, rest].concat(), input);
        assert_eq!(cbor::split_first(first), Ok((first, &[][..])));
    }
    if Map::read(input).is_ok() || cbor::byte_strings(input).is_ok() {
        assert_eq!(cbor::split_first(input), Ok((input, &[][..])));
    }
    let verdict = check_public_key(input);
    if let Ok(algorithm) = verdict {
        assert_eq!(
            Algorithm::from_cose_id(algorithm.cose_id()),
            Some(algorithm)
        );
        let longer = [input, &[0]].concat();
        let shorter = &input[..input.len() - 1];
        for other in [&longer[..], shorter] {
            assert_eq!(check_public_key(other), Err(Denial::PublicKeyMalformed));
        }
        let key = CoseKey::read(input).expect("it was read");
        assert_eq!(key.numbers(algorithm), key.numbers(algorithm));
        let public_key = key.public_key(algorithm).expect("it was judged");
        assert_eq!(public_key.verify(b"", b""), Err(Denial::SignatureBad));
        assert_eq!(
            key.numbers(algorithm).p256_point().is_some(),
            algorithm == Algorithm::Es256
        );
    }
    verdict.is_ok()
}

/// One relying party with what it expects, made once.
struct Site {
    relying_party: RelyingParty,
    /// Demands attestation.
    attestation: AttestationPolicy,
    /// The certificate of its only trust anchor.
    root: Vec<u8>,
    /// An honest registration.
    registration: ForgedRegistration,
    credentials: [Credential; 2],
    /// An honest authentication by each.
    authentications: [ForgedAuthentication; 2],
}

impl Site {
    fn get() -> &'static Site {
        static SITE: OnceLock<Site> = OnceLock::new();
        SITE.get_or_init(Site::new)
    }

    fn new() -> Site {
        let attester = Attester::new(Format::Packed, &authenticator(Algorithm::Es256).key);
        let root = attester.root.der();
        let anchor = TrustAnchor::from_der(&root).expect("the forge makes good certificates");
        Site {
            relying_party: RelyingParty {
                rp_id: RP_ID.into(),
                origins: vec![ORIGIN.into()],
                top_origins: None,
            },
            attestation: AttestationPolicy::Direct(DirectAttestation {
                trust_anchors: vec![anchor],
                accepts_u2f_with_aaguid: true,
                ..DirectAttestation::default()
            }),
            root,
            registration: authenticator(Algorithm::Es256).create(&registration_options(), ORIGIN),
            credentials: CREDENTIALS.map(|algorithm| {
                let authenticator = authenticator(algorithm);
                Credential {
                    id: authenticator.credential_id,
                    public_key: authenticator.key.cose_key().encode(),
                    algorithm,
                    sign_count: 0,
                    aaguid: authenticator.aaguid,
                    transports: Vec::new(),
                    backup_eligible: Some(true),
                    backed_up: true,
                    requires_user_verification: false,
                }
            }),
            authentications: CREDENTIALS
                .map(|algorithm| authenticator(algorithm).get(&authentication_options(), ORIGIN)),
        }
    }

    fn register(
        &self,
        response: &RegistrationResponse,
        attestation: &AttestationPolicy,
    ) -> Result<Registration, Denial> {
        let expected = ExpectedRegistration {
            relying_party: &self.relying_party,
            challenge: &CHALLENGE,
            user_verification: UserVerification::Preferred,
            algorithms: &Algorithm::ALL,
            conditional: false,
            attestation,
            now_ms: NOW_MS,
        };
        registration::verify(&expected, response)
    }

    fn authenticate(
        &self,
        challenge: &[u8],
        credential: &Credential,
        response: &AuthenticationResponse,
    ) -> Result<Authentication, Denial> {
        let expected = ExpectedAuthentication {
            relying_party: &self.relying_party,
            challenge,
            user_verification: UserVerification::Preferred,
            counter_policy: CounterPolicy::Record,
        };
        authentication::verify(&expected, credential, response)
    }
}
