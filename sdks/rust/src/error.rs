//! Every way a call can fail, and how the service's answer becomes one. Sending and receiving is in `client`.

use std::time::Duration;

use serde_json::Value;

/// Why a call failed.
///
/// What the service answered is chosen by the `code` in its body; the HTTP status only counts where there is none. New
/// codes arrive as [`Error::Other`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `invalid_request`: the service did not understand the request; the text says why.
    #[error("invalid request: {0}")]
    InvalidRequest(String),
    /// `invalid_access_token`: the API key is unknown, deleted, or of another app.
    #[error("invalid access token: the API key is unknown, deleted, or of another app")]
    InvalidAccessToken,
    /// `invalid_nonce`: the nonce is unknown, expired or was redeemed before.
    #[error("nonce is invalid, expired, or cannot be found")]
    InvalidNonce,
    /// `operation_not_allowed`: the app does not allow this call.
    #[error("operation not allowed")]
    OperationNotAllowed,
    /// `device_not_found`: the user has no such device.
    #[error("device not found")]
    DeviceNotFound,
    /// `user_not_found`: the app has no such user.
    #[error("user not found")]
    UserNotFound,
    /// `user_has_no_passkeys`: the user is known and has no device.
    #[error("user has no passkeys")]
    UserHasNoPasskeys,
    /// `rate_limit_exceeded`: too many requests.
    #[error("rate limit exceeded")]
    RateLimitExceeded {
        /// How long the service asked to wait, if it said so in seconds.
        retry_after: Option<Duration>,
    },
    /// `internal_server_error`: the service failed, or a proxy did not get through to it. It may have acted.
    #[error("internal server error")]
    InternalServerError,
    /// Any other code.
    #[error("{message} ({code})")]
    Other {
        /// The HTTP status.
        status: u16,
        /// The code, as sent.
        code: String,
        /// The service's text for humans.
        message: String,
    },
    /// An argument or setting that cannot be right; nothing was sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The answer is not that of a Flex API: not JSON, or not of the promised shape. Usually a base URL that lacks `/v1`, or
    /// a proxy.
    #[error(
        "unexpected answer with HTTP status {status}: is the base URL right, and does it end in /v1?"
    )]
    UnexpectedResponse {
        /// The HTTP status.
        status: u16,
    },
    /// No answer in time. Whether the service acted on the request is not known.
    #[error("no answer in time")]
    Timeout,
    /// The request did not reach the service, or the connection broke. After the latter it is not known whether the
    /// service acted on it.
    #[error("cannot talk to the passkey service")]
    Transport(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The `code` of the service's answer; `None` if the failure did not come from the service.
    ///
    /// ```
    /// assert_eq!(claviger_flex::Error::UserHasNoPasskeys.code(), Some("user_has_no_passkeys"));
    /// assert_eq!(claviger_flex::Error::Timeout.code(), None);
    /// ```
    pub fn code(&self) -> Option<&str> {
        Some(match self {
            Error::InvalidRequest(_) => "invalid_request",
            Error::InvalidAccessToken => "invalid_access_token",
            Error::InvalidNonce => "invalid_nonce",
            Error::OperationNotAllowed => "operation_not_allowed",
            Error::DeviceNotFound => "device_not_found",
            Error::UserNotFound => "user_not_found",
            Error::UserHasNoPasskeys => "user_has_no_passkeys",
            Error::RateLimitExceeded { .. } => "rate_limit_exceeded",
            Error::InternalServerError => "internal_server_error",
            Error::Other { code, .. } => code,
            Error::InvalidArgument(_)
            | Error::UnexpectedResponse { .. }
            | Error::Timeout
            | Error::Transport(_) => return None,
        })
    }

    /// The error for an answer that is not a success. `retry_after` is that header's text.
    pub(crate) fn from_answer(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let message = || match text("error") {
            "" => format!("the passkey service answered HTTP status {status}"),
            told => told.to_owned(),
        };
        match text("code") {
            "" if status >= 500 => Error::InternalServerError,
            // The latter is the service's code at an address that none of these calls has.
            "" | "not_found" => Error::UnexpectedResponse { status },
            "invalid_request" => Error::InvalidRequest(message()),
            "invalid_access_token" => Error::InvalidAccessToken,
            "invalid_nonce" => Error::InvalidNonce,
            "operation_not_allowed" => Error::OperationNotAllowed,
            "device_not_found" => Error::DeviceNotFound,
            "user_not_found" => Error::UserNotFound,
            "user_has_no_passkeys" => Error::UserHasNoPasskeys,
            "rate_limit_exceeded" => Error::RateLimitExceeded {
                retry_after: retry_after
                    .and_then(|seconds| seconds.trim().parse().ok())
                    .map(Duration::from_secs),
            },
            "internal_server_error" => Error::InternalServerError,
            code => Error::Other {
                status,
                code: code.to_owned(),
                message: message(),
            },
        }
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            Error::Timeout
        } else {
            Error::Transport(Box::new(error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_and_the_status_does_not() {
        let codes = [
            "invalid_request",
            "invalid_access_token",
            "invalid_nonce",
            "operation_not_allowed",
            "device_not_found",
            "user_not_found",
            "user_has_no_passkeys",
            "rate_limit_exceeded",
            "internal_server_error",
        ];
        for code in codes {
            let body = format!(r#"{{"code":"{code}","error":"text"}}"#);
            for status in [400, 418, 500] {
                let error = Error::from_answer(status, None, body.as_bytes());
                assert_eq!(error.code(), Some(code));
                assert!(
                    !matches!(error, Error::Other { .. }),
                    "{code} has a variant of its own"
                );
            }
        }
    }

    #[test]
    fn an_unknown_code_is_kept_with_its_text() {
        let error = Error::from_answer(
            403,
            None,
            br#"{"code":"user_not_active","error":"User is not active."}"#,
        );
        assert_eq!(error.code(), Some("user_not_active"));
        assert_eq!(error.to_string(), "User is not active. (user_not_active)");
    }

    #[test]
    fn a_body_that_is_not_the_contracts_is_unexpected() {
        for body in [
            "",
            "<html>",
            "null",
            "{}",
            r#"{"code":1,"error":"x"}"#,
            r#"{"error":"x"}"#,
            "[[[[",
        ] {
            let error = Error::from_answer(404, None, body.as_bytes());
            assert!(
                matches!(error, Error::UnexpectedResponse { status: 404 }),
                "{body}: {error:?}"
            );
            // A service in trouble is told as such, whoever answers in its place.
            let error = Error::from_answer(502, None, body.as_bytes());
            assert!(
                matches!(error, Error::InternalServerError),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn an_address_that_the_service_does_not_have_points_at_the_base_url() {
        let body = br#"{"code":"not_found","error":"There is nothing at this address."}"#;
        let error = Error::from_answer(404, None, body);
        assert_eq!(error.code(), None);
        assert_eq!(
            error.to_string(),
            "unexpected answer with HTTP status 404: is the base URL right, and does it end in /v1?"
        );
    }

    #[test]
    fn a_code_without_a_sentence_is_still_the_code() {
        for body in [
            r#"{"code":"user_not_active"}"#,
            r#"{"code":"user_not_active","error":7}"#,
        ] {
            let error = Error::from_answer(403, None, body.as_bytes());
            assert_eq!(
                error.to_string(),
                "the passkey service answered HTTP status 403 (user_not_active)"
            );
        }
    }

    #[test]
    fn a_rate_limit_says_how_long_to_wait_when_it_is_told() {
        let body = br#"{"code":"rate_limit_exceeded","error":"Slow down."}"#;
        for (header, expected) in [(Some("7"), Some(7)), (Some("soon"), None), (None, None)] {
            match Error::from_answer(429, header, body) {
                Error::RateLimitExceeded { retry_after } => {
                    assert_eq!(retry_after, expected.map(Duration::from_secs));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
