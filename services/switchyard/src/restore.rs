//! `switchyard restore`: after a database or a node was restored, the nodes' records against the ledger.

use std::time::Duration;

use bootstrap::Exit;
use clap::Args;
use proto::admin::v1::{self as admin, difference::Step};
use serde_json::{Value, json};

use crate::{
    client::{self, Connection},
    failure::Failure,
    names::some,
    output::Output,
    show::{facts, sat},
};

/// It reads everything there is, twice.
const RESTORES_WITHIN: Duration = Duration::from_secs(3_600);

#[derive(Args)]
pub(crate) struct Restore {
    /// Do it, instead of only telling what would be done. Safe to repeat.
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    to: Connection,
}

impl Restore {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let request = admin::RestoreRequest { apply: self.apply };
        let answer = client::change_within(to.installation.restore(request), RESTORES_WITHIN).await;
        let report = match self.apply {
            true => answer?,
            false => answer.map_err(client::of_a_read)?,
        };
        let document = json!({
            "applied": self.apply,
            "differences": report.differences.iter().map(difference).collect::<Vec<_>>(),
            "differences_total": report.differences_total,
            "due": report.due,
            "done": report.done,
            "left_for_a_person": report.left_for_a_person,
            "thaw_is_safe": report.thaw_is_safe,
            "frozen": some(&report.frozen),
            "nodes": report.nodes,
            "in_flight": report.in_flight,
        });
        out.answer(&document, || text(&report, self.apply));
        let agreed = report.thaw_is_safe && report.left_for_a_person == 0;
        Ok(if agreed { Exit::Done } else { Exit::AuditFindings })
    }
}

fn difference(it: &admin::Difference) -> Value {
    json!({
        "code": it.code,
        "step": name(it.step()),
        "organisation_id": some(&it.organisation_id),
        "payment_id": some(&it.payment_id),
        "node_id": some(&it.node_id),
        "payment_hash": some(&it.payment_hash),
        "amount_msat": it.amount_msat,
        "fee_msat": it.fee_msat,
        "message": it.message,
    })
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Unspecified => "unspecified",
        Step::Due => "due",
        Step::Done => "done",
        Step::Person => "person",
    }
}

fn text(report: &admin::RestoreResponse, applied: bool) -> String {
    let mut text = String::new();
    for it in &report.differences {
        text += &format!("{} ({}): {}\n", it.code, name(it.step()), it.message);
        text += &facts(&[
            ("  organisation", it.organisation_id.clone()),
            ("  payment", it.payment_id.clone()),
            ("  node", it.node_id.clone()),
            ("  hash", it.payment_hash.clone()),
            ("  amount", it.amount_msat.map(sat).unwrap_or_default()),
            ("  fee", it.fee_msat.map(sat).unwrap_or_default()),
        ]);
    }
    text += &format!(
        "read {} nodes: {} differences due, {} done, {} left for a person; {} payments in flight go on\n",
        report.nodes, report.due, report.done, report.left_for_a_person, report.in_flight
    );
    text += match (report.frozen.is_empty(), report.thaw_is_safe, applied) {
        (true, true, _) => "sends are not frozen\n",
        (true, false, false) => {
            "sends are not frozen; `switchyard restore --apply` does what is due\n"
        }
        (false, true, _) => {
            "sends are frozen; `switchyard thaw` is safe now: nothing is paid twice\n"
        }
        (false, false, false) => {
            "sends are frozen; `switchyard thaw` is not safe yet: first `switchyard restore --apply`\n"
        }
        (_, false, true) => "not everything could be done; repeat it before `switchyard thaw`\n",
    };
    text
}
