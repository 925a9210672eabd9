//! The import of metadata files: what is used afterwards, and what is refused and
//! leaves the one before in use. What a used file does to registrations is in the
//! matrix (A15, A21, A22).

use passkeys::{
    ImportedMetadata, MetadataError, MetadataImportError, MetadataSigner, NewApp, Passkeys,
};
use serde_json::{Value, json};
use webauthn::{
    Algorithm,
    forge::{
        Authenticator, SigningKey,
        attestation::{Attester, Format},
        metadata::{MetadataFile, revocation_list},
    },
};

use crate::house::{House, Reasons, START_MS, houses};

const DAY_MS: i64 = 86_400_000;
/// Some days after the tests' clock starts.
pub(crate) const NEXT_UPDATE: &str = "2024-09-01";
/// The end of that day.
const NEXT_UPDATE_MS: i64 = 1_725_235_200_000;

/// The entry of a model whose maker is that of all honest attesters.
pub(crate) fn entry(aaguid: [u8; 16], statuses: &[&str]) -> Value {
    let key = SigningKey::from_seed(Algorithm::Es256, "any");
    let root = Attester::new(Format::Packed, &key).root;
    MetadataFile::entry(&webauthn::aaguid::format(&aaguid), &[&root], statuses)
}

/// Imports a file as an operator who believes its root.
pub(crate) async fn import(
    passkeys: &Passkeys,
    file: &MetadataFile,
) -> Result<ImportedMetadata, MetadataError> {
    import_as(passkeys, &file.bytes(), file, &[]).await
}

async fn import_as(
    passkeys: &Passkeys,
    bytes: &[u8],
    believed: &MetadataFile,
    revocation_lists: &[Vec<u8>],
) -> Result<ImportedMetadata, MetadataError> {
    let signer = MetadataSigner {
        roots: &[believed.root.der()],
        name: MetadataSigner::FIDO_ALLIANCE,
        revocation_lists,
    };
    passkeys
        .import_metadata(bytes, &signer)
        .await
        .map_err(|error| match error {
            MetadataImportError::Refused(reason) => reason,
            MetadataImportError::Fault(fault) => panic!("{fault}"),
        })
}

/// A file of as many models as its number says.
fn file(number: i64) -> MetadataFile {
    let entries: Vec<Value> = (1..=u8::try_from(number).unwrap())
        .map(|model| entry([model; 16], if model == 1 { &["REVOKED"] } else { &[] }))
        .collect();
    MetadataFile::new(number, NEXT_UPDATE, json!(entries))
}

/// The number of the file that is used, and of its models.
async fn used(house: &House) -> Option<(i64, i64)> {
    let shown = house.passkeys.find_metadata().await.unwrap();
    let models = house
        .count("SELECT COUNT(*) AS count FROM passkeys_metadata_models")
        .await;
    assert_eq!(shown.map_or(0, |shown| shown.models), models);
    shown.map(|shown| (shown.number, models))
}

#[tokio::test]
async fn a_newer_file_takes_the_place_of_the_one_before() {
    for house in houses().await {
        assert_eq!(used(&house).await, None);
        let imported = import(&house.passkeys, &file(3)).await.unwrap();
        assert_eq!(
            imported,
            ImportedMetadata {
                number: 3,
                next_update_ms: NEXT_UPDATE_MS,
                imported_at_ms: START_MS,
                models: 3,
                compromised_models: 1,
            }
        );
        house.pass(1);
        // The same again, then one with fewer models.
        let again = import(&house.passkeys, &file(3)).await.unwrap();
        assert_eq!(again.imported_at_ms, START_MS + 1);
        assert_eq!(used(&house).await, Some((3, 3)));
        let fewer = MetadataFile::new(4, NEXT_UPDATE, json!([entry([9; 16], &[])]));
        import(&house.passkeys, &fewer).await.unwrap();
        assert_eq!(used(&house).await, Some((4, 1)));
    }
}

#[tokio::test]
async fn a_refused_file_leaves_the_one_before_in_use() {
    for house in houses().await {
        let passkeys = &house.passkeys;
        let stranger = SigningKey::from_seed(Algorithm::Es256, "stranger");
        for before in [None, Some((3, 3))] {
            if before.is_some() {
                import(passkeys, &file(3)).await.unwrap();
            }
            let honest = file(4);
            let mut forged = file(4);
            forged.key = stranger.clone();
            let mut unchained = file(4);
            unchained.certificates[0].issuer_key = stranger.clone();
            let outdated = MetadataFile::new(4, "2024-08-19", json!([]));
            let revoked = revocation_list(&honest.certificates[1], &[7], "20990101");
            let lists = [revocation_list(&honest.root, &[], "20990101"), revoked];
            for (bytes, lists, reason) in [
                (&b"{}"[..], &[][..], MetadataError::Malformed),
                (&forged.bytes(), &[], MetadataError::SignatureBad),
                (&unchained.bytes(), &[], MetadataError::SignerUntrusted),
                (&honest.bytes(), &lists, MetadataError::SignerRevoked),
                (&outdated.bytes(), &[], MetadataError::Outdated),
            ] {
                let refused = import_as(passkeys, bytes, &honest, lists).await;
                assert_eq!(refused, Err(reason));
                assert_eq!(used(&house).await, before, "{reason:?}");
            }
        }
        let refused = import(passkeys, &file(2)).await;
        assert_eq!(refused, Err(MetadataError::Superseded));
        assert_eq!(used(&house).await, Some((3, 3)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_imports_at_once_the_newest_file_stays() {
    const NEWEST: i64 = 20;
    for house in houses().await {
        let rivals: Vec<_> = (1..=NEWEST)
            .rev()
            .map(|number| {
                let passkeys = house.passkeys.clone();
                tokio::spawn(async move { (number, import(&passkeys, &file(number)).await) })
            })
            .collect();
        for rival in rivals {
            let (number, outcome) = rival.await.unwrap();
            match outcome {
                Ok(imported) => assert_eq!((imported.number, imported.models), (number, number)),
                Err(reason) => {
                    assert_eq!(reason, MetadataError::Superseded);
                    assert_ne!(number, NEWEST);
                }
            }
        }
        assert_eq!(used(&house).await, Some((NEWEST, NEWEST)));
    }
}

#[tokio::test]
async fn an_outdated_file_is_used_still_and_the_log_reminds_once_a_day() {
    for house in houses().await {
        let mut new = NewApp {
            name: "Example".into(),
            auth_origin: crate::house::ORIGIN.into(),
            ..NewApp::default()
        };
        new.settings.attestation.conveyance = webauthn::AttestationConveyance::Direct;
        new.settings.attestation.uses_metadata = true;
        let app = house.app_like(new).await;
        import(&house.passkeys, &file(3)).await.unwrap();
        let reasons = Reasons::collect();
        house.pass(NEXT_UPDATE_MS - START_MS - 1);
        house.passkeys.sweep().await.unwrap();
        assert!(reasons.take().is_empty());
        house.pass(1);
        for reminders in [&["metadata_outdated"][..], &[]] {
            house.passkeys.sweep().await.unwrap();
            assert_eq!(reasons.take(), reminders);
        }
        house.pass(DAY_MS);
        house.passkeys.sweep().await.unwrap();
        assert_eq!(reasons.take(), ["metadata_outdated"]);

        let transaction_id = app.register_transaction("ann").await;
        let handshake = app.start_registration(&transaction_id).await;
        let mut authenticator = Authenticator::security_key(Algorithm::Es256, "ann");
        authenticator.aaguid = [2; 16];
        let mut forged = authenticator.create(&handshake.public_key, crate::house::ORIGIN);
        Attester::new(Format::Packed, &authenticator.key).attest(&mut forged);
        app.finish_registration(&handshake.finish(forged.json()))
            .await
            .nonce();
    }
}
