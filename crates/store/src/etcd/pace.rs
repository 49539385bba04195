//! When a watch that was lost may be opened again.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::cluster::random_below;

/// Keeps a watcher from knocking without end.
#[derive(Debug)]
pub(super) struct Pace {
    delay: Duration,
    not_before: Option<Instant>,
    resumed_at: Option<Instant>,
}

impl Pace {
    /// `delay` lies between attempts, and up to half as much again.
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            not_before: None,
            resumed_at: None,
        }
    }

    /// Waits until another attempt may be made. Can be given up and called again.
    pub(super) async fn wait(&mut self) {
        if let Some(not_before) = self.not_before {
            sleep_until(not_before).await;
            self.not_before = None;
        }
    }

    /// An attempt failed: the next one waits.
    pub(super) fn failed(&mut self) {
        let half_ms = self.delay.as_millis() as usize / 2;
        let jitter = Duration::from_millis(random_below(half_ms + 1) as u64);
        self.not_before = Some(Instant::now() + self.delay + jitter);
    }

    /// Whether a stream that was lost may be opened again at once: not twice within the delay.
    pub(super) fn may_resume(&mut self) -> bool {
        let now = Instant::now();
        let may = self
            .resumed_at
            .is_none_or(|at| now.duration_since(at) >= self.delay);
        if may {
            self.resumed_at = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn waits_the_delay_and_at_most_half_of_it_more() {
        let mut pace = Pace::new(DELAY);
        let start = Instant::now();
        pace.wait().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        let mut waits = Vec::new();
        for _ in 0..100 {
            pace.failed();
            let start = Instant::now();
            pace.wait().await;
            waits.push(start.elapsed());
        }
        // Timers count whole milliseconds.
        let (least, most) = (waits.iter().min(), waits.iter().max());
        assert!(least >= Some(&DELAY), "{least:?}");
        assert!(
            most <= Some(&(DELAY.mul_f64(1.5) + Duration::from_millis(1))),
            "{most:?}"
        );
        assert_ne!(least, most);
    }

    #[tokio::test(start_paused = true)]
    async fn goes_on_waiting_after_a_wait_that_was_given_up() {
        let mut pace = Pace::new(DELAY);
        pace.failed();
        let start = Instant::now();
        for _ in 0..3 {
            let given_up = tokio::time::timeout(Duration::from_secs(1), pace.wait()).await;
            assert!(given_up.is_err());
        }
        pace.wait().await;
        assert!(start.elapsed() >= DELAY, "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn resumes_at_once_but_not_twice_in_a_row() {
        let mut pace = Pace::new(DELAY);
        assert!(pace.may_resume());
        assert!(!pace.may_resume());
        tokio::time::advance(DELAY).await;
        assert!(pace.may_resume());
    }
}
