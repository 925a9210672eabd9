//! Which authenticators an app lets register, and whose word about them it
//! believes. Pure; the rules of the formats and of trust are the `webauthn`
//! crate's (webauthn-checks section 5 and R50). What is known about models is
//! `metadata`'s.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use platform::Fault;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use webauthn::{
    AttestationConveyance, AttestationPolicy, AuthenticatorModel, DirectAttestation, TrustAnchor,
    TrustAnchorError,
};

use crate::{Refusal, app_settings::without_repeats};

/// What an app demands of the authenticator of a new passkey.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttestationSettings {
    /// `None`: nothing. `Direct`: a statement that leads to a trust anchor.
    pub conveyance: AttestationConveyance,
    /// Who is believed, 64 certificates at most; `Direct` needs one at least, or
    /// the metadata.
    pub trust_anchors: Vec<TrustCertificate>,
    /// Whether the imported metadata is believed about the models it knows; see
    /// [`Passkeys::import_metadata`](crate::Passkeys::import_metadata).
    pub uses_metadata: bool,
    /// The only models that may register, 256 at most; empty for any. Possible
    /// with `Direct` only: an AAGUID that nobody attests proves nothing.
    pub allowed_aaguids: Vec<Uuid>,
    /// Models that may not register, also if they are allowed, 256 at most.
    /// Possible with `Direct` only.
    pub denied_aaguids: Vec<Uuid>,
}

/// The X.509 certificate of a trust anchor, in DER. Serialized as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TrustCertificate(Vec<u8>);

impl AttestationSettings {
    /// The settings with nothing listed twice. Refuses what proves nothing or
    /// lets nobody in.
    pub(crate) fn checked(mut self) -> Result<AttestationSettings, Refusal> {
        self.trust_anchors = without_repeats(self.trust_anchors);
        self.allowed_aaguids = without_repeats(self.allowed_aaguids);
        self.denied_aaguids = without_repeats(self.denied_aaguids);
        let refused = |text: String| Err(Refusal::InvalidRequest(text));
        if self.trust_anchors.len() > TRUST_ANCHORS_MAX {
            return refused(format!(
                "trust_anchors must have at most {TRUST_ANCHORS_MAX} certificates."
            ));
        }
        let lists = [
            ("allowed_aaguids", &self.allowed_aaguids),
            ("denied_aaguids", &self.denied_aaguids),
        ];
        for (member, models) in lists {
            if models.len() > AAGUIDS_MAX {
                return refused(format!("{member} must have at most {AAGUIDS_MAX} models."));
            }
            if self.conveyance == AttestationConveyance::None && !models.is_empty() {
                return refused(format!(
                    "{member} can be set only while attestation is direct: without attestation \
                     anybody can claim any AAGUID. Clear the list to stop asking for attestation."
                ));
            }
        }
        let believes_somebody = self.uses_metadata || !self.trust_anchors.is_empty();
        if self.conveyance == AttestationConveyance::Direct && !believes_somebody {
            return refused(
                "attestation can be direct only with trust_anchors, the certificates of the makers \
                 whose authenticators may register, or with uses_metadata."
                    .into(),
            );
        }
        Ok(self)
    }

    /// Whether the metadata has a say in a registration.
    pub(crate) fn asks_metadata(&self) -> bool {
        self.uses_metadata && self.conveyance == AttestationConveyance::Direct
    }

    /// The rules for one registration. `model` is what the metadata says about the
    /// model that registers.
    pub(crate) fn policy(
        &self,
        model: Option<AuthenticatorModel>,
    ) -> Result<AttestationPolicy, Fault> {
        let aaguids =
            |list: &[Uuid]| -> Vec<[u8; 16]> { list.iter().map(|id| id.into_bytes()).collect() };
        match self.conveyance {
            AttestationConveyance::None => Ok(AttestationPolicy::None),
            AttestationConveyance::Direct => Ok(AttestationPolicy::Direct(DirectAttestation {
                trust_anchors: self
                    .trust_anchors
                    .iter()
                    .map(TrustCertificate::anchor)
                    .collect::<Result<_, _>>()?,
                models: model.into_iter().collect(),
                allowed_aaguids: (!self.allowed_aaguids.is_empty())
                    .then(|| aaguids(&self.allowed_aaguids)),
                denied_aaguids: aaguids(&self.denied_aaguids),
                ..DirectAttestation::default()
            })),
        }
    }
}

impl TrustCertificate {
    /// Reads one certificate in DER.
    pub fn from_der(der: &[u8]) -> Result<TrustCertificate, TrustAnchorError> {
        TrustAnchor::from_der(der)?;
        Ok(TrustCertificate(der.to_vec()))
    }

    /// Reads what people have of certificates: PEM, with any number of them, or
    /// one in DER, as it is or in base64. There is at least one.
    pub fn read(bytes: &[u8]) -> Result<Vec<TrustCertificate>, TrustAnchorError> {
        if let Ok(certificate) = TrustCertificate::from_der(bytes) {
            return Ok(vec![certificate]);
        }
        let text: Vec<u8> = bytes
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        if let Ok(der) = BASE64_STANDARD.decode(text) {
            return Ok(vec![TrustCertificate::from_der(&der)?]);
        }
        let certificates = CertificateDer::pem_slice_iter(bytes)
            .map(|certificate| {
                TrustCertificate::from_der(&certificate.map_err(|_| TrustAnchorError)?)
            })
            .collect::<Result<Vec<_>, _>>()?;
        match certificates.is_empty() {
            true => Err(TrustAnchorError),
            false => Ok(certificates),
        }
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// The certificate as one that is believed.
    pub(crate) fn anchor(&self) -> Result<TrustAnchor, Fault> {
        TrustAnchor::from_der(&self.0)
            .map_err(|error| Fault::while_doing("reading a stored trust anchor", error))
    }
}

impl From<&TrustAnchor> for TrustCertificate {
    fn from(anchor: &TrustAnchor) -> TrustCertificate {
        TrustCertificate(anchor.der().to_vec())
    }
}

impl From<TrustCertificate> for String {
    fn from(certificate: TrustCertificate) -> String {
        BASE64_STANDARD.encode(certificate.0)
    }
}

/// Believes the text to hold a certificate: for what was checked before it was
/// stored, and is read with every request.
impl TryFrom<String> for TrustCertificate {
    type Error = base64::DecodeError;

    fn try_from(text: String) -> Result<TrustCertificate, base64::DecodeError> {
        BASE64_STANDARD.decode(text).map(TrustCertificate)
    }
}

const TRUST_ANCHORS_MAX: usize = 64;
const AAGUIDS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use webauthn::{
        Algorithm,
        forge::{
            SigningKey,
            attestation::{Attester, Format},
        },
    };

    use super::*;

    fn root() -> Vec<u8> {
        let key = SigningKey::from_seed(Algorithm::Es256, "credential");
        Attester::new(Format::Packed, &key).root.der()
    }

    fn pem(der: &[u8]) -> String {
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            BASE64_STANDARD.encode(der)
        )
    }

    #[test]
    fn a_certificate_is_read_from_every_form_that_people_have() {
        let der = root();
        let expected = vec![TrustCertificate(der.clone())];
        assert_eq!(TrustCertificate::read(&der), Ok(expected.clone()));
        assert_eq!(
            TrustCertificate::read(BASE64_STANDARD.encode(&der).as_bytes()),
            Ok(expected.clone())
        );
        let named = format!("Maker's root\n{}", pem(&der));
        assert_eq!(TrustCertificate::read(named.as_bytes()), Ok(expected));
        let two = pem(&der) + &pem(&der);
        assert_eq!(TrustCertificate::read(two.as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let der = root();
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for bytes in [
            &b""[..],
            b"AAAA",
            b"not a certificate",
            key.as_bytes(),
            &der[..der.len() - 1],
            &[&der[..], b"\0"].concat(),
            pem(&der[1..]).as_bytes(),
            (pem(&der) + &pem(b"a")).as_bytes(),
        ] {
            assert_eq!(TrustCertificate::read(bytes), Err(TrustAnchorError));
        }
    }

    #[test]
    fn attestation_needs_somebody_to_believe_and_a_list_of_models_needs_attestation() {
        let anchors = vec![TrustCertificate(root()); 2];
        let models = vec![Uuid::from_bytes([1; 16])];
        let check = |conveyance, trust_anchors: &[_], allowed_aaguids: &[_]| {
            AttestationSettings {
                conveyance,
                trust_anchors: trust_anchors.to_vec(),
                allowed_aaguids: allowed_aaguids.to_vec(),
                ..AttestationSettings::default()
            }
            .checked()
        };
        let (none, direct) = (AttestationConveyance::None, AttestationConveyance::Direct);
        assert!(check(none, &[], &[]).is_ok());
        assert!(check(direct, &anchors, &models).is_ok());
        // Kept for the day on which attestation is asked for again.
        assert_eq!(check(none, &anchors, &[]).unwrap().trust_anchors.len(), 1);
        for (refused, member) in [
            (check(none, &[], &models), "allowed_aaguids"),
            (check(none, &anchors, &models), "allowed_aaguids"),
            (check(direct, &[], &[]), "trust_anchors"),
            (check(direct, &[], &models), "trust_anchors"),
        ] {
            assert!(refused.unwrap_err().to_string().contains(member));
        }
        // The metadata is somebody, too.
        let metadata = AttestationSettings {
            conveyance: direct,
            uses_metadata: true,
            denied_aaguids: models.clone(),
            ..AttestationSettings::default()
        };
        assert!(metadata.clone().checked().is_ok());
        let unasked = AttestationSettings {
            conveyance: none,
            ..metadata
        };
        let refusal = unasked.checked().unwrap_err().to_string();
        assert!(refusal.contains("denied_aaguids"), "{refusal}");
    }
}
