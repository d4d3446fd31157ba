//! A Redis of the test's own.

use std::{
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

const STARTS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

pub struct Redis {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Debian's `redis-server` must be installed.
    pub fn start() -> Redis {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("there is a free port").port();
        let folder = TempDir::new().expect("there is room");
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        command.args(["--appendonly", "no", "--dir"]).arg(folder.path());
        let process = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
        let redis = Redis { process, port, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < STARTS_WITHIN, "redis-server does not start");
            sleep(LOOK_AGAIN);
        }
        redis
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What `redis-cli` does with these words.
    pub fn cli(&self, words: &[&str]) {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.port.to_string()]).args(words).stdout(Stdio::null());
        assert!(command.status().expect("redis-cli is installed").success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
