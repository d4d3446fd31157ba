//! Identities: one type for each kind of thing, so that two cannot be exchanged.

use std::{fmt, marker::PhantomData, str::FromStr};

use uuid::Uuid;

/// An identity of one `Kind` of thing: a UUID that never changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<Kind> {
    uuid: Uuid,
    kind: PhantomData<Kind>,
}

impl<Kind> Id<Kind> {
    pub const fn new(uuid: Uuid) -> Self {
        Id { uuid, kind: PhantomData }
    }

    pub const fn uuid(&self) -> &Uuid {
        &self.uuid
    }
}

impl<Kind> fmt::Display for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.fmt(f)
    }
}

impl<Kind> fmt::Debug for Id<Kind> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uuid.fmt(f)
    }
}

impl<Kind> FromStr for Id<Kind> {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Id::new)
    }
}

/// The kinds of things that have an identity. None of them is ever made.
pub mod kind {
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Org {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Environment {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Wallet {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Payment {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Line {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Node {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Key {}
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Session {}
}

/// An organisation: the customer.
pub type OrgId = Id<kind::Org>;
/// A named part of an organisation.
pub type EnvironmentId = Id<kind::Environment>;
/// A wallet of an organisation.
pub type WalletId = Id<kind::Wallet>;
/// A payment, outgoing or incoming. Chosen by the caller; unique in its organisation.
pub type PaymentId = Id<kind::Payment>;
/// A line of credit.
pub type LineId = Id<kind::Line>;
/// A Lightning node that we may call.
pub type NodeId = Id<kind::Node>;
/// An API key.
pub type KeyId = Id<kind::Key>;
/// One life of one process.
pub type SessionId = Id<kind::Session>;
