//! Which server this machine has, and whom it runs as.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest major version whose SQL the store may use.
const VERSION_MIN: u32 = 15;

/// The account the server runs as when we are root, which it refuses to be.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    pub(super) fn for_server() -> Option<User> {
        let status = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
        let euid = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1))
            .expect("each process has an effective user");
        if euid != "0" {
            return None;
        }
        let users = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let named = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok()?;
            Some(User { uid, gid: fields.next()?.parse().ok()? })
        };
        let user = named("postgres").or_else(|| named("nobody"));
        Some(user.expect("as root, a user postgres or nobody is needed to run the server"))
    }
}

/// The folder of the newest server found.
pub(super) fn binaries() -> PathBuf {
    let asked = Command::new("pg_config").arg("--bindir").output().ok();
    let configured =
        asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    debian.reverse();
    configured
        .into_iter()
        .chain(std::env::split_paths(&path))
        .chain(debian)
        .find(|folder| version(folder).is_some_and(|version| version >= VERSION_MIN))
        .unwrap_or_else(|| {
            panic!("no PostgreSQL {VERSION_MIN} or later (Debian: apt-get install postgresql)")
        })
}

/// The major version of the server in this folder, if there is a whole one.
fn version(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    number.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}
