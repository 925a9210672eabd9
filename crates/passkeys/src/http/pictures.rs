//! The pictures of authenticators as files, for the `<img>` of any page.

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderName,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{IntoResponse, Response},
};

use super::{
    error::{self, Refused},
    openapi::PICTURES,
};
use crate::{
    Passkeys,
    authenticators::{Shade, parse_aaguid},
};

/// Get the picture for a light background
///
/// Only of models that the operator has a picture of.
#[utoipa::path(
    get, path = "/v1/authenticators/{aaguid}/icon-light.svg", tag = PICTURES,
    operation_id = "get_icon_light",
    responses((
        status = 200, description = "The picture.", body = String, content_type = "image/svg+xml",
    )),
    extensions(("x-refusals" = json!([Refused::not_found()]))),
)]
pub(super) async fn light(
    State(passkeys): State<Passkeys>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    picture(&passkeys, path, Shade::Light)
}

/// Get the picture for a dark background
///
/// Only of models that the operator has a picture of.
#[utoipa::path(
    get, path = "/v1/authenticators/{aaguid}/icon-dark.svg", tag = PICTURES,
    operation_id = "get_icon_dark",
    responses((
        status = 200, description = "The picture.", body = String, content_type = "image/svg+xml",
    )),
    extensions(("x-refusals" = json!([Refused::not_found()]))),
)]
pub(super) async fn dark(
    State(passkeys): State<Passkeys>,
    path: Result<Path<String>, PathRejection>,
) -> Response {
    picture(&passkeys, path, Shade::Dark)
}

/// Was checked when it was read; the headers hold for whoever opens it as a page
/// all the same: nothing loads, nothing runs, and it has no origin.
fn picture(
    passkeys: &Passkeys,
    path: Result<Path<String>, PathRejection>,
    shade: Shade,
) -> Response {
    // A path that cannot be decoded names nothing.
    let aaguid = path.ok().and_then(|Path(text)| parse_aaguid(&text));
    let picture = aaguid.and_then(|aaguid| passkeys.authenticators.picture(&aaguid, shade));
    let Some(picture) = picture else {
        return error::not_found();
    };
    let headers = [
        (CONTENT_TYPE, "image/svg+xml; charset=utf-8"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin"),
        // The file is read at the start only; a day is how late a page may be.
        (CACHE_CONTROL, "public, max-age=86400"),
    ];
    (headers, picture.svg().to_owned()).into_response()
}

/// Lets pages that isolate themselves show it, too.
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
