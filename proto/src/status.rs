//! An error on the wire: its class becomes a gRPC status here and nowhere else.
//!
//! | class | gRPC | retryable |
//! |---|---|---|
//! | Invalid | INVALID_ARGUMENT; UNIMPLEMENTED for a call that there is not | no |
//! | Denied | UNAUTHENTICATED; PERMISSION_DENIED for a key that may not | no |
//! | NotFound | NOT_FOUND | no |
//! | Rejected | FAILED_PRECONDITION | no |
//! | Conflict | ALREADY_EXISTS | no |
//! | Unavailable | UNAVAILABLE; RESOURCE_EXHAUSTED for a key that calls too often | same_id |
//! | Uncertain | DEADLINE_EXCEEDED | same_id |
//! | Bug | INTERNAL | no |
//!
//! What is unavailable says when to come back: `retry-after-ms`, and `grpc-retry-pushback-ms` for libraries
//! that repeat by themselves.
//!
//! A client may believe that nothing was done only if the status is one of ours, which it knows by
//! its code string. A status that the transport made up, such as UNAVAILABLE for a connection that
//! broke while the request was under way, says nothing about what was done: it is read as
//! Uncertain.

use std::{borrow::Cow, collections::HashMap, error::Error, fmt, time::Duration};

use domain::{ErrorClass, Rejection};
use prost::Message;
use tonic::{Code, ConnectError, Status, metadata::MetadataValue};

use crate::{convert::WireError, engine, v1};

/// The metadata key of the stable name of an error.
pub const CODE_KEY: &str = "switchyard-code";
/// The metadata key of what a repeat may do.
pub const RETRYABLE_KEY: &str = "switchyard-retryable";
/// The metadata key of when a repeat is likely to be taken, in milliseconds from now.
pub const RETRY_AFTER_KEY: &str = "retry-after-ms";
/// The same for the library of the caller, where it repeats by itself.
const PUSHBACK_KEY: &str = "grpc-retry-pushback-ms";

/// When to come back where nobody knows better: what is not available is back within seconds.
const RETRY_AFTER_MS: u64 = 1_000;

/// `ErrorInfo.domain`: whose names the reasons are.
const DOMAIN: &str = "switchyard";
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// A status travels in headers, twice (as message and in the details); clients take 16 KiB of them.
const MESSAGE_BYTES_MAX: usize = 2_048;

/// A request that was not carried out, or of which that cannot be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub class: ErrorClass,
    /// A stable name for programs; of lower-case words and `_`.
    pub code: Cow<'static, str>,
    /// For people; may change.
    pub message: String,
    /// When a repeat is likely to be taken. Whatever is unavailable says so.
    pub retry_after_ms: Option<u64>,
}

impl Problem {
    pub fn new(class: ErrorClass, code: &'static str, message: impl fmt::Display) -> Problem {
        let (code, message) = (Cow::Borrowed(code), message.to_string());
        Problem { class, code, message, retry_after_ms: retry_after_ms(class) }
    }

    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Problem {
        // Never sooner than said.
        let ms = wait.as_micros().div_ceil(1_000);
        self.retry_after_ms = Some(u64::try_from(ms).unwrap_or(u64::MAX));
        self
    }

    pub fn retryable(&self) -> Retryable {
        Retryable::of(self.class)
    }

    /// Reads a status back, whoever made it.
    pub fn from_status(status: &Status) -> Problem {
        let ours = status.metadata().get(CODE_KEY).and_then(|code| code.to_str().ok());
        let (class, code) = match ours {
            Some(code) => (class_of_ours(status.code()), Cow::Owned(code.to_owned())),
            None if never_connected(status) => {
                (ErrorClass::Unavailable, Cow::Borrowed("unreachable"))
            }
            None => foreign(status.code()),
        };
        let wait = status.metadata().get(RETRY_AFTER_KEY).and_then(|wait| wait.to_str().ok());
        let retry_after_ms = wait.and_then(|wait| wait.parse().ok());
        Problem { class, code, message: status.message().to_owned(), retry_after_ms }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl Error for Problem {}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Problem {
        Problem::new(rejection.class(), rejection.code(), &rejection)
    }
}

impl From<WireError> for Problem {
    fn from(error: WireError) -> Problem {
        Problem::new(error.class(), error.code(), error)
    }
}

/// When to come back after an error of that class, if nobody knows better.
pub fn retry_after_ms(class: ErrorClass) -> Option<u64> {
    (class == ErrorClass::Unavailable).then_some(RETRY_AFTER_MS)
}

/// What a caller may do about an error. There is no "yes, under a fresh id".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    No,
    /// Repeat with the same id, or read by id.
    SameId,
}

impl Retryable {
    pub fn of(class: ErrorClass) -> Retryable {
        match class {
            ErrorClass::Unavailable | ErrorClass::Uncertain => Retryable::SameId,
            ErrorClass::Invalid
            | ErrorClass::Denied
            | ErrorClass::NotFound
            | ErrorClass::Rejected
            | ErrorClass::Conflict
            | ErrorClass::Bug => Retryable::No,
        }
    }

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Retryable::No => "no",
            Retryable::SameId => "same_id",
        }
    }
}

/// What a status can hold beside its class and code, for a peer that knows the whole error.
pub trait Detail: Message + Default {
    const TYPE_URL: &'static str;

    /// `None`: the status holds none, or one that cannot be read.
    fn of(status: &Status) -> Option<Self> {
        let details = rpc::Details::decode(status.details()).ok()?;
        let own = details.details.iter().find(|detail| detail.type_url == Self::TYPE_URL)?;
        Self::decode(own.value.as_slice()).ok()
    }
}

impl Detail for engine::v1::OrgsFailure {
    const TYPE_URL: &'static str = "type.googleapis.com/switchyard.engine.v1.OrgsFailure";
}

impl Detail for engine::v1::StoreFailure {
    const TYPE_URL: &'static str = "type.googleapis.com/switchyard.engine.v1.StoreFailure";
}

impl Detail for engine::v1::ThawFailure {
    const TYPE_URL: &'static str = "type.googleapis.com/switchyard.engine.v1.ThawFailure";
}

impl Detail for engine::v1::RegisterFailure {
    const TYPE_URL: &'static str = "type.googleapis.com/switchyard.engine.v1.RegisterFailure";
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Status {
        problem.into_status(None)
    }
}

impl Problem {
    /// A status that says, beside class and code, the whole error.
    pub fn with_detail<D: Detail>(self, detail: &D) -> Status {
        let (type_url, value) = (D::TYPE_URL.to_owned(), detail.encode_to_vec());
        self.into_status(Some(rpc::Any { type_url, value }))
    }

    fn into_status(self, detail: Option<rpc::Any>) -> Status {
        let problem = self;
        let message = shortened(&problem.message);
        let grpc = code_of(&problem);
        let mut details = rpc::Details::of(&problem, grpc, message);
        details.details.extend(detail);
        let mut status = Status::with_details(grpc, message, details.encode_to_vec().into());
        let metadata = status.metadata_mut();
        // A code of ours is plain ASCII; one that is not would only lose its name.
        if let Ok(code) = MetadataValue::try_from(problem.code.as_ref()) {
            metadata.insert(CODE_KEY, code);
        }
        let retryable = problem.retryable().word();
        metadata.insert(RETRYABLE_KEY, MetadataValue::from_static(retryable));
        if let Some(ms) = problem.retry_after_ms {
            for key in [RETRY_AFTER_KEY, PUSHBACK_KEY] {
                metadata.insert(key, MetadataValue::from(ms));
            }
        }
        status
    }
}

/// For a request that is one of many on a stream.
impl From<Problem> for v1::Refusal {
    fn from(problem: Problem) -> v1::Refusal {
        v1::Refusal {
            status: code_of(&problem).into(),
            message: shortened(&problem.message).to_owned(),
            retryable: problem.retryable().word().to_owned(),
            retry_after_ms: problem.retry_after_ms,
            code: problem.code.into_owned(),
        }
    }
}

/// The class decides, but for three that gRPC tells apart and the class does not.
fn code_of(problem: &Problem) -> Code {
    match problem.code.as_ref() {
        "access_rights" | "address_not_allowed" | "not_allowed" => Code::PermissionDenied,
        "rate_limited" => Code::ResourceExhausted,
        "unknown_call" => Code::Unimplemented,
        _ => code(problem.class),
    }
}

/// The class of an error as gRPC has it.
pub fn code(class: ErrorClass) -> Code {
    match class {
        ErrorClass::Invalid => Code::InvalidArgument,
        ErrorClass::Denied => Code::Unauthenticated,
        ErrorClass::NotFound => Code::NotFound,
        ErrorClass::Rejected => Code::FailedPrecondition,
        ErrorClass::Conflict => Code::AlreadyExists,
        ErrorClass::Unavailable => Code::Unavailable,
        ErrorClass::Uncertain => Code::DeadlineExceeded,
        ErrorClass::Bug => Code::Internal,
    }
}

fn class_of_ours(code: Code) -> ErrorClass {
    match code {
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => ErrorClass::Invalid,
        Code::Unauthenticated | Code::PermissionDenied => ErrorClass::Denied,
        Code::NotFound => ErrorClass::NotFound,
        Code::FailedPrecondition => ErrorClass::Rejected,
        Code::AlreadyExists | Code::Aborted => ErrorClass::Conflict,
        Code::Unavailable | Code::ResourceExhausted => ErrorClass::Unavailable,
        Code::Internal => ErrorClass::Bug,
        Code::DeadlineExceeded | Code::Ok | Code::Cancelled | Code::Unknown | Code::DataLoss => {
            ErrorClass::Uncertain
        }
    }
}

/// A status that neither a decision nor the gateway made: only those say "not done" that are given
/// before a request is looked at.
fn foreign(code: Code) -> (ErrorClass, Cow<'static, str>) {
    let (class, name) = match code {
        Code::InvalidArgument => (ErrorClass::Invalid, "invalid_request"),
        Code::Unimplemented => (ErrorClass::Invalid, "unknown_call"),
        Code::Unauthenticated | Code::PermissionDenied => (ErrorClass::Denied, "denied"),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => (ErrorClass::Uncertain, "outcome_unknown"),
    };
    (class, Cow::Borrowed(name))
}

/// The connection was never made, so the request never left.
fn never_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// As much of a text as a status may hold.
pub fn shortened(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    &message[..end]
}

/// google.rpc, as far as we speak it.
mod rpc {
    use super::{Code, DOMAIN, ERROR_INFO, HashMap, Message, Problem};

    /// google.rpc.Status.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Details {
        #[prost(int32, tag = "1")]
        pub(super) code: i32,
        #[prost(string, tag = "2")]
        pub(super) message: String,
        #[prost(message, repeated, tag = "3")]
        pub(super) details: Vec<Any>,
    }

    /// google.protobuf.Any.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Any {
        #[prost(string, tag = "1")]
        pub(super) type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) value: Vec<u8>,
    }

    /// google.rpc.ErrorInfo.
    #[derive(Clone, PartialEq, Message)]
    pub(super) struct ErrorInfo {
        #[prost(string, tag = "1")]
        pub(super) reason: String,
        #[prost(string, tag = "2")]
        pub(super) domain: String,
        #[prost(map = "string, string", tag = "3")]
        pub(super) metadata: HashMap<String, String>,
    }

    impl Details {
        pub(super) fn of(problem: &Problem, grpc: Code, message: &str) -> Details {
            let retryable = problem.retryable().word().to_owned();
            let info = ErrorInfo {
                reason: problem.code.clone().into_owned(),
                domain: DOMAIN.to_owned(),
                metadata: HashMap::from([("retryable".to_owned(), retryable)]),
            };
            Details {
                code: grpc.into(),
                message: message.to_owned(),
                details: vec![Any { type_url: ERROR_INFO.to_owned(), value: info.encode_to_vec() }],
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [(ErrorClass, Code, &str); 8] = [
        (ErrorClass::Invalid, Code::InvalidArgument, "no"),
        (ErrorClass::Denied, Code::Unauthenticated, "no"),
        (ErrorClass::NotFound, Code::NotFound, "no"),
        (ErrorClass::Rejected, Code::FailedPrecondition, "no"),
        (ErrorClass::Conflict, Code::AlreadyExists, "no"),
        (ErrorClass::Unavailable, Code::Unavailable, "same_id"),
        (ErrorClass::Uncertain, Code::DeadlineExceeded, "same_id"),
        (ErrorClass::Bug, Code::Internal, "no"),
    ];

    #[test]
    fn every_class_has_its_status_and_comes_back() {
        for (class, code, retryable) in CLASSES {
            let problem = Problem::new(class, "some_code", "a message: ünïcode");
            let status = Status::from(problem.clone());
            assert_eq!(status.code(), code);
            assert_eq!(status.metadata().get(CODE_KEY).unwrap(), "some_code");
            assert_eq!(status.metadata().get(RETRYABLE_KEY).unwrap(), retryable);
            assert_eq!(Problem::from_status(&status), problem);

            let details = rpc::Details::decode(status.details()).unwrap();
            assert_eq!(details.code, i32::from(code));
            assert_eq!(details.message, problem.message);
            let info = rpc::ErrorInfo::decode(details.details[0].value.as_slice()).unwrap();
            assert_eq!(details.details[0].type_url, ERROR_INFO);
            assert_eq!((info.reason.as_str(), info.domain.as_str()), ("some_code", DOMAIN));
            assert_eq!(info.metadata["retryable"], retryable);
        }
    }

    /// Some libraries take a status for broken whose details have another code.
    #[test]
    fn what_grpc_tells_apart_has_one_code_in_both_places() {
        for (class, name, code) in [
            (ErrorClass::Denied, "access_rights", Code::PermissionDenied),
            (ErrorClass::Unavailable, "rate_limited", Code::ResourceExhausted),
            (ErrorClass::Invalid, "unknown_call", Code::Unimplemented),
        ] {
            let problem = Problem::new(class, name, "a message");
            let status = Status::from(problem.clone());
            let details = rpc::Details::decode(status.details()).unwrap();
            assert_eq!((status.code(), details.code), (code, i32::from(code)));
            assert_eq!(Problem::from_status(&status), problem);
        }
    }

    #[test]
    fn what_is_unavailable_says_when_to_come_back() {
        let busy = Problem::new(ErrorClass::Unavailable, "busy", "busy");
        let told = |problem: &Problem| {
            let status = Status::from(problem.clone());
            let said = |key| Some(status.metadata().get(key)?.to_str().unwrap().to_owned());
            assert_eq!(Problem::from_status(&status), *problem);
            assert_eq!(v1::Refusal::from(problem.clone()).retry_after_ms, problem.retry_after_ms);
            (said("retry-after-ms"), said("grpc-retry-pushback-ms"))
        };
        let ms = |ms: &str| (Some(ms.to_owned()), Some(ms.to_owned()));
        assert_eq!(told(&busy), ms("1000"));
        assert_eq!(told(&busy.retry_after(Duration::from_micros(2_500_001))), ms("2501"));
        let unknown = Problem::new(ErrorClass::Uncertain, "outcome_unknown", "perhaps");
        assert_eq!(told(&unknown), (None, None));
    }

    #[test]
    fn a_detail_comes_back_beside_what_everybody_reads() {
        use engine::v1::{OrgsFailure, StoreFailure, orgs_failure::Why};

        let failure = OrgsFailure { why: Some(Why::Frozen("a restored node".to_owned())) };
        let problem = Problem::new(ErrorClass::Unavailable, "sends_frozen", "frozen");
        let status = problem.clone().with_detail(&failure);
        assert_eq!(Problem::from_status(&status), problem);
        assert_eq!(OrgsFailure::of(&status), Some(failure));
        assert_eq!(StoreFailure::of(&status), None);
        assert_eq!(OrgsFailure::of(&Status::from(problem)), None);
        assert_eq!(OrgsFailure::of(&Status::unavailable("transport error")), None);
    }

    /// A status that we did not make proves nothing about what was done.
    #[test]
    fn a_lost_connection_is_never_read_as_not_done() {
        for number in 0..=16 {
            let code = Code::from(number);
            let problem = Problem::from_status(&Status::new(code, "transport error"));
            let says_not_done = matches!(
                code,
                Code::InvalidArgument
                    | Code::Unimplemented
                    | Code::Unauthenticated
                    | Code::PermissionDenied
            );
            assert_eq!(problem.class != ErrorClass::Uncertain, says_not_done, "{code:?}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_was_never_made_is() {
        let nobody = tonic::transport::Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let mut client = crate::v1::payments_client::PaymentsClient::new(nobody);
        let status = client.send(crate::v1::SendRequest::default()).await.unwrap_err();
        let problem = Problem::from_status(&status);
        assert_eq!(
            (problem.class, problem.code.as_ref()),
            (ErrorClass::Unavailable, "unreachable")
        );
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let status =
            Status::from(Problem::new(ErrorClass::Invalid, "long", "ü".repeat(MESSAGE_BYTES_MAX)));
        assert_eq!(status.message().len(), MESSAGE_BYTES_MAX);
        let odd = format!("a{}", "ü".repeat(MESSAGE_BYTES_MAX));
        let status = Status::from(Problem::new(ErrorClass::Invalid, "long", odd));
        assert_eq!(status.message().len(), MESSAGE_BYTES_MAX - 1);
    }
}
