//! A nonce: the proof of a finished ceremony. The browser or app carries it to
//! the customer's server, which redeems it once (passkey-flex section b.5).
//!
//! Only its keyed hash is kept, so a copy of the database redeems nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use platform::{Entropy, Fault, Row, Tx, Vault, values};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    App, AppId, Failure, Passkeys, Refusal,
    ceremonies::Ceremony,
    ids::{DeviceId, TransactionId, UserId},
    stored,
};

/// A finished ceremony, as the redeemer of its nonce learns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FinishedCeremony {
    pub(crate) ceremony: Ceremony,
    /// None after a discoverable login.
    pub(crate) transaction_id: Option<TransactionId>,
    pub(crate) user_id: UserId,
    pub(crate) external_id: String,
    pub(crate) device_id: DeviceId,
    pub(crate) user_verified: bool,
    /// When it finished, which is when the nonce was issued.
    pub(crate) finished_at_ms: i64,
}

/// 32 random bytes in base64url.
pub(crate) fn random(entropy: &Entropy) -> SecretString {
    SecretString::from(BASE64_URL_SAFE_NO_PAD.encode(entropy.bytes::<32>()))
}

/// What is kept of a nonce.
pub(crate) fn hash(vault: &Vault, nonce: &str) -> [u8; 32] {
    vault.hash("passkeys nonce", nonce.as_bytes())
}

/// Stores the hash of a nonce, together with what it proves.
pub(crate) async fn issue(
    tx: &mut Tx,
    app: &App,
    hash: [u8; 32],
    proves: &FinishedCeremony,
) -> Result<u64, Fault> {
    tx.execute(
        "INSERT INTO passkeys_nonces (
            hash, app_id, ceremony, transaction_id, user_id, external_id, device_id,
            user_verified, issued_at_ms, expires_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        values![
            hash,
            &app.id,
            stored::word(proves.ceremony),
            proves.transaction_id.as_ref(),
            &proves.user_id,
            &proves.external_id,
            &proves.device_id,
            proves.user_verified,
            proves.finished_at_ms,
            proves.finished_at_ms + app.settings.lifetimes.nonce_ms,
        ],
    )
    .await
}

impl Passkeys {
    /// Redeems a nonce. Of any number of redeemers one gets the ceremony: the
    /// row is deleted by the statement that reads it. A nonce of another app is
    /// left for that app. A user deactivated or deleted since then has no valid
    /// nonce, and neither has a device revoked since then.
    pub(crate) async fn redeem_nonce(
        &self,
        app_id: &AppId,
        nonce: &SecretString,
    ) -> Result<FinishedCeremony, Failure> {
        let hash = hash(&self.platform.vault, nonce.expose_secret());
        let app_id = app_id.clone();
        let now_ms = self.platform.clock.now_ms();
        let row = self
            .platform
            .db
            .write(async move |tx| {
                tx.row(
                    "DELETE FROM passkeys_nonces
                     WHERE hash = $1 AND app_id = $2 AND expires_at_ms > $3
                       AND EXISTS (
                           SELECT 1 FROM passkeys_users AS u
                           WHERE u.app_id = passkeys_nonces.app_id
                             AND u.id = passkeys_nonces.user_id
                             AND u.status = 'active'
                       )
                       AND EXISTS (
                           SELECT 1 FROM passkeys_devices AS d
                           WHERE d.app_id = passkeys_nonces.app_id
                             AND d.id = passkeys_nonces.device_id
                       )
                     RETURNING ceremony, transaction_id, user_id, external_id, device_id,
                               user_verified, issued_at_ms",
                    values![hash, &app_id, now_ms],
                )
                .await
            })
            .await?
            .ok_or(Refusal::InvalidNonce)?;
        Ok(FinishedCeremony::from_row(&row)?)
    }
}

impl FinishedCeremony {
    fn from_row(row: &Row) -> Result<FinishedCeremony, Fault> {
        Ok(FinishedCeremony {
            ceremony: stored::word_of(row, "ceremony")?,
            transaction_id: row.get("transaction_id")?,
            user_id: row.get("user_id")?,
            external_id: row.get("external_id")?,
            device_id: row.get("device_id")?,
            user_verified: row.get("user_verified")?,
            finished_at_ms: row.get("issued_at_ms")?,
        })
    }
}

/// Deletes a batch: `$1` is the time of expiry, `$2` the number of rows.
pub(crate) const DELETE_EXPIRED: &str = "DELETE FROM passkeys_nonces WHERE hash IN (
    SELECT hash FROM passkeys_nonces WHERE expires_at_ms <= $1 LIMIT $2
)";
