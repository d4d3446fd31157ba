//! Lists and counts of payments and ledger entries: a few fixed statements, where what is not asked
//! for is null, or as far away as there is.

use domain::{OrgId, Timestamp, WalletId};
use ports::{
    journal::Seq,
    reads::{LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace},
};
use rusqlite::{Connection, params_from_iter, types::Value};
use uuid::Uuid;

use super::sql::{SqlError, bytes, id, instant};
use crate::shape::{
    direction_number, direction_of, from_signed, metadata_json, status_number, status_of, to_signed,
};

const PASSES: &str = "
    payment.org_id = ?1 and payment.environment_id = ?2
    and (?3 is null or hex(payment.wallet_id) in (select value from json_each(?3)))
    and (?4 is null or payment.direction = ?4)
    and (?5 is null or payment.status in (select value from json_each(?5)))
    and not exists (
        select 1 from json_each(?6) as wanted where not exists (
            select 1 from json_each(payment.metadata) as there
            where there.key = wanted.key and there.value = wanted.value))
    and payment.created_at between ?7 and ?8
    and payment.updated_seq > ?9";

const LISTED: &str =
    "select payment.body, payment.payment_id, payment.created_at, payment.updated_seq";

const BY_CREATION: &str = "from payment where";

/// The journal is sorted by it, so the payments need no index of their own. A cross join is one whose
/// order SQLite keeps.
const BY_CHANGE: &str = "
    from journal cross join payment on payment.org_id = journal.org_id
        and payment.payment_id = journal.payment_id and payment.updated_seq = journal.seq
    where journal.org_id = ?1 and journal.seq > ?9 and";

const COUNTED: &str = "
    select payment.direction, payment.status, count(*),
        min(payment.created_at), max(payment.created_at)";

/// All that is in the ledger of the wallet.
const OF_WALLET: &str = "
    from ledger join journal on journal.org_id = ledger.org_id and journal.seq = ledger.seq
    where ledger.org_id = ?1 and ledger.wallet_id = ?2 and ?6 is null";

/// Where the events of a payment are. One with more than are listed with it has them looked for in the
/// journal: only an invoice that is paid hundreds of times has so many, and a list without end would be
/// written again at each.
const EVENTS: &str = "
    json_each(case when length(payment.seqs) > 1000 then (
        select json_group_array(event.seq) from journal as event
        where event.org_id = payment.org_id and event.payment_id = payment.payment_id
    ) else '[' || payment.seqs || ']' end) as event";

/// Found from the payment's events, however much else the wallet has.
const OF_PAYMENT: &str = "
        join ledger on ledger.org_id = payment.org_id and ledger.wallet_id = ?2
            and ledger.seq = event.value
        join journal on journal.org_id = payment.org_id and journal.seq = ledger.seq
    where payment.org_id = ?1 and payment.payment_id = ?6";

const WITHIN: &str = "and ledger.seq > ?3 and journal.at between ?4 and ?5";

/// The statement of a list.
pub(super) fn list_sql(order: PaymentOrder, ascending: bool) -> String {
    let rest = match (order, ascending) {
        (PaymentOrder::Created, true) => {
            "and (created_at, payment_id) > (?10, ?11) order by created_at, payment_id"
        }
        (PaymentOrder::Created, false) => {
            "and (created_at, payment_id) < (?10, ?11) order by created_at desc, payment_id desc"
        }
        (PaymentOrder::Updated, true) => {
            "and journal.seq >= ?10 and (journal.seq, payment.payment_id) > (?10, ?11)
             order by journal.seq"
        }
        (PaymentOrder::Updated, false) => {
            "and journal.seq <= ?10 and (journal.seq, payment.payment_id) < (?10, ?11)
             order by journal.seq desc"
        }
    };
    let from = match order {
        PaymentOrder::Created => BY_CREATION,
        PaymentOrder::Updated => BY_CHANGE,
    };
    format!("{LISTED} {from} {PASSES} {rest} limit ?12 offset ?13")
}

pub(super) fn find(
    open: &Connection,
    org: OrgId,
    filter: &PaymentFilter,
    (order, ascending): (PaymentOrder, bool),
    after: Option<PaymentPlace>,
    (offset, limit): (u64, u32),
) -> Result<Vec<Listed>, SqlError> {
    let end = match ascending {
        true => (i64::MIN, Uuid::nil()),
        false => (i64::MAX, Uuid::max()),
    };
    let (key, id) = after.map_or(end, |place| (place.key, *place.id.uuid()));
    let mut values = passing(org, filter);
    let place = [Value::Integer(key), Value::Blob(id.as_bytes().to_vec())];
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    values.extend(place);
    values.extend([Value::Integer(limit.into()), Value::Integer(offset)]);
    let mut find = open.prepare_cached(&list_sql(order, ascending))?;
    let mut found = find.query(params_from_iter(values))?;
    let mut listed = Vec::new();
    while let Some(row) = found.next()? {
        let body = row.get_ref(0)?.as_bytes().map_err(rusqlite::Error::from)?;
        listed.push(Listed {
            row: codec::row_from_bytes(body)?,
            id: self::id(row.get(1)?),
            created_at: instant(row.get(2)?),
            updated_seq: Seq(from_signed(row.get(3)?)),
        });
    }
    Ok(listed)
}

pub(super) fn count(
    open: &Connection,
    org: OrgId,
    filter: &PaymentFilter,
) -> Result<Vec<PaymentCount>, SqlError> {
    let sql = format!(
        "{COUNTED} {BY_CREATION} {PASSES}
         group by payment.direction, payment.status order by payment.direction, payment.status"
    );
    let mut find = open.prepare_cached(&sql)?;
    let mut found = find.query(params_from_iter(passing(org, filter)))?;
    let mut counts = Vec::new();
    while let Some(row) = found.next()? {
        counts.push(PaymentCount {
            direction: direction_of(row.get(0)?)?,
            status: status_of(row.get(1)?)?,
            count: from_signed(row.get(2)?),
            oldest: instant(row.get(3)?),
            newest: instant(row.get(4)?),
        });
    }
    Ok(counts)
}

/// The statement that reads a page of the ledger, with its values.
pub(super) fn entries(
    org: OrgId,
    wallet: WalletId,
    filter: &LedgerFilter,
    ascending: bool,
    (offset, limit): (u64, u32),
) -> (String, Vec<Value>) {
    let order = if ascending { "asc" } else { "desc" };
    let sql = format!(
        "select journal.seq, journal.at, journal.body {} {WITHIN}
         order by ledger.seq {order} limit ?7 offset ?8",
        source(filter)
    );
    let mut values = within(org, wallet, filter);
    let offset = i64::try_from(offset).unwrap_or(i64::MAX);
    values.extend([Value::Integer(limit.into()), Value::Integer(offset)]);
    (sql, values)
}

pub(super) fn count_entries(
    open: &Connection,
    org: OrgId,
    wallet: WalletId,
    filter: &LedgerFilter,
) -> Result<u64, SqlError> {
    let sql = format!("select count(*) {} {WITHIN}", source(filter));
    let mut find = open.prepare_cached(&sql)?;
    let values = params_from_iter(within(org, wallet, filter));
    Ok(from_signed(find.query_row(values, |row| row.get(0))?))
}

/// Every event of a payment.
pub(super) fn history_sql() -> String {
    format!(
        "select journal.seq, journal.at, journal.body from payment cross join {EVENTS}
             join journal on journal.org_id = payment.org_id and journal.seq = event.value
         where payment.org_id = ?1 and payment.payment_id = ?2 order by journal.seq"
    )
}

/// Positions as they are stored, with commas between them.
pub(super) fn seqs_text(seqs: &[Seq]) -> String {
    let texts: Vec<String> = seqs.iter().map(|seq| to_signed(seq.0).to_string()).collect();
    texts.join(",")
}

fn source(filter: &LedgerFilter) -> String {
    match filter.payment {
        Some(_) => format!("from payment cross join {EVENTS} {OF_PAYMENT}"),
        None => OF_WALLET.to_owned(),
    }
}

fn within(org: OrgId, wallet: WalletId, filter: &LedgerFilter) -> Vec<Value> {
    let payment = filter.payment.map(|payment| Value::Blob(bytes(&payment).to_vec()));
    vec![
        Value::Blob(bytes(&org).to_vec()),
        Value::Blob(bytes(&wallet).to_vec()),
        Value::Integer(filter.after.map_or(-1, |after| to_signed(after.0))),
        Value::Integer(filter.from.map_or(i64::MIN, Timestamp::millis)),
        Value::Integer(filter.to.map_or(i64::MAX, Timestamp::millis)),
        payment.unwrap_or(Value::Null),
    ]
}

/// The values of [`PASSES`].
fn passing(org: OrgId, filter: &PaymentFilter) -> Vec<Value> {
    let json = |list: Vec<String>| Value::Text(format!("[{}]", list.join(",")));
    let hex = |id: &WalletId| format!("\"{:X}\"", id.uuid().as_simple());
    let wallets = filter.wallets.as_ref();
    let wallets = wallets.map(|wallets| json(wallets.iter().map(hex).collect()));
    let statuses = filter.statuses.iter().map(|status| status_number(*status).to_string());
    let statuses = (!filter.statuses.is_empty()).then(|| json(statuses.collect()));
    let direction = filter.direction.map(|it| Value::Integer(direction_number(it).into()));
    vec![
        Value::Blob(bytes(&org).to_vec()),
        Value::Blob(bytes(&filter.environment).to_vec()),
        wallets.unwrap_or(Value::Null),
        direction.unwrap_or(Value::Null),
        statuses.unwrap_or(Value::Null),
        metadata_json(&filter.metadata).map_or(Value::Null, Value::Text),
        Value::Integer(filter.created_from.map_or(i64::MIN, Timestamp::millis)),
        Value::Integer(filter.created_to.map_or(i64::MAX, Timestamp::millis)),
        Value::Integer(filter.updated_after.map_or(-1, |after| to_signed(after.0))),
    ]
}
