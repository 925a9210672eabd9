//! User pools that speak Amazon Cognito's JSON API.
//!
//! [`UserPools`] is the handle that every door uses; [`UserPools::router`] is its HTTP door. The
//! rooms:
//!
//! - nouns with their SQL: `user_pools`, `app_clients`, `users`, `codes`, `passwords`,
//!   `password_failures`, `signing_keys`, `tokens`;
//! - registration: `sign_up`; signing in: `auth`;
//! - pure decisions: `attributes`, `password_policy`, `claims`, `auth::machine`, `auth::triggers`,
//!   and the `configuration` of pools and of clients;
//! - the wire: `shapes` (texts of the API model) and `http`.
//!
//! What does not live here: passkeys. Only the functions that a pool calls as triggers join the
//! two, over the public API.

mod app_clients;
mod attributes;
mod auth;
mod claims;
mod codes;
mod http;
mod password_failures;
mod password_policy;
mod passwords;
mod refusal;
mod shapes;
mod sign_up;
mod signing_keys;
mod tokens;
mod user_pools;
mod users;

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex},
};

use accounts::Accounts;
use functions::Functions;
use platform::{Fault, Platform};

pub use refusal::{
    AccessTokenDenial, AttributeDenial, AuthFlow, Contact, Error, PasswordDenial,
    RefreshTokenDenial, Refusal, SessionDenial, TriggerRefusal,
};

/// What an operator decides about all pools of a server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This server's own URL, without a slash at the end: `http://127.0.0.1:8082`.
    pub public_url: String,
    /// Who tokens say they are from.
    pub issuer: IssuerForm,
    /// The region that ids of new pools begin with: `us-east-1`.
    pub region: String,
    /// How codes reach users.
    pub delivery: Delivery,
    /// Whether a pool may call only functions that permit it (`lambda.md` §11). Otherwise a
    /// missing permission is logged once per function.
    pub enforce_function_permissions: bool,
}

/// The form of the `iss` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerForm {
    /// This server's URL and the pool: what OpenID discovery expects.
    Server,
    /// `https://cognito-idp.<region>.amazonaws.com/<pool>`, for verifiers that accept nothing else.
    Aws,
}

/// How codes reach users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Into this server's log. For development: who reads the log can confirm any user.
    Log,
    /// Not at all: what would send a code fails with `CodeDeliveryFailureException`.
    None,
}

/// The user pools: what doors hold. Cheap to clone.
#[derive(Clone)]
pub struct UserPools(Arc<Parts>);

struct Parts {
    platform: Platform,
    accounts: Accounts,
    functions: Functions,
    settings: Settings,
    hashing: passwords::Hashing,
    signing_keys: signing_keys::Cache,
    /// Functions whose permission has been looked at.
    checked_functions: Mutex<HashSet<String>>,
}

impl UserPools {
    /// The pools of this platform. `functions` runs the triggers.
    pub fn new(
        platform: Platform,
        accounts: Accounts,
        functions: Functions,
        mut settings: Settings,
    ) -> UserPools {
        // A slash more would make another issuer.
        let url = settings.public_url.trim_end_matches('/');
        settings.public_url.truncate(url.len());
        UserPools(Arc::new(Parts {
            platform,
            accounts,
            functions,
            settings,
            hashing: passwords::Hashing::new(),
            signing_keys: signing_keys::Cache::default(),
            checked_functions: Mutex::default(),
        }))
    }

    /// Deletes what has expired: auth sessions, codes, refresh tokens and forgotten wrong
    /// passwords. Works in small batches, so it holds no lock for long; call it now and then.
    pub async fn sweep(&self) -> Result<(), Fault> {
        self.sweep_auth_sessions().await?;
        self.sweep_codes().await?;
        self.sweep_refresh_tokens().await?;
        self.sweep_password_failures().await
    }
}

impl fmt::Debug for UserPools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserPools")
    }
}
