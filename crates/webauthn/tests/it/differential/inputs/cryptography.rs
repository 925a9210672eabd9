//! Public keys that do not fit, protect nothing or are none, and signatures that are not the credential's.

use aws_lc_rs::digest::{SHA256, digest};
use webauthn::Algorithm;
use webauthn::forge::{Item, SigningKey};

use super::{COMMON, Inputs, holder, site};
use crate::site::authenticator;

pub(super) fn public_keys(inputs: &mut Inputs) {
    let site = site();
    // Algorithms that are not offered, by either or by this site.
    let es512 = SigningKey::from_seed(Algorithm::Es512, "ours").cose_key();
    let mut offering = site.clone();
    offering.algorithms.push(Algorithm::Es512);
    for site in [&site, &offering] {
        inputs.registration("ES512", site, Algorithm::Es256, |forged| {
            forged.attested().public_key = es512.encode();
        });
    }
    for offered in COMMON {
        let mut site = site.clone();
        site.algorithms = vec![offered];
        for algorithm in COMMON {
            inputs.registration("offered or not", &site, algorithm, |_| {});
        }
    }
    for algorithm in COMMON {
        let key = authenticator(algorithm).key.cose_key();
        let mut set = |what: &str, label: i64, value: Item| {
            inputs.registration(what, &site, algorithm, |forged| {
                let mut key = key.clone();
                key.set(Item::Int(label), value);
                forged.attested().public_key = key.encode();
            });
        };
        for number in [-7, -8, -9, -19, -35, -36, -37, -47, -48, -53, -257, -65535] {
            set(&format!("algorithm {number}"), 3, Item::Int(number));
        }
        for number in 0..5 {
            set(&format!("key type {number}"), 1, Item::Int(number));
        }
        for number in -4..9 {
            set(&format!("curve {number}"), -1, Item::Int(number));
        }
        set("a sign for y", -3, Item::Bool(true));
        for length in [0, 31, 32, 33, 47, 48, 49, 66] {
            for label in [-1, -2, -3, -4] {
                for byte in [0, 1, 0xff] {
                    set(
                        &format!("{length} bytes of {byte} at {label}"),
                        label,
                        Item::Bytes(vec![byte; length]),
                    );
                }
            }
        }
    }
    for at in 0..64 {
        inputs.registration("off the curve", &site, Algorithm::Es256, |forged| {
            let length = forged.attested().public_key.len();
            forged.attested().public_key[length - 1 - at] ^= 1;
        });
    }
    // Every y below 256, and of each the largest that have the same low byte.
    for low in 0..=u8::MAX {
        for high in [0, 0x7f, 0x80, 0xff] {
            let mut y = [if high & 0x7f == 0 { 0 } else { 0xff }; 32];
            (y[0], y[31]) = (low, high);
            inputs.registration("point of Ed25519", &site, Algorithm::EdDsa, |forged| {
                let mut key = authenticator(Algorithm::EdDsa).key.cose_key();
                key.set(Item::Int(-2), Item::Bytes(y.to_vec()));
                forged.attested().public_key = key.encode();
            });
        }
    }
    for sign in [0, 0x80] {
        for y in SMALL_ORDER_Y {
            inputs.registration("small order", &site, Algorithm::EdDsa, |forged| {
                let mut y = y;
                y[31] |= sign;
                let mut key = authenticator(Algorithm::EdDsa).key.cose_key();
                key.set(Item::Int(-2), Item::Bytes(y.to_vec()));
                forged.attested().public_key = key.encode();
            });
        }
    }
    let rsa = |inputs: &mut Inputs, n: &[u8], e: &[u8]| {
        let what = format!(
            "RSA, {} bytes, last {:?}, exponent {e:?}",
            n.len(),
            n.last()
        );
        inputs.registration(&what, &site, Algorithm::Rs256, |forged| {
            let mut key = authenticator(Algorithm::Rs256).key.cose_key();
            key.set(Item::Int(-1), Item::Bytes(n.to_vec()));
            key.set(Item::Int(-2), Item::Bytes(e.to_vec()));
            forged.attested().public_key = key.encode();
        });
    };
    for size_bytes in [
        128, 255, 256, 257, 384, 512, 1023, 1024, 1025, 2048, 2049, 4096,
    ] {
        for first in [0, 1, 0x7f, 0x80, 0xff] {
            for last in [0xf0, 0xf1] {
                let mut n = vec![0xa5; size_bytes];
                (n[0], n[size_bytes - 1]) = (first, last);
                rsa(inputs, &n, &[1, 0, 1]);
            }
        }
    }
    let mut n = vec![0xa5; 256];
    n[255] = 0xf1;
    for e in [
        &[][..],
        &[0],
        &[1],
        &[2],
        &[3],
        &[4],
        &[5],
        &[17],
        &[0, 3],
        &[0, 1, 0, 1],
        &[1, 0, 0],
        &[0x7f, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff],
        &[1, 0, 0, 0, 1],
        &[1, 0xff, 0xff, 0xff, 0xff],
        &[2, 0, 0, 0, 1],
        &[1, 0, 0, 0, 0, 0, 0, 0, 1],
        &n[..],
    ] {
        rsa(inputs, &n, e);
    }
    rsa(inputs, &[0; 256], &[1, 0, 1]);
}

pub(super) fn signatures(inputs: &mut Inputs) {
    let site = site();
    for algorithm in COMMON {
        let stored = inputs.stored(algorithm);
        for other in COMMON {
            inputs.authentication("by another key", &site, other, |_| {});
            let input = inputs.all.last_mut().unwrap();
            input.stored = Some(stored.clone());
        }
        let honest = site.get(&mut holder(algorithm));
        let message = honest.message();
        let (data, hash) = message.split_at(message.len() - 32);
        for (what, message) in [
            ("over authenticator data only", data.to_vec()),
            ("over client data only", hash.to_vec()),
            ("over client data itself", {
                [data, &honest.client_data.bytes()].concat()
            }),
            ("over the hash", digest(&SHA256, &message).as_ref().to_vec()),
            ("over nothing", vec![]),
        ] {
            inputs.authentication(what, &site, algorithm, |forged| {
                forged.client_data = honest.client_data.clone();
                forged.signed = Some(message);
            });
        }
        let good = honest.key.sign(&message);
        let mut forgeries = vec![
            vec![0; good.len()],
            vec![0xff; good.len()],
            [&good[..], &[0]].concat(),
            [&[0], &good[..]].concat(),
            good.repeat(2),
        ];
        match algorithm {
            Algorithm::Es256 | Algorithm::Es384 => {
                forgeries.extend(ecdsa(algorithm, &good));
            }
            Algorithm::EdDsa => forgeries.extend(ed25519(&good)),
            _ => {}
        }
        for signature in forgeries {
            inputs.authentication("another signature", &site, algorithm, |forged| {
                forged.signature = Some(signature);
            });
        }
    }
}

/// Other encodings of an ECDSA signature, and other signatures: among them the one with the other `s`, which is good.
fn ecdsa(algorithm: Algorithm, good: &[u8]) -> Vec<Vec<u8>> {
    let order = match algorithm {
        Algorithm::Es256 => &P256_ORDER[..],
        _ => &P384_ORDER[..],
    };
    let r_end = 4 + usize::from(good[3]);
    let (r, s) = (&good[4..r_end], &good[r_end + 2..]);
    let n = [&[0], order].concat();
    let der = |r: &[u8], s: &[u8]| {
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
        let body = [&[2, length(r)], r, &[2, length(s)], s].concat();
        [&[0x30, length(&body)], &body[..]].concat()
    };
    let minus = |s: &[u8]| {
        let mut difference = order.to_vec();
        let mut borrow = 0;
        for at in 0..order.len() {
            let place = order.len() - 1 - at;
            let digit = s.len().checked_sub(1 + at).map_or(0, |at| s[at]);
            let value = i16::from(order[place]) - i16::from(digit) - borrow;
            borrow = i16::from(value < 0);
            difference[place] = value.rem_euclid(256) as u8;
        }
        let zeros = difference.iter().take_while(|byte| **byte == 0).count();
        let mut integer = difference[zeros..].to_vec();
        if integer[0] & 0x80 != 0 {
            integer.insert(0, 0);
        }
        integer
    };
    let padded = |integer: &[u8]| [&[0], integer].concat();
    vec![
        der(r, &minus(s)),
        der(&minus(r), s),
        der(s, r),
        der(&padded(r), s),
        der(r, &padded(s)),
        der(&[0], s),
        der(r, &[0]),
        der(&[0], &[0]),
        der(&[], &[]),
        der(&n, s),
        der(r, &n),
        der(&[1], &[1]),
        [r, s].concat(),
        [&[0x30, 0x81], &good[1..]].concat(),
        [&[0x30, 0x80], &good[2..], &[0, 0]].concat(),
        [&[0x31], &good[1..]].concat(),
        [&[0x30, good[1] + 2], &good[2..], &[5, 0]].concat(),
    ]
}

/// Other encodings of an Ed25519 signature, and other signatures.
fn ed25519(good: &[u8]) -> Vec<Vec<u8>> {
    let (r, s) = good.split_at(32);
    let mut carry = 0;
    let not_reduced: Vec<u8> = s
        .iter()
        .zip(ED25519_ORDER)
        .map(|(s, order)| {
            let sum = u16::from(*s) + u16::from(order) + carry;
            carry = sum >> 8;
            sum as u8
        })
        .collect();
    let mut others = vec![[r, &not_reduced].concat(), [s, r].concat()];
    for y in SMALL_ORDER_Y {
        others.push([&y[..], s].concat());
        others.push([&y[..], &[0; 32]].concat());
    }
    others
}

/// Every encoding, sign apart, of a point of Ed25519 whose order is 1, 2, 4 or 8.
pub(in crate::differential) const SMALL_ORDER_Y: [[u8; 32]; 7] = [
    [
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00,
    ],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// The order of the base point of Ed25519, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
];

const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];
