//! Headers that mean one thing.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Which of two would count is not for us to guess.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header {0} must be given once")]
pub(crate) struct Twice(pub(crate) HeaderName);

/// The header's one value, if it is there.
pub(crate) fn only<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, Twice> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Twice(name.clone())),
    }
}
