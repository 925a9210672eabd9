//! Wrong passwords in a row, and the lock they bring (`cognito.md` §6.5). Survives a restart and
//! holds across processes.
//!
//! Names that nobody has are counted too, under a pseudonym, so that the lock does not tell which
//! users exist.

use platform::{Fault, Tx, values};

use crate::UserPools;

/// The failure that brings the first lock.
const LOCKING_FAILURES: i64 = 5;
const FIRST_LOCK_MS: i64 = 1_000;
const LONGEST_LOCK_MS: i64 = 15 * 60 * 1000;
/// Without a failure for this long, the count starts anew.
const FORGOTTEN_AFTER_MS: i64 = 60 * 60 * 1000;

/// How long to refuse after this many failures in a row.
fn lock_ms(failures: i64) -> i64 {
    match failures - LOCKING_FAILURES {
        ..0 => 0,
        doublings => FIRST_LOCK_MS
            .checked_shl(u32::try_from(doublings).unwrap_or(u32::MAX))
            .filter(|lock| (1..LONGEST_LOCK_MS).contains(lock))
            .unwrap_or(LONGEST_LOCK_MS),
    }
}

impl UserPools {
    /// Whether attempts for this subject are refused now, without being evaluated.
    pub(crate) async fn is_locked(&self, pool_id: &str, subject: &str) -> Result<bool, Fault> {
        let now_ms = self.0.platform.clock.now_ms();
        let (pool_id, subject) = (pool_id.to_owned(), subject.to_owned());
        self.0
            .platform
            .db
            .read(async move |tx| find_lock(tx, &pool_id, &subject, now_ms).await)
            .await
    }

    /// Counts one wrong password.
    pub(crate) async fn count_failure(&self, pool_id: &str, subject: &str) -> Result<(), Fault> {
        let now_ms = self.0.platform.clock.now_ms();
        let (pool_id, subject) = (pool_id.to_owned(), subject.to_owned());
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "INSERT INTO pools_password_failures (user_pool_id, subject, failures, last_at_ms)
                     VALUES ($1, $2, 1, $3)
                     ON CONFLICT (user_pool_id, subject) DO UPDATE SET
                        failures = CASE WHEN pools_password_failures.last_at_ms < $4 THEN 1
                                        ELSE pools_password_failures.failures + 1 END,
                        last_at_ms = $3",
                    values![&pool_id, &subject, now_ms, now_ms - FORGOTTEN_AFTER_MS],
                )
                .await
            })
            .await?;
        Ok(())
    }

    pub(crate) async fn sweep_password_failures(&self) -> Result<(), Fault> {
        let before_ms = self.0.platform.clock.now_ms() - FORGOTTEN_AFTER_MS;
        self.0
            .platform
            .db
            .delete_expired(
                "DELETE FROM pools_password_failures WHERE (user_pool_id, subject) IN
                            (SELECT user_pool_id, subject FROM pools_password_failures
                             WHERE last_at_ms < $1 LIMIT $2)",
                before_ms,
            )
            .await?;
        Ok(())
    }
}

/// Forgets a subject's failures after a success. Whether it did: not when a lock has come up since
/// the attempt began, in which case the success does not count.
pub(crate) async fn forget(
    tx: &mut Tx,
    pool_id: &str,
    subject: &str,
    now_ms: i64,
) -> Result<bool, Fault> {
    if find_lock(tx, pool_id, subject, now_ms).await? {
        return Ok(false);
    }
    tx.execute(
        "DELETE FROM pools_password_failures WHERE user_pool_id = $1 AND subject = $2",
        values![pool_id, subject],
    )
    .await?;
    Ok(true)
}

async fn find_lock(tx: &mut Tx, pool_id: &str, subject: &str, now_ms: i64) -> Result<bool, Fault> {
    let row = tx
        .row(
            "SELECT failures, last_at_ms FROM pools_password_failures
             WHERE user_pool_id = $1 AND subject = $2",
            values![pool_id, subject],
        )
        .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    let locked_until_ms = row.get::<i64>("last_at_ms")? + lock_ms(row.get("failures")?);
    Ok(now_ms < locked_until_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_begins_at_the_fifth_failure_and_doubles_up_to_fifteen_minutes() {
        for (failures, expected_ms) in [
            (0, 0),
            (1, 0),
            (4, 0),
            (5, 1_000),
            (6, 2_000),
            (10, 32_000),
            (14, 512_000),
            (15, 900_000),
            (16, 900_000),
            (70, 900_000),
            (i64::MAX, 900_000),
        ] {
            assert_eq!(lock_ms(failures), expected_ms, "{failures}");
        }
    }
}
