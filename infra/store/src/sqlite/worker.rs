//! Connections on threads of their own: SQLite blocks, and the runtime's threads must not.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread::{self, JoinHandle},
};

use ports::StoreError;
use rusqlite::Connection;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// One thread for each connection, all taking from one queue. Ends when it is dropped, once every
/// job that was accepted has run.
pub(super) struct Workers {
    jobs: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// The work panicked, or the threads are gone: it has been done or not.
#[derive(Debug)]
pub(super) struct Lost;

impl Lost {
    pub(super) const WHY: &'static str = "the thread of the database gave no answer";
}

/// What was only read can be read again.
impl From<Lost> for StoreError {
    fn from(_: Lost) -> StoreError {
        StoreError::Unavailable(Lost::WHY.to_owned())
    }
}

impl Workers {
    pub(super) fn start(name: &str, connections: Vec<Connection>) -> io::Result<Workers> {
        let (sender, receiver) = mpsc::channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        let mut workers = Workers { jobs: Some(sender), threads: Vec::new() };
        for connection in connections {
            let jobs = receiver.clone();
            let work = move || serve(connection, &jobs);
            workers.threads.push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        }
        Ok(workers)
    }

    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> T + Send + 'static,
    ) -> Result<T, Lost> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // The caller may have gone.
            let _ = reply.send(work(connection));
        });
        self.jobs.as_ref().ok_or(Lost)?.send(job).map_err(|_| Lost)?;
        answer.await.map_err(|_| Lost)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that drops its own store cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn serve(mut connection: Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A transaction that is left open rolls back as it is unwound; the next job finds none.
        if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
            tracing::error!("a piece of work on the database panicked");
        }
    }
}
