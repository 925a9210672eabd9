//! The contract's JSON shapes (passkey-flex sections b.6 to b.10). Clients are
//! strict: every member is always there, and null only where the contract says so.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use platform::Fault;
use serde_json::{Map, Value, json};

use crate::{
    App, Device, Event, NativeClient, User, UserDetails,
    authenticators::{Authenticators, Picture, Shade},
    events::info::status,
    times::optional_time,
};

pub(super) use crate::{events::info::info as event, times::time};

/// A row of the list of users (section b.6).
pub(super) fn user(user: &User) -> Result<Map<String, Value>, Fault> {
    let mut members = Map::new();
    members.insert("id".into(), json!(user.id));
    members.insert("external_id".into(), json!(user.external_id));
    members.insert("email".into(), json!(""));
    members.insert("email_verified".into(), json!(false));
    members.insert("phone".into(), json!(""));
    members.insert("phone_verified".into(), json!(false));
    members.insert("status".into(), json!(user.status));
    members.insert("login_count".into(), int32(user.login_count));
    members.insert("created_at".into(), time(user.created_at_ms)?);
    members.insert("updated_at".into(), time(user.updated_at_ms)?);
    members.insert("last_login_at".into(), time(user.last_login_at_ms)?);
    members.insert("user_metadata".into(), Value::Null);
    Ok(members)
}

/// A UserInfo (section b.7).
pub(super) fn user_info(
    details: &UserDetails,
    authenticators: &Authenticators,
) -> Result<Value, Fault> {
    let mut members = user(&details.user)?;
    let mut types = Vec::new();
    for device in &details.devices {
        let device_type = device.device_type();
        if !types.contains(&device_type) {
            types.push(device_type);
        }
    }
    let recent_events: Vec<Value> = details
        .recent_events
        .iter()
        .map(recent_event)
        .collect::<Result<_, _>>()?;
    members.insert("recent_events".into(), json!(recent_events));
    members.insert("social_connections".into(), json!({}));
    members.insert("webauthn".into(), json!(!details.devices.is_empty()));
    members.insert(
        "webauthn_devices".into(),
        devices(&details.devices, authenticators)?,
    );
    members.insert("webauthn_types".into(), json!(types));
    Ok(Value::Object(members))
}

/// The devices of a user (section b.8), and as an addition the RP ID that each
/// was made under.
pub(super) fn devices(devices: &[Device], authenticators: &Authenticators) -> Result<Value, Fault> {
    let icon = |device: &Device, shade| {
        let picture = authenticators.picture(&device.credential.aaguid, shade);
        picture.map(Picture::data_uri)
    };
    devices
        .iter()
        .map(|device| {
            Ok(json!({
                "id": device.id,
                "cred_id": BASE64_URL_SAFE_NO_PAD.encode(&device.credential.id),
                "friendly_name": device.friendly_name(authenticators),
                "icons": {
                    "light": icon(device, Shade::Light),
                    "dark": icon(device, Shade::Dark),
                },
                "type": device.device_type(),
                "usage_count": int32(device.usage_count),
                "created_at": time(device.created_at_ms)?,
                "updated_at": time(device.updated_at_ms)?,
                "last_login_at": time(device.last_login_at_ms)?,
                "rp_id": device.rp_id,
            }))
        })
        .collect()
}

/// An event among those of its user (section b.7).
fn recent_event(event: &Event) -> Result<Value, Fault> {
    Ok(json!({
        "id": event.id,
        "type": event.event_type,
        "action": event.event_type.action(),
        "status": status(event),
        "ip_addr": event.ip_addr,
        "user_agent": event.user_agent,
        "user_agent_display": event.user_agent_display(),
        "created_at": time(event.created_at_ms)?,
        "completed_at": optional_time(event.completed_at_ms)?,
        "social_login_type": null,
    }))
}

/// An AppInfo for the SDKs of before 1.0, which need every member although they
/// read one (section b.10). What a Flex app does not have is off, empty or 0;
/// `rp_id` and `settings` are ours.
pub(super) fn app(app: &App) -> Result<Value, Fault> {
    let no_code = json!({"enabled": false, "ttl": 0, "ttl_display_unit": "s"});
    Ok(json!({
        "id": app.id,
        "name": app.name,
        "auth_origin": app.auth_origin,
        "additional_auth_origins": app.additional_auth_origins,
        "type": "flex",
        "created_at": time(app.created_at_ms)?,
        "default_language": "en",
        "allowed_callback_urls": [],
        "allowed_logout_urls": [],
        "allowed_identifier": "both",
        "required_identifier": "either",
        "application_login_uri": "",
        "auth_fallback_method": "none",
        "auth_fallback_method_ttl": 0,
        "auth_methods": {
            "passkeys": {"enabled": true},
            "otp": no_code,
            "magic_link": no_code,
        },
        "auto_theme_enabled": false,
        "layouts": {"profile": [], "registration": []},
        "login_url": "",
        "redirect_url": "",
        "hosted": false,
        "hosted_subdomain": "",
        "hosted_theme": "auto",
        "passage_branding": false,
        "profile_management": false,
        "public_signup": app.settings.public_signup,
        "refresh_absolute_lifetime": 0,
        "refresh_enabled": false,
        "refresh_inactivity_lifetime": 0,
        "require_email_verification": false,
        "require_identifier_verification": false,
        "role": "admin",
        "rsa_public_key": "",
        "session_timeout_length": 0,
        "user_metadata_schema": [],
        "technologies": [],
        "element_customization": {},
        "element_customization_dark": {},
        "rp_id": app.rp_id,
        "settings": app.settings.to_json(),
    }))
}

/// A native app of an app (section e).
pub(super) fn native_client(client: &NativeClient) -> Result<Value, Fault> {
    let mut members = json!(client.software);
    members["id"] = json!(client.id);
    members["created_at"] = time(client.created_at_ms)?;
    Ok(members)
}

/// Clients read counts into 32 bits.
fn int32(count: i64) -> Value {
    Value::from(count.min(i32::MAX.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_fits_into_32_bits() {
        assert_eq!(int32(7), 7);
        assert_eq!(int32(i64::from(i32::MAX) + 1), i32::MAX);
    }
}
