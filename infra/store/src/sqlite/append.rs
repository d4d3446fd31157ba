//! One batch, one transaction: the fence, the unique claims, then the rows.

use std::collections::BTreeSet;

use domain::{OrgId, Preimage};
use ports::journal::AppendError;
use rusqlite::{Connection, Params, params};

use super::{
    lists::seqs_text,
    sql::{SqlError, bytes, write},
};
use crate::{
    seal::Sealed,
    shape::{Batch, IncomingHash, PaymentRow, direction_number, status_number, to_signed},
};

/// The preimage of an invoice as it is stored.
pub(super) type Seal<'a> = &'a dyn Fn(&Preimage) -> Result<Sealed, SqlError>;

pub(super) fn append(
    connection: &mut Connection,
    batch: &Batch,
    seal: Seal<'_>,
) -> Result<(), AppendError> {
    fail::fail_point!("store::before_append", |_| Err(AppendError::Aborted(
        "fail point".to_owned()
    )));
    write(connection, |open| {
        fence(open, batch)?;
        claim(open, batch, seal)?;
        rows(open, batch)?;
        fail::fail_point!("store::before_commit", |_| Err(AppendError::Aborted(
            "fail point".to_owned()
        )));
        Ok::<_, AppendError>(())
    })?;
    fail::fail_point!("store::after_commit", |_| Err(AppendError::Unknown(
        "fail point".to_owned()
    )));
    Ok(())
}

fn fence(open: &Connection, batch: &Batch) -> Result<(), AppendError> {
    let mut fenced = BTreeSet::new();
    let mut head = Each::prepare(
        open,
        "update org_head set seq = ?4 where org_id = ?1 and epoch = ?2 and seq = ?3",
    )?;
    for row in &batch.heads {
        let (epoch, expected) = (to_signed(row.epoch.0), to_signed(row.expected.0));
        let next = to_signed(row.next.0);
        if !head.touches(params![bytes(&row.org), epoch, expected, next])? {
            fenced.insert(row.org);
        }
    }
    refused(fenced, AppendError::Fenced)
}

fn claim(open: &Connection, batch: &Batch, seal: Seal<'_>) -> Result<(), AppendError> {
    let mut lost = BTreeSet::new();
    claim_payments(open, batch, &mut lost)?;
    claim_outgoing(open, batch, &mut lost)?;
    for row in &batch.incoming {
        if !claim_incoming(open, row, seal)? {
            lost.insert(row.org);
        }
    }
    let mut claim = Each::prepare(
        open,
        "insert into claim (org_id, payer_id, payer_payment_id) values (?1, ?2, ?3)
         on conflict do nothing",
    )?;
    for row in &batch.claims {
        let values = params![bytes(&row.org), bytes(&row.payer), bytes(&row.payer_payment)];
        if !claim.touches(values)? {
            lost.insert(row.org);
        }
    }
    let mut failure = Each::prepare(
        open,
        "insert into failure (hash, node_id, payment_index, creation_time_ns, org_id)
         values (?1, ?2, ?3, ?4, ?5) on conflict do nothing",
    )?;
    for row in &batch.failures {
        let (index, made_at) = (to_signed(row.failure.payment_index), row.failure.creation_time_ns);
        let values = params![row.hash.0, bytes(&row.node), index, made_at, bytes(&row.org)];
        if !failure.touches(values)? {
            lost.insert(row.org);
        }
    }
    refused(lost, AppendError::LostClaim)
}

fn claim_payments(
    open: &Connection,
    batch: &Batch,
    lost: &mut BTreeSet<OrgId>,
) -> Result<(), SqlError> {
    let mut payment = Each::prepare(
        open,
        "insert into payment
             (org_id, payment_id, environment_id, wallet_id, direction, created_at, metadata,
              status, updated_at, updated_seq, seqs, open, failed_hash, body)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         on conflict do nothing",
    )?;
    for row in &batch.new_payments {
        let PaymentRow { org, payment: id, listing: it, updated_seq, seqs, .. } = row;
        let values = params![
            bytes(org),
            bytes(id),
            bytes(&it.environment),
            bytes(&it.wallet),
            direction_number(it.direction),
            it.created_at.millis(),
            it.metadata_json(),
            status_number(it.status),
            it.updated_at.millis(),
            to_signed(updated_seq.0),
            seqs_text(seqs),
            row.open,
            row.failed_hash.map(|hash| hash.0),
            row.body,
        ];
        if !payment.touches(values)? {
            lost.insert(*org);
        }
    }
    Ok(())
}

fn claim_outgoing(
    open: &Connection,
    batch: &Batch,
    lost: &mut BTreeSet<OrgId>,
) -> Result<(), SqlError> {
    let mut freed = Each::prepare(
        open,
        "delete from outgoing_hash where hash = ?1 and org_id = ?2 and payment_id = ?3",
    )?;
    for row in &batch.freed {
        if !freed.touches(params![row.hash.0, bytes(&row.org), bytes(&row.payment)])? {
            lost.insert(row.org);
        }
    }
    let mut claimed = Each::prepare(
        open,
        "insert into outgoing_hash (hash, org_id, payment_id, node_id, attempt)
         values (?1, ?2, ?3, ?4, ?5) on conflict do nothing",
    )?;
    for row in &batch.claimed {
        let (node, attempt) = row.attempt.unzip();
        let node = node.as_ref().map(bytes);
        let values = params![row.hash.0, bytes(&row.org), bytes(&row.payment), node, attempt];
        if !claimed.touches(values)? {
            lost.insert(row.org);
        }
    }
    for row in &batch.kept {
        let values =
            params![row.hash.0, bytes(&row.org), bytes(&row.payment), None::<i64>, None::<i64>];
        claimed.touches(values)?;
    }
    let mut moved = Each::prepare(
        open,
        "update outgoing_hash set node_id = ?3, attempt = ?4 where hash = ?1 and org_id = ?2",
    )?;
    for row in &batch.moved {
        let values = params![row.hash.0, bytes(&row.org), bytes(&row.node), row.attempt];
        if !moved.touches(values)? {
            lost.insert(row.org);
        }
    }
    Ok(())
}

fn claim_incoming(open: &Connection, row: &IncomingHash, seal: Seal<'_>) -> Result<bool, SqlError> {
    let sealed = row.preimage.as_ref().map(seal).transpose()?;
    let (key, preimage) = sealed.map(|sealed| (sealed.key_id, sealed.bytes)).unzip();
    let mut incoming = Each::prepare(
        open,
        "insert into incoming_hash (hash, org_id, payment_id, node_id, preimage, seal_key)
         values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing",
    )?;
    let (org, payment, node) = (bytes(&row.org), bytes(&row.payment), bytes(&row.node));
    incoming.touches(params![row.hash.0, org, payment, node, preimage, key])
}

fn rows(open: &Connection, batch: &Batch) -> Result<(), AppendError> {
    let mut journal = Each::prepare(
        open,
        "insert into journal (org_id, seq, at, payment_id, body) values (?1, ?2, ?3, ?4, ?5)",
    )?;
    for row in &batch.journal {
        let (seq, at) = (to_signed(row.seq.0), row.at.millis());
        let payment = row.payment.as_ref().map(bytes);
        journal.touches(params![bytes(&row.org), seq, at, payment, row.body])?;
    }
    let mut ledger =
        Each::prepare(open, "insert into ledger (org_id, wallet_id, seq) values (?1, ?2, ?3)")?;
    for row in &batch.ledger {
        ledger.touches(params![bytes(&row.org), bytes(&row.wallet), to_signed(row.seq.0)])?;
    }
    let mut standing = Each::prepare(
        open,
        "insert into standing (org_id, kind, id, body) values (?1, ?2, ?3, ?4)
         on conflict do update set body = excluded.body",
    )?;
    for row in &batch.standing {
        let values = params![bytes(&row.org), row.kind.number(), row.id.as_bytes(), row.body];
        standing.touches(values)?;
    }
    update_payments(open, batch)?;
    let mut taken = Each::prepare(
        open,
        "update inbox set booked_msat = max(booked_msat, ?3) where node_id = ?1 and hash = ?2",
    )?;
    for row in &batch.taken {
        taken.touches(params![bytes(&row.node), row.hash.0, to_signed(row.paid_msat.get())])?;
    }
    Ok(())
}

fn update_payments(open: &Connection, batch: &Batch) -> Result<(), AppendError> {
    let mut missing = BTreeSet::new();
    let mut payment = Each::prepare(
        open,
        "update payment
         set open = ?3, failed_hash = ?4, body = ?5, status = ?6, updated_at = ?7,
             updated_seq = ?8,
             seqs = case when ?9 = '' or length(seqs) > 1000 then seqs else seqs || ',' || ?9 end
         where org_id = ?1 and payment_id = ?2",
    )?;
    for row in &batch.payments {
        let failed_hash = row.failed_hash.map(|hash| hash.0);
        let (org, id) = (bytes(&row.org), bytes(&row.payment));
        let values = params![
            org,
            id,
            row.open,
            failed_hash,
            row.body,
            status_number(row.listing.status),
            row.listing.updated_at.millis(),
            to_signed(row.updated_seq.0),
            seqs_text(&row.seqs),
        ];
        if !payment.touches(values)? {
            missing.insert(row.org);
        }
    }
    refused(missing, AppendError::Fenced)
}

fn refused(
    orgs: BTreeSet<OrgId>,
    why: impl FnOnce(Vec<OrgId>) -> AppendError,
) -> Result<(), AppendError> {
    if orgs.is_empty() { Ok(()) } else { Err(why(orgs.into_iter().collect())) }
}

/// A statement that is run for one row after another.
struct Each<'a>(rusqlite::CachedStatement<'a>);

impl<'a> Each<'a> {
    fn prepare(open: &'a Connection, sql: &str) -> Result<Each<'a>, SqlError> {
        Ok(Each(open.prepare_cached(sql)?))
    }

    /// Whether there was such a row to write.
    fn touches(&mut self, values: impl Params) -> Result<bool, SqlError> {
        Ok(self.0.execute(values)? == 1)
    }
}
