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

use platform::test_database::TestDatabase;

/// A new database of the kind that `CLAVIGER_TEST_DATABASE` says.
pub async fn database() -> TestDatabase {
    match std::env::var("CLAVIGER_TEST_DATABASE") {
        Ok(server) if server.starts_with("postgres") => TestDatabase::postgres(server).await,
        Ok(other) if other != "sqlite" => {
            panic!("CLAVIGER_TEST_DATABASE is neither sqlite nor a postgres URL: {other}")
        }
        _ => TestDatabase::sqlite(),
    }
}
