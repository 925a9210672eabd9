//! What a pool's configuration may be: read from a request, stored with its defaults, understood.
//! Pure.
//!
//! What would be a lie if it were stored and not acted on is refused.

use aws_protocol::input::{Input, Integer, Size, Text};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    Contact, Error, Refusal,
    attributes::{DataType, NumberConstraints, Schema, SchemaAttribute, StringConstraints},
    auth::triggers::Trigger,
    password_policy::PasswordPolicy,
    shapes,
};

/// The part of a pool's configuration that this server acts on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Configuration {
    policies: Policies,
    schema_attributes: Schema,
    #[serde(default)]
    lambda_config: LambdaConfig,
    #[serde(default)]
    pub(crate) auto_verified_attributes: Vec<Contact>,
    #[serde(default)]
    alias_attributes: Vec<AliasAttribute>,
    #[serde(default)]
    pub(crate) username_attributes: Vec<Contact>,
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

impl Configuration {
    pub(crate) fn password_policy(&self) -> &PasswordPolicy {
        &self.policies.password_policy
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema_attributes
    }

    pub(crate) fn allows_sign_up(&self) -> bool {
        !self.admin_create_user_config.allow_admin_create_user_only
    }

    /// Whether users sign up with an address and get a username made by us.
    pub(crate) fn has_username_attributes(&self) -> bool {
        !self.username_attributes.is_empty()
    }

    pub(crate) fn has_alias(&self, alias: AliasAttribute) -> bool {
        self.alias_attributes.contains(&alias)
    }

    /// A name in the form in which names are compared (`cognito.md` §15.2).
    pub(crate) fn name_key(&self, name: &str) -> String {
        match &self.username_configuration {
            Some(UsernameConfiguration {
                case_sensitive: false,
            }) => name.to_lowercase(),
            _ => name.to_owned(),
        }
    }

    /// The ARN of the function behind a trigger, if there is one.
    pub(crate) fn trigger(&self, trigger: Trigger) -> Option<&str> {
        let triggers = &self.lambda_config;
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
        self.lambda_config
            .pre_token_generation_config
            .as_ref()
            .map_or(TokenEventVersion::V1, |config| config.lambda_version)
    }

    pub(super) fn is_protected(&self) -> bool {
        self.deletion_protection == "ACTIVE"
    }
}

/// Set at creation only.
pub(super) const FIXED_MEMBERS: [&str; 4] = [
    "SchemaAttributes",
    "AliasAttributes",
    "UsernameAttributes",
    "UsernameConfiguration",
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
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
pub(super) const TRIGGERS: [&str; 8] = [
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
pub(super) fn read(
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
    let template = stored.get("VerificationMessageTemplate");
    if template.is_some_and(|template| template["DefaultEmailOption"] == "CONFIRM_WITH_LINK") {
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

pub(super) fn read_schema(request: &Map<String, Value>) -> Result<Vec<SchemaAttribute>, Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(request: Value) -> Result<Map<String, Value>, Refusal> {
        let request = request.as_object().unwrap().clone();
        read(&request, Purpose::Create).map_err(|error| match error {
            Error::Refusal(refusal) => refusal,
            Error::Fault(fault) => panic!("{fault}"),
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        assert_eq!(
            Value::Object(stored(json!({ "PoolName": "p" })).unwrap()),
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
        let stored = stored(json!({
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
        let stored = stored(json!({
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
            let refusal = stored(json!({ "PoolName": "p", "LambdaConfig": { name: arn } }));
            assert_eq!(
                refusal,
                Err(Refusal::NotSupported(format!("LambdaConfig {name}")))
            );
        }
        assert_eq!(
            stored(json!({ "PoolName": "p", "MfaConfiguration": "ON" })),
            Err(Refusal::NotSupported("MfaConfiguration ON".into()))
        );
        assert_eq!(
            stored(json!({
                "PoolName": "p",
                "VerificationMessageTemplate": { "DefaultEmailOption": "CONFIRM_WITH_LINK" },
            })),
            Err(Refusal::NotSupported(
                "DefaultEmailOption CONFIRM_WITH_LINK".into()
            ))
        );
        assert_eq!(
            stored(json!({ "PoolName": "p", "MfaConfiguration": "OPTIONAL" })),
            Err(Refusal::SmsConfigurationMissing)
        );
        assert_eq!(
            stored(json!({ "PoolName": "p", "LambdaConfig": {
                "PreTokenGeneration": arn,
                "PreTokenGenerationConfig": { "LambdaVersion": "V2_0", "LambdaArn": format!("{arn}2") },
            }})),
            Err(Refusal::PreTokenGenerationArnsDiffer)
        );
    }
}
