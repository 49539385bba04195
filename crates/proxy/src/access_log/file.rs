//! The file behind the log, and the thread that writes it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    sync::mpsc::Receiver,
};

use super::Message;

/// A file opened for appending.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    is_failing: bool,
}

impl LogFile {
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        Ok(Self {
            path,
            file,
            is_failing: false,
        })
    }

    /// Writes lines; a full disk loses them, says so once, and is tried again with the next.
    fn append(&mut self, lines: &[u8]) {
        match self.file.write_all(lines) {
            Ok(()) => self.is_failing = false,
            Err(error) => {
                if !self.is_failing {
                    tracing::error!(path = %self.path.display(), %error, "cannot write the access log");
                }
                self.is_failing = true;
            }
        }
    }

    fn reopen(&mut self) {
        match OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
        {
            Ok(file) => self.file = file,
            Err(error) => {
                tracing::error!(path = %self.path.display(), %error, "cannot reopen the access log");
            }
        }
    }
}

/// Writes what comes until nobody can send any more.
pub(super) fn write(mut file: LogFile, messages: &Receiver<Message>) {
    while let Ok(message) = messages.recv() {
        match message {
            Message::Lines(lines) => file.append(&lines),
            Message::Reopen => file.reopen(),
            // Everything sent earlier has been written by this thread.
            Message::Flush(done) => drop(done.send(())),
        }
    }
}
