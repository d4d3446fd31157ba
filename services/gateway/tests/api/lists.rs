use proto::v1;

use crate::world::{BEGIN_MS, World, invoice, payment, preimage};

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
            let request = v1::ListPaymentsRequest { limit, cursor, wallet_id: String::new() };
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
    let lines = world.book.lines(&world).list(v1::ListLinesRequest {}).await.unwrap().into_inner();
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
        let request = v1::LedgerRequest { wallet_id, after_seq, limit: 1 };
        let page = wallets.ledger(request).await.unwrap().into_inner();
        told.extend(page.entries.into_iter().map(|entry| (entry.kind(), entry.change_msat)));
        match page.next_after_seq {
            Some(next) => after_seq = next,
            None => break,
        }
    }
    assert_eq!(told, [(v1::LedgerKind::Held, 0), (v1::LedgerKind::Captured, -20_000)]);
}
