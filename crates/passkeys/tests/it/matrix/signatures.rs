//! Signatures that no honest authenticator makes, for L26 to L30, and keys of unusual sizes.
//!
//! Each is made for the message at hand, so the fault in it is the only one.

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
    rand::SystemRandom,
    rsa::KeyPair as RsaKeyPair,
    signature::{RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Digest as _, Sha512};
use num_bigint::BigUint;
use serde_json::Value;
use webauthn::{
    Algorithm,
    forge::{Item, SigningKey},
};

/// Values made elsewhere; the crate `webauthn` describes them beside the file.
pub(super) fn data() -> Value {
    let text = include_str!("../../../../webauthn/testdata/signatures.json");
    serde_json::from_str(text).unwrap()
}

pub(super) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn decoded(text: &Value) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD
        .decode(text.as_str().unwrap())
        .unwrap()
}

pub(super) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest(&SHA256, bytes).as_ref().to_vec()
}

/// A member of a COSE_Key.
pub(super) fn member(key: &Item, label: i64) -> Item {
    let mut key = key.clone();
    let entries = key.entries().iter();
    let mut found = entries.filter(|(known, _)| *known == Item::Int(label));
    found
        .next()
        .map(|(_, value)| value.clone())
        .expect("a member")
}

/// An ECDSA signature: the contents of its two DER integers, sign byte included.
#[derive(Clone)]
pub(super) struct Ecdsa {
    r: Vec<u8>,
    s: Vec<u8>,
}

impl Ecdsa {
    pub(super) fn read(der: &[u8]) -> Ecdsa {
        // Of these curves every length fits one byte.
        let r_end = 4 + usize::from(der[3]);
        Ecdsa {
            r: der[4..r_end].to_vec(),
            s: der[r_end + 2..].to_vec(),
        }
    }

    /// Whether both integers fill the curve's size without a zero in front.
    pub(super) fn is_plain(&self, algorithm: Algorithm) -> bool {
        let size = order(algorithm).len();
        self.r.len() == size && self.s.len() == size
    }

    fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let body = [&[2, length(r)], r, &[2, length(s)], s].concat();
        [&[0x30, length(&body)], &body[..]].concat()
    }

    /// The same signature with the other `s`, which is as good.
    pub(super) fn other_s(&self, algorithm: Algorithm) -> Vec<u8> {
        let order = BigUint::from_bytes_be(&order(algorithm));
        let mut s = (order - BigUint::from_bytes_be(&self.s)).to_bytes_be();
        if s[0] & 0x80 != 0 {
            s.insert(0, 0);
        }
        Self::der(&self.r, &s)
    }
}

/// Makes a broken signature of a good one.
type EcdsaFault = fn(&Ecdsa, Algorithm) -> Vec<u8>;

/// Rows, names and faults.
pub(super) fn ecdsa_faults() -> Vec<(&'static str, &'static str, EcdsaFault)> {
    vec![
        ("L27", "raw r and s", |good, _| {
            [&good.r[..], &good.s].concat()
        }),
        ("L27", "a byte behind", |good, _| {
            [&Ecdsa::der(&good.r, &good.s)[..], &[0]].concat()
        }),
        ("L27", "a byte behind, counted", |good, _| {
            let der = Ecdsa::der(&good.r, &good.s);
            [&[0x30, der[1] + 1], &der[2..], &[0]].concat()
        }),
        ("L27", "BER long length", |good, _| {
            let der = Ecdsa::der(&good.r, &good.s);
            [&[0x30, 0x81], &der[1..]].concat()
        }),
        ("L27", "indefinite length", |good, _| {
            let der = Ecdsa::der(&good.r, &good.s);
            [&[0x30, 0x80], &der[2..], &[0, 0]].concat()
        }),
        ("L27", "a set", |good, _| {
            let der = Ecdsa::der(&good.r, &good.s);
            [&[0x31], &der[1..]].concat()
        }),
        ("L27", "cut", |good, _| {
            let mut der = Ecdsa::der(&good.r, &good.s);
            der.pop();
            der
        }),
        ("L27", "negative r", |good, _| {
            let mut r = good.r.clone();
            r[0] |= 0x80;
            Ecdsa::der(&r, &good.s)
        }),
        ("L27", "r with a zero in front without need", |good, _| {
            Ecdsa::der(&[&[0], &good.r[..]].concat(), &good.s)
        }),
        ("L27", "s with a zero in front without need", |good, _| {
            Ecdsa::der(&good.r, &[&[0], &good.s[..]].concat())
        }),
        ("L27", "r = 0", |good, _| Ecdsa::der(&[0], &good.s)),
        ("L27", "s = 0", |good, _| Ecdsa::der(&good.r, &[0])),
        ("L27", "r = n", |good, algorithm| {
            Ecdsa::der(&[&[0], &order(algorithm)[..]].concat(), &good.s)
        }),
        ("L27", "s = n", |good, algorithm| {
            Ecdsa::der(&good.r, &[&[0], &order(algorithm)[..]].concat())
        }),
        ("L27", "r and s swapped", |good, _| {
            Ecdsa::der(&good.s, &good.r)
        }),
        ("L28", "r = s = 0", |_, _| Ecdsa::der(&[0], &[0])),
        ("L28", "r = s = 0 without bytes", |_, _| {
            Ecdsa::der(&[], &[])
        }),
        ("L28", "r = s = n", |_, algorithm| {
            let n = [&[0], &order(algorithm)[..]].concat();
            Ecdsa::der(&n, &n)
        }),
        ("L28", "r = s = 1", |_, _| Ecdsa::der(&[1], &[1])),
    ]
}

/// The order of the curve's base point.
fn order(algorithm: Algorithm) -> Vec<u8> {
    hex::decode(match algorithm {
        Algorithm::Es256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        Algorithm::Es384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf\
             581a0db248b0a77aecec196accc52973"
        }
        other => panic!("{other:?} is not on the benches"),
    })
    .unwrap()
}

/// An RSA key whose private numbers are known.
pub(super) struct RsaKey {
    pub(super) name: String,
    pub(super) signing: SigningKey,
    pair: RsaKeyPair,
    n: BigUint,
    d: BigUint,
    size_bytes: usize,
    is_exponent_3: bool,
}

/// Keys of several sizes and of both usual exponents; the first two of 2048 bits.
pub(super) fn rsa_keys() -> Vec<RsaKey> {
    let data: Value = serde_json::from_str(include_str!("../../data/keys.json")).unwrap();
    let number =
        |text: &Value| BigUint::parse_bytes(text.as_str().unwrap().as_bytes(), 16).unwrap();
    let keys = data["rsa"].as_array().unwrap();
    keys.iter()
        .map(|key| {
            let pkcs8 = hex::decode(key["pkcs8"].as_str().unwrap()).unwrap();
            let pair = || RsaKeyPair::from_pkcs8(&pkcs8).unwrap();
            let n = number(&key["n"]);
            RsaKey {
                name: key["name"].as_str().unwrap().to_owned(),
                signing: SigningKey::rsa(pair()),
                pair: pair(),
                d: number(&key["d"]),
                size_bytes: n.to_bytes_be().len(),
                n,
                is_exponent_3: key["e"] == 3,
            }
        })
        .collect()
}

impl RsaKey {
    /// What the private key makes of a padded message.
    fn raw(&self, padded: &[u8]) -> Vec<u8> {
        self.sized(&BigUint::from_bytes_be(padded).modpow(&self.d, &self.n))
    }

    /// PKCS #1 v1.5 around `inside`, signed.
    fn padded(&self, inside: &[u8]) -> Vec<u8> {
        let filling = vec![0xff; self.size_bytes - inside.len() - 3];
        self.raw(&[&[0, 1], &filling[..], &[0], inside].concat())
    }

    fn sized(&self, number: &BigUint) -> Vec<u8> {
        let bytes = number.to_bytes_be();
        [vec![0; self.size_bytes - bytes.len()], bytes].concat()
    }

    fn sign(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.size_bytes];
        self.pair
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    }

    fn honest(&self, message: &[u8]) -> Vec<u8> {
        self.signing.sign(message)
    }
}

/// Makes a broken signature over a message.
type RsaFault = fn(&RsaKey, &[u8]) -> Vec<u8>;

/// What can be made with a key.
pub(super) fn rsa_faults(key: &RsaKey) -> Vec<(&'static str, RsaFault)> {
    let mut faults: Vec<(&'static str, RsaFault)> = vec![
        ("PSS", |key, message| key.sign(&RSA_PSS_SHA256, message)),
        ("SHA-384 inside", |key, message| {
            key.sign(&RSA_PKCS1_SHA384, message)
        }),
        ("SHA-512 inside", |key, message| {
            key.sign(&RSA_PKCS1_SHA512, message)
        }),
        ("SHA-1 inside", |key, message| {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
            key.padded(&[SHA1_PREFIX, hash.as_ref()].concat())
        }),
        ("a hash without its name", |key, message| {
            key.padded(&sha256(message))
        }),
        ("the name without its null", |key, message| {
            let hash = sha256(message);
            key.padded(&[SHA256_PREFIX_WITHOUT_NULL, &hash].concat())
        }),
        ("garbage after the hash", |key, message| {
            let inside = [SHA256_PREFIX, &sha256(message), &[7; 100]].concat();
            // As short a filling as the standard allows, and garbage up to the end.
            let filling = [0xff; 8];
            let rest = key.size_bytes - inside.len() - 11;
            let padded = [&[0, 1], &filling[..], &[0], &inside, &vec![7; rest]].concat();
            key.raw(&padded)
        }),
        ("the padding of encryption", |key, message| {
            let inside = [SHA256_PREFIX, &sha256(message)].concat();
            let filling = vec![0xff; key.size_bytes - inside.len() - 3];
            key.raw(&[&[0, 2], &filling[..], &[0], &inside].concat())
        }),
        ("one byte short", |key, message| {
            key.honest(message)[1..].to_vec()
        }),
        ("cut at the end", |key, message| {
            let mut signature = key.honest(message);
            signature.pop();
            signature
        }),
        ("a byte behind", |key, message| {
            [key.honest(message), vec![0]].concat()
        }),
        ("a zero in front", |key, message| {
            [vec![0], key.honest(message)].concat()
        }),
        ("with the modulus added", |key, message| {
            let sum = BigUint::from_bytes_be(&key.honest(message)) + &key.n;
            sum.to_bytes_be()
        }),
        ("the modulus", |key, _| key.n.to_bytes_be()),
        ("one", |key, _| key.sized(&BigUint::from(1_u8))),
    ];
    if key.is_exponent_3 {
        faults.push(("a cube root, without the private key", |key, message| {
            let inside = [SHA256_PREFIX, &sha256(message)].concat();
            let front = [&[0, 1], &[0xff; 8][..], &[0], &inside].concat();
            let behind = key.size_bytes - front.len();
            let most = BigUint::from_bytes_be(&[&front[..], &vec![0xff; behind]].concat());
            let root = most.cbrt();
            let cube = key.sized(&(&root * &root * &root));
            assert!(cube.starts_with(&front), "the careless are convinced");
            key.sized(&root)
        }));
    }
    faults
}

/// Makes a broken signature of the seed, the message and the good signature.
type Ed25519Fault = fn(&[u8], &[u8], Vec<u8>) -> Vec<u8>;

pub(super) fn ed25519_faults() -> Vec<(&'static str, Ed25519Fault)> {
    vec![
        ("S not reduced", |_, _, good| {
            let mut order = hex::decode(ED25519_ORDER).unwrap();
            order.reverse();
            let sum = BigUint::from_bytes_le(&good[32..]) + BigUint::from_bytes_le(&order);
            let mut s = sum.to_bytes_le();
            s.resize(32, 0);
            [&good[..32], &s].concat()
        }),
        ("63 bytes", |_, _, good| good[..63].to_vec()),
        ("65 bytes", |_, _, good| [good, vec![0]].concat()),
        ("twice", |_, _, good| [good.clone(), good].concat()),
        ("Ed25519ph", |seed, message, _| {
            let key = ed25519_dalek::SigningKey::from_bytes(seed.try_into().unwrap());
            let hash = Sha512::new_with_prefix(message);
            key.sign_prehashed(hash, None).unwrap().to_bytes().to_vec()
        }),
        ("Ed25519ph with a context", |seed, message, _| {
            let key = ed25519_dalek::SigningKey::from_bytes(seed.try_into().unwrap());
            let hash = Sha512::new_with_prefix(message);
            let signature = key.sign_prehashed(hash, Some(b"webauthn")).unwrap();
            signature.to_bytes().to_vec()
        }),
        ("the neutral point and zero", |_, _, _| {
            [&[1][..], &[0; 63]].concat()
        }),
        ("R and S swapped", |_, _, good| {
            [&good[32..], &good[..32]].concat()
        }),
    ]
}

/// The DER in front of a hash: SEQUENCE { SEQUENCE { algorithm, NULL }, OCTET STRING } (RFC 8017 section 9.2).
const SHA256_PREFIX: &[u8] = &[
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const SHA256_PREFIX_WITHOUT_NULL: &[u8] = &[
    0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04,
    0x20,
];
const SHA1_PREFIX: &[u8] = &[
    0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
];

const ED25519_ORDER: &str = "1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed";
