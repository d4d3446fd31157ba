//! What a request is about, and everything LND checks before it writes a row.

use std::sync::Arc;

use super::{
    Network, SendRequest,
    event::Requested,
    invoice::{self, peek_hash},
    refusal::Refusal,
    state::PaymentState,
    value::{Hash, Msat, NodeId, Time},
};

/// Whom and what a request is about.
pub(super) struct Subject {
    pub(super) hash: Hash,
    pub(super) payee: Option<NodeId>,
    pub(super) payee_is_self: bool,
    pub(super) value: Msat,
    /// By the payer's clock.
    pub(super) expires: Option<Time>,
    pub(super) cltv_expiry: u64,
    pub(super) multi_part: bool,
    pub(super) requested: Requested,
    pub(super) description: Arc<str>,
}

pub(super) const DEFAULT_PARTS: u32 = 16;
const MOST_PARTS: u32 = 1_000;

impl Network {
    pub(super) fn subject(&self, node: NodeId, request: &SendRequest) -> Result<Subject, Refusal> {
        let text = request.payment_request.as_str();
        if text.is_empty() {
            return self.subject_without_invoice(node, request);
        }
        if request.destination.is_some() || request.hash.is_some() || request.final_cltv_delta != 0
        {
            return Err(Refusal::unknown(
                "dest, payment_hash and final_cltv_delta cannot appear together with \
                 payment_request",
            ));
        }
        if let Some((issuer, invoice)) = self.issued(text) {
            return Ok(Subject {
                hash: invoice.hash,
                payee: Some(issuer),
                payee_is_self: issuer == node,
                value: invoice.value,
                expires: Some(invoice.expires()),
                cltv_expiry: u64::from(invoice.cltv_expiry),
                multi_part: true,
                requested: Requested::IssuedBy(issuer),
                description: invoice.memo.clone(),
            });
        }
        let terms = invoice::read(self.chain, text)?;
        let payee = self.node_by_key(&terms.payee);
        Ok(Subject {
            hash: terms.hash,
            payee,
            payee_is_self: payee == Some(node),
            value: terms.value,
            expires: Some(terms.created.after_ms(terms.expiry_seconds.saturating_mul(1_000))),
            cltv_expiry: terms.cltv_expiry,
            multi_part: terms.multi_part,
            requested: Requested::Text(Arc::from(text)),
            description: Arc::from(terms.description),
        })
    }

    fn subject_without_invoice(
        &self,
        node: NodeId,
        request: &SendRequest,
    ) -> Result<Subject, Refusal> {
        let destination =
            request.destination.ok_or_else(|| Refusal::unknown("invalid key length"))?;
        let hash = request
            .hash
            .ok_or_else(|| Refusal::unknown("payment hash must be exactly 32 bytes"))?;
        let payee = self.node_by_key(&destination);
        Ok(Subject {
            hash,
            payee,
            payee_is_self: payee == Some(node),
            value: Msat::ZERO,
            expires: None,
            cltv_expiry: u64::from(request.final_cltv_delta),
            multi_part: false,
            requested: Requested::Nothing,
            description: Arc::from(""),
        })
    }

    /// The node of this network that issued this very text.
    pub(crate) fn issued(&self, text: &str) -> Option<(NodeId, &super::Invoice)> {
        let hash = peek_hash(text)?;
        self.node_ids().zip(&self.state.nodes).find_map(|(id, node)| {
            let invoice = node.database.invoices.get(&hash)?;
            (*invoice.request == *text).then_some((id, invoice))
        })
    }

    /// LND's checks before it writes anything; the amount to be paid.
    pub(super) fn validate(
        &self,
        now: Time,
        node: NodeId,
        request: &SendRequest,
        subject: &Subject,
    ) -> Result<Msat, Refusal> {
        let node = self.state.node(node);
        if let Some(expires) = subject.expires
            && node.clock(now) >= expires
        {
            let until = crate::rfc3339::write(expires);
            return Err(Refusal::unknown(format!("invoice expired. Valid until {until}")));
        }
        let amount = match (subject.value.is_zero(), request.amount.is_zero()) {
            (true, false) => request.amount,
            (false, true) => subject.value,
            (true, true) => {
                return Err(Refusal::unknown(
                    "amount must be specified when paying a zero amount invoice",
                ));
            }
            (false, false) if request.may_overpay && request.amount >= subject.value => {
                request.amount
            }
            (false, false) => {
                return Err(Refusal::unknown(
                    "amount must not be specified when paying a non-zero amount invoice",
                ));
            }
        };
        if subject.payee_is_self && !request.allow_self_payment {
            return Err(Refusal::unknown("self-payments not allowed"));
        }
        if request.cltv_limit != 0 && u64::from(request.cltv_limit) < subject.cltv_expiry {
            return Err(Refusal::unknown(format!(
                "cltv limit {} is below the final cltv delta {}",
                request.cltv_limit, subject.cltv_expiry
            )));
        }
        if let Some(most) = request.max_shard {
            let parts = if request.max_parts == 0 { DEFAULT_PARTS } else { request.max_parts };
            if parts > MOST_PARTS {
                return Err(Refusal::unknown(
                    "requested max_parts exceeds the allowed upper limit",
                ));
            }
            if most.get().saturating_mul(u64::from(parts)) < amount.get() {
                return Err(Refusal::unknown(
                    "payment cannot be completed with the max parts and shard size",
                ));
            }
        }
        Ok(amount)
    }

    /// LND's table: only a hash that is new or FAILED runs.
    pub(super) fn dedupe(&self, node: NodeId, hash: Hash) -> Result<(), Refusal> {
        let Some(payment) = self.state.node(node).database.payments.get(&hash) else {
            return Ok(());
        };
        match payment.state {
            PaymentState::Failed => Ok(()),
            PaymentState::Initiated => Err(Refusal::already_exists("payment already exists")),
            PaymentState::InFlight => Err(Refusal::already_exists("payment is in transition")),
            PaymentState::Succeeded => Err(Refusal::already_exists("invoice is already paid")),
        }
    }
}
