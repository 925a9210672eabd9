//! Webhooks: what they are told, how it is signed, and that nothing is lost and
//! nobody waits while receivers are down, failing or slow.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use passkeys::{DeliverySettings, Passkeys};
use platform::Clock;
use serde_json::{Value, json};
use tokio::time::Duration;
use webauthn::{Algorithm, forge::Authenticator};

use crate::{
    house::{House, MINUTE_MS, START_MS, TestApp, UNKNOWN_ID, houses, send, text},
    receiver::{Receiver, url},
};

const SECOND_MS: i64 = 1_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A lease is over by then.
const LEASE_MS: i64 = 30 * SECOND_MS;

/// A webhook that is there, and its secret.
struct Hook {
    path: String,
    secret: String,
}

impl Hook {
    async fn create(app: &TestApp, body: Value) -> Hook {
        let answer = app.server("webhooks", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        let webhook = &answer.body["webhook"];
        Hook {
            path: format!("webhooks/{}", text(&webhook["id"])),
            secret: text(&webhook["secret"]),
        }
    }

    async fn to(app: &TestApp, receiver: &Receiver) -> Hook {
        Hook::create(app, json!({"url": receiver.url()})).await
    }

    /// The deliveries, the newest first.
    async fn deliveries(&self, app: &TestApp) -> Vec<Value> {
        let list = app
            .get(&format!("{}/deliveries?limit=500", self.path))
            .await;
        list["deliveries"].as_array().unwrap().clone()
    }

    /// The only delivery.
    async fn delivery(&self, app: &TestApp) -> Value {
        let deliveries = self.deliveries(app).await;
        assert_eq!(deliveries.len(), 1);
        deliveries[0].clone()
    }
}

/// Makes one event, `passkey.register_refused`, and gives its id.
async fn refused_registration(app: &TestApp) -> String {
    let transaction_id = app.register_transaction("ann").await;
    let handshake = app.start_registration(&transaction_id).await;
    let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
    let mut finish = handshake.registration(&mut authenticator);
    finish["handshake_response"]["response"]["attestationObject"] = json!("AAAA");
    app.finish_registration(&finish).await;
    handshake.id
}

async fn due(house: &House) -> u64 {
    house.passkeys.deliver_due().await.unwrap()
}

fn types(receiver: &Receiver) -> Vec<String> {
    receiver
        .messages()
        .iter()
        .map(|message| message.event_type())
        .collect()
}

fn ids(receiver: &Receiver) -> Vec<String> {
    receiver
        .messages()
        .iter()
        .map(|message| message.id())
        .collect()
}

fn ms(time: &Value) -> i64 {
    let time: jiff::Timestamp = text(time).parse().unwrap();
    time.as_millisecond()
}

#[tokio::test]
async fn a_webhook_is_told_of_all_that_happened_in_order_and_of_nothing_else() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let elsewhere = house.app().await;
        elsewhere.registered("ann").await;

        let mut authenticator = app.registered("ann").await;
        let user_id = app.user_id("ann").await;
        let login = app.start_authentication(None).await;
        app.finish_authentication(&login.authentication(&mut authenticator))
            .await
            .nonce();
        let refused = app.start_authentication(None).await;
        let mut stranger = Authenticator::new(Algorithm::Es256, "stranger");
        app.finish_authentication(&refused.authentication(&mut stranger))
            .await
            .refuses(401, "discoverable_login_failed");
        refused_registration(&app).await;
        let devices = app.get(&format!("users/{user_id}/devices")).await;
        let device = format!(
            "users/{user_id}/devices/{}",
            text(&devices["devices"][0]["id"])
        );
        house.pass(1);
        for (method, path, status) in [
            (Method::DELETE, device.clone(), 200),
            (Method::DELETE, device, 404),
            (Method::PATCH, format!("users/{user_id}/activate"), 200),
            (Method::PATCH, format!("users/{user_id}/deactivate"), 200),
            (Method::PATCH, format!("users/{user_id}/deactivate"), 200),
            (Method::PATCH, format!("users/{user_id}/activate"), 200),
            (Method::DELETE, format!("users/{user_id}"), 200),
            (Method::DELETE, format!("users/{user_id}"), 404),
        ] {
            assert_eq!(app.manage(method, &path).await.status, status, "{path}");
            house.pass(1);
        }
        // Begun and not over.
        app.start_authentication(None).await;

        assert_eq!(due(&house).await, 8);
        assert_eq!(
            types(&receiver),
            [
                "passkey.registered",
                "passkey.login",
                "passkey.login_refused",
                "passkey.register_refused",
                "device.revoked",
                "user.deactivated",
                "user.activated",
                "user.deleted",
            ]
        );
        for message in receiver.messages() {
            let event = app.get(&format!("events/{}", message.id())).await;
            assert_eq!(message.body["data"], event["event"]);
            let members: Vec<&String> = message.body.as_object().unwrap().keys().collect();
            assert_eq!(members.len(), 3, "{members:?}");
            assert_eq!(message.header("content-type"), "application/json");
        }
        let last = &receiver.messages()[7];
        let deleted_at = "2024-08-20T00:20:47.007000Z";
        assert_eq!(
            last.body,
            json!({
                "type": "user.deleted",
                "timestamp": deleted_at,
                "data": {
                    "id": last.id(),
                    "created_at": deleted_at,
                    "type": "user_deleted",
                    "identifier": "ann",
                    "user_id": user_id,
                    "ip_addr": "",
                    "user_agent": "",
                    "data": {},
                    "action": "other",
                    "status": "complete",
                    "completed_at": deleted_at,
                    "user_agent_display": "",
                    "external_id": "ann",
                    "device_id": null,
                    "transaction_id": null,
                    "failure_code": null,
                },
            })
        );
        // Once is enough.
        house.pass(DAY_MS);
        assert_eq!(due(&house).await, 0);
        for delivery in hook.deliveries(&app).await {
            assert_eq!(delivery["state"], "delivered");
            assert_eq!(delivery["attempts"], 1);
        }
    }
}

#[tokio::test]
async fn a_webhook_is_told_only_of_what_it_asked_for_while_it_is_enabled() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let body = json!({
            "url": receiver.url(),
            "event_types": ["device.revoked", "passkey.registered"],
            "enabled": false,
        });
        let hook = Hook::create(&app, body).await;
        app.registered("before").await;
        for (number, (change, types_in_all)) in (1..).zip([
            (json!({"enabled": true}), 1),
            (json!({"event_types": ["passkey.login"]}), 1),
            (json!({"event_types": []}), 2),
            (json!({"event_types": null, "url": null}), 3),
            (json!({"enabled": false}), 3),
        ]) {
            let changed = app.call(Method::PATCH, &hook.path, change).await;
            assert_eq!(changed.status, StatusCode::OK, "{:?}", changed.body);
            app.registered(&format!("user{number}")).await;
            due(&house).await;
            assert_eq!(
                types(&receiver),
                vec!["passkey.registered"; types_in_all],
                "{:?}",
                changed.body
            );
        }
    }
}

#[tokio::test]
async fn messages_are_signed_by_the_standard() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        // The other implementation reads the real clock.
        house.pass(Clock::system().now_ms() - START_MS);
        refused_registration(&app).await;
        due(&house).await;
        let message = &receiver.messages()[0];
        let verify = |secret: &str, bytes: &[u8]| {
            standardwebhooks::Webhook::new(secret)
                .unwrap()
                .verify(bytes, &message.headers)
                .is_ok()
        };
        assert!(verify(&hook.secret, &message.bytes));
        assert!(!verify("whsec_AAAA", &message.bytes));
        assert!(!verify(&hook.secret, b"{}"));
    }
}

#[tokio::test]
async fn a_rotated_secret_signs_alone_after_a_day() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        house.pass(Clock::system().now_ms() - START_MS);
        let hook = Hook::to(&app, &receiver).await;
        let path = format!("{}/rotate-secret", hook.path);
        let rotated = app.server(&path, json!({})).await;
        assert_eq!(rotated.status, StatusCode::OK, "{:?}", rotated.body);
        let secret = text(&rotated.body["webhook"]["secret"]);
        assert_ne!(secret, hook.secret);

        refused_registration(&app).await;
        due(&house).await;
        let message = &receiver.messages()[0];
        for secret in [&secret, &hook.secret] {
            standardwebhooks::Webhook::new(secret)
                .unwrap()
                .verify(&message.bytes, &message.headers)
                .unwrap();
        }
        let signatures = |position: usize| {
            let header = receiver.messages()[position].header("webhook-signature");
            header.split(' ').count()
        };
        assert_eq!(signatures(0), 2);

        let expires_at_ms = ms(&rotated.body["webhook"]["previous_secret_expires_at"]);
        house.pass(expires_at_ms - house.platform.clock.now_ms() - 1);
        refused_registration(&app).await;
        due(&house).await;
        assert_eq!(signatures(1), 2);
        house.pass(1);
        refused_registration(&app).await;
        due(&house).await;
        assert_eq!(signatures(2), 1);
    }
}

#[tokio::test]
async fn a_message_is_retried_by_the_schedule_and_then_failed_and_can_be_redelivered() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let id = refused_registration(&app).await;
        for delay_ms in [
            5 * SECOND_MS,
            5 * MINUTE_MS,
            30 * MINUTE_MS,
            2 * HOUR_MS,
            5 * HOUR_MS,
            10 * HOUR_MS,
            14 * HOUR_MS,
            20 * HOUR_MS,
            24 * HOUR_MS,
        ] {
            receiver.answer(500, &[]);
            assert_eq!(due(&house).await, 1);
            let delivery = hook.delivery(&app).await;
            assert_eq!(delivery["state"], "pending");
            assert_eq!(delivery["last_status"], 500);
            assert_eq!(delivery["last_error"], "status_not_ok");
            let wait_ms = ms(&delivery["next_attempt_at"]) - house.platform.clock.now_ms();
            assert!(
                (delay_ms..=delay_ms + delay_ms / 10).contains(&wait_ms),
                "{wait_ms} for {delay_ms}"
            );
            house.pass(wait_ms - 1);
            assert_eq!(due(&house).await, 0);
            house.pass(1);
        }
        receiver.answer(500, &[]);
        assert_eq!(due(&house).await, 1);
        let failed = hook.delivery(&app).await;
        let now = ms(&failed["last_attempt_at"]);
        assert_eq!(now, house.platform.clock.now_ms());
        assert_eq!(
            failed,
            json!({
                "id": id,
                "event_type": "passkey.register_refused",
                "state": "failed",
                "attempts": 10,
                "created_at": "2024-08-20T00:20:47.000000Z",
                "next_attempt_at": null,
                "last_attempt_at": failed["last_attempt_at"],
                "last_status": 500,
                "last_error": "status_not_ok",
                "delivered_at": null,
            })
        );
        house.pass(DAY_MS);
        assert_eq!(due(&house).await, 0);
        assert_eq!(ids(&receiver), vec![id.clone(); 10]);

        // Again by the whole schedule, with the same id and body.
        let path = format!("{}/deliveries/{id}/redeliver", hook.path);
        let queued = app.server(&path, json!({})).await;
        assert_eq!(queued.status, StatusCode::ACCEPTED);
        assert_eq!(queued.body["delivery"]["state"], "pending");
        receiver.answer(503, &[]);
        assert_eq!(due(&house).await, 1);
        house.pass(6 * SECOND_MS);
        assert_eq!(due(&house).await, 1);
        let delivered = hook.delivery(&app).await;
        assert_eq!(delivered["state"], "delivered");
        assert_eq!(delivered["attempts"], 12);
        assert_eq!(delivered["last_status"], 204);
        assert_eq!(delivered["last_error"], json!(null));
        let messages = receiver.messages();
        assert_eq!(messages[11].id(), id);
        assert_eq!(messages[11].bytes, messages[0].bytes);
        // Also one that was delivered.
        app.server(&path, json!({})).await;
        assert_eq!(due(&house).await, 1);
        assert_eq!(receiver.messages().len(), 13);
    }
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_when_it_is_up() {
    for house in houses().await {
        let app = house.app().await;
        let address = Receiver::nobody().await;
        let hook = Hook::create(&app, json!({"url": url(address)})).await;
        let mut expected = Vec::new();
        for _ in 0..5 {
            expected.push(refused_registration(&app).await);
            house.pass(1);
        }
        assert_eq!(due(&house).await, 5);
        for delivery in hook.deliveries(&app).await {
            assert_eq!(delivery["last_error"], "connection_failed");
            assert_eq!(delivery["last_status"], json!(null));
        }
        let receiver = Receiver::start_at(address).await;
        expected.push(refused_registration(&app).await);
        assert_eq!(due(&house).await, 1);
        house.pass(6 * SECOND_MS);
        assert_eq!(due(&house).await, 5);
        let mut came = ids(&receiver);
        came.sort();
        expected.sort();
        assert_eq!(came, expected);
    }
}

#[tokio::test]
async fn a_failing_message_is_overtaken_and_lost_never() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        Hook::to(&app, &receiver).await;
        let first = refused_registration(&app).await;
        let second = refused_registration(&app).await;
        receiver.answer(500, &[]);
        assert_eq!(due(&house).await, 2);
        house.pass(6 * SECOND_MS);
        assert_eq!(due(&house).await, 1);
        assert_eq!(ids(&receiver), [first.clone(), second, first]);
    }
}

#[tokio::test]
async fn a_slow_receiver_keeps_nobody_waiting() {
    for house in houses().await {
        let app = house.app().await;
        let (slow, quick) = (Receiver::start().await, Receiver::start().await);
        Hook::to(&app, &slow).await;
        Hook::to(&app, &quick).await;
        slow.hold();
        let mut expected = Vec::new();
        for _ in 0..20 {
            expected.push(refused_registration(&app).await);
        }
        let passkeys = house.passkeys.clone();
        let delivering = tokio::spawn(async move { passkeys.deliver_due().await.unwrap() });
        slow.came(1).await;
        quick.came(20).await;
        assert_eq!(ids(&quick), expected);
        assert_eq!(ids(&slow), expected[..1]);
        slow.release();
        assert_eq!(delivering.await.unwrap(), 40);
        assert_eq!(ids(&slow), expected);
    }
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_in_time_is_tried_again() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        receiver.hold();
        refused_registration(&app).await;
        let impatient =
            Passkeys::new(house.platform.clone()).with_delivery_settings(DeliverySettings {
                private_addresses: true,
                timeout: Duration::from_millis(50),
            });
        assert_eq!(impatient.deliver_due().await.unwrap(), 1);
        let delivery = hook.delivery(&app).await;
        assert_eq!(delivery["state"], "pending");
        assert_eq!(delivery["last_error"], "timed_out");
        receiver.release();
        house.pass(6 * SECOND_MS);
        assert_eq!(due(&house).await, 1);
        assert_eq!(hook.delivery(&app).await["state"], "delivered");
    }
}

#[tokio::test]
async fn an_attempt_of_a_node_that_died_is_made_again_when_its_lease_is_over() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let id = refused_registration(&app).await;
        receiver.hold();
        let passkeys = house.passkeys.clone();
        let dying = tokio::spawn(async move { passkeys.deliver_due().await });
        receiver.came(1).await;
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        receiver.release();
        // Nobody else sends it meanwhile, not even when asked to.
        assert_eq!(due(&house).await, 0);
        let path = format!("{}/deliveries/{id}/redeliver", hook.path);
        app.server(&path, json!({})).await;
        house.pass(LEASE_MS - 1);
        assert_eq!(due(&house).await, 0);
        house.pass(1);
        assert_eq!(due(&house).await, 1);
        assert_eq!(ids(&receiver), [id.clone(), id]);
        let delivery = hook.delivery(&app).await;
        assert_eq!(delivery["state"], "delivered");
        assert_eq!(delivery["attempts"], 2);
    }
}

#[tokio::test]
async fn an_attempt_that_ends_after_its_lease_does_not_count() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        refused_registration(&app).await;
        receiver.hold();
        let passkeys = house.passkeys.clone();
        let late = tokio::spawn(async move { passkeys.deliver_due().await.unwrap() });
        receiver.came(1).await;
        house.pass(LEASE_MS);
        receiver.let_new_ones_pass();
        assert_eq!(due(&house).await, 1);
        let delivered = hook.delivery(&app).await;
        assert_eq!(delivered["state"], "delivered");
        receiver.answer(410, &[]);
        receiver.release();
        assert_eq!(late.await.unwrap(), 1);
        assert_eq!(hook.delivery(&app).await, delivered);
        assert_eq!(app.get(&hook.path).await["webhook"]["enabled"], true);
    }
}

#[tokio::test]
async fn many_nodes_share_a_queue_and_send_each_message_once() {
    for house in houses().await {
        let app = house.app().await;
        let receivers = [Receiver::start().await, Receiver::start().await];
        for receiver in &receivers {
            Hook::to(&app, receiver).await;
        }
        let mut expected = Vec::new();
        for _ in 0..25 {
            expected.push(refused_registration(&app).await);
        }
        expected.sort();
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                let node = Passkeys::new(house.platform.clone()).with_delivery_settings(
                    DeliverySettings {
                        private_addresses: true,
                        ..DeliverySettings::default()
                    },
                );
                tokio::spawn(async move { node.deliver_due().await.unwrap() })
            })
            .collect();
        let mut attempts = 0;
        for node in nodes {
            attempts += node.await.unwrap();
        }
        assert_eq!(attempts, 50);
        for receiver in &receivers {
            let mut came = ids(receiver);
            came.sort();
            assert_eq!(came, expected);
        }
    }
}

#[tokio::test]
async fn a_receiver_that_is_gone_turns_its_webhook_off_until_it_is_turned_on() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let first = refused_registration(&app).await;
        let second = refused_registration(&app).await;
        receiver.answer(410, &[]);
        assert_eq!(due(&house).await, 1);
        assert_eq!(app.get(&hook.path).await["webhook"]["enabled"], false);
        // Not told of what happens while it is off.
        refused_registration(&app).await;
        let states: Vec<Value> = hook
            .deliveries(&app)
            .await
            .iter()
            .map(|delivery| json!([delivery["id"], delivery["state"], delivery["last_status"]]))
            .collect();
        assert_eq!(
            states,
            [
                json!([second, "pending", null]),
                json!([first, "failed", 410])
            ]
        );
        house.pass(DAY_MS);
        assert_eq!(due(&house).await, 0);
        app.call(Method::PATCH, &hook.path, json!({"enabled": true}))
            .await;
        assert_eq!(due(&house).await, 1);
        assert_eq!(ids(&receiver), [first, second]);
    }
}

#[tokio::test]
async fn a_receiver_may_ask_for_more_time() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        refused_registration(&app).await;
        for (status, header, wait_s) in [(503, "3600", 3_600), (429, "999999999", 86_400)] {
            receiver.answer(status, &[("retry-after", header)]);
            assert_eq!(due(&house).await, 1);
            let delivery = hook.delivery(&app).await;
            assert_eq!(delivery["last_status"], status);
            assert_eq!(
                ms(&delivery["next_attempt_at"]) - house.platform.clock.now_ms(),
                wait_s * SECOND_MS
            );
            house.pass(wait_s * SECOND_MS);
        }
        assert_eq!(due(&house).await, 1);
        assert_eq!(hook.delivery(&app).await["state"], "delivered");
    }
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_not_followed() {
    for house in houses().await {
        let app = house.app().await;
        let (receiver, other) = (Receiver::start().await, Receiver::start().await);
        let hook = Hook::to(&app, &receiver).await;
        refused_registration(&app).await;
        for status in [301, 302, 307, 308] {
            receiver.answer(status, &[("location", &other.url())]);
            assert_eq!(due(&house).await, 1);
            let delivery = hook.delivery(&app).await;
            assert_eq!(delivery["last_status"], status);
            assert_eq!(delivery["last_error"], "status_not_ok");
            house.pass(DAY_MS);
        }
        assert_eq!(ids(&other), [""; 0]);
    }
}

#[tokio::test]
async fn nothing_is_sent_to_private_addresses_unless_the_setting_allows_it() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let port = receiver.address.port();
        let strict = Passkeys::new(house.platform.clone());
        // When it is created: what the URL alone tells.
        for url in [
            receiver.url(),
            "http://example.com/".into(),
            format!("https://127.0.0.1:{port}/"),
            format!("https://localhost:{port}/"),
            "https://[::1]/".into(),
            "https://2130706433/".into(),
            "https://169.254.169.254/latest/meta-data".into(),
            "https://10.0.0.1/".into(),
        ] {
            let request = app
                .request(Method::POST, "webhooks")
                .header("authorization", format!("Bearer {}", app.key))
                .body(Body::from(json!({"url": url}).to_string()))
                .unwrap();
            send(&strict.router(), request)
                .await
                .refuses(400, "invalid_request");
        }
        assert_eq!(app.get("webhooks").await["webhooks"], json!([]));
        // When it is sent: whatever is stored. (What other names lead to: `deliveries/sender`.)
        let mut hooks = Vec::new();
        for url in [
            receiver.url(),
            format!("https://127.0.0.1:{port}/"),
            format!("https://localhost:{port}/"),
        ] {
            hooks.push(Hook::create(&app, json!({"url": url})).await);
        }
        refused_registration(&app).await;
        assert_eq!(strict.deliver_due().await.unwrap(), 3);
        for hook in &hooks {
            let delivery = hook.delivery(&app).await;
            assert_eq!(delivery["last_error"], "address_not_allowed");
            assert_eq!(delivery["state"], "pending");
        }
        assert_eq!(ids(&receiver), [""; 0]);
        // The nearest yes.
        house.pass(6 * SECOND_MS);
        assert_eq!(due(&house).await, 3);
        assert_eq!(receiver.messages().len(), 1);
    }
}

#[tokio::test]
async fn a_webhook_is_listed_changed_and_deleted_and_its_secret_shown_once() {
    for house in houses().await {
        let app = house.app().await;
        assert_eq!(app.get("webhooks").await, json!({"webhooks": []}));
        let body = json!({
            "url": "https://Example.com/hook",
            "event_types": ["passkey.login"],
            "unknown": 1,
        });
        let created = app.server("webhooks", body).await;
        assert_eq!(created.status, StatusCode::CREATED);
        let id = text(&created.body["webhook"]["id"]);
        let secret = text(&created.body["webhook"]["secret"]);
        assert_eq!((secret.len(), &secret[..6]), (50, "whsec_"));
        let mut expected = json!({
            "id": id,
            "url": "https://example.com/hook",
            "event_types": ["passkey.login"],
            "enabled": true,
            "previous_secret_expires_at": null,
            "created_at": "2024-08-20T00:20:47.000000Z",
            "updated_at": "2024-08-20T00:20:47.000000Z",
        });
        let path = format!("webhooks/{id}");
        assert_eq!(app.get(&path).await, json!({"webhook": expected}));
        assert_eq!(app.get("webhooks/").await, json!({"webhooks": [expected]}));

        house.pass(MINUTE_MS);
        let change = json!({"url": "https://example.com/other", "enabled": false});
        let changed = app.call(Method::PATCH, &path, change).await;
        expected["url"] = json!("https://example.com/other");
        expected["enabled"] = json!(false);
        expected["updated_at"] = json!("2024-08-20T00:21:47.000000Z");
        assert_eq!(
            (changed.status, changed.body),
            (StatusCode::OK, json!({"webhook": expected}))
        );

        let deleted = app.manage(Method::DELETE, &path).await;
        assert_eq!(
            (deleted.status, deleted.body),
            (StatusCode::OK, json!(null))
        );
        app.manage(Method::DELETE, &path)
            .await
            .refuses(404, "webhook_not_found");
        assert_eq!(app.get("webhooks").await, json!({"webhooks": []}));
    }
}

#[tokio::test]
async fn a_deleted_webhook_takes_its_deliveries_along() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        refused_registration(&app).await;
        app.manage(Method::DELETE, &hook.path).await;
        let left = "SELECT COUNT(*) AS count FROM passkeys_deliveries";
        assert_eq!(house.count(left).await, 0);
        assert_eq!(due(&house).await, 0);
        assert_eq!(ids(&receiver), [""; 0]);
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_and_changes_nothing() {
    for house in houses().await {
        let app = house.app().await;
        let hook = Hook::create(&app, json!({"url": "https://example.com/"})).await;
        let before = app.get("webhooks").await;
        for body in [
            json!({}),
            json!({"url": null}),
            json!({"url": ""}),
            json!({"url": 1}),
            json!({"url": ["https://example.com/"]}),
            json!({"url": "example.com"}),
            json!({"url": "ftp://example.com/"}),
            json!({"url": "https://user:password@example.com/"}),
            json!({"url": format!("https://example.com/{}", "a".repeat(2_048))}),
            json!({"url": "https://example.com/", "event_types": "passkey.login"}),
            json!({"url": "https://example.com/", "event_types": [1]}),
            json!({"url": "https://example.com/", "event_types": ["passkey_login"]}),
            json!({"url": "https://example.com/", "event_types": ["passkey.login", "passkey.login"]}),
            json!({"url": "https://example.com/", "enabled": 1}),
            json!({"url": "https://example.com/", "enabled": "true"}),
        ] {
            app.server("webhooks", body.clone())
                .await
                .refuses(400, "invalid_request");
            if body["url"] == "https://example.com/" || body["url"].is_number() {
                app.call(Method::PATCH, &hook.path, body)
                    .await
                    .refuses(400, "invalid_request");
            }
        }
        for query in [
            "state=sent",
            "state=",
            "page=0",
            "limit=501",
            "state=failed&state=failed",
        ] {
            app.manage(Method::GET, &format!("{}/deliveries?{query}", hook.path))
                .await
                .refuses(400, "invalid_request");
        }
        assert_eq!(app.get("webhooks").await, before);
        for _ in 1..20 {
            Hook::create(&app, json!({"url": "https://example.com/"})).await;
        }
        let another = json!({"url": "https://example.com/"});
        app.server("webhooks", another)
            .await
            .refuses(400, "invalid_request");
        // The limit is the app's own.
        let other = house.app().await;
        Hook::create(&other, json!({"url": "https://example.com/"})).await;
    }
}

#[tokio::test]
async fn webhooks_and_deliveries_of_others_are_not_there() {
    for house in houses().await {
        let (app, other) = (house.app().await, house.app().await);
        let receiver = Receiver::start().await;
        let theirs = Hook::to(&other, &receiver).await;
        let ours = Hook::to(&app, &receiver).await;
        let id = refused_registration(&other).await;
        let unknown = format!("webhooks/{UNKNOWN_ID}");
        for hook in [&theirs.path, &unknown, "webhooks/x", "webhooks/%FF"] {
            for (method, path) in [
                (Method::GET, hook.to_owned()),
                (Method::PATCH, hook.to_owned()),
                (Method::DELETE, hook.to_owned()),
                (Method::POST, format!("{hook}/rotate-secret")),
                (Method::GET, format!("{hook}/deliveries")),
            ] {
                app.call(method, &path, json!({"enabled": false}))
                    .await
                    .refuses(404, "webhook_not_found");
            }
        }
        let delivery = format!("{}/deliveries/{id}", theirs.path);
        app.manage(Method::GET, &delivery)
            .await
            .refuses(404, "webhook_not_found");
        for (hook, id) in [
            (&ours, &*id),
            (&ours, UNKNOWN_ID),
            (&ours, "x"),
            (&ours, "%FF"),
        ] {
            for (method, path) in [
                (Method::GET, format!("{}/deliveries/{id}", hook.path)),
                (
                    Method::POST,
                    format!("{}/deliveries/{id}/redeliver", hook.path),
                ),
            ] {
                app.manage(method, &path)
                    .await
                    .refuses(404, "delivery_not_found");
            }
        }
        let request = app
            .request(Method::GET, "webhooks")
            .header("authorization", format!("Bearer {}", other.key))
            .body(Body::empty())
            .unwrap();
        house
            .send(request)
            .await
            .refuses(401, "invalid_access_token");
        assert_eq!(other.get(&theirs.path).await["webhook"]["enabled"], true);
        assert_eq!(theirs.delivery(&other).await["state"], "pending");
    }
}

#[tokio::test]
async fn deliveries_are_filtered_paged_and_shown_with_what_was_sent() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let mut made = Vec::new();
        for status in [204, 410, 204] {
            made.insert(0, refused_registration(&app).await);
            receiver.answer(status, &[]);
            due(&house).await;
            let enable = json!({"enabled": true});
            app.call(Method::PATCH, &hook.path, enable).await;
        }
        made.insert(0, refused_registration(&app).await);
        for (query, expected) in [
            ("", vec![0, 1, 2, 3]),
            ("state=pending", vec![0]),
            ("state=delivered", vec![1, 3]),
            ("state=failed", vec![2]),
            ("state=%3Cne:delivered%3E", vec![0, 2]),
            ("limit=2", vec![0, 1]),
            ("limit=2&page=2", vec![2, 3]),
            ("created_before=1724113247", vec![]),
        ] {
            let list = app.get(&format!("{}/deliveries?{query}", hook.path)).await;
            let found: Vec<String> = list["deliveries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|delivery| text(&delivery["id"]))
                .collect();
            let expected: Vec<String> = expected
                .iter()
                .map(|&at: &usize| made[at].clone())
                .collect();
            assert_eq!(found, expected, "{query}");
            let total = if query.starts_with("limit") {
                4
            } else {
                expected.len()
            };
            assert_eq!(list["total_deliveries"], json!(total), "{query}");
            let mut members: Vec<&String> = list.as_object().unwrap().keys().collect();
            members.sort();
            assert_eq!(
                members,
                [
                    "_links",
                    "created_before",
                    "deliveries",
                    "limit",
                    "page",
                    "total_deliveries"
                ]
            );
        }
        let shown = app
            .get(&format!("{}/deliveries/{}", hook.path, made[3]))
            .await;
        let mut expected = hook.deliveries(&app).await[3].clone();
        expected["payload"] = receiver.messages()[0].body.clone();
        assert_eq!(shown, json!({"delivery": expected}));
    }
}

#[tokio::test]
async fn deliveries_go_a_week_after_they_arrived_and_with_their_events() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        refused_registration(&app).await;
        receiver.answer(410, &[]);
        due(&house).await;
        app.call(Method::PATCH, &hook.path, json!({"enabled": true}))
            .await;
        refused_registration(&app).await;
        due(&house).await;
        refused_registration(&app).await;
        let states = async || -> Vec<Value> {
            let deliveries = hook.deliveries(&app).await;
            deliveries
                .iter()
                .map(|delivery| delivery["state"].clone())
                .collect()
        };
        house.pass(7 * DAY_MS - 1);
        assert_eq!(house.passkeys.sweep().await.unwrap().deliveries, 0);
        assert_eq!(states().await, ["pending", "delivered", "failed"]);
        house.pass(1);
        assert_eq!(house.passkeys.sweep().await.unwrap().deliveries, 1);
        assert_eq!(states().await, ["pending", "failed"]);
        // What is still to be sent is sent, however late.
        house.pass(83 * DAY_MS);
        assert_eq!(house.passkeys.sweep().await.unwrap().deliveries, 1);
        assert_eq!(states().await, ["pending"]);
        app.call(Method::PATCH, &hook.path, json!({"enabled": false}))
            .await;
        assert_eq!(house.passkeys.sweep().await.unwrap().deliveries, 1);
        assert_eq!(states().await, [json!(null); 0]);
    }
}

#[tokio::test]
async fn a_running_node_delivers_at_once_and_ends_what_is_under_way() {
    for house in houses().await {
        let app = house.app().await;
        let receiver = Receiver::start().await;
        let hook = Hook::to(&app, &receiver).await;
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let passkeys = house.passkeys.clone();
        let node = tokio::spawn(async move {
            passkeys
                .deliver_webhooks(async {
                    let _ = stopped.await;
                })
                .await;
        });
        for number in 1..=3 {
            refused_registration(&app).await;
            receiver.came(number).await;
        }
        receiver.hold();
        refused_registration(&app).await;
        receiver.came(4).await;
        stop.send(()).unwrap();
        receiver.release();
        node.await.unwrap();
        let deliveries = hook.deliveries(&app).await;
        assert_eq!(deliveries.len(), 4);
        for delivery in deliveries {
            assert_eq!(delivery["state"], "delivered");
        }
    }
}
