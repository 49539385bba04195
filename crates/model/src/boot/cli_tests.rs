//! The files that the reference's own tests of its start use (`t/cli/*.sh`), and what each test looks for in the output.

use super::*;

const VARIABLES: &[(&str, &str)] = &[
    ("IP", "127.0.0.1"),
    ("PORT", "9090"),
    ("NOT_A_NUMBER", "false"),
];

fn read(text: &str) -> Result<Boot, String> {
    let file = File {
        name: "config.yaml",
        text,
    };
    let environment = |name: &str| {
        let found = VARIABLES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    Boot::read(Some(file), &environment).map_err(|error| error.to_string())
}

#[test]
fn refuses_in_the_words_that_the_reference_is_tested_for() {
    let stream = |entry: &str| {
        format!("apisix: {{proxy_mode: 'http&stream', stream_proxy: {{tcp: [{entry}]}}}}")
    };
    let trusted = |list: &str| format!("apisix: {{trusted_addresses: {list}}}");
    let not_of_array = "property \"trusted_addresses\" validation failed: ";
    let cases: Vec<(String, String)> = [
        // test_main.sh
        ("apisix: {node_listen: [{port: 9081, enable_http2: true}]}", "port level enable_http2 in node_listen is deprecated"),
        ("apisix: {ssl: {listen: [{port: 9444, enable_http2: true}]}}", "port level enable_http2 in ssl.listen is deprecated"),
        ("nginx_config: {envs: [\"TEST=a\\nb\"]}", "failed to validate config"),
        ("discovery: {kubernetes: {client: {token_file: \"${A\\nB}\"}}}", "control characters are not allowed"),
        ("apisix: {data_encryption: {keyring: [qeddd145sfvddff3qedd]}}", "failed to validate config"),
        ("nginx_config: {envs: ['${{var_test}}_${{FOO}}']}", "can't find environment variable"),
        ("nginx_config: {worker_processes: true}", "path[nginx_config->worker_processes] expect"),
        ("nginx_config: {worker_processes: '${{NOT_A_NUMBER}}'}", "path[nginx_config->worker_processes] expect"),
        ("apisix: {extra_lua_path: ';'}", "invalid extra_lua_path"),
        ("apisix: {lua_module_hook: 'example/my_hook'}", "property \"lua_module_hook\" validation failed"),
        // test_validate_config.sh
        ("discovery: {nacos: {host: 127.0.0.1}}", "invalid discovery nacos configuration: property \"host\" validation failed: wrong type: expected array, got string"),
        ("discovery: {dns: {servers: [a], resolv_conf: b}}", "invalid discovery dns configuration: value should match only one schema, but matches both schemas 1 and 2"),
        ("discovery: {tars: {}}", "invalid discovery tars configuration: property \"db_conf\" is required"),
        ("apisix: {dns_resolver_valid: /apisix}", "property \"dns_resolver_valid\" validation failed: wrong type: expected integer, got string"),
        ("plugins: [batch-requests]\nnginx_config: {http: {real_ip_from: [128.0.0.2]}}", "missing loopback or unspecified in the nginx_config.http.real_ip_from for plugin batch-requests"),
        ("deployment: {etcd: {host: [127.0.0.1]}}", "property \"host\" validation failed"),
        // test_admin.sh, test_admin_mtls.sh
        ("deployment: {admin: {admin_key: ~, allow_admin: ~}}", "ERROR: missing valid Admin API token."),
        ("deployment: {admin: {admin_key: ~, allow_admin: [0.0.0.0/0, 127.0.0.0/24]}}", "ERROR: missing valid Admin API token."),
        ("deployment: {admin: {admin_key_required: true, admin_key: ~, allow_admin: [0.0.0.0/0]}}", "ERROR: missing valid Admin API token."),
        ("deployment: {admin: {admin_key_required: invalid-value}}", "path[deployment->admin->admin_key_required] expect: boolean, but got: string"),
        ("deployment: {admin: {https_admin: true}}", "missing ssl cert for https admin"),
        ("deployment: {admin: {https_admin: true, admin_api_mtls: {admin_ssl_cert: a.crt}}}", "missing ssl cert for https admin"),
        ("deployment: {admin: {https_admin: true, admin_api_mtls: {admin_ssl_cert: a.crt, admin_ssl_cert_key: ''}}}", "missing ssl cert for https admin"),
        // test_control.sh, test_prometheus.sh
        ("apisix: {node_listen: 9090, control: {port: 9090}}", "http listen port 9090 conflicts with control"),
        ("apisix: {control: {port: 9091}}", "prometheus port 9091 conflicts with control"),
        ("plugin_attr: {prometheus: {export_addr: {ip: '${{IP}}', port: '${{PORT}}'}}}", "prometheus port 9090 conflicts with control"),
        ("apisix: {enable_control: false, node_listen: '${{PORT}}'}\nplugin_attr: {prometheus: {export_addr: {port: '${{PORT}}'}}}", "http listen port 9090 conflicts with prometheus"),
        // test_wasm.sh
        ("wasm: {plugins: [{name: wasm_log, file: a.wasm}]}", "property \"priority\" is required"),
        ("wasm: {plugins: [{name: wasm_log, priority: 888}]}", "property \"file\" is required"),
        // apisix/cli/schema.lua
        ("deployment: {role: control_plane, role_control_plane: {config_provider: yaml}}", "invalid deployment control_plane configuration: property \"role_control_plane\" validation failed: property \"config_provider\" validation failed: matches none of the enum values"),
        ("deployment: {role: control_plane}", "property \"role_control_plane\" is required"),
        ("plugins: [1]", "property \"plugins\" validation failed: failed to validate item 1: wrong type: expected string, got number"),
    ]
    .into_iter()
    .map(|(text, message)| (text.to_owned(), message.to_owned()))
    // test_stream_port_range.sh
    .chain(
        [
            ("0", "port out of range"),
            ("65536", "port out of range"),
            ("'3000-2000'", "invalid port range"),
            ("'0-100'", "port out of range"),
            ("'100-70000'", "port out of range"),
            ("'127.0.0.1:0'", "port out of range"),
            ("'127.0.0.1:65536'", "port out of range"),
            ("'80.5'", "invalid port format"),
            ("'1e3'", "invalid port format"),
            ("'127.0.0.1:'", "missing port"),
            ("80.5", "failed to validate"),
        ]
        .map(|(entry, message)| (stream(entry), message.to_owned())),
    )
    // test_validate_config.sh
    .chain(
        [
            ("127.0.0.1", "wrong type: expected array, got string"),
            ("[]", "expect array to have at least 1 items"),
            ("[127.0.0.1, 123]", "failed to validate item 2: object matches none of the required"),
            ("[127.0.0]", "failed to validate item 1: object matches none of the required"),
            ("[127.0.0.0/33]", "failed to validate item 1: object matches none of the required"),
            ("[127.0.0.1, 192.168.1.1, 127.0.0.1]", "expected unique items but items 1 and 3 are equal"),
        ]
        .map(|(list, message)| (trusted(list), format!("{not_of_array}{message}"))),
    )
    .collect();
    for (text, message) in cases {
        let error = read(&text).map(drop).expect_err(&text);
        assert!(error.contains(&message), "{text}\n{error}");
    }
}

#[test]
fn takes_what_the_reference_is_tested_to_take() {
    for text in [
        // test_validate_config.sh
        "discovery: {unknown: {host: 127.0.0.1}}",
        "apisix: {ssl: {ssl_trusted_certificate: t/certs/mtls_ca.crt}}",
        "apisix: {proxy_mode: http&stream, stream_proxy: {tcp: ['localhost:9100'], udp: ['127.0.0.1:9101']}}",
        "plugins: [batch-requests]\nnginx_config: {http: {real_ip_from: [127.0.0.1, 127.0.0.2/8, 0.0.0.0, 0.0.0.0/0, '::', '::/0', 'unix:']}}",
        "apisix: {trusted_addresses: [127.0.0.0/24]}",
        // test_main.sh
        "apisix: {data_encryption: {keyring: [qeddd145sfvddff3qeddd145sfvddff3, qeddd145sfvddff3]}}",
        "nginx_config: {worker_processes: 2}",
        "discovery: {kubernetes: {}}",
        "discovery: {kubernetes: [{id: a, service: {host: a.b, port: '443'}, client: {token: x}}]}",
        // test_admin.sh, test_admin_ui.sh
        "deployment: {admin: {admin_key: ~, allow_admin: [127.0.0.0/24]}}",
        "deployment: {admin: {admin_key_required: false, admin_key: ~, allow_admin: [0.0.0.0/0]}}",
        "deployment: {admin: {https_admin: true, admin_api_mtls: {admin_ssl_cert: a.crt, admin_ssl_cert_key: a.key}}}",
        "deployment: {admin: {enable_admin_ui: true, allow_admin: [1.1.1.1/32]}}",
        "plugins: [public-api, node-status]\nstream_plugins:",
        // test_status_api.sh, test_control.sh
        "apisix: {status: {ip: 127.0.0.1, port: 7085}}",
        "apisix: {enable_control: true, control: {ip: 127.0.0.2}}",
    ] {
        if let Err(error) = read(text) {
            panic!("{text}\n{error}");
        }
    }
}

#[test]
fn the_role_decides_what_is_served() {
    let planes = |role: &str| {
        format!("deployment: {{role: {role}, role_{role}: {{config_provider: etcd}}}}\n")
    };
    let cases = [
        (
            planes("control_plane") + "apisix: {enable_admin: false}",
            true,
            false,
        ),
        (planes("control_plane"), true, false),
        (
            planes("data_plane") + "apisix: {enable_admin: true}",
            false,
            true,
        ),
        (
            planes("data_plane") + "apisix: {enable_admin: ~}",
            false,
            true,
        ),
        ("deployment: {role: traditional}".to_owned(), true, true),
        ("apisix: {enable_admin: false}".to_owned(), false, true),
    ];
    for (text, has_admin, has_traffic) in cases {
        let boot = read(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(boot.listeners.admin.is_some(), has_admin, "{text}");
        assert_eq!(boot.config.apisix.enable_admin, has_admin, "{text}");
        assert_eq!(!boot.listeners.http.is_empty(), has_traffic, "{text}");
        assert!(boot.listeners.control.is_some(), "{text}");
    }
}

#[test]
fn the_error_log_may_go_elsewhere() {
    let syslog = |text: &str| ErrorLog::Syslog(Syslog::parse(text).expect("valid"));
    let cases = [
        (
            "logs/error.log",
            ErrorLog::File("logs/error.log".to_owned()),
        ),
        ("stderr", ErrorLog::Stderr),
        ("/dev/stderr", ErrorLog::Stderr),
        ("memory:1m", ErrorLog::Stderr),
        ("syslog:server=a,tag=b", syslog("server=a,tag=b")),
    ];
    for (log, expected) in cases {
        let boot = read(&format!("nginx_config: {{error_log: '{log}'}}")).expect(log);
        assert_eq!(boot.config.nginx_config.error_log(), expected, "{log}");
    }
    let error = read("nginx_config: {error_log: 'syslog:tag=a'}").map(drop);
    let expected = "config.yaml:1: nginx_config.error_log: no syslog server specified";
    assert_eq!(error, Err(expected.to_owned()));
}
