//! Freezing, and what the nodes know beyond the journal.

use std::sync::Arc;

use domain::NodeId;
use ports::{
    Placement,
    guard::{Accepted, Foreign, Generation, Paid, Sighting},
    journal::Question,
    lightning::Settlement,
    receipts::Unknown,
};
use tokio::task::JoinSet;

use crate::{
    Case,
    bed::{Bed, NODES, id, msat},
    case,
    writer::{failed, hash, paid, send},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(rule_24_a_freeze_lasts_until_it_is_thawed),
        case(rule_24_a_thaw_takes_what_was_found_as_it_is),
        case(rule_24_of_many_thaws_at_once_one_ends_the_freeze),
        case(rule_24_the_history_is_the_one_on_record),
        case(rule_24_payments_of_ours_are_known_for_ever),
        case(rule_24_what_a_node_has_paid_without_our_knowing_is_told),
        case(rule_24_the_payment_cursor_moves_on),
        case(rule_24_what_a_node_has_shown_stays_on_record),
        case(rule_24_what_a_node_has_lost_is_excused_by_a_person),
    ]
}

async fn rule_24_a_freeze_lasts_until_it_is_thawed(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.frozen().await, Ok(None));
    assert_eq!(store.thaw(&[]).await, Ok(None));
    store.freeze("restored").await.unwrap();
    store.freeze("something else").await.unwrap();
    assert_eq!(store.frozen().await, Ok(Some("restored".to_owned())));
    Placement::begin(store.as_ref(), id(3)).await.unwrap();
    assert_eq!(store.frozen().await, Ok(Some("restored".to_owned())));
    assert_eq!(store.thaw(&[]).await, Ok(Some("restored".to_owned())));
    assert_eq!(store.frozen().await, Ok(None));
}

/// All that the store tells of what a thaw may change.
async fn told(bed: &Bed) -> String {
    let store = &bed.store;
    let mut told = String::new();
    for node in NODES {
        let shown = store.sightings(node).await.unwrap();
        let paid = (store.payment_cursor(node).await, store.lost_payments(node).await);
        told += &format!("{shown:?} {paid:?}\n");
    }
    told + &format!("{:?}", store.unknown_receipts().await.unwrap())
}

async fn rule_24_a_thaw_takes_what_was_found_as_it_is(bed: Bed) {
    let store = &bed.store;
    let [one, two, three] = [1, 2, 3].map(|number| sighting(NODES[0], number));
    let [elsewhere, kept] = [1, 2].map(|node| sighting(NODES[node], 1));
    store.change_sightings(&[one, two, elsewhere, kept], &[]).await.unwrap();
    store.move_payment_cursor(NODES[2], 5).await.unwrap();
    let receipt =
        Settlement { hash: hash(8), paid_msat: msat(5), settle_index: 7, spontaneous: false };
    for node in &NODES[..2] {
        store.take_in(*node, &[receipt], Unknown::Kept).await.unwrap();
    }
    let mut unaccounted = vec![hash(6), hash(7)];
    unaccounted.sort();
    let paid = Paid { unaccounted: unaccounted.clone(), cursor: 9 };
    let found = [
        Accepted { node: NODES[0], lost: Some(vec![two, three]), paid: Some(paid) },
        Accepted { node: NODES[2], lost: None, paid: None },
    ];

    // Nobody has looked, as nothing was frozen.
    let before = told(&bed).await;
    assert_eq!(store.thaw(&found).await, Ok(None));
    assert_eq!(told(&bed).await, before);

    store.freeze("restored").await.unwrap();
    assert_eq!(store.thaw(&found).await, Ok(Some("restored".to_owned())));
    assert_eq!(store.frozen().await, Ok(None));
    let excused = vec![(one, true), (two, true), (three, true)];
    assert_eq!(store.sightings(NODES[0]).await, Ok(excused));
    assert_eq!(store.lost_payments(NODES[0]).await, Ok(unaccounted));
    assert_eq!(store.payment_cursor(NODES[0]).await, Ok(9));
    // Of the others it was not said.
    let left = store.unknown_receipts().await.unwrap();
    assert_eq!(left.iter().map(|receipt| receipt.node).collect::<Vec<_>>(), [NODES[1]]);
    assert_eq!(store.sightings(NODES[1]).await, Ok(vec![(elsewhere, false)]));
    assert_eq!(store.sightings(NODES[2]).await, Ok(vec![(kept, false)]));
    assert_eq!(store.payment_cursor(NODES[2]).await, Ok(5));
}

async fn rule_24_of_many_thaws_at_once_one_ends_the_freeze(bed: Bed) {
    bed.store.freeze("restored").await.unwrap();
    let mut thaws = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&bed.store);
        thaws.spawn(async move { store.thaw(&[]).await.unwrap() });
    }
    let mut ended = thaws.join_all().await;
    ended.retain(Option::is_some);
    assert_eq!(ended, [Some("restored".to_owned())]);
    assert_eq!(bed.store.frozen().await, Ok(None));
}

async fn rule_24_the_history_is_the_one_on_record(bed: Bed) {
    assert_eq!(bed.store.generation().await, Ok(Generation::Same));
    bed.store.freeze("restored").await.unwrap();
    bed.store.thaw(&[]).await.unwrap();
    assert_eq!(bed.store.generation().await, Ok(Generation::Same));
}

async fn rule_24_payments_of_ours_are_known_for_ever(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.run(&bed, send(&bed, id(1), hash(1))).await;
    writer.run(&bed, paid(&bed, id(1), 1)).await;
    writer.run(&bed, send(&bed, id(2), hash(2))).await;
    writer.run(&bed, failed(&bed, id(2), 1, 1)).await;
    writer.run(&bed, send(&bed, id(3), hash(3))).await;
    let asked = [hash(9), hash(3), hash(2), hash(1), hash(8)];
    let unknown = bed.store.unknown_payments(NODES[0], &asked).await;
    assert_eq!(unknown, Ok(vec![hash(9), hash(8)]));
    let unknown = bed.store.unknown_payments(NODES[1], &asked).await;
    assert_eq!(unknown, Ok(asked.to_vec()));
    assert_eq!(bed.store.unknown_payments(NODES[0], &[]).await, Ok(Vec::new()));
}

async fn rule_24_what_a_node_has_paid_without_our_knowing_is_told(bed: Bed) {
    let mut writer = bed.org(1).await;
    let store = &bed.store;
    assert_eq!(store.lost_payments(NODES[0]).await, Ok(Vec::new()));
    store.record_foreign(NODES[0], &[hash(1), hash(2)], Foreign::Lost).await.unwrap();
    store.record_foreign(NODES[1], &[hash(2), hash(3)], Foreign::Lost).await.unwrap();
    store.record_foreign(NODES[0], &[hash(5)], Foreign::Older).await.unwrap();
    // What is on record stays as it is.
    store.record_foreign(NODES[0], &[hash(5)], Foreign::Lost).await.unwrap();
    store.record_foreign(NODES[0], &[hash(1)], Foreign::Older).await.unwrap();
    let mut lost = vec![hash(1), hash(2)];
    lost.sort();
    assert_eq!(store.lost_payments(NODES[0]).await, Ok(lost.clone()));
    assert_eq!(store.lost_payments(NODES[1]).await, Ok(vec![hash(3)]));
    let asked = [1, 2, 3, 4, 5].map(|secret| Question {
        org: writer.id(),
        payment: id(9),
        hash: Some(hash(secret)),
        claim: None,
    });
    let known = bed.store.look_up(&asked).await.unwrap();
    let foreign: Vec<_> = known.iter().map(|known| known.foreign_on).collect();
    assert_eq!(foreign, [Some(NODES[0]), Some(NODES[0]), Some(NODES[1]), None, Some(NODES[0])]);
    // It is found under an id of ours again.
    writer.run(&bed, send(&bed, id(1), hash(1))).await;
    writer.run(&bed, paid(&bed, id(1), 1)).await;
    assert_eq!(bed.store.unknown_payments(NODES[0], &[hash(1)]).await, Ok(Vec::new()));
    assert_eq!(store.lost_payments(NODES[0]).await, Ok(lost));
}

async fn rule_24_the_payment_cursor_moves_on(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.payment_cursor(NODES[0]).await, Ok(0));
    store.move_payment_cursor(NODES[0], 7).await.unwrap();
    store.move_payment_cursor(NODES[0], 8).await.unwrap();
    assert_eq!(store.payment_cursor(NODES[0]).await, Ok(8));
    assert_eq!(store.payment_cursor(NODES[1]).await, Ok(0));
}

/// A payment of the first organisation.
fn sighting(node: NodeId, number: u8) -> Sighting {
    Sighting { node, org: id(1), payment: id(number.into()), hash: hash(number) }
}

async fn rule_24_what_a_node_has_shown_stays_on_record(bed: Bed) {
    let store = &bed.store;
    let [one, two, three] = [1, 2, 3].map(|number| sighting(NODES[0], number));
    let other = sighting(NODES[1], 1);
    assert_eq!(store.sightings(NODES[0]).await, Ok(Vec::new()));
    store.change_sightings(&[], &[one]).await.unwrap();
    store.change_sightings(&[two, other, one], &[]).await.unwrap();
    store.change_sightings(&[one, three], &[two, two]).await.unwrap();
    assert_eq!(store.sightings(NODES[0]).await, Ok(vec![(one, false), (three, false)]));
    assert_eq!(store.sightings(NODES[1]).await, Ok(vec![(other, false)]));
    store.change_sightings(&[], &[one, three]).await.unwrap();
    assert_eq!(store.sightings(NODES[0]).await, Ok(Vec::new()));
    assert_eq!(store.sightings(NODES[1]).await, Ok(vec![(other, false)]));
}

async fn rule_24_what_a_node_has_lost_is_excused_by_a_person(bed: Bed) {
    let store = &bed.store;
    let [one, two, three] = [1, 2, 3].map(|number| sighting(NODES[0], number));
    let other = sighting(NODES[1], 1);
    store.change_sightings(&[one, two, other], &[]).await.unwrap();
    store.excuse_sightings(NODES[0], &[two, three]).await.unwrap();
    // Shown again, it stays excused; a new one is not.
    let four = sighting(NODES[0], 4);
    store.change_sightings(&[one, four], &[two]).await.unwrap();
    let shown = vec![(one, true), (three, true), (four, false)];
    assert_eq!(store.sightings(NODES[0]).await, Ok(shown));
    assert_eq!(store.sightings(NODES[1]).await, Ok(vec![(other, false)]));
}
