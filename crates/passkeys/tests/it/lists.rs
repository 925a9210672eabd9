//! What lists of users can be asked for: literal identifiers, filters, orders, pages.

use axum::http::Method;
use serde_json::{Value, json};

use crate::house::{House, MINUTE_MS, TestApp, houses, text};

const ESCAPED: &percent_encoding::AsciiSet = percent_encoding::NON_ALPHANUMERIC;

fn encoded(value: &str) -> String {
    percent_encoding::utf8_percent_encode(value, ESCAPED).to_string()
}

/// The external ids of the users that a query finds.
async fn found(app: &TestApp, query: &str) -> Vec<String> {
    let list = app.get(&format!("users?{query}")).await;
    let users = list["users"].as_array().unwrap();
    users
        .iter()
        .map(|user| text(&user["external_id"]))
        .collect()
}

async fn started(app: &TestApp, external_id: &str) {
    let transaction_id = app.register_transaction(external_id).await;
    app.start_registration(&transaction_id).await;
}

/// Four users, a minute between each: `ann` has two logins, `ben` one and is
/// inactive, `cat` none, `dan` no passkey.
async fn people(house: &House) -> TestApp {
    let app = house.app().await;
    let mut logins = Vec::new();
    for external_id in ["ann", "ben", "cat"] {
        logins.push(app.registered(external_id).await);
        house.pass(MINUTE_MS);
    }
    started(&app, "dan").await;
    house.pass(MINUTE_MS);
    for position in [1, 0, 0] {
        let handshake = app.start_authentication(None).await;
        app.finish_authentication(&handshake.authentication(&mut logins[position]))
            .await
            .nonce();
        house.pass(MINUTE_MS);
    }
    let ben = app.user_id("ben").await;
    app.manage(Method::PATCH, &format!("users/{ben}/deactivate"))
        .await;
    app
}

#[tokio::test]
async fn an_identifier_is_a_literal_exact_match_whatever_it_looks_like() {
    let identifiers = [
        "ann",
        "Ann",
        "an",
        "anna",
        " ann",
        "ann ",
        "a+n n",
        "<like:a%>",
        "<ne:ann>",
        "<gt:a>",
        "<lt:z>",
        "<not_like:x>",
        "<like:%>",
        "<unknown:ann>",
        "%",
        "_",
        "a%",
        "___",
        "\\",
        "'",
        "' OR '1'='1",
        "$3",
        "ann&limit=500",
        "ann#",
        "%61nn",
        "änn",
        "a\u{308}nn",
        "ÄNN",
        "🐈",
        "\u{fffd}",
        "null",
        "a\nb",
    ];
    for house in houses().await {
        let app = house.app().await;
        // Nobody is found before somebody is there; afterwards each is found alone.
        for identifier in identifiers {
            let query = format!("limit=1&identifier={}", encoded(identifier));
            assert_eq!(found(&app, &query).await, [""; 0], "{identifier:?}");
            started(&app, identifier).await;
        }
        for identifier in identifiers {
            for query in [
                format!("limit=1&identifier={}", encoded(identifier)),
                format!("page=1&limit=1&identifier={}", encoded(identifier)),
                format!("identifier={}", encoded(identifier).replace("%20", "+")),
            ] {
                assert_eq!(found(&app, &query).await, [identifier]);
                let list = app.get(&format!("users?{query}")).await;
                assert_eq!(list["total_users"], 1);
            }
        }
        let long = format!("identifier={}", "a".repeat(257));
        assert_eq!(found(&app, &long).await, [""; 0]);
        assert_eq!(found(&app, "identifier=ann&page=2").await, [""; 0]);
        assert_eq!(found(&app, "identifier=ann&status=active").await, [""; 0]);
        assert_eq!(found(&app, "identifier=ann&status=pending").await, ["ann"]);
        for query in ["identifier=", "identifier", "identifier=a&identifier=b"] {
            app.manage(Method::GET, &format!("users?{query}"))
                .await
                .refuses(400, "invalid_request");
        }
    }
}

#[tokio::test]
async fn filters_find_who_passes_them_all() {
    for house in houses().await {
        let app = people(&house).await;
        let ann = app.user_id("ann").await;
        let folded = ann.to_lowercase();
        for (query, expected) in [
            ("".to_owned(), &["dan", "cat", "ben", "ann"][..]),
            (
                "unknown=1&metadata=x".to_owned(),
                &["dan", "cat", "ben", "ann"],
            ),
            (format!("id={ann}"), &["ann"]),
            (format!("id={ann}&identifier=ann"), &["ann"]),
            (format!("id={ann}&identifier=ben"), &[]),
            (format!("id={ann}&status=pending"), &[]),
            (format!("id=<ne:{ann}>"), &["dan", "cat", "ben"]),
            (format!("id=<like:{folded}>"), &["ann"]),
            (format!("id=<like:%{}%>", &folded[3..20]), &["ann"]),
            (format!("id=<like:_{}>", &folded[1..]), &["ann"]),
            (format!("id=<like:{}>", &folded[..23]), &[]),
            (
                format!("id=<not_like:{}%>", &folded[..23]),
                &["dan", "cat", "ben"],
            ),
            ("id=<like:\\%>".into(), &[]),
            ("id=<like:%>".into(), &["dan", "cat", "ben", "ann"]),
            ("id=nobody".into(), &[]),
            ("status=active".into(), &["cat", "ann"]),
            ("status=inactive".into(), &["ben"]),
            ("status=pending".into(), &["dan"]),
            ("status=<ne:active>".into(), &["dan", "ben"]),
            ("status=<like:%active>".into(), &["cat", "ben", "ann"]),
            ("status=<not_like:%active>".into(), &["dan"]),
            ("status=<gt:active>".into(), &["dan", "ben"]),
            ("status=<lt:inactive>".into(), &["cat", "ann"]),
            ("status=<like:unknown>".into(), &[]),
            ("login_count=0".into(), &["dan", "cat"]),
            ("login_count=<ne:0>".into(), &["ben", "ann"]),
            ("login_count=<gt:0>".into(), &["ben", "ann"]),
            ("login_count=<gt:1>".into(), &["ann"]),
            ("login_count=<lt:1>".into(), &["dan", "cat"]),
            ("login_count=<gt:0>&login_count=<lt:2>".into(), &["ben"]),
            ("created_at=2024-08-20T00:20:47.000000Z".into(), &["ann"]),
            ("created_at=2024-08-20T00:20:47.000001Z".into(), &[]),
            (
                "created_at=<ne:2024-08-20T00:20:47.000000Z>".into(),
                &["dan", "cat", "ben"],
            ),
            (
                "created_at=<gt:2024-08-20T00:21:47.000000Z>".into(),
                &["dan", "cat"],
            ),
            (
                "created_at=<lt:2024-08-20T00:21:47.000001Z>".into(),
                &["ben", "ann"],
            ),
            (
                "created_at=<gt:2024-08-20T00:20:47Z>&created_at=<lt:2024-08-20T00:22:47Z>".into(),
                &["ben"],
            ),
            ("last_login_at=<gt:2024-08-20T00:24:47Z>".into(), &["ann"]),
            ("last_login_at=2024-08-20T00:24:47.000000Z".into(), &["ben"]),
            ("updated_at=2024-08-20T00:27:47.000000Z".into(), &["ben"]),
            (
                "updated_at=<lt:2024-08-20T00:23:47.000001Z>".into(),
                &["dan", "cat"],
            ),
            ("status=active&login_count=<gt:0>".into(), &["ann"]),
            ("status=active&login_count=1".into(), &[]),
            ("created_before=1724113247".into(), &[]),
            ("created_before=1724113248".into(), &["ann"]),
            (
                "created_before=9223372036854775807".into(),
                &["dan", "cat", "ben", "ann"],
            ),
        ] {
            let query: String = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| format!("{name}={}&", encoded(value)))
                .collect();
            assert_eq!(found(&app, &query).await, expected, "{query}");
            let list = app.get(&format!("users?{query}")).await;
            assert_eq!(list["total_users"], json!(expected.len()), "{query}");
        }
        // Ids are ordered without case; every user is on one side of another.
        let mut ids = Vec::new();
        for external_id in ["ann", "ben", "cat", "dan"] {
            ids.push((app.user_id(external_id).await.to_lowercase(), external_id));
        }
        ids.sort();
        let by_id: Vec<&str> = ids.iter().map(|(_, external_id)| *external_id).collect();
        let above = format!(
            "order_by=id:ASC&id={}",
            encoded(&format!("<gt:{}>", ids[1].0))
        );
        assert_eq!(found(&app, &above).await, by_id[2..]);
        let below = format!(
            "order_by=id:ASC&id={}",
            encoded(&format!("<lt:{}>", ids[1].0))
        );
        assert_eq!(found(&app, &below).await, by_id[..1]);
        assert_eq!(found(&app, "order_by=id:ASC").await, by_id);
        let reversed: Vec<&str> = by_id.iter().rev().copied().collect();
        assert_eq!(
            found(&app, "order_by=id:DESC,created_at:ASC").await,
            reversed
        );
    }
}

#[tokio::test]
async fn only_percent_and_underscore_are_wildcards() {
    for house in houses().await {
        let app = house.app().await;
        for external_id in ["a_b", "a%b", "a\\b", "axb", "AXB"] {
            started(&app, external_id).await;
        }
        // Only an import makes ids like these.
        house
            .execute("UPDATE passkeys_users SET id = external_id")
            .await;
        for (filter, expected) in [
            ("<like:a_b>", &["AXB", "a%b", "a\\b", "a_b", "axb"][..]),
            ("<like:A%B>", &["AXB", "a%b", "a\\b", "a_b", "axb"]),
            ("<like:a\\b>", &["a\\b"]),
            ("<like:a\\_b>", &[]),
            ("<like:a\\%>", &["a\\b"]),
            ("<like:%\\>", &[]),
            ("<like:axb>", &["AXB", "axb"]),
            ("<not_like:axb>", &["a%b", "a\\b", "a_b"]),
            ("<not_like:%\\%>", &["AXB", "a%b", "a_b", "axb"]),
            ("axb", &["axb"]),
            ("a_b", &["a_b"]),
            ("<ne:axb>", &["AXB", "a%b", "a\\b", "a_b"]),
        ] {
            let mut names = found(&app, &format!("id={}", encoded(filter))).await;
            names.sort();
            assert_eq!(names, expected, "{filter}");
        }
    }
}

#[tokio::test]
async fn an_order_is_what_was_asked_for() {
    for house in houses().await {
        let app = people(&house).await;
        for (order, expected) in [
            ("created_at:ASC", ["ann", "ben", "cat", "dan"]),
            ("created_at:desc", ["dan", "cat", "ben", "ann"]),
            (
                "login_count:DESC,created_at:ASC",
                ["ann", "ben", "cat", "dan"],
            ),
            (
                "login_count:ASC,created_at:DESC",
                ["dan", "cat", "ben", "ann"],
            ),
            (
                "login_count:ASC,created_at:ASC",
                ["cat", "dan", "ben", "ann"],
            ),
            ("last_login_at:DESC", ["ann", "ben", "dan", "cat"]),
            ("updated_at:DESC", ["ben", "ann", "dan", "cat"]),
            ("status:ASC,created_at:ASC", ["ann", "cat", "ben", "dan"]),
            (
                "status:DESC,created_at:DESC,id:ASC",
                ["dan", "ben", "cat", "ann"],
            ),
        ] {
            let query = format!("order_by={}", encoded(order));
            assert_eq!(found(&app, &query).await, expected, "{order}");
            let first = format!("limit=1&page=2&{query}");
            assert_eq!(found(&app, &first).await, expected[1..2], "{order}");
        }
    }
}

#[tokio::test]
async fn following_the_links_shows_everyone_once() {
    for house in houses().await {
        let app = house.app().await;
        let base = format!("http://passkeys.example/v1/apps/{}/", app.app.id);
        let mut everyone = Vec::new();
        for number in 0..7 {
            let external_id = format!("user {number}");
            started(&app, &external_id).await;
            everyone.push(external_id);
            // Some share a moment.
            house.pass(if number % 3 == 0 { 1_000 } else { 0 });
        }
        everyone.sort();
        for query in [
            "users?limit=3",
            "users?limit=3&order_by=created_at:ASC&status=pending",
        ] {
            let mut page = app.get(query).await;
            assert_eq!(page["_links"]["previous"]["href"], "");
            // Whoever comes later is on no page of this list.
            house.pass(1_000);
            let newcomer = format!("newcomer {query}");
            started(&app, &newcomer).await;
            let mut seen = Vec::new();
            let mut pages = 0;
            loop {
                pages += 1;
                let expected = everyone.len();
                assert_eq!(page["total_users"], json!(expected));
                assert_eq!(page["page"], json!(pages));
                for user in page["users"].as_array().unwrap() {
                    seen.push(text(&user["external_id"]));
                }
                let link = |name: &str| text(&page["_links"][name]["href"]);
                let itself = link("self");
                assert_eq!(app.get(itself.strip_prefix(&base).unwrap()).await, page);
                let next = link("next");
                if next.is_empty() {
                    assert_eq!(link("last"), itself);
                    break;
                }
                assert_ne!(link("last"), itself);
                let following = app.get(next.strip_prefix(&base).unwrap()).await;
                assert_eq!(following["_links"]["previous"]["href"], json!(itself));
                assert_eq!(following["_links"]["first"], page["_links"]["first"]);
                page = following;
            }
            assert_eq!(pages, everyone.len().div_ceil(3));
            seen.sort();
            assert_eq!(seen, everyone);
            everyone.push(newcomer);
            everyone.sort();
        }
        let beyond = app.get("users?page=2147483647&limit=500").await;
        assert_eq!(beyond["users"], json!([]));
        assert_eq!(beyond["total_users"], json!(everyone.len()));
        assert_eq!(beyond["_links"]["next"]["href"], "");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_meant_is_refused() {
    for house in houses().await {
        let app = house.app().await;
        let common = [
            "page=0",
            "page=-1",
            "page=a",
            "page=",
            "page=99999999999",
            "limit=0",
            "limit=501",
            "limit=1e2",
            "created_before=now",
            "created_before=-1",
            "order_by=",
            "order_by=identifier:ASC",
            "order_by=id",
            "order_by=id:UP",
            "order_by=created_at:ASC,created_at:ASC",
            "order_by=id;DROP",
            "id=",
            "id=%3Cxx:a%3E",
            "id=a&id=b",
            "id=%00",
            "id=%FF",
            "%00=a",
            "identifier=%00",
            "identifier=%FF",
            "created_at=yesterday",
            "created_at=1724113247",
            "created_at=%3Clike:2024%25%3E",
        ];
        let of_users = [
            "status=unknown",
            "status=Active",
            "login_count=a",
            "login_count=%3Clike:1%25%3E",
            "login_count=%3Cne:1%3E&login_count=%3Cne:2%3E",
            "updated_at=a",
            "last_login_at=a",
        ];
        let of_events = [
            "order_by=user_agent:ASC",
            "ip_addr=%3Cgt:1%3E",
            "user_agent=%3Clt:1%3E",
            "user_id=",
            "type=",
        ];
        let calls = common
            .iter()
            .flat_map(|query| [("users", query), ("events", query)])
            .chain(of_users.iter().map(|query| ("users", query)))
            .chain(of_events.iter().map(|query| ("events", query)));
        for (list, query) in calls {
            let answer = app.manage(Method::GET, &format!("{list}?{query}")).await;
            assert_eq!(answer.status, 400, "{list}?{query}: {:?}", answer.body);
            answer.refuses(400, "invalid_request");
        }
        let long = "a".repeat(10_000);
        app.manage(Method::GET, &format!("users?id={long}"))
            .await
            .refuses(400, "invalid_request");
        for list in ["users", "events"] {
            for query in ["", "&&", "x=1&x=2", "=", "page=1&limit=500"] {
                let answer: Value = app.get(&format!("{list}?{query}")).await;
                assert_eq!(answer[list], json!([]));
            }
        }
    }
}
