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
        attempt::TriggerCall,
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
        let attempt = || {
            let organization_id = &call.pool.organization_id;
            self.0.functions.invoke(organization_id, arn, event.clone())
        };
        match within_bounds(call.caller.deadline, attempt).await {
            Some(Ok(answer)) if answer.is_error => Err(TriggerRefusal::Failed {
                trigger: trigger.name(),
                message: error_message(&answer.payload),
            }
            .into()),
            Some(Ok(answer)) => Ok(triggers::read_response(&answer.payload)?),
            Some(Err(InvokeError::Refusal(refusal))) => {
                Err(not_invoked(trigger, refusal.exception()))
            }
            Some(Err(InvokeError::Fault(fault))) => Err(fault.into()),
            None => Err(not_invoked(trigger, TIMED_OUT)),
        }
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

/// What an attempt gives, or nothing when all took too long or the deadline of the request came.
async fn within_bounds<F: Future>(deadline: Instant, attempt: impl Fn() -> F) -> Option<F::Output> {
    for _ in 0..ATTEMPTS {
        let ends = (Instant::now() + ATTEMPT_TIMEOUT).min(deadline);
        if let Ok(output) = timeout_at(ends, attempt()).await {
            return Some(output);
        }
        if ends == deadline {
            return None;
        }
    }
    None
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
    use std::{cell::Cell, future};

    use super::*;

    /// Plays attempts that end after so many seconds: what came of it, how many there were, and
    /// how long it took. Time passes by itself.
    async fn play(deadline_s: u64, attempts_s: &[u64]) -> (Option<u64>, usize, u64) {
        let started = Instant::now();
        let count = Cell::new(0);
        let outcome = within_bounds(started + Duration::from_secs(deadline_s), || {
            let duration_s = attempts_s.get(count.get()).copied();
            count.set(count.get() + 1);
            async move {
                match duration_s {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => future::pending().await,
                }
                duration_s.unwrap_or_default()
            }
        })
        .await;
        (outcome, count.get(), started.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn three_attempts_of_five_seconds_and_no_more() {
        assert_eq!(play(30, &[4]).await, (Some(4), 1, 4));
        assert_eq!(play(30, &[6, 1]).await, (Some(1), 2, 6));
        assert_eq!(play(30, &[6, 6, 2]).await, (Some(2), 3, 12));
        assert_eq!(play(30, &[6, 6, 6, 1]).await, (None, 3, 15));
        assert_eq!(play(30, &[]).await, (None, 3, 15));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_the_request_ends_it_earlier() {
        assert_eq!(play(7, &[]).await, (None, 2, 7));
        assert_eq!(play(5, &[]).await, (None, 1, 5));
        assert_eq!(play(0, &[]).await, (None, 1, 0));
    }

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
