//! Verifies a request signed with AWS Signature Version 4 in its `Authorization` header
//! (`cognito.md` §2, `lambda.md` §2).
//!
//! What does not live here: stored access keys and the lookup of a key by its id, the choice of
//! the host (behind a proxy), the cache of signing keys, and the HTTP status of a denial, which
//! each door chooses. The form that carries the signature in the query is not accepted.
//!
//! A door calls [`Authorization::parse`], finds the key's secret, and calls [`verify`].

use std::fmt;

use aws_lc_rs::{digest, hmac};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::{Timestamp, civil::DateTime, fmt::rfc2822, tz::TimeZone};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use subtle::ConstantTimeEq;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";
const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// How far the signer's clock may be from ours, either way.
const CLOCK_SKEW_MAX_MS: i64 = 5 * 60 * 1000;

/// Headers that say what the request does. When present they must be signed, or who has seen one
/// request could turn it into another one while it is fresh. Other headers need no signature: some
/// clients leave their user agent out, and proxies add headers such as `x-amz-cf-id`.
const SIGNED_IF_PRESENT: [&str; 5] = [
    "x-amz-target",
    "x-amz-security-token",
    "x-amz-invocation-type",
    "x-amz-client-context",
    "x-amz-log-type",
];

/// What RFC 3986 leaves as it is; the protocol encodes every other byte.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const UNRESERVED_AND_SLASH: &AsciiSet = &UNRESERVED.remove(b'/');

/// The request as the client sent it, before any decoding.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The method, in capitals as on the wire.
    pub method: &'a str,
    /// The host the client used, with the port if it named one. Usually the `Host` header; behind
    /// a proxy what the operator has configured to be trusted.
    pub host: &'a str,
    /// The path, still percent-encoded.
    pub path: &'a str,
    /// The query without `?`, still percent-encoded; empty when there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The whole body. Its hash is always taken from these bytes, whatever
    /// `x-amz-content-sha256` says, so `UNSIGNED-PAYLOAD` never verifies.
    pub body: &'a [u8],
}

/// Who says to have signed a request, for what and when. Nothing in it is proven before
/// [`verify`]; a developer's set-up may take it for well-formed and go on without a proof.
#[derive(Clone)]
pub struct Authorization {
    access_key_id: String,
    date: String,
    region: String,
    service: String,
    terminator: String,
    signed_headers: String,
    signature: String,
    signed_at_s: i64,
}

impl Authorization {
    /// Reads `Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` and the
    /// time of signing. The parts come in any order, parted by commas, spaces or both; parts with
    /// other names are ignored.
    ///
    /// Denials: [`SigV4Denial::MissingAuthorization`] without the header or with one of another
    /// scheme, [`SigV4Denial::Incomplete`] and the `Malformed…` ones.
    pub fn parse(headers: &HeaderMap) -> Result<Authorization, SigV4Denial> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(SigV4Denial::MissingAuthorization)?;
        let text = value
            .to_str()
            .map_err(|_| SigV4Denial::MalformedAuthorization)?;
        if values.next().is_some() {
            return Err(SigV4Denial::MalformedAuthorization);
        }
        let mut words = text
            .split(|character: char| character == ',' || character.is_ascii_whitespace())
            .filter(|word| !word.is_empty());
        match words.next() {
            Some(ALGORITHM) => {}
            Some(other) if other.starts_with("AWS4-") => {
                return Err(SigV4Denial::MalformedAuthorization);
            }
            _ => return Err(SigV4Denial::MissingAuthorization),
        }

        let (mut credential, mut signature, mut signed_headers) = (None, None, None);
        for word in words {
            let (name, value) = word
                .split_once('=')
                .ok_or(SigV4Denial::MalformedAuthorization)?;
            let part = match name {
                "Credential" => &mut credential,
                "Signature" => &mut signature,
                "SignedHeaders" => &mut signed_headers,
                _ => continue,
            };
            // Two different claims in one header have no meaning.
            if part.replace(value).is_some() {
                return Err(SigV4Denial::MalformedAuthorization);
            }
        }
        let filled = |part: Option<&'_ str>| part.is_some_and(|value| !value.is_empty());
        let date_header = headers.get(AMZ_DATE).or_else(|| headers.get(header::DATE));
        let missing: Vec<MissingPart> = [
            (filled(credential), MissingPart::Credential),
            (filled(signature), MissingPart::Signature),
            (filled(signed_headers), MissingPart::SignedHeaders),
            (date_header.is_some(), MissingPart::Date),
        ]
        .into_iter()
        .filter_map(|(is_present, part)| (!is_present).then_some(part))
        .collect();
        let (Some(credential), Some(signature), Some(signed_headers), Some(date_header), []) = (
            credential,
            signature,
            signed_headers,
            date_header,
            missing.as_slice(),
        ) else {
            return Err(SigV4Denial::Incomplete { missing });
        };

        let [access_key_id, date, region, service, terminator] =
            credential.split('/').collect::<Vec<_>>()[..]
        else {
            return Err(SigV4Denial::MalformedCredential);
        };
        if access_key_id.is_empty() {
            return Err(SigV4Denial::MalformedCredential);
        }
        Ok(Authorization {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            terminator: terminator.to_owned(),
            signed_headers: signed_headers.to_owned(),
            signature: signature.to_owned(),
            signed_at_s: signing_time(date_header).ok_or(SigV4Denial::MalformedDate)?,
        })
    }

    /// The id of the key that is said to have signed.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The day of signing, `YYYYMMDD` in UTC once [`Authorization::check_scope`] has passed.
    pub fn date(&self) -> &str {
        &self.date
    }

    /// The region the client was configured with. Any text that looks like one is accepted.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service the request was signed for.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Whether the request was signed for this service, for the day it names, and within five
    /// minutes of `now_ms`. Needs no key, so a shell that caches signing keys calls it before it
    /// lets a request choose a place in the cache.
    pub fn check_scope(&self, service: &str, now_ms: i64) -> Result<(), SigV4Denial> {
        let is_region = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !is_region(&self.region) {
            return Err(SigV4Denial::WrongRegion);
        }
        if self.service != service {
            return Err(SigV4Denial::WrongService {
                expected: service.to_owned(),
            });
        }
        if self.terminator != TERMINATOR {
            return Err(SigV4Denial::WrongTerminator);
        }
        let signed_at = basic_time(self.signed_at_s);
        if !signed_at.starts_with(&self.date) || self.date.len() != "YYYYMMDD".len() {
            return Err(SigV4Denial::WrongDate { signed_at });
        }
        let signed_at_ms = self.signed_at_s.saturating_mul(1000);
        if signed_at_ms < now_ms.saturating_sub(CLOCK_SKEW_MAX_MS) {
            return Err(SigV4Denial::Expired {
                signed_at_ms,
                now_ms,
            });
        }
        if signed_at_ms > now_ms.saturating_add(CLOCK_SKEW_MAX_MS) {
            return Err(SigV4Denial::NotYetCurrent {
                signed_at_ms,
                now_ms,
            });
        }
        Ok(())
    }
}

// Without the signature: from a log it could be sent again while it is fresh.
impl fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authorization")
            .field("access_key_id", &self.access_key_id)
            .field("date", &self.date)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("signed_headers", &self.signed_headers)
            .finish_non_exhaustive()
    }
}

/// Proves that the holder of `secret` signed this request for this service within the last five
/// minutes.
///
/// Denials: those of [`Authorization::check_scope`] and [`verify_with`].
pub fn verify(
    request: &SignedRequest<'_>,
    authorization: &Authorization,
    secret: &str,
    now_ms: i64,
    service: &str,
) -> Result<(), SigV4Denial> {
    authorization.check_scope(service, now_ms)?;
    let key = SigningKey::derive(secret, &authorization.date, &authorization.region, service);
    verify_with(request, authorization, &key)
}

/// Proves that the signing key made this signature over this request. Says nothing about scope and
/// time: [`Authorization::check_scope`] comes first.
///
/// Denials: [`SigV4Denial::MalformedAuthorization`] when a header is named twice among the signed
/// ones, [`SigV4Denial::UnsignedHeader`] when the host or a header that steers the operation is
/// left out of the signature, [`SigV4Denial::SignatureMismatch`] for anything that was altered.
pub fn verify_with(
    request: &SignedRequest<'_>,
    authorization: &Authorization,
    key: &SigningKey,
) -> Result<(), SigV4Denial> {
    let signed: Vec<&str> = authorization.signed_headers.split(';').collect();
    let required = std::iter::once("host").chain(
        SIGNED_IF_PRESENT
            .into_iter()
            .filter(|name| request.headers.contains_key(*name)),
    );
    for name in required {
        if !signed.contains(&name) {
            return Err(SigV4Denial::UnsignedHeader { name });
        }
    }
    if !are_distinct_names(&signed) {
        return Err(SigV4Denial::MalformedAuthorization);
    }
    let canonical = canonical_request(request, &signed).ok_or(SigV4Denial::SignatureMismatch)?;
    let string_to_sign = format!(
        "{ALGORITHM}\n{time}\n{date}/{region}/{service}/{terminator}\n{hash}",
        time = basic_time(authorization.signed_at_s),
        date = authorization.date,
        region = authorization.region,
        service = authorization.service,
        terminator = authorization.terminator,
        hash = sha256_hex(&canonical),
    );
    let expected = hex::encode(hmac::sign(&key.0, string_to_sign.as_bytes()));
    // Constant time, or the signature could be guessed digit by digit.
    if bool::from(
        expected
            .as_bytes()
            .ct_eq(authorization.signature.as_bytes()),
    ) {
        Ok(())
    } else {
        Err(SigV4Denial::SignatureMismatch)
    }
}

/// What a secret becomes for one day, region and service. Worth caching for that day; as secret as
/// the secret within its scope.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

impl SigningKey {
    /// Derives the key from the access key's secret; `date` is `YYYYMMDD`.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> SigningKey {
        let first = hmac::Key::new(hmac::HMAC_SHA256, format!("AWS4{secret}").as_bytes());
        let key = [date, region, service, TERMINATOR]
            .into_iter()
            .fold(first, |key, part| {
                let tag = hmac::sign(&key, part.as_bytes());
                hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
            });
        SigningKey(key)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(…)")
    }
}

/// Every reason not to serve a signed request. The names and texts are those of `cognito.md` §2;
/// the JSON 1.1 door answers all with 400, the REST-JSON door with 403.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", self.exception(), self.message())]
pub enum SigV4Denial {
    /// No `Authorization` header, or one of another scheme.
    MissingAuthorization,
    /// The header is of this scheme and lacks parts.
    Incomplete {
        /// The parts, in the order in which they are reported.
        missing: Vec<MissingPart>,
    },
    /// The header cannot be read as parts with names.
    MalformedAuthorization,
    /// The credential is not `<key>/<date>/<region>/<service>/aws4_request`.
    MalformedCredential,
    /// The time of signing cannot be read.
    MalformedDate,
    /// No such access key, or one that is not valid any more. Raised by the shell.
    UnknownKey,
    /// The key is good and lacks the right. Raised by the shell.
    AccessDenied {
        /// The ARN of the caller.
        user: String,
        /// The service and operation: `cognito-idp:AdminGetUser`.
        action: String,
        /// The ARN of what the operation is about.
        resource: String,
    },
    /// The scope's region is not a region's name.
    WrongRegion,
    /// Signed for another service.
    WrongService {
        /// The service that was asked.
        expected: String,
    },
    /// The scope does not end as it must.
    WrongTerminator,
    /// The scope's day is not the day of signing.
    WrongDate {
        /// The time of signing, `YYYYMMDDThhmmssZ`.
        signed_at: String,
    },
    /// Signed too long ago.
    Expired {
        /// The time of signing.
        signed_at_ms: i64,
        /// Our time.
        now_ms: i64,
    },
    /// Signed by a clock that is ahead of ours.
    NotYetCurrent {
        /// The time of signing.
        signed_at_ms: i64,
        /// Our time.
        now_ms: i64,
    },
    /// A header that the signature has to cover is not covered.
    UnsignedHeader {
        /// Its name.
        name: &'static str,
    },
    /// The signature is not the one this key makes over this request.
    SignatureMismatch,
}

/// A part without which a signed request cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingPart {
    /// Who signed, and for what.
    Credential,
    /// The signature.
    Signature,
    /// Which headers it covers.
    SignedHeaders,
    /// When it was made: a header of its own.
    Date,
}

impl SigV4Denial {
    /// The exception's name on the wire.
    pub fn exception(&self) -> &'static str {
        match self {
            SigV4Denial::MissingAuthorization => "MissingAuthenticationTokenException",
            SigV4Denial::Incomplete { .. }
            | SigV4Denial::MalformedAuthorization
            | SigV4Denial::MalformedCredential
            | SigV4Denial::MalformedDate => "IncompleteSignatureException",
            SigV4Denial::UnknownKey => "UnrecognizedClientException",
            SigV4Denial::AccessDenied { .. } => "AccessDeniedException",
            SigV4Denial::WrongRegion
            | SigV4Denial::WrongService { .. }
            | SigV4Denial::WrongTerminator
            | SigV4Denial::WrongDate { .. }
            | SigV4Denial::Expired { .. }
            | SigV4Denial::NotYetCurrent { .. }
            | SigV4Denial::UnsignedHeader { .. }
            | SigV4Denial::SignatureMismatch => "InvalidSignatureException",
        }
    }

    /// The text for the caller. Holds nothing of the header that was sent.
    pub fn message(&self) -> String {
        match self {
            SigV4Denial::MissingAuthorization => "Missing Authentication Token".into(),
            SigV4Denial::Incomplete { missing } => {
                let sentences: Vec<&str> = missing.iter().map(|part| part.sentence()).collect();
                sentences.join(" ")
            }
            SigV4Denial::MalformedAuthorization => {
                "Authorization header must be a list of key=value pairs after the algorithm \
                 'AWS4-HMAC-SHA256', each key once."
                    .into()
            }
            SigV4Denial::MalformedCredential => {
                "Credential must have exactly 5 slash-delimited elements, \
                 e.g. keyid/date/region/service/term."
                    .into()
            }
            SigV4Denial::MalformedDate => {
                "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601"
                    .into()
            }
            SigV4Denial::UnknownKey => {
                "The security token included in the request is invalid.".into()
            }
            SigV4Denial::AccessDenied {
                user,
                action,
                resource,
            } => format!(
                "User: {user} is not authorized to perform: {action} on resource: {resource}"
            ),
            SigV4Denial::WrongRegion => "Credential should be scoped to a valid region.".into(),
            SigV4Denial::WrongService { expected } => {
                format!("Credential should be scoped to correct service: '{expected}'.")
            }
            SigV4Denial::WrongTerminator => {
                format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'.")
            }
            SigV4Denial::WrongDate { signed_at } => format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                 from HTTP: '{signed_at}'."
            ),
            SigV4Denial::Expired {
                signed_at_ms,
                now_ms,
            } => format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                basic_time_of_ms(*signed_at_ms),
                basic_time_of_ms(now_ms.saturating_sub(CLOCK_SKEW_MAX_MS)),
                basic_time_of_ms(*now_ms),
            ),
            SigV4Denial::NotYetCurrent {
                signed_at_ms,
                now_ms,
            } => format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                basic_time_of_ms(*signed_at_ms),
                basic_time_of_ms(now_ms.saturating_add(CLOCK_SKEW_MAX_MS)),
                basic_time_of_ms(*now_ms),
            ),
            SigV4Denial::UnsignedHeader { name: "host" } => {
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".into()
            }
            SigV4Denial::UnsignedHeader { name } => {
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
            }
            SigV4Denial::SignatureMismatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
                    .into()
            }
        }
    }
}

impl MissingPart {
    fn sentence(self) -> &'static str {
        match self {
            MissingPart::Credential => "Authorization header requires 'Credential' parameter.",
            MissingPart::Signature => "Authorization header requires 'Signature' parameter.",
            MissingPart::SignedHeaders => {
                "Authorization header requires 'SignedHeaders' parameter."
            }
            MissingPart::Date => {
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                 header."
            }
        }
    }
}

/// Whether every header is named once and in small letters. A long header named a thousand times
/// would be hashed as often, for anybody who asks.
fn are_distinct_names(names: &[&str]) -> bool {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
        && !names
            .iter()
            .any(|name| name.bytes().any(|b| b.is_ascii_uppercase()))
}

/// The request in the one form that both sides hash. `None` when a signed header is absent: there
/// is nothing that could have been signed.
fn canonical_request(request: &SignedRequest<'_>, signed: &[&str]) -> Option<Vec<u8>> {
    let mut canonical = Vec::with_capacity(512);
    canonical.extend_from_slice(request.method.as_bytes());
    canonical.push(b'\n');
    canonical.extend_from_slice(canonical_path(request.path).as_bytes());
    canonical.push(b'\n');
    canonical.extend_from_slice(canonical_query(request.query).as_bytes());
    canonical.push(b'\n');
    for name in signed {
        canonical.extend_from_slice(name.as_bytes());
        canonical.push(b':');
        if *name == "host" {
            push_trimmed(&mut canonical, request.host.as_bytes());
        } else {
            let mut values = request.headers.get_all(*name).iter();
            push_trimmed(&mut canonical, values.next()?.as_bytes());
            for value in values {
                canonical.push(b',');
                push_trimmed(&mut canonical, value.as_bytes());
            }
        }
        canonical.push(b'\n');
    }
    canonical.push(b'\n');
    canonical.extend_from_slice(signed.join(";").as_bytes());
    canonical.push(b'\n');
    canonical.extend_from_slice(sha256_hex(request.body).as_bytes());
    Some(canonical)
}

/// The path without dot segments and empty segments, encoded once more than it was sent: every
/// service but S3 signs the encoded path.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    let names_a_folder = ["/", "/.", "/.."].iter().any(|end| path.ends_with(end));
    if names_a_folder && !normal.ends_with('/') {
        normal.push('/');
    }
    percent_encode(normal.as_bytes(), UNRESERVED_AND_SLASH).to_string()
}

/// The query's pairs, each decoded and encoded in the one allowed way, sorted.
fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded_anew(name), encoded_anew(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

fn encoded_anew(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let decoded: Vec<u8> = percent_decode(spaced.as_bytes()).collect();
    percent_encode(&decoded, UNRESERVED).to_string()
}

/// Without white space at the ends, and with one space for each run inside.
fn push_trimmed(canonical: &mut Vec<u8>, value: &[u8]) {
    let words = value
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    for (index, word) in words.enumerate() {
        if index > 0 {
            canonical.push(b' ');
        }
        canonical.extend_from_slice(word);
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

/// Seconds since 1970 from `YYYYMMDDThhmmssZ`, or from the long form of a `Date` header.
fn signing_time(header: &HeaderValue) -> Option<i64> {
    const BASIC: &str = "%Y%m%dT%H%M%SZ";
    let text = header.to_str().ok()?.trim();
    let time = match DateTime::strptime(BASIC, text) {
        Ok(time) => time.to_zoned(TimeZone::UTC).ok()?.timestamp(),
        Err(_) => rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?,
    };
    Some(time.as_second())
}

/// `YYYYMMDDThhmmssZ`. Times beyond the year 9999 cannot come from a header and are written as the
/// nearest that can.
fn basic_time(time_s: i64) -> String {
    let time = Timestamp::from_second(time_s).unwrap_or(if time_s < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn basic_time_of_ms(time_ms: i64) -> String {
    basic_time(time_ms.div_euclid(1000))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use aws_credential_types::Credentials;
    use aws_sigv4::{
        http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
        sign::v4,
    };
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const SERVICE: &str = "cognito-idp";
    /// 2015-08-30T12:36:00Z, the time of the published vectors.
    const NOW_MS: i64 = 1_440_938_160_000;

    /// A request that owns its parts, so that a test can alter them one by one.
    #[derive(Clone, Debug)]
    struct Sent {
        method: String,
        host: String,
        path: String,
        query: String,
        headers: HeaderMap,
        body: Vec<u8>,
    }

    impl Sent {
        fn new(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Sent {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let mut sent = Sent {
                method: method.into(),
                host: "localhost:9229".into(),
                path: path.into(),
                query: query.into(),
                headers: HeaderMap::new(),
                body: body.into(),
            };
            for (name, value) in headers {
                sent.add(name, value);
            }
            sent
        }

        fn add(&mut self, name: &str, value: &str) {
            self.headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }

        fn set(&mut self, name: &'static str, value: &str) {
            self.headers
                .insert(name, HeaderValue::from_str(value).unwrap());
        }

        /// Signs as the AWS SDK does, for `SERVICE` at `NOW_MS`.
        fn signed(mut self, session_token: Option<&str>) -> Sent {
            let credentials = Credentials::new(
                "AKIDEXAMPLE",
                SECRET,
                session_token.map(str::to_owned),
                None,
                "test",
            );
            let identity = credentials.into();
            let mut settings = SigningSettings::default();
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            let params = v4::SigningParams::builder()
                .identity(&identity)
                .region("eu-central-1")
                .name(SERVICE)
                .time(SystemTime::UNIX_EPOCH + Duration::from_millis(NOW_MS as u64))
                .settings(settings)
                .build()
                .unwrap()
                .into();
            let query = if self.query.is_empty() { "" } else { "?" };
            let uri = format!("http://{}{}{query}{}", self.host, self.path, self.query);
            let headers: Vec<(&str, &str)> = self
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
                .collect();
            let request = SignableRequest::new(
                &self.method,
                uri,
                headers.into_iter(),
                SignableBody::Bytes(&self.body),
            )
            .unwrap();
            let (instructions, _) = sign(request, &params).unwrap().into_parts();
            for (name, value) in instructions.headers() {
                self.add(name, value);
            }
            self
        }

        fn verified(&self) -> Result<(), SigV4Denial> {
            self.verified_for(SERVICE, SECRET, NOW_MS)
        }

        fn verified_for(
            &self,
            service: &str,
            secret: &str,
            now_ms: i64,
        ) -> Result<(), SigV4Denial> {
            let authorization = Authorization::parse(&self.headers)?;
            let request = SignedRequest {
                method: &self.method,
                host: &self.host,
                path: &self.path,
                query: &self.query,
                headers: &self.headers,
                body: &self.body,
            };
            verify(&request, &authorization, secret, now_ms, service)
        }
    }

    fn admin_get_user() -> Sent {
        Sent::new(
            "POST",
            "/",
            &[
                ("content-type", "application/x-amz-json-1.1"),
                (
                    "x-amz-target",
                    "AWSCognitoIdentityProviderService.AdminGetUser",
                ),
                ("x-amz-user-agent", "aws-sdk-js/3.0"),
            ],
            r#"{"UserPoolId":"eu-central-1_abcdefghi","Username":"ada"}"#,
        )
        .signed(None)
    }

    /// The published test suite of the protocol: target, headers besides `X-Amz-Date`, body,
    /// signature.
    #[test]
    fn the_published_vectors_verify() {
        const FORM: &str = "application/x-www-form-urlencoded";
        const FORM_SHA256: &str =
            "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
        const UNRESERVED: &str =
            "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        type Vector<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);
        let unreserved_path = format!("/{UNRESERVED}");
        let unreserved_query = format!("/?{UNRESERVED}={UNRESERVED}");
        #[rustfmt::skip]
        let vectors: &[Vector<'_>] = &[
            ("GET", "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "/example1/example2/../..", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "/./", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            ("GET", "/./example", &[], "", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
            ("GET", "//example//", &[], "", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
            ("GET", "/example space/", &[], "", "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
            ("GET", &unreserved_path, &[], "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
            ("GET", "/ሴ", &[], "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
            ("GET", "/?Param1=value1", &[], "", "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
            ("GET", "/?Param2=value2&Param1=value1", &[], "", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
            ("GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", &[], "", "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
            ("GET", &unreserved_query, &[], "", "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
            ("GET", "/?ሴ=bar", &[], "", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
            ("GET", "/", &[("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")], "", "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
            ("GET", "/", &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")], "", "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
            ("GET", "/", &[("x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")], "", "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
            ("POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
            ("POST", "/", &[("My-Header1", "VALUE1")], "", "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
            ("POST", "/?Param1=value1", &[], "", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
            ("POST", "/", &[("content-type", FORM), ("content-length", "13"), ("x-amz-content-sha256", FORM_SHA256)], "Param1=value1", "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
        ];
        for (method, target, headers, body, signature) in vectors {
            let mut sent = Sent::new(method, target, headers, body);
            sent.host = "example.amazonaws.com".into();
            sent.add("X-Amz-Date", "20150830T123600Z");
            let mut names: Vec<&str> = sent.headers.keys().map(HeaderName::as_str).collect();
            names.push("host");
            names.sort_unstable();
            let authorization = format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={}, Signature={signature}",
                names.join(";"),
            );
            sent.add("Authorization", &authorization);
            let verified = sent.verified_for("service", SECRET, NOW_MS);
            assert_eq!(verified, Ok(()), "{method} {target} {headers:?}");
        }
    }

    #[test]
    fn the_example_of_the_general_reference_verifies() {
        let mut sent = Sent::new(
            "GET",
            "/?Action=ListUsers&Version=2010-05-08",
            &[
                (
                    "content-type",
                    "application/x-www-form-urlencoded; charset=utf-8",
                ),
                ("x-amz-date", "20150830T123600Z"),
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-date, \
                     Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
                ),
            ],
            "",
        );
        sent.host = "iam.amazonaws.com".into();
        assert_eq!(sent.verified_for("iam", SECRET, NOW_MS), Ok(()));
    }

    #[test]
    fn an_encoded_path_is_encoded_once_more() {
        let mut sent = Sent::new(
            "POST",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations",
            &[
                ("x-amz-date", "20210511T154045Z"),
                (
                    "authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20210511/us-east-2/lambda/aws4_request, \
                     SignedHeaders=host;x-amz-date, \
                     Signature=4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804",
                ),
            ],
            "",
        );
        sent.host = "lambda.us-east-2.amazonaws.com".into();
        let now_ms = 1_620_747_645_000;
        assert_eq!(sent.verified_for("lambda", SECRET, now_ms), Ok(()));
    }

    #[test]
    fn what_the_sdk_signs_verifies() {
        for (method, target, headers, body) in [
            ("POST", "/", &[][..], "{}"),
            ("GET", "/2015-03-31/functions/", &[], ""),
            (
                "GET",
                "/2015-03-31/functions?Marker=a%2Fb%3D&MaxItems=50",
                &[],
                "",
            ),
            (
                "GET",
                "/tags/arn%3Aaws%3Alambda?tagKeys=b&tagKeys=a&tagKeys=",
                &[],
                "",
            ),
            ("GET", "/a?q=one+two%20three%2Bfour&empty&q=~", &[], ""),
            ("GET", "/a%20b/..%2Fc/./d//e/../f/", &[], ""),
            ("GET", "/(a)*'b'!:@$,;=", &[], ""),
            (
                "PUT",
                "/f",
                &[("x-odd", "  a   b  "), ("x-odd", "c")],
                "\u{0}ü",
            ),
        ] {
            let sent = Sent::new(method, target, headers, body).signed(None);
            assert_eq!(sent.verified(), Ok(()), "{method} {target}");
            let sent = Sent::new(method, target, headers, body).signed(Some("token/+=="));
            assert_eq!(sent.verified(), Ok(()), "{method} {target} with a token");
        }
        assert_eq!(admin_get_user().verified(), Ok(()));
    }

    /// Signatures made by the Python and JavaScript clients.
    #[test]
    fn what_other_clients_sign_verifies() {
        const FUNCTION: &str = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-central-1%3A000000000000%3Afunction%3Amy-fn";
        const EMPTY_SHA256: &str =
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let python_cognito = Sent::new(
            "POST",
            "/",
            &[
                (
                    "x-amz-target",
                    "AWSCognitoIdentityProviderService.AdminGetUser",
                ),
                ("content-type", "application/x-amz-json-1.1"),
            ],
            r#"{"UserPoolId": "eu-central-1_abcdefghi", "Username": "ada"}"#,
        );
        let python_lambda = Sent::new("GET", &format!("{FUNCTION}?Qualifier=%24LATEST"), &[], "");
        let javascript_lambda = Sent::new(
            "GET",
            &format!("{FUNCTION}?Qualifier=%24LATEST&tags=b%20c&tags=a%2A"),
            &[("x-amz-content-sha256", EMPTY_SHA256)],
            "",
        );
        for (mut sent, service, signed_headers, signature) in [
            (
                python_cognito,
                "cognito-idp",
                "content-type;host;x-amz-date;x-amz-target",
                "6408a16e93b18ec574f33515c975c29b904d61477b123746aeb2e17bc1bfaf1f",
            ),
            (
                python_lambda,
                "lambda",
                "host;x-amz-date",
                "9359ab0708ed414f08357d460c949bed8cc2a48735bd7047076c82b1273de642",
            ),
            (
                javascript_lambda,
                "lambda",
                "host;x-amz-content-sha256;x-amz-date",
                "f6fa4b79bab8bfda00ac3fa62ed83cfad141ae7f3800f908d3d544dd14ea3de4",
            ),
        ] {
            sent.set("x-amz-date", "20150830T123600Z");
            sent.set(
                "authorization",
                &format!(
                    "AWS4-HMAC-SHA256 \
                     Credential=AKIDEXAMPLE/20150830/eu-central-1/{service}/aws4_request, \
                     SignedHeaders={signed_headers}, Signature={signature}"
                ),
            );
            let verified = sent.verified_for(service, SECRET, NOW_MS);
            assert_eq!(verified, Ok(()), "{sent:?}");
        }
    }

    #[test]
    fn every_altered_part_is_refused() {
        type Alter = fn(&mut Sent);
        let alterations: [(&str, Alter); 13] = [
            ("method", |sent| sent.method = "PUT".into()),
            ("host", |sent| sent.host = "localhost:9230".into()),
            ("path", |sent| sent.path = "/x".into()),
            ("query", |sent| sent.query = "x".into()),
            ("body", |sent| sent.body[0] ^= 1),
            ("cut body", |sent| sent.body.truncate(3)),
            ("target", |sent| {
                sent.set(
                    "x-amz-target",
                    "AWSCognitoIdentityProviderService.AdminDeleteUser",
                )
            }),
            ("second target", |sent| sent.add("x-amz-target", "x")),
            ("signed header gone", |sent| {
                sent.headers.remove("content-type");
            }),
            ("body with its hash", |sent| {
                sent.body = b"{}".to_vec();
                sent.set("x-amz-content-sha256", &sha256_hex(b"{}"));
            }),
            ("time", |sent| sent.set("x-amz-date", "20150830T123601Z")),
            ("region", |sent| {
                replace(sent, "eu-central-1", "eu-central-2")
            }),
            ("last digit", |sent| {
                let text = authorization(sent);
                let last = if text.ends_with('0') { "1" } else { "0" };
                let altered = format!("{}{last}", &text[..text.len() - 1]);
                sent.set("authorization", &altered);
            }),
        ];
        for (part, alter) in alterations {
            let mut sent = admin_get_user();
            alter(&mut sent);
            assert_eq!(
                sent.verified(),
                Err(SigV4Denial::SignatureMismatch),
                "{part}"
            );
        }
        let wrong_secret = admin_get_user().verified_for(SERVICE, "another", NOW_MS);
        assert_eq!(wrong_secret, Err(SigV4Denial::SignatureMismatch));
    }

    #[test]
    fn an_unsigned_payload_is_refused() {
        let signed_over = |payload: &str| {
            let mut sent = Sent::new(
                "POST",
                "/",
                &[
                    ("x-amz-content-sha256", payload),
                    ("x-amz-date", "20150830T123600Z"),
                ],
                "{}",
            );
            let key = SigningKey::derive(SECRET, "20150830", "r", SERVICE);
            let canonical = format!("POST\n/\n\nhost:localhost:9229\n\nhost\n{payload}");
            let to_sign = format!(
                "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/r/{SERVICE}/aws4_request\n{}",
                sha256_hex(canonical.as_bytes()),
            );
            let signature = hex::encode(hmac::sign(&key.0, to_sign.as_bytes()));
            sent.add(
                "authorization",
                &format!(
                    "AWS4-HMAC-SHA256 Credential=A/20150830/r/{SERVICE}/aws4_request, \
                     SignedHeaders=host, Signature={signature}"
                ),
            );
            sent.verified()
        };
        assert_eq!(signed_over(&sha256_hex(b"{}")), Ok(()));
        assert_eq!(
            signed_over("UNSIGNED-PAYLOAD"),
            Err(SigV4Denial::SignatureMismatch)
        );
    }

    #[test]
    fn a_header_that_steers_the_operation_must_be_signed() {
        for name in SIGNED_IF_PRESENT {
            let mut sent = Sent::new("POST", "/", &[], "{}").signed(None);
            sent.add(name, "added");
            assert_eq!(sent.verified(), Err(SigV4Denial::UnsignedHeader { name }));
        }
        let mut sent = Sent::new("POST", "/", &[], "{}").signed(None);
        sent.add("x-amz-cf-id", "added by a proxy");
        assert_eq!(sent.verified(), Ok(()));
        let mut sent = admin_get_user();
        replace(&mut sent, ";host", "");
        assert_eq!(
            sent.verified(),
            Err(SigV4Denial::UnsignedHeader { name: "host" })
        );
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let sent = admin_get_user();
        let at = |offset_ms: i64| sent.verified_for(SERVICE, SECRET, NOW_MS + offset_ms);
        assert_eq!(at(300_000), Ok(()));
        assert_eq!(at(-300_000), Ok(()));
        let message = |denied: Result<(), SigV4Denial>| denied.unwrap_err().to_string();
        insta::assert_snapshot!(message(at(300_001)), @"InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T123600Z (20150830T124100Z - 5 min.)");
        insta::assert_snapshot!(message(at(3_600_000)), @"InvalidSignatureException: Signature expired: 20150830T123600Z is now earlier than 20150830T133100Z (20150830T133600Z - 5 min.)");
        insta::assert_snapshot!(message(at(-301_000)), @"InvalidSignatureException: Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z (20150830T123059Z + 5 min.)");
    }

    #[test]
    fn a_scope_of_something_else_is_refused() {
        for (from, to, message) in [
            (
                "cognito-idp",
                "lambda",
                "Credential should be scoped to correct service: 'cognito-idp'.",
            ),
            (
                "eu-central-1",
                "",
                "Credential should be scoped to a valid region.",
            ),
            (
                "eu-central-1",
                "eu_central",
                "Credential should be scoped to a valid region.",
            ),
            (
                "aws4_request",
                "aws5_request",
                "Credential should be scoped with a valid terminator: 'aws4_request'.",
            ),
            (
                "/20150830/",
                "/20150829/",
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150830T123600Z'.",
            ),
            (
                "/20150830/",
                "/2015/",
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150830T123600Z'.",
            ),
            (
                "/20150830/",
                "//",
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20150830T123600Z'.",
            ),
        ] {
            let mut sent = admin_get_user();
            replace(&mut sent, from, to);
            let denial = sent.verified().unwrap_err();
            assert_eq!(denial.exception(), "InvalidSignatureException");
            assert_eq!(denial.message(), message);
        }
    }

    #[test]
    fn the_header_is_read_as_clients_write_it() {
        const CREDENTIAL: &str = "Credential=AKID/20150830/eu-central-1/cognito-idp/aws4_request";
        for text in [
            format!("AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=ab"),
            format!("AWS4-HMAC-SHA256 {CREDENTIAL},SignedHeaders=host;x-amz-date,Signature=ab"),
            format!("AWS4-HMAC-SHA256 Signature=ab {CREDENTIAL} SignedHeaders=host;x-amz-date"),
            format!(
                " AWS4-HMAC-SHA256  SignedHeaders=host;x-amz-date , Signature=ab,, {CREDENTIAL}"
            ),
            format!(
                "AWS4-HMAC-SHA256 {CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=ab, Extra=1"
            ),
        ] {
            let sent = Sent::new(
                "POST",
                "/",
                &[("authorization", &text), ("x-amz-date", "20150830T123600Z")],
                "",
            );
            let read = Authorization::parse(&sent.headers).unwrap();
            assert_eq!(
                (
                    read.access_key_id(),
                    read.date(),
                    read.region(),
                    read.service()
                ),
                ("AKID", "20150830", "eu-central-1", "cognito-idp"),
            );
            assert_eq!(read.signed_headers, "host;x-amz-date");
            assert_eq!(read.signature, "ab");
            assert!(!format!("{read:?}").contains("ab"), "{read:?}");
        }
    }

    #[test]
    fn a_malformed_header_is_told_what_is_missing() {
        const GOOD: &str = "AWS4-HMAC-SHA256 Credential=A/20150830/r/s/aws4_request, SignedHeaders=host, Signature=0";
        let date = Some("20150830T123600Z");
        let cases = [
            (None, date),
            (Some(""), date),
            (Some("Bearer Credential=a"), date),
            (Some("AWS4-HMAC-SHA256"), None),
            (Some("AWS4-HMAC-SHA256 Credential=, Signature=0"), date),
            (Some(GOOD), None),
            (Some(GOOD), Some("today")),
            (Some(GOOD), Some("20150230T123600Z")),
            (Some("AWS4-HMAC-SHA256 Credential"), date),
            (Some("AWS4-HMAC-SHA256 Signature=0, Signature=1"), date),
            (Some("AWS4-ECDSA-P256-SHA256 Signature=0"), date),
            (
                Some("AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=0"),
                date,
            ),
            (
                Some("AWS4-HMAC-SHA256 Credential=/d/r/s/t, SignedHeaders=host, Signature=0"),
                date,
            ),
            (
                Some("AWS4-HMAC-SHA256 Credential=A/d/r/s/t/u, SignedHeaders=host, Signature=0"),
                date,
            ),
        ];
        let mut told = String::new();
        for (authorization, date) in cases {
            let mut sent = Sent::new("POST", "/", &[], "");
            if let Some(text) = authorization {
                sent.add("authorization", text);
            }
            if let Some(date) = date {
                sent.add("x-amz-date", date);
            }
            let denial = Authorization::parse(&sent.headers).unwrap_err();
            told += &format!("{denial}\n");
        }
        insta::assert_snapshot!(told, @r"
        MissingAuthenticationTokenException: Missing Authentication Token
        MissingAuthenticationTokenException: Missing Authentication Token
        MissingAuthenticationTokenException: Missing Authentication Token
        IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.
        IncompleteSignatureException: Authorization header requires 'Credential' parameter. Authorization header requires 'SignedHeaders' parameter.
        IncompleteSignatureException: Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.
        IncompleteSignatureException: Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601
        IncompleteSignatureException: Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601
        IncompleteSignatureException: Authorization header must be a list of key=value pairs after the algorithm 'AWS4-HMAC-SHA256', each key once.
        IncompleteSignatureException: Authorization header must be a list of key=value pairs after the algorithm 'AWS4-HMAC-SHA256', each key once.
        IncompleteSignatureException: Authorization header must be a list of key=value pairs after the algorithm 'AWS4-HMAC-SHA256', each key once.
        IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.
        IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.
        IncompleteSignatureException: Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.
        ");
    }

    #[test]
    fn a_signed_header_is_named_once() {
        for names in [";host;host", ";host;content-type", ";host;Content-Type"] {
            let mut sent = admin_get_user();
            replace(&mut sent, ";host", names);
            assert_eq!(
                sent.verified(),
                Err(SigV4Denial::MalformedAuthorization),
                "{names}"
            );
        }
    }

    #[test]
    fn two_authorizations_are_none() {
        let mut sent = admin_get_user();
        let text = authorization(&sent);
        sent.add("authorization", &text);
        assert_eq!(sent.verified(), Err(SigV4Denial::MalformedAuthorization));
    }

    #[test]
    fn the_time_of_signing_may_stand_in_the_date_header() {
        for (text, expected_s) in [
            ("20150830T123600Z", Some(NOW_MS / 1000)),
            ("Sun, 30 Aug 2015 12:36:00 GMT", Some(NOW_MS / 1000)),
            ("2015-08-30T12:36:00Z", None),
            ("20150830", None),
            ("", None),
        ] {
            let header = HeaderValue::from_static(text);
            assert_eq!(signing_time(&header), expected_s, "{text}");
        }
    }

    #[test]
    fn the_denials_of_the_shell_have_their_texts() {
        let denied = SigV4Denial::AccessDenied {
            user: "arn:aws:iam::000000000000:user/ci".into(),
            action: "cognito-idp:AdminGetUser".into(),
            resource: "arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_x"
                .into(),
        };
        insta::assert_snapshot!(denied, @"AccessDeniedException: User: arn:aws:iam::000000000000:user/ci is not authorized to perform: cognito-idp:AdminGetUser on resource: arn:aws:cognito-idp:eu-central-1:000000000000:userpool/eu-central-1_x");
        insta::assert_snapshot!(SigV4Denial::UnknownKey, @"UnrecognizedClientException: The security token included in the request is invalid.");
    }

    #[test]
    fn a_signing_key_does_not_print_itself() {
        let key = SigningKey::derive(SECRET, "20150830", "us-east-1", "iam");
        assert_eq!(format!("{key:?}"), "SigningKey(…)");
    }

    fn authorization(sent: &Sent) -> String {
        sent.headers["authorization"].to_str().unwrap().to_owned()
    }

    fn replace(sent: &mut Sent, from: &str, to: &str) {
        let text = authorization(sent);
        assert!(text.contains(from), "{text} has no {from}");
        sent.set("authorization", &text.replace(from, to));
    }

    proptest! {
        #[test]
        fn any_request_that_the_sdk_signs_verifies(
            segments in prop::collection::vec("[a-zA-Z0-9 .:@/_~!*'()é-]{0,6}", 0..5),
            query in prop::collection::vec((".{0,6}", ".{0,6}"), 0..5),
            header in "[!-~]( {0,3}[!-~]){0,6}",
            body in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let encode = |text: &String| percent_encode(text.as_bytes(), UNRESERVED).to_string();
            let segments: Vec<String> = segments.iter().map(encode).collect();
            let query: Vec<String> = query
                .iter()
                .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
                .collect();
            let target = format!("/{}?{}", segments.join("/"), query.join("&"));
            let mut sent = Sent::new("POST", &target, &[("x-any", &header)], "");
            sent.body = body;
            let sent = sent.signed(None);
            prop_assert_eq!(sent.verified(), Ok(()));
        }

        #[test]
        fn no_header_makes_the_parser_panic(
            authorization in prop::collection::vec(32u8..=255, 0..120),
            date in "\\PC{0,40}",
        ) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&authorization) {
                headers.insert(header::AUTHORIZATION, value);
            }
            if let Ok(value) = HeaderValue::from_str(&date) {
                headers.insert(AMZ_DATE, value);
            }
            prop_assert!(Authorization::parse(&headers).is_err());
        }

        #[test]
        fn nothing_well_formed_makes_the_check_panic(
            credential in "[A-Z]{1,4}/[^ ,]{0,9}/[^ ,/]{0,9}/[^ ,/]{0,9}/aws4_request",
            signed_headers in "host(;[^ ,]{0,8}){0,3}",
            path in "\\PC{0,30}",
            query in "\\PC{0,30}",
            now_ms: i64,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert(AMZ_DATE, HeaderValue::from_static("20150830T123600Z"));
            let text = format!(
                "{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers}, Signature=0"
            );
            let Ok(value) = HeaderValue::from_str(&text) else { return Ok(()) };
            headers.insert(header::AUTHORIZATION, value);
            let Ok(authorization) = Authorization::parse(&headers) else { return Ok(()) };
            let request = SignedRequest {
                method: "GET",
                host: "h",
                path: &path,
                query: &query,
                headers: &headers,
                body: b"",
            };
            prop_assert!(verify(&request, &authorization, SECRET, now_ms, "s").is_err());
            let key = SigningKey::derive(SECRET, "20150830", "r", "s");
            prop_assert!(verify_with(&request, &authorization, &key).is_err());
        }
    }
}
