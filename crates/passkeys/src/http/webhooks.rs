//! Webhooks and their deliveries, for a customer's server with an API key. Not
//! part of Passage's contract; the shapes follow its style.

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use platform::Fault;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{body::Object, management::Authorized, query::Query};
use crate::{
    Delivery, DeliveryQuery, EventId, Failure, NewWebhook, Passkeys, Refusal, Webhook,
    WebhookChanges, WebhookEventType, WebhookId, WebhookWithSecret,
    times::{optional_time, time},
};

/// `POST /v1/apps/{app_id}/webhooks`
pub(super) async fn create(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    body: Object,
) -> Result<Response, Failure> {
    let new = NewWebhook {
        url: body.text("url")?.to_owned(),
        event_types: event_types(&body)?.unwrap_or_default(),
        is_enabled: body.optional_bool("enabled")?.unwrap_or(true),
    };
    let created = passkeys.create_webhook(&app.id, new).await?;
    Ok((StatusCode::CREATED, Json(with_secret(&created)?)).into_response())
}

/// `GET /v1/apps/{app_id}/webhooks`
pub(super) async fn list(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
) -> Result<Response, Failure> {
    let webhooks: Vec<Value> = passkeys
        .list_webhooks(&app.id)
        .await?
        .iter()
        .map(webhook)
        .collect::<Result<_, _>>()?;
    Ok(Json(json!({"webhooks": webhooks})).into_response())
}

/// `GET …/webhooks/{webhook_id}`
pub(super) async fn get(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    let found = passkeys
        .find_webhook(&app.id, &webhook_id(path)?)
        .await?
        .ok_or(Refusal::WebhookNotFound)?;
    Ok(Json(json!({"webhook": webhook(&found)?})).into_response())
}

/// `PATCH …/webhooks/{webhook_id}`
pub(super) async fn update(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
    body: Object,
) -> Result<Response, Failure> {
    let id = webhook_id(path)?;
    let changes = WebhookChanges {
        url: body.optional_text("url")?.map(str::to_owned),
        event_types: event_types(&body)?,
        is_enabled: body.optional_bool("enabled")?,
    };
    let updated = passkeys.update_webhook(&app.id, &id, changes).await?;
    Ok(Json(json!({"webhook": webhook(&updated)?})).into_response())
}

/// `DELETE …/webhooks/{webhook_id}`
pub(super) async fn delete(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    passkeys.delete_webhook(&app.id, &webhook_id(path)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST …/webhooks/{webhook_id}/rotate-secret`
pub(super) async fn rotate_secret(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    let rotated = passkeys
        .rotate_webhook_secret(&app.id, &webhook_id(path)?)
        .await?;
    Ok(Json(with_secret(&rotated)?).into_response())
}

/// `GET …/webhooks/{webhook_id}/deliveries`
pub(super) async fn list_deliveries(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
    query: Query,
) -> Result<Response, Failure> {
    let id = webhook_id(path)?;
    let page = passkeys
        .list_deliveries(&app.id, &id, &DeliveryQuery::parse(&query.pairs)?)
        .await?;
    let deliveries: Vec<Value> = page
        .deliveries
        .iter()
        .map(delivery)
        .collect::<Result<_, _>>()?;
    Ok(Json(json!({
        "_links": query.links(page.page, page.limit, page.total, page.created_before_s),
        "created_before": page.created_before_s,
        "deliveries": deliveries,
        "limit": page.limit,
        "page": page.page,
        "total_deliveries": page.total,
    }))
    .into_response())
}

/// `GET …/deliveries/{delivery_id}`, with what was or will be sent.
pub(super) async fn get_delivery(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: TwoPath,
) -> Result<Response, Failure> {
    let (webhook_id, id) = delivery_id(path)?;
    let found = passkeys.find_delivery(&app.id, &webhook_id, &id).await?;
    let mut shown = delivery(&found)?;
    shown["payload"] = found.payload()?;
    Ok(Json(json!({"delivery": shown})).into_response())
}

/// `POST …/deliveries/{delivery_id}/redeliver`
pub(super) async fn redeliver(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: TwoPath,
) -> Result<Response, Failure> {
    let (webhook_id, id) = delivery_id(path)?;
    let queued = passkeys.redeliver(&app.id, &webhook_id, &id).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(json!({"delivery": delivery(&queued)?})),
    )
        .into_response())
}

type OnePath = Result<Path<(String, String)>, PathRejection>;
type TwoPath = Result<Path<(String, String, String)>, PathRejection>;

/// The webhook that a path names. One that cannot be decoded names nothing.
fn webhook_id(path: OnePath) -> Result<WebhookId, Refusal> {
    path.ok()
        .and_then(|Path((_, id))| WebhookId::parse(&id))
        .ok_or(Refusal::WebhookNotFound)
}

fn delivery_id(path: TwoPath) -> Result<(WebhookId, EventId), Refusal> {
    let Path((_, webhook_id, id)) = path.map_err(|_| Refusal::DeliveryNotFound)?;
    Ok((
        WebhookId::parse(&webhook_id).ok_or(Refusal::WebhookNotFound)?,
        EventId::parse(&id).ok_or(Refusal::DeliveryNotFound)?,
    ))
}

fn event_types(body: &Object) -> Result<Option<Vec<WebhookEventType>>, Refusal> {
    body.optional_list("event_types", WebhookEventType::parse)
}

fn with_secret(made: &WebhookWithSecret) -> Result<Value, Fault> {
    let mut shown = webhook(&made.webhook)?;
    shown["secret"] = json!(made.secret.expose_secret());
    Ok(json!({"webhook": shown}))
}

fn webhook(webhook: &Webhook) -> Result<Value, Fault> {
    Ok(json!({
        "id": webhook.id,
        "url": webhook.url,
        "event_types": webhook.event_types,
        "enabled": webhook.is_enabled,
        "previous_secret_expires_at": optional_time(webhook.previous_secret_expires_at_ms)?,
        "created_at": time(webhook.created_at_ms)?,
        "updated_at": time(webhook.updated_at_ms)?,
    }))
}

fn delivery(delivery: &Delivery) -> Result<Value, Fault> {
    Ok(json!({
        "id": delivery.id,
        "event_type": delivery.event_type,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "created_at": time(delivery.created_at_ms)?,
        "next_attempt_at": optional_time(delivery.next_attempt_at_ms)?,
        "last_attempt_at": optional_time(delivery.last_attempt_at_ms)?,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
        "delivered_at": optional_time(delivery.delivered_at_ms)?,
    }))
}
