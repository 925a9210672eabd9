//! The standard's own test vectors ([section 16](https://www.w3.org/TR/webauthn-3/#sctn-test-vectors)), and refusals
//! derived from them.
//!
//! The values are not part of this project. They are read from `../shared/data/webauthn-l3-vectors.json` beside the
//! repository, or from where `CLAVIGER_WEBAUTHN_VECTORS` points; where there is no such file the tests say so and
//! prove nothing.

use std::path::PathBuf;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use webauthn::Denial::{self, *};
use webauthn::{
    Algorithm, AndroidKeys, AttestationPolicy, Credential, DirectAttestation, Registration,
    RelyingParty, TrustAnchor, UserVerification,
};

use crate::site::Site;

const OFFERED: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::EdDsa,
    Algorithm::Rs256,
];

#[test]
fn every_vector_is_judged_as_the_standard_says() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let embedded = Some("https://example.com");
    let with_es512 = [&OFFERED[..], &[Algorithm::Es512]].concat();
    type Row<'a> = (&'a str, Option<&'a str>, &'a [Algorithm], Option<Denial>);
    let table: &[Row<'_>] = &[
        ("none-es256", None, &OFFERED, None),
        ("packed-self-es256", None, &OFFERED, None),
        (
            "none-es256-crossOrigin",
            None,
            &OFFERED,
            Some(CrossOriginNotAllowed),
        ),
        (
            "none-es256-crossOrigin",
            embedded,
            &OFFERED,
            Some(TopOriginNotAllowed),
        ),
        (
            "none-es256-topOrigin",
            None,
            &OFFERED,
            Some(CrossOriginNotAllowed),
        ),
        (
            "none-es256-topOrigin",
            Some("https://example.net"),
            &OFFERED,
            Some(TopOriginNotAllowed),
        ),
        ("none-es256-topOrigin", embedded, &OFFERED, None),
        ("none-es256-long-credential-id", None, &OFFERED, None),
        ("packed-es256", None, &OFFERED, None),
        ("packed-es384", None, &OFFERED, None),
        ("packed-es512", None, &OFFERED, Some(AlgorithmNotOffered)),
        ("packed-es512", None, &with_es512, None),
        ("packed-rs256", None, &OFFERED, None),
        ("packed-eddsa", None, &OFFERED, None),
        ("packed-ed448", None, &with_es512, Some(AlgorithmNotOffered)),
        ("tpm-es256", None, &OFFERED, None),
        ("android-key-es256", None, &OFFERED, None),
        ("apple-es256", None, &OFFERED, None),
        ("fido-u2f-es256", None, &OFFERED, None),
    ];
    for vector in vectors.all() {
        assert!(
            table.iter().any(|(name, ..)| *name == vector.name()),
            "{} is not in the table",
            vector.name()
        );
    }
    for (name, top_origin, algorithms, denial) in table {
        let vector = vectors.named(name);
        let mut site = vectors.site(&vector, "registration");
        site.relying_party.top_origins = top_origin.map(|origin| vec![origin.into()]);
        site.algorithms = algorithms.to_vec();
        let verdict = site.verify_registration(&vector.registration());
        let registration = match (verdict, denial) {
            (Ok(registration), None) => registration,
            (verdict, denial) => {
                assert_eq!(verdict.err(), *denial, "registration of {name}");
                continue;
            }
        };
        let known = &vector.0["registration"];
        assert_eq!(registration.credential.id, hex(&known["credential_id"]));
        assert_eq!(registration.credential.aaguid[..], hex(&known["aaguid"]));

        site.challenge = hex(&vector.0["authentication"]["challenge"]);
        let json = vector.authentication(&registration.credential);
        let verified = site
            .verify_authentication(&registration.credential, &json)
            .unwrap_or_else(|denial| panic!("authentication of {name}: {denial}"));
        assert!(!verified.counter_not_increased);

        // Embedding is judged in the second ceremony as it was in the first.
        if top_origin.is_some() {
            site.relying_party.top_origins = None;
            assert_eq!(
                site.verify_authentication(&registration.credential, &json),
                Err(CrossOriginNotAllowed)
            );
        }
    }
}

#[test]
fn every_random_value_follows_from_the_published_seed() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let ikm = vectors.0["hkdf_ikm"].as_str().unwrap();
    let mut derived = 0;
    for vector in vectors.all() {
        // The name with the algorithm in its registered spelling, set off by dots.
        let mut info = vector.name().replace('-', " ");
        for (lower, upper) in [
            ("es256", "ES256"),
            ("es384", "ES384"),
            ("es512", "ES512"),
            ("rs256", "RS256"),
            ("eddsa", "EdDSA"),
            ("ed448", "Ed448"),
        ] {
            info = info.replace(&format!(" {lower}"), &format!(".{upper}"));
        }
        let (format, rest) = info.split_once('.').unwrap();
        let info = match rest.split_once(' ') {
            Some((algorithm, variant)) => format!("{format}.{algorithm}.{variant}"),
            None => format!("{format}.{rest}"),
        };
        let info = info.replace(' ', "-");

        let random = [
            ("registration", "challenge"),
            ("registration", "credential_private_key"),
            ("registration", "private_key"),
            ("registration", "client_data_gen_flags"),
            ("registration", "extraData_random"),
            ("registration", "aaguid"),
            ("registration", "credential_id"),
            ("registration", "auth_data_UV_BE_BS"),
            ("registration", "attestation_private_key"),
            ("registration", "attestation_cert_serial_number"),
            ("authentication", "challenge"),
            ("authentication", "client_data_gen_flags"),
            ("authentication", "extraData_random"),
            ("authentication", "auth_data_UV_BS"),
        ];
        let present = random
            .iter()
            .filter_map(|(ceremony, name)| vector.0[ceremony].get(name).map(|value| (name, value)));
        for (salt, (name, value)) in (0..).zip(present) {
            let value = hex(value);
            let expected = hkdf(salt, ikm.as_bytes(), info.as_bytes(), value.len());
            assert_eq!(value, expected, "{name} of {info}");
            derived += 1;
        }
    }
    assert!(derived > 150, "only {derived} values were derived");
}

#[test]
fn a_bit_flipped_in_an_accepted_vector_is_refused() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    for (vector, site, registration) in vectors.accepted() {
        let name = vector.name().to_owned();
        let credential = registration.credential;
        let json = vector.authentication(&credential);
        for part in ["signature", "authenticatorData", "clientDataJSON"] {
            let bytes = hex(&vector.0["authentication"][part]);
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let mut json = json.clone();
                json["response"][part] = BASE64_URL_SAFE_NO_PAD.encode(&flipped).into();
                let denial = site
                    .verify_authentication(&credential, &json)
                    .expect_err("a flipped bit is never accepted");
                let is_expected = match part {
                    "signature" => denial == SignatureBad,
                    "authenticatorData" => matches!(
                        denial,
                        SignatureBad
                            | RpIdHashMismatch
                            | UserPresenceMissing
                            | BackupFlagsImpossible
                            | BackupEligibilityChanged
                            | AuthenticatorDataMalformed
                    ),
                    _ => matches!(
                        denial,
                        SignatureBad
                            | ClientDataMalformed
                            | TypeWrong
                            | ChallengeMismatch
                            | OriginNotAllowed
                            | CrossOriginNotAllowed
                            | TopOriginNotAllowed
                    ),
                };
                assert!(is_expected, "{name}: {denial} for bit {bit} of {part}");
            }
        }
    }
}

#[test]
fn an_accepted_vector_cut_anywhere_is_refused() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    for (vector, mut site, registration) in vectors.accepted() {
        let name = vector.name();
        let credential = registration.credential;
        let whole = vector.authentication(&credential);
        for part in ["signature", "authenticatorData", "clientDataJSON"] {
            let bytes = hex(&vector.0["authentication"][part]);
            let expected = match part {
                "signature" => SignatureBad,
                "authenticatorData" => AuthenticatorDataMalformed,
                _ => ClientDataMalformed,
            };
            for length in 1..bytes.len() {
                let mut json = whole.clone();
                json["response"][part] = BASE64_URL_SAFE_NO_PAD.encode(&bytes[..length]).into();
                assert_eq!(
                    site.verify_authentication(&credential, &json),
                    Err(expected),
                    "{name}: {length} bytes of {part}"
                );
            }
        }
        site.challenge = hex(&vector.0["registration"]["challenge"]);
        let whole = vector.registration();
        let bytes = hex(&vector.0["registration"]["attestationObject"]);
        for length in 1..bytes.len() {
            let mut json = whole.clone();
            json["response"]["attestationObject"] =
                BASE64_URL_SAFE_NO_PAD.encode(&bytes[..length]).into();
            assert_eq!(
                site.verify_registration(&json),
                Err(AttestationObjectMalformed),
                "{name}: {length} bytes of the attestation object"
            );
        }
    }
}

#[test]
fn every_vector_with_a_certificate_is_attested_by_the_published_root() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let table = [
        ("none-es256", Some(AttestationUntrusted)),
        ("packed-self-es256", Some(AttestationUntrusted)),
        ("none-es256-crossOrigin", Some(TopOriginNotAllowed)),
        ("none-es256-topOrigin", Some(AttestationUntrusted)),
        ("none-es256-long-credential-id", Some(AttestationUntrusted)),
        ("packed-es256", None),
        ("packed-es384", None),
        ("packed-es512", None),
        ("packed-rs256", None),
        ("packed-eddsa", None),
        ("packed-ed448", Some(AlgorithmNotOffered)),
        ("tpm-es256", None),
        ("android-key-es256", None),
        ("apple-es256", None),
        ("fido-u2f-es256", None),
    ];
    assert_eq!(vectors.all().count(), table.len());
    for (name, denial) in table {
        let vector = vectors.named(name);
        let json = vector.registration();
        let mut site = vectors.attesting_site(&vector);
        let verdict = site.verify_registration(&json);
        assert_eq!(verdict.as_ref().err(), denial.as_ref(), "{name}");
        let Ok(registration) = verdict else {
            continue;
        };
        let attestation = registration.attestation.expect("what was proven");
        assert_eq!(attestation.trust_path.len(), 2);
        assert_eq!(attestation.trust_path[1], vectors.root());
        assert!(
            !attestation.is_aaguid_proven,
            "no certificate names a model"
        );

        // The nearest no: a root that nobody listed.
        direct(&mut site).trust_anchors.clear();
        let denial = site.verify_registration(&json);
        assert_eq!(denial, Err(AttestationUntrusted), "{name}");

        // The two vectors that are unlike any real authenticator need the leniency made for them.
        let mut site = vectors.attesting_site(&vector);
        direct(&mut site).accepts_u2f_with_aaguid = false;
        direct(&mut site).android_keys = AndroidKeys::TrustedEnvironment;
        let expected = match name {
            "fido-u2f-es256" => Some(AttestationMalformed),
            "android-key-es256" => Some(AttestationCertificateBad),
            _ => None,
        };
        let denial = site.verify_registration(&json).err();
        assert_eq!(denial, expected, "{name}");
    }
}

#[test]
fn a_bit_flipped_in_an_attested_vector_is_refused() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    for (vector, site) in vectors.attested() {
        let name = vector.name();
        let whole = vector.registration();
        let bytes = hex(&vector.0["registration"]["attestationObject"]);
        let authenticator_data = position(&bytes, b"hauthData") + 9 + 2;
        // U2F signs neither flags nor counter nor AAGUID.
        let unsigned = match name {
            "fido-u2f-es256" => authenticator_data + 32..authenticator_data + 53,
            _ => 0..0,
        };
        for at in (0..bytes.len()).filter(|at| !unsigned.contains(at)) {
            // Another bit at each place; in the signature and the authenticator data, all of them.
            let is_signed = at >= authenticator_data;
            for bit in (0..8).filter(|bit| is_signed || *bit == at % 8) {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let mut json = whole.clone();
                json["response"]["attestationObject"] =
                    BASE64_URL_SAFE_NO_PAD.encode(&flipped).into();
                assert!(
                    site.verify_registration(&json).is_err(),
                    "{name}: bit {bit} of byte {at}"
                );
            }
        }
        let client_data = hex(&vector.0["registration"]["clientDataJSON"]);
        for at in 0..client_data.len() {
            let mut flipped = client_data.clone();
            flipped[at] ^= 1 << (at % 8);
            let mut json = whole.clone();
            json["response"]["clientDataJSON"] = BASE64_URL_SAFE_NO_PAD.encode(&flipped).into();
            assert!(
                site.verify_registration(&json).is_err(),
                "{name}: byte {at} of the client data"
            );
        }
    }
}

#[test]
fn a_bit_flipped_in_a_signature_or_certificate_is_refused_for_what_it_is() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    for (vector, site) in vectors.attested() {
        let name = vector.name();
        let whole = vector.registration();
        let bytes = hex(&vector.0["registration"]["attestationObject"]);
        let deny = |at: usize| {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            let mut json = whole.clone();
            json["response"]["attestationObject"] = BASE64_URL_SAFE_NO_PAD.encode(&flipped).into();
            site.verify_registration(&json).unwrap_err()
        };
        if name != "apple-es256" {
            // Behind the head of the byte string and that of the DER sequence in it.
            let signature = position(&bytes, b"csig\x58") + 6;
            assert_eq!(deny(signature + 20), AttestationSignatureBad, "{name}");
        }
        // The certificate's signature, over which nothing else goes.
        let certificate = position(&bytes, b"cx5c\x81\x59");
        let length = usize::from(bytes[certificate + 6]) << 8 | usize::from(bytes[certificate + 7]);
        let end = certificate + 8 + length;
        assert_eq!(deny(end - 5), AttestationUntrusted, "{name}");
    }
}

#[test]
fn a_statement_of_one_vector_does_not_attest_another() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let attested = vectors.attested();
    let packed = attested
        .iter()
        .filter(|(vector, _)| vector.name().starts_with("packed"));
    for (vector, site) in packed {
        for (other, _) in &attested {
            if vector.name() == other.name() {
                continue;
            }
            // The statement of the other around the authenticator data of this one.
            let own = hex(&vector.0["registration"]["attestationObject"]);
            let foreign = hex(&other.0["registration"]["attestationObject"]);
            let own_data = &own[position(&own, b"hauthData")..];
            let foreign_statement = &foreign[..position(&foreign, b"hauthData")];
            let spliced = [foreign_statement, own_data].concat();
            let mut json = vector.registration();
            json["response"]["attestationObject"] = BASE64_URL_SAFE_NO_PAD.encode(spliced).into();
            let denial = site.verify_registration(&json).unwrap_err();
            let expected = match other.name() {
                "tpm-es256" => AttestationMalformed,
                "android-key-es256" | "apple-es256" => AttestationCertificateBad,
                // U2F knows keys on P-256 only.
                "fido-u2f-es256" if vector.name() != "packed-es256" => AttestationMalformed,
                _ => AttestationSignatureBad,
            };
            assert_eq!(denial, expected, "{} for {}", other.name(), vector.name());
        }
    }
}

#[test]
fn parts_of_two_vectors_do_not_fit_together() {
    let Some(vectors) = Vectors::load() else {
        return;
    };
    let accepted = vectors.accepted();
    for (vector, site, registration) in &accepted {
        for (other, other_site, other_registration) in &accepted {
            if vector.name() == other.name() {
                continue;
            }
            let json = vector.authentication(&registration.credential);
            assert_eq!(
                other_site.verify_authentication(&registration.credential, &json),
                Err(ChallengeMismatch)
            );
            let key_of_other = Credential {
                public_key: other_registration.credential.public_key.clone(),
                algorithm: other_registration.credential.algorithm,
                ..registration.credential.clone()
            };
            assert_eq!(
                site.verify_authentication(&key_of_other, &json),
                Err(SignatureBad),
                "{} under the key of {}",
                vector.name(),
                other.name()
            );
        }
    }
}

/// The file of vectors.
pub(crate) struct Vectors(Value);

/// One pair of a registration and an authentication.
pub(crate) struct Vector(pub(crate) Value);

impl Vectors {
    pub(crate) fn load() -> Option<Self> {
        let path = match std::env::var_os("CLAVIGER_WEBAUTHN_VECTORS") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../../shared/data/webauthn-l3-vectors.json"),
        };
        match std::fs::read(&path) {
            Ok(bytes) => Some(Self(
                serde_json::from_slice(&bytes).expect("vectors in JSON"),
            )),
            Err(error) => {
                eprintln!(
                    "SKIPPED: no test vectors at {} ({error}). They are in section \"Test Vectors\" of Web \
                     Authentication Level 3; point CLAVIGER_WEBAUTHN_VECTORS at a copy.",
                    path.display()
                );
                None
            }
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = Vector> {
        let vectors = self.0["vectors"].as_array().unwrap();
        assert_eq!(vectors.len(), 15);
        vectors.iter().cloned().map(Vector)
    }

    fn named(&self, name: &str) -> Vector {
        self.all().find(|vector| vector.name() == name).unwrap()
    }

    /// What a relying party expects of one of the ceremonies of a vector.
    pub(crate) fn site(&self, vector: &Vector, ceremony: &str) -> Site {
        Site {
            relying_party: RelyingParty {
                rp_id: self.0["rp_id"].as_str().unwrap().into(),
                origins: vec![self.0["origin"].as_str().unwrap().into()],
                top_origins: None,
            },
            challenge: hex(&vector.0[ceremony]["challenge"]),
            user_verification: UserVerification::Preferred,
            algorithms: OFFERED.to_vec(),
            ..Site::new()
        }
    }

    /// The root of all certificates.
    fn root(&self) -> Vec<u8> {
        hex(&self.0["root"]["attestation_ca_cert"])
    }

    /// What a relying party expects that demands attestation under the published root.
    fn attesting_site(&self, vector: &Vector) -> Site {
        let mut site = self.site(vector, "registration");
        site.relying_party.top_origins = Some(vec!["https://example.com".into()]);
        site.algorithms.push(Algorithm::Es512);
        site.attestation = AttestationPolicy::Direct(DirectAttestation {
            trust_anchors: vec![TrustAnchor::from_der(&self.root()).unwrap()],
            android_keys: AndroidKeys::AnyEnvironment,
            accepts_u2f_with_aaguid: true,
            ..DirectAttestation::default()
        });
        site
    }

    /// All that is attested under the published root.
    fn attested(&self) -> Vec<(Vector, Site)> {
        let attested: Vec<_> = self
            .all()
            .map(|vector| {
                let site = self.attesting_site(&vector);
                (vector, site)
            })
            .filter(|(vector, site)| site.verify_registration(&vector.registration()).is_ok())
            .collect();
        assert_eq!(attested.len(), 9);
        attested
    }

    /// All that the default policy accepts, registered, with the site that expects the authentication.
    fn accepted(&self) -> Vec<(Vector, Site, Registration)> {
        let accepted: Vec<_> = self
            .all()
            .filter_map(|vector| {
                let site = self.site(&vector, "registration");
                let registration = site.verify_registration(&vector.registration()).ok()?;
                let site = self.site(&vector, "authentication");
                Some((vector, site, registration))
            })
            .collect();
        // All but the two embedded ones and the two with algorithms that are not offered.
        assert_eq!(accepted.len(), 11);
        accepted
    }
}

/// The policy of a site that asks for attestation.
fn direct(site: &mut Site) -> &mut DirectAttestation {
    match &mut site.attestation {
        AttestationPolicy::Direct(policy) => policy,
        AttestationPolicy::None => panic!("no attestation is asked for"),
    }
}

fn position(bytes: &[u8], part: &[u8]) -> usize {
    let mut found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(part));
    let position = found.next().expect("the part is there");
    assert_eq!(found.next(), None, "the part is there once");
    position
}

impl Vector {
    pub(crate) fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    pub(crate) fn registration(&self) -> Value {
        let ceremony = &self.0["registration"];
        let id = base64url(&ceremony["credential_id"]);
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": base64url(&ceremony["clientDataJSON"]),
                "attestationObject": base64url(&ceremony["attestationObject"]),
            },
        })
    }

    pub(crate) fn authentication(&self, credential: &Credential) -> Value {
        let ceremony = &self.0["authentication"];
        let id = BASE64_URL_SAFE_NO_PAD.encode(&credential.id);
        json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": base64url(&ceremony["clientDataJSON"]),
                "authenticatorData": base64url(&ceremony["authenticatorData"]),
                "signature": base64url(&ceremony["signature"]),
            },
        })
    }
}

fn hkdf(salt: u8, ikm: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut okm = vec![0; length];
    Salt::new(HKDF_SHA256, &[salt])
        .extract(ikm)
        .expand(&[info], Length(length))
        .and_then(|expanded| expanded.fill(&mut okm))
        .unwrap();
    okm
}

fn base64url(hexadecimal: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(hex(hexadecimal))
}

pub(crate) fn hex(json: &Value) -> Vec<u8> {
    let digits = json.as_str().unwrap();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}
