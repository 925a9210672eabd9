//! A webhook: where an app's customer wants to be told of events, of which, and
//! with which secret the messages are signed.
//!
//! The messages themselves are `deliveries`.

pub(crate) mod address;
pub(crate) mod signature;

use platform::{Fault, Row, Tx, values};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::signature::SigningKey;
use crate::{AppId, EventType, Failure, Passkeys, Refusal, WebhookId, stored};

/// A webhook, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Identifies it.
    pub id: WebhookId,
    /// Where messages are posted to, in its normal form.
    pub url: String,
    /// Of which events it is told; empty: of every one, also of types to come.
    pub event_types: Vec<WebhookEventType>,
    /// Whether messages are queued and sent. Off after the receiver answered that
    /// it is gone for good (410).
    pub is_enabled: bool,
    /// Until when the secret before the last rotation signs as well.
    pub previous_secret_expires_at_ms: Option<i64>,
    /// When it was created.
    pub created_at_ms: i64,
    /// When any of this last changed.
    pub updated_at_ms: i64,
}

/// A webhook to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// `https://…`, at most 2048 bytes; `http://` only where private addresses are allowed.
    pub url: String,
    /// Each once; empty: every type.
    pub event_types: Vec<WebhookEventType>,
    /// Whether it is told of events from now on.
    pub is_enabled: bool,
}

/// What is to change about a webhook; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookChanges {
    /// As in [`NewWebhook`].
    pub url: Option<String>,
    /// As in [`NewWebhook`].
    pub event_types: Option<Vec<WebhookEventType>>,
    /// Off: nothing is queued any more, and what is queued waits.
    pub is_enabled: Option<bool>,
}

/// A webhook with a fresh secret: the only moment at which that can be read.
#[derive(Clone, Debug)]
pub struct WebhookWithSecret {
    /// The webhook.
    pub webhook: Webhook,
    /// `whsec_` and 32 bytes in base64.
    pub secret: SecretString,
}

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum WebhookEventType {
    /// A registration verified; the user has a new device.
    #[serde(rename = "passkey.registered")]
    PasskeyRegistered,
    /// A registration was refused.
    #[serde(rename = "passkey.register_refused")]
    PasskeyRegisterRefused,
    /// An authentication verified.
    #[serde(rename = "passkey.login")]
    PasskeyLogin,
    /// An authentication was refused.
    #[serde(rename = "passkey.login_refused")]
    PasskeyLoginRefused,
    /// A device was revoked.
    #[serde(rename = "device.revoked")]
    DeviceRevoked,
    /// A deactivated user was activated.
    #[serde(rename = "user.activated")]
    UserActivated,
    /// A user was deactivated.
    #[serde(rename = "user.deactivated")]
    UserDeactivated,
    /// A user was deleted, with all devices.
    #[serde(rename = "user.deleted")]
    UserDeleted,
}

impl WebhookEventType {
    /// All, in the order of the documentation.
    pub const ALL: [WebhookEventType; 8] = [
        WebhookEventType::PasskeyRegistered,
        WebhookEventType::PasskeyRegisterRefused,
        WebhookEventType::PasskeyLogin,
        WebhookEventType::PasskeyLoginRefused,
        WebhookEventType::DeviceRevoked,
        WebhookEventType::UserActivated,
        WebhookEventType::UserDeactivated,
        WebhookEventType::UserDeleted,
    ];

    /// What is told of an event that is over; `is_refused` is about ceremonies only.
    pub(crate) fn of(event_type: EventType, is_refused: bool) -> WebhookEventType {
        match (event_type, is_refused) {
            (EventType::PasskeyRegister, false) => WebhookEventType::PasskeyRegistered,
            (EventType::PasskeyRegister, true) => WebhookEventType::PasskeyRegisterRefused,
            (EventType::PasskeyLogin | EventType::PasskeyLoginDiscoverable, false) => {
                WebhookEventType::PasskeyLogin
            }
            (EventType::PasskeyLogin | EventType::PasskeyLoginDiscoverable, true) => {
                WebhookEventType::PasskeyLoginRefused
            }
            (EventType::DeviceRevoked, _) => WebhookEventType::DeviceRevoked,
            (EventType::UserActivated, _) => WebhookEventType::UserActivated,
            (EventType::UserDeactivated, _) => WebhookEventType::UserDeactivated,
            (EventType::UserDeleted, _) => WebhookEventType::UserDeleted,
        }
    }

    /// The word on the wire, such as `passkey.login`.
    pub fn as_str(self) -> &'static str {
        match self {
            WebhookEventType::PasskeyRegistered => "passkey.registered",
            WebhookEventType::PasskeyRegisterRefused => "passkey.register_refused",
            WebhookEventType::PasskeyLogin => "passkey.login",
            WebhookEventType::PasskeyLoginRefused => "passkey.login_refused",
            WebhookEventType::DeviceRevoked => "device.revoked",
            WebhookEventType::UserActivated => "user.activated",
            WebhookEventType::UserDeactivated => "user.deactivated",
            WebhookEventType::UserDeleted => "user.deleted",
        }
    }

    /// Reads a word. For one that is no type, the error names those there are.
    pub fn parse(word: &str) -> Result<WebhookEventType, String> {
        let known = WebhookEventType::ALL;
        known
            .into_iter()
            .find(|event_type| event_type.as_str() == word)
            .ok_or_else(|| {
                let known = known.map(WebhookEventType::as_str).join(", ");
                format!("there is no type {word:?}; there are {known}")
            })
    }
}

macro_rules! returned {
    ($statement:literal) => {
        concat!(
            $statement,
            " RETURNING id, url, event_types, is_enabled, previous_secret_expires_at_ms,
                        created_at_ms, updated_at_ms"
        )
    };
}

macro_rules! select_webhooks {
    ($where:literal) => {
        concat!(
            "SELECT id, url, event_types, is_enabled, previous_secret_expires_at_ms,
                    created_at_ms, updated_at_ms
             FROM passkeys_webhooks WHERE ",
            $where
        )
    };
}

impl Passkeys {
    /// Creates a webhook of an app, with a fresh secret. Refuses a URL that cannot
    /// be used, and a 21st webhook.
    pub async fn create_webhook(
        &self,
        app_id: &AppId,
        new: NewWebhook,
    ) -> Result<WebhookWithSecret, Failure> {
        let now_ms = self.platform.clock.now_ms();
        let webhook = Webhook {
            id: WebhookId::random(&self.platform.entropy),
            url: self.check_url(&new.url)?,
            event_types: check_event_types(new.event_types)?,
            is_enabled: new.is_enabled,
            previous_secret_expires_at_ms: None,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
        };
        let key = SigningKey::random(&self.platform.entropy);
        let sealed = self.seal_key(&webhook.id, &key)?;
        let (app_id, stored) = (app_id.clone(), webhook.clone());
        self.platform
            .db
            .write(async move |tx| insert(tx, &app_id, &stored, &sealed).await)
            .await?;
        Ok(WebhookWithSecret {
            webhook,
            secret: key.to_text(),
        })
    }

    /// The webhooks of an app, the oldest first.
    pub async fn list_webhooks(&self, app_id: &AppId) -> Result<Vec<Webhook>, Fault> {
        let app_id = app_id.clone();
        self.platform
            .db
            .read(async move |tx| {
                tx.rows(
                    select_webhooks!("app_id = $1 ORDER BY created_at_ms, LOWER(id), id"),
                    values![&app_id],
                )
                .await?
                .iter()
                .map(Webhook::from_row)
                .collect()
            })
            .await
    }

    /// The webhook of this id, if there is one.
    pub async fn find_webhook(
        &self,
        app_id: &AppId,
        id: &WebhookId,
    ) -> Result<Option<Webhook>, Fault> {
        let (app_id, id) = (app_id.clone(), id.clone());
        self.platform
            .db
            .read(async move |tx| find(tx, &app_id, &id).await)
            .await
    }

    /// Changes a webhook. What is queued goes to the new URL; a change of types is
    /// about events to come.
    pub async fn update_webhook(
        &self,
        app_id: &AppId,
        id: &WebhookId,
        changes: WebhookChanges,
    ) -> Result<Webhook, Failure> {
        let url = changes.url.map(|url| self.check_url(&url)).transpose()?;
        let event_types = changes.event_types.map(check_event_types).transpose()?;
        let event_types = event_types.map(stored::json);
        let (app_id, id) = (app_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let updated = self
            .platform
            .db
            .write(async move |tx| {
                tx.row(
                    returned!(
                        "UPDATE passkeys_webhooks
                         SET url = COALESCE($3, url), event_types = COALESCE($4, event_types),
                             is_enabled = COALESCE($5, is_enabled), updated_at_ms = $6
                         WHERE id = $1 AND app_id = $2"
                    ),
                    values![&id, &app_id, &url, &event_types, changes.is_enabled, now_ms],
                )
                .await
            })
            .await?
            .ok_or(Refusal::WebhookNotFound)?;
        // What waited while it was off is due.
        self.deliveries_queued.notify_one();
        Ok(Webhook::from_row(&updated)?)
    }

    /// Deletes a webhook with all its deliveries; what is queued is not sent any more.
    pub async fn delete_webhook(&self, app_id: &AppId, id: &WebhookId) -> Result<(), Failure> {
        let (app_id, id) = (app_id.clone(), id.clone());
        self.platform
            .db
            .write(async move |tx| {
                let deleted = tx
                    .execute(
                        "DELETE FROM passkeys_webhooks WHERE id = $1 AND app_id = $2",
                        values![&id, &app_id],
                    )
                    .await?;
                if deleted == 0 {
                    return Err(Failure::from(Refusal::WebhookNotFound));
                }
                tx.execute(
                    "DELETE FROM passkeys_deliveries WHERE webhook_id = $1",
                    values![&id],
                )
                .await?;
                Ok(())
            })
            .await
    }

    /// Gives a webhook a fresh secret. For 24 hours messages are signed with the
    /// one before as well, so that receivers can change over in their own time.
    pub async fn rotate_webhook_secret(
        &self,
        app_id: &AppId,
        id: &WebhookId,
    ) -> Result<WebhookWithSecret, Failure> {
        let key = SigningKey::random(&self.platform.entropy);
        let sealed = self.seal_key(id, &key)?;
        let (app_id, id) = (app_id.clone(), id.clone());
        let now_ms = self.platform.clock.now_ms();
        let rotated = self
            .platform
            .db
            .write(async move |tx| {
                tx.row(
                    returned!(
                        "UPDATE passkeys_webhooks
                         SET previous_secret = secret, secret = $3,
                             previous_secret_expires_at_ms = $4, updated_at_ms = $5
                         WHERE id = $1 AND app_id = $2"
                    ),
                    values![
                        &id,
                        &app_id,
                        &sealed,
                        now_ms + PREVIOUS_SECRET_LIFETIME_MS,
                        now_ms
                    ],
                )
                .await
            })
            .await?
            .ok_or(Refusal::WebhookNotFound)?;
        Ok(WebhookWithSecret {
            webhook: Webhook::from_row(&rotated)?,
            secret: key.to_text(),
        })
    }

    fn check_url(&self, text: &str) -> Result<String, Refusal> {
        let url = address::parse(text)?;
        if !self.delivery.private_addresses {
            address::check_public(&url)?;
        }
        Ok(url.into())
    }

    fn seal_key(&self, id: &WebhookId, key: &SigningKey) -> Result<Vec<u8>, Fault> {
        self.platform.vault.seal(&purpose(id), key.as_bytes())
    }

    /// The keys that sign a message of the webhook in `row` now, the newest first.
    pub(crate) fn open_keys(
        &self,
        id: &WebhookId,
        row: &Row,
        now_ms: i64,
    ) -> Result<Vec<SigningKey>, Fault> {
        let mut sealed = vec![row.get::<Vec<u8>>("secret")?];
        let expires_at_ms: Option<i64> = row.get("previous_secret_expires_at_ms")?;
        if expires_at_ms.is_some_and(|expires_at_ms| expires_at_ms > now_ms) {
            sealed.extend(row.get::<Option<Vec<u8>>>("previous_secret")?);
        }
        sealed
            .iter()
            .map(|sealed| {
                let key = self.platform.vault.open(&purpose(id), sealed)?;
                Ok(SigningKey::from_bytes(&key))
            })
            .collect()
    }
}

async fn insert(
    tx: &mut Tx,
    app_id: &AppId,
    webhook: &Webhook,
    sealed: &[u8],
) -> Result<(), Failure> {
    // Whoever else creates one for this app waits here, so that both are counted.
    let app = tx
        .execute(
            "UPDATE passkeys_apps SET updated_at_ms = updated_at_ms WHERE id = $1",
            values![app_id],
        )
        .await?;
    if app == 0 {
        return Err(Refusal::AppNotFound.into());
    }
    let count: i64 = tx
        .row(
            "SELECT COUNT(*) AS count FROM passkeys_webhooks WHERE app_id = $1",
            values![app_id],
        )
        .await?
        .ok_or_else(|| Fault::new("a count has no row"))?
        .get("count")?;
    if count >= WEBHOOKS_MAX {
        return Err(Refusal::InvalidRequest(format!(
            "An app has at most {WEBHOOKS_MAX} webhooks; delete one first."
        ))
        .into());
    }
    tx.execute(
        "INSERT INTO passkeys_webhooks (
            id, app_id, url, event_types, is_enabled, secret, created_at_ms, updated_at_ms
         ) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)",
        values![
            &webhook.id,
            app_id,
            &webhook.url,
            stored::json(&webhook.event_types),
            webhook.is_enabled,
            sealed,
            webhook.created_at_ms,
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(
    tx: &mut Tx,
    app_id: &AppId,
    id: &WebhookId,
) -> Result<Option<Webhook>, Fault> {
    tx.row(
        select_webhooks!("id = $1 AND app_id = $2"),
        values![id, app_id],
    )
    .await?
    .as_ref()
    .map(Webhook::from_row)
    .transpose()
}

/// The webhooks of an app that are told of `event_type`. For an app without
/// webhooks one look into an index.
pub(crate) async fn list_subscribed(
    tx: &mut Tx,
    app_id: &AppId,
    event_type: WebhookEventType,
) -> Result<Vec<WebhookId>, Fault> {
    let rows = tx
        .rows(
            "SELECT id, event_types FROM passkeys_webhooks WHERE app_id = $1 AND is_enabled = 1",
            values![app_id],
        )
        .await?;
    let mut subscribed = Vec::new();
    for row in &rows {
        let event_types: Vec<WebhookEventType> = stored::json_of(row, "event_types")?;
        if event_types.is_empty() || event_types.contains(&event_type) {
            subscribed.push(row.get("id")?);
        }
    }
    Ok(subscribed)
}

/// Turns a webhook off whose receiver is gone.
pub(crate) async fn disable(tx: &mut Tx, id: &WebhookId, now_ms: i64) -> Result<(), Fault> {
    tx.execute(
        "UPDATE passkeys_webhooks SET is_enabled = 0, updated_at_ms = $2 WHERE id = $1",
        values![id, now_ms],
    )
    .await?;
    Ok(())
}

impl Webhook {
    /// Whether it leads where messages may go without the setting for private
    /// addresses, as far as its URL tells.
    pub fn is_public(&self) -> bool {
        address::parse(&self.url).is_ok_and(|url| address::check_public(&url).is_ok())
    }

    fn from_row(row: &Row) -> Result<Webhook, Fault> {
        Ok(Webhook {
            id: row.get("id")?,
            url: row.get("url")?,
            event_types: stored::json_of(row, "event_types")?,
            is_enabled: row.get("is_enabled")?,
            previous_secret_expires_at_ms: row.get("previous_secret_expires_at_ms")?,
            created_at_ms: row.get("created_at_ms")?,
            updated_at_ms: row.get("updated_at_ms")?,
        })
    }
}

fn check_event_types(event_types: Vec<WebhookEventType>) -> Result<Vec<WebhookEventType>, Refusal> {
    let is_repeated = |(position, event_type)| event_types[..position].contains(event_type);
    if event_types.iter().enumerate().any(is_repeated) {
        return Err(Refusal::InvalidRequest(
            "event_types must name each type once.".into(),
        ));
    }
    Ok(event_types)
}

/// Binds a sealed secret to its webhook.
fn purpose(id: &WebhookId) -> String {
    format!("passkeys webhook secret {id}")
}

const WEBHOOKS_MAX: i64 = 20;
const PREVIOUS_SECRET_LIFETIME_MS: i64 = 24 * 60 * 60 * 1_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_words_of_the_types_are_those_they_are_stored_under() {
        for event_type in WebhookEventType::ALL {
            assert_eq!(json!(event_type), event_type.as_str());
            assert_eq!(WebhookEventType::parse(event_type.as_str()), Ok(event_type));
        }
        for word in ["", "passkey.Login", "passkey_login", "passkey"] {
            assert!(WebhookEventType::parse(word).is_err(), "{word}");
        }
    }
}
