//! The task that asks managers.

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    LookupError, Secrets,
    limits::LOOKUPS,
    reference::Reference,
    slots::{Due, Logged},
};

type Outcome = (Due, Result<serde_json::Value, LookupError>);

impl Secrets {
    /// Asks managers, for ever: for what is new at once, for what is known before its time is over.
    pub async fn run(self) {
        let mut asking: JoinSet<Outcome> = JoinSet::new();
        loop {
            while asking.len() < LOOKUPS
                && let Some(lookup) = self.next()
            {
                asking.spawn(lookup);
            }
            // All there can be asked at a time are being asked: the next one waits for one of them.
            let next = self
                .state()
                .slots
                .next_due()
                .filter(|_| asking.len() < LOOKUPS);
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = due => {}
                Some(done) = asking.join_next() => {
                    match done {
                        Ok((due, outcome)) => self.answered(&due, outcome),
                        // It is made again when its time is over.
                        Err(error) => tracing::error!(%error, "a secret is not known: its lookup was lost"),
                    }
                }
            }
        }
    }

    /// The next lookup that is due.
    fn next(&self) -> Option<impl Future<Output = Outcome> + Send + 'static> {
        let mut state = self.state();
        let was_pending = state.slots.is_pending();
        let Some(due) = state.slots.take_due(Instant::now()) else {
            // What nothing uses was forgotten, and it may have been all that `settled` waits for.
            let is_settled = was_pending && !state.slots.is_pending();
            drop(state);
            if is_settled {
                self.tell();
            }
            return None;
        };
        let manager = match Reference::parse(&due.reference) {
            Some(Ok(Reference::Managed { conf, .. })) => state.managers.get(conf).cloned(),
            _ => None,
        };
        drop(state);
        let with = self.shared.with.clone();
        Some(async move {
            let outcome = match (manager, Reference::parse(&due.reference)) {
                (Some(manager), Some(Ok(Reference::Managed { key, .. }))) => {
                    manager.look_up(key, &with).await
                }
                _ => Err(LookupError::NoConf(due.reference.to_string())),
            };
            (due, outcome)
        })
    }

    fn answered(&self, due: &Due, outcome: Result<serde_json::Value, LookupError>) {
        let why = outcome.as_ref().err().map(ToString::to_string);
        let logged = self.state().slots.answered(due, outcome, Instant::now());
        if let (Logged::Stale, Some(why)) = (logged, why) {
            // The words are the reference's, for who searches logs for them.
            let reference = &due.reference;
            tracing::error!("failed to refresh stale obj for key {reference}: {why}");
        }
        self.tell();
    }
}
