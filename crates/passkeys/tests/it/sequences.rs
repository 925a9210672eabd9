//! Calls in any order, by anybody: two apps, a few people and authenticators, and
//! ids of everything used where they belong and where they do not. A small model
//! says what may happen; whatever else happens is a hole between users or apps,
//! or something used twice.
//!
//! The sequences are the same every time; `CLAVIGER_TEST_SEED` holds a number for
//! others. A failure prints the shortest sequence that shows it, and the seed.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::Method;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use passkeys::RateLimits;
use platform::{Fault, Value as Stored, test_database::TestDatabase, values};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use webauthn::{Algorithm, forge::Authenticator};

use crate::house::{Answer, House, MINUTE_MS, ORIGIN, TestApp, text};

#[test]
fn no_sequence_of_calls_uses_anything_twice_or_crosses_users_or_apps_on_sqlite() {
    run(10_000, || async { TestDatabase::sqlite() });
}

#[test]
fn no_sequence_of_calls_uses_anything_twice_or_crosses_users_or_apps_on_postgres() {
    match std::env::var("CLAVIGER_TEST_POSTGRES") {
        Ok(server) => run(1_000, || TestDatabase::postgres(server.clone())),
        Err(_) => eprintln!("SKIPPED: CLAVIGER_TEST_POSTGRES names no server"),
    }
}

/// Spreads the sequences over a few databases, each with a clock and a thread of its own.
fn run<F: Future<Output = TestDatabase>>(sequences: u32, database: impl Fn() -> F + Sync) {
    let seed = std::env::var("CLAVIGER_TEST_SEED").map_or(1, |seed| {
        seed.parse::<u64>()
            .expect("CLAVIGER_TEST_SEED is a whole number")
    });
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let database = &database;
            scope.spawn(move || {
                let runtime = Runtime::new().expect("a runtime");
                let house = runtime
                    .block_on(async { House::open(database().await, &RateLimits::OFF).await });
                let config = Config {
                    cases: sequences / u32::from(THREADS),
                    failure_persistence: None,
                    ..Config::default()
                };
                let mut bytes = [thread; 32];
                bytes[..8].copy_from_slice(&seed.to_be_bytes());
                let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
                let outcome = TestRunner::new_with_rng(config, rng).run(&sequence(), |calls| {
                    runtime.block_on(World::live_through(&house, &calls))
                });
                if let Err(error) = outcome {
                    let (reason, calls) = match error {
                        TestError::Fail(reason, calls) => (reason, calls),
                        TestError::Abort(reason) => (reason, Vec::new()),
                    };
                    panic!("{reason}\nafter {calls:#?}\nCLAVIGER_TEST_SEED={seed}");
                }
            });
        }
    });
}

const THREADS: u8 = 4;

/// A call. What it is about is picked among all there ever was, 0 being the newest.
#[derive(Clone, Debug)]
enum Call {
    OpenRegistration {
        app: usize,
        person: usize,
    },
    OpenAuthentication {
        app: usize,
        person: usize,
    },
    Start {
        transaction: usize,
        at: At,
    },
    StartDiscoverable {
        app: usize,
    },
    Finish {
        handshake: usize,
        at: At,
        signer: usize,
        lie: Lie,
    },
    FinishAgain {
        finish: usize,
        at: At,
    },
    Verify {
        nonce: usize,
        at: At,
    },
    Revoke {
        device: usize,
        of: Option<usize>,
        at: At,
    },
    Deactivate {
        user: usize,
        at: At,
    },
    Activate {
        user: usize,
        at: At,
    },
    Delete {
        user: usize,
        at: At,
    },
    Pass {
        minutes: i64,
    },
    Sweep,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// To the app and the ceremony that the thing belongs to.
    Home,
    OtherApp,
    OtherCeremony,
}

/// What is wrong about a finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    Nothing,
    /// The response answers the challenge of another handshake.
    Challenge {
        of: usize,
    },
    /// The finish claims another transaction.
    Transaction {
        of: usize,
    },
    NoTransaction,
    /// The user handle is that of another user.
    UserHandle {
        of: usize,
    },
    NoUserHandle,
}

fn sequence() -> impl Strategy<Value = Vec<Call>> {
    let app = || 0..2_usize;
    let person = || 0..PEOPLE.len();
    let signer = || 0..AUTHENTICATORS;
    let newest = prop_oneof![5 => Just(0), 2 => Just(1), 2 => 0..6_usize].boxed();
    let pick = || newest.clone();
    let at =
        || prop_oneof![5 => Just(At::Home), 1 => Just(At::OtherApp), 1 => Just(At::OtherCeremony)];
    let lie = prop_oneof![
        6 => Just(Lie::Nothing),
        1 => pick().prop_map(|of| Lie::Challenge { of }),
        1 => pick().prop_map(|of| Lie::Transaction { of }),
        1 => Just(Lie::NoTransaction),
        1 => pick().prop_map(|of| Lie::UserHandle { of }),
        1 => Just(Lie::NoUserHandle),
    ]
    .boxed();
    let finish = move |signer| Call::Finish {
        handshake: 0,
        at: At::Home,
        signer,
        lie: Lie::Nothing,
    };
    let start = Call::Start {
        transaction: 0,
        at: At::Home,
    };
    let registration = {
        let start = start.clone();
        (app(), person(), signer()).prop_map(move |(app, person, signer)| {
            vec![
                Call::OpenRegistration { app, person },
                start.clone(),
                finish(signer),
            ]
        })
    };
    let authentication = (app(), person(), signer()).prop_map(move |(app, person, signer)| {
        vec![
            Call::OpenAuthentication { app, person },
            start.clone(),
            finish(signer),
        ]
    });
    let discoverable = (app(), signer())
        .prop_map(move |(app, signer)| vec![Call::StartDiscoverable { app }, finish(signer)]);
    let single = prop_oneof![
        2 => (app(), person()).prop_map(|(app, person)| Call::OpenRegistration { app, person }),
        2 => (app(), person()).prop_map(|(app, person)| Call::OpenAuthentication { app, person }),
        4 => (pick(), at()).prop_map(|(transaction, at)| Call::Start { transaction, at }),
        1 => app().prop_map(|app| Call::StartDiscoverable { app }),
        6 => (pick(), at(), signer(), lie).prop_map(|(handshake, at, signer, lie)| Call::Finish {
            handshake, at, signer, lie
        }),
        2 => (pick(), at()).prop_map(|(finish, at)| Call::FinishAgain { finish, at }),
        5 => (pick(), at()).prop_map(|(nonce, at)| Call::Verify { nonce, at }),
        1 => (pick(), prop::option::of(pick()), at()).prop_map(|(device, of, at)| Call::Revoke {
            device, of, at
        }),
        1 => (pick(), at()).prop_map(|(user, at)| Call::Deactivate { user, at }),
        1 => (pick(), at()).prop_map(|(user, at)| Call::Activate { user, at }),
        1 => (pick(), at()).prop_map(|(user, at)| Call::Delete { user, at }),
        2 => prop::sample::select(vec![1, 4, 6, 11, 61, 130])
            .prop_map(|minutes| Call::Pass { minutes }),
        1 => Just(Call::Sweep),
    ]
    .prop_map(|call| vec![call]);
    let part = prop_oneof![3 => registration, 2 => authentication, 1 => discoverable, 8 => single];
    vec(part, 1..12).prop_map(|parts| parts.concat())
}

const PEOPLE: [&str; 2] = ["ann", "bob"];
const AUTHENTICATORS: usize = 3;
const TRANSACTION_MS: i64 = 10 * MINUTE_MS;
const HANDSHAKE_MS: i64 = 10 * MINUTE_MS;
const DISCOVERABLE_MS: i64 = 60 * MINUTE_MS;
const NONCE_MS: i64 = 5 * MINUTE_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ceremony {
    Registration,
    Authentication,
}

impl Ceremony {
    fn other(self) -> Ceremony {
        match self {
            Ceremony::Registration => Ceremony::Authentication,
            Ceremony::Authentication => Ceremony::Registration,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Ceremony::Registration => "register",
            Ceremony::Authentication => "authenticate",
        }
    }
}

/// The model: what there is, by what was answered and nothing else.
struct World<'h> {
    house: &'h House,
    apps: [TestApp; 2],
    authenticators: Vec<Authenticator>,
    users: Vec<User>,
    devices: Vec<Device>,
    transactions: Vec<Transaction>,
    handshakes: Vec<Handshake>,
    finishes: Vec<Finish>,
    nonces: Vec<Nonce>,
}

#[derive(Clone, Debug)]
struct User {
    app: usize,
    id: String,
    external_id: &'static str,
    status: &'static str,
    logins: i64,
    is_deleted: bool,
}

#[derive(Clone, Debug)]
struct Device {
    app: usize,
    id: String,
    /// Where its user is in the list.
    user: usize,
    authenticator: usize,
    is_deleted: bool,
}

#[derive(Clone, Debug)]
struct Transaction {
    app: usize,
    id: String,
    ceremony: Ceremony,
    external_id: &'static str,
    /// None for the registration of somebody new that was not started yet.
    user: Option<usize>,
    expires_at_ms: i64,
    newest_handshake: Option<usize>,
    is_completed: bool,
}

#[derive(Clone, Debug)]
struct Handshake {
    app: usize,
    id: String,
    ceremony: Ceremony,
    public_key: Value,
    transaction: Option<usize>,
    user: Option<usize>,
    allowed: Option<Vec<usize>>,
    expires_at_ms: i64,
    is_spent: bool,
}

/// A finish that was sent, to be sent again, and what it says.
#[derive(Clone, Debug)]
struct Finish {
    body: Value,
    handshake: usize,
    ceremony: Ceremony,
    answers: usize,
    signer: usize,
    claim: Option<String>,
    /// The id of a user.
    user_handle: Option<String>,
}

#[derive(Clone, Debug)]
struct Nonce {
    app: usize,
    text: String,
    user: usize,
    device: usize,
    expires_at_ms: i64,
    is_redeemed: bool,
}

type Checked<T = ()> = Result<T, TestCaseError>;

impl World<'_> {
    async fn live_through(house: &House, calls: &[Call]) -> Checked {
        let mut world = World {
            house,
            apps: [house.app().await, house.app().await],
            authenticators: (0..AUTHENTICATORS)
                .map(|number| Authenticator::new(Algorithm::EdDsa, &number.to_string()))
                .collect(),
            users: Vec::new(),
            devices: Vec::new(),
            transactions: Vec::new(),
            handshakes: Vec::new(),
            finishes: Vec::new(),
            nonces: Vec::new(),
        };
        let mut events = [0, 0];
        for call in calls {
            let called = world.make(call).await?;
            let now = world.compare_stored().await?;
            // No call of one app adds to the history of the other.
            for app in [0, 1] {
                prop_assert!(Some(app) == called || events[app] >= now[app], "{call:?}");
            }
            events = now;
        }
        world.compare_listed(events).await
    }

    /// Makes a call, and gives the app that was called.
    async fn make(&mut self, call: &Call) -> Checked<Option<usize>> {
        match *call {
            Call::OpenRegistration { app, person } => {
                let user = self.user_of(app, person);
                let is_open = user.is_none_or(|user| !self.is_inactive(user));
                let body = json!({"external_id": PEOPLE[person], "passkey_display_name": "Ann"});
                let answer = self.apps[app].server("transactions/register", body).await;
                if expect(&answer, 201, is_open)? {
                    self.opened(app, Ceremony::Registration, person, user, &answer);
                }
                Ok(Some(app))
            }
            Call::OpenAuthentication { app, person } => {
                let user = self.user_of(app, person);
                let is_open = user.is_some_and(|user| {
                    !self.is_inactive(user) && !self.devices_of(user).is_empty()
                });
                let body = json!({"external_id": PEOPLE[person]});
                let answer = self.apps[app]
                    .server("transactions/authenticate", body)
                    .await;
                if expect(&answer, 201, is_open)? {
                    self.opened(app, Ceremony::Authentication, person, user, &answer);
                }
                Ok(Some(app))
            }
            Call::Start { transaction, at } => match picked(&self.transactions, transaction) {
                Some(number) => self.start(number, at).await.map(Some),
                None => Ok(None),
            },
            Call::StartDiscoverable { app } => {
                let answer = self
                    .browser(app, Ceremony::Authentication, "start", &json!({}))
                    .await;
                expect(&answer, 200, true)?;
                let expires_at_ms = self.now_ms() + DISCOVERABLE_MS;
                self.started(
                    app,
                    Ceremony::Authentication,
                    None,
                    None,
                    expires_at_ms,
                    &answer,
                );
                Ok(Some(app))
            }
            Call::Finish {
                handshake,
                at,
                signer,
                lie,
            } => match picked(&self.handshakes, handshake) {
                Some(number) => {
                    let finish = self.prepare(number, signer, lie);
                    self.finishes.push(finish.clone());
                    self.finish(&finish, at).await.map(Some)
                }
                None => Ok(None),
            },
            Call::FinishAgain { finish, at } => match picked(&self.finishes, finish) {
                Some(number) => {
                    let finish = self.finishes[number].clone();
                    self.finish(&finish, at).await.map(Some)
                }
                None => Ok(None),
            },
            Call::Verify { nonce, at } => match picked(&self.nonces, nonce) {
                Some(number) => self.verify(number, at).await.map(Some),
                None => Ok(None),
            },
            Call::Revoke { device, of, at } => match picked(&self.devices, device) {
                Some(number) => self.revoke(number, of, at).await.map(Some),
                None => Ok(None),
            },
            Call::Deactivate { user, at } => {
                let change = |_: &World<'_>, _| "inactive";
                self.set_status(user, at, "deactivate", change).await
            }
            Call::Activate { user, at } => {
                let change = |world: &World<'_>, user: usize| match &world.users[user] {
                    User { status, .. } if *status != "inactive" => *status,
                    User { logins: 1.., .. } => "active",
                    _ if world.devices_of(user).is_empty() => "pending",
                    _ => "active",
                };
                self.set_status(user, at, "activate", change).await
            }
            Call::Delete { user, at } => match picked(&self.users, user) {
                Some(number) => self.delete(number, at).await.map(Some),
                None => Ok(None),
            },
            Call::Pass { minutes } => {
                self.house.pass(minutes * MINUTE_MS);
                Ok(None)
            }
            Call::Sweep => {
                self.house.passkeys.sweep().await.map_err(fault)?;
                Ok(None)
            }
        }
    }

    async fn start(&mut self, number: usize, at: At) -> Checked<usize> {
        let transaction = self.transactions[number].clone();
        let (app, ceremony) = goes(at, transaction.app, transaction.ceremony);
        let now_ms = self.now_ms();
        let user = match ceremony {
            Ceremony::Registration => transaction.user.or_else(|| {
                self.users.iter().position(|user| {
                    (user.app, user.external_id) == (transaction.app, transaction.external_id)
                        && !user.is_deleted
                })
            }),
            Ceremony::Authentication => transaction.user,
        };
        let may_user = match (ceremony, user) {
            (Ceremony::Registration, None) => true,
            (Ceremony::Authentication, None) => false,
            (_, Some(user)) => {
                !self.users[user].is_deleted
                    && !self.is_inactive(user)
                    && (ceremony == Ceremony::Registration || !self.devices_of(user).is_empty())
            }
        };
        let may = (app, ceremony) == (transaction.app, transaction.ceremony)
            && !transaction.is_completed
            && transaction.expires_at_ms > now_ms
            && may_user;
        let body = json!({"transaction_id": transaction.id});
        let answer = self.browser(app, ceremony, "start", &body).await;
        if !expect(&answer, 200, may)? {
            return Ok(app);
        }
        let user = match user {
            Some(user) => user,
            None => {
                let options = &answer.body["handshake"]["challenge"]["publicKey"];
                let id = BASE64_URL_SAFE_NO_PAD.decode(text(&options["user"]["id"]));
                let id = String::from_utf8(id.expect("base64url")).expect("a text");
                prop_assert!(self.users.iter().all(|user| user.id != id));
                self.users.push(User {
                    app,
                    id,
                    external_id: transaction.external_id,
                    status: "pending",
                    logins: 0,
                    is_deleted: false,
                });
                self.users.len() - 1
            }
        };
        let expires_at_ms = (now_ms + HANDSHAKE_MS).min(transaction.expires_at_ms);
        self.started(
            app,
            ceremony,
            Some(number),
            Some(user),
            expires_at_ms,
            &answer,
        );
        self.transactions[number].user = Some(user);
        self.transactions[number].newest_handshake = Some(self.handshakes.len() - 1);
        Ok(app)
    }

    /// The finish of a handshake, with whatever is wrong about it.
    fn prepare(&mut self, number: usize, signer: usize, lie: Lie) -> Finish {
        let handshake = &self.handshakes[number];
        let answers = match lie {
            Lie::Challenge { of } => picked(&self.handshakes, of).unwrap_or(number),
            _ => number,
        };
        let own = handshake.transaction;
        let claim = match lie {
            Lie::Transaction { of } => picked(&self.transactions, of).or(own),
            Lie::NoTransaction => None,
            _ => own,
        };
        let claim = claim.map(|transaction| self.transactions[transaction].id.clone());
        let owner = self
            .device_of(handshake.app, signer)
            .map(|device| self.devices[device].user);
        let user_handle = match lie {
            Lie::UserHandle { of } => picked(&self.users, of),
            Lie::NoUserHandle => None,
            _ => owner,
        };
        let user_handle = user_handle.map(|user| self.users[user].id.clone());
        let answered = &self.handshakes[answers];
        let authenticator = &mut self.authenticators[signer];
        let response = match answered.ceremony {
            Ceremony::Registration => authenticator.create(&answered.public_key, ORIGIN).json(),
            Ceremony::Authentication => {
                authenticator.user_handle = user_handle.clone().map(String::into_bytes);
                authenticator.get(&answered.public_key, ORIGIN).json()
            }
        };
        Finish {
            body: json!({
                "handshake_id": handshake.id,
                "transaction_id": claim,
                "handshake_response": response,
            }),
            handshake: number,
            ceremony: handshake.ceremony,
            answers,
            signer,
            claim,
            user_handle,
        }
    }

    async fn finish(&mut self, finish: &Finish, at: At) -> Checked<usize> {
        let handshake = self.handshakes[finish.handshake].clone();
        let (app, ceremony) = goes(at, handshake.app, finish.ceremony);
        let verified = self.may_finish(finish, app, ceremony);
        if app == handshake.app {
            self.handshakes[finish.handshake].is_spent = true;
        }
        let answer = self.browser(app, ceremony, "finish", &finish.body).await;
        if !expect(&answer, 200, verified.is_some())? {
            return Ok(app);
        }
        let (user, device) = verified.unwrap_or_default();
        let device = match ceremony {
            Ceremony::Registration => {
                self.devices.push(Device {
                    app,
                    id: self.find_device(app, finish.signer).await?,
                    user,
                    authenticator: finish.signer,
                    is_deleted: false,
                });
                self.users[user].status = "active";
                self.devices.len() - 1
            }
            Ceremony::Authentication => {
                self.users[user].logins += 1;
                device
            }
        };
        if let Some(transaction) = handshake.transaction {
            self.transactions[transaction].is_completed = true;
        }
        self.nonces.push(Nonce {
            app,
            text: answer.nonce(),
            user,
            device,
            expires_at_ms: self.now_ms() + NONCE_MS,
            is_redeemed: false,
        });
        Ok(app)
    }

    /// Who logs in with which device when all is in order; a registration has no device yet.
    fn may_finish(
        &self,
        finish: &Finish,
        app: usize,
        ceremony: Ceremony,
    ) -> Option<(usize, usize)> {
        let handshake = &self.handshakes[finish.handshake];
        let now_ms = self.now_ms();
        let own = handshake
            .transaction
            .map(|number| &self.transactions[number]);
        let is_open = own.is_none_or(|transaction| {
            !transaction.is_completed
                && transaction.expires_at_ms > now_ms
                && transaction.newest_handshake == Some(finish.handshake)
        });
        let may = (app, ceremony) == (handshake.app, handshake.ceremony)
            && !handshake.is_spent
            && handshake.expires_at_ms > now_ms
            && finish.claim.as_ref() == own.map(|transaction| &transaction.id)
            && is_open
            && finish.answers == finish.handshake;
        if !may {
            return None;
        }
        let device = self.device_of(app, finish.signer);
        let (user, device) = match ceremony {
            Ceremony::Registration => match device {
                Some(_) => return None,
                None => (handshake.user?, 0),
            },
            Ceremony::Authentication => {
                let device = device?;
                let user = self.devices[device].user;
                let is_allowed = match &handshake.allowed {
                    Some(allowed) => allowed.contains(&device) && handshake.user == Some(user),
                    None => finish.user_handle.is_some(),
                };
                let handle = finish.user_handle.as_ref();
                let fits = handle.is_none_or(|handle| *handle == self.users[user].id);
                if !is_allowed || !fits {
                    return None;
                }
                (user, device)
            }
        };
        let may_user = !self.users[user].is_deleted && !self.is_inactive(user);
        may_user.then_some((user, device))
    }

    async fn verify(&mut self, number: usize, at: At) -> Checked<usize> {
        let nonce = self.nonces[number].clone();
        let (app, _) = goes(at, nonce.app, Ceremony::Authentication);
        let user = &self.users[nonce.user];
        let may = app == nonce.app
            && !nonce.is_redeemed
            && nonce.expires_at_ms > self.now_ms()
            && user.status == "active"
            && !user.is_deleted
            && !self.devices[nonce.device].is_deleted;
        let answer = self.apps[app].verify(&nonce.text).await;
        if expect(&answer, 200, may)? {
            prop_assert_eq!(&answer.body["external_id"], user.external_id);
            prop_assert_eq!(
                answer.body["device_id"].as_str(),
                Some(&*self.devices[nonce.device].id)
            );
            self.nonces[number].is_redeemed = true;
        }
        Ok(app)
    }

    async fn revoke(&mut self, number: usize, of: Option<usize>, at: At) -> Checked<usize> {
        let device = self.devices[number].clone();
        let (app, _) = goes(at, device.app, Ceremony::Registration);
        let of = of.and_then(|user| picked(&self.users, user));
        let of = of.unwrap_or(device.user);
        let may = app == device.app && of == device.user && !device.is_deleted;
        let path = format!("users/{}/devices/{}", self.users[of].id, device.id);
        let answer = self.apps[app].manage(Method::DELETE, &path).await;
        if expect(&answer, 200, may)? {
            self.devices[number].is_deleted = true;
        }
        Ok(app)
    }

    async fn set_status(
        &mut self,
        pick: usize,
        at: At,
        verb: &str,
        change: impl Fn(&World<'_>, usize) -> &'static str,
    ) -> Checked<Option<usize>> {
        let Some(number) = picked(&self.users, pick) else {
            return Ok(None);
        };
        let user = self.users[number].clone();
        let (app, _) = goes(at, user.app, Ceremony::Registration);
        let path = format!("users/{}/{verb}", user.id);
        let answer = self.apps[app].manage(Method::PATCH, &path).await;
        if expect(&answer, 200, app == user.app && !user.is_deleted)? {
            self.users[number].status = change(self, number);
        }
        Ok(Some(app))
    }

    async fn delete(&mut self, number: usize, at: At) -> Checked<usize> {
        let user = self.users[number].clone();
        let (app, _) = goes(at, user.app, Ceremony::Registration);
        let path = format!("users/{}", user.id);
        let answer = self.apps[app].manage(Method::DELETE, &path).await;
        if expect(&answer, 200, app == user.app && !user.is_deleted)? {
            self.users[number].is_deleted = true;
            for device in &mut self.devices {
                device.is_deleted |= device.user == number;
            }
        }
        Ok(app)
    }

    fn opened(
        &mut self,
        app: usize,
        ceremony: Ceremony,
        person: usize,
        user: Option<usize>,
        answer: &Answer,
    ) {
        self.transactions.push(Transaction {
            app,
            id: text(&answer.body["transaction_id"]),
            ceremony,
            external_id: PEOPLE[person],
            user,
            expires_at_ms: self.now_ms() + TRANSACTION_MS,
            newest_handshake: None,
            is_completed: false,
        });
    }

    fn started(
        &mut self,
        app: usize,
        ceremony: Ceremony,
        transaction: Option<usize>,
        user: Option<usize>,
        expires_at_ms: i64,
        answer: &Answer,
    ) {
        let allowed = user
            .filter(|_| ceremony == Ceremony::Authentication)
            .map(|user| self.devices_of(user));
        self.handshakes.push(Handshake {
            app,
            id: text(&answer.body["handshake"]["id"]),
            ceremony,
            public_key: answer.body["handshake"]["challenge"]["publicKey"].clone(),
            transaction,
            user,
            allowed,
            expires_at_ms,
            is_spent: false,
        });
    }

    async fn browser(&self, app: usize, ceremony: Ceremony, step: &str, body: &Value) -> Answer {
        let path = format!("{}/transactions/webauthn/{step}", ceremony.word());
        self.apps[app].browser(&path, body.clone()).await
    }

    fn now_ms(&self) -> i64 {
        self.house.platform.clock.now_ms()
    }

    fn user_of(&self, app: usize, person: usize) -> Option<usize> {
        self.users.iter().position(|user| {
            (user.app, user.external_id) == (app, PEOPLE[person]) && !user.is_deleted
        })
    }

    fn is_inactive(&self, user: usize) -> bool {
        self.users[user].status == "inactive"
    }

    fn devices_of(&self, user: usize) -> Vec<usize> {
        (0..self.devices.len())
            .filter(|&device| self.devices[device].user == user)
            .filter(|&device| !self.devices[device].is_deleted)
            .collect()
    }

    fn device_of(&self, app: usize, authenticator: usize) -> Option<usize> {
        self.devices.iter().position(|device| {
            (device.app, device.authenticator) == (app, authenticator) && !device.is_deleted
        })
    }

    /// The id of the device that was just stored.
    async fn find_device(&self, app: usize, authenticator: usize) -> Checked<String> {
        let app_id = self.apps[app].app.id.clone();
        let credential_id = self.authenticators[authenticator].credential_id.clone();
        let db = &self.house.platform.db;
        let found = db
            .read(async move |tx| {
                tx.rows(
                    "SELECT id FROM passkeys_devices WHERE app_id = $1 AND credential_id = $2",
                    values![&app_id, credential_id],
                )
                .await?
                .iter()
                .map(|row| row.get("id"))
                .collect::<Result<Vec<String>, Fault>>()
            })
            .await
            .map_err(fault)?;
        let [id] = &found[..] else {
            return Err(TestCaseError::fail(format!("{found:?} is not one device")));
        };
        prop_assert!(self.devices.iter().all(|device| device.id != *id));
        Ok(id.clone())
    }

    /// What is stored is what the model says; gives the number of each app's events.
    async fn compare_stored(&self) -> Checked<[usize; 2]> {
        let app_ids = [0, 1].map(|app| self.apps[app].app.id.clone());
        let db = &self.house.platform.db;
        let (ids, both) = (app_ids.clone(), move || {
            [Stored::from(&app_ids[0]), Stored::from(&app_ids[1])]
        });
        let (users, devices, transactions, events) = db
            .read(async move |tx| {
                let mut read = Vec::new();
                for sql in STORED {
                    let mut rows: Vec<Vec<String>> = Vec::new();
                    for row in tx.rows(sql, &both()).await? {
                        let columns = ["a", "b", "c", "d", "e"];
                        rows.push(
                            columns
                                .iter()
                                .map(|column| row.get::<Option<String>>(column))
                                .map(|text| text.map(Option::unwrap_or_default))
                                .collect::<Result<_, Fault>>()?,
                        );
                    }
                    read.push(rows);
                }
                let [users, devices, transactions, events] = read
                    .try_into()
                    .map_err(|_| Fault::new("four statements give four lists"))?;
                Ok::<_, Fault>((users, devices, transactions, events))
            })
            .await
            .map_err(fault)?;
        let set = |rows: Vec<Vec<String>>| rows.into_iter().collect::<BTreeSet<_>>();

        let expected = self
            .users
            .iter()
            .filter(|user| !user.is_deleted)
            .map(|user| {
                let logins = user.logins.to_string();
                [
                    ids[user.app].as_str(),
                    &user.id,
                    user.external_id,
                    user.status,
                    &logins,
                ]
                .map(str::to_owned)
                .to_vec()
            });
        prop_assert_eq!(set(users), expected.collect());

        let expected = self
            .devices
            .iter()
            .filter(|device| !device.is_deleted)
            .map(|device| {
                let user = &self.users[device.user];
                [ids[device.app].as_str(), &device.id, &user.id, "", ""]
                    .map(str::to_owned)
                    .to_vec()
            });
        prop_assert_eq!(set(devices), expected.collect());

        for row in transactions {
            let known = self.transactions.iter().find(|known| known.id == row[1]);
            let known = known.map(|known| (ids[known.app].as_str(), known.is_completed));
            prop_assert_eq!(known, Some((&*row[0], row[2] == "completed")));
        }

        let mut counts = [0, 0];
        for row in events {
            let app = usize::from(row[0] == ids[1].as_str());
            counts[app] += 1;
            // An event of an app speaks of nobody and nothing of the other.
            let user = self.users.iter().find(|user| user.id == row[1]);
            prop_assert!(row[1].is_empty() || user.is_some_and(|user| user.app == app));
            let device = self.devices.iter().find(|device| device.id == row[2]);
            prop_assert!(row[2].is_empty() || device.is_some_and(|device| device.app == app));
            let transaction = self.transactions.iter().find(|known| known.id == row[3]);
            prop_assert!(row[3].is_empty() || transaction.is_some_and(|known| known.app == app));
        }
        Ok(counts)
    }

    /// What the customers of both apps are shown is what the model says.
    async fn compare_listed(&self, events: [usize; 2]) -> Checked {
        for (number, app) in self.apps.iter().enumerate() {
            let users: BTreeMap<String, Value> = app.get("users").await["users"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|user| (text(&user["id"]), user.clone()))
                .collect();
            let expected = (0..self.users.len())
                .filter(|&user| self.users[user].app == number && !self.users[user].is_deleted);
            prop_assert_eq!(users.len(), expected.clone().count());
            let mut credentials = BTreeSet::new();
            for user in expected {
                let known = &self.users[user];
                let listed = &users[&known.id];
                prop_assert_eq!(&listed["external_id"], known.external_id);
                prop_assert_eq!(&listed["status"], known.status);
                prop_assert_eq!(&listed["login_count"], known.logins);
                let devices = app.get(&format!("users/{}/devices", known.id)).await;
                let ids: BTreeSet<&str> = devices["devices"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|device| device["id"].as_str())
                    .collect();
                let owned = self.devices_of(user);
                prop_assert_eq!(
                    ids,
                    owned
                        .iter()
                        .map(|&device| &*self.devices[device].id)
                        .collect()
                );
                for device in devices["devices"].as_array().into_iter().flatten() {
                    prop_assert!(credentials.insert(text(&device["cred_id"])));
                }
            }
            let total = &app.get("events?limit=1").await["total_events"];
            prop_assert_eq!(total, events[number]);
        }
        Ok(())
    }
}

/// Each of two apps' users, devices, transactions and events as five texts.
const STORED: [&str; 4] = [
    "SELECT app_id AS a, id AS b, external_id AS c, status AS d, CAST(login_count AS TEXT) AS e
     FROM passkeys_users WHERE app_id IN ($1, $2)",
    "SELECT app_id AS a, id AS b, user_id AS c, '' AS d, '' AS e
     FROM passkeys_devices WHERE app_id IN ($1, $2)",
    "SELECT app_id AS a, id AS b,
            CASE WHEN completed_at_ms IS NULL THEN '' ELSE 'completed' END AS c, '' AS d, '' AS e
     FROM passkeys_transactions WHERE app_id IN ($1, $2)",
    "SELECT app_id AS a, user_id AS b, device_id AS c, transaction_id AS d, '' AS e
     FROM passkeys_events WHERE app_id IN ($1, $2)",
];

/// The number of what is picked, counted from the newest.
fn picked<T>(all: &[T], pick: usize) -> Option<usize> {
    (!all.is_empty()).then(|| all.len() - 1 - pick % all.len())
}

fn goes(at: At, app: usize, ceremony: Ceremony) -> (usize, Ceremony) {
    match at {
        At::Home => (app, ceremony),
        At::OtherApp => (1 - app, ceremony),
        At::OtherCeremony => (app, ceremony.other()),
    }
}

/// Whether the answer is the good one, which must be as the model says; a bad one
/// is always the caller's fault.
fn expect(answer: &Answer, good: u16, may: bool) -> Checked<bool> {
    let status = answer.status.as_u16();
    prop_assert_eq!(status == good, may, "{}: {:?}", status, &answer.body);
    prop_assert!(
        may || (400..500).contains(&status),
        "{}: {:?}",
        status,
        &answer.body
    );
    Ok(may)
}

fn fault(fault: Fault) -> TestCaseError {
    TestCaseError::fail(fault.to_string())
}
