use domain::{Network, NodeId, PublicKey};
use lightning_node::{Lnd, Settings, clock_offset, register::inspect};
use ports::{
    LightningNode,
    lightning::NodeError,
    operations::{NewNode, RegisterError},
};
use uuid::Uuid;

use crate::world::{World, now, unhex};

fn node(world: &World, name: &str) -> NewNode {
    let Settings { address, certificate, macaroon, .. } = world.settings(name);
    NewNode {
        id: NodeId::new(Uuid::nil()),
        owner: None,
        name: name.to_owned(),
        address,
        certificate,
        macaroon,
        identity: None,
    }
}

async fn refused(new: &NewNode) -> RegisterError {
    inspect(new, Network::Regtest, now).await.unwrap_err()
}

#[tokio::test]
async fn a_node_as_it_should_be() {
    let world = World::start().await;
    let new = node(&world, "pool-1");
    let record = inspect(&new, Network::Regtest, now).await.unwrap();
    let identity = world.endpoint("pool-1").identity_pubkey.clone();
    assert_eq!((record.identity.to_string(), record.network), (identity, Network::Regtest));
    assert_eq!((record.address.as_str(), record.stopped), (new.address.as_str(), None));
    let sure = NewNode { identity: Some(record.identity), ..node(&world, "pool-1") };
    inspect(&sure, Network::Regtest, now).await.unwrap();
    world.sim.stop().await;
}

#[tokio::test]
async fn what_the_paper_says_wrong() {
    let world = World::start().await;
    let good = || node(&world, "pool-1");
    let no_port = NewNode { address: "localhost".to_owned(), ..good() };
    assert_eq!(refused(&no_port).await.code(), "node_address_invalid");
    let no_pem = NewNode { certificate: Some("hello".to_owned()), ..good() };
    assert_eq!(refused(&no_pem).await.code(), "node_certificate_invalid");
    let no_macaroon = NewNode { macaroon: b"hello".to_vec(), ..good() };
    assert_eq!(refused(&no_macaroon).await.code(), "macaroon_invalid");

    let weak = NewNode { macaroon: unhex(&world.endpoint("pool-1").observe.hex), ..good() };
    let RegisterError::Permissions { missing, too_much, bake } = refused(&weak).await else {
        panic!("its permissions are refused")
    };
    assert!(missing.contains(&"uri:/routerrpc.Router/SendPaymentV2".to_owned()));
    assert!(too_much.is_empty() && bake.contains("SendPaymentV2"));
    let strong = NewNode { macaroon: unhex(&world.endpoint("pool-1").admin.hex), ..good() };
    let RegisterError::Permissions { missing, too_much, .. } = refused(&strong).await else {
        panic!("its permissions are refused")
    };
    assert!(missing.is_empty() && too_much.contains(&"macaroon:generate".to_owned()));
    world.sim.stop().await;
}

#[tokio::test]
async fn what_the_node_says_otherwise() {
    let world = World::start().await;
    let good = || node(&world, "pool-1");
    let other = node(&world, "pool-2");

    let pinned = NewNode { certificate: other.certificate.clone(), ..good() };
    assert_eq!(refused(&pinned).await, RegisterError::WrongCertificate);
    let public = NewNode { certificate: None, ..good() };
    let why = refused(&public).await;
    assert_eq!(why.code(), "node_unreachable");
    assert!(why.to_string().contains("certificate"), "{why}");
    let pins = [good().certificate.unwrap(), other.certificate.clone().unwrap()].concat();
    let rotating = NewNode { certificate: Some(pins), ..good() };
    inspect(&rotating, Network::Regtest, now).await.unwrap();

    let foreign = NewNode { macaroon: other.macaroon.clone(), ..good() };
    let denied = refused(&foreign).await;
    assert!(matches!(denied, RegisterError::Denied(_)), "{denied:?}");

    let elsewhere = inspect(&good(), Network::Mainnet, now).await.unwrap_err();
    let (expected, found) = (Network::Mainnet, "regtest".to_owned());
    assert_eq!(elsewhere, RegisterError::WrongNetwork { expected, found });

    let expected = PublicKey([2; 33]);
    let somebody = NewNode { identity: Some(expected), ..good() };
    let wrong = refused(&somebody).await;
    assert!(matches!(wrong, RegisterError::WrongIdentity { expected: e, .. } if e == expected));

    world.fault("pool-1", "node_down").await;
    assert_eq!(refused(&good()).await.code(), "node_unreachable");
    world.sim.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_off_is_measured() {
    let world = World::start().await;
    let pool = world.lnd("pool-1");
    for off_ms in [0, 700, -700, 1_500, -90_000, 86_400_000] {
        world.clear("pool-1").await;
        world.fault("pool-1", &format!("clock:{off_ms}")).await;
        let found = clock_offset(&pool, now).await.unwrap();
        assert!((found - off_ms).abs() < 100, "{off_ms} {found}");
        let judged = inspect(&node(&world, "pool-1"), Network::Regtest, now).await;
        if off_ms.abs() <= 1_000 {
            judged.unwrap();
            continue;
        }
        let Err(RegisterError::ClockOff(told)) = judged else { panic!("{off_ms} {judged:?}") };
        assert!((told - off_ms).abs() < 100, "{off_ms} {told}");
    }
    world.sim.stop().await;
}

/// A registered node whose certificate or macaroon is changed afterwards.
#[tokio::test]
async fn rule_17_an_adapter_with_the_wrong_papers_gets_nothing() {
    let world = World::start().await;
    let other = world.settings("pool-2");
    let pinned = Settings { certificate: other.certificate, ..world.settings("pool-1") };
    let status = Lnd::connect(&pinned).unwrap().status().await;
    assert!(matches!(status, Err(NodeError::Unreachable(_))), "{status:?}");
    let foreign = Settings { macaroon: other.macaroon, ..world.settings("pool-1") };
    let foreign = Lnd::connect(&foreign).unwrap();
    assert!(matches!(foreign.status().await, Err(NodeError::Denied(_))));
    let lapsed = foreign.has_lapsed(now().plus_seconds(-60)).await;
    assert!(matches!(lapsed, Err(NodeError::Denied(_))), "not to be taken for a lapse: {lapsed:?}");
    world.sim.stop().await;
}
