//! Native apps: how they are listed, that what they sign is accepted, and the
//! files that tell platforms and browsers about them.

use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use passkeys::NewApp;
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{Answer, House, ORIGIN, Reasons, TestApp, UNKNOWN_ID, houses, send, text};

/// The fingerprint of 32 bytes of `byte`, and the origin that Android makes of it.
fn fingerprint(byte: u8) -> (String, String) {
    let digits = vec![format!("{byte:02X}"); 32].join(":");
    let origin = BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
    (digits, format!("android:apk-key-hash:{origin}"))
}

fn android(package_name: &str, bytes: &[u8]) -> Value {
    let fingerprints: Vec<String> = bytes.iter().map(|byte| fingerprint(*byte).0).collect();
    json!({
        "platform": "android",
        "package_name": package_name,
        "sha256_cert_fingerprints": fingerprints,
    })
}

fn apple(team_id: &str, bundle_id: &str) -> Value {
    json!({"platform": "apple", "team_id": team_id, "bundle_id": bundle_id})
}

async fn create(app: &TestApp, client: Value) -> Value {
    let answer = app.server("native-clients", client).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    answer.body["native_client"].clone()
}

/// What anybody gets, without a key.
async fn public(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

async fn file(router: &Router, path: &str) -> Value {
    let answer = public(router, path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.body
}

#[tokio::test]
async fn native_clients_are_created_listed_and_deleted() {
    for house in houses().await {
        let app = house.app().await;
        let none = json!({"native_clients": []});
        assert_eq!(app.get("native-clients").await, none);

        // Unknown members are ignored, and fingerprints have one form.
        let mut request = android("com.example.app", &[0xab]);
        request["name"] = json!("ignored");
        request["sha256_cert_fingerprints"]
            .as_array_mut()
            .unwrap()
            .push(json!("ab".repeat(32)));
        let phone = create(&app, request).await;
        let mut expected = android("com.example.app", &[0xab]);
        expected["id"] = phone["id"].clone();
        expected["created_at"] = json!("2024-08-20T00:20:47.000000Z");
        assert_eq!(phone, expected);

        let tablet = create(&app, apple("TEAMID1234", "com.example.app")).await;
        assert_eq!(
            app.get("native-clients").await,
            json!({"native_clients": [phone, tablet]})
        );
        for client in [&phone, &tablet] {
            let path = format!("native-clients/{}", text(&client["id"]));
            assert_eq!(app.get(&path).await, json!({"native_client": client}));
        }

        let path = format!("native-clients/{}", text(&phone["id"]));
        let answer = app.manage(Method::DELETE, &path).await;
        assert_eq!((answer.status, answer.body), (StatusCode::OK, Value::Null));
        assert_eq!(
            app.get("native-clients").await,
            json!({"native_clients": [tablet]})
        );
        for method in [Method::GET, Method::DELETE] {
            for id in [phone["id"].as_str().unwrap(), UNKNOWN_ID, "x", "%FF", "%00"] {
                app.manage(method.clone(), &format!("native-clients/{id}"))
                    .await
                    .refuses(404, "native_client_not_found");
            }
        }
    }
}

#[tokio::test]
async fn a_native_client_belongs_to_one_app_and_is_there_once() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let phone = create(&app, android("com.example.app", &[1])).await;
        create(&app, apple("TEAMID1234", "com.example.app")).await;
        for twice in [
            android("com.example.app", &[1]),
            android("com.example.app", &[2]),
            apple("TEAMID1234", "com.example.app"),
        ] {
            app.server("native-clients", twice)
                .await
                .refuses(409, "native_client_already_exists");
        }
        create(&app, apple("TEAMID1235", "com.example.app")).await;
        create(&other, android("com.example.app", &[1])).await;
        let path = format!("native-clients/{}", text(&phone["id"]));
        for method in [Method::GET, Method::DELETE] {
            other
                .manage(method, &path)
                .await
                .refuses(404, "native_client_not_found");
        }
        app.get(&path).await;
    }
}

#[tokio::test]
async fn what_no_platform_knows_is_refused_by_name() {
    for house in houses().await {
        let app = house.app().await;
        let whole = |member: &str, value: Value| {
            let mut client = match member {
                "team_id" | "bundle_id" => apple("TEAMID1234", "com.example.app"),
                _ => android("com.example.app", &[1]),
            };
            client[member] = value;
            client
        };
        for (member, values) in [
            (
                "platform",
                vec![json!(null), json!(""), json!("ios"), json!(["android"])],
            ),
            ("package_name", vec![json!(null), json!(""), json!("app")]),
            (
                "sha256_cert_fingerprints",
                vec![
                    json!(null),
                    json!([]),
                    json!("AA"),
                    json!(["AA:BB"]),
                    json!([1]),
                ],
            ),
            ("team_id", vec![json!(null), json!("team"), json!(7)]),
            (
                "bundle_id",
                vec![json!(null), json!("com..app"), json!(true)],
            ),
        ] {
            for value in values {
                let answer = app.server("native-clients", whole(member, value)).await;
                answer.refuses(400, "invalid_request");
                let error = answer.body["error"].as_str().unwrap();
                assert!(error.contains(member), "{error}");
            }
        }
        assert_eq!(
            app.get("native-clients").await,
            json!({"native_clients": []})
        );
    }
}

#[tokio::test]
async fn what_a_listed_android_app_signs_is_accepted_byte_for_byte() {
    for house in houses().await {
        let app = house.app().await;
        let (_, origin) = fingerprint(0xfb);
        assert!(origin.contains(['-', '_']), "{origin}");
        let mut authenticator = app.registered("ann").await;
        let reasons = Reasons::collect();
        app.login_at(&origin, &mut authenticator)
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["origin_not_allowed"]);

        let open = app.start_authentication(None).await;
        let client = create(&app, android("com.example.app", &[1, 0xfb])).await;
        app.login_at(&origin, &mut authenticator).await.nonce();
        app.login_at(&fingerprint(1).1, &mut authenticator)
            .await
            .nonce();
        // Also at a finish whose start was before, and at a registration.
        let forged = authenticator.get(&open.public_key, &origin);
        app.finish_authentication(&open.finish(forged.json()))
            .await
            .nonce();
        let transaction_id = app.register_transaction("bob").await;
        let handshake = app.start_registration(&transaction_id).await;
        let mut bobs = Authenticator::new(Algorithm::Es256, "bob");
        let forged = bobs.create(&handshake.public_key, &origin);
        app.finish_registration(&handshake.finish(forged.json()))
            .await
            .nonce();

        for unlisted in [
            fingerprint(2).1,
            format!("{origin}="),
            origin.replace('-', "+").replace('_', "/"),
            origin.replace("apk-key-hash", "apk-key-hash-sha256"),
            origin.to_uppercase(),
        ] {
            app.login_at(&unlisted, &mut authenticator)
                .await
                .refuses(401, "discoverable_login_failed");
            assert_eq!(reasons.take(), ["origin_not_allowed"], "{unlisted}");
        }

        let path = format!("native-clients/{}", text(&client["id"]));
        app.manage(Method::DELETE, &path).await;
        app.login_at(&origin, &mut authenticator)
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["origin_not_allowed"]);
    }
}

#[tokio::test]
async fn an_apple_app_needs_no_entry_for_its_origin() {
    for house in houses().await {
        let app = house.app_of_parent_domain().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        app.register("ann", &mut authenticator).await;
        let handshake = app.start_authentication(None).await;
        let forged = authenticator.get(&handshake.public_key, "https://example.com");
        app.finish_authentication(&handshake.finish(forged.json()))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn the_files_of_an_app_are_for_everybody() {
    for house in houses().await {
        let app = house.app().await;
        let router = house.passkeys.router();
        let path = |name: &str| format!("/v1/apps/{}/.well-known/{name}", app.app.id);
        for (name, content) in [
            (
                "apple-app-site-association",
                json!({"webcredentials": {"apps": []}}),
            ),
            ("assetlinks.json", json!([])),
            ("webauthn", json!({"origins": []})),
        ] {
            assert_eq!(file(&router, &path(name)).await, content);
            assert_eq!(file(&router, &format!("{}/", path(name))).await, content);
            for app_id in [UNKNOWN_ID, "x", "%FF"] {
                public(&router, &format!("/v1/apps/{app_id}/.well-known/{name}"))
                    .await
                    .refuses(404, "app_not_found");
            }
        }
        create(&app, apple("TEAMID1234", "com.example.app")).await;
        create(&app, android("com.example.app", &[1, 2])).await;
        app.update(json!({"additional_auth_origins": [
            "https://example.de", "https://shop.example.com", "http://localhost:3000"
        ]}))
        .await;
        assert_eq!(
            file(&router, &path("apple-app-site-association")).await,
            json!({"webcredentials": {"apps": ["TEAMID1234.com.example.app"]}})
        );
        assert_eq!(
            file(&router, &path("assetlinks.json")).await,
            json!([{
                "relation": [
                    "delegate_permission/common.handle_all_urls",
                    "delegate_permission/common.get_login_creds"
                ],
                "target": {
                    "namespace": "android_app",
                    "package_name": "com.example.app",
                    "sha256_cert_fingerprints": [fingerprint(1).0, fingerprint(2).0]
                }
            }])
        );
        // Pages on the RP ID's own domain need no permission.
        assert_eq!(
            file(&router, &path("webauthn")).await,
            json!({"origins": ["https://example.de", "http://localhost:3000"]})
        );
    }
}

#[tokio::test]
async fn a_server_on_the_rp_id_has_the_files_of_its_apps_at_the_root() {
    for house in houses().await {
        let names = ["apple-app-site-association", "assetlinks.json", "webauthn"];
        let at = |public_url: &str| {
            let passkeys = house.passkeys.clone().with_public_url(public_url);
            passkeys.router()
        };
        let root = at("https://login.example.com:8443");
        let app_on = async |origin: &str, rp_id: &str| {
            house
                .app_like(NewApp {
                    name: "Example".into(),
                    auth_origin: origin.into(),
                    rp_id: Some(rp_id.into()),
                    additional_auth_origins: vec!["https://example.de".into()],
                    ..NewApp::default()
                })
                .await
        };
        // On the domain above: not this host.
        let above = app_on("https://login.example.com", "example.com").await;
        create(&above, apple("TEAMID0000", "com.example.above")).await;
        for name in names {
            public(&root, &format!("/.well-known/{name}"))
                .await
                .refuses(404, "not_found");
        }

        let first = app_on("https://login.example.com", "login.example.com").await;
        let second = app_on("https://login.example.com", "login.example.com").await;
        for app in [&first, &second] {
            create(app, apple("TEAMID1234", "com.example.both")).await;
        }
        create(&first, android("com.example.app", &[1, 2])).await;
        create(&second, android("com.example.app", &[2, 3])).await;
        create(&second, apple("TEAMID1234", "com.example.second")).await;
        let content = |name: &str| {
            let path = format!("/.well-known/{name}");
            let root = root.clone();
            async move { file(&root, &path).await }
        };
        assert_eq!(
            content("apple-app-site-association").await,
            json!({"webcredentials": {"apps": [
                "TEAMID1234.com.example.both", "TEAMID1234.com.example.second"
            ]}})
        );
        let links = content("assetlinks.json").await;
        assert_eq!(links.as_array().unwrap().len(), 1);
        assert_eq!(
            links[0]["target"]["sha256_cert_fingerprints"],
            json!([fingerprint(1).0, fingerprint(2).0, fingerprint(3).0])
        );
        assert_eq!(
            content("webauthn").await,
            json!({"origins": ["https://example.de"]})
        );

        // The host of the request does not matter, and an address is no RP ID.
        for router in [
            house.passkeys.router(),
            at("https://other.example.com"),
            at("http://192.0.2.1:8082"),
        ] {
            for name in names {
                let request = Request::get(format!("/.well-known/{name}"))
                    .header("host", "login.example.com")
                    .body(Body::empty())
                    .unwrap();
                send(&router, request).await.refuses(404, "not_found");
            }
        }
    }
}

#[tokio::test]
async fn native_clients_added_at_once_are_all_there() {
    for house in houses().await {
        let app = house.app().await;
        let add = |at: usize| {
            let app = app.clone();
            tokio::spawn(async move {
                create(&app, apple("TEAMID1234", &format!("com.example.app{at}"))).await;
            })
        };
        for task in (0..16).map(add).collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(clients(&app).await, 16);
        assert_registers(&house, &app).await;
    }
}

async fn clients(app: &TestApp) -> usize {
    let list = app.get("native-clients").await;
    list["native_clients"].as_array().unwrap().len()
}

/// A page still works beside native apps.
async fn assert_registers(house: &House, app: &TestApp) {
    app.registered("ann").await;
    assert_eq!(app.app.auth_origin, ORIGIN);
    let devices = "SELECT COUNT(*) AS count FROM passkeys_devices";
    assert_eq!(house.count(devices).await, 1);
}
