//! What it costs that the engine of an organisation is another process: a send that is answered at once, asked
//! of that engine as a gateway does, and the same one asked in this process.

use std::collections::BTreeMap;
use std::future::pending;
use std::process::Command as Spawn;
use std::sync::Arc;
use std::time::Duration;

use domain::{
    PaymentId, SessionId, Timestamp, WalletId,
    org::{Metadata, Revision, SendTerms},
};
use placement::{ClusterSecret, Forward, Owners, Served};
use ports::{
    Orgs, Placement, StoreError,
    orgs::Within,
    placement::{Granted, LeaseLength, PlacementMap, Pod, SHARDS},
};
use tests::bed::SECRET;
use tokio::net::TcpListener;
use tokio::sync::watch;
use uuid::Uuid;

use crate::cpu::{Cpu, Meter};
use crate::loadgen::{self, Answer, Call};
use crate::process::Process;
use crate::stub::{self, Stub, not_here};
use crate::table::{Check, Workload};
use crate::{Bench, Outcome};

const CALLERS: usize = 512;

const LISTENS: &str = "the engine listens on ";

/// With many callers, whose calls share a stream, and with one.
pub(crate) async fn run(bench: &Bench) -> Outcome<Vec<Workload>> {
    let mut command = Spawn::new(std::env::current_exe()?);
    command.arg(crate::SERVE_ENGINE);
    let mut engine = Process::start("engine", command, bench.folder())?;
    let map = Arc::new(Map { address: engine.says(LISTENS)? });
    let stub = Arc::new(Stub::new());
    let owners = Owners::begin(map);
    owners.are_known().await;
    let here: Arc<dyn Orgs> = stub.clone();
    let there = Forward::new(owners, ClusterSecret::new(SECRET)?, stub.clone(), stub);
    let there: Arc<dyn Orgs> = Arc::new(there);
    let meter = Meter { switchyard: vec![engine.pid()], ..Meter::default() };
    let mut table = Vec::new();
    for (callers, of_here, of_there) in [(CALLERS, "no hop", "hop"), (1, "no hop 1", "hop 1")] {
        let here = [here.clone()];
        let here = loadgen::closed(bench.timing, &here, callers, &Meter::default(), send).await;
        let there = [there.clone()];
        let there = loadgen::closed(bench.timing, &there, callers, &meter, send).await;
        let (here, mut there) = (Workload::of(of_here, here), Workload::of(of_there, there));
        let each = |of: &Workload| Cpu::each(of.cpu.total_us(), of.done);
        let more = each(&there) - each(&here);
        if callers > 1 {
            there.checks.push(Check::at_most("µs of CPU more for a call", more, 15.0, 3.0));
        } else {
            there.notes.push(format!("{more:.1} µs of CPU more for a call"));
        }
        table.extend([here, there]);
    }
    Ok(table)
}

async fn send(orgs: Arc<dyn Orgs>, call: Call) -> Answer {
    let payment = PaymentId::new(Uuid::from_u128(u128::from(call.number)));
    let within = Within { end: Duration::from_secs(30), begin: None };
    match orgs.send(stub::org(), payment, terms(), within).await {
        Ok(_) => Answer::Done,
        Err(error) => Answer::Failed(error.to_string()),
    }
}

fn terms() -> SendTerms {
    SendTerms {
        wallet: WalletId::new(Uuid::from_u128(4)),
        invoice: stub::invoice(),
        amount_msat: None,
        fee_limit_msat: Some(1_000),
        description: None,
        metadata: Metadata::from([("order".to_owned(), "7".to_owned())]),
    }
}

/// The engine. Runs until it is killed.
pub(crate) async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{LISTENS}{}", listener.local_addr()?);
    let stub = Arc::new(Stub::new());
    let (orgs, peers, operations) = (stub.clone(), stub.clone(), stub.clone());
    let served = Served { orgs, peers, operations, seal: stub };
    let (_life, served) = watch::channel(Some(served));
    Ok(placement::serve(listener, served, ClusterSecret::new(SECRET)?, pending()).await?)
}

/// One pod, which owns everything.
struct Map {
    address: String,
}

const SESSION: SessionId = SessionId::new(Uuid::from_u128(8));

#[tonic::async_trait]
impl Placement for Map {
    fn lease_length(&self) -> LeaseLength {
        LeaseLength::USUAL
    }

    async fn begin(&self, _: SessionId) -> Result<Timestamp, StoreError> {
        Err(not_here())
    }

    async fn renew(&self, _: SessionId) -> Result<Option<Timestamp>, StoreError> {
        Err(not_here())
    }

    async fn map(&self) -> Result<PlacementMap, StoreError> {
        let pod = Pod { session: SESSION, name: "one".to_owned(), address: self.address.clone() };
        let owners = Arc::new(vec![Some(SESSION); usize::from(SHARDS)]);
        Ok(PlacementMap { pods: vec![pod], owners })
    }

    async fn leases(&self) -> Result<BTreeMap<SessionId, Granted>, StoreError> {
        Err(not_here())
    }

    async fn allow(&self, _: Revision) -> Result<Vec<String>, StoreError> {
        Err(not_here())
    }
}
