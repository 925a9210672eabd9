//! The passkey product through its own routes, on both databases, with time
//! moved by hand and a software authenticator. PostgreSQL takes part when
//! `CLAVIGER_TEST_POSTGRES` names a server; `cargo xtask test` sees to it.

mod attestation;
mod conditional;
mod cors;
mod denials;
mod events;
mod house;
mod import;
mod lifetimes;
mod lists;
mod malformed;
mod matrix;
mod metadata;
mod native_clients;
mod openapi;
mod pictures;
mod races;
mod rate_limits;
mod receiver;
mod sequences;
mod settings;
mod story;
mod tenants;
mod users;
mod webhooks;
