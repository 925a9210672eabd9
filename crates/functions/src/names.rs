//! Pure: how a function is named, and its ARN (lambda.md §3).

/// The only version there is: published versions and aliases do not exist yet.
pub(crate) const LATEST: &str = "$LATEST";

const NAME_LENGTH_MAX: usize = 64;

/// A function as a caller named it: by name, partial ARN or full ARN, each with or without a
/// qualifier. Region and account of an ARN are not compared with ours, so that a configuration
/// written for the real service finds its functions here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionReference {
    pub(crate) name: String,
    /// Version, alias or `$LATEST`, if one was given.
    pub(crate) qualifier: Option<String>,
}

impl FunctionReference {
    /// Nothing when the text names no function in any of the forms.
    pub(crate) fn parse(text: &str) -> Option<FunctionReference> {
        let parts: Vec<&str> = text.split(':').collect();
        let (name, qualifier) = match parts[..] {
            [name] => (name, None),
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "function",
                name,
            ] if is_partition(partition) && is_region(region) && is_account(account) => {
                (name, None)
            }
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "function",
                name,
                qualifier,
            ] if is_partition(partition) && is_region(region) && is_account(account) => {
                (name, Some(qualifier))
            }
            [account, "function", name] if is_account(account) => (name, None),
            [account, "function", name, qualifier] if is_account(account) => {
                (name, Some(qualifier))
            }
            ["function", name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return None,
        };
        if !is_name(name) || qualifier.is_some_and(|qualifier| !is_qualifier(qualifier)) {
            return None;
        }
        Some(FunctionReference {
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        })
    }

    /// Whether the one version that exists is meant.
    pub(crate) fn is_latest(&self) -> bool {
        self.qualifier
            .as_deref()
            .is_none_or(|qualifier| qualifier == LATEST)
    }

    /// Name, with `:qualifier` where one was given.
    pub(crate) fn qualified_name(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => format!("{}:{qualifier}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Whether a function may be called this.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=NAME_LENGTH_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether the text may follow a function's name: a version, an alias or `$LATEST`.
pub(crate) fn is_qualifier(text: &str) -> bool {
    text == LATEST
        || ((1..=128).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')))
}

/// Whether the text has the shape of a role's ARN. There are no roles here: any is accepted.
pub(crate) fn is_role_arn(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = parts[..] else {
        return false;
    };
    let Some(path) = resource.strip_prefix("role") else {
        return false;
    };
    is_partition(partition)
        && is_account(account)
        && !path.is_empty()
        && path.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'+' | b'=' | b',' | b'.' | b'@' | b'-' | b'/')
        })
}

/// ARN of a function, without a qualifier.
pub(crate) fn function_arn(region: &str, account_id: &str, name: &str) -> String {
    format!("arn:aws:lambda:{region}:{account_id}:function:{name}")
}

/// Whether `value` matches an ARN `pattern` as the policy operator `ArnLike` has it: each of the
/// six parts by itself, `*` for any run of characters and `?` for one.
pub(crate) fn is_arn_like(pattern: &str, value: &str) -> bool {
    let patterns: Vec<&str> = pattern.splitn(6, ':').collect();
    let values: Vec<&str> = value.splitn(6, ':').collect();
    patterns.len() == 6
        && values.len() == 6
        && patterns
            .iter()
            .zip(&values)
            .all(|(pattern, value)| is_like(pattern.as_bytes(), value.as_bytes()))
}

/// Linear in the value for each star: the last star seen is the only one that is tried again.
fn is_like(pattern: &[u8], value: &[u8]) -> bool {
    let (mut at_pattern, mut at_value) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at_value < value.len() {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                star = Some((at_pattern, at_value));
                at_pattern += 1;
            }
            Some(&byte) if byte == b'?' || byte == value[at_value] => {
                at_pattern += 1;
                at_value += 1;
            }
            _ => {
                let Some((star_at, tried)) = star else {
                    return false;
                };
                star = Some((star_at, tried + 1));
                at_pattern = star_at + 1;
                at_value = tried + 1;
            }
        }
    }
    pattern[at_pattern..].iter().all(|byte| *byte == b'*')
}

fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws").is_some_and(|rest| {
        rest.bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'-')
    })
}

fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_named_in_every_form_of_the_contract() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:my-fn";
        for (text, expected) in [
            ("my-fn", Some(("my-fn", None))),
            ("my-fn:$LATEST", Some(("my-fn", Some("$LATEST")))),
            ("my-fn:7", Some(("my-fn", Some("7")))),
            ("my-fn:live", Some(("my-fn", Some("live")))),
            ("function:my-fn", Some(("my-fn", None))),
            ("123456789012:function:my-fn", Some(("my-fn", None))),
            ("123456789012:function:my-fn:2", Some(("my-fn", Some("2")))),
            (arn, Some(("my-fn", None))),
            (&format!("{arn}:$LATEST"), Some(("my-fn", Some("$LATEST")))),
            ("", None),
            ("my fn", None),
            ("my-fn:", None),
            ("my-fn:$OLDEST", None),
            ("12345:function:my-fn", None),
            ("arn:aws:s3:eu-west-1:123456789012:function:my-fn", None),
            ("arn:aws:lambda:eu-west-1:123456789012:layer:my-fn", None),
            ("../etc/passwd", None),
            (&"a".repeat(65), None),
        ] {
            let read = FunctionReference::parse(text);
            let read = read
                .as_ref()
                .map(|read| (read.name.as_str(), read.qualifier.as_deref()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn any_role_of_the_right_shape_is_taken() {
        for role in [
            "arn:aws:iam::123456789012:role/service-role/fn",
            "arn:aws-cn:iam::000000000000:role/a",
        ] {
            assert!(is_role_arn(role), "{role}");
        }
        for role in [
            "",
            "role",
            "arn:aws:iam::1:role/a",
            "arn:aws:iam::123456789012:user/a",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert!(!is_role_arn(role), "{role}");
        }
    }

    #[test]
    fn arns_match_part_by_part() {
        let pool = "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_AbC";
        for pattern in [
            pool,
            "arn:aws:cognito-idp:us-east-1:123456789012:userpool/*",
            "arn:aws:cognito-idp:*:*:*",
            "arn:aws:cognito-idp:us-????-1:*:userpool/us-east-1_*C",
        ] {
            assert!(is_arn_like(pattern, pool), "{pattern}");
        }
        for pattern in [
            "",
            "*",
            "arn:*",
            "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_Ab",
            "arn:aws:cognito-idp:us-east-2:*:*",
            // A star stays within its part.
            "arn:aws:*:123456789012:userpool/us-east-1_AbC:x",
        ] {
            assert!(!is_arn_like(pattern, pool), "{pattern}");
        }
    }

    proptest::proptest! {
        #[test]
        fn matching_never_panics_and_a_text_is_like_itself(pattern in "[a*?:]{0,20}", value in "[a:]{0,20}") {
            is_arn_like(&pattern, &value);
            let plain = format!("arn:aws:lambda:r:1:{}", value.replace(':', ""));
            proptest::prop_assert!(is_arn_like(&plain, &plain));
        }
    }
}
