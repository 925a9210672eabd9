//! The names of authenticators by AAGUID, from the table in `data/`.
//!
//! A name is a hint for people. An unattested AAGUID is whatever the client says, so nothing may be decided by it.

use std::sync::LazyLock;

/// The name that the community knows this model of authenticator or passkey provider by, such as `Apple Passwords`.
///
/// Nothing for an unknown model, and nothing for the all-zero AAGUID, by which an authenticator says that it does not tell.
pub fn name(aaguid: &[u8; 16]) -> Option<&'static str> {
    let position = TABLE
        .binary_search_by_key(&format(aaguid).as_str(), |(aaguid, _)| *aaguid)
        .ok()?;
    Some(TABLE[position].1)
}

/// The usual text form: 32 lowercase hexadecimal digits in groups of 8, 4, 4, 4 and 12.
pub fn format(aaguid: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (position, byte) in aaguid.iter().enumerate() {
        if matches!(position, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 0xf] {
            text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
    text
}

/// AAGUIDs and names, sorted by AAGUID.
static TABLE: LazyLock<Vec<(&str, &str)>> = LazyLock::new(|| {
    include_str!("../data/aaguids.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect()
});

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_table_is_what_the_source_says_sorted() {
        let source: BTreeMap<String, String> =
            serde_json::from_str(include_str!("../data/aaguids.json")).unwrap();
        let entries = format!("entries {}", source.len());
        let about = include_str!("../data/SOURCE.txt");
        assert!(about.lines().any(|line| line == entries), "{about}");
        let expected: Vec<(&str, &str)> = source
            .iter()
            .map(|(aaguid, name)| (aaguid.as_str(), name.trim()))
            .collect();
        assert_eq!(*TABLE, expected);
        assert!(TABLE.is_sorted_by(|(earlier, _), (later, _)| earlier < later));
    }

    #[test]
    fn every_entry_is_found_under_its_bytes_and_has_a_name() {
        for (text, expected) in TABLE.iter() {
            let digits: String = text.chars().filter(|digit| *digit != '-').collect();
            let bytes = u128::from_str_radix(&digits, 16).unwrap().to_be_bytes();
            assert_eq!(format(&bytes), *text);
            assert_eq!(name(&bytes), Some(*expected));
            assert!(!expected.is_empty());
        }
    }

    #[test]
    fn a_model_nobody_knows_has_no_name() {
        assert_eq!(name(&[0; 16]), None);
        assert_eq!(name(&[0xff; 16]), None);
        let icloud = 0xfbfc_3007_154e_4ecc_8c0b_6e02_0557_d7bd_u128.to_be_bytes();
        assert_eq!(name(&icloud), Some("Apple Passwords"));
    }
}
