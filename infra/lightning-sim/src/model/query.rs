//! Reading: pages of payments and invoices, tracking, balances, the height of the chain.

use super::{
    Network,
    invoice::read,
    receive::BLOCK_MS,
    refusal::Refusal,
    state::{Invoice, InvoiceState, Payment, PaymentState},
    stream::{Manner, PaymentView},
    value::{Hash, Msat, NodeId, StreamId, Time},
};

/// Which page of a list, as LND words it.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageOf {
    /// Exclusive; zero begins at the beginning, or at the end if reversed.
    pub index_offset: u64,
    /// Zero: 100.
    pub most: u64,
    pub reversed: bool,
    /// Seconds, inclusive; zero means no bound.
    pub created_from: u64,
    pub created_to: u64,
}

#[derive(Debug, Default)]
pub struct PaymentPage {
    pub payments: Vec<Payment>,
    pub first_index: u64,
    pub last_index: u64,
    pub total: u64,
}

#[derive(Debug, Default)]
pub struct InvoicePage {
    pub invoices: Vec<Invoice>,
    pub first_index: u64,
    pub last_index: u64,
}

const DEFAULT_PAGE: u64 = 100;
const FIRST_BLOCKS: u64 = 700;

impl PageOf {
    fn most(&self) -> usize {
        let most = if self.most == 0 { DEFAULT_PAGE } else { self.most };
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    fn holds(&self, created: Time) -> bool {
        let from_ok = self.created_from == 0 || created.secs() >= self.created_from;
        from_ok && (self.created_to == 0 || created.secs() <= self.created_to)
    }

    /// The page of an ascending sequence, whichever way it is read.
    fn cut<T>(&self, rows: impl DoubleEndedIterator<Item = T>) -> Vec<T> {
        if self.reversed {
            let mut page: Vec<T> = rows.rev().take(self.most()).collect();
            page.reverse();
            page
        } else {
            rows.take(self.most()).collect()
        }
    }

    /// The bounds of the indices, both inclusive.
    fn indices(&self) -> std::ops::RangeInclusive<u64> {
        match (self.reversed, self.index_offset) {
            (true, 0) => 1..=u64::MAX,
            (true, before) => 1..=before.saturating_sub(1),
            (false, after) => after.saturating_add(1)..=u64::MAX,
        }
    }
}

impl Network {
    /// The payment hash of a BOLT11 text.
    pub fn hash_of(&self, text: &str) -> Result<Hash, Refusal> {
        match self.issued(text) {
            Some((_, invoice)) => Ok(invoice.hash),
            None => read(self.chain, text).map(|terms| terms.hash),
        }
    }

    pub fn payment(&self, node: NodeId, hash: Hash) -> Option<&Payment> {
        self.state.node(node).database.payments.get(&hash)
    }

    /// Only SUCCEEDED ones, unless the incomplete are asked for too.
    pub fn list_payments(&self, node: NodeId, page: PageOf, incomplete: bool) -> PaymentPage {
        let database = &self.state.node(node).database;
        let rows = database
            .by_payment_index
            .range(page.indices())
            .filter_map(|(_, hash)| database.payments.get(hash))
            .filter(|row| incomplete || row.state == PaymentState::Succeeded)
            .filter(|row| page.holds(row.created));
        let payments: Vec<Payment> = page.cut(rows).into_iter().cloned().collect();
        PaymentPage {
            first_index: payments.first().map_or(0, |row| row.index),
            last_index: payments.last().map_or(0, |row| row.index),
            total: u64::try_from(database.payments.len()).unwrap_or(u64::MAX),
            payments,
        }
    }

    pub fn list_invoices(&self, node: NodeId, page: PageOf, pending_only: bool) -> InvoicePage {
        let database = &self.state.node(node).database;
        let indices = page.indices();
        let bound = |index: u64| {
            usize::try_from(index).unwrap_or(usize::MAX).min(database.by_add_index.len())
        };
        let (from, to) = (bound(indices.start().saturating_sub(1)), bound(*indices.end()));
        let rows = database
            .by_add_index
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .filter_map(|hash| database.invoices.get(hash))
            .filter(|row| {
                !pending_only || matches!(row.state, InvoiceState::Open | InvoiceState::Accepted)
            })
            .filter(|row| page.holds(row.created));
        let invoices: Vec<Invoice> = page.cut(rows).into_iter().cloned().collect();
        InvoicePage {
            first_index: invoices.first().map_or(0, |row| row.add_index),
            last_index: invoices.last().map_or(0, |row| row.add_index),
            invoices,
        }
    }

    /// The record as it stands, then every update; the stream ends with the payment.
    pub fn track(
        &mut self,
        node: NodeId,
        hash: Hash,
        no_inflight_updates: bool,
        stream: StreamId,
    ) -> Result<(), Refusal> {
        let payment = self
            .payment(node, hash)
            .ok_or_else(|| Refusal::not_found("payment isn't initiated"))?;
        let view = PaymentView::of(payment);
        let manner = Manner { only_final: no_inflight_updates, ..Manner::default() };
        self.follow_payment(node, hash, stream, manner);
        self.tell_payment(stream, manner, &view);
        Ok(())
    }

    /// What is in flight now, then everything. What ended while nobody looked is not told again.
    pub fn track_all(&mut self, node: NodeId, no_inflight_updates: bool, stream: StreamId) {
        let manner = Manner { only_final: no_inflight_updates, ..Manner::default() };
        self.follow_payments(node, stream, manner);
        let database = &self.state.node(node).database;
        let mut open: Vec<PaymentView> =
            database.payments.values().filter(|row| row.is_open()).map(PaymentView::of).collect();
        open.sort_unstable_by_key(|view| view.payment.index);
        for view in open {
            if !manner.only_final {
                self.tell(stream, super::Item::Payment(Box::new(view)));
            }
        }
    }

    /// What a node has at its ends of its channels, and what its peers have.
    pub fn balances(&self, node: NodeId) -> (Msat, Msat) {
        let ids = &self.state.node(node).channels;
        ids.iter().fold((Msat::ZERO, Msat::ZERO), |(local, remote), id| {
            let (ours, theirs) = self.state.channels[id.index()].of(node);
            (local.plus(ours.balance), remote.plus(theirs.balance))
        })
    }

    /// A block each ten minutes since the network was born.
    pub fn height(&self, now: Time) -> u32 {
        let blocks = self.state.genesis.ms_until(now) / BLOCK_MS;
        u32::try_from(FIRST_BLOCKS.saturating_add(blocks)).unwrap_or(u32::MAX)
    }

    /// When the newest block was found.
    pub fn tip_time(&self, now: Time) -> Time {
        let since = self.state.genesis.ms_until(now) / BLOCK_MS;
        self.state.genesis.after_ms(since.saturating_mul(BLOCK_MS))
    }
}
