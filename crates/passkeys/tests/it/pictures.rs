//! Names and pictures of authenticators out of an operator's file
//! (passkey-flex section b.8).

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use passkeys::Authenticators;
use serde_json::json;
use tower::ServiceExt as _;
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::houses;

const HOUSE_KEY: &str = "11111111-2222-3333-4444-555555555555";
const BITWARDEN: &str = "d548826e-79b4-db40-a3d8-11116f7e8349";
const LIGHT: &str = r##"<svg xmlns="http://www.w3.org/2000/svg"><path fill="#000"/></svg>"##;
const SCRIPT: &str = r#"<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>"#;

fn uri(svg: &str) -> String {
    format!("data:image/svg+xml;base64,{}", BASE64_STANDARD.encode(svg))
}

fn authenticators() -> Authenticators {
    let file = json!({
        HOUSE_KEY: {"name": "House key", "icon_light": uri(LIGHT), "icon_dark": uri(SCRIPT)},
    });
    let (authenticators, left_out) = Authenticators::parse(file.to_string().as_bytes()).unwrap();
    assert_eq!(left_out.len(), 1, "{left_out:?}");
    authenticators
}

#[tokio::test]
async fn devices_show_the_names_and_pictures_of_the_operators_file() {
    for house in houses().await {
        let house = house.with_authenticators(authenticators());
        let app = house.app().await;
        for (external_id, aaguid, name, icons) in [
            (
                "ann",
                HOUSE_KEY,
                "House key",
                json!({"light": uri(LIGHT), "dark": null}),
            ),
            (
                "bob",
                BITWARDEN,
                "Bitwarden",
                json!({"light": null, "dark": null}),
            ),
            (
                "cid",
                "00000000-0000-0000-0000-000000000000",
                "Firefox on Linux",
                json!({"light": null, "dark": null}),
            ),
        ] {
            let mut authenticator = Authenticator::new(Algorithm::Es256, external_id);
            let digits = aaguid.replace('-', "");
            authenticator.aaguid = u128::from_str_radix(&digits, 16).unwrap().to_be_bytes();
            app.register(external_id, &mut authenticator).await;
            let path = format!("users/{}", app.user_id(external_id).await);
            let user = app.get(&path).await;
            let devices = app.get(&format!("{path}/devices")).await;
            for device in [&devices["devices"][0], &user["user"]["webauthn_devices"][0]] {
                assert_eq!(device["friendly_name"], name);
                assert_eq!(device["icons"], icons);
            }
        }
    }
}

#[tokio::test]
async fn a_picture_is_a_file_that_can_do_nothing() {
    for house in houses().await {
        let house = house.with_authenticators(authenticators());
        let path = format!("/v1/authenticators/{HOUSE_KEY}/icon-light.svg");
        let request = Request::get(&path).body(Body::empty()).unwrap();
        let response = house.passkeys.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "image/svg+xml; charset=utf-8"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            ),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("cache-control", "public, max-age=86400"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body, LIGHT.as_bytes());

        for path in [
            // It was left out.
            format!("/v1/authenticators/{HOUSE_KEY}/icon-dark.svg"),
            format!("/v1/authenticators/{BITWARDEN}/icon-light.svg"),
            format!("/v1/authenticators/{}/icon-light.svg", "1".repeat(36)),
            "/v1/authenticators/%FF/icon-light.svg".into(),
            format!("/v1/authenticators/{HOUSE_KEY}/icon-light.png"),
            format!("/v1/authenticators/{HOUSE_KEY}"),
        ] {
            let request = Request::get(&path).body(Body::empty()).unwrap();
            house.send(request).await.refuses(404, "not_found");
        }
        let request = Request::builder().method(Method::POST).uri(&path);
        let answer = house.send(request.body(Body::empty()).unwrap()).await;
        answer.refuses(405, "method_not_allowed");
    }
}
