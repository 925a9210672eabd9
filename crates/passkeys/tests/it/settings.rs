//! Each setting of an app: what it does, who may change it to what, and what a
//! change means for ceremonies under way.

use axum::http::{Method, StatusCode};
use passkeys::{ApiKeyId, AppChanges, Passkeys};
use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{Authenticator, flag},
};

use crate::house::{Answer, House, MINUTE_MS, ORIGIN, Reasons, TestApp, UNKNOWN_ID, houses};

impl TestApp {
    /// Asserts that a change is refused with a text that names `member`, and changes nothing.
    async fn refuses_change(&self, changes: Value, member: &str) {
        let before = self.get("").await;
        let answer = self.patch(changes.clone()).await;
        answer.refuses(400, "invalid_request");
        let text = answer.body["error"].as_str().unwrap();
        assert!(text.contains(member), "{changes}: {text}");
        assert_eq!(self.get("").await, before);
    }

    /// The outcome of a registration of a fresh user.
    async fn register_with(&self, external_id: &str, authenticator: &mut Authenticator) -> Answer {
        let transaction_id = self.register_transaction(external_id).await;
        let handshake = self.start_registration(&transaction_id).await;
        self.finish_registration(&handshake.registration(authenticator))
            .await
    }
}

#[tokio::test]
async fn a_change_sets_what_it_names_and_leaves_the_rest() {
    for house in houses().await {
        let app = house.app().await;
        let mut expected = app.get("").await["app"].clone();
        house.pass(MINUTE_MS);
        for (changes, pointer, value) in [
            (json!({"name": "Shop"}), "/name", json!("Shop")),
            (
                json!({"additional_auth_origins": ["https://Example.de/", "https://example.de"]}),
                "/additional_auth_origins",
                json!(["https://example.de"]),
            ),
            (
                json!({"public_signup": false}),
                "/public_signup",
                json!(false),
            ),
            (
                json!({"settings": {"user_verification": "required"}}),
                "/settings/user_verification",
                json!("required"),
            ),
            (
                json!({"settings": {"counter_policy": "refuse"}}),
                "/settings/counter_policy",
                json!("refuse"),
            ),
            (
                json!({"settings": {"algorithms": ["EdDSA", "ES256", "ES384", "EdDSA"]}}),
                "/settings/algorithms",
                json!(["EdDSA", "ES256", "ES384"]),
            ),
            (
                json!({"settings": {"allows_synced_passkeys": false}}),
                "/settings/allows_synced_passkeys",
                json!(false),
            ),
            (
                json!({"settings": {"embedding_origins": ["https://partner.example"]}}),
                "/settings/embedding_origins",
                json!(["https://partner.example"]),
            ),
            (
                json!({"settings": {"transaction_lifetime_ms": 1_000}}),
                "/settings/transaction_lifetime_ms",
                json!(1_000),
            ),
            (
                json!({"settings": {"handshake_lifetime_ms": 2_000}}),
                "/settings/handshake_lifetime_ms",
                json!(2_000),
            ),
            (
                json!({"settings": {"discoverable_handshake_lifetime_ms": 3_000}}),
                "/settings/discoverable_handshake_lifetime_ms",
                json!(3_000),
            ),
            (
                json!({"settings": {"nonce_lifetime_ms": 4_000}}),
                "/settings/nonce_lifetime_ms",
                json!(4_000),
            ),
            (
                json!({"settings": {"timeout_ms": 5_000}}),
                "/settings/timeout_ms",
                json!(5_000),
            ),
            (
                json!({"settings": {"event_retention_ms": 86_400_000}}),
                "/settings/event_retention_ms",
                json!(86_400_000),
            ),
            (
                json!({"auth_origin": "https://login.example.com:8443"}),
                "/auth_origin",
                json!("https://login.example.com:8443"),
            ),
            (
                json!({"rp_id": "Login.Example.com"}),
                "/rp_id",
                json!("login.example.com"),
            ),
        ] {
            *expected.pointer_mut(pointer).unwrap() = value;
            assert_eq!(app.update(changes).await, expected);
        }
        // What is unknown or null changes nothing; nor does nothing.
        for changes in [
            json!({}),
            json!({"id": UNKNOWN_ID, "role": 1, "settings": {"unknown": 1, "timeout_ms": null}}),
            json!({"name": null, "settings": null, "force": true}),
        ] {
            assert_eq!(app.update(changes).await, expected);
        }
        let stored = house.passkeys.find_app(&app.app.id).await.unwrap().unwrap();
        assert_eq!(stored.updated_at_ms, app.app.created_at_ms + MINUTE_MS);
    }
}

#[tokio::test]
async fn what_cannot_be_set_is_refused_by_name_and_changes_nothing() {
    for house in houses().await {
        let app = house.app().await;
        for (changes, member) in [
            (json!({"name": ""}), "name"),
            (json!({"name": 1}), "name"),
            (json!({"name": "a".repeat(129)}), "name"),
            (json!({"name": "a\0"}), "name"),
            (
                json!({"auth_origin": ["https://example.com"]}),
                "auth_origin",
            ),
            (json!({"auth_origin": "http://example.com"}), "auth_origin"),
            (
                json!({"auth_origin": "https://example.com/x"}),
                "auth_origin",
            ),
            // The RP ID would not fit any more.
            (json!({"auth_origin": "https://example.org"}), "rp_id"),
            (
                json!({"additional_auth_origins": "https://example.de"}),
                "additional_auth_origins",
            ),
            (
                json!({"additional_auth_origins": [1]}),
                "additional_auth_origins",
            ),
            (
                json!({"additional_auth_origins": ["https://10.0.0.1"]}),
                "additional_auth_origins",
            ),
            (json!({"rp_id": "example.org"}), "rp_id"),
            (json!({"rp_id": "com"}), "rp_id"),
            (
                json!({"auth_origin": "https://a.example.co.uk", "rp_id": "co.uk"}),
                "public suffix",
            ),
            (json!({"rp_id": ""}), "rp_id"),
            (json!({"rp_id": {}}), "rp_id"),
            (json!({"force": 1}), "force"),
            (json!({"public_signup": "off"}), "public_signup"),
            (json!({"settings": []}), "settings"),
        ] {
            app.refuses_change(changes, member).await;
        }
        for (member, values) in [
            (
                "user_verification",
                vec![json!("discouraged"), json!(""), json!(true)],
            ),
            ("counter_policy", vec![json!("Refuse"), json!(0)]),
            (
                "algorithms",
                vec![
                    json!("ES256"),
                    json!([-7]),
                    json!(["ES256", "PS256"]),
                    json!(["EdDSA"]),
                    json!([]),
                ],
            ),
            ("attestation", vec![json!("indirect"), json!(["direct"])]),
            ("trust_anchors", vec![json!("x"), json!(["x"]), json!([""])]),
            ("allowed_aaguids", vec![json!(["x"]), json!([[]])]),
            ("denied_aaguids", vec![json!(["x"]), json!("x")]),
            ("uses_metadata", vec![json!("on"), json!(1)]),
            ("allows_synced_passkeys", vec![json!("no"), json!(0)]),
            (
                "embedding_origins",
                vec![json!(["partner.example"]), json!("https://partner.example")],
            ),
            (
                "transaction_lifetime_ms",
                vec![json!(999), json!(86_400_001), json!("1000"), json!(1e4)],
            ),
            ("handshake_lifetime_ms", vec![json!(-1), json!(0)]),
            (
                "discoverable_handshake_lifetime_ms",
                vec![json!(i64::MAX), json!(u64::MAX)],
            ),
            ("nonce_lifetime_ms", vec![json!(0), json!([1])]),
            ("timeout_ms", vec![json!(0), json!(false)]),
            ("event_retention_ms", vec![json!(86_399_999), json!("90d")]),
        ] {
            for value in values {
                app.refuses_change(json!({"settings": {member: value}}), member)
                    .await;
            }
        }
        // All or nothing.
        app.refuses_change(json!({"name": "Shop", "rp_id": "x.y"}), "rp_id")
            .await;
    }
}

#[tokio::test]
async fn another_rp_id_is_refused_while_devices_depend_on_the_present_one() {
    for house in houses().await {
        let app = house.app_of_parent_domain().await;
        // Without devices it is free, and what is not the RP ID always is.
        app.update(json!({"rp_id": "login.example.com"})).await;
        app.update(json!({"rp_id": "example.com"})).await;
        let mut first = app.registered("ann").await;
        app.registered("bob").await;
        app.update(json!({"name": "Shop", "rp_id": "example.com"}))
            .await;

        let before = app.get("").await;
        let change = json!({"name": "Other", "rp_id": "login.example.com"});
        for refused in [
            change.clone(),
            json!({"rp_id": "login.example.com", "force": false}),
        ] {
            let answer = app.patch(refused).await;
            answer.refuses(409, "rp_id_in_use");
            let text = answer.body["error"].as_str().unwrap();
            for word in ["2 passkeys", "\"example.com\"", "force"] {
                assert!(text.contains(word), "{text}");
            }
            assert_eq!(app.get("").await, before);
        }

        let handshake = app.start_authentication(None).await;
        let mut forced = change;
        forced["force"] = json!(true);
        assert_eq!(app.update(forced).await["rp_id"], "login.example.com");
        // A handshake is judged by the RP ID it was started with ...
        app.finish_authentication(&handshake.authentication(&mut first))
            .await
            .nonce();
        // ... and the next one has no device to offer.
        app.server("transactions/authenticate", json!({"external_id": "ann"}))
            .await
            .refuses(409, "user_has_no_passkeys");
        let handshake = app.start_authentication(None).await;
        assert_eq!(handshake.public_key["rpId"], "login.example.com");
        // Nobody depends on the new one yet, so the way back is open.
        app.update(json!({"rp_id": "example.com"})).await;
        app.authenticate_transaction("ann").await;
    }
}

#[tokio::test]
async fn the_devices_of_another_app_do_not_hold_an_rp_id() {
    for house in houses().await {
        let app = house.app_of_parent_domain().await;
        let other = house.app_of_parent_domain().await;
        other.registered("ann").await;
        app.update(json!({"rp_id": "login.example.com"})).await;
    }
}

#[tokio::test]
async fn of_changes_at_the_same_time_none_is_lost() {
    for house in houses().await {
        let app = house.app().await;
        let changes = [
            json!({"name": "Shop"}),
            json!({"public_signup": false}),
            json!({"additional_auth_origins": ["https://example.de"]}),
            json!({"settings": {"user_verification": "required"}}),
            json!({"settings": {"counter_policy": "refuse"}}),
            json!({"settings": {"timeout_ms": 1_000}}),
            json!({"settings": {"nonce_lifetime_ms": 1_000}}),
            json!({"settings": {"allows_synced_passkeys": false}}),
        ];
        let tasks = changes.clone().map(|change| {
            let app = app.clone();
            tokio::spawn(async move { app.update(change).await })
        });
        for task in tasks {
            task.await.unwrap();
        }
        let after = app.get("").await["app"].clone();
        for change in changes {
            assert_eq!(app.update(change).await, after);
        }
        assert_eq!(after["name"], "Shop");
    }
}

#[tokio::test]
async fn an_app_that_is_not_there_cannot_be_changed() {
    for house in houses().await {
        let unknown = passkeys::AppId::parse(UNKNOWN_ID).unwrap();
        let changed = house
            .passkeys
            .update_app(&unknown, AppChanges::default())
            .await;
        assert_eq!(
            changed.unwrap_err().to_string(),
            "There is no app with this id."
        );
    }
}

#[tokio::test]
async fn with_sign_up_off_only_known_users_register() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        let early = app.register_transaction("bob").await;
        app.update(json!({"public_signup": false})).await;

        let refused = [
            app.server(
                "transactions/register",
                json!({"external_id": "eve", "passkey_display_name": "Eve"}),
            )
            .await,
            // Permitted before, not started yet.
            app.browser(
                "register/transactions/webauthn/start",
                json!({"transaction_id": early}),
            )
            .await,
        ];
        for answer in refused {
            answer.refuses(404, "user_not_found");
            let text = answer.body["error"].as_str().unwrap();
            assert!(text.contains("sign-up is off"), "{text}");
        }
        assert_eq!(app.get("users").await["total_users"], 1);
        let mut second = Authenticator::new(Algorithm::Es256, "ann's second");
        app.register("ann", &mut second).await;

        app.update(json!({"public_signup": true})).await;
        app.start_registration(&early).await;
        app.registered("eve").await;
        assert_eq!(app.get("users").await["total_users"], 3);
    }
}

#[tokio::test]
async fn user_verification_is_demanded_when_the_app_requires_it() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        authenticator.flags &= !flag::USER_VERIFIED;
        let reasons = Reasons::collect();
        app.login_at(ORIGIN, &mut authenticator).await.nonce();

        let open = app.start_authentication(None).await;
        assert_eq!(open.public_key["userVerification"], "preferred");
        app.update(json!({"settings": {"user_verification": "required"}}))
            .await;
        let handshake = app.start_authentication(None).await;
        assert_eq!(handshake.public_key["userVerification"], "required");
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["user_verification_missing"]);
        // A handshake is judged by what its options said.
        app.finish_authentication(&open.authentication(&mut authenticator))
            .await
            .nonce();
    }
}

#[tokio::test]
async fn a_counter_that_stands_still_is_refused_when_the_app_says_so() {
    for house in houses().await {
        let app = house.app().await;
        let mut key = Authenticator::security_key(Algorithm::Es256, "key");
        app.register("ann", &mut key).await;
        key.count_step = 0;
        let reasons = Reasons::collect();
        app.login_at(ORIGIN, &mut key).await.nonce();
        app.update(json!({"settings": {"counter_policy": "refuse"}}))
            .await;
        app.login_at(ORIGIN, &mut key)
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["counter_not_increased"]);
        key.count_step = 1;
        app.login_at(ORIGIN, &mut key).await.nonce();
    }
}

#[tokio::test]
async fn the_algorithms_offered_are_the_apps_in_its_order() {
    for house in houses().await {
        let app = house.app().await;
        let offered = async || {
            let transaction_id = app.register_transaction("ann").await;
            let handshake = app.start_registration(&transaction_id).await;
            handshake.public_key["pubKeyCredParams"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| entry["alg"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(offered().await, [-7, -257, -8]);
        let mut ed25519 = Authenticator::new(Algorithm::EdDsa, "ed25519");
        app.register("ann", &mut ed25519).await;
        let mut p384 = Authenticator::new(Algorithm::Es384, "p384");
        let reasons = Reasons::collect();
        app.register_with("bob", &mut p384)
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["algorithm_not_offered"]);

        app.update(json!({"settings": {"algorithms": ["ES384", "ES256"]}}))
            .await;
        assert_eq!(offered().await, [-35, -7]);
        app.register_with("bob", &mut p384).await.nonce();
        let mut other = Authenticator::new(Algorithm::EdDsa, "other");
        app.register_with("eve", &mut other)
            .await
            .refuses(401, "webauthn_login_failed");
        assert_eq!(reasons.take(), ["algorithm_not_offered"]);
        // What is there goes on working.
        app.login_at(ORIGIN, &mut ed25519).await.nonce();
    }
}

#[tokio::test]
async fn synced_passkeys_are_refused_when_the_app_does_not_want_them() {
    for house in houses().await {
        let app = house.app().await;
        let mut synced = app.registered("ann").await;
        app.update(json!({"settings": {"allows_synced_passkeys": false}}))
            .await;
        let reasons = Reasons::collect();
        // Eligible is enough: it may be synced tomorrow.
        for flags in [0, flag::BACKED_UP] {
            let mut another = Authenticator::new(Algorithm::Es256, &format!("another {flags}"));
            another.flags &= !flag::BACKED_UP;
            another.flags |= flags;
            app.register_with("bob", &mut another)
                .await
                .refuses(401, "webauthn_login_failed");
            assert_eq!(reasons.take(), ["model_not_allowed"]);
        }
        let mut key = Authenticator::security_key(Algorithm::Es256, "key");
        app.register_with("bob", &mut key).await.nonce();
        app.login_at(ORIGIN, &mut synced).await.nonce();
    }
}

#[tokio::test]
async fn only_listed_pages_may_embed_the_app() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let embedded = async |authenticator: &mut Authenticator, top_origin: Option<&str>| {
            let handshake = app.start_authentication(None).await;
            let mut forged = authenticator.get(&handshake.public_key, ORIGIN);
            forged.client_data.set("crossOrigin", json!(true));
            if let Some(top_origin) = top_origin {
                forged.client_data.set("topOrigin", json!(top_origin));
            }
            app.finish_authentication(&handshake.finish(forged.json()))
                .await
        };
        let partner = Some("https://partner.example");
        let reasons = Reasons::collect();
        embedded(&mut authenticator, partner)
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["cross_origin_not_allowed"]);

        app.update(json!({"settings": {"embedding_origins": ["https://partner.example"]}}))
            .await;
        embedded(&mut authenticator, partner).await.nonce();
        for top_origin in [None, Some("https://evil.example"), Some(ORIGIN)] {
            embedded(&mut authenticator, top_origin)
                .await
                .refuses(401, "discoverable_login_failed");
            assert_eq!(reasons.take(), ["top_origin_not_allowed"]);
        }
        // Registrations are judged alike.
        let transaction_id = app.register_transaction("bob").await;
        let mut bobs = Authenticator::new(Algorithm::Es256, "bob");
        let handshake = app.start_registration(&transaction_id).await;
        let mut forged = bobs.create(&handshake.public_key, ORIGIN);
        forged.client_data.set("crossOrigin", json!(true));
        forged
            .client_data
            .set("topOrigin", json!("https://partner.example"));
        app.finish_registration(&handshake.finish(forged.json()))
            .await
            .nonce();

        app.update(json!({"settings": {"embedding_origins": []}}))
            .await;
        embedded(&mut authenticator, partner)
            .await
            .refuses(401, "discoverable_login_failed");
    }
}

#[tokio::test]
async fn origins_are_those_of_today() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let related = "https://example.de";
        let reasons = Reasons::collect();
        let login =
            async |authenticator: &mut Authenticator| app.login_at(related, authenticator).await;
        login(&mut authenticator)
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["origin_not_allowed"]);

        app.update(json!({"additional_auth_origins": [related]}))
            .await;
        login(&mut authenticator).await.nonce();
        let open = app.start_authentication(None).await;
        app.update(json!({"additional_auth_origins": []})).await;
        let forged = authenticator.get(&open.public_key, related);
        app.finish_authentication(&open.finish(forged.json()))
            .await
            .refuses(401, "discoverable_login_failed");
        assert_eq!(reasons.take(), ["origin_not_allowed"]);
    }
}

#[tokio::test]
async fn lifetimes_of_today_are_those_of_the_next_start() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        app.update(json!({"settings": {
            "transaction_lifetime_ms": 3_000,
            "handshake_lifetime_ms": 2_000,
            "discoverable_handshake_lifetime_ms": 5_000,
            "nonce_lifetime_ms": 1_000,
            "timeout_ms": 4_000,
        }}))
        .await;
        let discoverable = app.start_authentication(None).await;
        assert_eq!(discoverable.public_key["timeout"], 4_000);
        let transaction_id = app.authenticate_transaction("ann").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        assert_eq!(handshake.public_key["timeout"], 2_000);
        house.pass(2_000);
        app.finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .refuses(400, "invalid_request");
        house.pass(1_000);
        app.browser(
            "authenticate/transactions/webauthn/start",
            json!({"transaction_id": transaction_id}),
        )
        .await
        .refuses(404, "transaction_not_found");
        house.pass(1_999);
        let nonce = app
            .finish_authentication(&discoverable.authentication(&mut authenticator))
            .await
            .nonce();
        house.pass(1_000);
        app.verify(&nonce).await.refuses(401, "invalid_nonce");
    }
}

#[tokio::test]
async fn a_shorter_retention_takes_away_what_is_older() {
    for house in houses().await {
        let app = house.app().await;
        app.registered("ann").await;
        house.pass(2 * DAY_MS);
        assert_eq!(house.passkeys.sweep().await.unwrap().events, 0);
        app.update(json!({"settings": {"event_retention_ms": DAY_MS}}))
            .await;
        assert_eq!(house.passkeys.sweep().await.unwrap().events, 1);
        assert_eq!(app.get("events").await["total_events"], 0);
    }
}

#[tokio::test]
async fn a_deleted_api_key_is_refused_and_the_others_work() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let spare = house
            .passkeys
            .create_api_key(&app.app.id, "spare")
            .await
            .unwrap();
        let id_of = async |app: &TestApp| -> ApiKeyId {
            let keys = house.passkeys.list_api_keys(&app.app.id).await.unwrap();
            keys[0].id.clone()
        };
        let leaked = id_of(&app).await;
        // A key is deleted through its own app only.
        let deleted = house.passkeys.delete_api_key(&other.app.id, &leaked).await;
        assert!(deleted.is_err());
        app.get("").await;

        house
            .passkeys
            .delete_api_key(&app.app.id, &leaked)
            .await
            .unwrap();
        app.manage(Method::GET, "")
            .await
            .refuses(401, "invalid_access_token");
        let mut app = app;
        app.key = secrecy::ExposeSecret::expose_secret(&spare.secret).to_owned();
        app.get("").await;
        let again = house.passkeys.delete_api_key(&app.app.id, &leaked).await;
        assert_eq!(
            again.unwrap_err().to_string(),
            "The app has no such API key."
        );
        assert_eq!(other.manage(Method::GET, "").await.status, StatusCode::OK);
        assert_eq!(keys_left(&house, &app).await, 1);
    }
}

#[tokio::test]
async fn an_api_key_that_another_node_deleted_is_refused_a_second_later() {
    for house in houses().await {
        let app = house.app().await;
        app.get("").await;
        // Another node: the same database, a memory of its own.
        let node = Passkeys::new(house.platform.clone());
        let keys = node.list_api_keys(&app.app.id).await.unwrap();
        node.delete_api_key(&app.app.id, &keys[0].id).await.unwrap();

        house.pass(1_000);
        app.manage(Method::GET, "")
            .await
            .refuses(401, "invalid_access_token");
    }
}

async fn keys_left(house: &House, app: &TestApp) -> usize {
    let keys = house.passkeys.list_api_keys(&app.app.id).await.unwrap();
    keys.len()
}

const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
