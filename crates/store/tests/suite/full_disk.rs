//! Disks that are really full: a small file system where one can be mounted, and a limit on the size of files everywhere.

use std::{
    fs,
    io::{BufRead, Write},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use lockgate_store::{Embedded, EmbeddedOptions, Store, StoreError};

use crate::{
    child::{self, Spawned},
    writes::{put, write},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Writes until the disk is full; returns how many writes were acknowledged, and why the next was not.
async fn fill(store: &Embedded) -> (usize, String) {
    for n in 0..10_000 {
        let written = store
            .put(put(&format!("routes/{n}"), vec![n as u8; 20_000]))
            .await;
        match written {
            Ok(_) => {}
            Err(error @ StoreError::Unavailable { .. }) => return (n, error.to_string()),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk is not full");
}

async fn check_contents(store: &Embedded, count: usize) {
    let listing = store.list("routes/").await.unwrap();
    assert_eq!(listing.entries.len(), count);
    assert_eq!(listing.revision, count as u64);
    for (n, entry) in listing.entries.iter().enumerate() {
        assert_eq!(&*entry.value, vec![n as u8; 20_000]);
    }
}

/// A file system of 4 MiB.
pub(crate) struct SmallDisk(pub(crate) tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount.
    pub(crate) fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "lockgate-store-test"])
            .arg(dir.path())
            .stderr(Stdio::null())
            .status();
        matches!(mounted, Ok(status) if status.success()).then(|| Self(dir))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, as a failed test may still have the file open. What cannot be unmounted goes with the machine.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn serves_on_while_the_disk_is_full_and_writes_when_it_is_not() {
    // Where nothing can be mounted, the limit on files below is what is checked.
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let filler = disk.0.path().join("filler");
    fs::write(&filler, vec![0; 1 << 20]).unwrap();
    let path = disk.0.path().join("store");
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    let (count, reason) = fill(&store).await;
    assert!(count > 20, "{count}");
    assert_eq!(
        reason,
        format!("writing routes/{count} failed: I/O error: No space left on device (os error 28)")
    );
    check_contents(&store, count).await;
    // It stays that way, and what is small fails no more or less than it must.
    let again = store
        .put(put(&format!("routes/{count}"), vec![0; 300_000]))
        .await;
    assert!(
        matches!(again, Err(StoreError::Unavailable { .. })),
        "{again:?}"
    );
    check_contents(&store, count).await;
    drop(store);

    let store = Embedded::open(&path, EmbeddedOptions::default())
        .expect("a full disk does not keep it from starting");
    check_contents(&store, count).await;
    fs::remove_file(filler).unwrap();
    write(
        &store,
        &format!("routes/{count}"),
        vec![count as u8; 20_000],
    )
    .await;
    check_contents(&store, count + 1).await;
    drop(store);
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    check_contents(&store, count + 1).await;
}

/// In a child whose files are limited.
async fn work_with_small_files(path: &Path) {
    let store = Embedded::open(path, EmbeddedOptions::default()).unwrap();
    let (count, reason) = fill(&store).await;
    assert!(reason.contains("File too large"), "{reason}");
    check_contents(&store, count).await;
    child::say("full");
    std::io::stdin().lock().lines().next();
    write(
        &store,
        &format!("routes/{count}"),
        vec![count as u8; 20_000],
    )
    .await;
    check_contents(&store, count + 1).await;
    child::say(&format!("done {}", count + 1));
}

#[tokio::test]
async fn serves_on_while_the_file_may_not_grow_and_writes_when_it_may() {
    if let Some(path) = child::path() {
        return work_with_small_files(&path).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let name = "full_disk::serves_on_while_the_file_may_not_grow_and_writes_when_it_may";
    let mut child = Spawned::test_with_small_files(name, &path, 6_000);
    assert_eq!(child.lines.recv_timeout(PATIENCE).unwrap(), "full");
    let raised = Command::new("prlimit")
        .args(["--pid", &child.child.id().to_string(), "--fsize=unlimited:"])
        .status()
        .unwrap();
    assert!(raised.success());
    child.child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let done = child.lines.recv_timeout(PATIENCE).unwrap();
    let count: usize = done.strip_prefix("done ").unwrap().parse().unwrap();
    assert!(count > 20, "{count}");
    drop(child);
    let store = Embedded::open(&path, EmbeddedOptions::default()).unwrap();
    check_contents(&store, count).await;
}
