//! How people recognize an authenticator: its name and pictures by AAGUID, from
//! the names that are compiled in and from a file of the operator's in the form
//! of the community list (`passkeydeveloper/passkey-authenticator-aaguids`).
//!
//! Vendors' marks are not shipped; whoever may use them names such a file. A name
//! is a hint for people and never a policy: without attestation, an AAGUID is
//! whatever the client says. What a picture may hold is decided in `svg`.

mod svg;

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use uuid::Uuid;
use webauthn::aaguid;

use svg::Unsafe;

/// What is known of authenticators. Without a file: the compiled names.
#[derive(Clone, Debug, Default)]
pub struct Authenticators(HashMap<[u8; 16], Model>);

/// A model of authenticator, or a passkey provider.
#[derive(Clone, Debug)]
struct Model {
    name: String,
    light: Option<Picture>,
    dark: Option<Picture>,
}

/// A checked SVG. Nevertheless only for `<img>`, where browsers run and load nothing.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    svg: String,
}

/// Which of a model's two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    /// For light pages.
    Light,
    /// For dark pages.
    Dark,
}

/// A picture that was left out; its model keeps its name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the picture {} of {aaguid} ({name}) is left out: {cause}", shade.member())]
pub struct PictureLeftOut {
    /// The entry, as the file spells it.
    aaguid: String,
    /// The name in the entry.
    name: String,
    shade: Shade,
    cause: PictureInvalid,
}

/// Why a picture cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum PictureInvalid {
    /// Another kind of picture, or an address.
    #[error("it does not begin with {DATA_URI}")]
    NotSvg,
    /// Not base64, or not text.
    #[error("it is not UTF-8 text in base64")]
    Undecodable,
    /// Over the limit.
    #[error("it has more than {PICTURE_BYTES_MAX} bytes")]
    TooLarge,
    /// Something that a picture does not need.
    #[error(transparent)]
    Unsafe(#[from] Unsafe),
}

/// Why a file cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticatorsInvalid {
    /// Over the limit.
    #[error("it has more than {FILE_BYTES_MAX} bytes or {ENTRIES_MAX} entries")]
    TooLarge,
    /// Not a list of names.
    #[error(
        "it is not of the form {{\"<AAGUID>\": {{\"name\": …, \"icon_light\": …, \"icon_dark\": \
         …}}}}: {0}"
    )]
    Malformed(#[from] serde_json::Error),
    /// An entry whose key is no AAGUID.
    #[error("{0:?} is not an AAGUID (32 hexadecimal digits as 8-4-4-4-12)")]
    AaguidMalformed(String),
    /// An entry whose name is empty, too long, or not for printing.
    #[error("the name of {0} must have 1 to {NAME_CHARACTERS_MAX} printable characters")]
    NameInvalid(String),
}

/// An entry of the file. What else it may have is not ours.
#[derive(Deserialize)]
struct Entry {
    name: String,
    icon_light: Option<String>,
    icon_dark: Option<String>,
}

impl Authenticators {
    /// Reads the operator's file. A picture that could do more than be looked at is
    /// left out, and is among the second; what is no such file at all is refused.
    pub fn parse(
        json: &[u8],
    ) -> Result<(Authenticators, Vec<PictureLeftOut>), AuthenticatorsInvalid> {
        if json.len() > FILE_BYTES_MAX {
            return Err(AuthenticatorsInvalid::TooLarge);
        }
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(json)?;
        if entries.len() > ENTRIES_MAX {
            return Err(AuthenticatorsInvalid::TooLarge);
        }
        let mut models = HashMap::new();
        let mut left_out = Vec::new();
        for (key, entry) in entries {
            let Some(aaguid) = parse_aaguid(&key) else {
                return Err(AuthenticatorsInvalid::AaguidMalformed(key));
            };
            let name = entry.name.trim();
            if !is_name(name) {
                return Err(AuthenticatorsInvalid::NameInvalid(key));
            }
            let mut picture = |shade: Shade, uri: Option<String>| {
                let parsed = Picture::parse(&uri.filter(|uri| !uri.is_empty())?);
                parsed
                    .map_err(|cause| {
                        left_out.push(PictureLeftOut {
                            aaguid: key.clone(),
                            name: name.to_owned(),
                            shade,
                            cause,
                        });
                    })
                    .ok()
            };
            let model = Model {
                name: name.to_owned(),
                light: picture(Shade::Light, entry.icon_light),
                dark: picture(Shade::Dark, entry.icon_dark),
            };
            models.insert(aaguid, model);
        }
        // By this one an authenticator says that it does not tell.
        models.remove(&[0; 16]);
        Ok((Authenticators(models), left_out))
    }

    /// The operator's name, else the compiled one.
    pub(crate) fn name(&self, aaguid: &[u8; 16]) -> Option<&str> {
        let model = self.0.get(aaguid);
        model
            .map(|model| model.name.as_str())
            .or_else(|| aaguid::name(aaguid))
    }

    /// The operator's picture.
    pub(crate) fn picture(&self, aaguid: &[u8; 16], shade: Shade) -> Option<&Picture> {
        let model = self.0.get(aaguid)?;
        match shade {
            Shade::Light => model.light.as_ref(),
            Shade::Dark => model.dark.as_ref(),
        }
    }
}

impl Picture {
    fn parse(uri: &str) -> Result<Picture, PictureInvalid> {
        let base64 = uri.strip_prefix(DATA_URI).ok_or(PictureInvalid::NotSvg)?;
        let bytes = BASE64_STANDARD
            .decode(base64)
            .map_err(|_| PictureInvalid::Undecodable)?;
        if bytes.len() > PICTURE_BYTES_MAX {
            return Err(PictureInvalid::TooLarge);
        }
        let svg = String::from_utf8(bytes).map_err(|_| PictureInvalid::Undecodable)?;
        svg::check(&svg)?;
        Ok(Picture { svg })
    }

    /// The document.
    pub(crate) fn svg(&self) -> &str {
        &self.svg
    }

    /// The same as `data:image/svg+xml;base64,…` (passkey-flex section b.8).
    pub(crate) fn data_uri(&self) -> String {
        format!("{DATA_URI}{}", BASE64_STANDARD.encode(&self.svg))
    }
}

impl Shade {
    /// Its member in the file.
    fn member(self) -> &'static str {
        match self {
            Shade::Light => "icon_light",
            Shade::Dark => "icon_dark",
        }
    }
}

/// The bytes of the usual text form, and of no other.
pub(crate) fn parse_aaguid(text: &str) -> Option<[u8; 16]> {
    let uuid = Uuid::try_parse(text).ok()?;
    (text.len() == uuid::fmt::Hyphenated::LENGTH).then(|| uuid.into_bytes())
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARACTERS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control)
}

const DATA_URI: &str = "data:image/svg+xml;base64,";
/// Many times the community list.
const FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
const ENTRIES_MAX: usize = 10_000;
const NAME_CHARACTERS_MAX: usize = 128;
/// A list of devices carries the pictures of each.
const PICTURE_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BITWARDEN: &str = "d548826e-79b4-db40-a3d8-11116f7e8349";
    const UNKNOWN: &str = "11111111-2222-3333-4444-555555555555";
    const ZERO: &str = "00000000-0000-0000-0000-000000000000";
    const SVG: &str = r#"<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0h1v1z"/></svg>"#;

    fn uri(svg: &str) -> String {
        format!("{DATA_URI}{}", BASE64_STANDARD.encode(svg))
    }

    fn parse(file: &Value) -> Result<(Authenticators, Vec<PictureLeftOut>), AuthenticatorsInvalid> {
        Authenticators::parse(file.to_string().as_bytes())
    }

    fn bytes(aaguid: &str) -> [u8; 16] {
        parse_aaguid(aaguid).unwrap()
    }

    #[test]
    fn the_operators_names_win_over_the_compiled_ones() {
        let (authenticators, left_out) = parse(&json!({
            BITWARDEN: {"name": " Our vault "},
            UNKNOWN: {"name": "House key", "icon_light": uri(SVG), "icon_dark": null},
            ZERO: {"name": "Everybody", "icon_light": uri(SVG)},
        }))
        .unwrap();
        assert_eq!(left_out, []);
        assert_eq!(authenticators.name(&bytes(BITWARDEN)), Some("Our vault"));
        assert_eq!(authenticators.name(&bytes(UNKNOWN)), Some("House key"));
        assert_eq!(authenticators.name(&[0; 16]), None);
        let picture = |aaguid: &str, shade| authenticators.picture(&bytes(aaguid), shade);
        let light = picture(UNKNOWN, Shade::Light).unwrap();
        assert_eq!((light.svg(), light.data_uri()), (SVG, uri(SVG)));
        assert!(picture(UNKNOWN, Shade::Dark).is_none());
        assert!(picture(BITWARDEN, Shade::Light).is_none());
        assert!(picture(ZERO, Shade::Light).is_none());

        let compiled = Authenticators::default();
        assert_eq!(compiled.name(&bytes(BITWARDEN)), Some("Bitwarden"));
        assert_eq!(compiled.name(&bytes(UNKNOWN)), None);
    }

    #[test]
    fn a_picture_that_cannot_be_used_is_left_out_by_name() {
        let script = r#"<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>"#;
        for (icon, cause) in [
            (
                "data:image/png;base64,iVBORw0KGgo=".into(),
                PictureInvalid::NotSvg,
            ),
            (
                "https://example.com/icon.svg".into(),
                PictureInvalid::NotSvg,
            ),
            ("data:image/svg+xml,<svg/>".into(), PictureInvalid::NotSvg),
            (format!("{DATA_URI}%%%"), PictureInvalid::Undecodable),
            (format!("{DATA_URI}//79"), PictureInvalid::Undecodable),
            (
                uri(&" ".repeat(PICTURE_BYTES_MAX + 1)),
                PictureInvalid::TooLarge,
            ),
            (
                uri(script),
                PictureInvalid::Unsafe(Unsafe::Element("script".into())),
            ),
        ] {
            let file = json!({
                UNKNOWN: {"name": "House key", "icon_light": uri(SVG), "icon_dark": icon},
            });
            let (authenticators, left_out) = parse(&file).unwrap();
            assert_eq!(authenticators.name(&bytes(UNKNOWN)), Some("House key"));
            let picture = |shade| authenticators.picture(&bytes(UNKNOWN), shade);
            assert!(picture(Shade::Light).is_some() && picture(Shade::Dark).is_none());
            let [left_out] = &left_out[..] else {
                panic!("{left_out:?}");
            };
            assert_eq!(left_out.cause, cause);
            let said = left_out.to_string();
            for word in [UNKNOWN, "House key", "icon_dark"] {
                assert!(said.contains(word), "{said}");
            }
        }
    }

    #[test]
    fn a_file_that_is_no_list_of_authenticators_is_refused() {
        for file in [
            json!([]),
            json!({BITWARDEN: "Bitwarden"}),
            json!({BITWARDEN: {"icon_light": uri(SVG)}}),
            json!({BITWARDEN: {"name": null}}),
            json!({BITWARDEN: {"name": "a", "icon_light": 1}}),
            json!({BITWARDEN: {"name": " "}}),
            json!({BITWARDEN: {"name": "a\u{7}"}}),
            json!({BITWARDEN: {"name": "a".repeat(129)}}),
            json!({"Bitwarden": {"name": "Bitwarden"}}),
            json!({"d548826e79b4db40a3d811116f7e8349": {"name": "Bitwarden"}}),
            json!({"{d548826e-79b4-db40-a3d8-11116f7e8349}": {"name": "Bitwarden"}}),
        ] {
            assert!(parse(&file).is_err(), "{file:.80}");
        }
        assert!(Authenticators::parse(b"").is_err());
        assert!(Authenticators::parse(b"\xff{}").is_err());
        let large = vec![b' '; FILE_BYTES_MAX + 1];
        assert!(matches!(
            Authenticators::parse(&large),
            Err(AuthenticatorsInvalid::TooLarge)
        ));
        assert!(parse(&json!({})).is_ok());
    }
}
