//! Runs the binary, with nothing of ours in its environment.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

/// A command that answers and ends.
pub(crate) struct Call(Command);

pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn switchyard(args: &[&str]) -> Call {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SWITCHYARD_")) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    Call(command)
}

impl Call {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Call {
        self.0.env(name, value);
        self
    }

    pub(crate) fn run(mut self) -> Run {
        let output = self.0.output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Its answer; of many, the last.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.stdout.lines().last().unwrap_or_default())
            .unwrap_or_else(|_| panic!("no JSON: {:?} {:?}", self.stdout, self.stderr))
    }
}

/// A process that serves; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) ready: Value,
}

impl Process {
    /// Starts it and waits until it has said where it is.
    pub(crate) fn start(args: &[&str], ready_file: &Path) -> Process {
        const STARTS_WITHIN: Duration = Duration::from_secs(60);
        let mut child = switchyard(args).0.stdout(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        loop {
            if let Some(ready) = ready_of(ready_file, child.id()) {
                return Process { child, ready };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{args:?} ended: {status}");
            }
            assert!(began.elapsed() < STARTS_WITHIN, "{args:?} is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it and waits for its answer on stdout instead.
    pub(crate) fn start_answering(args: &[&str]) -> Process {
        let mut child = switchyard(args).0.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{args:?}: {line:?}"));
        Process { child, ready }
    }

    /// As a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file that an earlier life left behind does not count.
fn ready_of(file: &Path, pid: u32) -> Option<Value> {
    let ready: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    (ready["pid"] == pid).then_some(ready)
}
