use std::cmp::Reverse;

use async_trait::async_trait;
use domain::{OrgId, PaymentId, WalletId, org::Row};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{PaymentCursor, Recorded},
};
use uuid::Uuid;

use super::{Memory, Tables};
use crate::{
    codec,
    shape::{JournalRow, Kind, LedgerRow, PaymentRow},
};

#[async_trait]
impl Reads for Memory {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        let tables = self.tables();
        tables.payment.get(&(org, id)).map(|row| codec::row_from_bytes(&row.body)).transpose()
    }

    async fn payments(
        &self,
        org: OrgId,
        before: Option<PaymentCursor>,
        limit: u32,
    ) -> Result<Vec<Row>, StoreError> {
        let tables = self.tables();
        let place =
            |row: &PaymentRow| PaymentCursor { created_at: row.created_at, id: row.payment };
        let below = |row: &&PaymentRow| before.is_none_or(|before| place(row) < before);
        let mut found: Vec<_> = tables.payments_of(org).filter(below).collect();
        found.sort_by_key(|row| Reverse(place(row)));
        let page = found.into_iter().take(count(limit));
        page.map(|row| codec::row_from_bytes(&row.body)).collect()
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
        let tables = self.tables();
        let rows = tables.journal.range((org, after)..=(org, Seq(u64::MAX)));
        let page = rows.filter(|((_, seq), _)| *seq > after).take(count(limit));
        page.map(|(_, row)| recorded(row)).collect()
    }

    async fn ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let tables = self.tables();
        let at = |seq| LedgerRow { org, wallet, seq };
        let rows = tables.ledger.range(at(after)..=at(Seq(u64::MAX)));
        let page = rows.filter(|row| row.seq > after).take(count(limit));
        let page = page.filter_map(|row| tables.journal.get(&(org, row.seq)));
        page.map(recorded).collect()
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        let tables = self.tables();
        let mut orgs: Vec<OrgId> =
            tables.payment.values().filter(|row| row.open).map(|row| row.org).collect();
        orgs.dedup();
        Ok(orgs)
    }
}

impl Tables {
    pub(super) fn standing_of(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        let first = (org, Kind::Environment, Uuid::nil());
        let last = (org, Kind::ClearingAccount, Uuid::max());
        let rows = self.standing.range(first..=last);
        rows.map(|(_, body)| codec::row_from_bytes(body)).collect()
    }
}

fn recorded(row: &JournalRow) -> Result<Recorded, StoreError> {
    Ok(Recorded { seq: row.seq, at: row.at, event: codec::event_from_bytes(&row.body)? })
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
