//! switchyard.v1.Events, and the stable names of what happens.

use domain::{LineId, PaymentId, Timestamp, WalletId, org::Event};

use super::{
    PAGE_DEFAULT, WireError, page_limit,
    payments::{node_failure, payment_failure},
    seq,
};
use crate::v1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct List {
    pub after_seq: u64,
    pub limit: u32,
}

impl TryFrom<v1::ListEventsRequest> for List {
    type Error = WireError;

    fn try_from(request: v1::ListEventsRequest) -> Result<List, WireError> {
        let limit = page_limit(request.limit, PAGE_DEFAULT)?;
        Ok(List { after_seq: seq(request.after_seq), limit })
    }
}

/// Where a stream of events begins.
pub fn after_seq(request: &v1::FollowEventsRequest) -> u64 {
    seq(request.after_seq)
}

pub fn event(at_seq: u64, at: Timestamp, payment: Option<PaymentId>, event: &Event) -> v1::Event {
    let (wallet, line) = subject(event);
    v1::Event {
        seq: at_seq,
        r#type: event_type(event).to_owned(),
        at_ms: at.millis(),
        payment_id: payment.map(|payment| payment.to_string()).unwrap_or_default(),
        wallet_id: wallet.map(|wallet| wallet.to_string()).unwrap_or_default(),
        line_id: line.map(|line| line.to_string()).unwrap_or_default(),
        error: error(event),
    }
}

pub fn history_event(at_seq: u64, at: Timestamp, event: &Event) -> v1::HistoryEvent {
    v1::HistoryEvent {
        seq: at_seq,
        at_ms: at.millis(),
        r#type: event_type(event).to_owned(),
        error: error(event),
    }
}

/// The wallet or the line that an event is about. Of a later event of a payment neither: its first one
/// has told.
pub fn subject(event: &Event) -> (Option<WalletId>, Option<LineId>) {
    match event {
        Event::WalletCreated { wallet, .. }
        | Event::WalletLimitSet { wallet, .. }
        | Event::WalletRenamed { wallet, .. }
        | Event::WalletDeleted { wallet } => (Some(*wallet), None),
        Event::SendRefused { terms, .. } | Event::Held { terms, .. } => (Some(terms.wallet), None),
        Event::InvoiceRequested { terms, .. } => (Some(terms.wallet), None),
        Event::LineOpened { line, .. }
        | Event::LineLimitSet { line, .. }
        | Event::LineDisabled { line }
        | Event::LineEnabled { line } => (None, Some(*line)),
        Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::NodeFundsSet { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::AttemptFailed { .. }
        | Event::Posted { .. }
        | Event::Voided { .. }
        | Event::Contradicted { .. }
        | Event::Resolved { .. }
        | Event::CancelRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::InvoiceNotMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => (None, None),
    }
}

/// The stable name of an event.
pub fn event_type(event: &Event) -> &'static str {
    match event {
        Event::EnvironmentCreated { .. } => "environment_created",
        Event::EnvironmentRenamed { .. } => "environment_renamed",
        Event::LineOpened { .. } => "line_of_credit_opened",
        Event::LineLimitSet { .. } => "line_of_credit_limit_set",
        Event::LineDisabled { .. } => "line_of_credit_disabled",
        Event::LineEnabled { .. } => "line_of_credit_enabled",
        Event::NodeFundsSet { .. } => "node_funds_set",
        Event::WalletCreated { .. } => "wallet_created",
        Event::WalletLimitSet { .. } => "wallet_limit_set",
        Event::WalletRenamed { .. } => "wallet_renamed",
        Event::WalletDeleted { .. } => "wallet_deleted",
        Event::SendRefused { .. } => "send_rejected",
        Event::Held { .. } => "send_held",
        Event::AttemptStarted { .. } => "send_attempt_started",
        Event::RequestIssued { .. } => "send_attempt_repeated",
        Event::RequestUnsent { .. } => "send_attempt_not_sent",
        Event::AttemptFailed { .. } => "send_attempt_failed",
        Event::Posted { .. } => "send_succeeded",
        Event::Voided { .. } => "send_failed",
        Event::Contradicted { .. } => "send_contradicted",
        Event::Resolved { .. } => "send_resolved",
        Event::CancelRequested { .. } => "cancel_requested",
        Event::InvoiceRequested { .. } => "receive_requested",
        Event::InvoiceMade { .. } => "receive_generated",
        Event::InvoiceNotMade { .. } => "receive_failed",
        Event::Received { .. } => "receive_completed",
        Event::InvoiceExpired { .. } => "receive_expired",
        Event::InvoiceClaimed { .. } => "receive_claimed",
        Event::ClaimCredited { .. } => "receive_completed_internally",
        Event::ClaimWithdrawn { .. } => "receive_claim_withdrawn",
        Event::ClaimRefused { .. } => "claim_refused",
        Event::InvoiceWithdrawn { .. } => "receive_withdrawn",
    }
}

/// Why something went wrong, for people.
pub fn error(event: &Event) -> Option<String> {
    match event {
        Event::SendRefused { failure, .. } | Event::Voided { failure, .. } => {
            Some(payment_failure(*failure).message)
        }
        Event::AttemptFailed { reason, .. } => Some(node_failure(*reason).message),
        Event::Contradicted { .. } => {
            Some("a node contradicts what was recorded for this payment".to_owned())
        }
        Event::InvoiceNotMade { .. } => Some("the node could not make the invoice".to_owned()),
        Event::EnvironmentCreated { .. }
        | Event::EnvironmentRenamed { .. }
        | Event::LineOpened { .. }
        | Event::LineLimitSet { .. }
        | Event::LineDisabled { .. }
        | Event::LineEnabled { .. }
        | Event::NodeFundsSet { .. }
        | Event::WalletCreated { .. }
        | Event::WalletLimitSet { .. }
        | Event::WalletRenamed { .. }
        | Event::WalletDeleted { .. }
        | Event::Held { .. }
        | Event::AttemptStarted { .. }
        | Event::RequestIssued { .. }
        | Event::RequestUnsent { .. }
        | Event::Posted { .. }
        | Event::Resolved { .. }
        | Event::CancelRequested { .. }
        | Event::InvoiceRequested { .. }
        | Event::InvoiceMade { .. }
        | Event::Received { .. }
        | Event::InvoiceExpired { .. }
        | Event::InvoiceClaimed { .. }
        | Event::ClaimCredited { .. }
        | Event::ClaimWithdrawn { .. }
        | Event::ClaimRefused { .. }
        | Event::InvoiceWithdrawn { .. } => None,
    }
}
