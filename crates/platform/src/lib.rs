//! The ground every product stands on: database, time, chance and secrets.
//!
//! Admission rule: no business noun and no general helper lives here. A product
//! gets a [`Platform`] and draws everything impure from it, so that a test can
//! replace the clock and the dice and nothing else.

pub mod clock;
pub mod db;
pub mod entropy;
pub mod fault;
mod migrate;
mod postgres;
mod sqlite;
#[cfg(feature = "test-database")]
pub mod test_database;
pub mod vault;

pub use clock::Clock;
pub use db::{Db, Row, Tx, Value};
pub use entropy::Entropy;
pub use fault::Fault;
pub use vault::Vault;

/// What a product needs of the world. Cheap to clone; all clones share the same parts.
#[derive(Clone, Debug)]
pub struct Platform {
    /// Where everything durable is kept.
    pub db: Db,
    /// The only source of the time.
    pub clock: Clock,
    /// The only source of chance.
    pub entropy: Entropy,
    /// Seals and hashes secrets at rest.
    pub vault: Vault,
}
