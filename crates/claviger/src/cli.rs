//! The command line: what `claviger` can be told to do, with help that teaches.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

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
