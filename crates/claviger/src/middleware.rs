//! What every request passes, whichever product it is for: a request id, its
//! caller's address, an access log line, a deadline for its body, a catch for our own panics, and
//! the headers that protect browsers.

use std::{any::Any, net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    middleware::map_request_with_state,
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, StatusCode, header};
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
    info_span!("request", id, method = %request.method(), route, operation)
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
