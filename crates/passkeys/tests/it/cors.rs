//! Who may call from where (passkey-flex section c.9), and what is at no path.

use axum::{
    body::Body,
    http::{Method, Request},
};
use passkeys::NewApp;
use serde_json::json;

use crate::house::{Answer, House, ORIGIN, UNKNOWN_ID, houses};

const BROWSER_PATHS: [&str; 4] = [
    "register/transactions/webauthn/start",
    "register/transactions/webauthn/finish",
    "authenticate/transactions/webauthn/start",
    "authenticate/transactions/webauthn/finish",
];

async fn call(house: &House, method: Method, path: &str, origins: &[&str], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for origin in origins {
        request = request.header("origin", *origin);
    }
    house
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[track_caller]
fn allows(answer: &Answer, origin: Option<&str>) {
    let allowed = answer
        .headers
        .get("access-control-allow-origin")
        .map(|value| value.to_str().unwrap());
    assert_eq!(allowed, origin);
    // A page that may read the answer may also read how long to wait.
    let exposed = answer.headers.get("access-control-expose-headers");
    assert_eq!(
        exposed.map(|value| value.to_str().unwrap()),
        origin.map(|_| "retry-after")
    );
    assert_eq!(answer.headers["vary"], "Origin");
    assert_eq!(answer.headers.get("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn a_preflight_allows_the_origins_of_the_app_and_no_others() {
    for house in houses().await {
        let app = house
            .app_like(NewApp {
                name: "Example".into(),
                auth_origin: "https://login.example.com".into(),
                additional_auth_origins: vec!["http://localhost:3000".into()],
                rp_id: Some("example.com".into()),
                ..NewApp::default()
            })
            .await;
        let id = app.app.id.as_str();
        for path in BROWSER_PATHS {
            for (id, origins, allowed) in [
                (
                    id,
                    &["https://login.example.com"][..],
                    Some("https://login.example.com"),
                ),
                (
                    id,
                    &["http://localhost:3000"],
                    Some("http://localhost:3000"),
                ),
                (id, &["https://example.com"], None),
                (id, &["https://login.example.com.evil.net"], None),
                (id, &["http://login.example.com"], None),
                (id, &["https://login.example.com/"], None),
                (id, &["https://LOGIN.example.com"], None),
                (id, &["null"], None),
                (
                    id,
                    &["https://login.example.com", "https://login.example.com"],
                    None,
                ),
                (id, &[], None),
                (UNKNOWN_ID, &["https://login.example.com"], None),
                ("%FF", &["https://login.example.com"], None),
            ] {
                for slash in ["", "/"] {
                    let path = format!("/v1/apps/{id}/{path}{slash}");
                    let answer = call(&house, Method::OPTIONS, &path, origins, "").await;
                    assert_eq!(answer.status, 204);
                    allows(&answer, allowed);
                    for (name, value) in [
                        ("access-control-allow-methods", "POST, GET, OPTIONS"),
                        (
                            "access-control-allow-headers",
                            "content-type, passage-flex-version, passage-version",
                        ),
                        ("access-control-max-age", "600"),
                    ] {
                        assert_eq!(answer.headers[name], value);
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn errors_carry_the_header_too_and_foreign_pages_get_neither() {
    for house in houses().await {
        let app = house.app().await;
        for path in BROWSER_PATHS {
            let path = format!("/v1/apps/{}/{path}", app.app.id);
            let unknown_app = path.replace(app.app.id.as_str(), UNKNOWN_ID);
            let answer = call(&house, Method::POST, &path, &[ORIGIN], "[]").await;
            answer.refuses(400, "invalid_request");
            allows(&answer, Some(ORIGIN));
            let answer = call(&house, Method::POST, &path, &["https://evil.net"], "{}").await;
            answer.refuses(403, "operation_not_allowed");
            allows(&answer, None);
            let answer = call(&house, Method::POST, &unknown_app, &[ORIGIN], "{}").await;
            answer.refuses(404, "app_not_found");
            allows(&answer, None);
            let answer = call(&house, Method::GET, &path, &[ORIGIN], "").await;
            answer.refuses(405, "method_not_allowed");
            allows(&answer, Some(ORIGIN));
            // A native app has no origin to send.
            let answer = call(&house, Method::POST, &path, &[], "[]").await;
            answer.refuses(400, "invalid_request");
            allows(&answer, None);
        }
    }
}

#[tokio::test]
async fn management_paths_are_closed_to_browsers() {
    for house in houses().await {
        let app = house.app().await;
        for path in [
            "transactions/register",
            "transactions/authenticate",
            "authenticate/verify",
        ] {
            let path = format!("/v1/apps/{}/{path}", app.app.id);
            for method in [Method::OPTIONS, Method::GET, Method::PUT] {
                let answer = call(&house, method, &path, &[ORIGIN], "").await;
                answer.refuses(405, "method_not_allowed");
                assert_eq!(answer.headers["allow"], "POST");
                assert_eq!(answer.headers.get("access-control-allow-origin"), None);
            }
        }
        let answer = app
            .server(
                "transactions/register/",
                json!({"external_id": "ann", "passkey_display_name": "Ann"}),
            )
            .await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.headers.get("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn whatever_else_is_asked_under_v1_answers_in_the_contracts_shape() {
    for house in houses().await {
        for path in [
            "/v1",
            "/v1/",
            "/v1/apps",
            "/v1/apps/x/transactions",
            "/v1/apps/x/users/y/z",
            "/v1/apps/x/users/y/devices/z/further",
            "/v1/apps/x/events/y/z",
            "/v1/apps/x/transactions/register/further",
            "/v1/%FF",
            "/v1/%00/..",
        ] {
            for method in [Method::GET, Method::POST, Method::OPTIONS, Method::DELETE] {
                call(&house, method, path, &[], "{}")
                    .await
                    .refuses(404, "not_found");
            }
        }
    }
}
