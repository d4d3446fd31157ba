//! A private PostgreSQL for one test or one benchmark.
//!
//! Each server has its own port on loopback and its own data folder, is as durable as a real one
//! (`fsync` and `synchronous_commit` on), and goes when the value is dropped or this process ends,
//! however it ends. Whatever prevents it from starting panics with the reason: a test that needs
//! PostgreSQL must not pass without it.

mod backup;
mod disk;
mod installed;

pub use backup::{Backup, Recovery};

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, iter};

pub use self::disk::{SmallDisk, SmallDisks};
use self::installed::{User, binaries};

/// Recovery after `kill9` replays the journal of the server, which takes a while on a slow disk.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Between two looks at something that no call can wait for.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A port that was free may be taken before the server binds it.
const PORTS_TRIED: u32 = 5;

/// Linux counts the CPU time of a process in hundredths of a second, on every architecture.
const TICK_US: u64 = 10_000;

/// Always set, before the caller's own settings.
const SETTINGS: [&str; 6] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=on",
    "synchronous_commit=on",
    "max_connections=200",
    "log_line_prefix=%m [%p] %a ",
];

/// A running server, or one that was stopped and can be started again on the same port and data.
pub struct Postgres {
    folder: PathBuf,
    binaries: PathBuf,
    user: Option<User>,
    settings: Vec<String>,
    port: u16,
    databases: AtomicU32,
    server: Mutex<Option<Child>>,
    guard: Child,
}

impl Postgres {
    /// Starts a server with PostgreSQL's own defaults.
    pub fn start() -> Postgres {
        Postgres::start_with(&[])
    }

    /// Starts a server with further settings, each `name=value`; a later one wins.
    pub fn start_with(settings: &[&str]) -> Postgres {
        let user = User::for_server();
        let folder = folder(user);
        Postgres::start_in(folder, user, settings)
    }

    fn start_in(folder: PathBuf, user: Option<User>, settings: &[&str]) -> Postgres {
        let binaries = binaries();
        let guard = guard(&folder);
        initdb(&binaries, user, &folder);
        let mut postgres = Postgres {
            folder,
            binaries,
            user,
            settings: SETTINGS.iter().chain(settings).map(|&setting| setting.to_owned()).collect(),
            port: 0,
            databases: AtomicU32::new(0),
            server: Mutex::new(None),
            guard,
        };
        for _ in 0..PORTS_TRIED {
            postgres.port = free_port();
            if postgres.launch() {
                return postgres;
            }
        }
        panic!("postgres does not start: {}", postgres.log());
    }

    /// The address of the maintenance database.
    pub fn url(&self) -> String {
        self.url_to("postgres")
    }

    pub fn url_to(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates an empty database and returns its name, for `url_to`.
    pub fn new_database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut command = self.client("createdb");
        command.arg(&name);
        run(command);
        name
    }

    /// Removes a database, whoever is connected to it, so that nothing tidies it up in the
    /// background.
    pub fn drop_database(&self, name: &str) {
        let mut command = self.client("dropdb");
        command.arg("--force").arg(name);
        run(command);
    }

    /// A client program of the same version, told where the server is and who connects.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", "postgres")
            .env_remove("PGDATABASE")
            .env_remove("PGOPTIONS");
        command
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of this server: data and log. On the same disk as whatever else is put there.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The postmaster and everything it has started that is alive now; empty when stopped.
    pub fn pids(&self) -> Vec<u32> {
        self.server().as_ref().map(|server| family(server.id())).unwrap_or_default()
    }

    /// CPU time spent since the server was last started, its finished children included. A child
    /// that the postmaster reaps during the reading is missed by this reading, not by the next.
    pub fn cpu_us(&self) -> u64 {
        let Some(postmaster) = self.server().as_ref().map(Child::id) else { return 0 };
        let used = |stat: ProcessStat| stat.own_us + stat.reaped_us;
        let own = ProcessStat::of(postmaster).map_or(0, used);
        own + children(postmaster).map(|(_, stat)| used(stat)).sum::<u64>()
    }

    /// A crash: every process of the server at once, no checkpoint, no goodbye to clients.
    pub fn kill9(&self) {
        let mut slot = self.server();
        if let Some(mut server) = slot.take() {
            let pids = family(server.id());
            signal("KILL", &pids);
            server.wait().expect("the postmaster is a child of this process");
            pids.into_iter().for_each(wait_until_gone);
        }
    }

    /// An orderly stop: clients are disconnected, everything is written.
    pub fn stop(&self) {
        self.end("INT");
    }

    /// Starts a stopped or killed server again; one that is running is stopped first.
    pub fn restart(&self) {
        self.stop();
        assert!(self.launch(), "postgres does not start again: {}", self.log());
    }

    fn end(&self, name: &str) {
        let mut slot = self.server();
        if let Some(mut server) = slot.take() {
            signal(name, &[server.id()]);
            server.wait().expect("the postmaster is a child of this process");
        }
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the postmaster as our own child, so that its end can be waited for. False if it ended
    /// by itself.
    fn launch(&self) -> bool {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .expect("the folder is ours");
        let errors = log.try_clone().expect("a file handle can be doubled");
        let mut command = command_as(self.user, &self.binaries.join("postgres"), &self.folder);
        command.arg("-D").arg(self.data()).arg("-p").arg(self.port.to_string());
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        // Its own group: what a terminal sends to the test must not reach the server on its own.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut server = command.spawn().expect("postgres was found and can be run");
        let ready = self.wait_until_ready(&mut server);
        *self.server() = ready.then_some(server);
        ready
    }

    /// The postmaster writes its state into the eighth line of its pid file, which may be an old
    /// one.
    fn wait_until_ready(&self, server: &mut Child) -> bool {
        let started = Instant::now();
        let id = server.id().to_string();
        loop {
            let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
            let lines: Vec<&str> = file.lines().map(str::trim).collect();
            if lines.first() == Some(&id.as_str()) && lines.get(7) == Some(&"ready") {
                return true;
            }
            if server.try_wait().expect("the postmaster is a child of this process").is_some() {
                return false;
            }
            assert!(started.elapsed() < READY_WITHIN, "postgres is not ready: {}", self.log());
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end("QUIT"); // Nothing is kept, so nothing needs to be written.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait(); // It removes the folder.
    }
}

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug)]
pub struct ProcessStat {
    pub parent: u32,
    /// Ended, and not yet asked for by its parent.
    pub zombie: bool,
    /// CPU time of the process itself, all threads.
    pub own_us: u64,
    /// CPU time of its children that have ended and been waited for.
    pub reaped_us: u64,
}

impl ProcessStat {
    pub fn of(pid: u32) -> Option<ProcessStat> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold spaces and parentheses itself.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(ProcessStat {
            zombie: *fields.first()? == "Z",
            parent: fields.get(1)?.parse().ok()?,
            own_us: (ticks(11)? + ticks(12)?) * TICK_US,
            reaped_us: (ticks(13)? + ticks(14)?) * TICK_US,
        })
    }
}

/// A new folder that the server's user can reach, with `data` and `wal` in it that belong to that user.
fn folder(user: Option<User>) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("switchyard-postgres-")
        .tempdir()
        .expect("the temporary folder can be written")
        .keep();
    for inner in ["data", "wal"].map(|name| folder.join(name)) {
        fs::create_dir(&inner).expect("the folder is ours");
        if let Some(user) = user {
            chown(&inner, Some(user.uid), Some(user.gid)).expect("root may give folders away");
        }
    }
    if user.is_some() {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))
            .expect("the folder is ours");
    }
    folder
}

fn initdb(binaries: &Path, user: Option<User>, folder: &Path) {
    let mut command = command_as(user, &binaries.join("initdb"), folder);
    command.arg("-D").arg(folder.join("data")).arg("-X").arg(folder.join("wal"));
    command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
    run(command);
}

/// Removes the server and its folder once this process has let go of the pipe: on drop, or by
/// ending in whatever way, also when a test is killed or a server is kept in a static.
fn guard(folder: &Path) -> Child {
    const SCRIPT: &str = r#"
        cat > /dev/null
        pid=$(head -n 1 "$0/data/postmaster.pid" 2> /dev/null)
        if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$0/data" ]; then
            kill -QUIT "$pid"
            for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$pid" && sleep 0.2; done
        fi
        umount "$0/data" "$0/wal" 2> /dev/null
        rm -rf "$0"
    "#;
    Command::new("sh")
        .arg("-c")
        .arg(SCRIPT)
        .arg(folder)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell")
}

fn command_as(user: Option<User>, program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

fn run(mut command: Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}: {said}", output.status);
}

fn free_port() -> u16 {
    let probe = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    probe.expect("loopback has a free port").port()
}

/// The postmaster and its children that are alive: all of PostgreSQL's processes.
fn family(postmaster: u32) -> Vec<u32> {
    let alive = children(postmaster).filter(|(_, stat)| !stat.zombie).map(|(pid, _)| pid);
    iter::once(postmaster).chain(alive).collect()
}

fn children(parent: u32) -> impl Iterator<Item = (u32, ProcessStat)> {
    let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    entries.filter_map(move |entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = ProcessStat::of(pid).filter(|stat| stat.parent == parent)?;
        Some((pid, stat))
    })
}

fn signal(name: &str, pids: &[u32]) {
    let mut command = Command::new("sh");
    command.arg("-c").arg(r#"kill -"$0" "$@""#).arg(name);
    command.args(pids.iter().map(u32::to_string)).stderr(Stdio::null());
    // A process that ended by itself meanwhile is no failure.
    let _: io::Result<_> = command.status();
}

fn wait_until_gone(pid: u32) {
    let started = Instant::now();
    while ProcessStat::of(pid).is_some_and(|stat| !stat.zombie) {
        assert!(started.elapsed() < READY_WITHIN, "process {pid} does not end");
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(postgres: &Postgres, database: &str, sql: &str) -> String {
        let mut psql = postgres.client("psql");
        let output =
            psql.args(["-X", "-q", "-A", "-t", "-d", database, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn what_is_committed_outlives_a_crash_and_a_restart() {
        let postgres = Postgres::start();
        let database = postgres.new_database();
        let other = postgres.new_database();
        assert_ne!(database, other);
        assert_eq!(ask(&postgres, &database, "show fsync"), "on");
        assert_eq!(ask(&postgres, &database, "show synchronous_commit"), "on");
        postgres.drop_database(&other);
        ask(&postgres, &database, "create table kept (n int); insert into kept values (1)");

        let before = postgres.pids();
        assert!(before.len() > 1);
        postgres.kill9();
        assert!(postgres.pids().is_empty());
        assert!(before.into_iter().all(|pid| ProcessStat::of(pid).is_none_or(|stat| stat.zombie)));

        postgres.restart();
        ask(&postgres, &database, "insert into kept values (2)");
        postgres.stop();
        postgres.restart();
        assert_eq!(ask(&postgres, &database, "select count(*) from kept"), "2");
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn counts_the_time_of_children_that_have_ended() {
        let postgres = Postgres::start();
        let before = postgres.cpu_us();
        ask(&postgres, "postgres", "select count(*) from generate_series(1, 2000000)");
        let asked = Instant::now();
        while postgres.cpu_us() <= before {
            assert!(asked.elapsed() < READY_WITHIN, "the time of a child is lost");
            thread::sleep(LOOK_AGAIN);
        }
    }

    #[test]
    #[ignore = "needs PostgreSQL"]
    fn leaves_nothing_behind() {
        let postgres = Postgres::start();
        let (folder, pids) = (postgres.folder().to_owned(), postgres.pids());
        drop(postgres);
        assert!(!folder.exists());
        assert!(pids.into_iter().all(|pid| ProcessStat::of(pid).is_none_or(|stat| stat.zombie)));
    }
}
