//! What a restore has found, and what a thaw has ended, on the wire and back.

use domain::{Msat, PaymentHash};
use ports::restore::{Difference, RestoreReport, Restoring, Step, Thawing};
use proto::{
    convert::{
        WireError,
        engine::{exactly, id_bytes, optional_id},
    },
    engine::v1::{self, difference, thaw_response as thawed},
};

pub(crate) fn of_wish(how: Restoring) -> v1::RestoreRequest {
    v1::RestoreRequest { apply: how == Restoring::Apply }
}

pub(crate) fn read_wish(request: v1::RestoreRequest) -> Restoring {
    match request.apply {
        true => Restoring::Apply,
        false => Restoring::DryRun,
    }
}

pub(crate) fn of_thaw(how: Thawing) -> v1::ThawRequest {
    v1::ThawRequest { anyway: how == Thawing::Anyway }
}

pub(crate) fn read_thaw(request: v1::ThawRequest) -> Thawing {
    match request.anyway {
        true => Thawing::Anyway,
        false => Thawing::OnceSafe,
    }
}

pub(crate) fn of_thawed(was_frozen: Option<String>) -> v1::ThawResponse {
    let was = match was_frozen {
        Some(why) => thawed::Was::Frozen(why),
        None => thawed::Was::NotFrozen(v1::Done {}),
    };
    v1::ThawResponse { was: Some(was) }
}

pub(crate) fn read_thawed(response: v1::ThawResponse) -> Option<String> {
    match response.was {
        Some(thawed::Was::Frozen(why)) => Some(why),
        Some(thawed::Was::NotFrozen(v1::Done {})) => None,
        // It thaws whatever there is.
        None => Some("an engine of an older version does not say why, or whether".to_owned()),
    }
}

pub(crate) fn of_report(report: RestoreReport) -> v1::RestoreResponse {
    v1::RestoreResponse {
        frozen: report.frozen,
        nodes: report.nodes,
        in_flight: report.in_flight,
        differences: report.differences.into_iter().map(of_difference).collect(),
    }
}

fn of_difference(it: Difference) -> v1::Difference {
    let step = match it.step {
        Step::Due => difference::Step::Due,
        Step::Done => difference::Step::Done,
        Step::Person => difference::Step::Person,
    };
    v1::Difference {
        code: it.code.into_owned(),
        step: step.into(),
        organisation_id: it.org.map(id_bytes),
        payment_id: it.payment.map(id_bytes),
        node_id: it.node.map(id_bytes),
        hash: it.hash.map(|hash| hash.0.to_vec()),
        amount_msat: it.amount_msat.map(Msat::get),
        fee_msat: it.fee_msat.map(Msat::get),
        text: it.text,
    }
}

pub(crate) fn read_report(report: v1::RestoreResponse) -> Result<RestoreReport, WireError> {
    let differences = report.differences.into_iter().map(read_difference);
    Ok(RestoreReport {
        frozen: report.frozen,
        nodes: report.nodes,
        in_flight: report.in_flight,
        differences: differences.collect::<Result<_, WireError>>()?,
    })
}

fn read_difference(it: v1::Difference) -> Result<Difference, WireError> {
    let step = match difference::Step::try_from(it.step) {
        Ok(difference::Step::Due) => Step::Due,
        Ok(difference::Step::Done) => Step::Done,
        Ok(difference::Step::Person) => Step::Person,
        Ok(difference::Step::Unspecified) | Err(_) => return Err(WireError::Missing("step")),
    };
    let amount = |field, msat: Option<u64>| {
        msat.map(|msat| Msat::new(msat).ok_or(WireError::Amount(field))).transpose()
    };
    let hash = it.hash.map(|hash| exactly("hash", &hash).map(PaymentHash));
    Ok(Difference {
        code: it.code.into(),
        step,
        org: optional_id("organisation_id", it.organisation_id)?,
        payment: optional_id("payment_id", it.payment_id)?,
        node: optional_id("node_id", it.node_id)?,
        hash: hash.transpose()?,
        amount_msat: amount("amount_msat", it.amount_msat)?,
        fee_msat: amount("fee_msat", it.fee_msat)?,
        text: it.text,
    })
}

#[cfg(test)]
mod tests {
    use domain::{NodeId, OrgId, PaymentId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_thaw_survives() {
        for how in [Thawing::OnceSafe, Thawing::Anyway] {
            assert_eq!(read_thaw(of_thaw(how)), how);
        }
        for was in [Some("why".to_owned()), None] {
            assert_eq!(read_thawed(of_thawed(was.clone())), was);
        }
        let older = read_thawed(v1::ThawResponse::default());
        assert!(older.is_some_and(|why| why.contains("an older version")));
    }

    #[test]
    fn a_report_survives() {
        let whole = Difference {
            code: "open_payment_paid".into(),
            step: Step::Due,
            org: Some(OrgId::new(Uuid::from_u128(1))),
            payment: Some(PaymentId::new(Uuid::from_u128(2))),
            node: Some(NodeId::new(Uuid::from_u128(3))),
            hash: Some(PaymentHash([4; 32])),
            amount_msat: Msat::new(5),
            fee_msat: Some(Msat::ZERO),
            text: "its node has paid it".to_owned(),
        };
        let done = Difference { step: Step::Done, ..whole.clone() };
        let bare = Difference {
            step: Step::Person,
            org: None,
            payment: None,
            node: None,
            hash: None,
            amount_msat: None,
            fee_msat: None,
            ..whole.clone()
        };
        let report = RestoreReport {
            frozen: Some("why".to_owned()),
            nodes: 2,
            in_flight: 3,
            differences: vec![whole, done, bare],
        };
        assert_eq!(read_report(of_report(report.clone())), Ok(report));
        for how in [Restoring::DryRun, Restoring::Apply] {
            assert_eq!(read_wish(of_wish(how)), how);
        }
        let empty = v1::RestoreResponse::default();
        assert_eq!(read_report(empty), Ok(RestoreReport::default()));
    }
}
