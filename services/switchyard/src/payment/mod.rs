//! `switchyard pay`, `invoice`, `payment …`, `decode`: what a customer does.

mod record;
mod resolve;

use std::time::Duration;

use bootstrap::{Exit, Signals};
use clap::{Args, Subcommand};
use proto::v1::{self, PaymentStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    client::{self, ANSWERS_WITHIN, Connection},
    failure::Failure,
    names,
    output::Output,
};

#[derive(Args)]
pub(crate) struct Pay {
    #[command(flatten)]
    to: Connection,
    /// BOLT11.
    invoice: String,
    /// The wallet that pays: name or id.
    #[arg(long)]
    wallet: String,
    /// For an invoice that names no amount, and only then.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    amount_msat: Option<u64>,
    /// The most that routing may cost; 0: routes without a fee only [default: the house's].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    fee_limit_msat: Option<u64>,
    /// Choose the id: the same id pays once, however often it is sent [default: a new one].
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// Your own words about the payment; nobody else sees them.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// A name and a value of your own, to find it by; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// How long to wait for the end, at most 60.
    #[arg(long, value_name = "N", default_value_t = 30)]
    wait_seconds: u32,
}

#[derive(Args)]
pub(crate) struct Invoice {
    #[command(flatten)]
    to: Connection,
    /// The wallet that is paid: name or id.
    #[arg(long)]
    wallet: String,
    /// Leave out: the payer names the amount.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    amount_msat: Option<u64>,
    #[arg(long, default_value = "")]
    description: String,
    /// A name and a value of your own, to find it by; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// [default: one hour]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    expiry_seconds: Option<u32>,
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// Print nothing but the invoice.
    #[arg(long)]
    bare: bool,
    /// How long to wait for the invoice, at most 60.
    #[arg(long, value_name = "N", default_value_t = 10)]
    wait_seconds: u32,
}

#[derive(Args)]
pub(crate) struct Payment {
    #[command(flatten)]
    to: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// A payment as it stands: status, cost, every attempt.
    Show { id: Uuid },
    /// Payments, newest first.
    List {
        /// Of this wallet only: name or id.
        #[arg(long)]
        wallet: Option<String>,
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: u32,
        /// From an earlier answer.
        #[arg(long, default_value = "", hide_default_value = true)]
        cursor: String,
    },
    /// Say how a send has ended that has stopped, when a person knows (operator).
    Resolve(resolve::Resolve),
    /// A payment whenever it changes, until it has ended.
    Watch {
        id: Uuid,
        /// How long to watch [default: until the end].
        #[arg(long, value_name = "N")]
        wait_seconds: Option<u64>,
    },
    /// Say that a payment is wanted no more: an open invoice is withdrawn, and for a send nothing more
    /// is tried. Ends with 0 if it is over unpaid, with 1 if it was paid before, and with 3 if it goes
    /// on and may yet be paid.
    Cancel {
        id: Uuid,
        /// How long to wait for its end, at most 60.
        #[arg(long, value_name = "N", default_value_t = 5)]
        wait_seconds: u32,
    },
}

#[derive(Args)]
pub(crate) struct Decode {
    #[command(flatten)]
    to: Connection,
    /// BOLT11.
    invoice: String,
}

impl Pay {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.customer().await?;
        let wallet_id = names::wallet(&mut to, &self.wallet).await?;
        let id = names::id_or_new(self.id)?;
        let request = v1::SendRequest {
            id: id.clone(),
            wallet_id,
            invoice: self.invoice,
            amount_msat: self.amount_msat,
            fee_limit_msat: self.fee_limit_msat,
            wait_seconds: self.wait_seconds,
            description: self.description,
            metadata: self.metadata.into_iter().collect(),
        };
        let within = Duration::from_secs(self.wait_seconds.into()) + ANSWERS_WITHIN;
        let sent = client::change_within(to.payments.send(request), within);
        let payment = under_its_id(self.id, &id, sent, out).await?;
        out.answer(&record::document(&payment), || record::text(&payment));
        Ok(ended(&payment))
    }
}

impl Invoice {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.customer().await?;
        let wallet_id = names::wallet(&mut to, &self.wallet).await?;
        let id = names::id_or_new(self.id)?;
        let request = v1::ReceiveRequest {
            id: id.clone(),
            wallet_id,
            amount_msat: self.amount_msat,
            description: self.description,
            expiry_seconds: self.expiry_seconds,
            wait_seconds: Some(self.wait_seconds),
            metadata: self.metadata.into_iter().collect(),
        };
        let within = Duration::from_secs(self.wait_seconds.into()) + ANSWERS_WITHIN;
        let asked = client::change_within(to.payments.receive(request), within);
        let payment = under_its_id(self.id, &id, asked, out).await?;
        let bare = self.bare && !payment.invoice.is_empty();
        out.answer(&record::document(&payment), || match bare {
            true => payment.invoice.clone(),
            false => record::text(&payment),
        });
        Ok(match payment.status() {
            PaymentStatus::Receiving => Exit::Done,
            PaymentStatus::Unspecified
            | PaymentStatus::Generating
            | PaymentStatus::Completed
            | PaymentStatus::Failed
            | PaymentStatus::Expired
            | PaymentStatus::Sending => ended(&payment),
        })
    }
}

impl Payment {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let Payment { to, command } = self;
        match command {
            Command::Resolve(resolve) => resolve.run(&mut to.operator().await?, out).await,
            Command::Show { id } => {
                let mut to = to.customer().await?;
                let get = to.payments.get_payment(v1::GetPaymentRequest { id: id.to_string() });
                let payment = client::read(get).await?;
                out.answer(&record::document(&payment), || record::text(&payment));
                Ok(Exit::Done)
            }
            Command::List { wallet, limit, cursor } => {
                let mut to = to.customer().await?;
                let wallet_id = match wallet {
                    Some(wallet) => names::wallet(&mut to, &wallet).await?,
                    None => String::new(),
                };
                let request =
                    v1::ListPaymentsRequest { limit, cursor, wallet_id, ..Default::default() };
                let page = client::read(to.payments.list_payments(request)).await?;
                let all: Vec<Value> = page.payments.iter().map(record::document).collect();
                let next = names::some(&page.next_cursor);
                let document = json!({ "payments": all, "next_cursor": next });
                out.answer(&document, || record::list_text(&page));
                Ok(Exit::Done)
            }
            Command::Cancel { id, wait_seconds } => {
                let mut to = to.customer().await?;
                let wait = Some(wait_seconds);
                let request = v1::CancelRequest { id: id.to_string(), wait_seconds: wait };
                let within = Duration::from_secs(wait_seconds.into()) + ANSWERS_WITHIN;
                let asked = client::change_within(to.payments.cancel(request), within);
                let payment = asked.await.map_err(|failure| failure.about(&id.to_string()))?;
                out.answer(&record::document(&payment), || record::text(&payment));
                Ok(cancelled(&payment))
            }
            Command::Watch { id, wait_seconds } => {
                let mut to = to.customer().await?;
                let request = v1::WatchPaymentRequest { id: id.to_string() };
                let watch = client::read(to.payments.watch_payment(request)).await?;
                match wait_seconds {
                    None => watched(id, watch, out).await,
                    Some(seconds) => {
                        let within = Duration::from_secs(seconds);
                        let watching = tokio::time::timeout(within, watched(id, watch, out)).await;
                        watching.unwrap_or(Ok(Exit::OutcomeUnknown))
                    }
                }
            }
        }
    }
}

/// Waits for the answer. Whoever gives up waiting, or has lost the answer, has the id to repeat with.
async fn under_its_id(
    given: Option<Uuid>,
    id: &str,
    call: impl Future<Output = Result<v1::Payment, Failure>>,
    out: &Output,
) -> Result<v1::Payment, Failure> {
    let mut signals = Signals::catch().map_err(Failure::bug)?;
    if given.is_none() {
        out.say(&format!("id {id}"));
    }
    let answer = tokio::select! {
        answer = call => answer,
        signal = signals.asked() => {
            let message = format!("stopped waiting ({signal}); the outcome is not known");
            Err(Failure::new(Exit::OutcomeUnknown, "outcome_unknown", message))
        }
    };
    answer.map_err(|failure| failure.about(id))
}

/// One document (or line) for each change.
async fn watched(
    id: Uuid,
    mut watch: tonic::Streaming<v1::Payment>,
    out: &Output,
) -> Result<Exit, Failure> {
    let mut exit = Exit::OutcomeUnknown;
    loop {
        match watch.message().await {
            Ok(Some(payment)) => {
                exit = ended(&payment);
                out.answer(&record::document(&payment), || record::line(&payment));
            }
            Ok(None) if exit == Exit::OutcomeUnknown => {
                return Err(broken_off(id, "the platform ended it"));
            }
            Ok(None) => return Ok(exit),
            Err(status) => {
                let failure = client::refused(&status);
                tracing::debug!(why = failure.message, "the watch ended");
                return Err(match failure.exit {
                    Exit::OutcomeUnknown => broken_off(id, "the connection was lost"),
                    Exit::Unavailable => broken_off(id, &failure.message),
                    Exit::Done
                    | Exit::Failed
                    | Exit::Invalid
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

/// The watch is over and the payment is not.
fn broken_off(id: Uuid, why: &str) -> Failure {
    let message = format!(
        "the watch broke off ({why}) and the outcome is not known; the payment goes on without \
         it: watch or show it again: switchyard payment show {id}"
    );
    let id = Some(id.to_string());
    Failure { id, ..Failure::new(Exit::OutcomeUnknown, "watch_broken_off", message) }
}

impl Decode {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit, Failure> {
        let mut to = self.to.customer().await?;
        let decode = to.payments.decode(v1::DecodeRequest { invoice: self.invoice });
        let invoice = client::read(decode).await?;
        out.answer(&record::invoice_document(&invoice), || record::invoice_text(&invoice));
        Ok(Exit::Done)
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must be KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// What the payment's state means for whoever wanted it no more.
fn cancelled(payment: &v1::Payment) -> Exit {
    match payment.status() {
        PaymentStatus::Failed | PaymentStatus::Expired => Exit::Done,
        PaymentStatus::Completed => Exit::Failed,
        PaymentStatus::Sending
        | PaymentStatus::Generating
        | PaymentStatus::Receiving
        | PaymentStatus::Unspecified => Exit::OutcomeUnknown,
    }
}

/// What the payment's state means for whoever waited for its end.
fn ended(payment: &v1::Payment) -> Exit {
    match payment.status() {
        PaymentStatus::Completed => Exit::Done,
        PaymentStatus::Failed | PaymentStatus::Expired => Exit::Failed,
        PaymentStatus::Sending
        | PaymentStatus::Generating
        | PaymentStatus::Receiving
        | PaymentStatus::Unspecified => Exit::OutcomeUnknown,
    }
}
