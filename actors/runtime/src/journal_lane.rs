//! Group commit: many organisations' decisions in one transaction, with nothing leaving before it.
//!
//! A lane collects while one transaction runs and sends what has gathered when it returns; there is
//! no timer. Answers that change nothing wait here too, behind their organisation's last decision.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use domain::OrgId;
use ports::{
    Journal,
    journal::{Append, AppendError, LoadError, Loaded},
};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::time::Instant;
use tracing::Span;

use crate::{
    admission::{Counts, Paced},
    fair_queue::FairQueue,
    gate::Gate,
    lease::Lease,
    limits,
    meters::{LaneMeters, counted},
    turns::{Turn, Turns},
};

/// Why a decision was not committed, or may not have been. Its actor stops and loads again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undone {
    CertainlyNot(String),
    /// Certainly not, because the organisation is being loaded, here or in another process.
    Loading(String),
    Perhaps(String),
    /// Nothing was to be committed, but without a lease nothing is answered from memory, which is as
    /// good as before.
    NoLease,
}

/// What to do once the outcome is known.
pub(crate) type Release = Box<dyn FnOnce(Result<(), Undone>) + Send>;

pub(crate) struct Submission {
    pub(crate) org: OrgId,
    /// `None`: nothing changes, but the answer must not overtake what came before.
    pub(crate) append: Option<Append>,
    /// Lasts until the outcome is known.
    pub(crate) span: Span,
    pub(crate) release: Release,
}

pub(crate) enum LaneMessage {
    Submit(Submission),
    /// Loads an organisation once its queued decisions are cancelled and none is under way.
    Load(OrgId, RpcReplyPort<Result<Loaded, LoadError>>),
    Finished(Vec<Submission>, Result<(), AppendError>),
    /// To begin as was asked for, with a turn if there was one in time.
    Begin(Option<Turn>),
}

pub(crate) struct JournalLane {
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) lease: Arc<Lease>,
    pub(crate) turns: Turns,
    /// How many submissions wait.
    pub(crate) waiting: Arc<AtomicUsize>,
    /// How long transactions take, for admission at the door.
    pub(crate) pace: Paced,
    /// When the last transaction ended.
    pub(crate) moved: Arc<Mutex<Instant>>,
    pub(crate) meters: LaneMeters,
}

#[derive(Default)]
pub(crate) struct LaneState {
    queue: FairQueue<Submission>,
    /// Organisations loaded through this lane whose every decision since was committed or still may be.
    /// Of another one nothing is taken, not even an answer that changes nothing: its actor, which has
    /// not stopped yet, knows what never happened.
    sound: HashSet<OrgId>,
    /// Organisations of the transaction under way.
    under_way: Option<HashSet<OrgId>>,
    /// Held for the transaction under way, unless it needed none.
    turn: Option<Turn>,
    has_asked: bool,
    loads: Vec<(OrgId, RpcReplyPort<Result<Loaded, LoadError>>)>,
}

impl LaneState {
    /// Whether something of the organisation is not decided yet. What changes nothing waits for that, and
    /// for nothing else.
    fn has_before(&self, org: OrgId) -> bool {
        let writes = self.under_way.as_ref().is_some_and(|orgs| orgs.contains(&org));
        writes || self.queue.has(org)
    }
}

#[async_trait]
impl Actor for JournalLane {
    type Msg = LaneMessage;
    type State = LaneState;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<LaneMessage>,
        (): (),
    ) -> Result<LaneState, ActorProcessingErr> {
        Ok(LaneState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<LaneMessage>,
        message: LaneMessage,
        state: &mut LaneState,
    ) -> Result<(), ActorProcessingErr> {
        let mut offered = None;
        match message {
            LaneMessage::Submit(submission) if state.sound.contains(&submission.org) => {
                if submission.append.is_none() && !state.has_before(submission.org) {
                    self.release_unchanged(submission);
                } else {
                    state.queue.push(submission.org, submission);
                }
            }
            LaneMessage::Submit(submission) => {
                self.release(submission, Err(Undone::Loading("loading again".to_owned())));
            }
            LaneMessage::Load(org, reply) => {
                self.cancel(state, &[org], &Undone::Loading("loading again".to_owned()));
                state.loads.push((org, reply));
            }
            LaneMessage::Finished(batch, outcome) => self.finish(state, batch, outcome),
            LaneMessage::Begin(turn) => {
                state.has_asked = false;
                offered = Some(turn);
            }
        }
        self.start_loads(state);
        if state.under_way.is_none() {
            self.start_batch(&myself, state, offered);
        }
        Ok(())
    }
}

impl JournalLane {
    /// Everything that has gathered, up to a bound.
    fn start_batch(
        &self,
        myself: &ActorRef<LaneMessage>,
        state: &mut LaneState,
        offered: Option<Option<Turn>>,
    ) {
        if state.queue.is_empty() {
            return;
        }
        let begin = offered.or_else(|| self.turns.begin(state.queue.len(), limits::CROWD));
        let Some(turn) = begin else { return self.ask_for_a_turn(myself, state) };
        let mut batch = Vec::new();
        let mut writing = HashSet::new();
        while batch.is_empty() && !state.queue.is_empty() {
            let share = self.pace.share();
            let drawn = state.queue.draw(limits::BATCH_MAX, share, Instant::now());
            for (org, submission) in drawn {
                if submission.append.is_some() {
                    writing.insert(org);
                    batch.push(submission);
                } else if writing.contains(&org) {
                    batch.push(submission);
                } else {
                    self.release_unchanged(submission);
                }
            }
        }
        if batch.is_empty() {
            return;
        }
        state.turn = turn;
        state.under_way = Some(writing);
        self.append(myself, batch);
    }

    fn ask_for_a_turn(&self, myself: &ActorRef<LaneMessage>, state: &mut LaneState) {
        if std::mem::replace(&mut state.has_asked, true) {
            return;
        }
        let (turns, lane) = (self.turns.clone(), myself.clone());
        tokio::spawn(async move {
            // The lane may be gone, and the turn goes on to the next.
            let _ = lane.cast(LaneMessage::Begin(turns.next().await));
        });
    }

    fn append(&self, myself: &ActorRef<LaneMessage>, mut batch: Vec<Submission>) {
        let (journal, lane) = (self.journal.clone(), myself.clone());
        let meters = self.meters.clone();
        let writing: Vec<bool> =
            batch.iter().map(|submission| submission.append.is_some()).collect();
        let appends: Vec<Append> =
            batch.iter_mut().filter_map(|submission| submission.append.take()).collect();
        meters.batch.record(counted(appends.len()));
        self.pace.begins();
        tokio::spawn(async move {
            let began = Instant::now();
            let mut outcome = journal.append(&appends).await;
            if let Err(AppendError::Aborted(why)) = &outcome {
                tracing::warn!(%why, "a transaction was aborted; trying once more");
                outcome = journal.append(&appends).await;
            }
            meters.done(began.elapsed(), &outcome);
            // Handed back, so that the innocent can be tried again.
            let writers = batch.iter_mut().zip(writing).filter(|(_, writes)| *writes);
            for ((submission, _), append) in writers.zip(appends) {
                submission.append = Some(append);
            }
            // The lane may be gone: then its actors are restarted with it.
            let _ = lane.cast(LaneMessage::Finished(batch, outcome));
        });
    }

    fn finish(
        &self,
        state: &mut LaneState,
        batch: Vec<Submission>,
        outcome: Result<(), AppendError>,
    ) {
        state.under_way = None;
        state.turn = None;
        self.pace.ends(batch.len());
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match outcome {
            Ok(()) => {
                fail::fail_point!("lane::committed");
                batch.into_iter().for_each(|submission| self.release(submission, Ok(())));
            }
            Err(AppendError::LostClaim(orgs) | AppendError::Fenced(orgs)) if orgs.is_empty() => {
                self.fail_all(state, batch, &Undone::CertainlyNot("refused".to_owned()));
            }
            Err(AppendError::LostClaim(orgs)) => {
                let why = Undone::CertainlyNot("an id or hash is held elsewhere".to_owned());
                self.try_again_without(state, batch, &orgs, &why);
            }
            Err(AppendError::Fenced(orgs)) => {
                let why = Undone::Loading("the organisation was loaded elsewhere".to_owned());
                self.try_again_without(state, batch, &orgs, &why);
            }
            Err(AppendError::Aborted(why)) => {
                self.fail_all(state, batch, &Undone::CertainlyNot(why));
            }
            Err(AppendError::Unknown(why)) => self.fail_all(state, batch, &Undone::Perhaps(why)),
        }
    }

    /// Takes whole organisations out and puts the rest back in front, in order.
    fn try_again_without(
        &self,
        state: &mut LaneState,
        batch: Vec<Submission>,
        out: &[OrgId],
        why: &Undone,
    ) {
        for submission in batch.into_iter().rev() {
            state.queue.put_back(submission.org, submission);
        }
        self.cancel(state, out, why);
    }

    fn fail_all(&self, state: &mut LaneState, batch: Vec<Submission>, why: &Undone) {
        let orgs: HashSet<OrgId> = batch.iter().map(|submission| submission.org).collect();
        batch.into_iter().for_each(|submission| self.release(submission, Err(why.clone())));
        let orgs: Vec<OrgId> = orgs.into_iter().collect();
        self.cancel(state, &orgs, &Undone::Loading("loading again".to_owned()));
    }

    fn cancel(&self, state: &mut LaneState, orgs: &[OrgId], why: &Undone) {
        for org in orgs {
            state.sound.remove(org);
            let out = state.queue.take_out(*org);
            out.into_iter().for_each(|submission| self.release(submission, Err(why.clone())));
        }
    }

    fn start_loads(&self, state: &mut LaneState) {
        let busy = |org: &OrgId| state.under_way.as_ref().is_some_and(|orgs| orgs.contains(org));
        let (wait, ready): (Vec<_>, Vec<_>) = state.loads.drain(..).partition(|(org, _)| busy(org));
        state.loads = wait;
        for (org, reply) in ready {
            state.sound.insert(org);
            let (journal, session) = (self.journal.clone(), self.lease.session);
            tokio::spawn(async move {
                // The actor may have stopped waiting.
                let _ = reply.send(journal.load(org, session).await);
            });
        }
    }

    /// The lease bounds how stale an answer from memory can be.
    fn release_unchanged(&self, submission: Submission) {
        let outcome = match self.lease.is_good() {
            true => Ok(()),
            false => Err(Undone::NoLease),
        };
        self.release(submission, outcome);
    }

    fn release(&self, submission: Submission, outcome: Result<(), Undone>) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        let Submission { span, release, .. } = submission;
        drop(span);
        release(outcome);
    }
}

/// The way into a lane, whichever actor it is now.
pub(crate) struct LaneHandle {
    actor: RwLock<Option<ActorRef<LaneMessage>>>,
    waiting: Mutex<Arc<AtomicUsize>>,
    moved: Arc<Mutex<Instant>>,
    pub(crate) pace: Paced,
    /// Everything that will come to it, from the door on.
    pub(crate) in_line: Arc<Counts>,
    /// What customers send and ask to be paid passes it first.
    pub(crate) gate: Arc<Gate>,
}

impl LaneHandle {
    pub(crate) fn new() -> LaneHandle {
        LaneHandle {
            actor: RwLock::default(),
            waiting: Mutex::default(),
            moved: Arc::new(Mutex::new(Instant::now())),
            pace: Paced::default(),
            in_line: Arc::default(),
            gate: Arc::default(),
        }
    }

    /// When its last transaction ended, for its actor to say.
    pub(crate) fn moved(&self) -> Arc<Mutex<Instant>> {
        self.moved.clone()
    }

    /// Whether something waits and no transaction has ended for longer than any may take.
    pub(crate) fn stands_still(&self) -> bool {
        let mut moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_idle() {
            *moved = Instant::now();
        }
        moved.elapsed() > limits::LANE_STANDS_STILL_AFTER
    }

    /// A new count of what waits, for a new actor. What the last one had under way is not followed.
    pub(crate) fn reset(&self) -> Arc<AtomicUsize> {
        self.pace.forget();
        let count = Arc::<AtomicUsize>::default();
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = count.clone();
        count
    }

    pub(crate) fn seat(&self, actor: ActorRef<LaneMessage>) {
        *self.actor.write().unwrap_or_else(PoisonError::into_inner) = Some(actor);
    }

    pub(crate) fn actor(&self) -> ActorRef<LaneMessage> {
        let actor = self.actor.read().unwrap_or_else(PoisonError::into_inner);
        actor.clone().expect("lanes start before organisations")
    }

    pub(crate) fn submit(&self, submission: Submission) {
        self.count().fetch_add(1, Ordering::AcqRel);
        // A dead lane drops the submission: its reply ports close, which callers read as uncertain.
        let _ = self.actor().cast(LaneMessage::Submit(submission));
    }

    /// How many submissions wait.
    pub(crate) fn waiting(&self) -> usize {
        self.count().load(Ordering::Acquire)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting() == 0
    }

    fn count(&self) -> Arc<AtomicUsize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
