//! Invoices: made once for a preimage, however often that is asked, and cancelled.

use domain::{InvoiceTerms, Msat, PaymentHash, Preimage, org::InvoiceEnd};
use ports::lightning::{NodeError, Settlement};
use tonic::Status;
use tonic_lnd::{
    invoicesrpc::CancelInvoiceMsg,
    lnrpc::{self, invoice::InvoiceState},
};

use super::{
    Wire,
    settle::settlement,
    status::{Told, node_error, told},
    wire_msat,
};
use crate::bolt11;

/// lnd has no code for it.
const EXISTS: &str = "already exists";

pub(super) async fn make(
    wire: &Wire,
    preimage: Preimage,
    amount_msat: Option<Msat>,
    description: &str,
    lasts_ms: i64,
) -> Result<InvoiceTerms, NodeError> {
    let seconds = lasts_ms.saturating_add(999) / 1_000;
    let wanted = Wanted { hash: preimage.hash(), amount_msat, description };
    if seconds <= 0 {
        // 0 would mean a day. One that was made in time is still there.
        return wanted.find(wire).await;
    }
    let message = lnrpc::Invoice {
        r_preimage: preimage.0.to_vec(),
        value_msat: amount_msat.map_or(0, wire_msat),
        memo: description.to_owned(),
        expiry: seconds,
        private: false,
        ..Default::default()
    };
    let mut lightning = wire.lightning();
    match wire.answer(lightning.add_invoice(wire.request(message))).await {
        Ok(made) => wanted.matching(&made.payment_request),
        Err(status) if exists(&status) => wanted.find(wire).await,
        Err(status) => Err(node_error(&status)),
    }
}

fn exists(status: &Status) -> bool {
    match told(status) {
        Told::Exists => true,
        Told::Refused => status.message().contains(EXISTS),
        Told::Lapsed | Told::Denied | Told::NotReady | Told::NotFound | Told::Nothing => false,
    }
}

/// What an invoice has to say to be the one that was asked for.
struct Wanted<'a> {
    hash: PaymentHash,
    amount_msat: Option<Msat>,
    description: &'a str,
}

impl Wanted<'_> {
    async fn find(&self, wire: &Wire) -> Result<InvoiceTerms, NodeError> {
        let found = look_up(wire, self.hash).await.map_err(|status| node_error(&status))?;
        if found.memo != self.description {
            return Err(NodeError::Refused("its invoice of this hash is another one".to_owned()));
        }
        self.matching(&found.payment_request)
    }

    fn matching(&self, text: &str) -> Result<InvoiceTerms, NodeError> {
        let terms = bolt11::parse(text)
            .map_err(|error| NodeError::Refused(format!("its invoice cannot be read: {error}")))?;
        if (terms.hash, terms.amount_msat) == (self.hash, self.amount_msat) {
            Ok(terms)
        } else {
            Err(NodeError::Refused("its invoice of this hash is another one".to_owned()))
        }
    }
}

/// Cancels. lnd says yes to an invoice that is cancelled now or was before, and no to a settled one.
pub(super) async fn cancel(wire: &Wire, hash: PaymentHash) -> Result<InvoiceEnd, NodeError> {
    let message = CancelInvoiceMsg { payment_hash: hash.0.to_vec() };
    let mut invoices = wire.invoices();
    let refused = match wire.answer(invoices.cancel_invoice(wire.request(message))).await {
        Ok(_) => return Ok(InvoiceEnd::Cancelled),
        Err(status) => status,
    };
    match told(&refused) {
        Told::Refused | Told::Exists => {}
        Told::Lapsed | Told::Denied | Told::NotReady | Told::NotFound | Told::Nothing => {
            return Err(node_error(&refused));
        }
    }
    let found = look_up(wire, hash).await.map_err(|status| node_error(&status))?;
    match InvoiceState::try_from(found.state) {
        Ok(InvoiceState::Settled) => Ok(InvoiceEnd::Settled),
        Ok(InvoiceState::Canceled) => Ok(InvoiceEnd::Cancelled),
        Ok(InvoiceState::Open | InvoiceState::Accepted) | Err(_) => Err(node_error(&refused)),
    }
}

pub(super) async fn settled(
    wire: &Wire,
    hash: PaymentHash,
) -> Result<Option<Settlement>, NodeError> {
    match look_up(wire, hash).await {
        Ok(invoice) => settlement(&invoice).map_err(|status| node_error(&status)),
        Err(status) if told(&status) == Told::NotFound => Ok(None),
        Err(status) => Err(node_error(&status)),
    }
}

async fn look_up(wire: &Wire, hash: PaymentHash) -> Result<lnrpc::Invoice, Status> {
    let message = lnrpc::PaymentHash { r_hash: hash.0.to_vec(), ..Default::default() };
    wire.answer(wire.lightning().lookup_invoice(wire.request(message))).await
}
