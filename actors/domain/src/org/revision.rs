//! Since when each kind of event is written. Pods of several versions share a store while they are
//! replaced, so a kind is written only once the oldest that lives can read it (`architecture` 8.10).

use crate::org::Event;

/// Everything that is written in a store, up to some kind of event or field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(i16);

impl Revision {
    /// What every version reads that may share a store with this one, and what one reads that says
    /// nothing.
    pub const FIRST: Revision = Revision(1);
    pub const RENAMED_ENVIRONMENTS: Revision = Revision(2);

    /// As it is stored.
    pub const fn new(number: i16) -> Revision {
        Revision(number)
    }

    pub const fn number(self) -> i16 {
        self.0
    }
}

impl Event {
    /// What a process must read to share a store that holds this.
    ///
    /// A new kind has the next revision, and comes with a migration: by its number the schema refuses an
    /// older version that is started later. Rows change by events only, so a field that an older version
    /// would not keep is counted with the events that fill it, whatever their kind is.
    pub const fn revision(&self) -> Revision {
        match self {
            Self::EnvironmentRenamed { .. } => Revision::RENAMED_ENVIRONMENTS,
            Self::EnvironmentCreated { .. }
            | Self::LineOpened { .. }
            | Self::LineLimitSet { .. }
            | Self::LineDisabled { .. }
            | Self::LineEnabled { .. }
            | Self::NodeFundsSet { .. }
            | Self::WalletCreated { .. }
            | Self::WalletLimitSet { .. }
            | Self::WalletRenamed { .. }
            | Self::WalletDeleted { .. }
            | Self::SendRefused { .. }
            | Self::Held { .. }
            | Self::AttemptStarted { .. }
            | Self::RequestIssued { .. }
            | Self::RequestUnsent { .. }
            | Self::AttemptFailed { .. }
            | Self::Posted { .. }
            | Self::Voided { .. }
            | Self::Contradicted { .. }
            | Self::Resolved { .. }
            | Self::CancelRequested { .. }
            | Self::InvoiceRequested { .. }
            | Self::InvoiceMade { .. }
            | Self::InvoiceNotMade { .. }
            | Self::Received { .. }
            | Self::InvoiceExpired { .. }
            | Self::InvoiceClaimed { .. }
            | Self::ClaimCredited { .. }
            | Self::ClaimWithdrawn { .. }
            | Self::ClaimRefused { .. }
            | Self::InvoiceWithdrawn { .. } => Revision::FIRST,
        }
    }
}
