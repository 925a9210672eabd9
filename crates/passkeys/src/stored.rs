//! How values that the database has no type for are kept in text columns: words
//! such as `preferred`, and short lists that are only ever read whole, as JSON.

use platform::{Fault, Row};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// A list as JSON. It holds no NUL even when a text in it does, so every
/// database takes it.
pub(crate) fn json<T: Serialize>(value: T) -> String {
    serde_json::json!(value).to_string()
}

/// What [`json`] stored.
pub(crate) fn json_of<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Fault> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|error| Fault::while_doing(format!("reading the stored {column}"), error))
}

/// What [`json`] stored, if anything.
pub(crate) fn optional_json_of<T: DeserializeOwned>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, Fault> {
    row.get::<Option<String>>(column)?
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| Fault::while_doing(format!("reading the stored {column}"), error))
}

/// The word of an enum's variant, as on the wire.
pub(crate) fn word<T: Serialize>(value: T) -> String {
    match serde_json::json!(value) {
        Value::String(word) => word,
        other => other.to_string(),
    }
}

/// What [`word`] stored.
pub(crate) fn word_of<T: DeserializeOwned>(row: &Row, column: &str) -> Result<T, Fault> {
    parse_word(column, row.get(column)?)
}

/// What [`word`] stored, if anything.
pub(crate) fn optional_word_of<T: DeserializeOwned>(
    row: &Row,
    column: &str,
) -> Result<Option<T>, Fault> {
    row.get::<Option<String>>(column)?
        .map(|word| parse_word(column, word))
        .transpose()
}

fn parse_word<T: DeserializeOwned>(column: &str, word: String) -> Result<T, Fault> {
    serde_json::from_value(Value::String(word))
        .map_err(|error| Fault::while_doing(format!("reading the stored {column}"), error))
}
