//! What is read of the organisations in memory.

use domain::{
    EnvironmentId, OrgId, PaymentId, WalletId,
    org::{Org, PaymentStatus, Row},
};
use ports::{
    Reads, StoreError,
    journal::Seq,
    reads::{
        Direction, FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder,
        PaymentPlace, Recorded,
    },
};

use super::Fake;

#[tonic::async_trait]
impl Reads for Fake {
    async fn payment(&self, org: OrgId, id: PaymentId) -> Result<Option<Row>, StoreError> {
        Ok(self.row(org, id))
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
        let mut found = self.listed(org, filter);
        found.retain(|listed| match after {
            Some(after) if ascending => listed.place(order) > after,
            Some(after) => listed.place(order) < after,
            None => true,
        });
        found.sort_by_key(|listed| listed.place(order));
        if !ascending {
            found.reverse();
        }
        let offset = usize::try_from(offset).unwrap();
        Ok(found.into_iter().skip(offset).take(usize::try_from(limit).unwrap()).collect())
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        let mut counts: Vec<PaymentCount> = Vec::new();
        for Listed { row, created_at, .. } in self.listed(org, filter) {
            let Some((direction, status)) = kind(&row) else { continue };
            let known =
                counts.iter_mut().find(|it| (it.direction, it.status) == (direction, status));
            match known {
                Some(known) => {
                    known.count += 1;
                    known.oldest = known.oldest.min(created_at);
                    known.newest = known.newest.max(created_at);
                }
                None => {
                    let (oldest, newest) = (created_at, created_at);
                    counts.push(PaymentCount { direction, status, count: 1, oldest, newest });
                }
            }
        }
        counts.sort_by_key(|it| (it.direction, it.status));
        Ok(counts)
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        let state = self.state();
        let events = state.journal.iter().filter(|(of, _)| *of == org).map(|(_, event)| event);
        Ok(events.filter(|it| it.event.payment() == Some(payment)).cloned().collect())
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        let state = self.state();
        let rows = state.orgs.get(&org).map(Org::rows).unwrap_or_default();
        Ok(rows.into_iter().filter(|row| !is_payment(row)).collect())
    }

    async fn journal(&self, _: OrgId, _: Seq, _: u32) -> Result<Vec<Recorded>, StoreError> {
        Ok(Vec::new())
    }

    async fn feed(
        &self,
        org: OrgId,
        _: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        let state = self.state();
        let events = state.journal.iter().filter(|(of, _)| *of == org).map(|(_, event)| event);
        let page: Vec<FeedEvent> = events
            .filter(|recorded| recorded.seq > after)
            .take(usize::try_from(limit).unwrap())
            .map(|recorded| FeedEvent {
                payment: recorded.event.payment(),
                recorded: recorded.clone(),
            })
            .collect();
        let seen = page.last().map_or(after, |event| event.recorded.seq);
        Ok((page, seen))
    }

    async fn ledger(
        &self,
        org: OrgId,
        _: WalletId,
        filter: &LedgerFilter,
        ascending: bool,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let mut found = self.entries(org, filter);
        if !ascending {
            found.reverse();
        }
        let offset = usize::try_from(offset).unwrap();
        Ok(found.into_iter().skip(offset).take(usize::try_from(limit).unwrap()).collect())
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        _: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.entries(org, filter).len()).unwrap())
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        Ok(self.state().orgs.keys().copied().collect())
    }
}

impl Fake {
    fn listed(&self, org: OrgId, filter: &PaymentFilter) -> Vec<Listed> {
        let state = self.state();
        let Some(known) = state.orgs.get(&org) else { return Vec::new() };
        let last = |id| {
            let events = state.journal.iter().filter(|(of, _)| *of == org);
            events.filter(|(_, it)| it.event.payment() == Some(id)).map(|(_, it)| it.seq).max()
        };
        let sent = known.outgoing.values().map(|it| {
            let row = Row::Outgoing(it.clone());
            (row, it.environment, it.terms.wallet, it.created_at, &it.terms.metadata)
        });
        let received = known.incoming.values().map(|it| {
            let row = Row::Incoming(it.clone());
            (row, it.environment, it.terms.wallet, it.created_at, &it.terms.metadata)
        });
        let passing = sent.chain(received).filter(|(row, environment, wallet, at, metadata)| {
            let (direction, status) = kind(row).unwrap();
            let mut pairs = filter.metadata.iter();
            *environment == filter.environment
                && filter.wallets.as_ref().is_none_or(|wallets| wallets.contains(wallet))
                && filter.direction.is_none_or(|wanted| wanted == direction)
                && (filter.statuses.is_empty() || filter.statuses.contains(&status))
                && pairs.all(|(key, value)| metadata.get(key) == Some(value))
                && filter.created_from.is_none_or(|from| *at >= from)
                && filter.created_to.is_none_or(|to| *at <= to)
        });
        let listed = passing.map(|(row, _, _, created_at, _)| {
            let id = match &row {
                Row::Outgoing(it) => it.id,
                Row::Incoming(it) => it.id,
                Row::Environment(..)
                | Row::Line(..)
                | Row::Node(..)
                | Row::Wallet(..)
                | Row::Account(..) => panic!("not a payment: {row:?}"),
            };
            Listed { id, created_at, updated_seq: last(id).unwrap_or_default(), row }
        });
        let after = filter.updated_after;
        listed.filter(|it| after.is_none_or(|after| it.updated_seq > after)).collect()
    }

    fn entries(&self, org: OrgId, filter: &LedgerFilter) -> Vec<Recorded> {
        let state = self.state();
        let events = state.journal.iter().filter(|(of, _)| *of == org).map(|(_, event)| event);
        let moving = events.filter(|recorded| {
            matches!(recorded.event, domain::org::Event::Held { .. })
                || recorded.event.entry().is_some()
        });
        let meant = moving.filter(|recorded| {
            filter.payment.is_none_or(|payment| recorded.event.payment() == Some(payment))
                && filter.from.is_none_or(|from| recorded.at >= from)
                && filter.to.is_none_or(|to| recorded.at <= to)
                && filter.after.is_none_or(|after| recorded.seq > after)
        });
        meant.cloned().collect()
    }
}

fn kind(row: &Row) -> Option<(Direction, PaymentStatus)> {
    match row {
        Row::Outgoing(it) => Some((Direction::Send, it.status())),
        Row::Incoming(it) => Some((Direction::Receive, it.status())),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => None,
    }
}

fn is_payment(row: &Row) -> bool {
    matches!(row, Row::Outgoing(_) | Row::Incoming(_))
}
