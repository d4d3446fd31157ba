//! An organisation's own nodes, read only.

use domain::NodeId;
use proto::v1;
use tonic::Code;
use uuid::Uuid;

use crate::world::{World, refusal};

#[tokio::test]
async fn a_customer_sees_its_own_nodes_and_no_others() {
    let world = World::new().await;
    let (own, foreign) = (NodeId::new(Uuid::from_u128(60)), NodeId::new(Uuid::from_u128(61)));
    world.fake.add_node_of(own, Some(world.book.org));
    world.fake.add_node_of(foreign, Some(world.stranger.org));
    let funds = proto::admin::v1::SetNodeFundsRequest {
        organisation_id: world.book.org.to_string(),
        node_id: own.to_string(),
        funds_msat: 1_000_000,
    };
    world.organisations().set_node_funds(funds).await.unwrap();
    let mut nodes = world.book.nodes(&world);
    let listed = nodes.list(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].usable), ("node-60", true));
    assert_eq!((listed[0].limit_msat, listed[0].available_msat), (1_000_000, 1_000_000));
    let get = v1::GetNodeRequest { id: own.to_string() };
    assert_eq!(nodes.get(get).await.unwrap().into_inner(), listed[0]);
    for other in [foreign.to_string(), Uuid::from_u128(crate::fake::NODE).to_string()] {
        let refused = refusal(nodes.get(v1::GetNodeRequest { id: other }).await);
        assert_eq!(refused, (Code::NotFound, "node_not_found".to_owned()));
    }
    let stop = proto::admin::v1::StopNodeRequest { id: own.to_string(), reason: "old".to_owned() };
    world.nodes().stop(stop).await.unwrap();
    let stopped = nodes.list(v1::ListNodesRequest {}).await.unwrap().into_inner().nodes;
    assert!(!stopped[0].usable);
}
