//! Which processor a configuration gets.

use std::{convert::Infallible, sync::Arc, time::Duration};

use lockgate_batch::{Place, Sender, Sending, Settings};
use tokio::{runtime::Handle, time::advance};

use crate::recorder::{self, fates, get};

fn settings() -> Settings {
    Settings {
        batch_max_size: 3,
        ..Settings::named("test logger")
    }
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_leaves_the_settings_alone_keeps_the_queue() {
    let processors = recorder::processors(Handle::current());
    let (old, mut seen) = get(&processors, "routes/1 x", settings(), &[]);
    old.push(1, 0);
    let (same, _) = get(&processors, "routes/1 x", settings(), &[]);
    assert!(Arc::ptr_eq(&old, &same));
    drop(old);
    advance(Duration::from_secs(1)).await;
    same.push(2, 0);
    same.push(3, 0);
    assert_eq!(seen.recv().await, Some((1000, vec![1, 2, 3])));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_changes_them_sends_what_was_queued_through_the_old_sender() {
    let processors = recorder::processors(Handle::current());
    let (old, mut before) = get(&processors, "routes/1 x", settings(), &[]);
    old.push(1, 0);
    let (new, mut after) = get(&processors, "routes/1 y", settings(), &[]);
    new.push(2, 0);
    // A request that began before still holds it.
    let request = old.clone();
    drop(old);
    assert!(request.push(3, 0));
    advance(Duration::from_secs(1)).await;
    assert!(before.try_recv().is_err());
    drop(request);
    assert_eq!(before.recv().await, Some((1000, vec![1, 3])));
    assert_eq!(after.recv().await, Some((5000, vec![2])));
    assert_eq!(before.recv().await, None, "the old sender is gone");
    assert_eq!(fates(&new.report()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_holds_is_made_anew() {
    let processors = recorder::processors(Handle::current());
    for round in 0..200 {
        let (processor, mut seen) = get(&processors, "a", settings(), &[]);
        processor.push(round, 0);
        drop(processor);
        assert_eq!(seen.recv().await, Some((0, vec![round])));
        assert_eq!(seen.recv().await, None);
        assert_eq!(processors.reports().count(), 0);
    }
}

struct Other;

impl Sender<String> for Other {
    fn send<'a>(&'a self, _: &'a [String]) -> Sending<'a> {
        Box::pin(async { Ok(()) })
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_other_entries_is_another() {
    let processors = recorder::processors(Handle::current());
    let (numbers, _seen) = get(&processors, "a", settings(), &[]);
    let texts = processors.get("test-logger", "a", settings(), || {
        Ok::<_, Infallible>(Other)
    });
    assert!(texts.expect("infallible").push("x".into(), 1));
    assert_eq!(numbers.report().pending, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_cannot_be_made_makes_no_processor() {
    let processors = recorder::processors(Handle::current());
    let made = processors.get("test-logger", "a", settings(), || {
        Err::<Other, _>("no roots")
    });
    assert_eq!(made.expect_err("none"), "no roots");
    assert_eq!(processors.reports().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn reports_by_name_and_place() {
    let processors = recorder::processors(Handle::current());
    let place = |route_id: &str| Place {
        route_id: route_id.into(),
        server_addr: "127.0.0.1".into(),
    };
    let mut held = Vec::new();
    for (identity, route_id, count) in [("a", "2", 1), ("b", "1", 2), ("c", "1", 1)] {
        let (processor, seen) = get(&processors, identity, settings(), &[]);
        processor.place(|| place(route_id));
        // The first stays.
        processor.place(|| place("9"));
        (0..count).for_each(|entry| assert!(processor.push(entry, 0)));
        held.push((processor, seen));
    }
    let (unplaced, _seen) = get(&processors, "d", Settings::named("a logger"), &[]);
    assert!(unplaced.push(1, 0));
    let reports: Vec<_> = processors
        .reports()
        .map(|it| {
            let labels = format!("{},{},{}", it.name, it.route_id, it.server_addr);
            (labels, it.waiting, it.pending)
        })
        .collect();
    let expected = [
        ("a logger,,", 1, 1),
        ("test logger,1,127.0.0.1", 3, 3),
        ("test logger,2,127.0.0.1", 1, 1),
    ];
    assert_eq!(
        reports,
        expected.map(|(labels, waiting, pending)| (labels.to_owned(), waiting, pending))
    );
}
