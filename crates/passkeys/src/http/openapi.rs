//! The OpenAPI 3.1 document of this API, served at `/v1/openapi.json`.
//!
//! A handler says of itself, in `#[utoipa::path]`, what is its own: path, tag,
//! body, answer, and under `x-refusals` how it says no. A route without that
//! does not compile. What operations share follows from their tag and path and
//! is added here: credentials, ids in the path, errors that any of them may
//! answer, and headers.

use axum::{
    Extension,
    body::Bytes,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Components, Info, OpenApi, Paths, RefOr, Schema},
};

use super::{
    error::{Error, Refused},
    requests::Aaguid,
};
use crate::{AppId, DeviceId, EventId, NativeClientId, Refusal, UserId, WebhookId};

/// The tag of what a customer's server calls with an API key.
pub(super) const MANAGEMENT: &str = "management";
/// The tag of what a browser or app calls, without any credential.
pub(super) const BROWSER: &str = "browser";
/// The tag of the files of an app's domain, for anybody to read.
pub(super) const DOMAIN: &str = "domain";
/// The tag of the pictures of authenticators, for any page.
pub(super) const PICTURES: &str = "pictures";
/// The tag of what describes this API.
pub(super) const DOCUMENT: &str = "document";

/// The refusals of an operation beyond those that its tag brings, for `x-refusals`.
pub(super) fn refusals(refusals: &[Refusal]) -> Vec<Refused> {
    refusals.iter().map(Refused::from).collect()
}

/// What handlers said of themselves, on the way to one document.
#[derive(Default)]
pub(super) struct Collected {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Collected {
    /// Adds what `utoipa_axum::routes!` took from the handlers of one path, and gives that path.
    pub(super) fn add(&mut self, schemas: Vec<(String, RefOr<Schema>)>, paths: Paths) -> String {
        let mut names = paths.paths.keys();
        let (Some(path), None) = (names.next().cloned(), names.next()) else {
            panic!("the handlers of one routes!(…) have one path");
        };
        self.schemas.extend(schemas);
        self.paths.merge(paths);
        path
    }

    /// The whole document, for a server that clients reach at `public_url`.
    pub(super) fn into_document(self, public_url: Option<&str>) -> Document {
        let mut components = Components::new();
        components.schemas.extend(self.schemas);
        // What `complete` refers to.
        for (name, schema) in [
            (Error::name(), Error::schema()),
            (AppId::name(), AppId::schema()),
            (UserId::name(), UserId::schema()),
            (DeviceId::name(), DeviceId::schema()),
            (EventId::name(), EventId::schema()),
            (NativeClientId::name(), NativeClientId::schema()),
            (WebhookId::name(), WebhookId::schema()),
            (Aaguid::name(), Aaguid::schema()),
        ] {
            components.schemas.insert(name.into(), schema);
        }
        let mut document = OpenApi::new(Info::new(TITLE, env!("CARGO_PKG_VERSION")), self.paths);
        document.components = Some(components);
        let mut document = json!(document);
        document["info"]["description"] = DESCRIPTION.into();
        document["info"]["license"] = json!({"name": "MIT OR Apache-2.0"});
        document["servers"] = json!([{"url": public_url.unwrap_or("/")}]);
        document["tags"] = json!(TAGS.map(|(name, description)| json!({
            "name": name,
            "description": description,
        })));
        document["components"]["securitySchemes"] = json!({"apiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "10 letters and digits, a dot, 64 more",
            "description": "An API key of the app in the path. It belongs on a server, never in a browser.",
        }});
        document["components"]["headers"] = json!({
            "Vary": {
                "description": "Always `Origin`.",
                "required": true,
                "schema": {"type": "string", "const": "Origin"},
            },
            "Access-Control-Allow-Origin": {
                "description": "The origin of the page that called, if it is one of the app's.",
                "schema": {"type": "string"},
            },
            "Access-Control-Expose-Headers": {
                "description": "Always `retry-after`; with Access-Control-Allow-Origin.",
                "schema": {"type": "string"},
            },
            "Retry-After": {
                "description": "Seconds to wait before trying again.",
                "required": true,
                "schema": {"type": "integer", "minimum": 1},
            },
        });
        let paths = document["paths"].as_object_mut().into_iter().flatten();
        for (path, item) in paths {
            for (_, operation) in item.as_object_mut().into_iter().flatten() {
                complete(path, operation);
            }
        }
        drop_sources(&mut document);
        Document(document.to_string().into())
    }
}

/// The document as it is served, made once.
#[derive(Clone)]
pub(super) struct Document(Bytes);

/// Get this document
///
/// OpenAPI 3.1 in JSON.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = DOCUMENT,
    responses((
        status = 200, description = "The document.", body = Object,
        headers(("Cache-Control" = String, description = "It may be kept for a while.")),
    )),
)]
pub(super) async fn get_document(Extension(document): Extension<Document>) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, document.0).into_response()
}

/// Adds to an operation what follows from its tag and path.
fn complete(path: &str, operation: &mut Value) {
    let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
    let too_many = Refusal::RateLimitExceeded { retry_after_s: 60 };
    let (security, mut refused) = match tag.as_str() {
        MANAGEMENT => (
            json!([{"apiKey": []}]),
            refusals(&[Refusal::InvalidAccessToken, too_many]),
        ),
        BROWSER => (
            json!([]),
            refusals(&[Refusal::AppNotFound, Refusal::OriginNotAllowed, too_many]),
        ),
        DOMAIN | PICTURES | DOCUMENT => (json!([]), Vec::new()),
        _ => panic!("say in http/openapi.rs what the tag {tag:?} of {path} brings"),
    };
    operation["security"] = security;

    let of_its_own = operation["parameters"].take();
    let has_query = !of_its_own.is_null();
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(id_parameter)
        .collect();
    parameters.extend(of_its_own.as_array().cloned().unwrap_or_default());
    operation["parameters"] = json!(parameters);

    let operation = operation
        .as_object_mut()
        .expect("an operation is an object");
    if let Some(body) = operation.get_mut("requestBody") {
        let schema = &mut body["content"]["application/json"]["schema"];
        // A body that is optional may be missing or empty, but null is none.
        if let Some(object) = schema["oneOf"][0].get("$ref") {
            *schema = json!({"$ref": object});
        }
    }
    if has_query || operation.contains_key("requestBody") {
        let text = "The request itself is wrong; the text says where.".to_owned();
        refused.insert(0, Refused::from(&Refusal::InvalidRequest(text)));
    }
    if let Some(of_its_own) = operation.remove("x-refusals") {
        let of_its_own: Vec<Refused> =
            serde_json::from_value(of_its_own).expect("x-refusals is made by refusals()");
        refused.extend(of_its_own);
    }
    if tag != DOCUMENT {
        refused.push(Refused::fault());
    }

    let responses = operation["responses"]
        .as_object_mut()
        .expect("an operation has responses");
    responses.extend(error_responses(&refused));
    if tag == BROWSER {
        for response in responses.values_mut() {
            for name in CORS_HEADERS {
                response["headers"][name] = reference("headers", name);
            }
        }
    }
}

/// The response of each status among some refusals, with the codes that it may carry.
fn error_responses(refused: &[Refused]) -> Map<String, Value> {
    let mut responses = Map::new();
    for of_status in refused {
        let status = of_status.status.to_string();
        if responses.contains_key(&status) {
            continue;
        }
        let alike: Vec<&Refused> = refused
            .iter()
            .filter(|other| other.status == of_status.status)
            .collect();
        let mut codes: Vec<&str> = alike.iter().map(|refused| refused.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let lines: Vec<String> = alike
            .iter()
            .map(|refused| format!("`{}`: {}", refused.code, refused.error))
            .collect();
        let mut response = json!({
            "description": lines.join("\n\n"),
            "content": {"application/json": {"schema": {
                "allOf": [
                    reference("schemas", &Error::name()),
                    {"type": "object", "properties": {"code": {"enum": codes}}},
                ],
            }}},
        });
        if status == "429" {
            response["headers"]["Retry-After"] = reference("headers", "Retry-After");
        }
        responses.insert(status, response);
    }
    responses
}

/// A parameter of the path, by its name.
fn id_parameter(name: &str) -> Value {
    let (description, schema) = match name {
        "app_id" => ("The app.", AppId::name()),
        "user_id" => (
            "The user, by our id and not by the external one.",
            UserId::name(),
        ),
        "device_id" => (
            "The device, by our id and not by the credential's.",
            DeviceId::name(),
        ),
        "event_id" => ("The event.", EventId::name()),
        "native_client_id" => ("The native app.", NativeClientId::name()),
        "webhook_id" => ("The webhook.", WebhookId::name()),
        "aaguid" => ("The model of the authenticator.", Aaguid::name()),
        "delivery_id" => ("The delivery, by the id of its event.", EventId::name()),
        _ => panic!("say in http/openapi.rs what {{{name}}} in a path is"),
    };
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": reference("schemas", &schema),
    })
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Takes the sections of the contract out of descriptions: they are for those who read the code.
fn drop_sources(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(drop_sources),
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => {
                        for opening in [" (section", "\n(section", " (passkey-flex"] {
                            if let Some(at) = text.find(opening)
                                && let Some(length) = text[at..].find(')')
                            {
                                text.replace_range(at..=at + length, "");
                            }
                        }
                    }
                    _ => drop_sources(member),
                }
            }
        }
        _ => {}
    }
}

const CORS_HEADERS: [&str; 3] = [
    "Vary",
    "Access-Control-Allow-Origin",
    "Access-Control-Expose-Headers",
];

const TITLE: &str = "Claviger: passkeys";

const DESCRIPTION: &str = "\
Passkeys for the users of your own application, compatible with Passage Passkey Flex.

Your server opens a *transaction* for a user it knows by an `external_id` of its own. The browser or app runs one \
WebAuthn ceremony under that transaction: *start* gives it options for the authenticator, *finish* takes the signed \
response and gives a *nonce*. Your server redeems the nonce, once, and learns whose passkey it was. A login may also \
begin without a transaction; then the passkey says whose it is. Sessions are your server's business.

Two audiences, two tags: `management` is for servers with an API key, `browser` for browsers and apps without any \
credential.

Members that are not described here are ignored in requests, and may be added to answers. In requests `null` is the \
same as a missing member. Every path is served with a trailing slash as well, except for deleting a user. Times are RFC 3339 \
in UTC. An unknown path answers 404 `not_found`, an unknown method 405 `method_not_allowed`, in the shape of `Error`.";

const TAGS: [(&str, &str); 5] = [
    (
        MANAGEMENT,
        "What your server calls, with an API key of the app: transactions, nonces, users, devices, events, \
         settings, native apps, webhooks. \
         A key of another app is refused as an unknown one is. No page of a browser may call these.",
    ),
    (
        BROWSER,
        "What a browser or app calls to run a ceremony. The app id and a transaction are the authority; there is no \
         credential to send. A page may call from the app's own origins only.",
    ),
    (
        DOMAIN,
        "The files by which a domain says who else may use its passkeys. Your domain may proxy to those of its app; \
         where this service runs on the domain itself, they are at its root.",
    ),
    (
        PICTURES,
        "Pictures of passkey providers and models by AAGUID, for the `<img>` of any page.",
    ),
    (DOCUMENT, "This document."),
];
