//! What lets a pod call another: the secret of the cluster, and the same version of the protocol.

use std::{fmt, hint::black_box};

use domain::ErrorClass;
use proto::Problem;
use sha2::{Digest, Sha256};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

use crate::{limits, server::Known, trace};

const SECRET: &str = "x-switchyard-cluster";
const VERSION: &str = "x-switchyard-engine-version";

/// Moved when a message means something else than before, not when something is added.
const OURS: &str = "1";

/// What the pods of a cluster show each other. It must not travel where others listen.
#[derive(Clone)]
pub struct ClusterSecret {
    shown: MetadataValue<Ascii>,
    digest: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretUnusable {
    #[error("the cluster's secret must be at least {} characters long", limits::SECRET_BYTES_MIN)]
    TooShort,
    #[error("the cluster's secret must be of visible ASCII characters")]
    NotVisible,
}

impl ClusterSecret {
    pub fn new(secret: &str) -> Result<ClusterSecret, SecretUnusable> {
        if secret.len() < limits::SECRET_BYTES_MIN {
            return Err(SecretUnusable::TooShort);
        }
        if !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretUnusable::NotVisible);
        }
        let mut shown: MetadataValue<Ascii> =
            secret.parse().map_err(|_| SecretUnusable::NotVisible)?;
        // Neither logged nor kept in tables of headers.
        shown.set_sensitive(true);
        Ok(ClusterSecret { shown, digest: Sha256::digest(secret).into() })
    }

    /// Takes as long wherever the two differ.
    fn is(&self, shown: &[u8]) -> bool {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        let pairs = self.digest.iter().zip(shown.iter());
        let differing =
            pairs.fold(0_u8, |differing, (one, other)| black_box(differing | (one ^ other)));
        differing == 0
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(redacted)")
    }
}

/// Puts secret, version and the trace of whoever calls into each call.
#[derive(Clone)]
pub(crate) struct Shown(pub(crate) ClusterSecret);

impl Interceptor for Shown {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert(SECRET, self.0.shown.clone());
        metadata.insert(VERSION, MetadataValue::from_static(OURS));
        trace::put(metadata);
        Ok(request)
    }
}

/// Lets nobody in but pods of this cluster that speak as we do.
#[derive(Clone)]
pub(crate) struct Guard(pub(crate) ClusterSecret);

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata();
        // The same answer to none and to a wrong one.
        if !metadata.get(SECRET).is_some_and(|shown| self.0.is(shown.as_bytes())) {
            let message = "the secret of the cluster was not shown";
            return Err(Problem::new(ErrorClass::Denied, "wrong_credentials", message).into());
        }
        match metadata.get(VERSION).map(MetadataValue::as_bytes) {
            Some(version) if version == OURS.as_bytes() => {
                request.extensions().get::<Known>().inspect(|known| known.is_shown_the_secret());
                Ok(request)
            }
            Some(_) | None => {
                let message = format!("this pod speaks version {OURS} of the protocol only");
                Err(Problem::new(ErrorClass::Unavailable, "other_version", message).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "0123456789abcdef0123456789abcdef";

    fn secret(text: &str) -> ClusterSecret {
        ClusterSecret::new(text).unwrap()
    }

    #[test]
    fn a_secret_is_long_and_can_be_shown() {
        for (text, why) in [
            ("", SecretUnusable::TooShort),
            ("0123456789abcdef0123456789abcde", SecretUnusable::TooShort),
            ("0123456789abcdef 0123456789abcdef", SecretUnusable::NotVisible),
            ("0123456789abcdef0123456789abcde\n", SecretUnusable::NotVisible),
            ("ü123456789abcdef0123456789abcdef", SecretUnusable::NotVisible),
        ] {
            assert_eq!(ClusterSecret::new(text).err(), Some(why), "{text:?}");
        }
        let request = Shown(secret(GOOD)).call(Request::new(())).unwrap();
        for shown in [format!("{:?}", secret(GOOD)), format!("{:?}", request.metadata())] {
            assert!(!shown.contains("0123456789"), "{shown}");
        }
    }

    #[test]
    fn nobody_else_comes_in() {
        let mut guard = Guard(secret(GOOD));
        let call = |change: fn(&mut Request<()>)| {
            let mut request = Shown(secret(GOOD)).call(Request::new(())).unwrap();
            change(&mut request);
            request
        };
        guard.call(call(|_| ())).unwrap();
        for wrong in [
            call(|request| drop(request.metadata_mut().remove(SECRET))),
            call(|request| {
                let mut other = GOOD.to_owned();
                other.replace_range(31.., "0");
                request.metadata_mut().insert(SECRET, other.parse().unwrap());
            }),
            call(|request| {
                request.metadata_mut().insert(SECRET, (GOOD.to_owned() + "0").parse().unwrap());
            }),
        ] {
            let status = guard.call(wrong).unwrap_err();
            assert_eq!(status.code(), tonic::Code::Unauthenticated);
        }
        for other in [
            call(|request| drop(request.metadata_mut().remove(VERSION))),
            call(|request| drop(request.metadata_mut().insert(VERSION, "2".parse().unwrap()))),
        ] {
            let problem = Problem::from_status(&guard.call(other).unwrap_err());
            let told = (problem.class, problem.code.as_ref());
            assert_eq!(told, (ErrorClass::Unavailable, "other_version"));
        }
    }
}
