//! Rendezvous hashing: every pod computes the same order of the same pods for a shard or a node, and when
//! one comes or goes only what was or will be its own changes hands.
//!
//! Pods of different versions of this program must agree, so the arithmetic never changes.

use domain::NodeId;
use ports::placement::{Pod, Shard};

/// FNV-1a, 64 bits: the offset basis and the prime of its authors (isthe.com/chongo/tech/comp/fnv).
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn key(bytes: &[u8]) -> u64 {
    bytes.iter().fold(BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// Spreads similar inputs over all 64 bits: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn spread(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The pods, the one that should own the shard first.
pub(crate) fn of_shard(shard: Shard, pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    order(key(&shard.number().to_be_bytes()), pods)
}

/// The pods, the one that should follow the node first.
pub(crate) fn of_node(node: NodeId, pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    order(key(node.uuid().as_bytes()), pods)
}

/// By name, so that a pod gets its own back in its next life.
fn order(key: u64, pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    let mut ranked: Vec<(u64, &Pod)> = pods
        .iter()
        .map(|pod| (spread(key ^ spread(self::key(pod.name.as_bytes()))), pod))
        .collect();
    ranked.sort_by(|(a, left), (b, right)| b.cmp(a).then_with(|| left.name.cmp(&right.name)));
    ranked.into_iter().map(|(_, pod)| pod)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::SessionId;
    use uuid::Uuid;

    use super::*;

    fn pods(names: &[&str]) -> Vec<Pod> {
        let pod = |name: &&str| Pod {
            session: SessionId::new(Uuid::from_u128(u128::from(key(name.as_bytes())))),
            name: (*name).to_owned(),
            address: String::new(),
        };
        names.iter().map(pod).collect()
    }

    fn wishes(pods: &[Pod]) -> BTreeMap<u16, String> {
        let first =
            |shard: Shard| (shard.number(), of_shard(shard, pods).next().unwrap().name.clone());
        Shard::all().map(first).collect()
    }

    #[test]
    fn shards_are_spread_evenly() {
        let pods = pods(&["engine-0", "engine-1", "engine-2", "engine-3"]);
        let mut shares = BTreeMap::<String, usize>::new();
        wishes(&pods).into_values().for_each(|name| *shares.entry(name).or_default() += 1);
        assert!(shares.values().all(|share| (900..1_150).contains(share)), "{shares:?}");
    }

    #[test]
    fn only_what_was_its_own_moves_when_a_pod_goes() {
        let four = wishes(&pods(&["engine-0", "engine-1", "engine-2", "engine-3"]));
        let three = wishes(&pods(&["engine-0", "engine-1", "engine-3"]));
        for (shard, name) in four {
            assert!(name == "engine-2" || three[&shard] == name, "shard {shard} moved");
        }
    }

    /// Two versions of the program that disagree would hand shards to and fro for ever.
    #[test]
    fn the_order_is_the_same_in_every_version() {
        let pods = pods(&["engine-0", "engine-1", "engine-2"]);
        let first: String = (0..12_u16)
            .map(|number| of_shard(Shard::new(number).unwrap(), &pods).next().unwrap().name.clone())
            .map(|name| name.trim_start_matches("engine-").to_owned())
            .collect();
        assert_eq!(first, "012010010212");
    }
}
