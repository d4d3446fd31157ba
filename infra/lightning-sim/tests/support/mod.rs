//! A client as the platform's own: the certificate pinned, the macaroon in each call.

use std::sync::Arc;

use lightning_sim::Endpoint;
use rustls::{
    DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, ClientTlsConfig},
};
use tonic_lnd::{
    invoicesrpc::invoices_client::InvoicesClient, lnrpc::lightning_client::LightningClient,
    lnrpc::state_client::StateClient, routerrpc::router_client::RouterClient,
};

#[derive(Debug)]
struct Pin(CertificateDer<'static>, Arc<CryptoProvider>);

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if *leaf == self.0 {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(rustls::Error::General("another certificate than the pinned one".to_owned()))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.1.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.1.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

#[derive(Clone)]
pub(crate) struct Macaroon(Option<MetadataValue<Ascii>>);

impl Interceptor for Macaroon {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(macaroon) = &self.0 {
            request.metadata_mut().insert("macaroon", macaroon.clone());
        }
        Ok(request)
    }
}

pub(crate) type Wire = InterceptedService<Channel, Macaroon>;

#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) lightning: LightningClient<Wire>,
    pub(crate) router: RouterClient<Wire>,
    pub(crate) invoices: InvoicesClient<Wire>,
    pub(crate) state: StateClient<Wire>,
}

pub(crate) fn channel(address: &str, pinned_pem: &str) -> Channel {
    let leaf = CertificateDer::from_pem_slice(pinned_pem.as_bytes()).unwrap();
    let pin = Arc::new(Pin(leaf, Arc::new(ring::default_provider())));
    let tls = ClientTlsConfig::new().domain_name("localhost").assume_http2(true);
    tonic::transport::Endpoint::from_shared(format!("https://{address}"))
        .unwrap()
        .initial_connection_window_size(16 << 20)
        .tls_config_with_verifier(tls, pin)
        .unwrap()
        .connect_lazy()
}

pub(crate) fn client(endpoint: &Endpoint, macaroon_hex: &str) -> Client {
    over(channel(&endpoint.address.to_string(), &endpoint.tls_cert_pem), macaroon_hex)
}

pub(crate) fn over(channel: Channel, macaroon_hex: &str) -> Client {
    let macaroon = (!macaroon_hex.is_empty()).then(|| macaroon_hex.parse().unwrap());
    let wire = InterceptedService::new(channel, Macaroon(macaroon));
    Client {
        lightning: LightningClient::new(wire.clone()).max_decoding_message_size(200 << 20),
        router: RouterClient::new(wire.clone()),
        invoices: InvoicesClient::new(wire.clone()),
        state: StateClient::new(wire),
    }
}

/// Adds a first-party caveat to a macaroon in hex, as any holder can.
pub(crate) fn with_caveat(macaroon_hex: &str, caveat: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let bytes = lightning_sim::model::from_hex(macaroon_hex).unwrap();
    let (body, signature) = bytes.split_at(bytes.len() - 32);
    // Before the signature: the mark of the caveats' end, then the signature's own head.
    let (body, end) = body.split_at(body.len() - 3);
    assert_eq!(end, [0, 6, 32]);
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(signature).unwrap();
    mac.update(caveat.as_bytes());
    let mut out = body.to_vec();
    out.extend([2, u8::try_from(caveat.len()).unwrap()]);
    out.extend(caveat.as_bytes());
    out.extend([0]);
    out.extend(end);
    out.extend(mac.finalize().into_bytes());
    lightning_sim::model::to_hex(&out)
}
