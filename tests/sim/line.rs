//! The way from one life to one node: slow, broken in the middle, late, and once in a while a liar.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{InvoiceTerms, Msat, NodeId, PaymentHash, Preimage, Timestamp, org::InvoiceEnd};
use ports::{
    LightningNode,
    lightning::{
        NodeError, NodePayment, NodeStatus, PayError, PayRequest, PayUpdate, Settlement, Stream,
    },
};
use tokio::time::sleep;

use crate::{life::Life, sim::Sim};

/// How much later a late send arrives: often after its permission.
const LATE_MS: u64 = 12_000;

pub(crate) struct Line {
    pub(crate) life: Arc<Life>,
    pub(crate) sim: Arc<Sim>,
    pub(crate) node: NodeId,
    pub(crate) name: &'static str,
    pub(crate) far: Arc<dyn LightningNode>,
}

impl Line {
    /// A call that may not arrive, or whose answer may not.
    async fn around<T>(
        &self,
        what: &str,
        call: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let broken = || Err(NodeError::Unreachable("the connection broke".to_owned()));
        self.life.cross(what).await;
        self.sim.lag(|hazards| hazards.node_lag).await;
        if self.sim.strikes(|hazards| hazards.never_sent / 2) {
            return broken();
        }
        let answer = call.await;
        self.sim.lag(|hazards| hazards.node_lag).await;
        self.life.cross(what).await;
        if self.sim.strikes(|hazards| hazards.answer_lost / 2) {
            return broken();
        }
        answer
    }

    fn follow<T>(&self, far: Box<dyn Stream<T>>, hash: Option<PaymentHash>) -> Followed<T> {
        let (life, sim) = (self.life.clone(), self.sim.clone());
        Followed { life, sim, far: Some(far), again: None, hash }
    }

    fn say(&self, hash: PaymentHash, what: &str) {
        self.sim.say(&format!("{}: {} {what}", self.name, crate::trace::short(&hash)));
    }

    /// What leaves arrives much later, whoever lives then.
    fn arrive_late(&self, request: &PayRequest) {
        let ms = self.sim.draw(|random| random.between(1, LATE_MS));
        self.say(request.hash, &format!("will be sent {ms} ms late"));
        let (far, request, sim) = (self.far.clone(), request.clone(), self.sim.clone());
        let name = self.name;
        tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            let answer = match far.pay(&request).await {
                Ok(_) => "runs".to_owned(),
                Err(error) => error.to_string(),
            };
            let hash = crate::trace::short(&request.hash);
            sim.say(&format!("{name}: the late request of {hash}: {answer}"));
        });
    }
}

#[async_trait]
impl LightningNode for Line {
    async fn pay(&self, request: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
        let lost = || Err(PayError::Lost("the connection broke".to_owned()));
        self.life.cross("pay").await;
        let hash = request.hash;
        self.say(hash, "is sent");
        self.sim.audit(|auditor| auditor.leaves(self.node, request));
        self.sim.lag(|hazards| hazards.node_lag).await;
        if self.sim.strikes(|hazards| hazards.never_sent) {
            self.say(hash, "is lost on its way");
            return lost();
        }
        if self.sim.strikes(|hazards| hazards.arrive_late) {
            self.arrive_late(request);
            return lost();
        }
        if self.sim.strikes(|hazards| hazards.refused) {
            self.say(hash, "is refused");
            return Err(PayError::Refused("something is not right".to_owned()));
        }
        let answer = self.far.pay(request).await;
        self.sim.lag(|hazards| hazards.node_lag).await;
        self.life.cross("pay").await;
        if self.sim.strikes(|hazards| hazards.answer_lost) {
            self.say(hash, "is answered, and the answer lost");
            return lost();
        }
        match answer {
            Ok(stream) => Ok(Box::new(self.follow(stream, Some(hash)))),
            Err(error) => {
                self.say(hash, &error.to_string());
                Err(error)
            }
        }
    }

    async fn track(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
        let found = self.around("track", self.far.track(hash)).await?;
        self.say(hash, if found.is_some() { "is tracked" } else { "is not found" });
        Ok(found.map(|stream| {
            let followed: Box<dyn Stream<PayUpdate>> = Box::new(self.follow(stream, Some(hash)));
            followed
        }))
    }

    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError> {
        self.around("has lapsed", self.far.has_lapsed(until)).await
    }

    async fn make_invoice(
        &self,
        preimage: Preimage,
        amount_msat: Option<Msat>,
        description: &str,
        expires_at: Timestamp,
    ) -> Result<InvoiceTerms, NodeError> {
        let made = self.far.make_invoice(preimage, amount_msat, description, expires_at);
        self.around("make invoice", made).await
    }

    async fn cancel_invoice(&self, hash: PaymentHash) -> Result<InvoiceEnd, NodeError> {
        let end = self.around("cancel invoice", self.far.cancel_invoice(hash)).await;
        self.say(hash, &format!("is cancelled: {end:?}"));
        end
    }

    async fn settled(&self, hash: PaymentHash) -> Result<Option<Settlement>, NodeError> {
        self.around("settled", self.far.settled(hash)).await
    }

    async fn status(&self) -> Result<NodeStatus, NodeError> {
        self.around("status", self.far.status()).await
    }

    async fn settlements(&self, after: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
        let stream = self.around("settlements", self.far.settlements(after)).await?;
        Ok(Box::new(self.follow(stream, None)))
    }

    async fn last_settle_index(&self) -> Result<u64, NodeError> {
        self.around("last settle index", self.far.last_settle_index()).await
    }

    async fn payments(&self, after_index: u64) -> Result<Vec<NodePayment>, NodeError> {
        self.around("payments", self.far.payments(after_index)).await
    }
}

/// News on their way.
struct Followed<T> {
    life: Arc<Life>,
    sim: Arc<Sim>,
    far: Option<Box<dyn Stream<T>>>,
    again: Option<T>,
    /// Of a payment.
    hash: Option<PaymentHash>,
}

#[async_trait]
impl<T: News> Stream<T> for Followed<T> {
    async fn next(&mut self) -> Option<Result<T, PayError>> {
        if let Some(again) = self.again.take() {
            return Some(Ok(again));
        }
        let next = self.far.as_mut()?.next().await;
        self.sim.lag(|hazards| hazards.node_lag).await;
        self.life.cross("news").await;
        if self.sim.strikes(|hazards| hazards.stream_cut) {
            self.far = None;
            return match self.sim.draw(|random| random.strikes(500)) {
                true => None,
                false => Some(Err(PayError::Lost("the connection broke".to_owned()))),
            };
        }
        let Some(Ok(mut news)) = next else { return next };
        if let Some(hash) = self.hash {
            let name = crate::trace::short(&hash);
            self.sim.say(&format!("a node tells of {name}: {}", news.name()));
            news.falsify(&self.sim, hash);
        }
        if self.sim.strikes(|hazards| hazards.told_twice) {
            self.again = Some(news.clone());
        }
        Some(Ok(news))
    }
}

trait News: Clone + Send + 'static {
    fn name(&self) -> String;
    /// Says what cannot be true, if the dice say so.
    fn falsify(&mut self, sim: &Sim, hash: PaymentHash);
}

impl News for Settlement {
    fn name(&self) -> String {
        "settled".to_owned()
    }

    fn falsify(&mut self, _: &Sim, _: PaymentHash) {}
}

impl News for PayUpdate {
    fn name(&self) -> String {
        match self {
            PayUpdate::InFlight => "in flight".to_owned(),
            PayUpdate::Succeeded { fee_msat, .. } => format!("paid, fee {}", fee_msat.get()),
            PayUpdate::Failed { reason, failure } => {
                format!("failed {reason:?} #{}", failure.payment_index)
            }
        }
    }

    fn falsify(&mut self, sim: &Sim, hash: PaymentHash) {
        if !matches!(self, PayUpdate::Succeeded { .. }) || !sim.strikes(|hazards| hazards.lie) {
            return;
        }
        sim.say("a node lies");
        sim.audit(|auditor| auditor.lied_about(hash));
        if let PayUpdate::Succeeded { preimage, amount_msat, .. } = self {
            match sim.draw(|random| random.strikes(500)) {
                true => preimage.0[0] ^= 1,
                false => {
                    *amount_msat = amount_msat.saturating_sub(Msat::new(1).unwrap_or_default())
                }
            }
        }
    }
}
