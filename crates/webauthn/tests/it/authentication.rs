//! Authentications that are refused, by the rows of the matrix.

use serde_json::{Value, json};
use webauthn::Denial::{self, *};
use webauthn::forge::{Authenticator, Item, SigningKey, flag, rp_id_hash};
use webauthn::{Algorithm, AuthenticationResponse, CounterPolicy, Credential, UserVerification};

use crate::site::{ALGORITHMS, ORIGIN, Site, authenticator, not_base64url};

#[test]
fn l01_to_l03_the_json_around_must_be_well_formed() {
    let good = honest_json()["id"].as_str().unwrap().to_owned();
    for (what, value) in not_base64url(&good) {
        Site::new().refuses_authentication_json(RequestMalformed, what, |json| {
            json["id"] = value.clone();
            json["rawId"] = value.clone();
        });
    }
    for name in ["id", "type", "response"] {
        refuses_json(RequestMalformed, |json| {
            json.as_object_mut().unwrap().remove(name);
        });
    }
    refuses_json(RequestMalformed, |json| json["rawId"] = json!("AAAA"));
    for wrong in [
        json!(1),
        json!("password"),
        json!("Public-Key"),
        Value::Null,
    ] {
        refuses_json(RequestMalformed, |json| json["type"] = wrong.clone());
    }
    for wrong in [json!([]), json!("{}"), json!(1), Value::Null] {
        refuses_json(RequestMalformed, |json| json["response"] = wrong.clone());
    }
    for whole in [json!(null), json!([]), json!("text"), json!({})] {
        refuses_json(RequestMalformed, |json| *json = whole.clone());
    }
}

#[test]
fn l04_to_l06_the_signed_parts_must_be_base64url_and_not_empty() {
    for name in ["clientDataJSON", "authenticatorData", "signature"] {
        let good = honest_json()["response"][name].as_str().unwrap().to_owned();
        let mut wrong = not_base64url(&good);
        wrong.push(("empty", json!("")));
        for (what, value) in wrong {
            Site::new().refuses_authentication_json(RequestMalformed, what, |json| {
                json["response"][name] = value.clone();
            });
        }
        refuses_json(RequestMalformed, |json| {
            json["response"].as_object_mut().unwrap().remove(name);
        });
    }
}

#[test]
fn l07_a_user_handle_must_be_a_text_no_longer_than_64_bytes_in_base64url() {
    for wrong in [json!(1), json!([]), json!({})] {
        refuses_json(RequestMalformed, |json| {
            json["response"]["userHandle"] = wrong.clone();
        });
    }
    let of_bytes = |bytes: usize| "A".repeat((bytes * 4).div_ceil(3));
    refuses_json(RequestMalformed, |json| {
        json["response"]["userHandle"] = of_bytes(65).into();
    });
    let mut json = honest_json();
    json["response"]["userHandle"] = of_bytes(64).into();
    let response = AuthenticationResponse::from_json(&json).unwrap();
    assert_eq!(response.user_handle(), Some(&*of_bytes(64)));
}

#[test]
fn l14_l15_the_rp_id_hash_must_be_ours() {
    for other in ["example.com", "https://example.org", "EXAMPLE.ORG"] {
        refuses(RpIdHashMismatch, other, |forged| {
            forged.authenticator_data.rp_id_hash = rp_id_hash(other);
        });
    }
    // The client claims that it used the appid extension, which nobody asked for.
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = site.register(&mut authenticator);
    let mut forged = site.get(&mut authenticator);
    forged.authenticator_data.rp_id_hash = rp_id_hash(ORIGIN);
    let mut json = forged.json();
    json["clientExtensionResults"] = json!({"appid": true});
    assert_eq!(
        site.verify_authentication(&credential, &json),
        Err(RpIdHashMismatch)
    );
}

#[test]
fn l16_user_presence_is_always_due() {
    refuses(UserPresenceMissing, "verified but not present", |forged| {
        forged.authenticator_data.flags &= !flag::USER_PRESENT;
    });
    let mut site = Site::new();
    site.user_verification = UserVerification::Preferred;
    site.refuses_authentication(UserPresenceMissing, "neither", |forged| {
        forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
    });
}

#[test]
fn l17_user_verification_is_due_where_required() {
    refuses(UserVerificationMissing, "flag clear", |forged| {
        forged.authenticator_data.flags &= !flag::USER_VERIFIED;
    });
}

#[test]
fn l18_user_verification_is_due_where_the_authenticator_promised_it() {
    let mut site = Site::new();
    site.user_verification = UserVerification::Preferred;
    for (level, expected) in [(1, None), (2, None), (3, Some(UserVerificationMissing))] {
        let mut authenticator = authenticator(Algorithm::Es256);
        let mut forged = site.create(&mut authenticator);
        forged.authenticator_data.flags |= flag::EXTENSIONS;
        forged.authenticator_data.extensions =
            Some(Item::Map(vec![(Item::text("credProtect"), Item::Int(level))]).encode());
        let credential = site.verify_registration(&forged.json()).unwrap().credential;
        assert_eq!(credential.requires_user_verification, level == 3);

        let mut forged = site.get(&mut authenticator);
        assert!(
            site.verify_authentication(&credential, &forged.json())
                .is_ok()
        );
        forged.authenticator_data.flags &= !flag::USER_VERIFIED;
        let denial = site
            .verify_authentication(&credential, &forged.json())
            .err();
        assert_eq!(denial, expected, "credProtect level {level}");
    }
}

#[test]
fn l19_backed_up_needs_backup_eligible() {
    refuses(BackupFlagsImpossible, "backed up only", |forged| {
        forged.authenticator_data.flags &= !flag::BACKUP_ELIGIBLE;
    });
}

#[test]
fn l20_backup_eligibility_never_changes() {
    refuses(BackupEligibilityChanged, "no longer eligible", |forged| {
        forged.authenticator_data.flags &= !(flag::BACKUP_ELIGIBLE | flag::BACKED_UP);
    });
    let site = Site::new();
    let mut key = Authenticator::security_key(Algorithm::Es256, "ann's key");
    let credential = site.register(&mut key);
    let mut forged = site.get(&mut key);
    assert!(
        site.verify_authentication(&credential, &forged.json())
            .is_ok()
    );
    forged.authenticator_data.flags |= flag::BACKUP_ELIGIBLE;
    assert_eq!(
        site.verify_authentication(&credential, &forged.json()),
        Err(BackupEligibilityChanged)
    );
}

#[test]
fn l21_authenticator_data_must_have_its_length() {
    for length in 1..37 {
        refuses_json(AuthenticatorDataMalformed, |json| {
            cut(json, "authenticatorData", length);
        });
    }
    refuses(AuthenticatorDataMalformed, "bytes behind", |forged| {
        forged.authenticator_data.trailing = vec![0xa0];
    });
    let outputs: [(&str, Option<Vec<u8>>); 4] = [
        ("flag without map", None),
        ("a list", Some(vec![0x80])),
        ("bytes behind the map", Some(vec![0xa0, 0x00])),
        ("cut", Some(vec![0xa1, 0x61, 0x61])),
    ];
    for (what, outputs) in outputs {
        refuses(AuthenticatorDataMalformed, what, |forged| {
            forged.authenticator_data.flags |= flag::EXTENSIONS;
            forged.authenticator_data.extensions = outputs.clone();
        });
    }
}

#[test]
fn l22_an_authentication_holds_no_new_credential() {
    refuses(AuthenticatorDataMalformed, "flag only", |forged| {
        forged.authenticator_data.flags |= flag::ATTESTED;
    });
    let site = Site::new();
    let attested = site
        .create(&mut authenticator(Algorithm::Es256))
        .authenticator_data
        .attested;
    refuses(AuthenticatorDataMalformed, "flag and data", |forged| {
        forged.authenticator_data.flags |= flag::ATTESTED;
        forged.authenticator_data.attested = attested.clone();
    });
}

#[test]
fn l23_a_bit_changed_after_signing_is_refused_wherever_it_is() {
    let site = Site::new();
    for algorithm in ALGORITHMS {
        let mut authenticator = authenticator(algorithm);
        let credential = site.register(&mut authenticator);
        let mut forged = site.get(&mut authenticator);
        forged
            .client_data
            .set("extra", "members that nobody reads are signed as well");
        let honest = forged.json();
        assert!(site.verify_authentication(&credential, &honest).is_ok());
        for name in ["clientDataJSON", "authenticatorData", "signature"] {
            let bytes = decoded(&honest, name);
            for at in 0..bytes.len() {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << (at % 8);
                let mut json = honest.clone();
                json["response"][name] = encoded(&flipped).into();
                let verdict = site.verify_authentication(&credential, &json);
                // An earlier step may see the change; then it refuses also what is signed anew.
                let signed = [
                    decoded(&json, "authenticatorData"),
                    sha256(&decoded(&json, "clientDataJSON")),
                ];
                let mut resigned = json.clone();
                resigned["response"]["signature"] =
                    encoded(&authenticator.key.sign(&signed.concat())).into();
                let expected = match site.verify_authentication(&credential, &resigned) {
                    Ok(_) => SignatureBad,
                    Err(earlier) => earlier,
                };
                assert_eq!(verdict, Err(expected), "{algorithm:?}: byte {at} of {name}");
            }
        }
    }
}

#[test]
fn l24_the_user_verified_flag_cannot_be_set_by_hand() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = site.register(&mut authenticator);
    let mut forged = site.get(&mut authenticator);
    forged.authenticator_data.flags &= !flag::USER_VERIFIED;
    forged.signature = Some(authenticator.key.sign(&forged.message()));
    forged.authenticator_data.flags |= flag::USER_VERIFIED;
    assert_eq!(
        site.verify_authentication(&credential, &forged.json()),
        Err(SignatureBad)
    );
}

#[test]
fn l25_another_key_does_not_sign_for_this_one() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let other = SigningKey::from_seed(algorithm, "another key of the same user");
        refuses(SignatureBad, "another key", |forged| {
            forged.key = other.clone()
        });
    }
}

#[test]
fn l26_the_message_is_authenticator_data_and_hash_and_nothing_else() {
    refuses(SignatureBad, "client data only", |forged| {
        forged.signed = Some(sha256(&forged.client_data.bytes()));
    });
    refuses(SignatureBad, "authenticator data only", |forged| {
        forged.signed = Some(forged.authenticator_data.bytes());
    });
    refuses(SignatureBad, "hash of both", |forged| {
        forged.signed = Some(sha256(&forged.message()));
    });
    refuses(SignatureBad, "client data not hashed", |forged| {
        let data = forged.authenticator_data.bytes();
        forged.signed = Some([data, forged.client_data.bytes()].concat());
    });
    refuses(SignatureBad, "hash of the hash", |forged| {
        let hash = sha256(&sha256(&forged.client_data.bytes()));
        forged.signed = Some([forged.authenticator_data.bytes(), hash].concat());
    });
    refuses(SignatureBad, "the other way round", |forged| {
        let hash = sha256(&forged.client_data.bytes());
        forged.signed = Some([hash, forged.authenticator_data.bytes()].concat());
    });
}

#[test]
fn l27_l28_a_signature_of_zeros_is_bad() {
    for signature in [
        vec![0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00],
        vec![0; 64],
        vec![0; 70],
        vec![0; 256],
        vec![0],
    ] {
        refuses(SignatureBad, "zeros", |forged| {
            forged.signature = Some(signature.clone());
        });
    }
}

#[test]
fn l31_the_algorithm_is_the_records_and_not_the_messages() {
    let mut site = Site::new();
    site.algorithms.push(Algorithm::Es384);
    let mut es256 = authenticator(Algorithm::Es256);
    site.register(&mut es256);
    let mut es384 = authenticator(Algorithm::Es384);
    let credential = site.register(&mut es384);
    let json = site.get(&mut es256).json();
    assert_eq!(
        site.verify_authentication(&credential, &json),
        Err(SignatureBad)
    );
    assert!(
        site.verify_authentication(&credential, &site.get(&mut es384).json())
            .is_ok()
    );
}

#[test]
fn l32_an_old_authentication_does_not_fit_a_new_challenge() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = site.register(&mut authenticator);
    let json = site.get(&mut authenticator).json();
    let mut next = site.clone();
    next.challenge = vec![8; 32];
    assert_eq!(
        next.verify_authentication(&credential, &json),
        Err(ChallengeMismatch)
    );
}

#[test]
fn l33_a_registration_is_no_authentication() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let json = site.create(&mut authenticator).json();
    let credential = site.register(&mut authenticator);
    assert_eq!(
        site.verify_authentication(&credential, &json),
        Err(RequestMalformed)
    );
}

#[test]
fn l34_a_counter_that_does_not_grow_is_refused_under_that_policy() {
    let mut site = Site::new();
    site.counter_policy = CounterPolicy::Refuse;
    for (stored, sent, accepted) in [
        (0, 0, true),
        (0, 1, true),
        (5, 6, true),
        (5, u32::MAX, true),
        (5, 5, false),
        (5, 4, false),
        (5, 0, false),
        (u32::MAX, u32::MAX, false),
        (u32::MAX, 0, false),
    ] {
        let mut authenticator = authenticator(Algorithm::Es256);
        let credential = Credential {
            sign_count: stored,
            ..site.register(&mut authenticator)
        };
        let mut forged = site.get(&mut authenticator);
        forged.authenticator_data.sign_count = sent;
        let verdict = site.verify_authentication(&credential, &forged.json());
        let counts = verdict.map(|verified| (verified.sign_count, verified.counter_not_increased));
        let expected = if accepted {
            Ok((sent, false))
        } else {
            Err(CounterNotIncreased)
        };
        assert_eq!(counts, expected, "{stored} stored, {sent} sent");
    }
}

#[test]
fn the_counter_is_judged_after_the_signature() {
    let mut site = Site::new();
    site.counter_policy = CounterPolicy::Refuse;
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = Credential {
        sign_count: 5,
        ..site.register(&mut authenticator)
    };
    let mut forged = site.get(&mut authenticator);
    forged.signature = Some(vec![0]);
    assert_eq!(
        site.verify_authentication(&credential, &forged.json()),
        Err(SignatureBad)
    );
}

#[test]
fn l41_a_damaged_record_is_not_blamed_on_the_client() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let good = site.register(&mut authenticator);
    let json = site.get(&mut authenticator).json();
    let mut changed = good.clone();
    changed.public_key[20] ^= 1;
    let mut cut = good.clone();
    cut.public_key.pop();
    let mut empty = good.clone();
    empty.public_key.clear();
    let mut other_algorithm = good.clone();
    other_algorithm.algorithm = Algorithm::EdDsa;
    let mut other_name = good.clone();
    let mut key = authenticator.key.cose_key();
    key.set(Item::Int(3), Item::Int(Algorithm::Es384.cose_id()));
    other_name.public_key = key.encode();
    for damaged in [changed, cut, empty, other_algorithm, other_name] {
        assert_eq!(
            site.verify_authentication(&damaged, &json),
            Err(StoredCredentialDamaged)
        );
    }
    assert!(site.verify_authentication(&good, &json).is_ok());
}

#[track_caller]
fn refuses(
    denial: Denial,
    what: &str,
    break_it: impl Fn(&mut webauthn::forge::ForgedAuthentication),
) {
    Site::new().refuses_authentication(denial, what, break_it);
}

#[track_caller]
fn refuses_json(denial: Denial, edit: impl FnOnce(&mut Value)) {
    Site::new().refuses_authentication_json(denial, "edited JSON", edit);
}

fn honest_json() -> Value {
    Site::new().get(&mut authenticator(Algorithm::Es256)).json()
}

fn cut(json: &mut Value, name: &str, length: usize) {
    let bytes = decoded(json, name);
    json["response"][name] = encoded(&bytes[..length]).into();
}

fn decoded(json: &Value, name: &str) -> Vec<u8> {
    use base64::Engine as _;
    let text = json["response"][name].as_str().unwrap();
    base64::prelude::BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .unwrap()
}

fn encoded(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    use aws_lc_rs::digest::{SHA256, digest};
    digest(&SHA256, bytes).as_ref().to_vec()
}
