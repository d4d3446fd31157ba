//! The simulated network as a child process: it outlives neither its parent nor a Ctrl-C.

use std::{
    fs::OpenOptions,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bootstrap::{Exit, files};
use lightning_sim::control_proto as proto;
use tokio::{
    process::{ChildStdin, Command},
    time::{sleep, timeout},
};

use crate::{failure::Failure, output::Output, ready, sim};

const STARTS_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// One that ends at once, each time, must not make the machine busy.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOG_FILE: &str = "network.log";

/// Whose invoice is ready to be paid, and what it asks.
const PAYEE: &str = "alice";
const INVOICE_MSAT: u64 = 25_000_000;

pub(super) struct Child {
    process: tokio::process::Child,
    /// The child stops when this closes. Kept apart, because waiting for a child closes its stdin.
    leash: Option<ChildStdin>,
    folder: PathBuf,
    log: PathBuf,
}

impl Child {
    pub(super) async fn start(data: &Path) -> Result<Child, Failure> {
        let folder = ready::network_folder(data);
        let log = data.join(LOG_FILE);
        let (process, leash) = spawn(&folder, &log)?;
        let mut child = Child { process, leash, folder, log };
        child.wait_until_ready().await?;
        Ok(child)
    }

    /// Where the network is; a file that an earlier life left behind does not count.
    pub(super) fn ready(&self) -> Result<ready::Network, Failure> {
        let ready: ready::Network = ready::read(&self.ready_file(), "the simulated network")?;
        if self.process.id() == Some(ready.pid) {
            Ok(ready)
        } else {
            Err(self.ended("it has not started yet"))
        }
    }

    /// An invoice from outside, ready to be paid.
    pub(super) async fn invoice(&self) -> Result<String, Failure> {
        let network = sim::Network::at(&self.ready_file())?;
        let request = proto::CreateInvoiceRequest {
            node: PAYEE.to_owned(),
            amount_msat: INVOICE_MSAT,
            description: "a first payment".to_owned(),
            ..proto::CreateInvoiceRequest::default()
        };
        Ok(network.create_invoice(request).await?.payment_request)
    }

    /// Starts the network again whenever it ends; returns when that does not work.
    pub(super) async fn keep(&mut self, out: &Output) -> Failure {
        loop {
            let how = match self.process.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            };
            out.say(&format!("the simulated network ended ({how}); starting it again"));
            sleep(START_AGAIN_AFTER).await;
            match spawn(&self.folder, &self.log) {
                Ok((process, leash)) => (self.process, self.leash) = (process, leash),
                Err(failure) => return failure,
            }
            if let Err(failure) = self.wait_until_ready().await {
                return failure;
            }
        }
    }

    /// Closes its stdin, which tells it to stop, and gives it time to.
    pub(super) async fn stop(mut self) {
        drop(self.leash.take());
        if timeout(STOPS_WITHIN, self.process.wait()).await.is_err() {
            tracing::warn!("the simulated network does not stop and is killed");
            drop(self.process.kill().await);
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let ready = async {
            while self.ready().is_err() {
                sleep(LOOK_EVERY).await;
                match self.process.try_wait() {
                    // The network of an earlier life, whose platform was killed, is still stopping.
                    Ok(Some(status))
                        if status.code() == Some(Exit::AlreadyRunning.code().into()) =>
                    {
                        (self.process, self.leash) = spawn(&self.folder, &self.log)?;
                    }
                    Ok(Some(status)) => return Err(self.ended(&format!("it ended: {status}"))),
                    Ok(None) | Err(_) => {}
                }
            }
            Ok(())
        };
        match timeout(STARTS_WITHIN, ready).await {
            Ok(ready) => ready,
            Err(_) => Err(self.ended("it does not get ready")),
        }
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.join(ready::FILE)
    }

    fn ended(&self, why: &str) -> Failure {
        let log = self.log.display();
        let message = format!("the simulated network: {why}; its log is {log}");
        Failure::new(Exit::Unavailable, "network_unavailable", message)
    }
}

/// In a process group of its own, so that a Ctrl-C reaches the platform first.
fn spawn(
    folder: &Path,
    log: &Path,
) -> Result<(tokio::process::Child, Option<ChildStdin>), Failure> {
    let unusable = |error| files::FileError::Io { path: log.to_owned(), source: error };
    let mut options = OpenOptions::new();
    let log_file = options.create(true).append(true).mode(0o600).open(log).map_err(unusable)?;
    let own_binary = std::env::current_exe().map_err(Failure::bug)?;
    let mut process = Command::new(own_binary)
        .args(["sim", "run", "--while-stdin", "--data"])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log_file)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(Failure::bug)?;
    let leash = process.stdin.take();
    Ok((process, leash))
}
