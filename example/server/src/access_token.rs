//! Whether an access token of the user pool is good, and whose it is. The keys come from `key_set`.
//!
//! The rules are the ones of the vendor's own verifier library: signature by a key of the pool, then `iss`, `exp`,
//! `token_use` and `client_id`. A token checked this way stays good until it expires, even after the user signed out.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use crate::error::ApiError;
use crate::key_set::KeySet;
use crate::settings::Settings;

const REFUSED: ApiError = ApiError::Unauthorized("The access token is not valid.");

/// Accepts the access tokens of one app client of one user pool.
pub(crate) struct AccessTokens {
    keys: KeySet,
    issuer: String,
    client_id: String,
}

/// Whose token it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The user's unchanging id.
    pub(crate) sub: String,
    /// The pool's own name of the user.
    pub(crate) username: String,
    token_use: String,
    client_id: String,
}

impl AccessTokens {
    pub(crate) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        Ok(Self {
            keys: KeySet::new(settings.key_set_url())?,
            issuer: settings.issuer(),
            client_id: settings.app_client_id.clone(),
        })
    }

    /// The claims of a good token.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unauthorized`] without saying what is wrong; [`ApiError::Upstream`] if the pool's keys cannot be had.
    pub(crate) async fn verify(&self, token: &str) -> Result<Claims, ApiError> {
        let kid = key_id(token).ok_or(REFUSED)?;
        let key = self.keys.find(&kid).await?.ok_or(REFUSED)?;
        self.check(token, &key).ok_or(REFUSED)
    }

    fn check(&self, token: &str, key: &DecodingKey) -> Option<Claims> {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.set_issuer(&[&self.issuer]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        rules.leeway = 0;
        // The pool's access tokens name their client in `client_id`; an `aud` is there only for resource servers.
        rules.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &rules)
            .ok()?
            .claims;
        (claims.token_use == "access" && claims.client_id == self.client_id).then_some(claims)
    }
}

/// The header is not trusted: it only says which key to try, and the algorithm is fixed.
fn key_id(token: &str) -> Option<String> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    if header.alg != Algorithm::RS256 {
        return None;
    }
    header.kid
}
