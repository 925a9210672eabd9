//! Import: users and credentials from files into an app (passkey-flex section g).
//! `users` and `credentials` read the files (by `lines`, or by `rows` of CSV, and
//! `fields` and `keys` in them), `known` decides what a record means beside what is
//! stored already, `store` reads and writes that; here it comes together and is
//! counted.
//!
//! An import may be run again, whole, after it was stopped anywhere: what is
//! there already stays as it is. Records go in batches, each one transaction, so
//! that a server beside the import is held up for moments only.

mod credentials;
mod fields;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzzing;
mod keys;
mod known;
mod lines;
mod rows;
mod store;
mod users;

use std::{
    collections::HashMap,
    io::{self, BufRead},
    sync::Arc,
};

use platform::{Fault, values};
use serde::Serialize;

use self::{
    credentials::CredentialRecord,
    keys::Encoding,
    known::{Additions, Known, Outcome},
    lines::{Entries, Entry},
    users::UserRecord,
};
use crate::{App, AppId, DeviceId, Passkeys, UserId, UserStatus};

pub(crate) use self::store::delete_keyless_of_user;
pub use self::users::UserColumns;

/// What to import, and how.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Only tell what would happen.
    pub dry_run: bool,
    /// The RP ID that the credentials were made under; refused when it is not the app's.
    pub rp_id: Option<String>,
    /// Credential ids and user handles are written in hexadecimal digits.
    pub hex: bool,
    /// Keep credentials without a public key, which nobody can sign in with.
    pub keep_unusable: bool,
    /// The columns of a CSV file of users.
    pub columns: UserColumns,
}

/// The files of an import.
#[derive(Default)]
pub struct ImportFiles<'a> {
    /// CSV, JSON or JSON Lines; see docs/migrating-from-passage.md.
    pub users: Option<Box<dyn BufRead + 'a>>,
    /// JSON Lines.
    pub credentials: Option<Box<dyn BufRead + 'a>>,
}

/// What an import did, or what a dry run found that it would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Users, also those that a credential brought along.
    pub users: ImportTally,
    /// Credentials.
    pub credentials: ImportTally,
    /// How many of the added credentials have no key and cannot be used.
    pub unusable: u64,
    /// The files that had no records.
    pub empty: Vec<ImportFile>,
    /// Every record that was skipped or failed, in the order of the files.
    pub issues: Vec<ImportIssue>,
}

/// What became of the records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImportTally {
    /// New.
    pub added: u64,
    /// There already.
    pub unchanged: u64,
    /// Left out for a reason that is no mistake.
    pub skipped: u64,
    /// Left out because of a mistake or a contradiction.
    pub failed: u64,
}

/// A record that was not imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportIssue {
    /// Which file.
    pub file: ImportFile,
    /// Where the record begins, from 1.
    pub line: u64,
    /// Whether it is a mistake.
    pub failed: bool,
    /// Why.
    pub reason: String,
}

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportFile {
    /// That of the users.
    Users,
    /// That of the credentials.
    Credentials,
}

/// Why an import stopped. What it stored before stays; run it again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The credentials belong to another relying party.
    #[error(
        "the app's RP ID is {app}, not {given}; a passkey works only under the RP ID it was made with"
    )]
    OtherRpId {
        /// The app's.
        app: String,
        /// What was given.
        given: String,
    },
    /// A file cannot be read, or nothing in it.
    #[error("the file of the {} cannot be read: {error}", file.as_str())]
    Unreadable {
        /// Which.
        file: ImportFile,
        /// Why.
        error: io::Error,
    },
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ImportReport {
    /// How many records failed.
    pub fn failed(&self) -> u64 {
        self.users.failed + self.credentials.failed
    }

    fn tally(&mut self, file: ImportFile) -> &mut ImportTally {
        match file {
            ImportFile::Users => &mut self.users,
            ImportFile::Credentials => &mut self.credentials,
        }
    }
}

impl ImportFile {
    /// `users` or `credentials`.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportFile::Users => "users",
            ImportFile::Credentials => "credentials",
        }
    }
}

impl Passkeys {
    /// Imports files into an app, the users before the credentials. Records that
    /// cannot be imported are reported and do not stop the others.
    pub async fn import(
        &self,
        app: &App,
        files: ImportFiles<'_>,
        options: &ImportOptions,
    ) -> Result<ImportReport, ImportError> {
        if let Some(given) = options.rp_id.as_ref().filter(|given| **given != app.rp_id) {
            return Err(ImportError::OtherRpId {
                app: app.rp_id.clone(),
                given: given.clone(),
            });
        }
        let mut run = Run {
            passkeys: self,
            app: Arc::new(app.clone()),
            keep_unusable: options.keep_unusable,
            now_ms: self.platform.clock.now_ms(),
            preview: options.dry_run.then(Known::default),
            other_ids: HashMap::new(),
            report: ImportReport::default(),
        };
        if let Some(input) = files.users {
            let entries =
                users::read(input, &options.columns).map_err(unreadable(ImportFile::Users))?;
            run.import_file(ImportFile::Users, entries, |run, record| {
                Ok(Record::User(run.new_user(record)))
            })
            .await?;
        }
        if let Some(input) = files.credentials {
            let encoding = if options.hex {
                Encoding::Hex
            } else {
                Encoding::Base64
            };
            let entries =
                credentials::read(input, encoding).map_err(unreadable(ImportFile::Credentials))?;
            run.import_file(ImportFile::Credentials, entries, |run, record| {
                run.check(&record)?;
                Ok(Record::Credential(Box::new(run.new_credential(record))))
            })
            .await?;
        }
        let mut report = run.report;
        report.issues.sort_by_key(|issue| (issue.file, issue.line));
        Ok(report)
    }

    /// How many credentials of an app are kept without a key.
    pub async fn count_unusable_credentials(&self, app_id: &AppId) -> Result<i64, Fault> {
        let app_id = app_id.clone();
        self.platform
            .db
            .read(async move |tx| {
                tx.row(
                    "SELECT COUNT(*) AS total FROM passkeys_keyless_devices WHERE app_id = $1",
                    values![&app_id],
                )
                .await?
                .ok_or_else(|| Fault::new("a count has no row"))?
                .get("total")
            })
            .await
    }
}

fn unreadable(file: ImportFile) -> impl Fn(io::Error) -> ImportError {
    move |error| ImportError::Unreadable { file, error }
}

/// One import on its way.
struct Run<'a> {
    passkeys: &'a Passkeys,
    app: Arc<App>,
    keep_unusable: bool,
    now_ms: i64,
    /// What a dry run would have stored so far; nothing: it is no dry run.
    preview: Option<Known>,
    /// Users whose external id was there already under another id: theirs, and the one there.
    other_ids: HashMap<UserId, UserId>,
    report: ImportReport,
}

impl Run<'_> {
    /// Reads a file to its end. `record_of` makes of what was read what is to be
    /// stored, or says whether it is a mistake and the reason to leave it out.
    async fn import_file<R>(
        &mut self,
        file: ImportFile,
        entries: Entries<'_, R>,
        record_of: impl Fn(&Self, R) -> Result<Record, (bool, String)>,
    ) -> Result<(), ImportError> {
        let (mut batch, mut batches) = (Vec::with_capacity(BATCH), 0_u32);
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            self.report.empty.push(file);
        }
        for entry in entries {
            let Entry { line, record } = entry.map_err(unreadable(file))?;
            match record
                .map_err(|reason| (true, reason))
                .and_then(|record| record_of(self, record))
            {
                Ok(record) => batch.push((line, record)),
                Err((failed, reason)) => self.issue(file, line, failed, reason),
            }
            if batch.len() == BATCH {
                self.settle(file, &mut batch).await?;
                batches += 1;
                // Each time the tables are twice as large.
                if batches.is_power_of_two() && self.preview.is_none() {
                    store::analyze(&self.passkeys.platform.db).await?;
                }
            }
        }
        Ok(self.settle(file, &mut batch).await?)
    }

    async fn settle(
        &mut self,
        file: ImportFile,
        batch: &mut Vec<(u64, Record)>,
    ) -> Result<(), Fault> {
        if batch.is_empty() {
            return Ok(());
        }
        let (lines, records): (Vec<u64>, Vec<Record>) = batch.drain(..).unzip();
        let records = Arc::new(records);
        let outcomes = match self.preview.take() {
            None => self.store(&records).await?,
            Some(known) => self.look(&records, known).await?,
        };
        for ((line, record), outcome) in lines.into_iter().zip(&*records).zip(outcomes) {
            self.count(file, line, record, outcome);
        }
        Ok(())
    }

    async fn store(&self, records: &Arc<Vec<Record>>) -> Result<Vec<Outcome>, Fault> {
        for _ in 0..TRIES_MAX {
            let (app, records) = (Arc::clone(&self.app), Arc::clone(records));
            let stored = self
                .passkeys
                .platform
                .db
                .write(async move |tx| {
                    let mut known = Known::default();
                    store::load(tx, &app.id, &records, &mut known).await?;
                    let mut additions = Additions::default();
                    let outcomes = judge(&mut known, &records, &mut additions);
                    store::save(tx, &app, &additions).await?;
                    Ok(outcomes)
                })
                .await;
            match stored {
                Ok(outcomes) => return Ok(outcomes),
                Err(Interrupted::Overtaken) => {}
                Err(Interrupted::Fault(fault)) => return Err(fault),
            }
        }
        Err(Fault::new(
            "the app changed under the import; run the import again",
        ))
    }

    /// What [`Run::store`] would do, after all that it would have done before.
    async fn look(
        &mut self,
        records: &Arc<Vec<Record>>,
        mut known: Known,
    ) -> Result<Vec<Outcome>, Fault> {
        let (app, records) = (Arc::clone(&self.app), Arc::clone(records));
        let (outcomes, known) = self
            .passkeys
            .platform
            .db
            .read(async move |tx| {
                store::load(tx, &app.id, &records, &mut known).await?;
                let outcomes = judge(&mut known, &records, &mut Additions::default());
                Ok::<_, Fault>((outcomes, known))
            })
            .await?;
        self.preview = Some(known);
        Ok(outcomes)
    }

    fn count(&mut self, file: ImportFile, line: u64, record: &Record, outcome: Outcome) {
        match (outcome, record) {
            (Outcome::Added { .. }, Record::User(_)) => self.report.users.added += 1,
            (Outcome::Added { user_added }, Record::Credential(new)) => {
                self.report.credentials.added += 1;
                self.report.users.added += u64::from(user_added);
                self.report.unusable += u64::from(new.record.public_key.is_none());
            }
            (Outcome::Unchanged, _) => self.report.tally(file).unchanged += 1,
            (Outcome::UnderOtherId(id), record) => {
                let reason =
                    format!("the external id is there already, under the id {id}, which stays");
                if let Record::User(new) = record {
                    self.other_ids.insert(new.id.clone(), id);
                }
                self.issue(file, line, false, reason);
            }
            (Outcome::Refused(reason), _) => self.issue(file, line, true, reason.into()),
        }
    }

    /// What speaks against a credential before anything stored is looked at:
    /// whether that is a mistake, and the reason.
    fn check(&self, record: &CredentialRecord) -> Result<(), (bool, String)> {
        if let Some(rp_id) = record.rp_id.as_ref().filter(|id| **id != self.app.rp_id) {
            return Err((
                true,
                format!("the RP ID is {rp_id} and not the app's, {}", self.app.rp_id),
            ));
        }
        if record.public_key.is_none() && !self.keep_unusable {
            let reason = "there is no public key, so nobody can sign in with it";
            return Err((false, reason.into()));
        }
        Ok(())
    }

    fn issue(&mut self, file: ImportFile, line: u64, failed: bool, reason: String) {
        let tally = self.report.tally(file);
        if failed {
            tally.failed += 1;
        } else {
            tally.skipped += 1;
        }
        self.report.issues.push(ImportIssue {
            file,
            line,
            failed,
            reason,
        });
    }

    fn new_user(&self, record: UserRecord) -> NewUser {
        let times = self.times(
            record.created_at_ms,
            record.updated_at_ms,
            record.last_login_at_ms,
        );
        NewUser {
            is_id_given: record.id.is_some(),
            id: record
                .id
                .unwrap_or_else(|| UserId::random_at(&self.passkeys.platform.entropy, self.now_ms)),
            external_id: record.external_id,
            status: record.status.unwrap_or(UserStatus::Pending),
            login_count: record.login_count,
            times,
        }
    }

    /// The times of a record. One to come would hide the record from the lists,
    /// which end now, until then; it counts as now.
    fn times(
        &self,
        created_at_ms: Option<i64>,
        updated_at_ms: Option<i64>,
        last_login_at_ms: Option<i64>,
    ) -> Times {
        let past = |time_ms: i64| time_ms.min(self.now_ms);
        let created_at_ms = past(created_at_ms.unwrap_or(self.now_ms));
        let last_login_at_ms = past(last_login_at_ms.unwrap_or(created_at_ms));
        Times {
            created_at_ms,
            updated_at_ms: past(updated_at_ms.unwrap_or(last_login_at_ms)).max(created_at_ms),
            last_login_at_ms,
        }
    }

    fn new_credential(&self, mut record: CredentialRecord) -> NewCredential {
        let entropy = &self.passkeys.platform.entropy;
        if let Some(id) = record
            .user_id
            .as_ref()
            .and_then(|id| self.other_ids.get(id))
        {
            record.user_id = Some(id.clone());
        }
        let times = self.times(
            record.created_at_ms,
            record.updated_at_ms,
            record.last_login_at_ms,
        );
        NewCredential {
            device_id: record
                .device_id
                .take()
                .unwrap_or_else(|| DeviceId::random_at(entropy, self.now_ms)),
            new_user: record.external_id.clone().map(|external_id| NewUser {
                is_id_given: record.user_id.is_some(),
                id: record
                    .user_id
                    .clone()
                    .unwrap_or_else(|| UserId::random_at(entropy, self.now_ms)),
                external_id,
                status: UserStatus::Pending,
                login_count: 0,
                times: self.times(Some(times.created_at_ms), None, None),
            }),
            times,
            record,
        }
    }
}

/// A user to be stored, complete.
#[derive(Clone, Debug)]
struct NewUser {
    id: UserId,
    /// Whether the file gave the id; otherwise any id will do.
    is_id_given: bool,
    external_id: String,
    status: UserStatus,
    login_count: i64,
    times: Times,
}

/// A credential to be stored, complete.
#[derive(Clone, Debug)]
struct NewCredential {
    device_id: DeviceId,
    /// Its user, to be made when there is none of this external id.
    new_user: Option<NewUser>,
    times: Times,
    record: CredentialRecord,
}

/// When what is to be stored was made and used, none of it to come.
#[derive(Clone, Copy, Debug)]
struct Times {
    created_at_ms: i64,
    /// Not before it was made.
    updated_at_ms: i64,
    last_login_at_ms: i64,
}

/// What a file gave, to be stored.
#[derive(Clone, Debug)]
enum Record {
    User(NewUser),
    Credential(Box<NewCredential>),
}

/// The outcomes of a batch, record by record.
fn judge<'r>(
    known: &mut Known,
    records: &'r [Record],
    additions: &mut Additions<'r>,
) -> Vec<Outcome> {
    records
        .iter()
        .map(|record| known.judge(record, additions))
        .collect()
}

/// Why a batch is not stored.
enum Interrupted {
    /// Somebody else changed what was read before it could be written: look again.
    Overtaken,
    Fault(Fault),
}

impl From<Fault> for Interrupted {
    fn from(fault: Fault) -> Interrupted {
        Interrupted::Fault(fault)
    }
}

/// How many records one transaction stores: enough to share a commit, few enough
/// that a server beside the import waits for milliseconds.
const BATCH: usize = 500;

/// How often a batch is looked at again that somebody else was at the same moment.
const TRIES_MAX: u32 = 3;
