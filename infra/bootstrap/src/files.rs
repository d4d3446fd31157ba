//! Small files that are there wholly or not at all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

const OWNER_ONLY: u32 = 0o600;
const READABLE: u32 = 0o644;
const PRIVATE_FOLDER: u32 = 0o700;
/// Not `lock`: that one is the embedded store's own.
const LOCK_FILE: &str = "process.lock";

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} can be read by others; make it 0600", .0.display())]
    Exposed(PathBuf),
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    #[error("another process is using the data folder {}", .0.display())]
    Held(PathBuf),
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError::Io { path: path.to_owned(), source }
}

/// Makes a folder that only its owner can look into, and those above it.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(PRIVATE_FOLDER).create(path).map_err(io_error(path))
}

/// Writes spending power: mode 0600 from its first byte, durable when this returns.
pub fn write_secret(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, text.as_bytes(), OWNER_ONLY).map_err(io_error(path))
}

/// A place for a secret that is yet to be made: it is there, empty, and only its owner may read it. Gone
/// again unless it is written.
#[derive(Debug)]
pub struct SecretFile {
    path: PathBuf,
    written: bool,
}

impl SecretFile {
    /// Refuses a path that is taken, or where nothing can be written.
    pub fn reserve(path: &Path) -> Result<SecretFile, FileError> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(OWNER_ONLY).open(path);
        opened.map_err(io_error(path))?;
        Ok(SecretFile { path: path.to_owned(), written: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn write(mut self, text: &str) -> Result<(), FileError> {
        write_secret(&self.path, text)?;
        self.written = true;
        Ok(())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        if !self.written {
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Writes what others may read.
pub fn write_plain(path: &Path, text: &str) -> Result<(), FileError> {
    replace(path, text.as_bytes(), READABLE).map_err(io_error(path))
}

/// Reads a secret, without the white space around it. One that others can read is refused.
pub fn read_secret(path: &Path) -> Result<String, FileError> {
    let mode = fs::metadata(path).map_err(io_error(path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(FileError::Exposed(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    let text = text.trim();
    if text.is_empty() { Err(FileError::Empty(path.to_owned())) } else { Ok(text.to_owned()) }
}

/// Removes a file; one that is not there is no error.
pub fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The rename is what readers see; both it and the bytes are on disk before this returns.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut half = path.as_os_str().to_owned();
    half.push(format!(".{}.half", std::process::id()));
    let half = PathBuf::from(half);
    // One that a killed process left behind may have another mode.
    drop(fs::remove_file(&half));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&half)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&half, path)) {
        drop(fs::remove_file(&half));
        return Err(error);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Holds a folder for one process, until dropped or dead.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

impl FolderLock {
    pub fn take(folder: &Path) -> Result<FolderLock, FileError> {
        let path = folder.join(LOCK_FILE);
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path);
        let file = opened.map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(fs::TryLockError::WouldBlock) => Err(FileError::Held(folder.to_owned())),
            Err(fs::TryLockError::Error(error)) => Err(io_error(&path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write_secret(&path, "one\n").unwrap();
        write_secret(&path, "two\n").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, OWNER_ONLY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_secret(&path), Err(FileError::Exposed(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_place_for_a_secret_is_kept_until_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        drop(SecretFile::reserve(&path).unwrap());
        assert!(!path.exists());
        let place = SecretFile::reserve(&path).unwrap();
        assert!(matches!(SecretFile::reserve(&path), Err(FileError::Io { .. })));
        place.write("one").unwrap();
        assert_eq!(read_secret(&path).unwrap(), "one");
        assert!(SecretFile::reserve(&folder.path().join("not/there")).is_err());
    }

    #[test]
    fn a_folder_has_one_holder() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        assert!(matches!(FolderLock::take(folder.path()), Err(FileError::Held(_))));
        drop(first);
        FolderLock::take(folder.path()).unwrap();
    }
}
