//! The program: composes the products and listens; decides nothing.

mod apps;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dev;
mod metadata;
mod middleware;
pub mod proxies;
pub mod routes;
mod sdk;
pub mod serve;
pub mod telemetry;
mod transfer;
mod webhooks;
