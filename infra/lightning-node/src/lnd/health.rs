//! Who the node is, what it can carry, whether it is ready, and what its clock says.

use domain::{Msat, Network, Timestamp};
use ports::lightning::{NodeError, NodeStatus};
use tonic_lnd::lnrpc::{
    Channel, GetInfoRequest, GetInfoResponse, GetStateRequest, ListChannelsRequest, WalletState,
};

use super::{
    Wire, public_key,
    status::{Told, node_error, told},
};

pub(super) async fn info(wire: &Wire) -> Result<GetInfoResponse, NodeError> {
    let mut lightning = wire.lightning();
    let answer = wire.answer(lightning.get_info(wire.request(GetInfoRequest {}))).await;
    answer.map_err(|status| node_error(&status))
}

/// Asks with a permission of the same instant. lnd looks at it before anything else.
pub(super) async fn has_lapsed(wire: &Wire, until: Timestamp) -> Result<bool, NodeError> {
    let mut lightning = wire.lightning();
    let asked = lightning.get_info(wire.question_until(GetInfoRequest {}, until));
    match wire.answer(asked).await {
        Ok(_) => Ok(false),
        Err(status) if told(&status) == Told::Lapsed => Ok(true),
        Err(status) => Err(node_error(&status)),
    }
}

pub(super) async fn status(wire: &Wire) -> Result<NodeStatus, NodeError> {
    let (mut state, mut lightning) = (wire.state(), wire.lightning());
    let (state, info, channels) = tokio::join!(
        wire.answer(state.get_state(GetStateRequest {})),
        info(wire),
        wire.answer(lightning.list_channels(wire.request(ListChannelsRequest::default()))),
    );
    let info = info?;
    let state = state.map_err(|status| node_error(&status))?.state;
    let channels = channels.map_err(|status| node_error(&status))?.channels;
    let identity = public_key(&info.identity_pubkey)
        .ok_or_else(|| NodeError::Refused("its identity cannot be read".to_owned()))?;
    // Before it is active, lnd takes payments and fails them.
    let active = WalletState::try_from(state) == Ok(WalletState::ServerActive);
    let liquidity = Liquidity::of(&channels);
    Ok(NodeStatus {
        identity,
        network: Network::from_name(network(&info)),
        serving: active && info.synced_to_chain,
        outbound_msat: liquidity.outbound_msat,
        largest_channel_msat: liquidity.largest_channel_msat,
        inbound_msat: liquidity.inbound_msat,
        slots: liquidity.slots,
        pending_htlcs: liquidity.pending_htlcs,
        version: info.version,
    })
}

/// In lnd's words; empty if it names none, or several.
pub(crate) fn network(info: &GetInfoResponse) -> &str {
    match info.chains.as_slice() {
        [chain] => &chain.network,
        _ => "",
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Liquidity {
    outbound_msat: Msat,
    largest_channel_msat: Msat,
    inbound_msat: Msat,
    slots: u32,
    pending_htlcs: u32,
}

/// Kept below the sum of several channels: at the edge a payment hangs for two minutes.
const EDGE_PPM: u32 = 10_000;
const EDGE_SAT: u64 = 50_000;

impl Liquidity {
    fn of(channels: &[Channel]) -> Liquidity {
        let mut all = Liquidity::default();
        let mut active = 0_u32;
        for channel in channels {
            all.pending_htlcs =
                all.pending_htlcs.saturating_add(count(channel.pending_htlcs.len()));
            if !channel.active {
                continue;
            }
            let (out, back) = (sendable(channel), receivable(channel));
            active += 1;
            all.slots = all.slots.saturating_add(slots(channel));
            all.outbound_msat = sum(all.outbound_msat, out);
            all.inbound_msat = sum(all.inbound_msat, back);
            all.largest_channel_msat = all.largest_channel_msat.max(out);
        }
        if active > 1 {
            let edge = Msat::from_sat(EDGE_SAT).unwrap_or_default();
            let edge = all.outbound_msat.per_million_ceil(EDGE_PPM).max(edge);
            // What one channel alone carries is not at the edge of several.
            let rest = all.outbound_msat.saturating_sub(edge);
            all.outbound_msat = rest.max(all.largest_channel_msat);
        }
        all
    }
}

fn sum(left: Msat, right: Msat) -> Msat {
    left.checked_add(right).unwrap_or(Msat::SUPPLY)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn sendable(channel: &Channel) -> Msat {
    let reserve = channel.local_constraints.as_ref().map_or(0, |it| it.chan_reserve_sat);
    let fee = if channel.initiator { commitment_fee_sat(channel) } else { 0 };
    left_of(channel.local_balance, reserve, fee)
}

fn receivable(channel: &Channel) -> Msat {
    let reserve = channel.remote_constraints.as_ref().map_or(0, |it| it.chan_reserve_sat);
    let fee = if channel.initiator { 0 } else { commitment_fee_sat(channel) };
    left_of(channel.remote_balance, reserve, fee)
}

/// Each end has a bound; below the lower one nobody refuses.
fn slots(channel: &Channel) -> u32 {
    let bounds = [&channel.local_constraints, &channel.remote_constraints];
    let bounds = bounds.into_iter().flatten().map(|bound| bound.max_accepted_htlcs);
    bounds.min().unwrap_or(0)
}

fn left_of(balance_sat: i64, reserve_sat: u64, fee_sat: u64) -> Msat {
    let balance = u64::try_from(balance_sat).unwrap_or(0);
    let left = balance.saturating_sub(reserve_sat).saturating_sub(fee_sat);
    Msat::from_sat(left).unwrap_or(Msat::SUPPLY)
}

/// What the opener must keep for the fee of the commitment, with one HTLC more than there are now
/// (`lightning.md` 1.9).
fn commitment_fee_sat(channel: &Channel) -> u64 {
    const COMMITMENT: u64 = 1_124;
    const HTLC: u64 = 172;
    const ONE_MORE: u64 = 688;
    let htlcs = u64::from(count(channel.pending_htlcs.len()));
    let weight = COMMITMENT + HTLC.saturating_mul(htlcs) + ONE_MORE;
    u64::try_from(channel.fee_per_kw).unwrap_or(0).saturating_mul(weight).div_ceil(1_000)
}

#[cfg(test)]
mod tests;
