//! The format `packed` ([section 8.2](https://www.w3.org/TR/webauthn-3/#sctn-packed-attestation)).

use x509_cert::der::oid::ObjectIdentifier;

use super::certificate::Certificate;
use super::object::Statement;
use super::{Certified, Evidence, NewCredential};
use crate::Denial;

/// The verification procedure.
pub(super) fn verify<'b>(
    statement: &Statement<'b>,
    credential: &NewCredential<'_>,
) -> Result<Evidence<'b>, Denial> {
    let signature = statement.bytes("sig")?;
    let algorithm = statement.algorithm()?;
    let signed_data = credential.signed_data();
    let aaguid = credential.attested.aaguid;

    let Some(chain) = statement.chain_if_any()? else {
        // Self attestation: by the credential's own key, under its own algorithm.
        if algorithm != credential.key.algorithm {
            return Err(Denial::AttestationMalformed);
        }
        credential
            .public_key
            .verify(&signed_data, signature)
            .map_err(|_| Denial::AttestationSignatureBad)?;
        return Ok(Evidence::Nothing);
    };
    let leaf = chain.leaf();
    leaf.verify(algorithm, &signed_data, signature)?;
    check_requirements(leaf)?;
    let names_model = leaf.names_model(&aaguid)?;
    Ok(Evidence::Certified(Certified {
        chain,
        aaguid,
        names_model,
    }))
}

/// What the certificate must look like (section 8.2.1).
fn check_requirements(leaf: &Certificate<'_>) -> Result<(), Denial> {
    leaf.check_end_entity()?;
    let is_country = leaf
        .subject_attribute(COUNTRY)
        .is_some_and(|code| code.len() == 2 && code.iter().all(u8::is_ascii_alphabetic));
    let is_named = [ORGANIZATION, COMMON_NAME].into_iter().all(|name| {
        leaf.subject_attribute(name)
            .is_some_and(|name| !name.is_empty())
    });
    let is_attestation = leaf.subject_attribute(ORGANIZATIONAL_UNIT) == Some(UNIT);
    if is_country && is_named && is_attestation {
        Ok(())
    } else {
        Err(Denial::AttestationCertificateBad)
    }
}

const UNIT: &[u8] = b"Authenticator Attestation";

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const COUNTRY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.6");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
