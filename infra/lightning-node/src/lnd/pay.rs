//! Sending, and following a payment to its end.

use std::time::Duration;

use async_trait::async_trait;
use domain::{
    Msat, PaymentHash, Preimage,
    lightning::{FailureId, FailureReason},
};
use futures_util::FutureExt;
use ports::lightning::{NodeError, PayError, PayRequest, PayUpdate, Stream};
use tokio::time::timeout;
use tonic::{Code, Response, Streaming};
use tonic_lnd::{
    lnrpc::{Payment, PaymentFailureReason, htlc_attempt::HtlcStatus, payment::PaymentStatus},
    routerrpc::{SendPaymentRequest, TrackPaymentRequest},
};

use super::{
    Wire, msat,
    status::{Told, in_full, node_error, pay_error, told},
    unhex, updates, wire_msat,
};

/// How long lnd begins new attempts; what is out is waited for without limit. Its own default, said
/// aloud.
const TIMEOUT_SECONDS: i32 = 60;
/// Into how many parts a payment may be split. Its own default, said aloud.
const MAX_PARTS: u32 = 16;
/// How long lnd's own end of a stream is waited for, aside.
const END_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn pay(
    wire: &Wire,
    request: &PayRequest,
) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
    // On the heap: the call hands it through several of its own functions.
    let message = Box::new(SendPaymentRequest {
        payment_request: request.invoice.clone(),
        amt_msat: request.amount_msat.map_or(0, wire_msat),
        fee_limit_msat: wire_msat(request.fee_limit_msat),
        timeout_seconds: TIMEOUT_SECONDS,
        max_parts: MAX_PARTS,
        // With updates a stuck payment is told from a dead stream.
        no_inflight_updates: false,
        // What goes to ourselves is settled in the ledger.
        allow_self_payment: false,
        // Our going away must not stop it.
        cancelable: false,
        ..Default::default()
    });
    let sent = updates::of(wire, updates::SEND, wire.request_until(message, request.until));
    match wire.answer(sent).await {
        Ok(updates) => Ok(Box::new(Updates::new(updates, request.hash))),
        Err(status) => Err(pay_error(&status)),
    }
}

pub(super) async fn track(
    wire: &Wire,
    hash: PaymentHash,
) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
    let message = TrackPaymentRequest { payment_hash: hash.0.to_vec(), no_inflight_updates: false };
    let asked = updates::of(wire, updates::TRACK, wire.request(message));
    let begun = async {
        let mut updates = asked.await?.into_inner();
        // Where something between us and lnd has parted the head from a refusal, it comes now.
        let first = updates.message().await?.map(Box::new);
        Ok(Response::new((first, updates)))
    };
    match wire.answer(begun).await {
        Ok((first, updates)) => {
            Ok(Some(Box::new(Updates { first, ..Updates::new(updates, hash) })))
        }
        // By the code alone: a text for people is no proof.
        Err(status) if status.code() == Code::NotFound && told(&status) == Told::NotFound => {
            Ok(None)
        }
        Err(status) => Err(node_error(&status)),
    }
}

/// The updates of one payment, up to the terminal one.
struct Updates {
    /// Read already.
    first: Option<Box<Payment>>,
    updates: Option<Streaming<Payment>>,
    hash: PaymentHash,
}

impl Updates {
    fn new(updates: Streaming<Payment>, hash: PaymentHash) -> Updates {
        Updates { first: None, updates: Some(updates), hash }
    }
}

#[async_trait]
impl Stream<PayUpdate> for Updates {
    async fn next(&mut self) -> Option<Result<PayUpdate, PayError>> {
        let updates = self.updates.as_mut()?;
        let message = match self.first.take() {
            Some(first) => Ok(Some(*first)),
            None => updates.message().await,
        };
        let update = match message {
            Ok(Some(payment)) => read(&payment, self.hash),
            Ok(None) => {
                self.updates = None;
                return None;
            }
            Err(status) => Err(PayError::Lost(in_full(&status))),
        };
        match &update {
            Ok(PayUpdate::InFlight) => {}
            Ok(PayUpdate::Succeeded { .. } | PayUpdate::Failed { .. }) => self.leave(),
            Err(_) => self.updates = None,
        }
        Some(update)
    }
}

impl Updates {
    /// Ends after a terminal update. lnd's own end comes right behind it; to hang up before that costs
    /// a reset of the stream on both sides, which is dear when there are thousands a second.
    fn leave(&mut self) {
        let Some(mut updates) = self.updates.take() else { return };
        if updates.message().now_or_never().is_none() {
            tokio::spawn(async move { timeout(END_WITHIN, updates.message()).await });
        }
    }
}

/// What an update says of the payment that was asked about.
///
/// A message that cannot be true says nothing: the caller asks again, and the hold stays.
fn read(payment: &Payment, hash: PaymentHash) -> Result<PayUpdate, PayError> {
    match unhex(&payment.payment_hash) {
        Some(found) if PaymentHash(found) == hash => {}
        Some(_) | None => {
            let found = &payment.payment_hash;
            tracing::error!(%hash, found, "the node told of another payment than was asked about");
            return Err(PayError::Lost("an update of another payment".to_owned()));
        }
    }
    update(payment).ok_or_else(|| {
        tracing::error!(%hash, "the node's record of a payment cannot be read");
        PayError::Lost("an update that cannot be read".to_owned())
    })
}

/// `None`: it says success, but with no preimage or with amounts that cannot be.
pub(super) fn update(payment: &Payment) -> Option<PayUpdate> {
    match PaymentStatus::try_from(payment.status) {
        Ok(PaymentStatus::Succeeded) => {
            let preimage = Preimage(unhex(&payment.payment_preimage)?);
            let (amount_msat, fee_msat) = cost(payment)?;
            Some(PayUpdate::Succeeded { preimage, amount_msat, fee_msat })
        }
        Ok(PaymentStatus::Failed) => Some(PayUpdate::Failed {
            reason: reason(payment.failure_reason),
            failure: FailureId {
                payment_index: payment.payment_index,
                creation_time_ns: payment.creation_time_ns,
            },
        }),
        #[expect(deprecated, reason = "lnd's number for a payment that was never sent")]
        Ok(PaymentStatus::Unknown | PaymentStatus::InFlight | PaymentStatus::Initiated)
        | Err(_) => Some(PayUpdate::InFlight),
    }
}

/// Amount and fee. What truly left is the sum over the parts that settled; where the summary says
/// otherwise, the parts are booked and somebody has to look.
fn cost(payment: &Payment) -> Option<(Msat, Msat)> {
    let (amount, fee) = (msat(payment.value_msat)?, msat(payment.fee_msat)?);
    let settled = payment.htlcs.iter().filter(|part| part.status() == HtlcStatus::Succeeded);
    let routes: Option<Vec<_>> = settled.map(|part| part.route.as_ref()).collect();
    // lnd can be asked to leave routes out; then there is only the summary.
    let Some(routes) = routes.filter(|routes| !routes.is_empty()) else {
        return Some((amount, fee));
    };
    let left = routes.iter().try_fold(Msat::ZERO, |sum, route| {
        msat(route.total_amt_msat).and_then(|part| sum.checked_add(part))
    })?;
    if Some(left) != amount.checked_add(fee) {
        let (hash, left, fee) = (&payment.payment_hash, left.get(), fee.get());
        tracing::error!(
            hash,
            left,
            amount = amount.get(),
            fee,
            "a payment's parts and its summary differ"
        );
    }
    Some((amount, left.checked_sub(amount).unwrap_or(fee)))
}

fn reason(wire: i32) -> FailureReason {
    use PaymentFailureReason as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::FailureReasonTimeout) => FailureReason::Timeout,
        Ok(Wire::FailureReasonNoRoute) => FailureReason::NoRoute,
        Ok(Wire::FailureReasonIncorrectPaymentDetails) => FailureReason::IncorrectPaymentDetails,
        Ok(Wire::FailureReasonInsufficientBalance) => FailureReason::InsufficientBalance,
        Ok(Wire::FailureReasonCanceled) => FailureReason::Canceled,
        Ok(Wire::FailureReasonError | Wire::FailureReasonNone) | Err(_) => FailureReason::Error,
    }
}

#[cfg(test)]
mod tests;
