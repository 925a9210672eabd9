//! A handshake: one run of a ceremony, from the options to the response. It
//! holds the challenge and what the options demanded, so that the response is
//! judged by the rules it was made under.
//!
//! Whether a handshake may be finished is decided here; what its response is
//! worth, in `ceremonies`.

use platform::{Fault, Row, Tx, values};
use webauthn::{Algorithm, AuthenticatorAttachment, Denial, UserVerification};

use crate::{
    AppId,
    ceremonies::Ceremony,
    ids::{DeviceId, HandshakeId, TransactionId, UserId},
    stored,
    transactions::Transaction,
};

/// A handshake, as stored.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) id: HandshakeId,
    pub(crate) ceremony: Ceremony,
    /// None for a discoverable login.
    pub(crate) transaction_id: Option<TransactionId>,
    /// Whose ceremony it is; known whenever there is a transaction.
    pub(crate) user_id: Option<UserId>,
    /// 32 random bytes, of this handshake only.
    pub(crate) challenge: Vec<u8>,
    pub(crate) rp_id: String,
    pub(crate) user_verification: UserVerification,
    pub(crate) algorithms: Vec<Algorithm>,
    /// What the options of a registration asked for; None for any.
    pub(crate) attachment: Option<AuthenticatorAttachment>,
    /// Whether a registration may run without a gesture of the user: the client
    /// said at the start that it asks for conditional mediation. What a client
    /// says at the finish changes nothing (webauthn-checks R33).
    pub(crate) is_conditional: bool,
    /// The devices named in `allowCredentials`; None for any.
    pub(crate) allowed_devices: Option<Vec<DeviceId>>,
    pub(crate) created_at_ms: i64,
    pub(crate) expires_at_ms: i64,
}

/// What a finish says about the transaction it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TransactionClaim {
    /// Nothing.
    Missing,
    /// Something that is no id. Never the same as nothing, which would turn a
    /// step-up into a discoverable login (passkey-flex section c.8).
    Malformed,
    /// An id.
    Id(TransactionId),
}

impl Handshake {
    /// Whether this handshake may be finished: by a finish of `ceremony` that
    /// claims `claim`, when the handshake's transaction is `transaction`.
    ///
    /// An expired transaction goes before an expired handshake, because it tells
    /// the client what helps: a new transaction.
    pub(crate) fn check_finish(
        &self,
        ceremony: Ceremony,
        claim: &TransactionClaim,
        transaction: Option<&Transaction>,
        now_ms: i64,
    ) -> Result<(), Denial> {
        if self.ceremony != ceremony {
            return Err(Denial::HandshakeWrongKind);
        }
        match (&self.transaction_id, claim) {
            (_, TransactionClaim::Malformed) => return Err(Denial::RequestMalformed),
            (None, TransactionClaim::Missing) => {}
            (Some(own), TransactionClaim::Id(claimed)) if own == claimed => {
                let open = transaction.filter(|transaction| {
                    !transaction.is_completed && transaction.expires_at_ms > now_ms
                });
                match open {
                    None => return Err(Denial::TransactionMismatch),
                    // A later start has canceled this one; the transaction itself is still good.
                    Some(open) if open.newest_handshake.as_ref() != Some(&self.id) => {
                        return Err(Denial::HandshakeSpent);
                    }
                    Some(_) => {}
                }
            }
            _ => return Err(Denial::TransactionMismatch),
        }
        if self.expires_at_ms <= now_ms {
            return Err(Denial::HandshakeExpired);
        }
        Ok(())
    }

    fn from_row(row: &Row) -> Result<Handshake, Fault> {
        let allowed_devices = match row.get::<Option<String>>("allowed_devices")? {
            None => None,
            Some(_) => Some(stored::json_of(row, "allowed_devices")?),
        };
        Ok(Handshake {
            id: row.get("id")?,
            ceremony: stored::word_of(row, "ceremony")?,
            transaction_id: row.get("transaction_id")?,
            user_id: row.get("user_id")?,
            challenge: row.get("challenge")?,
            rp_id: row.get("rp_id")?,
            user_verification: stored::word_of(row, "user_verification")?,
            algorithms: stored::json_of(row, "algorithms")?,
            attachment: stored::optional_word_of(row, "attachment")?,
            is_conditional: row.get("is_conditional")?,
            allowed_devices,
            created_at_ms: row.get("created_at_ms")?,
            expires_at_ms: row.get("expires_at_ms")?,
        })
    }
}

pub(crate) async fn insert(
    tx: &mut Tx,
    app_id: &AppId,
    handshake: &Handshake,
) -> Result<u64, Fault> {
    tx.execute(
        "INSERT INTO passkeys_handshakes (
            id, app_id, ceremony, transaction_id, user_id, challenge, rp_id, user_verification,
            algorithms, attachment, is_conditional, allowed_devices, created_at_ms, expires_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        values![
            &handshake.id,
            app_id,
            stored::word(handshake.ceremony),
            handshake.transaction_id.as_ref(),
            handshake.user_id.as_ref(),
            &handshake.challenge,
            &handshake.rp_id,
            stored::word(handshake.user_verification),
            stored::json(&handshake.algorithms),
            handshake.attachment.map(stored::word),
            handshake.is_conditional,
            handshake.allowed_devices.as_ref().map(stored::json),
            handshake.created_at_ms,
            handshake.expires_at_ms,
        ],
    )
    .await
}

/// Takes a handshake: from here on it is spent, whatever its response is worth.
///
/// One conditional statement decides. Of any number of finishers one gets the
/// handshake and the others `HandshakeSpent` (webauthn-checks T03 to T05).
pub(crate) async fn take(
    tx: &mut Tx,
    app_id: &AppId,
    id: &HandshakeId,
    now_ms: i64,
) -> Result<Result<Handshake, Denial>, Fault> {
    let taken = tx
        .row(
            "UPDATE passkeys_handshakes SET spent_at_ms = $3
             WHERE id = $1 AND app_id = $2 AND spent_at_ms IS NULL
             RETURNING id, ceremony, transaction_id, user_id, challenge, rp_id, user_verification,
                       algorithms, attachment, is_conditional, allowed_devices, created_at_ms,
                       expires_at_ms",
            values![id, app_id, now_ms],
        )
        .await?;
    if let Some(row) = taken {
        return Ok(Ok(Handshake::from_row(&row)?));
    }
    let spent = tx
        .row(
            "SELECT id FROM passkeys_handshakes WHERE id = $1 AND app_id = $2",
            values![id, app_id],
        )
        .await?;
    Ok(Err(if spent.is_some() {
        Denial::HandshakeSpent
    } else {
        Denial::HandshakeUnknown
    }))
}

/// Deletes a batch: `$1` is the time of expiry, `$2` the number of rows.
pub(crate) const DELETE_EXPIRED: &str = "DELETE FROM passkeys_handshakes WHERE id IN (
    SELECT id FROM passkeys_handshakes WHERE expires_at_ms <= $1 LIMIT $2
)";

#[cfg(test)]
mod tests {
    use platform::Entropy;

    use super::*;

    const NOW_MS: i64 = 1_000;

    /// A started registration and its open transaction.
    fn open() -> (Handshake, Transaction) {
        let entropy = Entropy::seeded(1);
        let handshake = Handshake {
            id: HandshakeId::random_at(&entropy, 0),
            ceremony: Ceremony::Registration,
            transaction_id: Some(TransactionId::random_at(&entropy, 0)),
            user_id: None,
            challenge: vec![7; 32],
            rp_id: "example.com".into(),
            user_verification: UserVerification::Preferred,
            algorithms: vec![Algorithm::Es256],
            attachment: None,
            is_conditional: false,
            allowed_devices: None,
            created_at_ms: 0,
            expires_at_ms: NOW_MS + 1,
        };
        let transaction = Transaction {
            external_id: "ann".into(),
            user_id: None,
            passkey_display_name: None,
            newest_handshake: Some(handshake.id.clone()),
            expires_at_ms: NOW_MS + 1,
            is_completed: false,
        };
        (handshake, transaction)
    }

    fn check(change: impl FnOnce(&mut Handshake, &mut Transaction)) -> Result<(), Denial> {
        let (mut handshake, mut transaction) = open();
        let claim = TransactionClaim::Id(handshake.transaction_id.clone().unwrap());
        change(&mut handshake, &mut transaction);
        handshake.check_finish(Ceremony::Registration, &claim, Some(&transaction), NOW_MS)
    }

    #[test]
    fn an_open_handshake_of_an_open_transaction_may_be_finished() {
        assert_eq!(check(|_, _| {}), Ok(()));
    }

    #[test]
    fn each_single_fault_is_denied_with_its_reason() {
        let mismatch = Err(Denial::TransactionMismatch);
        assert_eq!(
            check(|handshake, _| handshake.ceremony = Ceremony::Authentication),
            Err(Denial::HandshakeWrongKind)
        );
        assert_eq!(
            check(|handshake, _| handshake.expires_at_ms = NOW_MS),
            Err(Denial::HandshakeExpired)
        );
        assert_eq!(
            check(|_, transaction| transaction.expires_at_ms = NOW_MS),
            mismatch
        );
        assert_eq!(
            check(|_, transaction| transaction.is_completed = true),
            mismatch
        );
        assert_eq!(
            check(|_, transaction| {
                transaction.newest_handshake = Some(HandshakeId::random_at(&Entropy::seeded(2), 0));
            }),
            Err(Denial::HandshakeSpent)
        );
        let (handshake, _) = open();
        let own = TransactionClaim::Id(handshake.transaction_id.clone().unwrap());
        assert_eq!(
            handshake.check_finish(Ceremony::Registration, &own, None, NOW_MS),
            mismatch
        );
    }

    #[test]
    fn the_claimed_transaction_must_be_the_handshakes_own() {
        let (handshake, transaction) = open();
        let mut discoverable = handshake.clone();
        discoverable.transaction_id = None;
        let own = TransactionClaim::Id(handshake.transaction_id.clone().unwrap());
        let other = TransactionClaim::Id(TransactionId::random_at(&Entropy::seeded(2), 0));
        let malformed = TransactionClaim::Malformed;
        let missing = TransactionClaim::Missing;
        for (handshake, claim, expected) in [
            (&handshake, &other, Err(Denial::TransactionMismatch)),
            (&handshake, &missing, Err(Denial::TransactionMismatch)),
            (&handshake, &malformed, Err(Denial::RequestMalformed)),
            (&discoverable, &missing, Ok(())),
            (&discoverable, &own, Err(Denial::TransactionMismatch)),
            (&discoverable, &malformed, Err(Denial::RequestMalformed)),
        ] {
            let transaction = handshake.transaction_id.is_some().then_some(&transaction);
            let outcome =
                handshake.check_finish(Ceremony::Registration, claim, transaction, NOW_MS);
            assert_eq!(outcome, expected, "{claim:?}");
        }
    }
}
