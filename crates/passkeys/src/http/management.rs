//! What a customer's server calls, with an API key (passkey-flex section b).
//!
//! No CORS header here, so that an API key that ended up in a browser fails
//! early (section c.9).

use axum::{
    Json,
    extract::{FromRequestParts, Path, State},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::SecretString;
use serde_json::json;

use super::body::Object;
use crate::{
    App, AppId, Failure, Passkeys, ids::TransactionId, transactions::DisplayName, users::ExternalId,
};

/// The app of the path, whose API key came with the request. A handler that asks
/// for it has checked the key before anything else, the body included.
pub(super) struct Authorized(App);

impl FromRequestParts<Passkeys> for Authorized {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        passkeys: &Passkeys,
    ) -> Result<Authorized, Failure> {
        // A path that cannot be decoded names no app.
        let app_id = Path::<String>::from_request_parts(parts, passkeys)
            .await
            .ok()
            .and_then(|Path(text)| AppId::parse(&text));
        Ok(Authorized(
            passkeys.authorize(app_id, bearer_token(parts)).await?,
        ))
    }
}

/// `POST …/transactions/register` (section b.3).
pub(super) async fn create_register_transaction(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let external_id = ExternalId::parse(body.text("external_id")?)?;
    let display_name = DisplayName::parse(body.text("passkey_display_name")?)?;
    let id = passkeys
        .create_register_transaction(app, external_id, display_name)
        .await?;
    Ok(created(&id))
}

/// `POST …/transactions/authenticate` (section b.4).
pub(super) async fn create_authenticate_transaction(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let external_id = ExternalId::parse(body.text("external_id")?)?;
    let id = passkeys
        .create_authenticate_transaction(app, external_id)
        .await?;
    Ok(created(&id))
}

/// `POST …/authenticate/verify` (section b.5).
pub(super) async fn verify_nonce(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let nonce = SecretString::from(body.text("nonce")?);
    let finished = passkeys.redeem_nonce(&app.id, &nonce).await?;
    Ok(Json(json!({
        "external_id": finished.external_id,
        "type": finished.ceremony.as_str(),
        "transaction_id": finished.transaction_id,
        "device_id": finished.device_id,
        "user_verified": finished.user_verified,
        "authenticated_at": wire_time(finished.finished_at_ms)?,
    }))
    .into_response())
}

fn created(id: &TransactionId) -> Response {
    (StatusCode::CREATED, Json(json!({"transaction_id": id}))).into_response()
}

fn bearer_token(parts: &Parts) -> Option<&str> {
    let (scheme, token) = parts
        .headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_ascii())
}

/// RFC 3339 in UTC with six fractional digits (section b.1).
fn wire_time(at_ms: i64) -> Result<String, platform::Fault> {
    let time = jiff::Timestamp::from_millisecond(at_ms)
        .map_err(|error| platform::Fault::while_doing("writing a time", error))?;
    Ok(format!("{time:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_fractional_digits_and_end_in_z() {
        assert_eq!(
            wire_time(1_724_113_247_500).unwrap(),
            "2024-08-20T00:20:47.500000Z"
        );
    }
}
