//! The REST face of the running binary, spoken to as any program can: HTTP/1.1 over a socket.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
};

use serde_json::{Value, json};

use crate::platform::{House, text};

struct Rest {
    address: String,
    key: String,
    org: String,
    environment: String,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Rest {
    fn of(house: &House) -> Rest {
        let wallet = wallet(house, "credit");
        Rest {
            address: house.address(),
            key: house.key(),
            org: text(&house.ok(&["org", "list"])["organisations"][0]["id"]),
            environment: text(&wallet["environment_id"]),
        }
    }

    fn request(&self, method: &str, path: &str, prefer: &str, body: &Value) -> String {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        format!(
            "{method} /v1/organizations/{}{path} HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\n\
             prefer: {prefer}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n{body}",
            self.org,
            self.address,
            self.key,
            body.len(),
        )
    }

    fn ask(&self, method: &str, path: &str, prefer: &str, body: &Value) -> Answer {
        let request = self.request(method, path, prefer, body);
        let mut socket = TcpStream::connect(&self.address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    fn payments(&self, path: &str) -> String {
        format!("/environments/{}/payments{path}", self.environment)
    }
}

fn wallet(house: &House, name: &str) -> Value {
    let listed = house.ok(&["wallet", "list"]);
    let wallets = listed["wallets"].as_array().unwrap();
    wallets.iter().find(|wallet| wallet["name"] == name).unwrap().clone()
}

#[test]
fn a_merchant_pays_is_paid_and_reads_it_all_by_rest_also_after_a_crash() {
    let mut house = House::start();
    house.onboard();
    let rest = Rest::of(&house);
    let wallet = text(&wallet(&house, "credit")["id"]);
    let (sent, received) =
        ("01a20ae0-e07d-73ad-b7aa-21f132985458", "01a20ae0-e07d-73ad-b7aa-21f132985459");
    let send = json!({
        "id": sent, "wallet_id": wallet, "currency": "btc", "type": "bolt11",
        "data": {
            "payment_request": house.outside_invoice(&["--amount-msat", "25000000"]),
            "max_fee_msats": null,
        },
        "metadata": { "order": "7" },
    });
    let prefer = "return=representation, wait=30";
    let paid = rest.ask("POST", &rest.payments(""), prefer, &send);
    assert_eq!((paid.status, &paid.body["status"]), (201, &json!("completed")), "{}", paid.body);
    let again = rest.ask("POST", &rest.payments(""), prefer, &send);
    assert_eq!((again.status, &again.body), (200, &paid.body));
    assert!(again.head.contains("idempotency-hit: true"), "{}", again.head);

    let receive = json!({
        "id": received, "wallet_id": wallet, "currency": "btc", "amount_msats": 7_000,
        "payment_kind": "bolt11",
    });
    let taken = rest.ask("POST", &rest.payments(""), "", &receive);
    assert_eq!((taken.status, &taken.body), (202, &Value::Null));
    let open = rest.get(&rest.payments(&format!("/{received}")));
    assert_eq!(open["status"], "receiving", "its invoice is there at the first look");
    house.ok(&["sim", "pay", "bob", open["data"]["payment_request"].as_str().unwrap()]);
    house.ok(&["payment", "watch", received, "--wait-seconds", "20"]);

    house.platform.take().unwrap().kill();
    house.start_platform();
    let rest = Rest::of(&house);
    assert_eq!(rest.get(&rest.payments(&format!("/{sent}"))), paid.body);
    let listed = rest.get(&rest.payments("?metadata[order]=7"));
    assert_eq!((&listed["total"], &listed["items"][0]["id"]), (&json!(1), &json!(sent)));
    let page = rest.get(&rest.payments("?pagination=cursor&limit=1&sort_key=updated_at"));
    assert_eq!((&page["items"][0]["id"], &page["has_more"]), (&json!(received), &json!(true)));
    assert_eq!(rest.get(&rest.payments("/summary"))["total"], json!(2));
    let events = rest.get(&rest.payments(&format!("/{sent}/history")));
    let last = events["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["event_type"], "send_succeeded");
    let ledger = rest.get(&format!("/wallets/{wallet}/ledger?sort_order=ASC"));
    let kinds: Vec<_> = ledger["items"].as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(kinds, ["held", "captured", "credited"]);
    let feed = rest.get(&format!("/environments/{}/events", rest.environment));
    assert!(feed["events"].as_array().unwrap().len() > 5);
    let deleted = rest.ask("DELETE", &format!("/wallets/{wallet}"), "", &Value::Null);
    assert_eq!((deleted.status, &deleted.body["error"]["type"]), (400, &json!("wallet_not_empty")));
    assert_eq!(house.ok(&["audit"])["clean"], true);
}

/// Whoever asks and hangs up has asked: what was taken goes on, and the repeat finds it.
#[test]
fn a_client_that_hangs_up_after_posting_finds_one_payment() {
    let house = House::start();
    house.onboard();
    let rest = Rest::of(&house);
    let invoice =
        house.outside_invoice(&["--amount-msat", "5000", "--description", "sim:slow:1500"]);
    let send = json!({
        "id": "01a20ae0-e07d-73ad-b7aa-21f132985458", "currency": "btc", "type": "bolt11",
        "wallet_id": wallet(&house, "credit")["id"], "data": { "payment_request": invoice },
    });
    for _ in 0..20 {
        let request = rest.request("POST", &rest.payments(""), "wait=60", &send);
        let mut socket = TcpStream::connect(&rest.address).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        socket.shutdown(Shutdown::Both).unwrap();
    }
    let prefer = "return=representation, wait=30";
    let paid = rest.ask("POST", &rest.payments(""), prefer, &send);
    assert_eq!(paid.body["status"], "completed", "{}", paid.body);
    assert_eq!(rest.get(&rest.payments(""))["total"], json!(1));
    let settled = house.ok(&["sim", "settlements"]);
    let settled = settled["settlements"].as_array().unwrap();
    assert_eq!((settled.len(), &settled[0]["times"]), (1, &json!(1)), "{settled:?}");
    assert_eq!(house.ok(&["audit"])["clean"], true);
}

/// However close they come together: one has made the payment, and the others are told that they repeat
/// it (rule 11).
#[test]
fn of_two_hundred_posts_at_once_all_but_one_are_repeats() {
    const TIMES: usize = 200;
    let house = House::start();
    house.onboard();
    let rest = Rest::of(&house);
    let wallet = text(&wallet(&house, "credit")["id"]);
    let send = json!({
        "id": "01a20ae0-e07d-73ad-b7aa-21f132985458", "wallet_id": wallet, "currency": "btc",
        "type": "bolt11",
        "data": { "payment_request": house.outside_invoice(&["--amount-msat", "5000"]) },
    });
    let receive = json!({
        "id": "01a20ae0-e07d-73ad-b7aa-21f132985459", "wallet_id": wallet, "currency": "btc",
        "payment_kind": "bolt11", "amount_msats": 7_000,
    });
    let at_once = std::sync::Barrier::new(TIMES);
    for (body, prefer, fresh) in [(&send, "", 202), (&receive, "return=representation", 201)] {
        let post = || {
            at_once.wait();
            rest.ask("POST", &rest.payments(""), prefer, body)
        };
        let answers: Vec<Answer> = thread::scope(|scope| {
            let posts: Vec<_> = (0..TIMES).map(|_| scope.spawn(post)).collect();
            posts.into_iter().map(|post| post.join().unwrap()).collect()
        });
        let is_repeat = |answer: &&Answer| answer.head.contains("idempotency-hit: true");
        let (repeats, first): (Vec<_>, Vec<_>) = answers.iter().partition(is_repeat);
        assert_eq!(first.iter().map(|answer| answer.status).collect::<Vec<_>>(), [fresh]);
        let repeated = if prefer.is_empty() { 202 } else { 200 };
        assert!(repeats.iter().all(|answer| answer.status == repeated));
    }
    assert_eq!(rest.get(&rest.payments(""))["total"], json!(2));
}

/// Its nodes and its invoices say signet, as every signet's do; we say mutinynet.
#[test]
fn mutinynet_pays_over_the_nodes_of_its_signet() {
    let house = House::start_on("signet", "mutinynet");
    house.onboard();
    let rest = Rest::of(&house);
    let invoice = house.outside_invoice(&["--amount-msat", "5000"]);
    assert!(invoice.starts_with("lntbs"), "{invoice}");
    let own = json!({
        "id": "01a20ae0-e07d-73ad-b7aa-21f132985457", "environment_id": rest.environment,
        "line_of_credit_id": wallet(&house, "credit")["line_id"], "name": "sandbox",
        "network": "mutinynet", "limit": 0,
    });
    let made = rest.ask("POST", "/wallets", "return=representation", &own);
    assert_eq!((made.status, &made.body["network"]), (201, &json!("mutinynet")), "{}", made.body);
    let send = json!({
        "id": "01a20ae0-e07d-73ad-b7aa-21f132985458", "currency": "btc", "type": "bolt11",
        "wallet_id": wallet(&house, "credit")["id"], "data": { "payment_request": invoice },
    });
    let paid = rest.ask("POST", &rest.payments(""), "return=representation, wait=30", &send);
    assert_eq!((paid.status, &paid.body["status"]), (201, &json!("completed")), "{}", paid.body);
}
