//! Invoices: cursors, hold states, expiry, over-payment, keysend.

use super::super::{testing::*, *};

fn follow(bench: &mut Bench, node: &str, add: u64, settle: u64) -> StreamId {
    let (node, stream) = (bench.id(node), bench.stream());
    bench.act(|net, _| net.subscribe_invoices(node, add, settle, stream));
    stream
}

const NOTHING: [&str; 0] = [];

#[test]
fn cursors_are_exclusive_and_zero_means_no_backlog() {
    let mut bench = network();
    let invoices: Vec<Invoice> = (0..4).map(|_| bench.quick_invoice("alice", 1_000, "")).collect();
    bench.pay("pool", &invoices[2]);
    bench.pay("pool", &invoices[0]);
    let alice = bench.id("alice");
    let canceled = invoices[3].hash;
    bench.act(|net, now| net.cancel_invoice(now, alice, canceled)).unwrap();

    let none = follow(&mut bench, "alice", 0, 0);
    assert_eq!(bench.said(none), NOTHING);
    let added = follow(&mut bench, "alice", 1, 0);
    assert_eq!(
        bench.said(added),
        ["Open add 2 settle 0 paid 0", "Settled add 3 settle 1 paid 1000"],
        "greater than the cursor, as they are now, without the cancelled one"
    );
    let settled = follow(&mut bench, "alice", 0, 1);
    assert_eq!(bench.said(settled), ["Settled add 1 settle 2 paid 1000"]);
    let both = follow(&mut bench, "alice", 2, 1);
    assert_eq!(
        bench.said(both),
        ["Settled add 3 settle 1 paid 1000", "Settled add 1 settle 2 paid 1000"]
    );

    // Live: OPEN and SETTLED only.
    let hold = NewInvoice { hash: Some(Hash::new([9; 32])), ..NewInvoice::default() };
    bench.invoice("alice", hold);
    bench.act(|net, now| net.cancel_invoice(now, alice, Hash::new([9; 32]))).unwrap();
    bench.pay("pool", &invoices[1]);
    assert_eq!(
        bench.said(none),
        ["Open add 5 settle 0 paid 0", "Settled add 2 settle 3 paid 1000"]
    );
}

fn hold_invoice(bench: &mut Bench, preimage: Preimage) -> Invoice {
    let hash = Some(preimage.hash());
    let new = NewInvoice { hash, value: Msat::new(5_000), ..NewInvoice::default() };
    bench.invoice("alice", NewInvoice { expiry_seconds: 60, ..new })
}

#[test]
fn hold_states() {
    let mut bench = network();
    let alice = bench.id("alice");
    let preimage = Preimage::new([5; 32]);
    let invoice = hold_invoice(&mut bench, preimage);
    let stream = bench.stream();
    bench.act(|net, _| net.subscribe_invoice(alice, invoice.hash, stream));
    let settle = |net: &mut Network, now| net.settle_invoice(now, alice, preimage);
    assert_eq!(bench.act(settle).unwrap_err().text, "invoice still open");
    let payer = bench.send("pool", request(&invoice));
    assert_eq!(bench.said(payer), ["in flight #1"]);
    // The invoice's expiry does not bound an accepted hold.
    bench.pass(600_000);
    assert_eq!(bench.track("pool", &invoice), ["in flight #1"]);
    bench.act(settle).unwrap();
    bench.act(settle).unwrap();
    assert_eq!(bench.said(payer), ["succeeded #1", "end"]);
    assert_eq!(
        bench.said(stream),
        [
            "Open add 1 settle 0 paid 0",
            "Accepted add 1 settle 0 paid 5000",
            "Settled add 1 settle 1 paid 5000",
            "end"
        ]
    );
    let cancel = |net: &mut Network, now| net.cancel_invoice(now, alice, invoice.hash);
    assert_eq!(bench.act(cancel).unwrap_err().text, "invoice already settled");
}

#[test]
fn a_hold_is_cancelled_by_hand_or_by_height() {
    let mut bench = network();
    let alice = bench.id("alice");
    for (byte, by_hand) in [(6, true), (7, false)] {
        let preimage = Preimage::new([byte; 32]);
        let invoice = hold_invoice(&mut bench, preimage);
        let payer = bench.send("pool", request(&invoice));
        bench.said(payer);
        if by_hand {
            for _ in 0..2 {
                bench.act(|net, now| net.cancel_invoice(now, alice, invoice.hash)).unwrap();
            }
        } else {
            bench.pass((80 - 18) * 600_000);
        }
        let said = bench.said(payer);
        assert!(said[1].starts_with("failed") && said[1].ends_with("IncorrectPaymentDetails"));
        let settled = bench.act(|net, now| net.settle_invoice(now, alice, preimage));
        assert_eq!(settled.unwrap_err().text, "invoice already canceled");
    }
    let unknown = Preimage::new([8; 32]);
    let settle = bench.act(|net, now| net.settle_invoice(now, alice, unknown));
    assert_eq!(settle.unwrap_err().text, "unable to locate invoice");
    let cancel = bench.act(|net, now| net.cancel_invoice(now, alice, unknown.hash()));
    assert_eq!(cancel.unwrap_err().text, "unable to locate invoice");
}

#[test]
fn expiry_cancels_and_follows_the_nodes_clock() {
    let mut bench = network();
    let alice = bench.id("alice");
    let new = || NewInvoice { expiry_seconds: 60, ..NewInvoice::default() };
    let first = bench.invoice("alice", new());
    bench.pass(59_999);
    assert_eq!(bench.net.invoice(alice, first.hash).unwrap().state, InvoiceState::Open);
    bench.pass(1);
    assert_eq!(bench.net.invoice(alice, first.hash).unwrap().state, InvoiceState::Canceled);

    let second = bench.invoice("alice", new());
    bench.fault("alice", "clock:-30000");
    bench.pass(60_000);
    assert_eq!(bench.net.invoice(alice, second.hash).unwrap().state, InvoiceState::Open);
    bench.fault("alice", "clock:0");
    bench.pass(0);
    assert_eq!(bench.net.invoice(alice, second.hash).unwrap().state, InvoiceState::Canceled);
}

#[test]
fn more_may_be_paid_than_asked() {
    let mut bench = network();
    let invoice = bench.quick_invoice("alice", 5_000, "");
    let more = SendRequest { amount: Msat::new(9_000_000), may_overpay: true, ..request(&invoice) };
    bench.send("pool", more);
    let paid = bench.net.invoice(bench.id("alice"), invoice.hash).unwrap();
    assert_eq!((paid.value, paid.paid), (Msat::new(5_000), Msat::new(9_000_000)));
}

#[test]
fn a_hash_can_be_invoiced_once() {
    let mut bench = network();
    let alice = bench.id("alice");
    let preimage = Some(Preimage::new([3; 32]));
    let new = || NewInvoice { preimage, ..NewInvoice::default() };
    let first = bench.invoice("alice", new());
    let again = bench.act(|net, now| net.add_invoice(now, alice, new())).unwrap_err();
    assert_eq!(again.text, "invoice with payment hash already exists");
    assert_eq!(again.code, Code::Unknown);
    assert_eq!(bench.net.invoice(alice, first.hash).unwrap().add_index, 1);
    let bogus = NewInvoice { memo: "sim:bogus".to_owned(), ..NewInvoice::default() };
    let refusal = bench.act(|net, now| net.add_invoice(now, alice, bogus)).unwrap_err();
    assert_eq!(refusal.text, "unknown fault \"bogus\"");
}

#[test]
fn keysend_settles_again_and_again() {
    let mut bench = network();
    let alice = bench.id("alice");
    let live = follow(&mut bench, "alice", 0, 0);
    let preimage = Preimage::new([4; 32]);
    let send = |msat| SendRequest {
        destination: Some(Pubkey([0; 33])),
        hash: Some(preimage.hash()),
        keysend: Some(preimage),
        amount: Msat::new(msat),
        fee_limit: Msat::new(1_000_000),
        ..SendRequest::default()
    };
    let key = bench.net.node("alice").unwrap().1.pubkey;
    let to_alice = |msat| SendRequest { destination: Some(key), ..send(msat) };
    let stream = bench.send("pool", to_alice(5_000));
    assert_eq!(bench.said(stream), ["in flight #1", "succeeded #1", "end"]);
    let stream = bench.send("pool", to_alice(5_000));
    assert_eq!(bench.said(stream), ["AlreadyExists: invoice is already paid"]);
    // From another node a repeat of at least the first amount pays again, silently.
    let stream = bench.send("bob", to_alice(4_999));
    assert!(bench.said(stream)[2].contains("IncorrectPaymentDetails"));
    bench.send("bob", to_alice(6_000));
    assert_eq!(bench.said(live), ["Settled add 1 settle 1 paid 5000"]);
    let invoice = bench.net.invoice(alice, preimage.hash()).unwrap();
    assert_eq!((invoice.paid, invoice.settle_index), (Msat::new(11_000), 2));
    // A pool node does not accept keysend; and nobody knows this key.
    let pool = bench.net.node("pool").unwrap().1.pubkey;
    let stream = bench.send("alice", SendRequest { destination: Some(pool), ..send(1_000) });
    assert!(bench.said(stream)[2].contains("IncorrectPaymentDetails"));
    let other = Preimage::new([5; 32]);
    let nowhere = SendRequest { hash: Some(other.hash()), keysend: Some(other), ..send(1_000) };
    let stream = bench.send("alice", nowhere);
    assert!(bench.said(stream)[2].contains("NoRoute"));
}

#[test]
fn lists_of_invoices() {
    let mut bench = network();
    let alice = bench.id("alice");
    let invoices: Vec<Invoice> = (0..5).map(|_| bench.quick_invoice("alice", 1_000, "")).collect();
    bench.pay("pool", &invoices[1]);
    let list = |of: PageOf, pending| {
        let page = bench.net.list_invoices(alice, of, pending);
        let adds: Vec<u64> = page.invoices.iter().map(|row| row.add_index).collect();
        (adds, page.first_index, page.last_index)
    };
    assert_eq!(list(PageOf::default(), false), (vec![1, 2, 3, 4, 5], 1, 5));
    assert_eq!(list(PageOf::default(), true), (vec![1, 3, 4, 5], 1, 5));
    let two = PageOf { most: 2, ..PageOf::default() };
    assert_eq!(list(PageOf { index_offset: 2, ..two }, false), (vec![3, 4], 3, 4));
    assert_eq!(list(PageOf { reversed: true, ..two }, false), (vec![4, 5], 4, 5));
    assert_eq!(list(PageOf { reversed: true, index_offset: 3, ..two }, false), (vec![1, 2], 1, 2));
    assert_eq!(list(PageOf { index_offset: 9, ..two }, false), (vec![], 0, 0));
}
