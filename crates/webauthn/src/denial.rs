//! Every reason to refuse a ceremony, one per fault, under the name that events and logs record.
//!
//! What the caller of an API is told lives with that API: all of these look alike from outside.

/// Why a ceremony is refused.
///
/// One type records every reason, so it has two kinds of variants: those the verification in this crate gives,
/// and those only the shell around it can give, because they need what is stored (marked "shell").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{}", self.reason())]
pub enum Denial {
    /// The JSON of the response has a member missing, of the wrong type, not base64url, or out of bounds.
    RequestMalformed,

    /// Shell: no handshake of this id in this app.
    HandshakeUnknown,
    /// Shell: the handshake's life is over.
    HandshakeExpired,
    /// Shell: a response was already posted to this handshake.
    HandshakeSpent,
    /// Shell: a registration posted as an authentication, or the reverse.
    HandshakeWrongKind,
    /// Shell: the transaction is not the handshake's, or no longer open.
    TransactionMismatch,
    /// Shell: the user is deactivated or deleted.
    UserInactive,

    /// `clientDataJSON` is not one JSON object of the right shape (r5, r6, a8, a9).
    ClientDataMalformed,
    /// `type` is not that of the ceremony (r7, a10).
    TypeWrong,
    /// `challenge` is not the one of this ceremony (r8, a11).
    ChallengeMismatch,
    /// `origin` is not one of the relying party's (r9, a12).
    OriginNotAllowed,
    /// The ceremony ran in a frame of another origin, and embedding is not allowed (r10, a13).
    CrossOriginNotAllowed,
    /// The page around the frame is not on the list, or not named (r11, a14).
    TopOriginNotAllowed,

    /// The attestation object is not one CBOR map of the right shape (r13).
    AttestationObjectMalformed,
    /// The authenticator data ends too early, goes on too long, or contradicts its flags (r13, a7).
    AuthenticatorDataMalformed,
    /// A registration without a credential in its authenticator data (r13).
    AttestedDataMissing,
    /// The authenticator signed for another RP ID (r14, a15).
    RpIdHashMismatch,
    /// No test of user presence (r15, a16).
    UserPresenceMissing,
    /// No user verification though it is required (r16, a17).
    UserVerificationMissing,
    /// Backed up, yet not eligible for backup (r17, a18).
    BackupFlagsImpossible,
    /// Backup eligibility differs from the registration's (a19).
    BackupEligibilityChanged,

    /// The key's algorithm was not offered (r19).
    AlgorithmNotOffered,
    /// The key is not a COSE key that fits its algorithm (r19).
    PublicKeyMalformed,
    /// The key is well formed and offers no security (r19).
    PublicKeyWeak,
    /// Attestation was asked for, and the format of the statement is not one that is verified (r20).
    AttestationFormatUnknown,
    /// The attestation statement does not have the form its format demands, or does not fit what it attests (r21).
    AttestationMalformed,
    /// The attestation statement is not signed by its key, or with an algorithm that is not verified (r21).
    AttestationSignatureBad,
    /// A certificate of the statement is out of date or not what its format demands (r21, r22).
    AttestationCertificateBad,
    /// Attestation was asked for, and nothing leads from the statement to a trust anchor (r22, r23).
    AttestationUntrusted,
    /// The model of the authenticator is not allowed here (r23).
    ModelNotAllowed,
    /// The model of the authenticator is known to be compromised (r23).
    ModelCompromised,

    /// The credential id has no byte or more than 1023 (r24).
    CredentialIdBad,
    /// The credential id of the JSON is not the one the authenticator made (r24).
    CredentialIdMismatch,
    /// Shell: the credential id is already stored in this app (r25).
    CredentialAlreadyRegistered,
    /// Shell: no credential of this id in this app (a6).
    CredentialUnknown,
    /// Shell: the credential is not among those the ceremony allows (a5).
    CredentialNotAllowed,
    /// Shell: an authentication without a transaction and without a user handle (a6).
    UserHandleMissing,
    /// Shell: the user handle is not one of the credential's user (a6).
    UserHandleMismatch,

    /// The signature is not by the credential's key over what was sent (a21).
    SignatureBad,
    /// The signature counter did not grow, and the policy refuses that (a22).
    CounterNotIncreased,
    /// The output of an extension that was asked for has the wrong type or contradicts the options (r27).
    ExtensionOutputBad,

    /// The stored credential cannot be used: its key is damaged or does not fit its algorithm.
    ///
    /// This is nobody's refusal but a failure of our own: the shell turns it into a fault and blames no user.
    StoredCredentialDamaged,
}

impl Denial {
    /// The name under which events and logs record this reason, in snake case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::HandshakeUnknown => "handshake_unknown",
            Self::HandshakeExpired => "handshake_expired",
            Self::HandshakeSpent => "handshake_spent",
            Self::HandshakeWrongKind => "handshake_wrong_kind",
            Self::TransactionMismatch => "transaction_mismatch",
            Self::UserInactive => "user_inactive",
            Self::ClientDataMalformed => "client_data_malformed",
            Self::TypeWrong => "type_wrong",
            Self::ChallengeMismatch => "challenge_mismatch",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::CrossOriginNotAllowed => "cross_origin_not_allowed",
            Self::TopOriginNotAllowed => "top_origin_not_allowed",
            Self::AttestationObjectMalformed => "attestation_object_malformed",
            Self::AuthenticatorDataMalformed => "authenticator_data_malformed",
            Self::AttestedDataMissing => "attested_data_missing",
            Self::RpIdHashMismatch => "rp_id_hash_mismatch",
            Self::UserPresenceMissing => "user_presence_missing",
            Self::UserVerificationMissing => "user_verification_missing",
            Self::BackupFlagsImpossible => "backup_flags_impossible",
            Self::BackupEligibilityChanged => "backup_eligibility_changed",
            Self::AlgorithmNotOffered => "algorithm_not_offered",
            Self::PublicKeyMalformed => "public_key_malformed",
            Self::PublicKeyWeak => "public_key_weak",
            Self::AttestationFormatUnknown => "attestation_format_unknown",
            Self::AttestationMalformed => "attestation_malformed",
            Self::AttestationSignatureBad => "attestation_signature_bad",
            Self::AttestationCertificateBad => "attestation_certificate_bad",
            Self::AttestationUntrusted => "attestation_untrusted",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelCompromised => "model_compromised",
            Self::CredentialIdBad => "credential_id_bad",
            Self::CredentialIdMismatch => "credential_id_mismatch",
            Self::CredentialAlreadyRegistered => "credential_already_registered",
            Self::CredentialUnknown => "credential_unknown",
            Self::CredentialNotAllowed => "credential_not_allowed",
            Self::UserHandleMissing => "user_handle_missing",
            Self::UserHandleMismatch => "user_handle_mismatch",
            Self::SignatureBad => "signature_bad",
            Self::CounterNotIncreased => "counter_not_increased",
            Self::ExtensionOutputBad => "extension_output_bad",
            Self::StoredCredentialDamaged => "stored_credential_damaged",
        }
    }
}
