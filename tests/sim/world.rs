//! The small world of one run: a network, organisations, the lives of the platform.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    EnvironmentId, InvoiceTerms, LineId, Msat, Network, NodeId, OrgId, PaymentId, Preimage,
    PublicKey, SessionId, WalletId,
    org::{Backing, Command, Metadata},
};
use lightning_sim::{
    model::{self, Chain, NodeOptions, Policy, Role},
    port::Port,
};
use placement::Bell;
use ports::{
    Clock, Directory, Orgs,
    directory::{NodeRecord, OrgRecord},
};
use runtime::{Platform, Settings, Sockets};
use store::Memory;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::{
    auditor::{Auditor, Ours},
    life::Life,
    line::Line,
    pods,
    random::Random,
    sim::{Sim, SimClock},
    store::Store,
};

/// What one side of a channel begins with.
const CHANNEL_SAT: u64 = 400_000;
/// How far a clock may be off, a little less than what the platform tolerates.
pub(crate) const TOLERATED_MS: i64 = 900;
pub(crate) const LINE_MSAT: u64 = 120_000_000;

pub(crate) struct World {
    pub(crate) sim: Arc<Sim>,
    /// How many engines are to live at once; of one, the newest is the one.
    pub(crate) engines: u64,
    pub(crate) nodes: Vec<Station>,
    pub(crate) outside: Vec<model::NodeId>,
    pub(crate) parties: Vec<Party>,
    lives: Mutex<Vec<Running>>,
    begun: AtomicU64,
    ids: AtomicU64,
    pub(crate) payables: Mutex<Vec<Payable>>,
    /// Clients that still wait for an answer, by what they asked.
    pub(crate) waiting: Mutex<BTreeSet<String>>,
}

/// A node of ours.
#[derive(Clone)]
pub(crate) struct Station {
    pub(crate) ours: Ours,
    name: &'static str,
    record: NodeRecord,
}

/// An organisation with what it has.
#[derive(Clone)]
pub(crate) struct Party {
    pub(crate) org: OrgId,
    pub(crate) line: LineId,
    pub(crate) node: Option<NodeId>,
    pub(crate) wallets: Vec<WalletId>,
}

#[derive(Clone)]
pub(crate) struct Payable {
    pub(crate) terms: InvoiceTerms,
    pub(crate) is_ours: bool,
}

#[derive(Clone)]
pub(crate) struct Running {
    pub(crate) life: Arc<Life>,
    pub(crate) platform: Platform,
    pub(crate) session: SessionId,
    /// Which of the engines it is.
    pub(crate) seat: u64,
}

fn id<Kind>(number: u64) -> domain::id::Id<Kind> {
    domain::id::Id::new(Uuid::from_u128(number.into()))
}

fn msat(msat: u64) -> Msat {
    Msat::new(msat).expect("below the supply")
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world before anything goes wrong.
    pub(crate) async fn build(seed: u64, engines: u64) -> Arc<World> {
        let mut random = Random::new(seed);
        let clock = SimClock::start();
        let memory = Arc::new(Memory::new(clock.clone()));
        let (network, ours, outside) = network(&mut random, &clock);
        let parties = parties(&mut random, &ours);
        let stations = stations(&network, &ours, &parties);
        let orgs = parties.iter().map(|party| party.org).collect();
        let auditor = Auditor::new(ours, orgs);
        let port = Port::start(network, clock.clone());
        let sim = Sim::new(clock, memory, port, random, auditor);
        let world = Arc::new(World {
            sim,
            engines,
            nodes: stations,
            outside,
            parties,
            lives: Mutex::default(),
            begun: AtomicU64::new(0),
            ids: AtomicU64::new(100),
            payables: Mutex::default(),
            waiting: Mutex::default(),
        });
        world.furnish().await;
        world
    }

    async fn furnish(self: &Arc<Self>) {
        let memory = &self.sim.memory;
        for party in &self.parties {
            let name = format!("organisation {}", party.org);
            let record = OrgRecord { id: party.org, name, created_at: self.sim.clock.now() };
            memory.add_org(&record).await.expect("the store is empty");
        }
        for station in &self.nodes {
            memory.add_node(&station.record).await.expect("the store is empty");
        }
        assert!(self.begin_life(None).await, "a life begins when nothing is wrong");
        let platform = self.newest().expect("it was just begun").platform;
        for party in &self.parties {
            for command in party.commands() {
                platform.administer(party.org, command).await.expect("nothing is wrong yet");
            }
        }
        for _ in 1..self.engines {
            assert!(self.begin_life(None).await, "a life begins when nothing is wrong");
        }
    }

    pub(crate) fn new_id<Kind>(&self) -> domain::id::Id<Kind> {
        id(self.ids.fetch_add(1, Ordering::Relaxed))
    }

    /// Begins another life, whoever lives still. `false`: it did not get far.
    pub(crate) async fn begin_life(self: &Arc<Self>, crossings: Option<u64>) -> bool {
        let number = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let life = Life::begin(number, self.sim.clone(), crossings);
        self.sim.say(&format!("life {number} begins"));
        let session = SessionId::new(self.sim.draw(Random::uuid));
        let seat = self.free_seat();
        let membership = (self.engines > 1).then(|| self.membership(&life, seat));
        if membership.is_none() {
            self.doom_others();
        }
        let settings = Settings {
            network: Network::Regtest,
            default_fee_ppm: 5_000,
            default_fee_min_msat: msat(10_000),
            // Sometimes there are always too many.
            organisations_in_memory: self.sim.draw(|random| [0, 100][random.index(2)]),
        };
        let start = Platform::start(self.sockets(&life), settings, session, membership);
        match timeout(Duration::from_secs(20), life.asked(start)).await {
            Ok(Some(Ok(platform))) => {
                let running = Running { life, platform, session, seat };
                if self.engines > 1 {
                    tokio::spawn(pods::end_when_taken_over(running.clone()));
                }
                lock(&self.lives).push(running);
                true
            }
            Ok(Some(Err(error))) => {
                life.end(&format!("it could not start: {error}"));
                false
            }
            Ok(None) | Err(_) => {
                life.end("it could not start in time");
                false
            }
        }
    }

    /// Who was taken over sees it sooner or later.
    fn doom_others(&self) {
        for running in self.lives() {
            let ms = self.sim.draw(|random| random.between(500, 20_000));
            tokio::spawn(async move {
                sleep(Duration::from_millis(ms)).await;
                running.life.end("it was taken over");
            });
        }
    }

    /// Whether the newest life that got anywhere has not been taken over.
    pub(crate) fn is_newest(&self, running: &Running) -> bool {
        running.life.number == self.begun.load(Ordering::Relaxed)
    }

    fn sockets(self: &Arc<Self>, life: &Arc<Life>) -> Sockets {
        let store = Store::of(life, &self.sim);
        let (sim, life, stations) = (self.sim.clone(), life.clone(), self.nodes.clone());
        let dice = self.sim.clone();
        Sockets {
            journal: store.clone(),
            receipts: store.clone(),
            reads: store.clone(),
            directory: store.clone(),
            guard: store.clone(),
            placement: store,
            wakes: Arc::new(Bell::default()),
            clock: self.sim.clock.clone(),
            connect: Arc::new(move |record| {
                let station = stations.iter().find(|station| station.record.id == record.id);
                let station = station.expect("only these nodes are registered");
                Ok(Arc::new(Line {
                    life: life.clone(),
                    sim: sim.clone(),
                    node: record.id,
                    name: station.name,
                    far: sim.port.node(station.ours.at),
                }))
            }),
            draw_preimage: Arc::new(move || Preimage(dice.draw(Random::bytes))),
        }
    }

    pub(crate) fn lives(&self) -> Vec<Running> {
        let mut lives = lock(&self.lives);
        let (over, living) = lives.drain(..).partition(|running: &Running| running.life.is_over());
        *lives = living;
        for running in over {
            // What is left of it cannot do anything; it need not be kept either.
            tokio::spawn(async move { running.platform.stop().await });
        }
        lives.clone()
    }

    pub(crate) fn newest(&self) -> Option<Running> {
        self.lives().pop()
    }

    /// Where a client's call goes: mostly to the one that should answer it.
    pub(crate) async fn pick(&self, org: OrgId) -> Option<Running> {
        let wanted = match self.engines {
            1 => self.newest(),
            _ => self.owner(org).await,
        };
        let lives = self.lives();
        match self.sim.draw(|random| random.strikes(800)) {
            true => wanted,
            false => self.sim.draw(|random| random.pick(&lives).cloned()),
        }
    }

    pub(crate) fn new_payment(&self) -> PaymentId {
        self.new_id()
    }

    pub(crate) async fn pass(&self, ms: u64) {
        sleep(Duration::from_millis(ms)).await;
    }
}

impl Party {
    fn commands(&self) -> Vec<Command> {
        let environment = EnvironmentId::new(*self.org.uuid());
        let name = || "main".to_owned();
        let mut commands = vec![
            Command::CreateEnvironment { environment, name: name() },
            Command::OpenLine { line: self.line, environment, limit_msat: msat(LINE_MSAT) },
        ];
        let funds_msat = msat(LINE_MSAT);
        commands.extend(self.node.map(|node| Command::SetNodeFunds { node, funds_msat }));
        let of_node = self.node.map(Backing::Node);
        let of_line = std::iter::repeat(Backing::Line(self.line));
        for (wallet, backing) in self.wallets.iter().zip(of_node.into_iter().chain(of_line)) {
            let limit_msat = msat(LINE_MSAT / 2);
            let (wallet, name) = (*wallet, format!("wallet {wallet}"));
            commands.push(Command::CreateWallet {
                wallet,
                environment,
                name,
                backing,
                limit_msat,
                metadata: Metadata::new(),
            });
        }
        commands
    }
}

fn network(
    random: &mut Random,
    clock: &Arc<SimClock>,
) -> (model::Network, Vec<Ours>, Vec<model::NodeId>) {
    let mut network = model::Network::new(Chain::Regtest);
    let millis = u64::try_from(clock.now().millis()).expect("after 1970");
    let now = model::Time::from_nanos(millis * 1_000_000);
    let mut add = |network: &mut model::Network, name: &str, number: u8, role| {
        let latency_ms = [0, 20, 300][random.index(3)];
        let careless = role == Role::Outside;
        let options = NodeOptions { role, latency_ms, accepts_keysend: false, careless };
        network.add_node(now, name, [number; 32], options).expect("a new name and a good key")
    };
    let pool =
        [add(&mut network, "pool-1", 1, Role::Pool), add(&mut network, "pool-2", 2, Role::Pool)];
    let own = add(&mut network, "own", 3, Role::Customer);
    let hub = add(&mut network, "hub", 4, Role::Outside);
    let other = add(&mut network, "other", 5, Role::Outside);
    let shop = add(&mut network, "shop", 6, Role::Outside);
    let price = Policy { base: model::Msat::new(1_000), ppm: 1_000 };
    let half = model::Msat::from_sat(CHANNEL_SAT);
    for (first, second) in [
        (pool[0], hub),
        (pool[0], other),
        (pool[1], hub),
        (pool[1], other),
        (own, hub),
        (hub, shop),
        (other, shop),
        (hub, other),
    ] {
        let sides = [(first, half, price), (second, half, price)];
        network.open_channel(sides, 483).expect("two nodes");
    }
    for node in [pool[0], pool[1], own] {
        if random.strikes(300) {
            let most = if random.strikes(200) { 5_000 } else { TOLERATED_MS };
            let span = u64::try_from(most + TOLERATED_MS).expect("above zero");
            let ms = i64::try_from(random.between(0, span)).expect("small") - most;
            let fault = model::Fault::Clock { ms };
            let setting = model::Setting { fault, times_left: None, ppm: 0, seed: 0, draws: 0 };
            network.set_fault(now, node, setting).expect("a clock can be off");
        }
    }
    network.take_output();
    let ours = [pool[0], pool[1], own].into_iter().zip(1..);
    let ours = ours.map(|(at, number)| Ours { id: id(number), at }).collect();
    (network, ours, vec![hub, other, shop])
}

/// The first organisation has a node of its own.
fn parties(random: &mut Random, ours: &[Ours]) -> Vec<Party> {
    let own = ours.last().map(|ours| ours.id);
    let party = |random: &mut Random, number: u64, node: Option<NodeId>| {
        let of_line = 1 + random.below(2);
        let wallets = 0..of_line + u64::from(node.is_some());
        Party {
            org: id(number),
            line: id(number * 10),
            node,
            wallets: wallets.map(|wallet| id(number * 10 + wallet)).collect(),
        }
    };
    let count = 2 + random.index(3);
    let parties = (1..).zip([own, None, None, None]).take(count);
    parties.map(|(number, node)| party(random, number, node)).collect()
}

fn stations(network: &model::Network, ours: &[Ours], parties: &[Party]) -> Vec<Station> {
    let names = ["pool-1", "pool-2", "own"];
    let station = |(ours, name): (&Ours, &'static str)| {
        let owner = parties.iter().find(|party| party.node == Some(ours.id));
        let record = NodeRecord {
            id: ours.id,
            owner: owner.map(|party| party.org),
            name: name.to_owned(),
            address: format!("{name}:10009"),
            certificate: None,
            macaroon: Vec::new(),
            identity: PublicKey(network.state().node(ours.at).pubkey.0),
            network: Network::Regtest,
            stopped: None,
        };
        Station { ours: *ours, name, record }
    };
    ours.iter().zip(names).map(station).collect()
}
