//! Import: users and credentials from files into an app (passkey-flex section g).
//! The files are read by `import/…`; here it is decided what a record means for
//! what is stored already, and stored.
//!
//! An import may be run again, whole, after it was stopped anywhere: what is
//! there already stays as it is. Records go in batches, each one transaction, so
//! that a server beside the import is held up for moments only.

mod credentials;
mod fields;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzzing;
mod keys;
mod lines;
mod users;

use std::{
    collections::HashMap,
    io::{self, BufRead},
    sync::Arc,
};

use platform::{Fault, Tx, values};
use serde::Serialize;
use serde_json::Value;

use self::{
    credentials::CredentialRecord,
    keys::Encoding,
    lines::{Entries, Entry},
    users::UserRecord,
};
use crate::{App, AppId, DeviceId, Passkeys, UserId, UserStatus, stored};

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
            preview: options.dry_run.then(Preview::default),
            other_ids: HashMap::new(),
            report: ImportReport::default(),
        };
        if let Some(file) = files.users {
            let entries = users::read(file, &options.columns).map_err(unreadable_users)?;
            run.import_users(entries).await?;
        }
        if let Some(file) = files.credentials {
            let encoding = if options.hex {
                Encoding::Hex
            } else {
                Encoding::Base64
            };
            let entries = credentials::read(file, encoding).map_err(unreadable_credentials)?;
            run.import_credentials(entries).await?;
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

fn unreadable_users(error: io::Error) -> ImportError {
    ImportError::Unreadable {
        file: ImportFile::Users,
        error,
    }
}

fn unreadable_credentials(error: io::Error) -> ImportError {
    ImportError::Unreadable {
        file: ImportFile::Credentials,
        error,
    }
}

/// One import on its way.
struct Run<'a> {
    passkeys: &'a Passkeys,
    app: Arc<App>,
    keep_unusable: bool,
    now_ms: i64,
    /// What a dry run would have stored so far; nothing: it is no dry run.
    preview: Option<Preview>,
    /// Users whose external id was there already under another id: theirs, and the one there.
    other_ids: HashMap<UserId, UserId>,
    report: ImportReport,
}

impl Run<'_> {
    async fn import_users(&mut self, entries: Entries<'_, UserRecord>) -> Result<(), ImportError> {
        let mut batch = Vec::new();
        for entry in entries {
            let Entry { line, record } = entry.map_err(unreadable_users)?;
            match record {
                Ok(record) => batch.push((line, self.new_user(record))),
                Err(reason) => self.issue(ImportFile::Users, line, true, reason),
            }
            if batch.len() == BATCH {
                self.settle_users(&mut batch).await?;
            }
        }
        Ok(self.settle_users(&mut batch).await?)
    }

    async fn settle_users(&mut self, batch: &mut Vec<(u64, NewUser)>) -> Result<(), Fault> {
        let (lines, users): (Vec<u64>, Vec<NewUser>) = batch.drain(..).unzip();
        let users = Arc::new(users);
        let (app, new) = (Arc::clone(&self.app), Arc::clone(&users));
        let db = &self.passkeys.platform.db;
        let outcomes: Vec<UserOutcome> = match self.preview.take() {
            None => {
                db.write(async move |tx| {
                    let mut outcomes = Vec::with_capacity(new.len());
                    for user in &*new {
                        outcomes.push(store_user(tx, &app.id, user).await?);
                    }
                    Ok::<_, Fault>(outcomes)
                })
                .await?
            }
            Some(mut preview) => {
                let (outcomes, preview) = db
                    .read(async move |tx| {
                        let mut outcomes = Vec::with_capacity(new.len());
                        for user in &*new {
                            outcomes.push(preview.add_user(tx, &app.id, user).await?);
                        }
                        Ok::<_, Fault>((outcomes, preview))
                    })
                    .await?;
                self.preview = Some(preview);
                outcomes
            }
        };
        for ((line, user), outcome) in lines.into_iter().zip(&*users).zip(outcomes) {
            match outcome {
                UserOutcome::Added => self.report.users.added += 1,
                UserOutcome::Unchanged => self.report.users.unchanged += 1,
                UserOutcome::UnderOtherId(id) => {
                    let reason =
                        format!("the external id is there already, under the id {id}, which stays");
                    self.other_ids.insert(user.id.clone(), id);
                    self.issue(ImportFile::Users, line, false, reason);
                }
                UserOutcome::IdTaken => {
                    let reason = "the id is already that of a user with another external id";
                    self.issue(ImportFile::Users, line, true, reason.into());
                }
            }
        }
        Ok(())
    }

    async fn import_credentials(
        &mut self,
        entries: Entries<'_, CredentialRecord>,
    ) -> Result<(), ImportError> {
        let mut batch = Vec::new();
        for entry in entries {
            let Entry { line, record } = entry.map_err(unreadable_credentials)?;
            match record.map_err(|reason| (true, reason)).and_then(|record| {
                self.check(&record)?;
                Ok(record)
            }) {
                Ok(record) => batch.push((line, self.new_credential(record))),
                Err((failed, reason)) => {
                    self.issue(ImportFile::Credentials, line, failed, reason);
                }
            }
            if batch.len() == BATCH {
                self.settle_credentials(&mut batch).await?;
            }
        }
        Ok(self.settle_credentials(&mut batch).await?)
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

    async fn settle_credentials(
        &mut self,
        batch: &mut Vec<(u64, NewCredential)>,
    ) -> Result<(), Fault> {
        let (lines, credentials): (Vec<u64>, Vec<NewCredential>) = batch.drain(..).unzip();
        let credentials = Arc::new(credentials);
        let (app, new) = (Arc::clone(&self.app), Arc::clone(&credentials));
        let db = &self.passkeys.platform.db;
        let outcomes: Vec<CredentialOutcome> = match self.preview.take() {
            None => {
                db.write(async move |tx| {
                    let mut outcomes = Vec::with_capacity(new.len());
                    for credential in &*new {
                        outcomes.push(store_credential(tx, &app, credential).await?);
                    }
                    Ok::<_, Fault>(outcomes)
                })
                .await?
            }
            Some(mut preview) => {
                let (outcomes, preview) = db
                    .read(async move |tx| {
                        let mut outcomes = Vec::with_capacity(new.len());
                        for credential in &*new {
                            outcomes.push(preview.add_credential(tx, &app.id, credential).await?);
                        }
                        Ok::<_, Fault>((outcomes, preview))
                    })
                    .await?;
                self.preview = Some(preview);
                outcomes
            }
        };
        for ((line, new), outcome) in lines.into_iter().zip(&*credentials).zip(outcomes) {
            match outcome {
                Ok(Placed { user_added }) => {
                    self.report.credentials.added += 1;
                    self.report.users.added += u64::from(user_added);
                    self.report.unusable += u64::from(new.record.public_key.is_none());
                }
                Err(Objection::ThereAlready) => self.report.credentials.unchanged += 1,
                Err(Objection::Contradiction(reason)) => {
                    self.issue(ImportFile::Credentials, line, true, reason.into());
                }
            }
        }
        Ok(())
    }

    fn issue(&mut self, file: ImportFile, line: u64, failed: bool, reason: String) {
        let tally = match file {
            ImportFile::Users => &mut self.report.users,
            ImportFile::Credentials => &mut self.report.credentials,
        };
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
        let created_at_ms = record.created_at_ms.unwrap_or(self.now_ms);
        let last_login_at_ms = record.last_login_at_ms.unwrap_or(created_at_ms);
        NewUser {
            is_id_given: record.id.is_some(),
            id: record
                .id
                .unwrap_or_else(|| UserId::random(&self.passkeys.platform.entropy)),
            external_id: record.external_id,
            status: record.status.unwrap_or(UserStatus::Pending),
            login_count: record.login_count,
            created_at_ms,
            updated_at_ms: record.updated_at_ms.unwrap_or(last_login_at_ms),
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
        let created_at_ms = record.created_at_ms.unwrap_or(self.now_ms);
        let last_login_at_ms = record.last_login_at_ms.unwrap_or(created_at_ms);
        NewCredential {
            device_id: record
                .device_id
                .take()
                .unwrap_or_else(|| DeviceId::random(entropy)),
            new_user: record.external_id.clone().map(|external_id| NewUser {
                is_id_given: record.user_id.is_some(),
                id: record
                    .user_id
                    .clone()
                    .unwrap_or_else(|| UserId::random(entropy)),
                external_id,
                status: UserStatus::Pending,
                login_count: 0,
                created_at_ms,
                updated_at_ms: created_at_ms,
                last_login_at_ms: created_at_ms,
            }),
            created_at_ms,
            updated_at_ms: record.updated_at_ms.unwrap_or(last_login_at_ms),
            last_login_at_ms,
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
    created_at_ms: i64,
    updated_at_ms: i64,
    last_login_at_ms: i64,
}

/// A credential to be stored, complete.
#[derive(Clone, Debug)]
struct NewCredential {
    device_id: DeviceId,
    /// Its user, to be made when there is none of this external id.
    new_user: Option<NewUser>,
    created_at_ms: i64,
    updated_at_ms: i64,
    last_login_at_ms: i64,
    record: CredentialRecord,
}

/// A user that is there.
#[derive(Clone, Debug)]
struct KnownUser {
    id: UserId,
    external_id: String,
}

/// A credential that is there.
#[derive(Clone, Debug)]
struct KnownCredential {
    device_id: DeviceId,
    credential_id: Vec<u8>,
    user_id: UserId,
    /// COSE_Key; nothing: kept without one.
    public_key: Option<Vec<u8>>,
}

/// What becomes of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UserOutcome {
    Added,
    Unchanged,
    UnderOtherId(UserId),
    IdTaken,
}

/// What becomes of a credential.
type CredentialOutcome = Result<Placed, Objection>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    user_added: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Objection {
    ThereAlready,
    Contradiction(&'static str),
}

/// What a user means beside those that have its id or its external id.
fn judge_user(new: &NewUser, known: &[KnownUser]) -> UserOutcome {
    let same_person = known
        .iter()
        .find(|known| known.external_id == new.external_id);
    match same_person {
        Some(known) if known.id == new.id || !new.is_id_given => UserOutcome::Unchanged,
        Some(known) => UserOutcome::UnderOtherId(known.id.clone()),
        None if known.iter().any(|known| known.id == new.id) => UserOutcome::IdTaken,
        None => UserOutcome::Added,
    }
}

/// Whose a credential is, among the users that have its external id or its user
/// id; nothing when its user has to be made. The external id decides: it is the
/// customer's own word.
fn judge_owner(new: &NewCredential, known: &[KnownUser]) -> Result<Option<UserId>, Objection> {
    let Some(user) = &new.new_user else {
        return known
            .iter()
            .find(|known| Some(&known.id) == new.record.user_id.as_ref())
            .map(|known| Some(known.id.clone()))
            .ok_or(Objection::Contradiction("there is no user of this user_id"));
    };
    match judge_user(user, known) {
        UserOutcome::Added => Ok(None),
        UserOutcome::IdTaken => Err(Objection::Contradiction(
            "user_id is that of a user with another external id",
        )),
        UserOutcome::UnderOtherId(id) => Ok(Some(id)),
        UserOutcome::Unchanged => Ok(known
            .iter()
            .find(|known| known.external_id == user.external_id)
            .map(|known| known.id.clone())),
    }
}

/// Whether a credential of `owner` (nobody: of a new user) can be stored beside
/// those that have its credential id or device id.
fn judge_credential(
    new: &NewCredential,
    owner: Option<&UserId>,
    known: &[KnownCredential],
) -> Result<(), Objection> {
    let Some(same) = known
        .iter()
        .find(|known| known.credential_id == new.record.credential_id)
    else {
        return if known.iter().any(|known| known.device_id == new.device_id) {
            Err(Objection::Contradiction(
                "device_id is already that of another credential",
            ))
        } else {
            Ok(())
        };
    };
    if Some(&same.user_id) != owner {
        return Err(Objection::Contradiction(
            "the credential is already that of another user",
        ));
    }
    match (&same.public_key, &new.record.public_key) {
        // Its key was found meanwhile.
        (None, Some(_)) => Ok(()),
        (_, None) => Err(Objection::ThereAlready),
        (Some(known), Some(new)) if *known == new.cose => Err(Objection::ThereAlready),
        (Some(_), Some(_)) => Err(Objection::Contradiction(
            "the credential is already there with another public key",
        )),
    }
}

async fn store_user(tx: &mut Tx, app_id: &AppId, new: &NewUser) -> Result<UserOutcome, Fault> {
    for _ in 0..TRIES_MAX {
        let known = find_users(tx, app_id, Some(&new.external_id), Some(&new.id)).await?;
        let outcome = judge_user(new, &known);
        if outcome != UserOutcome::Added || insert_user(tx, app_id, new).await? {
            return Ok(outcome);
        }
    }
    Err(overtaken())
}

async fn store_credential(
    tx: &mut Tx,
    app: &App,
    new: &NewCredential,
) -> Result<CredentialOutcome, Fault> {
    let record = &new.record;
    for _ in 0..TRIES_MAX {
        let users = find_users(
            tx,
            &app.id,
            record.external_id.as_deref(),
            record.user_id.as_ref(),
        )
        .await?;
        let owner = match judge_owner(new, &users) {
            Ok(owner) => owner,
            Err(objection) => return Ok(Err(objection)),
        };
        let credentials = find_credentials(tx, &app.id, new).await?;
        if let Err(objection) = judge_credential(new, owner.as_ref(), &credentials) {
            return Ok(Err(objection));
        }
        let user_added = owner.is_none();
        let owner = match (owner, &new.new_user) {
            (Some(owner), _) => owner,
            (None, Some(user)) if insert_user(tx, &app.id, user).await? => user.id.clone(),
            _ => continue,
        };
        let inserted = match &record.public_key {
            Some(_) => insert_device(tx, app, &owner, new).await?,
            None => insert_keyless(tx, app, &owner, new).await?,
        };
        if inserted && hold_user(tx, &app.id, &owner, record.public_key.is_some()).await? {
            return Ok(Ok(Placed { user_added }));
        }
        // Part of it may be written, so nothing of the batch may stay.
        return Err(overtaken());
    }
    Err(overtaken())
}

fn overtaken() -> Fault {
    Fault::new("the app changed under the import; run the import again")
}

/// The users that have one of the two ids.
async fn find_users(
    tx: &mut Tx,
    app_id: &AppId,
    external_id: Option<&str>,
    id: Option<&UserId>,
) -> Result<Vec<KnownUser>, Fault> {
    // No id is an empty text.
    tx.rows(
        "SELECT id, external_id FROM passkeys_users
         WHERE app_id = $1 AND (external_id = $2 OR id = $3)",
        values![
            app_id,
            external_id.unwrap_or_default(),
            id.map_or("", UserId::as_str),
        ],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(KnownUser {
            id: row.get("id")?,
            external_id: row.get("external_id")?,
        })
    })
    .collect()
}

/// The credentials that have the new one's credential id or device id.
async fn find_credentials(
    tx: &mut Tx,
    app_id: &AppId,
    new: &NewCredential,
) -> Result<Vec<KnownCredential>, Fault> {
    let credential_id = &new.record.credential_id;
    let mut known: Vec<KnownCredential> = tx
        .rows(
            "SELECT id, credential_id, user_id, public_key FROM passkeys_devices
             WHERE app_id = $1 AND (credential_id = $2 OR id = $3)",
            values![app_id, credential_id, &new.device_id],
        )
        .await?
        .iter()
        .map(|row| {
            Ok(KnownCredential {
                device_id: row.get("id")?,
                credential_id: row.get("credential_id")?,
                user_id: row.get("user_id")?,
                public_key: Some(row.get("public_key")?),
            })
        })
        .collect::<Result<_, Fault>>()?;
    let keyless = tx
        .row(
            "SELECT user_id FROM passkeys_keyless_devices
             WHERE app_id = $1 AND credential_id = $2",
            values![app_id, credential_id],
        )
        .await?;
    if let Some(row) = keyless {
        known.push(KnownCredential {
            device_id: new.device_id.clone(),
            credential_id: credential_id.clone(),
            user_id: row.get("user_id")?,
            public_key: None,
        });
    }
    Ok(known)
}

/// False when another took one of its ids at this moment.
async fn insert_user(tx: &mut Tx, app_id: &AppId, new: &NewUser) -> Result<bool, Fault> {
    let inserted = tx
        .execute(
            "INSERT INTO passkeys_users (
                app_id, id, external_id, status, login_count, created_at_ms, updated_at_ms,
                last_login_at_ms
             ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT DO NOTHING",
            values![
                app_id,
                &new.id,
                &new.external_id,
                stored::word(new.status),
                new.login_count,
                new.created_at_ms,
                new.updated_at_ms,
                new.last_login_at_ms,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

async fn insert_device(
    tx: &mut Tx,
    app: &App,
    owner: &UserId,
    new: &NewCredential,
) -> Result<bool, Fault> {
    let record = &new.record;
    let Some(key) = &record.public_key else {
        return Ok(false);
    };
    tx.execute(
        "DELETE FROM passkeys_keyless_devices WHERE app_id = $1 AND credential_id = $2",
        values![&app.id, &record.credential_id],
    )
    .await?;
    let inserted = tx
        .execute(
            "INSERT INTO passkeys_devices (
                app_id, id, user_id, rp_id, credential_id, public_key, algorithm, sign_count,
                aaguid, transports, backup_eligible, backed_up, requires_user_verification,
                attachment, user_agent, usage_count, created_at_ms, updated_at_ms,
                last_login_at_ms, imported
             ) VALUES (
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20
             )
             ON CONFLICT DO NOTHING",
            values![
                &app.id,
                &new.device_id,
                owner,
                &app.rp_id,
                &record.credential_id,
                &key.cose,
                key.algorithm.cose_id(),
                record.sign_count,
                &record.aaguid[..],
                stored::json(&record.transports),
                record.backup_eligible,
                record.backed_up,
                record.requires_user_verification,
                record.attachment.map(stored::word),
                &record.user_agent,
                record.usage_count,
                new.created_at_ms,
                new.updated_at_ms,
                new.last_login_at_ms,
                stored::json(&record.imported),
            ],
        )
        .await?;
    Ok(inserted == 1)
}

async fn insert_keyless(
    tx: &mut Tx,
    app: &App,
    owner: &UserId,
    new: &NewCredential,
) -> Result<bool, Fault> {
    let record = &new.record;
    let inserted = tx
        .execute(
            "INSERT INTO passkeys_keyless_devices (
                app_id, credential_id, user_id, rp_id, facts, created_at_ms
             ) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
            values![
                &app.id,
                &record.credential_id,
                owner,
                &app.rp_id,
                Value::Object(record.facts.clone()).to_string(),
                new.created_at_ms,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Makes a waiting user active who got a credential that can be used. False when
/// the user was deleted meanwhile: it holds the row, so that a credential never
/// outlives its user.
async fn hold_user(
    tx: &mut Tx,
    app_id: &AppId,
    id: &UserId,
    has_passkey: bool,
) -> Result<bool, Fault> {
    let held = tx
        .execute(
            "UPDATE passkeys_users
             SET status = CASE WHEN status = 'pending' AND CAST($3 AS BIGINT) = 1
                          THEN 'active' ELSE status END
             WHERE app_id = $1 AND id = $2",
            values![app_id, id, has_passkey],
        )
        .await?;
    Ok(held == 1)
}

/// Forgets what is kept of a user's credentials without keys.
pub(crate) async fn delete_keyless_of_user(
    tx: &mut Tx,
    app_id: &AppId,
    user_id: &UserId,
) -> Result<u64, Fault> {
    tx.execute(
        "DELETE FROM passkeys_keyless_devices WHERE app_id = $1 AND user_id = $2",
        values![app_id, user_id],
    )
    .await
}

/// What a dry run would have stored.
#[derive(Debug, Default)]
struct Preview {
    ids: HashMap<String, UserId>,
    external_ids: HashMap<UserId, String>,
    credentials: HashMap<Vec<u8>, KnownCredential>,
    devices: HashMap<DeviceId, Vec<u8>>,
}

impl Preview {
    async fn add_user(
        &mut self,
        tx: &mut Tx,
        app_id: &AppId,
        new: &NewUser,
    ) -> Result<UserOutcome, Fault> {
        let known = self
            .find_users(tx, app_id, Some(&new.external_id), Some(&new.id))
            .await?;
        let outcome = judge_user(new, &known);
        if outcome == UserOutcome::Added {
            self.insert_user(new);
        }
        Ok(outcome)
    }

    async fn add_credential(
        &mut self,
        tx: &mut Tx,
        app_id: &AppId,
        new: &NewCredential,
    ) -> Result<CredentialOutcome, Fault> {
        let record = &new.record;
        let users = self
            .find_users(
                tx,
                app_id,
                record.external_id.as_deref(),
                record.user_id.as_ref(),
            )
            .await?;
        let owner = match judge_owner(new, &users) {
            Ok(owner) => owner,
            Err(objection) => return Ok(Err(objection)),
        };
        // What the run itself would have stored comes first: it may replace what is there.
        let same_device = self.devices.get(&new.device_id);
        let mut credentials: Vec<KnownCredential> = [Some(&record.credential_id), same_device]
            .into_iter()
            .flatten()
            .filter_map(|credential_id| self.credentials.get(credential_id).cloned())
            .collect();
        credentials.extend(find_credentials(tx, app_id, new).await?);
        if let Err(objection) = judge_credential(new, owner.as_ref(), &credentials) {
            return Ok(Err(objection));
        }
        let user_added = owner.is_none();
        let owner = match (owner, &new.new_user) {
            (Some(owner), _) => owner,
            (None, Some(user)) => {
                self.insert_user(user);
                user.id.clone()
            }
            (None, None) => return Err(Fault::new("a credential has no user")),
        };
        self.devices
            .insert(new.device_id.clone(), record.credential_id.clone());
        self.credentials.insert(
            record.credential_id.clone(),
            KnownCredential {
                device_id: new.device_id.clone(),
                credential_id: record.credential_id.clone(),
                user_id: owner,
                public_key: record.public_key.as_ref().map(|key| key.cose.clone()),
            },
        );
        Ok(Ok(Placed { user_added }))
    }

    async fn find_users(
        &self,
        tx: &mut Tx,
        app_id: &AppId,
        external_id: Option<&str>,
        id: Option<&UserId>,
    ) -> Result<Vec<KnownUser>, Fault> {
        let mut known = find_users(tx, app_id, external_id, id).await?;
        let by_external_id = external_id.and_then(|external_id| {
            let id = self.ids.get(external_id)?;
            Some((id, external_id))
        });
        let by_id = id.and_then(|id| Some((id, self.external_ids.get(id)?.as_str())));
        for (id, external_id) in [by_external_id, by_id].into_iter().flatten() {
            known.push(KnownUser {
                id: id.clone(),
                external_id: external_id.to_owned(),
            });
        }
        Ok(known)
    }

    fn insert_user(&mut self, new: &NewUser) {
        self.ids.insert(new.external_id.clone(), new.id.clone());
        self.external_ids
            .insert(new.id.clone(), new.external_id.clone());
    }
}

/// How many records one transaction stores: enough to share a commit, few enough
/// that a server beside the import waits for milliseconds.
const BATCH: usize = 500;

/// How often a record is looked at again that somebody else stored at the same moment.
const TRIES_MAX: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn known_user(id: &str, external_id: &str) -> KnownUser {
        KnownUser {
            id: UserId::parse(id).unwrap(),
            external_id: external_id.into(),
        }
    }

    fn new_user(id: &str, is_id_given: bool) -> NewUser {
        NewUser {
            id: UserId::parse(id).unwrap(),
            is_id_given,
            external_id: "ann".into(),
            status: UserStatus::Pending,
            login_count: 0,
            created_at_ms: 0,
            updated_at_ms: 0,
            last_login_at_ms: 0,
        }
    }

    #[test]
    fn a_user_is_who_the_external_id_says() {
        let other = known_user("u2", "ann").id;
        for (is_id_given, known, outcome) in [
            (true, vec![], UserOutcome::Added),
            (true, vec![("u1", "ann")], UserOutcome::Unchanged),
            (
                true,
                vec![("u2", "ann")],
                UserOutcome::UnderOtherId(other.clone()),
            ),
            (true, vec![("u1", "bob")], UserOutcome::IdTaken),
            (
                true,
                vec![("u1", "bob"), ("u2", "ann")],
                UserOutcome::UnderOtherId(other),
            ),
            (false, vec![("u2", "ann")], UserOutcome::Unchanged),
            (false, vec![], UserOutcome::Added),
        ] {
            let known: Vec<KnownUser> = known
                .into_iter()
                .map(|(id, external_id)| known_user(id, external_id))
                .collect();
            assert_eq!(judge_user(&new_user("u1", is_id_given), &known), outcome);
        }
    }
}
