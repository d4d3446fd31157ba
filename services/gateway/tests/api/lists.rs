use proto::v1::{self, PaymentStatus};
use tonic::Code;

use crate::world::{BEGIN_MS, World, invoice, payment, preimage, refusal};

#[tokio::test]
async fn pages_show_each_payment_of_the_environment_once_newest_first() {
    let world = World::new().await;
    // Many in one millisecond, and others of another environment in between.
    for number in 1..=20_u8 {
        world.fake.set_now(BEGIN_MS + i64::from(number / 8));
        let part = if number % 3 == 0 { &world.shop } else { &world.book };
        let send = part.send(payment(u128::from(number)), &invoice(number, Some(1_000)));
        part.payments(&world).send(send).await.unwrap();
    }
    let mut payments = world.book.payments(&world);
    for limit in [1, 2, 3, 13, 14, 15, 1_000] {
        let (mut cursor, mut listed) = (String::new(), Vec::new());
        loop {
            let request = v1::ListPaymentsRequest { limit, cursor, ..Default::default() };
            let page = payments.list_payments(request).await.unwrap().into_inner();
            assert!(page.payments.len() <= usize::try_from(limit).unwrap());
            listed.extend(page.payments.into_iter().map(|payment| payment.id));
            cursor = page.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        let own = (1..=20_u128).rev().filter(|number| number % 3 != 0);
        let own: Vec<_> = own.map(|number| payment(number).to_string()).collect();
        assert_eq!(listed, own, "by {limit}");
    }
}

#[tokio::test]
async fn wallets_and_lines_are_those_of_the_environment() {
    let world = World::new().await;
    let mut wallets = world.book.wallets(&world);
    let listed = wallets.list(v1::ListWalletsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.wallets.len(), 1);
    assert_eq!(listed.wallets[0].id, world.book.wallet.to_string());
    assert_eq!(listed.wallets[0].environment_id, world.book.environment.to_string());
    assert!(listed.next_cursor.is_empty());
    let lines =
        world.book.lines(&world).list(v1::ListLinesRequest::default()).await.unwrap().into_inner();
    assert_eq!(lines.lines.len(), 1);
    assert_eq!(lines.lines[0].allocated_msat, 500_000_000);
}

#[tokio::test]
async fn a_send_shows_in_balance_and_ledger() {
    let world = World::new().await;
    let (mut payments, mut wallets) = (world.book.payments(&world), world.book.wallets(&world));
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    payments.send(send).await.unwrap();
    let get = v1::GetWalletRequest { id: world.book.wallet.to_string() };
    let wallet = wallets.get(get.clone()).await.unwrap().into_inner();
    assert_eq!((wallet.held_msat, wallet.available_msat), (21_000, 499_979_000));
    world.fake.prove(world.book.org, payment(1), preimage(1));
    let wallet = wallets.get(get).await.unwrap().into_inner();
    assert_eq!((wallet.held_msat, wallet.available_msat), (0, 499_980_000));
    assert_eq!((wallet.total_msat, wallet.limit_msat), (499_980_000, 500_000_000));

    let (mut after_seq, mut told) = (0, Vec::new());
    loop {
        let wallet_id = world.book.wallet.to_string();
        let request = v1::LedgerRequest { wallet_id, after_seq, limit: 1, ..Default::default() };
        let page = wallets.ledger(request).await.unwrap().into_inner();
        told.extend(page.entries.into_iter().map(|entry| (entry.kind(), entry.change_msat)));
        match page.next_after_seq {
            Some(next) => after_seq = next,
            None => break,
        }
    }
    assert_eq!(told, [(v1::LedgerKind::Held, 0), (v1::LedgerKind::Captured, -20_000)]);
}

/// Three sends, of which one is completed, and one receive.
async fn made(world: &World) {
    let mut payments = world.book.payments(world);
    for number in 1..=3_u8 {
        world.fake.set_now(BEGIN_MS + i64::from(number));
        let send = world.book.send(payment(u128::from(number)), &invoice(number, Some(1_000)));
        let metadata = [("parity".to_owned(), (number % 2).to_string())].into();
        let description = "for tea".to_owned();
        payments.send(v1::SendRequest { metadata, description, ..send }).await.unwrap();
    }
    world.fake.set_now(BEGIN_MS + 4);
    let receive = v1::ReceiveRequest {
        id: payment(4).to_string(),
        wallet_id: world.book.wallet.to_string(),
        amount_msat: Some(5_000),
        wait_seconds: Some(0),
        metadata: [("parity".to_owned(), "0".to_owned())].into(),
        ..Default::default()
    };
    payments.receive(receive).await.unwrap();
    world.fake.prove(world.book.org, payment(1), preimage(1));
}

#[tokio::test]
async fn lists_and_counts_are_of_what_was_asked_for() {
    let world = World::new().await;
    made(&world).await;
    let mut payments = world.book.payments(&world);
    let any = v1::PaymentFilter::default();
    let of = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
    let sending = vec![PaymentStatus::Sending.into()];
    for (filter, wanted) in [
        (any.clone(), vec![4, 3, 2, 1]),
        (v1::PaymentFilter { direction: v1::Direction::Receive.into(), ..any.clone() }, vec![4]),
        (v1::PaymentFilter { statuses: sending, ..any.clone() }, vec![3, 2]),
        (v1::PaymentFilter { metadata: of("parity", "0"), ..any.clone() }, vec![4, 2]),
        (v1::PaymentFilter { metadata: of("parity", "2"), ..any.clone() }, vec![]),
        (v1::PaymentFilter { created_from_ms: Some(BEGIN_MS + 3), ..any.clone() }, vec![4, 3]),
        (v1::PaymentFilter { created_to_ms: Some(BEGIN_MS + 1), ..any.clone() }, vec![1]),
        (v1::PaymentFilter { line_id: world.book.line.clone(), ..any.clone() }, vec![4, 3, 2, 1]),
        (v1::PaymentFilter { line_id: world.shop.line.clone(), ..any.clone() }, vec![]),
    ] {
        let request =
            v1::ListPaymentsRequest { filter: Some(filter.clone()), ..Default::default() };
        let page = payments.list_payments(request).await.unwrap().into_inner();
        let told: Vec<_> = page.payments.iter().map(|payment| payment.id.clone()).collect();
        let wanted: Vec<_> = wanted.iter().map(|number| payment(*number).to_string()).collect();
        assert_eq!(told, wanted, "{filter:?}");
        let request = v1::SummaryRequest { filter: Some(filter), ..Default::default() };
        let summary = payments.summary(request).await.unwrap().into_inner();
        assert_eq!(summary.total, u64::try_from(told.len()).unwrap());
    }
    let summary = payments.summary(v1::SummaryRequest::default()).await.unwrap().into_inner();
    let sending = summary.counts.iter().find(|it| it.status() == PaymentStatus::Sending).unwrap();
    assert_eq!(
        (sending.count, sending.oldest_at_ms, sending.newest_at_ms),
        (2, BEGIN_MS + 2, BEGIN_MS + 3)
    );
}

#[tokio::test]
async fn a_list_by_change_goes_on_from_a_position_and_a_cursor_is_of_its_question() {
    let world = World::new().await;
    made(&world).await;
    let mut payments = world.book.payments(&world);
    let by_change = v1::ListPaymentsRequest {
        limit: 3,
        order: v1::PaymentOrder::Updated.into(),
        ..Default::default()
    };
    let page = payments.list_payments(by_change.clone()).await.unwrap().into_inner();
    let told: Vec<_> = page.payments.iter().map(|payment| payment.id.clone()).collect();
    assert_eq!(told, [1, 4, 3].map(|number| payment(number).to_string()));
    let first = &page.payments[0];
    assert_eq!((first.description.as_str(), first.memo.as_str()), ("for tea", "a book"));
    assert_eq!(first.metadata["parity"], "1");
    let newest = first.updated_seq;
    assert!(page.payments.is_sorted_by_key(|it| std::cmp::Reverse(it.updated_seq)));

    let cursor = page.next_cursor;
    let next = v1::ListPaymentsRequest { cursor: cursor.clone(), limit: 7, ..by_change.clone() };
    let rest = payments.list_payments(next.clone()).await.unwrap().into_inner();
    assert_eq!(rest.payments[0].id, payment(2).to_string());
    let other = v1::ListPaymentsRequest { ascending: true, ..next };
    for refused in [
        refusal(payments.list_payments(other).await),
        refusal(
            world
                .shop
                .payments(&world)
                .list_payments(v1::ListPaymentsRequest { cursor, ..by_change.clone() })
                .await,
        ),
    ] {
        assert_eq!(refused, (Code::InvalidArgument, "cursor_invalid".to_owned()));
    }
    let filter = Some(v1::PaymentFilter { updated_after_seq: newest, ..Default::default() });
    let nothing_new = v1::ListPaymentsRequest { filter, ..by_change.clone() };
    let page = payments.list_payments(nothing_new).await.unwrap().into_inner();
    assert!(page.payments.is_empty() && page.next_cursor.is_empty());
    let filter = Some(v1::PaymentFilter { updated_after_seq: Some(1_000), ..Default::default() });
    let ahead = v1::ListPaymentsRequest { filter, ..by_change };
    let refused = refusal(payments.list_payments(ahead).await);
    assert_eq!(refused, (Code::NotFound, "unknown_position".to_owned()));
}

#[tokio::test]
async fn a_history_is_what_has_happened_to_one_payment() {
    let world = World::new().await;
    made(&world).await;
    let of = |number| v1::HistoryRequest { id: payment(number).to_string() };
    let told = world.book.payments(&world).history(of(1)).await.unwrap().into_inner();
    let types: Vec<_> = told.events.iter().map(|event| event.r#type.as_str()).collect();
    assert_eq!(types, ["send_held", "send_attempt_started", "send_succeeded"]);
    for (part, number) in [(&world.book, 99), (&world.shop, 1), (&world.stranger, 1)] {
        let told = part.payments(&world).history(of(number)).await.unwrap().into_inner();
        assert!(told.events.is_empty());
    }
}
