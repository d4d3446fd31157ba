//! What no real node offers: building the network, setting faults, releasing, restarting, auditing.

use bitcoin::secp256k1::SecretKey;

use super::{
    Network, Timer,
    event::Event,
    fault::{Fault, FaultError, Setting},
    refusal::Refusal,
    state::{Channel, End, NodeOptions, Policy, Reason, Settled, Verdict},
    value::{Hash, Msat, NodeId, Time},
};

/// A payment whose session was lost in a restart fails so much later.
const LOST_SESSION_MS: u64 = 1_000;

impl Fault {
    /// Whether it is done at once instead of happening to a payment.
    pub fn is_immediate(&self) -> bool {
        match self {
            Fault::Clock { .. }
            | Fault::Snapshot { .. }
            | Fault::Restore { .. }
            | Fault::Forget { .. } => true,
            Fault::NoRoute
            | Fault::Timeout { .. }
            | Fault::IncorrectPaymentDetails
            | Fault::Stuck
            | Fault::LateSuccess { .. }
            | Fault::StreamCut
            | Fault::NodeDown
            | Fault::Slow { .. }
            | Fault::Silent
            | Fault::Twice
            | Fault::LateRequest { .. }
            | Fault::HandlerStall { .. }
            | Fault::FailThenSuccess { .. }
            | Fault::FeeAboveLimit => false,
        }
    }
}

impl Network {
    /// Adds a node, or refuses a secret that is no key.
    pub fn add_node(
        &mut self,
        now: Time,
        name: &str,
        secret: [u8; 32],
        options: NodeOptions,
    ) -> Result<NodeId, Refusal> {
        if SecretKey::from_slice(&secret).is_err() {
            return Err(Refusal::invalid("not a secp256k1 secret key"));
        }
        if self.node(name).is_some() {
            return Err(Refusal::invalid(format!("there is a node named {name:?} already")));
        }
        let id = u16::try_from(self.state.nodes.len());
        let id = NodeId(id.map_err(|_| Refusal::invalid("too many nodes"))?);
        self.commit(Event::NodeAdded { name: name.to_owned(), secret, options, at: now });
        Ok(id)
    }

    /// Opens a channel, each side with its balance and its price for forwarding.
    pub fn open_channel(
        &mut self,
        sides: [(NodeId, Msat, Policy); 2],
        slots: u32,
    ) -> Result<(), Refusal> {
        if sides[0].0 == sides[1].0 {
            return Err(Refusal::invalid("a channel needs two nodes"));
        }
        if self.state.channels.len() >= usize::from(u16::MAX) {
            return Err(Refusal::invalid("too many channels"));
        }
        let ends = sides.map(|(node, balance, policy)| End {
            node,
            balance,
            pending: Msat::ZERO,
            slots_used: 0,
            policy,
        });
        self.commit(Event::ChannelOpened { channel: Channel { ends, slots } });
        Ok(())
    }

    /// Throws the dice of every fault that the node keeps; those that strike.
    pub(super) fn draw_faults(&mut self, node: NodeId) -> Vec<Fault> {
        let mut struck = Vec::new();
        for index in 0..self.state.node(node).faults.len() {
            let setting = &self.state.node(node).faults[index];
            if setting.is_used_up() {
                continue;
            }
            if setting.strikes() {
                struck.push(setting.fault.clone());
            }
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.commit(Event::FaultDrawn { node, index });
        }
        struck
    }

    /// Keeps a fault for payments to come, or does it at once if it is of that kind.
    pub fn set_fault(
        &mut self,
        now: Time,
        node: NodeId,
        setting: Setting,
    ) -> Result<(), FaultError> {
        if setting.fault.is_immediate() {
            return self.do_fault(node, &setting.fault);
        }
        let always = setting.times_left.is_none() && setting.ppm >= super::ALWAYS_PPM;
        if setting.fault == Fault::NodeDown && always {
            self.set_down(now, node, true);
            return Ok(());
        }
        self.commit(Event::FaultSet { node, setting });
        Ok(())
    }

    pub(super) fn do_fault(&mut self, node: NodeId, fault: &Fault) -> Result<(), FaultError> {
        match fault {
            Fault::Clock { ms } => self.set_clock(node, *ms),
            Fault::Snapshot { copy } => self.commit(Event::CopySaved { node, copy: copy.clone() }),
            Fault::Restore { copy } => {
                if !self.state.node(node).copies.contains_key(copy) {
                    return Err(FaultError::NoSuchCopy(copy.clone()));
                }
                self.commit(Event::CopyRestored { node, copy: copy.clone() });
                self.rebuild_timers();
            }
            Fault::Forget { hash } => self.commit(Event::PaymentForgotten { node, hash: *hash }),
            Fault::NoRoute
            | Fault::Timeout { .. }
            | Fault::IncorrectPaymentDetails
            | Fault::Stuck
            | Fault::LateSuccess { .. }
            | Fault::StreamCut
            | Fault::NodeDown
            | Fault::Slow { .. }
            | Fault::Silent
            | Fault::Twice
            | Fault::LateRequest { .. }
            | Fault::HandlerStall { .. }
            | Fault::FailThenSuccess { .. }
            | Fault::FeeAboveLimit => {}
        }
        Ok(())
    }

    fn set_clock(&mut self, node: NodeId, ms: i64) {
        if self.state.node(node).clock_ms != ms {
            self.commit(Event::ClockSet { node, ms });
            self.rebuild_timers();
        }
    }

    pub fn set_down(&mut self, now: Time, node: NodeId, down: bool) {
        if self.state.node(node).down == down {
            return;
        }
        self.commit(Event::DownSet { node, down });
        if down {
            self.lose_sessions(now, node, &Refusal::unavailable("connection reset"));
        }
    }

    /// Clears the faults of a name, or all; a node that was down or off in its clock is well again.
    pub fn clear_faults(&mut self, now: Time, node: NodeId, name: Option<&str>) {
        if name.is_none_or(|name| name == "clock") {
            self.set_clock(node, 0);
        }
        if name.is_none_or(|name| name == "node_down") {
            self.set_down(now, node, false);
        }
        if !self.state.node(node).faults.is_empty() {
            self.commit(Event::FaultsCleared { node, name: name.map(str::to_owned) });
        }
    }

    pub fn set_latency(&mut self, node: NodeId, ms: u64) {
        self.commit(Event::LatencySet { node, ms });
    }

    /// Lets a stuck payment go on to its receiver.
    pub fn release(&mut self, now: Time, node: NodeId, hash: Hash) -> Result<(), Refusal> {
        self.unstick(now, node, hash, Verdict::Deliver)
    }

    /// Lets a stuck payment fail on its way.
    pub fn release_failed(&mut self, now: Time, node: NodeId, hash: Hash) -> Result<(), Refusal> {
        self.unstick(now, node, hash, Verdict::Refuse(Reason::NoRoute))
    }

    fn unstick(
        &mut self,
        now: Time,
        node: NodeId,
        hash: Hash,
        verdict: Verdict,
    ) -> Result<(), Refusal> {
        let ours = self.state.flights.iter().find(|(_, flight)| {
            flight.payer == node && flight.hash == hash && flight.verdict == Verdict::Stuck
        });
        let Some((&id, _)) = ours else {
            return Err(Refusal::not_found("no stuck payment with this hash"));
        };
        self.commit(Event::FlightTurned { flight: id, due: now, verdict });
        self.land(now, id);
        Ok(())
    }

    /// Stops and starts a node with a word to its callers.
    pub fn restart(&mut self, now: Time, node: NodeId) {
        self.lose_sessions(now, node, &Refusal::unknown("routerrpc server shutting down"));
    }

    /// Kills and starts a node; its callers see the connection break.
    pub fn kill(&mut self, now: Time, node: NodeId) {
        self.lose_sessions(now, node, &Refusal::unavailable("connection reset"));
    }

    fn lose_sessions(&mut self, now: Time, node: NodeId, refusal: &Refusal) {
        self.drop_waiting(node, refusal);
        self.break_streams(node, refusal);
        self.commit_restart(now, node);
    }

    pub(super) fn commit_restart(&mut self, now: Time, node: NodeId) {
        let ends = now.after_ms(LOST_SESSION_MS);
        self.commit(Event::NodeRestarted { node, ends });
        let rows = self.state.node(node).database.payments.values();
        let ended: Vec<Hash> = rows.filter(|row| row.ends.is_some()).map(|row| row.hash).collect();
        for hash in ended {
            self.at(ends, Timer::Row(node, hash));
        }
    }

    /// How often a hash was really settled at receivers: by this payer, and by anyone.
    pub fn settled_times(&self, node: NodeId, hash: Hash) -> (u32, u32) {
        let by = |payer| self.state.settled.get(&(hash, payer)).map_or(0, |settled| settled.times);
        (by(node), self.node_ids().map(by).sum())
    }

    /// Everything that was ever settled, by hash and payer.
    pub fn settlements(&self) -> Vec<(Hash, NodeId, Settled)> {
        let mut all: Vec<(Hash, NodeId, Settled)> =
            self.state.settled.iter().map(|(&(hash, payer), &of)| (hash, payer, of)).collect();
        all.sort_unstable_by_key(|(hash, payer, _)| (*hash, *payer));
        all
    }
}
