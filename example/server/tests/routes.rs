//! The routes against a user pool and a passkey service of the test's own, which record what they are asked.

use std::sync::{Arc, LazyLock, Mutex};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, Engine};
use clap::Parser;
use example_server::{Settings, router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tower::ServiceExt;

const POOL: &str = "us-east-1_abcDEF123";
const CLIENT: &str = "client1";
/// 2100-01-01 and 2001-09-09, in seconds.
const FUTURE: u64 = 4_102_444_800;
const PAST: u64 = 1_000_000_000;

#[tokio::test]
async fn a_sign_up_is_confirmed_and_its_address_verified() {
    let world = World::start().await;
    let answer = world
        .post("/signup/confirm", None, r#"{"email":"mia@example.com"}"#)
        .await;
    assert_eq!(answer, (StatusCode::OK, json!({})));
    assert_eq!(
        world.asked(),
        [
            (
                "AdminConfirmSignUp".to_owned(),
                json!({"UserPoolId": POOL, "Username": "mia@example.com"}),
            ),
            (
                "AdminUpdateUserAttributes".to_owned(),
                json!({"UserPoolId": POOL, "Username": "mia@example.com",
                       "UserAttributes": [{"Name": "email_verified", "Value": "true"}]}),
            ),
        ]
    );
}

#[tokio::test]
async fn a_sign_up_that_cannot_be_confirmed_says_why() {
    let world = World::start().await;
    let cases = [
        (
            "nobody@example.com",
            StatusCode::NOT_FOUND,
            "There is no such user.",
        ),
        (
            "confirmed@example.com",
            StatusCode::BAD_REQUEST,
            "User cannot be confirmed. Current status is CONFIRMED",
        ),
        (
            "denied@example.com",
            StatusCode::BAD_GATEWAY,
            "The user pool is not available. Try again in a moment.",
        ),
    ];
    for (email, status, sentence) in cases {
        let answer = world
            .post(
                "/signup/confirm",
                None,
                &json!({"email": email}).to_string(),
            )
            .await;
        assert_eq!(answer, (status, json!({"error": sentence})), "{email}");
    }
}

#[tokio::test]
async fn a_malformed_body_is_the_callers_fault() {
    let world = World::start().await;
    let deep = "[".repeat(10_000);
    let large = format!(r#"{{"email":"{}"}}"#, "a".repeat(3_000_000));
    for body in [
        "",
        "hello",
        "[]",
        "{}",
        r#"{"email":7}"#,
        r#"{"email":""}"#,
        &deep,
        &large,
    ] {
        let (status, answer) = world.post("/signup/confirm", None, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].is_string(), "{answer}");
    }
    assert_eq!(world.asked(), []);
}

#[tokio::test]
async fn a_signed_in_user_gets_a_register_transaction() {
    let world = World::start().await;
    let answer = world
        .post("/users/add-passkey", Some(&bearer(&claims(&world))), "")
        .await;
    assert_eq!(answer, (StatusCode::OK, json!({"transactionId": "t1"})));
    assert_eq!(
        world.asked(),
        [
            ("key set".to_owned(), Value::Null),
            (
                "AdminGetUser".to_owned(),
                json!({"UserPoolId": POOL, "Username": "mia"})
            ),
            (
                "transactions/register".to_owned(),
                json!({"external_id": "sub-of-mia", "passkey_display_name": "mia@example.com"}),
            ),
        ]
    );
}

#[tokio::test]
async fn a_pool_may_write_another_issuer_than_its_own_address() {
    let mut world = World::start().await;
    let issuer = format!("https://cognito-idp.us-east-1.amazonaws.com/{POOL}");
    world.use_settings(&["--cognito-issuer", &issuer]);
    let (status, _) = world
        .post("/users/add-passkey", Some(&bearer(&claims(&world))), "")
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let mut claims = claims(&world);
    claims["iss"] = json!(issuer);
    let (status, _) = world
        .post("/users/add-passkey", Some(&bearer(&claims)), "")
        .await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn the_key_set_is_fetched_once_however_many_tokens_come() {
    let world = World::start().await;
    let stranger = sign(&claims(&world), &STRANGER, "made-up");
    for _ in 0..3 {
        world
            .post("/users/add-passkey", Some(&bearer(&claims(&world))), "")
            .await;
        world
            .post(
                "/users/add-passkey",
                Some(&format!("Bearer {stranger}")),
                "",
            )
            .await;
    }
    let fetches = world
        .asked()
        .into_iter()
        .filter(|(what, _)| what == "key set")
        .count();
    assert_eq!(fetches, 1);
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_without_saying_why() {
    let world = World::start().await;
    let with = |name: &str, value: Value| {
        let mut claims = claims(&world);
        claims[name] = value;
        sign(&claims, &POOL_KEY, "k1")
    };
    let good = sign(&claims(&world), &POOL_KEY, "k1");
    let signature = good.rfind('.').expect("a token has three parts");
    let unsigned = format!("{}.", &good[..signature]);
    let other_claims = with("sub", json!("sub-of-ben"));
    let swapped = format!(
        "{}{}",
        &other_claims[..other_claims.rfind('.').expect("three parts")],
        &good[signature..]
    );
    let by_secret = {
        let key = EncodingKey::from_secret(b"public key, taken for a secret");
        let header = Header {
            kid: Some("k1".to_owned()),
            ..Header::new(Algorithm::HS256)
        };
        jsonwebtoken::encode(&header, &claims(&world), &key).expect("the claims are JSON")
    };
    let cases = [
        (
            "another pool",
            with("iss", json!(format!("{}/us-east-1_other", world.pool_url))),
        ),
        ("another client", with("client_id", json!("client2"))),
        ("expired", with("exp", json!(PAST))),
        ("without expiry", with("exp", Value::Null)),
        ("an id token", with("token_use", json!("id"))),
        ("without user", with("sub", Value::Null)),
        (
            "by a stranger's key",
            sign(&claims(&world), &STRANGER, "k1"),
        ),
        ("by an unknown key", sign(&claims(&world), &POOL_KEY, "k2")),
        ("by a shared secret", by_secret),
        ("other claims, same signature", swapped),
        ("no signature", unsigned),
        ("not a token", "hello".to_owned()),
    ];
    for (what, token) in cases {
        let answer = world
            .post("/users/add-passkey", Some(&format!("Bearer {token}")), "")
            .await;
        let expected = json!({"error": "The access token is not valid."});
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, expected), "{what}");
    }
    assert!(
        world.asked().iter().all(|(what, _)| what == "key set"),
        "nothing was done for any of them"
    );
}

#[tokio::test]
async fn a_request_without_a_bearer_token_is_refused() {
    let world = World::start().await;
    for authorization in [
        None,
        Some(""),
        Some("Bearer"),
        Some("Bearer "),
        Some("Basic dTpw"),
    ] {
        let answer = world.post("/users/add-passkey", authorization, "").await;
        let expected =
            json!({"error": "An access token is needed: send it as `Authorization: Bearer …`."});
        assert_eq!(
            answer,
            (StatusCode::UNAUTHORIZED, expected),
            "{authorization:?}"
        );
    }
    assert_eq!(world.asked(), []);
}

#[tokio::test]
async fn a_token_does_not_outlive_its_user() {
    let world = World::start().await;
    for username in ["gone", "disabled", "reused-name"] {
        let mut claims = claims(&world);
        claims["username"] = json!(username);
        let answer = world
            .post("/users/add-passkey", Some(&bearer(&claims)), "")
            .await;
        let expected = json!({"error": "The user of this access token is gone or disabled."});
        assert_eq!(answer, (StatusCode::UNAUTHORIZED, expected), "{username}");
    }
    assert!(
        !world
            .asked()
            .iter()
            .any(|(what, _)| what == "transactions/register")
    );
}

#[tokio::test]
async fn a_user_without_an_address_is_told_so() {
    let world = World::start().await;
    let mut claims = claims(&world);
    claims["username"] = json!("no-email");
    let answer = world
        .post("/users/add-passkey", Some(&bearer(&claims)), "")
        .await;
    let expected = json!({"error": "The user has no e-mail address to label the passkey with."});
    assert_eq!(answer, (StatusCode::BAD_REQUEST, expected));
}

#[tokio::test]
async fn a_service_that_is_down_is_told_apart_from_a_wrong_request() {
    let mut world = World::start().await;
    let token = bearer(&claims(&world));

    world.use_settings(&["--passage-api-key", "wrong"]);
    let answer = world.post("/users/add-passkey", Some(&token), "").await;
    let expected = json!({"error": "The passkey service is not available. Try again in a moment."});
    assert_eq!(answer, (StatusCode::BAD_GATEWAY, expected));

    // A fresh server for a pool without a key set.
    world.use_settings(&["--user-pool-id", "us-east-1_other"]);
    for _ in 0..2 {
        let answer = world.post("/users/add-passkey", Some(&token), "").await;
        let expected =
            json!({"error": "The user pool's key set is not available. Try again in a moment."});
        assert_eq!(answer, (StatusCode::BAD_GATEWAY, expected));
    }
}

#[tokio::test]
async fn only_the_web_apps_pages_may_call() {
    let world = World::start().await;
    for (origin, allowed) in [
        ("http://localhost:8081", true),
        ("http://localhost:8082", false),
        ("null", false),
    ] {
        let preflight = Request::builder()
            .method(Method::OPTIONS)
            .uri("/users/add-passkey")
            .header(header::ORIGIN, origin)
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type",
            )
            .body(Body::empty())
            .expect("a request");
        let response = world
            .router
            .clone()
            .oneshot(preflight)
            .await
            .expect("a router does not fail");
        let text = |name: HeaderName| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(
            text(header::ACCESS_CONTROL_ALLOW_ORIGIN),
            allowed.then_some(origin)
        );
        assert_eq!(text(header::ACCESS_CONTROL_ALLOW_METHODS), Some("POST"));
        assert_eq!(
            text(header::ACCESS_CONTROL_ALLOW_HEADERS),
            Some("content-type,authorization")
        );
    }
}

/// The server under test, between a pool and a passkey service that record what they are asked.
struct World {
    router: Router,
    pool_url: String,
    passage_url: String,
    asked: Asked,
}

type Asked = Arc<Mutex<Vec<(String, Value)>>>;

impl World {
    async fn start() -> Self {
        let asked = Asked::default();
        let pool = Router::new()
            .route("/", post(admin_operation))
            .route("/{pool}/.well-known/jwks.json", get(key_set))
            .with_state(asked.clone());
        let passage = Router::new()
            .route("/v1/apps/app1/{*operation}", post(passkey_operation))
            .with_state(asked.clone());
        let mut world = Self {
            router: Router::new(),
            pool_url: listen(pool).await,
            passage_url: format!("{}/v1", listen(passage).await),
            asked,
        };
        world.use_settings(&[]);
        world
    }

    /// Makes a new server. What `more` sets wins over the usual.
    fn use_settings(&mut self, more: &[&str]) {
        let usual = [
            ("--region", "us-east-1"),
            ("--user-pool-id", POOL),
            ("--app-client-id", CLIENT),
            ("--access-key-id", "AKIAEXAMPLE"),
            ("--secret-access-key", "secret"),
            ("--passage-app-id", "app1"),
            ("--passage-api-key", "key"),
            ("--passage-base-url", &self.passage_url),
            ("--cognito-endpoint", &self.pool_url),
            ("--web-origin", "http://localhost:8081"),
        ];
        let usual = usual
            .into_iter()
            .filter(|(name, _)| !more.contains(name))
            .flat_map(|(name, value)| [name, value]);
        let flags = ["example-server"]
            .into_iter()
            .chain(usual)
            .chain(more.iter().copied());
        let settings = Settings::try_parse_from(flags).expect("the flags are right");
        self.router = router(&settings).expect("the settings are right");
    }

    async fn post(
        &self,
        path: &str,
        authorization: Option<&str>,
        body: &str,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Body::from(body.to_owned()))
            .expect("a request");
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("a router does not fail");
        let status = response.status();
        let body = to_bytes(response.into_body(), 10_000)
            .await
            .expect("a short body");
        (
            status,
            serde_json::from_slice(&body).expect("every answer is JSON"),
        )
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked
            .lock()
            .expect("no test panics with the lock")
            .clone()
    }
}

/// The pool's admin API: knows a few users by what is to happen with them.
async fn admin_operation(State(asked): State<Asked>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().expect("a target is text");
    let operation = target
        .strip_prefix("AWSCognitoIdentityProviderService.")
        .expect("the pool's own service");
    assert!(
        headers[header::AUTHORIZATION]
            .to_str()
            .expect("text")
            .starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    );
    let body: Value = serde_json::from_slice(&body).expect("the SDK sends JSON");
    asked
        .lock()
        .expect("no test panics with the lock")
        .push((operation.to_owned(), body.clone()));

    let user = |sub: &str, email: Option<&str>, is_enabled: bool| {
        let mut attributes = vec![json!({"Name": "sub", "Value": sub})];
        attributes.extend(email.map(|email| json!({"Name": "email", "Value": email})));
        answer(
            StatusCode::OK,
            json!({"Username": body["Username"], "UserAttributes": attributes, "Enabled": is_enabled}),
        )
    };
    let refuse = |name: &str, message: &str| {
        answer(
            StatusCode::BAD_REQUEST,
            json!({"__type": name, "message": message}),
        )
    };
    match (
        operation,
        body["Username"].as_str().expect("a user is named"),
    ) {
        (_, "nobody@example.com" | "gone") => {
            refuse("UserNotFoundException", "User does not exist.")
        }
        (_, "confirmed@example.com") => refuse(
            "NotAuthorizedException",
            "User cannot be confirmed. Current status is CONFIRMED",
        ),
        (_, "denied@example.com") => {
            refuse("AccessDeniedException", "The access key may not do this.")
        }
        ("AdminGetUser", "mia") => user("sub-of-mia", Some("mia@example.com"), true),
        ("AdminGetUser", "disabled") => user("sub-of-mia", Some("mia@example.com"), false),
        ("AdminGetUser", "reused-name") => user("sub-of-ben", Some("ben@example.com"), true),
        ("AdminGetUser", "no-email") => user("sub-of-mia", None, true),
        _ => answer(StatusCode::OK, json!({})),
    }
}

fn answer(status: StatusCode, body: Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/x-amz-json-1.1")],
        body.to_string(),
    )
        .into_response()
}

async fn key_set(State(asked): State<Asked>, Path(pool): Path<String>) -> Response {
    asked
        .lock()
        .expect("no test panics with the lock")
        .push(("key set".to_owned(), Value::Null));
    if pool != POOL {
        return StatusCode::NOT_FOUND.into_response();
    }
    let mut key = Jwk::from_encoding_key(&POOL_KEY, Algorithm::RS256).expect("an RSA key");
    key.common.key_id = Some("k1".to_owned());
    Json(json!({"keys": [key]})).into_response()
}

async fn passkey_operation(
    State(asked): State<Asked>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if headers[header::AUTHORIZATION] != "Bearer key" {
        let body = json!({"code": "invalid_access_token", "error": "No such key."});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    asked
        .lock()
        .expect("no test panics with the lock")
        .push((operation, body));
    (StatusCode::CREATED, Json(json!({"transaction_id": "t1"}))).into_response()
}

static POOL_KEY: LazyLock<EncodingKey> = LazyLock::new(rsa_key);
static STRANGER: LazyLock<EncodingKey> = LazyLock::new(rsa_key);

fn rsa_key() -> EncodingKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key pair");
    let der: Pkcs8V1Der<'static> = pair.as_der().expect("an encoding");
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        BASE64_STANDARD.encode(der.as_ref())
    );
    EncodingKey::from_rsa_pem(pem.as_bytes()).expect("a PEM key")
}

/// The claims of a good access token of the pool.
fn claims(world: &World) -> Value {
    json!({
        "sub": "sub-of-mia", "username": "mia", "iss": format!("{}/{POOL}", world.pool_url), "client_id": CLIENT,
        "token_use": "access", "scope": "aws.cognito.signin.user.admin", "exp": FUTURE, "iat": PAST, "version": 2,
    })
}

fn bearer(claims: &Value) -> String {
    format!("Bearer {}", sign(claims, &POOL_KEY, "k1"))
}

fn sign(claims: &Value, key: &EncodingKey, kid: &str) -> String {
    let header = Header {
        typ: None,
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    jsonwebtoken::encode(&header, claims, key).expect("the claims are JSON")
}

/// Serves `router` on a free port of the loopback interface and returns its URL.
async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
