//! What the network knows: the durable state, changed only by `apply` (in `apply.rs`).
//!
//! A node's *database* (`Database`) is what a real node keeps on disk and what a restored copy
//! brings
//! back. Channels, HTLCs under way and the list of what was really settled belong to the network
//! and are
//! never restored.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    fault::Setting,
    value::{ChannelId, FlightId, Hash, Msat, NodeId, Preimage, Pubkey, Time},
};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub nodes: Vec<Node>,
    pub channels: Vec<Channel>,
    pub flights: BTreeMap<FlightId, Flight>,
    /// What was really settled at receivers, by hash and payer, whatever the nodes remember.
    pub settled: HashMap<(Hash, NodeId), Settled>,
    pub next_flight: u64,
    /// Counts everything that was ever made up, so that no copy put back makes the same preimage
    /// again.
    pub entropy: u64,
    /// When the first node was born; blocks are counted from here.
    pub genesis: Time,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    pub times: u32,
    pub amount: Msat,
    pub fee: Msat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// A node of the platform's credit pool.
    Pool,
    /// A customer's own node.
    Customer,
    /// A wallet somewhere else in the world.
    Outside,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Role::Pool => "pool",
            Role::Customer => "customer",
            Role::Outside => "outside",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeOptions {
    pub role: Role,
    /// How long a payment takes from its first update to its result.
    pub latency_ms: u64,
    pub accepts_keysend: bool,
    /// Settles every HTLC for an invoice it has, however often it was paid; lnd does not.
    pub careless: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub name: String,
    pub secret: [u8; 32],
    pub pubkey: Pubkey,
    pub options: NodeOptions,
    pub channels: Vec<ChannelId>,
    pub database: Database,
    pub copies: BTreeMap<String, Database>,
    pub faults: Vec<Setting>,
    pub clock_ms: i64,
    pub down: bool,
}

impl Node {
    /// What the node's own clock shows.
    pub fn clock(&self, now: Time) -> Time {
        now.off_by_ms(self.clock_ms)
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    pub payments: HashMap<Hash, Payment>,
    pub by_payment_index: BTreeMap<u64, Hash>,
    pub last_payment_index: u64,
    pub invoices: HashMap<Hash, Invoice>,
    /// The invoice with `add_index` n is at n - 1; indices are given without gaps.
    pub by_add_index: Vec<Hash>,
    pub by_settle_index: BTreeMap<u64, Hash>,
    pub last_settle_index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentState {
    /// The row is written and no HTLC is out. Shown as IN_FLIGHT.
    Initiated,
    InFlight,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    Timeout,
    NoRoute,
    Error,
    IncorrectPaymentDetails,
    InsufficientBalance,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    pub hash: Hash,
    pub index: u64,
    /// By the node's own clock.
    pub created: Time,
    pub amount: Msat,
    pub fee: Msat,
    pub request: Option<Arc<str>>,
    pub state: PaymentState,
    pub reason: Option<Reason>,
    pub preimage: Option<Preimage>,
    pub flight: Option<FlightId>,
    pub shards: Arc<[Shard]>,
    /// Without an HTLC out: when and how it will fail.
    pub ends: Option<(Time, Reason)>,
    pub resolved: Option<Time>,
}

impl Payment {
    pub fn is_open(&self) -> bool {
        matches!(self.state, PaymentState::Initiated | PaymentState::InFlight)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvoiceState {
    Open,
    Accepted,
    Settled,
    Canceled,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invoice {
    pub hash: Hash,
    /// `None` for a hold invoice until it is settled.
    pub preimage: Option<Preimage>,
    pub secret: [u8; 32],
    /// Zero: any amount.
    pub value: Msat,
    pub request: Arc<str>,
    pub memo: Arc<str>,
    pub description_hash: Option<[u8; 32]>,
    /// By the node's own clock.
    pub created: Time,
    pub expiry_seconds: u64,
    pub cltv_expiry: u32,
    pub private: bool,
    pub hold: bool,
    pub keysend: bool,
    pub add_index: u64,
    pub settle_index: u64,
    pub state: InvoiceState,
    pub paid: Msat,
    pub settled_at: Option<Time>,
    /// The HTLCs that a hold invoice holds.
    pub held: Option<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub flight: FlightId,
    pub amount: Msat,
    pub since: Time,
}

impl Invoice {
    pub fn expires(&self) -> Time {
        self.created.after_ms(self.expiry_seconds.saturating_mul(1_000))
    }

    pub fn is_final(&self) -> bool {
        matches!(self.state, InvoiceState::Settled | InvoiceState::Canceled)
    }
}

/// One side's price for forwarding over a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    pub base: Msat,
    pub ppm: u32,
}

impl Policy {
    pub fn fee(self, forwarded: Msat) -> Msat {
        let proportional = u128::from(forwarded.get()) * u128::from(self.ppm) / 1_000_000;
        self.base.plus(Msat::new(u64::try_from(proportional).unwrap_or(u64::MAX)))
    }
}

/// One end of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    pub node: NodeId,
    pub balance: Msat,
    /// Offered by this end, not yet settled or failed.
    pub pending: Msat,
    pub slots_used: u32,
    pub policy: Policy,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub ends: [End; 2],
    /// HTLCs that each end may have out at a time.
    pub slots: u32,
}

impl Channel {
    /// The end of `node`, and the other one.
    pub fn of(&self, node: NodeId) -> (&End, &End) {
        let [first, second] = &self.ends;
        if first.node == node { (first, second) } else { (second, first) }
    }

    pub fn of_mut(&mut self, node: NodeId) -> (&mut End, &mut End) {
        let [first, second] = &mut self.ends;
        if first.node == node { (first, second) } else { (second, first) }
    }

    pub fn capacity(&self) -> Msat {
        let [first, second] = &self.ends;
        first.balance.plus(first.pending).plus(second.balance).plus(second.pending)
    }
}

/// What one channel of a route carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    pub channel: ChannelId,
    pub from: NodeId,
    pub to: NodeId,
    pub amount: Msat,
}

/// One part of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// What the receiver gets.
    pub amount: Msat,
    pub route: Vec<Hop>,
}

impl Shard {
    pub fn fee(&self) -> Msat {
        self.route.first().map_or(Msat::ZERO, |hop| hop.amount.minus(self.amount))
    }
}

/// What happens to a flight when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Deliver,
    Refuse(Reason),
    /// The payer is told FAILED although the HTLCs live on, and are delivered so much later.
    ClaimFailed {
        then_ms: u64,
    },
    /// Nothing until it is released.
    Stuck,
    /// A hold invoice holds it.
    Held,
}

/// The HTLCs of one payment on their way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    pub payer: NodeId,
    pub payee: NodeId,
    pub hash: Hash,
    pub amount: Msat,
    pub shards: Arc<[Shard]>,
    pub keysend: Option<Preimage>,
    pub due: Time,
    pub verdict: Verdict,
}

impl Flight {
    pub fn fee(&self) -> Msat {
        self.shards.iter().fold(Msat::ZERO, |sum, shard| sum.plus(shard.fee()))
    }
}
