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
    /// It looks at once when this node has queued something, and every second for
    /// what is due again, what other nodes left, and what a sub-command asked for.
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
            if let Err(fault) = courier.set_out().await {
                tracing::error!(%fault, "what is due to webhooks could not be found");
                tokio::select! {
                    () = &mut stop => break,
                    () = tokio::time::sleep(LOOK_EVERY) => continue,
                }
            }
            tokio::select! {
                () = &mut stop => break,
                () = self.deliveries_queued.notified() => {}
                Some(ended) = courier.next_return() => log_fault(ended),
                () = tokio::time::sleep(LOOK_EVERY) => {}
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

    /// Starts a tour to each webhook with something due, as far as there is room.
    async fn set_out(&mut self) -> Result<(), Fault> {
        for webhook_id in self.passkeys.list_due().await? {
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
        Ok(())
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
