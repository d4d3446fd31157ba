//! Which nodes and channels a network has.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use crate::model::{Chain, Msat, NodeOptions, Policy, Role};

#[derive(Clone, Debug)]
pub struct Config {
    /// Everything durable is in here.
    pub data: PathBuf,
    pub network: Chain,
    pub nodes: Vec<NodeSpec>,
    pub channels: Vec<ChannelSpec>,
    /// Port 0: chosen at the first start and kept.
    pub control_listen: SocketAddr,
    /// Makes identities that are the same each time a network is begun; `None`: random ones.
    pub seed: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Letters, digits and dashes; the node's folder is named so.
    pub name: String,
    pub options: NodeOptions,
    /// Port 0: chosen at the first start and kept.
    pub listen: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct ChannelSpec {
    pub ends: [ChannelEnd; 2],
    /// HTLCs that each end may have out at a time; 483 in the real world.
    pub slots: u32,
}

#[derive(Clone, Debug)]
pub struct ChannelEnd {
    pub node: String,
    pub balance: Msat,
    /// What this end takes for forwarding over the channel.
    pub policy: Policy,
}

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const REAL_SLOTS: u32 = 483;
const BIG: Msat = Msat::from_sat(500_000_000);
/// A million bitcoin: a channel that small payments do not exhaust, and sums that still fit
/// everywhere.
const HUGE: Msat = Msat::from_sat(1_000_000 * 100_000_000);
const USUAL_PRICE: Policy = Policy { base: Msat::from_sat(1), ppm: 100 };

impl NodeSpec {
    pub fn new(name: &str, role: Role) -> NodeSpec {
        let outside = role == Role::Outside;
        NodeSpec {
            name: name.to_owned(),
            options: NodeOptions { role, latency_ms: 0, accepts_keysend: outside, careless: false },
            listen: LOOPBACK,
        }
    }

    /// Settles every HTLC for an invoice that it has, however often it was paid already.
    pub fn careless(mut self) -> NodeSpec {
        self.options.careless = true;
        self
    }
}

impl ChannelSpec {
    /// A big channel with half of it on each side.
    pub fn between(first: &str, second: &str) -> ChannelSpec {
        let end =
            |name: &str| ChannelEnd { node: name.to_owned(), balance: BIG, policy: USUAL_PRICE };
        ChannelSpec { ends: [end(first), end(second)], slots: REAL_SLOTS }
    }
}

impl Config {
    /// Two pool nodes, a customer's node, and the world outside: alice, bob and a hub.
    ///
    /// `pool-1` reaches alice without a fee and bob only for one; `pool-2` the other way round;
    /// the customer
    /// pays for both. Bob settles whatever comes, so a hash paid twice is paid twice indeed.
    pub fn demo(data: impl Into<PathBuf>) -> Config {
        Config {
            data: data.into(),
            network: Chain::Regtest,
            nodes: vec![
                NodeSpec::new("pool-1", Role::Pool),
                NodeSpec::new("pool-2", Role::Pool),
                NodeSpec::new("customer", Role::Customer),
                NodeSpec::new("alice", Role::Outside),
                NodeSpec::new("bob", Role::Outside).careless(),
                NodeSpec::new("hub", Role::Outside),
            ],
            channels: [
                ("pool-1", "alice"),
                ("pool-1", "hub"),
                ("pool-2", "bob"),
                ("pool-2", "hub"),
                ("customer", "hub"),
                ("hub", "alice"),
                ("hub", "bob"),
                ("alice", "bob"),
            ]
            .map(|(first, second)| ChannelSpec::between(first, second))
            .into(),
            control_listen: LOOPBACK,
            seed: None,
        }
    }

    /// Channels that millions of small payments, thousands at a time, do not exhaust.
    pub fn huge_liquidity(mut self) -> Config {
        for channel in &mut self.channels {
            channel.slots = u32::MAX;
            for end in &mut channel.ends {
                end.balance = HUGE;
            }
        }
        self
    }

    /// The same latency for every node.
    pub fn latency_ms(mut self, latency_ms: u64) -> Config {
        for node in &mut self.nodes {
            node.options.latency_ms = latency_ms;
        }
        self
    }

    pub fn seeded(mut self, seed: u64) -> Config {
        self.seed = Some(seed);
        self
    }
}
