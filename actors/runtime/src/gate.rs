//! A lane's gate, behind the door: of what customers begin, only so much is under way at once. The others
//! wait here, in turn by organisation, with nothing looked up for them yet.
//!
//! A few hundred keep a lane busy. Thousands under way at the same time are no quicker: each waits in every
//! line on its way, and what it needs has left the processor's caches when its turn comes. With 4,096 callers
//! that waited for their answers a payment cost a fifth more CPU than with 512; as many are in flight at
//! `load 110 %` of `make bench CURVES=1`.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::OrgId;
use tokio::sync::oneshot;

use crate::{fair_queue::FairQueue, limits};

#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Inside>);

/// Somebody waits only while every place is taken.
#[derive(Debug, Default)]
struct Inside {
    taken: usize,
    /// Of each organisation; none has zero.
    by_org: HashMap<OrgId, usize>,
    waiting: FairQueue<oneshot::Sender<Pass>>,
}

/// One that is inside, until it is dropped: then the next may go in.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    org: OrgId,
}

/// Comes with a pass.
pub(crate) type Call = oneshot::Receiver<Pass>;

impl Gate {
    /// A pass at once, or a call to wait for.
    pub(crate) fn enter(self: &Arc<Self>, org: OrgId) -> Result<Pass, Call> {
        let mut inside = self.lock();
        if inside.has_room_for(org) {
            inside.take(org);
            return Ok(self.pass(org));
        }
        let (caller, call) = oneshot::channel();
        inside.waiting.push(org, caller);
        Err(call)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn leave(self: &Arc<Self>, org: OrgId) {
        let next = {
            let mut inside = self.lock();
            inside.give_back(org);
            inside.next(org)
        };
        // Whoever has just stopped waiting drops its pass, which lets in the next.
        let _ = next.map(|(org, caller)| caller.send(self.pass(org)));
    }

    fn pass(self: &Arc<Self>, org: OrgId) -> Pass {
        Pass { gate: self.clone(), org }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// An organisation that comes while it has less than its share inside, and nothing waiting, does not wait
    /// behind those who have more. So more than the bound are inside while many organisations come.
    fn has_room_for(&self, org: OrgId) -> bool {
        !self.is_full() || (self.is_below_its_share(org) && !self.waiting.has(org))
    }

    fn is_full(&self) -> bool {
        self.taken >= limits::INSIDE_MAX
    }

    /// Whether it has fewer inside than if all who have any there had the same number.
    fn is_below_its_share(&self, org: OrgId) -> bool {
        let own = self.by_org.get(&org).copied().unwrap_or(0);
        let orgs = self.by_org.len() + usize::from(own == 0);
        own < limits::INSIDE_MAX / orgs
    }

    fn take(&mut self, org: OrgId) {
        self.taken += 1;
        *self.by_org.entry(org).or_default() += 1;
    }

    fn give_back(&mut self, org: OrgId) {
        self.taken -= 1;
        if let Some(own) = self.by_org.get_mut(&org) {
            *own -= 1;
            if *own == 0 {
                self.by_org.remove(&org);
            }
        }
    }

    /// Takes a place for the next who still waits. While more than the bound are inside there is none but for
    /// the organisation that one has left, if it has less than its share now: it would lose all of them before
    /// the others have lost what is too much.
    fn next(&mut self, left: OrgId) -> Option<(OrgId, oneshot::Sender<Pass>)> {
        let (is_full, may_replace) = (self.is_full(), self.is_below_its_share(left));
        let waiting = &mut self.waiting;
        let mut calls = std::iter::from_fn(|| match (is_full, may_replace) {
            (false, _) => waiting.pop(),
            (true, true) => Some((left, waiting.pop_of(left)?)),
            (true, false) => None,
        });
        let next = calls.find(|(_, caller)| !caller.is_closed())?;
        self.take(next.0);
        Some(next)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.gate.leave(self.org);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn org(number: u128) -> OrgId {
        OrgId::new(Uuid::from_u128(number))
    }

    /// As many as there are places, of one organisation.
    fn crowded() -> (Arc<Gate>, Vec<Pass>) {
        let gate = Arc::<Gate>::default();
        let inside = (0..limits::INSIDE_MAX).map(|_| gate.enter(org(1)).unwrap()).collect();
        (gate, inside)
    }

    fn half_of_them(gate: &Arc<Gate>, number: u128) -> Vec<Pass> {
        (0..limits::INSIDE_MAX / 2).map(|_| gate.enter(org(number)).unwrap()).collect()
    }

    fn has_come(call: &mut Call) -> bool {
        call.try_recv().is_ok_and(|pass| {
            std::mem::forget(pass);
            true
        })
    }

    #[test]
    fn one_leaves_and_one_comes_in_by_turns() {
        let (gate, mut inside) = crowded();
        let mut calls: Vec<Call> =
            [1, 1, 1].into_iter().map(|number| gate.enter(org(number)).unwrap_err()).collect();
        assert_eq!(gate.waiting(), 3);
        inside.pop();
        assert!(has_come(&mut calls[0]) && !has_come(&mut calls[1]));
        // Another organisation's is next, however many wait before it.
        let others = half_of_them(&gate, 2);
        let mut other = gate.enter(org(2)).unwrap_err();
        inside.truncate(inside.len() - others.len());
        assert!(!has_come(&mut calls[1]) && !has_come(&mut other));
        inside.truncate(inside.len() - 2);
        assert!(has_come(&mut calls[1]) && has_come(&mut other) && !has_come(&mut calls[2]));
    }

    #[test]
    fn who_has_less_than_its_share_goes_in_at_once() {
        let (gate, _inside) = crowded();
        let _share = half_of_them(&gate, 2);
        assert!(gate.enter(org(2)).is_err() && gate.enter(org(1)).is_err());
        assert!(gate.enter(org(3)).is_ok());
    }

    /// What is too much inside is of those who have more than their share, and nobody else waits for its end.
    #[test]
    fn who_has_its_share_keeps_it_while_too_many_are_inside() {
        let (gate, _inside) = crowded();
        let mut share = half_of_them(&gate, 2);
        let mut own = gate.enter(org(2)).unwrap_err();
        let mut other = gate.enter(org(1)).unwrap_err();
        share.pop();
        assert!(has_come(&mut own) && !has_come(&mut other));
    }

    #[test]
    fn whoever_stops_waiting_is_passed_over_and_loses_no_place() {
        let (gate, mut inside) = crowded();
        let gone: Vec<_> = (0..10_000).map(|_| gate.enter(org(1)).unwrap_err()).collect();
        let mut last = gate.enter(org(1)).unwrap_err();
        drop(gone);
        inside.pop();
        assert!(has_come(&mut last));
        // It had been given its place already.
        let given = gate.enter(org(1)).unwrap_err();
        inside.pop();
        drop(given);
        assert!(gate.enter(org(1)).is_ok());
    }

    #[test]
    fn nobody_inside_is_nobody_counted() {
        let (gate, inside) = crowded();
        drop(inside);
        let inside = gate.lock();
        assert!(inside.taken == 0 && inside.by_org.is_empty() && inside.waiting.is_empty());
    }
}
