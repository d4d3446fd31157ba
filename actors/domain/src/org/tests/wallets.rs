//! Wallets and lines over their lives: renamed, limited anew, deleted, disabled.

use expect_test::expect;

use crate::{
    Timestamp,
    org::{
        Org,
        tests::{
            house::{self, House},
            script::{self, Words, check},
        },
    },
};

#[test]
fn a_repeat_of_a_creation_stays_one_whatever_has_changed_since() {
    check(
        "
        line l2 1000
        limit l2 2000
        line l2 1000
        line l2 2000
        wallet w2 l2 600 name=shop tag=a
        rename w2 till
        share w2 700
        wallet w2 l2 600 name=shop tag=a
        wallet w2 l2 600 name=till tag=a
        wallet w2 l2 700 name=shop tag=a
        wallet w2 l2 600 name=shop tag=b
        wallet w2 l2 600 name=shop
        rename w2 shop
        share w2 600
        wallet w2 l2 600 name=shop tag=a
        ",
        expect![[r#"
            line l2 1000
              + line l2 of 1000
            limit l2 2000
              + line l2 now 2000
            line l2 1000
            line l2 2000
              no: id_reused
            wallet w2 l2 600 name=shop tag=a
              + wallet w2 on l2 of 600
              = w2 600 left, 0 held, net 0
            rename w2 till
              + wallet w2 named till
            share w2 700
              + wallet w2 now 700
              = w2 700 left, 0 held, net 0
            wallet w2 l2 600 name=shop tag=a
            wallet w2 l2 600 name=till tag=a
              no: id_reused
            wallet w2 l2 700 name=shop tag=a
              no: id_reused
            wallet w2 l2 600 name=shop tag=b
              no: id_reused
            wallet w2 l2 600 name=shop
              no: id_reused
            rename w2 shop
              + wallet w2 named shop
            share w2 600
              + wallet w2 now 600
              = w2 600 left, 0 held, net 0
            wallet w2 l2 600 name=shop tag=a
        "#]],
    );
}

#[test]
fn a_wallet_is_renamed_to_a_name_that_is_free() {
    check(
        "
        wallet w2 l1 0 name=shop
        wallet w3 l1 0 name=till
        rename w2 till
        rename w2 shop
        rename w4 any
        rename w2 bar
        rename w3 shop
        ",
        expect![[r#"
            wallet w2 l1 0 name=shop
              + wallet w2 on l1 of 0
              = w2 0 left, 0 held, net 0
            wallet w3 l1 0 name=till
              + wallet w3 on l1 of 0
              = w3 0 left, 0 held, net 0
            rename w2 till
              no: name_taken
            rename w2 shop
            rename w4 any
              no: wallet_not_found
            rename w2 bar
              + wallet w2 named bar
            rename w3 shop
              + wallet w3 named shop
        "#]],
    );
}

#[test]
fn only_an_empty_wallet_is_deleted() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        delete w1
        failed p1/1 details
        receive p7 w1 amount=50
        delete w1
        made p7
        delete w1
        receipt p7 50
        delete w1
        send p2 w1 fixed=50 fee=0
        paid p2/1 amount=50 fee=0
        delete w1
        delete w1
        delete w5
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            delete w1
              no: wallet_not_empty
            failed p1/1 details
              + failed p1 on n1: IncorrectPaymentDetails, record 1
              + voided p1: Node(IncorrectPaymentDetails)
              = w1 1000 left, 0 held, net 0
            receive p7 w1 amount=50
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            delete w1
              no: wallet_not_empty
            made p7
              + invoice p7 made
            delete w1
              no: wallet_not_empty
            receipt p7 50
              + received p7: n1 -> w1 50
              = w1 1050 left, 0 held, net 50
            delete w1
              no: wallet_not_empty
            send p2 w1 fixed=50 fee=0
              + held p2 50 and fee 0, by the pool
              + attempt p2/1 on n1 until 6000
              > pay p2/1.1 on n1 fee 0 until 6000
              = w1 1000 left, 50 held, net 50
            paid p2/1 amount=50 fee=0
              + posted p2 fee 0: w1 -> n1 50
              = w1 1000 left, 0 held, net 0
            delete w1
              + wallet w1 deleted
              = w1 0 left, 0 held, net 0
            delete w1
            delete w5
              no: wallet_not_found
        "#]],
    );
}

#[test]
fn a_deleted_wallet_takes_nothing_new_but_keeps_its_answers() {
    check(
        "
        send p1 w1 fixed=100 fee=10
        failed p1/1 details
        receive p7 w1 amount=50
        made p7
        over p7 cancelled
        delete w1
        send p1 w1 fixed=100 fee=10
        receive p7 w1 amount=50
        send p2 w1 fixed=100 fee=10
        receive p8 w1 amount=50
        share w1 10
        rename w1 any
        wallet w1 l1 1000
        wallet w1 l1 999
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
            receive p7 w1 amount=50
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            made p7
              + invoice p7 made
            over p7 cancelled
              + invoice p7 expired
            delete w1
              + wallet w1 deleted
              = w1 0 left, 0 held, net 0
            send p1 w1 fixed=100 fee=10
            receive p7 w1 amount=50
            send p2 w1 fixed=100 fee=10
              no: wallet_not_found
            receive p8 w1 amount=50
              no: wallet_not_found
            share w1 10
              no: wallet_not_found
            rename w1 any
              no: wallet_not_found
            wallet w1 l1 1000
            wallet w1 l1 999
              no: id_reused
        "#]],
    );
}

#[test]
fn rule_21_a_late_receipt_is_posted_to_a_deleted_wallet() {
    check(
        "
        receive p7 w1 amount=50
        made p7
        over p7 cancelled
        delete w1
        receipt p7 50
        accounts
        delete w1
        ",
        expect![[r#"
            receive p7 w1 amount=50
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            made p7
              + invoice p7 made
            over p7 cancelled
              + invoice p7 expired
            delete w1
              + wallet w1 deleted
              = w1 0 left, 0 held, net 0
            receipt p7 50
              + received p7: n1 -> w1 50
              = w1 50 left, 0 held, net 50
            accounts
              w1 -50
              n1 50
            delete w1
        "#]],
    );
}

#[test]
fn deleting_frees_the_share_and_the_name() {
    check(
        "
        wallet w2 l1 1
        wallet w2 l1 0 name=shop
        wallet w3 l1 0 name=shop
        delete w1
        wallet w4 l1 1000 name=till
        delete w2
        wallet w3 l1 0 name=shop
        ",
        expect![[r#"
            wallet w2 l1 1
              no: cannot_allocate
            wallet w2 l1 0 name=shop
              + wallet w2 on l1 of 0
              = w2 0 left, 0 held, net 0
            wallet w3 l1 0 name=shop
              no: name_taken
            delete w1
              + wallet w1 deleted
              = w1 0 left, 0 held, net 0
            wallet w4 l1 1000 name=till
              + wallet w4 on l1 of 1000
              = w4 1000 left, 0 held, net 0
            delete w2
              + wallet w2 deleted
            wallet w3 l1 0 name=shop
              + wallet w3 on l1 of 0
              = w3 0 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn a_disabled_line_lends_nothing_new_and_takes_what_comes() {
    check(
        "
        wallet w2 l1 0
        send p1 w1 fixed=100 fee=10
        receive p7 w1 amount=50
        made p7
        disable l1
        disable l1
        send p2 w1 fixed=100 fee=10
        send p3 w1 fixed=5000 fee=10
        send p4 w9 fixed=100 fee=10
        wallet w3 l1 0
        wallet w2 l1 0
        paid p1/1 amount=100 fee=10
        receipt p7 50
        receive p8 w1 amount=50
        disable l3
        enable l3
        enable l1
        enable l1
        send p2 w1 fixed=100 fee=10
        send p5 w1 fixed=100 fee=10 hash=9
        wallet w3 l1 0
        ",
        expect![[r#"
            wallet w2 l1 0
              + wallet w2 on l1 of 0
              = w2 0 left, 0 held, net 0
            send p1 w1 fixed=100 fee=10
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            receive p7 w1 amount=50
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            made p7
              + invoice p7 made
            disable l1
              + line l1 disabled
            disable l1
            send p2 w1 fixed=100 fee=10
              + refused p2: LineDisabled
            send p3 w1 fixed=5000 fee=10
              + refused p3: LineDisabled
            send p4 w9 fixed=100 fee=10
              + held p4 100 and fee 10, by own n9
              + attempt p4/1 on n1 until 6000
              > pay p4/1.1 on n1 fee 10 until 6000
              = w9 890 left, 110 held, net 0
            wallet w3 l1 0
              no: line_of_credit_disabled
            wallet w2 l1 0
            paid p1/1 amount=100 fee=10
              + posted p1 fee 10: w1 -> n1 110
              = w1 890 left, 0 held, net -110
            receipt p7 50
              + received p7: n1 -> w1 50
              = w1 940 left, 0 held, net -60
            receive p8 w1 amount=50
              + invoice p8 on n1 until 61000
              > make invoice p8 on n1 for 50
            disable l3
              no: line_of_credit_not_found
            enable l3
              no: line_of_credit_not_found
            enable l1
              + line l1 enabled
            enable l1
            send p2 w1 fixed=100 fee=10
            send p5 w1 fixed=100 fee=10 hash=9
              + held p5 100 and fee 10, by the pool
              + attempt p5/1 on n1 until 6000
              > pay p5/1.1 on n1 fee 10 until 6000
              = w1 830 left, 110 held, net -60
            wallet w3 l1 0
              + wallet w3 on l1 of 0
              = w3 0 left, 0 held, net 0
        "#]],
    );
}

#[test]
fn the_times_of_a_wallet_and_a_line() {
    let mut house = House::open();
    let times = |org: &Org| {
        let wallet = org.wallets.get(&house::wallet_id(1)).unwrap();
        let line = org.lines.get(&house::line_id(1)).unwrap();
        let times = [Some(wallet.created_at), Some(wallet.updated_at), wallet.deleted_at];
        let all = [times[0], times[1], times[2], Some(line.created_at), line.disabled_at];
        all.map(|at| at.map(Timestamp::millis))
    };
    let steps = [
        ("send p1 w1 fixed=1 fee=0", [Some(1_000), Some(1_000), None, Some(1_000), None]),
        ("failed p1/1 details", [Some(1_000), Some(1_000), None, Some(1_000), None]),
        ("rename w1 till", [Some(1_000), Some(4_000), None, Some(1_000), None]),
        ("share w1 5", [Some(1_000), Some(5_000), None, Some(1_000), None]),
        ("limit l1 5", [Some(1_000), Some(5_000), None, Some(1_000), None]),
        ("disable l1", [Some(1_000), Some(5_000), None, Some(1_000), Some(7_000)]),
        ("delete w1", [Some(1_000), Some(8_000), Some(8_000), Some(1_000), Some(7_000)]),
        ("enable l1", [Some(1_000), Some(8_000), Some(8_000), Some(1_000), None]),
    ];
    for (line, expected) in steps {
        house.now = house.now.plus_millis(1_000);
        let command = script::command(&house, 0, &Words::of(line));
        house.execute(0, &command).unwrap();
        assert_eq!(times(&house.orgs[0]), expected, "{line}");
    }
    // The rows written on the way say the same.
    let written =
        Org::from_rows(house::org_id(0), house.orgs[0].epoch, house.rows[0].values().cloned());
    assert_eq!(times(&written), times(&house.orgs[0]));
}
