//! Fills in what a migration could not: what can only be read from bodies and the journal, a chunk at
//! a time. One that was cut off begins again and finds what is done.

use std::mem;

use domain::{OrgId, Timestamp};
use ports::StoreError;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

use super::session::unavailable;
use crate::{
    records::Origins,
    shape::{Listing, direction_number, standing_key, status_number},
};

const EVENTS: &str = "
    select org_id, seq, at_ms, body from journal
    where (org_id, seq) > ($1, $2) and payment_id is null
    order by org_id, seq limit 1000";

const OF_PAYMENTS: &str = "
    update journal set payment_id = batch.payment_id
    from unnest($1::uuid[], $2::bigint[], $3::uuid[]) as batch (org_id, seq, payment_id)
    where journal.org_id = batch.org_id and journal.seq = batch.seq";

const SEQS: &str = "
    update payment
    set seqs = coalesce(payment.seqs, '{}') || batch.seqs,
        updated_seq = greatest(payment.updated_seq, batch.last)
    from (
        select org_id, payment_id, array_agg(seq order by seq) as seqs, max(seq) as last
        from unnest($1::uuid[], $2::bigint[], $3::uuid[]) as event (org_id, seq, payment_id)
        group by org_id, payment_id
    ) as batch
    where payment.org_id = batch.org_id and payment.payment_id = batch.payment_id";

const PAYMENTS: &str = "
    select org_id, payment_id, body from payment
    where (org_id, payment_id) > ($1, $2) and environment_id is null
    order by org_id, payment_id limit 500";

const LISTINGS: &str = "
    update payment
    set environment_id = batch.environment_id, wallet_id = batch.wallet_id,
        direction = batch.direction, status = batch.status, updated_at_ms = batch.updated_at_ms,
        metadata = batch.metadata::jsonb
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::smallint[], $6::smallint[],
            $7::bigint[], $8::text[])
        as batch (org_id, payment_id, environment_id, wallet_id, direction, status, updated_at_ms,
            metadata)
    where payment.org_id = batch.org_id and payment.payment_id = batch.payment_id";

const STANDING: &str = "select body from standing where org_id = $1";

const FILLED: &str = "update standing set body = $4 where org_id = $1 and kind = $2 and id = $3";

/// Under the lock of the migrations: nobody writes meanwhile who does not know the columns.
pub(super) async fn lists(client: &mut Client) -> Result<(), StoreError> {
    let left = "select from backfill where what = 'lists'";
    if client.query_opt(left, &[]).await.map_err(unavailable)?.is_none() {
        return Ok(());
    }
    tracing::info!("payments from before the lists are being filled in");
    events(client).await?;
    payments(client).await?;
    let done = "delete from backfill where what = 'lists'";
    client.execute(done, &[]).await.map_err(unavailable)?;
    Ok(())
}

async fn events(client: &mut Client) -> Result<(), StoreError> {
    let (mut org, mut seq) = (Uuid::nil(), -1_i64);
    let mut origins = Origins::of(OrgId::new(org));
    loop {
        let rows = client.query(EVENTS, &[&org, &seq]).await.map_err(unavailable)?;
        let (mut orgs, mut seqs, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for row in &rows {
            let (at_org, at_seq, at_ms) = place(row).map_err(unavailable)?;
            let event = codec::event_from_bytes(row.try_get(3).map_err(unavailable)?)?;
            if at_org != org {
                let done = mem::replace(&mut origins, Origins::of(OrgId::new(at_org)));
                standing(client, org, &done).await?;
            }
            (org, seq) = (at_org, at_seq);
            match event.payment() {
                Some(payment) => {
                    orgs.push(org);
                    seqs.push(seq);
                    of.push(*payment.uuid());
                }
                None => origins.take_in(&event, Timestamp::from_millis(at_ms)),
            }
        }
        if rows.is_empty() {
            return standing(client, org, &origins).await;
        }
        // Both or neither: a row of the journal that names its payment is in the payment's list.
        let chunk = client.transaction().await.map_err(unavailable)?;
        chunk.execute(OF_PAYMENTS, &[&orgs, &seqs, &of]).await.map_err(unavailable)?;
        chunk.execute(SEQS, &[&orgs, &seqs, &of]).await.map_err(unavailable)?;
        chunk.commit().await.map_err(unavailable)?;
    }
}

fn place(row: &Row) -> Result<(Uuid, i64, i64), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
}

/// When wallets and lines were made, and as what.
async fn standing(client: &Client, org: Uuid, origins: &Origins) -> Result<(), StoreError> {
    for row in client.query(STANDING, &[&org]).await.map_err(unavailable)? {
        let stored = codec::row_from_bytes(row.try_get(0).map_err(unavailable)?)?;
        let Some(filled) = origins.fill(&stored) else { continue };
        let Some((kind, id)) = standing_key(&filled) else { continue };
        let body = codec::row_to_bytes(&filled);
        client.execute(FILLED, &[&org, &kind.number(), &id, &body]).await.map_err(unavailable)?;
    }
    Ok(())
}

async fn payments(client: &mut Client) -> Result<(), StoreError> {
    let (mut org, mut payment) = (Uuid::nil(), Uuid::nil());
    loop {
        let rows = client.query(PAYMENTS, &[&org, &payment]).await.map_err(unavailable)?;
        if rows.is_empty() {
            return Ok(());
        }
        let (mut orgs, mut listings) = (Vec::new(), Vec::new());
        for row in &rows {
            org = row.try_get(0).map_err(unavailable)?;
            payment = row.try_get(1).map_err(unavailable)?;
            let stored = codec::row_from_bytes(row.try_get(2).map_err(unavailable)?)?;
            if let Some(listing) = Listing::of(&stored) {
                orgs.push(org);
                listings.push(listing);
            }
        }
        write(client, &orgs, &listings).await.map_err(unavailable)?;
    }
}

async fn write(client: &Client, orgs: &Vec<Uuid>, listings: &[Listing]) -> Result<u64, Error> {
    let uuids = |uuid: fn(&Listing) -> &Uuid| -> Vec<Uuid> {
        listings.iter().map(|listing| *uuid(listing)).collect()
    };
    let numbers =
        |number: fn(&Listing) -> i16| -> Vec<i16> { listings.iter().map(number).collect() };
    let updated: Vec<i64> = listings.iter().map(|listing| listing.updated_at.millis()).collect();
    let metadata: Vec<Option<String>> = listings.iter().map(Listing::metadata_json).collect();
    client
        .execute(
            LISTINGS,
            &[
                orgs,
                &uuids(|listing| listing.payment.uuid()),
                &uuids(|listing| listing.environment.uuid()),
                &uuids(|listing| listing.wallet.uuid()),
                &numbers(|listing| direction_number(listing.direction)),
                &numbers(|listing| status_number(listing.status)),
                &updated,
                &metadata,
            ],
        )
        .await
}
