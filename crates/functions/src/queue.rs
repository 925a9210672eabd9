//! Invocations that nobody waits for (`Event`): accepted once they are committed, run in the
//! background, tried again after one and after two more minutes when they fail (lambda.md §6).
//!
//! At least once: an invocation whose server is killed in the middle runs again, on any server of
//! the same database, when its lease has ended.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use platform::{Fault, values};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Functions, Refusal, functions::Function};

const TRIES_MAX: i64 = 3;
/// Waiting invocations of one function.
const WAITING_MAX: i64 = 10_000;
/// Beyond the function's own time: for a slow start and for slow writing.
const LEASE_SLACK_MS: i64 = 30_000;
/// How long one that found no free instance waits; it does not count as a try.
const THROTTLED_MS: i64 = 1000;
/// Also looks for what another server has left without anybody telling.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);

/// An invocation taken from the queue under a lease.
struct Taken {
    id: String,
    function_id: String,
    payload: Bytes,
    client_context: Option<String>,
    tries: i64,
}

impl Functions {
    /// Accepts an asynchronous invocation; it is durable when this returns its id.
    pub(crate) async fn enqueue(
        &self,
        function: &Function,
        payload: Bytes,
        client_context: Option<String>,
    ) -> Result<String, Error> {
        let platform = &self.inner.platform;
        let now_ms = platform.clock.now_ms();
        let id = platform.entropy.uuid().to_string();
        let row = (id.clone(), function.id.clone());
        platform
            .db
            .write(async move |tx| {
                let (id, function_id) = &row;
                let waiting: i64 = match tx
                    .row(
                        "SELECT COUNT(*) AS count FROM functions_queue WHERE function_id = $1",
                        values![function_id],
                    )
                    .await?
                {
                    Some(row) => row.get("count")?,
                    None => 0,
                };
                if waiting >= WAITING_MAX {
                    return Err(Error::from(Refusal::QueueFull));
                }
                tx.execute(
                    "INSERT INTO functions_queue (
                        id, function_id, payload, client_context, tries, due_at_ms, created_at_ms
                     ) VALUES ($1, $2, $3, $4, 0, $5, $5)",
                    values![id, function_id, &*payload, &client_context, now_ms],
                )
                .await?;
                Ok(())
            })
            .await?;
        self.inner.queue_changed.notify_one();
        Ok(id)
    }

    /// Runs what is due until the server closes.
    pub(crate) async fn work_off_queue(self) {
        // No more at once than instances could run.
        let places = Arc::new(Semaphore::new(self.inner.settings.instances_max.max(1)));
        let mut is_closing = self.inner.fleet.closing();
        loop {
            let pause = match self.take_what_is_due(&places).await {
                Ok(pause) => pause,
                Err(fault) => {
                    tracing::error!(%fault, "reading the queue of invocations");
                    LOOK_AGAIN_MAX
                }
            };
            tokio::select! {
                () = self.inner.queue_changed.notified() => {}
                () = tokio::time::sleep(pause) => {}
                _ = is_closing.wait_for(|is_closing| *is_closing) => return,
            }
        }
    }

    /// Starts all that is due and gives how long there will be nothing to do.
    async fn take_what_is_due(&self, places: &Arc<Semaphore>) -> Result<Duration, Fault> {
        loop {
            let Ok(place) = places.clone().try_acquire_owned() else {
                // Whoever gives its place back tells.
                return Ok(LOOK_AGAIN_MAX);
            };
            let Some(taken) = self.take().await? else {
                return self.time_until_due().await;
            };
            tokio::spawn(self.clone().run_taken(taken, place));
        }
    }

    /// Takes one due invocation: of two servers one gets the row.
    async fn take(&self) -> Result<Option<Taken>, Fault> {
        let now_ms = self.inner.platform.clock.now_ms();
        self.inner
            .platform
            .db
            .write(async move |tx| {
                let row = tx
                    .row(
                        "UPDATE functions_queue SET
                            tries = tries + 1,
                            due_at_ms = CAST($1 AS BIGINT) + $2 + 1000 * (
                                SELECT timeout_s FROM functions_functions
                                WHERE functions_functions.id = functions_queue.function_id
                            )
                         WHERE due_at_ms <= $1 AND id = (
                            SELECT id FROM functions_queue WHERE due_at_ms <= $1
                            ORDER BY due_at_ms, id LIMIT 1
                         )
                         RETURNING id, function_id, payload, client_context, tries",
                        values![now_ms, LEASE_SLACK_MS],
                    )
                    .await?;
                row.map(|row| {
                    Ok(Taken {
                        id: row.get("id")?,
                        function_id: row.get("function_id")?,
                        payload: Bytes::from(row.get::<Vec<u8>>("payload")?),
                        client_context: row.get("client_context")?,
                        tries: row.get("tries")?,
                    })
                })
                .transpose()
            })
            .await
    }

    async fn time_until_due(&self) -> Result<Duration, Fault> {
        let next_ms: Option<i64> = self
            .inner
            .platform
            .db
            .read(async move |tx| {
                let row = tx
                    .row(
                        "SELECT MIN(due_at_ms) AS due_at_ms FROM functions_queue",
                        values![],
                    )
                    .await?;
                match row {
                    Some(row) => row.get("due_at_ms"),
                    None => Ok(None),
                }
            })
            .await?;
        let now_ms = self.inner.platform.clock.now_ms();
        Ok(next_ms.map_or(LOOK_AGAIN_MAX, |next_ms| {
            let wait_ms = u64::try_from(next_ms.saturating_sub(now_ms)).unwrap_or(0);
            // Never nothing: a clock that stands still must not spin.
            Duration::from_millis(wait_ms.max(1)).min(LOOK_AGAIN_MAX)
        }))
    }

    async fn run_taken(self, taken: Taken, place: OwnedSemaphorePermit) {
        let id = taken.id.clone();
        let next = match self.find_by_id(&taken.function_id).await {
            Ok(Some(function)) => {
                let outcome = self
                    .run(&function, taken.id, taken.payload, taken.client_context)
                    .await;
                let failure = match &outcome {
                    Ok(answer) if answer.is_error => Some("the function failed".to_owned()),
                    Ok(_) => None,
                    Err(error) => Some(error.to_string()),
                };
                if let Some(failure) = failure {
                    tracing::info!(
                        function = %function.name,
                        request_id = %id,
                        tries = taken.tries,
                        failure,
                        "an asynchronous invocation did not succeed"
                    );
                }
                next_step(&outcome, taken.tries)
            }
            // Deleted meanwhile, with its queue.
            Ok(None) => NextStep::Forget,
            Err(fault) => {
                tracing::error!(%fault, "looking up the function of an invocation");
                NextStep::Wait {
                    for_ms: THROTTLED_MS,
                    tries: taken.tries - 1,
                }
            }
        };
        if let Err(fault) = self.settle(id, next).await {
            // The lease ends and it runs again.
            tracing::error!(%fault, "settling an asynchronous invocation");
        }
        drop(place);
        self.inner.queue_changed.notify_one();
    }

    async fn settle(&self, id: String, next: NextStep) -> Result<(), Fault> {
        let now_ms = self.inner.platform.clock.now_ms();
        self.inner
            .platform
            .db
            .write(async move |tx| {
                match next {
                    NextStep::Forget => {
                        tx.execute("DELETE FROM functions_queue WHERE id = $1", values![&id])
                            .await?
                    }
                    NextStep::Wait { for_ms, tries } => {
                        tx.execute(
                            "UPDATE functions_queue SET due_at_ms = $2, tries = $3 WHERE id = $1",
                            values![&id, now_ms + for_ms, tries],
                        )
                        .await?
                    }
                };
                Ok(())
            })
            .await
    }
}

/// What becomes of an invocation that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextStep {
    /// It is done, or was tried often enough.
    Forget,
    /// It is tried again; `tries` is how often it has been.
    Wait { for_ms: i64, tries: i64 },
}

/// Pure. `tries` counts the one that just ended.
fn next_step(outcome: &Result<crate::Answer, Error>, tries: i64) -> NextStep {
    match outcome {
        Ok(answer) if !answer.is_error => NextStep::Forget,
        Err(Error::Refusal(Refusal::ConcurrencyExceeded)) => NextStep::Wait {
            for_ms: THROTTLED_MS,
            tries: tries - 1,
        },
        // The next server has it at once.
        Err(Error::Refusal(Refusal::ShuttingDown)) => NextStep::Wait {
            for_ms: 0,
            tries: tries - 1,
        },
        _ if tries >= TRIES_MAX => NextStep::Forget,
        _ => NextStep::Wait {
            for_ms: tries * 60_000,
            tries,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(is_error: bool) -> Result<crate::Answer, Error> {
        Ok(crate::Answer {
            payload: Vec::new(),
            is_error,
            executed_version: "$LATEST".into(),
            log_tail: String::new(),
        })
    }

    #[test]
    fn a_failure_is_tried_again_after_one_and_after_two_minutes() {
        let wait = |for_ms, tries| NextStep::Wait { for_ms, tries };
        assert_eq!(next_step(&answer(false), 1), NextStep::Forget);
        assert_eq!(next_step(&answer(true), 1), wait(60_000, 1));
        assert_eq!(next_step(&answer(true), 2), wait(120_000, 2));
        assert_eq!(next_step(&answer(true), 3), NextStep::Forget);
        let fault = || Err(Error::Fault(Fault::new("disk")));
        assert_eq!(next_step(&fault(), 1), wait(60_000, 1));
        assert_eq!(next_step(&fault(), 3), NextStep::Forget);
    }

    #[test]
    fn finding_no_free_instance_is_not_a_try() {
        let busy = Err(Refusal::ConcurrencyExceeded.into());
        assert_eq!(
            next_step(&busy, 3),
            NextStep::Wait {
                for_ms: THROTTLED_MS,
                tries: 2
            }
        );
    }
}
