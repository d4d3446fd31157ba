//! Processes of our own binary that this one starts and that do not outlive it.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bootstrap::{Exit, files};
use serde::Deserialize;
use tokio::{
    process::{ChildStdin, Command},
    time::{sleep, timeout},
};

use crate::{failure::Failure, ready};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is started, and how.
pub(crate) struct Spec {
    /// For people.
    pub(crate) what: String,
    /// Of its own; the ready file is in it.
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// All that it sees of ours.
    pub(crate) environment: Vec<(&'static str, String)>,
}

pub(crate) struct Child {
    spec: Spec,
    process: tokio::process::Child,
    /// The child stops when this closes. Kept apart, because waiting for a child closes its stdin.
    leash: Option<ChildStdin>,
}

#[derive(Deserialize)]
struct Anyone {
    pid: u32,
}

impl Child {
    /// Returns once it says where it is.
    pub(crate) async fn start(spec: Spec) -> Result<Child, Failure> {
        let (process, leash) = spec.spawn()?;
        let mut child = Child { spec, process, leash };
        child.wait_until_ready().await?;
        Ok(child)
    }

    /// Starts it again after its end.
    pub(crate) async fn start_again(&mut self) -> Result<(), Failure> {
        (self.process, self.leash) = self.spec.spawn()?;
        self.wait_until_ready().await
    }

    pub(crate) fn what(&self) -> &str {
        &self.spec.what
    }

    /// `None`: it has ended.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub(crate) fn ready_file(&self) -> PathBuf {
        self.spec.data.join(ready::FILE)
    }

    /// Whether it has said where it is; a file that an earlier life left behind does not count.
    pub(crate) fn is_ready(&self) -> bool {
        let ready: Result<Anyone, _> = ready::read(&self.ready_file(), &self.spec.what);
        ready.is_ok_and(|ready| self.process.id() == Some(ready.pid))
    }

    /// Returns when it has ended; how.
    pub(crate) async fn ended(&mut self) -> String {
        match self.process.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Closes its stdin, which tells it to stop, and gives it time to.
    pub(crate) async fn stop(mut self) {
        drop(self.leash.take());
        if timeout(STOPS_WITHIN, self.process.wait()).await.is_err() {
            tracing::warn!(what = self.spec.what, "it does not stop and is killed");
            drop(self.process.kill().await);
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let ready = async {
            while !self.is_ready() {
                sleep(LOOK_EVERY).await;
                match self.process.try_wait() {
                    // One of an earlier life, whose parent was killed, is still stopping.
                    Ok(Some(status))
                        if status.code() == Some(Exit::AlreadyRunning.code().into()) =>
                    {
                        (self.process, self.leash) = self.spec.spawn()?;
                    }
                    Ok(Some(status)) => return Err(self.failure(&format!("it ended: {status}"))),
                    Ok(None) | Err(_) => {}
                }
            }
            Ok(())
        };
        match timeout(STARTS_WITHIN, ready).await {
            Ok(ready) => ready,
            Err(_) => Err(self.failure("it does not get ready")),
        }
    }

    pub(crate) fn failure(&self, why: &str) -> Failure {
        let Spec { what, log, .. } = &self.spec;
        let message = format!("{what}: {why}; its log is {}", log.display());
        Failure::new(Exit::Unavailable, "child_unavailable", message)
    }
}

impl Spec {
    /// In a process group of its own, so that a Ctrl-C reaches its parent first.
    fn spawn(&self) -> Result<(tokio::process::Child, Option<ChildStdin>), Failure> {
        let log = log_file(&self.log)?;
        let own_binary = std::env::current_exe().map_err(Failure::bug)?;
        let mut command = Command::new(own_binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SWITCHYARD_") {
                command.env_remove(name);
            }
        }
        let mut process = command
            .args(&self.arguments)
            .arg("--while-stdin")
            .arg("--data")
            .arg(&self.data)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Failure::bug)?;
        let leash = process.stdin.take();
        Ok((process, leash))
    }
}

/// Appended to, for its owner only.
pub(crate) fn log_file(path: &Path) -> Result<std::fs::File, Failure> {
    let unusable = |error| files::FileError::Io { path: path.to_owned(), source: error };
    let mut options = OpenOptions::new();
    Ok(options.create(true).append(true).mode(0o600).open(path).map_err(unusable)?)
}
