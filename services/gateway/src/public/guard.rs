//! The same door for gRPC: the same keys, the same permissions, the same rate.

use std::{net::IpAddr, sync::Arc};

use axum::{extract::Request, http::HeaderMap};
use proto::Problem;

use crate::{
    access::{Need, peer},
    auth::Caller,
    edge::Edge,
    problem,
};

const OURS: &str = "/switchyard.v1.";

/// Calls that change nothing begin with one of these.
const READING: [&str; 8] =
    ["Get", "List", "Watch", "Follow", "Ledger", "Decode", "Summary", "History"];

/// The request with its [`Caller`] among its extensions, or why it is refused.
pub(super) async fn admitted(edge: Arc<Edge>, mut request: Request) -> Result<Request, Problem> {
    // Reflection and health are for everybody.
    let Some(need) = need(request.uri().path()) else { return Ok(request) };
    let from = peer(&request);
    match admit(&edge, request.headers(), from, need).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(request)
        }
        Err(problem) => {
            problem::report(request.uri().path(), &problem);
            Err(problem)
        }
    }
}

async fn admit(
    edge: &Edge,
    headers: &HeaderMap,
    from: Option<IpAddr>,
    need: Need,
) -> Result<Caller, Problem> {
    let caller = edge.keys.admit(headers, from).await?;
    edge.rates.take(caller.key).map_err(|exceeded| exceeded.problem())?;
    need.check(&caller)?;
    Ok(caller)
}

/// What a call needs; one that nobody has thought of here needs the most. `None`: it is not ours.
pub(super) fn need(path: &str) -> Option<Need> {
    let (_, call) = path.strip_prefix(OURS)?.split_once('/')?;
    Some(match call {
        "Receive" | "Estimate" | "Cancel" => Need::ReceiveOrWrite,
        reads if READING.iter().any(|begin| reads.starts_with(begin)) => Need::Read,
        _ => Need::Write,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_need_what_they_do() {
        for (path, wanted) in [
            ("/switchyard.v1.Payments/Send", Some(Need::Write)),
            ("/switchyard.v1.Payments/Receive", Some(Need::ReceiveOrWrite)),
            ("/switchyard.v1.Payments/GetPayment", Some(Need::Read)),
            ("/switchyard.v1.Payments/SendStream", Some(Need::Write)),
            ("/switchyard.v1.Payments/Estimate", Some(Need::ReceiveOrWrite)),
            ("/switchyard.v1.Payments/Cancel", Some(Need::ReceiveOrWrite)),
            ("/switchyard.v1.Payments/Summary", Some(Need::Read)),
            ("/switchyard.v1.Payments/History", Some(Need::Read)),
            ("/switchyard.v1.Events/Follow", Some(Need::Read)),
            ("/switchyard.v1.Events/List", Some(Need::Read)),
            ("/switchyard.v1.Nodes/List", Some(Need::Read)),
            ("/switchyard.v1.Lines/ChangeSandbox", Some(Need::Write)),
            ("/switchyard.v1.Wallets/Create", Some(Need::Write)),
            ("/switchyard.v1.Wallets/Ledger", Some(Need::Read)),
            ("/switchyard.v1.Wallets/Delete", Some(Need::Write)),
            ("/grpc.health.v1.Health/Check", None),
        ] {
            assert_eq!(need(path), wanted, "{path}");
        }
    }
}
