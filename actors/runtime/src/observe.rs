//! What an operator may look at while it runs. Gauges that need a walk are set here, when somebody looks.

use metrics::gauge;
use ports::StoreError;

use crate::{
    meters::{counted, show_msat, shown},
    open_payments::Sum,
    platform::Platform,
};

impl Platform {
    /// Sets every gauge that memory has the answer for.
    pub fn observe(&self) {
        let house = &self.house;
        for (number, lane) in house.lanes.iter().enumerate() {
            let queue = gauge!("switchyard_lane_queue", "lane" => number.to_string());
            queue.set(counted(lane.waiting()));
            let gate = gauge!("switchyard_gate_queue", "lane" => number.to_string());
            gate.set(counted(lane.gate.waiting()));
            let wait = gauge!("switchyard_lane_wait_seconds", "lane" => number.to_string());
            wait.set(house.longest_wait(lane).as_secs_f64());
        }
        let now = house.now();
        let (live, quarantined) = house.registry.census(now);
        gauge!("switchyard_organisations_live").set(counted(live));
        gauge!("switchyard_organisations_quarantined").set(counted(quarantined));

        let Sum { count, amount_msat, oldest } = house.open_payments.sum();
        gauge!("switchyard_in_flight").set(counted(count));
        show_msat("switchyard_in_flight_msat", amount_msat);
        let oldest_ms = oldest.map_or(0, |oldest| now.millis_since(oldest));
        gauge!("switchyard_oldest_in_flight_seconds").set(seconds(oldest_ms));

        gauge!("switchyard_frozen").set(f64::from(u8::from(house.frozen().is_some())));
        gauge!("switchyard_lease_seconds_left").set(seconds(house.lease.millis_left()));
        self.observe_nodes();
    }

    fn observe_nodes(&self) {
        for node in self.house.nodes() {
            let seen = self.house.health.of(node.record.id);
            let usable = seen.usable && node.not_usable().is_none();
            let name = &node.record.name;
            gauge!("switchyard_node_usable", "node" => name.clone())
                .set(f64::from(u8::from(usable)));
            gauge!("switchyard_node_in_flight", "node" => name.clone())
                .set(f64::from(seen.in_flight));
            gauge!("switchyard_node_outbound_msat", "node" => name.clone())
                .set(shown(seen.outbound_msat.get()));
            gauge!("switchyard_node_inbound_msat", "node" => name.clone())
                .set(shown(seen.inbound_msat.get()));
        }
    }

    /// Sets the gauges that only the store has the answer for.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    pub async fn observe_store(&self) -> Result<(), StoreError> {
        let open = self.house.sockets.receipts.open_receipts().await?;
        gauge!("switchyard_inbox_open").set(counted(open.len()));
        Ok(())
    }

    /// Whether this process may answer: another has not taken over, and its lease has not run out.
    pub fn holds_lease(&self) -> bool {
        self.house.lease.is_good()
    }
}

/// Nothing here is ever before its beginning; a clock that was put back shows 0.
fn seconds(millis: i64) -> f64 {
    std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs_f64()
}
