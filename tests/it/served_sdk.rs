//! The browser SDK as every server hands it out. What it does in a browser is
//! the subject of `tests/browser/sdk.test.js`.

use acceptance::Server;
use reqwest::{Method, Response, header::HeaderMap};

const FILES: [&str; 2] = ["/sdk/passage-flex.js", "/sdk/passage-flex.mjs"];

async fn ask(server: &Server, method: Method, path: &str, known: Option<&str>) -> Response {
    let mut request = server
        .http
        .request(method, format!("{}{path}", server.url))
        .header("origin", "https://shop.example.com");
    if let Some(tags) = known {
        request = request.header("if-none-match", tags);
    }
    request.send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().unwrap()
}

#[tokio::test]
async fn a_page_of_any_origin_may_load_the_sdk() {
    let server = Server::start().await;
    for path in FILES {
        for method in [Method::GET, Method::HEAD] {
            let answer = ask(&server, method, path, None).await;
            assert_eq!(answer.status(), 200, "{path}");
            let headers = answer.headers();
            for (name, expected) in [
                ("content-type", "text/javascript; charset=utf-8"),
                ("access-control-allow-origin", "*"),
                ("cross-origin-resource-policy", "cross-origin"),
                ("cache-control", "public, max-age=3600"),
                ("x-content-type-options", "nosniff"),
            ] {
                assert_eq!(header(headers, name), expected, "{path}");
            }
        }
        let text = ask(&server, Method::GET, path, None)
            .await
            .text()
            .await
            .unwrap();
        let manifest = include_str!("../../sdks/browser/package.json");
        let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap();
        let name = manifest["name"].as_str().unwrap();
        let version = manifest["version"].as_str().unwrap();
        assert!(text.starts_with(&format!("/*! {name} {version}")), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_browser_has_already_is_not_sent_again() {
    let server = Server::start().await;
    let mut tags = Vec::new();
    for path in FILES {
        let first = ask(&server, Method::GET, path, None).await;
        let etag = header(first.headers(), "etag").to_owned();
        for known in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"other\", {etag}"),
            "*".to_owned(),
        ] {
            let answer = ask(&server, Method::GET, path, Some(&known)).await;
            assert_eq!(answer.status(), 304, "{path} {known}");
            assert_eq!(header(answer.headers(), "etag"), etag);
            assert_eq!(header(answer.headers(), "access-control-allow-origin"), "*");
            assert_eq!(answer.bytes().await.unwrap().len(), 0);
        }
        let answer = ask(&server, Method::GET, path, Some("\"other\"")).await;
        assert_eq!(answer.status(), 200, "{path}");
        tags.push(etag);
    }
    assert_ne!(tags[0], tags[1]);
    server.stop().await;
}

#[tokio::test]
async fn nothing_else_lies_beside_the_sdk() {
    let server = Server::start().await;
    for (method, path, status) in [
        (Method::POST, FILES[0], 405),
        (Method::GET, "/sdk/", 404),
        (Method::GET, "/sdk/passage-flex.d.ts", 404),
        (Method::GET, "/sdk/..%2fCargo.toml", 404),
    ] {
        let answer = ask(&server, method, path, None).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    server.stop().await;
}
