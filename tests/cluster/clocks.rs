//! Pods whose wall clocks are ten minutes off, one ahead and one behind. Leases run by the clock of the
//! database, permissions by that of the node, and a pod whose own is wrong agrees with the database's.

use std::{
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proto::v1::ReceiveRequest;
use tempfile::TempDir;
use tests::world::{Customer, new_id};
use tonic::transport::Channel;

use crate::{
    bed::{Bed, How},
    load::Load,
};

const CUSTOMERS: usize = 18;
const OFF_SECONDS: i64 = 600;
const INVOICE_SECONDS: u32 = 120;
/// Of what an invoice says of itself, in whole seconds, and of a slow machine.
const TOLERANCE_MS: u64 = 10_000;

/// What is left of a lease that was renewed a second ago, at the least.
const LEASE_LEFT: Duration = Duration::from_millis(3_500);

/// Builds what is put before the C library of a process.
fn other_clock(folder: &Path) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster/clock.c");
    let library = folder.join("clock.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source);
    assert!(compiler.status().expect("there is a C compiler").success());
    library.display().to_string()
}

fn off_by(library: &str, seconds: i64) -> How {
    let preload = ("LD_PRELOAD", library.to_owned());
    let environment = vec![preload, ("CLOCK_OFF_SECONDS", seconds.to_string())];
    How { environment, ..How::default() }
}

async fn invoice_ends_when_it_should(channel: &Channel, customer: &Customer) {
    let expiry_seconds = Some(INVOICE_SECONDS);
    let request = ReceiveRequest { expiry_seconds, ..customer.receive(&new_id(), Some(5_000)) };
    let made = customer.payments(channel.clone()).receive(request).await;
    let made = made.expect("an invoice can be made").into_inner();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("this clock is right");
    let ends = now + Duration::from_secs(u64::from(INVOICE_SECONDS));
    let told = Duration::from_millis(u64::try_from(made.expires_at_ms).expect("after 1970"));
    assert!(told.abs_diff(ends) <= Duration::from_millis(TOLERANCE_MS), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_whose_clocks_are_off() {
    let folder = TempDir::new().expect("there is room");
    let library = other_clock(folder.path());
    let mut bed = Bed::start(1).await;
    for (name, seconds) in [("engine-2", OFF_SECONDS), ("engine-3", -OFF_SECONDS)] {
        bed.start_engine_as(name, off_by(&library, seconds)).await;
    }
    let gateway = bed.another_gateway_as(&off_by(&library, OFF_SECONDS)).await;
    bed.settled().await;
    let customers = bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
    let owned = |name: &'static str| bed.owned_by(name, &customers);
    let (ahead, behind) = (owned("engine-2").await, owned("engine-3").await);
    let right = owned("engine-1").await;
    let before = bed.owner(&right[0].org).await;
    invoice_ends_when_it_should(&gateway, &ahead[0]).await;
    invoice_ends_when_it_should(&gateway, &behind[0]).await;
    let loads = [&right, &ahead, &behind].map(|payers| Load::begin(&bed.world, &gateway, payers));
    for load in &loads {
        load.paid(20).await;
    }
    bed.process("engine-2").kill();
    for load in &loads {
        load.paid(30).await;
    }
    let [right_seen, ahead_seen, behind_seen] = loads.map(Load::end);
    let gap = ahead_seen.await.longest_gap;
    assert!(gap >= LEASE_LEFT, "who is dead is taken over when the database says so: {gap:?}");
    let seen = (right_seen.await, behind_seen.await);
    assert_eq!((seen.0.refusals, seen.1.refusals), (Vec::new(), Vec::new()));
    assert_eq!(bed.owner(&right[0].org).await, before, "nobody has taken its lease for over");
    bed.is_sound().await;
}
