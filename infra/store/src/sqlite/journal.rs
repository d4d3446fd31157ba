use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    NodeId, OrgId, PaymentHash, Preimage, SessionId, Timestamp, lightning::FailureId, org::Org,
    payment::Epoch,
};
use ports::{
    Journal, StoreError,
    journal::{Append, AppendError, Issued, Known, LoadError, Loaded, Question, Seq},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Sqlite, append,
    reads::{self, payment, standing},
    sql::{SqlError, bytes, id, write},
    worker::Lost,
};
use crate::{
    seal::{Place, SealError, Sealed},
    shape::{Batch, from_signed},
};

#[async_trait]
impl Journal for Sqlite {
    async fn load(&self, org: OrgId, session: SessionId) -> Result<Loaded, LoadError> {
        let now = self.clock.now();
        let loaded = self.writer.run(move |connection| {
            write(connection, |open| {
                let loaded = load(open, org, session, now)?;
                fail::fail_point!("store::load_before_commit", |_| Err(LoadError::Store(
                    StoreError::Unavailable("fail point".to_owned())
                )));
                Ok(loaded)
            })
        });
        // Loading again is always safe, so a lost answer needs no name of its own.
        loaded.await.map_err(|lost: Lost| LoadError::Store(lost.into()))?
    }

    async fn append(&self, batch: &[Append]) -> Result<(), AppendError> {
        // Encoded here, not on the writer's thread: that is the one everybody waits for.
        let batch = Batch::of(batch)?;
        let keys = Arc::clone(&self.keys);
        let done = self.writer.run(move |connection| {
            let seal = |preimage: &Preimage| {
                let sealed = keys.seal(Place::Preimage(preimage.hash()), &preimage.0);
                sealed.map_err(|error| StoreError::Unavailable(error.to_string()).into())
            };
            append::append(connection, &batch, &seal)
        });
        done.await.map_err(|_: Lost| AppendError::Unknown(Lost::WHY.to_owned()))?
    }

    async fn look_up(&self, questions: &[Question]) -> Result<Vec<Known>, StoreError> {
        let questions = questions.to_vec();
        self.read(move |open| questions.iter().map(|question| look_up(open, question)).collect())
            .await
    }

    async fn preimage(&self, hash: PaymentHash) -> Result<Option<Preimage>, StoreError> {
        let sealed = self.read(move |open| {
            let sql = "select preimage, seal_key from incoming_hash
                       where hash = ?1 and preimage is not null";
            let mut find = open.prepare_cached(sql)?;
            let row = find
                .query_row([hash.0], |row| Ok(Sealed { bytes: row.get(0)?, key_id: row.get(1)? }));
            Ok(row.optional()?)
        });
        let Some(sealed) = sealed.await? else { return Ok(None) };
        let corrupt = |error: SealError| StoreError::Corrupt(error.to_string());
        let opened = self.keys.open(Place::Preimage(hash), &sealed).map_err(corrupt)?;
        let preimage = opened.try_into().map(Preimage).ok();
        match preimage.filter(|preimage| preimage.hash() == hash) {
            Some(preimage) => Ok(Some(preimage)),
            None => Err(StoreError::Corrupt(format!("not the preimage of {hash}"))),
        }
    }
}

fn load(
    open: &Connection,
    org: OrgId,
    session: SessionId,
    now: Timestamp,
) -> Result<Loaded, LoadError> {
    let lives = "select 1 from pod where session_id = ?1 and lease_until > ?2";
    let lives = open
        .prepare_cached(lives)
        .and_then(|mut lives| lives.exists(params![bytes(&session), now.millis()]));
    if !lives.map_err(SqlError::Statement)? {
        return Err(LoadError::NotOwner);
    }
    let (epoch, seq) = move_epoch(open, org)?.ok_or(LoadError::NotFound(org))?;
    let mut rows = standing(open, org)?;
    let sql = "select body from payment where org_id = ?1 and open = 1";
    rows.extend(reads::rows(open, sql, [bytes(&org)])?);
    Ok(Loaded { org: Org::from_rows(org, epoch, rows), seq })
}

fn move_epoch(open: &Connection, org: OrgId) -> Result<Option<(Epoch, Seq)>, SqlError> {
    let sql = "update org_head set epoch = epoch + 1 where org_id = ?1 returning epoch, seq";
    let mut head = open.prepare_cached(sql)?;
    let head = head.query_row([bytes(&org)], |row| {
        Ok((Epoch(from_signed(row.get(0)?)), Seq(from_signed(row.get(1)?))))
    });
    Ok(head.optional()?)
}

fn look_up(open: &Connection, question: &Question) -> Result<Known, SqlError> {
    let payment = payment(open, question.org, question.payment)?;
    let claim_seen = claim_seen(open, question)?;
    let Some(hash) = question.hash else {
        return Ok(Known { payment, claim_seen, ..Known::default() });
    };
    let mut holder =
        open.prepare_cached("select org_id, payment_id from outgoing_hash where hash = ?1")?;
    let paid_by = holder.query_row([hash.0], |row| Ok((id(row.get(0)?), id(row.get(1)?))));
    let sql = "select org_id, payment_id, node_id from incoming_hash where hash = ?1";
    let mut issuer = open.prepare_cached(sql)?;
    let issued = issuer.query_row([hash.0], |row| {
        let (org, payment, node) = (id(row.get(0)?), id(row.get(1)?), id(row.get(2)?));
        Ok(Issued { org, payment, node })
    });
    let mut payer = open.prepare_cached("select node_id from foreign_payment where hash = ?1")?;
    let foreign_on = payer.query_row([hash.0], |row| Ok(id(row.get(0)?)));
    Ok(Known {
        payment,
        paid_by: paid_by.optional()?,
        foreign_on: foreign_on.optional()?,
        issued: issued.optional()?,
        older_failures: failures(open, hash)?,
        claim_seen,
    })
}

fn claim_seen(open: &Connection, question: &Question) -> Result<bool, SqlError> {
    let Some((payer, payment)) = question.claim else { return Ok(false) };
    let sql = "select 1 from claim where org_id = ?1 and payer_id = ?2 and payer_payment_id = ?3";
    let mut claim = open.prepare_cached(sql)?;
    Ok(claim.exists(params![bytes(&question.org), bytes(&payer), bytes(&payment)])?)
}

fn failures(open: &Connection, hash: PaymentHash) -> Result<Vec<(NodeId, FailureId)>, SqlError> {
    let sql = "select node_id, payment_index, creation_time_ns from failure where hash = ?1
               order by node_id, payment_index, creation_time_ns";
    let mut find = open.prepare_cached(sql)?;
    let found = find.query_map([hash.0], |row| {
        let payment_index = from_signed(row.get(1)?);
        let failure = FailureId { payment_index, creation_time_ns: row.get(2)? };
        Ok((id(row.get(0)?), failure))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
