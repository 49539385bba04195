//! A store in memory that keeps the contract of `lockgate_store::Store`, and can be made to fail.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use lockgate_store::{
    Author, BoxFuture, Delete, Entry, Expect, Listing, Put, Revision, Store, StoreError, Watch,
    Written,
};

/// The store.
#[derive(Default)]
pub(crate) struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    entries: BTreeMap<String, Entry>,
    revision: Revision,
    puts: Vec<Put>,
    deletes: Vec<Delete>,
    trouble: Trouble,
}

/// What goes wrong with the next operations.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Every operation fails.
    Unavailable,
    /// Every operation panics.
    Panic,
    /// Another writer writes an entry once more between a read and the write that follows.
    Race,
}

impl Memory {
    /// Writes without the API.
    pub(crate) fn seed(&self, key: &str, value: &str) {
        let put = Put {
            key: key.into(),
            value: value.into(),
            expect: Expect::Any,
            ttl: None,
            author: Author::default(),
        };
        self.state().put(put).expect("nothing was expected");
    }

    /// The value of a key, as text.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let state = self.state();
        let entry = state.entries.get(key)?;
        Some(String::from_utf8_lossy(&entry.value).into_owned())
    }

    /// Every write that was tried.
    pub(crate) fn puts(&self) -> Vec<Put> {
        self.state().puts.clone()
    }

    /// Every removal that was tried.
    pub(crate) fn deletes(&self) -> Vec<Delete> {
        self.state().deletes.clone()
    }

    /// Makes operations go wrong from now on.
    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic that was asked for leaves no half-done change behind.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&self, action: &str) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match state.trouble {
            Trouble::Unavailable => Err(StoreError::Unavailable {
                action: action.to_owned(),
                reason: "the disk is gone".into(),
            }),
            Trouble::Panic => panic!("a panic that a test asked for"),
            Trouble::None | Trouble::Race => Ok(state),
        }
    }
}

impl State {
    fn put(&mut self, put: Put) -> Result<Written, StoreError> {
        let previous = self.entries.get(&put.key).cloned();
        let holds = match put.expect {
            Expect::Any => true,
            Expect::Absent => previous.is_none(),
            Expect::ModRevision(revision) => previous
                .as_ref()
                .is_some_and(|entry| entry.mod_revision == revision),
        };
        if !holds {
            return Err(StoreError::Conflict);
        }
        self.revision += 1;
        let entry = Entry {
            key: put.key.as_str().into(),
            value: put.value.into(),
            create_revision: previous
                .as_ref()
                .map_or(self.revision, |entry| entry.create_revision),
            mod_revision: self.revision,
        };
        self.entries.insert(put.key, entry);
        Ok(Written {
            revision: self.revision,
            previous,
        })
    }
}

impl Store for Memory {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>, StoreError>> {
        Box::pin(async move {
            let mut state = self.begin(&format!("reading {key}"))?;
            let found = state.entries.get(key).cloned();
            if state.trouble == Trouble::Race
                && let Some(found) = &found
            {
                let put = Put {
                    key: key.to_owned(),
                    value: found.value.to_vec(),
                    expect: Expect::Any,
                    ttl: None,
                    author: Author::default(),
                };
                state.put(put)?;
            }
            Ok(found)
        })
    }

    fn list<'a>(&'a self, prefix: &'a str) -> BoxFuture<'a, Result<Listing, StoreError>> {
        Box::pin(async move {
            let state = self.begin(&format!("listing {prefix}"))?;
            let mut entries: Vec<Entry> = state
                .entries
                .values()
                .filter(|entry| entry.key.starts_with(prefix))
                .cloned()
                .collect();
            entries.sort_by_key(|entry| entry.create_revision);
            Ok(Listing {
                revision: state.revision,
                entries,
            })
        })
    }

    fn put(&self, put: Put) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let mut state = self.begin(&format!("writing {}", put.key))?;
            state.puts.push(put.clone());
            state.put(put)
        })
    }

    fn delete(&self, delete: Delete) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let mut state = self.begin(&format!("removing {}", delete.key))?;
            state.deletes.push(delete.clone());
            let previous = state.entries.remove(&delete.key);
            state.revision += u64::from(previous.is_some());
            Ok(Written {
                revision: state.revision,
                previous,
            })
        })
    }

    fn watch(&self, after: Revision) -> Result<Box<dyn Watch>, StoreError> {
        Err(StoreError::Compacted { oldest: after + 1 })
    }
}

/// A store with nothing in it.
pub(crate) fn empty() -> Arc<Memory> {
    Arc::new(Memory::default())
}
