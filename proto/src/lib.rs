//! Our wire: the messages, clients and servers generated from the .proto files, and the only place
//! where wire and domain meet.

pub mod convert;
pub mod status;

pub use status::Problem;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Every message and call of our wire, for whoever asks what there is.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// What callers with a key may know: the public API and nothing of the operator's.
pub fn public_descriptors() -> FileDescriptorSet {
    let mut set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the compiler wrote it");
    set.file.retain(|file| file.package() == "switchyard.v1");
    set
}

/// The services that callers with a key may ask, by their full names.
pub fn public_services() -> Vec<String> {
    let files = public_descriptors().file;
    let named = |package: &str, name: &str| format!("{package}.{name}");
    let services = files.iter().flat_map(|file| {
        file.service.iter().map(move |service| named(file.package(), service.name()))
    });
    services.collect()
}

/// Every call of our wire by its path, such as `/switchyard.v1.Payments/Send`.
pub fn calls() -> Vec<String> {
    calls_of(FILE_DESCRIPTOR_SET)
}

/// Every call of a set of descriptors, as a compiler wrote it, by its path.
pub fn calls_of(descriptors: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(descriptors).expect("a compiler wrote it");
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

/// Between the pods of a cluster.
pub mod engine {
    pub mod v1 {
        tonic::include_proto!("switchyard.engine.v1");
    }
}
