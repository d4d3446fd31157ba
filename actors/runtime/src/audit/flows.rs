//! Every node's own books against ours, both ways (`money-safety` rule 24).

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    time::Duration,
};

use domain::{
    Msat, NodeId, OrgId, PaymentHash, PaymentId,
    org::{Org, Outgoing, OutgoingState, Row},
    payment::{Attempt, AttemptEnd},
};
use ports::{
    Reads, StoreError,
    guard::Sighting,
    lightning::{NodeError, NodePayment, PayUpdate},
    operations::AuditFinding,
};
use tokio::time::{sleep, timeout};

use super::Finding;
use crate::node::NodeHandle;

/// How long a node may take to say what it knows of one payment.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a settled invoice may take to be credited: five seconds.
const BOOKING_TRIES: u32 = 50;
const BOOKING_PAUSE: Duration = Duration::from_millis(100);

/// All outgoing payments that a node shows.
pub(crate) async fn read(node: &NodeHandle) -> Result<Vec<NodePayment>, NodeError> {
    let (mut shown, mut after) = (Vec::new(), 0);
    loop {
        let page = node.lightning.payments(after).await?;
        let Some(last) = page.iter().map(|payment| payment.payment_index).max() else {
            return Ok(shown);
        };
        after = last;
        shown.extend(page);
    }
}

/// What our books say of each node.
#[derive(Default)]
pub(super) struct Flows {
    shown: HashSet<Sighting>,
    tried: HashMap<(NodeId, PaymentHash), Vec<Tried>>,
    received: HashMap<NodeId, Vec<Received>>,
}

#[derive(Clone, Copy)]
struct Tried {
    org: OrgId,
    payment: PaymentId,
    end: Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Open,
    /// Open, and the node has had it.
    Shown,
    Paid {
        amount_msat: Msat,
        fee_msat: Msat,
    },
    Failed,
    /// A person has said that it was paid, whatever the node shows.
    Explained,
}

struct Received {
    org: OrgId,
    payment: PaymentId,
    hash: PaymentHash,
    by_node_msat: Msat,
}

impl Flows {
    /// What nodes have shown.
    pub(super) fn note(&mut self, sightings: Vec<(Sighting, bool)>) {
        self.shown.extend(sightings.into_iter().map(|(sighting, _)| sighting));
    }

    pub(super) fn add(&mut self, org: &Org) {
        for payment in org.outgoing.values() {
            for attempt in &payment.attempts {
                let end = self.ended(org.id, payment, attempt);
                let tried = Tried { org: org.id, payment: payment.id, end };
                self.tried.entry((attempt.node, payment.hash())).or_default().push(tried);
            }
        }
        for payment in org.incoming.values() {
            let received = Received {
                org: org.id,
                payment: payment.id,
                hash: payment.hash,
                by_node_msat: payment.credited_by_node_msat(),
            };
            self.received.entry(payment.node).or_default().push(received);
        }
    }

    fn ended(&self, org: OrgId, payment: &Outgoing, attempt: &Attempt) -> Ended {
        let (node, hash) = (attempt.node, payment.hash());
        let shown = || self.shown.contains(&Sighting { node, org, payment: payment.id, hash });
        let explained = payment.resolved.is_some();
        match (attempt.end, payment.state) {
            (Some(AttemptEnd::Paid { .. }), _) if explained => Ended::Explained,
            (Some(AttemptEnd::Paid { .. }), OutgoingState::Posted { fee_msat, .. }) => {
                Ended::Paid { amount_msat: payment.amount_msat, fee_msat }
            }
            (Some(AttemptEnd::Failed { .. }), _) => Ended::Failed,
            (None, _) if shown() => Ended::Shown,
            (Some(AttemptEnd::Paid { .. }) | None, _) => Ended::Open,
        }
    }

    pub(super) async fn check(
        &self,
        reads: &dyn Reads,
        node: &NodeHandle,
        matched: u64,
        shown: Result<Vec<NodePayment>, NodeError>,
        findings: &mut Vec<AuditFinding>,
    ) -> Result<(), StoreError> {
        let id = node.record.id;
        let shown = match shown {
            Ok(shown) => shown,
            Err(error) => {
                let text = format!("its books could not be read: {error}");
                findings.push(Finding::of_node(id, "node_not_audited", text));
                return Ok(());
            }
        };
        let of_pool = node.record.owner.is_none();
        // What is older than our books, or a person has taken as explained, is not a finding again.
        for payment in shown.iter().filter(|row| !row.probe && row.payment_index > matched) {
            if of_pool && !self.tried.contains_key(&(id, payment.hash)) {
                let text = format!("payment {} is not in the ledger", payment.hash);
                findings.push(Finding::of_node(id, "unknown_payment_on_node", text));
            }
        }
        let shown: HashMap<_, _> =
            shown.into_iter().map(|payment| (payment.hash, payment.last)).collect();
        let of_node = self.tried.iter().filter(|((node, _), _)| *node == id);
        for ((_, hash), tried) in of_node {
            // A hash that failed may be paid by a later payment, which then is the one that agrees.
            let later = tried.iter().any(|tried| tried.end != Ended::Failed);
            for tried in tried.iter().filter(|tried| !(later && tried.end == Ended::Failed)) {
                if !agrees(tried.end, shown.get(hash)) {
                    self.ask_again(node, *hash, *tried, findings).await;
                }
            }
        }
        for received in self.received.get(&id).into_iter().flatten() {
            check_received(reads, node, received, findings).await?;
        }
        Ok(())
    }

    /// What the list did not show may have ended since.
    async fn ask_again(
        &self,
        node: &NodeHandle,
        hash: PaymentHash,
        tried: Tried,
        findings: &mut Vec<AuditFinding>,
    ) {
        let id = node.record.id;
        let Ok(Ok(now)) = timeout(ANSWER, now(node, hash)).await else {
            let text = format!("payment {hash} could not be looked up");
            findings.push(Finding::of_node(id, "node_not_audited", text));
            return;
        };
        if !agrees(tried.end, now.as_ref()) {
            let (code, text) = match tried.end {
                Ended::Paid { .. } => {
                    ("posted_but_not_paid", "posted, but the node says otherwise")
                }
                Ended::Failed => ("paid_after_failure", "failed, but the node has paid it"),
                Ended::Shown => ("lost_by_node", "in flight, but the node no longer has it"),
                Ended::Open | Ended::Explained => return,
            };
            let mut finding = Finding::of_payment(tried.org, tried.payment, code, text.to_owned());
            finding.node = Some(id);
            findings.push(finding);
        }
    }
}

/// What it knows of one payment.
pub(crate) async fn now(
    node: &NodeHandle,
    hash: PaymentHash,
) -> Result<Option<PayUpdate>, NodeError> {
    match node.lightning.track(hash).await? {
        Some(mut stream) => Ok(stream.next().await.and_then(Result::ok)),
        None => Ok(None),
    }
}

fn agrees(end: Ended, shown: Option<&PayUpdate>) -> bool {
    match (end, shown) {
        (
            Ended::Paid { amount_msat, fee_msat },
            Some(PayUpdate::Succeeded { amount_msat: amount, fee_msat: fee, .. }),
        ) => (amount_msat, fee_msat) == (*amount, *fee),
        (Ended::Paid { .. }, _) => false,
        (Ended::Failed, Some(PayUpdate::Succeeded { .. })) => false,
        (Ended::Shown, None) => false,
        (Ended::Failed | Ended::Open | Ended::Shown | Ended::Explained, _) => true,
    }
}

async fn check_received(
    reads: &dyn Reads,
    node: &NodeHandle,
    received: &Received,
    findings: &mut Vec<AuditFinding>,
) -> Result<(), StoreError> {
    let (org, payment) = (received.org, received.payment);
    let settled = match node.lightning.settled(received.hash).await {
        Ok(settled) => settled.map_or(Msat::ZERO, |settled| settled.paid_msat),
        Err(error) => {
            let text = format!("an invoice could not be looked up: {error}");
            findings.push(Finding::of_node(node.record.id, "node_not_audited", text));
            return Ok(());
        }
    };
    let mut credited = received.by_node_msat;
    // What is settled may be on its way through the inbox.
    for _ in 0..BOOKING_TRIES {
        if credited >= settled {
            break;
        }
        sleep(BOOKING_PAUSE).await;
        if let Some(Row::Incoming(payment)) = reads.payment(org, payment).await? {
            credited = payment.credited_by_node_msat();
        }
    }
    let code = match credited.cmp(&settled) {
        Ordering::Equal => return Ok(()),
        Ordering::Less => "settled_but_not_credited",
        Ordering::Greater => "credited_but_not_settled",
    };
    let text = format!("{} msat credited, {} settled on the node", credited.get(), settled.get());
    let finding = Finding::of_payment(org, payment, code, text);
    findings.push(AuditFinding { node: Some(node.record.id), ..finding });
    Ok(())
}
