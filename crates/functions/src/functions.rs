//! A function: its configuration, its environment and which package it runs.

use std::collections::BTreeMap;

use accounts::Organization;
use platform::{Fault, Row, Tx, Vault, values};
use serde_json::json;

use crate::{
    Environment, Error, Functions, Refusal,
    names::{self, FunctionReference},
    packages::Package,
    runtimes::Runtime,
};

/// A function as it is stored. Its version is always `$LATEST`.
#[derive(Clone, Debug)]
pub struct Function {
    pub(crate) id: String,
    pub(crate) organization_id: String,
    /// 12 digits, in the function's ARN.
    pub account_id: String,
    /// Unique in the organization.
    pub name: String,
    /// Free text, may be empty.
    pub description: String,
    /// As on the wire, such as `nodejs20.x`.
    pub runtime: String,
    /// What the runtime calls; only passed on to a `provided` runtime.
    pub handler: String,
    /// ARN of a role that means nothing here.
    pub role: String,
    /// How long one invocation may take.
    pub timeout_s: i64,
    /// How much memory the function may use.
    pub memory_mb: i64,
    /// How large its temporary files may be.
    pub ephemeral_storage_mb: i64,
    /// As on the wire, such as `x86_64`.
    pub architecture: String,
    /// As on the wire, such as `PassThrough`.
    pub tracing_mode: String,
    /// As on the wire, such as `/aws/lambda/name`.
    pub log_group: String,
    /// Names and values for whoever deploys; they mean nothing here.
    pub tags: BTreeMap<String, String>,
    /// The variables its owner gave it.
    pub environment: Environment,
    pub(crate) credentials_sealed: Option<Vec<u8>>,
    /// SHA-256 of the zip, in hexadecimal.
    pub package_sha256: String,
    /// Size of the zip.
    pub package_size_bytes: i64,
    /// New at every change of code or configuration.
    pub revision_id: String,
    pub(crate) policy_revision_id: String,
    pub(crate) updated_at_ms: i64,
}

/// What a function is created from. Every field but the first five has the contract's default in
/// [`NewFunction::new`]. Not `Debug`: a package may hold secrets.
#[derive(Clone)]
pub struct NewFunction {
    /// At most 64 characters of `[A-Za-z0-9-_]`.
    pub name: String,
    /// As on the wire, such as `nodejs20.x`.
    pub runtime: String,
    /// At most 128 characters without white space.
    pub handler: String,
    /// ARN of any role.
    pub role: String,
    /// The package, as uploaded.
    pub zip: Vec<u8>,
    /// Free text.
    pub description: String,
    /// 1 to 900.
    pub timeout_s: i64,
    /// 128 to 10240.
    pub memory_mb: i64,
    /// 512 to 10240.
    pub ephemeral_storage_mb: i64,
    /// `x86_64` or `arm64`.
    pub architecture: String,
    /// `PassThrough` or `Active`; nothing traces here.
    pub tracing_mode: String,
    /// `/aws/lambda/<name>` unless given.
    pub log_group: Option<String>,
    /// Kept and shown.
    pub tags: BTreeMap<String, String>,
    /// The function's own variables.
    pub environment: Environment,
}

impl NewFunction {
    /// A function with the contract's defaults (lambda.md §4).
    pub fn new(name: &str, runtime: &str, handler: &str, role: &str, zip: Vec<u8>) -> NewFunction {
        NewFunction {
            name: name.to_owned(),
            runtime: runtime.to_owned(),
            handler: handler.to_owned(),
            role: role.to_owned(),
            zip,
            description: String::new(),
            timeout_s: 3,
            memory_mb: 128,
            ephemeral_storage_mb: 512,
            architecture: "x86_64".into(),
            tracing_mode: "PassThrough".into(),
            log_group: None,
            tags: BTreeMap::new(),
            environment: Environment::default(),
        }
    }
}

/// New code for a function. Not `Debug`: a package may hold secrets.
#[derive(Clone, Default)]
pub struct CodeUpdate {
    /// The package, as uploaded.
    pub zip: Vec<u8>,
    /// A new architecture, if it changes.
    pub architecture: Option<String>,
    /// The revision that is to be changed, if the caller cares.
    pub revision_id: Option<String>,
    /// Checks everything and changes nothing.
    pub is_dry_run: bool,
}

/// New configuration for a function: what is absent keeps its value.
#[derive(Clone, Debug, Default)]
pub struct ConfigurationUpdate {
    /// See [`NewFunction::description`].
    pub description: Option<String>,
    /// See [`NewFunction::runtime`].
    pub runtime: Option<String>,
    /// See [`NewFunction::handler`].
    pub handler: Option<String>,
    /// See [`NewFunction::role`].
    pub role: Option<String>,
    /// See [`NewFunction::timeout_s`].
    pub timeout_s: Option<i64>,
    /// See [`NewFunction::memory_mb`].
    pub memory_mb: Option<i64>,
    /// See [`NewFunction::ephemeral_storage_mb`].
    pub ephemeral_storage_mb: Option<i64>,
    /// See [`NewFunction::tracing_mode`].
    pub tracing_mode: Option<String>,
    /// See [`NewFunction::log_group`].
    pub log_group: Option<String>,
    /// Replaces all variables.
    pub environment: Option<Environment>,
    /// The revision that is to be changed, if the caller cares.
    pub revision_id: Option<String>,
}

macro_rules! select_functions {
    ($rest:literal) => {
        concat!(
            "SELECT id, organization_id, account_id, name, description, runtime, handler, role,
                timeout_s, memory_mb, ephemeral_storage_mb, architecture, tracing_mode, log_group,
                tags, environment_sealed, credentials_sealed, package_sha256, package_size_bytes,
                revision_id, policy_revision_id, updated_at_ms
             FROM functions_functions ",
            $rest
        )
    };
}

impl Functions {
    /// Creates a function and makes its package ready to run on this node.
    ///
    /// Refuses a name in use, a runtime that does not run here, a role of another shape, and a zip
    /// that cannot be read or is not safe to unpack, in this order.
    pub async fn create_function(
        &self,
        organization: &Organization,
        new: NewFunction,
    ) -> Result<Function, Error> {
        if !names::is_name(&new.name) {
            return Err(Refusal::InvalidParameter(format!(
                "The function name {:?} is not 1 to 64 characters of [a-zA-Z0-9-_].",
                new.name
            ))
            .into());
        }
        let name_is_in_use = Refusal::FunctionExists {
            name: new.name.clone(),
        };
        if self
            .find_function(&organization.id, &new.name)
            .await?
            .is_some()
        {
            return Err(name_is_in_use.into());
        }
        Runtime::parse(&new.runtime)?;
        check_role(&new.role)?;
        new.environment.check()?;
        let package = self.inner.packages.unpack(new.zip).await?;

        let platform = &self.inner.platform;
        let now_ms = platform.clock.now_ms();
        let function = Function {
            id: platform.entropy.uuid_at(now_ms).to_string(),
            organization_id: organization.id.clone(),
            account_id: organization.account_id.clone(),
            log_group: new
                .log_group
                .unwrap_or_else(|| format!("/aws/lambda/{}", new.name)),
            name: new.name,
            description: new.description,
            runtime: new.runtime,
            handler: new.handler,
            role: new.role,
            timeout_s: new.timeout_s,
            memory_mb: new.memory_mb,
            ephemeral_storage_mb: new.ephemeral_storage_mb,
            architecture: new.architecture,
            tracing_mode: new.tracing_mode,
            tags: new.tags,
            environment: new.environment,
            credentials_sealed: None,
            package_sha256: package.sha256.clone(),
            package_size_bytes: package.size_bytes(),
            revision_id: platform.entropy.uuid().to_string(),
            policy_revision_id: platform.entropy.uuid().to_string(),
            updated_at_ms: now_ms,
        };
        let environment_sealed = seal(&platform.vault, &function)?;
        let row = function.clone();
        let is_created = platform
            .db
            .write(async move |tx| {
                package.store(tx).await?;
                let created = tx
                    .execute(
                        "INSERT INTO functions_functions (
                            id, organization_id, account_id, name, description, runtime, handler,
                            role, timeout_s, memory_mb, ephemeral_storage_mb, architecture,
                            tracing_mode, log_group, tags, environment_sealed, package_sha256,
                            package_size_bytes, revision_id, policy_revision_id, created_at_ms,
                            updated_at_ms
                        ) VALUES (
                            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                            $17, $18, $19, $20, $21, $21
                        ) ON CONFLICT (organization_id, name) DO NOTHING",
                        values![
                            &row.id,
                            &row.organization_id,
                            &row.account_id,
                            &row.name,
                            &row.description,
                            &row.runtime,
                            &row.handler,
                            &row.role,
                            row.timeout_s,
                            row.memory_mb,
                            row.ephemeral_storage_mb,
                            &row.architecture,
                            &row.tracing_mode,
                            &row.log_group,
                            json!(row.tags).to_string(),
                            environment_sealed.clone(),
                            &row.package_sha256,
                            row.package_size_bytes,
                            &row.revision_id,
                            &row.policy_revision_id,
                            row.updated_at_ms
                        ],
                    )
                    .await?;
                if created == 0 {
                    // Of two creators of one name the other one was first.
                    Package::forget_unused(tx, &row.package_sha256).await?;
                }
                Ok::<_, Fault>(created == 1)
            })
            .await?;
        if is_created {
            Ok(function)
        } else {
            Err(name_is_in_use.into())
        }
    }

    /// The function called `name`: a name or an ARN, with or without `:$LATEST`.
    pub async fn find_function(
        &self,
        organization_id: &str,
        name: &str,
    ) -> Result<Option<Function>, Fault> {
        match FunctionReference::parse(name) {
            Some(reference) => self.find_by_reference(organization_id, &reference).await,
            None => Ok(None),
        }
    }

    /// The function, or the refusal that says there is none.
    pub(crate) async fn resolve(
        &self,
        organization_id: &str,
        reference: &FunctionReference,
    ) -> Result<Function, Error> {
        self.find_by_reference(organization_id, reference)
            .await?
            .ok_or_else(|| not_found(reference).into())
    }

    async fn find_by_reference(
        &self,
        organization_id: &str,
        reference: &FunctionReference,
    ) -> Result<Option<Function>, Fault> {
        if !reference.is_latest() {
            return Ok(None);
        }
        let (organization_id, name) = (organization_id.to_owned(), reference.name.clone());
        let vault = self.inner.platform.vault.clone();
        self.inner
            .platform
            .db
            .read(async move |tx| find_by_name(tx, &vault, &organization_id, &name).await)
            .await
    }

    pub(crate) async fn find_by_id(&self, id: &str) -> Result<Option<Function>, Fault> {
        let id = id.to_owned();
        let vault = self.inner.platform.vault.clone();
        self.inner
            .platform
            .db
            .read(async move |tx| {
                tx.row(select_functions!("WHERE id = $1"), values![id])
                    .await?
                    .map(|row| from_row(&row, &vault))
                    .transpose()
            })
            .await
    }

    /// A page of the organization's functions, oldest first, and where the next page begins.
    /// `after` is what an earlier page gave as its end.
    pub async fn list_functions(
        &self,
        organization_id: &str,
        after: Option<&str>,
        count_max: usize,
    ) -> Result<(Vec<Function>, Option<String>), Fault> {
        let (organization_id, after) = (
            organization_id.to_owned(),
            after.unwrap_or_default().to_owned(),
        );
        let vault = self.inner.platform.vault.clone();
        // One more than asked for tells whether there is a next page.
        let limit = i64::try_from(count_max).unwrap_or(i64::MAX - 1) + 1;
        let mut functions: Vec<Function> = self
            .inner
            .platform
            .db
            .read(async move |tx| {
                tx.rows(
                    select_functions!(
                        "WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3"
                    ),
                    values![organization_id, after, limit],
                )
                .await?
                .iter()
                .map(|row| from_row(row, &vault))
                .collect()
            })
            .await?;
        let has_more = functions.len() > count_max;
        functions.truncate(count_max);
        let next = functions
            .last()
            .filter(|_| has_more)
            .map(|last| last.id.clone());
        Ok((functions, next))
    }

    /// Puts other code into a function. Running instances end with the invocation they have.
    pub async fn update_function_code(
        &self,
        organization_id: &str,
        name: &str,
        update: CodeUpdate,
    ) -> Result<Function, Error> {
        let package = self.inner.packages.unpack(update.zip).await?;
        let (sha256, size_bytes) = (package.sha256.clone(), package.size_bytes());
        let change = move |function: &mut Function| {
            function.package_sha256.clone_from(&sha256);
            function.package_size_bytes = size_bytes;
            if let Some(architecture) = &update.architecture {
                function.architecture.clone_from(architecture);
            }
        };
        self.update(
            organization_id,
            name,
            update.revision_id,
            update.is_dry_run,
            Some(package),
            change,
        )
        .await
    }

    /// Changes a function's configuration. Running instances end with the invocation they have.
    pub async fn update_function_configuration(
        &self,
        organization_id: &str,
        name: &str,
        update: ConfigurationUpdate,
    ) -> Result<Function, Error> {
        if let Some(runtime) = &update.runtime {
            Runtime::parse(runtime)?;
        }
        if let Some(role) = &update.role {
            check_role(role)?;
        }
        if let Some(environment) = &update.environment {
            environment.check()?;
        }
        let revision_id = update.revision_id.clone();
        let change = move |function: &mut Function| {
            let new = update.clone();
            set(&mut function.description, new.description);
            set(&mut function.runtime, new.runtime);
            set(&mut function.handler, new.handler);
            set(&mut function.role, new.role);
            set(&mut function.timeout_s, new.timeout_s);
            set(&mut function.memory_mb, new.memory_mb);
            set(&mut function.ephemeral_storage_mb, new.ephemeral_storage_mb);
            set(&mut function.tracing_mode, new.tracing_mode);
            set(&mut function.log_group, new.log_group);
            set(&mut function.environment, new.environment);
        };
        self.update(organization_id, name, revision_id, false, None, change)
            .await
    }

    async fn update(
        &self,
        organization_id: &str,
        name: &str,
        expected_revision_id: Option<String>,
        is_dry_run: bool,
        package: Option<Package>,
        change: impl Fn(&mut Function) + Send + 'static,
    ) -> Result<Function, Error> {
        let reference = parse(name)?;
        if !reference.is_latest() {
            return Err(not_found(&reference).into());
        }
        let platform = &self.inner.platform;
        let organization_id = organization_id.to_owned();
        let vault = platform.vault.clone();
        let now_ms = platform.clock.now_ms();
        let revision_id = platform.entropy.uuid().to_string();
        let updated = platform
            .db
            .write(async move |tx| {
                let Some(mut function) =
                    find_by_name(tx, &vault, &organization_id, &reference.name).await?
                else {
                    return Err(Error::from(not_found(&reference)));
                };
                if expected_revision_id
                    .as_ref()
                    .is_some_and(|expected| *expected != function.revision_id)
                {
                    return Err(Refusal::RevisionMismatch.into());
                }
                let (old_revision_id, old_package) = (
                    function.revision_id.clone(),
                    function.package_sha256.clone(),
                );
                change(&mut function);
                function.updated_at_ms = now_ms;
                if is_dry_run {
                    return Ok(function);
                }
                function.revision_id.clone_from(&revision_id);
                if let Some(package) = &package {
                    package.store(tx).await?;
                }
                // Against another update at the same moment: the one that finds the revision it
                // has read wins.
                let updated = tx
                    .execute(
                        "UPDATE functions_functions SET
                            description = $3, runtime = $4, handler = $5, role = $6,
                            timeout_s = $7, memory_mb = $8, ephemeral_storage_mb = $9,
                            architecture = $10, tracing_mode = $11, log_group = $12,
                            environment_sealed = $13, package_sha256 = $14,
                            package_size_bytes = $15, revision_id = $16, updated_at_ms = $17
                         WHERE id = $1 AND revision_id = $2",
                        values![
                            &function.id,
                            old_revision_id,
                            &function.description,
                            &function.runtime,
                            &function.handler,
                            &function.role,
                            function.timeout_s,
                            function.memory_mb,
                            function.ephemeral_storage_mb,
                            &function.architecture,
                            &function.tracing_mode,
                            &function.log_group,
                            seal(&vault, &function)?,
                            &function.package_sha256,
                            function.package_size_bytes,
                            &function.revision_id,
                            function.updated_at_ms
                        ],
                    )
                    .await?;
                if updated == 0 {
                    return Err(Refusal::UpdateInProgress {
                        function: function.name,
                    }
                    .into());
                }
                if old_package != function.package_sha256 {
                    Package::forget_unused(tx, &old_package).await?;
                }
                Ok(function)
            })
            .await?;
        if !is_dry_run {
            self.inner.fleet.retire_function(&updated.id);
        }
        Ok(updated)
    }

    /// Deletes a function with its policy, its waiting invocations and its logs. What runs ends
    /// with the invocation it has.
    pub async fn delete_function(&self, organization_id: &str, name: &str) -> Result<(), Error> {
        let reference = parse(name)?;
        if reference.qualifier.as_deref() == Some(names::LATEST) {
            return Err(Refusal::InvalidParameter(
                "$LATEST version cannot be deleted without deleting the function.".into(),
            )
            .into());
        }
        let function = self.resolve(organization_id, &reference).await?;
        let id = function.id.clone();
        let is_deleted = self
            .inner
            .platform
            .db
            .write(async move |tx| {
                for statement in [
                    "DELETE FROM functions_permissions WHERE function_id = $1",
                    "DELETE FROM functions_queue WHERE function_id = $1",
                    "DELETE FROM functions_logs WHERE function_id = $1",
                ] {
                    tx.execute(statement, values![&id]).await?;
                }
                let deleted = tx
                    .row(
                        "DELETE FROM functions_functions WHERE id = $1 RETURNING package_sha256",
                        values![&id],
                    )
                    .await?;
                let Some(row) = deleted else {
                    return Ok::<_, Fault>(false);
                };
                let sha256: String = row.get("package_sha256")?;
                Package::forget_unused(tx, &sha256).await?;
                Ok(true)
            })
            .await?;
        if !is_deleted {
            return Err(not_found(&reference).into());
        }
        self.inner.fleet.retire_function(&function.id);
        // After the row is gone: no instance can start and have a key made any more.
        self.inner
            .accounts
            .delete_access_keys(&function.organization_id, &access_key_name(&function.id))
            .await?;
        Ok(())
    }

    /// The key pair that instances of the function sign their own calls with. Made at the first
    /// start, because a key of a function that was never created would stay behind.
    pub(crate) async fn credentials(&self, function: &Function) -> Result<Credentials, Fault> {
        let vault = &self.inner.platform.vault;
        let purpose = credentials_purpose(&function.id);
        if let Some(sealed) = &function.credentials_sealed {
            return Credentials::from_bytes(&vault.open(&purpose, sealed)?);
        }
        let key = self
            .inner
            .accounts
            .create_access_key(&function.organization_id, &access_key_name(&function.id))
            .await?;
        let made = Credentials {
            access_key_id: key.id,
            secret: key.secret,
        };
        let (id, sealed) = (function.id.clone(), vault.seal(&purpose, &made.to_bytes())?);
        // Of two first starts at once one keeps its key; the other one's key works for the life of
        // its instance.
        self.inner
            .platform
            .db
            .write(async move |tx| {
                tx.execute(
                    "UPDATE functions_functions SET credentials_sealed = $2
                     WHERE id = $1 AND credentials_sealed IS NULL",
                    values![&id, &sealed],
                )
                .await
            })
            .await?;
        Ok(made)
    }
}

/// By the id and not by the name: a function that is made again under the same name is another one.
fn access_key_name(function_id: &str) -> String {
    format!("function {function_id}")
}

/// A key pair. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret: secrecy::SecretString,
}

impl Credentials {
    fn to_bytes(&self) -> Vec<u8> {
        use secrecy::ExposeSecret as _;
        format!("{}\n{}", self.access_key_id, self.secret.expose_secret()).into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Credentials, Fault> {
        let (access_key_id, secret) = std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.split_once('\n'))
            .ok_or_else(|| Fault::new("a function's key pair is damaged"))?;
        Ok(Credentials {
            access_key_id: access_key_id.to_owned(),
            secret: secret.into(),
        })
    }
}

/// Reads a name or an ARN; what is neither names no function.
pub(crate) fn parse(name: &str) -> Result<FunctionReference, Refusal> {
    FunctionReference::parse(name).ok_or_else(|| Refusal::FunctionNotFound {
        function: name.to_owned(),
    })
}

fn not_found(reference: &FunctionReference) -> Refusal {
    Refusal::FunctionNotFound {
        function: reference.qualified_name(),
    }
}

fn check_role(role: &str) -> Result<(), Refusal> {
    if names::is_role_arn(role) {
        return Ok(());
    }
    Err(Refusal::InvalidParameter(format!(
        "The role {role:?} is not of the shape arn:aws:iam::<12 digits>:role/<name>. Any role of \
         that shape is accepted."
    )))
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

async fn find_by_name(
    tx: &mut Tx,
    vault: &Vault,
    organization_id: &str,
    name: &str,
) -> Result<Option<Function>, Fault> {
    tx.row(
        select_functions!("WHERE organization_id = $1 AND name = $2"),
        values![organization_id, name],
    )
    .await?
    .map(|row| from_row(&row, vault))
    .transpose()
}

fn from_row(row: &Row, vault: &Vault) -> Result<Function, Fault> {
    let id: String = row.get("id")?;
    let environment = match row.get::<Option<Vec<u8>>>("environment_sealed")? {
        None => Environment::default(),
        Some(sealed) => {
            let opened = vault.open(&environment_purpose(&id), &sealed)?;
            Environment::new(read_map(&opened)?)
        }
    };
    Ok(Function {
        environment,
        organization_id: row.get("organization_id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        runtime: row.get("runtime")?,
        handler: row.get("handler")?,
        role: row.get("role")?,
        timeout_s: row.get("timeout_s")?,
        memory_mb: row.get("memory_mb")?,
        ephemeral_storage_mb: row.get("ephemeral_storage_mb")?,
        architecture: row.get("architecture")?,
        tracing_mode: row.get("tracing_mode")?,
        log_group: row.get("log_group")?,
        tags: read_map(row.get::<String>("tags")?.as_bytes())?,
        credentials_sealed: row.get("credentials_sealed")?,
        package_sha256: row.get("package_sha256")?,
        package_size_bytes: row.get("package_size_bytes")?,
        revision_id: row.get("revision_id")?,
        policy_revision_id: row.get("policy_revision_id")?,
        updated_at_ms: row.get("updated_at_ms")?,
        id,
    })
}

fn read_map(json: &[u8]) -> Result<BTreeMap<String, String>, Fault> {
    serde_json::from_slice(json)
        .map_err(|error| Fault::while_doing("reading a stored map of texts", error))
}

/// The environment as it is stored: nothing when it is empty.
fn seal(vault: &Vault, function: &Function) -> Result<Option<Vec<u8>>, Fault> {
    let variables = function.environment.variables();
    if variables.is_empty() {
        return Ok(None);
    }
    let json = json!(variables).to_string();
    vault
        .seal(&environment_purpose(&function.id), json.as_bytes())
        .map(Some)
}

fn environment_purpose(function_id: &str) -> String {
    format!("environment of function {function_id}")
}

fn credentials_purpose(function_id: &str) -> String {
    format!("key pair of function {function_id}")
}
