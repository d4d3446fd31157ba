//! The network behind the Lightning port, in this process: for seeded simulation on a paused clock.
//!
//! ```text
//! mod.rs      `Port`: drives the model under a handed-in clock; one `LightningNode` for each node
//! node.rs     the port's calls, as the adapter for lnd answers them
//! updates.rs  streams, and what a node's refusals mean
//! ```
//!
//! Everything happens on the caller's thread and in the order of the calls, so that the same calls at the
//! same times give the same answers.

mod node;
mod updates;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use domain::{InvoiceTerms, PublicKey, Timestamp};
use ports::{Clock, LightningNode};
use tokio::{
    sync::{Notify, mpsc},
    time::sleep,
};

use crate::model::{Invoice, Item, Network, NodeId, StreamId, Time};

/// A network in this process.
pub struct Port {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// Something is due earlier than the time-keeper thinks.
    earlier: Notify,
}

struct Inner {
    network: Network,
    streams: BTreeMap<StreamId, mpsc::UnboundedSender<Item>>,
    next_stream: u64,
    armed: Option<Time>,
}

impl Port {
    /// Takes the network over. Must be called within a runtime, whose clock moves with the one given.
    pub fn start(network: Network, clock: Arc<dyn Clock>) -> Arc<Port> {
        let inner = Inner { network, streams: BTreeMap::new(), next_stream: 1, armed: None };
        let port = Arc::new(Port { clock, inner: Mutex::new(inner), earlier: Notify::new() });
        tokio::spawn(keep_time(Arc::downgrade(&port)));
        port
    }

    /// One node as the platform sees it.
    pub fn node(self: &Arc<Self>, id: NodeId) -> Arc<dyn LightningNode> {
        Arc::new(node::Node { port: self.clone(), id })
    }

    /// Runs a command of the model: faults, invoices of others, payments of others, questions.
    pub fn act<R>(&self, command: impl FnOnce(&mut Network, Time) -> R) -> R {
        let mut inner = self.lock();
        let answer = inner.run(time(self.clock.now()), command);
        let due = inner.network.next_due();
        if due.is_some_and(|due| inner.armed.is_none_or(|armed| due < armed)) {
            inner.armed = due;
            self.earlier.notify_one();
        }
        answer
    }

    /// Begins something that the model answers on a stream.
    fn stream(
        self: &Arc<Self>,
        start: impl FnOnce(&mut Network, Time, StreamId),
    ) -> updates::Updates {
        let (tell, items) = mpsc::unbounded_channel();
        let id = {
            let mut inner = self.lock();
            let id = StreamId(inner.next_stream);
            inner.next_stream += 1;
            inner.streams.insert(id, tell);
            id
        };
        self.act(|network, now| start(network, now, id));
        updates::Updates::new(self.clone(), id, items)
    }

    fn close(&self, id: StreamId) {
        let mut inner = self.lock();
        if inner.streams.remove(&id).is_some() {
            inner.network.close(id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn run<R>(&mut self, now: Time, command: impl FnOnce(&mut Network, Time) -> R) -> R {
        self.network.advance(now);
        let answer = command(&mut self.network, now);
        for notice in self.network.take_output().notices {
            let last = matches!(notice.item, Item::End | Item::Broken(_));
            let told = match last {
                true => self.streams.remove(&notice.stream),
                false => self.streams.get(&notice.stream).cloned(),
            };
            if let Some(stream) = told {
                // A caller that has hung up is no longer told.
                let _ = stream.send(notice.item);
            }
        }
        answer
    }
}

/// Wakes the model when something is due, for as long as somebody has the port.
async fn keep_time(port: Weak<Port>) {
    const IDLE: Duration = Duration::from_secs(60);
    while let Some(port) = port.upgrade() {
        let now = time(port.clock.now());
        let due = {
            let mut inner = port.lock();
            inner.armed = inner.run(now, |network, _| network.next_due());
            inner.armed
        };
        // A millisecond is the least that a clock of the platform can tell.
        let wait = due.map_or(IDLE, |due| Duration::from_millis(now.ms_until(due).max(1)));
        tokio::select! {
            biased;
            () = port.earlier.notified() => {}
            () = sleep(wait.min(IDLE)) => {}
        }
    }
}

/// What the platform reads in an invoice of the network.
pub fn terms(network: &Network, issuer: NodeId, invoice: &Invoice) -> InvoiceTerms {
    InvoiceTerms {
        text: invoice.request.to_string(),
        network: chain(network.chain()),
        hash: domain::PaymentHash(*invoice.hash.bytes()),
        amount_msat: (!invoice.value.is_zero()).then(|| amount(invoice.value)),
        payee: PublicKey(network.state().node(issuer).pubkey.0),
        description: invoice.memo.to_string(),
        expires_at: timestamp(invoice.expires()),
    }
}

fn chain(chain: crate::model::Chain) -> domain::Network {
    use crate::model::Chain;
    match chain {
        Chain::Mainnet => domain::Network::Mainnet,
        Chain::Testnet => domain::Network::Testnet,
        Chain::Signet => domain::Network::Signet,
        Chain::Regtest => domain::Network::Regtest,
    }
}

/// The simulator mints its own money; what is above the supply is the supply.
fn amount(msat: crate::model::Msat) -> domain::Msat {
    domain::Msat::new(msat.get()).unwrap_or(domain::Msat::SUPPLY)
}

fn time(at: Timestamp) -> Time {
    Time::from_nanos(u64::try_from(at.millis()).unwrap_or(0).saturating_mul(1_000_000))
}

fn timestamp(at: Time) -> Timestamp {
    Timestamp::from_millis(i64::try_from(at.nanos() / 1_000_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
