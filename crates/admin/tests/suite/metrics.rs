//! The metrics' own port.

use std::{
    future::{Future, ready},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use lockgate_admin::{MetricsPieces, MetricsText};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{gateway::Gateway, wire::Wire};

/// Counts of the pieces that were made, by scrape.
type Made = Arc<Mutex<Vec<Arc<AtomicUsize>>>>;

/// A text of so many pieces of a mebibyte.
fn text(pieces: usize) -> (MetricsText, Made) {
    let made = Made::default();
    let all = made.clone();
    let text = move || -> Pin<Box<dyn Future<Output = MetricsPieces> + Send>> {
        let count = Arc::new(AtomicUsize::new(0));
        all.lock().unwrap().push(count.clone());
        let pieces = (0..pieces).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            vec![b'a'; 1 << 20]
        });
        Box::pin(ready(Box::new(pieces) as MetricsPieces))
    };
    (Arc::new(text), made)
}

/// Status, fields and bytes of the body of an answer; the body's are `None` where it breaks off.
async fn ask(address: SocketAddr, path: &str) -> (u16, String, Option<usize>) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // What breaks off may do so with an error.
    let _ = stream.read_to_end(&mut bytes).await;
    let end = memmem(&bytes, b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head[9..12].parse().unwrap();
    let body = &bytes[end + 4..];
    let length = if head.contains("transfer-encoding: chunked") {
        chunked(body)
    } else {
        Some(body.len())
    };
    (status, head, length)
}

/// Bytes of a chunked body, if it is whole.
fn chunked(mut rest: &[u8]) -> Option<usize> {
    let mut sum = 0;
    loop {
        let end = memmem(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(sum);
        }
        sum += size;
        rest = rest.get(end + 2 + size + 2..)?;
    }
}

fn memmem(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|it| it == wanted)
}

#[tokio::test]
async fn shows_the_whole_text_at_one_path_alone() {
    let (text, _) = text(3);
    let gateway = Gateway::start_metrics(text).await;
    for path in ["/metrics", "/metrics?a=1"] {
        let (status, head, bytes) = ask(gateway.address, path).await;
        assert_eq!((status, bytes), (200, Some(3 << 20)), "{path}");
        assert!(head.contains("content-type: text/plain; charset=utf-8"));
    }
    assert_eq!(ask(gateway.address, "/other").await.0, 404);
}

#[tokio::test]
async fn who_takes_nothing_has_little_made_and_keeps_nobody_waiting() {
    let (text, made) = text(100);
    let gateway = Gateway::start_metrics(text).await;
    let mut stuck = Wire::open(gateway.address).await;
    stuck.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (_, _, bytes) = ask(gateway.address, "/metrics").await;
    assert_eq!(bytes, Some(100 << 20));
    let made = made.lock().unwrap();
    let mut made: Vec<usize> = made.iter().map(|one| one.load(Ordering::Relaxed)).collect();
    made.sort_unstable();
    // What the buffers of both sockets take, and one piece.
    assert!(made[0] < 50, "{made:?}");
}

#[tokio::test]
async fn a_text_that_breaks_off_does_not_look_whole() {
    let text: MetricsText = Arc::new(|| {
        let pieces = (0..4).map(|number| {
            assert!(number < 3, "a panic that a test asked for");
            vec![b'a'; 1 << 20]
        });
        Box::pin(ready(Box::new(pieces) as MetricsPieces))
    });
    let gateway = Gateway::start_metrics(text).await;
    assert_eq!(ask(gateway.address, "/metrics").await.2, None);
}
