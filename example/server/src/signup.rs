//! `POST /signup/confirm`: ends a sign-up without a confirmation code.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Server;
use crate::error::ApiError;

#[derive(Deserialize)]
pub(crate) struct Confirm {
    email: String,
}

/// Confirms the user and marks the address as verified, so that the guide can be walked with any made-up address.
///
/// **Not for production**: anybody may confirm any address, and nobody proved that it is theirs. A real app lets the
/// pool send a code and calls `ConfirmSignUp` with it.
pub(crate) async fn confirm(
    State(server): State<Arc<Server>>,
    body: Result<Json<Confirm>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(Confirm { email }) = body?;
    if email.is_empty() {
        return Err(ApiError::BadRequest(
            "The e-mail address is missing.".to_owned(),
        ));
    }
    server.user_pool.confirm_sign_up(&email).await?;
    server.user_pool.verify_email(&email).await?;
    Ok(Json(json!({})))
}
