//! Bodies that strangers send: each gets the contract's 400, never a 500.

use axum::{body::Body, http::Method};
use serde_json::{Value, json};

use crate::house::{House, ORIGIN, TestApp, UNKNOWN_ID, houses};

const SERVER_PATHS: [&str; 3] = [
    "transactions/register",
    "transactions/authenticate",
    "authenticate/verify",
];
const BROWSER_PATHS: [&str; 4] = [
    "register/transactions/webauthn/start",
    "register/transactions/webauthn/finish",
    "authenticate/transactions/webauthn/start",
    "authenticate/transactions/webauthn/finish",
];

async fn refused(house: &House, app: &TestApp, path: &str, body: impl Into<Body>) {
    let request = app
        .request(Method::POST, path)
        .header("origin", ORIGIN)
        .header("authorization", format!("Bearer {}", app.key))
        .body(body.into())
        .unwrap();
    house.send(request).await.refuses(400, "invalid_request");
}

#[tokio::test]
async fn a_body_that_is_no_object_is_refused_everywhere() {
    for house in houses().await {
        let app = house.app().await;
        for path in SERVER_PATHS.iter().chain(&BROWSER_PATHS) {
            for body in [
                "null".into(),
                "1".into(),
                "[]".into(),
                r#"["ann","Ann"]"#.into(),
                r#""text""#.into(),
                "{".into(),
                "{}{}".into(),
                "<xml/>".into(),
                "\0".into(),
                r#"{"external_id":"\ud800"}"#.into(),
                "[".repeat(10_000),
                r#"{"a":"#.repeat(10_000),
                format!(r#"{{"handshake_response":{}"#, "[".repeat(10_000)),
            ] {
                refused(&house, &app, path, body).await;
            }
            refused(&house, &app, path, &b"{\"external_id\":\"\xff\"}"[..]).await;
            refused(
                &house,
                &app,
                path,
                format!(r#"{{"a":"{}"}}"#, "a".repeat(2 << 20)),
            )
            .await;
            refused(&house, &app, path, " ".repeat(128 * 1024 + 1)).await;
            if *path != "authenticate/transactions/webauthn/start" {
                refused(&house, &app, path, "").await;
                refused(&house, &app, path, "{}").await;
            }
        }
    }
}

#[tokio::test]
async fn members_of_the_wrong_type_or_size_are_refused() {
    let wrong_texts = [
        json!(null),
        json!(1),
        json!(true),
        json!([]),
        json!({}),
        json!(["a"]),
        json!(""),
    ];
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        let good = json!({
            "external_id": "ann",
            "passkey_display_name": "Ann",
            "nonce": "nonce",
            "transaction_id": UNKNOWN_ID,
            "handshake_id": UNKNOWN_ID,
            "handshake_response": {},
        });
        let with = |member: &str, value: &Value| {
            let mut body = good.clone();
            body[member] = value.clone();
            body.to_string()
        };
        for (path, member) in [
            (SERVER_PATHS[0], "external_id"),
            (SERVER_PATHS[0], "passkey_display_name"),
            (SERVER_PATHS[1], "external_id"),
            (SERVER_PATHS[2], "nonce"),
            (BROWSER_PATHS[0], "transaction_id"),
            (BROWSER_PATHS[1], "handshake_id"),
            (BROWSER_PATHS[3], "handshake_id"),
        ] {
            for value in &wrong_texts {
                refused(&house, &app, path, with(member, value)).await;
            }
        }
        for value in wrong_texts.iter().filter(|value| !value.is_null()) {
            refused(
                &house,
                &app,
                BROWSER_PATHS[2],
                with("transaction_id", value),
            )
            .await;
        }
        for (path, member, value) in [
            (SERVER_PATHS[0], "external_id", json!("a".repeat(257))),
            (SERVER_PATHS[0], "external_id", json!("a\0")),
            (SERVER_PATHS[1], "external_id", json!("a\0")),
            (
                SERVER_PATHS[0],
                "passkey_display_name",
                json!("a".repeat(129)),
            ),
            (SERVER_PATHS[0], "passkey_display_name", json!("\0")),
            (BROWSER_PATHS[0], "transaction_id", json!("a\0")),
            (BROWSER_PATHS[0], "transaction_id", json!("short")),
            (BROWSER_PATHS[0], "authenticator_attachment", json!("usb")),
            (BROWSER_PATHS[0], "authenticator_attachment", json!("")),
            (BROWSER_PATHS[0], "authenticator_attachment", json!(1)),
            (BROWSER_PATHS[2], "transaction_id", json!("not-an-id")),
            (BROWSER_PATHS[1], "handshake_id", json!("\0")),
            (BROWSER_PATHS[3], "handshake_id", json!("short")),
        ] {
            refused(&house, &app, path, with(member, &value)).await;
        }
        let nul = app.server(SERVER_PATHS[2], json!({"nonce": "\0"})).await;
        nul.refuses(401, "invalid_nonce");
    }
}

#[tokio::test]
async fn any_handshake_response_is_refused_without_a_crash() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        for response in [
            json!(null),
            json!(1),
            json!("text"),
            json!([]),
            json!({}),
            json!({"id": 1, "rawId": [], "type": {}, "response": "x"}),
            json!({"id": "AA", "type": "public-key", "response": []}),
            json!({"id": "AA", "type": "public-key", "response": {
                "clientDataJSON": "A", "attestationObject": "A",
                "authenticatorData": "A", "signature": "A",
            }}),
            json!({"id": "AA", "type": "public-key", "response": {}, "transports": "usb"}),
        ] {
            let transaction_id = app.register_transaction("bob").await;
            let handshake = app.start_registration(&transaction_id).await;
            app.finish_registration(&handshake.finish(response.clone()))
                .await
                .refuses(400, "invalid_request");
            let handshake = app.start_authentication(None).await;
            app.finish_authentication(&handshake.finish(response))
                .await
                .refuses(400, "invalid_request");
        }
        for response in [json!({"id": "AA", "type": "public-key", "response": {
            "clientDataJSON": "AAAA", "attestationObject": "AAAA",
            "authenticatorData": "AAAA", "signature": "AAAA", "userHandle": "AAAA",
        }})] {
            let transaction_id = app.register_transaction("bob").await;
            let handshake = app.start_registration(&transaction_id).await;
            app.finish_registration(&handshake.finish(response.clone()))
                .await
                .refuses(401, "webauthn_login_failed");
            let handshake = app.start_authentication(None).await;
            app.finish_authentication(&handshake.finish(response))
                .await
                .refuses(401, "discoverable_login_failed");
        }
    }
}

#[tokio::test]
async fn the_longest_names_are_kept_as_they_are() {
    for house in houses().await {
        let app = house.app().await;
        let external_id = "ä".repeat(128);
        let display_name = "🐈".repeat(128);
        let created = app
            .server(
                "transactions/register",
                json!({"external_id": external_id, "passkey_display_name": display_name}),
            )
            .await;
        let handshake = app
            .start_registration(created.body["transaction_id"].as_str().unwrap())
            .await;
        assert_eq!(handshake.public_key["user"]["name"], json!(display_name));
    }
}
