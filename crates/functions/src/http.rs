//! Lambda's API in front of the functions: which path is which operation.
//!
//! The Runtime API towards the processes is `http/runtime_api.rs`; it has listeners of its own and
//! is no part of this router.

mod error;
mod lambda_api;
pub(crate) mod runtime_api;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{any, delete, get, post, put},
};

use crate::Functions;

/// 50 MB of zip in base64, and the rest of the request.
pub(crate) const CREATE_BYTES_MAX: usize = 70_167_211;
/// As above, without what only a creation has.
pub(crate) const UPDATE_CODE_BYTES_MAX: usize = 69_905_067;
/// More than a payload may have: it is refused by its own rule, with its own words.
pub(crate) const INVOKE_BYTES_MAX: usize = crate::invocations::PAYLOAD_BYTES_MAX + 1024 * 1024;

/// The days the API's parts were published on: below them are all its paths.
macro_rules! dated {
    ($router:expr, $handler:expr, [$($date:literal),* $(,)?]) => {
        $router$(.route(concat!("/", $date, "/{*path}"), any($handler)))*
    };
}

impl Functions {
    /// All routes of Lambda's API. Every operation wants a signature for the service `lambda`.
    pub fn router(&self) -> Router {
        let functions = get(lambda_api::list_functions).merge(
            post(lambda_api::create_function).layer(DefaultBodyLimit::max(CREATE_BYTES_MAX)),
        );
        let router = Router::new()
            .route("/2015-03-31/functions", functions.clone())
            .route("/2015-03-31/functions/", functions)
            .route(
                "/2015-03-31/functions/{function}",
                get(lambda_api::get_function).delete(lambda_api::delete_function),
            )
            .route(
                "/2015-03-31/functions/{function}/configuration",
                get(lambda_api::get_function_configuration)
                    .put(lambda_api::update_function_configuration),
            )
            .route(
                "/2015-03-31/functions/{function}/code",
                put(lambda_api::update_function_code)
                    .layer(DefaultBodyLimit::max(UPDATE_CODE_BYTES_MAX)),
            )
            .route(
                "/2015-03-31/functions/{function}/invocations",
                post(lambda_api::invoke).layer(DefaultBodyLimit::max(INVOKE_BYTES_MAX)),
            )
            .route(
                "/2015-03-31/functions/{function}/policy",
                get(lambda_api::get_policy).post(lambda_api::add_permission),
            )
            .route(
                "/2015-03-31/functions/{function}/policy/{statement}",
                delete(lambda_api::remove_permission),
            )
            // Not of the contract: where `Code.Location` leads. The token is the permission.
            .route(
                "/2015-03-31/function-packages/{token}",
                get(lambda_api::download_package),
            );
        let router = dated!(
            router,
            lambda_api::unsupported_operation,
            [
                "2014-11-13",
                "2015-03-31",
                "2016-08-19",
                "2017-03-31",
                "2017-10-31",
                "2018-10-31",
                "2019-09-25",
                "2019-09-30",
                "2020-04-22",
                "2020-06-30",
                "2021-07-20",
                "2021-10-31",
                "2021-11-15",
                "2021-12-13",
                "2024-08-31",
                "2024-09-16",
                "2025-11-30",
                "2025-12-01",
            ]
        );
        router
            .method_not_allowed_fallback(lambda_api::unsupported_operation)
            .with_state(self.clone())
    }
}
