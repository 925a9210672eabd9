//! What a list may be asked for: filters with operators, an order, a page
//! (passkey-flex section b.6). Pure: a query's texts become the values of
//! statements that never change.
//!
//! Statements are put together from fixed fragments only. A filter that was not
//! asked for gets values that everything passes; an order is a number for each
//! place, which a fixed `CASE` turns into a column. Texts compare without case
//! wherever they are ordered or matched by pattern, because databases disagree
//! about case; equality is exact.

use jiff::{Timestamp, fmt::temporal::Pieces};
use platform::Value;

use crate::Refusal;

/// The condition of a [`NumberFilter`] on a column, by the numbers of its three values.
macro_rules! number_condition {
    ($column:literal, $above:literal, $below:literal, $except:literal) => {
        concat!(
            $column, " > ", $above, " AND ", $column, " < ", $below, " AND ", $column, " <> ",
            $except
        )
    };
}

/// The condition of a [`TextFilter`] on a column, by the numbers of its two values.
macro_rules! text_condition {
    ($column:literal, $operator:literal, $text:literal) => {
        concat!(
            "(CAST(",
            $operator,
            " AS BIGINT) = 0",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 1 AND ",
            $column,
            " = ",
            $text,
            ")",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 2 AND ",
            $column,
            " <> ",
            $text,
            ")",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 3 AND LOWER(",
            $column,
            ") > ",
            $text,
            ")",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 4 AND LOWER(",
            $column,
            ") < ",
            $text,
            ")",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 5",
            " AND LOWER(",
            $column,
            ") LIKE ",
            $text,
            " ESCAPE '\\')",
            " OR (CAST(",
            $operator,
            " AS BIGINT) = 6",
            " AND LOWER(",
            $column,
            ") NOT LIKE ",
            $text,
            " ESCAPE '\\'))"
        )
    };
}

/// The order by id, by the number of its value: 1 ascending, -1 descending.
macro_rules! id_order {
    ($direction:literal) => {
        concat!(
            "CASE CAST(",
            $direction,
            " AS BIGINT) WHEN 1 THEN LOWER(id) END,",
            " CASE CAST(",
            $direction,
            " AS BIGINT) WHEN -1 THEN LOWER(id) END DESC, id"
        )
    };
}

pub(crate) use {id_order, number_condition, text_condition};

/// Which page of a list, and of which state of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    /// From 1.
    pub(crate) page: i64,
    /// How many to a page.
    pub(crate) limit: i64,
    /// Only what was created before this, in seconds since the epoch.
    pub(crate) created_before_s: Option<i64>,
}

impl Default for Paging {
    fn default() -> Paging {
        Paging {
            page: 1,
            limit: LIMIT_DEFAULT,
            created_before_s: None,
        }
    }
}

impl Paging {
    /// Takes one parameter of the query; false when it is not about paging.
    pub(crate) fn take(&mut self, name: &str, text: &str) -> Result<bool, Refusal> {
        match name {
            "page" => self.page = integer_within(name, text, 1, i64::from(i32::MAX))?,
            "limit" => self.limit = integer_within(name, text, 1, LIMIT_MAX)?,
            "created_before" => {
                self.created_before_s = Some(integer_within(name, text, 0, i64::MAX)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The moment the list stands still at, in seconds. By default the next full
    /// second, so that whoever was created just now is in it.
    pub(crate) fn anchor_s(&self, now_ms: i64) -> i64 {
        self.created_before_s
            .unwrap_or_else(|| now_ms.div_euclid(1_000) + 1)
    }

    /// How many rows lie before the page.
    pub(crate) fn offset(&self) -> i64 {
        (self.page - 1) * self.limit
    }
}

/// What stands in angle brackets before a value; nothing stands for `Equal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal = 1,
    NotEqual = 2,
    Above = 3,
    Below = 4,
    Like = 5,
    NotLike = 6,
}

impl Operator {
    /// Splits `<ne:v>` into operator and value. Something in angle brackets with
    /// another word before its colon is refused: it would silently match nothing.
    fn split<'a>(name: &str, text: &'a str) -> Result<(Operator, &'a str), Refusal> {
        let within = text
            .strip_prefix('<')
            .and_then(|rest| rest.strip_suffix('>'))
            .and_then(|within| within.split_once(':'));
        let Some((word, value)) = within else {
            return Ok((Operator::Equal, text));
        };
        let operator = match word {
            "ne" => Operator::NotEqual,
            "gt" => Operator::Above,
            "lt" => Operator::Below,
            "like" => Operator::Like,
            "not_like" => Operator::NotLike,
            _ => {
                return Err(invalid(format!(
                    "{name} has an unknown operator; there are ne, gt, lt, like and not_like."
                )));
            }
        };
        Ok((operator, value))
    }
}

/// What a filter asks of a number or of a time in milliseconds. Several
/// conditions on one column all have to hold; only one may exclude a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberFilter {
    above: i64,
    below: i64,
    except: Option<i64>,
}

impl Default for NumberFilter {
    fn default() -> NumberFilter {
        NumberFilter {
            above: i64::MIN,
            below: i64::MAX,
            except: None,
        }
    }
}

impl NumberFilter {
    /// Adds a condition on a whole number.
    pub(crate) fn add_number(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let (operator, value) = Operator::split(name, text)?;
        let number = integer_within(name, value, i64::MIN, i64::MAX)?;
        self.add(name, operator, number, true)
    }

    /// Adds a condition on a time, which the query gives in RFC 3339 and maybe
    /// finer than it is stored. The last moments of the year 9999, with which
    /// people say "no end", count as the last one that can be told.
    pub(crate) fn add_time(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let (operator, value) = Operator::split(name, text)?;
        let time = read_time(value).ok_or_else(|| {
            invalid(format!(
                "{name} must be a time such as 2006-01-02T15:04:05.000000Z."
            ))
        })?;
        let nanoseconds = time.as_nanosecond();
        let floor_ms = nanoseconds.div_euclid(1_000_000) as i64;
        let is_exact = nanoseconds.rem_euclid(1_000_000) == 0;
        self.add(name, operator, floor_ms, is_exact)
    }

    /// The value is `floor`, or, when not exact, between it and the next number.
    fn add(
        &mut self,
        name: &str,
        operator: Operator,
        floor: i64,
        is_exact: bool,
    ) -> Result<(), Refusal> {
        let next = floor.saturating_add(1);
        match operator {
            Operator::Equal => {
                let before = match is_exact {
                    true => floor.saturating_sub(1),
                    // Nothing lies between a number and the next.
                    false => floor,
                };
                self.above = self.above.max(before);
                self.below = self.below.min(next);
            }
            Operator::NotEqual if self.except.is_some_and(|other| other != floor) => {
                return Err(invalid(format!("{name} may exclude one value only.")));
            }
            Operator::NotEqual if is_exact => self.except = Some(floor),
            Operator::NotEqual => {}
            Operator::Above => self.above = self.above.max(floor),
            Operator::Below => self.below = self.below.min(if is_exact { floor } else { next }),
            Operator::Like | Operator::NotLike => {
                return Err(invalid(format!(
                    "{name} is no text, so it cannot be like one."
                )));
            }
        }
        Ok(())
    }

    /// For [`number_condition`].
    pub(crate) fn values(&self) -> [Value; 3] {
        // No column holds the smallest number.
        [self.above, self.below, self.except.unwrap_or(i64::MIN)].map(Value::Int)
    }
}

/// What a filter asks of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextFilter(Option<(Operator, String)>);

impl TextFilter {
    /// Exactly this text, whatever it looks like.
    pub(crate) fn literally(text: &str) -> TextFilter {
        TextFilter(Some((Operator::Equal, text.to_owned())))
    }

    /// Sets the condition on an id, which can also be ordered.
    pub(crate) fn set_id(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let condition = TextFilter::parse(name, text)?;
        if let Some((Operator::Above | Operator::Below, value)) = &condition.0
            && !value.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(invalid(format!(
                "{name} is ordered by letters and digits only."
            )));
        }
        self.set(name, condition)
    }

    /// Sets the condition on a text for people, about whose order databases disagree.
    pub(crate) fn set_free(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let condition = TextFilter::parse(name, text)?;
        if let Some((Operator::Above | Operator::Below, _)) = condition.0 {
            return Err(invalid(format!("{name} has no order, so no gt and no lt.")));
        }
        self.set(name, condition)
    }

    /// Sets the condition on a text that is one of a few words.
    pub(crate) fn set_word(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        let condition = TextFilter::parse(name, text)?;
        self.set(name, condition)
    }

    fn set(&mut self, name: &str, condition: TextFilter) -> Result<(), Refusal> {
        if self.0.is_some() {
            return Err(invalid(format!("{name} may be given once.")));
        }
        *self = condition;
        Ok(())
    }

    fn parse(name: &str, text: &str) -> Result<TextFilter, Refusal> {
        let (operator, value) = Operator::split(name, text)?;
        if value.is_empty() || value.len() > FILTER_BYTES_MAX {
            return Err(invalid(format!(
                "{name} must have 1 to {FILTER_BYTES_MAX} bytes."
            )));
        }
        Ok(TextFilter(Some((operator, value.to_owned()))))
    }

    /// The text that rows must equal, if that is what is asked.
    pub(crate) fn equal(&self) -> Option<&str> {
        match &self.0 {
            Some((Operator::Equal, text)) => Some(text),
            _ => None,
        }
    }

    /// For [`text_condition`].
    pub(crate) fn values(&self) -> [Value; 2] {
        let Some((operator, text)) = &self.0 else {
            return [Value::Int(0), Value::from("")];
        };
        let text = match operator {
            Operator::Equal | Operator::NotEqual => text.clone(),
            Operator::Above | Operator::Below => text.to_ascii_lowercase(),
            // The backslash is a letter like any other, so it escapes itself.
            Operator::Like | Operator::NotLike => text.to_ascii_lowercase().replace('\\', "\\\\"),
        };
        [Value::Int(*operator as i64), Value::Text(text)]
    }

    /// Whether `word` passes, by the rules of [`text_condition`].
    pub(crate) fn passes(&self, word: &str) -> bool {
        let Some((operator, text)) = &self.0 else {
            return true;
        };
        let folded = word.to_ascii_lowercase();
        let text_folded = text.to_ascii_lowercase();
        match operator {
            Operator::Equal => word == text,
            Operator::NotEqual => word != text,
            Operator::Above => folded > text_folded,
            Operator::Below => folded < text_folded,
            Operator::Like => is_like(&folded, &text_folded),
            Operator::NotLike => !is_like(&folded, &text_folded),
        }
    }

    /// Which of a column's few words pass, for `column IN ($, $, …)`.
    pub(crate) fn passing<const N: usize>(&self, words: [&str; N]) -> [Value; N] {
        words.map(|word| Value::from(if self.passes(word) { word } else { "" }))
    }
}

/// An order that was asked for, instead of the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order<const N: usize> {
    /// For each place the field's position in the list of fields, from 1;
    /// negative when descending; 0 for no field.
    places: [i64; N],
    /// 1 or -1. The id always comes last: it decides between all that is left.
    id: i64,
}

impl<const N: usize> Order<N> {
    /// Reads `<field>:<ASC|DESC>,…`, where a field is `id` or one of `fields`.
    pub(crate) fn parse(text: &str, fields: [&str; N]) -> Result<Order<N>, Refusal> {
        let mut order = Order {
            places: [0; N],
            id: 0,
        };
        let mut filled = 0;
        for term in text.split(',') {
            let (field, direction) = term
                .trim()
                .split_once(':')
                .ok_or_else(|| invalid("order_by must be a list of <field>:<ASC|DESC>.".into()))?;
            let sign = match direction {
                _ if direction.eq_ignore_ascii_case("asc") => 1,
                _ if direction.eq_ignore_ascii_case("desc") => -1,
                _ => return Err(invalid("order_by knows ASC and DESC.".into())),
            };
            let position = fields.iter().position(|known| *known == field);
            let is_new = match position {
                None if field == "id" => {
                    let is_new = order.id == 0;
                    order.id = sign;
                    is_new
                }
                None => {
                    return Err(invalid(format!(
                        "order_by knows the fields id, {}.",
                        fields.join(", ")
                    )));
                }
                Some(position) => {
                    let number = i64::try_from(position + 1).unwrap_or(0);
                    let is_new = !order.places.iter().any(|place| place.abs() == number);
                    // No two rows have one id, so what follows it decides nothing.
                    if is_new && order.id == 0 {
                        order.places[filled] = sign * number;
                        filled += 1;
                    }
                    is_new
                }
            };
            if !is_new {
                return Err(invalid(format!("order_by names {field} twice.")));
            }
        }
        if order.id == 0 {
            order.id = 1;
        }
        Ok(order)
    }

    /// For the fixed `CASE` of each place, then for [`id_order`].
    pub(crate) fn values(&self) -> impl Iterator<Item = Value> {
        self.places.into_iter().chain([self.id]).map(Value::Int)
    }
}

fn read_time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    // The last moments have no `Timestamp`, so that those that have one do in every zone.
    let pieces = Pieces::parse(text).ok()?;
    let is_whole = pieces.time().is_some() && pieces.offset().is_some();
    (is_whole && pieces.date().year() == 9999).then_some(Timestamp::MAX)
}

/// SQL's LIKE: `%` stands for any text, `_` for any one character.
fn is_like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut within) = (0, 0);
    // Where to go on when the rest does not fit: behind the last `%`, one character later.
    let mut retry = None;
    while at < text.len() {
        match pattern.get(within) {
            Some('%') => {
                within += 1;
                retry = Some((at + 1, within));
            }
            Some(wanted) if *wanted == '_' || *wanted == text[at] => {
                at += 1;
                within += 1;
            }
            _ => {
                let Some((later, behind)) = retry else {
                    return false;
                };
                (at, within) = (later, behind);
                retry = Some((later + 1, behind));
            }
        }
    }
    pattern[within..].iter().all(|rest| *rest == '%')
}

fn integer_within(name: &str, text: &str, min: i64, max: i64) -> Result<i64, Refusal> {
    text.parse()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| match (min, max) {
            (i64::MIN, _) => invalid(format!("{name} must be a whole number.")),
            (_, i64::MAX) => invalid(format!("{name} must be a whole number from {min}.")),
            _ => invalid(format!(
                "{name} must be a whole number from {min} to {max}."
            )),
        })
}

fn invalid(text: String) -> Refusal {
    Refusal::InvalidRequest(text)
}

const LIMIT_DEFAULT: i64 = 15;
const LIMIT_MAX: i64 = 500;
const FILTER_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(conditions: &[&str]) -> Result<NumberFilter, Refusal> {
        let mut filter = NumberFilter::default();
        for condition in conditions {
            filter.add_number("login_count", condition)?;
        }
        Ok(filter)
    }

    fn passing(filter: &NumberFilter, numbers: std::ops::RangeInclusive<i64>) -> Vec<i64> {
        numbers
            .filter(|number| {
                filter.above < *number && *number < filter.below && filter.except != Some(*number)
            })
            .collect()
    }

    #[test]
    fn numbers_pass_by_every_condition() {
        for (conditions, expected) in [
            (&[][..], &[1, 2, 3, 4, 5][..]),
            (&["3"], &[3]),
            (&["<ne:3>"], &[1, 2, 4, 5]),
            (&["<gt:3>"], &[4, 5]),
            (&["<lt:3>"], &[1, 2]),
            (&["<gt:1>", "<lt:5>", "<ne:3>"], &[2, 4]),
            (&["3", "4"], &[]),
            (&["<gt:9223372036854775807>"], &[]),
            (&["-9223372036854775808"], &[]),
        ] {
            let filter = numbers(conditions).unwrap();
            assert_eq!(passing(&filter, 1..=5), expected, "{conditions:?}");
        }
        for conditions in [
            &[""][..],
            &["a"],
            &["1.5"],
            &["<gt:>"],
            &["<like:1%>"],
            &["<not_like:1%>"],
            &["<ge:1>"],
            &["<gt:1"],
            &["<ne:1>", "<ne:2>"],
            &["9223372036854775808"],
        ] {
            assert!(numbers(conditions).is_err(), "{conditions:?}");
        }
    }

    #[test]
    fn times_finer_than_a_millisecond_lie_between_two() {
        let times = |condition: &str| {
            let mut filter = NumberFilter::default();
            filter.add_time("created_at", condition).unwrap();
            passing(&filter, 0..=4)
        };
        for (condition, expected) in [
            ("1970-01-01T00:00:00.002000Z", &[2][..]),
            ("1970-01-01T00:00:00.002500Z", &[]),
            ("1970-01-01T02:00:00.002+02:00", &[2]),
            ("<ne:1970-01-01T00:00:00.002000Z>", &[0, 1, 3, 4]),
            ("<ne:1970-01-01T00:00:00.002500Z>", &[0, 1, 2, 3, 4]),
            ("<gt:1970-01-01T00:00:00.002000Z>", &[3, 4]),
            ("<gt:1970-01-01T00:00:00.002500Z>", &[3, 4]),
            ("<lt:1970-01-01T00:00:00.002000Z>", &[0, 1]),
            ("<lt:1970-01-01T00:00:00.002500Z>", &[0, 1, 2]),
            ("<lt:1969-12-31T23:59:59.999500Z>", &[]),
            ("<gt:1969-12-31T23:59:59.999500Z>", &[0, 1, 2, 3, 4]),
        ] {
            assert_eq!(times(condition), expected, "{condition}");
        }
        for condition in [
            "",
            "2006-01-02",
            "1136214245",
            "<like:2006%>",
            "now",
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-13-31T23:59:59Z",
            "10000-01-01T00:00:00Z",
        ] {
            let mut filter = NumberFilter::default();
            assert!(filter.add_time("created_at", condition).is_err());
        }
    }

    #[test]
    fn the_last_moments_of_all_are_no_end() {
        for (condition, expected) in [
            ("<lt:9999-12-30T21:59:59Z>", &[0, 1][..]),
            ("<lt:9999-12-30T22:00:01Z>", &[0, 1]),
            ("<lt:9999-12-31T23:59:59Z>", &[0, 1]),
            ("<lt:9999-12-31T23:59:59.999999Z>", &[0, 1]),
            ("<lt:9999-12-31T23:59:59-12:00>", &[0, 1]),
            ("<ne:9999-12-31T23:59:59Z>", &[0, 1]),
            ("<gt:9999-12-31T23:59:59Z>", &[]),
            ("9999-12-31T23:59:59Z", &[]),
        ] {
            let mut filter = NumberFilter::default();
            filter.add_time("created_at", condition).unwrap();
            assert_eq!(passing(&filter, 0..=1), expected, "{condition}");
        }
    }

    #[test]
    fn words_pass_as_their_condition_says() {
        let passing = |condition: &str| {
            let mut filter = TextFilter::default();
            filter.set_word("status", condition).unwrap();
            ["active", "inactive", "pending"]
                .into_iter()
                .filter(|word| filter.passes(word))
                .collect::<Vec<_>>()
        };
        for (condition, expected) in [
            ("active", &["active"][..]),
            ("ACTIVE", &[]),
            ("<ne:active>", &["inactive", "pending"]),
            ("<gt:Active>", &["inactive", "pending"]),
            ("<lt:pending>", &["active", "inactive"]),
            ("<like:%ACTIVE>", &["active", "inactive"]),
            ("<like:active>", &["active"]),
            ("<like:_ending>", &["pending"]),
            ("<like:%>", &["active", "inactive", "pending"]),
            ("<like:%i%e%>", &["active", "inactive"]),
            ("<like:%i%i%i%>", &[]),
            ("<not_like:%active>", &["pending"]),
            ("<like:active\\>", &[]),
            // Not an operator's form, so a text.
            ("<active>", &[]),
            ("<like:active", &[]),
        ] {
            assert_eq!(passing(condition), expected, "{condition}");
        }
    }

    #[test]
    fn a_text_is_filtered_once_and_by_operators_that_it_has() {
        let mut filter = TextFilter::default();
        assert!(filter.set_id("id", "<xx:a>").is_err());
        assert!(filter.set_id("id", "").is_err());
        assert!(filter.set_id("id", "<ne:>").is_err());
        assert!(filter.set_id("id", &"a".repeat(513)).is_err());
        assert!(filter.set_id("id", "<gt:a-b>").is_err());
        assert!(filter.set_free("ip_addr", "<lt:a>").is_err());
        assert_eq!(filter, TextFilter::default());
        filter.set_id("id", "a").unwrap();
        assert_eq!(filter.equal(), Some("a"));
        assert!(filter.set_id("id", "b").is_err());
    }

    #[test]
    fn an_order_is_a_place_for_each_field() {
        let parse = |text| Order::parse(text, ["login_count", "created_at"]);
        for (text, places, id) in [
            ("created_at:DESC", [-2, 0], 1),
            ("created_at:asc,login_count:desc", [2, -1], 1),
            ("login_count:ASC, created_at:ASC,id:DESC", [1, 2], -1),
            ("id:DESC,created_at:ASC", [0, 0], -1),
        ] {
            assert_eq!(parse(text), Ok(Order { places, id }), "{text}");
        }
        for text in [
            "",
            ",",
            "id",
            "id:",
            "id:UP",
            "identifier:ASC",
            "external_id:ASC",
            "created_at:ASC,",
            "created_at:ASC,created_at:DESC",
            "id:ASC,id:ASC",
            "created_at ASC",
            "1:ASC",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_is_one_of_1_to_500() {
        let take = |name, text| Paging::default().take(name, text);
        for (name, text) in [
            ("page", "1"),
            ("page", "2147483647"),
            ("limit", "1"),
            ("limit", "500"),
            ("created_before", "0"),
            ("created_before", "9223372036854775807"),
        ] {
            assert_eq!(take(name, text), Ok(true), "{name} {text}");
        }
        for (name, text) in [
            ("page", "0"),
            ("page", "-1"),
            ("page", "2147483648"),
            ("page", ""),
            ("page", "1.0"),
            ("limit", "0"),
            ("limit", "501"),
            ("limit", "all"),
            ("created_before", "-1"),
            ("created_before", "2006-01-02T15:04:05Z"),
        ] {
            assert!(take(name, text).is_err(), "{name} {text}");
        }
        assert_eq!(take("id", "1"), Ok(false));
        assert_eq!(Paging::default().anchor_s(1_999), 2);
        assert_eq!(Paging::default().anchor_s(2_000), 3);
    }
}
