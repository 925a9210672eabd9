//! User pools: their configuration as sent and as understood, and where they are kept.
//!
//! Every member of the API model is stored and returned unchanged, with the defaults of
//! `cognito.md` §3; [`Configuration`] is the part that this server acts on. What would be a lie if
//! it were stored and not acted on is refused.

use accounts::Organization;
use aws_protocol::{
    input::{Input, Integer, Size, Text},
    json11,
};
use platform::{Fault, Row, values};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Error, Refusal, UserPools,
    attributes::{
        Contact, DataType, NumberConstraints, Schema, SchemaAttribute, StringConstraints,
    },
    auth::triggers::Trigger,
    password_policy::PasswordPolicy,
    shapes, signing_keys,
};

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

/// The part of a pool's configuration that this server acts on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Configuration {
    policies: Policies,
    schema_attributes: Schema,
    #[serde(default)]
    lambda_config: LambdaConfig,
    #[serde(default)]
    pub(crate) auto_verified_attributes: Vec<WireContact>,
    #[serde(default)]
    pub(crate) alias_attributes: Vec<AliasAttribute>,
    #[serde(default)]
    pub(crate) username_attributes: Vec<WireContact>,
    #[serde(default)]
    username_configuration: Option<UsernameConfiguration>,
    admin_create_user_config: AdminCreateUserConfig,
    deletion_protection: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Policies {
    password_policy: PasswordPolicy,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsernameConfiguration {
    case_sensitive: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AdminCreateUserConfig {
    allow_admin_create_user_only: bool,
}

/// [`Contact`] in the lists of a pool.
pub(crate) type WireContact = Contact;

/// What a pool may let users sign in with besides the username.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AliasAttribute {
    Email,
    PhoneNumber,
    PreferredUsername,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct LambdaConfig {
    pre_sign_up: Option<String>,
    post_confirmation: Option<String>,
    pre_authentication: Option<String>,
    post_authentication: Option<String>,
    define_auth_challenge: Option<String>,
    create_auth_challenge: Option<String>,
    verify_auth_challenge_response: Option<String>,
    pre_token_generation: Option<String>,
    pre_token_generation_config: Option<PreTokenGenerationConfig>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PreTokenGenerationConfig {
    lambda_version: TokenEventVersion,
    lambda_arn: String,
}

/// The form of the token trigger's event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum TokenEventVersion {
    #[serde(rename = "V1_0")]
    V1,
    #[serde(rename = "V2_0")]
    V2,
    #[serde(rename = "V3_0")]
    V3,
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

    pub(crate) fn password_policy(&self) -> &PasswordPolicy {
        &self.configuration.policies.password_policy
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.configuration.schema_attributes
    }

    pub(crate) fn allows_sign_up(&self) -> bool {
        !self
            .configuration
            .admin_create_user_config
            .allow_admin_create_user_only
    }

    /// Whether users sign up with an address and get a username made by us.
    pub(crate) fn has_username_attributes(&self) -> bool {
        !self.configuration.username_attributes.is_empty()
    }

    pub(crate) fn has_alias(&self, alias: AliasAttribute) -> bool {
        self.configuration.alias_attributes.contains(&alias)
    }

    /// A name in the form in which names are compared (`cognito.md` §15.2).
    pub(crate) fn name_key(&self, name: &str) -> String {
        match &self.configuration.username_configuration {
            Some(UsernameConfiguration {
                case_sensitive: false,
            }) => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    /// The ARN of the function behind a trigger, if there is one.
    pub(crate) fn trigger(&self, trigger: Trigger) -> Option<&str> {
        let triggers = &self.configuration.lambda_config;
        match trigger {
            Trigger::PreSignUp => &triggers.pre_sign_up,
            Trigger::PostConfirmation => &triggers.post_confirmation,
            Trigger::PreAuthentication => &triggers.pre_authentication,
            Trigger::PostAuthentication => &triggers.post_authentication,
            Trigger::DefineAuthChallenge => &triggers.define_auth_challenge,
            Trigger::CreateAuthChallenge => &triggers.create_auth_challenge,
            Trigger::VerifyAuthChallengeResponse => &triggers.verify_auth_challenge_response,
            Trigger::PreTokenGeneration => match &triggers.pre_token_generation_config {
                Some(config) => return Some(&config.lambda_arn),
                None => &triggers.pre_token_generation,
            },
        }
        .as_deref()
    }

    pub(crate) fn token_event_version(&self) -> TokenEventVersion {
        self.configuration
            .lambda_config
            .pre_token_generation_config
            .as_ref()
            .map_or(TokenEventVersion::V1, |config| config.lambda_version)
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
        let mut stored = read_configuration(request, Purpose::Create)?;
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
        let mut stored = read_configuration(request, Purpose::Update)?;
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
        if pool.configuration.deletion_protection == "ACTIVE" {
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

/// Set at creation only.
const FIXED_MEMBERS: [&str; 4] = [
    "SchemaAttributes",
    "AliasAttributes",
    "UsernameAttributes",
    "UsernameConfiguration",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Create,
    Update,
}

/// Members that are stored as sent; their inner shape is the caller's business.
const STORED_OBJECTS: [&str; 10] = [
    "VerificationMessageTemplate",
    "UserAttributeUpdateSettings",
    "DeviceConfiguration",
    "EmailConfiguration",
    "SmsConfiguration",
    "UserPoolTags",
    "UserPoolAddOns",
    "AccountRecoverySetting",
    "IssuerConfiguration",
    "KeyConfiguration",
];

const STORED_TEXTS: [&str; 4] = [
    "SmsVerificationMessage",
    "EmailVerificationMessage",
    "EmailVerificationSubject",
    "SmsAuthenticationMessage",
];

/// Members of `LambdaConfig` that this server runs.
const TRIGGERS: [&str; 8] = [
    "PreSignUp",
    "PostConfirmation",
    "PreAuthentication",
    "PostAuthentication",
    "DefineAuthChallenge",
    "CreateAuthChallenge",
    "VerifyAuthChallengeResponse",
    "PreTokenGeneration",
];

/// Members of `LambdaConfig` that it does not run. To store them would be a lie.
const FOREIGN_TRIGGERS: [&str; 6] = [
    "CustomMessage",
    "UserMigration",
    "CustomSMSSender",
    "CustomEmailSender",
    "KMSKeyID",
    "InboundFederation",
];

const CONTACTS: [(&str, &str); 2] = [("phone_number", "phone_number"), ("email", "email")];
const ALIASES: [(&str, &str); 3] = [
    ("phone_number", "phone_number"),
    ("email", "email"),
    ("preferred_username", "preferred_username"),
];

/// Checks a configuration and gives it in the form in which it is stored: model members only, with
/// the defaults filled in.
fn read_configuration(
    request: &Map<String, Value>,
    purpose: Purpose,
) -> Result<Map<String, Value>, Error> {
    let read = Input::read(request, |input| {
        let name = match purpose {
            Purpose::Create => Some(input.string("PoolName", &shapes::NAME).required()),
            Purpose::Update => input.string("PoolName", &shapes::NAME).optional(),
        };
        let mut stored = Map::new();
        let mut keep = |name: &str, value: Option<Value>| {
            stored.extend(value.map(|value| (name.to_owned(), value)));
        };
        keep("Name", name.map(Value::from));
        let policies = input.object("Policies", read_policies).optional();
        keep("Policies", Some(policies.unwrap_or_else(default_policies)));
        let protection = input
            .string(
                "DeletionProtection",
                &Text::ANY.one_of(&["ACTIVE", "INACTIVE"]),
            )
            .or("INACTIVE".into());
        keep("DeletionProtection", Some(protection.into()));
        let triggers = input.object("LambdaConfig", read_triggers).or_default();
        keep("LambdaConfig", Some(triggers.clone().into()));
        let mfa = input
            .string(
                "MfaConfiguration",
                &Text::ANY.one_of(&["OFF", "ON", "OPTIONAL"]),
            )
            .or("OFF".into());
        keep("MfaConfiguration", Some(mfa.clone().into()));
        let tier = input
            .string(
                "UserPoolTier",
                &Text::ANY.one_of(&["LITE", "ESSENTIALS", "PLUS"]),
            )
            .or("ESSENTIALS".into());
        keep("UserPoolTier", Some(tier.into()));
        let admin = input
            .object("AdminCreateUserConfig", read_admin_create_user_config)
            .or_default();
        keep(
            "AdminCreateUserConfig",
            Some(with_defaults(
                admin,
                json!({"AllowAdminCreateUserOnly": false, "UnusedAccountValidityDays": 7}),
            )),
        );
        let auto_verified = input
            .choices("AutoVerifiedAttributes", &Size::ANY, &CONTACTS)
            .optional();
        keep(
            "AutoVerifiedAttributes",
            auto_verified.map(|list| json!(list)),
        );
        for name in STORED_OBJECTS {
            let read = input.object(name, |_| ()).optional();
            let value = read.and_then(|()| request.get(name).cloned());
            keep(name, value.or_else(|| default_object(name)));
        }
        for name in STORED_TEXTS {
            keep(
                name,
                input
                    .string(name, &Text::ANY.max(20_000))
                    .optional()
                    .map(Value::from),
            );
        }
        if purpose == Purpose::Create {
            let list = input
                .choices("AliasAttributes", &Size::ANY, &ALIASES)
                .optional();
            keep(
                "AliasAttributes",
                list.filter(|list| !list.is_empty()).map(|list| json!(list)),
            );
            let list = input
                .choices("UsernameAttributes", &Size::ANY, &CONTACTS)
                .optional();
            keep(
                "UsernameAttributes",
                list.filter(|list| !list.is_empty()).map(|list| json!(list)),
            );
            let is_sensitive = input
                .object("UsernameConfiguration", |inner| {
                    inner.boolean("CaseSensitive").required()
                })
                .optional();
            keep(
                "UsernameConfiguration",
                is_sensitive.map(|is_sensitive| json!({ "CaseSensitive": is_sensitive })),
            );
        }
        (stored, triggers, mfa)
    })?;
    let (stored, triggers, mfa) = read;
    check_triggers(&triggers)?;
    // Whoever waits for a link would wait for ever.
    if stored["VerificationMessageTemplate"]["DefaultEmailOption"] == "CONFIRM_WITH_LINK" {
        return Err(Refusal::NotSupported("DefaultEmailOption CONFIRM_WITH_LINK".into()).into());
    }
    match mfa.as_str() {
        // Nobody may believe to have a second factor that is never asked for.
        "ON" => return Err(Refusal::NotSupported("MfaConfiguration ON".into()).into()),
        "OPTIONAL" if !stored.contains_key("SmsConfiguration") => {
            return Err(Refusal::SmsConfigurationMissing.into());
        }
        _ => {}
    }
    Ok(stored)
}

fn read_policies(input: &mut Input<'_>) -> Value {
    let password = input
        .object("PasswordPolicy", |policy| {
            let length = policy
                .integer("MinimumLength", &Integer::between(6, 99))
                .or(8);
            let days = policy
                .integer("TemporaryPasswordValidityDays", &Integer::between(0, 365))
                .or(7);
            let history = policy
                .integer("PasswordHistorySize", &Integer::between(0, 24))
                .or(0);
            let mut value =
                json!({ "MinimumLength": length, "TemporaryPasswordValidityDays": days });
            // Given in part, what is absent is off (`cognito.md` §3).
            for name in [
                "RequireUppercase",
                "RequireLowercase",
                "RequireNumbers",
                "RequireSymbols",
            ] {
                value[name] = json!(policy.boolean(name).or(false));
            }
            if history > 0 {
                value["PasswordHistorySize"] = json!(history);
            }
            value
        })
        .optional();
    let factors = input
        .object("SignInPolicy", |policy| {
            policy
                .strings(
                    "AllowedFirstAuthFactors",
                    &Size::between(1, 4),
                    &Text::ANY.one_of(&["PASSWORD", "EMAIL_OTP", "SMS_OTP", "WEB_AUTHN"]),
                )
                .optional()
        })
        .optional()
        .flatten();
    let mut policies = default_policies();
    if let Some(password) = password {
        policies["PasswordPolicy"] = password;
    }
    if let Some(factors) = factors {
        policies["SignInPolicy"]["AllowedFirstAuthFactors"] = json!(factors);
    }
    policies
}

fn default_policies() -> Value {
    json!({
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireUppercase": true,
            "RequireLowercase": true,
            "RequireNumbers": true,
            "RequireSymbols": true,
            "TemporaryPasswordValidityDays": 7,
        },
        "SignInPolicy": { "AllowedFirstAuthFactors": ["PASSWORD"] },
    })
}

fn default_object(name: &str) -> Option<Value> {
    match name {
        "EmailConfiguration" => Some(json!({ "EmailSendingAccount": "COGNITO_DEFAULT" })),
        "VerificationMessageTemplate" => Some(json!({ "DefaultEmailOption": "CONFIRM_WITH_CODE" })),
        "UserPoolTags" => Some(json!({})),
        _ => None,
    }
}

fn read_admin_create_user_config(input: &mut Input<'_>) -> Map<String, Value> {
    let mut config = Map::new();
    let is_admin_only = input.boolean("AllowAdminCreateUserOnly").optional();
    config.extend(is_admin_only.map(|only| ("AllowAdminCreateUserOnly".to_owned(), json!(only))));
    let days = input
        .integer("UnusedAccountValidityDays", &Integer::between(0, 365))
        .optional();
    config.extend(days.map(|days| ("UnusedAccountValidityDays".to_owned(), json!(days))));
    let template = input.document("InviteMessageTemplate").optional();
    config.extend(template.map(|template| ("InviteMessageTemplate".to_owned(), template.clone())));
    config
}

fn read_triggers(input: &mut Input<'_>) -> Map<String, Value> {
    let mut triggers = Map::new();
    for name in TRIGGERS {
        let arn = input.string(name, &shapes::ARN).optional();
        triggers.extend(arn.map(|arn| (name.to_owned(), json!(arn))));
    }
    let config = input
        .object("PreTokenGenerationConfig", |config| {
            let version = config
                .string(
                    "LambdaVersion",
                    &Text::ANY.one_of(&["V1_0", "V2_0", "V3_0"]),
                )
                .required();
            let arn = config.string("LambdaArn", &shapes::ARN).required();
            json!({ "LambdaVersion": version, "LambdaArn": arn })
        })
        .optional();
    triggers.extend(config.map(|config| ("PreTokenGenerationConfig".to_owned(), config)));
    for name in FOREIGN_TRIGGERS {
        let value = input.document(name).optional();
        triggers.extend(value.map(|value| (name.to_owned(), value.clone())));
    }
    triggers
}

fn check_triggers(triggers: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(name) = FOREIGN_TRIGGERS
        .iter()
        .find(|name| triggers.contains_key(**name))
    {
        return Err(Refusal::NotSupported(format!("LambdaConfig {name}")));
    }
    match (
        triggers.get("PreTokenGeneration"),
        triggers.get("PreTokenGenerationConfig"),
    ) {
        (Some(arn), Some(config)) if config["LambdaArn"] != *arn => {
            Err(Refusal::PreTokenGenerationArnsDiffer)
        }
        _ => Ok(()),
    }
}

fn read_schema(request: &Map<String, Value>) -> Result<Vec<SchemaAttribute>, Error> {
    const TYPES: [(&str, DataType); 4] = [
        ("String", DataType::String),
        ("Number", DataType::Number),
        ("DateTime", DataType::DateTime),
        ("Boolean", DataType::Boolean),
    ];
    Ok(Input::read(request, |input| {
        input
            .objects("Schema", &Size::between(1, 50), |attribute| {
                SchemaAttribute {
                    name: attribute
                        .string("Name", &shapes::SCHEMA_ATTRIBUTE_NAME)
                        .required(),
                    attribute_data_type: attribute
                        .choice("AttributeDataType", &TYPES)
                        .or(DataType::String),
                    developer_only_attribute: attribute.boolean("DeveloperOnlyAttribute").or(false),
                    mutable: attribute.boolean("Mutable").or(true),
                    required: attribute.boolean("Required").or(false),
                    string_attribute_constraints: attribute
                        .object("StringAttributeConstraints", |bounds| StringConstraints {
                            min_length: bounds.string("MinLength", &Text::ANY).optional(),
                            max_length: bounds.string("MaxLength", &Text::ANY).optional(),
                        })
                        .optional(),
                    number_attribute_constraints: attribute
                        .object("NumberAttributeConstraints", |bounds| NumberConstraints {
                            min_value: bounds.string("MinValue", &Text::ANY).optional(),
                            max_value: bounds.string("MaxValue", &Text::ANY).optional(),
                        })
                        .optional(),
                }
            })
            .or_default()
    })?)
}

fn with_defaults(members: Map<String, Value>, mut defaults: Value) -> Value {
    for (name, value) in members {
        defaults[name] = value;
    }
    defaults
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: Value) -> Result<Map<String, Value>, Refusal> {
        let request = request.as_object().unwrap().clone();
        read_configuration(&request, Purpose::Create).map_err(|error| match error {
            Error::Refusal(refusal) => refusal,
            Error::Fault(fault) => panic!("{fault}"),
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        assert_eq!(
            Value::Object(read(json!({ "PoolName": "p" })).unwrap()),
            json!({
                "Name": "p",
                "Policies": default_policies(),
                "DeletionProtection": "INACTIVE",
                "LambdaConfig": {},
                "MfaConfiguration": "OFF",
                "UserPoolTier": "ESSENTIALS",
                "UserPoolTags": {},
                "AdminCreateUserConfig": {
                    "AllowAdminCreateUserOnly": false,
                    "UnusedAccountValidityDays": 7,
                },
                "EmailConfiguration": { "EmailSendingAccount": "COGNITO_DEFAULT" },
                "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_CODE" },
            })
        );
    }

    #[test]
    fn a_password_policy_given_in_part_switches_the_rest_off() {
        let stored = read(json!({
            "PoolName": "p",
            "Policies": { "PasswordPolicy": { "RequireNumbers": true } },
        }))
        .unwrap();
        assert_eq!(
            stored["Policies"]["PasswordPolicy"],
            json!({
                "MinimumLength": 8,
                "RequireUppercase": false,
                "RequireLowercase": false,
                "RequireNumbers": true,
                "RequireSymbols": false,
                "TemporaryPasswordValidityDays": 7,
            })
        );
    }

    #[test]
    fn members_of_the_model_are_kept_and_others_are_not() {
        let stored = read(json!({
            "PoolName": "p",
            "SmsConfiguration": { "SnsCallerArn": "arn:x", "Anything": [1, 2] },
            "UserPoolTags": { "team": "a" },
            "NoSuchMember": 1,
        }))
        .unwrap();
        assert_eq!(stored["SmsConfiguration"]["Anything"], json!([1, 2]));
        assert_eq!(stored["UserPoolTags"], json!({ "team": "a" }));
        assert!(!stored.contains_key("NoSuchMember"));
    }

    #[test]
    fn what_would_not_be_done_is_refused() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for name in FOREIGN_TRIGGERS {
            let refusal = read(json!({ "PoolName": "p", "LambdaConfig": { name: arn } }));
            assert_eq!(
                refusal,
                Err(Refusal::NotSupported(format!("LambdaConfig {name}")))
            );
        }
        assert_eq!(
            read(json!({ "PoolName": "p", "MfaConfiguration": "ON" })),
            Err(Refusal::NotSupported("MfaConfiguration ON".into()))
        );
        assert_eq!(
            read(json!({
                "PoolName": "p",
                "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_LINK" },
            })),
            Err(Refusal::NotSupported(
                "DefaultEmailOption CONFIRM_WITH_LINK".into()
            ))
        );
        assert_eq!(
            read(json!({ "PoolName": "p", "MfaConfiguration": "OPTIONAL" })),
            Err(Refusal::SmsConfigurationMissing)
        );
        assert_eq!(
            read(json!({ "PoolName": "p", "LambdaConfig": {
                "PreTokenGeneration": arn,
                "PreTokenGenerationConfig": { "LambdaVersion": "V2_0", "LambdaArn": format!("{arn}2") },
            }})),
            Err(Refusal::PreTokenGenerationArnsDiffer)
        );
    }
}
