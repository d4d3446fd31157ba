//! The outgoing payment: its states and what counts as proof of how it ended.
//!
//! ```text
//!            Send ──rule refuses──▶ Refused
//!              │
//!              ▼
//!   ┌──── InFlight ◀─┐  proof of failure and another node in the plan: the next attempt
//!   │     (held)  └──┘
//!   │        │
//!   │ proof of payment            proof of failure, nothing left to try
//!   ▼        ▼                                ▼
//!         Posted ◀──── success after ────── Voided
//!                  failure: a fact, posted,
//!                    the node is stopped
//! ```
//!
//! There is no "unknown": not knowing is `InFlight`, and the hold stays.
//!
//! # The table of proof
//!
//! LND runs a payment hash again after a failure, so a failure it reports may be an older one, and a
//! request of ours that is still under way may yet run. Each request therefore carries a permission
//! that the node itself lets lapse at `until`. *One* means that exactly one request was ever issued for
//! the attempt and that the organisation has not been loaded since; *lapsed* means that the look-up
//! began after the node had said that every issued permission is over, so it counts only if no request
//! was issued since; *latest* means just that.
//!
//! | seen | one | lapsed | verdict |
//! |---|---|---|---|
//! | success with the right preimage | any | any | paid |
//! | FAILED on the request's own stream, after an update of it, not an older failure | yes | any | failed |
//! | FAILED on the stream otherwise | any | any | open: look up once lapsed |
//! | look-up: FAILED, not an older failure | any | yes, and latest | failed |
//! | look-up: FAILED, not an older failure | any | no | open: look up once lapsed |
//! | look-up: no such payment (or an older failure), request refused with no update | yes | any | failed |
//! | look-up: no such payment (or an older failure) | any | yes, and latest | failed |
//! | look-up: no such payment (or an older failure) | any | no, but latest | open: send again |
//! | look-up: no such payment (or an older failure), not latest | any | any | open: follow |
//! | look-up: in flight | any | any | open: follow |
//! | permission had lapsed when the node looked at the latest request | any | any | open: send again |
//! | permission had lapsed when the node looked at an earlier request | any | any | open: follow |
//! | the request never left this process, and no other request ever did | yes | any | failed |
//! | the request never left this process, but others may have | no | any | open: look up once lapsed |
//! | silence, lost stream, time-out | any | any | not in this table: the node is asked again |

use crate::{
    Msat, NodeId, Preimage, Timestamp,
    broken::{self, Rule},
    lightning::{FailureId, FailureReason},
};

/// One life of an organisation in memory: moved by every load, and the fence of every write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// How often one attempt may be sent. Enough for a node whose permissions lapse again and again; a
/// bound, so that a node that forgets every request cannot be asked for ever.
pub const REQUESTS_PER_ATTEMPT_MAX: usize = 16;

/// Fee cap of a send that names none: one percent of the amount, and never less than one satoshi.
pub const FEE_LIMIT_DEFAULT_PPM: u32 = 10_000;
pub const FEE_LIMIT_DEFAULT_MIN_MSAT: Msat = match Msat::new(1_000) {
    Some(one_sat) => one_sat,
    None => Msat::ZERO,
};

/// What a send that names no fee cap may cost at most.
pub fn default_fee_limit(amount_msat: Msat) -> Msat {
    amount_msat.per_million_ceil(FEE_LIMIT_DEFAULT_PPM).max(FEE_LIMIT_DEFAULT_MIN_MSAT)
}

/// One call for an attempt, journaled before it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Who issued it.
    pub epoch: Epoch,
    /// The node refuses the request from this instant on, by its own clock.
    pub until: Timestamp,
    /// It certainly never ran: dropped before it left, or refused by the node as too late.
    pub unsent: bool,
}

/// One try to pay on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub node: NodeId,
    pub started_at: Timestamp,
    pub requests: Vec<Request>,
    /// Failures of this hash on this node that are older than the attempt.
    pub older_failures: Vec<FailureId>,
    pub end: Option<AttemptEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    Paid { at: Timestamp },
    Failed { at: Timestamp, reason: FailureReason },
}

impl Attempt {
    /// The instant at which the last issued permission is over.
    pub fn permitted_until(&self) -> Timestamp {
        self.requests.iter().map(|request| request.until).max().unwrap_or(self.started_at)
    }

    /// Exactly one request was ever issued, by the load that is asking.
    fn is_one(&self, epoch: Epoch) -> bool {
        matches!(self.requests.as_slice(), [only] if only.epoch == epoch)
    }

    fn nothing_ever_left(&self, epoch: Epoch) -> bool {
        self.requests.iter().all(|request| request.unsent && request.epoch == epoch)
    }
}

/// What was learned about an attempt. Silence is not a finding: it has no variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The node shows success.
    Paid { preimage: Preimage, amount_msat: Msat, fee_msat: Msat },
    /// The request's own stream ended in FAILED.
    FailedOnStream { reason: FailureReason, failure: FailureId, after_update: bool },
    /// A look-up.
    LookedUp { seen: LookUp, lapsed: bool, refused: bool },
    /// The node answered the request that its permission is over, so it did not run.
    PermissionLapsed,
    /// The request was dropped before it left this process.
    NeverLeft,
}

/// What a node says when asked about a payment hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookUp {
    NotFound,
    InFlight,
    Failed { reason: FailureReason, failure: FailureId },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Paid { preimage: Preimage, amount_msat: Msat, fee_msat: Msat },
    Failed { reason: FailureReason, failure: Option<FailureId> },
    Open(Next),
}

/// What to do about an attempt that is still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Follow,
    SendAgain,
    LookUpOnceLapsed,
}

impl Next {
    /// Where nothing may be sent any more, the end is waited for.
    pub fn without_sending(self) -> Next {
        match self {
            Next::SendAgain => Next::LookUpOnceLapsed,
            Next::Follow | Next::LookUpOnceLapsed => self,
        }
    }
}

/// The table of proof: see the module comment. `epoch` is the load that judges, `request` the latest
/// request (from 1) when the finding was sought.
pub fn judge(attempt: &Attempt, epoch: Epoch, request: u32, finding: &Finding) -> Verdict {
    let one = attempt.is_one(epoch);
    let latest = usize::try_from(request) == Ok(attempt.requests.len());
    let older = |failure: &FailureId| attempt.older_failures.contains(failure);
    match *finding {
        Finding::Paid { preimage, amount_msat, fee_msat } => {
            Verdict::Paid { preimage, amount_msat, fee_msat }
        }
        Finding::FailedOnStream { reason, failure, after_update: true }
            if (one || broken::is(Rule::FailedIsOfThisRequest)) && !older(&failure) =>
        {
            Verdict::Failed { reason, failure: Some(failure) }
        }
        Finding::FailedOnStream { .. } => Verdict::Open(Next::LookUpOnceLapsed),
        Finding::LookedUp { seen: LookUp::InFlight, .. } => Verdict::Open(Next::Follow),
        Finding::LookedUp { seen: LookUp::Failed { reason, failure }, lapsed, .. }
            if !older(&failure) =>
        {
            match (lapsed && latest) || broken::is(Rule::FailedIsOfThisRequest) {
                true => Verdict::Failed { reason, failure: Some(failure) },
                false => Verdict::Open(Next::LookUpOnceLapsed),
            }
        }
        Finding::LookedUp { seen: LookUp::NotFound | LookUp::Failed { .. }, lapsed, refused } => {
            let excluded = lapsed || (refused && one) || broken::is(Rule::NotFoundIsNoFailure);
            match latest && excluded {
                true => Verdict::Failed { reason: FailureReason::Refused, failure: None },
                false => Verdict::Open(send_again(attempt, latest)),
            }
        }
        Finding::PermissionLapsed => Verdict::Open(send_again(attempt, latest)),
        Finding::NeverLeft if attempt.nothing_ever_left(epoch) => {
            Verdict::Failed { reason: FailureReason::Unreachable, failure: None }
        }
        Finding::NeverLeft => Verdict::Open(Next::LookUpOnceLapsed),
    }
}

/// The same news twice must not send twice: an answer about an earlier request sends nothing.
fn send_again(attempt: &Attempt, latest: bool) -> Next {
    match (latest, attempt.requests.len() < REQUESTS_PER_ATTEMPT_MAX) {
        (false, _) => Next::Follow,
        (true, true) => Next::SendAgain,
        (true, false) => Next::LookUpOnceLapsed,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Epoch = Epoch(7);
    const OLD: FailureId = FailureId { payment_index: 1, creation_time_ns: 10 };
    const NEW: FailureId = FailureId { payment_index: 2, creation_time_ns: 20 };

    fn attempt(requests: &[(u64, bool)]) -> Attempt {
        let requests = requests.iter().map(|&(epoch, unsent)| Request {
            epoch: Epoch(epoch),
            until: Timestamp::from_millis(5_000),
            unsent,
        });
        Attempt {
            node: NodeId::new(Uuid::nil()),
            started_at: Timestamp::from_millis(0),
            requests: requests.collect(),
            older_failures: vec![OLD],
            end: None,
        }
    }

    fn verdict(requests: &[(u64, bool)], finding: Finding) -> &'static str {
        verdict_as_of(requests, requests.len(), finding)
    }

    fn verdict_as_of(requests: &[(u64, bool)], latest: usize, finding: Finding) -> &'static str {
        match judge(&attempt(requests), NOW, u32::try_from(latest).unwrap(), &finding) {
            Verdict::Paid { .. } => "paid",
            Verdict::Failed { .. } => "failed",
            Verdict::Open(Next::Follow) => "follow",
            Verdict::Open(Next::SendAgain) => "send again",
            Verdict::Open(Next::LookUpOnceLapsed) => "wait",
        }
    }

    fn on_stream(failure: FailureId, after_update: bool) -> Finding {
        Finding::FailedOnStream { reason: FailureReason::NoRoute, failure, after_update }
    }

    fn looked_up(seen: LookUp, lapsed: bool, refused: bool) -> Finding {
        Finding::LookedUp { seen, lapsed, refused }
    }

    #[test]
    fn rule_13_the_table_of_proof() {
        let one: &[(u64, bool)] = &[(7, false)];
        let two: &[(u64, bool)] = &[(7, false), (7, false)];
        let loaded: &[(u64, bool)] = &[(6, false)];
        let failed = |failure| LookUp::Failed { reason: FailureReason::NoRoute, failure };

        for (requests, stream) in [(one, "failed"), (two, "wait"), (loaded, "wait")] {
            assert_eq!(verdict(requests, on_stream(NEW, true)), stream);
            assert_eq!(verdict(requests, on_stream(NEW, false)), "wait");
            assert_eq!(verdict(requests, on_stream(OLD, true)), "wait");
            assert_eq!(verdict(requests, looked_up(LookUp::InFlight, true, false)), "follow");
            assert_eq!(verdict(requests, looked_up(failed(NEW), false, false)), "wait");
            assert_eq!(verdict(requests, looked_up(failed(NEW), true, false)), "failed");
            for nothing in [LookUp::NotFound, failed(OLD)] {
                assert_eq!(verdict(requests, looked_up(nothing, false, false)), "send again");
                assert_eq!(verdict(requests, looked_up(nothing, true, false)), "failed");
            }
            assert_eq!(verdict(requests, Finding::PermissionLapsed), "send again");
        }
        for finding in [
            looked_up(LookUp::NotFound, true, true),
            looked_up(failed(OLD), true, false),
            Finding::PermissionLapsed,
        ] {
            assert_eq!(verdict_as_of(two, 1, finding), "follow");
        }
        assert_eq!(verdict_as_of(two, 1, looked_up(failed(NEW), true, false)), "wait");
        assert_eq!(verdict(one, looked_up(LookUp::NotFound, false, true)), "failed");
        assert_eq!(verdict(two, looked_up(LookUp::NotFound, false, true)), "send again");
        assert_eq!(verdict(loaded, looked_up(LookUp::NotFound, false, true)), "send again");
        assert_eq!(verdict(&[(7, true)], Finding::NeverLeft), "failed");
        assert_eq!(verdict(&[(7, false), (7, true)], Finding::NeverLeft), "wait");
        assert_eq!(verdict(&[(6, true), (7, true)], Finding::NeverLeft), "wait");
    }

    #[test]
    fn requests_have_a_bound() {
        let many = vec![(7, false); REQUESTS_PER_ATTEMPT_MAX];
        assert_eq!(verdict(&many, Finding::PermissionLapsed), "wait");
    }
}
