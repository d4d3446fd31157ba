//! One node behind the Lightning port: the meaning is that of the adapter for lnd.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    InvoiceTerms, PaymentHash, Preimage, PublicKey, Timestamp,
    broken::{self, Rule},
    org::InvoiceEnd,
};
use ports::{
    LightningNode,
    lightning::{
        NodeError, NodePayment, NodeStatus, PayError, PayRequest, PayUpdate, Settlement, Stream,
    },
};

use super::{
    Port, amount, chain, terms, time,
    updates::{self, PaymentUpdates, Settlements, node_error, pay_error},
};
use crate::model::{
    Code, Hash, Invoice, InvoiceState, Msat, Network, NewInvoice, NodeId, PageOf, Payment,
    Permission, SendRequest, Time,
};

/// As many as the adapter asks for at once.
const PAGE: u64 = 500;

pub(super) struct Node {
    pub(super) port: Arc<Port>,
    pub(super) id: NodeId,
}

impl Node {
    /// Runs a command on a node that answers.
    fn ask<R>(&self, command: impl FnOnce(&mut Network, Time) -> R) -> Result<R, NodeError> {
        self.port.act(|network, now| match network.state().node(self.id).down {
            true => Err(NodeError::Unreachable("connection refused".to_owned())),
            false => Ok(command(network, now)),
        })
    }

    fn invoice(&self, hash: PaymentHash) -> Result<Option<Invoice>, NodeError> {
        self.ask(|network, _| network.invoice(self.id, Hash::new(hash.0)).cloned())
    }
}

#[async_trait]
impl LightningNode for Node {
    async fn pay(&self, request: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
        let message = SendRequest {
            payment_request: request.invoice.clone(),
            amount: request.amount_msat.map_or(Msat::ZERO, |amount| Msat::new(amount.get())),
            fee_limit: Msat::new(request.fee_limit_msat.get()),
            ..SendRequest::default()
        };
        let permission = Permission {
            until: (!broken::is(Rule::Caveat)).then(|| time(request.until)),
            caveat: request.until.millis().to_string(),
        };
        let sent = self.port.stream(|network, now, stream| {
            network.send(now, self.id, message, permission, stream);
        });
        let updates = sent.answered().await.map_err(pay_error)?;
        Ok(Box::new(PaymentUpdates::new(updates)))
    }

    async fn track(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
        self.ask(|_, _| ())?;
        let asked = self.port.stream(|network, _, stream| {
            if let Err(refusal) = network.track(self.id, Hash::new(hash.0), false, stream) {
                network.refuse(stream, refusal);
            }
        });
        match asked.answered().await {
            Ok(updates) => Ok(Some(Box::new(PaymentUpdates::new(updates)))),
            Err(refusal) if refusal.code == Code::NotFound => Ok(None),
            Err(refusal) => Err(node_error(refusal)),
        }
    }

    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError> {
        self.ask(|network, now| network.state().node(self.id).clock(now) >= time(until))
    }

    async fn make_invoice(
        &self,
        preimage: Preimage,
        amount_msat: Option<domain::Msat>,
        description: &str,
        expires_at: Timestamp,
    ) -> Result<InvoiceTerms, NodeError> {
        let hash = preimage.hash();
        let left_ms = expires_at.millis_since(self.port.clock.now()).saturating_add(999);
        let seconds = u64::try_from(left_ms / 1_000).unwrap_or(0);
        if seconds > 0 {
            let new = NewInvoice {
                memo: description.to_owned(),
                preimage: Some(crate::model::Preimage::new(preimage.0)),
                value: amount_msat.map_or(Msat::ZERO, |amount| Msat::new(amount.get())),
                expiry_seconds: seconds,
                ..NewInvoice::default()
            };
            let made = self.ask(|network, now| network.add_invoice(now, self.id, new))?;
            match made {
                Ok(_) => {}
                Err(refusal) if refusal.text.contains("already exists") => {}
                Err(refusal) => return Err(node_error(refusal)),
            }
        }
        let another = || NodeError::Refused("its invoice of this hash is another one".to_owned());
        let missing = || NodeError::Refused("unable to locate invoice".to_owned());
        let found = self.ask(|network, _| {
            let invoice = network.invoice(self.id, Hash::new(hash.0))?;
            Some(terms(network, self.id, invoice))
        })?;
        let found = found.ok_or_else(missing)?;
        match found.amount_msat == amount_msat && found.description == description {
            true => Ok(found),
            false => Err(another()),
        }
    }

    async fn cancel_invoice(&self, hash: PaymentHash) -> Result<InvoiceEnd, NodeError> {
        let cancelled =
            self.ask(|network, now| network.cancel_invoice(now, self.id, Hash::new(hash.0)))?;
        let Err(refusal) = cancelled else { return Ok(InvoiceEnd::Cancelled) };
        match self.invoice(hash)?.map(|invoice| invoice.state) {
            Some(InvoiceState::Settled) => Ok(InvoiceEnd::Settled),
            Some(InvoiceState::Canceled) => Ok(InvoiceEnd::Cancelled),
            Some(InvoiceState::Open | InvoiceState::Accepted) | None => Err(node_error(refusal)),
        }
    }

    async fn settled(&self, hash: PaymentHash) -> Result<Option<Settlement>, NodeError> {
        Ok(self.invoice(hash)?.and_then(|invoice| updates::settlement(&invoice)))
    }

    async fn status(&self) -> Result<NodeStatus, NodeError> {
        self.ask(|network, _| status(network, self.id))
    }

    async fn settlements(&self, after: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
        let backlog = self.ask(|network, _| settled_after(network, self.id, after))?;
        let updates = self.port.stream(|network, _, stream| {
            network.subscribe_invoices(self.id, 0, 0, stream);
        });
        Ok(Box::new(Settlements::new(backlog, updates)))
    }

    async fn last_settle_index(&self) -> Result<u64, NodeError> {
        self.ask(|network, _| {
            let settled = &network.state().node(self.id).database.by_settle_index;
            settled.last_key_value().map_or(0, |(index, _)| *index)
        })
    }

    async fn payments(&self, after_index: u64) -> Result<Vec<NodePayment>, NodeError> {
        let of = PageOf { index_offset: after_index, most: PAGE, ..PageOf::default() };
        let page = self.ask(|network, _| network.list_payments(self.id, of, true))?;
        Ok(page.payments.iter().map(listed).collect())
    }
}

fn settled_after(network: &Network, node: NodeId, after: u64) -> Vec<Settlement> {
    let database = &network.state().node(node).database;
    let later = database.by_settle_index.range(after.saturating_add(1)..);
    let invoices = later.filter_map(|(_, hash)| database.invoices.get(hash));
    invoices.filter_map(updates::settlement).collect()
}

fn listed(payment: &Payment) -> NodePayment {
    let last = updates::update(payment);
    NodePayment {
        hash: PaymentHash(*payment.hash.bytes()),
        payment_index: payment.index,
        probe: payment.request.is_none() && matches!(last, PayUpdate::Failed { .. }),
        last,
    }
}

fn status(network: &Network, node: NodeId) -> NodeStatus {
    let state = network.state();
    let of = state.node(node);
    let mut status = NodeStatus {
        identity: PublicKey(of.pubkey.0),
        network: Some(chain(network.chain())),
        version: "0.20.1-beta sim".to_owned(),
        serving: true,
        outbound_msat: domain::Msat::ZERO,
        largest_channel_msat: domain::Msat::ZERO,
        inbound_msat: domain::Msat::ZERO,
        slots: 0,
        pending_htlcs: 0,
    };
    let (mut out, mut back) = (Msat::ZERO, Msat::ZERO);
    for id in &of.channels {
        let Some(channel) = state.channels.get(id.index()) else { continue };
        let (ours, theirs) = channel.of(node);
        let pending = ours.slots_used.saturating_add(theirs.slots_used);
        status.pending_htlcs = status.pending_htlcs.saturating_add(pending);
        if state.node(theirs.node).down {
            continue;
        }
        status.slots = status.slots.saturating_add(channel.slots);
        out = out.plus(ours.balance);
        back = back.plus(theirs.balance);
        status.largest_channel_msat = status.largest_channel_msat.max(amount(ours.balance));
    }
    (status.outbound_msat, status.inbound_msat) = (amount(out), amount(back));
    status
}
