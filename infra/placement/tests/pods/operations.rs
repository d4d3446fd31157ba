//! What an operator asks of all engines.

use domain::{Msat, Network, NodeId, PublicKey};
use ports::{
    Operations as _, StoreError,
    directory::NodeRecord,
    operations::{NewNode, NodeState, RegisterError},
    placement::Pods,
    restore::{Restoring, Thawing},
};
use proto::{
    Problem,
    engine::v1::{self, operations_client::OperationsClient},
};
use tonic::{Request, transport::Endpoint};
use uuid::Uuid;

use crate::cluster::{Cluster, SECRET};

fn new_node() -> NewNode {
    NewNode {
        id: NodeId::new(Uuid::from_u128(1)),
        owner: None,
        name: "pool-1".to_owned(),
        address: "lnd:10009".to_owned(),
        certificate: None,
        macaroon: vec![7, 8],
        identity: Some(PublicKey([2; 33])),
    }
}

fn state(number: u128, not_usable: Option<&str>, in_flight: u32) -> NodeState {
    NodeState {
        record: NodeRecord {
            id: NodeId::new(Uuid::from_u128(number)),
            owner: None,
            name: format!("pool-{number}"),
            address: "lnd:10009".to_owned(),
            certificate: None,
            macaroon: Vec::new(),
            identity: PublicKey([2; 33]),
            network: Network::Regtest,
            stopped: None,
        },
        not_usable: not_usable.map(str::to_owned),
        in_flight,
        outbound_msat: Msat::SUPPLY,
        inbound_msat: Msat::ZERO,
    }
}

#[tokio::test]
async fn one_engine_takes_a_node_in_and_its_macaroon_does_not_come_back() {
    let (cluster, one, two) = Cluster::start().await;
    let record = cluster.forward.register_node(new_node()).await.unwrap();
    assert_eq!((record.name.as_str(), record.macaroon), ("pool-1", Vec::new()));
    assert_eq!(one.engine.asked(), ["register pool-1 [7, 8]"]);
    assert_eq!(two.engine.asked(), [""; 0]);
}

/// Rule 31: who would read it in clear is not asked, and who does not open it refuses.
#[tokio::test]
async fn a_macaroon_goes_to_an_engine_that_opens_it() {
    let mut cluster = Cluster::empty(SECRET);
    let older = cluster.join_older(1, None).await;
    cluster.owned_by(&[&older], Some(&older)).await;
    let refused = cluster.forward.register_node(new_node()).await;
    assert!(
        matches!(refused, Err(RegisterError::Store(StoreError::Unavailable(_)))),
        "{refused:?}"
    );
    let two = cluster.join(2).await;
    cluster.owned_by(&[&older, &two], Some(&older)).await;
    cluster.forward.register_node(new_node()).await.unwrap();
    assert_eq!(two.engine.asked(), ["register pool-1 [7, 8]"]);

    let sealed = |key: &str| v1::RegisterNodeRequest {
        node_id: new_node().id.uuid().as_bytes().to_vec(),
        name: "pool-1".to_owned(),
        address: "lnd:10009".to_owned(),
        macaroon: vec![!7, !8],
        expected_identity: Some(vec![2; 33]),
        seal_key_id: Some(key.to_owned()),
        ..Default::default()
    };
    // Not through the place before it, which carries one connection at a time.
    let endpoint = Endpoint::from_shared(format!("http://{}", two.listens)).unwrap();
    let mut client = OperationsClient::new(endpoint.connect().await.unwrap());
    let status = client.register_sealed_node(shown(sealed("another"))).await.unwrap_err();
    assert_eq!(Problem::from_status(&status).code, "macaroon_invalid");
    client.register_sealed_node(shown(sealed("one"))).await.unwrap();
    // A gateway of an earlier version sends it as it is.
    let clear = v1::RegisterNodeRequest { macaroon: vec![7, 8], seal_key_id: None, ..sealed("") };
    client.register_node(shown(clear)).await.unwrap();
    assert_eq!(two.engine.asked(), ["register pool-1 [7, 8]"; 3]);
}

/// As a pod sends it.
fn shown(request: v1::RegisterNodeRequest) -> Request<v1::RegisterNodeRequest> {
    let mut request = Request::new(request);
    for (key, value) in [("x-switchyard-cluster", SECRET), ("x-switchyard-engine-version", "1")] {
        request.metadata_mut().insert(key, value.parse().expect("what a header may hold"));
    }
    request
}

#[tokio::test]
async fn a_node_that_one_engine_refuses_is_refused() {
    let (cluster, one, two) = Cluster::start().await;
    let error = RegisterError::ClockOff(1_500);
    *one.engine.refuses_nodes.lock().unwrap() = Some(error.clone());
    assert_eq!(cluster.forward.register_node(new_node()).await, Err(error));
    assert_eq!(two.engine.asked(), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_is_gone_does_not_keep_others_from_answering() {
    let (cluster, one, two) = Cluster::start().await;
    let gone = one.gone().await;
    cluster.owned_by(&[&gone, &two], Some(&gone)).await;
    cluster.forward.register_node(new_node()).await.unwrap();
    *two.engine.nodes.lock().unwrap() = vec![state(1, None, 1)];
    assert_eq!(cluster.forward.nodes().await, Ok(vec![state(1, None, 1)]));
    assert_eq!(cluster.forward.frozen().await, Ok(Some("a restored node".to_owned())));
    assert_eq!(cluster.forward.audit().await.map(|report| report.organisations), Ok(7));
    assert_eq!(two.engine.asked(), ["register pool-1 [7, 8]", "audit"]);
}

/// Rule 6: a node that is stopped gets no more sends from any engine.
#[tokio::test]
async fn a_node_is_not_stopped_before_every_engine_has_stopped_it() {
    let (cluster, one, two) = Cluster::start().await;
    let node = NodeId::new(Uuid::from_u128(9));
    assert_eq!(cluster.forward.stop_node(node, Some("odd")).await, Ok(true));
    for member in [&one, &two] {
        assert_eq!(member.engine.asked(), [r#"stop 9 Some("odd")"#]);
    }
    let gone = one.gone().await;
    cluster.owned_by(&[&gone, &two], Some(&gone)).await;
    let stopped = cluster.forward.stop_node(node, None).await;
    assert!(matches!(stopped, Err(StoreError::Unknown(_))), "{stopped:?}");
    assert_eq!(two.engine.asked().len(), 2, "the others have done it");
}

/// What a person has looked at is taken as right once.
#[tokio::test]
async fn one_engine_thaws_for_all() {
    let (cluster, one, two) = Cluster::start().await;
    let was = Ok(Some("a restored node".to_owned()));
    assert_eq!(cluster.forward.thaw(Thawing::OnceSafe).await, was);
    assert_eq!(one.engine.asked(), ["thaw OnceSafe"]);
    let gone = one.gone().await;
    cluster.owned_by(&[&gone, &two], Some(&gone)).await;
    assert_eq!(cluster.forward.thaw(Thawing::Anyway).await, was);
    assert_eq!(two.engine.asked(), ["thaw Anyway"]);
}

#[tokio::test]
async fn one_engine_restores_for_all() {
    let (cluster, one, two) = Cluster::start().await;
    for how in [Restoring::DryRun, Restoring::Apply] {
        assert_eq!(cluster.forward.restore(how).await.map(|report| report.in_flight), Ok(8));
    }
    assert_eq!(one.engine.asked(), ["restore DryRun", "restore Apply"]);
    let gone = one.gone().await;
    cluster.owned_by(&[&gone, &two], Some(&gone)).await;
    cluster.forward.restore(Restoring::Apply).await.unwrap();
    assert_eq!(two.engine.asked(), ["restore Apply"]);
}

#[tokio::test]
async fn engines_together_say_how_a_node_is() {
    let (cluster, one, two) = Cluster::start().await;
    *one.engine.nodes.lock().unwrap() = vec![state(1, None, 2), state(2, None, 1)];
    *two.engine.nodes.lock().unwrap() = vec![state(1, Some("no answer"), 3)];
    let wanted = vec![state(1, Some("no answer"), 5), state(2, None, 1)];
    assert_eq!(cluster.forward.nodes().await, Ok(wanted));
}

#[tokio::test]
async fn a_gateway_is_ready_once_the_store_answers_and_there_is_an_engine() {
    let mut cluster = Cluster::empty(SECRET);
    assert!(!cluster.forward.is_ready().await);
    let answer = cluster.forward.nodes().await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    let one = cluster.join(1).await;
    cluster.owned_by(&[&one], None).await;
    assert!(cluster.forward.is_ready().await);
    let Pods { map, leases } = cluster.forward.pods().await.unwrap();
    assert_eq!((map.pods, map.owners[0]), (vec![one.pod.clone()], None));
    assert_eq!(leases[&one.pod.session].left_ms, 1_000);
}
