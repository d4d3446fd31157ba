//! What `make run` starts: the line that it prints pays, and a new start finds everything there.

use std::{
    net::{TcpListener, TcpStream},
    process::Command,
};

use serde_json::Value;

use crate::support::{Process, switchyard};

/// Pastes the line into a shell somewhere, as the reader is told to; its exit code.
fn paste(demo: &Process) -> Option<i32> {
    let line = demo.ready["first_payment"].as_str().unwrap();
    Command::new("sh").args(["-c", line]).current_dir("/").output().unwrap().status.code()
}

#[test]
fn the_printed_line_pays_and_a_restart_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    // As in the guide: a data folder below the one where it is started.
    let args = ["--json", "demo", "--data", "data"];
    let start = || Process::start_answering(&args, folder.path());
    let call = |args: &[&str]| -> Value {
        let run = switchyard(&[&["--json"], args].concat()).env("SWITCHYARD_DATA", data).run();
        assert_eq!(run.code, 0, "{args:?}: {} {}", run.stdout, run.stderr);
        run.json()
    };

    let demo = start();
    let metrics = demo.ready["ready"]["metrics_address"].as_str().unwrap();
    assert!(TcpStream::connect(metrics).is_ok(), "somebody may watch");
    assert_eq!(paste(&demo), Some(0));
    assert_eq!(paste(&demo), Some(1), "the invoice is paid already");
    let house = demo.ready["demo"].clone();
    let payments = call(&["payment", "list"]);
    assert_eq!(payments["payments"][1]["status"], "completed");
    assert_eq!(demo.stop(), Some(0));
    assert_eq!(switchyard(&["sim", "nodes", "--data", data]).run().code, 4, "both have stopped");

    let demo = start();
    assert_eq!(demo.ready["demo"], house);
    assert_eq!(call(&["payment", "list"]), payments);
    demo.kill();

    // The network stops when the one that started it is gone.
    let demo = start();
    assert_eq!(call(&["payment", "list"]), payments);
    assert_eq!(paste(&demo), Some(0), "each start has an invoice to be paid");
    assert_eq!(call(&["node", "list"])["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(call(&["audit"])["clean"], true);
    assert_eq!(demo.stop(), Some(0));
}

#[test]
fn a_port_that_was_asked_for_is_not_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin-listen", "--metrics-listen"] {
        let run = switchyard(&["--json", "demo", "--data", data, flag, &address]).run();
        let code = run.json()["error"]["code"].clone();
        assert_eq!((run.code, code), (4, "address_unusable".into()), "{}", run.stderr);
        assert!(run.stderr.contains(&address), "{}", run.stderr);
    }
}
