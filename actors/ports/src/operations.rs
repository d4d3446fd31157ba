//! What an operator does to the installation as a whole: nodes, freezes, the audit.

use std::borrow::Cow;

use async_trait::async_trait;
use domain::{ErrorClass, Network, NodeId, OrgId, PaymentId, PublicKey};

use crate::{
    StoreError,
    directory::NodeRecord,
    placement::Pods,
    restore::{RestoreReport, Restoring, Thawing},
};

/// A node to register. What it says of itself is checked against what is expected here.
#[derive(Clone)]
pub struct NewNode {
    pub id: NodeId,
    /// `None`: a node of the credit pool.
    pub owner: Option<OrgId>,
    pub name: String,
    /// `host:port` of the gRPC listener.
    pub address: String,
    /// Certificates to pin, PEM; `None` for one of a public authority.
    pub certificate: Option<String>,
    pub macaroon: Vec<u8>,
    /// `None`: whichever node answers is the one that is meant.
    pub identity: Option<PublicKey>,
}

/// Why a node was not registered. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    #[error("the address must be host:port: {0}")]
    BadAddress(String),
    #[error("the certificate cannot be read: {0}")]
    BadCertificate(String),
    #[error("the macaroon cannot be read: {0}")]
    BadMacaroon(String),
    /// Carries less, or more, than Switchyard may hold.
    #[error("{}; make one with: {bake}", permissions(missing, too_much))]
    Permissions { missing: Vec<String>, too_much: Vec<String>, bake: String },
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    #[error("the node shows another certificate than the pinned one")]
    WrongCertificate,
    #[error("the node does not accept the macaroon: {0}")]
    Denied(String),
    #[error("the node is on {found}, this installation is on {}", expected.name())]
    WrongNetwork { expected: Network, found: String },
    #[error("the node is {found}, not {expected}")]
    WrongIdentity { expected: PublicKey, found: PublicKey },
    /// Its permissions would end too early or too late.
    #[error(
        "the node's clock is {0} ms ahead of ours (below zero: behind); at most 1,000 are allowed"
    )]
    ClockOff(i64),
    #[error("organisation {0} not found")]
    OrgNotFound(OrgId),
    #[error("a node with this id, name or identity is registered with other values")]
    AlreadyThere,
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn permissions(missing: &[String], too_much: &[String]) -> String {
    match (missing.is_empty(), too_much.is_empty()) {
        (false, true) => format!("the macaroon lacks {}", missing.join(", ")),
        (true, _) => format!("the macaroon may too much: {}", too_much.join(", ")),
        (false, false) => format!(
            "the macaroon lacks {} and may too much: {}",
            missing.join(", "),
            too_much.join(", ")
        ),
    }
}

impl RegisterError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::BadAddress(_)
            | Self::BadCertificate(_)
            | Self::BadMacaroon(_)
            | Self::Permissions { .. }
            | Self::WrongCertificate
            | Self::Denied(_)
            | Self::WrongNetwork { .. }
            | Self::WrongIdentity { .. } => ErrorClass::Invalid,
            Self::ClockOff(_) => ErrorClass::Rejected,
            Self::OrgNotFound(_) => ErrorClass::NotFound,
            Self::AlreadyThere => ErrorClass::Conflict,
            Self::Unreachable(_) => ErrorClass::Unavailable,
            Self::Store(error) => error.class(),
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadAddress(_) => "node_address_invalid",
            Self::BadCertificate(_) => "node_certificate_invalid",
            Self::BadMacaroon(_) => "macaroon_invalid",
            Self::Permissions { .. } => "macaroon_permissions",
            Self::Unreachable(_) => "node_unreachable",
            Self::WrongCertificate => "node_certificate_mismatch",
            Self::Denied(_) => "macaroon_denied",
            Self::WrongNetwork { .. } => "node_wrong_network",
            Self::WrongIdentity { .. } => "node_wrong_identity",
            Self::ClockOff(_) => "node_clock_off",
            Self::OrgNotFound(_) => "organisation_not_found",
            Self::AlreadyThere => "node_exists",
            Self::Store(_) => "unavailable",
        }
    }
}

/// Why sends stay frozen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThawError {
    /// By its name.
    #[error(
        "node {node} of the pool cannot be read, and what it has paid another would pay again: {why}"
    )]
    NodeNotRead { node: String, why: String },
    /// A restore has something due at the nodes.
    #[error(
        "not safe yet: {due} differences are due ({first}); first `switchyard restore --apply`, or say that \
         sends go on anyway"
    )]
    NotSafe { due: u64, first: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ThawError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NodeNotRead { .. } | Self::NotSafe { .. } => ErrorClass::Unavailable,
            Self::Store(error) => error.class(),
        }
    }

    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NodeNotRead { .. } => "node_not_read",
            Self::NotSafe { .. } => "thaw_not_safe",
            Self::Store(error) => error.code(),
        }
    }
}

/// A registered node, and whether it may be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeState {
    pub record: NodeRecord,
    /// Why it gets no sends now; `None` when it does.
    pub not_usable: Option<String>,
    pub in_flight: u32,
    pub outbound_msat: domain::Msat,
    pub inbound_msat: domain::Msat,
}

/// What the auditor looked at, and everything that is not as it must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    pub organisations: u64,
    pub payments: u64,
    pub entries: u64,
    /// Nodes whose own books were compared.
    pub nodes: u64,
    pub frozen: Option<String>,
    pub findings: Vec<AuditFinding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFinding {
    /// A stable name for programs, such as `unknown_payment_on_node`.
    pub code: Cow<'static, str>,
    pub org: Option<OrgId>,
    pub payment: Option<PaymentId>,
    pub node: Option<NodeId>,
    pub text: String,
}

#[async_trait]
pub trait Operations: Send + Sync {
    /// Checks everything that can be known about a node, stores it and begins to use it.
    async fn register_node(&self, node: NewNode) -> Result<NodeRecord, RegisterError>;

    async fn nodes(&self) -> Result<Vec<NodeState>, StoreError>;

    /// Stops a node's sends with a reason, or lets them go on. `false`: there is no such node.
    async fn stop_node(&self, id: NodeId, why: Option<&str>) -> Result<bool, StoreError>;

    /// Whether requests may come here: the lease is good and the store answers.
    async fn is_ready(&self) -> bool;

    /// Why every outgoing send is frozen, if it is.
    async fn frozen(&self) -> Result<Option<String>, StoreError>;

    /// Lets sends go on after a person has looked, and takes what differs, and the store found now, as right.
    /// Answers why they were frozen; `None`: they were not, and nothing is changed. Refused while a node of
    /// the pool cannot be read, and, unless it is to be done anyway, while a restore has something due at the
    /// nodes: sends are as frozen as before then.
    async fn thaw(&self, how: Thawing) -> Result<Option<String>, ThawError>;

    /// Which engines are alive and own what, as far as is known here, and how long their leases are good.
    async fn pods(&self) -> Result<Pods, StoreError>;

    /// Reads what every node has and tells where the ledger differs, as after a database or a node was
    /// restored. Told to apply, it reconciles what the nodes' records prove; the rest it puts on record, so
    /// that it is neither paid again nor forgotten, and freezes sends if they are not. Safe to repeat, and
    /// to be cut off.
    async fn restore(&self, how: Restoring) -> Result<RestoreReport, StoreError>;

    /// Compares journal, rows, ledger and every node's own books.
    async fn audit(&self) -> Result<AuditReport, StoreError>;
}
