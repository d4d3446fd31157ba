//! The inbox of what nodes have been paid.

use domain::{Msat, NodeId, PaymentId};
use ports::{
    StoreError,
    guard::Accepted,
    journal::Taken,
    lightning::Settlement,
    receipts::{OpenReceipt, Unknown, UnknownReceipt},
};

use crate::{
    Case,
    bed::{Bed, NODES, id, msat},
    case,
    writer::{Writer, hash, receipt},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(rule_22_receipts_and_the_cursor_move_together),
        case(rule_22_the_greatest_amount_of_a_hash_wins),
        case(rule_22_the_cursor_never_goes_back),
        case(rule_22_each_node_has_its_cursor),
        case(rule_21_a_receipt_is_open_until_it_is_booked_in_full),
        case(rule_21_a_receipt_is_booked_with_its_event),
        case(what_is_not_ours_moves_the_cursor_only),
        case(rule_24_what_the_house_was_paid_without_our_knowing_is_on_record),
        case(rule_24_a_person_takes_an_unknown_receipt_as_it_is),
        case(rule_24_what_is_older_than_a_nodes_books_is_not_ours),
    ]
}

const PAYMENT: PaymentId = id(1);

fn settled(secret: u8, paid_msat: u64, settle_index: u64) -> Settlement {
    Settlement { hash: hash(secret), paid_msat: msat(paid_msat), settle_index, spontaneous: false }
}

fn open(writer: &Writer, secret: u8, paid_msat: u64) -> OpenReceipt {
    let (org, payment, node) = (writer.id(), id(u128::from(secret)), NODES[0]);
    OpenReceipt { org, payment, node, hash: hash(secret), paid_msat: msat(paid_msat) }
}

/// Invoices 1 to 3 on the first node.
async fn invoices(bed: &Bed) -> Writer {
    let mut writer = bed.org(1).await;
    for secret in 1..=3 {
        writer.receive(bed, id(u128::from(secret)), secret, NODES[0]).await;
    }
    writer
}

/// Those of ours that are open; of a node where the owner may be paid by other means.
async fn take_in(
    bed: &Bed,
    node: NodeId,
    settlements: &[Settlement],
) -> Result<Vec<OpenReceipt>, StoreError> {
    let taken = bed.store.take_in(node, settlements, Unknown::Counted).await?;
    assert_eq!(taken.unknown, Vec::new());
    Ok(taken.open)
}

fn by_hash(mut receipts: Vec<OpenReceipt>) -> Vec<OpenReceipt> {
    receipts.sort_by_key(|receipt| receipt.hash);
    receipts
}

async fn rule_22_receipts_and_the_cursor_move_together(bed: Bed) {
    let writer = invoices(&bed).await;
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(0));
    let settlements = [settled(1, 1_000, 4), settled(2, 2_000, 6)];
    let expected = by_hash(vec![open(&writer, 1, 1_000), open(&writer, 2, 2_000)]);
    assert_eq!(take_in(&bed, NODES[0], &settlements).await, Ok(expected.clone()));
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(6));
    assert_eq!(bed.store.open_receipts().await, Ok(expected.clone()));
    // A second follower, or a scan behind the cursor, does no harm.
    assert_eq!(take_in(&bed, NODES[0], &settlements).await, Ok(expected.clone()));
    assert_eq!(bed.store.open_receipts().await, Ok(expected));
    assert_eq!(take_in(&bed, NODES[0], &[]).await, Ok(Vec::new()));
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(6));
}

async fn rule_22_the_greatest_amount_of_a_hash_wins(bed: Bed) {
    let writer = invoices(&bed).await;
    let settlements = [settled(1, 900, 1), settled(1, 1_500, 2), settled(1, 1_200, 3)];
    let taken = take_in(&bed, NODES[0], &settlements).await;
    assert_eq!(taken, Ok(vec![open(&writer, 1, 1_500)]));
    let taken = take_in(&bed, NODES[0], &[settled(1, 700, 4)]).await;
    assert_eq!(taken, Ok(vec![open(&writer, 1, 1_500)]));
    let taken = take_in(&bed, NODES[0], &[settled(1, 1_600, 5)]).await;
    assert_eq!(taken, Ok(vec![open(&writer, 1, 1_600)]));
}

async fn rule_22_the_cursor_never_goes_back(bed: Bed) {
    invoices(&bed).await;
    take_in(&bed, NODES[0], &[settled(2, 1, 9), settled(1, 1, 3)]).await.unwrap();
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(9));
    take_in(&bed, NODES[0], &[settled(3, 1, 5)]).await.unwrap();
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(9));
}

async fn rule_22_each_node_has_its_cursor(bed: Bed) {
    invoices(&bed).await;
    take_in(&bed, NODES[0], &[settled(1, 1, 3)]).await.unwrap();
    take_in(&bed, NODES[1], &[settled(9, 1, 8)]).await.unwrap();
    bed.store.move_payment_cursor(NODES[0], 5).await.unwrap();
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(3));
    assert_eq!(bed.store.settle_cursor(NODES[1]).await, Ok(8));
    assert_eq!(bed.store.settle_cursor(NODES[2]).await, Ok(0));
    assert_eq!(bed.store.payment_cursor(NODES[0]).await, Ok(5));
    assert_eq!(bed.store.payment_cursor(NODES[1]).await, Ok(0));
}

/// Books without an event, as what was booked before by another way.
async fn book(bed: &Bed, writer: &Writer, paid_msat: Msat) {
    let taken = Taken { node: NODES[0], hash: hash(1), paid_msat };
    let append = writer.nothing(bed, vec![taken]);
    bed.store.append(&[append]).await.unwrap();
}

async fn rule_21_a_receipt_is_open_until_it_is_booked_in_full(bed: Bed) {
    let writer = invoices(&bed).await;
    // Nothing is there yet: it came by another way.
    book(&bed, &writer, msat(10)).await;
    take_in(&bed, NODES[0], &[settled(1, 1_000, 1)]).await.unwrap();
    for (booked, left) in [(999, Some(1_000)), (1_000, None), (5, None)] {
        book(&bed, &writer, msat(booked)).await;
        let expected: Vec<_> = left.map(|paid| open(&writer, 1, paid)).into_iter().collect();
        assert_eq!(bed.store.open_receipts().await, Ok(expected));
    }
    let again = take_in(&bed, NODES[0], &[settled(1, 1_000, 2)]).await;
    assert_eq!(again, Ok(Vec::new()));
    let more = take_in(&bed, NODES[0], &[settled(1, 1_001, 3)]).await;
    assert_eq!(more, Ok(vec![open(&writer, 1, 1_001)]));
}

async fn rule_21_a_receipt_is_booked_with_its_event(bed: Bed) {
    let mut writer = invoices(&bed).await;
    take_in(&bed, NODES[0], &[settled(1, 1_000, 1)]).await.unwrap();
    Writer::load(&bed, writer.id()).await;
    let taken = Taken { node: NODES[0], hash: hash(1), paid_msat: msat(1_000) };
    let mut fenced = writer.prepare(&bed, receipt(PAYMENT, msat(1_000)));
    fenced.taken = vec![taken];
    assert!(bed.store.append(&[fenced]).await.is_err());
    assert_eq!(bed.store.open_receipts().await, Ok(vec![open(&writer, 1, 1_000)]));
    writer = Writer::load(&bed, writer.id()).await;
    let mut booked = writer.prepare(&bed, receipt(PAYMENT, msat(1_000)));
    booked.taken = vec![taken];
    bed.store.append(&[booked]).await.unwrap();
    assert_eq!(bed.store.open_receipts().await, Ok(Vec::new()));
}

async fn what_is_not_ours_moves_the_cursor_only(bed: Bed) {
    invoices(&bed).await;
    let foreign = [settled(200, 5, 7)];
    assert_eq!(take_in(&bed, NODES[0], &foreign).await, Ok(Vec::new()));
    // Ours, but of another node.
    assert_eq!(take_in(&bed, NODES[1], &[settled(1, 5, 2)]).await, Ok(Vec::new()));
    assert_eq!(bed.store.open_receipts().await, Ok(Vec::new()));
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(7));
    assert_eq!(bed.store.settle_cursor(NODES[1]).await, Ok(2));
}

async fn kept(bed: &Bed, settlements: &[Settlement]) -> Vec<UnknownReceipt> {
    let taken = bed.store.take_in(NODES[0], settlements, Unknown::Kept).await.unwrap();
    assert_eq!(taken.open, Vec::new());
    taken.unknown
}

fn unknown(secret: u8, paid_msat: u64) -> UnknownReceipt {
    UnknownReceipt { node: NODES[0], hash: hash(secret), paid_msat: msat(paid_msat) }
}

async fn rule_24_what_the_house_was_paid_without_our_knowing_is_on_record(bed: Bed) {
    invoices(&bed).await;
    let batch = [settled(8, 5, 7), settled(9, 6, 8), settled(8, 4, 9)];
    let found = by(kept(&bed, &batch).await);
    assert_eq!(found, by(vec![unknown(8, 5), unknown(9, 6)]));
    assert_eq!(by(bed.store.unknown_receipts().await.unwrap()), found);
    // Read once more, it is the same receipt; with more it is more.
    assert_eq!(by(kept(&bed, &batch).await), found);
    assert_eq!(kept(&bed, &[settled(9, 60, 10)]).await, vec![unknown(9, 60)]);
    let all = bed.store.unknown_receipts().await.unwrap();
    assert_eq!(by(all), by(vec![unknown(8, 5), unknown(9, 60)]));
    // Anybody may send what nobody asked for.
    let gift = Settlement { spontaneous: true, ..settled(10, 1, 11) };
    assert_eq!(kept(&bed, &[gift]).await, Vec::new());
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(11));
    assert_eq!(bed.store.unknown_receipts().await.unwrap().len(), 2);
    // What is ours is not unknown.
    let taken = bed.store.take_in(NODES[0], &[settled(1, 5, 12)], Unknown::Kept).await.unwrap();
    assert_eq!((taken.open.len(), taken.unknown.len()), (1, 0));
}

fn by(mut receipts: Vec<UnknownReceipt>) -> Vec<UnknownReceipt> {
    receipts.sort();
    receipts
}

/// As a person takes it who has looked at the node.
async fn taken_as_it_is(bed: &Bed, node: NodeId) {
    bed.store.freeze("restored").await.unwrap();
    let found = Accepted { node, lost: None, paid: None };
    assert_eq!(bed.store.thaw(&[found]).await, Ok(Some("restored".to_owned())));
}

async fn rule_24_a_person_takes_an_unknown_receipt_as_it_is(bed: Bed) {
    kept(&bed, &[settled(8, 5, 7)]).await;
    taken_as_it_is(&bed, NODES[1]).await;
    assert_eq!(bed.store.unknown_receipts().await, Ok(vec![unknown(8, 5)]));
    taken_as_it_is(&bed, NODES[0]).await;
    assert_eq!(bed.store.unknown_receipts().await, Ok(Vec::new()));
    assert_eq!(kept(&bed, &[settled(8, 5, 7)]).await, Vec::new());
    assert_eq!(kept(&bed, &[settled(8, 6, 9)]).await, vec![unknown(8, 6)]);
    assert_eq!(bed.store.unknown_receipts().await, Ok(vec![unknown(8, 6)]));
}

async fn rule_24_what_is_older_than_a_nodes_books_is_not_ours(bed: Bed) {
    bed.store.begin_receipts(NODES[0], 7).await.unwrap();
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(7));
    assert_eq!(kept(&bed, &[settled(8, 5, 6), settled(9, 5, 7)]).await, Vec::new());
    assert_eq!(kept(&bed, &[settled(10, 5, 8)]).await, vec![unknown(10, 5)]);
    // It goes back for nobody.
    bed.store.begin_receipts(NODES[0], 3).await.unwrap();
    assert_eq!(bed.store.settle_cursor(NODES[0]).await, Ok(8));
    assert_eq!(kept(&bed, &[settled(11, 5, 4)]).await, Vec::new());
    assert_eq!(bed.store.settle_cursor(NODES[1]).await, Ok(0));
}
