//! The user pool's public keys, kept between requests. What they verify is in `access_token`.

use std::collections::HashMap;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use tokio::sync::Mutex;

use crate::error::ApiError;

/// The least time between two fetches, whether the last one succeeded or not: a stranger who makes up key ids must not
/// be able to send this server to the pool again and again. It is also the longest a new key of the pool is unknown.
const FETCH_INTERVAL: Duration = Duration::from_secs(5);

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// A key set by its URL. Fetched when it is first needed, and again when a token names a key it does not hold.
pub(crate) struct KeySet {
    url: String,
    http: reqwest::Client,
    keys: RwLock<HashMap<String, DecodingKey>>,
    /// When a fetch last began. Held while fetching, so that many tokens at once cause one fetch.
    fetched_at: Mutex<Option<Instant>>,
}

impl KeySet {
    pub(crate) fn new(url: String) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            // Whoever answers for the issuer decides who is signed in: nobody else is asked.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            url,
            http,
            keys: RwLock::default(),
            fetched_at: Mutex::default(),
        })
    }

    /// The RSA key with this id, if the pool has one.
    ///
    /// # Errors
    ///
    /// [`ApiError::Upstream`] if no key is known because the key set could not be fetched.
    pub(crate) async fn find(&self, kid: &str) -> Result<Option<DecodingKey>, ApiError> {
        if let Some(key) = self.known(kid) {
            return Ok(Some(key));
        }
        let mut fetched_at = self.fetched_at.lock().await;
        // Another request may have fetched it while this one waited.
        if let Some(key) = self.known(kid) {
            return Ok(Some(key));
        }
        let now = Instant::now();
        if may_fetch(*fetched_at, now) {
            *fetched_at = Some(now);
            let keys = self
                .fetch()
                .await
                .map_err(|error| unavailable(format!("{error:?}")))?;
            *self
                .keys
                .write()
                .unwrap_or_else(|poisoned| poisoned.into_inner()) = keys;
            return Ok(self.known(kid));
        }
        if self
            .keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .is_empty()
        {
            return Err(unavailable(
                "the key set could not be fetched a moment ago".to_owned(),
            ));
        }
        Ok(None)
    }

    fn known(&self, kid: &str) -> Option<DecodingKey> {
        self.keys
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .get(kid)
            .cloned()
    }

    async fn fetch(&self) -> Result<HashMap<String, DecodingKey>, reqwest::Error> {
        let set: JwkSet = self
            .http
            .get(&self.url)
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        Ok(rsa_keys(&set))
    }
}

fn may_fetch(fetched_at: Option<Instant>, now: Instant) -> bool {
    fetched_at.is_none_or(|fetched_at| now.duration_since(fetched_at) >= FETCH_INTERVAL)
}

fn rsa_keys(set: &JwkSet) -> HashMap<String, DecodingKey> {
    let usable = set
        .keys
        .iter()
        .filter(|jwk| matches!(jwk.algorithm, AlgorithmParameters::RSA(_)));
    usable
        .filter_map(|jwk| Some((jwk.common.key_id.clone()?, DecodingKey::from_jwk(jwk).ok()?)))
        .collect()
}

fn unavailable(cause: String) -> ApiError {
    ApiError::Upstream {
        who: "The user pool's key set",
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_waits_for_the_interval() {
        let now = Instant::now();
        assert!(may_fetch(None, now));
        assert!(!may_fetch(Some(now), now));
        assert!(!may_fetch(
            Some(now),
            now + FETCH_INTERVAL - Duration::from_millis(1)
        ));
        assert!(may_fetch(Some(now), now + FETCH_INTERVAL));
    }

    #[test]
    fn only_rsa_keys_with_an_id_are_kept() {
        let set = serde_json::json!({"keys": [
            {"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB", "alg": "RS256", "use": "sig"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
            {"kty": "oct", "kid": "b", "k": "c2VjcmV0"},
        ]});
        let set: JwkSet = serde_json::from_value(set).expect("a key set");
        assert_eq!(rsa_keys(&set).into_keys().collect::<Vec<_>>(), ["a"]);
    }
}
