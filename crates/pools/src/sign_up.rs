//! Registration: SignUp and the two ways to confirm it, with their triggers (`cognito.md` §5.1,
//! §5.2, §16).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    Contact, Error, Refusal, UserPools,
    app_clients::AppClient,
    attributes::Attributes,
    auth::{
        attempt::{Caller, TriggerCall, user_attributes},
        triggers::{self, ClientMetadata, Trigger},
    },
    codes,
    user_pools::{AliasAttribute, UserPool},
    users::{User, UserStatus},
};

/// What SignUp takes.
pub(crate) struct NewUser {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) secret_hash: Option<String>,
    pub(crate) attributes: Attributes,
    pub(crate) validation_data: BTreeMap<String, String>,
    pub(crate) client_metadata: ClientMetadata,
}

/// What ConfirmSignUp takes.
pub(crate) struct Confirmation {
    pub(crate) client_id: String,
    pub(crate) username: String,
    pub(crate) secret_hash: Option<String>,
    pub(crate) code: String,
    /// Whether an address moves here from another user who has it as a verified alias.
    pub(crate) takes_aliases: bool,
    pub(crate) client_metadata: ClientMetadata,
}

impl UserPools {
    /// SignUp: `{"UserConfirmed", "UserSub", "CodeDeliveryDetails"?}`. The checks run in the order
    /// of `cognito.md` §5.1.
    pub(crate) async fn sign_up(&self, caller: &Caller, new: NewUser) -> Result<Value, Error> {
        let (client, pool) = self.find_client_and_pool(&new.client_id).await?;
        client.check_secret_hash(new.secret_hash.as_deref(), &[&new.username])?;
        if !pool.configuration.allows_sign_up() {
            return Err(Refusal::SignUpNotPermitted.into());
        }
        let address = check_username(&pool, &new.username)?;
        pool.configuration.password_policy().check(&new.password)?;
        let mut attributes = new.attributes;
        attributes.retain(|_, value| !value.is_empty());
        client.check_writes(&attributes)?;
        if let Some(contact) = address {
            let own = attributes
                .entry(contact.attribute().to_owned())
                .or_insert_with(|| new.username.clone());
            if *own != new.username {
                return Err(Refusal::UsernameDiffersFromAttribute(contact).into());
            }
        }
        pool.configuration.schema().check_new(&attributes)?;
        if self.find_user(&pool, &new.username).await?.is_some() {
            return Err(Refusal::UsernameExists(address).into());
        }

        let sub = self.0.platform.entropy.uuid().to_string();
        let username = match address {
            Some(_) => sub.clone(),
            None => new.username,
        };
        let call = TriggerCall {
            pool: &pool,
            client_id: Some(&client.id),
            user_name: &username,
            caller,
        };
        let consent = self
            .consent_to_sign_up(
                call,
                &attributes,
                &new.validation_data,
                &new.client_metadata,
            )
            .await?;
        for (contact, is_verified) in [
            (Contact::Email, consent.verifies_email),
            (Contact::PhoneNumber, consent.verifies_phone),
        ] {
            let verified = contact.verified_attribute().to_owned();
            if attributes.contains_key(contact.attribute()) {
                attributes.insert(verified, is_verified.to_string());
            } else if is_verified {
                return Err(triggers::unrecognizable().into());
            }
        }

        let now_ms = self.0.platform.clock.now_ms();
        let user = User {
            user_pool_id: pool.id.clone(),
            sub,
            username,
            attributes,
            password_hash: Some(self.hash_password(&new.password).await?),
            password_expires_at_ms: None,
            status: if consent.confirms {
                UserStatus::Confirmed
            } else {
                UserStatus::Unconfirmed
            },
            is_enabled: true,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let (stored, stored_pool) = (user.clone(), pool.clone());
        self.0
            .platform
            .db
            .write(async move |tx| stored.insert(tx, &stored_pool).await)
            .await?;

        let mut answer = json!({ "UserConfirmed": consent.confirms, "UserSub": user.sub });
        if consent.confirms {
            self.post_confirmation(&pool, Some(&client), caller, &user, &new.client_metadata)
                .await?;
        } else if let Some((contact, address)) = codes::destination(&pool, &user) {
            answer["CodeDeliveryDetails"] = self.send_sign_up_code(&user, contact, address).await?;
        }
        Ok(answer)
    }

    /// ConfirmSignUp: redeems the code, which also verifies the address it was sent to.
    pub(crate) async fn confirm_sign_up(
        &self,
        caller: &Caller,
        confirmation: Confirmation,
    ) -> Result<(), Error> {
        let (client, pool) = self.find_client_and_pool(&confirmation.client_id).await?;
        let found = self.find_user(&pool, &confirmation.username).await?;
        let mut names = vec![confirmation.username.as_str()];
        names.extend(found.as_ref().map(|(user, _)| user.username.as_str()));
        client.check_secret_hash(confirmation.secret_hash.as_deref(), &names)?;
        let user = match found {
            Some((user, _)) => user,
            None if client.configuration.hides_unknown_users() => {
                return Err(Refusal::CodeExpired.into());
            }
            None => return Err(Refusal::UsernameClientCombinationNotFound.into()),
        };
        let code_hash = self.code_hash(&user, &confirmation.code);
        let now_ms = self.0.platform.clock.now_ms();
        let (sub, tx_pool) = (user.sub, pool.clone());
        let takes_aliases = confirmation.takes_aliases;
        // A wrong code commits: the try stays spent.
        let user = self
            .0
            .platform
            .db
            .write(async move |tx| {
                let mut user = User::lock(tx, &tx_pool.id, &sub)
                    .await?
                    .ok_or(Refusal::CodeExpired)?;
                check_unconfirmed(&user)?;
                let contact = match codes::redeem(tx, &user, code_hash, now_ms).await? {
                    Ok(contact) => contact,
                    Err(denial) => return Ok(Err(Refusal::from(denial))),
                };
                let verified = contact.verified_attribute().to_owned();
                user.attributes.insert(verified, "true".to_owned());
                user.status = UserStatus::Confirmed;
                user.save(tx, &tx_pool, now_ms, takes_aliases)
                    .await
                    .map_err(in_words_of_confirmation)?;
                Ok::<_, Error>(Ok(user))
            })
            .await??;
        let metadata = &confirmation.client_metadata;
        self.post_confirmation(&pool, Some(&client), caller, &user, metadata)
            .await
    }

    /// AdminConfirmSignUp: confirms without a code and verifies nothing.
    pub(crate) async fn admin_confirm_sign_up(
        &self,
        caller: &Caller,
        pool: &UserPool,
        user: &User,
        client_metadata: &ClientMetadata,
    ) -> Result<(), Error> {
        let now_ms = self.0.platform.clock.now_ms();
        let (sub, tx_pool) = (user.sub.clone(), pool.clone());
        let user = self
            .0
            .platform
            .db
            .write(async move |tx| {
                let mut user = User::lock(tx, &tx_pool.id, &sub)
                    .await?
                    .ok_or(Refusal::UserNotFound)?;
                check_unconfirmed(&user)?;
                codes::forget(tx, &user).await?;
                user.status = UserStatus::Confirmed;
                user.save(tx, &tx_pool, now_ms, false).await?;
                Ok::<_, Error>(user)
            })
            .await?;
        self.post_confirmation(pool, None, caller, &user, client_metadata)
            .await
    }

    async fn consent_to_sign_up(
        &self,
        call: TriggerCall<'_>,
        attributes: &Attributes,
        validation_data: &BTreeMap<String, String>,
        client_metadata: &ClientMetadata,
    ) -> Result<triggers::Consent, Error> {
        let Some(arn) = call.pool.configuration.trigger(Trigger::PreSignUp) else {
            return Ok(triggers::Consent::default());
        };
        let event = triggers::pre_sign_up(
            &call.event(),
            attributes,
            validation_data,
            client_metadata.as_ref(),
        );
        let response = self
            .run_trigger(call, Trigger::PreSignUp, arn, event)
            .await?;
        Ok(triggers::read_consent(&response)?)
    }

    /// Runs after the user is confirmed; its failure fails the call and changes nothing back.
    async fn post_confirmation(
        &self,
        pool: &UserPool,
        client: Option<&AppClient>,
        caller: &Caller,
        user: &User,
        client_metadata: &ClientMetadata,
    ) -> Result<(), Error> {
        let Some(arn) = pool.configuration.trigger(Trigger::PostConfirmation) else {
            return Ok(());
        };
        let call = TriggerCall {
            pool,
            client_id: client.map(|client| client.id.as_str()),
            user_name: &user.username,
            caller,
        };
        let event = triggers::post_confirmation(
            &call.event(),
            &user_attributes(Some(user), None),
            client_metadata.as_ref(),
        );
        self.run_trigger(call, Trigger::PostConfirmation, arn, event)
            .await?;
        Ok(())
    }
}

fn in_words_of_confirmation(error: Error) -> Error {
    match error {
        Error::Refusal(Refusal::AliasExists(attribute)) => {
            Refusal::AliasExistsAtConfirmation(attribute).into()
        }
        other => other,
    }
}

fn check_unconfirmed(user: &User) -> Result<(), Refusal> {
    match user.status {
        UserStatus::Unconfirmed => Ok(()),
        other => Err(Refusal::CannotBeConfirmed(other.name())),
    }
}

/// Whether the text may be a username here. In pools with username attributes: which kind of
/// address it is.
fn check_username(pool: &UserPool, username: &str) -> Result<Option<Contact>, Refusal> {
    let kinds = &pool.configuration.username_attributes;
    if pool.configuration.has_username_attributes() {
        return match kinds.iter().find(|kind| kind.is_form_of(username)) {
            Some(kind) => Ok(Some(*kind)),
            None => Err(Refusal::UsernameForm(kinds.clone())),
        };
    }
    for (alias, contact) in [
        (AliasAttribute::Email, Contact::Email),
        (AliasAttribute::PhoneNumber, Contact::PhoneNumber),
    ] {
        if pool.configuration.has_alias(alias) && contact.is_form_of(username) {
            return Err(Refusal::UsernameLooksLikeAlias(contact));
        }
    }
    Ok(None)
}
