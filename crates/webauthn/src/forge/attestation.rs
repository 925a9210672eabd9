//! Attestation statements and their certificates, with a knob for every field that is signed.
//!
//! [`Attester::new`] stands for an honest maker with a root, an intermediate authority and an authenticator of one
//! format. Change what it is made of, then let it [`attest`](Attester::attest): it signs last, over whatever the
//! registration and its own fields became.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use x509_cert::der::oid::ObjectIdentifier;

use super::{ForgedRegistration, Item, SigningKey, der as element};
use crate::Algorithm;

/// The formats that can be forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `packed`, by the credential's own key.
    PackedSelf,
    /// `packed`, by a key with a certificate.
    Packed,
    /// `fido-u2f`.
    FidoU2f,
    /// `tpm`.
    Tpm,
    /// `android-key`.
    AndroidKey,
    /// `apple`.
    Apple,
}

impl Format {
    /// All formats in which somebody else stands for the authenticator.
    pub const CERTIFIED: [Self; 5] = [
        Self::Packed,
        Self::FidoU2f,
        Self::Tpm,
        Self::AndroidKey,
        Self::Apple,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::PackedSelf | Self::Packed => "packed",
            Self::FidoU2f => "fido-u2f",
            Self::Tpm => "tpm",
            Self::AndroidKey => "android-key",
            Self::Apple => "apple",
        }
    }
}

/// Who makes an attestation statement, and of what.
#[derive(Clone, Debug)]
pub struct Attester {
    /// The format whose rules are followed.
    pub format: Format,
    /// Signs the statement.
    pub key: SigningKey,
    /// `alg`, instead of that of `key`.
    pub algorithm_id: Option<i64>,
    /// The message to sign, instead of the one the format demands.
    pub signed: Option<Vec<u8>>,
    /// The certificate above all, which is not sent: what to list as a trust anchor.
    pub root: Certificate,
    /// `x5c`, the authenticator's first.
    pub certificates: Vec<Certificate>,
    /// What a TPM says.
    pub tpm: Tpm,
    /// What Android's keystore says.
    pub android: Android,
    /// The content of Apple's extension, instead of the right one; `Some(None)` for no extension.
    pub apple_nonce: Option<Option<Vec<u8>>>,
}

impl Attester {
    /// An honest one for a credential with `credential_key`. Its root is the same for every format.
    pub fn new(format: Format, credential_key: &SigningKey) -> Self {
        let root_key = SigningKey::from_seed(Algorithm::Es256, "root of a maker");
        let middle_key = SigningKey::from_seed(Algorithm::Es384, "intermediate of a maker");
        let key = match format {
            Format::PackedSelf | Format::AndroidKey | Format::Apple => credential_key.clone(),
            _ => SigningKey::from_seed(Algorithm::Es256, "attestation key"),
        };
        let root = Certificate::authority("Root", &root_key, "Root", &root_key);
        let middle = Certificate::authority("Intermediate", &middle_key, "Root", &root_key);
        let mut leaf = Certificate {
            subject: Name::of_authenticator(),
            extensions: vec![Extension::basic_constraints(false, None)],
            ..Certificate::authority("", &key, "Intermediate", &middle_key)
        };
        if format == Format::Tpm {
            leaf.subject = Name::default();
            leaf.extensions.extend([
                Extension::new("2.5.29.37", false, sequence(&oid("2.23.133.8.3"))),
                Extension::new("2.5.29.17", true, tpm_names()),
                // As the certificates of Windows' TPMs have it.
                Extension::new(
                    "2.5.29.32",
                    true,
                    sequence(&sequence(&oid("1.3.6.1.4.1.311.21.31"))),
                ),
            ]);
        }
        let certificates = match format {
            Format::PackedSelf => vec![],
            // U2F has room for one certificate only.
            Format::FidoU2f => vec![Certificate {
                issuer: Name::common("Root"),
                issuer_key: root_key,
                ..leaf
            }],
            _ => vec![leaf, middle],
        };
        Self {
            format,
            key,
            algorithm_id: None,
            signed: None,
            root,
            certificates,
            tpm: Tpm::default(),
            android: Android::default(),
            apple_nonce: None,
        }
    }

    /// The authenticator's certificate.
    pub fn leaf(&mut self) -> &mut Certificate {
        &mut self.certificates[0]
    }

    /// Makes the statement for the registration as it is now.
    pub fn attest(&self, registration: &mut ForgedRegistration) {
        let authenticator_data = registration.authenticator_data.bytes();
        let client_data_hash = digest(&SHA256, &registration.client_data.bytes());
        let signed_data = [&authenticator_data, client_data_hash.as_ref()].concat();
        let mut certificates = self.certificates.clone();
        let mut entries = vec![];
        let mut message = signed_data.clone();
        match self.format {
            Format::PackedSelf | Format::Packed => {}
            Format::FidoU2f => {
                let credential = registration.attested();
                message = [
                    &[0],
                    &authenticator_data[..32],
                    client_data_hash.as_ref(),
                    &credential.credential_id,
                    &u2f_point(&credential.public_key),
                ]
                .concat();
            }
            Format::Tpm => {
                let public_area = self.tpm.public_area(&registration.attested().public_key);
                message = self
                    .tpm
                    .information(&public_area, &signed_data, self.key.algorithm());
                entries.extend([
                    (Item::text("ver"), Item::text("2.0")),
                    (Item::text("certInfo"), Item::Bytes(message.clone())),
                    (Item::text("pubArea"), Item::Bytes(public_area)),
                ]);
            }
            Format::AndroidKey => {
                let description = self.android.description(client_data_hash.as_ref());
                certificates[0].extensions.push(description);
            }
            Format::Apple => {
                let nonce = match &self.apple_nonce {
                    Some(nonce) => nonce.clone(),
                    None => Some(apple_nonce(&signed_data)),
                };
                let extension =
                    nonce.map(|nonce| Extension::new("1.2.840.113635.100.8.2", false, nonce));
                certificates[0].extensions.extend(extension);
            }
        }
        if !matches!(self.format, Format::FidoU2f | Format::Apple) {
            let id = self.algorithm_id.unwrap_or(self.key.algorithm().cose_id());
            entries.push((Item::text("alg"), Item::Int(id)));
        }
        if self.format != Format::Apple {
            let message = self.signed.as_ref().unwrap_or(&message);
            entries.push((Item::text("sig"), Item::Bytes(self.key.sign(message))));
        }
        if self.format != Format::PackedSelf {
            let der = certificates.iter().map(|one| Item::Bytes(one.der()));
            entries.push((Item::text("x5c"), Item::Array(der.collect())));
        }
        registration.format = self.format.name().into();
        registration.statement = Item::Map(entries);
    }
}

/// An X.509 certificate that is about to be signed.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// 3 for version 3.
    pub version: u8,
    /// Who it says it is from.
    pub issuer: Name,
    /// Who it is about.
    pub subject: Name,
    /// A day as `YYYYMMDD`; valid from its first second.
    pub not_before: String,
    /// A day as `YYYYMMDD`; valid up to its first second.
    pub not_after: String,
    /// The subject's key.
    pub key: SigningKey,
    /// In this order.
    pub extensions: Vec<Extension>,
    /// Signs.
    pub issuer_key: SigningKey,
}

impl Certificate {
    /// The certificate of an authority, by common names.
    pub fn authority(
        subject: &str,
        key: &SigningKey,
        issuer: &str,
        issuer_key: &SigningKey,
    ) -> Self {
        Self {
            version: 3,
            issuer: Name::common(issuer),
            subject: Name::common(subject),
            not_before: "20200101".into(),
            not_after: "20990101".into(),
            key: key.clone(),
            extensions: vec![Extension::basic_constraints(true, None)],
            issuer_key: issuer_key.clone(),
        }
    }

    /// Puts an extension in, or in the place of the one with the same id.
    pub fn set(&mut self, extension: Extension) {
        self.remove(&extension.id.clone());
        self.extensions.push(extension);
    }

    /// Takes an extension out.
    pub fn remove(&mut self, id: &str) {
        self.extensions.retain(|extension| extension.id != id);
    }

    /// The certificate, signed now.
    pub fn der(&self) -> Vec<u8> {
        let algorithm = self.signature_algorithm();
        let time = |date: &str| element(0x18, format!("{date}000000Z").as_bytes());
        let extensions: Vec<u8> = self.extensions.iter().flat_map(Extension::der).collect();
        let content = sequence(
            &[
                element(0xa0, &element(0x02, &[self.version - 1])),
                element(0x02, &[7]),
                algorithm.clone(),
                self.issuer.der(),
                sequence(&[time(&self.not_before), time(&self.not_after)].concat()),
                self.subject.der(),
                self.key.public_key_info(),
                element(0xa3, &sequence(&extensions)),
            ]
            .concat(),
        );
        let signature = self.issuer_key.sign(&content);
        sequence(&[content, algorithm, bit_string(&signature)].concat())
    }

    fn signature_algorithm(&self) -> Vec<u8> {
        signature_algorithm(&self.issuer_key)
    }
}

/// How a key signs certificates and lists of them, as an identifier in DER.
pub(super) fn signature_algorithm(key: &SigningKey) -> Vec<u8> {
    sequence(&match key.algorithm() {
        Algorithm::Es256 => oid("1.2.840.10045.4.3.2"),
        Algorithm::Es384 => oid("1.2.840.10045.4.3.3"),
        Algorithm::Es512 => oid("1.2.840.10045.4.3.4"),
        Algorithm::EdDsa => oid("1.3.101.112"),
        Algorithm::Rs256 => [oid("1.2.840.113549.1.1.11"), vec![0x05, 0]].concat(),
    })
}

/// A distinguished name: attribute ids and texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<(&'static str, String)>);

impl Name {
    /// A common name only.
    pub fn common(name: &str) -> Self {
        Self(vec![("2.5.4.3", name.into())])
    }

    /// What the certificates of authenticators are called.
    pub fn of_authenticator() -> Self {
        Self(vec![
            ("2.5.4.6", "US".into()),
            ("2.5.4.10", "Maker".into()),
            ("2.5.4.11", "Authenticator Attestation".into()),
            ("2.5.4.3", "Authenticator".into()),
        ])
    }

    /// Puts an attribute in the place of the one with the same id.
    pub fn set(&mut self, id: &str, text: &str) {
        for (known, value) in &mut self.0 {
            if *known == id {
                *value = text.into();
            }
        }
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, id: &str) {
        self.0.retain(|(known, _)| *known != id);
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let attributes = self.0.iter().map(|(id, text)| {
            let attribute = sequence(&[oid(id), element(0x0c, text.as_bytes())].concat());
            element(0x31, &attribute)
        });
        sequence(&attributes.collect::<Vec<_>>().concat())
    }
}

/// An extension of a certificate.
#[derive(Clone, Debug)]
pub struct Extension {
    /// The id, in dots.
    pub id: String,
    /// Whether who does not understand it must refuse.
    pub is_critical: bool,
    /// The content, in DER if honest.
    pub value: Vec<u8>,
}

impl Extension {
    /// An extension of any kind.
    pub fn new(id: &str, is_critical: bool, value: Vec<u8>) -> Self {
        Self {
            id: id.into(),
            is_critical,
            value,
        }
    }

    /// Whether the subject is an authority, and how many may stand below it.
    pub fn basic_constraints(is_authority: bool, length_max: Option<u8>) -> Self {
        let mut content = vec![];
        if is_authority {
            content.extend([0x01, 1, 0xff]);
        }
        if let Some(length) = length_max {
            content.extend([0x02, 1, length]);
        }
        Self::new("2.5.29.19", true, sequence(&content))
    }

    /// What the key may be used for; the first byte of the bits, of which `0x80` signs data and `0x04` certificates.
    pub fn key_usage(bits: u8) -> Self {
        Self::new("2.5.29.15", true, vec![0x03, 2, 0, bits])
    }

    /// The DNS name of a server.
    pub fn dns_name(name: &str) -> Self {
        Self::new(
            "2.5.29.17",
            false,
            sequence(&element(0x82, name.as_bytes())),
        )
    }

    /// The model of the authenticator, doubly wrapped as it must be.
    pub fn aaguid(aaguid: &[u8; 16]) -> Self {
        Self::new("1.3.6.1.4.1.45724.1.1.4", false, element(0x04, aaguid))
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let mut content = oid(&self.id);
        if self.is_critical {
            content.extend([0x01, 1, 0xff]);
        }
        content.extend(element(0x04, &self.value));
        sequence(&content)
    }
}

/// What a TPM says about a key.
#[derive(Clone, Debug)]
pub struct Tpm {
    /// Whether it is from inside a TPM.
    pub magic: u32,
    /// The kind of structure.
    pub kind: u16,
    /// `extraData`, instead of the hash of what is attested.
    pub extra_data: Option<Vec<u8>>,
    /// The name of the key, instead of the right one.
    pub name: Option<Vec<u8>>,
    /// `pubArea`, instead of the credential's.
    pub public_area: Option<Vec<u8>>,
    /// Bytes at the end of `certInfo` that belong to nothing.
    pub trailing: Vec<u8>,
}

impl Default for Tpm {
    fn default() -> Self {
        Self {
            magic: 0xff54_4347,
            kind: 0x8017,
            extra_data: None,
            name: None,
            public_area: None,
            trailing: vec![],
        }
    }
}

impl Tpm {
    fn public_area(&self, cose_key: &[u8]) -> Vec<u8> {
        self.public_area
            .clone()
            .unwrap_or_else(|| tpm_public_area(cose_key))
    }

    fn information(&self, public_area: &[u8], signed_data: &[u8], algorithm: Algorithm) -> Vec<u8> {
        let hash = match algorithm {
            Algorithm::Es384 => &SHA384,
            Algorithm::Es512 => &SHA512,
            _ => &SHA256,
        };
        let extra_data = match &self.extra_data {
            Some(extra_data) => extra_data.clone(),
            None => digest(hash, signed_data).as_ref().to_vec(),
        };
        let name = match &self.name {
            Some(name) => name.clone(),
            None => [&[0, 0x0b], digest(&SHA256, public_area).as_ref()].concat(),
        };
        [
            &self.magic.to_be_bytes()[..],
            &self.kind.to_be_bytes(),
            &tpm_sized(b"signer"),
            &tpm_sized(&extra_data),
            &[0x11; 17 + 8],
            &tpm_sized(&name),
            &tpm_sized(b"qualified name"),
            &self.trailing,
        ]
        .concat()
    }
}

/// A TPM's structure of a public key, made of its COSE_Key: P-256 or RSA.
pub fn tpm_public_area(cose_key: &[u8]) -> Vec<u8> {
    // Object attributes and no policy; no symmetric algorithm, no scheme.
    let attributes = [0, 4, 0, 0x72, 0, 0];
    let unset = [0, 0x10];
    match cose_numbers(cose_key) {
        (2, x, y) => [
            &[0, 0x23, 0, 0x0b][..],
            &attributes,
            &unset,
            &unset,
            &[0, 3],
            &unset,
            &tpm_sized(&x),
            &tpm_sized(&y),
        ]
        .concat(),
        (_, n, e) => {
            // Exponent 0 stands for 65537, here for every key that has it.
            let exponent = match &e[..] {
                [1, 0, 1] => [0; 4],
                _ => panic!("only keys with the usual exponent"),
            };
            let bits = u16::try_from(n.len() * 8).expect("a size of RSA keys");
            [
                &[0, 1, 0, 0x0b][..],
                &attributes,
                &unset,
                // RSASSA with SHA-256.
                &[0, 0x14, 0, 0x0b],
                &bits.to_be_bytes(),
                &exponent,
                &tpm_sized(&n),
            ]
            .concat()
        }
    }
}

/// What Android's keystore says about a key.
#[derive(Clone, Debug)]
pub struct Android {
    /// The challenge, instead of the hash of the client data.
    pub challenge: Option<Vec<u8>>,
    /// Who speaks: 0 software, 1 trusted environment, 2 secure element.
    pub security_level: u8,
    /// What software enforces: tags and contents.
    pub software: Vec<(u32, Vec<u8>)>,
    /// What hardware enforces.
    pub hardware: Vec<(u32, Vec<u8>)>,
    /// Whether to say anything.
    pub is_present: bool,
}

impl Android {
    /// What the key may be used for: signing is 2.
    pub fn purposes(purposes: &[u8]) -> (u32, Vec<u8>) {
        let members: Vec<_> = purposes.iter().flat_map(|one| [0x02, 1, *one]).collect();
        (1, element(0x31, &members))
    }

    /// Where the key comes from: 0 is made on the device.
    pub fn origin(origin: u8) -> (u32, Vec<u8>) {
        (702, vec![0x02, 1, origin])
    }

    /// The key may be used by every app.
    pub fn all_applications() -> (u32, Vec<u8>) {
        (600, vec![0x05, 0])
    }

    fn description(&self, client_data_hash: &[u8]) -> Extension {
        let challenge = self.challenge.as_deref().unwrap_or(client_data_hash);
        let list = |entries: &[(u32, Vec<u8>)]| {
            let entries = entries.iter().map(|(tag, value)| context(*tag, value));
            sequence(&entries.collect::<Vec<_>>().concat())
        };
        let content = [
            element(0x02, &[4]),
            element(0x0a, &[self.security_level]),
            element(0x02, &[4]),
            element(0x0a, &[self.security_level]),
            element(0x04, challenge),
            element(0x04, &[]),
            list(&self.software),
            list(&self.hardware),
        ]
        .concat();
        let id = match self.is_present {
            true => "1.3.6.1.4.1.11129.2.1.17",
            false => "1.3.6.1.4.1.11129.2.1.18",
        };
        Extension::new(id, false, sequence(&content))
    }
}

impl Default for Android {
    fn default() -> Self {
        Self {
            challenge: None,
            security_level: 1,
            // When the key was made, and for whom; neither is looked at.
            software: vec![(701, vec![0x02, 1, 9]), (709, vec![0x04, 1, 9])],
            hardware: vec![Self::purposes(&[2]), Self::origin(0)],
            is_present: true,
        }
    }
}

impl SigningKey {
    /// The public key as SubjectPublicKeyInfo, in DER.
    pub fn public_key_info(&self) -> Vec<u8> {
        let (_, first, second) = cose_numbers(&self.cose_key().encode());
        let point = || [&[4], &first[..], &second].concat();
        let ec = |curve: &str| [oid("1.2.840.10045.2.1"), oid(curve)].concat();
        let (algorithm, key) = match self.algorithm() {
            Algorithm::Es256 => (ec("1.2.840.10045.3.1.7"), point()),
            Algorithm::Es384 => (ec("1.3.132.0.34"), point()),
            Algorithm::Es512 => (ec("1.3.132.0.35"), point()),
            Algorithm::EdDsa => (oid("1.3.101.112"), first),
            Algorithm::Rs256 => (
                [oid("1.2.840.113549.1.1.1"), vec![0x05, 0]].concat(),
                sequence(&[unsigned(&first), unsigned(&second)].concat()),
            ),
        };
        sequence(&[sequence(&algorithm), bit_string(&key)].concat())
    }
}

/// The kind of a COSE_Key and its one or two numbers.
fn cose_numbers(cose_key: &[u8]) -> (i64, Vec<u8>, Vec<u8>) {
    let map = crate::cbor::Map::read(cose_key).expect("a COSE key");
    let number = |label| match map.label(label) {
        Some(crate::cbor::Value::Bytes(bytes)) => bytes.to_vec(),
        _ => vec![],
    };
    match map.label(1) {
        Some(crate::cbor::Value::Int(2)) => (2, number(-2), number(-3)),
        Some(crate::cbor::Value::Int(3)) => (3, number(-1), number(-2)),
        _ => (1, number(-2), vec![]),
    }
}

fn u2f_point(cose_key: &[u8]) -> Vec<u8> {
    let (_, x, y) = cose_numbers(cose_key);
    [&[4], &x[..], &y].concat()
}

/// The content of Apple's extension for what is attested.
pub fn apple_nonce(signed_data: &[u8]) -> Vec<u8> {
    let nonce = digest(&SHA256, signed_data);
    sequence(&element(0xa1, &element(0x04, nonce.as_ref())))
}

fn tpm_names() -> Vec<u8> {
    let name = Name(vec![
        ("2.23.133.2.1", "id:FFFFF1D0".into()),
        ("2.23.133.2.2", "model".into()),
        ("2.23.133.2.3", "id:13".into()),
    ]);
    sequence(&element(0xa4, &name.der()))
}

fn tpm_sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short enough for a TPM");
    [&length.to_be_bytes(), bytes].concat()
}

/// A DER element with a constructed context-specific tag of any size.
fn context(tag: u32, content: &[u8]) -> Vec<u8> {
    match u8::try_from(tag) {
        Ok(tag) if tag < 31 => element(0xa0 | tag, content),
        _ => {
            assert!(tag < 1 << 14, "two bytes of tag are enough");
            let high = 0x80 | (tag >> 7) as u8;
            let low = (tag & 0x7f) as u8;
            // The rest of the tag, in front of length and content.
            let plain = element(0xbf, content);
            [&[0xbf, high, low], &plain[1..]].concat()
        }
    }
}

pub(super) fn sequence(content: &[u8]) -> Vec<u8> {
    element(0x30, content)
}

pub(super) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(0x03, &[&[0], bytes].concat())
}

fn unsigned(number: &[u8]) -> Vec<u8> {
    match number.first() {
        Some(first) if *first >= 0x80 => element(0x02, &[&[0], number].concat()),
        _ => element(0x02, number),
    }
}

pub(super) fn oid(dots: &str) -> Vec<u8> {
    element(0x06, ObjectIdentifier::new_unwrap(dots).as_bytes())
}
