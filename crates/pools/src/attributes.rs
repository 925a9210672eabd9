//! User attributes: the schema of a pool and what may be written into it. Pure.
//!
//! What does not live here: who may read or write which attribute (`app_clients`), where users
//! are kept (`users`).

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// A user's attributes by name, without `sub`. Every value is a text.
pub(crate) type Attributes = BTreeMap<String, String>;

pub(crate) const EMAIL: &str = "email";
pub(crate) const EMAIL_VERIFIED: &str = "email_verified";
pub(crate) const PHONE_NUMBER: &str = "phone_number";
pub(crate) const PHONE_NUMBER_VERIFIED: &str = "phone_number_verified";
pub(crate) const PREFERRED_USERNAME: &str = "preferred_username";
pub(crate) const SUB: &str = "sub";

/// An attribute that a code can be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contact {
    /// An e-mail address.
    Email,
    /// A phone number in the form `+<digits>`.
    PhoneNumber,
}

impl Contact {
    /// The attribute that holds the address.
    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Contact::Email => EMAIL,
            Contact::PhoneNumber => PHONE_NUMBER,
        }
    }

    /// The attribute that says whether the user has proven to own the address.
    pub(crate) fn verified_attribute(self) -> &'static str {
        match self {
            Contact::Email => EMAIL_VERIFIED,
            Contact::PhoneNumber => PHONE_NUMBER_VERIFIED,
        }
    }

    /// Whether the text has the form of such an address. The real service's rule for e-mail is not
    /// published; ours asks for something around one `@` and no white space or control character.
    pub(crate) fn is_form_of(self, text: &str) -> bool {
        match self {
            Contact::Email => text.split_once('@').is_some_and(|(name, domain)| {
                !name.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !domain.starts_with('.')
                    && !domain.ends_with('.')
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control())
            }),
            Contact::PhoneNumber => text.strip_prefix('+').is_some_and(|digits| {
                (1..=30).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            }),
        }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.attribute())
    }
}

/// The type of an attribute's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DataType {
    String,
    Number,
    DateTime,
    Boolean,
}

/// One attribute of a schema, in the form of the wire, which is also how it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct SchemaAttribute {
    pub(crate) name: String,
    pub(crate) attribute_data_type: DataType,
    pub(crate) developer_only_attribute: bool,
    pub(crate) mutable: bool,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) string_attribute_constraints: Option<StringConstraints>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) number_attribute_constraints: Option<NumberConstraints>,
}

/// Bounds of a text's length in characters; decimal texts on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StringConstraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_length: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_length: Option<String>,
}

/// Bounds of a number; decimal texts on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct NumberConstraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min_value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_value: Option<String>,
}

/// The attributes that users of a pool can have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Schema(Vec<SchemaAttribute>);

/// Why attributes do not fit a schema. Each text is for the caller (`cognito.md` §5.1, §15.3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeDenial {
    /// Something does not fit the schema: one sentence each.
    #[error("Attributes did not conform to the schema: {}", .0.join("\n"))]
    Nonconforming(Vec<String>),
    /// An e-mail address that is none.
    #[error("Invalid email address format.")]
    Email,
    /// A phone number that is none.
    #[error("Invalid phone number format.")]
    PhoneNumber,
    /// An update of an attribute that nobody may change.
    #[error("user.{0}: Attribute cannot be updated.")]
    NotMutable(String),
    /// An update of an attribute that the schema does not have.
    #[error("user.{0}: Attribute does not exist in schema.")]
    UnknownInUpdate(String),
    /// A custom attribute marked as required in a new schema.
    #[error("Required custom attributes are not supported currently.")]
    RequiredCustom,
    /// The same attribute twice in a new schema.
    #[error("{0}: Existing attribute already has name {0}.")]
    Duplicate(String),
    /// A standard attribute with a type that is not its own.
    #[error(
        "You can not change AttributeDataType or set developerOnlyAttribute for standard schema attribute {0}"
    )]
    StandardChanged(String),
}

impl Schema {
    /// The 20 standard attributes in the order of the real service (`cognito.md` §3).
    pub(crate) fn standard() -> Schema {
        let text = |name: &str, min: &str| SchemaAttribute {
            name: name.to_owned(),
            attribute_data_type: DataType::String,
            developer_only_attribute: false,
            mutable: name != SUB,
            required: name == SUB,
            string_attribute_constraints: Some(StringConstraints {
                min_length: Some(min.to_owned()),
                max_length: Some(if name == "birthdate" { "10" } else { "2048" }.to_owned()),
            }),
            number_attribute_constraints: None,
        };
        let flag = |name: &str| SchemaAttribute {
            attribute_data_type: DataType::Boolean,
            string_attribute_constraints: None,
            ..text(name, "0")
        };
        let mut all = vec![text(SUB, "1")];
        all.extend(
            [
                "name",
                "given_name",
                "family_name",
                "middle_name",
                "nickname",
                PREFERRED_USERNAME,
                "profile",
                "picture",
                "website",
                EMAIL,
            ]
            .map(|name| text(name, "0")),
        );
        all.extend([
            flag(EMAIL_VERIFIED),
            text("gender", "0"),
            text("birthdate", "10"),
        ]);
        all.extend(["zoneinfo", "locale", PHONE_NUMBER].map(|name| text(name, "0")));
        all.extend([
            flag(PHONE_NUMBER_VERIFIED),
            text("address", "0"),
            SchemaAttribute {
                attribute_data_type: DataType::Number,
                string_attribute_constraints: None,
                number_attribute_constraints: Some(NumberConstraints {
                    min_value: Some("0".to_owned()),
                    max_value: None,
                }),
                ..text("updated_at", "0")
            },
        ]);
        Schema(all)
    }

    /// The standard schema changed and extended by what CreateUserPool was sent. A name that is
    /// not a standard one becomes `custom:<name>`, or `dev:custom:<name>` when only developers may
    /// write it.
    pub(crate) fn from_sent(sent: Vec<SchemaAttribute>) -> Result<Schema, AttributeDenial> {
        let mut schema = Schema::standard();
        for mut attribute in sent {
            if let Some(standard) = schema.0[..20]
                .iter_mut()
                .find(|standard| standard.name == attribute.name)
            {
                if attribute.attribute_data_type != standard.attribute_data_type
                    || attribute.developer_only_attribute
                {
                    return Err(AttributeDenial::StandardChanged(attribute.name));
                }
                standard.required |= attribute.required;
                standard.mutable = attribute.mutable && standard.name != SUB;
                if let Some(constraints) = attribute.string_attribute_constraints {
                    standard.string_attribute_constraints = Some(constraints);
                }
                continue;
            }
            if attribute.required {
                return Err(AttributeDenial::RequiredCustom);
            }
            let prefix = if attribute.developer_only_attribute {
                "dev:custom:"
            } else {
                "custom:"
            };
            attribute.name.insert_str(0, prefix);
            if schema.find(&attribute.name).is_some() {
                return Err(AttributeDenial::Duplicate(attribute.name));
            }
            match attribute.attribute_data_type {
                DataType::String => {
                    attribute
                        .string_attribute_constraints
                        .get_or_insert_default();
                }
                DataType::Number => {
                    attribute
                        .number_attribute_constraints
                        .get_or_insert_default();
                }
                DataType::DateTime | DataType::Boolean => {}
            }
            schema.0.push(attribute);
        }
        Ok(schema)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&SchemaAttribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    /// The names that every user must have, without `sub`.
    pub(crate) fn required(&self) -> impl Iterator<Item = &str> {
        let required = self.0.iter().filter(|attribute| attribute.required);
        required
            .map(|attribute| attribute.name.as_str())
            .filter(|name| *name != SUB)
    }

    /// Checks the attributes of a new user: known, of the right form, and none missing.
    pub(crate) fn check_new(&self, attributes: &Attributes) -> Result<(), AttributeDenial> {
        let mut sentences = Vec::new();
        for (name, value) in attributes {
            match self.find(name) {
                Some(attribute) if name != SUB => {
                    sentences.extend(attribute.broken_by(value));
                }
                Some(_) => sentences.push(format!("{name}: Attribute cannot be set.")),
                None if name.starts_with("custom:") || name.starts_with("dev:custom:") => {
                    sentences.push(format!(
                        "Type for attribute {{{name}}} could not be determined"
                    ));
                }
                None => sentences.push(format!("{name}: Attribute does not exist in schema.")),
            }
        }
        for name in self.required() {
            if !attributes.contains_key(name) {
                sentences.push(format!("{name}: The attribute {name} is required"));
            }
        }
        if !sentences.is_empty() {
            return Err(AttributeDenial::Nonconforming(sentences));
        }
        check_contacts(attributes)
    }

    /// Checks changes to an existing user: known, mutable and of the right form. An empty value
    /// deletes, so it has no form to check; a required attribute cannot be deleted.
    pub(crate) fn check_update(&self, changes: &Attributes) -> Result<(), AttributeDenial> {
        let mut sentences = Vec::new();
        for (name, value) in changes {
            let attribute = self
                .find(name)
                .ok_or_else(|| AttributeDenial::UnknownInUpdate(name.clone()))?;
            if !attribute.mutable {
                return Err(AttributeDenial::NotMutable(name.clone()));
            }
            if !value.is_empty() {
                sentences.extend(attribute.broken_by(value));
            } else if attribute.required {
                sentences.push(format!("{name}: The attribute {name} is required"));
            }
        }
        if !sentences.is_empty() {
            return Err(AttributeDenial::Nonconforming(sentences));
        }
        check_contacts(changes)
    }
}

impl SchemaAttribute {
    fn broken_by(&self, value: &str) -> Option<String> {
        let name = &self.name;
        let bound = |bound: &Option<String>| bound.as_ref().and_then(|text| text.parse().ok());
        match self.attribute_data_type {
            DataType::String => {
                let constraints = self.string_attribute_constraints.as_ref()?;
                let length = value.chars().count() as i64;
                let is_long = bound(&constraints.max_length).is_some_and(|max: i64| length > max);
                let is_short = bound(&constraints.min_length).is_some_and(|min: i64| length < min);
                (is_long || is_short)
                    .then(|| format!("{name}: String length is out of the allowed range."))
            }
            DataType::Number => {
                let Ok(number) = value.parse::<i64>() else {
                    return Some(format!("{name}: Attribute value is not a number."));
                };
                let constraints = self.number_attribute_constraints.as_ref()?;
                let is_large = bound(&constraints.max_value).is_some_and(|max: i64| number > max);
                let is_small = bound(&constraints.min_value).is_some_and(|min: i64| number < min);
                (is_large || is_small)
                    .then(|| format!("{name}: Number is out of the allowed range."))
            }
            DataType::Boolean => (value != "true" && value != "false")
                .then(|| format!("{name}: Attribute value is not a boolean.")),
            DataType::DateTime => {
                let is_time = value.parse::<i64>().is_ok()
                    || value.parse::<jiff::Timestamp>().is_ok()
                    || value.parse::<jiff::civil::Date>().is_ok();
                (!is_time).then(|| format!("{name}: Attribute value is not a date."))
            }
        }
    }
}

fn check_contacts(attributes: &Attributes) -> Result<(), AttributeDenial> {
    for (contact, denial) in [
        (Contact::Email, AttributeDenial::Email),
        (Contact::PhoneNumber, AttributeDenial::PhoneNumber),
    ] {
        if let Some(value) = attributes.get(contact.attribute())
            && !value.is_empty()
            && !contact.is_form_of(value)
        {
            return Err(denial);
        }
    }
    // An alias is looked up in the database, which cannot hold this character.
    if attributes
        .get(PREFERRED_USERNAME)
        .is_some_and(|name| name.contains('\0'))
    {
        return Err(AttributeDenial::Nonconforming(vec![format!(
            "{PREFERRED_USERNAME}: Attribute value has an invalid character."
        )]));
    }
    Ok(())
}

/// Applies checked changes: an empty value deletes, a new address is unverified unless the same
/// call says otherwise, and a deleted address has no verification.
pub(crate) fn apply(attributes: &mut Attributes, changes: &Attributes) {
    for contact in [Contact::Email, Contact::PhoneNumber] {
        if let Some(value) = changes.get(contact.attribute())
            && attributes.get(contact.attribute()) != Some(value)
        {
            attributes.insert(contact.verified_attribute().to_owned(), "false".to_owned());
        }
    }
    for (name, value) in changes {
        if value.is_empty() {
            attributes.remove(name);
        } else {
            attributes.insert(name.clone(), value.clone());
        }
    }
    for contact in [Contact::Email, Contact::PhoneNumber] {
        if !attributes.contains_key(contact.attribute()) {
            attributes.remove(contact.verified_attribute());
        }
    }
}

/// The address as a stranger may see it: `j***@e***`, `+*******1234`.
pub(crate) fn mask(contact: Contact, address: &str) -> String {
    match contact {
        Contact::Email => {
            let (name, domain) = address.split_once('@').unwrap_or((address, ""));
            let first = |text: &str| text.chars().next().map(String::from).unwrap_or_default();
            format!("{}***@{}***", first(name), first(domain))
        }
        Contact::PhoneNumber => {
            let digits = address.trim_start_matches('+');
            let shown = digits.len().saturating_sub(4);
            format!("+{}{}", "*".repeat(shown), &digits[shown..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> Attributes {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn custom(name: &str, data_type: DataType) -> SchemaAttribute {
        SchemaAttribute {
            name: name.to_owned(),
            attribute_data_type: data_type,
            developer_only_attribute: false,
            mutable: true,
            required: false,
            string_attribute_constraints: None,
            number_attribute_constraints: None,
        }
    }

    #[test]
    fn the_standard_schema_has_twenty_attributes() {
        let schema = Schema::standard();
        assert_eq!(schema.0.len(), 20);
        assert_eq!(schema.0[0].name, "sub");
        assert!(schema.0[0].required && !schema.0[0].mutable);
        assert_eq!(schema.0[19].name, "updated_at");
        let birthdate = schema.find("birthdate").unwrap();
        let constraints = birthdate.string_attribute_constraints.as_ref().unwrap();
        assert_eq!(constraints.min_length.as_deref(), Some("10"));
        assert_eq!(constraints.max_length.as_deref(), Some("10"));
    }

    #[test]
    fn custom_attributes_get_their_prefix_and_required_ones_are_refused() {
        let developer_only = SchemaAttribute {
            developer_only_attribute: true,
            ..custom("note", DataType::String)
        };
        let schema =
            Schema::from_sent(vec![custom("plan", DataType::String), developer_only]).unwrap();
        assert!(schema.find("custom:plan").is_some());
        assert!(schema.find("dev:custom:note").is_some());
        let required = SchemaAttribute {
            required: true,
            ..custom("plan", DataType::String)
        };
        assert_eq!(
            Schema::from_sent(vec![required]),
            Err(AttributeDenial::RequiredCustom)
        );
    }

    #[test]
    fn a_standard_attribute_can_be_made_required_and_keeps_its_type() {
        let email = SchemaAttribute {
            required: true,
            ..custom("email", DataType::String)
        };
        let schema = Schema::from_sent(vec![email]).unwrap();
        assert_eq!(
            schema.check_new(&attributes(&[])).unwrap_err().to_string(),
            "Attributes did not conform to the schema: email: The attribute email is required"
        );
        assert!(Schema::from_sent(vec![custom("email", DataType::Number)]).is_err());
    }

    #[test]
    fn new_attributes_are_checked_against_the_schema() {
        let schema = Schema::from_sent(vec![custom("age", DataType::Number)]).unwrap();
        for (sent, expected) in [
            (&[("email", "ann@example.com")][..], None),
            (&[("custom:age", "41")], None),
            (
                &[("custom:age", "old")],
                Some("custom:age: Attribute value is not a number."),
            ),
            (
                &[("custom:x", "1")],
                Some("Type for attribute {custom:x} could not be determined"),
            ),
            (
                &[("mood", "good")],
                Some("mood: Attribute does not exist in schema."),
            ),
            (&[("sub", "1")], Some("sub: Attribute cannot be set.")),
            (
                &[("birthdate", "1.1.2000")],
                Some("birthdate: String length is out of the allowed range."),
            ),
            (
                &[("email_verified", "yes")],
                Some("email_verified: Attribute value is not a boolean."),
            ),
        ] {
            let denial = schema.check_new(&attributes(sent)).err();
            let expected =
                expected.map(|sentence| AttributeDenial::Nonconforming(vec![sentence.to_owned()]));
            assert_eq!(denial, expected, "{sent:?}");
        }
        assert_eq!(
            schema.check_new(&attributes(&[("email", "nobody")])),
            Err(AttributeDenial::Email)
        );
        assert_eq!(
            schema.check_new(&attributes(&[("phone_number", "12345")])),
            Err(AttributeDenial::PhoneNumber)
        );
    }

    #[test]
    fn updates_leave_fixed_and_unknown_attributes_alone() {
        let fixed = SchemaAttribute {
            mutable: false,
            ..custom("tenant", DataType::String)
        };
        let schema = Schema::from_sent(vec![fixed]).unwrap();
        assert_eq!(
            schema.check_update(&attributes(&[("sub", "x")])),
            Err(AttributeDenial::NotMutable("sub".into()))
        );
        assert_eq!(
            schema.check_update(&attributes(&[("custom:tenant", "x")])),
            Err(AttributeDenial::NotMutable("custom:tenant".into()))
        );
        assert_eq!(
            schema.check_update(&attributes(&[("custom:x", "x")])),
            Err(AttributeDenial::UnknownInUpdate("custom:x".into()))
        );
        assert_eq!(schema.check_update(&attributes(&[("email", "")])), Ok(()));
    }

    #[test]
    fn a_new_address_is_unverified_unless_the_same_call_verifies_it() {
        let mut user = attributes(&[("email", "a@x.de"), ("email_verified", "true")]);
        apply(&mut user, &attributes(&[("email", "a@x.de")]));
        assert_eq!(user["email_verified"], "true");
        apply(&mut user, &attributes(&[("email", "b@x.de")]));
        assert_eq!(user["email_verified"], "false");
        apply(
            &mut user,
            &attributes(&[("email", "c@x.de"), ("email_verified", "true")]),
        );
        assert_eq!(user["email_verified"], "true");
        apply(&mut user, &attributes(&[("email", "")]));
        assert_eq!(user, attributes(&[]));
    }

    #[test]
    fn addresses_are_masked() {
        assert_eq!(mask(Contact::Email, "jane@example.com"), "j***@e***");
        assert_eq!(mask(Contact::PhoneNumber, "+15551231234"), "+*******1234");
        assert_eq!(mask(Contact::PhoneNumber, "+12"), "+12");
    }

    #[test]
    fn forms_of_addresses() {
        for (text, expected) in [
            ("ann@example.com", true),
            ("ann+tag@localhost", true),
            ("ann", false),
            ("@example.com", false),
            ("ann@", false),
            ("a@b@c", false),
            ("a b@c.de", false),
            ("a\0@c.de", false),
        ] {
            assert_eq!(Contact::Email.is_form_of(text), expected, "{text:?}");
        }
        assert!(Contact::PhoneNumber.is_form_of("+491701234567"));
        assert!(!Contact::PhoneNumber.is_form_of("+49 170"));
        assert!(!Contact::PhoneNumber.is_form_of("+"));
    }

    proptest::proptest! {
        #[test]
        fn masking_never_panics_on_what_passes_for_an_address(text in "\\PC{0,40}") {
            for contact in [Contact::Email, Contact::PhoneNumber] {
                if contact.is_form_of(&text) {
                    mask(contact, &text);
                }
            }
        }
    }
}
