//! What requests hold and what the browser's options look like, for the OpenAPI
//! document. Only the schemas of these types are used: bodies are read by
//! `body`, member by member, so that each fault gets its own words; lists'
//! queries by the nouns; options are made by the `webauthn` crate. That all of
//! them agree is tested against the running server.

use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

use crate::{
    TransactionId, WebhookEventType, events::info::EventInfo, ids::HandshakeId, times::Time,
};

/// The customer's own, unchanging id of a user: 1 to 256 bytes of UTF-8 without NUL.
#[derive(ToSchema)]
#[schema(
    min_length = 1,
    max_length = 256,
    pattern = r"^[^\x00]+$",
    example = "ann"
)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct ExternalIdText(String);

/// For whom a passkey may be made, and what the authenticator calls it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NewRegisterTransaction {
    external_id: ExternalIdText,
    /// What the authenticator shows: 1 to 128 characters without NUL.
    #[schema(
        min_length = 1,
        max_length = 128,
        pattern = r"^[^\x00]+$",
        example = "ann@example.com"
    )]
    passkey_display_name: String,
}

/// Who may sign in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NewAuthenticateTransaction {
    external_id: ExternalIdText,
}

/// A nonce to redeem.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NonceToVerify {
    /// What the browser or app got from the finish of a ceremony.
    #[schema(min_length = 1)]
    nonce: String,
}

/// Which registration to start.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RegistrationStart {
    transaction_id: TransactionId,
    /// The kind of authenticator that is wanted; without it, any.
    authenticator_attachment: Option<Attachment>,
    /// How the browser will ask; without it, by a dialog.
    mediation: Option<Mediation>,
}

/// How a passkey is made without a dialog.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Mediation {
    /// In passing, after a login by password.
    Conditional,
}

/// A kind of authenticator, or `any`.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Attachment {
    /// Part of the machine.
    Platform,
    /// A security key, or a phone near by.
    CrossPlatform,
    /// Either.
    Any,
}

/// Which authentication to start. Without a transaction it is discoverable: whoever has a passkey.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct AuthenticationStart {
    transaction_id: Option<TransactionId>,
}

/// The end of a registration.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RegistrationFinish {
    handshake_id: HandshakeId,
    transaction_id: TransactionId,
    handshake_response: RegistrationCredential,
}

/// What `navigator.credentials.create()` gave, binary members as base64url
/// without padding. Further members are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RegistrationCredential {
    /// The credential id.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    id: String,
    /// The same as `id`.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    raw_id: Option<String>,
    #[schema(rename = "type")]
    credential_type: CredentialType,
    response: AttestationResponse,
    /// How the authenticator can be reached; looked for in `response` as well.
    transports: Option<Vec<String>>,
    /// The kind of authenticator, as the client tells it.
    authenticator_attachment: Option<String>,
}

/// Signed by the authenticator that made a passkey.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct AttestationResponse {
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    attestation_object: String,
    #[schema(rename = "clientDataJSON", pattern = "^[A-Za-z0-9_-]+$")]
    client_data_json: String,
    /// How the authenticator can be reached.
    transports: Option<Vec<String>>,
}

/// The end of an authentication.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct AuthenticationFinish {
    handshake_id: HandshakeId,
    /// The transaction that the handshake was started with, if it was with one.
    transaction_id: Option<TransactionId>,
    handshake_response: AuthenticationCredential,
}

/// What `navigator.credentials.get()` gave, binary members as base64url without
/// padding. Further members are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct AuthenticationCredential {
    /// The credential id.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    id: String,
    /// The same as `id`.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    raw_id: Option<String>,
    #[schema(rename = "type")]
    credential_type: CredentialType,
    response: AssertionResponse,
}

/// Signed by the authenticator that used a passkey.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct AssertionResponse {
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    authenticator_data: String,
    #[schema(rename = "clientDataJSON", pattern = "^[A-Za-z0-9_-]+$")]
    client_data_json: String,
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    signature: String,
    /// The user id in one of three encodings; empty and missing are the same.
    user_handle: Option<String>,
}

/// The one kind of credential.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) enum CredentialType {
    #[serde(rename = "public-key")]
    PublicKey,
}

/// The `publicKey` options of a registration.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreationOptions {
    rp: RelyingPartyEntity,
    user: UserEntity,
    /// 32 random bytes.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    challenge: String,
    /// In order of preference.
    pub_key_cred_params: Vec<CredentialParameters>,
    /// A hint to the browser, in milliseconds.
    timeout: u64,
    /// The passkeys that the user has already.
    exclude_credentials: Vec<CredentialDescriptor>,
    authenticator_selection: AuthenticatorSelection,
    #[schema(value_type = Conveyance)]
    attestation: String,
    extensions: CreationExtensions,
}

/// The app, as the authenticator knows it.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct RelyingPartyEntity {
    /// The RP ID.
    id: String,
    name: String,
}

/// The user, as the authenticator knows it.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserEntity {
    /// The user id in base64url.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    id: String,
    name: String,
    display_name: String,
}

/// A signature algorithm that is accepted.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct CredentialParameters {
    #[serde(rename = "type")]
    credential_type: CredentialType,
    /// A COSE algorithm identifier.
    alg: i64,
}

/// Names a passkey.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct CredentialDescriptor {
    #[serde(rename = "type")]
    credential_type: CredentialType,
    /// The credential id.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    id: String,
    /// Left out when none are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    transports: Option<Vec<String>>,
}

/// What the authenticator must be able to do.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AuthenticatorSelection {
    /// Left out for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    authenticator_attachment: Option<String>,
    resident_key: String,
    require_resident_key: bool,
    #[schema(value_type = Verification)]
    user_verification: String,
}

/// Whether the authenticator must verify the user.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Verification {
    /// Asked for.
    Preferred,
    /// Demanded.
    Required,
}

/// Whether the authenticator's own certificate is wanted.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Conveyance {
    /// No.
    None,
    /// As it made it.
    Direct,
}

/// Extensions of a registration.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct CreationExtensions {
    cred_props: bool,
}

/// The `publicKey` options of an authentication.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestOptions {
    /// 32 random bytes.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    challenge: String,
    rp_id: String,
    /// The user's passkeys; left out when the authentication is discoverable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    allow_credentials: Option<Vec<CredentialDescriptor>>,
    #[schema(value_type = Verification)]
    user_verification: String,
    /// A hint to the browser, in milliseconds.
    timeout: u64,
}

/// What is to change about an app; what is absent stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct ChangedApp {
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\x00]+$")]
    name: Option<String>,
    /// `https://host[:port]`, or `http://localhost[:port]`. The RP ID does not follow.
    auth_origin: Option<String>,
    /// Further origins.
    #[schema(max_items = 64)]
    additional_auth_origins: Option<Vec<String>>,
    /// The host of `auth_origin` or a domain above it, but no public suffix.
    rp_id: Option<String>,
    /// Change `rp_id` even if passkeys stop working by it.
    force: Option<bool>,
    /// Whether a registration may create a user.
    public_signup: Option<bool>,
    settings: Option<ChangedSettings>,
}

/// What is to change about the settings of an app; what is absent stays. Times
/// are in milliseconds.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct ChangedSettings {
    user_verification: Option<Verification>,
    counter_policy: Option<Counter>,
    /// The preferred one first; ES256 must be among them.
    algorithms: Option<Vec<AlgorithmName>>,
    attestation: Option<Conveyance>,
    /// X.509 certificates in PEM, or in base64 of DER.
    trust_anchors: Option<Vec<String>>,
    /// The only models that may register; empty for any.
    allowed_aaguids: Option<Vec<String>>,
    /// Models that may not register, also if they are allowed.
    denied_aaguids: Option<Vec<String>>,
    /// Whether the metadata that the operator imported is believed about the models it knows.
    uses_metadata: Option<bool>,
    /// Whether a passkey that can be copied to other devices may register.
    allows_synced_passkeys: Option<bool>,
    /// Origins of pages that may run ceremonies in a frame.
    #[schema(max_items = 64)]
    embedding_origins: Option<Vec<String>>,
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    transaction_lifetime_ms: Option<i64>,
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    handshake_lifetime_ms: Option<i64>,
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    discoverable_handshake_lifetime_ms: Option<i64>,
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    nonce_lifetime_ms: Option<i64>,
    /// A hint to the browser.
    #[schema(minimum = 1_000, maximum = 86_400_000)]
    timeout_ms: Option<i64>,
    #[schema(minimum = 86_400_000, maximum = 315_360_000_000i64)]
    event_retention_ms: Option<i64>,
}

/// The settings of an app. Times are in milliseconds.
#[derive(Deserialize, Serialize, ToSchema)]
pub(super) struct ShownSettings {
    #[schema(value_type = Verification)]
    user_verification: String,
    #[schema(value_type = Counter)]
    counter_policy: String,
    /// The preferred one first.
    #[schema(value_type = Vec<AlgorithmName>)]
    algorithms: Vec<String>,
    #[schema(value_type = Conveyance)]
    attestation: String,
    /// X.509 certificates in base64 of DER.
    trust_anchors: Vec<String>,
    /// The only models that may register; empty for any.
    #[schema(value_type = Vec<Aaguid>)]
    allowed_aaguids: Vec<String>,
    /// Models that may not register, also if they are allowed.
    #[schema(value_type = Vec<Aaguid>)]
    denied_aaguids: Vec<String>,
    /// Whether the metadata that the operator imported is believed about the models it knows.
    uses_metadata: bool,
    /// Whether a passkey that can be copied to other devices may register.
    allows_synced_passkeys: bool,
    /// Origins of pages that may run ceremonies in a frame.
    embedding_origins: Vec<String>,
    transaction_lifetime_ms: i64,
    handshake_lifetime_ms: i64,
    discoverable_handshake_lifetime_ms: i64,
    nonce_lifetime_ms: i64,
    /// A hint to the browser.
    timeout_ms: i64,
    event_retention_ms: i64,
}

/// A model of authenticator.
#[derive(ToSchema)]
#[schema(format = "uuid")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct Aaguid(String);

/// What a signature counter that does not grow means.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum Counter {
    /// It is noted in the event.
    Record,
    /// The login is refused.
    Refuse,
}

/// A signature algorithm, as JOSE spells it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum AlgorithmName {
    #[schema(rename = "ES256")]
    Es256,
    #[schema(rename = "ES384")]
    Es384,
    #[schema(rename = "ES512")]
    Es512,
    #[schema(rename = "RS256")]
    Rs256,
    EdDSA,
}

/// A webhook to be created.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct WebhookToCreate {
    /// `https://…`, to a public address unless the server allows others, without
    /// user name, password and fragment.
    #[schema(format = "uri", min_length = 1, max_length = 2048)]
    url: String,
    /// Each once; without it, every type.
    event_types: Option<Vec<WebhookEventType>>,
    /// Without it, true.
    enabled: Option<bool>,
}

/// What is to change about a webhook; what is absent stays.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct WebhookToChange {
    /// As when it is created.
    #[schema(format = "uri", max_length = 2048)]
    url: Option<String>,
    /// Each once; empty: every type.
    event_types: Option<Vec<WebhookEventType>>,
    /// False: nothing is queued any more, and what is queued waits.
    enabled: Option<bool>,
}

/// What is posted to a webhook.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct WebhookMessage {
    #[schema(rename = "type")]
    message_type: WebhookEventType,
    /// When it was queued.
    timestamp: Time,
    data: EventInfo,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its parameters are used")]
pub(super) struct PageQuery {
    /// From 1.
    #[param(minimum = 1, default = 1)]
    page: Option<i32>,
    /// How many to a page.
    #[param(minimum = 1, maximum = 500, default = 15)]
    limit: Option<i32>,
    /// Unix seconds: only what was created before; now, unless given. Give the answer's
    /// `created_before` with the next page, so that nothing moves between pages.
    #[param(minimum = 0)]
    created_before: Option<i64>,
}

/// Which deliveries.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its parameters are used")]
pub(super) struct DeliveryListQuery {
    /// `pending`, `delivered` or `failed`, or an operator and a word.
    #[param(schema_with = state_filter)]
    state: Option<String>,
}

/// Which users, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its parameters are used")]
pub(super) struct UserListQuery {
    /// `<field>:<ASC|DESC>`, separated by commas, no field twice; newest first unless given.
    #[param(schema_with = user_order)]
    order_by: Option<String>,
    /// The external id itself, exactly; it has no operators.
    #[param(min_length = 1, pattern = r"^[^\x00]+$")]
    identifier: Option<String>,
    /// The user id, or an operator and an id: `<ne:…>`, `<gt:…>`, `<lt:…>`, `<like:…>`, `<not_like:…>`.
    #[param(schema_with = id_filter)]
    id: Option<String>,
    /// `active`, `inactive` or `pending`, or an operator and a word.
    #[param(schema_with = status_filter)]
    status: Option<String>,
    /// A number, or `<ne:…>`, `<gt:…>`, `<lt:…>` and a number. May be repeated: all must hold.
    #[param(schema_with = number_filter)]
    login_count: Option<String>,
    /// An RFC 3339 time, or `<ne:…>`, `<gt:…>`, `<lt:…>` and a time. May be repeated: all must hold.
    #[param(schema_with = time_filter)]
    created_at: Option<String>,
    /// As `created_at`.
    #[param(schema_with = time_filter)]
    updated_at: Option<String>,
    /// As `created_at`.
    #[param(schema_with = time_filter)]
    last_login_at: Option<String>,
}

/// Which events, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its parameters are used")]
pub(super) struct EventListQuery {
    /// `<field>:<ASC|DESC>`, separated by commas, no field twice; newest first unless given.
    #[param(schema_with = event_order)]
    order_by: Option<String>,
    /// The user's external id itself, exactly; it has no operators.
    #[param(min_length = 1, pattern = r"^[^\x00]+$")]
    identifier: Option<String>,
    /// The event id, or an operator and an id: `<ne:…>`, `<gt:…>`, `<lt:…>`, `<like:…>`, `<not_like:…>`.
    #[param(schema_with = id_filter)]
    id: Option<String>,
    /// The user id, or an operator and an id.
    #[param(schema_with = id_filter)]
    user_id: Option<String>,
    /// The type, or an operator and a text.
    #[param(schema_with = word_filter)]
    r#type: Option<String>,
    /// The address, or `<ne:…>`, `<like:…>`, `<not_like:…>` and a text.
    #[param(schema_with = text_filter)]
    ip_addr: Option<String>,
    /// The user agent, or `<ne:…>`, `<like:…>`, `<not_like:…>` and a text.
    #[param(schema_with = text_filter)]
    user_agent: Option<String>,
    /// An RFC 3339 time, or `<ne:…>`, `<gt:…>`, `<lt:…>` and a time. May be repeated: all must hold.
    #[param(schema_with = time_filter)]
    created_at: Option<String>,
}

/// What is no operator: only a text in angle brackets with a colon in it is one.
const PLAIN: &str = r"[^<\x00][^\x00]*|<([^\x00]*[^>\x00])?|<[^:\x00]*>";

fn id_filter() -> Object {
    pattern(&format!(
        r"{PLAIN}|<(gt|lt):[A-Za-z0-9]+>|<(ne|like|not_like):[^\x00]+>"
    ))
}

fn text_filter() -> Object {
    pattern(&format!(r"{PLAIN}|<(ne|like|not_like):[^\x00]+>"))
}

fn word_filter() -> Object {
    pattern(&format!(r"{PLAIN}|<(ne|gt|lt|like|not_like):[^\x00]+>"))
}

fn status_filter() -> Object {
    pattern(r"active|inactive|pending|<(ne|gt|lt|like|not_like):[^\x00]+>")
}

fn state_filter() -> Object {
    pattern(r"pending|delivered|failed|<(ne|gt|lt|like|not_like):[^\x00]+>")
}

fn number_filter() -> Object {
    pattern(r"[+-]?[0-9]{1,18}|<(ne|gt|lt):[+-]?[0-9]{1,18}>")
}

fn time_filter() -> Schema {
    let plain = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    OneOfBuilder::new()
        .item(plain)
        .item(pattern(
            r"<(ne|gt|lt):[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z>",
        ))
        .into()
}

fn user_order() -> Object {
    order("id|login_count|created_at|updated_at|last_login_at|status")
}

fn event_order() -> Object {
    order("id|created_at|type")
}

fn order(fields: &str) -> Object {
    let term = format!("({fields}):(ASC|DESC)");
    text()
        // The part ahead finds a field that comes twice.
        .pattern(Some(format!(r"^(?!.*\b(\w+):.*\b\1:){term}(,{term})*$")))
        .build()
}

fn pattern(alternatives: &str) -> Object {
    text().pattern(Some(format!("^({alternatives})$"))).build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String))
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::Value;
    use webauthn::{
        Algorithm, AttestationConveyance, AuthenticationOptions, AuthenticatorAttachment,
        RegistrationOptions, UserVerification, authentication, registration,
    };

    use super::*;

    /// A member that the type lacks would be lost on the way through it.
    #[track_caller]
    fn describes_all_of<T: DeserializeOwned + Serialize>(options: Value) {
        let described: T = serde_json::from_value(options.clone()).unwrap();
        assert_eq!(serde_json::to_value(described).unwrap(), options);
    }

    #[test]
    fn the_settings_of_an_app_are_described_whole() {
        describes_all_of::<ShownSettings>(crate::AppSettings::default().to_json());
    }

    #[test]
    fn the_options_of_both_ceremonies_are_described_whole() {
        for (attachment, transports) in [
            (None, vec![]),
            (Some(AuthenticatorAttachment::Platform), vec!["usb".into()]),
        ] {
            let credentials = [webauthn::CredentialDescriptor {
                id: vec![1; 16],
                transports,
            }];
            describes_all_of::<CreationOptions>(registration::options(&RegistrationOptions {
                rp_id: "example.com",
                rp_name: "Example",
                user_id: "ann",
                display_name: "Ann",
                challenge: &[7; 32],
                algorithms: &[Algorithm::Es256, Algorithm::Rs256, Algorithm::EdDsa],
                timeout_ms: 300_000,
                exclude: &credentials,
                attachment,
                user_verification: UserVerification::Required,
                attestation: AttestationConveyance::Direct,
            }));
            for allow in [None, Some(&credentials[..])] {
                describes_all_of::<RequestOptions>(authentication::options(
                    &AuthenticationOptions {
                        rp_id: "example.com",
                        challenge: &[7; 32],
                        allow,
                        user_verification: UserVerification::Preferred,
                        timeout_ms: 300_000,
                    },
                ));
            }
        }
    }
}
