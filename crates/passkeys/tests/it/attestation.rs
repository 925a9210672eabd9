//! Attestation as an app's setting: what is asked for, whom the app believes,
//! and the reason recorded for each that it does not (webauthn-checks section 5).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use webauthn::{
    Algorithm, aaguid,
    forge::{
        Authenticator, SigningKey,
        attestation::{Attester, Extension, Format},
    },
};

use crate::house::{Answer, Handshake, ORIGIN, Reasons, TestApp, houses};

/// The certificate at the top of every honest chain, as people have it.
fn root_pem() -> String {
    let key = SigningKey::from_seed(Algorithm::Es256, "any");
    let der = Attester::new(Format::Packed, &key).root.der();
    let lines = BASE64_STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

/// Some other maker's.
fn stranger_pem() -> String {
    let key = SigningKey::from_seed(Algorithm::Es256, "stranger");
    let mut attester = Attester::new(Format::Packed, &key);
    attester.root.key = key.clone();
    attester.root.issuer_key = key;
    let lines = BASE64_STANDARD.encode(attester.root.der());
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

fn direct(trust_anchors: &[String], allowed_aaguids: &[String]) -> Value {
    json!({"settings": {
        "attestation": "direct",
        "trust_anchors": trust_anchors,
        "allowed_aaguids": allowed_aaguids,
    }})
}

async fn start(app: &TestApp, external_id: &str) -> Handshake {
    let transaction_id = app.register_transaction(external_id).await;
    app.start_registration(&transaction_id).await
}

/// Finishes a registration with a statement of `format`, after `change`.
async fn finish(
    app: &TestApp,
    handshake: &Handshake,
    authenticator: &mut Authenticator,
    format: Option<Format>,
    change: impl FnOnce(&mut Attester),
) -> Answer {
    let mut forged = authenticator.create(&handshake.public_key, ORIGIN);
    if let Some(format) = format {
        let mut attester = Attester::new(format, &authenticator.key);
        change(&mut attester);
        attester.attest(&mut forged);
    }
    app.finish_registration(&handshake.finish(forged.json()))
        .await
}

#[tokio::test]
async fn nothing_is_asked_for_unless_the_app_says_so() {
    for house in houses().await {
        let app = house.app().await;
        let handshake = start(&app, "ann").await;
        assert_eq!(handshake.public_key["attestation"], "none");
        // A statement nobody asked for is not judged.
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let format = Some(Format::Packed);
        finish(&app, &handshake, &mut authenticator, format, |attester| {
            attester.signed = Some(b"other".to_vec());
        })
        .await
        .nonce();
    }
}

#[tokio::test]
async fn direct_attestation_is_asked_for_and_its_word_recorded_when_it_fails() {
    for house in houses().await {
        let app = house.app().await;
        let settings = app.update(direct(&[root_pem()], &[])).await["settings"].clone();
        assert_eq!(settings["attestation"], "direct");
        assert_eq!(settings["allowed_aaguids"], json!([]));
        // What is shown can be sent back.
        assert_eq!(
            app.update(json!({"settings": settings})).await["settings"],
            settings
        );
        let reasons = Reasons::collect();
        let mut authenticator = Authenticator::security_key(Algorithm::Es256, "key");
        type Change = fn(&mut Attester);
        let broken: [(Option<Format>, Change, &str); 6] = [
            (None, |_| {}, "attestation_untrusted"),
            (Some(Format::PackedSelf), |_| {}, "attestation_untrusted"),
            (
                Some(Format::Packed),
                |attester| {
                    let stranger = SigningKey::from_seed(Algorithm::Es256, "stranger");
                    attester.certificates[1].issuer_key = stranger;
                },
                "attestation_untrusted",
            ),
            (
                Some(Format::Packed),
                |attester| attester.signed = Some(b"other".to_vec()),
                "attestation_signature_bad",
            ),
            (
                Some(Format::Packed),
                |attester| attester.leaf().not_after = "20240101".into(),
                "attestation_certificate_bad",
            ),
            (
                Some(Format::Packed),
                |attester| attester.leaf().set(Extension::aaguid(&[9; 16])),
                "attestation_certificate_bad",
            ),
        ];
        for (format, change, reason) in broken {
            let handshake = start(&app, "ann").await;
            assert_eq!(handshake.public_key["attestation"], "direct");
            finish(&app, &handshake, &mut authenticator, format, change)
                .await
                .refuses(401, "webauthn_login_failed");
            assert_eq!(reasons.take(), [reason]);
            let event = app.get(&format!("events/{}", handshake.id)).await;
            assert_eq!(event["event"]["failure_code"], reason);
        }
        let handshake = start(&app, "ann").await;
        let format = Some(Format::Packed);
        finish(&app, &handshake, &mut authenticator, format, |_| {})
            .await
            .nonce();
    }
}

#[tokio::test]
async fn every_certified_format_leads_to_the_operators_anchor() {
    for house in houses().await {
        let app = house.app().await;
        // The second anchor is nobody's; each is enough.
        app.update(direct(&[stranger_pem(), root_pem()], &[])).await;
        for format in Format::CERTIFIED {
            let mut authenticator = Authenticator::security_key(Algorithm::Es256, format.name());
            if format == Format::FidoU2f {
                authenticator.aaguid = [0; 16];
            }
            let handshake = start(&app, format.name()).await;
            finish(&app, &handshake, &mut authenticator, Some(format), |_| {})
                .await
                .nonce();
        }
        app.update(direct(&[stranger_pem()], &[])).await;
        let reasons = Reasons::collect();
        let mut authenticator = Authenticator::security_key(Algorithm::Es256, "late");
        let handshake = start(&app, "late").await;
        let format = Some(Format::Packed);
        finish(&app, &handshake, &mut authenticator, format, |_| {})
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["attestation_untrusted"]);
    }
}

#[tokio::test]
async fn only_allowed_models_register() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::security_key(Algorithm::Es256, "key");
        let (own, other) = (
            aaguid::format(&authenticator.aaguid),
            aaguid::format(&[9; 16]),
        );
        let reasons = Reasons::collect();
        for (allowed, is_in) in [
            (vec![other.clone()], false),
            (vec![other, own.to_uppercase()], true),
        ] {
            let settings = app.update(direct(&[root_pem()], &allowed)).await["settings"].clone();
            assert_eq!(
                settings["allowed_aaguids"],
                json!(
                    allowed
                        .iter()
                        .map(|id| id.to_lowercase())
                        .collect::<Vec<_>>()
                )
            );
            let handshake = start(&app, "ann").await;
            let format = Some(Format::Packed);
            let answer = finish(&app, &handshake, &mut authenticator, format, |_| {}).await;
            if is_in {
                answer.nonce();
            } else {
                answer.refuses(401, "webauthn_login_failed");
                assert_eq!(reasons.take(), ["model_not_allowed"]);
            }
        }
    }
}

#[tokio::test]
async fn a_policy_that_proves_nothing_is_refused() {
    for house in houses().await {
        let app = house.app().await;
        let model = aaguid::format(&[1; 16]);
        let before = app.get("").await;
        for (changes, member) in [
            (json!({"allowed_aaguids": [model]}), "allowed_aaguids"),
            (
                json!({"allowed_aaguids": [model], "trust_anchors": [root_pem()]}),
                "allowed_aaguids",
            ),
            (json!({"attestation": "direct"}), "trust_anchors"),
            (
                json!({"attestation": "direct", "allowed_aaguids": [model]}),
                "trust_anchors",
            ),
        ] {
            let answer = app.patch(json!({"settings": changes})).await;
            answer.refuses(400, "invalid_request");
            let error = answer.body["error"].as_str().unwrap();
            assert!(error.contains(member), "{error}");
            assert_eq!(app.get("").await, before);
        }
        // The same holds step by step.
        app.update(direct(&[root_pem()], &[model])).await;
        for changes in [json!({"attestation": "none"}), json!({"trust_anchors": []})] {
            app.patch(json!({"settings": changes}))
                .await
                .refuses(400, "invalid_request");
        }
        let changes = json!({"attestation": "none", "allowed_aaguids": [], "trust_anchors": []});
        app.update(json!({"settings": changes})).await;
        assert_eq!(app.get("").await, before);
    }
}

#[tokio::test]
async fn a_passkey_is_not_made_in_passing_where_attestation_is_required() {
    for house in houses().await {
        let app = house.app().await;
        let transaction_id = app.register_transaction("ann").await;
        let start = json!({"transaction_id": transaction_id, "mediation": "conditional"});
        let path = "register/transactions/webauthn/start";
        let started = app.browser(path, start.clone()).await;
        assert_eq!(started.status, 200, "{:?}", started.body);
        app.update(direct(&[root_pem()], &[])).await;
        let answer = app.browser(path, start).await;
        answer.refuses(400, "invalid_request");
        let error = answer.body["error"].as_str().unwrap();
        assert!(error.contains("attestation"), "{error}");
    }
}

#[tokio::test]
async fn a_registration_is_judged_by_the_policy_of_today() {
    for house in houses().await {
        let app = house.app().await;
        let reasons = Reasons::collect();
        // Started when nothing was asked for, finished when proof is.
        let mut authenticator = Authenticator::security_key(Algorithm::Es256, "key");
        let handshake = start(&app, "ann").await;
        app.update(direct(&[root_pem()], &[])).await;
        finish(&app, &handshake, &mut authenticator, None, |_| {})
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["attestation_untrusted"]);
        // And the other way round.
        let handshake = start(&app, "ann").await;
        app.update(json!({"settings": {"attestation": "none"}}))
            .await;
        finish(&app, &handshake, &mut authenticator, None, |_| {})
            .await
            .nonce();
    }
}
