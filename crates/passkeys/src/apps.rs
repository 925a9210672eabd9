//! An app: a relying party with its RP ID, origins and policy, and the users
//! behind it. Apps share nothing with each other.

use platform::{Fault, Row, Tx, values};
use webauthn::{Algorithm, CounterPolicy, RelyingParty, UserVerification, origin};

use crate::{AppId, Failure, Passkeys, Refusal, stored};

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
                    a.event_retention_ms, a.created_at_ms, a.updated_at_ms
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
    /// When it was created.
    pub created_at_ms: i64,
    /// When its settings last changed.
    pub updated_at_ms: i64,
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
    /// The host of `auth_origin` or a domain above it; without one, that host.
    pub rp_id: Option<String>,
    /// The policy.
    pub settings: AppSettings,
}

/// What a customer may adjust about an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// Whether the authenticator must have verified the user. Default: preferred.
    pub user_verification: UserVerification,
    /// What a signature counter that does not grow means. Default: record.
    pub counter_policy: CounterPolicy,
    /// Algorithms offered, the preferred one first; ES256 is always among them.
    pub algorithms: Vec<Algorithm>,
    /// How long things live.
    pub lifetimes: Lifetimes,
    /// The `timeout` hint to the browser, in milliseconds. Default: 300 000.
    pub timeout_ms: i64,
    /// How long events are kept, in milliseconds, 1 to 3650 days. Default: 90 days.
    pub event_retention_ms: i64,
}

/// How long things live, in milliseconds, 1 second to 24 hours (passkey-flex section a.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A transaction. Default: 10 minutes.
    pub transaction_ms: i64,
    /// A handshake with a transaction, which it never outlives. Default: 10 minutes.
    pub handshake_ms: i64,
    /// A handshake without a transaction. Long, because autofill starts it when a
    /// page loads and finishes it when somebody picks a passkey. Default: 60 minutes.
    pub discoverable_handshake_ms: i64,
    /// A nonce. Default: 5 minutes.
    pub nonce_ms: i64,
}

impl Default for AppSettings {
    fn default() -> AppSettings {
        AppSettings {
            user_verification: UserVerification::Preferred,
            counter_policy: CounterPolicy::Record,
            algorithms: vec![Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
            lifetimes: Lifetimes::default(),
            timeout_ms: 5 * MINUTE_MS,
            event_retention_ms: 90 * DAY_MS,
        }
    }
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        Lifetimes {
            transaction_ms: 10 * MINUTE_MS,
            handshake_ms: 10 * MINUTE_MS,
            discoverable_handshake_ms: 60 * MINUTE_MS,
            nonce_ms: 5 * MINUTE_MS,
        }
    }
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
        RelyingParty {
            rp_id: rp_id.to_owned(),
            origins,
            top_origins: None,
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
            },
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
        })
    }
}

impl NewApp {
    fn check(self, id: AppId, organization_id: &str, now_ms: i64) -> Result<App, Refusal> {
        check_name(&self.name)?;
        self.settings.check()?;
        let auth_origin = normalize(&self.auth_origin)?;
        let additional_auth_origins = self
            .additional_auth_origins
            .iter()
            .map(|origin| normalize(origin))
            .collect::<Result<_, _>>()?;
        let rp_id = match self.rp_id {
            Some(rp_id) if origin::may_use_rp_id(&auth_origin, &rp_id) => rp_id,
            Some(rp_id) => return Err(Refusal::RpIdNotAllowed { rp_id, auth_origin }),
            None => {
                origin::default_rp_id(&auth_origin).map_err(|cause| Refusal::OriginInvalid {
                    origin: auth_origin.clone(),
                    cause,
                })?
            }
        };
        Ok(App {
            id,
            organization_id: organization_id.to_owned(),
            name: self.name,
            auth_origin,
            additional_auth_origins,
            rp_id,
            settings: self.settings,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        })
    }
}

impl AppSettings {
    fn check(&self) -> Result<(), Refusal> {
        let durations = [
            self.lifetimes.transaction_ms,
            self.lifetimes.handshake_ms,
            self.lifetimes.discoverable_handshake_ms,
            self.lifetimes.nonce_ms,
            self.timeout_ms,
        ];
        if !durations
            .iter()
            .all(|duration| (SECOND_MS..=DAY_MS).contains(duration))
        {
            return Err(Refusal::InvalidRequest(
                "Each lifetime must be between 1 second and 24 hours.".into(),
            ));
        }
        if !(DAY_MS..=3_650 * DAY_MS).contains(&self.event_retention_ms) {
            return Err(Refusal::InvalidRequest(
                "Events are kept for 1 to 3650 days.".into(),
            ));
        }
        // Every authenticator has it, so an app without it would lock some out.
        if !self.algorithms.contains(&Algorithm::Es256) {
            return Err(Refusal::InvalidRequest(
                "ES256 must be among the algorithms.".into(),
            ));
        }
        Ok(())
    }
}

/// The name of an app or an API key: 1 to 128 characters.
pub(crate) fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.chars().count() > NAME_CHARACTERS_MAX || name.contains('\0') {
        return Err(Refusal::InvalidRequest(format!(
            "A name must have 1 to {NAME_CHARACTERS_MAX} characters."
        )));
    }
    Ok(())
}

fn normalize(text: &str) -> Result<String, Refusal> {
    origin::normalize_auth_origin(text).map_err(|cause| Refusal::OriginInvalid {
        origin: text.to_owned(),
        cause,
    })
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
    let settings = &app.settings;
    tx.execute(
        "INSERT INTO passkeys_apps (
            id, organization_id, name, auth_origin, additional_auth_origins, rp_id,
            user_verification, counter_policy, algorithms, transaction_lifetime_ms,
            handshake_lifetime_ms, discoverable_handshake_lifetime_ms, nonce_lifetime_ms,
            timeout_ms, event_retention_ms, created_at_ms, updated_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        values![
            &app.id,
            &app.organization_id,
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
            app.created_at_ms,
            app.updated_at_ms,
        ],
    )
    .await
}

pub(crate) use select_apps;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const NAME_CHARACTERS_MAX: usize = 128;

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
    fn an_origin_that_browsers_have_no_passkeys_for_is_refused() {
        for auth_origin in ["", "example.com", "http://example.com", "https://10.0.0.1"] {
            assert!(
                matches!(check(auth_origin, None), Err(Refusal::OriginInvalid { .. })),
                "{auth_origin}"
            );
        }
    }

    #[test]
    fn names_and_settings_that_cannot_work_are_refused() {
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
        assert!(refused(|new| new.settings.event_retention_ms = DAY_MS - 1));
        assert!(!refused(|new| new.settings.event_retention_ms = DAY_MS));
        assert!(refused(
            |new| new.settings.algorithms = vec![Algorithm::EdDsa]
        ));
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
