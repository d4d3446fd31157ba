//! What waits for a lane, in turn by organisation: one that floods waits behind itself, not the others
//! behind it (`performance` §2, rule 7).

use std::collections::{HashMap, VecDeque};

use domain::OrgId;
use tokio::time::Instant;

use crate::limits;

/// Keeps the order within each organisation.
#[derive(Debug)]
pub(crate) struct FairQueue<T> {
    /// None of them is empty.
    waiting: HashMap<OrgId, VecDeque<T>>,
    /// Each that has something waiting, once.
    turns: VecDeque<OrgId>,
    len: usize,
    /// The last two who wanted less than a share, and when: for each there is one that is another.
    modest: VecDeque<(OrgId, Instant)>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> FairQueue<T> {
        FairQueue {
            waiting: HashMap::new(),
            turns: VecDeque::new(),
            len: 0,
            modest: VecDeque::new(),
        }
    }
}

impl<T> FairQueue<T> {
    pub(crate) fn push(&mut self, org: OrgId, item: T) {
        let own = self.waiting.entry(org).or_default();
        if own.is_empty() {
            self.turns.push_back(org);
        }
        own.push_back(item);
        self.len += 1;
    }

    /// Puts back what was taken, the last first.
    pub(crate) fn put_back(&mut self, org: OrgId, item: T) {
        let own = self.waiting.entry(org).or_default();
        if own.is_empty() {
            self.turns.push_front(org);
        }
        own.push_front(item);
        self.len += 1;
    }

    /// The next batch: one of each organisation in turn, up to `most`. Of none more than its `share` while
    /// others want less than that, or did a moment ago: they wait for the whole batch, and again for the one
    /// under way when they come. Where nobody wants little, short batches help nobody.
    pub(crate) fn draw(&mut self, most: usize, share: usize, now: Instant) -> Vec<(OrgId, T)> {
        let mut drawn = Vec::new();
        let mut taken = HashMap::<OrgId, usize>::new();
        while drawn.len() < most
            && let Some(org) = self.turns.front().copied()
        {
            let of_org = taken.entry(org).or_default();
            if *of_org == share && self.others_want_little(org, now) {
                break;
            }
            *of_org += 1;
            let is_little = *of_org < share;
            drawn.extend(self.pop());
            if is_little && !self.waiting.contains_key(&org) {
                self.wants_little(org, now);
            }
        }
        drawn
    }

    fn wants_little(&mut self, org: OrgId, now: Instant) {
        self.modest.retain(|(other, _)| *other != org);
        self.modest.push_front((org, now));
        self.modest.truncate(2);
    }

    fn others_want_little(&self, org: OrgId, now: Instant) -> bool {
        let lately = |at: Instant| now.saturating_duration_since(at) < limits::SHARED_FOR;
        self.modest.iter().any(|(other, at)| *other != org && lately(*at))
    }

    /// The next of the organisation whose turn it is.
    pub(crate) fn pop(&mut self) -> Option<(OrgId, T)> {
        let org = self.turns.pop_front()?;
        let item = self.first_of(org)?;
        if self.has(org) {
            self.turns.push_back(org);
        }
        Some((org, item))
    }

    /// The next of this organisation, whose turn it may not be: it keeps it.
    pub(crate) fn pop_of(&mut self, org: OrgId) -> Option<T> {
        let item = self.first_of(org)?;
        if !self.has(org) {
            self.turns.retain(|other| *other != org);
        }
        Some(item)
    }

    /// Leaves its turn, if it has one, to the caller.
    fn first_of(&mut self, org: OrgId) -> Option<T> {
        let own = self.waiting.get_mut(&org)?;
        let item = own.pop_front()?;
        self.len -= 1;
        if own.is_empty() {
            self.waiting.remove(&org);
        }
        Some(item)
    }

    /// Everything of one organisation, in order.
    pub(crate) fn take_out(&mut self, org: OrgId) -> VecDeque<T> {
        match self.waiting.remove(&org) {
            Some(own) => {
                self.turns.retain(|other| *other != org);
                self.len -= own.len();
                own
            }
            None => VecDeque::new(),
        }
    }

    pub(crate) fn has(&self, org: OrgId) -> bool {
        self.waiting.contains_key(&org)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Duration;
    use uuid::Uuid;

    use super::*;

    fn org(number: u128) -> OrgId {
        OrgId::new(Uuid::from_u128(number))
    }

    fn all(queue: &mut FairQueue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop().map(|(_, item)| item)).collect()
    }

    #[test]
    fn a_flood_waits_behind_itself() {
        let mut queue = FairQueue::default();
        (0..5).for_each(|item| queue.push(org(1), item));
        queue.push(org(2), 10);
        queue.push(org(3), 20);
        queue.push(org(2), 11);
        assert_eq!(all(&mut queue), [0, 10, 20, 1, 11, 2, 3, 4]);
        assert!(queue.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn a_flood_takes_no_more_than_its_share_while_others_want_little() {
        let (mut queue, now) = (FairQueue::default(), Instant::now());
        let draw = |queue: &mut FairQueue<u32>, after: Duration| {
            let drawn = queue.draw(100, 3, now + after);
            drawn.into_iter().map(|(_, item)| item).collect::<Vec<_>>()
        };
        (0..200).for_each(|item| queue.push(org(1), item));
        assert_eq!(draw(&mut queue, Duration::ZERO).len(), 100);
        queue.push(org(2), 1_000);
        assert_eq!(draw(&mut queue, Duration::ZERO), [100, 1_000, 101, 102]);
        // The other comes again, and its next must not find a whole batch under way.
        assert_eq!(draw(&mut queue, limits::SHARED_FOR / 2), [103, 104, 105]);
        assert_eq!(draw(&mut queue, limits::SHARED_FOR).len(), 94);
        // Both flood.
        (0..200).for_each(|item| queue.push(org(1 + u128::from(item % 2)), item));
        assert_eq!(draw(&mut queue, limits::SHARED_FOR).len(), 100);
    }

    #[test]
    fn what_is_put_back_keeps_its_order() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|item| queue.push(org(1), item));
        queue.push(org(2), 10);
        let taken: Vec<_> = (0..3).map_while(|_| queue.pop()).collect();
        taken.into_iter().rev().for_each(|(org, item)| queue.put_back(org, item));
        assert_eq!(all(&mut queue), [10, 0, 1, 2]);
    }

    #[test]
    fn one_organisation_can_come_before_its_turn() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|item| queue.push(org(1), item));
        queue.push(org(2), 10);
        queue.push(org(3), 20);
        assert_eq!((queue.pop_of(org(2)), queue.pop_of(org(2))), (Some(10), None));
        assert_eq!((queue.pop_of(org(1)), queue.len()), (Some(0), 3));
        assert_eq!(all(&mut queue), [1, 20, 2]);
    }

    #[test]
    fn one_organisation_can_be_taken_out() {
        let mut queue = FairQueue::default();
        (0..3).for_each(|item| queue.push(org(1), item));
        queue.push(org(2), 10);
        assert_eq!(queue.take_out(org(1)), [0, 1, 2]);
        assert!(!queue.has(org(1)) && queue.has(org(2)));
        assert_eq!(queue.take_out(org(1)), []);
        assert_eq!(queue.len(), 1);
        assert_eq!(all(&mut queue), [10]);
    }
}
