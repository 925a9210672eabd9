//! The format `tpm` ([section 8.3](https://www.w3.org/TR/webauthn-3/#sctn-tpm-attestation)), with the structures of
//! the Trusted Platform Module Library, part 2.

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512, digest};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};

use super::certificate::Certificate;
use super::object::Statement;
use super::{Certified, Evidence, NewCredential};
use crate::cose::KeyNumbers;
use crate::{Algorithm, Denial};

/// The verification procedure.
pub(super) fn verify<'b>(
    statement: &Statement<'b>,
    credential: &NewCredential<'_>,
) -> Result<Evidence<'b>, Denial> {
    let signature = statement.bytes("sig")?;
    let algorithm = statement.algorithm()?;
    let public_area = statement.bytes("pubArea")?;
    let certified_information = statement.bytes("certInfo")?;
    if statement.text("ver")? != "2.0" {
        return Err(Denial::AttestationMalformed);
    }
    let chain = statement.chain()?;
    let leaf = chain.leaf();

    // The key that the TPM knows is the credential's.
    let (name_hash, key) = read_public_area(public_area)?;
    if key != credential.key {
        return Err(Denial::AttestationMalformed);
    }
    // The TPM certified that key, for this ceremony.
    let information = CertifyInformation::read(certified_information)?;
    let hash = hash_of(algorithm).ok_or(Denial::AttestationMalformed)?;
    let expected = digest(hash, &credential.signed_data());
    let name = [
        &name_hash.id.to_be_bytes(),
        digest(name_hash.algorithm, public_area).as_ref(),
    ]
    .concat();
    if information.extra_data != expected.as_ref() || information.name != name {
        return Err(Denial::AttestationMalformed);
    }
    // And its attestation key signed that.
    leaf.verify(algorithm, certified_information, signature)?;
    check_requirements(leaf)?;
    let aaguid = credential.attested.aaguid;
    let names_model = leaf.names_model(&aaguid)?;
    Ok(Evidence::Certified(Certified {
        chain,
        aaguid,
        names_model,
    }))
}

/// What the certificate of an attestation key must look like (section 8.3.1).
fn check_requirements(leaf: &Certificate<'_>) -> Result<(), Denial> {
    leaf.check_end_entity()?;
    let is_for_attestation = leaf
        .read_extension::<ExtendedKeyUsage>()?
        .is_some_and(|usage| usage.0.contains(&AIK_CERTIFICATE));
    let names_tpm = leaf
        .read_extension::<SubjectAltName>()?
        .is_some_and(|names| names.0.iter().any(is_tpm));
    if leaf.subject().is_empty() && is_for_attestation && names_tpm {
        Ok(())
    } else {
        Err(Denial::AttestationCertificateBad)
    }
}

/// Whether a name tells manufacturer, model and version of a TPM (TPM 2.0 EK profile, section 3.2.9).
fn is_tpm(name: &GeneralName) -> bool {
    let GeneralName::DirectoryName(name) = name else {
        return false;
    };
    [TPM_MANUFACTURER, TPM_MODEL, TPM_VERSION]
        .into_iter()
        .all(|id| name.iter().any(|attribute| attribute.oid == id))
}

/// `certInfo`: a TPMS_ATTEST of type TPM_ST_ATTEST_CERTIFY. Signer, clock, firmware version and qualified name are
/// not looked at, as the standard has it.
#[derive(Debug)]
struct CertifyInformation<'b> {
    extra_data: &'b [u8],
    name: &'b [u8],
}

impl<'b> CertifyInformation<'b> {
    fn read(bytes: &'b [u8]) -> Result<Self, Denial> {
        let mut reader = Reader(bytes);
        if reader.u32()? != TPM_GENERATED_VALUE || reader.u16()? != ST_ATTEST_CERTIFY {
            return Err(Denial::AttestationMalformed);
        }
        let _qualified_signer = reader.sized()?;
        let extra_data = reader.sized()?;
        let _clock = reader.take(CLOCK_INFO_BYTES + FIRMWARE_VERSION_BYTES)?;
        let name = reader.sized()?;
        let _qualified_name = reader.sized()?;
        reader.finish()?;
        Ok(Self { extra_data, name })
    }
}

/// A hash algorithm as a TPM names it.
#[derive(Debug)]
struct NameHash {
    id: u16,
    algorithm: &'static digest::Algorithm,
}

/// `pubArea`: a TPMT_PUBLIC, of which the key counts and the algorithm of its name.
fn read_public_area(bytes: &[u8]) -> Result<(NameHash, KeyNumbers), Denial> {
    let mut reader = Reader(bytes);
    let kind = reader.u16()?;
    let name_hash = match reader.u16()? {
        id @ alg::SHA256 => NameHash {
            id,
            algorithm: &SHA256,
        },
        id @ alg::SHA384 => NameHash {
            id,
            algorithm: &SHA384,
        },
        id @ alg::SHA512 => NameHash {
            id,
            algorithm: &SHA512,
        },
        _ => return Err(Denial::AttestationMalformed),
    };
    let _object_attributes = reader.u32()?;
    let _policy = reader.sized()?;
    if reader.u16()? != alg::NULL {
        let _symmetric_key_bits_and_mode = reader.u32()?;
    }
    let key = match kind {
        alg::RSA => {
            match reader.u16()? {
                alg::NULL | alg::RSAES => {}
                alg::RSASSA | alg::RSAPSS | alg::OAEP => {
                    let _hash = reader.u16()?;
                }
                _ => return Err(Denial::AttestationMalformed),
            }
            let _key_bits = reader.u16()?;
            let exponent = match reader.u32()? {
                0 => RSA_DEFAULT_EXPONENT,
                exponent => exponent,
            };
            let modulus = reader.sized()?;
            KeyNumbers::new(Algorithm::Rs256, &[modulus, &exponent.to_be_bytes()])
        }
        alg::ECC => {
            match reader.u16()? {
                alg::NULL => {}
                alg::ECDAA => {
                    let _hash_and_count = reader.u32()?;
                }
                _ => {
                    let _hash = reader.u16()?;
                }
            }
            let algorithm = match reader.u16()? {
                curve::P256 => Algorithm::Es256,
                curve::P384 => Algorithm::Es384,
                curve::P521 => Algorithm::Es512,
                _ => return Err(Denial::AttestationMalformed),
            };
            if reader.u16()? != alg::NULL {
                let _key_derivation_hash = reader.u16()?;
            }
            let x = reader.sized()?;
            let y = reader.sized()?;
            KeyNumbers::new(algorithm, &[x, y])
        }
        _ => return Err(Denial::AttestationMalformed),
    };
    reader.finish()?;
    Ok((name_hash, key))
}

/// The hash within a signature algorithm; Ed25519 has none of its own to offer.
fn hash_of(algorithm: Algorithm) -> Option<&'static digest::Algorithm> {
    match algorithm {
        Algorithm::Es256 | Algorithm::Rs256 => Some(&SHA256),
        Algorithm::Es384 => Some(&SHA384),
        Algorithm::Es512 => Some(&SHA512),
        Algorithm::EdDsa => None,
    }
}

/// Reads a TPM's structures, which are big-endian; too few bytes are `AttestationMalformed`.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn u16(&mut self) -> Result<u16, Denial> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Denial> {
        self.array().map(u32::from_be_bytes)
    }

    /// Bytes behind their length (TPM2B).
    fn sized(&mut self) -> Result<&'b [u8], Denial> {
        let length = self.u16()?;
        self.take(length.into())
    }

    fn take(&mut self, length: usize) -> Result<&'b [u8], Denial> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Denial::AttestationMalformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Denial> {
        let (taken, rest) = self
            .0
            .split_first_chunk::<N>()
            .ok_or(Denial::AttestationMalformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn finish(self) -> Result<(), Denial> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Denial::AttestationMalformed)
        }
    }
}

const TPM_GENERATED_VALUE: u32 = 0xff54_4347;
const ST_ATTEST_CERTIFY: u16 = 0x8017;

/// Clock, reset count, restart count and whether the clock is safe.
const CLOCK_INFO_BYTES: usize = 8 + 4 + 4 + 1;
const FIRMWARE_VERSION_BYTES: usize = 8;

/// What a TPM means by exponent 0.
const RSA_DEFAULT_EXPONENT: u32 = 65537;

/// TPM_ALG_ID.
mod alg {
    pub(super) const RSA: u16 = 0x0001;
    pub(super) const SHA256: u16 = 0x000b;
    pub(super) const SHA384: u16 = 0x000c;
    pub(super) const SHA512: u16 = 0x000d;
    pub(super) const NULL: u16 = 0x0010;
    pub(super) const RSASSA: u16 = 0x0014;
    pub(super) const RSAES: u16 = 0x0015;
    pub(super) const RSAPSS: u16 = 0x0016;
    pub(super) const OAEP: u16 = 0x0017;
    pub(super) const ECDAA: u16 = 0x001a;
    pub(super) const ECC: u16 = 0x0023;
}

/// TPM_ECC_CURVE.
mod curve {
    pub(super) const P256: u16 = 0x0003;
    pub(super) const P384: u16 = 0x0004;
    pub(super) const P521: u16 = 0x0005;
}

const AIK_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.8.3");
const TPM_MANUFACTURER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.1");
const TPM_MODEL: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.2");
const TPM_VERSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.2.3");
