//! One invocation: what is handed to the runtime, what comes back, and the bodies a caller gets
//! when a function fails (lambda.md §6). Here is also the way from a caller to an instance.
//!
//! What does not live here: processes (`sandbox.rs`), an instance's life (`runner.rs`), and
//! invocations that nobody waits for (`queue.rs`).

use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, sync::Arc};

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::oneshot;

use crate::{
    Error, Functions, Refusal,
    fleet::Assignment,
    functions::{self, Function},
    names,
};

/// Largest payload of a synchronous invocation.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Largest payload of an asynchronous one.
pub(crate) const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Largest answer of a function: six megabytes and the frame around them.
pub(crate) const ANSWER_BYTES_MAX: usize = 6_291_556;

/// What a function answered, or how it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The returned JSON, or the JSON that describes the failure.
    pub payload: Vec<u8>,
    /// Whether the function failed (`X-Amz-Function-Error: Unhandled`).
    pub is_error: bool,
    /// Always `$LATEST`.
    pub executed_version: String,
    /// The last 4 KB of what the invocation logged.
    pub log_tail: String,
}

/// An invocation as the runtime gets it.
#[derive(Clone)]
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) payload: Bytes,
    /// Base64 JSON, handed on as it came.
    pub(crate) client_context: Option<String>,
    pub(crate) function_arn: String,
    pub(crate) trace_id: String,
}

/// An invocation and who waits for it.
pub(crate) struct Job {
    pub(crate) invocation: Arc<Invocation>,
    pub(crate) reply: oneshot::Sender<Result<Answer, Error>>,
}

/// How a function can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The runtime reported it; its body is the caller's.
    Reported(Bytes),
    /// It took longer than the function may.
    TimedOut { timeout_s: i64 },
    /// The process ended without an answer.
    Exited(ExitStatus),
    /// The process could not be started from what is in the package.
    InvalidEntrypoint(String),
    /// The answer was larger than an answer may be.
    AnswerTooLarge,
}

impl Failure {
    /// The type by which callers tell failures apart; a reported one has its own in its body.
    pub(crate) fn error_type(&self) -> Option<&'static str> {
        match self {
            Failure::Reported(_) => None,
            Failure::TimedOut { .. } => Some("Sandbox.Timedout"),
            Failure::Exited(_) => Some("Runtime.ExitError"),
            Failure::InvalidEntrypoint(_) => Some("Runtime.InvalidEntrypoint"),
            Failure::AnswerTooLarge => Some("Function.ResponseSizeTooLarge"),
        }
    }

    /// What went wrong, without the `RequestId:` in front.
    pub(crate) fn message(&self) -> String {
        match self {
            Failure::Reported(_) => String::new(),
            Failure::TimedOut { timeout_s } => {
                format!("Task timed out after {timeout_s}.00 seconds")
            }
            Failure::Exited(status) => exit_message(*status),
            Failure::InvalidEntrypoint(message) => message.clone(),
            Failure::AnswerTooLarge => format!(
                "Response payload size exceeded maximum allowed payload size ({ANSWER_BYTES_MAX} \
                 bytes)."
            ),
        }
    }

    /// The body the caller gets.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        let message = self.message();
        match self {
            Failure::Reported(body) => body.to_vec(),
            Failure::AnswerTooLarge => {
                json!({ "errorType": self.error_type(), "errorMessage": message })
                    .to_string()
                    .into_bytes()
            }
            _ => json!({
                "errorType": self.error_type(),
                "errorMessage": format!("RequestId: {request_id} Error: {message}"),
            })
            .to_string()
            .into_bytes(),
        }
    }
}

fn exit_message(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) | (None, None) => "Runtime exited without providing a reason".into(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => {
            format!("Runtime exited with error: signal: {}", signal_name(signal))
        }
    }
}

/// The words the real service uses.
fn signal_name(signal: i32) -> String {
    match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        25 => "file size limit exceeded",
        other => return format!("signal {other}"),
    }
    .into()
}

/// Refuses what is not JSON or is longer than `max_bytes`. An absent payload becomes `{}`.
pub(crate) fn check_payload(payload: Bytes, max_bytes: usize) -> Result<Bytes, Refusal> {
    if payload.len() > max_bytes {
        return Err(Refusal::TooLarge {
            max_bytes,
            operation: "InvokeFunction",
        });
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    std::str::from_utf8(&payload)
        .map_err(|error| Refusal::PayloadNotJson(error.to_string()))
        // Nothing is built from it, so deep nesting costs nothing.
        .and_then(|text| {
            serde_json::from_str::<IgnoredAny>(text)
                .map_err(|error| Refusal::PayloadNotJson(error.to_string()))
        })?;
    Ok(payload)
}

impl Functions {
    /// Invokes a function and waits for its answer. `function` is a name or an ARN, with or without
    /// a qualifier.
    ///
    /// The invocation goes on to its end when the caller stops waiting. A function that fails is an
    /// [`Answer`]; an error says that it was not run.
    pub async fn invoke(
        &self,
        organization_id: &str,
        function: &str,
        payload: Vec<u8>,
    ) -> Result<Answer, Error> {
        let reference = functions::parse(function)?;
        let function = self.resolve(organization_id, &reference).await?;
        let payload = check_payload(payload.into(), PAYLOAD_BYTES_MAX)?;
        let request_id = self.inner.platform.entropy.uuid().to_string();
        self.run(&function, request_id, payload, None).await
    }

    /// Gives a checked payload to an instance of the function, started if need be.
    pub(crate) async fn run(
        &self,
        function: &Function,
        request_id: String,
        payload: Bytes,
        client_context: Option<String>,
    ) -> Result<Answer, Error> {
        let inner = &self.inner;
        let (reply, answer) = oneshot::channel();
        let job = Job {
            invocation: Arc::new(Invocation {
                id: request_id,
                payload,
                client_context,
                function_arn: self.arn(function),
                trace_id: self.new_trace_id(),
            }),
            reply,
        };
        match inner.fleet.assign(function, job) {
            Assignment::Sent => {}
            // The slot is free again when the deployment fails or the caller stops waiting.
            Assignment::Start(slot, job) => {
                let deployment = self.deployment(function).await?;
                slot.start(deployment, job);
            }
            Assignment::Refused(refusal) => return Err(refusal.into()),
        }
        answer
            .await
            .unwrap_or_else(|_| Err(Refusal::ShuttingDown.into()))
    }

    pub(crate) fn arn(&self, function: &Function) -> String {
        names::function_arn(
            &self.inner.settings.region,
            &function.account_id,
            &function.name,
        )
    }

    /// In the tracing service's form; nothing is sampled.
    fn new_trace_id(&self) -> String {
        let platform = &self.inner.platform;
        let epoch_s = platform.clock.now_ms() / 1000;
        format!(
            "Root=1-{epoch_s:08x}-{};Parent={};Sampled=0",
            hex::encode(platform.entropy.bytes::<12>()),
            hex::encode(platform.entropy.bytes::<8>()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_the_contracts_words() {
        for (failure, expected) in [
            (
                Failure::TimedOut { timeout_s: 3 },
                r#"{"errorMessage":"RequestId: id Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(0)),
                r#"{"errorMessage":"RequestId: id Error: Runtime exited without providing a reason","errorType":"Runtime.ExitError"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(129 << 8)),
                r#"{"errorMessage":"RequestId: id Error: Runtime exited with error: exit status 129","errorType":"Runtime.ExitError"}"#,
            ),
            (
                Failure::Exited(ExitStatus::from_raw(9)),
                r#"{"errorMessage":"RequestId: id Error: Runtime exited with error: signal: killed","errorType":"Runtime.ExitError"}"#,
            ),
            (
                Failure::AnswerTooLarge,
                r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
            ),
            (Failure::Reported(Bytes::from_static(b"[1]")), "[1]"),
        ] {
            let body = failure.body("id");
            assert_eq!(std::str::from_utf8(&body).unwrap(), expected);
        }
    }

    #[test]
    fn a_payload_is_json_of_a_bounded_size() {
        let check_payload =
            |payload: &[u8], max_bytes| check_payload(Bytes::copy_from_slice(payload), max_bytes);
        assert_eq!(check_payload(b"", 10).unwrap(), "{}");
        assert_eq!(check_payload(b" [1] ", 10).unwrap(), " [1] ");
        assert!(matches!(
            check_payload(b"{}{}", 10),
            Err(Refusal::PayloadNotJson(_))
        ));
        assert!(matches!(
            check_payload(&[b'"', 0xff, b'"'], 10),
            Err(Refusal::PayloadNotJson(_))
        ));
        assert!(matches!(
            check_payload(&[b'1'; 11], 10),
            Err(Refusal::TooLarge { max_bytes: 10, .. })
        ));
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert!(check_payload(deep.as_bytes(), 1 << 20).is_ok());
    }
}
