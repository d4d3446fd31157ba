//! Macaroons as LND makes and checks them: V2 binary form, HMAC-SHA256 chain, `time-before`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use hmac::{Hmac, KeyInit, Mac};
use prost::Message;
use sha2::Sha256;

use crate::{
    model::{Permission, Time, from_hex},
    rfc3339,
};

const VERSION: u8 = 2;
const LOCATION: u64 = 1;
const IDENTIFIER: u64 = 2;
const VERIFICATION: u64 = 4;
const SIGNATURE: u64 = 6;
/// The version of the bakery's identifier, before its protobuf.
const BAKERY: u8 = 3;
pub(crate) const URI: &str = "uri";

#[derive(Clone, PartialEq, Message)]
struct Identifier {
    #[prost(bytes = "vec", tag = "1")]
    nonce: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    storage_id: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    ops: Vec<Op>,
}

/// What may be done with an entity.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Op {
    #[prost(string, tag = "1")]
    pub(crate) entity: String,
    #[prost(string, repeated, tag = "2")]
    pub(crate) actions: Vec<String>,
}

struct Macaroon {
    identifier: Vec<u8>,
    caveats: Vec<Vec<u8>>,
    signature: [u8; 32],
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length of key will do");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

fn first_signature(root_key: &[u8], identifier: &[u8]) -> [u8; 32] {
    hmac(&hmac(b"macaroons-key-generator", root_key), identifier)
}

/// Makes a macaroon under a root key, in binary.
pub(crate) fn bake(root_key: &[u8; 32], key_id: &str, nonce: [u8; 16], ops: Vec<Op>) -> Vec<u8> {
    let id = Identifier { nonce: nonce.to_vec(), storage_id: key_id.as_bytes().to_vec(), ops };
    let mut identifier = vec![BAKERY];
    identifier.extend(id.encode_to_vec());
    let mut out = vec![VERSION];
    field(&mut out, LOCATION, b"lnd");
    field(&mut out, IDENTIFIER, &identifier);
    out.push(0);
    out.push(0);
    field(&mut out, SIGNATURE, &first_signature(root_key, &identifier));
    out
}

fn field(out: &mut Vec<u8>, kind: u64, data: &[u8]) {
    prost::encoding::encode_varint(kind, out);
    prost::encoding::encode_varint(u64::try_from(data.len()).unwrap_or(u64::MAX), out);
    out.extend_from_slice(data);
}

fn decode(bytes: &[u8]) -> Option<Macaroon> {
    let mut rest = bytes.strip_prefix(&[VERSION])?;
    let (identifier, third_party) = section(&mut rest)??;
    if third_party {
        return None;
    }
    let mut caveats = Vec::new();
    while let Some((caveat, third_party)) = section(&mut rest)? {
        if third_party {
            return None;
        }
        caveats.push(caveat);
    }
    let (kind, signature) = packet(&mut rest)?;
    let signature = signature.try_into().ok()?;
    (kind == SIGNATURE && rest.is_empty()).then_some(Macaroon { identifier, caveats, signature })
}

/// An identifier with what belongs to it, up to the mark of its end; `Some(None)` if there is only
/// the mark.
fn section(rest: &mut &[u8]) -> Option<Option<(Vec<u8>, bool)>> {
    let mut identifier = None;
    let mut third_party = false;
    loop {
        if let Some(after) = rest.strip_prefix(&[0]) {
            *rest = after;
            return Some(identifier.map(|identifier| (identifier, third_party)));
        }
        match packet(rest)? {
            (IDENTIFIER, data) => identifier = Some(data.to_vec()),
            (LOCATION, _) => {}
            (VERIFICATION, _) => third_party = true,
            _ => return None,
        }
    }
}

fn packet<'a>(rest: &mut &'a [u8]) -> Option<(u64, &'a [u8])> {
    let kind = prost::encoding::decode_varint(rest).ok()?;
    let length = usize::try_from(prost::encoding::decode_varint(rest).ok()?).ok()?;
    let (data, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((kind, data))
}

/// A macaroon found genuine: what it permits, and until when.
struct Verified {
    ops: Vec<Op>,
    permission: Permission,
}

impl Verified {
    fn permits(&self, method: &str, needs: (&str, &str)) -> bool {
        self.ops.iter().any(|op| {
            let (entity, action) = if op.entity == URI { (URI, method) } else { needs };
            op.entity == entity && op.actions.iter().any(|kept| kept == action)
        })
    }
}

/// A node's root keys by id, and the macaroons that it has seen lately.
pub(crate) struct Keyring {
    root_keys: BTreeMap<String, [u8; 32]>,
    seen: Mutex<HashMap<Box<str>, Arc<Verified>>>,
}

const MOST_SEEN: usize = 1_024;

impl Keyring {
    pub(crate) fn new(root_keys: BTreeMap<String, [u8; 32]>) -> Keyring {
        Keyring { root_keys, seen: Mutex::default() }
    }

    /// Whether the holder of `header` may call `method`, `time-before` apart; LND's words if not.
    pub(crate) fn check(
        &self,
        header: &str,
        method: &str,
        needs: (&str, &str),
    ) -> Result<Permission, String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(header).cloned();
        let verified = match seen {
            Some(verified) => verified,
            None => {
                let verified = Arc::new(self.verify(header)?);
                let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
                if seen.len() >= MOST_SEEN {
                    seen.clear();
                }
                seen.insert(header.into(), verified.clone());
                verified
            }
        };
        if !verified.permits(method, needs) {
            return Err("permission denied".to_owned());
        }
        Ok(verified.permission.clone())
    }

    fn verify(&self, header: &str) -> Result<Verified, String> {
        let bytes = from_hex(header).ok_or("encoding/hex: invalid byte")?;
        let macaroon =
            decode(&bytes).ok_or("cannot determine data format of binary-encoded macaroon")?;
        let id = macaroon
            .identifier
            .strip_prefix(&[BAKERY])
            .and_then(|id| Identifier::decode(id).ok())
            .ok_or("verification failed: no macaroon identifier found")?;
        let key_id = String::from_utf8_lossy(&id.storage_id).into_owned();
        let root_key = self.root_keys.get(&key_id).ok_or_else(|| {
            format!("cannot get macaroon: root key with id {key_id} doesn't exist")
        })?;
        let first = first_signature(root_key, &macaroon.identifier);
        let signature = macaroon.caveats.iter().fold(first, |sum, caveat| hmac(&sum, caveat));
        if signature != macaroon.signature {
            return Err(
                "verification failed: signature mismatch after caveat verification".to_owned()
            );
        }
        let mut permission = Permission::default();
        for caveat in &macaroon.caveats {
            let text = String::from_utf8_lossy(caveat);
            let until = text
                .strip_prefix("time-before ")
                .and_then(|at| Some((rfc3339::read(at)?, at)))
                .ok_or_else(|| format!("caveat \"{text}\" not satisfied: caveat not recognized"))?;
            restrict(&mut permission, until);
        }
        Ok(Verified { ops: id.ops, permission })
    }
}

fn restrict(permission: &mut Permission, (until, caveat): (Time, &str)) {
    if permission.until.is_none_or(|before| until < before) {
        *permission = Permission { until: Some(until), caveat: caveat.to_owned() };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::to_hex;

    /// Adds a first-party caveat offline, as a holder does.
    pub(crate) fn with_caveat(macaroon: &[u8], caveat: &str) -> Vec<u8> {
        let Macaroon { identifier, mut caveats, signature } = decode(macaroon).unwrap();
        caveats.push(caveat.as_bytes().to_vec());
        let mut out = vec![VERSION];
        field(&mut out, LOCATION, b"lnd");
        field(&mut out, IDENTIFIER, &identifier);
        out.push(0);
        for caveat in &caveats {
            field(&mut out, IDENTIFIER, caveat);
            out.push(0);
        }
        out.push(0);
        field(&mut out, SIGNATURE, &hmac(&signature, caveat.as_bytes()));
        out
    }

    fn op(entity: &str, actions: &[&str]) -> Op {
        Op {
            entity: entity.to_owned(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    fn keyring() -> (Keyring, Vec<u8>) {
        let key = [7; 32];
        let ops = vec![op("info", &["read"]), op(URI, &["/routerrpc.Router/SendPaymentV2"])];
        let keyring = Keyring::new([("0".to_owned(), key)].into());
        (keyring, bake(&key, "0", [1; 16], ops))
    }

    const INFO: (&str, &str) = ("info", "read");
    const SEND: (&str, &str) = ("offchain", "write");

    #[test]
    fn permissions_of_both_kinds() {
        let (keyring, macaroon) = keyring();
        let header = to_hex(&macaroon);
        assert!(keyring.check(&header, "/lnrpc.Lightning/GetInfo", INFO).is_ok());
        assert!(keyring.check(&header, "/routerrpc.Router/SendPaymentV2", SEND).is_ok());
        let denied = keyring.check(&header, "/lnrpc.Lightning/AddInvoice", ("invoices", "write"));
        assert_eq!(denied, Err("permission denied".to_owned()));
    }

    #[test]
    fn caveats_restrict_and_forgeries_fail() {
        let (keyring, macaroon) = keyring();
        let check = |bytes: &[u8]| keyring.check(&to_hex(bytes), "/lnrpc.Lightning/GetInfo", INFO);
        let late = with_caveat(&macaroon, "time-before 2030-01-01T00:00:00Z");
        let both = with_caveat(&late, "time-before 2029-01-01T00:00:00.5Z");
        let permission = check(&both).unwrap();
        assert_eq!(permission.until, rfc3339::read("2029-01-01T00:00:00.5Z"));
        let until = permission.until.unwrap();
        assert!(permission.check(Time::from_nanos(until.nanos() - 1)).is_ok());
        let text = permission.check(until).unwrap_err().text;
        assert!(text.ends_with("not satisfied: macaroon has expired"), "{text}");

        let mut forged = macaroon.clone();
        *forged.last_mut().unwrap() ^= 1;
        assert!(check(&forged).unwrap_err().starts_with("verification failed"));
        assert!(check(&with_caveat(&macaroon, "moon full")).is_err());
        let other = bake(&[8; 32], "9", [1; 16], Vec::new());
        assert!(check(&other).unwrap_err().contains("root key with id 9 doesn't exist"));
        for cut in 0..macaroon.len() {
            assert!(check(&macaroon[..cut]).is_err());
        }
        assert!(keyring.check("zz", "/x", INFO).is_err());
    }
}
