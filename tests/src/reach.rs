//! How a process is reached that has said where it is.

use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tower::service_fn;

pub(crate) fn secret_in(path: &str) -> MetadataValue<Ascii> {
    let text = std::fs::read_to_string(path).expect("a running process has its token");
    text.trim().parse().expect("a token is ASCII")
}

/// Connects when it is first needed. What many callers ask at once leaves together.
pub fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    let endpoint = endpoint.expect("an address is part of a URL");
    endpoint.connect_with_connector_lazy(service_fn(cork::connect))
}
