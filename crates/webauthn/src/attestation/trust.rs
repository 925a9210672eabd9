//! From an authenticator's certificate to somebody who is believed
//! ([RFC 5280 section 6.1](https://www.rfc-editor.org/rfc/rfc5280#section-6.1)).
//!
//! A statement brings its certificates in order, so there is no path to search, only one to walk. The path building
//! of `rustls-webpki` is for servers' certificates: it refuses every certificate with critical policies, which those
//! of Windows' TPMs have.

use rustls_pki_types::SubjectPublicKeyInfoDer;
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::ext::pkix::{
    BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, SubjectAltName,
};
use x509_cert::name::Name;

use super::certificate::{Certificate, Chain};
use crate::Denial;

/// A certificate whose holder is believed without further proof: a maker's root, an intermediate, or the certificate
/// of an authenticator itself.
#[derive(Clone, Debug)]
pub struct TrustAnchor {
    der: Vec<u8>,
    subject: Name,
    public_key: SubjectPublicKeyInfoDer<'static>,
}

/// The bytes are not one X.509 certificate in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an X.509 certificate in DER")]
pub struct TrustAnchorError;

impl TrustAnchor {
    /// Reads a certificate in DER. Its validity period and constraints do not limit it: who lists it, believes it.
    pub fn from_der(der: &[u8]) -> Result<Self, TrustAnchorError> {
        let certificate = Certificate::read(der).map_err(|_| TrustAnchorError)?;
        Ok(Self {
            der: der.to_vec(),
            subject: certificate.subject().clone(),
            public_key: certificate.public_key().clone(),
        })
    }

    /// The certificate, as it was read.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// Walks from the first certificate up to one that an anchor issued, or that is an anchor itself, and gives the way.
///
/// Each certificate must have been issued by the next; what stands behind the anchor's, such as a root sent along, is
/// not looked at. `AttestationCertificateBad` for one that is out of date or has a critical extension nobody here
/// understands; `AttestationUntrusted` when the walk ends elsewhere.
pub(super) fn path(
    chain: &Chain<'_>,
    anchors: &[TrustAnchor],
    now_ms: i64,
) -> Result<Vec<Vec<u8>>, Denial> {
    let certificates = chain.certificates();
    let mut path = Vec::new();
    for (at, certificate) in certificates.iter().enumerate() {
        if !certificate.is_valid_at(now_ms) || has_unknown_demand(certificate) {
            return Err(Denial::AttestationCertificateBad);
        }
        // The first is issued by the second, with no authority between them.
        if at > 0 && !may_issue(certificate, at - 1)? {
            return Err(Denial::AttestationUntrusted);
        }
        path.push(certificate.der().to_vec());
        if anchors.iter().any(|anchor| anchor.der == certificate.der()) {
            return Ok(path);
        }
        let issued =
            |anchor: &&TrustAnchor| certificate.is_signed_by(&anchor.subject, &anchor.public_key);
        if let Some(anchor) = anchors.iter().find(issued) {
            path.push(anchor.der.clone());
            return Ok(path);
        }
        let is_issued = certificates
            .get(at + 1)
            .is_some_and(|next| certificate.is_signed_by(next.subject(), next.public_key()));
        if !is_issued {
            return Err(Denial::AttestationUntrusted);
        }
    }
    Err(Denial::AttestationUntrusted)
}

/// Whether a certificate's holder may issue others, with `between` authorities between it and the authenticator.
fn may_issue(certificate: &Certificate<'_>, between: usize) -> Result<bool, Denial> {
    let is_authority = certificate
        .read_extension::<BasicConstraints>()?
        .is_some_and(|constraints| {
            let length_max = constraints
                .path_len_constraint
                .map_or(usize::MAX, usize::from);
            constraints.ca && between <= length_max
        });
    let may_sign = certificate
        .read_extension::<KeyUsage>()?
        .is_none_or(|usage| usage.key_cert_sign());
    Ok(certificate.is_version_3() && is_authority && may_sign)
}

/// Whether a certificate demands by a critical extension what is not checked here. Policies are checked trivially:
/// any policy will do.
fn has_unknown_demand(certificate: &Certificate<'_>) -> bool {
    certificate
        .extensions()
        .iter()
        .any(|extension| extension.critical && !UNDERSTOOD.contains(&extension.extn_id))
}

const UNDERSTOOD: [ObjectIdentifier; 5] = [
    BasicConstraints::OID,
    KeyUsage::OID,
    ExtendedKeyUsage::OID,
    SubjectAltName::OID,
    CertificatePolicies::OID,
];
