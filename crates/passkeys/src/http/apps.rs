//! Reading and changing an app's settings (passkey-flex sections b.9 and b.10).

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use uuid::Uuid;
use webauthn::{AttestationConveyance, CounterPolicy, UserVerification};

use super::{
    body::Object,
    management::Authorized,
    openapi::{MANAGEMENT, refusals},
    requests::ChangedApp,
    wire::{AppAnswer, AppInfo},
};
use crate::{
    App, AppChanges, Failure, Passkeys, Refusal, SettingsChanges, TrustCertificate, algorithm_named,
};

/// Get the app
///
/// In the shape that SDKs of before 1.0 need, with its settings (section b.10).
#[utoipa::path(
    get, path = "/v1/apps/{app_id}", tag = MANAGEMENT,
    responses((status = 200, description = "The app.", body = AppAnswer)),
)]
pub(super) async fn get_app(Authorized(app): Authorized) -> Result<Response, Failure> {
    app_answer(Arc::unwrap_or_clone(app))
}

/// Change the app
///
/// The members that are there change, all of them or none (section b.9).
#[utoipa::path(
    patch, path = "/v1/apps/{app_id}", tag = MANAGEMENT,
    request_body = Option<ChangedApp>,
    responses((status = 200, description = "The app, as it is now.", body = AppAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::RpIdInUse {
        devices: 3,
        old: "example.com".into(),
        new: "example.net".into(),
    }])))),
)]
pub(super) async fn update_app(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    app_answer(passkeys.update_app(&app.id, changes(&body)?).await?)
}

fn app_answer(app: App) -> Result<Response, Failure> {
    let app = AppInfo::new(app)?;
    Ok(Json(AppAnswer { app }).into_response())
}

fn changes(body: &Object) -> Result<AppChanges, Refusal> {
    let settings = body.optional_object("settings")?.unwrap_or_default();
    let aaguid =
        |text: &str| Uuid::parse_str(text).map_err(|_| format!("{text:?} is not an AAGUID"));
    let owned = |name| Ok::<_, Refusal>(body.optional_text(name)?.map(str::to_owned));
    Ok(AppChanges {
        name: owned("name")?,
        auth_origin: owned("auth_origin")?,
        additional_auth_origins: body.optional_texts("additional_auth_origins")?,
        rp_id: owned("rp_id")?,
        force: body.optional_bool("force")?.unwrap_or(false),
        settings: SettingsChanges {
            user_verification: settings.optional_word(
                "user_verification",
                &[
                    ("preferred", UserVerification::Preferred),
                    ("required", UserVerification::Required),
                ],
            )?,
            counter_policy: settings.optional_word(
                "counter_policy",
                &[
                    ("record", CounterPolicy::Record),
                    ("refuse", CounterPolicy::Refuse),
                ],
            )?,
            algorithms: settings.optional_list("algorithms", |name| {
                algorithm_named(name).ok_or_else(|| {
                    format!(
                        "{name:?} is none of ES256, ES384, ES512, RS256 and EdDSA, the algorithms \
                         that can be offered"
                    )
                })
            })?,
            attestation: settings.optional_word(
                "attestation",
                &[
                    ("none", AttestationConveyance::None),
                    ("direct", AttestationConveyance::Direct),
                ],
            )?,
            trust_anchors: settings
                .optional_list("trust_anchors", |text| {
                    TrustCertificate::read(text.as_bytes()).map_err(|_| {
                        "an entry is no X.509 certificate in PEM, or in base64 of DER".to_owned()
                    })
                })?
                .map(|certificates| certificates.concat()),
            allowed_aaguids: settings.optional_list("allowed_aaguids", aaguid)?,
            denied_aaguids: settings.optional_list("denied_aaguids", aaguid)?,
            uses_metadata: settings.optional_bool("uses_metadata")?,
            allows_synced_passkeys: settings.optional_bool("allows_synced_passkeys")?,
            public_signup: body.optional_bool("public_signup")?,
            embedding_origins: settings.optional_texts("embedding_origins")?,
            transaction_lifetime_ms: settings.optional_integer("transaction_lifetime_ms")?,
            handshake_lifetime_ms: settings.optional_integer("handshake_lifetime_ms")?,
            discoverable_handshake_lifetime_ms: settings
                .optional_integer("discoverable_handshake_lifetime_ms")?,
            nonce_lifetime_ms: settings.optional_integer("nonce_lifetime_ms")?,
            timeout_ms: settings.optional_integer("timeout_ms")?,
            event_retention_ms: settings.optional_integer("event_retention_ms")?,
        },
    })
}
