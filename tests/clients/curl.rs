//! The line for curl that a demonstration prints: pasted into a shell, it pays.

use std::process::Stdio;

use serde_json::Value;
use tests::process::switchyard;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

async fn paste(line: &str) -> Value {
    let pasted = Command::new("sh").args(["-c", line]).current_dir("/").output().await;
    let output = pasted.expect("there is a shell");
    let told = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(&told).unwrap_or_else(|_| panic!("no JSON: {told} {complained}"))
}

#[tokio::test]
async fn the_printed_line_for_curl_pays_once_however_often_it_is_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(switchyard());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHYARD_")) {
        demo.env_remove(name);
    }
    demo.args(["--json", "demo", "--data"]).arg(folder.path().join("data"));
    let mut demo = demo.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let said = lines.next_line().await.unwrap().expect("it says how to pay");
    let guide: Value = serde_json::from_str(&said).unwrap();

    let line = guide["first_payment_by_rest"].as_str().unwrap();
    let paid = paste(line).await;
    assert_eq!(paid["status"], "completed", "{paid}");
    assert_eq!(paste(line).await, paid);
    // A demonstration that is told to stop takes its network with it.
    let pid = demo.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(demo.wait().await.unwrap().success());
}
