//! Reads an operation's input from a JSON object with the type and constraint rules of the AWS
//! protocols, and the texts of the real services for what breaks them (`cognito.md` §1,
//! `lambda.md` §2). Both doors read through here.
//!
//! What does not live here: the shapes of a product (its lengths, patterns and value sets), which
//! are constants of [`Text`], [`Size`] and [`Integer`] beside its operations, and rules between
//! members.
//!
//! Rules of the protocols: `null` equals absent, unknown members are never looked at, a wrong type
//! wins over every broken constraint, and broken constraints are reported together.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};

/// The real services stop counting here; it also bounds the answer to a list of nonsense.
const VIOLATIONS_MAX: usize = 10;

/// Longer values are cut in a message: the caller knows what was sent.
const SHOWN_VALUE_MAX: usize = 1024;

static NULL: Value = Value::Null;

/// What a text must be: the string shapes of an API model.
///
/// ```
/// use aws_protocol::input::{Pattern, Text};
///
/// const PASSWORD: Text = Text::ANY.max(256).pattern(Pattern {
///     text: r"[\S]+",
///     matches: |text| !text.is_empty() && !text.contains(char::is_whitespace),
/// }).sensitive();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Text {
    size: Size,
    pattern: Option<Pattern>,
    values: Option<&'static [&'static str]>,
    is_sensitive: bool,
}

/// A regular expression as the API model prints it, and the same rule as a predicate over the
/// whole text. The predicate is the one that decides.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// What the message shows.
    pub text: &'static str,
    /// Whether the whole text matches.
    pub matches: fn(&str) -> bool,
}

impl Text {
    /// Any text.
    pub const ANY: Text = Text {
        size: Size::ANY,
        pattern: None,
        values: None,
        is_sensitive: false,
    };

    /// From `min` to `max` characters.
    pub const fn length(self, min: usize, max: usize) -> Text {
        self.min(min).max(max)
    }

    /// At least `min` characters.
    pub const fn min(mut self, min: usize) -> Text {
        self.size.min = Some(min);
        self
    }

    /// At most `max` characters.
    pub const fn max(mut self, max: usize) -> Text {
        self.size.max = Some(max);
        self
    }

    /// Matches the pattern.
    pub const fn pattern(mut self, pattern: Pattern) -> Text {
        self.pattern = Some(pattern);
        self
    }

    /// Is one of these. [`Input::choice`] does the same and gives a type of ours.
    pub const fn one_of(mut self, values: &'static [&'static str]) -> Text {
        self.values = Some(values);
        self
    }

    /// The value is never repeated in a message.
    pub const fn sensitive(mut self) -> Text {
        self.is_sensitive = true;
        self
    }

    /// The constraints that this value breaks.
    fn broken_by(&self, value: &str) -> Vec<String> {
        let mut broken = self.size.broken_by(value.chars().count());
        if let Some(pattern) = self.pattern.filter(|pattern| !(pattern.matches)(value)) {
            broken.push(pattern.constraint());
        }
        if let Some(values) = self.values.filter(|values| !values.contains(&value)) {
            broken.push(enum_constraint(values.iter().copied()));
        }
        broken
    }

    /// All constraints: for what is inside a list or map the services print every rule of the
    /// shape, not only the broken ones.
    fn constraints(&self) -> Vec<String> {
        let mut all = self.size.constraints();
        all.extend(self.pattern.map(|pattern| pattern.constraint()));
        all.extend(
            self.values
                .map(|values| enum_constraint(values.iter().copied())),
        );
        all
    }
}

impl Pattern {
    fn constraint(&self) -> String {
        format!(
            "Member must satisfy regular expression pattern: {}",
            self.text
        )
    }
}

fn enum_constraint<'v>(values: impl Iterator<Item = &'v str>) -> String {
    let values: Vec<&str> = values.collect();
    format!(
        "Member must satisfy enum value set: [{}]",
        values.join(", ")
    )
}

/// How many characters a text, or members a list or map, may have.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    min: Option<usize>,
    max: Option<usize>,
}

impl Size {
    /// Any number.
    pub const ANY: Size = Size {
        min: None,
        max: None,
    };

    /// From `min` to `max`.
    pub const fn between(min: usize, max: usize) -> Size {
        Size {
            min: Some(min),
            max: Some(max),
        }
    }

    /// At most `max`.
    pub const fn at_most(max: usize) -> Size {
        Size {
            min: None,
            max: Some(max),
        }
    }

    fn broken_by(&self, size: usize) -> Vec<String> {
        let broken = Size {
            max: self.max.filter(|max| size > *max),
            min: self.min.filter(|min| size < *min),
        };
        broken.constraints()
    }

    fn constraints(&self) -> Vec<String> {
        let max = self
            .max
            .map(|max| format!("Member must have length less than or equal to {max}"));
        let min = self
            .min
            .map(|min| format!("Member must have length greater than or equal to {min}"));
        max.into_iter().chain(min).collect()
    }
}

/// How large a number may be.
#[derive(Clone, Copy, Debug)]
pub struct Integer {
    min: i64,
    max: i64,
}

impl Integer {
    /// Any number.
    pub const ANY: Integer = Integer::between(i64::MIN, i64::MAX);

    /// From `min` to `max`.
    pub const fn between(min: i64, max: i64) -> Integer {
        Integer { min, max }
    }

    /// At least `min`.
    pub const fn at_least(min: i64) -> Integer {
        Integer { min, max: i64::MAX }
    }

    fn broken_by(&self, value: i64) -> Vec<String> {
        if value > self.max {
            vec![format!(
                "Member must have value less than or equal to {}",
                self.max
            )]
        } else if value < self.min {
            vec![format!(
                "Member must have value greater than or equal to {}",
                self.min
            )]
        } else {
            Vec::new()
        }
    }
}

/// Why an input is not what the operation takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message().unwrap_or_else(|| "the body is not a JSON object".into()))]
pub enum InputDenial {
    /// The body is not JSON, is nested too deep or is a bare value.
    NotJson {
        /// What the parser says. Lambda tells the caller, Cognito does not.
        detail: String,
    },
    /// A member has another JSON type than its shape.
    WrongType {
        /// The sentence for the caller.
        message: String,
    },
    /// Members break constraints of their shapes: one sentence each, at least one.
    Violations(Vec<String>),
}

impl InputDenial {
    /// The text for the caller. `None` where the JSON 1.1 door sends none.
    pub fn message(&self) -> Option<String> {
        match self {
            InputDenial::NotJson { .. } => None,
            InputDenial::WrongType { message } => Some(message.clone()),
            InputDenial::Violations(violations) => Some(format!(
                "{count} validation error{plural} detected: {all}",
                count = violations.len(),
                plural = if violations.len() == 1 { "" } else { "s" },
                all = violations.join("; "),
            )),
        }
    }

    pub(crate) fn unless_object(
        body: serde_json::Result<Value>,
    ) -> Result<Map<String, Value>, InputDenial> {
        match body {
            Ok(Value::Object(object)) => Ok(object),
            Ok(Value::Array(_)) => Err(InputDenial::WrongType {
                message: LIST_NOT_EXPECTED.into(),
            }),
            Ok(_) => Err(InputDenial::NotJson {
                detail: "expected an object".into(),
            }),
            Err(error) => Err(InputDenial::NotJson {
                detail: error.to_string(),
            }),
        }
    }
}

/// The members of one structure, while they are being read.
///
/// Every method looks at one member, by its name on the wire, and gives a [`Member`] that ends in
/// `required()`, `optional()`, `or(…)` or `or_default()`.
pub struct Input<'v> {
    object: &'v Map<String, Value>,
    /// The way to this structure in messages: empty, or ending in a dot.
    path: String,
    findings: Findings,
}

#[derive(Default)]
struct Findings {
    wrong_type: Option<String>,
    violations: Vec<String>,
}

impl Findings {
    fn wrong_type(&mut self, message: String) {
        self.wrong_type.get_or_insert(message);
    }

    /// `shown` is what stands between "Value " and "at": the value and a space, or nothing.
    fn violations(&mut self, path: &str, constraints: Vec<String>, shown: impl FnOnce() -> String) {
        if constraints.is_empty() {
            return;
        }
        let shown = shown();
        for constraint in constraints {
            self.violation(format!(
                "Value {shown}at '{path}' failed to satisfy constraint: {constraint}"
            ));
        }
    }

    fn violation(&mut self, sentence: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(sentence);
        }
    }

    fn null(&mut self, path: &str) {
        self.violations(path, vec![MUST_NOT_BE_NULL.to_owned()], || "null ".into());
    }

    fn absorb(&mut self, inner: Findings) {
        if let Some(message) = inner.wrong_type {
            self.wrong_type(message);
        }
        for violation in inner.violations {
            self.violation(violation);
        }
    }
}

impl<'v> Input<'v> {
    /// Reads the whole input. What `form` makes is given out only when nothing was wrong, so a
    /// required member that is absent may stand as a placeholder inside `form` and never outside.
    pub fn read<T>(
        object: &'v Map<String, Value>,
        form: impl FnOnce(&mut Input<'v>) -> T,
    ) -> Result<T, InputDenial> {
        let mut input = Input {
            object,
            path: String::new(),
            findings: Findings::default(),
        };
        let read = form(&mut input);
        if let Some(message) = input.findings.wrong_type {
            return Err(InputDenial::WrongType { message });
        }
        if !input.findings.violations.is_empty() {
            return Err(InputDenial::Violations(input.findings.violations));
        }
        Ok(read)
    }

    /// A text.
    pub fn string(&mut self, name: &str, rule: &Text) -> Member<'_, String> {
        self.scalar(name, string, |text, findings, path| {
            findings.violations(path, rule.broken_by(text), || {
                quoted(text, rule.is_sensitive)
            });
        })
    }

    /// A text that stands for one of ours, by a table of names on the wire.
    ///
    /// # Panics
    /// When the table is empty.
    pub fn choice<T: Copy>(&mut self, name: &str, table: &[(&'static str, T)]) -> Member<'_, T> {
        let placeholder = table.first().expect("a choice has values").1;
        let member = self.scalar(name, string, |text, findings, path| {
            if find(table, text).is_none() {
                let constraint = enum_constraint(table.iter().map(|(name, _)| *name));
                findings.violations(path, vec![constraint], || quoted(text, false));
            }
        });
        member.map(
            |text| find(table, &text).unwrap_or(placeholder),
            placeholder,
        )
    }

    /// A whole number. A fraction is cut off and a number beyond 64 bits is taken as the nearest,
    /// as the real services do.
    pub fn integer(&mut self, name: &str, rule: &Integer) -> Member<'_, i64> {
        self.scalar(name, integer, |value, findings, path| {
            findings.violations(path, rule.broken_by(*value), || format!("'{value}' "));
        })
    }

    /// A Boolean. The words that the real services take for one are taken too.
    pub fn boolean(&mut self, name: &str) -> Member<'_, bool> {
        self.scalar(name, boolean, |_, _, _| {})
    }

    /// Bytes, as base64 text with padding.
    pub fn blob(&mut self, name: &str) -> Member<'_, Vec<u8>> {
        self.scalar(name, blob, |_, _, _| {})
    }

    /// Any JSON, as it was sent: documents, and members that are kept without being understood.
    pub fn document(&mut self, name: &str) -> Member<'_, &'v Value> {
        let value = self.find(name);
        self.member(name, value, || &NULL)
    }

    /// A structure, read by `form`. Where the structure is absent, `form` reads an empty one for the
    /// placeholder, so it should do nothing but read.
    pub fn object<T>(
        &mut self,
        name: &str,
        mut form: impl FnMut(&mut Input<'_>) -> T,
    ) -> Member<'_, T> {
        let path = self.path_of(name);
        let read = match self.find(name) {
            Some(value) => structure(value, format!("{path}."), &mut self.findings, &mut form),
            None => None,
        };
        self.member(name, read, || {
            form(&mut Input {
                object: &Map::new(),
                path: String::new(),
                findings: Findings::default(),
            })
        })
    }

    /// A list of structures, each read by `form`. Messages name the items from 1:
    /// `userAttributes.1.member.name`.
    pub fn objects<T>(
        &mut self,
        name: &str,
        size: &Size,
        mut form: impl FnMut(&mut Input<'_>) -> T,
    ) -> Member<'_, Vec<T>> {
        let path = self.path_of(name);
        let items = self.list(name);
        let read = items.map(|items| {
            self.findings
                .violations(&path, size.broken_by(items.len()), String::new);
            let mut read = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let member = format!("{path}.{}.member", index + 1);
                if item.is_null() {
                    self.findings.null(&member);
                } else {
                    let inner = format!("{member}.");
                    read.extend(structure(item, inner, &mut self.findings, &mut form));
                }
            }
            read
        });
        self.member(name, read, Vec::new)
    }

    /// A list of texts.
    pub fn strings(&mut self, name: &str, size: &Size, rule: &Text) -> Member<'_, Vec<String>> {
        let path = self.path_of(name);
        let items = self.list(name);
        let read = items.map(|items| {
            let texts = texts(items, &mut self.findings);
            let mut broken = size.broken_by(items.len());
            if texts.len() < items.len() {
                broken.push(each_member(&[MUST_NOT_BE_NULL.to_owned()]));
            }
            if texts.iter().any(|text| !rule.broken_by(text).is_empty()) {
                broken.push(each_member(&rule.constraints()));
            }
            self.findings
                .violations(&path, broken, || shown_list(&texts, rule.is_sensitive));
            texts
        });
        self.member(name, read, Vec::new)
    }

    /// A list of texts that each stand for one of ours.
    pub fn choices<T: Copy>(
        &mut self,
        name: &str,
        size: &Size,
        table: &[(&'static str, T)],
    ) -> Member<'_, Vec<T>> {
        let path = self.path_of(name);
        let items = self.list(name);
        let read = items.map(|items| {
            let texts = texts(items, &mut self.findings);
            let found: Vec<T> = texts.iter().filter_map(|text| find(table, text)).collect();
            let mut broken = size.broken_by(items.len());
            if found.len() < items.len() {
                let values = enum_constraint(table.iter().map(|(name, _)| *name));
                broken.push(each_member(&[values]));
            }
            self.findings
                .violations(&path, broken, || shown_list(&texts, false));
            found
        });
        self.member(name, read, Vec::new)
    }

    /// A map of texts. Keys whose value is `null` are absent.
    pub fn string_map(
        &mut self,
        name: &str,
        size: &Size,
        key: &Text,
        value: &Text,
    ) -> Member<'_, BTreeMap<String, String>> {
        let path = self.path_of(name);
        let read = match self.find(name) {
            None => None,
            Some(Value::Object(object)) => {
                let map: BTreeMap<String, String> = object
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .filter_map(|(name, value)| match string(value) {
                        Ok(text) => Some((name.clone(), text)),
                        Err(message) => {
                            self.findings.wrong_type(message);
                            None
                        }
                    })
                    .collect();
                let mut broken = size.broken_by(map.len());
                for (what, rule, is_broken) in [
                    (
                        "keys",
                        key,
                        map.keys().any(|k| !key.broken_by(k).is_empty()),
                    ),
                    (
                        "value",
                        value,
                        map.values().any(|v| !value.broken_by(v).is_empty()),
                    ),
                ] {
                    if is_broken {
                        broken.push(format!(
                            "Map {what} must satisfy constraint: [{}]",
                            rule.constraints().join(", ")
                        ));
                    }
                }
                self.findings.violations(&path, broken, || {
                    shown_map(&map, key.is_sensitive || value.is_sensitive)
                });
                Some(map)
            }
            Some(Value::Array(_)) => {
                self.findings.wrong_type(LIST_NOT_EXPECTED.into());
                None
            }
            Some(_) => {
                self.findings.wrong_type("Expected map or null".into());
                None
            }
        };
        self.member(name, read, BTreeMap::new)
    }

    /// Adds a violation in words of the caller's own, for the few shapes whose text differs. The
    /// whole sentence: `Value x at 'runtime' failed to satisfy constraint: …`.
    pub fn violation(&mut self, sentence: String) {
        self.findings.violation(sentence);
    }

    fn scalar<T: Default>(
        &mut self,
        name: &str,
        convert: fn(&Value) -> Result<T, String>,
        check: impl FnOnce(&T, &mut Findings, &str),
    ) -> Member<'_, T> {
        let value = match self.find(name).map(convert) {
            None => None,
            Some(Ok(value)) => {
                let path = self.path_of(name);
                check(&value, &mut self.findings, &path);
                Some(value)
            }
            Some(Err(message)) => {
                self.findings.wrong_type(message);
                None
            }
        };
        self.member(name, value, T::default)
    }

    fn list(&mut self, name: &str) -> Option<&'v Vec<Value>> {
        match self.find(name)? {
            Value::Array(items) => Some(items),
            Value::Object(_) => {
                self.findings.wrong_type(STRUCTURE_NOT_EXPECTED.into());
                None
            }
            _ => {
                self.findings.wrong_type("Expected list or null".into());
                None
            }
        }
    }

    fn member<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        placeholder: impl FnOnce() -> T,
    ) -> Member<'_, T> {
        Member {
            is_absent: self.find(name).is_none(),
            path: self.path_of(name),
            findings: &mut self.findings,
            read: value.map_or_else(|| Read::Placeholder(placeholder()), Read::Value),
        }
    }

    fn find(&self, name: &str) -> Option<&'v Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// The member's name in messages: its first letter is small.
    fn path_of(&self, name: &str) -> String {
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_lowercase());
        let lowered: String = first.into_iter().chain(letters).collect();
        format!("{}{lowered}", self.path)
    }
}

/// A member that has been looked at: say how it is used.
#[must_use]
pub struct Member<'i, T> {
    findings: &'i mut Findings,
    path: String,
    is_absent: bool,
    read: Read<T>,
}

enum Read<T> {
    Value(T),
    /// Stands for a required value until the input is refused.
    Placeholder(T),
}

impl<'i, T> Member<'i, T> {
    /// The value; its absence is a violation.
    pub fn required(self) -> T {
        if self.is_absent {
            self.findings.null(&self.path);
        }
        match self.read {
            Read::Value(value) | Read::Placeholder(value) => value,
        }
    }

    /// The value, if there is one.
    pub fn optional(self) -> Option<T> {
        match self.read {
            Read::Value(value) => Some(value),
            Read::Placeholder(_) => None,
        }
    }

    /// The value, or this one.
    pub fn or(self, default: T) -> T {
        self.optional().unwrap_or(default)
    }

    /// The value, or the empty one of its type.
    pub fn or_default(self) -> T
    where
        T: Default,
    {
        self.optional().unwrap_or_default()
    }

    fn map<U>(self, change: impl FnOnce(T) -> U, placeholder: U) -> Member<'i, U> {
        Member {
            findings: self.findings,
            path: self.path,
            is_absent: self.is_absent,
            read: match self.read {
                Read::Value(value) => Read::Value(change(value)),
                Read::Placeholder(_) => Read::Placeholder(placeholder),
            },
        }
    }
}

const MUST_NOT_BE_NULL: &str = "Member must not be null";
const LIST_NOT_EXPECTED: &str = "Start of list found where not expected";
const STRUCTURE_NOT_EXPECTED: &str = "Start of structure or map found where not expected.";

fn structure<T>(
    value: &Value,
    path: String,
    findings: &mut Findings,
    form: &mut impl FnMut(&mut Input<'_>) -> T,
) -> Option<T> {
    let object = match value {
        Value::Object(object) => object,
        Value::Array(_) => {
            findings.wrong_type(LIST_NOT_EXPECTED.into());
            return None;
        }
        _ => {
            findings.wrong_type("Expected null".into());
            return None;
        }
    };
    let mut input = Input {
        object,
        path,
        findings: Findings::default(),
    };
    let read = form(&mut input);
    findings.absorb(input.findings);
    Some(read)
}

fn texts(items: &[Value], findings: &mut Findings) -> Vec<String> {
    items
        .iter()
        .filter(|item| !item.is_null())
        .filter_map(|item| {
            string(item)
                .map_err(|message| findings.wrong_type(message))
                .ok()
        })
        .collect()
}

fn find<T: Copy>(table: &[(&'static str, T)], text: &str) -> Option<T> {
    table
        .iter()
        .find_map(|(name, value)| (*name == text).then_some(*value))
}

fn string(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(cannot_be(other, "a String")),
    }
}

fn integer(value: &Value) -> Result<i64, String> {
    match value {
        Value::Number(number) => Ok(number.as_i64().unwrap_or_else(|| {
            // Saturates: a cast from a float does, and only numbers above the range are not i64.
            number.as_f64().map_or(i64::MAX, |float| float as i64)
        })),
        other => Err(cannot_be(other, "an Integer")),
    }
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(is_true) => Ok(*is_true),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "t" | "1" => Ok(true),
            "false" | "no" | "n" | "f" | "0" => Ok(false),
            _ => Err(cannot_be(value, "an Boolean")),
        },
        other => Err(cannot_be(other, "a Boolean")),
    }
}

fn blob(value: &Value) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => BASE64
            .decode(text)
            .map_err(|_| "Invalid Base64 text can not be converted to a Blob".into()),
        other => Err(cannot_be(other, "a Blob")),
    }
}

fn cannot_be(value: &Value, wanted: &str) -> String {
    let token = match value {
        Value::Object(_) => return STRUCTURE_NOT_EXPECTED.into(),
        Value::Array(_) => return LIST_NOT_EXPECTED.into(),
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Null => "NULL_VALUE",
    };
    format!("{token} can not be converted to {wanted}")
}

fn each_member(constraints: &[String]) -> String {
    format!(
        "Member must satisfy constraint: [{}]",
        constraints.join(", ")
    )
}

/// The value as it stands in a message, with the space after it; nothing for a sensitive one.
fn quoted(text: &str, is_sensitive: bool) -> String {
    if is_sensitive {
        return String::new();
    }
    match text.char_indices().nth(SHOWN_VALUE_MAX) {
        Some((end, _)) => format!("'{}…' ", &text[..end]),
        None => format!("'{text}' "),
    }
}

fn shown_list(texts: &[String], is_sensitive: bool) -> String {
    quoted(&format!("[{}]", texts.join(", ")), is_sensitive)
}

fn shown_map(map: &BTreeMap<String, String>, is_sensitive: bool) -> String {
    let pairs: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    quoted(&format!("{{{}}}", pairs.join(", ")), is_sensitive)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const ID: Text = Text::ANY.length(1, 5).pattern(Pattern {
        text: r"[\w+]+",
        matches: |text| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        },
    });
    const PASSWORD: Text = Text::ANY
        .max(8)
        .pattern(Pattern {
            text: r"[\S]+",
            matches: |text| !text.is_empty() && !text.contains(char::is_whitespace),
        })
        .sensitive();
    const STATUS: Text = Text::ANY.one_of(&["ON", "OFF"]);

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Flow {
        Srp,
        Custom,
    }
    const FLOWS: &[(&str, Flow)] = &[("USER_SRP_AUTH", Flow::Srp), ("CUSTOM_AUTH", Flow::Custom)];

    /// Reads `body` with a form that has a member of every kind and gives the denial's text.
    fn told(body: Value) -> String {
        let Value::Object(object) = body else {
            panic!("the body is an object")
        };
        let read = Input::read(&object, |input| {
            let _ = input.string("ClientId", &ID).optional();
            let _ = input.string("Password", &PASSWORD).optional();
            let _ = input.string("MfaConfiguration", &STATUS).optional();
            let _ = input.choice("AuthFlow", FLOWS).optional();
            let _ = input
                .integer("MaxResults", &Integer::between(0, 60))
                .optional();
            let _ = input.boolean("Enabled").optional();
            let _ = input.blob("ZipFile").optional();
            let _ = input.document("Credential").optional();
            let _ = input
                .object("Policies", |policies| {
                    policies
                        .object("PasswordPolicy", |policy| {
                            policy
                                .integer("MinimumLength", &Integer::between(6, 99))
                                .optional()
                        })
                        .optional()
                })
                .optional();
            let _ = input
                .objects("UserAttributes", &Size::at_most(3), |attribute| {
                    let name = attribute.string("Name", &ID).required();
                    (name, attribute.string("Value", &Text::ANY).optional())
                })
                .optional();
            let _ = input.strings("Names", &Size::at_most(2), &ID).optional();
            let _ = input.choices("Flows", &Size::ANY, FLOWS).optional();
            let _ = input
                .string_map("ClientMetadata", &Size::at_most(2), &ID, &Text::ANY.max(3))
                .optional();
        });
        match read {
            Ok(()) => "fine".into(),
            Err(denial) => denial.message().unwrap(),
        }
    }

    #[test]
    fn a_wrong_type_has_the_words_of_the_services() {
        const LIST: &str = "Start of list found where not expected";
        const STRUCTURE: &str = "Start of structure or map found where not expected.";
        for (body, expected) in [
            (
                json!({"ClientId": 1}),
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                json!({"ClientId": 1.5}),
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                json!({"ClientId": true}),
                "TRUE_VALUE can not be converted to a String",
            ),
            (
                json!({"ClientId": false}),
                "FALSE_VALUE can not be converted to a String",
            ),
            (json!({"ClientId": []}), LIST),
            (json!({"ClientId": {}}), STRUCTURE),
            (
                json!({"AuthFlow": 1}),
                "NUMBER_VALUE can not be converted to a String",
            ),
            (
                json!({"MaxResults": "1"}),
                "STRING_VALUE can not be converted to an Integer",
            ),
            (
                json!({"MaxResults": true}),
                "TRUE_VALUE can not be converted to an Integer",
            ),
            (json!({"MaxResults": [1]}), LIST),
            (json!({"MaxResults": {}}), STRUCTURE),
            (
                json!({"Enabled": 1}),
                "NUMBER_VALUE can not be converted to a Boolean",
            ),
            (
                json!({"Enabled": "maybe"}),
                "STRING_VALUE can not be converted to an Boolean",
            ),
            (
                json!({"ZipFile": "%"}),
                "Invalid Base64 text can not be converted to a Blob",
            ),
            (json!({"Policies": "x"}), "Expected null"),
            (json!({"Policies": []}), LIST),
            (json!({"Policies": {"PasswordPolicy": 1}}), "Expected null"),
            (json!({"UserAttributes": "x"}), "Expected list or null"),
            (json!({"UserAttributes": {}}), STRUCTURE),
            (json!({"UserAttributes": ["x"]}), "Expected null"),
            (
                json!({"UserAttributes": [{"Name": "a", "Value": 1}]}),
                "NUMBER_VALUE can not be converted to a String",
            ),
            (json!({"Names": 1}), "Expected list or null"),
            (
                json!({"Names": ["a", 1]}),
                "NUMBER_VALUE can not be converted to a String",
            ),
            (json!({"Flows": [{}]}), STRUCTURE),
            (json!({"ClientMetadata": "x"}), "Expected map or null"),
            (json!({"ClientMetadata": []}), LIST),
            (
                json!({"ClientMetadata": {"a": 1}}),
                "NUMBER_VALUE can not be converted to a String",
            ),
        ] {
            let shown = body.to_string();
            assert_eq!(told(body), expected, "{shown}");
        }
    }

    #[test]
    fn a_broken_constraint_has_the_words_of_the_services() {
        const CONSTRAINT: &str = "failed to satisfy constraint: Member must";
        const FLOW: &str = "satisfy enum value set: [USER_SRP_AUTH, CUSTOM_AUTH]";
        for (body, expected) in [
            (json!({"ClientId": "abcdef"}), format!("1 validation error detected: Value 'abcdef' at 'clientId' {CONSTRAINT} have length less than or equal to 5")),
            (json!({"ClientId": ""}), format!("2 validation errors detected: Value '' at 'clientId' {CONSTRAINT} have length greater than or equal to 1; Value '' at 'clientId' {CONSTRAINT} satisfy regular expression pattern: [\\w+]+")),
            (json!({"Password": "a b c d e f"}), format!("2 validation errors detected: Value at 'password' {CONSTRAINT} have length less than or equal to 8; Value at 'password' {CONSTRAINT} satisfy regular expression pattern: [\\S]+")),
            (json!({"MfaConfiguration": "off"}), format!("1 validation error detected: Value 'off' at 'mfaConfiguration' {CONSTRAINT} satisfy enum value set: [ON, OFF]")),
            (json!({"AuthFlow": "X"}), format!("1 validation error detected: Value 'X' at 'authFlow' {CONSTRAINT} {FLOW}")),
            (json!({"MaxResults": 61}), format!("1 validation error detected: Value '61' at 'maxResults' {CONSTRAINT} have value less than or equal to 60")),
            (json!({"MaxResults": -1}), format!("1 validation error detected: Value '-1' at 'maxResults' {CONSTRAINT} have value greater than or equal to 0")),
            (json!({"Policies": {"PasswordPolicy": {"MinimumLength": 5}}}), format!("1 validation error detected: Value '5' at 'policies.passwordPolicy.minimumLength' {CONSTRAINT} have value greater than or equal to 6")),
            (json!({"UserAttributes": [{"Name": "a"}, {"Name": "?"}, {}]}), format!("2 validation errors detected: Value '?' at 'userAttributes.2.member.name' {CONSTRAINT} satisfy regular expression pattern: [\\w+]+; Value null at 'userAttributes.3.member.name' {CONSTRAINT} not be null")),
            (json!({"UserAttributes": [null]}), format!("1 validation error detected: Value null at 'userAttributes.1.member' {CONSTRAINT} not be null")),
            (json!({"UserAttributes": [{"Name": "a"}, {"Name": "a"}, {"Name": "a"}, {"Name": "a"}]}), format!("1 validation error detected: Value at 'userAttributes' {CONSTRAINT} have length less than or equal to 3")),
            (json!({"Names": ["a", "b", "c"]}), format!("1 validation error detected: Value '[a, b, c]' at 'names' {CONSTRAINT} have length less than or equal to 2")),
            (json!({"Names": ["a", "?"]}), format!("1 validation error detected: Value '[a, ?]' at 'names' {CONSTRAINT} satisfy constraint: [Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\\w+]+]")),
            (json!({"Names": [null]}), format!("1 validation error detected: Value '[]' at 'names' {CONSTRAINT} satisfy constraint: [Member must not be null]")),
            (json!({"Flows": ["CUSTOM_AUTH", "X"]}), format!("1 validation error detected: Value '[CUSTOM_AUTH, X]' at 'flows' {CONSTRAINT} satisfy constraint: [Member must {FLOW}]")),
            (json!({"ClientMetadata": {"a": "1234"}}), "1 validation error detected: Value '{a=1234}' at 'clientMetadata' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 3]".into()),
            (json!({"ClientMetadata": {"?": "1"}}), "1 validation error detected: Value '{?=1}' at 'clientMetadata' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 5, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\\w+]+]".into()),
        ] {
            let shown = body.to_string();
            assert_eq!(told(body), expected, "{shown}");
        }
    }

    #[test]
    fn null_is_absent_and_unknown_members_are_not_looked_at() {
        for body in [
            json!({}),
            json!({"Unknown": {"deep": [1, 2]}}),
            json!({"ClientId": null, "MaxResults": null, "Enabled": null, "Policies": null,
                   "UserAttributes": null, "Names": null, "Flows": null, "ClientMetadata": null}),
            json!({"Policies": {"PasswordPolicy": null}}),
            json!({"UserAttributes": [{"Name": "a", "Value": null}]}),
            json!({"ClientMetadata": {"a": null}}),
        ] {
            let shown = body.to_string();
            assert_eq!(told(body), "fine", "{shown}");
        }
    }

    #[test]
    fn a_wrong_type_wins_over_broken_constraints() {
        assert_eq!(
            told(json!({"ClientId": "", "ClientMetadata": {"a": 1}})),
            "NUMBER_VALUE can not be converted to a String",
        );
    }

    #[test]
    fn a_required_member_that_is_absent_is_reported_with_the_others() {
        let body = Map::new();
        let denial = Input::read(&body, |input| {
            (
                input.string("ClientId", &ID).required(),
                input.string("Password", &PASSWORD).required(),
                input.choice("AuthFlow", FLOWS).required(),
                input.integer("MaxResults", &Integer::ANY).required(),
                input
                    .object("Policies", |policies| {
                        policies.string("Name", &ID).required()
                    })
                    .required(),
                input.strings("Names", &Size::ANY, &ID).required(),
                input.document("Credential").required().clone(),
            )
        })
        .unwrap_err();
        insta::assert_snapshot!(denial, @"7 validation errors detected: Value null at 'clientId' failed to satisfy constraint: Member must not be null; Value null at 'password' failed to satisfy constraint: Member must not be null; Value null at 'authFlow' failed to satisfy constraint: Member must not be null; Value null at 'maxResults' failed to satisfy constraint: Member must not be null; Value null at 'policies' failed to satisfy constraint: Member must not be null; Value null at 'names' failed to satisfy constraint: Member must not be null; Value null at 'credential' failed to satisfy constraint: Member must not be null");
    }

    #[test]
    fn what_was_sent_is_what_is_read() {
        let Value::Object(body) = json!({
            "ClientId": "abc",
            "AuthFlow": "CUSTOM_AUTH",
            "MaxResults": 59.9,
            "Enabled": "True",
            "ZipFile": "AAEC",
            "Credential": {"id": 1},
            "UserAttributes": [{"Name": "email", "Value": "a@b"}],
            "Flows": ["CUSTOM_AUTH", "USER_SRP_AUTH"],
            "ClientMetadata": {"k": "v"},
        }) else {
            unreachable!()
        };
        let read = Input::read(&body, |input| {
            assert_eq!(input.string("ClientId", &ID).required(), "abc");
            assert_eq!(input.string("Missing", &ID).or("x".into()), "x");
            assert_eq!(input.choice("AuthFlow", FLOWS).required(), Flow::Custom);
            let limit = Integer::between(0, 60);
            assert_eq!(input.integer("MaxResults", &limit).required(), 59);
            assert_eq!(input.boolean("Enabled").optional(), Some(true));
            assert_eq!(input.blob("ZipFile").required(), [0, 1, 2]);
            let attributes = input
                .objects("UserAttributes", &Size::ANY, |attribute| {
                    let name = attribute.string("Name", &ID).required();
                    (name, attribute.string("Value", &Text::ANY).or_default())
                })
                .required();
            assert_eq!(attributes, [("email".to_owned(), "a@b".to_owned())]);
            assert_eq!(
                input.choices("Flows", &Size::ANY, FLOWS).required(),
                [Flow::Custom, Flow::Srp],
            );
            let metadata = input
                .string_map("ClientMetadata", &Size::ANY, &ID, &Text::ANY)
                .required();
            assert_eq!(metadata["k"], "v");
            input.document("Credential").required()
        });
        assert_eq!(read, Ok(&json!({"id": 1})));
    }

    #[test]
    fn numbers_beyond_the_range_break_its_bound() {
        for (number, bound) in [
            ("99999999999999999999", "less than or equal to 60"),
            ("1e300", "less than or equal to 60"),
            ("-1e300", "greater than or equal to 0"),
        ] {
            let body: Value =
                serde_json::from_str(&format!(r#"{{"MaxResults":{number}}}"#)).unwrap();
            let told = told(body);
            assert!(told.ends_with(bound), "{told}");
        }
    }

    #[test]
    fn ten_violations_are_enough() {
        let Value::Object(body) = json!({"Items": vec![json!({}); 10_000]}) else {
            unreachable!()
        };
        let denial = Input::read(&body, |input| {
            input
                .objects("Items", &Size::ANY, |item| {
                    item.string("Name", &ID).required()
                })
                .optional()
        })
        .unwrap_err();
        let InputDenial::Violations(violations) = denial else {
            panic!("{denial:?}")
        };
        assert_eq!(violations.len(), VIOLATIONS_MAX);
    }

    #[test]
    fn a_long_value_is_cut_in_the_message() {
        let told = told(json!({"ClientId": "é".repeat(2_000_000)}));
        assert!(told.len() < 5_000, "{} bytes", told.len());
        assert!(told.contains("é…' at 'clientId'"));
    }

    #[test]
    fn a_sensitive_value_is_never_repeated() {
        let secret = Text::ANY.max(3).sensitive();
        let Value::Object(body) = json!({"A": "hunter2", "B": ["hunter2"], "C": {"k": "hunter2"}})
        else {
            unreachable!()
        };
        let denial = Input::read(&body, |input| {
            let _ = input.string("A", &secret).optional();
            let _ = input.strings("B", &Size::ANY, &secret).optional();
            let _ = input
                .string_map("C", &Size::ANY, &Text::ANY, &secret)
                .optional();
        })
        .unwrap_err();
        let message = denial.message().unwrap();
        assert!(message.starts_with("3 validation errors detected: Value at 'a' "));
        assert!(!message.contains("hunter2"), "{message}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        let name = prop::sample::select(vec![
            "ClientId",
            "Password",
            "AuthFlow",
            "MaxResults",
            "Enabled",
            "ZipFile",
            "Policies",
            "PasswordPolicy",
            "MinimumLength",
            "UserAttributes",
            "Name",
            "Value",
            "Names",
            "Flows",
            "ClientMetadata",
        ]);
        leaf.prop_recursive(4, 64, 8, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::hash_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_input_makes_a_form_panic(body in any_json()) {
            if body.is_object() {
                prop_assert!(!told(body).is_empty());
            }
        }
    }
}
