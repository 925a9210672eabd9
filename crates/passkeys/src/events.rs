//! What happened to whom: one event for every ceremony, from its start to its
//! end (passkey-flex sections a.3 and b.9), and one for each change that the
//! customer made to a user or device.
//!
//! An event is written in the transaction of what it is about, so the history
//! neither lacks what happened nor tells what did not; what webhooks tell of it
//! is queued there, too. The reason of a denial is recorded here and in the log,
//! and told to operators only.

pub(crate) mod info;

use platform::{Fault, Row, Tx, Value, values};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AppId, DeviceId, EventId, Passkeys, Refusal, UserId,
    caller::{Caller, user_agent_display},
    ceremonies::Ceremony,
    deliveries::{self, Queued},
    handshakes::Handshake,
    ids::{HandshakeId, TransactionId},
    listing::{
        NumberFilter, Order, Paging, TextFilter, id_order, number_condition, text_condition,
    },
    nonces::FinishedCeremony,
    stored,
    users::{User, set_identifier},
    webhooks::WebhookEventType,
};

/// An event, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Identifies it.
    pub id: EventId,
    /// What it is about.
    pub event_type: EventType,
    /// The user's external id. In a ceremony with a transaction that of the transaction,
    /// whoever tried; without one not known until a signature proved whose passkey it is.
    pub external_id: Option<String>,
    /// The user, who may have been deleted since. Known as the external id is.
    pub user_id: Option<UserId>,
    /// The device that was made or used, once that was proved.
    pub device_id: Option<DeviceId>,
    /// The transaction; none for a discoverable login, or outside a ceremony.
    pub transaction_id: Option<TransactionId>,
    /// Where the browser or app was; empty when not known, or outside a ceremony.
    pub ip_addr: String,
    /// What the browser or app called itself; empty when it did not.
    pub user_agent: String,
    /// The signature counter did not grow, which may mean that the credential was copied.
    pub counter_not_increased: bool,
    /// Why the ceremony was denied, by the names of webauthn-checks section 1, or
    /// `stored_credential_damaged`, which is nobody's fault but ours. For operators only.
    pub failure_code: Option<String>,
    /// When the ceremony started, or the change was made.
    pub created_at_ms: i64,
    /// When it was complete; none while it is not, or when it was denied.
    pub completed_at_ms: Option<i64>,
}

/// What an event is about: a ceremony, or what a customer did (passkey-flex
/// section b.7, where further types are ours to name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A registration.
    PasskeyRegister,
    /// An authentication with a transaction.
    PasskeyLogin,
    /// An authentication without one.
    PasskeyLoginDiscoverable,
    /// A device was revoked.
    DeviceRevoked,
    /// A deactivated user was activated.
    UserActivated,
    /// A user was deactivated.
    UserDeactivated,
    /// A user was deleted, with all devices.
    UserDeleted,
}

impl EventType {
    pub(crate) fn of(ceremony: Ceremony, is_discoverable: bool) -> EventType {
        match (ceremony, is_discoverable) {
            (Ceremony::Registration, _) => EventType::PasskeyRegister,
            (Ceremony::Authentication, false) => EventType::PasskeyLogin,
            (Ceremony::Authentication, true) => EventType::PasskeyLoginDiscoverable,
        }
    }

    /// `register`, `login` or `other`.
    pub fn action(self) -> &'static str {
        match self {
            EventType::PasskeyRegister => "register",
            EventType::PasskeyLogin | EventType::PasskeyLoginDiscoverable => "login",
            EventType::DeviceRevoked
            | EventType::UserActivated
            | EventType::UserDeactivated
            | EventType::UserDeleted => "other",
        }
    }
}

impl Event {
    /// The user agent in words; empty when unknown.
    pub fn user_agent_display(&self) -> String {
        user_agent_display(&self.user_agent)
    }

    fn from_row(row: &Row) -> Result<Event, Fault> {
        Ok(Event {
            id: row.get("id")?,
            event_type: stored::word_of(row, "type")?,
            external_id: row.get("external_id")?,
            user_id: row.get("user_id")?,
            device_id: row.get("device_id")?,
            transaction_id: row.get("transaction_id")?,
            ip_addr: row.get("ip_addr")?,
            user_agent: row.get("user_agent")?,
            counter_not_increased: row.get("counter_not_increased")?,
            failure_code: row.get("failure_code")?,
            created_at_ms: row.get("created_at_ms")?,
            completed_at_ms: row.get("completed_at_ms")?,
        })
    }
}

/// What a list of events is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    pub(crate) paging: Paging,
    order: Option<Order<{ ORDER_FIELDS.len() }>>,
    identifier: Option<String>,
    id: TextFilter,
    user_id: TextFilter,
    event_type: TextFilter,
    ip_addr: TextFilter,
    user_agent: TextFilter,
    created_at: NumberFilter,
}

/// One page of a list of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The events of the page.
    pub events: Vec<Event>,
    /// How many there are on all pages.
    pub total: i64,
    /// The number of the page, from 1.
    pub page: i64,
    /// How many fit on a page.
    pub limit: i64,
    /// Only events created before this second are on any page of this list.
    pub created_before_s: i64,
}

impl EventQuery {
    /// Reads the decoded parameters of a query, in the spelling of passkey-flex
    /// sections b.6 and b.9; unknown ones are ignored. Refuses a value that
    /// cannot be meant. `identifier` is the external id itself, without operators.
    pub fn parse<N: AsRef<str>, T: AsRef<str>>(pairs: &[(N, T)]) -> Result<EventQuery, Refusal> {
        let mut query = EventQuery::default();
        for (name, text) in pairs {
            let (name, text) = (name.as_ref(), text.as_ref());
            if query.paging.take(name, text)? {
                continue;
            }
            match name {
                "order_by" => query.order = Some(Order::parse(text, ORDER_FIELDS)?),
                "identifier" => set_identifier(&mut query.identifier, text)?,
                "id" => query.id.set_id(name, text)?,
                "user_id" => query.user_id.set_id(name, text)?,
                "type" => query.event_type.set_word(name, text)?,
                "ip_addr" => query.ip_addr.set_free(name, text)?,
                "user_agent" => query.user_agent.set_free(name, text)?,
                "created_at" => query.created_at.add_time(name, text)?,
                _ => {}
            }
        }
        Ok(query)
    }

    /// The key that an index narrows the list by, and the statements that use it.
    fn narrowed(&self) -> (&str, &'static Statements) {
        match (self.id.equal(), self.user_id.equal()) {
            (Some(id), _) => (id, &BY_ID),
            (None, Some(user_id)) => (user_id, &OF_USER),
            (None, None) => ("", &OF_ALL),
        }
    }

    fn has_filters(&self) -> bool {
        let bare = EventQuery {
            paging: self.paging.clone(),
            order: self.order.clone(),
            ..EventQuery::default()
        };
        *self != bare
    }

    /// The values of the macro `conditions`, from `$1`.
    pub(crate) fn values(&self, app_id: &AppId, anchor_s: i64) -> Vec<Value> {
        let identifier = self
            .identifier
            .as_deref()
            .map(TextFilter::literally)
            .unwrap_or_default();
        let mut values = vec![
            Value::from(app_id),
            Value::Int(anchor_s.saturating_mul(1_000)),
            Value::from(self.narrowed().0),
        ];
        for filter in [
            &self.id,
            &self.user_id,
            &identifier,
            &self.ip_addr,
            &self.user_agent,
        ] {
            values.extend(filter.values());
        }
        values.extend(self.event_type.passing(TYPES));
        values.extend(self.created_at.values());
        values
    }
}

/// Events of an app by the values of an [`EventQuery`]; `$narrow` is the
/// condition that an index serves.
macro_rules! conditions {
    ($narrow:literal) => {
        concat!(
            " FROM passkeys_events WHERE app_id = $1 AND created_at_ms < $2 AND ",
            $narrow,
            " AND ",
            text_condition!("id", "$4", "$5"),
            " AND ",
            text_condition!("COALESCE(user_id, '')", "$6", "$7"),
            " AND ",
            text_condition!("COALESCE(external_id, '')", "$8", "$9"),
            " AND ",
            text_condition!("ip_addr", "$10", "$11"),
            " AND ",
            text_condition!("user_agent", "$12", "$13"),
            " AND type IN ($14, $15, $16, $17, $18, $19, $20) AND ",
            number_condition!("created_at_ms", "$21", "$22", "$23")
        )
    };
}

/// The column of one place of an order, in the sequence of [`ORDER_FIELDS`] and [`TYPES`].
macro_rules! place {
    ($place:literal) => {
        concat!(
            "CASE CAST(",
            $place,
            " AS BIGINT)
             WHEN 1 THEN created_at_ms WHEN -1 THEN -created_at_ms
             WHEN 2 THEN CASE type WHEN 'device_revoked' THEN 1 WHEN 'passkey_login' THEN 2
                 WHEN 'passkey_login_discoverable' THEN 3 WHEN 'passkey_register' THEN 4
                 WHEN 'user_activated' THEN 5 WHEN 'user_deactivated' THEN 6 ELSE 7 END
             WHEN -2 THEN CASE type WHEN 'device_revoked' THEN 7 WHEN 'passkey_login' THEN 6
                 WHEN 'passkey_login_discoverable' THEN 5 WHEN 'passkey_register' THEN 4
                 WHEN 'user_activated' THEN 3 WHEN 'user_deactivated' THEN 2 ELSE 1 END
             ELSE 0 END, "
        )
    };
}

macro_rules! select_events {
    ($from:expr) => {
        concat!(
            "SELECT id, type, external_id, user_id, device_id, transaction_id, ip_addr, user_agent,
                    counter_not_increased, failure_code, created_at_ms, completed_at_ms",
            $from
        )
    };
}

const ORDER_FIELDS: [&str; 2] = ["created_at", "type"];
const TYPES: [&str; 7] = [
    "device_revoked",
    "passkey_login",
    "passkey_login_discoverable",
    "passkey_register",
    "user_activated",
    "user_deactivated",
    "user_deleted",
];

/// The three statements of a list: the page newest first, the page in the order
/// asked for, and the number of all.
struct Statements {
    newest: &'static str,
    ordered: &'static str,
    count: &'static str,
}

macro_rules! statements {
    ($narrow:literal) => {
        Statements {
            newest: concat!(
                select_events!(conditions!($narrow)),
                " ORDER BY created_at_ms DESC, LOWER(id) DESC, id LIMIT $24 OFFSET $25"
            ),
            ordered: concat!(
                select_events!(conditions!($narrow)),
                " ORDER BY ",
                place!("$26"),
                place!("$27"),
                id_order!("$28"),
                " LIMIT $24 OFFSET $25"
            ),
            count: concat!("SELECT COUNT(*) AS total", conditions!($narrow)),
        }
    };
}

static OF_ALL: Statements = statements!("CAST($3 AS TEXT) = ''");
static OF_USER: Statements = statements!("user_id = $3");
static BY_ID: Statements = statements!("id = $3");

/// The number of all without looking at any row: an index knows it.
const COUNT_ALL: &str =
    "SELECT COUNT(*) AS total FROM passkeys_events WHERE app_id = $1 AND created_at_ms < $2";

impl Passkeys {
    /// One page of an app's events, the newest first unless the query says otherwise.
    pub async fn list_events(
        &self,
        app_id: &AppId,
        query: &EventQuery,
    ) -> Result<EventPage, Fault> {
        let (app_id, query) = (app_id.clone(), query.clone());
        let anchor_s = query.paging.anchor_s(self.platform.clock.now_ms());
        self.platform
            .db
            .read(async move |tx| {
                let paging = &query.paging;
                let (_, statements) = query.narrowed();
                let mut values = query.values(&app_id, anchor_s);
                let count = match query.has_filters() {
                    true => tx.row(statements.count, &values).await?,
                    false => tx.row(COUNT_ALL, &values[..2]).await?,
                };
                let total = count
                    .ok_or_else(|| Fault::new("a count has no row"))?
                    .get("total")?;
                values.extend([Value::Int(paging.limit), Value::Int(paging.offset())]);
                let rows = match &query.order {
                    None => tx.rows(statements.newest, &values).await?,
                    Some(order) => {
                        values.extend(order.values());
                        tx.rows(statements.ordered, &values).await?
                    }
                };
                Ok(EventPage {
                    events: rows.iter().map(Event::from_row).collect::<Result<_, _>>()?,
                    total,
                    page: paging.page,
                    limit: paging.limit,
                    created_before_s: anchor_s,
                })
            })
            .await
    }

    /// The event of this id, if there is one.
    pub async fn find_event(&self, app_id: &AppId, id: &EventId) -> Result<Option<Event>, Fault> {
        let (app_id, id) = (app_id.clone(), id.clone());
        self.platform
            .db
            .read(async move |tx| find(tx, &app_id, &id).await)
            .await
    }
}

pub(crate) async fn find(
    tx: &mut Tx,
    app_id: &AppId,
    id: &EventId,
) -> Result<Option<Event>, Fault> {
    tx.row(
        select_events!(" FROM passkeys_events WHERE id = $1 AND app_id = $2"),
        values![id, app_id],
    )
    .await?
    .as_ref()
    .map(Event::from_row)
    .transpose()
}

/// The last events of a user, the newest first.
pub(crate) async fn list_recent(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
) -> Result<Vec<Event>, Fault> {
    tx.rows(
        select_events!(
            " FROM passkeys_events WHERE app_id = $1 AND user_id = $2
             ORDER BY created_at_ms DESC, LOWER(id) DESC, id LIMIT $3"
        ),
        values![app_id, user_id, RECENT],
    )
    .await?
    .iter()
    .map(Event::from_row)
    .collect()
}

/// Records the start of a ceremony; `user` is whose it is, when that is known.
pub(crate) async fn start(
    tx: &mut Tx,
    app_id: &AppId,
    handshake: &Handshake,
    user: Option<&User>,
    caller: &Caller,
) -> Result<(), Fault> {
    let event = Event {
        id: EventId::from(&handshake.id),
        event_type: EventType::of(handshake.ceremony, handshake.transaction_id.is_none()),
        external_id: user.map(|user| user.external_id.clone()),
        user_id: user.map(|user| user.id.clone()),
        device_id: None,
        transaction_id: handshake.transaction_id.clone(),
        ip_addr: caller.ip_addr.clone(),
        user_agent: caller.user_agent.clone(),
        counter_not_increased: false,
        failure_code: None,
        created_at_ms: handshake.created_at_ms,
        completed_at_ms: None,
    };
    insert(tx, app_id, &event).await
}

/// Records that the ceremony of a handshake is complete.
pub(crate) async fn complete(
    tx: &mut Tx,
    app_id: &AppId,
    handshake: &Handshake,
    finished: &FinishedCeremony,
    counter_not_increased: bool,
) -> Result<Queued, Fault> {
    tx.execute(
        "UPDATE passkeys_events
         SET completed_at_ms = $3, device_id = $4, counter_not_increased = $5
         WHERE id = $1 AND app_id = $2",
        values![
            &handshake.id,
            app_id,
            finished.finished_at_ms,
            &finished.device_id,
            counter_not_increased,
        ],
    )
    .await?;
    // Else the event knows its user already, and the index by user is left alone.
    if handshake.user_id.is_none() {
        tx.execute(
            "UPDATE passkeys_events SET external_id = $3, user_id = $4
             WHERE id = $1 AND app_id = $2",
            values![
                &handshake.id,
                app_id,
                &finished.external_id,
                &finished.user_id,
            ],
        )
        .await?;
    }
    let event_type = EventType::of(finished.ceremony, finished.transaction_id.is_none());
    deliveries::queue(
        tx,
        app_id,
        &EventId::from(&handshake.id),
        WebhookEventType::of(event_type, false),
        finished.finished_at_ms,
    )
    .await
}

/// A finish that was denied.
#[derive(Debug)]
pub(crate) struct Failed<'a> {
    /// For the event of a finish that belongs to no open event.
    pub(crate) event_id: &'a EventId,
    pub(crate) handshake_id: &'a HandshakeId,
    pub(crate) event_type: EventType,
    pub(crate) failure_code: &'static str,
    /// Who it was, when that was proved before the denial.
    pub(crate) proved: Option<&'a Proved>,
    pub(crate) caller: &'a Caller,
    pub(crate) now_ms: i64,
}

/// Whose credential signed.
#[derive(Clone, Debug)]
pub(crate) struct Proved {
    pub(crate) user_id: UserId,
    pub(crate) external_id: String,
    pub(crate) device_id: DeviceId,
}

/// Records why a finish was denied: on the event of its handshake, or, when
/// that one has its outcome already or there is none, as an event of its own.
pub(crate) async fn fail(
    tx: &mut Tx,
    app_id: &AppId,
    failed: &Failed<'_>,
) -> Result<Queued, Fault> {
    let changed = tx
        .execute(
            "UPDATE passkeys_events
             SET failure_code = $3, external_id = COALESCE(external_id, $4),
                 user_id = COALESCE(user_id, $5), device_id = $6
             WHERE id = $1 AND app_id = $2 AND completed_at_ms IS NULL AND failure_code IS NULL",
            values![
                failed.handshake_id,
                app_id,
                failed.failure_code,
                failed.proved.map(|proved| proved.external_id.as_str()),
                failed.proved.map(|proved| &proved.user_id),
                failed.proved.map(|proved| &proved.device_id),
            ],
        )
        .await?;
    let message_type = WebhookEventType::of(failed.event_type, true);
    if changed == 1 {
        let id = EventId::from(failed.handshake_id);
        return deliveries::queue(tx, app_id, &id, message_type, failed.now_ms).await;
    }
    let event = Event {
        id: failed.event_id.clone(),
        event_type: failed.event_type,
        external_id: None,
        user_id: None,
        device_id: None,
        transaction_id: None,
        ip_addr: failed.caller.ip_addr.clone(),
        user_agent: failed.caller.user_agent.clone(),
        counter_not_increased: false,
        failure_code: Some(failed.failure_code.to_owned()),
        created_at_ms: failed.now_ms,
        completed_at_ms: None,
    };
    insert(tx, app_id, &event).await?;
    deliveries::queue(tx, app_id, &event.id, message_type, failed.now_ms).await
}

/// What a customer did to a user or a device of a user.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// A fresh one.
    pub(crate) id: &'a EventId,
    pub(crate) event_type: EventType,
    pub(crate) user_id: &'a UserId,
    pub(crate) external_id: &'a str,
    pub(crate) device_id: Option<&'a DeviceId>,
    pub(crate) now_ms: i64,
}

/// Records a change. Nobody's address or user agent is known: the customer's
/// server called.
pub(crate) async fn change(
    tx: &mut Tx,
    app_id: &AppId,
    change: &Change<'_>,
) -> Result<Queued, Fault> {
    let event = Event {
        id: change.id.clone(),
        event_type: change.event_type,
        external_id: Some(change.external_id.to_owned()),
        user_id: Some(change.user_id.clone()),
        device_id: change.device_id.cloned(),
        transaction_id: None,
        ip_addr: String::new(),
        user_agent: String::new(),
        counter_not_increased: false,
        failure_code: None,
        created_at_ms: change.now_ms,
        completed_at_ms: Some(change.now_ms),
    };
    insert(tx, app_id, &event).await?;
    let message_type = WebhookEventType::of(change.event_type, false);
    deliveries::queue(tx, app_id, &event.id, message_type, change.now_ms).await
}

async fn insert(tx: &mut Tx, app_id: &AppId, event: &Event) -> Result<(), Fault> {
    tx.execute(
        "INSERT INTO passkeys_events (
            id, app_id, type, external_id, user_id, device_id, transaction_id, ip_addr, user_agent,
            counter_not_increased, failure_code, created_at_ms, completed_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        values![
            &event.id,
            app_id,
            stored::word(event.event_type),
            &event.external_id,
            event.user_id.as_ref(),
            event.device_id.as_ref(),
            event.transaction_id.as_ref(),
            &event.ip_addr,
            &event.user_agent,
            event.counter_not_increased,
            &event.failure_code,
            event.created_at_ms,
            event.completed_at_ms,
        ],
    )
    .await?;
    Ok(())
}

/// Deletes a batch of what is older than its app keeps: `$1` is the time now,
/// `$2` the number of rows. `CROSS JOIN` makes SQLite go from the apps to the
/// old end of their events, instead of through all events.
pub(crate) const DELETE_EXPIRED: &str = "DELETE FROM passkeys_events WHERE id IN (
    SELECT e.id FROM passkeys_apps AS a CROSS JOIN passkeys_events AS e
    WHERE e.app_id = a.id AND e.created_at_ms <= $1 - a.event_retention_ms
    LIMIT $2
)";

/// How many events a user's details show.
const RECENT: i64 = 20;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_the_types_are_those_that_lists_filter_by() {
        for (event_type, word) in [
            (
                EventType::of(Ceremony::Registration, false),
                "passkey_register",
            ),
            (
                EventType::of(Ceremony::Authentication, false),
                "passkey_login",
            ),
            (
                EventType::of(Ceremony::Authentication, true),
                "passkey_login_discoverable",
            ),
            (EventType::DeviceRevoked, "device_revoked"),
            (EventType::UserActivated, "user_activated"),
            (EventType::UserDeactivated, "user_deactivated"),
            (EventType::UserDeleted, "user_deleted"),
        ] {
            assert_eq!(json!(event_type), word);
            assert!(TYPES.contains(&word));
        }
    }
}
