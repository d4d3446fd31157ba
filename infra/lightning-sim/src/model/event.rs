//! The state changes of the network, as they are written to its log.
//!
//! A log may be read by a later version of this program: variants and fields are only ever added
//! at the
//! end, and a change of an old one moves `journal::FORMAT`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    fault::Setting,
    state::{Channel, Flight, Invoice, NodeOptions, Reason, Verdict},
    value::{FlightId, Hash, Msat, NodeId, Preimage, Time},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    NodeAdded {
        name: String,
        secret: [u8; 32],
        options: NodeOptions,
        at: Time,
    },
    ChannelOpened {
        channel: Channel,
    },

    /// `add_index` is given when it is applied.
    InvoiceAdded {
        node: NodeId,
        invoice: Box<Invoice>,
    },
    InvoiceAccepted {
        node: NodeId,
        hash: Hash,
        flight: FlightId,
        amount: Msat,
        at: Time,
        /// When the HTLCs run out.
        htlcs_end: Time,
    },
    InvoiceCanceled {
        node: NodeId,
        hash: Hash,
    },

    /// The row is there. An earlier FAILED row of this hash is gone, with its attempts.
    PaymentInitiated {
        node: NodeId,
        hash: Hash,
        created: Time,
        amount: Msat,
        request: Requested,
        ends: Option<(Time, Reason)>,
    },
    /// Takes the next flight id.
    HtlcsSent {
        flight: Flight,
        warning: Option<Reason>,
    },
    FlightTurned {
        flight: FlightId,
        due: Time,
        verdict: Verdict,
    },
    /// The receiver released the preimage: liquidity moves, both ends book.
    FlightSettled {
        flight: FlightId,
        preimage: Preimage,
        at: Time,
    },
    FlightFailed {
        flight: FlightId,
        reason: Reason,
        at: Time,
    },
    /// The payer's row says FAILED; HTLCs that are out are not touched.
    PaymentFailed {
        node: NodeId,
        hash: Hash,
        reason: Reason,
        at: Time,
    },

    FaultSet {
        node: NodeId,
        setting: Setting,
    },
    FaultDrawn {
        node: NodeId,
        index: u32,
    },
    /// `None`: all of them.
    FaultsCleared {
        node: NodeId,
        name: Option<String>,
    },
    ClockSet {
        node: NodeId,
        ms: i64,
    },
    DownSet {
        node: NodeId,
        down: bool,
    },
    LatencySet {
        node: NodeId,
        ms: u64,
    },
    CopySaved {
        node: NodeId,
        copy: String,
    },
    CopyRestored {
        node: NodeId,
        copy: String,
    },
    PaymentForgotten {
        node: NodeId,
        hash: Hash,
    },
    /// Payments without an HTLC out have lost their session and fail at `ends`.
    NodeRestarted {
        node: NodeId,
        ends: Time,
    },
}

/// The text that was paid; that of an invoice of the network is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Requested {
    IssuedBy(NodeId),
    Text(Arc<str>),
    /// Keysend.
    Nothing,
}
