use tonic_lnd::lnrpc::{ChannelConstraints, Htlc};

use super::*;

fn keeps(chan_reserve_sat: u64) -> Option<ChannelConstraints> {
    Some(ChannelConstraints { chan_reserve_sat, max_accepted_htlcs: 483, ..Default::default() })
}

/// As opened by us: half of 1,000,000 sat on either side, a reserve of 1 %.
fn channel() -> Channel {
    Channel {
        active: true,
        initiator: true,
        local_balance: 500_000,
        remote_balance: 500_000,
        fee_per_kw: 2_500,
        local_constraints: keeps(10_000),
        remote_constraints: keeps(10_000),
        ..Default::default()
    }
}

fn sat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap()
}

#[test]
fn the_opener_keeps_reserve_and_fee() {
    // 2,500 × (1,124 + 688) / 1,000 = 4,530.
    assert_eq!(sendable(&channel()), sat(500_000 - 10_000 - 4_530));
    assert_eq!(receivable(&channel()), sat(490_000));
    let theirs = Channel { initiator: false, ..channel() };
    assert_eq!(sendable(&theirs), sat(490_000));
    assert_eq!(receivable(&theirs), sat(500_000 - 10_000 - 4_530));
    let busy = Channel { pending_htlcs: vec![Htlc::default(); 2], ..channel() };
    // 2,500 × (1,124 + 2 × 172 + 688) / 1,000 = 5,390.
    assert_eq!(sendable(&busy), sat(500_000 - 10_000 - 5_390));
}

#[test]
fn an_empty_channel_carries_nothing() {
    let empty = Channel { local_balance: 9_000, remote_balance: -1, ..channel() };
    assert_eq!(sendable(&empty), Msat::ZERO);
    assert_eq!(receivable(&empty), Msat::ZERO);
}

#[test]
fn only_active_channels_carry() {
    let asleep = Channel { active: false, pending_htlcs: vec![Htlc::default()], ..channel() };
    let all = Liquidity::of(&[channel(), asleep]);
    assert_eq!((all.slots, all.pending_htlcs), (483, 1));
    assert_eq!(all.outbound_msat, sendable(&channel()), "one alone goes to its edge");
    assert_eq!(all.largest_channel_msat, all.outbound_msat);
    assert_eq!(Liquidity::of(&[]), Liquidity::default());
}

#[test]
fn several_channels_stay_off_the_edge() {
    let one = sendable(&channel());
    let all = Liquidity::of(&[channel(), channel()]);
    assert_eq!(all.outbound_msat.get(), 2 * one.get() - 50_000_000);
    let tiny = Channel { local_balance: 15_000, ..channel() };
    let all = Liquidity::of(&[channel(), tiny]);
    assert_eq!(all.outbound_msat, one, "the largest alone carries what it carries");
}

#[test]
fn a_node_of_several_chains_is_of_none() {
    let info = |names: &[&str]| GetInfoResponse {
        chains: names
            .iter()
            .map(|&name| tonic_lnd::lnrpc::Chain { network: name.to_owned(), ..Default::default() })
            .collect(),
        ..Default::default()
    };
    assert_eq!(network(&info(&["regtest"])), "regtest");
    assert_eq!(network(&info(&[])), "");
    assert_eq!(network(&info(&["regtest", "mainnet"])), "");
}
