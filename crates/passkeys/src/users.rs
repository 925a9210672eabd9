//! A user of an app, known to the customer by an external id and to this
//! product by an id of its own.

use platform::{Fault, Row, Tx, values};
use serde::{Deserialize, Serialize};

use crate::{AppId, Refusal, ids::UserId, stored};

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

/// What this product needs to know of a user to run a ceremony.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) external_id: String,
    pub(crate) status: UserStatus,
}

/// Where a user is in its life (passkey-flex section a.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UserStatus {
    /// Created by the start of a registration; no passkey was stored yet.
    Pending,
    /// Has had a passkey.
    Active,
    /// Deactivated by the customer.
    Inactive,
}

impl User {
    pub(crate) fn is_inactive(&self) -> bool {
        self.status == UserStatus::Inactive
    }

    fn from_row(row: &Row) -> Result<User, Fault> {
        Ok(User {
            id: row.get("id")?,
            external_id: row.get("external_id")?,
            status: stored::word_of(row, "status")?,
        })
    }
}

pub(crate) async fn find(tx: &mut Tx, app_id: &AppId, id: &UserId) -> Result<Option<User>, Fault> {
    tx.row(
        "SELECT id, external_id, status FROM passkeys_users WHERE app_id = $1 AND id = $2",
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
        "SELECT id, external_id, status FROM passkeys_users
         WHERE app_id = $1 AND external_id = $2",
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
    tx.execute(
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
    find_by_external_id(tx, app_id, external_id)
        .await?
        .ok_or_else(|| Fault::new("a user was neither found nor created"))
}

/// Makes a user active who got a passkey. False when the user was deleted or
/// deactivated meanwhile.
pub(crate) async fn activate(
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
