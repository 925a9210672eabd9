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
use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::{
    body::Object,
    browser,
    openapi::{MANAGEMENT, refusals},
    query::Query,
    requests::{
        EventListQuery, NewAuthenticateTransaction, NewRegisterTransaction, NonceToVerify,
        PageQuery, UserListQuery,
    },
    wire::{
        self, CreatedTransaction, DeviceList, EventAnswer, EventList, UserAnswer, UserInfo,
        UserList, VerifiedNonce,
    },
};
use crate::{
    App, AppId, DeviceId, EventId, EventQuery, Failure, Passkeys, Refusal, UserDetails, UserId,
    UserQuery, events::info::EventInfo, ids::TransactionId, transactions::DisplayName,
    users::ExternalId,
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
        let app_id = parts
            .uri
            .path()
            .split('/')
            .nth(3)
            .and_then(|segment| percent_decode_str(segment).decode_utf8().ok())
            .and_then(|text| AppId::parse(&text));
        let authorized = passkeys.authorize(app_id, bearer_token(parts)).await;
        if let Err(Failure::Refusal(Refusal::InvalidAccessToken)) = authorized {
            let address = browser::address(&parts.extensions);
            passkeys.limiters.count_wrong_api_key(address)?;
        }
        Ok(Authorized(authorized?))
    }
}

/// Permit one registration
///
/// The transaction lets a browser or app make one passkey for this external id. The user comes to be when
/// the registration starts (section b.3).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/transactions/register", tag = MANAGEMENT,
    request_body = NewRegisterTransaction,
    responses((status = 201, description = "The transaction, to be handed to the browser or app.", body = CreatedTransaction)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::CannotCreateTransaction, Refusal::SignUpIsOff])))),
)]
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
    Ok(created(id))
}

/// Permit one login of a user
///
/// The transaction lets a browser or app use one of the passkeys of this user (section b.4).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/transactions/authenticate", tag = MANAGEMENT,
    request_body = NewAuthenticateTransaction,
    responses((status = 201, description = "The transaction, to be handed to the browser or app.", body = CreatedTransaction)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::CannotCreateTransaction, Refusal::UserNotFound, Refusal::UserHasNoPasskeys])))),
)]
pub(super) async fn create_authenticate_transaction(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let external_id = ExternalId::parse(body.text("external_id")?)?;
    let id = passkeys
        .create_authenticate_transaction(app, external_id)
        .await?;
    Ok(created(id))
}

/// Redeem a nonce
///
/// Says whose passkey was made or used. A nonce can be redeemed once; one that is unknown, expired or
/// redeemed is refused in the same words (section b.5).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/authenticate/verify", tag = MANAGEMENT,
    request_body = NonceToVerify,
    responses((status = 200, description = "The ceremony that the nonce proves.", body = VerifiedNonce)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::InvalidNonce])))),
)]
pub(super) async fn verify_nonce(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let nonce = SecretString::from(body.text("nonce")?);
    let finished = passkeys.redeem_nonce(&app.id, &nonce).await?;
    Ok(Json(VerifiedNonce::new(finished)?).into_response())
}

/// List users
///
/// Filters that are given must all hold. No match is an empty list (section b.6).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/users", tag = MANAGEMENT,
    params(PageQuery, UserListQuery),
    responses((status = 200, description = "One page.", body = UserList)),
)]
pub(super) async fn list_users(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    query: Query,
) -> Result<Response, Failure> {
    let page = passkeys
        .list_users(&app.id, &UserQuery::parse(&query.pairs)?)
        .await?;
    let links = query.links(page.page, page.limit, page.total, page.created_before_s);
    Ok(Json(UserList::new(&page, links)?).into_response())
}

/// Get a user
///
/// With devices and recent events (section b.7).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/users/{user_id}", tag = MANAGEMENT,
    responses((status = 200, description = "The user.", body = UserAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound])))),
)]
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

/// Activate a user
///
/// Lifts a deactivation (section b.9).
#[utoipa::path(
    patch, path = "/v1/apps/{app_id}/users/{user_id}/activate", tag = MANAGEMENT,
    responses((status = 200, description = "The user, as it is now.", body = UserAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound])))),
)]
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

/// Deactivate a user
///
/// From now on no passkey of the user is accepted (section b.9).
#[utoipa::path(
    patch, path = "/v1/apps/{app_id}/users/{user_id}/deactivate", tag = MANAGEMENT,
    responses((status = 200, description = "The user, as it is now.", body = UserAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound])))),
)]
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

/// Delete a user
///
/// With all devices; events stay. Without a trailing slash only (section b.9).
#[utoipa::path(
    delete, path = "/v1/apps/{app_id}/users/{user_id}", tag = MANAGEMENT,
    responses((status = 200, description = "Gone. No body.")),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound])))),
)]
pub(super) async fn delete_user(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    passkeys.delete_user(&app.id, &user_id(path)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// List the devices of a user
///
/// Each is one passkey (section b.8).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/users/{user_id}/devices", tag = MANAGEMENT,
    responses((status = 200, description = "The devices.", body = DeviceList)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound])))),
)]
pub(super) async fn list_devices(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let devices = passkeys.list_devices(&app.id, &user_id(path)?).await?;
    let devices = wire::devices(&devices, &passkeys.authenticators)?;
    Ok(Json(DeviceList { devices }).into_response())
}

/// Revoke a device
///
/// Its passkey is accepted no more. The user stays, even without devices (section b.8).
#[utoipa::path(
    delete, path = "/v1/apps/{app_id}/users/{user_id}/devices/{device_id}", tag = MANAGEMENT,
    responses((status = 200, description = "Gone. No body.")),
    extensions(("x-refusals" = json!(refusals(&[Refusal::UserNotFound, Refusal::DeviceNotFound])))),
)]
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

/// List events
///
/// Filters that are given must all hold. No match is an empty list (section b.9).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/events", tag = MANAGEMENT,
    params(PageQuery, EventListQuery),
    responses((status = 200, description = "One page.", body = EventList)),
)]
pub(super) async fn list_events(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    query: Query,
) -> Result<Response, Failure> {
    let page = passkeys
        .list_events(&app.id, &EventQuery::parse(&query.pairs)?)
        .await?;
    let links = query.links(page.page, page.limit, page.total, page.created_before_s);
    Ok(Json(EventList::new(&page, links)?).into_response())
}

/// Get an event
///
/// One ceremony, from its start to its end (section b.9).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/events/{event_id}", tag = MANAGEMENT,
    responses((status = 200, description = "The event.", body = EventAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::EventNotFound])))),
)]
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
    let event = EventInfo::new(&event)?;
    Ok(Json(EventAnswer { event }).into_response())
}

/// The user that a path names. One that cannot be decoded names nobody.
fn user_id(path: Result<Path<(String, String)>, PathRejection>) -> Result<UserId, Refusal> {
    path.ok()
        .and_then(|Path((_, id))| UserId::parse(&id))
        .ok_or(Refusal::UserNotFound)
}

fn user_answer(passkeys: &Passkeys, details: &UserDetails) -> Result<Response, Failure> {
    let user = UserInfo::new(details, &passkeys.authenticators)?;
    Ok(Json(UserAnswer { user }).into_response())
}

fn created(transaction_id: TransactionId) -> Response {
    (
        StatusCode::CREATED,
        Json(CreatedTransaction { transaction_id }),
    )
        .into_response()
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
