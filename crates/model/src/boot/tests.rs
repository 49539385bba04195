//! From a file's text to settings, warnings and refusals.

use super::*;

const EMBEDDED: &str = "deployment: {role_traditional: {config_provider: embedded}}\n";

fn no_environment(_: &str) -> Option<String> {
    None
}

fn read(text: &str) -> Result<Boot, BootError> {
    read_in(text, &no_environment)
}

fn read_in(text: &str, environment: Environment<'_>) -> Result<Boot, BootError> {
    Boot::read(
        Some(File {
            name: "config.yaml",
            text,
        }),
        environment,
    )
}

/// Reads a file that chooses the embedded store; `rest` must not have `deployment` in it.
fn read_embedded(rest: &str) -> Boot {
    read(&format!("{EMBEDDED}{rest}")).unwrap_or_else(|error| panic!("{rest}: {error}"))
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = read(text).map(drop).expect_err(text);
    assert_eq!(error.to_string(), expected, "{text}");
}

#[test]
fn starts_without_a_file() {
    let boot = Boot::read(None, &no_environment).expect("starts");
    let http: Vec<_> = boot
        .listeners
        .http
        .iter()
        .map(|one| one.address.to_string())
        .collect();
    assert_eq!(http, ["0.0.0.0:9080", "[::]:9080"]);
    assert_eq!(boot.listeners.admin, Some(([127, 0, 0, 1], 9180).into()));
    assert_eq!(boot.listeners.control, Some(([127, 0, 0, 1], 9090).into()));
    let deployment = &boot.config.deployment;
    assert_eq!(deployment.provider(), Provider::Embedded);
    assert!(!deployment.admin.admin_key_required && !deployment.admin.enable_admin_cors);
    assert_eq!(boot.warnings, []);
}

#[test]
fn an_embedded_store_is_all_that_a_file_must_say() {
    let boot = read(EMBEDDED).expect("starts");
    assert_eq!(boot.listeners.admin, Some(([0, 0, 0, 0], 9180).into()));
    let admin = &boot.config.deployment.admin;
    assert!(admin.admin_key_required && admin.enable_admin_cors);
    assert_eq!(
        admin.allow_admin,
        Some(Networks(vec!["127.0.0.0/24".parse().expect("network")]))
    );
    assert_eq!(boot.warnings, []);
}

#[test]
fn every_option_that_is_honoured_arrives() {
    let boot = read_embedded(
        "apisix:
  node_listen: [{ip: 127.0.0.1, port: 1}]
  enable_dev_mode: true
  show_upstream_status_in_response_header: true
  enable_ipv6: false
  enable_server_tokens: false
  delete_uri_tail_slash: true
  router: {http: radixtree_uri_with_parameter}
  dns_resolver: [1.1.1.1, '8.8.8.8:54', '::1', '[::2]:55', '[::3]']
  dns_resolver_valid: 30
  resolver_timeout: 1.5
  enable_resolv_search_opt: false
  ssl: {ssl_trusted_certificate: ca.pem}
  enable_control: false
  status: {port: 3}
  trusted_addresses: [10.0.0.0/8]
  data_encryption: {enable_encrypt_fields: false, keyring: [0123456789abcdef]}
  id: 7
  proxy_cache: {zones: [{name: a, memory_size: 1m}, {name: b, memory_size: 1m, disk_size: 1g, disk_path: /b, cache_levels: '1'}]}
plugins: [cors]
stream_plugins: []
nginx_config:
  enable_cpu_affinity: true
  error_log: e.log
  error_log_level: crit
  worker_processes: 3
  worker_rlimit_nofile: '30000'
  worker_shutdown_timeout: 5s
  event: {worker_connections: 100}
  http:
    enable_access_log: false
    access_log: a.log
    access_log_buffer: 1k
    access_log_format: $uri
    access_log_format_escape: json
    keepalive_timeout: 1s
    client_header_timeout: 2s
    client_body_timeout: 3s
    client_max_body_size: 4m
    send_timeout: 500ms
    real_ip_header: X-Real
    real_ip_recursive: 'on'
    real_ip_from: [10.0.0.1]
    upstream: {keepalive: 1, keepalive_requests: 2, keepalive_timeout: 3s}
    charset: 'off'
",
    );
    let seconds = |seconds| Time(std::time::Duration::from_secs(seconds));
    let networks = |text: &str| Networks(vec![text.parse().expect("network")]);
    let (apisix, nginx) = (&boot.config.apisix, &boot.config.nginx_config);
    assert!(
        apisix.enable_dev_mode
            && apisix.show_upstream_status_in_response_header
            && apisix.delete_uri_tail_slash
    );
    assert!(
        !apisix.enable_server_tokens && !apisix.enable_resolv_search_opt && !apisix.enable_ipv6
    );
    assert_eq!(apisix.router.http, RouterMode::RadixtreeUriWithParameter);
    let encryption = DataEncryption {
        enable_encrypt_fields: false,
        keyring: EncryptionKeys(vec!["0123456789abcdef".to_owned()]),
    };
    assert_eq!(apisix.data_encryption, encryption);
    let servers: Vec<_> = apisix
        .dns_resolver
        .servers
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        servers,
        [
            "1.1.1.1:53",
            "8.8.8.8:54",
            "[::1]:53",
            "[::2]:55",
            "[::3]:53"
        ]
    );
    assert_eq!(apisix.dns_resolver_valid, Some(Count(30)));
    assert_eq!(
        apisix.resolver_timeout.0,
        std::time::Duration::from_millis(1500)
    );
    assert_eq!(
        apisix.ssl.ssl_trusted_certificate.as_deref(),
        Some("ca.pem")
    );
    assert_eq!(boot.listeners.control, None);
    assert_eq!(boot.listeners.status, Some(([127, 0, 0, 1], 3).into()));
    assert_eq!(apisix.id.as_deref(), Some("7"));
    let zones = &apisix.proxy_cache.as_ref().expect("given").zones;
    let zones: Vec<_> = zones
        .iter()
        .map(|zone| (zone.name.as_str(), zone.disk_path.as_deref()))
        .collect();
    assert_eq!(zones, [("a", None), ("b", Some("/b"))]);
    assert_eq!(boot.config.plugins, ["cors"]);
    assert!(boot.config.stream_plugins.is_empty() && nginx.enable_cpu_affinity);
    assert_eq!(apisix.trusted_addresses, networks("10.0.0.0/8"));
    assert_eq!(
        (nginx.error_log.as_str(), nginx.error_log_level),
        ("e.log", Level::Crit)
    );
    assert_eq!(nginx.worker_processes.0.map(usize::from), Some(3));
    assert_eq!(nginx.worker_rlimit_nofile, Some(Count(30000)));
    assert_eq!(
        (
            nginx.worker_shutdown_timeout,
            nginx.event.worker_connections
        ),
        (seconds(5), Count(100))
    );
    let http = &nginx.http;
    assert!(!http.enable_access_log && http.real_ip_recursive == Switch(true));
    assert_eq!(
        (http.access_log.as_str(), http.access_log_format.as_str()),
        ("a.log", "$uri")
    );
    assert_eq!(
        (http.access_log_buffer, http.access_log_format_escape),
        (Size(1024), Escape::Json)
    );
    assert_eq!(
        (http.keepalive_timeout, http.client_header_timeout),
        (seconds(1), seconds(2))
    );
    assert_eq!(
        (http.client_body_timeout, http.client_max_body_size),
        (seconds(3), Size(4 << 20))
    );
    assert_eq!(
        http.send_timeout,
        Time(std::time::Duration::from_millis(500))
    );
    assert_eq!(
        (http.real_ip_header.as_str(), &http.real_ip_from),
        ("X-Real", &networks("10.0.0.1/32"))
    );
    let upstream = &http.upstream;
    assert_eq!(
        (
            upstream.keepalive,
            upstream.keepalive_requests,
            upstream.keepalive_timeout
        ),
        (Count(1), Count(2), seconds(3))
    );
    assert_eq!(http.charset, "off");
}

#[test]
fn a_file_that_names_no_provider_means_etcd() {
    for text in [
        "",
        "apisix: {enable_ipv6: false}",
        "deployment:\n  role_traditional:\n    config_provider: etcd\n",
    ] {
        let boot = read(text).expect(text);
        assert_eq!(boot.config.deployment.provider(), Provider::Etcd, "{text}");
        assert_eq!(boot.warnings, [], "{text}");
    }
}

#[test]
fn a_provider_or_mode_that_is_not_built_says_what_to_do() {
    refused(
        "deployment: {role: data_plane, role_data_plane: {config_provider: xds}}",
        "config.yaml:1: deployment.role_data_plane.config_provider: xds is not built yet: use etcd, yaml or json",
    );
    refused(
        "apisix: {proxy_mode: stream}",
        "config.yaml:1: apisix.proxy_mode: TCP and UDP are not proxied yet, and nothing else is served in this mode: choose http or http&stream",
    );
}

#[test]
fn the_role_and_the_admin_api_say_how_the_configuration_comes() {
    let admin = "admin: {admin_key_required: false}";
    for (text, provider, has_admin, is_pushed) in [
        (
            format!("deployment: {{role_traditional: {{config_provider: yaml}}, {admin}}}"),
            Provider::Yaml,
            true,
            true,
        ),
        (
            "deployment: {role_traditional: {config_provider: yaml}}\napisix: {enable_admin: false}".to_owned(),
            Provider::Yaml,
            false,
            false,
        ),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: yaml}}\napisix: {enable_admin: true}".to_owned(),
            Provider::Yaml,
            false,
            false,
        ),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: json}}".to_owned(),
            Provider::Json,
            false,
            false,
        ),
        (
            "deployment: {role: data_plane, role_data_plane: {config_provider: etcd}}".to_owned(),
            Provider::Etcd,
            false,
            false,
        ),
    ] {
        let boot = read(&text).expect(&text);
        let config = &boot.config;
        assert_eq!(config.deployment.provider(), provider, "{text}");
        assert_eq!(
            (config.apisix.enable_admin, boot.listeners.admin.is_some(), config.is_pushed()),
            (has_admin, has_admin, is_pushed),
            "{text}"
        );
    }
    let alone = |name: &str| (name == "APISIX_STAND_ALONE").then(|| "true".to_owned());
    let data_plane = |provider: &str| {
        format!(
            "deployment: {{role: data_plane, role_data_plane: {{config_provider: {provider}}}}}"
        )
    };
    assert!(read_in(&data_plane("yaml"), &alone).is_ok());
    assert!(read_in(&data_plane("json"), &alone).is_ok());
    let error = read_in(&data_plane("etcd"), &alone)
        .map(drop)
        .expect_err("not from a file");
    assert_eq!(error.path, "deployment.role_data_plane");
}

#[test]
fn names_file_line_and_option_of_what_it_cannot_understand() {
    let cases = [
        ("apisix: {}\nb: c: d\n", "config.yaml:2: "),
        (
            "apisix:\n  enable_admin: 'yes'\n",
            "config.yaml:2: failed to merge, path[apisix->enable_admin] expect: boolean, but got: string",
        ),
        (
            "apisix:\n  id: ${{NOT_SET}}\n",
            "config.yaml:2: failed to handle configuration: can't find environment variable NOT_SET",
        ),
        (
            "nginx_config:\n  http:\n    keepalive_timeout: soon\n",
            "config.yaml:3: nginx_config.http.keepalive_timeout: expected a time such as 60s, 500ms or 1m30s, got \"soon\"",
        ),
        (
            "nginx_config:\n  http:\n    client_max_body_size: 1x\n",
            "config.yaml:3: nginx_config.http.client_max_body_size: expected a size such as 16384, 16k, 512m or 1g, got \"1x\"",
        ),
        (
            "nginx_config: {worker_processes: many}",
            "config.yaml:1: nginx_config.worker_processes: expected \"auto\" or a number from 1, got \"many\"",
        ),
        (
            "nginx_config: {error_log_level: loud}",
            "config.yaml:1: nginx_config.error_log_level: unknown variant `loud`, expected one of `debug`, `info`, `notice`, \
             `warn`, `error`, `crit`, `alert`, `emerg`",
        ),
        (
            "nginx_config:\n  http:\n    real_ip_from:\n      - localhost\n",
            "config.yaml:3: nginx_config.http.real_ip_from: expected an address or a network such as 10.0.0.0/8, got \"localhost\"",
        ),
        (
            "apisix: {dns_resolver: [dns.example]}",
            "config.yaml:1: apisix.dns_resolver: expected the address of a name server, got \"dns.example\"",
        ),
        (
            "nginx_config:\n  http:\n    access_log_format: $\n",
            "config.yaml:3: nginx_config.http.access_log_format: invalid parameter \"$\" in log format",
        ),
        (
            "nginx_config:\n  http:\n    send_timeout: ~\n",
            "config.yaml:2: nginx_config.http: missing field `send_timeout`",
        ),
        (
            "deployment: {admin: {admin_key: [{key: a, role: root}]}}",
            "config.yaml:1: deployment.admin.admin_key[0].role: unknown variant `root`, expected `admin` or `viewer`",
        ),
        (
            "apisix: {router: {http: tree}}",
            "config.yaml:1: apisix.router.http: unknown variant `tree`",
        ),
        (
            "apisix:\n  node_listen:\n    - {port: 9081, enable_http2: true}\n",
            "config.yaml:2: apisix.node_listen: ERROR: port level enable_http2 in node_listen is deprecated from 3.9 version, \
             and you should use enable_http2 in apisix level.",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).map(drop).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
}

#[test]
fn refuses_what_the_reference_refuses() {
    let admin = "deployment: {role_traditional: {config_provider: embedded}, admin: ";
    let no_token = "deployment.admin.admin_key: ERROR: missing valid Admin API token. Please modify \"admin_key\" in conf/config.yaml .";
    let cases = [
        (format!("{admin}{{admin_key: ~, allow_admin: ~}}}}"), no_token),
        (format!("{admin}{{admin_key: ~, allow_admin: [0.0.0.0/0, 127.0.0.0/24]}}}}"), no_token),
        (format!("{admin}{{admin_key: [], allow_admin: [10.0.0.0/8]}}}}"), no_token),
        (format!("{admin}{{https_admin: true}}}}"), "deployment.admin.https_admin: missing ssl cert for https admin"),
        (
            "plugins: [batch-requests]\nnginx_config: {http: {real_ip_from: [128.0.0.2]}}".to_owned(),
            "nginx_config.http.real_ip_from: missing loopback or unspecified in the nginx_config.http.real_ip_from for plugin batch-requests",
        ),
        ("apisix: {proxy_cache: ~}".to_owned(), "apisix.proxy_cache: missing apisix.proxy_cache for plugin proxy-cache"),
        (
            "stream_plugins: [prometheus]\nplugin_attr: {prometheus: {enable_export_server: false}}".to_owned(),
            "stream_plugins: L4 prometheus metric should be exposed via export server",
        ),
        (
            "apisix: {extra_lua_path: ;}".to_owned(),
            "apisix.extra_lua_path: invalid extra_lua_path/extra_lua_cpath: \";\"",
        ),
        (
            "apisix: {enable_control: true, control: {port: 9180}}".to_owned(),
            "apisix.control: control port 9180 conflicts with admin port",
        ),
    ];
    for (text, expected) in cases {
        let error = read(&text).map(drop).expect_err(&text);
        let error = format!("{}: {}", error.path, error.message);
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn refuses_by_schema_in_the_words_of_the_reference() {
    let cases = [
        (
            "apisix:\n  dns_resolver_valid: /apisix\n",
            "config.yaml:2: failed to validate config: property \"apisix\" validation failed: \
             property \"dns_resolver_valid\" validation failed: wrong type: expected integer, got string",
        ),
        (
            "apisix:\n  trusted_addresses: 127.0.0.1\n",
            "config.yaml:2: failed to validate config: property \"apisix\" validation failed: \
             property \"trusted_addresses\" validation failed: wrong type: expected array, got string",
        ),
        (
            "apisix: {trusted_addresses: []}",
            "config.yaml:1: failed to validate config: property \"apisix\" validation failed: \
             property \"trusted_addresses\" validation failed: expect array to have at least 1 items",
        ),
        (
            "apisix:\n  trusted_addresses:\n    - 127.0.0.1\n    - 123\n",
            "config.yaml:4: failed to validate config: property \"apisix\" validation failed: \
             property \"trusted_addresses\" validation failed: failed to validate item 2: object matches none of the required",
        ),
        (
            "apisix: {trusted_addresses: [127.0.0.0/33]}",
            "config.yaml:1: failed to validate config: property \"apisix\" validation failed: \
             property \"trusted_addresses\" validation failed: failed to validate item 1: object matches none of the required",
        ),
        (
            "apisix: {lua_module_hook: example/my_hook}",
            "config.yaml:1: failed to validate config: property \"apisix\" validation failed: \
             property \"lua_module_hook\" validation failed: failed to match pattern \"^[a-zA-Z._-]+$\" with \"example/my_hook\"",
        ),
        (
            "apisix: {data_encryption: {keyring: [qeddd145sfvddff3qedd]}}",
            "config.yaml:1: failed to validate config: property \"apisix\" validation failed: \
             property \"data_encryption\" validation failed: property \"keyring\" validation failed: \
             object matches none of the required",
        ),
        (
            "deployment:\n  etcd:\n    host: [127.0.0.1]\n",
            "config.yaml:3: invalid deployment traditional configuration: property \"etcd\" validation failed: \
             property \"host\" validation failed: failed to validate item 1: \
             failed to match pattern \"^https?://\" with \"127.0.0.1\"",
        ),
        (
            "deployment: {role: other}",
            "config.yaml:1: failed to validate config: property \"deployment\" validation failed: \
             property \"role\" validation failed: matches none of the enum values",
        ),
        (
            "deployment: {role: data_plane}",
            "config.yaml:1: invalid deployment data_plane configuration: property \"role_data_plane\" is required",
        ),
        (
            "nginx_config:\n  envs:\n    - \"a\\nb\"\n",
            "config.yaml:3: failed to validate config: property \"nginx_config\" validation failed: \
             property \"envs\" validation failed: failed to validate item 1: failed to match pattern",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).map(drop).expect_err(text).to_string();
        assert!(error.starts_with(expected), "{text}\n{error}");
    }
    for accepted in [
        "apisix: {trusted_addresses: [127.0.0.1, 10.0.0.0/8, '::1', 'fe80::/10']}",
        "apisix: {data_encryption: {keyring: qeddd145sfvddff3qeddd145sfvddff3}}",
    ] {
        read_embedded(accepted);
    }
}

#[test]
fn the_keyring_is_a_key_or_a_list_of_keys() {
    let (short, long) = ("0123456789abcdef", "0123456789abcdef0123456789abcdef");
    let standard = ["qeddd145sfvddff3", "edd1c9f0985e76a2"];
    for (option, expected) in [
        ("{}", &standard[..]),
        ("{data_encryption: {keyring: 0123456789abcdef}}", &[short]),
        (
            "{data_encryption: {keyring: [0123456789abcdef0123456789abcdef, 0123456789abcdef]}}",
            &[long, short],
        ),
        // Without keys nothing is encrypted.
        ("{data_encryption: {keyring: ~}}", &[]),
    ] {
        let boot = read_embedded(&format!("apisix: {option}"));
        let encryption = boot.config.apisix.data_encryption;
        assert_eq!(encryption.keyring.0, expected, "{option}");
        assert!(encryption.enable_encrypt_fields);
        let shown = format!("{encryption:?}");
        assert!(
            !shown.contains("0123") && !shown.contains("qedd"),
            "{shown}"
        );
    }
}

#[test]
fn checks_ports_of_streams_as_the_reference_does() {
    let cases = [
        ("9100", None),
        ("'127.0.0.1:9101'", None),
        ("2000-2100", None),
        ("{addr: '127.0.0.1:4000-4100', tls: true}", None),
        ("'[::1]:9100'", None),
        ("'[::1]'", None),
        ("'localhost:9100'", None),
        ("0", Some("port out of range (1-65535): 0")),
        ("70000", Some("port out of range (1-65535): 70000")),
        (
            "'2100-2000'",
            Some("invalid port range (start > end): 2100-2000"),
        ),
        ("'1-70000'", Some("port out of range (1-65535): 70000")),
        ("'127.0.0.1:'", Some("missing port: 127.0.0.1:")),
        ("'80.5'", Some("invalid port format: 80.5")),
        ("{addr: 80.5}", Some("port must be an integer, got: 80.5")),
    ];
    for (entry, reason) in cases {
        let text = format!(
            "{EMBEDDED}apisix: {{proxy_mode: http&stream, stream_proxy: {{tcp: [{entry}]}}}}"
        );
        let outcome = read(&text).map(drop).map_err(|error| error.message);
        let expected = reason.map_or(Ok(()), |reason| {
            Err(format!("invalid stream_proxy.tcp entry: {reason}"))
        });
        // What the schema refuses before is refused as well.
        let is_schema = outcome
            .as_ref()
            .is_err_and(|message| message.starts_with("failed to validate config"));
        assert!(
            outcome == expected || (is_schema && reason.is_some()),
            "{entry}: {outcome:?}"
        );
    }
}

#[test]
fn the_key_may_be_missing_where_the_reference_lets_it() {
    let admin = "deployment: {role_traditional: {config_provider: embedded}, admin: ";
    for rest in [
        "{admin_key: ~}",
        "{admin_key: ~, allow_admin: [10.0.0.0/8], admin_key_required: false}",
    ] {
        assert!(read(&format!("{admin}{rest}}}")).is_ok(), "{rest}");
    }
}

#[test]
fn says_what_has_no_effect() {
    let boot = read_embedded(
        "apisix:
  dns_resolver: [127.0.0.1, 'fe80::1%eth0']
nginx_config:
  error_log: memory:1m
  http:
    access_log: syslog:server=127.0.0.1
    access_log_format: $uri $nothing
",
    );
    let warnings: Vec<_> = boot
        .warnings
        .iter()
        .map(|warning| format!("{}: {warning}", warning.line))
        .collect();
    assert_eq!(
        warnings,
        [
            "3: apisix.dns_resolver: unsupported DNS resolver: fe80::1%eth0, would ignore this item",
            "5: nginx_config.error_log: is not kept in memory: the log goes to the standard error stream",
            "7: nginx_config.http.access_log: only files are written yet: requests are not logged",
            "8: nginx_config.http.access_log_format: there is no variable $nothing: it is always absent",
        ]
    );
    let boot = read(
        "deployment: {role_traditional: {config_provider: embedded}, admin: {allow_admin: []}}",
    )
    .expect("starts");
    assert!(boot.listeners.admin.is_some());
    let nobody = Some(Networks(Vec::new()));
    assert_eq!(boot.config.deployment.admin.allow_admin, nobody);
    assert_eq!(boot.warnings.len(), 1, "{:?}", boot.warnings);
}

#[test]
fn the_environment_has_its_say() {
    let environment = |name: &str| {
        let value = match name {
            "APISIX_WORKER_PROCESSES" => "8",
            "LISTEN" => "9999",
            _ => return None,
        };
        Some(value.to_owned())
    };
    let boot = read_in(
        &format!("{EMBEDDED}apisix: {{node_listen: '${{{{LISTEN}}}}'}}"),
        &environment,
    )
    .expect("starts");
    assert_eq!(
        boot.config.nginx_config.worker_processes.0.map(usize::from),
        Some(8)
    );
    assert_eq!(
        boot.listeners.http.first().map(|one| one.address.port()),
        Some(9999)
    );
    let wrong = |name: &str| (name == "APISIX_WORKER_PROCESSES").then(|| "many".to_owned());
    let error = read_in(EMBEDDED, &wrong).map(drop).expect_err("no number");
    assert_eq!(
        error.message,
        "APISIX_WORKER_PROCESSES must be \"auto\" or a number from 1, not \"many\""
    );
    let alone = |name: &str| (name == "APISIX_STAND_ALONE").then(|| "true".to_owned());
    let error = read_in(EMBEDDED, &alone)
        .map(drop)
        .expect_err("not from files");
    assert!(
        error
            .message
            .starts_with("APISIX_STAND_ALONE is set to 'true' but config_provider is 'embedded'"),
        "{error}"
    );
}

#[test]
fn the_page_about_options_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
    let page = document();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"))
            .expect("directory");
        std::fs::write(path, &page).expect("written");
    }
    let written = std::fs::read_to_string(path).expect("docs/config.md");
    assert!(
        written == page,
        "docs/config.md is out of date: run with UPDATE=1 and look at the difference"
    );
}

mod any_file {
    use proptest::prelude::*;

    use super::*;

    /// Lines that files consist of, so that many of the texts are YAML and some of them start.
    fn line() -> impl Strategy<Value = String> {
        let content = prop_oneof![
            Just("deployment:".to_owned()),
            Just("  admin:".to_owned()),
            Just("    admin_key:".to_owned()),
            Just("    - {name: a, key: '', role: admin}".to_owned()),
            Just("  role_traditional: {config_provider: embedded}".to_owned()),
            Just("apisix:".to_owned()),
            Just("  node_listen: [9080, {port: 9081}]".to_owned()),
            Just("  enable_admin: ${{A:=on}}".to_owned()),
            Just("nginx_config: {http: {send_timeout: 1s}}".to_owned()),
            "[ a-c:{}\\[\\]'\"$#~&*-]{0,12}",
        ];
        (0..3_usize, content)
            .prop_map(|(indent, content)| format!("{}{content}\n", "  ".repeat(indent)))
    }

    proptest! {
        #[test]
        fn is_read_or_refused_with_a_reason(lines in prop::collection::vec(line(), 0..8)) {
            let text = lines.concat();
            if let Err(error) = read(&text) {
                prop_assert!(!error.message.is_empty(), "{text}");
                prop_assert!(error.line <= lines.len() as u64 + 1, "{text}: {error}");
            }
        }

        #[test]
        fn means_the_same_after_a_key_was_written(lines in prop::collection::vec(line(), 0..8)) {
            let text = lines.concat();
            if let Some(edited) = with_admin_keys(&text, &[(0, "KEY".into())]) {
                let keys = |text: &str| {
                    let tree = Node::parse(text).map_err(|error| error.reason).expect("YAML");
                    let key = tree.at("deployment.admin.admin_key[0].key").map(Node::to_json);
                    let others = tree.at("apisix").map(Node::to_json);
                    (key, others)
                };
                let ((_, before), (key, after)) = (keys(&text), keys(&edited));
                prop_assert_eq!(key, Some("KEY".into()));
                prop_assert_eq!(before, after);
            }
        }
    }
}

#[test]
fn options_of_etcd_arrive() {
    let etcd = |text: &str| {
        let text = format!("deployment: {{etcd: {text}}}");
        read(&text).expect(&text).config.deployment.etcd
    };
    let seconds = |seconds| Some(Seconds(std::time::Duration::from_secs(seconds)));
    let defaults = etcd("{}");
    assert_eq!(defaults.host, ["http://127.0.0.1:2379"]);
    assert_eq!(defaults.prefix, "/apisix");
    assert_eq!(
        (defaults.timeout, defaults.watch_timeout),
        (seconds(30), seconds(50))
    );
    assert_eq!(
        (defaults.resync_delay, defaults.health_check_timeout),
        (None, None)
    );
    assert_eq!(defaults.startup_retry, Some(Count(2)));
    assert_eq!((defaults.user, defaults.password), (None, None));
    assert!(defaults.tls.verify && defaults.tls.cert.is_none() && defaults.tls.sni.is_none());

    let written = etcd(
        "{host: ['https://a:1', 'https://b:2'], prefix: /p, timeout: 1, watch_timeout: 2, resync_delay: 3,
          health_check_timeout: 4.5, startup_retry: 6, user: root, password: secret,
          tls: {cert: c.pem, key: k.pem, verify: false, sni: etcd.example}}",
    );
    assert_eq!(written.host, ["https://a:1", "https://b:2"]);
    assert_eq!(written.prefix, "/p");
    assert_eq!(
        (written.timeout, written.watch_timeout, written.resync_delay),
        (seconds(1), seconds(2), seconds(3))
    );
    assert_eq!(
        written.health_check_timeout,
        Some(Seconds(std::time::Duration::from_millis(4500)))
    );
    assert_eq!(written.startup_retry, Some(Count(6)));
    assert!(!format!("{written:?}").contains("secret"));
    assert_eq!(
        (written.user.as_deref(), written.password.as_deref()),
        (Some("root"), Some("secret"))
    );
    let tls = written.tls;
    assert_eq!(
        (
            tls.cert.as_deref(),
            tls.key.as_deref(),
            tls.verify,
            tls.sni.as_deref()
        ),
        (Some("c.pem"), Some("k.pem"), false, Some("etcd.example"))
    );

    // What the reference takes for absent.
    let odd = etcd("{resync_delay: -1, health_check_timeout: -1, timeout: null, tls: null}");
    assert_eq!(
        (odd.resync_delay, odd.health_check_timeout, odd.timeout),
        (None, None, None)
    );
    assert!(odd.tls.verify);
}

#[test]
fn the_environment_names_the_hosts_of_etcd() {
    let read_with = |hosts: &'static str| {
        let environment =
            move |name: &str| (name == "APISIX_DEPLOYMENT_ETCD_HOST").then(|| hosts.to_owned());
        read_in(
            "deployment: {etcd: {host: ['http://file:1']}}",
            &environment,
        )
    };
    let hosts = |hosts| read_with(hosts).expect(hosts).config.deployment.etcd.host;
    assert_eq!(
        hosts(r#"["http://a:1","http://b:2"]"#),
        ["http://a:1", "http://b:2"]
    );
    let boot = read_with("http://a:1").expect("starts");
    assert_eq!(boot.config.deployment.etcd.host, ["http://file:1"]);
    let [warning] = &boot.warnings[..] else {
        panic!("{:?}", boot.warnings);
    };
    assert_eq!(warning.path, "APISIX_DEPLOYMENT_ETCD_HOST");
    assert!(
        warning
            .message
            .starts_with("is no JSON and has no effect: ")
    );
    let refused = read_with("\"http://a:1\"").map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "config.yaml: APISIX_DEPLOYMENT_ETCD_HOST: failed to merge, path[deployment->etcd->host] expect: table, but got: string"
    );
}
