//! The clients of the platform: each repeats its request, under the same id, until it has an answer, and
//! remembers every answer it got.

use std::{sync::Arc, time::Duration};

use domain::{
    LineId, Msat, OrgId, PaymentId, Rejection,
    org::{Command, Incoming, IncomingState, ReceiveTerms, Row, SendTerms},
};
use ports::{Orgs, orgs::OrgsError};
use runtime::Platform;
use tokio::time::timeout;

use crate::{
    trace::tag,
    world::{Payable, World, lock},
};

/// What a client may be told instead of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hopes {
    /// Nothing but that the invoice has expired meanwhile.
    Good,
    /// The wallet is nobody's.
    NoWallet,
    /// An invoice that has expired, or an amount where none is allowed.
    Malformed,
}

impl Hopes {
    fn allow(self, rejection: &Rejection) -> bool {
        let expired = matches!(rejection, Rejection::InvoiceExpired);
        match self {
            Hopes::Good => expired,
            Hopes::NoWallet => expired || matches!(rejection, Rejection::WalletNotFound(_)),
            Hopes::Malformed => {
                expired
                    || matches!(rejection, Rejection::AmountGiven(_) | Rejection::AmountMissing)
                    || matches!(rejection, Rejection::AmountOutOfRange)
            }
        }
    }
}

impl World {
    /// One call. `None`: no answer came.
    async fn ask<T, F>(
        &self,
        org: OrgId,
        call: impl FnOnce(Platform) -> F,
    ) -> Option<Result<T, OrgsError>>
    where
        F: Future<Output = Result<T, OrgsError>>,
    {
        let Some(running) = self.pick(org).await else {
            self.pass(200).await;
            return None;
        };
        let patience_ms = self.sim.draw(|random| random.between(200, 15_000));
        let answer = running.life.asked(call(running.platform));
        timeout(Duration::from_millis(patience_ms), answer).await.ok().flatten()
    }

    /// Asks until there is an answer. The second value: no earlier try may have been carried out.
    async fn insist<T, F>(
        &self,
        what: &str,
        org: OrgId,
        call: impl Fn(Platform) -> F,
    ) -> (Result<T, Rejection>, bool)
    where
        F: Future<Output = Result<T, OrgsError>>,
    {
        let mut certain = true;
        loop {
            match self.ask(org, &call).await {
                Some(Ok(answer)) => return (Ok(answer), certain),
                Some(Err(OrgsError::Rejected(rejection))) => return (Err(rejection), certain),
                Some(Err(OrgsError::NotFound(org))) => {
                    self.sim.violate(format!("organisation {org} is not found"));
                }
                Some(Err(
                    OrgsError::Unavailable(_)
                    | OrgsError::Busy { .. }
                    | OrgsError::Frozen(_)
                    | OrgsError::OlderPods(_)
                    | OrgsError::NotOwner { .. },
                )) => {}
                Some(Err(OrgsError::Uncertain(_))) | None => certain = false,
            }
            self.sim.say(&format!("client: {what} has no answer yet"));
            let pause_ms = self.sim.draw(|random| random.between(20, 1_500));
            self.pass(pause_ms).await;
        }
    }

    /// A client of its own, that is waited for in the end.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        what: String,
        client: impl FnOnce(Arc<World>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    ) {
        let mut what = what;
        while !lock(&self.waiting).insert(what.clone()) {
            what.push('+');
        }
        self.sim.say(&format!("client: {what}"));
        let (world, work) = (self.clone(), client(self.clone()));
        tokio::spawn(async move {
            work.await;
            lock(&world.waiting).remove(&what);
        });
    }

    pub(crate) async fn send(
        self: Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        hopes: Hopes,
    ) {
        let name = format!("send {}", tag('P', payment));
        let (answer, certain) =
            self.insist(&name, org, |platform| platform_send(platform, org, payment, &terms)).await;
        let memory = self.sim.memory.clone();
        match answer {
            Ok(told) => {
                self.sim.say(&format!("client: {name} is {:?}", told.state));
                self.sim.audit(|auditor| auditor.told_sent(&memory, org, &told));
            }
            Err(rejection) => {
                self.sim.say(&format!("client: {name} is rejected: {rejection}"));
                let stored = self.sim.audit(|auditor| auditor.knows(org, payment));
                if !hopes.allow(&rejection) || (certain && stored) {
                    self.sim.violate(format!("{name} was rejected: {rejection}"));
                }
                return;
            }
        }
        match self.sim.draw(|random| random.below(4)) {
            0 => self.send_other(org, payment, terms).await,
            1 => self.await_end(org, payment).await,
            2 => self.cancel(org, payment).await,
            _ => {}
        }
    }

    /// The same id with another body is another request.
    async fn send_other(&self, org: OrgId, payment: PaymentId, mut terms: SendTerms) {
        terms.fee_limit_msat = Some(terms.fee_limit_msat.map_or(7, |limit| limit + 1));
        let name = format!("another body under {}", tag('P', payment));
        let (answer, _) =
            self.insist(&name, org, |platform| platform_send(platform, org, payment, &terms)).await;
        let refused = matches!(answer, Err(Rejection::IdReused | Rejection::InvoiceExpired));
        if !refused {
            self.sim.violate(format!("{name} was answered {answer:?}"));
        }
    }

    /// A payment is wanted no more, whatever it is doing.
    async fn cancel(&self, org: OrgId, payment: PaymentId) {
        let name = format!("cancel of {}", tag('P', payment));
        let within = Duration::from_millis(self.sim.draw(|random| random.between(1, 5_000)));
        let (answer, _) = self
            .insist(&name, org, |platform| platform_cancel(platform, org, payment, within))
            .await;
        let memory = self.sim.memory.clone();
        match answer {
            Ok(Row::Outgoing(told)) => {
                self.sim.say(&format!("client: {name}: {:?}", told.state));
                self.sim.audit(|auditor| auditor.told_sent(&memory, org, &told));
            }
            Ok(Row::Incoming(told)) => self.told_received(org, &told),
            Ok(row) => self.sim.violate(format!("{name} was answered {row:?}")),
            Err(rejection) => self.sim.violate(format!("{name} was rejected: {rejection}")),
        }
    }

    async fn await_end(&self, org: OrgId, payment: PaymentId) {
        let name = format!("wait for {}", tag('P', payment));
        let within = Duration::from_millis(self.sim.draw(|random| random.between(1, 10_000)));
        let (answer, _) =
            self.insist(&name, org, |platform| platform_wait(platform, org, payment, within)).await;
        let memory = self.sim.memory.clone();
        match answer {
            Ok(Row::Outgoing(told)) => {
                self.sim.say(&format!("client: {name}: {:?}", told.state));
                self.sim.audit(|auditor| auditor.told_sent(&memory, org, &told));
            }
            Ok(row) => self.sim.violate(format!("{name} was answered {row:?}")),
            Err(rejection) => self.sim.violate(format!("{name} was rejected: {rejection}")),
        }
    }

    pub(crate) async fn receive(
        self: Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
    ) {
        let name = format!("receive {}", tag('P', payment));
        let (answer, _) = self
            .insist(&name, org, |platform| platform_receive(platform, org, payment, &terms))
            .await;
        match answer {
            Ok(told) => {
                self.told_received(org, &told);
                self.await_invoice(org, payment, &name).await;
                if self.sim.draw(|random| random.strikes(150)) {
                    self.cancel(org, payment).await;
                }
            }
            Err(rejection) => self.sim.violate(format!("{name} was rejected: {rejection}")),
        }
    }

    fn told_received(&self, org: OrgId, told: &Incoming) {
        let memory = self.sim.memory.clone();
        self.sim.say(&format!("client: {} is {:?}", tag('P', told.id), told.state));
        self.sim.audit(|auditor| auditor.told_received(&memory, org, told));
    }

    async fn await_invoice(&self, org: OrgId, payment: PaymentId, name: &str) {
        let within = Duration::from_secs(2);
        loop {
            let waited = |platform| platform_wait(platform, org, payment, within);
            let told = match self.insist(name, org, waited).await {
                (Ok(Row::Incoming(told)), _) => told,
                (answer, _) => return self.sim.violate(format!("{name} was answered {answer:?}")),
            };
            self.told_received(org, &told);
            if told.state != IncomingState::Generating {
                let known = told.invoice.clone().map(|terms| Payable { terms, is_ours: true });
                lock(&self.payables).extend(known);
                return;
            }
        }
    }

    /// A limit may always be set, whatever is in use (rule 7).
    pub(crate) async fn limit(self: Arc<Self>, org: OrgId, line: LineId, limit_msat: Msat) {
        let command = Command::SetLineLimit { line, limit_msat };
        let name = format!("limit of {} to {}", tag('L', line), limit_msat.get());
        let (answer, _) =
            self.insist(&name, org, |platform| platform_set(platform, org, command.clone())).await;
        match answer {
            Ok(()) => {
                let limit = limit_msat.get().into();
                self.sim.audit(|auditor| auditor.told_limit(org, line, limit));
            }
            Err(rejection) => self.sim.violate(format!("{name} was rejected: {rejection}")),
        }
    }

    /// A share may be refused when it is more than there is.
    pub(crate) async fn share(self: Arc<Self>, org: OrgId, command: Command) {
        let (answer, _) = self
            .insist("a share", org, |platform| platform_set(platform, org, command.clone()))
            .await;
        if let Err(rejection) = answer
            && !matches!(rejection, Rejection::CannotAllocate(_))
        {
            self.sim.violate(format!("a share was rejected: {rejection}"));
        }
    }
}

fn platform_send(
    platform: Platform,
    org: OrgId,
    payment: PaymentId,
    terms: &SendTerms,
) -> impl Future<Output = Result<Arc<domain::org::Outgoing>, OrgsError>> + Send + use<> {
    let terms = terms.clone();
    async move { Ok(platform.send(org, payment, terms, Duration::ZERO.into()).await?.payment) }
}

fn platform_receive(
    platform: Platform,
    org: OrgId,
    payment: PaymentId,
    terms: &ReceiveTerms,
) -> impl Future<Output = Result<Arc<Incoming>, OrgsError>> + Send + use<> {
    let terms = terms.clone();
    async move { Ok(platform.receive(org, payment, terms, Duration::ZERO.into()).await?.payment) }
}

async fn platform_wait(
    platform: Platform,
    org: OrgId,
    payment: PaymentId,
    within: Duration,
) -> Result<Row, OrgsError> {
    platform.wait(org, payment, within).await
}

async fn platform_cancel(
    platform: Platform,
    org: OrgId,
    payment: PaymentId,
    within: Duration,
) -> Result<Row, OrgsError> {
    platform.cancel(org, payment, within).await
}

async fn platform_set(platform: Platform, org: OrgId, command: Command) -> Result<(), OrgsError> {
    platform.administer(org, command).await
}
