//! The user pool's admin operations this server needs, and what their errors mean here.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_cognitoidentityprovider::config::timeout::TimeoutConfig;
use aws_sdk_cognitoidentityprovider::config::{BehaviorVersion, Region};
use aws_sdk_cognitoidentityprovider::error::DisplayErrorContext;
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use aws_sdk_cognitoidentityprovider::types::error::{
    InvalidParameterException, NotAuthorizedException,
};
use aws_sdk_cognitoidentityprovider::{Client, Config, Error};
use secrecy::ExposeSecret;

use crate::error::ApiError;
use crate::settings::Settings;

/// How long one operation may take in all, retries included: somebody waits at a form.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);

/// One user pool, with an access key that may administer its users.
pub(crate) struct UserPool {
    client: Client,
    id: String,
}

/// What the pool knows of a user, as far as this server cares.
pub(crate) struct User {
    /// The user's unchanging id.
    pub(crate) sub: Option<String>,
    /// The address the user signed up with.
    pub(crate) email: Option<String>,
    /// Whether an administrator has not disabled the user.
    pub(crate) is_enabled: bool,
}

impl UserPool {
    pub(crate) fn new(settings: &Settings) -> Self {
        let credentials = Credentials::from_keys(
            &settings.access_key_id,
            settings.secret_access_key.expose_secret(),
            None,
        );
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            )
            .region(Region::new(settings.region.clone()))
            .credentials_provider(credentials);
        if let Some(endpoint) = &settings.cognito_endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        Self {
            client: Client::from_conf(config.build()),
            id: settings.user_pool_id.clone(),
        }
    }

    /// Confirms a sign-up without a code.
    pub(crate) async fn confirm_sign_up(&self, username: &str) -> Result<(), ApiError> {
        let operation = self
            .client
            .admin_confirm_sign_up()
            .user_pool_id(&self.id)
            .username(username);
        operation
            .send()
            .await
            .map_err(|error| refuse(error.into()))?;
        Ok(())
    }

    /// Marks the user's e-mail address as verified.
    pub(crate) async fn verify_email(&self, username: &str) -> Result<(), ApiError> {
        let attribute = AttributeType::builder()
            .name("email_verified")
            .value("true")
            .build();
        let operation = self
            .client
            .admin_update_user_attributes()
            .user_pool_id(&self.id)
            .username(username)
            .user_attributes(attribute.map_err(|error| refuse(error.into()))?);
        operation
            .send()
            .await
            .map_err(|error| refuse(error.into()))?;
        Ok(())
    }

    /// The user as the pool knows them now.
    pub(crate) async fn get_user(&self, username: &str) -> Result<User, ApiError> {
        let operation = self
            .client
            .admin_get_user()
            .user_pool_id(&self.id)
            .username(username);
        let user = operation
            .send()
            .await
            .map_err(|error| refuse(error.into()))?;
        let attribute = |name: &str| {
            let found = user
                .user_attributes()
                .iter()
                .find(|attribute| attribute.name() == name);
            found.and_then(AttributeType::value).map(str::to_owned)
        };
        Ok(User {
            sub: attribute("sub"),
            email: attribute("email"),
            is_enabled: user.enabled(),
        })
    }
}

/// The caller's fault only where the pool says so of the user or a parameter: a refused access key or a missing pool is
/// ours.
fn refuse(error: Error) -> ApiError {
    match error {
        Error::UserNotFoundException(_) => ApiError::UserNotFound,
        Error::InvalidParameterException(InvalidParameterException {
            message: Some(message),
            ..
        })
        | Error::NotAuthorizedException(NotAuthorizedException {
            message: Some(message),
            ..
        }) => ApiError::BadRequest(message),
        other => ApiError::Upstream {
            who: "The user pool",
            cause: DisplayErrorContext(&other).to_string(),
        },
    }
}
