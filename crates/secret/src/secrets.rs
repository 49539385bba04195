//! The handle that everything asks.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lockgate_client::Client;
use lockgate_net::{dns::Resolver, tls::ClientTls};
use serde_json::Value;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    Answer, Environment, LookupError, Used,
    error::ManagerError,
    limits::{ANSWER_BYTES, COUNT, NEG_TTL, TTL},
    manager::{Manager, With},
    reference::{Reference, of_environment},
    slots::{Keep, Slots},
};

/// What secrets are looked up with. [`Options::new`] has the reference's defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Variables for `$env://`.
    pub environment: Environment,
    /// Resolves the names of managers.
    pub resolver: Resolver,
    /// `apisix.ssl.ssl_trusted_certificate`; `None` for the system's roots.
    pub trusted: Option<PathBuf>,
    /// `apisix.lru.secret.ttl`: how long a value is used before it is looked up anew.
    pub ttl: Duration,
    /// `apisix.lru.secret.count`: how many values that nothing uses are kept.
    pub count: usize,
    /// `apisix.lru.secret.neg_ttl`: how long a failure stands before the next attempt.
    pub neg_ttl: Duration,
    /// `apisix.lru.secret.neg_count`: how many failures that nothing uses are kept.
    pub neg_count: usize,
    /// Values that serve until they have been looked up anew.
    pub known: Known,
}

/// Values of secrets that managers keep, of [`Secrets::known`]: a configuration that is read anew takes them over, so that a
/// manager that is away just then takes nothing away.
#[derive(Clone, Default)]
pub struct Known {
    values: HashMap<Arc<str>, Value>,
}

impl fmt::Debug for Known {
    /// Shows how many there are.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Known")
            .field("values", &self.values.len())
            .finish()
    }
}

impl Options {
    /// The defaults.
    pub fn new(environment: Environment, resolver: Resolver) -> Self {
        Self {
            environment,
            resolver,
            trusted: None,
            ttl: TTL,
            count: COUNT,
            neg_ttl: NEG_TTL,
            neg_count: COUNT,
            known: Known::default(),
        }
    }
}

/// What is known of secrets. Cheap to clone; clones share all of it.
///
/// Managers are asked by [`Secrets::run`] alone, which somebody has to run.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) with: Arc<With>,
    state: Mutex<State>,
    /// Wakes the task that asks managers.
    pub(crate) wake: Notify,
    /// Counts what happened.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) slots: Slots,
    /// By their keys below `secrets/`.
    pub(crate) managers: BTreeMap<Arc<str>, Arc<Manager>>,
    /// What was known before, until it is asked for.
    known: Known,
}

impl Secrets {
    /// Nothing is known but the environment.
    pub fn new(options: Options) -> Self {
        let client = |verify: bool| {
            let tls = ClientTls {
                verify,
                client_cert: None,
                trusted: options.trusted.clone().filter(|_| verify),
            };
            let client = lockgate_client::Options {
                tls,
                max_body_bytes: ANSWER_BYTES,
                ..lockgate_client::Options::new(options.resolver.clone())
            };
            Client::new(client).map_err(|error| error.to_string())
        };
        let with = With {
            verified: client(true),
            unverified: client(false),
            environment: options.environment,
        };
        let state = State {
            slots: Slots::new(Keep {
                ttl: options.ttl,
                neg_ttl: options.neg_ttl,
                count: options.count,
                neg_count: options.neg_count,
            }),
            managers: BTreeMap::new(),
            known: options.known,
        };
        Self {
            shared: Arc::new(Shared {
                with: Arc::new(with),
                state: Mutex::new(state),
                wake: Notify::new(),
                news: watch::Sender::new(0),
            }),
        }
    }

    /// Takes in a manager, by its key below `secrets/` such as `vault/1`, as it is stored.
    ///
    /// # Errors
    /// See [`ManagerError`]; what the key stood for before stays.
    pub fn put_manager(&self, id: &str, stored: &[u8]) -> Result<(), ManagerError> {
        let manager = Manager::read(id, stored)?;
        let mut state = self.state();
        if state
            .managers
            .get(id)
            .is_some_and(|before| before.is_like(&manager))
        {
            return Ok(());
        }
        state.managers.insert(id.into(), Arc::new(manager));
        state.slots.manager_changed(id, Instant::now());
        drop(state);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Forgets a manager, and what it kept.
    pub fn remove_manager(&self, id: &str) {
        let mut state = self.state();
        if state.managers.remove(id).is_some() {
            state.slots.manager_removed(id, Instant::now());
            drop(state);
            self.tell();
        }
    }

    /// What is known of a text; `None` where it is no reference. Never waits.
    pub fn look_up(&self, text: &str) -> Option<(Answer, Used)> {
        let parsed = Reference::parse(text)?;
        let mut state = self.state();
        let State {
            slots,
            managers,
            known,
        } = &mut *state;
        let now = Instant::now();
        let mut is_old = false;
        let found = slots.get(text, now, || match &parsed {
            Err(malformed) => Answer::Failed(malformed.clone()),
            Ok(Reference::Environment { name, field }) => {
                match of_environment(&self.shared.with.environment, name, *field) {
                    Ok(value) => Answer::Found(value),
                    Err(error) => Answer::Failed(error),
                }
            }
            Ok(Reference::Managed { conf, .. }) if managers.contains_key(*conf) => {
                let old = known.values.remove(text);
                is_old = old.is_some();
                old.map_or(Answer::Pending, Answer::Found)
            }
            Ok(Reference::Managed { .. }) => Answer::Failed(LookupError::NoConf(text.into())),
        });
        if is_old {
            slots.schedule_at(found.1.reference(), now);
        }
        drop(state);
        if is_old || found.0 == Answer::Pending {
            self.shared.wake.notify_one();
        }
        Some(found)
    }

    /// The values that managers keep and something uses, for [`Options::known`].
    pub fn known(&self) -> Known {
        let state = self.state();
        let values = state.slots.values();
        Known {
            values: values
                .filter(|(reference, _)| reference.starts_with("$secret://"))
                .map(|(reference, value)| (reference.clone(), value.clone()))
                .collect(),
        }
    }

    /// Waits until answers change; the references whose answers did. One task at a time may wait.
    pub async fn changed(&self) -> Vec<Arc<str>> {
        let mut news = self.shared.news.subscribe();
        loop {
            news.mark_unchanged();
            let changed = self.take_changed();
            if !changed.is_empty() {
                return changed;
            }
            // The sender is this object's own and cannot be gone.
            let _gone = news.changed().await;
        }
    }

    /// References whose answers changed since this was asked.
    pub fn take_changed(&self) -> Vec<Arc<str>> {
        self.state().slots.take_changed()
    }

    /// Waits, at most for `limit`, until no reference waits for its first answer.
    pub async fn settled(&self, limit: Duration) {
        let mut news = self.shared.news.subscribe();
        let settled = news.wait_for(|_| !self.is_pending());
        // What is late comes later.
        let _late = tokio::time::timeout(limit, settled).await;
    }

    /// Whether a reference waits for its first answer.
    pub fn is_pending(&self) -> bool {
        self.state().slots.is_pending()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for changes.
    pub(crate) fn tell(&self) {
        self.shared.news.send_modify(|count| *count += 1);
    }
}
