//! Rule 24: a database, or a node, is put back to an older copy under open payments. `switchyard restore`
//! reconciles what the nodes' records prove, and nothing is paid twice.

use domain::ErrorClass::Unavailable;
use proto::v1::{Payment, PaymentStatus, SendRequest};
use serde_json::Value;
use tests::{
    postgres::{Postgres, Recovery},
    world::{Setup, new_id},
};

use crate::{
    bed::{Bed, failed_with, operator, refused},
    forgotten::{Story, dear, ends, invoice_of, lived_and_forgotten, pay, release},
    resolved::{found_unpaid, resolve},
    restored::{
        AMOUNT_MSAT, FROZEN_WITHIN, LOOK_AGAIN, finding, frozen, is_found_again,
        is_held_after_one_request, of_the_database, pay_from, pays, put_back, put_on_record, stuck,
        with_one_node,
    },
};

/// Neither rail sends anything, and what was sent is still answered.
async fn nothing_is_sent(bed: &Bed, kept: &Payment) {
    let outside = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let inside = invoice_of(bed, &new_id()).await;
    for invoice in [outside, inside] {
        let sent = bed.send(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
        refused(sent, Unavailable, "sends_frozen");
    }
    assert_eq!(&repeated(bed, kept).await, kept);
}

async fn repeated(bed: &Bed, payment: &Payment) -> Payment {
    bed.sent(&bed.acme, dear(bed, &payment.id, &payment.invoice)).await
}

/// What a restore tells, as code and step, sorted, but for what it has only waited for; it ends with this exit.
async fn told(bed: &Bed, words: &[&str], exit: i32) -> (Vec<(String, String)>, Value) {
    let report = operator(bed, &[&["restore"], words].concat(), exit).await;
    let listed = report["differences"].as_array().expect("differences are a list");
    let text = |it: &Value, field: &str| it[field].as_str().unwrap_or_default().to_owned();
    let mut told: Vec<_> = listed.iter().map(|it| (text(it, "code"), text(it, "step"))).collect();
    told.retain(|it| *it != ("node_still_permitted".to_owned(), "done".to_owned()));
    told.sort();
    (told, report)
}

fn differences(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(code, step)| ((*code).to_owned(), (*step).to_owned())).collect()
}

fn hashes_of(report: &Value, code: &str) -> Vec<String> {
    let listed = report["differences"].as_array().expect("differences are a list");
    let of = listed.iter().filter(|it| it["code"] == code);
    let hash = |it: &Value| it["payment_hash"].as_str().expect("it has a hash").to_owned();
    let mut hashes: Vec<_> = of.map(hash).collect();
    hashes.sort();
    hashes
}

async fn a_database_put_back_under_open_payments(how: Recovery, cause: &str) {
    let postgres = Postgres::start();
    let setup = Setup { postgres: Some(postgres.url()), ..Setup::default() };
    let mut bed = Bed::make_as(setup).await;
    let story = lived_and_forgotten(&mut bed, &postgres, how).await;
    let (paid, made) = (bed.settlements().await, bed.world.payments_of_pool().await);

    let why = frozen(&bed).await;
    assert!(why.contains(cause), "{why}");
    nothing_is_sent(&bed, &story.kept).await;
    finding(&bed, "unknown_receipt_on_node").await;
    finding(&bed, "unknown_payment_on_node").await;
    let audit = operator(&bed, &["audit"], 8).await.to_string();
    for lost in [&story.lost, &story.other_lost] {
        assert!(audit.contains(&lost.payment_hash), "{audit}");
    }

    // What the nodes prove of open payments needs nobody: it is ended and booked while sends are frozen.
    for (before, attempts) in [(&story.paid, 1), (&story.moved, 2)] {
        ends(&bed, &bed.acme, &before.id).await;
        let now = bed.payment(&bed.acme, &before.id).await.expect("it is kept").into_inner();
        assert_eq!(now.attempts.len(), attempts, "{now:?}");
    }
    ends(&bed, &bed.globex, &story.received).await;

    let (found, report) = until_quiet(&bed, &[]).await;
    assert_eq!(found, left("due"), "{report}");
    let paid_elsewhere = [&story.mislaid, &story.again, &story.lost, &story.other_lost];
    let mut hashes = paid_elsewhere.map(|payment| payment.payment_hash.clone());
    hashes.sort();
    assert_eq!(hashes_of(&report, "lost_payment"), hashes);
    assert_eq!((&report["thaw_is_safe"], &report["in_flight"]), (&false.into(), &1.into()));
    assert_eq!(report["differences"][0]["payment_id"], story.mislaid.id, "{report}");
    assert_eq!(report["differences"][1]["amount_msat"], AMOUNT_MSAT, "{report}");
    assert_eq!(told(&bed, &[], 8).await.1, report, "a dry run changes nothing");

    is_applied_though_killed(&mut bed, &postgres).await;
    let (found, report) = told(&bed, &["--apply"], 8).await;
    assert_eq!(found, left("person"), "{report}");
    assert_eq!((&report["thaw_is_safe"], &report["due"]), (&true.into(), &0.into()), "{report}");
    frozen(&bed).await;
    nothing_is_sent(&bed, &story.kept).await;

    operator(&bed, &["thaw"], 0).await;
    let (found, report) = told(&bed, &[], 8).await;
    assert_eq!(hashes_of(&report, "lost_payment"), hashes, "they stay visible");
    assert_eq!(found.len(), left("person").len() - 1, "the receipt is taken as it is: {report}");
    nothing_is_paid_twice(&bed, &story).await;
    assert_eq!(bed.settlements().await, paid);
    assert_eq!(bed.world.payments_of_pool().await, made, "no node was asked for anything new");
    let open = bed.payment(&bed.acme, &story.open.id).await.expect("it is kept").into_inner();
    release(&bed, &open.attempts[0].node_name, &open, &[]).await;
    ends(&bed, &bed.acme, &open.id).await;
    assert_eq!(bed.settlements().await.len(), paid.len() + 1);
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.books().await;
    let (found, report) = told(&bed, &[], 0).await;
    assert_eq!((found, &report["thaw_is_safe"]), (Vec::new(), &true.into()), "{report}");
}

/// What is neither proven nor over, and what becomes of it.
fn left(step: &str) -> Vec<(String, String)> {
    let lost = [("lost_payment", step); 4];
    let others = [("lost_receipt", "person"), ("open_payment_lost", step)];
    let failed = [("paid_after_failure", "person"); 1];
    differences(&[&lost[..], &others[..], &failed[..]].concat())
}

/// Permissions of the life before are over soon: until then a restore says so.
async fn until_quiet(bed: &Bed, words: &[&str]) -> (Vec<(String, String)>, Value) {
    loop {
        let (found, report) = told(bed, words, 8).await;
        if !found.iter().any(|(code, _)| code == "node_still_permitted") {
            return (found, report);
        }
        assert_eq!(report["thaw_is_safe"], false, "{report}");
    }
}

/// kill -9 as soon as something is on record: the next one finds what is left.
async fn is_applied_though_killed(bed: &mut Bed, postgres: &Postgres) {
    let platform = bed.world.folder().join("platform").display().to_string();
    let applying = tokio::spawn(async move {
        tests::cli::run(&["restore", "--apply"], &[("SWITCHYARD_DATA", &platform)]).await
    });
    let begun = async {
        while !says(postgres, "select exists (select from sighting where excused)") {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FROZEN_WITHIN, begun).await.expect("it is applied");
    bed.restart().await;
    let cut_off = applying.await.expect("the command ends");
    assert!([3, 4, 8].contains(&cut_off.code), "{cut_off:?}");
    bed.world.usable(2).await;
}

/// What the database answers to a yes or no question.
fn says(postgres: &Postgres, question: &str) -> bool {
    let mut psql = postgres.client("psql");
    psql.args(["--tuples-only", "--no-align", "--dbname", "postgres", "--command", question]);
    let answer = psql.output().expect("there is a psql");
    assert!(answer.status.success(), "{answer:?}");
    answer.stdout.starts_with(b"t")
}

/// Every id again, and every hash under another id: at the most what is there is told once more.
async fn nothing_is_paid_twice(bed: &Bed, story: &Story) {
    // Where the node that has paid is not to be had, no other one does it.
    for lost in [&story.other_lost, &story.again] {
        let payer = &lost.attempts[0].node_name;
        operator(bed, &["node", "stop", payer], 0).await;
        let elsewhere = bed.sent(&bed.acme, dear(bed, &new_id(), &lost.invoice)).await;
        failed_with(&elsewhere, "no_usable_node");
        operator(bed, &["node", "resume", payer], 0).await;
        bed.world.usable(2).await;
    }
    let Story { kept, paid, moved, lost, inside, again, .. } = story;
    for payment in [kept, paid, moved, lost, inside, again] {
        let repeated = repeated(bed, payment).await;
        let told = (repeated.status(), &repeated.id);
        assert_eq!(told, (PaymentStatus::Completed, &payment.id), "{repeated:?}");
    }
    for open in [&story.open, &story.mislaid] {
        let open = dear(bed, &open.id, &open.invoice);
        let open = SendRequest { wait_seconds: 0, ..open };
        assert_eq!(bed.sent(&bed.acme, open).await.status(), PaymentStatus::Sending);
    }
    for payment in [kept, paid, moved, lost, again, &story.open, &story.mislaid] {
        let anew = bed.sent(&bed.acme, dear(bed, &new_id(), &payment.invoice)).await;
        failed_with(&anew, "invoice_already_paid");
    }
    // Whose sender has lost the id: the node answers with the payment that it has.
    found_unpaid(bed, &story.mislaid).await;
    for payment in [&story.other_lost, &story.mislaid] {
        let found = bed.sent(&bed.acme, dear(bed, &new_id(), &payment.invoice)).await;
        assert_eq!(found.status(), PaymentStatus::Completed, "{found:?}");
    }
}

#[tokio::test]
async fn a_database_put_back_to_a_point_in_time() {
    let cause = "the store was restored or replaced";
    a_database_put_back_under_open_payments(Recovery::PointInTime, cause).await;
}

/// Nothing in the database says so; the nodes know better.
#[tokio::test]
async fn a_database_put_back_that_does_not_know_it() {
    let cause = "which the ledger does not know";
    a_database_put_back_under_open_payments(Recovery::Crash, cause).await;
}

#[tokio::test]
async fn a_database_file_put_back() {
    let mut bed = Bed::make().await;
    let lost = put_back(&mut bed, of_the_database, pays).await;
    frozen(&bed).await;
    bed.world.usable(2).await;
    let (found, report) = until_quiet(&bed, &[]).await;
    assert_eq!(found, differences(&[("lost_payment", "due")]), "{report}");
    assert_eq!(hashes_of(&report, "lost_payment"), std::slice::from_ref(&lost.payment_hash));
    let refused = operator(&bed, &["thaw"], 8).await;
    assert_eq!(refused["error"]["code"], "thaw_not_safe", "{refused}");
    assert!(refused.to_string().contains("lost_payment on node"), "{refused}");
    operator(&bed, &["frozen"], 8).await;
    assert_eq!(told(&bed, &[], 8).await.0, found, "nothing is changed");
    for _ in 0..2 {
        let (found, report) = told(&bed, &["--apply"], 8).await;
        assert_eq!(found, differences(&[("lost_payment", "person")]), "{report}");
    }
    operator(&bed, &["thaw"], 0).await;
    is_found_again(&bed, &lost).await;
    assert_eq!(told(&bed, &[], 0).await.0, []);
    bed.books().await;
}

/// A dry run changes nothing; told to apply, nothing is sent any more.
#[tokio::test]
async fn what_is_found_while_sends_go_on() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    assert_eq!(pay_from(&bed, "pool-1", invoice).await.status, "SUCCEEDED");
    let (found, report) = until_quiet(&bed, &[]).await;
    assert_eq!(found, differences(&[("lost_payment", "due")]), "{report}");
    operator(&bed, &["frozen"], 0).await;
    let (found, report) = told(&bed, &["--apply"], 8).await;
    assert_eq!(found, differences(&[("lost_payment", "person")]), "{report}");
    assert!(report["frozen"].is_string(), "{report}");
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let sent = bed.send(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
    refused(sent, Unavailable, "sends_frozen");
    operator(&bed, &["thaw"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
}

/// What differs is taken as right by whoever ends a freeze, and by nobody else.
#[tokio::test]
async fn a_thaw_of_nothing_takes_nothing_as_right() {
    let mut bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    assert_eq!(pay_from(&bed, "pool-1", invoice).await.status, "SUCCEEDED");
    let thawed = operator(&bed, &["thaw"], 0).await;
    assert!(thawed["was_frozen"].is_null(), "{thawed}");
    finding(&bed, "unknown_payment_on_node").await;
    bed.restart().await;
    let why = frozen(&bed).await;
    assert!(why.contains("which the ledger does not know"), "{why}");
}

/// What it has paid, the other one would pay again.
#[tokio::test]
async fn a_thaw_waits_for_every_node_of_the_pool() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    assert_eq!(pay_from(&bed, "pool-2", invoice).await.status, "SUCCEEDED");
    until_quiet(&bed, &[]).await;
    told(&bed, &["--apply"], 8).await;
    bed.fault("pool-2", "node_down").await;
    for _ in 0..2 {
        let refused = operator(&bed, &["thaw"], 4).await;
        assert_eq!(refused["error"]["code"], "node_not_read", "{refused}");
        assert!(refused.to_string().contains("node pool-2 of the pool"), "{refused}");
    }
    operator(&bed, &["frozen"], 8).await;
    bed.mend("pool-2").await;
    bed.world.usable(2).await;
    operator(&bed, &["thaw"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
}

/// A node that was put back numbers its settlements anew: what it is paid while nobody follows it is behind
/// the cursor.
#[tokio::test]
async fn a_receipt_that_was_overlooked() {
    let mut bed = Bed::make().await;
    let received = new_id();
    let invoice = invoice_of(&bed, &received).await;
    bed.world.kill_platform();
    let database = bed.left_behind();
    let ahead = "update node_cursor set settle_index = settle_index + 1000000";
    database.execute(ahead, []).expect("it is ours");
    drop(database);
    assert_eq!(pay_from(&bed, "bob", invoice).await.status, "SUCCEEDED");
    bed.begin_again().await;
    bed.world.usable(2).await;

    finding(&bed, "settled_but_not_credited").await;
    let (found, report) = until_quiet(&bed, &[]).await;
    assert_eq!(found, differences(&[("receipt_not_booked", "due")]), "{report}");
    let (found, report) = told(&bed, &["--apply"], 0).await;
    assert_eq!(found, differences(&[("receipt_not_booked", "done")]), "{report}");
    ends(&bed, &bed.globex, &received).await;
    assert_eq!(told(&bed, &["--apply"], 0).await.0, []);
    bed.books().await;
}

#[tokio::test]
async fn a_node_put_back_under_open_payments() {
    let mut bed = with_one_node().await;
    let kept = pay(&bed).await;
    let received = new_id();
    let invoice = invoice_of(&bed, &received).await;
    bed.fault("pool-1", "snapshot:monday").await;
    let open = stuck(&bed).await;
    put_on_record().await;
    let paid = pay(&bed).await;
    assert_eq!(pay_from(&bed, "bob", invoice).await.status, "SUCCEEDED");
    ends(&bed, &bed.globex, &received).await;
    bed.world.kill_platform();
    bed.fault("pool-1", "restore:monday").await;
    bed.begin_again().await;
    let settled = bed.settlements().await;

    let why = frozen(&bed).await;
    assert!(why.contains("it was restored"), "{why}");
    bed.world.usable(1).await;
    nothing_is_sent(&bed, &kept).await;
    for code in ["lost_by_node", "posted_but_not_paid", "credited_but_not_settled"] {
        finding(&bed, code).await;
    }

    let (found, report) = until_quiet(&bed, &[]).await;
    let gone = ("credited_but_not_settled", "person");
    let denied = ("posted_but_not_paid", "person");
    let due = [gone, ("open_payment_lost", "due"), denied];
    assert_eq!(found, differences(&due), "{report}");
    assert_eq!(report["thaw_is_safe"], false, "{report}");
    let left = [gone, ("open_payment_lost", "person"), denied];
    for _ in 0..2 {
        let (found, report) = told(&bed, &["--apply"], 8).await;
        assert_eq!(found, differences(&left), "{report}");
        assert_eq!(report["thaw_is_safe"], true, "{report}");
    }
    frozen(&bed).await;
    nothing_is_sent(&bed, &kept).await;

    operator(&bed, &["thaw"], 0).await;
    for payment in [&kept, &paid] {
        assert_eq!(&repeated(&bed, payment).await, payment);
        let anew = bed.sent(&bed.acme, bed.acme.send(&new_id(), &payment.invoice)).await;
        failed_with(&anew, "invoice_already_paid");
    }
    let anew = bed.sent(&bed.acme, bed.acme.send(&new_id(), &open.invoice)).await;
    failed_with(&anew, "invoice_already_paid");
    is_held_after_one_request(&bed, &open).await;
    assert_eq!(bed.settlements().await, settled);
    bed.pay(&bed.acme, AMOUNT_MSAT).await;

    // A person says how both ended.
    let fee = paid.fee_msat.expect("it was paid").to_string();
    let words = ["paid", "--preimage", &paid.preimage, "--fee-msat", &fee];
    resolve(&bed, &paid, &words, 0, "completed").await;
    found_unpaid(&bed, &open).await;
    let (found, report) = told(&bed, &[], 8).await;
    assert_eq!(found, differences(&[gone]), "{report}");
    assert_eq!(report["thaw_is_safe"], true, "{report}");
}
