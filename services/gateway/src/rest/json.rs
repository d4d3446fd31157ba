//! The JSON of a body. It is read strictly: a field that nobody knows, or that is there twice, is refused by
//! its name. Taken silently, a misspelt limit would be no limit.

use std::fmt;

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{refusal::Refusal, request::read_body};
use crate::headers::only;

pub(super) struct Json<T>(pub(super) T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Json<T>, Refusal> {
        check_is_json(request.headers())?;
        let body = read_body(request).await?;
        from_value(parse(&body)?).map(Json)
    }
}

/// As long as an answer about one thing is: that one is written without reaching for more memory.
const ANSWER_BYTES: usize = 2_048;
/// What the handler, the guard and the door say in the headers of an answer.
const ANSWER_HEADERS: usize = 12;

/// What is told.
pub(super) struct Out<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Out<T> {
    fn into_response(self) -> Response {
        let mut body = Vec::with_capacity(ANSWER_BYTES);
        serde_json::to_writer(&mut body, &self.0).expect("numbers and texts become JSON");
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.reserve(ANSWER_HEADERS);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// Nothing: there is nothing more to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Of a request that has nothing to say in its body: none, or an empty object.
pub(super) struct NoBody;

impl<S: Sync> FromRequest<S> for NoBody {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<NoBody, Refusal> {
        let headers = request.headers().clone();
        let body = read_body(request).await?;
        if !body.is_empty() {
            check_is_json(&headers)?;
            from_value::<Option<Nothing>>(parse(&body)?)?;
        }
        Ok(NoBody)
    }
}

/// Syntax first: what is not JSON at all is another mistake than a wrong field.
fn parse(body: &[u8]) -> Result<Value, Refusal> {
    let mut twice = None;
    let mut reader = serde_json::Deserializer::from_slice(body);
    let once = Once { place: &Place::Body, twice: &mut twice };
    let read = once.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    match (read, twice) {
        (Ok(value), _) => Ok(value),
        (Err(_), Some(field)) => Err(wrong_field(&field, "is given twice")),
        (Err(error), None) => Err(Refusal::invalid("invalid_json", format!("not JSON: {error}"))),
    }
}

pub(super) fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| wrong_field(&field_of(error.path(), error.inner()), error.inner()))
}

/// The path leads to where a field is missing; which one only the words say.
fn field_of(inside: &serde_path_to_error::Path, why: &serde_json::Error) -> String {
    let why = why.to_string();
    let missing = why.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    match missing {
        Some(missing) if inside.iter().next().is_none() => missing.to_owned(),
        Some(missing) => format!("{inside}.{missing}"),
        None => inside.to_string(),
    }
}

fn wrong_field(field: &str, why: impl fmt::Display) -> Refusal {
    Refusal::unreadable(format!("{field}: {why}"))
        .with_context(serde_json::json!({ "fields": [field] }))
}

/// Where in the body a value is.
enum Place<'a> {
    Body,
    Field(&'a Place<'a>, &'a str),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Body => Ok(()),
            Place::Field(Place::Body, name) => out.write_str(name),
            Place::Field(inside, name) => write!(out, "{inside}.{name}"),
        }
    }
}

/// Reads any value in which no object has a field twice, and notes the first one that has.
struct Once<'a> {
    place: &'a Place<'a>,
    twice: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Once { place, twice } = self;
        let mut read = Vec::new();
        while let Some(item) = items.next_element_seed(Once { place, twice })? {
            read.push(item);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let place = Place::Field(self.place, &name);
            if read.contains_key(&name) {
                *self.twice = Some(place.to_string());
                return Err(A::Error::custom("a field is given twice"));
            }
            let value = fields.next_value_seed(Once { place: &place, twice: self.twice })?;
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

fn check_is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |kind, detail: &str| {
        Refusal::invalid(kind, detail).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
    };
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(refused("unsupported_content_encoding", "send the body uncompressed"));
    }
    let given = only(headers, &header::CONTENT_TYPE)?;
    let Some(given) = given.and_then(|value| value.to_str().ok()) else {
        return Err(refused("missing_content_type", "Content-Type must be application/json"));
    };
    // Some clients append their own to a default: `application/json, application/json`.
    let is_json = given.split(',').all(|one| {
        let essence = one.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/json")
    });
    match is_json {
        true => Ok(()),
        false => Err(refused("unsupported_content_type", "Content-Type must be application/json")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(body: &str) -> String {
        let refusal = parse(body.as_bytes()).unwrap_err();
        format!("{}: {}", refusal.kind(), refusal.detail())
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        let body = r#"{"a":[null,true,-1,18446744073709551615,0.5,"text",{"a":{}}],"b":""}"#;
        assert_eq!(parse(body.as_bytes()).unwrap().to_string(), body);
    }

    #[test]
    fn a_field_that_is_there_twice_is_named() {
        assert_eq!(wrong(r#"{"a":1,"a":1}"#), "invalid_data: a: is given twice");
        let inside = r#"{"data":{"max_fee":{"amount":1,"currency":"btc","amount":2}}}"#;
        assert_eq!(wrong(inside), "invalid_data: data.max_fee.amount: is given twice");
        assert_eq!(wrong(r#"[{"a":{"b":1,"b":null}}]"#), "invalid_data: a.b: is given twice");
        // The same name in another place is another field.
        assert!(parse(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn what_is_no_json_is_not_called_a_wrong_field() {
        for body in ["", "{", "{\"a\":1}x", "{\"a\":1,}", "{\"a\":1,\"b\"}", "\u{7f}"] {
            assert!(wrong(body).starts_with("invalid_json: "), "{body}");
        }
    }
}
