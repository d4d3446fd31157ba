//! The control face: what no real node offers, over a loopback port behind a token.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use tonic::{
    Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use crate::{
    identity,
    lnd::status,
    model::{
        ALWAYS_PPM, Hash, InvoiceState, Item, Msat, Network, NewInvoice, NodeId, PageOf,
        Permission, Preimage, SendRequest, Setting,
    },
    sim::{NodeServer, Running},
};
use proto::control_server::ControlServer;

/// Messages, client and server of `proto/control.proto`.
#[allow(clippy::all, reason = "generated")]
pub mod proto {
    tonic::include_proto!("lightning_sim.v1");
}

mod records;

pub type ControlClient = proto::control_client::ControlClient<InterceptedService<Channel, Token>>;

/// Puts the token into each call.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("token", self.0.clone());
        Ok(request)
    }
}

/// A client for a control face whose token was read from the data folder; connects at the first
/// call.
pub fn connect(address: SocketAddr, token: &str) -> Result<ControlClient, tonic::transport::Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
    let token = token.parse().unwrap_or_else(|_| MetadataValue::from_static(""));
    Ok(ControlClient::new(InterceptedService::new(channel, Token(token))))
}

#[derive(Clone)]
pub(crate) struct Control {
    running: Arc<Running>,
    token: Arc<str>,
}

type Records<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Control {
    pub(crate) fn new(running: Arc<Running>, token: String) -> Control {
        Control { running, token: Arc::from(token) }
    }

    pub(crate) fn service(
        self,
    ) -> InterceptedService<ControlServer<Control>, impl Interceptor + Clone> {
        let token = self.token.clone();
        ControlServer::with_interceptor(self, move |request: Request<()>| {
            let given = request.metadata().get("token").map(MetadataValue::as_bytes);
            if given == Some(token.as_bytes()) {
                Ok(request)
            } else {
                Err(Status::unauthenticated("the token of the data folder is needed"))
            }
        })
    }

    fn node(&self, name: &str) -> Result<&NodeServer, Status> {
        let found = self.running.nodes.iter().find(|node| node.endpoint.name == name);
        found.ok_or_else(|| Status::not_found(format!("no node named {name:?}")))
    }

    async fn change<R>(
        &self,
        node: &str,
        command: impl FnOnce(&mut Network, crate::model::Time, NodeId) -> R,
    ) -> Result<R, Status> {
        let id = self.node(node)?.id;
        Ok(self.running.host.answer(|network, now| command(network, now, id)).await?)
    }

    /// Opens or closes the node's door to match whether it is down.
    async fn match_door(&self, node: &NodeServer) -> Result<(), Status> {
        let _one_at_a_time = self.running.doors.lock().await;
        let down = self.running.host.act(|network, _| network.state().node(node.id).down);
        match (down, node.door.is_open()) {
            (true, true) => node.door.slam().await,
            (false, false) => open(node).await?,
            (true, false) | (false, true) => {}
        }
        Ok(())
    }
}

async fn open(node: &NodeServer) -> Result<(), Status> {
    let opened = node.door.open(node.endpoint.address).await;
    opened.map_err(|error| Status::internal(format!("the port cannot be opened: {error}")))?;
    Ok(())
}

fn hash(bytes: &[u8]) -> Result<Hash, Status> {
    Hash::from_slice(bytes).ok_or_else(|| Status::invalid_argument("a hash has 32 bytes"))
}

fn done() -> Result<Response<proto::Done>, Status> {
    Ok(Response::new(proto::Done {}))
}

#[tonic::async_trait]
impl proto::control_server::Control for Control {
    type AuditPaymentsStream = Records<proto::PaymentRecord>;
    type AuditInvoicesStream = Records<proto::InvoiceRecord>;
    type AuditSettlementsStream = Records<proto::Settlement>;

    async fn list_nodes(
        &self,
        _: Request<proto::ListNodesRequest>,
    ) -> Result<Response<proto::ListNodesResponse>, Status> {
        let show = |network: &mut Network, _| {
            let nodes = self.running.nodes.iter();
            nodes.map(|node| records::node(network, node)).collect()
        };
        let nodes = self.running.host.answer(show).await?;
        Ok(Response::new(proto::ListNodesResponse { nodes }))
    }

    async fn create_invoice(
        &self,
        request: Request<proto::CreateInvoiceRequest>,
    ) -> Result<Response<proto::CreateInvoiceResponse>, Status> {
        let wire = request.into_inner();
        let secret = match wire.hold {
            true => Some(Preimage::new(
                identity::random().map_err(|error| Status::internal(error.to_string()))?,
            )),
            false => None,
        };
        let new = NewInvoice {
            memo: wire.description,
            hash: secret.map(|preimage| preimage.hash()),
            value: Msat::new(wire.amount_msat),
            expiry_seconds: wire.expiry_seconds,
            ..NewInvoice::default()
        };
        let add = |network: &mut Network, now, node| network.add_invoice(now, node, new);
        let invoice = self.change(&wire.node, add).await?.map_err(status)?;
        Ok(Response::new(proto::CreateInvoiceResponse {
            payment_request: invoice.request.to_string(),
            payment_hash: invoice.hash.bytes().to_vec(),
            preimage: secret.map(|preimage| preimage.bytes().to_vec()).unwrap_or_default(),
        }))
    }

    async fn lookup_invoice(
        &self,
        request: Request<proto::LookupInvoiceRequest>,
    ) -> Result<Response<proto::InvoiceRecord>, Status> {
        let wire = request.into_inner();
        let hash = hash(&wire.payment_hash)?;
        let find =
            |network: &mut Network, _, node| network.invoice(node, hash).map(records::invoice);
        let found = self.change(&wire.node, find).await?;
        found.map(Response::new).ok_or_else(|| Status::not_found("no such invoice"))
    }

    async fn settle_invoice(
        &self,
        request: Request<proto::SettleInvoiceRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let preimage = Preimage::from_slice(&wire.preimage)
            .ok_or_else(|| Status::invalid_argument("a preimage has 32 bytes"))?;
        let settle = |network: &mut Network, now, node| network.settle_invoice(now, node, preimage);
        self.change(&wire.node, settle).await?.map_err(status)?;
        done()
    }

    async fn cancel_invoice(
        &self,
        request: Request<proto::CancelInvoiceRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let hash = hash(&wire.payment_hash)?;
        let cancel = |network: &mut Network, now, node| network.cancel_invoice(now, node, hash);
        self.change(&wire.node, cancel).await?.map_err(status)?;
        done()
    }

    async fn pay(
        &self,
        request: Request<proto::PayRequest>,
    ) -> Result<Response<proto::PaymentRecord>, Status> {
        let wire = request.into_inner();
        let node = self.node(&wire.node)?.id;
        let host = &self.running.host;
        let send = SendRequest {
            payment_request: wire.payment_request.clone(),
            amount: Msat::new(wire.amount_msat),
            fee_limit: Msat::new(wire.fee_limit_msat),
            may_overpay: true,
            ..SendRequest::default()
        };
        let (stream, mut updates) = host.open_stream();
        host.act(|network, now| network.send(now, node, send, Permission::default(), stream));
        let until_end = async {
            while let Some(item) = updates.next().await {
                match item {
                    Item::Payment(view) if view.is_final() || wire.wait_ms == 0 => break,
                    Item::Broken(refusal) => return Err(status(*refusal)),
                    Item::Payment(_) | Item::Invoice(_) => {}
                    Item::End => break,
                }
            }
            Ok(())
        };
        const ACCEPTANCE_MS: u64 = 5_000;
        let wait_ms = if wire.wait_ms == 0 { ACCEPTANCE_MS } else { wire.wait_ms };
        if let Ok(ended) = tokio::time::timeout(Duration::from_millis(wait_ms), until_end).await {
            ended?;
        }
        let show = |network: &mut Network, _| {
            let hash = network.hash_of(&wire.payment_request)?;
            Ok(records::payment(network, node, hash))
        };
        let record = host.answer(show).await?.map_err(status)?;
        record.map(Response::new).ok_or_else(|| Status::not_found("no such payment"))
    }

    async fn lookup_payment(
        &self,
        request: Request<proto::LookupPaymentRequest>,
    ) -> Result<Response<proto::PaymentRecord>, Status> {
        let wire = request.into_inner();
        let hash = hash(&wire.payment_hash)?;
        let find = |network: &mut Network, _, node| records::payment(network, node, hash);
        let found = self.change(&wire.node, find).await?;
        found.map(Response::new).ok_or_else(|| Status::not_found("no such payment"))
    }

    async fn set_fault(
        &self,
        request: Request<proto::SetFaultRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let fault =
            wire.fault.parse().map_err(|error| Status::invalid_argument(format!("{error}")))?;
        let setting = Setting {
            fault,
            times_left: (wire.times > 0).then_some(wire.times),
            ppm: if wire.ppm == 0 { ALWAYS_PPM } else { wire.ppm },
            seed: wire.seed,
            draws: 0,
        };
        let set = |network: &mut Network, now, node| network.set_fault(now, node, setting);
        let set = self.change(&wire.node, set).await?;
        set.map_err(|error| Status::invalid_argument(error.to_string()))?;
        self.match_door(self.node(&wire.node)?).await?;
        done()
    }

    async fn clear_faults(
        &self,
        request: Request<proto::ClearFaultsRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let name = (!wire.fault.is_empty()).then_some(wire.fault.as_str());
        self.change(&wire.node, |network, now, node| network.clear_faults(now, node, name)).await?;
        self.match_door(self.node(&wire.node)?).await?;
        done()
    }

    async fn release_payment(
        &self,
        request: Request<proto::ReleasePaymentRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let hash = hash(&wire.payment_hash)?;
        let release = |network: &mut Network, now, node| match wire.fail {
            true => network.release_failed(now, node, hash),
            false => network.release(now, node, hash),
        };
        self.change(&wire.node, release).await?.map_err(status)?;
        done()
    }

    async fn set_latency(
        &self,
        request: Request<proto::SetLatencyRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let ms = wire.latency_ms;
        self.change(&wire.node, |network, _, node| network.set_latency(node, ms)).await?;
        done()
    }

    async fn restart_node(
        &self,
        request: Request<proto::RestartNodeRequest>,
    ) -> Result<Response<proto::Done>, Status> {
        let wire = request.into_inner();
        let node = self.node(&wire.node)?;
        let _one_at_a_time = self.running.doors.lock().await;
        if wire.kill {
            node.door.slam().await;
            self.change(&wire.node, |network, now, node| network.kill(now, node)).await?;
        } else {
            self.change(&wire.node, |network, now, node| network.restart(now, node)).await?;
            node.door.close().await;
        }
        tokio::time::sleep(Duration::from_millis(wire.down_ms)).await;
        if !self.running.host.act(|network, _| network.state().node(node.id).down) {
            open(node).await?;
        }
        done()
    }

    async fn audit_payments(
        &self,
        request: Request<proto::AuditRequest>,
    ) -> Result<Response<Records<proto::PaymentRecord>>, Status> {
        let node = self.node(&request.into_inner().node)?.id;
        let page = move |network: &mut Network, after| {
            let of = PageOf { index_offset: after, most: PAGE, ..PageOf::default() };
            let page = network.list_payments(node, of, true);
            let rows = page.payments.iter();
            let records = rows.filter_map(|row| records::payment(network, node, row.hash));
            (records.collect(), page.last_index)
        };
        Ok(Response::new(pages(self.running.clone(), page)))
    }

    async fn audit_invoices(
        &self,
        request: Request<proto::AuditRequest>,
    ) -> Result<Response<Records<proto::InvoiceRecord>>, Status> {
        let node = self.node(&request.into_inner().node)?.id;
        let page = move |network: &mut Network, after| {
            let of = PageOf { index_offset: after, most: PAGE, ..PageOf::default() };
            let page = network.list_invoices(node, of, false);
            (page.invoices.iter().map(records::invoice).collect(), page.last_index)
        };
        Ok(Response::new(pages(self.running.clone(), page)))
    }

    async fn audit_settlements(
        &self,
        request: Request<proto::AuditSettlementsRequest>,
    ) -> Result<Response<Records<proto::Settlement>>, Status> {
        let at_least = request.into_inner().at_least;
        let all = |network: &mut Network, _| records::settlements(network, at_least);
        let all = self.running.host.answer(all).await?;
        Ok(Response::new(Box::pin(stream::iter(all.into_iter().map(Ok)))))
    }
}

const PAGE: u64 = 1_000;

/// Reads page after page, so that a long list does not hold up the network.
fn pages<T: Send + 'static>(
    running: Arc<Running>,
    page: impl Fn(&mut Network, u64) -> (Vec<T>, u64) + Send + Sync + 'static,
) -> Records<T> {
    let page = Arc::new(page);
    let read = move |after: u64| {
        let (running, page) = (running.clone(), page.clone());
        async move {
            match running.host.answer(|network, _| page(network, after)).await {
                Ok((_, 0)) => None,
                Ok((records, last)) => {
                    Some((records.into_iter().map(Ok).collect::<Vec<_>>(), last))
                }
                Err(stopped) => Some((vec![Err(Status::from(stopped))], u64::MAX)),
            }
        }
    };
    Box::pin(stream::unfold(0, read).flat_map(stream::iter))
}

/// For records: the words of the invoice states.
fn invoice_state(state: InvoiceState) -> &'static str {
    match state {
        InvoiceState::Open => "OPEN",
        InvoiceState::Accepted => "ACCEPTED",
        InvoiceState::Settled => "SETTLED",
        InvoiceState::Canceled => "CANCELED",
    }
}
