//! The auditor: the journal against the rows, the ledger against itself, every node's books against ours.
//!
//! It may run while payments do. Nodes are read before the journals, so that whatever they show was
//! journaled before (`money-safety` rule 12), and what seems to be missing is asked for once more.

mod books;
mod flows;
mod pairs;

use domain::{
    NodeId, OrgId, PaymentId,
    org::{Org, Row},
};
use ports::{
    Reads, StoreError,
    journal::Seq,
    operations::{AuditFinding, AuditReport},
    reads::{PaymentFilter, PaymentOrder},
    receipts::UnknownReceipt,
};

pub(crate) use flows::{now, read as payments_of};

use crate::{house::Sockets, node::NodeHandle, platform::Platform};

/// Rows of the journal, or payments, read at once.
const PAGE: u32 = 1_000;

/// How often an organisation is read again when it has moved on while it was read.
const TRIES: u32 = 5;

impl Platform {
    /// Compares everything that can be compared. Changes nothing.
    pub async fn audit(&self) -> Result<AuditReport, StoreError> {
        audit(&self.house.sockets, &self.house.nodes()).await
    }
}

pub(crate) async fn audit(
    sockets: &Sockets,
    nodes: &[NodeHandle],
) -> Result<AuditReport, StoreError> {
    let mut report =
        AuditReport { frozen: sockets.guard.frozen().await?, ..AuditReport::default() };
    let mut flows = flows::Flows::default();
    let mut shown = Vec::new();
    for node in nodes {
        flows.note(sockets.guard.sightings(node.record.id).await?);
        shown.push(flows::read(node).await);
    }
    let mut pairs = pairs::Pairs::default();
    for record in sockets.directory.orgs().await? {
        let books = read(sockets.reads.as_ref(), record.id, &mut report).await?;
        report.organisations += 1;
        report.payments += count(books.org.outgoing.len() + books.org.incoming.len());
        report.entries += books.entries;
        books::check(&books, &mut report.findings);
        flows.add(&books.org);
        pairs.add(&books.org);
    }
    pairs.check(&mut report.findings);
    for (node, shown) in nodes.iter().zip(shown) {
        report.nodes += 1;
        let matched = sockets.guard.payment_cursor(node.record.id).await?;
        flows.check(sockets.reads.as_ref(), node, matched, shown, &mut report.findings).await?;
    }
    report.findings.extend(unknown_receipts(sockets).await?);
    Ok(report)
}

/// A restored database has lost them (`money-safety` rule 24).
async fn unknown_receipts(sockets: &Sockets) -> Result<Vec<AuditFinding>, StoreError> {
    let unknown = sockets.receipts.unknown_receipts().await?;
    let finding = |UnknownReceipt { node, hash, paid_msat }| {
        let text = format!("{} msat paid for {hash} are not in the ledger", paid_msat.get());
        Finding::of_node(node, "unknown_receipt_on_node", text)
    };
    Ok(unknown.into_iter().map(finding).collect())
}

/// One organisation: its journal replayed, and what is stored of it if it stood still while both were read.
pub(super) struct Books {
    pub(super) org: Org,
    pub(super) stored: Option<Stored>,
    pub(super) entries: u64,
}

pub(super) struct Stored {
    pub(super) rows: Vec<Row>,
    /// Payments that loading reads.
    pub(super) open: Vec<PaymentId>,
}

async fn read(reads: &dyn Reads, id: OrgId, report: &mut AuditReport) -> Result<Books, StoreError> {
    let mut org = Org::new(id, domain::payment::Epoch::default());
    let (mut seq, mut entries) = (Seq::default(), 0);
    let mut contradictions = books::Contradictions::default();
    let mut tries = 0;
    loop {
        let recorded = reads.journal(id, seq, PAGE).await?;
        for (number, recorded) in (seq.0 + 1..).zip(&recorded) {
            if recorded.seq.0 != number {
                let text = format!("the journal goes from {} to {}", number - 1, recorded.seq.0);
                report.findings.push(Finding::of(id, "journal_gap", text));
            }
            org.apply(&recorded.event, recorded.at);
            entries += u64::from(recorded.event.entry().is_some());
            books::check_hold(&org, recorded, &mut report.findings);
            contradictions.read(&org, recorded);
        }
        if let Some(last) = recorded.last() {
            seq = last.seq;
            continue;
        }
        let stored = Stored { rows: rows(reads, id).await?, open: reads.open_payments(id).await? };
        let moved_on = !reads.journal(id, seq, 1).await?.is_empty();
        tries += 1;
        match moved_on && tries < TRIES {
            true => {}
            false => {
                report.findings.extend(contradictions.findings());
                return Ok(Books { org, stored: (!moved_on).then_some(stored), entries });
            }
        }
    }
}

async fn rows(reads: &dyn Reads, org: OrgId) -> Result<Vec<Row>, StoreError> {
    let mut rows = reads.standing(org).await?;
    let of = |row: &Row| match row {
        Row::Environment(environment, _) => Some(*environment),
        Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..)
        | Row::Outgoing(_)
        | Row::Incoming(_) => None,
    };
    let environments: Vec<_> = rows.iter().filter_map(of).collect();
    for environment in environments {
        let (filter, order) = (PaymentFilter::all(environment), PaymentOrder::Created);
        let mut after = None;
        loop {
            let page = reads.find_payments(org, &filter, order, true, after, 0, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.place(order));
            rows.extend(page.into_iter().map(|listed| listed.row));
        }
    }
    Ok(rows)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Makes findings.
pub(super) struct Finding;

impl Finding {
    pub(super) fn of(org: OrgId, code: &'static str, text: String) -> AuditFinding {
        AuditFinding { code: code.into(), org: Some(org), payment: None, node: None, text }
    }

    pub(super) fn of_payment(
        org: OrgId,
        payment: PaymentId,
        code: &'static str,
        text: String,
    ) -> AuditFinding {
        AuditFinding { code: code.into(), org: Some(org), payment: Some(payment), node: None, text }
    }

    pub(super) fn of_node(node: NodeId, code: &'static str, text: String) -> AuditFinding {
        AuditFinding { code: code.into(), org: None, payment: None, node: Some(node), text }
    }
}
