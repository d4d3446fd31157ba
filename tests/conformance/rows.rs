//! The journal, the rows that stand beside it, and what is read of both.

use std::collections::BTreeMap;

use domain::{
    InvoiceTerms, Network, PublicKey, Timestamp,
    org::{Command, Org, Resolution, Row, RowKey},
};
use ports::{
    Clock,
    journal::Seq,
    reads::{LedgerFilter, PaymentFilter, PaymentOrder, Recorded},
};

use crate::{
    Case,
    bed::{Bed, ENVIRONMENT, NODES, WALLET, id, msat},
    case,
    writer::{AMOUNT_MSAT, Writer, failed, hash, paid, preimage, receipt, resolved, send, send_by},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(rule_25_the_rows_are_what_the_journal_replays_to),
        case(rule_25_every_acknowledged_write_is_read),
        case(the_journal_is_read_in_pages),
        case(organisations_with_open_work_are_found),
        case(ended_payments_leave_memory_and_stay_in_the_store),
        case(rule_5_a_person_corrects_by_another_entry),
        case(rule_11_the_hash_of_what_was_found_unpaid_is_free),
    ]
}

/// One of everything.
pub(crate) async fn story(bed: &Bed) -> Writer {
    let mut it = bed.org(1).await;
    it.run(bed, send(bed, id(1), hash(1))).await;
    bed.clock.tick();
    it.run(bed, paid(bed, id(1), 1)).await;
    it.run(bed, send_by(bed, id(2), hash(2), &NODES)).await;
    it.run(bed, failed(bed, id(2), 1, 1)).await;
    bed.clock.tick();
    it.run(bed, failed(bed, id(2), 2, 1)).await;
    it.run(bed, failed(bed, id(2), 3, 1)).await;
    it.run(bed, send(bed, id(3), hash(3))).await;
    it.receive(bed, id(4), 4, NODES[0]).await;
    let invoice = InvoiceTerms {
        text: "lnbcrt1ours".to_owned(),
        network: Network::Regtest,
        hash: hash(4),
        amount_msat: Some(msat(AMOUNT_MSAT)),
        payee: PublicKey([3; 33]),
        description: "tea".to_owned(),
        expires_at: bed.clock.now().plus_seconds(3_600),
    };
    it.run(bed, Command::InvoiceMade { payment: id(4), invoice }).await;
    bed.clock.tick();
    it.run(bed, receipt(id(4), msat(AMOUNT_MSAT))).await;
    it.run(bed, receipt(id(4), msat(3 * AMOUNT_MSAT))).await;
    it.receive(bed, id(5), 5, NODES[1]).await;
    it.run(bed, Command::InvoiceNotMade { payment: id(5) }).await;
    it.run(bed, Command::SetNodeFunds { node: NODES[2], funds_msat: msat(9) }).await;
    it.run(bed, Command::SetWalletLimit { wallet: WALLET, limit_msat: msat(9_999) }).await;
    it.receive(bed, id(6), 6, NODES[1]).await;
    it
}

async fn replay(bed: &Bed, writer: &Writer) -> Org {
    let mut org = Org::new(writer.id(), writer.org.epoch);
    for Recorded { at, event, .. } in journal(bed, writer).await {
        org.apply(&event, at);
    }
    org
}

pub(crate) async fn journal(bed: &Bed, writer: &Writer) -> Vec<Recorded> {
    bed.store.journal(writer.id(), Seq(0), 1_000).await.unwrap()
}

/// As the store has them: what stands, and every payment.
async fn stored(bed: &Bed, writer: &Writer) -> BTreeMap<RowKey, Row> {
    let standing = bed.store.standing(writer.id()).await.unwrap();
    let all = PaymentFilter::all(ENVIRONMENT);
    let order = PaymentOrder::Created;
    let payments = bed.store.find_payments(writer.id(), &all, order, false, None, 0, 1_000).await;
    let payments = payments.unwrap().into_iter().map(|listed| listed.row);
    standing.into_iter().chain(payments).map(|row| (row.key(), row)).collect()
}

fn keyed(org: &Org) -> BTreeMap<RowKey, Row> {
    org.rows().into_iter().map(|row| (row.key(), row)).collect()
}

async fn rule_25_the_rows_are_what_the_journal_replays_to(bed: Bed) {
    let writer = story(&bed).await;
    let replayed = replay(&bed, &writer).await;
    assert_eq!(keyed(&replayed), keyed(&writer.org));
    assert_eq!(stored(&bed, &writer).await, keyed(&replayed));
    let mut open = Writer::load(&bed, writer.id()).await;
    open.org.epoch = replayed.epoch;
    let mut expected = replayed;
    expected.forget_ended(Timestamp::from_millis(i64::MAX));
    assert_eq!(open.org, expected);
    let seqs: Vec<u64> = journal(&bed, &writer).await.iter().map(|it| it.seq.0).collect();
    assert_eq!(seqs, (1..=writer.seq.0).collect::<Vec<_>>());
}

async fn rule_25_every_acknowledged_write_is_read(bed: Bed) {
    let mut writer = bed.org(1).await;
    for number in 1..=20 {
        let payment = id(u128::from(number));
        writer.run(&bed, send(&bed, payment, hash(number))).await;
        let expected = writer.org.outgoing.get(&payment).cloned();
        let expected = expected.map(Row::Outgoing);
        assert_eq!(writer.stored(&bed, payment).await, expected);
        let last = journal(&bed, &writer).await.pop().unwrap();
        assert_eq!(last.seq, writer.seq);
        assert_eq!(stored(&bed, &writer).await, keyed(&writer.org));
    }
}

async fn the_journal_is_read_in_pages(bed: Bed) {
    let writer = story(&bed).await;
    let all = journal(&bed, &writer).await;
    let mut pages = Vec::new();
    loop {
        let after = pages.last().map_or(Seq(0), |last: &Recorded| last.seq);
        let page = bed.store.journal(writer.id(), after, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        pages.extend(page);
    }
    assert_eq!(pages, all);
    assert_eq!(bed.store.journal(id(9), Seq(0), 10).await, Ok(Vec::new()));
}

async fn organisations_with_open_work_are_found(bed: Bed) {
    let [mut one, mut two, mut three] = bed.orgs().await;
    assert_eq!(bed.store.orgs_with_open_work().await, Ok(Vec::new()));
    three.receive(&bed, id(1), 1, NODES[0]).await;
    one.run(&bed, send(&bed, id(1), hash(1))).await;
    one.run(&bed, send(&bed, id(2), hash(2))).await;
    two.run(&bed, send(&bed, id(3), hash(3))).await;
    two.run(&bed, failed(&bed, id(3), 1, 1)).await;
    let open = bed.store.orgs_with_open_work().await;
    assert_eq!(open, Ok(vec![one.id(), three.id()]));
    assert_eq!(bed.store.open_payments(one.id()).await, Ok(vec![id(1), id(2)]));
    assert_eq!(bed.store.open_payments(two.id()).await, Ok(Vec::new()));
    one.run(&bed, paid(&bed, id(1), 1)).await;
    assert_eq!(bed.store.open_payments(one.id()).await, Ok(vec![id(2)]));
    one.run(&bed, paid(&bed, id(2), 2)).await;
    three.run(&bed, Command::InvoiceNotMade { payment: id(1) }).await;
    assert_eq!(bed.store.orgs_with_open_work().await, Ok(Vec::new()));
}

async fn ended_payments_leave_memory_and_stay_in_the_store(bed: Bed) {
    let mut writer = story(&bed).await;
    writer.run(&bed, paid(&bed, id(3), 3)).await;
    writer.run(&bed, Command::InvoiceNotMade { payment: id(6) }).await;
    let loaded = Writer::load(&bed, writer.id()).await;
    assert_eq!((loaded.org.outgoing.len(), loaded.org.incoming.len()), (0, 0));
    for payment in 1..=6 {
        assert!(writer.stored(&bed, id(payment)).await.is_some());
    }
    assert_eq!(bed.store.payment(id(2), id(1)).await, Ok(None));
}

/// What a person has found, with a fee of that much.
fn found_paid(secret: u8, fee_msat: u64) -> Resolution {
    Resolution::Paid { node: None, preimage: preimage(secret), fee_msat: msat(fee_msat) }
}

async fn rule_5_a_person_corrects_by_another_entry(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.run(&bed, send(&bed, id(1), hash(1))).await;
    bed.clock.tick();
    // Posted first, with a fee of 3 msat.
    writer.run(&bed, send(&bed, id(2), hash(2))).await;
    writer.run(&bed, paid(&bed, id(2), 2)).await;
    bed.clock.tick();
    writer.run(&bed, resolved(&bed, id(2), found_paid(2, 1))).await;
    writer.run(&bed, resolved(&bed, id(1), found_paid(1, 5))).await;
    let mut filter = LedgerFilter { payment: Some(id(2)), ..LedgerFilter::default() };
    let entries = bed.store.ledger(writer.id(), WALLET, &filter, true, 0, 10).await.unwrap();
    assert_eq!(entries.len(), 3, "held, posted, corrected: {entries:?}");
    filter.payment = Some(id(1));
    assert_eq!(bed.store.count_ledger(writer.id(), WALLET, &filter).await, Ok(2));

    assert_eq!(stored(&bed, &writer).await, keyed(&replay(&bed, &writer).await));
}

async fn rule_11_the_hash_of_what_was_found_unpaid_is_free(bed: Bed) {
    let [mut one, mut other] = bed.orgs().await;
    one.run(&bed, send(&bed, id(1), hash(1))).await;
    assert!(other.try_run(&bed, send(&bed, id(1), hash(1))).await.is_err());
    one.run(&bed, resolved(&bed, id(1), Resolution::Failed)).await;
    let mut other = Writer::load(&bed, other.id()).await;
    other.run(&bed, send(&bed, id(1), hash(1))).await;
}
