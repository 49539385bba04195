//! A gateway that runs: signals, logs, keys, requests.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
};

use rustix::process::Signal;

use crate::{
    gateway::{Gateway, UNBUFFERED, config},
    slow_origin::with_slow_request,
    support::{Process, connect, free_ports, get, lockgate, text, write},
};

#[test]
fn a_route_that_was_put_is_proxied_and_logged() {
    let mut gateway = Gateway::start(UNBUFFERED);
    let mut origin =
        Process::start(lockgate().args(["echo", "--listen", "127.0.0.1:0", "--name", "origin"]));
    let address = crate::echo::address_of(&mut origin);
    let route = format!(
        r#"{{"uri": "/seen", "upstream": {{"type": "roundrobin", "nodes": {{"{address}": 1}}}}}}"#
    );
    gateway.put(&route);
    let response = get(gateway.proxy, "/seen?a=1");
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.contains(r#""uri":"/seen?a=1""#),
        "{response}"
    );
    assert!(get(gateway.proxy, "/other").starts_with("HTTP/1.1 404 "));
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    assert_eq!(gateway.logged(), "GET /seen 200\nGET /other 404\n");
}

#[test]
fn a_stopped_gateway_has_its_routes_when_it_starts_again() {
    let mut gateway = Gateway::start("");
    gateway.put(
        r#"{"uri": "/kept", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}"#,
    );
    gateway.process.signal(Signal::INT);
    assert!(gateway.process.end().success());
    gateway.process = Process::start(lockgate().arg("-p").arg(gateway.prefix.path()));
    assert!(
        gateway.process.says("the gateway runs"),
        "{}",
        gateway.process.said
    );
    assert!(get(gateway.proxy, "/kept").starts_with("HTTP/1.1 502 "));
}

#[test]
fn quit_lets_requests_finish() {
    let (mut gateway, origin, mut client) = with_slow_request();
    gateway.process.signal(Signal::QUIT);
    assert!(
        gateway
            .process
            .says("the gateway ends when the requests that were begun are done")
    );
    origin.answer.send(()).expect("origin waits");
    let mut response = Vec::new();
    client.read_to_end(&mut response).expect("answered");
    let response = text(&response);
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.ends_with("slow"),
        "{response}"
    );
    assert!(gateway.process.end().success());
    assert_eq!(gateway.logged(), "GET /slow 200\n");
}

#[test]
fn quit_ends_when_the_time_for_it_is_up() {
    let limit = "  worker_shutdown_timeout: 100ms\n";
    let mut gateway = Gateway::start(limit);
    let mut client = connect(gateway.proxy);
    client
        .write_all(b"GET /never-ends HTTP/1.1\r\nHost: te")
        .expect("sent");
    gateway.process.signal(Signal::QUIT);
    assert!(gateway.process.end().success());
}

#[test]
fn terminate_does_not_wait_for_requests() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut gateway, _origin, _client) = with_slow_request();
        gateway.process.signal(signal);
        assert!(gateway.process.end().success());
        assert!(!gateway.prefix.path().join("logs/nginx.pid").exists());
    }
}

#[test]
fn logs_move_on_a_signal() {
    let mut gateway = Gateway::start(UNBUFFERED);
    let moved = gateway.prefix.path().join("old.log");
    get(gateway.proxy, "/before");
    // A worker hands lines over in order, so that of a second request follows that of the first.
    fs::rename(gateway.log(), &moved).expect("moved");
    gateway.process.signal(Signal::USR1);
    assert!(gateway.process.says("the logs were opened anew"));
    get(gateway.proxy, "/after");
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    assert_eq!(fs::read_to_string(moved).expect("old"), "GET /before 404\n");
    assert_eq!(gateway.logged(), "GET /after 404\n");
}

#[test]
fn requests_can_be_logged_to_the_standard_output_stream() {
    let mut gateway = Gateway::start(
        "  http: {access_log: /dev/stdout, access_log_buffer: 1, access_log_format: $uri}\n",
    );
    let mut stdout = BufReader::new(gateway.process.stdout());
    get(gateway.proxy, "/logged");
    let mut line = String::new();
    stdout.read_line(&mut line).expect("readable");
    assert_eq!(line, "/logged\n");
}

#[test]
fn the_error_log_has_the_start_and_all_that_follows() {
    let prefix = tempfile::tempdir().expect("directory");
    let file = config(free_ports(), "k", "").replace("error_log: stderr", "error_log: logs/errors");
    write(prefix.path(), "conf/config.yaml", &file);
    let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
    assert!(process.says("the gateway runs"), "{}", process.said);
    process.signal(Signal::TERM);
    assert!(process.end().success());
    let log = fs::read_to_string(prefix.path().join("logs/errors")).expect("log");
    assert!(
        log.contains("the gateway runs") && log.contains("the gateway has ended"),
        "{log}"
    );
    let printed = "the terminal is for whoever starts it";
    assert!(
        !process.said.contains("the gateway has ended"),
        "{printed}: {}",
        process.said
    );
}

#[test]
fn the_process_id_is_in_its_file() {
    let gateway = Gateway::start("");
    let path = gateway.prefix.path().join("logs/nginx.pid");
    let written = fs::read_to_string(path).expect("written");
    assert_eq!(
        written.trim().parse::<u32>().ok(),
        Some(gateway.process.id())
    );
}

#[test]
fn an_empty_admin_key_is_made_once_and_kept_in_the_file() {
    let prefix = tempfile::tempdir().expect("directory");
    let path = prefix.path().join("conf/config.yaml");
    let file = config(free_ports(), "", "");
    write(prefix.path(), "conf/config.yaml", &file);
    let start = || {
        let mut process = Process::start(lockgate().arg("-p").arg(prefix.path()));
        assert!(process.says("the gateway runs"), "{}", process.said);
        process.signal(Signal::TERM);
        assert!(process.end().success());
        process.said.clone()
    };
    let said = start();
    assert!(
        said.contains("a key was made and written into the file"),
        "{said}"
    );
    let written = fs::read_to_string(&path).expect("file");
    let (before, after) = file.split_once("''").expect("empty key");
    let key = written
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .expect("only the key differs");
    let key = key.trim_matches('"');
    assert!(key.len() == 32 && !said.contains(key), "{key}");
    let said = start();
    assert!(!said.contains("a key was made"), "{said}");
    assert_eq!(fs::read_to_string(&path).expect("file"), written);
}

#[test]
fn names_options_without_effect_at_start() {
    let gateway = Gateway::start("  http_configuration_snippet: 'server_tokens off;'\n");
    let said = &gateway.process.said;
    assert!(
        said.contains(
            "config.yaml:14, option: nginx_config.http_configuration_snippet, note: has no effect: "
        ),
        "{said}"
    );
}
