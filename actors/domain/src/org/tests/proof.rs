//! Honest nodes, a slow network, crashes and loads: no payment is ever paid twice (rules 11 and 13).
//!
//! Each node runs a hash again after it has failed, as LND does; a request arrives when it likes, or
//! never; its permission lapses by the node's clock; answers are late, lost, and come twice.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use crate::{
    NodeId, Timestamp,
    lightning::{FailureId, FailureReason},
    org::{
        Command, Decision, Effect, Event, Metadata, OutgoingState, Payee, SendFacts, SendTerms,
        tests::house::{self, House},
    },
    payment::{Finding, LookUp},
};

#[derive(Clone, Debug)]
enum Step {
    /// A request reaches its node.
    Arrive(prop::sample::Index),
    /// A request was dropped before it left.
    Drop(prop::sample::Index),
    /// The server refuses a request before it makes a record.
    Refuse(prop::sample::Index),
    /// A node ends what it has in flight.
    End {
        index: prop::sample::Index,
        success: bool,
    },
    /// A request's own stream brings its end, if it has one.
    Stream(prop::sample::Index),
    LookUp(prop::sample::Index),
    /// One of the latest reports is delivered, or any at all once more.
    Deliver(prop::sample::Index),
    Repeat(prop::sample::Index),
    /// Nothing was heard for a while: the node is asked at once, or some time.
    Ask,
    Drive,
    Load,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let any = any::<prop::sample::Index>;
    prop_oneof![
        6 => any().prop_map(Step::Arrive),
        1 => any().prop_map(Step::Drop),
        1 => any().prop_map(Step::Refuse),
        4 => (any(), prop::bool::weighted(0.15))
            .prop_map(|(index, success)| Step::End { index, success }),
        4 => any().prop_map(Step::Stream),
        4 => any().prop_map(Step::LookUp),
        8 => any().prop_map(Step::Deliver),
        2 => any().prop_map(Step::Repeat),
        6 => Just(Step::Ask),
        1 => Just(Step::Drive),
        1 => Just(Step::Load),
        2 => (0..3_000_i64).prop_map(Step::Wait),
    ]
}

/// What a node has on record for the one hash of this test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Record {
    InFlight,
    Failed(FailureId),
    Succeeded,
}

/// A request that was taken by the node: its own stream sees how that run ends.
struct Taken {
    pay: Effect,
    run: u64,
}

struct World {
    house: House,
    records: BTreeMap<NodeId, Record>,
    /// How often a node has begun to pay; the identity of its latest run.
    runs: u64,
    run_of: BTreeMap<NodeId, u64>,
    ended: BTreeMap<u64, Record>,
    successes: u32,
    travelling: Vec<Effect>,
    taken: Vec<Taken>,
    look_ups: Vec<Effect>,
    reports: Vec<Command>,
}

const PAYMENT: u8 = 1;

impl World {
    fn open() -> World {
        let mut world = World {
            house: House::open(),
            records: BTreeMap::new(),
            runs: 0,
            run_of: BTreeMap::new(),
            ended: BTreeMap::new(),
            successes: 0,
            travelling: Vec::new(),
            taken: Vec::new(),
            look_ups: Vec::new(),
            reports: Vec::new(),
        };
        let invoice =
            house::invoice(PAYMENT, Some(house::msat(100)), Timestamp::from_millis(3_600_000));
        let send = Command::Send {
            payment: house::payment_id(PAYMENT),
            facts: Box::new(SendFacts {
                hash_taken: false,
                payee: Payee::Outside,
                plan: [1, 2, 3].map(house::node_id).to_vec(),
                older_failures: Vec::new(),
                permitted_until: world.house.permitted_until(),
                network: invoice.network,
                default_fee_ppm: 10_000,
                default_fee_min_msat: house::msat(5),
            }),
            terms: Arc::new(SendTerms {
                wallet: house::wallet_id(1),
                invoice,
                amount_msat: None,
                fee_limit_msat: Some(10),
                description: None,
                metadata: Metadata::new(),
            }),
        };
        world.execute(&send);
        world
    }

    fn execute(&mut self, command: &Command) {
        let Decision { events, effects } = self.house.execute(0, command).unwrap();
        let lies = events.iter().any(|event| matches!(event, Event::Contradicted { .. }));
        assert!(!lies, "the nodes are honest");
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Pay { .. } => self.travelling.push(effect),
                Effect::LookUp { .. } | Effect::LookUpOnceLapsed { .. } => {
                    self.look_ups.push(effect);
                }
                Effect::StopNode { .. }
                | Effect::MakeInvoice { .. }
                | Effect::CancelInvoice { .. }
                | Effect::Claim { .. }
                | Effect::AnswerClaim { .. } => unreachable!("not about sending: {effect:?}"),
            }
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Arrive(index) => self.take(index).into_iter().for_each(|pay| self.arrive(pay)),
            Step::Drop(index) => {
                let dropped = self.take(index);
                dropped.into_iter().for_each(|pay| self.report(&pay, Finding::NeverLeft));
            }
            Step::Refuse(index) => self.take(index).into_iter().for_each(|pay| {
                let finding = self.seen(about(&pay).0, false, true);
                self.report(&pay, finding);
            }),
            Step::End { index, success } => {
                let paying = self.records.iter().filter(|(_, it)| **it == Record::InFlight);
                let paying: Vec<_> = paying.map(|(node, _)| *node).collect();
                if !paying.is_empty() {
                    self.end(paying[index.index(paying.len())], *success);
                }
            }
            Step::Stream(index) => self.stream(index),
            Step::LookUp(index) if !self.look_ups.is_empty() => {
                self.look_up(index.index(self.look_ups.len()));
            }
            Step::LookUp(_) => {}
            Step::Deliver(index) => {
                let latest = self.reports.len().saturating_sub(3);
                self.deliver(latest, index);
            }
            Step::Repeat(index) => self.deliver(0, index),
            Step::Ask => {
                let asked = self.look_ups.len();
                self.execute(&Command::Drive { payment: house::payment_id(PAYMENT) });
                if self.look_ups.len() > asked {
                    self.look_up(asked);
                }
            }
            Step::Drive => self.execute(&Command::Drive { payment: house::payment_id(PAYMENT) }),
            Step::Load => {
                // What is under way lives on: another pod, or a slow socket.
                self.house.load(0);
                let resumed = self.house.orgs[0].resume(self.house.now);
                self.perform(resumed);
            }
            Step::Wait(millis) => self.house.now = self.house.now.plus_millis(*millis),
        }
    }

    fn deliver(&mut self, from: usize, index: &prop::sample::Index) {
        let count = self.reports.len() - from;
        if count > 0 {
            let report = self.reports[from + index.index(count)].clone();
            self.execute(&report);
        }
    }

    fn take(&mut self, index: &prop::sample::Index) -> Option<Effect> {
        let count = self.travelling.len();
        (count > 0).then(|| self.travelling.swap_remove(index.index(count)))
    }

    fn arrive(&mut self, pay: Effect) {
        let (node, until) = about(&pay);
        if self.house.now >= until {
            return self.report(&pay, Finding::PermissionLapsed);
        }
        if let None | Some(Record::Failed(_)) = self.records.get(&node) {
            self.runs += 1;
            self.records.insert(node, Record::InFlight);
            self.run_of.insert(node, self.runs);
            self.taken.push(Taken { pay, run: self.runs });
            return;
        }
        // Already there: the caller looks it up.
        let finding = self.seen(node, false, false);
        self.report(&pay, finding);
    }

    fn end(&mut self, node: NodeId, success: bool) {
        if self.records.get(&node) != Some(&Record::InFlight) {
            return;
        }
        let run = self.run_of[&node];
        let record = match success {
            true => Record::Succeeded,
            false => Record::Failed(FailureId { payment_index: run, creation_time_ns: 0 }),
        };
        self.successes += u32::from(success);
        self.records.insert(node, record);
        self.ended.insert(run, record);
    }

    fn stream(&mut self, index: &prop::sample::Index) {
        if self.taken.is_empty() {
            return;
        }
        let Taken { pay, run } = &self.taken[index.index(self.taken.len())];
        let Some(record) = self.ended.get(run) else { return };
        let finding = match *record {
            Record::Failed(failure) => Finding::FailedOnStream {
                reason: FailureReason::NoRoute,
                failure,
                after_update: true,
            },
            Record::Succeeded | Record::InFlight => paid(),
        };
        self.report(&pay.clone(), finding);
    }

    fn look_up(&mut self, index: usize) {
        let (node, until) = about(&self.look_ups[index]);
        let lapsed = matches!(self.look_ups[index], Effect::LookUpOnceLapsed { .. });
        if lapsed && self.house.now < until {
            return;
        }
        let look_up = self.look_ups.swap_remove(index);
        let finding = self.seen(node, lapsed, false);
        self.report(&look_up, finding);
    }

    fn seen(&self, node: NodeId, lapsed: bool, refused: bool) -> Finding {
        let seen = match self.records.get(&node) {
            Some(Record::Succeeded) => return paid(),
            None => LookUp::NotFound,
            Some(Record::InFlight) => LookUp::InFlight,
            Some(Record::Failed(failure)) => {
                LookUp::Failed { reason: FailureReason::NoRoute, failure: *failure }
            }
        };
        Finding::LookedUp { seen, lapsed, refused }
    }

    fn report(&mut self, effect: &Effect, finding: Finding) {
        let (payment, attempt, request) = match effect {
            Effect::Pay { payment, attempt, request, .. }
            | Effect::LookUp { payment, attempt, request, .. }
            | Effect::LookUpOnceLapsed { payment, attempt, request, .. } => {
                (*payment, *attempt, *request)
            }
            Effect::StopNode { .. }
            | Effect::MakeInvoice { .. }
            | Effect::CancelInvoice { .. }
            | Effect::Claim { .. }
            | Effect::AnswerClaim { .. } => unreachable!("not about sending: {effect:?}"),
        };
        let permitted_until = self.house.permitted_until();
        self.reports.push(Command::Report { payment, attempt, request, finding, permitted_until });
    }

    fn state(&self) -> OutgoingState {
        let row = crate::org::RowKey::Outgoing(house::payment_id(PAYMENT));
        match self.house.rows[0].get(&row) {
            Some(crate::org::Row::Outgoing(payment)) => payment.state,
            Some(other) => panic!("{other:?} under the key of a payment"),
            None => panic!("the payment was held"),
        }
    }

    /// However it got here: with a patient network the payment comes to its one true end.
    fn come_to_an_end(&mut self) {
        for _ in 0..200 {
            if !matches!(self.state(), OutgoingState::InFlight) {
                return;
            }
            self.house.now = self.house.now.plus_millis(house::LEASE_MS * 2);
            std::mem::take(&mut self.travelling).into_iter().for_each(|pay| self.arrive(pay));
            (1..4).for_each(|number| self.end(house::node_id(number), false));
            self.reports.clear();
            (0..self.look_ups.len()).for_each(|_| self.look_up(0));
            let latest = self.reports.clone();
            latest.iter().for_each(|report| self.execute(report));
            self.execute(&Command::Drive { payment: house::payment_id(PAYMENT) });
        }
        panic!("the payment is stuck");
    }
}

/// The node and, of a permission, its end.
fn about(effect: &Effect) -> (NodeId, Timestamp) {
    match effect {
        Effect::Pay { node, until, .. } | Effect::LookUpOnceLapsed { node, until, .. } => {
            (*node, *until)
        }
        Effect::LookUp { node, .. } => (*node, Timestamp::default()),
        Effect::StopNode { .. }
        | Effect::MakeInvoice { .. }
        | Effect::CancelInvoice { .. }
        | Effect::Claim { .. }
        | Effect::AnswerClaim { .. } => unreachable!("not about sending: {effect:?}"),
    }
}

fn paid() -> Finding {
    Finding::Paid {
        preimage: house::preimage(PAYMENT),
        amount_msat: house::msat(100),
        fee_msat: house::msat(3),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rule_13_honest_nodes_never_pay_twice(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::open();
        for step in &steps {
            world.play(step);
            let open = world.records.values().filter(|record| **record == Record::InFlight).count();
            prop_assert!(world.successes as usize + open <= 1, "two nodes pay");
            match world.state() {
                OutgoingState::InFlight => {}
                OutgoingState::Posted { .. } => prop_assert_eq!(world.successes, 1),
                OutgoingState::Voided(_) => prop_assert_eq!(world.successes, 0),
                OutgoingState::Refused(_) => prop_assert!(false, "it was held"),
            }
        }
        world.come_to_an_end();
        let posted = matches!(world.state(), OutgoingState::Posted { .. });
        prop_assert_eq!(posted, world.successes == 1);
    }
}
