//! The process face: LND's own RPCs over TLS, one server for each node.

mod invoices;
mod lightning;
pub(crate) mod permissions;
mod router;
mod small;
pub(crate) mod view;

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{Stream, StreamExt};
use tonic::{Request, Status, transport::server::Router};

use crate::{
    host::{Host, Stopped, Updates},
    macaroon::Keyring,
    model::{Code, Item, NodeId, Permission, Refusal, StreamId},
};
use view::Directory;

/// The servers that `build.rs` describes.
#[allow(clippy::all, unreachable_pub, reason = "generated")]
mod server {
    pub(super) mod lightning {
        include!(concat!(env!("OUT_DIR"), "/lnrpc.Lightning.rs"));
    }
    pub(super) mod state {
        include!(concat!(env!("OUT_DIR"), "/lnrpc.State.rs"));
    }
    pub(super) mod router {
        include!(concat!(env!("OUT_DIR"), "/routerrpc.Router.rs"));
    }
    pub(super) mod invoices {
        include!(concat!(env!("OUT_DIR"), "/invoicesrpc.Invoices.rs"));
    }
    pub(super) mod versioner {
        include!(concat!(env!("OUT_DIR"), "/verrpc.Versioner.rs"));
    }
}

/// One node's side of its callers.
#[derive(Clone)]
pub(crate) struct Face {
    node: NodeId,
    host: Arc<Host>,
    keyring: Arc<Keyring>,
    directory: Arc<Directory>,
}

impl Face {
    pub(crate) fn new(
        node: NodeId,
        host: Arc<Host>,
        keyring: Keyring,
        directory: Arc<Directory>,
    ) -> Face {
        Face { node, host, keyring: Arc::new(keyring), directory }
    }

    /// Every service of the node.
    pub(crate) fn routes(&self, server: &mut tonic::transport::Server) -> Router {
        server
            .add_service(server::router::router_server::RouterServer::new(self.clone()))
            .add_service(server::lightning::lightning_server::LightningServer::new(self.clone()))
            .add_service(server::invoices::invoices_server::InvoicesServer::new(self.clone()))
            .add_service(server::state::state_server::StateServer::new(self.clone()))
            .add_service(server::versioner::versioner_server::VersionerServer::new(self.clone()))
    }

    /// The macaroon is genuine and permits the method; when it ends is for the caller to check.
    fn permission<T>(&self, request: &Request<T>, method: &str) -> Result<Permission, Status> {
        let mut headers = request.metadata().get_all("macaroon").iter();
        let (Some(header), None) = (headers.next(), headers.next()) else {
            let count = request.metadata().get_all("macaroon").iter().count();
            return Err(Status::unknown(format!("expected 1 macaroon, got {count}")));
        };
        let header = header.to_str().map_err(|_| Status::unknown("encoding/hex: invalid byte"))?;
        let needs = permissions::needed(method);
        self.keyring.check(header, method, needs).map_err(Status::unknown)
    }

    /// The request, if it may be made now.
    fn permit<T>(&self, request: Request<T>, method: &str) -> Result<T, Status> {
        let permission = self.permission(&request, method)?;
        if permission.until.is_some() {
            let node = self.node;
            let node_clock = self.host.act(|network, now| network.state().node(node).clock(now));
            permission.check(node_clock).map_err(status)?;
        }
        Ok(request.into_inner())
    }

    /// A stream of what the model says, begun by `start`.
    ///
    /// As from LND's server, the answer's head goes out with the first message, so an error that
    /// comes
    /// first is the answer.
    async fn stream<T: Unpin>(
        &self,
        convert: fn(&Directory, Item) -> Option<Result<T, Status>>,
        start: impl FnOnce(&mut crate::model::Network, crate::model::Time, StreamId),
    ) -> Result<tonic::Response<Wire<T>>, Status> {
        let (id, updates) = self.host.open_stream();
        self.host.act(|network, now| start(network, now, id));
        let mut wire = Wire { first: None, updates, convert, directory: self.directory.clone() };
        match wire.next().await {
            Some(Err(status)) => return Err(status),
            first => wire.first = first,
        }
        Ok(tonic::Response::new(wire))
    }
}

/// The messages of one call.
pub(crate) struct Wire<T> {
    first: Option<Result<T, Status>>,
    updates: Updates,
    convert: fn(&Directory, Item) -> Option<Result<T, Status>>,
    directory: Arc<Directory>,
}

impl<T: Unpin> Stream for Wire<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        match Pin::new(&mut self.updates).poll_next(cx) {
            Poll::Ready(Some(item)) => Poll::Ready((self.convert)(&self.directory, item)),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl From<Stopped> for Status {
    fn from(stopped: Stopped) -> Status {
        Status::unavailable(stopped.to_string())
    }
}

pub(crate) fn status(refusal: Refusal) -> Status {
    let code = match refusal.code {
        Code::Unknown => tonic::Code::Unknown,
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::NotFound => tonic::Code::NotFound,
        Code::Unavailable => tonic::Code::Unavailable,
        Code::InvalidArgument => tonic::Code::InvalidArgument,
        Code::FailedPrecondition => tonic::Code::FailedPrecondition,
    };
    Status::new(code, refusal.text)
}
