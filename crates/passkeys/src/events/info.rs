//! The shape of an event for customers, in lists and in webhooks alike. What is
//! serialized here is also what the OpenAPI document describes.

use platform::Fault;
use serde::Serialize;
use utoipa::ToSchema;

use super::Event;
use crate::{
    DeviceId, EventId, EventType, TransactionId,
    times::{Time, optional_time, time},
};

/// An event of an app (passkey-flex section b.9). Texts of the contract are never null; of our
/// additions, `completed_at`, `device_id`, `transaction_id` and `failure_code` may be.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventInfo {
    id: EventId,
    created_at: Time,
    #[serde(rename = "type")]
    event_type: EventType,
    /// The customer's own id of the user: of the transaction's, whoever tried; without a transaction
    /// empty until a signature proved whose passkey it is.
    identifier: String,
    /// The user, who may have been deleted since; empty as `identifier` is.
    user_id: String,
    /// Where the browser or app was; empty when not known, or outside a ceremony.
    ip_addr: String,
    /// What the browser or app called itself.
    user_agent: String,
    data: EventData,
    #[schema(value_type = EventAction)]
    action: &'static str,
    status: EventStatus,
    /// Null while it is not complete.
    #[schema(required)]
    completed_at: Option<Time>,
    /// The user agent in words; empty when unknown.
    user_agent_display: String,
    /// The same as `identifier`.
    external_id: String,
    /// The device that was made or used, once that was proved.
    #[schema(required)]
    device_id: Option<DeviceId>,
    /// Null for a discoverable login, and outside a ceremony.
    #[schema(required)]
    transaction_id: Option<TransactionId>,
    /// Why the ceremony was denied; null when it was not. For operators, never for the browser.
    #[schema(required)]
    failure_code: Option<String>,
}

impl EventInfo {
    pub(crate) fn new(event: &Event) -> Result<EventInfo, Fault> {
        let external_id = event.external_id.clone().unwrap_or_default();
        Ok(EventInfo {
            id: event.id.clone(),
            created_at: time(event.created_at_ms)?,
            event_type: event.event_type,
            identifier: external_id.clone(),
            user_id: event
                .user_id
                .as_ref()
                .map_or_else(String::new, |id| id.as_str().to_owned()),
            ip_addr: event.ip_addr.clone(),
            user_agent: event.user_agent.clone(),
            data: EventData {
                counter_not_increased: event.counter_not_increased.then_some(true),
            },
            action: event.event_type.action(),
            status: EventStatus::of(event),
            completed_at: optional_time(event.completed_at_ms)?,
            user_agent_display: event.user_agent_display(),
            external_id,
            device_id: event.device_id.clone(),
            transaction_id: event.transaction_id.clone(),
            failure_code: event.failure_code.clone(),
        })
    }
}

/// What else is known about an event.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventData {
    /// There, and true, when the signature counter did not grow: the credential may have been copied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    counter_not_increased: Option<bool>,
}

/// What the user did.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used, for EventType::action")]
pub(crate) enum EventAction {
    /// Making a passkey.
    Register,
    /// Signing in with one.
    Login,
    /// Nothing: the customer changed a user or device.
    Other,
}

/// Whether it is over, and was not refused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EventStatus {
    /// It is.
    Complete,
    /// It is not, or was refused.
    Incomplete,
}

impl EventStatus {
    pub(crate) fn of(event: &Event) -> EventStatus {
        match event.completed_at_ms {
            Some(_) => EventStatus::Complete,
            None => EventStatus::Incomplete,
        }
    }
}
