//! What waits is bounded.

use lockgate_batch::{Bounds, Settings};
use tokio::runtime::Handle;

use crate::recorder::{self, Attempt, Rig, fates, get};

#[tokio::test(start_paused = true)]
async fn drops_what_is_too_much() {
    for (bounds, accepted) in [
        (Bounds::default(), 8192),
        (
            Bounds {
                entries: 3,
                ..Bounds::default()
            },
            3,
        ),
        (
            Bounds {
                bytes: 49,
                ..Bounds::default()
            },
            4,
        ),
    ] {
        let rig = Rig::with(&[], |settings| settings.batch_max_size = 10_000_000);
        rig.processors.bound("test-logger", bounds);
        let taken = (0..20_000).filter(|entry| rig.processor.push(*entry, 10));
        assert_eq!(taken.count(), accepted, "{bounds:?}");
        let report = rig.processor.report();
        assert_eq!(
            (report.waiting, report.pending),
            (accepted as u64, accepted as u64)
        );
        assert_eq!(fates(&report), (0, 20_000 - accepted as u64, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn entries_on_their_way_count_until_they_have_arrived() {
    let mut rig = Rig::with(&[Attempt::Takes(std::time::Duration::from_secs(1))], |it| {
        it.batch_max_size = 1;
    });
    let bounds = Bounds {
        entries: 1,
        ..Bounds::default()
    };
    rig.processors.bound("test-logger", bounds);
    rig.push([1]);
    rig.attempt().await;
    assert!(!rig.processor.push(2, 0));
    let report = rig.processor.report();
    assert_eq!((report.waiting, report.pending), (0, 1));
    rig.settled().await;
    rig.push([3]);
    assert_eq!(fates(&rig.settled().await), (2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_bound_is_that_of_all_processors_of_a_plugin() {
    let processors = recorder::processors(Handle::current());
    let bounds = Bounds {
        entries: 1,
        ..Bounds::default()
    };
    processors.bound("test-logger", bounds);
    assert_eq!(Bounds::by_worker(5, 2).entries, 10);
    assert_eq!(Bounds::by_worker(usize::MAX, 2).entries, usize::MAX);
    let (one, _seen) = get(&processors, "a", Settings::named("x"), &[]);
    let (other, _seen) = get(&processors, "b", Settings::named("x"), &[]);
    assert!(one.push(1, 0));
    assert!(!other.push(1, 0));
    one.bound(Bounds::default());
    assert!(other.push(1, 0));
}
