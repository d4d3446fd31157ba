//! How a process is reached that has said where it is.

use tonic::{
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};

pub(crate) fn secret_in(path: &str) -> MetadataValue<Ascii> {
    let text = std::fs::read_to_string(path).expect("a running process has its token");
    text.trim().parse().expect("a token is ASCII")
}

/// Connects when it is first needed.
pub fn channel(address: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}"));
    endpoint.expect("an address is part of a URL").tcp_nodelay(true).connect_lazy()
}
