//! The calls whose answer is a stream of one payment's updates, with little memory for each.
//!
//! A payment may be under way for hours, and thousands at a time. The generated client keeps eight
//! kilobytes for each stream, ten times what an update needs.

use std::marker::PhantomData;

use prost::Message;
use tonic::{
    Request, Response, Status, Streaming,
    client::Grpc,
    codec::{BufferSettings, Codec},
    codegen::http::uri::PathAndQuery,
};
use tonic_lnd::lnrpc::Payment;
use tonic_prost::ProstCodec;

use super::{ANSWER_BYTES_MAX, Wire};

pub(super) const SEND: &str = "/routerrpc.Router/SendPaymentV2";
pub(super) const TRACK: &str = "/routerrpc.Router/TrackPaymentV2";

/// By how much a buffer grows, and tonic's own bound on what is sent at once.
const BUFFER_BYTES: usize = 1_024;
const YIELD_BYTES: usize = 32 * 1_024;

pub(super) async fn of<T: Message + 'static>(
    wire: &Wire,
    path: &'static str,
    request: Request<T>,
) -> Result<Response<Streaming<Payment>>, Status> {
    let mut grpc = Grpc::new(wire.line.channel()).max_decoding_message_size(ANSWER_BYTES_MAX);
    grpc.ready()
        .await
        .map_err(|error| Status::unknown(format!("Service was not ready: {error}")))?;
    let path = PathAndQuery::from_static(path);
    grpc.server_streaming(request, path, Frugal(PhantomData)).await
}

struct Frugal<T>(PhantomData<T>);

impl<T: Message + 'static> Codec for Frugal<T> {
    type Encode = T;
    type Decode = Payment;
    type Encoder = <ProstCodec<T, Payment> as Codec>::Encoder;
    type Decoder = <ProstCodec<T, Payment> as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, Payment>::raw_encoder(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, Payment>::raw_decoder(BufferSettings::new(BUFFER_BYTES, YIELD_BYTES))
    }
}
