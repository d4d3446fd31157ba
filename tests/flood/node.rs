//! A node that pays whatever it is asked to, once it is let.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use domain::{
    InvoiceTerms, Msat, Network, NodeId, PaymentHash, Preimage, PublicKey, Timestamp,
    org::InvoiceEnd,
};
use ports::{
    Clock, LightningNode,
    directory::NodeRecord,
    lightning::{
        NodeError, NodePayment, NodeStatus, PayError, PayRequest, PayUpdate, Settlement, Stream,
    },
};
use tokio::sync::watch;
use uuid::Uuid;

pub(crate) const AMOUNT_MSAT: u64 = 1_000;
const KEY: PublicKey = PublicKey([3; 33]);

pub(crate) struct Node {
    clock: Arc<dyn Clock>,
    slots: u32,
    /// Whether it answers.
    pays: watch::Sender<bool>,
    line: watch::Sender<Line>,
    asked: Mutex<BTreeMap<PaymentHash, Preimage>>,
    /// How often it was asked to pay.
    pub(crate) sends: AtomicUsize,
    /// How often it was asked again about a payment.
    pub(crate) tracked: AtomicUsize,
    /// How often it was asked how it is.
    pub(crate) looks: AtomicUsize,
}

/// What there is to hear of it.
#[derive(Clone, Copy, Default)]
struct Line {
    /// Then it does not say how it is, and its streams end as soon as they are read.
    is_away: bool,
    settled: u64,
}

impl Node {
    pub(crate) fn new(clock: Arc<dyn Clock>, slots: u32) -> Arc<Node> {
        Arc::new(Node {
            clock,
            slots,
            pays: watch::Sender::new(true),
            line: watch::Sender::default(),
            asked: Mutex::default(),
            sends: AtomicUsize::new(0),
            tracked: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
        })
    }

    pub(crate) fn record(&self) -> NodeRecord {
        NodeRecord {
            id: NodeId::new(Uuid::from_u128(7)),
            owner: None,
            name: "pool-1".to_owned(),
            address: "pool-1:10009".to_owned(),
            certificate: None,
            macaroon: Vec::new(),
            identity: KEY,
            network: Network::Regtest,
            stopped: None,
        }
    }

    /// From now on it answers, or holds what it is asked to pay.
    pub(crate) fn pays(&self, pays: bool) {
        self.pays.send_replace(pays);
    }

    /// From now on nothing is heard of it, or it is back.
    pub(crate) fn is_away(&self, is_away: bool) {
        self.line.send_modify(|line| line.is_away = is_away);
    }

    /// Somebody pays it without an invoice.
    pub(crate) fn is_paid(&self) {
        self.line.send_modify(|line| line.settled += 1);
    }

    /// How many wait for what is settled.
    pub(crate) fn followers(&self) -> usize {
        self.line.receiver_count()
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn news(&self, preimage: Preimage) -> Box<dyn Stream<PayUpdate>> {
        Box::new(News { told: false, preimage, pays: self.pays.subscribe() })
    }
}

/// The preimage that pays the invoice of that text.
pub(crate) fn preimage(text: &str) -> Preimage {
    let mut bytes = [0; 32];
    let text = &text.as_bytes()[..text.len().min(32)];
    bytes[..text.len()].copy_from_slice(text);
    Preimage(bytes)
}

struct News {
    told: bool,
    preimage: Preimage,
    pays: watch::Receiver<bool>,
}

#[async_trait]
impl Stream<PayUpdate> for News {
    async fn next(&mut self) -> Option<Result<PayUpdate, PayError>> {
        if std::mem::replace(&mut self.told, true) {
            return None;
        }
        self.pays.wait_for(|pays| *pays).await.ok()?;
        let (preimage, amount_msat) = (self.preimage, Msat::new(AMOUNT_MSAT)?);
        Some(Ok(PayUpdate::Succeeded { preimage, amount_msat, fee_msat: Msat::ZERO }))
    }
}

/// What is settled from now on.
struct Settlements {
    line: watch::Receiver<Line>,
    told: u64,
}

#[async_trait]
impl Stream<Settlement> for Settlements {
    async fn next(&mut self) -> Option<Result<Settlement, PayError>> {
        let Settlements { line, told } = self;
        let news = |line: &Line| line.is_away || line.settled > *told;
        let Line { is_away, settled } = *line.wait_for(news).await.ok()?;
        if is_away {
            return Some(Err(PayError::Lost("it is away".to_owned())));
        }
        *told = settled;
        Some(Ok(Settlement {
            hash: preimage("nobody asked for it").hash(),
            paid_msat: Msat::new(AMOUNT_MSAT)?,
            settle_index: settled,
            spontaneous: true,
        }))
    }
}

#[async_trait]
impl LightningNode for Node {
    async fn pay(&self, request: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
        let preimage = preimage(&request.invoice);
        self.sends.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().unwrap().insert(request.hash, preimage);
        Ok(self.news(preimage))
    }

    async fn track(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
        self.tracked.fetch_add(1, Ordering::Relaxed);
        Ok(self.asked.lock().unwrap().get(&hash).map(|preimage| self.news(*preimage)))
    }

    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError> {
        Ok(until <= self.clock.now())
    }

    async fn make_invoice(
        &self,
        _: Preimage,
        _: Option<Msat>,
        _: &str,
        _: Timestamp,
    ) -> Result<InvoiceTerms, NodeError> {
        Err(NodeError::Refused("it only pays".to_owned()))
    }

    async fn cancel_invoice(&self, _: PaymentHash) -> Result<InvoiceEnd, NodeError> {
        Err(NodeError::Refused("it only pays".to_owned()))
    }

    async fn settled(&self, _: PaymentHash) -> Result<Option<Settlement>, NodeError> {
        Ok(None)
    }

    async fn status(&self) -> Result<NodeStatus, NodeError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        let mut line = self.line.subscribe();
        // The sender lives as long as this.
        let _ = line.wait_for(|line| !line.is_away).await;
        Ok(NodeStatus {
            identity: KEY,
            network: Some(Network::Regtest),
            version: "0.20.0-beta".to_owned(),
            serving: true,
            outbound_msat: Msat::SUPPLY,
            largest_channel_msat: Msat::SUPPLY,
            inbound_msat: Msat::ZERO,
            slots: self.slots,
            pending_htlcs: 0,
        })
    }

    async fn settlements(&self, _: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
        let line = self.line.subscribe();
        let told = line.borrow().settled;
        Ok(Box::new(Settlements { line, told }))
    }

    async fn last_settle_index(&self) -> Result<u64, NodeError> {
        Ok(0)
    }

    async fn payments(&self, _: u64) -> Result<Vec<NodePayment>, NodeError> {
        Ok(Vec::new())
    }
}
