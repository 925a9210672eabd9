//! Custom authentication as a state machine: which function is asked next, what the client gets,
//! when it ends (`cognito.md` §8.1). Pure: states and inputs in, states and effects out.
//!
//! ```text
//! Start ─ Define ─┬ challenge ─ Create ─ client ─ Verify ─ Define …
//!                 ├ issue tokens
//!                 └ fail
//! ```

// What holds parameters and answers is not Debug outside tests: they are secrets of a sign-in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Rounds after which a sign-in fails, whatever the Define function says.
pub(crate) const ROUNDS_MAX: usize = 10;

/// One answered challenge, as functions see it in `session`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Round {
    pub(crate) challenge_name: String,
    pub(crate) challenge_result: bool,
    pub(crate) challenge_metadata: Option<String>,
}

/// Where a custom sign-in stands.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    /// Define is asked what comes next.
    Defining { rounds: Vec<Round> },
    /// Create makes a challenge.
    Creating { rounds: Vec<Round> },
    /// The client has the challenge.
    Challenged {
        rounds: Vec<Round>,
        private_parameters: Parameters,
        metadata: Option<String>,
    },
    /// Verify looks at the client's answer.
    Verifying {
        rounds: Vec<Round>,
        metadata: Option<String>,
    },
    /// Decided.
    Ended,
}

pub(crate) type Parameters = BTreeMap<String, String>;

/// What happened.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Input {
    /// Define has answered.
    Defined(Decision),
    /// Create has answered.
    Created(NewChallenge),
    /// The client has answered.
    Answered(String),
    /// Verify has answered: whether the client was right.
    Verified(bool),
}

/// Define's answer, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) challenge_name: Option<String>,
    pub(crate) issues_tokens: bool,
    pub(crate) fails: bool,
}

/// Create's answer.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct NewChallenge {
    pub(crate) public_parameters: Parameters,
    pub(crate) private_parameters: Parameters,
    pub(crate) metadata: Option<String>,
}

/// What is to be done.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Ask Define.
    Define { rounds: Vec<Round> },
    /// Ask Create.
    Create { rounds: Vec<Round> },
    /// Keep the state and give these to the client.
    Challenge { public_parameters: Parameters },
    /// Ask Verify.
    Verify {
        private_parameters: Parameters,
        answer: String,
    },
    /// The user is signed in.
    IssueTokens,
    /// It is over.
    Refuse(Denial),
}

/// Why a custom sign-in ends without tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Define said so, or there were too many rounds. Looks like a wrong password.
    Failed,
    /// Define said nothing that can be followed.
    Undecided,
    /// Define asked for a built-in challenge that this server does not have.
    NotSupported(String),
    /// The step does not belong to the state: the session is of another challenge.
    OutOfOrder,
}

/// The only challenge that functions make themselves.
const CUSTOM_CHALLENGE: &str = "CUSTOM_CHALLENGE";

/// Challenges of the real service that Define may ask for by name.
const BUILT_IN: [&str; 6] = [
    "PASSWORD_VERIFIER",
    "SRP_A",
    "SMS_MFA",
    "DEVICE_SRP_AUTH",
    "DEVICE_PASSWORD_VERIFIER",
    "ADMIN_NO_SRP_AUTH",
];

/// The beginning: Define is asked with no rounds.
pub(crate) fn start() -> (State, Effect) {
    define(Vec::new())
}

/// One step.
pub(crate) fn step(state: State, input: Input) -> (State, Effect) {
    match (state, input) {
        (State::Defining { rounds }, Input::Defined(decision)) => decide(rounds, decision),
        (State::Creating { rounds }, Input::Created(challenge)) => (
            State::Challenged {
                rounds,
                private_parameters: challenge.private_parameters,
                metadata: challenge.metadata,
            },
            Effect::Challenge {
                public_parameters: challenge.public_parameters,
            },
        ),
        (
            State::Challenged {
                rounds,
                private_parameters,
                metadata,
            },
            Input::Answered(answer),
        ) => (
            State::Verifying { rounds, metadata },
            Effect::Verify {
                private_parameters,
                answer,
            },
        ),
        (
            State::Verifying {
                mut rounds,
                metadata,
            },
            Input::Verified(is_correct),
        ) => {
            rounds.push(Round {
                challenge_name: CUSTOM_CHALLENGE.to_owned(),
                challenge_result: is_correct,
                challenge_metadata: metadata,
            });
            define(rounds)
        }
        _ => refuse(Denial::OutOfOrder),
    }
}

fn define(rounds: Vec<Round>) -> (State, Effect) {
    (
        State::Defining {
            rounds: rounds.clone(),
        },
        Effect::Define { rounds },
    )
}

/// When Define says several things: failing stands before tokens, tokens before a challenge.
fn decide(rounds: Vec<Round>, decision: Decision) -> (State, Effect) {
    if decision.fails {
        return refuse(Denial::Failed);
    }
    if decision.issues_tokens {
        return (State::Ended, Effect::IssueTokens);
    }
    match decision.challenge_name.as_deref() {
        Some(CUSTOM_CHALLENGE) if rounds.len() >= ROUNDS_MAX => refuse(Denial::Failed),
        Some(CUSTOM_CHALLENGE) => (
            State::Creating {
                rounds: rounds.clone(),
            },
            Effect::Create { rounds },
        ),
        Some(name) if BUILT_IN.contains(&name) => refuse(Denial::NotSupported(name.to_owned())),
        _ => refuse(Denial::Undecided),
    }
}

fn refuse(denial: Denial) -> (State, Effect) {
    (State::Ended, Effect::Refuse(denial))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decision(name: Option<&str>, issues_tokens: bool, fails: bool) -> Input {
        Input::Defined(Decision {
            challenge_name: name.map(str::to_owned),
            issues_tokens,
            fails,
        })
    }

    fn challenge(private: &str, metadata: Option<&str>) -> Input {
        let parameters = |value: &str| Parameters::from([("key".to_owned(), value.to_owned())]);
        Input::Created(NewChallenge {
            public_parameters: parameters("public"),
            private_parameters: parameters(private),
            metadata: metadata.map(str::to_owned),
        })
    }

    fn round(is_correct: bool, metadata: Option<&str>) -> Round {
        Round {
            challenge_name: CUSTOM_CHALLENGE.into(),
            challenge_result: is_correct,
            challenge_metadata: metadata.map(str::to_owned),
        }
    }

    /// Walks one whole round and gives what Define is asked then.
    fn play_round(state: State, is_correct: bool, metadata: Option<&str>) -> (State, Effect) {
        let (state, _) = step(state, decision(Some(CUSTOM_CHALLENGE), false, false));
        let (state, _) = step(state, challenge("secret", metadata));
        let (state, _) = step(state, Input::Answered("answer".into()));
        step(state, Input::Verified(is_correct))
    }

    #[test]
    fn a_right_answer_signs_in() {
        let (state, effect) = start();
        assert_eq!(effect, Effect::Define { rounds: vec![] });
        let (state, effect) = step(state, decision(Some(CUSTOM_CHALLENGE), false, false));
        assert_eq!(effect, Effect::Create { rounds: vec![] });
        let (state, effect) = step(state, challenge("secret", Some("first")));
        assert_eq!(
            effect,
            Effect::Challenge {
                public_parameters: Parameters::from([("key".into(), "public".into())])
            }
        );
        let (state, effect) = step(state, Input::Answered("42".into()));
        assert_eq!(
            effect,
            Effect::Verify {
                private_parameters: Parameters::from([("key".into(), "secret".into())]),
                answer: "42".into(),
            }
        );
        let (state, effect) = step(state, Input::Verified(true));
        let rounds = vec![round(true, Some("first"))];
        assert_eq!(effect, Effect::Define { rounds });
        let (state, effect) = step(state, decision(None, true, false));
        assert_eq!((state, effect), (State::Ended, Effect::IssueTokens));
    }

    #[test]
    fn a_wrong_answer_is_one_more_entry_and_define_decides() {
        let (state, _) = start();
        let (state, effect) = play_round(state, false, None);
        let rounds = vec![round(false, None)];
        assert_eq!(
            effect,
            Effect::Define {
                rounds: rounds.clone()
            }
        );
        let (_, effect) = step(state, decision(Some(CUSTOM_CHALLENGE), false, false));
        assert_eq!(effect, Effect::Create { rounds });
    }

    #[test]
    fn failing_stands_before_tokens_and_tokens_before_a_challenge() {
        for (input, expected) in [
            (
                decision(Some(CUSTOM_CHALLENGE), true, true),
                Effect::Refuse(Denial::Failed),
            ),
            (
                decision(Some(CUSTOM_CHALLENGE), true, false),
                Effect::IssueTokens,
            ),
            (
                decision(None, false, false),
                Effect::Refuse(Denial::Undecided),
            ),
            (
                decision(Some(""), false, false),
                Effect::Refuse(Denial::Undecided),
            ),
            (
                decision(Some("MY_CHALLENGE"), false, false),
                Effect::Refuse(Denial::Undecided),
            ),
            (
                decision(Some("PASSWORD_VERIFIER"), false, false),
                Effect::Refuse(Denial::NotSupported("PASSWORD_VERIFIER".into())),
            ),
        ] {
            let (state, _) = start();
            assert_eq!(step(state, input), (State::Ended, expected));
        }
    }

    #[test]
    fn ten_rounds_are_enough() {
        let (mut state, _) = start();
        for _ in 0..ROUNDS_MAX {
            (state, _) = play_round(state, false, None);
        }
        let (_, effect) = step(
            state.clone(),
            decision(Some(CUSTOM_CHALLENGE), false, false),
        );
        assert_eq!(effect, Effect::Refuse(Denial::Failed));
        let (_, effect) = step(state, decision(None, true, false));
        assert_eq!(effect, Effect::IssueTokens);
    }

    #[test]
    fn a_state_survives_being_stored() {
        let (state, _) = start();
        let (state, _) = step(state, decision(Some(CUSTOM_CHALLENGE), false, false));
        let (state, _) = step(state, challenge("secret", None));
        let stored = serde_json::to_vec(&state).unwrap();
        assert_eq!(serde_json::from_slice::<State>(&stored).unwrap(), state);
    }

    fn any_input() -> impl Strategy<Value = Input> {
        prop_oneof![
            (
                prop_oneof![
                    Just(None),
                    Just(Some(CUSTOM_CHALLENGE.to_owned())),
                    ".*".prop_map(Some)
                ],
                any::<bool>(),
                any::<bool>()
            )
                .prop_map(|(challenge_name, issues_tokens, fails)| {
                    Input::Defined(Decision {
                        challenge_name,
                        issues_tokens,
                        fails,
                    })
                }),
            Just(Input::Created(NewChallenge::default())),
            ".*".prop_map(Input::Answered),
            any::<bool>().prop_map(Input::Verified),
        ]
    }

    proptest! {
        #[test]
        fn tokens_come_from_define_alone_and_an_end_is_the_end(
            inputs in prop::collection::vec(any_input(), 0..60)
        ) {
            let (mut state, _) = start();
            for input in inputs {
                let was_ended = state == State::Ended;
                let may_issue = matches!(
                    (&state, &input),
                    (State::Defining { .. }, Input::Defined(d)) if d.issues_tokens && !d.fails
                );
                let (next, effect) = step(state, input);
                prop_assert_eq!(effect == Effect::IssueTokens, may_issue);
                if was_ended {
                    prop_assert_eq!(&effect, &Effect::Refuse(Denial::OutOfOrder));
                }
                state = next;
            }
        }
    }
}
