//! Which passwords a pool accepts. Pure: a policy and a password in, what is missing out.
//! Hashing and verifying live in `passwords`.

use serde::Deserialize;

/// The characters that count as symbols (`cognito.md` §17). The space of that list cannot occur:
/// a password has no white space.
const SYMBOLS: &str = "^$*.[]{}()?\"!@#%&/\\,><':;|_~`=+-";

/// What a password of a pool must have: `Policies.PasswordPolicy` as stored.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PasswordPolicy {
    pub(crate) minimum_length: usize,
    pub(crate) require_uppercase: bool,
    pub(crate) require_lowercase: bool,
    pub(crate) require_numbers: bool,
    pub(crate) require_symbols: bool,
    pub(crate) temporary_password_validity_days: i64,
}

/// The first rule that a password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordDenial {
    /// Fewer characters than the policy's minimum.
    #[error("Password not long enough")]
    TooShort,
    /// No upper-case letter.
    #[error("Password must have uppercase characters")]
    NoUppercase,
    /// No lower-case letter.
    #[error("Password must have lowercase characters")]
    NoLowercase,
    /// No digit.
    #[error("Password must have numeric characters")]
    NoNumber,
    /// No symbol.
    #[error("Password must have symbol characters")]
    NoSymbol,
}

impl PasswordPolicy {
    /// Checks length, upper case, lower case, digits and symbols, in this order.
    pub(crate) fn check(&self, password: &str) -> Result<(), PasswordDenial> {
        let has = |wanted: fn(char) -> bool| password.chars().any(wanted);
        let rules = [
            (
                password.chars().count() < self.minimum_length,
                PasswordDenial::TooShort,
            ),
            (
                self.require_uppercase && !has(char::is_uppercase),
                PasswordDenial::NoUppercase,
            ),
            (
                self.require_lowercase && !has(char::is_lowercase),
                PasswordDenial::NoLowercase,
            ),
            (
                self.require_numbers && !has(|c| c.is_ascii_digit()),
                PasswordDenial::NoNumber,
            ),
            (
                self.require_symbols && !has(|c| SYMBOLS.contains(c)),
                PasswordDenial::NoSymbol,
            ),
        ];
        match rules.into_iter().find(|(is_broken, _)| *is_broken) {
            Some((_, denial)) => Err(denial),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: PasswordPolicy = PasswordPolicy {
        minimum_length: 8,
        require_uppercase: true,
        require_lowercase: true,
        require_numbers: true,
        require_symbols: true,
        temporary_password_validity_days: 7,
    };

    #[test]
    fn the_first_broken_rule_answers() {
        for (password, expected) in [
            ("aA1!", Err(PasswordDenial::TooShort)),
            ("aaaaaaaa", Err(PasswordDenial::NoUppercase)),
            ("AAAAAAAA", Err(PasswordDenial::NoLowercase)),
            ("aaaaAAAA", Err(PasswordDenial::NoNumber)),
            ("aaaaAAA1", Err(PasswordDenial::NoSymbol)),
            ("aaaaAA1 ", Err(PasswordDenial::NoSymbol)),
            ("aaaaAA1!", Ok(())),
            ("ääääÄÄ1-", Ok(())),
        ] {
            assert_eq!(STRICT.check(password), expected, "{password}");
        }
    }

    #[test]
    fn every_listed_symbol_counts() {
        for symbol in SYMBOLS.chars() {
            assert_eq!(STRICT.check(&format!("aaaaAA1{symbol}")), Ok(()));
        }
    }

    #[test]
    fn a_rule_that_is_off_asks_nothing() {
        let length_only = PasswordPolicy {
            minimum_length: 6,
            require_uppercase: false,
            require_lowercase: false,
            require_numbers: false,
            require_symbols: false,
            ..STRICT
        };
        assert_eq!(length_only.check("ßßßßßß"), Ok(()));
        assert_eq!(length_only.check("ßßßßß"), Err(PasswordDenial::TooShort));
    }
}
