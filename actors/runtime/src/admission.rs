//! The door: new work that would wait for too long is refused before it waits at all, so that nothing is
//! begun whose caller has long gone, and a store that is slow or away is not met by an ever longer line.
//!
//! What a new decision has to wait for is known: the decisions before it in the fair queue, so many to a
//! commit, and how long commits take now. A stalled store makes the one under way older and older, so the
//! door closes by itself; the first commit that is quick again opens it. Nobody sets anything.
//!
//! Only what customers begin is refused. What follows from something that has begun (findings, receipts,
//! claims, drives) always gets in: refusing it would keep money held.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::OrgId;
use ports::orgs::OrgsError;
use tokio::time::{Instant, timeout_at};

use crate::{
    gate::Pass, house::House, journal_lane::LaneHandle, limits, meters::Refused, registry::Seated,
};

/// How much the newest commit weighs: about the last eight count, at full load the last second.
const WEIGHT: u32 = 8;

/// What is in line for one lane, from the moment it is let in until it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Of the organisation that asks.
    pub(crate) own: usize,
    /// Organisations that have something in line, the one that asks included.
    pub(crate) orgs: usize,
    pub(crate) all: usize,
}

impl Line {
    /// How many are committed before one more of the organisation: the queue takes one of each in turn, so
    /// a flood is before itself and not before the others.
    pub(crate) fn before(self) -> usize {
        let rounds = self.own.saturating_add(1);
        rounds.saturating_mul(self.orgs).saturating_sub(1).min(self.all)
    }
}

/// How long one more of the organisation would wait until everything before it is committed. Where nothing is
/// before it the answer is nothing, whatever commits have taken: somebody has to try, or nobody would see that
/// they are quick again.
///
/// What follows from what had begun counts as if it were begun now, though a commit has room for as much of it
/// besides: while thousands of findings are in line the answer is up to twice too long.
pub(crate) fn wait(line: Line, takes: Takes) -> Duration {
    match line.before().div_ceil(limits::BEGUN_BY_A_COMMIT) {
        0 => Duration::ZERO,
        commits => {
            let commits = u32::try_from(commits).unwrap_or(u32::MAX);
            takes.each.saturating_mul(commits).max(takes.so_far)
        }
    }
}

/// How long a commit or a look-up takes now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Takes {
    /// The one under way has taken so long already.
    so_far: Duration,
    /// The next are likely to take so long.
    each: Duration,
}

impl Takes {
    /// Where both go on at the same time the slower one counts.
    fn slower(self, other: Takes) -> Takes {
        Takes { so_far: self.so_far.max(other.so_far), each: self.each.max(other.each) }
    }
}

/// When to come back: when half of what may wait is done, so that not everybody comes back to a line that
/// is full again.
pub(crate) fn retry_after(wait: Duration) -> Duration {
    let half = limits::LANE_WAIT_MAX / 2;
    wait.saturating_sub(half).clamp(limits::RETRY_AFTER_MIN, limits::RETRY_AFTER_MAX)
}

/// How long one piece of work takes, such as a commit: an exponentially weighted mean of those that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    mean: Duration,
    /// Of one decision in it.
    each: Duration,
    began: Option<Instant>,
}

impl Pace {
    pub(crate) fn begins(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// Of so many.
    pub(crate) fn ends(&mut self, now: Instant, size: usize) {
        let Some(began) = self.began.take() else { return };
        let took = now.saturating_duration_since(began);
        let size = u32::try_from(size).unwrap_or(u32::MAX).max(1);
        self.mean = blend(self.mean, took);
        self.each = blend(self.each, took / size);
    }

    /// One that takes long counts as if it had ended now: a hiccup is no measure for all that come after it,
    /// and a stall soon is.
    pub(crate) fn takes(&self, now: Instant) -> Takes {
        let so_far =
            self.began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let each = match so_far > self.mean {
            true => blend(self.mean, so_far),
            false => self.mean,
        };
        Takes { so_far, each }
    }

    /// How many of one organisation make up the work that others still wait for gladly.
    pub(crate) fn share(&self) -> usize {
        let each = self.each.as_nanos().max(1);
        let share = limits::SHARED_COMMIT.as_nanos() / each;
        usize::try_from(share).unwrap_or(usize::MAX).clamp(limits::SHARE_MIN, limits::BATCH_MAX)
    }
}

fn blend(old: Duration, new: Duration) -> Duration {
    match old.is_zero() {
        true => new,
        false => (old * (WEIGHT - 1) + new) / WEIGHT,
    }
}

/// A pace that one task sets and others read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paced(Arc<Mutex<Pace>>);

impl Paced {
    pub(crate) fn begins(&self) {
        self.with(|pace| pace.begins(Instant::now()));
    }

    pub(crate) fn ends(&self, size: usize) {
        self.with(|pace| pace.ends(Instant::now(), size));
    }

    pub(crate) fn forget(&self) {
        self.with(|pace| *pace = Pace::default());
    }

    pub(crate) fn takes(&self) -> Takes {
        self.with(|pace| pace.takes(Instant::now()))
    }

    pub(crate) fn share(&self) -> usize {
        self.with(|pace| pace.share())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Pace) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What was let in, until it is committed.
pub(crate) struct LetIn {
    pub(crate) seated: Seated,
    _pass: Pass,
}

impl House {
    /// Refuses what a customer begins if it would wait for too long, or lets it in as soon as there is room.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        org: OrgId,
        begin_by: Option<Instant>,
    ) -> Result<LetIn, OrgsError> {
        let wait = self.has_room(org).await?;
        if wait > limits::LANE_WAIT_MAX {
            return Err(self.refused(Refused::Wait, retry_after(wait)));
        }
        // Before the gate, so that an organisation whose load takes long, or fails, holds no place. Who waits is
        // in line.
        let seated = self.seated(org).await?;
        let call = match self.lane(org).gate.enter(org) {
            Ok(pass) => return Ok(LetIn { seated, _pass: pass }),
            Err(call) => call,
        };
        let called = match begin_by {
            Some(begin_by) => timeout_at(begin_by, call).await.ok(),
            None => Some(call.await),
        };
        let pass = called.and_then(Result::ok).ok_or_else(|| self.too_late())?;
        Ok(LetIn { seated: seated.since(self.now()), _pass: pass })
    }

    /// Its caller's deadline has passed before it was begun.
    pub(crate) fn too_late(&self) -> OrgsError {
        self.meters.refused(Refused::Deadline);
        OrgsError::Unavailable("its caller's deadline passed before it was begun".to_owned())
    }

    /// Refuses anything else of a customer only where memory has a bound. Answers how long one more of the
    /// organisation would wait for those in line.
    pub(crate) async fn has_room(self: &Arc<Self>, org: OrgId) -> Result<Duration, OrgsError> {
        // How long the line is where it lives is not known anywhere else.
        self.must_own(org).await?;
        let lane = self.lane(org);
        let line = lane.in_line.line(&self.registry.in_line(org));
        let wait = wait(line, self.takes(lane));
        match line.before() >= limits::LANE_QUEUE_MAX {
            true => Err(self.refused(Refused::Queue, retry_after(wait))),
            false => Ok(wait),
        }
    }

    /// Every node that could pay has as much in flight as fits, and one of them answers in so many milliseconds;
    /// or it is not known yet which could.
    pub(crate) fn refused_by_nodes(&self, latency_ms: u32) -> OrgsError {
        let soon = Duration::from_millis(u64::from(latency_ms));
        let soon = soon.clamp(limits::RETRY_AFTER_MIN, limits::RETRY_AFTER_MAX);
        self.refused(Refused::Nodes, soon)
    }

    /// How long whoever has the most in line would wait on the lane.
    pub(crate) fn longest_wait(&self, lane: &LaneHandle) -> Duration {
        wait(lane.in_line.whole(), self.takes(lane))
    }

    /// A decision needs a look-up and a commit.
    fn takes(&self, lane: &LaneHandle) -> Takes {
        lane.pace.takes().slower(self.lookups.pace.takes())
    }

    fn refused(&self, why: Refused, retry_after: Duration) -> OrgsError {
        self.meters.refused(why);
        OrgsError::Busy { retry_after }
    }
}

/// Counts what is in line for one lane.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    orgs: AtomicUsize,
    all: AtomicUsize,
}

/// One that is in line, until it is dropped.
#[derive(Debug)]
pub(crate) struct InLine {
    own: Arc<AtomicUsize>,
    lane: Arc<Counts>,
}

impl Counts {
    /// `own` counts what the organisation has in line.
    pub(crate) fn line(&self, own: &AtomicUsize) -> Line {
        let own = own.load(Ordering::Acquire);
        let orgs = self.orgs.load(Ordering::Acquire) + usize::from(own == 0);
        Line { own, orgs, all: self.all.load(Ordering::Acquire) }
    }

    /// As whoever has the most in line meets it.
    pub(crate) fn whole(&self) -> Line {
        let all = self.all.load(Ordering::Acquire);
        Line { own: all, orgs: 1, all }
    }

    pub(crate) fn enter(self: &Arc<Self>, own: &Arc<AtomicUsize>) -> InLine {
        self.all.fetch_add(1, Ordering::AcqRel);
        if own.fetch_add(1, Ordering::AcqRel) == 0 {
            self.orgs.fetch_add(1, Ordering::AcqRel);
        }
        InLine { own: own.clone(), lane: self.clone() }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        if self.own.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.lane.orgs.fetch_sub(1, Ordering::AcqRel);
        }
        self.lane.all.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests;
