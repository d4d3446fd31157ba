//! Which permission each method needs, and the macaroons made of them.

use crate::macaroon::{Op, URI};

/// Full method, entity, action. A method that is missing here can never be called.
const METHODS: &[(&str, &str, &str)] = &[
    ("/lnrpc.Lightning/GetInfo", "info", "read"),
    ("/lnrpc.Lightning/ChannelBalance", "offchain", "read"),
    ("/lnrpc.Lightning/WalletBalance", "onchain", "read"),
    ("/lnrpc.Lightning/ListChannels", "offchain", "read"),
    ("/lnrpc.Lightning/PendingChannels", "offchain", "read"),
    ("/lnrpc.Lightning/SubscribeChannelEvents", "offchain", "read"),
    ("/lnrpc.Lightning/DecodePayReq", "offchain", "read"),
    ("/lnrpc.Lightning/ListPayments", "offchain", "read"),
    ("/lnrpc.Lightning/LookupInvoice", "invoices", "read"),
    ("/lnrpc.Lightning/ListInvoices", "invoices", "read"),
    ("/lnrpc.Lightning/SubscribeInvoices", "invoices", "read"),
    ("/lnrpc.Lightning/GetTransactions", "onchain", "read"),
    ("/routerrpc.Router/TrackPaymentV2", "offchain", "read"),
    ("/routerrpc.Router/TrackPayments", "offchain", "read"),
    ("/verrpc.Versioner/GetVersion", "info", "read"),
    ("/routerrpc.Router/SendPaymentV2", "offchain", "write"),
    ("/lnrpc.Lightning/AddInvoice", "invoices", "write"),
    ("/invoicesrpc.Invoices/AddHoldInvoice", "invoices", "write"),
    ("/invoicesrpc.Invoices/SettleInvoice", "invoices", "write"),
    ("/invoicesrpc.Invoices/CancelInvoice", "invoices", "write"),
    ("/invoicesrpc.Invoices/SubscribeSingleInvoice", "invoices", "read"),
    ("/invoicesrpc.Invoices/LookupInvoiceV2", "invoices", "write"),
];

/// Those of the role "observe" come first in the table.
const OBSERVE: usize = 15;

pub(super) fn needed(method: &str) -> (&'static str, &'static str) {
    let found = METHODS.iter().find(|(name, ..)| *name == method);
    found.map_or(("none", "none"), |&(_, entity, action)| (entity, action))
}

fn uris(methods: &[(&str, &str, &str)]) -> Vec<Op> {
    let actions = methods.iter().map(|&(name, ..)| name.to_owned()).collect();
    vec![Op { entity: URI.to_owned(), actions }]
}

/// Of the same roles, but not served here.
const UNSERVED: &[&str] =
    &["/lnrpc.Lightning/SubscribeTransactions", "/lnrpc.Lightning/NewAddress"];

/// Roles pay, receive and observe together, each method by its name.
pub(crate) fn switchyard() -> Vec<Op> {
    let mut ops = uris(METHODS);
    ops[0].actions.extend(UNSERVED.iter().map(|&name| name.to_owned()));
    ops
}

/// Too weak to pay or to receive.
pub(crate) fn observe() -> Vec<Op> {
    uris(&METHODS[..OBSERVE])
}

/// As LND makes it: pairs of entity and action, all of them.
pub(crate) fn admin() -> Vec<Op> {
    let pair = |entity: &str, actions: &[&str]| Op {
        entity: entity.to_owned(),
        actions: actions.iter().map(|&action| action.to_owned()).collect(),
    };
    let mut ops: Vec<Op> =
        ["address", "info", "invoices", "message", "offchain", "onchain", "peers", "signer"]
            .map(|entity| pair(entity, &["read", "write"]))
            .into();
    ops[7].actions = vec!["generate".to_owned(), "read".to_owned()];
    ops.insert(3, pair("macaroon", &["generate", "read", "write"]));
    ops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn observe_cannot_write() {
        assert!(METHODS[..OBSERVE].iter().all(|(_, _, action)| *action == "read"));
        assert!(METHODS[OBSERVE..].iter().any(|(name, ..)| name.ends_with("SendPaymentV2")));
    }
}
