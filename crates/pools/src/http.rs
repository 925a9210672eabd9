//! The HTTP doors: the JSON 1.1 API at `/` and the public documents of each pool under
//! `/{pool id}/.well-known/` (`cognito.md` §1, §13).
//!
//! What does not live here: what operations do. Each reads its input in a file of `operations` and
//! calls the handle.

mod error;
mod operations;
mod page;
mod well_known;

use aws_protocol::{
    json11::{self, Answer},
    sigv4::SignedRequest,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, OriginalUri, State, rejection::BytesRejection},
    http::{HeaderMap, Method, header},
    response::Response,
    routing::{get, post},
};
use serde_json::{Map, Value};

use crate::{Error, UserPools, auth::attempt::Caller};
use operations::Handler;

/// The service's name in targets.
const SERVICE: &str = "AWSCognitoIdentityProviderService";

/// Far above any request of the API, whose largest member is a map of texts.
const BODY_SIZE_MAX: usize = 1024 * 1024;

impl UserPools {
    /// `POST /`, `OPTIONS /`, `GET /{pool_id}/.well-known/jwks.json` and
    /// `GET /{pool_id}/.well-known/openid-configuration`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/", post(call).options(preflight))
            .route("/{pool_id}/.well-known/jwks.json", get(well_known::jwks))
            .route(
                "/{pool_id}/.well-known/openid-configuration",
                get(well_known::openid_configuration),
            )
            .layer(DefaultBodyLimit::max(BODY_SIZE_MAX))
            .with_state(self.clone())
    }
}

async fn preflight(State(pools): State<UserPools>, headers: HeaderMap) -> Response {
    send(json11::preflight(&headers, &request_id(&pools)))
}

async fn call(
    State(pools): State<UserPools>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request_id = request_id(&pools);
    // A body that is too large or broken off cannot be read as JSON.
    let body = body.unwrap_or_default();
    let signed = SignedRequest {
        method: method.as_str(),
        host: headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .unwrap_or_default(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let mut answer = match json11::operation(&headers, SERVICE) {
        Some(name) => run(&pools, name, &signed, &request_id).await,
        None => json11::unknown_operation(&request_id),
    };
    json11::allow_any_origin(answer.headers_mut());
    send(answer)
}

async fn run(
    pools: &UserPools,
    name: &str,
    request: &SignedRequest<'_>,
    request_id: &str,
) -> Answer {
    let Some(operation) = operations::find(name) else {
        return match operations::is_known(name) {
            true => error::answer(&error::not_supported(name), name, request_id),
            false => json11::unknown_operation(request_id),
        };
    };
    let input = || json11::body(request.body).map_err(Error::from);
    let output = match operation.handler {
        Handler::Signed(handler) => {
            let organization = match pools.0.accounts.authorize(request, "cognito-idp").await {
                Ok(organization) => organization,
                Err(unauthorized) => {
                    return error::answer_unauthorized(&unauthorized, name, request_id);
                }
            };
            match input() {
                Ok(input) => handler(pools.clone(), organization, caller(request), input).await,
                Err(error) => Err(error),
            }
        }
        Handler::Open(handler) => match input() {
            Ok(input) => handler(pools.clone(), caller(request), input).await,
            Err(error) => Err(error),
        },
    };
    match output {
        Ok(Some(output)) => json11::success(&output, request_id),
        Ok(None) => json11::success_without_output(request_id),
        Err(error) => error::answer(&error, name, request_id),
    }
}

/// The input of an operation, before it is read.
type Object = Map<String, Value>;

fn caller(request: &SignedRequest<'_>) -> Caller {
    // A browser cannot set its user agent; its SDK says who it is in the other header.
    let agents = ["x-amz-user-agent", "user-agent"];
    let sdk_version = agents
        .into_iter()
        .filter_map(|name| request.headers.get(name)?.to_str().ok())
        .find_map(sdk_version)
        .unwrap_or_else(|| "aws-sdk-unknown-unknown".to_owned());
    Caller::new(sdk_version)
}

/// `aws-sdk-js-3.900.0` of a user agent with `aws-sdk-js/3.900.0`.
fn sdk_version(agent: &str) -> Option<String> {
    let (name, version) = agent
        .split_ascii_whitespace()
        .find(|word| word.starts_with("aws-sdk-"))?
        .split_once('/')?;
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    (is_plain(name) && is_plain(version)).then(|| format!("{name}-{version}"))
}

fn request_id(pools: &UserPools) -> String {
    pools.0.platform.entropy.uuid().to_string()
}

fn send(answer: Answer) -> Response {
    answer.map(Body::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_is_read_from_a_user_agent() {
        for (agent, expected) in [
            (
                "aws-sdk-js/3.936.0 ua/2.1 os/macOS lang/js",
                Some("aws-sdk-js-3.936.0"),
            ),
            ("Mozilla/5.0 (X11) aws-sdk-js/3.1", Some("aws-sdk-js-3.1")),
            ("Boto3/1.40 Botocore/1.40", None),
            ("aws-sdk-js", None),
            ("aws-sdk-js/\"x\"", None),
        ] {
            assert_eq!(sdk_version(agent).as_deref(), expected, "{agent}");
        }
    }
}
