//! The command line: what `claviger` can be told to do, with help that teaches.

use std::path::PathBuf;

use clap::{ArgGroup, Parser, Subcommand, ValueEnum};

use crate::config::Options;

/// Claviger, the bearer of the keys: passkeys beside an Amazon-Cognito-compatible
/// user pool, with its Lambda triggers, on your own machine.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Start with `claviger dev`: it makes everything the guide needs and prints it.\n\
                  Every setting is a flag, an environment variable and a line of the \
                  configuration file."
)]
pub struct Cli {
    /// What to do; `dev` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Configuration file (TOML); flags and environment variables win over it
    #[arg(
        long,
        global = true,
        env = "CLAVIGER_CONFIG",
        value_name = "FILE",
        help_heading = "Settings"
    )]
    pub config: Option<PathBuf>,

    /// The settings.
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve on this machine only, with everything for the guide made on the first start
    #[command(
        long_about = "Serves on loopback, with an organization, a passkey app and its API key, a user \
                      pool with an app client, and the three custom-auth triggers, all made on the \
                      first start and kept for the next. Signatures of AWS clients must be well \
                      formed but are not verified, so any credentials do."
    )]
    Dev(DevArgs),

    /// Serve others: verified signatures, nothing made up, unsafe settings refused
    Serve,

    /// Passkey apps
    #[command(subcommand)]
    App(AppCommand),

    /// API keys of passkey apps, for servers
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),

    /// Access keys, for AWS clients
    #[command(subcommand)]
    AccessKey(AccessKeyCommand),

    /// Import users and their passkeys into an app; may be run again, whole, at any time
    #[command(
        long_about = "Imports users and their passkeys into an app, beside a running server. What is there \
                      already stays as it is, so an import that was stopped is simply run again. \
                      Records that cannot be imported are listed with their lines; the exit status \
                      is then 1.\n\n\
                      The formats are described in docs/migrating-from-passage.md."
    )]
    Import(ImportArgs),

    /// Export users and their passkeys, public keys included, in the form that import takes
    Export(ExportArgs),

    /// Run one of the guide's triggers as a Lambda function; what `dev` puts into its functions
    #[command(hide = true)]
    Trigger {
        /// Which one
        trigger: Trigger,
    },
}

/// What `dev` may be told.
#[derive(clap::Args, Clone, Debug)]
pub struct DevArgs {
    /// Origin of the web app that may use passkeys, when the app is first made
    #[arg(long, value_name = "URL", default_value = DevArgs::APP_ORIGIN)]
    pub app_origin: String,

    /// Print what was made as one line of JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

impl DevArgs {
    const APP_ORIGIN: &str = "http://localhost:8081";
}

impl Default for DevArgs {
    fn default() -> DevArgs {
        DevArgs {
            app_origin: DevArgs::APP_ORIGIN.to_owned(),
            json: false,
        }
    }
}

/// What to import.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("files").args(["users", "credentials"]).required(true).multiple(true))]
pub struct ImportArgs {
    /// The app to import into
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// Users: CSV with headers, JSON, or JSON Lines
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Credentials: JSON Lines
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// RP ID that the passkeys were made under; refused when it is not the app's
    #[arg(long, value_name = "ID")]
    pub rp_id: Option<String>,
    /// Column of a CSV file, where its header does not say it, such as external_id=Customer
    #[arg(long = "column", value_name = "MEMBER=HEADER")]
    pub columns: Vec<String>,
    /// Credential ids and user handles are written in hexadecimal digits
    #[arg(long)]
    pub hex: bool,
    /// Keep credentials without a public key, for the record; nobody can sign in with them
    #[arg(long)]
    pub keep_unusable: bool,
    /// Store nothing, only tell what would happen
    #[arg(long)]
    pub dry_run: bool,
    /// Answer in JSON, with every record that was skipped or failed
    #[arg(long)]
    pub json: bool,
}

/// What to export.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("files").args(["users", "credentials"]).required(true).multiple(true))]
pub struct ExportArgs {
    /// The app to export
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// Where to write the users, as JSON Lines
    #[arg(long, value_name = "FILE")]
    pub users: Option<PathBuf>,
    /// Where to write the credentials, as JSON Lines
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with apps.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Create a passkey app
    Create {
        /// Name, as people see it when they make a passkey
        #[arg(long)]
        name: String,
        /// Origin of the website, such as https://example.com or http://localhost:8081
        #[arg(long, value_name = "URL")]
        origin: String,
        /// RP ID the passkeys are bound to: the origin's host or a parent domain [default: the host]
        #[arg(long, value_name = "ID")]
        rp_id: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Create an API key; its text is shown this once
    Create {
        /// The app it belongs to
        #[arg(long, value_name = "ID")]
        app: String,
        /// Name, to tell it from others
        #[arg(long)]
        name: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// What can be done with access keys.
#[derive(Debug, Subcommand)]
pub enum AccessKeyCommand {
    /// Create an access key; its secret is shown this once
    Create {
        /// Name, to tell it from others
        #[arg(long)]
        name: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// The guide's triggers.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Trigger {
    /// Says what comes next
    DefineAuthChallenge,
    /// Makes the challenge
    CreateAuthChallenge,
    /// Judges the answer
    VerifyAuthChallenge,
}

impl Trigger {
    /// All, in the order of the guide.
    pub const ALL: [Trigger; 3] = [
        Trigger::DefineAuthChallenge,
        Trigger::CreateAuthChallenge,
        Trigger::VerifyAuthChallenge,
    ];

    /// The name of its function and zip.
    pub fn name(self) -> &'static str {
        match self {
            Trigger::DefineAuthChallenge => "define-auth-challenge",
            Trigger::CreateAuthChallenge => "create-auth-challenge",
            Trigger::VerifyAuthChallenge => "verify-auth-challenge",
        }
    }
}
