//! A relying party, the ceremonies it runs, and the two checks most tests are made of.

use std::sync::Mutex;

use serde_json::Value;
use webauthn::forge::{Authenticator, ForgedAuthentication, ForgedRegistration, SigningKey};
use webauthn::{
    Algorithm, AttestationPolicy, Authentication, AuthenticationOptions, AuthenticationResponse,
    CounterPolicy, Credential, Denial, ExpectedAuthentication, ExpectedRegistration, Registration,
    RegistrationOptions, RegistrationResponse, RelyingParty, UserVerification, authentication,
    registration,
};

pub(crate) const RP_ID: &str = "example.org";
pub(crate) const ORIGIN: &str = "https://example.org";
pub(crate) const USER_ID: &str = "aB3dE6gH9jK2mN5pQ8sT1vW4";

/// 1 July 2026.
pub(crate) const NOW_MS: i64 = 1_782_864_000_000;

/// The key types that are offered by default.
pub(crate) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];

/// What one relying party expects of its ceremonies.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) relying_party: RelyingParty,
    pub(crate) challenge: Vec<u8>,
    pub(crate) user_verification: UserVerification,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) conditional: bool,
    pub(crate) attestation: AttestationPolicy,
    pub(crate) now_ms: i64,
    pub(crate) counter_policy: CounterPolicy,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self {
            relying_party: RelyingParty {
                rp_id: RP_ID.into(),
                origins: vec![ORIGIN.into(), "https://app.example.org:8443".into()],
                top_origins: None,
            },
            challenge: (100..132).collect(),
            user_verification: UserVerification::Required,
            algorithms: ALGORITHMS.to_vec(),
            conditional: false,
            attestation: AttestationPolicy::None,
            now_ms: NOW_MS,
            counter_policy: CounterPolicy::Record,
        }
    }

    /// The same, allowing pages of `top_origin` to embed it.
    pub(crate) fn embedded_in(top_origin: &str) -> Self {
        let mut site = Self::new();
        site.relying_party.top_origins = Some(vec![top_origin.into()]);
        site
    }

    pub(crate) fn registration_options(&self) -> Value {
        registration::options(&RegistrationOptions {
            rp_id: &self.relying_party.rp_id,
            rp_name: "Example",
            user_id: USER_ID,
            display_name: "ann@example.org",
            challenge: &self.challenge,
            algorithms: &self.algorithms,
            timeout_ms: 300_000,
            exclude: &[],
            attachment: None,
            user_verification: self.user_verification,
            attestation: self.attestation.conveyance(),
        })
    }

    pub(crate) fn authentication_options(&self) -> Value {
        authentication::options(&AuthenticationOptions {
            rp_id: &self.relying_party.rp_id,
            challenge: &self.challenge,
            allow: None,
            user_verification: self.user_verification,
            timeout_ms: 300_000,
        })
    }

    pub(crate) fn create(&self, authenticator: &mut Authenticator) -> ForgedRegistration {
        authenticator.create(&self.registration_options(), ORIGIN)
    }

    pub(crate) fn get(&self, authenticator: &mut Authenticator) -> ForgedAuthentication {
        authenticator.get(&self.authentication_options(), ORIGIN)
    }

    pub(crate) fn verify_registration(&self, json: &Value) -> Result<Registration, Denial> {
        let expected = ExpectedRegistration {
            relying_party: &self.relying_party,
            challenge: &self.challenge,
            user_verification: self.user_verification,
            algorithms: &self.algorithms,
            conditional: self.conditional,
            attestation: &self.attestation,
            now_ms: self.now_ms,
        };
        registration::verify(&expected, &RegistrationResponse::from_json(json)?)
    }

    pub(crate) fn verify_authentication(
        &self,
        credential: &Credential,
        json: &Value,
    ) -> Result<Authentication, Denial> {
        let expected = ExpectedAuthentication {
            relying_party: &self.relying_party,
            challenge: &self.challenge,
            user_verification: self.user_verification,
            counter_policy: self.counter_policy,
        };
        authentication::verify(
            &expected,
            credential,
            &AuthenticationResponse::from_json(json)?,
        )
    }

    /// Registers the authenticator and gives what a server would keep.
    pub(crate) fn register(&self, authenticator: &mut Authenticator) -> Credential {
        let json = self.create(authenticator).json();
        self.verify_registration(&json)
            .expect("an honest registration is accepted")
            .credential
    }

    /// Refuses the registration for `denial` once it is broken, and only then.
    #[track_caller]
    pub(crate) fn refuses_registration(
        &self,
        denial: Denial,
        what: &str,
        break_it: impl FnOnce(&mut ForgedRegistration),
    ) {
        let mut forged = self.create(&mut authenticator(Algorithm::Es256));
        assert!(self.verify_registration(&forged.json()).is_ok(), "unbroken");
        break_it(&mut forged);
        assert_eq!(
            self.verify_registration(&forged.json()),
            Err(denial),
            "{what}"
        );
    }

    /// The same for a change of the JSON on its way.
    #[track_caller]
    pub(crate) fn refuses_registration_json(
        &self,
        denial: Denial,
        what: &str,
        edit: impl FnOnce(&mut Value),
    ) {
        let mut json = self.create(&mut authenticator(Algorithm::Es256)).json();
        assert!(self.verify_registration(&json).is_ok(), "unedited");
        edit(&mut json);
        assert_eq!(self.verify_registration(&json), Err(denial), "{what}");
    }

    /// Refuses the authentication for `denial` once it is broken, and only then; with every key type.
    #[track_caller]
    pub(crate) fn refuses_authentication(
        &self,
        denial: Denial,
        what: &str,
        break_it: impl Fn(&mut ForgedAuthentication),
    ) {
        for algorithm in ALGORITHMS {
            let mut authenticator = authenticator(algorithm);
            let credential = self.register(&mut authenticator);
            let mut forged = self.get(&mut authenticator);
            let unbroken = self.verify_authentication(&credential, &forged.json());
            assert!(unbroken.is_ok(), "unbroken: {unbroken:?}");
            break_it(&mut forged);
            assert_eq!(
                self.verify_authentication(&credential, &forged.json()),
                Err(denial),
                "{what}, {algorithm:?}"
            );
        }
    }

    /// The same for a change of the JSON on its way.
    #[track_caller]
    pub(crate) fn refuses_authentication_json(
        &self,
        denial: Denial,
        what: &str,
        edit: impl FnOnce(&mut Value),
    ) {
        let mut authenticator = authenticator(Algorithm::Es256);
        let credential = self.register(&mut authenticator);
        let mut json = self.get(&mut authenticator).json();
        assert!(self.verify_authentication(&credential, &json).is_ok());
        edit(&mut json);
        assert_eq!(
            self.verify_authentication(&credential, &json),
            Err(denial),
            "{what}"
        );
    }
}

/// An honest authenticator with a key of `algorithm`. Keys are slow to make, so all tests share them.
pub(crate) fn authenticator(algorithm: Algorithm) -> Authenticator {
    static KEYS: Mutex<Vec<SigningKey>> = Mutex::new(Vec::new());
    let mut keys = KEYS.lock().unwrap();
    let known = keys.iter().find(|key| key.algorithm() == algorithm);
    let key = match known {
        Some(key) => key.clone(),
        None => {
            keys.push(SigningKey::from_seed(algorithm, "ann's phone"));
            keys[keys.len() - 1].clone()
        }
    };
    Authenticator::with_key(key, "ann's phone")
}

/// All ways to write `json` with `name` broken, as a member that must be base64url text.
pub(crate) fn not_base64url(good: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("null", Value::Null),
        ("number", 7.into()),
        ("list", Value::Array(vec![])),
        ("object", serde_json::json!({})),
        ("boolean", true.into()),
        ("padded", format!("{good}=").into()),
        ("padded to four", format!("{}==", &good[..2]).into()),
        ("plus", format!("+{}", &good[1..]).into()),
        ("slash", format!("/{}", &good[1..]).into()),
        ("space in front", format!(" {good}").into()),
        ("line break behind", format!("{good}\n").into()),
        (
            "spare bit set",
            format!("{}AB", "A".repeat(good.len() / 4 * 4)).into(),
        ),
        (
            "one letter over",
            format!("{}A", "A".repeat(good.len() / 4 * 4)).into(),
        ),
        ("not ASCII", "é".into()),
    ]
}
