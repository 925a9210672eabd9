//! The client against a small server on the loopback interface that records what it is sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use claviger_flex::{Error, PassageFlex};

/// A service that gives the same answer to everything and remembers the requests.
struct Service {
    base_url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Request {
    path: String,
    authorization: String,
    content_type: String,
    body: String,
}

impl Service {
    async fn answering(answer: impl IntoResponse + Clone + Send + Sync + 'static) -> Self {
        Self::start(move || {
            let answer = answer.clone();
            async move { answer.into_response() }
        })
        .await
    }

    async fn silent() -> Self {
        Self::start(std::future::pending).await
    }

    async fn start<F, A>(answer: F) -> Self
    where
        F: Fn() -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let record = async |State(requests): State<Arc<Mutex<Vec<Request>>>>,
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
            requests
                .lock()
                .expect("no test panics with the lock")
                .push(Request {
                    path: uri.path().to_owned(),
                    authorization: text(header::AUTHORIZATION),
                    content_type: text(header::CONTENT_TYPE),
                    body: String::from_utf8_lossy(&body).into_owned(),
                });
        };
        let answer = move |state, uri, headers, body| {
            let answer = answer.clone();
            async move {
                record(state, uri, headers, body).await;
                answer().await
            }
        };
        let router = Router::new().fallback(answer).with_state(requests.clone());
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
}

fn request(path: &str, body: &str) -> Request {
    Request {
        path: path.to_owned(),
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
        [request(
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
        [request(
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
        [request(
            "/v1/apps/app1/authenticate/verify",
            r#"{"nonce":"n1"}"#
        )]
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
        (StatusCode::BAD_GATEWAY, "<html>Bad gateway</html>"),
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
