//! Reading much, and reading late.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_store::{Change, Store};
use serde_json::{Value, json};

use super::server::Server;
use crate::writes::{next, write};

/// Operations that etcd takes in one transaction.
const TRANSACTION: usize = 128;

#[tokio::test]
async fn lists_ten_thousand_keys() {
    let server = Server::start().await;
    let keys: Vec<String> = (0..10_000)
        .rev()
        .map(|n| format!("routes/{n:05}"))
        .collect();
    let value = vec![b'x'; 2_000];
    for keys in keys.chunks(TRANSACTION) {
        let puts: Vec<Value> = keys
            .iter()
            .map(|key| {
                let (key, value) = (
                    STANDARD.encode(format!("/apisix/{key}")),
                    STANDARD.encode(&value),
                );
                json!({"requestPut": {"key": key, "value": value}})
            })
            .collect();
        server.ask("/v3/kv/txn", json!({"success": puts})).await;
    }
    let store = server.connect().await;
    let newest = write(&store, "a", "last").await.revision;
    let listing = store.list("").await.unwrap();
    assert_eq!(listing.revision, newest);
    assert_eq!(listing.entries.len(), 10_001);
    assert_eq!(&*listing.entries[10_000].key, "a");
    // By creation, and by key within a transaction.
    let order = |n: usize| {
        let entry = &listing.entries[n];
        (entry.create_revision, &*entry.key)
    };
    assert!((1..listing.entries.len()).all(|n| order(n - 1) < order(n)));
    assert!(
        listing.entries[..10_000]
            .iter()
            .all(|entry| *entry.value == value)
    );
    assert_eq!(store.list("routes/0").await.unwrap().entries.len(), 10_000);
    assert_eq!(store.list("routes/0999").await.unwrap().entries.len(), 10);
}

#[tokio::test]
async fn lists_values_as_large_as_etcd_takes() {
    let server = Server::start().await;
    let store = server.connect().await;
    let value = vec![0xfe; 1_500_000];
    for n in 0..12 {
        write(&store, &format!("routes/{n}"), &value).await;
    }
    let listing = store.list("").await.unwrap();
    assert_eq!(listing.entries.len(), 12);
    assert!(listing.entries.iter().all(|entry| *entry.value == value));
    let too_large = store
        .put(crate::writes::put("routes/x", vec![0; 2_000_000]))
        .await;
    assert_eq!(
        too_large.unwrap_err().to_string(),
        "writing routes/x failed: etcdserver: request is too large"
    );
}

#[tokio::test]
async fn reads_in_order_what_came_while_it_did_not_read() {
    let server = Server::start().await;
    let store = server.connect().await;
    let start = write(&store, "first", "").await.revision;
    let mut watch = store.watch(start).unwrap();
    write(&store, "opened", "").await;
    assert_eq!(next(&mut *watch).await.revision, start + 1);
    // More than the windows of a connection hold.
    let value = vec![b'x'; 400_000];
    for n in 0..40 {
        write(&store, &format!("routes/{}", n % 7), &value).await;
    }
    let mut seen = start + 1;
    while seen < start + 41 {
        for change in next(&mut *watch).await.changes {
            let Change::Put(entry) = change else {
                panic!("{change:?}");
            };
            seen += 1;
            assert_eq!((entry.mod_revision, entry.value.len()), (seen, 400_000));
        }
    }
    // Others were not held back, and neither is what comes now.
    write(&store, "last", "").await;
    assert_eq!(next(&mut *watch).await.revision, start + 42);
}
