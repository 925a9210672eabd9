//! Lambda's REST-JSON door: bodies, error envelope and the table of its exceptions
//! (`lambda.md` §2).
//!
//! What does not live here: paths, operations, and the raw bytes of an invocation.

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

pub use crate::envelope::Answer;
use crate::{
    envelope::{self, ERROR_TYPE, header_text},
    input::InputDenial,
    sigv4::SigV4Denial,
};

const CONTENT_TYPE: &str = "application/json";

/// The exceptions this door answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exception {
    /// The caller may not do this.
    AccessDenied,
    /// More code than the account may store.
    CodeStorageExceeded,
    /// A value that is well formed and cannot be used.
    InvalidParameterValue,
    /// The body is not JSON.
    InvalidRequestContent,
    /// The function's runtime cannot be run here.
    InvalidRuntime,
    /// The stored bundle cannot be unpacked.
    InvalidZipFile,
    /// The function's policy would grow too long.
    PolicyLengthExceeded,
    /// The revision named by the caller is not the latest.
    PreconditionFailed,
    /// The payload is too large.
    RequestTooLarge,
    /// The thing exists already or is in a state that forbids the call.
    ResourceConflict,
    /// The thing does not exist.
    ResourceNotFound,
    /// The function cannot be called yet.
    ResourceNotReady,
    /// A member has the wrong JSON type.
    Serialization,
    /// Our own failure.
    Service,
    /// The concurrency is used up.
    TooManyRequests,
    /// The body's content type is not taken.
    UnsupportedMediaType,
    /// A member breaks a constraint of its shape.
    Validation,
}

impl Exception {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub fn status(self) -> StatusCode {
        self.row().1
    }

    /// The member that holds the text; clients look for exactly this spelling.
    pub fn message_member(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as Status;
        match self {
            Exception::AccessDenied => ("AccessDeniedException", Status::FORBIDDEN, "Message"),
            Exception::CodeStorageExceeded => (
                "CodeStorageExceededException",
                Status::BAD_REQUEST,
                "message",
            ),
            Exception::InvalidParameterValue => (
                "InvalidParameterValueException",
                Status::BAD_REQUEST,
                "message",
            ),
            Exception::InvalidRequestContent => (
                "InvalidRequestContentException",
                Status::BAD_REQUEST,
                "message",
            ),
            Exception::InvalidRuntime => {
                ("InvalidRuntimeException", Status::BAD_GATEWAY, "Message")
            }
            Exception::InvalidZipFile => {
                ("InvalidZipFileException", Status::BAD_GATEWAY, "Message")
            }
            Exception::PolicyLengthExceeded => (
                "PolicyLengthExceededException",
                Status::BAD_REQUEST,
                "message",
            ),
            Exception::PreconditionFailed => (
                "PreconditionFailedException",
                Status::PRECONDITION_FAILED,
                "message",
            ),
            Exception::RequestTooLarge => (
                "RequestTooLargeException",
                Status::PAYLOAD_TOO_LARGE,
                "message",
            ),
            Exception::ResourceConflict => {
                ("ResourceConflictException", Status::CONFLICT, "message")
            }
            Exception::ResourceNotFound => {
                ("ResourceNotFoundException", Status::NOT_FOUND, "Message")
            }
            Exception::ResourceNotReady => {
                ("ResourceNotReadyException", Status::BAD_GATEWAY, "message")
            }
            Exception::Serialization => ("SerializationException", Status::BAD_REQUEST, "Message"),
            Exception::Service => ("ServiceException", Status::INTERNAL_SERVER_ERROR, "Message"),
            Exception::TooManyRequests => (
                "TooManyRequestsException",
                Status::TOO_MANY_REQUESTS,
                "message",
            ),
            Exception::UnsupportedMediaType => (
                "UnsupportedMediaTypeException",
                Status::UNSUPPORTED_MEDIA_TYPE,
                "message",
            ),
            Exception::Validation => ("ValidationException", Status::BAD_REQUEST, "message"),
        }
    }
}

/// The body as one JSON object. An empty body is an empty object, as the protocol has it for
/// operations whose members are all in the path and query.
///
/// Members of the path and query are checked with those of the body: insert them under the names
/// of the API model before [`crate::input::Input::read`], so that all violations come together.
pub fn body(bytes: &[u8]) -> Result<Map<String, Value>, InputDenial> {
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    InputDenial::unless_object(serde_json::from_slice(bytes))
}

/// The operation's output with its own success status.
pub fn success(status: StatusCode, output: &Value, request_id: &str) -> Answer {
    envelope::answer(status, CONTENT_TYPE, envelope::json(output), request_id)
}

/// An answer without a body, such as 204 after a delete.
pub fn success_without_output(status: StatusCode, request_id: &str) -> Answer {
    let mut answer = envelope::answer(status, CONTENT_TYPE, Vec::new(), request_id);
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

/// An exception with its text.
pub fn error(exception: Exception, message: &str, request_id: &str) -> Answer {
    let mut body = Map::new();
    match exception {
        // The frame in front of the service answers these, without saying whose fault it was.
        Exception::AccessDenied | Exception::Serialization | Exception::Validation => {}
        Exception::Service => {
            body.insert("Type".into(), json!("Service"));
        }
        _ => {
            body.insert("Type".into(), json!("User"));
        }
    }
    body.insert(exception.message_member().into(), json!(message));
    envelope_of(exception.status(), exception.name(), body, request_id)
}

/// 429 with what was used up: `ConcurrentInvocationLimitExceeded` or
/// `ReservedFunctionConcurrentInvocationLimitExceeded`.
pub fn throttled(reason: &str, retry_after_seconds: u32, request_id: &str) -> Answer {
    let exception = Exception::TooManyRequests;
    let mut body = Map::new();
    body.insert("Type".into(), json!("User"));
    body.insert("Reason".into(), json!(reason));
    body.insert(exception.message_member().into(), json!("Rate Exceeded."));
    let mut answer = envelope_of(exception.status(), exception.name(), body, request_id);
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    answer
}

/// The answer to input that is not what the operation takes.
pub fn refuse_input(denial: &InputDenial, request_id: &str) -> Answer {
    let message = match denial {
        InputDenial::NotJson { detail } => {
            format!("Could not parse request body into json: {detail}")
        }
        InputDenial::WrongType { .. } | InputDenial::Violations(_) => {
            denial.message().unwrap_or_default()
        }
    };
    error(input_exception(denial), &message, request_id)
}

/// The exception under which this door reports bad input.
pub fn input_exception(denial: &InputDenial) -> Exception {
    match denial {
        InputDenial::NotJson { .. } => Exception::InvalidRequestContent,
        InputDenial::WrongType { .. } => Exception::Serialization,
        InputDenial::Violations(_) => Exception::Validation,
    }
}

/// The answer to a request whose signature does not give it the right to be served. 403 for every
/// reason, unlike the 400 of the JSON 1.1 door.
pub fn refuse_signature(denial: &SigV4Denial, request_id: &str) -> Answer {
    if matches!(denial, SigV4Denial::AccessDenied { .. }) {
        return error(Exception::AccessDenied, &denial.message(), request_id);
    }
    let mut body = Map::new();
    body.insert("message".into(), json!(denial.message()));
    envelope_of(StatusCode::FORBIDDEN, denial.exception(), body, request_id)
}

fn envelope_of(
    status: StatusCode,
    name: &str,
    body: Map<String, Value>,
    request_id: &str,
) -> Answer {
    let body = envelope::json(&Value::Object(body));
    let mut answer = envelope::answer(status, CONTENT_TYPE, body, request_id);
    answer.headers_mut().insert(ERROR_TYPE, header_text(name));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{Input, Integer};

    fn shown(answer: Answer) -> String {
        let mut lines = vec![answer.status().to_string()];
        for (name, value) in answer.headers() {
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
        }
        lines.push(String::from_utf8(answer.into_body()).unwrap());
        lines.join("\n")
    }

    #[test]
    fn an_error_has_the_member_its_clients_look_for() {
        insta::assert_snapshot!(shown(error(Exception::ResourceNotFound, "Function not found: arn:aws:lambda:eu-central-1:000000000000:function:f", "id-1")), @r#"
        404 Not Found
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: ResourceNotFoundException
        {"Message":"Function not found: arn:aws:lambda:eu-central-1:000000000000:function:f","Type":"User"}
        "#);
        insta::assert_snapshot!(shown(error(Exception::ResourceConflict, "Function already exist: f", "id-1")), @r#"
        409 Conflict
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: ResourceConflictException
        {"Type":"User","message":"Function already exist: f"}
        "#);
        insta::assert_snapshot!(shown(throttled("ConcurrentInvocationLimitExceeded", 1, "id-1")), @r#"
        429 Too Many Requests
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: TooManyRequestsException
        retry-after: 1
        {"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}
        "#);
    }

    #[test]
    fn the_exceptions_have_the_statuses_of_the_contract() {
        for (exception, name, status, member) in [
            (
                Exception::ResourceNotFound,
                "ResourceNotFoundException",
                404,
                "Message",
            ),
            (Exception::Service, "ServiceException", 500, "Message"),
            (
                Exception::InvalidZipFile,
                "InvalidZipFileException",
                502,
                "Message",
            ),
            (
                Exception::InvalidRuntime,
                "InvalidRuntimeException",
                502,
                "Message",
            ),
            (
                Exception::ResourceNotReady,
                "ResourceNotReadyException",
                502,
                "message",
            ),
            (
                Exception::ResourceConflict,
                "ResourceConflictException",
                409,
                "message",
            ),
            (
                Exception::InvalidParameterValue,
                "InvalidParameterValueException",
                400,
                "message",
            ),
            (
                Exception::TooManyRequests,
                "TooManyRequestsException",
                429,
                "message",
            ),
            (
                Exception::RequestTooLarge,
                "RequestTooLargeException",
                413,
                "message",
            ),
            (
                Exception::InvalidRequestContent,
                "InvalidRequestContentException",
                400,
                "message",
            ),
            (
                Exception::PreconditionFailed,
                "PreconditionFailedException",
                412,
                "message",
            ),
            (
                Exception::UnsupportedMediaType,
                "UnsupportedMediaTypeException",
                415,
                "message",
            ),
            (
                Exception::CodeStorageExceeded,
                "CodeStorageExceededException",
                400,
                "message",
            ),
            (
                Exception::PolicyLengthExceeded,
                "PolicyLengthExceededException",
                400,
                "message",
            ),
            (Exception::Validation, "ValidationException", 400, "message"),
        ] {
            assert_eq!(exception.name(), name);
            assert_eq!(exception.status().as_u16(), status, "{name}");
            assert_eq!(exception.message_member(), member, "{name}");
        }
    }

    #[test]
    fn bad_input_is_answered_by_its_kind() {
        let not_json = body(b"{").unwrap_err();
        insta::assert_snapshot!(shown(refuse_input(&not_json, "id-1")), @r#"
        400 Bad Request
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: InvalidRequestContentException
        {"Type":"User","message":"Could not parse request body into json: EOF while parsing an object at line 1 column 1"}
        "#);
        let read = |text: &str| {
            let body = body(text.as_bytes()).unwrap();
            Input::read(&body, |input| {
                input
                    .integer("Timeout", &Integer::between(1, 900))
                    .optional()
            })
        };
        let wrong_type = read(r#"{"Timeout":"3"}"#).unwrap_err();
        insta::assert_snapshot!(shown(refuse_input(&wrong_type, "id-1")), @r#"
        400 Bad Request
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: SerializationException
        {"Message":"STRING_VALUE can not be converted to an Integer"}
        "#);
        let violation = read(r#"{"Timeout":901}"#).unwrap_err();
        insta::assert_snapshot!(shown(refuse_input(&violation, "id-1")), @r#"
        400 Bad Request
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: ValidationException
        {"message":"1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900"}
        "#);
    }

    #[test]
    fn a_refused_signature_is_forbidden() {
        insta::assert_snapshot!(shown(refuse_signature(&SigV4Denial::MissingAuthorization, "id-1")), @r#"
        403 Forbidden
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: MissingAuthenticationTokenException
        {"message":"Missing Authentication Token"}
        "#);
        let denied = SigV4Denial::AccessDenied {
            user: "u".into(),
            action: "lambda:InvokeFunction".into(),
            resource: "f".into(),
        };
        insta::assert_snapshot!(shown(refuse_signature(&denied, "id-1")), @r#"
        403 Forbidden
        content-type: application/json
        x-amzn-requestid: id-1
        x-amzn-errortype: AccessDeniedException
        {"Message":"User: u is not authorized to perform: lambda:InvokeFunction on resource: f"}
        "#);
    }

    #[test]
    fn an_empty_body_is_an_empty_object() {
        assert_eq!(body(b""), Ok(Map::new()));
        assert!(body(b" ").is_err());
    }

    #[test]
    fn an_answer_without_output_has_no_content_type() {
        insta::assert_snapshot!(shown(success_without_output(StatusCode::NO_CONTENT, "id-1")), @r"
        204 No Content
        x-amzn-requestid: id-1
        ");
        insta::assert_snapshot!(shown(success(StatusCode::CREATED, &json!({"a": 1}), "id-1")), @r#"
        201 Created
        content-type: application/json
        x-amzn-requestid: id-1
        {"a":1}
        "#);
    }
}
