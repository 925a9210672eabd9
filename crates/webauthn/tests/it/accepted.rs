//! Ceremonies that must be accepted: too strict is a fault as well.

use serde_json::{Value, json};
use webauthn::forge::{Authenticator, ClientData, ForgedRegistration, Item, flag};
use webauthn::{
    Algorithm, AuthenticationResponse, Credential, Registration, RegistrationResponse,
    UserVerification, user_handle_matches,
};

use crate::site::{ALGORITHMS, Site, USER_ID, authenticator};

#[test]
fn an_honest_ceremony_gives_what_the_authenticator_said() {
    let mut site = Site::new();
    site.algorithms.extend([Algorithm::Es384, Algorithm::Es512]);
    for algorithm in site.algorithms.clone() {
        let mut authenticator = authenticator(algorithm);
        let json = site.create(&mut authenticator).json();
        let registration = site.verify_registration(&json).unwrap();
        let expected = Registration {
            credential: Credential {
                id: authenticator.credential_id.clone(),
                public_key: authenticator.key.cose_key().encode(),
                algorithm,
                sign_count: 0,
                aaguid: authenticator.aaguid,
                transports: vec!["internal".into(), "hybrid".into()],
                backup_eligible: Some(true),
                backed_up: true,
                requires_user_verification: false,
            },
            user_present: true,
            user_verified: true,
            attestation_format: "none".into(),
            attestation: None,
            origin: "https://example.org".into(),
        };
        assert_eq!(registration, expected);

        let json = site.get(&mut authenticator).json();
        let response = AuthenticationResponse::from_json(&json).unwrap();
        assert_eq!(response.credential_id(), authenticator.credential_id);
        assert!(user_handle_matches(
            USER_ID,
            response.user_handle().unwrap()
        ));
        let verified = site
            .verify_authentication(&registration.credential, &json)
            .unwrap();
        assert!(verified.user_verified && verified.backed_up && verified.backup_eligible);
        assert_eq!(verified.sign_count, 0);
        assert!(!verified.counter_not_increased);
        assert_eq!(verified.origin, "https://example.org");
    }
}

#[test]
fn p01_unknown_members_order_and_white_space_of_client_data_do_not_matter() {
    accepts_client_data("unknown members", |data| {
        data.set(
            "extra",
            json!({"type": "x", "challenge": [1, {"origin": null}]}),
        );
        data.set("tokenBinding", json!({"status": "supported"}));
    });
    accepts_client_data("another order and white space", |data| {
        let member = |name: &str| json!(data.members[name]).to_string();
        let text = format!(
            "\n {{\t\"origin\" : {},\r\n\"challenge\":{} , \"\\u0074ype\":{} }} ",
            member("origin"),
            member("challenge"),
            member("type"),
        );
        data.raw = Some(text.into());
    });
}

#[test]
fn p02_a_byte_order_mark_is_hashed_and_skipped() {
    accepts_client_data("byte order mark", |data| {
        data.raw = Some([&b"\xef\xbb\xbf"[..], &data.bytes()].concat());
    });
}

#[test]
fn p03_reserved_flags_are_ignored() {
    accepts_flags("reserved", |flags| flags | 1 << 1 | 1 << 5);
}

#[test]
fn p04_extension_outputs_that_nobody_asked_for_are_ignored() {
    let outputs = Item::Map(vec![
        (Item::text("hmac-secret"), Item::Bool(true)),
        (Item::text("credProtect"), Item::Int(2)),
        (Item::text("unknown"), Item::Array(vec![Item::Map(vec![])])),
    ])
    .encode();
    for algorithm in ALGORITHMS {
        let site = Site::new();
        let mut authenticator = authenticator(algorithm);
        let mut forged = site.create(&mut authenticator);
        forged.authenticator_data.flags |= flag::EXTENSIONS;
        forged.authenticator_data.extensions = Some(outputs.clone());
        let credential = site.verify_registration(&forged.json()).unwrap().credential;
        let mut forged = site.get(&mut authenticator);
        forged.authenticator_data.flags |= flag::EXTENSIONS;
        forged.authenticator_data.extensions = Some(outputs.clone());
        assert!(
            site.verify_authentication(&credential, &forged.json())
                .is_ok()
        );
    }
}

#[test]
fn p05_unknown_words_and_members_of_the_json_are_ignored_or_kept() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let mut json = site.create(&mut authenticator).json();
    decorate(&mut json);
    json["clientExtensionResults"] = json!({
        "credProps": {"rk": true, "authenticatorDisplayName": 1},
        "prf": {"results": {"first": 1}},
    });
    json["transports"] = json!(["usb", "teleport"]);
    let credential = site.verify_registration(&json).unwrap().credential;
    assert_eq!(credential.transports, ["usb", "teleport"]);

    let mut json = site.get(&mut authenticator).json();
    decorate(&mut json);
    json["clientExtensionResults"] = json!("x".repeat(1 << 20));
    assert!(site.verify_authentication(&credential, &json).is_ok());

    fn decorate(json: &mut Value) {
        json["authenticatorAttachment"] = json!("implanted");
        json["more"] = json!([1, 2]);
        json["response"]["publicKeyAlgorithm"] = json!("?");
        json["response"]["publicKey"] = json!(false);
    }
}

#[test]
fn transports_are_read_where_each_client_puts_them() {
    let json = Site::new()
        .create(&mut authenticator(Algorithm::Es256))
        .json();
    let transports = |outer: Value, inner: Value| {
        let mut json = json.clone();
        json["transports"] = outer;
        json["response"]["transports"] = inner;
        RegistrationResponse::from_json(&json)
            .unwrap()
            .transports()
            .to_vec()
    };
    assert_eq!(transports(json!(["usb"]), Value::Null), ["usb"]);
    assert_eq!(transports(Value::Null, json!(["nfc"])), ["nfc"]);
    assert_eq!(transports(json!(["usb"]), json!(["nfc"])), ["usb"]);
    assert!(transports(Value::Null, Value::Null).is_empty());
    assert!(transports(json!([]), Value::Null).is_empty());
}

#[test]
fn a_missing_raw_id_and_null_members_are_no_fault() {
    let site = Site::new();
    let mut json = site.create(&mut authenticator(Algorithm::Es256)).json();
    json.as_object_mut().unwrap().remove("rawId");
    json["transports"] = Value::Null;
    json["clientExtensionResults"] = Value::Null;
    assert!(site.verify_registration(&json).is_ok());
    for results in [
        json!({}),
        json!({"credProps": null}),
        json!({"credProps": {}}),
    ] {
        json["clientExtensionResults"] = results;
        assert!(site.verify_registration(&json).is_ok());
    }
}

#[test]
fn p06_user_verification_is_reported_and_not_demanded_where_preferred() {
    let mut site = Site::new();
    site.user_verification = UserVerification::Preferred;
    for verified in [true, false] {
        let mut authenticator = authenticator(Algorithm::Es256);
        if !verified {
            authenticator.flags &= !flag::USER_VERIFIED;
        }
        let json = site.create(&mut authenticator).json();
        let registration = site.verify_registration(&json).unwrap();
        assert_eq!(registration.user_verified, verified);
        let json = site.get(&mut authenticator).json();
        let authentication = site
            .verify_authentication(&registration.credential, &json)
            .unwrap();
        assert_eq!(authentication.user_verified, verified);
    }
}

#[test]
fn p07_cross_origin_may_be_missing() {
    accepts_client_data("missing", |data| data.remove("crossOrigin"));
    accepts_client_data("false", |data| data.set("crossOrigin", false));
}

#[test]
fn p08_a_conditional_registration_needs_no_gesture() {
    let mut site = Site::new();
    site.conditional = true;
    site.user_verification = UserVerification::Preferred;
    let registration = accepts_registration(&site, |forged| {
        forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
    });
    assert!(!registration.user_present && !registration.user_verified);
}

#[test]
fn p09_a_credential_id_has_1_to_1023_bytes() {
    for length in [1, 16, 1023] {
        let registration = accepts_registration(&Site::new(), |forged| {
            forged.credential_id = vec![7; length];
            forged.attested().credential_id = vec![7; length];
        });
        assert_eq!(registration.credential.id, vec![7; length]);
    }
}

#[test]
fn p10_an_attestation_of_any_format_is_stored_as_unattested() {
    for format in [
        "packed",
        "fido-u2f",
        "tpm",
        "android-safetynet",
        "compound",
        "PACKED",
        "",
    ] {
        let registration = accepts_registration(&Site::new(), |forged| {
            forged.format = format.into();
            forged.statement = Item::Map(vec![
                (Item::text("alg"), Item::Int(-7)),
                (Item::text("sig"), Item::Bytes(vec![1; 70])),
                (
                    Item::text("x5c"),
                    Item::Array(vec![Item::Bytes(vec![0x30; 500])]),
                ),
            ]);
        });
        assert_eq!(registration.attestation_format, format);
    }
}

#[test]
fn p11_the_model_may_be_withheld() {
    let registration = accepts_registration(&Site::new(), |forged| {
        forged.attested().aaguid = [0; 16];
    });
    assert_eq!(registration.credential.aaguid, [0; 16]);
}

#[test]
fn p12_p13_every_listed_origin_is_accepted() {
    let android = "android:apk-key-hash:SAYGXQ-0v2o1s8hCRZTUaGVBYrDVNwkS0vmDKgm8aYc";
    let related = "https://example.co.uk";
    let mut site = Site::new();
    site.relying_party
        .origins
        .extend([android.into(), related.into()]);
    for origin in ["https://app.example.org:8443", android, related] {
        accepts_client_data_at(&site, origin, |data| data.set("origin", origin));
    }
}

#[test]
fn an_embedded_ceremony_is_accepted_on_a_listed_page() {
    let site = Site::embedded_in("https://example.com");
    accepts_client_data_at(&site, "embedded", |data| {
        data.set("crossOrigin", true);
        data.set("topOrigin", "https://example.com");
    });
    accepts_client_data_at(&site, "not embedded", |_| {});
}

#[test]
fn p14_p22_counters_are_accepted_and_marked() {
    for (stored, sent, marked) in [
        (0, 0, false),
        (0, u32::MAX, false),
        (5, 6, false),
        (5, 5, true),
        (5, 4, true),
        (5, 0, true),
    ] {
        let site = Site::new();
        let mut authenticator = authenticator(Algorithm::Es256);
        let credential = Credential {
            sign_count: stored,
            ..site.register(&mut authenticator)
        };
        let mut forged = site.get(&mut authenticator);
        forged.authenticator_data.sign_count = sent;
        let verified = site
            .verify_authentication(&credential, &forged.json())
            .unwrap();
        assert_eq!(verified.sign_count, sent);
        assert_eq!(verified.counter_not_increased, marked, "{stored}, {sent}");
    }
}

#[test]
fn a_security_key_counts() {
    let site = Site::new();
    let mut key = Authenticator::security_key(Algorithm::EdDsa, "ann's key");
    let credential = site.register(&mut key);
    assert_eq!(credential.sign_count, 1);
    assert_eq!(credential.backup_eligible, Some(false));
    for count in 2..5 {
        let json = site.get(&mut key).json();
        let verified = site.verify_authentication(&credential, &json).unwrap();
        assert_eq!(verified.sign_count, count);
        assert!(!verified.backed_up && !verified.backup_eligible);
    }
}

#[test]
fn p15_an_empty_user_handle_counts_as_missing() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = site.register(&mut authenticator);
    for handle in [None, Some(String::new())] {
        let mut forged = site.get(&mut authenticator);
        forged.user_handle = handle;
        let json = forged.json();
        let response = AuthenticationResponse::from_json(&json).unwrap();
        assert_eq!(response.user_handle(), None);
        assert!(site.verify_authentication(&credential, &json).is_ok());
    }
    let mut json = site.get(&mut authenticator).json();
    json["response"]["userHandle"] = Value::Null;
    let response = AuthenticationResponse::from_json(&json).unwrap();
    assert_eq!(response.user_handle(), None);
}

#[test]
fn p17_being_backed_up_may_change() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    let credential = site.register(&mut authenticator);
    for backed_up in [true, false, true] {
        authenticator.flags &= !flag::BACKED_UP;
        if backed_up {
            authenticator.flags |= flag::BACKED_UP;
        }
        let json = site.get(&mut authenticator).json();
        let verified = site.verify_authentication(&credential, &json).unwrap();
        assert_eq!(verified.backed_up, backed_up);
    }
}

#[test]
fn an_import_that_did_not_say_may_turn_out_eligible_or_not() {
    let site = Site::new();
    for eligible in [true, false] {
        let mut authenticator = authenticator(Algorithm::Es256);
        let credential = Credential {
            backup_eligible: None,
            ..site.register(&mut authenticator)
        };
        if !eligible {
            authenticator.flags &= !(flag::BACKUP_ELIGIBLE | flag::BACKED_UP);
        }
        let json = site.get(&mut authenticator).json();
        let verified = site.verify_authentication(&credential, &json).unwrap();
        assert_eq!(verified.backup_eligible, eligible);
    }
}

#[test]
fn p20_cbor_need_not_be_canonical() {
    accepts_registration(&Site::new(), |forged| {
        let mut object = forged.attestation_object_item();
        object.entries().reverse();
        forged.attestation_object = Some(object.encode());
    });
    accepts_registration(&Site::new(), |forged| {
        // Lengths of the map and of the first key in two bytes instead of none.
        let object = forged.attestation_object_item().encode();
        let stretched = [&[0xb8, 3, 0x78, 3], &object[2..]].concat();
        forged.attestation_object = Some(stretched);
    });
    accepts_registration(&Site::new(), |forged| {
        let mut object = forged.attestation_object_item();
        object.set(Item::text("epAtt"), Item::Bool(false));
        forged.attestation_object = Some(object.encode());
    });
    accepts_registration(&Site::new(), |forged| {
        let mut key = authenticator(Algorithm::Es256).key.cose_key();
        key.entries().reverse();
        forged.attested().public_key = key.encode();
    });
}

fn accepts_registration(site: &Site, change: impl FnOnce(&mut ForgedRegistration)) -> Registration {
    let mut forged = site.create(&mut authenticator(Algorithm::Es256));
    change(&mut forged);
    site.verify_registration(&forged.json()).unwrap()
}

#[track_caller]
fn accepts_client_data(what: &str, change: impl Fn(&mut ClientData)) {
    accepts_client_data_at(&Site::new(), what, change);
}

#[track_caller]
fn accepts_client_data_at(site: &Site, what: &str, change: impl Fn(&mut ClientData)) {
    for algorithm in ALGORITHMS {
        let mut authenticator = authenticator(algorithm);
        let mut forged = site.create(&mut authenticator);
        change(&mut forged.client_data);
        let registration = site
            .verify_registration(&forged.json())
            .unwrap_or_else(|denial| panic!("{what}: {denial}"));
        let mut forged = site.get(&mut authenticator);
        change(&mut forged.client_data);
        site.verify_authentication(&registration.credential, &forged.json())
            .unwrap_or_else(|denial| panic!("{what}: {denial}"));
    }
}

#[track_caller]
fn accepts_flags(what: &str, change: impl Fn(u8) -> u8) {
    for algorithm in ALGORITHMS {
        let site = Site::new();
        let mut authenticator = authenticator(algorithm);
        authenticator.flags = change(authenticator.flags);
        let credential = site.register(&mut authenticator);
        let json = site.get(&mut authenticator).json();
        assert!(
            site.verify_authentication(&credential, &json).is_ok(),
            "{what}"
        );
    }
}
