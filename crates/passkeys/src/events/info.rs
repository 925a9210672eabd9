//! The shape of an event for customers, in lists and in webhooks alike.

use platform::Fault;
use serde_json::{Map, Value, json};

use super::Event;
use crate::times::{optional_time, time};

/// An EventInfo (passkey-flex section b.9). Texts of the contract are never null;
/// of our additions, `completed_at`, `device_id`, `transaction_id` and
/// `failure_code` may be.
pub(crate) fn info(event: &Event) -> Result<Value, Fault> {
    let external_id = event.external_id.as_deref().unwrap_or_default();
    let mut data = Map::new();
    if event.counter_not_increased {
        data.insert("counter_not_increased".into(), json!(true));
    }
    Ok(json!({
        "id": event.id,
        "created_at": time(event.created_at_ms)?,
        "type": event.event_type,
        "identifier": external_id,
        "user_id": event.user_id.as_ref().map_or("", |id| id.as_str()),
        "ip_addr": event.ip_addr,
        "user_agent": event.user_agent,
        "data": data,
        "action": event.event_type.action(),
        "status": status(event),
        "completed_at": optional_time(event.completed_at_ms)?,
        "user_agent_display": event.user_agent_display(),
        "external_id": external_id,
        "device_id": event.device_id,
        "transaction_id": event.transaction_id,
        "failure_code": event.failure_code,
    }))
}

/// `complete` or `incomplete`.
pub(crate) fn status(event: &Event) -> &'static str {
    match event.completed_at_ms {
        Some(_) => "complete",
        None => "incomplete",
    }
}
