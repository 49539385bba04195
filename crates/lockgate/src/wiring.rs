//! From the options of `config.yaml` to what each crate is told.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lockgate_admin::{
    AdminKey, AdminOptions, BuiltIn, CacheZone, ControlOptions, Discovered, Environment,
    PluginLists, Plugins, RealIp, Role,
};
use lockgate_discovery::{Discovery, Shown, StartError};
use lockgate_explain::Explainer;
use lockgate_keyring::{Keyring, PluginSecrets};
use lockgate_model::boot::{
    AdminRole, Config, Count, Escape, Provider, ProxyMode, Role as BootRole, RouterMode,
};
use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_plugin::NodeOptions;
use lockgate_proxy::{DebugMode, LogOptions, Options};
use lockgate_router::Mode;
use lockgate_secret::{Known, Secrets};
use lockgate_snapshot::{Settings, Status};
use lockgate_upstream::{Compile, Defaults, Registry};

use crate::{configuration::Configuration, instance, store::Opened, version};

/// What the workers are told. `listen` and `proxied` (for the PROXY protocol) are where they are to listen, which depends on what the
/// machine can do.
pub(crate) fn proxy(
    configuration: &Configuration,
    listen: Vec<SocketAddr>,
    proxied: Vec<SocketAddr>,
    debug: DebugMode,
) -> Options {
    let (apisix, nginx) = (
        &configuration.boot.config.apisix,
        &configuration.boot.config.nginx_config,
    );
    let http = &nginx.http;
    let defaults = Options::default();
    Options {
        listen,
        listen_proxy_protocol: proxied,
        workers: workers(configuration),
        pins_workers: nginx.enable_cpu_affinity,
        server: version::server(apisix.enable_server_tokens),
        show_upstream_status: apisix.show_upstream_status_in_response_header,
        reason_header: configuration.boot.config.lockgate.reason_header,
        debug,
        delete_uri_tail_slash: apisix.delete_uri_tail_slash,
        normalize_uri_like_servlet: apisix.normalize_uri_like_servlet,
        match_uri_encoded_slash: apisix.match_uri_encoded_slash,
        max_post_args_bytes: match apisix.max_post_args_readable_size {
            None => defaults.max_post_args_bytes,
            Some(Count(0)) => u64::MAX,
            Some(Count(mebibytes)) => mebibytes.saturating_mul(1 << 20),
        },
        max_graphql_bytes: match configuration.boot.config.graphql.max_size {
            None => defaults.max_graphql_bytes,
            Some(Count(bytes)) => bytes,
        },
        header_timeout: http.client_header_timeout.0,
        body_timeout: http.client_body_timeout.0,
        send_timeout: http.send_timeout.0,
        keepalive_timeout: http.keepalive_timeout.0,
        max_body_bytes: http.client_max_body_size.0,
        charset: Some(http.charset.clone()).filter(|charset| charset != "off"),
        real_ip_from: http.real_ip_from.0.clone(),
        real_ip_header: http.real_ip_header.to_ascii_lowercase(),
        real_ip_recursive: http.real_ip_recursive.0,
        trusted_addresses: apisix.trusted_addresses.0.clone(),
        drain_timeout: nginx.worker_shutdown_timeout.0,
    }
}

/// What plugins are told of the process.
pub(crate) fn node(configuration: &Configuration) -> NodeOptions {
    NodeOptions {
        workers: workers(configuration),
        attributes: configuration.boot.config.plugin_attr.clone(),
        https_ports: configuration.boot.listeners.https_ports.as_slice().into(),
        resolver: Resolver::new(dns(configuration)),
        id: instance::id(configuration).into(),
        hostname: lockgate_proxy::hostname().into(),
        trusted: configuration.trusted(),
    }
}

/// How many workers there are.
pub(crate) fn workers(configuration: &Configuration) -> usize {
    if configuration.boot.config.apisix.enable_dev_mode {
        return 1;
    }
    match configuration.boot.config.nginx_config.worker_processes.0 {
        Some(count) => count.get(),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// What the access log is told; `None` where there is none.
pub(crate) fn access_log(configuration: &Configuration) -> Option<LogOptions> {
    let http = &configuration.boot.config.nginx_config.http;
    if !http.logs_requests() {
        return None;
    }
    Some(LogOptions {
        path: configuration.below_prefix(&http.access_log),
        format: http.access_log_format.clone(),
        escape: match http.access_log_format_escape {
            Escape::Default => lockgate_proxy::Escape::Default,
            Escape::Json => lockgate_proxy::Escape::Json,
            Escape::None => lockgate_proxy::Escape::None,
        },
        buffer_bytes: usize::try_from(http.access_log_buffer.0).unwrap_or(usize::MAX),
    })
}

/// What is known of nodes: what was known `before`, unless health checks were switched on or off.
pub(crate) fn registry(
    configuration: &Configuration,
    before: Option<(&Configuration, &Registry)>,
) -> Registry {
    match before {
        Some((before, registry)) if checks_health(before) == checks_health(configuration) => {
            registry.clone()
        }
        _ => Registry::new(checks_health(configuration)),
    }
}

/// Whether nodes are probed. A control plane sends them nothing.
fn checks_health(configuration: &Configuration) -> bool {
    let config = &configuration.boot.config;
    !config.apisix.disable_upstream_healthcheck && config.deployment.role != BootRole::ControlPlane
}

/// What the compiler is told.
pub(crate) fn compiler(
    configuration: &Configuration,
    registry: Registry,
    known: Known,
    discovery: Discovery,
    plugins: lockgate_snapshot::Plugins,
) -> Settings {
    let defaults = &configuration.boot.config.nginx_config.http.upstream;
    let resolver = Resolver::new(dns(configuration));
    Settings {
        router: match configuration.boot.config.apisix.router.http {
            RouterMode::RadixtreeUri => Mode::Uri,
            RouterMode::RadixtreeHostUri => Mode::HostUri,
            RouterMode::RadixtreeUriWithParameter => Mode::UriWithParameter,
        },
        upstream: Compile {
            resolver: resolver.clone(),
            defaults: Defaults {
                keepalive: usize::try_from(defaults.keepalive.0).unwrap_or(usize::MAX),
                keepalive_requests: defaults.keepalive_requests.0,
                keepalive_timeout: defaults.keepalive_timeout.0,
            },
            workers: workers(configuration),
            trusted: configuration.trusted(),
            registry,
            keyring: keyring(configuration),
            discovery,
            all_addresses: configuration.boot.config.apisix.dns_all_addresses,
        },
        plugin_secrets: Arc::new(environment(configuration).plugin_secrets()),
        secrets: Secrets::new(secrets(configuration, resolver, known)),
        plugins,
    }
}

/// Keys of secrets at rest.
fn keyring(configuration: &Configuration) -> Keyring {
    let encryption = &configuration.boot.config.apisix.data_encryption;
    Keyring::new(&encryption.keyring.0)
}

/// What the checks of the Admin API depend on. In files nothing is encrypted, as in the reference.
pub(crate) fn environment(configuration: &Configuration) -> Environment {
    let config = &configuration.boot.config;
    let is_in_store = matches!(
        config.deployment.provider(),
        Provider::Embedded | Provider::Etcd
    );
    let names = |list: &[String]| (!is_in_store).then(|| list.iter().cloned().collect());
    Environment {
        encrypts: is_in_store && config.apisix.data_encryption.enable_encrypt_fields,
        keyring: keyring(configuration),
        plugins: names(&config.plugins),
        stream_plugins: names(&config.stream_plugins),
        cache_zones: config.apisix.proxy_cache.as_ref().map(|cache| {
            let zones = cache.zones.iter().map(|zone| CacheZone {
                name: zone.name.clone(),
                is_on_disk: zone.disk_path.is_some(),
            });
            zones.collect()
        }),
        has_stream_mode: config.apisix.proxy_mode != ProxyMode::Http,
        built_in: BuiltIn(|name, config| {
            let plugin = lockgate_plugins::all().find(|plugin| plugin.about.name == name);
            let found = plugin.map_or(Ok(()), |plugin| plugin.check(config));
            found.map_err(|error| error.0)
        }),
    }
}

/// What secrets are looked up with.
fn secrets(
    configuration: &Configuration,
    resolver: Resolver,
    known: Known,
) -> lockgate_secret::Options {
    let cache = &configuration.boot.config.apisix.lru.secret;
    let defaults =
        lockgate_secret::Options::new(lockgate_secret::Environment::of_process(), resolver);
    let count = |count: Option<Count>, default| {
        count.map_or(default, |count| {
            usize::try_from(count.0).unwrap_or(usize::MAX)
        })
    };
    lockgate_secret::Options {
        trusted: configuration.trusted(),
        known,
        ttl: cache.ttl.map_or(defaults.ttl, |time| time.0),
        count: count(cache.count, defaults.count),
        neg_ttl: cache.neg_ttl.map_or(defaults.neg_ttl, |time| time.0),
        neg_count: count(cache.neg_count, defaults.neg_count),
        ..defaults
    }
}

/// The registries that are followed: those `before`, unless what is said of them has changed.
pub(crate) fn discovery(
    configuration: &Configuration,
    before: Option<(&Configuration, &Discovery)>,
) -> Result<Discovery, StartError> {
    let config = &configuration.boot.config.discovery;
    if let Some((before, discovery)) = before
        && before.boot.config.discovery.written == config.written
        && before.trusted() == configuration.trusted()
        && dns(before) == dns(configuration)
    {
        return Ok(discovery.clone());
    }
    Discovery::start(config, &registries(configuration))
}

/// Whether the registries could be followed.
pub(crate) fn check_discovery(configuration: &Configuration) -> Result<(), StartError> {
    Discovery::check(
        &configuration.boot.config.discovery,
        &registries(configuration),
    )
}

/// What registries are reached with.
fn registries(configuration: &Configuration) -> lockgate_discovery::Options<'static> {
    let dns = dns(configuration);
    lockgate_discovery::Options {
        uses_ipv6: dns.uses_ipv6,
        uses_search: dns.uses_search,
        resolver: Resolver::new(dns),
        trusted: configuration.trusted(),
        environment: &|name| std::env::var(name).ok(),
    }
}

/// What name resolution is told.
pub(crate) fn dns(configuration: &Configuration) -> DnsOptions {
    let apisix = &configuration.boot.config.apisix;
    DnsOptions {
        servers: apisix.dns_resolver.servers.clone(),
        valid: apisix
            .dns_resolver_valid
            .map(|valid| Duration::from_secs(valid.0)),
        timeout: apisix.resolver_timeout.0,
        uses_search: apisix.enable_resolv_search_opt,
        uses_ipv6: apisix.enable_ipv6,
        ..DnsOptions::default()
    }
}

/// What the Admin API is told.
pub(crate) fn admin(configuration: &Configuration) -> AdminOptions {
    let config = &configuration.boot.config;
    let admin = &config.deployment.admin;
    let keys = admin.admin_key.as_deref().unwrap_or_default();
    let http = &config.nginx_config.http;
    AdminOptions {
        // An empty key is nobody's.
        keys: keys
            .iter()
            .filter(|key| !key.key.is_empty())
            .map(|key| AdminKey {
                name: key.name.clone(),
                key: key.key.clone(),
                role: match key.role {
                    AdminRole::Admin => Role::Admin,
                    AdminRole::Viewer => Role::Viewer,
                },
            })
            .collect(),
        is_key_required: admin.admin_key_required && admin.admin_key.is_some(),
        allow: admin.allow_admin.clone().map(|networks| networks.0),
        real_ip: RealIp {
            from: http.real_ip_from.0.clone(),
            header: http.real_ip_header.to_ascii_lowercase(),
            is_recursive: http.real_ip_recursive.0,
        },
        has_cors: admin.enable_admin_cors,
        is_v3: admin.admin_api_version.as_deref() == Some("v3"),
        prefix: config.deployment.etcd.prefix.clone(),
        server: version::server(config.apisix.enable_server_tokens),
        ui: admin
            .enable_admin_ui
            .then(|| configuration.below_prefix("ui")),
    }
}

/// Which plugins are switched on.
pub(crate) fn plugin_lists(config: &Config) -> PluginLists {
    PluginLists {
        http: config.plugins.clone(),
        stream: config.stream_plugins.clone(),
    }
}

/// What objects are called in front of their keys.
pub(crate) fn object_prefix(configuration: &Configuration, opened: &Opened) -> String {
    match opened {
        Opened::Single(_) => configuration.boot.config.deployment.etcd.prefix.clone(),
        // Objects in files have none, and neither have those that come as a whole.
        Opened::File(_) | Opened::Pushed(_) => String::new(),
    }
}

/// What the control API is told.
pub(crate) fn control(
    configuration: &Configuration,
    opened: &Opened,
    status: Arc<Status>,
    registry: Registry,
    secrets: Arc<PluginSecrets>,
    plugins: Arc<Plugins>,
    discovery: Discovery,
    explainer: Explainer,
) -> ControlOptions {
    let config = &configuration.boot.config;
    ControlOptions {
        server: version::server(config.apisix.enable_server_tokens),
        store: opened.store(),
        prefix: object_prefix(configuration, opened),
        problems: {
            let opened = opened.clone();
            Arc::new(move || {
                let rejected = opened.rejected().into_iter();
                let rejected = rejected.map(|rejected| lockgate_admin::Problem {
                    key: rejected.key,
                    is_in_force: false,
                    problem: rejected.reason,
                });
                let problems = status.problems().into_iter();
                let problems = problems.map(|(key, problem)| lockgate_admin::Problem {
                    key: key.to_string(),
                    is_in_force: matches!(problem, lockgate_snapshot::Problem::NotHonoured(_)),
                    problem: problem.to_string(),
                });
                rejected.chain(problems).collect()
            })
        },
        health: Arc::new(move || registry.health()),
        secrets,
        plugins,
        discovery: Arc::new(move |kind, what| {
            discovery.show(kind, what).map(|shown| match shown {
                Shown::Json(value) => Discovered::Json(value),
                Shown::File(text) => Discovered::Text(text),
                Shown::Unavailable(reason) => Discovered::Unavailable(reason),
            })
        }),
        explain: Arc::new(move |arguments| explainer.explain(arguments)),
    }
}

#[cfg(test)]
mod tests {
    use lockgate_model::boot::{Boot, File};

    use super::*;

    fn defaults() -> Configuration {
        Configuration {
            prefix: "p".into(),
            file: None,
            boot: Boot::read(None, &|_| None).expect("starts"),
        }
    }

    #[tokio::test]
    async fn the_defaults_of_the_crates_are_those_of_config_yaml() {
        let configuration = defaults();
        let expected = Options {
            workers: workers(&configuration),
            ..Options::default()
        };
        let options = proxy(&configuration, Vec::new(), Vec::new(), DebugMode::default());
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
        let log = access_log(&configuration).expect("on by default");
        assert_eq!(
            (log.format.as_str(), log.buffer_bytes),
            (lockgate_proxy::DEFAULT_FORMAT, 16384)
        );
        assert_eq!(log.path, std::path::Path::new("p/logs/access.log"));
        let settings = compiler(
            &configuration,
            registry(&configuration, None),
            Known::default(),
            Discovery::default(),
            lockgate_snapshot::Plugins::new(lockgate_plugin::testing::node(), [], |_| true),
        );
        assert_eq!(
            format!("{:?}", settings.upstream.defaults),
            format!("{:?}", Defaults::default())
        );
        assert_eq!(
            (settings.router, settings.upstream.trusted),
            (Mode::default(), None)
        );
        let resolver = || Resolver::new(dns(&configuration));
        let secrets = secrets(&configuration, resolver(), Known::default());
        let expected =
            lockgate_secret::Options::new(lockgate_secret::Environment::default(), resolver());
        assert_eq!(
            (
                secrets.ttl,
                secrets.count,
                secrets.neg_ttl,
                secrets.neg_count
            ),
            (
                expected.ttl,
                expected.count,
                expected.neg_ttl,
                expected.neg_count
            )
        );
        let dns = dns(&configuration);
        assert_eq!(format!("{dns:?}"), format!("{:?}", DnsOptions::default()));
    }

    #[test]
    fn every_option_of_the_workers_arrives() {
        let text = "deployment: {role_traditional: {config_provider: embedded}}
apisix:
  enable_server_tokens: false
  show_upstream_status_in_response_header: true
  delete_uri_tail_slash: true
  normalize_uri_like_servlet: true
  match_uri_encoded_slash: true
  max_post_args_readable_size: 2
  trusted_addresses: [10.0.0.0/8]
nginx_config:
  worker_processes: 3
  enable_cpu_affinity: true
  worker_shutdown_timeout: 1s
  http:
    client_header_timeout: 2s
    client_body_timeout: 3s
    send_timeout: 4s
    keepalive_timeout: 0
    client_max_body_size: 5k
    charset: 'off'
    real_ip_from: [10.0.0.1]
    real_ip_header: X-Real
    real_ip_recursive: 'on'
graphql: {max_size: 9}
lockgate: {reason_header: true}
";
        let file = Some(File { name: "", text });
        let configuration = Configuration {
            boot: Boot::read(file, &|_| None).expect("valid"),
            ..defaults()
        };
        let listen = vec![SocketAddr::from(([127, 0, 0, 1], 1))];
        let proxied = vec![SocketAddr::from(([127, 0, 0, 1], 2))];
        let debug = DebugMode::default();
        debug.set(true);
        let expected = Options {
            listen: listen.clone(),
            listen_proxy_protocol: proxied.clone(),
            workers: 3,
            pins_workers: true,
            server: "APISIX".into(),
            show_upstream_status: true,
            reason_header: true,
            debug: debug.clone(),
            delete_uri_tail_slash: true,
            normalize_uri_like_servlet: true,
            match_uri_encoded_slash: true,
            max_post_args_bytes: 2 << 20,
            max_graphql_bytes: 9,
            header_timeout: Duration::from_secs(2),
            body_timeout: Duration::from_secs(3),
            send_timeout: Duration::from_secs(4),
            keepalive_timeout: Duration::ZERO,
            max_body_bytes: 5120,
            charset: None,
            real_ip_from: vec!["10.0.0.1/32".parse().expect("network")],
            real_ip_header: "x-real".into(),
            real_ip_recursive: true,
            trusted_addresses: vec!["10.0.0.0/8".parse().expect("network")],
            drain_timeout: Duration::from_secs(1),
        };
        let options = proxy(&configuration, listen, proxied, debug);
        assert_eq!(format!("{options:?}"), format!("{expected:?}"));
    }

    #[test]
    fn secrets_are_encrypted_unless_the_configuration_says_otherwise() {
        let environment = |text: &str| {
            let file = Some(File { name: "", text });
            super::environment(&Configuration {
                boot: Boot::read(file, &|_| None).expect("valid"),
                ..defaults()
            })
        };
        assert_eq!(super::environment(&defaults()), Environment::default());
        let key = "0123456789abcdef";
        let off = environment(&format!(
            "apisix: {{data_encryption: {{enable_encrypt_fields: false, keyring: {key}}}}}"
        ));
        assert_eq!((off.encrypts, off.keyring), (false, Keyring::new([key])));
    }

    #[test]
    fn the_plugins_and_zones_of_the_admin_api_are_those_of_config_yaml() {
        let configuration = defaults();
        // The file has them in another order than priorities have.
        let sorted = |mut lists: PluginLists| {
            lists.http.sort();
            lists.stream.sort();
            lists
        };
        let lists = plugin_lists(&configuration.boot.config);
        assert_eq!(sorted(lists), sorted(PluginLists::default()));
        assert_eq!(environment(&configuration), Environment::default());
        let text = "deployment: {role_traditional: {config_provider: embedded}}
apisix: {proxy_mode: http&stream, proxy_cache: {zones: [{name: a, memory_size: 1m}]}}
plugins: [cors]
stream_plugins: []
";
        let file = Some(File { name: "", text });
        let configuration = Configuration {
            boot: Boot::read(file, &|_| None).expect("valid"),
            ..defaults()
        };
        let lists = PluginLists {
            http: vec!["cors".into()],
            stream: Vec::new(),
        };
        assert_eq!(plugin_lists(&configuration.boot.config), lists);
        let expected = Environment {
            cache_zones: Some(vec![CacheZone {
                name: "a".into(),
                is_on_disk: false,
            }]),
            has_stream_mode: true,
            ..Environment::default()
        };
        assert_eq!(environment(&configuration), expected);
    }

    #[test]
    fn plugins_that_are_built_in_are_asked_about_their_configurations() {
        let BuiltIn(check) = environment(&defaults()).built_in;
        let blocking = |rule: &str| {
            let config = serde_json::json!({
                "block_rules": [rule], "rejected_code": 403, "case_insensitive": false
            });
            check("uri-blocker", &config)
        };
        assert_eq!(blocking("a+"), Ok(()));
        let sentence = blocking("(a").unwrap_err();
        assert!(sentence.starts_with("pcre_compile() failed"), "{sentence}");
        assert_eq!(check("none", &serde_json::json!({})), Ok(()));
    }

    #[test]
    fn the_admin_api_has_no_key_without_a_file() {
        let admin = admin(&defaults());
        assert!(!admin.is_key_required && admin.keys.is_empty() && !admin.has_cors && admin.is_v3);
        assert_eq!(admin.ui, None);
        assert_eq!(
            (admin.prefix.as_str(), admin.server.as_str()),
            ("/apisix", "APISIX/3.18.0")
        );
    }
}
