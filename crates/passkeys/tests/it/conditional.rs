//! Registration with conditional mediation: the browser makes a passkey beside a
//! sign-in, and nobody touches anything (webauthn-checks P08, R31, R33).

use axum::http::StatusCode;
use passkeys::{AppSettings, NewApp};
use serde_json::{Value, json};
use webauthn::{
    Algorithm, UserVerification,
    forge::{Authenticator, flag},
};

use crate::house::{Answer, Handshake, ORIGIN, Reasons, TestApp, houses};

const START: &str = "register/transactions/webauthn/start";

async fn start(app: &TestApp, transaction_id: &str, mediation: Value) -> Answer {
    let body = json!({"transaction_id": transaction_id, "mediation": mediation});
    app.browser(START, body).await
}

/// What a browser posts when nobody was asked for anything.
fn without_gesture(handshake: &Handshake, authenticator: &mut Authenticator) -> Value {
    let mut forged = authenticator.create(&handshake.public_key, ORIGIN);
    forged.authenticator_data.flags &= !(flag::USER_PRESENT | flag::USER_VERIFIED);
    handshake.finish(forged.json())
}

#[tokio::test]
async fn p08_a_registration_that_was_started_so_needs_no_gesture() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let started = start(&app, &transaction_id, json!("conditional")).await;
        let handshake = Handshake::from(started);
        let selection = &handshake.public_key["authenticatorSelection"];
        assert_eq!(selection["userVerification"], "preferred");

        let finish = without_gesture(&handshake, &mut authenticator);
        let nonce = app.finish_registration(&finish).await.nonce();
        let proof = app.verify(&nonce).await;
        assert_eq!(proof.status, StatusCode::OK);
        assert_eq!(proof.body["external_id"], "ann");
        assert_eq!(proof.body["user_verified"], false);

        // The passkey is one like any other.
        let handshake = app.start_authentication(None).await;
        let finish = handshake.authentication(&mut authenticator);
        app.finish_authentication(&finish).await.nonce();
    }
}

#[tokio::test]
async fn a_gesture_does_no_harm_to_a_conditional_registration() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let started = start(&app, &transaction_id, json!("conditional")).await;
        let finish = Handshake::from(started).registration(&mut authenticator);
        let nonce = app.finish_registration(&finish).await.nonce();
        assert_eq!(app.verify(&nonce).await.body["user_verified"], true);
    }
}

#[tokio::test]
async fn r33_the_clients_word_at_the_finish_does_not_excuse_a_missing_gesture() {
    for house in houses().await {
        let app = house.app().await;
        let reasons = Reasons::collect();
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;

        // Started so, but canceled by a later start that was not.
        start(&app, &transaction_id, json!("conditional")).await;
        let started = start(&app, &transaction_id, Value::Null).await;
        let handshake = Handshake::from(started);
        let mut finish = without_gesture(&handshake, &mut authenticator);
        finish["mediation"] = json!("conditional");
        finish["handshake_response"]["mediation"] = json!("conditional");
        app.finish_registration(&finish)
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["user_presence_missing"]);
        let event = app.get(&format!("events/{}", handshake.id)).await;
        assert_eq!(event["event"]["failure_code"], "user_presence_missing");
    }
}

#[tokio::test]
async fn an_app_that_requires_user_verification_refuses_it_at_the_start() {
    for house in houses().await {
        let app = house
            .app_like(NewApp {
                name: "Strict".into(),
                auth_origin: ORIGIN.into(),
                settings: AppSettings {
                    user_verification: UserVerification::Required,
                    ..AppSettings::default()
                },
                ..NewApp::default()
            })
            .await;
        let transaction_id = app.register_transaction("ann").await;
        start(&app, &transaction_id, json!("conditional"))
            .await
            .refuses(400, "invalid_request");
        // The transaction is as it was.
        let handshake = app.start_registration(&transaction_id).await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let finish = handshake.registration(&mut authenticator);
        app.finish_registration(&finish).await.nonce();
    }
}

#[tokio::test]
async fn a_mediation_that_is_not_known_is_refused() {
    for house in houses().await {
        let app = house.app().await;
        let transaction_id = app.register_transaction("ann").await;
        for mediation in [
            json!(""),
            json!("silent"),
            json!("Conditional"),
            json!(true),
        ] {
            start(&app, &transaction_id, mediation)
                .await
                .refuses(400, "invalid_request");
        }
        assert_eq!(
            start(&app, &transaction_id, Value::Null).await.status,
            StatusCode::OK
        );
    }
}
