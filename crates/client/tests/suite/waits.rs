//! Limits on each wait, as plugins set them.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use lockgate_client::Failure;

use crate::peer::{PATIENCE, Peer, client, client_with, get};

/// Short for a test, and long for a machine that is busy: connecting and a head take place within it.
const SHORT: Duration = Duration::from_millis(500);

/// More than sockets hold.
const MUCH: usize = 64 << 20;

fn upload(url: &str) -> Request<Bytes> {
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .body(Bytes::from(vec![b'x'; MUCH]))
        .expect("a request")
}

#[tokio::test]
async fn a_server_that_takes_no_bytes_is_not_waited_for() {
    let peer = Peer::start(|wire, _| async move {
        let _open = wire;
        std::future::pending::<()>().await;
    })
    .await;
    for client in [
        client().within_each(SHORT),
        client_with(|options| options.send_timeout = Some(SHORT)),
        client_with(|options| {
            options.send_timeout = Some(SHORT);
            options.read_timeout = Some(PATIENCE);
        }),
    ] {
        let failure = client.send(upload(&peer.url("/"))).await;
        let failure = failure.expect_err("no progress").failure;
        assert!(matches!(failure, Failure::SendTime), "{failure}");
        assert!(failure.is_timeout());
    }
    // Not the limit for reading, while it is the server that reads.
    let client = client_with(|options| {
        options.read_timeout = Some(SHORT);
        options.timeout = 4 * SHORT;
    });
    let failure = client.send(upload(&peer.url("/"))).await;
    let failure = failure.expect_err("no progress").failure;
    assert!(matches!(failure, Failure::NoAnswer), "{failure}");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_not_waited_for() {
    for (bytes, is_body) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", true),
    ] {
        let peer = Peer::start(move |mut wire, _| async move {
            wire.request().await;
            wire.write(bytes).await;
            wire.closed().await;
        })
        .await;
        let answer = client().within_each(SHORT).send(get(&peer.url("/"))).await;
        let failure = answer.expect_err("silence").failure;
        let is_expected = match failure {
            Failure::NoAnswer => !is_body,
            Failure::BodyTime => is_body,
            _ => false,
        };
        assert!(is_expected, "{bytes:?}: {failure}");
    }
}

#[tokio::test]
async fn a_slow_server_is_waited_for_while_it_goes_on() {
    let peer = Peer::start(move |mut wire, _| async move {
        wire.request().await;
        let head = ["HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "\r\n"];
        for piece in head.into_iter().chain(["a", "b", "c"]) {
            // Well within the limit, and all together beyond it.
            tokio::time::sleep(Duration::from_millis(250)).await;
            wire.write(piece).await;
        }
    })
    .await;
    let client = client().within_each(Duration::from_secs(1));
    let answer = client.send(get(&peer.url("/"))).await.expect("an answer");
    assert_eq!(&answer.body()[..], b"abc");
}

#[tokio::test]
async fn large_bodies_arrive_whole() {
    let peer = Peer::start(|mut wire, _| async move {
        let seen = wire.request().await.expect("a request");
        wire.answer(&seen.len().to_string()).await;
    })
    .await;
    let body = Bytes::from(vec![b'x'; 1 << 20]);
    let request = Request::post(peer.url("/")).body(body).expect("a request");
    let client = client().within_each(PATIENCE);
    let answer = client.send(request).await.expect("an answer");
    let length: usize = String::from_utf8_lossy(answer.body())
        .parse()
        .expect("a length");
    assert!(length > 1 << 20, "{length}");
}

#[tokio::test]
async fn an_excerpt_is_what_a_log_line_needs() {
    for (answer, expected, is_kept) in [
        ("500 Oops\r\nContent-Length: 4\r\n\r\nlost", "lost", true),
        ("204 No\r\n\r\n", "", true),
        ("200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        (
            "500 Oops\r\nContent-Length: 10\r\n\r\n0123456789",
            "01234567",
            false,
        ),
        ("500 Oops\r\nContent-Length: 99\r\n\r\n0123", "0123", false),
        (
            "500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n",
            "ab",
            false,
        ),
    ] {
        let peer = Peer::start(move |mut wire, _| async move {
            while wire.request().await.is_some() {
                wire.write(format!("HTTP/1.1 {answer}")).await;
            }
        })
        .await;
        let client = client();
        for connections in [1, if is_kept { 1 } else { 2 }] {
            let got = client.stream(get(&peer.url("/"))).await.expect("a head");
            assert_eq!(got.status().as_str(), &answer[..3]);
            let excerpt = got.into_body().excerpt(8, SHORT).await;
            assert_eq!(&excerpt[..], expected.as_bytes(), "{answer:?}");
            assert_eq!(peer.connections(), connections, "{answer:?}");
        }
    }
}
