//! lnrpc.Lightning.

use std::pin::Pin;

use futures_util::Stream;
use tonic::{Request, Response, Status};
use tonic_lnd::lnrpc;

use super::{
    Face, Wire,
    invoices::{cltv, description_hash, expiry},
    router::{amount, hash},
    server::lightning::lightning_server::Lightning,
    status,
    view::{self, Hops, msat, sat, signed},
};
use crate::model::{
    ChannelId, Hash, Msat, NewInvoice, PageOf, PaymentView, Preimage, State, from_hex, read, to_hex,
};

pub(super) const VERSION: &str = "0.20.1-beta sim";

type ChannelEvents = Pin<Box<dyn Stream<Item = Result<lnrpc::ChannelEventUpdate, Status>> + Send>>;

#[tonic::async_trait]
impl Lightning for Face {
    type SubscribeChannelEventsStream = ChannelEvents;
    type SubscribeInvoicesStream = Wire<lnrpc::Invoice>;

    async fn get_info(
        &self,
        request: Request<lnrpc::GetInfoRequest>,
    ) -> Result<Response<lnrpc::GetInfoResponse>, Status> {
        self.permit(request, "/lnrpc.Lightning/GetInfo")?;
        let node = self.node;
        let info = self.host.answer(|network, now| {
            let of = network.state().node(node);
            let channels = u32::try_from(of.channels.len()).unwrap_or(u32::MAX);
            lnrpc::GetInfoResponse {
                version: VERSION.to_owned(),
                identity_pubkey: of.pubkey.to_string(),
                alias: of.name.clone(),
                color: "#3399ff".to_owned(),
                num_active_channels: channels,
                num_peers: channels,
                block_height: network.height(now),
                block_hash: "00".repeat(32),
                best_header_timestamp: signed(network.tip_time(now).secs()),
                synced_to_chain: true,
                synced_to_graph: true,
                wallet_synced: true,
                chains: vec![chain(network.chain().name())],
                features: view::features(),
                ..Default::default()
            }
        });
        Ok(Response::new(info.await?))
    }

    async fn channel_balance(
        &self,
        request: Request<lnrpc::ChannelBalanceRequest>,
    ) -> Result<Response<lnrpc::ChannelBalanceResponse>, Status> {
        self.permit(request, "/lnrpc.Lightning/ChannelBalance")?;
        let node = self.node;
        let answer = self.host.answer(|network, _| balance(network.state(), node)).await?;
        Ok(Response::new(answer))
    }

    async fn wallet_balance(
        &self,
        request: Request<lnrpc::WalletBalanceRequest>,
    ) -> Result<Response<lnrpc::WalletBalanceResponse>, Status> {
        const ON_CHAIN_SAT: i64 = 100_000_000;
        self.permit(request, "/lnrpc.Lightning/WalletBalance")?;
        Ok(Response::new(lnrpc::WalletBalanceResponse {
            total_balance: ON_CHAIN_SAT,
            confirmed_balance: ON_CHAIN_SAT,
            reserved_balance_anchor_chan: 100_000,
            ..Default::default()
        }))
    }

    async fn list_channels(
        &self,
        request: Request<lnrpc::ListChannelsRequest>,
    ) -> Result<Response<lnrpc::ListChannelsResponse>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/ListChannels")?;
        let node = self.node;
        let channels = self.host.answer(|network, _| {
            let state = network.state();
            let ids = state.node(node).channels.iter();
            let shown = ids.map(|id| channel(state, node, *id)).filter(|channel| {
                let peer_ok = wire.peer.is_empty() || channel.remote_pubkey == to_hex(&wire.peer);
                let left_out = if channel.active { wire.inactive_only } else { wire.active_only };
                peer_ok && !left_out && !wire.private_only
            });
            shown.collect()
        });
        Ok(Response::new(lnrpc::ListChannelsResponse { channels: channels.await? }))
    }

    async fn pending_channels(
        &self,
        request: Request<lnrpc::PendingChannelsRequest>,
    ) -> Result<Response<lnrpc::PendingChannelsResponse>, Status> {
        self.permit(request, "/lnrpc.Lightning/PendingChannels")?;
        Ok(Response::new(lnrpc::PendingChannelsResponse::default()))
    }

    /// No channel opens or closes while a process lives, and without a message there is no head
    /// either.
    async fn subscribe_channel_events(
        &self,
        request: Request<lnrpc::ChannelEventSubscription>,
    ) -> Result<Response<ChannelEvents>, Status> {
        self.permit(request, "/lnrpc.Lightning/SubscribeChannelEvents")?;
        std::future::pending().await
    }

    async fn decode_pay_req(
        &self,
        request: Request<lnrpc::PayReqString>,
    ) -> Result<Response<lnrpc::PayReq>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/DecodePayReq")?;
        let chain = self.host.act(|network, _| network.chain());
        let terms = read(chain, &wire.pay_req).map_err(status)?;
        Ok(Response::new(lnrpc::PayReq {
            destination: terms.payee.to_string(),
            payment_hash: terms.hash.to_string(),
            num_satoshis: sat(terms.value),
            timestamp: signed(terms.created.secs()),
            expiry: signed(terms.expiry_seconds),
            description: terms.description,
            description_hash: terms.description_hash.map(|hash| to_hex(&hash)).unwrap_or_default(),
            cltv_expiry: signed(terms.cltv_expiry),
            payment_addr: terms.secret.to_vec(),
            num_msat: msat(terms.value),
            features: view::features(),
            ..Default::default()
        }))
    }

    async fn list_payments(
        &self,
        request: Request<lnrpc::ListPaymentsRequest>,
    ) -> Result<Response<lnrpc::ListPaymentsResponse>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/ListPayments")?;
        let of = PageOf {
            index_offset: wire.index_offset,
            most: wire.max_payments,
            reversed: wire.reversed,
            created_from: wire.creation_date_start,
            created_to: wire.creation_date_end,
        };
        let (node, incomplete) = (self.node, wire.include_incomplete);
        let page =
            self.host.answer(|network, _| network.list_payments(node, of, incomplete)).await?;
        let hops = if wire.omit_hops { Hops::Omitted } else { Hops::Shown };
        let show = |payment| view::payment(&self.directory, &PaymentView::of(payment), hops);
        Ok(Response::new(lnrpc::ListPaymentsResponse {
            payments: page.payments.iter().map(show).collect(),
            first_index_offset: page.first_index,
            last_index_offset: page.last_index,
            total_num_payments: if wire.count_total_payments { page.total } else { 0 },
        }))
    }

    async fn lookup_invoice(
        &self,
        request: Request<lnrpc::PaymentHash>,
    ) -> Result<Response<lnrpc::Invoice>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/LookupInvoice")?;
        self.look_up(named_hash(&wire)?).await
    }

    async fn list_invoices(
        &self,
        request: Request<lnrpc::ListInvoiceRequest>,
    ) -> Result<Response<lnrpc::ListInvoiceResponse>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/ListInvoices")?;
        let of = PageOf {
            index_offset: wire.index_offset,
            most: wire.num_max_invoices,
            reversed: wire.reversed,
            created_from: wire.creation_date_start,
            created_to: wire.creation_date_end,
        };
        let (node, pending) = (self.node, wire.pending_only);
        let page = self.host.answer(|network, _| network.list_invoices(node, of, pending)).await?;
        Ok(Response::new(lnrpc::ListInvoiceResponse {
            invoices: page.invoices.iter().map(view::invoice).collect(),
            first_index_offset: page.first_index,
            last_index_offset: page.last_index,
        }))
    }

    async fn subscribe_invoices(
        &self,
        request: Request<lnrpc::InvoiceSubscription>,
    ) -> Result<Response<Wire<lnrpc::Invoice>>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/SubscribeInvoices")?;
        let node = self.node;
        self.stream(view::invoice_item, |network, _, stream| {
            network.subscribe_invoices(node, wire.add_index, wire.settle_index, stream);
        })
        .await
    }

    async fn add_invoice(
        &self,
        request: Request<lnrpc::Invoice>,
    ) -> Result<Response<lnrpc::AddInvoiceResponse>, Status> {
        let wire = self.permit(request, "/lnrpc.Lightning/AddInvoice")?;
        if wire.is_amp || wire.is_blinded {
            return Err(Status::unknown("AMP and blinded invoices are not simulated"));
        }
        let preimage = match wire.r_preimage.as_slice() {
            [] => None,
            bytes => Some(
                Preimage::from_slice(bytes)
                    .ok_or_else(|| Status::unknown("invalid preimage length"))?,
            ),
        };
        let new = NewInvoice {
            preimage,
            hash: None,
            value: amount(wire.value, wire.value_msat)?,
            description_hash: description_hash(&wire.description_hash)?,
            expiry_seconds: expiry(wire.expiry)?,
            cltv_expiry: cltv(wire.cltv_expiry)?,
            private: wire.private,
            memo: wire.memo,
        };
        let node = self.node;
        let added = self.host.answer(|network, now| network.add_invoice(now, node, new)).await?;
        let invoice = added.map_err(status)?;
        Ok(Response::new(lnrpc::AddInvoiceResponse {
            r_hash: invoice.hash.bytes().to_vec(),
            payment_request: invoice.request.to_string(),
            add_index: invoice.add_index,
            payment_addr: invoice.secret.to_vec(),
        }))
    }

    async fn get_transactions(
        &self,
        request: Request<lnrpc::GetTransactionsRequest>,
    ) -> Result<Response<lnrpc::TransactionDetails>, Status> {
        self.permit(request, "/lnrpc.Lightning/GetTransactions")?;
        Ok(Response::new(lnrpc::TransactionDetails::default()))
    }
}

#[expect(deprecated, reason = "lnd still fills the old field")]
fn chain(network: &str) -> lnrpc::Chain {
    lnrpc::Chain { chain: "bitcoin".to_owned(), network: network.to_owned() }
}

/// By bytes or, the old way, by hex.
#[expect(deprecated, reason = "lnd still reads the old field")]
fn named_hash(wire: &lnrpc::PaymentHash) -> Result<Hash, Status> {
    if wire.r_hash_str.is_empty() {
        return hash(&wire.r_hash);
    }
    let bytes = from_hex(&wire.r_hash_str);
    hash(&bytes.ok_or_else(|| Status::unknown("encoding/hex: invalid byte"))?)
}

fn both(amount: Msat) -> Option<lnrpc::Amount> {
    Some(lnrpc::Amount { sat: amount.get() / 1_000, msat: amount.get() })
}

#[expect(deprecated, reason = "lnd still fills the old field")]
fn balance(state: &State, node: crate::model::NodeId) -> lnrpc::ChannelBalanceResponse {
    let mut sums = [Msat::ZERO; 4];
    for id in &state.node(node).channels {
        let (ours, theirs) = state.channels[id.index()].of(node);
        let parts = [ours.balance, theirs.balance, ours.pending, theirs.pending];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum = sum.plus(part);
        }
    }
    let [local, remote, unsettled_local, unsettled_remote] = sums;
    lnrpc::ChannelBalanceResponse {
        balance: sat(local),
        local_balance: both(local),
        remote_balance: both(remote),
        unsettled_local_balance: both(unsettled_local),
        unsettled_remote_balance: both(unsettled_remote),
        pending_open_local_balance: both(Msat::ZERO),
        pending_open_remote_balance: both(Msat::ZERO),
        ..Default::default()
    }
}

fn channel(state: &State, node: crate::model::NodeId, id: ChannelId) -> lnrpc::Channel {
    let channel = &state.channels[id.index()];
    let (ours, theirs) = channel.of(node);
    let peer = state.node(theirs.node);
    let constraints = lnrpc::ChannelConstraints {
        csv_delay: 144,
        dust_limit_sat: 354,
        max_pending_amt_msat: channel.capacity().get(),
        min_htlc_msat: 1,
        max_accepted_htlcs: channel.slots,
        ..Default::default()
    };
    lnrpc::Channel {
        active: !peer.down,
        remote_pubkey: peer.pubkey.to_string(),
        channel_point: format!("{:064x}:0", id.short()),
        chan_id: id.short(),
        capacity: sat(channel.capacity()),
        local_balance: sat(ours.balance),
        remote_balance: sat(theirs.balance),
        unsettled_balance: sat(ours.pending.plus(theirs.pending)),
        initiator: channel.ends[0].node == node,
        peer_alias: peer.name.clone(),
        chan_status_flags: "ChanStatusDefault".to_owned(),
        commitment_type: lnrpc::CommitmentType::Anchors.into(),
        local_constraints: Some(constraints),
        remote_constraints: Some(constraints),
        ..Default::default()
    }
}
