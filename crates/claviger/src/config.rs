//! The settings: one struct from flags, environment and a TOML file, in that
//! order of precedence. `serve` refuses what would be unsafe and says what to do.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use clap::{Args, ValueEnum};
use figment::{
    Figment,
    providers::{Format as _, Serialized, Toml},
};
use passkeys::{Authenticators, RateLimit, RateLimits};
use platform::{Entropy, Vault, db::Location};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

use crate::proxies::{ProxyRange, TrustedProxies};

/// What a person may set, each by flag, environment variable or configuration
/// file. In the file the names are those of the flags with `_` for `-`.
///
/// Without `Debug`: the address of a database may hold a password.
#[derive(Args, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Address and port to listen on [default: 127.0.0.1:8082]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_LISTEN",
        value_name = "ADDRESS"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,

    /// URL under which clients reach this server [dev: http://localhost and the port]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_PUBLIC_URL",
        value_name = "URL"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Url>,

    /// Proxies whose X-Forwarded-For tells callers' addresses: addresses or ranges
    /// (10.0.0.0/8), separated by commas or each with its own flag [default: this
    /// machine, while only it can connect and the public URL is elsewhere; else none]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_TRUSTED_PROXIES",
        value_name = "RANGE",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trusted_proxies: Option<Vec<ProxyRange>>,

    /// Ceremony calls of one passkey app, as `200/s burst 2000` (or /m, /h), or `off`
    /// [default: off where public_url is on localhost, else 200/s burst 2000]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_RATE_LIMIT_APP",
        value_name = "RATE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_app: Option<RateLimit>,

    /// Ceremony calls from one address, or one IPv6 /64 [default: off on localhost, else
    /// 10/s burst 100]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_RATE_LIMIT_ADDRESS",
        value_name = "RATE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_address: Option<RateLimit>,

    /// Ceremony calls under transactions of one external id [default: off on localhost,
    /// else 30/m burst 30]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_RATE_LIMIT_EXTERNAL_ID",
        value_name = "RATE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_external_id: Option<RateLimit>,

    /// Wrong API keys from one address; right ones always work [default: off on
    /// localhost, else 10/m burst 30]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_RATE_LIMIT_WRONG_API_KEYS",
        value_name = "RATE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_wrong_api_keys: Option<RateLimit>,

    /// File with names and pictures of authenticators, in the form of the community
    /// list: {"<AAGUID>": {"name", "icon_light", "icon_dark"}} [default: names only]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_AUTHENTICATORS_FILE",
        value_name = "FILE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticators_file: Option<PathBuf>,

    /// Folder for everything this server keeps on disk [default: ./.claviger]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_DATA_DIR",
        value_name = "FOLDER"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,

    /// Database: a file (SQLite) or postgres://… [default: claviger.db in the data folder]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_url: Option<String>,

    /// File with the master key: 32 random bytes in base64, readable by its owner
    /// only. It seals every secret in the database [dev: made in the data folder]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_MASTER_KEY_FILE",
        value_name = "FILE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key_file: Option<PathBuf>,

    /// AWS region in the ids and ARNs of user pools and functions [default: us-east-1]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_REGION",
        value_name = "REGION"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,

    /// Form of the `iss` claim in the tokens of user pools [default: server]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_ISSUER",
        value_name = "FORM"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Issuer>,

    /// How confirmation codes reach people [dev: log; serve: none]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_CODE_DELIVERY",
        value_name = "WAY"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_delivery: Option<CodeDelivery>,

    /// Call a trigger only if the function's policy lets the user pool in [default: false]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_ENFORCE_FUNCTION_PERMISSIONS",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_function_permissions: Option<bool>,

    /// Let webhooks lead to private addresses and to this machine, and do without https.
    /// Whoever may create a webhook can then reach what this server can reach
    /// [default: dev: true; serve: false]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_WEBHOOK_PRIVATE_ADDRESSES",
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_private_addresses: Option<bool>,

    /// Program that runs Node.js functions [default: `node` on the PATH]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_NODE",
        value_name = "FILE"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<PathBuf>,

    /// How many function instances may run at once [default: 4 per processor]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_INSTANCES_MAX",
        value_name = "N"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances_max: Option<usize>,

    /// What to log, as directives such as `info` or `info,functions=debug` [default: info]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_LOG",
        value_name = "FILTER"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,

    /// How log lines look [default: text]
    #[arg(
        long,
        global = true,
        help_heading = "Settings",
        env = "CLAVIGER_LOG_FORMAT",
        value_name = "FORMAT"
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
}

/// The form of the `iss` claim.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Issuer {
    /// This server's public URL and the pool id; verifiers can fetch the keys from it
    Server,
    /// `https://cognito-idp.{region}.amazonaws.com/{pool id}`, for verifiers that accept no other
    Aws,
}

/// How confirmation codes reach people.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum CodeDelivery {
    /// Written to the log, for a laptop
    Log,
    /// Not at all: what would send a code fails
    None,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line, for collectors
    Json,
}

/// The settings in effect.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Under which URL clients reach this server, without a slash at its end;
    /// nothing means `http://localhost` and the port.
    pub public_url: Option<String>,
    /// Whose word about callers' addresses is taken; nothing means that nobody decided and
    /// that it does not follow from the address that is listened on.
    pub trusted_proxies: Option<TrustedProxies>,
    /// How often the passkey service may be called.
    pub rate_limits: RateLimits,
    /// Where names and pictures of authenticators are; nothing means the compiled names.
    pub authenticators_file: Option<PathBuf>,
    /// Where this server keeps files.
    pub data_dir: PathBuf,
    /// Where the database is.
    pub database: Location,
    /// Where the master key is.
    pub master_key_file: PathBuf,
    /// The region in ids and ARNs.
    pub region: String,
    /// The form of the `iss` claim.
    pub issuer: Issuer,
    /// How confirmation codes reach people.
    pub code_delivery: CodeDelivery,
    /// Whether a trigger needs a resource policy.
    pub enforce_function_permissions: bool,
    /// Whether webhooks may lead to private addresses; nothing means that nobody decided.
    pub webhook_private_addresses: Option<bool>,
    /// What runs Node.js functions; nothing means `node` on the PATH.
    pub node: Option<PathBuf>,
    /// How many function instances may run at once.
    pub instances_max: usize,
    /// What to log.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// Why the settings cannot be used; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A value or the file does not parse.
    #[error("the settings cannot be read: {0}")]
    Unreadable(#[from] Box<figment::Error>),
    /// A setting is missing or unsafe.
    #[error("{0}")]
    Refused(String),
}

impl Options {
    /// The settings in effect: these flags and variables over the file over the defaults.
    pub fn resolve(&self, file: Option<&Path>) -> Result<Config, ConfigError> {
        let mut figment = Figment::new();
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigError::Refused(format!(
                    "there is no configuration file {}",
                    file.display()
                )));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        let options: Options = figment
            .merge(Serialized::defaults(self))
            .extract()
            .map_err(Box::new)?;
        Ok(options.with_defaults())
    }

    fn with_defaults(self) -> Config {
        let listen = self
            .listen
            .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8082));
        let data_dir = self.data_dir.unwrap_or_else(|| ".claviger".into());
        // On localhost the only caller is this machine, as itself or for its tests.
        let rate_limits = match &self.public_url {
            Some(url) if !is_local(url) => RateLimits::RECOMMENDED,
            _ => RateLimits::OFF,
        };
        // Whoever reaches this server from elsewhere then comes through a proxy on this machine.
        let is_behind_proxy_here =
            listen.ip().is_loopback() && self.public_url.as_ref().is_some_and(|url| !is_local(url));
        Config {
            listen,
            public_url: self
                .public_url
                .map(|url| url.as_str().trim_end_matches('/').to_owned()),
            authenticators_file: self.authenticators_file,
            rate_limits: RateLimits {
                app: self.rate_limit_app.unwrap_or(rate_limits.app),
                address: self.rate_limit_address.unwrap_or(rate_limits.address),
                external_id: self
                    .rate_limit_external_id
                    .unwrap_or(rate_limits.external_id),
                wrong_api_keys: self
                    .rate_limit_wrong_api_keys
                    .unwrap_or(rate_limits.wrong_api_keys),
            },
            trusted_proxies: self
                .trusted_proxies
                .map(TrustedProxies::new)
                .or_else(|| is_behind_proxy_here.then(TrustedProxies::of_this_machine)),
            database: self.database_url.as_deref().map_or_else(
                || Location::Sqlite(data_dir.join("claviger.db")),
                Location::parse,
            ),
            master_key_file: self
                .master_key_file
                .unwrap_or_else(|| data_dir.join("master.key")),
            data_dir,
            region: self.region.unwrap_or_else(|| "us-east-1".into()),
            issuer: self.issuer.unwrap_or(Issuer::Server),
            code_delivery: self.code_delivery.unwrap_or(CodeDelivery::None),
            enforce_function_permissions: self.enforce_function_permissions.unwrap_or(false),
            webhook_private_addresses: self.webhook_private_addresses,
            node: self.node,
            instances_max: self.instances_max.unwrap_or_else(|| {
                4 * std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
            }),
            log: self.log.unwrap_or_else(|| "info".into()),
            log_format: self.log_format.unwrap_or(LogFormat::Text),
        }
    }
}

impl Config {
    /// Under which URL clients reach this server, without a slash at its end.
    pub fn public_url(&self) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://localhost:{}", self.listen.port()))
    }

    /// Refuses what `serve` must not do.
    pub fn check_for_serve(&self) -> Result<(), ConfigError> {
        let refuse = |why: &str| Err(ConfigError::Refused(why.to_owned()));
        let is_local = Url::parse(&self.public_url()).is_ok_and(|url| is_local(&url));
        if !is_local && !self.public_url().starts_with("https://") {
            return refuse(
                "public_url must begin with https:// unless it is on localhost: browsers offer \
                 passkeys on secure pages only, and API keys travel in every request. Put a \
                 TLS-terminating proxy in front and set public_url to its address.",
            );
        }
        if is_local && !self.listen.ip().is_loopback() {
            return refuse(
                "listen is open to the network but public_url is on localhost. Set public_url \
                 to the https:// address under which clients reach this server, or listen on \
                 127.0.0.1.",
            );
        }
        // This server does not end TLS itself, so one proxy at least stands in front.
        if self.trusted_proxies.is_none() && !is_local {
            return refuse(
                "trusted_proxies is not set, so all callers would have the address of the proxy \
                 that ends TLS: in events, and for the rate limits. Set it to the address of that \
                 proxy as this server sees it, and let the proxy append to X-Forwarded-For. If \
                 this server sees its callers' own addresses, say so in the configuration file: \
                 trusted_proxies = []",
            );
        }
        if let Some(range) = self
            .trusted_proxies
            .as_ref()
            .and_then(TrustedProxies::too_wide)
        {
            return refuse(&format!(
                "trusted_proxies holds {range}, so callers could name any address as their own. \
                 List the addresses of your own proxies only, or the range of the private network \
                 that they are in."
            ));
        }
        if self.code_delivery == CodeDelivery::Log {
            return refuse(
                "code_delivery = \"log\" writes confirmation codes into the log, so whoever \
                 reads the log can confirm any account. It is for `claviger dev` only.",
            );
        }
        Ok(())
    }

    /// Refuses what `dev` must not do: it checks no signatures, so nobody else
    /// may reach it.
    pub fn check_for_dev(&self) -> Result<(), ConfigError> {
        if self.listen.ip().is_loopback() {
            Ok(())
        } else {
            Err(ConfigError::Refused(format!(
                "`claviger dev` accepts unverified signatures and listens on loopback only, not \
                 on {}. Use `claviger serve` to serve others.",
                self.listen.ip()
            )))
        }
    }

    /// The vault under the master key in its file, which must exist.
    pub fn open_vault(&self) -> Result<Vault, ConfigError> {
        let file = self.master_key_file.display();
        let folder = self.master_key_file.parent();
        let make_folder = folder
            .filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .map(|folder| format!("mkdir -p {} && ", folder.display()))
            .unwrap_or_default();
        let unusable = |why: &str| {
            ConfigError::Refused(format!(
                "the master key {file} {why}. It holds 32 random bytes in base64; make one with: \
                 (umask 077; {make_folder}head -c 32 /dev/urandom | base64 > {file})"
            ))
        };
        let mut text = Zeroizing::new(String::new());
        std::fs::File::open(&self.master_key_file)
            .and_then(|mut file| file.read_to_string(&mut text))
            .map_err(|error| unusable(&format!("cannot be read ({error})")))?;
        if self.is_master_key_exposed() {
            return Err(ConfigError::Refused(format!(
                "the master key {file} can be read by others; run: chmod 600 {file}"
            )));
        }
        let bytes = Zeroizing::new(
            BASE64_STANDARD
                .decode(text.trim())
                .map_err(|_| unusable("is not base64"))?,
        );
        let key: &[u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| unusable(&format!("holds {} bytes", bytes.len())))?;
        Ok(Vault::new(key))
    }

    /// The names and pictures of authenticators that passkeys are shown with. A
    /// picture that is left out is said in the log.
    pub(crate) fn read_authenticators(&self) -> Result<Authenticators, ConfigError> {
        let Some(file) = &self.authenticators_file else {
            return Ok(Authenticators::default());
        };
        let refuse = |cause: &dyn std::fmt::Display| {
            let file = file.display();
            ConfigError::Refused(format!(
                "authenticators_file {file} cannot be used: {cause}"
            ))
        };
        let json = std::fs::read(file).map_err(|error| refuse(&error))?;
        let (authenticators, left_out) =
            Authenticators::parse(&json).map_err(|error| refuse(&error))?;
        for picture in left_out {
            tracing::warn!("authenticators_file: {picture}");
        }
        Ok(authenticators)
    }

    /// Makes the data folder where it is missing.
    pub fn create_data_dir(&self) -> Result<(), ConfigError> {
        std::fs::create_dir_all(&self.data_dir).map_err(|error| unwritable(&self.data_dir, error))
    }

    /// Makes the master key where it is missing. For `dev`.
    pub fn create_master_key(&self, entropy: &Entropy) -> Result<(), ConfigError> {
        if self.master_key_file.exists() {
            return Ok(());
        }
        let key = SecretString::from(BASE64_STANDARD.encode(entropy.bytes::<32>()));
        write_private(&self.master_key_file, key.expose_secret())
            .map_err(|error| unwritable(&self.master_key_file, error))
    }

    fn is_master_key_exposed(&self) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(&self.master_key_file)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
    }
}

/// Whether clients that use this URL are on this machine.
fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse()
                .is_ok_and(|address: IpAddr| address.is_loopback())
    })
}

fn unwritable(path: &Path, error: std::io::Error) -> ConfigError {
    ConfigError::Refused(format!("cannot write {}: {error}", path.display()))
}

/// Writes a file that only its owner can read, at once or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: Options) -> Config {
        options.with_defaults()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claviger.toml");
        std::fs::write(
            &file,
            "region = \"eu-west-1\"\nissuer = \"aws\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n",
        )
        .unwrap();
        let flags = Options {
            region: Some("eu-north-1".into()),
            ..Options::default()
        };
        let config = flags.resolve(Some(&file)).unwrap();
        assert_eq!(config.region, "eu-north-1");
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(config.trusted_proxies, Some(trusted));
        assert_eq!(config.issuer, Issuer::Aws);
        assert_eq!(config.listen.to_string(), "127.0.0.1:8082");
    }

    #[test]
    fn a_setting_nobody_knows_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claviger.toml");
        std::fs::write(&file, "regoin = \"eu-west-1\"\n").unwrap();
        let error = Options::default().resolve(Some(&file)).unwrap_err();
        assert!(error.to_string().contains("regoin"), "{error}");
    }

    #[test]
    fn serve_refuses_what_is_unsafe() {
        let url = |url: &str| Some(Url::parse(url).unwrap());
        let listen = |address: &str| Some(address.parse().unwrap());
        let ranges = |list: &[&str]| Some(list.iter().map(|text| text.parse().unwrap()).collect());
        let safe = [
            (
                url("https://login.example.com"),
                listen("0.0.0.0:8082"),
                ranges(&["10.0.0.0/8", "::1"]),
            ),
            (url("https://login.example.com"), None, ranges(&[])),
            (url("https://login.example.com"), None, None),
            (url("http://localhost:8082"), listen("127.0.0.1:8082"), None),
            (url("http://127.0.0.1:8082"), None, None),
            (url("http://[::1]:8082"), listen("[::1]:8082"), None),
        ];
        for (public_url, listen, trusted_proxies) in safe {
            config(Options {
                public_url,
                listen,
                trusted_proxies,
                ..Options::default()
            })
            .check_for_serve()
            .unwrap();
        }
        for (trusted_proxies, reason) in [
            (None, "trusted_proxies is not set"),
            (ranges(&["10.0.0.1", "0.0.0.0/0"]), "0.0.0.0/0"),
            (ranges(&["::/0"]), "::/0"),
        ] {
            let refused = config(Options {
                public_url: url("https://login.example.com"),
                listen: listen("0.0.0.0:8082"),
                trusted_proxies,
                ..Options::default()
            })
            .check_for_serve()
            .unwrap_err();
            assert!(refused.to_string().contains(reason), "{refused}");
        }
        let unsafe_ones = [
            (url("http://login.example.com"), None, None),
            (url("http://localhost.example.com"), None, None),
            (None, listen("0.0.0.0:8082"), None),
            (
                url("https://login.example.com"),
                None,
                Some(CodeDelivery::Log),
            ),
        ];
        for (public_url, listen, code_delivery) in unsafe_ones {
            let refused = config(Options {
                public_url: public_url.clone(),
                listen,
                trusted_proxies: ranges(&[]),
                code_delivery,
                ..Options::default()
            })
            .check_for_serve();
            assert!(refused.is_err(), "{public_url:?}");
        }
    }

    #[test]
    fn calls_are_limited_by_default_where_strangers_reach_the_server() {
        let config_at = |url: Option<&str>| {
            config(Options {
                public_url: url.map(|url| Url::parse(url).unwrap()),
                rate_limit_address: Some("1/s".parse().unwrap()),
                ..Options::default()
            })
        };
        for local in [None, Some("http://localhost:8082"), Some("http://[::1]")] {
            let limits = config_at(local).rate_limits;
            assert_eq!(limits.app, RateLimit::Off);
            assert_eq!(limits.address.to_string(), "1/s burst 1");
        }
        let limits = config_at(Some("https://login.example.com")).rate_limits;
        assert_eq!(limits.app.to_string(), "200/s burst 2000");
        assert_eq!(limits.address.to_string(), "1/s burst 1");
        assert_eq!(limits.external_id.to_string(), "30/m burst 30");
        assert_eq!(limits.wrong_api_keys.to_string(), "10/m burst 30");
    }

    #[test]
    fn a_rate_limit_is_set_by_flag_and_file_and_switched_off_by_zero() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claviger.toml");
        std::fs::write(
            &file,
            "public_url = \"https://login.example.com\"\n\
             rate_limit_app = 0\nrate_limit_address = \"5/m burst 7\"\n\
             rate_limit_external_id = \"5/m\"\n",
        )
        .unwrap();
        let flags = Options {
            rate_limit_external_id: Some("off".parse().unwrap()),
            ..Options::default()
        };
        let limits = flags.resolve(Some(&file)).unwrap().rate_limits;
        assert_eq!(limits.app, RateLimit::Off);
        assert_eq!(limits.address.to_string(), "5/m burst 7");
        assert_eq!(limits.external_id, RateLimit::Off);
        std::fs::write(&file, "rate_limit_app = \"often\"\n").unwrap();
        let error = Options::default().resolve(Some(&file)).unwrap_err();
        assert!(error.to_string().contains("10/s burst 100"), "{error}");
    }

    #[test]
    fn an_authenticators_file_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authenticators.json");
        let read = || {
            let options = Options {
                authenticators_file: Some(file.clone()),
                ..Options::default()
            };
            config(options).read_authenticators().map(drop)
        };
        let refused = |reason: &str| {
            let error = read().unwrap_err().to_string();
            assert!(error.contains(&*file.to_string_lossy()), "{error}");
            assert!(error.contains(reason), "{error}");
        };
        refused("No such file");
        std::fs::write(&file, "[]").unwrap();
        refused("icon_light");
        std::fs::write(&file, r#"{"Bitwarden": {"name": "Bitwarden"}}"#).unwrap();
        refused("\"Bitwarden\" is not an AAGUID");
        std::fs::write(&file, "{}").unwrap();
        read().unwrap();
    }

    #[test]
    fn dev_listens_on_loopback_only() {
        let open = Options {
            listen: Some("0.0.0.0:8082".parse().unwrap()),
            ..Options::default()
        };
        assert!(config(open).check_for_dev().is_err());
        assert!(config(Options::default()).check_for_dev().is_ok());
    }

    #[test]
    fn a_master_key_is_made_once_and_must_stay_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let config = config(Options {
            data_dir: Some(folder.path().join("data")),
            ..Options::default()
        });
        let refused = || config.open_vault().map(drop).unwrap_err().to_string();
        let make_folder = format!("; mkdir -p {} && head", config.data_dir.display());
        assert!(refused().contains(&make_folder), "{}", refused());
        config.create_data_dir().unwrap();
        assert!(!refused().contains("mkdir"), "{}", refused());
        config.create_master_key(&Entropy::system()).unwrap();
        let sealed = config.open_vault().unwrap().seal("p", b"s").unwrap();
        config.create_master_key(&Entropy::system()).unwrap();
        assert!(config.open_vault().unwrap().open("p", &sealed).is_ok());
        let exposed = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(&config.master_key_file, exposed).unwrap();
        let error = config.open_vault().unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
