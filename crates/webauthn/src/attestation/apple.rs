//! The format `apple` ([section 8.8](https://www.w3.org/TR/webauthn-3/#sctn-apple-anonymous-attestation)): no
//! signature of its own, but a certificate made for this one ceremony.

use aws_lc_rs::digest::{SHA256, digest};
use x509_cert::der::oid::ObjectIdentifier;

use super::object::Statement;
use super::{Certified, Evidence, NewCredential};
use crate::Denial;

/// The verification procedure.
pub(super) fn verify<'b>(
    statement: &Statement<'b>,
    credential: &NewCredential<'_>,
) -> Result<Evidence<'b>, Denial> {
    let chain = statement.chain()?;
    let leaf = chain.leaf();
    let nonce = digest(&SHA256, &credential.signed_data());
    // SEQUENCE { [1] { OCTET STRING nonce } }, which has one form in DER.
    let expected = [&[0x30, 0x24, 0xa1, 0x22, 0x04, 0x20], nonce.as_ref()].concat();
    let has_nonce = leaf
        .extension(NONCE)
        .is_some_and(|extension| extension.extn_value.as_bytes() == expected);
    let has_key = leaf.key_numbers().as_ref() == Some(&credential.key);
    if !has_nonce || !has_key {
        return Err(Denial::AttestationCertificateBad);
    }
    Ok(Evidence::Certified(Certified {
        chain,
        aaguid: credential.attested.aaguid,
        names_model: false,
    }))
}

const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.8.2");
