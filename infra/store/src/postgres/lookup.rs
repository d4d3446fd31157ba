//! What a decision must know beforehand, for many decisions at once.

use domain::{NodeId, OrgId, PaymentHash, PaymentId, Preimage, lightning::FailureId};
use ports::{
    StoreError,
    journal::{Issued, Known, Question},
};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::{Postgres, session::unavailable};
use crate::{
    seal::{Place, Sealed},
    shape::from_signed,
};

/// One statement, so that all answers are of one instant. For a new payment nearly all of it finds
/// nothing, and what finds nothing answers no row.
const LOOK_UP: &str = "
    with question as materialized (
        select * from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::uuid[], $5::uuid[])
            with ordinality
            as question (org_id, payment_id, hash, payer_id, payer_payment_id, place)
    )
    select place, 1::smallint, payment.body, null::uuid, null::uuid, null::uuid,
        null::bigint, null::bigint
    from question, lateral (
        select body from payment
        where payment.org_id = question.org_id and payment.payment_id = question.payment_id
        offset 0
    ) as payment
    union all
    select place, 2::smallint, null, paid.org_id, paid.payment_id, null, null, null
    from question, lateral (
        select org_id, payment_id from outgoing_hash where hash = question.hash
        offset 0
    ) as paid
    union all
    select place, 3::smallint, null, issued.org_id, issued.payment_id, issued.node_id, null, null
    from question, lateral (
        select org_id, payment_id, node_id from incoming_hash where hash = question.hash
        offset 0
    ) as issued
    union all
    select place, 4::smallint, null, null, null, node_id, payment_index, creation_time_ns
    from question, lateral (
        select node_id, payment_index, creation_time_ns from failure where hash = question.hash
        offset 0
    ) as failure
    union all
    select place, 5::smallint, null, null, null, null, null, null
    from question, lateral (
        select from claim
        where claim.org_id = question.org_id and claim.payer_id = question.payer_id
            and claim.payer_payment_id = question.payer_payment_id
        offset 0
    ) as claim
    union all
    select place, 6::smallint, null, null, null, node_id, null, null
    from question, lateral (
        select node_id from foreign_payment where hash = question.hash
        offset 0
    ) as foreign_payment";

const PREIMAGE: &str = "
    select seal_key_id, preimage_sealed from incoming_hash
    where hash = $1 and preimage_sealed is not null";

impl Postgres {
    pub(super) async fn look_up_all(
        &self,
        questions: &[Question],
    ) -> Result<Vec<Known>, StoreError> {
        let each = questions.iter();
        let orgs: Vec<Uuid> = each.clone().map(|it| *it.org.uuid()).collect();
        let payments: Vec<Uuid> = each.clone().map(|it| *it.payment.uuid()).collect();
        let hashes: Vec<Option<&[u8]>> =
            each.clone().map(|it| it.hash.as_ref().map(|hash| &hash.0[..])).collect();
        let payers: Vec<Option<Uuid>> =
            each.clone().map(|it| it.claim.map(|(payer, _)| *payer.uuid())).collect();
        let payer_payments: Vec<Option<Uuid>> =
            each.map(|it| it.claim.map(|(_, payment)| *payment.uuid())).collect();
        let rows =
            self.read(LOOK_UP, &[&orgs, &payments, &hashes, &payers, &payer_payments]).await?;
        let mut answers = vec![Known::default(); questions.len()];
        for row in rows {
            let place: i64 = row.try_get(0).map_err(unavailable)?;
            let place = usize::try_from(place - 1).ok();
            let answer = place.and_then(|place| answers.get_mut(place));
            let unasked = || StoreError::Corrupt("an answer that nobody asked for".to_owned());
            learn(answer.ok_or_else(unasked)?, &row)?;
        }
        for answer in &mut answers {
            answer.older_failures.sort_unstable();
        }
        Ok(answers)
    }

    pub(super) async fn open_preimage(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Preimage>, StoreError> {
        let rows = self.read(PREIMAGE, &[&&hash.0[..]]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let sealed = Sealed {
            key_id: row.try_get(0).map_err(unavailable)?,
            bytes: row.try_get(1).map_err(unavailable)?,
        };
        let opened = self.keys.open(Place::Preimage(hash), &sealed);
        let opened = opened.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let preimage = opened.try_into().map(Preimage).ok();
        match preimage.filter(|preimage| preimage.hash() == hash) {
            Some(preimage) => Ok(Some(preimage)),
            None => Err(StoreError::Corrupt("a preimage of another hash".to_owned())),
        }
    }
}

/// Adds what one row says.
fn learn(known: &mut Known, row: &Row) -> Result<(), StoreError> {
    let kind: i16 = row.try_get(1).map_err(unavailable)?;
    match kind {
        1 => {
            let body = row.try_get(2).map_err(unavailable)?;
            known.payment = Some(codec::row_from_bytes(body)?);
        }
        2 => known.paid_by = Some(payment(row).map_err(unavailable)?),
        3 => {
            let (org, payment) = payment(row).map_err(unavailable)?;
            known.issued = Some(Issued { org, payment, node: node(row).map_err(unavailable)? });
        }
        4 => known.older_failures.push(failure(row).map_err(unavailable)?),
        5 => known.claim_seen = true,
        6 => known.foreign_on = Some(node(row).map_err(unavailable)?),
        other => return Err(StoreError::Corrupt(format!("an answer of an unknown kind {other}"))),
    }
    Ok(())
}

fn payment(row: &Row) -> Result<(OrgId, PaymentId), Error> {
    Ok((OrgId::new(row.try_get(3)?), PaymentId::new(row.try_get(4)?)))
}

fn node(row: &Row) -> Result<NodeId, Error> {
    Ok(NodeId::new(row.try_get(5)?))
}

fn failure(row: &Row) -> Result<(NodeId, FailureId), Error> {
    let payment_index = from_signed(row.try_get(6)?);
    Ok((node(row)?, FailureId { payment_index, creation_time_ns: row.try_get(7)? }))
}
