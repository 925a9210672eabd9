//! Credential public keys: COSE_Key in, a key that verifies signatures out
//! ([RFC 9052 section 7](https://www.rfc-editor.org/rfc/rfc9052#section-7),
//! [RFC 9053](https://www.rfc-editor.org/rfc/rfc9053), [RFC 8230](https://www.rfc-editor.org/rfc/rfc8230)).
//!
//! Points, moduli and signatures are judged by aws-lc; only what it does not look at is checked here.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA512_ASN1, ED25519,
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use serde::{Deserialize, Serialize};

use crate::Denial;
use crate::cbor::{Map, Value};

/// A signature algorithm, by its number in the
/// [COSE registry](https://www.iana.org/assignments/cose/cose.xhtml#algorithms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i64", try_from = "i64")]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256 = -7,
    /// ECDSA on P-384 with SHA-384.
    Es384 = -35,
    /// ECDSA on P-521 with SHA-512.
    Es512 = -36,
    /// RSASSA-PKCS1-v1_5 with SHA-256, moduli of 2048 to 8192 bits.
    Rs256 = -257,
    /// Ed25519 ([WebAuthn section 5.8.5](https://www.w3.org/TR/webauthn-3/#sctn-alg-identifier): −8 means this curve only).
    EdDsa = -8,
}

impl Algorithm {
    /// All that this crate verifies.
    pub const ALL: [Self; 5] = [
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Rs256,
        Self::EdDsa,
    ];

    /// The number in the COSE registry.
    pub fn cose_id(self) -> i64 {
        self as i64
    }

    /// The algorithm of a COSE number, if this crate verifies it.
    pub fn from_cose_id(id: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.cose_id() == id)
    }
}

impl From<Algorithm> for i64 {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.cose_id()
    }
}

impl TryFrom<i64> for Algorithm {
    type Error = String;

    fn try_from(id: i64) -> Result<Self, String> {
        Self::from_cose_id(id).ok_or_else(|| format!("COSE algorithm {id} is not supported"))
    }
}

/// The algorithm of a COSE_Key, judged as a registration judges it: for a key that comes from elsewhere.
///
/// [`Denial::PublicKeyMalformed`], [`Denial::PublicKeyWeak`], or [`Denial::AlgorithmNotOffered`] when this crate
/// does not verify signatures of its algorithm.
pub fn check_public_key(cose_key: &[u8]) -> Result<Algorithm, Denial> {
    let key = CoseKey::read(cose_key)?;
    let algorithm = key.algorithm().ok_or(Denial::AlgorithmNotOffered)?;
    key.public_key(algorithm).map(|_| algorithm)
}

/// A COSE_Key whose algorithm is known and whose parameters are not yet judged.
#[derive(Debug)]
pub(crate) struct CoseKey<'b> {
    map: Map<'b>,
    algorithm_id: i128,
}

impl<'b> CoseKey<'b> {
    /// Reads the map and its `alg`; refused as `PublicKeyMalformed`.
    pub(crate) fn read(bytes: &'b [u8]) -> Result<Self, Denial> {
        let map = Map::read(bytes).map_err(|_| Denial::PublicKeyMalformed)?;
        let Some(Value::Int(algorithm_id)) = map.label(label::ALG) else {
            return Err(Denial::PublicKeyMalformed);
        };
        Ok(Self { map, algorithm_id })
    }

    /// The algorithm, if this crate verifies it.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        i64::try_from(self.algorithm_id)
            .ok()
            .and_then(Algorithm::from_cose_id)
    }

    /// Checks type, curve, parameters and strength for `algorithm`.
    ///
    /// `PublicKeyMalformed` when they do not make a key of it, `PublicKeyWeak` when they make one that protects
    /// nothing. Compressed points are refused (WebAuthn section 5.8.5 demands the uncompressed form), and so is a
    /// private part: a key that others have seen proves nothing.
    pub(crate) fn public_key(&self, algorithm: Algorithm) -> Result<PublicKey, Denial> {
        match algorithm {
            Algorithm::Es256 => self.ec2(curve::P256, 32, &ECDSA_P256_SHA256_ASN1),
            Algorithm::Es384 => self.ec2(curve::P384, 48, &ECDSA_P384_SHA384_ASN1),
            Algorithm::Es512 => self.ec2(curve::P521, 66, &ECDSA_P521_SHA512_ASN1),
            Algorithm::EdDsa => self.ed25519(),
            Algorithm::Rs256 => self.rsa(),
        }
    }

    /// The numbers of the key, for a comparison with the same key in another wrapping.
    pub(crate) fn numbers(&self, algorithm: Algorithm) -> KeyNumbers {
        let labels: &[i128] = match algorithm {
            Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => &[label::X, label::Y],
            Algorithm::EdDsa => &[label::X],
            Algorithm::Rs256 => &[label::N, label::E],
        };
        let numbers: Vec<_> = labels
            .iter()
            .filter_map(|label| match self.map.label(*label) {
                Some(Value::Bytes(number)) => Some(number),
                _ => None,
            })
            .collect();
        KeyNumbers::new(algorithm, &numbers)
    }

    fn ec2(
        &self,
        curve: i128,
        size_bytes: usize,
        verification: &'static dyn VerificationAlgorithm,
    ) -> Result<PublicKey, Denial> {
        self.demand(label::KTY, key_type::EC2)?;
        self.demand(label::CRV, curve)?;
        self.without(&[label::D])?;
        let x = self.bytes_of(label::X, size_bytes)?;
        let y = self.bytes_of(label::Y, size_bytes)?;
        let mut point = Vec::with_capacity(1 + 2 * size_bytes);
        point.push(SEC1_UNCOMPRESSED);
        point.extend_from_slice(x);
        point.extend_from_slice(y);
        // aws-lc refuses coordinates outside the field and points off the curve.
        parsed(verification, &point)
    }

    fn ed25519(&self) -> Result<PublicKey, Denial> {
        self.demand(label::KTY, key_type::OKP)?;
        self.demand(label::CRV, curve::ED25519)?;
        self.without(&[label::D])?;
        let x = self.bytes_of(label::X, 32)?;
        if is_small_order(x) {
            return Err(Denial::PublicKeyWeak);
        }
        // aws-lc looks for the point when it verifies (RFC 8032 section 5.1.7), so that bytes which are none are taken
        // here. Nothing is ever signed under them: such a key harms only whoever registers it.
        parsed(&ED25519, x)
    }

    fn rsa(&self) -> Result<PublicKey, Denial> {
        self.demand(label::KTY, key_type::RSA)?;
        self.without(&label::RSA_PRIVATE)?;
        let (Some(Value::Bytes(n)), Some(Value::Bytes(e))) =
            (self.map.label(label::N), self.map.label(label::E))
        else {
            return Err(Denial::PublicKeyMalformed);
        };
        let n = without_leading_zeros(n);
        let e = without_leading_zeros(e);
        // Judged before aws-lc sees the numbers, so that no size costs time.
        let n_is_odd = n.last().is_some_and(|byte| byte & 1 == 1);
        if !RSA_MODULUS_BITS.contains(&bits(n)) || !n_is_odd {
            return Err(Denial::PublicKeyWeak);
        }
        let e_is_odd = e.last().is_some_and(|byte| byte & 1 == 1);
        if !RSA_EXPONENT_BITS.contains(&bits(e)) || !e_is_odd {
            return Err(Denial::PublicKeyWeak);
        }
        PublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .map(PublicKey)
            .map_err(|_| Denial::PublicKeyMalformed)
    }

    fn demand(&self, label: i128, wanted: i128) -> Result<(), Denial> {
        if self.map.label(label) == Some(Value::Int(wanted)) {
            Ok(())
        } else {
            Err(Denial::PublicKeyMalformed)
        }
    }

    fn without(&self, labels: &[i128]) -> Result<(), Denial> {
        if labels.iter().any(|label| self.map.label(*label).is_some()) {
            Err(Denial::PublicKeyMalformed)
        } else {
            Ok(())
        }
    }

    fn bytes_of(&self, label: i128, size_bytes: usize) -> Result<&'b [u8], Denial> {
        match self.map.label(label) {
            Some(Value::Bytes(bytes)) if bytes.len() == size_bytes => Ok(bytes),
            _ => Err(Denial::PublicKeyMalformed),
        }
    }
}

/// A key that verifies signatures of exactly one algorithm.
#[derive(Debug)]
pub(crate) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// Whether `signature` is by this key over `message`.
    ///
    /// ECDSA signatures are strict DER with `r` and `s` in range, of either `s`: WebAuthn has no low-s rule.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Denial> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| Denial::SignatureBad)
    }
}

/// What a public key is made of: the kind of key, and its numbers in the order in which COSE has them.
///
/// A key that comes twice in one registration, as COSE_Key and in a certificate or a TPM's structure, is compared by
/// this and never by the bytes around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyNumbers {
    /// Names the curve or kind of the key.
    pub(crate) algorithm: Algorithm,
    /// Big-endian, without leading zeros.
    numbers: Vec<Vec<u8>>,
}

impl KeyNumbers {
    pub(crate) fn new(algorithm: Algorithm, numbers: &[&[u8]]) -> Self {
        Self {
            algorithm,
            numbers: numbers
                .iter()
                .map(|number| without_leading_zeros(number).to_vec())
                .collect(),
        }
    }

    /// The point of a key on P-256, uncompressed; `None` for any other key.
    pub(crate) fn p256_point(&self) -> Option<[u8; 65]> {
        let (Algorithm::Es256, [x, y]) = (self.algorithm, &self.numbers[..]) else {
            return None;
        };
        let mut point = [0; 65];
        point[0] = SEC1_UNCOMPRESSED;
        let x_start = 33_usize.checked_sub(x.len())?;
        let y_start = 65_usize.checked_sub(y.len())?;
        point[x_start..33].copy_from_slice(x);
        point[y_start..].copy_from_slice(y);
        Some(point)
    }
}

fn parsed(
    verification: &'static dyn VerificationAlgorithm,
    bytes: &[u8],
) -> Result<PublicKey, Denial> {
    ParsedPublicKey::new(verification, bytes)
        .map(PublicKey)
        .map_err(|_| Denial::PublicKeyMalformed)
}

/// Whether a public key is one of Ed25519's points of order 1, 2, 4 or 8, in any encoding.
///
/// Under such a key one signature fits many messages. With the sign bit cleared there are seven encodings:
/// five canonical `y` and the two that fit below 2²⁵⁵ after adding the prime.
fn is_small_order(x: &[u8]) -> bool {
    let Ok(mut y) = <[u8; 32]>::try_from(x) else {
        return false;
    };
    y[31] &= 0x7f;
    ED25519_SMALL_ORDER_Y.contains(&y)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// The length in bits of a big-endian number without leading zeros.
fn bits(number: &[u8]) -> usize {
    match number.first() {
        Some(first) => number.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

const SEC1_UNCOMPRESSED: u8 = 4;

/// Below 2048 bits a key can be factored with effort; above 8192 verification costs too much.
const RSA_MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// From 3 (two bits) to what aws-lc verifies in bounded time; odd is checked beside it.
const RSA_EXPONENT_BITS: std::ops::RangeInclusive<usize> = 2..=33;

const ED25519_SMALL_ORDER_Y: [[u8; 32]; 7] = {
    let mut one = [0; 32];
    one[0] = 1;
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    let mut minus_one = prime;
    minus_one[0] = 0xec;
    let mut prime_plus_one = prime;
    prime_plus_one[0] = 0xee;
    [
        [0; 32],
        one,
        minus_one,
        prime,
        prime_plus_one,
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
    ]
};

/// Labels of COSE_Key parameters (RFC 9052 table 4, RFC 9053 tables 19 and 20, RFC 8230 table 4).
mod label {
    pub(super) const KTY: i128 = 1;
    pub(super) const ALG: i128 = 3;
    pub(super) const CRV: i128 = -1;
    pub(super) const X: i128 = -2;
    pub(super) const Y: i128 = -3;
    pub(super) const D: i128 = -4;
    pub(super) const N: i128 = -1;
    pub(super) const E: i128 = -2;
    pub(super) const RSA_PRIVATE: [i128; 10] = [-3, -4, -5, -6, -7, -8, -9, -10, -11, -12];
}

mod key_type {
    pub(super) const OKP: i128 = 1;
    pub(super) const EC2: i128 = 2;
    pub(super) const RSA: i128 = 3;
}

mod curve {
    pub(super) const P256: i128 = 1;
    pub(super) const P384: i128 = 2;
    pub(super) const P521: i128 = 3;
    pub(super) const ED25519: i128 = 6;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::{Item, SigningKey};

    fn read(key: &Item, algorithm: Algorithm) -> Result<PublicKey, Denial> {
        CoseKey::read(&key.encode())?.public_key(algorithm)
    }

    #[test]
    fn a_cose_number_and_its_algorithm_lead_to_each_other() {
        for algorithm in Algorithm::ALL {
            assert_eq!(
                Algorithm::from_cose_id(algorithm.cose_id()),
                Some(algorithm)
            );
            let json = serde_json::to_value(algorithm).unwrap();
            assert_eq!(json, algorithm.cose_id());
            assert_eq!(
                serde_json::from_value::<Algorithm>(json).unwrap(),
                algorithm
            );
        }
        for other in [0, 7, -47, -65535, -37, -53, -48, -49, -50, -9, -19] {
            assert_eq!(Algorithm::from_cose_id(other), None);
        }
    }

    #[test]
    fn a_key_of_each_algorithm_verifies_its_own_signature_only() {
        for algorithm in Algorithm::ALL {
            let ours = SigningKey::from_seed(algorithm, "ours");
            let other = SigningKey::from_seed(algorithm, "other");
            let key = read(&ours.cose_key(), algorithm).unwrap();
            assert_eq!(key.verify(b"message", &ours.sign(b"message")), Ok(()));
            for signature in [other.sign(b"message"), ours.sign(b"massage"), vec![]] {
                assert_eq!(
                    key.verify(b"message", &signature),
                    Err(Denial::SignatureBad)
                );
            }
        }
    }

    #[test]
    fn a_key_that_does_not_fit_its_algorithm_is_malformed() {
        for ours in Algorithm::ALL {
            for other in Algorithm::ALL {
                let key = SigningKey::from_seed(other, "other").cose_key();
                let verdict = read(&key, ours).map(|_| ());
                let expected = if ours == other {
                    Ok(())
                } else {
                    Err(Denial::PublicKeyMalformed)
                };
                assert_eq!(verdict, expected, "{other:?} for {ours:?}");
            }
        }
    }

    #[test]
    fn a_key_from_elsewhere_is_judged_like_a_registered_one() {
        for algorithm in Algorithm::ALL {
            let mut key = SigningKey::from_seed(algorithm, "ours").cose_key();
            assert_eq!(check_public_key(&key.encode()), Ok(algorithm));
            key.set(Item::Int(1), Item::Int(9));
            assert_eq!(
                check_public_key(&key.encode()),
                Err(Denial::PublicKeyMalformed)
            );
            key.set(Item::Int(3), Item::Int(-9));
            assert_eq!(
                check_public_key(&key.encode()),
                Err(Denial::AlgorithmNotOffered)
            );
        }
    }

    #[test]
    fn an_algorithm_must_be_named_by_a_number() {
        let mut key = SigningKey::from_seed(Algorithm::Es256, "ours").cose_key();
        for wrong in [Item::text("ES256"), Item::Bytes(vec![7]), Item::Bool(true)] {
            key.set(Item::Int(3), wrong);
            assert_eq!(
                CoseKey::read(&key.encode()).unwrap_err(),
                Denial::PublicKeyMalformed
            );
        }
        key.remove(&Item::Int(3));
        assert_eq!(
            CoseKey::read(&key.encode()).unwrap_err(),
            Denial::PublicKeyMalformed
        );
        // −2⁶⁴, the smallest that CBOR can say, is a number and simply not known.
        key.set(Item::Int(3), Item::Raw([&[0x3b][..], &[0xff; 8]].concat()));
        let bytes = key.encode();
        assert_eq!(CoseKey::read(&bytes).unwrap().algorithm(), None);
    }

    #[test]
    fn a_broken_elliptic_curve_key_is_malformed() {
        const P256_PRIME: [u8; 32] = [
            0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff,
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ];
        for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
            let good = SigningKey::from_seed(algorithm, "ours").cose_key();
            let coordinate = |label: i64| {
                let mut good = good.clone();
                let entry = good
                    .entries()
                    .iter()
                    .find(|(key, _)| *key == Item::Int(label));
                match entry {
                    Some((_, Item::Bytes(bytes))) => bytes.clone(),
                    other => panic!("no coordinate: {other:?}"),
                }
            };
            let (x, y) = (coordinate(-2), coordinate(-3));
            let changed = |label: i64, value: Item| {
                let mut key = good.clone();
                key.set(Item::Int(label), value);
                key
            };
            let without = |label: i64| {
                let mut key = good.clone();
                key.remove(&Item::Int(label));
                key
            };
            let mut off_curve = y.clone();
            off_curve[5] ^= 1;
            let mut zero = changed(-2, Item::Bytes(vec![0; x.len()]));
            zero.set(Item::Int(-3), Item::Bytes(vec![0; x.len()]));
            let mut twice = good.clone();
            twice
                .entries()
                .push((Item::Int(-2), Item::Bytes(x.clone())));
            let table = [
                ("off the curve", changed(-3, Item::Bytes(off_curve))),
                ("zero", zero),
                ("x short", changed(-2, Item::Bytes(x[1..].to_vec()))),
                ("y short", changed(-3, Item::Bytes(y[1..].to_vec()))),
                ("x long", changed(-2, Item::Bytes([&[0], &x[..]].concat()))),
                ("y long", changed(-3, Item::Bytes([&[0], &y[..]].concat()))),
                ("x all ones", changed(-2, Item::Bytes(vec![0xff; x.len()]))),
                ("y is a sign", changed(-3, Item::Bool(true))),
                ("without x", without(-2)),
                ("without y", without(-3)),
                ("without curve", without(-1)),
                ("without type", without(1)),
                ("x twice", twice),
                ("private part", changed(-4, Item::Bytes(vec![1; x.len()]))),
                ("another curve", changed(-1, Item::Int(8))),
                ("curve by name", changed(-1, Item::text("P-256"))),
            ];
            for (what, key) in table {
                assert_eq!(
                    read(&key, algorithm).unwrap_err(),
                    Denial::PublicKeyMalformed,
                    "{algorithm:?}: {what}"
                );
            }
        }
        let mut key = SigningKey::from_seed(Algorithm::Es256, "ours").cose_key();
        key.set(Item::Int(-2), Item::Bytes(P256_PRIME.to_vec()));
        assert_eq!(
            read(&key, Algorithm::Es256).unwrap_err(),
            Denial::PublicKeyMalformed
        );
    }

    #[test]
    fn a_broken_ed25519_key_is_malformed() {
        let good = SigningKey::from_seed(Algorithm::EdDsa, "ours").cose_key();
        let with = |label: i64, value: Item| {
            let mut key = good.clone();
            key.set(Item::Int(label), value);
            key
        };
        let table = [
            ("31 bytes", with(-2, Item::Bytes(vec![9; 31]))),
            ("33 bytes", with(-2, Item::Bytes(vec![9; 33]))),
            ("private part", with(-4, Item::Bytes(vec![9; 32]))),
            ("Ed448", with(-1, Item::Int(7))),
            ("X25519", with(-1, Item::Int(4))),
        ];
        for (what, key) in table {
            let denial = read(&key, Algorithm::EdDsa).unwrap_err();
            assert_eq!(denial, Denial::PublicKeyMalformed, "{what}");
        }
    }

    #[test]
    fn an_ed25519_key_of_small_order_is_weak() {
        let canonical = hex_list(&testdata()["ed25519_small_order_y"]);
        assert_eq!(canonical.len(), 5);
        let mut prime = [0xff; 32];
        (prime[0], prime[31]) = (0xed, 0x7f);
        let mut prime_plus_one = prime;
        prime_plus_one[0] = 0xee;
        for y in canonical
            .into_iter()
            .chain([prime.to_vec(), prime_plus_one.to_vec()])
        {
            for sign in [0, 0x80] {
                let mut x = y.clone();
                x[31] |= sign;
                let mut key = SigningKey::from_seed(Algorithm::EdDsa, "ours").cose_key();
                key.set(Item::Int(-2), Item::Bytes(x.clone()));
                let denial = read(&key, Algorithm::EdDsa).unwrap_err();
                assert_eq!(denial, Denial::PublicKeyWeak, "{x:02x?}");
            }
        }
    }

    #[test]
    fn nothing_verifies_under_an_ed25519_key_that_is_no_point() {
        let ours = SigningKey::from_seed(Algorithm::EdDsa, "ours");
        for y in [2, 7, 8, 11, 12, 13, 17, 20, 22] {
            let mut x = [0; 32];
            x[0] = y;
            let mut key = ours.cose_key();
            key.set(Item::Int(-2), Item::Bytes(x.to_vec()));
            let key = read(&key, Algorithm::EdDsa).unwrap();
            for signature in [ours.sign(b"message"), vec![0; 64], [x, [0; 32]].concat()] {
                assert_eq!(
                    key.verify(b"message", &signature),
                    Err(Denial::SignatureBad)
                );
            }
        }
    }

    #[test]
    fn an_rsa_key_outside_the_bounds_is_weak() {
        let odd = |bytes: usize| {
            let mut n = vec![0xff; bytes];
            n[bytes - 1] = 0xf1;
            n
        };
        let one_bit_short = [&[0x7f][..], &odd(255)].concat();
        let even = [&odd(255)[..], &[0xf0]].concat();
        let moduli = [
            ("1024 bits", odd(128)),
            ("2047 bits", one_bit_short),
            ("even", even),
            ("zero", vec![0; 256]),
            ("empty", vec![]),
            ("8193 bits", [&[1][..], &odd(1024)].concat()),
            ("a mebibyte", odd(1 << 20)),
            ("padded to size", [vec![0; 128], odd(128)].concat()),
        ];
        for (what, n) in moduli {
            let denial = read(&rsa_key(&n, &[1, 0, 1]), Algorithm::Rs256).unwrap_err();
            assert_eq!(denial, Denial::PublicKeyWeak, "modulus {what}");
        }
        let exponents = [
            ("empty", vec![]),
            ("zero", vec![0]),
            ("one", vec![1]),
            ("two", vec![2]),
            ("even", vec![1, 0, 0]),
            ("34 bits", vec![2, 0, 0, 0, 1]),
            ("larger than the modulus", odd(257)),
            ("a mebibyte", odd(1 << 20)),
        ];
        for (what, e) in exponents {
            let denial = read(&rsa_key(&odd(256), &e), Algorithm::Rs256).unwrap_err();
            assert_eq!(denial, Denial::PublicKeyWeak, "exponent {what}");
        }
    }

    #[test]
    fn an_rsa_key_with_parts_missing_or_private_is_malformed() {
        let good = SigningKey::from_seed(Algorithm::Rs256, "ours").cose_key();
        assert!(read(&good, Algorithm::Rs256).is_ok());
        for label in [1, -1, -2] {
            let mut key = good.clone();
            key.remove(&Item::Int(label));
            let denial = read(&key, Algorithm::Rs256).unwrap_err();
            assert_eq!(denial, Denial::PublicKeyMalformed, "without {label}");
        }
        for label in [-3, -4, -8, -12] {
            let mut key = good.clone();
            key.set(Item::Int(label), Item::Bytes(vec![3]));
            let denial = read(&key, Algorithm::Rs256).unwrap_err();
            assert_eq!(denial, Denial::PublicKeyMalformed, "with {label}");
        }
    }

    #[test]
    fn rsa_keys_of_all_sizes_and_both_usual_exponents_verify() {
        let data = testdata();
        let message = hex(&data["message"]);
        for key in data["rsa"].as_array().unwrap() {
            let public_key = read(&rsa_key(&hex(&key["n"]), &hex(&key["e"])), Algorithm::Rs256)
                .unwrap_or_else(|denial| panic!("{denial}: {}", key["modulus_bits"]));
            let signature = hex(&key["signature"]);
            assert_eq!(public_key.verify(&message, &signature), Ok(()));
            let denied = public_key.verify(b"another message", &signature);
            assert_eq!(denied, Err(Denial::SignatureBad));
        }
    }

    #[test]
    fn a_broken_rsa_signature_is_bad() {
        let data = testdata();
        let broken = &data["rsa_broken"];
        let key = rsa_key(&hex(&broken["n"]), &hex(&broken["e"]));
        let key = read(&key, Algorithm::Rs256).unwrap();
        let message = hex(&data["message"]);
        for (what, signature) in broken["signatures"].as_object().unwrap() {
            let verdict = key.verify(&message, &hex(signature));
            assert_eq!(verdict, Err(Denial::SignatureBad), "{what}");
        }
    }

    #[test]
    fn a_broken_ed25519_signature_is_bad() {
        let data = testdata();
        let ed25519 = &data["ed25519"];
        let message = hex(&data["message"]);
        let signing = SigningKey::ed25519(&hex(&ed25519["seed"]));
        let key = read(&signing.cose_key(), Algorithm::EdDsa).unwrap();
        assert_eq!(signing.sign(&message), hex(&ed25519["signature"]));
        assert_eq!(key.verify(&message, &hex(&ed25519["signature"])), Ok(()));
        for (what, signature) in ed25519["broken"].as_object().unwrap() {
            let verdict = key.verify(&message, &hex(signature));
            assert_eq!(verdict, Err(Denial::SignatureBad), "{what}");
        }
    }

    #[test]
    fn an_ecdsa_signature_must_be_strict_der_in_range() {
        let signing = SigningKey::from_seed(Algorithm::Es256, "ours");
        let key = read(&signing.cose_key(), Algorithm::Es256).unwrap();
        let (r, s) = loop {
            // Both without a leading zero in DER, so that adding one is an excess.
            let (r, s) = ecdsa_integers(&signing.sign(b"message"));
            if r.len() == 32 && s.len() == 32 {
                break (r, s);
            }
        };
        let good = ecdsa_der(&r, &s);
        assert_eq!(key.verify(b"message", &good), Ok(()));

        let mut negative = r.clone();
        negative[0] |= 0x80;
        let behind = [&good[..], &[0]].concat();
        let inside = [&[0x30, good[1] + 1], &good[2..], &[0]].concat();
        let long_length = [&[0x30, 0x81], &good[1..]].concat();
        let table = [
            ("raw r and s", [&r[..], &s].concat()),
            ("a byte behind", behind),
            ("a byte behind, counted", inside),
            ("BER long length", long_length),
            ("negative r", ecdsa_der(&negative, &s)),
            (
                "r of 33 bytes without need",
                ecdsa_der(&[&[0], &r[..]].concat(), &s),
            ),
            (
                "s of 33 bytes without need",
                ecdsa_der(&r, &[&[0], &s[..]].concat()),
            ),
            ("r = 0", ecdsa_der(&[0], &s)),
            ("s = 0", ecdsa_der(&r, &[0])),
            ("r = s = 0", ecdsa_der(&[0], &[0])),
            ("r = s = 0 without bytes", ecdsa_der(&[], &[])),
            ("r = n", ecdsa_der(&[&[0], &P256_ORDER[..]].concat(), &s)),
            ("s = n", ecdsa_der(&r, &[&[0], &P256_ORDER[..]].concat())),
            ("r = s = n", {
                let n = [&[0], &P256_ORDER[..]].concat();
                ecdsa_der(&n, &n)
            }),
            ("r = s = 1", ecdsa_der(&[1], &[1])),
            (
                "indefinite length",
                [&[0x30, 0x80], &good[2..], &[0, 0]].concat(),
            ),
            ("a set", [&[0x31], &good[1..]].concat()),
            ("cut", good[..good.len() - 1].to_vec()),
            ("all zero", vec![0; 64]),
            ("empty", vec![]),
        ];
        for (what, signature) in table {
            let verdict = key.verify(b"message", &signature);
            assert_eq!(verdict, Err(Denial::SignatureBad), "{what}");
        }
    }

    #[test]
    fn an_ecdsa_signature_may_have_either_s() {
        let signing = SigningKey::from_seed(Algorithm::Es256, "ours");
        let key = read(&signing.cose_key(), Algorithm::Es256).unwrap();
        let (r, s) = ecdsa_integers(&signing.sign(b"message"));
        let other_s = order_minus(&s);
        for s in [s, other_s] {
            assert_eq!(key.verify(b"message", &ecdsa_der(&r, &s)), Ok(()));
        }
    }

    const P256_ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
        0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];

    /// The contents of the two DER integers, sign byte included.
    fn ecdsa_integers(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let r_end = 4 + usize::from(der[3]);
        (der[4..r_end].to_vec(), der[r_end + 2..].to_vec())
    }

    fn ecdsa_der(r: &[u8], s: &[u8]) -> Vec<u8> {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let body = [&[2, length(r)], r, &[2, length(s)], s].concat();
        [&[0x30, length(&body)], &body[..]].concat()
    }

    /// The order of P-256 minus a DER integer, as a DER integer.
    fn order_minus(s: &[u8]) -> Vec<u8> {
        let mut padded = [0; 32];
        let s = without_leading_zeros(s);
        padded[32 - s.len()..].copy_from_slice(s);
        let mut difference = vec![0; 32];
        let mut borrow = 0;
        for i in (0..32).rev() {
            let value = i16::from(P256_ORDER[i]) - i16::from(padded[i]) - borrow;
            borrow = i16::from(value < 0);
            difference[i] = u8::try_from(value.rem_euclid(256)).unwrap();
        }
        let mut integer = without_leading_zeros(&difference).to_vec();
        if integer[0] & 0x80 != 0 {
            integer.insert(0, 0);
        }
        integer
    }

    fn rsa_key(n: &[u8], e: &[u8]) -> Item {
        Item::Map(vec![
            (Item::Int(1), Item::Int(3)),
            (Item::Int(3), Item::Int(-257)),
            (Item::Int(-1), Item::Bytes(n.to_vec())),
            (Item::Int(-2), Item::Bytes(e.to_vec())),
        ])
    }

    fn testdata() -> serde_json::Value {
        serde_json::from_str(include_str!("../testdata/signatures.json")).unwrap()
    }

    fn hex_list(json: &serde_json::Value) -> Vec<Vec<u8>> {
        json.as_array().unwrap().iter().map(hex).collect()
    }

    fn hex(json: &serde_json::Value) -> Vec<u8> {
        let digits = json.as_str().unwrap();
        (0..digits.len())
            .step_by(2)
            .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
            .collect()
    }
}
