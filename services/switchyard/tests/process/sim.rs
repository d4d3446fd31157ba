//! The simulated network as a process: it comes back as it was, however it went down.

use std::path::Path;

use serde_json::Value;

use crate::support::{Process, Run, switchyard};

fn start(data: &Path) -> Process {
    let ready = data.join("ready.json");
    Process::start(&["sim", "run", "--data", data.to_str().unwrap()], &ready)
}

fn sim(data: &Path, args: &[&str]) -> Run {
    let mut all = vec!["--json", "sim", "--sim", data.to_str().unwrap()];
    all.extend(args);
    switchyard(&all).run()
}

fn identities(ready: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes = ready["nodes"].as_array().unwrap();
    let identity =
        |node: &Value| (text(&node["name"]), text(&node["identity"]), text(&node["address"]));
    nodes.iter().map(identity).collect()
}

#[test]
fn a_killed_network_comes_back_with_the_same_nodes_and_books() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let network = start(data);
    let first = identities(&network.ready);
    assert!(first.len() >= 5);

    let invoice = sim(data, &["invoice", "alice", "--amount-msat", "1000", "--description", "tea"]);
    assert_eq!(invoice.code, 0, "{}", invoice.stderr);
    let invoice = invoice.json();
    let paid = sim(data, &["pay", "bob", invoice["invoice"].as_str().unwrap()]);
    assert_eq!(paid.code, 0, "{}", paid.stderr);
    assert_eq!(paid.json()["payment"]["status"], "succeeded");
    network.kill();

    let network = start(data);
    assert_eq!(identities(&network.ready), first);
    let hash = invoice["payment_hash"].as_str().unwrap();
    let known = sim(data, &["lookup", "alice", hash]).json();
    assert_eq!(known["invoice"]["state"], "settled");
    assert_eq!(known["invoice"]["paid_msat"], 1000);
    assert_eq!(sim(data, &["settlements"]).json()["settlements"][0]["times"], 1);

    assert_eq!(network.stop(), Some(0));
    assert!(!data.join("ready.json").exists());
    assert_eq!(sim(data, &["nodes"]).code, 4);
}

#[test]
fn faults_are_called_up_by_name_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    let network = start(data);
    let invoice = || {
        let made = sim(data, &["invoice", "alice", "--amount-msat", "1000"]).json();
        made["invoice"].as_str().unwrap().to_owned()
    };
    assert_eq!(sim(data, &["fault", "bob", "no_route"]).code, 0);
    let failed = sim(data, &["pay", "bob", &invoice()]);
    assert_eq!((failed.code, &failed.json()["payment"]["failure_reason"]), (1, &"no_route".into()));

    assert_eq!(sim(data, &["clear", "bob"]).code, 0);
    assert_eq!(sim(data, &["fault", "bob", "stuck", "--times", "1"]).code, 0);
    let stuck = sim(data, &["pay", "bob", &invoice(), "--wait-seconds", "1"]);
    assert_eq!(stuck.code, 3, "not known yet: {}", stuck.stdout);
    assert_eq!(sim(data, &["restart", "all", "--kill"]).code, 0);
    assert_eq!(sim(data, &["pay", "bob", &invoice()]).code, 0);

    assert_eq!(sim(data, &["fault", "bob", "bogus"]).code, 2);
    assert_eq!(sim(data, &["fault", "nobody", "stuck"]).code, 5);
    assert_eq!(sim(data, &["lookup", "alice", &"00".repeat(32)]).code, 5);
    drop(network);
}

#[test]
fn a_data_folder_has_one_network() {
    let folder = tempfile::tempdir().unwrap();
    let network = start(folder.path());
    let second = switchyard(&["sim", "run", "--data", folder.path().to_str().unwrap()]).run();
    assert_eq!(second.code, 9);
    assert_eq!(second.stderr.lines().count(), 1, "{}", second.stderr);
    assert!(folder.path().join("ready.json").exists(), "the first one's file is left alone");
    drop(network);
}
