//! Child processes that never outlive us, free ports, and waiting for a state with a deadline.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Runs "$@" and kills it with SIGKILL when our end of the pipe on its standard input closes.
///
/// The kernel closes that end however we end (drop, panic, abort, kill -9), so nothing is left
/// behind even by a `static`, which is never dropped.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ read -r _ <&3; kill -9 "$child"; } 2>/dev/null &
watch=$!
wait "$child"
code=$?
kill "$watch" 2>/dev/null
exit "$code"
"#;

/// Removes a folder when the pipe closes. Repeats, as a dying process may still be writing there.
const SWEEP: &str = r#"
read -r _
i=0
until rm -rf "$1" 2>/dev/null || [ $i -ge 50 ]; do i=$((i + 1)); sleep 0.1; done
"#;

/// A running program under its guard.
pub(crate) struct Process {
    guard: Child,
    leash: Option<ChildStdin>,
}

impl Process {
    /// Starts `program`; what it prints is appended to `output`.
    pub(crate) fn start(program: &Path, args: &[String], output: &Path) -> Process {
        let file = append(output);
        let errors = file.try_clone().expect("a file handle can be cloned");
        let mut command = Command::new("sh");
        command.args(["-c", GUARD, "guard"]).arg(program).args(args);
        command.stdout(file).stderr(errors);
        Process::spawn(command)
    }

    fn spawn(mut command: Command) -> Process {
        let mut guard = command.stdin(Stdio::piped()).spawn().expect("sh can be started");
        let leash = guard.stdin.take();
        Process { guard, leash }
    }

    /// Whether the program is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.guard.try_wait().expect("a child can be asked").is_none()
    }

    /// Stops the program (SIGSTOP) until what is returned is dropped.
    pub(crate) fn stand_still(&self) -> StandingStill {
        let guard = self.guard.id();
        let children = fs::read_to_string(format!("/proc/{guard}/task/{guard}/children"));
        // The guard starts the program first, and then what watches the pipe.
        let children = children.expect("the guard is there");
        let pid = children.split_whitespace().next().expect("it has started the program");
        signal("-STOP", pid);
        StandingStill { pid: pid.to_owned() }
    }

    /// Ends the program with SIGKILL and waits until it is gone.
    pub(crate) fn kill9(&mut self) {
        self.leash = None;
        self.guard.wait().expect("a child can be waited for");
    }
}

/// A program that does not run on before this is dropped.
pub(crate) struct StandingStill {
    pid: String,
}

impl Drop for StandingStill {
    fn drop(&mut self) {
        signal("-CONT", &self.pid);
    }
}

fn signal(name: &str, pid: &str) {
    let sent = Command::new("kill").args([name, pid]).status();
    assert!(sent.is_ok_and(|status| status.success()), "kill {name} {pid}");
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// A temporary folder that is removed when dropped, or when this process ends in any way.
pub(crate) struct Folder {
    path: PathBuf,
    _sweeper: Process,
}

impl Folder {
    /// With `SWITCHYARD_LND_KEEP` set the folder stays, for a look at the nodes' output.
    pub(crate) fn new() -> Folder {
        let path = tempfile::Builder::new()
            .prefix("switchyard-lnd-")
            .tempdir()
            .expect("a temporary folder can be made")
            .keep();
        let mut command = Command::new("sh");
        if std::env::var_os("SWITCHYARD_LND_KEEP").is_some() {
            eprintln!("tests/lnd: keeping {}", path.display());
            command.args(["-c", "read -r _"]);
        } else {
            command.args(["-c", SWEEP, "sweep"]).arg(&path);
        }
        Folder { path, _sweeper: Process::spawn(command) }
    }

    /// A folder inside, made if it is not there.
    pub(crate) fn sub(&self, name: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        path
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("the output file can be opened")
}

/// The last `lines` lines of a file, or nothing.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A free loopback port below the range from which the kernel takes ports for outgoing
/// connections: such a connection could otherwise sit on a node's port while the node is down.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 11_000;
    const COUNT: u16 = 20_000;
    let start = u16::try_from(std::process::id() % 200).expect("below 200") * 100;
    for _ in 0..COUNT {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + offset % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}

/// Asks `probe` again and again until it has an answer; panics with its last reason at the
/// deadline.
pub(crate) async fn until<T>(
    what: &str,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(10);
    loop {
        match probe().await {
            Ok(answer) => return answer,
            Err(reason) if Instant::now() >= deadline => {
                panic!("waited {within:?} for {what}: {reason}")
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
