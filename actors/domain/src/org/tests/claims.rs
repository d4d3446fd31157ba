//! The internal rail, from both sides.

use expect_test::expect;

use crate::org::tests::script::check;

#[test]
fn rule_19_paid_inside() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 fee=10 hash=7 to=B/p7
        B: claim p7 A/p1 100
        B: over p7 cancelled
        answer p1 credited
        accounts
        B: accounts
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: made p7
              + invoice p7 made
            send p1 w1 fixed=100 fee=10 hash=7 to=B/p7
              + held p1 100 and fee 0, inside to B/p7
              > claim B/p7 for p1
              = w1 900 left, 100 held, net 0
            B: claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: over p7 cancelled
              + credited p7: clearing -> w1 100
              > answer A/p1 credited
              = w1 1100 left, 0 held, net 100
            answer p1 credited
              + posted p1 fee 0: w1 -> clearing 100
              = w1 900 left, 0 held, net -100
            accounts
              w1 100
              clearing -100
            B: accounts
              w1 -100
              clearing 100
        "#]],
    );
}

#[test]
fn every_step_repeated() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        drive p1
        load
        B: claim p7 A/p1 100
        B: claim p7 A/p1 100
        B: load
        B: over p7 cancelled
        B: over p7 cancelled
        B: claim p7 A/p1 100
        B: load
        B: claim p7 A/p1 100
        answer p1 credited
        answer p1 credited
        answer p1 refused
        load
        answer p1 credited
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
            send p1 w1 fixed=100 hash=7 to=B/p7
            drive p1
              > claim B/p7 for p1
            load
              > claim B/p7 for p1
            B: claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: claim p7 A/p1 100
              > cancel invoice p7 on n1
            B: load
              > cancel invoice p7 on n1
            B: over p7 cancelled
              + credited p7: clearing -> w1 100
              > answer A/p1 credited
              = w1 1100 left, 0 held, net 100
            B: over p7 cancelled
            B: claim p7 A/p1 100
              > answer A/p1 credited
            B: load
            B: claim p7 A/p1 100
              > answer A/p1 credited
            answer p1 credited
              + posted p1 fee 0: w1 -> clearing 100
              = w1 900 left, 0 held, net -100
            answer p1 credited
            answer p1 refused
            load
            answer p1 credited
        "#]],
    );
}

#[test]
fn rule_19_all_must_match() {
    check(
        "
        B: receive p7 w1 amount=100
        B: claim p7 A/p1 100
        B: made p7
        B: claim p7 A/p2 100 hash=8
        B: claim p7 A/p3 100 text=8
        B: claim p7 A/p4 99
        B: claim p8 A/p5 100
        at 61000
        B: claim p7 A/p6 100
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: claim p7 A/p1 100
              + claim of p7 by A/p1 refused
              > answer A/p1 refused
            B: made p7
              + invoice p7 made
            B: claim p7 A/p2 100 hash=8
              + claim of p7 by A/p2 refused
              > answer A/p2 refused
            B: claim p7 A/p3 100 text=8
              + claim of p7 by A/p3 refused
              > answer A/p3 refused
            B: claim p7 A/p4 99
              + claim of p7 by A/p4 refused
              > answer A/p4 refused
            B: claim p8 A/p5 100
              + claim of p8 by A/p5 refused
              > answer A/p5 refused
            at 61000
            B: claim p7 A/p6 100
              + claim of p7 by A/p6 refused
              > answer A/p6 refused
        "#]],
    );
}

#[test]
fn rule_20_a_refused_claim_is_refused_for_ever() {
    check(
        "
        B: receive p7 w1 amount=100
        B: claim p7 A/p1 100
        B: made p7
        B: claim p7 A/p1 100
        B: load
        B: claim p7 A/p1 100
        B: claim p7 A/p2 100
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: claim p7 A/p1 100
              + claim of p7 by A/p1 refused
              > answer A/p1 refused
            B: made p7
              + invoice p7 made
            B: claim p7 A/p1 100
              > answer A/p1 refused
            B: load
            B: claim p7 A/p1 100
              > answer A/p1 refused
            B: claim p7 A/p2 100
              + invoice p7 claimed by A/p2
              > cancel invoice p7 on n1
        "#]],
    );
}

#[test]
fn rule_19_another_fund_goes_over_lightning() {
    check(
        "
        send p1 w1 fixed=100 fee=1 hash=7 to=B/p7 on=n9
        send p2 w9 fixed=100 fee=1 hash=8 to=B/p8 via=n9
        send p3 w9 fixed=100 fee=1 hash=9 to=A/p9 on=n9 via=n9
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=1 hash=7 to=B/p7 on=n9
              + held p1 100 and fee 1, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 1 until 6000
              = w1 899 left, 101 held, net 0
            send p2 w9 fixed=100 fee=1 hash=8 to=B/p8 via=n9
              + held p2 100 and fee 1, by own n9
              + attempt p2/1 on n9 until 6000
              > pay p2/1.1 on n9 fee 1 until 6000
              = w9 899 left, 101 held, net 0
            send p3 w9 fixed=100 fee=1 hash=9 to=A/p9 on=n9 via=n9
              + held p3 100 and fee 0, inside to A/p9
              > claim A/p9 for p3
              = w9 799 left, 201 held, net 0
        "#]],
    );
}

#[test]
fn rule_10_the_refusal_is_the_proof() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        send p1 w1 fixed=100 hash=7 to=B/p7
        B: claim p7 A/p1 100
        at 30999
        B: drive p7
        at 31000
        B: drive p7
        answer p1 refused
        answer p1 refused
        B: drive p7
        B: claim p7 A/p1 100
        B: claim p7 A/p2 100
        B: over p7 cancelled
        B: over p7 cancelled
        B: load
        B: claim p7 A/p1 100
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
            at 30999
            B: drive p7
              > cancel invoice p7 on n1
            at 31000
            B: drive p7
              + claim of p7 withdrawn
              > answer A/p1 refused
              > cancel invoice p7 on n1
            answer p1 refused
              + voided p1: PayeeRefused
              = w1 1000 left, 0 held, net 0
            answer p1 refused
            B: drive p7
              > answer A/p1 refused
              > cancel invoice p7 on n1
            B: claim p7 A/p1 100
              > answer A/p1 refused
              > cancel invoice p7 on n1
            B: claim p7 A/p2 100
              + claim of p7 by A/p2 refused
              > answer A/p2 refused
            B: over p7 cancelled
              + invoice p7 withdrawn
            B: over p7 cancelled
            B: load
            B: claim p7 A/p1 100
              > answer A/p1 refused
        "#]],
    );
}

#[test]
fn rule_20_settled_on_the_node_wins() {
    check(
        "
        B: receive p7 w1 amount=100
        B: made p7
        B: claim p7 A/p1 100
        B: over p7 settled
        B: over p7 settled
        B: load
        B: receipt p7 100
        B: claim p7 A/p1 100
        B: receive p8 w1 amount=100
        B: made p8
        B: claim p8 A/p2 100
        B: receipt p8 100
        B: over p8 settled
        B: over p8 cancelled
        B: give-up p8
        ",
        expect![[r#"
            B: receive p7 w1 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            B: made p7
              + invoice p7 made
            B: claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: over p7 settled
              + claim of p7 withdrawn
              > answer A/p1 refused
            B: over p7 settled
            B: load
              > answer A/p1 refused
              > cancel invoice p7 on n1
            B: receipt p7 100
              + received p7: n1 -> w1 100
              = w1 1100 left, 0 held, net 100
            B: claim p7 A/p1 100
              > answer A/p1 refused
            B: receive p8 w1 amount=100
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for 100
            B: made p8
              + invoice p8 made
            B: claim p8 A/p2 100
              + invoice p8 claimed by A/p2
              > cancel invoice p8 on n1
            B: receipt p8 100
              + claim of p8 withdrawn
              + received p8: n1 -> w1 100
              > answer A/p2 refused
              = w1 1200 left, 0 held, net 200
            B: over p8 settled
            B: over p8 cancelled
            B: give-up p8
        "#]],
    );
}

#[test]
fn a_payment_by_the_node_after_the_credit_comes_on_top() {
    check(
        "
        B: receive p7 w1
        B: made p7
        B: claim p7 A/p1 60
        B: over p7 cancelled
        B: receipt p7 40
        B: receipt p7 40
        B: claim p7 A/p1 60
        B: accounts
        ",
        expect![[r#"
            B: receive p7 w1
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for any amount
            B: made p7
              + invoice p7 made
            B: claim p7 A/p1 60
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            B: over p7 cancelled
              + credited p7: clearing -> w1 60
              > answer A/p1 credited
              = w1 1060 left, 0 held, net 60
            B: receipt p7 40
              + received p7: n1 -> w1 40
              = w1 1100 left, 0 held, net 100
            B: receipt p7 40
            B: claim p7 A/p1 60
              > answer A/p1 credited
            B: accounts
              w1 -100
              n1 40
              clearing 60
        "#]],
    );
}

#[test]
fn two_wallets_of_one_organisation() {
    check(
        "
        share w1 600
        wallet w2 l1 400
        receive p7 w2 amount=100
        made p7
        send p1 w1 fixed=100 hash=7 to=A/p7
        claim p7 A/p1 100
        load
        over p7 cancelled
        answer p1 credited
        accounts
        ",
        expect![[r#"
            share w1 600
              + wallet w1 now 600
              = w1 600 left, 0 held, net 0
            wallet w2 l1 400
              + wallet w2 on l1 of 400
              = w2 400 left, 0 held, net 0
            receive p7 w2 amount=100
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 100
            made p7
              + invoice p7 made
            send p1 w1 fixed=100 hash=7 to=A/p7
              + held p1 100 and fee 0, inside to A/p7
              > claim A/p7 for p1
              = w1 500 left, 100 held, net 0
            claim p7 A/p1 100
              + invoice p7 claimed by A/p1
              > cancel invoice p7 on n1
            load
              > claim A/p7 for p1
              > cancel invoice p7 on n1
            over p7 cancelled
              + credited p7: clearing -> w2 100
              > answer A/p1 credited
              = w2 500 left, 0 held, net 100
            answer p1 credited
              + posted p1 fee 0: w1 -> clearing 100
              = w1 500 left, 0 held, net -100
            accounts
              w1 100
              w2 -100
              clearing 0
        "#]],
    );
}

#[test]
fn rule_2_no_room_inside_either() {
    check(
        "
        send p1 w1 fixed=1001 hash=7 to=B/p7
        send p2 w1 fixed=1000 hash=7 to=B/p7
        send p3 w1 fixed=1 hash=7 to=B/p7
        ",
        expect![[r#"
            send p1 w1 fixed=1001 hash=7 to=B/p7
              + refused p1: InsufficientFunds
            send p2 w1 fixed=1000 hash=7 to=B/p7
              + held p2 1000 and fee 0, inside to B/p7
              > claim B/p7 for p2
              = w1 0 left, 1000 held, net 0
            send p3 w1 fixed=1 hash=7 to=B/p7
              + refused p3: InvoiceAlreadyPaid
        "#]],
    );
}

#[test]
fn a_node_has_no_say_inside_and_a_payee_none_over_lightning() {
    check(
        "
        send p1 w1 fixed=100 hash=7 to=B/p7
        paid p1/1 secret=7
        unsent p1/1
        send p2 w1 fixed=100
        answer p2 credited
        answer p2 refused
        answer p9 refused
        ",
        expect![[r#"
            send p1 w1 fixed=100 hash=7 to=B/p7
              + held p1 100 and fee 0, inside to B/p7
              > claim B/p7 for p1
              = w1 900 left, 100 held, net 0
            paid p1/1 secret=7
            unsent p1/1
            send p2 w1 fixed=100
              + held p2 100 and fee 5, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 5 until 6000
              = w1 795 left, 205 held, net 0
            answer p2 credited
            answer p2 refused
            answer p9 refused
              no: payment_not_found
        "#]],
    );
}
