//! Ceremonies that must be accepted: P01 to P22. Too strict is a fault as well.

use serde_json::{Value, json};
use webauthn::{
    Algorithm, UserVerification,
    forge::{
        Authenticator, ClientData, Item,
        attestation::{Attester, Format},
        flag,
    },
};

use super::{
    ALGORITHMS, Bench, Ceremony, Person, WAYS, Way, benches, benches_with, case, signatures,
};
use crate::house::{Handshake, ORIGIN};

#[tokio::test]
async fn p01_p02_and_p07_client_data_is_read_as_json() {
    for bench in benches().await {
        for algorithm in ALGORITHMS {
            client_data(&bench, algorithm, "P01", "unknown members", |data| {
                data.set(
                    "extra",
                    json!({"type": "x", "challenge": [1, {"origin": null}]}),
                );
                data.set("tokenBinding", json!({"status": "supported"}));
                data.set("other_keys_can_be_added_here", "do not compare");
            })
            .await;
            client_data(
                &bench,
                algorithm,
                "P01",
                "another order and white space",
                |data| {
                    let member = |name: &str| json!(data.members[name]).to_string();
                    let text = format!(
                        "\n {{\t\"origin\" : {},\r\n\"challenge\":{} , \"\\u0074ype\":{} }} ",
                        member("origin"),
                        member("challenge"),
                        member("type"),
                    );
                    data.raw = Some(text.into());
                },
            )
            .await;
            client_data(&bench, algorithm, "P02", "byte order mark", |data| {
                data.raw = Some([&b"\xef\xbb\xbf"[..], &data.bytes()].concat());
            })
            .await;
            client_data(&bench, algorithm, "P07", "crossOrigin missing", |data| {
                data.remove("crossOrigin");
            })
            .await;
            client_data(&bench, algorithm, "P07", "crossOrigin false", |data| {
                data.set("crossOrigin", false);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn p03_to_p05_what_is_not_known_is_ignored() {
    for bench in benches().await {
        let outputs = Item::Map(vec![
            (Item::text("hmac-secret"), Item::Bool(true)),
            (Item::text("credProtect"), Item::Int(2)),
            (Item::text("unknown"), Item::Array(vec![Item::Map(vec![])])),
        ])
        .encode();
        for algorithm in ALGORITHMS {
            let reserved = 1 << 1 | 1 << 5;
            let mut ann = bench
                .accepts_registration("P03", "reserved flags", algorithm, |forged| {
                    forged.authenticator_data.flags |= reserved;
                    forged.json()
                })
                .await;
            bench
                .accepts_login(&mut ann, "P03", "reserved flags", |forged| {
                    forged.authenticator_data.flags |= reserved;
                    forged.json()
                })
                .await;
            let mut ann = bench
                .accepts_registration("P04", "extensions unasked", algorithm, |forged| {
                    forged.authenticator_data.flags |= flag::EXTENSIONS;
                    forged.authenticator_data.extensions = Some(outputs.clone());
                    forged.json()
                })
                .await;
            bench
                .accepts_login(&mut ann, "P04", "extensions unasked", |forged| {
                    forged.authenticator_data.flags |= flag::EXTENSIONS;
                    forged.authenticator_data.extensions = Some(outputs.clone());
                    forged.json()
                })
                .await;
        }
        let decorate = |mut json: Value| {
            json["authenticatorAttachment"] = json!("implanted");
            json["more"] = json!([1, 2]);
            json["response"]["publicKeyAlgorithm"] = json!("?");
            json["response"]["publicKey"] = json!(false);
            json["response"]["authenticatorData2"] = json!({});
            json["clientExtensionResults"] = json!({"prf": {"results": {"first": 1}}, "x": null});
            json
        };
        let mut ann = bench
            .accepts_registration("P05", "unknown words", Algorithm::Es256, |forged| {
                forged.transports = Some(json!(["usb", "teleport"]));
                decorate(forged.json())
            })
            .await;
        bench
            .accepts_login(&mut ann, "P05", "unknown words", |forged| {
                decorate(forged.json())
            })
            .await;
        // Unknown transports are kept, and offered again.
        let handshake = bench
            .start(Ceremony::Login(Way::Transaction), &ann.external_id)
            .await;
        let allowed = &handshake.public_key["allowCredentials"][0];
        assert_eq!(allowed["transports"], json!(["usb", "teleport"]));
        // And unknown members around the response.
        for ceremony in [Ceremony::Registration, Ceremony::Login(Way::Transaction)] {
            let mut person = match ceremony {
                Ceremony::Registration => bench.newcomer(Algorithm::Es256),
                Ceremony::Login(_) => bench.person(Algorithm::Es256).await,
            };
            let case05 = case("P05", "members of the body", "accepted");
            bench
                .accepts_changed(case05, ceremony, &mut person, |finish| {
                    finish["more"] = json!({"a": [1]});
                    finish["user_id"] = json!("somebody else");
                })
                .await;
        }
    }
}

#[tokio::test]
async fn p06_and_p08_user_verification_counts_where_it_is_required() {
    let benches = benches_with(|new| {
        new.settings.user_verification = UserVerification::Preferred;
    });
    for bench in benches.await {
        for algorithm in ALGORITHMS {
            for (what, flags) in [("set", 0), ("clear", flag::USER_VERIFIED)] {
                let mut ann = bench
                    .accepts_registration("P06", what, algorithm, |forged| {
                        forged.authenticator_data.flags &= !flags;
                        forged.json()
                    })
                    .await;
                bench
                    .accepts_login(&mut ann, "P06", what, |forged| {
                        forged.authenticator_data.flags &= !flags;
                        forged.json()
                    })
                    .await;
            }
            let mut ann = bench.newcomer(algorithm);
            let transaction_id = bench.app.register_transaction(&ann.external_id).await;
            let body = json!({"transaction_id": transaction_id, "mediation": "conditional"});
            let path = "register/transactions/webauthn/start";
            let handshake = Handshake::from(bench.app.browser(path, body).await);
            let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
            forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
            let finish = handshake.finish(forged.json());
            let case08 = case("P08", "neither present nor verified", "accepted");
            bench
                .completes(
                    case08,
                    Ceremony::Registration,
                    &ann.external_id,
                    &handshake,
                    &finish,
                )
                .await;
            for way in WAYS {
                bench.accepts(case08, Ceremony::Login(way), &mut ann).await;
            }
        }
    }
}

#[tokio::test]
async fn p09_to_p11_and_p20_registrations_of_every_honest_kind() {
    for bench in benches().await {
        for length in [1, 16, 1023] {
            let what = format!("an id of {length} bytes");
            bench
                .accepts_registration("P09", &what, Algorithm::Es256, |forged| {
                    forged.credential_id = vec![7; length];
                    forged.attested().credential_id = vec![7; length];
                    forged.json()
                })
                .await;
        }
        for format in [Format::PackedSelf].into_iter().chain(Format::CERTIFIED) {
            let mut ann = bench.newcomer(Algorithm::Es256);
            let attester = Attester::new(format, &ann.authenticator.key);
            let what = format!("{format:?}");
            let handshake = bench.start(Ceremony::Registration, &ann.external_id).await;
            let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
            attester.attest(&mut forged);
            let finish = handshake.finish(forged.json());
            let case10 = case("P10", &what, "accepted");
            bench
                .completes(
                    case10,
                    Ceremony::Registration,
                    &ann.external_id,
                    &handshake,
                    &finish,
                )
                .await;
            let login = Ceremony::Login(Way::Discoverable);
            bench.accepts(case10, login, &mut ann).await;
        }
        // Nor is one looked at that makes no sense.
        for format in [
            "packed",
            "tpm",
            "android-safetynet",
            "compound",
            "PACKED",
            "",
        ] {
            bench
                .accepts_registration("P10", format, Algorithm::Es256, |forged| {
                    forged.format = format.into();
                    forged.statement = Item::Map(vec![
                        (Item::text("alg"), Item::Int(-7)),
                        (Item::text("sig"), Item::Bytes(vec![1; 70])),
                        (
                            Item::text("x5c"),
                            Item::Array(vec![Item::Bytes(vec![0x30; 500])]),
                        ),
                    ]);
                    forged.json()
                })
                .await;
        }
        bench
            .accepts_registration("P11", "no model", Algorithm::Es256, |forged| {
                forged.attested().aaguid = [0; 16];
                forged.json()
            })
            .await;

        object(&bench, "another order", |object| object.entries().reverse()).await;
        object(&bench, "a further member", |object| {
            object.set(Item::text("epAtt"), Item::Bool(false));
        })
        .await;
        object(&bench, "longer lengths", |object| {
            // Those of the map and of its first key in two bytes instead of none.
            let bytes = object.encode();
            *object = Item::Raw([&[0xb8, 3, 0x78, 3], &bytes[2..]].concat());
        })
        .await;
        for algorithm in ALGORITHMS {
            let mut ann = bench.newcomer(algorithm);
            let mut key = ann.authenticator.key.cose_key();
            key.entries().reverse();
            let ceremony = Ceremony::Registration;
            let handshake = bench.start(ceremony, &ann.external_id).await;
            let mut forged = ann.authenticator.create(&handshake.public_key, ORIGIN);
            forged.attested().public_key = key.encode();
            let finish = handshake.finish(forged.json());
            let case20 = case("P20", "a key in another order", "accepted");
            bench
                .completes(case20, ceremony, &ann.external_id, &handshake, &finish)
                .await;
            let login = Ceremony::Login(Way::Discoverable);
            bench.accepts(case20, login, &mut ann).await;
        }
    }
}

#[tokio::test]
async fn p12_and_p13_every_origin_of_the_app_may_run_a_ceremony() {
    const LOGIN: &str = "https://login.example.com";
    const RELATED: &str = "https://example.co.uk";
    let benches = benches_with(|new| {
        new.auth_origin = LOGIN.into();
        new.rp_id = Some("example.com".into());
        new.additional_auth_origins = vec![RELATED.into(), "https://www.example.com:8443".into()];
    });
    for bench in benches.await {
        for (row, origin) in [
            ("P12", "https://example.com"),
            ("P13", RELATED),
            ("P13", "https://www.example.com:8443"),
            ("P13", LOGIN),
        ] {
            let case = case(row, origin, "accepted");
            let mut ann = bench.newcomer(Algorithm::Es256);
            let ceremony = Ceremony::Registration;
            let handshake = bench.start(ceremony, &ann.external_id).await;
            let forged = ann.authenticator.create(&handshake.public_key, origin);
            let finish = handshake.finish(forged.json());
            bench
                .completes(case, ceremony, &ann.external_id, &handshake, &finish)
                .await;
            for way in WAYS {
                let ceremony = Ceremony::Login(way);
                let handshake = bench.start(ceremony, &ann.external_id).await;
                let forged = ann.authenticator.get(&handshake.public_key, origin);
                let finish = handshake.finish(forged.json());
                bench
                    .completes(case, ceremony, &ann.external_id, &handshake, &finish)
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn p14_p17_and_p22_counters_and_backups_come_and_go() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        bench
            .accepts_login(&mut ann, "P14", "0 after 0", |forged| forged.json())
            .await;
        let mut holder = bench.key_holder().await;
        for count in [2, 3, 1_000, 1 << 31, u32::MAX] {
            let login = Ceremony::Login(Way::Discoverable);
            holder.authenticator.sign_count = count - 1;
            let what = format!("grown to {count}");
            let case14 = case("P14", &what, "accepted");
            bench.accepts(case14, login, &mut holder).await;
            let counter = "SELECT MAX(sign_count) AS count FROM passkeys_devices";
            assert_eq!(bench.house.count(counter).await, i64::from(count));
        }
        for backed_up in [true, false, true, false] {
            ann.authenticator.flags &= !flag::BACKED_UP;
            if backed_up {
                ann.authenticator.flags |= flag::BACKED_UP;
            }
            let what = format!("backed up {backed_up}");
            bench
                .accepts_login(&mut ann, "P17", &what, |forged| forged.json())
                .await;
            let count = "SELECT COUNT(*) AS count FROM passkeys_devices WHERE backed_up = 1";
            assert_eq!(bench.house.count(count).await, i64::from(backed_up));
        }
        // "Record" is the default.
        let mut holder = bench.key_holder().await;
        holder.authenticator.sign_count = 9;
        let login = Ceremony::Login(Way::Discoverable);
        let case22 = case("P22", "grown", "accepted");
        bench.accepts(case22, login, &mut holder).await;
        for (what, count) in [("equal", 10), ("lower", 9), ("back to 0", 0)] {
            let handshake = bench.start(login, "").await;
            let mut forged = holder.authenticator.get(&handshake.public_key, ORIGIN);
            forged.authenticator_data.sign_count = count;
            let finish = handshake.finish(forged.json());
            let case22 = case("P22", what, "accepted");
            bench
                .completes(case22, login, &holder.external_id, &handshake, &finish)
                .await;
            let event = bench.app.get(&format!("events/{}", handshake.id)).await;
            assert_eq!(
                event["event"]["data"]["counter_not_increased"], true,
                "{what}"
            );
            // It never goes down.
            let kept = "SELECT COUNT(*) AS count FROM passkeys_devices WHERE sign_count = 10";
            assert_eq!(bench.house.count(kept).await, 1, "{what}");
        }
    }
}

#[tokio::test]
async fn p15_and_p16_user_handles_come_in_the_forms_of_all_clients() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let login = Ceremony::Login(Way::Transaction);
        for handle in [None, Some(json!(null)), Some(json!(""))] {
            let what = format!("{handle:?}");
            let handshake = bench.start(login, &ann.external_id).await;
            let mut forged = ann.authenticator.get(&handshake.public_key, ORIGIN);
            forged.user_handle = None;
            let mut json = forged.json();
            if let Some(handle) = handle {
                json["response"]["userHandle"] = handle;
            }
            let finish = handshake.finish(json);
            let case15 = case("P15", &what, "accepted");
            bench
                .completes(case15, login, &ann.external_id, &handshake, &finish)
                .await;
        }
        let id = bench.app.user_id(&ann.external_id).await;
        let encoded = signatures::base64url(id.as_bytes());
        let twice = signatures::base64url(encoded.as_bytes());
        for form in [&id, &encoded, &twice] {
            bench
                .accepts_login(&mut ann, "P16", form, |forged| {
                    forged.user_handle = Some(form.clone());
                    forged.json()
                })
                .await;
        }
    }
}

#[tokio::test]
async fn p18_an_ecdsa_signature_may_have_either_s() {
    for bench in benches().await {
        for algorithm in [Algorithm::Es256, Algorithm::Es384] {
            let mut ann = bench.person(algorithm).await;
            for is_other in [false, true] {
                let what = format!("{algorithm:?} other s {is_other}");
                bench
                    .accepts_login(&mut ann, "P18", &what, |forged| {
                        let signature = forged.key.sign(&forged.message());
                        forged.signature = Some(match is_other {
                            false => signature,
                            true => signatures::Ecdsa::read(&signature).other_s(algorithm),
                        });
                        forged.json()
                    })
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn p19_rsa_keys_have_many_sizes_and_two_exponents() {
    for bench in benches().await {
        for key in signatures::rsa_keys() {
            let mut ann = bench.newcomer(Algorithm::Es256);
            ann.authenticator = Authenticator::with_key(key.signing, &key.name);
            let case19 = case("P19", &key.name, "accepted");
            bench
                .accepts(case19, Ceremony::Registration, &mut ann)
                .await;
            for way in WAYS {
                bench.accepts(case19, Ceremony::Login(way), &mut ann).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p21_two_credentials_of_one_user_are_used_at_once() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let mut second = Authenticator::security_key(Algorithm::EdDsa, "second");
        bench.app.register(&ann.external_id, &mut second).await;
        for _ in 0..10 {
            let mut rivals = Vec::new();
            for authenticator in [&mut ann.authenticator, &mut second] {
                let handshake = bench
                    .start(Ceremony::Login(Way::Transaction), &ann.external_id)
                    .await;
                let finish = handshake.authentication(authenticator);
                let app = bench.app.clone();
                rivals.push(tokio::spawn(async move {
                    app.finish_authentication(&finish).await
                }));
            }
            for rival in rivals {
                rival.await.unwrap().nonce();
            }
        }
        let logins = "SELECT MAX(login_count) AS count FROM passkeys_users";
        assert_eq!(bench.house.count(logins).await, 20);
    }
}

/// Both ceremonies are accepted with client data that is changed.
async fn client_data(
    bench: &Bench,
    algorithm: Algorithm,
    row: &str,
    what: &str,
    change: impl Fn(&mut ClientData),
) {
    let mut ann: Person = bench
        .accepts_registration(row, what, algorithm, |forged| {
            change(&mut forged.client_data);
            forged.json()
        })
        .await;
    bench
        .accepts_login(&mut ann, row, what, |forged| {
            change(&mut forged.client_data);
            forged.json()
        })
        .await;
}

/// P20: an attestation object that is written in another way.
async fn object(bench: &Bench, what: &str, change: impl FnOnce(&mut Item)) {
    bench
        .accepts_registration("P20", what, Algorithm::Es256, |forged| {
            let mut object = forged.attestation_object_item();
            change(&mut object);
            forged.attestation_object = Some(object.encode());
            forged.json()
        })
        .await;
}
