//! Times as clients read them.

use platform::Fault;
use serde::Serialize;
use utoipa::ToSchema;

/// RFC 3339 in UTC with six fractional digits (passkey-flex section b.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(format = DateTime, example = "2024-08-20T00:20:47.500000Z")]
pub(crate) struct Time(String);

/// Writes a time.
pub(crate) fn time(at_ms: i64) -> Result<Time, Fault> {
    let time = jiff::Timestamp::from_millisecond(at_ms)
        .map_err(|error| Fault::while_doing("writing a time", error))?;
    Ok(Time(format!("{time:.6}")))
}

/// The same, if there is one.
pub(crate) fn optional_time(at_ms: Option<i64>) -> Result<Option<Time>, Fault> {
    at_ms.map(time).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_six_fractional_digits_and_end_in_z() {
        assert_eq!(
            time(1_724_113_247_500).unwrap().0,
            "2024-08-20T00:20:47.500000Z"
        );
    }
}
