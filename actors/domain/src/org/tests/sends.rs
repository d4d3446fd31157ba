//! Sending: what is held, what is refused, what a repeat gets.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_1_amount_and_largest_fee_are_held_with_the_first_request() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        send p2 w1 amount=200 fee=0
        send p3 w1 fixed=100
        send p4 w1 fixed=600
        paid p1/1 fee=4
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            send p2 w1 amount=200 fee=0
              + held p2 200 and fee 0, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 200 fee 0 until 6000
              = w1 690 left, 310 held, net 0
            send p3 w1 fixed=100
              + held p3 100 and fee 5, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 5 until 6000
              = w1 585 left, 415 held, net 0
            send p4 w1 fixed=600
              + refused p4: InsufficientFunds
            paid p1/1 fee=4
              + posted p1 fee 4: w1 -> n1 104
              = w1 591 left, 305 held, net -104
        "#]],
    );
}

#[test]
fn rule_8_the_fee_limit_is_the_hold_and_zero_means_fee_free() {
    check(
        "
        send p1 w1 fixed=1000 fee=0
        paid p1/1 amount=1000 fee=0
        ",
        expect![[r#"
            send p1 w1 fixed=1000 fee=0
              + held p1 1000 and fee 0, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 0 until 6000
              = w1 0 left, 1000 held, net 0
            paid p1/1 amount=1000 fee=0
              + posted p1 fee 0: w1 -> n1 1000
              = w1 0 left, 0 held, net -1000
        "#]],
    );
}

#[test]
fn rule_2_one_msat_over_with_the_largest_fee_counted_is_a_failed_payment() {
    check(
        "
        send p1 w1 fixed=900 fee=101
        send p1 w1 fixed=900 fee=101
        send p2 w1 fixed=900 fee=100
        send p3 w1 fixed=1 fee=0
        ",
        expect![[r#"
            send p1 w1 fixed=900 fee=101
              + refused p1: InsufficientFunds
            send p1 w1 fixed=900 fee=101
            send p2 w1 fixed=900 fee=100
              + held p2 900 and fee 100, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 100 until 6000
              = w1 0 left, 1000 held, net 0
            send p3 w1 fixed=1 fee=0
              + refused p3: InsufficientFunds
        "#]],
    );
}

#[test]
fn a_failed_payment_keeps_its_answer_when_there_is_room_again() {
    check(
        "
        send p1 w1 fixed=900 fee=50
        send p2 w1 fixed=100 fee=0
        failed p1/1 details
        send p2 w1 fixed=100 fee=0
        ",
        expect![[r#"
            send p1 w1 fixed=900 fee=50
              + held p1 900 and fee 50, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 50 until 6000
              = w1 50 left, 950 held, net 0
            send p2 w1 fixed=100 fee=0
              + refused p2: InsufficientFunds
            failed p1/1 details
              + failed p1 on n1: IncorrectPaymentDetails, record 1
              + voided p1: Node(IncorrectPaymentDetails)
              = w1 1000 left, 0 held, net 0
            send p2 w1 fixed=100 fee=0
        "#]],
    );
}

#[test]
fn a_customer_node_uses_no_line() {
    check(
        "
        send p1 w9 fixed=300 fee=10 via=n9
        send p2 w1 fixed=990 fee=10
        paid p1/1 amount=300 fee=7
        accounts
        ",
        expect![[r#"
            send p1 w9 fixed=300 fee=10 via=n9
              + held p1 300 and fee 10, by own n9
              + attempt p1/1 on n9 until 6000
              > pay p1/1.1 on n9 fee 10 until 6000
              = w9 690 left, 310 held, net 0
            send p2 w1 fixed=990 fee=10
              + held p2 990 and fee 10, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 10 until 6000
              = w1 0 left, 1000 held, net 0
            paid p1/1 amount=300 fee=7
              + posted p1 fee 7: w9 -> n9 307
              = w9 693 left, 0 held, net -307
            accounts
              w9 307
              n9 -307
        "#]],
    );
}

#[test]
fn rule_11_a_hash_has_one_payment_until_it_is_proven_failed() {
    check(
        "
        send p1 w1 fixed=100 fee=1 hash=5
        send p2 w1 fixed=100 fee=1 hash=5
        failed p1/1 details
        send p3 w1 fixed=100 fee=1 hash=5
        paid p3/1
        send p4 w1 fixed=100 fee=1 hash=5
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=1 hash=5
              + held p1 100 and fee 1, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            send p2 w1 fixed=100 fee=1 hash=5
              + refused p2: InvoiceAlreadyPaid
            failed p1/1 details
              + failed p1 on n1: IncorrectPaymentDetails, record 1
              + voided p1: Node(IncorrectPaymentDetails)
              = w1 1000 left, 0 held, net 0
            send p3 w1 fixed=100 fee=1 hash=5
              + held p3 100 and fee 1, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            paid p3/1
              + posted p3 fee 1: w1 -> n1 101
              = w1 899 left, 0 held, net -101
            send p4 w1 fixed=100 fee=1 hash=5
              + refused p4: InvoiceAlreadyPaid
        "#]],
    );
}

#[test]
fn no_usable_node() {
    check(
        "
        send p1 w1 fixed=100 via=
        send p2 w1 fixed=2000 via=
        send p3 w1 fixed=100 taken via=
        ",
        expect![[r#"
            send p1 w1 fixed=100 via=
              + refused p1: NoUsableNode
            send p2 w1 fixed=2000 via=
              + refused p2: InsufficientFunds
            send p3 w1 fixed=100 taken via=
              + refused p3: InvoiceAlreadyPaid
        "#]],
    );
}

#[test]
fn a_repeat_gets_the_first_answer_and_another_body_is_refused() {
    check(
        "
        send p1 w1 fixed=100 fee=1
        send p1 w1 fixed=100 fee=1
        send p1 w1 fixed=100 fee=2
        send p1 w1 fixed=100
        send p1 w9 fixed=100 fee=1
        at 70000
        send p1 w1 fixed=100 fee=1
        load
        send p1 w1 fixed=100 fee=1
        paid p1/1
        load
        send p1 w1 fixed=100 fee=1
        receive p1 w1 amount=1
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=1
              + held p1 100 and fee 1, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            send p1 w1 fixed=100 fee=1
            send p1 w1 fixed=100 fee=2
              no: id_reused
            send p1 w1 fixed=100
              no: id_reused
            send p1 w9 fixed=100 fee=1
              no: id_reused
            at 70000
            send p1 w1 fixed=100 fee=1
            load
              > look up p1/1.1 on n1
            send p1 w1 fixed=100 fee=1
            paid p1/1
              + posted p1 fee 1: w1 -> n1 101
              = w1 899 left, 0 held, net -101
            load
            send p1 w1 fixed=100 fee=1
            receive p1 w1 amount=1
              no: id_reused
        "#]],
    );
}

#[test]
fn what_the_request_alone_shows_stores_nothing() {
    check(
        "
        send p1 w1 fixed=100 mainnet
        send p1 w1 fixed=100 expires=1000
        send p1 w1
        send p1 w1 fixed=100 amount=100
        send p1 w1 amount=0
        send p1 w1 fixed=0
        send p1 w1 amount=2100000000000000001
        send p1 w1 fixed=100 fee=2100000000000000001
        send p1 w7 fixed=100
        send p1 w1 fixed=100 ours
        send p1 w1 fixed=100 expires=1001
        ",
        expect![[r#"
            send p1 w1 fixed=100 mainnet
              no: wrong_network
            send p1 w1 fixed=100 expires=1000
              no: invoice_expired
            send p1 w1
              no: amount_missing
            send p1 w1 fixed=100 amount=100
              no: amount_given
            send p1 w1 amount=0
              no: amount_out_of_range
            send p1 w1 fixed=0
              no: amount_out_of_range
            send p1 w1 amount=2100000000000000001
              no: amount_out_of_range
            send p1 w1 fixed=100 fee=2100000000000000001
              no: fee_limit_out_of_range
            send p1 w7 fixed=100
              no: wallet_not_found
            send p1 w1 fixed=100 ours
              no: invoice_unknown_to_ledger
            send p1 w1 fixed=100 expires=1001
              + held p1 100 and fee 5, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 5 until 6000
              = w1 895 left, 105 held, net 0
        "#]],
    );
}

#[test]
fn the_largest_amounts_do_not_overflow() {
    check(
        "
        send p1 w1 fixed=2100000000000000000 fee=2100000000000000000
        line l2 2100000000000000000
        wallet w2 l2 2100000000000000000
        send p2 w2 fixed=2100000000000000000 fee=0
        send p3 w2 fixed=1 fee=0
        paid p2/1 amount=2100000000000000000 fee=2100000000000000000
        ",
        expect![[r#"
            send p1 w1 fixed=2100000000000000000 fee=2100000000000000000
              + refused p1: InsufficientFunds
            line l2 2100000000000000000
              + line l2 of 2100000000000000000
            wallet w2 l2 2100000000000000000
              + wallet w2 on l2 of 2100000000000000000
              = w2 2100000000000000000 left, 0 held, net 0
            send p2 w2 fixed=2100000000000000000 fee=0
              + held p2 2100000000000000000 and fee 0, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 0 until 6000
              = w2 0 left, 2100000000000000000 held, net 0
            send p3 w2 fixed=1 fee=0
              + refused p3: InsufficientFunds
            paid p2/1 amount=2100000000000000000 fee=2100000000000000000
              + contradicted p2 by n1: paid 2100000000000000000, fee 2100000000000000000
              > stop n1
        "#]],
    );
}

#[test]
fn holds_stop_at_the_supply_whatever_the_limit() {
    check(
        "
        line l2 2100000000000000000
        wallet w2 l2 2100000000000000000
        receive p7 w2
        receipt p7 1000
        send p1 w2 fixed=2100000000000000000 fee=0
        send p2 w2 fixed=1 fee=0
        ",
        expect![[r#"
            line l2 2100000000000000000
              + line l2 of 2100000000000000000
            wallet w2 l2 2100000000000000000
              + wallet w2 on l2 of 2100000000000000000
              = w2 2100000000000000000 left, 0 held, net 0
            receive p7 w2
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for any amount
            receipt p7 1000
              + received p7: n1 -> w2 1000
              = w2 2100000000000001000 left, 0 held, net 1000
            send p1 w2 fixed=2100000000000000000 fee=0
              + held p1 2100000000000000000 and fee 0, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 0 until 6000
              = w2 1000 left, 2100000000000000000 held, net 1000
            send p2 w2 fixed=1 fee=0
              + refused p2: InsufficientFunds
        "#]],
    );
}
