//! Somebody who pays and is paid over the platform.

use proto::v1::{
    self as public, lines_client::LinesClient, payments_client::PaymentsClient,
    wallets_client::WalletsClient,
};
use tonic::{service::interceptor::InterceptedService, transport::Channel};

use crate::world::{Secret, Wire};

/// An organisation with everything that it needs to pay.
#[derive(Clone, Debug)]
pub struct Customer {
    pub org: String,
    pub environment: String,
    pub line: String,
    pub wallet: String,
    pub key: String,
}

impl Customer {
    pub fn payments(&self, channel: Channel) -> PaymentsClient<Wire> {
        PaymentsClient::new(self.wire(channel))
    }

    pub fn wallets(&self, channel: Channel) -> WalletsClient<Wire> {
        WalletsClient::new(self.wire(channel))
    }

    pub fn lines(&self, channel: Channel) -> LinesClient<Wire> {
        LinesClient::new(self.wire(channel))
    }

    pub fn wire(&self, channel: Channel) -> Wire {
        let key = self.key.parse().expect("a key is ASCII");
        InterceptedService::new(channel, Secret("x-api-key", key))
    }

    /// A send that waits half a minute for its end.
    pub fn send(&self, id: &str, invoice: &str) -> public::SendRequest {
        public::SendRequest {
            id: id.to_owned(),
            wallet_id: self.wallet.clone(),
            invoice: invoice.to_owned(),
            amount_msat: None,
            fee_limit_msat: None,
            wait_seconds: 30,
            ..public::SendRequest::default()
        }
    }

    pub fn receive(&self, id: &str, amount_msat: Option<u64>) -> public::ReceiveRequest {
        public::ReceiveRequest {
            id: id.to_owned(),
            wallet_id: self.wallet.clone(),
            amount_msat,
            description: String::new(),
            expiry_seconds: None,
            wait_seconds: None,
            ..public::ReceiveRequest::default()
        }
    }
}
