//! The AWS JSON 1.1 door as the user pools speak it: which operation is meant, the body as an
//! object, and the envelopes of answers, errors and CORS (`cognito.md` §1).
//!
//! What does not live here: the table of operations and the exceptions of a product.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Number, Value, json};

pub use crate::envelope::Answer;
use crate::{
    envelope::{self, ERROR_TYPE, header_text},
    input::InputDenial,
    sigv4::SigV4Denial,
};

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TARGET: &str = "x-amz-target";
const ERROR_MESSAGE: &str = "x-amzn-errormessage";
const EXPOSED: &str = "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date";

/// The operation named by `X-Amz-Target: <service>.<Operation>`.
///
/// `None` when the header is absent, is of another service or names nothing; answer
/// [`unknown_operation`] then, as for a name that is not in the table of operations.
pub fn operation<'h>(headers: &'h HeaderMap, service: &str) -> Option<&'h str> {
    let target = headers.get(TARGET)?.to_str().ok()?;
    let operation = target.strip_prefix(service)?.strip_prefix('.')?;
    (!operation.is_empty()).then_some(operation)
}

/// The body as one JSON object.
///
/// Nesting deeper than 128 is refused like bad JSON. Unknown members stay in and are never looked
/// at. An empty body is not an object: clients send `{}`.
pub fn body(bytes: &[u8]) -> Result<Map<String, Value>, InputDenial> {
    InputDenial::unless_object(serde_json::from_slice(bytes))
}

/// A point in time as the protocol writes it: a JSON number of seconds since 1970 with the
/// milliseconds as fraction, `1730000000.123`.
pub fn timestamp(time_ms: i64) -> Number {
    // The nearest double of a time with three decimals prints as these three decimals until far
    // beyond the year 100000, so no digit is lost or invented.
    Number::from_f64(time_ms as f64 / 1000.0).unwrap_or_else(|| Number::from(0))
}

/// 200 with the operation's output.
pub fn success(output: &Value, request_id: &str) -> Answer {
    envelope::answer(
        StatusCode::OK,
        CONTENT_TYPE,
        envelope::json(output),
        request_id,
    )
}

/// 200 without a body, for an operation that has no output shape. Where the shape exists and is
/// empty send [`success`] with `{}`.
pub fn success_without_output(request_id: &str) -> Answer {
    envelope::answer(StatusCode::OK, CONTENT_TYPE, Vec::new(), request_id)
}

/// An exception by name: `{"__type", "message"}`, repeated in two headers that clients read when
/// the body is out of their reach. 500 for the two exceptions that are our own failure, 400 for
/// every other: this service knows no other status.
pub fn error(exception: &str, message: Option<&str>, request_id: &str) -> Answer {
    let status = match exception {
        "InternalErrorException" | "InternalServerException" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut body = json!({ "__type": exception });
    if let Some(message) = message {
        body["message"] = json!(message);
    }
    let mut answer = envelope::answer(status, CONTENT_TYPE, envelope::json(&body), request_id);
    let headers = answer.headers_mut();
    headers.insert(ERROR_TYPE, header_text(&format!("{exception}:")));
    if let Some(message) = message {
        headers.insert(ERROR_MESSAGE, header_text(message));
    }
    answer
}

/// The answer to a target that names no operation of ours.
pub fn unknown_operation(request_id: &str) -> Answer {
    error("UnknownOperationException", None, request_id)
}

/// The answer to input that is not what the operation takes.
pub fn refuse_input(denial: &InputDenial, request_id: &str) -> Answer {
    error(
        input_exception(denial),
        denial.message().as_deref(),
        request_id,
    )
}

/// The exception under which this door reports bad input.
pub fn input_exception(denial: &InputDenial) -> &'static str {
    match denial {
        InputDenial::NotJson { .. } | InputDenial::WrongType { .. } => "SerializationException",
        InputDenial::Violations(_) => "InvalidParameterException",
    }
}

/// The answer to a request whose signature does not give it the right to be served.
pub fn refuse_signature(denial: &SigV4Denial, request_id: &str) -> Answer {
    error(denial.exception(), Some(&denial.message()), request_id)
}

/// Lets a browser of any origin read the answer. No credentials header: the proof is in the
/// request itself, never in a cookie.
pub fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        HeaderValue::from_static("*"),
    );
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(EXPOSED),
    );
}

/// The answer to a browser's `OPTIONS`: the requested method and headers are allowed as asked.
pub fn preflight(request: &HeaderMap, request_id: &str) -> Answer {
    let mut answer = Response::new(Vec::new());
    let headers = answer.headers_mut();
    allow_any_origin(headers);
    repeat(
        request,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
        headers,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    );
    repeat(
        request,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        headers,
        header::ACCESS_CONTROL_ALLOW_METHODS,
    );
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("172800"),
    );
    headers.insert(envelope::REQUEST_ID, header_text(request_id));
    answer
}

fn repeat(request: &HeaderMap, asked: HeaderName, answer: &mut HeaderMap, allowed: HeaderName) {
    if let Some(value) = request.get(asked) {
        answer.insert(allowed, value.clone());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SERVICE: &str = "AWSCognitoIdentityProviderService";

    fn shown(answer: Answer) -> String {
        let mut lines = vec![answer.status().to_string()];
        for (name, value) in answer.headers() {
            lines.push(format!("{name}: {}", value.to_str().unwrap()));
        }
        lines.push(String::from_utf8(answer.into_body()).unwrap());
        lines.join("\n")
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_target_names_the_operation() {
        for (target, expected) in [
            (
                "AWSCognitoIdentityProviderService.InitiateAuth",
                Some("InitiateAuth"),
            ),
            ("AWSCognitoIdentityProviderService.", None),
            ("AWSCognitoIdentityProviderService", None),
            ("AWSCognitoIdentityProviderServiceX.InitiateAuth", None),
            ("AmazonAthena.InitiateAuth", None),
            ("InitiateAuth", None),
            ("", None),
        ] {
            let headers = headers(&[("x-amz-target", target)]);
            assert_eq!(operation(&headers, SERVICE), expected, "{target}");
        }
        assert_eq!(operation(&HeaderMap::new(), SERVICE), None);
    }

    #[test]
    fn a_body_that_is_not_an_object_is_a_serialization_exception() {
        let deep = "[".repeat(10_000);
        let deep_object = r#"{"a":"#.repeat(10_000);
        for (bytes, message) in [
            ("", None),
            ("{", None),
            ("null", None),
            ("\"x\"", None),
            ("{}x", None),
            ("{\"a\":1,}", None),
            (&deep, None),
            (&deep_object, None),
            ("[]", Some("Start of list found where not expected")),
        ] {
            let denial = body(bytes.as_bytes()).unwrap_err();
            assert_eq!(input_exception(&denial), "SerializationException");
            assert_eq!(denial.message().as_deref(), message);
        }
        assert!(body(b"\xff\xfe").is_err());
        assert_eq!(body(b" {} "), Ok(Map::new()));
    }

    #[test]
    fn a_time_is_seconds_with_three_decimals() {
        for (time_ms, expected) in [
            (1_730_000_000_123, "1730000000.123"),
            (1_730_000_000_120, "1730000000.12"),
            (1_730_000_000_000, "1730000000.0"),
            (253_402_300_799_999, "253402300799.999"),
            (1, "0.001"),
            (0, "0.0"),
            (-1, "-0.001"),
        ] {
            assert_eq!(timestamp(time_ms).to_string(), expected);
        }
    }

    #[test]
    fn an_output_is_answered_with_the_request_id() {
        insta::assert_snapshot!(shown(success(&json!({"Session": "s"}), "id-1")), @r#"
        200 OK
        content-type: application/x-amz-json-1.1
        x-amzn-requestid: id-1
        {"Session":"s"}
        "#);
        insta::assert_snapshot!(shown(success_without_output("id-1")), @r"
        200 OK
        content-type: application/x-amz-json-1.1
        x-amzn-requestid: id-1
        ");
    }

    #[test]
    fn an_error_stands_in_the_body_and_in_headers() {
        insta::assert_snapshot!(shown(error("NotAuthorizedException", Some("Falsch, Zoë\r\nX: 1"), "id-1")), @r#"
        400 Bad Request
        content-type: application/x-amz-json-1.1
        x-amzn-requestid: id-1
        x-amzn-errortype: NotAuthorizedException:
        x-amzn-errormessage: Falsch, Zo?  X: 1
        {"__type":"NotAuthorizedException","message":"Falsch, Zoë\r\nX: 1"}
        "#);
        insta::assert_snapshot!(shown(unknown_operation("id-1")), @r#"
        400 Bad Request
        content-type: application/x-amz-json-1.1
        x-amzn-requestid: id-1
        x-amzn-errortype: UnknownOperationException:
        {"__type":"UnknownOperationException"}
        "#);
        insta::assert_snapshot!(shown(refuse_signature(&SigV4Denial::MissingAuthorization, "id-1")), @r#"
        400 Bad Request
        content-type: application/x-amz-json-1.1
        x-amzn-requestid: id-1
        x-amzn-errortype: MissingAuthenticationTokenException:
        x-amzn-errormessage: Missing Authentication Token
        {"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}
        "#);
    }

    #[test]
    fn only_our_own_failures_are_500() {
        for (exception, status) in [
            ("InternalErrorException", 500),
            ("InternalServerException", 500),
            ("ResourceNotFoundException", 400),
            ("TooManyRequestsException", 400),
        ] {
            assert_eq!(error(exception, None, "id-1").status(), status);
        }
    }

    #[test]
    fn a_preflight_is_allowed_as_asked() {
        let asked = headers(&[
            ("origin", "https://app.example"),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "amz-sdk-invocation-id,content-type,x-amz-target",
            ),
        ]);
        insta::assert_snapshot!(shown(preflight(&asked, "id-1")), @r"
        200 OK
        access-control-allow-origin: *
        access-control-expose-headers: x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date
        access-control-allow-headers: amz-sdk-invocation-id,content-type,x-amz-target
        access-control-allow-methods: POST
        access-control-max-age: 172800
        x-amzn-requestid: id-1
        ");
        let plain = preflight(&HeaderMap::new(), "id-1");
        assert!(!plain.headers().contains_key("access-control-allow-headers"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_body_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = body(&bytes);
        }

        #[test]
        fn a_time_comes_back_to_the_millisecond(time_ms in 0i64..253_402_300_800_000) {
            let written = timestamp(time_ms).to_string();
            let read: f64 = written.parse().unwrap();
            prop_assert_eq!((read * 1000.0).round() as i64, time_ms);
            let decimals = written.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            prop_assert!(decimals <= 3, "{}", written);
        }
    }
}
