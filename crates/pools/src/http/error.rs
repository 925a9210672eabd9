//! The contract's answer to every refusal: exception and text (`cognito.md` §21). A refusal
//! without a row here does not compile.

use std::fmt;

use accounts::Unauthorized;
use aws_protocol::json11::{self, Answer};

use crate::{
    AccessTokenDenial, AuthFlow, Contact, Error, RefreshTokenDenial, Refusal, SessionDenial,
    TriggerRefusal,
};

/// The answer to a call that did not succeed. Our own failures are logged here, once.
pub(super) fn answer(error: &Error, operation: &str, request_id: &str) -> Answer {
    match error {
        Error::Refusal(Refusal::Input(denial)) => json11::refuse_input(denial, request_id),
        Error::Refusal(refusal) => {
            let (exception, message) = exception(refusal);
            tracing::debug!(operation, exception, request_id, "refused");
            json11::error(exception, Some(&message), request_id)
        }
        Error::Fault(fault) => {
            tracing::error!(operation, request_id, %fault, "an operation failed");
            json11::error(
                "InternalErrorException",
                Some("Something went wrong"),
                request_id,
            )
        }
    }
}

/// The answer to a signed operation whose signature does not give the right to it.
pub(super) fn answer_unauthorized(
    unauthorized: &Unauthorized,
    operation: &str,
    request_id: &str,
) -> Answer {
    match unauthorized {
        Unauthorized::Denied(denial) => json11::refuse_signature(denial, request_id),
        Unauthorized::Fault(fault) => {
            tracing::error!(operation, request_id, %fault, "authorizing a call failed");
            json11::error(
                "InternalErrorException",
                Some("Something went wrong"),
                request_id,
            )
        }
    }
}

/// An operation of the real service that is not done here.
pub(super) fn not_supported(operation: &str) -> Error {
    Refusal::NotSupported(format!("Operation {operation}")).into()
}

/// As a person reads it who is no caller of the API.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (exception, message) = exception(self);
        write!(f, "{exception}: {message}")
    }
}

fn exception(refusal: &Refusal) -> (&'static str, String) {
    use Refusal as R;
    const INVALID_PARAMETER: &str = "InvalidParameterException";
    const NOT_AUTHORIZED: &str = "NotAuthorizedException";
    let (exception, message): (_, &str) = match refusal {
        R::Input(denial) => {
            return (
                json11::input_exception(denial),
                denial.message().unwrap_or_default(),
            );
        }
        R::Attributes(denial) => return (INVALID_PARAMETER, denial.to_string()),
        R::Password(denial) => {
            return (
                "InvalidPasswordException",
                format!("Password did not conform with policy: {denial}"),
            );
        }
        R::NotSupported(what) => {
            return (
                INVALID_PARAMETER,
                format!("{what} is not supported by this server."),
            );
        }
        R::AliasAndUsernameAttributes => (
            INVALID_PARAMETER,
            "Only one of the aliasAttributes or usernameAttributes can be set in a user pool.",
        ),
        R::SmsConfigurationMissing => (
            INVALID_PARAMETER,
            "SMS configuration and Auto verification for phone_number are required when MFA is \
             required/optional",
        ),
        R::PreTokenGenerationArnsDiffer => (
            INVALID_PARAMETER,
            "The PreTokenGeneration and PreTokenGenerationConfig ARNs must be the same.",
        ),
        R::DeletionProtected => (
            INVALID_PARAMETER,
            "The user pool cannot be deleted because deletion protection is activated. Deletion \
             protection must be inactivated first.",
        ),
        R::TokenValidity => (INVALID_PARAMETER, "Invalid range for token validity."),
        R::MixedAuthFlows => (
            INVALID_PARAMETER,
            "ExplicitAuthFlows with the ALLOW_ prefix cannot be combined with those without it.",
        ),
        R::ClientAttributeUnknown { list, attribute } => {
            return (
                INVALID_PARAMETER,
                format!("Invalid {list}: attribute {attribute} does not exist in schema."),
            );
        }
        R::RotationExcludesRefreshFlow => (
            INVALID_PARAMETER,
            "ALLOW_REFRESH_TOKEN_AUTH cannot be used when refresh token rotation is enabled.",
        ),
        R::InsecureCallbackUrl(url) => {
            return (
                INVALID_PARAMETER,
                format!("{url} is not a secure URL: use https, or http on localhost."),
            );
        }
        R::UserPoolNotFound(id) => {
            return (
                "ResourceNotFoundException",
                format!("User pool {id} does not exist."),
            );
        }
        R::AppClientNotFound(id) => {
            return (
                "ResourceNotFoundException",
                format!("User pool client {id} does not exist."),
            );
        }
        R::PaginationToken => (INVALID_PARAMETER, "Invalid pagination token."),

        R::SecretHashMissing(id) => {
            return (
                NOT_AUTHORIZED,
                format!("Client {id} is configured with secret but SECRET_HASH was not received"),
            );
        }
        R::SecretHashWrong(id) => {
            return (
                NOT_AUTHORIZED,
                format!("Unable to verify secret hash for client {id}"),
            );
        }
        R::RefreshSecretHashWrong(id) => {
            return (
                NOT_AUTHORIZED,
                format!("SecretHash does not match for the client: {id}"),
            );
        }
        R::SecretHashUnexpected(id) => {
            return (
                INVALID_PARAMETER,
                format!(
                    "App client {id} is not configured for secret but secret hash was received"
                ),
            );
        }

        R::SignUpNotPermitted => (NOT_AUTHORIZED, "SignUp is not permitted for this user pool"),
        R::UsernameForm(kinds) => (
            INVALID_PARAMETER,
            match kinds.as_slice() {
                [Contact::Email] => "Username should be an email.",
                [Contact::PhoneNumber] => "Username should be a phone number.",
                _ => "Username should be either an email or a phone number.",
            },
        ),
        R::UsernameLooksLikeAlias(contact) => (
            INVALID_PARAMETER,
            match contact {
                Contact::Email => {
                    "Username cannot be of email format, since user pool is configured for email alias."
                }
                Contact::PhoneNumber => {
                    "Username cannot be of phone number format, since user pool is configured for \
                     phone number alias."
                }
            },
        ),
        R::UsernameDiffersFromAttribute(contact) => {
            return (
                INVALID_PARAMETER,
                format!("Provided {contact} does not match the username."),
            );
        }
        R::UnauthorizedAttribute => (
            NOT_AUTHORIZED,
            "A client attempted to write unauthorized attribute",
        ),
        R::UsernameExists(None) => ("UsernameExistsException", "User already exists"),
        R::UsernameExists(Some(contact)) => {
            return (
                "UsernameExistsException",
                format!("An account with the given {contact} already exists."),
            );
        }
        R::AliasExists(attribute) => {
            return (
                "AliasExistsException",
                format!("An account with the given {attribute} already exists."),
            );
        }
        R::AliasExistsAtConfirmation(attribute) => {
            return (
                "AliasExistsException",
                format!("An account with the {attribute} already exists."),
            );
        }
        R::VerificationWithoutAddress(contact) => (
            INVALID_PARAMETER,
            match contact {
                Contact::Email => "Email is required to verify/un-verify an email",
                Contact::PhoneNumber => {
                    "Phone Number is required to verify/un-verify a phone number"
                }
            },
        ),
        R::UserNotFound => ("UserNotFoundException", "User does not exist."),
        R::UsernameClientCombinationNotFound => (
            "UserNotFoundException",
            "Username/client id combination not found.",
        ),
        R::CannotBeConfirmed(status) => {
            return (
                NOT_AUTHORIZED,
                format!("User cannot be confirmed. Current status is {status}"),
            );
        }
        R::CodeMismatch => (
            "CodeMismatchException",
            "Invalid verification code provided, please try again.",
        ),
        R::CodeExpired => (
            "ExpiredCodeException",
            "Invalid code provided, please request a code again.",
        ),
        R::AttemptLimit => (
            "LimitExceededException",
            "Attempt limit exceeded, please try after some time.",
        ),
        R::CodeDelivery => (
            "CodeDeliveryFailureException",
            "The verification code could not be delivered: this server has no way to send one.",
        ),

        R::MissingParameter(name) => {
            return (
                INVALID_PARAMETER,
                format!("Missing required parameter {name}"),
            );
        }
        R::FlowNotEnabled(flow) => {
            let message = match flow {
                AuthFlow::UserPassword | AuthFlow::User => {
                    format!("{} flow not enabled for this client", flow.name())
                }
                AuthFlow::UserSrp | AuthFlow::Custom | AuthFlow::RefreshToken => {
                    format!("{} is not enabled for the client.", flow.name())
                }
            };
            return (INVALID_PARAMETER, message);
        }
        R::AdminFlow => (INVALID_PARAMETER, "Initiate Auth method not supported."),
        R::CustomAuthNotConfigured => (
            INVALID_PARAMETER,
            "Custom auth lambda trigger is not configured for the user pool.",
        ),
        R::IncorrectCredentials => (NOT_AUTHORIZED, "Incorrect username or password."),
        R::PasswordAttemptsExceeded => (NOT_AUTHORIZED, "Password attempts exceeded"),
        R::UserDisabled => (NOT_AUTHORIZED, "User is disabled."),
        R::UserNotConfirmed => ("UserNotConfirmedException", "User is not confirmed."),
        R::PasswordResetRequired => (
            "PasswordResetRequiredException",
            "Password reset required for the user",
        ),
        R::TemporaryPasswordExpired => (
            NOT_AUTHORIZED,
            "Temporary password has expired and must be reset by an administrator.",
        ),
        R::RequiredAttributeMissing(name) => {
            return (
                INVALID_PARAMETER,
                format!("Invalid attributes given, {name} is missing"),
            );
        }
        R::RequiredAttributeFixed(name) => {
            return (
                INVALID_PARAMETER,
                format!("Cannot modify an already provided {name}"),
            );
        }
        R::Session(denial) => (
            NOT_AUTHORIZED,
            match denial {
                SessionDenial::Unknown => "Invalid session for the user.",
                SessionDenial::Expired => "Invalid session for the user, session is expired.",
                SessionDenial::Used => {
                    "Invalid session for the user, session can only be used once."
                }
            },
        ),
        R::AccessToken(denial) => (
            NOT_AUTHORIZED,
            match denial {
                AccessTokenDenial::Malformed => "Invalid Access Token",
                AccessTokenDenial::Signature => "Could not verify signature for Access Token",
                AccessTokenDenial::Expired => "Access Token has expired",
                AccessTokenDenial::Revoked => "Access Token has been revoked",
                AccessTokenDenial::Scope => "Access Token does not have required scopes",
            },
        ),
        R::RefreshToken(denial) => (
            NOT_AUTHORIZED,
            match denial {
                RefreshTokenDenial::Unknown => "Invalid Refresh Token",
                RefreshTokenDenial::Expired => "Refresh Token has expired",
                RefreshTokenDenial::Revoked => "Refresh Token has been revoked",
                RefreshTokenDenial::UserDeleted => {
                    "The user has been deleted for the associated refresh token"
                }
            },
        ),
        R::TokenNotRevocable => ("UnsupportedTokenTypeException", "Unsupported token type"),
        R::Unauthorized => ("UnauthorizedException", "Unauthorized"),
        R::RevocationDisabled => (
            "UnsupportedOperationException",
            "Token revocation is not enabled for the client.",
        ),
        R::Trigger(refusal) => return trigger_exception(refusal),
    };
    (exception, message.to_owned())
}

/// `lambda.md` §11.
fn trigger_exception(refusal: &TriggerRefusal) -> (&'static str, String) {
    match refusal {
        TriggerRefusal::Failed { trigger, message } => (
            "UserLambdaValidationException",
            format!("{trigger} failed with error {message}."),
        ),
        TriggerRefusal::NotInvoked { trigger, error } => (
            "UnexpectedLambdaException",
            format!("{trigger} invocation failed due to error {error}."),
        ),
        TriggerRefusal::NotJson => (
            "InvalidLambdaResponseException",
            "Invalid lambda function output : Invalid JSON".to_owned(),
        ),
        TriggerRefusal::Unrecognizable => (
            "InvalidLambdaResponseException",
            "Unrecognizable lambda output".to_owned(),
        ),
    }
}
