//! Any row: what stands in an organisation, and its payments.

use std::sync::Arc;

use domain::{
    EnvironmentId, LineId, Msat, NodeId, SignedMsat, Timestamp, WalletId,
    ledger::{Account, Funds},
    org::{Backing, CustomerNode, Environment, Incoming, Line, Metadata, Outgoing, Row, Wallet},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::scalar::{Durable, maybe, one};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Row", rename_all = "snake_case")]
enum RowForm {
    Environment(#[serde(with = "one")] EnvironmentId, #[serde(with = "one")] Environment),
    Line(#[serde(with = "one")] LineId, #[serde(with = "one")] Line),
    Node(#[serde(with = "one")] NodeId, #[serde(with = "one")] CustomerNode),
    Wallet(#[serde(with = "one")] WalletId, #[serde(with = "one")] Wallet),
    Account(#[serde(with = "one")] Account, #[serde(with = "one")] SignedMsat),
    Outgoing(#[serde(with = "one")] Arc<Outgoing>),
    Incoming(#[serde(with = "one")] Arc<Incoming>),
}

impl<T: Durable> Durable for Arc<T> {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        T::write(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::read(from).map(Arc::new)
    }
}

impl Durable for Row {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RowForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        RowForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Backing", rename_all = "snake_case")]
enum BackingForm {
    Line(#[serde(with = "one")] LineId),
    Node(#[serde(with = "one")] NodeId),
}

impl Durable for Backing {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        BackingForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BackingForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Environment")]
struct EnvironmentForm {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
}

impl Durable for Environment {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        EnvironmentForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        EnvironmentForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Funds")]
struct FundsForm {
    #[serde(with = "one")]
    limit_msat: Msat,
    #[serde(with = "one")]
    net_msat: SignedMsat,
    #[serde(with = "one")]
    held_msat: Msat,
}

impl Durable for Funds {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        FundsForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        FundsForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Line")]
struct LineForm {
    #[serde(with = "one")]
    environment: EnvironmentId,
    #[serde(with = "one")]
    funds: Funds,
    #[serde(with = "one")]
    allocated_msat: Msat,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    first_limit_msat: Option<Msat>,
    #[serde(with = "one", default)]
    created_at: Timestamp,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Timestamp>,
}

impl Durable for Line {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        LineForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        LineForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CustomerNode")]
struct CustomerNodeForm {
    #[serde(with = "one")]
    funds: Funds,
    #[serde(with = "one")]
    allocated_msat: Msat,
}

impl Durable for CustomerNode {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        CustomerNodeForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        CustomerNodeForm::deserialize(from)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Wallet")]
struct WalletForm {
    #[serde(with = "one")]
    environment: EnvironmentId,
    name: String,
    #[serde(with = "one")]
    backing: Backing,
    #[serde(with = "one")]
    funds: Funds,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    first_limit_msat: Option<Msat>,
    #[serde(with = "one", default)]
    created_at: Timestamp,
    #[serde(with = "one", default)]
    updated_at: Timestamp,
    #[serde(with = "maybe", default, skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Timestamp>,
}

impl Durable for Wallet {
    fn write<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WalletForm::serialize(self, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        WalletForm::deserialize(from)
    }
}
