//! The shapes of trigger events and of the answers to them (`cognito.md` §8.3, §14). Pure.
//!
//! Functions in typed languages break when a key is null instead of missing or the other way
//! round, so every event has exactly the keys of the contract, in its order.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    TriggerRefusal,
    attributes::Attributes,
    auth::machine::{Decision, NewChallenge, Parameters, Round},
    claims::{ClaimChanges, GroupOverride, Overrides, USER_SCOPE},
    user_pools::TokenEventVersion,
};

/// What a client says to the functions; missing in the event, not null, when nothing was sent.
pub(crate) type ClientMetadata = Option<BTreeMap<String, String>>;

/// A hook of a pool. The names are those of the messages (`lambda.md` §11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    PreSignUp,
    PostConfirmation,
    PreAuthentication,
    PostAuthentication,
    DefineAuthChallenge,
    CreateAuthChallenge,
    VerifyAuthChallengeResponse,
    PreTokenGeneration,
}

impl Trigger {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trigger::PreSignUp => "PreSignUp",
            Trigger::PostConfirmation => "PostConfirmation",
            Trigger::PreAuthentication => "PreAuthentication",
            Trigger::PostAuthentication => "PostAuthentication",
            Trigger::DefineAuthChallenge => "DefineAuthChallenge",
            Trigger::CreateAuthChallenge => "CreateAuthChallenge",
            Trigger::VerifyAuthChallengeResponse => "VerifyAuthChallengeResponse",
            Trigger::PreTokenGeneration => "PreTokenGeneration",
        }
    }
}

/// When tokens are made: the source of the token trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenOccasion {
    Authentication,
    NewPasswordChallenge,
    RefreshTokens,
}

impl TokenOccasion {
    fn source(self) -> &'static str {
        match self {
            TokenOccasion::Authentication => "TokenGeneration_Authentication",
            TokenOccasion::NewPasswordChallenge => "TokenGeneration_NewPasswordChallenge",
            TokenOccasion::RefreshTokens => "TokenGeneration_RefreshTokens",
        }
    }
}

/// What all events of one call have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Common<'e> {
    pub(crate) region: &'e str,
    pub(crate) user_pool_id: &'e str,
    pub(crate) user_name: &'e str,
    pub(crate) sdk_version: &'e str,
    /// None in administrators' calls.
    pub(crate) client_id: Option<&'e str>,
}

/// Who is asked about in custom authentication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'e> {
    pub(crate) attributes: &'e Attributes,
    /// Only sent when the client hides unknown users.
    pub(crate) is_unknown: Option<bool>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'e, Q, R> {
    version: &'e str,
    region: &'e str,
    user_pool_id: &'e str,
    user_name: &'e str,
    caller_context: CallerContext<'e>,
    trigger_source: &'e str,
    request: Q,
    response: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CallerContext<'e> {
    aws_sdk_version: &'e str,
    client_id: Option<&'e str>,
}

impl Common<'_> {
    fn event(
        &self,
        version: &str,
        trigger_source: &str,
        request: impl Serialize,
        response: impl Serialize,
    ) -> Vec<u8> {
        serde_json::to_vec(&Event {
            version,
            region: self.region,
            user_pool_id: self.user_pool_id,
            user_name: self.user_name,
            caller_context: CallerContext {
                aws_sdk_version: self.sdk_version,
                client_id: self.client_id,
            },
            trigger_source,
            request,
            response,
        })
        .expect("texts, numbers and maps with text keys are JSON")
    }
}

#[derive(Serialize)]
struct Empty {}

pub(crate) fn pre_sign_up(
    common: &Common<'_>,
    user_attributes: &Attributes,
    validation_data: &BTreeMap<String, String>,
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        validation_data: &'e BTreeMap<String, String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        auto_confirm_user: bool,
        auto_verify_email: bool,
        auto_verify_phone: bool,
    }
    common.event(
        "1",
        "PreSignUp_SignUp",
        Request {
            user_attributes,
            validation_data,
            client_metadata,
        },
        Response {
            auto_confirm_user: false,
            auto_verify_email: false,
            auto_verify_phone: false,
        },
    )
}

pub(crate) fn post_confirmation(
    common: &Common<'_>,
    user_attributes: &Attributes,
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
    }
    common.event(
        "1",
        "PostConfirmation_ConfirmSignUp",
        Request {
            user_attributes,
            client_metadata,
        },
        Empty {},
    )
}

pub(crate) fn pre_authentication(
    common: &Common<'_>,
    subject: Subject<'_>,
    validation_data: &BTreeMap<String, String>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        validation_data: &'e BTreeMap<String, String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_not_found: Option<bool>,
    }
    common.event(
        "1",
        "PreAuthentication_Authentication",
        Request {
            user_attributes: subject.attributes,
            validation_data,
            user_not_found: subject.is_unknown,
        },
        Empty {},
    )
}

pub(crate) fn post_authentication(
    common: &Common<'_>,
    user_attributes: &Attributes,
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        new_device_used: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
    }
    common.event(
        "1",
        "PostAuthentication_Authentication",
        Request {
            user_attributes,
            new_device_used: false,
            client_metadata,
        },
        Empty {},
    )
}

pub(crate) fn define_auth_challenge(
    common: &Common<'_>,
    subject: Subject<'_>,
    rounds: &[Round],
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        session: &'e [Round],
        #[serde(skip_serializing_if = "Option::is_none")]
        user_not_found: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        challenge_name: (),
        issue_tokens: (),
        fail_authentication: (),
    }
    common.event(
        "1",
        "DefineAuthChallenge_Authentication",
        Request {
            user_attributes: subject.attributes,
            session: rounds,
            user_not_found: subject.is_unknown,
            client_metadata,
        },
        Response {
            challenge_name: (),
            issue_tokens: (),
            fail_authentication: (),
        },
    )
}

pub(crate) fn create_auth_challenge(
    common: &Common<'_>,
    subject: Subject<'_>,
    rounds: &[Round],
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        challenge_name: &'e str,
        session: &'e [Round],
        #[serde(skip_serializing_if = "Option::is_none")]
        user_not_found: Option<bool>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        public_challenge_parameters: (),
        private_challenge_parameters: (),
        challenge_metadata: (),
    }
    common.event(
        "1",
        "CreateAuthChallenge_Authentication",
        Request {
            user_attributes: subject.attributes,
            challenge_name: "CUSTOM_CHALLENGE",
            session: rounds,
            user_not_found: subject.is_unknown,
        },
        Response {
            public_challenge_parameters: (),
            private_challenge_parameters: (),
            challenge_metadata: (),
        },
    )
}

pub(crate) fn verify_auth_challenge_response(
    common: &Common<'_>,
    subject: Subject<'_>,
    private_challenge_parameters: &Parameters,
    challenge_answer: &str,
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        private_challenge_parameters: &'e Parameters,
        challenge_answer: &'e str,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_not_found: Option<bool>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Response {
        answer_correct: (),
    }
    common.event(
        "1",
        "VerifyAuthChallengeResponse_Authentication",
        Request {
            user_attributes: subject.attributes,
            private_challenge_parameters,
            challenge_answer,
            client_metadata,
            user_not_found: subject.is_unknown,
        },
        Response { answer_correct: () },
    )
}

pub(crate) fn pre_token_generation(
    common: &Common<'_>,
    version: TokenEventVersion,
    occasion: TokenOccasion,
    user_attributes: &Attributes,
    client_metadata: Option<&BTreeMap<String, String>>,
) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'e> {
        user_attributes: &'e Attributes,
        group_configuration: GroupConfiguration,
        #[serde(skip_serializing_if = "Option::is_none")]
        scopes: Option<[&'static str; 1]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_metadata: Option<&'e BTreeMap<String, String>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct GroupConfiguration {
        groups_to_override: [String; 0],
        iam_roles_to_override: [String; 0],
        preferred_role: (),
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ResponseV1 {
        claims_override_details: (),
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct ResponseV2 {
        claims_and_scope_override_details: (),
    }
    let request = Request {
        user_attributes,
        group_configuration: GroupConfiguration {
            groups_to_override: [],
            iam_roles_to_override: [],
            preferred_role: (),
        },
        scopes: (version != TokenEventVersion::V1).then_some([USER_SCOPE]),
        client_metadata,
    };
    let v2 = ResponseV2 {
        claims_and_scope_override_details: (),
    };
    let source = occasion.source();
    match version {
        TokenEventVersion::V1 => common.event(
            "1",
            source,
            request,
            ResponseV1 {
                claims_override_details: (),
            },
        ),
        TokenEventVersion::V2 => common.event("2", source, request, v2),
        TokenEventVersion::V3 => common.event("3", source, request, v2),
    }
}

/// The `response` of what a function returned. It returns the whole event; nothing else is read.
pub(crate) fn read_response(payload: &[u8]) -> Result<Map<String, Value>, TriggerRefusal> {
    let Ok(Value::Object(mut event)) = serde_json::from_slice(payload) else {
        return Err(TriggerRefusal::NotJson);
    };
    match event.remove("response") {
        Some(Value::Object(response)) => Ok(response),
        None | Some(Value::Null) => Ok(Map::new()),
        Some(_) => Err(unrecognizable()),
    }
}

/// PreSignUp's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consent {
    pub(crate) confirms: bool,
    pub(crate) verifies_email: bool,
    pub(crate) verifies_phone: bool,
}

pub(crate) fn read_consent(response: &Map<String, Value>) -> Result<Consent, TriggerRefusal> {
    Ok(Consent {
        confirms: flag(response, "autoConfirmUser")?,
        verifies_email: flag(response, "autoVerifyEmail")?,
        verifies_phone: flag(response, "autoVerifyPhone")?,
    })
}

pub(crate) fn read_decision(response: &Map<String, Value>) -> Result<Decision, TriggerRefusal> {
    Ok(Decision {
        challenge_name: text(response, "challengeName")?,
        issues_tokens: flag(response, "issueTokens")?,
        fails: flag(response, "failAuthentication")?,
    })
}

pub(crate) fn read_new_challenge(
    response: &Map<String, Value>,
) -> Result<NewChallenge, TriggerRefusal> {
    Ok(NewChallenge {
        public_parameters: texts(response, "publicChallengeParameters")?,
        private_parameters: texts(response, "privateChallengeParameters")?,
        metadata: text(response, "challengeMetadata")?,
    })
}

/// Whether the answer was right. A function that does not say so has not answered.
pub(crate) fn read_verdict(response: &Map<String, Value>) -> Result<bool, TriggerRefusal> {
    match response.get("answerCorrect") {
        Some(Value::Bool(is_correct)) => Ok(*is_correct),
        _ => Err(unrecognizable()),
    }
}

pub(crate) fn read_overrides(
    version: TokenEventVersion,
    response: &Map<String, Value>,
) -> Result<Overrides, TriggerRefusal> {
    if version == TokenEventVersion::V1 {
        let Some(details) = object(response, "claimsOverrideDetails")? else {
            return Ok(Overrides::default());
        };
        let id = claim_changes(details)?;
        if !id.add_or_override.values().all(Value::is_string) {
            return Err(unrecognizable());
        }
        return Ok(Overrides {
            id,
            groups: group_override(details)?,
            ..Overrides::default()
        });
    }
    let Some(details) = object(response, "claimsAndScopeOverrideDetails")? else {
        return Ok(Overrides::default());
    };
    let mut overrides = Overrides {
        groups: group_override(details)?,
        ..Overrides::default()
    };
    if let Some(id) = object(details, "idTokenGeneration")? {
        overrides.id = claim_changes(id)?;
    }
    if let Some(access) = object(details, "accessTokenGeneration")? {
        overrides.access = claim_changes(access)?;
        overrides.scopes_to_add = list(access, "scopesToAdd")?;
        overrides.scopes_to_suppress = list(access, "scopesToSuppress")?;
    }
    Ok(overrides)
}

pub(crate) fn unrecognizable() -> TriggerRefusal {
    TriggerRefusal::Unrecognizable
}

fn claim_changes(details: &Map<String, Value>) -> Result<ClaimChanges, TriggerRefusal> {
    let added = object(details, "claimsToAddOrOverride")?;
    Ok(ClaimChanges {
        add_or_override: added
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        suppress: list(details, "claimsToSuppress")?,
    })
}

fn group_override(details: &Map<String, Value>) -> Result<Option<GroupOverride>, TriggerRefusal> {
    object(details, "groupOverrideDetails")?
        .map(|groups| {
            Ok(GroupOverride {
                groups: list(groups, "groupsToOverride")?,
                roles: list(groups, "iamRolesToOverride")?,
                preferred_role: text(groups, "preferredRole")?,
            })
        })
        .transpose()
}

fn present<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn flag(object: &Map<String, Value>, name: &str) -> Result<bool, TriggerRefusal> {
    match present(object, name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(unrecognizable),
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, TriggerRefusal> {
    present(object, name)
        .map(|value| {
            let text = value.as_str().ok_or_else(unrecognizable)?;
            Ok(text.to_owned())
        })
        .transpose()
}

fn object<'v>(
    object: &'v Map<String, Value>,
    name: &str,
) -> Result<Option<&'v Map<String, Value>>, TriggerRefusal> {
    present(object, name)
        .map(|value| value.as_object().ok_or_else(unrecognizable))
        .transpose()
}

fn texts(container: &Map<String, Value>, name: &str) -> Result<Parameters, TriggerRefusal> {
    object(container, name)?
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let text = value.as_str().ok_or_else(unrecognizable)?;
            Ok((name.clone(), text.to_owned()))
        })
        .collect()
}

fn list(object: &Map<String, Value>, name: &str) -> Result<Vec<String>, TriggerRefusal> {
    let Some(value) = present(object, name) else {
        return Ok(Vec::new());
    };
    value
        .as_array()
        .ok_or_else(unrecognizable)?
        .iter()
        .map(|item| Ok(item.as_str().ok_or_else(unrecognizable)?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMON: Common<'_> = Common {
        region: "us-east-1",
        user_pool_id: "us-east-1_EXAMPLE00",
        user_name: "ann",
        sdk_version: "aws-sdk-unknown-unknown",
        client_id: Some("client"),
    };

    const HEAD: &str = concat!(
        r#"{"version":"1","region":"us-east-1","userPoolId":"us-east-1_EXAMPLE00","#,
        r#""userName":"ann","callerContext":{"awsSdkVersion":"aws-sdk-unknown-unknown","#,
        r#""clientId":"client"},"triggerSource":"#
    );

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[track_caller]
    fn check(event: Vec<u8>, rest: &str) {
        assert_eq!(String::from_utf8(event).unwrap(), format!("{HEAD}{rest}"));
    }

    #[test]
    fn custom_events_have_exactly_the_keys_of_the_contract_in_order() {
        let attributes = pairs(&[("sub", "s")]);
        let known = Subject {
            attributes: &attributes,
            is_unknown: None,
        };
        let hidden = Subject {
            attributes: &attributes,
            is_unknown: Some(false),
        };
        let metadata = pairs(&[("k", "v")]);
        let rounds = [Round {
            challenge_name: "CUSTOM_CHALLENGE".into(),
            challenge_result: false,
            challenge_metadata: None,
        }];
        check(
            define_auth_challenge(&COMMON, known, &[], None),
            concat!(
                r#""DefineAuthChallenge_Authentication","request":{"userAttributes":{"sub":"s"},"#,
                r#""session":[]},"response":{"challengeName":null,"issueTokens":null,"failAuthentication":null}}"#
            ),
        );
        check(
            define_auth_challenge(&COMMON, hidden, &rounds, Some(&metadata)),
            concat!(
                r#""DefineAuthChallenge_Authentication","request":{"userAttributes":{"sub":"s"},"#,
                r#""session":[{"challengeName":"CUSTOM_CHALLENGE","challengeResult":false,"challengeMetadata":null}],"#,
                r#""userNotFound":false,"clientMetadata":{"k":"v"}},"#,
                r#""response":{"challengeName":null,"issueTokens":null,"failAuthentication":null}}"#
            ),
        );
        check(
            create_auth_challenge(&COMMON, hidden, &[]),
            concat!(
                r#""CreateAuthChallenge_Authentication","request":{"userAttributes":{"sub":"s"},"#,
                r#""challengeName":"CUSTOM_CHALLENGE","session":[],"userNotFound":false},"#,
                r#""response":{"publicChallengeParameters":null,"privateChallengeParameters":null,"challengeMetadata":null}}"#
            ),
        );
        check(
            verify_auth_challenge_response(&COMMON, hidden, &pairs(&[]), "42", Some(&metadata)),
            concat!(
                r#""VerifyAuthChallengeResponse_Authentication","request":{"userAttributes":{"sub":"s"},"#,
                r#""privateChallengeParameters":{},"challengeAnswer":"42","clientMetadata":{"k":"v"},"#,
                r#""userNotFound":false},"response":{"answerCorrect":null}}"#
            ),
        );
    }

    #[test]
    fn the_other_events_too() {
        let attributes = pairs(&[("email", "a@x.de")]);
        let none = pairs(&[]);
        check(
            pre_sign_up(&COMMON, &attributes, &none, None),
            concat!(
                r#""PreSignUp_SignUp","request":{"userAttributes":{"email":"a@x.de"},"validationData":{}},"#,
                r#""response":{"autoConfirmUser":false,"autoVerifyEmail":false,"autoVerifyPhone":false}}"#
            ),
        );
        check(
            post_confirmation(&COMMON, &attributes, None),
            concat!(
                r#""PostConfirmation_ConfirmSignUp","request":{"userAttributes":{"email":"a@x.de"}},"#,
                r#""response":{}}"#
            ),
        );
        check(
            post_authentication(&COMMON, &attributes, None),
            concat!(
                r#""PostAuthentication_Authentication","request":{"userAttributes":{"email":"a@x.de"},"#,
                r#""newDeviceUsed":false},"response":{}}"#
            ),
        );
        check(
            pre_token_generation(
                &COMMON,
                TokenEventVersion::V1,
                TokenOccasion::RefreshTokens,
                &attributes,
                None,
            ),
            concat!(
                r#""TokenGeneration_RefreshTokens","request":{"userAttributes":{"email":"a@x.de"},"#,
                r#""groupConfiguration":{"groupsToOverride":[],"iamRolesToOverride":[],"preferredRole":null}},"#,
                r#""response":{"claimsOverrideDetails":null}}"#
            ),
        );
        let v2 = pre_token_generation(
            &COMMON,
            TokenEventVersion::V2,
            TokenOccasion::Authentication,
            &attributes,
            None,
        );
        let v2: Value = serde_json::from_slice(&v2).unwrap();
        assert_eq!(v2["version"], "2");
        assert_eq!(v2["request"]["scopes"], json!([USER_SCOPE]));
        assert_eq!(
            v2["response"],
            json!({ "claimsAndScopeOverrideDetails": null })
        );
    }

    #[test]
    fn without_a_client_its_id_is_null() {
        let admin = Common {
            client_id: None,
            ..COMMON
        };
        let event = post_confirmation(&admin, &pairs(&[]), None);
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event["callerContext"]["clientId"], Value::Null);
    }

    #[test]
    fn only_an_object_is_an_answer() {
        for (payload, expected) in [
            (&b"not json"[..], Err(TriggerRefusal::NotJson)),
            (b"", Err(TriggerRefusal::NotJson)),
            (b"null", Err(TriggerRefusal::NotJson)),
            (b"[]", Err(TriggerRefusal::NotJson)),
            (b"\"text\"", Err(TriggerRefusal::NotJson)),
            (br#"{"response":7}"#, Err(TriggerRefusal::Unrecognizable)),
            (b"{}", Ok(Map::new())),
            (br#"{"response":null}"#, Ok(Map::new())),
        ] {
            assert_eq!(read_response(payload), expected, "{payload:?}");
        }
    }

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn decisions_are_read_and_wrong_types_refused() {
        assert_eq!(
            read_decision(&map(json!({
                "challengeName": "CUSTOM_CHALLENGE", "issueTokens": false, "failAuthentication": null,
            }))),
            Ok(Decision {
                challenge_name: Some("CUSTOM_CHALLENGE".into()),
                issues_tokens: false,
                fails: false,
            })
        );
        for bad in [
            json!({ "issueTokens": "true" }),
            json!({ "failAuthentication": 1 }),
            json!({ "challengeName": 1 }),
        ] {
            assert_eq!(
                read_decision(&map(bad)),
                Err(TriggerRefusal::Unrecognizable)
            );
        }
    }

    #[test]
    fn challenge_parameters_are_texts() {
        assert_eq!(
            read_new_challenge(&map(json!({ "publicChallengeParameters": { "id": "x" } }))),
            Ok(NewChallenge {
                public_parameters: pairs(&[("id", "x")]),
                ..NewChallenge::default()
            })
        );
        for bad in [
            json!({ "publicChallengeParameters": { "id": 1 } }),
            json!({ "privateChallengeParameters": { "id": {} } }),
            json!({ "publicChallengeParameters": [] }),
            json!({ "challengeMetadata": {} }),
        ] {
            assert_eq!(
                read_new_challenge(&map(bad)),
                Err(TriggerRefusal::Unrecognizable)
            );
        }
    }

    #[test]
    fn a_verdict_must_be_given() {
        assert_eq!(
            read_verdict(&map(json!({ "answerCorrect": true }))),
            Ok(true)
        );
        assert_eq!(
            read_verdict(&map(json!({ "answerCorrect": false }))),
            Ok(false)
        );
        for bad in [
            json!({}),
            json!({ "answerCorrect": null }),
            json!({ "answerCorrect": "true" }),
        ] {
            assert_eq!(read_verdict(&map(bad)), Err(TriggerRefusal::Unrecognizable));
        }
    }

    #[test]
    fn overrides_of_both_forms() {
        let v1 = |details: Value| {
            read_overrides(
                TokenEventVersion::V1,
                &map(json!({ "claimsOverrideDetails": details })),
            )
        };
        assert_eq!(v1(Value::Null), Ok(Overrides::default()));
        let changes = ClaimChanges {
            add_or_override: [("a".to_owned(), json!("b"))].into(),
            suppress: vec!["email".into()],
        };
        assert_eq!(
            v1(json!({ "claimsToAddOrOverride": { "a": "b" }, "claimsToSuppress": ["email"] })),
            Ok(Overrides {
                id: changes,
                ..Overrides::default()
            })
        );
        assert_eq!(
            v1(json!({ "claimsToAddOrOverride": { "a": 1 } })),
            Err(TriggerRefusal::Unrecognizable)
        );
        let v2 = read_overrides(
            TokenEventVersion::V2,
            &map(json!({ "claimsAndScopeOverrideDetails": {
                "accessTokenGeneration": {
                    "claimsToAddOrOverride": { "a": [1] }, "scopesToAdd": ["x"],
                },
                "groupOverrideDetails": { "groupsToOverride": ["g"] },
            }})),
        )
        .unwrap();
        assert_eq!(v2.access.add_or_override["a"], json!([1]));
        assert_eq!(v2.scopes_to_add, ["x"]);
        assert_eq!(v2.groups.unwrap().groups, ["g"]);
    }
}
