//! Organisations, API keys and nodes.

use domain::{Network, PublicKey, Timestamp};
use ports::{
    Clock, StoreError,
    directory::{KeyRecord, NodeRecord, OrgRecord},
};

use crate::{
    Case,
    bed::{Bed, ENVIRONMENT, NODES, id},
    case,
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(an_organisation_is_added_once),
        case(a_key_is_added_once),
        case(a_revoked_key_stays_revoked),
        case(a_node_is_added_once),
        case(rule_31_a_macaroon_comes_back_from_its_seal),
        case(a_stopped_node_stays_stopped),
    ]
}

const TAKEN: Result<(), StoreError> = Err(StoreError::AlreadyThere);

fn org(bed: &Bed) -> OrgRecord {
    OrgRecord { id: id(1), name: "one".to_owned(), created_at: bed.clock.now() }
}

fn key(bed: &Bed) -> KeyRecord {
    KeyRecord {
        id: id(1),
        org: id(1),
        environment: ENVIRONMENT,
        name: "till".to_owned(),
        digest: [7; 32],
        created_at: bed.clock.now(),
        revoked_at: None,
    }
}

fn node() -> NodeRecord {
    NodeRecord {
        id: NODES[0],
        owner: None,
        name: "alice".to_owned(),
        address: "127.0.0.1:10009".to_owned(),
        certificate: Some("-----BEGIN CERTIFICATE-----".to_owned()),
        macaroon: vec![1, 2, 3, 0, 255],
        identity: PublicKey([2; 33]),
        network: Network::Regtest,
        stopped: None,
    }
}

async fn an_organisation_is_added_once(bed: Bed) {
    let (store, one) = (&bed.store, org(&bed));
    store.add_org(&one).await.unwrap();
    store.add_org(&one).await.unwrap();
    let renamed = OrgRecord { name: "two".to_owned(), ..one.clone() };
    assert_eq!(store.add_org(&renamed).await, TAKEN);
    let namesake = OrgRecord { id: id(2), ..one.clone() };
    assert_eq!(store.add_org(&namesake).await, TAKEN);
    assert_eq!(store.orgs().await, Ok(vec![one.clone()]));
    assert!(store.load(id(2), bed.session).await.is_err());

    // A repeat does not take the organisation back to its beginning.
    bed.clock.tick();
    let epoch = store.load(one.id, bed.session).await.unwrap().org.epoch;
    store.add_org(&org(&bed)).await.unwrap();
    assert_eq!(store.orgs().await, Ok(vec![one.clone()]));
    assert!(store.load(one.id, bed.session).await.unwrap().org.epoch > epoch);
}

async fn a_key_is_added_once(bed: Bed) {
    let (store, one) = (&bed.store, key(&bed));
    assert_eq!(store.key(one.digest).await, Ok(None));
    store.add_key(&one).await.unwrap();
    store.add_key(&one).await.unwrap();
    assert_eq!(store.key(one.digest).await, Ok(Some(one.clone())));
    let others = [
        KeyRecord { digest: [8; 32], ..one.clone() },
        KeyRecord { id: id(2), name: "other".to_owned(), ..one.clone() },
        KeyRecord { id: id(2), digest: [8; 32], ..one.clone() },
    ];
    for other in others {
        assert_eq!(store.add_key(&other).await, TAKEN);
    }
    let second = KeyRecord { id: id(2), org: id(2), digest: [8; 32], ..one.clone() };
    store.add_key(&second).await.unwrap();
    assert_eq!(store.key([8; 32]).await, Ok(Some(second)));
    assert_eq!(store.key(one.digest).await, Ok(Some(one)));
}

async fn a_revoked_key_stays_revoked(bed: Bed) {
    let (store, one) = (&bed.store, key(&bed));
    store.add_key(&one).await.unwrap();
    let at = Timestamp::from_millis(5);
    assert_eq!(store.revoke_key(one.id, at).await, Ok(true));
    assert_eq!(store.revoke_key(one.id, Timestamp::from_millis(6)).await, Ok(true));
    assert_eq!(store.revoke_key(id(9), at).await, Ok(false));
    store.add_key(&one).await.unwrap();
    let revoked = KeyRecord { revoked_at: Some(at), ..one.clone() };
    assert_eq!(store.key(one.digest).await, Ok(Some(revoked)));
}

async fn a_node_is_added_once(bed: Bed) {
    let (store, one) = (&bed.store, node());
    store.add_node(&one).await.unwrap();
    store.add_node(&one).await.unwrap();
    let moved = NodeRecord { address: "127.0.0.1:10010".to_owned(), ..one.clone() };
    let namesake = NodeRecord { id: NODES[1], identity: PublicKey([3; 33]), ..one.clone() };
    let same_identity = NodeRecord { id: NODES[1], name: "bob".to_owned(), ..one.clone() };
    let other_macaroon = NodeRecord { macaroon: vec![9], ..one.clone() };
    for other in [moved, namesake, same_identity, other_macaroon] {
        assert_eq!(store.add_node(&other).await, TAKEN);
    }
    let second = NodeRecord {
        id: NODES[1],
        owner: Some(id(1)),
        name: "bob".to_owned(),
        certificate: None,
        identity: PublicKey([3; 33]),
        network: Network::Mainnet,
        ..one.clone()
    };
    store.add_node(&second).await.unwrap();
    assert_eq!(store.nodes().await, Ok(vec![one, second]));
}

async fn rule_31_a_macaroon_comes_back_from_its_seal(bed: Bed) {
    bed.store.add_node(&node()).await.unwrap();
    let nodes = bed.store.nodes().await.unwrap();
    assert_eq!(nodes[0].macaroon, node().macaroon);
    assert!(!format!("{nodes:?}").contains("255"));
}

async fn a_stopped_node_stays_stopped(bed: Bed) {
    let (store, one) = (&bed.store, node());
    store.add_node(&one).await.unwrap();
    assert_eq!(store.stop_node(one.id, Some("contradiction")).await, Ok(true));
    assert_eq!(store.stop_node(NODES[2], Some("contradiction")).await, Ok(false));
    store.add_node(&one).await.unwrap();
    let stopped = store.nodes().await.unwrap().remove(0).stopped;
    assert_eq!(stopped.as_deref(), Some("contradiction"));
    assert_eq!(store.stop_node(one.id, None).await, Ok(true));
    assert_eq!(store.nodes().await, Ok(vec![one]));
}
