//! Our wire: the messages, clients and servers generated from the .proto files, and the only place
//! where wire and domain meet.

pub mod convert;
pub mod status;

pub use status::Problem;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Every message and call of our wire, for whoever asks what there is.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// Every call of our wire by its path, such as `/switchyard.v1.Payments/Send`.
pub fn calls() -> Vec<String> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the compiler wrote it");
    let mut calls = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                calls.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    calls
}

/// The public API.
pub mod v1 {
    tonic::include_proto!("switchyard.v1");
}

/// For the operator.
pub mod admin {
    pub mod v1 {
        tonic::include_proto!("switchyard.admin.v1");
    }
}
