//! The matrix of what must be refused and what must be accepted, row by row, as a browser and a customer's server
//! see it. The rows are those of the list of WebAuthn checks (T handshakes and tenants, P what must be accepted,
//! R registration, A attestation, L authentication); a row's id stands in quotes where its inputs are, or in the
//! name of its test.
//!
//! | rows | where |
//! | --- | --- |
//! | T01 to T23 | `handshakes` |
//! | R08 to R22 and L11 to L13, which are the same client data | `client_data` |
//! | R01 to R07, R23 to R50 | `registration` |
//! | A01 to A22 | `attestation` |
//! | L01 to L10, L14 to L42 | `authentication`; `signatures` makes those of L26 to L30 |
//! | P01 to P22 | `accepted` |
//! | what options look like | `options` |
//!
//! What is not here is listed with its reason in `ELSEWHERE`, and a test sees to it that no row is forgotten.
//!
//! Every refused input goes the same way ([`Bench::refuses`]): the answer outside is the contract's, the reason is in
//! the event, nothing else was stored, the handshake is spent even for a right response, and with a fresh handshake
//! the unbroken ceremony succeeds. Logins are tried without a transaction and with one.

use std::{cell::Cell, sync::OnceLock};

use axum::http::StatusCode;
use passkeys::NewApp;
use platform::{Fault, values};
use serde_json::{Value, json};
use webauthn::{
    Algorithm, UserVerification,
    forge::{
        Authenticator, ForgedAuthentication, ForgedRegistration, SigningKey,
        attestation::{Attester, Format},
    },
};

use crate::house::{Handshake, House, ORIGIN, TestApp, houses};

mod accepted;
mod attestation;
mod authentication;
mod client_data;
mod handshakes;
mod options;
mod registration;
mod signatures;

/// The key types that the app of a bench offers.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::EdDsa,
    Algorithm::Rs256,
    Algorithm::Es384,
];

/// One app on one database, that requires user verification.
struct Bench {
    house: House,
    app: TestApp,
    /// How many people there were so far.
    people: Cell<usize>,
}

/// One bench for each database.
async fn benches() -> Vec<Bench> {
    benches_with(|_| {}).await
}

/// The same with an app of other settings.
async fn benches_with(change: impl Fn(&mut NewApp)) -> Vec<Bench> {
    let mut benches = Vec::new();
    for house in houses().await {
        let mut new = strict_app();
        change(&mut new);
        benches.push(Bench {
            app: house.app_like(new).await,
            house,
            people: Cell::new(0),
        });
    }
    benches
}

fn strict_app() -> NewApp {
    let mut new = NewApp {
        name: "Example".into(),
        auth_origin: ORIGIN.into(),
        ..NewApp::default()
    };
    new.settings.user_verification = UserVerification::Required;
    new.settings.algorithms = ALGORITHMS.to_vec();
    new
}

/// A user with an authenticator.
struct Person {
    external_id: String,
    authenticator: Authenticator,
    /// How the authenticator attests.
    format: Option<Format>,
}

/// One refused input: the row, what is wrong, and the reason that must be recorded.
#[derive(Clone, Copy)]
struct Case<'a> {
    row: &'a str,
    what: &'a str,
    reason: &'a str,
}

fn case<'a>(row: &'a str, what: &'a str, reason: &'a str) -> Case<'a> {
    Case { row, what, reason }
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {} ({})", self.row, self.what, self.reason)
    }
}

/// The two ways to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Discoverable,
    Transaction,
}

const WAYS: [Way; 2] = [Way::Discoverable, Way::Transaction];

/// A ceremony that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ceremony {
    Registration,
    Login(Way),
}

impl Bench {
    /// Somebody new, who has no passkey yet.
    fn newcomer(&self, algorithm: Algorithm) -> Person {
        self.people.set(self.people.get() + 1);
        let external_id = format!("person-{}", self.people.get());
        let authenticator = authenticator(algorithm, &external_id);
        Person {
            external_id,
            authenticator,
            format: None,
        }
    }

    /// Somebody new with a passkey.
    async fn person(&self, algorithm: Algorithm) -> Person {
        let mut person = self.newcomer(algorithm);
        self.app
            .register(&person.external_id, &mut person.authenticator)
            .await;
        person
    }

    /// Somebody new with a security key.
    async fn key_holder(&self) -> Person {
        let mut person = self.newcomer(Algorithm::Es256);
        person.authenticator = Authenticator::security_key(Algorithm::Es256, &person.external_id);
        self.app
            .register(&person.external_id, &mut person.authenticator)
            .await;
        person
    }

    async fn start(&self, ceremony: Ceremony, external_id: &str) -> Handshake {
        match ceremony {
            Ceremony::Registration => {
                let transaction_id = self.app.register_transaction(external_id).await;
                self.app.start_registration(&transaction_id).await
            }
            Ceremony::Login(Way::Discoverable) => self.app.start_authentication(None).await,
            Ceremony::Login(Way::Transaction) => {
                let transaction_id = self.app.authenticate_transaction(external_id).await;
                self.app.start_authentication(Some(&transaction_id)).await
            }
        }
    }

    async fn finish(&self, ceremony: Ceremony, finish: &Value) -> crate::house::Answer {
        match ceremony {
            Ceremony::Registration => self.app.finish_registration(finish).await,
            Ceremony::Login(_) => self.app.finish_authentication(finish).await,
        }
    }

    /// The rules for every refused input.
    ///
    /// `broken` makes the body that is refused of a started ceremony, with `outside` as the answer. The same
    /// ceremony must succeed unbroken afterwards.
    async fn refuses(
        &self,
        case: Case<'_>,
        ceremony: Ceremony,
        person: &mut Person,
        outside: (u16, &str),
        broken: impl FnOnce(&mut Person, &Handshake) -> Value,
    ) {
        assert!(is_row(case.row), "{case}");
        println!("{case}");
        let handshake = self.start(ceremony, &person.external_id).await;
        let broken = broken(person, &handshake);
        let stored = self.stored().await;
        let answer = self.finish(ceremony, &broken).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (outside.0, Some(outside.1)),
            "{case}: {}",
            answer.body
        );
        answer.refuses(outside.0, outside.1);
        assert_eq!(self.recorded(&handshake).await, case.reason, "{case}");
        assert!(
            self.stored().await == stored,
            "{case}: something was stored"
        );

        // T05: a failed try spends the challenge.
        self.house.pass(1_000);
        let right = respond(ceremony, &handshake, person);
        self.finish(ceremony, &right)
            .await
            .refuses(400, "invalid_request");
        let newest = self
            .app
            .get("events?limit=1&order_by=created_at:DESC")
            .await;
        assert_eq!(
            newest["events"][0]["failure_code"], "handshake_spent",
            "{case}"
        );
        assert!(
            self.stored().await == stored,
            "{case}: something was stored"
        );

        self.accepts(case, ceremony, person).await;
    }

    /// Runs an honest ceremony, which must succeed.
    async fn accepts(&self, case: Case<'_>, ceremony: Ceremony, person: &mut Person) {
        self.accepts_changed(case, ceremony, person, |_| {}).await;
    }

    /// The same with a change of the finish.
    async fn accepts_changed(
        &self,
        case: Case<'_>,
        ceremony: Ceremony,
        person: &mut Person,
        change: impl FnOnce(&mut Value),
    ) {
        assert!(is_row(case.row), "{case}");
        let handshake = self.start(ceremony, &person.external_id).await;
        let mut finish = respond(ceremony, &handshake, person);
        change(&mut finish);
        self.completes(case, ceremony, &person.external_id, &handshake, &finish)
            .await;
    }

    /// Posts a finish that must succeed, and redeems its nonce.
    async fn completes(
        &self,
        case: Case<'_>,
        ceremony: Ceremony,
        external_id: &str,
        handshake: &Handshake,
        finish: &Value,
    ) {
        let answer = self.finish(ceremony, finish).await;
        let reason = self.recorded(handshake).await;
        assert_eq!(
            (answer.status, &reason),
            (StatusCode::OK, &Value::Null),
            "{case}: not accepted"
        );
        let verified = self.app.verify(&answer.nonce()).await;
        assert_eq!(verified.body["external_id"], external_id, "{case}");
    }

    /// The reason in the event of a handshake; null when it was not denied.
    async fn recorded(&self, handshake: &Handshake) -> Value {
        let event = self.app.get(&format!("events/{}", handshake.id)).await;
        let event = &event["event"];
        let is_denied = !event["failure_code"].is_null();
        assert!(!is_denied || event["status"] == "incomplete", "{event}");
        event["failure_code"].clone()
    }

    /// Everything that outlives a ceremony, but for handshakes and events.
    async fn stored(&self) -> Vec<String> {
        let mut stored: Vec<String> = self
            .house
            .platform
            .db
            .read(async |tx| {
                let mut lines = Vec::new();
                for row in tx.rows(USERS, values![]).await? {
                    lines.push(format!(
                        "user {} {} {} {} {}",
                        row.get::<String>("id")?,
                        row.get::<String>("status")?,
                        row.get::<i64>("login_count")?,
                        row.get::<i64>("updated_at_ms")?,
                        row.get::<i64>("last_login_at_ms")?,
                    ));
                }
                for row in tx.rows(DEVICES, values![]).await? {
                    lines.push(format!(
                        "device {} {} {:?} {:?} {} {} {:?} {} {} {} {}",
                        row.get::<String>("id")?,
                        row.get::<String>("user_id")?,
                        row.get::<Vec<u8>>("credential_id")?,
                        row.get::<Vec<u8>>("public_key")?,
                        row.get::<i64>("algorithm")?,
                        row.get::<i64>("sign_count")?,
                        row.get::<Option<i64>>("backup_eligible")?,
                        row.get::<i64>("backed_up")?,
                        row.get::<i64>("usage_count")?,
                        row.get::<i64>("updated_at_ms")?,
                        row.get::<i64>("last_login_at_ms")?,
                    ));
                }
                for (name, count) in COUNTS {
                    let row = tx.row(count, values![]).await?;
                    let row = row.ok_or_else(|| Fault::new("an aggregate has a row"))?;
                    lines.push(format!("{name} {}", row.get::<i64>("count")?));
                }
                Ok::<_, Fault>(lines)
            })
            .await
            .unwrap();
        stored.sort();
        stored
    }
}

const USERS: &str =
    "SELECT id, status, login_count, updated_at_ms, last_login_at_ms FROM passkeys_users";
const DEVICES: &str =
    "SELECT id, user_id, credential_id, public_key, algorithm, sign_count, backup_eligible,
    backed_up, usage_count, updated_at_ms, last_login_at_ms FROM passkeys_devices";
const COUNTS: [(&str, &str); 2] = [
    ("nonces", "SELECT COUNT(*) AS count FROM passkeys_nonces"),
    (
        "completed transactions",
        "SELECT COUNT(*) AS count FROM passkeys_transactions WHERE completed_at_ms IS NOT NULL",
    ),
];

/// What an honest browser posts.
fn respond(ceremony: Ceremony, handshake: &Handshake, person: &mut Person) -> Value {
    match (ceremony, person.format) {
        (Ceremony::Login(_), _) => handshake.authentication(&mut person.authenticator),
        (Ceremony::Registration, None) => handshake.registration(&mut person.authenticator),
        (Ceremony::Registration, Some(format)) => {
            let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
            Attester::new(format, &person.authenticator.key).attest(&mut forged);
            handshake.finish(forged.json())
        }
    }
}

/// The contract's answer to a denial by the verification of a response.
fn outside(ceremony: Ceremony, reason: &str) -> (u16, &'static str) {
    match (reason, ceremony) {
        ("request_malformed", _) => (400, "invalid_request"),
        (_, Ceremony::Registration | Ceremony::Login(Way::Transaction)) => {
            (401, "webauthn_login_failed")
        }
        (_, Ceremony::Login(Way::Discoverable)) => (401, "discoverable_login_failed"),
    }
}

impl Bench {
    /// A registration is refused when the forgery is broken before it is put together.
    async fn refuses_registration(
        &self,
        case: Case<'_>,
        break_it: impl FnOnce(&mut ForgedRegistration),
    ) {
        self.refuses_registration_json(case, |forged| {
            break_it(forged);
            forged.json()
        })
        .await;
    }

    /// The same when its JSON is edited on the way.
    async fn refuses_edited_registration(&self, case: Case<'_>, edit: impl FnOnce(&mut Value)) {
        self.refuses_registration_json(case, |forged| {
            let mut json = forged.json();
            edit(&mut json);
            json
        })
        .await;
    }

    async fn refuses_registration_json(
        &self,
        case: Case<'_>,
        make: impl FnOnce(&mut ForgedRegistration) -> Value,
    ) {
        let mut person = self.newcomer(Algorithm::Es256);
        let ceremony = Ceremony::Registration;
        let answer = outside(ceremony, case.reason);
        self.refuses(case, ceremony, &mut person, answer, |person, handshake| {
            let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
            handshake.finish(make(&mut forged))
        })
        .await;
    }

    /// A registration by somebody new is accepted although the forgery is changed. Then they log in.
    async fn accepts_registration(
        &self,
        row: &str,
        what: &str,
        algorithm: Algorithm,
        change: impl FnOnce(&mut ForgedRegistration) -> Value,
    ) -> Person {
        let case = case(row, what, "accepted");
        println!("{case}");
        let mut person = self.newcomer(algorithm);
        let ceremony = Ceremony::Registration;
        let handshake = self.start(ceremony, &person.external_id).await;
        let mut forged = person.authenticator.create(&handshake.public_key, ORIGIN);
        let finish = handshake.finish(change(&mut forged));
        person.authenticator.credential_id = forged.credential_id;
        self.completes(case, ceremony, &person.external_id, &handshake, &finish)
            .await;
        for way in WAYS {
            self.accepts(case, Ceremony::Login(way), &mut person).await;
        }
        person
    }

    /// A login is refused when the forgery is broken before it is signed; either way of it.
    async fn refuses_login(
        &self,
        person: &mut Person,
        case: Case<'_>,
        break_it: impl Fn(&mut ForgedAuthentication),
    ) {
        self.refuses_login_json(person, case, |forged| {
            break_it(forged);
            forged.json()
        })
        .await;
    }

    /// The same when its JSON is edited on the way.
    async fn refuses_edited_login(
        &self,
        person: &mut Person,
        case: Case<'_>,
        edit: impl Fn(&mut Value),
    ) {
        self.refuses_login_json(person, case, |forged| {
            let mut json = forged.json();
            edit(&mut json);
            json
        })
        .await;
    }

    async fn refuses_login_json(
        &self,
        person: &mut Person,
        case: Case<'_>,
        make: impl Fn(&mut ForgedAuthentication) -> Value,
    ) {
        for way in WAYS {
            self.refuses_login_by(way, person, case, &make).await;
        }
    }

    async fn refuses_login_by(
        &self,
        way: Way,
        person: &mut Person,
        case: Case<'_>,
        make: impl FnOnce(&mut ForgedAuthentication) -> Value,
    ) {
        let ceremony = Ceremony::Login(way);
        let answer = outside(ceremony, case.reason);
        self.refuses(case, ceremony, person, answer, |person, handshake| {
            let mut forged = person.authenticator.get(&handshake.public_key, ORIGIN);
            handshake.finish(make(&mut forged))
        })
        .await;
    }

    /// A login is accepted although the forgery is changed; either way of it.
    async fn accepts_login(
        &self,
        person: &mut Person,
        row: &str,
        what: &str,
        change: impl Fn(&mut ForgedAuthentication) -> Value,
    ) {
        let case = case(row, what, "accepted");
        println!("{case}");
        for way in WAYS {
            let ceremony = Ceremony::Login(way);
            let handshake = self.start(ceremony, &person.external_id).await;
            let mut forged = person.authenticator.get(&handshake.public_key, ORIGIN);
            let finish = handshake.finish(change(&mut forged));
            self.completes(case, ceremony, &person.external_id, &handshake, &finish)
                .await;
        }
    }
}

/// An honest authenticator. RSA keys are slow to make, so all share one.
fn authenticator(algorithm: Algorithm, seed: &str) -> Authenticator {
    static RSA: OnceLock<SigningKey> = OnceLock::new();
    match algorithm {
        Algorithm::Rs256 => {
            let key = RSA.get_or_init(|| SigningKey::from_seed(Algorithm::Rs256, "shared"));
            Authenticator::with_key(key.clone(), seed)
        }
        _ => Authenticator::new(algorithm, seed),
    }
}

/// The ways to write a member that should be base64url wrongly.
fn not_base64url(good: &str) -> Vec<(&'static str, Value)> {
    let whole = "A".repeat(good.len() / 4 * 4);
    vec![
        ("null", Value::Null),
        ("number", json!(7)),
        ("list", json!([])),
        ("object", json!({})),
        ("boolean", json!(true)),
        ("padded", json!(format!("{good}="))),
        ("plus", json!(format!("+{}", &good[1..]))),
        ("slash", json!(format!("/{}", &good[1..]))),
        ("space in front", json!(format!(" {good}"))),
        ("line break behind", json!(format!("{good}\n"))),
        ("one spare bit set", json!(format!("{whole}AB"))),
        ("one letter over", json!(format!("{whole}A"))),
        ("not ASCII", json!("é")),
    ]
}

/// Whether a row of this id is on the list.
fn is_row(id: &str) -> bool {
    ROWS.iter()
        .any(|(letter, count)| (1..=*count).any(|number| id == format!("{letter}{number:02}")))
}

/// The rows of the list: a letter and how many there are of it.
const ROWS: [(char, usize); 5] = [('T', 23), ('P', 22), ('R', 50), ('A', 22), ('L', 42)];

/// Rows that no test here claims, and where they are instead.
const ELSEWHERE: [(&str, &str); 1] = [(
    "T22",
    "needs a process to kill: the acceptance tests, `durability`",
)];

/// Each row has inputs, or a test of its own that is named after it.
#[test]
fn every_row_is_claimed_by_a_test() {
    let sources = [
        include_str!("matrix/accepted.rs"),
        include_str!("matrix/attestation.rs"),
        include_str!("matrix/authentication.rs"),
        include_str!("matrix/client_data.rs"),
        include_str!("matrix/handshakes.rs"),
        include_str!("matrix/registration.rs"),
        include_str!("matrix/signatures.rs"),
    ]
    .concat();
    for (letter, count) in ROWS {
        for number in 1..=count {
            let id = format!("{letter}{number:02}");
            let is_input = sources.contains(&format!("\"{id}\""));
            let is_test = sources.lines().any(|line| names(line, &id.to_lowercase()));
            let is_elsewhere = ELSEWHERE.iter().any(|(row, _)| *row == id);
            assert_ne!(
                is_input || is_test,
                is_elsewhere,
                "{id} must have a test, or be on the list of those that have none here"
            );
        }
    }
}

/// Whether a line is the head of a test that is named after a row.
fn names(line: &str, id: &str) -> bool {
    line.trim_start()
        .strip_prefix("async fn ")
        .is_some_and(|name| name.split(['_', '(']).any(|word| word == id))
}
