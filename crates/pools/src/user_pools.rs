//! User pools, and where they are kept. Every member of the API model is stored and returned
//! unchanged; what may be in them is in `configuration`.

mod configuration;

use accounts::Organization;
use aws_protocol::{input::Input, json11};
use platform::{Fault, Row, values};
use serde_json::{Map, Value, json};

use crate::{Error, Refusal, UserPools, attributes::Schema, shapes, signing_keys};
use configuration::{Configuration, FIXED_MEMBERS, Purpose, TRIGGERS, read_schema};

pub(crate) use configuration::{AliasAttribute, TokenEventVersion};

/// One pool.
#[derive(Clone, Debug)]
pub(crate) struct UserPool {
    /// `<region>_<9 alphanumerics>`.
    pub(crate) id: String,
    pub(crate) organization_id: String,
    /// Of the organization, for ARNs.
    pub(crate) account_id: String,
    pub(crate) configuration: Configuration,
    /// All members, as JSON text.
    stored: String,
    created_at_ms: i64,
    updated_at_ms: i64,
}

impl UserPool {
    fn from_row(row: &Row) -> Result<UserPool, Fault> {
        let stored: String = row.get("configuration")?;
        Ok(UserPool {
            id: row.get("id")?,
            organization_id: row.get("organization_id")?,
            account_id: row.get("account_id")?,
            configuration: serde_json::from_str(&stored)
                .map_err(|error| Fault::while_doing("reading a pool's configuration", error))?,
            stored,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
        })
    }

    /// The part of the id before `_`.
    pub(crate) fn region(&self) -> &str {
        self.id.rsplit_once('_').map_or("", |(region, _)| region)
    }

    pub(crate) fn arn(&self) -> String {
        format!(
            "arn:aws:cognito-idp:{}:{}:userpool/{}",
            self.region(),
            self.account_id,
            self.id
        )
    }

    /// The `UserPool` of an answer.
    fn describe(&self, users: i64) -> Result<Value, Fault> {
        let mut members = self.stored()?;
        members.insert("Id".into(), json!(self.id));
        members.insert("Arn".into(), json!(self.arn()));
        members.insert("EstimatedNumberOfUsers".into(), json!(users));
        self.add_dates(&mut members);
        Ok(Value::Object(members))
    }

    /// The pool's item in a list.
    fn summarize(&self) -> Result<Value, Fault> {
        let mut stored = self.stored()?;
        let mut members = Map::new();
        for name in ["Name", "LambdaConfig"] {
            members.extend(stored.remove(name).map(|value| (name.to_owned(), value)));
        }
        members.insert("Id".into(), json!(self.id));
        self.add_dates(&mut members);
        Ok(Value::Object(members))
    }

    fn stored(&self) -> Result<Map<String, Value>, Fault> {
        serde_json::from_str(&self.stored)
            .map_err(|error| Fault::while_doing("reading a pool's configuration", error))
    }

    fn add_dates(&self, members: &mut Map<String, Value>) {
        members.insert(
            "CreationDate".into(),
            json11::timestamp(self.created_at_ms).into(),
        );
        members.insert(
            "LastModifiedDate".into(),
            json11::timestamp(self.updated_at_ms).into(),
        );
    }
}

impl UserPools {
    /// CreateUserPool: makes a pool and its two signing keys.
    ///
    /// `request` and the answer have the shapes of the wire: `{"PoolName": …}`,
    /// `{"UserPool": {…}}` (`cognito.md` §3, §5.8). Refuses what the contract refuses, and members
    /// that ask for something this server does not do.
    pub async fn create_user_pool(
        &self,
        organization: &Organization,
        request: &Map<String, Value>,
    ) -> Result<Value, Error> {
        let mut stored = configuration::read(request, Purpose::Create)?;
        let schema = Schema::from_sent(read_schema(request)?)?;
        stored.insert("SchemaAttributes".into(), json!(schema));
        if stored.contains_key("AliasAttributes") && stored.contains_key("UsernameAttributes") {
            return Err(Refusal::AliasAndUsernameAttributes.into());
        }
        let now_ms = self.0.platform.clock.now_ms();
        let id = format!(
            "{}_{}",
            self.0.settings.region,
            self.0.platform.entropy.alphanumeric(9)
        );
        let keys = signing_keys::make_pair(&self.0.platform, &id).await?;
        let (organization_id, account_id) =
            (organization.id.clone(), organization.account_id.clone());
        let stored = Value::Object(stored).to_string();
        let row = self
            .0
            .platform
            .db
            .write(async move |tx| {
                for key in &keys {
                    key.insert(tx, now_ms).await?;
                }
                tx.row(
                    "INSERT INTO pools_user_pools
                        (id, organization_id, account_id, configuration, created_at_ms, updated_at_ms)
                     VALUES ($1, $2, $3, $4, $5, $5)
                     RETURNING id, organization_id, account_id, configuration, created_at_ms, updated_at_ms",
                    values![&id, &organization_id, &account_id, &stored, now_ms],
                )
                .await?
                .ok_or_else(|| Fault::new("a new pool gave no row"))
            })
            .await?;
        let pool = UserPool::from_row(&row)?;
        Ok(json!({ "UserPool": pool.describe(0)? }))
    }

    /// DescribeUserPool: `{"UserPool": {…}}`.
    pub async fn describe_user_pool(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<Value, Error> {
        let pool = self.find_owned_user_pool(organization, id).await?;
        let users = self.count_users(&pool).await?;
        Ok(json!({ "UserPool": pool.describe(users)? }))
    }

    /// UpdateUserPool: replaces the whole configuration; what is left out returns to its default,
    /// except what is fixed at creation (`cognito.md` §3). `request` has the shape of the wire.
    pub async fn update_user_pool(
        &self,
        organization: &Organization,
        request: &Map<String, Value>,
    ) -> Result<(), Error> {
        let mut stored = configuration::read(request, Purpose::Update)?;
        let id = Input::read(request, |input| {
            input.string("UserPoolId", &shapes::USER_POOL_ID).required()
        })?;
        let pool = self.find_owned_user_pool(organization, &id).await?;
        let mut before = pool.stored()?;
        for name in FIXED_MEMBERS {
            stored.extend(before.remove(name).map(|value| (name.to_owned(), value)));
        }
        if !stored.contains_key("Name") {
            stored.extend(
                before
                    .remove("Name")
                    .map(|value| ("Name".to_owned(), value)),
            );
        }
        warn_of_removed_triggers(&id, before.get("LambdaConfig"), stored.get("LambdaConfig"));
        let (stored, now_ms) = (
            Value::Object(stored).to_string(),
            self.0.platform.clock.now_ms(),
        );
        self.0
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "UPDATE pools_user_pools SET configuration = $2, updated_at_ms = $3 WHERE id = $1",
                    values![&id, &stored, now_ms],
                )
                .await
            })
            .await?;
        Ok(())
    }

    /// DeleteUserPool: with its clients, users and keys. Tokens that were issued stop working here.
    pub async fn delete_user_pool(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<(), Error> {
        let pool = self.find_owned_user_pool(organization, id).await?;
        if pool.configuration.is_protected() {
            return Err(Refusal::DeletionProtected.into());
        }
        let id = pool.id;
        self.0
            .platform
            .db
            .write(async move |tx| {
                for statement in [
                    "DELETE FROM pools_codes WHERE user_pool_id = $1",
                    "DELETE FROM pools_refresh_tokens WHERE user_pool_id = $1",
                    "DELETE FROM pools_password_failures WHERE user_pool_id = $1",
                    "DELETE FROM pools_sign_in_names WHERE user_pool_id = $1",
                    "DELETE FROM pools_users WHERE user_pool_id = $1",
                    "DELETE FROM pools_app_clients WHERE user_pool_id = $1",
                    "DELETE FROM pools_signing_keys WHERE user_pool_id = $1",
                    "DELETE FROM pools_user_pools WHERE id = $1",
                ] {
                    tx.execute(statement, values![&id]).await?;
                }
                Ok::<_, Fault>(())
            })
            .await?;
        Ok(())
    }

    /// ListUserPools: `{"UserPools": […], "NextToken"?}`, oldest first.
    pub(crate) async fn list_user_pools(
        &self,
        organization: &Organization,
        limit: i64,
        after: Option<(i64, String)>,
    ) -> Result<(Vec<Value>, Option<(i64, String)>), Error> {
        let organization_id = organization.id.clone();
        let (after_ms, after_id) = after.unwrap_or((i64::MIN, String::new()));
        let rows = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id, organization_id, account_id, configuration, created_at_ms, updated_at_ms
                     FROM pools_user_pools
                     WHERE organization_id = $1 AND (created_at_ms, id) > ($2, $3)
                     ORDER BY created_at_ms, id LIMIT $4",
                    values![&organization_id, after_ms, &after_id, limit + 1],
                )
                .await
            })
            .await?;
        let mut pools: Vec<UserPool> = rows
            .iter()
            .map(UserPool::from_row)
            .collect::<Result<_, _>>()?;
        let has_more = pools.len() as i64 > limit;
        pools.truncate(usize::try_from(limit).unwrap_or(0));
        let next = pools
            .last()
            .filter(|_| has_more)
            .map(|pool| (pool.created_at_ms, pool.id.clone()));
        let items = pools
            .iter()
            .map(UserPool::summarize)
            .collect::<Result<_, _>>()?;
        Ok((items, next))
    }

    /// The pool of a signed call: one of the caller's own.
    pub(crate) async fn find_owned_user_pool(
        &self,
        organization: &Organization,
        id: &str,
    ) -> Result<UserPool, Error> {
        self.find_user_pool(id)
            .await?
            .filter(|pool| pool.organization_id == organization.id)
            .ok_or_else(|| Refusal::UserPoolNotFound(id.to_owned()).into())
    }

    /// A pool by its id, whoever owns it.
    pub(crate) async fn find_user_pool(&self, id: &str) -> Result<Option<UserPool>, Fault> {
        if id.contains('\0') {
            return Ok(None);
        }
        let id = id.to_owned();
        let row = self
            .0
            .platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT id, organization_id, account_id, configuration, created_at_ms, updated_at_ms
                     FROM pools_user_pools WHERE id = $1",
                    values![&id],
                )
                .await
            })
            .await?;
        row.as_ref().map(UserPool::from_row).transpose()
    }
}

/// Left-out members return to their defaults; for triggers that is the most common mistake.
fn warn_of_removed_triggers(id: &str, before: Option<&Value>, after: Option<&Value>) {
    for trigger in TRIGGERS {
        let is_set = |config: Option<&Value>| config.is_some_and(|c| c.get(trigger).is_some());
        if is_set(before) && !is_set(after) {
            tracing::warn!(
                user_pool = id,
                trigger,
                "UpdateUserPool removed a trigger: members that are left out return to their defaults"
            );
        }
    }
}
