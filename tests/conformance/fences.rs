//! Who may write: the epoch and the position, and how loading settles what was left open.

use std::sync::Arc;

use domain::{
    OrgId, PaymentId, SessionId,
    org::{Command, OutgoingState},
};
use ports::journal::{AppendError, LoadError, Seq};
use store::{
    Faulty,
    faulty::{Call, Fault, Gate},
};

use crate::{
    Case,
    bed::{Bed, NODES, Store, WALLET, id, msat},
    case,
    writer::{Writer, hash, paid, send},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(rule_12_a_load_finds_the_open_attempt),
        case(rule_13_a_writer_of_an_older_load_is_fenced),
        case(rule_13_every_load_moves_the_epoch),
        case(a_writer_that_is_behind_is_fenced),
        case(a_batch_with_a_fenced_organisation_is_not_committed_at_all),
        case(appends_of_one_organisation_follow_each_other),
        case(rule_13_loading_settles_a_commit_whose_answer_was_lost),
        case(rule_13_loading_settles_a_commit_that_never_was),
        case(rule_13_a_write_under_way_is_overtaken_by_a_load),
        case(a_refused_an_aborted_and_a_rolled_back_write_leave_nothing),
        case(only_a_session_with_a_lease_loads),
        case(an_unknown_organisation_is_not_found),
        case(an_empty_batch_is_committed),
    ]
}

const PAYMENT: PaymentId = id(1);

async fn rule_12_a_load_finds_the_open_attempt(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.run(&bed, send(&bed, PAYMENT, hash(1))).await;
    let loaded = Writer::load(&bed, writer.id()).await;
    let open = loaded.org.outgoing.get(&PAYMENT).unwrap();
    assert_eq!(open.state, OutgoingState::InFlight);
    assert_eq!(open.hash(), hash(1));
    let (number, attempt) = open.open_attempt().unwrap();
    assert_eq!((number, attempt.node, attempt.requests.len()), (1, NODES[0], 1));
    assert_eq!(attempt.requests[0].epoch, writer.org.epoch);
    assert_eq!(loaded.seq, writer.seq);
}

async fn rule_13_a_writer_of_an_older_load_is_fenced(bed: Bed) {
    let mut old = bed.org(1).await;
    let mut new = Writer::load(&bed, old.id()).await;
    let late = old.try_run(&bed, send(&bed, PAYMENT, hash(1))).await;
    assert_eq!(late, Err(AppendError::Fenced(vec![old.id()])));
    assert_eq!(old.stored(&bed, PAYMENT).await, None);
    let nothing = old.nothing(&bed, Vec::new());
    let late = bed.store.append(&[nothing]).await;
    assert_eq!(late, Err(AppendError::Fenced(vec![old.id()])));
    new.run(&bed, send(&bed, PAYMENT, hash(1))).await;
}

async fn rule_13_every_load_moves_the_epoch(bed: Bed) {
    let first = bed.org(1).await;
    let second = Writer::load(&bed, first.id()).await;
    let third = Writer::load(&bed, first.id()).await;
    assert!(first.org.epoch < second.org.epoch);
    assert!(second.org.epoch < third.org.epoch);
    assert_eq!(third.org.rows(), first.org.rows());
    assert_eq!(third.seq, first.seq);
}

async fn a_writer_that_is_behind_is_fenced(bed: Bed) {
    let mut writer = bed.org(1).await;
    let append = writer.prepare(&bed, send(&bed, PAYMENT, hash(1)));
    bed.store.append(std::slice::from_ref(&append)).await.unwrap();
    let again = bed.store.append(&[append]).await;
    assert_eq!(again, Err(AppendError::Fenced(vec![writer.id()])));
    let mut ahead = writer.nothing(&bed, Vec::new());
    ahead.expected = Seq(ahead.expected.0 + 1);
    let ahead = bed.store.append(&[ahead]).await;
    assert_eq!(ahead, Err(AppendError::Fenced(vec![writer.id()])));
    let loaded = Writer::load(&bed, writer.id()).await;
    assert_eq!(loaded.seq, writer.seq);
}

async fn a_batch_with_a_fenced_organisation_is_not_committed_at_all(bed: Bed) {
    let mut writers: [Writer; 4] = bed.orgs().await;
    Writer::load(&bed, writers[1].id()).await;
    Writer::load(&bed, writers[3].id()).await;
    let before = writers.clone();
    let mut batch = Vec::new();
    for (writer, secret) in writers.iter_mut().zip(1..) {
        batch.push(writer.prepare(&bed, send(&bed, PAYMENT, hash(secret))));
    }
    let refused = bed.store.append(&batch).await;
    let fenced = vec![writers[1].id(), writers[3].id()];
    assert_eq!(refused, Err(AppendError::Fenced(fenced)));
    for writer in &before {
        assert_eq!(writer.stored(&bed, PAYMENT).await, None);
    }
    bed.store.append(&[batch.remove(0), batch.remove(1)]).await.unwrap();
    writers[2].run(&bed, paid(&bed, PAYMENT, 3)).await;
}

async fn appends_of_one_organisation_follow_each_other(bed: Bed) {
    let [mut one, mut two] = bed.orgs().await;
    let batch = [
        one.prepare(&bed, send(&bed, PAYMENT, hash(1))),
        two.prepare(&bed, send(&bed, PAYMENT, hash(2))),
        one.prepare(&bed, paid(&bed, PAYMENT, 1)),
        one.prepare(&bed, send(&bed, id(2), hash(3))),
    ];
    bed.store.append(&batch).await.unwrap();
    let loaded = Writer::load(&bed, one.id()).await;
    assert_eq!(loaded.seq, one.seq);
    assert_eq!(loaded.org.outgoing.keys().collect::<Vec<_>>(), [&id(2)]);

    let first = one.prepare(&bed, paid(&bed, id(2), 3));
    let gap = one.prepare(&bed, send(&bed, id(3), hash(4)));
    let last = one.prepare(&bed, paid(&bed, id(3), 4));
    drop(gap);
    let refused = bed.store.append(&[first, last]).await;
    assert_eq!(refused, Err(AppendError::Fenced(vec![one.id()])));
}

/// The same store, with one fault in the way of the next append.
fn with_fault(bed: &Bed, fault: Fault) -> Bed {
    let faulty: Faulty<dyn Store> = Faulty::new(bed.store.clone(), move |call| {
        matches!(call, Call::Append(_)).then(|| fault.clone())
    });
    bed.with(Arc::new(faulty))
}

async fn rule_13_loading_settles_a_commit_whose_answer_was_lost(bed: Bed) {
    let mut writer = bed.org(1).await;
    let faulty = with_fault(&bed, Fault::LoseAnswer);
    let lost = writer.try_run(&faulty, send(&bed, PAYMENT, hash(1))).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    let mut loaded = Writer::load(&bed, writer.id()).await;
    assert!(loaded.org.outgoing.contains_key(&PAYMENT));
    assert!(loaded.seq > writer.seq);
    loaded.run(&bed, paid(&bed, PAYMENT, 1)).await;
}

async fn rule_13_loading_settles_a_commit_that_never_was(bed: Bed) {
    let mut writer = bed.org(1).await;
    let faulty = with_fault(&bed, Fault::LoseRequest);
    let lost = writer.try_run(&faulty, send(&bed, PAYMENT, hash(1))).await;
    assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
    let mut loaded = Writer::load(&bed, writer.id()).await;
    assert!(loaded.org.outgoing.is_empty());
    loaded.run(&bed, send(&bed, PAYMENT, hash(1))).await;
}

async fn rule_13_a_write_under_way_is_overtaken_by_a_load(bed: Bed) {
    let mut old = bed.org(1).await;
    let gate = Gate::closed();
    let faulty = with_fault(&bed, Fault::StallBefore(gate.clone()));
    let append = old.prepare(&bed, send(&bed, PAYMENT, hash(1)));
    let late = tokio::spawn(async move { faulty.store.append(&[append]).await });
    let mut new = Writer::load(&bed, old.id()).await;
    gate.open();
    assert_eq!(late.await.unwrap(), Err(AppendError::Fenced(vec![old.id()])));
    new.run(&bed, send(&bed, PAYMENT, hash(1))).await;
}

async fn a_refused_an_aborted_and_a_rolled_back_write_leave_nothing(bed: Bed) {
    let mut writer = bed.org(1).await;
    for fault in [Fault::Refuse, Fault::Abort, Fault::RollBack] {
        let faulty = with_fault(&bed, fault);
        let refused = writer.try_run(&faulty, send(&bed, PAYMENT, hash(1))).await;
        assert!(matches!(refused, Err(AppendError::Aborted(_))), "{refused:?}");
    }
    writer.run(&bed, send(&bed, PAYMENT, hash(1))).await;
}

async fn only_a_session_with_a_lease_loads(bed: Bed) {
    let writer = bed.org(1).await;
    let nobody: SessionId = id(0xbad);
    let refused = bed.store.load(writer.id(), nobody).await.map(|loaded| loaded.seq);
    assert_eq!(refused, Err(LoadError::NotOwner));
    // The refusal has not moved the epoch.
    let nothing = writer.nothing(&bed, Vec::new());
    bed.store.append(&[nothing]).await.unwrap();
}

async fn an_unknown_organisation_is_not_found(bed: Bed) {
    let nobody: OrgId = id(77);
    let refused = bed.store.load(nobody, bed.session).await.map(|loaded| loaded.seq);
    assert_eq!(refused, Err(LoadError::NotFound(nobody)));
    let mut writer = bed.org(1).await;
    let command = Command::SetWalletLimit { wallet: WALLET, limit_msat: msat(5) };
    let mut append = writer.prepare(&bed, command);
    append.org = nobody;
    let refused = bed.store.append(&[append]).await;
    assert_eq!(refused, Err(AppendError::Fenced(vec![nobody])));
}

async fn an_empty_batch_is_committed(bed: Bed) {
    assert_eq!(bed.store.append(&[]).await, Ok(()));
}
