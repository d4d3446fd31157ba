//! What a node says over time, and what it means when it refuses.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    PaymentHash, Preimage,
    lightning::{FailureId, FailureReason},
};
use ports::lightning::{NodeError, PayError, PayUpdate, Settlement, Stream};
use tokio::{sync::mpsc, time::timeout};

use super::{Port, amount};
use crate::model::{
    Code, Invoice, InvoiceState, Item, Payment, PaymentState, Reason, Refusal, StreamId,
};

/// How long the adapter waits for a stream's first word.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What the model says to one caller. It goes away when it is dropped.
pub(super) struct Updates {
    port: Arc<Port>,
    id: StreamId,
    items: mpsc::UnboundedReceiver<Item>,
    first: Option<Item>,
}

impl Updates {
    pub(super) fn new(
        port: Arc<Port>,
        id: StreamId,
        items: mpsc::UnboundedReceiver<Item>,
    ) -> Updates {
        Updates { port, id, items, first: None }
    }

    /// As from LND's server, a refusal that comes first is the answer to the call itself.
    pub(super) async fn answered(mut self) -> Result<Updates, Refusal> {
        match timeout(ANSWER_WITHIN, self.items.recv()).await {
            Ok(Some(Item::Broken(refusal))) => Err(*refusal),
            Ok(first) => {
                self.first = first;
                Ok(self)
            }
            Err(_) => Err(Refusal::unavailable("no answer in time")),
        }
    }

    async fn item(&mut self) -> Option<Item> {
        match self.first.take() {
            Some(first) => Some(first),
            None => self.items.recv().await,
        }
    }
}

impl Drop for Updates {
    fn drop(&mut self) {
        self.port.close(self.id);
    }
}

/// The updates of one payment, up to the terminal one.
pub(super) struct PaymentUpdates {
    updates: Option<Updates>,
}

impl PaymentUpdates {
    pub(super) fn new(updates: Updates) -> PaymentUpdates {
        PaymentUpdates { updates: Some(updates) }
    }
}

#[async_trait]
impl Stream<PayUpdate> for PaymentUpdates {
    async fn next(&mut self) -> Option<Result<PayUpdate, PayError>> {
        let next = match self.updates.as_mut()?.item().await {
            Some(Item::Payment(view)) => Some(Ok(update(&view.payment))),
            Some(Item::Broken(refusal)) => Some(Err(PayError::Lost(refusal.text.into_owned()))),
            Some(Item::Invoice(_) | Item::End) | None => None,
        };
        if !matches!(next, Some(Ok(PayUpdate::InFlight))) {
            self.updates = None;
        }
        next
    }
}

/// Settled invoices: those of before, then the new ones.
pub(super) struct Settlements {
    backlog: std::vec::IntoIter<Settlement>,
    updates: Updates,
}

impl Settlements {
    pub(super) fn new(backlog: Vec<Settlement>, updates: Updates) -> Settlements {
        Settlements { backlog: backlog.into_iter(), updates }
    }
}

#[async_trait]
impl Stream<Settlement> for Settlements {
    async fn next(&mut self) -> Option<Result<Settlement, PayError>> {
        if let Some(settlement) = self.backlog.next() {
            return Some(Ok(settlement));
        }
        loop {
            match self.updates.item().await? {
                Item::Invoice(invoice) => {
                    if let Some(settlement) = settlement(&invoice) {
                        return Some(Ok(settlement));
                    }
                }
                Item::Broken(refusal) => {
                    return Some(Err(PayError::Lost(refusal.text.into_owned())));
                }
                Item::Payment(_) | Item::End => return None,
            }
        }
    }
}

/// `None` for an invoice that is not settled.
pub(super) fn settlement(invoice: &Invoice) -> Option<Settlement> {
    (invoice.state == InvoiceState::Settled).then(|| Settlement {
        hash: PaymentHash(*invoice.hash.bytes()),
        paid_msat: amount(invoice.paid),
        settle_index: invoice.settle_index,
        spontaneous: invoice.keysend,
    })
}

pub(super) fn update(payment: &Payment) -> PayUpdate {
    match (payment.state, payment.preimage) {
        (PaymentState::Succeeded, Some(preimage)) => PayUpdate::Succeeded {
            preimage: Preimage(*preimage.bytes()),
            amount_msat: amount(payment.amount),
            fee_msat: amount(payment.fee),
        },
        (PaymentState::Failed, _) => PayUpdate::Failed {
            reason: reason(payment.reason),
            failure: FailureId {
                payment_index: payment.index,
                creation_time_ns: i64::try_from(payment.created.nanos()).unwrap_or(i64::MAX),
            },
        },
        (PaymentState::Initiated | PaymentState::InFlight | PaymentState::Succeeded, _) => {
            PayUpdate::InFlight
        }
    }
}

fn reason(reason: Option<Reason>) -> FailureReason {
    match reason {
        Some(Reason::Timeout) => FailureReason::Timeout,
        Some(Reason::NoRoute) => FailureReason::NoRoute,
        Some(Reason::IncorrectPaymentDetails) => FailureReason::IncorrectPaymentDetails,
        Some(Reason::InsufficientBalance) => FailureReason::InsufficientBalance,
        Some(Reason::Error) | None => FailureReason::Error,
    }
}

/// What a refusal tells, as the adapter for lnd reads it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Lapsed,
    Exists,
    Refused,
    /// Anything may have happened.
    Nothing,
}

fn told(refusal: &Refusal) -> Told {
    let has = |text: &str| refusal.text.contains(text);
    match refusal.code {
        Code::Unavailable => Told::Nothing,
        Code::AlreadyExists => Told::Exists,
        Code::Unknown if has("macaroon has expired") => Told::Lapsed,
        Code::Unknown if has("shutting down") => Told::Nothing,
        Code::Unknown | Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition => {
            Told::Refused
        }
    }
}

/// How a send call failed before its first update.
pub(super) fn pay_error(refusal: Refusal) -> PayError {
    let told = told(&refusal);
    let text = refusal.text.into_owned();
    match told {
        Told::Lapsed => PayError::PermissionLapsed,
        Told::Refused => PayError::Refused(text),
        // The payment that is there may be ours: it has to be looked up.
        Told::Exists | Told::Nothing => PayError::Lost(text),
    }
}

pub(super) fn node_error(refusal: Refusal) -> NodeError {
    let told = told(&refusal);
    let text = refusal.text.into_owned();
    match told {
        Told::Lapsed => NodeError::Denied(text),
        Told::Nothing => NodeError::Unreachable(text),
        Told::Refused | Told::Exists => NodeError::Refused(text),
    }
}
