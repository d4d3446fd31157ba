//! What an API key may do.

/// One thing that a key may do. None includes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// See everything of the environment.
    Read,
    /// Ask for money to be paid in.
    Receive,
    /// Send, and change wallets.
    Write,
    /// See and pay what is owed to the house.
    Billing,
}

impl Permission {
    pub const ALL: [Permission; 4] =
        [Permission::Read, Permission::Receive, Permission::Write, Permission::Billing];

    /// What a key may do when nobody says: everything with money but paying the house.
    pub const USUAL: [Permission; 3] = [Permission::Read, Permission::Receive, Permission::Write];

    /// The contract's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Receive => "receive",
            Self::Write => "write",
            Self::Billing => "billing",
        }
    }

    pub fn from_name(name: &str) -> Option<Permission> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}
