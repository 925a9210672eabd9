//! The native apps of an app (passkey-flex sections b.2 and e).

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use super::{
    body::Object,
    management::Authorized,
    openapi::{MANAGEMENT, refusals},
    wire::{NativeClientAnswer, NativeClientInfo, NativeClientList},
};
use crate::{Failure, NativeClient, NativeClientId, NativeSoftware, Passkeys, Refusal};

/// List the native apps
///
/// Apps for phones and computers that may use the passkeys of this app (section e).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/native-clients", tag = MANAGEMENT,
    responses((status = 200, description = "The native apps.", body = NativeClientList)),
)]
pub(super) async fn list_native_clients(Authorized(app): Authorized) -> Result<Response, Failure> {
    let native_clients = app
        .native_clients
        .iter()
        .map(NativeClientInfo::new)
        .collect::<Result<_, _>>()?;
    Ok(Json(NativeClientList { native_clients }).into_response())
}

/// Add a native app
///
/// From now on it may run ceremonies, and is named in the association files (section e).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/native-clients", tag = MANAGEMENT,
    request_body = NativeSoftware,
    responses((status = 201, description = "The native app.", body = NativeClientAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::NativeClientAlreadyExists])))),
)]
pub(super) async fn create_native_client(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let client = passkeys
        .create_native_client(&app.id, software(&body)?)
        .await?;
    Ok((StatusCode::CREATED, answer(&client)?).into_response())
}

/// Get a native app
///
/// As the list shows it (section e).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/native-clients/{native_client_id}", tag = MANAGEMENT,
    responses((status = 200, description = "The native app.", body = NativeClientAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::NativeClientNotFound])))),
)]
pub(super) async fn get_native_client(
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    let id = native_client_id(path)?;
    let client = app
        .native_clients
        .iter()
        .find(|client| client.id == id)
        .ok_or(Refusal::NativeClientNotFound)?;
    Ok(answer(client)?.into_response())
}

/// Remove a native app
///
/// What it signs is refused from now on (section e).
#[utoipa::path(
    delete, path = "/v1/apps/{app_id}/native-clients/{native_client_id}", tag = MANAGEMENT,
    responses((status = 200, description = "Gone. No body.")),
    extensions(("x-refusals" = json!(refusals(&[Refusal::NativeClientNotFound])))),
)]
pub(super) async fn delete_native_client(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Failure> {
    passkeys
        .delete_native_client(&app.id, &native_client_id(path)?)
        .await?;
    Ok(StatusCode::OK.into_response())
}

fn answer(client: &NativeClient) -> Result<Json<NativeClientAnswer>, Failure> {
    let native_client = NativeClientInfo::new(client)?;
    Ok(Json(NativeClientAnswer { native_client }))
}

fn software(body: &Object) -> Result<NativeSoftware, Refusal> {
    match body.text("platform")? {
        "android" => Ok(NativeSoftware::Android {
            package_name: body.text("package_name")?.to_owned(),
            sha256_cert_fingerprints: body
                .optional_list("sha256_cert_fingerprints", |text| {
                    text.parse().map_err(|error| format!("{text:?}: {error}"))
                })?
                .unwrap_or_default(),
        }),
        "apple" => Ok(NativeSoftware::Apple {
            team_id: body.text("team_id")?.to_owned(),
            bundle_id: body.text("bundle_id")?.to_owned(),
        }),
        _ => Err(Refusal::InvalidRequest(
            "platform must be android or apple.".into(),
        )),
    }
}

/// A path that cannot be decoded names nothing.
fn native_client_id(
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<NativeClientId, Refusal> {
    path.ok()
        .and_then(|Path((_, id))| NativeClientId::parse(&id))
        .ok_or(Refusal::NativeClientNotFound)
}
