//! Whether the seal keys at hand are those that the rows were sealed with.

use rusqlite::{Connection, params};

use super::OpenError;
use crate::seal::{Place, SealError, SealKeys, Sealed};

/// Refuses to start without a key that a row needs, and records the key that seals from now on.
pub(super) fn check(connection: &mut Connection, keys: &SealKeys) -> Result<(), OpenError> {
    let open = connection.transaction()?;
    for proof in proofs(&open)? {
        let id = proof.key_id.clone();
        if let Err(error) = keys.open(Place::Key(&id), &proof) {
            if seals(&open, &id)? {
                return Err(error.into());
            }
            open.execute("delete from seal_key where seal_key = ?1", [&id])?;
        }
    }
    let sealing = keys.sealing_id();
    let proof = keys.seal(Place::Key(sealing), b"")?;
    let sql = "insert into seal_key (seal_key, proof) values (?1, ?2) on conflict do nothing";
    open.execute(sql, params![proof.key_id, proof.bytes])?;
    Ok(open.commit()?)
}

fn proofs(open: &Connection) -> Result<Vec<Sealed>, SealKeyRows> {
    let mut find = open.prepare("select seal_key, proof from seal_key")?;
    let found = find.query_map([], |row| Ok(Sealed { key_id: row.get(0)?, bytes: row.get(1)? }))?;
    found.collect()
}

type SealKeyRows = rusqlite::Error;

/// Walks through every row; only asked about a key that is missing or another.
fn seals(open: &Connection, id: &str) -> Result<bool, OpenError> {
    let sql = "select exists (select 1 from node where seal_key = ?1)
                   or exists (select 1 from incoming_hash where seal_key = ?1)";
    Ok(open.query_row(sql, [id], |row| row.get(0))?)
}

/// What a row says when its key is not at hand after all.
pub(super) fn corrupt(error: &SealError) -> ports::StoreError {
    ports::StoreError::Corrupt(error.to_string())
}
