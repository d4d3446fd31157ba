//! What pods tell each other and nobody else may read.

use domain::NodeId;
use ports::seal::{Seal, SealFailure, Sealed};

use super::Postgres;
use crate::seal::{Place, SealError};

impl Seal for Postgres {
    fn seal_macaroon(&self, node: NodeId, macaroon: &[u8]) -> Result<Sealed, SealFailure> {
        self.keys.seal(Place::Registration(node), macaroon).map_err(failure)
    }

    fn open_macaroon(&self, node: NodeId, sealed: &Sealed) -> Result<Vec<u8>, SealFailure> {
        self.keys.open(Place::Registration(node), sealed).map_err(failure)
    }
}

fn failure(error: SealError) -> SealFailure {
    SealFailure(error.to_string())
}
