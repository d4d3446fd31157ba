//! What callers say of their payments and wallets, and the words in which they are told of them.

use std::sync::Arc;

use expect_test::expect;

use crate::{
    Rejection,
    org::{
        Command, Decision, Metadata, OutgoingState, PaymentFailure,
        PaymentStatus::{Completed, Expired, Failed, Generating, Receiving, Sending},
        ReceiveTerms, Row,
        tests::{
            house::{self, House},
            script::{self, Words, check},
        },
    },
};

fn play(house: &mut House, line: &str) -> Result<Decision, Rejection> {
    let command = script::command(house, 0, &Words::of(line));
    house.execute(0, &command)
}

#[test]
fn the_callers_words_are_part_of_the_body() {
    check(
        "
        send p1 w1 fixed=100 fee=10 note=tea tag=a
        send p1 w1 fixed=100 fee=10 note=tea tag=a
        send p1 w1 fixed=100 fee=10 note=tea
        send p1 w1 fixed=100 fee=10 note=tea tag=b
        send p1 w1 fixed=100 fee=10 tag=a
        send p1 w1 fixed=100 fee=10 note=coffee tag=a
        receive p7 w1 amount=50 tag=a
        receive p7 w1 amount=50 tag=a
        receive p7 w1 amount=50
        ",
        expect![[r#"
            send p1 w1 fixed=100 fee=10 note=tea tag=a
              + held p1 100 and fee 10, by the pool
              + attempt p1/1 on n1 until 6000
              > pay p1/1.1 on n1 fee 10 until 6000
              = w1 890 left, 110 held, net 0
            send p1 w1 fixed=100 fee=10 note=tea tag=a
            send p1 w1 fixed=100 fee=10 note=tea
              no: id_reused
            send p1 w1 fixed=100 fee=10 note=tea tag=b
              no: id_reused
            send p1 w1 fixed=100 fee=10 tag=a
              no: id_reused
            send p1 w1 fixed=100 fee=10 note=coffee tag=a
              no: id_reused
            receive p7 w1 amount=50 tag=a
              + invoice p7 on n1 until 61000
              > make invoice p7 on n1 for 50
            receive p7 w1 amount=50 tag=a
            receive p7 w1 amount=50
              no: id_reused
        "#]],
    );
}

fn pairs(count: usize, chars: usize) -> Metadata {
    let key = |number: usize| format!("{number:€<chars$}");
    (0..count).map(|number| (key(number), "€".repeat(chars))).collect()
}

#[test]
fn words_have_bounds() {
    let with = |words: &Metadata| {
        let mut house = House::open();
        let lines = ["send p1 w1 fixed=1", "receive p7 w1", "wallet w2 l1 0"];
        lines.map(|line| {
            let mut command = script::command(&house, 0, &Words::of(line));
            if let Command::Send { terms, .. } = &mut command {
                Arc::make_mut(terms).metadata = words.clone();
            } else if let Command::Receive { terms: ReceiveTerms { metadata, .. }, .. }
            | Command::CreateWallet { metadata, .. } = &mut command
            {
                *metadata = words.clone();
            }
            house.execute(0, &command).err()
        })
    };
    let zero = Metadata::from([("a".to_owned(), "\0".to_owned())]);
    assert_eq!(with(&pairs(50, 256)), [None, None, None]);
    for refused in [pairs(51, 1), pairs(1, 257), zero] {
        let refusal = Some(Rejection::MetadataOutOfRange);
        assert_eq!(with(&refused), [refusal.clone(), refusal.clone(), refusal]);
    }
    let mut house = House::open();
    assert_eq!(
        play(&mut house, &format!("send p1 w1 fixed=1 note={}", "x".repeat(640))),
        Err(Rejection::TextTooLong(639))
    );
    play(&mut house, &format!("send p1 w1 fixed=1 note={}", "x".repeat(639))).unwrap();
    assert_eq!(
        play(&mut house, &format!("rename w1 {}", "x".repeat(257))),
        Err(Rejection::TextTooLong(256))
    );
}

#[test]
fn every_status_has_its_word() {
    let mut house = House::open();
    let status = |house: &House, number| {
        let rows = house.rows[0].values().find_map(|row| match row {
            Row::Outgoing(it) if it.id == house::payment_id(number) => Some(it.status()),
            Row::Incoming(it) if it.id == house::payment_id(number) => Some(it.status()),
            Row::Outgoing(_)
            | Row::Incoming(_)
            | Row::Environment(..)
            | Row::Line(..)
            | Row::Node(..)
            | Row::Wallet(..)
            | Row::Account(..) => None,
        });
        rows.unwrap()
    };
    let steps = [
        ("send p1 w1 fixed=100 fee=0", 1, Sending),
        ("paid p1/1 amount=100 fee=0", 1, Completed),
        ("send p2 w1 fixed=100 fee=0", 2, Sending),
        ("failed p2/1 details", 2, Failed),
        ("send p3 w1 fixed=5000 fee=0", 3, Failed),
        ("receive p7 w1", 7, Generating),
        ("made p7", 7, Receiving),
        ("claim p7 B/p1 10", 7, Receiving),
        ("give-up p7", 7, Receiving),
        ("over p7 cancelled", 7, Failed),
        ("receive p8 w1", 8, Generating),
        ("made p8", 8, Receiving),
        ("over p8 cancelled", 8, Expired),
        ("receipt p8 5", 8, Completed),
        ("receive p6 w1", 6, Generating),
        ("not-made p6", 6, Failed),
    ];
    for (line, number, expected) in steps {
        play(&mut house, line).unwrap();
        assert_eq!(status(&house, number), expected, "{line}");
    }
    assert_eq!(
        house.orgs[0].outgoing[&house::payment_id(3)].state,
        OutgoingState::Refused(PaymentFailure::InsufficientFunds)
    );
}
