//! Invoices: made, followed, settled, cancelled, expired.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{
    Network, Timer,
    event::Event,
    fault::markers,
    invoice,
    refusal::{Refusal, invoice_not_found},
    state::{Invoice, InvoiceState, Node, Reason},
    stream::{Broadly, Item},
    value::{Hash, Msat, NodeId, Preimage, StreamId, Time},
};

#[derive(Clone, Debug, Default)]
pub struct NewInvoice {
    pub memo: String,
    /// `None`: made up, unless `hash` is set.
    pub preimage: Option<Preimage>,
    /// Set for a hold invoice.
    pub hash: Option<Hash>,
    /// Zero: any amount.
    pub value: Msat,
    pub description_hash: Option<[u8; 32]>,
    /// Zero: a day.
    pub expiry_seconds: u64,
    /// Zero: LND's default of 80 blocks.
    pub cltv_expiry: u32,
    pub private: bool,
}

const MOST_MEMO_BYTES: usize = 639;
const DEFAULT_EXPIRY_SECONDS: u64 = 86_400;
const DEFAULT_CLTV: u32 = 80;
const LEAST_CLTV: u32 = 18;
/// LND cancels a held invoice so many blocks before the HTLC expires.
const HOLD_EXPIRY_DELTA: u32 = 18;
pub(super) const BLOCK_MS: u64 = 600_000;

impl Network {
    pub fn add_invoice(
        &mut self,
        now: Time,
        node: NodeId,
        new: NewInvoice,
    ) -> Result<Invoice, Refusal> {
        if new.memo.len() > MOST_MEMO_BYTES {
            return Err(Refusal::unknown(format!(
                "memo too large: {} bytes (maxsize={MOST_MEMO_BYTES})",
                new.memo.len()
            )));
        }
        markers(&new.memo).map_err(|error| Refusal::invalid(error.to_string()))?;
        let cltv_expiry = if new.cltv_expiry == 0 { DEFAULT_CLTV } else { new.cltv_expiry };
        if cltv_expiry < LEAST_CLTV {
            return Err(Refusal::unknown(format!(
                "CLTV delta of {cltv_expiry} must be greater than minimum of {LEAST_CLTV}"
            )));
        }
        let made_up = || Preimage::new(self.make_up(node, "preimage"));
        let preimage = new.preimage.or_else(|| new.hash.is_none().then(made_up));
        let hash = new.hash.or_else(|| preimage.map(|preimage| preimage.hash()));
        let hash = hash.ok_or_else(|| Refusal::unknown("no payment hash"))?;
        let issuer = self.state.node(node);
        if issuer.database.invoices.contains_key(&hash) {
            return Err(Refusal::unknown("invoice with payment hash already exists"));
        }
        let mut invoice = Invoice {
            hash,
            preimage,
            secret: self.make_up(node, "payment secret"),
            value: new.value,
            request: Arc::from(""),
            memo: Arc::from(new.memo),
            description_hash: new.description_hash,
            created: Time::from_secs(issuer.clock(now).secs()),
            expiry_seconds: match new.expiry_seconds {
                0 => DEFAULT_EXPIRY_SECONDS,
                seconds => seconds,
            },
            cltv_expiry,
            private: new.private,
            hold: preimage.is_none(),
            keysend: false,
            add_index: 0,
            settle_index: 0,
            state: InvoiceState::Open,
            paid: Msat::ZERO,
            settled_at: None,
            held: None,
        };
        invoice.request = Arc::from(invoice::sign(self.chain, &issuer.secret, &invoice)?);
        self.commit(Event::InvoiceAdded { node, invoice: Box::new(invoice) });
        self.announce_invoice(node, hash, Broadly::Yes);
        self.arm_expiry(node, hash);
        Ok(self.state.node(node).database.invoices[&hash].clone())
    }

    /// Words that nobody can guess who does not know the node's secret, and that never come twice.
    fn make_up(&self, node: NodeId, what: &str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.state.node(node).secret)
            .chain_update(what)
            .chain_update(self.state.entropy.to_be_bytes())
            .finalize()
            .into()
    }

    pub fn invoice(&self, node: NodeId, hash: Hash) -> Option<&Invoice> {
        self.state.node(node).database.invoices.get(&hash)
    }

    pub fn settle_invoice(
        &mut self,
        now: Time,
        node: NodeId,
        preimage: Preimage,
    ) -> Result<(), Refusal> {
        let invoice = self.invoice(node, preimage.hash()).ok_or_else(invoice_not_found)?;
        match invoice.state {
            InvoiceState::Settled => Ok(()),
            InvoiceState::Open => Err(Refusal::unknown("invoice still open")),
            InvoiceState::Canceled => Err(Refusal::unknown("invoice already canceled")),
            InvoiceState::Accepted => {
                // A copy put back may remember a hold whose HTLCs have long gone.
                let live =
                    invoice.held.filter(|held| self.state.flights.contains_key(&held.flight));
                let held = live.ok_or_else(|| Refusal::unknown("htlc set not found"))?;
                self.settle_flight(now, held.flight, preimage);
                Ok(())
            }
        }
    }

    pub fn cancel_invoice(&mut self, now: Time, node: NodeId, hash: Hash) -> Result<(), Refusal> {
        let invoice = self.invoice(node, hash).ok_or_else(invoice_not_found)?;
        match invoice.state {
            InvoiceState::Canceled => Ok(()),
            InvoiceState::Settled => Err(Refusal::unknown("invoice already settled")),
            InvoiceState::Open | InvoiceState::Accepted => {
                self.close_invoice(now, node, hash);
                Ok(())
            }
        }
    }

    fn close_invoice(&mut self, now: Time, node: NodeId, hash: Hash) {
        let held = self.invoice(node, hash).and_then(|invoice| invoice.held);
        self.commit(Event::InvoiceCanceled { node, hash });
        if let Some(held) = held {
            self.fail_flight(now, held.flight, Reason::IncorrectPaymentDetails);
        }
        self.announce_invoice(node, hash, Broadly::No);
    }

    /// Sets the timer for the end of an invoice: its expiry, or the height at which a hold is
    /// given up.
    pub(super) fn arm_expiry(&mut self, node: NodeId, hash: Hash) {
        if let Some(at) = self.expiry(node, hash) {
            self.at(at, Timer::Expiry(node, hash));
        }
    }

    fn expiry(&self, node: NodeId, hash: Hash) -> Option<Time> {
        expiry(self.state.node(node), self.invoice(node, hash)?)
    }

    pub(super) fn expire(&mut self, now: Time, node: NodeId, hash: Hash) {
        match self.expiry(node, hash) {
            Some(at) if at <= now => self.close_invoice(now, node, hash),
            Some(at) => self.at(at, Timer::Expiry(node, hash)),
            None => {}
        }
    }

    /// LND's cursors: the backlog is all that is greater than the cursor, and zero means none at
    /// all.
    pub fn subscribe_invoices(
        &mut self,
        node: NodeId,
        add_index: u64,
        settle_index: u64,
        stream: StreamId,
    ) {
        let database = &self.state.node(node).database;
        let mut backlog = Vec::new();
        if add_index > 0 {
            let from = usize::try_from(add_index).unwrap_or(usize::MAX);
            let added = database.by_add_index.iter().skip(from);
            backlog.extend(added.filter_map(|hash| database.invoices.get(hash)).filter(
                |invoice| matches!(invoice.state, InvoiceState::Open | InvoiceState::Settled),
            ));
        }
        if settle_index > 0 {
            let settled = database.by_settle_index.range(settle_index.saturating_add(1)..);
            backlog.extend(settled.filter_map(|(_, hash)| database.invoices.get(hash)));
        }
        let backlog: Vec<Box<Invoice>> = backlog.into_iter().cloned().map(Box::new).collect();
        for invoice in backlog {
            self.tell(stream, Item::Invoice(invoice));
        }
        self.follow_invoices(node, stream);
    }

    /// The current state first, if there is one yet, then every change until the last.
    pub fn subscribe_invoice(&mut self, node: NodeId, hash: Hash, stream: StreamId) {
        self.follow_invoice(node, hash, stream);
        if let Some(invoice) = self.invoice(node, hash).cloned() {
            self.tell_invoice(stream, &invoice);
        }
    }
}

/// When an invoice ends by itself: at its expiry, or at the height where a hold is given up.
pub(super) fn expiry(node: &Node, invoice: &Invoice) -> Option<Time> {
    match (invoice.state, invoice.held) {
        (InvoiceState::Open, _) => {
            Some(invoice.expires().off_by_ms(node.clock_ms.saturating_neg()))
        }
        (InvoiceState::Accepted, Some(held)) => {
            let blocks = invoice.cltv_expiry.saturating_sub(HOLD_EXPIRY_DELTA);
            Some(held.since.after_ms(u64::from(blocks) * BLOCK_MS))
        }
        (InvoiceState::Accepted | InvoiceState::Settled | InvoiceState::Canceled, _) => None,
    }
}
