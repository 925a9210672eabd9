//! The whole way: a passkey is made, used with a transaction, used without one.

use axum::http::StatusCode;
use passkeys::NewApp;
use serde_json::json;
use webauthn::{
    Algorithm, CounterPolicy,
    forge::{Authenticator, flag},
};

use crate::house::{Handshake, MINUTE_MS, ORIGIN, houses};

#[tokio::test]
async fn a_user_registers_and_signs_in_with_and_without_a_transaction() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");

        let transaction_id = app.register_transaction("ann").await;
        let started = app
            .browser(
                "register/transactions/webauthn/start",
                json!({"transaction_id": transaction_id, "authenticator_attachment": "platform"}),
            )
            .await;
        let public_key = &started.body["handshake"]["challenge"]["publicKey"];
        assert_eq!(
            started.body,
            json!({
                "handshake": {
                    "id": started.body["handshake"]["id"],
                    "challenge": {"publicKey": {
                        "rp": {"id": "example.com", "name": "Example"},
                        "user": {
                            "id": public_key["user"]["id"],
                            "name": "Ann",
                            "displayName": "Ann",
                        },
                        "challenge": public_key["challenge"],
                        "pubKeyCredParams": [
                            {"type": "public-key", "alg": -7},
                            {"type": "public-key", "alg": -257},
                            {"type": "public-key", "alg": -8},
                        ],
                        "timeout": 300_000,
                        "excludeCredentials": [],
                        "authenticatorSelection": {
                            "authenticatorAttachment": "platform",
                            "residentKey": "required",
                            "requireResidentKey": true,
                            "userVerification": "preferred",
                        },
                        "attestation": "none",
                        "extensions": {"credProps": true},
                    }},
                },
                "transaction_id": transaction_id,
            })
        );
        assert_eq!(public_key["challenge"].as_str().unwrap().len(), 43);
        assert_eq!(public_key["user"]["id"].as_str().unwrap().len(), 32);

        let handshake = Handshake::from(started);
        house.pass(MINUTE_MS);
        let finished = app
            .finish_registration(&handshake.registration(&mut authenticator))
            .await;
        let nonce = finished.nonce();
        assert_eq!(finished.body, json!({"nonce": nonce}));
        assert_eq!(nonce.len(), 43);
        let verified = app.verify(&nonce).await;
        assert_eq!(verified.status, StatusCode::OK);
        let device_id = &verified.body["device_id"];
        assert_eq!(device_id.as_str().unwrap().len(), 24);
        assert_eq!(
            verified.body,
            json!({
                "external_id": "ann",
                "type": "register",
                "transaction_id": transaction_id,
                "device_id": device_id,
                "user_verified": true,
                "authenticated_at": "2024-08-20T00:21:47.000000Z",
            })
        );
        app.verify(&nonce).await.refuses(401, "invalid_nonce");

        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let credential_id = &handshake.public_key["allowCredentials"][0]["id"];
        assert_eq!(
            handshake.public_key,
            json!({
                "challenge": handshake.public_key["challenge"],
                "rpId": "example.com",
                "allowCredentials": [{
                    "type": "public-key",
                    "id": credential_id,
                    "transports": ["internal", "hybrid"],
                }],
                "userVerification": "preferred",
                "timeout": 300_000,
            })
        );
        authenticator.flags &= !flag::USER_VERIFIED;
        let nonce = app
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
        assert_eq!(
            app.verify(&nonce).await.body,
            json!({
                "external_id": "ann",
                "type": "authenticate",
                "transaction_id": transaction_id,
                "device_id": device_id,
                "user_verified": false,
                "authenticated_at": "2024-08-20T00:21:47.000000Z",
            })
        );

        let handshake = app.start_authentication(None).await;
        assert_eq!(handshake.transaction_id, None);
        assert_eq!(handshake.public_key.get("allowCredentials"), None);
        let nonce = app
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
        let verified = app.verify(&nonce).await;
        assert_eq!(verified.body["external_id"], "ann");
        assert_eq!(verified.body["transaction_id"], json!(null));

        assert_eq!(
            house
                .count(
                    "SELECT COUNT(*) AS count FROM passkeys_users
                     WHERE status = 'active' AND login_count = 2
                       AND created_at_ms < last_login_at_ms"
                )
                .await,
            1
        );
        assert_eq!(
            house
                .count(
                    "SELECT COUNT(*) AS count FROM passkeys_devices
                     WHERE usage_count = 2 AND user_agent LIKE 'Mozilla/%'
                       AND attachment = 'platform' AND rp_id = 'example.com'"
                )
                .await,
            1
        );
    }
}

#[tokio::test]
async fn every_offered_algorithm_registers_and_signs_in() {
    for house in houses().await {
        let app = house.app().await;
        for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa] {
            let external_id = format!("{algorithm:?}");
            let mut authenticator = Authenticator::security_key(algorithm, &external_id);
            app.register(&external_id, &mut authenticator).await;
            let transaction_id = app.authenticate_transaction(&external_id).await;
            let handshake = app.start_authentication(Some(&transaction_id)).await;
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce();
        }
    }
}

#[tokio::test]
async fn a_second_passkey_is_added_and_the_first_is_excluded_from_it() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        let excluded = handshake.public_key["excludeCredentials"].as_array();
        assert_eq!(excluded.unwrap().len(), 1);
        assert_eq!(
            excluded.unwrap()[0]["transports"],
            json!(["internal", "hybrid"])
        );
        assert_eq!(
            handshake.public_key["authenticatorSelection"].get("authenticatorAttachment"),
            None
        );
        let mut second = Authenticator::security_key(Algorithm::Es256, "second");
        app.finish_registration(&handshake.registration(&mut second))
            .await
            .nonce();
        house.pass(1);
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        assert_eq!(
            handshake.public_key["allowCredentials"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        app.finish_authentication(&handshake.authentication(&mut second))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn every_spelling_of_the_same_ceremony_is_understood() {
    for house in houses().await {
        let app = house.app().await;
        // Android: transports inside, further members everywhere, null for absent.
        let transaction_id = app.register_transaction("ann").await;
        let started = app
            .browser(
                "register/transactions/webauthn/start/",
                json!({
                    "transaction_id": transaction_id,
                    "authenticator_attachment": null,
                    "unknown": {"member": 1},
                }),
            )
            .await;
        let handshake = Handshake::from(started);
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let mut forged = authenticator.create(&handshake.public_key, ORIGIN);
        forged.transports = None;
        forged.client_extension_results = Some(json!({"credProps": {"rk": true}}));
        let mut response = forged.json();
        response["response"]["transports"] = json!(["hybrid"]);
        response["authenticatorAttachment"] = json!("cross-platform");
        app.browser(
            "register/transactions/webauthn/finish/",
            handshake.finish(response),
        )
        .await
        .nonce();
        assert_eq!(
            house
                .count(
                    "SELECT COUNT(*) AS count FROM passkeys_devices
                     WHERE attachment = 'cross-platform' AND transports = '[\"hybrid\"]'"
                )
                .await,
            1
        );

        // An empty body starts a discoverable authentication, from an app without an origin.
        let request = app
            .request(
                axum::http::Method::POST,
                "authenticate/transactions/webauthn/start",
            )
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = house.send(request).await;
        assert_eq!(answer.headers.get("access-control-allow-origin"), None);
        let handshake = Handshake::from(answer);
        // iOS sends the handle as the text that web clients decode.
        let mut forged = authenticator.get(&handshake.public_key, ORIGIN);
        let user_id = authenticator.user_handle.clone().unwrap();
        forged.user_handle = Some(String::from_utf8(user_id).unwrap());
        app.finish_authentication(&handshake.finish(forged.json()))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn with_a_transaction_the_user_handle_may_be_missing() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        for user_handle in [None, Some(String::new())] {
            let transaction_id = app.authenticate_transaction("ann").await;
            let handshake = app.start_authentication(Some(&transaction_id)).await;
            let mut forged = authenticator.get(&handshake.public_key, ORIGIN);
            forged.user_handle = user_handle;
            app.finish_authentication(&handshake.finish(forged.json()))
                .await
                .nonce();
        }
    }
}

#[tokio::test]
async fn a_passkey_made_at_one_origin_of_the_app_works_at_another() {
    for house in houses().await {
        let app = house
            .app_like(NewApp {
                name: "Example".into(),
                auth_origin: ORIGIN.into(),
                additional_auth_origins: vec!["https://example.de".into()],
                ..NewApp::default()
            })
            .await;
        let mut authenticator = app.registered("ann").await;
        let handshake = app.start_authentication(None).await;
        let forged = authenticator.get(&handshake.public_key, "https://example.de");
        app.finish_authentication(&handshake.finish(forged.json()))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn a_counter_never_goes_down_and_the_policy_decides_about_standing_still() {
    for house in houses().await {
        for (policy, status) in [(CounterPolicy::Record, 200), (CounterPolicy::Refuse, 401)] {
            let mut new = NewApp {
                name: "Example".into(),
                auth_origin: ORIGIN.into(),
                ..NewApp::default()
            };
            new.settings.counter_policy = policy;
            let app = house.app_like(new).await;
            let mut key = Authenticator::security_key(Algorithm::Es256, "key");
            app.register("ann", &mut key).await;
            let answers = [9, 4].map(|sign_count| {
                key.sign_count = sign_count - 1;
                key.get(&json!({"challenge": "", "rpId": "example.com"}), ORIGIN)
            });
            let mut statuses = Vec::new();
            for mut forged in answers {
                let handshake = app.start_authentication(None).await;
                forged
                    .client_data
                    .set("challenge", handshake.public_key["challenge"].clone());
                let answer = app
                    .finish_authentication(&handshake.finish(forged.json()))
                    .await;
                statuses.push(answer.status.as_u16());
            }
            assert_eq!(statuses, [200, status], "{policy:?}");
        }
        assert_eq!(
            house
                .count("SELECT COUNT(*) AS count FROM passkeys_devices WHERE sign_count = 9")
                .await,
            2
        );
    }
}
