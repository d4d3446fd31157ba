//! Payments and what they are made of.

use std::sync::Arc;

use domain::{
    EnvironmentId, InvoiceTerms, Msat, Network, NodeId, OrgId, PaymentHash, PaymentId, Preimage,
    PublicKey, Timestamp, WalletId,
    lightning::{FailureId, FailureReason},
    org::{
        ClaimedBy, Incoming, IncomingState, Metadata, Outgoing, OutgoingState, PaymentFailure,
        Rail, ReceiveTerms, Resolution, Resolved, SendTerms,
    },
    payment::{Attempt, AttemptEnd, Epoch, Request},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scalar::{Durable, list, maybe, one};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outgoing")]
struct OutgoingForm {
    #[serde(with = "one")]
    id: PaymentId,
    #[serde(with = "one")]
    terms: Arc<SendTerms>,
    #[serde(with = "one")]
    environment: EnvironmentId,
    #[serde(with = "one")]
    amount_msat: Msat,
    #[serde(with = "one")]
    fee_limit_msat: Msat,
    #[serde(with = "one")]
    rail: Rail,
    #[serde(with = "list", default, skip_serializing_if = "Vec::is_empty")]
    plan: Vec<NodeId>,
    #[serde(with = "list", default, skip_serializing_if = "Vec::is_empty")]
    older_failures: Vec<(NodeId, FailureId)>,
    #[serde(with = "list", default, skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<Attempt>,
    #[serde(with = "one")]
    state: OutgoingState,
    #[serde(with = "one")]
    created_at: Timestamp,
    #[serde(with = "one")]
    updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "is_false")]
    contradicted: bool,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    resolved: Option<Box<Resolved>>,
    #[serde(default, skip_serializing_if = "is_false")]
    cancelled: bool,
}

impl Durable for Outgoing {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        OutgoingForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        OutgoingForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Resolution", rename_all = "snake_case")]
enum ResolutionForm {
    Paid {
        #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
        node: Option<NodeId>,
        #[serde(with = "one")]
        preimage: Preimage,
        #[serde(with = "one")]
        fee_msat: Msat,
    },
    Failed,
}

impl Durable for Resolution {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ResolutionForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ResolutionForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Resolved")]
struct ResolvedForm {
    #[serde(with = "one")]
    resolution: Resolution,
    evidence: String,
    #[serde(with = "one")]
    at: Timestamp,
}

impl Durable for Box<Resolved> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ResolvedForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ResolvedForm::deserialize(from).map(Box::new)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "OutgoingState", rename_all = "snake_case")]
enum OutgoingStateForm {
    Refused(#[serde(with = "one")] PaymentFailure),
    InFlight,
    Posted {
        #[serde(with = "one")]
        fee_msat: Msat,
        #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
        preimage: Option<Preimage>,
    },
    Voided(#[serde(with = "one")] PaymentFailure),
}

impl Durable for OutgoingState {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        OutgoingStateForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        OutgoingStateForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "PaymentFailure", rename_all = "snake_case")]
enum PaymentFailureForm {
    LineDisabled,
    InsufficientFunds,
    InvoiceAlreadyPaid,
    NoUsableNode,
    Node(#[serde(with = "one")] FailureReason),
    PayeeRefused,
    Cancelled,
}

impl Durable for PaymentFailure {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        PaymentFailureForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        PaymentFailureForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FailureReason", rename_all = "snake_case")]
enum FailureReasonForm {
    Timeout,
    NoRoute,
    Error,
    IncorrectPaymentDetails,
    InsufficientBalance,
    Canceled,
    Refused,
    Unreachable,
    FoundUnpaid,
}

impl Durable for FailureReason {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        FailureReasonForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        FailureReasonForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "FailureId")]
struct FailureIdForm {
    payment_index: u64,
    creation_time_ns: i64,
}

impl Durable for FailureId {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        FailureIdForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        FailureIdForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Attempt")]
struct AttemptForm {
    #[serde(with = "one")]
    node: NodeId,
    #[serde(with = "one")]
    started_at: Timestamp,
    #[serde(with = "list", default, skip_serializing_if = "Vec::is_empty")]
    requests: Vec<Request>,
    #[serde(with = "list", default, skip_serializing_if = "Vec::is_empty")]
    older_failures: Vec<FailureId>,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    end: Option<AttemptEnd>,
}

impl Durable for Attempt {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        AttemptForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        AttemptForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Request")]
struct RequestForm {
    #[serde(with = "one")]
    epoch: Epoch,
    #[serde(with = "one")]
    until: Timestamp,
    #[serde(default, skip_serializing_if = "is_false")]
    unsent: bool,
}

impl Durable for Request {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RequestForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        RequestForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "AttemptEnd", rename_all = "snake_case")]
enum AttemptEndForm {
    Paid {
        #[serde(with = "one")]
        at: Timestamp,
    },
    Failed {
        #[serde(with = "one")]
        at: Timestamp,
        #[serde(with = "one")]
        reason: FailureReason,
    },
}

impl Durable for AttemptEnd {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        AttemptEndForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        AttemptEndForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Rail", rename_all = "snake_case")]
enum RailForm {
    Internal {
        #[serde(with = "one")]
        payee: OrgId,
        #[serde(with = "one")]
        payee_payment: PaymentId,
    },
    CreditPool,
    CustomerNode(#[serde(with = "one")] NodeId),
}

impl Durable for Rail {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RailForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        RailForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "SendTerms")]
struct SendTermsForm {
    #[serde(with = "one")]
    wallet: WalletId,
    #[serde(with = "one")]
    invoice: InvoiceTerms,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_msat: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fee_limit_msat: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

impl Durable for SendTerms {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        SendTermsForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        SendTermsForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "InvoiceTerms")]
struct InvoiceTermsForm {
    text: String,
    #[serde(with = "one")]
    network: Network,
    #[serde(with = "one")]
    hash: PaymentHash,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    amount_msat: Option<Msat>,
    #[serde(with = "one")]
    payee: PublicKey,
    description: String,
    #[serde(with = "one")]
    expires_at: Timestamp,
}

impl Durable for InvoiceTerms {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        InvoiceTermsForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        InvoiceTermsForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Network", rename_all = "snake_case")]
enum NetworkForm {
    Mainnet,
    Testnet,
    Signet,
    Regtest,
    Mutinynet,
}

impl Durable for Network {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        NetworkForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        NetworkForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Incoming")]
struct IncomingForm {
    #[serde(with = "one")]
    id: PaymentId,
    #[serde(with = "one")]
    terms: ReceiveTerms,
    #[serde(with = "one")]
    environment: EnvironmentId,
    #[serde(with = "one")]
    hash: PaymentHash,
    #[serde(with = "one")]
    node: NodeId,
    #[serde(with = "one")]
    expires_at: Timestamp,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    invoice: Option<InvoiceTerms>,
    #[serde(with = "one")]
    state: IncomingState,
    #[serde(with = "one")]
    credited_msat: Msat,
    #[serde(with = "one")]
    created_at: Timestamp,
    #[serde(with = "one")]
    updated_at: Timestamp,
}

impl Durable for Incoming {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        IncomingForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IncomingForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "IncomingState", rename_all = "snake_case")]
enum IncomingStateForm {
    Generating,
    Open,
    Claimed(#[serde(with = "one")] ClaimedBy),
    Withdrawn(#[serde(with = "one")] ClaimedBy),
    Cancelling,
    Paid,
    PaidInternally(#[serde(with = "one")] ClaimedBy),
    Expired,
    Failed,
}

impl Durable for IncomingState {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        IncomingStateForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IncomingStateForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ClaimedBy")]
struct ClaimedByForm {
    #[serde(with = "one")]
    payer: OrgId,
    #[serde(with = "one")]
    payment: PaymentId,
    #[serde(with = "one")]
    amount_msat: Msat,
    #[serde(with = "one")]
    at: Timestamp,
}

impl Durable for ClaimedBy {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ClaimedByForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ClaimedByForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ReceiveTerms")]
struct ReceiveTermsForm {
    #[serde(with = "one")]
    wallet: WalletId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amount_msat: Option<u64>,
    description: String,
    expiry_seconds: u32,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

impl Durable for ReceiveTerms {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        ReceiveTermsForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ReceiveTermsForm::deserialize(from)
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}
