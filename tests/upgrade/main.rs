//! Pods of the version that `BASE` names are replaced one by one by those of today, while customers pay.
//!
//! `build.sh` makes the old binary and says where it is, for `UPGRADE_FROM`; today's is built first as well:
//! `cargo build -p switchyard`.

mod operator;

use std::{env, path::PathBuf, time::Duration};

use serde_json::json;
use tests::{
    bed::{Bed, How, SECRET},
    cli,
    load::Load,
    postgres::Postgres,
    process::Process,
    reach::channel,
    way::Way,
    world::{Customer, Setup},
};

use operator::Operator;

const ENGINES: [&str; 3] = ["engine-1", "engine-2", "engine-3"];
/// Those of both gateways.
const CUSTOMERS: usize = 16;
/// What each mixture of old and new pods pays at each gateway.
const PAYMENTS: usize = 60;
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Not `SWITCHYARD_…`: the old binary would refuse to start with a setting that it does not know.
fn base() -> PathBuf {
    let path = env::var_os("UPGRADE_FROM");
    path.expect("UPGRADE_FROM must name the old binary, which tests/upgrade/build.sh makes").into()
}

/// A gateway, and the way to whichever takes its customers.
struct Front {
    way: Way,
    port: u16,
}

impl Front {
    async fn at(address: &str) -> Front {
        let port = port(address);
        Front { way: Way::to(port).await, port }
    }

    /// Customers who come from now on are taken by that one, as a balancer does.
    fn leads_to(&self, other: &Front) {
        self.way.leads_to(other.port);
    }

    /// It has been replaced, and its customers come back.
    fn is_at(&mut self, address: &str) {
        self.port = port(address);
        self.way.leads_to(self.port);
        self.way.cut_once();
    }
}

fn port(address: &str) -> u16 {
    let (_, port) = address.rsplit_once(':').expect("it is at a port");
    port.parse().expect("a port is a number")
}

/// Customers who pay outside through the first gateway, and each other through the second.
struct Loads {
    outside: Load,
    inside: Load,
    customers: Vec<Customer>,
}

impl Loads {
    async fn begin(bed: &Bed, first: &Front, second: &Front) -> Loads {
        let customers =
            bed.world.customers("acme", CUSTOMERS).await.expect("customers can be made");
        let (payers, neighbours) = customers.split_at(CUSTOMERS / 2);
        let [first, second] = [first, second].map(|front| channel(&front.way.address()));
        let outside = Load::begin(&bed.world, &first, payers);
        let inside = Load::inside(&bed.world, &second, neighbours);
        Loads { outside, inside, customers }
    }

    async fn go_on(&self) {
        self.outside.paid(PAYMENTS).await;
        self.inside.paid(PAYMENTS).await;
    }

    /// Nothing that anybody was told is lost.
    async fn end(self, bed: &Bed) {
        for load in [self.outside, self.inside] {
            let seen = load.end().await;
            eprintln!(
                "{} paid, {} calls repeated, none paid for {:?} at most",
                seen.paid,
                seen.refusals.len(),
                seen.longest_gap
            );
            seen.are_kept(&bed.world).await;
        }
        bed.is_sound().await;
    }
}

fn schema(postgres: &Postgres) -> u32 {
    let mut psql = postgres.client("psql");
    let asked = "select max(version) from schema_version";
    let told = psql.args(["-XqAtd", "postgres", "-c", asked]).output().expect("there is psql");
    let text = String::from_utf8(told.stdout).expect("a number is ASCII");
    text.trim().parse().expect("the schema has a version")
}

/// Everything in the database.
fn dump(postgres: &Postgres) -> String {
    let mut program = postgres.client("pg_dump");
    let dumped = program.args(["--inserts", "postgres"]).output().expect("there is pg_dump");
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    let text = String::from_utf8(dumped.stdout).expect("a dump is text");
    // These two lines have another random word in each dump.
    text.lines().filter(|line| !line.contains("restrict ")).collect::<Vec<_>>().join("\n")
}

/// Through the operator's gateway, which is of today's as soon as the schema is.
async fn replace_engines(bed: &mut Bed, loads: &Loads) -> Operator {
    let mut operator = None;
    let before = schema(bed.database());
    for (replaced, name) in (1..).zip(ENGINES) {
        bed.process(name).stop(STOPS_WITHIN).await.expect("an old engine stops well");
        bed.start_engine(name).await;
        bed.settled().await;
        // The first new one has migrated; the others serve as they did.
        let after = schema(bed.database());
        assert!(
            after > before,
            "nothing has been migrated since BASE: name an older version there"
        );
        for old in &ENGINES[replaced..] {
            assert!(bed.process(old).ended().is_none(), "{}", bed.process(old).said());
        }
        let operator = match &mut operator {
            Some(operator) => operator,
            none => none.insert(Operator::comes_in(bed).await),
        };
        // Whoever owns the organisation, an old engine or a new one.
        for owner in ENGINES {
            let owned = bed.owned_by(owner, &loads.customers).await;
            let customer = owned.first().expect("each engine has some of so many");
            operator.is_told_to_wait(customer).await;
        }
        loads.go_on().await;
    }
    operator.expect("there is an engine to replace")
}

async fn replace_gateways(
    bed: &mut Bed,
    loads: &Loads,
    operator: &Operator,
    mut old: Process,
    fronts: [Front; 2],
) -> Process {
    let [mut first, mut second] = fronts;
    first.leads_to(&second);
    bed.world.stop_platform().await.expect("an old gateway stops well");
    bed.world.becomes(None);
    bed.world.start_platform().await.expect("a new gateway starts");
    first.is_at(bed.world.ready["address"].as_str().expect("it says where it is"));
    operator.is_told_to_wait(&loads.customers[0]).await;
    loads.go_on().await;

    second.leads_to(&first);
    operator.is_told_to_wait(&loads.customers[0]).await;
    old.stop(STOPS_WITHIN).await.expect("an old gateway stops well");
    operator.renames(&loads.customers).await;
    let (new, address) = bed.gateway("gateway-2", &How::default()).await;
    second.is_at(&address);
    loads.go_on().await;
    new
}

/// Whatever an old pod may be, it says that the schema is too new for it, and leaves everything as it is.
async fn old_pods_are_refused(bed: &Bed) {
    let (today, before) = (schema(bed.database()), dump(bed.database()));
    let folder = tempfile::tempdir().expect("there is room");
    let data = folder.path().display().to_string();
    let (url, seal_keys) = (bed.url(), format!("test:{}", "5a".repeat(32)));
    let environment = [
        ("SWITCHYARD_STORE", url.as_str()),
        ("SWITCHYARD_CLUSTER_SECRET", SECRET),
        ("SWITCHYARD_SEAL_KEYS", &seal_keys),
    ];
    let front = &["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"][..];
    let engine = &["--engine-listen", "127.0.0.1:0"][..];
    for (role, ports) in [("engine", engine), ("gateway", front), ("standalone", front)] {
        let words = [&[role, "--data", &data], ports].concat();
        let said = cli::run_binary(&base(), &words, &environment).await;
        assert_eq!(
            (said.code, &said.document["error"]["code"]),
            (2, &json!("store_newer")),
            "{said:?}"
        );
        let line = format!("switchyard: the database has schema {today}, and this version knows ");
        let said_once = said.stderr.starts_with(&line) && said.stderr.lines().count() == 1;
        assert!(said_once, "{said:?}");
    }
    assert_eq!(dump(bed.database()), before);
}

/// `architecture` 8.10: the schema grows while old pods serve, what they cannot read is not written while one
/// of them lives, and none of them comes back to it.
#[tokio::test(flavor = "multi_thread")]
async fn pods_are_replaced_one_by_one() {
    let old = How { binary: Some(base()), ..How::default() };
    let setup = Setup { binary: Some(base()), ..Setup::default() };
    let engines = vec![old.clone(); ENGINES.len()];
    let mut bed = Bed::start_on(Postgres::start(), engines, setup).await;
    let (other_gateway, address) = bed.gateway("gateway-2", &old).await;
    let first = bed.world.ready["address"].as_str().expect("it says where it is");
    let fronts = [Front::at(first).await, Front::at(&address).await];
    let loads = Loads::begin(&bed, &fronts[0], &fronts[1]).await;
    loads.go_on().await;

    let operator = replace_engines(&mut bed, &loads).await;
    let mut other_gateway =
        replace_gateways(&mut bed, &loads, &operator, other_gateway, fronts).await;
    loads.end(&bed).await;

    // Nobody else changes anything.
    operator.leaves().await;
    other_gateway.stop(STOPS_WITHIN).await.expect("a gateway stops well");
    bed.world.stop_platform().await.expect("a gateway stops well");
    for name in ENGINES {
        bed.process(name).stop(STOPS_WITHIN).await.expect("an engine stops well");
    }
    old_pods_are_refused(&bed).await;
}
