//! What every store keeps, kept by etcd.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockgate_store::{Change, Etcd, EtcdOptions, Expect, Put, Store, StoreError};
use serde_json::json;

use super::server::Server;
use crate::{
    contract::{Fresh, check},
    writes::{next, put, write},
};

#[tokio::test]
async fn the_etcd_store_keeps_the_contract() {
    let server = Arc::new(Server::start().await);
    let made = AtomicUsize::new(0);
    check(async || {
        let options = EtcdOptions {
            prefix: format!("/prefix{}", made.fetch_add(1, Ordering::Relaxed)),
            ..server.options()
        };
        Fresh {
            store: Arc::new(Etcd::connect(options).await.unwrap()),
            clock: None,
            _keep: Box::new(server.clone()),
        }
    })
    .await;
}

#[tokio::test]
async fn lets_keys_expire() {
    let server = Server::start().await;
    let store = server.connect().await;
    let with_ttl = |key: &str| Put {
        ttl: Some(Duration::from_millis(800)),
        ..put(key, "1")
    };
    let start = store.put(with_ttl("kept")).await.unwrap().revision;
    let brief = store.put(with_ttl("brief")).await.unwrap();
    let entry = store.get("brief").await.unwrap().unwrap();
    assert_eq!(
        (entry.create_revision, entry.mod_revision),
        (brief.revision, brief.revision)
    );
    // A write without a time takes the time away.
    write(&store, "kept", "2").await;
    let mut watch = store.watch(start + 2).unwrap();
    let batch = next(&mut *watch).await;
    let [Change::Delete { key, revision }] = &batch.changes[..] else {
        panic!("{batch:?}");
    };
    assert_eq!((&**key, *revision), ("brief", start + 3));
    assert!(store.get("kept").await.unwrap().is_some());
}

#[tokio::test]
async fn leaves_no_lease_behind_where_nothing_was_written() {
    let server = Server::start().await;
    let store = server.connect().await;
    write(&store, "a", "1").await;
    let hopeless = Put {
        expect: Expect::Absent,
        ttl: Some(Duration::from_hours(1)),
        ..put("a", "2")
    };
    assert!(matches!(
        store.put(hopeless).await,
        Err(StoreError::Conflict)
    ));
    let leases = server.ask("/v3/lease/leases", json!({})).await;
    assert!(leases["leases"].is_null(), "{leases}");
}
