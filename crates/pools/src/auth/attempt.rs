//! One sign-in in one request: who calls, who is signing in, and what triggers are told about both.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    Contact,
    app_clients::AppClient,
    attributes::{Attributes, SUB},
    auth::triggers::Common,
    user_pools::UserPool,
    users::User,
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

/// One sign-in in one request.
pub(super) struct Attempt<'a> {
    pub(super) pool: &'a UserPool,
    pub(super) client: &'a AppClient,
    pub(super) caller: &'a Caller,
    pub(super) subject: AttemptSubject,
}

/// Who is signing in.
pub(super) enum AttemptSubject {
    User { user: User, alias: Option<Contact> },
    Nobody { name: String },
}

impl Attempt<'_> {
    /// What triggers see as `userName`.
    pub(super) fn user_name(&self) -> &str {
        match &self.subject {
            AttemptSubject::User { user, .. } => &user.username,
            AttemptSubject::Nobody { name } => name,
        }
    }

    pub(super) fn call(&self) -> TriggerCall<'_> {
        TriggerCall {
            pool: self.pool,
            client_id: Some(&self.client.id),
            user_name: self.user_name(),
            caller: self.caller,
        }
    }

    pub(super) fn attributes(&self) -> Attributes {
        match &self.subject {
            AttemptSubject::User { user, alias } => user_attributes(Some(user), *alias),
            AttemptSubject::Nobody { .. } => user_attributes(None, None),
        }
    }

    pub(super) fn is_unknown(&self) -> Option<bool> {
        self.client
            .configuration
            .hides_unknown_users()
            .then_some(matches!(self.subject, AttemptSubject::Nobody { .. }))
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
