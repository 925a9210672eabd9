//! Custom authentication: runs what `machine` asks for (`cognito.md` §8).

use serde_json::{Value, json};

use crate::{
    Error, Refusal, SessionDenial, UserPools,
    auth::{
        attempt::{Attempt, AttemptSubject},
        driver::Initiation,
        machine::{self, Denial, Effect, Input, Parameters},
        sessions::{Challenge, SessionState, SessionSubject},
        triggers::{self, ClientMetadata, Subject, TokenOccasion, Trigger},
    },
    user_pools::UserPool,
    users::UserStatus,
};

impl UserPools {
    pub(super) async fn start_custom(
        &self,
        attempt: Attempt<'_>,
        initiation: &Initiation,
    ) -> Result<Value, Error> {
        let challenge_name = ["CHALLENGE_NAME", "ChallengeName"]
            .into_iter()
            .find_map(|name| initiation.parameters.get(name));
        if let Some(name) = challenge_name.filter(|name| *name != "CUSTOM_CHALLENGE") {
            return Err(Refusal::NotSupported(format!("CUSTOM_AUTH with {name}")).into());
        }
        custom_triggers(attempt.pool)?;
        match &attempt.subject {
            AttemptSubject::Nobody { .. }
                if !attempt.client.configuration.hides_unknown_users() =>
            {
                return Err(Refusal::UserNotFound.into());
            }
            AttemptSubject::User { user, .. } if user.status == UserStatus::Unconfirmed => {
                return Err(Refusal::UserNotConfirmed.into());
            }
            _ => {}
        }
        self.run_custom(attempt, machine::start(), None).await
    }

    /// Runs the custom loop until the client must answer or it is decided. `client_metadata` is
    /// given on an answer only; Create never sees it.
    pub(super) async fn run_custom(
        &self,
        attempt: Attempt<'_>,
        first: (machine::State, Effect),
        client_metadata: Option<&ClientMetadata>,
    ) -> Result<Value, Error> {
        let [define, create, verify] = custom_triggers(attempt.pool)?;
        let metadata = client_metadata.and_then(Option::as_ref);
        let attributes = attempt.attributes();
        let subject = Subject {
            attributes: &attributes,
            is_unknown: attempt.is_unknown(),
        };
        let (mut state, mut effect) = first;
        loop {
            let call = attempt.call();
            let common = call.event();
            let input = match effect {
                Effect::Define { rounds } => {
                    let event =
                        triggers::define_auth_challenge(&common, subject, &rounds, metadata);
                    let response = self
                        .run_trigger(call, Trigger::DefineAuthChallenge, define, event)
                        .await?;
                    Input::Defined(triggers::read_decision(&response)?)
                }
                Effect::Create { rounds } => {
                    let event = triggers::create_auth_challenge(&common, subject, &rounds);
                    let response = self
                        .run_trigger(call, Trigger::CreateAuthChallenge, create, event)
                        .await?;
                    Input::Created(triggers::read_new_challenge(&response)?)
                }
                Effect::Verify {
                    private_parameters,
                    answer,
                } => {
                    let event = triggers::verify_auth_challenge_response(
                        &common,
                        subject,
                        &private_parameters,
                        &answer,
                        metadata,
                    );
                    let response = self
                        .run_trigger(call, Trigger::VerifyAuthChallengeResponse, verify, event)
                        .await?;
                    Input::Verified(triggers::read_verdict(&response)?)
                }
                Effect::Challenge { public_parameters } => {
                    return self
                        .challenge_custom(&attempt, state, public_parameters)
                        .await;
                }
                Effect::IssueTokens => {
                    let metadata = client_metadata.cloned().flatten();
                    return self.finish_custom(attempt, &metadata).await;
                }
                Effect::Refuse(denial) => return Err(refuse_custom(denial)),
            };
            (state, effect) = machine::step(state, input);
        }
    }

    async fn challenge_custom(
        &self,
        attempt: &Attempt<'_>,
        state: machine::State,
        mut parameters: Parameters,
    ) -> Result<Value, Error> {
        let (subject, username) = match &attempt.subject {
            AttemptSubject::User { user, alias } => (
                SessionSubject::User {
                    sub: user.sub.clone(),
                    alias: *alias,
                },
                user.username.clone(),
            ),
            AttemptSubject::Nobody { name } => (
                SessionSubject::Nobody { name: name.clone() },
                self.shown_username_of_nobody(attempt.pool, name),
            ),
        };
        let state = SessionState {
            subject,
            challenge: Challenge::Custom(state),
        };
        let session = self.store_session(attempt.client, &state).await?;
        parameters.insert("USERNAME".to_owned(), username);
        Ok(json!({
            "ChallengeName": "CUSTOM_CHALLENGE",
            "Session": session,
            "ChallengeParameters": parameters,
        }))
    }

    async fn finish_custom(
        &self,
        attempt: Attempt<'_>,
        client_metadata: &ClientMetadata,
    ) -> Result<Value, Error> {
        let AttemptSubject::User { user, .. } = &attempt.subject else {
            // Whatever the functions say, nobody cannot be signed in.
            return Err(Refusal::IncorrectCredentials.into());
        };
        if !user.is_enabled {
            return Err(Refusal::UserDisabled.into());
        }
        match user.status {
            UserStatus::Unconfirmed => return Err(Refusal::UserNotConfirmed.into()),
            UserStatus::ResetRequired => return Err(Refusal::PasswordResetRequired.into()),
            // Passwordless set-ups depend on users who never had a password of their own.
            UserStatus::Confirmed | UserStatus::ForceChangePassword => {}
        }
        self.finish(attempt, TokenOccasion::Authentication, client_metadata)
            .await
    }
}

/// The functions behind Define, Create and Verify: all three or none will do.
fn custom_triggers(pool: &UserPool) -> Result<[&str; 3], Refusal> {
    let trigger = |trigger| {
        pool.configuration
            .trigger(trigger)
            .ok_or(Refusal::CustomAuthNotConfigured)
    };
    Ok([
        trigger(Trigger::DefineAuthChallenge)?,
        trigger(Trigger::CreateAuthChallenge)?,
        trigger(Trigger::VerifyAuthChallengeResponse)?,
    ])
}

fn refuse_custom(denial: Denial) -> Error {
    match denial {
        Denial::Failed => Refusal::IncorrectCredentials.into(),
        Denial::Undecided => triggers::unrecognizable().into(),
        Denial::NotSupported(name) => Refusal::NotSupported(name).into(),
        Denial::OutOfOrder => SessionDenial::Unknown.into(),
    }
}
