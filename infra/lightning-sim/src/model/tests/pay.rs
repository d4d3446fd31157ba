//! The dedupe table, refusals before the row, routes, restarts, lists.

use super::super::{testing::*, *};

#[test]
fn dedupe_table() {
    let mut bench = network();
    // None: runs. Succeeded: already paid.
    let paid = bench.quick_invoice("alice", 5_000, "");
    assert_eq!(bench.pay("pool", &paid), ["in flight #1", "succeeded #1", "end"]);
    assert_eq!(bench.pay("pool", &paid), ["AlreadyExists: invoice is already paid"]);

    // In flight: in transition.
    let stuck = bench.quick_invoice("alice", 5_000, "sim:stuck");
    assert_eq!(bench.pay("pool", &stuck), ["in flight #2"]);
    assert_eq!(bench.pay("pool", &stuck), ["AlreadyExists: payment is in transition"]);

    // Initiated, without an HTLC: exists, shown as in flight.
    let waits = bench.quick_invoice("alice", 5_000, "sim:timeout:1000");
    assert_eq!(bench.pay("pool", &waits), ["initiated #3"]);
    assert_eq!(bench.pay("pool", &waits), ["AlreadyExists: payment already exists"]);

    // Failed: runs again, with a new index and a new creation time, the old row gone.
    let fails = bench.quick_invoice("alice", 5_000, "");
    bench.fault_times("pool", "no_route", Some(1));
    assert_eq!(
        bench.pay("pool", &fails),
        ["initiated #4", "in flight #4 NoRoute", "failed #4 NoRoute", "end"]
    );
    let pool = bench.id("pool");
    let before = bench.net.payment(pool, fails.hash).unwrap().created;
    bench.now = bench.now.after_ms(1);
    assert_eq!(bench.pay("pool", &fails), ["in flight #5", "succeeded #5", "end"]);
    assert!(bench.net.payment(pool, fails.hash).unwrap().created > before);
    let page = bench.net.list_payments(pool, PageOf::default(), true);
    assert_eq!(page.payments.iter().map(|row| row.index).collect::<Vec<_>>(), [1, 2, 3, 5]);

    // Forgotten: runs again, and the receiver refuses what it has been paid.
    bench.fault("pool", &format!("forget:{}", paid.hash));
    assert_eq!(
        bench.pay("pool", &paid),
        [
            "in flight #6",
            "in flight #6 IncorrectPaymentDetails",
            "failed #6 IncorrectPaymentDetails",
            "end"
        ]
    );
    assert_eq!(bench.net.settled_times(pool, paid.hash), (1, 1));
}

#[test]
fn dedupe_ends_at_the_node_and_a_careless_receiver_is_paid_twice() {
    let mut bench = network();
    let invoice = bench.quick_invoice("bob", 5_000, "");
    assert_eq!(bench.pay("pool", &invoice).last().unwrap(), "end");
    assert_eq!(bench.pay("alice", &invoice).last().unwrap(), "end");
    assert_eq!(bench.net.settled_times(bench.id("pool"), invoice.hash), (1, 2));
    let bob = bench.net.invoice(bench.id("bob"), invoice.hash).unwrap();
    assert_eq!(bob.paid, Msat::new(10_000));
}

#[test]
fn expiry_is_checked_before_the_dedupe() {
    let mut bench = network();
    let new = NewInvoice { expiry_seconds: 60, value: Msat::new(5_000), ..NewInvoice::default() };
    let invoice = bench.invoice("alice", new);
    bench.pay("pool", &invoice);
    bench.pass(60_000);
    let said = bench.pay("pool", &invoice);
    assert!(said[0].starts_with("Unknown: invoice expired. Valid until 20"), "{said:?}");
    assert_eq!(bench.track("pool", &invoice), ["succeeded #1", "end"]);
}

#[track_caller]
fn refused(change: impl FnOnce(&mut SendRequest), text: &str) {
    let mut bench = network();
    let fixed = bench.quick_invoice("alice", 5_000, "");
    let mut request = request(&fixed);
    change(&mut request);
    let stream = bench.send("pool", request);
    assert_eq!(bench.said(stream), [text]);
    let pool = bench.id("pool");
    assert!(bench.net.state().node(pool).database.payments.is_empty(), "no row");
}

#[test]
fn refusals_leave_no_row() {
    refused(
        |request| request.amount = Msat::new(5_000),
        "Unknown: amount must not be specified when paying a non-zero amount invoice",
    );
    refused(
        |request| request.final_cltv_delta = 9,
        "Unknown: dest, payment_hash and final_cltv_delta cannot appear together with \
         payment_request",
    );
    refused(
        |request| request.cltv_limit = 10,
        "Unknown: cltv limit 10 is below the final cltv delta 80",
    );
    refused(
        |request| {
            request.max_shard = Some(Msat::new(100));
            request.max_parts = 2;
        },
        "Unknown: payment cannot be completed with the max parts and shard size",
    );
    let mut bench = network();
    let any = bench.quick_invoice("alice", 0, "");
    assert_eq!(
        bench.pay("pool", &any),
        ["Unknown: amount must be specified when paying a zero amount invoice"]
    );
    let own = bench.quick_invoice("pool", 5_000, "");
    assert_eq!(bench.pay("pool", &own), ["Unknown: self-payments not allowed"]);
    let stream = bench.send("pool", SendRequest { amount: Msat::new(7_000), ..request(&any) });
    assert_eq!(bench.said(stream), ["in flight #1", "succeeded #1", "end"]);
    let alice = bench.net.invoice(bench.id("alice"), any.hash).unwrap();
    assert_eq!(alice.paid, Msat::new(7_000));
}

#[test]
fn fee_limit_zero_means_free_routes_only() {
    let mut bench = network();
    let near = bench.quick_invoice("alice", 5_000, "");
    let stream = bench.send("pool", SendRequest { fee_limit: Msat::ZERO, ..request(&near) });
    assert_eq!(bench.said(stream), ["in flight #1", "succeeded #1", "end"]);

    let far = bench.quick_invoice("bob", 1_000_000, "");
    let stream = bench.send("pool", SendRequest { fee_limit: Msat::ZERO, ..request(&far) });
    assert_eq!(
        bench.said(stream),
        ["initiated #2", "in flight #2 NoRoute", "failed #2 NoRoute", "end"]
    );
    // A base of 1,000 and 1,000 ppm at the hub.
    for (limit, end) in [(1_999, "failed #3 NoRoute"), (2_000, "succeeded #4 fee 2000")] {
        let fee_limit = Msat::new(limit);
        let stream = bench.send("pool", SendRequest { fee_limit, ..request(&far) });
        assert_eq!(bench.said(stream).into_iter().rev().nth(1).unwrap(), end);
    }
}

#[test]
fn liquidity_moves_and_runs_out() {
    let mut bench = network();
    let pool = bench.id("pool");
    let (before, _) = bench.net.balances(pool);
    let far = bench.quick_invoice("bob", 1_000_000, "");
    bench.pay("pool", &far);
    assert_eq!(bench.net.balances(pool).0, Msat::new(before.get() - 1_002_000));

    let most = bench.quick_invoice("alice", 1_000_000_000, "");
    assert_eq!(bench.pay("pool", &most).last().unwrap(), "end");
    let more = bench.quick_invoice("alice", 1_000, "");
    assert_eq!(bench.pay("pool", &more)[2], "failed #3 NoRoute", "alice has no other channel");
    let too_much = bench.quick_invoice("alice", 2_000_000_000, "");
    assert_eq!(bench.pay("pool", &too_much)[2], "failed #4 InsufficientBalance");

    let held = bench.quick_invoice("bob", 1_000_000, "sim:no_route");
    let unknown = SendRequest { outgoing: vec![42], ..request(&held) };
    bench.fault_times("pool", "slow:0", Some(1));
    let stream = bench.send("pool", unknown);
    assert_eq!(bench.said(stream)[2], "failed #5 NoRoute", "the marker comes first");
    let plain = bench.quick_invoice("bob", 1_000_000, "");
    let stream = bench.send("pool", SendRequest { outgoing: vec![42], ..request(&plain) });
    assert_eq!(bench.said(stream)[2], "failed #6 InsufficientBalance");
}

#[test]
fn large_amounts_are_split() {
    let mut bench = network();
    let (pool, hub) = (bench.id("pool"), bench.id("hub"));
    let side = |node| (node, Msat::from_sat(1_000_000), Policy::default());
    bench.act(|net, _| net.open_channel([side(pool), side(hub)], 483)).unwrap();
    let bob = bench.id("bob");
    bench.act(|net, _| net.open_channel([side(hub), side(bob)], 483)).unwrap();
    let invoice = bench.quick_invoice("bob", 1_500_000_000, "");
    let said = bench.pay("pool", &invoice);
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(said[1].starts_with("in flight #1"), "a partial sum first: {said:?}");
    let row = bench.net.payment(pool, invoice.hash).unwrap();
    assert!(row.shards.len() > 1);
    assert_eq!(row.shards.iter().map(|shard| shard.amount.get()).sum::<u64>(), 1_500_000_000);
    let single =
        SendRequest { max_parts: 1, ..request(&bench.quick_invoice("bob", 1_200_000_000, "")) };
    let stream = bench.send("pool", single);
    assert!(bench.said(stream)[2].starts_with("failed"));
}

#[test]
fn restart_in_the_middle() {
    for kill in [false, true] {
        let mut bench = network();
        let pool = bench.id("pool");
        let out = bench.quick_invoice("alice", 5_000, "sim:slow:5000");
        let none_out = bench.quick_invoice("alice", 5_000, "sim:timeout:60000");
        let followed = bench.send("pool", request(&out));
        bench.pay("pool", &none_out);
        let late = bench.quick_invoice("alice", 5_000, "sim:late_request:100");
        bench.pay("pool", &late);
        bench.said(followed);
        bench.act(|net, now| if kill { net.kill(now, pool) } else { net.restart(now, pool) });
        let word = if kill {
            "Unavailable: connection reset"
        } else {
            "Unknown: routerrpc server shutting down"
        };
        assert_eq!(bench.said(followed), [word]);

        // Until its fate is settled, the row without an HTLC blocks its hash.
        assert_eq!(bench.pay("pool", &none_out), ["AlreadyExists: payment already exists"]);
        bench.pass(2_000);
        assert_eq!(bench.track("pool", &none_out), ["failed #2 NoRoute", "end"]);
        assert_eq!(bench.track("pool", &out), ["in flight #1"]);
        bench.pass(4_000);
        assert_eq!(bench.track("pool", &out), ["succeeded #1", "end"]);
        assert_eq!(bench.track("pool", &late), ["NotFound: payment isn't initiated"]);
    }
}

#[test]
fn lists_of_payments() {
    let mut bench = network();
    let pool = bench.id("pool");
    for number in 0..150 {
        let memo = if number % 10 == 0 { "sim:no_route" } else { "" };
        let invoice = bench.quick_invoice("alice", 1_000, memo);
        bench.pay("pool", &invoice);
    }
    let list = |of: PageOf, incomplete| {
        let page = bench.net.list_payments(pool, of, incomplete);
        (page.payments.len(), page.first_index, page.last_index, page.total)
    };
    assert_eq!(list(PageOf::default(), true), (100, 1, 100, 150));
    assert_eq!(list(PageOf::default(), false), (100, 2, 112, 150));
    let next = PageOf { index_offset: 100, ..PageOf::default() };
    assert_eq!(list(next, true), (50, 101, 150, 150));
    let back = PageOf { reversed: true, most: 3, ..PageOf::default() };
    assert_eq!(list(back, true), (3, 148, 150, 150));
    let before = PageOf { index_offset: 3, ..back };
    assert_eq!(list(before, true), (2, 1, 2, 150));
    assert_eq!(list(PageOf { index_offset: 150, ..PageOf::default() }, true), (0, 0, 0, 150));
}

#[test]
fn time_before_is_judged_by_the_nodes_clock() {
    let mut bench = network();
    let invoice = bench.quick_invoice("alice", 5_000, "");
    let until = Some(bench.now.after_ms(1_000));
    bench.fault("pool", "clock:1000");
    let stream = bench.send_until("pool", request(&invoice), until);
    assert_eq!(
        bench.said(stream),
        ["Unknown: caveat \"time-before T\" not satisfied: macaroon has expired"]
    );
    bench.fault("pool", "clock:999");
    let stream = bench.send_until("pool", request(&invoice), until);
    assert_eq!(bench.said(stream).last().unwrap(), "end");
}

#[test]
fn following_all_payments() {
    let mut bench = network();
    let pool = bench.id("pool");
    let open = bench.quick_invoice("alice", 5_000, "sim:stuck");
    let done = bench.quick_invoice("alice", 5_000, "");
    bench.pay("pool", &open);
    bench.pay("pool", &done);
    let stream = bench.stream();
    bench.act(|net, _| net.track_all(pool, false, stream));
    assert_eq!(bench.said(stream), ["in flight #1"], "what has ended is not told again");
    let hash = open.hash;
    bench.act(|net, now| net.release(now, pool, hash)).unwrap();
    let another = bench.quick_invoice("alice", 5_000, "");
    bench.pay("pool", &another);
    assert_eq!(bench.said(stream), ["succeeded #1", "in flight #3", "succeeded #3"]);
    bench.act(|net, _| net.close(stream));
    bench.pay("pool", &another);
    assert_eq!(bench.said(stream), [] as [&str; 0]);
}
