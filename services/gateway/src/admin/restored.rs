//! What a restore has found, for the operator.

use domain::Msat;
use ports::restore::{Difference, RestoreReport, Step};
use proto::{
    admin::v1::{self, difference},
    convert::hex,
};

use super::installation::count;
use crate::limits;

pub(super) fn told(report: RestoreReport) -> v1::RestoreResponse {
    let thaw_is_safe = report.thaw_is_safe();
    let of = |step| count(report.differences.iter().filter(|it| it.step == step).count());
    let (due, done, left_for_a_person) = (of(Step::Due), of(Step::Done), of(Step::Person));
    let differences_total = count(report.differences.len());
    let listed = report.differences.into_iter().take(limits::FINDINGS_MAX);
    v1::RestoreResponse {
        differences: listed.map(difference).collect(),
        differences_total,
        due,
        done,
        left_for_a_person,
        thaw_is_safe,
        frozen: report.frozen.unwrap_or_default(),
        nodes: report.nodes,
        in_flight: report.in_flight,
    }
}

fn difference(it: Difference) -> v1::Difference {
    let step = match it.step {
        Step::Due => difference::Step::Due,
        Step::Done => difference::Step::Done,
        Step::Person => difference::Step::Person,
    };
    v1::Difference {
        code: it.code.into_owned(),
        step: step.into(),
        organisation_id: it.org.map(|org| org.to_string()).unwrap_or_default(),
        payment_id: it.payment.map(|payment| payment.to_string()).unwrap_or_default(),
        node_id: it.node.map(|node| node.to_string()).unwrap_or_default(),
        payment_hash: it.hash.map(|hash| hex(&hash.0)).unwrap_or_default(),
        amount_msat: it.amount_msat.map(Msat::get),
        fee_msat: it.fee_msat.map(Msat::get),
        message: it.text,
    }
}
