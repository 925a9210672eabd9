//! What is known about models of authenticators: the metadata file that an
//! operator imported, and the models in it. One for all apps; an app believes it
//! when its settings say so (webauthn-checks A15, A21, A22).
//!
//! Whether a file is believed is decided by the `webauthn` crate. Nothing here
//! fetches one: where it is from is the operator's business.

use std::sync::atomic::{AtomicI64, Ordering};

use platform::{Fault, Row, Tx, values};
use rustls_pki_types::{CertificateRevocationListDer, pem::PemObject as _};
use webauthn::{AuthenticatorModel, Metadata, MetadataError, MetadataSigner};

use crate::{Passkeys, TrustCertificate, stored};

/// The metadata file that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportedMetadata {
    /// Its serial number, which grows with every file.
    pub number: i64,
    /// When the next file is due, in milliseconds since 1970. It is used beyond that.
    pub next_update_ms: i64,
    /// When it was imported, in milliseconds since 1970.
    pub imported_at_ms: i64,
    /// How many models it tells of.
    pub models: i64,
    /// How many of them are known to be compromised or were revoked.
    pub compromised_models: i64,
}

/// Why a metadata file was not imported. The one before is still used.
#[derive(Debug, thiserror::Error)]
pub enum MetadataImportError {
    /// The file is not believed.
    #[error(transparent)]
    Refused(#[from] MetadataError),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Passkeys {
    /// Verifies a metadata file and puts it into the place of the one before, all
    /// of it or nothing. The same file may come again, an older one may not.
    pub async fn import_metadata(
        &self,
        file: &[u8],
        signer: &MetadataSigner<'_>,
    ) -> Result<ImportedMetadata, MetadataImportError> {
        let now_ms = self.platform.clock.now_ms();
        let known = self.find_metadata().await?;
        let metadata = Metadata::verify(file, signer, known.map(|known| known.number), now_ms)?;
        self.platform
            .db
            .write(async move |tx| {
                // Another import may have been faster.
                if !replace(tx, &metadata, now_ms).await? {
                    return Err(MetadataError::Superseded.into());
                }
                find(tx)
                    .await?
                    .ok_or_else(|| Fault::new("metadata that was just stored is missing").into())
            })
            .await
    }

    /// The metadata file that is used, if one was ever imported.
    pub async fn find_metadata(&self) -> Result<Option<ImportedMetadata>, Fault> {
        self.platform.db.read(async move |tx| find(tx).await).await
    }

    /// Tells the operator, once in a while, that the file that is used is too old:
    /// a model that was compromised since is still believed.
    pub(crate) async fn remind_of_metadata(&self, now_ms: i64) -> Result<(), Fault> {
        if now_ms < self.metadata_reminder.due_at_ms.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(metadata) = self.find_metadata().await? else {
            return Ok(());
        };
        if metadata.next_update_ms <= now_ms {
            let due_at_ms = now_ms + REMIND_EVERY_MS;
            self.metadata_reminder
                .due_at_ms
                .store(due_at_ms, Ordering::Relaxed);
            tracing::warn!(
                reason = "metadata_outdated",
                number = metadata.number,
                overdue_days = (now_ms - metadata.next_update_ms) / REMIND_EVERY_MS,
                "the metadata of authenticators is out of date; fetch the newest file and import \
                 it with `claviger metadata import`"
            );
        }
        Ok(())
    }
}

/// When this process reminds next.
#[derive(Debug, Default)]
pub(crate) struct Reminder {
    due_at_ms: AtomicI64,
}

/// Reads what people have of a revocation list: PEM, with any number of them, or
/// one in DER, which is not looked into. Gives each in DER.
pub fn read_revocation_lists(bytes: &[u8]) -> Result<Vec<Vec<u8>>, RevocationListsInvalid> {
    if !bytes.starts_with(PEM_START) {
        return Ok(vec![bytes.to_vec()]);
    }
    let lists: Vec<Vec<u8>> = CertificateRevocationListDer::pem_slice_iter(bytes)
        .map(|list| list.map(|list| list.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| RevocationListsInvalid)?;
    match lists.is_empty() {
        true => Err(RevocationListsInvalid),
        false => Ok(lists),
    }
}

/// A PEM file without a revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a certificate revocation list in PEM or DER")]
pub struct RevocationListsInvalid;

/// What the metadata says about a model, if it knows it.
pub(crate) async fn find_model(
    tx: &mut Tx,
    aaguid: &[u8; 16],
) -> Result<Option<AuthenticatorModel>, Fault> {
    let row = tx
        .row(
            "SELECT trust_anchors, algorithms, is_compromised
             FROM passkeys_metadata_models WHERE aaguid = $1",
            values![aaguid.to_vec()],
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let certificates: Vec<TrustCertificate> = stored::json_of(&row, "trust_anchors")?;
    Ok(Some(AuthenticatorModel {
        aaguid: *aaguid,
        trust_anchors: certificates
            .iter()
            .map(TrustCertificate::anchor)
            .collect::<Result<_, _>>()?,
        certificate_algorithms: stored::json_of(&row, "algorithms")?,
        is_compromised: row.get("is_compromised")?,
    }))
}

async fn find(tx: &mut Tx) -> Result<Option<ImportedMetadata>, Fault> {
    tx.row(
        "SELECT number, next_update_ms, imported_at_ms,
                (SELECT COUNT(*) FROM passkeys_metadata_models) AS models,
                (SELECT COUNT(*) FROM passkeys_metadata_models WHERE is_compromised = 1)
                    AS compromised_models
         FROM passkeys_metadata WHERE id = 'fido'",
        values![],
    )
    .await?
    .as_ref()
    .map(ImportedMetadata::from_row)
    .transpose()
}

/// False when a newer file is there: nothing was changed. The first statement
/// decides, and holds back other imports until this one is over.
async fn replace(tx: &mut Tx, metadata: &Metadata, now_ms: i64) -> Result<bool, Fault> {
    let replaced = tx
        .execute(
            "INSERT INTO passkeys_metadata (id, number, next_update_ms, imported_at_ms)
             VALUES ('fido', $1, $2, $3)
             ON CONFLICT (id) DO UPDATE
             SET number = excluded.number, next_update_ms = excluded.next_update_ms,
                 imported_at_ms = excluded.imported_at_ms
             WHERE passkeys_metadata.number <= excluded.number",
            values![metadata.number, metadata.next_update_ms, now_ms],
        )
        .await?;
    if replaced == 0 {
        return Ok(false);
    }
    tx.execute("DELETE FROM passkeys_metadata_models", values![])
        .await?;
    for model in &metadata.models {
        let certificates: Vec<TrustCertificate> = model
            .trust_anchors
            .iter()
            .map(TrustCertificate::from)
            .collect();
        tx.execute(
            "INSERT INTO passkeys_metadata_models (
                aaguid, trust_anchors, algorithms, is_compromised
             ) VALUES ($1, $2, $3, $4)",
            values![
                model.aaguid.to_vec(),
                stored::json(&certificates),
                stored::json(&model.certificate_algorithms),
                model.is_compromised,
            ],
        )
        .await?;
    }
    Ok(true)
}

impl ImportedMetadata {
    fn from_row(row: &Row) -> Result<ImportedMetadata, Fault> {
        Ok(ImportedMetadata {
            number: row.get("number")?,
            next_update_ms: row.get("next_update_ms")?,
            imported_at_ms: row.get("imported_at_ms")?,
            models: row.get("models")?,
            compromised_models: row.get("compromised_models")?,
        })
    }
}

const PEM_START: &[u8] = b"-----BEGIN ";
const REMIND_EVERY_MS: i64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;

    #[test]
    fn revocation_lists_are_read_from_every_form_that_people_have() {
        let pem = |label: &str, der: &[u8]| {
            let content = BASE64_STANDARD.encode(der);
            format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
        };
        let der = vec![0x30, 3, 2, 1, 7];
        assert_eq!(read_revocation_lists(&der), Ok(vec![der.clone()]));
        let two = pem("X509 CRL", &der) + &pem("X509 CRL", &der);
        assert_eq!(
            read_revocation_lists(two.as_bytes()),
            Ok(vec![der.clone(); 2])
        );
        let other = pem("CERTIFICATE", &der);
        assert_eq!(
            read_revocation_lists(other.as_bytes()),
            Err(RevocationListsInvalid)
        );
    }
}
