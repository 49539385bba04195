//! Starting while etcd is away.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use lockgate_store::{Etcd, EtcdOptions, Store, StoreError};
use tempfile::TempDir;

use super::server::Server;
use crate::{
    full_disk::SmallDisk,
    writes::{next, remove, within, write},
};

struct Fixture {
    server: Server,
    dir: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        Self {
            server: Server::start().await,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("data/last-known-good.json")
    }

    fn options(&self) -> EtcdOptions {
        EtcdOptions {
            local_copy: Some(self.path()),
            ..self.server.options()
        }
    }

    async fn connect(&self) -> Etcd {
        Etcd::connect(self.options()).await.unwrap()
    }

    /// Waits until the file holds this revision.
    async fn until_copied(&self, revision: u64) {
        within(async {
            let wanted = format!("\"revision\":{revision},");
            loop {
                let text = fs::read_to_string(self.path()).unwrap_or_default();
                if text.contains(&wanted) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn starts_from_the_copy_while_etcd_is_away() {
    let mut fixture = Fixture::new().await;
    let store = fixture.connect().await;
    write(&store, "routes/1", "{}").await;
    let listing = store.list("").await.unwrap();
    let mut watch = store.watch(listing.revision).unwrap();
    // As it is in etcd.
    let key = r#"{"key":"sQlc6lHk+kQ="}"#;
    write(&store, "ssls/1", key).await;
    write(&store, "routes/2", "{}").await;
    let newest = remove(&store, "routes/1").await.revision;
    while next(&mut *watch).await.revision < newest {}
    let expected = store.list("services/").await.unwrap();
    assert_eq!(expected.entries, []);
    fixture.until_copied(newest).await;
    let mode = fs::metadata(fixture.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop((watch, store));

    fixture.server.kill();
    let store = fixture.connect().await;
    let copied = store.list("").await.unwrap();
    let keys: Vec<&str> = copied.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(
        (copied.revision, &keys[..]),
        (newest, &["ssls/1", "routes/2"][..])
    );
    assert_eq!(&*copied.entries[0].value, key.as_bytes());
    // For the start and nothing else.
    let again = store.list("").await;
    assert!(
        matches!(again, Err(StoreError::Unavailable { .. })),
        "{again:?}"
    );
    let mut watch = store.watch(copied.revision).unwrap();
    let away = within(watch.next()).await;
    assert!(
        matches!(away, Err(StoreError::Unavailable { .. })),
        "{away:?}"
    );

    fixture.server.restart().await;
    let written = fixture.server.put("/apisix/routes/3", b"{}").await;
    let batch = within(async {
        loop {
            if let Ok(batch) = watch.next().await {
                return batch;
            }
        }
    })
    .await;
    assert_eq!(batch.revision, written);
    assert_eq!(store.list("").await.unwrap().entries.len(), 3);
    fixture.until_copied(written).await;
}

#[tokio::test]
async fn does_not_use_the_copy_when_etcd_answers() {
    let mut fixture = Fixture::new().await;
    let store = fixture.connect().await;
    write(&store, "routes/old", "{}").await;
    let copied = store.list("").await.unwrap().revision;
    fixture.until_copied(copied).await;
    drop(store);
    fixture.server.delete("/apisix/routes/old").await;
    let store = fixture.connect().await;
    assert_eq!(store.list("").await.unwrap().entries, []);
    drop(store);

    // Away at the start, back at the first reading.
    fixture.server.kill();
    let store = fixture.connect().await;
    fixture.server.restart().await;
    assert_eq!(store.list("").await.unwrap().entries, []);
}

#[tokio::test]
async fn does_not_start_without_etcd_and_without_a_copy() {
    let mut fixture = Fixture::new().await;
    fixture.server.kill();
    let away = format!(
        "etcd cannot be reached: {}: Connection refused (os error 111); ",
        fixture.server.url()
    );
    let path = fixture.path().display().to_string();
    assert_eq!(
        Server::refusal(fixture.options()).await,
        format!("{away}there is no local copy {path}")
    );
    fs::create_dir_all(fixture.path().parent().unwrap()).unwrap();
    fs::write(fixture.path(), "{\"format\":1,").unwrap();
    let refusal = Server::refusal(fixture.options()).await;
    let expected = format!("{away}the local copy {path} cannot be read: EOF");
    assert!(refusal.starts_with(&expected), "{refusal}");
}

#[tokio::test]
async fn serves_on_when_the_copy_cannot_be_written() {
    let fixture = Fixture::new().await;
    fs::write(fixture.dir.path().join("data"), "not a directory").unwrap();
    let store = fixture.connect().await;
    let written = write(&store, "routes/1", "{}").await.revision;
    assert_eq!(store.list("").await.unwrap().revision, written);
    let mut watch = store.watch(written).unwrap();
    write(&store, "routes/2", "{}").await;
    assert_eq!(next(&mut *watch).await.revision, written + 1);
}

#[tokio::test]
async fn keeps_the_copy_that_it_has_while_the_disk_is_full() {
    // Where nothing can be mounted, the test above is what is checked.
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = Server::start().await;
    let path = disk.0.path().join("last-known-good.json");
    let options = EtcdOptions {
        local_copy: Some(path.clone()),
        ..server.options()
    };
    let copied = |revision: u64| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        text.contains(&format!("\"revision\":{revision},"))
    };
    let store = Etcd::connect(options.clone()).await.unwrap();
    let first = write(&store, "routes/1", "{}").await.revision;
    store.list("").await.unwrap();
    within(async {
        while !copied(first) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    // All that is left, and then what does not fit.
    let filler = disk.0.path().join("filler");
    assert!(fs::write(&filler, vec![0; 8 << 20]).is_err());
    let large = write(&store, "routes/2", vec![b'a'; 100_000])
        .await
        .revision;
    let mut watch = store.watch(first).unwrap();
    assert_eq!(next(&mut *watch).await.revision, large);
    let unfinished = disk.0.path().join("last-known-good.json.new");
    within(async {
        while !unfinished.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(copied(first));
    // There is room again; it is written without a further change.
    fs::remove_file(filler).unwrap();
    within(async {
        while !copied(large) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn passes_over_a_copy_that_was_half_written() {
    let mut fixture = Fixture::new().await;
    let store = fixture.connect().await;
    let copied = write(&store, "routes/1", "{}").await.revision;
    store.list("").await.unwrap();
    fixture.until_copied(copied).await;
    drop(store);
    // What a process leaves that is ended while it writes: the new file is not in its place.
    let unfinished = fixture.path().with_extension("json.new");
    fs::write(&unfinished, "{\"format\":1,\"prefix\":\"/api").unwrap();
    fixture.server.kill();
    let store = fixture.connect().await;
    let listing = store.list("").await.unwrap();
    assert_eq!((listing.revision, listing.entries.len()), (copied, 1));
    fixture.server.restart().await;
    let next = fixture.server.put("/apisix/routes/2", b"{}").await;
    assert_eq!(store.list("").await.unwrap().revision, next);
    fixture.until_copied(next).await;
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn keeps_the_copy_when_etcd_comes_back_with_nothing() {
    let mut fixture = Fixture::new().await;
    let store = fixture.connect().await;
    let mut copied = 0;
    for n in 0..5 {
        copied = write(&store, &format!("routes/{n}"), "{}").await.revision;
    }
    store.list("").await.unwrap();
    fixture.until_copied(copied).await;
    fixture.server.kill();
    fixture.server.wipe();
    fixture.server.restart().await;
    assert_eq!(store.list("").await.unwrap().entries, []);
    drop(store);
    fixture.server.kill();
    let store = fixture.connect().await;
    assert_eq!(store.list("").await.unwrap().entries.len(), 5);
    // What is written counts, and nothing of what was there before.
    fixture.server.restart().await;
    let written = fixture.server.put("/apisix/routes/new", b"{}").await;
    assert_eq!(store.list("").await.unwrap().entries.len(), 1);
    fixture.until_copied(written).await;
}
