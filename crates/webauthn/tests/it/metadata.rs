//! The metadata service's file: what is believed, and what is refused for which reason (matrix rows A21 and A22).

use serde_json::json;
use webauthn::forge::SigningKey;
use webauthn::forge::attestation::{Attester, Certificate, Extension, Format};
use webauthn::forge::metadata::{MetadataFile, revocation_list};
use webauthn::{Algorithm, Metadata, MetadataError, MetadataSigner};

const MODEL: &str = "01020304-0506-0708-090a-0b0c0d0e0f10";
const AAGUID: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
/// 2026-06-15 12:00:00 UTC.
const NOW_MS: i64 = 1_781_524_800_000;
const DAY_MS: i64 = 86_400_000;

struct Story {
    file: MetadataFile,
    signer_name: &'static str,
    revocation_lists: Vec<Vec<u8>>,
    known_number: Option<i64>,
    now_ms: i64,
    /// What happens to the file on its way.
    edit: fn(Vec<u8>) -> Vec<u8>,
}

impl Story {
    /// An honest one: it is accepted.
    fn new() -> Self {
        let key = SigningKey::from_seed(Algorithm::Es256, "a credential");
        let maker = Attester::new(Format::Packed, &key).root;
        let entries = json!([
            MetadataFile::entry(MODEL, &[&maker], &["FIDO_CERTIFIED_L1"]),
            {"aaid": "1234#5678", "statusReports": []},
        ]);
        Self {
            file: MetadataFile::new(42, "2026-07-01", entries),
            signer_name: MetadataSigner::FIDO_ALLIANCE,
            revocation_lists: vec![],
            known_number: None,
            now_ms: NOW_MS,
            edit: |file| file,
        }
    }

    fn root(&self) -> Certificate {
        self.file.root.clone()
    }

    fn middle(&mut self) -> &mut Certificate {
        &mut self.file.certificates[1]
    }

    fn leaf(&mut self) -> &mut Certificate {
        &mut self.file.certificates[0]
    }

    fn verify(&self) -> Result<Metadata, MetadataError> {
        let signer = MetadataSigner {
            roots: &[self.file.root.der()],
            name: self.signer_name,
            revocation_lists: &self.revocation_lists,
        };
        let file = (self.edit)(self.file.bytes());
        Metadata::verify(&file, &signer, self.known_number, self.now_ms)
    }
}

/// Refuses the file for `reason` once it is broken, and only then.
#[track_caller]
fn refuses(reason: MetadataError, what: &str, break_it: impl FnOnce(&mut Story)) {
    let mut story = Story::new();
    story.verify().expect("unbroken");
    break_it(&mut story);
    assert_eq!(story.verify().err(), Some(reason), "{what}");
}

#[test]
fn a_file_tells_the_anchors_algorithms_and_reputation_of_each_model() {
    let metadata = Story::new().verify().unwrap();
    assert_eq!(metadata.number, 42);
    // The end of the first of July.
    assert_eq!(metadata.next_update_ms, 1_782_950_400_000);
    let [model] = &metadata.models[..] else {
        panic!("one model has an AAGUID: {:?}", metadata.models);
    };
    assert_eq!(model.aaguid, AAGUID);
    assert_eq!(model.trust_anchors.len(), 1);
    assert_eq!(model.certificate_algorithms, [Algorithm::Es256]);
    assert!(!model.is_compromised);
}

#[test]
fn a_file_may_be_signed_with_rsa_and_come_with_lists_that_revoke_others() {
    let mut story = Story::new();
    story.file.key = SigningKey::from_seed(Algorithm::Rs256, "");
    story.leaf().key = story.file.key.clone();
    story.revocation_lists = vec![
        revocation_list(&story.root(), &[8], "20990101"),
        revocation_list(story.middle(), &[8, 9], "20990101"),
    ];
    story.known_number = Some(42);
    story.edit = |file| [&file[..], b"\r\n"].concat();
    assert_eq!(story.verify().unwrap().number, 42);
}

#[test]
fn a_compromising_status_is_never_forgotten() {
    for (statuses, is_compromised) in [
        (&["FIDO_CERTIFIED", "UPDATE_AVAILABLE"][..], false),
        (&["NOT_FIDO_CERTIFIED"], false),
        (&["REVOKED"], true),
        (&["USER_VERIFICATION_BYPASS", "FIDO_CERTIFIED_L2"], true),
        (&["ATTESTATION_KEY_COMPROMISE", "UPDATE_AVAILABLE"], true),
        (&["USER_KEY_REMOTE_COMPROMISE"], true),
        (&["USER_KEY_PHYSICAL_COMPROMISE"], true),
    ] {
        let mut story = Story::new();
        // Two entries of one model are one model.
        story.file.content["entries"] = json!([
            MetadataFile::entry(MODEL, &[], statuses),
            MetadataFile::entry(MODEL, &[], &[]),
        ]);
        let metadata = story.verify().unwrap();
        assert_eq!(metadata.models.len(), 1);
        assert_eq!(
            metadata.models[0].is_compromised, is_compromised,
            "{statuses:?}"
        );
    }
}

#[test]
fn a_file_that_others_signed_is_refused() {
    use MetadataError::*;
    refuses(SignatureBad, "content changed on its way", |story| {
        story.edit = |file| {
            let text = String::from_utf8(file).unwrap();
            let parts: Vec<&str> = text.split('.').collect();
            // One character of the content, near its end.
            let (head, last) = parts[1].split_at(parts[1].len() - 2);
            let other = if last.starts_with('A') { "B" } else { "A" };
            format!("{}.{head}{other}{}.{}", parts[0], &last[1..], parts[2]).into_bytes()
        };
    });
    refuses(SignatureBad, "signed with another key", |story| {
        story.file.key = SigningKey::from_seed(Algorithm::Es256, "another");
    });
    refuses(Malformed, "unsigned", |story| {
        story.file.algorithm = Some("none")
    });
    refuses(SignatureBad, "algorithm of another key", |story| {
        story.file.algorithm = Some("RS256");
    });
    refuses(SignerUntrusted, "another root", |story| {
        story.middle().issuer_key = SigningKey::from_seed(Algorithm::Es256, "another");
    });
    refuses(SignerUntrusted, "chain cut", |story| {
        story.file.certificates.pop();
    });
    refuses(
        SignerUntrusted,
        "somebody else below the same root",
        |story| {
            story.leaf().set(Extension::dns_name("example.com"));
        },
    );
    refuses(SignerUntrusted, "another name expected", |story| {
        story.signer_name = "mds.example.com";
    });
    refuses(SignerUntrusted, "signer expired", |story| {
        story.leaf().not_after = "20260601".into();
    });
    refuses(SignerUntrusted, "signer not yet valid", |story| {
        story.leaf().not_before = "20260701".into();
    });
    refuses(SignerUntrusted, "intermediate expired", |story| {
        story.middle().not_after = "20260601".into();
    });
    refuses(SignerUntrusted, "intermediate is no authority", |story| {
        story.middle().extensions = vec![];
    });
}

#[test]
fn a_revoked_signer_is_refused_and_so_is_one_whose_status_is_unknown() {
    fn lists(story: &mut Story, of_root: &[u8], of_middle: &[u8], until: &str) -> Vec<Vec<u8>> {
        vec![
            revocation_list(&story.root(), of_root, until),
            revocation_list(story.middle(), of_middle, until),
        ]
    }
    use MetadataError::SignerRevoked;
    refuses(SignerRevoked, "signer revoked", |story| {
        story.revocation_lists = lists(story, &[], &[7], "20990101");
    });
    refuses(SignerRevoked, "intermediate revoked", |story| {
        story.revocation_lists = lists(story, &[7], &[], "20990101");
    });
    refuses(SignerRevoked, "no list about the signer", |story| {
        story.revocation_lists = lists(story, &[], &[], "20990101");
        story.revocation_lists.pop();
    });
    refuses(SignerRevoked, "lists out of date", |story| {
        story.revocation_lists = lists(story, &[], &[], "20260601");
    });
    refuses(MetadataError::SignerMalformed, "no list at all", |story| {
        story.revocation_lists = vec![b"not a list".to_vec()];
    });
}

#[test]
fn an_older_file_and_one_past_its_next_update_are_refused() {
    use MetadataError::*;
    refuses(Superseded, "number lower than the one seen", |story| {
        story.known_number = Some(43);
    });
    refuses(Outdated, "next update passed", |story| {
        story.now_ms = Story::new().verify().unwrap().next_update_ms;
    });
    let mut story = Story::new();
    story.now_ms = story.verify().unwrap().next_update_ms - 1;
    assert!(story.verify().is_ok(), "the last moment of its last day");
    story.now_ms = NOW_MS - DAY_MS;
    assert!(story.verify().is_ok());
}

#[test]
fn what_is_no_metadata_file_is_refused() {
    for edit in [
        |_| vec![],
        |_| b"..".to_vec(),
        |_| b"{}".to_vec(),
        |file: Vec<u8>| file[..file.len() / 2].to_vec(),
        |file: Vec<u8>| [&file[..], b".x"].concat(),
        |file: Vec<u8>| file.iter().map(|byte| byte ^ 0x80).collect(),
    ] as [fn(Vec<u8>) -> Vec<u8>; 6]
    {
        refuses(MetadataError::Malformed, "bytes", |story| story.edit = edit);
    }
    for (member, value) in [
        ("no", json!("42")),
        ("no", json!(null)),
        ("nextUpdate", json!("soon")),
        ("nextUpdate", json!("2026-13-01")),
        ("entries", json!({})),
    ] {
        refuses(MetadataError::Malformed, member, |story| {
            story.file.content[member] = value;
        });
    }
}
