//! lightning-sim
