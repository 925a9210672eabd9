//! Times as clients read them.

use platform::Fault;
use serde_json::Value;

/// RFC 3339 in UTC with six fractional digits (passkey-flex section b.1).
pub(crate) fn time(at_ms: i64) -> Result<Value, Fault> {
    let time = jiff::Timestamp::from_millisecond(at_ms)
        .map_err(|error| Fault::while_doing("writing a time", error))?;
    Ok(Value::String(format!("{time:.6}")))
}

/// The same, or null.
pub(crate) fn optional_time(at_ms: Option<i64>) -> Result<Value, Fault> {
    at_ms.map_or(Ok(Value::Null), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_fractional_digits_and_end_in_z() {
        assert_eq!(
            time(1_724_113_247_500).unwrap(),
            "2024-08-20T00:20:47.500000Z"
        );
    }
}
