//! The error log: what the process says of itself, in nginx's format, written off every hot path.
//!
//! Whoever logs formats a line and puts it into a bounded queue; one thread writes. When the disk cannot keep up, lines are
//! dropped and counted, and nobody waits.

use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{self, SyncSender},
    },
};

use anyhow::Context as _;
use lockgate_model::boot::{Level, Syslog};
use tracing::{Event, Metadata, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    reload,
};

use super::{
    line,
    writer::{Output, Writer},
};

/// Lines that wait for the disk; beyond it they are dropped.
const QUEUE: usize = 4096;

/// Crates whose finer lines are ours; others speak up from warnings on.
const OWN: &str = "lockgate";

/// Where to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Into a file.
    File(PathBuf),
    /// To syslog.
    Syslog(Syslog),
    /// To the standard error stream alone.
    Stderr,
}

/// The open error log of the process.
#[derive(Debug, Clone)]
pub(super) struct ErrorLog {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
    is_echoed: Arc<AtomicBool>,
    /// Changes the finest level that is written; `None` until the log is installed.
    lines: OnceLock<reload::Handle<Lines, Registry>>,
}

/// What the writing thread is told.
pub(super) enum Message {
    Line(String),
    Reopen,
    MoveTo(Output),
    Flush(SyncSender<()>),
}

impl ErrorLog {
    /// Opens the log. Lines go to the standard error stream too until [`Self::end_echo`].
    pub(super) fn open(target: Target) -> anyhow::Result<Self> {
        let (queue, messages) = mpsc::sync_channel(QUEUE);
        let (dropped, is_echoed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(true)));
        let writer = Writer::open(target, dropped.clone(), is_echoed.clone())?;
        std::thread::Builder::new()
            .name("error-log".into())
            .spawn(move || writer.run(&messages))
            .context("cannot start the thread of the error log")?;
        Ok(Self {
            queue,
            dropped,
            is_echoed,
            lines: OnceLock::new(),
        })
    }

    /// Makes this the log of the whole process, for lines of `level` and above.
    pub(super) fn install(&self, level: Level) -> anyhow::Result<()> {
        let (layer, lines) = reload::Layer::new(Lines {
            log: self.clone(),
            level: finest(level),
        });
        // Installed once, or the next line fails.
        let _second = self.lines.set(lines);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber)
            .context("the error log is open already")?;
        std::panic::set_hook(Box::new(|panic| {
            let reason = panic.payload_as_str().unwrap_or("no reason given");
            let place = panic
                .location()
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::error!(reason, place, "a panic");
        }));
        Ok(())
    }

    /// Stops writing lines to the standard error stream, too.
    pub(super) fn end_echo(&self) {
        // What was said until here is still echoed.
        self.flush();
        self.is_echoed.store(false, Relaxed);
    }

    /// Writes lines of `level` and above from here on.
    pub(super) fn set_level(&self, level: Level) {
        if let Some(lines) = self.lines.get() {
            // The handle is that of the process's subscriber, which is never gone.
            let _gone = lines.modify(|lines| lines.level = finest(level));
        }
    }

    /// Writes to another place from here on.
    pub(super) fn move_to(&self, target: Target) -> anyhow::Result<()> {
        let output = Output::open(target)?;
        let sent = self.queue.send(Message::MoveTo(output));
        sent.ok().context("nobody writes the error log any more")
    }

    /// Closes the file and opens its path anew (SIGUSR1).
    pub(super) fn reopen(&self) {
        // A full queue is a disk that hangs; reopening is for the next signal then.
        let _full = self.queue.try_send(Message::Reopen);
    }

    /// Waits until everything said so far is written.
    pub(super) fn flush(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ended = wait.recv();
        }
    }

    fn write(&self, line: String) {
        if self.queue.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

/// The finest of our levels that a level of nginx lets through. What we call information is nginx's notice, for it tells of
/// the process and not of single requests; what we call debugging is its information.
fn finest(level: Level) -> LevelFilter {
    match level {
        Level::Debug => LevelFilter::TRACE,
        Level::Info => LevelFilter::DEBUG,
        Level::Notice => LevelFilter::INFO,
        Level::Warn => LevelFilter::WARN,
        Level::Error | Level::Crit | Level::Alert | Level::Emerg => LevelFilter::ERROR,
    }
}

/// From events to lines.
#[derive(Debug)]
struct Lines {
    log: ErrorLog,
    level: LevelFilter,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let is_own = metadata.target().starts_with(OWN);
        let level = if is_own {
            self.level
        } else {
            self.level.min(LevelFilter::WARN)
        };
        *metadata.level() <= level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.log.write(line::format(event));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(level: Level, say: impl FnOnce()) -> String {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("error.log");
        let log = ErrorLog::open(Target::File(path.clone())).expect("opens");
        log.is_echoed.store(false, Relaxed);
        let layer = Lines {
            log: log.clone(),
            level: finest(level),
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        log.flush();
        std::fs::read_to_string(path).expect("log")
    }

    #[test]
    fn writes_lines_as_nginx_does() {
        let log = written(Level::Notice, || {
            let error = std::io::Error::other("disk\nfull");
            tracing::warn!(port = 80, name = "a", %error, "it is so");
            tracing::info!("begun");
            tracing::debug!("too fine");
        });
        let lines: Vec<_> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        let (time, rest) = lines[0].split_at("2026/11/28 00:00:00".len());
        assert!(
            time.bytes().filter(u8::is_ascii_digit).count() == 14 && time.contains('/'),
            "{time}"
        );
        let id = format!("{}#", std::process::id());
        let (level, rest) = rest.split_once(&id).expect("process");
        assert_eq!(level, " [warn] ");
        let (thread, rest) = rest.split_once(": ").expect("thread");
        assert!(thread.parse::<u32>().is_ok(), "{thread}");
        assert_eq!(rest, "it is so, port: 80, name: a, error: disk\\x0Afull");
        assert!(
            lines[1].contains("[notice]") && lines[1].ends_with(": begun"),
            "{log}"
        );
    }

    #[test]
    fn levels_let_through_what_nginx_would() {
        let say = || {
            tracing::trace!("1");
            tracing::debug!("2");
            tracing::info!("3");
            tracing::warn!("4");
            tracing::error!("5");
            tracing::info!(target: "hyper", "6");
            tracing::warn!(target: "hyper", "7");
        };
        let cases = [
            (Level::Debug, "123457"),
            (Level::Info, "23457"),
            (Level::Notice, "3457"),
            (Level::Warn, "457"),
            (Level::Error, "5"),
            (Level::Emerg, "5"),
        ];
        for (level, expected) in cases {
            let log = written(level, say);
            let said: String = log.lines().filter_map(|line| line.chars().last()).collect();
            assert_eq!(said, expected, "{level:?}");
        }
    }

    #[test]
    fn counts_lines_that_the_disk_cannot_keep_up_with() {
        let (queue, messages) = mpsc::sync_channel(1);
        let log = ErrorLog {
            queue,
            dropped: Arc::default(),
            is_echoed: Arc::default(),
            lines: OnceLock::new(),
        };
        for line in ["a\n", "b\n", "c\n"] {
            log.write(line.to_owned());
        }
        assert_eq!(log.dropped.load(Relaxed), 2);
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("error.log");
        let writer = Writer::open(
            Target::File(path.clone()),
            log.dropped.clone(),
            Arc::default(),
        )
        .expect("opens");
        drop(log);
        writer.run(&messages);
        let text = std::fs::read_to_string(path).expect("log");
        assert!(
            text.starts_with("a\n") && text.contains("[alert]") && text.contains("lines: 2"),
            "{text}"
        );
    }

    #[test]
    fn follows_a_moved_file() {
        let dir = tempfile::tempdir().expect("directory");
        let (path, moved) = (dir.path().join("error.log"), dir.path().join("old"));
        let log = ErrorLog::open(Target::File(path.clone())).expect("opens");
        log.is_echoed.store(false, Relaxed);
        log.write("a\n".into());
        log.flush();
        std::fs::rename(&path, &moved).expect("moved");
        log.reopen();
        log.write("b\n".into());
        log.flush();
        assert_eq!(std::fs::read_to_string(moved).expect("old"), "a\n");
        assert_eq!(std::fs::read_to_string(path).expect("new"), "b\n");
    }

    #[test]
    fn says_why_it_cannot_be_opened() {
        let error = ErrorLog::open(Target::File("/nowhere/error.log".into()))
            .expect_err("no such directory");
        assert!(
            format!("{error:#}").starts_with("cannot open the error log /nowhere/error.log: "),
            "{error:#}"
        );
    }
}
