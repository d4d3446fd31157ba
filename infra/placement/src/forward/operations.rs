//! What an operator asks of the installation.
//!
//! Engines take over from the store what another has put on record, so that one of them is enough for
//! most. A node that is stopped gets no more sends from any of them by the time that is answered.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use domain::NodeId;
use futures_util::future::join_all;
use ports::{
    Operations, StoreError,
    directory::NodeRecord,
    operations::{AuditReport, NewNode, NodeState, RegisterError, ThawError},
    placement::{PlacementMap, Pod, Pods},
    restore::{RestoreReport, Restoring, Thawing},
};
use proto::{
    convert::{WireError, engine::id_bytes},
    engine::v1::{self, operations_client::OperationsClient},
};
use tokio::time::timeout;
use tonic::{Response, Status};

use super::Forward;
use crate::{
    channels::Line,
    failure::{self, Failed},
    limits, nodes, restored,
};

type Client = OperationsClient<Line>;

#[async_trait]
impl Operations for Forward {
    async fn register_node(&self, node: NewNode) -> Result<NodeRecord, RegisterError> {
        let request = nodes::of_new(&node, self.seal.as_ref());
        let request = request.map_err(|why| StoreError::Unavailable(why.to_string()))?;
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.register_sealed_node(request).await }
        };
        let answer = self.change(failure::register, call).await.map_err(change_failed)?;
        nodes::read_record(answer)
            .map_err(|error| StoreError::Unavailable(error.to_string()).into())
    }

    /// As all engines together see them.
    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError> {
        let ask = async |pod: &Pod| {
            let call = |mut client: Client| async move { client.nodes(v1::NodesRequest {}).await };
            let answer = self.one(pod, limits::OPERATION_WITHIN, failure::store, call).await?;
            let states = answer.nodes.into_iter().map(nodes::read_state);
            states.collect::<Result<Vec<_>, WireError>>().map_err(unreadable)
        };
        let pods = self.engines();
        let mut all = Together::default();
        let mut failed = Failed::NotTaken("no engine is known".to_owned());
        let mut answered = false;
        for answer in join_all(pods.iter().map(ask)).await {
            match answer {
                Ok(states) => {
                    answered = true;
                    states.into_iter().for_each(|state| all.add(state));
                }
                Err(why) => failed = why,
            }
        }
        if answered { Ok(all.0.into_values().collect()) } else { Err(read_failed(failed)) }
    }

    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError> {
        let request = v1::StopNodeRequest { node_id: id_bytes(id), why: why.map(str::to_owned) };
        let call = |mut client: Client| {
            let request = request.clone();
            async move { client.stop_node(request).await }
        };
        let answers = self.all(call).await?;
        Ok(answers.into_iter().any(|answer| answer.known))
    }

    /// Whether payments may come here: the store answers, and there is an engine.
    async fn is_ready(&self) -> bool {
        self.owners.failure().is_none() && !self.engines().is_empty()
    }

    async fn frozen(&self) -> Result<Option<String>, StoreError> {
        let call = |mut client: Client| async move { client.frozen(v1::FrozenRequest {}).await };
        Ok(self.any(limits::OPERATION_WITHIN, call).await?.why)
    }

    /// By one engine for all, which reads what every node has.
    async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError> {
        let request = restored::of_thaw(how);
        let call = |mut client: Client| async move { client.thaw(request).await };
        let thawed = self.change_within(limits::AUDIT_WITHIN, failure::thaw, call).await;
        Ok(restored::read_thawed(thawed.map_err(change_failed)?))
    }

    /// As whoever forwards from here sees it.
    async fn pods(&self) -> Result<Pods, StoreError> {
        if let Some(why) = self.owners.failure() {
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        let map = PlacementMap::clone(&self.owners.map());
        Ok(Pods { map, leases: self.owners.leases().await? })
    }

    /// By one engine for all: organisations that live in others are ended and booked there.
    async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError> {
        let request = restored::of_wish(how);
        let call = |mut client: Client| async move { client.restore(request).await };
        let report = match how {
            Restoring::DryRun => self.any(limits::AUDIT_WITHIN, call).await?,
            Restoring::Apply => self
                .change_within(limits::AUDIT_WITHIN, failure::store, call)
                .await
                .map_err(change_failed)?,
        };
        restored::read_report(report).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    async fn audit(&self) -> Result<AuditReport, StoreError> {
        let call = |mut client: Client| async move { client.audit(v1::AuditRequest {}).await };
        let report = self.any(limits::AUDIT_WITHIN, call).await?;
        nodes::read_report(report).map_err(|error| StoreError::Unavailable(error.to_string()))
    }
}

impl Forward {
    fn engines(&self) -> Vec<Pod> {
        self.owners.map().pods.clone()
    }

    async fn one<T, E, Call>(
        &self,
        pod: &Pod,
        within: Duration,
        read: fn(&Status) -> Failed<E>,
        call: impl Fn(Client) -> Call,
    ) -> Result<T, Failed<E>>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let client = self.channels.operations(pod, &self.owners.map());
        match timeout(within, call(client.map_err(Failed::NotTaken)?)).await {
            Ok(answer) => answer.map(Response::into_inner).map_err(|status| read(&status)),
            Err(_) => Err(Failed::Lost(format!("{} gave no answer in time", pod.name))),
        }
    }

    async fn change<T, E, Call>(
        &self,
        read: fn(&Status) -> Failed<E>,
        call: impl Fn(Client) -> Call,
    ) -> Result<T, Failed<E>>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        self.change_within(limits::OPERATION_WITHIN, read, call).await
    }

    /// A change that one engine makes for all: the first that takes it. One that may have made it is not
    /// asked for again of another.
    async fn change_within<T, E, Call>(
        &self,
        within: Duration,
        read: fn(&Status) -> Failed<E>,
        call: impl Fn(Client) -> Call,
    ) -> Result<T, Failed<E>>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let mut failed = Failed::NotTaken("no engine is known".to_owned());
        for pod in self.engines() {
            match self.one(&pod, within, read, &call).await {
                Err(Failed::NotTaken(why) | Failed::NotKnown(why)) => {
                    failed = Failed::NotTaken(why)
                }
                answer @ (Ok(_) | Err(Failed::Answered(_) | Failed::Lost(_))) => return answer,
            }
        }
        Err(failed)
    }

    /// A question that changes nothing, asked of one engine after the other until one answers.
    async fn any<T, Call>(
        &self,
        within: Duration,
        call: impl Fn(Client) -> Call,
    ) -> Result<T, StoreError>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let mut failed = Failed::NotTaken("no engine is known".to_owned());
        for pod in self.engines() {
            match self.one(&pod, within, failure::store, &call).await {
                Ok(answer) => return Ok(answer),
                Err(why @ (Failed::NotTaken(_) | Failed::NotKnown(_) | Failed::Lost(_))) => {
                    failed = why
                }
                Err(Failed::Answered(error)) => return Err(error),
            }
        }
        Err(read_failed(failed))
    }

    /// A change that is of use only once every engine has made it. Safe to repeat.
    async fn all<T, Call>(&self, call: impl Fn(Client) -> Call) -> Result<Vec<T>, StoreError>
    where
        Call: Future<Output = Result<Response<T>, Status>>,
    {
        let pods = self.engines();
        if pods.is_empty() {
            return Err(StoreError::Unavailable("no engine is known".to_owned()));
        }
        let call = &call;
        let ask = async |pod: &Pod| {
            let answer = self.one(pod, limits::OPERATION_WITHIN, failure::store, call).await;
            answer.map_err(|failed| not_everywhere(&pod.name, failed))
        };
        join_all(pods.iter().map(ask)).await.into_iter().collect()
    }
}

/// The same node seen by several engines, each of which has a part of its payments.
#[derive(Default)]
struct Together(BTreeMap<NodeId, NodeState>);

impl Together {
    fn add(&mut self, state: NodeState) {
        let Some(seen) = self.0.get_mut(&state.record.id) else {
            self.0.insert(state.record.id, state);
            return;
        };
        seen.in_flight = seen.in_flight.saturating_add(state.in_flight);
        // Whichever engine cannot use it has to be looked at.
        seen.not_usable = seen.not_usable.take().or(state.not_usable);
    }
}

fn unreadable(error: WireError) -> Failed<StoreError> {
    Failed::Lost(error.to_string())
}

fn change_failed<Error: From<StoreError>>(failed: Failed<Error>) -> Error {
    match failed {
        Failed::Answered(error) => error,
        Failed::NotTaken(why) | Failed::NotKnown(why) => StoreError::Unavailable(why).into(),
        Failed::Lost(why) => StoreError::Unknown(why).into(),
    }
}

/// A question that was lost has changed nothing.
fn read_failed(failed: Failed<StoreError>) -> StoreError {
    match failed {
        Failed::Answered(error) => error,
        Failed::NotTaken(why) | Failed::NotKnown(why) | Failed::Lost(why) => {
            StoreError::Unavailable(why)
        }
    }
}

/// Other engines may have made the change.
fn not_everywhere(pod: &str, failed: Failed<StoreError>) -> StoreError {
    match failed {
        Failed::Answered(error) => error,
        Failed::NotTaken(why) | Failed::NotKnown(why) | Failed::Lost(why) => {
            StoreError::Unknown(format!("not on {pod}, so repeat it: {why}"))
        }
    }
}
