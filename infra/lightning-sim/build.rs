//! Servers for LND's own services, and our small control service.
//!
//! `voltage-tonic-lnd` brings LND's messages and clients but no servers, so the servers are
//! described by
//! hand and use its messages.

use tonic_prost_build::manual::{Builder, Method, Service};

/// Name in Rust, name on the wire, request, response, and whether the answer is a stream.
type Call = (&'static str, &'static str, &'static str, &'static str, bool);

const LIGHTNING: &[Call] = &[
    ("get_info", "GetInfo", "lnrpc::GetInfoRequest", "lnrpc::GetInfoResponse", false),
    (
        "channel_balance",
        "ChannelBalance",
        "lnrpc::ChannelBalanceRequest",
        "lnrpc::ChannelBalanceResponse",
        false,
    ),
    (
        "wallet_balance",
        "WalletBalance",
        "lnrpc::WalletBalanceRequest",
        "lnrpc::WalletBalanceResponse",
        false,
    ),
    (
        "list_channels",
        "ListChannels",
        "lnrpc::ListChannelsRequest",
        "lnrpc::ListChannelsResponse",
        false,
    ),
    (
        "pending_channels",
        "PendingChannels",
        "lnrpc::PendingChannelsRequest",
        "lnrpc::PendingChannelsResponse",
        false,
    ),
    (
        "subscribe_channel_events",
        "SubscribeChannelEvents",
        "lnrpc::ChannelEventSubscription",
        "lnrpc::ChannelEventUpdate",
        true,
    ),
    ("decode_pay_req", "DecodePayReq", "lnrpc::PayReqString", "lnrpc::PayReq", false),
    (
        "list_payments",
        "ListPayments",
        "lnrpc::ListPaymentsRequest",
        "lnrpc::ListPaymentsResponse",
        false,
    ),
    ("lookup_invoice", "LookupInvoice", "lnrpc::PaymentHash", "lnrpc::Invoice", false),
    (
        "list_invoices",
        "ListInvoices",
        "lnrpc::ListInvoiceRequest",
        "lnrpc::ListInvoiceResponse",
        false,
    ),
    (
        "subscribe_invoices",
        "SubscribeInvoices",
        "lnrpc::InvoiceSubscription",
        "lnrpc::Invoice",
        true,
    ),
    ("add_invoice", "AddInvoice", "lnrpc::Invoice", "lnrpc::AddInvoiceResponse", false),
    (
        "get_transactions",
        "GetTransactions",
        "lnrpc::GetTransactionsRequest",
        "lnrpc::TransactionDetails",
        false,
    ),
];

const STATE: &[Call] = &[
    ("get_state", "GetState", "lnrpc::GetStateRequest", "lnrpc::GetStateResponse", false),
    (
        "subscribe_state",
        "SubscribeState",
        "lnrpc::SubscribeStateRequest",
        "lnrpc::SubscribeStateResponse",
        true,
    ),
];

const ROUTER: &[Call] = &[
    ("send_payment_v2", "SendPaymentV2", "routerrpc::SendPaymentRequest", "lnrpc::Payment", true),
    (
        "track_payment_v2",
        "TrackPaymentV2",
        "routerrpc::TrackPaymentRequest",
        "lnrpc::Payment",
        true,
    ),
    ("track_payments", "TrackPayments", "routerrpc::TrackPaymentsRequest", "lnrpc::Payment", true),
];

const INVOICES: &[Call] = &[
    (
        "add_hold_invoice",
        "AddHoldInvoice",
        "invoicesrpc::AddHoldInvoiceRequest",
        "invoicesrpc::AddHoldInvoiceResp",
        false,
    ),
    (
        "settle_invoice",
        "SettleInvoice",
        "invoicesrpc::SettleInvoiceMsg",
        "invoicesrpc::SettleInvoiceResp",
        false,
    ),
    (
        "cancel_invoice",
        "CancelInvoice",
        "invoicesrpc::CancelInvoiceMsg",
        "invoicesrpc::CancelInvoiceResp",
        false,
    ),
    (
        "subscribe_single_invoice",
        "SubscribeSingleInvoice",
        "invoicesrpc::SubscribeSingleInvoiceRequest",
        "lnrpc::Invoice",
        true,
    ),
    (
        "lookup_invoice_v2",
        "LookupInvoiceV2",
        "invoicesrpc::LookupInvoiceMsg",
        "lnrpc::Invoice",
        false,
    ),
];

const VERSIONER: &[Call] =
    &[("get_version", "GetVersion", "verrpc::VersionRequest", "verrpc::Version", false)];

fn service(package: &str, name: &str, calls: &[Call]) -> Service {
    let mut service = Service::builder().package(package).name(name);
    for &(name, route, input, output, stream) in calls {
        let mut method = Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("tonic_lnd::{input}"))
            .output_type(format!("tonic_lnd::{output}"))
            .codec_path("tonic_prost::ProstCodec");
        if stream {
            method = method.server_streaming();
        }
        service = service.method(method.build());
    }
    service.build()
}

fn main() -> std::io::Result<()> {
    Builder::new().build_client(false).compile(&[
        service("lnrpc", "Lightning", LIGHTNING),
        service("lnrpc", "State", STATE),
        service("routerrpc", "Router", ROUTER),
        service("invoicesrpc", "Invoices", INVOICES),
        service("verrpc", "Versioner", VERSIONER),
    ]);
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto/control.proto");
    tonic_prost_build::configure().compile_protos(&["proto/control.proto"], &["proto"])
}
