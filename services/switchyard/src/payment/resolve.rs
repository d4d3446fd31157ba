//! `switchyard payment resolve`: a person says how a payment has ended that has stopped.

use bootstrap::Exit;
use clap::{Args, ValueEnum};
use proto::admin::v1::{self as admin, resolve_payment_request::Found};
use uuid::Uuid;

use super::record;
use crate::{
    client::{self, Operator},
    failure::Failure,
    names,
    output::Output,
};

#[derive(Args)]
pub(super) struct Resolve {
    /// The payment's id.
    id: Uuid,
    /// The organisation that it is of: name or id.
    #[arg(long)]
    org: String,
    /// How it has ended. `failed` is refused as long as a node may still be asked to pay it, or shows
    /// it as paid or in flight.
    #[arg(long = "as", value_name = "END")]
    end: End,
    /// The proof that it was paid: 32 bytes whose SHA-256 is the payment's hash.
    #[arg(long, value_name = "HEX", required_if_eq("end", "paid"))]
    preimage: Option<String>,
    /// What routing has cost.
    #[arg(long, value_name = "N", required_if_eq("end", "paid"), allow_negative_numbers = true)]
    fee_msat: Option<u64>,
    /// Which node has paid: name or id [default: the only one that was tried].
    #[arg(long)]
    node: Option<String>,
    /// Why that is known. Kept for ever, and shown with the payment, to its customer too.
    #[arg(long, value_name = "TEXT")]
    evidence: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum End {
    Paid,
    Failed,
}

impl Resolve {
    pub(super) async fn run(self, to: &mut Operator, out: &Output) -> Result<Exit, Failure> {
        let organisation_id = names::organisation(to, &self.org).await?;
        let found = self.found(to).await?;
        let request = admin::ResolvePaymentRequest {
            organisation_id,
            payment_id: self.id.to_string(),
            evidence: self.evidence,
            found: Some(found),
        };
        let resolved = client::change(to.organisations.resolve_payment(request)).await;
        let id = Some(self.id.to_string());
        let payment = resolved.map_err(|failure| Failure { id, ..failure })?;
        out.answer(&record::document(&payment), || record::text(&payment));
        Ok(Exit::Done)
    }

    async fn found(&self, to: &mut Operator) -> Result<Found, Failure> {
        let Resolve { end, preimage, fee_msat, node, .. } = self;
        match (end, preimage, fee_msat, node) {
            (End::Paid, Some(preimage), Some(fee_msat), node) => {
                let node_id = match node {
                    Some(node) => names::node(to, node).await?,
                    None => String::new(),
                };
                let (preimage, fee_msat) = (preimage.clone(), *fee_msat);
                Ok(Found::Paid(admin::FoundPaid { preimage, fee_msat, node_id }))
            }
            (End::Failed, None, None, None) => Ok(Found::Unpaid(admin::FoundUnpaid {})),
            (End::Paid, _, _, _) => {
                Err(Failure::invalid("--as paid needs --preimage and --fee-msat"))
            }
            (End::Failed, _, _, _) => {
                Err(Failure::invalid("--preimage, --fee-msat and --node are of --as paid"))
            }
        }
    }
}
