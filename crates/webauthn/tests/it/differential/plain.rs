//! An input told anew in the one way that the peer reads, so that what is left of a difference is not the telling.
//!
//! The reader of CBOR here is neither verifier's: it takes any definite encoding and drops nothing unnoticed.

use serde_json::Value;
use webauthn::Algorithm;
use webauthn::forge::{Item, flag};

use super::inputs::{part, set_part, sign};
use super::{Input, authenticate, peer, register};
use crate::site::authenticator;

/// Whether both verifiers accept what the input says, with what we made of it, once it is told plainly: without
/// attestation statement, extensions, reserved flags, unknown members and leading zeros, in canonical CBOR.
pub(super) fn differs_in_telling_only(input: &Input) -> bool {
    match &input.stored {
        None => {
            let Some(plain) = plain_registration(input) else {
                return false;
            };
            let (Ok(mut ours), Ok(plainly)) = (register(input), register(&plain)) else {
                return false;
            };
            // The key is kept as it came.
            ours.public_key = plainly.public_key.clone();
            let theirs = peer::verify_registration(&plain.site, &plain.json);
            ours == plainly && theirs.is_ok_and(|(theirs, _)| theirs == plainly)
        }
        Some(stored) => {
            let Some(plain) = plain_authentication(input, stored.ours.algorithm) else {
                return false;
            };
            let ours = authenticate(input, &stored.ours);
            let theirs = peer::verify_authentication(&plain.site, &stored.theirs, &plain.json);
            ours.is_ok() && ours == authenticate(&plain, &stored.ours) && ours.ok() == theirs.ok()
        }
    }
}

/// The registration, told plainly; `None` if there is more wrong with it than the telling.
pub(super) fn plain_registration(input: &Input) -> Option<Input> {
    let object = whole(&part(&input.json, "attestationObject"))?;
    let (Item::Text(_), Item::Map(_), Item::Bytes(data)) = (
        value(&object, Item::text("fmt"))?,
        value(&object, Item::text("attStmt"))?,
        value(&object, Item::text("authData"))?,
    ) else {
        return None;
    };
    let (before_key, key_and_rest) = split_before_key(&data)?;
    let (key, rest) = item(key_and_rest)?;
    let algorithm = value(&key, Item::Int(3))?;
    let labels: &[i64] = match algorithm {
        Item::Int(-8 | -257) => &[1, 3, -1, -2],
        _ => &[1, 3, -1, -2, -3],
    };
    let entries: Option<Vec<_>> = labels
        .iter()
        .map(|label| {
            let value = match (&algorithm, value(&key, Item::Int(*label))?) {
                (Item::Int(-257), Item::Bytes(number)) => {
                    Item::Bytes(without_leading_zeros(&number).to_vec())
                }
                (_, value) => value,
            };
            Some((Item::Int(*label), value))
        })
        .collect();
    let mut plain_data = [before_key, &Item::Map(entries?).encode()].concat();
    plain_data[32] = plain_flags(data[32], rest)?;
    let plain_object = Item::Map(vec![
        (Item::text("fmt"), Item::text("none")),
        (Item::text("attStmt"), Item::Map(vec![])),
        (Item::text("authData"), Item::Bytes(plain_data)),
    ]);
    let mut plain = input.clone();
    set_part(&mut plain.json, "attestationObject", &plain_object.encode());
    Some(plain)
}

/// RP ID hash, flags, counter, model and id, then the rest; of the length of the id only as much is believed as is there.
fn split_before_key(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let id_length = u16::from_be_bytes(data.get(53..55)?.try_into().ok()?);
    data.split_at_checked(55 + usize::from(id_length))
}

/// Signed anew: that it was signed well is for the verifiers to say of the input itself.
fn plain_authentication(input: &Input, algorithm: Algorithm) -> Option<Input> {
    let data = part(&input.json, "authenticatorData");
    let (header, rest) = data.split_at_checked(37)?;
    let mut plain_data = header.to_vec();
    plain_data[32] = plain_flags(data[32], rest)?;
    let mut plain = input.clone();
    set_part(&mut plain.json, "authenticatorData", &plain_data);
    sign(&mut plain.json, &authenticator(algorithm).key);
    Some(plain)
}

/// The flags without the reserved ones and without extensions, of which `rest` must be a map if they are announced.
fn plain_flags(flags: u8, rest: &[u8]) -> Option<u8> {
    let is_as_announced = match flags & flag::EXTENSIONS {
        0 => rest.is_empty(),
        _ => matches!(whole(rest)?, Item::Map(_)),
    };
    is_as_announced.then_some(flags & !(flag::EXTENSIONS | RESERVED))
}

/// Bits 1 and 5.
const RESERVED: u8 = 1 << 1 | 1 << 5;

/// What stands under a key of a map.
pub(super) fn value(map: &Item, key: Item) -> Option<Item> {
    let Item::Map(entries) = map else {
        return None;
    };
    let mut found = entries.iter().filter(|(known, _)| *known == key);
    let (_, value) = found.next()?;
    found.next().is_none().then(|| value.clone())
}

/// Reads exactly one item.
pub(super) fn whole(bytes: &[u8]) -> Option<Item> {
    let (item, rest) = item(bytes)?;
    rest.is_empty().then_some(item)
}

/// The first item, without a key twice in any of its maps, and what follows it.
fn item(bytes: &[u8]) -> Option<(Item, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let size_bytes = match head & 0x1f {
        0..24 => 0,
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let (argument, mut rest) = rest.split_at_checked(size_bytes)?;
    let number = match size_bytes {
        0 => u64::from(head & 0x1f),
        _ => argument
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)),
    };
    let length = usize::try_from(number).ok()?;
    let item_here = match head >> 5 {
        0 => Item::Int(i64::try_from(number).ok()?),
        1 => Item::Int(-1 - i64::try_from(number).ok()?),
        2 | 3 => {
            let (content, behind) = rest.split_at_checked(length)?;
            rest = behind;
            match head >> 5 {
                2 => Item::Bytes(content.to_vec()),
                _ => Item::Text(String::from_utf8(content.to_vec()).ok()?),
            }
        }
        4 => {
            let mut items = vec![];
            for _ in 0..length {
                let (entry, behind) = item(rest)?;
                items.push(entry);
                rest = behind;
            }
            Item::Array(items)
        }
        5 => {
            let mut entries: Vec<(Item, Item)> = vec![];
            for _ in 0..length {
                let (key, behind) = item(rest)?;
                let (value, behind) = item(behind)?;
                if entries.iter().any(|(known, _)| *known == key) {
                    return None;
                }
                entries.push((key, value));
                rest = behind;
            }
            Item::Map(entries)
        }
        6 => {
            let (_, behind) = item(rest)?;
            let tagged = bytes[..bytes.len() - behind.len()].to_vec();
            rest = behind;
            Item::Raw(tagged)
        }
        _ => Item::Raw(bytes[..1 + size_bytes].to_vec()),
    };
    Some((item_here, rest))
}

/// The members of the client data, if it is JSON.
pub(super) fn client_data(input: &Input) -> Option<Value> {
    serde_json::from_slice(&part(&input.json, "clientDataJSON")).ok()
}

/// The public key that a registration brings, if it can be read.
pub(super) fn public_key(input: &Input) -> Option<Item> {
    let object = whole(&part(&input.json, "attestationObject"))?;
    let Item::Bytes(data) = value(&object, Item::text("authData"))? else {
        return None;
    };
    let (_, key_and_rest) = split_before_key(&data)?;
    item(key_and_rest).map(|(key, _)| key)
}

/// What stands in the place of the point in an Ed25519 key.
pub(super) fn ed25519_point(input: &Input) -> Option<[u8; 32]> {
    let key = public_key(input)?;
    match (value(&key, Item::Int(3))?, value(&key, Item::Int(-2))?) {
        (Item::Int(-8), Item::Bytes(x)) => x.try_into().ok(),
        _ => None,
    }
}

/// The length in bits of the modulus of an RSA key.
pub(super) fn modulus_bits(input: &Input) -> Option<usize> {
    let key = public_key(input)?;
    match (value(&key, Item::Int(3))?, value(&key, Item::Int(-1))?) {
        (Item::Int(-257), Item::Bytes(n)) => {
            let n = without_leading_zeros(&n);
            Some(n.len() * 8 - n.first()?.leading_zeros() as usize)
        }
        _ => None,
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
