//! What a file makes of the APIs: roles, the status API, HTTPS, the lists of plugins, the name of the instance.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    discovery::serve,
    gateway::{Gateway, KEY, config},
    support::{PATIENCE, Process, exchange, free_ports, get, lockgate, write},
};

/// Starts a process with what `file` makes of these ports.
fn start<const N: usize>(
    file: impl Fn([u16; N]) -> String,
) -> (Process, tempfile::TempDir, [SocketAddr; N]) {
    // Between finding a port and listening on it, another test may take it.
    for _ in 0..5 {
        let prefix = tempfile::tempdir().expect("directory");
        let ports = free_ports();
        write(prefix.path(), "conf/config.yaml", &file(ports));
        let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
        if process.says("the gateway runs") {
            return (
                process,
                prefix,
                ports.map(|port| ([127, 0, 0, 1], port).into()),
            );
        }
        let said = &process.said;
        assert!(said.contains("another process listens there"), "{said}");
    }
    panic!("no port stays free");
}

#[test]
fn the_status_api_is_there_when_it_is_configured() {
    let (_process, _prefix, [_, _, _, status]) = start(|[proxy, admin, control, status]| {
        let file = config([proxy, admin, control], KEY, "");
        file.replace(
            "apisix:\n",
            &format!("apisix:\n  status: {{port: {status}}}\n"),
        )
    });
    for path in ["/status", "/status/ready"] {
        let answer = get(status, path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n{\"status\":\"ok\"}"), "{answer}");
    }
}

#[test]
fn a_gateway_without_a_configuration_is_not_ready() {
    let (_process, _prefix, [_, admin, _, status]) = start(|[proxy, admin, control, status]| {
        let file = config([proxy, admin, control], KEY, "").replace("embedded", "yaml");
        file.replace(
            "apisix:\n",
            &format!("apisix:\n  status: {{port: {status}}}\n"),
        )
    });
    let answer = get(status, "/status/ready");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let expected = r#"{"status":"error","error":"worker id: 0 has not received configuration"}"#;
    assert!(answer.ends_with(expected), "{answer}");
    assert!(get(status, "/status").starts_with("HTTP/1.1 200 "));
    let pushed = exchange(
        admin,
        &format!(
            "PUT /apisix/admin/configs HTTP/1.1\r\nHost: test\r\nX-API-KEY: {KEY}\r\nX-Digest: 1\r\n\
             Content-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
        ),
    );
    assert!(pushed.starts_with("HTTP/1.1 202 "), "{pushed}");
    becomes_ready(status);
}

/// Waits until the workers have what was pushed or read.
fn becomes_ready(status: SocketAddr) {
    let began = Instant::now();
    while !get(status, "/status/ready").starts_with("HTTP/1.1 200 ") {
        assert!(began.elapsed() < PATIENCE, "it is never ready");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_gateway_is_ready_when_it_has_read_its_cluster() {
    let is_up = Arc::new(AtomicBool::new(false));
    let is_up_there = is_up.clone();
    let cluster = serve(move || {
        let list =
            r#"{"kind": "EndpointsList", "metadata": {"resourceVersion": "1"}, "items": []}"#;
        let answer = if is_up_there.load(Ordering::Relaxed) {
            list
        } else {
            ""
        };
        answer.to_owned()
    });
    let port = cluster.port();
    let (_process, _prefix, [_, _, _, status]) = start(|[proxy, admin, control, status]| {
        let file = config([proxy, admin, control], KEY, "").replace(
            "apisix:\n",
            &format!("apisix:\n  status: {{port: {status}}}\n"),
        );
        format!(
            "{file}discovery: {{kubernetes: {{service: {{schema: http, host: 127.0.0.1, port: '{port}'}}, client: {{token: t}}}}}}\n"
        )
    });
    let answer = get(status, "/status/ready");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let expected = r#"{"status":"error","error":"kubernetes discovery not ready"}"#;
    assert!(answer.ends_with(expected), "{answer}");
    is_up.store(true, Ordering::Relaxed);
    becomes_ready(status);
}

#[test]
fn stream_routes_can_be_stored_where_the_mode_has_them() {
    let (process, prefix, [_, admin, control]) = start(|ports| {
        config(ports, KEY, "").replace("apisix:\n", "apisix:\n  proxy_mode: http&stream\n")
    });
    assert!(
        process.said.contains("TCP and UDP are not proxied yet"),
        "{}",
        process.said
    );
    let gateway = Gateway {
        process,
        prefix,
        proxy: admin,
        admin,
    };
    let route =
        r#"{"server_port": 9100, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}"#;
    let made = gateway.admin("PUT", "stream_routes/1", route);
    assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    let problems = get(control, "/v1/problems");
    let expected = r#"[{"key":"/apisix/stream_routes/1","problem":"TCP and UDP are not proxied yet: the route does nothing"}]"#;
    assert!(problems.contains(expected), "{problems}");
}

#[test]
fn the_lists_of_plugins_are_read_again_when_that_is_asked_for() {
    let file = |ports| format!("{}plugins: [cors]\n", config(ports, KEY, ""));
    let (process, prefix, [proxy, admin, control]) = start(file);
    let gateway = Gateway {
        process,
        prefix,
        proxy,
        admin,
    };
    let listed = || gateway.admin("GET", "plugins/list", "");
    assert!(listed().ends_with("[\"cors\"]\n"), "{}", listed());
    let path = gateway.prefix.path().join("conf/config.yaml");
    let text = fs::read_to_string(&path).expect("there");
    fs::write(&path, text.replace("[cors]", "[gzip, node-status]")).expect("written");
    assert!(listed().ends_with("[\"cors\"]\n"), "nobody asked for it");
    let done = gateway.admin("PUT", "plugins/reload", "");
    assert!(
        done.starts_with("HTTP/1.1 200 ") && done.ends_with("\r\n\r\ndone"),
        "{done}"
    );
    assert!(
        listed().ends_with("[\"node-status\",\"gzip\"]\n"),
        "{}",
        listed()
    );
    assert!(get(control, "/v1/schema").contains("\"plugins\":{\"gzip\":"));
}

/// `admin_key` is asked for in all of these, and no request has one that fits.
#[test]
fn nobody_is_let_in_where_the_file_sets_no_key() {
    for keys in ["[]", "[{name: eve, key: '', role: viewer}]"] {
        let file = |ports| {
            let file = config(ports, KEY, "");
            let from = file.find("    admin_key:").expect("there");
            let to = file.find("apisix:").expect("behind it");
            let keys = format!("    allow_admin: [127.0.0.0/24]\n    admin_key: {keys}\n");
            format!("{}{keys}{}", &file[..from], &file[to..])
        };
        let (_process, _prefix, [_, admin, _]) = start(file);
        for key in ["", "X-API-KEY: \r\n", "X-API-KEY: any\r\n"] {
            let request = format!(
                "GET /apisix/admin/routes HTTP/1.1\r\nHost: test\r\n{key}Connection: close\r\n\r\n"
            );
            let answer = exchange(admin, &request);
            assert!(
                answer.starts_with("HTTP/1.1 401 "),
                "{keys} {key}: {answer}"
            );
        }
    }
}

#[test]
fn an_instance_keeps_its_name() {
    let named = |ports| config(ports, KEY, "").replace("apisix:\n", "apisix:\n  id: edge-7\n");
    let (process, prefix, _) = start(named);
    assert!(process.said.contains("edge-7"), "{}", process.said);
    let kept = fs::read_to_string(prefix.path().join("conf/apisix.uid")).expect("kept");
    assert_eq!(kept, "edge-7");
}

#[test]
fn https_without_its_files_ends_the_start() {
    let prefix = tempfile::tempdir().expect("directory");
    let admin = "https_admin: true\n    admin_api_mtls: {admin_ssl_cert: no.crt, admin_ssl_cert_key: no.key}";
    let file =
        config(free_ports(), KEY, "").replace("  admin:\n", &format!("  admin:\n    {admin}\n"));
    write(prefix.path(), "conf/config.yaml", &file);
    let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
    assert_eq!(process.end().code(), Some(1));
    let path = prefix.path().join("conf/no.crt");
    let expected = format!(
        "lockgate: cannot read {} (deployment.admin.admin_api_mtls.admin_ssl_cert): ",
        path.display()
    );
    let last = process.said.lines().last().unwrap_or_default();
    assert!(last.starts_with(&expected), "{}", process.said);
}
