//! Every way this product says no, and who is to blame: [`Refusal`] is the caller's fault,
//! [`Error`] adds our own. The contract's exception and text for each live in `http::error`.

use aws_protocol::input::InputDenial;
use platform::Fault;

pub use crate::{
    attributes::{AttributeDenial, Contact},
    password_policy::PasswordDenial,
};

/// A caller's fault. Carries what the caller may know and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// The input is not what the operation takes.
    Input(InputDenial),
    /// Attributes that do not fit the pool's schema, or a schema that is none.
    Attributes(AttributeDenial),
    /// A password that the pool's policy does not accept.
    Password(PasswordDenial),
    /// Something of the real service that this server does not do: its name.
    NotSupported(String),
    /// A pool cannot have aliases and username attributes.
    AliasAndUsernameAttributes,
    /// Multi-factor sign-in by text message without a way to send one.
    SmsConfigurationMissing,
    /// `PreTokenGeneration` and `PreTokenGenerationConfig` name different functions.
    PreTokenGenerationArnsDiffer,
    /// A protected pool cannot be deleted.
    DeletionProtected,
    /// A token validity out of its range, or a refresh token that would expire first.
    TokenValidity,
    /// `ALLOW_…` flows and the older names together.
    MixedAuthFlows,
    /// A client lists an attribute that the pool does not have.
    ClientAttributeUnknown {
        /// `ReadAttributes` or `WriteAttributes`.
        list: &'static str,
        /// The attribute.
        attribute: String,
    },
    /// Rotating refresh tokens exclude the flow that does not rotate them.
    RotationExcludesRefreshFlow,
    /// A callback that could leak tokens on the way.
    InsecureCallbackUrl(String),
    /// No such pool in the caller's organization.
    UserPoolNotFound(String),
    /// No such app client.
    AppClientNotFound(String),
    /// A page token that we did not make.
    PaginationToken,

    /// A client with a secret was used without a secret hash.
    SecretHashMissing(String),
    /// The secret hash is of another secret or name.
    SecretHashWrong(String),
    /// The same on refresh, where the real service uses other words.
    RefreshSecretHashWrong(String),
    /// A secret hash for a client without a secret.
    SecretHashUnexpected(String),

    /// Only administrators create users in this pool.
    SignUpNotPermitted,
    /// The username must be an address of one of these kinds.
    UsernameForm(Vec<Contact>),
    /// The username looks like an alias of this kind.
    UsernameLooksLikeAlias(Contact),
    /// An address attribute differs from the username that is that address.
    UsernameDiffersFromAttribute(Contact),
    /// The client may not write the attribute.
    UnauthorizedAttribute,
    /// The username is taken, as such or by this address.
    UsernameExists(Option<Contact>),
    /// An alias belongs to another user: the attribute.
    AliasExists(&'static str),
    /// The same in the words of ConfirmSignUp.
    AliasExistsAtConfirmation(&'static str),
    /// A verification without the address it is about.
    VerificationWithoutAddress(Contact),
    /// No such user.
    UserNotFound,
    /// No such user, in the words of ConfirmSignUp.
    UsernameClientCombinationNotFound,
    /// The user is not waiting for confirmation: the present status.
    CannotBeConfirmed(&'static str),
    /// The code is wrong.
    CodeMismatch,
    /// The code is expired, used, or was never sent.
    CodeExpired,
    /// Too many wrong codes.
    AttemptLimit,
    /// A code could not be delivered.
    CodeDelivery,

    /// A parameter of a flow or challenge is missing.
    MissingParameter(&'static str),
    /// The client does not allow the flow.
    FlowNotEnabled(AuthFlow),
    /// A flow for administrators on the public operation.
    AdminFlow,
    /// Custom authentication without all three triggers.
    CustomAuthNotConfigured,
    /// Wrong password, unknown user, failed custom authentication: not to be told apart.
    IncorrectCredentials,
    /// Too many wrong passwords in a row; this attempt was not evaluated.
    PasswordAttemptsExceeded,
    /// The user is disabled.
    UserDisabled,
    /// The user has not confirmed.
    UserNotConfirmed,
    /// The user must reset the password first.
    PasswordResetRequired,
    /// A temporary password that is too old.
    TemporaryPasswordExpired,
    /// The new password challenge lacks a required attribute.
    RequiredAttributeMissing(String),
    /// The new password challenge changes an attribute that has a value.
    RequiredAttributeFixed(String),
    /// The auth session cannot be used.
    Session(SessionDenial),
    /// An access token that is not good.
    AccessToken(AccessTokenDenial),
    /// A refresh token that is not good.
    RefreshToken(RefreshTokenDenial),
    /// RevokeToken was given a token that is not a refresh token.
    TokenNotRevocable,
    /// The token belongs to another client, or the client's secret is wrong.
    Unauthorized,
    /// The client does not take part in token revocation.
    RevocationDisabled,
    /// A trigger failed or said no.
    Trigger(TriggerRefusal),
}

/// A flow that an app client allows or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthFlow {
    /// `USER_PASSWORD_AUTH`.
    UserPassword,
    /// `USER_SRP_AUTH`.
    UserSrp,
    /// `CUSTOM_AUTH`.
    Custom,
    /// `USER_AUTH`.
    User,
    /// `REFRESH_TOKEN_AUTH` and `REFRESH_TOKEN`.
    RefreshToken,
}

impl AuthFlow {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            AuthFlow::UserPassword => "USER_PASSWORD_AUTH",
            AuthFlow::UserSrp => "USER_SRP_AUTH",
            AuthFlow::Custom => "CUSTOM_AUTH",
            AuthFlow::User => "USER_AUTH",
            AuthFlow::RefreshToken => "REFRESH_TOKEN_AUTH",
        }
    }
}

/// Why an auth session cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionDenial {
    /// Made up, or of another client, user or challenge.
    Unknown,
    /// Its time is over.
    Expired,
    /// It has been used.
    Used,
}

/// Why an access token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenDenial {
    /// Not an access token of this server.
    Malformed,
    /// Not signed by the key it names.
    Signature,
    /// Its time is over.
    Expired,
    /// Signed out or revoked.
    Revoked,
    /// Not meant for the user's own data.
    Scope,
}

/// Why a refresh token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshTokenDenial {
    /// Made up, or of another client.
    Unknown,
    /// Its time is over.
    Expired,
    /// Signed out or revoked.
    Revoked,
    /// Its user is gone.
    UserDeleted,
}

/// What went wrong with a trigger (`lambda.md` §11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TriggerRefusal {
    /// The function failed, or said no by failing.
    Failed {
        /// The trigger's name in messages.
        trigger: &'static str,
        /// What the function said.
        message: String,
    },
    /// The function could not be called: a Lambda exception's name, or a time-out.
    NotInvoked {
        /// The trigger's name in messages.
        trigger: &'static str,
        /// What kept it from being called.
        error: String,
    },
    /// The answer is not a JSON object.
    NotJson,
    /// The answer lacks what the trigger needs, or has it with a wrong type.
    Unrecognizable,
}

/// Why an operation did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's fault.
    #[error("{0}")]
    Refusal(Refusal),
    /// Our own.
    #[error(transparent)]
    Fault(Fault),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::Refusal(refusal)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        Error::Fault(fault)
    }
}

macro_rules! error_from {
    ($($from:ty => $variant:path;)*) => {$(
        impl From<$from> for Error {
            fn from(denial: $from) -> Error {
                Error::Refusal($variant(denial))
            }
        }
    )*};
}

error_from! {
    InputDenial => Refusal::Input;
    AttributeDenial => Refusal::Attributes;
    PasswordDenial => Refusal::Password;
    SessionDenial => Refusal::Session;
    AccessTokenDenial => Refusal::AccessToken;
    RefreshTokenDenial => Refusal::RefreshToken;
    TriggerRefusal => Refusal::Trigger;
}
