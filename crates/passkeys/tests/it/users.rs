//! Users and devices as a customer's server manages them: exact shapes, what
//! deactivating, deleting and revoking mean, and that apps do not see each other's.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{CLIENT, Handshake, MINUTE_MS, TestApp, UNKNOWN_ID, USER_AGENT, houses, text};

const CREATED: &str = "2024-08-20T00:20:47.000000Z";
const A_MINUTE_LATER: &str = "2024-08-20T00:21:47.000000Z";

/// The AAGUID of Bitwarden.
const BITWARDEN: u128 = 0xd548_826e_79b4_db40_a3d8_1111_6f7e_8349;

fn item(id: &str, external_id: &str, status: &str) -> Value {
    json!({
        "id": id,
        "external_id": external_id,
        "email": "",
        "email_verified": false,
        "phone": "",
        "phone_verified": false,
        "status": status,
        "login_count": 0,
        "created_at": CREATED,
        "updated_at": CREATED,
        "last_login_at": CREATED,
        "user_metadata": null,
    })
}

async fn finish_login(app: &TestApp, authenticator: &mut Authenticator) -> String {
    let handshake = app.start_authentication(None).await;
    app.finish_authentication(&handshake.authentication(authenticator))
        .await
        .nonce()
}

#[tokio::test]
async fn a_list_of_users_has_the_contracts_shape() {
    for house in houses().await {
        let app = house.app().await;
        let base = format!("http://passkeys.example/v1/apps/{}/users", app.app.id);
        let href = |page: i64| format!("{base}?page={page}&limit=15&created_before=1724113248");
        assert_eq!(
            app.get("users").await,
            json!({
                "_links": {
                    "first": {"href": href(1)},
                    "last": {"href": href(1)},
                    "next": {"href": ""},
                    "previous": {"href": ""},
                    "self": {"href": href(1)},
                },
                "created_before": 1_724_113_248,
                "limit": 15,
                "page": 1,
                "total_users": 0,
                "users": [],
            })
        );
        app.registered("ann").await;
        let transaction_id = app.register_transaction("ben").await;
        app.start_registration(&transaction_id).await;
        for (external_id, status) in [("ann", "active"), ("ben", "pending")] {
            let query = format!("users?page=1&limit=1&identifier={external_id}");
            let list = app.get(&query).await;
            let id = text(&list["users"][0]["id"]);
            let href =
                format!("{base}?page=1&limit=1&created_before=1724113248&identifier={external_id}");
            assert_eq!(
                list,
                json!({
                    "_links": {
                        "first": {"href": href},
                        "last": {"href": href},
                        "next": {"href": ""},
                        "previous": {"href": ""},
                        "self": {"href": href},
                    },
                    "created_before": 1_724_113_248,
                    "limit": 1,
                    "page": 1,
                    "total_users": 1,
                    "users": [item(&id, external_id, status)],
                })
            );
        }
    }
}

#[tokio::test]
async fn the_links_of_a_list_lead_to_the_public_url() {
    for house in houses().await {
        let app = house.app().await;
        let router = house
            .passkeys
            .clone()
            .with_public_url("https://keys.example/")
            .router();
        let request = app
            .request(Method::GET, "users/")
            .header("authorization", format!("Bearer {}", app.key))
            .body(axum::body::Body::empty())
            .unwrap();
        let list = crate::house::send(&router, request).await.body;
        assert_eq!(
            list["_links"]["self"]["href"],
            format!(
                "https://keys.example/v1/apps/{}/users/?page=1&limit=15&created_before=1724113248",
                app.app.id
            )
        );
    }
}

#[tokio::test]
async fn a_user_has_the_contracts_shape() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        authenticator.aaguid = BITWARDEN.to_be_bytes();
        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        let pending = app.user_id("ann").await;
        let mut expected = item(&pending, "ann", "pending");
        let event = |id: &str, event_type: &str, action: &str, started: &str, completed: Value| {
            let status = if completed.is_null() {
                "incomplete"
            } else {
                "complete"
            };
            json!({
                "id": id,
                "type": event_type,
                "action": action,
                "status": status,
                "ip_addr": CLIENT,
                "user_agent": USER_AGENT,
                "user_agent_display": "Firefox on Linux",
                "created_at": started,
                "completed_at": completed,
                "social_login_type": null,
            })
        };
        expected["recent_events"] = json!([event(
            &handshake.id,
            "passkey_register",
            "register",
            CREATED,
            Value::Null
        )]);
        expected["social_connections"] = json!({});
        expected["webauthn"] = json!(false);
        expected["webauthn_devices"] = json!([]);
        expected["webauthn_types"] = json!([]);
        let path = format!("users/{pending}");
        assert_eq!(app.get(&path).await, json!({"user": expected}));

        app.finish_registration(&handshake.registration(&mut authenticator))
            .await
            .nonce();
        house.pass(MINUTE_MS);
        let login = app.start_authentication(None).await;
        app.finish_authentication(&login.authentication(&mut authenticator))
            .await
            .nonce();
        let devices = app.get(&format!("{path}/devices")).await;
        let device_id = text(&devices["devices"][0]["id"]);
        assert_eq!(
            devices,
            json!({"devices": [{
                "id": device_id,
                "cred_id": handshake_credential(&authenticator),
                "friendly_name": "Bitwarden",
                "icons": {"light": null, "dark": null},
                "type": "passkey",
                "usage_count": 1,
                "created_at": CREATED,
                "updated_at": A_MINUTE_LATER,
                "last_login_at": A_MINUTE_LATER,
                "rp_id": "example.com",
            }]})
        );
        expected["status"] = json!("active");
        expected["login_count"] = json!(1);
        expected["updated_at"] = json!(A_MINUTE_LATER);
        expected["last_login_at"] = json!(A_MINUTE_LATER);
        expected["recent_events"] = json!([
            event(
                &login.id,
                "passkey_login_discoverable",
                "login",
                A_MINUTE_LATER,
                json!(A_MINUTE_LATER)
            ),
            event(
                &handshake.id,
                "passkey_register",
                "register",
                CREATED,
                json!(CREATED)
            ),
        ]);
        expected["webauthn"] = json!(true);
        expected["webauthn_devices"] = devices["devices"].clone();
        expected["webauthn_types"] = json!(["passkey"]);
        assert_eq!(app.get(&path).await, json!({"user": expected}));
    }
}

fn handshake_credential(authenticator: &Authenticator) -> String {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.encode(&authenticator.credential_id)
}

#[tokio::test]
async fn a_deactivated_user_can_do_nothing_until_activated_again() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let id = app.user_id("ann").await;
        let nonce = finish_login(&app, &mut authenticator).await;
        let transaction_id = app.authenticate_transaction("ann").await;
        let before = app.get(&format!("users/{id}")).await;
        house.pass(MINUTE_MS);

        let deactivated = app
            .manage(Method::PATCH, &format!("users/{id}/deactivate"))
            .await;
        let mut expected = before.clone();
        expected["user"]["status"] = json!("inactive");
        expected["user"]["updated_at"] = json!(A_MINUTE_LATER);
        let told = deactivated.body["user"]["recent_events"][0].clone();
        assert_eq!(
            told,
            json!({
                "id": told["id"],
                "type": "user_deactivated",
                "action": "other",
                "status": "complete",
                "ip_addr": "",
                "user_agent": "",
                "user_agent_display": "",
                "created_at": A_MINUTE_LATER,
                "completed_at": A_MINUTE_LATER,
                "social_login_type": null,
            })
        );
        let recent_events = expected["user"]["recent_events"].as_array_mut().unwrap();
        recent_events.insert(0, told);
        assert_eq!(
            (deactivated.status.as_u16(), &deactivated.body),
            (200, &expected)
        );
        assert_eq!(app.get(&format!("users/{id}")).await, expected);
        app.verify(&nonce).await.refuses(401, "invalid_nonce");
        for call in ["transactions/authenticate", "transactions/register"] {
            app.server(
                call,
                json!({"external_id": "ann", "passkey_display_name": "Ann"}),
            )
            .await
            .refuses(403, "cannot_create_transaction");
        }
        app.browser(
            "authenticate/transactions/webauthn/start",
            json!({"transaction_id": transaction_id}),
        )
        .await
        .refuses(403, "user_not_active");
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(403, "user_not_active");
        // Only after the signature verified, so the event may say whose it was.
        let event = app.get(&format!("events/{}", handshake.id)).await;
        assert_eq!(event["event"]["failure_code"], "user_inactive");
        assert_eq!(event["event"]["user_id"], json!(id));

        // Again changes nothing.
        house.pass(MINUTE_MS);
        let again = app
            .manage(Method::PATCH, &format!("users/{id}/deactivate"))
            .await;
        assert_eq!(again.body["user"]["updated_at"], A_MINUTE_LATER);
        assert_eq!(deactivations(&app).await, 1);
        for _ in 0..2 {
            let activated = app
                .manage(Method::PATCH, &format!("users/{id}/activate/"))
                .await;
            assert_eq!(activated.status, StatusCode::OK);
            assert_eq!(activated.body["user"]["status"], "active");
            assert_eq!(
                activated.body["user"]["updated_at"],
                "2024-08-20T00:22:47.000000Z"
            );
        }
        let nonce = finish_login(&app, &mut authenticator).await;
        assert_eq!(app.verify(&nonce).await.status, StatusCode::OK);
    }
}

async fn deactivations(app: &TestApp) -> usize {
    let list = app.get("events?type=user_deactivated").await;
    list["events"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_user_who_never_had_a_passkey_is_pending_again_when_activated() {
    for house in houses().await {
        let app = house.app().await;
        let transaction_id = app.register_transaction("ann").await;
        app.start_registration(&transaction_id).await;
        let id = app.user_id("ann").await;
        for (call, status) in [
            ("activate", "pending"),
            ("deactivate", "inactive"),
            ("activate", "pending"),
        ] {
            let answer = app
                .manage(Method::PATCH, &format!("users/{id}/{call}"))
                .await;
            assert_eq!(answer.body["user"]["status"], status);
        }
    }
}

#[tokio::test]
async fn a_deleted_user_is_gone_with_devices_nonces_and_open_ceremonies() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let mut bens = app.registered("ben").await;
        let id = app.user_id("ann").await;
        let nonce = finish_login(&app, &mut authenticator).await;
        let transaction_id = app.authenticate_transaction("ann").await;
        let login = app.start_authentication(Some(&transaction_id)).await;
        let transaction_id = app.register_transaction("ann").await;
        let registration = app.start_registration(&transaction_id).await;

        // What a shortened path to the device ".." is.
        app.manage(Method::DELETE, &format!("users/{id}/"))
            .await
            .refuses(405, "method_not_allowed");
        let deleted = app.manage(Method::DELETE, &format!("users/{id}")).await;
        assert_eq!((deleted.status.as_u16(), deleted.body), (200, Value::Null));
        app.manage(Method::DELETE, &format!("users/{id}"))
            .await
            .refuses(404, "user_not_found");
        app.manage(Method::GET, &format!("users/{id}"))
            .await
            .refuses(404, "user_not_found");
        assert_eq!(app.get("users?identifier=ann").await["users"], json!([]));
        assert_eq!(
            house
                .count("SELECT COUNT(*) AS count FROM passkeys_devices")
                .await,
            1
        );
        app.verify(&nonce).await.refuses(401, "invalid_nonce");
        app.finish_authentication(&login.authentication(&mut authenticator))
            .await
            .refuses(404, "user_not_found");
        let mut another = Authenticator::new(Algorithm::Es256, "another");
        app.finish_registration(&registration.registration(&mut another))
            .await
            .refuses(404, "user_not_found");
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "discoverable_login_failed");

        // What was permitted for that user brings nobody back.
        let of_nobody = app.register_transaction("cat").await;
        app.start_registration(&of_nobody).await;
        let id_of_cat = app.user_id("cat").await;
        app.manage(Method::DELETE, &format!("users/{id_of_cat}"))
            .await;
        for transaction_id in [&transaction_id, &of_nobody] {
            let body = json!({"transaction_id": transaction_id});
            app.browser("register/transactions/webauthn/start", body)
                .await
                .refuses(404, "user_not_found");
        }
        for external_id in ["ann", "cat"] {
            let users = app.get(&format!("users?identifier={external_id}")).await;
            assert_eq!(users["users"], json!([]));
        }

        // The same external id is somebody new.
        app.register("ann", &mut authenticator).await;
        assert_ne!(app.user_id("ann").await, id);
        finish_login(&app, &mut authenticator).await;
        finish_login(&app, &mut bens).await;
    }
}

#[tokio::test]
async fn a_revoked_device_is_gone_and_its_user_stays() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let mut second = Authenticator::new(Algorithm::Es256, "second");
        app.register("ann", &mut second).await;
        let id = app.user_id("ann").await;
        let nonce = finish_login(&app, &mut authenticator).await;
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let devices = app.get(&format!("users/{id}/devices")).await;
        let credential = handshake_credential(&authenticator);
        let device_id = devices["devices"]
            .as_array()
            .unwrap()
            .iter()
            .find(|device| device["cred_id"] == json!(credential))
            .map(|device| text(&device["id"]))
            .unwrap();
        // Percent-encoded like any id might come.
        let encoded: String = device_id
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let path = format!("users/{id}/devices/{encoded}");
        let revoked = app.manage(Method::DELETE, &path).await;
        assert_eq!((revoked.status.as_u16(), revoked.body), (200, Value::Null));
        app.manage(Method::DELETE, &path)
            .await
            .refuses(404, "device_not_found");
        app.verify(&nonce).await.refuses(401, "invalid_nonce");
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "webauthn_login_failed");
        finish_login(&app, &mut second).await;

        let devices = app.get(&format!("users/{id}/devices/")).await;
        let last = text(&devices["devices"][0]["id"]);
        let revoked = app
            .manage(Method::DELETE, &format!("users/{id}/devices/{last}"))
            .await;
        assert_eq!(revoked.status, StatusCode::OK);
        assert_eq!(
            app.get(&format!("users/{id}/devices")).await,
            json!({"devices": []})
        );
        let user = app.get(&format!("users/{id}")).await;
        assert_eq!(user["user"]["status"], "active");
        assert_eq!(user["user"]["webauthn"], json!(false));
        app.server("transactions/authenticate", json!({"external_id": "ann"}))
            .await
            .refuses(409, "user_has_no_passkeys");
    }
}

#[tokio::test]
async fn who_or_what_is_not_of_the_app_is_not_found() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        app.registered("ann").await;
        let theirs = other.registered("ann").await;
        let id = app.user_id("ann").await;
        let other_id = other.user_id("ann").await;
        assert_ne!(id, other_id);
        let other_devices = other.get(&format!("users/{other_id}/devices")).await;
        let other_device = text(&other_devices["devices"][0]["id"]);
        let long = "a".repeat(65);
        for unknown in [
            &other_id, UNKNOWN_ID, "x", "%20", "%00", "%FF", "%2F", "ann", &long,
        ] {
            for (method, path) in [
                (Method::GET, ""),
                (Method::DELETE, ""),
                (Method::PATCH, "/activate"),
                (Method::PATCH, "/deactivate"),
                (Method::GET, "/devices"),
            ] {
                app.manage(method, &format!("users/{unknown}{path}"))
                    .await
                    .refuses(404, "user_not_found");
            }
            if *unknown != *"%FF" {
                app.manage(
                    Method::DELETE,
                    &format!("users/{unknown}/devices/{other_device}"),
                )
                .await
                .refuses(404, "user_not_found");
            }
            app.manage(Method::DELETE, &format!("users/{id}/devices/{unknown}"))
                .await
                .refuses(404, "device_not_found");
        }
        app.manage(
            Method::DELETE,
            &format!("users/{id}/devices/{other_device}"),
        )
        .await
        .refuses(404, "device_not_found");
        assert_eq!(app.get("users").await["total_users"], 1);
        assert_eq!(
            other.get(&format!("users/{other_id}/devices")).await,
            other_devices
        );
        let handshake: Handshake = other.start_authentication(None).await;
        let mut theirs = theirs;
        other
            .finish_authentication(&handshake.authentication(&mut theirs))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn an_old_sdk_gets_every_member_of_an_app() {
    for house in houses().await {
        let app = house.app().await;
        for path in ["", "/"] {
            let request = axum::http::Request::get(format!("/v1/apps/{}{path}", app.app.id))
                .header("authorization", format!("Bearer {}", app.key))
                .body(axum::body::Body::empty())
                .unwrap();
            let answer = house.send(request).await;
            assert_eq!(answer.status, StatusCode::OK);
            let otp = json!({"enabled": false, "ttl": 0, "ttl_display_unit": "s"});
            let mut expected = json!({
                "id": app.app.id,
                "name": "Example",
                "auth_origin": "https://example.com",
                "additional_auth_origins": [],
                "type": "flex",
                "created_at": CREATED,
                "default_language": "en",
                "allowed_callback_urls": [],
                "allowed_logout_urls": [],
                "allowed_identifier": "both",
                "required_identifier": "either",
                "application_login_uri": "",
                "auth_fallback_method": "none",
                "auth_fallback_method_ttl": 0,
                "auth_methods": {
                    "passkeys": {"enabled": true}, "otp": otp, "magic_link": otp,
                },
                "layouts": {"profile": [], "registration": []},
                "hosted_theme": "auto",
                "public_signup": true,
                "rp_id": "example.com",
                "settings": app.app.settings.to_json(),
                "role": "admin",
                "user_metadata_schema": [],
                "technologies": [],
                "element_customization": {},
                "element_customization_dark": {},
            });
            for name in [
                "login_url",
                "redirect_url",
                "hosted_subdomain",
                "rsa_public_key",
            ] {
                expected[name] = json!("");
            }
            for name in [
                "auto_theme_enabled",
                "hosted",
                "passage_branding",
                "profile_management",
                "refresh_enabled",
                "require_email_verification",
                "require_identifier_verification",
            ] {
                expected[name] = json!(false);
            }
            for name in [
                "refresh_absolute_lifetime",
                "refresh_inactivity_lifetime",
                "session_timeout_length",
            ] {
                expected[name] = json!(0);
            }
            assert_eq!(answer.body, json!({"app": expected}));
        }
        let request = axum::http::Request::get(format!("/v1/apps/{}", app.app.id))
            .body(axum::body::Body::empty())
            .unwrap();
        house
            .send(request)
            .await
            .refuses(401, "invalid_access_token");
    }
}
