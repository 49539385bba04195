//! Batches that fail.

use std::time::Duration;

use lockgate_batch::Failed;

use crate::recorder::{Attempt, Rig, fails, fates};

#[tokio::test(start_paused = true)]
async fn sends_again_as_often_as_told() {
    for (script, retries, attempts, expected) in [
        // Succeeds on the second attempt.
        (vec![fails()], 2, vec![0, 1000], (3, 0, 0)),
        (vec![fails(); 9], 2, vec![0, 1000, 2000], (0, 0, 3)),
        (vec![fails(); 9], 0, vec![0], (0, 0, 3)),
        (vec![Attempt::Panics; 9], 2, vec![0], (0, 0, 3)),
        (vec![Attempt::Hangs], 1, vec![0, 301_000], (3, 0, 0)),
    ] {
        let case = format!("{script:?}, {retries}");
        let mut rig = Rig::with(&script, |settings| settings.max_retry_count = retries);
        rig.push(1..=3);
        let report = rig.settled().await;
        assert_eq!(fates(&report), expected, "{case}");
        for at in attempts {
            assert_eq!(rig.attempt().await, (at, vec![1, 2, 3]), "{case}");
        }
        assert!(rig.is_silent(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn sends_only_what_was_not_taken_again() {
    let after = |sent| Attempt::Fails(Failed::after(sent, "broke off"));
    for (script, retries, attempts, expected) in [
        (
            vec![after(1), after(1)],
            2,
            vec![vec![1, 2, 3], vec![2, 3], vec![3]],
            (3, 0, 0),
        ),
        (
            vec![after(1), after(1)],
            1,
            vec![vec![1, 2, 3], vec![2, 3]],
            (2, 0, 1),
        ),
        // All were taken, whatever else it says: nothing is left to send.
        (vec![after(3)], 5, vec![vec![1, 2, 3]], (3, 0, 0)),
        (vec![after(99)], 5, vec![vec![1, 2, 3]], (3, 0, 0)),
    ] {
        let mut rig = Rig::with(&script, |settings| {
            settings.max_retry_count = retries;
            settings.retry_delay = Duration::ZERO;
        });
        rig.push(1..=3);
        assert_eq!(fates(&rig.settled().await), expected, "{script:?}");
        for entries in attempts {
            assert_eq!(rig.attempt().await.1, entries, "{script:?}");
        }
        assert!(rig.is_silent(), "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn batches_that_wait_for_a_retry_let_others_pass() {
    let mut rig = Rig::with(&vec![fails(); 64], |settings| {
        settings.batch_max_size = 1;
        settings.max_retry_count = 1;
        settings.retry_delay = Duration::from_secs(100);
    });
    rig.push(0..64);
    for _ in 0..64 {
        rig.attempt().await;
    }
    rig.push([64]);
    assert_eq!(rig.attempt().await, (0, vec![64]));
    assert_eq!(rig.settled().await.sent, 65);
}
