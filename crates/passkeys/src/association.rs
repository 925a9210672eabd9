//! The files by which a domain says who may use its passkeys: native apps
//! (passkey-flex section e), and pages of other domains
//! ([related origin requests](https://www.w3.org/TR/webauthn-3/#sctn-related-origins)).
//! Pure: from apps to the content of a file.
//!
//! Platforms ask the domain itself, the RP ID. A customer proxies to the files
//! of an app; where this service runs on the domain, they are at its root.

use serde_json::{Value, json};
use webauthn::origin;

use crate::{App, NativeSoftware, app_settings::without_repeats};

/// A file of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AssociationFile {
    /// Apple's.
    Apple,
    /// Android's.
    Android,
    /// Browsers', for pages of other domains.
    RelatedOrigins,
}

impl AssociationFile {
    pub(crate) const ALL: [AssociationFile; 3] = [
        AssociationFile::Apple,
        AssociationFile::Android,
        AssociationFile::RelatedOrigins,
    ];

    /// What it is called under `/.well-known/`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            AssociationFile::Apple => "apple-app-site-association",
            AssociationFile::Android => "assetlinks.json",
            AssociationFile::RelatedOrigins => "webauthn",
        }
    }

    /// The file of a domain that these apps have as their RP ID.
    pub(crate) fn content(self, apps: &[App]) -> Value {
        match self {
            AssociationFile::Apple => apple(apps),
            AssociationFile::Android => android(apps),
            AssociationFile::RelatedOrigins => related_origins(apps),
        }
    }
}

fn software(apps: &[App]) -> impl Iterator<Item = &NativeSoftware> {
    apps.iter()
        .flat_map(|app| &app.native_clients)
        .map(|client| &client.software)
}

fn apple(apps: &[App]) -> Value {
    let ids = software(apps).filter_map(|software| match software {
        NativeSoftware::Apple { team_id, bundle_id } => Some(format!("{team_id}.{bundle_id}")),
        NativeSoftware::Android { .. } => None,
    });
    json!({"webcredentials": {"apps": without_repeats(ids.collect())}})
}

fn android(apps: &[App]) -> Value {
    let mut packages: Vec<(&str, Vec<String>)> = Vec::new();
    for software in software(apps) {
        let NativeSoftware::Android {
            package_name,
            sha256_cert_fingerprints,
        } = software
        else {
            continue;
        };
        let fingerprints = sha256_cert_fingerprints.iter().map(ToString::to_string);
        match packages.iter_mut().find(|(known, _)| known == package_name) {
            Some((_, known)) => known.extend(fingerprints),
            None => packages.push((package_name, fingerprints.collect())),
        }
    }
    packages
        .into_iter()
        .map(|(package_name, fingerprints)| {
            json!({
                "relation": [
                    "delegate_permission/common.handle_all_urls",
                    "delegate_permission/common.get_login_creds",
                ],
                "target": {
                    "namespace": "android_app",
                    "package_name": package_name,
                    "sha256_cert_fingerprints": without_repeats(fingerprints),
                },
            })
        })
        .collect()
}

/// Origins on the domain itself are left out: browsers let them use it anyway,
/// and look at the first few of this list only.
fn related_origins(apps: &[App]) -> Value {
    let origins = apps.iter().flat_map(|app| {
        app.additional_auth_origins
            .iter()
            .filter(|origin| !origin::may_use_rp_id(origin, &app.rp_id))
    });
    json!({"origins": without_repeats(origins.collect())})
}
