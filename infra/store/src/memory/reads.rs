use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::{EnvironmentId, OrgId, PaymentId, Timestamp, WalletId, org::Row};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{
        FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder, PaymentPlace,
        Recorded,
    },
};
use uuid::Uuid;

use super::{Memory, Tables};
use crate::{
    records::Standing,
    shape::{JournalRow, Kind, LedgerRow, PaymentRow, direction_number, status_number, to_signed},
};

#[async_trait]
impl Reads for Memory {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        let tables = self.tables();
        tables.payment.get(&(org, id)).map(|row| codec::row_from_bytes(&row.body)).transpose()
    }

    async fn find_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
        order: PaymentOrder,
        ascending: bool,
        after: Option<PaymentPlace>,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Listed>, StoreError> {
        let tables = self.tables();
        let passing = tables.payments_of(org).filter(|row| passes(row, filter));
        let mut found: Vec<_> = passing.map(|row| (place(row, order), row)).collect();
        found.retain(|(place, _)| match after {
            Some(after) if ascending => *place > after,
            Some(after) => *place < after,
            None => true,
        });
        found.sort_by_key(|(place, _)| *place);
        if !ascending {
            found.reverse();
        }
        let page = found.into_iter().skip(offset_of(offset)).take(count(limit));
        page.map(|(_, row)| listed(row)).collect()
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        let tables = self.tables();
        let mut counts = BTreeMap::new();
        for row in tables.payments_of(org).filter(|row| passes(row, filter)) {
            let (direction, status) = (row.listing.direction, row.listing.status);
            let created_at = row.listing.created_at;
            let none = PaymentCount {
                direction,
                status,
                count: 0,
                oldest: created_at,
                newest: created_at,
            };
            let key = (direction_number(direction), status_number(status));
            let counted: &mut PaymentCount = counts.entry(key).or_insert(none);
            counted.count += 1;
            counted.oldest = counted.oldest.min(created_at);
            counted.newest = counted.newest.max(created_at);
        }
        Ok(counts.into_values().collect())
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        let tables = self.tables();
        let seqs = tables.payment.get(&(org, payment)).map(|row| row.seqs.as_slice());
        let events = seqs.unwrap_or_default().iter();
        events.filter_map(|seq| tables.journal.get(&(org, *seq))).map(recorded).collect()
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        self.tables().standing_of(org)
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.tables().journal_of(org, after).take(count(limit)).map(recorded).collect()
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        let tables = self.tables();
        let standing = Standing::of(org, tables.standing_of(org)?);
        let (mut events, mut seen) = (Vec::new(), after);
        for row in tables.journal_of(org, after).take(count(limit)) {
            seen = row.seq;
            let recorded = recorded(row)?;
            let belongs = match row.payment.and_then(|payment| tables.payment.get(&(org, payment)))
            {
                Some(payment) => payment.listing.environment == environment,
                None => standing.environment_of(&recorded.event) == Some(environment),
            };
            if belongs {
                events.push(FeedEvent { recorded, payment: row.payment });
            }
        }
        Ok((events, seen))
    }

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let tables = self.tables();
        let mut rows: Vec<_> = tables.ledger_of(org, wallet, filter).collect();
        if !ascending {
            rows.reverse();
        }
        let page = rows.into_iter().skip(offset_of(offset)).take(count(limit));
        page.map(recorded).collect()
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        let rows = self.tables().ledger_of(org, wallet, filter).count();
        Ok(u64::try_from(rows).unwrap_or(u64::MAX))
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        let tables = self.tables();
        let mut orgs: Vec<OrgId> =
            tables.payment.values().filter(|row| row.open).map(|row| row.org).collect();
        orgs.dedup();
        Ok(orgs)
    }

    async fn open_payments(&self, org: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        let tables = self.tables();
        let open = tables.payment.values().filter(|row| row.open && row.org == org);
        Ok(open.map(|row| row.payment).collect())
    }
}

impl Tables {
    pub(super) fn standing_of(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        let first = (org, Kind::Environment, Uuid::nil());
        let last = (org, Kind::ClearingAccount, Uuid::max());
        let rows = self.standing.range(first..=last);
        rows.map(|(_, body)| codec::row_from_bytes(body)).collect()
    }

    fn journal_of(&self, org: OrgId, after: Seq) -> impl Iterator<Item = &JournalRow> {
        let rows = self.journal.range((org, after)..=(org, Seq(u64::MAX)));
        rows.map(|(_, row)| row).filter(move |row| row.seq > after)
    }

    fn ledger_of(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> impl Iterator<Item = &JournalRow> {
        let LedgerFilter { payment, from, to, after } = *filter;
        let at = |seq| LedgerRow { org, wallet, seq };
        let rows = self.ledger.range(at(Seq(0))..=at(Seq(u64::MAX)));
        let rows = rows.filter_map(move |row| self.journal.get(&(org, row.seq)));
        rows.filter(move |row| {
            payment.is_none_or(|payment| row.payment == Some(payment))
                && is_within(row.at, from, to)
                && after.is_none_or(|after| row.seq > after)
        })
    }
}

fn passes(row: &PaymentRow, filter: &PaymentFilter) -> bool {
    let it = &row.listing;
    let mut pairs = filter.metadata.iter();
    it.environment == filter.environment
        && filter.wallets.as_ref().is_none_or(|wallets| wallets.contains(&it.wallet))
        && filter.direction.is_none_or(|direction| direction == it.direction)
        && (filter.statuses.is_empty() || filter.statuses.contains(&it.status))
        && pairs.all(|(key, value)| it.metadata.get(key) == Some(value))
        && is_within(it.created_at, filter.created_from, filter.created_to)
        && filter.updated_after.is_none_or(|after| row.updated_seq > after)
}

fn is_within(at: Timestamp, from: Option<Timestamp>, to: Option<Timestamp>) -> bool {
    from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
}

fn place(row: &PaymentRow, order: PaymentOrder) -> PaymentPlace {
    let key = match order {
        PaymentOrder::Created => row.listing.created_at.millis(),
        PaymentOrder::Updated => to_signed(row.updated_seq.0),
    };
    PaymentPlace { key, id: row.payment }
}

fn listed(row: &PaymentRow) -> Result<Listed, StoreError> {
    Ok(Listed {
        row: codec::row_from_bytes(&row.body)?,
        id: row.payment,
        created_at: row.listing.created_at,
        updated_seq: row.updated_seq,
    })
}

fn recorded(row: &JournalRow) -> Result<Recorded, StoreError> {
    Ok(Recorded { seq: row.seq, at: row.at, event: codec::event_from_bytes(&row.body)? })
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn offset_of(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}
