//! The store on disks that no test could have otherwise.

mod damage;
mod disk;
mod faults;
mod group;
mod space;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use self::disk::FakeDisk;
use super::{Embedded, EmbeddedOptions};
use crate::{Author, Delete, Expect, Put, Store, StoreError, Written};

/// Keys and values.
type Contents = BTreeMap<String, Vec<u8>>;

fn open(disk: &Arc<FakeDisk>) -> Result<Embedded, StoreError> {
    Embedded::open_medium(
        Path::new("test.redb"),
        disk.clone(),
        EmbeddedOptions::default(),
    )
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn put(store: &Embedded, key: &str, value: &[u8]) -> Result<Written, StoreError> {
    wait(store.put(put_of(key, value)))
}

fn put_of(key: &str, value: &[u8]) -> Put {
    Put {
        key: key.to_owned(),
        value: value.to_vec(),
        expect: Expect::Any,
        ttl: None,
        author: Author::default(),
    }
}

fn delete(store: &Embedded, key: &str) -> Result<Written, StoreError> {
    wait(store.delete(Delete {
        key: key.to_owned(),
        author: Author::default(),
    }))
}

fn contents(store: &Embedded) -> Contents {
    wait(store.list(""))
        .unwrap()
        .entries
        .into_iter()
        .map(|entry| (entry.key.to_string(), entry.value.to_vec()))
        .collect()
}

/// What a run of writes came to.
#[derive(Debug, Default)]
struct Script {
    /// What the acknowledged writes made.
    acknowledged: Contents,
    /// What they and the first one that failed make.
    attempted: Contents,
}

/// Writes that grow, overwrite and remove, until one of them fails.
fn run_script(store: &Embedded) -> Script {
    let mut script = Script::default();
    for step in 0..16_u8 {
        let key = format!("routes/{}", step % 7);
        let done = if step % 5 == 4 {
            script.attempted.remove(&key);
            delete(store, &key)
        } else {
            let value = vec![step; usize::from(step) * 700];
            script.attempted.insert(key.clone(), value.clone());
            put(store, &key, &value)
        };
        match done {
            Ok(_) => script.acknowledged.clone_from(&script.attempted),
            Err(StoreError::Unavailable { .. }) => break,
            Err(other) => panic!("step {step}: {other}"),
        }
    }
    script
}

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
