//! What belongs to the process and not to one compiled upstream: it outlives edits, and all workers share it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use lockgate_model::health::CheckedUpstream;
use lockgate_net::tls::{ClientTls, TlsError, client_config};

use crate::{
    ewma::Latencies,
    health::{Checker, Checking, Probes, Settings},
    least_conn::Loads,
    slow_start::Starts,
};

/// What is known of nodes beyond their configuration. Clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    latencies: Latencies,
    loads: Loads,
    starts: Starts,
    checks_health: bool,
    checkers: Mutex<BTreeMap<Arc<str>, Weak<Checker>>>,
    probes: Arc<Probes>,
    tls: Mutex<HashMap<ClientTls, Built>>,
}

/// TLS that was built.
#[derive(Debug)]
struct Built {
    /// What the file of roots held then; another may have taken its place since.
    roots: Option<Vec<u8>>,
    config: Arc<rustls::ClientConfig>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(true)
    }
}

impl Registry {
    /// Nothing known yet. Without `checks_health`, no upstream is checked and every node counts as healthy
    /// (`apisix.disable_upstream_healthcheck`).
    pub fn new(checks_health: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                latencies: Latencies::default(),
                loads: Loads::default(),
                starts: Starts::default(),
                checks_health,
                checkers: Mutex::default(),
                probes: Arc::default(),
                tls: Mutex::default(),
            }),
        }
    }

    /// The upstreams with health checks and what was found out, in the order of their keys.
    pub fn health(&self) -> Vec<CheckedUpstream> {
        let checkers: Vec<_> = {
            let checkers = self.inner.checkers.lock();
            let checkers = checkers.unwrap_or_else(PoisonError::into_inner);
            checkers.values().filter_map(Weak::upgrade).collect()
        };
        let in_force = checkers.iter().filter(|checker| !checker.is_retired());
        in_force.map(|checker| checker.snapshot()).collect()
    }

    pub(crate) fn latencies(&self) -> &Latencies {
        &self.inner.latencies
    }

    pub(crate) fn loads(&self) -> &Loads {
        &self.inner.loads
    }

    pub(crate) fn starts(&self) -> &Starts {
        &self.inner.starts
    }

    pub(crate) fn checks_health(&self) -> bool {
        self.inner.checks_health
    }

    /// The checker of an upstream, which goes on with these settings where there was one before, be it for another compiler.
    pub(crate) fn checker(
        &self,
        key: &Arc<str>,
        settings: Settings,
        previous: Option<&Arc<Checker>>,
    ) -> Checking {
        let mut checkers = self
            .inner
            .checkers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let previous = previous
            .cloned()
            .or_else(|| checkers.get(key).and_then(Weak::upgrade));
        if let Some(checker) = previous.filter(|checker| !checker.is_retired()) {
            checker.change(settings);
            return Checking {
                generation: checker.next_generation(),
                checker,
            };
        }
        let checker = Arc::new(Checker::new(key, settings, self.inner.probes.clone()));
        checkers.retain(|_, checker| checker.strong_count() > 0);
        checkers.insert(key.clone(), Arc::downgrade(&checker));
        Checking {
            checker,
            generation: 0,
        }
    }

    /// TLS of probes, built once for all upstreams that have the same, and anew when the file of roots was replaced.
    pub(crate) fn probe_tls(
        &self,
        verify: bool,
        trusted: Option<&PathBuf>,
    ) -> Result<Arc<rustls::ClientConfig>, TlsError> {
        let tls = ClientTls {
            verify,
            client_cert: None,
            trusted: trusted.cloned(),
        };
        let read = trusted.filter(|_| verify).map(fs::read).transpose();
        let roots = read.map_err(|error| TlsError::Trusted(error.to_string()))?;
        let mut built = self
            .inner
            .tls
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = built.get(&tls)
            && known.roots == roots
        {
            return Ok(known.config.clone());
        }
        let config = client_config(&tls)?;
        let made = Built {
            roots,
            config: config.clone(),
        };
        built.insert(tls, made);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_of_probes_is_built_anew_when_the_roots_were_replaced() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("roots.pem");
        let put = || {
            let root = rcgen::generate_simple_self_signed(["a.test".to_owned()]);
            fs::write(&path, root.expect("a certificate").cert.pem()).expect("written");
        };
        put();
        let registry = Registry::default();
        let tls = |verify| registry.probe_tls(verify, Some(&path)).expect("TLS");
        let before = [true, false].map(tls);
        assert!(Arc::ptr_eq(&before[0], &tls(true)), "built once");
        put();
        assert!(!Arc::ptr_eq(&before[0], &tls(true)));
        assert!(Arc::ptr_eq(&before[1], &tls(false)), "no root is looked at");
        fs::remove_file(&path).expect("there");
        registry
            .probe_tls(true, Some(&path))
            .expect_err("no roots to go by");
    }
}
