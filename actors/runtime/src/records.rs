//! What other pods have put on record, taken over into this one: nodes registered, stopped and let go on,
//! and the freeze.

use std::{collections::BTreeSet, sync::Arc};

use domain::NodeId;
use ports::StoreError;

use crate::{house::House, platform, reconcile};

/// As it was on record the last time. What is stopped here and not on record yet is not let go on.
#[derive(Default)]
pub(crate) struct Records {
    stopped: BTreeSet<NodeId>,
}

impl Records {
    pub(crate) async fn follow(&mut self, house: &Arc<House>) -> Result<(), StoreError> {
        follow_freeze(house).await?;
        for record in house.sockets.directory.nodes().await? {
            let (id, stopped) = (record.id, record.stopped.clone());
            match (house.node(id), stopped) {
                (None, _) => platform::adopt(house, record).await,
                (Some(node), Some(why)) => {
                    self.stopped.insert(id);
                    if !node.is_stopped() {
                        node.stop(why);
                        house.health.unusable(id);
                    }
                }
                (Some(node), None) if self.stopped.remove(&id) => node.resume(),
                (Some(_), None) => {}
            }
        }
        Ok(())
    }
}

async fn follow_freeze(house: &Arc<House>) -> Result<(), StoreError> {
    let found = house.freeze.found();
    match house.sockets.guard.frozen().await? {
        Some(why) => house.freeze.is_on_record(why),
        None if house.frozen().is_some() => {
            go_on(house, found).await?;
        }
        None => {}
    }
    Ok(())
}

/// Sends are not frozen on record any more, so they go on here too. `false`: more was found here since `found`.
pub(crate) async fn go_on(house: &Arc<House>, found: u64) -> Result<bool, StoreError> {
    // What a person has excused elsewhere must not freeze again from here.
    for node in house.nodes() {
        reconcile::recall(house, node.record.id).await?;
    }
    Ok(house.freeze.ends(found))
}
