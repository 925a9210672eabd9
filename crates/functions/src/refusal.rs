//! Every way this product says no. What each one looks like on the wire is decided in
//! `http/error.rs`, in one exhaustive match.

use aws_protocol::rest_json::Exception;
use platform::Fault;

/// A reason of the caller's own not to do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No function of the organization has this name, or not in this version.
    #[error("function not found: {function}")]
    FunctionNotFound {
        /// Name, with `:qualifier` where one was given.
        function: String,
    },
    /// The name is in use in the organization.
    #[error("function already exists: {name}")]
    FunctionExists {
        /// The name.
        name: String,
    },
    /// Another update came in between reading and writing.
    #[error("another update of {function} is in progress")]
    UpdateInProgress {
        /// Name of the function.
        function: String,
    },
    /// The caller names a revision that is not the latest.
    #[error("the revision id does not match the latest one")]
    RevisionMismatch,
    /// A value that is well formed and cannot be used; the text says which and why.
    #[error("{0}")]
    InvalidParameter(String),
    /// The function has no policy.
    #[error("the function has no policy")]
    PolicyNotFound,
    /// The policy has no such statement.
    #[error("statement {statement_id} is not in the policy")]
    StatementNotFound {
        /// The `StatementId` asked for.
        statement_id: String,
    },
    /// The policy has such a statement already.
    #[error("statement {statement_id} exists already")]
    StatementExists {
        /// The `StatementId` asked for.
        statement_id: String,
    },
    /// The policy would be longer than 20 KB.
    #[error("the policy would be too long")]
    PolicyTooLong,
    /// The payload is not JSON; the text is the parser's.
    #[error("the payload is not JSON: {0}")]
    PayloadNotJson(String),
    /// The request or payload is larger than the operation takes.
    #[error("larger than {max_bytes} bytes for {operation}")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
        /// The operation, as the real service names it in the message.
        operation: &'static str,
    },
    /// As many instances as may run are busy.
    #[error("the concurrency is used up")]
    ConcurrencyExceeded,
    /// As many asynchronous invocations as the function may have are waiting.
    #[error("the queue of the function is full")]
    QueueFull,
    /// The host cannot run the function's runtime; the text says what to install.
    #[error("{0}")]
    RuntimeUnavailable(String),
    /// The server is ending and starts nothing anymore.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Refusal {
    /// Name of the Lambda exception this refusal is reported as, such as
    /// `ResourceNotFoundException`.
    pub fn exception(&self) -> &'static str {
        self.kind().name()
    }

    pub(crate) fn kind(&self) -> Exception {
        match self {
            Refusal::FunctionNotFound { .. }
            | Refusal::PolicyNotFound
            | Refusal::StatementNotFound { .. } => Exception::ResourceNotFound,
            Refusal::FunctionExists { .. }
            | Refusal::UpdateInProgress { .. }
            | Refusal::StatementExists { .. } => Exception::ResourceConflict,
            Refusal::RevisionMismatch => Exception::PreconditionFailed,
            Refusal::InvalidParameter(_) => Exception::InvalidParameterValue,
            Refusal::PolicyTooLong => Exception::PolicyLengthExceeded,
            Refusal::PayloadNotJson(_) => Exception::InvalidRequestContent,
            Refusal::TooLarge { .. } => Exception::RequestTooLarge,
            Refusal::ConcurrencyExceeded | Refusal::QueueFull => Exception::TooManyRequests,
            Refusal::RuntimeUnavailable(_) => Exception::InvalidRuntime,
            Refusal::ShuttingDown => Exception::ResourceNotReady,
        }
    }
}

/// Why an operation of this product did not happen: the caller's fault or ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's fault.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why an invocation did not happen. A function that fails is not one of them: its failure is an
/// [`crate::Answer`].
pub type InvokeError = Error;
