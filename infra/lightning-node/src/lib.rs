//! lightning-node
