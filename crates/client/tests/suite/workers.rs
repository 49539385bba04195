//! Clients on several runtimes at once.

use std::sync::Arc;

use lockgate_client::{Client, Clients};
use tokio::{runtime::Builder, task::LocalSet};

use crate::peer::{Peer, client, get};

/// The number of the connection that the server answered on.
async fn ask(client: &Client, url: &str) -> String {
    let answer = client.send(get(url)).await.expect("an answer");
    String::from_utf8_lossy(answer.body()).into_owned()
}

#[tokio::test]
async fn each_worker_has_connections_of_its_own() {
    let peer = Peer::start(|mut wire, number| async move {
        while wire.request().await.is_some() {
            wire.answer(&number.to_string()).await;
        }
    })
    .await;
    let clients = Arc::new(Clients::new(client(), 2));
    let url = peer.url("/");
    assert_eq!(ask(clients.control(), &url).await, "1");
    // Among them a worker of a later generation, and one that there is no room for.
    for (worker, expected) in [(0, "2"), (1, "3"), (1, "4"), (2, "5")] {
        let (clients, url) = (clients.clone(), url.clone());
        let running = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let task = async move {
                let task = tokio::task::spawn_local(async move {
                    assert_eq!(ask(clients.of(worker), &url).await, expected);
                    assert_eq!(ask(clients.of(worker), &url).await, expected);
                });
                task.await.expect("answers");
            };
            LocalSet::new().block_on(&runtime.expect("a runtime"), task);
        });
        running.await.expect("a worker");
    }
    assert_eq!(ask(clients.control(), &url).await, "1");
    assert_eq!(peer.connections(), 5);
}
