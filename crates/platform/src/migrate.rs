//! The schema: ordered steps of the same SQL text for both databases, embedded
//! in the program.

use crate::{Db, Fault, values};

/// A step: its number and name, and its statements, each ended by a semicolon
/// at the end of a line.
type Migration = (&'static str, &'static str);

const MIGRATIONS: &[Migration] = &[
    (
        "0001_accounts",
        include_str!("../../../migrations/0001_accounts.sql"),
    ),
    (
        "0002_passkeys",
        include_str!("../../../migrations/0002_passkeys.sql"),
    ),
    (
        "0003_functions",
        include_str!("../../../migrations/0003_functions.sql"),
    ),
    (
        "0004_pools",
        include_str!("../../../migrations/0004_pools.sql"),
    ),
    (
        "0005_passkeys_events",
        include_str!("../../../migrations/0005_passkeys_events.sql"),
    ),
    (
        "0006_passkeys_import",
        include_str!("../../../migrations/0006_passkeys_import.sql"),
    ),
    (
        "0007_passkeys_app_settings",
        include_str!("../../../migrations/0007_passkeys_app_settings.sql"),
    ),
    (
        "0008_passkeys_webhooks",
        include_str!("../../../migrations/0008_passkeys_webhooks.sql"),
    ),
    (
        "0011_passkeys_conditional",
        include_str!("../../../migrations/0011_passkeys_conditional.sql"),
    ),
    (
        "0012_passkeys_metadata",
        include_str!("../../../migrations/0012_passkeys_metadata.sql"),
    ),
];

/// Brings the schema up to date. Safe when several processes start at once:
/// the row that records a step is written before the step, in the same
/// transaction, so the slower process waits for it and then finds it done.
pub(crate) async fn run(db: &Db, now_ms: i64) -> Result<(), Fault> {
    db.write(async |tx| {
        tx.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                name TEXT PRIMARY KEY,
                applied_at_ms BIGINT NOT NULL
            )",
            values![],
        )
        .await
    })
    .await?;
    let applied: Vec<String> = db
        .read(async |tx| {
            tx.rows("SELECT name FROM schema_migrations", values![])
                .await?
                .iter()
                .map(|row| row.get("name"))
                .collect()
        })
        .await?;
    if let Some(unknown) = applied
        .iter()
        .find(|name| MIGRATIONS.iter().all(|(known, _)| known != name))
    {
        return Err(Fault::new(format!(
            "the database was used by a newer version of this program (it has the schema step \
             {unknown}); start that version instead"
        )));
    }
    for &(name, sql) in MIGRATIONS {
        if !applied.iter().any(|done| done == name) {
            db.write(async move |tx| {
                let recorded = tx
                    .execute(
                        "INSERT INTO schema_migrations (name, applied_at_ms) VALUES ($1, $2)
                         ON CONFLICT DO NOTHING",
                        values![name, now_ms],
                    )
                    .await?;
                if recorded == 1 {
                    for statement in statements(sql) {
                        tx.execute(statement, values![]).await?;
                    }
                }
                Ok::<_, Fault>(())
            })
            .await?;
        }
    }
    Ok(())
}

fn statements(sql: &'static str) -> impl Iterator<Item = &'static str> {
    sql.split(";\n")
        .map(str::trim)
        .filter(|statement| !statement.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_folder() {
        let mut files: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"))
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
        files.sort();
        let list: Vec<String> = MIGRATIONS
            .iter()
            .map(|(name, _)| format!("{name}.sql"))
            .collect();
        assert_eq!(files, list);
    }
}
