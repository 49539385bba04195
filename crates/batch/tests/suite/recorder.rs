//! A sender that writes down what it gets, and does what it is told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use lockgate_batch::{Failed, Processor, Processors, Report, Sender, Sending, Settings};
use tokio::{runtime::Handle, sync::mpsc, time::Instant};

/// What an attempt comes to; attempts beyond the script succeed.
#[derive(Debug, Clone)]
pub(crate) enum Attempt {
    Succeeds,
    Fails(Failed),
    Panics,
    /// Never ends.
    Hangs,
    /// Takes this long and succeeds.
    Takes(Duration),
}

pub(crate) fn fails() -> Attempt {
    Attempt::Fails(Failed::whole("away"))
}

/// Attempts: milliseconds after the begin, and the entries.
pub(crate) type Seen = mpsc::UnboundedReceiver<(u64, Vec<u32>)>;

struct Recorder {
    began: Instant,
    seen: mpsc::UnboundedSender<(u64, Vec<u32>)>,
    script: Mutex<VecDeque<Attempt>>,
}

impl Sender<u32> for Recorder {
    fn send<'a>(&'a self, batch: &'a [u32]) -> Sending<'a> {
        Box::pin(async move {
            let at = self.began.elapsed().as_millis() as u64;
            self.seen
                .send((at, batch.to_vec()))
                .expect("the test listens");
            let attempt = self.script.lock().expect("unharmed").pop_front();
            match attempt.unwrap_or(Attempt::Succeeds) {
                Attempt::Succeeds => Ok(()),
                Attempt::Fails(failed) => Err(failed),
                Attempt::Panics => panic!("told to"),
                Attempt::Hangs => std::future::pending().await,
                Attempt::Takes(time) => {
                    tokio::time::sleep(time).await;
                    Ok(())
                }
            }
        })
    }
}

/// The processors of a test.
///
/// Some tests look at lines of the log. Whoever meets the place of a line first decides whether anybody wants it, so somebody has to
/// want it before any test runs.
pub(crate) fn processors(runtime: Handle) -> Processors {
    static WANTED: Once = Once::new();
    WANTED.call_once(|| {
        tracing::subscriber::set_global_default(Wanting).expect("the first of this process");
    });
    Processors::new(runtime)
}

/// Wants every line and does nothing with it.
struct Wanting;

impl tracing::Subscriber for Wanting {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// A processor, and what it sends.
pub(crate) struct Rig {
    pub(crate) processors: Processors,
    pub(crate) processor: Arc<Processor<u32>>,
    seen: Seen,
}

impl Rig {
    /// The defaults but for batches of three.
    pub(crate) fn new(script: &[Attempt]) -> Self {
        Self::with(script, |_| {})
    }

    pub(crate) fn with(script: &[Attempt], change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings {
            batch_max_size: 3,
            ..Settings::named("test logger")
        };
        change(&mut settings);
        let processors = processors(Handle::current());
        let (processor, seen) = get(&processors, "a", settings, script);
        Self {
            processors,
            processor,
            seen,
        }
    }

    pub(crate) fn push(&self, entries: impl IntoIterator<Item = u32>) {
        for entry in entries {
            assert!(self.processor.push(entry, 10), "{entry} was dropped");
        }
    }

    /// The next attempt: milliseconds after the begin, and the entries.
    pub(crate) async fn attempt(&mut self) -> (u64, Vec<u32>) {
        self.seen.recv().await.expect("a sender")
    }

    /// Whether nothing was sent that was not yet looked at.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.seen.try_recv().is_err()
    }

    /// Waits for what is under way.
    pub(crate) async fn settled(&self) -> Report {
        loop {
            let report = self.processor.report();
            if report.pending == 0 {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A processor of the plugin `test-logger` with a recorder, and what that records.
pub(crate) fn get(
    processors: &Processors,
    identity: &str,
    settings: Settings,
    script: &[Attempt],
) -> (Arc<Processor<u32>>, Seen) {
    let (sender, seen) = mpsc::unbounded_channel();
    let recorder = || {
        Ok::<_, Infallible>(Recorder {
            began: Instant::now(),
            seen: sender,
            script: Mutex::new(script.iter().cloned().collect()),
        })
    };
    let processor = processors
        .get("test-logger", identity, settings, recorder)
        .expect("infallible");
    (processor, seen)
}

/// Sent, dropped and failed.
pub(crate) fn fates(report: &Report) -> (u64, u64, u64) {
    (report.sent, report.dropped, report.failed)
}
