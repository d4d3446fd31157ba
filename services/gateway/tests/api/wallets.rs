//! Wallets by gRPC: made, renamed, deleted, and their ledgers.

use proto::v1::{self, create_wallet_request::Backing};
use tonic::Code;
use uuid::Uuid;

use crate::world::{BEGIN_MS, World, invoice, payment, preimage, refusal};

fn create(world: &World, number: u128) -> v1::CreateWalletRequest {
    v1::CreateWalletRequest {
        id: Uuid::from_u128(number).to_string(),
        name: format!("shelf {number}"),
        backing: Some(Backing::LineId(world.book.line.clone())),
        limit_msat: 1_000,
        metadata: [("floor".to_owned(), "2".to_owned())].into(),
    }
}

#[tokio::test]
async fn a_wallet_is_made_once_renamed_and_deleted() {
    let world = World::new().await;
    let mut wallets = world.book.wallets(&world);
    let request = create(&world, 50);
    let made = wallets.create(request.clone()).await.unwrap().into_inner();
    assert_eq!((made.name.as_str(), made.limit_msat), ("shelf 50", 1_000));
    assert_eq!((made.created_at_ms, made.deleted_at_ms), (BEGIN_MS, None));
    assert_eq!(made.metadata["floor"], "2");
    assert_eq!(wallets.create(request.clone()).await.unwrap().into_inner(), made);
    let other = v1::CreateWalletRequest { limit_msat: 7, ..request };
    let refused = refusal(wallets.create(other).await);
    assert_eq!(refused, (Code::AlreadyExists, "id_reused".to_owned()));

    world.fake.set_now(BEGIN_MS + 5);
    let rename = v1::RenameWalletRequest { id: made.id.clone(), name: "shelf".to_owned() };
    let renamed = wallets.rename(rename).await.unwrap().into_inner();
    assert_eq!((renamed.name.as_str(), renamed.updated_at_ms), ("shelf", BEGIN_MS + 5));
    let delete = v1::DeleteWalletRequest { id: made.id.clone() };
    let deleted = wallets.delete(delete.clone()).await.unwrap().into_inner();
    assert_eq!(deleted.deleted_at_ms, Some(BEGIN_MS + 5));
    assert_eq!(wallets.delete(delete).await.unwrap().into_inner(), deleted);
    for (include_deleted, count) in [(false, 1), (true, 2)] {
        let request = v1::ListWalletsRequest { include_deleted, ..Default::default() };
        let listed = wallets.list(request).await.unwrap().into_inner().wallets;
        assert_eq!(listed.len(), count);
    }
}

#[tokio::test]
async fn wallets_that_cannot_be_are_refused_by_name() {
    let world = World::new().await;
    let mut wallets = world.book.wallets(&world);
    let good = create(&world, 50);
    let foreign = Some(Backing::LineId(world.shop.line.clone()));
    let unknown = Some(Backing::NodeId(Uuid::from_u128(9).to_string()));
    for (request, code, name) in [
        (v1::CreateWalletRequest { id: "1".to_owned(), ..good.clone() }, 3, "id_invalid"),
        (v1::CreateWalletRequest { name: "ab".to_owned(), ..good.clone() }, 3, "text_invalid"),
        (v1::CreateWalletRequest { name: "a\nbc".to_owned(), ..good.clone() }, 3, "text_invalid"),
        (v1::CreateWalletRequest { name: "ü".repeat(257), ..good.clone() }, 3, "text_invalid"),
        (v1::CreateWalletRequest { backing: None, ..good.clone() }, 3, "field_missing"),
        (
            v1::CreateWalletRequest { limit_msat: u64::MAX, ..good.clone() },
            3,
            "amount_out_of_range",
        ),
        (v1::CreateWalletRequest { limit_msat: 900_000_000, ..good.clone() }, 9, "cannot_allocate"),
        (
            v1::CreateWalletRequest { backing: foreign, ..good.clone() },
            5,
            "line_of_credit_not_found",
        ),
        (v1::CreateWalletRequest { backing: unknown, ..good.clone() }, 5, "node_not_found"),
        (v1::CreateWalletRequest { name: "till".to_owned(), ..good.clone() }, 6, "name_taken"),
    ] {
        assert_eq!(refusal(wallets.create(request).await), (Code::from(code), name.to_owned()));
    }
    let foreign = world.shop.wallet.to_string();
    let rename = v1::RenameWalletRequest { id: foreign.clone(), name: "mine".to_owned() };
    assert_eq!(refusal(wallets.rename(rename).await).1, "wallet_not_found");
    let delete = v1::DeleteWalletRequest { id: foreign };
    assert_eq!(refusal(wallets.delete(delete).await).1, "wallet_not_found");
    let send = world.book.send(payment(1), &invoice(1, Some(20_000)));
    world.book.payments(&world).send(send).await.unwrap();
    let delete = v1::DeleteWalletRequest { id: world.book.wallet.to_string() };
    let refused = refusal(wallets.delete(delete).await);
    assert_eq!(refused, (Code::FailedPrecondition, "wallet_not_empty".to_owned()));
}

#[tokio::test]
async fn a_ledger_is_read_by_payment_by_time_and_from_its_end() {
    let world = World::new().await;
    let mut payments = world.book.payments(&world);
    for number in 1..=2_u8 {
        world.fake.set_now(BEGIN_MS + i64::from(number));
        let id = payment(u128::from(number));
        payments.send(world.book.send(id, &invoice(number, Some(20_000)))).await.unwrap();
        world.fake.prove(world.book.org, id, preimage(number));
    }
    let mut wallets = world.book.wallets(&world);
    let all = v1::LedgerRequest { wallet_id: world.book.wallet.to_string(), ..Default::default() };
    let first = payment(1).to_string();
    for (request, wanted) in [
        (v1::LedgerRequest { payment_id: first, ..all.clone() }, vec![1, 1]),
        (v1::LedgerRequest { from_ms: Some(BEGIN_MS + 2), ..all.clone() }, vec![2, 2]),
        (v1::LedgerRequest { to_ms: Some(BEGIN_MS + 1), ..all.clone() }, vec![1, 1]),
        (v1::LedgerRequest { newest_first: true, offset: 1, ..all.clone() }, vec![2, 1, 1]),
        (all.clone(), vec![1, 1, 2, 2]),
    ] {
        let page = wallets.ledger(request).await.unwrap().into_inner();
        let wanted: Vec<_> = wanted.iter().map(|number| payment(*number).to_string()).collect();
        let told: Vec<_> = page.entries.into_iter().map(|entry| entry.payment_id).collect();
        assert_eq!(told, wanted);
    }
    let backwards = v1::LedgerRequest { newest_first: true, limit: 3, ..all.clone() };
    let page = wallets.ledger(backwards).await.unwrap().into_inner();
    assert_eq!((page.next_offset, page.next_after_seq), (Some(3), None));
    let bad = v1::LedgerRequest { payment_id: "1".to_owned(), ..all };
    assert_eq!(refusal(wallets.ledger(bad).await).1, "id_invalid");
}
