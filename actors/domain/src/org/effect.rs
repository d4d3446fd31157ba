//! What happens after a commit. Every effect is safe to repeat: it carries ids that were committed.

use crate::{
    Msat, NodeId, OrgId, PaymentHash, PaymentId, Timestamp,
    org::{ClaimAnswer, ClaimRequest},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Sends one journaled request, then follows until there is something to report.
    Pay {
        payment: PaymentId,
        attempt: u32,
        request: u32,
        node: NodeId,
        hash: PaymentHash,
        invoice: String,
        /// Only for an invoice without amount.
        amount_msat: Option<Msat>,
        fee_limit_msat: Msat,
        until: Timestamp,
    },
    /// Asks the node about an attempt and follows it.
    LookUp { payment: PaymentId, attempt: u32, request: u32, node: NodeId, hash: PaymentHash },
    /// The same, begun only after the node has said that a permission of `until` is over.
    LookUpOnceLapsed {
        payment: PaymentId,
        attempt: u32,
        request: u32,
        node: NodeId,
        hash: PaymentHash,
        until: Timestamp,
    },
    /// The node contradicted itself or its record: it gets no more sends until a person has looked.
    StopNode { node: NodeId, payment: PaymentId },

    /// Makes the invoice of a committed receive; its preimage is in the sealed store.
    MakeInvoice {
        payment: PaymentId,
        node: NodeId,
        hash: PaymentHash,
        amount_msat: Option<Msat>,
        description: String,
        expires_at: Timestamp,
    },
    /// Cancels an invoice on its node and reports how it ended.
    CancelInvoice { payment: PaymentId, node: NodeId, hash: PaymentHash },

    /// Asks the payee's organisation for its invoice.
    Claim { payee: OrgId, request: ClaimRequest, text: String },
    /// Tells the payer's organisation how its claim ended.
    AnswerClaim { payer: OrgId, payment: PaymentId, answer: ClaimAnswer },
}
