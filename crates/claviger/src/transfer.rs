//! Import and export at the terminal: files, the progress bar and the report.
//! What a record means is decided by the passkey product.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use passkeys::{
    ExportError, ImportError, ImportFile, ImportFiles, ImportOptions, ImportReport, ImportTally,
    Passkeys, UserColumns,
};
use serde_json::json;

use crate::{
    cli::{ExportArgs, ImportArgs},
    commands::{CommandError, answer, find_app},
};

pub(crate) async fn import(
    passkeys: &Passkeys,
    arguments: &ImportArgs,
) -> Result<(), CommandError> {
    let options = ImportOptions {
        dry_run: arguments.dry_run,
        rp_id: arguments.rp_id.clone(),
        hex: arguments.hex,
        keep_unusable: arguments.keep_unusable,
        columns: columns(&arguments.columns)?,
    };
    name_a_file(arguments.users.as_deref())?;
    name_a_file(arguments.credentials.as_deref())?;
    let app = find_app(passkeys, &arguments.app).await?;
    let bar = progress_bar();
    let files = ImportFiles {
        users: open(arguments.users.as_deref(), &bar)?,
        credentials: open(arguments.credentials.as_deref(), &bar)?,
    };
    let outcome = passkeys.import(&app, files, &options).await;
    bar.finish_and_clear();
    let report = outcome.map_err(|error| match error {
        ImportError::Fault(fault) => CommandError::Fault(fault),
        // It may repeat what the file says.
        error => CommandError::Refused(printable(&error.to_string())),
    })?;
    if arguments.json {
        println!(
            "{}",
            json!({
                "app_id": app.id,
                "rp_id": app.rp_id,
                "dry_run": arguments.dry_run,
                "users": report.users,
                "credentials": report.credentials,
                "unusable": report.unusable,
                "empty": report.empty,
                "issues": report.issues,
            })
        );
    } else {
        print_issues(&report, arguments);
        print_summary(&report, arguments, &app.rp_id);
    }
    match report.failed() {
        0 => Ok(()),
        1 => Err(CommandError::Refused("1 record failed".into())),
        failed => Err(CommandError::Refused(format!("{failed} records failed"))),
    }
}

pub(crate) async fn export(
    passkeys: &Passkeys,
    arguments: &ExportArgs,
) -> Result<(), CommandError> {
    name_a_file(arguments.users.as_deref())?;
    name_a_file(arguments.credentials.as_deref())?;
    if let (Some(users), Some(credentials)) = (&arguments.users, &arguments.credentials) {
        keep_apart(users, credentials)?;
    }
    let app = find_app(passkeys, &arguments.app).await?;
    let mut written = json!({"app_id": app.id, "rp_id": app.rp_id});
    if let Some(path) = &arguments.users {
        let mut output = Output::create(path)?;
        let count = passkeys.export_users(&app.id, &mut output.file).await;
        written["users"] = output.finish(count)?.into();
    }
    if let Some(path) = &arguments.credentials {
        let mut output = Output::create(path)?;
        let count = passkeys.export_credentials(&app.id, &mut output.file).await;
        written["credentials"] = output.finish(count)?.into();
    }
    answer(arguments.json, &written);
    Ok(())
}

/// A file that its owner alone can read, and that has its name only when it is whole.
struct Output {
    path: PathBuf,
    unfinished: PathBuf,
    file: BufWriter<File>,
}

impl Output {
    fn create(path: &Path) -> Result<Output, CommandError> {
        let unfinished = unfinished(path);
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(|error| failed_on(path, error))?;
        Ok(Output {
            path: path.to_owned(),
            unfinished,
            file: BufWriter::new(file),
        })
    }

    /// Gives the file its name if all of it was written; else takes it away.
    fn finish(mut self, written: Result<u64, ExportError>) -> Result<u64, CommandError> {
        let whole = written.map_err(|error| match error {
            ExportError::Fault(fault) => CommandError::Fault(fault),
            ExportError::Unwritable(error) => failed_on(&self.path, error),
        });
        let named = whole.and_then(|count| {
            self.file
                .flush()
                .and_then(|()| self.file.get_ref().sync_all())
                .and_then(|()| std::fs::rename(&self.unfinished, &self.path))
                .map_err(|error| failed_on(&self.path, error))?;
            Ok(count)
        });
        if named.is_err() {
            // The failure itself is what counts.
            let _ = std::fs::remove_file(&self.unfinished);
        }
        named
    }
}

/// The name that a file has until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(".unfinished");
    unfinished.into()
}

/// Refuses `-`, which elsewhere means the terminal and here would be a file's name.
fn name_a_file(path: Option<&Path>) -> Result<(), CommandError> {
    if path == Some(Path::new("-")) {
        let reason = "- is not taken for standard input or output; name a file";
        return Err(CommandError::Refused(reason.into()));
    }
    Ok(())
}

/// Refuses two files to write of which one would take the other's place.
fn keep_apart(users: &Path, credentials: &Path) -> Result<(), CommandError> {
    let (one, other) = (canonical(users)?, canonical(credentials)?);
    if one == other || unfinished(&one) == other || unfinished(&other) == one {
        return Err(CommandError::Refused(format!(
            "users and credentials would both be written to {}; name two files",
            credentials.display()
        )));
    }
    Ok(())
}

/// The one path of a file that need not be there yet.
fn canonical(path: &Path) -> Result<PathBuf, CommandError> {
    if let Ok(there) = path.canonicalize() {
        return Ok(there);
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize();
    let folder = folder.map_err(|error| failed_on(path, error))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

fn columns(named: &[String]) -> Result<UserColumns, CommandError> {
    let mut columns = UserColumns::default();
    for text in named {
        let is_known = text
            .split_once('=')
            .is_some_and(|(member, header)| columns.set(member.trim(), header));
        if !is_known {
            return Err(CommandError::Refused(format!(
                "--column {text} is not of the form external_id=HEADER; members are id, \
                 external_id, status, created_at, updated_at, last_login_at and login_count"
            )));
        }
    }
    Ok(columns)
}

/// Opens a file whose reading moves the bar on, and makes the bar longer by it.
fn open(path: Option<&Path>, bar: &ProgressBar) -> Result<Option<Box<dyn BufRead>>, CommandError> {
    let Some(path) = path else {
        return Ok(None);
    };
    let file = File::open(path).map_err(|error| failed_on(path, error))?;
    let size_bytes = file
        .metadata()
        .map_err(|error| failed_on(path, error))?
        .len();
    bar.inc_length(size_bytes);
    Ok(Some(Box::new(BufReader::with_capacity(
        READ_BYTES,
        bar.wrap_read(file),
    ))))
}

/// Shown on a terminal only.
fn progress_bar() -> ProgressBar {
    let target = if io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = ProgressStyle::with_template("importing {wide_bar} {percent:>3} %, {eta} left")
        .expect("the template is well formed");
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}

fn print_issues(report: &ImportReport, arguments: &ImportArgs) {
    for issue in report.issues.iter().take(ISSUES_SHOWN) {
        let path = match issue.file {
            ImportFile::Users => &arguments.users,
            ImportFile::Credentials => &arguments.credentials,
        };
        let path = path.as_deref().unwrap_or(Path::new(issue.file.as_str()));
        let verdict = if issue.failed { "failed" } else { "skipped" };
        eprintln!(
            "{}:{}: {verdict}: {}",
            path.display(),
            issue.line,
            printable(&issue.reason)
        );
    }
    let hidden = report.issues.len().saturating_sub(ISSUES_SHOWN);
    if hidden > 0 {
        eprintln!("and {hidden} more; --json lists all");
    }
}

/// A reason may repeat what a file says, which must not steer the terminal.
fn printable(reason: &str) -> String {
    reason.replace(char::is_control, "\u{fffd}")
}

fn print_summary(report: &ImportReport, arguments: &ImportArgs, rp_id: &str) {
    let print = |name: &str, tally: &ImportTally| {
        println!(
            "{name:<12} {:>8} added, {} there already, {} skipped, {} failed",
            tally.added, tally.unchanged, tally.skipped, tally.failed
        );
    };
    print("users", &report.users);
    print("credentials", &report.credentials);
    if report.unusable > 0 {
        println!(
            "{} of the credentials have no public key and cannot be used",
            report.unusable
        );
    }
    for file in &report.empty {
        println!("The file of the {} has no records.", file.as_str());
    }
    println!("RP ID        {rp_id}");
    if arguments.dry_run {
        println!("This was a dry run; nothing was stored.");
    }
}

fn failed_on(path: &Path, error: io::Error) -> CommandError {
    CommandError::System(path.display().to_string(), error)
}

const READ_BYTES: usize = 64 * 1024;

/// How many records that were not imported a terminal shows.
const ISSUES_SHOWN: usize = 50;
