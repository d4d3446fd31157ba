//! Fills in what a migration could not: what can only be read from bodies and the journal, a chunk at
//! a time. One that was cut off begins again and finds what is done.

use std::{collections::BTreeMap, mem};

use domain::{OrgId, PaymentId};
use ports::journal::Seq;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{
    lists::seqs_text,
    sql::{SqlError, bytes, id, instant, write},
};
use crate::{
    records::Origins,
    shape::{Listing, direction_number, from_signed, standing_key, status_number, to_signed},
};

/// Rows of the journal, or payments, in one transaction.
const CHUNK: i64 = 1_000;

type Place = (OrgId, i64);

pub(super) fn lists(connection: &mut Connection) -> Result<(), SqlError> {
    let left = "select 1 from backfill where what = 'lists'";
    if connection.query_row(left, [], |_| Ok(())).optional()?.is_none() {
        return Ok(());
    }
    tracing::info!("payments from before the lists are being filled in");
    let nobody = OrgId::new(Uuid::nil());
    let (mut place, mut origins) = ((nobody, -1), Origins::of(nobody));
    while let Some(last) = write(connection, |open| events(open, place, &mut origins))? {
        place = last;
    }
    write(connection, |open| standing(open, place.0, &origins))?;
    let mut place = (nobody, PaymentId::new(Uuid::nil()));
    while let Some(last) = write(connection, |open| payments(open, place))? {
        place = last;
    }
    connection.execute("delete from backfill where what = 'lists'", [])?;
    Ok(())
}

/// Both or neither: a row of the journal that names its payment is in the payment's list.
fn events(
    open: &Connection,
    after: Place,
    origins: &mut Origins,
) -> Result<Option<Place>, SqlError> {
    let mut find = open.prepare_cached(
        "select org_id, seq, at, body from journal
         where (org_id, seq) > (?1, ?2) and payment_id is null
         order by org_id, seq limit ?3",
    )?;
    let mut name =
        open.prepare_cached("update journal set payment_id = ?3 where org_id = ?1 and seq = ?2")?;
    let mut rows = find.query(params![bytes(&after.0), after.1, CHUNK])?;
    let (mut last, mut listed) = (None, BTreeMap::<(OrgId, PaymentId), Vec<Seq>>::new());
    let mut of = after.0;
    while let Some(row) = rows.next()? {
        let (org, seq): (OrgId, i64) = (id(row.get(0)?), row.get(1)?);
        let body = row.get_ref(3)?.as_bytes().map_err(rusqlite::Error::from)?;
        let event = codec::event_from_bytes(body)?;
        if org != of {
            let done = mem::replace(origins, Origins::of(org));
            standing(open, of, &done)?;
            of = org;
        }
        match event.payment() {
            Some(payment) => {
                name.execute(params![bytes(&org), seq, bytes(&payment)])?;
                listed.entry((org, payment)).or_default().push(Seq(from_signed(seq)));
            }
            None => origins.take_in(&event, instant(row.get(2)?)),
        }
        last = Some((org, seq));
    }
    let mut list = open.prepare_cached(
        "update payment
         set seqs = coalesce(seqs || ',', '') || ?3, updated_seq = max(coalesce(updated_seq, 0), ?4)
         where org_id = ?1 and payment_id = ?2",
    )?;
    for ((org, payment), seqs) in listed {
        let newest = seqs.last().map_or(0, |seq| to_signed(seq.0));
        list.execute(params![bytes(&org), bytes(&payment), seqs_text(&seqs), newest])?;
    }
    Ok(last)
}

/// When wallets and lines were made, and as what.
fn standing(open: &Connection, org: OrgId, origins: &Origins) -> Result<(), SqlError> {
    let mut fill = open.prepare_cached(
        "update standing set body = ?4 where org_id = ?1 and kind = ?2 and id = ?3",
    )?;
    for row in super::reads::standing(open, org)? {
        let Some(filled) = origins.fill(&row) else { continue };
        let Some((kind, id)) = standing_key(&filled) else { continue };
        let body = codec::row_to_bytes(&filled);
        fill.execute(params![bytes(&org), kind.number(), id.as_bytes(), body])?;
    }
    Ok(())
}

fn payments(
    open: &Connection,
    after: (OrgId, PaymentId),
) -> Result<Option<(OrgId, PaymentId)>, SqlError> {
    let mut find = open.prepare_cached(
        "select org_id, body from payment
         where (org_id, payment_id) > (?1, ?2) and environment_id is null
         order by org_id, payment_id limit ?3",
    )?;
    let mut fill = open.prepare_cached(
        "update payment
         set environment_id = ?3, direction = ?4, status = ?5, updated_at = ?6, metadata = ?7
         where org_id = ?1 and payment_id = ?2",
    )?;
    let mut rows = find.query(params![bytes(&after.0), bytes(&after.1), CHUNK])?;
    let mut chunk = Vec::new();
    while let Some(row) = rows.next()? {
        let body = row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?;
        let stored = codec::row_from_bytes(body)?;
        let org: OrgId = id(row.get(0)?);
        chunk.extend(Listing::of(&stored).map(|listing| (org, listing)));
    }
    for (org, it) in &chunk {
        fill.execute(params![
            bytes(org),
            bytes(&it.payment),
            bytes(&it.environment),
            direction_number(it.direction),
            status_number(it.status),
            it.updated_at.millis(),
            it.metadata_json(),
        ])?;
    }
    Ok(chunk.last().map(|(org, listing)| (*org, listing.payment)))
}
