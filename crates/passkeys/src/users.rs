//! A user of an app, known to the customer by an external id and to this
//! product by an id of its own.

use platform::{Fault, Row, Tx, Value, values};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    AppId, Device, Event, EventId, EventType, Failure, Passkeys, Refusal, UserId,
    deliveries::Queued,
    devices,
    events::{self, Change},
    import,
    listing::{
        NumberFilter, Order, Paging, TextFilter, id_order, number_condition, text_condition,
    },
    stored,
};

/// The customer's own, unchanging identifier of a user: 1 to 256 bytes, unique
/// within the app (passkey-flex sections a and b.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExternalId(String);

impl ExternalId {
    pub(crate) fn parse(text: &str) -> Result<ExternalId, Refusal> {
        // PostgreSQL holds no NUL in a text.
        if text.is_empty() || text.len() > EXTERNAL_ID_BYTES_MAX || text.contains('\0') {
            return Err(Refusal::InvalidRequest(format!(
                "external_id must have 1 to {EXTERNAL_ID_BYTES_MAX} bytes and no NUL."
            )));
        }
        Ok(ExternalId(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A user, as stored (passkey-flex section b.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Our own id of the user, unique within the app.
    pub id: UserId,
    /// The customer's id of the user, unique within the app.
    pub external_id: String,
    /// Where the user is in its life.
    pub status: UserStatus,
    /// How many authentications verified; registrations are not counted.
    pub login_count: i64,
    /// When the first registration started.
    pub created_at_ms: i64,
    /// When anything of this record last changed.
    pub updated_at_ms: i64,
    /// When the last authentication verified; until then the time of creation.
    pub last_login_at_ms: i64,
}

/// A user with all that belongs to it.
#[derive(Clone, Debug)]
pub struct UserDetails {
    /// The user.
    pub user: User,
    /// The user's devices, the oldest first.
    pub devices: Vec<Device>,
    /// The last 20 events, the newest first.
    pub recent_events: Vec<Event>,
}

/// What a list of users is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserQuery {
    pub(crate) paging: Paging,
    order: Option<Order<{ ORDER_FIELDS.len() }>>,
    identifier: Option<String>,
    id: TextFilter,
    status: TextFilter,
    login_count: NumberFilter,
    created_at: NumberFilter,
    updated_at: NumberFilter,
    last_login_at: NumberFilter,
}

/// One page of a list of users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPage {
    /// The users of the page.
    pub users: Vec<User>,
    /// How many there are on all pages.
    pub total: i64,
    /// The number of the page, from 1.
    pub page: i64,
    /// How many fit on a page.
    pub limit: i64,
    /// Only users created before this second are on any page of this list.
    pub created_before_s: i64,
}

/// Where a user is in its life (passkey-flex section a.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// Created by the start of a registration; no passkey was stored yet.
    Pending,
    /// Has had a passkey.
    Active,
    /// Deactivated by the customer.
    Inactive,
}

impl UserQuery {
    /// Reads the decoded parameters of a query, in the spelling of passkey-flex
    /// section b.6; unknown ones are ignored. Refuses a value that cannot be meant.
    ///
    /// `identifier` is always the external id itself, without operators: it may
    /// be what a stranger typed, and SDKs take the first user of the answer.
    pub fn parse<N: AsRef<str>, T: AsRef<str>>(pairs: &[(N, T)]) -> Result<UserQuery, Refusal> {
        let mut query = UserQuery::default();
        for (name, text) in pairs {
            let (name, text) = (name.as_ref(), text.as_ref());
            if query.paging.take(name, text)? {
                continue;
            }
            match name {
                "order_by" => query.order = Some(Order::parse(text, ORDER_FIELDS)?),
                "identifier" => set_identifier(&mut query.identifier, text)?,
                "id" => query.id.set_id(name, text)?,
                "status" => {
                    query.status.set_word(name, text)?;
                    if query
                        .status
                        .equal()
                        .is_some_and(|word| !STATUSES.contains(&word))
                    {
                        return Err(Refusal::InvalidRequest(
                            "status is one of active, inactive and pending.".into(),
                        ));
                    }
                }
                "login_count" => query.login_count.add_number(name, text)?,
                "created_at" => query.created_at.add_time(name, text)?,
                "updated_at" => query.updated_at.add_time(name, text)?,
                "last_login_at" => query.last_login_at.add_time(name, text)?,
                _ => {}
            }
        }
        Ok(query)
    }

    /// The unique key of the one user that can be meant, if any, and the
    /// statement that finds the user by it.
    fn key(&self) -> Option<(&str, &'static str)> {
        let external_id = self.identifier.as_deref().map(|key| (key, BY_EXTERNAL_ID));
        external_id.or_else(|| self.id.equal().map(|key| (key, BY_ID)))
    }

    fn has_filters(&self) -> bool {
        let bare = UserQuery {
            paging: self.paging.clone(),
            order: self.order.clone(),
            ..UserQuery::default()
        };
        *self != bare
    }

    /// The values of the macro `conditions`, from `$1`.
    pub(crate) fn values(&self, app_id: &AppId, anchor_s: i64) -> Vec<Value> {
        let mut values = vec![
            Value::from(app_id),
            Value::Int(anchor_s.saturating_mul(1_000)),
            Value::from(self.key().map_or("", |(key, _)| key)),
        ];
        values.extend(self.id.values());
        values.extend(self.status.passing(STATUSES));
        for filter in [
            &self.login_count,
            &self.created_at,
            &self.updated_at,
            &self.last_login_at,
        ] {
            values.extend(filter.values());
        }
        values
    }
}

/// Reads an `identifier`: one text that is not empty. An empty one is refused
/// and not ignored, or an SDK would take a stranger for the user.
pub(crate) fn set_identifier(identifier: &mut Option<String>, text: &str) -> Result<(), Refusal> {
    if text.is_empty() || identifier.is_some() {
        return Err(Refusal::InvalidRequest(
            "identifier must be given once and not be empty.".into(),
        ));
    }
    *identifier = Some(text.to_owned());
    Ok(())
}

/// Users of an app by the values of a [`UserQuery`]; `$narrow` is the condition
/// that an index serves.
macro_rules! conditions {
    ($narrow:literal) => {
        concat!(
            " FROM passkeys_users WHERE app_id = $1 AND created_at_ms < $2 AND ",
            $narrow,
            " AND ",
            text_condition!("id", "$4", "$5"),
            " AND status IN ($6, $7, $8) AND ",
            number_condition!("login_count", "$9", "$10", "$11"),
            " AND ",
            number_condition!("created_at_ms", "$12", "$13", "$14"),
            " AND ",
            number_condition!("updated_at_ms", "$15", "$16", "$17"),
            " AND ",
            number_condition!("last_login_at_ms", "$18", "$19", "$20")
        )
    };
}

/// The column of one place of an order, in the sequence of [`ORDER_FIELDS`].
macro_rules! place {
    ($place:literal) => {
        concat!(
            "CASE CAST(",
            $place,
            " AS BIGINT)
             WHEN 1 THEN login_count WHEN -1 THEN -login_count
             WHEN 2 THEN created_at_ms WHEN -2 THEN -created_at_ms
             WHEN 3 THEN updated_at_ms WHEN -3 THEN -updated_at_ms
             WHEN 4 THEN last_login_at_ms WHEN -4 THEN -last_login_at_ms
             WHEN 5 THEN CASE status WHEN 'active' THEN 1 WHEN 'inactive' THEN 2 ELSE 3 END
             WHEN -5 THEN CASE status WHEN 'active' THEN 3 WHEN 'inactive' THEN 2 ELSE 1 END
             ELSE 0 END, "
        )
    };
}

macro_rules! select_users {
    ($from:expr) => {
        concat!(
            "SELECT id, external_id, status, login_count, created_at_ms, updated_at_ms,
                    last_login_at_ms",
            $from
        )
    };
}

const ORDER_FIELDS: [&str; 5] = [
    "login_count",
    "created_at",
    "updated_at",
    "last_login_at",
    "status",
];
const STATUSES: [&str; 3] = ["active", "inactive", "pending"];

const BY_EXTERNAL_ID: &str = select_users!(conditions!("external_id = $3"));
const BY_ID: &str = select_users!(conditions!("id = $3"));
const LIST_NEWEST: &str = concat!(
    select_users!(conditions!("CAST($3 AS TEXT) = ''")),
    " ORDER BY created_at_ms DESC, LOWER(id) DESC, id LIMIT $21 OFFSET $22"
);
const LIST_ORDERED: &str = concat!(
    select_users!(conditions!("CAST($3 AS TEXT) = ''")),
    " ORDER BY ",
    place!("$23"),
    place!("$24"),
    place!("$25"),
    place!("$26"),
    place!("$27"),
    id_order!("$28"),
    " LIMIT $21 OFFSET $22"
);
const COUNT: &str = concat!(
    "SELECT COUNT(*) AS total",
    conditions!("CAST($3 AS TEXT) = ''")
);

/// The number of all without looking at any row: an index knows it.
const COUNT_ALL: &str =
    "SELECT COUNT(*) AS total FROM passkeys_users WHERE app_id = $1 AND created_at_ms < $2";

impl Passkeys {
    /// One page of an app's users, the newest first unless the query says otherwise.
    pub async fn list_users(&self, app_id: &AppId, query: &UserQuery) -> Result<UserPage, Fault> {
        let (app_id, query) = (app_id.clone(), query.clone());
        let anchor_s = query.paging.anchor_s(self.platform.clock.now_ms());
        self.platform
            .db
            .read(async move |tx| {
                let paging = &query.paging;
                let mut values = query.values(&app_id, anchor_s);
                let (total, rows) = if let Some((_, statement)) = query.key() {
                    // There is one at most, so it is on the first page or nowhere.
                    let found = tx.rows(statement, &values).await?;
                    let total = i64::from(!found.is_empty());
                    let on_page = if paging.page == 1 { found } else { Vec::new() };
                    (total, on_page)
                } else {
                    let count = match query.has_filters() {
                        true => tx.row(COUNT, &values).await?,
                        false => tx.row(COUNT_ALL, &values[..2]).await?,
                    };
                    let total = count
                        .ok_or_else(|| Fault::new("a count has no row"))?
                        .get("total")?;
                    values.extend([Value::Int(paging.limit), Value::Int(paging.offset())]);
                    let statement = match &query.order {
                        None => LIST_NEWEST,
                        Some(order) => {
                            values.extend(order.values());
                            LIST_ORDERED
                        }
                    };
                    (total, tx.rows(statement, &values).await?)
                };
                Ok(UserPage {
                    users: rows.iter().map(User::from_row).collect::<Result<_, _>>()?,
                    total,
                    page: paging.page,
                    limit: paging.limit,
                    created_before_s: anchor_s,
                })
            })
            .await
    }

    /// A user with its devices and last events, if there is one.
    pub async fn find_user(
        &self,
        app_id: &AppId,
        id: &UserId,
    ) -> Result<Option<UserDetails>, Fault> {
        let (app_id, id) = (app_id.clone(), id.clone());
        self.platform
            .db
            .read(async move |tx| find_details(tx, &app_id, &id).await)
            .await
    }

    /// Lets a deactivated user authenticate again. The user is `active` again, or
    /// `pending` when it never had a passkey. Any other user stays as it is.
    pub async fn activate_user(&self, app_id: &AppId, id: &UserId) -> Result<UserDetails, Failure> {
        self.set_status(
            app_id,
            id,
            EventType::UserActivated,
            "UPDATE passkeys_users
             SET updated_at_ms = $3, status = CASE
                 WHEN login_count > 0 OR EXISTS (
                     SELECT 1 FROM passkeys_devices AS d
                     WHERE d.app_id = passkeys_users.app_id AND d.user_id = passkeys_users.id
                 ) THEN 'active' ELSE 'pending' END
             WHERE app_id = $1 AND id = $2 AND status = 'inactive'",
        )
        .await
    }

    /// Keeps a user from registering and authenticating. What the user has begun
    /// fails from now on, nonces included; devices stay.
    pub async fn deactivate_user(
        &self,
        app_id: &AppId,
        id: &UserId,
    ) -> Result<UserDetails, Failure> {
        self.set_status(
            app_id,
            id,
            EventType::UserDeactivated,
            "UPDATE passkeys_users SET updated_at_ms = $3, status = 'inactive'
             WHERE app_id = $1 AND id = $2 AND status <> 'inactive'",
        )
        .await
    }

    async fn set_status(
        &self,
        app_id: &AppId,
        id: &UserId,
        event_type: EventType,
        update: &'static str,
    ) -> Result<UserDetails, Failure> {
        let (app_id, id) = (app_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let event_id = EventId::random_at(&self.platform.entropy, now_ms);
        let (details, queued) = self
            .platform
            .db
            .write(async move |tx| {
                let changed = tx.execute(update, values![&app_id, &id, now_ms]).await?;
                let user = find(tx, &app_id, &id)
                    .await?
                    .ok_or_else(|| Failure::from(Refusal::UserNotFound))?;
                let mut queued = Queued::NOTHING;
                if changed == 1 {
                    let change = Change {
                        id: &event_id,
                        event_type,
                        user_id: &id,
                        external_id: &user.external_id,
                        device_id: None,
                        now_ms,
                    };
                    queued = events::change(tx, &app_id, &change).await?;
                }
                Ok::<_, Failure>((details(tx, &app_id, user).await?, queued))
            })
            .await?;
        self.wake_for(queued);
        Ok(details)
    }

    /// Deletes a user with its devices. Open ceremonies and nonces of the user
    /// are worth nothing from now on. Events stay until their retention ends.
    pub async fn delete_user(&self, app_id: &AppId, id: &UserId) -> Result<(), Failure> {
        let (app_id, id) = (app_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let event_id = EventId::random_at(&self.platform.entropy, now_ms);
        let queued = self
            .platform
            .db
            .write(async move |tx| {
                // The user goes first: a registration that is about to add a device
                // needs that row, so it is either before all of this or too late.
                let deleted = tx
                    .row(
                        "DELETE FROM passkeys_users WHERE app_id = $1 AND id = $2
                         RETURNING external_id",
                        values![&app_id, &id],
                    )
                    .await?
                    .ok_or_else(|| Failure::from(Refusal::UserNotFound))?;
                devices::delete_of_user(tx, &app_id, &id).await?;
                import::delete_keyless_of_user(tx, &app_id, &id).await?;
                let change = Change {
                    id: &event_id,
                    event_type: EventType::UserDeleted,
                    user_id: &id,
                    external_id: &deleted.get::<String>("external_id")?,
                    device_id: None,
                    now_ms,
                };
                Ok::<_, Failure>(events::change(tx, &app_id, &change).await?)
            })
            .await?;
        self.wake_for(queued);
        Ok(())
    }
}

impl User {
    pub(crate) fn is_inactive(&self) -> bool {
        self.status == UserStatus::Inactive
    }

    pub(crate) fn from_row(row: &Row) -> Result<User, Fault> {
        Ok(User {
            id: row.get("id")?,
            external_id: row.get("external_id")?,
            status: stored::word_of(row, "status")?,
            login_count: row.get("login_count")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
            last_login_at_ms: row.get("last_login_at_ms")?,
        })
    }
}

async fn find_details(
    tx: &mut Tx,
    app_id: &AppId,
    id: &UserId,
) -> Result<Option<UserDetails>, Fault> {
    match find(tx, app_id, id).await? {
        Some(user) => Ok(Some(details(tx, app_id, user).await?)),
        None => Ok(None),
    }
}

async fn details(tx: &mut Tx, app_id: &AppId, user: User) -> Result<UserDetails, Fault> {
    Ok(UserDetails {
        devices: devices::list(tx, app_id, &user.id).await?,
        recent_events: events::list_recent(tx, app_id, &user.id).await?,
        user,
    })
}

pub(crate) async fn find(tx: &mut Tx, app_id: &AppId, id: &UserId) -> Result<Option<User>, Fault> {
    tx.row(
        select_users!(" FROM passkeys_users WHERE app_id = $1 AND id = $2"),
        values![app_id, id],
    )
    .await?
    .as_ref()
    .map(User::from_row)
    .transpose()
}

pub(crate) async fn find_by_external_id(
    tx: &mut Tx,
    app_id: &AppId,
    external_id: &str,
) -> Result<Option<User>, Fault> {
    tx.row(
        select_users!(" FROM passkeys_users WHERE app_id = $1 AND external_id = $2"),
        values![app_id, external_id],
    )
    .await?
    .as_ref()
    .map(User::from_row)
    .transpose()
}

/// The user of this external id, created as `pending` under `new_id` if there is
/// none. Of two callers at once, the unique key lets one create and the other find.
pub(crate) async fn find_or_create(
    tx: &mut Tx,
    app_id: &AppId,
    external_id: &str,
    new_id: &UserId,
    now_ms: i64,
) -> Result<User, Fault> {
    if let Some(user) = find_by_external_id(tx, app_id, external_id).await? {
        return Ok(user);
    }
    let created = tx
        .execute(
            "INSERT INTO passkeys_users (
            app_id, id, external_id, status, login_count, created_at_ms, updated_at_ms,
            last_login_at_ms
         ) VALUES ($1, $2, $3, $4, 0, $5, $5, $5)
         ON CONFLICT DO NOTHING",
            values![
                app_id,
                new_id,
                external_id,
                stored::word(UserStatus::Pending),
                now_ms,
            ],
        )
        .await?;
    if created == 1 {
        return Ok(User {
            id: new_id.clone(),
            external_id: external_id.to_owned(),
            status: UserStatus::Pending,
            login_count: 0,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            last_login_at_ms: now_ms,
        });
    }
    find_by_external_id(tx, app_id, external_id)
        .await?
        .ok_or_else(|| Fault::new("a user was neither found nor created"))
}

/// Makes a user active who got a passkey. False when the user was deleted or
/// deactivated meanwhile.
pub(crate) async fn record_registration(
    tx: &mut Tx,
    app_id: &AppId,
    id: &UserId,
    now_ms: i64,
) -> Result<bool, Fault> {
    let changed = tx
        .execute(
            "UPDATE passkeys_users SET status = 'active', updated_at_ms = $3
             WHERE app_id = $1 AND id = $2 AND status <> 'inactive'",
            values![app_id, id, now_ms],
        )
        .await?;
    Ok(changed == 1)
}

/// Counts a login. False when the user was deleted or deactivated meanwhile.
pub(crate) async fn record_login(
    tx: &mut Tx,
    app_id: &AppId,
    id: &UserId,
    now_ms: i64,
) -> Result<bool, Fault> {
    let changed = tx
        .execute(
            "UPDATE passkeys_users
             SET login_count = login_count + 1, last_login_at_ms = $3, updated_at_ms = $3
             WHERE app_id = $1 AND id = $2 AND status <> 'inactive'",
            values![app_id, id, now_ms],
        )
        .await?;
    Ok(changed == 1)
}

const EXTERNAL_ID_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_id_has_1_to_256_bytes_and_no_nul() {
        for text in ["a", " ", "<like:a%>", &"a".repeat(256), &"ä".repeat(128)] {
            assert_eq!(ExternalId::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a\0b", &"a".repeat(257), &"ä".repeat(129)] {
            assert!(ExternalId::parse(text).is_err(), "{text:?}");
        }
    }
}
