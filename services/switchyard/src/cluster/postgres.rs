//! A PostgreSQL of this machine's own binaries for a cluster on this machine, with its data kept.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use bootstrap::{Exit, files, random};
use tokio::{
    net::TcpListener,
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};

use crate::{children::log_file, failure::Failure};

/// The oldest major version whose SQL the store uses.
const VERSION_MIN: u32 = 15;
/// Recovery after a crash replays the server's journal.
const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Stops the server once this process has let go of the pipe, however it ended.
const GUARD: &str = r#"cat > /dev/null; kill -INT "$0" 2> /dev/null"#;

const FOLDER_FILE: &str = "postgres.folder";

pub(super) struct Server {
    server: Child,
    guard: Child,
    /// Closed, the guard stops the server.
    leash: Option<ChildStdin>,
    port: u16,
}

/// The account of the server where we are root, which it refuses to be.
#[derive(Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

impl Server {
    pub(super) async fn start(data: &Path) -> Result<Server, Failure> {
        let binaries = binaries().await?;
        let user = User::for_server()?;
        let folder = folder(data, user)?;
        let cluster = folder.join("data");
        if !cluster.join("PG_VERSION").exists() {
            initialise(&binaries, user, &folder, &cluster).await?;
        }
        old_server_is_gone(&cluster).await;
        let port = free_port().await?;
        let log_path = data.join("postgres.log");
        let log = log_file(&log_path)?;
        let errors = log.try_clone().map_err(Failure::bug)?;
        let mut command = command(user, &binaries.join("postgres"), &folder);
        command.arg("-D").arg(&cluster).arg("-p").arg(port.to_string());
        for setting in
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"]
        {
            command.args(["-c", setting]);
        }
        let mut server = command.stdout(log).stderr(errors).spawn().map_err(Failure::bug)?;
        let pid = server.id().unwrap_or_default().to_string();
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, &pid])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Failure::bug)?;
        let leash = guard.stdin.take();
        wait_until_ready(&mut server, &cluster, &pid, &log_path).await?;
        Ok(Server { server, guard, leash, port })
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Returns when it has ended that should not have.
    pub(super) async fn failed(&mut self) -> Failure {
        let how = match self.server.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        unavailable(format!("PostgreSQL ended: {how}"))
    }

    pub(super) async fn stop(mut self) {
        drop(self.leash.take());
        if timeout(STOPS_WITHIN, self.server.wait()).await.is_err() {
            tracing::warn!("PostgreSQL does not stop and is killed");
            drop(self.server.kill().await);
        }
        drop(self.guard.wait().await);
    }
}

/// One whose parent was killed is still being stopped by its guard.
async fn old_server_is_gone(cluster: &Path) {
    let began = Instant::now();
    while began.elapsed() < STOPS_WITHIN {
        let file = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
        let pid = file.lines().next().unwrap_or_default().trim().to_owned();
        let works_in = fs::read_link(Path::new("/proc").join(&pid).join("cwd")).ok();
        if pid.is_empty() || works_in.as_deref() != Some(cluster) {
            return;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The server writes its state into the eighth line of its pid file, which may be an old one.
async fn wait_until_ready(
    server: &mut Child,
    cluster: &Path,
    pid: &str,
    log: &Path,
) -> Result<(), Failure> {
    let began = Instant::now();
    loop {
        let file = fs::read_to_string(cluster.join("postmaster.pid")).unwrap_or_default();
        let mut lines = file.lines().map(str::trim);
        if lines.next() == Some(pid) && lines.nth(6) == Some("ready") {
            return Ok(());
        }
        let log = log.display();
        if let Ok(Some(status)) = server.try_wait() {
            return Err(unavailable(format!("PostgreSQL ended ({status}); its log is {log}")));
        }
        if began.elapsed() > READY_WITHIN {
            return Err(unavailable(format!("PostgreSQL does not get ready; its log is {log}")));
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn initialise(
    binaries: &Path,
    user: Option<User>,
    folder: &Path,
    cluster: &Path,
) -> Result<(), Failure> {
    let mut initdb = command(user, &binaries.join("initdb"), folder);
    initdb.arg("-D").arg(cluster);
    initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale"]);
    let output = initdb.output().await.map_err(Failure::bug)?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            Err(unavailable(format!("PostgreSQL could not be set up: {said}")))
        }
    }
}

fn command(user: Option<User>, program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    // A group of its own: what a terminal sends reaches its parent first.
    command.current_dir(folder).process_group(0).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// In the data folder; where we are root, somewhere that the server's account can reach, which the data
/// folder then remembers.
fn folder(data: &Path, user: Option<User>) -> Result<PathBuf, Failure> {
    let Some(user) = user else {
        let own = data.join("postgres");
        files::private_folder(&own)?;
        return Ok(own);
    };
    let note = data.join(FOLDER_FILE);
    let noted = fs::read_to_string(&note).map(|path| PathBuf::from(path.trim()));
    if let Ok(folder) = noted
        && folder.join("data").exists()
    {
        return Ok(folder);
    }
    let folder = Path::new("/var/tmp").join(format!("switchyard-postgres-{}", random::uuid()?));
    let unusable = |error| files::FileError::Io { path: folder.clone(), source: error };
    fs::create_dir_all(folder.join("data")).map_err(unusable)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(unusable)?;
    chown(folder.join("data"), Some(user.uid), Some(user.gid)).map_err(unusable)?;
    files::write_plain(&note, &folder.display().to_string())?;
    Ok(folder)
}

impl User {
    fn for_server() -> Result<Option<User>, Failure> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut ids = status.lines().filter_map(|line| line.strip_prefix("Uid:"));
        let effective = ids.next().and_then(|ids| ids.split_whitespace().nth(1));
        if effective != Some("0") {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let named = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok()?;
            Some(User { uid, gid: fields.next()?.parse().ok()? })
        };
        match named("postgres").or_else(|| named("nobody")) {
            Some(user) => Ok(Some(user)),
            None => Err(unavailable(
                "PostgreSQL does not run as root, and there is no user \
                                     postgres or nobody"
                    .to_owned(),
            )),
        }
    }
}

/// The folder of a server that is new enough.
async fn binaries() -> Result<PathBuf, Failure> {
    let asked = Command::new("pg_config").arg("--bindir").output().await.ok();
    let configured =
        asked.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    debian.sort();
    debian.reverse();
    for folder in configured.into_iter().chain(std::env::split_paths(&path)).chain(debian) {
        if version(&folder).await.is_some_and(|version| version >= VERSION_MIN) {
            return Ok(folder);
        }
    }
    Err(unavailable(format!(
        "no PostgreSQL {VERSION_MIN} or later on this machine (Debian: apt-get install postgresql)"
    )))
}

/// The major version of the server in this folder, if there is a whole one.
async fn version(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    number.split(|other: char| !other.is_ascii_digit()).next()?.parse().ok()
}

async fn free_port() -> Result<u16, Failure> {
    let probe = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Failure::bug)?;
    Ok(probe.local_addr().map_err(Failure::bug)?.port())
}

fn unavailable(message: String) -> Failure {
    Failure::new(Exit::Unavailable, "postgres_unavailable", message)
}
