//! The nonce: proof of a finished ceremony, exchanged once.

use acceptance::{Person, Server, person::verify};
use serde_json::json;

const NONCE_LIFETIME_MS: i64 = 5 * 60 * 1000;

#[tokio::test]
async fn a_nonce_is_exchanged_once() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");

    let nonce = ann.register(&server, &app).await;
    let (status, answer) = verify(&server, &app, &nonce).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));
    refused(verify(&server, &app, &nonce).await);

    let nonce = ann.authenticate(&server, &app).await;
    let (status, answer) = verify(&server, &app, &nonce).await;
    assert_eq!((status, &answer["external_id"]), (200, &json!("ann")));
    refused(verify(&server, &app, &nonce).await);
    server.stop().await;
}

#[tokio::test]
async fn of_many_exchanges_at_the_same_moment_one_succeeds() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    let nonce = ann.register(&server, &app).await;
    let exchanges = (0..50).map(|_| verify(&server, &app, &nonce));
    let mut succeeded = 0;
    for (status, answer) in futures_util::future::join_all(exchanges).await {
        match status {
            200 => succeeded += 1,
            _ => refused((status, answer)),
        }
    }
    assert_eq!(succeeded, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_nonce_lives_five_minutes() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let mut ann = Person::new("ann");
    let in_time = ann.register(&server, &app).await;
    server.clock.advance_ms(NONCE_LIFETIME_MS - 1);
    assert_eq!(verify(&server, &app, &in_time).await.0, 200);
    let late = ann.authenticate(&server, &app).await;
    server.clock.advance_ms(NONCE_LIFETIME_MS);
    refused(verify(&server, &app, &late).await);
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_altered_or_foreign_nonce_is_refused_and_the_true_one_stays_good() {
    let server = Server::start().await;
    let app = server.create_app().await;
    let other = server.create_app().await;
    let mut ann = Person::new("ann");
    let nonce = ann.register(&server, &app).await;
    let altered = format!("{}A", &nonce[..nonce.len() - 1]);
    let altered = if altered == nonce {
        format!("{}B", &nonce[..nonce.len() - 1])
    } else {
        altered
    };
    refused(verify(&server, &app, &altered).await);
    refused(verify(&server, &app, "nobody-ever-issued-this").await);
    refused(verify(&server, &other, &nonce).await);
    let (status, answer) = verify(&server, &app, "").await;
    assert_eq!((status, &answer["code"]), (400, &json!("invalid_request")));
    assert_eq!(verify(&server, &app, &nonce).await.0, 200);
    server.stop().await;
}

#[track_caller]
fn refused((status, answer): (u16, serde_json::Value)) {
    assert_eq!(
        (status, &answer["code"]),
        (401, &json!("invalid_nonce")),
        "{answer}"
    );
    assert!(answer["error"].is_string());
}
