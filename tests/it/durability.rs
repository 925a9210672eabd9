//! What was answered has been committed: the server is killed without a
//! warning, started again, and still knows.

use acceptance::{Process, database};
use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use webauthn::{Algorithm, forge::Authenticator};

const ORIGIN: &str = "http://localhost:8081";

#[tokio::test]
async fn a_nonce_outlives_a_kill_between_finish_and_verify_and_works_once() {
    let database = database().await;
    let server = Process::start(&database).await;
    let mut authenticator = Authenticator::new(Algorithm::Es256, "durable");
    let nonce = register(&server, &mut authenticator, "ann").await;
    server.kill().await;

    let server = Process::start(&database).await;
    let (status, answer) = manage(&server, "authenticate/verify", json!({"nonce": nonce})).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));
    let (status, answer) = manage(&server, "authenticate/verify", json!({"nonce": nonce})).await;
    assert_eq!((status, &answer["code"]), (401, &json!("invalid_nonce")));
    server.kill().await;
}

/// T22 of the matrix of checks. The client sends its finish and never sees the answer: killed as soon as the finish
/// is known to be committed, and killed at once, when it may be or not.
#[tokio::test]
async fn t22_a_finish_whose_answer_was_lost_in_a_kill_is_not_repeated() {
    let database = database().await;
    for (number, waits_for_commit) in [true, false].into_iter().enumerate() {
        for is_registration in [true, false] {
            let server = Process::start(&database).await;
            let external_id = format!("lost-{number}");
            let mut authenticator = Authenticator::new(Algorithm::Es256, &external_id);
            let ceremony = if is_registration {
                "register"
            } else {
                "authenticate"
            };
            let (_, transaction) = manage(
                &server,
                &format!("transactions/{ceremony}"),
                json!({"external_id": external_id, "passkey_display_name": "Ann"}),
            )
            .await;
            let (status, started) = browse(
                &server,
                &format!("{ceremony}/transactions/webauthn/start"),
                json!({"transaction_id": transaction["transaction_id"]}),
            )
            .await;
            assert_eq!(status, 200, "{started}");
            let options = &started["handshake"]["challenge"]["publicKey"];
            let response = match is_registration {
                true => authenticator.create(options, ORIGIN).json(),
                false => authenticator.get(options, ORIGIN).json(),
            };
            let path = format!("{ceremony}/transactions/webauthn/finish");
            let finish = json!({
                "handshake_id": started["handshake"]["id"],
                "transaction_id": transaction["transaction_id"],
                "handshake_response": response,
            });

            let unread = post_and_do_not_listen(&server, &path, &finish).await;
            let event = format!("events/{}", started["handshake"]["id"].as_str().unwrap());
            let is_committed = async || {
                let (_, event) = look(&server, &event).await;
                event["event"]["status"] == "complete"
            };
            if waits_for_commit {
                let committed = async { while !is_committed().await {} };
                tokio::time::timeout(std::time::Duration::from_secs(60), committed)
                    .await
                    .expect("the finish is committed");
            }
            server.kill().await;
            drop(unread);

            let server = Process::start(&database).await;
            let (_, before) = look(&server, &event).await;
            let was_committed = before["event"]["status"] == "complete";
            assert!(was_committed || !waits_for_commit);
            let (status, answer) = browse(&server, &path, finish.clone()).await;
            if was_committed {
                assert_eq!((status, &answer["code"]), (400, &json!("invalid_request")));
                assert_eq!(answer.get("nonce"), None);
                let (_, events) = look(&server, "events?limit=1&order_by=created_at:DESC").await;
                assert_eq!(events["events"][0]["failure_code"], "handshake_spent");
            } else {
                assert_eq!(status, 200, "{answer}");
            }
            // Once and for all.
            let (status, _) = browse(&server, &path, finish).await;
            assert_eq!(status, 400);
            let (_, users) = look(&server, &format!("users?identifier={external_id}")).await;
            assert_eq!(users["total_users"], 1, "{users}");
            server.kill().await;
        }
    }
}

#[tokio::test]
async fn who_was_signed_up_is_there_after_a_kill() {
    let database = database().await;
    let server = Process::start(&database).await;
    let password = "Correct-horse-7";
    let (status, answer) = cognito(
        &server,
        "SignUp",
        json!({
            "ClientId": server.seeded("app_client_id"),
            "Username": "ann@example.com",
            "Password": password,
            "UserAttributes": [{"Name": "email", "Value": "ann@example.com"}],
        }),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    server.kill().await;

    let server = Process::start(&database).await;
    let (status, refusal) = cognito(
        &server,
        "InitiateAuth",
        json!({
            "ClientId": server.seeded("app_client_id"),
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "ann@example.com", "PASSWORD": password},
        }),
    )
    .await;
    assert_eq!(
        (status, &refusal["__type"]),
        (400, &json!("UserNotConfirmedException")),
        "{refusal}"
    );
    server.kill().await;
}

#[tokio::test]
async fn a_second_start_keeps_everything_of_the_first() {
    let database = database().await;
    let first = Process::start(&database).await;
    let mut authenticator = Authenticator::new(Algorithm::Es256, "kept");
    register(&first, &mut authenticator, "ann").await;
    let seed = first.seed.clone();
    assert_eq!(first.stop().await, Some(0));

    let second = Process::start(&database).await;
    for name in [
        "app_id",
        "api_key",
        "access_key_id",
        "secret_access_key",
        "user_pool_id",
        "app_client_id",
        "functions",
    ] {
        assert_eq!(seed[name], second.seed[name], "{name}");
    }
    let (status, answer) = manage(
        &second,
        "transactions/authenticate",
        json!({"external_id": "ann"}),
    )
    .await;
    assert_eq!(status, 201, "{answer}");
    second.kill().await;
}

#[tokio::test]
async fn the_seeded_triggers_sign_a_person_in() {
    let database = database().await;
    let server = Process::start(&database).await;
    let client_id = server.seeded("app_client_id").to_owned();
    let (_, signed_up) = cognito(
        &server,
        "SignUp",
        json!({
            "ClientId": client_id,
            "Username": "ann@example.com",
            "Password": "Correct-horse-7",
            "UserAttributes": [{"Name": "email", "Value": "ann@example.com"}],
        }),
    )
    .await;
    let sub = signed_up["UserSub"].as_str().expect("a sub");
    // Any well-formed signature does in dev.
    let (status, answer) = send(
        reqwest::Client::new()
            .post(server.seeded("url"))
            .header(
                "x-amz-target",
                "AWSCognitoIdentityProviderService.AdminConfirmSignUp",
            )
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=anything/20260101/us-east-1/cognito-idp/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=00",
            )
            .header("x-amz-date", "20260101T000000Z")
            .body(
                json!({
                    "UserPoolId": server.seeded("user_pool_id"),
                    "Username": "ann@example.com",
                })
                .to_string(),
            ),
    )
    .await;
    assert_eq!(status, 200, "{answer}");

    let mut authenticator = Authenticator::new(Algorithm::Es256, "seeded");
    register(&server, &mut authenticator, sub).await;
    let (status, begun) = cognito(
        &server,
        "InitiateAuth",
        json!({
            "ClientId": client_id,
            "AuthFlow": "CUSTOM_AUTH",
            "AuthParameters": {"USERNAME": "ann@example.com"},
        }),
    )
    .await;
    assert_eq!(status, 200, "{begun}");
    let transaction_id = &begun["ChallengeParameters"]["passageTransactionId"];
    let (_, started) = browse(
        &server,
        "authenticate/transactions/webauthn/start",
        json!({"transaction_id": transaction_id}),
    )
    .await;
    let response = authenticator.get(&started["handshake"]["challenge"]["publicKey"], ORIGIN);
    let (_, finished) = browse(
        &server,
        "authenticate/transactions/webauthn/finish",
        json!({
            "handshake_id": started["handshake"]["id"],
            "transaction_id": transaction_id,
            "handshake_response": response.json(),
        }),
    )
    .await;
    let (status, answer) = cognito(
        &server,
        "RespondToAuthChallenge",
        json!({
            "ClientId": client_id,
            "ChallengeName": "CUSTOM_CHALLENGE",
            "Session": begun["Session"],
            "ChallengeResponses": {"USERNAME": "ann@example.com", "ANSWER": finished["nonce"]},
        }),
    )
    .await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["AuthenticationResult"]["AccessToken"].is_string());
    assert_eq!(server.stop().await, Some(0));
}

#[tokio::test]
async fn a_webhook_is_told_after_a_kill_between_the_event_and_its_delivery() {
    let database = database().await;
    let server = Process::start(&database).await;
    // Nobody listens there yet.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("an address")
    };
    let url = format!("http://{address}/hook");
    let (status, created) = manage(&server, "webhooks", json!({"url": url})).await;
    assert_eq!(status, 201, "{created}");
    let mut authenticator = Authenticator::new(Algorithm::Es256, "told");
    register(&server, &mut authenticator, "ann").await;
    server.kill().await;

    let (told, mut messages) = mpsc::unbounded_channel();
    let receiver = Router::new().route(
        "/hook",
        post(async move |headers: HeaderMap, body: Bytes| {
            let _ = told.send((headers, body));
        }),
    );
    let listener = TcpListener::bind(address).await.expect("the same port");
    tokio::spawn(async move { axum::serve(listener, receiver).await });
    let server = Process::start(&database).await;
    let (headers, body) = tokio::time::timeout(std::time::Duration::from_secs(60), messages.recv())
        .await
        .expect("it is told within a minute")
        .expect("the receiver is there");
    let secret = created["webhook"]["secret"].as_str().expect("a secret");
    standardwebhooks::Webhook::new(secret)
        .expect("a well-formed secret")
        .verify(&body, &headers)
        .expect("a valid signature");
    let message: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(message["type"], "passkey.registered");
    assert_eq!(message["data"]["external_id"], "ann");
    assert_eq!(server.stop().await, Some(0));
}

async fn register(server: &Process, authenticator: &mut Authenticator, external_id: &str) -> Value {
    let (status, transaction) = manage(
        server,
        "transactions/register",
        json!({"external_id": external_id, "passkey_display_name": external_id}),
    )
    .await;
    assert_eq!(status, 201, "{transaction}");
    let (status, started) = browse(
        server,
        "register/transactions/webauthn/start",
        json!({"transaction_id": transaction["transaction_id"]}),
    )
    .await;
    assert_eq!(status, 200, "{started}");
    let response = authenticator.create(&started["handshake"]["challenge"]["publicKey"], ORIGIN);
    let (status, finished) = browse(
        server,
        "register/transactions/webauthn/finish",
        json!({
            "handshake_id": started["handshake"]["id"],
            "transaction_id": transaction["transaction_id"],
            "handshake_response": response.json(),
        }),
    )
    .await;
    assert_eq!(status, 200, "{finished}");
    finished["nonce"].clone()
}

/// Posts as a page does, and gives the connection back with the answer still in it.
async fn post_and_do_not_listen(server: &Process, path: &str, body: &Value) -> TcpStream {
    let url = server.seeded("url");
    let host = url.strip_prefix("http://").expect("a plain URL");
    let app_id = server.seeded("app_id");
    let body = body.to_string();
    let request = format!(
        "POST /v1/apps/{app_id}/{path} HTTP/1.1\r\nhost: {host}\r\norigin: {ORIGIN}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut connection = TcpStream::connect(host).await.expect("the server listens");
    connection
        .write_all(request.as_bytes())
        .await
        .expect("the request is sent");
    connection
}

/// Asks as the customer's server does.
async fn look(server: &Process, path: &str) -> (u16, Value) {
    let url = format!(
        "{}/v1/apps/{}/{path}",
        server.seeded("url"),
        server.seeded("app_id")
    );
    let request = reqwest::Client::new().get(url);
    send(request.bearer_auth(server.seeded("api_key"))).await
}

async fn manage(server: &Process, path: &str, body: Value) -> (u16, Value) {
    let url = format!(
        "{}/v1/apps/{}/{path}",
        server.seeded("url"),
        server.seeded("app_id")
    );
    let request = reqwest::Client::new()
        .post(url)
        .bearer_auth(server.seeded("api_key"));
    send(request.json(&body)).await
}

async fn browse(server: &Process, path: &str, body: Value) -> (u16, Value) {
    let url = format!(
        "{}/v1/apps/{}/{path}",
        server.seeded("url"),
        server.seeded("app_id")
    );
    let request = reqwest::Client::new().post(url).header("origin", ORIGIN);
    send(request.json(&body)).await
}

async fn cognito(server: &Process, operation: &str, body: Value) -> (u16, Value) {
    let request = reqwest::Client::new()
        .post(server.seeded("url"))
        .header(
            "x-amz-target",
            format!("AWSCognitoIdentityProviderService.{operation}"),
        )
        .body(body.to_string());
    send(request).await
}

async fn send(request: reqwest::RequestBuilder) -> (u16, Value) {
    acceptance::server::answer(request).await
}
