//! Faults of every kind under load, as the dice fall (`make chaos`).
//!
//! `CHAOS_SEED=n` says which, otherwise a seed is drawn; `CHAOS_SECONDS=n` says for how long. The seed is told
//! first, and the same one strikes with the same faults in the same order at the same times.

#![allow(clippy::print_stdout, reason = "what happened must be known to be repeated")]

use std::{
    collections::BTreeMap,
    env,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use lightning_sim::control_proto::{ClearFaultsRequest, RestartNodeRequest, SetFaultRequest};
use tests::{
    postgres::Postgres,
    process::{Process, STOPS_WITHIN},
    redis::Redis,
    way::Way,
    world::Setup,
};
use tokio::{
    task::JoinHandle,
    time::{sleep_until, timeout},
};

use crate::{
    bed::{Bed, How},
    load::Load,
    plan::{Act, ENGINES, Line, NODES, plan},
};

const SECONDS: u64 = 60;
const CUSTOMERS: usize = 12;
const CLOCK_OFF: &str = "clock:5000";
const LIE: &str = "for i = 1, 500 do redis.call('publish', 'switchyard:grown', ARGV[1]) end";

const CALM_WITHIN: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number: {text}")))
}

struct Chaos {
    bed: Bed,
    redis: Redis,
    to_redis: Way,
    engines: BTreeMap<&'static str, How>,
    nodes: BTreeMap<&'static str, Way>,
    starting: BTreeMap<&'static str, JoinHandle<Result<Process, String>>>,
}

impl Chaos {
    async fn begin() -> Chaos {
        let (postgres, redis) = (Postgres::start(), Redis::start());
        let to_redis = Way::to(redis.port()).await;
        let flags = vec!["--redis".to_owned(), format!("redis://{}", to_redis.address())];
        let (mut engines, mut nodes) = (BTreeMap::new(), BTreeMap::new());
        for name in ENGINES {
            let how = How {
                flags: flags.clone(),
                to_database: Some(Way::to(postgres.port()).await),
                from_pods: Some(Way::nowhere().await),
                ..How::default()
            };
            engines.insert(name, how);
        }
        for name in NODES {
            nodes.insert(name, Way::nowhere().await);
        }
        let ways_to_nodes = nodes.iter().map(|(name, way)| (*name, way.clone())).collect();
        let setup = Setup { flags, ways_to_nodes, ..Setup::default() };
        let bed = Bed::start_on(postgres, engines.values().cloned().collect(), setup).await;
        Chaos { bed, redis, to_redis, engines, nodes, starting: BTreeMap::new() }
    }

    fn way(&self, line: Line) -> &Way {
        let way = match line {
            Line::Database(engine) => self.engines[engine].to_database.as_ref(),
            Line::Engine(engine) => self.engines[engine].from_pods.as_ref(),
            Line::Node(node) => self.nodes.get(node),
            Line::Redis => Some(&self.to_redis),
        };
        way.expect("each of them has one")
    }

    /// An engine that was started again may have waited for the end of its last lease.
    async fn is_there(&mut self, engine: &'static str) {
        if let Some(started) = self.starting.remove(engine) {
            let started = started.await.expect("starting does not panic");
            self.bed.is_running(engine, started.expect("it starts"));
        }
    }

    async fn act(&mut self, act: Act) {
        match act {
            Act::Kill(engine) => {
                self.is_there(engine).await;
                self.bed.process(engine).kill();
            }
            Act::Terminate(engine) => {
                self.is_there(engine).await;
                self.bed.signal(engine, "-TERM");
            }
            Act::Start(engine) => {
                let ended = self.bed.process(engine).ends_within(STOPS_WITHIN).await;
                assert!(ended.is_some(), "{}", self.bed.process(engine).said());
                let started = self.bed.engine_aside(engine, self.engines[engine].clone());
                self.starting.insert(engine, tokio::spawn(started));
            }
            Act::Stop(engine) => {
                self.is_there(engine).await;
                self.bed.signal(engine, "-STOP");
            }
            Act::Continue(engine) => self.bed.signal(engine, "-CONT"),
            Act::Shut(line) => self.way(line).shut(),
            Act::Silence(line) => self.way(line).fall_silent(),
            Act::Mend(line) => self.way(line).open(),
            Act::Cut(line) => self.way(line).cut_once(),
            Act::Fault { node, fault, times } => self.fault(node, fault, times).await,
            Act::KillNode { node, down_ms } => {
                let request = RestartNodeRequest { node: node.to_owned(), kill: true, down_ms };
                let mut outside = self.bed.world.outside();
                // Answered when it is back.
                tokio::spawn(async move { outside.restart_node(request).await });
            }
            Act::ClockOff(node) => self.fault(node, CLOCK_OFF, 0).await,
            Act::ClockRight(node) => {
                let request =
                    ClearFaultsRequest { node: node.to_owned(), fault: "clock".to_owned() };
                self.bed.world.outside().clear_faults(request).await.expect("it can be cleared");
            }
            Act::RestartDatabase => self.bed.restart_database(),
            Act::CrashDatabase => {
                self.bed.database().kill9();
                self.bed.restart_database();
            }
            Act::FlushRedis => self.redis.cli(&["flushall"]),
            Act::LieByRedis => self.redis.cli(&["eval", LIE, "0", "0123456789abcdef"]),
        }
    }

    async fn fault(&self, node: &str, fault: &str, times: u64) {
        let (node, fault) = (node.to_owned(), fault.to_owned());
        let request = SetFaultRequest { node, fault, times, ..SetFaultRequest::default() };
        self.bed.world.outside().set_fault(request).await.expect("it can be set");
    }

    /// Whatever was begun has been ended by the plan.
    async fn calm(&mut self) {
        for engine in ENGINES {
            self.is_there(engine).await;
        }
        self.bed.nodes_are_well().await;
        self.bed.settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "make chaos"]
async fn faults_as_the_dice_fall() {
    let seed = number("CHAOS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) % 1_000_000);
    let seconds = number("CHAOS_SECONDS").unwrap_or(SECONDS);
    println!("seed {seed} for {seconds} s; again: make chaos SEED={seed} FOR={seconds}");
    let mut chaos = Chaos::begin().await;
    let other = chaos.bed.another_gateway().await;
    let here = chaos.bed.world.connect();
    let made = chaos.bed.world.customers("acme", CUSTOMERS).await;
    let customers = made.expect("customers can be made");
    let loads = [
        Load::if_possible(&chaos.bed.world, &here, &customers),
        Load::if_possible(&chaos.bed.world, &other, &customers),
        Load::inside(&chaos.bed.world, &other, &customers[..CUSTOMERS / 2]),
    ];
    let began = Instant::now();
    for event in plan(seed, seconds * 1_000) {
        sleep_until((began + Duration::from_millis(event.at_ms)).into()).await;
        println!(
            "{:>6} ms (planned {:>6}): {:?}",
            began.elapsed().as_millis(),
            event.at_ms,
            event.act
        );
        chaos.act(event.act).await;
    }
    timeout(CALM_WITHIN, chaos.calm()).await.expect("it is calm when no fault strikes");
    println!("{:>6} ms: it is calm", began.elapsed().as_millis());
    for load in &loads {
        load.paid(10).await;
    }
    let mut paid = 0;
    for load in loads {
        let seen = load.end().await;
        paid += seen.paid;
        seen.are_kept(&chaos.bed.world).await;
    }
    println!("{paid} payments were made, each once; all of it took {:?}", began.elapsed());
    chaos.bed.is_sound().await;
}
