//! Attestation object, statement and public key in every form that CBOR has, and in some that it has not.

use webauthn::forge::Item;

use super::{COMMON, Inputs, site};
use crate::site::authenticator;

pub(super) fn all(inputs: &mut Inputs) {
    let site = site();
    type Change = fn(&mut Item);
    // What may be done to any map, attestation object and public key alike.
    let maps: &[(&str, Change)] = &[
        ("backwards", |map| map.entries().reverse()),
        ("a key of text more", |map| {
            map.set(Item::text("zz"), Item::Int(0));
        }),
        ("a key of a number more", |map| {
            map.set(Item::Int(-70), Item::Array(vec![Item::Bool(true)]));
        }),
        ("a key of bytes more", |map| {
            map.set(Item::Bytes(vec![1]), Item::Int(0));
        }),
        ("a key of a list more", |map| {
            map.set(Item::Array(vec![]), Item::Int(0));
        }),
        ("a tag more", |map| {
            map.set(Item::text("zz"), Item::Raw(vec![0xc1, 0x01]));
        }),
        ("a floating point number more", |map| {
            map.set(Item::text("zz"), Item::Raw(vec![0xf9, 0x3c, 0x00]));
        }),
        ("an unassigned simple value more", |map| {
            map.set(Item::text("zz"), Item::Raw(vec![0xf8, 0xff]));
        }),
        ("a text that is not UTF-8 more", |map| {
            map.set(Item::text("zz"), Item::Raw(vec![0x61, 0xff]));
        }),
        ("a key twice", |map| {
            let first = map.entries()[0].clone();
            map.entries().push(first);
        }),
        ("in a tag", |map| {
            *map = Item::Raw([&[0xd9, 0xd9, 0xf7], &map.encode()[..]].concat());
        }),
        ("without end", |map| {
            let encoded = map.encode();
            *map = Item::Raw([&[0xbf], &encoded[1..], &[0xff]].concat());
        }),
        ("a longer length", |map| {
            let encoded = map.encode();
            let length = encoded[0] & 0x1f;
            *map = Item::Raw([&[0xb8, length], &encoded[1..]].concat());
        }),
        ("the longest length", |map| {
            let encoded = map.encode();
            let length = encoded[0] & 0x1f;
            *map = Item::Raw([&[0xbb, 0, 0, 0, 0, 0, 0, 0, length], &encoded[1..]].concat());
        }),
        ("a list of the same", |map| {
            let encoded = map.encode();
            let length = (encoded[0] & 0x1f) * 2;
            *map = Item::Raw([&[0x80 | length], &encoded[1..]].concat());
        }),
        ("one entry too many announced", |map| {
            let mut encoded = map.encode();
            encoded[0] += 1;
            *map = Item::Raw(encoded);
        }),
        ("one entry too few announced", |map| {
            let mut encoded = map.encode();
            encoded[0] -= 1;
            *map = Item::Raw(encoded);
        }),
        ("in a string of bytes", |map| {
            *map = Item::Bytes(map.encode());
        }),
        ("empty", |map| map.entries().clear()),
    ];
    for algorithm in COMMON {
        for (what, change) in maps {
            inputs.registration(
                &format!("attestation object {what}"),
                &site,
                algorithm,
                |forged| {
                    let mut object = forged.attestation_object_item();
                    change(&mut object);
                    forged.attestation_object = Some(object.encode());
                },
            );
            inputs.registration(&format!("public key {what}"), &site, algorithm, |forged| {
                let mut key = authenticator(algorithm).key.cose_key();
                change(&mut key);
                forged.attested().public_key = key.encode();
            });
            inputs.registration(&format!("statement {what}"), &site, algorithm, |forged| {
                forged.format = "other".into();
                forged.statement =
                    Item::Map(vec![(Item::text("alg"), Item::Int(algorithm.cose_id()))]);
                change(&mut forged.statement);
            });
        }
        // Each value of either map in another encoding, and of another type.
        type Retell = fn(&Item) -> Item;
        let values: &[(&str, Retell)] = &[
            ("longer", |value| Item::Raw(lengthened(&value.encode()))),
            ("null", |_| Item::Raw(vec![0xf6])),
            ("undefined", |_| Item::Raw(vec![0xf7])),
            ("a list", |value| Item::Array(vec![value.clone()])),
            ("its encoding", |value| Item::Bytes(value.encode())),
            ("tagged", |value| {
                Item::Raw([&[0xc2], &value.encode()[..]].concat())
            }),
            ("in pieces", |value| {
                let encoded = value.encode();
                let indefinite = encoded[0] & 0xe0 | 0x1f;
                Item::Raw([&[indefinite], &encoded[..], &[0xff]].concat())
            }),
            ("text", |_| Item::text("text")),
            ("zero", |_| Item::Int(0)),
            ("missing", |_| Item::Raw(vec![])),
        ];
        for (what, change) in values {
            for at in 0..3 {
                inputs.registration(
                    &format!("value {at} of the attestation object {what}"),
                    &site,
                    algorithm,
                    |forged| {
                        let mut object = forged.attestation_object_item();
                        let value = &mut object.entries()[at].1;
                        *value = change(value);
                        forged.attestation_object = Some(object.encode());
                    },
                );
            }
            let mut key = authenticator(algorithm).key.cose_key();
            for at in 0..key.entries().len() {
                inputs.registration(
                    &format!("value {at} of the public key {what}"),
                    &site,
                    algorithm,
                    |forged| {
                        let mut key = key.clone();
                        let value = &mut key.entries()[at].1;
                        *value = change(value);
                        forged.attested().public_key = key.encode();
                    },
                );
                inputs.registration(
                    &format!("label {at} of the public key {what}"),
                    &site,
                    algorithm,
                    |forged| {
                        let mut key = key.clone();
                        let label = &mut key.entries()[at].0;
                        *label = change(label);
                        forged.attested().public_key = key.encode();
                    },
                );
            }
        }
    }
}

/// An item with its length or number in eight bytes.
fn lengthened(encoded: &[u8]) -> Vec<u8> {
    let (major, short) = (encoded[0] & 0xe0, encoded[0] & 0x1f);
    let argument_size = match short {
        24 => 1,
        25 => 2,
        26 => 4,
        _ => 0,
    };
    let (argument, rest) = encoded[1..].split_at(argument_size);
    let value = match argument_size {
        0 => u64::from(short),
        _ => argument
            .iter()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    [&[major | 27], &value.to_be_bytes()[..], rest].concat()
}
