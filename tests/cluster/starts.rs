//! Pods that cannot be meant, and gateways before there is anything behind them.

use tests::{
    cli,
    plain_http::get,
    postgres::Postgres,
    world::{Setup, World},
};

use crate::bed::{Bed, SECRET};

#[tokio::test(flavor = "multi_thread")]
async fn two_pods_with_one_name() {
    let mut bed = Bed::start(1).await;
    let said = bed.engine("engine-1", "another folder").await.err().expect("it does not start");
    assert!(said.contains("a pod named engine-1 is alive"), "{said}");
    assert!(bed.process("engine-1").ended().is_none());
    bed.settled().await;
}

/// A gateway may start before its engines.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_is_not_ready_before_there_is_an_engine() {
    let postgres = Postgres::start();
    let flags = ["--metrics-listen", "127.0.0.1:0"].map(str::to_owned).to_vec();
    let setup = Setup {
        postgres: Some(postgres.url()),
        gateway_of: Some(SECRET.to_owned()),
        flags,
        ..Setup::default()
    };
    let world = World::without_network(setup).await.expect("it starts");
    let address = world.ready["metrics_address"].as_str().expect("it says where it is");
    let (status, body) = get(address, "/readyz").await.expect("it can be watched");
    assert_eq!(status, 503, "{body}");
    assert!(body.contains(r#""engines":"none is known""#), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_on_another_network_than_its_nodes() {
    let bed = Bed::start(1).await;
    let folder = tempfile::tempdir().expect("there is room");
    let data = folder.path().display().to_string();
    let seal_keys = format!("test:{}", "5a".repeat(32));
    let url = bed.url();
    let environment = [
        ("SWITCHYARD_STORE", url.as_str()),
        ("SWITCHYARD_CLUSTER_SECRET", SECRET),
        ("SWITCHYARD_SEAL_KEYS", &seal_keys),
    ];
    for (role, ports) in [
        ("gateway", &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"][..]),
        ("engine", &["--engine-listen", "127.0.0.1:0"]),
    ] {
        let words = [&[role, "--network", "mainnet", "--data", &data], ports].concat();
        let said = cli::run(&words, &environment).await;
        assert_eq!(said.code, 2, "{said:?}");
        assert!(
            said.stderr.contains("is on regtest, and this was started for mainnet"),
            "{said:?}"
        );
    }
}
