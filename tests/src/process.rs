//! The product as a process of its own: started, killed, started again.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long one that was asked to stop may take: it hands over and drains before.
pub const STOPS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// The binary under test: `SWITCHYARD_BIN`, or the one built into the same target folder.
pub fn switchyard() -> PathBuf {
    if let Some(path) = std::env::var_os("SWITCHYARD_BIN") {
        return path.into();
    }
    let own = std::env::current_exe().expect("a test knows its own path"); // …/deps/<test>-<hash>
    let built = own.ancestors().nth(2).map(|folder| folder.join("switchyard"));
    built.filter(|path| path.is_file()).expect("build it first: cargo build -p switchyard")
}

/// A running program that says in a file when it serves. Killed when dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program and waits for its ready file; answers with what that says. What the program
    /// itself says is added to `<name>.log` in the folder.
    ///
    /// # Errors
    ///
    /// The end of its log, if it ends before it serves, or does not serve within a minute.
    pub async fn start(
        name: &str,
        mut command: Command,
        folder: &Path,
        ready_file: &Path,
    ) -> Result<(Process, Value), String> {
        // One of an earlier life would tell of ports that are closed.
        let _ = std::fs::remove_file(ready_file);
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log);
        let output = output.map_err(|error| error.to_string())?;
        let errors = output.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut process = Process { child, log };
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(ready_file).unwrap_or_default();
            if let Ok(ready) = serde_json::from_str(&text) {
                return Ok((process, ready));
            }
            if let Some(status) = process.ended() {
                return Err(format!("{name} ended with {status}: {}", process.said()));
            }
            if started.elapsed() > READY_WITHIN {
                return Err(format!("{name} does not serve: {}", process.said()));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its log.
    pub fn said(&self) -> String {
        let text = self.log();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Waits for it to end by itself. `None`: it has not.
    pub async fn ends_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        while started.elapsed() < time {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            sleep(LOOK_AGAIN).await;
        }
        None
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// It does not stop, or not well.
    pub async fn stop(&mut self, within: Duration) -> Result<(), String> {
        let pid = self.pid().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        told.map_err(|error| error.to_string())?;
        match self.ends_within(within).await {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(format!("{status}: {}", self.said())),
            None => Err(format!("it does not stop: {}", self.said())),
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // It may have ended by itself.
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
