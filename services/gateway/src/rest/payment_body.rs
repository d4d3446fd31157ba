//! What a new payment's body says, in the contract's words or in the older ones.

use domain::{
    InvoiceTerms, PaymentId, WalletId,
    org::{Metadata, ReceiveTerms, SendTerms},
};
use serde::{Deserialize, de::IgnoredAny};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    amount::{self, AmountBody, Units, check_currency},
    json,
    refusal::Refusal,
    request,
};

/// Of an invoice whose caller names no expiry.
const EXPIRY_SECONDS_DEFAULT: u32 = 3_600;
const EXPIRY_SECONDS_MAX: u32 = 86_400;

/// Which of the two is given says which way the money goes.
const SELECTORS: [&str; 2] = ["type", "payment_kind"];

pub(super) const METADATA_PAIRS_MAX: usize = 50;
const METADATA_CHARS_MAX: usize = 256;

/// A send has `type` and `data`, a receive has `payment_kind`.
#[derive(ToSchema)]
#[schema(as = NewPayment)]
#[serde(untagged)]
#[allow(dead_code)] // The shape of the document; the two halves are read by what is present.
pub(super) enum NewPaymentBody {
    Send(SendBody),
    Receive(ReceiveBody),
}

/// How a payment travels. Only `bolt11` is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum PaymentKind {
    Bolt11,
    Onchain,
    Bip21,
    Taprootasset,
}

/// A payment out of a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewSend)]
#[serde(deny_unknown_fields)]
pub(super) struct SendBody {
    /// Chosen by you, unique in your organization: a repeat with the same body is never a second
    /// payment.
    id: Uuid,
    wallet_id: Uuid,
    #[schema(example = "btc")]
    currency: String,
    #[serde(rename = "type")]
    kind: PaymentKind,
    data: SendData,
    /// At most 50 pairs of at most 256 characters.
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    #[schema(value_type = Option<Uuid>)]
    quote_id: Option<IgnoredAny>,
    /// Nothing is converted, so it says nothing here.
    #[serde(rename = "auto_quote")]
    #[schema(value_type = Option<Object>)]
    _auto_quote: Option<IgnoredAny>,
    /// Every payment goes direct, so it says nothing here.
    #[serde(rename = "flow_preference")]
    #[schema(value_type = Option<Object>)]
    _flow_preference: Option<IgnoredAny>,
}

/// What to pay.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewSendData)]
#[serde(deny_unknown_fields)]
pub(super) struct SendData {
    /// A BOLT11 invoice.
    payment_request: Option<String>,
    /// Of kinds that are not served; beside an invoice it says nothing.
    #[serde(rename = "address")]
    #[schema(value_type = Option<String>)]
    _address: Option<IgnoredAny>,
    /// Only needed for an invoice without amount.
    amount: Option<AmountBody>,
    /// The most that routing may cost; 0 means free routes only. Without it: 1 % of the amount, at
    /// least 1 satoshi.
    max_fee: Option<AmountBody>,
    description: Option<String>,
    #[schema(deprecated)]
    amount_msats: Option<Units>,
    #[schema(deprecated)]
    amount_sats: Option<Units>,
    #[schema(deprecated)]
    max_fee_msats: Option<Units>,
    #[schema(deprecated)]
    max_fee_sats: Option<Units>,
}

/// An invoice to be paid by others.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewReceive)]
#[serde(deny_unknown_fields)]
pub(super) struct ReceiveBody {
    /// Chosen by you, unique in your organization.
    id: Uuid,
    wallet_id: Uuid,
    payment_kind: PaymentKind,
    #[schema(example = "btc")]
    currency: Option<String>,
    /// Without it the payer names the amount.
    amount: Option<AmountBody>,
    description: Option<String>,
    /// Seconds until the invoice expires: 3600 when nothing is said, at most 86400.
    #[schema(minimum = 1, maximum = 86400)]
    expiration: Option<u32>,
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    metadata: Option<Metadata>,
    #[schema(value_type = Option<Uuid>)]
    quote_id: Option<IgnoredAny>,
    #[schema(deprecated)]
    amount_msats: Option<Units>,
    #[schema(deprecated)]
    amount_sats: Option<Units>,
}

/// What was asked for.
pub(super) enum NewPayment {
    Send(NewSend),
    Receive { payment: PaymentId, terms: ReceiveTerms },
}

pub(super) struct NewSend {
    pub(super) payment: PaymentId,
    pub(super) terms: SendTerms,
}

impl NewPayment {
    /// Which of two fields is present says which way the money goes.
    pub(super) fn read(mut body: serde_json::Value) -> Result<NewPayment, Refusal> {
        let Some(fields) = body.as_object_mut() else {
            return Err(Refusal::unreadable("the body must be a JSON object"));
        };
        // Some clients write down what they do not give.
        fields.retain(|name, value| !(SELECTORS.contains(&name.as_str()) && value.is_null()));
        match SELECTORS.map(|name| fields.contains_key(name)).into() {
            (true, false) => json::from_value::<SendBody>(body)?.read().map(NewPayment::Send),
            (false, true) => json::from_value::<ReceiveBody>(body)?.read(),
            (true, true) | (false, false) => Err(Refusal::unreadable(
                "a send has the field type, a receive has payment_kind; exactly one of the two",
            )),
        }
    }
}

impl SendBody {
    fn read(self) -> Result<NewSend, Refusal> {
        check_kind(self.kind)?;
        check_currency(&self.currency)?;
        check_no_quote(self.quote_id.is_some())?;
        let invoice = self.data.invoice()?;
        let terms = SendTerms {
            wallet: WalletId::new(self.wallet_id),
            amount_msat: self.data.amount_msat_beside(&invoice)?,
            fee_limit_msat: self.data.max_fee_msat()?,
            description: description("data.description", self.data.description)?,
            metadata: metadata(self.metadata)?,
            invoice,
        };
        Ok(NewSend { payment: request::chosen_id(self.id)?, terms })
    }
}

impl SendData {
    pub(super) fn invoice(&self) -> Result<InvoiceTerms, Refusal> {
        let text = self.payment_request.as_deref().ok_or_else(|| {
            Refusal::invalid("missing_payment_request", "data.payment_request must be set")
                .with_code("required")
        })?;
        super::bolt11(text)
    }

    /// What the caller names beside the invoice.
    pub(super) fn amount_msat_beside(
        &self,
        invoice: &InvoiceTerms,
    ) -> Result<Option<u64>, Refusal> {
        let amount_msat = amount::agreed(
            "data.amount",
            "invalid_amount",
            self.amount.as_ref(),
            self.amount_msats,
            self.amount_sats,
        )?;
        beside(invoice, amount_msat)
    }

    pub(super) fn max_fee_msat(&self) -> Result<Option<u64>, Refusal> {
        amount::agreed(
            "data.max_fee",
            "invalid_max_fee",
            self.max_fee.as_ref(),
            self.max_fee_msats,
            self.max_fee_sats,
        )
    }
}

impl ReceiveBody {
    fn read(self) -> Result<NewPayment, Refusal> {
        check_kind(self.payment_kind)?;
        self.currency.as_deref().map_or(Ok(()), check_currency)?;
        check_no_quote(self.quote_id.is_some())?;
        let amount_msat = amount::agreed(
            "amount",
            "invalid_amount",
            self.amount.as_ref(),
            self.amount_msats,
            self.amount_sats,
        )?;
        let terms = ReceiveTerms {
            wallet: WalletId::new(self.wallet_id),
            amount_msat,
            description: description("description", self.description)?.unwrap_or_default(),
            expiry_seconds: expiry(self.expiration)?,
            metadata: metadata(self.metadata)?,
        };
        Ok(NewPayment::Receive { payment: request::chosen_id(self.id)?, terms })
    }
}

/// An amount beside an invoice that fixes it must be the same, and says nothing more.
fn beside(invoice: &InvoiceTerms, amount_msat: Option<u64>) -> Result<Option<u64>, Refusal> {
    match (invoice.amount_msat, amount_msat) {
        (Some(fixed), Some(named)) if fixed.get() == named => Ok(None),
        (Some(fixed), Some(named)) => Err(Refusal::invalid(
            "amount_match_failed",
            format!("the invoice fixes the amount at {} msat, not {named}", fixed.get()),
        )),
        (Some(_) | None, named) => Ok(named),
    }
}

pub(super) fn check_kind(kind: PaymentKind) -> Result<(), Refusal> {
    match kind {
        PaymentKind::Bolt11 => Ok(()),
        PaymentKind::Onchain | PaymentKind::Bip21 | PaymentKind::Taprootasset => {
            Err(Refusal::invalid("feature_flag_disabled", "only bolt11 payments are served here")
                .with_code("disabled"))
        }
    }
}

fn check_no_quote(is_quoted: bool) -> Result<(), Refusal> {
    match is_quoted {
        true => Err(Refusal::invalid("invalid_quote", "a btc payment has no quote")),
        false => Ok(()),
    }
}

fn expiry(seconds: Option<u32>) -> Result<u32, Refusal> {
    match seconds.unwrap_or(EXPIRY_SECONDS_DEFAULT) {
        seconds @ 1..=EXPIRY_SECONDS_MAX => Ok(seconds),
        _ => Err(Refusal::invalid(
            "invalid_receive_payment",
            format!("expiration must be from 1 to {EXPIRY_SECONDS_MAX} seconds"),
        )
        .with_code("validation_failed")),
    }
}

fn description(field: &str, text: Option<String>) -> Result<Option<String>, Refusal> {
    let refused = |why| Refusal::invalid("invalid_description", format!("{field} {why}"));
    match text {
        Some(text) if text.is_empty() => {
            Err(refused("must not be empty when given").with_code("too_short"))
        }
        Some(text) if text.contains('\0') => Err(refused("must not contain NUL")),
        text => Ok(text),
    }
}

pub(super) fn metadata(given: Option<Metadata>) -> Result<Metadata, Refusal> {
    let metadata = given.unwrap_or_default();
    let fits = |text: &String| text.chars().count() <= METADATA_CHARS_MAX && !text.contains('\0');
    match metadata.len() <= METADATA_PAIRS_MAX && metadata.iter().all(|(k, v)| fits(k) && fits(v)) {
        true => Ok(metadata),
        false => Err(Refusal::field(
            "metadata",
            format!(
                "metadata has at most {METADATA_PAIRS_MAX} pairs of at most {METADATA_CHARS_MAX} \
                 characters, none of them NUL"
            ),
        )),
    }
}
