//! Drives sign-ins: finds who is signing in, hands over to `password` or `custom`, and ends with
//! tokens. The order of checks is that of `cognito.md` §6.2.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
use serde_json::{Value, json};

use crate::{
    AuthFlow, Error, Refusal, SessionDenial, UserPools,
    app_clients::AppClient,
    auth::{
        attempt::{Attempt, AttemptSubject, Caller},
        machine::{self, Input, Parameters},
        sessions::{Challenge, SessionSubject},
        triggers::{self, ClientMetadata, TokenOccasion, Trigger},
    },
    claims::Overrides,
    tokens::Bearer,
    user_pools::UserPool,
    users::NameKind,
};

/// InitiateAuth, read.
pub(crate) struct Initiation {
    pub(crate) client_id: String,
    pub(crate) flow: AuthFlow,
    pub(crate) parameters: Parameters,
    pub(crate) client_metadata: ClientMetadata,
}

/// RespondToAuthChallenge, read.
pub(crate) struct Response {
    pub(crate) client_id: String,
    pub(crate) challenge_name: String,
    pub(crate) session: Option<String>,
    pub(crate) responses: Parameters,
    pub(crate) client_metadata: ClientMetadata,
}

impl UserPools {
    /// InitiateAuth: a challenge, or tokens.
    pub(crate) async fn initiate_auth(
        &self,
        caller: &Caller,
        initiation: Initiation,
    ) -> Result<Value, Error> {
        let (client, pool) = self.find_client_and_pool(&initiation.client_id).await?;
        let flow = initiation.flow;
        if flow == AuthFlow::RefreshToken {
            return self.refresh(caller, &pool, &client, &initiation).await;
        }
        let username = initiation.parameters.get("USERNAME").map(String::as_str);
        let found = match username {
            Some(username) => self.find_user(&pool, username).await?,
            None => None,
        };
        let secret_hash = initiation.parameters.get("SECRET_HASH").map(String::as_str);
        let mut names: Vec<&str> = username.into_iter().collect();
        names.extend(found.as_ref().map(|(user, _)| user.username.as_str()));
        client.check_secret_hash(secret_hash, &names)?;
        if !client.configuration.allows(flow) {
            return Err(Refusal::FlowNotEnabled(flow).into());
        }
        let username = username.ok_or(Refusal::MissingParameter("USERNAME"))?;
        let subject = match found {
            Some((user, kind)) => AttemptSubject::User {
                user,
                alias: match kind {
                    Some(NameKind::Contact(contact)) => Some(contact),
                    _ => None,
                },
            },
            None => AttemptSubject::Nobody {
                name: username.to_owned(),
            },
        };
        let attempt = Attempt {
            pool: &pool,
            client: &client,
            caller,
            subject,
        };
        match flow {
            AuthFlow::UserPassword => self.sign_in_with_password(attempt, &initiation).await,
            AuthFlow::Custom => self.start_custom(attempt, &initiation).await,
            AuthFlow::UserSrp | AuthFlow::User | AuthFlow::RefreshToken => {
                Err(Refusal::NotSupported(flow.name().to_owned()).into())
            }
        }
    }

    /// RespondToAuthChallenge: the next challenge, or tokens.
    pub(crate) async fn respond_to_auth_challenge(
        &self,
        caller: &Caller,
        response: Response,
    ) -> Result<Value, Error> {
        let (client, pool) = self.find_client_and_pool(&response.client_id).await?;
        if !["CUSTOM_CHALLENGE", "NEW_PASSWORD_REQUIRED"].contains(&&*response.challenge_name) {
            return Err(Refusal::NotSupported(response.challenge_name).into());
        }
        let parameter = |name| {
            let value = response.responses.get(name).map(String::as_str);
            value.ok_or(Refusal::MissingParameter(name))
        };
        let session = response
            .session
            .as_deref()
            .ok_or(Refusal::MissingParameter("Session"))?;
        let username = parameter("USERNAME")?;
        let answer = match response.challenge_name.as_str() {
            "CUSTOM_CHALLENGE" => parameter("ANSWER")?,
            _ => parameter("NEW_PASSWORD")?,
        };
        let found = self.find_session(&client, session).await?;
        let subject = self
            .resume_subject(&pool, &found.state.subject, username)
            .await?;
        let attempt = Attempt {
            pool: &pool,
            client: &client,
            caller,
            subject,
        };
        let secret_hash = response.responses.get("SECRET_HASH").map(String::as_str);
        client.check_secret_hash(secret_hash, &[username, attempt.user_name()])?;
        match (&found.state.challenge, response.challenge_name.as_str()) {
            (Challenge::Custom(state), "CUSTOM_CHALLENGE") => {
                // Taken before the function sees the answer: it is looked at once.
                self.take_session(&found).await?;
                let stepped = machine::step(state.clone(), Input::Answered(answer.to_owned()));
                self.run_custom(attempt, stepped, Some(&response.client_metadata))
                    .await
            }
            (Challenge::NewPassword, "NEW_PASSWORD_REQUIRED") => {
                let changed = self
                    .check_new_password(&attempt, answer, &response.responses)
                    .await?;
                self.take_session(&found).await?;
                self.finish_new_password(attempt, changed, answer, &response.client_metadata)
                    .await
            }
            _ => Err(SessionDenial::Unknown.into()),
        }
    }

    /// The user of a session, when `username` names the same one: by any name.
    async fn resume_subject(
        &self,
        pool: &UserPool,
        subject: &SessionSubject,
        username: &str,
    ) -> Result<AttemptSubject, Error> {
        match subject {
            SessionSubject::User { sub, alias } => {
                let named = self.find_user(pool, username).await?;
                match named {
                    Some((user, _)) if user.sub == *sub => Ok(AttemptSubject::User {
                        user,
                        alias: *alias,
                    }),
                    _ => Err(SessionDenial::Unknown.into()),
                }
            }
            SessionSubject::Nobody { name } => {
                let is_same = pool.configuration.name_key(username)
                    == pool.configuration.name_key(name)
                    || username == self.shown_username_of_nobody(pool, name);
                if is_same {
                    Ok(AttemptSubject::Nobody { name: name.clone() })
                } else {
                    Err(SessionDenial::Unknown.into())
                }
            }
        }
    }

    async fn refresh(
        &self,
        caller: &Caller,
        pool: &UserPool,
        client: &AppClient,
        initiation: &Initiation,
    ) -> Result<Value, Error> {
        let parameters = &initiation.parameters;
        let secret_hash = parameters.get("SECRET_HASH").map(String::as_str);
        if client.has_secret() && secret_hash.is_none() {
            return Err(Refusal::SecretHashMissing(client.id.clone()).into());
        }
        if !client.configuration.allows(AuthFlow::RefreshToken) {
            return Err(Refusal::FlowNotEnabled(AuthFlow::RefreshToken).into());
        }
        let token = parameters
            .get("REFRESH_TOKEN")
            .ok_or(Refusal::MissingParameter("REFRESH_TOKEN"))?;
        let refreshable = self.find_refreshable(client, token).await?;
        if client.has_secret() {
            let user = &refreshable.user;
            let mut names = vec![user.username.as_str(), user.sub.as_str()];
            names.extend(parameters.get("USERNAME").map(String::as_str));
            client
                .check_secret_hash(secret_hash, &names)
                .map_err(|_| Refusal::RefreshSecretHashWrong(client.id.clone()))?;
        }
        let attempt = Attempt {
            pool,
            client,
            caller,
            subject: AttemptSubject::User {
                user: refreshable.user.clone(),
                alias: None,
            },
        };
        let overrides = self
            .ask_for_overrides(&attempt, TokenOccasion::RefreshTokens, &None)
            .await?;
        let result = self
            .refresh_tokens(pool, client, &refreshable, overrides)
            .await?;
        Ok(signed_in(result))
    }

    /// The last steps of every sign-in: PostAuthentication, PreTokenGeneration, tokens.
    pub(super) async fn finish(
        &self,
        attempt: Attempt<'_>,
        occasion: TokenOccasion,
        client_metadata: &ClientMetadata,
    ) -> Result<Value, Error> {
        if let Some(arn) = attempt
            .pool
            .configuration
            .trigger(Trigger::PostAuthentication)
        {
            let call = attempt.call();
            let event = triggers::post_authentication(
                &call.event(),
                &attempt.attributes(),
                client_metadata.as_ref(),
            );
            self.run_trigger(call, Trigger::PostAuthentication, arn, event)
                .await?;
        }
        let overrides = self
            .ask_for_overrides(&attempt, occasion, client_metadata)
            .await?;
        let AttemptSubject::User { user, .. } = &attempt.subject else {
            return Err(Refusal::IncorrectCredentials.into());
        };
        let bearer = Bearer {
            pool: attempt.pool,
            client: attempt.client,
            user,
        };
        Ok(signed_in(self.issue_tokens(bearer, overrides).await?))
    }

    async fn ask_for_overrides(
        &self,
        attempt: &Attempt<'_>,
        occasion: TokenOccasion,
        client_metadata: &ClientMetadata,
    ) -> Result<Overrides, Error> {
        let Some(arn) = attempt
            .pool
            .configuration
            .trigger(Trigger::PreTokenGeneration)
        else {
            return Ok(Overrides::default());
        };
        let call = attempt.call();
        let version = attempt.pool.configuration.token_event_version();
        let event = triggers::pre_token_generation(
            &call.event(),
            version,
            occasion,
            &attempt.attributes(),
            client_metadata.as_ref(),
        );
        let response = self
            .run_trigger(call, Trigger::PreTokenGeneration, arn, event)
            .await?;
        Ok(triggers::read_overrides(version, &response)?)
    }

    /// A stable stand-in for a name that nobody has.
    pub(super) fn pseudonym(&self, pool: &UserPool, name: &str) -> String {
        let hash = self.0.platform.vault.hash(
            &format!("pools unknown user {}", pool.id),
            pool.configuration.name_key(name).as_bytes(),
        );
        format!("?{}", BASE64_URL.encode(hash))
    }

    /// What a client sees as the username of a name that nobody has: where users have made-up
    /// usernames, a made-up one, or the difference would tell.
    pub(super) fn shown_username_of_nobody(&self, pool: &UserPool, name: &str) -> String {
        if !pool.configuration.has_username_attributes() {
            return name.to_owned();
        }
        let hash = self.0.platform.vault.hash(
            &format!("pools username of nobody {}", pool.id),
            pool.configuration.name_key(name).as_bytes(),
        );
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_random_bytes(bytes)
            .into_uuid()
            .to_string()
    }
}

fn signed_in(result: Value) -> Value {
    json!({ "ChallengeParameters": {}, "AuthenticationResult": result })
}
