//! How every refusal of this product looks on Lambda's API: the contract's table.

use aws_protocol::rest_json::{self, Answer};

use crate::{Error, Refusal, names};

/// Where a message has to name a function by its whole ARN.
pub(super) struct Place<'a> {
    pub(super) region: &'a str,
    pub(super) account_id: &'a str,
    pub(super) request_id: &'a str,
}

/// The answer to an operation that did not happen. A fault is logged here, once, and tells the
/// caller nothing.
pub(super) fn answer(error: &Error, place: &Place<'_>) -> Answer {
    match error {
        Error::Refusal(refusal) => refuse(refusal, place),
        Error::Fault(fault) => {
            tracing::error!(%fault, request_id = place.request_id, "a Lambda call failed");
            rest_json::error(
                rest_json::Exception::Service,
                "The service encountered an internal error.",
                place.request_id,
            )
        }
    }
}

fn refuse(refusal: &Refusal, place: &Place<'_>) -> Answer {
    let arn = |function: &str| names::function_arn(place.region, place.account_id, function);
    let message = match refusal {
        Refusal::ConcurrencyExceeded | Refusal::QueueFull => {
            return rest_json::throttled("ConcurrentInvocationLimitExceeded", 1, place.request_id);
        }
        Refusal::FunctionNotFound { function } => format!("Function not found: {}", arn(function)),
        Refusal::FunctionExists { name } => format!("Function already exist: {name}"),
        Refusal::UpdateInProgress { function } => format!(
            "The operation cannot be performed at this time. An update is in progress for \
             resource: {}",
            arn(function)
        ),
        Refusal::RevisionMismatch => "The Revision Id provided does not match the latest Revision \
             Id. Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
            .into(),
        Refusal::PolicyNotFound => "The resource you requested does not exist.".into(),
        Refusal::StatementNotFound { statement_id } => {
            format!("Statement {statement_id} is not found in resource policy.")
        }
        Refusal::StatementExists { statement_id } => format!(
            "The statement id ({statement_id}) provided already exists. Please provide a new \
             statement id, or remove the existing statement."
        ),
        Refusal::PolicyTooLong => "The final policy size is bigger than the limit (20480).".into(),
        Refusal::PayloadNotJson(detail) => {
            format!("Could not parse request body into json: {detail}")
        }
        Refusal::TooLarge {
            max_bytes,
            operation,
        } => {
            format!("Request must be smaller than {max_bytes} bytes for the {operation} operation")
        }
        Refusal::InvalidParameter(message) | Refusal::RuntimeUnavailable(message) => {
            message.clone()
        }
        Refusal::ShuttingDown => "The server is shutting down.".into(),
    };
    rest_json::error(refusal.kind(), &message, place.request_id)
}
