//! The Passkey Flex service over HTTP: its routes, all on one screen. The paths
//! stand on the handlers, in `#[utoipa::path]`, from which the OpenAPI document
//! is made as well, so a route that the document lacks does not compile.
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
mod openapi;
mod pictures;
mod query;
mod requests;
mod webhooks;
mod wire;

use axum::{Extension, Router, middleware::from_fn_with_state, response::Response, routing::any};
use utoipa_axum::{router::UtoipaMethodRouter, routes};

use crate::Passkeys;

impl Passkeys {
    /// The routes of the service, to be merged into the program's.
    ///
    /// Bodies are read up to 128 KiB here; a limit of the program should lie
    /// above that, so that this contract's error answers.
    pub fn router(&self) -> Router {
        let mut surface = Surface::default();
        let management = surface.routes([
            routes!(management::create_register_transaction),
            routes!(management::create_authenticate_transaction),
            routes!(management::verify_nonce),
            routes!(apps::get_app, apps::update_app),
            routes!(
                native_clients::list_native_clients,
                native_clients::create_native_client
            ),
            routes!(
                native_clients::get_native_client,
                native_clients::delete_native_client
            ),
            routes!(management::list_users),
            routes!(management::get_user),
            routes!(management::activate_user),
            routes!(management::deactivate_user),
            routes!(management::list_devices),
            routes!(management::revoke_device),
            routes!(management::list_events),
            routes!(management::get_event),
            routes!(webhooks::list, webhooks::create),
            routes!(webhooks::get, webhooks::update, webhooks::delete),
            routes!(webhooks::rotate_secret),
            routes!(webhooks::list_deliveries),
            routes!(webhooks::get_delivery),
            routes!(webhooks::redeliver),
        ]);
        // Without the trailing slash only: a client that is told to revoke the device ".." asks to
        // delete ".../users/{user_id}/" after it has shortened the path.
        let deletion = surface.route_without_slash(routes!(management::delete_user));
        let browser = surface
            .routes([
                routes!(browser::start_registration),
                routes!(browser::finish_registration),
                routes!(browser::start_authentication),
                routes!(browser::finish_authentication),
            ])
            .layer(from_fn_with_state(self.clone(), browser::admit));
        let association = surface.routes(association::files());
        let pictures = surface.routes([routes!(pictures::light), routes!(pictures::dark)]);
        let document = surface.routes([routes!(openapi::get_document)]);
        let document = document.layer(Extension(surface.document(self.public_url.as_deref())));
        let rest = Router::new()
            .route("/v1", any(not_found))
            .route("/v1/", any(not_found))
            .route("/v1/{*path}", any(not_found));
        management
            .merge(deletion)
            .merge(browser)
            .merge(association)
            .merge(pictures)
            .merge(document)
            .merge(rest)
            .with_state(self.clone())
    }
}

/// Turns handlers into routes, and collects what they say of themselves.
#[derive(Default)]
struct Surface(openapi::Collected);

impl Surface {
    fn routes<const N: usize>(
        &mut self,
        rows: [UtoipaMethodRouter<Passkeys>; N],
    ) -> Router<Passkeys> {
        rows.into_iter()
            .fold(Router::new(), |router, (schemas, paths, methods)| {
                let path = self.0.add(schemas, paths);
                let methods = methods.fallback(method_not_allowed);
                router
                    .route(&path, methods.clone())
                    .route(&format!("{path}/"), methods)
            })
    }

    /// A further method of a path that [`Surface::routes`] has.
    fn route_without_slash(
        &mut self,
        (schemas, paths, methods): UtoipaMethodRouter<Passkeys>,
    ) -> Router<Passkeys> {
        Router::new().route(&self.0.add(schemas, paths), methods)
    }

    fn document(self, public_url: Option<&str>) -> openapi::Document {
        self.0.into_document(public_url)
    }
}

async fn not_found() -> Response {
    error::not_found()
}

async fn method_not_allowed() -> Response {
    error::method_not_allowed()
}
