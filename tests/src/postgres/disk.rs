//! A server on disks that can be full.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use super::{Postgres, User, folder};

/// Enough for an installation and the payments of a test, and soon filled.
const MEGABYTES: u32 = 192;

/// How much is written at once.
const CHUNK: usize = 1 << 20;
const PAGE: usize = 1 << 12;

/// A disk in memory.
pub struct SmallDisk {
    filler: PathBuf,
}

/// Where people can choose, tables and the server's own journal are on disks of their own. Without room for
/// a table the server goes on, and refuses what needs some; without room for its journal it crashes, and does
/// not start before there is some.
pub struct SmallDisks {
    pub tables: SmallDisk,
    pub journal: SmallDisk,
}

impl Postgres {
    /// Starts a server on disks of its own. Only root may mount them.
    pub fn start_on_small_disks() -> (Postgres, SmallDisks) {
        let user = User::for_server().expect("only root may mount a disk: run this test as root");
        let folder = folder(Some(user));
        let [tables, journal] = ["data", "wal"].map(|name| SmallDisk::at(&folder.join(name), user));
        let postgres = Postgres::start_in(folder, Some(user), &[]);
        (postgres, SmallDisks { tables, journal })
    }

    /// Crashed, or stopped.
    pub fn has_ended(&self) -> bool {
        let mut slot = self.server();
        let ended = slot.as_mut().map(Child::try_wait);
        ended
            .is_none_or(|ended| ended.expect("the postmaster is a child of this process").is_some())
    }

    /// Has the server begin with a new file of its journal.
    pub fn begin_journal_file(&self) {
        let mut asked = self.client("psql");
        asked.args(["-q", "-d", "postgres", "-c", "select pg_switch_wal()"]);
        // It may crash of it.
        let _ = asked.output();
    }
}

impl SmallDisk {
    fn at(folder: &Path, user: User) -> SmallDisk {
        let mut mount = Command::new("mount");
        let owned = format!("size={MEGABYTES}m,mode=700,uid={},gid={}", user.uid, user.gid);
        mount.args(["-t", "tmpfs", "-o", &owned, "tmpfs"]).arg(folder);
        super::run(mount);
        SmallDisk { filler: folder.join("filler") }
    }

    /// Not a page is left.
    pub fn fill(&self) {
        let mut filler = File::create(&self.filler).expect("the disk is there");
        for size in [CHUNK, PAGE] {
            while filler.write_all(&vec![0; size]).is_ok() {}
        }
    }

    pub fn free(&self) {
        fs::remove_file(&self.filler).expect("it was filled");
    }
}
