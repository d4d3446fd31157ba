//! Which payments are meant, in what order, and how many there are.

use domain::{
    LineId, Timestamp, WalletId,
    org::{Metadata, PaymentStatus},
};
use prost::Message as _;

use super::{PAGE_DEFAULT, WireError, id, page_limit, seq, text};
use crate::v1;

/// What a list leaves out. All conditions that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub wallet: Option<WalletId>,
    /// Wallets that draw on this line, or on the node with this id.
    pub line: Option<LineId>,
    pub direction: Option<Way>,
    /// Empty: any.
    pub statuses: Vec<PaymentStatus>,
    pub metadata: Metadata,
    /// Both inclusive.
    pub created_from: Option<Timestamp>,
    pub created_to: Option<Timestamp>,
    pub updated_after_seq: Option<u64>,
}

/// Which way the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Send,
    Receive,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub limit: u32,
    pub filter: Filter,
    /// By the last change; else by creation.
    pub by_change: bool,
    pub ascending: bool,
    /// Of an earlier answer; it has not been looked at.
    pub cursor: Option<String>,
    /// The question without its page: two that ask the same have the same bytes.
    pub question: Vec<u8>,
}

impl TryFrom<v1::ListPaymentsRequest> for List {
    type Error = WireError;

    fn try_from(request: v1::ListPaymentsRequest) -> Result<List, WireError> {
        let limit = page_limit(request.limit, PAGE_DEFAULT)?;
        let by_change = match v1::PaymentOrder::try_from(request.order) {
            Ok(v1::PaymentOrder::Unspecified | v1::PaymentOrder::Created) => false,
            Ok(v1::PaymentOrder::Updated) => true,
            Err(_) => return Err(WireError::Value("order")),
        };
        let ascending = request.ascending;
        let request_cursor = request.cursor.clone();
        let question = v1::ListPaymentsRequest { limit: 0, cursor: String::new(), ..request };
        let bytes = question.encode_to_vec();
        let filter = filter(&question.wallet_id, question.filter.unwrap_or_default())?;
        let cursor = Some(request_cursor).filter(|cursor| !cursor.is_empty());
        Ok(List { limit, filter, by_change, ascending, cursor, question: bytes })
    }
}

impl TryFrom<v1::SummaryRequest> for Filter {
    type Error = WireError;

    fn try_from(request: v1::SummaryRequest) -> Result<Filter, WireError> {
        filter(&request.wallet_id, request.filter.unwrap_or_default())
    }
}

fn filter(wallet_id: &str, asked: v1::PaymentFilter) -> Result<Filter, WireError> {
    let direction = match v1::Direction::try_from(asked.direction) {
        Ok(v1::Direction::Unspecified) => None,
        Ok(v1::Direction::Send) => Some(Way::Send),
        Ok(v1::Direction::Receive) => Some(Way::Receive),
        Err(_) => return Err(WireError::Value("direction")),
    };
    let statuses = asked.statuses.into_iter().map(status).collect::<Result<_, _>>()?;
    let mut metadata = Metadata::new();
    for (key, value) in asked.metadata {
        metadata.insert(text("metadata", key)?, text("metadata", value)?);
    }
    Ok(Filter {
        wallet: optional("wallet_id", wallet_id)?,
        line: optional("line_id", &asked.line_id)?,
        direction,
        statuses,
        metadata,
        created_from: asked.created_from_ms.map(Timestamp::from_millis),
        created_to: asked.created_to_ms.map(Timestamp::from_millis),
        updated_after_seq: asked.updated_after_seq.map(seq),
    })
}

fn optional<Kind>(
    field: &'static str,
    text: &str,
) -> Result<Option<domain::id::Id<Kind>>, WireError> {
    match text {
        "" => Ok(None),
        text => id(field, text).map(Some),
    }
}

fn status(number: i32) -> Result<PaymentStatus, WireError> {
    match v1::PaymentStatus::try_from(number) {
        Ok(v1::PaymentStatus::Sending) => Ok(PaymentStatus::Sending),
        Ok(v1::PaymentStatus::Completed) => Ok(PaymentStatus::Completed),
        Ok(v1::PaymentStatus::Failed) => Ok(PaymentStatus::Failed),
        Ok(v1::PaymentStatus::Generating) => Ok(PaymentStatus::Generating),
        Ok(v1::PaymentStatus::Receiving) => Ok(PaymentStatus::Receiving),
        Ok(v1::PaymentStatus::Expired) => Ok(PaymentStatus::Expired),
        Ok(v1::PaymentStatus::Unspecified) | Err(_) => Err(WireError::Value("statuses")),
    }
}
