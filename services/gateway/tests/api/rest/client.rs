//! What a merchant's program sends and gets.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request},
};
use http_body_util::BodyExt;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

use crate::world::{Part, World};

#[derive(Clone)]
pub(crate) struct Rest {
    client: Client<HttpConnector, Body>,
    at: String,
    headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `null` for an empty body.
    pub(crate) body: Value,
    pub(crate) bytes: Bytes,
}

impl World {
    pub(crate) fn anybody(&self) -> Rest {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Rest { client, at: self.public_at.clone(), headers: Vec::new() }
    }

    pub(crate) fn rest(&self, part: &Part) -> Rest {
        self.anybody().with("x-api-key", &part.key)
    }
}

impl Part {
    pub(crate) fn of_org(&self, path: &str) -> String {
        format!("/v1/organizations/{}{path}", self.org)
    }

    pub(crate) fn of_env(&self, path: &str) -> String {
        format!("/v1/organizations/{}/environments/{}{path}", self.org, self.environment)
    }

    pub(crate) fn send_body(&self, id: domain::PaymentId, invoice: &str) -> Value {
        json!({
            "id": id.to_string(), "wallet_id": self.wallet.to_string(), "currency": "btc",
            "type": "bolt11", "data": { "payment_request": invoice },
        })
    }

    pub(crate) fn receive_body(&self, id: domain::PaymentId) -> Value {
        json!({
            "id": id.to_string(), "wallet_id": self.wallet.to_string(), "currency": "btc",
            "payment_kind": "bolt11", "amount_msats": 5_000,
        })
    }
}

impl Rest {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Rest {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn preferring(&self, what: &str) -> Rest {
        self.clone().with("prefer", what)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.at));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    pub(crate) async fn open(&self, request: Request<Body>) -> axum::http::Response<Body> {
        self.client.request(request).await.unwrap().map(Body::new)
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.open(request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).expect("every answer is JSON"),
        };
        let status = parts.status.as_u16();
        assert!(status != 500, "never: {body}");
        Answer { status, headers: parts.headers, body, bytes }
    }

    async fn call(&self, method: Method, path: &str, body: Body) -> Answer {
        let request = self.request(method, path).header("content-type", "application/json");
        self.ask(request.body(body).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Body::empty()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, body.to_string().into()).await
    }

    pub(crate) async fn post_text(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.call(Method::POST, path, body.into()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path, body.to_string().into()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, Body::empty()).await
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The status and the type of a refusal, whose envelope is whole.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, &str) {
        let error = &self.body["error"];
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        assert_eq!(self.body["request_id"].as_str().unwrap(), self.header("x-request-id"));
        let retryable = self.body["retryable"].as_str().unwrap();
        assert!(["no", "same_id", "yes"].contains(&retryable));
        (self.status, error["type"].as_str().unwrap())
    }

    /// What two refusals of things that are not there must have in common: all but the request's id.
    pub(crate) fn without_request_id(&self) -> Value {
        let mut body = self.body.clone();
        body.as_object_mut().unwrap().remove("request_id").unwrap();
        body
    }
}
