//! Requests of AWS clients: signatures, targets, and inputs of operations.

use aws_protocol::{
    input::{Input, InputDenial, Integer, Pattern, Size, Text},
    json11, rest_json,
    sigv4::{self, Authorization, SignedRequest},
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// A request (first byte even), or the body of an operation (odd).
pub(crate) fn aws(input: &[u8]) -> bool {
    match input.split_first() {
        Some((form, bytes)) if form % 2 == 0 => signed_request(bytes),
        Some((_, bytes)) => body(bytes),
        None => false,
    }
}

/// As HTTP has it: `<method> <target>`, the headers, an empty line, the body.
fn signed_request(bytes: &[u8]) -> bool {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = bytes.split_at(end.unwrap_or(bytes.len()));
    let body = body.get(2..).unwrap_or_default();
    let mut lines = head.split(|byte| *byte == b'\n');
    let Some((method, target)) = lines
        .next()
        .and_then(|line| std::str::from_utf8(line).ok())
        .and_then(|line| line.split_once(' '))
    else {
        return false;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        if let (Ok(name), Some(Ok(value))) = (
            HeaderName::from_bytes(name),
            value.get(1..).map(HeaderValue::from_bytes),
        ) {
            headers.append(name, value);
        }
    }
    let operation = json11::operation(&headers, SERVICE);
    assert!(operation.is_none_or(|operation| !operation.is_empty()));
    let request = SignedRequest {
        method,
        host: HOST,
        path,
        query,
        headers: &headers,
        body,
    };
    let verified = Authorization::parse(&headers).and_then(|authorization| {
        let verified = sigv4::verify(&request, &authorization, SECRET, NOW_MS, SERVICE);
        if verified.is_ok() {
            // Only the holder of the secret could sign this, and only for this.
            let wrong = |secret: &str, now_ms, service: &str| {
                sigv4::verify(&request, &authorization, secret, now_ms, service).is_err()
            };
            assert!(wrong("another secret", NOW_MS, SERVICE));
            assert!(wrong(SECRET, NOW_MS + DAY_MS, SERVICE));
            assert!(wrong(SECRET, NOW_MS - DAY_MS, SERVICE));
            assert!(wrong(SECRET, NOW_MS, "another service"));
            let other = SignedRequest {
                body: b"another body",
                ..request
            };
            assert!(sigv4::verify(&other, &authorization, SECRET, NOW_MS, SERVICE).is_err());
        }
        verified
    });
    if let Err(denial) = &verified {
        assert!(!denial.exception().is_empty());
        for answer in [
            json11::refuse_signature(denial, "request"),
            rest_json::refuse_signature(denial, "request"),
        ] {
            assert!(answer.status().is_client_error());
        }
    }
    verified.is_ok()
}

fn body(bytes: &[u8]) -> bool {
    let bodies = [json11::body(bytes), rest_json::body(bytes)];
    if !bytes.is_empty() {
        assert_eq!(bodies[0], bodies[1]);
    }
    for denial in bodies.iter().filter_map(|body| body.as_ref().err()) {
        check(denial);
    }
    let Ok(object) = &bodies[0] else {
        return false;
    };
    let read = Input::read(object, read_all);
    match &read {
        Ok(name) => assert!((1..=6).contains(&name.len())),
        Err(denial) => check(denial),
    }
    read.is_ok()
}

/// One member of each kind.
fn read_all(input: &mut Input<'_>) -> String {
    let name = input.string("Name", &NAME_RULE).required();
    input
        .string("Password", &Text::ANY.max(8).sensitive())
        .optional();
    input.choice("Choice", &CHOICES).optional();
    input.integer("Number", &Integer::between(-5, 5)).optional();
    input.boolean("Boolean").or_default();
    input.blob("Blob").optional();
    input.document("Document").optional();
    input
        .object("Object", |input| {
            input.string("Name", &NAME_RULE).required()
        })
        .optional();
    input
        .objects("Objects", &Size::at_most(2), |input| {
            input.string("Name", &NAME_RULE).required()
        })
        .optional();
    input
        .strings("Strings", &Size::between(1, 2), &NAME_RULE)
        .optional();
    input
        .choices("Choices", &Size::at_most(2), &CHOICES)
        .optional();
    input
        .string_map("Map", &Size::at_most(2), &NAME_RULE, &Text::ANY.max(4))
        .optional();
    name
}

/// A denial can be told at either door.
fn check(denial: &InputDenial) {
    if let InputDenial::Violations(violations) = denial {
        assert!((1..=10).contains(&violations.len()));
    }
    for answer in [
        json11::refuse_input(denial, "request"),
        rest_json::refuse_input(denial, "request"),
    ] {
        assert_eq!(answer.status(), 400);
        assert!(serde_json::from_slice::<serde_json::Value>(answer.body()).is_ok());
    }
}

const NAME_RULE: Text = Text::ANY.length(1, 6).pattern(Pattern {
    text: "[a-z]+",
    matches: |text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase()),
});

const CHOICES: [(&str, u8); 2] = [("FIRST", 1), ("SECOND", 2)];

/// Key, time, service and host of the published test suite of the protocol.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW_MS: i64 = 1_440_938_160_000;
const SERVICE: &str = "service";
const HOST: &str = "example.amazonaws.com";
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
