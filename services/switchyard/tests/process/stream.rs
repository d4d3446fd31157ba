//! A merchant's sends over one stream to the running binary, which is cut off in the middle.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
};

use proto::v1::{
    self, PaymentStatus, SendAnswer, payments_client::PaymentsClient, send_answer::Answer,
};
use serde_json::json;
use tokio_stream::{Stream, StreamExt as _, iter, pending};
use tonic::{Request, Streaming, transport::Channel};

use crate::platform::{House, text};

const SENDS: u64 = 200;

struct Merchant {
    payments: PaymentsClient<Channel>,
    key: String,
    sends: Vec<v1::SendRequest>,
}

impl Merchant {
    async fn of(house: &House) -> Merchant {
        let listed = house.ok(&["wallet", "list"]);
        let wallets = listed["wallets"].as_array().unwrap();
        let credit = wallets.iter().find(|wallet| wallet["name"] == "credit").unwrap();
        let invoices = house.outside_invoices(SENDS).await;
        let send = |(number, invoice): (u128, String)| v1::SendRequest {
            id: uuid::Uuid::from_u128(0x01a2_0ae0_e07d_73ad_b7aa << 48 | number).to_string(),
            wallet_id: text(&credit["id"]),
            invoice,
            metadata: [("batch".to_owned(), "7".to_owned())].into(),
            ..v1::SendRequest::default()
        };
        let channel = Channel::from_shared(format!("http://{}", house.address())).unwrap();
        Merchant {
            payments: PaymentsClient::new(channel.connect().await.unwrap()),
            key: house.key(),
            sends: (0..).zip(invoices).map(send).collect(),
        }
    }

    /// All of them, and perhaps more to come.
    async fn stream(&self, more: bool) -> Streaming<SendAnswer> {
        let all = iter(self.sends.clone());
        let sends: Pin<Box<dyn Stream<Item = v1::SendRequest> + Send>> = match more {
            true => Box::pin(all.chain(pending())),
            false => Box::pin(all),
        };
        let mut request = Request::new(sends);
        request.metadata_mut().insert("x-api-key", self.key.parse().unwrap());
        self.payments.clone().send_stream(request).await.unwrap().into_inner()
    }
}

#[test]
fn a_stream_of_sends_that_is_cut_off_and_repeated_pays_each_once() {
    let house = House::start();
    house.onboard();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let order = runtime.block_on(async {
        let merchant = Merchant::of(&house).await;
        let mut first = merchant.stream(true).await;
        let mut seen = BTreeSet::new();
        // In the middle: some have ended, some are under way, some were perhaps not taken.
        while seen.len() < 60 {
            seen.insert(first.next().await.unwrap().unwrap().id);
        }
        drop(first);

        let mut again = merchant.stream(false).await;
        let (mut ended, mut order) = (BTreeMap::new(), Vec::new());
        while let Some(answer) = again.next().await {
            let SendAnswer { id, answer } = answer.unwrap();
            let payment = match answer.unwrap() {
                Answer::Accepted(payment) | Answer::Updated(payment) => payment,
                Answer::Refused(refusal) => panic!("{id}: {refusal:?}"),
            };
            if payment.status() == PaymentStatus::Completed {
                assert!(!payment.preimage.is_empty());
                order.push(id.clone());
                ended.insert(id, payment.preimage);
            }
        }
        let sent: BTreeSet<_> = merchant.sends.iter().map(|send| send.id.clone()).collect();
        assert_eq!(ended.keys().cloned().collect::<BTreeSet<_>>(), sent, "each has its proof");
        assert_eq!(ended.values().collect::<BTreeSet<_>>().len(), sent.len());
        order
    });
    assert!(!order.is_sorted(), "they end as they end, and not as they were sent");

    // Each was paid once: the wallet has lost what two hundred payments cost and nothing more.
    let wallet = house.ok(&["wallet", "show", "credit"]);
    let paid: u64 = house
        .ledger("credit")
        .iter()
        .filter(|entry| entry["kind"] == "captured")
        .map(|entry| entry["amount_msat"].as_u64().unwrap())
        .sum();
    let entries = house.ledger("credit");
    let captured = entries.iter().filter(|entry| entry["kind"] == "captured").count();
    assert_eq!(u64::try_from(captured).unwrap(), SENDS);
    let limit = wallet["limit_msat"].as_i64().unwrap();
    let left = limit - i64::try_from(paid).unwrap();
    assert_eq!((&wallet["total_msat"], &wallet["held_msat"]), (&json!(left), &json!(0)));
    assert_eq!(house.ok(&["audit"])["clean"], true);

    let events = house.ok(&["events", "--after", "0", "--limit", "1000"]);
    let events = events["events"].as_array().unwrap();
    let held = events.iter().filter(|event| event["type"] == "send_held").count();
    assert_eq!(u64::try_from(held).unwrap(), SENDS, "no send was begun twice");
}
