//! Limits, shares, and what may be spent.

use expect_test::expect;

use crate::{
    Rejection,
    org::tests::{
        house::House,
        script::{self, Words, check},
    },
};

#[test]
fn rule_7_a_limit_below_use_blocks_sends_and_nothing_else() {
    check(
        "
        send p1 w1 fixed=500 fee=100
        limit l1 100
        send p2 w1 fixed=1 fee=0
        receive p7 w1 amount=50
        receipt p7 50
        paid p1/1 amount=500 fee=100
        send p3 w1 fixed=1 fee=0
        limit l1 1000
        send p4 w1 fixed=450 fee=0
        ",
        expect![[r#"
            send p1 w1 fixed=500 fee=100
              + held p1 500 and fee 100, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 100 until 6000
              = w1 400 left, 600 held, net 0
            limit l1 100
              + line l1 now 100
              = w1 -500 left, 600 held, net 0
            send p2 w1 fixed=1 fee=0
              + refused p2: InsufficientFunds
            receive p7 w1 amount=50
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            receipt p7 50
              + received p7: n1 -> w1 50
              = w1 -450 left, 600 held, net 50
            paid p1/1 amount=500 fee=100
              + posted p1 fee 100: w1 -> n1 600
              = w1 -450 left, 0 held, net -550
            send p3 w1 fixed=1 fee=0
              + refused p3: InsufficientFunds
            limit l1 1000
              + line l1 now 1000
              = w1 450 left, 0 held, net -550
            send p4 w1 fixed=450 fee=0
              + held p4 450 and fee 0, by the pool
              + attempt p4/1 on n1 until 6000
              > pay p4/1.1 on n1 fee 0 until 6000
              = w1 0 left, 450 held, net -550
        "#]],
    );
}

#[test]
fn a_wallets_limit_below_use() {
    check(
        "
        send p1 w1 fixed=500 fee=100
        share w1 0
        send p2 w1 fixed=1 fee=0
        failed p1/1 details
        send p3 w1 fixed=1 fee=0
        share w1 1000
        share w1 1000
        ",
        expect![[r#"
            send p1 w1 fixed=500 fee=100
              + held p1 500 and fee 100, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 100 until 6000
              = w1 400 left, 600 held, net 0
            share w1 0
              + wallet w1 now 0
              = w1 -600 left, 600 held, net 0
            send p2 w1 fixed=1 fee=0
              + refused p2: InsufficientFunds
            failed p1/1 details
              + failed p1 on n1: IncorrectPaymentDetails, record 1
              + voided p1: Node(IncorrectPaymentDetails)
              = w1 0 left, 0 held, net 0
            send p3 w1 fixed=1 fee=0
              + refused p3: InsufficientFunds
            share w1 1000
              + wallet w1 now 1000
              = w1 1000 left, 0 held, net 0
            share w1 1000
        "#]],
    );
}

#[test]
fn rule_32_the_least_of_wallet_and_line() {
    check(
        "
        line l2 1000
        wallet w2 l2 600
        wallet w3 l2 400
        send p1 w2 fixed=600 fee=0
        send p2 w2 fixed=1 fee=0
        receive p7 w3
        receipt p7 500
        send p3 w3 fixed=900 fee=0
        send p4 w3 fixed=1 fee=0
        paid p1/1 amount=600 fee=0
        ",
        expect![[r#"
            line l2 1000
              + line l2 of 1000
            wallet w2 l2 600
              + wallet w2 on l2 of 600
              = w2 600 left, 0 held, net 0
            wallet w3 l2 400
              + wallet w3 on l2 of 400
              = w3 400 left, 0 held, net 0
            send p1 w2 fixed=600 fee=0
              + held p1 600 and fee 0, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 0 until 6000
              = w2 0 left, 600 held, net 0
            send p2 w2 fixed=1 fee=0
              + refused p2: InsufficientFunds
            receive p7 w3
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for any amount
            receipt p7 500
              + received p7: n1 -> w3 500
              = w3 900 left, 0 held, net 500
            send p3 w3 fixed=900 fee=0
              + held p3 900 and fee 0, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 0 until 6000
              = w3 0 left, 900 held, net 500
            send p4 w3 fixed=1 fee=0
              + refused p4: InsufficientFunds
            paid p1/1 amount=600 fee=0
              + posted p1 fee 0: w2 -> n1 600
              = w2 0 left, 0 held, net -600
        "#]],
    );
}

#[test]
fn rule_32_one_wallet_cannot_spend_what_another_received() {
    check(
        "
        line l2 1000
        wallet w2 l2 500
        wallet w3 l2 500
        receive p7 w3
        receipt p7 500
        send p1 w2 fixed=501 fee=0
        send p2 w2 fixed=500 fee=0
        send p3 w3 fixed=1000 fee=0
        ",
        expect![[r#"
            line l2 1000
              + line l2 of 1000
            wallet w2 l2 500
              + wallet w2 on l2 of 500
              = w2 500 left, 0 held, net 0
            wallet w3 l2 500
              + wallet w3 on l2 of 500
              = w3 500 left, 0 held, net 0
            receive p7 w3
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for any amount
            receipt p7 500
              + received p7: n1 -> w3 500
              = w3 1000 left, 0 held, net 500
            send p1 w2 fixed=501 fee=0
              + refused p1: InsufficientFunds
            send p2 w2 fixed=500 fee=0
              + held p2 500 and fee 0, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 0 until 6000
              = w2 0 left, 500 held, net 0
            send p3 w3 fixed=1000 fee=0
              + held p3 1000 and fee 0, by the pool
              + attempt p3/1 on n1 until 6000
              > pay p3/1.1 on n1 fee 0 until 6000
              = w3 0 left, 1000 held, net 500
        "#]],
    );
}

#[test]
fn shares_never_exceed_what_there_is() {
    check(
        "
        line l2 1000
        wallet w2 l2 600
        wallet w3 l2 401
        wallet w3 l2 400
        share w2 601
        share w3 300
        share w2 700
        limit l2 500
        share w2 701
        share w2 699
        share w2 700
        wallet w4 l2 0
        wallet w5 l2 1
        node n9 2000
        wallet w6 n9 1000
        wallet w7 n8 1
        wallet w7 l8 1
        ",
        expect![[r#"
            line l2 1000
              + line l2 of 1000
            wallet w2 l2 600
              + wallet w2 on l2 of 600
              = w2 600 left, 0 held, net 0
            wallet w3 l2 401
              no: cannot_allocate
            wallet w3 l2 400
              + wallet w3 on l2 of 400
              = w3 400 left, 0 held, net 0
            share w2 601
              no: cannot_allocate
            share w3 300
              + wallet w3 now 300
              = w3 300 left, 0 held, net 0
            share w2 700
              + wallet w2 now 700
              = w2 700 left, 0 held, net 0
            limit l2 500
              + line l2 now 500
              = w2 500 left, 0 held, net 0
            share w2 701
              no: cannot_allocate
            share w2 699
              + wallet w2 now 699
              = w2 500 left, 0 held, net 0
            share w2 700
              no: cannot_allocate
            wallet w4 l2 0
              + wallet w4 on l2 of 0
              = w4 0 left, 0 held, net 0
            wallet w5 l2 1
              no: cannot_allocate
            node n9 2000
              + node n9 holds 2000
            wallet w6 n9 1000
              + wallet w6 on n9 of 1000
              = w6 1000 left, 0 held, net 0
            wallet w7 n8 1
              no: node_not_found
            wallet w7 l8 1
              no: line_of_credit_not_found
        "#]],
    );
}

#[test]
fn a_repeat_changes_nothing() {
    check(
        "
        line l2 1000
        line l2 1000
        line l2 1001
        wallet w2 l2 600
        wallet w2 l2 600
        wallet w2 l1 600
        node n9 1000
        limit l2 1000
        limit l3 1
        share w5 1
        ",
        expect![[r#"
            line l2 1000
              + line l2 of 1000
            line l2 1000
            line l2 1001
              no: id_reused
            wallet w2 l2 600
              + wallet w2 on l2 of 600
              = w2 600 left, 0 held, net 0
            wallet w2 l2 600
            wallet w2 l1 600
              no: id_reused
            node n9 1000
            limit l2 1000
            limit l3 1
              no: line_of_credit_not_found
            share w5 1
              no: wallet_not_found
        "#]],
    );
}

#[test]
fn open_payments_are_bounded_and_ended_ones_do_not_count() {
    let mut house = House::open();
    house.orgs[0].open_outgoing = 100_000;
    house.orgs[0].open_incoming = 100_000;
    for line in ["send p1 w1 fixed=1", "receive p7 w1"] {
        let command = script::command(&house, 0, &Words::of(line));
        assert_eq!(house.execute(0, &command), Err(Rejection::TooManyOpen(100_000)));
    }
}
