//! The client against a small server on the loopback interface that records what it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use claviger_flex::models::{CeremonyType, UserStatus, WebAuthnType};
use claviger_flex::{Error, PassageFlex};

/// A service that answers what a test tells it to and remembers the requests.
struct Service {
    base_url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Request {
    /// Method, path and query.
    target: String,
    authorization: String,
    content_type: String,
    body: String,
}

impl Service {
    /// Gives the same answer to everything.
    async fn answering(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Self {
        Self::start(move |_| {
            let answer = answer.clone().into_response();
            async move { answer }
        })
        .await
    }

    /// Gives each target, which begins at the app, its own answer.
    async fn with(answers: &'static [(&'static str, StatusCode, &'static str)]) -> Self {
        Self::start(move |target| {
            let target = target.replacen(" /v1/apps/app1", " ", 1);
            let answer = answers.iter().find(|(expected, ..)| *expected == target);
            let answer = answer.map(|(_, status, body)| (*status, *body));
            async move {
                answer
                    .unwrap_or((StatusCode::IM_A_TEAPOT, "no answer for this"))
                    .into_response()
            }
        })
        .await
    }

    async fn silent() -> Self {
        Self::start(|_| std::future::pending()).await
    }

    async fn start<F, A>(answer: F) -> Self
    where
        F: Fn(String) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let handler = async move |State(requests): State<Arc<Mutex<Vec<Request>>>>,
                                  method: Method,
                                  uri: Uri,
                                  headers: HeaderMap,
                                  body: Bytes| {
            let text = |name| {
                headers
                    .get(name)
                    .and_then(|v| v.to_str().ok())
                    .unwrap_or_default()
                    .to_owned()
            };
            let target = format!("{method} {uri}");
            requests
                .lock()
                .expect("no test panics with the lock")
                .push(Request {
                    target: target.clone(),
                    authorization: text(header::AUTHORIZATION),
                    content_type: text(header::CONTENT_TYPE),
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
            answer(target).await
        };
        let router = Router::new().fallback(handler).with_state(requests.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, requests }
    }

    fn client(&self) -> PassageFlex {
        PassageFlex::builder("app1", "prefix.secret")
            .base_url(&self.base_url)
            .build()
            .expect("the settings are right")
    }

    fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .expect("no test panics with the lock")
            .clone()
    }

    fn targets(&self) -> Vec<String> {
        self.requests()
            .into_iter()
            .map(|request| request.target)
            .collect()
    }
}

fn post(path: &str, body: &str) -> Request {
    Request {
        target: format!("POST {path}"),
        authorization: "Bearer prefix.secret".to_owned(),
        content_type: "application/json".to_owned(),
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn a_register_transaction_is_created() {
    let service = Service::answering((
        StatusCode::CREATED,
        r#"{"transaction_id":"t1","more":true}"#,
    ))
    .await;
    let id = service
        .client()
        .auth
        .create_register_transaction("user-1", "mia@example.com")
        .await;
    assert_eq!(id.expect("the service agrees"), "t1");
    assert_eq!(
        service.requests(),
        [post(
            "/v1/apps/app1/transactions/register",
            r#"{"external_id":"user-1","passkey_display_name":"mia@example.com"}"#
        )]
    );
}

#[tokio::test]
async fn an_authenticate_transaction_is_created() {
    let service = Service::answering((StatusCode::CREATED, r#"{"transaction_id":"t2"}"#)).await;
    let id = service
        .client()
        .auth
        .create_authenticate_transaction("user-1".to_owned())
        .await;
    assert_eq!(id.expect("the service agrees"), "t2");
    assert_eq!(
        service.requests(),
        [post(
            "/v1/apps/app1/transactions/authenticate",
            r#"{"external_id":"user-1"}"#
        )]
    );
}

#[tokio::test]
async fn a_nonce_is_exchanged_for_the_external_id() {
    let service = Service::answering(r#"{"external_id":"user-1","type":"authenticate"}"#).await;
    let external_id = service.client().auth.verify_nonce("n1").await;
    assert_eq!(external_id.expect("the service agrees"), "user-1");
    assert_eq!(
        service.requests(),
        [post(
            "/v1/apps/app1/authenticate/verify",
            r#"{"nonce":"n1"}"#
        )]
    );
}

#[tokio::test]
async fn a_nonce_tells_all_that_it_proves() {
    let service = Service::answering(
        r#"{"external_id":"user-1","type":"authenticate","transaction_id":"t1","device_id":"d1",
            "user_verified":true,"authenticated_at":"2026-01-03T00:00:00.000000Z","new":"member"}"#,
    )
    .await;
    let proof = service.client().auth.verify_nonce_details("n1").await;
    let proof = proof.expect("the service agrees");
    assert_eq!(proof.external_id, "user-1");
    assert_eq!(proof.r#type, CeremonyType::Authenticate);
    assert_eq!(proof.transaction_id.as_deref(), Some("t1"));
    assert_eq!(proof.device_id, "d1");
    assert!(proof.user_verified);
    assert_eq!(proof.authenticated_at, "2026-01-03T00:00:00.000000Z");
    assert_eq!(
        service.requests(),
        [post(
            "/v1/apps/app1/authenticate/verify",
            r#"{"nonce":"n1"}"#
        )]
    );
}

#[tokio::test]
async fn a_ceremony_that_had_no_transaction_says_so_and_one_that_lacks_a_fact_proves_nothing() {
    let service = Service::answering(
        r#"{"external_id":"user-1","type":"register","transaction_id":null,"device_id":"d1",
            "user_verified":false,"authenticated_at":"2026-01-03T00:00:00.000000Z"}"#,
    )
    .await;
    let proof = service.client().auth.verify_nonce_details("n1").await;
    let proof = proof.expect("the service agrees");
    assert_eq!((proof.transaction_id, proof.user_verified), (None, false));

    // What Passage answered.
    let service = Service::answering(r#"{"external_id":"user-1"}"#).await;
    let answer = service.client().auth.verify_nonce_details("n1").await;
    assert!(
        matches!(answer, Err(Error::UnexpectedResponse { status: 200 })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn an_empty_argument_is_refused_before_anything_is_sent() {
    let service = Service::answering("{}").await;
    let auth = service.client().auth;
    let refusals = [
        (
            auth.create_register_transaction("", "name").await,
            "external_id is required",
        ),
        (
            auth.create_register_transaction("user-1", "").await,
            "passkey_display_name is required",
        ),
        (
            auth.create_authenticate_transaction("").await,
            "external_id is required",
        ),
        (auth.verify_nonce("").await, "nonce is required"),
    ];
    for (answer, expected) in refusals {
        match answer {
            Err(Error::InvalidArgument(text)) => assert_eq!(text, expected),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(service.requests(), []);
}

#[tokio::test]
async fn a_client_made_from_wrong_arguments_says_so_at_the_first_call() {
    match PassageFlex::new("", "prefix.secret")
        .auth
        .verify_nonce("n1")
        .await
    {
        Err(Error::InvalidArgument(text)) => assert_eq!(text, "app_id is required"),
        other => panic!("{other:?}"),
    }
}

const LIST: &str = "GET /users?page=1&limit=1&identifier=user-1";

const PAGE: &str =
    r#"{"users":[{"id":"u1","external_id":"user-1","status":"active"}],"total_users":1}"#;

const USER: &str = r#"{"user":{
    "id":"u1","external_id":"user-1","status":"active","login_count":3,"user_metadata":null,"email":"","phone":"",
    "created_at":"2026-01-01T00:00:00.000000Z","updated_at":"2026-01-02T00:00:00.000000Z",
    "last_login_at":"2026-01-03T00:00:00.000000Z","recent_events":[],"webauthn":true,
    "webauthn_types":["passkey","ring"],"webauthn_devices":[
        {"id":"d1","cred_id":"Y3JlZA","friendly_name":"iCloud Keychain","type":"passkey","usage_count":2,
         "icons":{"light":"data:image/svg+xml;base64,PHN2Zy8+","dark":null},
         "created_at":"2026-01-01T00:00:00.000000Z","updated_at":"2026-01-02T00:00:00.000000Z",
         "last_login_at":"2026-01-03T00:00:00.000000Z","new":"member"}]}}"#;

const DEVICES: &str = r#"{"devices":[
    {"id":"d2","cred_id":"Y3JlZDI","friendly_name":"Ring of Power","type":"ring","usage_count":0,
     "icons":{"light":null,"dark":null},"created_at":"2026-01-01T00:00:00.000000Z",
     "updated_at":"2026-01-01T00:00:00.000000Z","last_login_at":"2026-01-01T00:00:00.000000Z"}]}"#;

#[tokio::test]
async fn a_user_is_found_by_external_id() {
    let service = Service::with(&[
        (LIST, StatusCode::OK, PAGE),
        ("GET /users/u1", StatusCode::OK, USER),
    ])
    .await;
    let user = service
        .client()
        .user
        .get("user-1")
        .await
        .expect("the service agrees");
    assert_eq!(
        (user.id.as_str(), user.external_id.as_str()),
        ("u1", "user-1")
    );
    assert_eq!(user.status, UserStatus::Active);
    assert_eq!((user.login_count, user.webauthn), (3, true));
    assert_eq!(user.last_login_at, "2026-01-03T00:00:00.000000Z");
    assert_eq!(user.user_metadata, None);
    assert_eq!(
        user.webauthn_types,
        [
            WebAuthnType::Passkey,
            WebAuthnType::Other("ring".to_owned())
        ]
    );
    let [device] = user.webauthn_devices.as_slice() else {
        panic!("{user:?}")
    };
    assert_eq!(
        (device.id.as_str(), device.cred_id.as_str()),
        ("d1", "Y3JlZA")
    );
    assert_eq!(device.friendly_name, "iCloud Keychain");
    assert_eq!(
        (&device.r#type, device.usage_count),
        (&WebAuthnType::Passkey, 2)
    );
    assert_eq!(
        device.icons.light.as_deref(),
        Some("data:image/svg+xml;base64,PHN2Zy8+")
    );
    assert_eq!(device.icons.dark, None);
    let first = &service.requests()[0];
    assert_eq!(first.authorization, "Bearer prefix.secret");
    assert_eq!((first.content_type.as_str(), first.body.as_str()), ("", ""));
    assert_eq!(
        service.requests().len(),
        2,
        "one to find the user, one to read"
    );
}

#[tokio::test]
async fn devices_are_listed_in_two_calls_and_an_unknown_type_is_kept() {
    let service = Service::with(&[
        (LIST, StatusCode::OK, PAGE),
        ("GET /users/u1/devices", StatusCode::OK, DEVICES),
    ])
    .await;
    let devices = service
        .client()
        .user
        .list_devices("user-1")
        .await
        .expect("the service agrees");
    let [device] = devices.as_slice() else {
        panic!("{devices:?}")
    };
    assert_eq!(device.id, "d2");
    assert_eq!(device.r#type.to_string(), "ring");
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn a_device_is_revoked_in_two_calls() {
    let service = Service::with(&[
        (LIST, StatusCode::OK, PAGE),
        ("DELETE /users/u1/devices/dev%2F1", StatusCode::OK, ""),
    ])
    .await;
    let answer = service.client().user.revoke_device("user-1", "dev/1").await;
    answer.expect("the service agrees, and an empty body is all it says");
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test]
async fn an_external_id_is_sent_as_it_is() {
    let service = Service::answering(r#"{"users":[]}"#).await;
    for external_id in ["a b&limit=9", "<like:a%>", "ü+/=#?"] {
        let answer = service.client().user.get(external_id).await;
        assert!(matches!(answer, Err(Error::UserNotFound)), "{answer:?}");
    }
    assert_eq!(
        service.targets(),
        [
            "GET /v1/apps/app1/users?page=1&limit=1&identifier=a+b%26limit%3D9",
            "GET /v1/apps/app1/users?page=1&limit=1&identifier=%3Clike%3Aa%25%3E",
            "GET /v1/apps/app1/users?page=1&limit=1&identifier=%C3%BC%2B%2F%3D%23%3F",
        ]
    );
}

#[tokio::test]
async fn an_empty_page_means_that_there_is_no_such_user() {
    let service = Service::answering(r#"{"users":[]}"#).await;
    let user = service.client().user;
    for answer in [
        user.get("user-1").await.err(),
        user.list_devices("user-1").await.err(),
        user.revoke_device("user-1", "d1").await.err(),
    ] {
        assert!(matches!(answer, Some(Error::UserNotFound)), "{answer:?}");
    }
    assert_eq!(service.requests().len(), 3, "and nothing more is asked");
}

#[tokio::test]
async fn somebody_elses_row_is_never_taken_for_the_user() {
    let service = Service::answering(r#"{"users":[{"id":"u2","external_id":"USER-1"}]}"#).await;
    let user = service.client().user;
    for answer in [
        user.get("user-1").await.err(),
        user.list_devices("user-1").await.err(),
        user.revoke_device("user-1", "d1").await.err(),
    ] {
        assert!(
            matches!(answer, Some(Error::UnexpectedResponse { status: 200 })),
            "{answer:?}"
        );
    }
    assert_eq!(service.targets().len(), 3, "nothing is read or revoked");

    let service = Service::with(&[
        (
            LIST,
            StatusCode::OK,
            r#"{"users":[{"id":"u2","external_id":"user-1"}]}"#,
        ),
        ("GET /users/u2", StatusCode::OK, USER),
    ])
    .await;
    let answer = service.client().user.get("user-1").await;
    assert!(
        matches!(answer, Err(Error::UnexpectedResponse { status: 200 })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_user_or_device_that_went_away_is_told_by_its_code() {
    const NO_USER: &str = r#"{"code":"user_not_found","error":"No."}"#;
    const NO_DEVICE: &str = r#"{"code":"device_not_found","error":"No."}"#;
    let service = Service::with(&[
        (LIST, StatusCode::OK, PAGE),
        ("GET /users/u1", StatusCode::NOT_FOUND, NO_USER),
        (
            "DELETE /users/u1/devices/d9",
            StatusCode::NOT_FOUND,
            NO_DEVICE,
        ),
    ])
    .await;
    let user = service.client().user;
    assert!(matches!(user.get("user-1").await, Err(Error::UserNotFound)));
    assert!(matches!(
        user.revoke_device("user-1", "d9").await,
        Err(Error::DeviceNotFound)
    ));
}

#[tokio::test]
async fn a_device_id_that_would_delete_something_else_is_refused() {
    let service = Service::answering(PAGE).await;
    let user = service.client().user;
    for device_id in ["", ".", ".."] {
        let answer = user.revoke_device("user-1", device_id).await;
        assert!(
            matches!(answer, Err(Error::InvalidArgument(_))),
            "{answer:?}"
        );
    }
    assert_eq!(service.requests(), []);
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code() {
    let answer = (
        StatusCode::BAD_REQUEST,
        r#"{"code":"invalid_nonce","error":"No."}"#,
    );
    let service = Service::answering(answer).await;
    assert!(matches!(
        service.client().auth.verify_nonce("n1").await,
        Err(Error::InvalidNonce)
    ));
    assert_eq!(service.requests().len(), 1, "a nonce is not sent twice");
}

#[tokio::test]
async fn a_rate_limit_carries_the_wait() {
    let answer = (
        StatusCode::TOO_MANY_REQUESTS,
        [(header::RETRY_AFTER, "30")],
        r#"{"code":"rate_limit_exceeded","error":"Slow down."}"#,
    );
    let service = Service::answering(answer).await;
    match service
        .client()
        .auth
        .create_authenticate_transaction("user-1")
        .await
    {
        Err(Error::RateLimitExceeded { retry_after }) => {
            assert_eq!(retry_after, Some(Duration::from_secs(30)))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        service.requests().len(),
        1,
        "the client does not try again by itself"
    );
}

#[tokio::test]
async fn an_answer_that_is_not_the_services_is_told_apart() {
    for (status, body) in [
        (StatusCode::FORBIDDEN, "<html>Forbidden</html>"),
        (StatusCode::NOT_FOUND, ""),
        (StatusCode::OK, "<html>Welcome</html>"),
        (StatusCode::OK, r#"{"external_id":7}"#),
        (StatusCode::NO_CONTENT, ""),
    ] {
        let service = Service::answering((status, body)).await;
        match service.client().auth.verify_nonce("n1").await {
            Err(Error::UnexpectedResponse { status: told }) => assert_eq!(told, status.as_u16()),
            other => panic!("{status} {body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_reach_the_service_is_told_as_its_failure() {
    let service = Service::answering((StatusCode::BAD_GATEWAY, "<html>Bad gateway</html>")).await;
    let answer = service.client().auth.verify_nonce("n1").await;
    assert!(
        matches!(answer, Err(Error::InternalServerError)),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Service::answering(r#"{"external_id":"user-1"}"#).await;
    let answer = (
        StatusCode::TEMPORARY_REDIRECT,
        [(header::LOCATION, elsewhere.base_url.clone())],
    );
    let service = Service::answering(answer).await;
    let answer = service.client().auth.verify_nonce("n1").await;
    assert!(
        matches!(answer, Err(Error::UnexpectedResponse { status: 307 })),
        "{answer:?}"
    );
    assert_eq!(elsewhere.requests(), [], "the API key stays here");
}

#[tokio::test]
async fn a_silent_service_is_given_up() {
    let service = Service::silent().await;
    let flex = PassageFlex::builder("app1", "prefix.secret")
        .base_url(&service.base_url)
        .timeout(Duration::from_millis(50))
        .build()
        .expect("the settings are right");
    assert!(matches!(
        flex.auth.verify_nonce("n1").await,
        Err(Error::Timeout)
    ));
    assert!(service.requests().len() <= 1, "a nonce is not sent twice");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_a_transport_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let flex = PassageFlex::builder("app1", "prefix.secret")
        .base_url(format!("http://{address}/v1"))
        .build()
        .expect("the settings are right");
    let error = flex
        .auth
        .verify_nonce("n1")
        .await
        .expect_err("nobody listens");
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(error.code(), None);
    assert!(
        !format!("{error:?}").contains("prefix.secret"),
        "the API key is not in the error"
    );
}
