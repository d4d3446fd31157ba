//! Sealing of spending power at rest: macaroons, and preimages before settlement (rule 31).
//!
//! The keys come from outside the database. Each row names the key that sealed it, and is bound to
//! its place, so that a sealed value moved to another row does not open.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use codec::from_hex;
use domain::{NodeId, PaymentHash};
pub use ports::seal::Sealed;

/// Where keys are kept when none are handed in.
pub const KEYS_FILE: &str = "seal.keys";

const KEY_ID_BYTES_MAX: usize = 32;
const NONCE_BYTES: usize = 24;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("seal keys must read key-id:hex,key-id:hex with 64 digits each; number {0} does not")]
    Malformed(usize),
    #[error("the seal key {0} is given twice")]
    Repeated(String),
    #[error("rows are sealed with the key {0}, which was not given")]
    Unknown(String),
    #[error("the seal key {0} is not the one that sealed, or a sealed row was changed")]
    DoesNotOpen(String),
    #[error("no seal keys were given, and the store is not empty")]
    NoneGiven,
    #[error("the operating system gives no random bytes")]
    NoRandom,
    #[error("the file of seal keys cannot be used")]
    File(#[source] io::Error),
}

/// The row that a sealed value belongs to, or its way. It takes part in the sealing.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    Preimage(PaymentHash),
    Macaroon(NodeId),
    /// The macaroon of a node that is to be taken in, between two pods.
    Registration(NodeId),
    /// The row that shows whether a key is the one of this name.
    Key(&'a str),
}

impl Place<'_> {
    fn name(self) -> Vec<u8> {
        let (table, row) = match self {
            Place::Preimage(hash) => ("preimage", hash.0.to_vec()),
            Place::Macaroon(node) => ("macaroon", node.uuid().as_bytes().to_vec()),
            Place::Registration(node) => ("registration", node.uuid().as_bytes().to_vec()),
            Place::Key(id) => ("key", id.as_bytes().to_vec()),
        };
        [table.as_bytes(), b"/", &row].concat()
    }
}

/// The first key seals, all of them open.
pub struct SealKeys {
    first: SealKey,
    others: Vec<SealKey>,
}

struct SealKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|key| &key.id)).finish()
    }
}

impl SealKeys {
    /// Reads `key-id:hex,key-id:hex`.
    pub fn parse(text: &str) -> Result<SealKeys, SealError> {
        let mut keys: Vec<SealKey> = Vec::new();
        for (index, part) in text.trim().split(',').enumerate() {
            let key = SealKey::parse(part.trim()).ok_or(SealError::Malformed(index + 1))?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(SealError::Repeated(key.id));
            }
            keys.push(key);
        }
        let others = keys.split_off(1);
        let first = keys.pop().expect("splitting gives at least one part");
        Ok(SealKeys { first, others })
    }

    /// The keys given, or those of the folder's file. The file is made only for an empty store:
    /// where something may be sealed, a new key would hide that the old one is lost.
    pub fn find(
        given: Option<&str>,
        folder: &Path,
        store_is_empty: bool,
    ) -> Result<SealKeys, SealError> {
        if let Some(text) = given {
            return SealKeys::parse(text);
        }
        let path = folder.join(KEYS_FILE);
        match fs::read_to_string(&path) {
            Ok(text) => {
                warn_if_readable(&path);
                SealKeys::parse(&text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && store_is_empty => {
                let text = new_key()?;
                write_private(folder, &path, &text).map_err(SealError::File)?;
                SealKeys::parse(&text)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SealError::NoneGiven),
            Err(error) => Err(SealError::File(error)),
        }
    }

    /// The key that seals now.
    pub fn sealing_id(&self) -> &str {
        &self.first.id
    }

    pub fn seal(&self, place: Place<'_>, value: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandom)?;
        let payload = Payload { msg: value, aad: &place.name() };
        let sealed = self.first.cipher.encrypt(&XNonce::from(nonce), payload);
        let mut bytes = nonce.to_vec();
        bytes.extend(sealed.expect("values to seal are short"));
        Ok(Sealed { key_id: self.first.id.clone(), bytes })
    }

    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let key = self.all().find(|key| key.id == sealed.key_id);
        let key = key.ok_or_else(|| SealError::Unknown(sealed.key_id.clone()))?;
        let changed = || SealError::DoesNotOpen(sealed.key_id.clone());
        let (nonce, value) = sealed.bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(changed)?;
        let payload = Payload { msg: value, aad: &place.name() };
        key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| changed())
    }

    fn all(&self) -> impl Iterator<Item = &SealKey> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl SealKey {
    fn parse(text: &str) -> Option<SealKey> {
        let (id, hex) = text.split_once(':')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let named = (1..=KEY_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(plain);
        let key: [u8; 32] = from_hex(hex)?;
        let cipher = XChaCha20Poly1305::new(&key.into());
        named.then(|| SealKey { id: id.to_owned(), cipher })
    }
}

fn new_key() -> Result<String, SealError> {
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|_| SealError::NoRandom)?;
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("first:{hex}"))
}

/// Whole and on disk before anything is sealed with it, and for its owner's eyes only.
fn write_private(folder: &Path, path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    // A draft left behind may have another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    File::open(folder)?.sync_all()
}

/// Not refused: some platforms mount secrets readable by a group.
fn warn_if_readable(path: &Path) {
    let open = fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0);
    if open {
        tracing::warn!(path = %path.display(), "others than the owner may read the seal keys");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:0101010101010101010101010101010101010101010101010101010101010101";
    const NEW: &str = "new:0202020202020202020202020202020202020202020202020202020202020202";

    fn keys(text: &str) -> SealKeys {
        SealKeys::parse(text).unwrap()
    }

    #[test]
    fn rule_31_what_was_sealed_opens_in_its_place_only() {
        let (here, there) = (PaymentHash([1; 32]), PaymentHash([2; 32]));
        let sealed = keys(OLD).seal(Place::Preimage(here), b"secret").unwrap();
        assert_eq!(keys(OLD).open(Place::Preimage(here), &sealed).unwrap(), b"secret");
        let moved = keys(OLD).open(Place::Preimage(there), &sealed);
        assert!(matches!(moved, Err(SealError::DoesNotOpen(_))));
        assert!(!format!("{sealed:?}").contains("secret"));
    }

    #[test]
    fn rule_31_what_was_sealed_for_its_way_opens_on_it_only() {
        let [one, other] = [1, 2].map(|number| NodeId::new(uuid::Uuid::from_u128(number)));
        let sealed = keys(OLD).seal(Place::Registration(one), b"secret").unwrap();
        assert_eq!(keys(OLD).open(Place::Registration(one), &sealed).unwrap(), b"secret");
        for place in [Place::Registration(other), Place::Macaroon(one)] {
            let moved = keys(OLD).open(place, &sealed);
            assert!(matches!(moved, Err(SealError::DoesNotOpen(_))), "{place:?}");
        }
    }

    #[test]
    fn rule_31_the_first_key_seals_and_all_open() {
        let node = Place::Macaroon(NodeId::new(uuid::Uuid::from_u128(7)));
        let sealed = keys(OLD).seal(node, b"secret").unwrap();
        let both = keys(&format!("{NEW},{OLD}"));
        assert_eq!(both.open(node, &sealed).unwrap(), b"secret");
        assert_eq!(both.seal(node, b"secret").unwrap().key_id, "new");
        assert!(
            matches!(keys(NEW).open(node, &sealed), Err(SealError::Unknown(id)) if id == "old")
        );
        assert_eq!(format!("{both:?}"), r#"["new", "old"]"#);
    }

    #[test]
    fn keys_that_cannot_be_read_are_refused() {
        for (text, wrong) in [("", 1), ("old", 1), ("old:01", 1), (&format!("{OLD},x y:01"), 2)] {
            let refused = SealKeys::parse(text);
            assert!(matches!(refused, Err(SealError::Malformed(at)) if at == wrong), "{text}");
        }
        let twice = SealKeys::parse(&format!("{OLD},{OLD}"));
        assert!(matches!(twice, Err(SealError::Repeated(_))));
    }

    #[test]
    fn a_file_is_made_for_an_empty_store_only() {
        let folder = tempfile::tempdir().unwrap();
        let refused = SealKeys::find(None, folder.path(), false);
        assert!(matches!(refused, Err(SealError::NoneGiven)));

        let place = Place::Preimage(PaymentHash([1; 32]));
        let first = SealKeys::find(None, folder.path(), true).unwrap();
        let sealed = first.seal(place, b"secret").unwrap();
        let mode = fs::metadata(folder.path().join(KEYS_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let again = SealKeys::find(None, folder.path(), false).unwrap();
        assert_eq!(again.open(place, &sealed).unwrap(), b"secret");
    }
}
