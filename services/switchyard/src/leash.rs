//! A child that stops when its stdin closes does not outlive whoever started it, however that ended.

use std::io::Read as _;

use tokio::sync::oneshot;

/// Held by stdin, or by nothing.
pub(crate) struct Leash(Option<oneshot::Receiver<()>>);

impl Leash {
    pub(crate) fn new(while_stdin: bool) -> Leash {
        Leash(while_stdin.then(stdin_closed))
    }

    /// Returns when stdin has closed; without a leash never.
    pub(crate) async fn let_go(&mut self) {
        match &mut self.0 {
            Some(told) => drop(told.await),
            None => std::future::pending().await,
        }
    }
}

/// A thread of its own: a read of stdin cannot be called off.
fn stdin_closed() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let mut byte = [0];
        while std::io::stdin().read(&mut byte).is_ok_and(|read| read > 0) {}
        drop(tell);
    });
    told
}
