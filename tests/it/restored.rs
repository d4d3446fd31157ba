//! Rule 24: a node or a database that is not the one we left freezes every send until a person has looked.

use std::{fs, path::Path, time::Duration};

use domain::ErrorClass::Unavailable;
use lightning_sim::control_proto as sim;
use proto::v1::{Payment, PaymentStatus, SendRequest};
use serde_json::Value;
use tests::world::new_id;

use crate::{
    bed::{Bed, failed_with, operator, refused},
    resolved::{found_unpaid, is_explained, resolve},
};

pub(crate) const FROZEN_WITHIN: Duration = Duration::from_secs(60);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(20);
pub(crate) const AMOUNT_MSAT: u64 = 50_000;

/// By now the platform has put on record what nodes have shown, which it does four times a second.
pub(crate) async fn put_on_record() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// A world whose payments all go through `pool-1`.
pub(crate) async fn with_one_node() -> Bed {
    let bed = Bed::make().await;
    operator(&bed, &["node", "stop", "pool-2"], 0).await;
    bed
}

/// Waits until sends are frozen and answers with why.
pub(crate) async fn frozen(bed: &Bed) -> String {
    let waiting = async {
        loop {
            let said = bed.world.cli("", &["frozen"]).await;
            if said.code == 8 {
                return said.document["frozen"].as_str().expect("it says why").to_owned();
            }
            assert_eq!((said.code, &said.document["frozen"]), (0, &Value::Null), "{said:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FROZEN_WITHIN, waiting).await.expect("sends are frozen")
}

/// The audit ends with code 8 and has this finding; answers with its message.
pub(crate) async fn finding(bed: &Bed, code: &str) -> String {
    let report = operator(bed, &["audit"], 8).await;
    assert_eq!(report["clean"], false, "{report}");
    let findings = report["findings"].as_array().expect("findings are a list");
    let found = findings.iter().find(|finding| finding["code"] == code);
    let found = found.unwrap_or_else(|| panic!("no {code}: {report}"));
    assert!(found["node_id"].is_string(), "{found}");
    found["message"].as_str().expect("it says what differs").to_owned()
}

/// While frozen: nothing is sent on either rail, what was sent is still answered, and receiving goes on.
/// Then a person thaws it, and what was refused is done under the same id.
pub(crate) async fn sends_wait_for_a_person(bed: &Bed, before: &Payment) {
    let (acme, globex) = (&bed.acme, &bed.globex);
    let outside = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let inside = globex.receive(&new_id(), Some(AMOUNT_MSAT));
    let asked = globex.payments(bed.channel.clone()).receive(inside).await;
    let inside = asked.expect("receiving goes on").into_inner();
    let sends = [acme.send(&new_id(), &outside), acme.send(&new_id(), &inside.invoice)];
    let wallet = bed.wallet(acme).await;
    for send in &sends {
        refused(bed.send(acme, send.clone()).await, Unavailable, "sends_frozen");
        // To a person it says at once who has to act: not later, and not by itself.
        let said = bed.cli_pay(acme, send).await;
        let error = &said.document["error"];
        let told = (said.code, &error["code"], &error["retryable"]);
        assert_eq!(told, (8, &"sends_frozen".into(), &"same_id".into()), "{said:?}");
        assert!(said.stderr.contains("`switchyard frozen`"), "{said:?}");
        assert!(bed.payment(acme, &send.id).await.is_err(), "nothing is kept");
    }
    let repeated = SendRequest { id: before.id.clone(), ..acme.send("", &before.invoice) };
    assert_eq!(&bed.sent(acme, repeated).await, before);
    assert_eq!(bed.wallet(acme).await, wallet);
    is_paid_from_outside(bed).await;

    operator(bed, &["audit"], 8).await;
    // That a thaw asks for a restore first is told in `restore`; it stands on its own as well.
    let thawed = operator(bed, &["thaw", "--anyway"], 0).await;
    assert!(thawed["was_frozen"].is_string(), "{thawed}");
    operator(bed, &["frozen"], 0).await;
    for send in sends {
        let sent = bed.sent(acme, send).await;
        assert_eq!(sent.status(), PaymentStatus::Completed, "{sent:?}");
    }
    bed.settlements().await;
}

/// Somebody outside pays an invoice of globex's, and it is credited.
pub(crate) async fn is_paid_from_outside(bed: &Bed) {
    let asked = bed.globex.receive(&new_id(), Some(AMOUNT_MSAT));
    let id = asked.id.clone();
    let made = bed.globex.payments(bed.channel.clone()).receive(asked).await;
    let invoice = made.expect("receiving goes on").into_inner().invoice;
    assert_eq!(pay_from(bed, "bob", invoice).await.status, "SUCCEEDED");
    let watched = ["payment", "watch", &id, "--wait-seconds", "30"];
    let said = bed.cli(&bed.globex, &watched).await;
    let credited = (said.code, &said.document["status"], &said.document["received_msat"]);
    assert_eq!(credited, (0, &"completed".into(), &AMOUNT_MSAT.into()), "{said:?}");
}

pub(crate) async fn pay_from(bed: &Bed, node: &str, payment_request: String) -> sim::PaymentRecord {
    let request = sim::PayRequest {
        node: node.to_owned(),
        payment_request,
        amount_msat: 0,
        fee_limit_msat: AMOUNT_MSAT,
        wait_ms: 30_000,
    };
    bed.world.outside().pay(request).await.expect("the network pays").into_inner()
}

#[tokio::test]
async fn a_pool_node_made_a_payment_that_the_platform_does_not_know() {
    let mut bed = Bed::make().await;
    let paid = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    let foreign = pay_from(&bed, "pool-1", invoice.clone()).await;
    assert_eq!(foreign.status, "SUCCEEDED");
    let hash: String = foreign.payment_hash.iter().map(|byte| format!("{byte:02x}")).collect();

    let says = finding(&bed, "unknown_payment_on_node").await;
    assert!(says.contains(&hash), "{says}");
    bed.restart().await;
    let why = frozen(&bed).await;
    assert!(why.contains(&hash) && why.contains("which the ledger does not know"), "{why}");
    finding(&bed, "unknown_payment_on_node").await;
    sends_wait_for_a_person(&bed, &paid).await;

    // The person has looked: it is not held against the node again.
    bed.restart().await;
    operator(&bed, &["frozen"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    // Nor is it asked of another node; and its own answers with what it has.
    let paid = bed.settlements().await;
    operator(&bed, &["node", "stop", "pool-1"], 0).await;
    let elsewhere = bed.acme.send(&new_id(), &invoice);
    failed_with(&bed.sent(&bed.acme, elsewhere).await, "no_usable_node");
    operator(&bed, &["node", "resume", "pool-1"], 0).await;
    bed.world.usable(2).await;
    let found = bed.sent(&bed.acme, bed.acme.send(&new_id(), &invoice)).await;
    assert_eq!(found.status(), PaymentStatus::Completed, "{found:?}");
    assert_eq!(bed.settlements().await, paid);
    operator(&bed, &["audit"], 0).await;
}

#[tokio::test]
async fn a_pool_node_restored_to_an_old_copy() {
    let mut bed = with_one_node().await;
    let kept = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.fault("pool-1", "snapshot:monday").await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    put_on_record().await;
    bed.books().await;
    bed.fault("pool-1", "restore:monday").await;

    let says = finding(&bed, "posted_but_not_paid").await;
    assert!(says.contains("the node says otherwise"), "{says}");
    bed.restart().await;
    let why = frozen(&bed).await;
    assert!(why.contains("it was restored"), "{why}");
    sends_wait_for_a_person(&bed, &kept).await;

    // What was paid stays paid; that the node denies it, a person has to explain.
    let report = operator(&bed, &["audit"], 8).await;
    let denied = report["findings"][0]["payment_id"].as_str().expect("it is of a payment");
    let paid = bed.payment(&bed.acme, denied).await.expect("it is kept").into_inner();
    let fee = paid.fee_msat.expect("it was paid").to_string();
    resolve(&bed, &paid, &["failed"], 1, "payment_proven_paid").await;
    let words = ["paid", "--preimage", &paid.preimage, "--fee-msat", &fee];
    resolve(&bed, &paid, &words, 0, "completed").await;
    is_explained(&bed, &paid.id).await;
}

/// It is back before anybody has looked at it again or written down what it has shown, and gets nothing
/// before it has been looked at.
#[tokio::test]
async fn a_pool_node_comes_back_as_an_old_copy_under_a_running_platform() {
    let bed = with_one_node().await;
    comes_back_as_an_old_copy(&bed).await;
}

/// It was away for so long that its settlements are not followed again yet, whose end would show that it goes.
#[tokio::test]
async fn a_pool_node_that_was_away_comes_back_as_an_old_copy() {
    let bed = with_one_node().await;
    bed.kill_node("pool-1", 6_500).await;
    comes_back_as_an_old_copy(&bed).await;
}

async fn comes_back_as_an_old_copy(bed: &Bed) {
    bed.world.usable(1).await;
    bed.fault("pool-1", "snapshot:monday").await;
    let paid = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.fault("pool-1", "restore:monday").await;
    bed.kill_node("pool-1", 0).await;
    let why = frozen(bed).await;
    assert!(why.contains(&paid.payment_hash) && why.contains("it was restored"), "{why}");
}

#[tokio::test]
async fn a_pool_node_forgets_a_payment_that_was_made() {
    let mut bed = with_one_node().await;
    let kept = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let lost = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    put_on_record().await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.books().await;
    bed.fault("pool-1", &format!("forget:{}", lost.payment_hash)).await;
    finding(&bed, "posted_but_not_paid").await;
    bed.restart().await;
    let why = frozen(&bed).await;
    assert!(why.contains(&lost.payment_hash), "{why}");
    sends_wait_for_a_person(&bed, &kept).await;

    // The person has looked: it is not held against the node again.
    bed.restart().await;
    operator(&bed, &["frozen"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
}

/// Not found is no proof of failure (rule 9): what the node had accepted stays held.
#[tokio::test]
async fn a_pool_node_forgets_a_payment_in_flight() {
    let mut bed = with_one_node().await;
    let paid = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let open = stuck(&bed).await;
    let held = bed.wallet(&bed.acme).await.held_msat;
    bed.fault("pool-1", &format!("forget:{}", open.payment_hash)).await;
    operator(&bed, &["sim", "restart", "pool-1", "--kill"], 0).await;

    let why = frozen(&bed).await;
    assert!(why.contains(&open.payment_hash) && why.contains("no longer has payment"), "{why}");
    let still = bed.payment(&bed.acme, &open.id).await.expect("it is kept").into_inner();
    assert_eq!(still.status(), PaymentStatus::Sending);
    assert_eq!(bed.wallet(&bed.acme).await.held_msat, held);
    sends_wait_for_a_person(&bed, &paid).await;
    let still = bed.payment(&bed.acme, &open.id).await.expect("it is kept").into_inner();
    assert_eq!(still.status(), PaymentStatus::Sending, "a thaw proves nothing");
    assert_eq!(bed.wallet(&bed.acme).await.held_msat, held);
    assert!(finding(&bed, "lost_by_node").await.contains("no longer has it"));

    // A person knows that it was not made.
    found_unpaid(&bed, &still).await;
    assert_eq!(bed.wallet(&bed.acme).await.held_msat, 0);
    is_explained(&bed, &open.id).await;
    bed.restart().await;
    bed.world.usable(1).await;
    is_explained(&bed, &open.id).await;
    operator(&bed, &["frozen"], 0).await;
    let failed = bed.payment(&bed.acme, &open.id).await.expect("it is kept").into_inner();
    failed_with(&failed, "found_unpaid");
}

/// The same while nobody looks: what the node had is on record, not only in memory.
#[tokio::test]
async fn a_pool_node_forgets_a_payment_in_flight_while_the_platform_is_down() {
    let mut bed = with_one_node().await;
    let open = stuck(&bed).await;
    put_on_record().await;
    let paid = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.world.kill_platform();
    bed.fault("pool-1", &format!("forget:{}", open.payment_hash)).await;
    bed.begin_again().await;

    let why = frozen(&bed).await;
    assert!(why.contains(&open.payment_hash) && why.contains("it was restored"), "{why}");
    let report = operator(&bed, &["audit"], 8).await;
    let findings = report["findings"].as_array().expect("findings are a list");
    let lost = |it: &&Value| {
        (&it["code"], &it["payment_id"]) == (&"lost_by_node".into(), &open.id.as_str().into())
    };
    assert_eq!(findings.iter().filter(lost).count(), 1, "{report}");
    is_held_after_one_request(&bed, &open).await;
    bed.world.usable(1).await;
    sends_wait_for_a_person(&bed, &paid).await;
    is_held_after_one_request(&bed, &open).await;

    // A thaw is for good, and proves nothing.
    bed.restart().await;
    bed.world.usable(1).await;
    operator(&bed, &["frozen"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    put_on_record().await;
    is_held_after_one_request(&bed, &open).await;
    operator(&bed, &["frozen"], 0).await;
}

/// The copy is older than a payment in flight, and everything after it.
#[tokio::test]
async fn a_pool_node_put_back_while_the_platform_is_down() {
    let mut bed = with_one_node().await;
    let paid = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    bed.fault("pool-1", "snapshot:monday").await;
    let open = stuck(&bed).await;
    put_on_record().await;
    bed.world.kill_platform();
    bed.fault("pool-1", "restore:monday").await;
    bed.begin_again().await;
    let why = frozen(&bed).await;
    assert!(why.contains(&open.payment_hash), "{why}");
    bed.world.usable(1).await;
    sends_wait_for_a_person(&bed, &paid).await;
    is_held_after_one_request(&bed, &open).await;
}

#[tokio::test]
async fn a_payment_in_flight_on_a_node_that_has_it_freezes_nothing() {
    let mut bed = with_one_node().await;
    let open = stuck(&bed).await;
    put_on_record().await;
    for _ in 0..2 {
        bed.restart().await;
        bed.world.usable(1).await;
        bed.pay(&bed.acme, AMOUNT_MSAT).await;
        operator(&bed, &["frozen"], 0).await;
        bed.books().await;
        is_held_after_one_request(&bed, &open).await;
    }
}

/// That a node does not find what it never had says nothing of the node: the payment goes on by itself.
#[tokio::test]
async fn a_request_that_the_node_has_not_taken_up_freezes_nothing() {
    let mut bed = with_one_node().await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    put_on_record().await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:handler_stall:2500").await;
    let request = SendRequest { wait_seconds: 0, ..bed.acme.send(&new_id(), &invoice) };
    let open = bed.sent(&bed.acme, request).await;
    bed.restart().await;
    let watched = ["payment", "watch", &open.id, "--wait-seconds", "30"];
    let said = bed.cli(&bed.acme, &watched).await;
    assert_eq!((said.code, &said.document["status"]), (0, &"completed".into()), "{said:?}");
    operator(&bed, &["frozen"], 0).await;
    bed.books().await;
}

/// A payment that its node has and that does not end.
pub(crate) async fn stuck(bed: &Bed) -> Payment {
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "sim:stuck").await;
    let request = SendRequest { wait_seconds: 0, ..bed.acme.send(&new_id(), &invoice) };
    let open = bed.sent(&bed.acme, request).await;
    assert_eq!(open.status(), PaymentStatus::Sending);
    in_flight_on(bed, "pool-1", &open.payment_hash).await;
    open
}

pub(crate) async fn is_held_after_one_request(bed: &Bed, open: &Payment) {
    let still = bed.payment(&bed.acme, &open.id).await.expect("it is kept").into_inner();
    assert_eq!(still.status(), PaymentStatus::Sending, "{still:?}");
    assert!(still.attempts.iter().map(|attempt| attempt.requests).eq([1]), "{still:?}");
}

/// Waits until the node shows the payment.
pub(crate) async fn in_flight_on(bed: &Bed, node: &str, hash: &str) {
    let known = async || bed.world.cli("", &["sim", "lookup", node, hash]).await.code == 0;
    let waiting = async {
        while !known().await {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(FROZEN_WITHIN, waiting).await.expect("the node gets it");
}

/// Copies the files of a folder.
fn copy(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    fs::create_dir_all(to).expect("there is room");
    for entry in fs::read_dir(from).expect("the folder is there").flatten() {
        let name = entry.file_name().into_string().expect("our names are text");
        if wanted(&name) {
            fs::copy(entry.path(), to.join(name)).expect("there is room");
        }
    }
}

pub(crate) fn of_the_database(name: &str) -> bool {
    name.starts_with("switchyard.sqlite")
}

/// What has happened meanwhile the database put back does not know.
pub(crate) async fn put_back<T>(
    bed: &mut Bed,
    wanted: impl Fn(&str) -> bool,
    meanwhile: impl AsyncFnOnce(&Bed) -> T,
) -> T {
    let platform = bed.world.folder().join("platform");
    let backup = bed.world.folder().join("backup");
    bed.world.kill_platform();
    copy(&platform, &backup, |_| true);
    bed.begin_again().await;
    bed.world.usable(1).await;
    let lost = meanwhile(bed).await;
    bed.world.kill_platform();
    for entry in fs::read_dir(&platform).expect("the folder is there").flatten() {
        if entry.file_name().to_str().is_some_and(of_the_database) {
            fs::remove_file(entry.path()).expect("nobody has it open");
        }
    }
    copy(&backup, &platform, wanted);
    bed.begin_again().await;
    lost
}

pub(crate) async fn pays(bed: &Bed) -> Payment {
    bed.pay(&bed.acme, AMOUNT_MSAT).await
}

/// Under its own id the lost payment is found on its node: paid once, told once more.
pub(crate) async fn is_found_again(bed: &Bed, lost: &Payment) {
    let paid = bed.settlements().await.len();
    let request = SendRequest { id: lost.id.clone(), ..bed.acme.send("", &lost.invoice) };
    let found = bed.sent(&bed.acme, request).await;
    assert_eq!((found.status(), &found.preimage), (PaymentStatus::Completed, &lost.preimage));
    assert_eq!(bed.settlements().await.len(), paid);
}

#[tokio::test]
async fn a_changed_database_generation() {
    let mut bed = with_one_node().await;
    let kept = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let lost = put_back(&mut bed, of_the_database, pays).await;
    let why = frozen(&bed).await;
    assert!(why.contains("the store was restored or replaced"), "{why}");
    let says = finding(&bed, "unknown_payment_on_node").await;
    assert!(says.contains(&lost.payment_hash), "{says}");
    bed.world.usable(1).await;
    sends_wait_for_a_person(&bed, &kept).await;
    is_found_again(&bed, &lost).await;
    bed.books().await;
}

/// With the number beside the database put back as well, the nodes still know better.
#[tokio::test]
async fn a_whole_data_folder_put_back() {
    let mut bed = with_one_node().await;
    let kept = bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let lost = put_back(&mut bed, |_| true, pays).await;
    let why = frozen(&bed).await;
    assert!(why.contains(&lost.payment_hash), "{why}");
    bed.world.usable(1).await;
    sends_wait_for_a_person(&bed, &kept).await;
    is_found_again(&bed, &lost).await;
    bed.books().await;
}

/// A customer may pay from their own node by other means: that freezes nobody.
#[tokio::test]
async fn an_own_node_may_pay_by_other_means() {
    let mut bed = Bed::make().await;
    let owner =
        proto::admin::v1::register_node_request::Owner::OrganisationId(bed.acme.org.clone());
    bed.world.register("customer", owner).await;
    let invoice = bed.world.invoice("alice", AMOUNT_MSAT, "").await;
    assert_eq!(pay_from(&bed, "customer", invoice.clone()).await.status, "SUCCEEDED");
    bed.restart().await;
    bed.world.usable(3).await;
    operator(&bed, &["frozen"], 0).await;
    operator(&bed, &["audit"], 0).await;
    bed.pay(&bed.acme, AMOUNT_MSAT).await;
    let again = bed.sent(&bed.globex, bed.globex.send(&new_id(), &invoice)).await;
    failed_with(&again, "incorrect_payment_details");
}
