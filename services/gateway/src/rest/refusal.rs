//! A request that was not carried out, in the one envelope that every error has.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{ErrorClass, Rejection};
use proto::{
    Problem,
    convert::WireError,
    status::{Retryable, retry_after_ms},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{headers::Twice, problem};

/// Beside `retry-after`, which has whole seconds only.
pub(super) const RETRY_AFTER_MS: &str = "x-retry-after-ms";

/// What a caller gets instead of an answer. The envelope is put around it once the request has left
/// its handler ([`super::door`]).
#[derive(Clone, Debug)]
pub(crate) struct Refusal(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    class: ErrorClass,
    kind: Cow<'static, str>,
    code: Option<Cow<'static, str>>,
    detail: String,
    context: Option<Value>,
    retry_after_ms: Option<u64>,
}

impl Refusal {
    pub(super) fn new(class: ErrorClass, kind: &'static str, detail: impl ToString) -> Refusal {
        Refusal(Box::new(Told {
            status: problem::http(class),
            class,
            kind: Cow::Borrowed(kind),
            code: None,
            detail: detail.to_string(),
            context: None,
            retry_after_ms: retry_after_ms(class),
        }))
    }

    pub(super) fn invalid(kind: &'static str, detail: impl ToString) -> Refusal {
        Refusal::new(ErrorClass::Invalid, kind, detail)
    }

    /// A body that is JSON but says nothing that this route understands.
    pub(super) fn unreadable(detail: impl ToString) -> Refusal {
        Refusal::invalid("invalid_data", detail).with_status(StatusCode::UNPROCESSABLE_ENTITY)
    }

    /// A field that the request names, and what is wrong with it.
    pub(super) fn field(field: &str, detail: impl ToString) -> Refusal {
        Refusal::invalid("invalid_request", detail)
            .with_context(serde_json::json!({ "fields": [field] }))
    }

    /// Something was done before this went wrong: it must not read as if nothing had been.
    pub(super) fn after_a_write(self) -> Refusal {
        match Retryable::of(self.0.class) {
            Retryable::No => self,
            Retryable::SameId => problem::outcome_unknown().into(),
        }
    }

    pub(super) fn not_found(kind: &'static str, what: impl ToString) -> Refusal {
        Refusal::new(ErrorClass::NotFound, kind, what.to_string() + " not found")
    }

    #[must_use]
    pub(super) fn with_status(mut self, status: StatusCode) -> Refusal {
        self.0.status = status;
        self
    }

    #[must_use]
    pub(super) fn with_code(mut self, code: &'static str) -> Refusal {
        self.0.code = Some(Cow::Borrowed(code));
        self
    }

    #[must_use]
    pub(super) fn with_context(mut self, context: Value) -> Refusal {
        self.0.context = Some(context);
        self
    }

    /// The domain's stable name of a refusal of an id that was used before.
    pub(super) fn is_reused_id(&self) -> bool {
        self.0.kind == "id_reused"
    }

    pub(super) fn class(&self) -> ErrorClass {
        self.0.class
    }

    pub(super) fn detail(&self) -> &str {
        &self.0.detail
    }

    pub(super) fn kind(&self) -> &str {
        &self.0.kind
    }

    /// A read that moves no money may be repeated whenever the caller likes.
    fn retryable(&self, method: &Method) -> &'static str {
        match (Retryable::of(self.0.class), method.is_safe()) {
            (Retryable::No, _) => Retryable::No.word(),
            (Retryable::SameId, true) => "yes",
            (Retryable::SameId, false) => Retryable::SameId.word(),
        }
    }

    /// The contract has a name of its own for a read that cannot be answered now.
    fn kind_for(&self, method: &Method) -> String {
        match (self.0.kind.as_ref(), method.is_safe()) {
            ("unavailable", true) => "read_temporarily_unavailable".to_owned(),
            (kind, _) => kind.to_owned(),
        }
    }

    pub(super) fn envelope(&self, method: &Method, request_id: Uuid) -> Response {
        let envelope = ErrorEnvelope {
            error: ErrorBody {
                kind: self.kind_for(method),
                code: self.0.code.as_deref().map(str::to_owned),
                detail: self.0.detail.clone(),
                context: self.0.context.clone(),
            },
            request_id,
            retryable: self.retryable(method).to_owned(),
        };
        let body = serde_json::to_vec(&envelope).expect("strings and JSON become JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(ms) = self.0.retry_after_ms {
            // Whole seconds, and never sooner than said.
            let seconds = ms.div_ceil(1_000).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            headers.insert(RETRY_AFTER_MS, HeaderValue::from(ms));
        }
        response
    }
}

/// Bare: the envelope needs the request's id and method.
impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Refusal {
        let (kind, code) = contract_words(problem.code);
        let status = status_of(problem.class, &kind);
        Refusal(Box::new(Told {
            status,
            class: problem.class,
            kind,
            code,
            detail: problem.message,
            context: None,
            retry_after_ms: problem.retry_after_ms,
        }))
    }
}

impl From<Twice> for Refusal {
    fn from(twice: Twice) -> Refusal {
        Refusal::field(twice.0.as_str(), &twice)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        Problem::from(rejection).into()
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Refusal {
        Problem::from(error).into()
    }
}

fn status_of(class: ErrorClass, kind: &str) -> StatusCode {
    match kind {
        "missing_credentials" => StatusCode::BAD_REQUEST,
        "access_rights" | "not_allowed" => StatusCode::FORBIDDEN,
        "rate_limited" => StatusCode::TOO_MANY_REQUESTS,
        _ => problem::http(class),
    }
}

/// The contract's `type` and `code` of an error that has another name inside.
fn contract_words(code: Cow<'static, str>) -> (Cow<'static, str>, Option<Cow<'static, str>>) {
    let (kind, finer) = match code.as_ref() {
        "key_expired" => return ("wrong_credentials".into(), Some(code)),
        "address_not_allowed" => return ("access_rights".into(), Some(code)),
        "cannot_allocate" => ("line_of_credit_cannot_allocate_wallet_limit", None),
        "organisation_not_found" => ("organization_not_found", None),
        "wrong_network" => ("invalid_network", None),
        "amount_missing" => ("amount_required", Some("required")),
        "amount_given" => ("amount_match_failed", None),
        "amount_out_of_range" => ("invalid_amount", Some("below_minimum")),
        "fee_limit_out_of_range" => ("invalid_max_fee", None),
        "expiry_out_of_range" => ("invalid_receive_payment", Some("validation_failed")),
        "invoice_expired"
        | "too_long"
        | "not_bolt11"
        | "bad_checksum"
        | "bad_signature"
        | "unknown_network"
        | "amp"
        | "amount_above_supply"
        | "amount_below_msat" => return ("invalid_bolt11_payment_request".into(), Some(code)),
        "invoice_unknown_to_ledger" => return ("invalid_payment".into(), Some(code)),
        "id_invalid"
        | "field_missing"
        | "text_invalid"
        | "text_too_long"
        | "metadata_out_of_range"
        | "duplicate_credentials" => {
            return ("invalid_request".into(), Some(code));
        }
        _ => return (code, None),
    };
    (kind.into(), finer.map(Cow::Borrowed))
}

/// Every error, of every route and of the edge itself.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct ErrorEnvelope {
    error: ErrorBody,
    /// Also in the header `x-request-id`.
    request_id: Uuid,
    /// `no`: repeating changes nothing. `same_id`: repeat with the same id, or read by id; it is never
    /// done twice. `yes`: repeat whenever you like, no money moves.
    #[schema(example = "no")]
    retryable: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErrorDetails)]
struct ErrorBody {
    /// Branch on this.
    #[serde(rename = "type")]
    #[schema(example = "wallet_not_found")]
    kind: String,
    /// Finer than `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// For people; may change.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    context: Option<Value>,
}
