//! Clients that others wrote, each against the real binary: curl, the published SDK, and schemathesis with
//! the OpenAPI document that the platform serves.
//!
//! Build it first: `cargo build -p switchyard`; `tests/sdk/install.sh` and `tests/schemathesis/install.sh`
//! get the clients. Without them these tests fail.

mod bed;
mod curl;
mod schemathesis;
mod sdk;
