//! The access log: nginx's formats, compiled once, written off the request path.
//!
//! A worker renders a line into its own buffer; a full buffer, or one that is three seconds old (the reference's `flush=3`),
//! goes to one thread that writes files. When that thread cannot keep up, lines are dropped and counted rather than
//! requests held up.

mod escape;
mod file;
pub(crate) mod time;

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, SyncSender, TrySendError},
    },
};

use lockgate_expr::{LogFormatError, Lookup, Part, Template, Variable};
use thiserror::Error;

use crate::vars::{Scattered, Sent, is_made};

pub use escape::Escape;

/// The reference's default format (`apisix/cli/config.lua`).
pub const DEFAULT_FORMAT: &str = "$remote_addr - $remote_user [$time_local] $http_host \"$request\" $status $body_bytes_sent \
     $request_time \"$http_referer\" \"$http_user_agent\" $upstream_addr $upstream_status $upstream_response_time \
     \"$upstream_scheme://$upstream_host$upstream_uri\" \"$apisix_request_id\"";

/// Buffers waiting for the writing thread; beyond it lines are dropped.
const QUEUE: usize = 256;

/// Where and how to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// The file; `/dev/stdout` and `/dev/stderr` work as files do.
    pub path: PathBuf,
    /// nginx's format language.
    pub format: String,
    /// How values are escaped.
    pub escape: Escape,
    /// Bytes collected per worker before they are written.
    pub buffer_bytes: usize,
}

/// The log could not be opened.
#[derive(Debug, Error)]
pub enum LogError {
    /// The format is wrong.
    #[error(transparent)]
    Format(#[from] LogFormatError),
    /// The file cannot be written.
    #[error("cannot open the access log {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// An open access log.
#[derive(Debug)]
pub struct AccessLog {
    format: Arc<[Piece]>,
    escape: Escape,
    buffer_bytes: usize,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

/// A piece of a line.
#[derive(Debug)]
enum Piece {
    /// Text to copy.
    Text(Box<[u8]>),
    /// A value that is made where it is written, with nothing to escape.
    Made(Variable),
    /// A value that stands in the request.
    Sent(Sent, Variable),
    /// Any other value.
    Found(Variable),
}

impl Piece {
    fn new(part: &Part) -> Self {
        let variable = match part {
            Part::Literal(text) => return Self::Text(text.as_bytes().into()),
            Part::Variable { variable, .. } => variable.clone(),
        };
        match Sent::of(&variable) {
            Some(sent) => Self::Sent(sent, variable),
            None if is_made(&variable) => Self::Made(variable),
            None => Self::Found(variable),
        }
    }

    fn variable(&self) -> Option<&Variable> {
        match self {
            Self::Text(_) => None,
            Self::Made(variable) | Self::Sent(_, variable) | Self::Found(variable) => {
                Some(variable)
            }
        }
    }
}

/// Who knows the values of a line.
pub(crate) trait Values: Lookup {
    /// Whether no plugin has given a variable another value.
    fn is_untouched(&self) -> bool;

    /// The value of a part of the request.
    ///
    /// # Errors
    /// It does not stand in one place, and [`Lookup::lookup`] has to put it together.
    fn sent(&self, sent: &Sent) -> Result<Option<&[u8]>, Scattered>;
}

/// What the writing thread is told.
enum Message {
    Lines(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

impl AccessLog {
    /// Opens the file and starts the thread that writes it. The thread ends when the log and all its writers are gone.
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn open(options: LogOptions) -> Result<Self, LogError> {
        let format = Template::parse_log_format(&options.format)?;
        let format = format.parts().iter().map(Piece::new).collect();
        let file = file::LogFile::open(options.path.clone()).map_err(|source| LogError::Open {
            path: options.path.clone(),
            source,
        })?;
        let (queue, messages) = mpsc::sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || file::write(file, &messages))
            .map_err(|source| LogError::Open {
                path: options.path,
                source,
            })?;
        Ok(Self {
            format,
            escape: options.escape,
            buffer_bytes: options.buffer_bytes,
            queue,
            dropped: Arc::default(),
        })
    }

    /// The face of one worker.
    pub(crate) fn writer(&self) -> Writer {
        Writer {
            format: self.format.clone(),
            escape: self.escape,
            buffer_bytes: self.buffer_bytes,
            queue: self.queue.clone(),
            dropped: self.dropped.clone(),
            buffer: RefCell::new(Vec::with_capacity(self.buffer_bytes)),
            lines: Cell::new(0),
        }
    }

    /// Closes the file and opens its path anew, so that a moved file is let go (SIGUSR1).
    pub fn reopen(&self) {
        // A full queue is a disk that hangs; reopening it again is for the next signal.
        let _full = self.queue.try_send(Message::Reopen);
    }

    /// Waits until everything handed over has been written.
    pub fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ended = wait.recv();
        }
    }

    /// Lines dropped because the disk could not keep up.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// A worker's face of the log.
#[derive(Debug)]
pub(crate) struct Writer {
    format: Arc<[Piece]>,
    escape: Escape,
    buffer_bytes: usize,
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    buffer: RefCell<Vec<u8>>,
    lines: Cell<u64>,
}

impl Writer {
    /// Whether the format names a variable, so that what it takes is kept until the line is written.
    pub(crate) fn names(&self, wanted: &Variable) -> bool {
        self.format
            .iter()
            .any(|piece| piece.variable() == Some(wanted))
    }

    /// Adds one line.
    pub(crate) fn write<V: Values>(&self, facts: &V) {
        let mut buffer = self.buffer.borrow_mut();
        let is_untouched = facts.is_untouched();
        for piece in &*self.format {
            let variable = match piece {
                Piece::Text(text) => {
                    buffer.extend_from_slice(text);
                    continue;
                }
                Piece::Made(variable) if facts.append(variable, &mut buffer) => continue,
                Piece::Sent(sent, _) if is_untouched && let Ok(value) = facts.sent(sent) => {
                    self.escape.write(value, &mut buffer);
                    continue;
                }
                Piece::Made(variable) | Piece::Sent(_, variable) | Piece::Found(variable) => {
                    variable
                }
            };
            let value = facts.lookup(variable);
            self.escape.write(value.as_deref(), &mut buffer);
        }
        buffer.push(b'\n');
        self.lines.set(self.lines.get() + 1);
        if buffer.len() >= self.buffer_bytes {
            self.hand_over(&mut buffer);
        }
    }

    /// Hands over what has been collected.
    pub(crate) fn flush(&self) {
        let mut buffer = self.buffer.borrow_mut();
        if !buffer.is_empty() {
            self.hand_over(&mut buffer);
        }
    }

    fn hand_over(&self, buffer: &mut Vec<u8>) {
        let lines = std::mem::replace(buffer, Vec::with_capacity(self.buffer_bytes));
        let count = self.lines.replace(0);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Lines(lines))
        {
            let before = self.dropped.fetch_add(count, Relaxed);
            if before == 0 {
                tracing::error!("the access log cannot keep up: lines are dropped");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.flush();
    }
}

/// The machine's name.
pub fn hostname() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map_or_else(|_| "localhost".into(), |name| name.trim().into())
    })
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use lockgate_expr::Variable;

    use super::*;

    /// A request whose path stands in it as something else, unless a plugin has set a variable.
    #[derive(Default)]
    struct Facts {
        is_set: bool,
    }

    impl Lookup for Facts {
        fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
            match variable {
                Variable::Uri => Some(Cow::Borrowed(b"/set")),
                Variable::Header(_) => Some(Cow::Borrowed(b"\"a\"")),
                Variable::Status => Some(Cow::Borrowed(b"200")),
                _ => None,
            }
        }
    }

    impl Values for Facts {
        fn is_untouched(&self) -> bool {
            !self.is_set
        }

        fn sent(&self, part: &Sent) -> Result<Option<&[u8]>, Scattered> {
            match part {
                Sent::Uri => Ok(Some(b"/sent")),
                Sent::Args => Ok(None),
                _ => Err(Scattered),
            }
        }
    }

    fn open(path: PathBuf) -> AccessLog {
        let format = "$status $uri $args $http_a $remote_user".into();
        AccessLog::open(LogOptions {
            path,
            format,
            escape: Escape::Default,
            buffer_bytes: 64,
        })
        .expect("opens")
    }

    #[test]
    fn writes_lines_and_follows_a_moved_file() {
        let dir = tempfile::tempdir().expect("directory");
        let (path, moved) = (dir.path().join("access.log"), dir.path().join("old.log"));
        let log = open(path.clone());
        let writer = log.writer();
        writer.write(&Facts::default());
        writer.flush();
        log.flush();
        std::fs::rename(&path, &moved).expect("moved");
        log.reopen();
        drop((writer.write(&Facts { is_set: true }), writer));
        log.flush();
        let old = "200 /sent - \\x22a\\x22 -\n";
        assert_eq!(std::fs::read_to_string(moved).expect("old"), old);
        let new = "200 /set - \\x22a\\x22 -\n";
        assert_eq!(std::fs::read_to_string(path).expect("new"), new);
    }

    #[test]
    fn the_default_format_is_valid() {
        assert!(Template::parse_log_format(DEFAULT_FORMAT).is_ok());
        let path = "/nowhere/access.log".into();
        let options = LogOptions {
            path,
            format: "$".into(),
            escape: Escape::None,
            buffer_bytes: 1,
        };
        assert!(matches!(
            AccessLog::open(options.clone()),
            Err(LogError::Format(_))
        ));
        let options = LogOptions {
            format: "x".into(),
            ..options
        };
        assert!(matches!(
            AccessLog::open(options),
            Err(LogError::Open { .. })
        ));
    }
}
