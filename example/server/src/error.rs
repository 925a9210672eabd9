//! How this server says no: `{"error": "sentence"}` with a status. Who decides to is elsewhere.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// 400: the request, or what it wants done, is not possible. The sentence says why.
    BadRequest(String),
    /// 401: the access token is missing or not good. What exactly is wrong with it is not told.
    Unauthorized(&'static str),
    /// 404: there is no such user.
    UserNotFound,
    /// 502: the user pool or the passkey service did not do its part. The cause is for the log.
    Upstream {
        /// Which of the two, as a sentence begins with it.
        who: &'static str,
        /// What it answered.
        cause: String,
    },
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, sentence) = match self {
            ApiError::BadRequest(sentence) => (StatusCode::BAD_REQUEST, sentence),
            ApiError::Unauthorized(sentence) => (StatusCode::UNAUTHORIZED, sentence.to_owned()),
            ApiError::UserNotFound => (StatusCode::NOT_FOUND, "There is no such user.".to_owned()),
            ApiError::Upstream { who, cause } => {
                tracing::error!(who, cause, "no answer to give");
                (
                    StatusCode::BAD_GATEWAY,
                    format!("{who} is not available. Try again in a moment."),
                )
            }
        };
        let mut response = (status, Json(json!({"error": sentence}))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                header::HeaderValue::from_static("Bearer"),
            );
        }
        response
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        ApiError::BadRequest(format!("{}.", rejection.body_text().trim_end_matches('.')))
    }
}

impl From<claviger_flex::Error> for ApiError {
    /// The one thing a caller can do better is what the passkey service does not understand, as a label too long.
    fn from(error: claviger_flex::Error) -> Self {
        match error {
            claviger_flex::Error::InvalidRequest(sentence) => ApiError::BadRequest(sentence),
            other => ApiError::Upstream {
                who: "The passkey service",
                cause: format!("{other:?}"),
            },
        }
    }
}
