//! X.509 certificates as attestation uses them ([RFC 5280](https://www.rfc-editor.org/rfc/rfc5280)): what one says,
//! and whether its key signed something.
//!
//! Reading is `x509-cert`'s and signatures are aws-lc's, under the algorithm identifiers of `rustls-webpki`. Which
//! certificate is believed is decided in `trust`.

use rustls_pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{RawPublicKeyEntity, aws_lc_rs as suites};
use x509_cert::certificate::Version;
use x509_cert::der::asn1::UintRef;
use x509_cert::der::oid::{AssociatedOid, ObjectIdentifier};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::cose::KeyNumbers;
use crate::{Algorithm, Denial};

/// The certificates of a statement, at least one, the authenticator's first.
#[derive(Debug)]
pub(super) struct Chain<'b>(Vec<Certificate<'b>>);

impl<'b> Chain<'b> {
    /// Refused as `AttestationMalformed` when something in it is no certificate, or there are none or too many.
    pub(super) fn read(certificates: &[&'b [u8]]) -> Result<Self, Denial> {
        if !(1..=CERTIFICATES_MAX).contains(&certificates.len()) {
            return Err(Denial::AttestationMalformed);
        }
        certificates
            .iter()
            .map(|der| Certificate::read(der))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The certificate of the key that signed the statement.
    pub(super) fn leaf(&self) -> &Certificate<'b> {
        &self.0[0]
    }

    pub(super) fn certificates(&self) -> &[Certificate<'b>] {
        &self.0
    }
}

/// One certificate.
#[derive(Debug)]
pub(super) struct Certificate<'b> {
    der: &'b [u8],
    /// The part that its issuer signed, as received.
    signed: &'b [u8],
    content: x509_cert::Certificate,
    public_key: SubjectPublicKeyInfoDer<'static>,
}

impl<'b> Certificate<'b> {
    /// `AttestationMalformed` when the bytes are not one certificate in DER; `AttestationCertificateBad` when an
    /// extension comes twice, because two readers could see two different certificates in it.
    pub(super) fn read(der: &'b [u8]) -> Result<Self, Denial> {
        let certificate = Self::parse(der).map_err(|_| Denial::AttestationMalformed)?;
        let extensions = certificate.extensions();
        let is_ambiguous = extensions.iter().enumerate().any(|(at, extension)| {
            extensions[..at]
                .iter()
                .any(|known| known.extn_id == extension.extn_id)
        });
        if is_ambiguous {
            return Err(Denial::AttestationCertificateBad);
        }
        Ok(certificate)
    }

    fn parse(der: &'b [u8]) -> x509_cert::der::Result<Self> {
        let content = x509_cert::Certificate::from_der(der)?;
        let public_key = content.tbs_certificate().subject_public_key_info();
        let public_key = SubjectPublicKeyInfoDer::from(public_key.to_der()?);
        let mut reader = SliceReader::new(der)?;
        let signed = reader.sequence(|reader| {
            let signed = reader.tlv_bytes()?;
            reader.tlv_bytes()?;
            reader.tlv_bytes()?;
            x509_cert::der::Result::Ok(signed)
        })?;
        Ok(Self {
            der,
            signed,
            content,
            public_key,
        })
    }

    pub(super) fn der(&self) -> &'b [u8] {
        self.der
    }

    pub(super) fn subject(&self) -> &Name {
        self.content.tbs_certificate().subject()
    }

    pub(super) fn issuer(&self) -> &Name {
        self.content.tbs_certificate().issuer()
    }

    /// The subject's public key, in DER.
    pub(super) fn public_key(&self) -> &SubjectPublicKeyInfoDer<'static> {
        &self.public_key
    }

    /// The same key as the bits of its kind: a point, say.
    pub(super) fn public_key_bits(&self) -> Option<&[u8]> {
        let info = self.content.tbs_certificate().subject_public_key_info();
        info.subject_public_key.as_bytes()
    }

    pub(super) fn is_version_3(&self) -> bool {
        self.content.tbs_certificate().version() == Version::V3
    }

    pub(super) fn extensions(&self) -> &[Extension] {
        self.content
            .tbs_certificate()
            .extensions()
            .map_or(&[], |extensions| extensions)
    }

    /// The extension of this id, undecoded.
    pub(super) fn extension(&self, id: ObjectIdentifier) -> Option<&Extension> {
        self.extensions()
            .iter()
            .find(|extension| extension.extn_id == id)
    }

    /// An extension that has a type; `AttestationCertificateBad` when it does not decode as that.
    pub(super) fn read_extension<'c, T>(&'c self) -> Result<Option<T>, Denial>
    where
        T: Decode<'c> + AssociatedOid,
    {
        self.extension(T::OID)
            .map(|extension| T::from_der(extension.extn_value.as_bytes()))
            .transpose()
            .map_err(|_| Denial::AttestationCertificateBad)
    }

    /// An attribute of the subject, whatever kind of string it is.
    pub(super) fn subject_attribute(&self, id: ObjectIdentifier) -> Option<&[u8]> {
        self.subject()
            .iter()
            .find(|attribute| attribute.oid == id)
            .map(|attribute| attribute.value.value())
    }

    /// Whether `milliseconds` since 1970 lie within the validity period, both ends included.
    pub(super) fn is_valid_at(&self, now_ms: i64) -> bool {
        let validity = self.content.tbs_certificate().validity();
        let now_s = u64::try_from(now_ms).unwrap_or(0) / 1000;
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        (seconds(validity.not_before)..=seconds(validity.not_after)).contains(&now_s)
    }

    /// The requirement shared by the formats that have any: version 3, and expressly not an authority.
    pub(super) fn check_end_entity(&self) -> Result<(), Denial> {
        let constraints = self.read_extension::<BasicConstraints>()?;
        if self.is_version_3() && constraints.is_some_and(|constraints| !constraints.ca) {
            Ok(())
        } else {
            Err(Denial::AttestationCertificateBad)
        }
    }

    /// Whether the certificate names the model of the authenticator in the extension `id-fido-gen-ce-aaguid`
    /// (sections 8.2.1 and 8.3.1). If it does, it must name this one and must not be critical.
    pub(super) fn names_model(&self, aaguid: &[u8; 16]) -> Result<bool, Denial> {
        let Some(extension) = self.extension(FIDO_AAGUID) else {
            return Ok(false);
        };
        // An octet string within the octet string that every extension is.
        let wrapped = [&[0x04, 0x10], &aaguid[..]].concat();
        if extension.critical || extension.extn_value.as_bytes() != wrapped {
            return Err(Denial::AttestationCertificateBad);
        }
        Ok(true)
    }

    /// The numbers of the subject's key; `None` for a kind that no algorithm here uses.
    pub(super) fn key_numbers(&self) -> Option<KeyNumbers> {
        let info = self.content.tbs_certificate().subject_public_key_info();
        let key = info.subject_public_key.as_bytes()?;
        match info.algorithm.oid {
            ID_EC_PUBLIC_KEY => {
                let curve = info.algorithm.parameters.as_ref()?;
                let algorithm = match curve.decode_as::<ObjectIdentifier>().ok()? {
                    CURVE_P256 => Algorithm::Es256,
                    CURVE_P384 => Algorithm::Es384,
                    CURVE_P521 => Algorithm::Es512,
                    _ => return None,
                };
                let (form, point) = key.split_first()?;
                let (x, y) = point.split_at(point.len() / 2);
                (*form == SEC1_UNCOMPRESSED && x.len() == y.len())
                    .then(|| KeyNumbers::new(algorithm, &[x, y]))
            }
            ID_ED25519 => Some(KeyNumbers::new(Algorithm::EdDsa, &[key])),
            ID_RSA => {
                let mut reader = SliceReader::new(key).ok()?;
                let (n, e) = reader
                    .sequence(|reader| {
                        let n: UintRef<'_> = reader.decode()?;
                        let e: UintRef<'_> = reader.decode()?;
                        x509_cert::der::Result::Ok((n, e))
                    })
                    .ok()?;
                Some(KeyNumbers::new(
                    Algorithm::Rs256,
                    &[n.as_bytes(), e.as_bytes()],
                ))
            }
            _ => None,
        }
    }

    /// Whether the subject's key made `signature` over `message`; else, and when the key is of another kind than the
    /// algorithm, `AttestationSignatureBad`.
    pub(super) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Denial> {
        let suite = match algorithm {
            Algorithm::Es256 => suites::ECDSA_P256_SHA256,
            Algorithm::Es384 => suites::ECDSA_P384_SHA384,
            Algorithm::Es512 => suites::ECDSA_P521_SHA512,
            Algorithm::EdDsa => suites::ED25519,
            Algorithm::Rs256 => suites::RSA_PKCS1_2048_8192_SHA256,
        };
        RawPublicKeyEntity::try_from(&self.public_key)
            .and_then(|key| key.verify_signature(suite, message, signature))
            .map_err(|_| Denial::AttestationSignatureBad)
    }

    /// Whether the issuer of this name and key signed this certificate.
    pub(super) fn is_signed_by(
        &self,
        name: &Name,
        public_key: &SubjectPublicKeyInfoDer<'_>,
    ) -> bool {
        let algorithm = self.content.signature_algorithm();
        // The outer identifier is not signed; the inner one is.
        if self.issuer() != name || self.content.tbs_certificate().signature() != algorithm {
            return false;
        }
        let Some(signature) = self.content.signature().as_bytes() else {
            return false;
        };
        let Ok(key) = RawPublicKeyEntity::try_from(public_key) else {
            return false;
        };
        CERTIFICATE_SUITES
            .iter()
            .filter(|suite| is_identified(**suite, algorithm))
            .any(|suite| key.verify_signature(*suite, self.signed, signature).is_ok())
    }
}

/// Whether a certificate names this suite as the algorithm of its signature.
fn is_identified(
    suite: &dyn SignatureVerificationAlgorithm,
    algorithm: &AlgorithmIdentifierOwned,
) -> bool {
    let identifier = suite.signature_alg_id();
    // The suite has the content of the sequence, without its tag and length.
    algorithm
        .to_der()
        .ok()
        .and_then(|der| der.strip_suffix(identifier.as_ref()).map(<[u8]>::len))
        .is_some_and(|head| head == 2)
}

/// How certificates may be signed: nothing with SHA-1, no RSA below 2048 bits.
pub(super) static CERTIFICATE_SUITES: &[&dyn SignatureVerificationAlgorithm] = &[
    suites::ECDSA_P256_SHA256,
    suites::ECDSA_P256_SHA384,
    suites::ECDSA_P256_SHA512,
    suites::ECDSA_P384_SHA256,
    suites::ECDSA_P384_SHA384,
    suites::ECDSA_P384_SHA512,
    suites::ECDSA_P521_SHA256,
    suites::ECDSA_P521_SHA384,
    suites::ECDSA_P521_SHA512,
    suites::ED25519,
    suites::RSA_PKCS1_2048_8192_SHA256,
    suites::RSA_PKCS1_2048_8192_SHA384,
    suites::RSA_PKCS1_2048_8192_SHA512,
];

/// Real chains have two to five; each costs a signature to verify.
const CERTIFICATES_MAX: usize = 8;

const SEC1_UNCOMPRESSED: u8 = 4;

const FIDO_AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");
const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const CURVE_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const CURVE_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const CURVE_P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
