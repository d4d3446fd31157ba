//! The path search: cheapest route that the channels can carry right now.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    state::{Channel, Hop, Reason, Shard, State},
    value::{ChannelId, Msat, NodeId},
};

/// What is asked of the search.
pub(super) struct Errand<'a> {
    pub(super) payer: NodeId,
    pub(super) payee: NodeId,
    pub(super) amount: Msat,
    pub(super) fee_limit: Msat,
    pub(super) max_parts: u32,
    pub(super) max_shard: Option<Msat>,
    /// Empty: any channel may be the first. Ids that do not exist are there too, as `None`.
    pub(super) outgoing: &'a [Option<ChannelId>],
}

/// LND does not split below this.
const MIN_SHARD: Msat = Msat::from_sat(10_000);

/// The shards that together carry the amount, or LND's reason why there are none.
pub(super) fn find(state: &State, errand: &Errand<'_>) -> Result<Vec<Shard>, Reason> {
    let whole = errand.max_shard.is_none_or(|most| errand.amount <= most);
    if whole && let Some(route) = cheapest(state, &state.channels, errand, errand.amount) {
        let shard = Shard { amount: errand.amount, route };
        if shard.fee() <= errand.fee_limit {
            return Ok(vec![shard]);
        }
    }
    if errand.max_parts > 1
        && let Some(shards) = split(state, errand)
    {
        return Ok(shards);
    }
    let sendable = local(state, errand);
    Err(if sendable < errand.amount { Reason::InsufficientBalance } else { Reason::NoRoute })
}

/// Takes the largest part that fits, halving what does not, as LND does.
fn split(state: &State, errand: &Errand<'_>) -> Option<Vec<Shard>> {
    let mut channels = state.channels.clone();
    let mut shards = Vec::new();
    let mut left = errand.amount;
    let mut fee_left = errand.fee_limit;
    let mut size = errand.max_shard.map_or(left, |most| most.min(left));
    let parts = usize::try_from(errand.max_parts).unwrap_or(usize::MAX);
    while !left.is_zero() {
        if shards.len() == parts {
            return None;
        }
        size = size.min(left);
        let route = cheapest(state, &channels, errand, size);
        let shard = route.map(|route| Shard { amount: size, route });
        let Some(shard) = shard.filter(|shard| shard.fee() <= fee_left) else {
            size = Msat::new(size.get().div_ceil(2));
            if size < MIN_SHARD {
                return None;
            }
            continue;
        };
        for hop in &shard.route {
            let (end, _) = channels[hop.channel.index()].of_mut(hop.from);
            end.balance = end.balance.minus(hop.amount);
            end.slots_used += 1;
        }
        left = left.minus(size);
        fee_left = fee_left.minus(shard.fee());
        shards.push(shard);
    }
    Some(shards)
}

/// What the payer could send over the channels that it may use.
fn local(state: &State, errand: &Errand<'_>) -> Msat {
    let usable = |id: &&ChannelId| {
        let channel = &state.channels[id.index()];
        may_start(errand, **id) && channel.of(errand.payer).0.slots_used < channel.slots
    };
    state
        .node(errand.payer)
        .channels
        .iter()
        .filter(usable)
        .fold(Msat::ZERO, |sum, id| sum.plus(state.channels[id.index()].of(errand.payer).0.balance))
}

fn may_start(errand: &Errand<'_>, channel: ChannelId) -> bool {
    errand.outgoing.is_empty() || errand.outgoing.contains(&Some(channel))
}

/// Dijkstra from the payee backwards, by what each node must be sent so that the payee gets
/// `amount`.
fn cheapest(
    state: &State,
    channels: &[Channel],
    errand: &Errand<'_>,
    amount: Msat,
) -> Option<Vec<Hop>> {
    // For each node: what must arrive there, in how many hops, and by which hop it goes on.
    let mut best: Vec<Option<(Msat, u32, Option<Hop>)>> = vec![None; state.nodes.len()];
    let mut start: Option<(Msat, u32, Hop)> = None;
    let mut open = BinaryHeap::from([Reverse((amount, 0u32, errand.payee))]);
    best[errand.payee.index()] = Some((amount, 0, None));
    while let Some(Reverse((carried, hops, to))) = open.pop() {
        if start.as_ref().is_some_and(|(total, least, _)| (*total, *least) <= (carried, hops)) {
            break;
        }
        if best[to.index()].as_ref().is_some_and(|(m, h, _)| (*m, *h) < (carried, hops)) {
            continue;
        }
        for &id in &state.node(to).channels {
            let channel = &channels[id.index()];
            let (_, end) = channel.of(to);
            if end.balance < carried || end.slots_used >= channel.slots {
                continue;
            }
            let hop = Hop { channel: id, from: end.node, to, amount: carried };
            if end.node == errand.payer {
                let better = start.as_ref().is_none_or(|(m, h, _)| (carried, hops + 1) < (*m, *h));
                if better && may_start(errand, id) {
                    start = Some((carried, hops + 1, hop));
                }
            } else if !state.node(end.node).down {
                let needs = carried.plus(end.policy.fee(carried));
                let slot = &mut best[end.node.index()];
                if slot.as_ref().is_none_or(|(m, h, _)| (needs, hops + 1) < (*m, *h)) {
                    *slot = Some((needs, hops + 1, Some(hop)));
                    open.push(Reverse((needs, hops + 1, end.node)));
                }
            }
        }
    }
    let (_, _, first) = start?;
    let mut route = vec![first];
    let mut at = first.to;
    while let Some((_, _, Some(hop))) = best[at.index()] {
        route.push(hop);
        at = hop.to;
    }
    Some(route)
}
