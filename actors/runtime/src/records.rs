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
    frozen: bool,
}

impl Records {
    pub(crate) async fn follow(&mut self, house: &Arc<House>) -> Result<(), StoreError> {
        self.follow_freeze(house).await?;
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

    async fn follow_freeze(&mut self, house: &Arc<House>) -> Result<(), StoreError> {
        match house.sockets.guard.frozen().await? {
            Some(why) => {
                self.frozen = true;
                house.is_frozen(why);
            }
            None if self.frozen => {
                // What a person has excused elsewhere must not freeze again from here.
                for node in house.nodes() {
                    reconcile::recall(house, node.record.id).await?;
                }
                self.frozen = false;
                house.thawed();
            }
            None => {}
        }
        Ok(())
    }
}
