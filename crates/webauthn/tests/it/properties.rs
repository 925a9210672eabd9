//! No bytes, however made, bring the parsers down or get past them.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use webauthn::forge::Item;
use webauthn::forge::attestation::{Attester, Format};
use webauthn::{Algorithm, AttestationPolicy, DirectAttestation, TrustAnchor};

use crate::site::{Site, authenticator};

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_registration(
        part in prop::sample::select(vec!["clientDataJSON", "attestationObject"]),
        bytes in vec(any::<u8>(), 0..400),
    ) {
        let site = Site::new();
        let mut json = site.create(&mut authenticator(Algorithm::Es256)).json();
        json["response"][part] = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
        prop_assert!(site.verify_registration(&json).is_err());
    }

    #[test]
    fn arbitrary_bytes_are_no_authenticator_data_and_no_key(bytes in vec(any::<u8>(), 0..400)) {
        let site = Site::new();
        let mut forged = site.create(&mut authenticator(Algorithm::Es256));
        let mut object = forged.attestation_object_item();
        object.set(Item::text("authData"), Item::Bytes(bytes.clone()));
        forged.attestation_object = Some(object.encode());
        prop_assert!(site.verify_registration(&forged.json()).is_err());
        forged.attestation_object = None;
        forged.attested().public_key = bytes;
        prop_assert!(site.verify_registration(&forged.json()).is_err());
    }

    #[test]
    fn a_damaged_registration_is_never_another_key_under_the_same_id(
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let site = Site::new();
        let honest = site.create(&mut authenticator(Algorithm::Es256));
        let good = site.verify_registration(&honest.json()).unwrap().credential;
        let mut bytes = honest.attestation_object_item().encode();
        let at = at.index(bytes.len());
        bytes[at] = value;
        let mut forged = honest.clone();
        forged.attestation_object = Some(bytes);
        // Flags, counter and model are not protected without attestation; the id and a valid point are.
        if let Ok(registration) = site.verify_registration(&forged.json()) {
            prop_assert_eq!(registration.credential.id, good.id);
            prop_assert_eq!(registration.credential.public_key, good.public_key);
        }
    }

    #[test]
    fn a_damaged_statement_never_attests(
        format in prop::sample::select(Format::CERTIFIED.to_vec()),
        at in any::<prop::sample::Index>(),
        damage in vec(any::<u8>(), 1..4),
    ) {
        let mut site = Site::new();
        let mut authenticator = authenticator(Algorithm::Es256);
        if format == Format::FidoU2f {
            authenticator.aaguid = [0; 16];
        }
        let attester = Attester::new(format, &authenticator.key);
        site.attestation = AttestationPolicy::Direct(DirectAttestation {
            trust_anchors: vec![TrustAnchor::from_der(&attester.root.der()).unwrap()],
            ..DirectAttestation::default()
        });
        let mut forged = site.create(&mut authenticator);
        attester.attest(&mut forged);
        prop_assert!(site.verify_registration(&forged.json()).is_ok());
        let good = forged.statement.encode();
        let mut bytes = good.clone();
        let at = at.index(bytes.len() - damage.len());
        bytes[at..at + damage.len()].copy_from_slice(&damage);
        if bytes != good {
            forged.statement = Item::Raw(bytes);
            prop_assert!(site.verify_registration(&forged.json()).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_certificate_and_no_structure_of_a_tpm(
        format in prop::sample::select(Format::CERTIFIED.to_vec()),
        name in prop::sample::select(vec!["x5c", "sig", "certInfo", "pubArea"]),
        bytes in vec(any::<u8>(), 0..400),
    ) {
        let mut site = Site::new();
        let mut authenticator = authenticator(Algorithm::Es256);
        let attester = Attester::new(format, &authenticator.key);
        site.attestation = AttestationPolicy::Direct(DirectAttestation {
            trust_anchors: vec![TrustAnchor::from_der(&attester.root.der()).unwrap()],
            accepts_u2f_with_aaguid: true,
            ..DirectAttestation::default()
        });
        let mut forged = site.create(&mut authenticator);
        attester.attest(&mut forged);
        let entries = forged.statement.entries();
        if entries.iter().any(|(key, _)| *key == Item::text(name)) {
            let value = match name {
                "x5c" => Item::Array(vec![Item::Bytes(bytes)]),
                _ => Item::Bytes(bytes),
            };
            forged.statement.set(Item::text(name), value);
            prop_assert!(site.verify_registration(&forged.json()).is_err());
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_authentication(
        part in prop::sample::select(vec!["clientDataJSON", "authenticatorData", "signature"]),
        bytes in vec(any::<u8>(), 0..400),
    ) {
        let site = Site::new();
        let mut authenticator = authenticator(Algorithm::Es256);
        let credential = site.register(&mut authenticator);
        let mut json = site.get(&mut authenticator).json();
        json["response"][part] = BASE64_URL_SAFE_NO_PAD.encode(bytes).into();
        prop_assert!(site.verify_authentication(&credential, &json).is_err());
    }
}
