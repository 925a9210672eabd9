//! The harness of the acceptance tests: Claviger started like a person would,
//! on either database, and clients that talk to it over HTTP.
//!
//! `CLAVIGER_TEST_DATABASE` says which database: `sqlite` (also when unset), or
//! the URL of a PostgreSQL server on which tests may create databases. Each test
//! has a database of its own. `cargo xtask test` runs everything on both.

pub mod aws;
pub mod lambda;
pub mod person;
pub mod process;
pub mod server;

pub use person::Person;
pub use process::Process;
pub use server::Server;

use platform::Entropy;
use tempfile::TempDir;
use url::Url;

/// A database of one test's own.
pub struct Database {
    /// What `--database-url` takes.
    pub url: String,
    /// Where files go; the folder of the SQLite database.
    pub folder: TempDir,
}

impl Database {
    /// A new, empty database.
    pub async fn create() -> Database {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let url = match std::env::var("CLAVIGER_TEST_DATABASE") {
            Ok(server) if server.starts_with("postgres") => create_on(&server).await,
            Ok(other) if other != "sqlite" => {
                panic!("CLAVIGER_TEST_DATABASE is neither sqlite nor a postgres URL: {other}")
            }
            _ => folder.path().join("claviger.db").display().to_string(),
        };
        Database { url, folder }
    }
}

async fn create_on(server: &str) -> String {
    let name = format!("test_{}", Entropy::system().lowercase_alphanumeric(16));
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls)
        .await
        .expect("the PostgreSQL server of CLAVIGER_TEST_DATABASE answers");
    let connection = tokio::spawn(connection);
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .expect("a database can be created");
    connection.abort();
    let mut url = Url::parse(server).expect("CLAVIGER_TEST_DATABASE is a URL");
    url.set_path(&name);
    // Nobody listens in on loopback, and a TLS negotiation would cost each connection a round trip.
    url.set_query(Some("sslmode=disable"));
    url.into()
}
