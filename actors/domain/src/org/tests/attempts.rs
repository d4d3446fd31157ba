//! Attempts: what ends one, what opens the next, what is sent again.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_13_the_next_node_only_on_proof_and_each_node_once() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1,n2,n1
        failed p1/1 no_route early
        seen p1/1 in_flight
        seen p1/1 no_route record=1
        seen p1/1 no_route record=1 lapsed
        failed p1/1 no_route
        failed p1/2 timeout record=2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1,n2,n1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route early
              > look up p1/1.1 on n1 after 6000
            seen p1/1 in_flight
              > look up p1/1.1 on n1
            seen p1/1 no_route record=1
              > look up p1/1.1 on n1 after 6000
            seen p1/1 no_route record=1 lapsed
              + failed p1 on n1: NoRoute, record 1
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            failed p1/1 no_route
            failed p1/2 timeout record=2
              + failed p1 on n2: Timeout, record 2
              + voided p1: Node(Timeout)
              = w1 1000 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn some_reasons_end_the_plan() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 details
        send p2 w1 fixed=100 fee=10
        failed p2/1 error
        send p3 w1 fixed=100 fee=10
        failed p3/1 cancelled
        send p4 w1 fixed=100 fee=10
        failed p4/1 balance
        paid p4/2 fee=10
        accounts
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 details
              + failed p1 on n1: IncorrectPaymentDetails, record 1
              + voided p1: Node(IncorrectPaymentDetails)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=10
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p2/1 error
              + failed p2 on n1: Error, record 1
              + voided p2: Node(Error)
              = w1 1000 left, 0 held, net 0
            send p3 w1 fixed=100 fee=10
              + held p3 100 and fee 10, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p3/1 cancelled
              + failed p3 on n1: Canceled, record 1
              + voided p3: Node(Canceled)
              = w1 1000 left, 0 held, net 0
            send p4 w1 fixed=100 fee=10
              + held p4 100 and fee 10, by the pool
              + attempt p4/1 on n1 until 6000
              > pay p4/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p4/1 balance
              + failed p4 on n1: InsufficientBalance, record 1
              + attempt p4/2 on n2 until 6000
              > pay p4/2.1 on n2 fee 10 until 6000
            paid p4/2 fee=10
              + posted p4 fee 10: w1 -> n2 110
              = w1 890 left, 0 held, net -110
            accounts
              w1 110
              n2 -110
        "#]],
    );
}

#[test]
fn rule_9_silence_keeps_the_hold_and_asks_again() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        drive p1
        at 9000000
        drive p1
        load
        drive p1
        paid p1/1 fee=10
        drive p1
        load
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            drive p1
              > look up p1/1.1 on n1
            at 9000000
            drive p1
              > look up p1/1.1 on n1
            load
              > look up p1/1.1 on n1
            drive p1
              > look up p1/1.1 on n1
            paid p1/1 fee=10
              + posted p1 fee 10: w1 -> n1 110
              = w1 890 left, 0 held, net -110
            drive p1
            load
        "#]],
    );
}

#[test]
fn rule_13_not_found_is_sent_again_and_fails_only_once_lapsed() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1
        seen p1/1 not_found
        at 2000
        seen p1/1 not_found
        at 9000
        seen p1/1 not_found lapsed
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            seen p1/1 not_found
              + request of p1 until 6000
              > pay p1/1.2 on n1 fee 10 until 6000
            at 2000
            seen p1/1 not_found
              + request of p1 until 7000
              > pay p1/1.3 on n1 fee 10 until 7000
            at 9000
            seen p1/1 not_found lapsed
              + failed p1 on n1: Refused, no record
              + voided p1: Node(Refused)
              = w1 1000 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn rule_13_a_look_up_that_began_before_the_last_request_proves_nothing() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 no_route early
        at 5900
        seen p1/1 not_found
        seen p1/1 not_found lapsed request=1
        seen p1/1 no_route lapsed request=1
        seen p1/1 not_found lapsed
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route early
              > look up p1/1.1 on n1 after 6000
            at 5900
            seen p1/1 not_found
              + request of p1 until 10900
              > pay p1/1.2 on n1 fee 10 until 10900
            seen p1/1 not_found lapsed request=1
              > look up p1/1.2 on n1
            seen p1/1 no_route lapsed request=1
              > look up p1/1.2 on n1 after 10900
            seen p1/1 not_found lapsed
              + failed p1 on n1: Refused, no record
              + attempt p1/2 on n2 until 10900
              > pay p1/2.1 on n2 fee 10 until 10900
        "#]],
    );
}

#[test]
fn the_same_news_twice_sends_once() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        lapsed p1/1
        lapsed p1/1 request=1
        seen p1/1 not_found
        seen p1/1 not_found request=2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            lapsed p1/1
              + request 1 of p1 never ran
              + request of p1 until 6000
              > pay p1/1.2 on n1 fee 10 until 6000
            lapsed p1/1 request=1
              > look up p1/1.2 on n1
            seen p1/1 not_found
              + request of p1 until 6000
              > pay p1/1.3 on n1 fee 10 until 6000
            seen p1/1 not_found request=2
              > look up p1/1.3 on n1
        "#]],
    );
}

#[test]
fn a_refusal_proves_failure_only_for_the_only_request() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1
        seen p1/1 not_found refused
        send p2 w1 fixed=100 fee=10 via=n1
        load
        seen p2/1 not_found refused
        seen p2/1 not_found refused
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            seen p1/1 not_found refused
              + failed p1 on n1: Refused, no record
              + voided p1: Node(Refused)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=10 via=n1
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            load
              > look up p2/1.1 on n1
            seen p2/1 not_found refused
              + request of p2 until 6000
              > pay p2/1.2 on n1 fee 10 until 6000
            seen p2/1 not_found refused
              + request of p2 until 6000
              > pay p2/1.3 on n1 fee 10 until 6000
        "#]],
    );
}

#[test]
fn rule_13_a_load_makes_the_stream_no_proof() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        load
        failed p1/1 no_route
        at 7000
        seen p1/1 no_route lapsed
        load
        failed p1/2 no_route record=2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            load
              > look up p1/1.1 on n1
            failed p1/1 no_route
              > look up p1/1.1 on n1 after 6000
            at 7000
            seen p1/1 no_route lapsed
              + failed p1 on n1: NoRoute, record 1
              + attempt p1/2 on n2 until 12000
              > pay p1/2.1 on n2 fee 10 until 12000
            load
              > look up p1/2.1 on n2
            failed p1/2 no_route record=2
              > look up p1/2.1 on n2 after 12000
        "#]],
    );
}

#[test]
fn rule_13_an_older_failure_is_no_record_of_this_attempt() {
    check(
        "
        send p1 w1 fixed=100 fee=10 older=1
        failed p1/1 no_route record=1
        seen p1/1 no_route record=1
        seen p1/1 no_route record=1 lapsed
        failed p1/2 no_route record=1
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 older=1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route record=1
              > look up p1/1.1 on n1 after 6000
            seen p1/1 no_route record=1
              + request of p1 until 6000
              > pay p1/1.2 on n1 fee 10 until 6000
            seen p1/1 no_route record=1 lapsed
              + failed p1 on n1: Refused, no record
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            failed p1/2 no_route record=1
              + failed p1 on n2: NoRoute, record 1
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn a_lapsed_permission_is_issued_again() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        at 8000
        lapsed p1/1
        unsent p1/1
        failed p1/1 no_route
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            at 8000
            lapsed p1/1
              + request 1 of p1 never ran
              + request of p1 until 13000
              > pay p1/1.2 on n1 fee 10 until 13000
            unsent p1/1
              + request 2 of p1 never ran
              + failed p1 on n1: Unreachable, no record
              + attempt p1/2 on n2 until 13000
              > pay p1/2.1 on n2 fee 10 until 13000
            failed p1/1 no_route
        "#]],
    );
}

#[test]
fn a_request_that_never_left_tries_the_next_node() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        unsent p1/1
        unsent p1/2
        send p2 w1 fixed=100 fee=10
        load
        unsent p2/1
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            unsent p1/1
              + request 1 of p1 never ran
              + failed p1 on n1: Unreachable, no record
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            unsent p1/2
              + request 1 of p1 never ran
              + failed p1 on n2: Unreachable, no record
              + voided p1: Node(Unreachable)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=10
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            load
              > look up p2/1.1 on n1
            unsent p2/1
              + request 1 of p2 never ran
              > look up p2/1.1 on n1 after 6000
        "#]],
    );
}

#[test]
fn attempts_count_from_one() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/0 no_route request=1
        failed p1/2 no_route request=1
        failed p2/1 no_route
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/0 no_route request=1
            failed p1/2 no_route request=1
            failed p2/1 no_route
              no: payment_not_found
        "#]],
    );
}
