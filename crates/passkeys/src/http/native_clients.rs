//! The native apps of an app (passkey-flex sections b.2 and e).

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{body::Object, management::Authorized, wire};
use crate::{Failure, NativeClientId, NativeSoftware, Passkeys, Refusal};

/// `GET …/native-clients`.
pub(super) async fn list_native_clients(Authorized(app): Authorized) -> Result<Response, Failure> {
    let clients: Vec<Value> = app
        .native_clients
        .iter()
        .map(wire::native_client)
        .collect::<Result<_, _>>()?;
    Ok(Json(json!({"native_clients": clients})).into_response())
}

/// `POST …/native-clients`.
pub(super) async fn create_native_client(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let client = passkeys
        .create_native_client(&app.id, software(&body)?)
        .await?;
    let answer = Json(json!({"native_client": wire::native_client(&client)?}));
    Ok((StatusCode::CREATED, answer).into_response())
}

/// `GET …/native-clients/{native_client_id}`.
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
    Ok(Json(json!({"native_client": wire::native_client(client)?})).into_response())
}

/// `DELETE …/native-clients/{native_client_id}`.
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
