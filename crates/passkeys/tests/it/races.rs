//! Many at once, on both databases: exactly one wins where one may.

use std::collections::HashMap;

use axum::http::Method;
use passkeys::NewApp;
use serde_json::json;
use webauthn::{Algorithm, CounterPolicy, forge::Authenticator};

use crate::house::{Answer, Handshake, ORIGIN, TestApp, houses};

const RIVALS: usize = 50;

/// Runs `call` for all rivals at once and counts the answers by status and code.
async fn race<F: Future<Output = Answer> + Send + 'static>(
    call: impl Fn(usize) -> F,
) -> HashMap<(u16, String), usize> {
    let rivals: Vec<_> = (0..RIVALS)
        .map(|number| tokio::spawn(call(number)))
        .collect();
    let mut counts = HashMap::new();
    for rival in rivals {
        let answer = rival.await.unwrap();
        let code = answer.body["code"].as_str().unwrap_or_default().to_owned();
        *counts.entry((answer.status.as_u16(), code)).or_insert(0) += 1;
    }
    counts
}

fn one_wins(status: u16, code: &str) -> HashMap<(u16, String), usize> {
    HashMap::from([
        ((200, String::new()), 1),
        ((status, code.to_owned()), RIVALS - 1),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_finishes_of_one_handshake_one_gets_a_nonce() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "ann");
        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        let finish = handshake.registration(&mut authenticator);
        let answers = race(|_| {
            let (app, finish) = (app.clone(), finish.clone());
            async move { app.finish_registration(&finish).await }
        })
        .await;
        assert_eq!(answers, one_wins(400, "invalid_request"));

        let transaction_id = app.authenticate_transaction("ann").await;
        for transaction_id in [Some(&*transaction_id), None] {
            let handshake = app.start_authentication(transaction_id).await;
            let finish = handshake.authentication(&mut authenticator);
            let answers = race(|_| {
                let (app, finish) = (app.clone(), finish.clone());
                async move { app.finish_authentication(&finish).await }
            })
            .await;
            assert_eq!(answers, one_wins(400, "invalid_request"));
        }
        let nonces = "SELECT COUNT(*) AS count FROM passkeys_nonces";
        assert_eq!(house.count(nonces).await, 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_redeemers_of_one_nonce_one_gets_the_user() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let handshake = app.start_authentication(None).await;
        let nonce = app
            .finish_authentication(&handshake.authentication(&mut authenticator))
            .await
            .nonce();
        let answers = race(|_| {
            let (app, nonce) = (app.clone(), nonce.clone());
            async move { app.verify(&nonce).await }
        })
        .await;
        assert_eq!(answers, one_wins(401, "invalid_nonce"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_first_registrations_of_one_external_id_make_one_user() {
    for house in houses().await {
        let app = house.app().await;
        let mut transactions = Vec::new();
        for _ in 0..RIVALS {
            transactions.push(app.register_transaction("ann").await);
        }
        let starts: Vec<_> = transactions
            .into_iter()
            .map(|transaction_id| {
                let app = app.clone();
                tokio::spawn(async move { app.start_registration(&transaction_id).await })
            })
            .collect();
        let mut user_ids = Vec::new();
        for start in starts {
            user_ids.push(start.await.unwrap().public_key["user"]["id"].clone());
        }
        user_ids.dedup();
        assert_eq!(user_ids.len(), 1);
        let users = "SELECT COUNT(*) AS count FROM passkeys_users";
        assert_eq!(house.count(users).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_credential_posted_by_many_handshakes_is_stored_once() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = Authenticator::new(Algorithm::Es256, "shared");
        let mut finishes = Vec::new();
        for number in 0..RIVALS {
            let transaction_id = app.register_transaction(&format!("user {number}")).await;
            let handshake = app.start_registration(&transaction_id).await;
            finishes.push(handshake.registration(&mut authenticator));
        }
        let answers = race(|number| {
            let (app, finish) = (app.clone(), finishes[number].clone());
            async move { app.finish_registration(&finish).await }
        })
        .await;
        assert_eq!(answers, one_wins(401, "webauthn_login_failed"));
        let active = "SELECT COUNT(*) AS count FROM passkeys_users WHERE status = 'active'";
        assert_eq!(house.count(active).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn starts_and_finishes_of_one_transaction_complete_it_at_most_once() {
    for house in houses().await {
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let transaction_id = app.authenticate_transaction("ann").await;
        let mut finishes = Vec::new();
        for _ in 0..RIVALS {
            let handshake = app.start_authentication(Some(&transaction_id)).await;
            finishes.push(handshake.authentication(&mut authenticator));
        }
        let answers = race(|number| {
            let (app, finish) = (app.clone(), finishes[number].clone());
            let start = json!({"transaction_id": transaction_id});
            async move {
                if number % 2 == 0 && number + 1 < RIVALS {
                    app.browser("authenticate/transactions/webauthn/start", start)
                        .await;
                }
                app.finish_authentication(&finish).await
            }
        })
        .await;
        let won = answers.get(&(200, String::new())).copied().unwrap_or(0);
        // Canceled by a later start, or beaten to it.
        let lost: usize = [(400, "invalid_request"), (404, "transaction_not_found")]
            .iter()
            .filter_map(|(status, code)| answers.get(&(*status, (*code).to_owned())))
            .sum();
        assert!(won <= 1, "{answers:?}");
        assert_eq!(lost, RIVALS - won, "{answers:?}");
        let nonces = "SELECT COUNT(*) AS count FROM passkeys_nonces";
        assert_eq!(house.count(nonces).await, i64::try_from(won).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_passkey_signs_in_many_times_at_once_counting_or_not() {
    for house in houses().await {
        for (external_id, mut authenticator) in [
            ("synced", Authenticator::new(Algorithm::Es256, "synced")),
            ("key", Authenticator::security_key(Algorithm::Es256, "key")),
        ] {
            let app = house.app().await;
            app.register(external_id, &mut authenticator).await;
            let finishes = discoverable_finishes(&app, &mut authenticator, |_, _| {}).await;
            let answers = race(|number| {
                let (app, finish) = (app.clone(), finishes[number].clone());
                async move { app.finish_authentication(&finish).await }
            })
            .await;
            assert_eq!(answers, HashMap::from([((200, String::new()), RIVALS)]));
        }
        let counted = "SELECT COUNT(*) AS count FROM passkeys_users WHERE login_count = 50";
        assert_eq!(house.count(counted).await, 2);
        let counter = "SELECT MAX(sign_count) AS count FROM passkeys_devices";
        assert_eq!(house.count(counter).await, 51);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_with_the_same_counter_the_strict_policy_accepts_one() {
    for house in houses().await {
        let mut new = NewApp {
            name: "Example".into(),
            auth_origin: ORIGIN.into(),
            ..NewApp::default()
        };
        new.settings.counter_policy = CounterPolicy::Refuse;
        let app = house.app_like(new).await;
        let mut key = Authenticator::security_key(Algorithm::Es256, "key");
        app.register("ann", &mut key).await;
        let finishes = discoverable_finishes(&app, &mut key, |key, _| key.sign_count = 1).await;
        let answers = race(|number| {
            let (app, finish) = (app.clone(), finishes[number].clone());
            async move { app.finish_authentication(&finish).await }
        })
        .await;
        assert_eq!(answers, one_wins(401, "discoverable_login_failed"));
        let counter = "SELECT sign_count AS count FROM passkeys_devices";
        assert_eq!(house.count(counter).await, 2);
    }
}

/// Only PostgreSQL lets two writes interleave, so only there can a finish find
/// that what it read has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_finish_that_is_overtaken_looks_again_and_leaves_no_trace() {
    for house in houses().await {
        if !house.database.is_postgres() {
            continue;
        }
        let url = &house.database.url();
        let app = house.app().await;
        let mut authenticator = app.registered("ann").await;
        let transaction_id = app.authenticate_transaction("ann").await;
        for (overtaking, status, code) in [
            (Overtaking::Restart, 400, "invalid_request"),
            (Overtaking::Deactivation, 403, "user_not_active"),
        ] {
            let handshake = app.start_authentication(Some(&transaction_id)).await;
            let finish = handshake.authentication(&mut authenticator);
            // The finish reads everything, then waits for the device's row.
            let (mut holder, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            let held = holder.transaction().await.unwrap();
            held.execute("SELECT id FROM passkeys_devices FOR UPDATE", &[])
                .await
                .unwrap();
            let finishing = tokio::spawn({
                let app = app.clone();
                async move { app.finish_authentication(&finish).await }
            });
            let waiting = "SELECT COUNT(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
                           WHERE NOT granted AND datname = current_database()";
            while held.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
                tokio::task::yield_now().await;
            }
            match overtaking {
                Overtaking::Restart => {
                    app.start_authentication(Some(&transaction_id)).await;
                }
                Overtaking::Deactivation => {
                    house
                        .execute("UPDATE passkeys_users SET status = 'inactive'")
                        .await;
                }
            }
            held.rollback().await.unwrap();
            finishing.await.unwrap().refuses(status, code);
        }
        let used = "SELECT usage_count AS count FROM passkeys_devices";
        assert_eq!(house.count(used).await, 0);
        let counted = "SELECT login_count AS count FROM passkeys_users";
        assert_eq!(house.count(counted).await, 0);
    }
}

enum Overtaking {
    Restart,
    Deactivation,
}

async fn discoverable_finishes(
    app: &TestApp,
    authenticator: &mut Authenticator,
    prepare: impl Fn(&mut Authenticator, &Handshake),
) -> Vec<serde_json::Value> {
    let mut finishes = Vec::new();
    for _ in 0..RIVALS {
        let handshake = app.start_authentication(None).await;
        prepare(authenticator, &handshake);
        finishes.push(handshake.authentication(authenticator));
    }
    finishes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_user_deleted_amid_registrations_and_logins_leaves_nothing_behind() {
    for house in houses().await {
        let app = house.app().await;
        let mut known = app.registered("ann").await;
        let user_id = app.user_id("ann").await;
        let mut finishes = Vec::new();
        for number in 0..RIVALS {
            if number % 2 == 0 {
                let handshake = app.start_authentication(None).await;
                finishes.push(handshake.authentication(&mut known));
            } else {
                let transaction_id = app.register_transaction("ann").await;
                let handshake = app.start_registration(&transaction_id).await;
                let mut new = Authenticator::new(Algorithm::Es256, &number.to_string());
                finishes.push(handshake.registration(&mut new));
            }
        }
        let answers = race(|number| {
            let (app, user_id) = (app.clone(), user_id.clone());
            let finish = finishes[number].clone();
            async move {
                match number {
                    25 => {
                        app.manage(Method::DELETE, &format!("users/{user_id}"))
                            .await
                    }
                    _ if number % 2 == 0 => app.finish_authentication(&finish).await,
                    _ => app.finish_registration(&finish).await,
                }
            }
        })
        .await;
        for (status, code) in answers.keys() {
            assert!(
                matches!(
                    (status, &**code),
                    (200, "") | (404, "user_not_found") | (401, "discoverable_login_failed")
                ),
                "{answers:?}"
            );
        }
        for table in [
            "SELECT COUNT(*) AS count FROM passkeys_users",
            "SELECT COUNT(*) AS count FROM passkeys_devices",
        ] {
            assert_eq!(house.count(table).await, 0, "{table}");
        }
        // Every ceremony has its outcome in its event, once, and the deletion its own event.
        let open = "SELECT COUNT(*) AS count FROM passkeys_events
                    WHERE completed_at_ms IS NULL AND failure_code IS NULL";
        assert_eq!(house.count(open).await, 1);
        let events = "SELECT COUNT(*) AS count FROM passkeys_events";
        assert_eq!(house.count(events).await, 2 + RIVALS as i64);
    }
}
