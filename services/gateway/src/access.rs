//! What a key must be allowed to do for a call, on either face.

use std::net::IpAddr;

use axum::extract::Request;
use domain::{ErrorClass, Permission};
use proto::Problem;
use tonic::transport::server::TcpConnectInfo;

use crate::auth::Caller;

/// What a key must be allowed to do for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Read,
    Write,
    /// Receives; a handler that can tell a send from a receive asks again for the send.
    ReceiveOrWrite,
}

impl Need {
    /// Any of these will do.
    pub(crate) fn permissions(self) -> &'static [Permission] {
        match self {
            Need::Read => &[Permission::Read],
            Need::Write => &[Permission::Write],
            Need::ReceiveOrWrite => &[Permission::Receive, Permission::Write],
        }
    }

    /// Refuses a key that may not.
    pub(crate) fn check(self, caller: &Caller) -> Result<(), Problem> {
        let wanted = self.permissions();
        if wanted.iter().any(|permission| caller.permissions.has(*permission)) {
            return Ok(());
        }
        let words: Vec<_> = wanted.iter().map(|permission| word(*permission)).collect();
        let message = format!("the key lacks the permission {}", words.join(" or "));
        Err(Problem::new(ErrorClass::Denied, "access_rights", message))
    }
}

/// The contract's name of a permission.
pub(crate) fn word(permission: Permission) -> &'static str {
    match permission {
        Permission::Read => "Read",
        Permission::Receive => "Receive",
        Permission::Write => "Write",
        Permission::Billing => "Billing",
    }
}

/// The other end of the connection.
pub(crate) fn peer(request: &Request) -> Option<IpAddr> {
    let connection = request.extensions().get::<TcpConnectInfo>()?;
    Some(connection.remote_addr()?.ip())
}
