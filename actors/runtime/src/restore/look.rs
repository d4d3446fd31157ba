//! Finds where the nodes' records and the ledger differ. Changes nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use domain::{Msat, NodeId, PaymentHash, org::Row, payment::Attempt};
use ports::{
    StoreError,
    guard::Sighting,
    lightning::{NodeError, PayUpdate},
    operations::AuditFinding,
    placement::LeaseLength,
    restore::{Difference, RestoreReport, Step},
};
use tokio::time::timeout;

use crate::{
    audit, foreign,
    house::House,
    limits,
    node::NodeHandle,
    reconcile::{self, OpenSend, ReconcileError},
};

pub(super) const NODE_NOT_READ: &str = "node_not_read";
pub(super) const NODE_STILL_PERMITTED: &str = "node_still_permitted";
pub(super) const OPEN_PAYMENT_PAID: &str = "open_payment_paid";
pub(super) const OPEN_PAYMENT_FAILED: &str = "open_payment_failed";
pub(super) const RECEIPT_NOT_BOOKED: &str = "receipt_not_booked";
const OPEN_PAYMENT_LOST: &str = "open_payment_lost";
const LOST_PAYMENT: &str = "lost_payment";
const LOST_RECEIPT: &str = "lost_receipt";

/// Findings of the audit that are told here in other words.
const TOLD_OTHERWISE: [&str; 3] =
    ["unknown_payment_on_node", "unknown_receipt_on_node", "lost_by_node"];

/// What one node has.
struct Seen {
    node: NodeHandle,
    shown: HashMap<PaymentHash, PayUpdate>,
    /// It has lost something, or the database has.
    is_suspect: bool,
    /// What it has shown of ours, and whether that is excused.
    sightings: BTreeMap<Sighting, bool>,
}

pub(super) async fn look(house: &Arc<House>) -> Result<RestoreReport, StoreError> {
    let mut report = at_nodes(house).await?;
    for lost in house.sockets.receipts.unknown_receipts().await? {
        let text = "a node of the pool was paid it, and the ledger does not know the invoice: nobody can \
                    say whose it is";
        report.differences.push(Difference {
            hash: Some(lost.hash),
            amount_msat: Some(lost.paid_msat),
            ..of_node(lost.node, LOST_RECEIPT, Step::Person, text)
        });
    }
    audited(house, &mut report).await?;
    Ok(report)
}

/// What the nodes have paid, or may yet: all that could be paid twice. It reads what is open and what the nodes
/// show, and not everything that there is.
pub(super) async fn at_nodes(house: &Arc<House>) -> Result<RestoreReport, StoreError> {
    let mut report =
        RestoreReport { frozen: house.sockets.guard.frozen().await?, ..RestoreReport::default() };
    let database_is_older = foreign::database_is_older(house).await?;
    let mut nodes = BTreeMap::new();
    for node in house.nodes() {
        let id = node.record.id;
        match read(house, node, database_is_older).await {
            Ok(seen) => {
                report.nodes += 1;
                permissions(house, &seen, &mut report).await;
                nodes.insert(id, seen);
            }
            Err(ReconcileError::Store(error)) => return Err(error),
            Err(ReconcileError::Node(error)) => report.differences.push(not_read(id, &error)),
        }
    }
    for open in reconcile::open_sends(house).await? {
        open_payment(house, &nodes, &open, &mut report).await?;
    }
    for seen in nodes.values().filter(|seen| seen.node.record.owner.is_none()) {
        lost_payments(house, seen, &mut report).await?;
    }
    Ok(report)
}

async fn read(
    house: &Arc<House>,
    node: NodeHandle,
    database_is_older: bool,
) -> Result<Seen, ReconcileError> {
    let shown = audit::payments_of(&node).await?;
    let is_suspect = reconcile::is_suspect(house, &node, database_is_older).await?;
    let sightings = house.sockets.guard.sightings(node.record.id).await?;
    let shown = shown.into_iter().map(|payment| (payment.hash, payment.last)).collect();
    Ok(Seen { node, shown, is_suspect, sightings: sightings.into_iter().collect() })
}

/// A request of a life that the database has forgotten may still make a payment, until its permission is
/// over by the node's own clock, and for a moment more. How long that life's leases were, nobody knows.
pub(super) async fn is_quiet(house: &House, node: &NodeHandle) -> Result<bool, NodeError> {
    let longest_ms = LeaseLength::LONGEST.millis() + limits::LAPSE_GRACE_MS;
    node.lightning.has_lapsed(house.began.plus_millis(longest_ms)).await
}

async fn permissions(house: &House, seen: &Seen, report: &mut RestoreReport) {
    let id = seen.node.record.id;
    match is_quiet(house, &seen.node).await {
        Ok(true) => {}
        Ok(false) => {
            let text =
                "a request from before this start may still make a payment there for some seconds";
            report.differences.push(of_node(id, NODE_STILL_PERMITTED, Step::Due, text));
        }
        Err(error) => report.differences.push(not_read(id, &error)),
    }
}

async fn open_payment(
    house: &House,
    nodes: &BTreeMap<NodeId, Seen>,
    open: &OpenSend,
    report: &mut RestoreReport,
) -> Result<(), StoreError> {
    // Inside the platform both ends are in the ledger; one that has stopped, the audit tells of.
    let Some((_, attempt)) = open.payment.open_attempt().filter(|_| !open.payment.contradicted)
    else {
        return Ok(());
    };
    let (Some(seen), Some(sighting)) = (nodes.get(&attempt.node), open.on(attempt.node)) else {
        return Ok(());
    };
    let last = match last_of(seen, attempt, sighting.hash).await {
        Ok(last) => last,
        Err(error) => {
            report
                .differences
                .push(Difference { hash: Some(sighting.hash), ..not_read(attempt.node, &error) });
            return Ok(());
        }
    };
    let difference = |code: &'static str, step, text| Difference {
        org: Some(open.org),
        payment: Some(open.payment.id),
        hash: Some(sighting.hash),
        ..of_node(attempt.node, code, step, text)
    };
    let excused = seen.sightings.get(&sighting).copied();
    let found = match (last, excused) {
        (Some(PayUpdate::InFlight), _) => {
            report.in_flight += 1;
            None
        }
        (Some(PayUpdate::Succeeded { amount_msat, fee_msat, .. }), _) => {
            let text = "open in the ledger, and its node has paid it: its organisation books that";
            let paid = difference(OPEN_PAYMENT_PAID, Step::Due, text);
            Some(Difference { amount_msat: Some(amount_msat), fee_msat: Some(fee_msat), ..paid })
        }
        (Some(PayUpdate::Failed { .. }), _) => {
            let text =
                "open in the ledger, and it failed on its node: its organisation ends that attempt";
            Some(difference(OPEN_PAYMENT_FAILED, Step::Due, text))
        }
        (None, Some(true)) => {
            let text = "open in the ledger, and its node does not have it and may have made it: it stays \
                        held until `switchyard payment resolve` says how it ended";
            Some(difference(OPEN_PAYMENT_LOST, Step::Person, text))
        }
        (None, Some(false)) => Some(difference(OPEN_PAYMENT_LOST, Step::Due, LOST_AND_DUE)),
        (None, None) if seen.is_suspect => {
            Some(difference(OPEN_PAYMENT_LOST, Step::Due, LOST_AND_DUE))
        }
        // It was never there, and nothing says that anything was lost: it goes on by itself.
        (None, None) => None,
    };
    if let Some(found) = found
        && !has_ended(house, &found).await?
    {
        report.differences.push(found);
    }
    Ok(())
}

const LOST_AND_DUE: &str = "open in the ledger, and its node does not have it and may have made it: it is \
                            put on record that it is not sent again";

/// What the node shows of the attempt: nothing, if it is the failure of an earlier one.
async fn last_of(
    seen: &Seen,
    attempt: &Attempt,
    hash: PaymentHash,
) -> Result<Option<PayUpdate>, NodeError> {
    let last = match seen.shown.get(&hash) {
        Some(last) => Some(last.clone()),
        // It may have been sent since the list was read.
        None => match timeout(limits::SAYS_WITHIN, audit::now(&seen.node, hash)).await {
            Ok(now) => now?,
            Err(_) => return Err(NodeError::Unreachable("it does not answer in time".to_owned())),
        },
    };
    let is_older = |last: &PayUpdate| match last {
        PayUpdate::Failed { failure, .. } => attempt.older_failures.contains(failure),
        PayUpdate::InFlight | PayUpdate::Succeeded { .. } => false,
    };
    Ok(last.filter(|last| !is_older(last)))
}

/// Most end by themselves, as soon as their node says how.
pub(super) async fn has_ended(house: &House, it: &Difference) -> Result<bool, StoreError> {
    let (Some(org), Some(payment), Some(node)) = (it.org, it.payment, it.node) else {
        return Ok(true);
    };
    let row = house.sockets.reads.payment(org, payment).await?;
    let attempt = row.as_ref().and_then(|row| reconcile::attempt_on(row, node));
    Ok(attempt.is_none_or(|attempt| attempt.end.is_some()))
}

async fn lost_payments(
    house: &House,
    seen: &Seen,
    report: &mut RestoreReport,
) -> Result<(), StoreError> {
    let id = seen.node.record.id;
    let paid: BTreeSet<_> = seen.paid().collect();
    let unaccounted = foreign::unaccounted_of(&*house.sockets.journal, id, paid).await?;
    let due = "paid by a node of the pool, and not in the ledger: it is put on record, so that no other \
               node is asked to pay it";
    let on_record = "paid by a node of the pool, and not in the ledger: no other node is asked to pay it, \
                     and it is booked once its sender repeats it";
    let recorded = foreign::lost(house, id).await?;
    let failed =
        |hash: &PaymentHash| matches!(seen.shown.get(hash), Some(PayUpdate::Failed { .. }));
    let recorded = recorded.into_iter().filter(|hash| !failed(hash));
    let steps = unaccounted
        .into_iter()
        .map(|hash| (hash, Step::Due, due))
        .chain(recorded.map(|hash| (hash, Step::Person, on_record)));
    for (hash, step, text) in steps {
        let (amount_msat, fee_msat) = seen.cost(hash).unzip();
        report.differences.push(Difference {
            hash: Some(hash),
            amount_msat,
            fee_msat,
            ..of_node(id, LOST_PAYMENT, step, text)
        });
    }
    Ok(())
}

impl Seen {
    fn paid(&self) -> impl Iterator<Item = PaymentHash> {
        let paid = self.shown.iter().filter(|(_, last)| foreign::may_have_paid(last));
        paid.map(|(hash, _)| *hash)
    }

    fn cost(&self, hash: PaymentHash) -> Option<(Msat, Msat)> {
        match self.shown.get(&hash)? {
            PayUpdate::Succeeded { amount_msat, fee_msat, .. } => Some((*amount_msat, *fee_msat)),
            PayUpdate::InFlight | PayUpdate::Failed { .. } => None,
        }
    }
}

/// Everything else that is not as it must be.
async fn audited(house: &House, report: &mut RestoreReport) -> Result<(), StoreError> {
    let findings = audit::audit(&house.sockets, &house.nodes()).await?.findings;
    for finding in findings.into_iter().filter(|it| !TOLD_OTHERWISE.contains(&&*it.code)) {
        let known = |it: &Difference| it.code == NODE_NOT_READ && it.node == finding.node;
        let difference = match &*finding.code {
            "settled_but_not_credited" => receipt(house, &finding).await?,
            "node_not_audited" if report.differences.iter().any(known) => continue,
            "node_not_audited" => as_found(finding, NODE_NOT_READ, Step::Due),
            "posted_but_not_paid" | "paid_after_failure" | "payment_contradicted" => {
                let text = format!(
                    "{}: `switchyard payment resolve` says how it ended, on evidence",
                    finding.text
                );
                as_is(AuditFinding { text, ..finding })
            }
            _ => as_is(finding),
        };
        report.differences.push(difference);
    }
    Ok(())
}

/// The ledger knows the invoice: what its node says of it is booked.
async fn receipt(house: &House, finding: &AuditFinding) -> Result<Difference, StoreError> {
    let row = match finding.org.zip(finding.payment) {
        Some((org, payment)) => house.sockets.reads.payment(org, payment).await?,
        None => None,
    };
    let hash = match row {
        Some(Row::Incoming(incoming)) => Some(incoming.hash),
        Some(_) | None => None,
    };
    let found = as_found(finding.clone(), RECEIPT_NOT_BOOKED, Step::Due);
    Ok(Difference { hash, ..found })
}

fn as_is(finding: AuditFinding) -> Difference {
    let code = finding.code.clone();
    Difference { code, ..as_found(finding, "", Step::Person) }
}

fn as_found(finding: AuditFinding, code: &'static str, step: Step) -> Difference {
    Difference {
        code: code.into(),
        step,
        org: finding.org,
        payment: finding.payment,
        node: finding.node,
        hash: None,
        amount_msat: None,
        fee_msat: None,
        text: finding.text,
    }
}

fn of_node(node: NodeId, code: &'static str, step: Step, text: &str) -> Difference {
    Difference {
        code: code.into(),
        step,
        org: None,
        payment: None,
        node: Some(node),
        hash: None,
        amount_msat: None,
        fee_msat: None,
        text: text.to_owned(),
    }
}

fn not_read(node: NodeId, error: &NodeError) -> Difference {
    let text = format!("what it has is not known, so nothing is safe: {error}");
    of_node(node, NODE_NOT_READ, Step::Due, &text)
}
