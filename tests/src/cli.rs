//! The product's command line as a script has it: words in, an exit code and a document out.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::{process::switchyard, world::World};

/// How a command ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    /// Its answer, of many the last; `Null`: it gave none.
    pub document: Value,
    pub stderr: String,
}

/// Runs a command with `--json`, and with nothing of ours in its environment but what is given.
pub async fn run(words: &[&str], environment: &[(&str, &str)]) -> Said {
    run_binary(&switchyard(), words, environment).await
}

/// The same with a binary of the caller's.
pub async fn run_binary(binary: &Path, words: &[&str], environment: &[(&str, &str)]) -> Said {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHYARD_")) {
        command.env_remove(name);
    }
    command.arg("--json").args(words).envs(environment.iter().copied());
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let answer = said.lines().last().unwrap_or_default();
    Said {
        code: output.status.code().unwrap_or(-1),
        document: serde_json::from_str(answer).unwrap_or_default(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl World {
    /// A command to this world, of a customer with this key or of the operator.
    pub async fn cli(&self, key: &str, words: &[&str]) -> Said {
        let folder = |name: &str| self.folder().join(name).display().to_string();
        let (platform, network) = (folder("platform"), folder("network"));
        let environment = [
            ("SWITCHYARD_DATA", platform.as_str()),
            ("SWITCHYARD_SIM", network.as_str()),
            ("SWITCHYARD_KEY", key),
        ];
        run(words, &environment).await
    }
}
