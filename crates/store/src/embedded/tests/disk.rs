//! A disk in memory that fails, fills up, stands still and loses power when told to.

use std::{
    collections::HashSet,
    io,
    sync::{Condvar, Mutex, MutexGuard},
};

use crate::embedded::file::Medium;

const SECTOR: usize = 512;
const BLOCK: u64 = 4096;
const PANIC: &str = "panic";

/// What one of the calls that change the disk does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It and every later one fails, until [`FakeDisk::mend`].
    Broken,
    /// It fails, later ones do not.
    Once,
    /// It panics, as a fault in the database might; later ones work.
    Panic,
    /// The process is killed just before it: nothing more reaches the disk, what did stays.
    Killed,
}

#[derive(Debug, Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

#[derive(Debug, Default)]
struct Inner {
    content: Vec<u8>,
    /// What survives a loss of power for sure.
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    calls: u64,
    syncs: u64,
    fault: Option<(u64, Fault)>,
    has_failed_sync: bool,
    allocated: HashSet<u64>,
    capacity_blocks: Option<usize>,
    is_held: bool,
    waiting: usize,
}

impl Inner {
    fn call(&mut self) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some((at, Fault::Once | Fault::Panic)) if self.calls > at + 1 => Ok(()),
            Some((at, Fault::Panic)) if self.calls > at => Err(io::Error::other(PANIC)),
            Some((at, _)) if self.calls > at => Err(io::Error::from(io::ErrorKind::StorageFull)),
            _ => Ok(()),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct FakeDisk {
    inner: Mutex<Inner>,
    released: Condvar,
}

impl FakeDisk {
    /// A disk with this on it.
    pub(super) fn with(content: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.lock().synced.clone_from(&content);
        disk.lock().content = content;
        disk
    }

    pub(super) fn content(&self) -> Vec<u8> {
        self.lock().content.clone()
    }

    /// Calls so far that change the disk: writes, changes of length and syncs.
    pub(super) fn calls(&self) -> u64 {
        self.lock().calls
    }

    pub(super) fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// Has every call after the first `calls` go wrong.
    pub(super) fn fail_after(&self, calls: u64, fault: Fault) {
        self.lock().fault = Some((calls, fault));
    }

    /// Whether a call has gone wrong.
    pub(super) fn has_failed(&self) -> bool {
        let inner = self.lock();
        inner.fault.is_some_and(|(at, _)| inner.calls > at)
    }

    pub(super) fn has_failed_sync(&self) -> bool {
        self.lock().has_failed_sync
    }

    pub(super) fn mend(&self) {
        self.lock().fault = None;
    }

    /// Leaves room for so many blocks more.
    pub(super) fn fill_up_after(&self, blocks: usize) {
        let mut inner = self.lock();
        inner.capacity_blocks = Some(inner.allocated.len() + blocks);
    }

    pub(super) fn make_room(&self) {
        self.lock().capacity_blocks = None;
    }

    /// Has syncs wait until [`Self::release`].
    pub(super) fn hold(&self) {
        self.lock().is_held = true;
    }

    /// Syncs that wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    pub(super) fn release(&self) {
        self.lock().is_held = false;
        self.released.notify_all();
    }

    /// What a loss of power leaves: everything synced, and of the rest the sectors that `keep` chooses.
    pub(super) fn after_power_loss(&self, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let inner = self.lock();
        let mut content = inner.synced.clone();
        for change in &inner.unsynced {
            match change {
                Change::SetLen(len) if keep() => content.resize(*len as usize, 0),
                Change::SetLen(_) => {}
                Change::Write { offset, data } => {
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        if keep() {
                            put(&mut content, *offset as usize + index * SECTOR, sector);
                        }
                    }
                }
            }
        }
        content
    }

    /// Counts a call that changes the disk.
    fn call(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.lock();
        match inner.call() {
            Ok(()) => Ok(inner),
            Err(error) if error.to_string() == PANIC => {
                drop(inner);
                panic!("as it was told");
            }
            Err(error) => Err(error),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}

impl Medium for FakeDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().content.len() as u64)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.lock();
        let from = offset as usize;
        match inner.content.get(from..from + out.len()) {
            Some(data) => {
                out.copy_from_slice(data);
                Ok(())
            }
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.call()?;
        let blocks = offset / BLOCK..(offset + data.len() as u64).div_ceil(BLOCK);
        let new: Vec<u64> = blocks
            .filter(|block| !inner.allocated.contains(block))
            .collect();
        if let Some(capacity) = inner.capacity_blocks
            && inner.allocated.len() + new.len() > capacity
        {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        inner.allocated.extend(new);
        put(&mut inner.content, offset as usize, data);
        inner.unsynced.push(Change::Write {
            offset,
            data: data.to_vec(),
        });
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.call()?;
        inner.content.resize(len as usize, 0);
        inner.allocated.retain(|block| *block < len.div_ceil(BLOCK));
        inner.unsynced.push(Change::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.waiting += 1;
        inner = self
            .released
            .wait_while(inner, |inner| inner.is_held)
            .unwrap();
        inner.waiting -= 1;
        drop(inner);
        let mut inner = match self.call() {
            Ok(inner) => inner,
            Err(error) => {
                let mut inner = self.lock();
                // A killed process does not see what becomes of its sync.
                inner.has_failed_sync |=
                    inner.fault.is_some_and(|(_, fault)| fault != Fault::Killed);
                return Err(error);
            }
        };
        inner.syncs += 1;
        inner.synced = inner.content.clone();
        inner.unsynced.clear();
        Ok(())
    }
}
