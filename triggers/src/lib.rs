//! The guide's three custom-auth triggers, as Lambda functions that run on Claviger and on the real AWS Lambda alike.
//!
//! A user pool's custom sign-in is a loop over three functions: *Define* says what comes next, *Create* makes a
//! challenge, *Verify* judges the answer. Here the challenge is an authenticate transaction of the passkey service, and
//! the answer is the nonce of the finished ceremony.
//!
//! What they decide is in [`decide`]; this file joins that to the passkey service and to the Lambda runtime. Each has a
//! binary of its own, and `claviger dev` runs them out of its own program. Nothing here knows how a pool or the passkey service works inside.

pub mod decide;

use std::env;
use std::error::Error as StdError;
use std::time::Duration;

use claviger_flex::{Error, PassageFlex};
use decide::{Create, Define, Refusal, Verify};
use http::{Method, Request};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use lambda_runtime_api_client::PooledClient;
use lambda_runtime_api_client::body::Body;
use serde_json::{Value, json};

/// Below the three seconds that a new Lambda function may take, so that a slow passkey service is answered with words
/// and not with a killed function.
const TIMEOUT: Duration = Duration::from_millis(2500);

/// The Define trigger: a passkey first, then tokens or the end. Needs no settings and calls nobody.
///
/// # Errors
///
/// When the Runtime API fails; the process should end then.
pub async fn define_auth_challenge() -> Result<(), lambda_runtime::Error> {
    serve(async |event| {
        let decision = Define::decide(&event)?;
        if let Define::Fail(reason) = decision {
            eprintln!("Failing authentication because {reason}");
        }
        Ok(decision.answer(event))
    })
    .await
}

/// The Create trigger: an authenticate transaction for the user, its id among the public challenge parameters.
///
/// # Errors
///
/// When the Runtime API fails, or a setting is missing.
pub async fn create_auth_challenge() -> Result<(), lambda_runtime::Error> {
    let flex = match passkey_service() {
        Ok(flex) => flex,
        Err(reason) => return Err(init_error(reason).await),
    };
    serve(async |event| {
        let Create::Transaction { external_id } = Create::decide(&event)? else {
            return Ok(event);
        };
        let transaction_id = flex
            .auth
            .create_authenticate_transaction(external_id)
            .await?;
        Ok(Create::answer(event, &transaction_id))
    })
    .await
}

/// The Verify trigger: the answer is a nonce; it must be good, and it must be the proof of the user who is signing in.
///
/// # Errors
///
/// As [`create_auth_challenge`].
pub async fn verify_auth_challenge() -> Result<(), lambda_runtime::Error> {
    let flex = match passkey_service() {
        Ok(flex) => flex,
        Err(reason) => return Err(init_error(reason).await),
    };
    serve(async |event| {
        let verify = Verify::decide(&event)?;
        let external_id = flex.auth.verify_nonce(&verify.nonce).await?;
        verify.check(&external_id)?;
        Ok(Verify::answer(event))
    })
    .await
}

/// A function's failure, in the two forms it has: what the caller is told, and what the log gets on top.
#[derive(Debug)]
struct Failure {
    refusal: Refusal,
    detail: Option<String>,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Failure {
            refusal,
            detail: None,
        }
    }
}

impl From<Error> for Failure {
    /// A user who never added a passkey is unknown to the passkey service; to the person signing in that is the same
    /// as having none.
    fn from(error: Error) -> Self {
        let refusal = match &error {
            Error::UserNotFound | Error::UserHasNoPasskeys => Refusal::NoPasskeys,
            Error::InvalidNonce => Refusal::InvalidNonce,
            Error::Timeout => Refusal::Unavailable("timeout".to_owned()),
            Error::Transport(_) => Refusal::Unavailable("unreachable".to_owned()),
            other => Refusal::Unavailable(other.code().unwrap_or("unexpected_response").to_owned()),
        };
        Failure {
            refusal,
            detail: Some(chain(&error)),
        }
    }
}

impl From<Failure> for Diagnostic {
    fn from(failure: Failure) -> Self {
        Diagnostic {
            error_type: failure.refusal.error_type().to_owned(),
            error_message: failure.refusal.to_string(),
        }
    }
}

/// The passkey service, as the function's environment names it: `PASSAGE_APP_ID`, `PASSAGE_API_KEY` and, if it is not
/// where the SDK looks, `PASSAGE_BASE_URL`.
///
/// # Errors
///
/// A sentence that names the variable. It never holds the key.
fn passkey_service() -> Result<PassageFlex, String> {
    let mut builder =
        PassageFlex::builder(required("PASSAGE_APP_ID")?, required("PASSAGE_API_KEY")?)
            .timeout(TIMEOUT);
    if let Some(base_url) = optional("PASSAGE_BASE_URL")? {
        builder = builder.base_url(base_url);
    }
    builder
        .build()
        .map_err(|error| format!("The PASSAGE_ variables do not work: {}", chain(&error)))
}

/// Serves invocations until the environment ends. `handler` gets the event and gives it back, answered.
///
/// A refusal becomes the function's error, and one line on standard error, where Lambda keeps its logs: the runtime
/// crate itself writes nothing of the kind without a subscriber.
///
/// # Errors
///
/// Only when the Runtime API fails; the process should end then.
async fn serve<H, A>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: Fn(Value) -> A,
    A: Future<Output = Result<Value, Failure>>,
{
    let invoke = async |event: LambdaEvent<Value>| {
        let answer = handler(event.payload).await;
        if let Err(Failure { refusal, detail }) = &answer {
            let request_id = &event.context.request_id;
            let detail = detail
                .as_deref()
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default();
            eprintln!("RequestId: {request_id} refused, {refusal:?}{detail}");
        }
        answer
    };
    lambda_runtime::run(service_fn(invoke)).await
}

/// Tells the Runtime API that this function cannot start, so that whoever invokes it is told why, and gives the reason
/// back as the process's own failure.
async fn init_error(reason: String) -> lambda_runtime::Error {
    // Started by hand, outside of Lambda, there is nobody to tell but the terminal.
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
        && let Err(error) = report_init_error(&reason).await
    {
        eprintln!("The Runtime API did not take the report: {error}");
    }
    reason.into()
}

async fn report_init_error(reason: &str) -> Result<(), lambda_runtime::Error> {
    let body = json!({"errorType": "Configuration", "errorMessage": reason, "stackTrace": []});
    let request = Request::builder()
        .method(Method::POST)
        .uri("/2018-06-01/runtime/init/error")
        .header("content-type", "application/json")
        .header(
            "lambda-runtime-function-error-type",
            "Function.Configuration",
        )
        .body(Body::from(body.to_string()))?;
    PooledClient::builder().build().call(request).await?;
    Ok(())
}

fn required(name: &str) -> Result<String, String> {
    optional(name)?.ok_or_else(|| {
        format!("Missing Passage credentials: the environment variable {name} is not set")
    })
}

/// A variable that is set to nothing counts as not set, as consoles leave it behind.
fn optional(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => {
            Err(format!("The environment variable {name} is not text"))
        }
    }
}

/// An error with what caused it, for the log.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
