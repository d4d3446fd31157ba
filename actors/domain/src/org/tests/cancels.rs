//! What is cancelled ends as its node says.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_20_an_open_invoice_is_over_once_its_node_says_so() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        cancel p7
        cancel p7
        drive p7
        load
        over p7 cancelled
        cancel p7
        load
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            cancel p7
              + cancel of p7 requested
              > cancel invoice p7 on n1
            cancel p7
            drive p7
              > cancel invoice p7 on n1
            load
              > cancel invoice p7 on n1
            over p7 cancelled
              + invoice p7 expired
            cancel p7
            load
        "#]],
    );
}

#[test]
fn rule_21_what_was_paid_before_the_cancel_is_credited() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        cancel p7
        over p7 settled
        receipt p7 100
        over p7 cancelled
        receive p8 w1 amount=100
        made p8
        cancel p8
        over p8 cancelled
        receipt p8 100
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            cancel p7
              + cancel of p7 requested
              > cancel invoice p7 on n1
            over p7 settled
            receipt p7 100
              + received p7: n1 -> w1 100
              = w1 1100 left, 0 held, net 100
            over p7 cancelled
            receive p8 w1 amount=100
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for 100
            made p8
              + invoice p8 made
            cancel p8
              + cancel of p8 requested
              > cancel invoice p8 on n1
            over p8 cancelled
              + invoice p8 expired
            receipt p8 100
              + received p8: n1 -> w1 100
              = w1 1200 left, 0 held, net 200
        "#]],
    );
}

#[test]
fn an_invoice_that_is_being_made_is_cancelled_once_it_is_made() {
    check(
        "
        receive p7 w1 amount=100
        cancel p7
        drive p7
        load
        made p7
        over p7 cancelled
        receive p8 w1 amount=100
        cancel p8
        not-made p8
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            cancel p7
              + cancel of p7 requested
            drive p7
              > make invoice p7 on n1 for 100
            load
              > make invoice p7 on n1 for 100
            made p7
              > cancel invoice p7 on n1
            over p7 cancelled
              + invoice p7 expired
            receive p8 w1 amount=100
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for 100
            cancel p8
              + cancel of p8 requested
            not-made p8
              + invoice p8 expired
        "#]],
    );
}

/// The claim and the cancel never both have it: whichever is committed first.
#[test]
fn rule_20_a_claimed_invoice_is_not_cancelled_and_a_cancelled_one_not_claimed() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        B: claim p7 A/p1 100
        B: cancel p7
        B: over p7 cancelled
        answer p1 credited
        B: receive p8 w1 amount=100
        B: made p8
        send p2 w1 fixed=100 hash=8 to=B/p8
        B: cancel p8
        B: claim p8 A/p2 100
        B: over p8 cancelled
        answer p2 refused
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: made p7
              + invoice p7 made
            send p1 w1 fixed=100 hash=7 to=B/p7
              + held p1 100 and fee 0, inside to B/p7
              > claim B/p7 for p1
              = w1 900 left, 100 held, net 0
            B: claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: cancel p7
            B: over p7 cancelled
              + credited p7: clearing -> w1 100
              > answer A/p1 credited
              = w1 1100 left, 0 held, net 100
            answer p1 credited
              + posted p1 fee 0: w1 -> clearing 100
              = w1 900 left, 0 held, net -100
            B: receive p8 w1 amount=100
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for 100
            B: made p8
              + invoice p8 made
            send p2 w1 fixed=100 hash=8 to=B/p8
              + held p2 100 and fee 0, inside to B/p8
              > claim B/p8 for p2
              = w1 800 left, 100 held, net -100
            B: cancel p8
              + cancel of p8 requested
              > cancel invoice p8 on n1
            B: claim p8 A/p2 100
              + claim of p8 by A/p2 refused
              > answer A/p2 refused
            B: over p8 cancelled
              + invoice p8 expired
            answer p2 refused
              + voided p2: PayeeRefused
              = w1 900 left, 0 held, net -100
        "#]],
    );
}

#[test]
fn rule_20_a_withdrawn_claim_is_driven_on_by_itself() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        B: claim p7 A/p1 100
        B: give-up p7
        B: cancel p7
        B: over p7 cancelled
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: made p7
              + invoice p7 made
            send p1 w1 fixed=100 hash=7 to=B/p7
              + held p1 100 and fee 0, inside to B/p7
              > claim B/p7 for p1
              = w1 900 left, 100 held, net 0
            B: claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: give-up p7
              + claim of p7 withdrawn
              > answer A/p1 refused
              > cancel invoice p7 on n1
            B: cancel p7
            B: over p7 cancelled
              + invoice p7 withdrawn
        "#]],
    );
}

#[test]
fn a_send_that_never_left_ends_as_cancelled() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1,n2
        cancel p1
        cancel p1
        unsent p1/1
        cancel p1
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1,n2
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            cancel p1
              + cancel of p1 requested
            cancel p1
            unsent p1/1
              + request 1 of p1 never ran
              + failed p1 on n1: Unreachable, no record
              + voided p1: Cancelled
              = w1 1000 left, 0 held, net 0
            cancel p1
        "#]],
    );
}

#[test]
fn rule_9_a_send_in_flight_keeps_its_hold_and_may_yet_be_paid() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1,n2
        cancel p1
        seen p1/1 in_flight
        drive p1
        load
        paid p1/1 fee=10
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1,n2
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            cancel p1
              + cancel of p1 requested
            seen p1/1 in_flight
              > look up p1/1.1 on n1
            drive p1
              > look up p1/1.1 on n1
            load
              > look up p1/1.1 on n1
            paid p1/1 fee=10
              + posted p1 fee 10: w1 -> n1 110
              = w1 890 left, 0 held, net -110
        "#]],
    );
}

#[test]
fn rule_11_after_a_cancel_the_next_node_is_not_tried() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1,n2
        cancel p1
        failed p1/1 no_route
        send p2 w1 fixed=100 fee=10 via=n1,n2
        cancel p2
        failed p2/1 details
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1,n2
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            cancel p1
              + cancel of p1 requested
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + voided p1: Cancelled
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=10 via=n1,n2
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            cancel p2
              + cancel of p2 requested
            failed p2/1 details
              + failed p2 on n1: IncorrectPaymentDetails, record 1
              + voided p2: Node(IncorrectPaymentDetails)
              = w1 1000 left, 0 held, net 0
        "#]],
    );
}

/// What the node does not know may still be on its way there: it fails once that is excluded, and
/// nothing is sent again.
#[test]
fn rule_13_after_a_cancel_nothing_is_sent_again() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1,n2
        cancel p1
        load
        seen p1/1 not_found
        lapsed p1/1
        seen p1/1 not_found lapsed
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1,n2
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            cancel p1
              + cancel of p1 requested
            load
              > look up p1/1.1 on n1
            seen p1/1 not_found
              > look up p1/1.1 on n1 after 6000
            lapsed p1/1
              + request 1 of p1 never ran
              > look up p1/1.1 on n1 after 6000
            seen p1/1 not_found lapsed
              + failed p1 on n1: Refused, no record
              + voided p1: Cancelled
              = w1 1000 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn inside_the_platform_and_after_the_end_there_is_nothing_to_cut_short() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        cancel p1
        send p2 w1 fixed=100 fee=10
        paid p2/1 fee=10
        cancel p2
        cancel p9
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: made p7
              + invoice p7 made
            send p1 w1 fixed=100 hash=7 to=B/p7
              + held p1 100 and fee 0, inside to B/p7
              > claim B/p7 for p1
              = w1 900 left, 100 held, net 0
            cancel p1
            send p2 w1 fixed=100 fee=10
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 790 left, 210 held, net 0
            paid p2/1 fee=10
              + posted p2 fee 10: w1 -> n1 110
              = w1 790 left, 100 held, net -110
            cancel p2
            cancel p9
              no: payment_not_found
        "#]],
    );
}
