//! Nodes that are not what was said of them: none is stored, and the answer says what to mend.

use std::process::Command;

use domain::ErrorClass::{self, Conflict, Invalid, Rejected, Unavailable};
use proto::admin::v1::{
    CreditPool, RegisterNodeRequest,
    register_node_request::{Owner, Trust},
};
use serde_json::Value;
use tests::{
    process::{Process, switchyard},
    world::papers,
};

use crate::bed::{Bed, refused, said_no};

/// Good papers of a node of the network, to be made bad in one thing.
fn good(bed: &Bed, name: &str) -> RegisterNodeRequest {
    of(bed.world.node(name))
}

fn of(node: &Value) -> RegisterNodeRequest {
    papers(node, Owner::CreditPool(CreditPool {}))
}

fn macaroon(bed: &Bed, name: &str, field: &str) -> Vec<u8> {
    let path = bed.world.node(name)[field].as_str().expect("a path");
    std::fs::read(path).expect("the node has it")
}

/// Refused on either way in; answers with the message.
async fn refuses(bed: &Bed, papers: RegisterNodeRequest, class: ErrorClass, code: &str) -> String {
    let file = |name: &str, bytes: &[u8]| {
        let path = bed.world.folder().join(name);
        std::fs::write(&path, bytes).expect("the folder takes files");
        path.display().to_string()
    };
    let Some(Trust::CertificatePem(pem)) = &papers.trust else {
        panic!("every node here is pinned")
    };
    let (pem, macaroon) = (file("tls.cert", pem.as_bytes()), file("macaroon", &papers.macaroon));
    let words = [
        ["node", "add", &papers.name, &papers.address, "--pool"],
        ["--certificate", &pem, "--macaroon", &macaroon, "--id"],
    ];
    let words = [&words.concat()[..], &[&papers.id, "--identity", &papers.expected_identity]];
    let said = bed.world.cli("", &words.concat()).await;
    said_no(&said, class, code);
    refused(bed.world.nodes().register(papers).await, class, code)
}

#[tokio::test]
async fn wrong_certificate() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut papers = good(&bed, "customer");
    papers.trust = good(&bed, "pool-1").trust;
    let says = refuses(&bed, papers, Invalid, "node_certificate_mismatch").await;
    assert!(says.contains("another certificate"), "{says}");
    let mut papers = good(&bed, "customer");
    papers.trust = Some(Trust::CertificatePem("not PEM".to_owned()));
    refuses(&bed, papers, Invalid, "node_certificate_invalid").await;
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn wrong_macaroon() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut papers = good(&bed, "customer");
    papers.macaroon = macaroon(&bed, "pool-1", "macaroon_file");
    refuses(&bed, papers, Invalid, "macaroon_denied").await;
    let mut papers = good(&bed, "customer");
    papers.macaroon = b"not a macaroon".to_vec();
    refuses(&bed, papers, Invalid, "macaroon_invalid").await;
    bed.unchanged(&before).await;
}

/// The message ends with the command that makes a macaroon which fits.
#[track_caller]
fn says_how_to_bake(says: &str) {
    let (_, bake) = says.split_once("; make one with: ").expect("it says how to make one");
    assert!(bake.starts_with("lncli bakemacaroon "), "{bake}");
    for call in ["SendPaymentV2", "TrackPaymentV2", "GetInfo", "SubscribeInvoices"] {
        assert!(bake.contains(call), "{call}: {bake}");
    }
}

#[tokio::test]
async fn weak_macaroon() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut papers = good(&bed, "customer");
    papers.macaroon = macaroon(&bed, "customer", "observe_macaroon_file");
    let says = refuses(&bed, papers, Invalid, "macaroon_permissions").await;
    assert!(says.contains("lacks uri:/"), "{says}");
    assert!(says.contains("uri:/routerrpc.Router/SendPaymentV2") && !says.contains("too much"));
    says_how_to_bake(&says);
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn too_strong_macaroon() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut papers = good(&bed, "customer");
    papers.macaroon = macaroon(&bed, "customer", "admin_macaroon_file");
    let says = refuses(&bed, papers, Invalid, "macaroon_permissions").await;
    assert!(says.contains("may too much: ") && says.contains("macaroon:generate"), "{says}");
    says_how_to_bake(&says);
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn node_of_another_network() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let data = bed.world.folder().join("mainnet");
    let mut command = Command::new(switchyard());
    command.args(["sim", "run", "--network", "mainnet", "--data"]).arg(&data);
    let started =
        Process::start("mainnet", command, bed.world.folder(), &data.join("ready.json")).await;
    let (_mainnet, ready) = started.expect("a second network starts");
    let says = refuses(&bed, of(&ready["nodes"][0]), Invalid, "node_wrong_network").await;
    assert_eq!(says, "the node is on mainnet, this installation is on regtest");
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn node_of_another_identity() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut papers = good(&bed, "customer");
    let (found, expected) = (papers.expected_identity, good(&bed, "hub").expected_identity);
    papers.expected_identity = expected.clone();
    let says = refuses(&bed, papers, Invalid, "node_wrong_identity").await;
    assert_eq!(says, format!("the node is {found}, not {expected}"));
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn node_with_a_clock_two_seconds_off() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    for fault in ["clock:2000", "clock:-2000"] {
        bed.fault("customer", fault).await;
        let says = refuses(&bed, good(&bed, "customer"), Rejected, "node_clock_off").await;
        assert!(says.contains("ms ahead of ours"), "{says}");
        bed.mend("customer").await;
    }
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn node_unreachable() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    bed.fault("customer", "node_down").await;
    refuses(&bed, good(&bed, "customer"), Unavailable, "node_unreachable").await;
    let mut papers = good(&bed, "customer");
    papers.address = "localhost".to_owned();
    refuses(&bed, papers, Invalid, "node_address_invalid").await;
    bed.unchanged(&before).await;

    // Certainly not done, so the same request may be repeated.
    bed.mend("customer").await;
    let papers = good(&bed, "customer");
    for _ in 0..2 {
        bed.world.nodes().register(papers.clone()).await.expect("nothing is wrong now");
    }
    let mut other = good(&bed, "customer");
    other.name = "another name".to_owned();
    refuses(&bed, other, Conflict, "node_exists").await;
}
