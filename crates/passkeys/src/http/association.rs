//! The files of an app's domain, for anybody to read (passkey-flex section e).

use axum::{
    Json,
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};

use super::error;
use crate::{AppId, Failure, Passkeys, association::AssociationFile};

/// `GET /v1/apps/{app_id}/.well-known/…`: what a customer's domain proxies to.
pub(super) async fn of_app(
    passkeys: &Passkeys,
    path: Result<Path<String>, PathRejection>,
    file: AssociationFile,
) -> Result<Response, Failure> {
    // A path that cannot be decoded names no app.
    let app_id = path.ok().and_then(|Path(text)| AppId::parse(&text));
    let app = passkeys.get_app(app_id).await?;
    Ok(Json(file.content(&[app])).into_response())
}

/// `GET /.well-known/…`: the files of this server's own host, if that is the RP
/// ID of an app.
pub(super) async fn of_public_host(
    passkeys: &Passkeys,
    file: AssociationFile,
) -> Result<Response, Failure> {
    let apps = passkeys.list_apps_of_public_host().await?;
    if apps.is_empty() {
        return Ok(error::not_found());
    }
    Ok(Json(file.content(&apps)).into_response())
}
