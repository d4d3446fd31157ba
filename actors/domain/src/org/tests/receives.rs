//! Receiving: credited from the node's word, whatever the invoice's state.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_21_what_was_paid_is_credited_once() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        receipt p7 100
        receipt p7 100
        accounts
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            receipt p7 100
              + received p7: n1 -> w1 100
              = w1 1100 left, 0 held, net 100
            receipt p7 100
            accounts
              w1 -100
              n1 100
        "#]],
    );
}

#[test]
fn any_amount() {
    check(
        "
        receive p7 w1
        made p7
        receipt p7 1
        receipt p7 51
        ",
        expect![[r#"
            receive p7 w1
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for any amount
            made p7
              + invoice p7 made
            receipt p7 1
              + received p7: n1 -> w1 1
              = w1 1001 left, 0 held, net 1
            receipt p7 51
              + received p7: n1 -> w1 50
              = w1 1051 left, 0 held, net 51
        "#]],
    );
}

#[test]
fn rule_21_over_payment_and_later_payment_are_credited() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        receipt p7 150
        receipt p7 250
        receipt p7 200
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            receipt p7 150
              + received p7: n1 -> w1 150
              = w1 1150 left, 0 held, net 150
            receipt p7 250
              + received p7: n1 -> w1 100
              = w1 1250 left, 0 held, net 250
            receipt p7 200
        "#]],
    );
}

#[test]
fn rule_21_late_payment_and_payment_to_a_cancelled_invoice() {
    check(
        "
        receive p7 w1 amount=100 expiry=1
        made p7
        drive p7
        at 32000
        drive p7
        load
        over p7 cancelled
        over p7 cancelled
        receipt p7 100
        receive p8 w1 amount=100
        not-made p8
        receipt p8 100
        ",
        expect![[r#"
            receive p7 w1 amount=100 expiry=1
              + invoice p7 on n1 until 2000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            drive p7
            at 32000
            drive p7
              > cancel invoice p7 on n1
            load
              > cancel invoice p7 on n1
            over p7 cancelled
              + invoice p7 expired
            over p7 cancelled
            receipt p7 100
              + received p7: n1 -> w1 100
              = w1 1100 left, 0 held, net 100
            receive p8 w1 amount=100
              + invoice p8 on n1 until 92000
              > make invoice p8 on n1 for 100
            not-made p8
              + invoice p8 not made
            receipt p8 100
              + received p8: n1 -> w1 100
              = w1 1200 left, 0 held, net 200
        "#]],
    );
}

#[test]
fn settled_news_waits_for_the_amount() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        over p7 settled
        receipt p7 100
        over p7 cancelled
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            over p7 settled
            receipt p7 100
              + received p7: n1 -> w1 100
              = w1 1100 left, 0 held, net 100
            over p7 cancelled
        "#]],
    );
}

#[test]
fn an_invoice_is_made_again_after_a_load() {
    check(
        "
        receive p7 w1 amount=100
        load
        drive p7
        made p7 secret=8
        made p7
        made p7
        not-made p7
        load
        drive p7
        receive p7 w1 amount=100
        receive p7 w1 amount=101
        send p7 w1 fixed=1
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            load
              > make invoice p7 on n1 for 100
            drive p7
              > make invoice p7 on n1 for 100
            made p7 secret=8
            made p7
              + invoice p7 made
            made p7
            not-made p7
            load
            drive p7
            receive p7 w1 amount=100
            receive p7 w1 amount=101
              no: id_reused
            send p7 w1 fixed=1
              no: id_reused
        "#]],
    );
}

#[test]
fn what_cannot_be_asked_for() {
    check(
        "
        receive p7 w1 amount=0
        receive p7 w1 amount=2100000000000000001
        receive p7 w1 expiry=0
        receive p7 w1 expiry=2592001
        receive p7 w1 text=640
        receive p7 w5
        receipt p7 1
        made p7
        not-made p7
        over p7 cancelled
        give-up p7
        drive p7
        receive p7 w1 expiry=2592000 text=639
        ",
        expect![[r#"
            receive p7 w1 amount=0
              no: amount_out_of_range
            receive p7 w1 amount=2100000000000000001
              no: amount_out_of_range
            receive p7 w1 expiry=0
              no: expiry_out_of_range
            receive p7 w1 expiry=2592001
              no: expiry_out_of_range
            receive p7 w1 text=640
              no: text_too_long
            receive p7 w5
              no: wallet_not_found
            receipt p7 1
              no: payment_not_found
            made p7
              no: payment_not_found
            not-made p7
              no: payment_not_found
            over p7 cancelled
              no: payment_not_found
            give-up p7
              no: payment_not_found
            drive p7
              no: payment_not_found
            receive p7 w1 expiry=2592000 text=639
              + invoice p7 on n1 until 2592001000
              > make invoice p7 on n1 for any amount
        "#]],
    );
}

#[test]
fn what_is_received_can_be_spent_on_the_same_funds() {
    check(
        "
        receive p7 w9 amount=500 node=n9
        receipt p7 500
        send p1 w9 fixed=1500 fee=0 via=n9
        ",
        expect![[r#"
            receive p7 w9 amount=500 node=n9
              + invoice p7 on n9 until 61000
              > make invoice p7 on n9 for 500
            receipt p7 500
              + received p7: n9 -> w9 500
              = w9 1500 left, 0 held, net 500
            send p1 w9 fixed=1500 fee=0 via=n9
              + held p1 1500 and fee 0, by own n9
              + attempt p1/1 on n9 until 6000
              > pay p1/1.1 on n9 fee 0 until 6000
              = w9 0 left, 1500 held, net 500
        "#]],
    );
}

#[test]
fn a_receipt_that_nobody_can_have_paid_books_nothing() {
    check(
        "
        receive p7 w1 amount=100
        made p7
        claim p7 B/p1 100
        over p7 cancelled
        receipt p7 2100000000000000000
        receive p8 w1
        receipt p8 2100000000000000000
        receive p6 w1
        receipt p6 2100000000000000000
        receive p5 w1
        receipt p5 2100000000000000000
        receive p4 w1
        receipt p4 2100000000000000000
        ",
        expect![[r#"
            receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            claim p7 B/p1 100
              + invoice p7 claimed by B/p1
              > cancel invoice p7 on n1
            over p7 cancelled
              + credited p7: clearing -> w1 100
              > answer B/p1 credited
              = w1 1100 left, 0 held, net 100
            receipt p7 2100000000000000000
              > stop n1
            receive p8 w1
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for any amount
            receipt p8 2100000000000000000
              + received p8: n1 -> w1 2100000000000000000
              = w1 2100000000000001100 left, 0 held, net 2100000000000000100
            receive p6 w1
              + invoice p6 on n1 until 61000
              > make invoice p6 on n1 for any amount
            receipt p6 2100000000000000000
              > stop n1
            receive p5 w1
              + invoice p5 on n1 until 61000
              > make invoice p5 on n1 for any amount
            receipt p5 2100000000000000000
              > stop n1
            receive p4 w1
              + invoice p4 on n1 until 61000
              > make invoice p4 on n1 for any amount
            receipt p4 2100000000000000000
              > stop n1
        "#]],
    );
}
