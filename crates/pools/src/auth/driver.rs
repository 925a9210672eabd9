//! Drives sign-ins: loads, asks `machine`, invokes triggers, keeps sessions, issues tokens. The
//! only place where auth meets the world. The order of checks is that of `cognito.md` §6.2.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    AuthFlow, Contact, Error, Refusal, SessionDenial, UserPools,
    app_clients::AppClient,
    attributes::{Attributes, SUB},
    auth::{
        machine::{self, Denial, Effect, Input, Parameters},
        sessions::{Challenge, SessionState, SessionSubject},
        triggers::{self, ClientMetadata, Common, Subject, TokenOccasion, Trigger},
    },
    claims::Overrides,
    passwords,
    tokens::Bearer,
    user_pools::UserPool,
    users::{NameKind, User, UserStatus},
};

/// How long all triggers of one request may take together.
const TRIGGERS_TIMEOUT: Duration = Duration::from_secs(30);

/// Who calls, as far as triggers are told, and until when.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `aws-sdk-<name>-<version>`.
    pub(crate) sdk_version: String,
    pub(crate) deadline: Instant,
}

impl Caller {
    pub(crate) fn new(sdk_version: String) -> Caller {
        Caller {
            sdk_version,
            deadline: Instant::now() + TRIGGERS_TIMEOUT,
        }
    }
}

/// What every trigger of one request is about.
#[derive(Clone, Copy)]
pub(crate) struct TriggerCall<'c> {
    pub(crate) pool: &'c UserPool,
    pub(crate) client_id: Option<&'c str>,
    pub(crate) user_name: &'c str,
    pub(crate) caller: &'c Caller,
}

impl TriggerCall<'_> {
    pub(crate) fn event(&self) -> Common<'_> {
        Common {
            region: self.pool.region(),
            user_pool_id: &self.pool.id,
            user_name: self.user_name,
            sdk_version: &self.caller.sdk_version,
            client_id: self.client_id,
        }
    }
}

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

/// One sign-in in one request.
struct Attempt<'a> {
    pool: &'a UserPool,
    client: &'a AppClient,
    caller: &'a Caller,
    subject: AttemptSubject,
}

/// Who is signing in.
enum AttemptSubject {
    User { user: User, alias: Option<Contact> },
    Nobody { name: String },
}

impl Attempt<'_> {
    /// What triggers see as `userName`.
    fn user_name(&self) -> &str {
        match &self.subject {
            AttemptSubject::User { user, .. } => &user.username,
            AttemptSubject::Nobody { name } => name,
        }
    }

    fn call(&self) -> TriggerCall<'_> {
        TriggerCall {
            pool: self.pool,
            client_id: Some(&self.client.id),
            user_name: self.user_name(),
            caller: self.caller,
        }
    }

    fn attributes(&self) -> Attributes {
        match &self.subject {
            AttemptSubject::User { user, alias } => user_attributes(Some(user), *alias),
            AttemptSubject::Nobody { .. } => user_attributes(None, None),
        }
    }

    fn is_unknown(&self) -> Option<bool> {
        self.client
            .configuration
            .hides_unknown_users()
            .then_some(matches!(self.subject, AttemptSubject::Nobody { .. }))
    }
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
                let is_same = pool.name_key(username) == pool.name_key(name)
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

    async fn sign_in_with_password(
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

    async fn start_custom(
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
    async fn run_custom(
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

    /// The last steps of every sign-in: PostAuthentication, PreTokenGeneration, tokens.
    async fn finish(
        &self,
        attempt: Attempt<'_>,
        occasion: TokenOccasion,
        client_metadata: &ClientMetadata,
    ) -> Result<Value, Error> {
        if let Some(arn) = attempt.pool.trigger(Trigger::PostAuthentication) {
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

    async fn pre_authentication(
        &self,
        attempt: &Attempt<'_>,
        client_metadata: &ClientMetadata,
    ) -> Result<(), Error> {
        let Some(arn) = attempt.pool.trigger(Trigger::PreAuthentication) else {
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

    async fn ask_for_overrides(
        &self,
        attempt: &Attempt<'_>,
        occasion: TokenOccasion,
        client_metadata: &ClientMetadata,
    ) -> Result<Overrides, Error> {
        let Some(arn) = attempt.pool.trigger(Trigger::PreTokenGeneration) else {
            return Ok(Overrides::default());
        };
        let call = attempt.call();
        let version = attempt.pool.token_event_version();
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
    async fn check_new_password(
        &self,
        attempt: &Attempt<'_>,
        password: &str,
        responses: &Parameters,
    ) -> Result<Attributes, Error> {
        let AttemptSubject::User { user, .. } = &attempt.subject else {
            return Err(SessionDenial::Unknown.into());
        };
        attempt.pool.password_policy().check(password)?;
        let changes: Attributes = responses
            .iter()
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("userAttributes.")?;
                Some((name.to_owned(), value.clone()))
            })
            .collect();
        for name in attempt.pool.schema().required() {
            let is_sent = changes.get(name).is_some_and(|value| !value.is_empty());
            match (user.attributes.contains_key(name), is_sent) {
                (true, true) => return Err(Refusal::RequiredAttributeFixed(name.to_owned()).into()),
                (false, false) => {
                    return Err(Refusal::RequiredAttributeMissing(name.to_owned()).into());
                }
                _ => {}
            }
        }
        attempt.pool.schema().check_update(&changes)?;
        attempt.client.check_writes(&changes)?;
        Ok(changes)
    }

    async fn finish_new_password(
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

    /// A stable stand-in for a name that nobody has.
    fn pseudonym(&self, pool: &UserPool, name: &str) -> String {
        let hash = self.0.platform.vault.hash(
            &format!("pools unknown user {}", pool.id),
            pool.name_key(name).as_bytes(),
        );
        format!("?{}", BASE64_URL.encode(hash))
    }

    /// What a client sees as the username of a name that nobody has: where users have made-up
    /// usernames, a made-up one, or the difference would tell.
    fn shown_username_of_nobody(&self, pool: &UserPool, name: &str) -> String {
        if !pool.has_username_attributes() {
            return name.to_owned();
        }
        let hash = self.0.platform.vault.hash(
            &format!("pools username of nobody {}", pool.id),
            pool.name_key(name).as_bytes(),
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

/// The functions behind Define, Create and Verify: all three or none will do.
fn custom_triggers(pool: &UserPool) -> Result<[&str; 3], Refusal> {
    let trigger = |trigger| {
        pool.trigger(trigger)
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

/// `userAttributes` of an event (`cognito.md` §14.1).
pub(crate) fn user_attributes(user: Option<&User>, alias: Option<Contact>) -> Attributes {
    let Some(user) = user else {
        return Attributes::from([("cognito:default_val".to_owned(), String::new())]);
    };
    let mut attributes = user.attributes.clone();
    attributes.insert(SUB.to_owned(), user.sub.clone());
    attributes.insert(
        "cognito:user_status".to_owned(),
        user.status.name().to_owned(),
    );
    if let Some(contact) = alias
        && let Some(address) = user.attributes.get(contact.attribute())
    {
        attributes.insert(format!("cognito:{contact}_alias"), address.clone());
    }
    attributes
}
