//! Each fault, called up by its marker or kept by the node.

use super::super::{testing::*, *};

/// A payment with a marker: what its stream says at once, and after `later_ms`; what Track says at
/// the end.
#[track_caller]
fn check(marker: &str, at_once: &[&str], later_ms: u64, later: &[&str], track: &[&str]) {
    for by_marker in [true, false] {
        let mut bench = network();
        let memo = if by_marker { format!("sim:{marker}") } else { String::new() };
        let invoice = bench.quick_invoice("alice", 5_000, &memo);
        if !by_marker {
            bench.fault_times("pool", marker, Some(1));
        }
        let stream = bench.send("pool", request(&invoice));
        assert_eq!(bench.said(stream), at_once, "{marker}");
        bench.pass(later_ms);
        assert_eq!(bench.said(stream), later, "{marker} later");
        assert_eq!(bench.track("pool", &invoice), track, "{marker} tracked");
        // The next payment is a common one.
        if !by_marker {
            let next = bench.quick_invoice("alice", 5_000, "");
            assert_eq!(bench.pay("pool", &next).last().unwrap(), "end");
        }
    }
}

const PAID: &[&str] = &["succeeded #1", "end"];
const NOTHING: &[&str] = &[];

#[test]
fn ends_that_are_chosen() {
    let failed = |reason: &'static str| {
        [
            "initiated #1".to_owned(),
            format!("in flight #1 {reason}"),
            format!("failed #1 {reason}"),
            "end".to_owned(),
        ]
    };
    let no_route = failed("NoRoute");
    let words: Vec<&str> = no_route.iter().map(String::as_str).collect();
    check("no_route", &words, 0, NOTHING, &words[2..]);
    let timeout = failed("Timeout");
    let words: Vec<&str> = timeout.iter().map(String::as_str).collect();
    check("timeout", &words, 0, NOTHING, &words[2..]);
    check("timeout:500", &words[..1], 500, &words[1..], &words[2..]);
    check(
        "incorrect_payment_details",
        &[
            "in flight #1",
            "in flight #1 IncorrectPaymentDetails",
            "failed #1 IncorrectPaymentDetails",
            "end",
        ],
        0,
        NOTHING,
        &["failed #1 IncorrectPaymentDetails", "end"],
    );
}

#[test]
fn ends_that_are_late() {
    check("slow:500", &["in flight #1"], 500, PAID, PAID);
    check("slow:500", &["in flight #1"], 499, NOTHING, &["in flight #1"]);
    check("late_success:500", &["in flight #1 Timeout"], 500, PAID, PAID);
    check(
        "fail_then_success:500",
        &["in flight #1", "in flight #1 Timeout", "failed #1 Timeout", "end"],
        499,
        NOTHING,
        &["failed #1 Timeout", "end"],
    );
    check(
        "fail_then_success:500",
        &["in flight #1", "in flight #1 Timeout", "failed #1 Timeout", "end"],
        500,
        NOTHING,
        PAID,
    );
    check("stuck", &["in flight #1"], 1_000_000, NOTHING, &["in flight #1"]);
}

#[test]
fn streams_that_misbehave() {
    check("stream_cut", &["in flight #1", "end"], 0, NOTHING, PAID);
    check("silent", NOTHING, 1_000, NOTHING, PAID);
    check(
        "twice",
        &["in flight #1", "in flight #1", "succeeded #1", "succeeded #1", "end"],
        0,
        NOTHING,
        PAID,
    );
    check(
        "node_down",
        &["Unavailable: connection refused"],
        0,
        NOTHING,
        &["NotFound: payment isn't initiated"],
    );
    check("late_request:500", &["Unavailable: transport is closing"], 500, NOTHING, PAID);
    check(
        "late_request:500",
        &["Unavailable: transport is closing"],
        499,
        NOTHING,
        &["NotFound: payment isn't initiated"],
    );
    check("handler_stall:500", NOTHING, 500, &["in flight #1", "succeeded #1", "end"], PAID);
}

#[test]
fn the_fee_may_be_above_the_limit() {
    check(
        "fee_above_limit",
        &["in flight #1", "succeeded #1 fee 1001000", "end"],
        0,
        NOTHING,
        &["succeeded #1 fee 1001000", "end"],
    );
}

#[test]
fn failed_then_sent_again_then_succeeded_pays_twice() {
    let mut bench = network();
    let invoice = bench.quick_invoice("bob", 5_000, "");
    bench.fault_times("pool", "fail_then_success:500", Some(1));
    bench.pay("pool", &invoice);
    assert_eq!(bench.pay("pool", &invoice).last().unwrap(), "end");
    bench.pass(500);
    assert_eq!(bench.net.settled_times(bench.id("pool"), invoice.hash), (2, 2));
}

#[test]
fn a_stuck_payment_is_released() {
    let mut bench = network();
    let pool = bench.id("pool");
    for (fail, end) in [(false, "succeeded #1"), (true, "failed #2 NoRoute")] {
        let invoice = bench.quick_invoice("alice", 5_000, "sim:stuck");
        let stream = bench.send("pool", request(&invoice));
        bench.said(stream);
        let hash = invoice.hash;
        let release = |net: &mut Network, now| {
            if fail { net.release_failed(now, pool, hash) } else { net.release(now, pool, hash) }
        };
        bench.act(release).unwrap();
        assert_eq!(bench.said(stream).into_iter().rev().nth(1).unwrap(), end);
        assert_eq!(bench.act(release).unwrap_err().code, Code::NotFound);
    }
}

#[test]
fn permission_is_checked_where_it_is_checked_in_life() {
    let mut bench = network();
    let late = bench.quick_invoice("alice", 5_000, "sim:late_request:1000");
    let until = Some(bench.now.after_ms(500));
    bench.send_until("pool", request(&late), until);
    bench.pass(1_000);
    assert_eq!(bench.track("pool", &late), ["NotFound: payment isn't initiated"], "checked late");

    let stalled = bench.quick_invoice("alice", 5_000, "sim:handler_stall:1000");
    let until = Some(bench.now.after_ms(500));
    let stream = bench.send_until("pool", request(&stalled), until);
    bench.pass(1_000);
    assert_eq!(bench.said(stream).last().unwrap(), "end", "checked before the stall");

    let both = bench.quick_invoice("alice", 5_000, "sim:late_request:100 sim:handler_stall:1000");
    let until = Some(bench.now.after_ms(500));
    bench.send_until("pool", request(&both), until);
    bench.pass(600);
    assert_eq!(bench.track("pool", &both), ["NotFound: payment isn't initiated"]);
    bench.pass(600);
    assert_eq!(bench.track("pool", &both), ["succeeded #2", "end"]);
}

#[test]
fn a_node_that_is_down() {
    let mut bench = network();
    let incoming = bench.quick_invoice("alice", 5_000, "");
    let outgoing = bench.quick_invoice("pool", 5_000, "");
    bench.fault("alice", "node_down");
    assert_eq!(bench.pay("alice", &outgoing), ["Unavailable: connection refused"]);
    assert_eq!(bench.pay("pool", &incoming)[2], "failed #1 NoRoute");
    bench.clear("alice");
    assert_eq!(bench.pay("pool", &incoming), ["in flight #2", "succeeded #2", "end"]);
}

#[test]
fn a_copy_put_back_forgets_and_pays_again() {
    let mut bench = network();
    let before = bench.quick_invoice("bob", 5_000, "");
    bench.fault("pool", "snapshot:monday");
    assert_eq!(bench.pay("pool", &before).last().unwrap(), "end");
    bench.fault("pool", "restore:monday");
    assert_eq!(bench.track("pool", &before), ["NotFound: payment isn't initiated"]);
    assert_eq!(bench.pay("pool", &before)[1], "succeeded #1 fee 1005", "the index is given again");
    assert_eq!(bench.net.settled_times(bench.id("pool"), before.hash), (2, 2));
    // The receiver's own copy: nothing is ever made up twice.
    bench.fault("bob", "snapshot:empty");
    let first = bench.quick_invoice("bob", 5_000, "");
    bench.fault("bob", "restore:empty");
    let second = bench.quick_invoice("bob", 5_000, "");
    assert_eq!(first.add_index, second.add_index);
    assert_ne!(first.hash, second.hash);

    let pool = bench.id("pool");
    let fault = Fault::Restore { copy: "tuesday".to_owned() };
    let setting = Setting { fault, times_left: None, ppm: ALWAYS_PPM, seed: 0, draws: 0 };
    let error = bench.act(|net, now| net.set_fault(now, pool, setting)).unwrap_err();
    assert_eq!(error, FaultError::NoSuchCopy("tuesday".to_owned()));
}

#[test]
fn an_immediate_fault_as_a_marker() {
    let mut bench = network();
    let invoice = bench.quick_invoice("alice", 5_000, "sim:snapshot:mark");
    bench.pay("pool", &invoice);
    let back = bench.quick_invoice("alice", 5_000, "sim:restore:mark");
    assert_eq!(bench.pay("pool", &back).last().unwrap(), "end");
    assert_eq!(bench.track("pool", &invoice), ["NotFound: payment isn't initiated"]);
}

#[test]
fn faults_are_listed_and_cleared_by_name() {
    let mut bench = network();
    let pool = bench.id("pool");
    bench.fault("pool", "stuck");
    bench.fault("pool", "twice");
    bench.fault("pool", "stuck");
    assert_eq!(bench.net.state().node(pool).faults.len(), 2, "one of a kind");
    bench.act(|net, now| net.clear_faults(now, pool, Some("stuck")));
    let invoice = bench.quick_invoice("alice", 5_000, "");
    assert_eq!(bench.pay("pool", &invoice).len(), 5);
    bench.clear("pool");
    assert!(bench.net.state().node(pool).faults.is_empty());
}
