//! What a request says, read once: ids in the path, filters in the query, what its caller prefers.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, request::Parts},
};
use domain::{ErrorClass, Timestamp, id::Id};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::timeout;
use uuid::Uuid;

use super::{document::Query, refusal::Refusal, text::shortened};
use crate::{auth::Caller, edge::Edge, limits};

/// What a handler is told beside the request itself: the guard has let it in.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) edge: Arc<Edge>,
    pub(super) caller: Caller,
    pub(super) ids: Ids,
}

impl FromRef<Asked> for Arc<Edge> {
    fn from_ref(asked: &Asked) -> Arc<Edge> {
        asked.edge.clone()
    }
}

/// Whoever the guard let in.
pub(super) struct Asker(pub(super) Caller);

impl FromRequestParts<Asked> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, asked: &Asked) -> Result<Asker, Infallible> {
        Ok(Asker(asked.caller))
    }
}

/// Whatever a path of the contract may name.
const IDS: [&str; 5] = ["organization_id", "environment_id", "wallet_id", "line_id", "payment_id"];

/// The ids in the path, in the places of their names.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ids([Named; IDS.len()]);

#[derive(Clone, Copy, Debug, Default)]
enum Named {
    #[default]
    Nothing,
    NoId,
    Id(Uuid),
}

impl Named {
    fn read(text: &str) -> Result<Named, Refusal> {
        // As nearly everybody writes them.
        if let Ok(id) = text.parse() {
            return Ok(Named::Id(id));
        }
        let text = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| Refusal::invalid("invalid_request", "the path is not UTF-8"))?;
        Ok(text.parse().map_or(Named::NoId, Named::Id))
    }
}

impl FromRequestParts<Asked> for Ids {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, asked: &Asked) -> Result<Ids, Infallible> {
        Ok(asked.ids)
    }
}

impl Ids {
    pub(super) fn read<'a>(
        named: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Ids, Refusal> {
        let mut ids = Ids::default();
        for (name, text) in named {
            if let Some(place) = place(name) {
                ids.0[place] = Named::read(text)?;
            }
        }
        Ok(ids)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        place(name).is_some_and(|place| !matches!(self.0[place], Named::Nothing))
    }

    pub(super) fn get<Kind>(&self, name: &'static str) -> Result<Id<Kind>, Refusal> {
        match place(name).map(|place| self.0[place]) {
            Some(Named::Id(id)) => Ok(Id::new(id)),
            Some(Named::Nothing | Named::NoId) | None => Err(no_id(name)),
        }
    }
}

fn place(name: &str) -> Option<usize> {
    IDS.iter().position(|known| *known == name)
}

fn no_id(name: &str) -> Refusal {
    Refusal::field(name, format!("{name} must be a UUID"))
}

/// The id of something new. The nil one nobody has chosen: it is what an empty field looks like.
pub(super) fn chosen_id<Kind>(id: Uuid) -> Result<Id<Kind>, Refusal> {
    match id.is_nil() {
        true => Err(Refusal::field("id", "id must not be the nil UUID")),
        false => Ok(Id::new(id)),
    }
}

/// What stands behind `?`, in the order of the caller.
#[derive(Debug)]
pub(super) struct Params(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params, Refusal> {
        Params::read(parts.uri.query().unwrap_or_default())
    }
}

impl Params {
    pub(super) fn read(query: &str) -> Result<Params, Refusal> {
        let pairs = form_urlencoded::parse(query.as_bytes());
        let pairs: Vec<_> =
            pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        if pairs.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return Err(Refusal::invalid("invalid_filter", "a filter must not contain NUL"));
        }
        Ok(Params(pairs))
    }

    /// A filter that is misspelt would be no filter.
    pub(super) fn check(query: &str, known: &[Query]) -> Result<(), Refusal> {
        let mut given = form_urlencoded::parse(query.as_bytes());
        match given.find(|(name, _)| !known.iter().any(|query| query.is(name))) {
            None => Ok(()),
            Some((name, _)) => Err(bad_filter(&shortened(&name), "is not known here")),
        }
    }

    /// A parameter that may be given once. Empty is not given.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut given = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        match (given.next(), given.next()) {
            (first, None) => Ok(first.map(|(_, value)| value.as_str())),
            (_, Some(_)) => Err(bad_filter(name, "may be given once")),
        }
    }

    /// A parameter that may be repeated, in both spellings: `name=a&name=b` and `name[]=a`.
    pub(super) fn many<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = move |key: &str| key == name || key.strip_suffix("[]") == Some(name);
        let given = self.0.iter().filter(move |(key, value)| named(key) && !value.is_empty());
        given.map(|(_, value)| value.as_str())
    }

    /// `name[key]=value`, each key once.
    pub(super) fn pairs(&self, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
        let mut pairs = BTreeMap::new();
        for (key, value) in &self.0 {
            let inner = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('['));
            let Some(inner) = inner.and_then(|rest| rest.strip_suffix(']')) else { continue };
            if pairs.insert(inner.to_owned(), value.clone()).is_some() {
                return Err(bad_filter(key, "may be given once"));
            }
        }
        Ok(pairs)
    }

    pub(super) fn id<Kind>(&self, name: &'static str) -> Result<Option<Id<Kind>>, Refusal> {
        let text = self.one(name)?;
        text.map(|text| text.parse().map_err(|_| bad_filter(name, "must be a UUID"))).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Refusal> {
        let text = self.one(name)?;
        text.map(|text| {
            let number = text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
            number.ok_or_else(|| bad_filter(name, "must be a whole number from 0"))
        })
        .transpose()
    }

    /// How many entries a page has: 1 to the most, or the usual number.
    pub(super) fn limit(&self, usual: u32, most: u32) -> Result<u32, Refusal> {
        match self.number("limit")? {
            None => Ok(usual),
            Some(number) => u32::try_from(number)
                .ok()
                .filter(|number| (1..=most).contains(number))
                .ok_or_else(|| bad_filter("limit", &format!("must be from 1 to {most}"))),
        }
    }

    /// Creation times are whole milliseconds: those at or after the instant.
    pub(super) fn not_before(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.instant(name, |nanos| nanos.div_euclid(NANOS) + i128::from(nanos % NANOS != 0))
    }

    /// Creation times are whole milliseconds: those at or before the instant.
    pub(super) fn not_after(&self, name: &str) -> Result<Option<Timestamp>, Refusal> {
        self.instant(name, |nanos| nanos.div_euclid(NANOS))
    }

    fn instant(
        &self,
        name: &str,
        round: impl Fn(i128) -> i128,
    ) -> Result<Option<Timestamp>, Refusal> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
        let millis = parsed.and_then(|at| i64::try_from(round(at.unix_timestamp_nanos())).ok());
        let millis = millis.ok_or_else(|| {
            bad_filter(name, "must be a time as in RFC 3339, such as 2026-01-31T12:00:00Z")
        })?;
        Ok(Some(Timestamp::from_millis(millis)))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.one(name)? {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(bad_filter(name, "must be true or false")),
        }
    }

    /// What a cursor is bound to: everything but how far the reading has come.
    pub(super) fn fingerprint_parts(&self) -> Vec<(String, String)> {
        const MOVING: [&str; 4] = ["cursor", "limit", "pagination", "offset"];
        let mut parts: Vec<_> = self
            .0
            .iter()
            .filter(|(name, value)| !MOVING.contains(&name.as_str()) && !value.is_empty())
            .map(|(name, value)| {
                (name.strip_suffix("[]").unwrap_or(name).to_owned(), value.clone())
            })
            .collect();
        parts.sort();
        parts
    }
}

const NANOS: i128 = 1_000_000;

pub(super) fn bad_filter(name: &str, why: &str) -> Refusal {
    Refusal::invalid("invalid_filter", format!("{name} {why}"))
        .with_context(serde_json::json!({ "fields": [name] }))
}

/// The whole body, unless it is too large or too slow.
pub(super) async fn read_body(request: Request) -> Result<Bytes, Refusal> {
    let body = Limited::new(request.into_body(), limits::MESSAGE_BYTES_MAX);
    let within = Duration::from_secs(limits::BODY_WITHIN_SECONDS);
    let collected = timeout(within, body.collect()).await.map_err(|_| {
        // Nothing was done, and a better connection may do.
        let why = "the body did not arrive in time";
        Refusal::new(ErrorClass::Unavailable, "request_timeout", why)
            .with_status(StatusCode::REQUEST_TIMEOUT)
    })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let most = limits::MESSAGE_BYTES_MAX;
            Err(Refusal::invalid("payload_too_large", format!("a body has at most {most} bytes"))
                .with_status(StatusCode::PAYLOAD_TOO_LARGE))
        }
        // What the transport calls it helps nobody who sent it.
        Err(_) => Err(Refusal::invalid("invalid_request", "the body broke off")),
    }
}

/// What the caller prefers (RFC 7240). One that is not known here is not an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefer {
    pub(super) representation: bool,
    pub(super) wait: Duration,
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Prefer, Refusal> {
        Prefer::read(&parts.headers)
    }
}

impl Prefer {
    /// Of a preference that is given twice the first counts (RFC 7240, 2).
    pub(super) fn read(headers: &HeaderMap) -> Result<Prefer, Refusal> {
        let (mut shape, mut held) = (None, None);
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split([',', ';'])) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name.eq_ignore_ascii_case("return") {
                shape = shape.or(Some(value));
            } else if name.eq_ignore_ascii_case("wait") {
                held = held.or(Some(value));
            }
        }
        let representation =
            shape.is_some_and(|shape| shape.eq_ignore_ascii_case("representation"));
        Ok(Prefer { representation, wait: held.map_or(Ok(Duration::ZERO), wait)? })
    }
}

fn wait(seconds: &str) -> Result<Duration, Refusal> {
    let most = u64::from(proto::convert::WAIT_SECONDS_MAX);
    match seconds.parse() {
        Ok(seconds) if seconds <= most => Ok(Duration::from_secs(seconds)),
        Ok(_) | Err(_) => Err(Refusal::field(
            "prefer",
            format!("Prefer: wait must be whole seconds, at most {most}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Method};
    use futures_util::stream;

    use super::*;

    #[test]
    fn both_spellings_of_a_list_are_read() {
        let params = Params::read("statuses=a&statuses%5B%5D=b&statuses[]=&other=c").unwrap();
        assert_eq!(params.many("statuses").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn instants_keep_the_milliseconds_that_they_include() {
        let read = |text: &str| {
            let params = Params::read(&format!("at={text}")).unwrap();
            let millis = |at: Result<Option<Timestamp>, Refusal>| at.unwrap().unwrap().millis();
            (millis(params.not_before("at")), millis(params.not_after("at")))
        };
        assert_eq!(read("1970-01-01T00:00:00.0015Z"), (2, 1));
        assert_eq!(read("1970-01-01T02:00:00%2B02:00"), (0, 0));
        assert_eq!(read("1969-12-31T23:59:59.9995Z"), (0, -1));
        assert!(Params::read("at=yesterday").unwrap().not_after("at").is_err());
    }

    #[test]
    fn preferences_are_read_from_one_header_or_many() {
        let mut headers = HeaderMap::new();
        headers.append("prefer", "return=representation, wait=5".parse().unwrap());
        headers.append("prefer", "respond-async".parse().unwrap());
        let prefer = Prefer::read(&headers).unwrap();
        assert_eq!(prefer, Prefer { representation: true, wait: Duration::from_secs(5) });
        headers.insert("prefer", "wait=61".parse().unwrap());
        assert!(Prefer::read(&headers).is_err());
    }

    #[test]
    fn of_a_preference_that_is_given_twice_the_first_counts() {
        let mut headers = HeaderMap::new();
        headers.append("prefer", "wait=1, return=minimal, Wait=61".parse().unwrap());
        headers.append("prefer", "return=representation, wait=20".parse().unwrap());
        let prefer = Prefer::read(&headers).unwrap();
        assert_eq!(prefer, Prefer { representation: false, wait: Duration::from_secs(1) });
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_may_be_sent_again() {
        let never = stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::new(Body::from_stream(never));
        let refusal = read_body(request).await.unwrap_err();
        let answer = refusal.envelope(&Method::POST, Uuid::nil());
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let told = (&body["error"]["type"], &body["retryable"]);
        assert_eq!(told, (&"request_timeout".into(), &"same_id".into()));
    }
}
