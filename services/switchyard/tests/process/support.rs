//! Runs the binary, with nothing of ours in its environment.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read},
    path::Path,
    process::{Child, Command, Output, Stdio},
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
        Run::of(self.0.output().unwrap())
    }

    /// Onto a disk that is full.
    pub(crate) fn run_unread(mut self) -> Run {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut child = self.0.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        Run { code: child.wait().unwrap().code().unwrap(), stdout: String::new(), stderr }
    }
}

/// A command that is still waiting for something, with what it has said so far.
pub(crate) struct Waiting {
    child: Child,
    pub(crate) line: String,
}

impl Call {
    /// Starts it and waits for its first line on stdout.
    pub(crate) fn until_it_answers(mut self) -> Waiting {
        let mut child = self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let line = first_line(child.stdout.as_mut().unwrap());
        Waiting { child, line }
    }

    /// Starts it and waits for its first line on stderr.
    pub(crate) fn until_it_says(mut self) -> Waiting {
        let mut child = self.0.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let line = first_line(child.stderr.as_mut().unwrap());
        Waiting { child, line }
    }
}

/// Byte by byte: the rest stays where it is.
fn first_line(from: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while from.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

impl Waiting {
    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    }

    /// What it said after its first line, and how it ended.
    pub(crate) fn end(self) -> Run {
        Run::of(self.child.wait_with_output().unwrap())
    }
}

impl Run {
    fn of(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

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

    /// Starts it in a folder and waits for its answer on stdout instead.
    pub(crate) fn start_answering(args: &[&str], folder: &Path) -> Process {
        let mut command = switchyard(args).0;
        let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().unwrap();
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
