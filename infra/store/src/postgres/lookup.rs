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
    codec,
    seal::{Place, Sealed},
    shape::from_signed,
};

/// One statement, so that all answers are of one instant.
const LOOK_UP: &str = "
    select question.place, payment.body,
        paid.org_id, paid.payment_id,
        issued.org_id, issued.payment_id, issued.node_id,
        failed.nodes, failed.indexes, failed.times,
        seen.org_id is not null, foreign_payment.node_id
    from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::uuid[], $5::uuid[]) with ordinality
        as question (org_id, payment_id, hash, payer_id, payer_payment_id, place)
    left join payment
        on payment.org_id = question.org_id and payment.payment_id = question.payment_id
    left join outgoing_hash as paid on paid.hash = question.hash
    left join incoming_hash as issued on issued.hash = question.hash
    left join foreign_payment on foreign_payment.hash = question.hash
    left join claim as seen
        on seen.org_id = question.org_id and seen.payer_id = question.payer_id
        and seen.payer_payment_id = question.payer_payment_id
    left join lateral (
        select array_agg(node_id) as nodes, array_agg(payment_index) as indexes,
            array_agg(creation_time_ns) as times
        from (
            select node_id, payment_index, creation_time_ns
            from failure where failure.hash = question.hash
            order by node_id, payment_index, creation_time_ns
        ) as one
    ) as failed on true";

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
            *answer.ok_or_else(unasked)? = known(&row)?;
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

fn known(row: &Row) -> Result<Known, StoreError> {
    let body: Option<&[u8]> = row.try_get(1).map_err(unavailable)?;
    Ok(Known {
        payment: body.map(codec::row_from_bytes).transpose()?,
        paid_by: paid_by(row).map_err(unavailable)?,
        issued: issued(row).map_err(unavailable)?,
        older_failures: older_failures(row).map_err(unavailable)?,
        claim_seen: row.try_get(10).map_err(unavailable)?,
        foreign_on: row.try_get::<_, Option<Uuid>>(11).map_err(unavailable)?.map(NodeId::new),
    })
}

fn paid_by(row: &Row) -> Result<Option<(OrgId, PaymentId)>, Error> {
    let Some(org) = row.try_get(2)? else { return Ok(None) };
    Ok(Some((OrgId::new(org), PaymentId::new(row.try_get(3)?))))
}

fn issued(row: &Row) -> Result<Option<Issued>, Error> {
    let Some(org) = row.try_get(4)? else { return Ok(None) };
    Ok(Some(Issued {
        org: OrgId::new(org),
        payment: PaymentId::new(row.try_get(5)?),
        node: NodeId::new(row.try_get(6)?),
    }))
}

fn older_failures(row: &Row) -> Result<Vec<(NodeId, FailureId)>, Error> {
    let nodes: Option<Vec<Uuid>> = row.try_get(7)?;
    let indexes: Option<Vec<i64>> = row.try_get(8)?;
    let times: Option<Vec<i64>> = row.try_get(9)?;
    let nodes = nodes.unwrap_or_default().into_iter().map(NodeId::new);
    let failures = indexes.unwrap_or_default().into_iter().zip(times.unwrap_or_default());
    let failures = failures.map(|(index, creation_time_ns)| FailureId {
        payment_index: from_signed(index),
        creation_time_ns,
    });
    Ok(nodes.zip(failures).collect())
}
