//! The Passkey Flex service: a customer's server opens a transaction, a browser
//! or app runs a WebAuthn ceremony under it, and the customer's server exchanges
//! the nonce it gets for the user's external id.
//!
//! The map: `apps` and their `api_keys`, `app_settings`, `attestation` policy and
//! `native_clients`; `metadata` is what is known about models of authenticators;
//! `association` is what their domains publish; `transactions` permit a ceremony;
//! `handshakes` are one run of it; `ceremonies` start and finish them, around the
//! pure rules of the `webauthn` crate; `users` and `devices` are what stays;
//! `events` tell what happened; `nonces` prove a finished ceremony. `webhooks` are
//! where an app wants to be told of events, `deliveries` the queue to them.
//! `import` and `export` move users and credentials in and out; `imported` is what
//! an import leaves of a credential's past. `listing` is what lists can be asked
//! for, `caller` who asked, `rate_limits` how often, `authenticators` how people
//! recognize a passkey, `recent` what need not be read again for each request.
//! `http` is the door, `refusal` every way to say no.
//!
//! User pools are unknown here: only a customer's own functions join the two
//! products, over this crate's public API. Deliberately absent as well: any
//! session or token of an end user, which is the customer's business.

mod api_keys;
mod app_settings;
mod apps;
mod association;
mod attestation;
mod authenticators;
mod caller;
mod ceremonies;
mod deliveries;
mod devices;
mod events;
mod export;
#[cfg(feature = "fuzz")]
pub mod fuzzing;
mod handshakes;
mod http;
mod ids;
mod import;
mod imported;
mod listing;
mod metadata;
mod native_clients;
mod nonces;
mod rate_limits;
mod recent;
mod refusal;
mod stored;
mod times;
mod transactions;
mod users;
mod webhooks;

pub use api_keys::{ApiKey, NewApiKey};
pub use app_settings::{AppSettings, Lifetimes, SettingsChanges, algorithm_named};
pub use apps::{App, AppChanges, NewApp};
pub use attestation::{AttestationSettings, TrustCertificate};
pub use authenticators::{Authenticators, AuthenticatorsInvalid, PictureLeftOut};
pub use deliveries::{
    Delivery, DeliveryError, DeliveryPage, DeliveryQuery, DeliverySettings, DeliveryState,
};
pub use devices::{Device, DeviceType};
pub use events::{Event, EventPage, EventQuery, EventType};
pub use export::ExportError;
pub use ids::{
    ApiKeyId, AppId, DeviceId, EventId, NativeClientId, TransactionId, UserId, WebhookId,
};
pub use import::{
    ImportError, ImportFile, ImportFiles, ImportIssue, ImportOptions, ImportReport, ImportTally,
    UserColumns,
};
pub use imported::Imported;
pub use metadata::{
    ImportedMetadata, MetadataImportError, RevocationListsInvalid, read_revocation_lists,
};
pub use native_clients::{Fingerprint, FingerprintError, NativeClient, NativeSoftware};
pub use rate_limits::{Period, RateLimit, RateLimitInvalid, RateLimits};
pub use refusal::{Failure, Refusal};
pub use users::{User, UserDetails, UserPage, UserQuery, UserStatus};
/// The words of an app's policy.
pub use webauthn::{Algorithm, AttestationConveyance, CounterPolicy, UserVerification};
/// Whose signature on a metadata file is believed, and why a file is not.
pub use webauthn::{MetadataError, MetadataSigner};
pub use webhooks::{NewWebhook, Webhook, WebhookChanges, WebhookEventType, WebhookWithSecret};

use std::sync::Arc;

use platform::{Fault, Platform};
use tokio::sync::Notify;

use rate_limits::Limiters;

/// The handle on the passkey product; every door uses it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Passkeys {
    platform: Platform,
    recent: Arc<recent::Recent>,
    /// Without a slash at the end.
    public_url: Option<Arc<str>>,
    delivery: DeliverySettings,
    /// Wakes the worker of [`Passkeys::deliver_webhooks`], which holds a clone of this.
    deliveries_queued: Arc<Notify>,
    limiters: Arc<Limiters>,
    authenticators: Arc<Authenticators>,
    metadata_reminder: Arc<metadata::Reminder>,
}

/// How many expired rows [`Passkeys::sweep`] deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Transactions, completed or not.
    pub transactions: u64,
    /// Handshakes, spent or not.
    pub handshakes: u64,
    /// Nonces that nobody redeemed.
    pub nonces: u64,
    /// Events older than their app keeps them.
    pub events: u64,
    /// Deliveries to webhooks that are over for some time.
    pub deliveries: u64,
}

impl Passkeys {
    /// The product on `platform`, whose database has the current schema.
    pub fn new(platform: Platform) -> Passkeys {
        Passkeys {
            limiters: Arc::new(Limiters::new(&RateLimits::OFF, &platform.clock)),
            authenticators: Arc::default(),
            metadata_reminder: Arc::default(),
            platform,
            recent: Arc::default(),
            public_url: None,
            delivery: DeliverySettings::default(),
            deliveries_queued: Arc::default(),
        }
    }

    /// The same product, which delivers to webhooks as `settings` say.
    pub fn with_delivery_settings(mut self, settings: DeliverySettings) -> Passkeys {
        self.delivery = settings;
        self
    }

    /// The same product, which shows these names and pictures of authenticators.
    /// Without it there are the compiled names and no pictures.
    pub fn with_authenticators(mut self, authenticators: Authenticators) -> Passkeys {
        self.authenticators = Arc::new(authenticators);
        self
    }

    /// The same product, which refuses whoever calls too often. Without it nothing is
    /// counted. Clones count together.
    pub fn with_rate_limits(mut self, limits: &RateLimits) -> Passkeys {
        self.limiters = Arc::new(Limiters::new(limits, &self.platform.clock));
        self
    }

    /// The same product, which knows where clients reach it (`https://host[:port]`),
    /// so that the links of lists lead there. Without it they lead to
    /// `http://` and the host that the request named.
    pub fn with_public_url(mut self, public_url: &str) -> Passkeys {
        self.public_url = Some(public_url.trim_end_matches('/').into());
        self
    }

    /// Deletes what has expired, in batches small enough not to be felt by requests.
    ///
    /// Also warns, once a day, of imported metadata that is out of date.
    ///
    /// To be called every few minutes. Nothing depends on it for being right: an
    /// expired row is refused whether it is still there or not. Transactions and
    /// handshakes are kept for an hour after they expired, so that a late finish
    /// is recorded as late and not as unknown.
    pub async fn sweep(&self) -> Result<Swept, Fault> {
        self.limiters.sweep();
        let db = &self.platform.db;
        let now_ms = self.platform.clock.now_ms();
        self.remind_of_metadata(now_ms).await?;
        let remembered_ms = now_ms - REMEMBERED_AFTER_EXPIRY_MS;
        Ok(Swept {
            transactions: db
                .delete_expired(transactions::DELETE_EXPIRED, remembered_ms)
                .await?,
            handshakes: db
                .delete_expired(handshakes::DELETE_EXPIRED, remembered_ms)
                .await?,
            nonces: db.delete_expired(nonces::DELETE_EXPIRED, now_ms).await?,
            events: db.delete_expired(events::DELETE_EXPIRED, now_ms).await?,
            deliveries: self.sweep_deliveries(now_ms).await?,
        })
    }
}

const REMEMBERED_AFTER_EXPIRY_MS: i64 = 60 * 60 * 1_000;
