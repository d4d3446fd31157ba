use std::sync::Arc;

use domain::{NodeId, Rejection, org::Org};
use ports::operations::NodeState;
use proto::{
    Problem,
    convert::nodes,
    v1::{self, nodes_server},
};
use tonic::{Request, Response, Status};

use super::door::asked;
use crate::{
    auth::Caller,
    edge::Edge,
    problem::{answer, customer},
};

/// An organisation's own nodes; those of the credit pool are the house's business.
pub(crate) struct Nodes(pub(crate) Arc<Edge>);

impl Nodes {
    /// Ordered by id.
    async fn own(&self, caller: Caller) -> Result<Vec<v1::Node>, Problem> {
        let states = self.0.gateway.operations.nodes().await.map_err(customer::store)?;
        let org = self.0.standing(caller.org).await?;
        let own = states.into_iter().filter(|state| state.record.owner == Some(caller.org));
        let mut own: Vec<_> = own.collect();
        own.sort_unstable_by_key(|state| state.record.id);
        Ok(own.iter().map(|state| node(&org, state)).collect())
    }

    async fn one(&self, caller: Caller, id: NodeId) -> Result<v1::Node, Problem> {
        let text = id.to_string();
        let own = self.own(caller).await?.into_iter().find(|node| node.id == text);
        own.ok_or_else(|| Rejection::NodeNotFound(id).into())
    }
}

/// Why a node is not usable may name what is inside, and stays with the operator.
fn node(org: &Org, state: &NodeState) -> v1::Node {
    let NodeState { record, not_usable, in_flight, outbound_msat, inbound_msat } = state;
    let declared = org.nodes.get(&record.id);
    let funds = declared.map(|node| &node.funds);
    v1::Node {
        id: record.id.to_string(),
        name: record.name.clone(),
        identity: record.identity.to_string(),
        network: record.network.name().to_owned(),
        usable: not_usable.is_none(),
        in_flight: *in_flight,
        outbound_msat: outbound_msat.get(),
        inbound_msat: inbound_msat.get(),
        limit_msat: funds.map_or(0, |funds| funds.limit_msat.get()),
        allocated_msat: declared.map_or(0, |node| node.allocated_msat.get()),
        available_msat: funds.map_or(0, |funds| funds.available().get()),
        held_msat: funds.map_or(0, |funds| funds.held_msat.get()),
    }
}

#[tonic::async_trait]
impl nodes_server::Nodes for Nodes {
    async fn get(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        let (caller, request) = asked(request)?;
        answer("Nodes.Get", async {
            let id = nodes::node_id(&request.id)?;
            self.one(caller, id).await
        })
        .await
    }

    async fn list(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let (caller, _) = asked(request)?;
        answer("Nodes.List", async { Ok(v1::ListNodesResponse { nodes: self.own(caller).await? }) })
            .await
    }
}
