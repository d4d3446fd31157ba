//! Events.

use std::sync::Arc;

use domain::{
    EnvironmentId, InvoiceTerms, LineId, Msat, NodeId, OrgId, PaymentHash, PaymentId, Preimage,
    Timestamp, WalletId,
    ledger::{Account, Entry, Posting, Side},
    lightning::{FailureId, FailureReason},
    money::Currency,
    org::{
        Backing, ClaimedBy, Event, Metadata, PaymentFailure, Rail, ReceiveTerms, Resolution,
        SendTerms,
    },
    payment::Epoch,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::scalar::{Borrowed, Durable, Stored, list, maybe, one};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Event", rename_all = "snake_case")]
enum EventForm {
    EnvironmentCreated {
        #[serde(with = "one")]
        environment: EnvironmentId,
        name: String,
    },
    EnvironmentRenamed {
        #[serde(with = "one")]
        environment: EnvironmentId,
        name: String,
    },
    LineOpened {
        #[serde(with = "one")]
        line: LineId,
        #[serde(with = "one")]
        environment: EnvironmentId,
        #[serde(with = "one")]
        limit_msat: Msat,
    },
    LineLimitSet {
        #[serde(with = "one")]
        line: LineId,
        #[serde(with = "one")]
        limit_msat: Msat,
    },
    LineDisabled {
        #[serde(with = "one")]
        line: LineId,
    },
    LineEnabled {
        #[serde(with = "one")]
        line: LineId,
    },
    NodeFundsSet {
        #[serde(with = "one")]
        node: NodeId,
        #[serde(with = "one")]
        funds_msat: Msat,
    },
    WalletCreated {
        #[serde(with = "one")]
        wallet: WalletId,
        #[serde(with = "one")]
        environment: EnvironmentId,
        name: String,
        #[serde(with = "one")]
        backing: Backing,
        #[serde(with = "one")]
        limit_msat: Msat,
        #[serde(default, skip_serializing_if = "Metadata::is_empty")]
        metadata: Metadata,
    },
    WalletLimitSet {
        #[serde(with = "one")]
        wallet: WalletId,
        #[serde(with = "one")]
        limit_msat: Msat,
    },
    WalletRenamed {
        #[serde(with = "one")]
        wallet: WalletId,
        name: String,
    },
    WalletDeleted {
        #[serde(with = "one")]
        wallet: WalletId,
    },
    SendRefused {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        terms: Arc<SendTerms>,
        #[serde(with = "one")]
        amount_msat: Msat,
        #[serde(with = "one")]
        fee_limit_msat: Msat,
        #[serde(with = "one")]
        rail: Rail,
        #[serde(with = "one")]
        failure: PaymentFailure,
    },
    Held {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        terms: Arc<SendTerms>,
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
    },
    AttemptStarted {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        hash: PaymentHash,
        number: u32,
        #[serde(with = "one")]
        node: NodeId,
        #[serde(with = "one")]
        epoch: Epoch,
        #[serde(with = "one")]
        until: Timestamp,
    },
    RequestIssued {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        epoch: Epoch,
        #[serde(with = "one")]
        until: Timestamp,
    },
    RequestUnsent {
        #[serde(with = "one")]
        payment: PaymentId,
        request: u32,
    },
    AttemptFailed {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        node: NodeId,
        #[serde(with = "one")]
        hash: PaymentHash,
        #[serde(with = "one")]
        reason: FailureReason,
        #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
        failure: Option<FailureId>,
    },
    Posted {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        fee_msat: Msat,
        #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
        preimage: Option<Preimage>,
        #[serde(with = "one")]
        entry: Entry,
    },
    Voided {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        hash: PaymentHash,
        #[serde(with = "one")]
        failure: PaymentFailure,
    },
    Contradicted {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        node: NodeId,
        #[serde(with = "one")]
        hash: PaymentHash,
        #[serde(with = "one")]
        paid_msat: Msat,
        #[serde(with = "one")]
        fee_msat: Msat,
    },
    Resolved {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        resolution: Resolution,
        evidence: String,
        #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
        correction: Option<Entry>,
    },
    CancelRequested {
        #[serde(with = "one")]
        payment: PaymentId,
    },
    InvoiceRequested {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        terms: ReceiveTerms,
        #[serde(with = "one")]
        hash: PaymentHash,
        #[serde(with = "one")]
        node: NodeId,
        #[serde(with = "one")]
        expires_at: Timestamp,
    },
    InvoiceMade {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        invoice: InvoiceTerms,
    },
    InvoiceNotMade {
        #[serde(with = "one")]
        payment: PaymentId,
    },
    Received {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        amount_msat: Msat,
        #[serde(with = "one")]
        entry: Entry,
    },
    InvoiceExpired {
        #[serde(with = "one")]
        payment: PaymentId,
    },
    InvoiceClaimed {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        by: ClaimedBy,
    },
    ClaimCredited {
        #[serde(with = "one")]
        payment: PaymentId,
        #[serde(with = "one")]
        entry: Entry,
    },
    ClaimWithdrawn {
        #[serde(with = "one")]
        payment: PaymentId,
    },
    ClaimRefused {
        #[serde(with = "one")]
        payer: OrgId,
        #[serde(with = "one")]
        payer_payment: PaymentId,
        #[serde(with = "one")]
        payment: PaymentId,
    },
    InvoiceWithdrawn {
        #[serde(with = "one")]
        payment: PaymentId,
    },
}

impl Durable for Event {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        EventForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        EventForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Account", rename_all = "snake_case")]
enum AccountForm {
    Wallet(#[serde(with = "one")] WalletId),
    Node(#[serde(with = "one")] NodeId),
    Clearing,
}

impl Durable for Account {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        AccountForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        AccountForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "snake_case")]
enum SideForm {
    Debit,
    Credit,
}

impl Durable for Side {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        SideForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        SideForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Currency", rename_all = "snake_case")]
enum CurrencyForm {
    Btc,
}

impl Durable for Currency {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        CurrencyForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        CurrencyForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Posting")]
struct PostingForm {
    #[serde(with = "one")]
    account: Account,
    #[serde(with = "one")]
    side: Side,
    #[serde(with = "one")]
    amount_msat: Msat,
}

impl Durable for Posting {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        PostingForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        PostingForm::deserialize(from)
    }
}

#[derive(Serialize)]
struct WritingEntry<'a> {
    currency: Borrowed<'a, Currency>,
    #[serde(with = "list")]
    postings: &'a [Posting],
}

#[derive(Deserialize)]
struct ReadingEntry {
    currency: Stored<Currency>,
    postings: Vec<Stored<Posting>>,
}

/// An entry that does not balance is not read.
impl Durable for Entry {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let currency = self.currency();
        WritingEntry { currency: Borrowed(&currency), postings: self.postings() }.serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let ReadingEntry { currency: Stored(currency), postings } = Deserialize::deserialize(from)?;
        let postings = postings.into_iter().map(|Stored(posting)| posting).collect();
        Entry::from_postings(currency, postings)
            .ok_or_else(|| de::Error::custom("an entry that does not balance"))
    }
}
