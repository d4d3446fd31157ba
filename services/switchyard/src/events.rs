//! `switchyard events`: everything that happens, in order, from wherever a reader has come to.

use bootstrap::Exit;
use clap::Args;
use proto::v1;
use serde_json::{Value, json};

use crate::{
    client::{self, Connection},
    failure::Failure,
    names::some,
    output::Output,
    show::{clean, table, time},
};

#[derive(Args)]
pub(crate) struct Events {
    #[command(flatten)]
    to: Connection,
    /// After this position; 0: from the beginning.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Go on with what happens, one line (or document) each, until interrupted.
    #[arg(long, conflicts_with = "limit")]
    follow: bool,
}

impl Events {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        match self.follow {
            true => self.follow(out).await,
            false => self.page(out).await,
        }
    }

    async fn page(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.customer().await?;
        let request = v1::ListEventsRequest { after_seq: self.after, limit: self.limit };
        let page = client::read(to.events.list(request)).await?;
        let all: Vec<Value> = page.events.iter().map(document).collect();
        let next = page.next_after_seq;
        out.answer(&json!({ "events": all, "next_after_seq": next }), || {
            let rows: Vec<_> = page.events.iter().map(row).collect();
            let more = format!("go on with --after {next}\n");
            table(&["SEQ", "AT", "EVENT", "ABOUT", "WHY"], &rows) + &more
        });
        Ok(Exit::Done)
    }

    async fn follow(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.customer().await?;
        let request = v1::FollowEventsRequest { after_seq: self.after };
        let mut told = client::read(to.events.follow(request)).await?;
        let mut last = self.after;
        loop {
            match told.message().await {
                Ok(Some(event)) => {
                    last = event.seq;
                    out.answer(&document(&event), || clean(&row(&event).join("  ")));
                }
                Ok(None) => return Err(broken_off(last, "the platform ended it")),
                Err(status) => {
                    let failure = client::of_a_read(client::refused(&status));
                    return Err(match failure.exit {
                        Exit::Unavailable => broken_off(last, &failure.message),
                        Exit::Done
                        | Exit::Failed
                        | Exit::Invalid
                        | Exit::OutcomeUnknown
                        | Exit::NotFound
                        | Exit::Denied
                        | Exit::Conflict
                        | Exit::AuditFindings
                        | Exit::AlreadyRunning
                        | Exit::Bug
                        | Exit::Interrupted => failure,
                    });
                }
            }
        }
    }
}

fn broken_off(last: u64, why: &str) -> Failure {
    let message = format!("the events broke off ({why}); go on with --after {last}");
    Failure::new(Exit::Unavailable, "events_broken_off", message)
}

/// The one thing that it is about.
fn about(event: &v1::Event) -> &str {
    let ids = [&event.payment_id, &event.wallet_id, &event.line_id];
    ids.into_iter().find(|id| !id.is_empty()).map_or("", String::as_str)
}

fn row(event: &v1::Event) -> Vec<String> {
    vec![
        event.seq.to_string(),
        time(event.at_ms),
        event.r#type.clone(),
        about(event).to_owned(),
        event.error.clone().unwrap_or_default(),
    ]
}

fn document(event: &v1::Event) -> Value {
    json!({
        "seq": event.seq,
        "type": event.r#type,
        "at_ms": event.at_ms,
        "payment_id": some(&event.payment_id),
        "wallet_id": some(&event.wallet_id),
        "line_id": some(&event.line_id),
        "error": event.error,
    })
}
