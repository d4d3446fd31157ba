//! A person says how a payment ended that has stopped.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn only_what_has_stopped_needs_a_person() {
    check(
        "
        resolve p1 failed
        send p1 w1 fixed=100 fee=10
        at 90000
        resolve p1 failed
        resolve p1 failed n1=nothing
        resolve p1 paid
        paid p1/1
        resolve p1 paid n1=paid
        resolve p1 failed n1=paid
        send p2 w1 fixed=2000 fee=1 expires=200000
        resolve p2 failed lost
        ",
        expect![[r#"
            resolve p1 failed
              no: payment_not_found
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            at 90000
            resolve p1 failed
              no: payment_not_stopped
            resolve p1 failed n1=nothing
              no: payment_not_stopped
            resolve p1 paid
              no: payment_not_stopped
            paid p1/1
              + posted p1 fee 1: w1 -> n1 101
              = w1 899 left, 0 held, net -101
            resolve p1 paid n1=paid
              no: payment_not_stopped
            resolve p1 failed n1=paid
              no: payment_not_stopped
            send p2 w1 fixed=2000 fee=1 expires=200000
              + refused p2: InsufficientFunds
            resolve p2 failed lost
              no: payment_not_stopped
        "#]],
    );
}

#[test]
fn rule_9_a_payment_that_its_node_has_lost_is_found_unpaid() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        resolve p1 failed lost n1=nothing
        at 10999
        resolve p1 failed lost n1=nothing
        at 11000
        resolve p1 failed lost n1=permitted
        resolve p1 failed lost n1=in_flight
        resolve p1 failed lost n1=paid
        resolve p1 failed lost n1=nothing why=
        resolve p1 failed lost n1=nothing why=channels-closed
        resolve p1 failed lost n1=nothing why=channels-closed
        resolve p1 failed lost n1=nothing why=otherwise
        resolve p1 paid lost
        seen p1/1 not_found lapsed
        load
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            resolve p1 failed lost n1=nothing
              no: node_still_permitted
            at 10999
            resolve p1 failed lost n1=nothing
              no: node_still_permitted
            at 11000
            resolve p1 failed lost n1=permitted
              no: node_still_permitted
            resolve p1 failed lost n1=in_flight
              no: node_shows_in_flight
            resolve p1 failed lost n1=paid
              no: node_shows_paid
            resolve p1 failed lost n1=nothing why=
              no: evidence_missing
            resolve p1 failed lost n1=nothing why=channels-closed
              + failed p1 on n1: FoundUnpaid, no record
              + voided p1: Node(FoundUnpaid)
              + resolved p1 as failed by "channels-closed"
              = w1 1000 left, 0 held, net 0
            resolve p1 failed lost n1=nothing why=channels-closed
            resolve p1 failed lost n1=nothing why=otherwise
              no: payment_already_resolved
            resolve p1 paid lost
              no: payment_already_resolved
            seen p1/1 not_found lapsed
            load
        "#]],
    );
}

#[test]
fn rule_16_a_payment_that_its_node_has_lost_is_found_paid() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        resolve p1 paid lost secret=9
        resolve p1 paid lost node=n2
        resolve p1 paid lost fee=3
        resolve p1 paid lost fee=3
        resolve p1 paid lost fee=4
        resolve p1 failed lost
        seen p1/1 not_found lapsed
        paid p1/1 fee=4
        accounts
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            resolve p1 paid lost secret=9
              no: wrong_preimage
            resolve p1 paid lost node=n2
              no: not_the_paying_node
            resolve p1 paid lost fee=3
              + posted p1 fee 3: w1 -> n1 103
              + resolved p1 as paid by "seen"
              = w1 897 left, 0 held, net -103
            resolve p1 paid lost fee=3
            resolve p1 paid lost fee=4
              no: payment_already_resolved
            resolve p1 failed lost
              no: payment_already_resolved
            seen p1/1 not_found lapsed
            paid p1/1 fee=4
            accounts
              w1 103
              n1 -103
        "#]],
    );
}

/// The hash is free again, and the node's own record of the failure proves nothing a second time.
#[test]
fn rule_13_what_was_found_unpaid_is_sent_again_under_another_id() {
    check(
        "
        send p1 w1 fixed=100 fee=10 hash=5 via=n1
        paid p1/1 amount=99
        at 11000
        send p2 w1 fixed=100 fee=10 hash=5 via=n1
        resolve p1 failed n1=failed record=7
        send p3 w1 fixed=100 fee=10 hash=5 via=n1 older=7
        failed p3/1 no_route record=7
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 hash=5 via=n1
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            paid p1/1 amount=99
              + contradicted p1 by n1: paid 99, fee 1
              > stop n1
            at 11000
            send p2 w1 fixed=100 fee=10 hash=5 via=n1
              + refused p2: InvoiceAlreadyPaid
            resolve p1 failed n1=failed record=7
              + failed p1 on n1: FoundUnpaid, record 7
              + voided p1: Node(FoundUnpaid)
              + resolved p1 as failed by "seen"
              = w1 1000 left, 0 held, net 0
            send p3 w1 fixed=100 fee=10 hash=5 via=n1 older=7
              + held p3 100 and fee 10, by the pool
              + attempt p3/1 on n1 until 16000
              > pay p3/1.1 on n1 fee 10 until 16000
              = w1 890 left, 110 held, net 0
            failed p3/1 no_route record=7
              > look up p3/1.1 on n1 after 16000
        "#]],
    );
}

#[test]
fn rule_6_a_contradiction_that_a_person_has_looked_at_is_told_no_more() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        paid p1/1 amount=99
        resolve p1 paid fee=2 n1=paid shown=99
        paid p1/1 amount=99
        send p2 w1 fixed=100 fee=10
        paid p2/1 fee=50
        resolve p2 failed
        resolve p2 paid fee=50
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
            resolve p1 paid fee=2 n1=paid shown=99
              + posted p1 fee 2: w1 -> n1 102
              + resolved p1 as paid by "seen"
              = w1 898 left, 0 held, net -102
            paid p1/1 amount=99
              > stop n1
            send p2 w1 fixed=100 fee=10
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 788 left, 110 held, net -102
            paid p2/1 fee=50
              + posted p2 fee 50: w1 -> n1 150
              + contradicted p2 by n1: paid 100, fee 50
              > stop n1
              = w1 748 left, 0 held, net -252
            resolve p2 failed
              no: payment_proven_paid
            resolve p2 paid fee=50
              + resolved p2 as paid by "seen"
        "#]],
    );
}

/// What was booked stays; the difference is another entry.
#[test]
fn rule_5_another_fee_than_was_booked_is_corrected_by_an_entry() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        paid p1/1 fee=50
        resolve p1 paid fee=10
        send p2 w1 fixed=100 fee=10
        paid p2/1 fee=50
        resolve p2 paid fee=70
        resolve p2 paid fee=70
        load
        accounts
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            paid p1/1 fee=50
              + posted p1 fee 50: w1 -> n1 150
              + contradicted p1 by n1: paid 100, fee 50
              > stop n1
              = w1 850 left, 0 held, net -150
            resolve p1 paid fee=10
              + resolved p1 as paid by "seen", n1 -> w1 40
              = w1 890 left, 0 held, net -110
            send p2 w1 fixed=100 fee=10
              + held p2 100 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 780 left, 110 held, net -110
            paid p2/1 fee=50
              + posted p2 fee 50: w1 -> n1 150
              + contradicted p2 by n1: paid 100, fee 50
              > stop n1
              = w1 740 left, 0 held, net -260
            resolve p2 paid fee=70
              + resolved p2 as paid by "seen", w1 -> n1 20
              = w1 720 left, 0 held, net -280
            resolve p2 paid fee=70
            load
            accounts
              w1 280
              n1 -280
        "#]],
    );
}

/// Whoever has said that it failed was wrong: a fact, and open to a person again.
#[test]
fn rule_6_a_node_pays_what_a_person_had_found_unpaid() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        at 20000
        resolve p1 failed lost
        paid p1/1 fee=2
        resolve p1 failed lost
        resolve p1 paid fee=2 why=it-was-paid
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            at 20000
            resolve p1 failed lost
              + failed p1 on n1: FoundUnpaid, no record
              + voided p1: Node(FoundUnpaid)
              + resolved p1 as failed by "seen"
              = w1 1000 left, 0 held, net 0
            paid p1/1 fee=2
              + posted p1 fee 2: w1 -> n1 102
              + contradicted p1 by n1: paid 100, fee 2
              > stop n1
              = w1 898 left, 0 held, net -102
            resolve p1 failed lost
              no: payment_proven_paid
            resolve p1 paid fee=2 why=it-was-paid
              + resolved p1 as paid by "it-was-paid"
        "#]],
    );
}

/// The audit may be the first to see it.
#[test]
fn rule_11_what_a_node_shows_as_paid_after_its_failure_keeps_its_hash() {
    check(
        "
        send p1 w1 fixed=100 fee=10 via=n1 hash=5
        failed p1/1 no_route
        resolve p1 paid fee=2
        resolve p1 paid fee=2 n1=paid shown-fee=2
        send p2 w1 fixed=100 fee=10 via=n1 hash=5
        send p3 w1 fixed=100 fee=10 via=n1
        at 20000
        resolve p3 failed lost
        resolve p3 paid n1=paid why=late
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 via=n1 hash=5
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            failed p1/1 no_route
              + failed p1 on n1: NoRoute, record 1
              + voided p1: Node(NoRoute)
              = w1 1000 left, 0 held, net 0
            resolve p1 paid fee=2
              no: payment_not_stopped
            resolve p1 paid fee=2 n1=paid shown-fee=2
              + posted p1 fee 2: w1 -> n1 102
              + contradicted p1 by n1: paid 100, fee 2
              + resolved p1 as paid by "seen"
              > stop n1
              = w1 898 left, 0 held, net -102
            send p2 w1 fixed=100 fee=10 via=n1 hash=5
              + refused p2: InvoiceAlreadyPaid
            send p3 w1 fixed=100 fee=10 via=n1
              + held p3 100 and fee 10, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 10 until 6000
              = w1 788 left, 110 held, net -102
            at 20000
            resolve p3 failed lost
              + failed p3 on n1: FoundUnpaid, no record
              + voided p3: Node(FoundUnpaid)
              + resolved p3 as failed by "seen"
              = w1 898 left, 0 held, net -102
            resolve p3 paid n1=paid why=late
              + posted p3 fee 1: w1 -> n1 101
              + contradicted p3 by n1: paid 100, fee 1
              + resolved p3 as paid by "late"
              > stop n1
              = w1 797 left, 0 held, net -203
        "#]],
    );
}

#[test]
fn rule_11_only_one_node_has_paid() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 no_route
        paid p1/1 amount=99
        resolve p1 paid
        resolve p1 paid node=n1
        at 20000
        resolve p1 paid node=n1 n2=in_flight
        resolve p1 paid node=n1 n2=nothing
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
            paid p1/1 amount=99
              + contradicted p1 by n1: paid 99, fee 1
              > stop n1
            resolve p1 paid
              no: paying_node_missing
            resolve p1 paid node=n1
              no: node_still_permitted
            at 20000
            resolve p1 paid node=n1 n2=in_flight
              no: node_shows_in_flight
            resolve p1 paid node=n1 n2=nothing
              + failed p1 on n2: FoundUnpaid, no record
              + posted p1 fee 1: w1 -> n1 101
              + resolved p1 as paid by "seen"
              = w1 899 left, 0 held, net -101
        "#]],
    );
}

/// A restored node has lost what was paid long ago.
#[test]
fn rule_24_a_node_that_denies_what_it_has_paid() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        paid p1/1 fee=2
        forget
        resolve p1 failed n1=nothing
        resolve p1 paid fee=2 n1=nothing
        resolve p1 paid fee=2 n1=nothing
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            paid p1/1 fee=2
              + posted p1 fee 2: w1 -> n1 102
              = w1 898 left, 0 held, net -102
            forget
            resolve p1 failed n1=nothing
              no: payment_proven_paid
            resolve p1 paid fee=2 n1=nothing
              + resolved p1 as paid by "seen"
            resolve p1 paid fee=2 n1=nothing
        "#]],
    );
}
