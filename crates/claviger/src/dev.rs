//! What `claviger dev` makes on its first start, and shows on every start: an
//! organization, an app with an API key, an access key, a user pool with an app
//! client, and three functions as its custom-auth triggers.
//!
//! What a person must be able to read again (keys are kept as hashes) lies in
//! `dev.json` in the data folder, readable by its owner only.

use std::{collections::BTreeMap, io::Write as _, path::PathBuf};

use functions::{Environment, NewFunction, Permission};
use passkeys::{AppId, NewApp};
use platform::Fault;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    cli::{DevArgs, Trigger},
    commands::{CommandError, first_organization},
    config::{Config, write_private},
    serve::Products,
};

/// What was made, with the secrets that are shown once.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Seed {
    account_id: String,
    app_id: String,
    auth_origin: String,
    api_key: String,
    access_key_id: String,
    secret_access_key: String,
    user_pool_id: String,
    app_client_id: String,
    functions: Vec<String>,
}

/// Makes what is missing. A start that was cut short is continued by the next:
/// each thing is noted as soon as it exists.
pub async fn seed(
    config: &Config,
    products: &Products,
    arguments: &DevArgs,
) -> Result<Seed, CommandError> {
    let notes = Notes::open(config)?;
    let mut seed = notes.read()?;
    let organization = first_organization(&products.accounts).await?;
    if seed.account_id != organization.account_id {
        // The notes are of another database.
        seed = Seed {
            account_id: organization.account_id.clone(),
            ..Seed::default()
        };
    }
    if seed.app_id.is_empty() {
        let new = NewApp {
            name: "Claviger demo".into(),
            auth_origin: arguments.app_origin.clone(),
            ..NewApp::default()
        };
        let app = products
            .passkeys
            .create_app(&organization.id, new)
            .await
            .map_err(refused)?;
        seed.app_id = app.id.as_str().to_owned();
        seed.auth_origin = app.auth_origin;
        notes.write(&seed)?;
    }
    if seed.api_key.is_empty() {
        let app_id = AppId::parse(&seed.app_id)
            .ok_or_else(|| Fault::new("the notes of dev hold no app id"))?;
        let key = products
            .passkeys
            .create_api_key(&app_id, "dev")
            .await
            .map_err(refused)?;
        seed.api_key = key.secret.expose_secret().to_owned();
        notes.write(&seed)?;
    }
    if seed.access_key_id.is_empty() {
        let key = products
            .accounts
            .create_access_key(&organization.id, "dev")
            .await?;
        seed.secret_access_key = key.secret.expose_secret().to_owned();
        seed.access_key_id = key.id;
        notes.write(&seed)?;
    }
    for trigger in Trigger::ALL {
        let name = trigger.name();
        if !seed.functions.iter().any(|made| made == name) {
            // Left over from a start that was cut short, or whose notes are lost.
            let functions = &products.functions;
            if functions
                .find_function(&organization.id, name)
                .await?
                .is_some()
            {
                functions
                    .delete_function(&organization.id, name)
                    .await
                    .map_err(refused)?;
            }
            products
                .functions
                .create_function(&organization, new_function(trigger, &seed)?)
                .await
                .map_err(refused)?;
            products
                .functions
                .add_permission(
                    &organization.id,
                    name,
                    permission_for_pools(config, &seed),
                    None,
                )
                .await
                .map_err(refused)?;
            seed.functions.push(name.to_owned());
            notes.write(&seed)?;
        }
    }
    if seed.user_pool_id.is_empty() {
        let pool = products
            .pools
            .create_user_pool(&organization, &user_pool_request(config, &seed))
            .await
            .map_err(refused)?;
        seed.user_pool_id = text(&pool, "/UserPool/Id")?;
        notes.write(&seed)?;
    }
    if seed.app_client_id.is_empty() {
        let client = products
            .pools
            .create_user_pool_client(&organization, &app_client_request(&seed))
            .await
            .map_err(refused)?;
        seed.app_client_id = text(&client, "/UserPoolClient/ClientId")?;
        notes.write(&seed)?;
    }
    Ok(seed)
}

fn new_function(trigger: Trigger, seed: &Seed) -> Result<NewFunction, CommandError> {
    let name = trigger.name();
    // Define decides by the history of the sign-in alone and needs no credentials.
    let variables = match trigger {
        Trigger::DefineAuthChallenge => BTreeMap::new(),
        Trigger::CreateAuthChallenge | Trigger::VerifyAuthChallenge => BTreeMap::from([
            ("PASSAGE_APP_ID".to_owned(), seed.app_id.clone()),
            ("PASSAGE_API_KEY".to_owned(), seed.api_key.clone()),
        ]),
    };
    let role = format!("arn:aws:iam::{}:role/claviger-dev", seed.account_id);
    let zip = bootstrap_zip(name)?;
    Ok(NewFunction {
        description: "A custom-auth trigger of the guide".into(),
        timeout_s: 5,
        environment: Environment::new(variables),
        ..NewFunction::new(name, "provided.al2023", "bootstrap", &role, zip)
    })
}

/// A package whose bootstrap is this very program in the part of a trigger: a
/// laptop needs no second build for it.
fn bootstrap_zip(trigger: &str) -> Result<Vec<u8>, Fault> {
    let zipped = || -> zip::result::ZipResult<Vec<u8>> {
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file(
            "bootstrap",
            SimpleFileOptions::default().unix_permissions(0o755),
        )?;
        writeln!(
            zip,
            "#!/bin/sh\nexec \"$CLAVIGER_PROGRAM\" trigger {trigger}"
        )?;
        Ok(zip.finish()?.into_inner())
    };
    zipped().map_err(|error| Fault::while_doing("packaging a trigger", error))
}

fn user_pool_request(config: &Config, seed: &Seed) -> Map<String, Value> {
    let arn = |trigger: Trigger| {
        format!(
            "arn:aws:lambda:{}:{}:function:{}",
            config.region,
            seed.account_id,
            trigger.name()
        )
    };
    members(json!({
        "PoolName": "claviger-demo",
        "UsernameAttributes": ["email"],
        "UsernameConfiguration": {"CaseSensitive": false},
        "LambdaConfig": {
            "DefineAuthChallenge": arn(Trigger::DefineAuthChallenge),
            "CreateAuthChallenge": arn(Trigger::CreateAuthChallenge),
            "VerifyAuthChallengeResponse": arn(Trigger::VerifyAuthChallenge),
        },
    }))
}

/// Lets every user pool of the organization call the function.
fn permission_for_pools(config: &Config, seed: &Seed) -> Permission {
    Permission {
        statement_id: "user-pools".into(),
        action: "lambda:InvokeFunction".into(),
        principal: "cognito-idp.amazonaws.com".into(),
        source_arn: Some(format!(
            "arn:aws:cognito-idp:{}:{}:userpool/*",
            config.region, seed.account_id
        )),
        source_account: None,
    }
}

fn app_client_request(seed: &Seed) -> Map<String, Value> {
    members(json!({
        "UserPoolId": seed.user_pool_id,
        "ClientName": "claviger-demo",
        "ExplicitAuthFlows": [
            "ALLOW_USER_PASSWORD_AUTH",
            "ALLOW_CUSTOM_AUTH",
            "ALLOW_REFRESH_TOKEN_AUTH",
        ],
    }))
}

/// The members of an object that stands right here.
fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String, Fault> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| Fault::new(format!("the answer has no {pointer}")))
}

fn refused(error: impl std::fmt::Display) -> CommandError {
    CommandError::Refused(format!("the first start could not be finished: {error}"))
}

/// `dev.json`.
struct Notes(PathBuf);

impl Notes {
    fn open(config: &Config) -> Result<Notes, CommandError> {
        Ok(Notes(config.data_dir.join("dev.json")))
    }

    fn read(&self) -> Result<Seed, CommandError> {
        match std::fs::read(&self.0) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                CommandError::Refused(format!(
                    "{} is damaged ({error}). Move it away, and the next start makes new keys.",
                    self.0.display()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Seed::default()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn write(&self, seed: &Seed) -> Result<(), CommandError> {
        let text = serde_json::to_string_pretty(seed)
            .map_err(|error| Fault::while_doing("writing the notes of dev", error))?;
        write_private(&self.0, &text).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: std::io::Error) -> CommandError {
        CommandError::System(self.0.display().to_string(), error)
    }
}

impl Seed {
    /// All of it as one line, for programs.
    pub fn to_json(&self, config: &Config) -> Value {
        let mut answer = json!(self);
        answer["url"] = config.public_url().into();
        answer["region"] = config.region.clone().into();
        answer["data_dir"] = config.data_dir.display().to_string().into();
        answer
    }

    /// All of it as a table, for people.
    pub fn to_table(&self, config: &Config) -> String {
        let url = config.public_url();
        let rows = [
            ("Claviger", url.clone()),
            ("", String::new()),
            ("Passkey app", self.app_id.clone()),
            ("  origin", self.auth_origin.clone()),
            ("  API", format!("{url}/v1")),
            ("  API key", self.api_key.clone()),
            ("", String::new()),
            ("User pool", self.user_pool_id.clone()),
            ("  app client", self.app_client_id.clone()),
            (
                "  key set",
                format!("{url}/{}/.well-known/jwks.json", self.user_pool_id),
            ),
            ("  triggers", self.functions.join(", ")),
            ("", String::new()),
            ("AWS clients", format!("--endpoint-url {url}")),
            ("  region", config.region.clone()),
            ("  access key", self.access_key_id.clone()),
            ("  secret", self.secret_access_key.clone()),
            ("", String::new()),
            ("Data", config.data_dir.display().to_string()),
            ("Stop", "Ctrl-C".to_owned()),
        ];
        let mut table = String::from("\n");
        for (name, value) in rows {
            table.push_str(format!("  {name:<15}{value}").trim_end());
            table.push('\n');
        }
        table
    }
}
