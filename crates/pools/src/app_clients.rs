//! App clients, where they are kept, and what proves them: secret and secret hash. What may be in
//! their configuration is in `configuration`.

mod configuration;

use accounts::Organization;
use aws_lc_rs::hmac;
use aws_protocol::{input::Input, json11};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use platform::{Fault, Row, values, vault};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{Error, Refusal, UserPools, attributes::Attributes, shapes, user_pools::UserPool};
use configuration::{Purpose, check_attribute_lists};

pub(crate) use configuration::ClientConfiguration;

/// One app client.
#[derive(Clone)]
pub(crate) struct AppClient {
    /// 26 characters of `[0-9a-z]`.
    pub(crate) id: String,
    pub(crate) user_pool_id: String,
    secret: Option<Zeroizing<String>>,
    pub(crate) configuration: ClientConfiguration,
    /// All members, as JSON text.
    stored: String,
    created_at_ms: i64,
    updated_at_ms: i64,
}

impl AppClient {
    fn from_row(row: &Row, pools: &UserPools) -> Result<AppClient, Fault> {
        let id: String = row.get("id")?;
        let stored: String = row.get("configuration")?;
        let secret = row
            .get::<Option<Vec<u8>>>("secret_sealed")?
            .map(|sealed| {
                let secret = pools.0.platform.vault.open(&secret_purpose(&id), &sealed)?;
                String::from_utf8(secret.to_vec())
                    .map(Zeroizing::new)
                    .map_err(|_| Fault::new("a client secret is not a text"))
            })
            .transpose()?;
        Ok(AppClient {
            id,
            user_pool_id: row.get("user_pool_id")?,
            secret,
            configuration: serde_json::from_str(&stored)
                .map_err(|error| Fault::while_doing("reading a client's configuration", error))?,
            stored,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
        })
    }

    /// Checks the `SecretHash` of a request (`cognito.md` §2): base64 of HMAC-SHA-256 under the
    /// client's secret over a username and the client's id. Good over any of `names`: the text
    /// that was sent, the internal username.
    pub(crate) fn check_secret_hash(
        &self,
        sent: Option<&str>,
        names: &[&str],
    ) -> Result<(), Refusal> {
        match (&self.secret, sent) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(Refusal::SecretHashUnexpected(self.id.clone())),
            (Some(_), None) => Err(Refusal::SecretHashMissing(self.id.clone())),
            (Some(secret), Some(sent)) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let is_good = names.iter().any(|name| {
                    let tag = hmac::sign(&key, format!("{name}{}", self.id).as_bytes());
                    vault::equal(BASE64.encode(tag).as_bytes(), sent.as_bytes())
                });
                if is_good {
                    Ok(())
                } else {
                    Err(Refusal::SecretHashWrong(self.id.clone()))
                }
            }
        }
    }

    pub(crate) fn has_secret(&self) -> bool {
        self.secret.is_some()
    }

    /// Checks a plain client secret, as RevokeToken takes it.
    pub(crate) fn check_secret(&self, sent: Option<&str>) -> bool {
        match (&self.secret, sent) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(secret), Some(sent)) => vault::equal(secret.as_bytes(), sent.as_bytes()),
        }
    }

    /// Refuses attributes that the app may not set.
    pub(crate) fn check_writes(&self, attributes: &Attributes) -> Result<(), Refusal> {
        if attributes
            .keys()
            .all(|name| self.configuration.may_write(name))
        {
            Ok(())
        } else {
            Err(Refusal::UnauthorizedAttribute)
        }
    }

    fn describe(&self) -> Result<Value, Fault> {
        let mut members: Map<String, Value> = serde_json::from_str(&self.stored)
            .map_err(|error| Fault::while_doing("reading a client's configuration", error))?;
        members.insert("ClientId".into(), json!(self.id));
        members.insert("UserPoolId".into(), json!(self.user_pool_id));
        if let Some(secret) = &self.secret {
            members.insert("ClientSecret".into(), json!(**secret));
        }
        members.insert(
            "CreationDate".into(),
            json11::timestamp(self.created_at_ms).into(),
        );
        members.insert(
            "LastModifiedDate".into(),
            json11::timestamp(self.updated_at_ms).into(),
        );
        Ok(Value::Object(members))
    }
}

fn secret_purpose(client_id: &str) -> String {
    format!("pools client secret {client_id}")
}

impl UserPools {
    /// CreateUserPoolClient. `request` and the answer have the shapes of the wire:
    /// `{"UserPoolId": …, "ClientName": …}`, `{"UserPoolClient": {…}}` (`cognito.md` §3).
    pub async fn create_user_pool_client(
        &self,
        organization: &Organization,
        request: &Map<String, Value>,
    ) -> Result<Value, Error> {
        let (pool_id, wants_secret, sent_secret) = Input::read(request, |input| {
            (
                input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
                input.boolean("GenerateSecret").or(false),
                input
                    .string("ClientSecret", &shapes::CLIENT_SECRET.min(24))
                    .optional(),
            )
        })?;
        let stored = configuration::read(request, Purpose::Create)?;
        let pool = self.find_owned_user_pool(organization, &pool_id).await?;
        check_attribute_lists(&stored, pool.configuration.schema())?;
        let entropy = &self.0.platform.entropy;
        let id = entropy.lowercase_alphanumeric(26);
        let sealed = sent_secret
            .or_else(|| wants_secret.then(|| entropy.lowercase_alphanumeric(51)))
            .map(|secret| {
                let purpose = secret_purpose(&id);
                self.0.platform.vault.seal(&purpose, secret.as_bytes())
            })
            .transpose()?;
        let (stored, now_ms) = (
            Value::Object(stored).to_string(),
            self.0.platform.clock.now_ms(),
        );
        let row = self
            .0
            .platform
            .db
            .write(async move |tx| {
                tx.row(
                    "INSERT INTO pools_app_clients
                        (id, user_pool_id, secret_sealed, configuration, created_at_ms, updated_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $5)
                     RETURNING id, user_pool_id, secret_sealed, configuration, created_at_ms, updated_at_ms",
                    values![&id, &pool.id, sealed.clone(), &stored, now_ms],
                )
                .await?
                .ok_or_else(|| Fault::new("a new app client gave no row"))
            })
            .await?;
        let client = AppClient::from_row(&row, self)?;
        Ok(json!({ "UserPoolClient": client.describe()? }))
    }

    /// DescribeUserPoolClient: `{"UserPoolClient": {…}}`.
    pub async fn describe_user_pool_client(
        &self,
        organization: &Organization,
        pool_id: &str,
        client_id: &str,
    ) -> Result<Value, Error> {
        let pool = self.find_owned_user_pool(organization, pool_id).await?;
        let client = self.find_client_of(&pool, client_id).await?;
        Ok(json!({ "UserPoolClient": client.describe()? }))
    }

    /// UpdateUserPoolClient: replaces the whole configuration; the secret stays.
    pub async fn update_user_pool_client(
        &self,
        organization: &Organization,
        request: &Map<String, Value>,
    ) -> Result<Value, Error> {
        let (pool_id, client_id) = Input::read(request, |input| {
            (
                input.string("UserPoolId", &shapes::USER_POOL_ID).required(),
                input.string("ClientId", &shapes::CLIENT_ID).required(),
            )
        })?;
        let mut stored = configuration::read(request, Purpose::Update)?;
        let pool = self.find_owned_user_pool(organization, &pool_id).await?;
        let before = self.find_client_of(&pool, &client_id).await?;
        check_attribute_lists(&stored, pool.configuration.schema())?;
        if !stored.contains_key("ClientName") {
            let mut before: Map<String, Value> = serde_json::from_str(&before.stored)
                .map_err(|error| Fault::while_doing("reading a client's configuration", error))?;
            let name = before.remove("ClientName");
            stored.extend(name.map(|name| ("ClientName".to_owned(), name)));
        }
        let (stored, now_ms) = (
            Value::Object(stored).to_string(),
            self.0.platform.clock.now_ms(),
        );
        let row = self
            .0
            .platform
            .db
            .write(async move |tx| {
                tx.row(
                    "UPDATE pools_app_clients SET configuration = $2, updated_at_ms = $3 WHERE id = $1
                     RETURNING id, user_pool_id, secret_sealed, configuration, created_at_ms, updated_at_ms",
                    values![&client_id, &stored, now_ms],
                )
                .await
            })
            .await?
            .ok_or(Refusal::AppClientNotFound(before.id))?;
        let client = AppClient::from_row(&row, self)?;
        Ok(json!({ "UserPoolClient": client.describe()? }))
    }

    /// DeleteUserPoolClient. Its refresh tokens die with it: a token is only good with its client.
    pub(crate) async fn delete_user_pool_client(
        &self,
        organization: &Organization,
        pool_id: &str,
        client_id: &str,
    ) -> Result<(), Error> {
        let pool = self.find_owned_user_pool(organization, pool_id).await?;
        let id = self.find_client_of(&pool, client_id).await?.id;
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute("DELETE FROM pools_app_clients WHERE id = $1", values![&id])
                    .await
            })
            .await?;
        Ok(())
    }

    /// ListUserPoolClients: items and where to go on, oldest first.
    pub(crate) async fn list_user_pool_clients(
        &self,
        pool: &UserPool,
        limit: i64,
        after: Option<(i64, String)>,
    ) -> Result<(Vec<Value>, Option<(i64, String)>), Error> {
        let pool_id = pool.id.clone();
        let (after_ms, after_id) = after.unwrap_or((i64::MIN, String::new()));
        let rows = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id, user_pool_id, secret_sealed, configuration, created_at_ms, updated_at_ms
                     FROM pools_app_clients
                     WHERE user_pool_id = $1 AND (created_at_ms, id) > ($2, $3)
                     ORDER BY created_at_ms, id LIMIT $4",
                    values![&pool_id, after_ms, &after_id, limit + 1],
                )
                .await
            })
            .await?;
        let mut items = Vec::new();
        let mut last = None;
        for row in rows.iter().take(usize::try_from(limit).unwrap_or(0)) {
            let client = AppClient::from_row(row, self)?;
            let described = client.describe()?;
            items.push(json!({
                "ClientId": client.id,
                "UserPoolId": client.user_pool_id,
                "ClientName": described["ClientName"],
            }));
            last = Some((client.created_at_ms, client.id));
        }
        let has_more = rows.len() > items.len();
        Ok((items, last.filter(|_| has_more)))
    }

    /// The client and the pool of a public call.
    pub(crate) async fn find_client_and_pool(
        &self,
        client_id: &str,
    ) -> Result<(AppClient, UserPool), Error> {
        let not_found = || Refusal::AppClientNotFound(client_id.to_owned());
        let client = self
            .find_app_client(client_id)
            .await?
            .ok_or_else(not_found)?;
        let pool = self
            .find_user_pool(&client.user_pool_id)
            .await?
            .ok_or_else(not_found)?;
        Ok((client, pool))
    }

    async fn find_client_of(&self, pool: &UserPool, client_id: &str) -> Result<AppClient, Error> {
        self.find_app_client(client_id)
            .await?
            .filter(|client| client.user_pool_id == pool.id)
            .ok_or_else(|| Refusal::AppClientNotFound(client_id.to_owned()).into())
    }

    /// A client by its id, of whatever pool.
    pub(crate) async fn find_app_client(&self, id: &str) -> Result<Option<AppClient>, Fault> {
        let id = id.to_owned();
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT id, user_pool_id, secret_sealed, configuration, created_at_ms, updated_at_ms
                     FROM pools_app_clients WHERE id = $1",
                    values![&id],
                )
                .await
            })
            .await?;
        row.as_ref()
            .map(|row| AppClient::from_row(row, self))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secret: Option<&str>) -> AppClient {
        AppClient {
            id: "1example23456789".into(),
            user_pool_id: "us-east-1_EXAMPLE00".into(),
            secret: secret.map(|secret| Zeroizing::new(secret.to_owned())),
            configuration: serde_json::from_value(json!({
                "EnableTokenRevocation": true,
                "AuthSessionValidity": 3,
                "RefreshTokenValidity": 30,
            }))
            .unwrap(),
            stored: "{}".into(),
            created_at_ms: 0,
            updated_at_ms: 0,
        }
    }

    #[test]
    fn a_secret_hash_is_an_hmac_over_name_and_client() {
        // Computed with `openssl dgst -sha256 -hmac secret -binary | base64`.
        let good = "HQBUrU/jVTJUeCCow+3L2lHD+OBWcvy1A8lajo2zQZ8=";
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let tag = hmac::sign(&key, b"ann1example23456789");
        let computed = BASE64.encode(tag);
        assert_eq!(computed, good);
        let with_secret = client(Some("secret"));
        assert_eq!(
            with_secret.check_secret_hash(Some(good), &["bob", "ann"]),
            Ok(())
        );
        assert_eq!(
            with_secret.check_secret_hash(Some(good), &["bob"]),
            Err(Refusal::SecretHashWrong("1example23456789".into()))
        );
        assert_eq!(
            with_secret.check_secret_hash(None, &["ann"]),
            Err(Refusal::SecretHashMissing("1example23456789".into()))
        );
        assert_eq!(client(None).check_secret_hash(None, &["ann"]), Ok(()));
        assert_eq!(
            client(None).check_secret_hash(Some(good), &["ann"]),
            Err(Refusal::SecretHashUnexpected("1example23456789".into()))
        );
    }
}
