//! What a customer may adjust about an app: defaults, bounds, and the form in
//! which settings are shown. Pure; where they are kept is `apps`' business, and
//! what they do is told in `docs/app-settings.md`.

use serde_json::{Map, Value, json};
use webauthn::{Algorithm, AttestationConveyance, CounterPolicy, UserVerification, origin};

use crate::{AttestationSettings, Refusal};

/// What a customer may adjust about an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSettings {
    /// Whether the authenticator must have verified the user. Default: preferred.
    pub user_verification: UserVerification,
    /// What a signature counter that does not grow means. Default: record.
    pub counter_policy: CounterPolicy,
    /// Algorithms offered, the preferred one first; ES256 is always among them.
    /// Default: ES256, RS256, EdDSA.
    pub algorithms: Vec<Algorithm>,
    /// Which authenticators may register. Default: all, and none is asked for proof.
    pub attestation: AttestationSettings,
    /// Whether a passkey that can be copied to other devices may register.
    /// Default: yes. Those that are there already go on working.
    pub allows_synced_passkeys: bool,
    /// Whether a registration may create a user. Default: yes.
    pub public_signup: bool,
    /// Origins of pages that may run the app's ceremonies in a frame; empty, the
    /// default, for nobody.
    pub embedding_origins: Vec<String>,
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
            attestation: AttestationSettings::default(),
            allows_synced_passkeys: true,
            public_signup: true,
            embedding_origins: Vec::new(),
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

impl AppSettings {
    /// The settings as they are stored: origins in the form that browsers send,
    /// nothing listed twice. Refuses what cannot work; the text names the member.
    pub(crate) fn checked(mut self) -> Result<AppSettings, Refusal> {
        for (name, duration_ms) in self.durations() {
            if !(SECOND_MS..=DAY_MS).contains(&duration_ms) {
                return Err(invalid(format!(
                    "{name} must be between 1 second and 24 hours ({SECOND_MS} to {DAY_MS})."
                )));
            }
        }
        if !(DAY_MS..=RETENTION_MAX_MS).contains(&self.event_retention_ms) {
            return Err(invalid(format!(
                "event_retention_ms must be between 1 and 3650 days ({DAY_MS} to \
                 {RETENTION_MAX_MS})."
            )));
        }
        self.algorithms = without_repeats(self.algorithms);
        // Every authenticator has it, so an app without it would lock some out.
        if !self.algorithms.contains(&Algorithm::Es256) {
            return Err(invalid("ES256 must be among the algorithms.".into()));
        }
        self.embedding_origins = normalize_all("embedding_origins", &self.embedding_origins)?;
        self.attestation = self.attestation.checked()?;
        Ok(self)
    }

    /// The settings as the API and the command line show them, without
    /// `public_signup`, which the contract has elsewhere.
    pub fn to_json(&self) -> Value {
        let mut members = Map::from_iter([
            ("user_verification".into(), json!(self.user_verification)),
            ("counter_policy".into(), json!(self.counter_policy)),
            (
                "algorithms".into(),
                json!(
                    self.algorithms
                        .iter()
                        .map(|algorithm| algorithm_name(*algorithm))
                        .collect::<Vec<_>>()
                ),
            ),
            ("attestation".into(), json!(self.attestation.conveyance)),
            (
                "trust_anchors".into(),
                json!(self.attestation.trust_anchors),
            ),
            (
                "allowed_aaguids".into(),
                json!(self.attestation.allowed_aaguids),
            ),
            (
                "denied_aaguids".into(),
                json!(self.attestation.denied_aaguids),
            ),
            (
                "uses_metadata".into(),
                json!(self.attestation.uses_metadata),
            ),
            (
                "allows_synced_passkeys".into(),
                json!(self.allows_synced_passkeys),
            ),
            ("embedding_origins".into(), json!(self.embedding_origins)),
            ("event_retention_ms".into(), json!(self.event_retention_ms)),
        ]);
        for (name, duration_ms) in self.durations() {
            members.insert(name.into(), json!(duration_ms));
        }
        Value::Object(members)
    }

    /// The bounded times, by the names of their members.
    fn durations(&self) -> [(&'static str, i64); 5] {
        let lifetimes = &self.lifetimes;
        [
            ("transaction_lifetime_ms", lifetimes.transaction_ms),
            ("handshake_lifetime_ms", lifetimes.handshake_ms),
            (
                "discoverable_handshake_lifetime_ms",
                lifetimes.discoverable_handshake_ms,
            ),
            ("nonce_lifetime_ms", lifetimes.nonce_ms),
            ("timeout_ms", self.timeout_ms),
        ]
    }
}

/// Changes to settings; what is `None` stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SettingsChanges {
    /// Of [`AppSettings::user_verification`].
    pub user_verification: Option<UserVerification>,
    /// Of [`AppSettings::counter_policy`].
    pub counter_policy: Option<CounterPolicy>,
    /// Of [`AppSettings::algorithms`].
    pub algorithms: Option<Vec<Algorithm>>,
    /// Of [`AttestationSettings::conveyance`].
    pub attestation: Option<AttestationConveyance>,
    /// Of [`AttestationSettings::trust_anchors`].
    pub trust_anchors: Option<Vec<crate::TrustCertificate>>,
    /// Of [`AttestationSettings::allowed_aaguids`].
    pub allowed_aaguids: Option<Vec<uuid::Uuid>>,
    /// Of [`AttestationSettings::denied_aaguids`].
    pub denied_aaguids: Option<Vec<uuid::Uuid>>,
    /// Of [`AttestationSettings::uses_metadata`].
    pub uses_metadata: Option<bool>,
    /// Of [`AppSettings::allows_synced_passkeys`].
    pub allows_synced_passkeys: Option<bool>,
    /// Of [`AppSettings::public_signup`].
    pub public_signup: Option<bool>,
    /// Of [`AppSettings::embedding_origins`].
    pub embedding_origins: Option<Vec<String>>,
    /// Of [`Lifetimes::transaction_ms`].
    pub transaction_lifetime_ms: Option<i64>,
    /// Of [`Lifetimes::handshake_ms`].
    pub handshake_lifetime_ms: Option<i64>,
    /// Of [`Lifetimes::discoverable_handshake_ms`].
    pub discoverable_handshake_lifetime_ms: Option<i64>,
    /// Of [`Lifetimes::nonce_ms`].
    pub nonce_lifetime_ms: Option<i64>,
    /// Of [`AppSettings::timeout_ms`].
    pub timeout_ms: Option<i64>,
    /// Of [`AppSettings::event_retention_ms`].
    pub event_retention_ms: Option<i64>,
}

impl SettingsChanges {
    /// The settings with these changes, not yet checked.
    pub(crate) fn apply(&self, mut to: AppSettings) -> AppSettings {
        set(&mut to.user_verification, &self.user_verification);
        set(&mut to.counter_policy, &self.counter_policy);
        set(&mut to.algorithms, &self.algorithms);
        set(&mut to.attestation.conveyance, &self.attestation);
        set(&mut to.attestation.trust_anchors, &self.trust_anchors);
        set(&mut to.attestation.allowed_aaguids, &self.allowed_aaguids);
        set(&mut to.attestation.denied_aaguids, &self.denied_aaguids);
        set(&mut to.attestation.uses_metadata, &self.uses_metadata);
        set(&mut to.allows_synced_passkeys, &self.allows_synced_passkeys);
        set(&mut to.public_signup, &self.public_signup);
        set(&mut to.embedding_origins, &self.embedding_origins);
        let lifetimes = &mut to.lifetimes;
        set(&mut lifetimes.transaction_ms, &self.transaction_lifetime_ms);
        set(&mut lifetimes.handshake_ms, &self.handshake_lifetime_ms);
        set(
            &mut lifetimes.discoverable_handshake_ms,
            &self.discoverable_handshake_lifetime_ms,
        );
        set(&mut lifetimes.nonce_ms, &self.nonce_lifetime_ms);
        set(&mut to.timeout_ms, &self.timeout_ms);
        set(&mut to.event_retention_ms, &self.event_retention_ms);
        to
    }
}

/// The name of an algorithm, as JOSE spells it.
pub(crate) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::Es384 => "ES384",
        Algorithm::Es512 => "ES512",
        Algorithm::Rs256 => "RS256",
        Algorithm::EdDsa => "EdDSA",
    }
}

/// The algorithm of a name; nothing for one that is not offered.
pub fn algorithm_named(name: &str) -> Option<Algorithm> {
    Algorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm_name(*algorithm) == name)
}

/// Origins in the form that browsers send, each once, at most 64 of them;
/// `member` is where they were given.
pub(crate) fn normalize_all(
    member: &'static str,
    origins: &[String],
) -> Result<Vec<String>, Refusal> {
    if origins.len() > ORIGINS_MAX {
        return Err(invalid(format!(
            "{member} must have at most {ORIGINS_MAX} origins."
        )));
    }
    let origins = origins
        .iter()
        .map(|text| normalize(member, text))
        .collect::<Result<_, _>>()?;
    Ok(without_repeats(origins))
}

/// An origin in the form that browsers send; `member` is where it was given.
pub(crate) fn normalize(member: &'static str, text: &str) -> Result<String, Refusal> {
    origin::normalize_auth_origin(text).map_err(|cause| Refusal::OriginInvalid {
        member,
        origin: text.to_owned(),
        cause,
    })
}

/// The list without what stands in it a second time.
pub(crate) fn without_repeats<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(list.len());
    for entry in list {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
    }
    kept
}

/// Takes over a change, if there is one.
pub(crate) fn set<T: Clone>(to: &mut T, change: &Option<T>) {
    if let Some(value) = change {
        to.clone_from(value);
    }
}

fn invalid(text: String) -> Refusal {
    Refusal::InvalidRequest(text)
}
const ORIGINS_MAX: usize = 64;
const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
const RETENTION_MAX_MS: i64 = 3_650 * DAY_MS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_settings_that_work() {
        let settings = AppSettings::default();
        assert_eq!(settings.clone().checked(), Ok(settings));
    }

    #[test]
    fn times_have_bounds_and_the_refusal_names_the_member() {
        type Change = fn(&mut AppSettings, i64);
        let bounded: [(&str, Change); 5] = [
            ("transaction_lifetime_ms", |settings, ms| {
                settings.lifetimes.transaction_ms = ms;
            }),
            ("handshake_lifetime_ms", |settings, ms| {
                settings.lifetimes.handshake_ms = ms;
            }),
            ("discoverable_handshake_lifetime_ms", |settings, ms| {
                settings.lifetimes.discoverable_handshake_ms = ms;
            }),
            ("nonce_lifetime_ms", |settings, ms| {
                settings.lifetimes.nonce_ms = ms;
            }),
            ("timeout_ms", |settings, ms| settings.timeout_ms = ms),
        ];
        let check = |change: Change, ms| {
            let mut settings = AppSettings::default();
            change(&mut settings, ms);
            settings.checked().map_err(|refusal| refusal.to_string())
        };
        for (name, change) in bounded {
            for ms in [SECOND_MS, DAY_MS] {
                assert!(check(change, ms).is_ok(), "{name} {ms}");
            }
            for ms in [i64::MIN, 0, SECOND_MS - 1, DAY_MS + 1, i64::MAX] {
                let text = check(change, ms).unwrap_err();
                assert!(text.starts_with(&format!("{name} must be")), "{text}");
            }
        }
        let retention: Change = |settings, ms| settings.event_retention_ms = ms;
        for ms in [DAY_MS, RETENTION_MAX_MS] {
            assert!(check(retention, ms).is_ok(), "{ms}");
        }
        for ms in [DAY_MS - 1, RETENTION_MAX_MS + 1] {
            assert!(check(retention, ms).is_err(), "{ms}");
        }
    }

    #[test]
    fn es256_is_always_offered_and_nothing_twice() {
        let mut settings = AppSettings {
            algorithms: vec![Algorithm::EdDsa, Algorithm::Es256, Algorithm::EdDsa],
            ..AppSettings::default()
        };
        settings = settings.checked().unwrap();
        assert_eq!(settings.algorithms, [Algorithm::EdDsa, Algorithm::Es256]);
        settings.algorithms = vec![Algorithm::EdDsa];
        assert!(settings.checked().is_err());
    }

    #[test]
    fn an_algorithm_has_one_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm_named(algorithm_name(algorithm)), Some(algorithm));
        }
        for name in ["", "es256", "PS256", "RS1", "-7"] {
            assert_eq!(algorithm_named(name), None);
        }
    }

    #[test]
    fn embedding_origins_get_the_form_that_browsers_send() {
        let with = |origins: &[&str]| {
            AppSettings {
                embedding_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
                ..AppSettings::default()
            }
            .checked()
            .map(|settings| settings.embedding_origins)
        };
        assert_eq!(
            with(&["https://Shop.example:443/", "https://shop.example"]).unwrap(),
            ["https://shop.example"]
        );
        let refused = with(&["https://shop.example/path"]).unwrap_err();
        assert!(refused.to_string().contains("embedding_origins"));
        let many: Vec<String> = (0..65).map(|at| format!("https://s{at}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(with(&many[..64]).is_ok());
        assert!(with(&many).is_err());
    }
}
