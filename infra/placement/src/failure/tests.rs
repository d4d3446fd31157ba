use domain::{Network, OrgId, PublicKey, Rejection, SessionId, WalletId};
use uuid::Uuid;

use super::*;
use crate::limits;

/// Each names the one after it, exhaustively, so that a new one is not forgotten.
fn after_orgs(error: &OrgsError) -> Option<OrgsError> {
    Some(match error {
        OrgsError::Rejected(Rejection::InvoiceExpired) => {
            let wallet = WalletId::new(Uuid::from_u128(7));
            OrgsError::Rejected(Rejection::WalletNotEmpty(wallet))
        }
        OrgsError::Rejected(_) => OrgsError::NotFound(OrgId::new(Uuid::from_u128(8))),
        OrgsError::NotFound(_) => OrgsError::Unavailable("too much work".to_owned()),
        OrgsError::Unavailable(_) => OrgsError::Busy { retry_after: Duration::from_millis(1_250) },
        OrgsError::Busy { .. } => OrgsError::Uncertain("it was stopped".to_owned()),
        OrgsError::Uncertain(_) => OrgsError::Frozen("a restored node".to_owned()),
        OrgsError::Frozen(_) => OrgsError::OlderPods("engine-1".to_owned()),
        OrgsError::OlderPods(_) => OrgsError::NotOwner { owner: None },
        OrgsError::NotOwner { owner: None } => {
            OrgsError::NotOwner { owner: Some(SessionId::new(Uuid::from_u128(9))) }
        }
        OrgsError::NotOwner { owner: Some(_) } => return None,
    })
}

fn after_store(error: &StoreError) -> Option<StoreError> {
    Some(match error {
        StoreError::Unavailable(_) => StoreError::Unknown("in commit".to_owned()),
        StoreError::Unknown(_) => StoreError::Corrupt("a row".to_owned()),
        StoreError::Corrupt(_) => StoreError::AlreadyThere,
        StoreError::AlreadyThere => return None,
    })
}

fn after_register(error: &RegisterError) -> Option<RegisterError> {
    let expected = PublicKey([2; 33]);
    Some(match error {
        RegisterError::BadAddress(_) => RegisterError::BadCertificate("no PEM".to_owned()),
        RegisterError::BadCertificate(_) => RegisterError::BadMacaroon("short".to_owned()),
        RegisterError::BadMacaroon(_) => RegisterError::Permissions {
            missing: vec!["offchain:write".to_owned(), "info:read".to_owned()],
            too_much: vec!["macaroon:generate".to_owned()],
            bake: "lncli bakemacaroon".to_owned(),
        },
        RegisterError::Permissions { .. } => RegisterError::Unreachable("refused".to_owned()),
        RegisterError::Unreachable(_) => RegisterError::WrongCertificate,
        RegisterError::WrongCertificate => RegisterError::Denied("expired".to_owned()),
        RegisterError::Denied(_) => {
            RegisterError::WrongNetwork { expected: Network::Mainnet, found: "simnet".to_owned() }
        }
        RegisterError::WrongNetwork { .. } => {
            RegisterError::WrongIdentity { expected, found: PublicKey([3; 33]) }
        }
        RegisterError::WrongIdentity { .. } => RegisterError::ClockOff(-1_500),
        RegisterError::ClockOff(_) => RegisterError::OrgNotFound(OrgId::new(Uuid::from_u128(1))),
        RegisterError::OrgNotFound(_) => RegisterError::AlreadyThere,
        RegisterError::AlreadyThere => {
            RegisterError::Store(StoreError::Unavailable("away".to_owned()))
        }
        RegisterError::Store(error) => RegisterError::Store(after_store(error)?),
    })
}

fn after_thaw(error: &ThawError) -> Option<ThawError> {
    Some(match error {
        ThawError::NodeNotRead { .. } => {
            ThawError::NotSafe { due: 2, first: "lost_payment".to_owned() }
        }
        ThawError::NotSafe { .. } => ThawError::Store(StoreError::Unavailable("away".to_owned())),
        ThawError::Store(error) => ThawError::Store(after_store(error)?),
    })
}

/// Through headers and back, as a call brings it.
fn travelled(status: &Status) -> Status {
    let mut headers = tonic::codegen::http::HeaderMap::new();
    status.add_header(&mut headers).unwrap();
    Status::from_header_map(&headers).unwrap()
}

/// Goes through all of them; answers how many there were.
fn all_survive<E: Clone + PartialEq + std::fmt::Debug>(
    first: E,
    next: fn(&E) -> Option<E>,
    write: fn(&E) -> Status,
    read: fn(&Status) -> Failed<E>,
    class: fn(&E) -> ErrorClass,
) -> usize {
    let all: Vec<E> = std::iter::successors(Some(first), next).collect();
    for error in &all {
        let status = travelled(&write(error));
        assert_eq!(read(&status), Failed::Answered(error.clone()));
        let on_a_stream = super::status(refused(&write(error)));
        assert_eq!(read(&on_a_stream), Failed::Answered(error.clone()));
        assert_eq!(Problem::from_status(&on_a_stream), Problem::from_status(&status));
        assert_eq!(Problem::from_status(&status).class, class(error), "for those who know less");
    }
    all.len()
}

#[test]
fn every_error_survives_with_its_values() {
    let expired = OrgsError::Rejected(Rejection::InvoiceExpired);
    let orgs = all_survive(expired, after_orgs, of_orgs, orgs, OrgsError::class);
    let away = StoreError::Unavailable("away".to_owned());
    let store = all_survive(away, after_store, of_store, store, StoreError::class);
    let (node, why) = ("pool-1".to_owned(), "refused".to_owned());
    let not_read = ThawError::NodeNotRead { node, why };
    let thaw = all_survive(not_read, after_thaw, of_thaw, thaw, ThawError::class);
    let address = RegisterError::BadAddress("x".to_owned());
    let class = RegisterError::class;
    let register = all_survive(address, after_register, of_register, register, class);
    assert_eq!((orgs, store, thaw, register), (10, 4, 6, 16));
}

#[test]
fn a_status_that_no_pod_made_proves_nothing() {
    for number in 1..=16 {
        let code = Code::from(number);
        let failed = orgs(&Status::new(code, "transport error"));
        let not_known = matches!(code, Code::InvalidArgument | Code::Unimplemented);
        let not_taken = matches!(code, Code::Unauthenticated | Code::PermissionDenied);
        assert_eq!(matches!(failed, Failed::NotKnown(_)), not_known, "{code:?}");
        assert_eq!(matches!(failed, Failed::NotTaken(_)), not_taken, "{code:?}");
        assert_eq!(matches!(failed, Failed::Lost(_)), !not_known && !not_taken, "{code:?}");
    }
}

/// An engine of a later version refuses with something that this one has never heard of.
#[test]
fn what_only_a_later_version_knows_goes_by_its_class() {
    for (class, not_taken) in [(ErrorClass::Unavailable, true), (ErrorClass::Rejected, false)] {
        let later = OrgsFailure { why: None };
        let status = Problem::new(class, "later", "later").with_detail(&later);
        assert_eq!(matches!(orgs(&status), Failed::NotTaken(_)), not_taken, "{class:?}");
    }
}

#[test]
fn a_long_story_still_fits_the_headers() {
    let error = OrgsError::Unavailable("ü".repeat(100_000));
    let mut headers = tonic::codegen::http::HeaderMap::new();
    of_orgs(&error).add_header(&mut headers).unwrap();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(bytes < usize::try_from(limits::HEADER_LIST_BYTES_MAX).unwrap(), "{bytes}");
}
