//! Every lifetime at its last millisecond and one further (passkey-flex section a.2).

use axum::http::StatusCode;
use passkeys::{NewApp, Swept};
use serde_json::json;
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{House, MINUTE_MS, ORIGIN, Reasons, TestApp, houses};

/// An app whose handshakes die before their transactions.
async fn app_with_short_handshakes(house: &House) -> TestApp {
    let mut new = NewApp {
        name: "Example".into(),
        auth_origin: ORIGIN.into(),
        ..NewApp::default()
    };
    new.settings.lifetimes.handshake_ms = 2 * MINUTE_MS;
    house.app_like(new).await
}

#[tokio::test]
async fn a_transaction_starts_for_ten_minutes() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        let register = app.register_transaction("bob").await;
        let authenticate = app.authenticate_transaction("ann").await;
        house.pass(10 * MINUTE_MS - 1);
        // The prompt must not outlive the handshake, nor that the transaction.
        let handshake = app.start_registration(&register).await;
        assert_eq!(handshake.public_key["timeout"], 1);
        app.start_authentication(Some(&authenticate)).await;
        house.pass(1);
        for (ceremony, transaction_id) in [("register", register), ("authenticate", authenticate)] {
            app.browser(
                &format!("{ceremony}/transactions/webauthn/start"),
                json!({"transaction_id": transaction_id}),
            )
            .await
            .refuses(404, "transaction_not_found");
        }
    }
}

#[tokio::test]
async fn a_handshake_never_outlives_its_transaction() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        for (wait_ms, is_in_time) in [(10 * MINUTE_MS, false), (10 * MINUTE_MS - 1, true)] {
            let transaction_id = app.register_transaction("ann").await;
            house.pass(MINUTE_MS);
            let handshake = app.start_registration(&transaction_id).await;
            house.pass(wait_ms - MINUTE_MS);
            let reasons = Reasons::collect();
            let answer = app
                .finish_registration(&handshake.registration(&mut authenticator))
                .await;
            if is_in_time {
                answer.nonce();
            } else {
                answer.refuses(404, "transaction_not_found");
                assert_eq!(reasons.take(), ["transaction_mismatch"]);
            }
        }
    }
}

#[tokio::test]
async fn a_handshake_of_a_transaction_lives_as_long_as_the_app_says() {
    for house in houses().await {
        let app = app_with_short_handshakes(&house).await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let reasons = Reasons::collect();
        let late = app.start_registration(&transaction_id).await;
        assert_eq!(late.public_key["timeout"], 2 * MINUTE_MS);
        house.pass(2 * MINUTE_MS);
        app.finish_registration(&late.registration(&mut authenticator))
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_expired"]);
        let handshake = app.start_registration(&transaction_id).await;
        house.pass(2 * MINUTE_MS - 1);
        app.finish_registration(&handshake.registration(&mut authenticator))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn a_discoverable_handshake_waits_an_hour_for_autofill() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let reasons = Reasons::collect();
        let in_time = app.start_authentication(None).await;
        house.pass(1);
        let waiting = app.start_authentication(None).await;
        house.pass(60 * MINUTE_MS - 2);
        app.finish_authentication(&in_time.authentication(&mut authenticator))
            .await
            .nonce();
        house.pass(2);
        app.finish_authentication(&waiting.authentication(&mut authenticator))
            .await
            .refuses(400, "invalid_request");
        assert_eq!(reasons.take(), ["handshake_expired"]);
    }
}

#[tokio::test]
async fn a_nonce_is_redeemed_within_five_minutes() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        for (wait_ms, is_in_time) in [(5 * MINUTE_MS - 1, true), (5 * MINUTE_MS, false)] {
            let handshake = app.start_authentication(None).await;
            let nonce = app
                .finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce();
            house.pass(wait_ms);
            let answer = app.verify(&nonce).await;
            if is_in_time {
                assert_eq!(answer.status, StatusCode::OK);
            } else {
                answer.refuses(401, "invalid_nonce");
            }
        }
    }
}

#[tokio::test]
async fn a_sweep_deletes_what_is_over_and_nothing_else() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        for _ in 0..3 {
            let handshake = app.start_authentication(None).await;
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce();
        }
        assert_eq!(house.passkeys.sweep().await.unwrap(), Swept::default());
        house.pass(5 * MINUTE_MS);
        let swept = house.passkeys.sweep().await.unwrap();
        assert_eq!(
            (swept.transactions, swept.handshakes, swept.nonces),
            (0, 0, 3)
        );
        house.pass(65 * MINUTE_MS);
        let swept = house.passkeys.sweep().await.unwrap();
        assert_eq!(
            (swept.transactions, swept.handshakes, swept.nonces),
            (1, 1, 0)
        );
        let handshake = app.start_authentication(None).await;
        house.pass(50 * MINUTE_MS);
        let swept = house.passkeys.sweep().await.unwrap();
        assert_eq!(
            (swept.transactions, swept.handshakes, swept.nonces),
            (0, 3, 0)
        );
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn a_sweep_of_more_than_a_batch_deletes_all() {
    for house in houses().await {
        let app = house.app().await;
        for _ in 0..501 {
            app.start_authentication(None).await;
        }
        house.pass(120 * MINUTE_MS);
        assert_eq!(house.passkeys.sweep().await.unwrap().handshakes, 501);
    }
}
