//! The text shapes of the API model: lengths and patterns of what every operation takes
//! (`cognito.md` §3). Rules between members live beside the operations.

use aws_protocol::input::{Pattern, Size, Text};
use unicode_general_category::{GeneralCategory as Category, get_general_category};

pub(crate) const USER_POOL_ID: Text = Text::ANY.length(1, 55).pattern(Pattern {
    text: r"[\w-]+_[0-9a-zA-Z]+",
    matches: is_user_pool_id,
});

pub(crate) const CLIENT_ID: Text = Text::ANY
    .length(1, 128)
    .pattern(Pattern {
        text: r"[\w+]+",
        matches: |id| is_all(id, |c| is_word(c) || c == '+'),
    })
    .sensitive();

pub(crate) const CLIENT_SECRET: Text = Text::ANY
    .length(1, 64)
    .pattern(Pattern {
        text: r"[\w+]+",
        matches: |secret| is_all(secret, |c| is_word(c) || c == '+'),
    })
    .sensitive();

pub(crate) const SECRET_HASH: Text = Text::ANY
    .length(1, 128)
    .pattern(Pattern {
        text: r"[\w+=/]+",
        matches: |hash| is_all(hash, |c| is_word(c) || "+=/".contains(c)),
    })
    .sensitive();

/// Names of pools and app clients.
pub(crate) const NAME: Text = Text::ANY.length(1, 128).pattern(Pattern {
    text: r"[\w\s+=,.@-]+",
    matches: |name| is_all(name, |c| is_word(c) || is_space(c) || "+=,.@-".contains(c)),
});

const PRINTABLE: Pattern = Pattern {
    text: r"[\p{L}\p{M}\p{S}\p{N}\p{P}]+",
    matches: |text| is_all(text, is_printable),
};

pub(crate) const USERNAME: Text = Text::ANY.length(1, 128).pattern(PRINTABLE).sensitive();

pub(crate) const ATTRIBUTE_NAME: Text = Text::ANY.length(1, 32).pattern(PRINTABLE);

/// Names in a schema carry no prefix.
pub(crate) const SCHEMA_ATTRIBUTE_NAME: Text = Text::ANY.length(1, 20).pattern(PRINTABLE);

pub(crate) const ATTRIBUTE_VALUE: Text = Text::ANY.max(2048).sensitive();

pub(crate) const PASSWORD: Text = Text::ANY
    .max(256)
    .pattern(Pattern {
        text: r"[\S]+",
        matches: |password| is_all(password, |c| !is_space(c)),
    })
    .sensitive();

pub(crate) const CONFIRMATION_CODE: Text = Text::ANY.length(1, 2048).pattern(Pattern {
    text: r"[\S]+",
    matches: |code| is_all(code, |c| !is_space(c)),
});

pub(crate) const TOKEN: Text = Text::ANY
    .pattern(Pattern {
        text: r"[A-Za-z0-9-_=.]+",
        matches: |token| is_all(token, |c| c.is_ascii_alphanumeric() || "-_=.".contains(c)),
    })
    .sensitive();

pub(crate) const SESSION: Text = Text::ANY.length(20, 4096).sensitive();

pub(crate) const ARN: Text = Text::ANY.length(20, 2048).pattern(Pattern {
    text: r"arn:[\w+=/,.@-]+:[\w+=/,.@-]+:([\w+=/,.@-]*)?:[0-9]+:[\w+=/,.@-]+(:[\w+=/,.@-]+)?(:[\w+=/,.@-]+)?",
    matches: is_arn,
});

pub(crate) const PAGINATION_KEY: Text = Text::ANY.length(1, 131_072).pattern(Pattern {
    text: r"[\S]+",
    matches: |key| is_all(key, |c| !is_space(c)),
});

/// Maps of texts of any kind: client metadata, parameters, answers.
pub(crate) const MAP_SIZE: Size = Size::ANY;
pub(crate) const MAP_TEXT: Text = Text::ANY.max(131_072);
pub(crate) const SECRET_MAP_TEXT: Text = MAP_TEXT.sensitive();

fn is_all(text: &str, allowed: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.chars().all(allowed)
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// What `\s` means in the model's dialect of regular expressions.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

fn is_printable(character: char) -> bool {
    !matches!(
        get_general_category(character),
        Category::SpaceSeparator
            | Category::LineSeparator
            | Category::ParagraphSeparator
            | Category::Control
            | Category::Format
            | Category::Surrogate
            | Category::PrivateUse
            | Category::Unassigned
    )
}

fn is_user_pool_id(id: &str) -> bool {
    id.rsplit_once('_').is_some_and(|(region, rest)| {
        is_all(region, |c| is_word(c) || c == '-') && is_all(rest, |c| c.is_ascii_alphanumeric())
    })
}

fn is_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    let is_text = |part: &str| is_all(part, |c| is_word(c) || "+=/,.@-".contains(c));
    (6..=8).contains(&parts.len())
        && parts[0] == "arn"
        && parts[1..3].iter().copied().all(is_text)
        && (parts[3].is_empty() || is_text(parts[3]))
        && is_all(parts[4], |c| c.is_ascii_digit())
        && parts[5..].iter().copied().all(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_pool_id_ends_after_its_last_underscore() {
        let (good, bad) = (
            ["us-east-1_abcDEF123", "local_x", "a_b_c"],
            ["us-east-1", "us-east-1_", "_abc", "us east_1", "a_b-c", ""],
        );
        assert!(good.iter().all(|id| is_user_pool_id(id)));
        assert!(!bad.iter().any(|id| is_user_pool_id(id)));
    }

    #[test]
    fn a_function_arn_is_an_arn_with_and_without_qualifier() {
        for (arn, expected) in [
            (
                "arn:aws:lambda:us-east-1:000000000000:function:define",
                true,
            ),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:define:1",
                true,
            ),
            (
                "arn:aws:lambda:us-east-1:000000000000:function:define:1:2",
                false,
            ),
            ("arn:aws:lambda::1:function:define", true),
            ("arn:aws:lambda:us-east-1::function:define", false),
            ("define", false),
            ("arn:aws:lambda:us-east-1:0:function:de fine", false),
        ] {
            assert_eq!(is_arn(arn), expected, "{arn}");
        }
    }

    #[test]
    fn a_username_has_no_white_space_and_nothing_invisible() {
        for (name, expected) in [
            ("zoë@example.com", true),
            ("ユーザー", true),
            ("a b", false),
            ("a\u{0}", false),
            ("a\u{200b}b", false),
            ("a\u{a0}b", false),
        ] {
            assert_eq!(is_all(name, is_printable), expected, "{name:?}");
        }
    }
}
