//! An app: a relying party with its RP ID, origins and policy, and the users
//! behind it. Apps share nothing with each other.

use std::sync::Arc;

use platform::{Fault, Row, Tx, Value, values};
use webauthn::{RelyingParty, origin};

use crate::{
    AppId, AppSettings, AttestationSettings, Failure, Lifetimes, NativeClient, Passkeys, Refusal,
    SettingsChanges,
    app_settings::{normalize, normalize_all, set},
    stored,
};

/// A query for whole apps, and perhaps a further column; what follows `FROM`
/// must call the table `a`.
macro_rules! select_apps {
    ($from:literal) => {
        select_apps!($from, "a.id")
    };
    ($from:literal, $column:literal) => {
        concat!(
            "SELECT ",
            $column,
            ", a.id, a.organization_id, a.name, a.auth_origin, a.additional_auth_origins,
                    a.rp_id, a.user_verification, a.counter_policy, a.algorithms,
                    a.transaction_lifetime_ms, a.handshake_lifetime_ms,
                    a.discoverable_handshake_lifetime_ms, a.nonce_lifetime_ms, a.timeout_ms,
                    a.event_retention_ms, a.public_signup, a.allows_synced_passkeys,
                    a.embedding_origins, a.attestation, a.trust_anchors, a.allowed_aaguids,
                    a.denied_aaguids, a.uses_metadata,
                    a.native_clients, a.revision, a.created_at_ms, a.updated_at_ms
             FROM ",
            $from
        )
    };
}

/// An app, as stored (passkey-flex section a).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Public identifier.
    pub id: AppId,
    /// Who owns it.
    pub organization_id: String,
    /// What people call it; authenticators show it.
    pub name: String,
    /// The origin of the customer's site, in the form browsers send.
    pub auth_origin: String,
    /// Further origins of the same app, in that form.
    pub additional_auth_origins: Vec<String>,
    /// The RP ID under which credentials are made.
    pub rp_id: String,
    /// What the customer may adjust.
    pub settings: AppSettings,
    /// The native apps that may use its passkeys, the oldest first.
    pub native_clients: Vec<NativeClient>,
    /// When it was created.
    pub created_at_ms: i64,
    /// When its settings last changed.
    pub updated_at_ms: i64,
    /// How often it was changed.
    pub(crate) revision: i64,
}

/// An app to be created. Take the rest from `NewApp::default()`.
#[derive(Clone, Debug, Default)]
pub struct NewApp {
    /// 1 to 128 characters.
    pub name: String,
    /// `https://host[:port]`, or `http://localhost[:port]`; `127.0.0.1` becomes `localhost`.
    pub auth_origin: String,
    /// Further origins; they may lie outside the RP ID (related origins).
    pub additional_auth_origins: Vec<String>,
    /// The host of `auth_origin` or a domain above it, but no public suffix such as
    /// `co.uk`; without one, that host.
    pub rp_id: Option<String>,
    /// The policy.
    pub settings: AppSettings,
}

/// Changes to an app; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct AppChanges {
    /// Of [`App::name`].
    pub name: Option<String>,
    /// Of [`App::auth_origin`]. The RP ID does not follow; it must still fit.
    pub auth_origin: Option<String>,
    /// Of [`App::additional_auth_origins`].
    pub additional_auth_origins: Option<Vec<String>>,
    /// Of [`App::rp_id`].
    pub rp_id: Option<String>,
    /// Changes the RP ID even if devices stop working by it.
    pub force: bool,
    /// Of [`App::settings`].
    pub settings: SettingsChanges,
}

impl Passkeys {
    /// Creates an app of an organization. Refuses a name, origin, RP ID or
    /// setting that cannot work.
    pub async fn create_app(&self, organization_id: &str, new: NewApp) -> Result<App, Failure> {
        let now_ms = self.platform.clock.now_ms();
        let app = new.check(
            AppId::random(&self.platform.entropy),
            organization_id,
            now_ms,
        )?;
        let stored = app.clone();
        self.platform
            .db
            .write(async move |tx| insert(tx, &stored).await)
            .await?;
        Ok(app)
    }

    /// The app of this id as it was at most a moment ago (see `recent`).
    pub(crate) async fn find_app_recently(&self, id: &AppId) -> Result<Option<Arc<App>>, Fault> {
        let now_ms = self.platform.clock.now_ms();
        if let Some(app) = self.recent.app(id, now_ms) {
            return Ok(Some(app));
        }
        let reading = self.recent.begin(now_ms);
        let app = self.find_app(id).await?.map(Arc::new);
        if let Some(app) = &app {
            self.recent.keep_app(reading, app);
        }
        Ok(app)
    }

    /// The app of this id, if there is one.
    pub async fn find_app(&self, id: &AppId) -> Result<Option<App>, Fault> {
        let id = id.clone();
        self.platform
            .db
            .read(async move |tx| find(tx, &id).await)
            .await
    }

    /// All apps of an organization, the oldest first.
    pub async fn list_apps(&self, organization_id: &str) -> Result<Vec<App>, Fault> {
        let organization_id = organization_id.to_owned();
        self.platform
            .db
            .read(async move |tx| {
                tx.rows(
                    select_apps!(
                        "passkeys_apps AS a WHERE a.organization_id = $1 ORDER BY a.created_at_ms"
                    ),
                    values![organization_id],
                )
                .await?
                .iter()
                .map(App::from_row)
                .collect()
            })
            .await
    }

    /// All apps with the public host of this server as their RP ID, the oldest first.
    pub(crate) async fn list_apps_of_public_host(&self) -> Result<Vec<App>, Fault> {
        // A public address whose host cannot be an RP ID is no app's.
        let Some(Ok(rp_id)) = self.public_url.as_deref().map(origin::default_rp_id) else {
            return Ok(Vec::new());
        };
        self.platform
            .db
            .read(async move |tx| {
                tx.rows(
                    select_apps!("passkeys_apps AS a WHERE a.rp_id = $1 ORDER BY a.created_at_ms"),
                    values![rp_id],
                )
                .await?
                .iter()
                .map(App::from_row)
                .collect()
            })
            .await
    }

    /// Changes an app, all of it or nothing. Refuses what [`create_app`](Self::create_app)
    /// refuses, and, unless forced, another RP ID while devices depend on the present one.
    ///
    /// Ceremonies under way are judged by the origins and the attestation policy
    /// of today, and otherwise by what their options said (webauthn-checks T18, T19).
    pub async fn update_app(&self, app_id: &AppId, changes: AppChanges) -> Result<App, Failure> {
        let force = changes.force;
        self.change_app(app_id, force, move |app| {
            changes.apply(app)?;
            Ok(())
        })
        .await
    }

    /// Stores what `change` makes of an app. Of changes at the same time each
    /// sees the one before: an app that is not the one that was read is read again.
    pub(crate) async fn change_app(
        &self,
        app_id: &AppId,
        force: bool,
        change: impl Fn(&mut App) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Result<App, Failure> {
        let app_id = app_id.clone();
        let now_ms = self.platform.clock.now_ms();
        let changed = self
            .platform
            .db
            .write(async move |tx| {
                for _ in 0..TRIES_MAX {
                    let before = find(tx, &app_id).await?.ok_or(Refusal::AppNotFound)?;
                    let mut after = before.clone();
                    change(&mut after)?;
                    after.updated_at_ms = now_ms;
                    if update(tx, &after, force).await? {
                        return Ok(after);
                    }
                    let devices = count_devices(tx, &before).await?;
                    let is_overtaken =
                        find(tx, &app_id).await?.map(|app| app.revision) != Some(before.revision);
                    if !is_overtaken && devices > 0 {
                        return Err(Refusal::RpIdInUse {
                            devices,
                            old: before.rp_id,
                            new: after.rp_id,
                        }
                        .into());
                    }
                }
                Err(Fault::new("a change of an app was overtaken by others each time").into())
            })
            .await;
        self.recent.forget();
        changed
    }
}

impl App {
    /// Whether pages of this origin may call the browser's endpoints (passkey-flex section c.9).
    pub(crate) fn has_auth_origin(&self, origin: &str) -> bool {
        self.auth_origin == origin
            || self
                .additional_auth_origins
                .iter()
                .any(|other| other == origin)
    }

    /// The rules for a ceremony under `rp_id`, the one its handshake was started
    /// with. Origins are those of today, so that one that was taken away is gone
    /// at once (webauthn-checks T18, T19).
    pub(crate) fn relying_party(&self, rp_id: &str) -> RelyingParty {
        let mut origins = vec![self.auth_origin.clone()];
        origins.extend_from_slice(&self.additional_auth_origins);
        // What Apple's platforms report for native apps (passkey-flex section c.7).
        origins.push(format!("https://{rp_id}"));
        for client in &self.native_clients {
            origins.extend(client.software.origins());
        }
        let embedding_origins = &self.settings.embedding_origins;
        RelyingParty {
            rp_id: rp_id.to_owned(),
            origins,
            top_origins: (!embedding_origins.is_empty()).then(|| embedding_origins.clone()),
        }
    }

    pub(crate) fn from_row(row: &Row) -> Result<App, Fault> {
        Ok(App {
            id: row.get("id")?,
            organization_id: row.get("organization_id")?,
            name: row.get("name")?,
            auth_origin: row.get("auth_origin")?,
            additional_auth_origins: stored::json_of(row, "additional_auth_origins")?,
            rp_id: row.get("rp_id")?,
            settings: AppSettings {
                user_verification: stored::word_of(row, "user_verification")?,
                counter_policy: stored::word_of(row, "counter_policy")?,
                algorithms: stored::json_of(row, "algorithms")?,
                lifetimes: Lifetimes {
                    transaction_ms: row.get("transaction_lifetime_ms")?,
                    handshake_ms: row.get("handshake_lifetime_ms")?,
                    discoverable_handshake_ms: row.get("discoverable_handshake_lifetime_ms")?,
                    nonce_ms: row.get("nonce_lifetime_ms")?,
                },
                timeout_ms: row.get("timeout_ms")?,
                event_retention_ms: row.get("event_retention_ms")?,
                public_signup: row.get("public_signup")?,
                allows_synced_passkeys: row.get("allows_synced_passkeys")?,
                embedding_origins: stored::json_of(row, "embedding_origins")?,
                attestation: AttestationSettings {
                    conveyance: stored::word_of(row, "attestation")?,
                    trust_anchors: stored::json_of(row, "trust_anchors")?,
                    uses_metadata: row.get("uses_metadata")?,
                    allowed_aaguids: stored::json_of(row, "allowed_aaguids")?,
                    denied_aaguids: stored::json_of(row, "denied_aaguids")?,
                },
            },
            native_clients: stored::json_of(row, "native_clients")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
            revision: row.get("revision")?,
        })
    }

    /// The app with its origins in the form that browsers send. Refuses a name,
    /// origin, RP ID or setting that cannot work.
    fn checked(mut self) -> Result<App, Refusal> {
        check_name(&self.name)?;
        self.auth_origin = normalize("auth_origin", &self.auth_origin)?;
        self.additional_auth_origins =
            normalize_all("additional_auth_origins", &self.additional_auth_origins)?;
        self.rp_id.make_ascii_lowercase();
        if !origin::may_use_rp_id(&self.auth_origin, &self.rp_id) {
            return Err(Refusal::RpIdNotAllowed {
                rp_id: self.rp_id,
                auth_origin: self.auth_origin,
            });
        }
        if is_public_suffix(&self.auth_origin, &self.rp_id) {
            return Err(Refusal::RpIdIsPublicSuffix { rp_id: self.rp_id });
        }
        self.settings = self.settings.checked()?;
        Ok(self)
    }
}

impl NewApp {
    fn check(self, id: AppId, organization_id: &str, now_ms: i64) -> Result<App, Refusal> {
        let auth_origin = normalize("auth_origin", &self.auth_origin)?;
        let rp_id = match self.rp_id {
            Some(rp_id) => rp_id,
            None => {
                origin::default_rp_id(&auth_origin).map_err(|cause| Refusal::OriginInvalid {
                    member: "auth_origin",
                    origin: auth_origin.clone(),
                    cause,
                })?
            }
        };
        App {
            id,
            organization_id: organization_id.to_owned(),
            name: self.name,
            auth_origin,
            additional_auth_origins: self.additional_auth_origins,
            rp_id,
            settings: self.settings,
            native_clients: Vec::new(),
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            revision: 0,
        }
        .checked()
    }
}

impl AppChanges {
    fn apply(&self, app: &mut App) -> Result<(), Refusal> {
        let mut changed = app.clone();
        set(&mut changed.name, &self.name);
        set(&mut changed.auth_origin, &self.auth_origin);
        set(
            &mut changed.additional_auth_origins,
            &self.additional_auth_origins,
        );
        set(&mut changed.rp_id, &self.rp_id);
        changed.settings = self.settings.apply(changed.settings);
        *app = changed.checked()?;
        Ok(())
    }
}

/// Whether an RP ID that is the host of `auth_origin` or above it is a public suffix by
/// <https://publicsuffix.org>, and so refused by browsers (HTML, "is a registrable domain
/// suffix of or is equal to"). The list is as old as this program; browsers keep their own.
///
/// A host may be its own RP ID even so: what is under it belongs to others, who cannot use
/// it. Only a whole top-level domain is nobody's host, and stricter here than there.
fn is_public_suffix(auth_origin: &str, rp_id: &str) -> bool {
    let Ok(host) = origin::default_rp_id(auth_origin) else {
        return false;
    };
    let Some(suffix) = psl::suffix(host.as_bytes()) else {
        return false;
    };
    match rp_id == host {
        true => !rp_id.contains('.') && suffix.is_known(),
        // Both end the host, so the shorter one ends the longer.
        false => rp_id.len() <= suffix.as_bytes().len(),
    }
}

/// The name of an app or an API key: 1 to 128 characters.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.contains('\0') {
        return Err(Refusal::InvalidRequest(format!(
            "The name must have 1 to {NAME_CHARACTERS_MAX} characters and no NUL."
        )));
    }
    Ok(())
}

async fn find(tx: &mut Tx, id: &AppId) -> Result<Option<App>, Fault> {
    tx.row(
        select_apps!("passkeys_apps AS a WHERE a.id = $1"),
        values![id],
    )
    .await?
    .as_ref()
    .map(App::from_row)
    .transpose()
}

async fn insert(tx: &mut Tx, app: &App) -> Result<u64, Fault> {
    let mut values = changeable(app);
    values.extend_from_slice(values![&app.id, &app.organization_id, app.created_at_ms]);
    tx.execute(
        "INSERT INTO passkeys_apps (
            name, auth_origin, additional_auth_origins, rp_id, user_verification, counter_policy,
            algorithms, transaction_lifetime_ms, handshake_lifetime_ms,
            discoverable_handshake_lifetime_ms, nonce_lifetime_ms, timeout_ms, event_retention_ms,
            public_signup, allows_synced_passkeys, embedding_origins, attestation, trust_anchors,
            allowed_aaguids, denied_aaguids, uses_metadata, native_clients, updated_at_ms,
            id, organization_id, created_at_ms
         ) VALUES (
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
            $20, $21, $22, $23, $24, $25, $26
         )",
        &values,
    )
    .await
}

/// Stores an app that was changed. False when it is not the app that was read
/// any more, or when its RP ID changes, `force` is not given and devices depend on
/// the present one. One statement decides; a registration that commits at the same
/// moment counts as later, like any whose handshake was started before.
async fn update(tx: &mut Tx, app: &App, force: bool) -> Result<bool, Fault> {
    let mut values = changeable(app);
    values.extend_from_slice(values![&app.id, app.revision, force]);
    let changed = tx
        .execute(
            "UPDATE passkeys_apps
             SET name = $1, auth_origin = $2, additional_auth_origins = $3, rp_id = $4,
                 user_verification = $5, counter_policy = $6, algorithms = $7,
                 transaction_lifetime_ms = $8, handshake_lifetime_ms = $9,
                 discoverable_handshake_lifetime_ms = $10, nonce_lifetime_ms = $11,
                 timeout_ms = $12, event_retention_ms = $13, public_signup = $14,
                 allows_synced_passkeys = $15, embedding_origins = $16, attestation = $17,
                 trust_anchors = $18, allowed_aaguids = $19, denied_aaguids = $20,
                 uses_metadata = $21, native_clients = $22,
                 updated_at_ms = $23, revision = revision + 1
             WHERE id = $24 AND revision = $25 AND (
                 CAST($26 AS BIGINT) = 1 OR rp_id = $4 OR NOT EXISTS (
                     SELECT 1 FROM passkeys_devices AS d
                     WHERE d.app_id = $24 AND d.rp_id = passkeys_apps.rp_id
                 )
             )",
            &values,
        )
        .await?;
    Ok(changed == 1)
}

/// What can change of an app, in the order of the statements above.
fn changeable(app: &App) -> Vec<Value> {
    let settings = &app.settings;
    let attestation = &settings.attestation;
    Vec::from(values![
        &app.name,
        &app.auth_origin,
        stored::json(&app.additional_auth_origins),
        &app.rp_id,
        stored::word(settings.user_verification),
        stored::word(settings.counter_policy),
        stored::json(&settings.algorithms),
        settings.lifetimes.transaction_ms,
        settings.lifetimes.handshake_ms,
        settings.lifetimes.discoverable_handshake_ms,
        settings.lifetimes.nonce_ms,
        settings.timeout_ms,
        settings.event_retention_ms,
        settings.public_signup,
        settings.allows_synced_passkeys,
        stored::json(&settings.embedding_origins),
        stored::word(attestation.conveyance),
        stored::json(&attestation.trust_anchors),
        stored::json(&attestation.allowed_aaguids),
        stored::json(&attestation.denied_aaguids),
        attestation.uses_metadata,
        stored::json(&app.native_clients),
        app.updated_at_ms,
    ])
}

/// How many devices work under the present RP ID of an app.
async fn count_devices(tx: &mut Tx, app: &App) -> Result<i64, Fault> {
    tx.row(
        "SELECT COUNT(*) AS count FROM passkeys_devices WHERE app_id = $1 AND rp_id = $2",
        values![&app.id, &app.rp_id],
    )
    .await?
    .ok_or_else(|| Fault::new("a count has no row"))?
    .get("count")
}

pub(crate) use select_apps;

const NAME_CHARACTERS_MAX: usize = 128;
/// How many changes of one app may meet.
const TRIES_MAX: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(auth_origin: &str, rp_id: Option<&str>) -> Result<App, Refusal> {
        let new = NewApp {
            name: "Example".into(),
            auth_origin: auth_origin.into(),
            rp_id: rp_id.map(str::to_owned),
            ..NewApp::default()
        };
        new.check(
            AppId::random(&platform::Entropy::seeded(1)),
            "organization",
            0,
        )
    }

    #[test]
    fn the_rp_id_is_the_host_of_the_origin_or_a_domain_above_it() {
        for (auth_origin, rp_id, expected) in [
            ("https://login.example.com:8443/", None, "login.example.com"),
            ("http://127.0.0.1:8081", None, "localhost"),
            (
                "https://login.example.com",
                Some("example.com"),
                "example.com",
            ),
        ] {
            assert_eq!(check(auth_origin, rp_id).unwrap().rp_id, expected);
        }
        for (auth_origin, rp_id) in [
            ("https://evilexample.com", "example.com"),
            ("https://example.com", "login.example.com"),
            ("https://example.com", "com"),
            ("https://example.com", ""),
        ] {
            assert!(
                matches!(
                    check(auth_origin, Some(rp_id)),
                    Err(Refusal::RpIdNotAllowed { .. })
                ),
                "{auth_origin} {rp_id}"
            );
        }
    }

    #[test]
    fn an_rp_id_is_no_public_suffix() {
        for (auth_origin, rp_id) in [
            ("https://a.example.co.uk", "co.uk"),
            ("https://co.uk.example.co.uk", "co.uk"),
            ("https://com", "com"),
            ("https://ann.github.io", "github.io"),
            ("https://a.ann.github.io", "github.io"),
            // By the rule *.kawasaki.jp and its exception.
            ("https://a.b.kawasaki.jp", "b.kawasaki.jp"),
            ("https://a.b.kawasaki.jp", "kawasaki.jp"),
            ("https://a.city.kawasaki.jp", "kawasaki.jp"),
        ] {
            assert!(
                matches!(
                    check(auth_origin, Some(rp_id)),
                    Err(Refusal::RpIdIsPublicSuffix { .. })
                ),
                "{auth_origin} {rp_id}"
            );
        }
        for (auth_origin, rp_id) in [
            ("https://a.example.co.uk", "example.co.uk"),
            ("https://a.ann.github.io", "ann.github.io"),
            ("https://a.b.c.kawasaki.jp", "b.c.kawasaki.jp"),
            ("https://a.city.kawasaki.jp", "city.kawasaki.jp"),
            // Browsers let a host be its own RP ID.
            ("https://github.io", "github.io"),
            ("http://localhost:8081", "localhost"),
            ("https://intranet", "intranet"),
            ("https://a.shop.internal", "shop.internal"),
        ] {
            assert_eq!(check(auth_origin, Some(rp_id)).unwrap().rp_id, rp_id);
        }
        assert!(check("https://com", None).is_err());
    }

    #[test]
    fn an_rp_id_has_small_letters() {
        let app = check("https://a.example.com", Some("Example.COM")).unwrap();
        assert_eq!(app.rp_id, "example.com");
    }

    #[test]
    fn an_origin_that_browsers_have_no_passkeys_for_is_refused() {
        for auth_origin in ["", "example.com", "http://example.com", "https://10.0.0.1"] {
            assert!(
                matches!(check(auth_origin, None), Err(Refusal::OriginInvalid { .. })),
                "{auth_origin}"
            );
        }
    }

    #[test]
    fn a_name_or_setting_that_cannot_work_is_refused() {
        let refused = |change: fn(&mut NewApp)| {
            let mut new = NewApp {
                name: "Example".into(),
                auth_origin: "https://example.com".into(),
                ..NewApp::default()
            };
            change(&mut new);
            let id = AppId::random(&platform::Entropy::seeded(1));
            matches!(
                new.check(id, "organization", 0),
                Err(Refusal::InvalidRequest(_))
            )
        };
        assert!(!refused(|_| {}));
        assert!(refused(|new| new.name.clear()));
        assert!(refused(|new| new.name = "a\0".into()));
        assert!(refused(|new| new.name = "ä".repeat(129)));
        assert!(!refused(|new| new.name = "ä".repeat(128)));
        assert!(refused(|new| new.settings.lifetimes.nonce_ms = 0));
    }

    #[test]
    fn a_ceremony_may_run_at_every_origin_of_the_app_and_in_apple_apps() {
        let mut app = check("https://login.example.com", Some("example.com")).unwrap();
        app.additional_auth_origins = vec!["https://example.de".into()];
        assert_eq!(
            app.relying_party("example.com").origins,
            [
                "https://login.example.com",
                "https://example.de",
                "https://example.com"
            ]
        );
        assert!(app.has_auth_origin("https://example.de"));
        assert!(!app.has_auth_origin("https://example.com"));
    }
}
