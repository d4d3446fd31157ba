use tonic_lnd::lnrpc::{HtlcAttempt, Route};

use super::*;

const HASH: PaymentHash = PaymentHash([1; 32]);

fn part(status: HtlcStatus, total_amt_msat: i64) -> HtlcAttempt {
    let route = Some(Route { total_amt_msat, ..Default::default() });
    HtlcAttempt { status: status.into(), route, ..Default::default() }
}

fn paid(htlcs: Vec<HtlcAttempt>) -> Payment {
    Payment {
        payment_hash: HASH.to_string(),
        status: PaymentStatus::Succeeded.into(),
        payment_preimage: "02".repeat(32),
        value_msat: 10_000,
        fee_msat: 30,
        htlcs,
        ..Default::default()
    }
}

fn told_cost(payment: &Payment) -> (u64, u64) {
    let Some(PayUpdate::Succeeded { preimage, amount_msat, fee_msat }) = update(payment) else {
        panic!("it was paid")
    };
    assert_eq!(preimage, Preimage([2; 32]));
    (amount_msat.get(), fee_msat.get())
}

#[test]
fn what_is_booked_is_what_left_in_settled_parts() {
    let parts = vec![
        part(HtlcStatus::Succeeded, 4_010),
        part(HtlcStatus::Failed, 10_030),
        part(HtlcStatus::Succeeded, 6_020),
    ];
    assert_eq!(told_cost(&paid(parts)), (10_000, 30));
    assert_eq!(told_cost(&paid(Vec::new())), (10_000, 30), "without routes");
    assert_eq!(told_cost(&paid(vec![part(HtlcStatus::Succeeded, 10_500)])), (10_000, 500), "more");
    assert_eq!(told_cost(&paid(vec![part(HtlcStatus::Succeeded, 9_000)])), (10_000, 30), "less");
}

#[test]
fn success_without_proof_says_nothing() {
    for preimage in ["", "02", "zz"] {
        let payment = Payment { payment_preimage: preimage.to_owned(), ..paid(Vec::new()) };
        assert_eq!(update(&payment), None);
        assert!(matches!(read(&payment, HASH), Err(PayError::Lost(_))));
    }
    let negative = Payment { value_msat: -1, ..paid(Vec::new()) };
    assert_eq!(update(&negative), None);
    let other = Payment { payment_hash: "07".repeat(32), ..paid(Vec::new()) };
    assert!(matches!(read(&other, HASH), Err(PayError::Lost(_))));
}

/// A preimage, a reason, a part that failed: none of them ends a payment.
#[test]
fn only_two_states_are_terminal() {
    for status in [0, 1, 4, 99, -1] {
        let payment = Payment {
            status,
            failure_reason: PaymentFailureReason::FailureReasonTimeout.into(),
            ..paid(vec![part(HtlcStatus::Failed, 1)])
        };
        assert_eq!(update(&payment), Some(PayUpdate::InFlight), "{status}");
    }
}

#[test]
fn reasons() {
    for (wire, ours) in [
        (0, FailureReason::Error),
        (1, FailureReason::Timeout),
        (2, FailureReason::NoRoute),
        (3, FailureReason::Error),
        (4, FailureReason::IncorrectPaymentDetails),
        (5, FailureReason::InsufficientBalance),
        (6, FailureReason::Canceled),
        (99, FailureReason::Error),
    ] {
        let payment = Payment {
            status: PaymentStatus::Failed.into(),
            failure_reason: wire,
            payment_index: 7,
            creation_time_ns: 8,
            ..Default::default()
        };
        let failure = FailureId { payment_index: 7, creation_time_ns: 8 };
        assert_eq!(update(&payment), Some(PayUpdate::Failed { reason: ours, failure }));
    }
}
