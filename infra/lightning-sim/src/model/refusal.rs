//! How a node says no: LND's codes and words.

use std::borrow::Cow;

/// The gRPC codes that LND uses; nearly everything is `Unknown` with free text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    Unknown,
    AlreadyExists,
    NotFound,
    Unavailable,
    InvalidArgument,
    FailedPrecondition,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    pub code: Code,
    pub text: Cow<'static, str>,
}

impl Refusal {
    pub fn unknown(text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code: Code::Unknown, text: text.into() }
    }

    pub fn already_exists(text: &'static str) -> Refusal {
        Refusal { code: Code::AlreadyExists, text: text.into() }
    }

    pub fn not_found(text: &'static str) -> Refusal {
        Refusal { code: Code::NotFound, text: text.into() }
    }

    pub fn unavailable(text: &'static str) -> Refusal {
        Refusal { code: Code::Unavailable, text: text.into() }
    }

    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code: Code::InvalidArgument, text: text.into() }
    }

    pub fn precondition(text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code: Code::FailedPrecondition, text: text.into() }
    }
}

pub(super) fn invoice_not_found() -> Refusal {
    Refusal::unknown("unable to locate invoice")
}

pub(super) fn macaroon_expired(caveat: &str) -> Refusal {
    Refusal::unknown(format!("caveat \"time-before {caveat}\" not satisfied: macaroon has expired"))
}
