//! LND's macaroons, read and narrowed offline: V2 binary form, HMAC-SHA256 chain.
//!
//! A macaroon's identifier lists in clear what it permits, so what a node's owner hands over can be
//! judged without another right on the node. Whether it is genuine only the node can say.

use std::{collections::BTreeSet, fmt};

use domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use ports::operations::RegisterError;
use prost::{
    Message,
    encoding::{decode_varint, encode_varint},
};
use sha2::Sha256;

use crate::rfc3339;

const VERSION: u8 = 2;
const LOCATION: u64 = 1;
const IDENTIFIER: u64 = 2;
const VERIFICATION: u64 = 4;
const SIGNATURE: u64 = 6;
const END_OF_SECTION: u8 = 0;
/// The version of the identifier's own form, before its protobuf.
const BAKERY: u8 = 3;
const URI: &str = "uri";
/// No macaroon of a node comes near; it travels in a header.
const BYTES_MAX: usize = 8 * 1024;

/// What Switchyard calls, and the pair of entity and action by which LND knows each.
const NEEDED: [(&str, &str); 10] = [
    ("/lnrpc.Lightning/GetInfo", "info:read"),
    ("/lnrpc.Lightning/ListChannels", "offchain:read"),
    ("/lnrpc.Lightning/ListPayments", "offchain:read"),
    ("/lnrpc.Lightning/ListInvoices", "invoices:read"),
    ("/lnrpc.Lightning/LookupInvoice", "invoices:read"),
    ("/lnrpc.Lightning/SubscribeInvoices", "invoices:read"),
    ("/lnrpc.Lightning/AddInvoice", "invoices:write"),
    ("/invoicesrpc.Invoices/CancelInvoice", "invoices:write"),
    ("/routerrpc.Router/SendPaymentV2", "offchain:write"),
    ("/routerrpc.Router/TrackPaymentV2", "offchain:read"),
];

/// Not called, but no more than the roles observe, pay and receive (`lightning.md` 1.11) may have.
const TOLERATED: [&str; 15] = [
    "/lnrpc.Lightning/ChannelBalance",
    "/lnrpc.Lightning/WalletBalance",
    "/lnrpc.Lightning/PendingChannels",
    "/lnrpc.Lightning/SubscribeChannelEvents",
    "/lnrpc.Lightning/DecodePayReq",
    "/lnrpc.Lightning/GetTransactions",
    "/lnrpc.Lightning/SubscribeTransactions",
    "/lnrpc.Lightning/NewAddress",
    "/lnrpc.Lightning/QueryRoutes",
    "/routerrpc.Router/TrackPayments",
    "/verrpc.Versioner/GetVersion",
    "/invoicesrpc.Invoices/AddHoldInvoice",
    "/invoicesrpc.Invoices/SettleInvoice",
    "/invoicesrpc.Invoices/SubscribeSingleInvoice",
    "/invoicesrpc.Invoices/LookupInvoiceV2",
];

/// Why bytes are not a macaroon that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacaroonError {
    #[error("it is longer than {BYTES_MAX} bytes")]
    TooLong,
    #[error("it is not a macaroon in binary V2 form: {0}")]
    Malformed(&'static str),
    #[error("its identifier is not one of LND's")]
    Identifier,
    #[error("it has a third-party caveat, which only its other party could discharge")]
    ThirdParty,
    #[error(
        "it has the caveat \"{0}\" of its own: one day it would end by itself, and requests under way \
         could not be told from lapsed ones; bake it without --timeout"
    )]
    Ends(String),
    #[error("it has the caveat \"{0}\", whose effect is not known here")]
    Caveat(String),
}

/// What a macaroon permits; as `lncli bakemacaroon` takes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    pub entity: String,
    pub action: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.entity, self.action)
    }
}

/// A macaroon, read. Whether it is genuine only its node can say.
#[derive(Clone)]
pub struct Macaroon {
    /// Everything before the mark that ends the caveats.
    body: Vec<u8>,
    signature: [u8; 32],
    permissions: BTreeSet<Permission>,
    caveats: Vec<String>,
}

/// It is spending power and stays out (`money-safety` rule 31).
impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Macaroon")
            .field("permissions", &self.permissions)
            .field("caveats", &self.caveats)
            .finish_non_exhaustive()
    }
}

/// Whether Switchyard may be given this macaroon: it permits all that is called and no more than it
/// may, and it has no end of its own.
pub fn check(bytes: &[u8]) -> Result<Macaroon, RegisterError> {
    let unreadable = |error: MacaroonError| RegisterError::BadMacaroon(error.to_string());
    let macaroon = Macaroon::read(bytes).map_err(unreadable)?;
    macaroon.check_caveats().map_err(unreadable)?;
    let (missing, too_much) = (macaroon.missing(), macaroon.too_much());
    if missing.is_empty() && too_much.is_empty() {
        Ok(macaroon)
    } else {
        Err(RegisterError::Permissions { missing, too_much, bake: bake_command() })
    }
}

/// The methods that Switchyard calls with a macaroon; `lnrpc.State` needs none.
pub fn needed() -> impl Iterator<Item = &'static str> {
    NEEDED.iter().map(|&(method, _)| method)
}

/// What makes a macaroon with the least that is needed. A root key of its own lets its owner revoke
/// it (`lncli deletemacaroonid`) without touching any other.
pub fn bake_command() -> String {
    let mut command =
        "lncli bakemacaroon --save_to switchyard.macaroon --root_key_id 2101".to_owned();
    for method in needed() {
        command.push_str(" uri:");
        command.push_str(method);
    }
    command
}

impl Macaroon {
    pub fn read(bytes: &[u8]) -> Result<Macaroon, MacaroonError> {
        if bytes.len() > BYTES_MAX {
            return Err(MacaroonError::TooLong);
        }
        let Some(mut rest) = bytes.strip_prefix(&[VERSION]) else {
            return Err(MacaroonError::Malformed("another version"));
        };
        let identifier = section(&mut rest)?.ok_or(MacaroonError::Identifier)?;
        let permissions = permissions(&identifier)?;
        let mut caveats = Vec::new();
        let mut before_end = rest;
        while let Some(caveat) = section(&mut rest)? {
            caveats.push(String::from_utf8_lossy(&caveat).into_owned());
            before_end = rest;
        }
        let body = bytes[..bytes.len() - before_end.len()].to_vec();
        match packet(&mut rest)? {
            (SIGNATURE, signature) if rest.is_empty() => {
                let signature = signature
                    .try_into()
                    .map_err(|_| MacaroonError::Malformed("a signature has 32 bytes"))?;
                Ok(Macaroon { body, signature, permissions, caveats })
            }
            _ => Err(MacaroonError::Malformed("the signature does not come last")),
        }
    }

    pub fn permissions(&self) -> &BTreeSet<Permission> {
        &self.permissions
    }

    pub fn caveats(&self) -> &[String] {
        &self.caveats
    }

    /// The same macaroon, over from `until` on by the clock of the node.
    #[must_use]
    pub fn lapsing(&self, until: Timestamp) -> Macaroon {
        self.with_caveat(&format!("time-before {}", rfc3339::write(until)))
    }

    /// The same macaroon under one more condition. Anybody who holds it can add one, nobody can take
    /// one away: the new signature is made with the old one as its key.
    #[must_use]
    pub fn with_caveat(&self, caveat: &str) -> Macaroon {
        let mut narrowed = self.clone();
        push(&mut narrowed.body, IDENTIFIER, caveat.as_bytes());
        narrowed.body.push(END_OF_SECTION);
        narrowed.signature = hmac(&self.signature, caveat.as_bytes());
        narrowed.caveats.push(caveat.to_owned());
        narrowed
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.body.clone();
        bytes.push(END_OF_SECTION);
        push(&mut bytes, SIGNATURE, &self.signature);
        bytes
    }

    /// As the metadata key `macaroon` carries it.
    pub fn to_hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        self.to_bytes().iter().flat_map(|&byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    fn permits(&self, entity: &str, action: &str) -> bool {
        let permission = Permission { entity: entity.to_owned(), action: action.to_owned() };
        self.permissions.contains(&permission)
    }

    fn missing(&self) -> Vec<String> {
        let covered = |method: &str, pair: &str| {
            let by_pair = pair.split_once(':').is_some_and(|(on, to)| self.permits(on, to));
            self.permits(URI, method) || by_pair
        };
        let missing = NEEDED.iter().filter(|(method, pair)| !covered(method, pair));
        missing.map(|(method, _)| format!("{URI}:{method}")).collect()
    }

    /// Any pair of entity and action is: `offchain:write`, say, covers deleting payments too.
    fn too_much(&self) -> Vec<String> {
        let fits = |permission: &&Permission| {
            let method = permission.action.as_str();
            permission.entity == URI
                && (needed().any(|needed| needed == method) || TOLERATED.contains(&method))
        };
        let beyond = self.permissions.iter().filter(|permission| !fits(permission));
        beyond.map(Permission::to_string).collect()
    }

    /// Where we call from may be restricted; the node refuses at once if it does not fit. An end of
    /// its own may not be there, as each request carries one that says when *that* request is over.
    fn check_caveats(&self) -> Result<(), MacaroonError> {
        self.caveats.iter().try_for_each(|caveat| {
            match caveat.split_once(' ').map_or(caveat.as_str(), |(condition, _)| condition) {
                "ipaddr" | "iprange" => Ok(()),
                "time-before" => Err(MacaroonError::Ends(caveat.clone())),
                _ => Err(MacaroonError::Caveat(caveat.clone())),
            }
        })
    }
}

#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(bytes = "vec", tag = "1")]
    nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    storage_id: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    ops: Vec<Op>,
}

#[derive(Clone, PartialEq, Message)]
struct Op {
    #[prost(string, tag = "1")]
    entity: String,
    #[prost(string, repeated, tag = "2")]
    actions: Vec<String>,
}

fn permissions(identifier: &[u8]) -> Result<BTreeSet<Permission>, MacaroonError> {
    let proto = identifier.strip_prefix(&[BAKERY]).ok_or(MacaroonError::Identifier)?;
    let identifier = Identifier::decode(proto).map_err(|_| MacaroonError::Identifier)?;
    let of = |Op { entity, actions }: Op| {
        actions.into_iter().map(move |action| Permission { entity: entity.clone(), action })
    };
    Ok(identifier.ops.into_iter().flat_map(of).collect())
}

/// The identifier of the next section; `None` if there is only the mark of its end.
fn section(rest: &mut &[u8]) -> Result<Option<Vec<u8>>, MacaroonError> {
    let (mut location, mut identifier) = (None, None);
    loop {
        if let Some(after) = rest.strip_prefix(&[END_OF_SECTION]) {
            *rest = after;
            return match (location, identifier) {
                (Some(_), None) => Err(MacaroonError::Malformed("a field is missing")),
                (_, identifier) => Ok(identifier),
            };
        }
        match packet(rest)? {
            (IDENTIFIER, data) if identifier.is_none() => identifier = Some(data.to_vec()),
            (LOCATION, data) if location.is_none() && identifier.is_none() => location = Some(data),
            (VERIFICATION, _) => return Err(MacaroonError::ThirdParty),
            _ => return Err(MacaroonError::Malformed("an unexpected field")),
        }
    }
}

fn packet<'a>(rest: &mut &'a [u8]) -> Result<(u64, &'a [u8]), MacaroonError> {
    let cut = MacaroonError::Malformed("it is cut short");
    let mut number = || decode_varint(rest).ok();
    let (Some(kind), Some(length)) = (number(), number()) else { return Err(cut) };
    let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
    let (data, after) = split.ok_or(cut)?;
    *rest = after;
    Ok((kind, data))
}

fn push(bytes: &mut Vec<u8>, kind: u64, data: &[u8]) {
    encode_varint(kind, bytes);
    encode_varint(u64::try_from(data.len()).unwrap_or(u64::MAX), bytes);
    bytes.extend_from_slice(data);
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key will do");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
