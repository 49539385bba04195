//! Binds each worker to a core, as nginx's `worker_cpu_affinity auto` does.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Binds this thread to the core of a worker: of those that the process may use, one after the other. A system that does not
/// allow it is no reason not to serve.
pub(crate) fn pin(worker: usize) {
    let pinned = sched_getaffinity(None).and_then(|allowed| match core_of(worker, &allowed) {
        Some(core) => {
            let mut own = CpuSet::new();
            own.set(core);
            sched_setaffinity(None, &own)
        }
        None => Ok(()),
    });
    if let Err(error) = pinned {
        tracing::warn!(worker, %error, "a worker cannot be bound to a core");
    }
}

fn core_of(worker: usize, allowed: &CpuSet) -> Option<usize> {
    let cores = || (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let count = cores().count();
    cores().nth(worker.checked_rem(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_cores_in_turn() {
        let mut allowed = CpuSet::new();
        assert_eq!(core_of(0, &allowed), None);
        allowed.set(1);
        allowed.set(5);
        let cores: Vec<_> = (0..4).map(|worker| core_of(worker, &allowed)).collect();
        assert_eq!(cores, [Some(1), Some(5), Some(1), Some(5)]);
    }

    #[test]
    fn a_thread_stays_on_its_core() {
        let held = std::thread::spawn(|| {
            let before = sched_getaffinity(None).expect("readable");
            pin(0);
            let after = sched_getaffinity(None).expect("readable");
            (core_of(0, &before), core_of(0, &after), after.count())
        });
        let (expected, core, count) = held.join().expect("ends");
        assert_eq!((core, count), (expected, 1));
    }
}
