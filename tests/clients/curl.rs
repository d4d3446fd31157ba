//! curl: the line that a demonstration prints, which pays when it is pasted into a shell, and refusals that come
//! before all of a body was sent.

use std::process::Stdio;

use serde_json::Value;
use tests::process::switchyard;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::bed::Bed;

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

/// A reset after the answer would be taken for a failure, once in a few times.
#[tokio::test]
async fn a_refusal_is_heard_however_much_of_the_body_is_still_to_come() {
    let bed = Bed::make().await;
    let address = bed.world.ready["address"].as_str().unwrap();
    let merchant = &bed.merchant;
    let (org, environment) = (&merchant.org, &merchant.environment);
    let url =
        format!("http://{address}/v1/organizations/{org}/environments/{environment}/payments");
    let body = bed.world.folder().join("body");
    let nobody: &[String] = &[];
    let known = [format!("x-api-key: {}", merchant.key)];
    for version in ["--http2-prior-knowledge", "--http1.1"] {
        for (bytes, headers, why) in [
            (200_000, nobody, "missing_credentials"),
            (1_000_000, nobody, "missing_credentials"),
            (1_000_000, &known[..], "payload_too_large"),
        ] {
            std::fs::write(&body, vec![b' '; bytes]).unwrap();
            for _ in 0..20 {
                let mut curl = Command::new("curl");
                curl.args([
                    "-sS",
                    version,
                    "-H",
                    "content-type: application/json",
                    "--data-binary",
                ]);
                curl.arg(format!("@{}", body.display()));
                curl.args(headers.iter().flat_map(|header| ["-H", header]));
                let heard = curl.arg(&url).output().await.expect("curl is there");
                let complained = String::from_utf8_lossy(&heard.stderr);
                assert!(heard.status.success(), "{version} {bytes} {why}: {complained}");
                let told: Value = serde_json::from_slice(&heard.stdout).unwrap();
                assert_eq!(told["error"]["type"], why, "{told}");
            }
        }
    }
}
