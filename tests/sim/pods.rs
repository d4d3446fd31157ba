//! Several engines over one store: seats, the way from pod to pod, and lives that others bury.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use domain::{
    OrgId, PaymentId,
    org::{ClaimAnswer, ClaimRequest},
};
use ports::{Peers, Placement, orgs::OrgsError, receipts::OpenReceipt};
use runtime::{Membership, Platform};

use crate::{
    life::Life,
    store::Store,
    world::{Running, World},
};

impl World {
    /// Whether an engine is missing.
    pub(crate) fn is_short(&self) -> bool {
        u64::try_from(self.lives().len()).expect("a few") < self.engines
    }

    pub(crate) async fn make_complete(self: &Arc<Self>) {
        while self.is_short() {
            if !self.begin_life(None).await {
                // Its name may be in use until a lease is over.
                self.pass(1_000).await;
            }
        }
    }

    /// A seat whose last life is over, whether or not the others have noticed.
    pub(crate) fn free_seat(&self) -> u64 {
        let taken: Vec<u64> = self.lives().iter().map(|running| running.seat).collect();
        (0..self.engines).find(|seat| !taken.contains(seat)).unwrap_or_default()
    }

    /// Whose life is in danger: of one engine the newest, of several any.
    pub(crate) fn victim(&self) -> Option<Running> {
        match self.engines {
            1 => self.newest(),
            _ => {
                let lives = self.lives();
                self.sim.draw(|random| random.pick(&lives).cloned())
            }
        }
    }

    pub(crate) fn membership(self: &Arc<Self>, life: &Arc<Life>, seat: u64) -> Membership {
        Membership {
            cluster: Store::of(life, &self.sim),
            name: format!("engine-{seat}"),
            address: String::new(),
            peers: Arc::new(Others { world: Arc::downgrade(self), life: life.clone() }),
        }
    }

    /// As the store has it.
    pub(crate) async fn owner(&self, org: OrgId) -> Option<Running> {
        let map = self.sim.memory.map().await.expect("the store itself does not fail");
        let owner = map.owner_of(org)?.session;
        self.lives().into_iter().find(|running| running.session == owner)
    }
}

/// A life that others have buried ends once it sees that.
pub(crate) async fn end_when_taken_over(running: Running) {
    tokio::select! {
        biased;
        () = running.platform.taken_over() => running.life.end("others have buried it"),
        () = running.life.over() => {}
    }
}

/// The way from one pod to the others.
struct Others {
    world: Weak<World>,
    life: Arc<Life>,
}

impl Others {
    async fn ask<F>(&self, org: OrgId, call: impl FnOnce(Platform) -> F) -> Result<(), OrgsError>
    where
        F: Future<Output = Result<(), OrgsError>>,
    {
        let nobody = || OrgsError::Unavailable("nobody has it".to_owned());
        let asked = async {
            let world = self.world.upgrade().ok_or_else(nobody)?;
            let there = world.owner(org).await.ok_or_else(nobody)?;
            world.sim.lag(|hazards| hazards.store_lag).await;
            let lost = || OrgsError::Uncertain("the other pod died".to_owned());
            let answer = there.life.asked(call(there.platform)).await;
            if world.sim.strikes(|hazards| hazards.lose_answer) {
                return Err(lost());
            }
            answer.ok_or_else(lost)?
        };
        self.life.around("another pod", asked).await
    }
}

#[async_trait]
impl Peers for Others {
    async fn claim(
        &self,
        payee: OrgId,
        request: ClaimRequest,
        text: String,
    ) -> Result<(), OrgsError> {
        let call = |there: Platform| async move { there.claim(payee, request, text).await };
        self.ask(payee, call).await
    }

    async fn answer_claim(
        &self,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError> {
        let call =
            |there: Platform| async move { there.answer_claim(payer, payment, answer).await };
        self.ask(payer, call).await
    }

    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError> {
        let call = |there: Platform| async move { there.book_receipt(receipt).await };
        self.ask(receipt.org, call).await
    }
}
