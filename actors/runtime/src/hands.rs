//! Who has an organisation in hand, so that it is put to rest only while nobody does.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Far above any number of hands.
const RESTING: usize = usize::MAX / 2;

/// Of one load of one organisation.
#[derive(Debug, Default)]
pub(crate) struct Hands(AtomicUsize);

/// Held from the look-up of an organisation until it has answered.
#[derive(Debug)]
pub(crate) struct Hand(Arc<Hands>);

impl Hands {
    /// `None`: it is being put to rest, and has to be loaded again.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Hand> {
        let one_more = |hands| (hands < RESTING).then_some(hands + 1);
        let taken = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Hand(self.clone()))
    }

    /// From now on nobody takes it in hand. `false`: somebody has it.
    pub(crate) fn rest(&self) -> bool {
        self.0.compare_exchange(0, RESTING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(crate) fn is_resting(&self) -> bool {
        self.0.load(Ordering::Acquire) >= RESTING
    }
}

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_hand_is_not_put_to_rest() {
        let hands = Arc::new(Hands::default());
        let (one, other) = (hands.take().unwrap(), hands.take().unwrap());
        assert!(!hands.rest());
        drop(one);
        assert!(!hands.rest());
        drop(other);
        assert!(hands.rest() && hands.is_resting());
        assert!(hands.take().is_none());
    }
}
