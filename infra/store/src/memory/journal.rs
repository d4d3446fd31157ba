use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::{
    NodeId, OrgId, PaymentHash, PaymentId, Preimage, SessionId,
    broken::{self, Rule},
    lightning::FailureId,
    org::Org,
    payment::Epoch,
};
use ports::{
    Journal, StoreError,
    journal::{Append, AppendError, Issued, Known, LoadError, Loaded, Question},
    placement::Shard,
};
use uuid::Uuid;

use super::{Memory, Position, Tables};
use crate::shape::{Batch, ClaimRow, ClaimedHash, PaymentRow};

#[async_trait]
impl Journal for Memory {
    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        let (now, mut tables) = (self.clock.now(), self.tables());
        if !tables.is_alive(session, now) || !tables.owns(session, Shard::of(org)) {
            return Err(LoadError::NotOwner);
        }
        tables.load(org)
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        self.tables().append(Batch::of(batch)?)
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        let tables = self.tables();
        questions.iter().map(|question| tables.look_up(question)).collect()
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        Ok(self.tables().incoming_hash.get(&hash).and_then(|incoming| incoming.preimage))
    }
}

impl Tables {
    fn load(&mut self, org: OrgId) -> Result<Loaded, LoadError> {
        let head = self.org_head.get_mut(&org).ok_or(LoadError::NotFound(org))?;
        head.epoch = Epoch(head.epoch.0 + 1);
        let Position { epoch, seq } = *head;
        let mut rows = self.standing_of(org)?;
        for payment in self.payments_of(org).filter(|payment| payment.open) {
            rows.push(codec::row_from_bytes(&payment.body)?);
        }
        Ok(Loaded { org: Org::from_rows(org, epoch, rows), seq })
    }

    /// Looks at everything before it changes anything, so that a refusal leaves no trace.
    fn append(&mut self, batch: Batch) -> Result<(), AppendError> {
        fenced(self.moved_heads(&batch))?;
        let lost = self.lost_claims(&batch);
        if !lost.is_empty() {
            return Err(AppendError::LostClaim(lost.into_iter().collect()));
        }
        let missing = batch.payments.iter();
        let missing = missing.filter(|row| !self.payment.contains_key(&(row.org, row.payment)));
        fenced(missing.map(|row| row.org).collect())?;
        self.write(batch);
        Ok(())
    }

    fn moved_heads(&self, batch: &Batch) -> BTreeSet<OrgId> {
        let moved = batch.heads.iter().filter(|head| {
            let stands = self.org_head.get(&head.org);
            stands.is_none_or(|at| {
                let lost = at.epoch != head.epoch && !broken::is(Rule::Epoch);
                lost || at.seq != head.expected
            })
        });
        moved.map(|head| head.org).collect()
    }

    fn lost_claims(&self, batch: &Batch) -> BTreeSet<OrgId> {
        let freed: BTreeSet<PaymentHash> = batch.freed.iter().map(|row| row.hash).collect();
        let held = |hash| self.outgoing_hash.get(hash).filter(|_| !freed.contains(hash));
        let mut lost = BTreeSet::new();
        let ids = batch.new_payments.iter();
        let ids = ids.filter(|row| self.payment.contains_key(&(row.org, row.payment)));
        lost.extend(ids.map(|row| row.org));
        let freed = batch.freed.iter().filter(|row| {
            let holder = self.outgoing_hash.get(&row.hash);
            holder.is_none_or(|it| it.org != row.org || it.payment != row.payment)
        });
        lost.extend(freed.map(|row| row.org));
        let claimed = batch.claimed.iter().filter(|row| held(&row.hash).is_some());
        let claimed = claimed.filter(|_| !broken::is(Rule::OnePaymentForAHash));
        lost.extend(claimed.map(|row| row.org));
        let moved = batch.moved.iter();
        let moved = moved.filter(|row| held(&row.hash).is_none_or(|it| it.org != row.org));
        lost.extend(moved.map(|row| row.org));
        let incoming = batch.incoming.iter();
        let incoming = incoming.filter(|row| self.incoming_hash.contains_key(&row.hash));
        lost.extend(incoming.map(|row| row.org));
        let claims = batch.claims.iter().filter(|row| self.claim.contains(row));
        lost.extend(claims.map(|row| row.org));
        let failures = batch.failures.iter();
        let failures =
            failures.filter(|row| self.failure.contains(&(row.hash, row.node, row.failure)));
        lost.extend(failures.map(|row| row.org));
        lost
    }

    fn write(&mut self, batch: Batch) {
        for head in batch.heads {
            self.org_head.insert(head.org, Position { epoch: head.epoch, seq: head.next });
        }
        for row in batch.freed {
            self.outgoing_hash.remove(&row.hash);
        }
        self.outgoing_hash.extend(batch.claimed.into_iter().map(|row| (row.hash, row)));
        for row in batch.kept {
            self.outgoing_hash.entry(row.hash).or_insert(row);
        }
        for row in batch.moved {
            let moved = |held: &mut ClaimedHash| held.attempt = Some((row.node, row.attempt));
            self.outgoing_hash.entry(row.hash).and_modify(moved);
        }
        self.incoming_hash.extend(batch.incoming.into_iter().map(|row| (row.hash, row)));
        self.claim.extend(batch.claims);
        let failures = batch.failures.into_iter();
        self.failure.extend(failures.map(|row| (row.hash, row.node, row.failure)));
        self.journal.extend(batch.journal.into_iter().map(|row| ((row.org, row.seq), row)));
        self.ledger.extend(batch.ledger);
        let standing = batch.standing.into_iter();
        self.standing.extend(standing.map(|row| ((row.org, row.kind, row.id), row.body)));
        for mut row in batch.new_payments.into_iter().chain(batch.payments) {
            let key = (row.org, row.payment);
            if let Some(before) = self.payment.remove(&key) {
                row.seqs.splice(0..0, before.seqs);
            }
            self.payment.insert(key, row);
        }
        for taken in batch.taken {
            if let Some(receipt) = self.inbox.get_mut(&(taken.node, taken.hash)) {
                receipt.booked_msat = receipt.booked_msat.max(taken.paid_msat);
            }
        }
    }

    fn look_up(&self, question: &Question) -> Result<Known, StoreError> {
        let payment = self.payment.get(&(question.org, question.payment));
        let payment = payment.map(|row| codec::row_from_bytes(&row.body)).transpose()?;
        let claim_seen = question.claim.is_some_and(|(payer, payer_payment)| {
            let org = question.org;
            self.claim.contains(&ClaimRow { org, payer, payer_payment })
        });
        let Some(hash) = question.hash else {
            return Ok(Known { payment, claim_seen, ..Known::default() });
        };
        let issued = self.incoming_hash.get(&hash);
        Ok(Known {
            payment,
            paid_by: self.outgoing_hash.get(&hash).map(|held| (held.org, held.payment)),
            foreign_on: self.foreign_payment.get(&hash).map(|(node, _)| *node),
            issued: issued.map(|it| Issued { org: it.org, payment: it.payment, node: it.node }),
            older_failures: self.failures_of(hash),
            claim_seen,
        })
    }

    fn failures_of(&self, hash: PaymentHash) -> Vec<(NodeId, FailureId)> {
        let of_hash = self.failure.iter().filter(|(failed, _, _)| *failed == hash);
        of_hash.map(|(_, node, failure)| (*node, *failure)).collect()
    }

    pub(super) fn payments_of(&self, org: OrgId) -> impl Iterator<Item = &PaymentRow> {
        let first = PaymentId::new(Uuid::nil());
        let last = PaymentId::new(Uuid::max());
        self.payment.range((org, first)..=(org, last)).map(|(_, row)| row)
    }
}

fn fenced(orgs: BTreeSet<OrgId>) -> Result<(), AppendError> {
    if orgs.is_empty() { Ok(()) } else { Err(AppendError::Fenced(orgs.into_iter().collect())) }
}
