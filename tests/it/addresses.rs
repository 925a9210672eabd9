//! Whose address an event shows and a rate limit counts, when proxies stand in between.

use acceptance::server::{App, ORIGIN, Server, answer};
use serde_json::{Value, json};

/// Starts an authentication with these lines of `X-Forwarded-For`: the status.
async fn start_behind(server: &Server, app: &App, lines: &[&str]) -> u16 {
    let mut start = server
        .http
        .post(format!(
            "{}/v1/apps/{}/authenticate/transactions/webauthn/start",
            server.url, app.id
        ))
        .header("origin", ORIGIN)
        .json(&json!({}));
    for line in lines {
        start = start.header("x-forwarded-for", *line);
    }
    answer(start).await.0
}

/// Starts an authentication with these lines of `X-Forwarded-For`, and reads the
/// address from its event.
async fn address_behind(server: &Server, app: &App, lines: &[&str]) -> String {
    assert_eq!(start_behind(server, app, lines).await, 200);
    let events = server
        .http
        .get(format!("{}/v1/apps/{}/events?limit=1", server.url, app.id))
        .bearer_auth(&app.api_key);
    let (status, body) = answer(events).await;
    assert_eq!(status, 200, "{body}");
    server.clock.advance_ms(1_000);
    body["events"][0]["ip_addr"]
        .as_str()
        .map_or_else(|| Value::to_string(&body), str::to_owned)
}

#[tokio::test]
async fn a_client_cannot_make_an_address_up() {
    let server = Server::start().await;
    let app = server.create_app().await;
    for lines in [&[][..], &["198.51.100.1"], &["198.51.100.1", "127.0.0.1"]] {
        assert_eq!(address_behind(&server, &app, lines).await, "127.0.0.1");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_trusted_proxy_tells_its_callers_address() {
    let server = Server::start_with(|options| {
        options.trusted_proxies = Some(
            ["127.0.0.1", "10.0.0.0/8"]
                .map(|range| range.parse().expect("a range"))
                .to_vec(),
        );
    })
    .await;
    let app = server.create_app().await;
    for (lines, address) in [
        (&[][..], "127.0.0.1"),
        (&["198.51.100.1"], "198.51.100.1"),
        (&["192.0.2.1, 198.51.100.1, 10.0.0.1"], "198.51.100.1"),
        (&["198.51.100.1", "10.0.0.1"], "198.51.100.1"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&["198.51.100.1, nonsense"], "127.0.0.1"),
    ] {
        assert_eq!(address_behind(&server, &app, lines).await, address);
    }
    server.stop().await;
}

#[tokio::test]
async fn another_forwarded_address_does_not_lift_a_limit() {
    let server = Server::start_with(|options| {
        options.rate_limit_address = Some("1/m burst 2".parse().expect("a rate"));
    })
    .await;
    let app = server.create_app().await;
    assert_eq!(start_behind(&server, &app, &[]).await, 200);
    assert_eq!(start_behind(&server, &app, &["198.51.100.1"]).await, 200);
    assert_eq!(start_behind(&server, &app, &["198.51.100.2"]).await, 429);
    server.stop().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_caller_has_its_own_limit() {
    let server = Server::start_with(|options| {
        options.trusted_proxies = Some(vec!["127.0.0.1".parse().expect("a range")]);
        options.rate_limit_address = Some("1/m burst 2".parse().expect("a rate"));
    })
    .await;
    let app = server.create_app().await;
    let flood = ["192.0.2.1, 198.51.100.1", "192.0.2.2, 198.51.100.1"];
    for line in flood {
        assert_eq!(start_behind(&server, &app, &[line]).await, 200);
    }
    // What it says of itself does not count.
    let again = ["192.0.2.3, 198.51.100.1"];
    assert_eq!(start_behind(&server, &app, &again).await, 429);
    assert_eq!(start_behind(&server, &app, &["198.51.100.2"]).await, 200);
    server.stop().await;
}
