//! The three programs as Lambda runs them: each is started against a Runtime API of the test's own, with a passkey
//! service of the test's own behind it, gets one event, and its answer is looked at.

use std::process::Stdio;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const DEFINE: &str = env!("CARGO_BIN_EXE_define-auth-challenge");
const CREATE: &str = env!("CARGO_BIN_EXE_create-auth-challenge");
const VERIFY: &str = env!("CARGO_BIN_EXE_verify-auth-challenge");

/// What a program told the Runtime API.
#[derive(Debug, PartialEq)]
enum Answer {
    Response(Value),
    Error(Value),
    InitError(Value),
}

#[tokio::test]
async fn define_asks_for_a_challenge_and_gives_the_event_back() {
    let event = event(
        json!({"userAttributes": {"sub": "mia"}, "session": []}),
        json!({"challengeName": null}),
    );
    let mut expected = event.clone();
    expected["response"] = json!({"challengeName": "CUSTOM_CHALLENGE", "issueTokens": false, "failAuthentication": false});
    assert_eq!(invoke(DEFINE, &[], event).await, Answer::Response(expected));
}

#[tokio::test]
async fn create_hands_out_the_transaction_of_the_user() {
    let service = passkey_service().await;
    let event = create_event("mia");
    let mut expected = event.clone();
    expected["response"]["publicChallengeParameters"] =
        json!({"passageTransactionId": "transaction-of-mia"});
    assert_eq!(
        invoke(CREATE, &settings(&service), event).await,
        Answer::Response(expected)
    );
}

#[tokio::test]
async fn create_says_that_a_user_has_no_passkeys() {
    let service = passkey_service().await;
    for user in ["without-device", "unknown"] {
        assert_eq!(
            invoke(CREATE, &settings(&service), create_event(user)).await,
            Answer::Error(
                json!({"errorType": "NoPasskeys", "errorMessage": "User has no passkeys"})
            ),
            "{user}"
        );
    }
}

#[tokio::test]
async fn create_says_that_passkeys_are_not_available_and_why_in_a_word() {
    let unavailable = |why: &str| {
        let message = format!("Passkeys are not available at the moment ({why})");
        Answer::Error(json!({"errorType": "Unavailable", "errorMessage": message}))
    };
    let service = passkey_service().await;
    let wrong_key = [
        ("PASSAGE_APP_ID", "app1"),
        ("PASSAGE_API_KEY", "wrong"),
        ("PASSAGE_BASE_URL", &*service),
    ];
    assert_eq!(
        invoke(CREATE, &wrong_key, create_event("mia")).await,
        unavailable("invalid_access_token")
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("http://{}/v1", closed.local_addr().expect("bound"));
    drop(closed);
    assert_eq!(
        invoke(CREATE, &settings(&nobody), create_event("mia")).await,
        unavailable("unreachable")
    );
}

#[tokio::test]
async fn verify_accepts_the_nonce_of_the_user_who_signs_in() {
    let service = passkey_service().await;
    let event = verify_event("mia", "nonce-of-mia");
    let mut expected = event.clone();
    expected["response"] = json!({"answerCorrect": true});
    assert_eq!(
        invoke(VERIFY, &settings(&service), event).await,
        Answer::Response(expected)
    );
}

#[tokio::test]
async fn verify_refuses_the_nonce_of_another_user_like_a_bad_one() {
    let service = passkey_service().await;
    for nonce in ["nonce-of-ben", "bad"] {
        assert_eq!(
            invoke(VERIFY, &settings(&service), verify_event("mia", nonce)).await,
            Answer::Error(json!({
                "errorType": "InvalidNonce",
                "errorMessage": "Could not verify nonce: nonce is invalid, expired, or cannot be found",
            })),
            "{nonce}"
        );
    }
}

#[tokio::test]
async fn an_event_of_something_else_is_refused() {
    let service = passkey_service().await;
    let refused = Answer::Error(
        json!({"errorType": "NotOurEvent", "errorMessage": "Not an event of this trigger"}),
    );
    for program in [DEFINE, CREATE, VERIFY] {
        assert_eq!(
            invoke(program, &settings(&service), json!({"hello": "world"})).await,
            refused,
            "{program}"
        );
    }
}

#[tokio::test]
async fn a_missing_setting_is_told_before_any_event_is_taken() {
    let cases: [(&[(&str, &str)], &str); 3] = [
        (
            &[],
            "Missing Passage credentials: the environment variable PASSAGE_APP_ID is not set",
        ),
        (
            &[("PASSAGE_APP_ID", "app1"), ("PASSAGE_API_KEY", " ")],
            "Missing Passage credentials: the environment variable PASSAGE_API_KEY is not set",
        ),
        (
            &[
                ("PASSAGE_APP_ID", "app1"),
                ("PASSAGE_API_KEY", "key"),
                ("PASSAGE_BASE_URL", "nowhere"),
            ],
            "The PASSAGE_ variables do not work: base_url must be an http or https URL, not \"nowhere\"",
        ),
    ];
    for program in [CREATE, VERIFY] {
        for (environment, message) in cases {
            assert_eq!(
                invoke(program, environment, create_event("mia")).await,
                Answer::InitError(
                    json!({"errorType": "Configuration", "errorMessage": message, "stackTrace": []})
                ),
            );
        }
    }
}

fn event(request: Value, response: Value) -> Value {
    json!({
        "version": "1", "region": "us-east-1", "userPoolId": "us-east-1_abcDEF123", "userName": "u-1",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "c-1"},
        "triggerSource": "any", "request": request, "response": response,
    })
}

fn create_event(sub: &str) -> Value {
    event(
        json!({"userAttributes": {"sub": sub}, "challengeName": "CUSTOM_CHALLENGE", "session": []}),
        json!({"publicChallengeParameters": null, "privateChallengeParameters": null, "challengeMetadata": null}),
    )
}

fn verify_event(sub: &str, nonce: &str) -> Value {
    event(
        json!({"userAttributes": {"sub": sub}, "privateChallengeParameters": {}, "challengeAnswer": nonce}),
        json!({"answerCorrect": null}),
    )
}

fn settings(service: &str) -> [(&str, &str); 3] {
    [
        ("PASSAGE_APP_ID", "app1"),
        ("PASSAGE_API_KEY", "key"),
        ("PASSAGE_BASE_URL", service),
    ]
}

/// Starts `program`, gives it one event, and returns the first thing it tells the Runtime API.
async fn invoke(program: &str, environment: &[(&str, &str)], event: Value) -> Answer {
    let (answers, mut answered) = mpsc::unbounded_channel();
    let (events, queue) = mpsc::unbounded_channel();
    events.send(event).expect("the receiver is here");
    let api = listen(runtime_api(queue, answers)).await;
    let mut process = tokio::process::Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", &api)
        .env("AWS_LAMBDA_FUNCTION_NAME", "trigger")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
        .envs(environment.iter().copied())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    tokio::select! {
        biased;
        answer = answered.recv() => answer.expect("the Runtime API is here"),
        status = process.wait() => {
            answered.try_recv().unwrap_or_else(|_| panic!("{program} ended without an answer: {status:?}"))
        }
    }
}

/// One event to hand out, then silence; what is posted goes to `answers`.
fn runtime_api(
    queue: mpsc::UnboundedReceiver<Value>,
    answers: mpsc::UnboundedSender<Answer>,
) -> Router {
    let queue = std::sync::Arc::new(tokio::sync::Mutex::new(queue));
    let next = async move || {
        let event = queue.lock().await.recv().await;
        let Some(event) = event else {
            return std::future::pending().await;
        };
        let headers = [
            ("lambda-runtime-aws-request-id", "request-1"),
            ("lambda-runtime-deadline-ms", "4102444800000"),
            (
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:000000000000:function:trigger",
            ),
        ];
        (headers, Json(event)).into_response()
    };
    // The runtime names no content type when it answers, so the body is read as it is.
    let tell = |answer: fn(Value) -> Answer| {
        post(
            async move |State(answers): State<mpsc::UnboundedSender<Answer>>, body: Bytes| {
                let body = serde_json::from_slice(&body).expect("the runtime sends JSON");
                answers.send(answer(body)).expect("the test waits");
                (StatusCode::ACCEPTED, Json(json!({"status": "OK"})))
            },
        )
    };
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route(
            "/2018-06-01/runtime/invocation/request-1/response",
            tell(Answer::Response),
        )
        .route(
            "/2018-06-01/runtime/invocation/request-1/error",
            tell(Answer::Error),
        )
        .route("/2018-06-01/runtime/init/error", tell(Answer::InitError))
        .with_state(answers)
}

/// A passkey service that knows `mia` and `ben`, and `without-device`. Returns its base URL, by name as users write it.
async fn passkey_service() -> String {
    let answer = async |Path((app_id, operation)): Path<(String, String)>,
                        headers: HeaderMap,
                        body: Bytes| {
        let body: Value = serde_json::from_slice(&body).expect("the SDK sends JSON");
        let refuse = |status, code| (status, Json(json!({"code": code, "error": "text"})));
        if headers["authorization"] != "Bearer key" || app_id != "app1" {
            return refuse(StatusCode::UNAUTHORIZED, "invalid_access_token");
        }
        match (
            operation.as_str(),
            body["external_id"].as_str(),
            body["nonce"].as_str(),
        ) {
            ("transactions/authenticate", Some(user @ ("mia" | "ben")), None) => (
                StatusCode::CREATED,
                Json(json!({"transaction_id": format!("transaction-of-{user}")})),
            ),
            ("transactions/authenticate", Some("without-device"), None) => {
                refuse(StatusCode::CONFLICT, "user_has_no_passkeys")
            }
            ("transactions/authenticate", Some(_), None) => {
                refuse(StatusCode::NOT_FOUND, "user_not_found")
            }
            ("authenticate/verify", None, Some("nonce-of-mia")) => {
                (StatusCode::OK, Json(json!({"external_id": "mia"})))
            }
            ("authenticate/verify", None, Some("nonce-of-ben")) => {
                (StatusCode::OK, Json(json!({"external_id": "ben"})))
            }
            ("authenticate/verify", None, Some(_)) => {
                refuse(StatusCode::UNAUTHORIZED, "invalid_nonce")
            }
            _ => refuse(StatusCode::BAD_REQUEST, "invalid_request"),
        }
    };
    let address = listen(Router::new().route("/v1/apps/{app_id}/{*operation}", post(answer))).await;
    format!("http://{}/v1", address.replace("127.0.0.1", "localhost"))
}

/// Serves `router` on a free port of the loopback interface and returns `host:port`.
async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
