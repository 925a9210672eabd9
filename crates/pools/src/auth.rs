//! Signing in: the flows, their challenges and triggers (`cognito.md` §6, §8, §14).
//!
//! `machine` decides and `triggers` knows the shapes, both pure; `sessions` keeps what happens
//! between two requests; `invoke` calls a function within its bounds; `driver` is the only place
//! where these meet the world.

pub(crate) mod driver;
mod invoke;
pub(crate) mod machine;
mod sessions;
pub(crate) mod triggers;
