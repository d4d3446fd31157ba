//! Taking in a node from the command line: what is wrong is named, and what helps is printed.

use std::fs;
use std::time::{Duration, SystemTime};

use tests::cli::Said;

use super::{HOUR, House, completed, told};
use crate::harness::{Node, good_until, unhex};

/// `switchyard node add … --pool` with these files.
async fn add(house: &House, node: &Node, cert_pem: &str, macaroon_hex: &str) -> Said {
    let folder = house.world.folder();
    let (certificate, macaroon) = (folder.join("tls.cert"), folder.join("node.macaroon"));
    fs::write(&certificate, cert_pem).unwrap();
    fs::write(&macaroon, unhex(macaroon_hex)).unwrap();
    let (certificate, macaroon) = (certificate.to_str().unwrap(), macaroon.to_str().unwrap());
    let words = [
        "node",
        "add",
        node.name(),
        node.address(),
        "--pool",
        "--certificate",
        certificate,
        "--macaroon",
        macaroon,
    ];
    house.switchyard(&words).await
}

#[track_caller]
fn refused<'a>(answer: &'a Said, exit: i32, code: &str) -> &'a str {
    let error = &answer.document["error"];
    assert_eq!((answer.code, error["code"].as_str()), (exit, Some(code)), "{error}");
    error["message"].as_str().unwrap()
}

/// Does what the command would do. There is no lncli here, which only passes these words on.
async fn bake(node: &Node, command: &str) -> String {
    let mut words = command.split_whitespace();
    assert_eq!((words.next(), words.next()), (Some("lncli"), Some("bakemacaroon")));
    let (mut root_key_id, mut permissions) = (0, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "--save_to" => assert!(words.next().unwrap().ends_with(".macaroon")),
            "--root_key_id" => root_key_id = words.next().unwrap().parse().unwrap(),
            permission => permissions.push(permission),
        }
    }
    node.bake_under(root_key_id, &permissions).await
}

#[test]
fn the_command_in_the_answer_makes_a_macaroon_that_fits() {
    told(async |house| {
        let net = house.net;
        let (node, pem) = (&net.pool, &net.pool.endpoint().cert_pem);

        let weak = node.bake(&["/lnrpc.Lightning/GetInfo"]).await;
        let weak = add(house, node, pem, &weak).await;
        let message = refused(&weak, 2, "macaroon_permissions");
        assert!(message.contains("lacks uri:/lnrpc.Lightning/ListChannels"), "{message}");
        assert!(!message.contains("lacks uri:/lnrpc.Lightning/GetInfo"), "{message}");

        let strong = add(house, node, pem, node.admin_macaroon()).await;
        let message = refused(&strong, 2, "macaroon_permissions");
        assert!(message.contains("offchain:write"), "{message}");
        let (_, command) = message.split_once("make one with: ").unwrap();

        let added = add(house, node, pem, &bake(node, command).await).await;
        assert_eq!(added.code, 0, "{added:?}");
        assert_eq!(added.document["identity"], node.identity());
        house.becomes_usable(node).await;

        // With exactly that, everything works.
        let customer = house.customer("first").await;
        let invoice = net.far.add_invoice(Some(1_000_000), "under it", HOUR).await;
        completed(&house.pays(&customer, &invoice.bolt11).await, 1_000_000);
        let asked = house.asks(&customer, Some(1_000_000)).await;
        net.far.pay(&asked.invoice).await;
        house.ended(&customer, &asked.id).await;
    });
}

#[test]
fn a_node_that_is_not_the_one_is_refused() {
    told(async |house| {
        let net = house.net;
        let (node, pem) = (&net.pool, &net.pool.endpoint().cert_pem);
        let all: Vec<_> = lightning_node::macaroon::needed().collect();
        let good = node.bake(&all).await;

        let other = &net.far.endpoint().cert_pem;
        refused(&add(house, node, other, &good).await, 2, "node_certificate_mismatch");
        // In order by itself, but another node's.
        let foreign = net.far.bake(&all).await;
        refused(&add(house, node, pem, &foreign).await, 2, "macaroon_denied");

        // One that ends by itself could not be told from a request that is over.
        let ends = good_until(&good, SystemTime::now() + Duration::from_secs(3_600));
        let message = add(house, node, pem, &ends).await;
        let message = refused(&message, 2, "macaroon_invalid");
        assert!(message.contains("time-before"), "{message}");

        let foreigner = net.foreigner().await;
        let macaroon = foreigner.bake(&all).await;
        let pem = &foreigner.endpoint().cert_pem;
        let message = add(house, &foreigner, pem, &macaroon).await;
        let message = refused(&message, 2, "node_wrong_network");
        assert!(message.contains("simnet") && message.contains("regtest"), "{message}");
        assert_eq!(
            house.switchyard(&["node", "list"]).await.document["nodes"],
            serde_json::json!([])
        );
    });
}
