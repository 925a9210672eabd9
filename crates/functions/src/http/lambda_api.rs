//! Lambda's operations: who may, what is asked, the operation, the answer (lambda.md §5, §6).

use std::collections::{BTreeMap, HashMap};

use accounts::{Organization, Unauthorized};
use aws_protocol::{
    input::{Input, InputDenial, Integer, Pattern, Size, Text},
    rest_json::{self, Answer, Exception},
    sigv4::{Authorization, SignedRequest},
};
use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, OriginalUri, Path, Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD as BASE64_URL},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::error::{self, Place};
use crate::{
    CodeUpdate, ConfigurationUpdate, Environment, Error, Function, Functions, NewFunction,
    Permission, Refusal,
    functions::parse,
    http::{CREATE_BYTES_MAX, UPDATE_CODE_BYTES_MAX},
    invocations::{EVENT_BYTES_MAX, PAYLOAD_BYTES_MAX, check_payload},
    names::{self, FunctionReference},
    packages,
};

const SERVICE: &str = "lambda";
const PAGE_MAX: usize = 50;
const CLIENT_CONTEXT_BYTES_MAX: usize = 3583;
const LOCATION_LIFETIME_MS: i64 = 10 * 60 * 1000;
const LOCATION_PURPOSE: &str = "location of a package";

/// An answer that says no.
pub(super) struct Refused(Box<Response>);

impl From<Answer> for Refused {
    fn from(answer: Answer) -> Refused {
        Refused(Box::new(finish(answer)))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        *self.0
    }
}

type Answered = Result<Response, Refused>;

/// A call that is signed by an organization.
pub(super) struct Call {
    functions: Functions,
    organization: Organization,
    request_id: String,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
    operation: String,
}

impl FromRequest<Functions> for Call {
    type Rejection = Refused;

    async fn from_request(request: Request, functions: &Functions) -> Result<Call, Refused> {
        let request_id = functions.inner.platform.entropy.uuid().to_string();
        let (mut parts, body) = request.into_parts();
        let uri = parts
            .extensions
            .get::<OriginalUri>()
            .map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        let operation = operation_name(&parts.method, uri.path());
        // Whoever does not sign is not read any further.
        Authorization::parse(&parts.headers)
            .map_err(|denial| rest_json::refuse_signature(&denial, &request_id))?;

        // What cannot be decoded names nothing, and is refused as missing.
        let path = Path::from_request_parts(&mut parts, &())
            .await
            .map_or_else(|_| HashMap::new(), |Path(path)| path);
        let query = Query::from_request_parts(&mut parts, &())
            .await
            .map_or_else(|_| HashMap::new(), |Query(query)| query);
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &())
            .await
            .map_err(|rejection| {
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    let max_bytes = body_bytes_max(&operation);
                    rest_json::error(
                        Exception::RequestTooLarge,
                        &format!(
                            "Request must be smaller than {max_bytes} bytes for the {operation} \
                             operation"
                        ),
                        &request_id,
                    )
                } else {
                    rest_json::error(
                        Exception::InvalidRequestContent,
                        "The body could not be read.",
                        &request_id,
                    )
                }
            })?;
        let host = parts
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .or_else(|| uri.authority().map(|authority| authority.as_str()))
            .unwrap_or_default();
        let signed = SignedRequest {
            method: parts.method.as_str(),
            host,
            path: uri.path(),
            query: uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body: &body,
        };
        let organization = functions
            .inner
            .accounts
            .authorize(&signed, SERVICE)
            .await
            .map_err(|unauthorized| match unauthorized {
                Unauthorized::Denied(denial) => rest_json::refuse_signature(&denial, &request_id),
                Unauthorized::Fault(fault) => error::answer(
                    &fault.into(),
                    &Place {
                        region: &functions.inner.settings.region,
                        account_id: "",
                        request_id: &request_id,
                    },
                ),
            })?;
        Ok(Call {
            functions: functions.clone(),
            organization,
            request_id,
            path,
            query,
            headers: parts.headers,
            body,
            operation,
        })
    }
}

impl Call {
    fn refuse(&self, error: impl Into<Error>) -> Refused {
        let place = Place {
            region: &self.functions.inner.settings.region,
            account_id: &self.organization.account_id,
            request_id: &self.request_id,
        };
        error::answer(&error.into(), &place).into()
    }

    fn refuse_parameter(&self, message: &str) -> Refused {
        self.refuse(Refusal::InvalidParameter(message.to_owned()))
    }

    fn refuse_input(&self, denial: &InputDenial) -> Refused {
        rest_json::refuse_input(denial, &self.request_id).into()
    }

    fn success(&self, status: StatusCode, output: &Value) -> Response {
        finish(rest_json::success(status, output, &self.request_id))
    }

    fn no_content(&self) -> Response {
        finish(rest_json::success_without_output(
            StatusCode::NO_CONTENT,
            &self.request_id,
        ))
    }

    fn body(&self) -> Result<Map<String, Value>, Refused> {
        rest_json::body(&self.body).map_err(|denial| self.refuse_input(&denial))
    }

    fn read<'v, T>(
        &self,
        body: &'v Map<String, Value>,
        form: impl FnOnce(&mut Input<'v>) -> T,
    ) -> Result<T, Refused> {
        Input::read(body, form).map_err(|denial| self.refuse_input(&denial))
    }

    /// The function that path and query name together.
    fn function(&self) -> Result<FunctionReference, Refused> {
        let mut named = Map::new();
        if let Some(function) = self.path.get("function") {
            named.insert("FunctionName".into(), json!(function));
        }
        if let Some(qualifier) = self.query.get("Qualifier") {
            named.insert("Qualifier".into(), json!(qualifier));
        }
        let (name, qualifier) = self.read(&named, |input| {
            (
                input.string("FunctionName", &FUNCTION_NAME).required(),
                input.string("Qualifier", &QUALIFIER).optional(),
            )
        })?;
        let mut reference = parse(&name).map_err(|refusal| self.refuse(refusal))?;
        match (&reference.qualifier, qualifier) {
            (Some(derived), Some(given)) if *derived != given => Err(self.refuse_parameter(
                "The derived qualifier from the function name does not match the specified \
                 qualifier.",
            )),
            (_, given) => {
                reference.qualifier = given.or(reference.qualifier);
                Ok(reference)
            }
        }
    }

    async fn find(&self, reference: &FunctionReference) -> Result<Function, Refused> {
        self.functions
            .resolve(&self.organization.id, reference)
            .await
            .map_err(|error| self.refuse(error))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What management operations answer; an ARN is qualified when the question was.
    fn configuration(&self, function: &Function, reference: Option<&FunctionReference>) -> Value {
        let region = &self.functions.inner.settings.region;
        let arn = self.functions.arn(function);
        let mut configuration = json!({
            "FunctionName": function.name,
            "FunctionArn": match reference.and_then(|reference| reference.qualifier.as_ref()) {
                Some(qualifier) => format!("{arn}:{qualifier}"),
                None => arn,
            },
            "Runtime": function.runtime,
            "Role": function.role,
            "Handler": function.handler,
            "CodeSize": function.package_size_bytes,
            "CodeSha256": code_sha256(&function.package_sha256),
            "Description": function.description,
            "Timeout": function.timeout_s,
            "MemorySize": function.memory_mb,
            "LastModified": last_modified(function.updated_at_ms),
            "Version": names::LATEST,
            "TracingConfig": { "Mode": function.tracing_mode },
            "RevisionId": function.revision_id,
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "PackageType": "Zip",
            "Architectures": [function.architecture],
            "EphemeralStorage": { "Size": function.ephemeral_storage_mb },
            "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": function.log_group },
            "RuntimeVersionConfig": {
                "RuntimeVersionArn": format!(
                    "arn:aws:lambda:{region}::runtime:{}",
                    hex::encode(aws_lc_rs::digest::digest(
                        &aws_lc_rs::digest::SHA256,
                        function.runtime.as_bytes(),
                    )),
                ),
            },
        });
        let variables = function.environment.variables();
        if !variables.is_empty() {
            configuration["Environment"] = json!({ "Variables": variables });
        }
        configuration
    }
}

pub(super) async fn create_function(call: Call) -> Answered {
    let body = call.body()?;
    let (name, role, runtime, handler, code, common) = call.read(&body, |input| {
        (
            input.string("FunctionName", &FUNCTION_NAME).required(),
            input.string("Role", &TEXT).required(),
            input.string("Runtime", &TEXT).optional(),
            input.string("Handler", &HANDLER).optional(),
            input.object("Code", code).required(),
            common(input),
        )
    })?;
    let tags = call.read(&body, |input| {
        input
            .string_map("Tags", &Size::at_most(50), &TEXT, &TEXT)
            .or(BTreeMap::new())
    })?;
    let architecture = architecture(&call, &body)?;
    refuse_unsupported(&call, &body)?;
    let (Some(runtime), Some(handler)) = (runtime, handler) else {
        return Err(call.refuse_parameter(
            "Runtime and Handler are mandatory parameters for functions created with deployment \
             packages.",
        ));
    };
    let reference = parse(&name).map_err(|refusal| call.refuse(refusal))?;
    let mut new = NewFunction::new(
        &reference.name,
        &runtime,
        &handler,
        &role,
        zip(&call, code)?,
    );
    new.tags = tags;
    new.log_group = common.log_group;
    set(&mut new.description, common.description);
    set(&mut new.timeout_s, common.timeout_s);
    set(&mut new.memory_mb, common.memory_mb);
    set(&mut new.ephemeral_storage_mb, common.ephemeral_storage_mb);
    set(&mut new.tracing_mode, common.tracing_mode);
    set(&mut new.environment, common.environment);
    set(&mut new.architecture, architecture);
    let function = call
        .functions
        .create_function(&call.organization, new)
        .await
        .map_err(|error| call.refuse(error))?;
    let mut output = call.configuration(&function, None);
    // It is active already; waiters see so at their first question.
    output["State"] = json!("Pending");
    output["StateReason"] = json!("The function is being created.");
    output["StateReasonCode"] = json!("Creating");
    if let Some(output) = output.as_object_mut() {
        output.remove("LastUpdateStatus");
    }
    Ok(call.success(StatusCode::CREATED, &output))
}

pub(super) async fn get_function(call: Call) -> Answered {
    let reference = call.function()?;
    let function = call.find(&reference).await?;
    let location = location(&call.functions, &function).map_err(|error| call.refuse(error))?;
    let mut output = json!({
        "Configuration": call.configuration(&function, Some(&reference)),
        "Code": { "RepositoryType": "S3", "Location": location },
    });
    if !function.tags.is_empty() {
        output["Tags"] = json!(function.tags);
    }
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn get_function_configuration(call: Call) -> Answered {
    let reference = call.function()?;
    let function = call.find(&reference).await?;
    let output = call.configuration(&function, Some(&reference));
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn list_functions(call: Call) -> Answered {
    let mut named = Map::new();
    if let Some(count_max) = call.query.get("MaxItems") {
        let count_max: i64 = count_max
            .parse()
            .map_err(|_| call.refuse_parameter("MaxItems must be a number."))?;
        named.insert("MaxItems".into(), json!(count_max));
    }
    let count_max = call.read(&named, |input| {
        input
            .integer("MaxItems", &Integer::between(1, 10_000))
            .or(10_000)
    })?;
    let count_max = usize::try_from(count_max).map_or(PAGE_MAX, |count| count.min(PAGE_MAX));
    let marker = call.query.get("Marker").filter(|marker| !marker.is_empty());
    let after = marker
        .map(|marker| {
            BASE64_URL
                .decode(marker)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .filter(|id| id.bytes().all(|byte| byte.is_ascii_graphic()))
                .ok_or_else(|| call.refuse_parameter("The Marker is not one of this server."))
        })
        .transpose()?;
    let (functions, next) = call
        .functions
        .list_functions(&call.organization.id, after.as_deref(), count_max)
        .await
        .map_err(|fault| call.refuse(fault))?;
    let all: Vec<Value> = functions
        .iter()
        .map(|function| call.configuration(function, None))
        .collect();
    let mut output = json!({ "Functions": all });
    if let Some(next) = next {
        output["NextMarker"] = json!(BASE64_URL.encode(next));
    }
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn update_function_code(call: Call) -> Answered {
    let reference = call.function()?;
    let body = call.body()?;
    let (code, is_dry_run, revision_id) = call.read(&body, |input| {
        (
            code(input),
            input.boolean("DryRun").or(false),
            input.string("RevisionId", &TEXT).optional(),
        )
    })?;
    let architecture = architecture(&call, &body)?;
    refuse_unsupported(&call, &body)?;
    // Before the zip, so that a wrong name is told as such.
    call.find(&reference).await?;
    let update = CodeUpdate {
        zip: zip(&call, code)?,
        architecture,
        revision_id,
        is_dry_run,
    };
    let function = call
        .functions
        .update_function_code(&call.organization.id, &reference.qualified_name(), update)
        .await
        .map_err(|error| call.refuse(error))?;
    let mut output = call.configuration(&function, None);
    if !is_dry_run {
        mark_updating(&mut output);
    }
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn update_function_configuration(call: Call) -> Answered {
    let reference = call.function()?;
    let body = call.body()?;
    let (role, runtime, handler, revision_id, common) = call.read(&body, |input| {
        (
            input.string("Role", &TEXT).optional(),
            input.string("Runtime", &TEXT).optional(),
            input.string("Handler", &HANDLER).optional(),
            input.string("RevisionId", &TEXT).optional(),
            common(input),
        )
    })?;
    refuse_unsupported(&call, &body)?;
    let update = ConfigurationUpdate {
        description: common.description,
        runtime,
        handler,
        role,
        timeout_s: common.timeout_s,
        memory_mb: common.memory_mb,
        ephemeral_storage_mb: common.ephemeral_storage_mb,
        tracing_mode: common.tracing_mode,
        log_group: common.log_group,
        environment: common.environment,
        revision_id,
    };
    let function = call
        .functions
        .update_function_configuration(&call.organization.id, &reference.qualified_name(), update)
        .await
        .map_err(|error| call.refuse(error))?;
    let mut output = call.configuration(&function, None);
    mark_updating(&mut output);
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn delete_function(call: Call) -> Answered {
    let reference = call.function()?;
    call.functions
        .delete_function(&call.organization.id, &reference.qualified_name())
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(call.no_content())
}

pub(super) async fn invoke(call: Call) -> Answered {
    let reference = call.function()?;
    let function = call.find(&reference).await?;
    let client_context = client_context(&call)?;
    let kind = call
        .header("x-amz-invocation-type")
        .unwrap_or("RequestResponse");
    let payload = |max_bytes| {
        check_payload(call.body.clone(), max_bytes).map_err(|refusal| call.refuse(refusal))
    };
    match kind {
        "RequestResponse" => {
            let payload = payload(PAYLOAD_BYTES_MAX)?;
            let answer = call
                .functions
                .run(&function, call.request_id.clone(), payload, client_context)
                .await
                .map_err(|error| call.refuse(error))?;
            let mut response = Response::new(Body::from(answer.payload));
            let headers = response.headers_mut();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            insert(headers, "x-amzn-requestid", &call.request_id);
            insert(headers, "x-amz-executed-version", &answer.executed_version);
            if answer.is_error {
                insert(headers, "x-amz-function-error", "Unhandled");
            }
            if call.header("x-amz-log-type") == Some("Tail") {
                insert(headers, "x-amz-log-result", &BASE64.encode(answer.log_tail));
            }
            Ok(response)
        }
        "Event" => {
            let payload = payload(EVENT_BYTES_MAX)?;
            let id = call
                .functions
                .enqueue(&function, payload, client_context)
                .await
                .map_err(|error| call.refuse(error))?;
            Ok(finish(rest_json::success_without_output(
                StatusCode::ACCEPTED,
                &id,
            )))
        }
        "DryRun" => Ok(call.no_content()),
        _ => {
            let named = Map::from_iter([("InvocationType".to_owned(), json!(kind))]);
            call.read(&named, |input| {
                input.string("InvocationType", &INVOCATION_TYPE).required()
            })?;
            Err(call.refuse_parameter("This invocation type is not supported."))
        }
    }
}

pub(super) async fn get_policy(call: Call) -> Answered {
    let reference = call.function()?;
    let policy = call
        .functions
        .policy(&call.organization.id, &reference.qualified_name())
        .await
        .map_err(|error| call.refuse(error))?;
    let output = json!({ "Policy": policy.json, "RevisionId": policy.revision_id });
    Ok(call.success(StatusCode::OK, &output))
}

pub(super) async fn add_permission(call: Call) -> Answered {
    let reference = call.function()?;
    let body = call.body()?;
    let (permission, revision_id) = call.read(&body, |input| {
        (
            Permission {
                statement_id: input.string("StatementId", &STATEMENT_ID).required(),
                action: input.string("Action", &ACTION).required(),
                principal: input.string("Principal", &PRINCIPAL).required(),
                source_arn: input.string("SourceArn", &ARN).optional(),
                source_account: input.string("SourceAccount", &ACCOUNT).optional(),
            },
            input.string("RevisionId", &TEXT).optional(),
        )
    })?;
    for member in [
        "EventSourceToken",
        "PrincipalOrgID",
        "FunctionUrlAuthType",
        "InvokedViaFunctionUrl",
    ] {
        if body.get(member).is_some_and(|value| !value.is_null()) {
            return Err(
                call.refuse_parameter(&format!("{member} is not supported by this server."))
            );
        }
    }
    let statement = call
        .functions
        .add_permission(
            &call.organization.id,
            &reference.qualified_name(),
            permission,
            revision_id,
        )
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(call.success(StatusCode::CREATED, &json!({ "Statement": statement })))
}

pub(super) async fn remove_permission(call: Call) -> Answered {
    let reference = call.function()?;
    let named = Map::from_iter([("StatementId".to_owned(), json!(call.path.get("statement")))]);
    let statement_id = call.read(&named, |input| {
        input.string("StatementId", &STATEMENT_ID).required()
    })?;
    call.functions
        .remove_permission(
            &call.organization.id,
            &reference.qualified_name(),
            &statement_id,
            call.query.get("RevisionId").cloned(),
        )
        .await
        .map_err(|error| call.refuse(error))?;
    Ok(call.no_content())
}

/// Every other operation: never a success for something that was not done.
pub(super) async fn unsupported_operation(call: Call) -> Answered {
    Err(call.refuse_parameter(&format!(
        "The operation {} is not supported by this server.",
        call.operation
    )))
}

/// Where `Code.Location` leads: the zip as it was uploaded. The token proves that this server gave
/// the address to somebody who may have it, at most ten minutes ago.
pub(super) async fn download_package(
    State(functions): State<Functions>,
    Path(token): Path<String>,
) -> Response {
    let platform = &functions.inner.platform;
    let now_ms = platform.clock.now_ms();
    let Some(sha256) = BASE64_URL
        .decode(token)
        .ok()
        .and_then(|sealed| platform.vault.open(LOCATION_PURPOSE, &sealed).ok())
        .and_then(|opened| {
            let opened = std::str::from_utf8(&opened).ok()?;
            let (expires_at_ms, sha256) = opened.split_once(' ')?;
            (expires_at_ms.parse::<i64>().ok()? > now_ms).then(|| sha256.to_owned())
        })
    else {
        return StatusCode::FORBIDDEN.into_response();
    };
    match packages::find_zip(&platform.db, &sha256).await {
        Ok(Some(zip)) => ([(header::CONTENT_TYPE, "application/zip")], zip).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(fault) => {
            tracing::error!(%fault, "reading a package");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn location(functions: &Functions, function: &Function) -> Result<String, Error> {
    let platform = &functions.inner.platform;
    let expires_at_ms = platform.clock.now_ms() + LOCATION_LIFETIME_MS;
    let content = format!("{expires_at_ms} {}", function.package_sha256);
    let token = platform.vault.seal(LOCATION_PURPOSE, content.as_bytes())?;
    Ok(format!(
        "{}/2015-03-31/function-packages/{}",
        functions.inner.settings.public_url.trim_end_matches('/'),
        BASE64_URL.encode(token)
    ))
}

/// Base64 JSON for the function, or nothing.
fn client_context(call: &Call) -> Result<Option<String>, Refused> {
    let Some(context) = call.header("x-amz-client-context") else {
        return Ok(None);
    };
    let is_object = context.len() <= CLIENT_CONTEXT_BYTES_MAX
        && BASE64
            .decode(context)
            .is_ok_and(|json| serde_json::from_slice::<Map<String, Value>>(&json).is_ok());
    if is_object {
        Ok(Some(context.to_owned()))
    } else {
        Err(rest_json::error(
            Exception::InvalidRequestContent,
            "Client context must be a valid Base64-encoded JSON object.",
            &call.request_id,
        )
        .into())
    }
}

const TEXT: Text = Text::ANY.pattern(Pattern {
    text: r"[^\x00]*",
    matches: |text| !text.contains('\0'),
});
const FUNCTION_NAME: Text = Text::ANY.length(1, 256).pattern(Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
    matches: |text| FunctionReference::parse(text).is_some(),
});
const QUALIFIER: Text = Text::ANY.length(1, 128).pattern(Pattern {
    text: r"(|[a-zA-Z0-9$_-]+)",
    matches: names::is_qualifier,
});
const HANDLER: Text = Text::ANY.max(128).pattern(Pattern {
    text: r"[^\s]+",
    matches: |text| !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains('\0'),
});
const DESCRIPTION: Text = Text::ANY.max(256).pattern(Pattern {
    text: r"[^\x00]*",
    matches: |text| !text.contains('\0'),
});
const LOG_GROUP: Text = Text::ANY.length(1, 512).pattern(Pattern {
    text: r"[\.\-_/#A-Za-z0-9]+",
    matches: |text| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_/#".contains(&byte))
    },
});
const TRACING_MODE: Text = Text::ANY.one_of(&["Active", "PassThrough"]);
const INVOCATION_TYPE: Text = Text::ANY.one_of(&["Event", "RequestResponse", "DryRun"]);
const STATEMENT_ID: Text = Text::ANY.length(1, 100).pattern(Pattern {
    text: "([a-zA-Z0-9-_]+)",
    matches: |text| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    },
});
const ACTION: Text = Text::ANY.pattern(Pattern {
    text: r"(lambda:[*]|lambda:[a-zA-Z]+|[*])",
    matches: |text| match text.strip_prefix("lambda:") {
        Some("*") => true,
        Some(name) => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic()),
        None => text == "*",
    },
});
const PRINCIPAL: Text = Text::ANY.min(1).pattern(Pattern {
    text: r"[^\s]+",
    matches: |text| !text.contains(char::is_whitespace) && !text.contains('\0'),
});
const ARN: Text = Text::ANY.pattern(Pattern {
    text: r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    matches: |text| {
        text.starts_with("arn:") && text.splitn(6, ':').count() == 6 && !text.contains('\0')
    },
});
const ACCOUNT: Text = Text::ANY.max(12).pattern(Pattern {
    text: r"\d{12}",
    matches: |text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()),
});
const VARIABLE: Text = Text::ANY.sensitive();

/// What creations and updates of a configuration have in common.
struct Common {
    description: Option<String>,
    timeout_s: Option<i64>,
    memory_mb: Option<i64>,
    ephemeral_storage_mb: Option<i64>,
    tracing_mode: Option<String>,
    log_group: Option<String>,
    environment: Option<Environment>,
}

fn common(input: &mut Input<'_>) -> Common {
    Common {
        description: input.string("Description", &DESCRIPTION).optional(),
        timeout_s: input
            .integer("Timeout", &Integer::between(1, 900))
            .optional(),
        memory_mb: input
            .integer("MemorySize", &Integer::between(128, 10_240))
            .optional(),
        ephemeral_storage_mb: input
            .object("EphemeralStorage", |storage| {
                storage
                    .integer("Size", &Integer::between(512, 10_240))
                    .required()
            })
            .optional(),
        tracing_mode: input
            .object("TracingConfig", |tracing| {
                tracing.string("Mode", &TRACING_MODE).optional()
            })
            .optional()
            .flatten(),
        log_group: input
            .object("LoggingConfig", |logging| {
                logging.string("LogGroup", &LOG_GROUP).optional()
            })
            .optional()
            .flatten(),
        environment: input
            .object("Environment", |environment| {
                environment
                    .string_map("Variables", &Size::ANY, &VARIABLE, &VARIABLE)
                    .or(BTreeMap::new())
            })
            .optional()
            .map(Environment::new),
    }
}

/// Where the code is said to be.
struct Code {
    zip: Option<Vec<u8>>,
    is_elsewhere: bool,
}

fn code(input: &mut Input<'_>) -> Code {
    Code {
        zip: input.blob("ZipFile").optional(),
        is_elsewhere: ["S3Bucket", "S3Key", "ImageUri"]
            .into_iter()
            .any(|name| input.document(name).optional().is_some()),
    }
}

fn zip(call: &Call, code: Code) -> Result<Vec<u8>, Refused> {
    match code {
        Code { zip: Some(zip), .. } => Ok(zip),
        Code {
            is_elsewhere: true, ..
        } => Err(call.refuse_parameter(
            "This server takes code as a zip in the request (ZipFile), not from S3 and not as an \
             image.",
        )),
        Code { .. } => Err(call.refuse_parameter("Please provide a source for function code.")),
    }
}

fn architecture(call: &Call, body: &Map<String, Value>) -> Result<Option<String>, Refused> {
    const ARCHITECTURE: Text = Text::ANY.one_of(&["x86_64", "arm64"]);
    let architectures = call.read(body, |input| {
        input
            .strings("Architectures", &Size::between(1, 1), &ARCHITECTURE)
            .or(Vec::new())
    })?;
    Ok(architectures.into_iter().next())
}

/// Refuses what cannot be done here, rather than seeming to have done it.
fn refuse_unsupported(call: &Call, body: &Map<String, Value>) -> Result<(), Refused> {
    let is_asked_for = |name: &str| match body.get(name) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        // Tools send the structure with empty members when it is not used.
        Some(Value::Object(members)) => members.values().any(|member| match member {
            Value::Null | Value::Bool(false) => false,
            Value::Array(items) => !items.is_empty(),
            Value::String(text) => !text.is_empty(),
            _ => true,
        }),
        Some(_) => true,
    };
    for name in [
        "Publish",
        "Layers",
        "VpcConfig",
        "DeadLetterConfig",
        "KMSKeyArn",
        "FileSystemConfigs",
        "ImageConfig",
        "CodeSigningConfigArn",
        "DurableConfig",
        "CapacityProviderConfig",
        "TenancyConfig",
    ] {
        if is_asked_for(name) {
            return Err(call.refuse_parameter(&format!("{name} is not supported by this server.")));
        }
    }
    for (name, member, supported) in [
        ("SnapStart", "ApplyOn", "None"),
        ("LoggingConfig", "LogFormat", "Text"),
    ] {
        let given = body.get(name).and_then(|value| value.get(member));
        if given.is_some_and(|given| !given.is_null() && given != supported) {
            return Err(call.refuse_parameter(&format!(
                "{name}.{member} must be {supported} on this server."
            )));
        }
    }
    if body
        .get("PackageType")
        .is_some_and(|kind| !kind.is_null() && kind != "Zip")
    {
        return Err(call.refuse_parameter("PackageType must be Zip on this server."));
    }
    Ok(())
}

fn mark_updating(output: &mut Value) {
    output["LastUpdateStatus"] = json!("InProgress");
    output["LastUpdateStatusReason"] = json!("The function is being created.");
    output["LastUpdateStatusReasonCode"] = json!("Creating");
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn finish(answer: Answer) -> Response {
    answer.map(Body::from)
}

/// The hash as deploy tools compare it.
fn code_sha256(sha256_hex: &str) -> String {
    hex::decode(sha256_hex).map_or(String::new(), |bytes| BASE64.encode(bytes))
}

fn last_modified(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .strftime("%Y-%m-%dT%H:%M:%S%.3f+0000")
        .to_string()
}

fn body_bytes_max(operation: &str) -> usize {
    match operation {
        "CreateFunction" => CREATE_BYTES_MAX,
        "UpdateFunctionCode" => UPDATE_CODE_BYTES_MAX,
        "InvokeFunction" => PAYLOAD_BYTES_MAX,
        // The framework's own limit.
        _ => 2 * 1024 * 1024,
    }
}

/// The operation that a method and a path stand for: its name where tools that deploy a trigger
/// call it, else the two themselves.
fn operation_name(method: &Method, path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let name = match (method.as_str(), parts.get(1..).unwrap_or_default()) {
        ("POST", ["functions"]) => "CreateFunction",
        ("GET", ["functions"]) => "ListFunctions",
        ("PUT", ["functions", _, "code"]) => "UpdateFunctionCode",
        ("POST", ["functions", _, "invocations"]) => "InvokeFunction",
        ("POST", ["functions", _, "invoke-async"]) => "InvokeAsync",
        ("POST", ["functions", _, "response-streaming-invocations"]) => "InvokeWithResponseStream",
        ("POST", ["functions", _, "versions"]) => "PublishVersion",
        ("GET", ["functions", _, "versions"]) => "ListVersionsByFunction",
        ("POST", ["functions", _, "aliases"]) => "CreateAlias",
        ("GET", ["functions", _, "aliases"]) => "ListAliases",
        ("GET", ["functions", _, "aliases", _]) => "GetAlias",
        ("PUT", ["functions", _, "aliases", _]) => "UpdateAlias",
        ("DELETE", ["functions", _, "aliases", _]) => "DeleteAlias",
        ("PUT", ["functions", _, "concurrency"]) => "PutFunctionConcurrency",
        ("GET", ["functions", _, "concurrency"]) => "GetFunctionConcurrency",
        ("DELETE", ["functions", _, "concurrency"]) => "DeleteFunctionConcurrency",
        ("GET", ["functions", _, "code-signing-config"]) => "GetFunctionCodeSigningConfig",
        ("PUT", ["functions", _, "code-signing-config"]) => "PutFunctionCodeSigningConfig",
        ("DELETE", ["functions", _, "code-signing-config"]) => "DeleteFunctionCodeSigningConfig",
        ("POST", ["functions", _, "url"]) => "CreateFunctionUrlConfig",
        ("GET", ["functions", _, "url"]) => "GetFunctionUrlConfig",
        ("PUT", ["functions", _, "url"]) => "UpdateFunctionUrlConfig",
        ("DELETE", ["functions", _, "url"]) => "DeleteFunctionUrlConfig",
        ("GET", ["functions", _, "urls"]) => "ListFunctionUrlConfigs",
        ("PUT", ["functions", _, "event-invoke-config"]) => "PutFunctionEventInvokeConfig",
        ("GET", ["functions", _, "event-invoke-config"]) => "GetFunctionEventInvokeConfig",
        ("POST", ["functions", _, "event-invoke-config"]) => "UpdateFunctionEventInvokeConfig",
        ("DELETE", ["functions", _, "event-invoke-config"]) => "DeleteFunctionEventInvokeConfig",
        ("PUT", ["functions", _, "provisioned-concurrency"]) => "PutProvisionedConcurrencyConfig",
        ("GET", ["functions", _, "provisioned-concurrency"]) => "GetProvisionedConcurrencyConfig",
        ("GET", ["functions", _, "runtime-management-config"]) => "GetRuntimeManagementConfig",
        ("PUT", ["functions", _, "runtime-management-config"]) => "PutRuntimeManagementConfig",
        ("GET", ["functions", _, "recursion-config"]) => "GetFunctionRecursionConfig",
        ("PUT", ["functions", _, "recursion-config"]) => "PutFunctionRecursionConfig",
        ("POST", ["tags", _]) => "TagResource",
        ("GET", ["tags", _]) => "ListTags",
        ("DELETE", ["tags", _]) => "UntagResource",
        ("GET", ["account-settings"]) => "GetAccountSettings",
        ("GET", ["layers"]) => "ListLayers",
        ("GET", ["layers", _, "versions"]) => "ListLayerVersions",
        ("POST", ["layers", _, "versions"]) => "PublishLayerVersion",
        ("GET", ["layers", _, "versions", _]) => "GetLayerVersion",
        ("DELETE", ["layers", _, "versions", _]) => "DeleteLayerVersion",
        ("POST", ["event-source-mappings"]) => "CreateEventSourceMapping",
        ("GET", ["event-source-mappings"]) => "ListEventSourceMappings",
        ("GET", ["event-source-mappings", _]) => "GetEventSourceMapping",
        ("PUT", ["event-source-mappings", _]) => "UpdateEventSourceMapping",
        ("DELETE", ["event-source-mappings", _]) => "DeleteEventSourceMapping",
        _ => return format!("{method} {path}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_no_colon_in_its_offset() {
        assert_eq!(
            last_modified(1_700_000_000_123),
            "2023-11-14T22:13:20.123+0000"
        );
    }

    #[test]
    fn a_hash_is_shown_as_deploy_tools_compute_it() {
        assert_eq!(
            code_sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    #[test]
    fn an_operation_is_named_or_shown() {
        for (method, path, expected) in [
            (
                Method::POST,
                "/2015-03-31/functions/f/versions",
                "PublishVersion",
            ),
            (Method::GET, "/2015-03-31/functions/", "ListFunctions"),
            (
                Method::GET,
                "/2016-08-19/account-settings/",
                "GetAccountSettings",
            ),
            (
                Method::PATCH,
                "/2015-03-31/nothing",
                "PATCH /2015-03-31/nothing",
            ),
            (Method::GET, "/", "GET /"),
        ] {
            assert_eq!(operation_name(&method, path), expected);
        }
    }
}
