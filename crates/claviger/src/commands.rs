//! What each sub-command does.

use accounts::{Accounts, Organization, SignaturePolicy};
use passkeys::{App, AppId, Passkeys};
use platform::{Clock, Db, Entropy, Fault, Platform};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{
    apps,
    cli::{AccessKeyCommand, Cli, Command, DevArgs, Trigger},
    config::{CodeDelivery, Config, ConfigError},
    dev, metadata,
    serve::{self, Products},
    telemetry, transfer, webhooks,
};

/// Why a command failed; its text is for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What was asked for cannot be done; says why.
    #[error("{0}")]
    Refused(String),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The operating system.
    #[error("{0}: {1}")]
    System(String, #[source] std::io::Error),
    /// A trigger ended.
    #[error("the trigger ended: {0}")]
    Trigger(String),
}

/// Runs what the command line says.
pub fn run(cli: Cli) -> Result<(), CommandError> {
    let command = cli
        .command
        .unwrap_or_else(|| Command::Dev(DevArgs::default()));
    // A trigger runs as a function: without settings, data or secrets of the server.
    if let Command::Trigger { trigger } = command {
        return run_trigger(trigger);
    }
    let config = cli.options.resolve(cli.config.as_deref())?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::System("starting the runtime".into(), error))?
        .block_on(async {
            match command {
                Command::Dev(arguments) => run_dev(config, &arguments).await,
                Command::Serve => run_serve(config).await,
                Command::App(command) => apps::run(open_platform(&config).await?, command).await,
                Command::NativeClient(command) => {
                    let passkeys = Passkeys::new(open_platform(&config).await?);
                    apps::run_native_client(&passkeys, command).await
                }
                Command::ApiKey(command) => {
                    let passkeys = Passkeys::new(open_platform(&config).await?);
                    apps::run_api_key(&passkeys, command).await
                }
                Command::AccessKey(AccessKeyCommand::Create { name, json }) => {
                    create_access_key(&config, &name, json).await
                }
                Command::Webhook(command) => {
                    let platform = open_platform(&config).await?;
                    webhooks::run(platform, &config, command).await
                }
                Command::Metadata(command) => {
                    let passkeys = Passkeys::new(open_platform(&config).await?);
                    metadata::run(&passkeys, command).await
                }
                Command::Import(arguments) => {
                    let passkeys = Passkeys::new(open_platform(&config).await?);
                    transfer::import(&passkeys, &arguments).await
                }
                Command::Export(arguments) => {
                    let passkeys = Passkeys::new(open_platform(&config).await?);
                    transfer::export(&passkeys, &arguments).await
                }
                Command::Trigger { .. } => unreachable!("handled above"),
            }
        })
}

async fn run_dev(mut config: Config, arguments: &DevArgs) -> Result<(), CommandError> {
    config.check_for_dev()?;
    config.code_delivery = CodeDelivery::Log;
    config.webhook_private_addresses.get_or_insert(true);
    telemetry::init(&config)?;
    config.create_data_dir()?;
    config.create_master_key(&Entropy::system())?;
    let listener = listen(&mut config).await?;
    let platform = open_platform(&config).await?;
    let products = Products::new(&config, &platform, SignaturePolicy::WellFormed)?;
    let seed = dev::seed(&config, &products, arguments).await?;
    let running = start(products, &platform, listener)?;
    if arguments.json {
        println!("{}", seed.to_json(&config));
    } else {
        println!("{}", seed.to_table(&config));
    }
    run_until_stopped(running).await
}

async fn run_serve(mut config: Config) -> Result<(), CommandError> {
    config.check_for_serve()?;
    telemetry::init(&config)?;
    let listener = listen(&mut config).await?;
    let platform = open_platform(&config).await?;
    let products = Products::new(&config, &platform, SignaturePolicy::Verify)?;
    let running = start(products, &platform, listener)?;
    tracing::info!(
        address = %running.address,
        public_url = config.public_url(),
        "serving"
    );
    run_until_stopped(running).await
}

fn run_trigger(trigger: Trigger) -> Result<(), CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::System("starting the runtime".into(), error))?
        .block_on(async {
            match trigger {
                Trigger::DefineAuthChallenge => triggers::define_auth_challenge().await,
                Trigger::CreateAuthChallenge => triggers::create_auth_challenge().await,
                Trigger::VerifyAuthChallenge => triggers::verify_auth_challenge().await,
            }
        })
        .map_err(|error| CommandError::Trigger(error.to_string()))
}

async fn create_access_key(config: &Config, name: &str, json: bool) -> Result<(), CommandError> {
    let accounts = accounts(&open_platform(config).await?);
    let organization = first_organization(&accounts).await?;
    let key = accounts.create_access_key(&organization.id, name).await?;
    answer(
        json,
        &json!({
            "access_key_id": key.id,
            "secret_access_key": key.secret.expose_secret(),
            "account_id": organization.account_id,
            "name": name,
        }),
    );
    Ok(())
}

/// The app that was named on the command line.
pub(crate) async fn find_app(passkeys: &Passkeys, app_id: &str) -> Result<App, CommandError> {
    let app = match AppId::parse(app_id) {
        Some(id) => passkeys.find_app(&id).await?,
        None => None,
    };
    app.ok_or_else(|| {
        CommandError::Refused(format!(
            "there is no app with the id {app_id}; `app list` shows which there are"
        ))
    })
}

pub(crate) fn refused(error: impl std::fmt::Display) -> CommandError {
    CommandError::Refused(error.to_string())
}

/// The organization that the sub-commands act for; made when there is none yet.
pub(crate) async fn first_organization(accounts: &Accounts) -> Result<Organization, Fault> {
    match accounts.find_first_organization().await? {
        Some(organization) => Ok(organization),
        None => accounts.create_organization("Default").await,
    }
}

/// For sub-commands, which check no signatures.
pub(crate) fn accounts(platform: &Platform) -> Accounts {
    Accounts::new(platform.clone(), SignaturePolicy::Verify)
}

/// The ground alone. A sub-command must not put up the products: the function
/// runner would take the processes of the running server for left-overs.
async fn open_platform(config: &Config) -> Result<Platform, CommandError> {
    let vault = config.open_vault()?;
    config.create_data_dir()?;
    let clock = Clock::system();
    Ok(Platform {
        db: Db::open(&config.database, clock.now_ms()).await?,
        clock,
        entropy: Entropy::system(),
        vault,
    })
}

/// Binds before anything else happens, so that a taken port changes nothing;
/// afterwards the settings name the true port.
async fn listen(config: &mut Config) -> Result<TcpListener, CommandError> {
    let failed = |error| CommandError::System(format!("listening on {}", config.listen), error);
    let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
    config.listen = listener.local_addr().map_err(failed)?;
    Ok(listener)
}

fn start(
    products: Products,
    platform: &Platform,
    listener: TcpListener,
) -> Result<serve::Running, CommandError> {
    serve::start(products, platform, listener)
        .map_err(|error| CommandError::System("starting the server".into(), error))
}

async fn run_until_stopped(running: serve::Running) -> Result<(), CommandError> {
    let watching = |error| CommandError::System("watching for signals".into(), error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(watching)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(watching)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping");
    running.stop().await;
    Ok(())
}

/// Prints what was made: JSON on one line, or a line for each value.
pub(crate) fn answer(json: bool, made: &Value) {
    if json {
        println!("{made}");
        return;
    }
    let members = made.as_object().into_iter().flatten();
    let longest = members.clone().map(|(name, _)| name.len()).max();
    let width = longest.unwrap_or_default().max(18);
    for (name, value) in members {
        println!("{name:<width$} {}", in_words(value));
    }
}

/// Prints a list: JSON on one line, or the entries with a line between; `nothing`
/// tells people that it is empty.
pub(crate) fn answer_list(json: bool, name: &str, list: Vec<Value>, nothing: &str) {
    if json {
        println!("{}", json!({name: list}));
        return;
    }
    if list.is_empty() {
        println!("{nothing}");
    }
    for (at, entry) in list.iter().enumerate() {
        if at > 0 {
            println!();
        }
        answer(false, entry);
    }
}

/// A time as answers show it, to the second.
pub(crate) fn time(at_ms: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(at_ms).ok()?;
    Some(format!("{time:.0}"))
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Array(list) if list.is_empty() => "none".into(),
        Value::Array(list) => list.iter().map(in_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
