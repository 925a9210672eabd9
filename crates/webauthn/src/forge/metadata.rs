//! Metadata files as the FIDO Alliance's service publishes them, and revocation lists, with a knob for what is signed.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use x509_cert::der::asn1::UintRef;
use x509_cert::der::{Reader, SliceReader};

use super::attestation::{Certificate, Extension, Name, sequence, signature_algorithm};
use super::{SigningKey, der as element};
use crate::{Algorithm, MetadataSigner};

/// A metadata file that is about to be signed.
#[derive(Clone, Debug)]
pub struct MetadataFile {
    /// `alg`, instead of that of the signer's key.
    pub algorithm: Option<&'static str>,
    /// What is signed.
    pub content: Value,
    /// Signs.
    pub key: SigningKey,
    /// The certificate above all, which is not sent.
    pub root: Certificate,
    /// `x5c`, the signer's first.
    pub certificates: Vec<Certificate>,
}

impl MetadataFile {
    /// An honest one about these entries, with a root and an intermediate authority.
    pub fn new(number: i64, next_update: &str, entries: Value) -> Self {
        let root_key = SigningKey::from_seed(Algorithm::Es256, "root of the alliance");
        let middle_key = SigningKey::from_seed(Algorithm::Es384, "intermediate of the alliance");
        let key = SigningKey::from_seed(Algorithm::Es256, "signer of the alliance");
        let root = Certificate::authority("Web root", &root_key, "Web root", &root_key);
        let middle = Certificate::authority("Web", &middle_key, "Web root", &root_key);
        let leaf = Certificate {
            extensions: vec![
                Extension::basic_constraints(false, None),
                Extension::dns_name(MetadataSigner::FIDO_ALLIANCE),
            ],
            ..Certificate::authority("Signer", &key, "Web", &middle_key)
        };
        Self {
            algorithm: None,
            content: json!({"legalHeader": "-", "no": number, "nextUpdate": next_update, "entries": entries}),
            key,
            root,
            certificates: vec![leaf, middle],
        }
    }

    /// The entry of one model: its roots and the words of its status reports.
    pub fn entry(aaguid: &str, roots: &[&Certificate], statuses: &[&str]) -> Value {
        let roots = roots.iter().map(|root| BASE64_STANDARD.encode(root.der()));
        let reports = statuses.iter().map(|status| json!({"status": status}));
        json!({
            "aaguid": aaguid,
            "metadataStatement": {
                "description": "A model",
                "attestationRootCertificates": roots.collect::<Vec<_>>(),
                "authenticationAlgorithms": ["secp256r1_ecdsa_sha256_raw"],
            },
            "statusReports": reports.collect::<Vec<_>>(),
            "timeOfLastStatusChange": "2024-01-01",
        })
    }

    /// The file, signed now.
    pub fn bytes(&self) -> Vec<u8> {
        let certificates = self.certificates.iter();
        let x5c: Vec<_> = certificates
            .map(|certificate| BASE64_STANDARD.encode(certificate.der()))
            .collect();
        let is_rsa = self.key.algorithm() == Algorithm::Rs256;
        let algorithm = self
            .algorithm
            .unwrap_or(if is_rsa { "RS256" } else { "ES256" });
        let header = json!({"alg": algorithm, "typ": "JWT", "x5c": x5c}).to_string();
        let signed = format!(
            "{}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(header),
            BASE64_URL_SAFE_NO_PAD.encode(self.content.to_string())
        );
        let signature = self.key.sign(signed.as_bytes());
        let signature = match is_rsa {
            true => signature,
            false => side_by_side(&signature),
        };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into_bytes()
    }
}

/// A certificate revocation list in DER. Every forged certificate has the serial number 7.
pub fn revocation_list(issuer: &Certificate, serial_numbers: &[u8], next_update: &str) -> Vec<u8> {
    let time = |date: &str| element(0x18, format!("{date}000000Z").as_bytes());
    let revoked: Vec<u8> = serial_numbers
        .iter()
        .flat_map(|number| sequence(&[element(0x02, &[*number]), time("20210101")].concat()))
        .collect();
    let revoked = match revoked.is_empty() {
        true => vec![],
        false => sequence(&revoked),
    };
    let number = Extension::new("2.5.29.20", false, element(0x02, &[1]));
    let algorithm = signature_algorithm(&issuer.key);
    let issuer_name: &Name = &issuer.subject;
    let content = sequence(
        &[
            element(0x02, &[1]),
            algorithm.clone(),
            issuer_name.der(),
            time("20210101"),
            time(next_update),
            revoked,
            element(0xa0, &sequence(&number.der())),
        ]
        .concat(),
    );
    let signature = issuer.key.sign(&content);
    let signature = super::attestation::bit_string(&signature);
    sequence(&[content, algorithm, signature].concat())
}

/// The two numbers of a P-256 signature in DER, as JSON Web Signatures have them.
fn side_by_side(signature: &[u8]) -> Vec<u8> {
    let mut reader = SliceReader::new(signature).expect("a signature is short");
    let (r, s) = reader
        .sequence(|reader| {
            let r: UintRef<'_> = reader.decode()?;
            let s: UintRef<'_> = reader.decode()?;
            x509_cert::der::Result::Ok((r, s))
        })
        .expect("a signature in DER");
    let pad = |number: UintRef<'_>| {
        let bytes = number.as_bytes();
        [&vec![0; 32 - bytes.len()], bytes].concat()
    };
    [pad(r), pad(s)].concat()
}
