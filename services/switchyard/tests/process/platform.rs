//! The platform and the network as two processes, told what to do by the command line alone.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Call, Process, Run, switchyard};

const SAT: u64 = 1_000;

pub(crate) struct House {
    folder: TempDir,
    network: Process,
    pub(crate) platform: Option<Process>,
    name: &'static str,
}

impl House {
    pub(crate) fn start() -> House {
        House::start_on("regtest", "regtest")
    }

    /// The simulated nodes are on a chain, the platform on the network that goes by the name.
    pub(crate) fn start_on(chain: &str, name: &'static str) -> House {
        let folder = tempfile::tempdir().unwrap();
        let network = start_network(folder.path(), chain);
        let mut house = House { folder, network, platform: None, name };
        house.start_platform();
        house
    }

    pub(crate) fn start_platform(&mut self) {
        let data = self.data();
        let any = "127.0.0.1:0";
        let args =
            ["standalone", "--listen", any, "--admin-listen", any, "--log", "error", "--data"];
        let on = [data.to_str().unwrap(), "--network", self.name];
        let args: Vec<&str> = args.into_iter().chain(on).collect();
        self.platform = Some(Process::start(&args, &data.join("ready.json")));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("platform")
    }

    /// Where customers call.
    pub(crate) fn address(&self) -> String {
        let address = text(&self.platform.as_ref().unwrap().ready["address"]);
        address.trim_start_matches("http://").to_owned()
    }

    pub(crate) fn key(&self) -> String {
        fs::read_to_string(self.folder.path().join("key")).unwrap().trim().to_owned()
    }

    fn call(&self, args: &[&str]) -> Run {
        self.prepared(args).run()
    }

    fn prepared(&self, args: &[&str]) -> Call {
        let key_file = self.folder.path().join("key");
        switchyard(args)
            .env("SWITCHYARD_DATA", self.data().to_str().unwrap())
            .env("SWITCHYARD_KEY_FILE", key_file.to_str().unwrap())
            .env("SWITCHYARD_SIM", network_folder(self.folder.path()).to_str().unwrap())
    }

    /// The document of a command that must go well.
    pub(crate) fn ok(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["--json"].into_iter().chain(args.iter().copied()).collect();
        let run = self.call(&all);
        assert_eq!(run.code, 0, "{args:?}: {} {}", run.stdout, run.stderr);
        run.json()
    }

    pub(crate) fn outside_invoice(&self, more: &[&str]) -> String {
        let args: Vec<&str> =
            ["sim", "invoice", "alice"].into_iter().chain(more.iter().copied()).collect();
        text(&self.ok(&args)["invoice"])
    }

    /// Many at once, without a process for each; a tenth of them is paid slowly.
    pub(crate) async fn outside_invoices(&self, count: u64) -> Vec<String> {
        let ready = &self.network.ready;
        let token = fs::read_to_string(ready["control_token_file"].as_str().unwrap()).unwrap();
        let address = text(&ready["control_address"]).parse().unwrap();
        let mut control = lightning_sim::connect_control(address, token.trim()).unwrap();
        let mut invoices = Vec::new();
        for number in 0..count {
            let slow = if number < count / 10 { "sim:slow:3000" } else { "" };
            let request = lightning_sim::control_proto::CreateInvoiceRequest {
                node: "alice".to_owned(),
                amount_msat: 5_000,
                description: slow.to_owned(),
                ..Default::default()
            };
            let made = control.create_invoice(request).await.unwrap().into_inner();
            invoices.push(made.payment_request);
        }
        invoices
    }

    /// Every entry of a wallet.
    pub(crate) fn ledger(&self, wallet: &str) -> Vec<Value> {
        let page = self.ok(&["wallet", "ledger", wallet, "--limit", "1000"]);
        page["entries"].as_array().unwrap().clone()
    }

    /// One organisation, a line, both kinds of wallet, and a key in the folder.
    pub(crate) fn onboard(&self) {
        self.ok(&["org", "create", "acme"]);
        self.ok(&["env", "create", "live", "--org", "acme"]);
        let limit = (1_000_000 * SAT).to_string();
        let at = ["--org", "acme", "--env", "live", "--limit-msat", &limit];
        let line = self.ok(&[&["line", "open"], &at[..]].concat());
        let line = text(&line["id"]);
        self.ok(&[&["wallet", "create", "credit", "--line", &line], &at[..]].concat());
        for node in self.network.ready["nodes"].as_array().unwrap() {
            let field = |name: &str| node[name].as_str().unwrap();
            let whose: &[&str] = match field("role") {
                "pool" => &["--pool"],
                "customer" => &["--org", "acme"],
                _ => continue,
            };
            let add = [
                ["node", "add", field("name"), field("address")],
                ["--certificate", field("certificate_file"), "--macaroon", field("macaroon_file")],
            ];
            self.ok(&[&add.concat()[..], whose].concat());
        }
        self.ok(&["node", "funds", "customer", "--org", "acme", "--funds-msat", &limit]);
        self.ok(&[&["wallet", "create", "own", "--node", "customer"], &at[..]].concat());
        let key_file = self.folder.path().join("key");
        let made = ["key", "create", "k", "--org", "acme", "--env", "live", "--out"];
        self.ok(&[&made[..], &[key_file.to_str().unwrap()]].concat());
    }
}

fn network_folder(folder: &Path) -> PathBuf {
    folder.join("network")
}

fn start_network(folder: &Path, chain: &str) -> Process {
    let data = network_folder(folder);
    let args = ["sim", "run", "--network", chain, "--data", data.to_str().unwrap()];
    Process::start(&args, &data.join("ready.json"))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn keys_are_made_with_what_they_may_do_and_listed() {
    let house = House::start();
    house.onboard();
    let at = ["--org", "acme", "--env", "live"];
    let narrow = ["--permission", "billing", "--permission", "read", "--expires-in-days", "2"];
    let from = ["--allow", "10.1.2.3/8", "--allow", "::1"];
    let made = house.ok(&[&["key", "create", "books"], &at[..], &narrow[..], &from[..]].concat());
    assert_eq!(made["permissions"], serde_json::json!(["read", "billing"]));
    assert!(text(&made["secret"]).starts_with("switchyard_"));
    house.ok(&["key", "revoke", made["id"].as_str().unwrap()]);

    let keys = house.ok(&["key", "list", "--org", "acme"]);
    let named = |name: &str| {
        let mut all = keys["keys"].as_array().unwrap().iter();
        all.find(|key| key["name"] == name).unwrap()
    };
    let (books, usual) = (named("books"), named("k"));
    assert_eq!(books["valid_ips"], serde_json::json!(["10.0.0.0/8", "::1/128"]));
    let lasts = books["expires_at_ms"].as_i64().unwrap() - books["created_at_ms"].as_i64().unwrap();
    assert!((lasts - 2 * 86_400_000).abs() < 60_000, "{lasts}");
    assert!(books["revoked_at_ms"].is_i64());
    assert_eq!(usual["permissions"], serde_json::json!(["read", "receive", "write"]));
    assert!(usual["expires_at_ms"].is_null() && usual["revoked_at_ms"].is_null());
    assert!(keys.to_string().find("switchyard_").is_none(), "no secret is shown again");

    let wrong = house.call(&[&["key", "create", "x", "--allow", "home"], &at[..]].concat());
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
    let people = house.call(&["key", "list", "--org", "acme"]);
    assert!(people.stdout.contains("PERMISSIONS") && people.stdout.contains("read,billing"));

    // The secret is told once: without a place for it there is no key.
    let nowhere = house.folder.path().join("not/there");
    let nowhere = ["key", "create", "lost", "--out", nowhere.to_str().unwrap()];
    let refused = house.call(&[&nowhere[..], &at[..]].concat());
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(house.ok(&["key", "list", "--org", "acme"]), keys);
    // Nor is a place left for a key that is not made.
    let early = house.folder.path().join("early");
    let early_key = ["key", "create", "early", "--allow", "home", "--out", early.to_str().unwrap()];
    assert_eq!(house.call(&[&early_key[..], &at[..]].concat()).code, 2);
    assert!(!early.exists());

    let environments = house.ok(&["env", "list", "--org", "acme"]);
    let [live] = environments["environments"].as_array().unwrap().as_slice() else { panic!() };
    assert_eq!((&live["name"], &live["id"]), (&"live".into(), &made["environment_id"]));
    assert!(house.call(&["env", "list", "--org", "acme"]).stdout.contains("live"));
}

/// Nobody has the answer, so nobody knows that it was paid; the id finds it.
#[test]
fn an_answer_that_cannot_be_written_is_no_success() {
    let house = House::start();
    house.onboard();
    let invoice = house.outside_invoice(&["--amount-msat", "1000"]);
    let id = "01a20ae0-e07d-73ad-b7aa-21f132985458";
    let pay = ["pay", "--wallet", "credit", "--id", id, &invoice];
    for json in [&[][..], &["--json"]] {
        let unread = house.prepared(&[json, &pay[..]].concat()).run_unread();
        assert_eq!(unread.code, 3, "{}", unread.stderr);
        assert!(unread.stderr.contains("could not be written"), "{}", unread.stderr);
    }
    assert_eq!(house.ok(&pay)["status"], "completed");
    let nil = "00000000-0000-0000-0000-000000000000";
    let refused = house.call(&["--json", "pay", "--wallet", "credit", "--id", nil, &invoice]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (2, &"id_invalid".into()));
}

#[test]
fn a_payment_survives_the_death_of_the_platform() {
    let mut house = House::start();
    house.onboard();

    let first = house.outside_invoice(&["--amount-msat", "25000000"]);
    let paid = house.ok(&["pay", "--wallet", "credit", &first]);
    assert_eq!((&paid["status"], &paid["amount_msat"]), (&"completed".into(), &25_000_000.into()));
    house.ok(&["pay", "--wallet", "own", &house.outside_invoice(&["--amount-msat", "1000"])]);
    let ours = house.ok(&["invoice", "--wallet", "credit", "--amount-msat", "7000"]);
    house.ok(&["sim", "pay", "bob", ours["invoice"].as_str().unwrap()]);
    let received = text(&ours["id"]);
    house.ok(&["payment", "watch", &received, "--wait-seconds", "20"]);

    let slow = house.outside_invoice(&["--amount-msat", "5000", "--description", "sim:slow:3000"]);
    let open = house.call(&["--json", "pay", "--wallet", "credit", &slow, "--wait-seconds", "0"]);
    assert_eq!((open.code, &open.json()["status"]), (3, &"sending".into()));

    let id = text(&open.json()["id"]);
    let watch = house.prepared(&["--json", "payment", "watch", &id]).until_it_answers();
    assert!(watch.line.contains("sending"), "{}", watch.line);

    house.platform.take().unwrap().kill();
    let broken = watch.end();
    assert_eq!((broken.code, &broken.json()["error"]["code"]), (3, &"watch_broken_off".into()));
    let again = format!("switchyard payment show {id}");
    assert!(broken.stderr.contains(&again), "{}", broken.stderr);
    assert!(!broken.stderr.contains("h2"), "{}", broken.stderr);
    assert_eq!(house.call(&["payment", "list"]).code, 4, "nobody answers");
    house.start_platform();

    assert_eq!(house.ok(&["payment", "show", &text(&paid["id"])]), paid);
    assert_eq!(house.ok(&["payment", "show", &received])["received_msat"], 7_000);
    // Asked again under its id it is the same payment, however often.
    let again = house.ok(&["pay", "--wallet", "credit", &slow, "--id", &id]);
    assert_eq!(again["status"], "completed");
    assert_eq!(house.ok(&["payment", "list"])["payments"].as_array().unwrap().len(), 4);

    let wallet = house.ok(&["wallet", "show", "credit"]);
    let fees = again["fee_msat"].as_u64().unwrap() + paid["fee_msat"].as_u64().unwrap();
    let left = 1_000_000 * SAT - 25_000_000 - 5_000 - fees + 7_000;
    assert_eq!((&wallet["available_msat"], &wallet["held_msat"]), (&left.into(), &0.into()));
    let twice = house.ok(&["sim", "settlements", "--at-least", "2"]);
    assert_eq!(twice["settlements"], Value::Array(Vec::new()));
    assert_eq!(house.ok(&["audit"])["clean"], true);
    assert_eq!(house.platform.take().unwrap().stop(), Some(0));
}

#[test]
fn refusals_have_their_codes_and_change_nothing() {
    let house = House::start();
    house.onboard();
    let before = house.ok(&["wallet", "list"]);
    let fixed = house.outside_invoice(&["--amount-msat", "1000"]);
    let any = house.outside_invoice(&[]);
    let id = "01a20ae0-e07d-73ad-b7aa-21f132985458";
    let cases: &[(&[&str], i32)] = &[
        (&["pay", "--wallet", "credit", "not-an-invoice"], 2),
        (&["pay", "--wallet", "credit", &fixed, "--amount-msat", "1000"], 2),
        (&["pay", "--wallet", "credit", &any], 2),
        (&["pay", "--wallet", "credit", &any, "--amount-msat", "0"], 2),
        (&["pay", "--wallet", "credit", &any, "--amount-msat", "-5"], 2),
        (&["pay", "--wallet", "credit", &any, "--amount-msat", "9223372036854775808"], 2),
        (&["pay", "--wallet", "nobody's", &fixed], 5),
        (&["pay", "--wallet", id, &fixed], 5),
        (&["payment", "show", id], 5),
        (&["wallet", "list", "--key", "switchyard_wrong"], 6),
        (&["org", "list", "--admin-token", "wrong"], 6),
        (&["org", "create", "acme"], 7),
    ];
    for (args, code) in cases {
        let run = house.call(&[&["--json"], *args].concat());
        assert_eq!(run.code, *code, "{args:?}: {} {}", run.stdout, run.stderr);
        assert!(args.contains(&"-5") || run.json()["error"]["code"].is_string(), "{args:?}");
    }
    assert_eq!(house.ok(&["wallet", "list"]), before);

    // More than the wallet has, with the fee: a payment that failed, kept under its id.
    let all = (1_000_000 * SAT).to_string();
    let over = ["--json", "pay", "--wallet", "credit", &any, "--amount-msat", &all, "--id", id];
    for _ in 0..2 {
        let failed = house.call(&over);
        assert_eq!((failed.code, &failed.json()["status"]), (1, &"failed".into()));
    }
    assert_eq!(house.ok(&["wallet", "list"]), before);

    let data = house.data();
    let second = switchyard(&["standalone", "--data", data.to_str().unwrap()]).run();
    assert_eq!((second.code, second.stderr.lines().count()), (9, 1), "{}", second.stderr);
    house.ok(&["status"]);
}

#[test]
fn whoever_stops_waiting_keeps_the_id() {
    let house = House::start();
    house.onboard();
    let slow = ["--amount-msat", "5000", "--description", "sim:slow:3000"];
    for json in [&["--json"][..], &[]] {
        // One of its own: a second payment of the same invoice is refused at once.
        let invoice = house.outside_invoice(&slow);
        let pay = ["pay", "--wallet", "credit", &invoice];
        let waiting = house.prepared(&[json, &pay].concat()).until_it_says();
        let id = waiting.line.strip_prefix("id ").unwrap().to_owned();
        waiting.interrupt();
        let stopped = waiting.end();
        assert_eq!(stopped.code, 3, "{}", stopped.stderr);
        let repeat = format!("; repeat with --id {id}\n");
        assert!(stopped.stderr.ends_with(&repeat), "{}", stopped.stderr);
        assert!(json.is_empty() || stopped.json()["error"]["id"] == id, "{}", stopped.stdout);
    }

    // Nothing but the answer on stdout, and nothing twice: an id that was given is known.
    let ours = house.call(&["invoice", "--wallet", "credit", "--bare"]);
    assert!(ours.stdout.starts_with("lnbcrt") && ours.stderr.starts_with("id "), "{}", ours.stderr);
    let id = "01a20ae0-e07d-73ad-b7aa-21f132985458";
    let words = ["invoice", "--wallet", "credit", "--id", id, "--description", "tea\u{1b}[2J"];
    let ours = house.call(&words);
    assert_eq!((ours.code, ours.stderr.as_str()), (0, ""));
    assert!(ours.stdout.contains("tea\u{fffd}[2J"), "{:?}", ours.stdout);
}

#[test]
fn a_payment_carries_its_makers_words_and_shows_in_the_feed() {
    let house = House::start();
    house.onboard();
    let invoice = house.outside_invoice(&["--amount-msat", "5000", "--description", "a book"]);
    let words = ["--description", "for tea", "--metadata", "order=7", "--metadata", "shop=a=b"];
    let paid = house.ok(&[&["pay", "--wallet", "credit", &invoice], &words[..]].concat());
    assert_eq!((&paid["description"], &paid["memo"]), (&"for tea".into(), &"a book".into()));
    assert_eq!(paid["metadata"], serde_json::json!({ "order": "7", "shop": "a=b" }));
    let bad = house.call(&["pay", "--wallet", "credit", "--metadata", "order", &invoice]);
    assert_eq!(bad.code, 2, "{}", bad.stderr);

    let page = house.ok(&["events", "--limit", "1"]);
    let next = page["next_after_seq"].to_string();
    let follow = ["--json", "events", "--follow", "--after", &next];
    let following = house.prepared(&follow).until_it_answers();
    let event: Value = serde_json::from_str(&following.line).unwrap();
    assert_eq!(event["type"], "line_of_credit_opened", "{event}");
    following.interrupt();
    following.end();
}

#[test]
fn the_ready_file_is_for_its_owner_and_holds_the_token() {
    let house = House::start();
    let file = house.data().join("ready.json");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ready: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let address = ready["admin_address"].as_str().unwrap();
    let token = ready["admin_token"].as_str().unwrap();
    let told = ["status", "--admin-address", address, "--admin-token", token];
    assert_eq!(switchyard(&told).run().code, 0);
    let kept = fs::read_to_string(ready["admin_token_file"].as_str().unwrap()).unwrap();
    assert_eq!(kept.trim(), token);
}

#[test]
fn a_certificate_of_no_authority_must_be_mended() {
    let house = House::start();
    let node = &house.network.ready["nodes"][0];
    let field = |name: &str| node[name].as_str().unwrap();
    let add =
        ["--json", "node", "add", "n", field("address"), "--macaroon", field("macaroon_file")];
    let run = house.call(&[&add[..], &["--pool", "--public-authority"]].concat());
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert_eq!(run.json()["error"]["code"], "node_certificate_not_trusted");
    assert!(run.stderr.contains("--certificate"), "{}", run.stderr);
}
