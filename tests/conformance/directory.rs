//! Organisations, API keys and nodes.

use domain::{Network, Permission, PublicKey, Timestamp};
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
        case(what_a_key_may_do_is_kept),
        case(keys_are_listed_by_organisation),
        case(the_last_use_of_a_key_never_moves_back),
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
        permissions: Permission::USUAL.into(),
        expires_at: None,
        valid_ips: Vec::new(),
        created_at: bed.clock.now(),
        updated_at: bed.clock.now(),
        revoked_at: None,
        last_used_at: None,
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
    assert_eq!(store.key([8; 32]).await, Ok(Some(second.clone())));
    assert_eq!(store.key(one.digest).await, Ok(Some(one.clone())));
    let mut of_three = store.keys_of(&[one.digest, [8; 32], [9; 32]]).await.unwrap();
    of_three.sort_by_key(|key| key.id);
    assert_eq!(of_three, [one, second]);
    assert_eq!(store.keys_of(&[]).await, Ok(Vec::new()));
}

async fn a_revoked_key_stays_revoked(bed: Bed) {
    let (store, one) = (&bed.store, key(&bed));
    store.add_key(&one).await.unwrap();
    let at = Timestamp::from_millis(5);
    assert_eq!(store.revoke_key(one.id, at).await, Ok(true));
    assert_eq!(store.revoke_key(one.id, Timestamp::from_millis(6)).await, Ok(true));
    assert_eq!(store.revoke_key(id(9), at).await, Ok(false));
    store.add_key(&one).await.unwrap();
    let revoked = KeyRecord { revoked_at: Some(at), updated_at: at, ..one.clone() };
    assert_eq!(store.key(one.digest).await, Ok(Some(revoked)));
}

async fn what_a_key_may_do_is_kept(bed: Bed) {
    let store = &bed.store;
    let mut all = Vec::new();
    // Every set of permissions there is.
    for number in 0..16_u8 {
        let bit = |place: &usize| number & (1 << place) != 0;
        let places = (0..Permission::ALL.len()).filter(bit);
        all.push(KeyRecord {
            id: id(u128::from(number)),
            name: format!("key {number}"),
            digest: [number; 32],
            permissions: places.map(|place| Permission::ALL[place]).collect(),
            expires_at: Some(Timestamp::from_millis(7 + i64::from(number))),
            valid_ips: ["10.0.0.0/8", "::1/128", "2001:db8::/32"]
                .map(|it| it.parse().unwrap())
                .to_vec(),
            ..key(&bed)
        });
    }
    for one in &all {
        store.add_key(one).await.unwrap();
        store.add_key(one).await.unwrap();
        assert_eq!(store.key(one.digest).await, Ok(Some(one.clone())));
    }
    let one = &all[3];
    let others = [
        KeyRecord { permissions: Permission::ALL.into(), ..one.clone() },
        KeyRecord { expires_at: None, ..one.clone() },
        KeyRecord { valid_ips: Vec::new(), ..one.clone() },
    ];
    for other in others {
        assert_eq!(store.add_key(&other).await, TAKEN);
    }
}

async fn keys_are_listed_by_organisation(bed: Bed) {
    let (store, one) = (&bed.store, key(&bed));
    let second = KeyRecord { id: id(2), digest: [8; 32], name: "b".to_owned(), ..one.clone() };
    let theirs = KeyRecord { id: id(3), org: id(2), digest: [9; 32], ..one.clone() };
    for key in [&second, &theirs, &one] {
        store.add_key(key).await.unwrap();
    }
    store.revoke_key(second.id, Timestamp::from_millis(5)).await.unwrap();
    let at = Timestamp::from_millis(5);
    let revoked = KeyRecord { revoked_at: Some(at), updated_at: at, ..second };
    assert_eq!(store.keys(id(1)).await, Ok(vec![one, revoked]));
    assert_eq!(store.keys(id(2)).await, Ok(vec![theirs]));
    assert_eq!(store.keys(id(9)).await, Ok(Vec::new()));
}

async fn the_last_use_of_a_key_never_moves_back(bed: Bed) {
    let (store, one) = (&bed.store, key(&bed));
    let second = KeyRecord { id: id(2), digest: [8; 32], name: "b".to_owned(), ..one.clone() };
    store.add_key(&one).await.unwrap();
    store.add_key(&second).await.unwrap();
    let at = Timestamp::from_millis;
    let used = async || {
        let keys = store.keys(id(1)).await.unwrap();
        keys.iter().map(|key| key.last_used_at.map(Timestamp::millis)).collect::<Vec<_>>()
    };
    store.touch_keys(&[]).await.unwrap();
    assert_eq!(used().await, [None, None]);
    store.touch_keys(&[(one.id, at(3)), (one.id, at(7)), (one.id, at(5))]).await.unwrap();
    assert_eq!(used().await, [Some(7), None]);
    store.touch_keys(&[(id(9), at(9)), (second.id, at(1)), (one.id, at(6))]).await.unwrap();
    assert_eq!(used().await, [Some(7), Some(1)]);
    // Using a key is no change of it, and a repeat of its making does not forget the use.
    store.add_key(&one).await.unwrap();
    let kept = KeyRecord { last_used_at: Some(at(7)), ..one.clone() };
    assert_eq!(store.key(one.digest).await, Ok(Some(kept)));
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
