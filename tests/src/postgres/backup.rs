//! Copies of a server, and a server put back to one of them.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use super::{Postgres, command_as, run};

/// How a server is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// To a point in time, as an archive is used: the server then writes a timeline of its own.
    PointInTime,
    /// As a crash is recovered from: nothing in the server says that it is an older copy.
    Crash,
}

/// A copy of a server's data, made while it ran. It goes with the server.
pub struct Backup {
    data: PathBuf,
}

impl Postgres {
    /// A base backup with everything that is committed by now.
    pub fn back_up(&self) -> Backup {
        let data = self.folder().join("backup");
        fs::create_dir(&data).expect("the folder is ours, and there is one backup");
        // A server does not start on data that others could read.
        let own = Permissions::from_mode(0o700);
        fs::set_permissions(&data, own).expect("the folder is ours");
        self.give_away(&data);
        let mut command =
            command_as(self.user, &self.binaries.join("pg_basebackup"), self.folder());
        command.arg("-D").arg(&data).args(["--checkpoint=fast", "--wal-method=stream"]);
        command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port().to_string()]);
        run(command);
        Backup { data }
    }

    /// The server goes on from the copy; what was committed since is gone.
    pub fn put_back(&self, backup: Backup, how: Recovery) {
        self.stop();
        let data = self.data();
        fs::remove_dir_all(&data).expect("nobody uses it");
        fs::rename(backup.data, &data).expect("both are in one folder");
        if how == Recovery::PointInTime {
            // With a standby it would be ready before it takes writes.
            let settings = "restore_command = 'false'\nrecovery_target = 'immediate'\n\
                            recovery_target_action = 'promote'\nhot_standby = off\n";
            let file = OpenOptions::new().append(true).open(data.join("postgresql.auto.conf"));
            let written = file.and_then(|mut file| file.write_all(settings.as_bytes()));
            written.expect("the data is ours");
            let signal = data.join("recovery.signal");
            File::create(&signal).expect("the data is ours");
            self.give_away(&signal);
        }
        self.restart();
    }

    fn give_away(&self, path: &Path) {
        if let Some(user) = self.user {
            chown(path, Some(user.uid), Some(user.gid)).expect("root may give files away");
        }
    }
}
