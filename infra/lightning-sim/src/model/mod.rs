//! The simulated network: nodes, channels, liquidity, invoices, payments, and faults by name.
//!
//! Pure: no I/O, no clock, no randomness. Time is handed to each command; whatever must be made up
//! is
//! derived from the nodes' secrets and a counter. A command commits `Event`s, which change the
//! durable
//! `State` through `apply` and are handed out to be written to a log, and `Notice`s for the
//! streams that
//! follow something. Whoever drives the model writes the events first and delivers the notices
//! after.
//!
//! A payment's row goes through these states:
//!
//! ```text
//! (none) ── send ──> Initiated ── HTLCs out ──> InFlight ── receiver settles ──> Succeeded
//!   ^                    │                         │                                 ^
//!   │                    └── no route, restart ────┴── refused ──> Failed ────────────┘
//!   └── forget, restore                                 │    (fail_then_success only)
//!                                                       └── send again: Initiated, with a new
//! index
//! ```

mod apply;
mod control;
mod event;
mod fault;
mod flight;
mod invoice;
mod query;
mod receive;
mod refusal;
mod route;
mod send;
mod state;
mod stream;
mod subject;
mod value;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use event::Event;
pub use fault::{ALWAYS_PPM, Fault, FaultError, Setting, markers};
pub use invoice::{Chain, Terms, read};
pub use query::{InvoicePage, PageOf, PaymentPage};
pub use receive::NewInvoice;
pub use refusal::{Code, Refusal};
pub use send::{Permission, SendRequest};
pub use state::{
    Channel, End, Held, Invoice, InvoiceState, Node, NodeOptions, Payment, PaymentState, Policy,
    Reason, Role, Settled, Shard, State,
};
pub use stream::{Item, Notice, PaymentView};
pub use value::{
    ChannelId, FlightId, Hash, Msat, NodeId, Preimage, Pubkey, StreamId, Time, from_hex, to_hex,
};

use send::Waiting;
use stream::Streams;

/// The network, and what is remembered about it only as long as the process lives.
pub struct Network {
    pub(crate) chain: Chain,
    pub(crate) state: State,
    timers: BTreeSet<(Time, Timer)>,
    streams: Streams,
    /// Requests taken off the wire that have not run yet.
    waiting: std::collections::BTreeMap<u64, Waiting>,
    next_waiting: u64,
    events: Vec<Event>,
    notices: Vec<Notice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Flight(FlightId),
    Row(NodeId, Hash),
    Expiry(NodeId, Hash),
    Waiting(u64),
}

/// What commands left behind since the last time it was taken.
#[derive(Debug, Default)]
pub struct Output {
    /// To be written, in this order, before any notice is delivered.
    pub events: Vec<Event>,
    pub notices: Vec<Notice>,
}

impl Network {
    pub fn new(chain: Chain) -> Network {
        Network {
            chain,
            state: State::default(),
            timers: BTreeSet::new(),
            streams: Streams::default(),
            waiting: Default::default(),
            next_waiting: 0,
            events: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Brings back one event of the log. `start` follows when all are in.
    pub fn replay(&mut self, event: &Event) {
        self.state.apply(event);
    }

    /// Begins a life after a replay: every node has just been restarted.
    pub fn start(&mut self, now: Time) {
        for node in self.node_ids() {
            self.commit_restart(now, node);
        }
        self.rebuild_timers();
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn chain(&self) -> Chain {
        self.chain
    }

    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.state.nodes.len())
            .map(|index| NodeId(u16::try_from(index).expect("fewer than 65,536 nodes")))
    }

    pub fn node(&self, name: &str) -> Option<(NodeId, &Node)> {
        self.node_ids().zip(&self.state.nodes).find(|(_, node)| node.name == name)
    }

    pub(crate) fn node_by_key(&self, key: &Pubkey) -> Option<NodeId> {
        self.node_ids()
            .zip(&self.state.nodes)
            .find(|(_, node)| node.pubkey == *key)
            .map(|(id, _)| id)
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Time> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Does everything that is due, each thing at its own time, however late this is called.
    pub fn advance(&mut self, now: Time) {
        while let Some(&(at, timer)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Flight(flight) => self.land(at, flight),
                Timer::Row(node, hash) => self.end_row(at, node, hash),
                Timer::Expiry(node, hash) => self.expire(at, node, hash),
                Timer::Waiting(id) => self.run_waiting(at, id),
            }
        }
    }

    /// What happened since the last call.
    pub fn take_output(&mut self) -> Output {
        Output {
            events: std::mem::take(&mut self.events),
            notices: std::mem::take(&mut self.notices),
        }
    }

    pub(crate) fn commit(&mut self, event: Event) {
        self.state.apply(&event);
        self.events.push(event);
    }

    fn at(&mut self, at: Time, timer: Timer) {
        self.timers.insert((at, timer));
    }

    /// Timers follow from the state, apart from requests that wait to run: those die with the
    /// process.
    fn rebuild_timers(&mut self) {
        self.timers.retain(|(_, timer)| matches!(timer, Timer::Waiting(_)));
        for (&id, flight) in &self.state.flights {
            if flight::has_due(flight.verdict) {
                self.timers.insert((flight.due, Timer::Flight(id)));
            }
        }
        for id in self.node_ids() {
            let node = self.state.node(id);
            for payment in node.database.payments.values() {
                if let Some((at, _)) = payment.ends {
                    self.timers.insert((at, Timer::Row(id, payment.hash)));
                }
            }
            for invoice in node.database.invoices.values() {
                if let Some(at) = receive::expiry(node, invoice) {
                    self.timers.insert((at, Timer::Expiry(id, invoice.hash)));
                }
            }
        }
    }
}
