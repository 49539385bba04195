//! What a copy holds, and what a file must be to be started from.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration};

use tempfile::TempDir;

use crate::{
    Batch, Change, Entry, Listing,
    etcd::local_copy::{LocalCopy, read},
};

fn entry(key: &str, value: &[u8], revision: u64) -> Entry {
    Entry {
        key: key.into(),
        value: Arc::from(value),
        create_revision: revision,
        mod_revision: revision,
    }
}

fn listing(revision: u64, entries: Vec<Entry>) -> Listing {
    Listing { revision, entries }
}

fn put(key: &str, revision: u64) -> Batch {
    Batch {
        revision,
        changes: vec![Change::Put(entry(key, b"v", revision))],
    }
}

/// A copy in a directory of its own.
struct Fixture {
    dir: TempDir,
    copy: LocalCopy,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let copy = LocalCopy::new(dir.path().join("data/copy.json"), "/apisix");
        Self { dir, copy }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("data/copy.json")
    }

    /// Keys that a start from what is held would see.
    fn keys(&self) -> Vec<String> {
        self.copy.write_now().unwrap();
        let (listing, _) = read(&self.path(), "/apisix").unwrap();
        assert_eq!(listing.revision, self.copy.revision());
        let keys = listing.entries.iter().map(|entry| entry.key.to_string());
        keys.collect()
    }
}

#[tokio::test]
async fn brings_back_what_was_written() {
    let fixture = Fixture::new();
    let written = listing(
        9,
        vec![
            entry("routes/1", b"{\"uri\":\"/\\u0000\"}", 3),
            entry("routes/2", b"\xff\x00", 5),
            entry("routes/3", b"", 8),
            entry("a", "gr\u{fc}\u{df}e\n".as_bytes(), 9),
        ],
    );
    fixture.copy.replace(0, &written);
    fixture.copy.write_now().unwrap();
    let (read, age) = read(&fixture.path(), "/apisix").unwrap();
    assert_eq!(read, written);
    assert!(age < Duration::from_mins(1));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.path()), 0o600);
}

#[tokio::test]
async fn replaces_a_file_with_wider_rights() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.dir.path().join("data")).unwrap();
    for name in ["data/copy.json", "data/copy.json.new"] {
        let path = fixture.dir.path().join(name);
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    fixture.copy.replace(0, &listing(1, vec![]));
    fixture.copy.write_now().unwrap();
    let mode = fs::metadata(fixture.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn follows_watches_without_gaps() {
    let fixture = Fixture::new();
    // Before the store has been read, changes mean nothing.
    fixture.copy.apply(0, &put("early", 1));
    fixture
        .copy
        .replace(0, &listing(5, vec![entry("a", b"v", 2)]));
    assert_eq!(fixture.keys(), ["a"]);
    fixture.copy.apply(5, &put("b", 6));
    // From a watcher that lags.
    fixture.copy.apply(3, &put("x", 4));
    // Half of it is known.
    let removal = Change::Delete {
        key: "b".into(),
        revision: 6,
    };
    let overlap = Batch {
        revision: 7,
        changes: vec![removal, Change::Put(entry("c", b"v", 7))],
    };
    fixture.copy.apply(5, &overlap);
    // From a watcher that is ahead.
    fixture.copy.apply(8, &put("y", 9));
    assert_eq!(fixture.keys(), ["a", "b", "c"]);
    assert_eq!(fixture.copy.revision(), 7);
}

#[tokio::test]
async fn takes_the_newer_of_a_listing_and_a_watch() {
    let fixture = Fixture::new();
    fixture.copy.replace(0, &listing(5, vec![]));
    let known = fixture.copy.revision();
    fixture.copy.apply(5, &put("a", 6));
    // It was asked for before and came after.
    fixture.copy.replace(known, &listing(5, vec![]));
    assert_eq!(fixture.keys(), ["a"]);
    // Asked for now, it shows that etcd has gone back.
    let known = fixture.copy.revision();
    fixture
        .copy
        .replace(known, &listing(2, vec![entry("b", b"v", 2)]));
    assert_eq!(fixture.keys(), ["b"]);
    fixture.copy.apply(2, &put("c", 3));
    assert_eq!(fixture.keys(), ["b", "c"]);
}

#[tokio::test]
async fn is_started_from_once_and_never_after_etcd_has_answered() {
    let fixture = Fixture::new();
    fixture
        .copy
        .replace(0, &listing(5, vec![entry("a", b"v", 5)]));
    fixture.copy.write_now().unwrap();

    let later = LocalCopy::new(fixture.path(), "/apisix");
    assert_eq!(later.take_for_start(), None);
    later.load("test").unwrap();
    let taken = later.take_for_start().unwrap();
    assert_eq!((taken.revision, taken.entries.len()), (5, 1));
    assert_eq!(later.take_for_start(), None);
    // What a watch brings from there on is added.
    later.apply(5, &put("b", 6));
    assert_eq!(later.revision(), 6);

    let later = LocalCopy::new(fixture.path(), "/apisix");
    later.load("test").unwrap();
    later.replace(0, &listing(1, vec![]));
    assert_eq!(later.take_for_start(), None);
}

#[tokio::test]
async fn says_why_a_file_cannot_be_started_from() {
    let fixture = Fixture::new();
    fixture
        .copy
        .replace(0, &listing(5, vec![entry("a", b"v", 5)]));
    fixture.copy.write_now().unwrap();
    let good = fs::read_to_string(fixture.path()).unwrap();
    let check = |text: Option<&str>, expected: &str| {
        let path = fixture.dir.path().join("other.json");
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => assert!(!path.exists()),
        }
        let error = LocalCopy::new(path.clone(), "/apisix")
            .load("test")
            .unwrap_err();
        let error = error
            .to_string()
            .replace(&path.display().to_string(), "PATH");
        assert!(error.starts_with(expected), "{error}");
    };
    check(None, "there is no local copy PATH");
    check(Some(""), "the local copy PATH cannot be read: EOF");
    check(
        Some(&good[..good.len() / 2]),
        "the local copy PATH cannot be read: EOF",
    );
    check(
        Some(&good.replace("\"format\":1", "\"format\":2")),
        "the local copy PATH cannot be read: its format is 2, not 1",
    );
    check(
        Some(&good.replace("/apisix", "/other")),
        "the local copy PATH is one of the prefix /other",
    );
    check(
        Some(&good.replace("\"value\":\"v\"", "\"base64\":\"?\"")),
        "the local copy PATH cannot be read: a: Invalid symbol",
    );
    check(
        Some(&good.replace("\"value\":\"v\",", "")),
        "the local copy PATH cannot be read: a must have one value",
    );
}
