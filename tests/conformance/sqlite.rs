//! What only the embedded store has: a folder with a lock, a file of keys, a mark beside the database.

use std::{fs, path::Path, sync::Arc};

use domain::{Network, PaymentId, PublicKey};
use ports::{Directory, directory::NodeRecord, guard::Generation, placement::LeaseLength};
use store::{OpenError, SealError, Sqlite};
use tempfile::TempDir;

use crate::{
    bed::{Bed, KEYS, ManualClock, NODES, id},
    writer::{Writer, hash, preimage, send},
};

const OTHER_KEYS: &str = "other:0202020202020202020202020202020202020202020202020202020202020202";

const PAYMENT: PaymentId = id(1);

fn open(folder: &Path, keys: Option<&str>) -> Result<Arc<Sqlite>, OpenError> {
    Sqlite::open(folder, keys, ManualClock::new(), LeaseLength::USUAL)
}

async fn bed(folder: &Path) -> Bed {
    Bed::new(open(folder, Some(KEYS)).unwrap(), ManualClock::new(), None).await
}

#[test]
fn the_folder_belongs_to_one_store_at_a_time() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path(), None).unwrap();
    assert!(matches!(open(folder.path(), None), Err(OpenError::InUse(_))));
    drop(first);
    open(folder.path(), None).unwrap();
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let first = bed(folder.path()).await;
    let mut writer = first.org(1).await;
    writer.run(&first, send(&first, PAYMENT, hash(1))).await;
    writer.receive(&first, id(2), 2, NODES[0]).await;
    drop(first);
    let second = bed(folder.path()).await;
    let loaded = Writer::load(&second, writer.id()).await;
    assert_eq!(loaded.org.rows(), writer.org.rows());
    assert!(loaded.org.epoch > writer.org.epoch);
    assert_eq!(second.store.preimage(hash(2)).await, Ok(Some(preimage(2))));
}

#[tokio::test]
async fn rule_31_the_keys_that_have_sealed_must_be_there() {
    let folder = TempDir::new().unwrap();
    let node = NodeRecord {
        id: NODES[0],
        owner: None,
        name: "alice".to_owned(),
        address: "127.0.0.1:10009".to_owned(),
        certificate: None,
        macaroon: b"spending power".to_vec(),
        identity: PublicKey([2; 33]),
        network: Network::Regtest,
        stopped: None,
    };
    let first = open(folder.path(), Some(KEYS)).unwrap();
    first.add_node(&node).await.unwrap();
    drop(first);
    let none = open(folder.path(), None).err();
    assert!(matches!(none, Some(OpenError::Seal(SealError::NoneGiven))), "{none:?}");
    let other = open(folder.path(), Some(OTHER_KEYS)).err();
    assert!(matches!(other, Some(OpenError::Seal(SealError::Unknown(_)))), "{other:?}");
    let imposter = OTHER_KEYS.replace("other", "first");
    let imposter = open(folder.path(), Some(&imposter)).err();
    assert!(matches!(imposter, Some(OpenError::Seal(SealError::DoesNotOpen(_)))), "{imposter:?}");
    let both = open(folder.path(), Some(&format!("{OTHER_KEYS},{KEYS}"))).unwrap();
    assert_eq!(both.nodes().await, Ok(vec![node]));
}

#[tokio::test]
async fn rule_24_an_older_copy_of_the_database_is_noticed() {
    let (folder, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = bed(folder.path()).await;
    let mut writer = first.org(1).await;
    drop(first);
    copy_database(folder.path(), copy.path());

    let second = bed(folder.path()).await;
    assert_eq!(second.store.generation().await, Ok(Generation::Same));
    writer = Writer::load(&second, writer.id()).await;
    writer.run(&second, send(&second, PAYMENT, hash(1))).await;
    drop(second);

    copy_database(copy.path(), folder.path());
    let restored = bed(folder.path()).await;
    let generation = restored.store.generation().await.unwrap();
    assert!(matches!(generation, Generation::Changed { .. }), "{generation:?}");
    drop(restored);
    let restored = bed(folder.path()).await;
    let generation = restored.store.generation().await.unwrap();
    assert!(matches!(generation, Generation::Changed { .. }), "a restart settles nothing");
    // What the node did meanwhile is not known here.
    let unknown = restored.store.unknown_payments(NODES[0], &[hash(1)]).await;
    assert_eq!(unknown, Ok(vec![hash(1)]));
    assert_eq!(restored.store.thaw(&[]).await, Ok(None));
    let generation = restored.store.generation().await.unwrap();
    assert!(matches!(generation, Generation::Changed { .. }), "nobody has looked");
    restored.store.freeze("restored").await.unwrap();
    restored.store.thaw(&[]).await.unwrap();
    assert_eq!(restored.store.generation().await, Ok(Generation::Same));
    drop(restored);
    let accepted = bed(folder.path()).await;
    assert_eq!(accepted.store.generation().await, Ok(Generation::Same));
}

/// The database without the files beside it, as a backup would have it.
fn copy_database(from: &Path, to: &Path) {
    for name in ["switchyard.sqlite", "switchyard.sqlite-wal", "switchyard.sqlite-shm"] {
        let _none_before = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}
