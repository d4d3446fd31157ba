//! Lists of payments, their histories, the feed of an environment and the ledger of a wallet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{
    EnvironmentId, PaymentId, Timestamp, WalletId,
    org::{Backing, Command, Event, Metadata, PaymentStatus, Row},
};
use ports::{
    Clock,
    journal::Seq,
    reads::{
        Direction, FeedEvent, LedgerFilter, Listed, PaymentCount, PaymentFilter, PaymentOrder,
        PaymentPlace, Recorded,
    },
};

use crate::{
    Case,
    bed::{Bed, ENVIRONMENT, LINE, NODES, WALLET, id, msat},
    case,
    rows::{journal, story},
    writer::{Writer, failed, hash, paid, receipt, send},
};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case(payments_are_paged_though_made_in_one_millisecond),
        case(payments_are_listed_by_their_last_change),
        case(every_condition_of_a_list_holds),
        case(metadata_is_found_whatever_it_says),
        case(payments_are_counted_by_kind),
        case(a_history_has_every_event_of_its_payment),
        case(a_history_has_hundreds_of_events_too),
        case(a_feed_has_what_is_of_its_environment),
        case(the_ledger_of_a_wallet_is_read_in_pages),
        case(the_ledger_is_filtered_and_counted),
    ]
}

const OTHER: EnvironmentId = id(0xe2);
const OTHER_WALLET: WalletId = id(0xa2);
const SECOND_WALLET: WalletId = id(0xa3);

fn wallet(wallet: WalletId, environment: EnvironmentId, backing: Backing) -> Command {
    Command::CreateWallet {
        wallet,
        environment,
        name: format!("{wallet}"),
        backing,
        limit_msat: msat(0),
        metadata: Metadata::new(),
    }
}

/// A send by another wallet, with the caller's words.
fn send_from(bed: &Bed, from: WalletId, number: u8, words: &[(&str, &str)]) -> Command {
    let mut command = send(bed, id(number.into()), hash(number));
    if let Command::Send { terms, .. } = &mut command {
        let terms = Arc::make_mut(terms);
        terms.wallet = from;
        terms.metadata =
            words.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    }
    command
}

async fn listed(bed: &Bed, writer: &Writer, filter: &PaymentFilter) -> Vec<Listed> {
    let order = PaymentOrder::Created;
    bed.store.find_payments(writer.id(), filter, order, true, None, 0, 100).await.unwrap()
}

async fn ids(bed: &Bed, writer: &Writer, filter: &PaymentFilter) -> BTreeSet<u128> {
    listed(bed, writer, filter).await.iter().map(|it| it.id.uuid().as_u128()).collect()
}

/// Every page of a list, with `limit` to each.
async fn pages(
    bed: &Bed,
    writer: &Writer,
    order: PaymentOrder,
    ascending: bool,
    limit: u32,
) -> Vec<PaymentId> {
    let filter = PaymentFilter::all(ENVIRONMENT);
    let (mut found, mut after) = (Vec::new(), None::<PaymentPlace>);
    loop {
        let page =
            bed.store.find_payments(writer.id(), &filter, order, ascending, after, 0, limit).await;
        let page = page.unwrap();
        let Some(last) = page.last() else { return found };
        assert!(u32::try_from(page.len()).unwrap() <= limit);
        after = Some(last.place(order));
        found.extend(page.iter().map(|it| it.id));
    }
}

async fn payments_are_paged_though_made_in_one_millisecond(bed: Bed) {
    let mut writer = bed.org(1).await;
    for (payment, tick) in [(5, false), (2, false), (9, true), (1, false), (7, false), (3, true)] {
        if tick {
            bed.clock.tick();
        }
        let secret = u8::try_from(payment).unwrap();
        writer.run(&bed, send(&bed, id(payment), hash(secret))).await;
    }
    let mut expected: Vec<PaymentId> = [3, 9, 7, 1, 5, 2].map(id).to_vec();
    for ascending in [false, true] {
        for limit in [1, 2, 4, 100] {
            let order = PaymentOrder::Created;
            assert_eq!(pages(&bed, &writer, order, ascending, limit).await, expected);
        }
        let all = PaymentFilter::all(ENVIRONMENT);
        let order = PaymentOrder::Created;
        let page = bed.store.find_payments(writer.id(), &all, order, ascending, None, 2, 3).await;
        let page: Vec<PaymentId> = page.unwrap().iter().map(|it| it.id).collect();
        assert_eq!(page, expected[2..5]);
        let beyond = bed.store.find_payments(writer.id(), &all, order, ascending, None, 6, 3);
        assert_eq!(beyond.await, Ok(Vec::new()));
        expected.reverse();
    }
}

async fn payments_are_listed_by_their_last_change(bed: Bed) {
    let mut writer = bed.org(1).await;
    for number in 1..=4 {
        writer.run(&bed, send(&bed, id(number.into()), hash(number))).await;
    }
    writer.run(&bed, paid(&bed, id(2), 2)).await;
    let after_first = writer.seq;
    bed.clock.tick();
    writer.run(&bed, paid(&bed, id(1), 1)).await;
    let mut expected: Vec<PaymentId> = [3, 4, 2, 1].map(id).to_vec();
    for ascending in [true, false] {
        for limit in [1, 3, 100] {
            let order = PaymentOrder::Updated;
            assert_eq!(pages(&bed, &writer, order, ascending, limit).await, expected);
        }
        expected.reverse();
    }
    // The position is that of the event, and only what came behind it is new.
    let events = journal(&bed, &writer).await;
    for one in listed(&bed, &writer, &PaymentFilter::all(ENVIRONMENT)).await {
        let last = events.iter().rfind(|it| it.event.payment() == Some(one.id)).unwrap();
        assert_eq!((one.updated_seq, one.created_at.millis() > 0), (last.seq, true));
    }
    let all = PaymentFilter::all(ENVIRONMENT);
    let newer = PaymentFilter { updated_after: Some(after_first), ..all.clone() };
    assert_eq!(ids(&bed, &writer, &newer).await, BTreeSet::from([1]));
    let newest = PaymentFilter { updated_after: Some(writer.seq), ..all };
    assert_eq!(ids(&bed, &writer, &newest).await, BTreeSet::new());
}

async fn every_condition_of_a_list_holds(bed: Bed) {
    let mut writer = story(&bed).await;
    writer.run(&bed, wallet(SECOND_WALLET, ENVIRONMENT, Backing::Node(NODES[2]))).await;
    let from = bed.clock.now();
    bed.clock.tick();
    // Refused, because the wallet has nothing.
    writer.run(&bed, send_from(&bed, SECOND_WALLET, 9, &[])).await;
    let all = PaymentFilter::all(ENVIRONMENT);
    let everything: BTreeSet<u128> = [1, 2, 3, 4, 5, 6, 9].into();
    assert_eq!(ids(&bed, &writer, &all).await, everything);
    let with = |change: fn(&mut PaymentFilter)| {
        let mut filter = all.clone();
        change(&mut filter);
        filter
    };
    let expected: [(PaymentFilter, &[u128]); 9] = [
        (with(|it| it.environment = OTHER), &[]),
        (with(|it| it.wallets = Some(vec![SECOND_WALLET, OTHER_WALLET])), &[9]),
        (with(|it| it.wallets = Some(Vec::new())), &[]),
        (with(|it| it.direction = Some(Direction::Send)), &[1, 2, 3, 9]),
        (with(|it| it.direction = Some(Direction::Receive)), &[4, 5, 6]),
        (with(|it| it.statuses = vec![PaymentStatus::Failed]), &[2, 5, 9]),
        (
            with(|it| it.statuses = vec![PaymentStatus::Completed, PaymentStatus::Generating]),
            &[1, 4, 6],
        ),
        (
            with(|it| {
                it.statuses = vec![PaymentStatus::Failed];
                it.direction = Some(Direction::Receive);
            }),
            &[5],
        ),
        (with(|it| it.statuses = vec![PaymentStatus::Expired]), &[]),
    ];
    for (filter, found) in expected {
        assert_eq!(
            ids(&bed, &writer, &filter).await,
            found.iter().copied().collect(),
            "{filter:?}"
        );
        let by_change = PaymentOrder::Updated;
        let same = bed.store.find_payments(writer.id(), &filter, by_change, false, None, 0, 100);
        assert_eq!(same.await.unwrap().len(), found.len(), "{filter:?}");
    }
    let times =
        |created_from, created_to| PaymentFilter { created_from, created_to, ..all.clone() };
    let at = bed.clock.now();
    assert_eq!(ids(&bed, &writer, &times(Some(at), None)).await, [9].into());
    assert_eq!(ids(&bed, &writer, &times(Some(at), Some(at))).await, [9].into());
    assert_eq!(ids(&bed, &writer, &times(None, Some(from))).await, [1, 2, 3, 4, 5, 6].into());
    assert_eq!(ids(&bed, &writer, &times(Some(at.plus_millis(1)), None)).await, [].into());
    let stranger = bed.org(2).await;
    assert_eq!(ids(&bed, &stranger, &all).await, [].into());
}

async fn metadata_is_found_whatever_it_says(bed: Bed) {
    let mut writer = bed.org(1).await;
    let strange = "a'\"\\ {}[]:,\u{1}\u{7f}é€😀%_\n";
    writer.run(&bed, send_from(&bed, WALLET, 1, &[("order", "7"), ("shop", "x")])).await;
    writer.run(&bed, send_from(&bed, WALLET, 2, &[("order", "7")])).await;
    writer.run(&bed, send_from(&bed, WALLET, 3, &[(strange, strange)])).await;
    writer.run(&bed, send_from(&bed, WALLET, 4, &[("", "")])).await;
    writer.run(&bed, send_from(&bed, WALLET, 5, &[])).await;
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let expected: [(Pairs<'_>, &[u128]); 9] = [
        (&[], &[1, 2, 3, 4, 5]),
        (&[("order", "7")], &[1, 2]),
        (&[("order", "7"), ("shop", "x")], &[1]),
        (&[("order", "8")], &[]),
        (&[("7", "order")], &[]),
        (&[("orde", "7")], &[]),
        (&[(strange, strange)], &[3]),
        (&[(strange, "a")], &[]),
        (&[("", "")], &[4]),
    ];
    for (pairs, found) in expected {
        let pairs = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let filter = PaymentFilter { metadata: pairs.collect(), ..PaymentFilter::all(ENVIRONMENT) };
        assert_eq!(
            ids(&bed, &writer, &filter).await,
            found.iter().copied().collect(),
            "{filter:?}"
        );
    }
    // It is still there when the payment has changed.
    writer.run(&bed, paid(&bed, id(1), 1)).await;
    let metadata = Metadata::from([("shop".to_owned(), "x".to_owned())]);
    let filter = PaymentFilter { metadata, ..PaymentFilter::all(ENVIRONMENT) };
    assert_eq!(ids(&bed, &writer, &filter).await, [1].into());
}

async fn payments_are_counted_by_kind(bed: Bed) {
    let mut writer = story(&bed).await;
    writer.run(&bed, failed(&bed, id(3), 1, 1)).await;
    let all = PaymentFilter::all(ENVIRONMENT);
    let mut expected: BTreeMap<(Direction, PaymentStatus), (u64, Timestamp, Timestamp)> =
        BTreeMap::new();
    for Listed { row, created_at, .. } in listed(&bed, &writer, &all).await {
        let kind = match &row {
            Row::Outgoing(it) => (Direction::Send, it.status()),
            Row::Incoming(it) => (Direction::Receive, it.status()),
            Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => panic!("not a payment: {row:?}"),
        };
        let counted = expected.entry(kind).or_insert((0, created_at, created_at));
        *counted = (counted.0 + 1, counted.1.min(created_at), counted.2.max(created_at));
    }
    let counts = bed.store.count_payments(writer.id(), &all).await.unwrap();
    let found = counts.iter().map(|it| {
        let PaymentCount { direction, status, count, oldest, newest } = *it;
        ((direction, status), (count, oldest, newest))
    });
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(counts.iter().map(|it| it.count).sum::<u64>(), 6);
    let failures = PaymentFilter {
        direction: Some(Direction::Send),
        statuses: vec![PaymentStatus::Failed],
        ..all.clone()
    };
    let counts = bed.store.count_payments(writer.id(), &failures).await.unwrap();
    assert_eq!(counts.iter().map(|it| it.count).collect::<Vec<_>>(), [2]);
    assert_eq!(bed.store.count_payments(id(9), &all).await, Ok(Vec::new()));
}

async fn a_history_has_every_event_of_its_payment(bed: Bed) {
    let writer = story(&bed).await;
    let all = journal(&bed, &writer).await;
    for number in 1..=6 {
        let payment = id(number);
        let of = all.iter().filter(|it| it.event.payment() == Some(payment)).cloned();
        let expected: Vec<Recorded> = of.collect();
        assert!(!expected.is_empty());
        assert_eq!(bed.store.history(writer.id(), payment).await, Ok(expected));
    }
    assert_eq!(bed.store.history(writer.id(), id(99)).await, Ok(Vec::new()));
    assert_eq!(bed.store.history(id(99), id(1)).await, Ok(Vec::new()));
}

async fn a_history_has_hundreds_of_events_too(bed: Bed) {
    let mut writer = bed.org(1).await;
    writer.receive(&bed, id(1), 1, NODES[0]).await;
    writer.receive(&bed, id(2), 2, NODES[0]).await;
    for paid in 1..=300 {
        writer.run(&bed, receipt(id(1), msat(paid))).await;
    }
    writer.run(&bed, receipt(id(2), msat(1))).await;
    let of_first = |it: &&Recorded| it.event.payment() == Some(id(1));
    let all = journal(&bed, &writer).await;
    let expected: Vec<Recorded> = all.iter().filter(of_first).cloned().collect();
    assert!(expected.len() > 300);
    assert_eq!(bed.store.history(writer.id(), id(1)).await, Ok(expected));
    let filter = LedgerFilter { payment: Some(id(1)), ..LedgerFilter::default() };
    assert_eq!(bed.store.count_ledger(writer.id(), WALLET, &filter).await, Ok(300));
}

async fn a_feed_has_what_is_of_its_environment(bed: Bed) {
    let mut writer = story(&bed).await;
    let name = "other".to_owned();
    writer.run(&bed, Command::CreateEnvironment { environment: OTHER, name }).await;
    writer.run(&bed, wallet(OTHER_WALLET, OTHER, Backing::Node(NODES[2]))).await;
    writer.run(&bed, send_from(&bed, OTHER_WALLET, 9, &[])).await;
    let till = || "till".to_owned();
    writer.run(&bed, Command::RenameEnvironment { environment: OTHER, name: till() }).await;
    writer.run(&bed, Command::RenameWallet { wallet: OTHER_WALLET, name: till() }).await;
    writer.run(&bed, Command::RenameWallet { wallet: WALLET, name: till() }).await;
    writer.run(&bed, Command::DisableLine { line: LINE }).await;
    writer.run(&bed, Command::DeleteWallet { wallet: OTHER_WALLET }).await;
    let all = journal(&bed, &writer).await;
    let of_other = |it: &Recorded| {
        let environment_is = matches!(&it.event,
            Event::EnvironmentCreated { environment, .. }
            | Event::EnvironmentRenamed { environment, .. }
            | Event::WalletCreated { environment, .. } if *environment == OTHER);
        let wallet_is = matches!(&it.event,
            Event::WalletRenamed { wallet, .. } | Event::WalletDeleted { wallet }
                if *wallet == OTHER_WALLET);
        environment_is || wallet_is || it.event.payment() == Some(id(9))
    };
    let of_all = |it: &Recorded| matches!(it.event, Event::NodeFundsSet { .. });
    let told = |of: &dyn Fn(&Recorded) -> bool| -> Vec<FeedEvent> {
        let mine = all.iter().filter(|it| of(it)).cloned();
        mine.map(|recorded| FeedEvent { payment: recorded.event.payment(), recorded }).collect()
    };
    let others = told(&of_other);
    assert_eq!(others.len(), 6);
    let ours = told(&|it| !of_other(it) && !of_all(it));
    assert_eq!(ours.len() + others.len() + 1, all.len());
    for (environment, expected) in [(ENVIRONMENT, ours), (OTHER, others)] {
        for limit in [1, 3, 1_000] {
            let (mut found, mut after) = (Vec::new(), Seq(0));
            loop {
                let page = bed.store.feed(writer.id(), environment, after, limit).await.unwrap();
                let (events, seen) = page;
                assert!(seen.0 <= after.0 + u64::from(limit), "no more is looked at");
                assert!(events.iter().all(|it| it.recorded.seq > after && it.recorded.seq <= seen));
                found.extend(events);
                if seen == after {
                    break;
                }
                after = seen;
            }
            assert_eq!(found, expected);
            assert_eq!(after, writer.seq);
        }
    }
    assert_eq!(bed.store.feed(id(9), ENVIRONMENT, Seq(3), 10).await, Ok((Vec::new(), Seq(3))));
}

fn moves(recorded: &&Recorded) -> bool {
    let hold = matches!(recorded.event, Event::Held { .. } | Event::Voided { .. });
    hold || recorded.event.entry().is_some()
}

async fn the_ledger_of_a_wallet_is_read_in_pages(bed: Bed) {
    let mut writer = story(&bed).await;
    writer.run(&bed, wallet(SECOND_WALLET, ENVIRONMENT, Backing::Node(NODES[2]))).await;
    let all: Vec<Recorded> = journal(&bed, &writer).await.iter().filter(moves).cloned().collect();
    assert_eq!(all.len(), 7);
    let ledger = async |after, offset, limit| {
        let filter = LedgerFilter { after, ..LedgerFilter::default() };
        bed.store.ledger(writer.id(), WALLET, &filter, true, offset, limit).await.unwrap()
    };
    assert_eq!(ledger(None, 0, 100).await, all);
    assert_eq!(ledger(None, 0, 2).await, all[..2]);
    assert_eq!(ledger(None, 3, 2).await, all[3..5]);
    assert_eq!(ledger(Some(all[1].seq), 0, 100).await, all[2..]);
    assert_eq!(ledger(Some(all[1].seq), 1, 1).await, all[3..4]);
    let other = LedgerFilter::default();
    let other = bed.store.ledger(writer.id(), SECOND_WALLET, &other, true, 0, 100).await;
    assert_eq!(other, Ok(Vec::new()));
}

async fn the_ledger_is_filtered_and_counted(bed: Bed) {
    let mut writer = bed.org(1).await;
    for number in 1..=3_u8 {
        writer.run(&bed, send(&bed, id(number.into()), hash(number))).await;
        bed.clock.tick();
        writer.run(&bed, paid(&bed, id(number.into()), number)).await;
    }
    let all: Vec<Recorded> = journal(&bed, &writer).await.iter().filter(moves).cloned().collect();
    assert_eq!(all.len(), 6);
    let at = |index: usize| Some(all[index].at);
    let none = LedgerFilter::default();
    let cases: [(LedgerFilter, &[usize]); 7] = [
        (none, &[0, 1, 2, 3, 4, 5]),
        (LedgerFilter { payment: Some(id(2)), ..none }, &[2, 3]),
        (LedgerFilter { payment: Some(id(9)), ..none }, &[]),
        (LedgerFilter { from: at(3), ..none }, &[3, 4, 5]),
        (LedgerFilter { to: at(0), ..none }, &[0]),
        (LedgerFilter { from: at(1), to: at(2), ..none }, &[1, 2]),
        (LedgerFilter { payment: Some(id(2)), after: Some(all[2].seq), ..none }, &[3]),
    ];
    for (filter, places) in cases {
        let mut expected: Vec<Recorded> = places.iter().map(|place| all[*place].clone()).collect();
        for ascending in [true, false] {
            let found = bed.store.ledger(writer.id(), WALLET, &filter, ascending, 0, 100).await;
            assert_eq!(found.as_ref(), Ok(&expected), "{filter:?}");
            let one = bed.store.ledger(writer.id(), WALLET, &filter, ascending, 1, 1).await;
            let second: Vec<Recorded> = expected.iter().skip(1).take(1).cloned().collect();
            assert_eq!(one, Ok(second), "{filter:?}");
            expected.reverse();
        }
        let count = bed.store.count_ledger(writer.id(), WALLET, &filter).await;
        assert_eq!(count, Ok(u64::try_from(places.len()).unwrap()), "{filter:?}");
        let elsewhere = bed.store.count_ledger(writer.id(), SECOND_WALLET, &filter).await;
        assert_eq!(elsewhere, Ok(0));
    }
}
