//! A person resolves a payment: its nodes are asked first, and then its organisation decides.

use std::sync::Arc;

use domain::{
    OrgId, PaymentHash, PaymentId, Timestamp,
    org::{Command, NodeSays, Outgoing, Resolution, ResolveFacts, Row},
};
use ports::{
    StoreError,
    guard::Sighting,
    journal::Question,
    lightning::PayUpdate,
    orgs::{Answered, OrgsError},
};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    house::{House, unavailable},
    limits,
    node::NodeHandle,
};

impl House {
    pub(crate) async fn resolve(
        self: &Arc<Self>,
        org: OrgId,
        payment: PaymentId,
        resolution: Resolution,
        evidence: String,
    ) -> Result<(), OrgsError> {
        let facts = self.what_nodes_say(org, payment).await.map_err(unavailable)?;
        let facts = Box::new(facts);
        let command = Command::Resolve { payment, resolution, evidence, facts };
        let (seated, order) = self.recalled(org, payment, command).await?;
        let resolved = self.execute_on(&seated, order).await?;
        if let Some(Answered { payment: Row::Outgoing(outgoing), .. }) = resolved {
            self.nothing_is_due(org, &outgoing);
        }
        Ok(())
    }

    async fn what_nodes_say(
        &self,
        org: OrgId,
        payment: PaymentId,
    ) -> Result<ResolveFacts, StoreError> {
        let mut facts = ResolveFacts { lost: false, says: Vec::new(), asked_at: self.now() };
        let ask = |hash| Question { org, payment, hash, claim: None };
        let known = self.lookups.ask(ask(None)).await?.payment;
        let Some(Row::Outgoing(outgoing)) = known else { return Ok(facts) };
        let hash = outgoing.hash();
        let holder = self.lookups.ask(ask(Some(hash))).await?.paid_by;
        if holder.is_some_and(|holder| holder != (org, payment)) {
            // What nodes show is another payment of the hash.
            return Ok(facts);
        }
        let mut asked = JoinSet::new();
        for attempt in &outgoing.attempts {
            let node = attempt.node;
            let open = attempt.end.is_none();
            facts.lost |= open && self.has_lost(Sighting { node, org, payment, hash }).await?;
            let until = open.then(|| attempt.permitted_until());
            let Some(handle) = self.node(node) else { continue };
            asked.spawn(async move {
                (node, timeout(limits::SAYS_WITHIN, says(&handle, hash, until)).await)
            });
        }
        while let Some(answered) = asked.join_next().await {
            if let Ok((node, Ok(Some(says)))) = answered {
                facts.says.push((node, says));
            }
        }
        Ok(facts)
    }

    /// Whether a person has taken it as it is that the node may have made it and forgotten. Memory may not
    /// know it yet.
    async fn has_lost(&self, sighting: Sighting) -> Result<bool, StoreError> {
        let shown = self.sockets.guard.sightings(sighting.node).await?;
        Ok(shown.contains(&(sighting, true)))
    }

    /// The attempts have ended: their nodes need not have them any more.
    fn nothing_is_due(&self, org: OrgId, payment: &Outgoing) {
        for attempt in payment.attempts.iter().filter(|attempt| attempt.end.is_some()) {
            let (node, hash) = (attempt.node, payment.hash());
            self.sightings.ended(&Sighting { node, org, payment: payment.id, hash });
        }
    }
}

/// `None`: it cannot be reached. Of an attempt that is open nothing is looked up before the node itself says
/// that every permission is over, and for a while already (rule 13).
async fn says(node: &NodeHandle, hash: PaymentHash, until: Option<Timestamp>) -> Option<NodeSays> {
    if let Some(until) = until {
        let long_over = until.plus_millis(limits::LAPSE_GRACE_MS);
        if !node.lightning.has_lapsed(long_over).await.ok()? {
            return Some(NodeSays::Permitted);
        }
    }
    let Some(mut stream) = node.lightning.track(hash).await.ok()? else {
        return Some(NodeSays::Nothing);
    };
    Some(match stream.next().await?.ok()? {
        PayUpdate::InFlight => NodeSays::InFlight,
        PayUpdate::Succeeded { amount_msat, fee_msat, .. } => {
            NodeSays::Paid { amount_msat, fee_msat }
        }
        PayUpdate::Failed { failure, .. } => NodeSays::Failed(failure),
    })
}
