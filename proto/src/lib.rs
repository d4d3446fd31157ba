//! Our wire: the messages, clients and servers generated from the .proto files, and the only place
//! where wire and domain meet.

pub mod convert;
pub mod status;

pub use status::Problem;

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
