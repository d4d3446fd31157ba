//! `switchyard pods`: which engines are alive, for how long, and own how much, for the operator.

use bootstrap::Exit;
use clap::Args;
use proto::admin::v1 as admin;
use serde_json::json;

use crate::{
    client::{self, Connection, Operator},
    failure::Failure,
    names::{self, some},
    output::Output,
    show::table,
};

#[derive(Args)]
pub(crate) struct Pods {
    #[command(flatten)]
    to: Connection,
    /// Name or id of an organisation whose owner to show.
    #[arg(long)]
    org: Option<String>,
}

impl Pods {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.operator().await?;
        let organisation = match &self.org {
            Some(given) => names::organisation(&mut to, given).await?,
            None => String::new(),
        };
        let placed = ask(&mut to, organisation).await?;
        let pods = placed.pods.iter().map(|pod| {
            json!({
                "session_id": pod.session_id,
                "name": pod.name,
                "address": some(&pod.address),
                "shards": pod.shards,
                "lease_until_ms": pod.lease_until_ms,
                "lease_left_ms": pod.lease_left_ms,
            })
        });
        let document = json!({
            "pods": pods.collect::<Vec<_>>(),
            "shards_without_owner": placed.shards_without_owner,
            "owner_session_id": some(&placed.owner_session_id),
        });
        out.answer(&document, || text(&placed, self.org.as_deref()));
        Ok(Exit::Done)
    }
}

/// Of an organisation's owner, too, unless its id is empty.
pub(crate) async fn ask(
    to: &mut Operator,
    organisation_id: String,
) -> Result<admin::PodsResponse, Failure> {
    client::read(to.installation.pods(admin::PodsRequest { organisation_id })).await
}

fn text(placed: &admin::PodsResponse, org: Option<&str>) -> String {
    let rows = placed.pods.iter().map(|pod| {
        let owns = (pod.session_id == placed.owner_session_id).then_some(org).flatten();
        let lease = pod.lease_left_ms.map(|left| format!("{left} ms left")).unwrap_or_default();
        let owns = owns.unwrap_or_default().to_owned();
        vec![pod.name.clone(), pod.address.clone(), pod.shards.to_string(), lease, owns]
    });
    let head = ["pod", "address", "shards", "lease", "owns"];
    let mut text = table(&head, &rows.collect::<Vec<_>>());
    if placed.shards_without_owner > 0 {
        text += &format!("{} shards have no owner now\n", placed.shards_without_owner);
    }
    text
}
