//! Connections that are kept, and that end while they are.

use std::time::Duration;

use http::Method;
use lockgate_client::{Client, Failure};

use crate::peer::{Peer, client, client_with, get, request};

async fn body_of(client: &Client, peer: &Peer) -> String {
    let answer = client.send(get(&peer.url("/"))).await.expect("an answer");
    String::from_utf8_lossy(answer.body()).into_owned()
}

/// Answers once on each connection, and hangs up when the second request has come.
async fn hangs_up_on_the_second() -> Peer {
    Peer::start(|mut wire, number| async move {
        wire.request().await;
        wire.answer(&number.to_string()).await;
        wire.request().await;
    })
    .await
}

#[tokio::test]
async fn repeats_what_may_be_repeated_on_a_new_connection() {
    let peer = hangs_up_on_the_second().await;
    let client = client();
    assert_eq!(body_of(&client, &peer).await, "1");
    assert_eq!(body_of(&client, &peer).await, "2");
    // What may have had its effect is not repeated.
    let answer = client
        .send(request(Method::POST, &peer.url("/"), "x"))
        .await;
    let failure = answer.expect_err("it hung up").failure;
    assert!(matches!(failure, Failure::Broken(_)), "{failure}");
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn keeps_as_many_and_as_long_as_told() {
    let endless = |mut wire: crate::peer::Wire<tokio::net::TcpStream>, number: usize| async move {
        while wire.request().await.is_some() {
            wire.answer(&number.to_string()).await;
        }
    };
    let peer = Peer::start(endless).await;
    let none = client_with(|options| options.idle_per_server = 0);
    let outdated = client_with(|options| options.idle_timeout = Duration::ZERO);
    for client in [none, outdated] {
        let before = peer.connections();
        body_of(&client, &peer).await;
        body_of(&client, &peer).await;
        assert_eq!(peer.connections(), before + 2);
    }
    let before = peer.connections();
    let kept = client();
    let two = (body_of(&kept, &peer), body_of(&kept, &peer));
    tokio::join!(two.0, two.1);
    body_of(&kept.clone(), &peer).await;
    assert_eq!(peer.connections(), before + 2);
}
