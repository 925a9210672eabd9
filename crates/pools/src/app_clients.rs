//! App clients: what each may do, its secret and secret hash, and where clients are kept.

use std::collections::HashSet;

use accounts::Organization;
use aws_lc_rs::hmac;
use aws_protocol::{
    input::{Input, Integer, Size, Text},
    json11,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use platform::{Fault, Row, values, vault};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::{
    Error, Refusal, UserPools,
    attributes::{Attributes, EMAIL_VERIFIED, PHONE_NUMBER_VERIFIED, SUB},
    refusal::AuthFlow,
    shapes,
    user_pools::UserPool,
};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

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

/// The part of a client's configuration that this server acts on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ClientConfiguration {
    #[serde(default)]
    explicit_auth_flows: Option<HashSet<String>>,
    #[serde(default)]
    prevent_user_existence_errors: Option<String>,
    #[serde(default)]
    read_attributes: Option<HashSet<String>>,
    #[serde(default)]
    write_attributes: Option<HashSet<String>>,
    pub(crate) enable_token_revocation: bool,
    auth_session_validity: i64,
    refresh_token_validity: i64,
    #[serde(default)]
    access_token_validity: Option<i64>,
    #[serde(default)]
    id_token_validity: Option<i64>,
    #[serde(default)]
    token_validity_units: TokenValidityUnits,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct TokenValidityUnits {
    access_token: Option<String>,
    id_token: Option<String>,
    refresh_token: Option<String>,
}

impl ClientConfiguration {
    /// Whether the client may start this flow (`cognito.md` §3, §6.1).
    pub(crate) fn allows(&self, flow: AuthFlow) -> bool {
        let Some(flows) = self
            .explicit_auth_flows
            .as_ref()
            .filter(|flows| !flows.is_empty())
        else {
            return matches!(
                flow,
                AuthFlow::RefreshToken | AuthFlow::UserSrp | AuthFlow::Custom
            );
        };
        let has = |name: &str| flows.contains(name);
        let is_older_form = flows.iter().all(|name| !name.starts_with("ALLOW_"));
        match flow {
            AuthFlow::UserPassword => has("ALLOW_USER_PASSWORD_AUTH") || has("USER_PASSWORD_AUTH"),
            AuthFlow::UserSrp => {
                has("ALLOW_USER_SRP_AUTH") || is_older_form && !has("CUSTOM_AUTH_FLOW_ONLY")
            }
            AuthFlow::Custom => has("ALLOW_CUSTOM_AUTH") || is_older_form,
            AuthFlow::User => has("ALLOW_USER_AUTH"),
            AuthFlow::RefreshToken => has("ALLOW_REFRESH_TOKEN_AUTH") || is_older_form,
        }
    }

    /// Whether answers must not tell if a user exists (`cognito.md` §6.4).
    pub(crate) fn hides_unknown_users(&self) -> bool {
        self.prevent_user_existence_errors.as_deref() == Some("ENABLED")
    }

    pub(crate) fn may_read(&self, attribute: &str) -> bool {
        attribute == SUB
            || self
                .read_attributes
                .as_ref()
                .is_none_or(|readable| readable.contains(attribute))
    }

    /// Whether the app may set the attribute for its user. Never verifications, and never what is
    /// for developers only, whatever the client lists.
    pub(crate) fn may_write(&self, attribute: &str) -> bool {
        ![SUB, EMAIL_VERIFIED, PHONE_NUMBER_VERIFIED].contains(&attribute)
            && !attribute.starts_with("dev:")
            && self
                .write_attributes
                .as_ref()
                .is_none_or(|writable| writable.contains(attribute))
    }

    pub(crate) fn access_token_lifetime_s(&self) -> i64 {
        let unit = &self.token_validity_units.access_token;
        lifetime_s(self.access_token_validity, unit, HOUR_S).unwrap_or(HOUR_S)
    }

    pub(crate) fn id_token_lifetime_s(&self) -> i64 {
        let unit = &self.token_validity_units.id_token;
        lifetime_s(self.id_token_validity, unit, HOUR_S).unwrap_or(HOUR_S)
    }

    pub(crate) fn refresh_token_lifetime_s(&self) -> i64 {
        let unit = &self.token_validity_units.refresh_token;
        lifetime_s(Some(self.refresh_token_validity), unit, DAY_S).unwrap_or(30 * DAY_S)
    }

    /// How long one auth challenge may take.
    pub(crate) fn auth_session_lifetime_ms(&self) -> i64 {
        self.auth_session_validity * MINUTE_S * 1000
    }
}

/// Zero, like nothing, means the default.
fn lifetime_s(validity: Option<i64>, unit: &Option<String>, default_unit_s: i64) -> Option<i64> {
    let unit_s = match unit.as_deref() {
        Some("seconds") => 1,
        Some("minutes") => MINUTE_S,
        Some("hours") => HOUR_S,
        Some("days") => DAY_S,
        _ => default_unit_s,
    };
    validity
        .filter(|validity| *validity != 0)
        .map(|validity| validity.saturating_mul(unit_s))
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
        let stored = read_configuration(request, Purpose::Create)?;
        let pool = self.find_owned_user_pool(organization, &pool_id).await?;
        check_attribute_lists(&stored, &pool)?;
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
        let mut stored = read_configuration(request, Purpose::Update)?;
        let pool = self.find_owned_user_pool(organization, &pool_id).await?;
        let before = self.find_client_of(&pool, &client_id).await?;
        check_attribute_lists(&stored, &pool)?;
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Create,
    Update,
}

const AUTH_FLOWS: &[&str] = &[
    "ADMIN_NO_SRP_AUTH",
    "CUSTOM_AUTH_FLOW_ONLY",
    "USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_TOKEN_EXCHANGE_DELEGATION",
    "ALLOW_TOKEN_EXCHANGE_IMPERSONATION",
    "ALLOW_CLIENT_TOKEN_AUTH",
];

/// Checks a configuration and gives it in the form in which it is stored: model members only, with
/// the defaults filled in.
fn read_configuration(
    request: &Map<String, Value>,
    purpose: Purpose,
) -> Result<Map<String, Value>, Error> {
    let stored = Input::read(request, |input| {
        let mut stored = Map::new();
        let mut keep = |name: &str, value: Option<Value>| {
            stored.extend(value.map(|value| (name.to_owned(), value)));
        };
        let name = match purpose {
            Purpose::Create => Some(input.string("ClientName", &shapes::NAME).required()),
            Purpose::Update => input.string("ClientName", &shapes::NAME).optional(),
        };
        keep("ClientName", name.map(Value::from));
        let refresh = input
            .integer("RefreshTokenValidity", &Integer::between(0, 315_360_000))
            .or(0);
        // Zero means the default, which the real service shows.
        keep(
            "RefreshTokenValidity",
            Some(json!(if refresh == 0 { 30 } else { refresh })),
        );
        for name in ["AccessTokenValidity", "IdTokenValidity"] {
            let validity = input.integer(name, &Integer::between(1, 86_400)).optional();
            keep(name, validity.map(Value::from));
        }
        let units = input.object("TokenValidityUnits", read_units).or_default();
        // The default of 30 is in days, whatever unit was sent with no number.
        let units = if refresh == 0 {
            without_refresh_unit(units)
        } else {
            units
        };
        keep("TokenValidityUnits", Some(units.into()));
        keep(
            "AuthSessionValidity",
            Some(json!(
                input
                    .integer("AuthSessionValidity", &Integer::between(3, 15))
                    .or(3)
            )),
        );
        for (name, default) in [
            ("AllowedOAuthFlowsUserPoolClient", false),
            ("EnableTokenRevocation", true),
            ("EnablePropagateAdditionalUserContextData", false),
        ] {
            keep(name, Some(json!(input.boolean(name).or(default))));
        }
        let hides = input
            .string(
                "PreventUserExistenceErrors",
                &Text::ANY.one_of(&["LEGACY", "ENABLED"]),
            )
            .optional();
        keep("PreventUserExistenceErrors", hides.map(Value::from));
        for (name, text) in [
            ("ExplicitAuthFlows", Text::ANY.one_of(AUTH_FLOWS)),
            ("ReadAttributes", Text::ANY.length(1, 2048)),
            ("WriteAttributes", Text::ANY.length(1, 2048)),
            ("SupportedIdentityProviders", shapes::ATTRIBUTE_NAME),
            ("CallbackURLs", Text::ANY.length(1, 1024)),
            ("LogoutURLs", Text::ANY.length(1, 1024)),
            (
                "AllowedOAuthFlows",
                Text::ANY.one_of(&["code", "implicit", "client_credentials"]),
            ),
            ("AllowedOAuthScopes", Text::ANY.length(1, 256)),
        ] {
            let list = input.strings(name, &Size::at_most(100), &text).optional();
            keep(name, list.map(Value::from));
        }
        let default_url = input
            .string("DefaultRedirectURI", &Text::ANY.length(1, 1024))
            .optional();
        keep("DefaultRedirectURI", default_url.map(Value::from));
        for name in ["AnalyticsConfiguration", "RefreshTokenRotation"] {
            let read = input.object(name, |_| ()).optional();
            keep(name, read.and_then(|()| request.get(name).cloned()));
        }
        stored
    })?;
    check_flows(&stored)?;
    check_urls(&stored)?;
    check_validity(&stored)?;
    Ok(stored)
}

fn read_units(input: &mut Input<'_>) -> Map<String, Value> {
    let mut units = Map::new();
    for name in ["AccessToken", "IdToken", "RefreshToken"] {
        let unit = input
            .string(
                name,
                &Text::ANY.one_of(&["seconds", "minutes", "hours", "days"]),
            )
            .optional();
        units.extend(unit.map(|unit| (name.to_owned(), json!(unit))));
    }
    units
}

fn without_refresh_unit(mut units: Map<String, Value>) -> Map<String, Value> {
    units.remove("RefreshToken");
    units
}

fn texts<'v>(stored: &'v Map<String, Value>, name: &str) -> Vec<&'v str> {
    let list = stored.get(name).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn check_flows(stored: &Map<String, Value>) -> Result<(), Refusal> {
    let flows = texts(stored, "ExplicitAuthFlows");
    let newer = flows
        .iter()
        .filter(|flow| flow.starts_with("ALLOW_"))
        .count();
    if newer != 0 && newer != flows.len() {
        return Err(Refusal::MixedAuthFlows);
    }
    let rotates = stored
        .get("RefreshTokenRotation")
        .is_some_and(|rotation| rotation["Feature"] == "ENABLED");
    if rotates && flows.contains(&"ALLOW_REFRESH_TOKEN_AUTH") {
        return Err(Refusal::RotationExcludesRefreshFlow);
    }
    Ok(())
}

/// `https`, or `http` on this machine, or a scheme that belongs to an app.
fn check_urls(stored: &Map<String, Value>) -> Result<(), Refusal> {
    let is_good = |url: &str| match url.split_once("://") {
        Some(("http", rest)) => {
            rest == "localhost" || rest.starts_with("localhost:") || rest.starts_with("localhost/")
        }
        Some((scheme, _)) => !scheme.is_empty(),
        None => false,
    };
    ["CallbackURLs", "LogoutURLs"]
        .into_iter()
        .flat_map(|name| texts(stored, name))
        .find(|url| !is_good(url))
        .map_or(Ok(()), |url| {
            Err(Refusal::InsecureCallbackUrl(url.to_owned()))
        })
}

/// Access and ID tokens live 5 minutes to a day, refresh tokens an hour to ten years and longer
/// than both (`cognito.md` §3).
fn check_validity(stored: &Map<String, Value>) -> Result<(), Error> {
    let read: ClientConfiguration = serde_json::from_value(Value::Object(stored.clone()))
        .map_err(|error| Fault::while_doing("reading a checked client configuration", error))?;
    let access = read.access_token_lifetime_s();
    let id = read.id_token_lifetime_s();
    let refresh = read.refresh_token_lifetime_s();
    let short = 5 * MINUTE_S..=DAY_S;
    let long = HOUR_S..=3650 * DAY_S;
    if short.contains(&access)
        && short.contains(&id)
        && long.contains(&refresh)
        && refresh >= access.max(id)
    {
        Ok(())
    } else {
        Err(Refusal::TokenValidity.into())
    }
}

fn check_attribute_lists(stored: &Map<String, Value>, pool: &UserPool) -> Result<(), Refusal> {
    for list in ["ReadAttributes", "WriteAttributes"] {
        for name in texts(stored, list) {
            if pool.schema().find(name).is_none() {
                return Err(Refusal::ClientAttributeUnknown {
                    list,
                    attribute: name.to_owned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut request: Value) -> Result<Map<String, Value>, Refusal> {
        request["ClientName"] = json!("c");
        read_configuration(request.as_object().unwrap(), Purpose::Create).map_err(|error| {
            match error {
                Error::Refusal(refusal) => refusal,
                Error::Fault(fault) => panic!("{fault}"),
            }
        })
    }

    fn configuration(request: Value) -> ClientConfiguration {
        serde_json::from_value(Value::Object(read(request).unwrap())).unwrap()
    }

    fn client(secret: Option<&str>) -> AppClient {
        AppClient {
            id: "1example23456789".into(),
            user_pool_id: "us-east-1_EXAMPLE00".into(),
            secret: secret.map(|secret| Zeroizing::new(secret.to_owned())),
            configuration: configuration(json!({})),
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

    #[test]
    fn flows_follow_the_list_its_older_form_and_the_default() {
        use AuthFlow::{Custom, RefreshToken, User, UserPassword, UserSrp};
        let all = [UserPassword, UserSrp, Custom, User, RefreshToken];
        for (flows, allowed) in [
            (json!({}), vec![UserSrp, Custom, RefreshToken]),
            (
                json!({ "ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"] }),
                vec![UserPassword],
            ),
            (
                json!({ "ExplicitAuthFlows": ["USER_PASSWORD_AUTH"] }),
                vec![UserPassword, UserSrp, Custom, RefreshToken],
            ),
            (
                json!({ "ExplicitAuthFlows": ["CUSTOM_AUTH_FLOW_ONLY"] }),
                vec![Custom, RefreshToken],
            ),
            (
                json!({ "ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_AUTH"] }),
                vec![Custom, User, RefreshToken],
            ),
        ] {
            let client = configuration(flows.clone());
            let found: Vec<_> = all
                .into_iter()
                .filter(|flow| client.allows(*flow))
                .collect();
            assert_eq!(found, allowed, "{flows}");
        }
        assert_eq!(
            read(json!({ "ExplicitAuthFlows": ["ALLOW_USER_AUTH", "USER_PASSWORD_AUTH"] })),
            Err(Refusal::MixedAuthFlows)
        );
    }

    #[test]
    fn token_lifetimes_have_units_defaults_and_bounds() {
        let default = configuration(json!({}));
        assert_eq!(default.access_token_lifetime_s(), 3600);
        assert_eq!(default.id_token_lifetime_s(), 3600);
        assert_eq!(default.refresh_token_lifetime_s(), 30 * 86_400);
        assert_eq!(default.auth_session_lifetime_ms(), 180_000);
        let set = configuration(json!({
            "AccessTokenValidity": 10, "IdTokenValidity": 1, "RefreshTokenValidity": 90,
            "TokenValidityUnits": { "AccessToken": "minutes", "IdToken": "days", "RefreshToken": "days" },
        }));
        assert_eq!(set.access_token_lifetime_s(), 600);
        assert_eq!(set.id_token_lifetime_s(), 86_400);
        assert_eq!(set.refresh_token_lifetime_s(), 90 * 86_400);
        for bad in [
            json!({ "AccessTokenValidity": 4, "TokenValidityUnits": { "AccessToken": "minutes" } }),
            json!({ "IdTokenValidity": 25 }),
            json!({ "RefreshTokenValidity": 59, "TokenValidityUnits": { "RefreshToken": "minutes" } }),
            json!({ "RefreshTokenValidity": 3651 }),
            json!({ "RefreshTokenValidity": 2, "AccessTokenValidity": 3, "TokenValidityUnits": { "RefreshToken": "hours" } }),
        ] {
            assert_eq!(read(bad.clone()), Err(Refusal::TokenValidity), "{bad}");
        }
    }

    #[test]
    fn attribute_permissions() {
        let default = configuration(json!({}));
        assert!(default.may_read("custom:plan") && default.may_write("custom:plan"));
        assert!(!default.may_write("email_verified") && !default.may_write("sub"));
        assert!(!default.may_write("dev:custom:note"));
        let listed =
            configuration(json!({ "ReadAttributes": ["email"], "WriteAttributes": ["name"] }));
        assert!(listed.may_read("email") && listed.may_read("sub") && !listed.may_read("name"));
        assert!(listed.may_write("name") && !listed.may_write("email"));
    }

    #[test]
    fn callbacks_are_secure_or_local_or_of_an_app() {
        for (url, expected) in [
            ("https://example.com/cb", true),
            ("http://localhost:3000", true),
            ("http://localhost", true),
            ("myapp://cb", true),
            ("http://example.com", false),
            ("http://localhost.example.com", false),
            ("example.com", false),
        ] {
            assert_eq!(
                read(json!({ "CallbackURLs": [url] })).is_ok(),
                expected,
                "{url}"
            );
        }
    }
}
