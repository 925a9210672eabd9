//! Apps, their native clients and their API keys at the terminal. What may be
//! set to what is decided by the passkey product.

use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use passkeys::{
    ApiKeyId, App, AppChanges, NativeClient, NativeClientId, NativeSoftware, NewApp, Passkeys,
    SettingsChanges, TrustCertificate, algorithm_named,
};
use platform::Platform;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    cli::{
        ApiKeyCommand, AppArgs, AppCommand, AppUpdateArgs, NativeClientArgs, NativeClientCommand,
    },
    commands::{
        CommandError, accounts, answer, answer_list, find_app, first_organization, refused, time,
    },
};

pub(crate) async fn run(platform: Platform, command: AppCommand) -> Result<(), CommandError> {
    let passkeys = Passkeys::new(platform.clone());
    match command {
        AppCommand::Create {
            name,
            origin,
            rp_id,
            json,
        } => {
            let organization = first_organization(&accounts(&platform)).await?;
            let new = NewApp {
                name,
                auth_origin: origin,
                rp_id,
                ..NewApp::default()
            };
            let app = passkeys
                .create_app(&organization.id, new)
                .await
                .map_err(refused)?;
            answer(json, &summary(&app));
        }
        AppCommand::List { json } => {
            let organization = first_organization(&accounts(&platform)).await?;
            let apps = passkeys.list_apps(&organization.id).await?;
            let apps: Vec<Value> = apps.iter().map(summary).collect();
            answer_list(
                json,
                "apps",
                apps,
                "There are no apps. `app create` makes one.",
            );
        }
        AppCommand::Show(AppArgs { app, json }) => {
            show(&find_app(&passkeys, &app).await?, json);
        }
        AppCommand::Update(arguments) => {
            let app = find_app(&passkeys, &arguments.app).await?;
            let app = passkeys
                .update_app(&app.id, changes(&arguments)?)
                .await
                .map_err(refused)?;
            show(&app, arguments.json);
        }
    }
    Ok(())
}

pub(crate) async fn run_native_client(
    passkeys: &Passkeys,
    command: NativeClientCommand,
) -> Result<(), CommandError> {
    match command {
        NativeClientCommand::Create(arguments) => {
            let json = arguments.json;
            let app = find_app(passkeys, &arguments.app).await?;
            let client = passkeys
                .create_native_client(&app.id, software(arguments))
                .await
                .map_err(refused)?;
            answer(json, &native_client(&client));
        }
        NativeClientCommand::List(AppArgs { app, json }) => {
            let app = find_app(passkeys, &app).await?;
            let clients = app.native_clients.iter();
            let clients = clients.map(native_client).collect();
            answer_list(
                json,
                "native_clients",
                clients,
                "The app has no native clients.",
            );
        }
        NativeClientCommand::Delete {
            app,
            native_client,
            json,
        } => {
            let app = find_app(passkeys, &app).await?;
            let id = NativeClientId::parse(&native_client).ok_or_else(|| {
                CommandError::Refused(format!(
                    "the app has no native client {native_client}; `native-client list` shows \
                     which it has"
                ))
            })?;
            passkeys
                .delete_native_client(&app.id, &id)
                .await
                .map_err(refused)?;
            answer(json, &json!({"deleted": id}));
        }
    }
    Ok(())
}

pub(crate) async fn run_api_key(
    passkeys: &Passkeys,
    command: ApiKeyCommand,
) -> Result<(), CommandError> {
    match command {
        ApiKeyCommand::Create { app, name, json } => {
            let app = find_app(passkeys, &app).await?;
            let key = passkeys
                .create_api_key(&app.id, &name)
                .await
                .map_err(refused)?;
            answer(
                json,
                &json!({
                    "api_key_id": key.api_key.id.as_str(),
                    "name": name,
                    "api_key": key.secret.expose_secret(),
                }),
            );
        }
        ApiKeyCommand::List(AppArgs { app, json }) => {
            let app = find_app(passkeys, &app).await?;
            let keys = passkeys.list_api_keys(&app.id).await?;
            let keys = keys
                .iter()
                .map(|key| {
                    json!({
                        "api_key_id": key.id.as_str(),
                        "name": key.name,
                        "key_prefix": key.prefix,
                        "created_at": time(key.created_at_ms),
                    })
                })
                .collect();
            answer_list(json, "api_keys", keys, "The app has no API keys.");
        }
        ApiKeyCommand::Delete { app, api_key, json } => {
            let app = find_app(passkeys, &app).await?;
            // The key itself is what people have at hand; it must not end up in a message.
            let id = ApiKeyId::parse(&api_key).ok_or_else(|| {
                CommandError::Refused(
                    "an API key is deleted by its id, which `api-key list` shows".into(),
                )
            })?;
            passkeys
                .delete_api_key(&app.id, &id)
                .await
                .map_err(refused)?;
            answer(json, &json!({"deleted": id.as_str()}));
        }
    }
    Ok(())
}

fn changes(arguments: &AppUpdateArgs) -> Result<AppChanges, CommandError> {
    let named = |name: &String| {
        algorithm_named(name).ok_or_else(|| {
            CommandError::Refused(format!(
                "{name:?} is none of the algorithms ES256, ES384, ES512, RS256 and EdDSA"
            ))
        })
    };
    let model = |text: &String| {
        Uuid::parse_str(text).map_err(|_| {
            CommandError::Refused(format!(
                "{text:?} is not an AAGUID, such as 01234567-89ab-cdef-0123-456789abcdef"
            ))
        })
    };
    let ms = |duration: Option<SignedDuration>| {
        duration.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    };
    let origins = |list: &Option<Vec<String>>| list.as_deref().map(|list| entries(list).to_vec());
    Ok(AppChanges {
        name: arguments.name.clone(),
        auth_origin: arguments.origin.clone(),
        additional_auth_origins: origins(&arguments.additional_origins),
        rp_id: arguments.rp_id.clone(),
        force: arguments.force,
        settings: SettingsChanges {
            user_verification: arguments.user_verification,
            counter_policy: arguments.counter_policy,
            algorithms: arguments
                .algorithms
                .as_deref()
                .map(|names| names.iter().map(named).collect())
                .transpose()?,
            attestation: arguments.attestation,
            trust_anchors: arguments
                .trust_anchors
                .as_deref()
                .map(read_certificates)
                .transpose()?,
            allowed_aaguids: arguments
                .allowed_aaguids
                .as_deref()
                .map(|list| entries(list).iter().map(model).collect())
                .transpose()?,
            denied_aaguids: arguments
                .denied_aaguids
                .as_deref()
                .map(|list| entries(list).iter().map(model).collect())
                .transpose()?,
            uses_metadata: arguments.metadata,
            allows_synced_passkeys: arguments.synced_passkeys,
            public_signup: arguments.sign_up,
            embedding_origins: origins(&arguments.embedding_origins),
            transaction_lifetime_ms: ms(arguments.transaction_lifetime),
            handshake_lifetime_ms: ms(arguments.handshake_lifetime),
            discoverable_handshake_lifetime_ms: ms(arguments.discoverable_handshake_lifetime),
            nonce_lifetime_ms: ms(arguments.nonce_lifetime),
            timeout_ms: ms(arguments.timeout),
            event_retention_ms: arguments
                .event_retention_days
                .map(|days| i64::from(days) * DAY_MS),
        },
    })
}

/// The entries of a list that was given; none for the word `none`.
fn entries<T: AsRef<Path>>(list: &[T]) -> &[T] {
    match list {
        [only] if only.as_ref() == Path::new("none") => &[],
        list => list,
    }
}

fn read_certificates(files: &[PathBuf]) -> Result<Vec<TrustCertificate>, CommandError> {
    let read = |file: &PathBuf| {
        let name = file.display();
        let bytes = std::fs::read(file)
            .map_err(|error| CommandError::System(format!("reading {name}"), error))?;
        TrustCertificate::read(&bytes).map_err(|_| {
            CommandError::Refused(format!("{name} has no X.509 certificate in PEM or DER"))
        })
    };
    let lists: Vec<_> = entries(files).iter().map(read).collect::<Result<_, _>>()?;
    Ok(lists.concat())
}

fn software(arguments: NativeClientArgs) -> NativeSoftware {
    match arguments.package {
        Some(package_name) => NativeSoftware::Android {
            package_name,
            sha256_cert_fingerprints: arguments.fingerprints,
        },
        None => NativeSoftware::Apple {
            team_id: arguments.team.unwrap_or_default(),
            bundle_id: arguments.bundle.unwrap_or_default(),
        },
    }
}

fn summary(app: &App) -> Value {
    json!({
        "app_id": app.id,
        "name": app.name,
        "auth_origin": app.auth_origin,
        "rp_id": app.rp_id,
    })
}

fn show(app: &App, json: bool) {
    let mut shown = summary(app);
    shown["additional_auth_origins"] = json!(app.additional_auth_origins);
    shown["public_signup"] = json!(app.settings.public_signup);
    if json {
        shown["settings"] = app.settings.to_json();
        let clients = app.native_clients.iter();
        shown["native_clients"] = clients.map(native_client).collect();
    } else {
        for (name, value) in app.settings.to_json().as_object().into_iter().flatten() {
            let (name, value) = for_people(name, value);
            shown[name] = value;
        }
        shown["native_clients"] = json!(app.native_clients.len());
    }
    answer(json, &shown);
}

/// A setting as people read it: its name without the unit, and its value.
fn for_people<'a>(name: &'a str, value: &Value) -> (&'a str, Value) {
    match (name.strip_suffix("_ms"), value) {
        (Some(name), Value::Number(ms)) => {
            let ms = ms.as_i64().unwrap_or_default();
            let time = match ms % DAY_MS {
                0 => format!("{} days", ms / DAY_MS),
                _ => format!("{:#}", SignedDuration::from_millis(ms)),
            };
            (name, json!(time))
        }
        (_, Value::Array(certificates)) if name == "trust_anchors" => {
            (name, json!(certificates.len()))
        }
        (_, value) => (name, value.clone()),
    }
}

fn native_client(client: &NativeClient) -> Value {
    let mut shown = json!(client.software);
    shown["native_client_id"] = json!(client.id);
    shown
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
