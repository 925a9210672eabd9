//! What both databases promise, from the same source.

use platform::{Db, Fault, db::Location, test_database::TestDatabase, values};

struct Database {
    db: Db,
    location: Location,
    _database: TestDatabase,
}

async fn databases() -> Vec<Database> {
    let mut databases = Vec::new();
    for database in TestDatabase::all().await {
        let location = database.location();
        let db = Db::open(&location, 0).await.unwrap();
        db.write(async |tx| {
            tx.execute(
                "CREATE TABLE notes (id BIGINT PRIMARY KEY, text TEXT, bytes BYTEA)",
                values![],
            )
            .await
        })
        .await
        .unwrap();
        databases.push(Database {
            db,
            location,
            _database: database,
        });
    }
    databases
}

async fn count(db: &Db) -> i64 {
    db.read(async |tx| {
        tx.row("SELECT COUNT(*) AS count FROM notes", values![])
            .await?
            .expect("an aggregate has a row")
            .get("count")
    })
    .await
    .unwrap()
}

#[derive(Debug)]
enum Error {
    Refused,
    Fault(Fault),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault)
    }
}

#[tokio::test]
async fn values_come_back_as_they_were_and_binds_go_by_number() {
    for Database { db, .. } in databases().await {
        let row = db
            .write(async |tx| {
                tx.row(
                    "INSERT INTO notes (text, bytes, id) VALUES ($2, $3, $1)
                     RETURNING id, text, bytes",
                    values![7_i64, "häßlich", None::<Vec<u8>>],
                )
                .await
            })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.get::<i64>("id").unwrap(), 7);
        assert_eq!(row.get::<String>("text").unwrap(), "häßlich");
        assert_eq!(row.get::<Option<Vec<u8>>>("bytes").unwrap(), None);
        assert!(row.get::<i64>("text").is_err());
        assert!(row.get::<i64>("no such column").is_err());
    }
}

#[tokio::test]
async fn a_refused_write_leaves_nothing_and_spares_its_neighbors() {
    for Database { db, .. } in databases().await {
        let write = |id: i64| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write(async move |tx| {
                    tx.execute("INSERT INTO notes (id) VALUES ($1)", values![id])
                        .await?;
                    if id % 2 == 1 {
                        return Err(Error::Refused);
                    }
                    Ok(())
                })
                .await
            })
        };
        let writes: Vec<_> = (0..40).map(write).collect();
        let mut refused = 0;
        for write in writes {
            match write.await.unwrap() {
                Ok(()) => {}
                Err(Error::Refused) => refused += 1,
                Err(Error::Fault(fault)) => panic!("{fault}"),
            }
        }
        assert_eq!(refused, 20);
        assert_eq!(count(&db).await, 20);
    }
}

#[tokio::test]
async fn a_fault_and_a_panic_roll_back_and_the_database_goes_on() {
    for Database { db, .. } in databases().await {
        let broken = db
            .write(async |tx| {
                tx.execute("INSERT INTO notes (id) VALUES (1)", values![])
                    .await?;
                tx.execute("INSERT INTO nowhere (id) VALUES (1)", values![])
                    .await
            })
            .await;
        assert!(broken.unwrap_err().to_string().contains("nowhere"));
        let panicked = db
            .write(async |tx| {
                tx.execute("INSERT INTO notes (id) VALUES (1)", values![])
                    .await?;
                assert!(tx.row("SELECT 1", values![]).await?.is_none(), "on purpose");
                Ok::<_, Fault>(())
            })
            .await;
        assert!(panicked.is_err());
        assert_eq!(count(&db).await, 0);
        db.write(async |tx| {
            tx.execute("INSERT INTO notes (id) VALUES (1)", values![])
                .await
        })
        .await
        .unwrap();
        assert_eq!(count(&db).await, 1);
    }
}

#[tokio::test]
async fn of_many_takers_of_one_row_exactly_one_gets_it() {
    for Database { db, .. } in databases().await {
        db.write(async |tx| {
            tx.execute("INSERT INTO notes (id) VALUES (1)", values![])
                .await
        })
        .await
        .unwrap();
        let takers: Vec<_> = (0..50)
            .map(|_| {
                let db = db.clone();
                tokio::spawn(async move {
                    db.write(async |tx| {
                        tx.row("DELETE FROM notes WHERE id = 1 RETURNING id", values![])
                            .await
                    })
                    .await
                    .unwrap()
                    .is_some()
                })
            })
            .collect();
        let mut taken = 0;
        for taker in takers {
            taken += usize::from(taker.await.unwrap());
        }
        assert_eq!(taken, 1);
    }
}

#[tokio::test]
async fn reading_cannot_write() {
    let databases = databases().await;
    let outcome = databases[0]
        .db
        .read(async |tx| {
            tx.execute("INSERT INTO notes (id) VALUES (1)", values![])
                .await
        })
        .await;
    assert!(outcome.is_err());
}

#[tokio::test]
async fn opening_again_changes_nothing_and_a_newer_schema_is_refused() {
    for Database { db, location, .. } in databases().await {
        Db::open(&location, 0).await.unwrap();
        db.write(async |tx| {
            tx.execute(
                "INSERT INTO schema_migrations (name, applied_at_ms) VALUES ('9999_later', 0)",
                values![],
            )
            .await
        })
        .await
        .unwrap();
        let refusal = Db::open(&location, 0).await.unwrap_err();
        assert!(refusal.to_string().contains("9999_later"), "{refusal}");
    }
}
