//! Callers of one organisation that come at once, and what they are told.

use std::sync::atomic::Ordering;

use domain::{
    ErrorClass,
    org::{Event, OutgoingState},
};
use ports::orgs::{OrgsError, Within};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    MS,
    bed::{AT_ONCE, Bed, Sent},
};

/// So many of them are under way at once; the others wait at the gate.
pub(crate) const INSIDE: u64 = 512;

/// Payments 1 to so many. Who is dropped hangs up.
pub(crate) struct Crowd {
    bed: Bed,
    org: u64,
    callers: JoinSet<(u64, Sent)>,
    answers: Vec<(u64, Sent)>,
}

/// How many callers heard what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) done: u64,
    /// Certainly not done, and to be repeated.
    pub(crate) refused: u64,
    /// Perhaps done.
    pub(crate) unknown: u64,
}

impl Crowd {
    pub(crate) fn of(bed: &Bed, org: u64, count: u64) -> Crowd {
        let mut callers = JoinSet::new();
        for number in 1..=count {
            let bed = bed.clone();
            callers.spawn(async move { (number, bed.send(org, number, AT_ONCE).await) });
        }
        Crowd { bed: bed.clone(), org, callers, answers: Vec::new() }
    }

    /// Waits for the first answer: then as many as can be are under way.
    pub(crate) async fn moves_on(&mut self) {
        let first = self.callers.join_next().await.unwrap();
        self.answers.push(first.unwrap());
    }

    /// Every caller has an answer, and each is true.
    pub(crate) async fn told(self) -> Told {
        let Crowd { bed, org, callers, mut answers } = self;
        let others = timeout(60_000 * MS, callers.join_all()).await;
        answers.extend(others.expect("all are answered"));
        let mut told = Told::default();
        for (number, sent) in answers {
            let stored = bed.stored(org, number).await.is_some();
            match sent {
                Ok(_) => {
                    assert!(stored, "{number} was answered before it was kept");
                    told.done += 1;
                }
                Err(OrgsError::Uncertain(_)) => told.unknown += 1,
                Err(why) => {
                    assert_eq!(why.class(), ErrorClass::Unavailable, "{number}: {why}");
                    assert!(!stored, "{number} is kept: {why}");
                    told.refused += 1;
                }
            }
        }
        told
    }
}

/// Asked for again, whatever their callers were told, all of them are paid, and each once.
pub(crate) async fn each_is_paid_once(bed: &Bed, org: u64, count: u64) {
    let mut callers = JoinSet::new();
    for number in 1..=count {
        let bed = bed.clone();
        callers.spawn(async move { bed.send(org, number, Within::from(60_000 * MS)).await });
    }
    for sent in callers.join_all().await {
        let state = sent.map(|sent| sent.payment.state);
        assert!(matches!(state, Ok(OutgoingState::Posted { .. })), "{state:?}");
    }
    let journal = bed.journal(org).await;
    let posted = journal.iter().filter(|event| matches!(event, Event::Posted { .. })).count();
    assert_eq!(u64::try_from(posted).unwrap(), count);
    assert_eq!(bed.node.sends.load(Ordering::Relaxed), bed.node.asked(), "sent once each");
}
