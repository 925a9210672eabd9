//! What an app client's configuration may be: read from a request, stored with its defaults,
//! understood. Pure.

use std::collections::HashSet;

use aws_protocol::input::{Input, Integer, Size, Text};
use platform::Fault;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    AuthFlow, Error, Refusal,
    attributes::{EMAIL_VERIFIED, PHONE_NUMBER_VERIFIED, SUB, Schema},
    shapes,
};

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 60 * MINUTE_S;
const DAY_S: i64 = 24 * HOUR_S;

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

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
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
pub(super) fn read(
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

pub(super) fn check_attribute_lists(
    stored: &Map<String, Value>,
    schema: &Schema,
) -> Result<(), Refusal> {
    for list in ["ReadAttributes", "WriteAttributes"] {
        for name in texts(stored, list) {
            if schema.find(name).is_none() {
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

    fn stored(mut request: Value) -> Result<Map<String, Value>, Refusal> {
        request["ClientName"] = json!("c");
        read(request.as_object().unwrap(), Purpose::Create).map_err(|error| match error {
            Error::Refusal(refusal) => refusal,
            Error::Fault(fault) => panic!("{fault}"),
        })
    }

    fn configuration(request: Value) -> ClientConfiguration {
        serde_json::from_value(Value::Object(stored(request).unwrap())).unwrap()
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
            stored(json!({ "ExplicitAuthFlows": ["ALLOW_USER_AUTH", "USER_PASSWORD_AUTH"] })),
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
            assert_eq!(stored(bad.clone()), Err(Refusal::TokenValidity), "{bad}");
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
                stored(json!({ "CallbackURLs": [url] })).is_ok(),
                expected,
                "{url}"
            );
        }
    }
}
