//! Logins that are refused: L01 to L10 and L14 to L42. Those of the client data are in `client_data`.

use serde_json::{Value, json};
use webauthn::{
    Algorithm, CounterPolicy,
    forge::{Authenticator, Item, SigningKey, flag, rp_id_hash},
};

use super::{
    ALGORITHMS, Bench, Ceremony, Person, WAYS, Way, authenticator, benches, benches_with, case,
    not_base64url, outside, signatures,
};
use crate::house::{ORIGIN, UNKNOWN_ID};

#[tokio::test]
async fn l01_to_l07_the_json_is_well_formed() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let ann = &mut ann;
        let malformed = "request_malformed";
        for name in ["id", "type", "response"] {
            let row = match name {
                "id" => "L01",
                "type" => "L02",
                _ => "L03",
            };
            let case = case(row, "missing", malformed);
            bench
                .refuses_edited_login(ann, case, |json| remove(json, name))
                .await;
        }
        let id = signatures::base64url(&ann.authenticator.credential_id);
        for (what, wrong) in not_base64url(&id) {
            bench
                .refuses_edited_login(ann, case("L01", what, malformed), |json| {
                    json["id"] = wrong.clone();
                    json["rawId"] = wrong.clone();
                })
                .await;
        }
        for wrong in [json!("AAAA"), json!(1), json!("")] {
            let what = format!("rawId {wrong}");
            bench
                .refuses_edited_login(ann, case("L01", &what, malformed), |json| {
                    json["rawId"] = wrong.clone();
                })
                .await;
        }
        for wrong in [
            json!(null),
            json!(1),
            json!(""),
            json!("password"),
            json!("Public-Key"),
        ] {
            let what = wrong.to_string();
            bench
                .refuses_edited_login(ann, case("L02", &what, malformed), |json| {
                    json["type"] = wrong.clone();
                })
                .await;
        }
        for wrong in [json!(null), json!([]), json!("{}"), json!(1), json!({})] {
            let what = wrong.to_string();
            bench
                .refuses_edited_login(ann, case("L03", &what, malformed), |json| {
                    json["response"] = wrong.clone();
                })
                .await;
        }
        for (row, name) in [
            ("L04", "clientDataJSON"),
            ("L05", "authenticatorData"),
            ("L06", "signature"),
        ] {
            bench
                .refuses_edited_login(ann, case(row, "missing", malformed), |json| {
                    remove(&mut json["response"], name);
                })
                .await;
            bench
                .refuses_edited_login(ann, case(row, "empty", malformed), |json| {
                    json["response"][name] = json!("");
                })
                .await;
            for (what, wrong) in not_base64url("eyJ0eXBlIjoi") {
                bench
                    .refuses_edited_login(ann, case(row, what, malformed), |json| {
                        json["response"][name] = wrong.clone();
                    })
                    .await;
            }
        }
        let mut handles = not_base64url("YW5u");
        // Null is the same as missing: see L09 and P15.
        handles.retain(|(_, wrong)| !wrong.is_null());
        handles.push(("65 bytes", json!("A".repeat(87))));
        for (what, wrong) in handles {
            bench
                .refuses_edited_login(ann, case("L07", what, malformed), |json| {
                    json["response"]["userHandle"] = wrong.clone();
                })
                .await;
        }
    }
}

#[tokio::test]
async fn l08_to_l10_the_credential_is_known_and_of_the_user_who_is_named() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let ben = bench.person(Algorithm::Es256).await;
        for id in [vec![9; 32], vec![0], vec![7; 1023], vec![7; 4096], vec![]] {
            let what = format!("{} bytes", id.len());
            bench
                .refuses_login(
                    &mut ann,
                    case("L08", &what, "credential_unknown"),
                    |forged| {
                        forged.credential_id = id.clone();
                    },
                )
                .await;
        }
        // The same words as for a bad signature, to the letter.
        for way in WAYS {
            let ceremony = Ceremony::Login(way);
            let mut answers = Vec::new();
            for is_known in [true, false] {
                let handshake = bench.start(ceremony, &ann.external_id).await;
                let mut forged = ann.authenticator.get(&handshake.public_key, ORIGIN);
                forged.signature = Some(vec![0; 70]);
                if !is_known {
                    forged.credential_id = vec![9; 32];
                }
                let answer = bench
                    .finish(ceremony, &handshake.finish(forged.json()))
                    .await;
                answers.push((answer.status, answer.body));
            }
            assert_eq!(answers[0], answers[1], "L08");
        }
        for (what, handle) in [("missing", json!(null)), ("empty", json!(""))] {
            let case = case("L09", what, "user_handle_missing");
            bench
                .refuses_login_by(Way::Discoverable, &mut ann, case, |forged| {
                    let mut json = forged.json();
                    json["response"]["userHandle"] = handle.clone();
                    json
                })
                .await;
        }
        let case09 = case("L09", "no member", "user_handle_missing");
        bench
            .refuses_login_by(Way::Discoverable, &mut ann, case09, |forged| {
                forged.user_handle = None;
                forged.json()
            })
            .await;
        let bens = signatures::base64url(ben.authenticator.user_handle.as_ref().unwrap());
        for handle in [
            &*bens,
            "AAAA",
            "YW5u",
            &signatures::base64url(UNKNOWN_ID.as_bytes()),
        ] {
            bench
                .refuses_login(
                    &mut ann,
                    case("L10", handle, "user_handle_mismatch"),
                    |forged| {
                        forged.user_handle = Some(handle.to_owned());
                    },
                )
                .await;
        }
    }
}

/// The one login without a transaction that may lack its user handle is by a credential that was imported without.
#[tokio::test]
async fn l09_but_for_a_credential_that_was_imported_without_a_handle() {
    for bench in benches().await {
        for has_handle in [false, true] {
            let mut ann = bench.newcomer(Algorithm::Es256);
            let external_id = &ann.external_id;
            let mut credential = json!({
                "external_id": external_id,
                "credential_id": signatures::base64url(&ann.authenticator.credential_id),
                "public_key": signatures::base64url(&ann.authenticator.key.cose_key().encode()),
                "public_key_format": "cose",
            });
            if has_handle {
                credential["user_handle"] = json!("b2xkLWlk");
            }
            let (users, credentials) = (
                json!({"external_id": external_id}).to_string(),
                credential.to_string(),
            );
            let files = passkeys::ImportFiles {
                users: Some(Box::new(users.as_bytes())),
                credentials: Some(Box::new(credentials.as_bytes())),
            };
            let report = bench
                .house
                .passkeys
                .import(&bench.app.app, files, &passkeys::ImportOptions::default())
                .await
                .unwrap();
            assert!(report.issues.is_empty(), "{report:?}");
            let ceremony = Ceremony::Login(Way::Discoverable);
            let handshake = bench.start(ceremony, external_id).await;
            let finish = handshake.authentication(&mut ann.authenticator);
            let answer = bench.finish(ceremony, &finish).await;
            let reason = bench.recorded(&handshake).await;
            if has_handle {
                answer.refuses(401, "discoverable_login_failed");
                assert_eq!(reason, "user_handle_missing");
            } else {
                answer.nonce();
                assert_eq!(reason, Value::Null);
            }
        }
    }
}

#[tokio::test]
async fn l14_to_l22_authenticator_data_is_for_this_rp_id_with_the_flags_that_were_demanded() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let ann = &mut ann;
        let mismatch = "rp_id_hash_mismatch";
        for other in [
            "other.example",
            "https://example.com",
            "EXAMPLE.COM",
            "www.example.com",
            "",
        ] {
            bench
                .refuses_login(ann, case("L14", other, mismatch), |forged| {
                    forged.authenticator_data.rp_id_hash = rp_id_hash(other);
                })
                .await;
        }
        for claim in [
            json!({"appid": true}),
            json!({"appid": "https://example.com"}),
        ] {
            bench
                .refuses_login_json(ann, case("L15", &claim.to_string(), mismatch), |forged| {
                    forged.authenticator_data.rp_id_hash = rp_id_hash(ORIGIN);
                    let mut json = forged.json();
                    json["clientExtensionResults"] = claim.clone();
                    json
                })
                .await;
        }
        let missing = "user_presence_missing";
        bench
            .refuses_login(ann, case("L16", "clear, verified", missing), |forged| {
                forged.authenticator_data.flags &= !flag::USER_PRESENT;
            })
            .await;
        bench
            .refuses_login(ann, case("L16", "clear, not verified", missing), |forged| {
                forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
            })
            .await;
        bench
            .refuses_login(
                ann,
                case("L17", "clear", "user_verification_missing"),
                |forged| {
                    forged.authenticator_data.flags &= !flag::USER_VERIFIED;
                },
            )
            .await;
        bench
            .refuses_login(
                ann,
                case("L19", "backed up only", "backup_flags_impossible"),
                |forged| {
                    forged.authenticator_data.flags &= !flag::BACKUP_ELIGIBLE;
                    forged.authenticator_data.flags |= flag::BACKED_UP;
                },
            )
            .await;
        let changed = "backup_eligibility_changed";
        bench
            .refuses_login(ann, case("L20", "no longer eligible", changed), |forged| {
                forged.authenticator_data.flags &= !(flag::BACKUP_ELIGIBLE | flag::BACKED_UP);
            })
            .await;
        let mut holder = bench.key_holder().await;
        for flags in [
            flag::BACKUP_ELIGIBLE,
            flag::BACKUP_ELIGIBLE | flag::BACKED_UP,
        ] {
            bench
                .refuses_login(
                    &mut holder,
                    case("L20", "now eligible", changed),
                    |forged| {
                        forged.authenticator_data.flags |= flags;
                    },
                )
                .await;
        }
        let malformed = "authenticator_data_malformed";
        for length in [1, 31, 32, 33, 36] {
            let what = format!("{length} bytes");
            bench
                .refuses_login_json(ann, case("L21", &what, malformed), |forged| {
                    let mut json = forged.json();
                    let cut = &forged.authenticator_data.bytes()[..length];
                    json["response"]["authenticatorData"] = json!(signatures::base64url(cut));
                    json
                })
                .await;
        }
        for behind in [vec![0xa0], vec![0], vec![0; 100]] {
            bench
                .refuses_login(
                    ann,
                    case("L21", "flag clear, bytes behind", malformed),
                    |forged| {
                        forged.authenticator_data.trailing = behind.clone();
                    },
                )
                .await;
        }
        for (what, outputs) in [
            ("flag without map", None),
            ("a list", Some(vec![0x80])),
            ("bytes behind the map", Some(vec![0xa0, 0])),
            ("a map cut short", Some(vec![0xa1, 0x61, 0x61])),
        ] {
            bench
                .refuses_login(ann, case("L21", what, malformed), |forged| {
                    forged.authenticator_data.flags |= flag::EXTENSIONS;
                    forged.authenticator_data.extensions = outputs.clone();
                })
                .await;
        }
        let attested = {
            let handshake = bench.start(Ceremony::Registration, "somebody").await;
            let mut authenticator = Authenticator::new(Algorithm::Es256, "somebody");
            let forged = authenticator.create(&handshake.public_key, ORIGIN);
            forged.authenticator_data.attested
        };
        for attested in [None, attested] {
            let what = match attested {
                None => "flag without data",
                Some(_) => "flag and data",
            };
            bench
                .refuses_login(ann, case("L22", what, malformed), |forged| {
                    forged.authenticator_data.flags |= flag::ATTESTED;
                    forged.authenticator_data.attested = attested.clone();
                })
                .await;
        }
    }
}

#[tokio::test]
async fn l18_a_credential_that_promised_verification_is_held_to_it() {
    // An app that does not itself require it.
    let benches = benches_with(|new| {
        new.settings.user_verification = webauthn::UserVerification::Preferred;
    });
    for bench in benches.await {
        for level in [1, 2, 3] {
            let mut ann = bench.newcomer(Algorithm::Es256);
            let handshake = bench.start(Ceremony::Registration, &ann.external_id).await;
            let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
            forged.authenticator_data.flags |= flag::EXTENSIONS;
            let outputs = Item::Map(vec![(Item::text("credProtect"), Item::Int(level))]);
            forged.authenticator_data.extensions = Some(outputs.encode());
            let finish = handshake.finish(forged.json());
            bench.finish(Ceremony::Registration, &finish).await.nonce();
            if level == 3 {
                bench
                    .refuses_login(
                        &mut ann,
                        case("L18", "level 3", "user_verification_missing"),
                        |forged| {
                            forged.authenticator_data.flags &= !flag::USER_VERIFIED;
                        },
                    )
                    .await;
            } else {
                bench
                    .accepts_login(&mut ann, "L18", "a lower level", |forged| {
                        forged.authenticator_data.flags &= !flag::USER_VERIFIED;
                        forged.json()
                    })
                    .await;
            }
        }
    }
}

/// Each byte once with each key type. Where a changed byte is refused by an earlier step, the reason is that of the
/// same bytes signed anew; all other changes are for the signature to see.
#[tokio::test]
async fn l23_a_bit_changed_after_signing_is_seen_wherever_it_is() {
    for bench in benches().await {
        for algorithm in ALGORITHMS {
            let mut ann = bench.person(algorithm).await;
            let ceremony = Ceremony::Login(Way::Discoverable);
            for name in ["signature", "authenticatorData", "clientDataJSON"] {
                let mut at = 0;
                loop {
                    let handshake = bench.start(ceremony, &ann.external_id).await;
                    let mut forged = ann.authenticator.get(&handshake.public_key, ORIGIN);
                    forged
                        .client_data
                        .set("extra", "members that nobody reads are signed");
                    let mut json = forged.json();
                    let mut bytes = signatures::decoded(&json["response"][name]);
                    if at >= bytes.len() {
                        break;
                    }
                    let bit = 1 << (at % 8);
                    bytes[at] ^= bit;
                    json["response"][name] = json!(signatures::base64url(&bytes));
                    let stored = bench.stored().await;
                    let answer = bench.finish(ceremony, &handshake.finish(json)).await;
                    answer.refuses(401, "discoverable_login_failed");
                    let reason = bench.recorded(&handshake).await;
                    let expected = seen_first(name, at, bit, &bytes);
                    match expected {
                        Some(expected) => assert_eq!(reason, expected, "{algorithm:?} {name} {at}"),
                        None => assert_ne!(reason, Value::Null, "{algorithm:?} {name} {at}"),
                    }
                    assert!(bench.stored().await == stored, "{algorithm:?} {name} {at}");
                    at += 1;
                }
                let case = case("L23", name, "unbroken");
                bench.accepts(case, ceremony, &mut ann).await;
            }
        }
    }
}

/// What the verification sees first when one bit was changed; `None` where the words around the bit decide.
fn seen_first(name: &str, at: usize, bit: u8, changed: &[u8]) -> Option<&'static str> {
    match (name, at) {
        ("authenticatorData", 0..32) => Some("rp_id_hash_mismatch"),
        ("authenticatorData", 32) => Some(match bit {
            flag::USER_PRESENT => "user_presence_missing",
            flag::USER_VERIFIED => "user_verification_missing",
            flag::BACKUP_ELIGIBLE => "backup_flags_impossible",
            flag::ATTESTED | flag::EXTENSIONS => "authenticator_data_malformed",
            _ => "signature_bad",
        }),
        ("clientDataJSON", _) => {
            let text = String::from_utf8_lossy(changed);
            // What nobody reads is left to the signature.
            let value = text.find("members that").unwrap_or(usize::MAX);
            let is_letter = changed[at].is_ascii_alphanumeric() || changed[at] == b' ';
            let inside = at > value && at < value + 30;
            (inside && is_letter).then_some("signature_bad")
        }
        _ => Some("signature_bad"),
    }
}

#[tokio::test]
async fn l24_to_l26_the_signature_is_by_this_key_over_this_message() {
    for bench in benches().await {
        for algorithm in ALGORITHMS {
            let mut ann = bench.person(algorithm).await;
            let ann = &mut ann;
            let bad = "signature_bad";
            let key = ann.authenticator.key.clone();
            bench
                .refuses_login(ann, case("L24", "set by hand", bad), |forged| {
                    forged.authenticator_data.flags &= !flag::USER_VERIFIED;
                    forged.signature = Some(key.sign(&forged.message()));
                    forged.authenticator_data.flags |= flag::USER_VERIFIED;
                })
                .await;
            // Another key of the same user, and one of somebody else.
            let mut second = authenticator(Algorithm::Es256, &format!("second {algorithm:?}"));
            bench.app.register(&ann.external_id, &mut second).await;
            let ben = bench.person(Algorithm::EdDsa).await;
            for (what, other) in [
                ("another key of the user", &second.key),
                ("a key of another user", &ben.authenticator.key),
                (
                    "a key of nobody",
                    &SigningKey::from_seed(Algorithm::Es256, "nobody"),
                ),
            ] {
                bench
                    .refuses_login(ann, case("L25", what, bad), |forged| {
                        forged.key = other.clone();
                    })
                    .await;
            }
            type Message = fn(&[u8], &[u8]) -> Vec<u8>;
            let messages: [(&str, Message); 7] = [
                ("client data only", |_, client| signatures::sha256(client)),
                ("authenticator data only", |data, _| data.to_vec()),
                ("hash of both", |data, client| {
                    signatures::sha256(&[data, &signatures::sha256(client)].concat())
                }),
                ("hash of the hash", |data, client| {
                    let hash = signatures::sha256(&signatures::sha256(client));
                    [data, &hash].concat()
                }),
                ("client data not hashed", |data, client| {
                    [data, client].concat()
                }),
                ("the other way round", |data, client| {
                    [&signatures::sha256(client), data].concat()
                }),
                ("nothing", |_, _| Vec::new()),
            ];
            for (what, message) in messages {
                bench
                    .refuses_login(ann, case("L26", what, bad), |forged| {
                        let data = forged.authenticator_data.bytes();
                        forged.signed = Some(message(&data, &forged.client_data.bytes()));
                    })
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn l27_and_l28_an_ecdsa_signature_is_strict_der_in_range() {
    for bench in benches().await {
        for algorithm in [Algorithm::Es256, Algorithm::Es384] {
            let mut ann = bench.person(algorithm).await;
            for (row, what, make) in signatures::ecdsa_faults() {
                let what = format!("{algorithm:?} {what}");
                bench
                    .refuses_login(&mut ann, case(row, &what, "signature_bad"), |forged| {
                        let good = loop {
                            let good = signatures::Ecdsa::read(&forged.key.sign(&forged.message()));
                            // Both without a zero in front, so that adding one is an excess.
                            if good.is_plain(algorithm) {
                                break good;
                            }
                        };
                        forged.signature = Some(make(&good, algorithm));
                    })
                    .await;
            }
        }
        for algorithm in ALGORITHMS {
            let mut ann = bench.person(algorithm).await;
            for zeros in [1, 64, 70, 72, 96, 256, 257] {
                let what = format!("{algorithm:?} {zeros} zeros");
                bench
                    .refuses_login(&mut ann, case("L28", &what, "signature_bad"), |forged| {
                        forged.signature = Some(vec![0; zeros]);
                    })
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn l29_an_rsa_signature_is_pkcs1_with_sha256_of_the_right_length() {
    for bench in benches().await {
        // One of exponent 3 and one of 65537.
        for key in signatures::rsa_keys().into_iter().take(2) {
            let mut ann = bench.newcomer(Algorithm::Es256);
            ann.authenticator = Authenticator::with_key(key.signing.clone(), &key.name);
            bench
                .app
                .register(&ann.external_id, &mut ann.authenticator)
                .await;
            for (what, make) in signatures::rsa_faults(&key) {
                let what = format!("{}: {what}", key.name);
                bench
                    .refuses_login(&mut ann, case("L29", &what, "signature_bad"), |forged| {
                        forged.signature = Some(make(&key, &forged.message()));
                    })
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn l30_an_ed25519_signature_is_reduced_and_plain() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::EdDsa).await;
        let seed = signatures::sha256(ann.external_id.as_bytes());
        for (what, make) in signatures::ed25519_faults() {
            bench
                .refuses_login(&mut ann, case("L30", what, "signature_bad"), |forged| {
                    let message = forged.message();
                    forged.signature = Some(make(&seed, &message, forged.key.sign(&message)));
                })
                .await;
        }
    }
}

#[tokio::test]
async fn l31_the_algorithm_is_that_of_the_record() {
    for bench in benches().await {
        for (recorded, used) in [
            (Algorithm::Es384, Algorithm::Es256),
            (Algorithm::Es256, Algorithm::Es384),
            (Algorithm::EdDsa, Algorithm::Es256),
            (Algorithm::Rs256, Algorithm::Es256),
        ] {
            let mut ann = bench.person(recorded).await;
            let other = SigningKey::from_seed(used, &ann.external_id);
            let what = format!("{used:?} for {recorded:?}");
            bench
                .refuses_login_json(&mut ann, case("L31", &what, "signature_bad"), |forged| {
                    forged.key = other.clone();
                    let mut json = forged.json();
                    json["response"]["publicKeyAlgorithm"] = json!(used.cose_id());
                    json["alg"] = json!(used.cose_id());
                    json
                })
                .await;
        }
    }
}

#[tokio::test]
async fn l32_and_l33_a_response_is_for_one_handshake_of_one_kind() {
    for bench in benches().await {
        for algorithm in ALGORITHMS {
            let mut ann = bench.person(algorithm).await;
            for way in WAYS {
                let ceremony = Ceremony::Login(way);
                let handshake = bench.start(ceremony, &ann.external_id).await;
                let used = handshake.authentication(&mut ann.authenticator);
                bench.finish(ceremony, &used).await.nonce();
                let case32 = case("L32", "an old login", "challenge_mismatch");
                let answer = outside(ceremony, case32.reason);
                bench
                    .refuses(case32, ceremony, &mut ann, answer, |_, handshake| {
                        handshake.finish(used["handshake_response"].clone())
                    })
                    .await;
                let case33 = case("L33", "a registration as a login", "request_malformed");
                let answer = outside(ceremony, case33.reason);
                bench
                    .refuses(case33, ceremony, &mut ann, answer, |person, handshake| {
                        let mut options = handshake.public_key.clone();
                        options["rp"] = json!({"id": "example.com"});
                        options["user"] = json!({"id": "AAAA"});
                        let authenticator = &mut person.authenticator;
                        let handle = authenticator.user_handle.clone();
                        let json = authenticator.create(&options, ORIGIN).json();
                        authenticator.user_handle = handle;
                        handshake.finish(json)
                    })
                    .await;
                // With the members of a login it is one of the wrong type.
                let case33 = case("L33", "a registration dressed as a login", "type_wrong");
                bench
                    .refuses_login_by(way, &mut ann, case33, |forged| {
                        forged.client_data.set("type", "webauthn.create");
                        forged.json()
                    })
                    .await;
            }
            let mut ben = bench.newcomer(Algorithm::Es256);
            let ceremony = Ceremony::Registration;
            let case33 = case("L33", "a login as a registration", "request_malformed");
            let answer = outside(ceremony, case33.reason);
            bench
                .refuses(case33, ceremony, &mut ben, answer, |_, handshake| {
                    let mut options = handshake.public_key.clone();
                    options["rpId"] = json!("example.com");
                    handshake.finish(ann.authenticator.get(&options, ORIGIN).json())
                })
                .await;
        }
    }
}

#[tokio::test]
async fn l34_a_counter_that_does_not_grow_is_refused_by_an_app_that_says_so() {
    let benches = benches_with(|new| new.settings.counter_policy = CounterPolicy::Refuse);
    for bench in benches.await {
        let mut holder = bench.key_holder().await;
        holder.authenticator.sign_count = 99;
        let login = Ceremony::Login(Way::Discoverable);
        let case34 = case("L34", "grown", "accepted");
        bench.accepts(case34, login, &mut holder).await;
        for (what, behind) in [("equal", 0), ("lower", 1), ("much lower", 90)] {
            let mut stored = holder.authenticator.sign_count;
            let case34 = case("L34", what, "counter_not_increased");
            for way in WAYS {
                bench
                    .refuses_login_by(way, &mut holder, case34, |forged| {
                        forged.authenticator_data.sign_count = stored - behind;
                        forged.json()
                    })
                    .await;
                stored = holder.authenticator.sign_count;
            }
        }
        bench
            .refuses_login(
                &mut holder,
                case("L34", "back to 0", "counter_not_increased"),
                |forged| {
                    forged.authenticator_data.sign_count = 0;
                },
            )
            .await;
        // Neither side counts.
        let mut ann = bench.person(Algorithm::Es256).await;
        bench
            .accepts_login(&mut ann, "P14", "0 after 0", |forged| forged.json())
            .await;
    }
}

#[tokio::test]
async fn l35_two_logins_in_reverse_order_leave_the_greater_counter() {
    for bench in benches().await {
        let mut holder = bench.key_holder().await;
        let ceremony = Ceremony::Login(Way::Discoverable);
        let first = bench.start(ceremony, &holder.external_id).await;
        let second = bench.start(ceremony, &holder.external_id).await;
        let earlier = first.authentication(&mut holder.authenticator);
        let later = second.authentication(&mut holder.authenticator);
        let counter = "SELECT sign_count AS count FROM passkeys_devices";
        let greatest = i64::from(holder.authenticator.sign_count);
        for finish in [later, earlier] {
            bench.finish(ceremony, &finish).await.nonce();
            assert_eq!(bench.house.count(counter).await, greatest);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l36_of_two_logins_with_one_counter_at_once_one_is_accepted() {
    let benches = benches_with(|new| new.settings.counter_policy = CounterPolicy::Refuse);
    for bench in benches.await {
        let mut holder = bench.key_holder().await;
        let ceremony = Ceremony::Login(Way::Discoverable);
        for _ in 0..10 {
            let mut rivals = Vec::new();
            let counted = holder.authenticator.sign_count;
            for _ in 0..2 {
                let handshake = bench.start(ceremony, &holder.external_id).await;
                holder.authenticator.sign_count = counted;
                let finish = handshake.authentication(&mut holder.authenticator);
                let app = bench.app.clone();
                let rival = async move { app.finish_authentication(&finish).await };
                rivals.push((handshake, tokio::spawn(rival)));
            }
            let mut won = 0;
            for (handshake, rival) in rivals {
                let answer = rival.await.unwrap();
                let reason = bench.recorded(&handshake).await;
                if answer.status == 200 {
                    won += 1;
                    assert_eq!(reason, Value::Null);
                } else {
                    answer.refuses(401, "discoverable_login_failed");
                    assert_eq!(reason, "counter_not_increased");
                }
            }
            assert_eq!(won, 1);
        }
    }
}

#[tokio::test]
async fn l37_a_refused_login_moves_no_counter() {
    for bench in benches().await {
        let mut holder = bench.key_holder().await;
        for (reason, flags) in [
            ("user_presence_missing", flag::USER_PRESENT),
            ("user_verification_missing", flag::USER_VERIFIED),
        ] {
            bench
                .refuses_login(
                    &mut holder,
                    case("L37", "a huge counter", reason),
                    |forged| {
                        forged.authenticator_data.sign_count = u32::MAX;
                        forged.authenticator_data.flags &= !flags;
                    },
                )
                .await;
        }
        bench
            .refuses_login(
                &mut holder,
                case("L37", "a huge counter", "signature_bad"),
                |forged| {
                    forged.authenticator_data.sign_count = u32::MAX;
                    forged.signature = Some(vec![0; 70]);
                },
            )
            .await;
    }
}

#[tokio::test]
async fn l38_only_the_holder_of_the_key_learns_that_a_user_is_deactivated() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let ceremony = Ceremony::Login(Way::Discoverable);
        let good = bench.start(ceremony, "").await;
        let bad = bench.start(ceremony, "").await;
        let user_id = bench.app.user_id(&ann.external_id).await;
        let path = format!("users/{user_id}/deactivate");
        bench.app.manage(axum::http::Method::PATCH, &path).await;
        let stored = bench.stored().await;
        let mut forged = ann.authenticator.get(&bad.public_key, ORIGIN);
        forged.signature = Some(vec![0; 70]);
        let answer = bench.finish(ceremony, &bad.finish(forged.json())).await;
        answer.refuses(401, "discoverable_login_failed");
        assert_eq!(bench.recorded(&bad).await, "signature_bad");
        let finish = good.authentication(&mut ann.authenticator);
        bench
            .finish(ceremony, &finish)
            .await
            .refuses(403, "user_not_active");
        assert_eq!(bench.recorded(&good).await, "user_inactive");
        assert_eq!(bench.stored().await, stored);
        let path = format!("users/{user_id}/activate");
        bench.app.manage(axum::http::Method::PATCH, &path).await;
        let case38 = case("L38", "active again", "accepted");
        bench.accepts(case38, ceremony, &mut ann).await;
    }
}

/// No credential is kept as a second factor only: one that says it is not discoverable is not kept at all.
#[tokio::test]
async fn l39_there_is_no_second_factor_to_log_in_with() {
    for bench in benches().await {
        let mut ann = bench.newcomer(Algorithm::Es256);
        let ceremony = Ceremony::Registration;
        let handshake = bench.start(ceremony, &ann.external_id).await;
        let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
        forged.client_extension_results = Some(json!({"credProps": {"rk": false}}));
        let answer = bench
            .finish(ceremony, &handshake.finish(forged.json()))
            .await;
        answer.refuses(401, "webauthn_login_failed");
        assert_eq!(bench.recorded(&handshake).await, "extension_output_bad");
        let ceremony = Ceremony::Login(Way::Discoverable);
        let handshake = bench.start(ceremony, "").await;
        let finish = handshake.authentication(&mut ann.authenticator);
        let answer = bench.finish(ceremony, &finish).await;
        answer.refuses(401, "discoverable_login_failed");
        assert_eq!(bench.recorded(&handshake).await, "credential_unknown");
    }
}

/// A login asks for no extension, so all that comes back is ignored.
#[tokio::test]
async fn l40_extension_outputs_that_nobody_asked_for_are_ignored() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        for outputs in [
            json!(1),
            json!([]),
            json!("credProps"),
            json!({"credProps": 1}),
            json!({"credProps": {"rk": false}}),
            json!({"prf": {"results": {"first": 1}}}),
            json!({"largeBlob": {"blob": "x", "written": true}}),
            json!({"unknown": "x".repeat(100_000)}),
        ] {
            let what: String = outputs.to_string().chars().take(40).collect();
            bench
                .accepts_login(&mut ann, "L40", &what, |forged| {
                    let mut json = forged.json();
                    json["clientExtensionResults"] = outputs.clone();
                    json
                })
                .await;
        }
    }
}

/// Not the user's fault and not told as such, but recorded: else nobody would know why somebody cannot log in.
#[tokio::test]
async fn l41_a_damaged_key_is_our_fault_and_recorded() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let good = ann.authenticator.key.cose_key().encode();
        let mut changed = good.clone();
        changed[20] ^= 1;
        let mut renamed = ann.authenticator.key.cose_key();
        renamed.set(Item::Int(3), Item::Int(Algorithm::Es384.cose_id()));
        for (what, damaged) in [
            ("one bit", changed),
            ("cut", good[..good.len() - 1].to_vec()),
            ("empty", vec![]),
            ("of another algorithm", renamed.encode()),
        ] {
            for way in WAYS {
                let ceremony = Ceremony::Login(way);
                let handshake = bench.start(ceremony, &ann.external_id).await;
                let finish = handshake.authentication(&mut ann.authenticator);
                set_key(&bench, damaged.clone()).await;
                let stored = bench.stored().await;
                let answer = bench.finish(ceremony, &finish).await;
                answer.refuses(500, "internal_server_error");
                let recorded = bench.recorded(&handshake).await;
                assert_eq!(recorded, "stored_credential_damaged", "{what}");
                assert_eq!(bench.stored().await, stored, "{what}");
                set_key(&bench, good.clone()).await;
                // Spent like any other, so that it has one outcome.
                bench
                    .finish(ceremony, &finish)
                    .await
                    .refuses(400, "invalid_request");
                let case41 = case("L41", what, "repaired");
                bench.accepts(case41, ceremony, &mut ann).await;
            }
        }
    }
}

async fn set_key(bench: &Bench, key: Vec<u8>) {
    let db = &bench.house.platform.db;
    db.write(async move |tx| {
        let sql = "UPDATE passkeys_devices SET public_key = $1";
        tx.execute(sql, platform::values![key.clone()]).await
    })
    .await
    .unwrap();
}

/// At options time nobody is named: a page asks with a transaction, whose id only the customer's server got, or with
/// nothing. Whatever else it sends makes no difference, so it learns nothing about anybody.
#[tokio::test]
async fn l42_the_start_of_a_login_tells_nothing_about_users() {
    for bench in benches().await {
        let ann: Person = bench.person(Algorithm::Es256).await;
        let ben = bench.newcomer(Algorithm::Es256);
        bench.start(Ceremony::Registration, &ben.external_id).await;
        let ann_id = bench.app.user_id(&ann.external_id).await;
        let mut shapes = Vec::new();
        for body in [
            json!({}),
            json!({"external_id": ann.external_id}),
            json!({"external_id": ben.external_id}),
            json!({"external_id": "nobody"}),
            json!({"user_id": ann_id, "identifier": ann.external_id}),
            json!({"allowCredentials": [ann_id], "username": ann.external_id}),
        ] {
            let path = "authenticate/transactions/webauthn/start";
            let mut answer = bench.app.browser(path, body).await;
            assert_eq!(answer.status, 200);
            answer.body["handshake"]["id"].take();
            let options = &mut answer.body["handshake"]["challenge"]["publicKey"];
            options["challenge"].take();
            assert!(options.get("allowCredentials").is_none(), "{options}");
            shapes.push(answer.body);
        }
        assert!(shapes.iter().all(|shape| *shape == shapes[0]), "{shapes:?}");
        // A transaction that does not exist looks the same whoever it might have been for.
        let path = "authenticate/transactions/webauthn/start";
        let unknown = json!({"transaction_id": UNKNOWN_ID});
        bench
            .app
            .browser(path, unknown)
            .await
            .refuses(404, "transaction_not_found");
    }
}

fn remove(json: &mut Value, name: &str) {
    json.as_object_mut().unwrap().remove(name).unwrap();
}
