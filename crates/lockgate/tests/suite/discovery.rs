//! Nodes from a registry, in the whole process.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Instant,
};

use crate::{
    gateway::Gateway,
    support::{PATIENCE, get},
};

/// A server that answers every request on a connection of its own with what `answer` gives at the time.
pub(crate) fn serve(answer: impl Fn() -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let mut read = Vec::new();
            let mut some = [0; 1024];
            while !read.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut some) {
                    Ok(count) if count > 0 => {
                        read.extend_from_slice(some.get(..count).unwrap_or_default());
                    }
                    _ => break,
                }
            }
            let body = answer();
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            // A client that has gone away is not waited for.
            let _gone = stream.write_all((head + &body).as_bytes());
        }
    });
    address
}

fn applications(nodes: &[SocketAddr]) -> String {
    let instance = |node: &SocketAddr| {
        serde_json::json!({
            "ipAddr": node.ip().to_string(), "status": "UP",
            "port": {"$": node.port(), "@enabled": "true"},
        })
    };
    let instances: Vec<_> = nodes.iter().map(instance).collect();
    serde_json::json!({"applications": {"application": [{"name": "APP", "instance": instances}]}})
        .to_string()
}

#[test]
fn requests_go_where_the_registry_says() {
    let origins = ["one", "two"].map(|name| serve(move || name.to_owned()));
    let nodes = Arc::new(Mutex::new(vec![origins[0]]));
    let shared = nodes.clone();
    let registry = serve(move || applications(&shared.lock().expect("sound")));
    let mut gateway = Gateway::start("");
    let file = gateway.file();
    let eureka = format!(
        "{file}discovery: {{eureka: {{host: ['http://{registry}'], fetch_interval: 1}}}}\n"
    );
    assert!(gateway.reload(&eureka), "{}", gateway.process.said);
    let upstream = |service: &str, kind: &str| serde_json::json!({"service_name": service, "discovery_type": kind, "type": "roundrobin"});
    let route = |uri: &str, service: &str, kind: &str| {
        serde_json::json!({"uri": uri, "upstream": upstream(service, kind)}).to_string()
    };
    for (id, route) in [
        ("11", route("/b", "NONE", "eureka")),
        ("12", route("/c", "APP", "nacos")),
    ] {
        let made = gateway.admin("PUT", &format!("routes/{id}"), &route);
        assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
    }
    gateway.put(&route("/a", "APP", "eureka"));
    let proxy = gateway.proxy;
    let path = |path: &str| get(proxy, path);
    assert!(path("/a").ends_with("one"));
    for missing in ["/b", "/c"] {
        let answer = path(missing);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{missing}: {answer}");
    }
    *nodes.lock().expect("sound") = vec![origins[1]];
    let began = Instant::now();
    while !path("/a").ends_with("two") {
        assert!(began.elapsed() < PATIENCE, "the change never came");
        std::thread::park_timeout(std::time::Duration::from_millis(20));
    }
    // A registry that says nonsense changes nothing, nor does a reload that leaves it alone.
    let again = format!("{eureka}# read anew\n");
    assert!(gateway.reload(&again), "{}", gateway.process.said);
    assert!(get(gateway.proxy, "/a").ends_with("two"));
    let wrong = format!("{file}discovery: {{consul: {{servers: ['ftp://a']}}}}\n");
    assert!(!gateway.reload(&wrong));
    assert!(
        gateway
            .process
            .said
            .contains("only support consul http schema address"),
        "{}",
        gateway.process.said
    );
    assert!(get(gateway.proxy, "/a").ends_with("two"));
}
