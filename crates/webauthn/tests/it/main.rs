//! The verification seen from outside: every row of the refusal and acceptance matrix that needs no storage.

mod accepted;
mod attestation;
mod authentication;
mod client_data;
mod differential;
mod metadata;
mod options;
mod properties;
mod registration;
mod site;
mod vectors;
