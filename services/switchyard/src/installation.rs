//! `switchyard status`, `audit`, `frozen`, `thaw`: the installation as a whole, for the operator.

use std::time::Duration;

use bootstrap::Exit;
use clap::Args;
use proto::admin::v1 as admin;
use serde_json::{Value, json};

use crate::{
    client::{self, Connection},
    failure::Failure,
    names::some,
    output::Output,
    show::facts,
};

/// An audit reads everything there is, and a thaw all that the nodes have.
const AUDITS_WITHIN: Duration = Duration::from_secs(3_600);

/// A command that needs to know nothing but where the platform is.
#[derive(Args)]
pub(crate) struct Plain {
    #[command(flatten)]
    to: Connection,
}

impl Plain {
    pub(crate) async fn status(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let status = client::read(to.installation.status(admin::StatusRequest {})).await?;
        let document = json!({
            "version": status.version,
            "network": status.network,
            "frozen": some(&status.frozen),
            "organisations": status.organisations,
            "organisations_with_open_work": status.organisations_with_open_work,
            "nodes": status.nodes,
            "nodes_not_usable": status.nodes_not_usable,
        });
        out.answer(&document, || {
            let open = status.organisations_with_open_work;
            let unusable = status.nodes_not_usable;
            facts(&[
                ("version", status.version.clone()),
                ("network", status.network.clone()),
                ("frozen", some(&status.frozen).unwrap_or("no").to_owned()),
                ("organisations", format!("{}, {open} with open work", status.organisations)),
                ("nodes", format!("{}, {unusable} not usable now", status.nodes)),
            ])
        });
        Ok(Exit::Done)
    }

    pub(crate) async fn frozen(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let status = client::read(to.installation.status(admin::StatusRequest {})).await?;
        let frozen = some(&status.frozen);
        out.answer(&json!({ "frozen": frozen }), || match frozen {
            Some(why) => format!("every outgoing send is frozen: {why}"),
            None => "not frozen".to_owned(),
        });
        Ok(if frozen.is_some() { Exit::AuditFindings } else { Exit::Done })
    }

    pub(crate) async fn audit(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let audit = to.installation.audit(admin::AuditRequest {});
        let report = client::change_within(audit, AUDITS_WITHIN).await;
        let report = report.map_err(client::of_a_read)?;
        let clean = report.findings_total == 0 && report.frozen.is_empty();
        let document = json!({
            "clean": clean,
            "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
            "findings_total": report.findings_total,
            "organisations": report.organisations,
            "payments": report.payments,
            "entries": report.entries,
            "nodes": report.nodes,
            "frozen": some(&report.frozen),
        });
        out.answer(&document, || report_text(&report));
        Ok(if clean { Exit::Done } else { Exit::AuditFindings })
    }
}

#[derive(Args)]
pub(crate) struct Thaw {
    /// Although `switchyard restore` has something due: what differs is taken as right.
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    to: Connection,
}

impl Thaw {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let thaw = to.installation.thaw(admin::ThawRequest { anyway: self.anyway });
        let thawed = client::change_within(thaw, AUDITS_WITHIN).await?;
        let was = some(&thawed.was_frozen);
        out.answer(&json!({ "was_frozen": was }), || match was {
            Some(why) => format!("sends go on; they were frozen: {why}"),
            None => "sends were not frozen: nothing is changed".to_owned(),
        });
        Ok(Exit::Done)
    }
}

fn finding(finding: &admin::Finding) -> Value {
    json!({
        "code": finding.code,
        "organisation_id": some(&finding.organisation_id),
        "payment_id": some(&finding.payment_id),
        "node_id": some(&finding.node_id),
        "message": finding.message,
    })
}

fn report_text(report: &admin::AuditResponse) -> String {
    let mut text = format!(
        "looked at {} organisations, {} payments, {} entries, {} nodes: {} findings\n",
        report.organisations, report.payments, report.entries, report.nodes, report.findings_total
    );
    if !report.frozen.is_empty() {
        text += &format!("every outgoing send is frozen: {}\n", report.frozen);
    }
    for finding in &report.findings {
        text += &format!("{}: {}\n", finding.code, finding.message);
        let about = facts(&[
            ("  organisation", finding.organisation_id.clone()),
            ("  payment", finding.payment_id.clone()),
            ("  node", finding.node_id.clone()),
        ]);
        text += &about;
    }
    text
}
