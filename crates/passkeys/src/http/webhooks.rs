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
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    body::Object,
    management::Authorized,
    openapi::{MANAGEMENT, refusals},
    query::Query,
    requests::{DeliveryListQuery, PageQuery, WebhookMessage, WebhookToChange, WebhookToCreate},
    wire::Links,
};
use crate::{
    Delivery, DeliveryError, DeliveryPage, DeliveryQuery, DeliveryState, EventId, Failure,
    NewWebhook, Passkeys, Refusal, Webhook, WebhookChanges, WebhookEventType, WebhookId,
    WebhookWithSecret,
    times::{Time, optional_time, time},
};

/// Create a webhook
///
/// An app has at most 20. The secret is in this answer only.
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/webhooks", tag = MANAGEMENT, operation_id = "create_webhook",
    request_body = WebhookToCreate,
    responses((status = 201, description = "The webhook, with its secret.", body = WebhookWithSecretAnswer)),
)]
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
    Ok((
        StatusCode::CREATED,
        Json(WebhookWithSecretAnswer::new(created)?),
    )
        .into_response())
}

/// List webhooks
///
/// Where events of the app are told.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks", tag = MANAGEMENT, operation_id = "list_webhooks",
    responses((status = 200, description = "The webhooks.", body = WebhookList)),
)]
pub(super) async fn list(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
) -> Result<Response, Failure> {
    let webhooks = passkeys
        .list_webhooks(&app.id)
        .await?
        .into_iter()
        .map(WebhookInfo::new)
        .collect::<Result<_, _>>()?;
    Ok(Json(WebhookList { webhooks }).into_response())
}

/// Get a webhook
///
/// Without its secret.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks/{webhook_id}", tag = MANAGEMENT, operation_id = "get_webhook",
    responses((status = 200, description = "The webhook.", body = WebhookAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound])))),
)]
pub(super) async fn get(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    let found = passkeys
        .find_webhook(&app.id, &webhook_id(path)?)
        .await?
        .ok_or(Refusal::WebhookNotFound)?;
    let webhook = WebhookInfo::new(found)?;
    Ok(Json(WebhookAnswer { webhook }).into_response())
}

/// Change a webhook
///
/// The members that are there change. What is queued goes to the new URL.
#[utoipa::path(
    patch, path = "/v1/apps/{app_id}/webhooks/{webhook_id}", tag = MANAGEMENT, operation_id = "update_webhook",
    request_body = Option<WebhookToChange>,
    responses((status = 200, description = "The webhook, as it is now.", body = WebhookAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound])))),
)]
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
    let webhook = WebhookInfo::new(updated)?;
    Ok(Json(WebhookAnswer { webhook }).into_response())
}

/// Delete a webhook
///
/// With its deliveries; what is queued is not sent any more.
#[utoipa::path(
    delete, path = "/v1/apps/{app_id}/webhooks/{webhook_id}", tag = MANAGEMENT, operation_id = "delete_webhook",
    responses((status = 200, description = "Gone. No body.")),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound])))),
)]
pub(super) async fn delete(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    passkeys.delete_webhook(&app.id, &webhook_id(path)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// Give a webhook a new secret
///
/// For 24 hours messages are signed with the one before as well. The secret is in this answer only.
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/webhooks/{webhook_id}/rotate-secret", tag = MANAGEMENT, operation_id = "rotate_webhook_secret",
    responses((status = 200, description = "The webhook, with its secret.", body = WebhookWithSecretAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound])))),
)]
pub(super) async fn rotate_secret(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: OnePath,
) -> Result<Response, Failure> {
    let rotated = passkeys
        .rotate_webhook_secret(&app.id, &webhook_id(path)?)
        .await?;
    Ok(Json(WebhookWithSecretAnswer::new(rotated)?).into_response())
}

/// List deliveries
///
/// Messages to a webhook, sent or to be sent, the newest first.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries", tag = MANAGEMENT,
    params(PageQuery, DeliveryListQuery),
    responses((status = 200, description = "One page.", body = DeliveryList)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound])))),
)]
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
    let links = query.links(page.page, page.limit, page.total, page.created_before_s);
    Ok(Json(DeliveryList::new(&page, links)?).into_response())
}

/// Get a delivery
///
/// With what was or will be sent.
#[utoipa::path(
    get, path = "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id}", tag = MANAGEMENT,
    responses((status = 200, description = "The delivery.", body = DeliveryWithPayloadAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound, Refusal::DeliveryNotFound])))),
)]
pub(super) async fn get_delivery(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: TwoPath,
) -> Result<Response, Failure> {
    let (webhook_id, id) = delivery_id(path)?;
    let found = passkeys.find_delivery(&app.id, &webhook_id, &id).await?;
    let delivery = DeliveryWithPayload {
        delivery: DeliveryInfo::new(&found)?,
        payload: found.payload()?,
    };
    Ok(Json(DeliveryWithPayloadAnswer { delivery }).into_response())
}

/// Send a message again
///
/// Whether it was accepted before or not.
#[utoipa::path(
    post, path = "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", tag = MANAGEMENT,
    responses((status = 202, description = "The delivery, which is pending again.", body = DeliveryAnswer)),
    extensions(("x-refusals" = json!(refusals(&[Refusal::WebhookNotFound, Refusal::DeliveryNotFound])))),
)]
pub(super) async fn redeliver(
    State(passkeys): State<Passkeys>,
    Authorized(app): Authorized,
    path: TwoPath,
) -> Result<Response, Failure> {
    let (webhook_id, id) = delivery_id(path)?;
    let queued = passkeys.redeliver(&app.id, &webhook_id, &id).await?;
    let delivery = DeliveryInfo::new(&queued)?;
    Ok((StatusCode::ACCEPTED, Json(DeliveryAnswer { delivery })).into_response())
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

/// A webhook, under a member of its own.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookAnswer {
    webhook: WebhookInfo,
}

/// The webhooks of an app.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// The oldest first.
    webhooks: Vec<WebhookInfo>,
}

/// A webhook with a fresh secret.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookWithSecretAnswer {
    webhook: WebhookWithSecretInfo,
}

impl WebhookWithSecretAnswer {
    fn new(made: WebhookWithSecret) -> Result<WebhookWithSecretAnswer, Fault> {
        Ok(WebhookWithSecretAnswer {
            webhook: WebhookWithSecretInfo {
                webhook: WebhookInfo::new(made.webhook)?,
                secret: made.secret.expose_secret().to_owned(),
            },
        })
    }
}

/// A webhook and its secret.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookWithSecretInfo {
    #[serde(flatten)]
    webhook: WebhookInfo,
    /// What messages are signed with, as Standard Webhooks writes it.
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{43}=$")]
    secret: String,
}

/// Where events of an app are told.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookInfo {
    id: WebhookId,
    #[schema(format = "uri")]
    url: String,
    /// Of what it is told; empty: of everything, also of types to come.
    event_types: Vec<WebhookEventType>,
    /// Whether messages are queued and sent.
    enabled: bool,
    /// Until when messages are signed with the secret before the last as well.
    #[schema(required)]
    previous_secret_expires_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl WebhookInfo {
    fn new(webhook: Webhook) -> Result<WebhookInfo, Fault> {
        Ok(WebhookInfo {
            id: webhook.id,
            url: webhook.url,
            event_types: webhook.event_types,
            enabled: webhook.is_enabled,
            previous_secret_expires_at: optional_time(webhook.previous_secret_expires_at_ms)?,
            created_at: time(webhook.created_at_ms)?,
            updated_at: time(webhook.updated_at_ms)?,
        })
    }
}

/// One page of the deliveries of a webhook.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryList {
    #[serde(rename = "_links")]
    links: Links,
    /// The list stands still at this moment, in Unix seconds.
    created_before: i64,
    deliveries: Vec<DeliveryInfo>,
    /// How many fit on a page.
    #[schema(minimum = 1, maximum = 500)]
    limit: i64,
    /// From 1.
    #[schema(minimum = 1)]
    page: i64,
    /// How many there are on all pages.
    #[schema(minimum = 0)]
    total_deliveries: i64,
}

impl DeliveryList {
    fn new(page: &DeliveryPage, links: Links) -> Result<DeliveryList, Fault> {
        Ok(DeliveryList {
            links,
            created_before: page.created_before_s,
            deliveries: page
                .deliveries
                .iter()
                .map(DeliveryInfo::new)
                .collect::<Result<_, _>>()?,
            limit: page.limit,
            page: page.page,
            total_deliveries: page.total,
        })
    }
}

/// A delivery, under a member of its own.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryAnswer {
    delivery: DeliveryInfo,
}

/// A delivery with its message, under a member of its own.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryWithPayloadAnswer {
    delivery: DeliveryWithPayload,
}

/// A delivery and its message.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryWithPayload {
    #[serde(flatten)]
    delivery: DeliveryInfo,
    #[schema(value_type = WebhookMessage)]
    payload: Value,
}

/// A message to a webhook, and how far it got.
#[derive(Serialize, ToSchema)]
pub(super) struct DeliveryInfo {
    /// That of the event; a receiver that gets the message twice recognizes it by this.
    id: EventId,
    event_type: WebhookEventType,
    state: DeliveryState,
    /// How often it was sent, or begun to be.
    #[schema(minimum = 0)]
    attempts: i64,
    created_at: Time,
    /// When it is due; null when it is not.
    #[schema(required)]
    next_attempt_at: Option<Time>,
    #[schema(required)]
    last_attempt_at: Option<Time>,
    /// The status of the last attempt's response, if one came.
    #[schema(required)]
    last_status: Option<i64>,
    /// Why the last attempt failed, if it did.
    #[schema(required)]
    last_error: Option<DeliveryError>,
    #[schema(required)]
    delivered_at: Option<Time>,
}

impl DeliveryInfo {
    fn new(delivery: &Delivery) -> Result<DeliveryInfo, Fault> {
        Ok(DeliveryInfo {
            id: delivery.id.clone(),
            event_type: delivery.event_type,
            state: delivery.state,
            attempts: delivery.attempts,
            created_at: time(delivery.created_at_ms)?,
            next_attempt_at: optional_time(delivery.next_attempt_at_ms)?,
            last_attempt_at: optional_time(delivery.last_attempt_at_ms)?,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            delivered_at: optional_time(delivery.delivered_at_ms)?,
        })
    }
}
