//! Sends a command to an organisation, wherever it lives.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    ErrorClass, OrgId, PaymentId, Rejection, SessionId,
    org::{ClaimAnswer, ClaimRequest, Command, Incoming, Outgoing, ReceiveTerms, Row, SendTerms},
};

use crate::receipts::OpenReceipt;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrgsError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("organisation {0} not found")]
    NotFound(OrgId),
    /// Certainly not done; repeat with the same id.
    #[error("not available now: {0}")]
    Unavailable(String),
    /// Certainly not done, and refused before it was put in line: it would have waited for too long.
    #[error("too much work is waiting; come back in {} ms", retry_after.as_millis())]
    Busy {
        /// When there is likely to be room.
        retry_after: Duration,
    },
    /// Perhaps done; repeat with the same id, or read by id.
    #[error("the answer was lost: {0}")]
    Uncertain(String),
    /// Every outgoing send of the installation is frozen until a person has looked.
    #[error("sends are frozen: {0}")]
    Frozen(String),
    /// Certainly not done: what it would have written is not known to the versions of all pods that live.
    /// It can be done once they are replaced.
    #[error("pods of an older version cannot read this yet: {0}")]
    OlderPods(String),
    /// Certainly not done: the organisation lives in another pod, or is on its way there.
    #[error("the organisation is moving to another process")]
    NotOwner {
        /// As far as is known here.
        owner: Option<SessionId>,
    },
}

impl OrgsError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Rejected(rejection) => rejection.class(),
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Unavailable(_)
            | Self::Busy { .. }
            | Self::Frozen(_)
            | Self::OlderPods(_)
            | Self::NotOwner { .. } => ErrorClass::Unavailable,
            Self::Uncertain(_) => ErrorClass::Uncertain,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::NotFound(_) => "organisation_not_found",
            Self::Unavailable(_) => "unavailable",
            Self::Busy { .. } => "busy",
            Self::Uncertain(_) => "outcome_unknown",
            Self::Frozen(_) => "sends_frozen",
            Self::OlderPods(_) => "older_pods",
            Self::NotOwner { .. } => "owner_moving",
        }
    }
}

/// A payment as it stands, for whoever asked to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered<T> {
    pub payment: T,
    /// Its id had been taken before, with the same terms: this call has made nothing new. Of calls that
    /// come together, all but one are repeats.
    pub repeat: bool,
}

/// How long a caller waits for a new payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within {
    /// Until then for its end; the answer then is how the payment stands.
    pub end: Duration,
    /// Until then at all, if there is a deadline: what has not been begun by then is not begun any more.
    pub begin: Option<Duration>,
}

impl From<Duration> for Within {
    fn from(end: Duration) -> Within {
        Within { end, begin: None }
    }
}

/// Every answer is committed before it is given.
#[async_trait]
pub trait Orgs: Send + Sync {
    /// Sends once under this id, whatever is repeated: the same terms get the same payment. Answers when
    /// it has ended, or as it stands when the time is up; what was committed goes on without its caller.
    async fn send(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: SendTerms,
        within: Within,
    ) -> Result<Answered<Arc<Outgoing>>, OrgsError>;

    /// Requests an invoice once under this id. Answers when it has been made, or can never be, or as it
    /// stands when the time is up.
    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        within: Within,
    ) -> Result<Answered<Arc<Incoming>>, OrgsError>;

    /// Says that the payment is wanted no more. Answers when it has ended, or as it stands when the time
    /// is up: an open invoice is withdrawn unless it was paid before, and for a send nothing more is
    /// tried. What is in flight goes on and keeps its hold.
    async fn cancel(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError>;

    /// Environments, lines, node funds, wallets and limits.
    async fn administer(&self, org: OrgId, command: Command) -> Result<(), OrgsError>;

    /// The payment once it has ended (or, incoming, once it has its invoice), or as it stands when the
    /// time is up.
    async fn wait(
        &self,
        org: OrgId,
        payment: PaymentId,
        within: Duration,
    ) -> Result<Row, OrgsError>;
}

/// What one organisation, or a node, asks of an organisation that may live in another pod. Every call is
/// safe to repeat, and is repeated until it was taken.
#[async_trait]
pub trait Peers: Send + Sync {
    /// A payer asks to pay an open invoice of the payee (the internal rail).
    async fn claim(
        &self,
        payee: OrgId,
        request: ClaimRequest,
        text: String,
    ) -> Result<(), OrgsError>;

    /// The payee's committed answer.
    async fn answer_claim(
        &self,
        payer: OrgId,
        payment: PaymentId,
        answer: ClaimAnswer,
    ) -> Result<(), OrgsError>;

    /// Books a receipt of the inbox.
    async fn book_receipt(&self, receipt: OpenReceipt) -> Result<(), OrgsError>;
}
