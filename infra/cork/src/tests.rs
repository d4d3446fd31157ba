use proptest::prelude::*;
use tokio::{
    io::AsyncReadExt as _,
    net::TcpListener,
    runtime::{Builder, Runtime},
};

use super::*;

/// One thread, so that who is ready when is the same in every run.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn pair() -> (Corked, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (Corked::new(near), listener.accept().await.unwrap().0)
}

#[test]
fn what_all_who_are_ready_write_leaves_together() {
    runtime().block_on(async {
        let (corked, mut far) = pair().await;
        let corked = Arc::new(tokio::sync::Mutex::new(corked));
        for number in 0..100_u8 {
            let corked = corked.clone();
            tokio::spawn(async move {
                let mut corked = corked.lock().await;
                corked.write_all(&[number]).await.unwrap();
                corked.flush().await.unwrap();
            });
        }
        let mut bytes = [0; 200];
        assert_eq!(far.read(&mut bytes).await.unwrap(), 100);
    });
}

/// What its peer says first decides: a call of HTTP/1 is answered in the very write.
#[test]
fn only_http1_writes_by_itself() {
    runtime().block_on(async {
        for (first, by_itself) in [
            (&b"GET / HTTP/1.1"[..], true),
            (b"POST / HTTP/1.1", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false),
            (b"P", false),
        ] {
            let (mut corked, mut far) = pair().await;
            far.write_all(first).await.unwrap();
            let mut heard = [0; 64];
            let length = corked.read(&mut heard).await.unwrap();
            assert_eq!(&heard[..length], first);
            corked.write_all(b"answer").await.unwrap();
            assert_eq!(corked.out.lock().kept.is_empty(), by_itself, "{first:?}");
            corked.shutdown().await.unwrap();
            let mut answer = Vec::new();
            far.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, b"answer");
        }
    });
}

#[test]
fn a_connection_that_is_shut_has_sent_everything() {
    runtime().block_on(async {
        let (mut corked, mut far) = pair().await;
        let reader = tokio::spawn(async move {
            let mut bytes = Vec::new();
            far.read_to_end(&mut bytes).await.unwrap();
            bytes.len()
        });
        let much = vec![7; 3_000_000];
        corked.write_all(&much).await.unwrap();
        corked.shutdown().await.unwrap();
        assert_eq!(reader.await.unwrap(), much.len());
        assert!(corked.write_all(b"too late").await.is_err());
    });
}

#[test]
fn what_is_kept_for_a_peer_who_does_not_read_has_a_bound() {
    runtime().block_on(async {
        let (mut corked, far) = pair().await;
        let chunk = vec![7; 64 * 1_024];
        let written = async {
            loop {
                corked.write_all(&chunk).await.unwrap();
                assert!(corked.out.lock().kept.len() < KEPT_BYTES_MAX + chunk.len());
            }
        };
        let refuses = tokio::time::timeout(std::time::Duration::from_secs(1), written);
        assert!(refuses.await.is_err(), "a peer who does not read is written to without end");
        // Its task ends with it, although the peer still does not read.
        let out = Arc::downgrade(&corked.out);
        drop(corked);
        while out.upgrade().is_some() {
            yield_now().await;
        }
        drop(far);
    });
}

#[test]
fn a_dropped_connection_is_closed_with_its_last_words() {
    runtime().block_on(async {
        let (mut corked, mut far) = pair().await;
        corked.write_all(b"last words").await.unwrap();
        drop(corked);
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"last words");
    });
}

#[test]
fn a_broken_connection_says_so() {
    runtime().block_on(async {
        let (mut corked, far) = pair().await;
        far.set_zero_linger().unwrap();
        drop(far);
        let writes = async {
            while corked.write_all(b"anyone there?").await.is_ok() {
                yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), writes).await.unwrap();
        assert!(corked.flush().await.is_err());
        assert!(corked.shutdown().await.is_err());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is written however, it arrives whole and in order.
    #[test]
    fn nothing_is_lost_or_moved(
        writes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..40),
        flushes in any::<u64>(),
    ) {
        let arrived = runtime().block_on(async {
            let (mut corked, mut far) = pair().await;
            let reader = tokio::spawn(async move {
                let mut bytes = Vec::new();
                far.read_to_end(&mut bytes).await.map(|_| bytes)
            });
            for (number, bytes) in writes.iter().enumerate() {
                corked.write_all(bytes).await.unwrap();
                if flushes & (1 << number) != 0 {
                    corked.flush().await.unwrap();
                    yield_now().await;
                }
            }
            corked.shutdown().await.unwrap();
            reader.await.unwrap().unwrap()
        });
        prop_assert_eq!(arrived, writes.concat());
    }
}
