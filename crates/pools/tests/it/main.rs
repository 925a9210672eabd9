//! The user pools from outside: requests through the router, on both databases, with a clock that
//! the tests move. PostgreSQL takes part when `CLAVIGER_TEST_POSTGRES` names a server.

mod custom_auth;
mod harness;
mod malformed;
mod management;
mod password_auth;
mod registration;
mod tokens;
mod triggers;
