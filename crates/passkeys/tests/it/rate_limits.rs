//! Who calls too often, what they are told, and whom it does not concern
//! (passkey-flex sections b.2 and c.8).

use std::net::SocketAddr;

use axum::{
    body::Body,
    extract::ConnectInfo,
    http::{Method, Request},
};
use passkeys::RateLimits;
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{Answer, House, ORIGIN, TestApp, UNKNOWN_ID, houses_with};

const REGISTER_START: &str = "register/transactions/webauthn/start";
const REGISTER_FINISH: &str = "register/transactions/webauthn/finish";
const AUTHENTICATE_START: &str = "authenticate/transactions/webauthn/start";
const AUTHENTICATE_FINISH: &str = "authenticate/transactions/webauthn/finish";
const CEREMONY_CALLS: [&str; 4] = [
    REGISTER_START,
    REGISTER_FINISH,
    AUTHENTICATE_START,
    AUTHENTICATE_FINISH,
];

/// Three at once, then one every ten seconds.
const LIMIT: &str = "6/m burst 3";
const EVERY_MS: i64 = 10_000;

async fn houses(change: impl Fn(&mut RateLimits)) -> Vec<House> {
    let mut limits = RateLimits::OFF;
    change(&mut limits);
    houses_with(&limits).await
}

/// A call of a page at `origin` on the machine with `address`.
async fn call_from(
    house: &House,
    app_id: &str,
    address: &str,
    origin: &str,
    path: &str,
    body: Value,
) -> Answer {
    let address: SocketAddr = address.parse().unwrap();
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/v1/apps/{app_id}/{path}"))
        .header("origin", origin)
        .extension(ConnectInfo(address))
        .body(Body::from(body.to_string()))
        .unwrap();
    house.send(request).await
}

/// A call of a customer's server at `address` with the API key `key`.
async fn list_users_from(house: &House, app: &TestApp, address: &str, key: &str) -> Answer {
    let address: SocketAddr = address.parse().unwrap();
    let request = app
        .request(Method::GET, "users")
        .header("host", "passkeys.example")
        .header("authorization", format!("Bearer {key}"))
        .extension(ConnectInfo(address))
        .body(Body::empty())
        .unwrap();
    house.send(request).await
}

#[track_caller]
fn is_limited(answer: &Answer, retry_after_s: i64) {
    answer.refuses(429, "rate_limit_exceeded");
    assert_eq!(answer.headers["retry-after"], retry_after_s.to_string());
    let error = answer.body["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("{retry_after_s} seconds")),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_that_calls_too_often_waits_as_long_as_it_is_told() {
    for house in houses(|limits| limits.address = LIMIT.parse().unwrap()).await {
        let app = house.app().await;
        let app_id = app.app.id.as_str();
        let start = async |address: &str| {
            call_from(
                &house,
                app_id,
                address,
                ORIGIN,
                AUTHENTICATE_START,
                json!({}),
            )
            .await
        };
        for _ in 0..3 {
            assert_eq!(start("192.0.2.7:1").await.status, 200);
        }
        let answer = start("192.0.2.7:2").await;
        is_limited(&answer, 10);
        // A page may read when to come back.
        assert_eq!(answer.headers["access-control-allow-origin"], ORIGIN);
        assert_eq!(
            answer.headers["access-control-expose-headers"],
            "retry-after"
        );
        // The neighbor is not concerned.
        assert_eq!(start("192.0.2.8:1").await.status, 200);
        // One second less is too early, and asking does not make it longer.
        house.pass(EVERY_MS - 1_000);
        is_limited(&start("192.0.2.7:1").await, 1);
        house.pass(1_000);
        assert_eq!(start("192.0.2.7:1").await.status, 200);
        is_limited(&start("192.0.2.7:1").await, 10);
    }
}

#[tokio::test]
async fn all_ceremony_calls_count_whatever_they_ask_for() {
    for house in houses(|limits| limits.address = LIMIT.parse().unwrap()).await {
        let app = house.app().await;
        for (at, path) in CEREMONY_CALLS.into_iter().enumerate() {
            for (app_id, origin) in [
                (app.app.id.as_str(), ORIGIN),
                (app.app.id.as_str(), "https://evil.net"),
                (UNKNOWN_ID, ORIGIN),
            ] {
                let answer =
                    call_from(&house, app_id, "192.0.2.7:1", origin, path, json!([])).await;
                // The first three calls are the first path's.
                if at == 0 {
                    assert!([400, 403, 404].contains(&answer.status.as_u16()));
                } else {
                    is_limited(&answer, 10);
                }
            }
        }
        // A preflight asks for nothing.
        for _ in 0..10 {
            let request = app
                .request(Method::OPTIONS, AUTHENTICATE_START)
                .header("origin", ORIGIN)
                .extension(ConnectInfo::<SocketAddr>("192.0.2.7:1".parse().unwrap()))
                .body(Body::empty())
                .unwrap();
            assert_eq!(house.send(request).await.status, 204);
        }
    }
}

#[tokio::test]
async fn an_ipv6_caller_cannot_change_its_address_to_go_on() {
    for house in houses(|limits| limits.address = LIMIT.parse().unwrap()).await {
        let app = house.app().await;
        let start = async |address: &str| {
            let app_id = app.app.id.as_str();
            call_from(
                &house,
                app_id,
                address,
                ORIGIN,
                AUTHENTICATE_START,
                json!({}),
            )
            .await
        };
        for host in 1..=3 {
            let address = format!("[2001:db8:0:1::{host}]:1");
            assert_eq!(start(&address).await.status, 200);
        }
        is_limited(&start("[2001:db8:0:1:ffff::4]:1").await, 10);
        assert_eq!(start("[2001:db8:0:2::1]:1").await.status, 200);
    }
}

#[tokio::test]
async fn a_busy_app_does_not_slow_another_down() {
    for house in houses(|limits| limits.app = LIMIT.parse().unwrap()).await {
        let busy = house.app().await;
        let other = house.app().await;
        let start = async |app: &TestApp, host: u8, origin: &str| {
            let (app_id, address) = (app.app.id.as_str(), format!("192.0.2.{host}:1"));
            call_from(
                &house,
                app_id,
                &address,
                origin,
                AUTHENTICATE_START,
                json!({}),
            )
            .await
        };
        // Pages that may not call do not use the app's share up.
        for host in 1..=9 {
            let answer = start(&busy, host, "https://evil.net").await;
            answer.refuses(403, "operation_not_allowed");
        }
        for host in 1..=3 {
            assert_eq!(start(&busy, host, ORIGIN).await.status, 200);
        }
        is_limited(&start(&busy, 4, ORIGIN).await, 10);
        assert_eq!(start(&other, 4, ORIGIN).await.status, 200);
        house.pass(EVERY_MS);
        assert_eq!(start(&busy, 5, ORIGIN).await.status, 200);
        is_limited(&start(&busy, 6, ORIGIN).await, 10);
    }
}

#[tokio::test]
async fn an_external_id_is_limited_under_its_own_transactions_only() {
    for house in houses(|limits| limits.external_id = LIMIT.parse().unwrap()).await {
        let app = house.app().await;
        let other_app = house.app().await;
        // Registering and logging in take two calls each.
        let mut ann = app.registered("ann").await;
        let mut bob = app.registered("bob").await;
        other_app.registered("ann").await;
        house.pass(10 * EVERY_MS);

        let transaction_id = app.authenticate_transaction("ann").await;
        for _ in 0..3 {
            app.start_authentication(Some(&transaction_id)).await;
        }
        let again = app
            .browser(
                AUTHENTICATE_START,
                json!({"transaction_id": transaction_id}),
            )
            .await;
        is_limited(&again, 10);
        // Nor by a new transaction, nor for the other ceremony.
        let fresh = app.register_transaction("ann").await;
        let start = app
            .browser(REGISTER_START, json!({"transaction_id": fresh}))
            .await;
        is_limited(&start, 10);

        // Others are not concerned, nor is the same external id of another app.
        let transaction_id = app.authenticate_transaction("bob").await;
        let handshake = app.start_authentication(Some(&transaction_id)).await;
        let finish = handshake.authentication(&mut bob);
        app.finish_authentication(&finish).await.nonce();
        let theirs = other_app.authenticate_transaction("ann").await;
        other_app.start_authentication(Some(&theirs)).await;

        // Her own login without a transaction is still open to her.
        let handshake = app.start_authentication(None).await;
        let finish = handshake.authentication(&mut ann);
        app.finish_authentication(&finish).await.nonce();

        house.pass(EVERY_MS);
        app.start_authentication(Some(&app.authenticate_transaction("ann").await))
            .await;
    }
}

#[tokio::test]
async fn who_holds_no_transaction_cannot_use_up_anybodys_share() {
    for house in houses(|limits| limits.external_id = "1/h burst 2".parse().unwrap()).await {
        let app = house.app().await;
        let transaction_id = app.register_transaction("ann").await;
        for guess in [UNKNOWN_ID, "", "ann"] {
            for path in CEREMONY_CALLS {
                let body = json!({"transaction_id": guess, "handshake_id": UNKNOWN_ID});
                let answer = app.browser(path, body).await;
                assert_ne!(answer.status, 429, "{path} {guess:?}");
            }
        }
        // Of the wrong ceremony it permits nothing, and costs nothing.
        for _ in 0..5 {
            let body = json!({"transaction_id": transaction_id});
            app.browser(AUTHENTICATE_START, body)
                .await
                .refuses(404, "transaction_not_found");
        }
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let handshake = app.start_registration(&transaction_id).await;
        let finish = handshake.registration(&mut authenticator);
        app.finish_registration(&finish).await.nonce();
    }
}

#[tokio::test]
async fn a_call_that_is_refused_spends_nothing_and_leaves_no_event() {
    for house in houses(|limits| {
        limits.address = "6/m burst 4".parse().unwrap();
        limits.external_id = LIMIT.parse().unwrap();
    })
    .await
    {
        let app = house.app().await;
        let transaction_id = app.register_transaction("ann").await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        for _ in 0..2 {
            app.start_registration(&transaction_id).await;
        }
        let handshake = app.start_registration(&transaction_id).await;
        let finish = handshake.registration(&mut authenticator);
        let events = "SELECT COUNT(*) AS count FROM passkeys_events";
        let spent =
            "SELECT COUNT(*) AS count FROM passkeys_handshakes WHERE spent_at_ms IS NOT NULL";
        let before = (house.count(events).await, house.count(spent).await);
        // By the external id, then by the address.
        for _ in 0..3 {
            is_limited(&app.finish_registration(&finish).await, 10);
        }
        let body = json!({"transaction_id": transaction_id});
        is_limited(&app.browser(REGISTER_START, body).await, 10);
        assert_eq!(
            (house.count(events).await, house.count(spent).await),
            before
        );
        // So the same finish succeeds as soon as it may.
        house.pass(EVERY_MS);
        app.finish_registration(&finish).await.nonce();
    }
}

#[tokio::test]
async fn wrong_api_keys_are_limited_and_right_ones_never() {
    for house in houses(|limits| limits.wrong_api_keys = LIMIT.parse().unwrap()).await {
        let app = house.app().await;
        let wrong = format!("{}.{}", "a".repeat(10), "b".repeat(64));
        let right = app.key.clone();
        for key in [wrong.as_str(), "", "nonsense"] {
            list_users_from(&house, &app, "192.0.2.7:1", key)
                .await
                .refuses(401, "invalid_access_token");
        }
        let answer = list_users_from(&house, &app, "192.0.2.7:1", &wrong).await;
        is_limited(&answer, 10);
        assert_eq!(answer.headers.get("access-control-allow-origin"), None);
        // Behind the same address as often as it likes, with the right key.
        for _ in 0..10 {
            let answer = list_users_from(&house, &app, "192.0.2.7:1", &right).await;
            assert_eq!(answer.status, 200);
        }
        list_users_from(&house, &app, "192.0.2.8:1", &wrong)
            .await
            .refuses(401, "invalid_access_token");
        house.pass(EVERY_MS - 1_000);
        is_limited(
            &list_users_from(&house, &app, "192.0.2.7:1", &wrong).await,
            1,
        );
        house.pass(1_000);
        list_users_from(&house, &app, "192.0.2.7:1", &wrong)
            .await
            .refuses(401, "invalid_access_token");
    }
}
