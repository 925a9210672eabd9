//! Start and finish of both ceremonies: the shell around the pure rules of the
//! `webauthn` crate (passkey-flex sections c.2 to c.7, webauthn-checks section 3).
//!
//! A finish is one database transaction: take the handshake, read what is
//! stored, decide, store what follows. A denial commits too, so that the
//! handshake stays spent; its reason goes to the event and the log and never to
//! the client.

use std::sync::{Arc, LazyLock};

use platform::{Fault, Tx};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use webauthn::{
    Algorithm, AttestationConveyance, Authentication, AuthenticationOptions,
    AuthenticationResponse, AuthenticatorAttachment, Credential, CredentialDescriptor, Denial,
    ExpectedAuthentication, ExpectedRegistration, RegistrationOptions, RegistrationResponse,
    UserVerification, user_handle_fault, user_handle_matches,
};

use crate::{
    App, EventId, Failure, Passkeys, Refusal,
    caller::Caller,
    deliveries::Queued,
    devices::{self, Device, NewDevice},
    events::{self, EventType, Failed, Proved},
    handshakes::{self, Handshake, TransactionClaim},
    ids::{DeviceId, HandshakeId, TransactionId, UserId},
    metadata,
    nonces::{self, FinishedCeremony},
    rate_limits::ExternalIdCall,
    transactions,
    users::{self, User},
};

/// The two ceremonies of WebAuthn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ceremony {
    /// A new credential is made.
    #[serde(rename = "register")]
    Registration,
    /// A credential is used.
    #[serde(rename = "authenticate")]
    Authentication,
}

/// What a started ceremony hands to the client.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) handshake_id: HandshakeId,
    /// The `publicKey` options.
    pub(crate) public_key: serde_json::Value,
    pub(crate) transaction_id: Option<TransactionId>,
}

/// A response that was posted to a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Finish<R> {
    pub(crate) handshake_id: HandshakeId,
    pub(crate) transaction: TransactionClaim,
    /// A response that cannot even be read spends the handshake like any other.
    pub(crate) response: Result<R, Denial>,
    pub(crate) caller: Caller,
}

impl Passkeys {
    /// Starts the registration that `transaction_id` permits. Creates the user
    /// when the external id is new, if the app has sign-up on.
    ///
    /// `is_conditional`: the client asks for conditional mediation, so nobody may
    /// be there to touch or to be verified. Refused for an app that requires user
    /// verification, which such a client could never report, or attestation, which
    /// what makes such passkeys does not have: the finish would refuse a passkey
    /// that its user has by then.
    pub(crate) async fn start_registration(
        &self,
        app: Arc<App>,
        transaction_id: TransactionId,
        attachment: Option<AuthenticatorAttachment>,
        is_conditional: bool,
        caller: Caller,
    ) -> Result<Started, Failure> {
        let demand = match &app.settings {
            settings if settings.user_verification == UserVerification::Required => {
                Some("user verification")
            }
            settings if settings.attestation.conveyance == AttestationConveyance::Direct => {
                Some("attestation")
            }
            _ => None,
        };
        if let (true, Some(demand)) = (is_conditional, demand) {
            return Err(Refusal::InvalidRequest(format!(
                "mediation cannot be conditional: this app requires {demand}."
            ))
            .into());
        }
        let draw = self.draw_start();
        let new_user_id = UserId::random_at(&self.platform.entropy, draw.now_ms);
        let call = ExternalIdCall::new(&self.limiters);
        self.platform
            .db
            .write(async move |tx| {
                let now_ms = draw.now_ms;
                let transaction = transactions::start(
                    tx,
                    &app.id,
                    &transaction_id,
                    Ceremony::Registration,
                    &draw.handshake_id,
                    now_ms,
                )
                .await?
                .ok_or(Refusal::TransactionNotFound)?;
                call.check(&app.id, &transaction.external_id)?;
                let external_id = &transaction.external_id;
                let user = match &transaction.user_id {
                    // Else a page that is still open would bring a deleted user back.
                    Some(user_id) => users::find(tx, &app.id, user_id)
                        .await?
                        .ok_or(Refusal::UserNotFound)?,
                    None if app.settings.public_signup => {
                        users::find_or_create(tx, &app.id, external_id, &new_user_id, now_ms)
                            .await?
                    }
                    None => users::find_by_external_id(tx, &app.id, external_id)
                        .await?
                        .ok_or(Refusal::SignUpIsOff)?,
                };
                if transaction.user_id.is_none() {
                    transactions::set_user(tx, &app.id, &transaction_id, &user.id).await?;
                }
                if user.is_inactive() {
                    return Err(Refusal::UserNotActive.into());
                }
                let is_new = user.id == new_user_id;
                let exclude: Vec<CredentialDescriptor> = match is_new {
                    true => Vec::new(),
                    false => devices::list_descriptors(tx, &app.id, &user.id, &app.rp_id)
                        .await?
                        .into_iter()
                        .map(|(_, descriptor)| descriptor)
                        .collect(),
                };
                let life_ms = app.settings.lifetimes.handshake_ms;
                let handshake = Handshake {
                    transaction_id: Some(transaction_id.clone()),
                    user_id: Some(user.id.clone()),
                    attachment,
                    is_conditional,
                    expires_at_ms: (now_ms + life_ms).min(transaction.expires_at_ms),
                    ..draw.handshake(&app, Ceremony::Registration)
                };
                handshakes::insert(tx, &app.id, &handshake).await?;
                events::start(tx, &app.id, &handshake, Some(&user), &caller).await?;
                let display_name = transaction
                    .passkey_display_name
                    .as_deref()
                    .unwrap_or(&transaction.external_id);
                let public_key = webauthn::registration::options(&RegistrationOptions {
                    rp_id: &handshake.rp_id,
                    rp_name: &app.name,
                    user_id: user.id.as_str(),
                    display_name,
                    challenge: &handshake.challenge,
                    algorithms: &handshake.algorithms,
                    timeout_ms: timeout_ms(&app, &handshake),
                    exclude: &exclude,
                    attachment,
                    user_verification: handshake.user_verification,
                    attestation: app.settings.attestation.conveyance,
                });
                Ok(Started {
                    handshake_id: handshake.id,
                    public_key,
                    transaction_id: handshake.transaction_id,
                })
            })
            .await
    }

    /// Starts the authentication that `transaction_id` permits, or, without one,
    /// an authentication of whoever has a passkey ("discoverable").
    pub(crate) async fn start_authentication(
        &self,
        app: Arc<App>,
        transaction_id: Option<TransactionId>,
        caller: Caller,
    ) -> Result<Started, Failure> {
        let draw = self.draw_start();
        let call = ExternalIdCall::new(&self.limiters);
        self.platform
            .db
            .write(async move |tx| {
                let now_ms = draw.now_ms;
                let lifetimes = &app.settings.lifetimes;
                let mut handshake = draw.handshake(&app, Ceremony::Authentication);
                let mut allow = None;
                let mut known_user = None;
                if let Some(transaction_id) = &transaction_id {
                    let transaction = transactions::start(
                        tx,
                        &app.id,
                        transaction_id,
                        Ceremony::Authentication,
                        &draw.handshake_id,
                        now_ms,
                    )
                    .await?
                    .ok_or(Refusal::TransactionNotFound)?;
                    call.check(&app.id, &transaction.external_id)?;
                    let user_id = transaction.user_id.ok_or_else(|| {
                        Fault::new("an authenticate transaction was stored without its user")
                    })?;
                    let user = users::find(tx, &app.id, &user_id)
                        .await?
                        .ok_or(Refusal::UserNotFound)?;
                    if user.is_inactive() {
                        return Err(Refusal::UserNotActive.into());
                    }
                    let (devices, descriptors): (Vec<DeviceId>, Vec<CredentialDescriptor>) =
                        devices::list_descriptors(tx, &app.id, &user.id, &app.rp_id)
                            .await?
                            .into_iter()
                            .unzip();
                    if devices.is_empty() {
                        return Err(Refusal::UserHasNoPasskeys.into());
                    }
                    handshake.transaction_id = Some(transaction_id.clone());
                    handshake.user_id = Some(user.id.clone());
                    handshake.allowed_devices = Some(devices);
                    handshake.expires_at_ms =
                        (now_ms + lifetimes.handshake_ms).min(transaction.expires_at_ms);
                    allow = Some(descriptors);
                    known_user = Some(user);
                } else {
                    handshake.expires_at_ms = now_ms + lifetimes.discoverable_handshake_ms;
                }
                handshakes::insert(tx, &app.id, &handshake).await?;
                events::start(tx, &app.id, &handshake, known_user.as_ref(), &caller).await?;
                let public_key = webauthn::authentication::options(&AuthenticationOptions {
                    rp_id: &handshake.rp_id,
                    challenge: &handshake.challenge,
                    allow: allow.as_deref(),
                    user_verification: handshake.user_verification,
                    timeout_ms: timeout_ms(&app, &handshake),
                });
                Ok(Started {
                    handshake_id: handshake.id,
                    public_key,
                    transaction_id: handshake.transaction_id,
                })
            })
            .await
    }

    /// Finishes a registration: stores the device and gives the nonce.
    /// `attachment` is the kind of authenticator that was used, if the client tells.
    pub(crate) async fn finish_registration(
        &self,
        app: Arc<App>,
        finish: Finish<RegistrationResponse>,
        attachment: Option<AuthenticatorAttachment>,
    ) -> Result<SecretString, Failure> {
        let device_id = DeviceId::random_at(&self.platform.entropy, self.platform.clock.now_ms());
        let judge = async move |tx: &mut Tx,
                                attempt: &Attempt<RegistrationResponse>,
                                handshake: &Handshake,
                                response: &RegistrationResponse| {
            register(tx, attempt, handshake, response, &device_id, attachment).await
        };
        self.finish(Ceremony::Registration, app, finish, judge)
            .await
    }

    /// Finishes an authentication: counts the login and gives the nonce.
    pub(crate) async fn finish_authentication(
        &self,
        app: Arc<App>,
        finish: Finish<AuthenticationResponse>,
    ) -> Result<SecretString, Failure> {
        self.finish(Ceremony::Authentication, app, finish, authenticate)
            .await
    }

    /// Runs a finish to its end: a nonce, or a refusal whose reason is recorded and logged.
    async fn finish<R: Send + Sync + 'static>(
        &self,
        ceremony: Ceremony,
        app: Arc<App>,
        finish: Finish<R>,
        judge: impl AsyncFn(&mut Tx, &Attempt<R>, &Handshake, &R) -> Result<Verified, Stop>
        + Send
        + Sync
        + 'static,
    ) -> Result<SecretString, Failure> {
        let now_ms = self.platform.clock.now_ms();
        let nonce = nonces::random(&self.platform.entropy);
        let attempt = Arc::new(Attempt {
            ceremony,
            app,
            finish,
            nonce_hash: nonces::hash(&self.platform.vault, nonce.expose_secret()),
            spare_event_id: EventId::random_at(&self.platform.entropy, now_ms),
            now_ms,
            call: ExternalIdCall::new(&self.limiters),
        });
        let judge = Arc::new(judge);
        for _ in 0..TRIES_MAX {
            let (shared, judge) = (Arc::clone(&attempt), Arc::clone(&judge));
            let outcome = self
                .platform
                .db
                .write(
                    async move |tx| match try_finish(tx, &shared, &*judge).await {
                        Ok((verified, queued)) => Ok((Ok(verified), queued)),
                        // Committed: the handshake stays spent.
                        Err(Stop::Denied(denied)) => {
                            let queued = shared.record_denial(tx, &denied).await?;
                            Ok((Err(denied), queued))
                        }
                        Err(Stop::Interrupted(interrupted)) => Err(interrupted),
                    },
                )
                .await;
            match outcome {
                Ok((verdict, queued)) => {
                    self.wake_for(queued);
                    let verified = verdict.map_err(|denied| attempt.refuse(denied))?;
                    attempt.log_success(&verified);
                    return Ok(nonce);
                }
                Err(Interrupted::Overtaken) => {}
                Err(Interrupted::Refused(refusal)) => return Err(refusal.into()),
                Err(Interrupted::Fault(fault)) => return Err(fault.into()),
            }
        }
        Err(Fault::new("a finish was overtaken by others each time it was tried").into())
    }

    fn draw_start(&self) -> Draw {
        let now_ms = self.platform.clock.now_ms();
        Draw {
            handshake_id: HandshakeId::random_at(&self.platform.entropy, now_ms),
            challenge: self.platform.entropy.bytes(),
            now_ms,
        }
    }
}

/// The chance and time of a start, drawn before its database transaction, which may run twice.
struct Draw {
    handshake_id: HandshakeId,
    challenge: [u8; 32],
    now_ms: i64,
}

impl Draw {
    /// A handshake by the app's policy, bound to no transaction and expired already.
    fn handshake(&self, app: &App, ceremony: Ceremony) -> Handshake {
        Handshake {
            id: self.handshake_id.clone(),
            ceremony,
            transaction_id: None,
            user_id: None,
            challenge: self.challenge.to_vec(),
            rp_id: app.rp_id.clone(),
            user_verification: app.settings.user_verification,
            algorithms: app.settings.algorithms.clone(),
            attachment: None,
            is_conditional: false,
            allowed_devices: None,
            created_at_ms: self.now_ms,
            expires_at_ms: self.now_ms,
        }
    }
}

/// The `timeout` hint: a prompt that outlives its handshake could only fail.
fn timeout_ms(app: &App, handshake: &Handshake) -> u64 {
    let life_ms = handshake.expires_at_ms - handshake.created_at_ms;
    u64::try_from(app.settings.timeout_ms.min(life_ms)).unwrap_or(0)
}

/// One finish, as often as it is tried.
struct Attempt<R> {
    ceremony: Ceremony,
    app: Arc<App>,
    finish: Finish<R>,
    nonce_hash: [u8; 32],
    /// For a denial that no started event is waiting for.
    spare_event_id: EventId,
    now_ms: i64,
    call: ExternalIdCall,
}

impl<R> Attempt<R> {
    fn is_discoverable(&self) -> bool {
        self.finish.transaction == TransactionClaim::Missing
    }

    async fn record_denial(&self, tx: &mut Tx, denied: &Denied) -> Result<Queued, Fault> {
        let failed = Failed {
            event_id: &self.spare_event_id,
            handshake_id: &self.finish.handshake_id,
            event_type: EventType::of(self.ceremony, self.is_discoverable()),
            failure_code: denied.denial.reason(),
            proved: denied.proved.as_ref(),
            caller: &self.finish.caller,
            now_ms: self.now_ms,
        };
        events::fail(tx, &self.app.id, &failed).await
    }

    /// What the client is told. The reason itself goes to the event and the log only.
    fn refuse(&self, denied: Denied) -> Failure {
        let app_id = self.app.id.as_str();
        let ceremony = self.ceremony.as_str();
        let reason = denied.denial.reason();
        tracing::info!(app_id, ceremony, reason, "ceremony denied");
        denied.answer.unwrap_or_else(|| {
            Refusal::of_denial(self.ceremony, self.is_discoverable(), denied.denial).into()
        })
    }

    fn log_success(&self, verified: &Verified) {
        let app_id = self.app.id.as_str();
        let device_id = verified.finished.device_id.as_str();
        if verified.counter_not_increased {
            tracing::info!(app_id, device_id, "signature counter did not grow");
        }
    }
}

/// A ceremony that verified and whose device and user are stored.
struct Verified {
    finished: FinishedCeremony,
    counter_not_increased: bool,
}

/// Why an attempt does not go on to a nonce.
enum Stop {
    /// Commits.
    Denied(Denied),
    /// Rolls back.
    Interrupted(Interrupted),
}

/// A denial, and the answer where its reason alone does not say which.
struct Denied {
    denial: Denial,
    answer: Option<Failure>,
    /// Whose credential it was, when the denial came after its signature verified.
    proved: Option<Proved>,
}

enum Interrupted {
    /// What was read has changed before it could be written: look again.
    Overtaken,
    /// As if it had not been asked.
    Refused(Refusal),
    Fault(Fault),
}

impl Ceremony {
    /// The word on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Ceremony::Registration => "register",
            Ceremony::Authentication => "authenticate",
        }
    }
}

impl Stop {
    const OVERTAKEN: Stop = Stop::Interrupted(Interrupted::Overtaken);

    fn denied_as(denial: Denial, answer: impl Into<Failure>) -> Stop {
        Stop::Denied(Denied {
            denial,
            answer: Some(answer.into()),
            proved: None,
        })
    }
}

impl From<Denial> for Stop {
    fn from(denial: Denial) -> Stop {
        Stop::Denied(Denied {
            denial,
            answer: None,
            proved: None,
        })
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Interrupted(fault.into())
    }
}

impl From<Fault> for Interrupted {
    fn from(fault: Fault) -> Interrupted {
        Interrupted::Fault(fault)
    }
}

async fn try_finish<R>(
    tx: &mut Tx,
    attempt: &Attempt<R>,
    judge: &impl AsyncFn(&mut Tx, &Attempt<R>, &Handshake, &R) -> Result<Verified, Stop>,
) -> Result<(Verified, Queued), Stop> {
    let Attempt {
        app,
        finish,
        now_ms,
        ..
    } = attempt;
    let handshake = handshakes::take(tx, &app.id, &finish.handshake_id, *now_ms).await??;
    let transaction = match &handshake.transaction_id {
        Some(id) => transactions::find(tx, &app.id, id).await?,
        None => None,
    };
    if let Some(wrong) = wrong_transaction(tx, attempt, &handshake).await? {
        return Err(Stop::denied_as(Denial::TransactionMismatch, wrong));
    }
    handshake.check_finish(
        attempt.ceremony,
        &finish.transaction,
        transaction.as_ref(),
        *now_ms,
    )?;
    if let Some(transaction) = &transaction {
        attempt
            .call
            .check(&app.id, &transaction.external_id)
            .map_err(|refusal| Stop::Interrupted(Interrupted::Refused(refusal)))?;
    }
    let response = finish.response.as_ref().map_err(|denial| *denial)?;
    let verified = judge(tx, attempt, &handshake, response).await?;
    if let Some(id) = &handshake.transaction_id
        && !transactions::complete(tx, &app.id, id, &handshake.id, *now_ms).await?
    {
        return Err(Stop::OVERTAKEN);
    }
    nonces::issue(tx, app, attempt.nonce_hash, &verified.finished).await?;
    let queued = events::complete(
        tx,
        &app.id,
        &handshake,
        &verified.finished,
        verified.counter_not_increased,
    )
    .await?;
    Ok((verified, queued))
}

/// What a client is told that names no transaction, or one that is good but not that of its handshake. One that is no
/// good is for [`Handshake::check_finish`].
async fn wrong_transaction<R>(
    tx: &mut Tx,
    attempt: &Attempt<R>,
    handshake: &Handshake,
) -> Result<Option<Refusal>, Fault> {
    let text = match (&handshake.transaction_id, &attempt.finish.transaction) {
        (Some(_), TransactionClaim::Missing) => "transaction_id is missing.",
        (own, TransactionClaim::Id(claimed)) if own.as_ref() != Some(claimed) => {
            let (app_id, ceremony) = (&attempt.app.id, attempt.ceremony);
            if !transactions::is_open(tx, app_id, claimed, ceremony, attempt.now_ms).await? {
                return Ok(None);
            }
            "transaction_id is not that of the handshake."
        }
        _ => return Ok(None),
    };
    Ok(Some(Refusal::InvalidRequest(text.into())))
}

async fn register(
    tx: &mut Tx,
    attempt: &Attempt<RegistrationResponse>,
    handshake: &Handshake,
    response: &RegistrationResponse,
    device_id: &DeviceId,
    attachment: Option<AuthenticatorAttachment>,
) -> Result<Verified, Stop> {
    let app = &attempt.app;
    let user_id = handshake
        .user_id
        .as_ref()
        .ok_or_else(|| Fault::new("a registration's handshake was stored without its user"))?;
    let user = find_user(tx, app, user_id).await?;
    if user.is_inactive() {
        return Err(Denial::UserInactive.into());
    }
    let attestation = &app.settings.attestation;
    let mut model = None;
    if attestation.asks_metadata()
        && let Some(aaguid) = response.claimed_aaguid()
    {
        model = metadata::find_model(tx, &aaguid).await?;
    }
    let registration = webauthn::registration::verify(
        &ExpectedRegistration {
            relying_party: &app.relying_party(&handshake.rp_id),
            challenge: &handshake.challenge,
            user_verification: handshake.user_verification,
            algorithms: &handshake.algorithms,
            conditional: handshake.is_conditional,
            attestation: &attestation.policy(model)?,
            now_ms: attempt.now_ms,
        },
        response,
    )?;
    // Step 18: the app's policy on credentials that can be backed up (webauthn-checks R49).
    if registration.credential.backup_eligible == Some(true) && !app.settings.allows_synced_passkeys
    {
        return Err(Denial::ModelNotAllowed.into());
    }
    let device = NewDevice {
        id: device_id,
        user_id: &user.id,
        rp_id: &handshake.rp_id,
        credential: &registration.credential,
        attachment: attachment.or(handshake.attachment),
        user_agent: &attempt.finish.caller.user_agent,
        now_ms: attempt.now_ms,
    };
    if !devices::insert(tx, &app.id, &device).await? {
        return Err(Denial::CredentialAlreadyRegistered.into());
    }
    if !users::record_registration(tx, &app.id, &user.id, attempt.now_ms).await? {
        return Err(Stop::OVERTAKEN);
    }
    Ok(Verified {
        finished: FinishedCeremony {
            ceremony: Ceremony::Registration,
            transaction_id: handshake.transaction_id.clone(),
            user_id: user.id,
            external_id: user.external_id,
            device_id: device_id.clone(),
            user_verified: registration.user_verified,
            finished_at_ms: attempt.now_ms,
        },
        counter_not_increased: false,
    })
}

async fn authenticate(
    tx: &mut Tx,
    attempt: &Attempt<AuthenticationResponse>,
    handshake: &Handshake,
    response: &AuthenticationResponse,
) -> Result<Verified, Stop> {
    let app = &attempt.app;
    let mut user = match &handshake.user_id {
        Some(id) => Some(find_user(tx, app, id).await?),
        None => None,
    };
    let device =
        devices::find_by_credential_id(tx, &app.id, &handshake.rp_id, response.credential_id())
            .await?;
    if user.is_none()
        && let Some(device) = &device
    {
        user = users::find(tx, &app.id, &device.user_id).await?;
    }
    // An unknown credential costs as much time as a known one (webauthn-checks L08).
    let facts = webauthn::authentication::verify(
        &ExpectedAuthentication {
            relying_party: &app.relying_party(&handshake.rp_id),
            challenge: &handshake.challenge,
            user_verification: handshake.user_verification,
            counter_policy: app.settings.counter_policy,
        },
        device.as_ref().map_or(&DECOY, |device| &device.credential),
        response,
    );
    if let (Some(device), Err(Denial::StoredCredentialDamaged)) = (&device, &facts) {
        // Ours, and answered as such; recorded all the same, for whoever looks
        // why somebody could not log in (webauthn-checks L41).
        let fault = Fault::new(format!("the stored key of device {} is damaged", device.id));
        return Err(Stop::denied_as(Denial::StoredCredentialDamaged, fault));
    }
    let known = device.zip(user);
    let proved = proved_by(known.as_ref(), &facts);
    let (device, user, facts) =
        judge_authentication(handshake, known, response.user_handle(), facts).map_err(
            |denial| {
                Stop::Denied(Denied {
                    denial,
                    answer: None,
                    proved,
                })
            },
        )?;
    if !devices::record_login(tx, &app.id, &device, &facts, attempt.now_ms).await?
        || !users::record_login(tx, &app.id, &user.id, attempt.now_ms).await?
    {
        return Err(Stop::OVERTAKEN);
    }
    if let Some(sent) = response.user_handle()
        && !user_handle_matches(user.id.as_str(), sent)
    {
        let (app_id, device_id) = (app.id.as_str(), device.id.as_str());
        tracing::info!(app_id, device_id, "user handle of an imported credential");
    }
    Ok(Verified {
        finished: FinishedCeremony {
            ceremony: Ceremony::Authentication,
            transaction_id: handshake.transaction_id.clone(),
            user_id: user.id,
            external_id: user.external_id,
            device_id: device.id,
            user_verified: facts.user_verified,
            finished_at_ms: attempt.now_ms,
        },
        counter_not_increased: facts.counter_not_increased,
    })
}

/// Whose credential has signed. An event names nobody for less: else anyone who
/// knows a credential id could fill somebody's history.
fn proved_by(
    known: Option<&(Device, User)>,
    facts: &Result<Authentication, Denial>,
) -> Option<Proved> {
    let (device, user) = known?;
    // The counter is looked at after the signature (steps 21 and 22).
    let has_signed = matches!(facts, Ok(_) | Err(Denial::CounterNotIncreased));
    has_signed.then(|| Proved {
        user_id: user.id.clone(),
        external_id: user.external_id.clone(),
        device_id: device.id.clone(),
    })
}

/// The rules of 7.2 that need what is stored (steps 5 and 6), then the outcome of
/// the pure verification (7 to 23), then ours.
fn judge_authentication(
    handshake: &Handshake,
    known: Option<(Device, User)>,
    user_handle: Option<&str>,
    facts: Result<Authentication, Denial>,
) -> Result<(Device, User, Authentication), Denial> {
    // 6. Without a transaction, the handle has to say whose credential it is,
    // unless it was imported without one.
    let may_lack_handle = known
        .as_ref()
        .is_some_and(|(device, _)| device.may_lack_user_handle());
    if handshake.transaction_id.is_none() && user_handle.is_none() && !may_lack_handle {
        return Err(Denial::UserHandleMissing);
    }
    // 6. The credential exists.
    let (device, user) = known.ok_or(Denial::CredentialUnknown)?;
    // 5. It is one of those that the options allowed; a device registered since
    // then needs a new start.
    let is_allowed = handshake
        .allowed_devices
        .as_ref()
        .is_none_or(|allowed| allowed.contains(&device.id));
    if !is_allowed {
        return Err(Denial::CredentialNotAllowed);
    }
    // 6. The handle, if there is one, is that of the credential's user.
    if let Some(sent) = user_handle
        && !device.accepts_user_handle(sent)
    {
        return Err(user_handle_fault(sent));
    }
    let facts = facts?;
    // Ours. Only now, so that it tells nobody but the holder of the credential
    // that the user is deactivated (webauthn-checks L38).
    if user.is_inactive() {
        return Err(Denial::UserInactive);
    }
    Ok((device, user, facts))
}

/// The user of a transaction, who was there when the ceremony started.
async fn find_user(tx: &mut Tx, app: &App, id: &UserId) -> Result<User, Stop> {
    users::find(tx, &app.id, id)
        .await?
        .ok_or_else(|| Stop::denied_as(Denial::UserInactive, Refusal::UserNotFound))
}

/// Stands in for a credential that does not exist. Its key is the base point of
/// P-256, whose private key is 1, so what is verified with it is never believed.
static DECOY: LazyLock<Credential> = LazyLock::new(|| {
    // A COSE_Key for ES256: kty, alg, crv, and the coordinates.
    let mut public_key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01];
    for (label, coordinate) in [(0x21, &BASE_POINT_X), (0x22, &BASE_POINT_Y)] {
        public_key.extend([label, 0x58, 0x20]);
        public_key.extend(coordinate);
    }
    Credential {
        id: vec![0],
        public_key,
        algorithm: Algorithm::Es256,
        sign_count: 0,
        aaguid: [0; 16],
        transports: Vec::new(),
        backup_eligible: None,
        backed_up: false,
        requires_user_verification: false,
    }
});

#[rustfmt::skip]
const BASE_POINT_X: [u8; 32] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
];
#[rustfmt::skip]
const BASE_POINT_Y: [u8; 32] = [
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// How often a finish is tried that others overtake. Each round of rivals has a
/// winner, so this is how many logins with one security key may meet.
const TRIES_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use serde_json::json;
    use webauthn::{RelyingParty, forge::Authenticator};

    use super::*;

    #[test]
    fn the_decoy_is_checked_like_any_credential_and_never_believed() {
        let challenge = [7; 32];
        let relying_party = RelyingParty {
            rp_id: "example.com".into(),
            origins: vec!["https://example.com".into()],
            top_origins: None,
        };
        let options = webauthn::authentication::options(&AuthenticationOptions {
            rp_id: "example.com",
            challenge: &challenge,
            allow: None,
            user_verification: UserVerification::Preferred,
            timeout_ms: 1,
        });
        let forged = Authenticator::new(Algorithm::Es256, "stranger")
            .get(&options, "https://example.com")
            .json();
        let facts = webauthn::authentication::verify(
            &ExpectedAuthentication {
                relying_party: &relying_party,
                challenge: &challenge,
                user_verification: UserVerification::Preferred,
                counter_policy: webauthn::CounterPolicy::Record,
            },
            &DECOY,
            &AuthenticationResponse::from_json(&forged).unwrap(),
        );
        assert_eq!(facts, Err(Denial::SignatureBad));
    }

    #[test]
    fn the_words_of_a_ceremony_are_those_it_is_stored_under() {
        for ceremony in [Ceremony::Registration, Ceremony::Authentication] {
            assert_eq!(json!(ceremony), json!(ceremony.as_str()));
        }
    }
}
