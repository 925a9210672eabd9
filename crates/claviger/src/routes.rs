//! The whole URL map: which prefix belongs to which product.
//!
//! | path | product |
//! | --- | --- |
//! | `/v1/…` | passkeys: the Passkey Flex API |
//! | `POST /`, `OPTIONS /` | user pools: Amazon Cognito's JSON 1.1 API |
//! | `/{pool id}/.well-known/…` | user pools: key set and OpenID configuration |
//! | `/2015-03-31/…` and other dated paths | functions: AWS Lambda's API |
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

use crate::{middleware, serve::Products};

/// All routes of all products, behind the layers that every request passes.
pub fn router(products: &Products, db: Db) -> Router {
    let router = Router::new()
        .route("/health", get(health))
        .with_state(db)
        .merge(products.passkeys.router())
        .merge(products.pools.router())
        .merge(products.functions.router())
        .fallback(not_found);
    middleware::wrap(router)
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
