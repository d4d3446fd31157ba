//! Making and cancelling invoices on their node, until it has answered.

use std::sync::Arc;

use domain::{
    Msat, NodeId, OrgId, PaymentHash, PaymentId, Timestamp,
    org::{Command, InvoiceEnd},
};
use ports::lightning::NodeError;
use tokio::time::sleep;
use tracing::Instrument as _;

use crate::{house::House, limits, node::NodeHandle, org::Order, spans};

#[derive(Clone, Copy)]
pub(crate) struct Job {
    pub(crate) org: OrgId,
    pub(crate) payment: PaymentId,
    pub(crate) node: NodeId,
    pub(crate) hash: PaymentHash,
}

pub(crate) enum Task {
    Make { amount_msat: Option<Msat>, description: String, expires_at: Timestamp },
    Cancel,
}

/// Starts the task, tried until there is something to report; one task for each payment.
pub(crate) fn start(house: &Arc<House>, job: Job, task: Task) {
    let Some(node) = house.node(job.node) else {
        tracing::error!(payment = %job.payment, "an invoice waits for a node that is not here");
        return;
    };
    if !node.begin(job.org, job.payment) {
        return;
    }
    let call = match task {
        Task::Make { .. } => "make_invoice",
        Task::Cancel => "cancel_invoice",
    };
    let span = spans::node(&node.record.name, call, job.payment);
    let house = house.clone();
    let work = async move {
        let mut pause = limits::RETRY_FIRST;
        let command = loop {
            if let Some(command) = once(&house, &node, job, &task).await {
                break Some(command);
            }
            sleep(pause).await;
            if !house.place.owns(job.org) {
                break None;
            }
            pause = (pause * 2).min(limits::RETRY_LONGEST);
        };
        node.end(job.org, job.payment);
        // Whoever runs the organisation now asks as well.
        let Some(command) = command else { return };
        fail::fail_point!("invoice::before_report");
        if let Err(error) = house.execute(job.org, Order::from(command)).await {
            tracing::warn!(payment = %job.payment, %error, "news of an invoice will be asked for again");
        }
    };
    tokio::spawn(work.instrument(span));
}

async fn once(house: &Arc<House>, node: &NodeHandle, job: Job, task: &Task) -> Option<Command> {
    match task {
        Task::Make { amount_msat, description, expires_at } => {
            make(house, node, job, *amount_msat, description, *expires_at).await
        }
        Task::Cancel => cancel(node, job).await,
    }
}

async fn make(
    house: &Arc<House>,
    node: &NodeHandle,
    job: Job,
    amount_msat: Option<Msat>,
    description: &str,
    expires_at: Timestamp,
) -> Option<Command> {
    let payment = job.payment;
    if house.now() >= expires_at {
        return Some(Command::InvoiceNotMade { payment });
    }
    let preimage = match house.sockets.journal.preimage(job.hash).await {
        Ok(Some(preimage)) => preimage,
        Ok(None) => {
            tracing::error!(%payment, "the preimage of an invoice is not in the store");
            return Some(Command::InvoiceNotMade { payment });
        }
        Err(error) => {
            tracing::warn!(%payment, %error, "an invoice waits for the store");
            return None;
        }
    };
    fail::fail_point!("invoice::before_make");
    let made = node.lightning.make_invoice(preimage, amount_msat, description, expires_at).await;
    match made {
        Ok(invoice) => Some(Command::InvoiceMade { payment, invoice }),
        Err(NodeError::Refused(why)) => {
            tracing::warn!(%payment, %why, "the node will not make an invoice");
            Some(Command::InvoiceNotMade { payment })
        }
        Err(error @ (NodeError::Unreachable(_) | NodeError::Denied(_))) => {
            tracing::debug!(%payment, %error, "an invoice will be asked for again");
            None
        }
    }
}

async fn cancel(node: &NodeHandle, job: Job) -> Option<Command> {
    fail::fail_point!("invoice::before_cancel");
    match node.lightning.cancel_invoice(job.hash).await {
        Ok(end @ (InvoiceEnd::Cancelled | InvoiceEnd::Settled)) => {
            Some(Command::InvoiceOver { payment: job.payment, end })
        }
        Err(error) => {
            tracing::debug!(payment = %job.payment, %error, "a cancel will be tried again");
            None
        }
    }
}
