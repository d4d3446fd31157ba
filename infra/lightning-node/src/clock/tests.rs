use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use domain::{InvoiceTerms, Msat, PaymentHash, Preimage, org::InvoiceEnd};
use ports::lightning::{
    NodePayment, NodeStatus, PayError, PayRequest, PayUpdate, Settlement, Stream,
};
use proptest::prelude::*;

use super::*;

/// A node whose clock is off, behind a line that takes its time.
struct Node {
    now: AtomicI64,
    offset_ms: i64,
    there_ms: i64,
    back_ms: i64,
}

impl Node {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }
}

#[async_trait]
impl LightningNode for Node {
    async fn has_lapsed(&self, until: Timestamp) -> Result<bool, NodeError> {
        let ours = self.now.fetch_add(self.there_ms, Ordering::Relaxed) + self.there_ms;
        self.now.fetch_add(self.back_ms, Ordering::Relaxed);
        Ok(ours.saturating_add(self.offset_ms) >= until.millis())
    }

    async fn pay(&self, _: &PayRequest) -> Result<Box<dyn Stream<PayUpdate>>, PayError> {
        unreachable!()
    }
    async fn track(&self, _: PaymentHash) -> Result<Option<Box<dyn Stream<PayUpdate>>>, NodeError> {
        unreachable!()
    }
    async fn make_invoice(
        &self,
        _: Preimage,
        _: Option<Msat>,
        _: &str,
        _: Timestamp,
    ) -> Result<InvoiceTerms, NodeError> {
        unreachable!()
    }
    async fn cancel_invoice(&self, _: PaymentHash) -> Result<InvoiceEnd, NodeError> {
        unreachable!()
    }
    async fn settled(&self, _: PaymentHash) -> Result<Option<Settlement>, NodeError> {
        unreachable!()
    }
    async fn status(&self) -> Result<NodeStatus, NodeError> {
        unreachable!()
    }
    async fn settlements(&self, _: u64) -> Result<Box<dyn Stream<Settlement>>, NodeError> {
        unreachable!()
    }
    async fn last_settle_index(&self) -> Result<u64, NodeError> {
        unreachable!()
    }
    async fn payments(&self, _: u64) -> Result<Vec<NodePayment>, NodeError> {
        unreachable!()
    }
}

/// The offset found, and how many probes it took.
fn measure(offset_ms: i64, there_ms: i64, back_ms: i64) -> (i64, i64) {
    const START: i64 = 1_795_465_808_123;
    let node = Node { now: AtomicI64::new(START), offset_ms, there_ms, back_ms };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let found = runtime.block_on(clock_offset(&node, || node.now())).unwrap();
    let probes = (node.now().millis() - START) / (there_ms + back_ms).max(1);
    (found, probes)
}

#[test]
fn an_offset_is_found_to_the_millisecond() {
    for offset_ms in [0, 1, -1, 999, 1_001, -1_500, 86_400_000, -86_400_000] {
        let (found, _) = measure(offset_ms, 0, 0);
        assert!((found - offset_ms).abs() <= 1, "{offset_ms} {found}");
    }
}

#[test]
fn a_right_clock_is_told_soon() {
    let (found, probes) = measure(0, 20, 20);
    assert!(found.abs() <= 40, "{found}");
    assert!(probes <= 12, "{probes}");
}

#[test]
fn a_clock_of_another_age_has_an_answer_too() {
    let (found, _) = measure(i64::MAX / 4, 1, 1);
    assert!(found >= FURTHEST_MS / 2, "{found}");
    let (found, _) = measure(-i64::MAX / 4, 1, 1);
    assert!(found <= -FURTHEST_MS / 2, "{found}");
}

proptest! {
    /// However slow the line and however lopsided: never wrong by more than one round trip.
    #[test]
    fn the_error_is_bounded_by_the_round_trip(
        offset_ms in -10_000_000i64..10_000_000,
        there_ms in 0i64..3_000,
        back_ms in 0i64..3_000,
    ) {
        let (found, probes) = measure(offset_ms, there_ms, back_ms);
        prop_assert!((found - offset_ms).abs() <= there_ms + back_ms + 1, "{found}");
        prop_assert!(probes < 60, "{probes}");
    }
}
