//! What is written to the log.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use lockgate_batch::{Bounds, Failed};
use tokio::time::Instant;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

use crate::recorder::{Attempt, Rig, fails};

/// The lines of level error that this thread logs, with their fields.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn listen() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        (lines, guard)
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().expect("unharmed").clone()
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let Line { message, fields } = line;
        self.0.lock().expect("unharmed").push(message + &fields);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.fields.extend([", ", name, ": ", &text]),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tells_of_each_attempt_and_of_entries_that_are_given_up() {
    let (lines, _guard) = Lines::listen();
    let script = [Attempt::Fails(Failed::after(1, "broke off")), fails()];
    let rig = Rig::with(&script, |settings| settings.max_retry_count = 1);
    rig.push(1..=3);
    rig.settled().await;
    let name = "Batch Processor[test logger]";
    let expected = [
        format!("{name} failed to process entries [2/3]: broke off, withheld: 0"),
        format!("{name} failed to process entries: away, withheld: 0"),
        format!("{name} exceeded the max_retry_count[2] dropping the entries"),
    ];
    assert_eq!(lines.all(), expected);
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_flood_the_log() {
    let (lines, _guard) = Lines::listen();
    let rig = Rig::with(&vec![fails(); 1000], |settings| settings.batch_max_size = 1);
    rig.push(0..1000);
    rig.settled().await;
    assert_eq!(lines.all().len(), 20, "two for each of ten batches");
}

#[tokio::test(start_paused = true)]
async fn tells_of_entries_that_do_not_fit() {
    let (lines, _guard) = Lines::listen();
    let rig = Rig::new(&[]);
    let bounds = Bounds {
        entries: 1,
        ..Bounds::default()
    };
    rig.processors.bound("test-logger", bounds);
    for entry in 0..100 {
        rig.processor.push(entry, 0);
    }
    tokio::time::advance(std::time::Duration::from_millis(1100)).await;
    for entry in 0..5 {
        rig.processor.push(entry, 0);
    }
    let expected = [1, 99].map(|count| {
        format!(
            "max pending entries limit exceeded. discarding entry, plugin: \"test-logger\", \
             total_pushed_entries: 1, total_processed_entries: 0, max_pending_entries: 1, \
             discarded_entries: {count}"
        )
    });
    assert_eq!(lines.all(), expected);
}

#[tokio::test(start_paused = true)]
async fn tells_of_panics_and_of_what_the_end_leaves_behind() {
    let (lines, _guard) = Lines::listen();
    let rig = Rig::new(&[Attempt::Panics, Attempt::Hangs]);
    rig.push(1..=3);
    rig.settled().await;
    rig.push(4..=5);
    rig.processors.flush(Instant::now()).await;
    let expected = [
        "Batch Processor[test logger] panicked, dropping the entries, withheld: 0",
        "entries were not sent before the end, name: \"test logger\", route_id: \"\", lost: 2",
    ];
    assert_eq!(lines.all(), expected);
}
