//! Gets what is due to the webhooks: those with something due side by side, the
//! messages of each one after the other, so that first attempts go out in the
//! order of their events and no receiver waits for another.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use platform::Fault;
use tokio::task::{Id, JoinSet};

use super::{Outcome, sender::Sender};
use crate::{Passkeys, WebhookId};

impl Passkeys {
    /// Delivers to webhooks until `stop` is ready and the attempts under way have
    /// ended. To be run by every node that serves.
    ///
    /// It looks at once when this node has queued something, when something is due
    /// again, and every second for what other nodes left and what a sub-command
    /// asked for.
    pub async fn deliver_webhooks(&self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut courier = match Courier::new(self) {
            Ok(courier) => courier,
            Err(fault) => {
                tracing::error!(%fault, "no webhook is called");
                return;
            }
        };
        loop {
            let pause = match courier.set_out().await {
                Ok(pause) => pause,
                Err(fault) => {
                    tracing::error!(%fault, "what is due to webhooks could not be found");
                    tokio::select! {
                        () = &mut stop => break,
                        () = tokio::time::sleep(LOOK_EVERY) => continue,
                    }
                }
            };
            tokio::select! {
                () = &mut stop => break,
                () = self.deliveries_queued.notified() => {}
                Some(ended) = courier.next_return() => log_fault(ended),
                () = tokio::time::sleep(pause) => {}
            }
        }
        courier.is_stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = courier.next_return().await {
            log_fault(ended);
        }
    }

    /// Makes every attempt that is due, and gives their number. What fails is due
    /// again later.
    pub async fn deliver_due(&self) -> Result<u64, Fault> {
        let mut courier = Courier::new(self)?;
        let mut attempts = 0;
        loop {
            courier.set_out().await?;
            match courier.next_return().await {
                Some(ended) => attempts += ended?,
                None => return Ok(attempts),
            }
        }
    }
}

fn log_fault(ended: Result<u64, Fault>) {
    if let Err(fault) = ended {
        tracing::error!(%fault, "a webhook could not be called");
    }
}

/// The tours under way from this node, one to a webhook. They end when this is dropped.
struct Courier {
    passkeys: Passkeys,
    sender: Sender,
    tours: JoinSet<Result<u64, Fault>>,
    visited: HashMap<Id, WebhookId>,
    is_stopping: Arc<AtomicBool>,
}

impl Courier {
    fn new(passkeys: &Passkeys) -> Result<Courier, Fault> {
        Ok(Courier {
            sender: Sender::new(passkeys.delivery)?,
            passkeys: passkeys.clone(),
            tours: JoinSet::new(),
            visited: HashMap::new(),
            is_stopping: Arc::default(),
        })
    }

    /// Starts a tour to each webhook with something due, as far as there is room,
    /// and says when to look again.
    async fn set_out(&mut self) -> Result<Duration, Fault> {
        let now_ms = self.passkeys.platform.clock.now_ms();
        let until_ms = now_ms.saturating_add(LOOK_EVERY.as_millis() as i64);
        let mut next_due_at_ms = None;
        for (webhook_id, due_at_ms) in self.passkeys.list_due(until_ms).await? {
            if due_at_ms > now_ms {
                next_due_at_ms.get_or_insert(due_at_ms);
                continue;
            }
            let is_visited = self.visited.values().any(|visited| *visited == webhook_id);
            if !is_visited && self.tours.len() < WEBHOOKS_AT_ONCE as usize {
                let tour = tour(
                    self.passkeys.clone(),
                    self.sender.clone(),
                    webhook_id.clone(),
                    Arc::clone(&self.is_stopping),
                );
                let task = self.tours.spawn(tour);
                self.visited.insert(task.id(), webhook_id);
            }
        }
        Ok(pause(now_ms, next_due_at_ms))
    }

    /// Waits for the next tour to end, and gives its number of attempts. Nothing
    /// when none is under way.
    async fn next_return(&mut self) -> Option<Result<u64, Fault>> {
        let (id, ended) = match self.tours.join_next_with_id().await? {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                let id = error.id();
                (id, Err(Fault::while_doing("calling a webhook", error)))
            }
        };
        self.visited.remove(&id);
        Some(ended)
    }
}

/// How long to wait for what is due next, which may become known meanwhile.
fn pause(now_ms: i64, next_due_at_ms: Option<i64>) -> Duration {
    let Some(due_at_ms) = next_due_at_ms else {
        return LOOK_EVERY;
    };
    let wait_ms = u64::try_from(due_at_ms.saturating_sub(now_ms)).unwrap_or(0);
    Duration::from_millis(wait_ms).min(LOOK_EVERY)
}

/// Makes the attempts due to one webhook, one after the other, until one fails or
/// it is others' turn.
async fn tour(
    passkeys: Passkeys,
    sender: Sender,
    webhook_id: WebhookId,
    is_stopping: Arc<AtomicBool>,
) -> Result<u64, Fault> {
    for made in 0..TOUR_ATTEMPTS_MAX {
        if is_stopping.load(Ordering::Relaxed) {
            return Ok(made);
        }
        match visit(&passkeys, &sender, &webhook_id).await {
            Ok(Some(Outcome::Delivered(_))) => {}
            Ok(Some(Outcome::Gone | Outcome::Failed { .. })) => return Ok(made + 1),
            Ok(None) => return Ok(made),
            Err(fault) => {
                // Not the receiver's fault, and likely the same again at once.
                tokio::time::sleep(LOOK_EVERY).await;
                return Err(fault);
            }
        }
    }
    Ok(TOUR_ATTEMPTS_MAX)
}

/// Makes the next attempt that is due to a webhook, if there is one.
async fn visit(
    passkeys: &Passkeys,
    sender: &Sender,
    webhook_id: &WebhookId,
) -> Result<Option<Outcome>, Fault> {
    let Some(attempt) = passkeys.claim(webhook_id).await? else {
        return Ok(None);
    };
    let outcome = sender
        .send(&attempt, passkeys.platform.clock.now_ms())
        .await;
    tracing::debug!(%webhook_id, id = %attempt.id, attempt = attempt.number, ?outcome, "webhook called");
    passkeys.settle(&attempt, outcome).await?;
    Ok(Some(outcome))
}

/// To how many webhooks a node sends at once.
pub(super) const WEBHOOKS_AT_ONCE: u32 = 64;

/// After how many attempts a tour makes room, so that as many slow receivers as
/// there is room for delay others only for a while.
const TOUR_ATTEMPTS_MAX: u64 = 16;

const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_again_when_the_next_attempt_is_due_and_at_least_every_second() {
        for (next_due_at_ms, expected_ms) in [
            (None, 1_000),
            (Some(5_001), 1),
            (Some(5_420), 420),
            (Some(6_000), 1_000),
            (Some(i64::MAX), 1_000),
        ] {
            let expected = Duration::from_millis(expected_ms);
            assert_eq!(pause(5_000, next_due_at_ms), expected, "{next_due_at_ms:?}");
        }
    }
}
