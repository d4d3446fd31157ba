//! A small network for the tests, with a clock moved by hand and everything that was said kept.

use std::collections::BTreeMap;

use super::{
    Chain, Event, Fault, Invoice, Item, Msat, Network, NewInvoice, NodeId, NodeOptions,
    PaymentState, Permission, Policy, Role, SendRequest, Setting, StreamId, Time,
};

pub(crate) struct Bench {
    pub(crate) net: Network,
    pub(crate) now: Time,
    pub(crate) log: Vec<Event>,
    said: BTreeMap<StreamId, Vec<String>>,
    streams: u64,
}

pub(crate) const START: Time = Time::from_secs(1_800_000_000);

/// `pool` is next to `alice` (no fee) and to `hub`; `hub` is next to `bob`. Bob is careless.
pub(crate) fn network() -> Bench {
    let mut net = Network::new(Chain::Regtest);
    let options = |role| NodeOptions {
        role,
        latency_ms: 0,
        accepts_keysend: role == Role::Outside,
        careless: false,
    };
    let mut add =
        |name: &str, byte: u8, options| net.add_node(START, name, [byte; 32], options).unwrap();
    let pool = add("pool", 1, options(Role::Pool));
    let alice = add("alice", 2, options(Role::Outside));
    let hub = add("hub", 3, options(Role::Outside));
    let bob = add("bob", 4, NodeOptions { careless: true, ..options(Role::Outside) });
    let price = Policy { base: Msat::new(1_000), ppm: 1_000 };
    let big = Msat::from_sat(1_000_000);
    for (first, second) in [(pool, alice), (pool, hub), (hub, bob)] {
        net.open_channel([(first, big, price), (second, big, price)], 483).unwrap();
    }
    let mut bench = Bench { net, now: START, log: Vec::new(), said: BTreeMap::new(), streams: 0 };
    bench.collect();
    bench
}

/// How a stream's items look in the tests.
fn word(item: &Item) -> String {
    match item {
        Item::Payment(view) => {
            let payment = &view.payment;
            let state = match payment.state {
                PaymentState::Initiated => "initiated",
                PaymentState::InFlight => "in flight",
                PaymentState::Succeeded => "succeeded",
                PaymentState::Failed => "failed",
            };
            let mut word = format!("{state} #{}", payment.index);
            if !payment.fee.is_zero() {
                word += &format!(" fee {}", payment.fee.get());
            }
            if let Some(reason) = payment.reason {
                word += &format!(" {reason:?}");
            }
            word
        }
        Item::Invoice(invoice) => format!(
            "{:?} add {} settle {} paid {}",
            invoice.state,
            invoice.add_index,
            invoice.settle_index,
            invoice.paid.get()
        ),
        Item::End => "end".to_owned(),
        Item::Broken(refusal) => format!("{:?}: {}", refusal.code, refusal.text),
    }
}

impl Bench {
    pub(crate) fn id(&self, name: &str) -> NodeId {
        self.net.node(name).expect("a node of the bench").0
    }

    pub(crate) fn collect(&mut self) {
        let output = self.net.take_output();
        self.log.extend(output.events);
        for notice in output.notices {
            self.said.entry(notice.stream).or_default().push(word(&notice.item));
        }
    }

    pub(crate) fn act<R>(&mut self, command: impl FnOnce(&mut Network, Time) -> R) -> R {
        let answer = command(&mut self.net, self.now);
        self.collect();
        answer
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.now = self.now.after_ms(ms);
        self.act(|net, now| net.advance(now));
    }

    pub(crate) fn stream(&mut self) -> StreamId {
        self.streams += 1;
        StreamId(self.streams)
    }

    /// What was said on a stream since the last time.
    pub(crate) fn said(&mut self, stream: StreamId) -> Vec<String> {
        self.said.remove(&stream).unwrap_or_default()
    }

    pub(crate) fn invoice(&mut self, node: &str, new: NewInvoice) -> Invoice {
        let node = self.id(node);
        self.act(|net, now| net.add_invoice(now, node, new)).unwrap()
    }

    pub(crate) fn quick_invoice(&mut self, node: &str, msat: u64, memo: &str) -> Invoice {
        let memo = memo.to_owned();
        self.invoice(node, NewInvoice { memo, value: Msat::new(msat), ..NewInvoice::default() })
    }

    pub(crate) fn send(&mut self, node: &str, request: SendRequest) -> StreamId {
        self.send_until(node, request, None)
    }

    pub(crate) fn send_until(
        &mut self,
        node: &str,
        request: SendRequest,
        until: Option<Time>,
    ) -> StreamId {
        let (node, stream) = (self.id(node), self.stream());
        let permission = Permission { until, caveat: "T".to_owned() };
        self.act(|net, now| net.send(now, node, request, permission, stream));
        stream
    }

    /// Pays an invoice with plenty of fee, and says what came over the stream at once.
    pub(crate) fn pay(&mut self, node: &str, invoice: &Invoice) -> Vec<String> {
        let stream = self.send(node, request(invoice));
        self.said(stream)
    }

    pub(crate) fn track(&mut self, node: &str, invoice: &Invoice) -> Vec<String> {
        let (node, stream) = (self.id(node), self.stream());
        let hash = invoice.hash;
        self.act(|net, _| {
            if let Err(refusal) = net.track(node, hash, false, stream) {
                net.refuse(stream, refusal);
            }
        });
        self.said(stream)
    }

    pub(crate) fn fault(&mut self, node: &str, fault: &str) {
        self.fault_times(node, fault, None);
    }

    pub(crate) fn fault_times(&mut self, node: &str, fault: &str, times_left: Option<u64>) {
        let node = self.id(node);
        let fault: Fault = fault.parse().unwrap();
        let setting = Setting { fault, times_left, ppm: super::ALWAYS_PPM, seed: 0, draws: 0 };
        self.act(|net, now| net.set_fault(now, node, setting)).unwrap();
    }

    pub(crate) fn clear(&mut self, node: &str) {
        let node = self.id(node);
        self.act(|net, now| net.clear_faults(now, node, None));
    }
}

pub(crate) fn request(invoice: &Invoice) -> SendRequest {
    SendRequest {
        payment_request: invoice.request.to_string(),
        fee_limit: Msat::new(1_000_000),
        ..SendRequest::default()
    }
}
