//! The REST face, on the paths and shapes of the contract: one file per resource. A handler parses,
//! asks, and translates.
//!
//! ```text
//! door ─▶ table ─▶ guard ─▶ once ─▶ handler
//!  │        │        │        └ Idempotency-Key: a repeat is answered with what the first one was
//!  │        │        └ who calls, whether the path is theirs, how often, and what the key may do
//!  │        └ which handler it is, and the ids in the path
//!  └ request id, time limit, panics, and every error in one shape
//! ```

mod amount;
mod any_page;
mod cancel;
mod document;
mod door;
mod events;
mod guard;
mod history;
mod json;
mod ledger;
mod lines_of_credit;
mod network;
mod once;
mod payment;
mod payment_body;
mod payment_list;
mod payments;
mod preview;
mod refusal;
mod request;
mod table;
mod text;
mod wallet;
mod wallets;

use domain::{InvoiceTerms, org::PaymentStatus};
use lightning_node::bolt11;
use proto::Problem;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use crate::access::Need;
use refusal::Refusal;
use table::{Declared, Table};

pub(crate) use door::Rest;

/// Every route with what a key needs for it, and the document of them all.
fn routes() -> (Table, OpenApi) {
    use Need::{Read, ReceiveOrWrite, Write};

    Declared::default()
        .route(ReceiveOrWrite, routes!(payments::create), payments::create)
        .route(Read, routes!(payment_list::list), payment_list::list)
        .route(Read, routes!(payment_list::summary), payment_list::summary)
        .route(Read, routes!(preview::decode), preview::decode)
        .route(ReceiveOrWrite, routes!(preview::estimate), preview::estimate)
        .route(Read, routes!(payments::read), payments::read)
        .route(ReceiveOrWrite, routes!(cancel::cancel), cancel::cancel)
        .route(Read, routes!(history::history), history::history)
        .route(Read, routes!(events::follow), events::follow)
        .route(Write, routes!(wallets::create), wallets::create)
        .route(Read, routes!(wallets::list), wallets::list)
        .route(Read, routes!(wallets::read), wallets::read)
        .route(Write, routes!(wallets::rename), wallets::rename)
        .route(Write, routes!(wallets::delete), wallets::delete)
        .route(Read, routes!(ledger::ledger), ledger::ledger)
        .route(Read, routes!(payment_list::wallet_summary), payment_list::wallet_summary)
        .route(Read, routes!(lines_of_credit::list), lines_of_credit::list)
        .route(Read, routes!(lines_of_credit::read), lines_of_credit::read)
        .route(Write, routes!(lines_of_credit::sandbox), lines_of_credit::sandbox)
        .done()
}

/// Reads an invoice. Whether it has expired is judged by the organisation alone, so that a repeat is
/// answered whatever the clock says.
fn bolt11(text: &str) -> Result<InvoiceTerms, Refusal> {
    bolt11::parse(text).map_err(|error| Problem::new(error.class(), error.code(), error).into())
}

fn status_word(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Sending => "sending",
        PaymentStatus::Completed => "completed",
        PaymentStatus::Failed => "failed",
        PaymentStatus::Generating => "generating",
        PaymentStatus::Receiving => "receiving",
        PaymentStatus::Expired => "expired",
    }
}

fn status_of(word: &str) -> Option<PaymentStatus> {
    use PaymentStatus::{Completed, Expired, Failed, Generating, Receiving, Sending};

    [Sending, Completed, Failed, Generating, Receiving, Expired]
        .into_iter()
        .find(|status| status_word(*status) == word)
}
