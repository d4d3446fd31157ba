//! A program of ours as a process of its own, so that its CPU time can be told from the load
//! generator's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Outcome;

const SAYS_WITHIN: Duration = Duration::from_secs(30);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A running program; it ends when this is dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it says goes to `<name>.log` in the folder.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> Outcome<Process> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        Ok(Process { child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the program says `text` and returns the rest of that line.
    pub(crate) fn says(&mut self, text: &str) -> Outcome<String> {
        let started = Instant::now();
        loop {
            let said = fs::read_to_string(&self.log)?;
            // The last line may be half written.
            let whole = said.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
            if let Some((_, rest)) = whole.lines().find_map(|line| line.split_once(text)) {
                return Ok(rest.trim().to_owned());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{}: {status}: {said}", self.log.display()).into());
            }
            if started.elapsed() > SAYS_WITHIN {
                return Err(format!("{}: never says {text:?}: {said}", self.log.display()).into());
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may have ended by itself.
        let _ = self.child.wait();
    }
}
