//! The thread that writes the error log.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::Receiver,
    },
};

use anyhow::Context as _;

use super::{
    error::{Message, Target},
    line,
    syslog::Remote,
};

/// What lines are written to.
#[derive(Debug)]
pub(super) enum Output {
    /// The standard error stream alone.
    Stderr,
    /// A file, and its path.
    File(File, PathBuf),
    /// Syslog.
    Syslog(Remote),
}

impl Output {
    /// Opens it.
    pub(super) fn open(target: Target) -> anyhow::Result<Self> {
        match target {
            Target::Stderr => Ok(Self::Stderr),
            Target::File(path) => {
                let file = append(&path)
                    .with_context(|| format!("cannot open the error log {}", path.display()))?;
                Ok(Self::File(file, path))
            }
            Target::Syslog(log) => Remote::open(&log)
                .map(Self::Syslog)
                .context("cannot open the socket to syslog (nginx_config.error_log)"),
        }
    }
}

/// The thread's own.
pub(super) struct Writer {
    output: Output,
    dropped: Arc<AtomicU64>,
    is_echoed: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn open(
        target: Target,
        dropped: Arc<AtomicU64>,
        is_echoed: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let output = Output::open(target)?;
        Ok(Self {
            output,
            dropped,
            is_echoed,
        })
    }

    /// Writes what comes until nobody can say any more.
    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(message) = messages.recv() {
            match message {
                Message::Line(line) => self.write(&line),
                Message::Reopen => self.reopen(),
                Message::MoveTo(output) => self.output = output,
                // Everything said earlier has been written by this thread.
                Message::Flush(done) => drop(done.send(())),
            }
            let dropped = self.dropped.swap(0, Relaxed);
            if dropped > 0 {
                self.write(&format!(
                    "{}lines were dropped: the disk cannot keep up, lines: {dropped}\n",
                    line::head("alert")
                ));
            }
        }
    }

    /// A full disk loses the line; there is nowhere left to say so.
    fn write(&mut self, line: &str) {
        let is_lost = match &mut self.output {
            Output::File(file, _) => file.write_all(line.as_bytes()).is_err(),
            Output::Syslog(remote) => remote.send(line).is_err(),
            Output::Stderr => true,
        };
        if is_lost || self.is_echoed.load(Relaxed) {
            let _closed = io::stderr().write_all(line.as_bytes());
        }
    }

    fn reopen(&mut self) {
        let Output::File(file, path) = &mut self.output else {
            return;
        };
        match append(path) {
            Ok(new) => *file = new,
            Err(error) => {
                let line = format!(
                    "{}cannot reopen the error log, error: {error}\n",
                    line::head("error")
                );
                self.write(&line);
            }
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
