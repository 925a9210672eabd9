//! Calls the function behind a trigger, within the bounds of the contract (`lambda.md` §11).
//!
//! No database transaction is open while a function runs.

use std::{sync::PoisonError, time::Duration};

use functions::InvokeError;
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use crate::{
    Error, TriggerRefusal, UserPools,
    auth::{
        driver::TriggerCall,
        triggers::{self, Trigger},
    },
};

/// How long one attempt may take; not configurable.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Attempts in all. Only a time-out is tried again: after an error the function may have acted.
const ATTEMPTS: u32 = 3;

const TIMED_OUT: &str = "Socket timeout while invoking Lambda function";

impl UserPools {
    /// The `response` of a trigger's answer.
    pub(crate) async fn run_trigger(
        &self,
        call: TriggerCall<'_>,
        trigger: Trigger,
        arn: &str,
        event: Vec<u8>,
    ) -> Result<Map<String, Value>, Error> {
        self.check_permission(call, trigger, arn).await?;
        for _ in 0..ATTEMPTS {
            let attempt_ends = Instant::now() + ATTEMPT_TIMEOUT;
            let ends = attempt_ends.min(call.caller.deadline);
            let invoked = self
                .0
                .functions
                .invoke(&call.pool.organization_id, arn, event.clone());
            match timeout_at(ends, invoked).await {
                Ok(Ok(answer)) if answer.is_error => {
                    return Err(TriggerRefusal::Failed {
                        trigger: trigger.name(),
                        message: error_message(&answer.payload),
                    }
                    .into());
                }
                Ok(Ok(answer)) => return Ok(triggers::read_response(&answer.payload)?),
                Ok(Err(InvokeError::Refusal(refusal))) => {
                    return Err(not_invoked(trigger, refusal.exception()));
                }
                Ok(Err(InvokeError::Fault(fault))) => return Err(fault.into()),
                Err(_) if ends < attempt_ends => break,
                Err(_) => {}
            }
        }
        Err(not_invoked(trigger, TIMED_OUT))
    }

    /// A pool may call a function that says so. When that is not enforced, what is missing is
    /// logged once per function, and asked once.
    async fn check_permission(
        &self,
        call: TriggerCall<'_>,
        trigger: Trigger,
        arn: &str,
    ) -> Result<(), Error> {
        let is_enforced = self.0.settings.enforce_function_permissions;
        if !is_enforced && !self.is_first_call_of(arn) {
            return Ok(());
        }
        let source_arn = call.pool.arn();
        let is_permitted = self
            .0
            .functions
            .permits(
                &call.pool.organization_id,
                arn,
                "cognito-idp.amazonaws.com",
                &source_arn,
            )
            .await?;
        if is_permitted {
            return Ok(());
        }
        if is_enforced {
            return Err(not_invoked(trigger, "AccessDeniedException"));
        }
        tracing::warn!(
            function = arn,
            user_pool = call.pool.id,
            trigger = trigger.name(),
            "the function does not permit cognito-idp.amazonaws.com to invoke it; Amazon Cognito \
             would refuse this call (add the permission with AddPermission)"
        );
        Ok(())
    }

    fn is_first_call_of(&self, arn: &str) -> bool {
        let mut called = self
            .0
            .checked_functions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        !called.contains(arn) && called.insert(arn.to_owned())
    }
}

fn not_invoked(trigger: Trigger, error: &str) -> Error {
    TriggerRefusal::NotInvoked {
        trigger: trigger.name(),
        error: error.to_owned(),
    }
    .into()
}

/// What the function said: its `errorMessage`, or whatever it left instead.
fn error_message(payload: &[u8]) -> String {
    let error: Option<Value> = serde_json::from_slice(payload).ok();
    match error
        .as_ref()
        .and_then(|error| error["errorMessage"].as_str())
    {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(payload).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_the_function_said() {
        for (payload, expected) in [
            (r#"{"errorMessage":"no.","errorType":"Error"}"#, "no."),
            (r#"{"errorMessage":null}"#, r#"{"errorMessage":null}"#),
            ("oops", "oops"),
            ("", ""),
        ] {
            assert_eq!(error_message(payload.as_bytes()), expected);
        }
    }
}
