//! Configurations that are replaced as a whole, in memory and from files.

use std::{fs, path::Path, sync::Arc, time::Duration};

use lockgate_store::{
    BoxFuture, Change, File, FileOptions, Item, Reading, Rejected, Revision, Store, StoreError,
    Whole,
};
use proptest::prelude::*;

use crate::writes::{delete, next, put};

fn item(key: &str, value: &str) -> Item {
    Item {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        version: None,
    }
}

fn versioned(key: &str, value: &str, version: &str) -> Item {
    Item {
        version: Some(version.to_owned()),
        ..item(key, value)
    }
}

/// Keys with values, in the order in which they count as made, and both revisions of each.
async fn listed(store: &dyn Store) -> Vec<(String, String, Revision, Revision)> {
    let entries = store.list("").await.unwrap().entries;
    entries
        .into_iter()
        .map(|entry| {
            let value = String::from_utf8_lossy(&entry.value).into_owned();
            (
                entry.key.to_string(),
                value,
                entry.create_revision,
                entry.mod_revision,
            )
        })
        .collect()
}

fn names(changes: &[Change]) -> Vec<String> {
    let name = |change: &Change| match change {
        Change::Put(entry) => format!("put {} {}", entry.key, entry.mod_revision),
        Change::Delete { key, revision } => format!("delete {key} {revision}"),
    };
    changes.iter().map(name).collect()
}

#[tokio::test]
async fn a_replacement_changes_what_differs() {
    let whole = Whole::new();
    assert!(!whole.is_filled());
    assert_eq!(whole.list("").await.unwrap().revision, 0);
    let mut watch = whole.watch(0).unwrap();
    let items = vec![
        item("routes/a", "1"),
        item("upstreams/1", "1"),
        item("routes/b", "1"),
    ];
    assert_eq!(whole.replace(items.clone()), 3);
    assert!(whole.is_filled());
    let batch = next(&mut *watch).await;
    assert_eq!(batch.revision, 3);
    assert_eq!(
        names(&batch.changes),
        ["put routes/a 1", "put upstreams/1 2", "put routes/b 3"]
    );
    assert_eq!(whole.replace(items), 3, "nothing differs");

    let edited = vec![
        item("routes/a", "1"),
        item("routes/b", "2"),
        item("routes/c", "1"),
    ];
    assert_eq!(whole.replace(edited), 6);
    let batch = next(&mut *watch).await;
    assert_eq!(
        names(&batch.changes),
        ["delete upstreams/1 4", "put routes/b 5", "put routes/c 6"]
    );
    let row = |key: &str, value: &str, made, changed| (key.into(), value.into(), made, changed);
    assert_eq!(
        listed(&whole).await,
        [
            row("routes/a", "1", 1, 1),
            row("routes/b", "2", 3, 5),
            row("routes/c", "1", 6, 6)
        ]
    );
    assert_eq!(
        whole.get("routes/b").await.unwrap().unwrap().mod_revision,
        5
    );
    assert_eq!(whole.get("upstreams/1").await.unwrap(), None);
    assert_eq!(whole.list("routes/").await.unwrap().entries.len(), 3);
    assert_eq!(whole.list("x").await.unwrap().entries, []);

    // Who begins to watch later sees the same.
    let mut late = whole.watch(3).unwrap();
    assert_eq!(next(&mut *late).await, batch);
    assert_eq!(whole.replace(Vec::new()), 9);
    assert_eq!(listed(&whole).await, []);
}

#[tokio::test]
async fn the_order_of_a_kind_is_the_order_in_which_its_objects_count_as_made() {
    let whole = Whole::new();
    let key_of = |row: &(String, String, Revision, Revision)| row.0.clone();
    for order in [
        vec!["routes/a", "routes/b", "upstreams/1"],
        vec!["routes/n", "routes/a", "routes/b", "upstreams/1"],
        vec!["routes/b", "routes/n", "routes/a", "upstreams/1"],
    ] {
        whole.replace(order.iter().map(|key| item(key, "1")).collect());
        let listed: Vec<String> = listed(&whole).await.iter().map(key_of).collect();
        let routes = |keys: &[String]| -> Vec<String> {
            let routes = keys.iter().filter(|key| key.starts_with("routes/"));
            routes.cloned().collect()
        };
        assert_eq!(routes(&listed), order[..order.len() - 1]);
        let upstream = whole.get("upstreams/1").await.unwrap().unwrap();
        assert_eq!(upstream.create_revision, 3, "another kind is not touched");
    }
}

#[tokio::test]
async fn an_object_with_the_version_it_had_stays_as_it_was() {
    let whole = Whole::new();
    for (replacement, expected) in [
        (versioned("a", "1", "7"), "1"),
        (versioned("a", "2", "7"), "1"),
        (versioned("a", "2", "6"), "2"),
        (item("a", "3"), "3"),
        (versioned("a", "4", "6"), "4"),
    ] {
        whole.replace(vec![replacement.clone()]);
        assert_eq!(listed(&whole).await[0].1, expected, "{replacement:?}");
    }
    whole.replace(vec![item("a", "5"), item("b", "1"), item("a", "6")]);
    assert_eq!(listed(&whole).await.len(), 2);
    let entry = whole.get("a").await.unwrap().unwrap();
    assert_eq!(*entry.value, *b"6", "the last of a key counts");
}

#[tokio::test]
async fn single_keys_cannot_be_written() {
    let whole = Whole::new();
    let refused = whole.put(put("a", "1")).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    let refused = whole.delete(delete("a")).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the configuration is changed as a whole"
    );
}

#[tokio::test]
async fn who_is_far_behind_lists_again() {
    let whole = Whole::new();
    let mut watch = whole.watch(0).unwrap();
    for number in 0..17 {
        whole.replace(vec![item("a", &number.to_string())]);
    }
    assert!(matches!(
        watch.next().await,
        Err(StoreError::Compacted { oldest: 1 })
    ));
    assert!(whole.watch(0).is_err());
    assert_eq!(next(&mut *whole.watch(1).unwrap()).await.changes.len(), 16);
}

proptest! {
    #[test]
    fn changes_lead_from_any_configuration_to_any_other(
        configurations in prop::collection::vec(
            prop::collection::vec((prop::sample::select(vec!["r/a", "r/b", "r/c", "s/a", "s/b"]), "[12]"), 0..6),
            1..5,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let whole = Whole::new();
            let mut seen = std::collections::BTreeMap::new();
            let mut revision = 0;
            for configuration in configurations {
                let items: Vec<Item> = configuration.iter().map(|(key, value)| item(key, value)).collect();
                let watch = whole.watch(revision);
                let newest = whole.replace(items);
                if newest > revision {
                    for change in watch.unwrap().next().await.unwrap().changes {
                        match change {
                            Change::Put(entry) => drop(seen.insert(entry.key.to_string(), entry)),
                            Change::Delete { key, .. } => drop(seen.remove(&*key)),
                        }
                    }
                }
                revision = newest;
                let mut expected: Vec<_> = seen.values().cloned().collect();
                expected.sort_by_key(|entry| entry.create_revision);
                assert_eq!(whole.list("").await.unwrap().entries, expected);
                let last: std::collections::BTreeMap<_, _> = configuration.into_iter().collect();
                assert_eq!(seen.len(), last.len());
                for (key, value) in last {
                    assert_eq!(*seen[key].value, *value.as_bytes());
                }
            }
        });
    }
}

/// A reader for tests: a line for each object, `key value`; one without a value is left out, `!` makes the file useless.
fn reader() -> lockgate_store::Read {
    Arc::new(
        |bytes: Vec<u8>| -> BoxFuture<'static, Result<Reading, String>> {
            Box::pin(async move {
                let text = String::from_utf8(bytes).map_err(|_| "no text".to_owned())?;
                if text.contains('!') {
                    return Err("it is useless".to_owned());
                }
                let mut reading = Reading::default();
                for line in text.lines() {
                    match line.split_once(' ') {
                        Some((key, value)) => reading.items.push(item(key, value)),
                        None => reading.rejected.push(Rejected {
                            key: line.to_owned(),
                            reason: "no value".to_owned(),
                        }),
                    }
                }
                Ok(reading)
            })
        },
    )
}

/// Puts a file to a place in one step, so that nobody sees half of it.
fn place(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

async fn open(path: &Path) -> File {
    File::open(FileOptions {
        poll: Duration::from_millis(2),
        ..FileOptions::new(path, reader())
    })
    .await
}

#[tokio::test]
async fn follows_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "a 1\nb 1\nc\n").unwrap();
    let file = open(&path).await;
    assert!(file.is_filled());
    assert_eq!(file.list("").await.unwrap().entries.len(), 2);
    let rejected = Rejected {
        key: "c".to_owned(),
        reason: "no value".to_owned(),
    };
    assert_eq!(file.rejected(), [rejected]);
    let error = file.put(put("a", "2")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} is changed as a whole", path.display())
    );
    assert!(file.delete(delete("a")).await.is_err());

    let mut watch = file.watch(2).unwrap();
    place(&path, "a 1\nb 22\n");
    assert_eq!(names(&next(&mut *watch).await.changes), ["put b 3"]);
    assert_eq!(file.rejected(), []);

    // What is moved to the place counts, whatever its time and length.
    let other = dir.path().join("other");
    fs::write(&other, "a 1\nb 33\n").unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let opened = fs::File::options().write(true).open(&other).unwrap();
    opened.set_modified(time).unwrap();
    fs::rename(&other, &path).unwrap();
    assert_eq!(names(&next(&mut *watch).await.changes), ["put b 4"]);

    // What is useless, is no file, is not there or is too large changes nothing; what comes behind it does.
    place(&path, "a 9 !");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    let large = fs::File::create(&other).unwrap();
    large.set_len(65 << 20).unwrap();
    fs::rename(&other, &path).unwrap();
    place(&path, "a 1\n");
    assert_eq!(names(&next(&mut *watch).await.changes), ["delete b 5"]);
}

#[tokio::test]
async fn a_file_that_comes_later_fills_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let file = open(&path).await;
    assert!(!file.is_filled());
    let mut watch = file.watch(0).unwrap();
    place(&path, "a 1\n");
    assert_eq!(names(&next(&mut *watch).await.changes), ["put a 1"]);
    assert!(file.is_filled());
    drop(file);
    assert!(watch.next().await.is_err(), "the store has been closed");
}
