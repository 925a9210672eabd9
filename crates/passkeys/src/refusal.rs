//! Every way this product says no. A refusal carries what the caller may know
//! and nothing else; its text is for a person, because the browser SDK shows
//! that text and drops the code.

use platform::Fault;
use webauthn::{Denial, OriginError};

use crate::ceremonies::Ceremony;

/// The caller's fault. How each looks on the wire is decided in `http/error.rs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request itself is wrong; the text says where.
    #[error("{0}")]
    InvalidRequest(String),
    /// No API key, or not one of this app.
    #[error("The API key is missing or is not valid for this app.")]
    InvalidAccessToken,
    /// The nonce is unknown, expired, redeemed, or of another app: these look alike.
    #[error("Could not verify nonce: nonce is invalid, expired, or cannot be found")]
    InvalidNonce,
    /// No app of this id.
    #[error("There is no app with this id.")]
    AppNotFound,
    /// The page that called is not one of the app's origins.
    #[error("This origin is not allowed for the app.")]
    OriginNotAllowed,
    /// The user is deactivated.
    #[error("The user is deactivated, so no transaction can be created.")]
    CannotCreateTransaction,
    /// No user of this id or external id, or not any more.
    #[error("There is no such user.")]
    UserNotFound,
    /// The user has no device of this id.
    #[error("The user has no such device.")]
    DeviceNotFound,
    /// No event of this id.
    #[error("There is no such event.")]
    EventNotFound,
    /// No webhook of this id.
    #[error("There is no such webhook.")]
    WebhookNotFound,
    /// The webhook has no delivery of this id.
    #[error("The webhook has no such delivery.")]
    DeliveryNotFound,
    /// The user has no device to authenticate with.
    #[error("The user has no passkeys.")]
    UserHasNoPasskeys,
    /// The user was deactivated.
    #[error("The user is deactivated.")]
    UserNotActive,
    /// The transaction is unknown, expired, completed, of the other ceremony, or
    /// not the handshake's.
    #[error("The transaction is unknown, has expired or was already used. Create a new one.")]
    TransactionNotFound,
    /// The handshake is unknown, expired, spent, or of the other ceremony.
    #[error("The handshake is unknown, has expired or was already used. Start again.")]
    HandshakeNotUsable,
    /// Too many calls; nothing of this one happened.
    #[error("Too many requests. Try again in {retry_after_s} seconds.")]
    RateLimitExceeded {
        /// After how many seconds the same call is let through if no other comes before; at least 1.
        retry_after_s: u64,
    },
    /// A registration, or an authentication with a transaction, did not verify.
    #[error("The passkey could not be verified.")]
    VerificationFailed,
    /// An authentication without a transaction did not verify.
    #[error("The passkey could not be verified or is not known here.")]
    DiscoverableVerificationFailed,
    /// Sign-up is off, and the external id is of no user.
    #[error(
        "There is no such user, and sign-up is off for this app: only users that exist may \
         register a passkey."
    )]
    SignUpIsOff,
    /// No native client of this id.
    #[error("The app has no such native client.")]
    NativeClientNotFound,
    /// The app has this native app already.
    #[error("The app has this native client already. To change it, delete it and create it anew.")]
    NativeClientAlreadyExists,
    /// No API key of this id.
    #[error("The app has no such API key.")]
    ApiKeyNotFound,
    /// Passkeys answer only to the RP ID they were made for.
    #[error(
        "rp_id cannot become {new:?}: {devices} passkeys were made under {old:?} and would stop \
         working, because a passkey answers only to the RP ID it was made for. To change it all \
         the same, repeat the change with force."
    )]
    RpIdInUse {
        /// How many devices would stop working.
        devices: i64,
        /// The RP ID of today.
        old: String,
        /// The one that was asked for.
        new: String,
    },
    /// A text cannot be an origin.
    #[error("{member} {origin:?} cannot be used: {cause}.")]
    OriginInvalid {
        /// Where it was given.
        member: &'static str,
        /// The text that was given.
        origin: String,
        /// What is wrong with it.
        cause: OriginError,
    },
    /// The RP ID of an app is neither the host of its origin nor a domain above it.
    #[error("rp_id {rp_id:?} must be the host of {auth_origin} or a domain above it.")]
    RpIdNotAllowed {
        /// The text that was given.
        rp_id: String,
        /// The app's origin.
        auth_origin: String,
    },
    /// The RP ID of an app is a domain under which anybody can have a name.
    #[error(
        "rp_id {rp_id:?} is a public suffix: its subdomains belong to different people, so browsers \
         have no passkeys for all of them together. It must be a name below it."
    )]
    RpIdIsPublicSuffix {
        /// The text that was given.
        rp_id: String,
    },
}

impl Refusal {
    /// What the client of a ceremony is told about a denial.
    ///
    /// All reasons of the standard's verification look the same, so that the
    /// answer tells an attacker nothing about which check stopped them
    /// (webauthn-checks section 1, rule 4).
    pub(crate) fn of_denial(ceremony: Ceremony, discoverable: bool, denial: Denial) -> Refusal {
        match denial {
            Denial::RequestMalformed => {
                Refusal::InvalidRequest("The handshake response or an id is malformed.".into())
            }
            Denial::HandshakeUnknown
            | Denial::HandshakeExpired
            | Denial::HandshakeSpent
            | Denial::HandshakeWrongKind => Refusal::HandshakeNotUsable,
            Denial::TransactionMismatch => Refusal::TransactionNotFound,
            Denial::UserInactive => Refusal::UserNotActive,
            _ if ceremony == Ceremony::Authentication && discoverable => {
                Refusal::DiscoverableVerificationFailed
            }
            _ => Refusal::VerificationFailed,
        }
    }
}

/// Why an operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The caller's fault.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_of_the_verification_looks_the_same_from_outside() {
        for denial in [
            Denial::ClientDataMalformed,
            Denial::ChallengeMismatch,
            Denial::OriginNotAllowed,
            Denial::RpIdHashMismatch,
            Denial::UserVerificationMissing,
            Denial::CredentialAlreadyRegistered,
            Denial::CredentialUnknown,
            Denial::CredentialNotAllowed,
            Denial::UserHandleMissing,
            Denial::SignatureBad,
            Denial::CounterNotIncreased,
        ] {
            for (ceremony, discoverable, refusal) in [
                (Ceremony::Registration, false, Refusal::VerificationFailed),
                (Ceremony::Registration, true, Refusal::VerificationFailed),
                (Ceremony::Authentication, false, Refusal::VerificationFailed),
                (
                    Ceremony::Authentication,
                    true,
                    Refusal::DiscoverableVerificationFailed,
                ),
            ] {
                assert_eq!(Refusal::of_denial(ceremony, discoverable, denial), refusal);
            }
        }
    }
}
