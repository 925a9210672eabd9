//! API keys: what a customer's server shows to act for an app. The secret is
//! shown once, when the key is made; only its hash is kept.

use std::sync::Arc;

use platform::{Fault, Row, values, vault};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    ApiKeyId, App, AppId, Failure, Passkeys, Refusal,
    apps::{check_name, select_apps},
    recent::RecentKey,
};

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Identifies it to people.
    pub id: ApiKeyId,
    /// The app it acts for.
    pub app_id: AppId,
    /// What people call it.
    pub name: String,
    /// The part before the dot, by which a lost key can be told.
    pub prefix: String,
    /// When it was created.
    pub created_at_ms: i64,
}

/// A fresh API key: the only moment at which its secret can be read.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What is kept of it.
    pub api_key: ApiKey,
    /// The whole key as clients send it: 10 letters and digits, a dot, 64 more.
    pub secret: SecretString,
}

impl Passkeys {
    /// Creates an API key of an app; `name` has 1 to 128 characters.
    pub async fn create_api_key(&self, app_id: &AppId, name: &str) -> Result<NewApiKey, Failure> {
        check_name(name)?;
        let entropy = &self.platform.entropy;
        let prefix = entropy.alphanumeric(PREFIX_LENGTH);
        let secret = SecretString::from(format!(
            "{prefix}.{}",
            entropy.alphanumeric(SECRET_PART_LENGTH)
        ));
        let api_key = ApiKey {
            id: ApiKeyId::random(entropy),
            app_id: app_id.clone(),
            name: name.to_owned(),
            prefix,
            created_at_ms: self.platform.clock.now_ms(),
        };
        let hash = self.hash_api_key(secret.expose_secret());
        let stored = api_key.clone();
        self.platform
            .db
            .write(async move |tx| {
                let app = tx
                    .row(
                        "SELECT id FROM passkeys_apps WHERE id = $1",
                        values![&stored.app_id],
                    )
                    .await?;
                if app.is_none() {
                    return Err(Failure::from(Refusal::AppNotFound));
                }
                tx.execute(
                    "INSERT INTO passkeys_api_keys (id, app_id, name, prefix, hash, created_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $6)",
                    values![
                        &stored.id,
                        &stored.app_id,
                        &stored.name,
                        &stored.prefix,
                        hash,
                        stored.created_at_ms,
                    ],
                )
                .await?;
                Ok(())
            })
            .await?;
        Ok(NewApiKey { api_key, secret })
    }

    /// All API keys of an app, the oldest first.
    pub async fn list_api_keys(&self, app_id: &AppId) -> Result<Vec<ApiKey>, Fault> {
        let app_id = app_id.clone();
        self.platform
            .db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id, app_id, name, prefix, created_at_ms FROM passkeys_api_keys
                     WHERE app_id = $1 ORDER BY created_at_ms",
                    values![&app_id],
                )
                .await?
                .iter()
                .map(ApiKey::from_row)
                .collect()
            })
            .await
    }

    /// Deletes an API key: it is refused from now on, by other nodes a second later.
    pub async fn delete_api_key(&self, app_id: &AppId, id: &ApiKeyId) -> Result<(), Failure> {
        let (app_id, id) = (app_id.clone(), id.clone());
        let outcome = self
            .platform
            .db
            .write(async move |tx| {
                let deleted = tx
                    .execute(
                        "DELETE FROM passkeys_api_keys WHERE app_id = $1 AND id = $2",
                        values![&app_id, &id],
                    )
                    .await?;
                match deleted {
                    0 => Err(Failure::from(Refusal::ApiKeyNotFound)),
                    _ => Ok(()),
                }
            })
            .await;
        self.recent.forget();
        outcome
    }

    /// The app `app_id`, if `secret` is one of its API keys.
    ///
    /// An unknown app, an unknown key and a key of another app look alike
    /// (passkey-flex section b.2), and which of them it is shows in no timing:
    /// the secret part is compared by keyed hash, in constant time.
    pub(crate) async fn authorize(
        &self,
        app_id: Option<AppId>,
        secret: Option<&str>,
    ) -> Result<Arc<App>, Failure> {
        let refused = || Failure::from(Refusal::InvalidAccessToken);
        let app_id = app_id.ok_or_else(refused)?;
        let secret = secret.ok_or_else(refused)?;
        let prefix = prefix_of(secret).ok_or_else(refused)?;
        let known = self.find_api_key_recently(app_id, prefix).await?;
        let shown = self.hash_api_key(secret);
        let known = known.ok_or_else(refused)?;
        if !vault::equal(&known.hash, &shown) {
            return Err(refused());
        }
        Ok(known.app)
    }

    /// The key of this prefix, if it is one of the app's, as it was at most a moment ago.
    async fn find_api_key_recently(
        &self,
        app_id: AppId,
        prefix: &str,
    ) -> Result<Option<RecentKey>, Fault> {
        let now_ms = self.platform.clock.now_ms();
        if let Some(known) = self.recent.api_key(prefix, now_ms) {
            return Ok(Some(known).filter(|known| known.app.id == app_id));
        }
        let reading = self.recent.begin(now_ms);
        let sought = prefix.to_owned();
        let found = self
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    select_apps!(
                        "passkeys_api_keys AS k JOIN passkeys_apps AS a ON a.id = k.app_id
                         WHERE k.prefix = $1 AND k.app_id = $2",
                        "k.hash"
                    ),
                    values![sought, &app_id],
                )
                .await
            })
            .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let key = RecentKey {
            hash: row.get("hash")?,
            app: Arc::new(App::from_row(&row)?),
        };
        self.recent
            .keep_api_key(reading, prefix.to_owned(), key.clone());
        Ok(Some(key))
    }

    fn hash_api_key(&self, secret: &str) -> [u8; 32] {
        self.platform
            .vault
            .hash("passkeys api key", secret.as_bytes())
    }
}

impl ApiKey {
    fn from_row(row: &Row) -> Result<ApiKey, Fault> {
        Ok(ApiKey {
            id: row.get("id")?,
            app_id: row.get("app_id")?,
            name: row.get("name")?,
            prefix: row.get("prefix")?,
            created_at_ms: row.get("created_at_ms")?,
        })
    }
}

/// The part before the dot of a well-formed key.
fn prefix_of(secret: &str) -> Option<&str> {
    let (prefix, rest) = secret.split_once('.')?;
    let is_alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let well_formed = prefix.len() == PREFIX_LENGTH
        && rest.len() == SECRET_PART_LENGTH
        && is_alphanumeric(prefix)
        && is_alphanumeric(rest);
    well_formed.then_some(prefix)
}

const PREFIX_LENGTH: usize = 10;
const SECRET_PART_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_a_dot_and_64_characters_are_a_key() {
        let rest = "b".repeat(64);
        assert_eq!(prefix_of(&format!("aaaaaaaaaa.{rest}")), Some("aaaaaaaaaa"));
        for secret in [
            String::new(),
            "aaaaaaaaaa".into(),
            rest.clone(),
            format!("aaaaaaaaa.{rest}"),
            format!("aaaaaaaaaaa.{rest}"),
            format!("aaaaaaaaaa.{rest}b"),
            format!("aaaaaaaaaa.{rest} "),
            format!("aaaaaaaaa\0.{rest}"),
            format!("aaaaaaaaaa..{}", &rest[1..]),
        ] {
            assert_eq!(prefix_of(&secret), None, "{secret:?}");
        }
    }
}
