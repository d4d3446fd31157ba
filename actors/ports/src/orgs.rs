//! Sends a command to an organisation, wherever it lives.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{
    ErrorClass, OrgId, PaymentId, Rejection,
    org::{Command, Incoming, Outgoing, ReceiveTerms, Row, SendTerms},
};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrgsError {
    #[error(transparent)]
    Rejected(#[from] Rejection),
    #[error("organisation {0} not found")]
    NotFound(OrgId),
    /// Certainly not done; repeat with the same id.
    #[error("not available now: {0}")]
    Unavailable(String),
    /// Perhaps done; repeat with the same id, or read by id.
    #[error("the answer was lost: {0}")]
    Uncertain(String),
    /// Every outgoing send of the installation is frozen until a person has looked.
    #[error("sends are frozen: {0}")]
    Frozen(String),
}

impl OrgsError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Rejected(rejection) => rejection.class(),
            Self::NotFound(_) => ErrorClass::NotFound,
            Self::Unavailable(_) | Self::Frozen(_) => ErrorClass::Unavailable,
            Self::Uncertain(_) => ErrorClass::Uncertain,
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.code(),
            Self::NotFound(_) => "organisation_not_found",
            Self::Unavailable(_) => "unavailable",
            Self::Uncertain(_) => "outcome_unknown",
            Self::Frozen(_) => "sends_frozen",
        }
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
        within: Duration,
    ) -> Result<Arc<Outgoing>, OrgsError>;

    /// Requests an invoice once under this id. Answers when it has been made, or can never be, or as it
    /// stands when the time is up.
    async fn receive(
        &self,
        org: OrgId,
        payment: PaymentId,
        terms: ReceiveTerms,
        within: Duration,
    ) -> Result<Arc<Incoming>, OrgsError>;

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
