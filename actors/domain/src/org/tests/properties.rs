//! What holds whatever is asked and whatever the nodes say, lies and repeats included.

use proptest::prelude::*;

use crate::{
    Msat, SignedMsat, Timestamp,
    ledger::{Account, Entry, Funds},
    org::{
        Backing, Command, Decision, Effect, Event, IncomingState, Org, OutgoingState, Resolution,
        Row,
        tests::{
            any::{self, Step},
            house::{self, House},
        },
    },
    payment::Epoch,
};

/// What the organisations have told each other; delivered in any order, any number of times.
pub(super) type Post = Vec<Effect>;

pub(super) fn play(house: &mut House, post: &mut Post, step: &Step) {
    match step {
        Step::Command(org, asked) => {
            let command = asked.command(house, *org);
            execute(house, post, *org, &command);
        }
        Step::Deliver(_) if post.is_empty() => {}
        Step::Deliver(index) => {
            let (org, command) = delivery(house, &post[index.index(post.len())]);
            execute(house, post, org, &command);
        }
        Step::Load(org) => {
            house.load(*org);
            let resumed = house.orgs[*org].resume(house.now);
            send_off(post, resumed);
        }
        Step::Forget(org) => house.orgs[*org].forget_ended(house.now),
        Step::Wait(millis) => house.now = house.now.plus_millis(*millis),
    }
}

fn execute(house: &mut House, post: &mut Post, org: usize, command: &Command) {
    let before = house.orgs[org].clone();
    let Ok(Decision { events, effects }) = house.execute(org, command) else { return };
    // Nothing was decided, or it was lost to another organisation.
    if events.is_empty() {
        return send_off(post, effects);
    }
    spends_only_what_is_available(&before, &house.orgs[org], &events);
    balances(&events);
    deletes_only_what_is_empty(&before, &events);
    send_off(post, effects);
    repeat_adds_nothing(house, org, command);
}

fn send_off(post: &mut Post, effects: Vec<Effect>) {
    let between =
        |effect: &Effect| matches!(effect, Effect::Claim { .. } | Effect::AnswerClaim { .. });
    post.extend(effects.into_iter().filter(between));
}

fn delivery(house: &House, effect: &Effect) -> (usize, Command) {
    let index = |org| usize::from(org == house::org_id(1));
    match effect {
        Effect::Claim { payee, request, text } => {
            let seen_before = house.claim_seen(request.payer, request.payer_payment);
            (index(*payee), Command::Claim { request: *request, text: text.clone(), seen_before })
        }
        Effect::AnswerClaim { payer, payment, answer } => {
            (index(*payer), Command::ClaimAnswered { payment: *payment, answer: *answer })
        }
        Effect::Pay { .. }
        | Effect::LookUp { .. }
        | Effect::LookUpOnceLapsed { .. }
        | Effect::StopNode { .. }
        | Effect::MakeInvoice { .. }
        | Effect::CancelInvoice { .. } => unreachable!("not between organisations"),
    }
}

/// Rule 2: a hold never takes a wallet or its backing below zero.
fn spends_only_what_is_available(before: &Org, after: &Org, events: &[Event]) {
    for event in events {
        if let Event::Held { terms, amount_msat, fee_limit_msat, .. } = event {
            let old = before.wallets.get(&terms.wallet).unwrap();
            assert!(old.deleted_at.is_none(), "a deleted wallet spends nothing");
            assert!(!before.is_disabled(old.backing), "a disabled line lends nothing");
            let hold = amount_msat.checked_add(*fee_limit_msat).unwrap();
            assert!(before.spendable(old) >= hold.signed(), "over the limit");
            let new = after.wallets.get(&terms.wallet).unwrap();
            assert!(after.spendable(new) >= SignedMsat::ZERO, "below zero");
        }
    }
}

/// Nothing that is owed, owned or under way loses its wallet.
fn deletes_only_what_is_empty(before: &Org, events: &[Event]) {
    for event in events {
        if let Event::WalletDeleted { wallet: id } = event {
            let wallet = before.wallets.get(id).unwrap();
            let Funds { net_msat, held_msat, .. } = wallet.funds;
            assert_eq!((net_msat, held_msat), (SignedMsat::ZERO, Msat::ZERO));
            let mut sends = before.outgoing.values();
            assert!(!sends.any(|it| it.is_open() && it.terms.wallet == *id));
            let mut receives = before.incoming.values();
            assert!(!receives.any(|it| it.is_open() && it.terms.wallet == *id));
        }
    }
}

/// Rule 5.
fn balances(events: &[Event]) {
    for entry in events.iter().filter_map(Event::entry) {
        let postings = entry.postings().to_vec();
        assert_eq!(Entry::from_postings(entry.currency(), postings).as_ref(), Some(entry));
        assert!(entry.postings().iter().all(|posting| !posting.amount_msat.is_zero()));
    }
}

/// The same command again, with the facts as they are now, is no news.
fn repeat_adds_nothing(house: &House, org: usize, command: &Command) {
    let mut again = command.clone();
    if let Command::Claim { request, seen_before, .. } = &mut again {
        *seen_before = house.claim_seen(request.payer, request.payer_payment);
    }
    if let Ok(decision) = house.orgs[org].decide(&again, house.now) {
        assert_eq!(decision.events, [], "the same again: {again:?}");
    }
}

fn sum(amounts: impl Iterator<Item = Msat>) -> i128 {
    amounts.map(|amount| i128::from(amount.get())).sum()
}

/// The books of one organisation agree with its payments and with each other.
fn books_agree(org: &Org) {
    let total: i128 = org.accounts.values().map(|sum| i128::from(sum.get())).sum();
    assert_eq!(total, 0, "accounts sum to zero");
    for (id, wallet) in &org.wallets {
        let open = org.outgoing.values().filter(|it| it.is_open() && it.terms.wallet == *id);
        let held = sum(open.map(|payment| payment.hold_msat()));
        assert_eq!(i128::from(wallet.funds.held_msat.get()), held, "held is the open holds");
        let account = org.accounts.get(&Account::Wallet(*id)).copied().unwrap_or_default();
        assert_eq!(wallet.funds.net_msat.get(), -account.get(), "net is the wallet's account");
        let has_share = !wallet.funds.limit_msat.is_zero();
        assert!(!(has_share && wallet.deleted_at.is_some()), "a deleted wallet has no share");
    }
    let open = org.outgoing.values().filter(|payment| payment.is_open()).count();
    assert_eq!(org.open_outgoing, open);
    assert_eq!(org.open_incoming, org.incoming.values().filter(|it| it.is_open()).count());
    for (id, line) in &org.lines {
        backing_agrees(org, Backing::Line(*id), &line.funds, line.allocated_msat);
    }
    for (id, node) in &org.nodes {
        backing_agrees(org, Backing::Node(*id), &node.funds, node.allocated_msat);
    }
}

fn backing_agrees(org: &Org, backing: Backing, funds: &Funds, allocated: Msat) {
    let of = || org.wallets.values().filter(|wallet| wallet.backing == backing);
    let held = sum(of().map(|wallet| wallet.funds.held_msat));
    let net: i128 = of().map(|wallet| i128::from(wallet.funds.net_msat.get())).sum();
    assert_eq!(i128::from(funds.held_msat.get()), held, "{backing:?} holds for its wallets");
    assert_eq!(i128::from(funds.net_msat.get()), net, "{backing:?} moves with its wallets");
    let shares = sum(of().map(|wallet| wallet.funds.limit_msat));
    assert_eq!(i128::from(allocated.get()), shares, "{backing:?} knows its shares");
}

/// Nothing that is open is left to silence.
fn resumes_everything(org: &Org, now: Timestamp) {
    let about = |effect: &Effect| match effect {
        Effect::Pay { payment, .. }
        | Effect::LookUp { payment, .. }
        | Effect::LookUpOnceLapsed { payment, .. }
        | Effect::StopNode { payment, .. }
        | Effect::MakeInvoice { payment, .. }
        | Effect::CancelInvoice { payment, .. }
        | Effect::AnswerClaim { payment, .. } => *payment,
        Effect::Claim { request, .. } => request.payer_payment,
    };
    let resumed: Vec<_> = org.resume(now).iter().map(about).collect();
    for payment in org.outgoing.values().filter(|payment| payment.is_open()) {
        assert!(resumed.contains(&payment.id), "{payment:?} is forgotten");
    }
    // An open invoice waits for its payer until it has expired.
    let waits = |state| matches!(state, IncomingState::Open);
    for payment in org.incoming.values().filter(|it| it.is_open() && !waits(it.state)) {
        assert!(resumed.contains(&payment.id), "{payment:?} is forgotten");
    }
}

/// The journal replayed and the rows written on the way both give the state.
fn store_gives_the_state(house: &House, index: usize) {
    let forget = Timestamp::from_millis(i64::MAX);
    let mut state = house.orgs[index].clone();
    let mut replayed = Org::new(state.id, state.epoch);
    for (at, event) in &house.journals[index] {
        replayed.apply(event, *at);
    }
    let mut all = Org::from_rows(state.id, state.epoch, house.rows[index].values().cloned());
    let journaled: Vec<Row> = replayed.rows();
    assert_eq!(journaled, house.rows[index].values().cloned().collect::<Vec<_>>());
    let open = Org::from_rows(state.id, state.epoch, state.rows().into_iter().filter(is_open));
    for org in [&mut state, &mut replayed, &mut all] {
        org.forget_ended(forget);
    }
    assert_eq!(replayed, state);
    assert_eq!(all, state);
    assert_eq!(open, state);
}

fn is_open(row: &Row) -> bool {
    match row {
        Row::Outgoing(payment) => payment.is_open(),
        Row::Incoming(payment) => payment.is_open(),
        Row::Environment(..)
        | Row::Line(..)
        | Row::Node(..)
        | Row::Wallet(..)
        | Row::Account(..) => true,
    }
}

/// What one organisation was debited inside the platform another was credited, or will be: a payer
/// whose payee has credited never gets its hold back.
fn clearing_agrees(house: &House) {
    let clearing = |org: &Org| {
        i128::from(org.accounts.get(&Account::Clearing).copied().unwrap_or_default().get())
    };
    let under_way = house.orgs.iter().enumerate().flat_map(|(index, org)| {
        let theirs = &house.rows[1 - index];
        org.outgoing.values().filter(|payment| payment.is_open()).filter(move |payment| {
            theirs.values().any(|row| match row {
                Row::Incoming(incoming) => matches!(incoming.state,
                    IncomingState::PaidInternally(by)
                        if by.payment == payment.id && by.payer == house::org_id(index)),
                Row::Environment(..)
                | Row::Line(..)
                | Row::Node(..)
                | Row::Wallet(..)
                | Row::Account(..)
                | Row::Outgoing(_) => false,
            })
        })
    });
    let under_way = sum(under_way.map(|payment| payment.amount_msat));
    assert_eq!(house.orgs.iter().map(clearing).sum::<i128>(), under_way);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 120,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_arrives_the_books_agree(steps in prop::collection::vec(any::step(), 0..100)) {
        let (mut house, mut post) = (House::open(), Post::new());
        for step in &steps {
            play(&mut house, &mut post, step);
            for org in &house.orgs {
                books_agree(org);
                resumes_everything(org, house.now);
            }
            clearing_agrees(&house);
        }
        store_gives_the_state(&house, 0);
        store_gives_the_state(&house, 1);
    }
}

/// The generator is worth something only if it gets everywhere.
#[test]
fn the_steps_reach_every_state() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut outgoing, mut incoming) = ([0; 4], [0; 9]);
    let (mut contradicted, mut resolved) = (0, [0; 2]);
    for _ in 0..160 {
        let (mut house, mut post) = (House::open(), Post::new());
        let steps =
            prop::collection::vec(any::step(), 100).new_tree(&mut runner).unwrap().current();
        steps.iter().for_each(|step| play(&mut house, &mut post, step));
        for row in house.rows.iter().flat_map(|rows| rows.values()) {
            if let Row::Outgoing(payment) = row {
                contradicted += usize::from(payment.contradicted);
                if let Some(told) = &payment.resolved {
                    resolved[usize::from(told.resolution == Resolution::Failed)] += 1;
                }
                outgoing[match payment.state {
                    OutgoingState::Refused(_) => 0,
                    OutgoingState::InFlight => 1,
                    OutgoingState::Posted { .. } => 2,
                    OutgoingState::Voided(_) => 3,
                }] += 1;
            }
            if let Row::Incoming(payment) = row {
                incoming[match payment.state {
                    IncomingState::Generating => 0,
                    IncomingState::Open => 1,
                    IncomingState::Claimed(_) => 2,
                    IncomingState::Withdrawn(_) => 3,
                    IncomingState::Paid => 4,
                    IncomingState::PaidInternally(_) => 5,
                    IncomingState::Expired => 6,
                    IncomingState::Failed => 7,
                    IncomingState::Cancelling => 8,
                }] += 1;
            }
        }
    }
    assert!(contradicted > 0);
    assert!(resolved.iter().all(|count| *count > 0), "{resolved:?}");
    assert!(outgoing.iter().all(|count| *count > 0), "{outgoing:?}");
    assert!(incoming.iter().all(|count| *count > 0), "{incoming:?}");
}

#[test]
fn a_load_moves_the_epoch() {
    let mut house = House::open();
    house.load(0);
    assert_eq!(house.orgs[0].epoch, Epoch(2));
}
