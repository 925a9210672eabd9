//! What a client may get wrong around a good ceremony: the JSON, the user handle, the RP ID.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use webauthn::Algorithm;
use webauthn::forge::rp_id_hash;

use super::{Inputs, holder, site};
use crate::site::{USER_ID, authenticator, not_base64url};

pub(super) fn all(inputs: &mut Inputs) {
    let site = site();
    let registration = site.create(&mut authenticator(Algorithm::Es256)).json();
    let authentication = site.get(&mut holder(Algorithm::Es256)).json();
    type Edit = fn(&mut Value);
    let edits: &[(&str, Edit)] = &[
        ("id missing", |json| remove(json, "id")),
        ("rawId missing", |json| remove(json, "rawId")),
        ("type missing", |json| remove(json, "type")),
        ("response missing", |json| remove(json, "response")),
        ("type in upper case", |json| {
            json["type"] = "PUBLIC-KEY".into();
        }),
        ("type null", |json| json["type"] = Value::Null),
        ("id null", |json| json["id"] = Value::Null),
        ("rawId null", |json| json["rawId"] = Value::Null),
        ("rawId of another", |json| {
            json["rawId"] = BASE64_URL_SAFE_NO_PAD.encode([7; 32]).into();
        }),
        ("unknown members", |json| {
            json["unknown"] = json!({"a": [1]});
            json["response"]["unknown"] = json!(null);
        }),
        ("attachment", |json| {
            json["authenticatorAttachment"] = "platform".into();
        }),
        ("attachment null", |json| {
            json["authenticatorAttachment"] = Value::Null;
        }),
        ("attachment unknown", |json| {
            json["authenticatorAttachment"] = "implanted".into();
        }),
        ("transports known", |json| {
            json["response"]["transports"] = json!(["internal", "hybrid", "usb"]);
        }),
        ("transports twice the same", |json| {
            json["response"]["transports"] = json!(["usb", "usb"]);
        }),
        ("transports unknown", |json| {
            json["response"]["transports"] = json!(["pigeon"]);
            remove(json, "transports");
        }),
        ("transports no list", |json| {
            json["response"]["transports"] = json!("usb");
            remove(json, "transports");
        }),
        ("transports no list beside the response", |json| {
            json["transports"] = json!("usb");
        }),
        ("transports too many", |json| {
            json["transports"] = vec!["usb"; 17].into();
        }),
        ("extension results", |json| {
            json["clientExtensionResults"] = json!({"credProps": {"rk": true}, "unknown": 7});
        }),
        ("extension results null", |json| {
            json["clientExtensionResults"] = Value::Null;
        }),
        ("extension results a number", |json| {
            json["clientExtensionResults"] = json!(7);
        }),
        ("not discoverable", |json| {
            json["clientExtensionResults"] = json!({"credProps": {"rk": false}});
        }),
        ("credProps a number", |json| {
            json["clientExtensionResults"] = json!({"credProps": 7});
        }),
        ("credProps of text", |json| {
            json["clientExtensionResults"] = json!({"credProps": {"rk": "true"}});
        }),
        ("prf", |json| {
            json["clientExtensionResults"] = json!({"prf": {"enabled": true}});
        }),
        ("prf results", |json| {
            json["clientExtensionResults"] = json!({"prf": {"results": {"first": "AAAA"}}});
        }),
        ("public key beside the attestation object", |json| {
            json["response"]["publicKey"] = json!("AAAA");
        }),
        ("algorithm beside the attestation object", |json| {
            json["response"]["publicKeyAlgorithm"] = json!(-8);
        }),
        ("authenticator data beside the attestation object", |json| {
            if json["response"]["signature"].is_null() {
                json["response"]["authenticatorData"] = json!("AAAA");
            }
        }),
    ];
    let stored = Some(inputs.stored(Algorithm::Es256));
    for (what, edit) in edits {
        let mut json = registration.clone();
        edit(&mut json);
        inputs.push(what, &site, json, None);
        let mut json = authentication.clone();
        edit(&mut json);
        inputs.push(what, &site, json, stored.clone());
    }
    for whole in [json!(null), json!([]), json!("text"), json!({})] {
        inputs.push("no response", &site, whole.clone(), None);
        inputs.push("no response", &site, whole, stored.clone());
    }
    inputs.push("an authentication", &site, authentication.clone(), None);
    inputs.push(
        "a registration",
        &site,
        registration.clone(),
        stored.clone(),
    );
    for (whole, names, stored) in [
        (
            &registration,
            &["clientDataJSON", "attestationObject"][..],
            &None,
        ),
        (
            &authentication,
            &[
                "clientDataJSON",
                "authenticatorData",
                "signature",
                "userHandle",
            ],
            &stored,
        ),
    ] {
        for name in names {
            let good = whole["response"][name].as_str().unwrap();
            for (what, value) in not_base64url(good) {
                let mut json = whole.clone();
                json["response"][name] = value;
                inputs.push(&format!("{name}: {what}"), &site, json, stored.clone());
            }
            let mut json = whole.clone();
            remove(&mut json["response"], name);
            inputs.push(&format!("{name} missing"), &site, json, stored.clone());
        }
        for name in ["id", "rawId"] {
            let good = whole[name].as_str().unwrap();
            for (what, value) in not_base64url(good) {
                let mut json = whole.clone();
                json[name] = value;
                inputs.push(&format!("{name}: {what}"), &site, json, stored.clone());
            }
        }
    }
    let handle = BASE64_URL_SAFE_NO_PAD.encode(USER_ID);
    let another = BASE64_URL_SAFE_NO_PAD.encode(USER_ID.to_lowercase());
    for (what, handle) in [
        ("none", None),
        ("empty", Some("")),
        ("of the user", Some(&handle[..])),
        ("of another user", Some(&another)),
        ("of a part", Some(&handle[..28])),
        (
            "encoded twice",
            Some(&BASE64_URL_SAFE_NO_PAD.encode(&handle)),
        ),
        ("not encoded", Some(USER_ID)),
        ("65 bytes", Some(&BASE64_URL_SAFE_NO_PAD.encode([7; 65]))),
    ] {
        inputs.authentication(
            &format!("user handle {what}"),
            &site,
            Algorithm::Es256,
            |forged| forged.user_handle = handle.map(str::to_owned),
        );
    }
    for rp_id in [
        "example.com",
        "EXAMPLE.ORG",
        "https://example.org",
        "www.example.org",
        "",
    ] {
        let hash = rp_id_hash(rp_id);
        inputs.registration(
            &format!("for {rp_id:?}"),
            &site,
            Algorithm::Es256,
            |forged| {
                forged.authenticator_data.rp_id_hash = hash;
            },
        );
        inputs.authentication(
            &format!("for {rp_id:?}"),
            &site,
            Algorithm::Es256,
            |forged| {
                forged.authenticator_data.rp_id_hash = hash;
            },
        );
    }
}

fn remove(json: &mut Value, name: &str) {
    json.as_object_mut().expect("an object").remove(name);
}
