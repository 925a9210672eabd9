//! The public documents of a pool: its key set and its OpenID configuration (`cognito.md` §13).

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use platform::Fault;
use serde_json::{Value, json};

use crate::UserPools;

const KEY_SET_CACHING: HeaderValue = HeaderValue::from_static("public, max-age=86400");

pub(super) async fn jwks(State(pools): State<UserPools>, Path(pool_id): Path<String>) -> Response {
    match pools.key_set(&pool_id).await {
        Ok(Some(keys)) => {
            let mut response = document(StatusCode::OK, keys);
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, KEY_SET_CACHING);
            response
        }
        Ok(None) => not_found(&pool_id),
        Err(fault) => failed(&fault),
    }
}

pub(super) async fn openid_configuration(
    State(pools): State<UserPools>,
    Path(pool_id): Path<String>,
) -> Response {
    match pools.find_user_pool(&pool_id).await {
        Ok(Some(pool)) => document(StatusCode::OK, configuration(&pools, &pool.id)),
        Ok(None) => not_found(&pool_id),
        Err(fault) => failed(&fault),
    }
}

fn configuration(pools: &UserPools, pool_id: &str) -> Value {
    let issuer = pools.issuer(pool_id);
    let here = format!("{}/{pool_id}", pools.0.settings.public_url);
    json!({
        "authorization_endpoint": format!("{here}/oauth2/authorize"),
        "end_session_endpoint": format!("{here}/logout"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "issuer": issuer,
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code", "token"],
        "revocation_endpoint": format!("{here}/oauth2/revoke"),
        "scopes_supported": ["openid", "email", "phone", "profile"],
        "subject_types_supported": ["public"],
        "token_endpoint": format!("{here}/oauth2/token"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "userinfo_endpoint": format!("{here}/oauth2/userInfo"),
    })
}

fn not_found(pool_id: &str) -> Response {
    let message = format!("User pool {pool_id} does not exist.");
    document(StatusCode::NOT_FOUND, json!({ "message": message }))
}

fn failed(fault: &Fault) -> Response {
    tracing::error!(%fault, "a public document of a user pool failed");
    let message = "Internal server error";
    document(
        StatusCode::INTERNAL_SERVER_ERROR,
        json!({ "message": message }),
    )
}

fn document(status: StatusCode, body: Value) -> Response {
    let mut response = (status, Json(body)).into_response();
    response.headers_mut().insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    response
}
