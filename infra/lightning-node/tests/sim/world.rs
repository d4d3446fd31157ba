//! A simulated network of its own for each story, and the adapter on its nodes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::{
    InvoiceTerms, Msat, PaymentHash, Preimage, Timestamp,
    lightning::{FailureId, FailureReason},
};
use lightning_node::{Lnd, Settings, Timing, bolt11};
use lightning_sim::{Config, ControlClient, Endpoint, Sim, control_proto as control};
use ports::{
    LightningNode,
    lightning::{PayError, PayRequest, PayUpdate, Stream},
};

pub(crate) struct World {
    pub(crate) sim: Sim,
    _folder: tempfile::TempDir,
}

/// Short, so that a story about silence is short.
pub(crate) const QUICK: Timing = Timing {
    answer_within: Duration::from_millis(1_500),
    first_settlement_poll: Duration::from_millis(50),
};

pub(crate) const FEE_LIMIT: u64 = 100_000;

impl World {
    pub(crate) async fn start() -> World {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::demo(folder.path()).huge_liquidity().seeded(7);
        World { sim: Sim::start(config).await.unwrap(), _folder: folder }
    }

    pub(crate) fn endpoint(&self, node: &str) -> &Endpoint {
        self.sim.endpoint(node).unwrap()
    }

    pub(crate) fn settings(&self, node: &str) -> Settings {
        let endpoint = self.endpoint(node);
        Settings {
            address: endpoint.address.to_string(),
            certificate: Some(endpoint.tls_cert_pem.clone()),
            macaroon: unhex(&endpoint.switchyard.hex),
            timing: QUICK,
        }
    }

    pub(crate) fn lnd(&self, node: &str) -> Lnd {
        Lnd::connect(&self.settings(node)).unwrap()
    }

    pub(crate) fn control(&self) -> ControlClient {
        self.sim.control().unwrap()
    }

    /// An invoice of a node outside; 0 msat: any amount.
    pub(crate) async fn invoice(&self, node: &str, msat: u64, memo: &str) -> InvoiceTerms {
        let request = control::CreateInvoiceRequest {
            node: node.to_owned(),
            amount_msat: msat,
            description: memo.to_owned(),
            ..Default::default()
        };
        let made = self.control().create_invoice(request).await.unwrap().into_inner();
        bolt11::parse(&made.payment_request).unwrap()
    }

    /// Somebody outside pays.
    pub(crate) async fn pay_from(&self, node: &str, invoice: &InvoiceTerms, msat: u64) {
        let request = control::PayRequest {
            node: node.to_owned(),
            payment_request: invoice.text.clone(),
            amount_msat: msat,
            fee_limit_msat: FEE_LIMIT,
            wait_ms: 5_000,
        };
        let paid = self.control().pay(request).await.unwrap().into_inner();
        assert_eq!(paid.status, "SUCCEEDED", "{paid:?}");
    }

    pub(crate) async fn fault(&self, node: &str, fault: &str) {
        let request = control::SetFaultRequest {
            node: node.to_owned(),
            fault: fault.to_owned(),
            ..Default::default()
        };
        self.control().set_fault(request).await.unwrap();
    }

    pub(crate) async fn clear(&self, node: &str) {
        let request = control::ClearFaultsRequest { node: node.to_owned(), ..Default::default() };
        self.control().clear_faults(request).await.unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

pub(crate) fn msat(msat: u64) -> Msat {
    Msat::new(msat).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    lightning_sim::model::from_hex(text).unwrap()
}

/// Pays what the invoice asks, allowed for a minute.
pub(crate) fn request(invoice: &InvoiceTerms) -> PayRequest {
    PayRequest {
        hash: invoice.hash,
        invoice: invoice.text.clone(),
        amount_msat: None,
        fee_limit_msat: msat(FEE_LIMIT),
        until: now().plus_seconds(60),
    }
}

/// Every update of a stream, and how it ended.
pub(crate) async fn all(
    mut stream: Box<dyn Stream<PayUpdate>>,
) -> (Vec<PayUpdate>, Option<PayError>) {
    let mut updates = Vec::new();
    while let Some(update) = stream.next().await {
        match update {
            Ok(update) => updates.push(update),
            Err(error) => return (updates, Some(error)),
        }
    }
    (updates, None)
}

pub(crate) async fn last(stream: Box<dyn Stream<PayUpdate>>) -> PayUpdate {
    let (updates, error) = all(stream).await;
    assert_eq!(error, None);
    updates.last().unwrap().clone()
}

pub(crate) fn paid(update: PayUpdate) -> (Preimage, Msat, Msat) {
    let PayUpdate::Succeeded { preimage, amount_msat, fee_msat } = update else {
        panic!("{update:?}")
    };
    (preimage, amount_msat, fee_msat)
}

pub(crate) fn failed(update: PayUpdate) -> (FailureReason, FailureId) {
    let PayUpdate::Failed { reason, failure } = update else { panic!("{update:?}") };
    (reason, failure)
}

/// What the node knows in the end.
pub(crate) async fn tracked(lnd: &Lnd, hash: PaymentHash) -> Option<PayUpdate> {
    match lnd.track(hash).await.unwrap() {
        Some(stream) => Some(last(stream).await),
        None => None,
    }
}
