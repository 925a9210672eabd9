//! The metadata of authenticators at the terminal: reads the files. What is
//! believed is decided by the passkey product.

use std::path::Path;

use passkeys::{
    ImportedMetadata, MetadataError, MetadataImportError, MetadataSigner, Passkeys,
    TrustCertificate, read_revocation_lists,
};
use serde_json::{Value, json};

use crate::{
    cli::{MetadataCommand, MetadataImportArgs},
    commands::{CommandError, answer, time},
};

pub(crate) async fn run(passkeys: &Passkeys, command: MetadataCommand) -> Result<(), CommandError> {
    match command {
        MetadataCommand::Import(arguments) => import(passkeys, &arguments).await,
        MetadataCommand::Show { json } => {
            match passkeys.find_metadata().await? {
                Some(metadata) => answer(json, &shown(&metadata)),
                None if json => println!("null"),
                None => println!("No metadata was imported. `metadata import` takes a file."),
            }
            Ok(())
        }
    }
}

async fn import(passkeys: &Passkeys, arguments: &MetadataImportArgs) -> Result<(), CommandError> {
    let file = read(&arguments.file)?;
    let roots: Vec<Vec<u8>> = TrustCertificate::read(&read(&arguments.root)?)
        .map_err(|_| unreadable(&arguments.root, "X.509 certificate"))?
        .iter()
        .map(|root| root.der().to_vec())
        .collect();
    let mut revocation_lists = Vec::new();
    for path in &arguments.revocation_lists {
        let lists =
            read_revocation_lists(&read(path)?).map_err(|_| unreadable(path, "revocation list"))?;
        revocation_lists.extend(lists);
    }
    let signer = MetadataSigner {
        roots: &roots,
        name: &arguments.signer_name,
        revocation_lists: &revocation_lists,
    };
    let imported = passkeys
        .import_metadata(&file, &signer)
        .await
        .map_err(|error| match error {
            MetadataImportError::Fault(fault) => CommandError::Fault(fault),
            MetadataImportError::Refused(reason) => CommandError::Refused(format!(
                "the metadata file was not imported, what was in use stays: {reason}{}",
                advice(reason)
            )),
        })?;
    answer(arguments.json, &shown(&imported));
    Ok(())
}

/// What to do about it.
fn advice(reason: MetadataError) -> &'static str {
    match reason {
        MetadataError::SignerUntrusted => {
            "; look at --root and --signer-name, and at https://fidoalliance.org/metadata/"
        }
        MetadataError::SignerRevoked => {
            "; fetch the revocation lists again, one for each certificate but the root"
        }
        MetadataError::SignerMalformed => "; look at --root, --crl and --signer-name",
        MetadataError::Malformed
        | MetadataError::SignatureBad
        | MetadataError::Superseded
        | MetadataError::Outdated => "; fetch the newest file from https://mds3.fidoalliance.org/",
    }
}

fn shown(metadata: &ImportedMetadata) -> Value {
    json!({
        "number": metadata.number,
        "next_update_at": time(metadata.next_update_ms),
        "imported_at": time(metadata.imported_at_ms),
        "models": metadata.models,
        "compromised_models": metadata.compromised_models,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path)
        .map_err(|error| CommandError::System(format!("reading {}", path.display()), error))
}

fn unreadable(path: &Path, what: &str) -> CommandError {
    CommandError::Refused(format!("{} has no {what} in PEM or DER", path.display()))
}
