//! switchyard.engine.v1.Orgs, but for its commands of the operator.

use std::time::Duration;

use domain::{
    InvoiceTerms, Msat, NodeId, OrgId, PaymentHash, PaymentId, Timestamp,
    org::{ClaimAnswer, ClaimRequest, ReceiveTerms, SendTerms},
};

use super::{exactly, id, id_bytes, network, network_number, public_key};
use crate::{
    convert::{WireError, msat},
    engine::v1,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    pub org: OrgId,
    pub payment: PaymentId,
    pub terms: SendTerms,
    pub within: Duration,
    /// What is left until its caller's deadline.
    pub begin_within: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receive {
    pub org: OrgId,
    pub payment: PaymentId,
    pub terms: ReceiveTerms,
    pub within: Duration,
    /// What is left until its caller's deadline.
    pub begin_within: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub org: OrgId,
    pub payment: PaymentId,
    pub within: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub payee: OrgId,
    pub request: ClaimRequest,
    /// The whole invoice.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerClaim {
    pub payer: OrgId,
    /// The payer's.
    pub payment: PaymentId,
    pub answer: ClaimAnswer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub org: OrgId,
    pub payment: PaymentId,
    pub node: NodeId,
    pub hash: PaymentHash,
    pub paid_msat: Msat,
}

impl From<Send> for v1::SendRequest {
    fn from(send: Send) -> v1::SendRequest {
        v1::SendRequest {
            organisation_id: id_bytes(send.org),
            payment_id: id_bytes(send.payment),
            terms: Some(send_terms(send.terms)),
            within_ms: millis(send.within),
            begin_within_ms: send.begin_within.map(millis),
        }
    }
}

impl TryFrom<v1::SendRequest> for Send {
    type Error = WireError;

    fn try_from(request: v1::SendRequest) -> Result<Send, WireError> {
        let terms = request.terms.ok_or(WireError::Missing("terms"))?;
        let invoice = terms.invoice.ok_or(WireError::Missing("invoice"))?;
        Ok(Send {
            org: id("organisation_id", &request.organisation_id)?,
            payment: id("payment_id", &request.payment_id)?,
            terms: SendTerms {
                wallet: id("wallet_id", &terms.wallet_id)?,
                invoice: read_invoice(invoice)?,
                amount_msat: terms.amount_msat,
                fee_limit_msat: terms.fee_limit_msat,
                description: terms.description,
                metadata: terms.metadata,
            },
            within: Duration::from_millis(request.within_ms),
            begin_within: request.begin_within_ms.map(Duration::from_millis),
        })
    }
}

impl From<Receive> for v1::ReceiveRequest {
    fn from(receive: Receive) -> v1::ReceiveRequest {
        let terms = receive.terms;
        v1::ReceiveRequest {
            organisation_id: id_bytes(receive.org),
            payment_id: id_bytes(receive.payment),
            terms: Some(v1::ReceiveTerms {
                wallet_id: id_bytes(terms.wallet),
                amount_msat: terms.amount_msat,
                description: terms.description,
                expiry_seconds: terms.expiry_seconds,
                metadata: terms.metadata,
            }),
            within_ms: millis(receive.within),
            begin_within_ms: receive.begin_within.map(millis),
        }
    }
}

impl TryFrom<v1::ReceiveRequest> for Receive {
    type Error = WireError;

    fn try_from(request: v1::ReceiveRequest) -> Result<Receive, WireError> {
        let terms = request.terms.ok_or(WireError::Missing("terms"))?;
        Ok(Receive {
            org: id("organisation_id", &request.organisation_id)?,
            payment: id("payment_id", &request.payment_id)?,
            terms: ReceiveTerms {
                wallet: id("wallet_id", &terms.wallet_id)?,
                amount_msat: terms.amount_msat,
                description: terms.description,
                expiry_seconds: terms.expiry_seconds,
                metadata: terms.metadata,
            },
            within: Duration::from_millis(request.within_ms),
            begin_within: request.begin_within_ms.map(Duration::from_millis),
        })
    }
}

impl From<Wait> for v1::WaitRequest {
    fn from(wait: Wait) -> v1::WaitRequest {
        v1::WaitRequest {
            organisation_id: id_bytes(wait.org),
            payment_id: id_bytes(wait.payment),
            within_ms: millis(wait.within),
        }
    }
}

impl TryFrom<v1::WaitRequest> for Wait {
    type Error = WireError;

    fn try_from(request: v1::WaitRequest) -> Result<Wait, WireError> {
        Ok(Wait {
            org: id("organisation_id", &request.organisation_id)?,
            payment: id("payment_id", &request.payment_id)?,
            within: Duration::from_millis(request.within_ms),
        })
    }
}

impl From<Wait> for v1::CancelRequest {
    fn from(wait: Wait) -> v1::CancelRequest {
        let v1::WaitRequest { organisation_id, payment_id, within_ms } = wait.into();
        v1::CancelRequest { organisation_id, payment_id, within_ms }
    }
}

impl TryFrom<v1::CancelRequest> for Wait {
    type Error = WireError;

    fn try_from(request: v1::CancelRequest) -> Result<Wait, WireError> {
        let v1::CancelRequest { organisation_id, payment_id, within_ms } = request;
        v1::WaitRequest { organisation_id, payment_id, within_ms }.try_into()
    }
}

impl From<Claim> for v1::ClaimRequest {
    fn from(claim: Claim) -> v1::ClaimRequest {
        let ClaimRequest { payer, payer_payment, payment, hash, amount_msat } = claim.request;
        v1::ClaimRequest {
            payee_id: id_bytes(claim.payee),
            payer_id: id_bytes(payer),
            payer_payment_id: id_bytes(payer_payment),
            payment_id: id_bytes(payment),
            hash: hash.0.to_vec(),
            amount_msat: amount_msat.get(),
            text: claim.text,
        }
    }
}

impl TryFrom<v1::ClaimRequest> for Claim {
    type Error = WireError;

    fn try_from(request: v1::ClaimRequest) -> Result<Claim, WireError> {
        Ok(Claim {
            payee: id("payee_id", &request.payee_id)?,
            request: ClaimRequest {
                payer: id("payer_id", &request.payer_id)?,
                payer_payment: id("payer_payment_id", &request.payer_payment_id)?,
                payment: id("payment_id", &request.payment_id)?,
                hash: PaymentHash(exactly("hash", &request.hash)?),
                amount_msat: msat("amount_msat", request.amount_msat)?,
            },
            text: request.text,
        })
    }
}

impl From<AnswerClaim> for v1::AnswerClaimRequest {
    fn from(answer: AnswerClaim) -> v1::AnswerClaimRequest {
        let told = match answer.answer {
            ClaimAnswer::Credited => v1::ClaimAnswer::Credited,
            ClaimAnswer::Refused => v1::ClaimAnswer::Refused,
        };
        v1::AnswerClaimRequest {
            payer_id: id_bytes(answer.payer),
            payment_id: id_bytes(answer.payment),
            answer: told.into(),
        }
    }
}

impl TryFrom<v1::AnswerClaimRequest> for AnswerClaim {
    type Error = WireError;

    fn try_from(request: v1::AnswerClaimRequest) -> Result<AnswerClaim, WireError> {
        let answer = match v1::ClaimAnswer::try_from(request.answer) {
            Ok(v1::ClaimAnswer::Credited) => ClaimAnswer::Credited,
            Ok(v1::ClaimAnswer::Refused) => ClaimAnswer::Refused,
            Ok(v1::ClaimAnswer::Unspecified) | Err(_) => return Err(WireError::Value("answer")),
        };
        Ok(AnswerClaim {
            payer: id("payer_id", &request.payer_id)?,
            payment: id("payment_id", &request.payment_id)?,
            answer,
        })
    }
}

impl From<Receipt> for v1::BookReceiptRequest {
    fn from(receipt: Receipt) -> v1::BookReceiptRequest {
        v1::BookReceiptRequest {
            organisation_id: id_bytes(receipt.org),
            payment_id: id_bytes(receipt.payment),
            node_id: id_bytes(receipt.node),
            hash: receipt.hash.0.to_vec(),
            paid_msat: receipt.paid_msat.get(),
        }
    }
}

impl TryFrom<v1::BookReceiptRequest> for Receipt {
    type Error = WireError;

    fn try_from(request: v1::BookReceiptRequest) -> Result<Receipt, WireError> {
        Ok(Receipt {
            org: id("organisation_id", &request.organisation_id)?,
            payment: id("payment_id", &request.payment_id)?,
            node: id("node_id", &request.node_id)?,
            hash: PaymentHash(exactly("hash", &request.hash)?),
            paid_msat: msat("paid_msat", request.paid_msat)?,
        })
    }
}

fn send_terms(terms: SendTerms) -> v1::SendTerms {
    v1::SendTerms {
        wallet_id: id_bytes(terms.wallet),
        invoice: Some(invoice(terms.invoice)),
        amount_msat: terms.amount_msat,
        fee_limit_msat: terms.fee_limit_msat,
        description: terms.description,
        metadata: terms.metadata,
    }
}

fn invoice(terms: InvoiceTerms) -> v1::InvoiceTerms {
    v1::InvoiceTerms {
        text: terms.text,
        network: network_number(terms.network),
        hash: terms.hash.0.to_vec(),
        amount_msat: terms.amount_msat.map(Msat::get),
        payee: terms.payee.0.to_vec(),
        description: terms.description,
        expires_at_ms: terms.expires_at.millis(),
    }
}

fn read_invoice(terms: v1::InvoiceTerms) -> Result<InvoiceTerms, WireError> {
    Ok(InvoiceTerms {
        text: terms.text,
        network: network(terms.network)?,
        hash: PaymentHash(exactly("hash", &terms.hash)?),
        amount_msat: terms.amount_msat.map(|given| msat("amount_msat", given)).transpose()?,
        payee: public_key("payee", &terms.payee)?,
        description: terms.description,
        expires_at: Timestamp::from_millis(terms.expires_at_ms),
    })
}

fn millis(within: Duration) -> u64 {
    u64::try_from(within.as_millis()).unwrap_or(u64::MAX)
}
