//! The durable queue from events to webhooks, and the record of what left it.
//!
//! A delivery is one message to one webhook: the event as it was when it was
//! over. It is written in the transaction of its event, so nothing is lost and
//! nothing is told that did not happen; `worker` takes it from there, over as
//! many nodes as share the database. `retry` says when it is tried again.
//!
//! An attempt is claimed by one conditional statement that also starts a lease.
//! A node that dies leaves its lease to run out, and the message is sent again:
//! receivers get every message at least once.

mod retry;
mod sender;
mod worker;

use std::time::Duration;

use platform::{Fault, Row, Tx, Value, values};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use crate::{
    AppId, EventId, Failure, Passkeys, Refusal, WebhookId,
    events::{self, info::EventInfo},
    listing::{Paging, TextFilter},
    stored,
    times::time,
    webhooks::{self, WebhookEventType, signature::SigningKey},
};

/// A message to a webhook, and how far it got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// That of the event, which is also the message's: a receiver that gets it
    /// twice recognizes it by that.
    pub id: EventId,
    /// What the message is about.
    pub event_type: WebhookEventType,
    /// The body of the request, a JSON object.
    pub payload: String,
    /// How far it got.
    pub state: DeliveryState,
    /// How often it was sent, or begun to be.
    pub attempts: i64,
    /// When it is due, if it is pending.
    pub next_attempt_at_ms: Option<i64>,
    /// When it was last sent, or begun to be.
    pub last_attempt_at_ms: Option<i64>,
    /// The status of the last attempt's response, if one came.
    pub last_status: Option<i64>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<DeliveryError>,
    /// When the event was over.
    pub created_at_ms: i64,
    /// When the receiver accepted it.
    pub delivered_at_ms: Option<i64>,
}

/// How far a delivery got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// To be sent, or sent again.
    Pending,
    /// The receiver answered with a status of 200 to 299.
    Delivered,
    /// Every attempt failed, or the receiver said that it is gone.
    Failed,
}

/// Why an attempt failed. Coarse on purpose: whoever may create a webhook learns
/// nothing about the server's own network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryError {
    /// The URL leads to where messages must not be sent; nothing was sent.
    AddressNotAllowed,
    /// No connection was made or kept, the name has no address, or the certificate
    /// is not valid.
    ConnectionFailed,
    /// No response within the time.
    TimedOut,
    /// A response with another status than 200 to 299; redirects are not followed.
    StatusNotOk,
}

/// How messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// Whether webhooks may lead into private networks and to this machine, and
    /// need no https. Default: no.
    pub private_addresses: bool,
    /// How long an attempt may take, from the look-up of the name to the response.
    /// Default: 15 seconds.
    pub timeout: Duration,
}

impl Default for DeliverySettings {
    fn default() -> DeliverySettings {
        DeliverySettings {
            private_addresses: false,
            timeout: Duration::from_secs(15),
        }
    }
}

/// What a list of deliveries is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryQuery {
    paging: Paging,
    state: TextFilter,
}

/// One page of a list of deliveries, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries of the page.
    pub deliveries: Vec<Delivery>,
    /// How many there are on all pages.
    pub total: i64,
    /// The number of the page, from 1.
    pub page: i64,
    /// How many fit on a page.
    pub limit: i64,
    /// Only deliveries created before this second are on any page of this list.
    pub created_before_s: i64,
}

impl DeliveryQuery {
    /// Reads the decoded parameters of a query: those of paging, and `state`, with
    /// the operators of passkey-flex section b.6. Unknown ones are ignored.
    pub fn parse<N: AsRef<str>, T: AsRef<str>>(pairs: &[(N, T)]) -> Result<DeliveryQuery, Refusal> {
        let mut query = DeliveryQuery::default();
        for (name, text) in pairs {
            let (name, text) = (name.as_ref(), text.as_ref());
            if query.paging.take(name, text)? {
                continue;
            }
            if name == "state" {
                query.state.set_word(name, text)?;
                if query
                    .state
                    .equal()
                    .is_some_and(|word| !STATES.contains(&word))
                {
                    return Err(Refusal::InvalidRequest(format!(
                        "state is one of {}.",
                        STATES.join(", ")
                    )));
                }
            }
        }
        Ok(query)
    }
}

const STATES: [&str; 3] = ["delivered", "failed", "pending"];

/// Whether something was queued, so that the worker should look once the
/// transaction is committed.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Queued(bool);

impl Queued {
    pub(crate) const NOTHING: Queued = Queued(false);
}

/// Queues an event that is over for the webhooks that are told of it.
pub(crate) async fn queue(
    tx: &mut Tx,
    app_id: &AppId,
    event_id: &EventId,
    event_type: WebhookEventType,
    now_ms: i64,
) -> Result<Queued, Fault> {
    let subscribed = webhooks::list_subscribed(tx, app_id, event_type).await?;
    if subscribed.is_empty() {
        return Ok(Queued::NOTHING);
    }
    // A finish may outlive its event, when that is kept for less than the handshake lives.
    let Some(event) = events::find(tx, app_id, event_id).await? else {
        return Ok(Queued::NOTHING);
    };
    let payload = json!({
        "type": event_type,
        "timestamp": time(now_ms)?,
        "data": EventInfo::new(&event)?,
    })
    .to_string();
    for webhook_id in &subscribed {
        tx.execute(
            "INSERT INTO passkeys_deliveries (
                webhook_id, id, app_id, event_type, payload, sequence, state, attempts, failures,
                next_attempt_at_ms, leased_until_ms, created_at_ms
             ) VALUES (
                $1, $2, $3, $4, $5,
                (SELECT COALESCE(MAX(sequence), 0) + 1 FROM passkeys_deliveries
                 WHERE webhook_id = $1),
                'pending', 0, 0, $6, 0, $6
             )",
            values![
                webhook_id,
                event_id,
                app_id,
                event_type.as_str(),
                &payload,
                now_ms,
            ],
        )
        .await?;
    }
    Ok(Queued(true))
}

macro_rules! select_deliveries {
    ($rest:expr) => {
        concat!(
            "SELECT id, event_type, payload, state, attempts, next_attempt_at_ms,
                    last_attempt_at_ms, last_status, last_error, created_at_ms, delivered_at_ms
             FROM passkeys_deliveries WHERE ",
            $rest
        )
    };
}

macro_rules! conditions {
    () => {
        "webhook_id = $1 AND created_at_ms < $2 AND state IN ($3, $4, $5)"
    };
}

impl Passkeys {
    /// One page of a webhook's deliveries, the newest first.
    pub async fn list_deliveries(
        &self,
        app_id: &AppId,
        webhook_id: &WebhookId,
        query: &DeliveryQuery,
    ) -> Result<DeliveryPage, Failure> {
        let (app_id, webhook_id) = (app_id.clone(), webhook_id.clone());
        let (paging, state) = (query.paging.clone(), query.state.clone());
        let anchor_s = paging.anchor_s(self.platform.clock.now_ms());
        self.platform
            .db
            .read(async move |tx| {
                if webhooks::find(tx, &app_id, &webhook_id).await?.is_none() {
                    return Err(Failure::from(Refusal::WebhookNotFound));
                }
                let mut values = vec![
                    Value::from(&webhook_id),
                    Value::Int(anchor_s.saturating_mul(1_000)),
                ];
                values.extend(state.passing(STATES));
                let total = tx
                    .row(
                        concat!(
                            "SELECT COUNT(*) AS total FROM passkeys_deliveries WHERE ",
                            conditions!()
                        ),
                        &values,
                    )
                    .await?
                    .ok_or_else(|| Fault::new("a count has no row"))?
                    .get("total")?;
                values.extend([Value::Int(paging.limit), Value::Int(paging.offset())]);
                let rows = tx
                    .rows(
                        select_deliveries!(concat!(
                            conditions!(),
                            " ORDER BY sequence DESC, LOWER(id) DESC, id LIMIT $6 OFFSET $7"
                        )),
                        &values,
                    )
                    .await?;
                Ok(DeliveryPage {
                    deliveries: rows
                        .iter()
                        .map(Delivery::from_row)
                        .collect::<Result<_, _>>()?,
                    total,
                    page: paging.page,
                    limit: paging.limit,
                    created_before_s: anchor_s,
                })
            })
            .await
    }

    /// A delivery of a webhook.
    pub async fn find_delivery(
        &self,
        app_id: &AppId,
        webhook_id: &WebhookId,
        id: &EventId,
    ) -> Result<Delivery, Failure> {
        let (app_id, webhook_id, id) = (app_id.clone(), webhook_id.clone(), id.clone());
        self.platform
            .db
            .read(async move |tx| {
                if webhooks::find(tx, &app_id, &webhook_id).await?.is_none() {
                    return Err(Failure::from(Refusal::WebhookNotFound));
                }
                find(tx, &webhook_id, &id).await
            })
            .await
    }

    /// Sends a delivery again, whatever became of it: as soon as the webhook is
    /// enabled and no attempt is under way, and by the whole schedule.
    pub async fn redeliver(
        &self,
        app_id: &AppId,
        webhook_id: &WebhookId,
        id: &EventId,
    ) -> Result<Delivery, Failure> {
        let (app_id, webhook_id, id) = (app_id.clone(), webhook_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let delivery = self
            .platform
            .db
            .write(async move |tx| {
                if webhooks::find(tx, &app_id, &webhook_id).await?.is_none() {
                    return Err(Failure::from(Refusal::WebhookNotFound));
                }
                tx.execute(
                    "UPDATE passkeys_deliveries
                     SET state = 'pending', failures = 0, delivered_at_ms = NULL,
                         next_attempt_at_ms = CASE
                             WHEN leased_until_ms > $3 THEN leased_until_ms ELSE $3 END
                     WHERE webhook_id = $1 AND id = $2",
                    values![&webhook_id, &id, now_ms],
                )
                .await?;
                find(tx, &webhook_id, &id).await
            })
            .await?;
        self.deliveries_queued.notify_one();
        Ok(delivery)
    }

    /// Wakes the worker of this node, after the commit of what was queued.
    pub(crate) fn wake_for(&self, queued: Queued) {
        if queued.0 {
            self.deliveries_queued.notify_one();
        }
    }

    /// Deletes what was delivered a week ago, and what is older than its app keeps
    /// events and will not be sent.
    pub(crate) async fn sweep_deliveries(&self, now_ms: i64) -> Result<u64, Fault> {
        let db = &self.platform.db;
        let delivered = db
            .delete_expired(DELETE_DELIVERED, now_ms - DELIVERED_KEPT_MS)
            .await?;
        Ok(delivered + db.delete_expired(DELETE_OUTLIVED, now_ms).await?)
    }
}

async fn find(tx: &mut Tx, webhook_id: &WebhookId, id: &EventId) -> Result<Delivery, Failure> {
    let row = tx
        .row(
            select_deliveries!("webhook_id = $1 AND id = $2"),
            values![webhook_id, id],
        )
        .await?
        .ok_or(Refusal::DeliveryNotFound)?;
    Ok(Delivery::from_row(&row)?)
}

/// A claimed attempt: what to send, and what is needed to record its end.
#[derive(Debug)]
struct Attempt {
    webhook_id: WebhookId,
    url: String,
    /// The newest first.
    keys: Vec<SigningKey>,
    id: EventId,
    payload: String,
    /// Which one it is, from 1.
    number: i64,
    /// How many have failed since the schedule began.
    failures: i64,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The receiver accepted, with this status.
    Delivered(u16),
    /// The receiver said that it is gone for good (410).
    Gone,
    /// It did not work.
    Failed {
        error: DeliveryError,
        status: Option<u16>,
        /// What the receiver asked for.
        retry_after_ms: Option<i64>,
    },
}

/// The enabled webhooks with something due by then, the longest waiting first.
/// Each is one look into an index, however much is queued.
const LIST_DUE: &str = "SELECT id, due_at_ms FROM (
        SELECT w.id AS id, (
            SELECT MIN(d.next_attempt_at_ms) FROM passkeys_deliveries AS d
            WHERE d.webhook_id = w.id AND d.state = 'pending'
        ) AS due_at_ms
        FROM passkeys_webhooks AS w WHERE w.is_enabled = 1
    ) AS waiting
    WHERE due_at_ms <= $1 ORDER BY due_at_ms LIMIT $2";

/// Takes the longest due delivery of a webhook and leases it. Of two nodes that
/// choose the same one, the second finds it not due any more and gets nothing.
const CLAIM: &str = "UPDATE passkeys_deliveries
    SET attempts = attempts + 1, last_attempt_at_ms = $2, next_attempt_at_ms = $3,
        leased_until_ms = $3
    WHERE webhook_id = $1 AND state = 'pending' AND next_attempt_at_ms <= $2
      AND id = (
          SELECT d.id FROM passkeys_deliveries AS d
          WHERE d.webhook_id = $1 AND d.state = 'pending' AND d.next_attempt_at_ms <= $2
          ORDER BY d.next_attempt_at_ms, d.sequence LIMIT 1
      )
      AND EXISTS (SELECT 1 FROM passkeys_webhooks AS w WHERE w.id = $1 AND w.is_enabled = 1)
    RETURNING id, payload, attempts, failures";

/// Records an attempt's end, unless its lease ran out and another attempt began.
const SETTLE: &str = "UPDATE passkeys_deliveries
    SET state = $4, next_attempt_at_ms = $5, failures = $6, last_status = $7, last_error = $8,
        delivered_at_ms = $9, leased_until_ms = 0
    WHERE webhook_id = $1 AND id = $2 AND attempts = $3 AND state = 'pending'";

impl Passkeys {
    /// Some webhooks with something due by `until_ms`, and since when or from when on.
    async fn list_due(&self, until_ms: i64) -> Result<Vec<(WebhookId, i64)>, Fault> {
        self.platform
            .db
            .read(async move |tx| {
                tx.rows(LIST_DUE, values![until_ms, worker::WEBHOOKS_AT_ONCE])
                    .await?
                    .iter()
                    .map(|row| Ok((row.get("id")?, row.get("due_at_ms")?)))
                    .collect()
            })
            .await
    }

    /// Claims the next attempt of a webhook; nothing when none is due, or another
    /// node was quicker.
    async fn claim(&self, webhook_id: &WebhookId) -> Result<Option<Attempt>, Fault> {
        let now_ms = self.platform.clock.now_ms();
        let timeout_ms = i64::try_from(self.delivery.timeout.as_millis()).unwrap_or(i64::MAX);
        let lease_until_ms = now_ms
            .saturating_add(timeout_ms)
            .saturating_add(LEASE_BEYOND_TIMEOUT_MS);
        let id = webhook_id.clone();
        let claimed = self
            .platform
            .db
            .write(async move |tx| {
                let Some(claimed) = tx.row(CLAIM, values![&id, now_ms, lease_until_ms]).await?
                else {
                    return Ok(None);
                };
                let webhook = tx
                    .row(
                        "SELECT url, secret, previous_secret, previous_secret_expires_at_ms
                         FROM passkeys_webhooks WHERE id = $1",
                        values![&id],
                    )
                    .await?;
                Ok::<_, Fault>(webhook.map(|webhook| (claimed, webhook)))
            })
            .await?;
        let Some((claimed, webhook)) = claimed else {
            return Ok(None);
        };
        Ok(Some(Attempt {
            webhook_id: webhook_id.clone(),
            url: webhook.get("url")?,
            keys: self.open_keys(webhook_id, &webhook, now_ms)?,
            id: claimed.get("id")?,
            payload: claimed.get("payload")?,
            number: claimed.get("attempts")?,
            failures: claimed.get("failures")?,
        }))
    }

    /// Records how an attempt ended, and when the next one is due.
    async fn settle(&self, attempt: &Attempt, outcome: Outcome) -> Result<(), Fault> {
        let now_ms = self.platform.clock.now_ms();
        let jitter = u16::from_be_bytes(self.platform.entropy.bytes());
        let failures = match outcome {
            Outcome::Delivered(_) => 0,
            Outcome::Gone | Outcome::Failed { .. } => attempt.failures + 1,
        };
        let delay_ms = match outcome {
            Outcome::Failed { retry_after_ms, .. } => {
                retry::delay_ms(failures, jitter, retry_after_ms)
            }
            Outcome::Delivered(_) | Outcome::Gone => None,
        };
        let state = match (outcome, delay_ms) {
            (Outcome::Delivered(_), _) => DeliveryState::Delivered,
            (_, Some(_)) => DeliveryState::Pending,
            (_, None) => DeliveryState::Failed,
        };
        let (status, error) = match outcome {
            Outcome::Delivered(status) => (Some(status), None),
            Outcome::Gone => (Some(GONE), Some(DeliveryError::StatusNotOk)),
            Outcome::Failed { error, status, .. } => (status, Some(error)),
        };
        let (webhook_id, id) = (attempt.webhook_id.clone(), attempt.id.clone());
        let number = attempt.number;
        self.platform
            .db
            .write(async move |tx| {
                let settled = tx
                    .execute(
                        SETTLE,
                        values![
                            &webhook_id,
                            &id,
                            number,
                            stored::word(state),
                            now_ms + delay_ms.unwrap_or(0),
                            failures,
                            status.map(i32::from),
                            error.map(stored::word),
                            (state == DeliveryState::Delivered).then_some(now_ms),
                        ],
                    )
                    .await?;
                if settled == 1 && outcome == Outcome::Gone {
                    webhooks::disable(tx, &webhook_id, now_ms).await?;
                }
                Ok::<_, Fault>(())
            })
            .await
    }
}

impl Delivery {
    fn from_row(row: &Row) -> Result<Delivery, Fault> {
        let state = stored::word_of(row, "state")?;
        let next_attempt_at_ms = row.get("next_attempt_at_ms")?;
        Ok(Delivery {
            id: row.get("id")?,
            event_type: stored::word_of(row, "event_type")?,
            payload: row.get("payload")?,
            state,
            attempts: row.get("attempts")?,
            next_attempt_at_ms: (state == DeliveryState::Pending).then_some(next_attempt_at_ms),
            last_attempt_at_ms: row.get("last_attempt_at_ms")?,
            last_status: row.get("last_status")?,
            last_error: stored::optional_word_of(row, "last_error")?,
            created_at_ms: row.get("created_at_ms")?,
            delivered_at_ms: row.get("delivered_at_ms")?,
        })
    }

    /// The payload as JSON.
    pub(crate) fn payload(&self) -> Result<Json, Fault> {
        serde_json::from_str(&self.payload)
            .map_err(|error| Fault::while_doing("reading a stored payload", error))
    }
}

/// Deletes a batch: `$1` is the time of delivery, `$2` the number of rows.
const DELETE_DELIVERED: &str = "DELETE FROM passkeys_deliveries WHERE (webhook_id, id) IN (
    SELECT webhook_id, id FROM passkeys_deliveries
    WHERE state = 'delivered' AND delivered_at_ms <= $1 LIMIT $2
)";

/// Deletes a batch: `$1` is the time now, `$2` the number of rows. A payload holds
/// what its event holds, so it goes with it, unless it is still to be sent.
const DELETE_OUTLIVED: &str = "DELETE FROM passkeys_deliveries WHERE (webhook_id, id) IN (
    SELECT d.webhook_id, d.id FROM passkeys_apps AS a CROSS JOIN passkeys_deliveries AS d
    WHERE d.app_id = a.id AND d.created_at_ms <= $1 - a.event_retention_ms
      AND (d.state <> 'pending' OR NOT EXISTS (
          SELECT 1 FROM passkeys_webhooks AS w WHERE w.id = d.webhook_id AND w.is_enabled = 1
      ))
    LIMIT $2
)";

const DELIVERED_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1_000;

/// How long a lease outlasts the attempt's time-out: for recording its end, and
/// for clocks of nodes that differ.
const LEASE_BEYOND_TIMEOUT_MS: i64 = 15_000;

/// The status of a resource that is gone for good (RFC 9110 section 15.5.11).
const GONE: u16 = 410;
