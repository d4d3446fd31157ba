//! A gRPC connection to one lnd under one macaroon, for the harness's own calls.

use std::sync::Arc;
use std::time::Duration;

use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use tonic_lnd::invoicesrpc::invoices_client::InvoicesClient;
use tonic_lnd::lnrpc::lightning_client::LightningClient;
use tonic_lnd::lnrpc::state_client::StateClient;
use tonic_lnd::routerrpc::router_client::RouterClient;

use super::pin::Pin;

/// ListPayments outgrows tonic's 4 MiB; lnd's own bound is 200 MiB.
const ANSWER_BYTES_MAX: usize = 200 * 1024 * 1024;

type Authorised = InterceptedService<Channel, Macaroon>;

/// Cheap to clone; connects again by itself after the node was down.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    macaroon: Macaroon,
}

impl Client {
    /// Connects on the first call. `address` is `https://127.0.0.1:PORT`.
    pub(crate) fn new(address: &str, cert_pem: &str, macaroon_hex: &str) -> Client {
        let tls = ClientTlsConfig::new().domain_name("localhost").assume_http2(true);
        let channel = Endpoint::from_shared(address.to_owned())
            .expect("an address")
            .connect_timeout(Duration::from_secs(5))
            .tls_config_with_verifier(tls, Arc::new(Pin::from_pem(cert_pem)))
            .expect("a valid TLS configuration")
            .connect_lazy();
        Client { channel, macaroon: Macaroon::new(macaroon_hex) }
    }

    /// The same connection under another macaroon.
    pub(crate) fn with_macaroon(&self, macaroon_hex: &str) -> Client {
        Client { channel: self.channel.clone(), macaroon: Macaroon::new(macaroon_hex) }
    }

    pub(crate) fn lightning(&self) -> LightningClient<Authorised> {
        LightningClient::with_interceptor(self.channel.clone(), self.macaroon.clone())
            .max_decoding_message_size(ANSWER_BYTES_MAX)
    }

    pub(crate) fn router(&self) -> RouterClient<Authorised> {
        RouterClient::with_interceptor(self.channel.clone(), self.macaroon.clone())
    }

    pub(crate) fn invoices(&self) -> InvoicesClient<Authorised> {
        InvoicesClient::with_interceptor(self.channel.clone(), self.macaroon.clone())
    }

    /// Needs no macaroon.
    pub(crate) fn state(&self) -> StateClient<Channel> {
        StateClient::new(self.channel.clone())
    }
}

#[derive(Clone)]
pub(crate) struct Macaroon(MetadataValue<Ascii>);

impl Macaroon {
    fn new(hex: &str) -> Macaroon {
        Macaroon(hex.parse().expect("hex is a valid header"))
    }
}

impl Interceptor for Macaroon {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("macaroon", self.0.clone());
        Ok(request)
    }
}
