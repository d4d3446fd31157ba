//! switchyard.v1.Lines

use domain::{LineId, Network, SignedMsat, Timestamp, money::Currency, org::Line};

use super::{WireError, id};
use crate::v1;

pub fn line_id(request_id: &str) -> Result<LineId, WireError> {
    id("id", request_id)
}

pub fn line(network: Network, id: LineId, line: &Line) -> v1::Line {
    let held = line.funds.held_msat;
    let used = held.signed().checked_sub(line.funds.net_msat).unwrap_or(SignedMsat::ZERO);
    v1::Line {
        id: id.to_string(),
        environment_id: line.environment.to_string(),
        limit_msat: line.funds.limit_msat.get(),
        allocated_msat: line.allocated_msat.get(),
        used_msat: used.floor_at_zero().get(),
        available_msat: line.funds.available().get(),
        held_msat: held.get(),
        currency: Currency::Btc.code().to_owned(),
        network: network.name().to_owned(),
        created_at_ms: line.created_at.millis(),
        disabled_at_ms: line.disabled_at.map(Timestamp::millis),
    }
}
