//! Signing in with a password, and the new password that a temporary one asks for (`cognito.md`
//! §6.2, §7.4).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Error, Refusal, SessionDenial, UserPools,
    attributes::Attributes,
    auth::{
        attempt::{Attempt, AttemptSubject},
        driver::Initiation,
        machine::Parameters,
        sessions::{Challenge, SessionState, SessionSubject},
        triggers::{self, ClientMetadata, Subject, TokenOccasion, Trigger},
    },
    passwords,
    users::UserStatus,
};

impl UserPools {
    pub(super) async fn sign_in_with_password(
        &self,
        attempt: Attempt<'_>,
        initiation: &Initiation,
    ) -> Result<Value, Error> {
        let password = initiation
            .parameters
            .get("PASSWORD")
            .ok_or(Refusal::MissingParameter("PASSWORD"))?;
        let hides_unknown_users = attempt.client.configuration.hides_unknown_users();
        if !hides_unknown_users && matches!(attempt.subject, AttemptSubject::Nobody { .. }) {
            return Err(Refusal::UserNotFound.into());
        }
        self.pre_authentication(&attempt, &initiation.client_metadata)
            .await?;

        let pool_id = &attempt.pool.id;
        let (subject, hash) = match &attempt.subject {
            AttemptSubject::User { user, .. } => (user.sub.clone(), user.password_hash.clone()),
            AttemptSubject::Nobody { name } => (self.pseudonym(attempt.pool, name), None),
        };
        // The lock is read with the right to hash in hand, so that attempts which waited in line
        // see the failures of those before them.
        let permit = self.0.hashing.permit().await?;
        if self.is_locked(pool_id, &subject).await? {
            return Err(Refusal::PasswordAttemptsExceeded.into());
        }
        if !passwords::verify(permit, password, hash).await? {
            self.count_failure(pool_id, &subject).await?;
            return Err(Refusal::IncorrectCredentials.into());
        }
        let AttemptSubject::User { user, .. } = &attempt.subject else {
            return Err(Refusal::IncorrectCredentials.into());
        };

        if !user.is_enabled {
            return Err(if hides_unknown_users {
                Refusal::IncorrectCredentials.into()
            } else {
                Refusal::UserDisabled.into()
            });
        }
        match user.status {
            UserStatus::Confirmed => {
                // The metadata of InitiateAuth goes to PreAuthentication alone.
                self.finish(attempt, TokenOccasion::Authentication, &None)
                    .await
            }
            UserStatus::Unconfirmed => Err(Refusal::UserNotConfirmed.into()),
            UserStatus::ResetRequired => Err(Refusal::PasswordResetRequired.into()),
            UserStatus::ForceChangePassword => self.ask_for_new_password(attempt).await,
        }
    }

    async fn pre_authentication(
        &self,
        attempt: &Attempt<'_>,
        client_metadata: &ClientMetadata,
    ) -> Result<(), Error> {
        let Some(arn) = attempt
            .pool
            .configuration
            .trigger(Trigger::PreAuthentication)
        else {
            return Ok(());
        };
        let call = attempt.call();
        let attributes = attempt.attributes();
        let subject = Subject {
            attributes: &attributes,
            is_unknown: attempt.is_unknown(),
        };
        let none = BTreeMap::new();
        let validation_data = client_metadata.as_ref().unwrap_or(&none);
        let event = triggers::pre_authentication(&call.event(), subject, validation_data);
        self.run_trigger(call, Trigger::PreAuthentication, arn, event)
            .await?;
        Ok(())
    }

    async fn ask_for_new_password(&self, attempt: Attempt<'_>) -> Result<Value, Error> {
        let AttemptSubject::User { user, alias } = &attempt.subject else {
            return Err(Refusal::IncorrectCredentials.into());
        };
        let now_ms = self.0.platform.clock.now_ms();
        if user
            .password_expires_at_ms
            .is_some_and(|expires| expires <= now_ms)
        {
            return Err(Refusal::TemporaryPasswordExpired.into());
        }
        let state = SessionState {
            subject: SessionSubject::User {
                sub: user.sub.clone(),
                alias: *alias,
            },
            challenge: Challenge::NewPassword,
        };
        let session = self.store_session(attempt.client, &state).await?;
        let missing: Vec<String> = attempt
            .pool
            .configuration
            .schema()
            .required()
            .filter(|name| !user.attributes.contains_key(*name))
            .map(|name| format!("userAttributes.{name}"))
            .collect();
        // Lists and objects are texts of JSON here.
        Ok(json!({
            "ChallengeName": "NEW_PASSWORD_REQUIRED",
            "Session": session,
            "ChallengeParameters": {
                "USER_ID_FOR_SRP": user.username,
                "requiredAttributes": json!(missing).to_string(),
                "userAttributes": json!(user.attributes).to_string(),
            },
        }))
    }

    /// Checks an answer to NEW_PASSWORD_REQUIRED without using the session up, and gives the
    /// attributes that it changes.
    pub(super) async fn check_new_password(
        &self,
        attempt: &Attempt<'_>,
        password: &str,
        responses: &Parameters,
    ) -> Result<Attributes, Error> {
        let AttemptSubject::User { user, .. } = &attempt.subject else {
            return Err(SessionDenial::Unknown.into());
        };
        attempt
            .pool
            .configuration
            .password_policy()
            .check(password)?;
        let changes: Attributes = responses
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("userAttributes.")?;
                Some((name.to_owned(), value.clone()))
            })
            .collect();
        for name in attempt.pool.configuration.schema().required() {
            let is_sent = changes.get(name).is_some_and(|value| !value.is_empty());
            match (user.attributes.contains_key(name), is_sent) {
                (true, true) => return Err(Refusal::RequiredAttributeFixed(name.to_owned()).into()),
                (false, false) => {
                    return Err(Refusal::RequiredAttributeMissing(name.to_owned()).into());
                }
                _ => {}
            }
        }
        attempt.pool.configuration.schema().check_update(&changes)?;
        attempt.client.check_writes(&changes)?;
        Ok(changes)
    }

    pub(super) async fn finish_new_password(
        &self,
        mut attempt: Attempt<'_>,
        changes: Attributes,
        password: &str,
        client_metadata: &ClientMetadata,
    ) -> Result<Value, Error> {
        let AttemptSubject::User { user, .. } = &mut attempt.subject else {
            return Err(SessionDenial::Unknown.into());
        };
        *user = self
            .replace_temporary_password(attempt.pool, &user.sub, password, changes)
            .await?;
        self.finish(
            attempt,
            TokenOccasion::NewPasswordChallenge,
            client_metadata,
        )
        .await
    }
}
