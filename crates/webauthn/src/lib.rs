//! The relying party's side of WebAuthn: options for a ceremony, and the verification of what comes back.
//!
//! Everything here takes values and returns values. This crate deliberately knows no app, user, handshake,
//! storage, clock or chance: who may start a ceremony, which challenge belongs to it and what is stored
//! afterwards is the caller's business.
//!
//! Verification follows [Web Authentication Level 3](https://www.w3.org/TR/webauthn-3/), sections 7.1 and 7.2;
//! [`registration::verify`] and [`authentication::verify`] walk its numbered steps in its order.
//! Attestation is judged only where [`AttestationPolicy::Direct`] asks for it; else a statement of any format is
//! accepted and the credential is unattested.

#![forbid(unsafe_code)]

pub mod aaguid;
mod attestation;
pub mod authentication;
mod authenticator_data;
mod cbor;
mod client_data;
mod cose;
mod credential;
mod denial;
#[cfg(feature = "forge")]
pub mod forge;
#[cfg(feature = "fuzz")]
pub mod fuzzing;
pub mod origin;
pub mod registration;
mod response;
mod user_handle;

pub use attestation::{
    AndroidKeys, Attestation, AttestationConveyance, AttestationPolicy, AuthenticatorModel,
    DirectAttestation, Metadata, MetadataError, MetadataSigner, TrustAnchor, TrustAnchorError,
};
pub use authentication::{
    Authentication, AuthenticationOptions, AuthenticationResponse, CounterPolicy,
    ExpectedAuthentication,
};
pub use cose::{Algorithm, check_public_key};
pub use credential::{Credential, CredentialDescriptor};
pub use denial::Denial;
pub use origin::{OriginError, RelyingParty};
pub use registration::{
    AuthenticatorAttachment, ExpectedRegistration, Registration, RegistrationOptions,
    RegistrationResponse,
};
pub use user_handle::{encode_user_id, user_handle_fault, user_handle_matches};

use serde::{Deserialize, Serialize};

/// Whether the authenticator must have verified the user, by PIN or biometrics
/// ([5.8.6](https://www.w3.org/TR/webauthn-3/#enum-userVerificationRequirement)).
///
/// There is no "discouraged": for this relying party it would mean the same as `Preferred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserVerification {
    /// Asked for; a ceremony without it is accepted.
    Preferred,
    /// A ceremony without it is refused.
    Required,
}

impl UserVerification {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preferred => "preferred",
            Self::Required => "required",
        }
    }
}
