//! Whether this database is the one we left (`money-safety` rule 24).
//!
//! The database holds a generation, `life:number`, and so does a file beside it. Each start moves
//! both on, the database first. A database put back from a backup is behind the file; another one
//! has another life; one of the two alone means that the other was lost.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use ports::guard::Generation;
use rusqlite::Connection;

use super::OpenError;

const FILE: &str = "generation";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    life: String,
    number: u64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.life, self.number)
    }
}

impl Mark {
    /// The first of a new life.
    fn first() -> Result<Mark, OpenError> {
        let random = getrandom::u64().map_err(|_| crate::seal::SealError::NoRandom)?;
        Ok(Mark { life: format!("{random:016x}"), number: 1 })
    }

    fn read(text: &str) -> Option<Mark> {
        let (life, number) = text.trim().split_once(':')?;
        Some(Mark { life: life.to_owned(), number: number.parse().ok()? })
    }

    fn next(&self) -> Mark {
        Mark { life: self.life.clone(), number: self.number + 1 }
    }
}

/// Compares the two and moves both on, if they agree or nothing is stored yet.
pub(super) fn start(
    connection: &Connection,
    folder: &Path,
    store_is_empty: bool,
) -> Result<Generation, OpenError> {
    let (found, recorded) = (in_database(connection)?, in_file(folder)?);
    match (&found, &recorded) {
        (Some(found), Some(recorded)) if found == recorded => {
            move_to(connection, folder, &found.next())?;
        }
        // The last start ended between its two writes.
        (Some(found), Some(recorded)) if *found == recorded.next() => {
            write_file(folder, found).map_err(OpenError::Folder)?;
            move_to(connection, folder, &found.next())?;
        }
        (None, None) if store_is_empty => move_to(connection, folder, &Mark::first()?)?,
        (Some(found), None) if store_is_empty => {
            write_file(folder, found).map_err(OpenError::Folder)?;
        }
        (found, recorded) => {
            let text = |mark: &Option<Mark>| {
                mark.as_ref().map_or_else(|| "nothing".to_owned(), Mark::to_string)
            };
            return Ok(Generation::Changed { recorded: text(recorded), found: text(found) });
        }
    }
    Ok(Generation::Same)
}

/// Begins a new life from what is found now.
pub(super) fn accept(connection: &Connection, folder: &Path) -> Result<(), OpenError> {
    move_to(connection, folder, &Mark::first()?)
}

fn move_to(connection: &Connection, folder: &Path, mark: &Mark) -> Result<(), OpenError> {
    connection.execute("update installation set generation = ?1", [mark.to_string()])?;
    write_file(folder, mark).map_err(OpenError::Folder)
}

fn in_database(connection: &Connection) -> Result<Option<Mark>, OpenError> {
    let text: Option<String> =
        connection.query_row("select generation from installation", [], |row| row.get(0))?;
    Ok(text.as_deref().and_then(Mark::read))
}

/// A file that cannot be understood says as little as one that is not there.
fn in_file(folder: &Path) -> Result<Option<Mark>, OpenError> {
    match fs::read_to_string(folder.join(FILE)) {
        Ok(text) => Ok(Mark::read(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(OpenError::Folder(error)),
    }
}

/// Whole or not at all, and on disk before anything goes on.
fn write_file(folder: &Path, mark: &Mark) -> io::Result<()> {
    let (path, draft) = (folder.join(FILE), folder.join("generation.new"));
    let mut file = File::create(&draft)?;
    file.write_all(mark.to_string().as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(folder)?.sync_all()
}
