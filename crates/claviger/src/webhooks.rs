//! The sub-commands about webhooks.

use passkeys::{
    AppId, Delivery, DeliveryQuery, DeliverySettings, EventId, NewWebhook, Passkeys, Webhook,
    WebhookChanges, WebhookEventType, WebhookId,
};
use platform::Platform;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    cli::{AppArgs, WebhookArgs, WebhookCommand},
    commands::{CommandError, answer, answer_list, find_app, refused, time},
    config::Config,
};

pub(crate) async fn run(
    platform: Platform,
    config: &Config,
    command: WebhookCommand,
) -> Result<(), CommandError> {
    // Which server will deliver is not known here, and it is that one's settings that decide
    // where messages go: nothing else is taken for granted than what was said.
    let passkeys = Passkeys::new(platform).with_delivery_settings(DeliverySettings {
        private_addresses: config.webhook_private_addresses.unwrap_or(true),
        ..DeliverySettings::default()
    });
    match command {
        WebhookCommand::Create {
            app,
            url,
            events,
            json,
        } => {
            let new = NewWebhook {
                url,
                event_types: event_types(&events)?,
                is_enabled: true,
            };
            let app = find_app(&passkeys, &app).await?;
            let created = passkeys
                .create_webhook(&app.id, new)
                .await
                .map_err(refused)?;
            let mut shown = shown(&created.webhook);
            shown["secret"] = created.secret.expose_secret().into();
            warn_of_address(&created.webhook);
            print(json, shown);
        }
        WebhookCommand::List(AppArgs { app, json }) => {
            let app = find_app(&passkeys, &app).await?;
            let webhooks = passkeys.list_webhooks(&app.id).await?;
            let list = webhooks.iter().map(|it| worded(json, shown(it))).collect();
            answer_list(json, "webhooks", list, "The app has no webhooks.");
        }
        WebhookCommand::Update {
            webhook,
            url,
            events,
            all_events,
            enable,
            disable,
        } => {
            let (app_id, id) = find(&passkeys, &webhook).await?;
            let changes = WebhookChanges {
                url,
                event_types: match (all_events, events.is_empty()) {
                    (true, _) => Some(Vec::new()),
                    (false, false) => Some(event_types(&events)?),
                    (false, true) => None,
                },
                is_enabled: (enable || disable).then_some(enable),
            };
            let updated = passkeys
                .update_webhook(&app_id, &id, changes)
                .await
                .map_err(refused)?;
            warn_of_address(&updated);
            print(webhook.json, shown(&updated));
        }
        WebhookCommand::Delete { webhook } => {
            let (app_id, id) = find(&passkeys, &webhook).await?;
            passkeys
                .delete_webhook(&app_id, &id)
                .await
                .map_err(refused)?;
            print(webhook.json, json!({"deleted": id}));
        }
        WebhookCommand::RotateSecret { webhook } => {
            let (app_id, id) = find(&passkeys, &webhook).await?;
            let rotated = passkeys
                .rotate_webhook_secret(&app_id, &id)
                .await
                .map_err(refused)?;
            let mut shown = shown(&rotated.webhook);
            shown["secret"] = rotated.secret.expose_secret().into();
            print(webhook.json, shown);
        }
        WebhookCommand::Deliveries {
            webhook,
            state,
            limit,
            page,
        } => {
            let (app_id, id) = find(&passkeys, &webhook).await?;
            let mut pairs = vec![("limit", limit.to_string()), ("page", page.to_string())];
            pairs.extend(state.map(|state| ("state", state)));
            let query = DeliveryQuery::parse(&pairs).map_err(refused)?;
            let found = passkeys
                .list_deliveries(&app_id, &id, &query)
                .await
                .map_err(refused)?;
            let list = found
                .deliveries
                .iter()
                .map(|it| worded(webhook.json, shown_delivery(it)))
                .collect();
            answer_list(
                webhook.json,
                "deliveries",
                list,
                "There are no such deliveries.",
            );
        }
        WebhookCommand::Redeliver { webhook, delivery } => {
            let (app_id, id) = find(&passkeys, &webhook).await?;
            let delivery_id = EventId::parse(&delivery).ok_or_else(|| {
                CommandError::Refused(format!(
                    "the webhook has no delivery {delivery}; `webhook deliveries` shows which it has"
                ))
            })?;
            let queued = passkeys
                .redeliver(&app_id, &id, &delivery_id)
                .await
                .map_err(refused)?;
            print(webhook.json, shown_delivery(&queued));
        }
    }
    Ok(())
}

async fn find(
    passkeys: &Passkeys,
    named: &WebhookArgs,
) -> Result<(AppId, WebhookId), CommandError> {
    let app = find_app(passkeys, &named.app).await?;
    let id = WebhookId::parse(&named.webhook).ok_or_else(|| {
        CommandError::Refused(format!(
            "the app has no webhook {}; `webhook list` shows which it has",
            named.webhook
        ))
    })?;
    Ok((app.id, id))
}

fn event_types(words: &[String]) -> Result<Vec<WebhookEventType>, CommandError> {
    words
        .iter()
        .map(|word| WebhookEventType::parse(word).map_err(CommandError::Refused))
        .collect()
}

/// Tells what a server for others will not call.
fn warn_of_address(webhook: &Webhook) {
    if !webhook.is_public() {
        eprintln!(
            "note: `claviger serve` calls https:// and public addresses only; for {} it needs \
             webhook_private_addresses = true",
            webhook.url
        );
    }
}

fn shown(webhook: &Webhook) -> Value {
    let event_types: Vec<&str> = webhook.event_types.iter().map(|it| it.as_str()).collect();
    json!({
        "webhook_id": webhook.id,
        "url": webhook.url,
        "event_types": event_types,
        "enabled": webhook.is_enabled,
    })
}

fn shown_delivery(delivery: &Delivery) -> Value {
    json!({
        "delivery_id": delivery.id,
        "event_type": delivery.event_type,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": time(delivery.created_at_ms),
        "next_attempt_at": delivery.next_attempt_at_ms.and_then(time),
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    })
}

fn print(json: bool, shown: Value) {
    answer(json, &worded(json, shown));
}

/// For people: only what there is, and what no types mean.
fn worded(json: bool, mut shown: Value) -> Value {
    if !json && let Some(members) = shown.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        if members.get("event_types") == Some(&json!([])) {
            members.insert("event_types".into(), "all".into());
        }
    }
    shown
}
