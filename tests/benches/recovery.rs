//! Recovery: the platform dies with many payments open at a node. Once the node knows how all of them ended, it
//! is started again.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use proto::v1::{PaymentStatus, SendRequest};
use tests::world::{Customer, new_id};
use tokio::time::sleep;
use tonic::Code;
use tonic::transport::Channel;

use crate::curve::{Axis, Curve, Line};
use crate::payments::CHANNELS;
use crate::scene::{POOL, Scene};
use crate::table::{Check, Workload};
use crate::{Bench, Outcome};

/// For each second that is measured: 10,000 in a whole run.
const OPEN_EACH_SECOND: u64 = 1_000;

/// The node answers so long after it was asked: all of them are open by then. The permissions of the life that
/// died have lapsed as well.
const ANSWERS_AFTER: Duration = Duration::from_secs(45);

const BEGUN_AT_ONCE: usize = 256;

/// Somebody who was refused, or not answered, asks again with the same id.
const ASK_AGAIN: Duration = Duration::from_millis(20);

const REPEATED: [Code; 3] = [Code::Unavailable, Code::ResourceExhausted, Code::DeadlineExceeded];

const LOOK_AGAIN: Duration = Duration::from_millis(20);

const ENDS_WITHIN: Duration = Duration::from_secs(180);

pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let mut scene = Scene::on_postgres(bench).await?;
    let payments = scene.payments().await?;
    let millis = u64::try_from(ANSWERS_AFTER.as_millis())?;
    scene.set_latency(millis).await?;
    let wanted = bench.timing.measure.as_secs() * OPEN_EACH_SECOND;
    begin(&scene, usize::try_from(wanted)?).await?;
    scene.world.kill_platform();
    let killed_with = payments.open().await?;
    // The last of them was begun before now.
    sleep(ANSWERS_AFTER).await;
    scene.set_latency(0).await?;

    let started = Instant::now();
    scene.world.start_platform().await?;
    let serves = Instant::now();
    let meter = scene.meter();
    let before = meter.read();
    let mut points = vec![(0.0, killed_with as f64)];
    let elapsed = loop {
        let (left, now) = (payments.open().await?, Instant::now());
        points.push(((now - started).as_secs_f64(), left as f64));
        if left == 0 {
            break now - started;
        }
        if started.elapsed() > ENDS_WITHIN {
            return Err(format!("{left} payments are open {ENDS_WITHIN:?} after the start").into());
        }
        sleep(LOOK_AGAIN).await;
    };
    let cpu = meter.read().since(&before);
    scene.world.usable(POOL.len()).await;
    let rate = killed_with as f64 / elapsed.as_secs_f64();
    Ok(vec![Workload {
        id: "recovery",
        rate,
        done: u64::try_from(killed_with)?,
        elapsed,
        cpu,
        checks: vec![
            Check::at_least("open when it died", killed_with as f64, wanted as f64, wanted as f64),
            Check::at_least("ended a second, its start included", rate, 2_000.0, 4_000.0),
            scene.audit().await,
        ],
        notes: vec![format!(
            "it served {:.2} s after it was started, and the last had ended after {:.2} s",
            (serves - started).as_secs_f64(),
            elapsed.as_secs_f64(),
        )],
        curve: Some(Curve {
            name: "recovery",
            x: Axis::linear("seconds since it was started again"),
            y: Axis::linear("payments that are open"),
            lines: vec![Line { of: "open", points }],
        }),
        ..Workload::default()
    }])
}

/// Begins all of them and waits for none.
async fn begin(scene: &Scene<'_>, count: usize) -> Outcome<()> {
    let invoices = scene.invoices_of(count).await;
    let channels: Vec<Channel> = (0..CHANNELS).map(|_| scene.world.connect()).collect();
    let begun = invoices.iter().zip(scene.customers.iter().cycle()).zip(channels.iter().cycle());
    let begun = begun.map(|((invoice, customer), channel)| begin_one(customer, channel, invoice));
    stream::iter(begun).buffer_unordered(BEGUN_AT_ONCE).try_collect().await
}

async fn begin_one(customer: &Customer, channel: &Channel, invoice: &str) -> Outcome<()> {
    let request = SendRequest { wait_seconds: 0, ..customer.send(&new_id(), invoice) };
    loop {
        match customer.payments(channel.clone()).send(request.clone()).await {
            Ok(answer) if answer.get_ref().status() == PaymentStatus::Sending => return Ok(()),
            Ok(answer) => return Err(format!("it ended: {:?}", answer.get_ref()).into()),
            Err(status) if REPEATED.contains(&status.code()) => sleep(ASK_AGAIN).await,
            Err(status) => return Err(status.into()),
        }
    }
}
