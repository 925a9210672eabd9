//! When a message that could not be delivered is tried again: the schedule that
//! Standard Webhooks recommends, with jitter, and the receiver's own wish.

/// How long after the `failures`-th failed attempt the next one is due, in
/// milliseconds. Nothing: that was the last one.
///
/// The delay is that of the schedule and up to a tenth more, by `jitter`, so
/// that what failed together does not come back together. A receiver may ask
/// for a longer delay (`Retry-After`), up to the longest of the schedule, and
/// not for a shorter one.
pub(crate) fn delay_ms(failures: i64, jitter: u16, retry_after_ms: Option<i64>) -> Option<i64> {
    let position = usize::try_from(failures).ok()?.checked_sub(1)?;
    let delay_ms = *SCHEDULE_MS.get(position)?;
    let jitter_ms = delay_ms / JITTER_PART * i64::from(jitter) / i64::from(u16::MAX);
    let asked_ms = retry_after_ms.unwrap_or(0).min(RETRY_AFTER_MAX_MS);
    Some((delay_ms + jitter_ms).max(asked_ms))
}

/// Reads the header `Retry-After` (RFC 9110 section 10.2.3): seconds or a date.
/// Nothing when it is neither.
pub(crate) fn retry_after_ms(header: &str, now_ms: i64) -> Option<i64> {
    let header = header.trim_ascii();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are just very long.
        let seconds: i64 = header.parse().unwrap_or(i64::MAX);
        return Some(seconds.saturating_mul(1_000));
    }
    let date = jiff::fmt::rfc2822::parse(header).ok()?;
    Some(date.timestamp().as_millisecond().saturating_sub(now_ms))
}

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The delays after the first failed attempt, the second and so on.
const SCHEDULE_MS: [i64; 9] = [
    5 * SECOND_MS,
    5 * MINUTE_MS,
    30 * MINUTE_MS,
    2 * HOUR_MS,
    5 * HOUR_MS,
    10 * HOUR_MS,
    14 * HOUR_MS,
    20 * HOUR_MS,
    24 * HOUR_MS,
];
const JITTER_PART: i64 = 10;
const RETRY_AFTER_MAX_MS: i64 = 24 * HOUR_MS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_schedule_and_end() {
        for (failures, expected) in [
            (1, Some(5 * SECOND_MS)),
            (2, Some(5 * MINUTE_MS)),
            (3, Some(30 * MINUTE_MS)),
            (4, Some(2 * HOUR_MS)),
            (5, Some(5 * HOUR_MS)),
            (6, Some(10 * HOUR_MS)),
            (7, Some(14 * HOUR_MS)),
            (8, Some(20 * HOUR_MS)),
            (9, Some(24 * HOUR_MS)),
            (10, None),
            (i64::MAX, None),
            (0, None),
            (-1, None),
        ] {
            assert_eq!(delay_ms(failures, 0, None), expected, "{failures}");
        }
    }

    #[test]
    fn jitter_adds_up_to_a_tenth() {
        for failures in 1..=9 {
            let delay = delay_ms(failures, 0, None).unwrap();
            assert_eq!(delay_ms(failures, u16::MAX, None), Some(delay + delay / 10));
            let between = delay_ms(failures, u16::MAX / 2, None).unwrap();
            assert!(delay < between && between < delay + delay / 10);
        }
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_less_or_for_ever() {
        for (asked_ms, expected) in [
            (-1, 5 * SECOND_MS),
            (SECOND_MS, 5 * SECOND_MS),
            (MINUTE_MS, MINUTE_MS),
            (25 * HOUR_MS, 24 * HOUR_MS),
            (i64::MAX, 24 * HOUR_MS),
        ] {
            assert_eq!(delay_ms(1, 0, Some(asked_ms)), Some(expected), "{asked_ms}");
        }
        assert_eq!(delay_ms(10, 0, Some(SECOND_MS)), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // 1994-11-06T08:49:37Z
        let now_ms = 784_111_777_000;
        for (header, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120_000)),
            ("99999999999999999999999", Some(i64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(-60_000)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("soon", None),
            ("2006-01-02T15:04:05Z", None),
        ] {
            assert_eq!(retry_after_ms(header, now_ms), expected, "{header:?}");
        }
    }
}
