//! A function on the official Rust runtime client: the tests' oracle for the Runtime API. It
//! answers its event with how many invocations it has had and its process id, and does what the
//! event's `do` says.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use std::sync::atomic::{AtomicU64, Ordering};

static INVOCATIONS: AtomicU64 = AtomicU64::new(0);

async fn handle(event: LambdaEvent<serde_json::Value>) -> Result<serde_json::Value, Error> {
    let count = INVOCATIONS.fetch_add(1, Ordering::SeqCst) + 1;
    match event.payload["do"].as_str() {
        Some("fail") => return Err("as asked".into()),
        Some("exit") => std::process::exit(3),
        Some("abort") => std::process::abort(),
        _ => {}
    }
    Ok(serde_json::json!({
        "event": event.payload,
        "count": count,
        "pid": std::process::id(),
        "request_id": event.context.request_id,
        "arn": event.context.invoked_function_arn,
    }))
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(handle)).await
}
