//! A connection to one node that trusts one certificate, or those of the public authorities.
//!
//! LND's own certificate is self-signed with CA:true, which rustls does not take for a server's; so
//! its bytes are compared instead, and only the signature of the handshake is left to rustls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint, Uri};
use tower::service_fn;

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// LND says too_many_pings to more than one in 5 s, or to any without an open stream.
const PING_EVERY: Duration = Duration::from_secs(30);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// A page of payments is some megabytes; one that is read slowly must not hold up thousands of streams.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 32 << 20;
/// Calls that wait for the connection's task; more wait in their callers.
const CALLS_QUEUED: usize = 4_096;

/// Streams that we left before their end and whose last words are still to be expected. Those of more
/// would count as faults of the node, and a thousand faults would end the connection under all others.
const STREAMS_LEFT: usize = 4_096;

/// Whom to believe that it is the node.
#[derive(Clone, Debug)]
pub(crate) enum Trust {
    /// One of these, byte by byte; several let a certificate be replaced without a gap.
    Pinned(Vec<CertificateDer<'static>>),
    PublicAuthorities,
}

impl Trust {
    pub(crate) fn read(pem: Option<&str>) -> Result<Trust, String> {
        let Some(pem) = pem else { return Ok(Trust::PublicAuthorities) };
        if pem.contains("PRIVATE KEY") {
            return Err("it holds a private key, which must stay with the node".to_owned());
        }
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let pins = read.map_err(|error| error.to_string())?;
        if pins.is_empty() {
            return Err("it holds no certificate in PEM form".to_owned());
        }
        for pin in &pins {
            ParsedCertificate::try_from(pin).map_err(|error| error.to_string())?;
        }
        Ok(Trust::Pinned(pins))
    }
}

/// `https://host:port` of `host:port`.
pub(crate) fn address(text: &str) -> Result<Uri, String> {
    let uri: Uri = format!("https://{text}").parse().map_err(|_| text.to_owned())?;
    let whole = uri.authority().is_some_and(|authority| authority.as_str() == text);
    let port = uri.port_u16().is_some_and(|port| port != 0);
    let named = uri.host().is_some_and(|host| !host.is_empty());
    if whole && port && named && !text.contains('@') { Ok(uri) } else { Err(text.to_owned()) }
}

/// A connection that is made on the first call, and again on the first call after it broke.
#[derive(Clone)]
pub(crate) struct Line {
    channel: Channel,
    refused: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
}

impl Line {
    /// Needs a runtime, in which its task lives.
    pub(crate) fn lazy(to: Uri, trust: Trust) -> Result<Line, String> {
        let endpoint = Endpoint::from(to)
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .keep_alive_while_idle(false)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_concurrent_reset_streams(STREAMS_LEFT)
            .http2_max_local_error_reset_streams(None)
            .buffer_size(CALLS_QUEUED);
        let refused = Arc::new(AtomicBool::new(false));
        let endpoint = match trust {
            Trust::Pinned(pins) => {
                // The name goes unchecked; the bytes say more.
                let tls = ClientTlsConfig::new()
                    .domain_name("lnd")
                    .assume_http2(true)
                    .timeout(CONNECT_WITHIN);
                let provider = ring::default_provider();
                let pin = Pin { pins, provider, refused: refused.clone() };
                endpoint.tls_config_with_verifier(tls, Arc::new(pin))
            }
            Trust::PublicAuthorities => {
                let tls = ClientTlsConfig::new().assume_http2(true).timeout(CONNECT_WITHIN);
                // A machine may have no authorities of its own.
                let own = endpoint.clone().tls_config(tls.clone().with_enabled_roots());
                own.or_else(|_| endpoint.tls_config(tls.with_webpki_roots()))
            }
        };
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        let connections = Arc::<AtomicU64>::default();
        let count = connections.clone();
        let channel = endpoint.connect_with_connector_lazy(service_fn(move |to| {
            let count = count.clone();
            async move {
                // A commit starts many payments at once, and their requests leave together.
                let connected = cork::connect(to).await;
                count.fetch_add(u64::from(connected.is_ok()), Ordering::AcqRel);
                connected
            }
        }));
        Ok(Line { channel, refused, connections })
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// How many have been made, whatever came of them.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }

    /// Whether the last handshake ended because of another certificate than the pinned ones.
    pub(crate) fn refused_certificate(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }
}

#[derive(Debug)]
struct Pin {
    pins: Vec<CertificateDer<'static>>,
    provider: CryptoProvider,
    refused: Arc<AtomicBool>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let known = self.pins.iter().any(|pin| pin == leaf);
        self.refused.store(!known, Ordering::Release);
        if known {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
