use domain::NodeId;
use ports::{
    directory::NodeRecord,
    operations::{NewNode, NodeState},
};
use proto::{
    Problem,
    admin::v1::{self, nodes_server},
    convert::nodes::{self, Register, Stop},
};
use tonic::{Request, Response, Status};

use super::not_found;
use crate::{
    Gateway,
    problem::{answer, operator},
};

pub(crate) struct Nodes(pub(crate) Gateway);

impl Nodes {
    async fn registered(&self, request: v1::RegisterNodeRequest) -> Result<v1::Node, Problem> {
        let wanted = Register::try_from(request)?;
        let node = NewNode {
            id: wanted.node,
            owner: wanted.owner,
            name: wanted.name,
            address: wanted.address,
            certificate: wanted.certificate,
            macaroon: wanted.macaroon,
            identity: wanted.identity,
        };
        let record = self.0.operations.register_node(node).await.map_err(operator::register)?;
        Ok(node_of(record))
    }

    async fn stop_node(&self, node: NodeId, why: Option<&str>) -> Result<(), Problem> {
        match self.0.operations.stop_node(node, why).await.map_err(operator::store)? {
            true => Ok(()),
            false => Err(not_found("node_not_found", format!("node {node}"))),
        }
    }
}

/// Without its macaroon, which never leaves.
fn node_of(record: NodeRecord) -> v1::Node {
    v1::Node {
        id: record.id.to_string(),
        name: record.name,
        organisation_id: record.owner.map(|owner| owner.to_string()).unwrap_or_default(),
        address: record.address,
        certificate_pinned: record.certificate.is_some(),
        identity: record.identity.to_string(),
        network: record.network.name().to_owned(),
        stopped: record.stopped.unwrap_or_default(),
    }
}

fn node_state(state: NodeState) -> v1::NodeState {
    v1::NodeState {
        node: Some(node_of(state.record)),
        not_usable: state.not_usable.unwrap_or_default(),
        in_flight: state.in_flight,
        outbound_msat: state.outbound_msat.get(),
        inbound_msat: state.inbound_msat.get(),
    }
}

#[tonic::async_trait]
impl nodes_server::Nodes for Nodes {
    async fn register(
        &self,
        request: Request<v1::RegisterNodeRequest>,
    ) -> Result<Response<v1::Node>, Status> {
        answer("Nodes.Register", self.registered(request.into_inner())).await
    }

    async fn list(
        &self,
        _: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        answer("Nodes.List", async {
            let nodes = self.0.operations.nodes().await.map_err(operator::store)?;
            Ok(v1::ListNodesResponse { nodes: nodes.into_iter().map(node_state).collect() })
        })
        .await
    }

    async fn stop(
        &self,
        request: Request<v1::StopNodeRequest>,
    ) -> Result<Response<v1::StopNodeResponse>, Status> {
        answer("Nodes.Stop", async {
            let Stop { node, reason } = Stop::try_from(request.into_inner())?;
            self.stop_node(node, Some(&reason)).await?;
            Ok(v1::StopNodeResponse {})
        })
        .await
    }

    async fn resume(
        &self,
        request: Request<v1::ResumeNodeRequest>,
    ) -> Result<Response<v1::ResumeNodeResponse>, Status> {
        answer("Nodes.Resume", async {
            self.stop_node(nodes::node_id(&request.get_ref().id)?, None).await?;
            Ok(v1::ResumeNodeResponse {})
        })
        .await
    }
}
