//! Attestation: what is demanded of a new authenticator, and what its statement proves
//! ([section 8](https://www.w3.org/TR/webauthn-3/#sctn-defined-attestation-formats)).
//!
//! One file per format below; each gives [`Evidence`] or a denial, and [`verify`] weighs the evidence. What is not
//! here: where trust anchors and facts about models come from. They are values; `metadata` reads one source of them.

mod android_key;
mod apple;
mod certificate;
mod fido_u2f;
mod metadata;
mod object;
mod packed;
mod tpm;
mod trust;

pub use metadata::{Metadata, MetadataError, MetadataSigner};
pub(crate) use object::AttestationObject;
pub use trust::{TrustAnchor, TrustAnchorError};

use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::authenticator_data::Attested;
use crate::cose::{KeyNumbers, PublicKey};
use certificate::Chain;

/// The wish for attestation in the options of a registration
/// ([section 5.4.7](https://www.w3.org/TR/webauthn-3/#enum-attestation-convey)).
///
/// A client that was not asked replaces the statement by none, so [`AttestationPolicy::Direct`] needs `Direct` here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttestationConveyance {
    /// No statement is wanted.
    #[default]
    None,
    /// The statement is wanted as the authenticator made it; the client may ask the user first.
    Direct,
}

/// What is demanded of the attestation of a new credential.
#[derive(Clone, Debug, Default)]
pub enum AttestationPolicy {
    /// Nothing: a statement of any format is accepted for its form, and the credential is unattested.
    #[default]
    None,
    /// A statement that leads to a trust anchor.
    Direct(DirectAttestation),
}

impl AttestationPolicy {
    /// What the options of a registration under this policy must ask for.
    pub fn conveyance(&self) -> AttestationConveyance {
        match self {
            Self::None => AttestationConveyance::None,
            Self::Direct(_) => AttestationConveyance::Direct,
        }
    }
}

/// Whom to believe about an authenticator, and which models are welcome. The default believes nobody.
#[derive(Clone, Debug, Default)]
pub struct DirectAttestation {
    /// Who is believed about every model that [`models`](Self::models) gives no anchors of its own.
    ///
    /// Whoever has a certificate below one of these may claim any AAGUID, unless the certificate itself names the
    /// model. Where anchors of several makers stand side by side, give each model its own.
    pub trust_anchors: Vec<TrustAnchor>,
    /// What is known about single models.
    pub models: Vec<AuthenticatorModel>,
    /// The only models that may register; `None` for any. All zero stands for every U2F key, which has no AAGUID.
    pub allowed_aaguids: Option<Vec<[u8; 16]>>,
    /// Models that may not register, even if they are also allowed.
    pub denied_aaguids: Vec<[u8; 16]>,
    /// Where an Android key must live.
    pub android_keys: AndroidKeys,
    /// Accepts a U2F statement about credential data with an AAGUID that is not zero.
    ///
    /// U2F signs no AAGUID, so one that is there was put in on the way: it proves nothing and counts as zero. Section
    /// 8.6 does not forbid it, and the standard's own test vector has one; real U2F keys do not.
    pub accepts_u2f_with_aaguid: bool,
}

/// What is known about a model of authenticator, as metadata statements have it.
#[derive(Clone, Debug)]
pub struct AuthenticatorModel {
    /// The model.
    pub aaguid: [u8; 16],
    /// Who is believed about this model, instead of [`DirectAttestation::trust_anchors`]; empty to use those.
    pub trust_anchors: Vec<TrustAnchor>,
    /// Kinds of keys its attestation certificates have; empty for any.
    pub certificate_algorithms: Vec<crate::Algorithm>,
    /// Whether its attestation or user keys are known to have leaked, or it was revoked.
    pub is_compromised: bool,
}

/// Which environment must have made and must guard a key that Android attests
/// ([section 8.4](https://www.w3.org/TR/webauthn-3/#sctn-android-key-attestation)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AndroidKeys {
    /// A trusted execution environment or a secure element, which must say so itself.
    #[default]
    TrustedEnvironment,
    /// Android's own software as well. Its word about the origin and purpose of the key may then be missing.
    AnyEnvironment,
}

/// What a trusted attestation proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// The certificates that were relied on, each in DER: from the authenticator's up to the trust anchor's.
    pub trust_path: Vec<Vec<u8>>,
    /// Whether the AAGUID is the word of the maker: its certificate names the model, or leads to an anchor that is
    /// believed about this model only. Else it is merely what the attested device or its driver said.
    pub is_aaguid_proven: bool,
}

/// A credential as a statement speaks about it. All of it has been checked for form, nothing for truth.
pub(crate) struct NewCredential<'a> {
    /// The authenticator data, whole.
    pub(crate) authenticator_data: &'a [u8],
    /// The same, read.
    pub(crate) attested: &'a Attested<'a>,
    /// Step r12.
    pub(crate) client_data_hash: [u8; 32],
    /// The numbers of the credential's key.
    pub(crate) key: KeyNumbers,
    /// The credential's key.
    pub(crate) public_key: &'a PublicKey,
}

impl NewCredential<'_> {
    /// What most formats sign: authenticator data and hash of the client data.
    fn signed_data(&self) -> Vec<u8> {
        [self.authenticator_data, &self.client_data_hash].concat()
    }
}

/// What a statement that fits its format says.
#[derive(Debug)]
enum Evidence<'b> {
    /// Nothing about the authenticator: no statement, or one by the credential's own key.
    Nothing,
    /// That the holder of a certificate stands for the credential.
    Certified(Certified<'b>),
}

#[derive(Debug)]
struct Certified<'b> {
    chain: Chain<'b>,
    /// The model as far as it was attested.
    aaguid: [u8; 16],
    /// Whether the certificate itself names the model.
    names_model: bool,
}

/// Steps r20 to r23: the statement by the rules of its format, then whether it convinces.
///
/// Gives `None` when nothing was asked for; every statement then counts as none.
pub(crate) fn verify(
    policy: &AttestationPolicy,
    object: &AttestationObject<'_>,
    credential: &NewCredential<'_>,
    now_ms: i64,
) -> Result<Option<Attestation>, Denial> {
    let AttestationPolicy::Direct(policy) = policy else {
        object.check_form()?;
        return Ok(None);
    };
    // 20, 21. The format's own rules. Format names are compared as they are: case matters.
    let statement = &object.statement;
    let evidence = match object.format {
        "none" => {
            object.check_form()?;
            Evidence::Nothing
        }
        "packed" => packed::verify(statement, credential)?,
        "fido-u2f" => fido_u2f::verify(statement, credential, policy.accepts_u2f_with_aaguid)?,
        "tpm" => tpm::verify(statement, credential)?,
        "android-key" => android_key::verify(statement, credential, policy.android_keys)?,
        "apple" => apple::verify(statement, credential)?,
        _ => return Err(Denial::AttestationFormatUnknown),
    };
    // 22, 23. Attestation was demanded, so a statement that nobody else stands for is no better than none.
    match evidence {
        Evidence::Nothing => Err(Denial::AttestationUntrusted),
        Evidence::Certified(certified) => policy.judge(&certified, now_ms).map(Some),
    }
}

impl DirectAttestation {
    fn judge(&self, certified: &Certified<'_>, now_ms: i64) -> Result<Attestation, Denial> {
        let aaguid = &certified.aaguid;
        let model = self.models.iter().find(|model| model.aaguid == *aaguid);
        let own_anchors = model
            .map(|model| &model.trust_anchors)
            .filter(|anchors| !anchors.is_empty());
        let trust_path = trust::path(
            &certified.chain,
            own_anchors.unwrap_or(&self.trust_anchors),
            now_ms,
        )?;
        if let Some(model) = model {
            let algorithm = certified
                .chain
                .leaf()
                .key_numbers()
                .map(|key| key.algorithm);
            let is_known =
                algorithm.is_some_and(|kind| model.certificate_algorithms.contains(&kind));
            if !model.certificate_algorithms.is_empty() && !is_known {
                return Err(Denial::AttestationCertificateBad);
            }
            if model.is_compromised {
                return Err(Denial::ModelCompromised);
            }
        }
        let is_listed = match &self.allowed_aaguids {
            Some(allowed) => allowed.contains(aaguid),
            None => true,
        };
        if !is_listed || self.denied_aaguids.contains(aaguid) {
            return Err(Denial::ModelNotAllowed);
        }
        Ok(Attestation {
            trust_path,
            is_aaguid_proven: *aaguid != NO_AAGUID
                && (certified.names_model || own_anchors.is_some()),
        })
    }
}

/// What stands in the place of an AAGUID where there is none; it names no model.
pub(crate) const NO_AAGUID: [u8; 16] = [0; 16];
