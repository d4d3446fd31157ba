//! One attempt on one node: sends, follows, looks up, and reports what counts as news.
//!
//! Everything here may be lost at any moment; the organisation performs it again. Silence and lost
//! streams are never reported: the node is asked again instead.

use std::sync::Arc;

use domain::{
    NodeId, OrgId, PaymentHash, PaymentId, Rejection, Timestamp,
    org::{Command, Row},
    payment::{AttemptEnd, Finding, LookUp},
};
use ports::{
    guard::Sighting,
    journal::Question,
    lightning::{PayError, PayRequest, PayUpdate, Stream},
    orgs::OrgsError,
};
use tokio::time::{Duration, sleep, timeout};
use tracing::Instrument as _;

use crate::{
    health::Lesson,
    house::House,
    limits,
    node::NodeHandle,
    org,
    reconcile::{self, ReconcileError},
    sighting::Shown,
    spans,
};

#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
    pub(crate) attempt: u32,
    pub(crate) request: u32,
    pub(crate) node: NodeId,
    pub(crate) hash: PaymentHash,
}

impl Job {
    fn sighting(&self) -> Sighting {
        Sighting { node: self.node, org: self.org, payment: self.payment, hash: self.hash }
    }
}

pub(crate) enum Task {
    Pay(PayRequest),
    LookUp,
    /// Only after the node has said that a permission of this instant is over.
    LookUpOnceLapsed(Timestamp),
}

impl Task {
    fn name(&self) -> &'static str {
        match self {
            Task::Pay(_) => "pay",
            Task::LookUp => "look_up",
            Task::LookUpOnceLapsed(_) => "look_up_once_lapsed",
        }
    }
}

/// Starts the task unless the same attempt is being followed already.
pub(crate) fn start(house: &Arc<House>, job: Job, task: Task) {
    let Some(node) = house.node(job.node) else {
        tracing::error!(node = %job.node, "an attempt waits for a node that is not registered here");
        return;
    };
    if !node.begin(job.org, job.payment) {
        return;
    }
    house.health.started(job.node);
    let span = spans::node(&node.record.name, task.name(), job.payment);
    let house = house.clone();
    // An attempt may last for hours, and thousands at a time: what is seldom or soon over is on the heap.
    let work = async move {
        let started = house.now();
        let finding = match task {
            Task::Pay(request) => pay(&house, &node, job, request).await,
            Task::LookUp => look_up(&house, &node, job, Seen::default()).await,
            Task::LookUpOnceLapsed(until) => {
                Box::pin(wait_for_lapse(&node, until)).await;
                look_up(&house, &node, job, Seen { lapsed: true, ..Seen::default() }).await
            }
        };
        node.end(job.org, job.payment);
        house.health.ended(job.node);
        if let Some(finding) = finding {
            tracing::debug!(payment = %job.payment, attempt = job.attempt, "there is news of an attempt");
            learn(&house, job, &finding, started);
            Box::pin(report(&house, job, finding)).await;
        }
    };
    tokio::spawn(work.instrument(span));
}

/// What has been seen of the attempt by this task.
#[derive(Clone, Copy, Default)]
struct Seen {
    /// The node has shown a record of it on the request's own stream.
    accepted: bool,
    /// The server refused the request before any update.
    refused: bool,
    /// The look-up began after every permission was over.
    lapsed: bool,
}

async fn pay(
    house: &Arc<House>,
    node: &NodeHandle,
    job: Job,
    request: PayRequest,
) -> Option<Finding> {
    let too_late = request.until.plus_millis(-limits::PERMISSION_MARGIN_MS);
    let in_time = Box::pin(async {
        let left = u64::try_from(too_late.millis_since(house.now())).unwrap_or(0);
        let may_send = timeout(Duration::from_millis(left), node.may_send());
        tokio::select! {
            biased;
            may_send = may_send => may_send.is_ok(),
            () = called_off(house, job) => false,
        }
    });
    let frozen = || house.frozen().is_some();
    // Looking at the node may be what freezes.
    if frozen() || house.now() >= too_late || !in_time.await || frozen() {
        return match frozen() {
            true => unless_forgotten(house, node, job).await,
            false => Some(Finding::NeverLeft),
        };
    }
    fail::fail_point!("attempt::before_call");
    let sent = node.lightning.pay(&request).await;
    drop(request);
    match sent {
        Ok(stream) => {
            fail::fail_point!("attempt::after_call");
            let mut seen = Seen::default();
            match follow(house, job, stream, true, &mut seen).await {
                Some(finding) => Some(finding),
                None => look_up(house, node, job, seen).await,
            }
        }
        Err(PayError::PermissionLapsed) => {
            tracing::info!(payment = %job.payment, "a request came too late, and the node refused it");
            Some(Finding::PermissionLapsed)
        }
        Err(PayError::Refused(why)) => {
            tracing::info!(payment = %job.payment, %why, "the node refused a request");
            look_up(house, node, job, Seen { refused: true, ..Seen::default() }).await
        }
        Err(PayError::Lost(why)) => {
            tracing::info!(payment = %job.payment, %why, "a request was lost on its way");
            look_up(house, node, job, Seen::default()).await
        }
    }
}

/// This request never left. A restored database has forgotten requests of the same payment that did, so the
/// node is asked first: what it shows is how they ended.
async fn unless_forgotten(house: &Arc<House>, node: &NodeHandle, job: Job) -> Option<Finding> {
    let mut pause = limits::RETRY_FIRST;
    loop {
        match asked(house, node, job, &mut Seen::default()).await {
            Ok(Answer::Found(Some(paid @ Finding::Paid { .. }))) => return Some(paid),
            Ok(Answer::NotFound | Answer::Found(Some(_))) => return Some(Finding::NeverLeft),
            // It is in flight there, or was a moment ago.
            Ok(Answer::Found(None)) => {}
            Err(error) => {
                tracing::debug!(node = %job.node, %error, "a look-up will be tried again");
            }
        }
        if !asks_again(house, job, &mut pause).await {
            return None;
        }
    }
}

/// Whoever cancels a payment that still waits for its node wants it sent no more.
async fn called_off(house: &House, job: Job) {
    house.waiters.listen(job.org, job.payment).called_off().await;
}

async fn look_up(house: &Arc<House>, node: &NodeHandle, job: Job, seen: Seen) -> Option<Finding> {
    Box::pin(look_up_until_known(house, node, job, seen)).await
}

async fn look_up_until_known(
    house: &Arc<House>,
    node: &NodeHandle,
    job: Job,
    mut seen: Seen,
) -> Option<Finding> {
    let mut pause = limits::RETRY_FIRST;
    loop {
        match asked(house, node, job, &mut seen).await {
            // A restored node or store says "not found" too: nothing is concluded until a person has
            // looked, or before it is known whether the node has what it must have.
            Ok(Answer::NotFound) if house.frozen().is_some() || !node.is_matched() => {}
            Ok(Answer::NotFound) => match house.sightings.of(&job.sighting()) {
                None => {
                    let Seen { lapsed, refused, .. } = seen;
                    return Some(Finding::LookedUp { seen: LookUp::NotFound, lapsed, refused });
                }
                Some(Shown::Due) => {
                    house.freeze(reconcile::no_longer_has(&job.sighting())).await;
                }
                // Others go on; this one stays held, as nothing is proven of it.
                Some(Shown::Excused) => {}
            },
            Ok(Answer::Found(Some(finding))) => return Some(finding),
            Ok(Answer::Found(None)) => {}
            Err(error) => {
                tracing::debug!(node = %job.node, %error, "a look-up will be tried again")
            }
        }
        if !asks_again(house, job, &mut pause).await {
            return None;
        }
    }
}

/// After a pause, each longer than the last. `false`: whoever runs the organisation now asks as well, and
/// knows what has been asked before.
async fn asks_again(house: &House, job: Job, pause: &mut Duration) -> bool {
    sleep(*pause).await;
    *pause = (*pause * 2).min(limits::RETRY_LONGEST);
    house.place.owns(job.org)
}

enum Answer {
    /// With what its updates came to.
    Found(Option<Finding>),
    NotFound,
}

async fn asked(
    house: &Arc<House>,
    node: &NodeHandle,
    job: Job,
    seen: &mut Seen,
) -> Result<Answer, ReconcileError> {
    let Some(stream) = node.lightning.track(job.hash).await? else { return Ok(Answer::NotFound) };
    let finding = follow(house, job, stream, false, seen).await;
    if let Some(Finding::LookedUp { seen: LookUp::Failed { failure, .. }, .. }) = finding
        && reconcile::is_older(house, &job.sighting(), failure).await?
    {
        return Ok(Answer::NotFound);
    }
    Ok(Answer::Found(finding))
}

/// Follows a stream, the request's own or a look-up's. `None`: it ended with nothing proven.
async fn follow(
    house: &House,
    job: Job,
    mut stream: Box<dyn Stream<PayUpdate>>,
    own: bool,
    seen: &mut Seen,
) -> Option<Finding> {
    while let Some(Ok(update)) = stream.next().await {
        match update {
            PayUpdate::InFlight => {
                house.sightings.shown(job.sighting());
                seen.accepted = true;
            }
            PayUpdate::Succeeded { preimage, amount_msat, fee_msat } => {
                house.sightings.shown(job.sighting());
                return Some(Finding::Paid { preimage, amount_msat, fee_msat });
            }
            PayUpdate::Failed { reason, failure } if own => {
                let after_update = seen.accepted;
                return Some(Finding::FailedOnStream { reason, failure, after_update });
            }
            PayUpdate::Failed { reason, failure } => {
                let Seen { lapsed, refused, .. } = *seen;
                let seen = LookUp::Failed { reason, failure };
                return Some(Finding::LookedUp { seen, lapsed, refused });
            }
        }
    }
    None
}

/// Waits until the node itself says so, and then for a call that it had checked before.
async fn wait_for_lapse(node: &NodeHandle, until: Timestamp) {
    while !matches!(node.lightning.has_lapsed(until).await, Ok(true)) {
        sleep(limits::LAPSE_POLL).await;
    }
    sleep(limits::LAPSE_GRACE).await;
}

/// Delivers a finding; if it cannot be taken, loading or the next drive brings the attempt up again.
async fn report(house: &Arc<House>, job: Job, finding: Finding) {
    match delivered(house, job, finding).await {
        Ok(Some(told)) if has_ended(&told.payment, job.node) => {
            house.sightings.ended(&job.sighting());
            if has_failed(&told.payment, job.node) {
                look_again_later(house, job);
            }
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(payment = %job.payment, %error, "a finding will be asked for again");
        }
    }
}

async fn delivered(house: &Arc<House>, job: Job, finding: Finding) -> org::Answer {
    let command = Command::Report {
        payment: job.payment,
        attempt: job.attempt,
        request: job.request,
        finding,
        permitted_until: house.lease.permitted_until(),
    };
    fail::fail_point!("attempt::before_report");
    let mut taken = house.execute(job.org, command.clone().into()).await;
    if let Err(OrgsError::Rejected(Rejection::PaymentNotFound(_))) = taken
        && let Ok((seated, order)) = Box::pin(house.recalled(job.org, job.payment, command)).await
    {
        taken = house.execute_on(&seated, order).await;
    }
    taken
}

/// Whether there is proof of how the attempt ended.
fn has_ended(row: &Row, node: NodeId) -> bool {
    reconcile::attempt_on(row, node).is_some_and(|attempt| attempt.end.is_some())
}

fn has_failed(row: &Row, node: NodeId) -> bool {
    let end = reconcile::attempt_on(row, node).and_then(|attempt| attempt.end);
    matches!(end, Some(AttemptEnd::Failed { .. }))
}

/// A node that has failed a payment must not have paid it after all (rule 6). The hold is given back and
/// nobody waits any more, so the node is asked once more a little later.
fn look_again_later(house: &Arc<House>, job: Job) {
    // With more failures than that, the audit has to find it.
    let Ok(permit) = house.second_looks.clone().try_acquire_owned() else { return };
    let house = house.clone();
    let look = async move {
        sleep(limits::SECOND_LOOK_AFTER).await;
        match paid_after_all(&house, job).await {
            Ok(Some(finding)) => {
                let taken = delivered(&house, job, finding).await.map(|_| ());
                tracing::error!(payment = %job.payment, ?taken, "a node has paid what it had failed");
            }
            Ok(None) => {}
            Err(error) => tracing::debug!(node = %job.node, %error, "no second look at a failure"),
        }
        drop(permit);
    };
    tokio::spawn(look);
}

async fn paid_after_all(house: &House, job: Job) -> Result<Option<Finding>, ReconcileError> {
    let Some(node) = house.node(job.node) else { return Ok(None) };
    let Some(mut stream) = node.lightning.track(job.hash).await? else { return Ok(None) };
    let Some(Ok(PayUpdate::Succeeded { preimage, amount_msat, fee_msat })) = stream.next().await
    else {
        return Ok(None);
    };
    // A later payment of the hash holds it for ever once it is paid: then that one was meant.
    let Job { org, payment, hash, .. } = job;
    let question = Question { org, payment, hash: Some(hash), claim: None };
    let holder = house.lookups.ask(question).await?.paid_by;
    let is_ours = holder.is_none_or(|holder| holder == (org, payment));
    Ok(is_ours.then_some(Finding::Paid { preimage, amount_msat, fee_msat }))
}

fn learn(house: &House, job: Job, finding: &Finding, started: Timestamp) {
    let took_ms = house.now().millis_since(started);
    let lesson = match finding {
        Finding::Paid { amount_msat, fee_msat, .. } => {
            Lesson { succeeded: true, amount_msat: *amount_msat, fee_msat: *fee_msat, took_ms }
        }
        Finding::FailedOnStream { reason, .. } if reason.next_node_may_help() => Lesson {
            succeeded: false,
            amount_msat: domain::Msat::ZERO,
            fee_msat: domain::Msat::ZERO,
            took_ms,
        },
        Finding::FailedOnStream { .. }
        | Finding::LookedUp { .. }
        | Finding::PermissionLapsed
        | Finding::NeverLeft => return,
    };
    house.health.learn(job.node, &lesson);
}
