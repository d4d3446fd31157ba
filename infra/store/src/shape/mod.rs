//! A batch of appends as the rows of tables: what every store writes, worked out once.
//!
//! All vectors are sorted by the key of their table and hold each key at most once, with what
//! stands after the whole batch. A store writes them in the order of [`Batch`]'s fields, and reads
//! before COMMIT that each statement has touched every row it was given.

mod listing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    NodeId, OrgId, PaymentHash, PaymentId, Preimage, Timestamp, WalletId,
    ledger::Account,
    lightning::FailureId,
    org::{Event, Outgoing, Row, RowKey, Unique},
    payment::{AttemptEnd, Epoch},
};
use ports::journal::{Append, AppendError, Seq, Taken};
use uuid::Uuid;

pub(crate) use listing::{
    Listing, direction_number, direction_of, metadata_json, status_number, status_of,
};

#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The fence. A head that does not stand so means [`AppendError::Fenced`].
    pub(crate) heads: Vec<Head>,

    /// To be inserted; one that is there already means [`AppendError::LostClaim`].
    pub(crate) new_payments: Vec<PaymentRow>,
    /// To be deleted, before others claim: one that is not so held means a lost claim.
    pub(crate) freed: Vec<FreedHash>,
    /// To be inserted; one that is there already means a lost claim.
    pub(crate) claimed: Vec<ClaimedHash>,
    /// To be updated where the organisation holds it; one that it does not hold means a lost claim.
    pub(crate) moved: Vec<MovedHash>,
    /// To be inserted where nobody holds the hash; one that is there already stays as it is.
    pub(crate) kept: Vec<ClaimedHash>,
    /// To be inserted; one that is there already means a lost claim.
    pub(crate) incoming: Vec<IncomingHash>,
    /// To be inserted; one that is there already means a lost claim.
    pub(crate) claims: Vec<ClaimRow>,
    /// To be inserted; one that is there already means a lost claim (`money-safety` rule 13).
    pub(crate) failures: Vec<FailureRow>,

    pub(crate) journal: Vec<JournalRow>,
    pub(crate) ledger: Vec<LedgerRow>,
    /// To be inserted or replaced.
    pub(crate) standing: Vec<StandingRow>,
    /// To be updated. One that is not there means that the writer's memory is not what is stored:
    /// [`AppendError::Fenced`].
    pub(crate) payments: Vec<PaymentRow>,
    /// Receipts that are booked up to an amount, never less than before; one that the inbox does
    /// not have came by another way and is let pass.
    pub(crate) taken: Vec<Taken>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) org: OrgId,
    pub(crate) epoch: Epoch,
    pub(crate) expected: Seq,
    pub(crate) next: Seq,
}

#[derive(Debug)]
pub(crate) struct PaymentRow {
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
    pub(crate) listing: Listing,
    /// The positions of the events of this batch, of which the last is where it changed last.
    pub(crate) seqs: Vec<Seq>,
    pub(crate) updated_seq: Seq,
    /// Whether something is still to be done or awaited: what loading reads.
    pub(crate) open: bool,
    /// The hash of a send that a node has failed or contradicted: the hash may be with another
    /// payment by now, or with none, and this is where [`ports::Guard::unknown_payments`] finds it.
    pub(crate) failed_hash: Option<PaymentHash>,
    pub(crate) body: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FreedHash {
    pub(crate) hash: PaymentHash,
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ClaimedHash {
    pub(crate) hash: PaymentHash,
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
    /// The node and number of the attempt; `None` while there is none, as on the internal rail.
    pub(crate) attempt: Option<(NodeId, u32)>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct MovedHash {
    pub(crate) hash: PaymentHash,
    pub(crate) org: OrgId,
    pub(crate) node: NodeId,
    pub(crate) attempt: u32,
}

#[derive(Debug)]
pub(crate) struct IncomingHash {
    pub(crate) hash: PaymentHash,
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
    pub(crate) node: NodeId,
    /// To be sealed into the same row, under the hash.
    pub(crate) preimage: Option<Preimage>,
}

/// The payee's one answer to a payer's payment, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClaimRow {
    /// The payee.
    pub(crate) org: OrgId,
    pub(crate) payer: OrgId,
    pub(crate) payer_payment: PaymentId,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FailureRow {
    pub(crate) hash: PaymentHash,
    pub(crate) node: NodeId,
    pub(crate) failure: FailureId,
    pub(crate) org: OrgId,
}

#[derive(Debug)]
pub(crate) struct JournalRow {
    pub(crate) org: OrgId,
    pub(crate) seq: Seq,
    pub(crate) at: Timestamp,
    pub(crate) payment: Option<PaymentId>,
    pub(crate) body: Vec<u8>,
}

/// An event that moves a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LedgerRow {
    pub(crate) org: OrgId,
    pub(crate) wallet: WalletId,
    pub(crate) seq: Seq,
}

/// An environment, line, node, wallet or account.
#[derive(Debug)]
pub(crate) struct StandingRow {
    pub(crate) org: OrgId,
    pub(crate) kind: Kind,
    /// Nil for an account that an organisation has only one of.
    pub(crate) id: Uuid,
    pub(crate) body: Vec<u8>,
}

/// Kinds of standing rows, in the order in which they sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Environment,
    Line,
    Node,
    Wallet,
    WalletAccount,
    NodeAccount,
    ClearingAccount,
}

impl Kind {
    /// What stands in the store. A kind keeps its number for ever.
    pub(crate) fn number(self) -> i16 {
        match self {
            Kind::Environment => 1,
            Kind::Line => 2,
            Kind::Node => 3,
            Kind::Wallet => 4,
            Kind::WalletAccount => 5,
            Kind::NodeAccount => 6,
            Kind::ClearingAccount => 7,
        }
    }
}

/// Integers above 63 bits have no place in SQL; what wraps around comes back as it was.
pub(crate) fn to_signed(value: u64) -> i64 {
    i64::from_ne_bytes(value.to_ne_bytes())
}

pub(crate) fn from_signed(value: i64) -> u64 {
    u64::from_ne_bytes(value.to_ne_bytes())
}

impl Batch {
    /// Refuses what contradicts itself, before any store is asked: two claims of one fact, and
    /// appends that do not follow each other.
    pub(crate) fn of(appends: &[Append]) -> Result<Batch, AppendError> {
        let mut gathering = Gathering::default();
        appends.iter().for_each(|append| gathering.append(append));
        gathering.finish()
    }
}

/// Keeps for each key what stands last; nothing is encoded that a later append of the batch
/// replaces.
#[derive(Default)]
struct Gathering<'a> {
    batch: Batch,
    heads: BTreeMap<OrgId, Head>,
    new_payments: BTreeSet<(OrgId, PaymentId)>,
    /// With the position after which the row stands so.
    payments: BTreeMap<(OrgId, PaymentId), (&'a Row, Seq)>,
    seqs: BTreeMap<(OrgId, PaymentId), Vec<Seq>>,
    standing: BTreeMap<(OrgId, Kind, Uuid), &'a Row>,
    freed: BTreeMap<PaymentHash, FreedHash>,
    claimed: BTreeMap<PaymentHash, ClaimedHash>,
    moved: BTreeMap<PaymentHash, MovedHash>,
    kept: BTreeMap<PaymentHash, ClaimedHash>,
    incoming: BTreeMap<PaymentHash, IncomingHash>,
    claims: BTreeSet<ClaimRow>,
    failures: BTreeMap<(PaymentHash, NodeId, FailureId), FailureRow>,
    taken: BTreeMap<(NodeId, PaymentHash), Taken>,
    ledger: BTreeSet<LedgerRow>,
    fenced: BTreeSet<OrgId>,
    lost: BTreeSet<OrgId>,
}

impl<'a> Gathering<'a> {
    fn append(&mut self, append: &'a Append) {
        let mut seq = append.expected;
        for event in &append.events {
            seq = Seq(seq.0 + 1);
            let row = JournalRow {
                org: append.org,
                seq,
                at: append.at,
                payment: event.payment(),
                body: codec::event_to_bytes(event),
            };
            if let Some(payment) = row.payment {
                self.seqs.entry((append.org, payment)).or_default().push(seq);
            }
            self.batch.journal.push(row);
            event.uniques().into_iter().for_each(|unique| self.unique(append, unique));
            let wallets = wallets_moved(event, &append.rows);
            let rows = wallets.map(|wallet| LedgerRow { org: append.org, wallet, seq });
            self.ledger.extend(rows);
        }
        self.head(append, seq);
        append.rows.iter().for_each(|row| self.row(append.org, row, seq));
        for taken in &append.taken {
            let kept = self.taken.entry((taken.node, taken.hash)).or_insert(*taken);
            kept.paid_msat = kept.paid_msat.max(taken.paid_msat);
        }
    }

    fn head(&mut self, append: &Append, next: Seq) {
        let (org, epoch, expected) = (append.org, append.epoch, append.expected);
        let head = self.heads.entry(org).or_insert(Head { org, epoch, expected, next: expected });
        if head.next != expected || head.epoch != epoch {
            self.fenced.insert(org);
        }
        head.next = next;
    }

    fn row(&mut self, org: OrgId, row: &'a Row, seq: Seq) {
        if let Some((kind, id)) = standing_key(row) {
            self.standing.insert((org, kind, id), row);
        }
        if let Some(payment) = payment_of(row) {
            self.payments.insert((org, payment), (row, seq));
        }
    }

    fn unique(&mut self, append: &Append, unique: Unique) {
        let org = append.org;
        let first = match unique {
            Unique::Payment(payment) => self.new_payments.insert((org, payment)),
            Unique::OutgoingHash { hash, payment } => {
                let claimed = ClaimedHash { hash, org, payment, attempt: None };
                self.claimed.insert(hash, claimed).is_none()
            }
            Unique::OutgoingHashMoved { hash, node, attempt } => {
                self.move_hash(MovedHash { hash, org, node, attempt })
            }
            Unique::OutgoingHashFreed { hash, payment } => {
                self.free_hash(FreedHash { hash, org, payment })
            }
            Unique::OutgoingHashKept { hash, payment } => {
                let kept = ClaimedHash { hash, org, payment, attempt: None };
                self.kept.entry(hash).or_insert(kept);
                true
            }
            Unique::IncomingHash { hash, payment, node } => {
                let mut preimages = append.preimages.iter();
                let preimage = preimages.find(|preimage| preimage.hash() == hash).copied();
                let incoming = IncomingHash { hash, org, payment, node, preimage };
                self.incoming.insert(hash, incoming).is_none()
            }
            Unique::Claim { payer, payer_payment } => {
                self.claims.insert(ClaimRow { org, payer, payer_payment })
            }
            Unique::Failure { node, hash, failure } => {
                let row = FailureRow { hash, node, failure, org };
                self.failures.insert((hash, node, failure), row).is_none()
            }
        };
        if !first {
            self.lost.insert(org);
        }
    }

    fn move_hash(&mut self, moved: MovedHash) -> bool {
        match self.claimed.get_mut(&moved.hash) {
            Some(claimed) => {
                claimed.attempt = Some((moved.node, moved.attempt));
                claimed.org == moved.org
            }
            None => self.moved.insert(moved.hash, moved).is_none_or(|old| old.org == moved.org),
        }
    }

    fn free_hash(&mut self, freed: FreedHash) -> bool {
        // What is claimed and freed in one batch leaves nothing behind.
        if let Some(claimed) = self.claimed.remove(&freed.hash) {
            return claimed.org == freed.org && claimed.payment == freed.payment;
        }
        self.moved.remove(&freed.hash);
        self.freed.insert(freed.hash, freed).is_none()
    }

    fn finish(mut self) -> Result<Batch, AppendError> {
        self.encode_payments();
        if !self.fenced.is_empty() {
            return Err(AppendError::Fenced(self.fenced.into_iter().collect()));
        }
        if !self.lost.is_empty() {
            return Err(AppendError::LostClaim(self.lost.into_iter().collect()));
        }
        let mut batch = self.batch;
        batch.journal.sort_unstable_by_key(|row| (row.org, row.seq));
        batch.heads = self.heads.into_values().collect();
        batch.freed = self.freed.into_values().collect();
        batch.claimed = self.claimed.into_values().collect();
        batch.moved = self.moved.into_values().collect();
        batch.kept = self.kept.into_values().collect();
        batch.incoming = self.incoming.into_values().collect();
        batch.claims = self.claims.into_iter().collect();
        batch.failures = self.failures.into_values().collect();
        batch.ledger = self.ledger.into_iter().collect();
        batch.taken = self.taken.into_values().collect();
        let standing = self.standing.into_iter().map(|((org, kind, id), row)| StandingRow {
            org,
            kind,
            id,
            body: codec::row_to_bytes(row),
        });
        batch.standing = standing.collect();
        Ok(batch)
    }

    fn encode_payments(&mut self) {
        for ((org, payment), (row, at)) in &self.payments {
            let seqs = self.seqs.remove(&(*org, *payment)).unwrap_or_default();
            let Some(row) = PaymentRow::of(*org, row, seqs, *at) else { continue };
            match self.new_payments.remove(&(*org, *payment)) {
                true => self.batch.new_payments.push(row),
                false => self.batch.payments.push(row),
            }
        }
        // An id was claimed but its row was not given: the writer does not keep the contract.
        for (org, payment) in &self.new_payments {
            tracing::error!(%org, %payment, "a new payment came without its row");
            self.fenced.insert(*org);
        }
    }
}

impl PaymentRow {
    /// `None` for a row of another kind.
    fn of(org: OrgId, row: &Row, seqs: Vec<Seq>, at: Seq) -> Option<PaymentRow> {
        let listing = Listing::of(row)?;
        let (open, failed_hash) = match row {
            Row::Outgoing(it) => (it.is_open(), failed_hash(it)),
            Row::Incoming(it) => (it.is_open(), None),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => return None,
        };
        let (payment, body) = (listing.payment, codec::row_to_bytes(row));
        let updated_seq = seqs.last().copied().unwrap_or(at);
        Some(PaymentRow { org, payment, listing, seqs, updated_seq, open, failed_hash, body })
    }
}

/// What a standing row is stored under; `None` for a payment.
pub(crate) fn standing_key(row: &Row) -> Option<(Kind, Uuid)> {
    Some(match row {
        Row::Environment(id, _) => (Kind::Environment, *id.uuid()),
        Row::Line(id, _) => (Kind::Line, *id.uuid()),
        Row::Node(id, _) => (Kind::Node, *id.uuid()),
        Row::Wallet(id, _) => (Kind::Wallet, *id.uuid()),
        Row::Account(Account::Wallet(id), _) => (Kind::WalletAccount, *id.uuid()),
        Row::Account(Account::Node(id), _) => (Kind::NodeAccount, *id.uuid()),
        Row::Account(Account::Clearing, _) => (Kind::ClearingAccount, Uuid::nil()),
        Row::Outgoing(_) | Row::Incoming(_) => return None,
    })
}

fn payment_of(row: &Row) -> Option<PaymentId> {
    match row.key() {
        RowKey::Outgoing(payment) | RowKey::Incoming(payment) => Some(payment),
        RowKey::Environment(_)
        | RowKey::Line(_)
        | RowKey::Node(_)
        | RowKey::Wallet(_)
        | RowKey::Account(_) => None,
    }
}

fn failed_hash(payment: &Outgoing) -> Option<PaymentHash> {
    let failed = |end: &Option<AttemptEnd>| matches!(end, Some(AttemptEnd::Failed { .. }));
    let any = payment.attempts.iter().any(|attempt| failed(&attempt.end));
    (any || payment.contradicted).then(|| payment.hash())
}

/// The wallets whose entries or holds the event changes.
fn wallets_moved<'a>(event: &'a Event, rows: &'a [Row]) -> impl Iterator<Item = WalletId> + 'a {
    let of_hold = match event {
        Event::Held { terms, .. } => Some(terms.wallet),
        Event::Voided { payment, .. } => rows.iter().find_map(|row| match row {
            Row::Outgoing(it) if it.id == *payment => Some(it.terms.wallet),
            Row::Outgoing(_)
            | Row::Incoming(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => None,
        }),
        Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::SendRefused { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Posted { .. }
        | Event::Contradicted { .. }
        | Event::Resolved { .. }
        | Event::CancelRequested { .. }
        | Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => None,
    };
    let postings = event.entry().into_iter().flat_map(|entry| entry.postings());
    let by_entry = postings.filter_map(|posting| match posting.account {
        Account::Wallet(wallet) => Some(wallet),
        Account::Node(_) | Account::Clearing => None,
    });
    of_hold.into_iter().chain(by_entry)
}
