//! Three members, of which some fail.

use std::{collections::BTreeMap, time::Duration};

use lockgate_store::{Change, Etcd, EtcdOptions, Revision, Store, StoreError, Watch};

use super::server::{Server, options};
use crate::writes::{put, within};

async fn connect(servers: &[Server]) -> Etcd {
    let options = EtcdOptions {
        timeout: Duration::from_secs(3),
        watch_timeout: Duration::from_secs(1),
        ..options(servers.iter().map(Server::url).collect())
    };
    Etcd::connect(options).await.unwrap()
}

/// Writes until it has been acknowledged so many times; what was acknowledged.
async fn write_on(store: &Etcd, name: &str, count: usize) -> Vec<(String, Revision)> {
    let mut acknowledged = Vec::new();
    let mut n = 0;
    within(async {
        while acknowledged.len() < count {
            n += 1;
            let key = format!("routes/{name}{n}");
            match store.put(put(&key, n.to_string())).await {
                Ok(written) => acknowledged.push((key, written.revision)),
                // What is refused at once is not asked again at once.
                Err(StoreError::Unavailable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    })
    .await;
    acknowledged
}

/// What a watch makes of everything up to a revision, where each revision must come once and in order.
async fn follow(watch: &mut dyn Watch, until: Revision) -> BTreeMap<String, Revision> {
    let mut seen = BTreeMap::new();
    let mut newest = 0;
    within(async {
        while newest < until {
            let batch = match watch.next().await {
                Ok(batch) => batch,
                Err(StoreError::Unavailable { .. }) => continue,
                Err(other) => panic!("{other}"),
            };
            for change in batch.changes {
                let Change::Put(entry) = change else {
                    panic!("{change:?}");
                };
                assert!(entry.mod_revision > newest, "{entry:?} after {newest}");
                newest = entry.mod_revision;
                seen.insert(entry.key.to_string(), newest);
            }
        }
    })
    .await;
    seen
}

async fn leader(servers: &[Server]) -> usize {
    for (n, server) in servers.iter().enumerate() {
        if server.is_leader().await {
            return n;
        }
    }
    panic!("nobody leads");
}

#[tokio::test]
async fn loses_nothing_and_sees_nothing_twice_when_members_fail() {
    let mut servers = Server::start_three().await;
    let store = connect(&servers).await;
    let start = store.list("").await.unwrap().revision;
    let mut watch = store.watch(start).unwrap();
    let mut acknowledged = write_on(&store, "calm", 20).await;

    let dead = leader(&servers).await;
    servers[dead].kill();
    acknowledged.extend(write_on(&store, "leaderless", 20).await);
    servers[dead].restart().await;

    // Whichever member is used, it is one of these in time.
    for (n, server) in servers.iter().enumerate() {
        server.pause();
        acknowledged.extend(write_on(&store, &format!("paused{n}-"), 5).await);
        server.resume();
    }

    let until = acknowledged.last().unwrap().1;
    let seen = follow(&mut *watch, until).await;
    // A write that was given up at a paused member may land when the member goes on, behind the last acknowledged one.
    let listed: BTreeMap<String, Revision> = (store.list("").await.unwrap().entries.iter())
        .map(|entry| (entry.key.to_string(), entry.mod_revision))
        .collect();
    for (key, revision) in &listed {
        assert!(
            *revision > until || seen.get(key) == Some(revision),
            "{key} of revision {revision} was not seen"
        );
    }
    for (key, revision) in &seen {
        assert!(
            listed.get(key).is_some_and(|newest| newest >= revision),
            "{key} was seen with revision {revision} and is not there"
        );
    }
    for (key, revision) in acknowledged {
        assert_eq!(seen.get(&key), Some(&revision), "{key} was acknowledged");
    }
}

#[tokio::test]
async fn reads_from_the_members_that_are_left() {
    let mut servers = Server::start_three().await;
    let store = connect(&servers).await;
    let acknowledged = write_on(&store, "", 1).await;
    let dead = leader(&servers).await;
    servers[(dead + 1) % 3].pause();
    // Not once does a reader hear of it.
    for _ in 0..5 {
        let entry = store.get(&acknowledged[0].0).await.unwrap().unwrap();
        assert_eq!(entry.mod_revision, acknowledged[0].1);
    }
    // Without a majority nothing is read, and that is said in time.
    servers[dead].kill();
    let outcome = within(store.list("")).await;
    assert!(
        matches!(outcome, Err(StoreError::Unavailable { .. })),
        "{outcome:?}"
    );
}
