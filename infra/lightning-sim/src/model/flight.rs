//! What becomes of HTLCs that are out: delivered, held, refused, stuck.

use super::{
    Network, Timer,
    event::Event,
    receive::BLOCK_MS,
    state::{Flight, InvoiceState, PaymentState, Reason, Verdict},
    stream::{Broadly, PaymentView},
    value::{FlightId, Hash, NodeId, Preimage, Time},
};

enum Arrival {
    Settle(Preimage),
    Hold,
    Refuse(Reason),
}

/// Whether time alone moves a flight on.
pub(super) fn has_due(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Deliver | Verdict::Refuse(_) | Verdict::ClaimFailed { .. } | Verdict::Held => true,
        Verdict::Stuck => false,
    }
}

impl Network {
    /// A flight's time has come. A timer set before the flight was turned finds nothing to do.
    pub(super) fn land(&mut self, now: Time, id: FlightId) {
        let Some(flight) = self.state.flights.get(&id).filter(|flight| flight.due <= now) else {
            return;
        };
        match flight.verdict {
            Verdict::Deliver => match self.arrive(now, flight) {
                Arrival::Settle(preimage) => self.settle_flight(now, id, preimage),
                Arrival::Refuse(reason) => self.fail_flight(now, id, reason),
                Arrival::Hold => self.hold(now, id),
            },
            Verdict::Refuse(reason) => self.fail_flight(now, id, reason),
            Verdict::ClaimFailed { then_ms } => self.claim_failed(now, id, then_ms),
            // The receiver did nothing until the HTLCs ran out.
            Verdict::Held => self.fail_flight(now, id, Reason::NoRoute),
            Verdict::Stuck => {}
        }
    }

    /// What the receiver does with the HTLCs: lnd takes one set for each invoice.
    fn arrive(&self, now: Time, flight: &Flight) -> Arrival {
        const WRONG: Arrival = Arrival::Refuse(Reason::IncorrectPaymentDetails);
        let payee = self.state.node(flight.payee);
        if payee.down {
            return Arrival::Refuse(Reason::NoRoute);
        }
        let keysend = flight
            .keysend
            .filter(|preimage| payee.options.accepts_keysend && preimage.hash() == flight.hash);
        let Some(invoice) = payee.database.invoices.get(&flight.hash) else {
            return keysend.map_or(WRONG, Arrival::Settle);
        };
        if flight.amount < invoice.value {
            return WRONG;
        }
        match invoice.state {
            InvoiceState::Open if payee.clock(now) >= invoice.expires() => WRONG,
            InvoiceState::Open if invoice.hold => Arrival::Hold,
            InvoiceState::Open => invoice.preimage.map_or(WRONG, Arrival::Settle),
            InvoiceState::Settled if invoice.keysend => keysend.map_or(WRONG, Arrival::Settle),
            InvoiceState::Settled if payee.options.careless => {
                invoice.preimage.map_or(WRONG, Arrival::Settle)
            }
            InvoiceState::Settled | InvoiceState::Accepted | InvoiceState::Canceled => WRONG,
        }
    }

    pub(super) fn settle_flight(&mut self, now: Time, id: FlightId, preimage: Preimage) {
        let Some(flight) = self.state.flights.get(&id).cloned() else { return };
        let Flight { payer, payee, hash, shards, .. } = flight;
        let paid_before = self
            .state
            .node(payee)
            .database
            .invoices
            .get(&hash)
            .is_some_and(|invoice| invoice.state == InvoiceState::Settled);
        self.commit(Event::FlightSettled { flight: id, preimage, at: now });
        let row = self.state.node(payer).database.payments.get(&hash);
        if let Some(payment) = row.filter(|payment| payment.flight == Some(id)) {
            if shards.len() > 1 {
                // The first shard is settled, the others are about to be.
                let mut view = PaymentView::of(payment);
                view.payment.state = PaymentState::InFlight;
                view.payment.fee = shards[0].fee();
                view.payment.resolved = None;
                view.settled_shards = 1;
                self.announce_payment(payer, &view);
            }
            self.announce_row(payer, hash);
        }
        let broadly = if paid_before { Broadly::No } else { Broadly::Yes };
        self.announce_invoice(payee, hash, broadly);
    }

    pub(super) fn fail_flight(&mut self, now: Time, id: FlightId, reason: Reason) {
        let Some(flight) = self.state.flights.get(&id) else { return };
        let (payer, hash) = (flight.payer, flight.hash);
        let row = self.state.node(payer).database.payments.get(&hash);
        let waits = row.is_some_and(|payment| payment.flight == Some(id) && payment.is_open());
        self.commit(Event::FlightFailed { flight: id, reason, at: now });
        if waits {
            self.announce_failure(payer, hash, reason);
        }
    }

    fn hold(&mut self, now: Time, id: FlightId) {
        let flight = &self.state.flights[&id];
        let (node, hash, amount) = (flight.payee, flight.hash, flight.amount);
        let blocks = self.invoice(node, hash).map_or(0, |invoice| invoice.cltv_expiry);
        let htlcs_end = now.after_ms(u64::from(blocks) * BLOCK_MS);
        let flight = id;
        self.commit(Event::InvoiceAccepted { node, hash, flight, amount, at: now, htlcs_end });
        self.at(htlcs_end, Timer::Flight(id));
        self.announce_invoice(node, hash, Broadly::No);
        self.arm_expiry(node, hash);
    }

    fn claim_failed(&mut self, now: Time, id: FlightId, then_ms: u64) {
        let flight = &self.state.flights[&id];
        let (node, hash) = (flight.payer, flight.hash);
        let due = now.after_ms(then_ms);
        self.commit(Event::FlightTurned { flight: id, due, verdict: Verdict::Deliver });
        self.at(due, Timer::Flight(id));
        let row = self.state.node(node).database.payments.get(&hash);
        if row.is_some_and(|payment| payment.flight == Some(id)) {
            let reason = Reason::Timeout;
            self.commit(Event::PaymentFailed { node, hash, reason, at: now });
            self.announce_failure(node, hash, reason);
        }
    }

    /// A payment without HTLCs ends, unless it has been given another end since.
    pub(super) fn end_row(&mut self, now: Time, node: NodeId, hash: Hash) {
        let row = self.state.node(node).database.payments.get(&hash);
        let Some((_, reason)) = row.and_then(|payment| payment.ends).filter(|(end, _)| *end <= now)
        else {
            return;
        };
        self.commit(Event::PaymentFailed { node, hash, reason, at: now });
        self.announce_failure(node, hash, reason);
    }
}
