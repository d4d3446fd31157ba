//! Rules broken on purpose, so that the simulation can be seen to notice (`tests/sim`).
//!
//! Only the feature `broken`, which nothing but that suite asks for, has a switch; without it the answer
//! is a constant, and what hangs on it is not compiled.

/// Whatever must be noticed when it does not hold. Numbers are those of `money-safety`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// 1: the largest routing fee is held beside the amount.
    FeeIsHeld,
    /// 3: every limit is checked in the decision that consumes it.
    EveryLimitIsChecked,
    /// 7: a limit may be lowered below use.
    LimitMayBeLowered,
    /// 9: a look-up that finds nothing is no failure while an old request may travel.
    NotFoundIsNoFailure,
    /// 11: one payment for a hash.
    OnePaymentForAHash,
    /// 12: the intent is durable before the call.
    IntentIsDurable,
    /// 13: FAILED counts only for the one request, or once every permission has lapsed.
    FailedIsOfThisRequest,
    /// 16: success needs the preimage and the amount.
    SuccessIsProven,
    /// 20: the node's truth wins over a claim.
    NodeWinsOverClaim,
    /// Whoever loaded last is the only writer.
    Epoch,
    /// A request carries the instant from which the node refuses it.
    Caveat,
    /// No answer before its commit.
    CommitBeforeAnswer,
}

#[cfg(feature = "broken")]
mod switch {
    use std::cell::Cell;

    use super::Rule;

    thread_local! {
        /// One run of the simulation is one thread.
        static BROKEN: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Breaks a rule on this thread, or mends them all.
    pub fn set(rule: Option<Rule>) {
        BROKEN.set(rule);
    }

    pub fn is(rule: Rule) -> bool {
        BROKEN.get() == Some(rule)
    }
}

#[cfg(not(feature = "broken"))]
mod switch {
    use super::Rule;

    pub const fn is(_: Rule) -> bool {
        false
    }
}

pub use switch::*;
