//! Ids: those that are not there or not yours, and those that were used before.

use domain::ErrorClass::{Conflict, NotFound};
use proto::{
    admin::v1 as admin,
    v1::{
        GetLineRequest, GetWalletRequest, LedgerRequest, ListPaymentsRequest, PaymentStatus,
        SendRequest, WatchPaymentRequest,
    },
};
use tests::world::{Customer, new_id};
use tonic::{Response, Status};

use crate::bed::{Bed, refused, said_no};

/// All bytes of a refusal that a caller can see, but the id that it is about and the time of day.
fn bytes_of<T: std::fmt::Debug>(answer: Result<Response<T>, Status>, id: &str) -> String {
    let status = answer.expect_err("it is refused");
    let mut headers = status.metadata().clone().into_headers();
    headers.remove("date");
    let details = String::from_utf8_lossy(status.details());
    let all = format!("{:?} {} {details:?} {headers:?}", status.code(), status.message());
    all.replace(id, "ID")
}

/// What globex hears of a payment, a wallet and a line by every call that takes an id.
async fn heard(bed: &Bed, payment: &str, wallet: &str, line: &str, invoice: &str) -> Vec<String> {
    let globex = &bed.globex;
    let mut payments = globex.payments(bed.channel.clone());
    let mut wallets = globex.wallets(bed.channel.clone());
    let watch = WatchPaymentRequest { id: payment.to_owned() };
    let list = ListPaymentsRequest { wallet_id: wallet.to_owned(), ..Default::default() };
    let send = SendRequest { wallet_id: wallet.to_owned(), ..globex.send(&new_id(), invoice) };
    let mut receive = globex.receive(&new_id(), Some(1_000));
    receive.wallet_id = wallet.to_owned();
    let ledger = LedgerRequest { wallet_id: wallet.to_owned(), ..Default::default() };
    let get = GetWalletRequest { id: wallet.to_owned() };
    let get_line = GetLineRequest { id: line.to_owned() };
    vec![
        bytes_of(bed.payment(globex, payment).await, payment),
        bytes_of(payments.watch_payment(watch).await.map(|_| Response::new(())), payment),
        bytes_of(payments.list_payments(list).await, wallet),
        bytes_of(payments.send(send).await, wallet),
        bytes_of(payments.receive(receive).await, wallet),
        bytes_of(wallets.get(get).await, wallet),
        bytes_of(wallets.ledger(ledger).await, wallet),
        bytes_of(globex.lines(bed.channel.clone()).get(get_line).await, line),
    ]
}

#[tokio::test]
async fn unknown_and_foreign_ids_are_told_alike() {
    let bed = Bed::make().await;
    let paid = bed.pay(&bed.acme, 1_000).await;
    let before = bed.books().await;
    let invoice = bed.world.invoice("alice", 1_000, "").await;

    let foreign = heard(&bed, &paid.id, &bed.acme.wallet, &bed.acme.line, &invoice).await;
    let unknown = heard(&bed, &new_id(), &new_id(), &new_id(), &invoice).await;
    assert_eq!(foreign, unknown, "byte for byte");
    for heard in &foreign {
        assert!(heard.starts_with("NotFound ") && !heard.contains("acme"), "{heard}");
    }

    for (foreign, code) in [
        (["payment", "show", &paid.id], "payment_not_found"),
        (["wallet", "show", &bed.acme.wallet], "wallet_not_found"),
        (["line", "show", &bed.acme.line], "line_of_credit_not_found"),
    ] {
        said_no(&bed.cli(&bed.globex, &foreign).await, NotFound, code);
    }
    bed.unchanged(&before).await;
}

/// An id is the caller's own word for a payment: another's use of it tells nobody anything.
#[tokio::test]
async fn a_foreign_payments_id_is_free() {
    let bed = Bed::make().await;
    let acmes = bed.pay(&bed.acme, 1_000).await;
    let invoice = bed.world.invoice("alice", 2_000, "").await;
    let globexs = bed.sent(&bed.globex, bed.globex.send(&acmes.id, &invoice)).await;
    assert_eq!((globexs.status(), globexs.amount_msat), (PaymentStatus::Completed, Some(2_000)));
    let still = bed.payment(&bed.acme, &acmes.id).await.expect("it is acme's").into_inner();
    assert_eq!(still.amount_msat, Some(1_000));
    bed.books().await;
}

#[tokio::test]
async fn unknown_and_foreign_ids_of_the_operator() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let mut organisations = bed.world.organisations();
    let unknown = admin::GetOrganisationRequest { id: new_id() };
    refused(organisations.get(unknown).await, NotFound, "organisation_not_found");
    for line_id in [new_id(), bed.acme.line.clone()] {
        let organisation_id = bed.globex.org.clone();
        let request = admin::SetLineLimitRequest { organisation_id, line_id, limit_msat: 1 };
        let answer = organisations.set_line_limit(request).await;
        refused(answer, NotFound, "line_of_credit_not_found");
    }
    for wallet_id in [new_id(), bed.acme.wallet.clone()] {
        let organisation_id = bed.globex.org.clone();
        let request = admin::SetWalletLimitRequest { organisation_id, wallet_id, limit_msat: 1 };
        refused(organisations.set_wallet_limit(request).await, NotFound, "wallet_not_found");
    }
    let request = admin::CreateKeyRequest {
        id: new_id(),
        organisation_id: bed.globex.org.clone(),
        environment_id: bed.acme.environment.clone(),
        name: "key".to_owned(),
        ..Default::default()
    };
    refused(bed.world.keys().create(request).await, NotFound, "environment_not_found");
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn duplicate_id_with_the_same_body() {
    let bed = Bed::make().await;
    let invoice = bed.world.invoice("alice", 1_000, "").await;
    let request = bed.acme.send(&new_id(), &invoice);
    let first = bed.sent(&bed.acme, request.clone()).await;
    let mut payments = bed.acme.payments(bed.channel.clone());
    let asked = bed.acme.receive(&new_id(), Some(1_000));
    let receipt = payments.receive(asked.clone()).await.expect("it is taken").into_inner();
    let before = bed.books().await;

    assert_eq!(bed.sent(&bed.acme, request.clone()).await, first);
    // The same words written otherwise are the same body.
    let shouted = SendRequest { invoice: invoice.to_uppercase(), ..request.clone() };
    assert_eq!(bed.sent(&bed.acme, shouted).await, first);
    let again = payments.receive(asked).await.expect("it is taken").into_inner();
    assert_eq!(again, receipt);
    let said = bed.cli_pay(&bed.acme, &request).await;
    let shown = bed.cli(&bed.acme, &["payment", "show", &request.id]).await;
    assert_eq!((said.code, said.document), (0, shown.document));
    bed.unchanged(&before).await;
}

/// A second wallet of the same customer.
async fn second_wallet(bed: &Bed, customer: &Customer) -> String {
    let line = admin::create_wallet_request::Backing::LineId(customer.line.clone());
    let made = bed.world.wallet(&customer.org, &customer.environment, line, 0).await;
    made.expect("the line is there")
}

#[tokio::test]
async fn duplicate_id_with_another_body() {
    let bed = Bed::make().await;
    let other_wallet = second_wallet(&bed, &bed.acme).await;
    let open = bed.world.invoice("alice", 0, "").await;
    let request = SendRequest { amount_msat: Some(1_000), ..bed.acme.send(&new_id(), &open) };
    let first = bed.sent(&bed.acme, request.clone()).await;
    let mut payments = bed.acme.payments(bed.channel.clone());
    let asked = bed.acme.receive(&new_id(), Some(1_000));
    payments.receive(asked.clone()).await.expect("it is taken");
    let before = bed.books().await;

    let other_invoice = bed.world.invoice("alice", 0, "").await;
    for other in [
        SendRequest { amount_msat: Some(1_001), ..request.clone() },
        SendRequest { invoice: other_invoice, ..request.clone() },
        SendRequest { fee_limit_msat: Some(1), ..request.clone() },
        SendRequest { wallet_id: other_wallet.clone(), ..request.clone() },
        SendRequest { id: asked.id.clone(), ..request.clone() },
    ] {
        refused(bed.send(&bed.acme, other).await, Conflict, "id_reused");
    }
    let mut others = vec![asked.clone(); 5];
    others[0].amount_msat = Some(1_001);
    others[1].amount_msat = None;
    others[2].description = "tea".to_owned();
    others[3].wallet_id = other_wallet;
    others[4].id = request.id.clone();
    for other in others {
        refused(payments.receive(other).await, Conflict, "id_reused");
    }
    let cheaper = SendRequest { amount_msat: Some(999), ..request.clone() };
    said_no(&bed.cli_pay(&bed.acme, &cheaper).await, Conflict, "id_reused");
    let words = ["org", "create", "other", "--id", &bed.acme.org];
    said_no(&bed.cli(&bed.acme, &words).await, Conflict, "id_reused");

    let still = bed.payment(&bed.acme, &request.id).await.expect("it is there").into_inner();
    assert_eq!(still, first);
    bed.unchanged(&before).await;
}

#[tokio::test]
async fn not_an_id() {
    let bed = Bed::make().await;
    let before = bed.books().await;
    let invoice = bed.world.invoice("alice", 1_000, "").await;
    for id in ["", "1", "not-a-uuid", "01a20ae0-e07d-73ad-b7aa-21f13298545", "01a20ae0\0"] {
        let request = bed.acme.send(id, &invoice);
        refused(bed.send(&bed.acme, request).await, domain::ErrorClass::Invalid, "id_invalid");
        let mut request = bed.acme.send(&new_id(), &invoice);
        request.wallet_id = id.to_owned();
        refused(bed.send(&bed.acme, request).await, domain::ErrorClass::Invalid, "id_invalid");
    }
    bed.unchanged(&before).await;
}
