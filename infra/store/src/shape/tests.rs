use domain::{
    Timestamp,
    org::{Org, OutgoingState},
};

use super::*;
use crate::testing::{Writer, hash_of, node, numbered};

const AT: Timestamp = Timestamp::from_millis(1);

fn writer(number: u128) -> (Writer, Vec<Append>) {
    let org = Org::new(numbered(number), Epoch(1));
    let mut writer = Writer { org, seq: Seq(0) };
    let appends = writer.open_wallet();
    (writer, appends)
}

#[test]
fn what_is_replaced_within_a_batch_is_written_once() {
    let (mut writer, mut appends) = writer(1);
    appends.extend(writer.send(10, 1, AT));
    appends.extend(writer.pay(10, AT));
    let batch = Batch::of(&appends).unwrap();

    assert_eq!((batch.new_payments.len(), batch.payments.len()), (1, 0));
    let [payment] = &batch.new_payments[..] else { panic!("one payment") };
    let Row::Outgoing(stored) = codec::row_from_bytes(&payment.body).unwrap() else { panic!() };
    assert!(matches!(stored.state, OutgoingState::Posted { .. }) && !payment.open);
    let [head] = batch.heads[..] else { panic!("one organisation") };
    assert_eq!((head.expected, head.next), (Seq(0), writer.seq));
    assert_eq!(batch.journal.len(), usize::try_from(writer.seq.0).unwrap());
    // Environment, line, wallet; what the wallet owes and what left through the node.
    let kinds: Vec<i16> = batch.standing.iter().map(|row| row.kind.number()).collect();
    assert_eq!(kinds, [1, 2, 4, 5, 6]);
    let [claimed] = batch.claimed[..] else { panic!("one hash") };
    assert_eq!((claimed.hash, claimed.attempt), (hash_of(1), Some((node(1), 1))));
    assert!(batch.moved.is_empty() && batch.freed.is_empty());
}

#[test]
fn holds_and_entries_are_in_the_wallets_ledger() {
    let (mut writer, mut appends) = writer(1);
    appends.extend(writer.send(10, 1, AT));
    appends.extend(writer.send(11, 2, AT));
    appends.extend(writer.pay(10, AT));
    appends.extend(writer.fail(11, 1, AT));
    appends.extend(writer.fail(11, 2, AT));
    let batch = Batch::of(&appends).unwrap();
    let moved = batch.ledger.iter().map(|row| {
        let at = usize::try_from(row.seq.0).unwrap() - 1;
        let event = codec::event_from_bytes(&batch.journal[at].body).unwrap();
        (row.wallet, format!("{event:?}").split(' ').next().unwrap().to_owned())
    });
    let wallet: WalletId = numbered(3);
    let names = ["Held", "Held", "Posted", "Voided"].map(str::to_owned);
    assert_eq!(moved.collect::<Vec<_>>(), names.map(|name| (wallet, name)));
}

#[test]
fn rule_11_a_hash_moves_and_is_freed() {
    let (mut writer, _) = writer(1);
    writer.send(10, 1, AT).unwrap();
    let second = writer.fail(10, 7, AT).unwrap();
    let batch = Batch::of(std::slice::from_ref(&second)).unwrap();
    let [moved] = batch.moved[..] else { panic!("the next node") };
    assert_eq!((moved.hash, moved.node, moved.attempt), (hash_of(1), node(2), 2));
    let [payment] = &batch.payments[..] else { panic!("the payment") };
    assert_eq!(payment.failed_hash, Some(hash_of(1)));

    let last = writer.fail(10, 8, AT).unwrap();
    let batch = Batch::of(&[second, last]).unwrap();
    assert!(batch.moved.is_empty() && batch.claimed.is_empty());
    let [freed] = batch.freed[..] else { panic!("given back") };
    assert_eq!((freed.hash, freed.payment), (hash_of(1), numbered(10)));
    assert_eq!(batch.failures.len(), 2);
}

#[test]
fn rule_11_of_two_claims_in_one_batch_the_second_is_lost() {
    let (mut first, mut appends) = writer(2);
    let (mut second, others) = writer(1);
    appends.extend(first.send(10, 1, AT));
    appends.extend(others);
    appends.extend(second.send(10, 1, AT));
    let lost = Batch::of(&appends).unwrap_err();
    assert_eq!(lost, AppendError::LostClaim(vec![numbered(1)]));
}

#[test]
fn appends_that_do_not_follow_each_other_are_refused() {
    let (mut writer, mut appends) = writer(1);
    writer.send(10, 1, AT).unwrap();
    appends.extend(writer.send(11, 2, AT));
    let refused = Batch::of(&appends).unwrap_err();
    assert_eq!(refused, AppendError::Fenced(vec![numbered(1)]));
}
