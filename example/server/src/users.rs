//! `POST /users/add-passkey`: permits the signed-in user to register a passkey.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde::Serialize;

use crate::Server;
use crate::error::ApiError;

/// What the web app hands to the browser SDK.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permission {
    transaction_id: String,
}

/// Makes a register transaction for the owner of the access token. The pool's `sub` is the external id, for it never
/// changes; the e-mail address is the passkey's label.
///
/// A passkey is a way to sign in for good, so the pool is asked about the user as they are now: a token outlives the
/// deletion of its user.
pub(crate) async fn add_passkey(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
) -> Result<Json<Permission>, ApiError> {
    let token = bearer_token(&headers).ok_or(ApiError::Unauthorized(
        "An access token is needed: send it as `Authorization: Bearer …`.",
    ))?;
    let claims = server.access_tokens.verify(token).await?;
    let user = match server.user_pool.get_user(&claims.username).await {
        Err(ApiError::UserNotFound) => return Err(GONE),
        user => user?,
    };
    // The name may belong to somebody else by now; the `sub` never does.
    if !user.is_enabled || user.sub.as_deref() != Some(&claims.sub) {
        return Err(GONE);
    }
    let email = user.email.ok_or_else(|| {
        ApiError::BadRequest("The user has no e-mail address to label the passkey with.".to_owned())
    })?;
    let transaction_id = server
        .flex
        .auth
        .create_register_transaction(claims.sub, email)
        .await?;
    Ok(Json(Permission { transaction_id }))
}

const GONE: ApiError = ApiError::Unauthorized("The user of this access token is gone or disabled.");

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}
