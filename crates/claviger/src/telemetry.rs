//! The log: a message for people, fields for queries.
//!
//! Never in it: API keys, nonces, tokens, passwords, sessions, confirmation
//! codes (but for `code_delivery = "log"`), environment variables of functions,
//! request or response bodies, query strings.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Config, ConfigError, LogFormat};

/// Starts logging to standard error, as the settings say.
pub fn init(config: &Config) -> Result<(), ConfigError> {
    let filter = EnvFilter::try_new(&config.log)
        .map_err(|error| ConfigError::Refused(format!("the setting log is not valid: {error}")))?;
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => registry.with(layer.with_target(false)).init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
    }
    Ok(())
}
