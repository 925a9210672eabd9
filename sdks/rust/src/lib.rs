//! Server SDK for the Passkey Flex API of Claviger: make the transactions that let a browser or an app run a passkey
//! ceremony, redeem the nonce that comes back, and look after users' devices.
//!
//! Classes and methods are named as in Passage's own crate `passage_flex`, so code written for that one needs a new
//! `use` line and the address of the server ([`Builder::base_url`]).
//!
//! One registration, from the customer's server:
//!
//! ```no_run
//! # async fn example() -> Result<(), claviger_flex::Error> {
//! use claviger_flex::PassageFlex;
//!
//! let flex = PassageFlex::builder("<app id>", "<API key>")
//!     .base_url("https://passkeys.example.com/v1")
//!     .build()?;
//!
//! // 1. The user is known to your server: permit one registration, and hand the id to the browser.
//! let transaction_id = flex.auth.create_register_transaction("user-42", "mia@example.com").await?;
//!
//! // 2. The browser runs the ceremony and comes back with a nonce, which is good for one exchange.
//! # let (nonce, _) = (String::new(), transaction_id);
//! let external_id = flex.auth.verify_nonce(nonce).await?;
//! assert_eq!(external_id, "user-42");
//! # Ok(())
//! # }
//! ```
//!
//! Later, the user's devices:
//!
//! ```no_run
//! # async fn example(flex: claviger_flex::PassageFlex) -> Result<(), claviger_flex::Error> {
//! for device in flex.user.list_devices("user-42").await? {
//!     println!("{}, last used {}", device.friendly_name, device.last_login_at);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What is deliberately not here: anything that runs in a browser, and any session or token of a user. The server
//! makes its own after [`Auth::verify_nonce`].

mod auth;
mod client;
mod error;
pub mod models;
mod users;

pub use auth::Auth;
pub use client::{Builder, DEFAULT_BASE_URL, DEFAULT_TIMEOUT, PassageFlex};
pub use error::Error;
pub use users::User;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the recipe.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/step-up.md")]
struct StepUp;
