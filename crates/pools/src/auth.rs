//! Signing in: the flows, their challenges and triggers (`cognito.md` §6, §8, §14).
//!
//! `driver` takes a request, `password` and `custom` run the flows about an `attempt`, `sessions`
//! keeps what happens between two requests, `invoke` calls a function within its bounds. `machine`
//! decides and `triggers` knows the shapes, both pure.

pub(crate) mod attempt;
mod custom;
pub(crate) mod driver;
mod invoke;
pub(crate) mod machine;
mod password;
mod sessions;
pub(crate) mod triggers;
