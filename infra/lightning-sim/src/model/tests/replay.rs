//! Whatever was done, the log replayed gives the state, and no msat is made or lost.

use proptest::prelude::*;

use super::super::{testing::*, *};

const NAMES: [&str; 4] = ["pool", "alice", "hub", "bob"];
const MARKERS: [&str; 14] = [
    "",
    "sim:no_route",
    "sim:timeout:700",
    "sim:incorrect_payment_details",
    "sim:stuck",
    "sim:late_success:400",
    "sim:stream_cut",
    "sim:slow:900",
    "sim:late_request:300",
    "sim:handler_stall:200",
    "sim:fail_then_success:500",
    "sim:fee_above_limit",
    "sim:twice",
    "sim:snapshot:copy",
];

#[derive(Clone, Debug)]
enum Step {
    Invoice { node: usize, msat: u64, marker: usize, hold: bool },
    Pay { node: usize, invoice: usize },
    Settle { invoice: usize },
    Cancel { invoice: usize },
    Release { node: usize, invoice: usize, fail: bool },
    Pass { ms: u64 },
    Fault { node: usize, fault: &'static str },
    Clear { node: usize },
    Restart { node: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..NAMES.len();
    let invoice = 0usize..24;
    prop_oneof![
        4 => (node.clone(), 0u64..3_000_000, 0..MARKERS.len(), prop::bool::weighted(0.2)).prop_map(
            |(node, msat, marker, hold)| Step::Invoice { node, msat, marker, hold }),
        8 => (node.clone(), invoice.clone()).prop_map(|(node, invoice)| Step::Pay { node, invoice }),
        1 => invoice.clone().prop_map(|invoice| Step::Settle { invoice }),
        1 => invoice.clone().prop_map(|invoice| Step::Cancel { invoice }),
        1 => (node.clone(), invoice, any::<bool>())
            .prop_map(|(node, invoice, fail)| Step::Release { node, invoice, fail }),
        3 => (0u64..2_000).prop_map(|ms| Step::Pass { ms }),
        1 => (node.clone(), prop::sample::select(vec![
            "clock:-5000", "clock:70000", "restore:copy", "node_down", "stuck", "slow:100",
        ])).prop_map(|(node, fault)| Step::Fault { node, fault }),
        1 => node.clone().prop_map(|node| Step::Clear { node }),
        1 => node.prop_map(|node| Step::Restart { node }),
    ]
}

fn preimage(number: usize) -> Preimage {
    Preimage::new([u8::try_from(number % 251).unwrap(); 32])
}

fn play(bench: &mut Bench, step: Step, invoices: &mut Vec<(usize, Invoice)>) {
    let at = |of: &[(usize, Invoice)], number: usize| of.get(number % of.len().max(1)).cloned();
    match step {
        Step::Invoice { node, msat, marker, hold } => {
            let new = NewInvoice {
                memo: MARKERS[marker].to_owned(),
                value: Msat::new(msat),
                hash: hold.then(|| preimage(invoices.len()).hash()),
                expiry_seconds: 60,
                ..NewInvoice::default()
            };
            let id = bench.id(NAMES[node]);
            if let Ok(invoice) = bench.act(|net, now| net.add_invoice(now, id, new)) {
                invoices.push((node, invoice));
            }
        }
        Step::Pay { node, invoice } => {
            if let Some((_, invoice)) = at(invoices, invoice) {
                let any = if invoice.value.is_zero() { Msat::new(777) } else { Msat::ZERO };
                bench.send(NAMES[node], SendRequest { amount: any, ..request(&invoice) });
            }
        }
        Step::Settle { invoice } if !invoices.is_empty() => {
            let number = invoice % invoices.len();
            let id = bench.id(NAMES[invoices[number].0]);
            drop(bench.act(|net, now| net.settle_invoice(now, id, preimage(number))));
        }
        Step::Settle { .. } => {}
        Step::Cancel { invoice } => {
            if let Some((node, invoice)) = at(invoices, invoice) {
                let id = bench.id(NAMES[node]);
                drop(bench.act(|net, now| net.cancel_invoice(now, id, invoice.hash)));
            }
        }
        Step::Release { node, invoice, fail } => {
            if let Some((_, invoice)) = at(invoices, invoice) {
                let (id, hash) = (bench.id(NAMES[node]), invoice.hash);
                drop(bench.act(|net, now| match fail {
                    true => net.release_failed(now, id, hash),
                    false => net.release(now, id, hash),
                }));
            }
        }
        Step::Pass { ms } => bench.pass(ms),
        Step::Fault { node, fault } => {
            let id = bench.id(NAMES[node]);
            let fault = fault.parse().unwrap();
            let setting = Setting { fault, times_left: Some(2), ppm: 500_000, seed: 11, draws: 0 };
            drop(bench.act(|net, now| net.set_fault(now, id, setting)));
        }
        Step::Clear { node } => bench.clear(NAMES[node]),
        Step::Restart { node } => {
            let id = bench.id(NAMES[node]);
            bench.act(|net, now| net.restart(now, id));
        }
    }
}

fn replayed(log: &[Event]) -> Network {
    let mut again = Network::new(Chain::Regtest);
    for event in log {
        // Through the bytes of the log.
        let bytes = postcard::to_stdvec(event).unwrap();
        again.replay(&postcard::from_bytes(&bytes).unwrap());
    }
    again
}

fn total(state: &State) -> u64 {
    state.channels.iter().map(|channel| channel.capacity().get()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_log_replayed_is_the_state(steps in prop::collection::vec(step(), 0..80)) {
        let mut bench = network();
        let money = total(bench.net.state());
        let mut invoices = Vec::new();
        for step in steps {
            play(&mut bench, step, &mut invoices);
        }
        prop_assert_eq!(total(bench.net.state()), money);
        let mut again = replayed(&bench.log);
        prop_assert_eq!(again.state(), bench.net.state());

        // A new life brings everything to an end that time alone can bring there, and all HTLCs are
        // then stuck or held.
        again.start(bench.now);
        again.advance(bench.now.after_ms(60_000_000_000));
        for flight in again.state().flights.values() {
            prop_assert_eq!(flight.verdict, super::super::state::Verdict::Stuck);
        }
        prop_assert_eq!(total(again.state()), money);
        for node in &again.state().nodes {
            for payment in node.database.payments.values() {
                prop_assert!(payment.state != PaymentState::Initiated, "{:?}", payment);
            }
            let open = node.database.invoices.values().any(|of| of.state == InvoiceState::Open);
            prop_assert!(!open);
        }
    }
}
