//! The whole URL map: which prefix belongs to which product.
//!
//! | path | product |
//! | --- | --- |
//! | `/v1/…` | passkeys: the Passkey Flex API |
//! | `/sdk/…` | the browser SDK as a script and a module |
//! | `/.well-known/…` | passkeys: who may use the passkeys of this server's own host |
//! | `POST /`, `OPTIONS /` | user pools: Amazon Cognito's JSON 1.1 API |
//! | `/{pool id}/.well-known/…` | user pools: key set and OpenID configuration |
//! | `/2015-03-31/…` and other dated paths | functions: AWS Lambda's API |
//! | `GET /` | a word to whoever opens this server in a browser |
//! | `/health` | whether this process can serve |

use axum::{
    Json, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;
use platform::Db;
use serde_json::json;

use crate::{middleware, sdk, serve::Products};

/// All routes of all products, behind the layers that every request passes.
pub fn router(products: &Products, db: Db) -> Router {
    let router = Router::new()
        .route("/", get(welcome))
        .route("/health", get(health))
        .with_state(db)
        .merge(sdk::router())
        .merge(products.passkeys.router())
        .merge(products.pools.router())
        .merge(products.functions.router())
        .fallback(not_found);
    middleware::wrap(router, products.trusted_proxies.clone())
}

async fn welcome() -> &'static str {
    concat!(
        "This is Claviger ",
        env!("CARGO_PKG_VERSION"),
        ". It serves programs, not browsers:\n\n",
        "  /v1                       Passkey Flex API\n",
        "  /sdk/passage-flex.mjs     the SDK for its pages; passage-flex.js is the plain script\n",
        "  POST /                    Amazon Cognito API (use as --endpoint-url)\n",
        "  /{pool id}/.well-known/   key sets and OpenID configuration\n",
        "  /2015-03-31/functions     AWS Lambda API (use as --endpoint-url)\n",
        "  /health                   whether it can serve\n",
    )
}

/// 200 once the database answers, else 503.
async fn health(State(db): State<Db>) -> Response {
    match db
        .read(async |tx| tx.row("SELECT 1 AS one", platform::values![]).await)
        .await
    {
        Ok(_) => Json(json!({"status": "ok"})).into_response(),
        Err(fault) => {
            tracing::error!(%fault, "the database does not answer");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({"status": "unavailable"})),
            )
                .into_response()
        }
    }
}

async fn not_found() -> Response {
    (
        StatusCode::NOT_FOUND,
        Json(json!({"code": "not_found", "error": "There is nothing at this address."})),
    )
        .into_response()
}
