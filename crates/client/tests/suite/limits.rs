//! Servers that are slow, send too much, or break off.

use std::time::Duration;

use lockgate_client::{Client, Failure};

use crate::peer::{PATIENCE, Peer, client, client_with, get};

/// Short for a test, and long for a machine that is busy: connecting and a head take place within it.
const SHORT: Duration = Duration::from_millis(500);

/// The failure of a call to a server that answers with `bytes` and then keeps the connection open, or not.
async fn fails(client: &Client, bytes: &'static str, stays: bool) -> Failure {
    let peer = Peer::start(move |mut wire, _| async move {
        wire.request().await;
        wire.write(bytes).await;
        if stays {
            wire.closed().await;
        }
    })
    .await;
    let answer = client.send(get(&peer.url("/"))).await;
    answer.expect_err("a failure").failure
}

#[tokio::test]
async fn waits_no_longer_than_told() {
    let hasty = client_with(|options| options.timeout = SHORT);
    for (bytes, is_body) in [
        ("", false),
        ("HTTP/1.1 200 OK\r\n", false),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", true),
    ] {
        let failure = fails(&hasty, bytes, true).await;
        assert!(failure.is_timeout(), "{bytes:?}: {failure}");
        assert_eq!(matches!(failure, Failure::BodyTime), is_body, "{bytes:?}");
    }
    let patient = client_with(|options| options.timeout = PATIENCE);
    let peer = Peer::start(|mut wire, _| async move {
        wire.request().await;
        wire.closed().await;
    })
    .await;
    let answer = patient.send_within(get(&peer.url("/")), SHORT).await;
    let failure = answer.expect_err("no answer").failure;
    assert!(matches!(failure, Failure::NoAnswer), "{failure}");
}

#[tokio::test]
async fn a_silent_stream_ends() {
    let peer = Peer::start(|mut wire, _| async move {
        wire.request().await;
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .await;
        wire.closed().await;
    })
    .await;
    let answer = client().stream(get(&peer.url("/"))).await.expect("a head");
    let mut body = answer.into_body();
    let failure = body.chunk(SHORT).await.expect_err("silence").failure;
    assert!(matches!(failure, Failure::BodyTime), "{failure}");
}

#[tokio::test]
async fn reads_no_more_than_told() {
    let small = client_with(|options| options.max_body_bytes = 4);
    for bytes in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n",
        "HTTP/1.1 200 OK\r\n\r\nabcde",
    ] {
        let failure = fails(&small, bytes, true).await;
        assert!(matches!(failure, Failure::BodySize(4)), "{failure}");
    }
}

#[tokio::test]
async fn tells_of_broken_answers() {
    for bytes in [
        "",
        "SSH-2.0-OpenSSH\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ] {
        let failure = fails(&client(), bytes, false).await;
        assert!(
            matches!(failure, Failure::Broken(_)),
            "{bytes:?}: {failure}"
        );
    }
}
