//! Export: an app's users and credentials as the JSON Lines that an import
//! takes, public keys included (passkey-flex section g).
//!
//! Not exported: the app's settings, API keys, events, and whatever a ceremony
//! leaves behind for minutes.

use std::io::{self, Write};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use platform::{Fault, Row, values};
use serde_json::{Map, Value, json};
use webauthn::aaguid;

use crate::{AppId, Device, Passkeys, User, UserId, authenticators::Authenticators, times::time};

/// Why an export stopped.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The lines cannot be written.
    #[error("writing: {0}")]
    Unwritable(#[from] io::Error),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Passkeys {
    /// Writes the users of an app, one line each, in no particular order; gives
    /// their number. What changes meanwhile is written as it was or as it is.
    pub async fn export_users(
        &self,
        app_id: &AppId,
        output: &mut dyn Write,
    ) -> Result<u64, ExportError> {
        let mut written = 0;
        // The order of ids is whatever the database keeps them in; it only has
        // to be the same from page to page.
        let mut after = String::new();
        loop {
            let (app_id, id) = (app_id.clone(), after.clone());
            let page: Vec<User> = self
                .platform
                .db
                .read(async move |tx| {
                    tx.rows(
                        "SELECT * FROM passkeys_users WHERE app_id = $1 AND id > $2
                         ORDER BY id LIMIT $3",
                        values![&app_id, id, PAGE],
                    )
                    .await?
                    .iter()
                    .map(User::from_row)
                    .collect::<Result<_, Fault>>()
                })
                .await?;
            let Some(last) = page.last() else {
                return Ok(written);
            };
            after = last.id.as_str().to_owned();
            for user in &page {
                writeln!(output, "{}", user_line(user)?)?;
            }
            written += page.len() as u64;
        }
    }

    /// Writes the credentials of an app, one line each, in no particular order,
    /// also those that are kept without a key; gives their number. What changes
    /// meanwhile is written as it was or as it is.
    pub async fn export_credentials(
        &self,
        app_id: &AppId,
        output: &mut dyn Write,
    ) -> Result<u64, ExportError> {
        let usable = self
            .export_pages(app_id, output, DEVICES, |row| {
                let device = Device::from_row(row)?;
                let mut line = device_line(&device, &self.authenticators)?;
                line.insert("external_id".into(), row.get::<String>("owner")?.into());
                Ok((device.credential.id, line))
            })
            .await?;
        let keyless = self
            .export_pages(app_id, output, KEYLESS, |row| {
                let mut line: Map<String, Value> =
                    serde_json::from_str(&row.get::<String>("facts")?)
                        .map_err(|error| Fault::while_doing("reading the stored facts", error))?;
                let credential_id: Vec<u8> = row.get("credential_id")?;
                let encoded = BASE64_URL_SAFE_NO_PAD.encode(&credential_id);
                line.insert("credential_id".into(), encoded.into());
                line.insert("user_id".into(), json!(row.get::<UserId>("user_id")?));
                line.insert("external_id".into(), row.get::<String>("owner")?.into());
                line.insert("rp_id".into(), row.get::<String>("rp_id")?.into());
                Ok((credential_id, line))
            })
            .await?;
        Ok(usable + keyless)
    }

    /// Writes all rows of a statement that takes the app, the credential id to go
    /// on after, and how many; `read` gives a row's credential id and its line.
    async fn export_pages(
        &self,
        app_id: &AppId,
        output: &mut dyn Write,
        sql: &'static str,
        read: impl Fn(&Row) -> Result<(Vec<u8>, Map<String, Value>), Fault>,
    ) -> Result<u64, ExportError> {
        let mut written = 0;
        let mut after = Vec::new();
        loop {
            let (app_id, credential_id) = (app_id.clone(), after.clone());
            let page = self
                .platform
                .db
                .read(async move |tx| tx.rows(sql, values![&app_id, credential_id, PAGE]).await)
                .await?;
            if page.is_empty() {
                return Ok(written);
            }
            for row in &page {
                let (credential_id, line) = read(row)?;
                writeln!(output, "{}", Value::Object(line))?;
                after = credential_id;
            }
            written += page.len() as u64;
        }
    }
}

const DEVICES: &str = "SELECT d.*, u.external_id AS owner
     FROM passkeys_devices d
     JOIN passkeys_users u ON u.app_id = d.app_id AND u.id = d.user_id
     WHERE d.app_id = $1 AND d.credential_id > $2 ORDER BY d.credential_id LIMIT $3";

const KEYLESS: &str = "SELECT d.*, u.external_id AS owner
     FROM passkeys_keyless_devices d
     JOIN passkeys_users u ON u.app_id = d.app_id AND u.id = d.user_id
     WHERE d.app_id = $1 AND d.credential_id > $2 ORDER BY d.credential_id LIMIT $3";

fn user_line(user: &User) -> Result<Value, Fault> {
    Ok(json!({
        "id": user.id,
        "external_id": user.external_id,
        "status": user.status,
        "login_count": user.login_count,
        "created_at": time(user.created_at_ms)?,
        "updated_at": time(user.updated_at_ms)?,
        "last_login_at": time(user.last_login_at_ms)?,
    }))
}

/// What is not known is left out, so that an import of the line does not know it either.
fn device_line(
    device: &Device,
    authenticators: &Authenticators,
) -> Result<Map<String, Value>, Fault> {
    let credential = &device.credential;
    let mut line = Map::new();
    let mut set = |name: &str, value: Value| {
        line.insert(name.to_owned(), value);
    };
    set("user_id", json!(device.user_id));
    set("device_id", json!(device.id));
    set("rp_id", json!(device.rp_id));
    set(
        "credential_id",
        BASE64_URL_SAFE_NO_PAD.encode(&credential.id).into(),
    );
    set(
        "public_key",
        BASE64_URL_SAFE_NO_PAD.encode(&credential.public_key).into(),
    );
    set("sign_count", credential.sign_count.into());
    if credential.aaguid != [0; 16] {
        set("aaguid", aaguid::format(&credential.aaguid).into());
    }
    if !credential.transports.is_empty() {
        set("transports", json!(credential.transports));
    }
    if let Some(backup_eligible) = credential.backup_eligible {
        set("backup_eligible", backup_eligible.into());
        set("backup_state", credential.backed_up.into());
    }
    if credential.requires_user_verification {
        set("requires_user_verification", true.into());
    }
    if let Some(attachment) = device.attachment {
        set("attachment", json!(attachment));
    }
    if !device.user_agent.is_empty() {
        set("user_agent", json!(device.user_agent));
    }
    let (user_handle, friendly_name, device_type) = match &device.imported {
        None => (
            Some(webauthn::encode_user_id(device.user_id.as_str())),
            Some(device.friendly_name(authenticators)),
            Some(device.device_type()),
        ),
        Some(imported) => (
            imported.user_handle.clone(),
            imported.friendly_name.clone(),
            imported.device_type,
        ),
    };
    for (name, value) in [
        ("user_handle", json!(user_handle)),
        ("friendly_name", json!(friendly_name)),
        ("type", json!(device_type)),
    ] {
        if !value.is_null() {
            set(name, value);
        }
    }
    set("usage_count", device.usage_count.into());
    set("created_at", json!(time(device.created_at_ms)?));
    set("updated_at", json!(time(device.updated_at_ms)?));
    set("last_login_at", json!(time(device.last_login_at_ms)?));
    Ok(line)
}

/// How many rows are read at once.
const PAGE: i64 = 1_000;
