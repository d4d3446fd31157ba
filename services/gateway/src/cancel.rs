//! Cancelling a payment, on either face.

use std::time::Duration;

use domain::{PaymentId, org::Row};
use ports::orgs::Within;
use proto::Problem;

use crate::{access::Need, auth::Caller, edge::Edge, problem::customer};

/// Says that a payment of the caller's environment is wanted no more, and waits for its end.
pub(crate) async fn cancel(
    edge: &Edge,
    caller: Caller,
    id: PaymentId,
    wait: Duration,
) -> Result<Row, Problem> {
    match edge.payment(caller, id).await? {
        Row::Outgoing(_) => Need::Write.check(&caller)?,
        Row::Incoming(_)
        | Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => Need::ReceiveOrWrite.check(&caller)?,
    }
    let ask = |within: Within| edge.gateway.orgs.cancel(caller.org, id, within.end);
    edge.unless_stopped(wait, ask).await.map_err(customer::orgs)
}
