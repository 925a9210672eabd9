//! What each trigger decides from its event: pure, no network and no environment. Asking the passkey service, and the
//! Lambda runtime, are outside.
//!
//! The rules are those of the guide's three functions; where ours are stricter, the comment says so. The event's shape
//! is the user pool contract, sections 8.3 and 14.1.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The only challenge these triggers deal with.
const CUSTOM_CHALLENGE: &str = "CUSTOM_CHALLENGE";

/// Why a trigger refuses. The text reaches the person signing in, through the user pool's
/// `UserLambdaValidationException`, so it tells nothing that only the operator may know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The user has not added a passkey yet. A web app knows this text and offers the password instead.
    #[error("User has no passkeys")]
    NoPasskeys,
    /// The nonce is unknown, expired or was redeemed before.
    #[error("Could not verify nonce: nonce is invalid, expired, or cannot be found")]
    InvalidNonce,
    /// The nonce is good and the proof of somebody else. Not told apart from a bad one, except in the function's log.
    #[error("Could not verify nonce: nonce is invalid, expired, or cannot be found")]
    NonceOfAnotherUser,
    /// The passkey service did not do its part; the word is its code, or what happened on the way.
    #[error("Passkeys are not available at the moment ({0})")]
    Unavailable(String),
    /// The event lacks the user's `sub`, as for a user who does not exist.
    #[error("Missing sub in userAttributes")]
    MissingSub,
    /// The client answered nothing.
    #[error("Missing challengeAnswer")]
    MissingAnswer,
    /// Create was called after a challenge was answered, which Define never asks for.
    #[error("Unexpected state: a challenge has been answered already")]
    UnexpectedState,
    /// Not the event of this trigger.
    #[error("Not an event of this trigger")]
    NotOurEvent,
}

impl Refusal {
    /// The error's type, as Lambda shows it to the operator.
    pub fn error_type(&self) -> &'static str {
        match self {
            Refusal::NoPasskeys => "NoPasskeys",
            Refusal::InvalidNonce | Refusal::NonceOfAnotherUser => "InvalidNonce",
            Refusal::Unavailable(_) => "Unavailable",
            Refusal::MissingSub => "MissingSub",
            Refusal::MissingAnswer => "MissingAnswer",
            Refusal::UnexpectedState => "UnexpectedState",
            Refusal::NotOurEvent => "NotOurEvent",
        }
    }
}

/// What Define wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Define {
    /// Ask for a passkey.
    Challenge,
    /// The passkey was right: sign the user in.
    IssueTokens,
    /// End the sign-in; the text is for the function's log.
    Fail(&'static str),
}

impl Define {
    /// Decides from the rounds so far. One round is one challenge and its result.
    ///
    /// Stricter than the guide: a user who does not exist is refused here, and so looks like a wrong answer, instead of
    /// running into the missing `sub` in Create.
    pub fn decide(event: &Value) -> Result<Self, Refusal> {
        let request: DefineRequest = request(event)?;
        if request.user_not_found == Some(true) {
            return Ok(Define::Fail("the user does not exist"));
        }
        let Some(last) = request.session.last() else {
            return Ok(Define::Challenge);
        };
        if request
            .session
            .iter()
            .any(|round| round.challenge_name != CUSTOM_CHALLENGE)
        {
            return Ok(Define::Fail("only CUSTOM_CHALLENGE is expected"));
        }
        if last.challenge_result == Some(true) {
            Ok(Define::IssueTokens)
        } else {
            Ok(Define::Fail("the passkey was not verified"))
        }
    }

    /// The event with this decision in its `response`.
    pub fn answer(self, event: Value) -> Value {
        let fields = match self {
            Define::Challenge => {
                json!({"challengeName": CUSTOM_CHALLENGE, "issueTokens": false, "failAuthentication": false})
            }
            Define::IssueTokens => json!({"issueTokens": true, "failAuthentication": false}),
            Define::Fail(_) => json!({"issueTokens": false, "failAuthentication": true}),
        };
        respond(event, fields)
    }
}

/// What Create has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Create {
    /// Make an authenticate transaction for this user, known to the passkey service by the pool's `sub`.
    Transaction {
        /// The user's `sub`.
        external_id: String,
    },
    /// Some other challenge: the event goes back as it came.
    NotOurs,
}

impl Create {
    /// Decides from the challenge's name and the user.
    pub fn decide(event: &Value) -> Result<Self, Refusal> {
        let request: CreateRequest = request(event)?;
        if request.challenge_name.as_deref() != Some(CUSTOM_CHALLENGE) {
            return Ok(Create::NotOurs);
        }
        if !request.session.is_empty() {
            return Err(Refusal::UnexpectedState);
        }
        Ok(Create::Transaction {
            external_id: request.user_attributes.sub()?,
        })
    }

    /// The event with the transaction's id where the client finds it: `ChallengeParameters.passageTransactionId`.
    pub fn answer(event: Value, transaction_id: &str) -> Value {
        respond(
            event,
            json!({"publicChallengeParameters": {"passageTransactionId": transaction_id}}),
        )
    }
}

/// What Verify has to check: that this nonce is the proof of this user.
#[derive(Clone, PartialEq, Eq)]
pub struct Verify {
    /// To be redeemed at the passkey service.
    pub nonce: String,
    sub: String,
}

impl Verify {
    /// Reads the answer and the user. Both must be there before the nonce is spent.
    pub fn decide(event: &Value) -> Result<Self, Refusal> {
        let request: VerifyRequest = request(event)?;
        let nonce = request
            .challenge_answer
            .filter(|answer| !answer.is_empty())
            .ok_or(Refusal::MissingAnswer)?;
        Ok(Verify {
            nonce,
            sub: request.user_attributes.sub()?,
        })
    }

    /// Whether the redeemed nonce is the proof of the user who is signing in.
    ///
    /// Stricter than the guide, which asks only that the nonce is good. But every nonce of the app is good: without this
    /// comparison anybody with a passkey signs in as anybody else, by answering the challenge with a nonce of their own.
    pub fn check(&self, external_id: &str) -> Result<(), Refusal> {
        if external_id == self.sub {
            Ok(())
        } else {
            Err(Refusal::NonceOfAnotherUser)
        }
    }

    /// The event with the answer accepted. There is no other: a wrong answer is an error, as in the guide.
    pub fn answer(event: Value) -> Value {
        respond(event, json!({"answerCorrect": true}))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DefineRequest {
    session: Vec<Round>,
    user_not_found: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Round {
    challenge_name: String,
    challenge_result: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreateRequest {
    challenge_name: Option<String>,
    #[serde(default)]
    session: Vec<Round>,
    #[serde(default)]
    user_attributes: UserAttributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerifyRequest {
    challenge_answer: Option<String>,
    #[serde(default)]
    user_attributes: UserAttributes,
}

#[derive(Deserialize, Default)]
struct UserAttributes {
    sub: Option<String>,
}

impl UserAttributes {
    fn sub(self) -> Result<String, Refusal> {
        self.sub
            .filter(|sub| !sub.is_empty())
            .ok_or(Refusal::MissingSub)
    }
}

fn request<R: DeserializeOwned>(event: &Value) -> Result<R, Refusal> {
    event
        .get("request")
        .and_then(|request| R::deserialize(request).ok())
        .ok_or(Refusal::NotOurEvent)
}

/// The event with `fields` in its `response`; whatever else it holds goes back unchanged, as the pool expects.
fn respond(mut event: Value, fields: Value) -> Value {
    match (&mut event["response"], fields) {
        (Value::Object(response), Value::Object(fields)) => response.extend(fields),
        (response, fields) => *response = fields,
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: Value, response: Value) -> Value {
        json!({
            "version": "1", "region": "us-east-1", "userPoolId": "us-east-1_abcDEF123", "userName": "u",
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": "c"},
            "triggerSource": "t", "request": request, "response": response,
        })
    }

    fn define(request: Value) -> Result<Define, Refusal> {
        Define::decide(&event(request, json!({})))
    }

    fn round(name: &str, result: impl Into<Value>) -> Value {
        json!({"challengeName": name, "challengeResult": result.into(), "challengeMetadata": null})
    }

    #[test]
    fn define_asks_for_a_passkey_first() {
        assert_eq!(
            define(json!({"userAttributes": {}, "session": []})),
            Ok(Define::Challenge)
        );
        assert_eq!(
            define(json!({"session": [], "userNotFound": false})),
            Ok(Define::Challenge)
        );
    }

    #[test]
    fn define_issues_tokens_for_a_right_passkey_only() {
        let cases = [
            (json!([round("CUSTOM_CHALLENGE", true)]), true),
            (json!([round("CUSTOM_CHALLENGE", false)]), false),
            (json!([round("CUSTOM_CHALLENGE", Value::Null)]), false),
            (
                json!([
                    round("CUSTOM_CHALLENGE", true),
                    round("CUSTOM_CHALLENGE", false)
                ]),
                false,
            ),
            (json!([round("PASSWORD_VERIFIER", true)]), false),
            (
                json!([round("SRP_A", true), round("CUSTOM_CHALLENGE", true)]),
                false,
            ),
            (
                json!([round("CUSTOM_CHALLENGE", true), round("SMS_MFA", true)]),
                false,
            ),
        ];
        for (session, is_signed_in) in cases {
            let decision = define(json!({"session": session})).expect("a well-formed event");
            assert_eq!(decision == Define::IssueTokens, is_signed_in, "{session}");
            assert_ne!(
                decision,
                Define::Challenge,
                "{session}: one challenge is all there is"
            );
        }
    }

    #[test]
    fn define_refuses_a_user_who_does_not_exist() {
        for session in [json!([]), json!([round("CUSTOM_CHALLENGE", true)])] {
            let decision = define(json!({"session": session, "userNotFound": true}));
            assert!(matches!(decision, Ok(Define::Fail(_))), "{decision:?}");
        }
    }

    #[test]
    fn define_answers_in_the_event_it_got() {
        let asked = event(
            json!({"session": []}),
            json!({"challengeName": null, "issueTokens": null, "failAuthentication": null}),
        );
        let cases = [
            (
                Define::Challenge,
                json!({"challengeName": "CUSTOM_CHALLENGE", "issueTokens": false, "failAuthentication": false}),
            ),
            (
                Define::IssueTokens,
                json!({"challengeName": null, "issueTokens": true, "failAuthentication": false}),
            ),
            (
                Define::Fail("why"),
                json!({"challengeName": null, "issueTokens": false, "failAuthentication": true}),
            ),
        ];
        for (decision, response) in cases {
            let mut expected = asked.clone();
            expected["response"] = response;
            assert_eq!(decision.answer(asked.clone()), expected);
        }
    }

    #[test]
    fn create_wants_a_transaction_for_the_sub() {
        let asked = event(
            json!({"userAttributes": {"sub": "s1", "email": "mia@example.com"}, "challengeName": "CUSTOM_CHALLENGE",
                   "session": []}),
            json!({"publicChallengeParameters": null, "privateChallengeParameters": null, "challengeMetadata": null}),
        );
        assert_eq!(
            Create::decide(&asked),
            Ok(Create::Transaction {
                external_id: "s1".to_owned()
            })
        );

        let mut expected = asked.clone();
        expected["response"]["publicChallengeParameters"] = json!({"passageTransactionId": "t1"});
        assert_eq!(Create::answer(asked, "t1"), expected);
    }

    #[test]
    fn create_leaves_other_challenges_alone_and_refuses_what_define_does_not_ask_for() {
        let cases = [
            (
                json!({"challengeName": "SOMETHING_ELSE", "userAttributes": {"sub": "s1"}}),
                Ok(Create::NotOurs),
            ),
            (
                json!({"userAttributes": {"sub": "s1"}}),
                Ok(Create::NotOurs),
            ),
            (
                json!({"challengeName": "CUSTOM_CHALLENGE", "session": [round("CUSTOM_CHALLENGE", true)],
                       "userAttributes": {"sub": "s1"}}),
                Err(Refusal::UnexpectedState),
            ),
            (
                json!({"challengeName": "CUSTOM_CHALLENGE", "session": []}),
                Err(Refusal::MissingSub),
            ),
            (
                json!({"challengeName": "CUSTOM_CHALLENGE", "userAttributes": {"sub": ""}}),
                Err(Refusal::MissingSub),
            ),
        ];
        for (request, expected) in cases {
            assert_eq!(
                Create::decide(&event(request.clone(), json!({}))),
                expected,
                "{request}"
            );
        }
    }

    #[test]
    fn verify_accepts_the_proof_of_the_user_who_signs_in_and_of_nobody_else() {
        let asked = event(
            json!({"userAttributes": {"sub": "s1"}, "privateChallengeParameters": {}, "challengeAnswer": "n1"}),
            json!({"answerCorrect": null}),
        );
        let verify = Verify::decide(&asked).expect("a well-formed event");
        assert_eq!(verify.nonce, "n1");
        assert_eq!(verify.check("s1"), Ok(()));
        for other in ["s2", "S1", "s1 ", ""] {
            assert_eq!(
                verify.check(other),
                Err(Refusal::NonceOfAnotherUser),
                "{other:?}"
            );
        }

        let mut expected = asked.clone();
        expected["response"] = json!({"answerCorrect": true});
        assert_eq!(Verify::answer(asked), expected);
    }

    #[test]
    fn verify_spends_no_nonce_without_an_answer_and_a_user() {
        let cases = [
            (
                json!({"userAttributes": {"sub": "s1"}}),
                Refusal::MissingAnswer,
            ),
            (
                json!({"userAttributes": {"sub": "s1"}, "challengeAnswer": ""}),
                Refusal::MissingAnswer,
            ),
            (
                json!({"userAttributes": {"sub": "s1"}, "challengeAnswer": null}),
                Refusal::MissingAnswer,
            ),
            (
                json!({"userAttributes": {}, "challengeAnswer": "n1"}),
                Refusal::MissingSub,
            ),
            (json!({"challengeAnswer": "n1"}), Refusal::MissingSub),
        ];
        for (request, expected) in cases {
            assert_eq!(
                Verify::decide(&event(request.clone(), json!({}))).err(),
                Some(expected),
                "{request}"
            );
        }
    }

    #[test]
    fn what_is_not_an_event_is_refused() {
        for value in [
            json!(null),
            json!([]),
            json!("x"),
            json!({}),
            json!({"request": 7}),
            json!({"request": {"session": {}}}),
        ] {
            assert_eq!(Define::decide(&value), Err(Refusal::NotOurEvent), "{value}");
        }
        for value in [json!({}), json!({"request": {"challengeName": 7}})] {
            assert_eq!(Create::decide(&value), Err(Refusal::NotOurEvent), "{value}");
        }
        for value in [json!({}), json!({"request": {"challengeAnswer": {}}})] {
            assert_eq!(
                Verify::decide(&value).err(),
                Some(Refusal::NotOurEvent),
                "{value}"
            );
        }
    }
}
