//! The claims of ID and access tokens (`cognito.md` §13), and what a token trigger may change about
//! them. Pure: no clock, no keys.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::attributes::Attributes;

/// The scope of tokens from the API.
pub(crate) const USER_SCOPE: &str = "aws.cognito.signin.user.admin";

/// Everything the claims are made of.
pub(crate) struct Grant<'g> {
    pub(crate) issuer: &'g str,
    pub(crate) client_id: &'g str,
    pub(crate) sub: &'g str,
    pub(crate) username: &'g str,
    /// Those the client may read.
    pub(crate) attributes: Attributes,
    /// The identity of the sign-in. Claimed as `origin_jti` only when the client takes part in
    /// revocation.
    pub(crate) origin_jti: &'g str,
    pub(crate) has_origin_claim: bool,
    pub(crate) event_id: &'g str,
    /// When the user signed in, in seconds.
    pub(crate) auth_time_s: i64,
    pub(crate) now_s: i64,
    pub(crate) id_jti: &'g str,
    pub(crate) id_lifetime_s: i64,
    pub(crate) access_jti: &'g str,
    pub(crate) access_lifetime_s: i64,
    pub(crate) overrides: Overrides,
}

/// What a token trigger asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    pub(crate) id: ClaimChanges,
    pub(crate) access: ClaimChanges,
    pub(crate) scopes_to_add: Vec<String>,
    pub(crate) scopes_to_suppress: Vec<String>,
    pub(crate) groups: Option<GroupOverride>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClaimChanges {
    pub(crate) add_or_override: BTreeMap<String, Value>,
    pub(crate) suppress: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GroupOverride {
    pub(crate) groups: Vec<String>,
    pub(crate) roles: Vec<String>,
    pub(crate) preferred_role: Option<String>,
}

/// Claims of the ID token that a trigger may not change. What it asks for them is dropped.
const FIXED_IN_ID: [&str; 18] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "cognito:groups",
    "cognito:username",
    "exp",
    "iat",
    "identities",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "origin_jti",
    "sub",
    "token_use",
];

/// The same for the access token.
const FIXED_IN_ACCESS: [&str; 18] = [
    "acr",
    "amr",
    "auth_time",
    "client_id",
    "cognito:groups",
    "device_key",
    "event_id",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "origin_jti",
    "scope",
    "sub",
    "token_use",
    "username",
    "version",
];

pub(crate) fn id_token(grant: &Grant<'_>) -> Map<String, Value> {
    let mut claims: Map<String, Value> = grant
        .attributes
        .iter()
        .map(|(name, value)| (name.clone(), attribute_claim(name, value)))
        .collect();
    claims.extend(common(grant, "id", grant.id_jti, grant.id_lifetime_s));
    claims.insert("aud".into(), json!(grant.client_id));
    claims.insert("cognito:username".into(), json!(grant.username));
    change(&mut claims, &grant.overrides.id, &FIXED_IN_ID);
    if let Some(groups) = &grant.overrides.groups {
        insert_groups(&mut claims, groups);
        if !groups.roles.is_empty() {
            claims.insert("cognito:roles".into(), json!(groups.roles));
        }
        if let Some(role) = &groups.preferred_role {
            claims.insert("cognito:preferred_role".into(), json!(role));
        }
    }
    claims
}

pub(crate) fn access_token(grant: &Grant<'_>) -> Map<String, Value> {
    let mut claims = common(grant, "access", grant.access_jti, grant.access_lifetime_s);
    claims.insert("client_id".into(), json!(grant.client_id));
    claims.insert("username".into(), json!(grant.username));
    let mut scopes = vec![USER_SCOPE.to_owned()];
    for scope in &grant.overrides.scopes_to_add {
        if !scopes.contains(scope) {
            scopes.push(scope.clone());
        }
    }
    scopes.retain(|scope| !grant.overrides.scopes_to_suppress.contains(scope));
    claims.insert("scope".into(), json!(scopes.join(" ")));
    change(&mut claims, &grant.overrides.access, &FIXED_IN_ACCESS);
    if let Some(groups) = &grant.overrides.groups {
        insert_groups(&mut claims, groups);
    }
    claims
}

fn common(grant: &Grant<'_>, token_use: &str, jti: &str, lifetime_s: i64) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), json!(grant.sub));
    claims.insert("iss".into(), json!(grant.issuer));
    claims.insert("token_use".into(), json!(token_use));
    claims.insert("auth_time".into(), json!(grant.auth_time_s));
    claims.insert("iat".into(), json!(grant.now_s));
    claims.insert("exp".into(), json!(grant.now_s + lifetime_s));
    claims.insert("jti".into(), json!(jti));
    claims.insert("event_id".into(), json!(grant.event_id));
    if grant.has_origin_claim {
        claims.insert("origin_jti".into(), json!(grant.origin_jti));
    }
    claims
}

/// Verifications are Booleans, an address is an object, everything else stays a text.
fn attribute_claim(name: &str, value: &str) -> Value {
    match name {
        "email_verified" | "phone_number_verified" => json!(value == "true"),
        "address" => json!({ "formatted": value }),
        _ => json!(value),
    }
}

fn change(claims: &mut Map<String, Value>, changes: &ClaimChanges, fixed: &[&str]) {
    for (name, value) in &changes.add_or_override {
        if !fixed.contains(&name.as_str()) {
            claims.insert(name.clone(), value.clone());
        }
    }
    for name in &changes.suppress {
        if !fixed.contains(&name.as_str()) {
            claims.remove(name);
        }
    }
}

fn insert_groups(claims: &mut Map<String, Value>, groups: &GroupOverride) {
    if !groups.groups.is_empty() {
        claims.insert("cognito:groups".into(), json!(groups.groups));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(overrides: Overrides) -> Grant<'static> {
        Grant {
            issuer: "http://localhost/us-east-1_EXAMPLE00",
            client_id: "client",
            sub: "sub-1",
            username: "ann",
            attributes: [
                ("email", "ann@example.com"),
                ("email_verified", "true"),
                ("address", "Road 1"),
                ("custom:plan", "gold"),
            ]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
            origin_jti: "origin-1",
            has_origin_claim: true,
            event_id: "event-1",
            auth_time_s: 1_000,
            now_s: 1_600,
            id_jti: "jti-1",
            id_lifetime_s: 3_600,
            access_jti: "jti-2",
            access_lifetime_s: 300,
            overrides,
        }
    }

    #[test]
    fn the_claim_sets_are_exactly_those_of_the_contract() {
        let grant = grant(Overrides::default());
        assert_eq!(
            Value::Object(id_token(&grant)),
            json!({
                "sub": "sub-1",
                "iss": "http://localhost/us-east-1_EXAMPLE00",
                "aud": "client",
                "token_use": "id",
                "auth_time": 1_000,
                "iat": 1_600,
                "exp": 5_200,
                "jti": "jti-1",
                "origin_jti": "origin-1",
                "event_id": "event-1",
                "cognito:username": "ann",
                "email": "ann@example.com",
                "email_verified": true,
                "address": { "formatted": "Road 1" },
                "custom:plan": "gold",
            })
        );
        assert_eq!(
            Value::Object(access_token(&grant)),
            json!({
                "sub": "sub-1",
                "iss": "http://localhost/us-east-1_EXAMPLE00",
                "client_id": "client",
                "token_use": "access",
                "scope": "aws.cognito.signin.user.admin",
                "auth_time": 1_000,
                "iat": 1_600,
                "exp": 1_900,
                "jti": "jti-2",
                "origin_jti": "origin-1",
                "event_id": "event-1",
                "username": "ann",
            })
        );
    }

    #[test]
    fn without_revocation_there_is_no_origin_claim() {
        let grant = Grant {
            has_origin_claim: false,
            ..grant(Overrides::default())
        };
        assert!(!id_token(&grant).contains_key("origin_jti"));
        assert!(!access_token(&grant).contains_key("origin_jti"));
    }

    #[test]
    fn a_trigger_changes_claims_except_the_fixed_ones() {
        let everything = |fixed: &[&str]| ClaimChanges {
            add_or_override: fixed
                .iter()
                .map(|name| ((*name).to_owned(), json!("forged")))
                .chain([("mood".to_owned(), json!({"is": "good"}))])
                .collect(),
            suppress: fixed
                .iter()
                .map(|name| (*name).to_owned())
                .chain(["email".to_owned()])
                .collect(),
        };
        let plain = grant(Overrides::default());
        let changed = grant(Overrides {
            id: everything(&FIXED_IN_ID),
            access: everything(&FIXED_IN_ACCESS),
            ..Overrides::default()
        });
        let mut expected = id_token(&plain);
        expected.remove("email");
        expected.insert("mood".into(), json!({"is": "good"}));
        assert_eq!(id_token(&changed), expected);
        let mut expected = access_token(&plain);
        expected.insert("mood".into(), json!({"is": "good"}));
        assert_eq!(access_token(&changed), expected);
    }

    #[test]
    fn scopes_and_groups_follow_the_trigger() {
        let changed = grant(Overrides {
            scopes_to_add: vec!["orders/read".into(), USER_SCOPE.into()],
            groups: Some(GroupOverride {
                groups: vec!["staff".into()],
                roles: vec!["arn:role".into()],
                preferred_role: Some("arn:role".into()),
            }),
            ..Overrides::default()
        });
        let (id, access) = (id_token(&changed), access_token(&changed));
        assert_eq!(access["scope"], "aws.cognito.signin.user.admin orders/read");
        assert_eq!(access["cognito:groups"], json!(["staff"]));
        assert!(!access.contains_key("cognito:roles"));
        assert_eq!(id["cognito:groups"], json!(["staff"]));
        assert_eq!(id["cognito:preferred_role"], "arn:role");
        let suppressed = grant(Overrides {
            scopes_to_suppress: vec![USER_SCOPE.into()],
            ..Overrides::default()
        });
        assert_eq!(access_token(&suppressed)["scope"], "");
    }
}
