//! The contract's table: what each refusal and fault looks like on the wire
//! (passkey-flex sections b.2 and c.8).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Failure, Refusal};

/// Every answer that is a no: a code for programs and a text for people.
#[derive(Serialize, ToSchema)]
pub(super) struct Error<'a> {
    /// Decide by this; a code that is not known should be taken for its status.
    code: &'a str,
    /// May be shown to a person.
    #[schema(min_length = 1)]
    error: &'a str,
}

/// How a no looks on the wire, for the OpenAPI document.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Refused {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) error: String,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Refused {
        let (status, code) = status_and_code(refusal);
        Refused {
            status: status.as_u16(),
            code: code.into(),
            error: refusal.to_string(),
        }
    }
}

impl Refused {
    /// How a path that is not there looks.
    pub(super) fn not_found() -> Refused {
        Refused {
            status: StatusCode::NOT_FOUND.as_u16(),
            code: NOT_FOUND_CODE.into(),
            error: NOT_FOUND_TEXT.into(),
        }
    }

    /// How a fault of ours looks.
    pub(super) fn fault() -> Refused {
        Refused {
            status: StatusCode::INTERNAL_SERVER_ERROR.as_u16(),
            code: FAULT_CODE.into(),
            error: FAULT_TEXT.into(),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Refusal(refusal) => {
                let (status, code) = status_and_code(&refusal);
                let mut response = answer(status, code, &refusal.to_string());
                if let Refusal::RateLimitExceeded { retry_after_s } = refusal {
                    let seconds = HeaderValue::from(retry_after_s);
                    response.headers_mut().insert(RETRY_AFTER, seconds);
                }
                response
            }
            Failure::Fault(fault) => {
                tracing::error!(%fault, "request failed");
                answer(StatusCode::INTERNAL_SERVER_ERROR, FAULT_CODE, FAULT_TEXT)
            }
        }
    }
}

/// A path that is not the contract's. The code is ours; clients pass on what they do not know.
pub(super) fn not_found() -> Response {
    answer(StatusCode::NOT_FOUND, NOT_FOUND_CODE, NOT_FOUND_TEXT)
}

/// A method that the path does not have. The code is ours.
pub(super) fn method_not_allowed() -> Response {
    answer(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This path does not have this method.",
    )
}

fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        // Also for an unusable handshake, for which the contract has no code, and
        // for a body over the limit: no client of the contract reads a 413.
        Refusal::InvalidRequest(_)
        | Refusal::HandshakeNotUsable
        | Refusal::OriginInvalid { .. }
        | Refusal::RpIdNotAllowed { .. }
        | Refusal::RpIdIsPublicSuffix { .. } => (StatusCode::BAD_REQUEST, "invalid_request"),
        Refusal::InvalidAccessToken => (StatusCode::UNAUTHORIZED, "invalid_access_token"),
        Refusal::InvalidNonce => (StatusCode::UNAUTHORIZED, "invalid_nonce"),
        Refusal::VerificationFailed => (StatusCode::UNAUTHORIZED, "webauthn_login_failed"),
        Refusal::DiscoverableVerificationFailed => {
            (StatusCode::UNAUTHORIZED, "discoverable_login_failed")
        }
        Refusal::OriginNotAllowed => (StatusCode::FORBIDDEN, "operation_not_allowed"),
        Refusal::CannotCreateTransaction => (StatusCode::FORBIDDEN, "cannot_create_transaction"),
        Refusal::UserNotActive => (StatusCode::FORBIDDEN, "user_not_active"),
        Refusal::AppNotFound => (StatusCode::NOT_FOUND, "app_not_found"),
        Refusal::UserNotFound | Refusal::SignUpIsOff => (StatusCode::NOT_FOUND, "user_not_found"),
        Refusal::DeviceNotFound => (StatusCode::NOT_FOUND, "device_not_found"),
        Refusal::EventNotFound => (StatusCode::NOT_FOUND, "event_not_found"),
        Refusal::WebhookNotFound => (StatusCode::NOT_FOUND, "webhook_not_found"),
        Refusal::DeliveryNotFound => (StatusCode::NOT_FOUND, "delivery_not_found"),
        Refusal::TransactionNotFound => (StatusCode::NOT_FOUND, "transaction_not_found"),
        Refusal::NativeClientNotFound => (StatusCode::NOT_FOUND, "native_client_not_found"),
        Refusal::ApiKeyNotFound => (StatusCode::NOT_FOUND, "api_key_not_found"),
        Refusal::NativeClientAlreadyExists => {
            (StatusCode::CONFLICT, "native_client_already_exists")
        }
        // The code is ours.
        Refusal::RpIdInUse { .. } => (StatusCode::CONFLICT, "rp_id_in_use"),
        Refusal::UserHasNoPasskeys => (StatusCode::CONFLICT, "user_has_no_passkeys"),
        Refusal::RateLimitExceeded { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded"),
    }
}

fn answer(status: StatusCode, code: &'static str, error: &str) -> Response {
    (status, Json(Error { code, error })).into_response()
}

const FAULT_CODE: &str = "internal_server_error";
const FAULT_TEXT: &str = "Something went wrong on our side. Try again later.";
const NOT_FOUND_CODE: &str = "not_found";
const NOT_FOUND_TEXT: &str = "There is nothing at this path.";
