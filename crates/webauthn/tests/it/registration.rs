//! Registrations that are refused, by the rows of the matrix.

use serde_json::{Value, json};
use webauthn::Denial::{self, *};
use webauthn::forge::{Item, SigningKey, flag, rp_id_hash};
use webauthn::{Algorithm, UserVerification};

use crate::site::{RP_ID, Site, authenticator, not_base64url};

#[test]
fn r01_the_id_must_be_base64url() {
    let site = Site::new();
    let good = honest_json()["id"].as_str().unwrap().to_owned();
    for (what, value) in not_base64url(&good) {
        site.refuses_registration_json(RequestMalformed, what, |json| {
            json["id"] = value.clone();
            json["rawId"] = value.clone();
        });
    }
    site.refuses_registration_json(RequestMalformed, "missing", |json| {
        json.as_object_mut().unwrap().remove("id");
    });
}

#[test]
fn r02_the_type_must_be_public_key() {
    for wrong in [
        Value::Null,
        json!(1),
        json!("password"),
        json!("PUBLIC-KEY"),
        json!(""),
    ] {
        refuses_json(RequestMalformed, |json| json["type"] = wrong.clone());
    }
    refuses_json(RequestMalformed, |json| {
        json.as_object_mut().unwrap().remove("type");
    });
}

#[test]
fn r03_the_response_must_be_an_object() {
    for wrong in [Value::Null, json!([]), json!("{}"), json!(1)] {
        refuses_json(RequestMalformed, |json| json["response"] = wrong.clone());
    }
    for whole in [json!(null), json!([]), json!("text"), json!({})] {
        refuses_json(RequestMalformed, |json| *json = whole.clone());
    }
}

#[test]
fn r04_r05_the_signed_parts_must_be_base64url_and_not_empty() {
    for name in ["clientDataJSON", "attestationObject"] {
        let good = honest_json()["response"][name].as_str().unwrap().to_owned();
        let mut wrong = not_base64url(&good);
        wrong.push(("empty", json!("")));
        for (what, value) in wrong {
            Site::new().refuses_registration_json(RequestMalformed, what, |json| {
                json["response"][name] = value.clone();
            });
        }
        refuses_json(RequestMalformed, |json| {
            json["response"].as_object_mut().unwrap().remove(name);
        });
    }
}

#[test]
fn r06_id_and_raw_id_must_agree() {
    refuses_json(RequestMalformed, |json| json["rawId"] = json!("AAAA"));
    refuses_json(RequestMalformed, |json| json["rawId"] = json!(1));
}

#[test]
fn r07_the_id_of_the_json_must_be_the_authenticators() {
    refuses(CredentialIdMismatch, "another id", |forged| {
        forged.credential_id[0] ^= 1;
    });
    refuses(CredentialIdMismatch, "a prefix", |forged| {
        forged.credential_id.pop();
    });
    refuses(CredentialIdMismatch, "empty", |forged| {
        forged.credential_id.clear();
    });
}

#[test]
fn r23_the_attestation_object_must_be_a_map_of_cbor() {
    let whole = attestation_object().encode();
    for length in 1..whole.len() {
        refuses(AttestationObjectMalformed, "cut", |forged| {
            forged.attestation_object = Some(whole[..length].to_vec());
        });
    }
    for (what, raw) in [
        ("not CBOR", vec![0xff; 40]),
        ("text", Item::text("fmt").encode()),
        ("a list", Item::Array(vec![Item::text("none")]).encode()),
        (
            "JSON",
            br#"{"fmt":"none","attStmt":{},"authData":""}"#.to_vec(),
        ),
    ] {
        refuses(AttestationObjectMalformed, what, |forged| {
            forged.attestation_object = Some(raw);
        });
    }
    for name in ["fmt", "attStmt", "authData"] {
        refuses_object("a key of bytes", |object| {
            for (key, _) in object.entries() {
                if *key == Item::text(name) {
                    *key = Item::Bytes(name.into());
                }
            }
        });
    }
}

#[test]
fn r24_the_attestation_object_needs_its_three_members() {
    let wrong: [(&str, &[Item]); 3] = [
        (
            "fmt",
            &[Item::Int(1), Item::Bytes(vec![]), Item::Bool(true)],
        ),
        (
            "attStmt",
            &[Item::Int(1), Item::Array(vec![]), Item::Bytes(vec![0xa0])],
        ),
        (
            "authData",
            &[Item::Int(1), Item::Map(vec![]), Item::Array(vec![])],
        ),
    ];
    for (name, values) in wrong {
        refuses_object("missing", |object| object.remove(&Item::text(name)));
        for value in values {
            refuses_object("wrong type", |object| {
                object.set(Item::text(name), value.clone());
            });
        }
    }
    refuses_object("authData as text", |object| {
        object.set(Item::text("authData"), Item::text("data"));
    });
}

#[test]
fn r25_the_attestation_object_must_be_readable_in_one_way_and_in_bounds() {
    for name in ["fmt", "attStmt", "authData"] {
        refuses_object("a key twice", |object| {
            let twin = object
                .entries()
                .iter()
                .find(|(key, _)| *key == Item::text(name));
            let twin = twin.cloned().unwrap();
            object.entries().push(twin);
        });
    }
    refuses_object("a key twice in the statement", |object| {
        let twin = (Item::text("sig"), Item::Int(1));
        object.set(Item::text("fmt"), Item::text("packed"));
        object.set(Item::text("attStmt"), Item::Map(vec![twin.clone(), twin]));
    });
    refuses(AttestationObjectMalformed, "bytes behind", |forged| {
        let object = forged.attestation_object_item().encode();
        forged.attestation_object = Some([object, vec![0]].concat());
    });
    let mut nested = vec![0x9f; 1000];
    nested.extend([0xff; 1000]);
    let bombs = [
        ("1000 indefinite lists", nested),
        ("100000 lists", [vec![0x81; 100_000], vec![0]].concat()),
        (
            "100000 maps",
            [[0xa1, 0x00].repeat(100_000), vec![0]].concat(),
        ),
        ("an indefinite map", vec![0xbf, 0xff]),
        ("2^63 bytes", vec![0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("2^63 items", vec![0x9b, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("2^63 entries", vec![0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0]),
    ];
    for (what, bomb) in bombs {
        for name in ["fmt", "attStmt", "authData", "more"] {
            refuses_object(what, |object| {
                object.set(Item::text(name), Item::Raw(bomb.clone()));
            });
        }
        refuses_object(what, |object| {
            object.set(
                Item::text("attStmt"),
                Item::Map(vec![(Item::text("x5c"), Item::Raw(bomb.clone()))]),
            );
        });
    }
}

#[test]
fn r26_authenticator_data_must_not_end_early() {
    let whole = Site::new()
        .create(&mut authenticator(Algorithm::Es256))
        .authenticator_data
        .bytes();
    for length in 0..whole.len() {
        refuses(AuthenticatorDataMalformed, "cut", |forged| {
            let mut object = forged.attestation_object_item();
            object.set(
                Item::text("authData"),
                Item::Bytes(whole[..length].to_vec()),
            );
            forged.attestation_object = Some(object.encode());
        });
    }
    refuses(AuthenticatorDataMalformed, "id beyond the end", |forged| {
        forged.attested().credential_id_length = Some(65535);
    });
    refuses(AuthenticatorDataMalformed, "key is not CBOR", |forged| {
        forged.attested().public_key = vec![0xff; 70];
    });
}

#[test]
fn r27_there_must_be_a_credential() {
    refuses(AttestedDataMissing, "flag clear, data there", |forged| {
        forged.authenticator_data.flags &= !flag::ATTESTED;
    });
    refuses(AttestedDataMissing, "flag clear, no data", |forged| {
        forged.authenticator_data.flags &= !flag::ATTESTED;
        forged.authenticator_data.attested = None;
    });
}

#[test]
fn r28_the_flag_without_the_credential_is_malformed() {
    refuses(AuthenticatorDataMalformed, "no data", |forged| {
        forged.authenticator_data.attested = None;
    });
}

#[test]
fn r29_extension_outputs_must_fill_the_rest_exactly() {
    refuses(AuthenticatorDataMalformed, "flag clear, bytes", |forged| {
        forged.authenticator_data.trailing = vec![0xa0];
    });
    let outputs: [(&str, Option<Vec<u8>>); 5] = [
        ("no bytes", None),
        ("a list", Some(Item::Array(vec![]).encode())),
        ("bytes behind", Some(vec![0xa0, 0x00])),
        ("cut", Some(vec![0xa1, 0x61, 0x61])),
        (
            "a name twice",
            Some(vec![0xa2, 0x61, 0x61, 0, 0x61, 0x61, 0]),
        ),
    ];
    for (what, outputs) in outputs {
        refuses(AuthenticatorDataMalformed, what, |forged| {
            forged.authenticator_data.flags |= flag::EXTENSIONS;
            forged.authenticator_data.extensions = outputs;
        });
    }
}

#[test]
fn r30_the_rp_id_hash_must_be_ours() {
    for other in [
        "example.com",
        "https://example.org",
        "EXAMPLE.ORG",
        "app.example.org",
        "",
    ] {
        refuses(RpIdHashMismatch, other, |forged| {
            forged.authenticator_data.rp_id_hash = rp_id_hash(other);
        });
    }
    refuses(RpIdHashMismatch, "zero", |forged| {
        forged.authenticator_data.rp_id_hash = [0; 32];
    });
    assert_ne!(rp_id_hash(RP_ID), [0; 32]);
}

#[test]
fn r31_r33_user_presence_is_due_unless_we_opened_a_conditional_ceremony() {
    refuses(UserPresenceMissing, "flag clear", |forged| {
        forged.authenticator_data.flags &= !flag::USER_PRESENT;
    });
    // What the client says about its own mediation is not listened to.
    refuses(UserPresenceMissing, "client's word", |forged| {
        forged.authenticator_data.flags &= !flag::USER_PRESENT;
        forged.client_data.set("mediation", "conditional");
    });
}

#[test]
fn r32_user_verification_is_due_where_required() {
    refuses(UserVerificationMissing, "flag clear", |forged| {
        forged.authenticator_data.flags &= !flag::USER_VERIFIED;
    });
}

#[test]
fn r34_backed_up_needs_backup_eligible() {
    refuses(BackupFlagsImpossible, "backed up only", |forged| {
        forged.authenticator_data.flags &= !flag::BACKUP_ELIGIBLE;
    });
}

#[test]
fn r35_the_algorithm_must_have_been_offered() {
    for id in [
        -47,
        -65535,
        -37,
        -53,
        -48,
        -49,
        -50,
        -35,
        -36,
        0,
        i64::MIN,
        i64::MAX,
    ] {
        refuses_key(AlgorithmNotOffered, "another algorithm", |key| {
            key.set(Item::Int(3), Item::Int(id));
        });
    }
    let mut site = Site::new();
    site.algorithms = vec![Algorithm::Es256];
    site.refuses_registration(AlgorithmNotOffered, "EdDSA", |forged| {
        let key = SigningKey::from_seed(Algorithm::EdDsa, "another");
        forged.attested().public_key = key.cose_key().encode();
    });
    refuses_key(PublicKeyMalformed, "missing", |key| {
        key.remove(&Item::Int(3));
    });
    refuses_key(PublicKeyMalformed, "not a number", |key| {
        key.set(Item::Int(3), Item::text("ES256"));
    });
}

#[test]
fn r36_to_r40_a_key_must_fit_its_algorithm() {
    refuses_key(PublicKeyMalformed, "type", |key| {
        key.set(Item::Int(1), Item::Int(3));
    });
    refuses_key(PublicKeyMalformed, "P-384 with -7", |key| {
        key.set(Item::Int(-1), Item::Int(2));
    });
    refuses_key(PublicKeyMalformed, "off the curve", |key| {
        key.set(Item::Int(-2), Item::Bytes(vec![1; 32]));
    });
    refuses_key(PublicKeyMalformed, "compressed", |key| {
        key.set(Item::Int(-3), Item::Bool(true));
    });
    refuses_key(PublicKeyMalformed, "private part", |key| {
        key.set(Item::Int(-4), Item::Bytes(vec![1; 32]));
    });
    refuses_key(PublicKeyMalformed, "x twice", |key| {
        key.entries()
            .push((Item::Int(-2), Item::Bytes(vec![1; 32])));
    });
    refuses_key(PublicKeyMalformed, "a number for a key", |key| {
        *key = Item::Int(1);
    });
    let ed25519 = |x: Vec<u8>| {
        Item::Map(vec![
            (Item::Int(1), Item::Int(1)),
            (Item::Int(3), Item::Int(-8)),
            (Item::Int(-1), Item::Int(6)),
            (Item::Int(-2), Item::Bytes(x)),
        ])
    };
    refuses_key(PublicKeyMalformed, "Ed25519 of 31 bytes", |key| {
        *key = ed25519(vec![9; 31]);
    });
    refuses_key(PublicKeyWeak, "Ed25519 of small order", |key| {
        *key = ed25519(vec![0; 32]);
    });
}

#[test]
fn r41_a_key_must_have_strength() {
    refuses_key(PublicKeyWeak, "RSA of 1024 bits", |key| {
        *key = Item::Map(vec![
            (Item::Int(1), Item::Int(3)),
            (Item::Int(3), Item::Int(-257)),
            (Item::Int(-1), Item::Bytes(vec![0xff; 128])),
            (Item::Int(-2), Item::Bytes(vec![1, 0, 1])),
        ]);
    });
}

#[test]
fn r42_a_credential_id_has_1_to_1023_bytes() {
    for length in [0, 1024, 4096] {
        refuses(CredentialIdBad, "length", |forged| {
            forged.credential_id = vec![7; length];
            forged.attested().credential_id = vec![7; length];
        });
    }
    refuses(AuthenticatorDataMalformed, "beyond the end", |forged| {
        forged.attested().credential_id_length = Some(65535);
    });
}

#[test]
fn r46_r47_the_credential_must_be_discoverable_where_the_client_tells() {
    for wrong in [
        json!({"credProps": {"rk": false}}),
        json!({"credProps": 1}),
        json!({"credProps": [true]}),
        json!({"credProps": {"rk": "yes"}}),
        json!("credProps"),
        json!([]),
    ] {
        refuses(ExtensionOutputBad, &wrong.to_string(), |forged| {
            forged.client_extension_results = Some(wrong.clone());
        });
    }
}

#[test]
fn r48_transports_are_a_short_list_of_short_texts() {
    for wrong in [
        json!("usb"),
        json!({"usb": true}),
        json!([1]),
        json!(["usb", null]),
        json!(vec!["usb"; 17]),
        json!(vec!["usb"; 1000]),
        json!(["x".repeat(33)]),
        json!(["x".repeat(10_000)]),
    ] {
        refuses_json(RequestMalformed, |json| json["transports"] = wrong.clone());
        refuses_json(RequestMalformed, |json| {
            json.as_object_mut().unwrap().remove("transports");
            json["response"]["transports"] = wrong.clone();
        });
    }
}

#[test]
fn a02_the_format_none_has_an_empty_statement() {
    let statements = [
        Item::Map(vec![(Item::text("sig"), Item::Bytes(vec![1]))]),
        Item::Map(vec![
            (Item::text("alg"), Item::Int(-7)),
            (Item::text("sig"), Item::Bytes(vec![1; 70])),
            (
                Item::text("x5c"),
                Item::Array(vec![Item::Bytes(vec![0x30])]),
            ),
        ]),
    ];
    for statement in statements {
        refuses(AttestationMalformed, "a statement under none", |forged| {
            forged.statement = statement;
        });
    }
}

#[test]
fn l33_an_authentication_is_no_registration() {
    let site = Site::new();
    let mut authenticator = authenticator(Algorithm::Es256);
    site.register(&mut authenticator);
    let json = site.get(&mut authenticator).json();
    assert_eq!(site.verify_registration(&json), Err(RequestMalformed));
}

#[test]
fn a_mebibyte_in_any_field_is_refused_as_what_it_is() {
    use base64_of_zeros as zeros;
    let fields = [
        ("clientDataJSON", ClientDataMalformed),
        ("attestationObject", AttestationObjectMalformed),
    ];
    for (name, denial) in fields {
        refuses_json(denial, |json| json["response"][name] = zeros().into());
    }
    refuses_json(CredentialIdMismatch, |json| {
        json["id"] = zeros().into();
        json["rawId"] = zeros().into();
    });
}

#[test]
fn verification_of_a_conditional_ceremony_still_checks_everything_else() {
    let mut site = Site::new();
    site.conditional = true;
    site.user_verification = UserVerification::Preferred;
    site.refuses_registration(ChallengeMismatch, "challenge", |forged| {
        forged.client_data.set("challenge", "AAAA");
    });
    site.refuses_registration(BackupFlagsImpossible, "flags", |forged| {
        forged.authenticator_data.flags = flag::ATTESTED | flag::BACKED_UP;
    });
}

#[track_caller]
fn refuses(
    denial: Denial,
    what: &str,
    break_it: impl FnOnce(&mut webauthn::forge::ForgedRegistration),
) {
    Site::new().refuses_registration(denial, what, break_it);
}

#[track_caller]
fn refuses_json(denial: Denial, edit: impl FnOnce(&mut Value)) {
    Site::new().refuses_registration_json(denial, "edited JSON", edit);
}

#[track_caller]
fn refuses_object(what: &str, break_it: impl FnOnce(&mut Item)) {
    refuses(AttestationObjectMalformed, what, |forged| {
        let mut object = forged.attestation_object_item();
        break_it(&mut object);
        forged.attestation_object = Some(object.encode());
    });
}

#[track_caller]
fn refuses_key(denial: Denial, what: &str, break_it: impl FnOnce(&mut Item)) {
    refuses(denial, what, |forged| {
        let mut key = authenticator(Algorithm::Es256).key.cose_key();
        break_it(&mut key);
        forged.attested().public_key = key.encode();
    });
}

fn attestation_object() -> Item {
    Site::new()
        .create(&mut authenticator(Algorithm::Es256))
        .attestation_object_item()
}

fn honest_json() -> Value {
    Site::new()
        .create(&mut authenticator(Algorithm::Es256))
        .json()
}

fn base64_of_zeros() -> String {
    "A".repeat(1 << 20)
}
