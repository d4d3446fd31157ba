//! What a node says against its own record: booked once as a fact, and the node is stopped.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_16_success_needs_the_preimage_and_the_amount() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        paid p1/1 secret=9
        paid p1/1 secret=9
        paid p1/1 amount=99
        paid p1/1 fee=2
        paid p1/1 fee=2
        paid p1/1 secret=9
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            paid p1/1 secret=9
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
            paid p1/1 secret=9
              > stop n1
            paid p1/1 amount=99
              > stop n1
            paid p1/1 fee=2
              + posted p1 fee 2: w1 -> n1 102
              = w1 898 left, 0 held, net -102
            paid p1/1 fee=2
            paid p1/1 secret=9
              > stop n1
        "#]],
    );
}

#[test]
fn a_payment_stops_where_its_node_contradicts_itself() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        paid p1/1 amount=99
        failed p1/1 no_route
        seen p1/1 not_found
        seen p1/1 no_route lapsed
        unsent p1/1
        drive p1
        load
        paid p1/1 fee=2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            paid p1/1 amount=99
              + contradicted p1 by n1: paid 99, fee 1
              > stop n1
            failed p1/1 no_route
            seen p1/1 not_found
            seen p1/1 no_route lapsed
            unsent p1/1
              + request 1 of p1 never ran
            drive p1
              > look up p1/1.1 on n1
            load
              > look up p1/1.1 on n1
            paid p1/1 fee=2
              + posted p1 fee 2: w1 -> n1 102
              = w1 898 left, 0 held, net -102
        "#]],
    );
}

#[test]
fn rule_6_a_fee_above_the_hold_is_a_fact_and_stops_the_node() {
    check(
        "
        send p1 w1 fixed=900 fee=100
        paid p1/1 amount=900 fee=150
        paid p1/1 amount=900 fee=150
        send p2 w1 fixed=1 fee=0
        accounts
        ",
        expect![[r#"
            send p1 w1 fixed=900 fee=100
              + held p1 900 and fee 100, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 100 until 6000
              = w1 0 left, 1000 held, net 0
            paid p1/1 amount=900 fee=150
              + posted p1 fee 150: w1 -> n1 1050
              + contradicted p1 by n1: paid 900, fee 150
              > stop n1
              = w1 -50 left, 0 held, net -1050
            paid p1/1 amount=900 fee=150
            send p2 w1 fixed=1 fee=0
              + refused p2: InsufficientFunds
            accounts
              w1 1050
              n1 -1050
        "#]],
    );
}

#[test]
fn rule_6_success_after_failure_is_a_fact_and_stops_the_node() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1
        failed p1/1 no_route
        send p2 w1 fixed=980 fee=10
        paid p1/1 fee=10
        paid p1/1 fee=10
        failed p1/1 no_route
        paid p2/1 amount=980 fee=10
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=980 fee=10
              + held p2 980 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 10 left, 990 held, net 0
            paid p1/1 fee=10
              + posted p1 fee 10: w1 -> n1 110
              + contradicted p1 by n1: paid 100, fee 10
              > stop n1
              = w1 -100 left, 990 held, net -110
            paid p1/1 fee=10
            failed p1/1 no_route
            paid p2/1 amount=980 fee=10
              + posted p2 fee 10: w1 -> n1 990
              = w1 -100 left, 0 held, net -1100
        "#]],
    );
}

#[test]
fn rule_6_each_node_that_paid_is_booked_once() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 no_route
        paid p1/1 fee=1
        paid p1/1 fee=1
        paid p1/2 fee=2
        paid p1/2 fee=2
        load
        paid p1/1 fee=1
        paid p1/2 fee=2
        accounts
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            paid p1/1 fee=1
              + posted p1 fee 1: w1 -> n1 101
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
              = w1 789 left, 110 held, net -101
            paid p1/1 fee=1
            paid p1/2 fee=2
              + posted p1 fee 2: w1 -> n2 102
              + contradicted p1 by n2: paid 100, fee 2
              > stop n2
              = w1 797 left, 0 held, net -203
            paid p1/2 fee=2
            load
            paid p1/1 fee=1
              > stop n1
            paid p1/2 fee=2
            accounts
              w1 203
              n1 -101
              n2 -102
        "#]],
    );
}

#[test]
fn rule_6_late_success_of_the_first_node_after_all_failed() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 no_route
        failed p1/2 no_route record=2
        paid p1/1 fee=1
        paid p1/1 fee=1
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            failed p1/2 no_route record=2
              + failed p1 on n2: NoRoute, record 2
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
            paid p1/1 fee=1
              + posted p1 fee 1: w1 -> n1 101
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
              = w1 899 left, 0 held, net -101
            paid p1/1 fee=1
        "#]],
    );
}

#[test]
fn rule_11_a_hash_paid_after_its_failure_is_taken() {
    check(
        "
        send p1 w1 fixed=100 fee=1 hash=5 via=n1
        failed p1/1 no_route
        send p2 w1 fixed=100 fee=1 hash=5 via=n2
        paid p1/1
        failed p2/1 no_route
        send p3 w1 fixed=100 fee=1 hash=5 via=n2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=1 hash=5 via=n1
              + held p1 100 and fee 1, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=1 hash=5 via=n2
              + held p2 100 and fee 1, by the pool
              + attempt p2/1 on n2 until 6000
              > pay p2/1.1 on n2 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            paid p1/1
              + posted p1 fee 1: w1 -> n1 101
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
              = w1 798 left, 101 held, net -101
            failed p2/1 no_route
              + failed p2 on n2: NoRoute, record 1
              + voided p2: Node(NoRoute)
              = w1 899 left, 0 held, net -101
            send p3 w1 fixed=100 fee=1 hash=5 via=n2
              + refused p3: InvoiceAlreadyPaid
        "#]],
    );
}

/// The store frees the hash when the payment is voided, and a late success does not take it again.
#[test]
fn rule_11_the_store_keeps_a_hash_paid_after_its_failure() {
    check(
        "
        send p1 w1 fixed=100 fee=1 hash=5 via=n1
        failed p1/1 no_route
        paid p1/1
        load
        send p3 w1 fixed=100 fee=1 hash=5 via=n2
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=1 hash=5 via=n1
              + held p1 100 and fee 1, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
            paid p1/1
              + posted p1 fee 1: w1 -> n1 101
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
              = w1 899 left, 0 held, net -101
            load
            send p3 w1 fixed=100 fee=1 hash=5 via=n2
              + refused p3: InvoiceAlreadyPaid
        "#]],
    );
}

/// The first node's late success ends the payment, but the second may still pay: its money is not
/// free, and somebody has to hear of it.
#[test]
fn rule_9_an_attempt_under_way_is_followed_after_a_late_success() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 no_route
        paid p1/1 fee=1
        load
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + attempt p1/2 on n2 until 6000
              > pay p1/2.1 on n2 fee 10 until 6000
            paid p1/1 fee=1
              + posted p1 fee 1: w1 -> n1 101
              + contradicted p1 by n1: paid 100, fee 1
              > stop n1
              = w1 789 left, 110 held, net -101
            load
              > look up p1/2.1 on n2
        "#]],
    );
}
