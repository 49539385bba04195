//! The thread that writes the files.
//!
//! One for the process: lines of all workers and routes come in one bounded queue, in order. What does not fit is dropped and
//! counted, so that a slow disk slows no request.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::{Duration, Instant},
};

use lockgate_plugin::{LogReopens, Node};
use tokio::sync::oneshot;

use crate::limits;

/// Hands lines to the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Message>,
    pending: Arc<Pending>,
    complained: Now,
}

#[derive(Debug)]
enum Message {
    Line(Arc<str>, Vec<u8>),
    /// Everything sent earlier is written when this is answered.
    Flush(oneshot::Sender<()>),
}

/// What waits to be written, and what was dropped since the last line about it.
#[derive(Debug, Default)]
struct Pending {
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Writer {
    /// The writer of the process.
    pub(super) fn of(node: &Node) -> Arc<Self> {
        node.shared(|node| {
            let (queue, messages) = sync_channel(limits::FILE_LINES);
            let pending = Arc::<Pending>::default();
            let files = Files {
                open: HashMap::new(),
                pending: pending.clone(),
                reopens: node.log_reopens(),
                complained: Now::default(),
            };
            let started = std::thread::Builder::new()
                .name("file-logger".into())
                .spawn(move || files.serve(&messages));
            if let Err(error) = started {
                tracing::error!(%error, "cannot start the thread that writes files of logs");
            }
            let flushed = queue.clone();
            node.at_shutdown(move |within| flush(flushed, within));
            Self {
                queue,
                pending,
                complained: Now::default(),
            }
        })
    }

    /// Has a line written, whose line end is there. Never waits.
    pub(super) fn write(&self, path: Arc<str>, line: Vec<u8>) {
        let bytes = line.len();
        let is_full = self.pending.bytes.load(Relaxed).saturating_add(bytes) > limits::FILE_BYTES;
        if !is_full {
            self.pending.bytes.fetch_add(bytes, Relaxed);
            match self.queue.try_send(Message::Line(path, line)) {
                Ok(()) => return,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                    self.pending.bytes.fetch_sub(bytes, Relaxed);
                }
            }
        }
        self.pending.dropped.fetch_add(1, Relaxed);
        if self.complained.is_due() {
            let dropped = self.pending.dropped.swap(0, Relaxed);
            tracing::error!(
                dropped,
                "entries for files are dropped: the disk cannot keep up"
            );
        }
    }

    /// Says that neither the configuration nor metadata name a file.
    pub(super) fn complain_of_no_path(&self) {
        if self.complained.is_due() {
            tracing::error!(
                "property \"path\" is not set in either the plugin conf or the metadata"
            );
        }
    }
}

async fn flush(queue: SyncSender<Message>, within: Duration) {
    let (done, written) = oneshot::channel();
    // A full queue makes this wait; it ends when the thread has made room, or with the process.
    let asked = tokio::task::spawn_blocking(move || queue.send(Message::Flush(done)));
    let _late = tokio::time::timeout(within, async {
        let _asked = asked.await;
        let _written = written.await;
    })
    .await;
}

/// Lets one line through in [`limits::LINE_INTERVAL`].
#[derive(Debug, Default)]
struct Now(Mutex<Option<Instant>>);

impl Now {
    fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.duration_since(last) >= limits::LINE_INTERVAL);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

/// The files that are open, as the thread has them.
struct Files {
    open: HashMap<Arc<str>, Open>,
    pending: Arc<Pending>,
    reopens: LogReopens,
    complained: Now,
}

struct Open {
    file: File,
    since: Instant,
    /// How often logs had been reopened.
    reopens: u64,
}

impl Files {
    /// Writes what comes until nobody can send any more.
    fn serve(mut self, messages: &Receiver<Message>) {
        // Lines for one file that came together.
        let mut lines = Vec::new();
        while let Ok(message) = messages.recv() {
            let mut next = Some(message);
            while let Some(message) = next.take() {
                match message {
                    Message::Flush(done) => drop(done.send(())),
                    Message::Line(path, line) => {
                        lines.clear();
                        lines.extend(line);
                        while lines.len() < limits::FILE_WRITE_BYTES && next.is_none() {
                            match messages.try_recv() {
                                Ok(Message::Line(other, line)) if other == path => {
                                    lines.extend(line);
                                }
                                Ok(other) => next = Some(other),
                                Err(_none) => break,
                            }
                        }
                        self.append(&path, &lines);
                        self.pending.bytes.fetch_sub(lines.len(), Relaxed);
                    }
                }
            }
        }
    }

    fn append(&mut self, path: &Arc<str>, lines: &[u8]) {
        let file = match self.file(path) {
            Ok(file) => file,
            Err(error) => {
                if self.complained.is_due() {
                    let reason = reason(&error);
                    tracing::error!("failed to open file: {path}, error info: {path}: {reason}");
                }
                return;
            }
        };
        if let Err(error) = file.write_all(lines) {
            self.open.remove(path);
            if self.complained.is_due() {
                let reason = reason(&error);
                tracing::error!("failed to write file: {path}, error info: {reason}");
            }
        }
    }

    /// The file of a path, opened anew where the logs were, and once in a while, so that files that were moved away are let go of.
    fn file(&mut self, path: &Arc<str>) -> io::Result<&mut File> {
        let (now, reopens) = (Instant::now(), self.reopens.count());
        let is_good = |open: &Open| {
            open.reopens == reopens && now.duration_since(open.since) < limits::FILE_OPEN
        };
        if let Some(open) = self.open.get(path)
            && !is_good(open)
        {
            if open.reopens != reopens {
                tracing::info!("reopen cached log file: {path}");
            }
            self.open.remove(path);
        }
        if !self.open.contains_key(path) && self.open.len() >= limits::FILES {
            self.open.retain(|_, open| is_good(open));
            if self.open.len() >= limits::FILES {
                self.open.clear();
            }
        }
        match self.open.entry(path.clone()) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(&mut known.into_mut().file),
            std::collections::hash_map::Entry::Vacant(place) => {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).open(&**path)?;
                let open = Open {
                    file,
                    since: now,
                    reopens,
                };
                Ok(&mut place.insert(open).file)
            }
        }
    }
}

/// An error in C's words alone.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
