//! The Passkey Flex service over HTTP: its routes, all on one screen.
//!
//! Every path (but one that deletes) exists with and without a trailing slash, and none redirects,
//! because clients differ in what they do with a redirected POST (passkey-flex
//! section b.1). Whatever else lies under `/v1` answers in the contract's error
//! shape too.

mod apps;
mod association;
mod body;
mod browser;
mod error;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzzing;
mod management;
mod native_clients;
mod pictures;
mod query;
mod webhooks;
mod wire;

use axum::{
    Router,
    extract::State,
    middleware::from_fn_with_state,
    response::Response,
    routing::{MethodRouter, any, delete, get, patch, post},
};

use crate::{Passkeys, association::AssociationFile};

impl Passkeys {
    /// The routes of the service, to be merged into the program's.
    ///
    /// Bodies are read up to 128 KiB here; a limit of the program should lie
    /// above that, so that this contract's error answers.
    pub fn router(&self) -> Router {
        let management = routes([
            (
                "/v1/apps/{app_id}/transactions/register",
                post(management::create_register_transaction),
            ),
            (
                "/v1/apps/{app_id}/transactions/authenticate",
                post(management::create_authenticate_transaction),
            ),
            (
                "/v1/apps/{app_id}/authenticate/verify",
                post(management::verify_nonce),
            ),
            (
                "/v1/apps/{app_id}",
                get(apps::get_app).patch(apps::update_app),
            ),
            (
                "/v1/apps/{app_id}/native-clients",
                get(native_clients::list_native_clients).post(native_clients::create_native_client),
            ),
            (
                "/v1/apps/{app_id}/native-clients/{native_client_id}",
                get(native_clients::get_native_client).delete(native_clients::delete_native_client),
            ),
            ("/v1/apps/{app_id}/users", get(management::list_users)),
            (
                "/v1/apps/{app_id}/users/{user_id}",
                get(management::get_user),
            ),
            (
                "/v1/apps/{app_id}/users/{user_id}/activate",
                patch(management::activate_user),
            ),
            (
                "/v1/apps/{app_id}/users/{user_id}/deactivate",
                patch(management::deactivate_user),
            ),
            (
                "/v1/apps/{app_id}/users/{user_id}/devices",
                get(management::list_devices),
            ),
            (
                "/v1/apps/{app_id}/users/{user_id}/devices/{device_id}",
                delete(management::revoke_device),
            ),
            ("/v1/apps/{app_id}/events", get(management::list_events)),
            (
                "/v1/apps/{app_id}/events/{event_id}",
                get(management::get_event),
            ),
            (
                "/v1/apps/{app_id}/webhooks",
                get(webhooks::list).post(webhooks::create),
            ),
            (
                "/v1/apps/{app_id}/webhooks/{webhook_id}",
                get(webhooks::get)
                    .patch(webhooks::update)
                    .delete(webhooks::delete),
            ),
            (
                "/v1/apps/{app_id}/webhooks/{webhook_id}/rotate-secret",
                post(webhooks::rotate_secret),
            ),
            (
                "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries",
                get(webhooks::list_deliveries),
            ),
            (
                "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id}",
                get(webhooks::get_delivery),
            ),
            (
                "/v1/apps/{app_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver",
                post(webhooks::redeliver),
            ),
        ])
        // Without the trailing slash only: a client that is told to revoke the device ".." asks to
        // delete ".../users/{user_id}/" after it has shortened the path.
        .route(
            "/v1/apps/{app_id}/users/{user_id}",
            delete(management::delete_user),
        );
        let browser = routes([
            (
                "/v1/apps/{app_id}/register/transactions/webauthn/start",
                post(browser::start_registration),
            ),
            (
                "/v1/apps/{app_id}/register/transactions/webauthn/finish",
                post(browser::finish_registration),
            ),
            (
                "/v1/apps/{app_id}/authenticate/transactions/webauthn/start",
                post(browser::start_authentication),
            ),
            (
                "/v1/apps/{app_id}/authenticate/transactions/webauthn/finish",
                post(browser::finish_authentication),
            ),
        ])
        .layer(from_fn_with_state(self.clone(), browser::admit));
        let pictures = routes([
            (
                "/v1/authenticators/{aaguid}/icon-light.svg",
                get(pictures::light),
            ),
            (
                "/v1/authenticators/{aaguid}/icon-dark.svg",
                get(pictures::dark),
            ),
        ]);
        let rest = Router::new()
            .route("/v1", any(not_found))
            .route("/v1/", any(not_found))
            .route("/v1/{*path}", any(not_found));
        management
            .merge(browser)
            .merge(association_files())
            .merge(pictures)
            .merge(rest)
            .with_state(self.clone())
    }
}

/// Every file of a domain, for each app and for the host of this server.
fn association_files() -> Router<Passkeys> {
    AssociationFile::ALL
        .into_iter()
        .fold(Router::new(), |router, file| {
            let name = file.name();
            let of_app = get(move |State(passkeys): State<Passkeys>, path| async move {
                association::of_app(&passkeys, path, file).await
            });
            let of_public_host = get(move |State(passkeys): State<Passkeys>| async move {
                association::of_public_host(&passkeys, file).await
            });
            router.merge(routes([
                (&*format!("/v1/apps/{{app_id}}/.well-known/{name}"), of_app),
                (&*format!("/.well-known/{name}"), of_public_host),
            ]))
        })
}

fn routes<const N: usize>(routes: [(&str, MethodRouter<Passkeys>); N]) -> Router<Passkeys> {
    routes
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            let methods = methods.fallback(method_not_allowed);
            router
                .route(path, methods.clone())
                .route(&format!("{path}/"), methods)
        })
}

async fn not_found() -> Response {
    error::not_found()
}

async fn method_not_allowed() -> Response {
    error::method_not_allowed()
}
