//! SendPaymentV2: from the wire to a row with HTLCs out, in LND's order.
//!
//! wire → [late_request] → permission → [handler_stall] → validation, expiry first → dedupe → row
//! → HTLCs.
//! A refusal before the row leaves nothing behind.

use std::sync::Arc;

use super::{
    Network, Timer,
    event::Event,
    fault::{Fault, markers},
    refusal::{Refusal, macaroon_expired},
    route::{self, Errand},
    state::{Flight, Reason, Shard, Verdict},
    stream::Manner,
    subject::{DEFAULT_PARTS, Subject},
    value::{ChannelId, FlightId, Hash, Msat, NodeId, Preimage, Pubkey, StreamId, Time},
};

/// What a caller may do, as far as it is a matter of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Not valid from this instant of the node's own clock on.
    pub until: Option<Time>,
    /// The caveat as it was written, for the error text.
    pub caveat: String,
}

impl Permission {
    pub fn check(&self, node_clock: Time) -> Result<(), Refusal> {
        match self.until {
            Some(until) if node_clock >= until => Err(macaroon_expired(&self.caveat)),
            Some(_) | None => Ok(()),
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendRequest {
    pub payment_request: String,
    /// Without an invoice: to whom, and for which hash.
    pub destination: Option<Pubkey>,
    pub hash: Option<Hash>,
    pub keysend: Option<Preimage>,
    pub amount: Msat,
    /// Zero: routes without a fee only.
    pub fee_limit: Msat,
    pub final_cltv_delta: u32,
    pub cltv_limit: u32,
    /// Zero: LND's default.
    pub max_parts: u32,
    pub max_shard: Option<Msat>,
    pub outgoing: Vec<u64>,
    pub allow_self_payment: bool,
    pub no_inflight_updates: bool,
    /// Another wallet than LND: an amount above that of the invoice is allowed.
    pub may_overpay: bool,
}

/// A request that is somewhere between the wire and its row.
pub(super) struct Waiting {
    node: NodeId,
    request: SendRequest,
    faults: Vec<Fault>,
    /// Still to be checked.
    permission: Option<Permission>,
    stream: Option<StreamId>,
}

impl Network {
    /// A request has come off the wire. Answers go to `stream`, refusals included.
    pub fn send(
        &mut self,
        now: Time,
        node: NodeId,
        request: SendRequest,
        permission: Permission,
        stream: StreamId,
    ) {
        let subject = self.subject(node, &request);
        let marked = match &subject {
            Ok(subject) => markers(&subject.description),
            Err(_) => Ok(Vec::new()),
        };
        let mut faults = match marked {
            Ok(faults) => faults,
            Err(error) => return self.break_off(Some(stream), Refusal::invalid(error.to_string())),
        };
        faults.extend(self.draw_faults(node));
        if self.state.node(node).down || faults.contains(&Fault::NodeDown) {
            return self.break_off(Some(stream), Refusal::unavailable("connection refused"));
        }
        for fault in &faults {
            if let Fault::LateRequest { ms } = fault {
                let ms = *ms;
                self.break_off(Some(stream), Refusal::unavailable("transport is closing"));
                let permission = Some(permission);
                let waiting = Waiting { node, request, faults, permission, stream: None };
                return self.wait(now, ms, waiting);
            }
        }
        if let Err(refusal) = permission.check(self.state.node(node).clock(now)) {
            return self.break_off(Some(stream), refusal);
        }
        if let Some(ms) = stall(&faults) {
            let waiting = Waiting { node, request, faults, permission: None, stream: Some(stream) };
            return self.wait(now, ms, waiting);
        }
        self.run(now, node, &request, subject, &faults, Some(stream));
    }

    fn wait(&mut self, now: Time, ms: u64, waiting: Waiting) {
        let id = self.next_waiting;
        self.next_waiting += 1;
        self.waiting.insert(id, waiting);
        self.at(now.after_ms(ms), Timer::Waiting(id));
    }

    pub(super) fn run_waiting(&mut self, now: Time, id: u64) {
        let Some(mut waiting) = self.waiting.remove(&id) else { return };
        let node = self.state.node(waiting.node);
        if node.down {
            return self.break_off(waiting.stream, Refusal::unavailable("connection refused"));
        }
        if let Some(permission) = waiting.permission.take() {
            if let Err(refusal) = permission.check(node.clock(now)) {
                return self.break_off(waiting.stream, refusal);
            }
            if let Some(ms) = stall(&waiting.faults) {
                return self.wait(now, ms, waiting);
            }
        }
        let subject = self.subject(waiting.node, &waiting.request);
        let Waiting { node, request, faults, stream, .. } = waiting;
        self.run(now, node, &request, subject, &faults, stream);
    }

    /// Requests in the memory of a node die with it.
    pub(super) fn drop_waiting(&mut self, node: NodeId, refusal: &Refusal) {
        let dead = self.waiting.extract_if(.., |_, waiting| waiting.node == node);
        let streams: Vec<StreamId> = dead.filter_map(|(_, waiting)| waiting.stream).collect();
        for stream in streams {
            self.refuse(stream, refusal.clone());
        }
    }

    fn break_off(&mut self, stream: Option<StreamId>, refusal: Refusal) {
        if let Some(stream) = stream {
            self.refuse(stream, refusal);
        }
    }

    /// The permission has been checked; here LND's handler begins.
    fn run(
        &mut self,
        now: Time,
        node: NodeId,
        request: &SendRequest,
        subject: Result<Subject, Refusal>,
        faults: &[Fault],
        stream: Option<StreamId>,
    ) {
        for fault in faults {
            if fault.is_immediate()
                && let Err(error) = self.do_fault(node, fault)
            {
                return self.break_off(stream, Refusal::invalid(error.to_string()));
            }
        }
        let checked = subject.and_then(|subject| {
            let amount = self.validate(now, node, request, &subject)?;
            self.dedupe(node, subject.hash)?;
            Ok((subject, amount))
        });
        match checked {
            Ok((subject, amount)) => {
                self.begin(now, node, request, &subject, amount, faults, stream);
            }
            Err(refusal) => self.break_off(stream, refusal),
        }
    }

    /// Writes the row and, if there is a way, sends the HTLCs.
    #[expect(clippy::too_many_arguments, reason = "one step of one walk, cut for its length")]
    fn begin(
        &mut self,
        now: Time,
        node: NodeId,
        request: &SendRequest,
        subject: &Subject,
        amount: Msat,
        faults: &[Fault],
        stream: Option<StreamId>,
    ) {
        let shards = self.shards(node, request, subject, amount, faults);
        let payer = self.state.node(node);
        let due = now.after_ms(payer.options.latency_ms).after_ms(delay(faults));
        let hash = subject.hash;
        self.commit(Event::PaymentInitiated {
            node,
            hash,
            created: self.state.node(node).clock(now),
            amount,
            request: subject.requested.clone(),
            ends: shards.as_ref().err().map(|reason| (due, *reason)),
        });
        if let Some(stream) = stream {
            self.follow_payment(node, hash, stream, manner(request, faults));
        }
        let (Ok(shards), Some(payee)) = (shards, subject.payee) else {
            self.announce_row(node, hash);
            return self.when(now, due, Timer::Row(node, hash));
        };
        let id = FlightId(self.state.next_flight);
        let flight = Flight {
            payer: node,
            payee,
            hash,
            amount,
            shards: Arc::from(shards),
            keysend: request.keysend,
            due,
            verdict: verdict(faults),
        };
        let warned = faults.iter().any(|fault| matches!(fault, Fault::LateSuccess { .. }));
        let warning = warned.then_some(Reason::Timeout);
        self.commit(Event::HtlcsSent { flight, warning });
        self.announce_row(node, hash);
        self.when(now, due, Timer::Flight(id));
    }

    /// At once if it is due, else later.
    fn when(&mut self, now: Time, due: Time, timer: Timer) {
        match timer {
            Timer::Flight(flight) if due <= now => self.land(now, flight),
            Timer::Row(node, hash) if due <= now => self.end_row(now, node, hash),
            Timer::Flight(_) | Timer::Row(..) | Timer::Expiry(..) | Timer::Waiting(_) => {
                self.at(due, timer);
            }
        }
    }

    fn shards(
        &self,
        node: NodeId,
        request: &SendRequest,
        subject: &Subject,
        amount: Msat,
        faults: &[Fault],
    ) -> Result<Vec<Shard>, Reason> {
        for fault in faults {
            if matches!(fault, Fault::Timeout { .. }) {
                return Err(Reason::Timeout);
            }
            if *fault == Fault::NoRoute {
                return Err(Reason::NoRoute);
            }
        }
        let known = |short: &u64| {
            ChannelId::from_short(*short).filter(|id| self.state.node(node).channels.contains(id))
        };
        let outgoing: Vec<Option<ChannelId>> = request.outgoing.iter().map(known).collect();
        let single = !subject.multi_part || request.keysend.is_some();
        let mut shards = route::find(
            &self.state,
            &Errand {
                payer: node,
                payee: subject.payee.ok_or(Reason::NoRoute)?,
                amount,
                fee_limit: request.fee_limit,
                max_parts: match (single, request.max_parts) {
                    (true, _) => 1,
                    (false, 0) => DEFAULT_PARTS,
                    (false, parts) => parts,
                },
                max_shard: request.max_shard,
                outgoing: &outgoing,
            },
        )?;
        if faults.contains(&Fault::FeeAboveLimit) {
            self.pay_too_much(&mut shards, request.fee_limit);
        }
        Ok(shards)
    }

    /// Raises what the first peer gets until the fee is a satoshi above the limit.
    fn pay_too_much(&self, shards: &mut [Shard], limit: Msat) {
        let fee = shards.iter().fold(Msat::ZERO, |sum, shard| sum.plus(shard.fee()));
        let extra = limit.plus(Msat::from_sat(1)).minus(fee);
        if let Some(hop) = shards.first_mut().and_then(|shard| shard.route.first_mut()) {
            let (end, _) = self.state.channels[hop.channel.index()].of(hop.from);
            if end.balance >= hop.amount.plus(extra) {
                hop.amount = hop.amount.plus(extra);
            }
        }
    }
}

fn stall(faults: &[Fault]) -> Option<u64> {
    faults.iter().find_map(
        |fault| {
            if let Fault::HandlerStall { ms } = fault { Some(*ms) } else { None }
        },
    )
}

fn delay(faults: &[Fault]) -> u64 {
    let mut delay = 0u64;
    for fault in faults {
        if let Fault::Slow { ms } | Fault::Timeout { ms } | Fault::LateSuccess { ms } = fault {
            delay = delay.saturating_add(*ms);
        }
    }
    delay
}

fn verdict(faults: &[Fault]) -> Verdict {
    for fault in faults {
        if *fault == Fault::IncorrectPaymentDetails {
            return Verdict::Refuse(Reason::IncorrectPaymentDetails);
        }
        if *fault == Fault::Stuck {
            return Verdict::Stuck;
        }
        if let Fault::FailThenSuccess { ms } = fault {
            return Verdict::ClaimFailed { then_ms: *ms };
        }
    }
    Verdict::Deliver
}

fn manner(request: &SendRequest, faults: &[Fault]) -> Manner {
    Manner {
        only_final: request.no_inflight_updates,
        silent: faults.contains(&Fault::Silent),
        twice: faults.contains(&Fault::Twice),
        cut: faults.contains(&Fault::StreamCut),
    }
}
