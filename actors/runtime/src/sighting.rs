//! What nodes have shown of our payments, so that none of them can lose one unnoticed (rule 24).
//!
//! A node that has shown a payment and then does not find it was restored, and may have made it: the
//! payment is neither sent again nor failed. Memory knows every payment that was shown and has not
//! ended. The store gets to know a moment later, in one small transaction for all nodes and never in
//! that of a payment: the newest of each node, as a copy of a node that is put back ends before it, and
//! those that are still open by then. Of many that are open only some are written at once: what was shown
//! after them is on record, and a copy that lacks them lacks that too. So a payment can go unnoticed only
//! if platform and node are both lost within that moment, and the copy has all that was written before.
//!
//! ```text
//!   shown ──a write, still open──▶ lasting ──a write──▶ on record ──proof of the end──▶ forgotten, or a witness
//!                                                          │
//!                                                          └──its node was restored, a person has looked──▶ Excused
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{NodeId, OrgId};
use ports::guard::Sighting;
use tokio::time::sleep;

use crate::{house::House, limits};

/// What is held against a node that has shown a payment which has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// The node must have it.
    Due,
    /// The node may have lost it, which a person has taken as it is: nothing is proven of it.
    Excused,
}

#[derive(Default)]
pub(crate) struct Sightings {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    open: HashMap<Sighting, Shown>,
    /// Shown since the last write, in this order: most end before the next.
    just: Vec<Sighting>,
    /// Open at a write and not on record then, in the order in which they were shown.
    lasting: Vec<Sighting>,
    /// The newest of each node since the last write.
    newest: BTreeMap<NodeId, Sighting>,
    /// What was the newest at a write, open or not.
    witnesses: BTreeMap<NodeId, VecDeque<Sighting>>,
    /// On record, as far as this process knows.
    stored: BTreeSet<Sighting>,
}

impl Known {
    /// A person has taken it as it is, maybe in another process, or its attempt has failed.
    fn is_no_witness(&mut self, sighting: &Sighting) {
        if let Some(witnesses) = self.witnesses.get_mut(&sighting.node) {
            witnesses.retain(|witness| witness != sighting);
        }
        if self.newest.get(&sighting.node) == Some(sighting) {
            self.newest.remove(&sighting.node);
        }
    }
}

/// What the store has to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    added: Vec<Sighting>,
    dropped: Vec<Sighting>,
}

impl Sightings {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node has a record of the payment, which has not failed there.
    pub(crate) fn shown(&self, sighting: Sighting) {
        let known = &mut *self.lock();
        if let Entry::Vacant(new) = known.open.entry(sighting) {
            new.insert(Shown::Due);
            known.just.push(sighting);
            known.newest.insert(sighting.node, sighting);
        }
    }

    /// There is proof of how the attempt ended.
    pub(crate) fn ended(&self, sighting: &Sighting) {
        self.lock().open.remove(sighting);
    }

    pub(crate) fn of(&self, sighting: &Sighting) -> Option<Shown> {
        self.lock().open.get(sighting).copied()
    }

    /// What the node must have still.
    pub(crate) fn due_from(&self, node: NodeId) -> BTreeSet<Sighting> {
        let known = self.lock();
        let held = |(sighting, shown): (&Sighting, &Shown)| {
            (sighting.node == node && *shown != Shown::Excused).then_some(*sighting)
        };
        let witnesses = known.witnesses.get(&node).into_iter().flatten();
        let last = witnesses.chain(known.newest.get(&node)).copied();
        known.open.iter().filter_map(held).chain(last).collect()
    }

    /// Takes in what an earlier life has put on record of a payment that is open still.
    pub(crate) fn recall_open(&self, sighting: Sighting, excused: bool) {
        let known = &mut *self.lock();
        known.stored.insert(sighting);
        let shown = if excused { Shown::Excused } else { Shown::Due };
        known.open.insert(sighting, shown);
        if excused {
            known.is_no_witness(&sighting);
        }
    }

    /// Another process keeps the records of these organisations' payments. What is on record stays.
    pub(crate) fn forget(&self, orgs: impl Fn(OrgId) -> bool) {
        let known = &mut *self.lock();
        known.open.retain(|sighting, _| !orgs(sighting.org));
        known.stored.retain(|sighting| !orgs(sighting.org));
    }

    /// As `recall_open`, of a payment that was made.
    pub(crate) fn recall_paid(&self, sighting: Sighting) {
        let known = &mut *self.lock();
        known.stored.insert(sighting);
        let witnesses = known.witnesses.entry(sighting.node).or_default();
        if !witnesses.contains(&sighting) {
            witnesses.push_front(sighting);
            witnesses.truncate(limits::WITNESSES_MAX);
        }
    }

    /// As `recall_open`, of one that says nothing any more: the next write drops it.
    pub(crate) fn recall_ended(&self, sighting: Sighting) {
        let known = &mut *self.lock();
        known.stored.insert(sighting);
        known.is_no_witness(&sighting);
    }

    /// A person has taken the node as it is.
    pub(crate) fn excuse(&self, node: NodeId, also: &[Sighting]) {
        let known = &mut *self.lock();
        known.stored.extend(also);
        known.open.extend(also.iter().map(|sighting| (*sighting, Shown::Excused)));
        let of_node = known.open.iter_mut().filter(|(sighting, _)| sighting.node == node);
        of_node.for_each(|(_, shown)| *shown = Shown::Excused);
        known.witnesses.remove(&node);
        known.newest.remove(&node);
    }

    /// What the next write changes, if anything.
    fn due(&self) -> Option<Change> {
        let known = &mut *self.lock();
        for (node, newest) in std::mem::take(&mut known.newest) {
            let witnesses = known.witnesses.entry(node).or_default();
            witnesses.push_back(newest);
            if witnesses.len() > limits::WITNESSES_MAX {
                witnesses.pop_front();
            }
        }
        let witnesses: BTreeSet<_> = known.witnesses.values().flatten().copied().collect();
        let (open, stored) = (&known.open, &known.stored);
        known.lasting.retain(|it| open.contains_key(it) && !stored.contains(it));
        let lasting = ends(&known.lasting, limits::LASTING_WRITTEN_AT_ONCE);
        let new = |sighting: &&Sighting| !stored.contains(sighting);
        let added: BTreeSet<_> = lasting.chain(&witnesses).filter(new).copied().collect();
        let over = |sighting: &&Sighting| {
            !known.open.contains_key(sighting) && !witnesses.contains(sighting)
        };
        let dropped: Vec<_> = known.stored.iter().filter(over).copied().collect();
        known.lasting.append(&mut known.just);
        let change = Change { added: added.into_iter().collect(), dropped };
        (change != Change::default()).then_some(change)
    }

    fn written(&self, change: &Change) {
        let known = &mut *self.lock();
        known.stored.extend(&change.added);
        change.dropped.iter().for_each(|sighting| _ = known.stored.remove(sighting));
    }
}

/// Half of them from either end, or all: what has lasted the longest, and what nothing newer stands for yet.
fn ends<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let (oldest, rest) = all.split_at(all.len().min(most / 2));
    oldest.iter().chain(&rest[rest.len().saturating_sub(most - most / 2)..])
}

/// Puts on record what was shown, for as long as the house is open. Writing the same twice does no harm.
pub(crate) async fn keep(house: Arc<House>) {
    while !house.is_closed() {
        sleep(limits::SIGHTINGS_EVERY).await;
        let Some(change) = house.sightings.due() else { continue };
        let guard = &house.sockets.guard;
        match guard.change_sightings(&change.added, &change.dropped).await {
            Ok(()) => house.sightings.written(&change),
            Err(error) => tracing::warn!(%error, "what nodes have shown will be written again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{PaymentHash, PaymentId};
    use uuid::Uuid;

    use super::*;

    fn sighting(number: u8) -> Sighting {
        let node = NodeId::new(Uuid::nil());
        let (org, payment) = (OrgId::new(Uuid::nil()), Uuid::from_u128(number.into()));
        Sighting { node, org, payment: PaymentId::new(payment), hash: PaymentHash([number; 32]) }
    }

    /// What the next write adds and drops, by number.
    fn write(sightings: &Sightings) -> (Vec<u8>, Vec<u8>) {
        let change = sightings.due().unwrap_or_default();
        sightings.written(&change);
        let numbers = |of: &[Sighting]| of.iter().map(|sighting| sighting.hash.0[0]).collect();
        (numbers(&change.added), numbers(&change.dropped))
    }

    #[test]
    fn what_lasts_is_written_and_the_newest() {
        let sightings = Sightings::default();
        (1..=4).for_each(|number| sightings.shown(sighting(number)));
        sightings.ended(&sighting(1));
        assert_eq!(write(&sightings), (vec![4], vec![]));
        sightings.ended(&sighting(2));
        sightings.shown(sighting(3));
        assert_eq!(write(&sightings), (vec![3], vec![]));
        assert_eq!(sightings.due(), None);
        sightings.ended(&sighting(3));
        sightings.ended(&sighting(4));
        assert_eq!(write(&sightings), (vec![], vec![3]));
        assert_eq!(sightings.due_from(sighting(4).node), BTreeSet::from([sighting(4)]));
    }

    #[test]
    fn the_newest_is_due_before_it_is_written() {
        let sightings = Sightings::default();
        (1..=2).for_each(|number| sightings.shown(sighting(number)));
        (1..=2).for_each(|number| sightings.ended(&sighting(number)));
        assert_eq!(sightings.due_from(sighting(2).node), BTreeSet::from([sighting(2)]));
        sightings.excuse(sighting(2).node, &[]);
        assert_eq!(sightings.due_from(sighting(2).node), BTreeSet::new());
    }

    #[test]
    fn of_many_that_last_a_write_takes_some_from_either_end() {
        let sightings = Sightings::default();
        let half = u8::try_from(limits::LASTING_WRITTEN_AT_ONCE / 2).unwrap();
        let all = 3 * half;
        (1..=all).for_each(|number| sightings.shown(sighting(number)));
        assert_eq!(write(&sightings), (vec![all], vec![]));
        // The newest is on record already.
        let both: Vec<u8> = (1..=half).chain(all - half..all).collect();
        assert_eq!(write(&sightings), (both, vec![]));
        let middle: Vec<u8> = (half + 1..all - half).collect();
        assert_eq!(write(&sightings), (middle, vec![]));
        assert_eq!(sightings.due(), None);
    }

    #[test]
    fn a_write_that_failed_is_repeated() {
        let sightings = Sightings::default();
        sightings.shown(sighting(1));
        let first = sightings.due();
        assert_eq!(sightings.due(), first);
        assert_eq!(write(&sightings), (vec![1], vec![]));
    }

    #[test]
    fn witnesses_are_few() {
        let sightings = Sightings::default();
        let most = u8::try_from(limits::WITNESSES_MAX).unwrap();
        for number in 1..=most + 2 {
            sightings.shown(sighting(number));
            sightings.ended(&sighting(number));
            let dropped = number.checked_sub(most).filter(|over| *over > 0);
            assert_eq!(write(&sightings), (vec![number], dropped.into_iter().collect()));
        }
        let witnesses: BTreeSet<_> = (3..=most + 2).map(sighting).collect();
        assert_eq!(sightings.due_from(sighting(1).node), witnesses);
    }

    #[test]
    fn what_another_process_has_excused_is_not_due() {
        let sightings = Sightings::default();
        (1..=3).for_each(|number| {
            sightings.shown(sighting(number));
            write(&sightings);
        });
        sightings.shown(sighting(4));
        sightings.ended(&sighting(1));
        sightings.ended(&sighting(4));
        let due = |numbers: &[u8]| numbers.iter().map(|number| sighting(*number)).collect();
        assert_eq!(sightings.due_from(sighting(1).node), due(&[1, 2, 3, 4]));
        sightings.recall_ended(sighting(1));
        sightings.recall_open(sighting(2), true);
        sightings.recall_open(sighting(3), false);
        sightings.recall_ended(sighting(4));
        assert_eq!(sightings.due_from(sighting(1).node), due(&[3]));
    }

    #[test]
    fn what_is_excused_is_not_due_and_stays_known() {
        let sightings = Sightings::default();
        sightings.shown(sighting(1));
        assert_eq!(write(&sightings), (vec![1], vec![]));
        sightings.excuse(sighting(1).node, &[sighting(2)]);
        assert_eq!(sightings.due_from(sighting(1).node), BTreeSet::new());
        sightings.shown(sighting(2));
        assert_eq!(sightings.of(&sighting(1)), Some(Shown::Excused));
        assert_eq!(sightings.of(&sighting(2)), Some(Shown::Excused));
        assert_eq!(sightings.of(&sighting(3)), None);
        assert_eq!(write(&sightings), (vec![], vec![]));
    }
}
