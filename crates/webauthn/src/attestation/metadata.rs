//! What the FIDO Alliance publishes about models of authenticators: the file ("BLOB") of its metadata service
//! ([FIDO Metadata Service 3.0](https://fidoalliance.org/specs/mds/fido-metadata-service-v3.0-ps-20210518.html)),
//! a signed JSON object with the trust anchors and the reputation of each model.
//!
//! The bytes come in, [`Metadata`] comes out. Where the file is from and which one is kept is the caller's business.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;
use webpki::{
    CertRevocationList, EndEntityCert, Error as PathError, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationOptionsBuilder, anchor_from_trusted_cert,
};

use super::certificate::{CERTIFICATE_SUITES, Certificate};
use super::{AuthenticatorModel, TrustAnchor};
use crate::Algorithm;

/// Whose signature on a metadata file is believed.
#[derive(Clone, Debug)]
pub struct MetadataSigner<'a> {
    /// Root certificates in DER, of which one must be above the signer's.
    pub roots: &'a [Vec<u8>],
    /// The DNS name that the signer's certificate must have: a public root stands above many others.
    pub name: &'a str,
    /// Certificate revocation lists in DER; the status of every certificate of the chain but the root must follow from
    /// them, unless there is none.
    pub revocation_lists: &'a [Vec<u8>],
}

impl MetadataSigner<'_> {
    /// Who signs the files of the FIDO Alliance.
    pub const FIDO_ALLIANCE: &'static str = "mds.fidoalliance.org";
}

/// A metadata file that was verified.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Its serial number, which grows with every file.
    pub number: i64,
    /// When the next file is due at the latest: the end of that day in UTC, in milliseconds since 1970.
    pub next_update_ms: i64,
    /// The models that have an AAGUID, each once.
    pub models: Vec<AuthenticatorModel>,
}

/// Why a metadata file is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// It is not a signed JSON object of the expected members.
    #[error(
        "the file is not a metadata file: it is no signed JSON object with the members it must have"
    )]
    Malformed,
    /// A root, a revocation list or the name is not one.
    #[error("a root certificate, a revocation list or the signer's name is not one")]
    SignerMalformed,
    /// The signer's certificate does not lead to a root, is out of date, or is somebody else's.
    #[error(
        "the signer's certificate is not valid now, has another name, or does not lead to a root certificate"
    )]
    SignerUntrusted,
    /// The signer's certificate or one above it was revoked, or the lists do not tell.
    #[error(
        "the signer's certificate or one above it was revoked, or the revocation lists do not tell"
    )]
    SignerRevoked,
    /// The signer did not sign these bytes.
    #[error("the signature does not fit the content")]
    SignatureBad,
    /// A file with a higher number was seen before.
    #[error("a newer file was seen before")]
    Superseded,
    /// The next file is due.
    #[error("the file is too old: its next update is due")]
    Outdated,
}

impl Metadata {
    /// Reads and verifies a file, as section 3.2 of the metadata service's specification demands.
    ///
    /// `known_number` is the highest number seen before. A file of that number is accepted again, a lower one is not.
    pub fn verify(
        file: &[u8],
        signer: &MetadataSigner<'_>,
        known_number: Option<i64>,
        now_ms: i64,
    ) -> Result<Self, MetadataError> {
        let token = Token::read(file)?;
        token.check_signer(signer, now_ms)?;
        token.check_signature()?;
        let content: Content =
            serde_json::from_slice(&token.content).map_err(|_| MetadataError::Malformed)?;
        if known_number.is_some_and(|known| content.no < known) {
            return Err(MetadataError::Superseded);
        }
        let next_update_ms = end_of_day_ms(&content.next_update)?;
        if next_update_ms <= now_ms {
            return Err(MetadataError::Outdated);
        }
        Ok(Self {
            number: content.no,
            next_update_ms,
            models: models(content.entries),
        })
    }
}

/// A JSON Web Signature in its compact form ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)).
struct Token<'a> {
    header: Header,
    content: Vec<u8>,
    /// What was signed: header and content as they came.
    signed: &'a [u8],
    signature: Vec<u8>,
    /// The signer's first, each in DER.
    certificates: Vec<CertificateDer<'static>>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    x5c: Vec<String>,
}

impl<'a> Token<'a> {
    fn read(file: &'a [u8]) -> Result<Self, MetadataError> {
        let file = file.trim_ascii();
        let malformed = MetadataError::Malformed;
        let mut parts = file.split(|byte| *byte == b'.');
        let (Some(header), Some(content), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed);
        };
        let decode = |part| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| malformed);
        let signed = &file[..header.len() + 1 + content.len()];
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| MetadataError::Malformed)?;
        if !(1..=CERTIFICATES_MAX).contains(&header.x5c.len()) {
            return Err(malformed);
        }
        let certificates = header
            .x5c
            .iter()
            .map(|text| decode_der(text).map(CertificateDer::from).ok_or(malformed))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            header,
            content: decode(content)?,
            signed,
            signature: decode(signature)?,
            certificates,
        })
    }

    /// The chain is that of a server on the web, so its path is built and judged as such.
    fn check_signer(&self, signer: &MetadataSigner<'_>, now_ms: i64) -> Result<(), MetadataError> {
        let roots: Vec<CertificateDer<'_>> = signer
            .roots
            .iter()
            .map(|der| CertificateDer::from(&der[..]))
            .collect();
        let anchors = roots
            .iter()
            .map(anchor_from_trusted_cert)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| MetadataError::SignerMalformed)?;
        let lists = signer
            .revocation_lists
            .iter()
            .map(|der| OwnedCertRevocationList::from_der(der).map(CertRevocationList::from))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| MetadataError::SignerMalformed)?;
        let lists: Vec<&CertRevocationList<'_>> = lists.iter().collect();
        // Without a list the builder has nothing to build.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let name = ServerName::try_from(signer.name).map_err(|_| MetadataError::SignerMalformed)?;
        let now_s = u64::try_from(now_ms).unwrap_or(0) / 1000;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_s));
        let (leaf, rest) = self
            .certificates
            .split_first()
            .ok_or(MetadataError::Malformed)?;
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| MetadataError::SignerUntrusted)?;
        leaf.verify_for_usage(
            CERTIFICATE_SUITES,
            &anchors,
            rest,
            now,
            KeyUsage::server_auth(),
            revocation,
            None,
        )
        .map_err(|error| match error {
            PathError::CertRevoked
            | PathError::UnknownRevocationStatus
            | PathError::CrlExpired { .. } => MetadataError::SignerRevoked,
            _ => MetadataError::SignerUntrusted,
        })?;
        leaf.verify_is_valid_for_subject_name(&name)
            .map_err(|_| MetadataError::SignerUntrusted)
    }

    fn check_signature(&self) -> Result<(), MetadataError> {
        let leaf =
            Certificate::read(&self.certificates[0]).map_err(|_| MetadataError::Malformed)?;
        let is_signed = match self.header.alg.as_str() {
            "RS256" => leaf
                .verify(Algorithm::Rs256, self.signed, &self.signature)
                .is_ok(),
            // JSON Web Signatures have the two numbers of an ECDSA signature side by side, not in DER.
            "ES256" => leaf.public_key_bits().is_some_and(|key| {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
                    .verify(self.signed, &self.signature)
                    .is_ok()
            }),
            _ => return Err(MetadataError::Malformed),
        };
        is_signed.then_some(()).ok_or(MetadataError::SignatureBad)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    no: i64,
    next_update: String,
    entries: Vec<Entry>,
}

/// One model. Only what is used is read; everything else may come and go.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    /// Absent for authenticators of the older protocols.
    aaguid: Option<String>,
    #[serde(default)]
    metadata_statement: Statement,
    #[serde(default)]
    status_reports: Vec<StatusReport>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(default)]
    attestation_root_certificates: Vec<String>,
    #[serde(default)]
    authentication_algorithms: Vec<String>,
}

#[derive(Deserialize)]
struct StatusReport {
    status: String,
}

fn models(entries: Vec<Entry>) -> Vec<AuthenticatorModel> {
    let mut models: Vec<AuthenticatorModel> = Vec::new();
    for entry in entries {
        let Some(aaguid) = entry.aaguid.as_deref().and_then(read_aaguid) else {
            continue;
        };
        let at = models.iter().position(|model| model.aaguid == aaguid);
        let at = at.unwrap_or_else(|| {
            models.push(AuthenticatorModel {
                aaguid,
                trust_anchors: vec![],
                certificate_algorithms: vec![],
                is_compromised: false,
            });
            models.len() - 1
        });
        let model = &mut models[at];
        let statement = entry.metadata_statement;
        // A certificate that cannot be read makes nobody believed.
        model.trust_anchors.extend(
            statement
                .attestation_root_certificates
                .iter()
                .filter_map(|text| TrustAnchor::from_der(&decode_der(text)?).ok()),
        );
        model.certificate_algorithms.extend(
            statement
                .authentication_algorithms
                .iter()
                .filter_map(|word| algorithm_of(word)),
        );
        model.is_compromised |= entry
            .status_reports
            .iter()
            .any(|report| COMPROMISED.contains(&report.status.as_str()));
    }
    models
}

fn read_aaguid(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(&text.replace('-', ""), 16)
        .ok()
        .filter(|_| text.len() == 36)
        .map(u128::to_be_bytes)
}

/// The algorithm of one of the registry's words
/// ([FIDO Registry of Predefined Values, section 3.6.1](https://fidoalliance.org/specs/common-specs/fido-registry-v2.2-ps-20220523.html#authentication-algorithms)),
/// if this crate verifies it.
fn algorithm_of(word: &str) -> Option<Algorithm> {
    match word {
        "secp256r1_ecdsa_sha256_raw" | "secp256r1_ecdsa_sha256_der" => Some(Algorithm::Es256),
        "secp384r1_ecdsa_sha384_raw" => Some(Algorithm::Es384),
        "secp521r1_ecdsa_sha512_raw" => Some(Algorithm::Es512),
        "rsassa_pkcsv15_sha256_raw" => Some(Algorithm::Rs256),
        "ed25519_eddsa_sha512_raw" => Some(Algorithm::EdDsa),
        _ => None,
    }
}

/// Base64 in JSON, which some makers break into lines.
fn decode_der(text: &str) -> Option<Vec<u8>> {
    let text: String = text.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(text).ok()
}

fn end_of_day_ms(day: &str) -> Result<i64, MetadataError> {
    let next_day = day.parse::<Date>().and_then(|day| day.tomorrow());
    next_day
        .and_then(|day| day.to_zoned(TimeZone::UTC))
        .map(|time| time.timestamp().as_millisecond())
        .map_err(|_| MetadataError::Malformed)
}

/// The reports after which a model proves nothing any more (section 3.1.4 of the specification). A later firmware may
/// be sound, but an AAGUID does not tell which one signed.
const COMPROMISED: [&str; 5] = [
    "USER_VERIFICATION_BYPASS",
    "ATTESTATION_KEY_COMPROMISE",
    "USER_KEY_REMOTE_COMPROMISE",
    "USER_KEY_PHYSICAL_COMPROMISE",
    "REVOKED",
];

/// Real chains have two or three.
const CERTIFICATES_MAX: usize = 8;
