//! Events: one for each ceremony, from its start to its end, by whom and from
//! where, and why not; how they are listed and how long they are kept.

use axum::http::Method;
use passkeys::{AppSettings, NewApp};
use serde_json::{Value, json};
use webauthn::{
    Algorithm, CounterPolicy,
    forge::{Authenticator, flag},
};

use crate::house::{CLIENT, MINUTE_MS, ORIGIN, TestApp, UNKNOWN_ID, USER_AGENT, houses, text};

const CREATED: &str = "2024-08-20T00:20:47.000000Z";
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

async fn event(app: &TestApp, id: &str) -> Value {
    app.get(&format!("events/{id}")).await["event"].clone()
}

/// The ids of the events that a query finds, sorted.
async fn found(app: &TestApp, query: &str) -> Vec<String> {
    let list = app.get(&format!("events?{query}")).await;
    let mut ids: Vec<String> = list["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| text(&event["id"]))
        .collect();
    assert_eq!(list["total_events"], json!(ids.len()), "{query}");
    ids.sort();
    ids
}

#[tokio::test]
async fn an_event_follows_its_ceremony_from_start_to_end() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        assert_eq!(app.get("events").await["total_events"], 0);
        let handshake = app.start_registration(&transaction_id).await;
        let user_id = app.user_id("ann").await;
        let mut expected = json!({
            "id": handshake.id,
            "created_at": CREATED,
            "type": "passkey_register",
            "identifier": "ann",
            "user_id": user_id,
            "ip_addr": CLIENT,
            "user_agent": USER_AGENT,
            "data": {},
            "action": "register",
            "status": "incomplete",
            "completed_at": null,
            "user_agent_display": "Firefox on Linux",
            "external_id": "ann",
            "device_id": null,
            "transaction_id": transaction_id,
            "failure_code": null,
        });
        assert_eq!(event(&app, &handshake.id).await, expected);
        house.pass(MINUTE_MS);
        app.finish_registration(&handshake.registration(&mut authenticator))
            .await
            .nonce();
        let devices = app.get(&format!("users/{user_id}/devices")).await;
        let device_id = &devices["devices"][0]["id"];
        expected["status"] = json!("complete");
        expected["completed_at"] = json!("2024-08-20T00:21:47.000000Z");
        expected["device_id"] = device_id.clone();
        assert_eq!(event(&app, &handshake.id).await, expected);

        // A login with a transaction knows its user from the start, one without only at the end.
        let transaction_id = app.authenticate_transaction("ann").await;
        for transaction_id in [Some(&*transaction_id), None] {
            let handshake = app.start_authentication(transaction_id).await;
            let started = event(&app, &handshake.id).await;
            let (event_type, identifier) = match transaction_id {
                Some(_) => ("passkey_login", "ann"),
                None => ("passkey_login_discoverable", ""),
            };
            assert_eq!(started["type"], event_type);
            assert_eq!(started["identifier"], identifier);
            assert_eq!(started["transaction_id"], json!(transaction_id));
            assert_eq!(
                started["user_id"] == json!(user_id),
                transaction_id.is_some()
            );
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce();
            let mut expected = started;
            expected["status"] = json!("complete");
            expected["completed_at"] = json!("2024-08-20T00:21:47.000000Z");
            expected["device_id"] = device_id.clone();
            expected["user_id"] = json!(user_id);
            expected["identifier"] = json!("ann");
            expected["external_id"] = json!("ann");
            assert_eq!(event(&app, &handshake.id).await, expected);
        }
    }
}

#[tokio::test]
async fn a_denial_is_recorded_once_and_a_replay_on_its_own() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let mut stranger = Authenticator::new(Algorithm::Es256, "stranger");
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut stranger))
            .await
            .refuses(401, "discoverable_login_failed");
        let denied = event(&app, &handshake.id).await;
        assert_eq!(denied["failure_code"], "user_handle_missing");
        assert_eq!(denied["user_id"], "");
        assert_eq!(denied["device_id"], json!(null));

        // The outcome of the first finish stays; what comes after is an event of its own.
        let good = app.start_authentication(None).await;
        app.finish_authentication(&good.authentication(&mut authenticator))
            .await
            .nonce();
        let complete = event(&app, &good.id).await;
        let before = found(&app, "").await;
        house.pass(1);
        for (handshake, reason) in [
            (&handshake.id[..], "handshake_spent"),
            (&good.id, "handshake_spent"),
            (UNKNOWN_ID, "handshake_unknown"),
            ("x", "handshake_unknown"),
        ] {
            app.finish_authentication(&json!({
                "handshake_id": handshake,
                "handshake_response": good.authentication(&mut authenticator)["handshake_response"],
            }))
            .await
            .refuses(400, "invalid_request");
            let after = app.get("events?limit=1").await;
            let newest = &after["events"][0];
            assert!(!before.contains(&text(&newest["id"])));
            let mut expected = denied.clone();
            expected["id"] = newest["id"].clone();
            expected["created_at"] = newest["created_at"].clone();
            expected["failure_code"] = json!(reason);
            assert_eq!(*newest, expected);
            house.pass(1);
        }
        assert_eq!(event(&app, &handshake.id).await, denied);
        assert_eq!(event(&app, &good.id).await, complete);
        assert_eq!(found(&app, "").await.len(), before.len() + 4);
        // A finish that names no handshake is nobody's.
        for finish in [json!({}), json!({"handshake_id": 1})] {
            app.finish_authentication(&finish)
                .await
                .refuses(400, "invalid_request");
        }
        assert_eq!(found(&app, "").await.len(), before.len() + 4);
    }
}

#[tokio::test]
async fn a_broken_signature_names_nobody_and_a_counter_names_its_device() {
    for house in houses().await {
        for (policy, is_refused) in [
            (CounterPolicy::Record, false),
            (CounterPolicy::Refuse, true),
        ] {
            let app = house
                .app_like(NewApp {
                    name: "Example".into(),
                    auth_origin: ORIGIN.into(),
                    settings: AppSettings {
                        counter_policy: policy,
                        ..AppSettings::default()
                    },
                    ..NewApp::default()
                })
                .await;
            let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
            authenticator.sign_count = 7;
            app.register("ann", &mut authenticator).await;
            let user_id = app.user_id("ann").await;

            let handshake = app.start_authentication(None).await;
            let mut forged = authenticator.get(&handshake.public_key, ORIGIN);
            forged.authenticator_data.sign_count = 8;
            let mut broken = forged.json();
            broken["response"]["signature"] = json!("AAAA");
            app.finish_authentication(&handshake.finish(broken))
                .await
                .refuses(401, "discoverable_login_failed");
            let denied = event(&app, &handshake.id).await;
            assert_eq!(denied["failure_code"], "signature_bad");
            assert_eq!(denied["user_id"], "");

            authenticator.sign_count = 7;
            let handshake = app.start_authentication(None).await;
            let answer = app
                .finish_authentication(&handshake.authentication(&mut authenticator))
                .await;
            let event = event(&app, &handshake.id).await;
            assert_eq!(event["user_id"], json!(user_id));
            assert_eq!(event["identifier"], "ann");
            assert!(event["device_id"].is_string());
            if is_refused {
                answer.refuses(401, "discoverable_login_failed");
                assert_eq!(event["failure_code"], "counter_not_increased");
                assert_eq!(event["status"], "incomplete");
                assert_eq!(event["data"], json!({}));
            } else {
                answer.nonce();
                assert_eq!(event["failure_code"], json!(null));
                assert_eq!(event["status"], "complete");
                assert_eq!(event["data"], json!({"counter_not_increased": true}));
            }
        }
    }
}

#[tokio::test]
async fn a_start_that_is_refused_is_no_event() {
    for house in houses().await {
        let app = house.app().await;
        app.browser(
            "register/transactions/webauthn/start",
            json!({"transaction_id": UNKNOWN_ID}),
        )
        .await
        .refuses(404, "transaction_not_found");
        assert_eq!(found(&app, "").await, [""; 0]);
    }
}

#[tokio::test]
async fn a_caller_without_address_or_words_has_empty_ones() {
    for house in houses().await {
        let app = house.app().await;
        let request = app
            .request(Method::POST, "authenticate/transactions/webauthn/start")
            .header("x-forwarded-for", "198.51.100.1")
            .body(axum::body::Body::empty())
            .unwrap();
        let started = house.send(request).await;
        let event = event(&app, started.body["handshake"]["id"].as_str().unwrap()).await;
        for member in ["ip_addr", "user_agent", "user_agent_display"] {
            assert_eq!(event[member], "", "{member}");
        }
    }
}

#[tokio::test]
async fn events_are_filtered_ordered_and_paged() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let register = app.start_registration(&transaction_id).await;
        app.finish_registration(&register.registration(&mut authenticator))
            .await
            .nonce();
        house.pass(MINUTE_MS);
        let transaction_id = app.authenticate_transaction("ann").await;
        let login = app.start_authentication(Some(&transaction_id)).await;
        house.pass(MINUTE_MS);
        let anonymous = app.start_authentication(None).await;
        let user_id = app.user_id("ann").await;
        let (r, l, a) = (&register.id[..], &login.id[..], &anonymous.id[..]);
        for (query, expected) in [
            (String::new(), vec![r, l, a]),
            ("identifier=ann".into(), vec![r, l]),
            ("identifier=%3Clike:%25%3E".into(), vec![]),
            ("identifier=ANN".into(), vec![]),
            (format!("id={l}"), vec![l]),
            (format!("id=%3Cne:{l}%3E"), vec![r, a]),
            (format!("id=%3Clike:{}%25%3E", &l[..20]), vec![l]),
            (format!("user_id={user_id}"), vec![r, l]),
            (format!("user_id=%3Cne:{user_id}%3E"), vec![a]),
            (format!("user_id={user_id}&type=passkey_login"), vec![l]),
            ("user_id=nobody".into(), vec![]),
            ("type=passkey_register".into(), vec![r]),
            ("type=%3Cne:passkey_login%3E".into(), vec![r, a]),
            ("type=%3Clike:PASSKEY_LOGIN%25%3E".into(), vec![l, a]),
            ("type=%3Cnot_like:%25_login%25%3E".into(), vec![r]),
            ("type=unknown".into(), vec![]),
            ("ip_addr=192.0.2.7".into(), vec![r, l, a]),
            ("ip_addr=%3Clike:192.0.%25%3E".into(), vec![r, l, a]),
            ("ip_addr=%3Cne:192.0.2.7%3E".into(), vec![]),
            (
                "user_agent=%3Clike:%25firefox/143%25%3E".into(),
                vec![r, l, a],
            ),
            ("user_agent=%3Cnot_like:%25Firefox%25%3E".into(), vec![]),
            ("user_agent=Firefox".into(), vec![]),
            ("created_at=2024-08-20T00:21:47.000000Z".into(), vec![l]),
            ("created_at=%3Cgt:2024-08-20T00:21:47Z%3E".into(), vec![a]),
            (
                "created_at=%3Clt:9999-12-31T23:59:59Z%3E".into(),
                vec![r, l, a],
            ),
            ("created_before=1724113248".into(), vec![r]),
        ] {
            let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
            expected.sort();
            assert_eq!(found(&app, &query).await, expected, "{query}");
        }
        for (order, expected) in [
            ("", [a, l, r]),
            ("&order_by=created_at:ASC", [r, l, a]),
            ("&order_by=type:ASC", [l, a, r]),
            ("&order_by=type:DESC,created_at:ASC", [r, a, l]),
        ] {
            for (page, id) in (1..).zip(expected) {
                let list = app.get(&format!("events?limit=1&page={page}{order}")).await;
                assert_eq!(list["events"][0]["id"], json!(id), "{order}");
                assert_eq!(list["total_events"], 3);
                assert_eq!(list["page"], json!(page));
                assert_eq!(list["limit"], 1);
                assert_eq!(list["created_before"], 1_724_113_368);
                let next = text(&list["_links"]["next"]["href"]);
                assert_eq!(next.is_empty(), page == 3);
            }
        }
        let list = app.get("events?limit=1").await;
        let mut members: Vec<&String> = list.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(
            members,
            [
                "_links",
                "created_before",
                "events",
                "limit",
                "page",
                "total_events"
            ]
        );
        assert_eq!(
            list["_links"]["next"]["href"],
            format!(
                "http://passkeys.example/v1/apps/{}/events?page=2&limit=1\
                 &created_before=1724113368",
                app.app.id
            )
        );
    }
}

#[tokio::test]
async fn events_of_another_app_are_not_there() {
    for house in houses().await {
        let app = house.app().await;
        let other = house.app().await;
        let theirs = other.start_authentication(None).await;
        assert_eq!(found(&app, "").await, [""; 0]);
        assert_eq!(found(&app, &format!("id={}", theirs.id)).await, [""; 0]);
        for id in [&*theirs.id, UNKNOWN_ID, "x", "%00", "%FF", "%2F"] {
            app.manage(Method::GET, &format!("events/{id}"))
                .await
                .refuses(404, "event_not_found");
        }
        // Nor does a finish through the wrong app change them.
        let untouched = event(&other, &theirs.id).await;
        app.finish_authentication(&json!({
            "handshake_id": theirs.id,
            "handshake_response": {},
        }))
        .await
        .refuses(400, "invalid_request");
        assert_eq!(event(&other, &theirs.id).await, untouched);
    }
}

#[tokio::test]
async fn a_user_shows_its_last_20_events() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let user_id = app.user_id("ann").await;
        let mut newest = Vec::new();
        for _ in 0..21 {
            house.pass(1);
            let handshake = app.start_authentication(None).await;
            authenticator.flags |= flag::USER_VERIFIED;
            app.finish_authentication(&handshake.authentication(&mut authenticator))
                .await
                .nonce();
            newest.insert(0, json!(handshake.id));
        }
        let user = app.get(&format!("users/{user_id}")).await;
        let shown: Vec<Value> = user["user"]["recent_events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["id"].clone())
            .collect();
        assert_eq!(shown, newest[..20]);
    }
}

#[tokio::test]
async fn events_are_kept_as_long_as_their_app_says() {
    for house in houses().await {
        let usual = house.app().await;
        let brief = house
            .app_like(NewApp {
                name: "Example".into(),
                auth_origin: ORIGIN.into(),
                settings: AppSettings {
                    event_retention_ms: DAY_MS,
                    ..AppSettings::default()
                },
                ..NewApp::default()
            })
            .await;
        assert_eq!(usual.app.settings.event_retention_ms, 90 * DAY_MS);
        assert_eq!(
            house.passkeys.find_app(&brief.app.id).await.unwrap(),
            Some(brief.app.clone())
        );
        for (days, swept, of_usual, of_brief) in
            [(0, 0, 1, 1), (1, 1, 2, 1), (89, 2, 2, 1), (1, 2, 2, 1)]
        {
            house.pass(days * DAY_MS);
            usual.start_authentication(None).await;
            brief.start_authentication(None).await;
            assert_eq!(house.passkeys.sweep().await.unwrap().events, swept);
            assert_eq!(
                (found(&usual, "").await.len(), found(&brief, "").await.len()),
                (of_usual, of_brief),
                "{days}"
            );
        }
    }
}
