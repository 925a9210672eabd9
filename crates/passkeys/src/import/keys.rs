//! Bytes and public keys as other systems write them. A key of any form becomes
//! the stored one, COSE_Key in CBOR, and is judged by the rules of a registration.

use std::convert::Infallible;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use minicbor::Encoder;
use pkcs1::RsaPublicKeyRef;
use serde_json::Value;
use spki::{
    ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{Decode as _, Document},
};
use webauthn::{Algorithm, Denial, check_public_key};

/// A key that ceremonies can verify with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// COSE_Key in CBOR.
    pub(crate) cose: Vec<u8>,
    pub(crate) algorithm: Algorithm,
}

/// Reads a key, recognized by its content: a JWK (an object, or its text), a PEM
/// text, or a COSE_Key or SubjectPublicKeyInfo in base64url, base64 or hex.
/// The error is for the person who runs the import.
pub(crate) fn read(key: &Value) -> Result<PublicKey, String> {
    let cose = match key {
        Value::Object(_) => jwk(key)?,
        Value::String(text) => of_text(text.trim())?,
        _ => return Err("the public key is neither a text nor an object".into()),
    };
    let algorithm = check_public_key(&cose).map_err(|denial| {
        match denial {
            Denial::AlgorithmNotOffered => "the algorithm of the public key is not supported",
            Denial::PublicKeyWeak => "the public key is too weak",
            _ => "the public key is not a key of its algorithm",
        }
        .to_owned()
    })?;
    Ok(PublicKey { cose, algorithm })
}

/// How bytes are written in a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// base64url or base64, padded or not.
    #[default]
    Base64,
    /// Hexadecimal digits.
    Hex,
}

impl Encoding {
    /// Nothing when the text is not written so.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Base64 => {
                let text: String = text
                    .chars()
                    .filter(|character| !character.is_ascii_whitespace())
                    .map(|character| match character {
                        '+' => '-',
                        '/' => '_',
                        other => other,
                    })
                    .collect();
                BASE64.decode(text).ok()
            }
            Encoding::Hex => hex::decode(text.trim()).ok(),
        }
    }
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn of_text(text: &str) -> Result<Vec<u8>, String> {
    if text.starts_with("-----BEGIN") {
        let (label, document) =
            Document::from_pem(text).map_err(|_| "the public key is not a PEM text".to_owned())?;
        if label != "PUBLIC KEY" {
            return Err(format!(
                "the public key is a PEM text of another kind: {label}"
            ));
        }
        return subject_public_key_info(document.as_bytes());
    }
    if text.starts_with('{') {
        let key = serde_json::from_str(text)
            .map_err(|_| "the public key is neither a JWK nor another key".to_owned())?;
        return jwk(&key);
    }
    // Digits that are hexadecimal are base64 as well, but never of a key in it:
    // the first byte would not be that of either form.
    [Encoding::Hex, Encoding::Base64]
        .into_iter()
        .filter_map(|encoding| encoding.decode(text))
        .find_map(|bytes| match bytes.first()? {
            // A map of CBOR.
            0xa0..=0xbf => Some(Ok(bytes)),
            // A sequence of DER.
            0x30 => Some(subject_public_key_info(&bytes)),
            _ => None,
        })
        .unwrap_or_else(|| {
            Err("the public key is neither COSE nor SPKI, in base64url, base64 or hex".into())
        })
}

fn subject_public_key_info(der: &[u8]) -> Result<Vec<u8>, String> {
    let malformed = || "the public key is not a SubjectPublicKeyInfo".to_owned();
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| malformed())?;
    let key = info.subject_public_key.as_bytes().ok_or_else(malformed)?;
    match info.algorithm.oid {
        ID_EC_PUBLIC_KEY => {
            let curve = info
                .algorithm
                .parameters_oid()
                .ok()
                .and_then(|oid| Curve::ALL.into_iter().find(|curve| curve.oid() == oid))
                .ok_or("the curve of the public key is not supported")?;
            let Some((&SEC1_UNCOMPRESSED, coordinates)) = key.split_first() else {
                return Err("the point of the public key is not in the uncompressed form".into());
            };
            if coordinates.len() != 2 * curve.size_bytes() {
                return Err(malformed());
            }
            let (x, y) = coordinates.split_at(curve.size_bytes());
            Ok(cose_ec2(curve, x, y))
        }
        ID_ED25519 => Ok(cose_ed25519(key)),
        RSA_ENCRYPTION => {
            let key = RsaPublicKeyRef::from_der(key).map_err(|_| malformed())?;
            Ok(cose_rsa(
                key.modulus.as_bytes(),
                key.public_exponent.as_bytes(),
            ))
        }
        _ => Err("the algorithm of the public key is not supported".into()),
    }
}

/// RFC 7517, with the parameters of RFC 7518 and RFC 8037.
fn jwk(key: &Value) -> Result<Vec<u8>, String> {
    if key.get("d").is_some() {
        return Err("the JWK has a private part; give the public one".into());
    }
    let word = |name: &str| key.get(name).and_then(Value::as_str);
    let number = |name: &str| {
        word(name)
            .and_then(|text| Encoding::Base64.decode(text))
            .ok_or_else(|| format!("the JWK has no usable member {name}"))
    };
    let (cose, algorithm) = match (word("kty"), word("crv")) {
        (Some("EC"), Some(name)) => {
            let curve = Curve::ALL
                .into_iter()
                .find(|curve| curve.name() == name)
                .ok_or_else(|| format!("the curve {name} is not supported"))?;
            let x = padded(number("x")?, curve.size_bytes());
            let y = padded(number("y")?, curve.size_bytes());
            (cose_ec2(curve, &x, &y), curve.algorithm_name())
        }
        (Some("OKP"), Some("Ed25519")) => (cose_ed25519(&number("x")?), "EdDSA"),
        (Some("RSA"), _) => (cose_rsa(&number("n")?, &number("e")?), "RS256"),
        _ => return Err("the JWK is of a kind that is not supported".into()),
    };
    match word("alg") {
        Some(named) if named != algorithm && !(named == "Ed25519" && algorithm == "EdDSA") => {
            Err(format!("the algorithm {named} of the JWK is not supported"))
        }
        _ => Ok(cose),
    }
}

/// Some writers drop the zeros at the beginning of a coordinate.
fn padded(coordinate: Vec<u8>, size_bytes: usize) -> Vec<u8> {
    let missing = size_bytes.saturating_sub(coordinate.len());
    [vec![0; missing], coordinate].concat()
}

/// A curve of ECDSA.
#[derive(Clone, Copy)]
enum Curve {
    P256 = 1,
    P384 = 2,
    P521 = 3,
}

impl Curve {
    const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    fn oid(self) -> ObjectIdentifier {
        match self {
            Curve::P256 => ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"),
            Curve::P384 => ObjectIdentifier::new_unwrap("1.3.132.0.34"),
            Curve::P521 => ObjectIdentifier::new_unwrap("1.3.132.0.35"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        }
    }

    fn size_bytes(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Curve::P256 => Algorithm::Es256,
            Curve::P384 => Algorithm::Es384,
            Curve::P521 => Algorithm::Es512,
        }
    }

    fn algorithm_name(self) -> &'static str {
        match self {
            Curve::P256 => "ES256",
            Curve::P384 => "ES384",
            Curve::P521 => "ES512",
        }
    }
}

fn cose_ec2(curve: Curve, x: &[u8], y: &[u8]) -> Vec<u8> {
    cose(&[
        (1, Parameter::Int(2)),
        (3, Parameter::Int(curve.algorithm().cose_id())),
        (-1, Parameter::Int(curve as i64)),
        (-2, Parameter::Bytes(x)),
        (-3, Parameter::Bytes(y)),
    ])
}

fn cose_ed25519(x: &[u8]) -> Vec<u8> {
    cose(&[
        (1, Parameter::Int(1)),
        (3, Parameter::Int(Algorithm::EdDsa.cose_id())),
        (-1, Parameter::Int(6)),
        (-2, Parameter::Bytes(x)),
    ])
}

fn cose_rsa(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    cose(&[
        (1, Parameter::Int(3)),
        (3, Parameter::Int(Algorithm::Rs256.cose_id())),
        (-1, Parameter::Bytes(modulus)),
        (-2, Parameter::Bytes(exponent)),
    ])
}

/// The value of a label of COSE_Key.
enum Parameter<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

fn cose(parameters: &[(i64, Parameter<'_>)]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    let written: Result<(), minicbor::encode::Error<Infallible>> = (|| {
        encoder.map(parameters.len() as u64)?;
        for (label, parameter) in parameters {
            encoder.i64(*label)?;
            match parameter {
                Parameter::Int(number) => encoder.i64(*number)?,
                Parameter::Bytes(bytes) => encoder.bytes(bytes)?,
            };
        }
        Ok(())
    })();
    written.expect("memory takes every item");
    encoder.into_writer()
}

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

const SEC1_UNCOMPRESSED: u8 = 4;

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;
    use webauthn::forge::{Item, SigningKey};

    use super::*;

    /// A parameter of a COSE_Key.
    fn parameter(key: &mut Item, label: i64) -> Vec<u8> {
        match key.entries().iter().find(|(k, _)| *k == Item::Int(label)) {
            Some((_, Item::Bytes(bytes))) => bytes.clone(),
            other => panic!("no bytes: {other:?}"),
        }
    }

    /// The same key as a JWK and as SubjectPublicKeyInfo.
    fn other_forms(key: &mut Item, algorithm: Algorithm) -> (Value, Vec<u8>) {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let ec = |key: &mut Item, name: &str, alg: &str, header: &str| {
            let (x, y) = (parameter(key, -2), parameter(key, -3));
            let jwk = json!({"kty": "EC", "crv": name, "alg": alg, "x": text(&x), "y": text(&y)});
            let spki = [hex::decode(header).unwrap(), vec![4], x, y].concat();
            (jwk, spki)
        };
        match algorithm {
            Algorithm::Es256 => ec(
                key,
                "P-256",
                "ES256",
                "3059301306072a8648ce3d020106082a8648ce3d030107034200",
            ),
            Algorithm::Es384 => ec(
                key,
                "P-384",
                "ES384",
                "3076301006072a8648ce3d020106052b81040022036200",
            ),
            Algorithm::Es512 => ec(
                key,
                "P-521",
                "ES512",
                "30819b301006072a8648ce3d020106052b8104002303818600",
            ),
            Algorithm::EdDsa => {
                let x = parameter(key, -2);
                let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": text(&x)});
                let header = hex::decode("302a300506032b6570032100").unwrap();
                (jwk, [header, x].concat())
            }
            Algorithm::Rs256 => {
                let (n, e) = (parameter(key, -1), parameter(key, -2));
                let jwk = json!({"kty": "RSA", "n": text(&n), "e": text(&e), "use": "sig"});
                assert_eq!((n.len(), e.len(), n[0] >> 7), (256, 3, 1));
                let header = "30820122300d06092a864886f70d01010105000382010f003082010a0282010100";
                let spki = [hex::decode(header).unwrap(), n, vec![2, 3], e].concat();
                (jwk, spki)
            }
        }
    }

    #[test]
    fn a_key_is_the_same_in_whatever_form_it_comes() {
        for algorithm in Algorithm::ALL {
            let mut key = SigningKey::from_seed(algorithm, "ann").cose_key();
            let cose = key.encode();
            let (jwk, spki) = other_forms(&mut key, algorithm);
            let pem = format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
                BASE64_STANDARD
                    .encode(&spki)
                    .as_bytes()
                    .chunks(64)
                    .map(|line| std::str::from_utf8(line).unwrap())
                    .collect::<Vec<_>>()
                    .join("\n")
            );
            let mut forms = vec![jwk.clone(), json!(jwk.to_string()), json!(pem)];
            for bytes in [&cose, &spki] {
                forms.extend([
                    json!(BASE64_URL_SAFE_NO_PAD.encode(bytes)),
                    json!(BASE64_STANDARD.encode(bytes)),
                    json!(hex::encode(bytes)),
                    json!(hex::encode_upper(bytes)),
                ]);
            }
            for form in forms {
                let read = read(&form).unwrap_or_else(|error| panic!("{form}: {error}"));
                assert_eq!(read.algorithm, algorithm, "{form}");
                assert_eq!(
                    check_public_key(&read.cose),
                    Ok(algorithm),
                    "{form} of {algorithm:?}"
                );
                assert_eq!(read.cose, cose, "{form}");
            }
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_reason() {
        let mut key = SigningKey::from_seed(Algorithm::Es256, "ann").cose_key();
        let (mut jwk, spki) = other_forms(&mut key, Algorithm::Es256);
        let compressed = [&spki[..26], &[2], &spki[27..59]].concat();
        let mut off_curve = spki.clone();
        off_curve[40] ^= 1;
        let mut cases = vec![
            (json!(null), "neither a text nor an object"),
            (json!(7), "neither a text nor an object"),
            (json!(""), "neither COSE nor SPKI"),
            (json!("a!"), "neither COSE nor SPKI"),
            (json!("zzzz"), "neither COSE nor SPKI"),
            (json!("oA"), "not a key"),
            (json!("{"), "neither a JWK"),
            (json!({}), "not supported"),
            (json!({"kty": "oct", "k": "AA"}), "not supported"),
            (json!({"kty": "EC", "crv": "secp256k1"}), "secp256k1"),
            (json!({"kty": "RSA", "n": "AQAB", "e": "AQAB"}), "too weak"),
            (json!({"kty": "OKP", "crv": "Ed25519"}), "member x"),
            (json!(hex::encode(&spki[..60])), "SubjectPublicKeyInfo"),
            (json!(hex::encode(compressed)), ""),
            (json!(hex::encode(off_curve)), "not a key"),
            (
                json!("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"),
                "CERTIFICATE",
            ),
            (json!("-----BEGIN PUBLIC KEY-----"), "PEM"),
        ];
        jwk["alg"] = json!("ES384");
        cases.push((jwk.clone(), "ES384"));
        jwk["d"] = json!("AA");
        cases.push((jwk, "private part"));
        for (form, reason) in cases {
            let error = read(&form).unwrap_err();
            assert!(error.contains(reason), "{form}: {error}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_a_key_that_a_registration_accepts_or_refused(
            first in prop_oneof![Just(0x30_u8), 0xa0..=0xbf_u8],
            rest in vec(any::<u8>(), 0..100),
        ) {
            let bytes = [vec![first], rest].concat();
            if let Ok(key) = read(&json!(hex::encode(bytes))) {
                prop_assert_eq!(check_public_key(&key.cose), Ok(key.algorithm));
            }
        }

        #[test]
        fn a_key_with_a_byte_changed_is_of_its_algorithm_or_refused(
            at in 0..91_usize,
            byte in any::<u8>(),
        ) {
            let mut key = SigningKey::from_seed(Algorithm::Es256, "ann").cose_key();
            let (_, mut spki) = other_forms(&mut key, Algorithm::Es256);
            spki[at] = byte;
            if let Ok(key) = read(&json!(hex::encode(spki))) {
                prop_assert_eq!(key.algorithm, Algorithm::Es256);
            }
        }
    }

    #[test]
    fn bytes_come_padded_or_not_in_either_alphabet_or_as_hex() {
        for text in ["-_8", "-_8=", "+/8", "+/8=", "+/\n8="] {
            assert_eq!(Encoding::Base64.decode(text), Some(vec![0xfb, 0xff]));
        }
        assert_eq!(Encoding::Hex.decode("fbFF"), Some(vec![0xfb, 0xff]));
        assert_eq!(Encoding::Base64.decode("-_8 !"), None);
        assert_eq!(Encoding::Hex.decode("fbf"), None);
    }
}
