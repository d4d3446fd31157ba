//! The freeze of every outgoing send as this process knows it: from its record, which other processes change
//! too, and from what was found here, which may not be on record yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
pub(crate) struct Freeze(Mutex<State>);

#[derive(Debug)]
struct State {
    why: Option<String>,
    /// How often something was found here.
    found: u64,
    /// Something was found here that may not be on record.
    is_unrecorded: bool,
}

impl Freeze {
    /// As it is on record.
    pub(crate) fn new(why: Option<String>) -> Freeze {
        Freeze(Mutex::new(State { why, found: 0, is_unrecorded: false }))
    }

    pub(crate) fn why(&self) -> Option<String> {
        self.lock().why.clone()
    }

    /// What was found until now: see [`Freeze::ends`].
    pub(crate) fn found(&self) -> u64 {
        self.lock().found
    }

    /// It is on record for this reason, whatever has been found here.
    pub(crate) fn is_on_record(&self, why: String) {
        self.lock().why = Some(why);
    }

    /// Something was found here, and is to be put on record.
    pub(crate) fn begins(&self, why: String) {
        let mut state = self.lock();
        *state = State { why: Some(why), found: state.found + 1, is_unrecorded: true };
    }

    /// What is to be put on record, and up to which finding.
    pub(crate) fn unrecorded(&self) -> Option<(String, u64)> {
        let state = self.lock();
        let why = state.why.clone().filter(|_| state.is_unrecorded)?;
        Some((why, state.found))
    }

    pub(crate) fn recorded(&self, found: u64) {
        let mut state = self.lock();
        state.is_unrecorded &= state.found != found;
    }

    /// A person has let sends go on, knowing what was found until then. `false`: more was found since, and goes
    /// on record once more, as the freeze that was there meanwhile may have hidden it.
    pub(crate) fn ends(&self, found: u64) -> bool {
        let mut state = self.lock();
        state.is_unrecorded |= state.found != found;
        if !state.is_unrecorded {
            state.why = None;
        }
        !state.is_unrecorded
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frozen() -> (Freeze, u64) {
        let freeze = Freeze::new(None);
        freeze.begins("found here".to_owned());
        let found = freeze.found();
        freeze.recorded(found);
        (freeze, found)
    }

    #[test]
    fn it_is_put_on_record_and_ends() {
        let (freeze, found) = frozen();
        assert_eq!((freeze.unrecorded(), freeze.why().is_some()), (None, true));
        assert!(freeze.ends(found));
        assert_eq!(freeze.why(), None);
    }

    #[test]
    fn rule_24_what_is_found_after_the_look_that_ends_it_goes_on_record_again() {
        let (freeze, found) = frozen();
        freeze.begins("found later".to_owned());
        freeze.recorded(found + 1);
        assert!(!freeze.ends(found));
        assert_eq!(freeze.unrecorded(), Some(("found later".to_owned(), found + 1)));
    }

    #[test]
    fn rule_24_what_is_not_on_record_does_not_end_with_the_record() {
        let freeze = Freeze::new(Some("an older one".to_owned()));
        freeze.begins("found here".to_owned());
        assert!(!freeze.ends(freeze.found()));
        // A second finding while the first one is written.
        let (_, first) = freeze.unrecorded().unwrap();
        freeze.begins("found later".to_owned());
        freeze.recorded(first);
        assert!(freeze.unrecorded().is_some() && freeze.why().is_some());
    }
}
