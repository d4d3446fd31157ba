//! Where each organisation's actor is: started on demand, started again when it stops, left alone when
//! it fails again and again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
};

use domain::{OrgId, PaymentId, Timestamp};
use ports::{journal::LoadError, orgs::OrgsError};
use ractor::{Actor, ActorRef, ActorStatus, RpcReplyPort};
use tokio::time::sleep;

use crate::{
    admission::InLine,
    hands::{Hand, Hands},
    house::House,
    limits,
    org::{Answer, Order, OrgActor, OrgMessage},
    spans,
};

#[derive(Default)]
pub(crate) struct Registry {
    seats: Mutex<HashMap<OrgId, Arc<Seat>>>,
}

/// One organisation's place.
#[derive(Default)]
struct Seat {
    actor: Mutex<Option<Sitting>>,
    /// Held while the organisation is loaded, so that it is loaded once.
    starting: tokio::sync::Mutex<()>,
    /// What the organisation has in line at its lane.
    in_line: Arc<AtomicUsize>,
    failures: Mutex<Vec<Timestamp>>,
}

type Sitting = (ActorRef<OrgMessage>, Arc<Hands>);

/// One organisation as it was loaded. It is not put to rest meanwhile.
///
/// What a command brings from the store must be looked up with this in hand: rows of before the load
/// may be older than memory, and a payment that has ended since would be taken for open again.
pub(crate) struct Seated {
    org: OrgId,
    actor: ActorRef<OrgMessage>,
    /// When it was taken in hand.
    since: Timestamp,
    _hand: Hand,
    _in_line: InLine,
}

impl Seated {
    /// As if it had been taken in hand only now: nothing was looked up before.
    pub(crate) fn since(self, now: Timestamp) -> Seated {
        Seated { since: now, ..self }
    }
}

impl House {
    /// Executes a command on its organisation and answers once it is committed.
    pub(crate) fn execute(
        self: &Arc<Self>,
        org: OrgId,
        order: Order,
    ) -> impl Future<Output = Answer> + Send {
        let order = Box::new(order);
        async move {
            let seated = self.seated(org).await?;
            self.execute_on(&seated, *order).await
        }
    }

    /// Executes a command on the organisation as it was loaded then, and on no later load.
    pub(crate) fn execute_on(
        &self,
        seated: &Seated,
        order: Order,
    ) -> impl Future<Output = Answer> + Send {
        let span = spans::organisation(&order.command);
        // An order is large: kept by value, each function on its way would have a place for it.
        let order = Box::new(Order { since: Some(seated.since), span, ..order });
        self.ask(seated, |reply| OrgMessage::Execute(order, Some(reply)))
    }

    /// A payment as committed, from memory. `None`: it ended a while ago, or never was.
    pub(crate) async fn recall(self: &Arc<Self>, org: OrgId, payment: PaymentId) -> Answer {
        let seated = self.seated(org).await?;
        self.ask(&seated, |reply| OrgMessage::Recall(payment, reply)).await
    }

    async fn ask(
        &self,
        seated: &Seated,
        message: impl FnOnce(RpcReplyPort<Answer>) -> OrgMessage + Send,
    ) -> Answer {
        let (reply, answer) = ractor::concurrency::oneshot();
        if seated.actor.cast(message(reply.into())).is_err() {
            let why = "the organisation is being loaded".to_owned();
            return Err(self.place.on_the_move(seated.org, why));
        }
        let lost = |_| OrgsError::Uncertain("the organisation was stopped".to_owned());
        answer.await.map_err(lost)?
    }

    /// Starts an organisation that has open work or has stopped, however long the store is away.
    pub(crate) async fn revive(self: &Arc<Self>, org: OrgId) {
        let mut pause = limits::RETRY_FIRST;
        while !self.is_closed() && !self.lease.is_over() {
            match self.seated(org).await {
                Ok(_) | Err(OrgsError::NotFound(_) | OrgsError::NotOwner { .. }) => return,
                Err(error) => {
                    tracing::warn!(%org, %error, "the organisation will be loaded again");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(limits::RETRY_LONGEST);
        }
    }

    /// The organisation in memory; it is loaded first if it is not there.
    pub(crate) async fn seated(self: &Arc<Self>, id: OrgId) -> Result<Seated, OrgsError> {
        self.must_own(id).await?;
        let seat = self.registry.seat(id);
        let since = self.now();
        let in_line = self.lane(id).in_line.enter(&seat.in_line);
        let taken = || {
            let (actor, hands) = seat.living()?;
            Some((actor, hands.take()?))
        };
        let seated =
            |(actor, hand)| Seated { org: id, actor, since, _hand: hand, _in_line: in_line };
        if let Some(taken) = taken() {
            return Ok(seated(taken));
        }
        let _only_one = seat.starting.lock().await;
        if let Some(taken) = taken() {
            return Ok(seated(taken));
        }
        if self.is_closed() {
            return Err(OrgsError::Unavailable("stopping".to_owned()));
        }
        if seat.is_quarantined(self.now()) {
            let why = "the organisation failed repeatedly and waits for a person".to_owned();
            return Err(OrgsError::Unavailable(why));
        }
        let hands = Arc::<Hands>::default();
        let actor = OrgActor { id, house: self.clone(), hands: hands.clone() };
        let (actor, _) = Actor::spawn_linked(None, actor, (), self.root())
            .await
            .map_err(|error| self.start_error(id, &error))?;
        *seat.actor.lock().unwrap_or_else(PoisonError::into_inner) = Some((actor, hands));
        taken().map(seated).ok_or_else(|| OrgsError::Unavailable("it has stopped again".to_owned()))
    }

    fn start_error(&self, org: OrgId, error: &ractor::SpawnErr) -> OrgsError {
        if let ractor::SpawnErr::StartupFailed(cause) = error
            && let Some(load) = cause.downcast_ref::<LoadError>()
        {
            return match load {
                LoadError::NotFound(org) => OrgsError::NotFound(*org),
                LoadError::NotOwner => self.place.not_owner(org),
                LoadError::Store(error) => OrgsError::Unavailable(error.to_string()),
            };
        }
        OrgsError::Unavailable(format!("organisation {org} could not be loaded: {error}"))
    }
}

impl Registry {
    /// Counts what the organisation has in line.
    pub(crate) fn in_line(&self, org: OrgId) -> Arc<AtomicUsize> {
        self.seat(org).in_line.clone()
    }

    fn seat(&self, org: OrgId) -> Arc<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.entry(org).or_default().clone()
    }

    /// Every organisation that is in memory now.
    pub(crate) fn living(&self) -> Vec<(OrgId, ActorRef<OrgMessage>)> {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let living = seats.iter().filter_map(|(org, seat)| Some((*org, seat.living()?.0)));
        let mut living: Vec<_> = living.collect();
        living.sort_by_key(|(org, _)| *org);
        living
    }

    /// How many are in memory, and how many wait for a person.
    pub(crate) fn census(&self, now: Timestamp) -> (usize, usize) {
        let seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let seats = seats.values();
        seats.fold((0, 0), |(live, quarantined), seat| match seat.living() {
            Some(_) => (live + 1, quarantined),
            None => (live, quarantined + usize::from(seat.is_quarantined(now))),
        })
    }

    /// Frees the place of an organisation that was put to rest, unless somebody is about to load it.
    pub(crate) fn clear(&self, org: OrgId) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(seat) = seats.get(&org) else { return };
        let failures = seat.failures.lock().unwrap_or_else(PoisonError::into_inner).len();
        if Arc::strong_count(seat) == 1 && seat.living().is_none() && failures == 0 {
            seats.remove(&org);
        }
    }

    /// More places than that are taken.
    pub(crate) fn exceeds(&self, places: usize) -> bool {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).len() > places
    }

    pub(crate) fn stop_where(&self, wanted: impl Fn(OrgId) -> bool, why: &str) {
        for (org, actor) in self.living() {
            if wanted(org) {
                actor.stop(Some(why.to_owned()));
            }
        }
    }

    pub(crate) fn note_failure(&self, org: OrgId, now: Timestamp) {
        let seat = self.seat(org);
        seat.failures.lock().unwrap_or_else(PoisonError::into_inner).push(now);
    }
}

impl Seat {
    fn living(&self) -> Option<Sitting> {
        let sitting = self.actor.lock().unwrap_or_else(PoisonError::into_inner);
        let (actor, hands) = sitting.as_ref()?;
        let lives = actor.get_status() < ActorStatus::Draining && !hands.is_resting();
        lives.then(|| (actor.clone(), hands.clone()))
    }

    fn is_quarantined(&self, now: Timestamp) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|at| now.millis_since(*at) < limits::QUARANTINE_WINDOW_MS);
        failures.len() >= limits::QUARANTINE_FAILURES
    }
}
