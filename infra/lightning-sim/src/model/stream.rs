//! Who follows what, and what they are told.

use std::collections::HashMap;

use super::{
    Network,
    refusal::Refusal,
    state::{Invoice, Payment, PaymentState, Reason},
    value::{Hash, NodeId, StreamId},
};

/// One thing to tell one caller.
#[derive(Clone, Debug)]
pub struct Notice {
    pub stream: StreamId,
    pub item: Item,
}

#[derive(Clone, Debug)]
pub enum Item {
    Payment(Box<PaymentView>),
    Invoice(Box<Invoice>),
    /// The stream is over.
    End,
    /// The stream breaks.
    Broken(Box<Refusal>),
}

/// A payment as its node shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentView {
    pub payment: Payment,
    /// How many of its shards are settled.
    pub settled_shards: usize,
}

impl PaymentView {
    pub fn of(payment: &Payment) -> PaymentView {
        let settled = payment.state == PaymentState::Succeeded;
        PaymentView {
            payment: payment.clone(),
            settled_shards: if settled { payment.shards.len() } else { 0 },
        }
    }

    pub fn is_final(&self) -> bool {
        !self.payment.is_open()
    }
}

/// How a stream of payment updates behaves; the odd ones are faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) only_final: bool,
    pub(super) silent: bool,
    pub(super) twice: bool,
    pub(super) cut: bool,
}

#[derive(Clone, Copy, Debug)]
enum Topic {
    Payment(NodeId, Hash, Manner),
    Payments(NodeId, Manner),
    Invoices(NodeId),
    Invoice(NodeId, Hash),
}

#[derive(Default)]
pub(super) struct Streams {
    topics: HashMap<StreamId, Topic>,
    payment: HashMap<(NodeId, Hash), Vec<StreamId>>,
    invoice: HashMap<(NodeId, Hash), Vec<StreamId>>,
    /// Streams over a whole node, few.
    broad: Vec<StreamId>,
}

impl Network {
    /// The caller has gone away.
    pub fn close(&mut self, stream: StreamId) {
        let Some(topic) = self.streams.topics.remove(&stream) else { return };
        let (narrow, key) = match topic {
            Topic::Payment(node, hash, _) => (&mut self.streams.payment, (node, hash)),
            Topic::Invoice(node, hash) => (&mut self.streams.invoice, (node, hash)),
            Topic::Payments(..) | Topic::Invoices(_) => {
                self.streams.broad.retain(|kept| *kept != stream);
                return;
            }
        };
        if let Some(streams) = narrow.get_mut(&key) {
            streams.retain(|kept| *kept != stream);
            if streams.is_empty() {
                narrow.remove(&key);
            }
        }
    }

    /// Breaks every stream of a node.
    pub(super) fn break_streams(&mut self, node: NodeId, refusal: &Refusal) {
        let mut streams: Vec<StreamId> = self
            .streams
            .topics
            .iter()
            .filter(|(_, topic)| match topic {
                Topic::Payment(of, ..)
                | Topic::Payments(of, _)
                | Topic::Invoices(of)
                | Topic::Invoice(of, _) => *of == node,
            })
            .map(|(stream, _)| *stream)
            .collect();
        streams.sort_unstable();
        for stream in streams {
            self.close(stream);
            self.refuse(stream, refusal.clone());
        }
    }

    /// Answers a call that got no further than its stream.
    pub fn refuse(&mut self, stream: StreamId, refusal: Refusal) {
        self.tell(stream, Item::Broken(Box::new(refusal)));
    }

    pub(super) fn tell(&mut self, stream: StreamId, item: Item) {
        self.notices.push(Notice { stream, item });
    }

    pub(super) fn follow_payment(
        &mut self,
        node: NodeId,
        hash: Hash,
        stream: StreamId,
        manner: Manner,
    ) {
        self.streams.topics.insert(stream, Topic::Payment(node, hash, manner));
        self.streams.payment.entry((node, hash)).or_default().push(stream);
    }

    pub(super) fn follow_payments(&mut self, node: NodeId, stream: StreamId, manner: Manner) {
        self.streams.topics.insert(stream, Topic::Payments(node, manner));
        self.streams.broad.push(stream);
    }

    pub(super) fn follow_invoices(&mut self, node: NodeId, stream: StreamId) {
        self.streams.topics.insert(stream, Topic::Invoices(node));
        self.streams.broad.push(stream);
    }

    pub(super) fn follow_invoice(&mut self, node: NodeId, hash: Hash, stream: StreamId) {
        self.streams.topics.insert(stream, Topic::Invoice(node, hash));
        self.streams.invoice.entry((node, hash)).or_default().push(stream);
    }

    /// Tells one follower of a payment, in its manner.
    pub(super) fn tell_payment(&mut self, stream: StreamId, manner: Manner, view: &PaymentView) {
        let last = view.is_final();
        if !manner.silent && (last || !manner.only_final) {
            for _ in 0..=u8::from(manner.twice) {
                self.tell(stream, Item::Payment(Box::new(view.clone())));
            }
        }
        if manner.cut || (last && !manner.silent) {
            self.close(stream);
            self.tell(stream, Item::End);
        }
    }

    /// Tells every follower of a payment how it stands.
    pub(super) fn announce_payment(&mut self, node: NodeId, view: &PaymentView) {
        let hash = view.payment.hash;
        let narrow = self.streams.payment.get(&(node, hash)).cloned().unwrap_or_default();
        for stream in narrow {
            if let Some(Topic::Payment(_, _, manner)) = self.streams.topics.get(&stream) {
                self.tell_payment(stream, *manner, view);
            }
        }
        for stream in self.broad() {
            let Some(Topic::Payments(of, manner)) = self.streams.topics.get(&stream) else {
                continue;
            };
            if *of == node && (view.is_final() || !manner.only_final) {
                self.tell(stream, Item::Payment(Box::new(view.clone())));
            }
        }
    }

    /// Announces a row as it stands in the node's database.
    pub(super) fn announce_row(&mut self, node: NodeId, hash: Hash) {
        if let Some(payment) = self.state.node(node).database.payments.get(&hash) {
            let view = PaymentView::of(payment);
            self.announce_payment(node, &view);
        }
    }

    /// As lnd does: an update that carries the reason while still in flight, then FAILED.
    pub(super) fn announce_failure(&mut self, node: NodeId, hash: Hash, reason: Reason) {
        if let Some(payment) = self.state.node(node).database.payments.get(&hash) {
            let mut view = PaymentView::of(payment);
            view.payment.state = PaymentState::InFlight;
            view.payment.reason = Some(reason);
            view.payment.resolved = None;
            self.announce_payment(node, &view);
        }
        self.announce_row(node, hash);
    }

    /// Tells the followers of one invoice, and those of all of a node's if `broadly`.
    pub(super) fn announce_invoice(&mut self, node: NodeId, hash: Hash, broadly: Broadly) {
        let Some(invoice) = self.state.node(node).database.invoices.get(&hash) else { return };
        let narrow = self.streams.invoice.get(&(node, hash)).cloned().unwrap_or_default();
        if narrow.is_empty() && (broadly == Broadly::No || self.streams.broad.is_empty()) {
            return;
        }
        let invoice = invoice.clone();
        for stream in narrow {
            self.tell_invoice(stream, &invoice);
        }
        if broadly == Broadly::Yes {
            for stream in self.broad() {
                let topic = self.streams.topics.get(&stream);
                if matches!(topic, Some(Topic::Invoices(of)) if *of == node) {
                    self.tell(stream, Item::Invoice(Box::new(invoice.clone())));
                }
            }
        }
    }

    /// Tells the follower of a single invoice, whose stream ends with the invoice.
    pub(super) fn tell_invoice(&mut self, stream: StreamId, invoice: &Invoice) {
        self.tell(stream, Item::Invoice(Box::new(invoice.clone())));
        if invoice.is_final() {
            self.close(stream);
            self.tell(stream, Item::End);
        }
    }

    fn broad(&self) -> Vec<StreamId> {
        self.streams.broad.clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broadly {
    Yes,
    No,
}
