//! What may exist only once, and what a decision is told about it beforehand.

use domain::{
    PaymentId,
    lightning::FailureId,
    org::{ClaimRequest, Command, Event},
};
use ports::journal::{AppendError, Issued, Known, Question};

use crate::{
    Case,
    bed::{Bed, NODES, id, msat},
    case,
    writer::{AMOUNT_MSAT, Writer, failed, hash, paid, preimage, send, send_by},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(rule_11_a_lost_claim_names_its_losers_and_lets_the_rest_go_on),
        case(rule_11_of_two_claims_in_one_batch_the_second_is_lost),
        case(rule_11_a_hash_is_given_back_on_proof_of_failure_only),
        case(rule_11_a_hash_is_freed_and_claimed_in_one_batch),
        case(rule_11_a_hash_moves_with_its_attempts),
        case(rule_11_one_of_a_thousand_with_the_same_id_is_committed),
        case(rule_11_one_of_many_with_the_same_hash_is_committed),
        case(an_id_is_unique_in_its_organisation_only),
        case(rule_13_a_failure_is_on_record_once),
        case(rule_20_a_claim_has_one_answer_for_ever),
        case(rule_22_a_preimage_belongs_to_one_invoice_for_ever),
        case(rule_31_a_preimage_comes_back_from_its_seal),
        case(questions_are_answered_in_their_order),
    ]
}

const PAYMENT: PaymentId = id(1);

fn lost(writers: &[&Writer]) -> Result<(), AppendError> {
    Err(AppendError::LostClaim(writers.iter().map(|writer| writer.id()).collect()))
}

async fn known(bed: &Bed, writer: &Writer, secret: u8) -> Known {
    let question =
        Question { org: writer.id(), payment: id(99), hash: Some(hash(secret)), claim: None };
    bed.store.look_up(&[question]).await.unwrap().remove(0)
}

async fn rule_11_a_lost_claim_names_its_losers_and_lets_the_rest_go_on(bed: Bed) {
    let mut writers: [Writer; 5] = bed.orgs().await;
    writers[0].run(&bed, send(&bed, PAYMENT, hash(1))).await;
    writers[0].run(&bed, send(&bed, id(2), hash(2))).await;
    let before = writers.clone();
    let [_, one, two, three, four] = &mut writers;
    let batch = [
        one.prepare(&bed, send(&bed, PAYMENT, hash(1))),
        two.prepare(&bed, send(&bed, PAYMENT, hash(3))),
        three.prepare(&bed, send(&bed, PAYMENT, hash(4))),
        three.prepare(&bed, send(&bed, id(2), hash(2))),
        four.prepare(&bed, send(&bed, PAYMENT, hash(5))),
    ];
    assert_eq!(bed.store.append(&batch).await, lost(&[one, three]));
    for writer in &before[1..] {
        assert_eq!(writer.stored(&bed, PAYMENT).await, None);
    }
    // A refused transaction holds nothing: loading does not wait for it.
    Writer::load(&bed, before[1].id()).await;
    bed.store.append(&[batch[1].clone(), batch[4].clone()]).await.unwrap();
    let loser = Writer::load(&bed, before[3].id()).await;
    assert_eq!((loser.seq, loser.org.outgoing.len()), (before[3].seq, 0));
    assert_eq!(known(&bed, &loser, 1).await.paid_by, Some((before[0].id(), PAYMENT)));
}

async fn rule_11_of_two_claims_in_one_batch_the_second_is_lost(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    let batch = [
        one.prepare(&bed, send(&bed, PAYMENT, hash(1))),
        two.prepare(&bed, send(&bed, PAYMENT, hash(1))),
    ];
    assert_eq!(bed.store.append(&batch).await, lost(&[&two]));
    bed.store.append(&batch[..1]).await.unwrap();
}

async fn rule_11_a_hash_is_given_back_on_proof_of_failure_only(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    one.run(&bed, send(&bed, id(2), hash(2))).await;
    one.run(&bed, paid(&bed, id(2), 2)).await;
    for secret in [1, 2] {
        let refused = two.try_run(&bed, send(&bed, PAYMENT, hash(secret))).await;
        assert_eq!(refused, lost(&[&two]));
    }
    one.run(&bed, failed(&bed, PAYMENT, 1, 1)).await;
    assert_eq!(known(&bed, &two, 1).await.paid_by, None);
    two.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    assert_eq!(known(&bed, &one, 1).await.paid_by, Some((two.id(), PAYMENT)));
    assert_eq!(known(&bed, &one, 2).await.paid_by, Some((one.id(), id(2))));
}

async fn rule_11_a_hash_is_freed_and_claimed_in_one_batch(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    let batch = [
        one.prepare(&bed, failed(&bed, PAYMENT, 1, 1)),
        two.prepare(&bed, send(&bed, id(2), hash(1))),
    ];
    bed.store.append(&batch).await.unwrap();
    assert_eq!(known(&bed, &one, 1).await.paid_by, Some((two.id(), id(2))));
}

async fn rule_11_a_hash_moves_with_its_attempts(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.run(&bed, send_by(&bed, PAYMENT, hash(1), &NODES[..2])).await;
    let hashes = [hash(1), hash(2)];
    let unknown = |node| bed.store.unknown_payments(node, &hashes);
    assert_eq!(unknown(NODES[0]).await.unwrap(), [hash(2)]);
    assert_eq!(unknown(NODES[1]).await.unwrap(), hashes);
    writer.run(&bed, failed(&bed, PAYMENT, 1, 1)).await;
    assert_eq!(known(&bed, &writer, 1).await.paid_by, Some((writer.id(), PAYMENT)));
    for node in &NODES[..2] {
        assert_eq!(unknown(*node).await.unwrap(), [hash(2)]);
    }
    writer.run(&bed, failed(&bed, PAYMENT, 2, 2)).await;
    assert_eq!(known(&bed, &writer, 1).await.paid_by, None);
    // Rule 24: what was tried and failed is known for ever.
    for node in &NODES[..2] {
        assert_eq!(unknown(*node).await.unwrap(), [hash(2)]);
    }
    assert_eq!(unknown(NODES[2]).await.unwrap(), hashes);
}

async fn rule_11_one_of_a_thousand_with_the_same_id_is_committed(bed: Bed) {
    let mut writer = bed.org(1).await;
    let append = writer.prepare(&bed, send(&bed, PAYMENT, hash(1)));
    let all = (0..1_000).map(|_| {
        let (store, append) = (bed.store.clone(), append.clone());
        tokio::spawn(async move { store.append(&[append]).await })
    });
    let mut committed = 0;
    for one in all.collect::<Vec<_>>() {
        match one.await.unwrap() {
            Ok(()) => committed += 1,
            refused => assert_eq!(refused, Err(AppendError::Fenced(vec![writer.id()]))),
        }
    }
    assert_eq!(committed, 1);
    let recorded = bed.store.journal(writer.id(), ports::journal::Seq(3), 10).await.unwrap();
    assert_eq!(recorded.len(), 2);
}

async fn rule_11_one_of_many_with_the_same_hash_is_committed(bed: Bed) {
    let writers: [Writer; 32] = bed.orgs().await;
    let all = writers.into_iter().map(|mut writer| {
        let bed = bed.clone();
        tokio::spawn(async move {
            let outcome = writer.try_run(&bed, send(&bed, PAYMENT, hash(1))).await;
            (writer, outcome)
        })
    });
    let mut committed = Vec::new();
    for one in all.collect::<Vec<_>>() {
        let (writer, outcome) = one.await.unwrap();
        match outcome {
            Ok(()) => committed.push(writer.id()),
            refused => assert_eq!(refused, lost(&[&writer])),
        }
    }
    let [winner] = committed[..] else { panic!("committed: {committed:?}") };
    let writer = Writer::load(&bed, winner).await;
    assert_eq!(known(&bed, &writer, 1).await.paid_by, Some((winner, PAYMENT)));
}

async fn an_id_is_unique_in_its_organisation_only(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    two.run(&bed, send(&bed, PAYMENT, hash(2))).await;
    // As if memory had forgotten the payment: the store has not.
    let mut forgetful = Writer::load(&bed, one.id()).await;
    forgetful.org.outgoing.clear();
    let refused = forgetful.try_run(&bed, send(&bed, PAYMENT, hash(3))).await;
    assert_eq!(refused, lost(&[&one]));
    let question = Question { org: one.id(), payment: PAYMENT, hash: None, claim: None };
    let known = bed.store.look_up(&[question]).await.unwrap().remove(0);
    assert_eq!(known.payment, one.stored(&bed, PAYMENT).await);
    assert!(known.payment.is_some());
}

async fn rule_13_a_failure_is_on_record_once(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    one.run(&bed, failed(&bed, PAYMENT, 1, 5)).await;
    two.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    let old = (NODES[0], FailureId { payment_index: 5, creation_time_ns: 7 });
    assert_eq!(known(&bed, &two, 1).await.older_failures, [old]);
    let again = two.try_run(&bed, failed(&bed, PAYMENT, 1, 5)).await;
    assert_eq!(again, lost(&[&two]));
    two.run(&bed, failed(&bed, PAYMENT, 1, 6)).await;
    let new = (NODES[0], FailureId { payment_index: 6, creation_time_ns: 7 });
    assert_eq!(known(&bed, &one, 1).await.older_failures, [old, new]);
    assert_eq!(known(&bed, &one, 2).await.older_failures, []);
}

async fn rule_20_a_claim_has_one_answer_for_ever(bed: Bed) {
    let [mut payee, mut other] = bed.orgs().await;
    let claim = |seen_before| Command::Claim {
        request: ClaimRequest {
            payer: id(7),
            payer_payment: PAYMENT,
            payment: id(8),
            hash: hash(1),
            amount_msat: msat(AMOUNT_MSAT),
        },
        text: String::new(),
        seen_before,
    };
    payee.run(&bed, claim(false)).await;
    let again = payee.try_run(&bed, claim(false)).await;
    assert_eq!(again, lost(&[&payee]));
    other.run(&bed, claim(false)).await;
    let ask =
        |org, payment| Question { org, payment: id(99), hash: None, claim: Some((id(7), payment)) };
    let questions = [ask(payee.id(), PAYMENT), ask(payee.id(), id(2)), ask(id(7), PAYMENT)];
    let known = bed.store.look_up(&questions).await.unwrap();
    let seen: Vec<bool> = known.iter().map(|known| known.claim_seen).collect();
    assert_eq!(seen, [true, false, false]);
}

async fn rule_22_a_preimage_belongs_to_one_invoice_for_ever(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.receive(&bed, PAYMENT, 1, NODES[0]).await;
    let again = two.prepare_receive(&bed, PAYMENT, 1, NODES[1]);
    assert_eq!(bed.store.append(&[again]).await, lost(&[&two]));
    let issued = Issued { org: one.id(), payment: PAYMENT, node: NODES[0] };
    assert_eq!(known(&bed, &two, 1).await.issued, Some(issued));
    assert_eq!(known(&bed, &two, 2).await.issued, None);
    // An invoice of ours does not keep its hash from being paid by one of ours.
    two = Writer::load(&bed, two.id()).await;
    two.run(&bed, send(&bed, PAYMENT, hash(1))).await;
}

async fn rule_31_a_preimage_comes_back_from_its_seal(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.receive(&bed, PAYMENT, 1, NODES[0]).await;
    assert_eq!(bed.store.preimage(hash(1)).await, Ok(Some(preimage(1))));
    assert_eq!(bed.store.preimage(hash(2)).await, Ok(None));
    let told: Vec<Event> = bed
        .store
        .journal(writer.id(), ports::journal::Seq(0), 10)
        .await
        .unwrap()
        .into_iter()
        .map(|recorded| recorded.event)
        .collect();
    let secret = format!("{:02x}", 1).repeat(32);
    assert!(!format!("{told:?}").contains(&secret));
}

async fn questions_are_answered_in_their_order(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    one.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    two.receive(&bed, id(2), 2, NODES[2]).await;
    let ask = |org, payment, secret: Option<u8>| Question {
        org,
        payment,
        hash: secret.map(hash),
        claim: None,
    };
    let questions = [
        ask(one.id(), id(3), None),
        ask(two.id(), id(2), Some(1)),
        ask(one.id(), PAYMENT, Some(2)),
        ask(two.id(), id(2), Some(1)),
        ask(id(50), PAYMENT, Some(3)),
    ];
    let known = bed.store.look_up(&questions).await.unwrap();
    let paid_by = Some((one.id(), PAYMENT));
    let issued = Some(Issued { org: two.id(), payment: id(2), node: NODES[2] });
    let (first, second) = (one.stored(&bed, PAYMENT).await, two.stored(&bed, id(2)).await);
    let expected = [
        Known::default(),
        Known { payment: second.clone(), paid_by, ..Known::default() },
        Known { payment: first, issued, ..Known::default() },
        Known { payment: second, paid_by, ..Known::default() },
        Known::default(),
    ];
    assert_eq!(known, expected);
    assert_eq!(bed.store.look_up(&[]).await, Ok(Vec::new()));
}
