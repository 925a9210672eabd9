//! What an import reads and writes: many rows with each statement, because on a
//! database across the network every statement costs a trip.
//!
//! A statement is for [`ROWS`] rows, so that there are few texts to prepare. A
//! shorter rest is filled up with its last row, which changes nothing: looked for
//! twice it is found once, and written twice it conflicts with itself.

use std::{fmt::Write as _, iter, sync::LazyLock};

use platform::{Db, Fault, Row, Tx, Value, values};

use super::{
    Interrupted, NewCredential, NewUser, Record,
    keys::PublicKey,
    known::{Additions, Known, KnownCredential},
};
use crate::{App, AppId, UserId, stored};

/// How many rows one statement reads or writes. With twenty values to a row far
/// from what the databases allow.
const ROWS: usize = 50;

/// Adds to `known` all that is stored under an id of one of the records.
pub(crate) async fn load(
    tx: &mut Tx,
    app_id: &AppId,
    records: &[Record],
    known: &mut Known,
) -> Result<(), Fault> {
    let (mut ids, mut external_ids) = (Vec::new(), Vec::new());
    let (mut devices, mut credentials) = (Vec::new(), Vec::new());
    for record in records {
        match record {
            Record::User(new) => {
                ids.push(Value::from(&new.id));
                external_ids.push(Value::from(&new.external_id));
            }
            Record::Credential(new) => {
                ids.extend(new.record.user_id.as_ref().map(Value::from));
                external_ids.extend(new.record.external_id.as_deref().map(Value::from));
                devices.push(Value::from(&new.device_id));
                credentials.push(Value::from(&new.record.credential_id));
            }
        }
    }
    for (sql, keys) in [(&USERS_BY_ID, &ids), (&USERS_BY_EXTERNAL_ID, &external_ids)] {
        for row in find(tx, sql, app_id, keys).await? {
            known.add_user(&row.get("id")?, &row.get::<String>("external_id")?);
        }
    }
    // Devices come first: a ceremony could have stored the credential as well.
    for (sql, keys) in [
        (&DEVICES_BY_ID, &devices),
        (&DEVICES_BY_CREDENTIAL_ID, &credentials),
    ] {
        for row in find(tx, sql, app_id, keys).await? {
            let credential = KnownCredential {
                user_id: row.get("user_id")?,
                public_key: Some(row.get("public_key")?),
            };
            known.add_credential(row.get("credential_id")?, Some(row.get("id")?), credential);
        }
    }
    for row in find(tx, &KEYLESS_BY_CREDENTIAL_ID, app_id, &credentials).await? {
        let credential = KnownCredential {
            user_id: row.get("user_id")?,
            public_key: None,
        };
        known.add_credential(row.get("credential_id")?, None, credential);
    }
    Ok(())
}

/// Stores all of a batch. When somebody else took one of its ids at this moment,
/// or deleted one of its users, part of it may be written and nothing may stay.
pub(crate) async fn save(
    tx: &mut Tx,
    app: &App,
    additions: &Additions<'_>,
) -> Result<(), Interrupted> {
    let users = additions.users.iter();
    insert(tx, &INSERT_USERS, users.map(|new| user_row(&app.id, new))).await?;
    let (mut devices, mut keyless, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let (mut active, mut waiting) = (Vec::new(), Vec::new());
    for (owner, new) in &additions.credentials {
        match &new.record.public_key {
            Some(key) => {
                devices.push(device_row(app, owner, new, key));
                found.push(Value::from(&new.record.credential_id));
                active.push(owner);
            }
            None => {
                keyless.push(keyless_row(app, owner, new));
                waiting.push(owner);
            }
        }
    }
    insert(tx, &INSERT_KEYLESS, keyless.into_iter()).await?;
    for keys in chunks(&found) {
        let values = iter::once(Value::from(&app.id)).chain(keys);
        tx.execute(&DELETE_KEYLESS, &values.collect::<Vec<_>>())
            .await?;
    }
    insert(tx, &INSERT_DEVICES, devices.into_iter()).await?;
    hold(tx, &app.id, active, true).await?;
    hold(tx, &app.id, waiting, false).await
}

/// To be called again and again while an import makes the tables grow.
pub(crate) async fn analyze(db: &Db) -> Result<(), Fault> {
    db.analyze("ANALYZE passkeys_users, passkeys_devices, passkeys_keyless_devices")
        .await
}

/// Forgets what is kept of a user's credentials without keys.
pub(crate) async fn delete_keyless_of_user(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
) -> Result<u64, Fault> {
    tx.execute(
        "DELETE FROM passkeys_keyless_devices WHERE app_id = $1 AND user_id = $2",
        values![app_id, user_id],
    )
    .await
}

async fn find(
    tx: &mut Tx,
    sql: &'static Sql,
    app_id: &AppId,
    keys: &[Value],
) -> Result<Vec<Row>, Fault> {
    let mut found = Vec::new();
    for keys in chunks(keys) {
        let values: Vec<Value> = iter::once(Value::from(app_id)).chain(keys).collect();
        found.extend(tx.rows(sql, &values).await?);
    }
    Ok(found)
}

async fn insert<const N: usize>(
    tx: &mut Tx,
    sql: &'static Sql,
    rows: impl Iterator<Item = [Value; N]>,
) -> Result<(), Interrupted> {
    let rows: Vec<[Value; N]> = rows.collect();
    let mut inserted = 0;
    for rows in chunks(&rows) {
        let values: Vec<Value> = rows.flatten().collect();
        inserted += tx.execute(sql, &values).await?;
    }
    match inserted == rows.len() as u64 {
        true => Ok(()),
        false => Err(Interrupted::Overtaken),
    }
}

/// Makes waiting users active who got a credential that can be used. It holds
/// their rows, so that no credential outlives its user.
async fn hold(
    tx: &mut Tx,
    app_id: &AppId,
    mut ids: Vec<&UserId>,
    has_passkey: bool,
) -> Result<(), Interrupted> {
    ids.sort_unstable_by_key(|id| id.as_str());
    ids.dedup();
    let ids: Vec<Value> = ids.into_iter().map(Value::from).collect();
    let mut held = 0;
    for keys in chunks(&ids) {
        let values = [Value::from(app_id), Value::from(has_passkey)];
        let values: Vec<Value> = values.into_iter().chain(keys).collect();
        held += tx.execute(&HOLD_USERS, &values).await?;
    }
    match held == ids.len() as u64 {
        true => Ok(()),
        false => Err(Interrupted::Overtaken),
    }
}

/// Always [`ROWS`] at a time.
fn chunks<T: Clone>(rows: &[T]) -> impl Iterator<Item = impl Iterator<Item = T>> {
    rows.chunks(ROWS).map(|rows| {
        let fill = rows.last().into_iter().cycle();
        rows.iter().chain(fill).take(ROWS).cloned()
    })
}

fn user_row(app_id: &AppId, new: &NewUser) -> [Value; 8] {
    [
        Value::from(app_id),
        Value::from(&new.id),
        Value::from(&new.external_id),
        Value::from(stored::word(new.status)),
        Value::from(new.login_count),
        Value::from(new.times.created_at_ms),
        Value::from(new.times.updated_at_ms),
        Value::from(new.times.last_login_at_ms),
    ]
}

fn device_row(app: &App, owner: &UserId, new: &NewCredential, key: &PublicKey) -> [Value; 20] {
    let record = &new.record;
    [
        Value::from(&app.id),
        Value::from(&new.device_id),
        Value::from(owner),
        Value::from(&app.rp_id),
        Value::from(&record.credential_id),
        Value::from(&key.cose),
        Value::from(key.algorithm.cose_id()),
        Value::from(record.sign_count),
        Value::from(&record.aaguid[..]),
        Value::from(stored::json(&record.transports)),
        Value::from(record.backup_eligible),
        Value::from(record.backed_up),
        Value::from(record.requires_user_verification),
        Value::from(record.attachment.map(stored::word)),
        Value::from(&record.user_agent),
        Value::from(record.usage_count),
        Value::from(new.times.created_at_ms),
        Value::from(new.times.updated_at_ms),
        Value::from(new.times.last_login_at_ms),
        Value::from(stored::json(&record.imported)),
    ]
}

fn keyless_row(app: &App, owner: &UserId, new: &NewCredential) -> [Value; 6] {
    [
        Value::from(&app.id),
        Value::from(&new.record.credential_id),
        Value::from(owner),
        Value::from(&app.rp_id),
        Value::from(stored::json(&new.record.facts)),
        Value::from(new.times.created_at_ms),
    ]
}

/// A statement, made once.
type Sql = LazyLock<String>;

static USERS_BY_ID: Sql = LazyLock::new(|| {
    with_keys(
        "SELECT id, external_id FROM passkeys_users WHERE app_id = $1 AND id IN",
        2,
    )
});
static USERS_BY_EXTERNAL_ID: Sql = LazyLock::new(|| {
    with_keys(
        "SELECT id, external_id FROM passkeys_users WHERE app_id = $1 AND external_id IN",
        2,
    )
});
static DEVICES_BY_ID: Sql = LazyLock::new(|| {
    with_keys(
        "SELECT id, credential_id, user_id, public_key FROM passkeys_devices
         WHERE app_id = $1 AND id IN",
        2,
    )
});
static DEVICES_BY_CREDENTIAL_ID: Sql = LazyLock::new(|| {
    with_keys(
        "SELECT id, credential_id, user_id, public_key FROM passkeys_devices
         WHERE app_id = $1 AND credential_id IN",
        2,
    )
});
static KEYLESS_BY_CREDENTIAL_ID: Sql = LazyLock::new(|| {
    with_keys(
        "SELECT credential_id, user_id FROM passkeys_keyless_devices
         WHERE app_id = $1 AND credential_id IN",
        2,
    )
});
static DELETE_KEYLESS: Sql = LazyLock::new(|| {
    with_keys(
        "DELETE FROM passkeys_keyless_devices WHERE app_id = $1 AND credential_id IN",
        2,
    )
});
static HOLD_USERS: Sql = LazyLock::new(|| {
    with_keys(
        "UPDATE passkeys_users
         SET status = CASE WHEN status = 'pending' AND CAST($2 AS BIGINT) = 1
                      THEN 'active' ELSE status END
         WHERE app_id = $1 AND id IN",
        3,
    )
});
static INSERT_USERS: Sql = LazyLock::new(|| {
    with_rows(
        "INSERT INTO passkeys_users (
            app_id, id, external_id, status, login_count, created_at_ms, updated_at_ms,
            last_login_at_ms
         )",
        8,
    )
});
static INSERT_DEVICES: Sql = LazyLock::new(|| {
    with_rows(
        "INSERT INTO passkeys_devices (
            app_id, id, user_id, rp_id, credential_id, public_key, algorithm, sign_count,
            aaguid, transports, backup_eligible, backed_up, requires_user_verification,
            attachment, user_agent, usage_count, created_at_ms, updated_at_ms,
            last_login_at_ms, imported
         )",
        20,
    )
});
static INSERT_KEYLESS: Sql = LazyLock::new(|| {
    with_rows(
        "INSERT INTO passkeys_keyless_devices (
            app_id, credential_id, user_id, rp_id, facts, created_at_ms
         )",
        6,
    )
});

/// `… IN ($2, $3, …)` with [`ROWS`] keys, the first of this number.
fn with_keys(begin: &str, first: usize) -> String {
    format!("{begin} {}", places(first, ROWS))
}

/// `… VALUES ($1, …), (…), … ON CONFLICT DO NOTHING` with [`ROWS`] rows.
fn with_rows(begin: &str, columns: usize) -> String {
    let rows: Vec<String> = (0..ROWS)
        .map(|row| places(1 + row * columns, columns))
        .collect();
    format!("{begin} VALUES {} ON CONFLICT DO NOTHING", rows.join(", "))
}

/// `($5, $6, $7)`.
fn places(first: usize, count: usize) -> String {
    let mut places = String::new();
    for number in first..first + count {
        let comma = if number == first { "(" } else { ", " };
        write!(places, "{comma}${number}").expect("memory takes every text");
    }
    places + ")"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_places_for_all_its_rows() {
        assert_eq!(places(5, 3), "($5, $6, $7)");
        assert!(USERS_BY_ID.ends_with("$50, $51)"));
        assert!(HOLD_USERS.ends_with("$51, $52)"));
        assert!(INSERT_KEYLESS.ends_with("$299, $300) ON CONFLICT DO NOTHING"));
    }

    #[test]
    fn a_short_rest_is_filled_up_with_its_last_row() {
        let rows: Vec<usize> = (0..ROWS + 2).collect();
        let chunks: Vec<Vec<usize>> = chunks(&rows).map(Iterator::collect).collect();
        assert_eq!(chunks[0], rows[..ROWS]);
        assert_eq!(chunks[1][..3], [ROWS, ROWS + 1, ROWS + 1]);
        assert_eq!((chunks.len(), chunks[1].len()), (2, ROWS));
        assert_eq!(super::chunks::<usize>(&[]).count(), 0);
    }
}
