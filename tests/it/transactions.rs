//! The transaction: permission for one ceremony of one kind, for one app.

use acceptance::{
    Person, Server,
    person::{
        authenticate_transaction, finish_authentication, finish_registration, register_transaction,
        start_authentication,
    },
    server::{App, ORIGIN},
};
use serde_json::{Value, json};

const TRANSACTION_LIFETIME_MS: i64 = 10 * 60 * 1000;

#[tokio::test]
async fn a_transaction_of_another_app_is_unknown() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let other = server.create_app().await;
    Person::new("ann").register(&server, &app).await;
    let register = register_transaction(&server, &app, "ann").await;
    let authenticate = authenticate_transaction(&server, &app, "ann").await;
    not_found(start(&server, &other, "register", &register).await);
    not_found(start(&server, &other, "authenticate", &authenticate).await);
    assert_eq!(start(&server, &app, "register", &register).await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_transaction_of_the_other_kind_is_unknown() {
    let server = Server::start().await;
    let app = server.create_app().await;
    Person::new("ann").register(&server, &app).await;
    let register = register_transaction(&server, &app, "ann").await;
    let authenticate = authenticate_transaction(&server, &app, "ann").await;
    not_found(start(&server, &app, "register", &authenticate).await);
    not_found(start(&server, &app, "authenticate", &register).await);
    server.stop().await;
}

#[tokio::test]
async fn a_transaction_lives_ten_minutes() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    ann.register(&server, &app).await;

    let early = authenticate_transaction(&server, &app, "ann").await;
    server.clock.advance_ms(TRANSACTION_LIFETIME_MS - 1);
    assert_eq!(start(&server, &app, "authenticate", &early).await.0, 200);

    let late = authenticate_transaction(&server, &app, "ann").await;
    server.clock.advance_ms(TRANSACTION_LIFETIME_MS);
    not_found(start(&server, &app, "authenticate", &late).await);

    let started_in_time = authenticate_transaction(&server, &app, "ann").await;
    let started = start_authentication(&server, &app, Some(&started_in_time)).await;
    server.clock.advance_ms(TRANSACTION_LIFETIME_MS);
    let response = ann.authenticator.get(&started.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &started, &response).await;
    assert!((400..500).contains(&status), "{status} {answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_used_transaction_is_unknown() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");

    let started = ann.start_registration(&server, &app).await;
    let response = ann.authenticator.create(&started.options, ORIGIN);
    let (status, _) = finish_registration(&server, &app, &started, &response).await;
    assert_eq!(status, 200);
    let used = started.transaction_id.as_deref().expect("a transaction");
    not_found(start(&server, &app, "register", used).await);

    let transaction_id = authenticate_transaction(&server, &app, "ann").await;
    ann.authenticate_with(&server, &app, &transaction_id).await;
    not_found(start(&server, &app, "authenticate", &transaction_id).await);
    server.stop().await;
}

#[tokio::test]
async fn a_transaction_may_be_started_again_until_it_succeeds() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    ann.register(&server, &app).await;
    let transaction_id = authenticate_transaction(&server, &app, "ann").await;
    let first = start_authentication(&server, &app, Some(&transaction_id)).await;
    let second = start_authentication(&server, &app, Some(&transaction_id)).await;
    let response = ann.authenticator.get(&first.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &first, &response).await;
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("invalid_request")),
        "the newest handshake wins: {answer}"
    );
    let response = ann.authenticator.get(&second.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &second, &response).await;
    assert_eq!(status, 200, "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_failed_finish_spends_the_handshake_but_not_the_transaction() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    ann.register(&server, &app).await;
    let transaction_id = authenticate_transaction(&server, &app, "ann").await;
    let started = start_authentication(&server, &app, Some(&transaction_id)).await;
    let elsewhere = ann
        .authenticator
        .get(&started.options, "https://evil.example");
    let (status, answer) = finish_authentication(&server, &app, &started, &elsewhere).await;
    assert_eq!(
        (status, &answer["code"]),
        (401, &json!("webauthn_login_failed"))
    );
    let good = ann.authenticator.get(&started.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &started, &good).await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_request")));
    ann.authenticate_with(&server, &app, &transaction_id).await;
    server.stop().await;
}

#[tokio::test]
async fn whom_no_passkey_is_known_of_cannot_begin_to_sign_in() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let (status, answer) = server
        .manage(
            &app,
            "/transactions/authenticate",
            json!({"external_id": "nobody"}),
        )
        .await;
    assert_eq!((status, &answer["code"]), (404, &json!("user_not_found")));
    let ann = Person::new("ann");
    ann.start_registration(&server, &app).await;
    let (status, answer) = server
        .manage(
            &app,
            "/transactions/authenticate",
            json!({"external_id": "ann"}),
        )
        .await;
    assert_eq!(
        (status, &answer["code"]),
        (409, &json!("user_has_no_passkeys"))
    );
    server.stop().await;
}

#[tokio::test]
async fn a_discoverable_sign_in_needs_no_transaction() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    ann.register(&server, &app).await;
    let started = start_authentication(&server, &app, None).await;
    assert!(started.options.get("allowCredentials").is_none());
    let response = ann.authenticator.get(&started.options, ORIGIN);
    let (status, answer) = finish_authentication(&server, &app, &started, &response).await;
    assert_eq!(status, 200, "{answer}");
    let nonce = answer["nonce"].as_str().expect("a nonce");
    let (status, answer) = acceptance::person::verify(&server, &app, nonce).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));
    server.stop().await;
}

async fn start(server: &Server, app: &App, kind: &str, transaction_id: &str) -> (u16, Value) {
    server
        .browse(
            app,
            &format!("/{kind}/transactions/webauthn/start"),
            json!({"transaction_id": transaction_id}),
        )
        .await
}

#[track_caller]
fn not_found((status, answer): (u16, Value)) {
    assert_eq!(
        (status, &answer["code"]),
        (404, &json!("transaction_not_found")),
        "{answer}"
    );
}
