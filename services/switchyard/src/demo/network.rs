//! The simulated network as a child process: it outlives neither its parent nor a Ctrl-C.

use std::{path::Path, time::Duration};

use lightning_sim::control_proto as proto;
use tokio::time::sleep;

use crate::{
    children::{self, Spec},
    failure::Failure,
    output::Output,
    ready, sim,
};

/// One that ends at once, each time, must not make the machine busy.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
const LOG_FILE: &str = "network.log";

/// Whose invoice is ready to be paid, and what it asks.
const PAYEE: &str = "alice";
const INVOICE_MSAT: u64 = 25_000_000;

pub(crate) struct Child(children::Child);

impl Child {
    pub(crate) async fn start(data: &Path) -> Result<Child, Failure> {
        let spec = Spec {
            what: "the simulated network".to_owned(),
            data: ready::network_folder(data),
            log: data.join(LOG_FILE),
            arguments: vec!["sim".into(), "run".into()],
            environment: Vec::new(),
        };
        children::Child::start(spec).await.map(Child)
    }

    /// Where the network is.
    pub(crate) fn ready(&self) -> Result<ready::Network, Failure> {
        match self.0.is_ready() {
            true => ready::read(&self.0.ready_file(), self.0.what()),
            false => Err(self.0.failure("it has not started yet")),
        }
    }

    /// An invoice from outside, ready to be paid.
    pub(crate) async fn invoice(&self) -> Result<String, Failure> {
        let network = sim::Network::at(&self.0.ready_file())?;
        let request = proto::CreateInvoiceRequest {
            node: PAYEE.to_owned(),
            amount_msat: INVOICE_MSAT,
            description: "a first payment".to_owned(),
            ..proto::CreateInvoiceRequest::default()
        };
        Ok(network.create_invoice(request).await?.payment_request)
    }

    /// Starts the network again whenever it ends; returns when that does not work.
    pub(crate) async fn keep(&mut self, out: &Output) -> Failure {
        loop {
            let how = self.0.ended().await;
            out.say(&format!("the simulated network ended ({how}); starting it again"));
            sleep(START_AGAIN_AFTER).await;
            if let Err(failure) = self.0.start_again().await {
                return failure;
            }
        }
    }

    pub(crate) async fn stop(self) {
        self.0.stop().await;
    }
}
