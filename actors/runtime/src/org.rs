//! One organisation in memory: decide, apply, hand to the lane, act on commit. Its only writer.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use domain::{
    OrgId, PaymentId, Preimage, Timestamp,
    broken::{self, Rule},
    org::{Command, Decision, Effect, Org, Revision, Row},
};
use ports::{
    journal::{Append, Seq, Taken},
    orgs::{Answered, OrgsError},
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::Instant;
use tracing::Span;

use crate::{
    effect,
    hands::Hands,
    house::House,
    journal_lane::{LaneMessage, Release, Submission, Undone},
    limits,
    meters::Ended,
    spans,
    tree::Post,
};

/// A command with what was looked up for it.
pub(crate) struct Order {
    pub(crate) command: Command,
    /// Rows from the store that memory may have forgotten.
    pub(crate) remember: Option<Row>,
    /// An instant before they were looked up.
    pub(crate) since: Option<Timestamp>,
    /// The preimage of an invoice that the command requests.
    pub(crate) preimage: Option<Preimage>,
    /// The receipt of the inbox that the command books.
    pub(crate) taken: Option<Taken>,
    /// When its caller's deadline passes: nothing is begun later.
    pub(crate) begin_by: Option<Instant>,
    /// What it is a part of.
    pub(crate) span: Span,
}

impl From<Command> for Order {
    fn from(command: Command) -> Order {
        let span = Span::none();
        Order {
            command,
            remember: None,
            since: None,
            preimage: None,
            taken: None,
            begin_by: None,
            span,
        }
    }
}

impl Order {
    /// Whether what it brings may be of before a payment was changed, ended and forgotten: memory would
    /// take it for new. A clock that was put back makes it stale as well.
    fn is_stale(&self, now: Timestamp) -> bool {
        let fresh = 0..limits::LOOKED_UP_WITHIN_MS;
        let age_ms = self.since.map_or(0, |since| now.millis_since(since));
        self.remember.is_some() && !fresh.contains(&age_ms)
    }
}

/// The payment that the command was about, as committed, and whether the command changed nothing.
pub(crate) type Answer = Result<Option<Answered<Row>>, OrgsError>;

/// What a decision sends out once it is committed.
struct Leaving {
    news: Vec<Row>,
    ended: Vec<Ended>,
    effects: Vec<Effect>,
    answer: Answer,
    span: Span,
}

pub(crate) enum OrgMessage {
    Execute(Box<Order>, Option<RpcReplyPort<Answer>>),
    /// What it would have written may not be written yet, or that could not be learned.
    Refuse(OrgsError, Option<RpcReplyPort<Answer>>),
    /// A payment as committed.
    Recall(PaymentId, RpcReplyPort<Answer>),
    /// Carries on what has had no news, and forgets what has ended long ago.
    Tick,
    /// Every decision before this instant is committed.
    Settled(Timestamp),
    /// Answers once everything before it is committed.
    Drain(RpcReplyPort<Answer>),
}

pub(crate) struct OrgActor {
    pub(crate) id: OrgId,
    pub(crate) house: Arc<House>,
    pub(crate) hands: Arc<Hands>,
}

/// Why an actor stops that is not to be loaded again before somebody asks for it.
pub(crate) const RESTS: &str = "nobody has asked for it for a while";

pub(crate) struct OrgState {
    org: Org,
    seq: Seq,
    /// Up to when every decision is committed, and since when that is known.
    settled: VecDeque<(Timestamp, Timestamp)>,
    asked_at: Timestamp,
}

#[async_trait]
impl Actor for OrgActor {
    type Msg = OrgMessage;
    type State = OrgState;
    type Arguments = ();

    async fn pre_start(
        &self,
        myself: ActorRef<OrgMessage>,
        (): (),
    ) -> Result<OrgState, ActorProcessingErr> {
        let lane = self.house.lane(self.id).actor();
        let load = ractor::call!(lane, |reply| LaneMessage::Load(self.id, reply))?;
        let loaded = load?;
        self.house.takes_post(myself.get_id(), Post::Org(self.id));
        self.house.meters.loaded();
        let outgoing = loaded.org.outgoing.values();
        outgoing.for_each(|payment| self.house.open_payments.see(self.id, payment));
        let asked_at = self.house.now();
        Ok(OrgState { org: loaded.org, seq: loaded.seq, settled: VecDeque::new(), asked_at })
    }

    async fn post_start(
        &self,
        _: ActorRef<OrgMessage>,
        state: &mut OrgState,
    ) -> Result<(), ActorProcessingErr> {
        for open in state.org.resume(self.house.now()) {
            spans::work("resume").in_scope(|| effect::perform(&self.house, self.id, open));
        }
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<OrgMessage>,
        message: OrgMessage,
        state: &mut OrgState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            OrgMessage::Execute(order, reply) => {
                state.asked_at = self.house.now();
                self.execute(&myself, *order, reply, state);
            }
            OrgMessage::Refuse(error, reply) => self.answer(&myself, Err(error), reply),
            OrgMessage::Recall(payment, reply) => {
                state.asked_at = self.house.now();
                let known = payment_row(&state.org, payment);
                let answer = Ok(known.map(|payment| Answered { payment, repeat: true }));
                self.answer(&myself, answer, Some(reply));
            }
            OrgMessage::Tick => self.tick(&myself, state),
            OrgMessage::Drain(reply) => self.answer(&myself, Ok(None), Some(reply)),
            OrgMessage::Settled(until) => state.settled.push_back((until, self.house.now())),
        }
        Ok(())
    }
}

impl OrgActor {
    fn execute(
        &self,
        myself: &ActorRef<OrgMessage>,
        mut order: Order,
        reply: Option<RpcReplyPort<Answer>>,
        state: &mut OrgState,
    ) {
        let now = self.house.now();
        if order.is_stale(now) {
            let answer = Err(OrgsError::Unavailable("it took too long; ask again".to_owned()));
            self.answer(myself, answer, reply);
            return;
        }
        if order.begin_by.is_some_and(|begin_by| begin_by <= Instant::now()) {
            self.answer(myself, Err(self.house.too_late()), reply);
            return;
        }
        order.remember.take().into_iter().for_each(|row| state.org.remember(row));
        let payment = subject(&order.command);
        let decision = match state.org.decide(&order.command, now) {
            Ok(decision) => decision,
            Err(rejection) => {
                self.answer(myself, Err(rejection.into()), reply);
                return;
            }
        };
        let Decision { events, effects } = decision;
        if let Some(revision) = self.house.kinds.held_back(&events) {
            self.ask_first(myself, revision, order, reply);
            return;
        }
        events.iter().for_each(|event| state.org.apply(event, now));
        let rows = state.org.rows_touched(&events);
        let payment = payment.and_then(|payment| payment_row(&state.org, payment));
        let repeat = events.is_empty();
        let answer = Ok(payment.map(|payment| Answered { payment, repeat }));
        let changes = !events.is_empty() || order.taken.is_some();
        let expected = state.seq;
        state.seq = Seq(expected.0 + u64::try_from(events.len()).expect("a decision is small"));
        let ended = Ended::of(&events, &rows);
        let leaving = Leaving { news: rows.clone(), ended, effects, answer, span: order.span };
        let append = changes.then(|| Append {
            org: self.id,
            epoch: state.org.epoch,
            expected,
            at: now,
            preimages: order.preimage.into_iter().filter(|_| !events.is_empty()).collect(),
            events,
            rows,
            taken: order.taken.into_iter().collect(),
        });
        let span = if changes { spans::commit(&leaving.span) } else { Span::none() };
        self.submit(append, span, self.release(myself, leaving, reply));
    }

    /// The order comes again once its events may be written, and is decided anew: others go on meanwhile.
    fn ask_first(
        &self,
        myself: &ActorRef<OrgMessage>,
        revision: Revision,
        order: Order,
        reply: Option<RpcReplyPort<Answer>>,
    ) {
        let (house, myself) = (self.house.clone(), myself.clone());
        tokio::spawn(async move {
            let message = match house.kinds.allow(&*house.sockets.placement, revision).await {
                Ok(()) => OrgMessage::Execute(Box::new(order), reply),
                Err(refusal) => OrgMessage::Refuse(refusal, reply),
            };
            // It may have stopped; then its caller hears that the order was lost.
            let _ = myself.cast(message);
        });
    }

    fn tick(&self, myself: &ActorRef<OrgMessage>, state: &mut OrgState) {
        let now = self.house.now();
        self.forget(myself, state, now);
        for payment in state.org.without_news(now.plus_millis(-limits::DRIVE_AFTER_MS)) {
            self.execute(myself, Command::Drive { payment }.into(), None, state);
        }
        if self.may_rest(state, now) && self.hands.rest() {
            myself.stop(Some(RESTS.to_owned()));
        }
    }

    /// Whether memory holds nothing that the store could not give again at the next call.
    fn may_rest(&self, state: &OrgState, now: Timestamp) -> bool {
        let crowded = self.house.registry.exceeds(self.house.settings.organisations_in_memory);
        let after_ms = match crowded {
            true => limits::REST_AFTER_CROWDED_MS,
            false => limits::REST_AFTER_MS,
        };
        let idle_ms = now.millis_since(state.asked_at);
        idle_ms >= after_ms && state.org.is_quiet()
    }

    /// Forgets what has ended, once its end has been committed for so long that nothing looked up before
    /// is still on its way here.
    fn forget(&self, myself: &ActorRef<OrgMessage>, state: &mut OrgState, now: Timestamp) {
        let long_ago = now.plus_millis(-limits::FORGET_AFTER_MS);
        while let Some((until, _)) = state.settled.pop_front_if(|(_, known)| *known <= long_ago) {
            state.org.forget_ended(until);
        }
        if !state.org.has_ended() {
            return;
        }
        let myself = myself.clone();
        let told = move |outcome: Result<(), Undone>| {
            if outcome.is_ok() {
                // It may have stopped.
                let _ = myself.cast(OrgMessage::Settled(now));
            }
        };
        self.submit(None, Span::none(), Box::new(told));
    }

    /// An answer that changes nothing, in its turn.
    fn answer(
        &self,
        myself: &ActorRef<OrgMessage>,
        answer: Answer,
        reply: Option<RpcReplyPort<Answer>>,
    ) {
        let leaving = Leaving {
            news: Vec::new(),
            ended: Vec::new(),
            effects: Vec::new(),
            answer,
            span: Span::none(),
        };
        self.submit(None, Span::none(), self.release(myself, leaving, reply));
    }

    fn submit(&self, append: Option<Append>, span: Span, release: Release) {
        self.house.lane(self.id).submit(Submission { org: self.id, append, span, release });
    }

    /// What leaves once the outcome is known: nothing before, and after a failure only the answer.
    fn release(
        &self,
        myself: &ActorRef<OrgMessage>,
        leaving: Leaving,
        mut reply: Option<RpcReplyPort<Answer>>,
    ) -> Release {
        let (house, org, myself) = (self.house.clone(), self.id, myself.clone());
        let Leaving { news, ended, mut effects, answer, span } = leaving;
        if broken::is(Rule::IntentIsDurable) {
            effects.drain(..).for_each(|effect| effect::perform(&house, org, effect));
        }
        if broken::is(Rule::CommitBeforeAnswer)
            && let Some(reply) = reply.take()
        {
            // The caller may have hung up.
            let _ = reply.send(answer.clone());
        }
        Box::new(move |outcome| {
            let _inside = span.enter();
            let answer = match outcome {
                Ok(()) => {
                    ended.iter().for_each(|ended| house.meters.ended(*ended));
                    news.iter().for_each(|row| house.open_payments.tell(org, row));
                    effects.into_iter().for_each(|effect| effect::perform(&house, org, effect));
                    news.iter().for_each(|row| house.waiters.tell(org, row));
                    if !news.is_empty() {
                        house.sockets.wakes.tell(org);
                    }
                    answer
                }
                Err(why) => {
                    // Memory that is ahead of the store is not patched: there is one way back, loading.
                    if why != Undone::NoLease {
                        myself.stop(Some("a decision was not committed".to_owned()));
                    }
                    Err(undone(&house, org, why))
                }
            };
            if let Some(reply) = reply {
                // The caller may have hung up.
                let _ = reply.send(answer);
            }
        })
    }
}

fn undone(house: &House, org: OrgId, undone: Undone) -> OrgsError {
    match undone {
        Undone::CertainlyNot(why) => OrgsError::Unavailable(why),
        Undone::Loading(why) => house.place.on_the_move(org, why),
        Undone::Perhaps(why) => OrgsError::Uncertain(why),
        Undone::NoLease => {
            house.place.on_the_move(org, "this process has lost its lease".to_owned())
        }
    }
}

fn payment_row(org: &Org, id: PaymentId) -> Option<Row> {
    let outgoing = org.outgoing.get(&id).map(|payment| Row::Outgoing(payment.clone()));
    outgoing.or_else(|| Some(Row::Incoming(org.incoming.get(&id)?.clone())))
}

/// The payment that a command is about.
pub(crate) fn subject(command: &Command) -> Option<PaymentId> {
    match command {
        Command::CreateEnvironment { .. }
        | Command::RenameEnvironment { .. }
        | Command::OpenLine { .. }
        | Command::SetLineLimit { .. }
        | Command::DisableLine { .. }
        | Command::EnableLine { .. }
        | Command::SetNodeFunds { .. }
        | Command::CreateWallet { .. }
        | Command::SetWalletLimit { .. }
        | Command::RenameWallet { .. }
        | Command::DeleteWallet { .. }
        | Command::Claim { .. } => None,
        Command::Send { payment, .. }
        | Command::Report { payment, .. }
        | Command::Drive { payment }
        | Command::Resolve { payment, .. }
        | Command::Cancel { payment }
        | Command::Receive { payment, .. }
        | Command::InvoiceMade { payment, .. }
        | Command::InvoiceNotMade { payment }
        | Command::Receipt { payment, .. }
        | Command::InvoiceOver { payment, .. }
        | Command::ClaimAnswered { payment, .. }
        | Command::GiveUpClaim { payment } => Some(*payment),
    }
}
