//! What every request passes, whichever product it is for: a request id, its
//! caller's address, an access log line that names the SDK which called, a
//! deadline for its body, a catch for our own panics, and the headers that
//! protect browsers.

use std::{any::Any, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::map_request_with_state,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    set_header::SetResponseHeaderLayer,
    timeout::RequestBodyTimeoutLayer,
    trace::{DefaultOnResponse, TraceLayer},
};
use tracing::{Level, Span, info_span};

use crate::proxies::TrustedProxies;

/// How long a client may stay silent in the middle of a body.
const BODY_SILENCE_MAX: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What SDKs for servers name themselves in.
const VERSION: HeaderName = HeaderName::from_static("passage-version");
/// What SDKs for browsers and apps name themselves in.
const FLEX_VERSION: HeaderName = HeaderName::from_static("passage-flex-version");
const CLIENT_BYTES_MAX: usize = 128;

/// Puts the common layers around all routes.
pub(crate) fn wrap(router: Router, trusted_proxies: TrustedProxies) -> Router {
    // One layer of several, the outermost first: each layer of a router costs every request
    // allocations of its own.
    let common = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(span)
                .on_response(DefaultOnResponse::new().level(Level::INFO))
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CACHE_CONTROL,
            HeaderValue::from_static("no-store"),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestBodyTimeoutLayer::new(BODY_SILENCE_MAX));
    router
        .layer(map_request_with_state(trusted_proxies, name_caller))
        .layer(common)
}

/// Puts the caller's address in the place of the socket's, for whoever asks
/// later: no product has to know of proxies, and none can take the wrong one.
/// The port of a caller behind a proxy is not known and said to be 0.
async fn name_caller(
    State(trusted_proxies): State<TrustedProxies>,
    mut request: Request,
) -> Request {
    if let Some(&ConnectInfo::<SocketAddr>(peer)) = request.extensions().get() {
        let caller = trusted_proxies.caller(peer.ip(), request.headers());
        if caller != peer.ip() {
            let named = ConnectInfo(SocketAddr::new(caller, 0));
            request.extensions_mut().insert(named);
        }
    }
    request
}

/// The route's pattern and not the path, which may hold ids; never the query, which may hold secrets.
fn span(request: &Request<Body>) -> Span {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str);
    let operation = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.rsplit('.').next())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let id = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|id| id.to_str().ok());
    let client = client(request.headers());
    info_span!("request", id, method = %request.method(), route, operation, client)
}

/// The SDK that calls and its version, as it says itself (passkey-flex sections b.1
/// and c.1). Believed by nobody, asked of nobody; cut to what fits a log.
fn client(headers: &HeaderMap) -> Option<&str> {
    let name = [FLEX_VERSION, VERSION]
        .iter()
        .find_map(|name| headers.get(name))?
        .to_str()
        .ok()?
        .trim_ascii();
    let is_plain = !name.is_empty() && name.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_plain.then(|| &name[..name.len().min(CLIENT_BYTES_MAX)])
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(message, "a request handler panicked");
    (
        StatusCode::INTERNAL_SERVER_ERROR,
        axum::Json(serde_json::json!({
            "code": "internal_server_error",
            "error": "Something went wrong on our side.",
        })),
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use axum::routing::get;
    use tower::ServiceExt as _;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// A log in memory.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Log {
        type Writer = Log;

        fn make_writer(&self) -> Log {
            self.clone()
        }
    }

    /// The access log's lines of one request with these headers.
    async fn logged(headers: &[(&str, &[u8])]) -> String {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(log.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let router = wrap(
            Router::new().route("/v1/apps", get(|| async {})),
            TrustedProxies::default(),
        );
        let mut request = Request::builder().uri("/v1/apps");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        assert_eq!(router.oneshot(request).await.unwrap().status(), 200);
        let lines = log.0.lock().unwrap().clone();
        String::from_utf8(lines).unwrap()
    }

    #[tokio::test]
    async fn the_access_log_names_the_sdk_that_called() {
        let long = [b'a'; 1_000];
        let cut = format!("client=\"{}\"}}", "a".repeat(128));
        for (headers, expected) in [
            (
                &[("Passage-Version", &b"passage-flex-node v0.0.0"[..])][..],
                "client=\"passage-flex-node v0.0.0\"",
            ),
            (
                &[(
                    "Passage-Flex-Version",
                    b"@passageidentity/passage-flex-js 1.0.2",
                )],
                "client=\"@passageidentity/passage-flex-js 1.0.2\"",
            ),
            (
                &[("passage-version", b"a"), ("passage-flex-version", b"b")],
                "client=\"b\"",
            ),
            // Nothing that looks like more than one value.
            (
                &[("passage-version", b"a\" route=\"x")],
                "client=\"a\\\" route=\\\"x\"",
            ),
            (&[("passage-version", &long)], &cut),
        ] {
            let line = logged(headers).await;
            assert!(line.contains(expected), "{line}");
        }
        for nothing in [
            &[][..],
            &[("passage-version", &b""[..])],
            &[("passage-version", b"a\tb")],
            &[("passage-version", b"\xff")],
            &[("user-agent", b"passage")],
        ] {
            let line = logged(nothing).await;
            assert!(line.contains("route=\"/v1/apps\""), "{line}");
            assert!(!line.contains("client"), "{line}");
        }
    }
}
