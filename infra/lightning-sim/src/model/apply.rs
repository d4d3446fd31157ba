//! `State::apply`: the one place where the state changes, for live commands and for the replay
//! alike.

use std::sync::Arc;

use bitcoin::secp256k1::SecretKey;

use super::{
    event::{Event, Requested},
    invoice::SECP,
    state::{
        Channel, Database, Flight, Held, Invoice, InvoiceState, Node, NodeOptions, Payment,
        PaymentState, Reason, State, Verdict,
    },
    value::{ChannelId, FlightId, Hash, Msat, NodeId, Preimage, Pubkey, Time},
};

impl State {
    /// Applies one event. Cannot fail: what is in the log has happened.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::NodeAdded { name, secret, options, at } => {
                self.add_node(name, *secret, options, *at);
            }
            Event::ChannelOpened { channel } => self.open_channel(channel),
            Event::InvoiceAdded { node, invoice } => {
                self.entropy += 1;
                self.database(*node).add_invoice((**invoice).clone());
            }
            Event::InvoiceAccepted { node, hash, flight, amount, at, htlcs_end } => {
                let held = Held { flight: *flight, amount: *amount, since: *at };
                self.database(*node).accept(*hash, held);
                self.turn(*flight, *htlcs_end, Verdict::Held);
            }
            Event::InvoiceCanceled { node, hash } => self.database(*node).cancel(*hash),
            Event::PaymentInitiated { node, hash, created, amount, request, ends } => {
                let request = self.requested(*hash, request);
                self.database(*node).initiate(*hash, *created, *amount, request, *ends);
            }
            Event::HtlcsSent { flight, warning } => self.depart(flight, *warning),
            Event::FlightTurned { flight, due, verdict } => self.turn(*flight, *due, *verdict),
            Event::FlightSettled { flight, preimage, at } => self.settle(*flight, *preimage, *at),
            Event::FlightFailed { flight, reason, at } => self.fail(*flight, *reason, *at),
            Event::PaymentFailed { node, hash, reason, at } => {
                self.database(*node).fail_payment(*hash, *reason, *at);
            }
            Event::FaultSet { node, setting } => self.node_mut(*node).set_fault(setting.clone()),
            Event::FaultDrawn { node, index } => {
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                if let Some(setting) = self.node_mut(*node).faults.get_mut(index) {
                    setting.draw();
                }
            }
            Event::FaultsCleared { node, name } => match name {
                Some(name) => {
                    self.node_mut(*node).faults.retain(|kept| kept.fault.name() != name);
                }
                None => self.node_mut(*node).faults.clear(),
            },
            Event::ClockSet { node, ms } => self.node_mut(*node).clock_ms = *ms,
            Event::DownSet { node, down } => self.node_mut(*node).down = *down,
            Event::LatencySet { node, ms } => self.node_mut(*node).options.latency_ms = *ms,
            Event::CopySaved { node, copy } => {
                let node = self.node_mut(*node);
                node.copies.insert(copy.clone(), node.database.clone());
            }
            Event::CopyRestored { node, copy } => {
                let node = self.node_mut(*node);
                if let Some(copy) = node.copies.get(copy) {
                    node.database = copy.clone();
                }
            }
            Event::PaymentForgotten { node, hash } => self.database(*node).forget(*hash),
            Event::NodeRestarted { node, ends } => self.database(*node).lose_sessions(*ends),
        }
    }

    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node.index()]
    }

    fn node_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node.index()]
    }

    fn database(&mut self, node: NodeId) -> &mut Database {
        &mut self.node_mut(node).database
    }

    fn add_node(&mut self, name: &str, secret: [u8; 32], options: &NodeOptions, at: Time) {
        if self.nodes.is_empty() {
            self.genesis = at;
        }
        self.nodes.push(Node {
            name: name.to_owned(),
            secret,
            pubkey: pubkey(&secret),
            options: options.clone(),
            channels: Vec::new(),
            database: Database::default(),
            copies: Default::default(),
            faults: Vec::new(),
            clock_ms: 0,
            down: false,
        });
    }

    fn open_channel(&mut self, channel: &Channel) {
        let id = ChannelId(u16::try_from(self.channels.len()).expect("fewer than 65,536 channels"));
        for end in &channel.ends {
            self.node_mut(end.node).channels.push(id);
        }
        self.channels.push(channel.clone());
    }

    fn requested(&self, hash: Hash, request: &Requested) -> Option<Arc<str>> {
        match request {
            Requested::IssuedBy(node) => {
                let invoice = self.node(*node).database.invoices.get(&hash);
                invoice.map(|invoice| invoice.request.clone())
            }
            Requested::Text(text) => Some(text.clone()),
            Requested::Nothing => None,
        }
    }

    fn depart(&mut self, flight: &Flight, warning: Option<Reason>) {
        let id = FlightId(self.next_flight);
        self.next_flight += 1;
        for hop in flight.shards.iter().flat_map(|shard| &shard.route) {
            let (end, _) = self.channels[hop.channel.index()].of_mut(hop.from);
            end.balance = end.balance.minus(hop.amount);
            end.pending = end.pending.plus(hop.amount);
            end.slots_used += 1;
        }
        let row = self.database(flight.payer).payments.get_mut(&flight.hash);
        if let Some(payment) = row {
            payment.state = PaymentState::InFlight;
            payment.flight = Some(id);
            payment.shards = flight.shards.clone();
            payment.reason = warning;
            payment.ends = None;
        }
        self.flights.insert(id, flight.clone());
    }

    fn turn(&mut self, flight: FlightId, due: Time, verdict: Verdict) {
        if let Some(flight) = self.flights.get_mut(&flight) {
            flight.due = due;
            flight.verdict = verdict;
        }
    }

    /// Takes the HTLCs off their channels; what they carried goes forward or back.
    fn land(&mut self, id: FlightId, forward: bool) -> Option<Flight> {
        let flight = self.flights.remove(&id)?;
        for hop in flight.shards.iter().flat_map(|shard| &shard.route) {
            let (from, to) = self.channels[hop.channel.index()].of_mut(hop.from);
            from.pending = from.pending.minus(hop.amount);
            from.slots_used = from.slots_used.saturating_sub(1);
            let gets = if forward { to } else { from };
            gets.balance = gets.balance.plus(hop.amount);
        }
        Some(flight)
    }

    fn settle(&mut self, id: FlightId, preimage: Preimage, at: Time) {
        let Some(flight) = self.land(id, true) else { return };
        let settled = self.settled.entry((flight.hash, flight.payer)).or_default();
        settled.times += 1;
        settled.amount = settled.amount.plus(flight.amount);
        settled.fee = settled.fee.plus(flight.fee());
        let payee = self.database(flight.payee);
        if flight.keysend.is_some() && !payee.invoices.contains_key(&flight.hash) {
            payee.add_invoice(keysend_invoice(&flight, preimage, at));
        }
        payee.settle_invoice(flight.hash, preimage, flight.amount, at);
        let row = self.database(flight.payer).payments.get_mut(&flight.hash);
        if let Some(payment) = row.filter(|payment| payment.flight == Some(id)) {
            payment.state = PaymentState::Succeeded;
            payment.reason = None;
            payment.preimage = Some(preimage);
            payment.fee = flight.fee();
            payment.resolved = Some(at);
        }
    }

    fn fail(&mut self, id: FlightId, reason: Reason, at: Time) {
        let Some(flight) = self.land(id, false) else { return };
        let row = self.database(flight.payer).payments.get(&flight.hash);
        if row.is_some_and(|payment| payment.flight == Some(id) && payment.is_open()) {
            self.database(flight.payer).fail_payment(flight.hash, reason, at);
        }
    }
}

pub(super) fn pubkey(secret: &[u8; 32]) -> Pubkey {
    let secret =
        SecretKey::from_slice(secret).expect("node secrets were checked when they came in");
    Pubkey(secret.public_key(&SECP).serialize())
}

fn keysend_invoice(flight: &Flight, preimage: Preimage, at: Time) -> Invoice {
    Invoice {
        hash: flight.hash,
        preimage: Some(preimage),
        secret: [0; 32],
        value: flight.amount,
        request: Arc::from(""),
        memo: Arc::from(""),
        description_hash: None,
        created: at,
        expiry_seconds: 3_600,
        cltv_expiry: 0,
        private: false,
        hold: false,
        keysend: true,
        add_index: 0,
        settle_index: 0,
        state: InvoiceState::Open,
        paid: Msat::ZERO,
        settled_at: None,
        held: None,
    }
}

impl Node {
    fn set_fault(&mut self, setting: super::fault::Setting) {
        self.faults.retain(|kept| kept.fault.name() != setting.fault.name());
        self.faults.push(setting);
    }
}

impl Database {
    fn add_invoice(&mut self, mut invoice: Invoice) {
        self.by_add_index.push(invoice.hash);
        invoice.add_index = u64::try_from(self.by_add_index.len()).unwrap_or(u64::MAX);
        self.invoices.insert(invoice.hash, invoice);
    }

    fn accept(&mut self, hash: Hash, held: Held) {
        if let Some(invoice) = self.invoices.get_mut(&hash) {
            invoice.state = InvoiceState::Accepted;
            invoice.paid = held.amount;
            invoice.held = Some(held);
        }
    }

    fn cancel(&mut self, hash: Hash) {
        if let Some(invoice) = self.invoices.get_mut(&hash) {
            invoice.state = InvoiceState::Canceled;
            invoice.paid = Msat::ZERO;
            invoice.held = None;
        }
    }

    fn settle_invoice(&mut self, hash: Hash, preimage: Preimage, amount: Msat, at: Time) {
        let Some(invoice) = self.invoices.get_mut(&hash) else { return };
        let before = if invoice.state == InvoiceState::Settled { invoice.paid } else { Msat::ZERO };
        self.by_settle_index.remove(&invoice.settle_index);
        self.last_settle_index += 1;
        self.by_settle_index.insert(self.last_settle_index, hash);
        invoice.settle_index = self.last_settle_index;
        invoice.state = InvoiceState::Settled;
        invoice.preimage = Some(preimage);
        invoice.paid = before.plus(amount);
        invoice.settled_at = Some(at);
        invoice.held = None;
    }

    fn initiate(
        &mut self,
        hash: Hash,
        created: Time,
        amount: Msat,
        request: Option<Arc<str>>,
        ends: Option<(Time, Reason)>,
    ) {
        self.last_payment_index += 1;
        let index = self.last_payment_index;
        let payment = Payment {
            hash,
            index,
            created,
            amount,
            fee: Msat::ZERO,
            request,
            state: PaymentState::Initiated,
            reason: None,
            preimage: None,
            flight: None,
            shards: Arc::default(),
            ends,
            resolved: None,
        };
        if let Some(old) = self.payments.insert(hash, payment) {
            self.by_payment_index.remove(&old.index);
        }
        self.by_payment_index.insert(index, hash);
    }

    fn fail_payment(&mut self, hash: Hash, reason: Reason, at: Time) {
        if let Some(payment) = self.payments.get_mut(&hash) {
            payment.state = PaymentState::Failed;
            payment.reason = Some(reason);
            payment.ends = None;
            payment.resolved = Some(at);
        }
    }

    fn forget(&mut self, hash: Hash) {
        if let Some(payment) = self.payments.remove(&hash) {
            self.by_payment_index.remove(&payment.index);
        }
    }

    fn lose_sessions(&mut self, ends: Time) {
        for payment in self.payments.values_mut() {
            if payment.state == PaymentState::Initiated {
                payment.ends = Some((ends, Reason::NoRoute));
            }
        }
    }
}
