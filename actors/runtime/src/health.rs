//! What is known of each node now, for the router: read from the node every few seconds, and learned
//! from every attempt.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use domain::{Msat, NodeId, routing::Candidate};
use ports::lightning::NodeStatus;

/// How much the newest attempt weighs: about the last twenty count.
const WEIGHT: u64 = 20;

#[derive(Default)]
pub(crate) struct Health {
    nodes: Mutex<BTreeMap<NodeId, Candidate>>,
    inbound: Mutex<BTreeMap<NodeId, Msat>>,
}

/// A node as last seen.
pub(crate) struct Seen {
    pub(crate) usable: bool,
    pub(crate) in_flight: u32,
    pub(crate) outbound_msat: Msat,
    pub(crate) inbound_msat: Msat,
}

/// What one attempt has taught.
pub(crate) struct Lesson {
    pub(crate) succeeded: bool,
    pub(crate) amount_msat: Msat,
    pub(crate) fee_msat: Msat,
    pub(crate) took_ms: i64,
}

impl Health {
    pub(crate) fn snapshot(&self, wanted: impl Fn(NodeId) -> bool) -> Vec<Candidate> {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.values().filter(|candidate| wanted(candidate.node)).copied().collect()
    }

    pub(crate) fn of(&self, node: NodeId) -> Seen {
        let nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        let candidate = nodes.get(&node);
        Seen {
            usable: candidate.is_some_and(|candidate| candidate.usable),
            in_flight: candidate.map_or(0, |candidate| candidate.in_flight),
            outbound_msat: candidate.map_or(Msat::ZERO, |candidate| candidate.outbound_msat),
            inbound_msat: inbound.get(&node).copied().unwrap_or_default(),
        }
    }

    /// The usable node that can be paid the most now.
    pub(crate) fn roomiest(&self, wanted: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let usable = self.snapshot(wanted).into_iter().filter(|candidate| candidate.usable);
        let room = |candidate: &Candidate| inbound.get(&candidate.node).copied();
        usable.max_by_key(room).map(|candidate| candidate.node)
    }

    pub(crate) fn unusable(&self, node: NodeId) {
        self.change(node, |candidate| candidate.usable = false);
    }

    /// What is free is shared by all processes that send over the node.
    pub(crate) fn usable(&self, node: NodeId, status: &NodeStatus, sharers: u32) {
        let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        inbound.insert(node, status.inbound_msat);
        drop(inbound);
        self.change(node, |candidate| {
            candidate.usable = true;
            candidate.outbound_msat = status.outbound_msat;
            candidate.largest_channel_msat = status.largest_channel_msat;
            let taken = status.pending_htlcs.max(candidate.in_flight);
            let free = status.slots.saturating_sub(taken);
            candidate.slots = candidate.in_flight.saturating_add(free / sharers.max(1));
        });
    }

    pub(crate) fn started(&self, node: NodeId) {
        self.change(node, |candidate| candidate.in_flight = candidate.in_flight.saturating_add(1));
    }

    pub(crate) fn ended(&self, node: NodeId) {
        self.change(node, |candidate| candidate.in_flight = candidate.in_flight.saturating_sub(1));
    }

    pub(crate) fn learn(&self, node: NodeId, lesson: &Lesson) {
        self.change(node, |candidate| {
            let success = if lesson.succeeded { 1_000_000 } else { 0 };
            candidate.success_ppm = blend(candidate.success_ppm, success);
            let took = u64::try_from(lesson.took_ms).unwrap_or(0);
            candidate.latency_ms = blend(candidate.latency_ms, took);
            if lesson.succeeded && !lesson.amount_msat.is_zero() {
                let cost =
                    lesson.fee_msat.get().saturating_mul(1_000_000) / lesson.amount_msat.get();
                candidate.cost_ppm = blend(candidate.cost_ppm, cost);
            }
        });
    }

    fn change(&self, node: NodeId, change: impl FnOnce(&mut Candidate)) {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        change(nodes.entry(node).or_insert(Candidate {
            node,
            usable: false,
            outbound_msat: Msat::ZERO,
            largest_channel_msat: Msat::ZERO,
            slots: 0,
            in_flight: 0,
            success_ppm: 950_000,
            cost_ppm: 0,
            latency_ms: 0,
        }));
    }
}

fn blend(old: u32, new: u64) -> u32 {
    let blended = (u64::from(old) * (WEIGHT - 1) + new.min(1_000_000_000)) / WEIGHT;
    u32::try_from(blended).unwrap_or(u32::MAX)
}
