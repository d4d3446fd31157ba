//! Amounts as JSON has them.

use domain::{Msat, SignedMsat};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny},
};
use serde_json::json;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use super::refusal::Refusal;

/// The largest whole number that every JSON reader keeps exactly: 2^53 − 1.
pub(super) const EXACT_MAX: u64 = 9_007_199_254_740_991;

/// A whole number of base units. Never a string, never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units(u64);

impl PartialSchema for Units {
    fn schema() -> RefOr<Schema> {
        let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
        whole.maximum(Some(EXACT_MAX)).examples([json!(21_000)]).into()
    }
}

impl ToSchema for Units {}

impl Units {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Units, D::Error> {
        let units = u64::deserialize(deserializer)?;
        match units <= EXACT_MAX {
            true => Ok(Units(units)),
            false => Err(D::Error::custom(format!(
                "must be at most {EXACT_MAX}, the largest number that JSON readers keep exactly"
            ))),
        }
    }
}

/// An amount with its currency, in base units: millisatoshi for `btc`.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = AmountRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct AmountBody {
    pub(super) currency: String,
    pub(super) amount: Units,
    /// Of an asset's amount; says nothing here.
    #[serde(rename = "unit")]
    #[schema(value_type = Option<String>, deprecated)]
    _unit: Option<IgnoredAny>,
}

impl AmountBody {
    pub(super) fn msat(&self) -> Result<u64, Refusal> {
        check_currency(&self.currency)?;
        Ok(self.amount.get())
    }
}

/// Lines of credit in other currencies cannot be opened here, so nothing else can be meant.
pub(super) fn check_currency(currency: &str) -> Result<(), Refusal> {
    match currency {
        "btc" => Ok(()),
        _ => Err(Refusal::invalid("invalid_currency", "the currency must be btc")
            .with_context(json!({ "fields": ["currency"] }))),
    }
}

/// One amount out of its spellings, which must agree where several are given.
pub(super) fn agreed(
    field: &str,
    kind: &'static str,
    modern: Option<&AmountBody>,
    msats: Option<Units>,
    sats: Option<Units>,
) -> Result<Option<u64>, Refusal> {
    let modern = modern.map(AmountBody::msat).transpose()?;
    let from_sats = sats
        .map(|sats| {
            // It is read back in millisatoshi, which every reader must keep exactly.
            let msat = sats.get().checked_mul(1_000).filter(|msat| *msat <= EXACT_MAX);
            msat.ok_or_else(|| wrong(kind, format!("{field} is above {EXACT_MAX} millisatoshi")))
        })
        .transpose()?;
    let mut given = [modern, msats.map(Units::get), from_sats].into_iter().flatten();
    let first = given.next();
    match given.all(|other| Some(other) == first) {
        true => Ok(first),
        false => Err(wrong(kind, format!("{field} is given twice and differs"))),
    }
}

fn wrong(kind: &'static str, why: String) -> Refusal {
    Refusal::invalid(kind, why).with_code("validation_failed")
}

/// An amount with its currency, in base units: millisatoshi for `btc`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Amount {
    #[schema(example = "btc")]
    currency: &'static str,
    #[schema(example = 21000)]
    amount: u64,
}

impl From<Msat> for Amount {
    fn from(msat: Msat) -> Amount {
        Amount { currency: "btc", amount: msat.get() }
    }
}

/// An amount that may be below zero; `amount` itself never is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct SignedAmount {
    #[schema(example = "btc")]
    currency: &'static str,
    amount: u64,
    negative: bool,
}

impl From<SignedMsat> for SignedAmount {
    fn from(msat: SignedMsat) -> SignedAmount {
        let amount = msat.get();
        SignedAmount { currency: "btc", amount: amount.unsigned_abs(), negative: amount < 0 }
    }
}
