//! The acceptance tests: everything seen from outside, over HTTP.

mod addresses;
mod architecture;
mod command_line;
mod custom_auth;
mod durability;
mod guide;
mod import;
mod malformed;
mod nonces;
mod published_clients;
mod served_sdk;
mod transactions;
mod trigger_failures;
