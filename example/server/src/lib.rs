//! The guide's example server: two routes between the web app, the user pool and the passkey service.
//!
//! It stands for the customer's own server, so it uses only what a customer has: the AWS SDK for the pool, a JWT
//! library for the pool's tokens, and the server SDK for passkeys. It knows nothing of Claviger.

mod access_token;
mod error;
mod key_set;
mod settings;
mod signup;
mod user_pool;
mod users;

use std::sync::Arc;

use access_token::AccessTokens;
use axum::Router;
use axum::http::{HeaderValue, Method, header};
use axum::routing::post;
use claviger_flex::PassageFlex;
use secrecy::ExposeSecret;
pub use settings::Settings;
use tower_http::cors::{AllowOrigin, CorsLayer};
use user_pool::UserPool;

/// What the routes share.
struct Server {
    access_tokens: AccessTokens,
    user_pool: UserPool,
    flex: PassageFlex,
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The passkey settings do not make a client.
    #[error("the PASSAGE_ settings do not work: {0}")]
    Passage(#[from] claviger_flex::Error),
    /// No HTTP client can be made, as on a machine without CA certificates.
    #[error("cannot set up HTTPS: {0}")]
    Http(#[from] reqwest::Error),
    /// The web app's origin cannot be one.
    #[error("the WEB_ORIGIN setting must be an http or https origin, not \"{0}\"")]
    WebOrigin(url::Url),
}

/// The server's routes, which only pages of the web app may call from a browser.
pub fn router(settings: &Settings) -> Result<Router, StartError> {
    let server = Server {
        access_tokens: AccessTokens::new(settings)?,
        user_pool: UserPool::new(settings),
        flex: PassageFlex::builder(
            &settings.passage_app_id,
            settings.passage_api_key.expose_secret(),
        )
        .base_url(&settings.passage_base_url)
        .build()?,
    };
    Ok(Router::new()
        .route("/signup/confirm", post(signup::confirm))
        .route("/users/add-passkey", post(users::add_passkey))
        .with_state(Arc::new(server))
        .layer(cors(settings)?))
}

fn cors(settings: &Settings) -> Result<CorsLayer, StartError> {
    let origin = settings.web_origin.origin();
    let header = HeaderValue::from_str(&origin.ascii_serialization())
        .ok()
        .filter(|_| origin.is_tuple());
    let origin = header.ok_or_else(|| StartError::WebOrigin(settings.web_origin.clone()))?;
    Ok(CorsLayer::new()
        .allow_origin(AllowOrigin::list([origin]))
        .allow_methods([Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION]))
}
