//! Calls of the control face: what a test, a demonstration or an auditor does to the world outside.

use std::{path::Path, time::Duration};

use bootstrap::{Exit, files};
use clap::Args;
use lightning_sim::{ControlClient, connect_control, control_proto as proto};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{
    Place,
    record::{
        invoice_record, invoice_text, node, payment, payment_text, settlement_record, some_hex,
    },
};
use crate::{
    failure::Failure,
    output::Output,
    ready,
    show::{facts, from_hex, hex, sat, table},
};

pub(super) const FAULTS: &str = "\
Faults of payments (also as a word sim:NAME in an invoice's description):
  no_route, timeout[:MS], incorrect_payment_details   the payment fails
  stuck                    in flight until `sim release`
  slow:MS                  the result comes later
  late_success:MS          a time-out is reported first, success comes later
  fail_then_success[:MS]   failure is reported, then it succeeds after all
  stream_cut, silent       the stream ends early, or says nothing; the payment goes on
  twice                    every update comes twice
  late_request:MS          the caller sees a broken connection; the request runs later
  handler_stall:MS         a pause between the permission check and the payment
  fee_above_limit          more fee is taken than was allowed
Faults of the node:
  node_down                nobody answers the port
  clock:MS                 its clock is off
  snapshot:COPY, restore:COPY   keep a copy of its database; put it back, as a real node that is
                           away meanwhile: `sim restart NODE --kill` comes next
  forget:HASH              it loses its record of a payment";

const EVERY_NODE: &str = "all";
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(super) struct Invoice {
    /// The payee, such as alice.
    node: String,
    /// Leave out: the payer names the amount.
    #[arg(long, value_name = "N")]
    amount_msat: Option<u64>,
    /// A word sim:FAULT in it calls that fault up when the invoice is paid.
    #[arg(long, default_value = "")]
    description: String,
    #[arg(long, value_name = "N")]
    expiry_seconds: Option<u64>,
    /// Accept the payment, but settle it only by `sim settle`.
    #[arg(long)]
    hold: bool,
}

#[derive(Args)]
pub(super) struct Pay {
    /// The payer, such as bob.
    node: String,
    /// BOLT11.
    invoice: String,
    /// For an invoice without amount; for others it may be more than is asked.
    #[arg(long, value_name = "N")]
    amount_msat: Option<u64>,
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    fee_limit_msat: u64,
    #[arg(long, value_name = "N", default_value_t = 20)]
    wait_seconds: u64,
}

#[derive(Args)]
pub(super) struct Lookup {
    node: String,
    /// 32 bytes in hex.
    payment_hash: String,
}

#[derive(Args)]
pub(super) struct Settle {
    node: String,
    /// 32 bytes in hex.
    preimage: String,
}

#[derive(Args)]
pub(super) struct Fault {
    /// The node whose payments (or which itself) is broken, or all.
    node: String,
    /// One of the names below.
    fault: String,
    /// For the next so many payments only.
    #[arg(long, value_name = "N")]
    times: Option<u64>,
    /// How probable, in millionths.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    probability_ppm: u32,
    /// Of the probability.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

#[derive(Args)]
pub(super) struct Clear {
    /// A node, or all.
    #[arg(default_value = EVERY_NODE)]
    node: String,
    /// The name of one fault; leave out: every fault.
    fault: Option<String>,
}

#[derive(Args)]
pub(super) struct Release {
    /// The payer.
    node: String,
    /// 32 bytes in hex.
    payment_hash: String,
    /// Fail it instead of delivering it.
    #[arg(long)]
    fail: bool,
}

#[derive(Args)]
pub(super) struct Restart {
    /// A node, or all.
    node: String,
    /// In the middle of everything: streams are torn down without a word.
    #[arg(long)]
    kill: bool,
    /// How long nobody answers the port.
    #[arg(long, value_name = "N", default_value_t = 0)]
    down_ms: u64,
}

#[derive(Args)]
pub(super) struct Settlements {
    /// Only hashes that were settled so often: 2 finds what was paid twice.
    #[arg(long, value_name = "N", default_value_t = 1)]
    at_least: u32,
}

/// A client of the control face of a running network.
pub(crate) struct Network {
    pub(crate) ready: ready::Network,
    control: ControlClient,
}

impl Network {
    pub(super) fn find(place: &Place) -> Result<Network, Failure> {
        match (&place.sim, &place.data) {
            (Some(sim), _) if sim.is_file() => Network::at(sim),
            (Some(sim), _) => Network::at(&sim.join(ready::FILE)),
            (None, Some(data)) => {
                let inside = ready::network_folder(data);
                let folder = if inside.is_dir() { &inside } else { data };
                Network::at(&folder.join(ready::FILE))
            }
            (None, None) => Err(Failure::invalid(
                "which simulated network? Give --sim or --data, or set SWITCHYARD_SIM",
            )),
        }
    }

    pub(crate) fn at(ready_file: &Path) -> Result<Network, Failure> {
        let ready: ready::Network = ready::read(ready_file, "the simulated network")?;
        let token = files::read_secret(&ready.control_token_file)?;
        let control = connect_control(ready.control_address, &token).map_err(Failure::bug)?;
        Ok(Network { ready, control })
    }

    /// The names that a command means.
    fn named(&self, node: &str) -> Vec<String> {
        if node == EVERY_NODE {
            self.ready.nodes.iter().map(|node| node.name.clone()).collect()
        } else {
            vec![node.to_owned()]
        }
    }

    pub(super) async fn nodes(mut self, out: &Output) -> Result<Exit, Failure> {
        let asked = self.control.list_nodes(proto::ListNodesRequest {});
        let nodes = answered(asked).await?.nodes;
        out.answer(&json!({ "nodes": nodes.iter().map(node).collect::<Vec<_>>() }), || {
            let rows: Vec<_> = nodes
                .iter()
                .map(|node| {
                    vec![
                        node.name.clone(),
                        node.role.clone(),
                        node.address.clone(),
                        if node.down { "down" } else { "up" }.to_owned(),
                        sat(node.local_msat),
                        sat(node.remote_msat),
                        node.faults.join(" "),
                    ]
                })
                .collect();
            table(&["NODE", "ROLE", "ADDRESS", "", "CAN SEND", "CAN RECEIVE", "FAULTS"], &rows)
        });
        Ok(Exit::Done)
    }

    pub(super) async fn invoice(self, invoice: Invoice, out: &Output) -> Result<Exit, Failure> {
        let made = self
            .create_invoice(proto::CreateInvoiceRequest {
                node: invoice.node.clone(),
                amount_msat: invoice.amount_msat.unwrap_or(0),
                description: invoice.description.clone(),
                expiry_seconds: invoice.expiry_seconds.unwrap_or(0),
                hold: invoice.hold,
            })
            .await?;
        let document = json!({
            "node": invoice.node,
            "invoice": made.payment_request,
            "payment_hash": hex(&made.payment_hash),
            "amount_msat": invoice.amount_msat,
            "preimage": some_hex(&made.preimage),
        });
        out.answer(&document, || match made.preimage.is_empty() {
            true => made.payment_request.clone(),
            false => facts(&[
                ("invoice", made.payment_request.clone()),
                ("hash", hex(&made.payment_hash)),
                ("preimage", hex(&made.preimage)),
            ]),
        });
        Ok(Exit::Done)
    }

    pub(crate) async fn create_invoice(
        mut self,
        request: proto::CreateInvoiceRequest,
    ) -> Result<proto::CreateInvoiceResponse, Failure> {
        answered(self.control.create_invoice(request)).await
    }

    pub(super) async fn pay(mut self, pay: Pay, out: &Output) -> Result<Exit, Failure> {
        let within = Duration::from_secs(pay.wait_seconds).saturating_add(ANSWERS_WITHIN);
        let asked = self.control.pay(proto::PayRequest {
            node: pay.node.clone(),
            payment_request: pay.invoice,
            amount_msat: pay.amount_msat.unwrap_or(0),
            fee_limit_msat: pay.fee_limit_msat,
            wait_ms: pay.wait_seconds.saturating_mul(1_000),
        });
        let record = answered_within(asked, within).await?;
        out.answer(&json!({ "node": pay.node, "payment": payment(&record) }), || {
            payment_text(&record)
        });
        Ok(match record.status.as_str() {
            "SUCCEEDED" => Exit::Done,
            "FAILED" => Exit::Failed,
            _ => Exit::OutcomeUnknown,
        })
    }

    pub(super) async fn lookup(mut self, lookup: Lookup, out: &Output) -> Result<Exit, Failure> {
        let hash = bytes_32(&lookup.payment_hash)?;
        let node = lookup.node;
        let request =
            proto::LookupInvoiceRequest { node: node.clone(), payment_hash: hash.clone() };
        let found_invoice = if_found(answered(self.control.lookup_invoice(request)).await)?;
        let request = proto::LookupPaymentRequest { node: node.clone(), payment_hash: hash };
        let found_payment = if_found(answered(self.control.lookup_payment(request)).await)?;
        if found_invoice.is_none() && found_payment.is_none() {
            let message = format!("{node} knows no invoice and no payment with this hash");
            return Err(Failure::new(Exit::NotFound, "not_found", message));
        }
        let document = json!({
            "node": node,
            "invoice": found_invoice.as_ref().map(invoice_record),
            "payment": found_payment.as_ref().map(payment),
        });
        out.answer(&document, || {
            let invoice = found_invoice.as_ref().map(invoice_text).unwrap_or_default();
            let payment = found_payment.as_ref().map(payment_text).unwrap_or_default();
            format!("{invoice}{payment}")
        });
        Ok(Exit::Done)
    }

    pub(super) async fn settle(mut self, settle: Settle, out: &Output) -> Result<Exit, Failure> {
        let preimage = bytes_32(&settle.preimage)?;
        let request = proto::SettleInvoiceRequest { node: settle.node, preimage };
        answered(self.control.settle_invoice(request)).await?;
        done(out, "settled")
    }

    pub(super) async fn cancel(mut self, cancel: Lookup, out: &Output) -> Result<Exit, Failure> {
        let payment_hash = bytes_32(&cancel.payment_hash)?;
        let request = proto::CancelInvoiceRequest { node: cancel.node, payment_hash };
        answered(self.control.cancel_invoice(request)).await?;
        done(out, "canceled")
    }

    pub(super) async fn fault(mut self, fault: Fault, out: &Output) -> Result<Exit, Failure> {
        for node in self.named(&fault.node) {
            let request = proto::SetFaultRequest {
                node,
                fault: fault.fault.clone(),
                times: fault.times.unwrap_or(0),
                ppm: fault.probability_ppm,
                seed: fault.seed,
            };
            answered(self.control.set_fault(request)).await?;
        }
        done(out, &format!("{} has the fault {}", fault.node, fault.fault))
    }

    pub(super) async fn clear(mut self, clear: Clear, out: &Output) -> Result<Exit, Failure> {
        for node in self.named(&clear.node) {
            let fault = clear.fault.clone().unwrap_or_default();
            answered(self.control.clear_faults(proto::ClearFaultsRequest { node, fault })).await?;
        }
        done(out, "cleared")
    }

    pub(super) async fn release(mut self, release: Release, out: &Output) -> Result<Exit, Failure> {
        let payment_hash = bytes_32(&release.payment_hash)?;
        let request =
            proto::ReleasePaymentRequest { node: release.node, payment_hash, fail: release.fail };
        answered(self.control.release_payment(request)).await?;
        done(out, "released")
    }

    pub(super) async fn restart(mut self, restart: Restart, out: &Output) -> Result<Exit, Failure> {
        let within = Duration::from_millis(restart.down_ms).saturating_add(ANSWERS_WITHIN);
        for node in self.named(&restart.node) {
            let request =
                proto::RestartNodeRequest { node, kill: restart.kill, down_ms: restart.down_ms };
            answered_within(self.control.restart_node(request), within).await?;
        }
        done(out, "restarted")
    }

    pub(super) async fn settlements(
        mut self,
        settlements: Settlements,
        out: &Output,
    ) -> Result<Exit, Failure> {
        let request = proto::AuditSettlementsRequest { at_least: settlements.at_least };
        let mut stream = answered(self.control.audit_settlements(request)).await?;
        let mut found = Vec::new();
        while let Some(settlement) = stream.message().await.map_err(refused)? {
            found.push(settlement);
        }
        let document: Vec<Value> = found.iter().map(settlement_record).collect();
        out.answer(&json!({ "settlements": document }), || {
            let rows: Vec<_> = found
                .iter()
                .map(|of| {
                    vec![
                        hex(&of.payment_hash),
                        of.payer.clone(),
                        of.times.to_string(),
                        sat(of.amount_msat),
                        sat(of.fee_msat),
                    ]
                })
                .collect();
            table(&["PAYMENT HASH", "PAYER", "TIMES", "AMOUNT", "FEE"], &rows)
        });
        Ok(Exit::Done)
    }
}

fn done(out: &Output, text: &str) -> Result<Exit, Failure> {
    out.answer(&json!({ "done": true }), || text.to_owned());
    Ok(Exit::Done)
}

async fn answered<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, Failure> {
    answered_within(call, ANSWERS_WITHIN).await
}

async fn answered_within<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    within: Duration,
) -> Result<T, Failure> {
    let answer = tokio::time::timeout(within, call).await.map_err(|_| {
        let message = format!("the simulated network has not answered within {within:?}");
        Failure::new(Exit::OutcomeUnknown, "outcome_unknown", message)
    })?;
    answer.map(tonic::Response::into_inner).map_err(refused)
}

fn refused(status: Status) -> Failure {
    let (exit, code) = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => (Exit::Invalid, "invalid_argument"),
        Code::NotFound => (Exit::NotFound, "not_found"),
        Code::Unauthenticated | Code::PermissionDenied => (Exit::Denied, "denied"),
        Code::AlreadyExists | Code::Aborted => (Exit::Conflict, "conflict"),
        Code::FailedPrecondition | Code::ResourceExhausted => (Exit::Failed, "refused"),
        Code::Unavailable => (Exit::Unavailable, "unavailable"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss => (Exit::OutcomeUnknown, "outcome_unknown"),
    };
    Failure::new(exit, code, format!("the simulated network: {}", status.message()))
}

fn if_found<T>(found: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        // A node that does not exist is told by its own message.
        Err(failure) if failure.exit == Exit::NotFound && !failure.message.contains("named") => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

fn bytes_32(text: &str) -> Result<Vec<u8>, Failure> {
    from_hex(text)
        .filter(|bytes| bytes.len() == 32)
        .ok_or_else(|| Failure::invalid(format!("{text:?} is not 32 bytes in hex")))
}
