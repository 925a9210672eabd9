//! The contract's answers (passkey-flex sections b.3 to b.10 and c.2 to c.5).
//! Clients are strict: every member is always there, and null only where the
//! contract says so.
//!
//! What is serialized here is also what the OpenAPI document describes, so the
//! two cannot disagree; the comments on members are the document's. What
//! requests hold is in `requests`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use platform::Fault;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::requests::{CreationOptions, RequestOptions, ShownSettings};
use crate::{
    App, AppId, Device, DeviceId, DeviceType, Event, EventId, EventPage, EventType, NativeClient,
    NativeClientId, NativeSoftware, TransactionId, User, UserDetails, UserId, UserPage, UserStatus,
    authenticators::{Authenticators, Picture, Shade},
    ceremonies::{Ceremony, Started},
    events::info::{EventAction, EventInfo, EventStatus},
    ids::HandshakeId,
    nonces::FinishedCeremony,
    times::{Time, optional_time, time},
};

/// A transaction was created (sections b.3 and b.4).
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedTransaction {
    pub(super) transaction_id: TransactionId,
}

/// What a nonce proves (section b.5). All but `external_id` are our additions.
#[derive(Serialize, ToSchema)]
pub(super) struct VerifiedNonce {
    /// The customer's own id of the user. In a step-up, compare it with the user who is signed in.
    external_id: String,
    /// Which ceremony was finished.
    #[serde(rename = "type")]
    #[schema(value_type = CeremonyType)]
    ceremony: Ceremony,
    /// The transaction that permitted it; null after a discoverable login.
    #[schema(required)]
    transaction_id: Option<TransactionId>,
    device_id: DeviceId,
    /// Whether the authenticator verified the user, by fingerprint or PIN for example.
    user_verified: bool,
    /// When the ceremony finished.
    authenticated_at: Time,
}

impl VerifiedNonce {
    pub(super) fn new(finished: FinishedCeremony) -> Result<VerifiedNonce, Fault> {
        Ok(VerifiedNonce {
            authenticated_at: time(finished.finished_at_ms)?,
            external_id: finished.external_id,
            ceremony: finished.ceremony,
            transaction_id: finished.transaction_id,
            device_id: finished.device_id,
            user_verified: finished.user_verified,
        })
    }
}

/// The two ceremonies of WebAuthn.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used, in place of Ceremony")]
pub(super) enum CeremonyType {
    /// A passkey was made.
    Register,
    /// A passkey was used.
    Authenticate,
}

/// An app, under the member that the SDKs read.
#[derive(Serialize, ToSchema)]
pub(super) struct AppAnswer {
    pub(super) app: AppInfo,
}

/// A user, under the member that the SDKs read.
#[derive(Serialize, ToSchema)]
pub(super) struct UserAnswer {
    pub(super) user: UserInfo,
}

/// An event, under the member that clients read.
#[derive(Serialize, ToSchema)]
pub(super) struct EventAnswer {
    pub(super) event: EventInfo,
}

/// The devices of a user.
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceList {
    /// The oldest first.
    pub(super) devices: Vec<DeviceInfo>,
}

/// One page of the users of an app (section b.6).
#[derive(Serialize, ToSchema)]
pub(super) struct UserList {
    #[serde(rename = "_links")]
    links: Links,
    /// The list stands still at this moment, in Unix seconds: later users are on no page of it.
    created_before: i64,
    /// How many fit on a page.
    #[schema(minimum = 1, maximum = 500)]
    limit: i64,
    /// From 1.
    #[schema(minimum = 1)]
    page: i64,
    /// How many there are on all pages.
    #[schema(minimum = 0)]
    total_users: i64,
    users: Vec<UserItem>,
}

impl UserList {
    pub(super) fn new(page: &UserPage, links: Links) -> Result<UserList, Fault> {
        Ok(UserList {
            links,
            created_before: page.created_before_s,
            limit: page.limit,
            page: page.page,
            total_users: page.total,
            users: page
                .users
                .iter()
                .map(UserItem::new)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// One page of the events of an app (section b.9).
#[derive(Serialize, ToSchema)]
pub(super) struct EventList {
    #[serde(rename = "_links")]
    links: Links,
    /// The list stands still at this moment, in Unix seconds: later events are on no page of it.
    created_before: i64,
    events: Vec<EventInfo>,
    /// How many fit on a page.
    #[schema(minimum = 1, maximum = 500)]
    limit: i64,
    /// From 1.
    #[schema(minimum = 1)]
    page: i64,
    /// How many there are on all pages.
    #[schema(minimum = 0)]
    total_events: i64,
}

impl EventList {
    pub(super) fn new(page: &EventPage, links: Links) -> Result<EventList, Fault> {
        Ok(EventList {
            links,
            created_before: page.created_before_s,
            events: page
                .events
                .iter()
                .map(EventInfo::new)
                .collect::<Result<_, _>>()?,
            limit: page.limit,
            page: page.page,
            total_events: page.total,
        })
    }
}

/// Where the other pages of a list are.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Links {
    pub(super) first: Link,
    pub(super) last: Link,
    pub(super) next: Link,
    pub(super) previous: Link,
    #[serde(rename = "self")]
    pub(super) this: Link,
}

/// Where a page is.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Link {
    /// A whole URL, or empty where there is no such page.
    pub(super) href: String,
}

/// A user as lists show it (section b.6).
#[derive(Serialize, ToSchema)]
pub(super) struct UserItem {
    id: UserId,
    /// The customer's own id of the user.
    external_id: String,
    /// Always empty here.
    email: &'static str,
    /// Always false here.
    email_verified: bool,
    /// Always empty here.
    phone: &'static str,
    /// Always false here.
    phone_verified: bool,
    status: UserStatus,
    /// Logins that verified; registrations are not counted.
    #[schema(minimum = 0)]
    login_count: i32,
    created_at: Time,
    updated_at: Time,
    /// Before the first login the time of creation.
    last_login_at: Time,
    /// Always null here.
    #[schema(required, value_type = Option<Empty>)]
    user_metadata: Option<Empty>,
}

impl UserItem {
    fn new(user: &User) -> Result<UserItem, Fault> {
        Ok(UserItem {
            id: user.id.clone(),
            external_id: user.external_id.clone(),
            email: "",
            email_verified: false,
            phone: "",
            phone_verified: false,
            status: user.status,
            login_count: int32(user.login_count),
            created_at: time(user.created_at_ms)?,
            updated_at: time(user.updated_at_ms)?,
            last_login_at: time(user.last_login_at_ms)?,
            user_metadata: None,
        })
    }
}

/// A user with all that belongs to it (section b.7).
#[derive(Serialize, ToSchema)]
pub(super) struct UserInfo {
    #[serde(flatten)]
    user: UserItem,
    /// The last 20, the newest first.
    #[schema(max_items = 20)]
    recent_events: Vec<RecentEvent>,
    /// Always empty here.
    social_connections: Empty,
    /// Whether the user has a device.
    webauthn: bool,
    /// The oldest first.
    webauthn_devices: Vec<DeviceInfo>,
    /// The kinds of the user's devices, each once.
    webauthn_types: Vec<DeviceType>,
}

impl UserInfo {
    pub(super) fn new(
        details: &UserDetails,
        authenticators: &Authenticators,
    ) -> Result<UserInfo, Fault> {
        let mut types = Vec::new();
        for device in &details.devices {
            let device_type = device.device_type();
            if !types.contains(&device_type) {
                types.push(device_type);
            }
        }
        Ok(UserInfo {
            user: UserItem::new(&details.user)?,
            recent_events: details
                .recent_events
                .iter()
                .map(RecentEvent::new)
                .collect::<Result<_, _>>()?,
            social_connections: Empty {},
            webauthn: !details.devices.is_empty(),
            webauthn_devices: devices(&details.devices, authenticators)?,
            webauthn_types: types,
        })
    }
}

/// A registered credential (section b.8), and as an addition the RP ID that it
/// was made under.
#[derive(Serialize, ToSchema)]
pub(super) struct DeviceInfo {
    id: DeviceId,
    /// The WebAuthn credential id in base64url without padding.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    cred_id: String,
    /// A hint for people: the passkey provider or model, else browser and system.
    friendly_name: String,
    icons: Icons,
    #[serde(rename = "type")]
    device_type: DeviceType,
    /// Logins that verified with it; 0 after its registration.
    #[schema(minimum = 0)]
    usage_count: i32,
    created_at: Time,
    updated_at: Time,
    /// Before the first login the time of creation.
    last_login_at: Time,
    /// The RP ID that the passkey is bound to.
    rp_id: String,
}

/// The devices of a user (section b.8).
pub(super) fn devices(
    devices: &[Device],
    authenticators: &Authenticators,
) -> Result<Vec<DeviceInfo>, Fault> {
    let icon = |device: &Device, shade| {
        let picture = authenticators.picture(&device.credential.aaguid, shade);
        picture.map(Picture::data_uri)
    };
    devices
        .iter()
        .map(|device| {
            Ok(DeviceInfo {
                id: device.id.clone(),
                cred_id: BASE64_URL_SAFE_NO_PAD.encode(&device.credential.id),
                friendly_name: device.friendly_name(authenticators),
                icons: Icons {
                    light: icon(device, Shade::Light),
                    dark: icon(device, Shade::Dark),
                },
                device_type: device.device_type(),
                usage_count: int32(device.usage_count),
                created_at: time(device.created_at_ms)?,
                updated_at: time(device.updated_at_ms)?,
                last_login_at: time(device.last_login_at_ms)?,
                rp_id: device.rp_id.clone(),
            })
        })
        .collect()
}

/// Pictures of a passkey provider or model, as data URLs; null when there is none.
#[derive(Serialize, ToSchema)]
pub(super) struct Icons {
    /// For a light background.
    #[schema(required)]
    light: Option<String>,
    /// For a dark background.
    #[schema(required)]
    dark: Option<String>,
}

/// An event among those of its user (section b.7).
#[derive(Serialize, ToSchema)]
pub(super) struct RecentEvent {
    id: EventId,
    #[serde(rename = "type")]
    event_type: EventType,
    #[schema(value_type = EventAction)]
    action: &'static str,
    status: EventStatus,
    /// Where the browser or app was; empty when not known.
    ip_addr: String,
    /// What the browser or app called itself.
    user_agent: String,
    /// The user agent in words; empty when unknown.
    user_agent_display: String,
    created_at: Time,
    /// Null while it is not complete.
    #[schema(required)]
    completed_at: Option<Time>,
    /// Always null here.
    #[schema(required)]
    social_login_type: Option<&'static str>,
}

impl RecentEvent {
    fn new(event: &Event) -> Result<RecentEvent, Fault> {
        Ok(RecentEvent {
            id: event.id.clone(),
            event_type: event.event_type,
            action: event.event_type.action(),
            status: EventStatus::of(event),
            ip_addr: event.ip_addr.clone(),
            user_agent: event.user_agent.clone(),
            user_agent_display: event.user_agent_display(),
            created_at: time(event.created_at_ms)?,
            completed_at: optional_time(event.completed_at_ms)?,
            social_login_type: None,
        })
    }
}

/// An AppInfo for the SDKs of before 1.0, which need every member although they
/// read one (section b.10). What a Flex app does not have is off, empty or 0;
/// `rp_id` and `settings` are ours.
#[derive(Serialize, ToSchema)]
pub(super) struct AppInfo {
    id: AppId,
    name: String,
    /// The origin of the customer's site.
    auth_origin: String,
    /// Further origins of the same app.
    additional_auth_origins: Vec<String>,
    /// Always `flex`.
    #[serde(rename = "type")]
    app_type: &'static str,
    created_at: Time,
    default_language: &'static str,
    allowed_callback_urls: Vec<String>,
    allowed_logout_urls: Vec<String>,
    allowed_identifier: &'static str,
    required_identifier: &'static str,
    application_login_uri: &'static str,
    auth_fallback_method: &'static str,
    auth_fallback_method_ttl: i32,
    auth_methods: AuthMethods,
    auto_theme_enabled: bool,
    layouts: Layouts,
    login_url: &'static str,
    redirect_url: &'static str,
    hosted: bool,
    hosted_subdomain: &'static str,
    hosted_theme: &'static str,
    passage_branding: bool,
    profile_management: bool,
    /// Whether a registration may create a user.
    public_signup: bool,
    refresh_absolute_lifetime: i32,
    refresh_enabled: bool,
    refresh_inactivity_lifetime: i32,
    require_email_verification: bool,
    require_identifier_verification: bool,
    role: &'static str,
    rsa_public_key: &'static str,
    session_timeout_length: i32,
    user_metadata_schema: Vec<Empty>,
    technologies: Vec<String>,
    element_customization: Empty,
    element_customization_dark: Empty,
    /// The RP ID that new passkeys are bound to.
    rp_id: String,
    #[schema(value_type = ShownSettings)]
    settings: Value,
}

impl AppInfo {
    pub(super) fn new(app: App) -> Result<AppInfo, Fault> {
        let no_code = || OneTimeCode {
            enabled: false,
            ttl: 0,
            ttl_display_unit: "s",
        };
        Ok(AppInfo {
            created_at: time(app.created_at_ms)?,
            id: app.id,
            name: app.name,
            auth_origin: app.auth_origin,
            additional_auth_origins: app.additional_auth_origins,
            app_type: "flex",
            default_language: "en",
            allowed_callback_urls: vec![],
            allowed_logout_urls: vec![],
            allowed_identifier: "both",
            required_identifier: "either",
            application_login_uri: "",
            auth_fallback_method: "none",
            auth_fallback_method_ttl: 0,
            auth_methods: AuthMethods {
                passkeys: Enabled { enabled: true },
                otp: no_code(),
                magic_link: no_code(),
            },
            auto_theme_enabled: false,
            layouts: Layouts {
                profile: vec![],
                registration: vec![],
            },
            login_url: "",
            redirect_url: "",
            hosted: false,
            hosted_subdomain: "",
            hosted_theme: "auto",
            passage_branding: false,
            profile_management: false,
            public_signup: app.settings.public_signup,
            refresh_absolute_lifetime: 0,
            refresh_enabled: false,
            refresh_inactivity_lifetime: 0,
            require_email_verification: false,
            require_identifier_verification: false,
            role: "admin",
            rsa_public_key: "",
            session_timeout_length: 0,
            user_metadata_schema: vec![],
            technologies: vec![],
            element_customization: Empty {},
            element_customization_dark: Empty {},
            rp_id: app.rp_id,
            settings: app.settings.to_json(),
        })
    }
}

/// The native apps of an app.
#[derive(Serialize, ToSchema)]
pub(super) struct NativeClientList {
    /// The oldest first.
    pub(super) native_clients: Vec<NativeClientInfo>,
}

/// A native app, under a member of its own.
#[derive(Serialize, ToSchema)]
pub(super) struct NativeClientAnswer {
    pub(super) native_client: NativeClientInfo,
}

/// A native app of an app (section e).
#[derive(Serialize, ToSchema)]
pub(super) struct NativeClientInfo {
    id: NativeClientId,
    #[serde(flatten)]
    software: NativeSoftware,
    created_at: Time,
}

impl NativeClientInfo {
    pub(super) fn new(client: &NativeClient) -> Result<NativeClientInfo, Fault> {
        Ok(NativeClientInfo {
            id: client.id.clone(),
            software: client.software.clone(),
            created_at: time(client.created_at_ms)?,
        })
    }
}

/// The ways to sign in; only passkeys are on.
#[derive(Serialize, ToSchema)]
pub(super) struct AuthMethods {
    passkeys: Enabled,
    otp: OneTimeCode,
    magic_link: OneTimeCode,
}

/// Whether something is on.
#[derive(Serialize, ToSchema)]
pub(super) struct Enabled {
    enabled: bool,
}

/// A way to sign in that a Flex app does not have.
#[derive(Serialize, ToSchema)]
pub(super) struct OneTimeCode {
    enabled: bool,
    ttl: i32,
    ttl_display_unit: &'static str,
}

/// Forms that a Flex app does not have.
#[derive(Serialize, ToSchema)]
pub(super) struct Layouts {
    profile: Vec<Empty>,
    registration: Vec<Empty>,
}

/// An object without members.
#[derive(Serialize, ToSchema)]
pub(super) struct Empty {}

/// A started registration (section c.2).
#[derive(Serialize, ToSchema)]
pub(super) struct StartedRegistration {
    handshake: RegistrationHandshake,
    #[schema(required)]
    transaction_id: Option<TransactionId>,
}

/// One run of a registration.
#[derive(Serialize, ToSchema)]
pub(super) struct RegistrationHandshake {
    id: HandshakeId,
    challenge: RegistrationChallenge,
}

/// What `navigator.credentials.create()` takes, binary members as base64url.
#[derive(Serialize, ToSchema)]
pub(super) struct RegistrationChallenge {
    #[serde(rename = "publicKey")]
    #[schema(value_type = CreationOptions)]
    public_key: Value,
}

impl From<Started> for StartedRegistration {
    fn from(started: Started) -> StartedRegistration {
        StartedRegistration {
            handshake: RegistrationHandshake {
                id: started.handshake_id,
                challenge: RegistrationChallenge {
                    public_key: started.public_key,
                },
            },
            transaction_id: started.transaction_id,
        }
    }
}

/// A started authentication (section c.4).
#[derive(Serialize, ToSchema)]
pub(super) struct StartedAuthentication {
    handshake: AuthenticationHandshake,
    /// Null when it was started without one: discoverable.
    #[schema(required)]
    transaction_id: Option<TransactionId>,
}

/// One run of an authentication.
#[derive(Serialize, ToSchema)]
pub(super) struct AuthenticationHandshake {
    id: HandshakeId,
    challenge: AuthenticationChallenge,
}

/// What `navigator.credentials.get()` takes, binary members as base64url.
#[derive(Serialize, ToSchema)]
pub(super) struct AuthenticationChallenge {
    #[serde(rename = "publicKey")]
    #[schema(value_type = RequestOptions)]
    public_key: Value,
}

impl From<Started> for StartedAuthentication {
    fn from(started: Started) -> StartedAuthentication {
        StartedAuthentication {
            handshake: AuthenticationHandshake {
                id: started.handshake_id,
                challenge: AuthenticationChallenge {
                    public_key: started.public_key,
                },
            },
            transaction_id: started.transaction_id,
        }
    }
}

/// The proof of a finished ceremony (sections c.3 and c.5).
#[derive(Serialize, ToSchema)]
pub(super) struct NonceAnswer {
    /// To be redeemed once, by the customer's server.
    nonce: String,
}

impl NonceAnswer {
    pub(super) fn new(nonce: &SecretString) -> NonceAnswer {
        NonceAnswer {
            nonce: nonce.expose_secret().to_owned(),
        }
    }
}

/// Clients read counts into 32 bits.
fn int32(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
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
