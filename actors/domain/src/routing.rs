//! Which nodes to try, and in which order: a score over health, liquidity, history and cost.
//!
//! Pure and integer only, so that the same facts always give the same plan.

use crate::{Msat, NodeId};

/// What is known of one node at the moment of choosing. Kept up to date in memory by its node actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub node: NodeId,
    /// Connected, in the right state, its clock right, and not stopped.
    pub usable: bool,
    /// Largest amount that may leave now, fees included, over all channels.
    pub outbound_msat: Msat,
    /// Largest amount that may leave through one channel.
    pub largest_channel_msat: Msat,
    /// Sends of ours that it can have in flight at once before its channels are full.
    pub slots: u32,
    pub in_flight: u32,
    /// Share of recent attempts that succeeded, in millionths.
    pub success_ppm: u32,
    /// Mean routing fee of recent payments, in millionths of their amount.
    pub cost_ppm: u32,
    /// Mean time to an answer.
    pub latency_ms: u32,
}

/// What is to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub amount_msat: Msat,
    pub fee_limit_msat: Msat,
}

/// The most nodes that one payment is tried on.
pub const PLAN_NODES_MAX: usize = 5;

/// Usable nodes with enough outbound liquidity, best first; at most [`PLAN_NODES_MAX`].
pub fn choose(candidates: &[Candidate], wanted: Wanted) -> Vec<NodeId> {
    let Some(need_msat) = wanted.amount_msat.checked_add(wanted.fee_limit_msat) else {
        return Vec::new();
    };
    let mut best: Vec<(u64, NodeId)> = Vec::with_capacity(PLAN_NODES_MAX + 1);
    for candidate in candidates {
        if !candidate.could_pay(wanted) || candidate.is_full() {
            continue;
        }
        let scored = (score(candidate, need_msat), candidate.node);
        let place = best.partition_point(|other| *other < scored);
        if place < PLAN_NODES_MAX {
            best.insert(place, scored);
            best.truncate(PLAN_NODES_MAX);
        }
    }
    best.into_iter().map(|(_, node)| node).collect()
}

/// Whether every node that could pay it has as much in flight as fits, which is over soon: the quickest one's
/// mean time to an answer, in milliseconds. `None`: there is room, or nobody could pay it anyway.
pub fn full(candidates: &[Candidate], wanted: Wanted) -> Option<u32> {
    let could = || candidates.iter().filter(|candidate| candidate.could_pay(wanted));
    let all_full = could().all(Candidate::is_full);
    could().map(|candidate| candidate.latency_ms).min().filter(|_| all_full)
}

impl Candidate {
    fn could_pay(&self, wanted: Wanted) -> bool {
        self.usable && self.outbound_msat >= wanted.amount_msat
    }

    fn is_full(&self) -> bool {
        self.in_flight >= self.slots
    }
}

/// Expected cost in millionths of the amount; less is better. Ties fall to the lower id.
fn score(candidate: &Candidate, need_msat: Msat) -> u64 {
    let failing = u64::from(1_000_000_u32.saturating_sub(candidate.success_ppm));
    // A payment that needs several parts fails more often than one that fits a channel.
    let split = if candidate.largest_channel_msat < need_msat { 100_000 } else { 0 };
    // The closer to empty, the likelier that the last part does not fit.
    let drained = match u128::from(candidate.outbound_msat.get()) {
        0 => 1_000_000,
        outbound => u128::from(need_msat.get()) * 200_000 / outbound,
    };
    let crowded = (u64::from(candidate.in_flight) * 300_000)
        .checked_div(u64::from(candidate.slots))
        .unwrap_or(0);
    let slow = u64::from(candidate.latency_ms.min(10_000)) * 5;
    let drained = u64::try_from(drained).unwrap_or(u64::MAX).min(1_000_000);
    failing + split + drained + crowded + slow + u64::from(candidate.cost_ppm)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn node(number: u128) -> Candidate {
        Candidate {
            node: NodeId::new(Uuid::from_u128(number)),
            usable: true,
            outbound_msat: Msat::new(1_000_000_000).unwrap(),
            largest_channel_msat: Msat::new(500_000_000).unwrap(),
            slots: 400,
            in_flight: 0,
            success_ppm: 950_000,
            cost_ppm: 500,
            latency_ms: 300,
        }
    }

    fn plan(candidates: &[Candidate]) -> Vec<u128> {
        let wanted = Wanted {
            amount_msat: Msat::new(1_000_000).unwrap(),
            fee_limit_msat: Msat::new(10_000).unwrap(),
        };
        choose(candidates, wanted).iter().map(|node| node.uuid().as_u128()).collect()
    }

    #[test]
    fn better_nodes_come_first() {
        let failing = Candidate { success_ppm: 500_000, ..node(1) };
        let dear = Candidate { cost_ppm: 3_000, ..node(2) };
        assert_eq!(plan(&[failing, dear, node(3)]), [3, 2, 1]);
    }

    #[test]
    fn what_cannot_pay_is_left_out() {
        let stopped = Candidate { usable: false, ..node(1) };
        let empty = Candidate { outbound_msat: Msat::new(999_999).unwrap(), ..node(2) };
        let full = Candidate { slots: 0, ..node(3) };
        assert_eq!(plan(&[stopped, empty, full]), [0_u128; 0]);
    }

    #[test]
    fn a_full_node_can_pay_a_moment_later_and_an_empty_one_cannot() {
        let wanted =
            Wanted { amount_msat: Msat::new(1_000_000).unwrap(), fee_limit_msat: Msat::ZERO };
        let crowded = Candidate { in_flight: 400, latency_ms: 700, ..node(1) };
        let quicker = Candidate { in_flight: 401, latency_ms: 200, ..node(2) };
        let stopped = Candidate { usable: false, ..node(3) };
        let empty = Candidate { outbound_msat: Msat::ZERO, ..node(4) };
        assert_eq!(full(&[crowded, quicker, stopped, empty], wanted), Some(200));
        assert_eq!(full(&[crowded, node(5)], wanted), None);
        assert_eq!(full(&[stopped, empty], wanted), None);
        assert_eq!(full(&[], wanted), None);
    }

    #[test]
    fn a_plan_is_short_and_the_same_every_time() {
        let many: Vec<_> = (0..50).rev().map(node).collect();
        assert_eq!(plan(&many), [0, 1, 2, 3, 4]);
    }
}
