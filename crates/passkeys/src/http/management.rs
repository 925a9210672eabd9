//! What a customer's server calls, with an API key (passkey-flex section b).
//!
//! No CORS header here, so that an API key that ended up in a browser fails
//! early (section c.9).

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRequestParts, Path, State, rejection::PathRejection},
    http::{StatusCode, header::AUTHORIZATION, request::Parts},
    response::{IntoResponse, Response},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{body::Object, browser, query::Query, wire};
use crate::{
    App, AppId, DeviceId, EventId, EventQuery, Failure, Passkeys, Refusal, UserDetails, UserId,
    UserQuery, ids::TransactionId, transactions::DisplayName, users::ExternalId,
};

/// The app of the path, whose API key came with the request. A handler that asks
/// for it has checked the key before anything else, the body included.
pub(super) struct Authorized(pub(super) Arc<App>);

impl FromRequestParts<Passkeys> for Authorized {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        passkeys: &Passkeys,
    ) -> Result<Authorized, Failure> {
        // By position and not by name, because the rest of the path may hold
        // further ids, or what cannot be decoded.
        let app_id = parts.uri.path().split('/').nth(3).and_then(AppId::parse);
        let authorized = passkeys.authorize(app_id, bearer_token(parts)).await;
        if let Err(Failure::Refusal(Refusal::InvalidAccessToken)) = authorized {
            let address = browser::address(&parts.extensions);
            passkeys.limiters.count_wrong_api_key(address)?;
        }
        Ok(Authorized(authorized?))
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
        "authenticated_at": wire::time(finished.finished_at_ms)?,
    }))
    .into_response())
}

/// `GET …/users` (section b.6).
pub(super) async fn list_users(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    query: Query,
) -> Result<Response, Failure> {
    let page = passkeys
        .list_users(&app.id, &UserQuery::parse(&query.pairs)?)
        .await?;
    let users: Vec<Value> = page
        .users
        .iter()
        .map(|user| wire::user(user).map(Value::Object))
        .collect::<Result<_, _>>()?;
    Ok(Json(json!({
        "_links": query.links(page.page, page.limit, page.total, page.created_before_s),
        "created_before": page.created_before_s,
        "limit": page.limit,
        "page": page.page,
        "total_users": page.total,
        "users": users,
    }))
    .into_response())
}

/// `GET …/users/{user_id}` (section b.7).
pub(super) async fn get_user(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let id = user_id(path)?;
    let details = passkeys
        .find_user(&app.id, &id)
        .await?
        .ok_or(Refusal::UserNotFound)?;
    user_answer(&passkeys, &details)
}

/// `PATCH …/users/{user_id}/activate` (section b.9).
pub(super) async fn activate_user(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    user_answer(
        &passkeys,
        &passkeys.activate_user(&app.id, &user_id(path)?).await?,
    )
}

/// `PATCH …/users/{user_id}/deactivate` (section b.9).
pub(super) async fn deactivate_user(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    user_answer(
        &passkeys,
        &passkeys.deactivate_user(&app.id, &user_id(path)?).await?,
    )
}

/// `DELETE …/users/{user_id}` (section b.9).
pub(super) async fn delete_user(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    passkeys.delete_user(&app.id, &user_id(path)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET …/users/{user_id}/devices` (section b.8).
pub(super) async fn list_devices(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let devices = passkeys.list_devices(&app.id, &user_id(path)?).await?;
    Ok(
        Json(json!({"devices": wire::devices(&devices, &passkeys.authenticators)?}))
            .into_response(),
    )
}

/// `DELETE …/users/{user_id}/devices/{device_id}` (section b.8).
pub(super) async fn revoke_device(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    // A path that cannot be decoded names nothing.
    let Path((_, user_id, device_id)) = path.map_err(|_| Refusal::DeviceNotFound)?;
    let user_id = UserId::parse(&user_id).ok_or(Refusal::UserNotFound)?;
    let device_id = DeviceId::parse(&device_id).ok_or(Refusal::DeviceNotFound)?;
    passkeys
        .revoke_device(&app.id, &user_id, &device_id)
        .await?;
    Ok(StatusCode::OK.into_response())
}

/// `GET …/events` (section b.9).
pub(super) async fn list_events(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    query: Query,
) -> Result<Response, Failure> {
    let page = passkeys
        .list_events(&app.id, &EventQuery::parse(&query.pairs)?)
        .await?;
    let events: Vec<Value> = page
        .events
        .iter()
        .map(wire::event)
        .collect::<Result<_, _>>()?;
    Ok(Json(json!({
        "_links": query.links(page.page, page.limit, page.total, page.created_before_s),
        "created_before": page.created_before_s,
        "events": events,
        "limit": page.limit,
        "page": page.page,
        "total_events": page.total,
    }))
    .into_response())
}

/// `GET …/events/{event_id}` (section b.9).
pub(super) async fn get_event(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    // A path that cannot be decoded names nothing.
    let id = path
        .ok()
        .and_then(|Path((_, id))| EventId::parse(&id))
        .ok_or(Refusal::EventNotFound)?;
    let event = passkeys
        .find_event(&app.id, &id)
        .await?
        .ok_or(Refusal::EventNotFound)?;
    Ok(Json(json!({"event": wire::event(&event)?})).into_response())
}

/// The user that a path names. One that cannot be decoded names nobody.
fn user_id(path: Result<Path<(String, String)>, PathRejection>) -> Result<UserId, Refusal> {
    path.ok()
        .and_then(|Path((_, id))| UserId::parse(&id))
        .ok_or(Refusal::UserNotFound)
}

fn user_answer(passkeys: &Passkeys, details: &UserDetails) -> Result<Response, Failure> {
    Ok(Json(json!({"user": wire::user_info(details, &passkeys.authenticators)?})).into_response())
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
