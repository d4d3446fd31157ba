//! One request on its way to the owner of its organisation: what to do after each attempt that came to
//! nothing. Plain data; times are handed in.
//!
//! | the last attempt | with hops left | without |
//! |---|---|---|
//! | not the owner, another is named | ask that one now | pause |
//! | not the owner, nobody is named | pause | pause |
//! | certainly not taken, or not known to who was asked | pause | pause |
//! | perhaps taken: the connection broke, or its organisation was stopped | pause | pause |
//! | refused | give up: that is the answer | the same |
//!
//! After a pause whoever the map names is asked, with the same id. A request that was perhaps taken once
//! stays so: only an answer that would have been the same the first time is passed on.

use std::time::Duration;

use domain::{ErrorClass, SessionId};
use ports::orgs::OrgsError;
use tokio::time::Instant;

use crate::{failure::Failed, limits};

#[derive(Debug)]
pub(crate) struct Road {
    /// How long a crash takes until somebody else has taken over.
    patience: Duration,
    /// When the caller wants an answer.
    deadline: Instant,
    /// When the last attempt began.
    asked: Instant,
    /// When the first attempt failed since somebody had the request well in hand.
    trouble: Option<Instant>,
    hops: u8,
    pauses: u32,
    perhaps: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask this one at once.
    Hop(SessionId),
    /// Ask the owner then.
    Pause(Duration),
    GiveUp(OrgsError),
}

impl Road {
    pub(crate) fn new(now: Instant, within: Duration, patience: Duration) -> Road {
        let deadline = now + within;
        Road { patience, deadline, asked: now, trouble: None, hops: 0, pauses: 0, perhaps: false }
    }

    /// What is left for whoever is asked now.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.deadline.saturating_duration_since(now)
    }

    /// Nobody waits for an answer beyond this: an owner who is well gives it by the deadline.
    pub(crate) fn end(&self) -> Instant {
        self.deadline + self.patience
    }

    /// `dice` shortens a pause, by a half at the most, so that not all come back at once.
    pub(crate) fn after(&mut self, failed: Failed<OrgsError>, now: Instant, dice: u8) -> Next {
        let (error, hop) = match failed {
            Failed::Answered(OrgsError::NotOwner { owner }) => {
                (OrgsError::NotOwner { owner }, owner)
            }
            Failed::Answered(error @ OrgsError::Uncertain(_)) => {
                self.perhaps = true;
                (error, None)
            }
            Failed::Answered(
                error @ (OrgsError::Rejected(_)
                | OrgsError::NotFound(_)
                | OrgsError::Unavailable(_)
                | OrgsError::Busy { .. }
                | OrgsError::Frozen(_)
                | OrgsError::OlderPods(_)),
            ) => return Next::GiveUp(self.told(error)),
            Failed::NotTaken(why) => (OrgsError::Unavailable(why), None),
            Failed::NotKnown(pod) => (OrgsError::OlderPods(pod), None),
            Failed::Lost(why) => {
                self.perhaps = true;
                (OrgsError::Uncertain(why), None)
            }
        };
        // What was before is over then: one move after another is waited for, each as if it were the first.
        if now.saturating_duration_since(self.asked) >= limits::IN_HAND_FOR {
            (self.trouble, self.pauses) = (None, 0);
        }
        let trouble = *self.trouble.get_or_insert(now);
        match hop {
            Some(owner) if self.hops < limits::HOPS_MAX => {
                self.hops += 1;
                self.asked = now;
                Next::Hop(owner)
            }
            Some(_) | None => self.pause(error, trouble, now, dice),
        }
    }

    fn pause(&mut self, error: OrgsError, trouble: Instant, now: Instant, dice: u8) -> Next {
        let doubled = limits::PAUSE_FIRST * 2_u32.saturating_pow(self.pauses.min(16));
        let longest = doubled.min(limits::PAUSE_LONGEST);
        let pause = longest - longest * u32::from(dice) / 510;
        if now + pause > self.until(trouble) {
            return Next::GiveUp(self.told(error));
        }
        self.pauses += 1;
        self.hops = 0;
        self.asked = now + pause;
        Next::Pause(pause)
    }

    /// A planned move is waited for whatever the caller's deadline, a crash as far as it goes.
    fn until(&self, trouble: Instant) -> Instant {
        let crash = (trouble + self.patience).min(self.deadline);
        crash.max(trouble + limits::HOLD).min(self.end())
    }

    fn told(&self, error: OrgsError) -> OrgsError {
        let the_same_at_first = match error.class() {
            ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::Uncertain => true,
            ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Rejected
            | ErrorClass::Unavailable
            | ErrorClass::Bug => false,
        };
        match self.perhaps && !the_same_at_first {
            true => OrgsError::Uncertain(format!("perhaps taken before: {error}")),
            false => error,
        }
    }
}

#[cfg(test)]
mod tests;
