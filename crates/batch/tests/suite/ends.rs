//! The end of the gateway.

use std::time::Duration;

use lockgate_batch::{Flushed, Settings};
use tokio::time::Instant;

use crate::recorder::{Attempt, Rig, fails, fates, get};

#[tokio::test(start_paused = true)]
async fn sends_what_is_queued_and_says_what_it_could_not() {
    let second = Duration::from_secs(1);
    for (script, expected, takes) in [
        (vec![], (2, 0), Duration::ZERO),
        // A retry is still made in time.
        (vec![fails()], (2, 0), second),
        (vec![fails(), fails()], (0, 2), second),
        (vec![Attempt::Hangs], (0, 2), 10 * second),
        (vec![Attempt::Panics], (0, 2), Duration::ZERO),
    ] {
        let mut rig = Rig::with(&script, |settings| settings.max_retry_count = 1);
        rig.push(1..=2);
        let began = Instant::now();
        let flushed = rig.processors.flush(began + 10 * second).await;
        let (sent, lost) = expected;
        assert_eq!(flushed, Flushed { sent, lost }, "{script:?}");
        assert_eq!(began.elapsed(), takes, "{script:?}");
        assert_eq!(rig.attempt().await, (0, vec![1, 2]), "{script:?}");
        let report = rig.processor.report();
        assert_eq!(
            (report.pending, fates(&report)),
            (0, (sent, 0, lost)),
            "{script:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn accepts_nothing_after_it() {
    let rig = Rig::new(&[]);
    assert_eq!(
        rig.processors.flush(Instant::now()).await,
        Flushed::default()
    );
    assert!(!rig.processor.push(1, 0));
    let (new, _seen) = get(&rig.processors, "b", Settings::named("x"), &[]);
    assert!(!new.push(1, 0));
    assert_eq!(fates(&new.report()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn waits_for_what_is_on_its_way() {
    let slow = Attempt::Takes(Duration::from_secs(3));
    let mut rig = Rig::new(&[slow]);
    rig.push(1..=3);
    rig.attempt().await;
    let flushed = rig
        .processors
        .flush(Instant::now() + Duration::from_secs(5))
        .await;
    assert_eq!(flushed, Flushed { sent: 3, lost: 0 });
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_processor_that_nobody_holds_are_flushed_too() {
    let mut rig = Rig::with(&[fails()], |settings| settings.max_retry_count = 1);
    rig.push([1]);
    drop(std::mem::replace(
        &mut rig.processor,
        get(&rig.processors, "b", Settings::named("x"), &[]).0,
    ));
    rig.attempt().await;
    let flushed = rig
        .processors
        .flush(Instant::now() + Duration::from_secs(5))
        .await;
    assert_eq!(flushed, Flushed { sent: 1, lost: 0 });
}
