//! What lnd's refusals mean. Nearly all of them have code Unknown and a text for people.

use ports::lightning::{NodeError, PayError};
use tonic::{Code, Status};

/// What a failed call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// The `time-before` of the macaroon is over: the call did not run.
    Lapsed,
    /// The macaroon does not do: the call did not run.
    Denied,
    /// lnd is coming up: the call did not run.
    NotReady,
    /// The payment hash is known to lnd already.
    Exists,
    /// There is no such thing.
    NotFound,
    /// lnd itself said no.
    Refused,
    /// Anything may have happened.
    Nothing,
}

const DENIED: [&str; 9] = [
    "permission denied",
    "expected 1 macaroon, got",
    "verification failed",
    "cannot get macaroon",
    "root key with id",
    "cannot determine data format of binary-encoded macaroon",
    "not satisfied: ",
    "encoding/hex",
    "unable to get root key",
];
const NOT_READY: [&str; 6] = [
    "wallet not created",
    "wallet locked",
    "wallet already unlocked, WalletUnlocker service",
    "in the process of starting up",
    "waiting to start",
    "the RPC server is not active",
];
const EXISTS: [&str; 3] =
    ["payment already exists", "payment is in transition", "invoice is already paid"];
const NOT_FOUND: [&str; 2] = ["unable to locate invoice", "there are no existing invoices"];
const GOING_DOWN: [&str; 3] = ["shutting down", "context canceled", "context deadline exceeded"];

pub(super) fn told(status: &Status) -> Told {
    if std::error::Error::source(status).is_some() {
        return Told::Nothing;
    }
    // Nothing on our side makes these two, so they count wherever they come.
    let sure = matches!(status.code(), Code::AlreadyExists | Code::NotFound);
    if sure || has_head(status) { by_code(status) } else { Told::Nothing }
}

/// Whether the status came with the head of a gRPC answer, so from the other side. What our own side
/// makes of a broken connection may have code Unknown too.
fn has_head(status: &Status) -> bool {
    let kind = status.metadata().get("content-type").and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}

fn by_code(status: &Status) -> Told {
    match status.code() {
        Code::Unknown => by_text(status.message()),
        Code::AlreadyExists => Told::Exists,
        Code::NotFound => Told::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Told::Denied,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => Told::Refused,
        // Whatever stands between us and lnd says these too.
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Told::Nothing,
    }
}

fn by_text(text: &str) -> Told {
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    if text.contains("macaroon has expired") {
        Told::Lapsed
    } else if has(&GOING_DOWN) {
        Told::Nothing
    } else if has(&EXISTS) {
        Told::Exists
    } else if has(&NOT_READY) {
        Told::NotReady
    } else if has(&NOT_FOUND) {
        Told::NotFound
    } else if has(&DENIED) {
        Told::Denied
    } else {
        Told::Refused
    }
}

pub(super) fn node_error(status: &Status) -> NodeError {
    let text = status.message().to_owned();
    match told(status) {
        // None that we send with such a call: it is the macaroon's own.
        Told::Lapsed | Told::Denied => NodeError::Denied(text),
        Told::NotReady => NodeError::Unreachable(text),
        Told::Nothing => NodeError::Unreachable(in_full(status)),
        Told::Exists | Told::NotFound | Told::Refused => NodeError::Refused(text),
    }
}

/// How a send call failed before its first update.
pub(super) fn pay_error(status: &Status) -> PayError {
    match told(status) {
        Told::Lapsed => PayError::PermissionLapsed,
        Told::Denied | Told::NotReady | Told::NotFound | Told::Refused => {
            PayError::Refused(status.message().to_owned())
        }
        // The payment that is there may be ours: it has to be looked up.
        Told::Exists => PayError::Lost(status.message().to_owned()),
        Told::Nothing => PayError::Lost(in_full(status)),
    }
}

/// The text with what caused it, as "transport error" alone helps nobody.
pub(super) fn in_full(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tonic::metadata::MetadataValue;

    use super::*;

    fn answered(code: Code, text: &str) -> Status {
        let mut status = Status::new(code, text);
        let kind = MetadataValue::from_static("application/grpc");
        status.metadata_mut().insert("content-type", kind);
        status
    }

    #[test]
    fn a_refusal_is_only_what_lnd_itself_said() {
        let refused = "invoice expired. Valid until 2026-01-01";
        assert_eq!(told(&answered(Code::Unknown, refused)), Told::Refused);
        assert_eq!(told(&Status::unknown(refused)), Told::Nothing, "made on our side");
        let mut broken = answered(Code::Unknown, refused);
        broken.set_source(Arc::new(std::io::Error::other("reset")));
        assert_eq!(told(&broken), Told::Nothing, "with a cause on our side");
        assert_eq!(
            pay_error(&Status::unknown("Service was not ready: x")),
            lost_as("Service was not ready: x")
        );
        for code in [Code::Unavailable, Code::Internal, Code::Cancelled, Code::DeadlineExceeded] {
            assert_eq!(pay_error(&answered(code, "x")), lost_as("x"), "{code:?}");
        }
        for code in [Code::InvalidArgument, Code::FailedPrecondition, Code::OutOfRange] {
            assert_eq!(pay_error(&answered(code, "x")), PayError::Refused("x".to_owned()));
        }
    }

    fn lost_as(text: &str) -> PayError {
        PayError::Lost(text.to_owned())
    }

    #[test]
    fn lnds_words() {
        for (text, meaning) in [
            (
                "caveat \"time-before 2026-01-01T00:00:00Z\" not satisfied: macaroon has expired",
                Told::Lapsed,
            ),
            ("verification failed: caveat \"ipaddr 10.0.0.1\" not satisfied: x", Told::Denied),
            ("permission denied", Told::Denied),
            ("expected 1 macaroon, got 0", Told::Denied),
            ("verification failed: signature mismatch after caveat verification", Told::Denied),
            ("cannot get macaroon: root key with id 7 doesn't exist", Told::Denied),
            ("wallet locked, unlock it to enable full RPC access", Told::NotReady),
            (
                "the RPC server is in the process of starting up, but not yet ready to accept calls",
                Told::NotReady,
            ),
            ("routerrpc server shutting down", Told::Nothing),
            ("sql: InitPayment: payment is in transition", Told::Exists),
            ("invoice is already paid", Told::Exists),
            ("unable to locate invoice", Told::NotFound),
            ("self-payments not allowed", Told::Refused),
        ] {
            assert_eq!(told(&answered(Code::Unknown, text)), meaning, "{text}");
        }
        assert_eq!(told(&answered(Code::AlreadyExists, "x")), Told::Exists);
        assert_eq!(told(&Status::not_found("after the head")), Told::NotFound);
        assert!(matches!(pay_error(&answered(Code::AlreadyExists, "x")), PayError::Lost(_)));
    }
}
