//! Which route a request takes, end to end; the order itself is tested in the router.

use lockgate_router::Mode;
use lockgate_testkit::{Gateway, Origin, Setup};
use serde_json::{Value, json};

/// A gateway whose routes answer with their ids.
fn gateway(mode: Mode, routes: &[(&str, Value)]) -> (Gateway, Vec<Origin>) {
    let mut setup = Setup::new().with(|setup| setup.router = mode);
    let mut origins = Vec::new();
    for (id, object) in routes {
        let origin = Origin::saying(id);
        let mut object = object.clone();
        object["upstream"] = json!({"nodes": {origin.node(): 1}});
        setup = setup.put(&format!("routes/{id}"), &object);
        origins.push(origin);
    }
    let service = json!({"hosts": ["service.test"]});
    (setup.put("services/hosts", &service).start(), origins)
}

fn taken(gateway: &Gateway, request: &str) -> String {
    let (line, fields) = request
        .split_once('\n')
        .unwrap_or((request, "Host: a.test"));
    let fields = fields.replace('\n', "\r\n");
    let answer = gateway.ask(format!("{line} HTTP/1.1\r\n{fields}\r\n\r\n"));
    if answer.status() == 200 {
        answer.text()
    } else {
        answer.status().to_string()
    }
}

#[test]
fn hosts_decide_first_or_paths_do() {
    let routes = [
        ("host", json!({"uri": "/*", "host": "a.test"})),
        ("wild", json!({"uri": "/*", "hosts": ["*.wild.test"]})),
        ("exact", json!({"uri": "/exact"})),
        ("prefix", json!({"uri": "/pre*"})),
    ];
    for (mode, request, expected) in [
        (Mode::HostUri, "GET /exact", "host"),
        (Mode::HostUri, "GET /exact\nHost: A.TEST:9080", "host"),
        (Mode::HostUri, "GET /exact\nHost: b.test", "exact"),
        (Mode::HostUri, "GET /x\nHost: x.y.wild.test", "wild"),
        (Mode::HostUri, "GET /x\nHost: wild.test", "404"),
        (Mode::HostUri, "GET /prefix\nHost: b.test", "prefix"),
        (Mode::Uri, "GET /exact", "exact"),
        (Mode::Uri, "GET /other", "host"),
        (Mode::Uri, "GET /pre\nHost: b.test", "prefix"),
        (Mode::Uri, "GET /none\nHost: b.test", "404"),
    ] {
        let (gateway, _origins) = gateway(mode, &routes);
        assert_eq!(taken(&gateway, request), expected, "{mode:?} {request}");
    }
}

#[test]
fn parameters_are_found_and_logged() {
    let routes = [
        ("param", json!({"uri": "/user/:name/*rest"})),
        ("fixed", json!({"uri": "/user/root/x"})),
    ];
    let (mut setup, mut origins) = (Setup::new(), Vec::new());
    for (id, object) in &routes {
        let origin = Origin::saying(id);
        let mut object = object.clone();
        object["upstream"] = json!({"nodes": {origin.node(): 1}});
        setup = setup.put(&format!("routes/{id}"), &object);
        origins.push(origin);
    }
    let gateway = setup
        .with(|setup| {
            setup.router = Mode::UriWithParameter;
            setup.log_format = "$uri_param_name $uri_param_rest".into();
        })
        .start();
    assert_eq!(taken(&gateway, "GET /user/joe/a/b"), "param");
    assert_eq!(gateway.log_line(), "joe a/b");
    assert_eq!(taken(&gateway, "GET /user/root/x"), "fixed");
    assert_eq!(gateway.log_line(), "- -");
    assert_eq!(taken(&gateway, "GET /user/joe"), "404");
}

#[test]
fn conditions_select_among_routes_of_a_path() {
    let (gateway, _origins) = gateway(
        Mode::HostUri,
        &[
            (
                "post",
                json!({"uri": "/x", "methods": ["POST"], "priority": 9}),
            ),
            (
                "far",
                json!({"uri": "/x", "remote_addr": "9.9.9.0/24", "priority": 8}),
            ),
            (
                "vars",
                json!({"uri": "/x", "vars": [["arg_v", "==", "1"], ["http_x_y", "~~", "^a"]], "priority": 7}),
            ),
            (
                "cookie",
                json!({"uri": "/x", "vars": [["cookie_c", "in", ["1", "2"]]], "priority": 6}),
            ),
            (
                "local",
                json!({"uri": "/x", "remote_addrs": ["127.0.0.0/8"], "priority": 5}),
            ),
            ("off", json!({"uri": "/off", "status": 0})),
            ("service", json!({"uri": "/service", "service_id": "hosts"})),
        ],
    );
    for (request, expected) in [
        ("GET /x", "local"),
        ("POST /x", "post"),
        ("GET /x\nHost: a\nX-Real-IP: 9.9.9.9", "far"),
        ("GET /x\nHost: a\nX-Real-IP: 9.9.8.9", "404"),
        ("GET /x?v=1\nHost: a\nX-Y: abc", "vars"),
        ("GET /x?v=1\nHost: a\nX-Y: bc", "local"),
        ("GET /x\nHost: a\nCookie: b=1; c=2", "cookie"),
        ("GET /off", "404"),
        ("GET /service", "404"),
        ("GET /service\nHost: service.test", "service"),
    ] {
        assert_eq!(taken(&gateway, request), expected, "{request}");
    }
}

#[test]
fn paths_are_matched_in_normal_form_and_forwarded_as_they_came() {
    let (gateway, origins) = gateway(Mode::HostUri, &[("x", json!({"uri": "/a/b"}))]);
    for path in [
        "/a/b",
        "//a//b",
        "/a/./b",
        "/a/c/../b",
        "/%61/b",
        "/a%2Fb",
        "/a/b?x=%20",
        "/a/b?",
    ] {
        assert_eq!(taken(&gateway, &format!("GET {path}")), "x", "{path}");
        assert_eq!(origins[0].last().start, format!("GET {path} HTTP/1.1"));
    }
    for path in ["/a/b/", "/A/b", "/a/b%00", "/a/b%3Fx"] {
        assert_ne!(taken(&gateway, &format!("GET {path}")), "x", "{path}");
    }
}

#[test]
fn a_slash_at_the_end_can_be_ignored() {
    let origin = Origin::saying("x");
    let gateway = Setup::new()
        .put("routes/1", &crate::route("/a", &origin))
        .with(|setup| setup.options.delete_uri_tail_slash = true)
        .start();
    for (path, status) in [("/a", 200), ("/a/", 200), ("/a//", 200), ("/", 404)] {
        assert_eq!(gateway.get(path).status(), status, "{path}");
    }
}

#[test]
fn named_nodes_are_found_in_the_hosts_file() {
    let origin = Origin::saying("x");
    let port = origin.address().port();
    let object = |name: &str| json!({"uri": "/*", "upstream": {"nodes": {format!("{name}:{port}"): 1}, "pass_host": "node"}});
    let gateway = Setup::new()
        .put("routes/1", &object("known.test"))
        .with(|setup| setup.hosts = "127.0.0.1 other known.test\n".into())
        .start();
    assert_eq!(gateway.get("/").text(), "x");
    let host = format!("known.test:{port}");
    assert_eq!(origin.last().field("host"), Some(host.as_str()));
    // A name that nobody knows is as good as no node.
    gateway.put("routes/1", &object("unknown.test"));
    assert_eq!(gateway.get("/").status(), 503);
    gateway.put("routes/1", &object("known.test"));
    assert_eq!(gateway.get("/").text(), "x");
}
