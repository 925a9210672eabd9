//! A transaction: the permission, given by the customer's server, to run one
//! ceremony for one external id (passkey-flex sections a, b.3 and b.4).
//!
//! It may be started again until it succeeds or expires; only its newest
//! handshake can complete it.

use std::sync::Arc;

use platform::{Fault, Row, Tx, values};

use crate::{
    App, AppId, Failure, Passkeys, Refusal,
    ceremonies::Ceremony,
    ids::{HandshakeId, TransactionId, UserId},
    stored,
    users::{self, ExternalId},
};

/// The label that authenticators show: 1 to 128 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DisplayName(String);

impl DisplayName {
    pub(crate) fn parse(text: &str) -> Result<DisplayName, Refusal> {
        // PostgreSQL holds no NUL in a text.
        if text.is_empty()
            || text.chars().count() > DISPLAY_NAME_CHARACTERS_MAX
            || text.contains('\0')
        {
            return Err(Refusal::InvalidRequest(format!(
                "passkey_display_name must have 1 to {DISPLAY_NAME_CHARACTERS_MAX} characters \
                 and no NUL."
            )));
        }
        Ok(DisplayName(text.to_owned()))
    }
}

/// A transaction, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) external_id: String,
    /// None for a registration whose user did not exist, until it is started: that creates the user.
    pub(crate) user_id: Option<UserId>,
    /// Of a registration.
    pub(crate) passkey_display_name: Option<String>,
    pub(crate) newest_handshake: Option<HandshakeId>,
    pub(crate) expires_at_ms: i64,
    pub(crate) is_completed: bool,
}

impl Passkeys {
    /// Permits one registration. Creates no user yet; where sign-up is off, there
    /// must be one.
    pub(crate) async fn create_register_transaction(
        &self,
        app: Arc<App>,
        external_id: ExternalId,
        display_name: DisplayName,
    ) -> Result<TransactionId, Failure> {
        let now_ms = self.platform.clock.now_ms();
        let id = TransactionId::random_at(&self.platform.entropy, now_ms);
        let stored = id.clone();
        self.platform
            .db
            .write(async move |tx| {
                let user = users::find_by_external_id(tx, &app.id, external_id.as_str()).await?;
                match &user {
                    Some(user) if user.is_inactive() => {
                        return Err(Refusal::CannotCreateTransaction.into());
                    }
                    None if !app.settings.public_signup => {
                        return Err(Refusal::SignUpIsOff.into());
                    }
                    _ => {}
                }
                let transaction = Transaction {
                    external_id: external_id.as_str().to_owned(),
                    user_id: user.map(|user| user.id),
                    passkey_display_name: Some(display_name.0.clone()),
                    newest_handshake: None,
                    expires_at_ms: now_ms + app.settings.lifetimes.transaction_ms,
                    is_completed: false,
                };
                insert(
                    tx,
                    &app.id,
                    &stored,
                    Ceremony::Registration,
                    &transaction,
                    now_ms,
                )
                .await?;
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(id)
    }

    /// Permits one authentication of a user who has a device.
    pub(crate) async fn create_authenticate_transaction(
        &self,
        app: Arc<App>,
        external_id: ExternalId,
    ) -> Result<TransactionId, Failure> {
        let now_ms = self.platform.clock.now_ms();
        let id = TransactionId::random_at(&self.platform.entropy, now_ms);
        let new_id = id.clone();
        self.platform
            .db
            .write(async move |tx| {
                let created = tx
                    .execute(
                        "INSERT INTO passkeys_transactions (
                            id, app_id, ceremony, external_id, user_id, created_at_ms,
                            expires_at_ms
                         )
                         SELECT CAST($1 AS TEXT), u.app_id, CAST($4 AS TEXT), u.external_id, u.id,
                                CAST($5 AS BIGINT), CAST($6 AS BIGINT)
                         FROM passkeys_users AS u
                         WHERE u.app_id = $2 AND u.external_id = $3 AND u.status <> 'inactive'
                           AND EXISTS (
                               SELECT 1 FROM passkeys_devices AS d
                               WHERE d.app_id = u.app_id AND d.user_id = u.id AND d.rp_id = $7
                           )",
                        values![
                            &new_id,
                            &app.id,
                            external_id.as_str(),
                            stored::word(Ceremony::Authentication),
                            now_ms,
                            now_ms + app.settings.lifetimes.transaction_ms,
                            &app.rp_id,
                        ],
                    )
                    .await?;
                if created == 0 {
                    return Err(match users::find_by_external_id(tx, &app.id, external_id.as_str())
                        .await?
                    {
                        None => Refusal::UserNotFound,
                        Some(user) if user.is_inactive() => Refusal::CannotCreateTransaction,
                        Some(_) => Refusal::UserHasNoPasskeys,
                    }
                    .into());
                }
                Ok::<_, Failure>(())
            })
            .await?;
        Ok(id)
    }
}

/// Makes `handshake` the newest of an open transaction, which cancels the one
/// before. Nothing when there is no such transaction of this app and ceremony,
/// or it has expired or was completed.
pub(crate) async fn start(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
    ceremony: Ceremony,
    handshake: &HandshakeId,
    now_ms: i64,
) -> Result<Option<Transaction>, Fault> {
    tx.row(
        "UPDATE passkeys_transactions SET handshake_id = $4
         WHERE id = $1 AND app_id = $2 AND ceremony = $3
           AND completed_at_ms IS NULL AND expires_at_ms > $5
         RETURNING external_id, user_id, passkey_display_name, handshake_id, expires_at_ms,
                   completed_at_ms",
        values![id, app_id, stored::word(ceremony), handshake, now_ms],
    )
    .await?
    .as_ref()
    .map(Transaction::from_row)
    .transpose()
}

pub(crate) async fn find(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
) -> Result<Option<Transaction>, Fault> {
    tx.row(
        "SELECT external_id, user_id, passkey_display_name, handshake_id, expires_at_ms,
                completed_at_ms
         FROM passkeys_transactions WHERE id = $1 AND app_id = $2",
        values![id, app_id],
    )
    .await?
    .as_ref()
    .map(Transaction::from_row)
    .transpose()
}

/// Says whose registration a transaction permits, once that is known.
pub(crate) async fn set_user(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
    user_id: &UserId,
) -> Result<u64, Fault> {
    tx.execute(
        "UPDATE passkeys_transactions SET user_id = $3 WHERE id = $1 AND app_id = $2",
        values![id, app_id, user_id],
    )
    .await
}

/// Whether a transaction of this app could still complete a ceremony of this kind.
pub(crate) async fn is_open(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
    ceremony: Ceremony,
    now_ms: i64,
) -> Result<bool, Fault> {
    let open = tx
        .row(
            "SELECT id FROM passkeys_transactions
             WHERE id = $1 AND app_id = $2 AND ceremony = $3
               AND completed_at_ms IS NULL AND expires_at_ms > $4",
            values![id, app_id, stored::word(ceremony), now_ms],
        )
        .await?;
    Ok(open.is_some())
}

/// Completes a transaction by its newest handshake. False when another start or
/// finish came between: then it is not this handshake's any more.
pub(crate) async fn complete(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
    handshake: &HandshakeId,
    now_ms: i64,
) -> Result<bool, Fault> {
    let changed = tx
        .execute(
            "UPDATE passkeys_transactions SET completed_at_ms = $4
             WHERE id = $1 AND app_id = $2 AND handshake_id = $3
               AND completed_at_ms IS NULL AND expires_at_ms > $4",
            values![id, app_id, handshake, now_ms],
        )
        .await?;
    Ok(changed == 1)
}

async fn insert(
    tx: &mut Tx,
    app_id: &AppId,
    id: &TransactionId,
    ceremony: Ceremony,
    transaction: &Transaction,
    now_ms: i64,
) -> Result<u64, Fault> {
    tx.execute(
        "INSERT INTO passkeys_transactions (
            id, app_id, ceremony, external_id, user_id, passkey_display_name, created_at_ms,
            expires_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        values![
            id,
            app_id,
            stored::word(ceremony),
            &transaction.external_id,
            transaction.user_id.as_ref(),
            &transaction.passkey_display_name,
            now_ms,
            transaction.expires_at_ms,
        ],
    )
    .await
}

impl Transaction {
    fn from_row(row: &Row) -> Result<Transaction, Fault> {
        Ok(Transaction {
            external_id: row.get("external_id")?,
            user_id: row.get("user_id")?,
            passkey_display_name: row.get("passkey_display_name")?,
            newest_handshake: row.get("handshake_id")?,
            expires_at_ms: row.get("expires_at_ms")?,
            is_completed: row.get::<Option<i64>>("completed_at_ms")?.is_some(),
        })
    }
}

/// Deletes a batch: `$1` is the time of expiry, `$2` the number of rows.
pub(crate) const DELETE_EXPIRED: &str = "DELETE FROM passkeys_transactions WHERE id IN (
    SELECT id FROM passkeys_transactions WHERE expires_at_ms <= $1 LIMIT $2
)";

const DISPLAY_NAME_CHARACTERS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_display_name_has_1_to_128_characters_and_no_nul() {
        for text in ["a", "Ann 🐈", &"ä".repeat(128)] {
            assert_eq!(DisplayName::parse(text).unwrap().0, text);
        }
        for text in ["", "a\0", &"a".repeat(129)] {
            assert!(DisplayName::parse(text).is_err(), "{text:?}");
        }
    }
}
