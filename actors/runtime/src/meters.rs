//! What the actors count and measure, for the operator. Handles are made once: on the way of a payment
//! nothing is looked up by name. Labels are few and known beforehand, never the id of anything.

use domain::{
    Msat,
    org::{Event, Outgoing, Rail, Row},
};
use metrics::{
    Counter, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use ports::journal::AppendError;
use tokio::time::Duration;

use crate::tree::Post;

pub(crate) struct Meters {
    lanes: Vec<LaneMeters>,
    loads: Counter,
    attempts: [Ends; 2],
    payments: [Ends; 3],
    restarts: [[Counter; 2]; 3],
    refused: [Counter; 4],
}

/// One counter for each rail.
type Ends = [Counter; 3];

const RAILS: [&str; 3] = ["credit_pool", "customer_node", "internal"];
const REFUSALS: [&str; 4] = ["wait", "queue", "nodes", "deadline"];
const POSTS: [&str; 3] = ["organisation", "lane", "node"];

#[derive(Clone)]
pub(crate) struct LaneMeters {
    pub(crate) batch: Histogram,
    commit: Histogram,
    outcomes: [Counter; 5],
}

#[derive(Clone)]
pub(crate) struct LookUpMeters {
    pub(crate) batch: Histogram,
    pub(crate) took: Histogram,
    pub(crate) failed: Counter,
}

/// Why work of a customer is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It would wait for too long until those before it are committed.
    Wait,
    /// Too many are before it.
    Queue,
    /// Every node that could pay is full, or has not been asked yet.
    Nodes,
    /// Its caller's deadline has passed.
    Deadline,
}

/// What a committed decision has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    what: What,
    rail: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The attempt under way has paid, and with it the payment.
    Paid,
    /// An attempt has failed; the next node may be tried.
    AttemptFailed,
    Failed,
    Refused,
}

impl Meters {
    pub(crate) fn new(lanes: usize) -> Meters {
        describe();
        let attempts = |outcome| {
            RAILS.map(
                |rail| counter!("switchyard_attempts_total", "outcome" => outcome, "rail" => rail),
            )
        };
        let payments = |outcome| {
            RAILS.map(
                |rail| counter!("switchyard_payments_total", "outcome" => outcome, "rail" => rail),
            )
        };
        let restarts = |post| {
            ["stopped", "failed"].map(
                |why| counter!("switchyard_actor_restarts_total", "post" => post, "why" => why),
            )
        };
        Meters {
            lanes: (0..lanes).map(LaneMeters::new).collect(),
            loads: counter!("switchyard_organisation_loads_total"),
            attempts: ["paid", "failed"].map(attempts),
            payments: ["completed", "failed", "refused"].map(payments),
            restarts: POSTS.map(restarts),
            refused: REFUSALS
                .map(|reason| counter!("switchyard_refusals_total", "reason" => reason)),
        }
    }

    pub(crate) fn lane(&self, index: usize) -> LaneMeters {
        self.lanes.get(index).expect("there is one for each lane").clone()
    }

    pub(crate) fn loaded(&self) {
        self.loads.increment(1);
    }

    pub(crate) fn ended(&self, ended: Ended) {
        let Ended { what, rail } = ended;
        let [paid, attempt_failed] = &self.attempts;
        let [completed, failed, refused] = &self.payments;
        let counted: &[&Ends] = match what {
            What::Paid => &[paid, completed],
            What::AttemptFailed => &[attempt_failed],
            // Inside the platform the claim is the one attempt.
            What::Failed if rail == INTERNAL => &[attempt_failed, failed],
            What::Failed => &[failed],
            What::Refused => &[refused],
        };
        for counters in counted {
            if let Some(counter) = counters.get(rail) {
                counter.increment(1);
            }
        }
    }

    /// Work of a customer that was not begun.
    pub(crate) fn refused(&self, why: Refused) {
        let [wait, queue, nodes, deadline] = &self.refused;
        let counter = match why {
            Refused::Wait => wait,
            Refused::Queue => queue,
            Refused::Nodes => nodes,
            Refused::Deadline => deadline,
        };
        counter.increment(1);
    }

    /// An actor that has left its post is started again.
    pub(crate) fn restarts(&self, post: Post, failed: bool) {
        let [organisation, lane, node] = &self.restarts;
        let [stopped, failures] = match post {
            Post::Org(_) => organisation,
            Post::Lane(_) => lane,
            Post::Node(_) => node,
        };
        if failed { failures.increment(1) } else { stopped.increment(1) }
    }
}

impl LaneMeters {
    fn new(lane: usize) -> LaneMeters {
        let lane = lane.to_string();
        let outcome = |outcome: &'static str| {
            let lane = lane.clone();
            counter!("switchyard_lane_transactions_total", "lane" => lane, "outcome" => outcome)
        };
        LaneMeters {
            batch: histogram!("switchyard_lane_batch_size", "lane" => lane.clone()),
            commit: histogram!("switchyard_lane_commit_seconds", "lane" => lane.clone()),
            outcomes: ["committed", "lost_claim", "fenced", "aborted", "unknown"].map(outcome),
        }
    }

    pub(crate) fn done(&self, took: Duration, outcome: &Result<(), AppendError>) {
        let [committed, lost_claim, fenced, aborted, unknown] = &self.outcomes;
        self.commit.record(took);
        match outcome {
            Ok(()) => committed.increment(1),
            Err(AppendError::LostClaim(_)) => lost_claim.increment(1),
            Err(AppendError::Fenced(_)) => fenced.increment(1),
            Err(AppendError::Aborted(_)) => aborted.increment(1),
            Err(AppendError::Unknown(_)) => unknown.increment(1),
        }
    }
}

impl Default for LookUpMeters {
    fn default() -> LookUpMeters {
        LookUpMeters {
            batch: histogram!("switchyard_look_up_batch_size"),
            took: histogram!("switchyard_look_up_seconds"),
            failed: counter!("switchyard_look_ups_failed_total"),
        }
    }
}

const INTERNAL: usize = 2;

impl Ended {
    /// What the events end. `rows` are the payments that they touch, as they stand afterwards.
    pub(crate) fn of(events: &[Event], rows: &[Row]) -> Vec<Ended> {
        let ended = |event: &Event| {
            let what = ends(event)?;
            let payment = event.payment()?;
            let payment = rows.iter().filter_map(outgoing).find(|row| row.id == payment)?;
            Some(Ended { what, rail: number(payment.rail) })
        };
        events.iter().filter_map(ended).collect()
    }
}

fn ends(event: &Event) -> Option<What> {
    if let Event::Posted { .. } = event {
        Some(What::Paid)
    } else if let Event::AttemptFailed { .. } = event {
        Some(What::AttemptFailed)
    } else if let Event::Voided { .. } = event {
        Some(What::Failed)
    } else if let Event::SendRefused { .. } = event {
        Some(What::Refused)
    } else {
        None
    }
}

fn outgoing(row: &Row) -> Option<&Outgoing> {
    match row {
        Row::Outgoing(payment) => Some(payment),
        Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => None,
    }
}

fn number(rail: Rail) -> usize {
    match rail {
        Rail::CreditPool => 0,
        Rail::CustomerNode(_) => 1,
        Rail::Internal { .. } => INTERNAL,
    }
}

/// A gauge is a floating point number whatever it shows; nothing reads an amount back from one.
pub(crate) fn shown(whole: u64) -> f64 {
    whole as f64
}

pub(crate) fn counted(count: usize) -> f64 {
    shown(u64::try_from(count).unwrap_or(u64::MAX))
}

pub(crate) fn show_msat(name: &'static str, amount: Msat) {
    gauge!(name).set(shown(amount.get()));
}

fn describe() {
    let count = Unit::Count;
    for (name, text) in COUNTERS {
        describe_counter!(*name, count, *text);
    }
    for (name, unit, text) in GAUGES {
        describe_gauge!(*name, *unit, *text);
    }
    for (name, unit, text) in HISTOGRAMS {
        describe_histogram!(*name, *unit, *text);
    }
}

const COUNTERS: &[(&str, &str)] = &[
    ("switchyard_lane_transactions_total", "Transactions of a journal lane by how they ended."),
    ("switchyard_refusals_total", "Calls of customers that were not begun, by reason."),
    ("switchyard_look_ups_failed_total", "Look-ups that the store did not answer."),
    ("switchyard_organisation_loads_total", "Organisations loaded from the store."),
    ("switchyard_actor_restarts_total", "Actors that stopped or failed and were started again."),
    ("switchyard_attempts_total", "Attempts that have ended, by outcome and rail."),
    ("switchyard_payments_total", "Outgoing payments that have ended, by outcome and rail."),
];

const GAUGES: &[(&str, Unit, &str)] = &[
    ("switchyard_lane_queue", Unit::Count, "Decisions and answers that wait for a journal lane."),
    (
        "switchyard_lane_wait_seconds",
        Unit::Seconds,
        "How long new work would wait behind all that is in line for a lane.",
    ),
    (
        "switchyard_gate_queue",
        Unit::Count,
        "Sends and receives that wait until others that were let in before them are committed.",
    ),
    ("switchyard_organisations_live", Unit::Count, "Organisations in memory."),
    ("switchyard_organisations_quarantined", Unit::Count, "Organisations that wait for a person."),
    ("switchyard_node_usable", Unit::Count, "1 if the node gets sends now, else 0."),
    ("switchyard_node_in_flight", Unit::Count, "Attempts followed on the node now."),
    ("switchyard_node_outbound_msat", Unit::Count, "What the node can send, in msat."),
    ("switchyard_node_inbound_msat", Unit::Count, "What the node can be paid, in msat."),
    ("switchyard_in_flight", Unit::Count, "Outgoing payments in flight."),
    ("switchyard_in_flight_msat", Unit::Count, "Amounts of the payments in flight, in msat."),
    ("switchyard_oldest_in_flight_seconds", Unit::Seconds, "Age of the oldest payment in flight."),
    ("switchyard_inbox_open", Unit::Count, "Settled invoices that are not booked yet."),
    ("switchyard_frozen", Unit::Count, "1 if every outgoing send is frozen, else 0."),
    ("switchyard_lease_seconds_left", Unit::Seconds, "How long this process may still answer."),
];

const HISTOGRAMS: &[(&str, Unit, &str)] = &[
    ("switchyard_lane_batch_size", Unit::Count, "Decisions in one transaction of a lane."),
    ("switchyard_lane_commit_seconds", Unit::Seconds, "How long a transaction of a lane took."),
    ("switchyard_look_up_batch_size", Unit::Count, "Questions answered by one look-up."),
    ("switchyard_look_up_seconds", Unit::Seconds, "How long a look-up took."),
];
