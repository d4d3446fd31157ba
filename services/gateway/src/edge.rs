//! What all public calls share: who calls, what is theirs, and when to stop.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{
    EnvironmentId, ErrorClass, NodeId, OrgId, PaymentId, Rejection, WalletId,
    org::{Org, Row},
    payment::Epoch,
};
use ports::{
    StoreError,
    orgs::{OrgsError, Within},
};
use proto::{Problem, convert::payments, v1};
use tokio::{
    sync::{Semaphore, watch},
    time::Instant,
};

use crate::{
    Gateway,
    auth::{Caller, Keys},
    limits,
    problem::customer,
    public::deadline,
    rate::Rates,
};

pub(crate) struct Edge {
    pub(crate) gateway: Gateway,
    pub(crate) keys: Keys,
    pub(crate) rates: Rates,
    /// Watches that may still begin.
    pub(crate) watches: Arc<Semaphore>,
    /// Streams of sends that may still begin.
    pub(crate) send_streams: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
    node_names: Mutex<Option<NodeNames>>,
    /// A wallet never changes its environment.
    wallets: Mutex<HashMap<(OrgId, WalletId), EnvironmentId>>,
}

struct NodeNames {
    names: Arc<HashMap<NodeId, String>>,
    since: Instant,
}

impl Edge {
    pub(crate) fn new(gateway: Gateway, stopping: watch::Receiver<bool>) -> Edge {
        Edge {
            keys: Keys::new(gateway.directory.clone(), gateway.clock.clone()),
            rates: Rates::new(gateway.rate_limit, gateway.counts.is_some()),
            gateway,
            watches: Arc::new(Semaphore::new(limits::WATCHES_MAX)),
            send_streams: Arc::new(Semaphore::new(limits::SEND_STREAMS_MAX)),
            stopping,
            node_names: Mutex::default(),
            wallets: Mutex::default(),
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Returns when the listener stops.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // Without a sender the listener is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Asks and waits. When the listener stops nobody waits any more: the same question, repeated, is
    /// answered at once, and is a repeat by its own account. It may have been taken the first time, whatever
    /// becomes of the repeat.
    pub(crate) async fn unless_stopped<T, Answer>(
        &self,
        within: Duration,
        ask: impl Fn(Within) -> Answer,
    ) -> Result<T, OrgsError>
    where
        Answer: Future<Output = Result<T, OrgsError>>,
    {
        let until = |end| Within { end, begin: deadline::left() };
        tokio::select! {
            answer = ask(until(within)) => answer,
            () = self.stopped() => {
                ask(until(Duration::ZERO)).await.map_err(|error| OrgsError::Uncertain(error.to_string()))
            }
        }
    }

    /// A payment of the caller's environment. One of another is not found, like one that never was.
    pub(crate) async fn payment(&self, caller: Caller, id: PaymentId) -> Result<Row, Problem> {
        let row = self.gateway.reads.payment(caller.org, id).await.map_err(customer::store)?;
        row.filter(|row| {
            Place::of(row).is_some_and(|place| place.environment == caller.environment)
        })
        .ok_or_else(|| Rejection::PaymentNotFound(id).into())
    }

    /// The payment in the words of the contract.
    pub(crate) async fn told(&self, caller: Caller, row: &Row) -> Result<v1::Payment, Problem> {
        let names = match row {
            Row::Outgoing(payment) if !payment.attempts.is_empty() => self.node_names().await,
            Row::Outgoing(_)
            | Row::Incoming(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => Arc::default(),
        };
        payments::payment(row, &names)
            .filter(|payment| payment.environment_id == caller.environment.to_string())
            .ok_or_else(|| {
                Problem::new(
                    ErrorClass::Bug,
                    "internal",
                    "the answer is no payment of the caller's",
                )
            })
    }

    /// Refuses a wallet that is not of the caller's environment.
    pub(crate) async fn check_wallet(&self, caller: Caller, id: WalletId) -> Result<(), Problem> {
        let environment = match self.remembered_wallet(caller.org, id) {
            Some(environment) => Some(environment),
            None => {
                let org = self.standing(caller.org).await?;
                let environment = org.wallets.get(&id).map(|wallet| wallet.environment);
                environment
                    .inspect(|environment| self.remember_wallet(caller.org, id, *environment))
            }
        };
        match environment {
            Some(environment) if environment == caller.environment => Ok(()),
            Some(_) | None => Err(Rejection::WalletNotFound(id).into()),
        }
    }

    /// An organisation's environments, lines, nodes and wallets.
    pub(crate) async fn standing(&self, org: OrgId) -> Result<Org, Problem> {
        let rows = self.gateway.reads.standing(org).await.map_err(customer::store)?;
        Ok(Org::from_rows(org, Epoch::default(), rows))
    }

    /// Names of all nodes. Decoration: old names will do while new ones are read, or cannot be.
    pub(crate) async fn node_names(&self) -> Arc<HashMap<NodeId, String>> {
        let now = Instant::now();
        let old = {
            let mut known = self.node_names.lock().unwrap_or_else(PoisonError::into_inner);
            match known.as_mut() {
                Some(NodeNames { names, since })
                    if now.saturating_duration_since(*since) < limits::NODE_NAMES_TRUSTED_FOR =>
                {
                    return names.clone();
                }
                Some(known) => {
                    // One call reads; the others go on with what there is.
                    known.since = now;
                    known.names.clone()
                }
                None => Arc::default(),
            }
        };
        match self.read_node_names().await {
            Ok(names) => {
                let fresh = NodeNames { names: names.clone(), since: now };
                *self.node_names.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh);
                names
            }
            Err(error) => {
                tracing::warn!(%error, "names of nodes could not be read");
                old
            }
        }
    }

    async fn read_node_names(&self) -> Result<Arc<HashMap<NodeId, String>>, StoreError> {
        let nodes = self.gateway.directory.nodes().await?;
        Ok(Arc::new(nodes.into_iter().map(|node| (node.id, node.name)).collect()))
    }

    fn remembered_wallet(&self, org: OrgId, id: WalletId) -> Option<EnvironmentId> {
        let wallets = self.wallets.lock().unwrap_or_else(PoisonError::into_inner);
        wallets.get(&(org, id)).copied()
    }

    fn remember_wallet(&self, org: OrgId, id: WalletId, environment: EnvironmentId) {
        let mut wallets = self.wallets.lock().unwrap_or_else(PoisonError::into_inner);
        if wallets.len() >= limits::WALLETS_CACHED_MAX {
            wallets.clear();
        }
        wallets.insert((org, id), environment);
    }
}

/// Where a payment belongs, whichever direction it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) payment: PaymentId,
    pub(crate) environment: EnvironmentId,
    pub(crate) wallet: WalletId,
    pub(crate) created_at: domain::Timestamp,
}

impl Place {
    /// `None` for a row that is not a payment.
    pub(crate) fn of(row: &Row) -> Option<Place> {
        match row {
            Row::Outgoing(payment) => Some(Place {
                payment: payment.id,
                environment: payment.environment,
                wallet: payment.terms.wallet,
                created_at: payment.created_at,
            }),
            Row::Incoming(payment) => Some(Place {
                payment: payment.id,
                environment: payment.environment,
                wallet: payment.terms.wallet,
                created_at: payment.created_at,
            }),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => None,
        }
    }
}
