//! How AWS clients talk, seen from the server: what a signed request proves, how an operation's
//! input is read, and the envelopes of answers and errors.
//!
//! Everything here takes values and returns values. What deliberately does not live here: an async
//! runtime, the web framework, SQL, a clock, chance, stored access keys, and any single operation
//! or shape of a product; those belong to the crates that serve them.
//!
//! An operation reads its input in one declaration and cannot use a member before all are checked:
//!
//! ```
//! use aws_protocol::{input::{Input, Pattern, Text}, json11};
//!
//! const USER_POOL_ID: Text = Text::ANY.length(1, 55).pattern(Pattern {
//!     text: r"[\w-]+_[0-9a-zA-Z]+",
//!     matches: |id| id.split_once('_').is_some_and(|(region, rest)| !region.is_empty() && !rest.is_empty()),
//! });
//!
//! let body = json11::body(br#"{"UserPoolId":"nowhere"}"#).unwrap();
//! let denial = Input::read(&body, |input| input.string("UserPoolId", &USER_POOL_ID).required()).unwrap_err();
//! assert_eq!(
//!     denial.message().unwrap(),
//!     "1 validation error detected: Value 'nowhere' at 'userPoolId' failed to satisfy constraint: \
//!      Member must satisfy regular expression pattern: [\\w-]+_[0-9a-zA-Z]+",
//! );
//! ```

#![forbid(unsafe_code)]

pub mod input;
pub mod json11;
pub mod rest_json;
pub mod sigv4;

mod envelope;
