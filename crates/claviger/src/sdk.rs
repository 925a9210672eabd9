//! The browser SDK as this server hands it out, so that a page needs no package
//! and no address but ours: one script and one ES module.
//!
//! The files are made from `sdks/browser` by its `bundle.js` and committed;
//! `cargo xtask test` fails when they are stale. The API itself is the passkeys'.

use std::{
    hash::{DefaultHasher, Hasher as _},
    sync::LazyLock,
};

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// A file that pages load.
struct File {
    text: &'static str,
    /// Says nothing but whether the text is the same; so 64 bits that nobody keeps secret will do.
    etag: HeaderValue,
}

static SCRIPT: LazyLock<File> = LazyLock::new(|| File::new(include_str!("../sdk/passage-flex.js")));
static MODULE: LazyLock<File> =
    LazyLock::new(|| File::new(include_str!("../sdk/passage-flex.mjs")));

/// `/sdk/passage-flex.js` leaves the global `PassageFlex`; `/sdk/passage-flex.mjs` is to be imported.
///
/// Both take the API at `../v1` for their own, so they and `/v1` belong under one address.
pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/sdk/passage-flex.js", get(script))
        .route("/sdk/passage-flex.mjs", get(module))
}

async fn script(headers: HeaderMap) -> Response {
    SCRIPT.serve(&headers)
}

async fn module(headers: HeaderMap) -> Response {
    MODULE.serve(&headers)
}

impl File {
    fn new(text: &'static str) -> File {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        let etag = format!("\"{:016x}\"", hasher.finish());
        File {
            text,
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits in quotes"),
        }
    }

    /// The file, or word that the caller has it.
    fn serve(&self, request: &HeaderMap) -> Response {
        let headers = [
            (header::ETAG, self.etag.clone()),
            // Long enough to spare most page views a request, short enough for a cure to arrive.
            (header::CACHE_CONTROL, value("public, max-age=3600")),
            // Public, and the same for everybody: pages of any origin load it, isolated ones included.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, value("*")),
            (
                header::HeaderName::from_static("cross-origin-resource-policy"),
                value("cross-origin"),
            ),
        ];
        if self.is_known_to(request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = (
            header::CONTENT_TYPE,
            value("text/javascript; charset=utf-8"),
        );
        (headers, [content_type], self.text).into_response()
    }

    /// RFC 9110, section 13.1.2: a list of tags, compared weakly.
    fn is_known_to(&self, request: &HeaderMap) -> bool {
        request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag)
    }
}

fn value(text: &'static str) -> HeaderValue {
    HeaderValue::from_static(text)
}
