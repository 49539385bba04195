//! From an upstream as stored to one that is used.

use std::{
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use lockgate_discovery::{Discovery, Service, Subscription};
use lockgate_http::pool::Keep;
use lockgate_keyring::{DecryptError, Keyring};
use lockgate_model::resource::{
    self, DEFAULT_TIMEOUT_S, OutlierPolicy, PassHost, Policy, ProbeKind, Scheme,
};
use lockgate_net::{
    dns::Resolver,
    tls::{ClientTls, TlsError, client_config},
};
use thiserror::Error;
use tokio::sync::watch;

use crate::{
    About, Beyond, Gate, HashKey, Named, Origin, Prepared, Registry, Retry, Source, Sticky,
    Timeouts, Upstream,
    balancer::{Balancer, Plan},
    health::Settings,
    node::{Common, hash_of},
    prepared::Following,
    refresh::Lookup,
};

/// What upstreams are compiled with.
#[derive(Debug, Clone)]
pub struct Compile {
    /// Resolves the names of nodes.
    pub resolver: Resolver,
    /// What an upstream does not say itself.
    pub defaults: Defaults,
    /// How many workers keep their own place in each round.
    pub workers: usize,
    /// `apisix.ssl.ssl_trusted_certificate`; `None` for the system's roots.
    pub trusted: Option<PathBuf>,
    /// What the process knows of nodes; one for all upstreams.
    pub registry: Registry,
    /// `apisix.data_encryption.keyring`, with which `tls.client_key` may be encrypted.
    pub keyring: Keyring,
    /// Where services are looked up.
    pub discovery: Discovery,
    /// `apisix.dns_all_addresses`: whether each address of a name is a node, or one of them by chance.
    pub all_addresses: bool,
}

/// `nginx_config.http.upstream` of `config.yaml`.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// `keepalive`: idle connections per node and worker.
    pub keepalive: usize,
    /// `keepalive_requests`
    pub keepalive_requests: u64,
    /// `keepalive_timeout`
    pub keepalive_timeout: Duration,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            keepalive: 320,
            keepalive_requests: 1000,
            keepalive_timeout: Duration::from_mins(1),
        }
    }
}

/// An upstream, and what of it is not honoured.
#[derive(Debug)]
pub struct Compiled {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// What is stored but has no effect.
    pub warnings: Vec<Warning>,
}

/// Something stored that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// Another balancer is used.
    #[error("the balancer {0} is not built in: roundrobin is used")]
    Balancer(String),
    /// Every node counts as healthy.
    #[error("the health checks cannot be read, and every node counts as healthy: {0}")]
    Checks(String),
    /// All of it is off.
    #[error("the field lockgate cannot be read, and nothing in it has an effect: {0}")]
    Beyond(String),
    /// Nodes are probed instead.
    #[error("lockgate.outlier has no effect in an upstream with checks")]
    Outlier,
    /// There are no nodes.
    #[error("discovery {0} is uninitialized: it is not configured, and the upstream has no nodes")]
    Discovery(String),
    /// HTTP/1.1 is spoken.
    #[error("the scheme is not built in: HTTP/1.1 is spoken")]
    Scheme,
}

/// An upstream that cannot be used.
#[derive(Debug, Error)]
pub enum UpstreamError {
    /// Its TLS settings are wrong.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its private key is stored encrypted with another key.
    #[error("tls.client_key cannot be decrypted: {0}")]
    ClientKey(#[from] DecryptError),
}

impl Upstream {
    /// Compiles a stored upstream. `key` is the store's key of the object it stands in. `previous` is what it was before an
    /// edit: where rounds stand and what is known of the health of its nodes is taken over from it.
    ///
    /// Whoever calls puts the certificate of `tls.client_cert_id` in its place, and the values of references to secrets.
    /// Never waits: names that need asking are asked for in the background. Must run within a tokio runtime that lives as
    /// long as the upstream.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub fn compile(
        stored: &resource::Upstream,
        with: &Compile,
        key: &Arc<str>,
        previous: Option<&Self>,
    ) -> Result<Compiled, UpstreamError> {
        Self::prepare(stored, with, key, previous).map(Prepared::put_in_force)
    }

    /// The same, of which `previous` hears nothing before the upstream is put in force.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub fn prepare(
        stored: &resource::Upstream,
        with: &Compile,
        key: &Arc<str>,
        previous: Option<&Self>,
    ) -> Result<Prepared, UpstreamError> {
        let is_tls = stored.scheme.is_tls();
        let tls_fields = stored.tls.clone().unwrap_or_default();
        let client_cert = match tls_fields.client_cert.zip(tls_fields.client_key) {
            Some((chain, key)) => {
                let key = with.keyring.decrypt_private_key(&key)?.into_owned();
                Some((chain, key))
            }
            None => None,
        };
        let certificate = client_cert.as_ref().map_or(0, |(chain, _)| hash_of(chain));
        let tls = if is_tls {
            let tls = ClientTls {
                verify: tls_fields.verify,
                client_cert,
                trusted: with.trusted.clone(),
            };
            Some(client_config(&tls)?)
        } else {
            None
        };
        let certificate = hash_of(&(certificate, tls_fields.verify));
        let balancer = Balancer::of(stored.balancer.as_deref()).unwrap_or_default();
        let mut warnings = warnings(stored);
        let policy = stored.policy().unwrap_or_else(|error| {
            warnings.push(Warning::Beyond(error.to_string()));
            Policy::default()
        });
        let beyond = beyond(&policy, &with.keyring, previous);
        let common = Common {
            scheme: stored.scheme,
            certificate,
            plan: Plan {
                balancer,
                workers: with.workers,
                registry: with.registry.clone(),
                key: key.clone(),
                counts_requests: policy
                    .limits
                    .as_ref()
                    .is_some_and(|limits| limits.max_requests_per_node.is_some()),
                names_nodes: policy.sticky.as_ref().map(|_| with.keyring.clone()),
                slow_start: policy
                    .slow_start
                    .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                    .filter(|window| !window.is_zero()),
            },
            checking: None,
        };
        let (origin, mut subscription) = origin(stored, &with.discovery);
        let nodes: Arc<[resource::Node]> = match (&origin, &mut subscription) {
            (_, Some(subscription)) => subscription.nodes(),
            (Origin::Written(nodes), None) => nodes.as_slice().into(),
            (Origin::Registry(..), None) => [].into(),
        };
        let about = About {
            key: key.clone(),
            scheme: stored.scheme,
            kind: balancer.name(),
            service: match &origin {
                Origin::Written(_) => None,
                Origin::Registry(kind, service) => Some((kind.clone(), service.name.clone())),
            },
        };
        let known: Vec<_> = nodes
            .iter()
            .flat_map(|node| common.local_nodes(node, &with.resolver, with.all_addresses))
            .collect();
        let is_literal = |node: &resource::Node| {
            with.resolver
                .local(&node.host)
                .is_some_and(|answer| answer.ttl == Duration::MAX)
        };
        let is_followed = subscription.is_some();
        let is_settled = subscription.as_ref().is_none_or(Subscription::is_settled);
        if let Origin::Registry(kind, _) = &origin
            && !is_followed
        {
            warnings.push(Warning::Discovery(kind.clone()));
        }
        let outlier = policy.outlier.as_ref();
        let checks = checks(stored, outlier, with, key, &mut warnings);
        let is_local = |node: &resource::Node| with.resolver.local(&node.host).is_some();
        let is_known = nodes.iter().all(is_local) && is_settled;
        let previous_nodes = previous.map(Upstream::nodes);
        let known = match previous.map(|previous| &previous.source) {
            // While names or registry are asked anew, what the same ones meant before still serves.
            Some(Source::Named(before))
                if before.origin == origin
                    && known.is_empty()
                    && (!nodes.is_empty() || !is_settled) =>
            {
                before.current.load().iter().cloned().collect()
            }
            _ => known,
        };
        let set = common.set(known, previous_nodes.as_deref());
        let (source, resolving) = if !is_followed && nodes.iter().all(is_literal) {
            (Source::Fixed(set), None)
        } else {
            let (done, is_resolved) = watch::channel(is_known);
            let named = Named {
                current: ArcSwap::from_pointee(set),
                is_resolved,
                origin,
            };
            (Source::Named(Box::new(named)), Some(done))
        };
        let timeouts = stored
            .timeout
            .as_ref()
            .map_or_else(default_timeouts, Timeouts::from);
        let upstream = Arc::new(Self {
            about: Box::new(about),
            pass_host: stored.pass_host,
            is_tls,
            host: stored.upstream_host.as_deref().unwrap_or_default().into(),
            timeouts,
            retries: stored
                .retries
                .and_then(|retries| u32::try_from(retries).ok()),
            retry_timeout: stored
                .retry_timeout
                .filter(|limit| *limit > 0.0)
                .map(|limit| Duration::try_from_secs_f64(limit).unwrap_or(Duration::MAX)),
            keep: keep(stored, &with.defaults),
            tls,
            hash_key: (balancer == Balancer::Chash)
                .then(|| HashKey::new(stored.hash_on, stored.key.as_deref())),
            checker: OnceLock::new(),
            beyond,
            source,
        });
        let following = resolving.map(|done| Following {
            lookup: Lookup {
                resolver: with.resolver.clone(),
                all_addresses: with.all_addresses,
            },
            subscription,
            done,
        });
        Ok(Prepared {
            upstream,
            warnings,
            common,
            checks,
            checker_before: previous.and_then(|previous| previous.checker.get().cloned()),
            following,
        })
    }
}

/// Who says which nodes there are, and where a registry says it. A service wins over nodes, as in the reference.
fn origin(stored: &resource::Upstream, discovery: &Discovery) -> (Origin, Option<Subscription>) {
    let (Some(name), Some(kind)) = (&stored.service_name, &stored.discovery_type) else {
        let nodes = stored.nodes.clone().unwrap_or_default();
        return (Origin::Written(nodes), None);
    };
    let argument = |name: &str| {
        let arguments = stored.discovery_args.as_ref()?;
        Some(arguments.get(name)?.as_str()?.to_owned())
    };
    let service = Service {
        name: name.clone(),
        namespace_id: argument("namespace_id"),
        group_name: argument("group_name"),
        is_grpc: matches!(stored.scheme, Scheme::Grpc | Scheme::Grpcs),
    };
    let subscription = discovery.subscribe(kind, &service);
    (Origin::Registry(kind.clone(), service), subscription)
}

/// The health checks of an upstream.
fn checks(
    stored: &resource::Upstream,
    outlier: Option<&OutlierPolicy>,
    with: &Compile,
    key: &Arc<str>,
    warnings: &mut Vec<Warning>,
) -> Option<Settings> {
    let checks = stored.checks.as_ref().map(resource::Checks::read);
    let checks = match checks {
        Some(Ok(checks)) => Some(checks),
        Some(Err(error)) => {
            warnings.push(Warning::Checks(error.to_string()));
            None
        }
        None => None,
    };
    if checks.is_some() && outlier.is_some() {
        warnings.push(Warning::Outlier);
    }
    let Some(checks) = checks else {
        return outlier.map(Settings::outlier);
    };
    let tls = (checks.active.kind == ProbeKind::Https).then(|| {
        with.registry.probe_tls(
            checks.active.https_verify_certificate,
            with.trusted.as_ref(),
        )
    });
    let tls = match tls {
        Some(Ok(tls)) => Some(tls),
        Some(Err(error)) => {
            tracing::error!(%key, %error, "nodes cannot be probed over TLS and count as failing");
            None
        }
        None => None,
    };
    let host = stored.upstream_host.as_deref();
    let rewritten = host.filter(|_| stored.pass_host == PassHost::Rewrite);
    Some(Settings::new(checks, rewritten, tls))
}

/// What goes beyond the reference. What is under way, and what is left of a budget, outlives an edit.
fn beyond(policy: &Policy, keyring: &Keyring, previous: Option<&Upstream>) -> Option<Box<Beyond>> {
    let previous = previous.and_then(Upstream::beyond);
    let beyond = Beyond {
        retry: policy.retry.as_ref().map(|stored| {
            Retry::new(
                stored,
                previous.and_then(|previous| previous.retry.as_ref()),
            )
        }),
        gate: policy
            .limits
            .as_ref()
            .map(|stored| Gate::new(stored, previous.and_then(|previous| previous.gate.as_ref()))),
        sticky: policy
            .sticky
            .as_ref()
            .map(|stored| Sticky::new(stored, keyring)),
    };
    let is_any = beyond.retry.is_some() || beyond.gate.is_some() || beyond.sticky.is_some();
    is_any.then(|| Box::new(beyond))
}

fn default_timeouts() -> Timeouts {
    let all = Duration::from_secs_f64(DEFAULT_TIMEOUT_S);
    Timeouts {
        connect: all,
        send: all,
        read: all,
    }
}

fn keep(stored: &resource::Upstream, defaults: &Defaults) -> Keep {
    let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    match &stored.keepalive_pool {
        None => Keep {
            size: defaults.keepalive,
            idle_us: micros(defaults.keepalive_timeout),
            requests: defaults.keepalive_requests,
        },
        Some(pool) => Keep {
            size: usize::try_from(pool.size).unwrap_or(0),
            idle_us: micros(Duration::try_from_secs_f64(pool.idle_timeout).unwrap_or_default()),
            requests: u64::try_from(pool.requests).unwrap_or(0),
        },
    }
}

fn warnings(stored: &resource::Upstream) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if let Some(name) = &stored.balancer
        && Balancer::of(Some(name)).is_none()
    {
        warnings.push(Warning::Balancer(name.clone()));
    }
    if !matches!(stored.scheme, Scheme::Http | Scheme::Https) {
        warnings.push(Warning::Scheme);
    }
    if stored.pass_host == PassHost::Rewrite && stored.upstream_host.is_none() {
        // Refused on write; what an older writer stored is served with an empty Host by the reference.
        tracing::debug!("pass_host is rewrite, and there is no upstream_host");
    }
    warnings
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lockgate_net::{clock::Clock, dns::DnsOptions};

    use super::*;
    use crate::Tried;

    fn with() -> Compile {
        // Each call has a file of its own: tests run side by side, and a rewritten file is empty for a moment.
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let hosts =
            std::env::temp_dir().join(format!("lockgate-hosts-{}-{call}", std::process::id()));
        std::fs::write(
            &hosts,
            "127.0.0.9 known.test\n127.0.0.7 many.test\n127.0.0.8 many.test\n",
        )
        .expect("written");
        let options = DnsOptions {
            servers: vec![([127, 0, 0, 1], 1).into()],
            timeout: Duration::from_millis(200),
            hosts,
            ..DnsOptions::default()
        };
        Compile {
            resolver: Resolver::new(options),
            defaults: Defaults::default(),
            workers: 1,
            trusted: None,
            registry: Registry::default(),
            keyring: Keyring::new(["qeddd145sfvddff3", "edd1c9f0985e76a2"]),
            discovery: Discovery::default(),
            all_addresses: false,
        }
    }

    fn compile(json: &str, previous: Option<&Upstream>) -> Compiled {
        let stored = serde_json::from_str(json).expect("valid");
        Upstream::compile(&stored, &with(), &"upstreams/1".into(), previous).expect("compiles")
    }

    #[tokio::test]
    async fn reads_every_setting() {
        let compiled = compile(
            r#"{"nodes":{"127.0.0.1":1,"127.0.0.2:81":0},"scheme":"https","retries":0,"retry_timeout":1.5,"type":"other",
                "timeout":{"connect":1,"send":2,"read":0.5},"keepalive_pool":{"size":2,"idle_timeout":3,"requests":4}}"#,
            None,
        );
        let upstream = compiled.upstream;
        assert_eq!(compiled.warnings, [Warning::Balancer("other".into())]);
        assert_eq!(upstream.timeouts().read, Duration::from_millis(500));
        assert_eq!(
            upstream.keep(),
            Keep {
                size: 2,
                idle_us: 3_000_000,
                requests: 4
            }
        );
        assert_eq!(
            (
                upstream.retries(&upstream.nodes()),
                upstream.retry_timeout()
            ),
            (0, Some(Duration::from_millis(1500)))
        );
        assert!(upstream.tls().is_some());
        let nodes = upstream.nodes();
        assert_eq!(nodes.len(), 1, "weight 0 gets no traffic");
        assert_eq!(
            nodes
                .iter()
                .map(|node| node.address.to_string())
                .collect::<Vec<_>>(),
            ["127.0.0.1:443", "127.0.0.2:81"]
        );
    }

    #[tokio::test]
    async fn names_in_the_hosts_file_are_there_at_once_and_others_are_waited_for() {
        let upstream = compile(r#"{"nodes":{"known.test:81":1}}"#, None).upstream;
        assert_eq!(
            upstream
                .nodes()
                .iter()
                .next()
                .expect("known")
                .address
                .to_string(),
            "127.0.0.9:81"
        );
        let upstream = compile(r#"{"nodes":{"known.test:81":1,"unknown.test":1}}"#, None).upstream;
        upstream.resolved(Duration::from_secs(5)).await;
        assert_eq!(
            upstream.nodes().len(),
            1,
            "a name without address is left out"
        );
    }

    #[tokio::test]
    async fn every_address_of_a_name_is_a_node_where_that_is_asked_for() {
        let stored = r#"{"nodes":{"many.test:81":3,"127.0.0.1:81":1}}"#;
        let stored = serde_json::from_str(stored).expect("valid");
        for (all_addresses, expected) in [
            (false, &["127.0.0.1:81 1", "127.0.0.7:81 3"][..]),
            (
                true,
                &["127.0.0.1:81 1", "127.0.0.7:81 3", "127.0.0.8:81 3"],
            ),
        ] {
            let with = Compile {
                all_addresses,
                ..with()
            };
            let key = "upstreams/1".into();
            let compiled = Upstream::compile(&stored, &with, &key, None).expect("compiles");
            let upstream = compiled.upstream;
            let shown = || {
                let nodes = upstream.nodes();
                let mut shown: Vec<String> = nodes
                    .iter()
                    .map(|node| format!("{} {}", node.address, node.weight))
                    .map(|node| match node.strip_prefix("127.0.0.8:") {
                        // Either is as good.
                        Some(rest) if !all_addresses => format!("127.0.0.7:{rest}"),
                        _ => node,
                    })
                    .collect();
                shown.sort();
                shown
            };
            assert_eq!(shown(), expected);
            // The same after the names were asked for again.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            assert_eq!(shown(), expected);
        }
    }

    #[tokio::test]
    async fn the_round_goes_on_after_an_edit() {
        let nodes = r#""nodes":{"127.0.0.1:1":1,"127.0.0.1:2":1,"127.0.0.1:3":1}"#;
        let before = compile(&format!("{{{nodes}}}"), None).upstream;
        let port = |upstream: &Upstream| {
            upstream
                .nodes()
                .pick(0, &Clock::new(), &mut Tried::default())
                .map(|node| node.address.port())
        };
        let first = port(&before).expect("a node");
        let after = compile(&format!("{{{nodes},\"retries\":1}}"), Some(&before)).upstream;
        assert_eq!(port(&after), Some(first % 3 + 1));
    }

    #[tokio::test]
    async fn what_no_one_checked_does_not_get_out_of_hand() {
        for (policy, name) in [
            (
                r#"{"limits":{"max_requests":1,"pending_timeout":1e19}}"#,
                "limits.pending_timeout",
            ),
            (
                r#"{"retry":{"per_try_timeout":-1}}"#,
                "retry.per_try_timeout",
            ),
            (r#"{"retry":{"budget":{"ratio":2}}}"#, "retry.budget.ratio"),
            (r#"{"sticky":{"path":"/\r\nA: b"}}"#, "sticky.path"),
            (r#"{"sticky":{"cookie":"a;b"}}"#, "sticky.cookie"),
        ] {
            let compiled = compile(
                &format!(r#"{{"nodes":{{"127.0.0.1":1}},"lockgate":{policy}}}"#),
                None,
            );
            let expected = Warning::Beyond(format!("{name} is out of its range"));
            assert_eq!(compiled.warnings, [expected]);
            assert!(compiled.upstream.beyond().is_none());
        }
    }

    #[tokio::test]
    async fn names_bad_certificates() {
        let compile = |tls: serde_json::Value, with: &Compile| {
            let stored = serde_json::json!({"scheme": "https", "tls": tls});
            let stored = serde_json::from_value(stored).expect("valid");
            Upstream::compile(&stored, with, &"upstreams/1".into(), None)
                .map(drop)
                .map_err(|error| error.to_string())
        };
        let with = with();
        let pair = rcgen::generate_simple_self_signed(["client.test".to_owned()]).expect("made");
        let (chain, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
        let older = Keyring::new(["edd1c9f0985e76a2"]).encrypt(&key);
        let foreign = Keyring::new(["0123456789abcdef"]).encrypt(&key);
        for (key, expected) in [
            (key.as_str(), Ok(())),
            (&with.keyring.encrypt(&key), Ok(())),
            (&older, Ok(())),
            (
                &foreign,
                Err("tls.client_key cannot be decrypted: no key of the keyring decrypts it"),
            ),
            (
                "y",
                Err("tls.client_key cannot be decrypted: it is not encrypted"),
            ),
        ] {
            let tls = serde_json::json!({"client_cert": chain, "client_key": key});
            assert_eq!(
                compile(tls, &with),
                expected.map_err(str::to_owned),
                "{key}"
            );
        }
        let tls = serde_json::json!({"client_cert": "x", "client_key": key});
        let refused = compile(tls, &with).expect_err("no certificate");
        assert!(
            refused.starts_with("the client certificate cannot be used"),
            "{refused}"
        );
        // Without a certificate the key is not used.
        assert_eq!(
            compile(serde_json::json!({"client_key": "y"}), &with),
            Ok(())
        );
    }
}
