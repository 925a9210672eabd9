//! The little of CBOR that WebAuthn needs: one map at a time, borrowed from the input.
//!
//! Nothing here allocates by a length the input claims, recurses deeper than [`NESTING_MAX`] or accepts more than
//! [`ENTRIES_MAX`] entries, so hostile input costs no more than its own size. Order of keys and non-shortest
//! lengths are accepted, because decoders may be lenient there; a key twice and indefinite lengths are refused,
//! because two readers could see two different things in them (CTAP2 canonical CBOR forbids all four).

use minicbor::data::Type;
use minicbor::decode::{Decoder, Error};

/// Deepest nesting that is read; an attestation statement of the standard needs four.
const NESTING_MAX: usize = 16;

/// Most entries of one map or array; a COSE key or attestation object has fewer than ten.
const ENTRIES_MAX: usize = 64;

/// The input is not CBOR of the wanted shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// A map's key: WebAuthn knows integers (COSE) and text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'b> {
    Int(i128),
    Text(&'b str),
}

/// A map's value, as far as WebAuthn looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'b> {
    Int(i128),
    Bytes(&'b [u8]),
    Text(&'b str),
    /// An array, well formed, still encoded; read it with [`byte_strings`].
    Array(&'b [u8]),
    /// A map, well formed, still encoded; read it with [`Map::read`].
    Map(&'b [u8]),
    Other,
}

/// A decoded map without a key twice.
#[derive(Debug)]
pub(crate) struct Map<'b>(Vec<(Key<'b>, Value<'b>)>);

impl<'b> Map<'b> {
    /// Reads `bytes` as exactly one map: nothing before it, nothing after it.
    pub(crate) fn read(bytes: &'b [u8]) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let length = decoder.map()?.ok_or(Malformed)?;
        let mut entries = Vec::new();
        for _ in 0..length {
            if entries.len() == ENTRIES_MAX {
                return Err(Malformed);
            }
            let key = key(&mut decoder)?;
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(Malformed);
            }
            entries.push((key, value(&mut decoder)?));
        }
        if decoder.position() != bytes.len() {
            return Err(Malformed);
        }
        Ok(Self(entries))
    }

    /// The value under a text key.
    pub(crate) fn text(&self, name: &str) -> Option<Value<'b>> {
        self.find(Key::Text(name))
    }

    /// The value under an integer key.
    pub(crate) fn label(&self, label: i128) -> Option<Value<'b>> {
        self.find(Key::Int(label))
    }

    /// Whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find(&self, wanted: Key<'_>) -> Option<Value<'b>> {
        self.0
            .iter()
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| *value)
    }
}

/// Reads `bytes` as exactly one array of byte strings.
pub(crate) fn byte_strings(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let length = decoder.array()?.ok_or(Malformed)?;
    let mut strings = Vec::new();
    for _ in 0..length {
        if strings.len() == ENTRIES_MAX {
            return Err(Malformed);
        }
        strings.push(decoder.bytes()?);
    }
    if decoder.position() != bytes.len() {
        return Err(Malformed);
    }
    Ok(strings)
}

/// Splits `bytes` behind its first item, which is checked for well-formedness only.
pub(crate) fn split_first(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut decoder = Decoder::new(bytes);
    skip(&mut decoder, 0)?;
    Ok(bytes.split_at(decoder.position()))
}

fn key<'b>(decoder: &mut Decoder<'b>) -> Result<Key<'b>, Malformed> {
    match decoder.datatype()? {
        Type::String => Ok(Key::Text(decoder.str()?)),
        kind if is_int(kind) => Ok(Key::Int(decoder.int()?.into())),
        _ => Err(Malformed),
    }
}

fn value<'b>(decoder: &mut Decoder<'b>) -> Result<Value<'b>, Malformed> {
    match decoder.datatype()? {
        Type::Bytes => Ok(Value::Bytes(decoder.bytes()?)),
        Type::String => Ok(Value::Text(decoder.str()?)),
        kind @ (Type::Array | Type::Map) => {
            let start = decoder.position();
            skip(decoder, 1)?;
            let encoded = &decoder.input()[start..decoder.position()];
            Ok(match kind {
                Type::Array => Value::Array(encoded),
                _ => Value::Map(encoded),
            })
        }
        kind if is_int(kind) => Ok(Value::Int(decoder.int()?.into())),
        _ => {
            skip(decoder, 1)?;
            Ok(Value::Other)
        }
    }
}

/// Steps over one well-formed item; `depth` counts the containers around it.
fn skip(decoder: &mut Decoder<'_>, depth: usize) -> Result<(), Malformed> {
    if depth > NESTING_MAX {
        return Err(Malformed);
    }
    match decoder.datatype()? {
        Type::Array => {
            for _ in 0..decoder.array()?.ok_or(Malformed)? {
                skip(decoder, depth + 1)?;
            }
        }
        Type::Map => {
            for _ in 0..decoder.map()?.ok_or(Malformed)? {
                skip(decoder, depth + 1)?;
                skip(decoder, depth + 1)?;
            }
        }
        Type::Tag => {
            decoder.tag()?;
            skip(decoder, depth + 1)?;
        }
        Type::Bytes => {
            decoder.bytes()?;
        }
        Type::String => {
            decoder.str()?;
        }
        Type::BytesIndef
        | Type::StringIndef
        | Type::ArrayIndef
        | Type::MapIndef
        | Type::Break
        | Type::Unknown(_) => return Err(Malformed),
        _ => decoder.skip()?,
    }
    Ok(())
}

fn is_int(kind: Type) -> bool {
    matches!(
        kind,
        Type::U8
            | Type::U16
            | Type::U32
            | Type::U64
            | Type::I8
            | Type::I16
            | Type::I32
            | Type::I64
            | Type::Int
    )
}

impl From<Error> for Malformed {
    fn from(_: Error) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Item;

    #[test]
    fn a_map_is_read_whatever_the_order_of_its_keys() {
        let bytes = Item::Map(vec![
            (Item::text("z"), Item::Int(-300)),
            (Item::Int(-1), Item::Bytes(vec![1, 2])),
            (Item::Int(3), Item::text("text")),
            (
                Item::text("a"),
                Item::Map(vec![(Item::Int(1), Item::Int(2))]),
            ),
            (Item::text("b"), Item::Bool(true)),
        ])
        .encode();
        let map = Map::read(&bytes).unwrap();
        assert_eq!(map.text("z"), Some(Value::Int(-300)));
        assert_eq!(map.label(-1), Some(Value::Bytes(&[1, 2])));
        assert_eq!(map.label(3), Some(Value::Text("text")));
        assert_eq!(map.text("a"), Some(Value::Map(&[0xa1, 1, 2])));
        assert_eq!(map.text("b"), Some(Value::Other));
        assert_eq!(map.text("c"), None);
        assert_eq!(map.label(1), None);
        assert!(!map.is_empty());
    }

    #[test]
    fn lengths_and_numbers_need_not_be_shortest() {
        // {1: h'07'} with the map's length in two bytes, the key in four and the string's length in eight.
        let bytes = [
            &[0xb8, 1][..],
            &[0x1a, 0, 0, 0, 1],
            &[0x5b, 0, 0, 0, 0, 0, 0, 0, 1, 7],
        ]
        .concat();
        let map = Map::read(&bytes).unwrap();
        assert_eq!(map.label(1), Some(Value::Bytes(&[7])));
    }

    #[test]
    fn what_is_not_exactly_one_plain_map_is_refused() {
        let nested = |open: &[u8], depth: usize, close: &[u8]| {
            let mut bytes = vec![0xa1, 0x01];
            bytes.extend(open.repeat(depth));
            bytes.push(0);
            bytes.extend(close.repeat(depth));
            bytes
        };
        let mut many = vec![0xb8, 65];
        for key in 0..65 {
            many.extend([0x18, key, 0]);
        }
        let table: &[(&str, Vec<u8>)] = &[
            ("nothing", vec![]),
            ("an integer", vec![0x01]),
            ("an array", vec![0x81, 0x01]),
            ("a byte behind", vec![0xa0, 0x00]),
            ("a key without value", vec![0xa1, 0x01]),
            ("a key twice", vec![0xa2, 0x01, 0x00, 0x01, 0x00]),
            (
                "a key twice in two lengths",
                vec![0xa2, 0x01, 0x00, 0x18, 0x01, 0x00],
            ),
            ("a key of bytes", vec![0xa1, 0x41, 0x61, 0x00]),
            ("text that is not UTF-8", vec![0xa1, 0x61, 0xff, 0x00]),
            ("an indefinite map", vec![0xbf, 0x01, 0x00, 0xff]),
            (
                "an indefinite string",
                vec![0xa1, 0x01, 0x5f, 0x41, 0x00, 0xff],
            ),
            ("a break", vec![0xa1, 0x01, 0xff]),
            ("a reserved head", vec![0xa1, 0x01, 0x1c]),
            (
                "a string of 2^63 bytes",
                vec![0xa1, 0x01, 0x5b, 0x80, 0, 0, 0, 0, 0, 0, 0],
            ),
            (
                "an array of 2^64-1 items",
                [&[0xa1, 0x01, 0x9b][..], &[0xff; 8]].concat(),
            ),
            (
                "a map of 2^64-1 entries",
                [&[0xbb][..], &[0xff; 8]].concat(),
            ),
            ("65 entries", many),
            ("17 arrays deep", nested(&[0x81], 17, &[])),
            ("100000 arrays deep", nested(&[0x81], 100_000, &[])),
            ("100000 tags deep", nested(&[0xc1], 100_000, &[])),
            (
                "1000 indefinite arrays deep",
                nested(&[0x9f], 1000, &[0xff]),
            ),
        ];
        for (what, bytes) in table {
            assert_eq!(Map::read(bytes).unwrap_err(), Malformed, "{what}");
        }
        assert!(Map::read(&nested(&[0x81], 15, &[])).is_ok());
    }

    #[test]
    fn an_array_of_byte_strings_is_read_whole_or_not_at_all() {
        let array = |items: Vec<Item>| Item::Array(items).encode();
        let bytes = Item::Map(vec![(
            Item::Int(1),
            Item::Array(vec![Item::Bytes(vec![7]), Item::Bytes(vec![])]),
        )])
        .encode();
        let map = Map::read(&bytes).unwrap();
        let Some(Value::Array(encoded)) = map.label(1) else {
            panic!("not an array");
        };
        assert_eq!(byte_strings(encoded), Ok(vec![&[7][..], &[]]));
        for (what, bytes) in [
            ("text", array(vec![Item::text("a")])),
            ("a map", vec![0xa0]),
            ("cut short", vec![0x82, 0x40]),
            ("a byte behind", vec![0x80, 0x00]),
            ("65 strings", array(vec![Item::Bytes(vec![]); 65])),
            ("2^64-1 strings", [&[0x9b][..], &[0xff; 8]].concat()),
            ("indefinite", vec![0x9f, 0x40, 0xff]),
        ] {
            assert_eq!(byte_strings(&bytes), Err(Malformed), "{what}");
        }
    }

    #[test]
    fn the_first_item_is_split_off_whole() {
        let bytes = [0xa1, 0x01, 0x82, 0xf5, 0xf9, 0x3c, 0x00, 0xa0, 0x00];
        let (first, rest) = split_first(&bytes).unwrap();
        assert_eq!(first, &bytes[..7]);
        assert_eq!(rest, &[0xa0, 0x00]);
        for length in 0..7 {
            assert!(split_first(&bytes[..length]).is_err(), "{length} bytes");
        }
    }
}
