//! Reading and remembering, in memory.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use domain::{
    EnvironmentId, OrgId, PaymentId, Timestamp, WalletId,
    ledger::Account,
    org::{Event, Org, PaymentStatus, Row},
};
use ports::{
    Idempotency, Reads, StoreError,
    idempotency::{Begun, IdempotencyScope, Runner, StoredAnswer},
    journal::Seq,
    reads::{
        Direction, FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder,
        PaymentPlace, Recorded,
    },
};

use crate::fake::{Fake, State};

pub(crate) struct Kept {
    fingerprint: [u8; 32],
    began_at: Timestamp,
    answer: Option<StoredAnswer>,
}

fn is_payment(row: &Row) -> bool {
    matches!(row, Row::Outgoing(_) | Row::Incoming(_))
}

/// What a filter looks at.
struct Facts {
    environment: EnvironmentId,
    wallet: WalletId,
    direction: Direction,
    status: PaymentStatus,
    metadata: BTreeMap<String, String>,
    listed: Listed,
}

impl State {
    fn events(&self, org: OrgId) -> impl DoubleEndedIterator<Item = &Recorded> {
        self.journal.iter().filter(move |(of, _)| *of == org).map(|(_, recorded)| recorded)
    }

    fn page(&self, org: OrgId, after: Seq, limit: u32) -> impl Iterator<Item = &Recorded> {
        let behind = self.events(org).filter(move |recorded| recorded.seq > after);
        behind.take(usize::try_from(limit).unwrap())
    }

    fn facts(&self, id: OrgId) -> Vec<Facts> {
        let Some(org) = self.orgs.get(&id) else { return Vec::new() };
        let listed = |row: Row, payment: PaymentId, created_at| {
            let mut events = self.events(id).rev();
            let last = events.find(|recorded| recorded.event.payment() == Some(payment)).unwrap();
            Listed { row, id: payment, created_at, updated_seq: last.seq }
        };
        let outgoing = org.outgoing.values().map(|sent| Facts {
            environment: sent.environment,
            wallet: sent.terms.wallet,
            direction: Direction::Send,
            status: sent.status(),
            metadata: sent.terms.metadata.clone(),
            listed: listed(Row::Outgoing(sent.clone()), sent.id, sent.created_at),
        });
        let incoming = org.incoming.values().map(|asked| Facts {
            environment: asked.environment,
            wallet: asked.terms.wallet,
            direction: Direction::Receive,
            status: asked.status(),
            metadata: asked.terms.metadata.clone(),
            listed: listed(Row::Incoming(asked.clone()), asked.id, asked.created_at),
        });
        outgoing.chain(incoming).collect()
    }
}

fn passes(filter: &PaymentFilter, facts: &Facts) -> bool {
    let at = facts.listed.created_at;
    filter.environment == facts.environment
        && filter.wallets.as_ref().is_none_or(|wallets| wallets.contains(&facts.wallet))
        && filter.direction.is_none_or(|direction| direction == facts.direction)
        && (filter.statuses.is_empty() || filter.statuses.contains(&facts.status))
        && filter.metadata.iter().all(|(key, value)| facts.metadata.get(key) == Some(value))
        && filter.created_from.is_none_or(|from| from <= at)
        && filter.created_to.is_none_or(|to| at <= to)
        && filter.updated_after.is_none_or(|after| facts.listed.updated_seq > after)
}

fn environment_of(org: &Org, event: &Event) -> Option<EnvironmentId> {
    if let Some(payment) = event.payment() {
        let sent = org.outgoing.get(&payment).map(|sent| sent.environment);
        return sent.or_else(|| org.incoming.get(&payment).map(|asked| asked.environment));
    }
    if let Event::EnvironmentCreated { environment, .. }
    | Event::EnvironmentRenamed { environment, .. }
    | Event::LineOpened { environment, .. }
    | Event::WalletCreated { environment, .. } = event
    {
        return Some(*environment);
    }
    if let Event::WalletLimitSet { wallet, .. }
    | Event::WalletRenamed { wallet, .. }
    | Event::WalletDeleted { wallet } = event
    {
        return org.wallets.get(wallet).map(|wallet| wallet.environment);
    }
    if let Event::LineLimitSet { line, .. }
    | Event::LineDisabled { line }
    | Event::LineEnabled { line } = event
    {
        return org.lines.get(line).map(|line| line.environment);
    }
    None
}

fn moves(org: &Org, wallet: WalletId, event: &Event) -> bool {
    if let Event::Held { .. } | Event::Voided { .. } = event {
        let payment = event.payment().and_then(|payment| org.outgoing.get(&payment));
        return payment.is_some_and(|payment| payment.terms.wallet == wallet);
    }
    event.entry().is_some_and(|entry| {
        entry.postings().iter().any(|posting| posting.account == Account::Wallet(wallet))
    })
}

fn in_ledger(state: &State, id: OrgId, wallet: WalletId, filter: &LedgerFilter) -> Vec<Recorded> {
    let org = &state.orgs[&id];
    let wanted = |recorded: &&Recorded| {
        moves(org, wallet, &recorded.event)
            && filter.payment.is_none_or(|payment| recorded.event.payment() == Some(payment))
            && filter.from.is_none_or(|from| from <= recorded.at)
            && filter.to.is_none_or(|to| recorded.at <= to)
            && filter.after.is_none_or(|after| recorded.seq > after)
    };
    state.events(id).filter(wanted).cloned().collect()
}

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
        let facts = self.state().facts(org);
        let found = facts.into_iter().filter(|facts| passes(filter, facts));
        let mut listed: Vec<_> = found.map(|facts| facts.listed).collect();
        listed.sort_by_key(|one| one.place(order));
        if !ascending {
            listed.reverse();
        }
        let behind = |one: &Listed| {
            let place = one.place(order);
            after.is_none_or(|after| if ascending { place > after } else { place < after })
        };
        let page = listed.into_iter().filter(behind).skip(usize::try_from(offset).unwrap());
        Ok(page.take(usize::try_from(limit).unwrap()).collect())
    }

    async fn count_payments(
        &self,
        org: OrgId,
        filter: &PaymentFilter,
    ) -> Result<Vec<PaymentCount>, StoreError> {
        let mut counts: BTreeMap<_, PaymentCount> = BTreeMap::new();
        for facts in self.state().facts(org).iter().filter(|facts| passes(filter, facts)) {
            let at = facts.listed.created_at;
            let (direction, status) = (facts.direction, facts.status);
            let fresh = PaymentCount { direction, status, count: 0, oldest: at, newest: at };
            let count = counts.entry((direction, status)).or_insert(fresh);
            count.count += 1;
            (count.oldest, count.newest) = (count.oldest.min(at), count.newest.max(at));
        }
        Ok(counts.into_values().collect())
    }

    async fn history(&self, org: OrgId, payment: PaymentId) -> Result<Vec<Recorded>, StoreError> {
        let state = self.state();
        let of = state.events(org).filter(|recorded| recorded.event.payment() == Some(payment));
        Ok(of.cloned().collect())
    }

    async fn standing(&self, org: OrgId) -> Result<Vec<Row>, StoreError> {
        let state = self.state();
        let rows = state.orgs.get(&org).map(Org::rows).unwrap_or_default();
        Ok(rows.into_iter().filter(|row| !is_payment(row)).collect())
    }

    async fn journal(
        &self,
        org: OrgId,
        after: Seq,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.state().page(org, after, limit).cloned().collect())
    }

    async fn feed(
        &self,
        org: OrgId,
        environment: EnvironmentId,
        after: Seq,
        limit: u32,
    ) -> Result<(Vec<FeedEvent>, Seq), StoreError> {
        let state = self.state();
        let looked_at: Vec<_> = state.page(org, after, limit).collect();
        let last = looked_at.last().map_or(after, |recorded| recorded.seq);
        let own = looked_at.into_iter().filter(|recorded| {
            environment_of(&state.orgs[&org], &recorded.event) == Some(environment)
        });
        let told = own.map(|recorded| FeedEvent {
            payment: recorded.event.payment(),
            recorded: recorded.clone(),
        });
        Ok((told.collect(), last))
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
        let mut found = in_ledger(&self.state(), org, wallet, filter);
        if !ascending {
            found.reverse();
        }
        let page = found.into_iter().skip(usize::try_from(offset).unwrap());
        Ok(page.take(usize::try_from(limit).unwrap()).collect())
    }

    async fn count_ledger(
        &self,
        org: OrgId,
        wallet: WalletId,
        filter: &LedgerFilter,
    ) -> Result<u64, StoreError> {
        Ok(u64::try_from(in_ledger(&self.state(), org, wallet, filter).len()).unwrap())
    }

    async fn open_payments(&self, _: OrgId) -> Result<Vec<PaymentId>, StoreError> {
        Ok(Vec::new())
    }

    async fn orgs_with_open_work(&self) -> Result<Vec<OrgId>, StoreError> {
        Ok(self.state().orgs.keys().copied().collect())
    }
}

#[tonic::async_trait]
impl Idempotency for Fake {
    async fn begin(
        &self,
        scope: &IdempotencyScope,
        fingerprint: [u8; 32],
        runner: Runner,
    ) -> Result<Begun, StoreError> {
        let mut kept = self.keys_kept.lock().unwrap();
        let begun = match kept.get(scope) {
            None => Begun::New,
            Some(known) if known.fingerprint != fingerprint => Begun::OtherRequest,
            Some(Kept { answer: Some(answer), .. }) => Begun::Done(answer.clone()),
            Some(known) if known.began_at < runner.stale_before => Begun::New,
            Some(_) => Begun::Running,
        };
        if begun == Begun::New {
            kept.insert(scope.clone(), Kept { fingerprint, began_at: runner.now, answer: None });
        }
        Ok(begun)
    }

    async fn finish(
        &self,
        scope: &IdempotencyScope,
        _: [u8; 32],
        answer: &StoredAnswer,
        _: Timestamp,
    ) -> Result<(), StoreError> {
        if self.forgets.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it went away".to_owned()));
        }
        let mut kept = self.keys_kept.lock().unwrap();
        kept.get_mut(scope).unwrap().answer = Some(answer.clone());
        Ok(())
    }

    async fn abandon(&self, scope: &IdempotencyScope, _: [u8; 32]) -> Result<(), StoreError> {
        self.keys_kept.lock().unwrap().remove(scope);
        Ok(())
    }

    async fn forget_before(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }
}
