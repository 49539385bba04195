//! One client, taken to runtimes of one thread.

use lockgate_client::Client;
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
    let control = client();
    let url = peer.url("/");
    assert_eq!(ask(&control, &url).await, "1");
    for expected in ["2", "3"] {
        let (client, url) = (control.apart(), url.clone());
        let worker = tokio::task::spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let task = async move {
                let task = tokio::task::spawn_local(async move {
                    assert_eq!(ask(&client, &url).await, expected);
                    assert_eq!(ask(&client.clone(), &url).await, expected);
                });
                task.await.expect("answers");
            };
            LocalSet::new().block_on(&runtime.expect("a runtime"), task);
        });
        worker.await.expect("a worker");
    }
    assert_eq!(ask(&control, &url).await, "1");
    assert_eq!(peer.connections(), 3);
}
