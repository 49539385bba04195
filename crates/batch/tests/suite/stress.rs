//! Many threads at once, on a clock that runs.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use lockgate_batch::{Bounds, Failed, Sender, Sending, Settings};
use tokio::{runtime::Builder, time::Instant};

use crate::recorder;

const THREADS: u64 = 8;
const PUSHES: u64 = 20_000;

/// Takes a part of each seventh batch, and all of the others.
#[derive(Clone, Default)]
struct Counting {
    batches: Arc<AtomicU64>,
    entries: Arc<AtomicU64>,
    sum: Arc<AtomicU64>,
}

impl Sender<u64> for Counting {
    fn send<'a>(&'a self, batch: &'a [u64]) -> Sending<'a> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let is_whole = !self.batches.fetch_add(1, Relaxed).is_multiple_of(7);
            let taken = if is_whole {
                batch.len()
            } else {
                batch.len() / 2
            };
            self.entries.fetch_add(taken as u64, Relaxed);
            let sum = batch.iter().take(taken).sum();
            self.sum.fetch_add(sum, Relaxed);
            if is_whole {
                return Ok(());
            }
            Err(Failed::after(taken, "broke off"))
        })
    }
}

#[test]
fn every_entry_is_sent_or_counted() {
    for (bound, batch_max_size, max_retry_count) in
        [(500, 100, 3), (500, 1, 0), (usize::MAX, 1000, 0)]
    {
        let control = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let processors = recorder::processors(control.handle().clone());
        let bounds = Bounds {
            entries: bound,
            bytes: usize::MAX,
        };
        processors.bound("test-logger", bounds);
        let settings = Settings {
            batch_max_size,
            max_retry_count,
            retry_delay: Duration::ZERO,
            ..Settings::named("test logger")
        };
        let counting = Counting::default();
        let processor = processors
            .get("test-logger", "a", settings, || {
                Ok::<_, Infallible>(counting.clone())
            })
            .expect("infallible");
        let accepted = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (processor, accepted) = (&processor, &accepted);
                scope.spawn(move || {
                    for number in 0..PUSHES {
                        if processor.push(thread * PUSHES + number, 8) {
                            accepted.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        let flushed = control.block_on(processors.flush(deadline));
        let report = processor.report();
        let case = format!("{bound} {batch_max_size}: {report:?}, {flushed:?}");
        assert_eq!((report.pending, report.waiting), (0, 0), "{case}");
        assert_eq!(report.sent, counting.entries.load(Relaxed), "{case}");
        assert_eq!(
            report.sent + report.failed,
            accepted.load(Relaxed),
            "{case}"
        );
        let pushed = report.sent + report.dropped + report.failed;
        assert_eq!(pushed, THREADS * PUSHES, "{case}");
        if report.failed + report.dropped == 0 {
            let all = (0..THREADS * PUSHES).sum::<u64>();
            assert_eq!(counting.sum.load(Relaxed), all, "{case}");
        }
    }
}
