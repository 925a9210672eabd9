//! Bodies that no client of ours would send, to every route: the contract's
//! 4xx, never a 500, a hang or an acknowledgement.

use std::time::Duration;

use acceptance::{Server, aws::Call};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(20);

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, close: &str| {
        format!("{}{}", open.repeat(10_000), close.repeat(10_000)).into_bytes()
    };
    vec![
        ("empty", Vec::new()),
        ("not JSON", b"{".to_vec()),
        ("not UTF-8", vec![b'"', 0xff, 0xfe, b'"']),
        ("null", b"null".to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", b"\"text\"".to_vec()),
        ("a list", b"[]".to_vec()),
        ("deep lists", nested("[", "]")),
        ("deep objects", nested("{\"a\":", "}")),
        (
            "two megabytes",
            format!("{{\"nonce\":\"{}\"}}", "a".repeat(2 << 20)).into_bytes(),
        ),
        ("wrong types", wrong_types("7")),
        ("objects for texts", wrong_types("{\"a\":[1]}")),
        ("NUL characters", wrong_types("\"\\u0000\"")),
        ("half of a surrogate pair", wrong_types("\"\\ud800\"")),
        ("nothing but empty texts", wrong_types("\"\"")),
    ]
}

/// Every member that any route reads, with the same value.
fn wrong_types(value: &str) -> Vec<u8> {
    const MEMBERS: [&str; 40] = [
        "external_id",
        "passkey_display_name",
        "nonce",
        "transaction_id",
        "handshake_id",
        "handshake_response",
        "authenticator_attachment",
        "ClientId",
        "Username",
        "Password",
        "UserAttributes",
        "UserPoolId",
        "AuthFlow",
        "AuthParameters",
        "ChallengeName",
        "ChallengeResponses",
        "Session",
        "AccessToken",
        "Token",
        "PoolName",
        "ClientName",
        "LambdaConfig",
        "Policies",
        "ExplicitAuthFlows",
        "ConfirmationCode",
        "ClientMetadata",
        "FunctionName",
        "Runtime",
        "Handler",
        "Role",
        "Code",
        "ZipFile",
        "Environment",
        "Timeout",
        "MemorySize",
        "StatementId",
        "Action",
        "Principal",
        "Schema",
        "UsernameAttributes",
    ];
    let members: Vec<String> = MEMBERS
        .iter()
        .map(|name| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

#[tokio::test]
async fn the_passkey_service_refuses_them() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let base = format!("{}/v1/apps/{}", server.url, app.id);
    for path in [
        "/transactions/register",
        "/transactions/authenticate",
        "/authenticate/verify",
        "/register/transactions/webauthn/start",
        "/register/transactions/webauthn/finish",
        "/authenticate/transactions/webauthn/start",
        "/authenticate/transactions/webauthn/finish",
    ] {
        for (name, body) in bodies() {
            // A discoverable sign-in begins with nothing said; so an empty body,
            // null and unknown members are no fault there.
            let may_be_empty = path == "/authenticate/transactions/webauthn/start";
            let request = server
                .http
                .post(format!("{base}{path}"))
                .bearer_auth(&app.api_key)
                .header("origin", acceptance::server::ORIGIN)
                .header("content-type", "application/json")
                .body(body);
            let (status, answer) = patiently(request).await;
            if may_be_empty && status == 200 {
                assert!(
                    ["empty", "deep objects", "two megabytes"].contains(&name),
                    "{path} takes {name}: {answer}"
                );
                continue;
            }
            assert!(
                (400..500).contains(&status),
                "{path} {name}: {status} {answer}"
            );
            assert!(answer["code"].is_string(), "{path} {name}: {answer}");
            assert!(answer["error"].is_string(), "{path} {name}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_user_pools_refuse_them() {
    let server = Server::start().await;
    for operation in [
        "CreateUserPool",
        "DescribeUserPool",
        "UpdateUserPool",
        "CreateUserPoolClient",
        "DescribeUserPoolClient",
        "SignUp",
        "ConfirmSignUp",
        "AdminConfirmSignUp",
        "AdminGetUser",
        "AdminUpdateUserAttributes",
        "InitiateAuth",
        "RespondToAuthChallenge",
        "GetUser",
        "GlobalSignOut",
        "RevokeToken",
        "NoSuchOperation",
    ] {
        for (name, body) in bodies() {
            let mut call = Call::cognito(operation, &Value::Null);
            call.body = body;
            let (status, answer) = patiently(server.sign(call)).await;
            assert_eq!(status, 400, "{operation} {name}: {answer}");
            assert!(answer["__type"].is_string(), "{operation} {name}: {answer}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn the_function_runner_refuses_them() {
    let server = Server::start().await;
    let function = "exports.handler = async (event) => event;";
    server
        .create_function("echo", function, serde_json::json!({}))
        .await;
    for (method, path) in [
        (Method::POST, "/2015-03-31/functions"),
        (Method::PUT, "/2015-03-31/functions/echo/code"),
        (Method::PUT, "/2015-03-31/functions/echo/configuration"),
        (Method::POST, "/2015-03-31/functions/echo/policy"),
        (Method::POST, "/2015-03-31/functions/echo/invocations"),
    ] {
        for (name, body) in bodies() {
            let mut call = Call::lambda(method.clone(), path, &Value::Null);
            call.body = body;
            let (status, answer) = patiently(server.sign(call)).await;
            // An event is any JSON, and a configuration without members changes nothing.
            let is_event = path.ends_with("/invocations");
            let changes_nothing = path.ends_with("/configuration");
            if (is_event || changes_nothing) && status == 200 {
                continue;
            }
            assert!(
                (400..500).contains(&status),
                "{path} {name}: {status} {answer}"
            );
            assert!(
                answer["message"].is_string() || answer["Message"].is_string(),
                "{path} {name}: {answer}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn strange_paths_and_methods_are_refused() {
    let server = Server::start().await;
    for path in [
        "/v1/apps/%00/authenticate/verify",
        "/v1/apps/%ff%fe/transactions/register",
        "/v1/apps/../../etc/passwd",
        "/%2e%2e/.well-known/jwks.json",
        "/us-east-1_Unknown00/.well-known/jwks.json",
        "/us-east-1_%00/.well-known/openid-configuration",
        "/2015-03-31/functions/%00/configuration",
        "/2015-03-31/functions/%ff",
        "/2015-03-31/nothing",
        "/nothing/at/all",
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let request = server
                .http
                .request(method.clone(), format!("{}{path}", server.url));
            let (status, answer) = patiently(request).await;
            assert!(
                (400..500).contains(&status),
                "{method} {path}: {status} {answer}"
            );
        }
    }
    server.stop().await;
}

async fn patiently(request: RequestBuilder) -> (u16, Value) {
    tokio::time::timeout(PATIENCE, acceptance::server::answer(request))
        .await
        .expect("an answer in time")
}
