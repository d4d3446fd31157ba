//! REST as a merchant's program speaks it: HTTP/1.1 with connections that are kept.

use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::json;
use tests::world::Customer;
use tonic::codegen::{Bytes, http};

use crate::loadgen::Answer;

#[derive(Clone)]
pub(crate) struct Rest {
    client: Client<HttpConnector, Full<Bytes>>,
    address: String,
}

/// As much of a payment as says how it ended.
#[derive(Deserialize)]
struct Ended {
    status: String,
}

impl Rest {
    pub(crate) fn at(address: &str) -> Rest {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Rest { client, address: address.to_owned() }
    }

    /// Pays an invoice and waits half a minute for its end.
    pub(crate) async fn pay(&self, customer: &Customer, id: &str, invoice: &str) -> Answer {
        let Customer { org, environment, wallet, key, .. } = customer;
        let body = json!({
            "id": id, "wallet_id": wallet, "currency": "btc", "type": "bolt11",
            "data": { "payment_request": invoice },
        });
        let path = format!("/v1/organizations/{org}/environments/{environment}/payments");
        let request = http::Request::post(format!("http://{}{path}", self.address))
            .header("x-api-key", key)
            .header("content-type", "application/json")
            .header("prefer", "return=representation, wait=30");
        let request = request.body(Full::from(body.to_string())).expect("the parts are valid");
        match self.ask(request).await {
            Ok((201, body)) => match serde_json::from_slice::<Ended>(&body) {
                Ok(Ended { status }) if status == "completed" => Answer::Done,
                Ok(Ended { status }) => Answer::Failed(status),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Ok((429 | 503, _)) => Answer::Refused,
            Ok((status, body)) => {
                Answer::Failed(format!("{status}: {}", String::from_utf8_lossy(&body)))
            }
            Err(error) => Answer::Failed(error),
        }
    }

    /// The answer to a GET that must go well.
    pub(crate) async fn get(&self, path: &str, key: &str) -> Result<Bytes, String> {
        let request = http::Request::get(format!("http://{}{path}", self.address));
        let request = request.header("x-api-key", key).body(Full::default());
        match self.ask(request.expect("the parts are valid")).await? {
            (200, body) => Ok(body),
            (status, body) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
        }
    }

    async fn ask(&self, request: http::Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let answer = self.client.request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
        Ok((status, body.to_bytes()))
    }
}
