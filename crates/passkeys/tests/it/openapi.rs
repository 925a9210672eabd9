//! The OpenAPI document, and that the routes are what it says. Whether answers
//! fit it is tested on a running server by `cargo xtask openapi`.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use passkeys::Passkeys;
use serde_json::{Value, json};

use crate::house::{Answer, House, UNKNOWN_ID, houses, send};

const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "trace"];

async fn document(house: &House) -> Value {
    let answer = call(&house.passkeys.router(), "GET", "/v1/openapi.json").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "public, max-age=300");
    answer.body
}

async fn call(router: &Router, method: &str, path: &str) -> Answer {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
    let request = Request::builder().method(method).uri(path);
    send(router, request.body(Body::empty()).unwrap()).await
}

/// Each operation of the document: its path, its method, and what is said of it.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// The whole surface on a page. Whoever adds a route adds its line.
#[tokio::test]
async fn the_document_has_every_operation() {
    let house = houses().await.remove(0);
    let document = document(&house).await;
    let lines: Vec<String> = operations(&document)
        .into_iter()
        .map(|(path, method, operation)| {
            let tag = operation["tags"][0].as_str().unwrap();
            let id = operation["operationId"].as_str().unwrap();
            format!("{tag} {} {path} {id}", method.to_uppercase())
        })
        .collect();
    let expected = "\
domain GET /.well-known/apple-app-site-association get_apple_file_of_host
domain GET /.well-known/assetlinks.json get_android_file_of_host
domain GET /.well-known/webauthn get_related_origins_file_of_host
management GET /v1/apps/{app_id} get_app
management PATCH /v1/apps/{app_id} update_app
domain GET /v1/apps/{app_id}/.well-known/apple-app-site-association get_apple_file_of_app
domain GET /v1/apps/{app_id}/.well-known/assetlinks.json get_android_file_of_app
domain GET /v1/apps/{app_id}/.well-known/webauthn get_related_origins_file_of_app
browser POST /v1/apps/{app_id}/authenticate/transactions/webauthn/finish finish_authentication
browser POST /v1/apps/{app_id}/authenticate/transactions/webauthn/start start_authentication
management POST /v1/apps/{app_id}/authenticate/verify verify_nonce
management GET /v1/apps/{app_id}/events list_events
management GET /v1/apps/{app_id}/events/{event_id} get_event
management GET /v1/apps/{app_id}/native-clients list_native_clients
management POST /v1/apps/{app_id}/native-clients create_native_client
management DELETE /v1/apps/{app_id}/native-clients/{native_client_id} delete_native_client
management GET /v1/apps/{app_id}/native-clients/{native_client_id} get_native_client
browser POST /v1/apps/{app_id}/register/transactions/webauthn/finish finish_registration
browser POST /v1/apps/{app_id}/register/transactions/webauthn/start start_registration
management POST /v1/apps/{app_id}/transactions/authenticate create_authenticate_transaction
management POST /v1/apps/{app_id}/transactions/register create_register_transaction
management GET /v1/apps/{app_id}/users list_users
management DELETE /v1/apps/{app_id}/users/{user_id} delete_user
management GET /v1/apps/{app_id}/users/{user_id} get_user
management PATCH /v1/apps/{app_id}/users/{user_id}/activate activate_user
management PATCH /v1/apps/{app_id}/users/{user_id}/deactivate deactivate_user
management GET /v1/apps/{app_id}/users/{user_id}/devices list_devices
management DELETE /v1/apps/{app_id}/users/{user_id}/devices/{device_id} revoke_device
management GET /v1/apps/{app_id}/webhooks list_webhooks
management POST /v1/apps/{app_id}/webhooks create_webhook
management DELETE /v1/apps/{app_id}/webhooks/{webhook_id} delete_webhook
management GET /v1/apps/{app_id}/webhooks/{webhook_id} get_webhook
management PATCH /v1/apps/{app_id}/webhooks/{webhook_id} update_webhook
management GET /v1/apps/{app_id}/webhooks/{webhook_id}/deliveries list_deliveries
management GET /v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id} get_delivery
management POST /v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver redeliver
management POST /v1/apps/{app_id}/webhooks/{webhook_id}/rotate-secret rotate_webhook_secret
pictures GET /v1/authenticators/{aaguid}/icon-dark.svg get_icon_dark
pictures GET /v1/authenticators/{aaguid}/icon-light.svg get_icon_light
document GET /v1/openapi.json get_document";
    assert_eq!(lines.join("\n"), expected);
}

#[tokio::test]
async fn each_path_has_the_methods_of_the_document_and_names_them_to_others() {
    for house in houses().await {
        let router = house.passkeys.router();
        let document = document(&house).await;
        for (path, item) in document["paths"].as_object().unwrap() {
            // Ids that fit every parameter.
            let concrete: Vec<&str> = path
                .split('/')
                .map(|part| {
                    if part.starts_with('{') {
                        UNKNOWN_ID
                    } else {
                        part
                    }
                })
                .collect();
            let concrete = concrete.join("/");
            let is_known_app = |answer: &Answer| answer.body["code"] != "app_not_found";
            for method in METHODS {
                let is_documented = item.get(method).is_some();
                let answer = call(&router, method, &concrete).await;
                // A browser's path looks for the app before the method.
                if !is_documented && is_known_app(&answer) {
                    answer.refuses(405, "method_not_allowed");
                    let allow = answer.headers["allow"].to_str().unwrap();
                    for allowed in METHODS {
                        let is_named = allow
                            .split(',')
                            .any(|name| name.eq_ignore_ascii_case(allowed));
                        assert_eq!(is_named, item.get(allowed).is_some(), "{path} {allow}");
                    }
                }
                let twin = call(&router, method, &format!("{concrete}/")).await;
                if is_documented {
                    assert_ne!(
                        answer.status,
                        StatusCode::METHOD_NOT_ALLOWED,
                        "{method} {path}"
                    );
                    let is_deletion_of_a_user = method == "delete" && path.ends_with("{user_id}");
                    assert_eq!(
                        twin.status == StatusCode::METHOD_NOT_ALLOWED,
                        is_deletion_of_a_user,
                        "{method} {path}/"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn the_document_tells_who_may_call_what_and_how_it_is_refused() {
    let house = houses().await.remove(0);
    let document = document(&house).await;
    for (path, method, operation) in operations(&document) {
        let of = format!("{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{of}");
        assert_eq!(operation.get("x-refusals"), None, "{of}");
        let refuses = |status: &str, code: &str| {
            let schema = &responses[status]["content"]["application/json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            assert!(
                codes.unwrap().contains(&json!(code)),
                "{of}: {status} {code}"
            );
        };
        match operation["tags"][0].as_str().unwrap() {
            "management" => {
                assert_eq!(operation["security"], json!([{"apiKey": []}]), "{of}");
                refuses("401", "invalid_access_token");
                refuses("429", "rate_limit_exceeded");
                let retry_after = &responses["429"]["headers"]["Retry-After"];
                assert_ne!(*retry_after, Value::Null, "{of}");
                refuses("500", "internal_server_error");
            }
            "browser" => {
                assert_eq!(operation["security"], json!([]), "{of}");
                refuses("403", "operation_not_allowed");
                refuses("404", "app_not_found");
                refuses("500", "internal_server_error");
                for (status, response) in responses {
                    assert_ne!(response["headers"]["Vary"], Value::Null, "{of}: {status}");
                }
            }
            "domain" | "pictures" | "document" => {
                assert_eq!(operation["security"], json!([]), "{of}")
            }
            other => panic!("{of} has the tag {other}, which http/openapi.rs does not know"),
        }
        if operation.get("requestBody").is_some() {
            refuses("400", "invalid_request");
        }
        if path.ends_with("/webauthn/finish") {
            // That of a transaction may be deleted between start and finish.
            refuses("404", "user_not_found");
        }
        let named = path.matches('{').count();
        let described = operation["parameters"].as_array().unwrap();
        let described = described
            .iter()
            .filter(|parameter| parameter["in"] == "path");
        assert_eq!(described.count(), named, "{of}");
    }
}

#[tokio::test]
async fn the_document_names_the_servers_address_and_no_internal_source() {
    let house = houses().await.remove(0);
    assert_eq!(document(&house).await["servers"], json!([{"url": "/"}]));
    let public = Passkeys::new(house.platform.clone()).with_public_url("https://id.example.com/");
    let answer = call(&public.router(), "GET", "/v1/openapi.json").await;
    assert_eq!(answer.body["openapi"], "3.1.0");
    assert_eq!(
        answer.body["servers"],
        json!([{"url": "https://id.example.com"}])
    );
    let text = answer.body.to_string();
    assert!(!text.contains("section"), "{text}");
}
