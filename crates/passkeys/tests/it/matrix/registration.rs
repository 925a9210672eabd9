//! Registrations that are refused: R01 to R07 and R23 to R50. Those of the client data are in `client_data`.

use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{Authenticator, ForgedRegistration, Item, SigningKey, flag, rp_id_hash},
};

use super::{
    Bench, Case, Ceremony, benches, benches_with, case, not_base64url, outside, signatures,
};
use crate::house::ORIGIN;

#[tokio::test]
async fn r01_to_r07_the_json_is_well_formed() {
    for bench in benches().await {
        let malformed = "request_malformed";
        for (what, wrong) in not_base64url(&id_of_somebody()) {
            edited(&bench, case("R01", what, malformed), |json| {
                json["id"] = wrong.clone();
                json["rawId"] = wrong.clone();
            })
            .await;
        }
        edited(&bench, case("R01", "missing", malformed), |json| {
            remove(json, "id");
        })
        .await;
        edited(&bench, case("R02", "missing", malformed), |json| {
            remove(json, "type");
        })
        .await;
        for wrong in [
            json!(null),
            json!(1),
            json!([]),
            json!(""),
            json!("password"),
            json!("Public-Key"),
            json!("public-key "),
        ] {
            edited(&bench, case("R02", &wrong.to_string(), malformed), |json| {
                json["type"] = wrong.clone();
            })
            .await;
        }
        edited(&bench, case("R03", "missing", malformed), |json| {
            remove(json, "response");
        })
        .await;
        for wrong in [json!(null), json!([]), json!("{}"), json!(1), json!({})] {
            edited(&bench, case("R03", &wrong.to_string(), malformed), |json| {
                json["response"] = wrong.clone();
            })
            .await;
        }
        // What the browser SDK posts when the browser gave it nothing.
        let nothing = json!({
            "rawId": "",
            "type": "",
            "response": {"attestationObject": "", "clientDataJSON": ""},
            "transports": [],
        });
        for whole in [
            nothing,
            json!(null),
            json!([]),
            json!("text"),
            json!(1),
            json!({}),
        ] {
            let what = format!("{whole} for the whole");
            edited(&bench, case("R03", &what, malformed), |json| {
                *json = whole.clone();
            })
            .await;
        }
        for (row, name) in [("R04", "clientDataJSON"), ("R05", "attestationObject")] {
            edited(&bench, case(row, "missing", malformed), |json| {
                remove(&mut json["response"], name);
            })
            .await;
            edited(&bench, case(row, "empty", malformed), |json| {
                json["response"][name] = json!("");
            })
            .await;
            for (what, wrong) in not_base64url("eyJ0eXBlIjoi") {
                edited(&bench, case(row, what, malformed), |json| {
                    json["response"][name] = wrong.clone();
                })
                .await;
            }
        }
        edited(&bench, case("R06", "another id", malformed), |json| {
            json["rawId"] = json!("AAAA");
        })
        .await;
        edited(&bench, case("R06", "a number", malformed), |json| {
            json["rawId"] = json!(1);
        })
        .await;
        let mismatch = "credential_id_mismatch";
        broken(&bench, case("R07", "one bit", mismatch), |forged| {
            forged.credential_id[0] ^= 1;
        })
        .await;
        broken(&bench, case("R07", "a prefix", mismatch), |forged| {
            forged.credential_id.pop();
        })
        .await;
        broken(&bench, case("R07", "empty", mismatch), |forged| {
            forged.credential_id.clear();
        })
        .await;
    }
}

#[tokio::test]
async fn r23_to_r25_the_attestation_object_is_one_readable_map() {
    for bench in benches().await {
        let whole = {
            let mut person = bench.newcomer(Algorithm::Es256);
            let handshake = bench
                .start(Ceremony::Registration, &person.external_id)
                .await;
            let forged = person.authenticator.create(&handshake.public_key, ORIGIN);
            forged.attestation_object_item().encode()
        };
        // Every length is cut in the tests of the pure rules; here the ends of its parts.
        for length in [1, 2, 5, 10, 19, 20, 30, 40, 70, whole.len() - 1] {
            object_bytes(&bench, "R23", &format!("cut to {length} bytes"), |whole| {
                whole[..length].to_vec()
            })
            .await;
        }
        for (what, raw) in [
            ("not CBOR", vec![0xff; 40]),
            ("a text", Item::text("fmt").encode()),
            ("a list", Item::Array(vec![Item::text("none")]).encode()),
            ("a number", vec![7]),
            (
                "JSON",
                br#"{"fmt":"none","attStmt":{},"authData":""}"#.to_vec(),
            ),
        ] {
            object_bytes(&bench, "R23", what, |_| raw.clone()).await;
        }
        for name in ["fmt", "attStmt", "authData"] {
            object(&bench, "R23", &format!("{name} as bytes"), |object| {
                for (key, _) in object.entries() {
                    if *key == Item::text(name) {
                        *key = Item::Bytes(name.into());
                    }
                }
            })
            .await;
            object(&bench, "R24", &format!("no {name}"), |object| {
                object.remove(&Item::text(name));
            })
            .await;
            object(&bench, "R25", &format!("{name} twice"), |object| {
                let entries = object.entries();
                let twin = entries.iter().find(|(key, _)| *key == Item::text(name));
                let twin = twin.cloned().unwrap();
                entries.push(twin);
            })
            .await;
        }
        let wrong = [
            ("fmt", Item::Int(1)),
            ("fmt", Item::Bytes(b"none".to_vec())),
            ("fmt", Item::Bool(true)),
            ("attStmt", Item::Int(1)),
            ("attStmt", Item::Array(vec![])),
            ("attStmt", Item::Bytes(vec![0xa0])),
            ("authData", Item::Int(1)),
            ("authData", Item::Map(vec![])),
            ("authData", Item::text("data")),
        ];
        for (name, value) in wrong {
            object(&bench, "R24", &format!("{name} {value:?}"), |object| {
                object.set(Item::text(name), value.clone());
            })
            .await;
        }
        object(&bench, "R25", "a key of the statement twice", |object| {
            let twin = (Item::text("sig"), Item::Int(1));
            object.set(Item::text("fmt"), Item::text("packed"));
            object.set(Item::text("attStmt"), Item::Map(vec![twin.clone(), twin]));
        })
        .await;
        object_bytes(&bench, "R25", "a byte behind", |whole| {
            [whole, &[0]].concat()
        })
        .await;
        object_bytes(&bench, "R25", "itself behind", |whole| {
            [whole, whole].concat()
        })
        .await;
        let mut nested = vec![0x9f; 1000];
        nested.extend([0xff; 1000]);
        for (what, bomb) in [
            ("1000 indefinite lists", nested),
            ("50 000 lists", [vec![0x81; 50_000], vec![0]].concat()),
            (
                "25 000 maps",
                [[0xa1, 0x00].repeat(25_000), vec![0]].concat(),
            ),
            ("an indefinite map", vec![0xbf, 0xff]),
            ("2^63 bytes", vec![0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("2^63 items", vec![0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
            ("2^63 entries", vec![0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            for name in ["fmt", "attStmt", "authData", "more"] {
                object(&bench, "R25", &format!("{name} of {what}"), |object| {
                    object.set(Item::text(name), Item::Raw(bomb.clone()));
                })
                .await;
            }
        }
    }
}

#[tokio::test]
async fn r26_to_r30_authenticator_data_is_what_its_flags_say_and_for_this_rp_id() {
    for bench in benches().await {
        let malformed = "authenticator_data_malformed";
        let whole = 37 + 16 + 2 + 32 + 77;
        for length in [0, 1, 32, 36, 37, 40, 52, 54, 55, 70, 86, 87, 100, whole - 1] {
            let what = format!("cut to {length} of {whole} bytes");
            broken(&bench, case("R26", &what, malformed), |forged| {
                let bytes = forged.authenticator_data.bytes();
                assert_eq!(bytes.len(), whole);
                let mut object = forged.attestation_object_item();
                object.set(
                    Item::text("authData"),
                    Item::Bytes(bytes[..length].to_vec()),
                );
                forged.attestation_object = Some(object.encode());
            })
            .await;
        }
        for length in [65_535, 1_000] {
            let what = format!("an id of {length} bytes, beyond the end");
            broken(&bench, case("R26", &what, malformed), |forged| {
                forged.attested().credential_id_length = Some(length);
            })
            .await;
        }
        broken(
            &bench,
            case("R26", "a key that is not CBOR", malformed),
            |forged| {
                forged.attested().public_key = vec![0xff; 70];
            },
        )
        .await;
        let missing = "attested_data_missing";
        broken(
            &bench,
            case("R27", "flag clear, data there", missing),
            |forged| {
                forged.authenticator_data.flags &= !flag::ATTESTED;
            },
        )
        .await;
        broken(
            &bench,
            case("R27", "flag clear, no data", missing),
            |forged| {
                forged.authenticator_data.flags &= !flag::ATTESTED;
                forged.authenticator_data.attested = None;
            },
        )
        .await;
        broken(
            &bench,
            case("R28", "flag set, no data", malformed),
            |forged| {
                forged.authenticator_data.attested = None;
            },
        )
        .await;
        broken(
            &bench,
            case("R29", "flag clear, bytes left", malformed),
            |forged| {
                forged.authenticator_data.trailing = vec![0xa0];
            },
        )
        .await;
        for (what, outputs) in [
            ("flag set, no bytes", None),
            ("a list", Some(vec![0x80])),
            ("a number", Some(vec![7])),
            ("bytes behind the map", Some(vec![0xa0, 0])),
            ("a map cut short", Some(vec![0xa1, 0x61, 0x61])),
            (
                "a name twice",
                Some(vec![0xa2, 0x61, 0x61, 0, 0x61, 0x61, 0]),
            ),
        ] {
            broken(&bench, case("R29", what, malformed), |forged| {
                forged.authenticator_data.flags |= flag::EXTENSIONS;
                forged.authenticator_data.extensions = outputs;
            })
            .await;
        }
        let mismatch = "rp_id_hash_mismatch";
        for other in [
            "other.example",
            "https://example.com",
            "EXAMPLE.COM",
            "www.example.com",
            "com",
            "",
        ] {
            broken(&bench, case("R30", other, mismatch), |forged| {
                forged.authenticator_data.rp_id_hash = rp_id_hash(other);
            })
            .await;
        }
        broken(&bench, case("R30", "zero", mismatch), |forged| {
            forged.authenticator_data.rp_id_hash = [0; 32];
        })
        .await;
    }
}

#[tokio::test]
async fn r31_to_r34_the_flags_are_those_that_were_demanded() {
    for bench in benches().await {
        let missing = "user_presence_missing";
        broken(&bench, case("R31", "clear", missing), |forged| {
            forged.authenticator_data.flags &= !flag::USER_PRESENT;
        })
        .await;
        broken(
            &bench,
            case("R31", "clear, verified as well", missing),
            |forged| {
                forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
            },
        )
        .await;
        let unverified = "user_verification_missing";
        broken(&bench, case("R32", "clear", unverified), |forged| {
            forged.authenticator_data.flags &= !flag::USER_VERIFIED;
        })
        .await;
        broken(
            &bench,
            case("R33", "says the client data", missing),
            |forged| {
                forged.authenticator_data.flags &= !flag::USER_PRESENT;
                forged.client_data.set("mediation", "conditional");
            },
        )
        .await;
        refused(&bench, case("R33", "says the body", missing), |forged| {
            forged.authenticator_data.flags &= !flag::USER_PRESENT;
            let mut json = forged.json();
            json["mediation"] = json!("conditional");
            json["response"]["mediation"] = json!("conditional");
            json
        })
        .await;
        let impossible = "backup_flags_impossible";
        broken(
            &bench,
            case("R34", "backed up, not eligible", impossible),
            |forged| {
                forged.authenticator_data.flags &= !flag::BACKUP_ELIGIBLE;
                forged.authenticator_data.flags |= flag::BACKED_UP;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn r35_to_r40_the_key_is_a_whole_one_of_an_offered_algorithm() {
    for bench in benches().await {
        let not_offered = "algorithm_not_offered";
        for id in [
            -47,
            -65_535,
            -37,
            -53,
            -48,
            -49,
            -50,
            -36,
            -19,
            0,
            7,
            i64::MIN,
        ] {
            key(&bench, case("R35", &id.to_string(), not_offered), |key| {
                key.set(Item::Int(3), Item::Int(id));
            })
            .await;
        }
        let malformed = "public_key_malformed";
        key(&bench, case("R35", "missing", malformed), |key| {
            key.remove(&Item::Int(3));
        })
        .await;
        for wrong in [Item::text("ES256"), Item::Bytes(vec![7]), Item::Bool(true)] {
            key(
                &bench,
                case("R35", &format!("{wrong:?}"), malformed),
                |key| {
                    key.set(Item::Int(3), wrong.clone());
                },
            )
            .await;
        }
        for (what, label, value) in [
            ("ES256 of kty OKP", 1, Item::Int(1)),
            ("ES256 of kty RSA", 1, Item::Int(3)),
            ("ES256 of kty symmetric", 1, Item::Int(4)),
            ("ES256 of kty text", 1, Item::text("EC2")),
            ("ES256 with EdDSA's number", 3, Item::Int(-8)),
            ("ES256 with RS256's number", 3, Item::Int(-257)),
            ("P-256 with -35", 3, Item::Int(-35)),
            ("P-384 by name with -7", -1, Item::Int(2)),
            ("secp256k1 with -7", -1, Item::Int(8)),
            ("P-256 by text", -1, Item::text("P-256")),
        ] {
            key(&bench, case("R36", what, malformed), |key| {
                key.set(Item::Int(label), value.clone());
            })
            .await;
        }
        key(
            &bench,
            case("R36", "a key on P-384 with -7", malformed),
            |key| {
                *key = SigningKey::from_seed(Algorithm::Es384, "another").cose_key();
                key.set(Item::Int(3), Item::Int(-7));
            },
        )
        .await;
        let mut ed448 = okp(vec![9; 57]);
        ed448.set(Item::Int(-1), Item::Int(7));
        key(&bench, case("R36", "Ed448 with -8", malformed), |key| {
            *key = ed448.clone()
        })
        .await;
        key(
            &bench,
            case("R36", "no key but a number", malformed),
            |key| {
                *key = Item::Int(1);
            },
        )
        .await;

        for algorithm in [Algorithm::Es256, Algorithm::Es384] {
            broken_ec_keys(&bench, algorithm).await;
        }
        // ES512 is known to the verifier, but this app does not offer it: R38 names it for apps that do.
        for (what, x) in [("31 bytes", vec![9; 31]), ("33 bytes", vec![9; 33])] {
            key(&bench, case("R40", what, malformed), |key| {
                *key = okp(x.clone())
            })
            .await;
        }
        let small = signatures::data()["ed25519_small_order_y"].clone();
        for y in small.as_array().unwrap() {
            for sign in [0, 0x80] {
                let mut x = hex::decode(y.as_str().unwrap()).unwrap();
                x[31] |= sign;
                let what = format!("small order {}", hex::encode(&x));
                key(&bench, case("R40", &what, "public_key_weak"), |key| {
                    *key = okp(x.clone())
                })
                .await;
            }
        }
    }
}

/// R37 to R39 for one curve.
async fn broken_ec_keys(bench: &Bench, algorithm: Algorithm) {
    let malformed = "public_key_malformed";
    let good = SigningKey::from_seed(algorithm, "another").cose_key();
    let coordinate = |label: i64| match signatures::member(&good, label) {
        Item::Bytes(bytes) => bytes,
        other => panic!("no coordinate: {other:?}"),
    };
    let (x, y) = (coordinate(-2), coordinate(-3));
    let size = x.len();
    let with = |x: Vec<u8>, y: Vec<u8>| {
        let mut key = good.clone();
        key.set(Item::Int(-2), Item::Bytes(x));
        key.set(Item::Int(-3), Item::Bytes(y));
        key
    };
    let mut off = y.clone();
    off[5] ^= 1;
    let prime = match algorithm {
        Algorithm::Es256 => P256_PRIME,
        _ => P384_PRIME,
    };
    let edited = |edit: fn(&mut Item)| {
        let mut key = good.clone();
        edit(&mut key);
        key
    };
    for (row, what, broken) in [
        ("R37", "off the curve", with(x.clone(), off)),
        ("R37", "zero", with(vec![0; size], vec![0; size])),
        ("R37", "x short", with(x[1..].to_vec(), y.clone())),
        ("R37", "y short", with(x.clone(), y[1..].to_vec())),
        ("R37", "x long", with([&[0], &x[..]].concat(), y.clone())),
        ("R37", "y long", with(x.clone(), [&[0], &y[..]].concat())),
        (
            "R37",
            "x is the prime",
            with(hex::decode(prime).unwrap(), y.clone()),
        ),
        ("R37", "x all ones", with(vec![0xff; size], y.clone())),
        (
            "R38",
            "compressed, even",
            edited(|key| key.set(Item::Int(-3), Item::Bool(false))),
        ),
        (
            "R38",
            "compressed, odd",
            edited(|key| key.set(Item::Int(-3), Item::Bool(true))),
        ),
        ("R39", "without y", edited(|key| key.remove(&Item::Int(-3)))),
        ("R39", "without x", edited(|key| key.remove(&Item::Int(-2)))),
        (
            "R39",
            "x twice",
            edited(|key| {
                let twin = (Item::Int(-2), signatures::member(key, -2));
                key.entries().push(twin);
            }),
        ),
        (
            "R39",
            "with a private part",
            edited(|key| {
                key.set(Item::Int(-4), Item::Bytes(vec![1; 32]));
            }),
        ),
    ] {
        let what = format!("{algorithm:?} {what}");
        key(bench, case(row, &what, malformed), |key| {
            *key = broken.clone()
        })
        .await;
    }
}

#[tokio::test]
async fn r41_an_rsa_key_has_strength() {
    for bench in benches().await {
        let odd = |bytes: usize| {
            let mut n = vec![0xff; bytes];
            n[bytes - 1] = 0xf1;
            n
        };
        let weak = "public_key_weak";
        for (what, n) in [
            ("1024 bits", odd(128)),
            ("2047 bits", [&[0x7f][..], &odd(255)].concat()),
            ("1024 bits, padded", [vec![0; 128], odd(128)].concat()),
            ("even", [&odd(255)[..], &[0xf0]].concat()),
            ("0", vec![0; 256]),
            ("nothing", vec![]),
            ("8193 bits", [&[1][..], &odd(1024)].concat()),
            ("400 000 bits", odd(50_000)),
        ] {
            let what = format!("modulus of {what}");
            key(&bench, case("R41", &what, weak), |key| {
                *key = rsa(&n, &[1, 0, 1])
            })
            .await;
        }
        for (what, e) in [
            ("0", vec![0]),
            ("1", vec![1]),
            ("2", vec![2]),
            ("65536", vec![1, 0, 0]),
            ("34 bits", vec![2, 0, 0, 0, 1]),
            ("nothing", vec![]),
            ("more than the modulus", odd(257)),
        ] {
            let what = format!("exponent {what}");
            key(&bench, case("R41", &what, weak), |key| {
                *key = rsa(&odd(256), &e)
            })
            .await;
        }
    }
}

#[tokio::test]
async fn r42_a_credential_id_has_1_to_1023_bytes() {
    for bench in benches().await {
        for length in [0, 1024, 4096] {
            let what = format!("{length} bytes");
            broken(&bench, case("R42", &what, "credential_id_bad"), |forged| {
                forged.credential_id = vec![7; length];
                forged.attested().credential_id = vec![7; length];
            })
            .await;
        }
        let malformed = "authenticator_data_malformed";
        broken(
            &bench,
            case("R42", "65535 announced", malformed),
            |forged| {
                forged.attested().credential_id_length = Some(65_535);
            },
        )
        .await;
    }
}

#[tokio::test]
async fn r43_and_r45_a_credential_is_registered_once_in_an_app() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let mut bob = bench.person(Algorithm::Es256).await;
        let taken = ann.authenticator.credential_id.clone();
        let known = "credential_already_registered";
        let registration = Ceremony::Registration;
        for (row, what, person, key) in [
            ("R43", "of the same user", &mut ann, "another"),
            ("R43", "of another user", &mut bob, "another"),
        ] {
            let thief = SigningKey::from_seed(Algorithm::Es256, key);
            // The unbroken ceremony is one with an authenticator of its own.
            let mine = std::mem::replace(
                &mut person.authenticator,
                Authenticator::new(Algorithm::Es256, &format!("{what}, second")),
            );
            let case = case(row, what, known);
            let answer = outside(registration, known);
            bench
                .refuses(case, registration, person, answer, |_, handshake| {
                    let mut forged = Authenticator::with_key(thief, "thief");
                    forged.credential_id = taken.clone();
                    handshake.registration(&mut forged)
                })
                .await;
            person.authenticator = mine;
        }
        // An honest authenticator finds itself on the list; this client ignores that.
        let excluded = signatures::base64url(&taken);
        let mine = std::mem::replace(
            &mut ann.authenticator,
            Authenticator::new(Algorithm::Es256, "third"),
        );
        let mut ignorant = Authenticator::with_key(mine.key.clone(), "ann");
        ignorant.credential_id = taken;
        let case = case("R45", "on the list", known);
        bench
            .refuses(
                case,
                registration,
                &mut ann,
                outside(registration, known),
                |_, handshake| {
                    let list = handshake.public_key["excludeCredentials"]
                        .as_array()
                        .unwrap();
                    assert!(list.iter().any(|one| one["id"] == json!(excluded)));
                    handshake.registration(&mut ignorant)
                },
            )
            .await;
        // The stored key still is the first one's.
        ann.authenticator = mine;
        let login = Ceremony::Login(super::Way::Discoverable);
        bench.accepts(case, login, &mut ann).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn r44_of_two_handshakes_at_once_one_gets_the_credential() {
    for bench in benches().await {
        let ann = bench.newcomer(Algorithm::Es256);
        let mut authenticator = ann.authenticator;
        for other in ["the same user", "another user"] {
            authenticator.credential_id[0] ^= 1;
            let other = match other {
                "the same user" => &ann.external_id,
                other => other,
            };
            let mut handshakes = Vec::new();
            let mut finishes = Vec::new();
            for external_id in [&*ann.external_id, other] {
                let handshake = bench.start(Ceremony::Registration, external_id).await;
                finishes.push(handshake.registration(&mut authenticator));
                handshakes.push(handshake);
            }
            let rivals: Vec<_> = finishes
                .into_iter()
                .map(|finish| {
                    let app = bench.app.clone();
                    tokio::spawn(async move { app.finish_registration(&finish).await })
                })
                .collect();
            let mut won = 0;
            for (rival, handshake) in rivals.into_iter().zip(&handshakes) {
                let answer = rival.await.unwrap();
                let recorded = bench.recorded(handshake).await;
                if answer.status == 200 {
                    won += 1;
                    assert_eq!(recorded, Value::Null);
                } else {
                    answer.refuses(401, "webauthn_login_failed");
                    assert_eq!(recorded, "credential_already_registered");
                }
            }
            assert_eq!(won, 1);
        }
    }
}

#[tokio::test]
async fn r46_to_r48_what_the_client_adds_has_its_type_and_size() {
    for bench in benches().await {
        let bad = "extension_output_bad";
        for (row, outputs) in [
            // Every app demands discoverable credentials.
            ("R46", json!({"credProps": {"rk": false}})),
            ("R47", json!({"credProps": 1})),
            ("R47", json!({"credProps": "rk"})),
            ("R47", json!({"credProps": [true]})),
            ("R47", json!({"credProps": {"rk": "yes"}})),
            ("R47", json!({"credProps": {"rk": 1}})),
            ("R47", json!("credProps")),
            ("R47", json!([])),
        ] {
            broken(&bench, case(row, &outputs.to_string(), bad), |forged| {
                forged.client_extension_results = Some(outputs.clone());
            })
            .await;
        }
        // Nobody asked for these.
        for outputs in [
            json!({"prf": {"results": {"first": 1}}}),
            json!({"prf": 1, "largeBlob": "x", "credProps": {"rk": true}}),
            json!({"unknown": "x".repeat(100_000)}),
        ] {
            let what: String = outputs.to_string().chars().take(60).collect();
            bench
                .accepts_registration("R47", &what, Algorithm::Es256, |forged| {
                    forged.client_extension_results = Some(outputs);
                    forged.json()
                })
                .await;
        }
        let malformed = "request_malformed";
        for wrong in [
            json!("usb"),
            json!({"usb": true}),
            json!(1),
            json!([1]),
            json!(["usb", null]),
            json!(vec!["usb"; 17]),
            json!(vec!["usb"; 1000]),
            json!(["x".repeat(33)]),
            json!(["x".repeat(10_000)]),
        ] {
            let what: String = wrong.to_string().chars().take(40).collect();
            edited(&bench, case("R48", &what, malformed), |json| {
                json["transports"] = wrong.clone();
            })
            .await;
            edited(
                &bench,
                case("R48", &format!("{what} inside"), malformed),
                |json| {
                    remove(json, "transports");
                    json["response"]["transports"] = wrong.clone();
                },
            )
            .await;
            edited(
                &bench,
                case(
                    "R48",
                    &format!("{what} inside, good ones outside"),
                    malformed,
                ),
                |json| {
                    json["transports"] = json!(["internal"]);
                    json["response"]["transports"] = wrong.clone();
                },
            )
            .await;
        }
    }
}

#[tokio::test]
async fn r49_an_app_may_refuse_passkeys_that_can_be_copied() {
    let benches = benches_with(|new| new.settings.allows_synced_passkeys = false);
    for bench in benches.await {
        for (what, flags) in [
            ("eligible", flag::BACKUP_ELIGIBLE),
            ("backed up", flag::BACKUP_ELIGIBLE | flag::BACKED_UP),
        ] {
            let mut holder = bench.newcomer(Algorithm::Es256);
            holder.authenticator =
                Authenticator::security_key(Algorithm::Es256, &holder.external_id);
            let case = case("R49", what, "model_not_allowed");
            let ceremony = Ceremony::Registration;
            bench
                .refuses(
                    case,
                    ceremony,
                    &mut holder,
                    outside(ceremony, case.reason),
                    |person, handshake| {
                        let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
                        forged.authenticator_data.flags |= flags;
                        handshake.finish(forged.json())
                    },
                )
                .await;
        }
    }
}

/// An AAGUID that nobody attests proves nothing, so such a list cannot be set; neither for a new app.
#[tokio::test]
async fn r50_a_list_of_models_needs_attestation() {
    for bench in benches().await {
        let aaguid = "d548826e-79b4-db40-a3d8-11116f7e8349";
        let before = bench.app.get("").await;
        for settings in [
            json!({"allowed_aaguids": [aaguid]}),
            json!({"allowed_aaguids": [aaguid], "attestation": "none"}),
            // Nor does attestation without anybody who is believed.
            json!({"allowed_aaguids": [aaguid], "attestation": "direct"}),
        ] {
            let answer = bench.app.patch(json!({"settings": settings})).await;
            answer.refuses(400, "invalid_request");
        }
        assert_eq!(bench.app.get("").await, before);
        let mut new = super::strict_app();
        new.settings.attestation.allowed_aaguids = vec![aaguid.parse().unwrap()];
        let created = bench.house.passkeys.create_app("organization", new).await;
        assert!(
            matches!(
                created,
                Err(passkeys::Failure::Refusal(
                    passkeys::Refusal::InvalidRequest(_)
                ))
            ),
            "{created:?}"
        );
    }
}

async fn broken(bench: &Bench, case: Case<'_>, break_it: impl FnOnce(&mut ForgedRegistration)) {
    bench.refuses_registration(case, break_it).await;
}

async fn edited(bench: &Bench, case: Case<'_>, edit: impl FnOnce(&mut Value)) {
    bench.refuses_edited_registration(case, edit).await;
}

async fn refused(
    bench: &Bench,
    case: Case<'_>,
    make: impl FnOnce(&mut ForgedRegistration) -> Value,
) {
    bench.refuses_registration_json(case, make).await;
}

async fn object(bench: &Bench, row: &str, what: &str, break_it: impl FnOnce(&mut Item)) {
    let case = case(row, what, "attestation_object_malformed");
    broken(bench, case, |forged| {
        let mut object = forged.attestation_object_item();
        break_it(&mut object);
        forged.attestation_object = Some(object.encode());
    })
    .await;
}

async fn object_bytes(bench: &Bench, row: &str, what: &str, make: impl FnOnce(&[u8]) -> Vec<u8>) {
    let case = case(row, what, "attestation_object_malformed");
    broken(bench, case, |forged| {
        forged.attestation_object = Some(make(&forged.attestation_object_item().encode()));
    })
    .await;
}

async fn key(bench: &Bench, case: Case<'_>, break_it: impl FnOnce(&mut Item)) {
    broken(bench, case, |forged| {
        let mut key = SigningKey::from_seed(Algorithm::Es256, "a key to be broken").cose_key();
        break_it(&mut key);
        forged.attested().public_key = key.encode();
    })
    .await;
}

fn okp(x: Vec<u8>) -> Item {
    Item::Map(vec![
        (Item::Int(1), Item::Int(1)),
        (Item::Int(3), Item::Int(-8)),
        (Item::Int(-1), Item::Int(6)),
        (Item::Int(-2), Item::Bytes(x)),
    ])
}

fn rsa(n: &[u8], e: &[u8]) -> Item {
    Item::Map(vec![
        (Item::Int(1), Item::Int(3)),
        (Item::Int(3), Item::Int(-257)),
        (Item::Int(-1), Item::Bytes(n.to_vec())),
        (Item::Int(-2), Item::Bytes(e.to_vec())),
    ])
}

fn remove(json: &mut Value, name: &str) {
    json.as_object_mut().unwrap().remove(name).unwrap();
}

fn id_of_somebody() -> String {
    signatures::base64url(&Authenticator::new(Algorithm::Es256, "somebody").credential_id)
}

const P256_PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
const P384_PRIME: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                          fffffffe0000000000000000ffffffff";
