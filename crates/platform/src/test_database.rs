//! Databases for tests, one of each kind, gone when the test ends (feature `test-database`).

use std::path::Path;

use tempfile::TempDir;

use crate::{Entropy, db::Location};

/// A new, empty database, and a folder for whatever else a test keeps. Both go when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    folder: TempDir,
    postgres: Option<Postgres>,
}

#[derive(Debug)]
struct Postgres {
    server: String,
    name: String,
}

impl TestDatabase {
    /// An SQLite database, and a PostgreSQL one if `CLAVIGER_TEST_POSTGRES` holds the URL of a
    /// server on which databases may be created. `cargo xtask test` sees to that.
    pub async fn all() -> Vec<TestDatabase> {
        let mut databases = vec![TestDatabase::sqlite()];
        if let Ok(server) = std::env::var("CLAVIGER_TEST_POSTGRES") {
            databases.push(TestDatabase::postgres(server).await);
        }
        databases
    }

    /// A file in a temporary folder.
    pub fn sqlite() -> TestDatabase {
        TestDatabase {
            folder: tempfile::tempdir().expect("a temporary folder"),
            postgres: None,
        }
    }

    /// A database of the server at this URL.
    pub async fn postgres(server: String) -> TestDatabase {
        let name = format!("test_{}", Entropy::system().lowercase_alphanumeric(16));
        execute(&server, &format!("CREATE DATABASE {name}")).await;
        TestDatabase {
            folder: tempfile::tempdir().expect("a temporary folder"),
            postgres: Some(Postgres { server, name }),
        }
    }

    /// Whether this is a PostgreSQL database.
    pub fn is_postgres(&self) -> bool {
        self.postgres.is_some()
    }

    /// Where the database is, as a URL or a path.
    pub fn url(&self) -> String {
        match &self.postgres {
            None => self.folder.path().join("test.db").display().to_string(),
            Some(postgres) => {
                let mut url = url::Url::parse(&postgres.server).expect("the server's URL");
                url.set_path(&postgres.name);
                // On loopback nobody listens in, and a TLS negotiation costs each connection a trip.
                url.set_query(Some("sslmode=disable"));
                url.into()
            }
        }
    }

    /// Where the database is.
    pub fn location(&self) -> Location {
        Location::parse(&self.url())
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let server = self.server.clone();
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        // A runtime cannot wait inside another one, so this has its own thread.
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime")
                .block_on(execute(&server, &sql));
        });
        // A failure has been printed by the thread; the test's own outcome counts.
        let _ = dropping.join();
    }
}

async fn execute(server: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .expect("the PostgreSQL server for tests answers");
    tokio::spawn(connection);
    client
        .batch_execute(sql)
        .await
        .expect("the PostgreSQL server for tests obeys");
}
