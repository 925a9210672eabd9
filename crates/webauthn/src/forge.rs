//! A software authenticator for tests, with its client: honest by default, and with a knob for every field it signs.
//!
//! [`Authenticator::create`] and [`Authenticator::get`] answer the options of a ceremony the way an honest browser
//! and authenticator would. What they give is not yet JSON but a forgery whose fields may all be changed; the
//! signature is made last, over whatever they became. Broken bytes that no field can express go in whole
//! ([`ClientData::raw`], [`ForgedRegistration::attestation_object`], [`ForgedAuthentication::signature`]). Registrations
//! carry no attestation until an [`Attester`](attestation::Attester) makes one.
//!
//! Everything here panics on misuse, as tests do. Keys, ids and models follow from a seed; only RSA keys and the
//! nonces of ECDSA come from the operating system.

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::Algorithm;

pub mod attestation;
pub mod metadata;

/// Bits of [`AuthenticatorData::flags`].
pub mod flag {
    /// Somebody touched the authenticator.
    pub const USER_PRESENT: u8 = 1;
    /// The authenticator verified the user.
    pub const USER_VERIFIED: u8 = 1 << 2;
    /// The credential can be synced.
    pub const BACKUP_ELIGIBLE: u8 = 1 << 3;
    /// The credential is synced.
    pub const BACKED_UP: u8 = 1 << 4;
    /// There is attested credential data.
    pub const ATTESTED: u8 = 1 << 6;
    /// There are extension outputs.
    pub const EXTENSIONS: u8 = 1 << 7;
}

/// An authenticator that holds one credential.
#[derive(Debug)]
pub struct Authenticator {
    /// Signs.
    pub key: SigningKey,
    /// The id of the credential.
    pub credential_id: Vec<u8>,
    /// The model.
    pub aaguid: [u8; 16],
    /// Flags of the next ceremony; [`flag::ATTESTED`] is added where it belongs.
    pub flags: u8,
    /// The signature counter as last sent.
    pub sign_count: u32,
    /// Added to the counter before each authentication; 0 for the synced kind, which never counts.
    pub count_step: u32,
    /// What `user.id` was at the registration, decoded; `None` until then.
    pub user_handle: Option<Vec<u8>>,
    /// What the client reports.
    pub transports: Vec<String>,
}

impl Authenticator {
    /// A synced passkey provider: verifies the user, backs up, never counts. The same seed gives the same key and id,
    /// except for RSA.
    pub fn new(algorithm: Algorithm, seed: &str) -> Self {
        Self::with_key(SigningKey::from_seed(algorithm, seed), seed)
    }

    /// The same with a key from elsewhere.
    pub fn with_key(key: SigningKey, seed: &str) -> Self {
        let identity = digest(&SHA512, seed.as_bytes());
        let (credential_id, model) = identity.as_ref().split_at(32);
        Self {
            key,
            credential_id: credential_id.to_vec(),
            aaguid: model[..16].try_into().expect("16 bytes"),
            flags: flag::USER_PRESENT
                | flag::USER_VERIFIED
                | flag::BACKUP_ELIGIBLE
                | flag::BACKED_UP,
            sign_count: 0,
            count_step: 0,
            user_handle: None,
            transports: vec!["internal".into(), "hybrid".into()],
        }
    }

    /// A security key: verifies the user, does not back up, counts from 1.
    pub fn security_key(algorithm: Algorithm, seed: &str) -> Self {
        Self {
            flags: flag::USER_PRESENT | flag::USER_VERIFIED,
            sign_count: 1,
            count_step: 1,
            transports: vec!["usb".into()],
            ..Self::new(algorithm, seed)
        }
    }

    /// Answers the `publicKey` options of a registration, on a page of `origin`. Remembers the user handle.
    pub fn create(&mut self, options: &Value, origin: &str) -> ForgedRegistration {
        self.user_handle = Some(decode(&options["user"]["id"]));
        ForgedRegistration {
            client_data: ClientData::new("webauthn.create", &options["challenge"], origin),
            authenticator_data: AuthenticatorData {
                rp_id_hash: rp_id_hash(text(&options["rp"]["id"])),
                flags: self.flags | flag::ATTESTED,
                sign_count: self.sign_count,
                attested: Some(AttestedCredential {
                    aaguid: self.aaguid,
                    credential_id: self.credential_id.clone(),
                    credential_id_length: None,
                    public_key: self.key.cose_key().encode(),
                }),
                extensions: None,
                trailing: Vec::new(),
            },
            format: "none".into(),
            statement: Item::Map(Vec::new()),
            attestation_object: None,
            credential_id: self.credential_id.clone(),
            transports: Some(json!(self.transports)),
            client_extension_results: None,
        }
    }

    /// Answers the `publicKey` options of an authentication, on a page of `origin`. Counts.
    pub fn get(&mut self, options: &Value, origin: &str) -> ForgedAuthentication {
        self.sign_count += self.count_step;
        ForgedAuthentication {
            key: self.key.clone(),
            client_data: ClientData::new("webauthn.get", &options["challenge"], origin),
            authenticator_data: AuthenticatorData {
                rp_id_hash: rp_id_hash(text(&options["rpId"])),
                flags: self.flags,
                sign_count: self.sign_count,
                attested: None,
                extensions: None,
                trailing: Vec::new(),
            },
            signed: None,
            signature: None,
            credential_id: self.credential_id.clone(),
            user_handle: self
                .user_handle
                .as_ref()
                .map(|handle| BASE64_URL_SAFE_NO_PAD.encode(handle)),
        }
    }
}

/// A registration that is about to be sent.
#[derive(Clone, Debug)]
pub struct ForgedRegistration {
    /// What the client says.
    pub client_data: ClientData,
    /// What the authenticator says.
    pub authenticator_data: AuthenticatorData,
    /// `fmt` of the attestation object.
    pub format: String,
    /// `attStmt` of the attestation object.
    pub statement: Item,
    /// The whole attestation object, instead of the one made of the fields above.
    pub attestation_object: Option<Vec<u8>>,
    /// `id` and `rawId` of the JSON.
    pub credential_id: Vec<u8>,
    /// `transports` of the JSON, beside `response`.
    pub transports: Option<Value>,
    /// `clientExtensionResults` of the JSON.
    pub client_extension_results: Option<Value>,
}

impl ForgedRegistration {
    /// The JSON to post as `handshake_response`.
    pub fn json(&self) -> Value {
        let attestation_object = match &self.attestation_object {
            Some(raw) => raw.clone(),
            None => self.attestation_object_item().encode(),
        };
        let mut json = credential_json(
            &self.credential_id,
            json!({
                "clientDataJSON": BASE64_URL_SAFE_NO_PAD.encode(self.client_data.bytes()),
                "attestationObject": BASE64_URL_SAFE_NO_PAD.encode(attestation_object),
            }),
        );
        if let Some(transports) = &self.transports {
            json["transports"] = transports.clone();
        }
        if let Some(results) = &self.client_extension_results {
            json["clientExtensionResults"] = results.clone();
        }
        json
    }

    /// The attestation object made of the fields, to be taken apart and put together wrongly.
    pub fn attestation_object_item(&self) -> Item {
        Item::Map(vec![
            (Item::text("fmt"), Item::text(&self.format)),
            (Item::text("attStmt"), self.statement.clone()),
            (
                Item::text("authData"),
                Item::Bytes(self.authenticator_data.bytes()),
            ),
        ])
    }

    /// The credential inside the authenticator data.
    pub fn attested(&mut self) -> &mut AttestedCredential {
        self.authenticator_data
            .attested
            .as_mut()
            .expect("no attested credential data in this forgery")
    }
}

/// An authentication that is about to be signed and sent.
#[derive(Clone, Debug)]
pub struct ForgedAuthentication {
    /// Signs.
    pub key: SigningKey,
    /// What the client says.
    pub client_data: ClientData,
    /// What the authenticator says.
    pub authenticator_data: AuthenticatorData,
    /// The message to sign, instead of authenticator data and hash of the client data.
    pub signed: Option<Vec<u8>>,
    /// The signature, instead of one by `key`.
    pub signature: Option<Vec<u8>>,
    /// `id` and `rawId` of the JSON.
    pub credential_id: Vec<u8>,
    /// `userHandle` of the JSON, as text.
    pub user_handle: Option<String>,
}

impl ForgedAuthentication {
    /// The JSON to post as `handshake_response`, signed now.
    pub fn json(&self) -> Value {
        let signature = match &self.signature {
            Some(signature) => signature.clone(),
            None => self.key.sign(&self.message()),
        };
        let mut response = json!({
            "clientDataJSON": BASE64_URL_SAFE_NO_PAD.encode(self.client_data.bytes()),
            "authenticatorData": BASE64_URL_SAFE_NO_PAD.encode(self.authenticator_data.bytes()),
            "signature": BASE64_URL_SAFE_NO_PAD.encode(signature),
        });
        if let Some(user_handle) = &self.user_handle {
            response["userHandle"] = json!(user_handle);
        }
        credential_json(&self.credential_id, response)
    }

    /// The message that is signed.
    pub fn message(&self) -> Vec<u8> {
        match &self.signed {
            Some(message) => message.clone(),
            None => {
                let hash = digest(&SHA256, &self.client_data.bytes());
                [&self.authenticator_data.bytes(), hash.as_ref()].concat()
            }
        }
    }
}

/// The client data; members are JSON values, so that they can have the wrong type.
#[derive(Clone, Debug)]
pub struct ClientData {
    /// The members.
    pub members: Map<String, Value>,
    /// The whole text, instead of the members.
    pub raw: Option<Vec<u8>>,
}

impl ClientData {
    fn new(kind: &str, challenge: &Value, origin: &str) -> Self {
        let members = json!({
            "type": kind,
            "challenge": challenge,
            "origin": origin,
            "crossOrigin": false,
        });
        let Value::Object(members) = members else {
            unreachable!("the macro above makes an object");
        };
        Self { members, raw: None }
    }

    /// Puts a member in, or in the place of what was there.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.members.insert(name.to_owned(), value.into());
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.members.remove(name);
    }

    /// The bytes as sent and hashed.
    pub fn bytes(&self) -> Vec<u8> {
        match &self.raw {
            Some(raw) => raw.clone(),
            None => json!(self.members).to_string().into_bytes(),
        }
    }
}

/// The authenticator data; flags and contents are independent, so that they can contradict each other.
#[derive(Clone, Debug)]
pub struct AuthenticatorData {
    /// SHA-256 of the RP ID.
    pub rp_id_hash: [u8; 32],
    /// See [`flag`].
    pub flags: u8,
    /// The signature counter.
    pub sign_count: u32,
    /// The new credential.
    pub attested: Option<AttestedCredential>,
    /// Encoded extension outputs; set the flag as well.
    pub extensions: Option<Vec<u8>>,
    /// Bytes at the end that belong to nothing.
    pub trailing: Vec<u8>,
}

impl AuthenticatorData {
    /// The bytes as sent and signed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.rp_id_hash.to_vec();
        bytes.push(self.flags);
        bytes.extend(self.sign_count.to_be_bytes());
        if let Some(attested) = &self.attested {
            bytes.extend(attested.bytes());
        }
        bytes.extend(self.extensions.iter().flatten());
        bytes.extend(&self.trailing);
        bytes
    }
}

/// The attested credential data.
#[derive(Clone, Debug)]
pub struct AttestedCredential {
    /// The model.
    pub aaguid: [u8; 16],
    /// The id of the credential.
    pub credential_id: Vec<u8>,
    /// The announced length of the id, instead of the true one.
    pub credential_id_length: Option<u16>,
    /// COSE_Key, encoded.
    pub public_key: Vec<u8>,
}

impl AttestedCredential {
    fn bytes(&self) -> Vec<u8> {
        let length = self.credential_id_length.unwrap_or_else(|| {
            u16::try_from(self.credential_id.len()).expect("at most 65535 bytes of id")
        });
        [
            &self.aaguid[..],
            &length.to_be_bytes(),
            &self.credential_id,
            &self.public_key,
        ]
        .concat()
    }
}

/// A private key of one of the algorithms.
#[derive(Clone, Debug)]
pub struct SigningKey(std::sync::Arc<Private>);

#[derive(Debug)]
enum Private {
    Ecdsa(Algorithm, EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A key that follows from the seed; for RSA, a new one of 2048 bits.
    pub fn from_seed(algorithm: Algorithm, seed: &str) -> Self {
        let seed = seed.as_bytes();
        match algorithm {
            Algorithm::Es256 => Self::ecdsa(algorithm, digest(&SHA256, seed).as_ref()),
            Algorithm::Es384 => Self::ecdsa(algorithm, digest(&SHA384, seed).as_ref()),
            Algorithm::Es512 => Self::ecdsa(algorithm, digest(&SHA512, seed).as_ref()),
            Algorithm::EdDsa => Self::ed25519(digest(&SHA256, seed).as_ref()),
            Algorithm::Rs256 => Self::rsa(
                RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be generated"),
            ),
        }
    }

    /// The ECDSA key of a private scalar, big-endian, of at most the curve's size.
    pub fn ecdsa(algorithm: Algorithm, scalar: &[u8]) -> Self {
        let (signing, size_bytes, curve): (_, _, &[u8]) = match algorithm {
            Algorithm::Es256 => (&ECDSA_P256_SHA256_ASN1_SIGNING, 32, OID_P256),
            Algorithm::Es384 => (&ECDSA_P384_SHA384_ASN1_SIGNING, 48, OID_P384),
            Algorithm::Es512 => (&ECDSA_P521_SHA512_ASN1_SIGNING, 66, OID_P521),
            Algorithm::EdDsa | Algorithm::Rs256 => panic!("{algorithm:?} is not ECDSA"),
        };
        let mut padded = vec![0; size_bytes - scalar.len()];
        padded.extend(scalar);
        // ECPrivateKey of RFC 5915, without the public key, which aws-lc computes.
        let der = der(
            0x30,
            &[
                der(0x02, &[1]),
                der(0x04, &padded),
                der(0xa0, &der(0x06, curve)),
            ]
            .concat(),
        );
        let pair = EcdsaKeyPair::from_private_key_der(signing, &der)
            .expect("the scalar is in the range of the curve");
        Self(Private::Ecdsa(algorithm, pair).into())
    }

    /// The Ed25519 key of a seed of 32 bytes.
    pub fn ed25519(seed: &[u8]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("the seed has 32 bytes");
        Self(Private::EdDsa(pair).into())
    }

    /// An RSA key from elsewhere, of any size and exponent.
    pub fn rsa(pair: RsaKeyPair) -> Self {
        Self(Private::Rsa(pair).into())
    }

    /// The algorithm of the key.
    pub fn algorithm(&self) -> Algorithm {
        match &*self.0 {
            Private::Ecdsa(algorithm, _) => *algorithm,
            Private::EdDsa(_) => Algorithm::EdDsa,
            Private::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// The public key as a COSE_Key, in CTAP2 canonical order.
    pub fn cose_key(&self) -> Item {
        let algorithm = Item::Int(self.algorithm().cose_id());
        let key = |kty: i64, parameters: Vec<(i64, Item)>| {
            let mut entries = vec![
                (Item::Int(1), Item::Int(kty)),
                (Item::Int(3), algorithm.clone()),
            ];
            entries.extend(
                parameters
                    .into_iter()
                    .map(|(label, value)| (Item::Int(label), value)),
            );
            Item::Map(entries)
        };
        match &*self.0 {
            Private::Ecdsa(algorithm, pair) => {
                let curve = match algorithm {
                    Algorithm::Es256 => 1,
                    Algorithm::Es384 => 2,
                    _ => 3,
                };
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                key(
                    2,
                    vec![
                        (-1, Item::Int(curve)),
                        (-2, Item::Bytes(x.to_vec())),
                        (-3, Item::Bytes(y.to_vec())),
                    ],
                )
            }
            Private::EdDsa(pair) => key(
                1,
                vec![
                    (-1, Item::Int(6)),
                    (-2, Item::Bytes(pair.public_key().as_ref().to_vec())),
                ],
            ),
            Private::Rsa(pair) => {
                let public: PublicKeyComponents<Vec<u8>> = pair.public_key().into();
                key(
                    3,
                    vec![(-1, Item::Bytes(public.n)), (-2, Item::Bytes(public.e))],
                )
            }
        }
    }

    /// Signs as an authenticator would.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &*self.0 {
            Private::Ecdsa(_, pair) => pair
                .sign(&SystemRandom::new(), message)
                .expect("ECDSA can sign")
                .as_ref()
                .to_vec(),
            Private::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Private::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &SystemRandom::new(),
                    message,
                    &mut signature,
                )
                .expect("RSA can sign");
                signature
            }
        }
    }
}

/// A CBOR item, written exactly as given: maps keep their order and may hold a key twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An integer.
    Int(i64),
    /// A byte string.
    Bytes(Vec<u8>),
    /// A text string.
    Text(String),
    /// True or false.
    Bool(bool),
    /// An array.
    Array(Vec<Item>),
    /// A map.
    Map(Vec<(Item, Item)>),
    /// Bytes that stand for themselves, well formed or not.
    Raw(Vec<u8>),
}

impl Item {
    /// A text string.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The encoded item.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }

    /// The entries of a map, to be changed.
    pub fn entries(&mut self) -> &mut Vec<(Item, Item)> {
        match self {
            Self::Map(entries) => entries,
            other => panic!("not a map: {other:?}"),
        }
    }

    /// Puts a value under a key of a map, in the place of what was there or at the end.
    pub fn set(&mut self, key: Item, value: Item) {
        let entries = self.entries();
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key, value)),
        }
    }

    /// Takes a key out of a map.
    pub fn remove(&mut self, key: &Item) {
        self.entries().retain(|(known, _)| known != key);
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Int(value) if *value < 0 => head(out, 1, value.unsigned_abs() - 1),
            Self::Int(value) => head(out, 0, value.unsigned_abs()),
            Self::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend(bytes);
            }
            Self::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend(text.as_bytes());
            }
            Self::Bool(value) => out.push(0xf4 + u8::from(*value)),
            Self::Array(items) => {
                head(out, 4, items.len() as u64);
                for item in items {
                    item.write(out);
                }
            }
            Self::Map(entries) => {
                head(out, 5, entries.len() as u64);
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
            }
            Self::Raw(bytes) => out.extend(bytes),
        }
    }
}

/// SHA-256 of an RP ID, as it stands at the front of the authenticator data.
pub fn rp_id_hash(rp_id: &str) -> [u8; 32] {
    digest(&SHA256, rp_id.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

fn credential_json(id: &[u8], response: Value) -> Value {
    let id = BASE64_URL_SAFE_NO_PAD.encode(id);
    json!({"id": id, "rawId": id, "type": "public-key", "response": response})
}

/// The head of a CBOR item in its shortest form (RFC 8949 section 3).
fn head(out: &mut Vec<u8>, major: u8, argument: u64) {
    let major = major << 5;
    if let Ok(argument) = u8::try_from(argument) {
        if argument < 24 {
            out.push(major | argument);
        } else {
            out.extend([major | 24, argument]);
        }
    } else if let Ok(argument) = u16::try_from(argument) {
        out.push(major | 25);
        out.extend(argument.to_be_bytes());
    } else if let Ok(argument) = u32::try_from(argument) {
        out.push(major | 26);
        out.extend(argument.to_be_bytes());
    } else {
        out.push(major | 27);
        out.extend(argument.to_be_bytes());
    }
}

/// A DER element of fewer than 65536 bytes.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short enough for two bytes of length");
    let [high, low] = length.to_be_bytes();
    let mut element = vec![tag];
    match length {
        0..0x80 => element.push(low),
        0x80..0x100 => element.extend([0x81, low]),
        _ => element.extend([0x82, high, low]),
    }
    element.extend(content);
    element
}

fn text(json: &Value) -> &str {
    json.as_str().expect("a text in the options")
}

fn decode(json: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text(json))
        .expect("base64url in the options")
}

/// 1.2.840.10045.3.1.7, 1.3.132.0.34 and 1.3.132.0.35, without tag and length.
const OID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const OID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const OID_P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
