//! routerrpc.Router.

use tonic::{Request, Response, Status};
use tonic_lnd::{lnrpc, routerrpc};

use super::{Face, Wire, server::router::router_server::Router, view};
use crate::model::{Hash, Msat, Preimage, Pubkey, SendRequest};

const KEYSEND_RECORD: u64 = 5_482_373_484;

#[tonic::async_trait]
impl Router for Face {
    type SendPaymentV2Stream = Wire<lnrpc::Payment>;
    type TrackPaymentV2Stream = Wire<lnrpc::Payment>;
    type TrackPaymentsStream = Wire<lnrpc::Payment>;

    async fn send_payment_v2(
        &self,
        request: Request<routerrpc::SendPaymentRequest>,
    ) -> Result<Response<Wire<lnrpc::Payment>>, Status> {
        let permission = self.permission(&request, "/routerrpc.Router/SendPaymentV2")?;
        // What cannot be read is answered only after the permission has been looked at.
        let request = match read(request.into_inner()) {
            Ok(request) => request,
            Err(status) => {
                let node = self.node;
                let clock = self.host.act(|network, now| network.state().node(node).clock(now));
                permission.check(clock).map_err(super::status)?;
                return Err(status);
            }
        };
        let node = self.node;
        self.stream(view::payment_item, |network, now, stream| {
            network.send(now, node, request, permission, stream);
        })
        .await
    }

    async fn track_payment_v2(
        &self,
        request: Request<routerrpc::TrackPaymentRequest>,
    ) -> Result<Response<Wire<lnrpc::Payment>>, Status> {
        let request = self.permit(request, "/routerrpc.Router/TrackPaymentV2")?;
        let hash = hash(&request.payment_hash)?;
        let node = self.node;
        self.stream(view::payment_item, |network, _, stream| {
            let quiet = request.no_inflight_updates;
            if let Err(refusal) = network.track(node, hash, quiet, stream) {
                network.refuse(stream, refusal);
            }
        })
        .await
    }

    async fn track_payments(
        &self,
        request: Request<routerrpc::TrackPaymentsRequest>,
    ) -> Result<Response<Wire<lnrpc::Payment>>, Status> {
        let request = self.permit(request, "/routerrpc.Router/TrackPayments")?;
        let node = self.node;
        self.stream(view::payment_item, |network, _, stream| {
            network.track_all(node, request.no_inflight_updates, stream);
        })
        .await
    }
}

pub(super) fn hash(bytes: &[u8]) -> Result<Hash, Status> {
    Hash::from_slice(bytes)
        .ok_or_else(|| Status::unknown(format!("invalid hash length of {}, want 32", bytes.len())))
}

/// One of two fields for an amount, as LND reads them.
pub(super) fn amount(sat: i64, msat: i64) -> Result<Msat, Status> {
    if sat != 0 && msat != 0 {
        return Err(Status::unknown("sat and msat arguments are mutually exclusive"));
    }
    let negative = |_| Status::unknown("amount cannot be negative");
    let (sat, msat) =
        (u64::try_from(sat).map_err(negative)?, u64::try_from(msat).map_err(negative)?);
    Ok(Msat::from_sat(sat).plus(Msat::new(msat)))
}

fn read(wire: routerrpc::SendPaymentRequest) -> Result<SendRequest, Status> {
    if wire.amp {
        return Err(Status::unknown("AMP payments are not simulated"));
    }
    if !(-1.0..=1.0).contains(&wire.time_pref) {
        return Err(Status::unknown("time preference out of range"));
    }
    let positive = |number: i32, what: &str| {
        u32::try_from(number).map_err(|_| Status::unknown(format!("{what} cannot be negative")))
    };
    let keysend = match wire.dest_custom_records.get(&KEYSEND_RECORD) {
        Some(bytes) => Some(
            Preimage::from_slice(bytes)
                .ok_or_else(|| Status::unknown("invalid keysend preimage length"))?,
        ),
        None => None,
    };
    if wire.first_hop_custom_records.keys().any(|key| *key < 65_536) {
        return Err(Status::unknown("custom records must be in the custom range"));
    }
    Ok(SendRequest {
        amount: amount(wire.amt, wire.amt_msat)?,
        fee_limit: amount(wire.fee_limit_sat, wire.fee_limit_msat)?,
        destination: match wire.dest.as_slice() {
            [] => None,
            key => Some(Pubkey(key.try_into().map_err(|_| Status::unknown("invalid key length"))?)),
        },
        hash: if wire.payment_hash.is_empty() { None } else { Some(hash(&wire.payment_hash)?) },
        keysend,
        final_cltv_delta: positive(wire.final_cltv_delta, "final cltv delta")?,
        cltv_limit: positive(wire.cltv_limit, "cltv limit")?,
        max_parts: wire.max_parts,
        max_shard: match wire.max_shard_size_msat {
            0 => None,
            most => Some(Msat::new(most)),
        },
        outgoing: wire.outgoing_chan_ids,
        allow_self_payment: wire.allow_self_payment,
        no_inflight_updates: wire.no_inflight_updates,
        payment_request: wire.payment_request,
        may_overpay: false,
    })
}
