//! The gateway without a store of its own: its configuration in a file, or pushed as a whole.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    gateway::{KEY, config},
    support::{PATIENCE, Process, exchange, free_ports, get, lockgate, text, write},
};

/// Where a route of `reaches` leads to: its node refuses connections.
const NODES: &str = "upstream: {type: roundrobin, nodes: {'127.0.0.1:1': 1}}";

const DATA_PLANE_YAML: &str = "role: data_plane\n  role_data_plane: {config_provider: yaml}";
const DATA_PLANE_JSON: &str = "role: data_plane\n  role_data_plane: {config_provider: json}";
const PUSHED: &str = "role_traditional: {config_provider: yaml}";

struct Alone {
    process: Process,
    prefix: tempfile::TempDir,
    proxy: SocketAddr,
    admin: SocketAddr,
    control: SocketAddr,
}

impl Alone {
    /// Starts a gateway with these lines below `deployment`, a configuration file below its prefix, and variables.
    fn start(deployment: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Self {
        // Between finding a port and listening on it, another test may take it.
        for _ in 0..5 {
            let prefix = tempfile::tempdir().expect("directory");
            let ports = free_ports();
            let file = config(ports, KEY, "")
                .replace("role_traditional: {config_provider: embedded}", deployment);
            write(prefix.path(), "conf/config.yaml", &file);
            write(prefix.path(), "conf/config-dev.yaml", &file);
            for (path, text) in files {
                write(prefix.path(), path, text);
            }
            let mut command = lockgate();
            command
                .arg("-p")
                .arg(prefix.path())
                .envs(variables.iter().copied());
            let mut process = Process::start(&mut command);
            if process.says("the gateway runs") {
                let [proxy, admin, control] =
                    ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
                return Self {
                    process,
                    prefix,
                    proxy,
                    admin,
                    control,
                };
            }
            assert!(
                process.said.contains("another process listens there"),
                "{}",
                process.said
            );
        }
        panic!("no port stays free");
    }

    /// Puts a file to its place in one step.
    fn place(&self, path: &str, text: &str) {
        let path = self.prefix.path().join(path);
        let new = path.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, &path).expect("moved");
    }

    /// Waits until a path is routed, or is not.
    #[track_caller]
    fn reaches(&self, path: &str, is_routed: bool) {
        let expected = if is_routed {
            "HTTP/1.1 502 "
        } else {
            "HTTP/1.1 404 "
        };
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if get(self.proxy, path).starts_with(expected) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("{path} is never answered {expected}: {}", self.process.said);
    }

    /// `/v1/problems` of the control API.
    fn problems(&self) -> serde_json::Value {
        let answer = get(self.control, "/v1/problems");
        let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
        serde_json::from_str(body).expect("JSON")
    }

    /// Asks `/apisix/admin/configs`: status line and head, and body.
    fn configs(&self, method: &str, fields: &str, body: &str) -> (String, String) {
        let length = body.len();
        let request = format!(
            "{method} /apisix/admin/configs HTTP/1.1\r\nHost: test\r\nX-API-KEY: {KEY}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{fields}\r\n{body}"
        );
        let answer = exchange(self.admin, &request);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        (head.to_owned(), body.to_owned())
    }
}

fn route(id: &str, uri: &str) -> String {
    format!("  - {{id: {id}, uri: {uri}, {NODES}}}\n")
}

#[test]
fn serves_what_stands_in_apisix_yaml_and_follows_it() {
    let first = format!(
        "routes:\n{}{}  - {{id: bad, uri: 1}}\n  - {{uri: '${{{{LOCKGATE_TEST_PATH}}}}/b', {NODES}}}\n#END\n",
        route("1", "/a"),
        route("2", "${{LOCKGATE_TEST_NONE:=/default}}"),
    );
    let mut gateway = Alone::start(
        DATA_PLANE_YAML,
        &[("conf/apisix.yaml", &first)],
        &[
            ("LOCKGATE_TEST_PATH", "/by-variable"),
            ("APISIX_STAND_ALONE", "true"),
        ],
    );
    assert!(
        gateway.process.said.contains("admin: off,"),
        "{}",
        gateway.process.said
    );
    for path in ["/a", "/default", "/by-variable/b"] {
        gateway.reaches(path, true);
    }
    assert_eq!(
        gateway.problems(),
        serde_json::json!([{
            "key": "/routes/bad",
            "problem": "property \"uri\" validation failed: wrong type: expected string, got number",
        }])
    );
    assert!(get(gateway.control, "/v1/route/arr_4").contains("\"/by-variable/b\""));
    assert!(get(gateway.control, "/v1/route/bad").starts_with("HTTP/1.1 404 "));

    // Half of a file, and what is no YAML, change nothing.
    gateway.place(
        "conf/apisix.yaml",
        &format!("routes:\n{}", route("3", "/c")),
    );
    assert!(gateway.process.says("missing valid end flag"));
    gateway.place("conf/apisix.yaml", "routes: {\n#END\n");
    assert!(gateway.process.says("cannot be used"));
    fs::remove_file(gateway.prefix.path().join("conf/apisix.yaml")).expect("removed");
    assert!(gateway.process.says("No such file or directory"));
    gateway.reaches("/a", true);
    gateway.reaches("/c", false);

    gateway.place(
        "conf/apisix.yaml",
        &format!("routes:\n{}{}#END\n", route("1", "/a"), route("3", "/c")),
    );
    assert!(gateway.process.says("apisix.yaml reloaded."));
    gateway.reaches("/c", true);
    gateway.reaches("/a", true);
    gateway.reaches("/default", false);
    assert_eq!(gateway.problems(), serde_json::json!([]));
    let told = gateway.process.said.matches("cannot be used").count();
    assert_eq!(told, 3, "once each: {}", gateway.process.said);
}

#[test]
fn serves_what_stands_in_apisix_json_of_the_profile() {
    let json = |uri: &str| {
        serde_json::json!({"routes": [
            {"uri": uri, "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": "${{LOCKGATE_TEST_WEIGHT}}"}}}
        ]})
        .to_string()
    };
    let mut gateway = Alone::start(
        DATA_PLANE_JSON,
        &[("conf/apisix-dev.json", &json("/a"))],
        &[("APISIX_PROFILE", "dev"), ("LOCKGATE_TEST_WEIGHT", "1")],
    );
    gateway.reaches("/a", true);
    gateway.place("conf/apisix-dev.json", &json("/b")[1..]);
    assert!(gateway.process.says("cannot be used"));
    gateway.reaches("/a", true);
    gateway.place("conf/apisix-dev.json", &json("/b"));
    gateway.reaches("/b", true);
    gateway.reaches("/a", false);
}

#[test]
fn a_file_may_come_after_the_start() {
    let mut gateway = Alone::start(DATA_PLANE_YAML, &[], &[]);
    assert!(
        gateway.process.said.contains("cannot be used"),
        "{}",
        gateway.process.said
    );
    gateway.reaches("/a", false);
    gateway.place(
        "conf/apisix.yaml",
        &format!("routes:\n{}#END\n", route("1", "/a")),
    );
    assert!(gateway.process.says("apisix.yaml reloaded."));
    gateway.reaches("/a", true);
}

#[test]
fn a_reload_does_not_exchange_what_is_in_force_for_an_unfinished_file() {
    let whole = format!("routes:\n{}#END\n", route("1", "/a"));
    let mut gateway = Alone::start(DATA_PLANE_YAML, &[("conf/apisix.yaml", &whole)], &[]);
    gateway.place("conf/apisix.yaml", whole.trim_end_matches("#END\n"));
    assert!(gateway.process.says("missing valid end flag"));
    // Objects are checked anew with other plugins.
    let path = gateway.prefix.path().join("conf/config.yaml");
    let file = fs::read_to_string(&path).expect("file");
    fs::write(&path, format!("{file}plugins: [cors]\n")).expect("written");
    gateway.process.signal(Signal::HUP);
    assert!(gateway.process.says("read anew"));
    let reason = "cannot be used in place of the configuration that is in force";
    assert!(
        gateway.process.said.contains(reason),
        "{}",
        gateway.process.said
    );
    assert!(get(gateway.proxy, "/a").starts_with("HTTP/1.1 502 "));

    gateway.place("conf/apisix.yaml", &whole);
    assert!(gateway.process.says("apisix.yaml reloaded."));
    gateway.process.signal(Signal::HUP);
    assert!(gateway.process.says("the configuration was read anew"));
    assert!(get(gateway.proxy, "/a").starts_with("HTTP/1.1 502 "));
}

#[test]
fn a_start_with_a_file_that_cannot_be_read_ends() {
    for (file, expected) in [
        ("routes: {\n#END\n", "line 1: "),
        (
            "routes: [{uri: '${{LOCKGATE_TEST_NONE}}'}]\n#END\n",
            "failed to handle configuration: can't find environment variable LOCKGATE_TEST_NONE",
        ),
        ("#END\n", "it is empty"),
    ] {
        let prefix = tempfile::tempdir().expect("directory");
        let deployment = config(free_ports(), KEY, "").replace(
            "role_traditional: {config_provider: embedded}",
            DATA_PLANE_YAML,
        );
        write(prefix.path(), "conf/config.yaml", &deployment);
        write(prefix.path(), "conf/apisix.yaml", file);
        let path = prefix.path().join("conf/apisix.yaml");
        let expected = format!("{}: {expected}", path.display());
        for (arguments, beginning) in [
            (&[][..], "lockgate: "),
            (&["test"][..], "lockgate: configuration test failed: "),
        ] {
            let mut command = lockgate();
            let output = command
                .arg("-p")
                .arg(prefix.path())
                .args(arguments)
                .output();
            let output = output.expect("runs");
            assert_eq!(output.status.code(), Some(1), "{file}");
            let said = text(&output.stderr);
            let last = said.lines().last().unwrap_or_default();
            assert!(
                last.starts_with(&format!("{beginning}{expected}")),
                "{file}: {said}"
            );
        }
    }
}

#[test]
fn serves_what_is_pushed_through_the_admin_api() {
    // The file is not read in this mode.
    let file = format!("routes:\n{}#END\n", route("1", "/file"));
    let gateway = Alone::start(PUSHED, &[("conf/apisix.yaml", &file)], &[]);
    gateway.reaches("/file", false);
    let (head, body) = gateway.configs("GET", "", "");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && body.contains("\"routes_conf_version\":0"),
        "{head}\n{body}"
    );

    let yaml = format!(
        "routes:\n{}{}routes_conf_version: 5\n",
        route("1", "/a"),
        route("2", "/b")
    );
    let fields = "Content-Type: application/yaml\r\nX-Digest: one\r\n";
    let (head, body) = gateway.configs("PUT", fields, &yaml);
    assert!(head.starts_with("HTTP/1.1 202 "), "{head}\n{body}");
    // An answer means that it is in force.
    assert!(get(gateway.proxy, "/a").starts_with("HTTP/1.1 502 "));
    assert!(get(gateway.proxy, "/b").starts_with("HTTP/1.1 502 "));
    let (head, _) = gateway.configs("PUT", fields, "routes: []");
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    let (head, _) = gateway.configs("HEAD", "", "");
    assert!(head.contains("\r\nx-digest: one\r\n"), "{head}");

    let refused = r#"{"routes": [{"id": 1, "uri": 1}]}"#;
    let (head, body) = gateway.configs("PUT", "X-Digest: two\r\n", refused);
    assert!(
        head.starts_with("HTTP/1.1 400 ") && body.contains("invalid configuration: "),
        "{head}\n{body}"
    );
    assert!(get(gateway.proxy, "/a").starts_with("HTTP/1.1 502 "));

    // What is read is what was pushed, and changes nothing when it is pushed again.
    let (_, shown) = gateway.configs("GET", "", "");
    let (head, body) = gateway.configs("PUT", "X-Digest: two\r\n", &shown);
    assert!(head.starts_with("HTTP/1.1 202 "), "{head}\n{body}");
    let (head, body) = gateway.configs(
        "PUT",
        "X-Digest: three\r\n",
        r#"{"routes_conf_version": 6}"#,
    );
    assert!(head.starts_with("HTTP/1.1 202 "), "{head}\n{body}");
    assert!(get(gateway.proxy, "/a").starts_with("HTTP/1.1 404 "));
    assert!(
        !gateway.prefix.path().join("data").exists(),
        "nothing is kept"
    );
}
