//! Query strings: what a list is asked for, and the links to its other pages
//! (passkey-flex sections b.1 and b.6).

use axum::{
    extract::FromRequestParts,
    http::{header::HOST, request::Parts},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::wire::{Link, Links};
use crate::{Failure, Passkeys, Refusal};

/// The decoded parameters of a request, and where that request went.
pub(super) struct Query {
    pub(super) pairs: Vec<(String, String)>,
    /// The whole URL without the query.
    pub(super) url: String,
}

impl FromRequestParts<Passkeys> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, passkeys: &Passkeys) -> Result<Query, Failure> {
        let named = || {
            let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
            format!("http://{}", host.unwrap_or("localhost"))
        };
        let origin = passkeys
            .public_url
            .as_deref()
            .map_or_else(named, str::to_owned);
        Ok(Query {
            pairs: pairs(parts.uri.query().unwrap_or_default())?,
            url: format!("{origin}{}", parts.uri.path()),
        })
    }
}

impl Query {
    /// The five links of a list; the href is empty where there is no such page.
    pub(super) fn links(&self, page: i64, limit: i64, total: i64, created_before_s: i64) -> Links {
        let last = total.div_euclid(limit) + i64::from(total % limit > 0);
        let last = last.max(1);
        let link = |number: Option<i64>| Link {
            href: number.map_or_else(String::new, |number| {
                self.href(number, limit, created_before_s)
            }),
        };
        Links {
            first: link(Some(1)),
            last: link(Some(last)),
            next: link((page < last).then_some(page + 1)),
            previous: link((page > 1).then_some(page - 1)),
            this: link(Some(page)),
        }
    }

    /// Another page of the same list at the same moment.
    fn href(&self, page: i64, limit: i64, created_before_s: i64) -> String {
        let mut href = format!(
            "{}?page={page}&limit={limit}&created_before={created_before_s}",
            self.url
        );
        let rest = self
            .pairs
            .iter()
            .filter(|(name, _)| !["page", "limit", "created_before"].contains(&name.as_str()));
        for (name, text) in rest {
            href.push('&');
            href.extend(utf8_percent_encode(name, ESCAPED));
            href.push('=');
            href.extend(utf8_percent_encode(text, ESCAPED));
        }
        href
    }
}

/// Decodes a query, a space in either spelling. What is not UTF-8 is refused: a
/// replaced character would make another text of it.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(text)?))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .ok()
        // PostgreSQL holds no NUL in a text.
        .filter(|text| !text.contains('\0'))
        .map(String::from)
        .ok_or_else(|| Refusal::InvalidRequest("The query must be UTF-8 without NUL.".into()))
}

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_a_space_are_decoded() {
        let decoded = pairs("identifier=a+b%20c%2B&&x&y=%3Clike:a%25%3E&z==").unwrap();
        let expected = [
            ("identifier", "a b c+"),
            ("x", ""),
            ("y", "<like:a%>"),
            ("z", "="),
        ];
        assert_eq!(
            decoded,
            expected.map(|(name, text)| (name.to_owned(), text.to_owned()))
        );
        assert_eq!(pairs(""), Ok(vec![]));
        for query in ["a=%FF", "%FF=a", "a=%00", "a=%C3", "a=%ED%A0%80"] {
            assert!(pairs(query).is_err(), "{query}");
        }
        // What is no escape is text.
        assert_eq!(pairs("a=100%").unwrap()[0].1, "100%");
    }

    #[test]
    fn links_lead_to_the_pages_there_are() {
        let query = Query {
            pairs: pairs("status=%3Cne:active%3E&page=9&limit=9&created_before=9&a=b+c").unwrap(),
            url: "https://example.com/v1/apps/a/users".into(),
        };
        let href = |page: i64| {
            format!(
                "https://example.com/v1/apps/a/users?page={page}&limit=2&created_before=7\
                 &status=%3Cne%3Aactive%3E&a=b%20c"
            )
        };
        for (page, total, last, next, previous) in [
            (1, 0, 1, None, None),
            (1, 2, 1, None, None),
            (1, 3, 2, Some(2), None),
            (2, 5, 3, Some(3), Some(1)),
            (3, 5, 3, None, Some(2)),
            (9, 5, 3, None, Some(8)),
        ] {
            let optional = |page: Option<i64>| page.map(href).unwrap_or_default();
            assert_eq!(
                json!(query.links(page, 2, total, 7)),
                json!({
                    "first": {"href": href(1)},
                    "last": {"href": href(last)},
                    "next": {"href": optional(next)},
                    "previous": {"href": optional(previous)},
                    "self": {"href": href(page)},
                })
            );
        }
    }
}
