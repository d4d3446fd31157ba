//! What a story asks of a node: invoices, payments, macaroons.

use std::collections::HashMap;
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use tonic::{Response, Status, Streaming};
use tonic_lnd::invoicesrpc::{AddHoldInvoiceRequest, CancelInvoiceMsg, SettleInvoiceMsg};
use tonic_lnd::lnrpc::invoice::InvoiceState;
use tonic_lnd::lnrpc::payment::PaymentStatus;
use tonic_lnd::lnrpc::{
    self, BakeMacaroonRequest, GetInfoRequest, GetInfoResponse, ListPaymentsRequest,
    MacaroonPermission, NewAddressRequest, Payment, PaymentHash, WalletBalanceRequest,
};
use tonic_lnd::routerrpc::{ResetMissionControlRequest, SendPaymentRequest, TrackPaymentRequest};

use super::macaroon::unhex;
use super::node::Node;
use super::process::until;

/// The record in which a keysend carries its preimage.
const KEYSEND_PREIMAGE: u64 = 5_482_373_484;

/// More than any payment here costs; 0 would allow free routes only.
const FEE_LIMIT_MSAT: i64 = 100_000;

const EVENT_WITHIN: Duration = Duration::from_secs(30);

/// An invoice of one of the nodes.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) bolt11: String,
    pub(crate) hash: [u8; 32],
}

/// A preimage and its hash, the same in each run.
pub(crate) fn secret(word: &str) -> ([u8; 32], [u8; 32]) {
    let preimage = sha256::Hash::hash(word.as_bytes()).to_byte_array();
    (preimage, sha256::Hash::hash(&preimage).to_byte_array())
}

/// A payment of an invoice with an amount: 30 s for attempts, a generous fee limit.
pub(crate) fn payment_of(bolt11: &str) -> SendPaymentRequest {
    SendPaymentRequest {
        payment_request: bolt11.to_owned(),
        timeout_seconds: 30,
        fee_limit_msat: FEE_LIMIT_MSAT,
        ..Default::default()
    }
}

/// Follows a stream of updates to its terminal state.
///
/// `Err` also when the stream ends before that: then nothing is known of the payment.
pub(crate) async fn follow(mut updates: Streaming<Payment>) -> Result<Payment, Status> {
    while let Some(payment) = updates.message().await? {
        if matches!(payment.status(), PaymentStatus::Succeeded | PaymentStatus::Failed) {
            return Ok(payment);
        }
    }
    Err(Status::unknown("the stream ended before a terminal state"))
}

impl Node {
    /// A macaroon for exactly these permissions, hex: full methods (`/lnrpc.Lightning/GetInfo`), or
    /// `entity:action` for one that is too wide.
    pub(crate) async fn bake(&self, permissions: &[&str]) -> String {
        self.bake_under(0, permissions).await
    }

    /// The same under a root key of its own, by which it can be revoked.
    pub(crate) async fn bake_under(&self, root_key_id: u64, permissions: &[&str]) -> String {
        let permissions = permissions.iter().map(|permission| {
            let (entity, action) = match permission.split_once(':') {
                Some(pair) => pair,
                None => ("uri", *permission),
            };
            MacaroonPermission { entity: entity.to_owned(), action: action.to_owned() }
        });
        let permissions = permissions.collect();
        let request = BakeMacaroonRequest { permissions, root_key_id, ..Default::default() };
        let answer = self.client().lightning().bake_macaroon(request).await;
        self.said("BakeMacaroon", answer).macaroon
    }

    pub(crate) async fn get_info(&self) -> GetInfoResponse {
        let answer = self.client().lightning().get_info(GetInfoRequest {}).await;
        self.said("GetInfo", answer)
    }

    /// An invoice for `amount_msat`, or for any amount.
    pub(crate) async fn add_invoice(
        &self,
        amount_msat: Option<i64>,
        description: &str,
        expiry: Duration,
    ) -> Invoice {
        let request = lnrpc::Invoice {
            value_msat: amount_msat.unwrap_or(0),
            memo: description.to_owned(),
            expiry: seconds(expiry),
            ..Default::default()
        };
        let answer = self.client().lightning().add_invoice(request).await;
        let made = self.said("AddInvoice", answer);
        let hash = made.r_hash.try_into().expect("a hash has 32 bytes");
        Invoice { bolt11: made.payment_request, hash }
    }

    /// An invoice that is accepted but not settled until `settle` or `cancel`.
    pub(crate) async fn add_hold_invoice(&self, hash: [u8; 32], amount_msat: i64) -> Invoice {
        let request = AddHoldInvoiceRequest {
            hash: hash.to_vec(),
            value_msat: amount_msat,
            ..Default::default()
        };
        let answer = self.client().invoices().add_hold_invoice(request).await;
        let bolt11 = self.said("AddHoldInvoice", answer).payment_request;
        Invoice { bolt11, hash }
    }

    pub(crate) async fn settle(&self, preimage: [u8; 32]) {
        let request = SettleInvoiceMsg { preimage: preimage.to_vec() };
        let answer = self.client().invoices().settle_invoice(request).await;
        self.said("SettleInvoice", answer);
    }

    /// Cancels any invoice; held HTLCs go back.
    pub(crate) async fn cancel(&self, hash: [u8; 32]) {
        let request = CancelInvoiceMsg { payment_hash: hash.to_vec() };
        let answer = self.client().invoices().cancel_invoice(request).await;
        self.said("CancelInvoice", answer);
    }

    pub(crate) async fn invoice(&self, hash: [u8; 32]) -> lnrpc::Invoice {
        let request = PaymentHash { r_hash: hash.to_vec(), ..Default::default() };
        let answer = self.client().lightning().lookup_invoice(request).await;
        self.said("LookupInvoice", answer)
    }

    pub(crate) async fn wait_invoice(&self, hash: [u8; 32], state: InvoiceState) {
        until("an invoice's state", EVENT_WITHIN, async || {
            let now = self.invoice(hash).await.state();
            if now == state { Ok(()) } else { Err(format!("it is {}", now.as_str_name())) }
        })
        .await;
    }

    /// Starts a payment and returns its updates. Closing them does not stop it.
    pub(crate) async fn begin(
        &self,
        request: SendPaymentRequest,
    ) -> Result<Streaming<Payment>, Status> {
        self.client().router().send_payment_v2(request).await.map(Response::into_inner)
    }

    /// Pays and follows to the end. `Err` is lnd's refusal, or a stream cut short.
    pub(crate) async fn send(&self, request: SendPaymentRequest) -> Result<Payment, Status> {
        follow(self.begin(request).await?).await
    }

    /// Pays an invoice that has an amount; succeeded or failed is for the story to say.
    pub(crate) async fn pay(&self, bolt11: &str) -> Payment {
        let _told = self.tail_on_panic();
        self.send(payment_of(bolt11)).await.unwrap_or_else(|status| panic!("pay: {status}"))
    }

    /// Pays a node without an invoice. The caller chooses the preimage, so a repeat is recognised.
    pub(crate) async fn keysend(
        &self,
        to: &Node,
        amount_msat: i64,
        preimage: [u8; 32],
    ) -> Result<Payment, Status> {
        let hash = sha256::Hash::hash(&preimage).to_byte_array();
        let request = SendPaymentRequest {
            dest: unhex(to.identity()),
            amt_msat: amount_msat,
            payment_hash: hash.to_vec(),
            dest_custom_records: HashMap::from([(KEYSEND_PREIMAGE, preimage.to_vec())]),
            ..payment_of("")
        };
        self.send(request).await
    }

    /// The current record of a payment and then its updates.
    pub(crate) async fn track(&self, hash: [u8; 32]) -> Result<Streaming<Payment>, Status> {
        let payment_hash = hash.to_vec();
        let request = TrackPaymentRequest { payment_hash, no_inflight_updates: false };
        self.client().router().track_payment_v2(request).await.map(Response::into_inner)
    }

    /// The current record of a payment.
    pub(crate) async fn payment(&self, hash: [u8; 32]) -> Result<Payment, Status> {
        let first = self.track(hash).await?.message().await?;
        first.ok_or_else(|| Status::unknown("the stream ended before its first update"))
    }

    /// Every payment that the node knows, also failed and open ones.
    pub(crate) async fn list_payments(&self) -> Vec<Payment> {
        let max_payments = u64::from(u32::MAX);
        let request =
            ListPaymentsRequest { include_incomplete: true, max_payments, ..Default::default() };
        let answer = self.client().lightning().list_payments(request).await;
        self.said("ListPayments", answer).payments
    }

    /// Forgets what earlier payments taught about routes, so that stories do not touch each other.
    pub(crate) async fn reset_mission_control(&self) {
        let request = ResetMissionControlRequest {};
        let answer = self.client().router().reset_mission_control(request).await;
        self.said("ResetMissionControl", answer);
    }

    pub(crate) async fn new_address(&self) -> String {
        let answer = self.client().lightning().new_address(NewAddressRequest::default()).await;
        self.said("NewAddress", answer).address
    }

    /// Waits until the node has at least `sat` confirmed and has caught up with the chain.
    pub(crate) async fn wait_funds(&self, sat: i64) {
        until("confirmed funds", EVENT_WITHIN, async || {
            let request = WalletBalanceRequest::default();
            let answer = self.client().lightning().wallet_balance(request).await;
            let confirmed = self.said("WalletBalance", answer).confirmed_balance;
            let synced = self.get_info().await.synced_to_chain;
            if synced && confirmed >= sat {
                Ok(())
            } else {
                Err(format!("{confirmed} sat, synced: {synced}"))
            }
        })
        .await;
    }

    /// The answer to a call that has to succeed.
    #[track_caller]
    pub(super) fn said<T>(&self, call: &str, answer: Result<Response<T>, Status>) -> T {
        match answer {
            Ok(answer) => answer.into_inner(),
            Err(status) => panic!("{} {call}: {status}", self.name()),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).expect("an expiry in range")
}
