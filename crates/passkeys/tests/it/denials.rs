//! What a finish is denied for: the reason in the event and the log, the
//! contract's answer outside, the handshake spent, and the unbroken ceremony
//! working right after.

use axum::http::StatusCode;
use passkeys::NewApp;
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{Handshake, House, ORIGIN, Reasons, TestApp, UNKNOWN_ID, houses};

const WITH_TRANSACTION: (u16, &str) = (401, "webauthn_login_failed");
const DISCOVERABLE: (u16, &str) = (401, "discoverable_login_failed");
const MALFORMED: (u16, &str) = (400, "invalid_request");
const NO_TRANSACTION: (u16, &str) = (404, "transaction_not_found");

/// Posts a broken registration of a new user, asserts the answer and the reason,
/// then that the handshake is spent, the transaction is not, and nothing else is stored.
async fn check_registration(
    house: &House,
    app: &TestApp,
    outside: (u16, &str),
    reason: &str,
    break_it: impl FnOnce(&mut Authenticator, &Value) -> Value,
) {
    let reasons = Reasons::collect();
    let mut authenticator = Authenticator::new(Algorithm::Es256, reason);
    let transaction_id = app.register_transaction(reason).await;
    let handshake = app.start_registration(&transaction_id).await;
    let broken = break_it(&mut authenticator, &handshake.public_key);
    let devices = "SELECT COUNT(*) AS count FROM passkeys_devices";
    let stored = house.count(devices).await;
    app.finish_registration(&handshake.finish(broken))
        .await
        .refuses(outside.0, outside.1);
    assert_eq!(reasons.take(), [reason]);
    assert_recorded(app, &handshake, reason).await;
    app.finish_registration(&handshake.registration(&mut authenticator))
        .await
        .refuses(400, "invalid_request");
    assert_eq!(reasons.take(), ["handshake_spent"]);
    assert_eq!(house.count(devices).await, stored);
    let handshake = app.start_registration(&transaction_id).await;
    app.finish_registration(&handshake.registration(&mut authenticator))
        .await
        .nonce();
}

/// The same for an authentication of a fresh user, with or without a transaction.
async fn check_authentication(
    app: &TestApp,
    is_discoverable: bool,
    outside: (u16, &str),
    reason: &str,
    break_it: impl FnOnce(&mut Authenticator, &Value) -> Value,
) {
    let reasons = Reasons::collect();
    let external_id = format!("{reason} {is_discoverable}");
    let mut authenticator = app.registered(&external_id).await;
    let transaction_id = match is_discoverable {
        true => None,
        false => Some(app.authenticate_transaction(&external_id).await),
    };
    let handshake = app.start_authentication(transaction_id.as_deref()).await;
    let broken = break_it(&mut authenticator, &handshake.public_key);
    app.finish_authentication(&handshake.finish(broken))
        .await
        .refuses(outside.0, outside.1);
    assert_eq!(reasons.take(), [reason]);
    assert_recorded(app, &handshake, reason).await;
    app.finish_authentication(&handshake.authentication(&mut authenticator))
        .await
        .refuses(400, "invalid_request");
    assert_eq!(reasons.take(), ["handshake_spent"]);
    let handshake = app.start_authentication(transaction_id.as_deref()).await;
    app.finish_authentication(&handshake.authentication(&mut authenticator))
        .await
        .nonce();
}

/// Asserts that the event of a handshake says why it was denied.
async fn assert_recorded(app: &TestApp, handshake: &Handshake, reason: &str) {
    let event = app.get(&format!("events/{}", handshake.id)).await;
    assert_eq!(event["event"]["failure_code"], reason);
    assert_eq!(event["event"]["status"], "incomplete");
}

#[tokio::test]
async fn a_broken_registration_is_denied_and_stores_nothing() {
    for house in houses().await {
        let app = house.app().await;
        let other = Authenticator::new(Algorithm::Es256, "other");
        check_registration(
            &house,
            &app,
            WITH_TRANSACTION,
            "origin_not_allowed",
            |authenticator, options| {
                authenticator
                    .create(options, "https://evilexample.com")
                    .json()
            },
        )
        .await;
        check_registration(
            &house,
            &app,
            WITH_TRANSACTION,
            "challenge_mismatch",
            |authenticator, options| {
                let mut forged = authenticator.create(options, ORIGIN);
                forged.client_data.set("challenge", "AAAA");
                forged.json()
            },
        )
        .await;
        check_registration(
            &house,
            &app,
            WITH_TRANSACTION,
            "credential_id_mismatch",
            |authenticator, options| {
                let mut forged = authenticator.create(options, ORIGIN);
                forged.credential_id = other.credential_id;
                forged.json()
            },
        )
        .await;
        // What the browser SDK posts when the browser gave it nothing.
        check_registration(&house, &app, MALFORMED, "request_malformed", |_, _| {
            json!({
                "rawId": "",
                "type": "",
                "response": {"attestationObject": "", "clientDataJSON": ""},
                "transports": [],
            })
        })
        .await;
    }
}

#[tokio::test]
async fn a_broken_authentication_is_denied_and_looks_the_same_from_outside() {
    for house in houses().await {
        let app = house.app().await;
        let mut stranger = app.registered("stranger").await;
        for (is_discoverable, outside) in [(false, WITH_TRANSACTION), (true, DISCOVERABLE)] {
            check_authentication(
                &app,
                is_discoverable,
                outside,
                "signature_bad",
                |authenticator, options| {
                    let mut forged = authenticator.get(options, ORIGIN);
                    forged.key = stranger.key.clone();
                    forged.json()
                },
            )
            .await;
            check_authentication(
                &app,
                is_discoverable,
                outside,
                "rp_id_hash_mismatch",
                |authenticator, options| {
                    let mut forged = authenticator.get(options, ORIGIN);
                    forged.authenticator_data.rp_id_hash = [0; 32];
                    forged.json()
                },
            )
            .await;
            check_authentication(
                &app,
                is_discoverable,
                outside,
                "credential_unknown",
                |authenticator, options| {
                    let mut forged = authenticator.get(options, ORIGIN);
                    forged.credential_id = vec![9; 32];
                    forged.json()
                },
            )
            .await;
            check_authentication(
                &app,
                is_discoverable,
                outside,
                "user_handle_mismatch",
                |authenticator, options| {
                    let mut forged = authenticator.get(options, ORIGIN);
                    forged.user_handle = Some("AAAA".into());
                    forged.json()
                },
            )
            .await;
            check_authentication(
                &app,
                is_discoverable,
                MALFORMED,
                "request_malformed",
                |_, _| Value::Null,
            )
            .await;
        }
        check_authentication(
            &app,
            true,
            DISCOVERABLE,
            "user_handle_missing",
            |authenticator, options| {
                let mut forged = authenticator.get(options, ORIGIN);
                forged.user_handle = Some(String::new());
                forged.json()
            },
        )
        .await;
        check_authentication(
            &app,
            false,
            WITH_TRANSACTION,
            "credential_not_allowed",
            |_, options| stranger.get(options, ORIGIN).json(),
        )
        .await;
    }
}

#[tokio::test]
async fn a_device_registered_after_the_start_needs_a_new_start() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let mut second = Authenticator::new(Algorithm::Es256, "second");
        app.register("ann", &mut second).await;
        let reasons = Reasons::collect();
        app.finish_authentication(&handshake.authentication(&mut second))
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["credential_not_allowed"]);
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        app.finish_authentication(&handshake.authentication(&mut second))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn a_credential_is_registered_once_in_an_app_whoever_tries() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let reasons = Reasons::collect();
        for external_id in ["ann", "bob"] {
            let transaction_id = app.register_transaction(external_id).await;
            let handshake = app.start_registration(&transaction_id).await;
            let mut thief = Authenticator::new(Algorithm::Es256, "thief");
            thief.credential_id = authenticator.credential_id.clone();
            app.finish_registration(&handshake.registration(&mut thief))
                .await
                .refuses(401, "webauthn_login_failed");
            assert_eq!(reasons.take(), ["credential_already_registered"]);
        }
        let handshake = app.start_authentication(None).await;
        let nonce = app
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
        assert_eq!(app.verify(&nonce).await.body["external_id"], "ann");
    }
}

#[tokio::test]
async fn a_finish_must_name_the_transaction_of_its_handshake() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let reasons = Reasons::collect();
        let other = app.authenticate_transaction("ann").await;
        for (claim, outside, reason) in [
            (json!(other), NO_TRANSACTION, "transaction_mismatch"),
            (json!(UNKNOWN_ID), NO_TRANSACTION, "transaction_mismatch"),
            (json!(null), MALFORMED, "transaction_mismatch"),
            (json!(""), MALFORMED, "request_malformed"),
            (json!("a-b"), MALFORMED, "request_malformed"),
            (json!(1), MALFORMED, "request_malformed"),
            (json!([]), MALFORMED, "request_malformed"),
        ] {
            let transaction_id = app.authenticate_transaction("ann").await;
            let handshake = app.start_authentication(Some(&transaction_id)).await;
            let mut finish = handshake.authentication(&mut authenticator);
            finish["transaction_id"] = claim.clone();
            app.finish_authentication(&finish)
                .await
                .refuses(outside.0, outside.1);
            assert_eq!(reasons.take(), [reason], "{claim}");
            finish["transaction_id"] = json!(transaction_id);
            app.finish_authentication(&finish)
                .await
                .refuses(400, "invalid_request");
            assert_eq!(reasons.take(), ["handshake_spent"], "{claim}");
        }
        let handshake = app.start_authentication(None).await;
        let mut finish = handshake.authentication(&mut authenticator);
        finish["transaction_id"] = json!(other);
        app.finish_authentication(&finish)
            .await
            .refuses(404, "transaction_not_found");
        assert_eq!(reasons.take(), ["transaction_mismatch"]);
    }
}

#[tokio::test]
async fn a_newer_start_cancels_the_older_handshake_and_success_ends_the_transaction() {
    for house in houses().await {
        let app = house.app().await;
        let reasons = Reasons::collect();
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let older = app.start_registration(&transaction_id).await;
        let old = app.start_registration(&transaction_id).await;
        let newest = app.start_registration(&transaction_id).await;
        app.finish_registration(&older.registration(&mut authenticator))
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_spent"]);
        let finish = newest.registration(&mut authenticator);
        app.finish_registration(&finish).await.nonce();
        app.finish_registration(&finish)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_spent"]);
        app.finish_registration(&old.registration(&mut authenticator))
            .await
            .refuses(404, "transaction_not_found");
        assert_eq!(reasons.take(), ["transaction_mismatch"]);
        app.browser(
            "register/transactions/webauthn/start",
            json!({"transaction_id": transaction_id}),
        )
        .await
        .refuses(404, "transaction_not_found");
    }
}

#[tokio::test]
async fn handshakes_and_transactions_of_the_other_ceremony_are_refused() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let register = app.register_transaction("ann").await;
        let authenticate = app.authenticate_transaction("ann").await;
        app.browser(
            "authenticate/transactions/webauthn/start",
            json!({"transaction_id": register}),
        )
        .await
        .refuses(404, "transaction_not_found");
        app.browser(
            "register/transactions/webauthn/start",
            json!({"transaction_id": authenticate}),
        )
        .await
        .refuses(404, "transaction_not_found");

        let reasons = Reasons::collect();
        let registration = app.start_registration(&register).await;
        let response = registration.registration(&mut authenticator);
        let finish = "transactions/webauthn/finish";
        // Unreadable as the other ceremony's response, which comes second.
        app.browser(&format!("authenticate/{finish}"), response)
            .await
            .refuses(400, "invalid_request");
        let authentication = app.start_authentication(Some(&authenticate)).await;
        let response = authentication.authentication(&mut authenticator);
        app.browser(&format!("register/{finish}"), response)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(
            reasons.take(),
            ["handshake_wrong_kind", "handshake_wrong_kind"]
        );
    }
}

#[tokio::test]
async fn a_deactivated_user_is_told_so_only_where_it_tells_nobody_else() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let registered = app.register_transaction("ann").await;
        let started = app.register_transaction("ann").await;
        let registration = app.start_registration(&started).await;
        let authenticated = app.authenticate_transaction("ann").await;
        let with_transaction = app
            .start_authentication(Some(&app.authenticate_transaction("ann").await))
            .await;
        let forged = app.start_authentication(None).await;
        let discoverable = app.start_authentication(None).await;
        let unredeemed = {
            let handshake = app.start_authentication(None).await;
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce()
        };
        house
            .execute("UPDATE passkeys_users SET status = 'inactive'")
            .await;

        let reasons = Reasons::collect();
        let names = json!({"external_id": "ann", "passkey_display_name": "Ann"});
        app.server("transactions/register", names.clone())
            .await
            .refuses(403, "cannot_create_transaction");
        app.server("transactions/authenticate", names)
            .await
            .refuses(403, "cannot_create_transaction");
        for (ceremony, transaction_id) in
            [("register", &registered), ("authenticate", &authenticated)]
        {
            app.browser(
                &format!("{ceremony}/transactions/webauthn/start"),
                json!({"transaction_id": transaction_id}),
            )
            .await
            .refuses(403, "user_not_active");
        }
        assert!(reasons.take().is_empty());

        let mut second = Authenticator::new(Algorithm::Es256, "second");
        app.finish_registration(&registration.registration(&mut second))
            .await
            .refuses(403, "user_not_active");
        app.finish_authentication(&with_transaction.authentication(&mut authenticator))
            .await
            .refuses(403, "user_not_active");
        app.finish_authentication(&discoverable.authentication(&mut authenticator))
            .await
            .refuses(403, "user_not_active");
        assert_eq!(reasons.take(), ["user_inactive"; 3]);
        let mut response = authenticator.get(&forged.public_key, ORIGIN);
        response.key = second.key.clone();
        app.finish_authentication(&forged.finish(response.json()))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["signature_bad"]);
        app.verify(&unredeemed).await.refuses(401, "invalid_nonce");

        house
            .execute("UPDATE passkeys_users SET status = 'active'")
            .await;
        assert_eq!(app.verify(&unredeemed).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn users_and_devices_that_are_gone_are_refused_by_name() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        app.server(
            "transactions/authenticate",
            json!({"external_id": "nobody"}),
        )
        .await
        .refuses(404, "user_not_found");
        let transaction_id = app.register_transaction("bob").await;
        app.start_registration(&transaction_id).await;
        app.server("transactions/authenticate", json!({"external_id": "bob"}))
            .await
            .refuses(409, "user_has_no_passkeys");

        let reasons = Reasons::collect();
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let transaction = app.register_transaction("ann").await;
        let registration = app.start_registration(&transaction).await;
        house.execute("DELETE FROM passkeys_devices").await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["credential_unknown"]);
        let start = json!({"transaction_id": transaction_id});
        let path = "authenticate/transactions/webauthn/start";
        app.browser(path, start.clone())
            .await
            .refuses(409, "user_has_no_passkeys");
        house.execute("DELETE FROM passkeys_users").await;
        app.browser(path, start)
            .await
            .refuses(404, "user_not_found");
        app.finish_registration(&registration.registration(&mut authenticator))
            .await
            .refuses(404, "user_not_found");
        assert_eq!(reasons.take(), ["user_inactive"]);
    }
}

#[tokio::test]
async fn an_origin_that_is_taken_away_is_gone_for_open_handshakes_too() {
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
        let reasons = Reasons::collect();
        let handshake = app.start_authentication(None).await;
        house
            .execute("UPDATE passkeys_apps SET additional_auth_origins = '[]'")
            .await;
        let forged = authenticator.get(&handshake.public_key, "https://example.de");
        app.finish_authentication(&handshake.finish(forged.json()))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["origin_not_allowed"]);
    }
}

#[tokio::test]
async fn a_handshake_keeps_its_rp_id_and_a_credential_is_offered_under_its_own_only() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let handshake = app.start_authentication(None).await;
        house
            .execute("UPDATE passkeys_apps SET rp_id = 'new.example.com'")
            .await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();

        app.server("transactions/authenticate", json!({"external_id": "ann"}))
            .await
            .refuses(409, "user_has_no_passkeys");
        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        assert_eq!(handshake.public_key["rp"]["id"], "new.example.com");
        assert_eq!(handshake.public_key["excludeCredentials"], json!([]));
        let reasons = Reasons::collect();
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["credential_unknown"]);
    }
}
