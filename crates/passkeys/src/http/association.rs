//! The files of an app's domain, for anybody to read (passkey-flex section e).

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use utoipa::openapi::{
    HttpMethod, Paths,
    path::{Operation, PathItem},
};
use utoipa_axum::router::UtoipaMethodRouter;

use super::{
    error::{self, Refused},
    openapi::{DOMAIN, refusals},
};
use crate::{AppId, Failure, Passkeys, Refusal, association::AssociationFile};

/// Every file of a domain, for each app and for the host of this server. They
/// are routes of one kind, so what the OpenAPI document says is put together here.
pub(super) fn files() -> [UtoipaMethodRouter<Passkeys>; 6] {
    let of_app = |file: AssociationFile| {
        let methods = get(move |State(passkeys): State<Passkeys>, path| async move {
            of_app(&passkeys, path, file).await
        });
        let path = format!("/v1/apps/{{app_id}}/.well-known/{}", file.name());
        let described = describe(file, "of_app", &path, &refusals(&[Refusal::AppNotFound]));
        (Vec::new(), described, methods)
    };
    let of_public_host = |file: AssociationFile| {
        let methods = get(move |State(passkeys): State<Passkeys>| async move {
            of_public_host(&passkeys, file).await
        });
        let path = format!("/.well-known/{}", file.name());
        let described = describe(file, "of_host", &path, &[Refused::not_found()]);
        (Vec::new(), described, methods)
    };
    let [apple, android, related] = AssociationFile::ALL;
    [
        of_app(apple),
        of_app(android),
        of_app(related),
        of_public_host(apple),
        of_public_host(android),
        of_public_host(related),
    ]
}

fn describe(file: AssociationFile, whose: &str, path: &str, refused: &[Refused]) -> Paths {
    let (name, summary, schema) = match file {
        AssociationFile::Apple => ("apple_file", "Apple's file: which apps", apple()),
        AssociationFile::Android => ("android_file", "Android's file: which apps", android()),
        AssociationFile::RelatedOrigins => (
            "related_origins_file",
            "Browsers' file: which other origins",
            json!({
                "type": "object",
                "required": ["origins"],
                "properties": {"origins": texts()},
            }),
        ),
    };
    let operation = json!({
        "tags": [DOMAIN],
        "summary": summary,
        "description": "May use the passkeys of the domain (section e).",
        "operationId": format!("get_{name}_{whose}"),
        "responses": {"200": {
            "description": "The file.",
            "content": {"application/json": {"schema": schema}},
        }},
        "x-refusals": refused,
    });
    let operation: Operation =
        serde_json::from_value(operation).expect("an operation is written right above");
    let mut paths = Paths::new();
    let item = PathItem::new(HttpMethod::Get, operation);
    paths.paths.insert(path.to_owned(), item);
    paths
}

fn apple() -> Value {
    json!({
        "type": "object",
        "required": ["webcredentials"],
        "properties": {"webcredentials": {
            "type": "object",
            "required": ["apps"],
            "properties": {"apps": texts()},
        }},
    })
}

fn android() -> Value {
    json!({"type": "array", "items": {
        "type": "object",
        "required": ["relation", "target"],
        "properties": {
            "relation": texts(),
            "target": {
                "type": "object",
                "required": ["namespace", "package_name", "sha256_cert_fingerprints"],
                "properties": {
                    "namespace": {"type": "string"},
                    "package_name": {"type": "string"},
                    "sha256_cert_fingerprints": texts(),
                },
            },
        },
    }})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

/// `GET /v1/apps/{app_id}/.well-known/…`: what a customer's domain proxies to.
async fn of_app(
    passkeys: &Passkeys,
    path: Result<Path<String>, PathRejection>,
    file: AssociationFile,
) -> Result<Response, Failure> {
    // A path that cannot be decoded names no app.
    let app_id = path.ok().and_then(|Path(text)| AppId::parse(&text));
    let app = match app_id {
        Some(app_id) => passkeys.find_app(&app_id).await?,
        None => None,
    };
    let app = app.ok_or(Refusal::AppNotFound)?;
    Ok(Json(file.content(&[app])).into_response())
}

/// `GET /.well-known/…`: the files of this server's own host, if that is the RP
/// ID of an app.
async fn of_public_host(passkeys: &Passkeys, file: AssociationFile) -> Result<Response, Failure> {
    let apps = passkeys.list_apps_of_public_host().await?;
    if apps.is_empty() {
        return Ok(error::not_found());
    }
    Ok(Json(file.content(&apps)).into_response())
}
