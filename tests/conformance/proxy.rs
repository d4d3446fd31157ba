//! A way to the server on which an answer can be lost.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
};

#[derive(Clone)]
pub(crate) struct Proxy {
    port: u16,
    /// The request whose answer is to be lost.
    armed: Arc<Mutex<Option<&'static [u8]>>>,
}

impl Proxy {
    pub(crate) async fn start(server: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Proxy { port, armed: Arc::default() };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                accepting.clone().join(near, far);
            }
        });
        proxy
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next such request reaches the server; once it is answered, the connection is gone.
    pub(crate) fn lose_the_answer_to(&self, request: &'static str) {
        *self.armed.lock().unwrap() = Some(request.as_bytes());
    }

    fn join(self, near: TcpStream, far: TcpStream) {
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        let (lose, lost) = watch::channel(false);
        tokio::spawn(async move { self.carry_there(near_read, far_write, lose).await });
        tokio::spawn(carry_back(far_read, near_write, lost));
    }

    async fn carry_there(
        self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        lose: watch::Sender<bool>,
    ) {
        let mut buffer = vec![0; 65_536];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let bytes = &buffer[..count];
            let asked =
                self.armed.lock().unwrap().take_if(|request| {
                    bytes.windows(request.len()).any(|window| window == *request)
                });
            if asked.is_some() {
                lose.send(true).unwrap();
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }
}

async fn carry_back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lost: watch::Receiver<bool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if *lost.borrow() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
