//! `Lnd`: the Lightning port over lnd's gRPC.
//!
//! ```text
//! status.rs     what lnd's answers and refusals mean      pay.rs      sending, and following a payment
//! receive.rs    invoices                                  settle.rs   settled invoices, none left out
//! books.rs      the node's list of payments               health.rs   identity, balances, readiness
//! updates.rs    streams of one payment
//! ```

mod books;
mod health;
mod pay;
mod receive;
mod settle;
mod status;
mod updates;

pub(crate) use health::network;

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    ErrorClass, InvoiceTerms, Msat, PaymentHash, Preimage, PublicKey, Timestamp, org::InvoiceEnd,
};
use futures_util::FutureExt as _;
use ports::{
    Clock, LightningNode,
    directory::NodeRecord,
    lightning::{
        NodeError, NodePayment, NodeStatus, PayError, PayRequest, PayUpdate, Settlement, Stream,
    },
    operations::RegisterError,
};
use tokio::time::timeout;
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_lnd::{
    invoicesrpc::invoices_client::InvoicesClient,
    lnrpc::{self, lightning_client::LightningClient, state_client::StateClient},
};

use crate::{
    channel::{self, Line, Trust},
    clock::OwnClock,
    macaroon::Macaroon,
};

/// lnd's own bound; tonic's 4 MiB are soon too few for a page of payments.
const ANSWER_BYTES_MAX: usize = 200 << 20;

/// What is needed to speak to a node.
#[derive(Clone)]
pub struct Settings {
    /// `host:port` of the gRPC listener.
    pub address: String,
    /// Certificates to pin, PEM; `None` for one of a public authority.
    pub certificate: Option<String>,
    pub macaroon: Vec<u8>,
    pub timing: Timing,
}

impl From<&NodeRecord> for Settings {
    fn from(record: &NodeRecord) -> Settings {
        Settings {
            address: record.address.clone(),
            certificate: record.certificate.clone(),
            macaroon: record.macaroon.clone(),
            timing: Timing::default(),
        }
    }
}

/// How long is waited. A stream that has begun is never given up for being quiet: only lost pings end
/// it.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// For an answer, or for a stream's first word.
    pub answer_within: Duration,
    /// As long as no invoice of the node was ever settled, its invoices are read anew so often, at
    /// first; then less and less.
    pub first_settlement_poll: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            answer_within: Duration::from_secs(20),
            first_settlement_poll: Duration::from_secs(1),
        }
    }
}

/// Why a node cannot even be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    #[error("the address must be host:port: {0}")]
    BadAddress(String),
    #[error("the certificate cannot be read: {0}")]
    BadCertificate(String),
    #[error("the macaroon cannot be read: {0}")]
    BadMacaroon(String),
}

impl ConnectError {
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::BadAddress(_) | Self::BadCertificate(_) | Self::BadMacaroon(_) => {
                ErrorClass::Invalid
            }
        }
    }
}

impl From<ConnectError> for RegisterError {
    fn from(error: ConnectError) -> RegisterError {
        match error {
            ConnectError::BadAddress(text) => RegisterError::BadAddress(text),
            ConnectError::BadCertificate(text) => RegisterError::BadCertificate(text),
            ConnectError::BadMacaroon(text) => RegisterError::BadMacaroon(text),
        }
    }
}

/// One lnd. Cheap to clone; all clones share one connection.
#[derive(Clone)]
pub struct Lnd {
    wire: Arc<Wire>,
    clock: Arc<dyn Clock>,
}

/// The connection and what authorises its calls.
struct Wire {
    line: Line,
    macaroon: Macaroon,
    /// The macaroon as it was given, in the form of a header.
    lasting: Header,
    /// The one made last for a request: all that leave under one lease share it.
    lapsing: Mutex<Option<(Timestamp, Header)>>,
    timing: Timing,
}

type Header = MetadataValue<Ascii>;

impl Lnd {
    /// Reads the settings. The connection is made by the first call, and again after it broke.
    ///
    /// Must be called within a runtime.
    pub fn connect(settings: &Settings) -> Result<Lnd, ConnectError> {
        let address = channel::address(&settings.address).map_err(ConnectError::BadAddress)?;
        let trust =
            Trust::read(settings.certificate.as_deref()).map_err(ConnectError::BadCertificate)?;
        let macaroon = Macaroon::read(&settings.macaroon)
            .map_err(|error| ConnectError::BadMacaroon(error.to_string()))?;
        let line = Line::lazy(address, trust).map_err(ConnectError::BadCertificate)?;
        let lasting = header(&macaroon);
        let (lapsing, timing) = (Mutex::new(None), settings.timing);
        let wire = Arc::new(Wire { line, macaroon, lasting, lapsing, timing });
        Ok(Lnd { wire, clock: Arc::new(OwnClock) })
    }

    /// The same node, asked by another clock than this machine's.
    #[must_use]
    pub fn by(self, clock: Arc<dyn Clock>) -> Lnd {
        Lnd { clock, ..self }
    }

    /// Whether the last handshake ended because of another certificate than the pinned ones.
    pub(crate) fn refused_certificate(&self) -> bool {
        self.wire.line.refused_certificate()
    }

    pub(crate) async fn info(&self) -> Result<lnrpc::GetInfoResponse, NodeError> {
        health::info(&self.wire).await
    }
}

fn header(macaroon: &Macaroon) -> Header {
    // Not marked as sensitive: the encoder would then repeat it in full with each request.
    Header::try_from(macaroon.to_hex()).expect("hex is a valid header")
}

impl Wire {
    fn lightning(&self) -> LightningClient<Channel> {
        LightningClient::new(self.line.channel()).max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    fn invoices(&self) -> InvoicesClient<Channel> {
        InvoicesClient::new(self.line.channel())
    }

    fn state(&self) -> StateClient<Channel> {
        StateClient::new(self.line.channel())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        under(&self.lasting, message)
    }

    /// A request that the node refuses from `until` on. Payments share the last header made.
    fn request_until<T>(&self, message: T, until: Timestamp) -> Request<T> {
        let mut last = self.lapsing.lock().unwrap_or_else(PoisonError::into_inner);
        let header = match &*last {
            Some((made_for, header)) if *made_for == until => header.clone(),
            Some(_) | None => {
                let header = header(&self.macaroon.lapsing(until));
                *last = Some((until, header.clone()));
                header
            }
        };
        drop(last);
        under(&header, message)
    }

    /// The same for a question about `until`, asked once.
    fn question_until<T>(&self, message: T, until: Timestamp) -> Request<T> {
        under(&header(&self.macaroon.lapsing(until)), message)
    }

    /// The answer, or the first word of a stream, if it comes in time.
    fn answer<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> impl Future<Output = Result<T, Status>> + Send {
        let within = self.timing.answer_within;
        timeout(within, call).map(move |in_time| match in_time {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("no answer within {within:?}"))),
        })
    }
}

fn under<T>(header: &Header, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("macaroon", header.clone());
    request
}

#[async_trait]
impl LightningNode for Lnd {
    async fn pay(&self, request: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
        pay::pay(&self.wire, request).await
    }

    async fn track(
        &self,
        hash: PaymentHash,
    ) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
        pay::track(&self.wire, hash).await
    }

    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError> {
        health::has_lapsed(&self.wire, until).await
    }

    async fn make_invoice(
        &self,
        preimage: Preimage,
        amount_msat: Option<Msat>,
        description: &str,
        expires_at: Timestamp,
    ) -> Result<InvoiceTerms, NodeError> {
        let lasts_ms = expires_at.millis_since(self.clock.now());
        receive::make(&self.wire, preimage, amount_msat, description, lasts_ms).await
    }

    async fn cancel_invoice(&self, hash: PaymentHash) -> Result<InvoiceEnd, NodeError> {
        receive::cancel(&self.wire, hash).await
    }

    async fn settled(&self, hash: PaymentHash) -> Result<Option<Settlement>, NodeError> {
        receive::settled(&self.wire, hash).await
    }

    async fn status(&self) -> Result<NodeStatus, NodeError> {
        health::status(&self.wire).await
    }

    fn connections(&self) -> u64 {
        self.wire.line.connections()
    }

    async fn settlements(&self, after: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
        settle::follow(self.wire.clone(), after).await
    }

    async fn last_settle_index(&self) -> Result<u64, NodeError> {
        settle::last_index(&self.wire).await
    }

    async fn payments(&self, after_index: u64) -> Result<Vec<NodePayment>, NodeError> {
        books::payments(&self.wire, after_index).await
    }
}

/// Reads exactly so many bytes of hex.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let nibble =
            |digit: u8| char::from(digit).to_digit(16).and_then(|it| u8::try_from(it).ok());
        *byte = nibble(digits[0])? << 4 | nibble(digits[1])?;
    }
    Some(bytes)
}

fn msat(amount: i64) -> Option<Msat> {
    u64::try_from(amount).ok().and_then(Msat::new)
}

/// The supply fits in 63 bits.
fn wire_msat(amount: Msat) -> i64 {
    amount.signed().get()
}

pub(crate) fn public_key(hex: &str) -> Option<PublicKey> {
    unhex(hex).map(PublicKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_strictly() {
        assert_eq!(unhex::<2>("0aFf"), Some([10, 255]));
        assert_eq!(unhex::<2>("0aF"), None);
        assert_eq!(unhex::<2>("0aFff0"), None);
        assert_eq!(unhex::<2>("0aF "), None);
        assert_eq!(unhex::<1>("+1"), None);
        assert_eq!(unhex::<2>("é é"), None);
    }
}
