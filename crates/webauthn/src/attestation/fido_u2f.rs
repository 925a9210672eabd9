//! The format `fido-u2f` ([section 8.6](https://www.w3.org/TR/webauthn-3/#sctn-fido-u2f-attestation)).
//!
//! U2F signs the key, its id and the RP ID, but neither flags nor counter nor AAGUID.

use super::object::Statement;
use super::{Certified, Evidence, NO_AAGUID, NewCredential};
use crate::{Algorithm, Denial};

/// The verification procedure.
pub(super) fn verify<'b>(
    statement: &Statement<'b>,
    credential: &NewCredential<'_>,
    accepts_aaguid: bool,
) -> Result<Evidence<'b>, Denial> {
    let signature = statement.bytes("sig")?;
    let chain = statement.chain()?;
    let leaf = chain.leaf();
    let has_p256_key = leaf
        .key_numbers()
        .is_some_and(|key| key.algorithm == Algorithm::Es256);
    if chain.certificates().len() != 1 || !has_p256_key {
        return Err(Denial::AttestationMalformed);
    }
    // Stricter than the standard, as FIDO's conformance is.
    if credential.attested.aaguid != NO_AAGUID && !accepts_aaguid {
        return Err(Denial::AttestationMalformed);
    }
    // The key as U2F writes it. One that fits no point of P-256 was refused before.
    let point = credential
        .key
        .p256_point()
        .ok_or(Denial::AttestationMalformed)?;
    let signed_data = [
        &[0][..],
        credential.attested.header.rp_id_hash(),
        &credential.client_data_hash[..],
        credential.attested.credential_id,
        &point,
    ]
    .concat();
    leaf.verify(Algorithm::Es256, &signed_data, signature)?;
    Ok(Evidence::Certified(Certified {
        chain,
        aaguid: NO_AAGUID,
        names_model: false,
    }))
}
