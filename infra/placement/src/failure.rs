//! Errors of the ports on the wire and back, with everything that they say.

use std::{fmt::Display, time::Duration};

use domain::{ErrorClass, PublicKey};
use ports::{
    StoreError,
    operations::{RegisterError, ThawError},
    orgs::OrgsError,
};
use proto::{
    Problem,
    convert::{
        WireError,
        engine::{id, id_bytes, network, network_number, optional_id, public_key},
    },
    engine::v1::{
        NodeNotRead, NotOwner, NotSafe, Nothing, OrgsFailure, Permissions, Refused,
        RegisterFailure, StoreFailure, ThawFailure, WrongIdentity, WrongNodeNetwork,
        orgs_failure as orgs, register_failure as register, store_failure as store,
        thaw_failure as thaw,
    },
    status::{Detail, shortened},
};
use tonic::{
    Code, Status,
    metadata::{Ascii, KeyAndValueRef, MetadataKey},
};

const NOTHING: Nothing = Nothing {};

/// How a call to another pod came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed<Error> {
    /// Who was asked has said so.
    Answered(Error),
    /// Certainly nobody began with it.
    NotTaken(String),
    /// Who was asked does not know such a request, as it is of an older version: it has not begun with it.
    NotKnown(String),
    /// It was handed over, and no answer came.
    Lost(String),
}

impl<Error> Failed<Error> {
    /// The error that the details of a status hold, or what the status says without one.
    fn read<Told: Detail>(
        status: &Status,
        read: impl FnOnce(Told) -> Result<Error, WireError>,
    ) -> Failed<Error> {
        match Told::of(status).map(read) {
            Some(Ok(error)) => Failed::Answered(error),
            // One that only a later version knows.
            Some(Err(_)) | None => Failed::of_transport(status),
        }
    }

    /// What a status says whose details hold none of our errors.
    fn of_transport(status: &Status) -> Failed<Error> {
        let problem = Problem::from_status(status);
        match problem.class {
            ErrorClass::Denied => {
                tracing::error!(%problem, "another pod does not accept this one");
                Failed::NotTaken(problem.to_string())
            }
            ErrorClass::Unavailable => Failed::NotTaken(problem.to_string()),
            ErrorClass::Invalid => Failed::NotKnown(problem.to_string()),
            ErrorClass::NotFound
            | ErrorClass::Rejected
            | ErrorClass::Conflict
            | ErrorClass::Uncertain
            | ErrorClass::Bug => Failed::Lost(problem.to_string()),
        }
    }
}

/// A request that says nothing. No pod of this version sends one.
pub(crate) fn unreadable(error: WireError) -> Status {
    Problem::from(error).into()
}

/// What a call on a stream is refused with.
pub(crate) fn refused(status: &Status) -> Refused {
    let texts = status.metadata().iter().filter_map(|entry| match entry {
        KeyAndValueRef::Ascii(key, value) => {
            Some((key.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        }
        KeyAndValueRef::Binary(..) => None,
    });
    Refused {
        status: status.code().into(),
        message: status.message().to_owned(),
        details: status.details().to_vec(),
        metadata: texts.collect(),
    }
}

/// As if the call had been refused by itself.
pub(crate) fn status(refused: Refused) -> Status {
    let Refused { status, message, details, metadata } = refused;
    let mut status = Status::with_details(Code::from(status), message, details.into());
    for (key, value) in metadata {
        if let (Ok(key), Ok(value)) = (key.parse::<MetadataKey<Ascii>>(), value.parse()) {
            status.metadata_mut().insert(key, value);
        }
    }
    status
}

pub(crate) fn of_orgs(error: &OrgsError) -> Status {
    use orgs::Why;

    let why = match error {
        OrgsError::Rejected(rejection) => Why::Rejected(rejection.into()),
        OrgsError::NotFound(org) => Why::OrganisationNotFound(id_bytes(*org)),
        OrgsError::Unavailable(why) => Why::Unavailable(cut(why)),
        OrgsError::Busy { retry_after } => Why::BusyRetryAfterMs(millis(*retry_after)),
        OrgsError::Uncertain(why) => Why::Uncertain(cut(why)),
        OrgsError::Frozen(why) => Why::Frozen(cut(why)),
        OrgsError::OlderPods(pods) => Why::OlderPods(cut(pods)),
        OrgsError::NotOwner { owner } => Why::NotOwner(NotOwner { owner: owner.map(id_bytes) }),
    };
    problem(error.class(), error.code(), error).with_detail(&OrgsFailure { why: Some(why) })
}

pub(crate) fn orgs(status: &Status) -> Failed<OrgsError> {
    Failed::read(status, read_orgs)
}

fn read_orgs(failure: OrgsFailure) -> Result<OrgsError, WireError> {
    use orgs::Why;

    Ok(match failure.why.ok_or(WireError::Missing("why"))? {
        Why::Rejected(rejection) => OrgsError::Rejected(rejection.try_into()?),
        Why::OrganisationNotFound(org) => OrgsError::NotFound(id("organisation", &org)?),
        Why::Unavailable(why) => OrgsError::Unavailable(why),
        Why::BusyRetryAfterMs(ms) => OrgsError::Busy { retry_after: Duration::from_millis(ms) },
        Why::Uncertain(why) => OrgsError::Uncertain(why),
        Why::Frozen(why) => OrgsError::Frozen(why),
        Why::OlderPods(pods) => OrgsError::OlderPods(pods),
        Why::NotOwner(NotOwner { owner }) => {
            OrgsError::NotOwner { owner: optional_id("owner", owner)? }
        }
    })
}

pub(crate) fn of_store(error: &StoreError) -> Status {
    problem(error.class(), error.code(), error).with_detail(&store_failure(error))
}

fn store_failure(error: &StoreError) -> StoreFailure {
    use store::Why;

    let why = match error {
        StoreError::Unavailable(why) => Why::Unavailable(cut(why)),
        StoreError::Unknown(why) => Why::Unknown(cut(why)),
        StoreError::Corrupt(why) => Why::Corrupt(cut(why)),
        StoreError::AlreadyThere => Why::AlreadyThere(NOTHING),
    };
    StoreFailure { why: Some(why) }
}

pub(crate) fn store(status: &Status) -> Failed<StoreError> {
    Failed::read(status, read_store)
}

fn read_store(failure: StoreFailure) -> Result<StoreError, WireError> {
    use store::Why;

    Ok(match failure.why.ok_or(WireError::Missing("why"))? {
        Why::Unavailable(why) => StoreError::Unavailable(why),
        Why::Unknown(why) => StoreError::Unknown(why),
        Why::Corrupt(why) => StoreError::Corrupt(why),
        Why::AlreadyThere(Nothing {}) => StoreError::AlreadyThere,
    })
}

pub(crate) fn of_thaw(error: &ThawError) -> Status {
    use thaw::Why;

    let why = match error {
        ThawError::NodeNotRead { node, why } => {
            Why::NodeNotRead(NodeNotRead { node: cut(node), why: cut(why) })
        }
        ThawError::NotSafe { due, first } => Why::NotSafe(NotSafe { due: *due, first: cut(first) }),
        ThawError::Store(error) => Why::Store(store_failure(error)),
    };
    problem(error.class(), error.code(), error).with_detail(&ThawFailure { why: Some(why) })
}

pub(crate) fn thaw(status: &Status) -> Failed<ThawError> {
    Failed::read(status, read_thaw)
}

fn read_thaw(failure: ThawFailure) -> Result<ThawError, WireError> {
    use thaw::Why;

    Ok(match failure.why.ok_or(WireError::Missing("why"))? {
        Why::NodeNotRead(NodeNotRead { node, why }) => ThawError::NodeNotRead { node, why },
        Why::NotSafe(NotSafe { due, first }) => ThawError::NotSafe { due, first },
        Why::Store(failure) => ThawError::Store(read_store(failure)?),
    })
}

pub(crate) fn of_register(error: &RegisterError) -> Status {
    use register::Why;

    let why = match error {
        RegisterError::BadAddress(why) => Why::BadAddress(cut(why)),
        RegisterError::BadCertificate(why) => Why::BadCertificate(cut(why)),
        RegisterError::BadMacaroon(why) => Why::BadMacaroon(cut(why)),
        RegisterError::Permissions { missing, too_much, bake } => Why::Permissions(Permissions {
            missing: missing.clone(),
            too_much: too_much.clone(),
            bake: bake.clone(),
        }),
        RegisterError::Unreachable(why) => Why::Unreachable(cut(why)),
        RegisterError::WrongCertificate => Why::WrongCertificate(NOTHING),
        RegisterError::Denied(why) => Why::Denied(cut(why)),
        RegisterError::WrongNetwork { expected, found } => {
            let (expected, found) = (network_number(*expected), cut(found));
            Why::WrongNetwork(WrongNodeNetwork { expected, found })
        }
        RegisterError::WrongIdentity { expected, found } => Why::WrongIdentity(WrongIdentity {
            expected: expected.0.to_vec(),
            found: found.0.to_vec(),
        }),
        RegisterError::ClockOff(ahead_ms) => Why::ClockOffMs(*ahead_ms),
        RegisterError::OrgNotFound(org) => Why::OrganisationNotFound(id_bytes(*org)),
        RegisterError::AlreadyThere => Why::AlreadyThere(NOTHING),
        RegisterError::Store(error) => Why::Store(store_failure(error)),
    };
    problem(error.class(), error.code(), error).with_detail(&RegisterFailure { why: Some(why) })
}

pub(crate) fn register(status: &Status) -> Failed<RegisterError> {
    Failed::read(status, read_register)
}

fn read_register(failure: RegisterFailure) -> Result<RegisterError, WireError> {
    use register::Why;

    let key = |field, bytes: &[u8]| -> Result<PublicKey, WireError> { public_key(field, bytes) };
    Ok(match failure.why.ok_or(WireError::Missing("why"))? {
        Why::BadAddress(why) => RegisterError::BadAddress(why),
        Why::BadCertificate(why) => RegisterError::BadCertificate(why),
        Why::BadMacaroon(why) => RegisterError::BadMacaroon(why),
        Why::Permissions(Permissions { missing, too_much, bake }) => {
            RegisterError::Permissions { missing, too_much, bake }
        }
        Why::Unreachable(why) => RegisterError::Unreachable(why),
        Why::WrongCertificate(Nothing {}) => RegisterError::WrongCertificate,
        Why::Denied(why) => RegisterError::Denied(why),
        Why::WrongNetwork(WrongNodeNetwork { expected, found }) => {
            RegisterError::WrongNetwork { expected: network(expected)?, found }
        }
        Why::WrongIdentity(WrongIdentity { expected, found }) => RegisterError::WrongIdentity {
            expected: key("expected", &expected)?,
            found: key("found", &found)?,
        },
        Why::ClockOffMs(ahead_ms) => RegisterError::ClockOff(ahead_ms),
        Why::OrganisationNotFound(org) => RegisterError::OrgNotFound(id("organisation", &org)?),
        Why::AlreadyThere(Nothing {}) => RegisterError::AlreadyThere,
        Why::Store(failure) => RegisterError::Store(read_store(failure)?),
    })
}

fn problem(class: ErrorClass, code: &'static str, error: &impl Display) -> Problem {
    Problem::new(class, code, error)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A status travels in headers, which have a bound.
fn cut(text: &str) -> String {
    shortened(text).to_owned()
}

#[cfg(test)]
mod tests;
