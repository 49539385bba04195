//! What goes over the wire, and what comes back.

use std::sync::Arc;

use http::{HeaderValue, Method, header::AUTHORIZATION};
use lockgate_client::{Failure, basic, bearer};
use tokio::sync::Notify;

use crate::peer::{PATIENCE, Peer, client, get, options, request};

#[tokio::test]
async fn sends_what_it_is_told_and_reads_the_answer() {
    let peer = Peer::start(|mut wire, _| async move {
        while let Some(seen) = wire.request().await {
            let head = "HTTP/1.1 503 Away\r\nX-Index: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
            let chunk = format!("{:x}\r\n{seen}\r\n0\r\n\r\n", seen.len());
            wire.write(head.to_owned() + &chunk).await;
        }
    })
    .await;
    let client = client();
    let mut asked = request(Method::POST, &peer.url("/a?b=c"), "body");
    let authorization = basic("user", "pass");
    asked.headers_mut().insert(AUTHORIZATION, authorization);
    let answer = client.send(asked).await.expect("an answer");
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers().get("x-index").expect("there"), "7");
    let seen = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(seen.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\nbody"), "{seen}");
    for line in [
        format!("host: {}", peer.address),
        "user-agent: lockgate".into(),
        "content-length: 4".into(),
        "authorization: Basic dXNlcjpwYXNz".into(),
    ] {
        assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line}: {seen}");
    }

    let mut asked = get(&peer.url(""));
    asked
        .headers_mut()
        .insert("host", HeaderValue::from_static("other.test"));
    let seen = client.send(asked).await.expect("an answer").into_body();
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.starts_with("GET / HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("\r\nhost: other.test\r\n"), "{seen}");
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn follows_no_redirect() {
    let peer = Peer::start(|mut wire, _| async move {
        wire.request().await;
        wire.write("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n")
            .await;
        wire.closed().await;
    })
    .await;
    let answer = client().send(get(&peer.url("/a"))).await;
    assert_eq!(answer.expect("an answer").status(), 302);
}

#[tokio::test]
async fn gives_a_long_answer_in_pieces() {
    let more = Arc::new(Notify::new());
    let awaited = more.clone();
    let peer = Peer::start(move |mut wire, _| {
        let awaited = awaited.clone();
        async move {
            wire.request().await;
            wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                .await;
            awaited.notified().await;
            wire.write("3\r\ntwo\r\n0\r\n\r\n").await;
            wire.request().await;
            wire.answer("three").await;
            wire.closed().await;
        }
    })
    .await;
    let client = client();
    let answer = client.stream(get(&peer.url("/"))).await.expect("a head");
    let mut body = answer.into_body();
    let piece = body.chunk(PATIENCE).await.expect("a piece");
    assert_eq!(piece.as_deref(), Some(&b"one"[..]));
    more.notify_one();
    let piece = body.chunk(PATIENCE).await.expect("a piece");
    assert_eq!(piece.as_deref(), Some(&b"two"[..]));
    assert_eq!(body.chunk(PATIENCE).await.expect("the end"), None);
    let answer = client.send(get(&peer.url("/"))).await.expect("an answer");
    assert_eq!((&answer.body()[..], peer.connections()), (&b"three"[..], 1));
}

#[tokio::test]
async fn says_what_was_attempted_without_what_is_secret() {
    let client = lockgate_client::Client::new(options()).expect("a client");
    let ask = async |url: &str| client.send(get(url)).await.expect_err("nothing is there");
    let error = ask("http://user:secret@127.0.0.1:1/v1?token=secret").await;
    assert!(
        error
            .to_string()
            .starts_with("GET http://127.0.0.1:1/v1: cannot connect to 127.0.0.1:1: "),
        "{error}"
    );
    assert!(matches!(error.failure, Failure::Connect(..)));
    let error = ask("http://nowhere.test/").await;
    assert!(matches!(error.failure, Failure::Resolve(_)), "{error}");
    for url in ["/v1", "ftp://a.test/"] {
        let error = ask(url).await;
        assert!(matches!(error.failure, Failure::Address), "{url}: {error}");
    }
}

#[test]
fn keeps_secrets_out_of_what_is_shown() {
    for value in [basic("u", "p"), bearer("t").expect("a token")] {
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
    assert_eq!(bearer("t").expect("a token"), "Bearer t");
    assert!(bearer("a\nb").is_none());
}
