//! What a browser or app calls, without any credential: the app id and a
//! transaction are the authority (passkey-flex section c).

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Extension, Json,
    extract::{ConnectInfo, FromRequestParts, Path, Request, State, rejection::PathRejection},
    http::{
        Extensions, HeaderMap, HeaderValue, Method, StatusCode,
        header::{
            ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
            ORIGIN, RETRY_AFTER, USER_AGENT, VARY,
        },
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use webauthn::{AuthenticationResponse, AuthenticatorAttachment, Denial, RegistrationResponse};

use super::{
    body::Object,
    openapi::{BROWSER, refusals},
    requests::{AuthenticationFinish, AuthenticationStart, RegistrationFinish, RegistrationStart},
    wire::{NonceAnswer, StartedAuthentication, StartedRegistration},
};
use crate::{
    App, AppId, Failure, Passkeys, Refusal,
    caller::Caller,
    ceremonies::Finish,
    handshakes::TransactionClaim,
    ids::{HandshakeId, TransactionId},
};

/// The address is that which the program names. No header is read for it here:
/// `X-Forwarded-For` could say anything.
impl FromRequestParts<Passkeys> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Passkeys) -> Result<Caller, Infallible> {
        let user_agent = parts.headers.get(USER_AGENT).map(HeaderValue::as_bytes);
        Ok(Caller::new(
            address(&parts.extensions),
            user_agent.unwrap_or_default(),
        ))
    }
}

/// The caller's address, as the program names it.
pub(super) fn address(extensions: &Extensions) -> Option<IpAddr> {
    extensions
        .get()
        .map(|ConnectInfo::<SocketAddr>(address)| address.ip())
}

/// Lets a request through to the app of its path, if its page may call, and puts
/// the CORS headers on every answer, errors included (section c.9).
///
/// A preflight is answered for an unknown app as well, without the header that
/// would allow anything.
pub(super) async fn admit(
    State(passkeys): State<Passkeys>,
    path: Result<Path<String>, PathRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    // A path that cannot be decoded names no app.
    let app_id = path.ok().and_then(|Path(text)| AppId::parse(&text));
    let app = match app_id {
        Some(app_id) => passkeys.find_app_recently(&app_id).await,
        None => Ok(None),
    };
    let app = match app {
        Ok(app) => app,
        Err(fault) => return Failure::Fault(fault).into_response(),
    };
    let origin = request.headers().get(ORIGIN).cloned();
    let is_allowed = match (&app, &origin) {
        (Some(app), Some(origin)) => may_call(app, origin, request.headers()),
        // Native apps send no origin; the one they sign is checked at the finish.
        (_, None) => true,
        (None, Some(_)) => false,
    };
    let mut response = if request.method() == Method::OPTIONS {
        preflight()
    } else {
        match let_through(&passkeys, address(request.extensions()), app, is_allowed) {
            Ok(app) => {
                request.extensions_mut().insert(app);
                next.run(request).await
            }
            Err(refusal) => Failure::from(refusal).into_response(),
        }
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.filter(|_| is_allowed) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, RETRY_AFTER.into());
    }
    response
}

/// The app, unless its call is refused. A foreign page's call is counted for its
/// address only.
fn let_through(
    passkeys: &Passkeys,
    address: Option<IpAddr>,
    app: Option<Arc<App>>,
    is_allowed: bool,
) -> Result<Arc<App>, Refusal> {
    passkeys.limiters.check_address(address)?;
    let app = app.ok_or(Refusal::AppNotFound)?;
    if !is_allowed {
        return Err(Refusal::OriginNotAllowed);
    }
    passkeys.limiters.check_app(&app.id)?;
    Ok(app)
}

/// Start a registration
///
/// Gives the options for `navigator.credentials.create()`. May be called again until the registration
/// succeeds; each start cancels the one before (section c.2).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/register/transactions/webauthn/start", tag = BROWSER,
    request_body = RegistrationStart,
    responses((status = 200, description = "The options, and the handshake to finish.", body = StartedRegistration)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::TransactionNotFound, Refusal::UserNotFound, Refusal::SignUpIsOff, Refusal::UserNotActive])))),
)]
pub(super) async fn start_registration(
    State(passkeys): State<Passkeys>,
    Extension(app): Extension<Arc<App>>,
    caller: Caller,
    body: Object,
) -> Result<Response, Failure> {
    let transaction_id = transaction_id(body.text("transaction_id")?)?;
    let attachment = match body.optional_text("authenticator_attachment")? {
        None | Some("any") => None,
        Some(word) => Some(attachment_of(word).ok_or_else(|| {
            Refusal::InvalidRequest(
                "authenticator_attachment must be platform, cross-platform or any.".into(),
            )
        })?),
    };
    // Ours: what the client will ask of the browser. Passage's clients never do.
    let is_conditional = match body.optional_text("mediation")? {
        None => false,
        Some("conditional") => true,
        Some(_) => {
            return Err(Refusal::InvalidRequest("mediation must be conditional.".into()).into());
        }
    };
    let started = passkeys
        .start_registration(app, transaction_id, attachment, is_conditional, caller)
        .await?;
    Ok(Json(StartedRegistration::from(started)).into_response())
}

/// Finish a registration
///
/// Takes what the authenticator signed, once for each handshake (section c.3).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/register/transactions/webauthn/finish", tag = BROWSER,
    request_body = RegistrationFinish,
    responses((status = 200, description = "The passkey is stored. The nonce is for your server.", body = NonceAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::HandshakeNotUsable, Refusal::TransactionNotFound, Refusal::UserNotFound, Refusal::VerificationFailed, Refusal::UserNotActive])))),
)]
pub(super) async fn finish_registration(
    State(passkeys): State<Passkeys>,
    Extension(app): Extension<Arc<App>>,
    caller: Caller,
    body: Object,
) -> Result<Response, Failure> {
    let finish = finish(&body, caller, RegistrationResponse::from_json)?;
    let attachment = body
        .member("handshake_response")
        .and_then(|response| response.get("authenticatorAttachment"))
        .and_then(Value::as_str)
        .and_then(attachment_of);
    let nonce = passkeys
        .finish_registration(app, finish, attachment)
        .await?;
    Ok(Json(NonceAnswer::new(&nonce)).into_response())
}

/// Start a login
///
/// Gives the options for `navigator.credentials.get()`. Without a transaction, or without a body, whoever
/// has a passkey may answer (section c.4).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/authenticate/transactions/webauthn/start", tag = BROWSER,
    request_body = Option<AuthenticationStart>,
    responses((status = 200, description = "The options, and the handshake to finish.", body = StartedAuthentication)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::TransactionNotFound, Refusal::UserNotFound, Refusal::UserNotActive, Refusal::UserHasNoPasskeys])))),
)]
pub(super) async fn start_authentication(
    State(passkeys): State<Passkeys>,
    Extension(app): Extension<Arc<App>>,
    caller: Caller,
    body: Object,
) -> Result<Response, Failure> {
    let transaction_id = body
        .optional_text("transaction_id")?
        .map(transaction_id)
        .transpose()?;
    let started = passkeys
        .start_authentication(app, transaction_id, caller)
        .await?;
    Ok(Json(StartedAuthentication::from(started)).into_response())
}

/// Finish a login
///
/// Takes what the authenticator signed, once for each handshake (section c.5).
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/authenticate/transactions/webauthn/finish", tag = BROWSER,
    request_body = AuthenticationFinish,
    responses((status = 200, description = "The user is who the nonce says. It is for your server.", body = NonceAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::HandshakeNotUsable, Refusal::TransactionNotFound, Refusal::UserNotFound, Refusal::VerificationFailed, Refusal::DiscoverableVerificationFailed, Refusal::UserNotActive])))),
)]
pub(super) async fn finish_authentication(
    State(passkeys): State<Passkeys>,
    Extension(app): Extension<Arc<App>>,
    caller: Caller,
    body: Object,
) -> Result<Response, Failure> {
    let finish = finish(&body, caller, AuthenticationResponse::from_json)?;
    let nonce = passkeys.finish_authentication(app, finish).await?;
    Ok(Json(NonceAnswer::new(&nonce)).into_response())
}

/// Whether the one origin that was sent is one of the app's.
fn may_call(app: &App, origin: &HeaderValue, headers: &HeaderMap) -> bool {
    headers.get_all(ORIGIN).iter().count() == 1
        && origin
            .to_str()
            .is_ok_and(|origin| app.has_auth_origin(origin))
}

fn preflight() -> Response {
    let headers = [
        (ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, OPTIONS"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, passage-flex-version, passage-version",
        ),
        (ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Reads what both finishes have in common. As soon as the handshake is named,
/// every further fault is left to the ceremony, which spends the handshake.
pub(super) fn finish<R>(
    body: &Object,
    caller: Caller,
    response: impl FnOnce(&Value) -> Result<R, Denial>,
) -> Result<Finish<R>, Refusal> {
    let handshake_id =
        HandshakeId::parse(body.text("handshake_id")?).unwrap_or_else(HandshakeId::never_issued);
    let transaction = match body.optional_text("transaction_id") {
        Ok(None) => TransactionClaim::Missing,
        Ok(Some(text)) => {
            TransactionId::parse(text).map_or(TransactionClaim::Malformed, TransactionClaim::Id)
        }
        Err(_) => TransactionClaim::Malformed,
    };
    Ok(Finish {
        handshake_id,
        transaction,
        response: response(body.member("handshake_response").unwrap_or(&Value::Null)),
        caller,
    })
}

fn transaction_id(text: &str) -> Result<TransactionId, Refusal> {
    TransactionId::parse(text).ok_or_else(|| {
        Refusal::InvalidRequest("transaction_id is not an id of a transaction.".into())
    })
}

fn attachment_of(word: &str) -> Option<AuthenticatorAttachment> {
    match word {
        "platform" => Some(AuthenticatorAttachment::Platform),
        "cross-platform" => Some(AuthenticatorAttachment::CrossPlatform),
        _ => None,
    }
}
