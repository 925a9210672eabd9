//! Confirmation codes: issued, delivered, redeemed once (`cognito.md` §16).

use platform::{Fault, Tx, values, vault};
use serde_json::{Value, json};

use crate::{
    Delivery, Error, Refusal, UserPools,
    attributes::{self, Contact},
    user_pools::UserPool,
    users::User,
};

const CODE_LENGTH: usize = 6;
const LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;
/// Wrong tries before a code is dead.
const TRIES: i64 = 5;

/// What a code is for.
const SIGN_UP: &str = "sign_up";

/// A code that cannot be redeemed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CodeDenial {
    Mismatch,
    /// Also: used, or never sent.
    Expired,
    TriesSpent,
}

impl From<CodeDenial> for Refusal {
    fn from(denial: CodeDenial) -> Refusal {
        match denial {
            CodeDenial::Mismatch => Refusal::CodeMismatch,
            CodeDenial::Expired => Refusal::CodeExpired,
            CodeDenial::TriesSpent => Refusal::AttemptLimit,
        }
    }
}

/// Where a new user's code goes: to an address that the pool verifies by itself. With both, to the
/// phone.
pub(crate) fn destination<'u>(pool: &UserPool, user: &'u User) -> Option<(Contact, &'u str)> {
    [Contact::PhoneNumber, Contact::Email]
        .into_iter()
        .filter(|contact| {
            pool.configuration
                .auto_verified_attributes
                .contains(contact)
        })
        .filter(|contact| !user.is_verified(*contact))
        .find_map(|contact| {
            let address = user.attributes.get(contact.attribute())?;
            Some((contact, address.as_str()))
        })
}

impl UserPools {
    /// Makes a sign-up code, which replaces an earlier one, and delivers it. Gives
    /// `CodeDeliveryDetails`.
    pub(crate) async fn send_sign_up_code(
        &self,
        user: &User,
        contact: Contact,
        address: &str,
    ) -> Result<Value, Error> {
        let code = self.0.platform.entropy.digits(CODE_LENGTH);
        let hash = self.code_hash(user, &code);
        let expires_at_ms = self.0.platform.clock.now_ms() + LIFETIME_MS;
        let (pool_id, sub) = (user.user_pool_id.clone(), user.sub.clone());
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "INSERT INTO pools_codes
                        (user_pool_id, sub, purpose, code_hash, attribute, tries_left, expires_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)
                     ON CONFLICT (user_pool_id, sub, purpose) DO UPDATE SET
                        code_hash = $4, attribute = $5, tries_left = $6, expires_at_ms = $7",
                    values![
                        &pool_id,
                        &sub,
                        SIGN_UP,
                        hash,
                        contact.attribute(),
                        TRIES,
                        expires_at_ms,
                    ],
                )
                .await
            })
            .await?;
        match self.0.settings.delivery {
            Delivery::Log => tracing::info!(
                user_pool = user.user_pool_id,
                username = user.username,
                to = address,
                code,
                "confirmation code (delivered to this log only)"
            ),
            Delivery::None => return Err(Refusal::CodeDelivery.into()),
        }
        Ok(json!({
            "Destination": attributes::mask(contact, address),
            "DeliveryMedium": match contact {
                Contact::Email => "EMAIL",
                Contact::PhoneNumber => "SMS",
            },
            "AttributeName": contact.attribute(),
        }))
    }

    pub(crate) fn code_hash(&self, user: &User, code: &str) -> [u8; 32] {
        let purpose = format!("pools code {} {}", user.user_pool_id, user.sub);
        self.0.platform.vault.hash(&purpose, code.as_bytes())
    }

    pub(crate) async fn sweep_codes(&self) -> Result<(), Fault> {
        let now_ms = self.0.platform.clock.now_ms();
        self.0
            .platform
            .db
            .delete_expired(
                "DELETE FROM pools_codes WHERE (user_pool_id, sub, purpose) IN
                            (SELECT user_pool_id, sub, purpose FROM pools_codes
                             WHERE expires_at_ms < $1 LIMIT $2)",
                now_ms,
            )
            .await?;
        Ok(())
    }
}

/// Redeems a sign-up code: the address it was sent to. A try is spent before the code is compared,
/// so that guesses at the same moment cannot share one. Commit on a denial too, or the try comes
/// back.
pub(crate) async fn redeem(
    tx: &mut Tx,
    user: &User,
    code_hash: [u8; 32],
    now_ms: i64,
) -> Result<Result<Contact, CodeDenial>, Fault> {
    let row = tx
        .row(
            "UPDATE pools_codes SET tries_left = tries_left - 1
             WHERE user_pool_id = $1 AND sub = $2 AND purpose = $3 AND expires_at_ms > $4
             RETURNING code_hash, attribute, tries_left",
            values![&user.user_pool_id, &user.sub, SIGN_UP, now_ms],
        )
        .await?;
    let Some(row) = row else {
        return Ok(Err(CodeDenial::Expired));
    };
    if row.get::<i64>("tries_left")? < 0 {
        return Ok(Err(CodeDenial::TriesSpent));
    }
    if !vault::equal(&row.get::<Vec<u8>>("code_hash")?, &code_hash) {
        return Ok(Err(CodeDenial::Mismatch));
    }
    forget(tx, user).await?;
    let attribute: String = row.get("attribute")?;
    Ok(Ok(if attribute == Contact::Email.attribute() {
        Contact::Email
    } else {
        Contact::PhoneNumber
    }))
}

/// Drops a user's sign-up code.
pub(crate) async fn forget(tx: &mut Tx, user: &User) -> Result<(), Fault> {
    tx.execute(
        "DELETE FROM pools_codes WHERE user_pool_id = $1 AND sub = $2 AND purpose = $3",
        values![&user.user_pool_id, &user.sub, SIGN_UP],
    )
    .await?;
    Ok(())
}
