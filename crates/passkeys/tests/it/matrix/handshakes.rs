//! Handshakes, transactions, nonces and API keys: T01 to T23. No cryptography decides here.
//!
//! T22, a process killed between commit and answer, needs a process: it is in the acceptance tests (`durability`).

use axum::{
    body::Body,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use webauthn::{Algorithm, forge::Authenticator};

use super::{Bench, Ceremony, Person, WAYS, Way, benches, benches_with, case, respond, strict_app};
use crate::house::{Answer, Handshake, MINUTE_MS, ORIGIN, TestApp, UNKNOWN_ID};

/// Every ceremony.
const CEREMONIES: [Ceremony; 3] = [
    Ceremony::Registration,
    Ceremony::Login(Way::Discoverable),
    Ceremony::Login(Way::Transaction),
];

const UNUSABLE: (u16, &str) = (400, "invalid_request");
const NO_TRANSACTION: (u16, &str) = (404, "transaction_not_found");

#[tokio::test]
async fn t01_a_handshake_that_was_never_issued_is_unknown() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let right = respond(ceremony, &handshake, &mut ann);
            for id in [UNKNOWN_ID, "0123456789abcdefghijABCD"] {
                let mut finish = right.clone();
                finish["handshake_id"] = json!(id);
                stray(&bench, ceremony, &finish, "handshake_unknown").await;
            }
            // What cannot be an id of ours is not looked for.
            for id in [
                json!(""),
                json!("short"),
                json!(null),
                json!(1),
                json!("\0"),
            ] {
                let mut finish = right.clone();
                finish["handshake_id"] = id;
                bench
                    .finish(ceremony, &finish)
                    .await
                    .refuses(400, "invalid_request");
            }
            bench.finish(ceremony, &right).await.nonce();
        }
    }
}

#[tokio::test]
async fn t02_a_handshake_expires() {
    let benches = benches_with(|new| {
        new.settings.lifetimes.handshake_ms = 2 * MINUTE_MS;
        new.settings.lifetimes.discoverable_handshake_ms = 2 * MINUTE_MS;
    });
    for bench in benches.await {
        let mut ann = bench.person(Algorithm::Es256).await;
        for ceremony in CEREMONIES {
            for late_ms in [0, 1_000] {
                if ceremony == Ceremony::Registration {
                    ann = bench.newcomer(Algorithm::Es256);
                }
                let case = case("T02", "late", "handshake_expired");
                bench
                    .refuses(case, ceremony, &mut ann, UNUSABLE, |person, handshake| {
                        bench.house.pass(2 * MINUTE_MS + late_ms);
                        respond(ceremony, handshake, person)
                    })
                    .await;
            }
            if ceremony == Ceremony::Registration {
                ann = bench.newcomer(Algorithm::Es256);
            }
            // And to its last millisecond it does not.
            let handshake = bench.start(ceremony, &ann.external_id).await;
            bench.house.pass(2 * MINUTE_MS - 1);
            let finish = respond(ceremony, &handshake, &mut ann);
            bench.finish(ceremony, &finish).await.nonce();
        }
    }
}

#[tokio::test]
async fn t03_a_response_is_good_once() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let finish = respond(ceremony, &handshake, &mut ann);
            let nonce = bench.finish(ceremony, &finish).await.nonce();
            let stored = bench.stored().await;
            assert!(stored.contains(&"nonces 1".to_owned()), "{stored:?}");
            stray(&bench, ceremony, &finish, "handshake_spent").await;
            assert_eq!(bench.stored().await, stored);
            assert_eq!(bench.recorded(&handshake).await, Value::Null);
            assert_eq!(bench.app.verify(&nonce).await.status, StatusCode::OK);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t04_of_16_posting_one_response_at_once_one_succeeds() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            bench.house.pass(1_000);
            let finish = respond(ceremony, &handshake, &mut ann);
            let answers = at_once(16, |_| {
                let (app, finish) = (bench.app.clone(), finish.clone());
                async move {
                    match ceremony {
                        Ceremony::Registration => app.finish_registration(&finish).await,
                        Ceremony::Login(_) => app.finish_authentication(&finish).await,
                    }
                }
            })
            .await;
            let (won, lost): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(won.len(), 1);
            for answer in lost {
                answer.refuses(400, "invalid_request");
            }
            assert_eq!(bench.recorded(&handshake).await, Value::Null);
            let events = denied_now(&bench).await;
            assert_eq!(events, vec!["handshake_spent"; 15]);
            let nonces = bench.stored().await;
            assert!(nonces.contains(&"nonces 1".to_owned()), "{nonces:?}");
            assert_eq!(
                bench.app.verify(&won[0].nonce()).await.status,
                StatusCode::OK
            );
        }
    }
}

/// The runner of all cases checks this after every refusal; here for the refusals that it does not make.
#[tokio::test]
async fn t05_a_refusal_spends_the_handshake() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            for response in [json!(null), json!({}), json!("x")] {
                let (mut ann, handshake) = ready(&bench, ceremony).await;
                bench
                    .finish(ceremony, &handshake.finish(response))
                    .await
                    .refuses(400, "invalid_request");
                assert_eq!(bench.recorded(&handshake).await, "request_malformed");
                let right = respond(ceremony, &handshake, &mut ann);
                stray(&bench, ceremony, &right, "handshake_spent").await;
            }
        }
    }
}

#[tokio::test]
async fn t06_a_handshake_belongs_to_its_app() {
    for bench in benches().await {
        let other = bench.house.app_like(strict_app()).await;
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let finish = respond(ceremony, &handshake, &mut ann);
            let stored = bench.stored().await;
            bench.house.pass(1_000);
            let answer = match ceremony {
                Ceremony::Registration => other.finish_registration(&finish).await,
                Ceremony::Login(_) => other.finish_authentication(&finish).await,
            };
            answer.refuses(400, "invalid_request");
            let event = &other.get("events?limit=1&order_by=created_at:DESC").await["events"][0];
            assert_eq!(event["failure_code"], "handshake_unknown");
            assert_eq!(bench.stored().await, stored);
            bench.finish(ceremony, &finish).await.nonce();
        }
    }
}

#[tokio::test]
async fn t07_a_handshake_is_finished_as_what_it_was_started() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let wrong = match ceremony {
                Ceremony::Registration => Ceremony::Login(Way::Transaction),
                Ceremony::Login(_) => Ceremony::Registration,
            };
            let stored = bench.stored().await;
            let finish = respond(ceremony, &handshake, &mut ann);
            bench
                .finish(wrong, &finish)
                .await
                .refuses(400, "invalid_request");
            assert_eq!(bench.recorded(&handshake).await, "handshake_wrong_kind");
            assert_eq!(bench.stored().await, stored);
            stray(&bench, ceremony, &finish, "handshake_spent").await;
            let case = case("T07", "as it was started", "accepted");
            bench.accepts(case, ceremony, &mut ann).await;
        }
    }
}

#[tokio::test]
async fn t08_and_t09_a_finish_names_the_transaction_of_its_handshake() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        let mismatch = "transaction_mismatch";
        for ceremony in CEREMONIES {
            let other = match ceremony {
                Ceremony::Registration => bench.app.register_transaction("other").await,
                Ceremony::Login(_) => bench.app.authenticate_transaction(&ann.external_id).await,
            };
            let claims = [
                ("T08", json!(other), mismatch, (400, "invalid_request")),
                ("T08", json!(UNKNOWN_ID), mismatch, NO_TRANSACTION),
                ("T08", json!(null), mismatch, (400, "invalid_request")),
                (
                    "T09",
                    json!(""),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
                (
                    "T09",
                    json!("a-b"),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
                (
                    "T09",
                    json!("short"),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
                (
                    "T09",
                    json!(1),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
                (
                    "T09",
                    json!([]),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
                (
                    "T09",
                    json!({}),
                    "request_malformed",
                    (400, "invalid_request"),
                ),
            ];
            for (row, claim, reason, outside) in claims {
                if ceremony == Ceremony::Login(Way::Discoverable) && claim.is_null() {
                    continue;
                }
                if ceremony == Ceremony::Registration {
                    ann = bench.newcomer(Algorithm::Es256);
                }
                let what = format!("transaction {claim}");
                let case = case(row, &what, reason);
                bench
                    .refuses(case, ceremony, &mut ann, outside, |person, handshake| {
                        let mut finish = respond(ceremony, handshake, person);
                        finish["transaction_id"] = claim;
                        finish
                    })
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn t10_and_t11_a_transaction_is_completed_once_and_in_time() {
    for bench in benches().await {
        for ceremony in [Ceremony::Registration, Ceremony::Login(Way::Transaction)] {
            // An earlier handshake of a transaction that a later one has completed.
            let (mut ann, earlier) = ready(&bench, ceremony).await;
            let transaction_id = earlier.transaction_id.clone().unwrap();
            let later = match ceremony {
                Ceremony::Registration => bench.app.start_registration(&transaction_id).await,
                Ceremony::Login(_) => bench.app.start_authentication(Some(&transaction_id)).await,
            };
            let finish = respond(ceremony, &later, &mut ann);
            bench.finish(ceremony, &finish).await.nonce();
            let stored = bench.stored().await;
            let finish = respond(ceremony, &earlier, &mut ann);
            let answer = bench.finish(ceremony, &finish).await;
            answer.refuses(NO_TRANSACTION.0, NO_TRANSACTION.1);
            assert_eq!(bench.recorded(&earlier).await, "transaction_mismatch");
            assert_eq!(bench.stored().await, stored);

            // One that has expired meanwhile.
            for late_ms in [0, 1_000] {
                if ceremony == Ceremony::Registration {
                    ann = bench.newcomer(Algorithm::Es256);
                }
                let case = case("T11", "expired transaction", "transaction_mismatch");
                bench
                    .refuses(
                        case,
                        ceremony,
                        &mut ann,
                        NO_TRANSACTION,
                        |person, handshake| {
                            bench.house.pass(10 * MINUTE_MS + late_ms);
                            respond(ceremony, handshake, person)
                        },
                    )
                    .await;
            }
        }
    }
}

#[tokio::test]
async fn t12_a_user_who_was_deactivated_or_deleted_meanwhile_finishes_nothing() {
    for bench in benches().await {
        for ceremony in CEREMONIES {
            let mut ann = bench.person(Algorithm::Es256).await;
            let user_id = bench.app.user_id(&ann.external_id).await;
            let user = format!("users/{user_id}");

            let handshake = bench.start(ceremony, &ann.external_id).await;
            let path = format!("{user}/deactivate");
            let deactivated = bench.app.manage(Method::PATCH, &path).await;
            assert_eq!(deactivated.status, StatusCode::OK);
            let stored = bench.stored().await;
            if ceremony == Ceremony::Registration {
                let seed = format!("{}, second", ann.external_id);
                ann.authenticator = Authenticator::new(Algorithm::Es256, &seed);
            }
            let finish = respond(ceremony, &handshake, &mut ann);
            bench
                .finish(ceremony, &finish)
                .await
                .refuses(403, "user_not_active");
            assert_eq!(bench.recorded(&handshake).await, "user_inactive");
            assert_eq!(bench.stored().await, stored);
            stray(&bench, ceremony, &finish, "handshake_spent").await;
            let path = format!("{user}/activate");
            let activated = bench.app.manage(Method::PATCH, &path).await;
            assert_eq!(activated.status, StatusCode::OK);
            let case = case("T12", "active again", "accepted");
            bench.accepts(case, ceremony, &mut ann).await;

            let handshake = bench.start(ceremony, &ann.external_id).await;
            let deleted = bench.app.manage(Method::DELETE, &user).await;
            assert!(deleted.status.is_success(), "{deleted:?}");
            let stored = bench.stored().await;
            let finish = respond(ceremony, &handshake, &mut ann);
            let answer = bench.finish(ceremony, &finish).await;
            let reason = match ceremony {
                // Nothing is left by which to know whose credential it was.
                Ceremony::Login(Way::Discoverable) => {
                    answer.refuses(401, "discoverable_login_failed");
                    "credential_unknown"
                }
                _ => {
                    answer.refuses(404, "user_not_found");
                    "user_inactive"
                }
            };
            assert_eq!(bench.recorded(&handshake).await, reason);
            assert_eq!(bench.stored().await, stored);
        }
    }
}

#[tokio::test]
async fn t13_to_t16_a_credential_is_known_and_one_of_those_that_were_asked_for() {
    for bench in benches().await {
        for way in WAYS {
            let ceremony = Ceremony::Login(way);
            // Revoked between start and finish.
            let mut ann = bench.person(Algorithm::Es256).await;
            let user_id = bench.app.user_id(&ann.external_id).await;
            let handshake = bench.start(ceremony, &ann.external_id).await;
            let devices = bench.app.get(&format!("users/{user_id}/devices")).await;
            let device_id = devices["devices"][0]["id"].as_str().unwrap().to_owned();
            let path = format!("users/{user_id}/devices/{device_id}");
            let revoked = bench.app.manage(Method::DELETE, &path).await;
            assert!(revoked.status.is_success());
            let stored = bench.stored().await;
            let finish = respond(ceremony, &handshake, &mut ann);
            let outside = super::outside(ceremony, "credential_unknown");
            let answer = bench.finish(ceremony, &finish).await;
            answer.refuses(outside.0, outside.1);
            // T13.
            assert_eq!(bench.recorded(&handshake).await, "credential_unknown");
            assert_eq!(bench.stored().await, stored);
            bench
                .app
                .register(&ann.external_id, &mut ann.authenticator)
                .await;
            let case13 = case("T13", "registered again", "accepted");
            bench.accepts(case13, ceremony, &mut ann).await;

            // Of another app with the same RP ID, where the user is called the same.
            let other = bench.house.app_like(strict_app()).await;
            let mut others = Authenticator::new(Algorithm::Es256, "other's");
            other.register(&ann.external_id, &mut others).await;
            others.user_handle = ann.authenticator.user_handle.clone();
            let case14 = case("T14", "of another app", "credential_unknown");
            bench
                .refuses(case14, ceremony, &mut ann, outside, |_, handshake| {
                    handshake.authentication(&mut others)
                })
                .await;
        }

        let ceremony = Ceremony::Login(Way::Transaction);
        let mut ann = bench.person(Algorithm::Es256).await;
        let mut ben = bench.person(Algorithm::Es256).await;
        let not_allowed = "credential_not_allowed";
        let outside = super::outside(ceremony, not_allowed);
        let hers = ann.authenticator.user_handle.clone();
        for handle in [ben.authenticator.user_handle.clone(), hers, None] {
            ben.authenticator.user_handle = handle;
            let case15 = case("T15", "another user's", not_allowed);
            bench
                .refuses(case15, ceremony, &mut ann, outside, |_, handshake| {
                    handshake.authentication(&mut ben.authenticator)
                })
                .await;
        }
        // Added after the start.
        let handshake = bench.start(ceremony, &ann.external_id).await;
        let mut second = Authenticator::new(Algorithm::Es256, "second");
        bench.app.register(&ann.external_id, &mut second).await;
        let stored = bench.stored().await;
        let finish = handshake.authentication(&mut second);
        let answer = bench.finish(ceremony, &finish).await;
        answer.refuses(outside.0, outside.1);
        assert_eq!(bench.recorded(&handshake).await, not_allowed);
        assert_eq!(bench.stored().await, stored);
        ann.authenticator = second;
        let case16 = case("T16", "in the list of a new start", "accepted");
        bench.accepts(case16, ceremony, &mut ann).await;
    }
}

#[tokio::test]
async fn t17_the_challenge_that_counts_is_the_signed_one() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        for ceremony in CEREMONIES {
            if ceremony == Ceremony::Registration {
                ann = bench.newcomer(Algorithm::Es256);
            }
            let case = case("T17", "right in the body only", "challenge_mismatch");
            let outside = super::outside(ceremony, case.reason);
            bench
                .refuses(case, ceremony, &mut ann, outside, |person, handshake| {
                    let right = handshake.public_key["challenge"].clone();
                    let mut options = handshake.public_key.clone();
                    options["challenge"] = json!("A".repeat(43));
                    let mut json = match ceremony {
                        Ceremony::Registration => {
                            person.authenticator.create(&options, ORIGIN).json()
                        }
                        Ceremony::Login(_) => person.authenticator.get(&options, ORIGIN).json(),
                    };
                    json["challenge"] = right.clone();
                    json["response"]["challenge"] = right.clone();
                    let mut finish = handshake.finish(json);
                    finish["challenge"] = right;
                    finish
                })
                .await;
        }
    }
}

#[tokio::test]
async fn t18_an_origin_that_was_taken_away_is_gone_for_open_handshakes() {
    const GONE: &str = "https://example.de";
    let benches = benches_with(|new| new.additional_auth_origins = vec![GONE.into()]);
    for bench in benches.await {
        for ceremony in CEREMONIES {
            set_origins(&bench, &[GONE]).await;
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let at = |handshake: &Handshake, ann: &mut Person| {
                let options = &handshake.public_key;
                handshake.finish(match ceremony {
                    Ceremony::Registration => ann.authenticator.create(options, GONE).json(),
                    Ceremony::Login(_) => ann.authenticator.get(options, GONE).json(),
                })
            };
            set_origins(&bench, &[]).await;
            let stored = bench.stored().await;
            let outside = super::outside(ceremony, "origin_not_allowed");
            let finish = at(&handshake, &mut ann);
            let answer = bench.finish(ceremony, &finish).await;
            answer.refuses(outside.0, outside.1);
            assert_eq!(bench.recorded(&handshake).await, "origin_not_allowed");
            assert_eq!(bench.stored().await, stored);
            set_origins(&bench, &[GONE]).await;
            let handshake = bench.start(ceremony, &ann.external_id).await;
            let finish = at(&handshake, &mut ann);
            bench.finish(ceremony, &finish).await.nonce();
        }
    }
}

#[tokio::test]
async fn t19_a_response_is_judged_by_the_rp_id_of_its_handshake() {
    let benches = benches_with(|new| {
        new.auth_origin = "https://login.example.com".into();
        new.rp_id = Some("example.com".into());
    });
    for bench in benches.await {
        for ceremony in CEREMONIES {
            set_rp_id(&bench, "example.com").await;
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let forged = bench.start(ceremony, &ann.external_id).await;
            set_rp_id(&bench, "login.example.com").await;
            // Signed for the new one, which the handshake does not know.
            let mut options = forged.public_key.clone();
            let json = match ceremony {
                Ceremony::Registration => {
                    options["rp"]["id"] = json!("login.example.com");
                    ann.authenticator.create(&options, ORIGIN).json()
                }
                Ceremony::Login(_) => {
                    options["rpId"] = json!("login.example.com");
                    ann.authenticator.get(&options, ORIGIN).json()
                }
            };
            let outside = super::outside(ceremony, "rp_id_hash_mismatch");
            let answer = bench.finish(ceremony, &forged.finish(json)).await;
            answer.refuses(outside.0, outside.1);
            assert_eq!(bench.recorded(&forged).await, "rp_id_hash_mismatch");
            // T19.
            let finish = respond(ceremony, &handshake, &mut ann);
            bench.finish(ceremony, &finish).await.nonce();
            assert_eq!(bench.recorded(&handshake).await, Value::Null);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t20_a_nonce_is_good_once_for_its_app_in_time() {
    for bench in benches().await {
        let other = bench.house.app_like(strict_app()).await;
        for ceremony in CEREMONIES {
            let (mut ann, handshake) = ready(&bench, ceremony).await;
            let mut nonce = async |first: Option<Handshake>| {
                let handshake = match first {
                    Some(first) => first,
                    None => bench.start(Ceremony::Login(Way::Discoverable), "").await,
                };
                let ceremony = match handshake.public_key["rp"].is_null() {
                    true => Ceremony::Login(Way::Discoverable),
                    false => Ceremony::Registration,
                };
                let finish = respond(ceremony, &handshake, &mut ann);
                bench.finish(ceremony, &finish).await.nonce()
            };
            let first = nonce(Some(handshake)).await;
            // Of another app, and with every character changed once: neither harms the true one.
            other.verify(&first).await.refuses(401, "invalid_nonce");
            for at in 0..first.len() {
                let mut changed = first.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(changed).unwrap();
                bench
                    .app
                    .verify(&changed)
                    .await
                    .refuses(401, "invalid_nonce");
            }
            bench.app.verify("").await.refuses(400, "invalid_request");
            assert_eq!(bench.app.verify(&first).await.status, StatusCode::OK);
            bench.app.verify(&first).await.refuses(401, "invalid_nonce");

            let second = nonce(None).await;
            let answers = at_once(16, |_| {
                let (app, nonce) = (bench.app.clone(), second.clone());
                async move { app.verify(&nonce).await }
            })
            .await;
            let won = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!(won, 1);
            for answer in answers.iter().filter(|answer| answer.status != 200) {
                answer.refuses(401, "invalid_nonce");
            }

            let late = nonce(None).await;
            bench.house.pass(5 * MINUTE_MS);
            bench.app.verify(&late).await.refuses(401, "invalid_nonce");
        }
    }
}

#[tokio::test]
async fn t21_an_api_key_is_good_for_its_app_only() {
    for bench in benches().await {
        let ann = bench.person(Algorithm::Es256).await;
        let mut other = bench.house.app_like(strict_app()).await;
        let calls = async |key: String, app: &TestApp| {
            let mut app = app.clone();
            app.key = key;
            let mut answers = Vec::new();
            // A known user and an unknown one: the key is judged before anybody is looked for.
            for external_id in [&*ann.external_id, "nobody"] {
                let body = json!({"external_id": external_id, "passkey_display_name": "Ann"});
                for path in ["transactions/register", "transactions/authenticate"] {
                    answers.push(app.server(path, body.clone()).await);
                }
                let list = format!("users?identifier={external_id}");
                answers.push(app.manage(Method::GET, &list).await);
            }
            answers.push(app.verify("nonce").await);
            answers
        };
        let own = bench.app.key.clone();
        let stored = bench.stored().await;
        for at in (0..own.len()).step_by(5) {
            let mut changed = own.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            for answer in calls(changed, &bench.app).await {
                answer.refuses(401, "invalid_access_token");
            }
        }
        for answer in calls(other.key.clone(), &bench.app).await {
            answer.refuses(401, "invalid_access_token");
        }
        let keys = bench.house.passkeys.list_api_keys(&other.app.id).await;
        let id = &keys.unwrap()[0].id;
        let deleted = bench.house.passkeys.delete_api_key(&other.app.id, id).await;
        deleted.unwrap();
        let deleted = std::mem::take(&mut other.key);
        for answer in calls(deleted, &other).await {
            answer.refuses(401, "invalid_access_token");
        }
        assert_eq!(bench.stored().await, stored);
    }
}

#[tokio::test]
async fn t23_what_is_too_large_or_too_deep_is_refused_unread() {
    for bench in benches().await {
        let mut ann = bench.person(Algorithm::Es256).await;
        for ceremony in CEREMONIES {
            if ceremony == Ceremony::Registration {
                ann = bench.newcomer(Algorithm::Es256);
            }
            let handshake = bench.start(ceremony, &ann.external_id).await;
            let right = respond(ceremony, &handshake, &mut ann);
            let stored = bench.stored().await;
            let deep = "[".repeat(10_000) + &"]".repeat(10_000);
            let mut bodies = vec![
                deep.clone(),
                format!(
                    r#"{{"handshake_id":"{}","handshake_response":{deep}}}"#,
                    handshake.id
                ),
                right.to_string() + &" ".repeat(2_000_000),
            ];
            for name in [
                "clientDataJSON",
                "attestationObject",
                "authenticatorData",
                "signature",
            ] {
                let mut large = right.clone();
                large["handshake_response"]["response"][name] = json!("A".repeat(1 << 20));
                bodies.push(large.to_string());
            }
            let mut large = right.clone();
            large["handshake_response"]["clientExtensionResults"] =
                json!({"prf": "A".repeat(1 << 20)});
            bodies.push(large.to_string());
            let path = match ceremony {
                Ceremony::Registration => "register/transactions/webauthn/finish",
                Ceremony::Login(_) => "authenticate/transactions/webauthn/finish",
            };
            let begun = std::time::Instant::now();
            for body in bodies {
                let request = bench.app.request(Method::POST, path);
                let request = request
                    .header("origin", ORIGIN)
                    .body(Body::from(body))
                    .unwrap();
                bench
                    .house
                    .send(request)
                    .await
                    .refuses(400, "invalid_request");
            }
            assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
            assert_eq!(bench.stored().await, stored);
            // Nothing was read, so no handshake was named and spent.
            assert_eq!(bench.recorded(&handshake).await, Value::Null);
            bench.finish(ceremony, &right).await.nonce();
        }
    }
}

/// Somebody with a started ceremony: for a registration somebody new, else with a passkey.
async fn ready(bench: &Bench, ceremony: Ceremony) -> (Person, Handshake) {
    let person = match ceremony {
        Ceremony::Registration => bench.newcomer(Algorithm::Es256),
        Ceremony::Login(_) => bench.person(Algorithm::Es256).await,
    };
    let handshake = bench.start(ceremony, &person.external_id).await;
    (person, handshake)
}

/// Posts a finish that is refused and belongs to no open event: it gets one of its own.
async fn stray(bench: &Bench, ceremony: Ceremony, finish: &Value, reason: &str) {
    bench.house.pass(1_000);
    let stored = bench.stored().await;
    bench
        .finish(ceremony, finish)
        .await
        .refuses(400, "invalid_request");
    assert_eq!(denied_now(bench).await, [reason]);
    assert_eq!(bench.stored().await, stored);
}

/// The reasons in all events of this second.
async fn denied_now(bench: &Bench) -> Vec<String> {
    let events = bench
        .app
        .get("events?limit=100&order_by=created_at:DESC")
        .await;
    let events = events["events"].as_array().unwrap();
    let newest = &events[0]["created_at"];
    let of_now = events.iter().filter(|event| event["created_at"] == *newest);
    of_now
        .map(|event| event["failure_code"].as_str().expect("a reason").to_owned())
        .collect()
}

async fn at_once<F: Future<Output = Answer> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<Answer> {
    let rivals: Vec<_> = (0..count)
        .map(|number| tokio::spawn(call(number)))
        .collect();
    let mut answers = Vec::new();
    for rival in rivals {
        answers.push(rival.await.unwrap());
    }
    answers
}

async fn set_origins(bench: &Bench, additional: &[&str]) {
    let changes = json!({"additional_auth_origins": additional});
    bench.app.update(changes).await;
}

async fn set_rp_id(bench: &Bench, rp_id: &str) {
    bench
        .app
        .update(json!({"rp_id": rp_id, "force": true}))
        .await;
}
