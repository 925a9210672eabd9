//! The command line: what `claviger` can be told to do, with help that teaches.

use std::path::PathBuf;

use clap::{
    ArgGroup, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use jiff::SignedDuration;
use passkeys::{
    AttestationConveyance, CounterPolicy, Fingerprint, MetadataSigner, UserVerification,
};

use crate::config::Options;

/// Claviger, the bearer of the keys: passkeys beside an Amazon-Cognito-compatible
/// user pool, with its Lambda triggers, on your own machine.
#[derive(Parser)]
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

    /// Passkey apps and their settings
    #[command(subcommand)]
    App(AppCommand),

    /// Android and Apple apps that may use a passkey app's passkeys
    #[command(subcommand)]
    NativeClient(NativeClientCommand),

    /// API keys of passkey apps, for servers
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),

    /// Access keys, for AWS clients
    #[command(subcommand)]
    AccessKey(AccessKeyCommand),

    /// Webhooks of passkey apps, and what was delivered to them
    #[command(
        subcommand,
        long_about = "Webhooks tell your server of an app's events: passkeys registered and used, \
                      devices revoked, users deactivated. What they send and how to check that it \
                      comes from here is described in docs/webhooks.md."
    )]
    Webhook(WebhookCommand),

    /// What is known about models of authenticators, for apps that ask for attestation
    #[command(
        subcommand,
        long_about = "The metadata file of the FIDO Alliance says of each model of authenticator whose \
                      certificates prove it, and whether it is known to be compromised. Apps with \
                      direct attestation and `app update --metadata on` go by the file that was \
                      imported last.\n\n\
                      Claviger fetches nothing: get the file from https://mds3.fidoalliance.org/ \
                      about once a month, and import it. See docs/operating.md."
    )]
    Metadata(MetadataCommand),

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
        /// RP ID the passkeys are bound to: the origin's host or a parent domain, but no public
        /// suffix such as co.uk [default: the host]
        #[arg(long, value_name = "ID")]
        rp_id: Option<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },

    /// List all passkey apps
    List {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },

    /// Show an app with all its settings
    Show(AppArgs),

    /// Change settings of an app; those that are not named stay as they are
    #[command(
        override_usage = "claviger app update --app <ID> <SETTING>...",
        long_about = "Changes settings of an app, all that are named or none; the others stay as they \
                      are. A running server goes by them within a second.\n\n\
                      A list is replaced as a whole: repeat its flag for each entry, or say `none` to \
                      clear it. What each setting does is told in docs/app-settings.md."
    )]
    Update(Box<AppUpdateArgs>),
}

/// Names an app.
#[derive(clap::Args, Clone, Debug)]
pub struct AppArgs {
    /// The app
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What to change about an app.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("changes").required(true).multiple(true).args([
    "name", "origin", "additional_origins", "rp_id", "sign_up", "user_verification",
    "counter_policy", "algorithms", "attestation", "trust_anchors", "metadata",
    "allowed_aaguids", "denied_aaguids", "synced_passkeys", "embedding_origins", "transaction_lifetime", "handshake_lifetime",
    "discoverable_handshake_lifetime", "nonce_lifetime", "timeout", "event_retention_days",
]))]
pub struct AppUpdateArgs {
    /// The app
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// Name, as people see it when they make a passkey
    #[arg(long)]
    pub name: Option<String>,
    /// Origin of the website
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// Further origin of the app; may lie on another domain (related origins)
    #[arg(long = "additional-origin", value_name = "URL|none")]
    pub additional_origins: Option<Vec<String>>,
    /// RP ID the passkeys are bound to; refused while passkeys depend on the present one
    #[arg(long, value_name = "ID")]
    pub rp_id: Option<String>,
    /// Change the RP ID although passkeys stop working by it
    #[arg(long, requires = "rp_id")]
    pub force: bool,
    /// Whether users may be created by registering a passkey
    #[arg(long, value_name = "WORD", value_parser = word_of([("on", true), ("off", false)]))]
    pub sign_up: Option<bool>,
    /// Whether a PIN or biometrics is demanded
    #[arg(long, value_name = "WORD", value_parser = word_of([("preferred", UserVerification::Preferred), ("required", UserVerification::Required)]))]
    pub user_verification: Option<UserVerification>,
    /// What to do when a signature counter does not grow, which a copied key may show
    #[arg(long, value_name = "WORD", value_parser = word_of([("record", CounterPolicy::Record), ("refuse", CounterPolicy::Refuse)]))]
    pub counter_policy: Option<CounterPolicy>,
    /// Algorithms offered, the preferred one first: ES256, ES384, ES512, RS256, EdDSA
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub algorithms: Option<Vec<String>>,
    /// Whether new authenticators must prove what they are; direct needs trust anchors or the
    /// metadata
    #[arg(long, value_name = "WORD", value_parser = word_of([("none", AttestationConveyance::None), ("direct", AttestationConveyance::Direct)]))]
    pub attestation: Option<AttestationConveyance>,
    /// Certificates of makers whose authenticators may register: a file in PEM or DER
    #[arg(long = "trust-anchor", value_name = "FILE|none")]
    pub trust_anchors: Option<Vec<PathBuf>>,
    /// Whether the imported metadata is believed about authenticators (see `claviger metadata`)
    #[arg(long, value_name = "WORD", value_parser = word_of([("on", true), ("off", false)]))]
    pub metadata: Option<bool>,
    /// Model of authenticator that may register, and no other; needs direct attestation
    #[arg(long = "allowed-aaguid", value_name = "AAGUID|none")]
    pub allowed_aaguids: Option<Vec<String>>,
    /// Model of authenticator that may not register; needs direct attestation
    #[arg(long = "denied-aaguid", value_name = "AAGUID|none")]
    pub denied_aaguids: Option<Vec<String>>,
    /// Whether passkeys that sync between devices may be registered
    #[arg(long, value_name = "WORD", value_parser = word_of([("allowed", true), ("refused", false)]))]
    pub synced_passkeys: Option<bool>,
    /// Origin of a page that may embed the app in a frame
    #[arg(long = "embedding-origin", value_name = "URL|none")]
    pub embedding_origins: Option<Vec<String>>,
    /// How long a transaction lives, such as 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub transaction_lifetime: Option<SignedDuration>,
    /// How long a ceremony with a transaction may take, such as 10m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub handshake_lifetime: Option<SignedDuration>,
    /// How long a ceremony without a transaction may take, such as 1h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub discoverable_handshake_lifetime: Option<SignedDuration>,
    /// How long a nonce can be exchanged, such as 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub nonce_lifetime: Option<SignedDuration>,
    /// How long the browser is asked to wait for the user, such as 5m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<SignedDuration>,
    /// For how many days events are kept
    #[arg(long, value_name = "DAYS")]
    pub event_retention_days: Option<u16>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads a time with its unit.
fn duration(text: &str) -> Result<SignedDuration, &'static str> {
    text.parse()
        .map_err(|_| "a time has a unit: such as 90s or 5m")
}

/// Reads one of a few words.
fn word_of<T: Copy + Send + Sync + 'static, const N: usize>(
    words: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.map(|(word, _)| word)).map(move |given| {
        let known = words.iter().find(|(word, _)| *word == given);
        known.expect("the parser lets no other word through").1
    })
}

/// What can be done with the metadata of authenticators.
#[derive(Debug, Subcommand)]
pub enum MetadataCommand {
    /// Verify a metadata file and use it from now on; a refused one leaves the old one in use
    #[command(
        long_about = "Verifies a metadata file and uses it from now on, also on a running server. A file \
                      that is not signed by the signer, is out of date, or is older than the one in \
                      use is refused: the reason is told, the exit status is 1, and the old file \
                      stays in use.\n\n\
                      The file of the FIDO Alliance is at https://mds3.fidoalliance.org/; which root \
                      certificate stands above its signer is told at \
                      https://fidoalliance.org/metadata/. The certificates name where their \
                      revocation lists are."
    )]
    Import(MetadataImportArgs),

    /// Show which metadata file is used
    Show {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// A metadata file and whom to believe about it.
#[derive(clap::Args, Clone, Debug)]
pub struct MetadataImportArgs {
    /// The metadata file, as it was downloaded: a signed text, often named blob.jwt
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// Root certificate above the signer's, in PEM or DER
    #[arg(long, value_name = "FILE")]
    pub root: PathBuf,
    /// Revocation list of the root or of an authority below it, in PEM or DER; may be repeated,
    /// and with one there must be one for each. Without any, nobody counts as revoked
    #[arg(long = "crl", value_name = "FILE")]
    pub revocation_lists: Vec<PathBuf>,
    /// Name that the signer's certificate must have
    #[arg(long, value_name = "NAME", default_value = MetadataSigner::FIDO_ALLIANCE)]
    pub signer_name: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// What can be done with native clients.
#[derive(Debug, Subcommand)]
pub enum NativeClientCommand {
    /// Let an Android or Apple app use the app's passkeys
    Create(NativeClientArgs),

    /// List the native clients of an app
    List(AppArgs),

    /// Delete a native client; what it signs is refused, by a running server within a second
    Delete {
        /// The app
        #[arg(long, value_name = "ID")]
        app: String,
        /// The native client, as listed
        #[arg(long, value_name = "ID")]
        native_client: String,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// A native client to be created.
#[derive(clap::Args, Clone, Debug)]
#[command(group = ArgGroup::new("platform").args(["package", "team"]).required(true))]
pub struct NativeClientArgs {
    /// The app
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// Android: name of the package, such as com.example.app
    #[arg(long, value_name = "NAME", requires = "fingerprints")]
    pub package: Option<String>,
    /// Android: SHA-256 of a certificate it is signed with, AA:BB:… ; may be repeated
    #[arg(long = "fingerprint", value_name = "SHA256", requires = "package")]
    pub fingerprints: Vec<Fingerprint>,
    /// Apple: id of the team, the App ID prefix
    #[arg(long, value_name = "ID", requires = "bundle")]
    pub team: Option<String>,
    /// Apple: bundle id, such as com.example.app
    #[arg(long, value_name = "ID", requires = "team")]
    pub bundle: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
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

    /// List the API keys of an app, each by the part before its dot
    List(AppArgs),

    /// Delete an API key, such as one that leaked; a running server refuses it within a second
    Delete {
        /// The app it belongs to
        #[arg(long, value_name = "ID")]
        app: String,
        /// The key's id, as listed
        #[arg(long, value_name = "ID")]
        api_key: String,
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

/// What can be done with webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Create a webhook; the secret that signs its messages is shown this once
    Create {
        /// The app whose events it is told of
        #[arg(long, value_name = "ID")]
        app: String,
        /// Where messages are posted to, such as https://example.com/webhooks/passkeys
        #[arg(long, value_name = "URL")]
        url: String,
        /// Type of event that it is told of, such as passkey.login; may be repeated [default: all]
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// List the webhooks of an app
    List(AppArgs),
    /// Change a webhook; what is not given stays
    Update {
        /// Which webhook
        #[command(flatten)]
        webhook: WebhookArgs,
        /// Where messages are posted to from now on, those waiting included
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Type of event that it is told of, instead of those before; may be repeated
        #[arg(long = "event", value_name = "TYPE")]
        events: Vec<String>,
        /// Tell it of all types of events
        #[arg(long, conflicts_with = "events")]
        all_events: bool,
        /// Turn it on; what waits is sent
        #[arg(long)]
        enable: bool,
        /// Turn it off; what waits goes on waiting
        #[arg(long, conflicts_with = "enable")]
        disable: bool,
    },
    /// Delete a webhook with its deliveries; what waits is not sent
    Delete {
        /// Which webhook
        #[command(flatten)]
        webhook: WebhookArgs,
    },
    /// Give a webhook a new secret; the old one signs as well for 24 hours
    RotateSecret {
        /// Which webhook
        #[command(flatten)]
        webhook: WebhookArgs,
    },
    /// List what was delivered to a webhook and what was not, the newest first
    Deliveries {
        /// Which webhook
        #[command(flatten)]
        webhook: WebhookArgs,
        /// Only those that are pending, delivered or failed
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// How many to list
        #[arg(long, value_name = "N", default_value_t = 15)]
        limit: u32,
        /// Which page of the list
        #[arg(long, value_name = "N", default_value_t = 1)]
        page: u32,
    },
    /// Send a delivery again, whatever became of it
    Redeliver {
        /// Which webhook
        #[command(flatten)]
        webhook: WebhookArgs,
        /// Which delivery
        #[arg(long, value_name = "ID")]
        delivery: String,
    },
}

/// Names a webhook.
#[derive(clap::Args, Clone, Debug)]
pub struct WebhookArgs {
    /// The app it belongs to
    #[arg(long, value_name = "ID")]
    pub app: String,
    /// The webhook
    #[arg(long, value_name = "ID")]
    pub webhook: String,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
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
