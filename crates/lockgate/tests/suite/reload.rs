//! A running gateway reads its configuration anew.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Instant,
};

use rustix::process::Signal;

use crate::{
    gateway::{Gateway, KEY, UNBUFFERED, config},
    slow_origin::{SlowOrigin, with_slow_request},
    support::{PATIENCE, connect, exchange, free_ports, get, text},
};

/// Reads one response, whose length is told; whether the connection goes on.
fn response(stream: &mut TcpStream) -> (String, bool) {
    let (mut read, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut piece).expect("an answer");
        assert_ne!(
            count,
            0,
            "the connection ends without an answer: {}",
            text(&read)
        );
        read.extend_from_slice(piece.get(..count).expect("what was read"));
        let all = text(&read);
        let Some((head, body)) = all.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        if body.len()
            == length
                .expect("a length")
                .parse::<usize>()
                .expect("a number")
        {
            let goes_on = !head.contains("Connection: close");
            return (all, goes_on);
        }
    }
}

/// Asks until it is told to end, on one connection as long as that lasts.
fn ask_on(address: SocketAddr, keeps: bool, is_over: &AtomicBool, answered: &AtomicUsize) {
    let connection = if keeps { "keep-alive" } else { "close" };
    let request = format!("GET /asked HTTP/1.1\r\nHost: test\r\nConnection: {connection}\r\n\r\n");
    let mut stream = connect(address);
    while !is_over.load(Relaxed) {
        stream.write_all(request.as_bytes()).expect("sent");
        let (answer, goes_on) = response(&mut stream);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        answered.fetch_add(1, Relaxed);
        if !goes_on {
            stream = connect(address);
        }
    }
}

/// Asks the Admin API for a route.
fn ask(admin: SocketAddr, key: &str) -> String {
    let head = format!(
        "GET /apisix/admin/routes/1 HTTP/1.1\r\nHost: test\r\nX-API-KEY: {key}\r\nConnection: close\r\n\r\n"
    );
    exchange(admin, &head)
}

#[test]
fn no_request_fails_while_the_number_of_workers_changes() {
    let mut gateway = Gateway::start("");
    let file = gateway.file();
    let (is_over, answered) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (address, is_over, answered) = (gateway.proxy, is_over.clone(), answered.clone());
            thread::spawn(move || ask_on(address, client % 2 == 0, &is_over, &answered))
        })
        .collect();
    for workers in [2, 3, 1, 4, 2] {
        let before = answered.load(Relaxed);
        let workers = format!("worker_processes: {workers}");
        assert!(
            gateway.reload(&file.replace("worker_processes: 1", &workers)),
            "{}",
            gateway.process.said
        );
        let began = Instant::now();
        while answered.load(Relaxed) < before + 500 {
            assert!(began.elapsed() < PATIENCE, "answers stop coming");
            thread::yield_now();
        }
    }
    is_over.store(true, Relaxed);
    for client in clients {
        client.join().expect("every request is answered");
    }
}

#[test]
fn a_connection_that_is_kept_gets_an_answer_that_announces_its_end() {
    let mut gateway = Gateway::start("");
    let file = gateway.file();
    let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
    let mut client = connect(gateway.proxy);
    client.write_all(request).expect("sent");
    assert!(response(&mut client).1);
    assert!(gateway.reload(&file));
    // Until the worker knows that it is to end, it may keep the connection once more.
    let is_answered_and_closed = (0..1000).any(|_| {
        client.write_all(request).expect("sent");
        !response(&mut client).1
    });
    assert!(is_answered_and_closed);
    assert_eq!(client.read(&mut [0]).expect("closed"), 0);
}

#[test]
fn everything_in_the_file_takes_effect() {
    let mut gateway = Gateway::start(UNBUFFERED);
    gateway.put(
        r#"{"uri": "/kept", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}"#,
    );
    let id = gateway.process.id();
    let [proxy, admin, control] = free_ports();
    let other_key = "0123456789abcdef0123456789abcdef";
    let file = config(
        [proxy, admin, control],
        other_key,
        "  http: {access_log: logs/other.log, access_log_buffer: 1, access_log_format: new $uri}\n",
    )
    .replace("worker_processes: 1", "worker_processes: 2")
    .replace("error_log: stderr", "error_log: logs/error.log");
    assert!(gateway.reload(&file), "{}", gateway.process.said);

    let [proxy, admin, control] =
        [proxy, admin, control].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    assert!(get(proxy, "/kept").starts_with("HTTP/1.1 502 "));
    assert!(get(control, "/v1/schema").starts_with("HTTP/1.1 200 "));
    assert!(ask(admin, KEY).starts_with("HTTP/1.1 401 "));
    assert!(ask(admin, other_key).starts_with("HTTP/1.1 200 "));
    for old in [gateway.proxy, gateway.admin] {
        let began = Instant::now();
        while TcpStream::connect(old).map_err(|error| error.kind()).err()
            != Some(ErrorKind::ConnectionRefused)
        {
            assert!(began.elapsed() < PATIENCE, "{old} is still listened on");
            thread::yield_now();
        }
    }
    let prefix = gateway.prefix.path();
    let pid = fs::read_to_string(prefix.join("logs/nginx.pid")).expect("written");
    assert_eq!(pid.trim().parse(), Ok(id));

    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    let read = |name: &str| fs::read_to_string(prefix.join("logs").join(name)).expect("log");
    assert_eq!(
        (gateway.logged(), read("other.log")),
        (String::new(), "new /kept\n".to_owned())
    );
    assert!(read("error.log").contains("the gateway has ended"));
}

#[test]
fn a_key_that_the_file_cannot_keep_is_good_until_the_process_ends() {
    // A variable in its place leaves none to write it to.
    let mut gateway = Gateway::start_with_key("${{LOCKGATE_TEST_NONE:=}}");
    let told = "takes this key until the process ends: ";
    let key = |said: &str| {
        let (_, key) = said.split_once(told).expect("the key");
        key.lines().next().unwrap_or_default().to_owned()
    };
    let key = key(&gateway.process.said);
    let file = gateway.file();
    for _ in 0..2 {
        let answer = ask(gateway.admin, &key);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        assert!(gateway.reload(&file), "{}", gateway.process.said);
    }
    assert!(ask(gateway.admin, &key).starts_with("HTTP/1.1 404 "));
    assert_eq!(gateway.process.said.matches(told).count(), 1);
}

#[test]
fn a_file_that_cannot_be_used_changes_nothing() {
    let mut gateway = Gateway::start("");
    let file = gateway.file();
    let taken = TcpListener::bind("127.0.0.1:0").expect("free port");
    let taken = taken.local_addr().expect("bound").port().to_string();
    let own = gateway.proxy.port().to_string();
    let cases = [
        ("apisix: [".to_owned(), "config.yaml:"),
        (
            file.replace("worker_processes: 1", "worker_processes: none"),
            "worker_processes",
        ),
        (file.replace(&own, &taken), "another process listens there"),
        (
            file.replace(
                "error_log_level: notice",
                "http: {access_log: no/such/directory}",
            ),
            "cannot open the access log",
        ),
    ];
    for (broken, reason) in cases {
        assert!(!gateway.reload(&broken), "{broken}");
        assert!(
            gateway.process.said.contains(reason),
            "{}",
            gateway.process.said
        );
        assert!(get(gateway.proxy, "/").starts_with("HTTP/1.1 404 "));
        assert!(
            gateway
                .admin("GET", "routes", "")
                .starts_with("HTTP/1.1 200 ")
        );
    }
    assert!(gateway.reload(&file), "{}", gateway.process.said);
}

#[test]
fn a_write_goes_on_over_a_reload_and_is_answered_when_it_is_in_force() {
    let mut gateway = Gateway::start("");
    let file = gateway.file();
    let mut client = connect(gateway.admin);
    let body =
        r#"{"uri": "/new", "upstream": {"type": "roundrobin", "nodes": {"127.0.0.1:1": 1}}}"#;
    let head = format!(
        "PUT /apisix/admin/routes/1 HTTP/1.1\r\nHost: test\r\nX-API-KEY: {KEY}\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).expect("sent");
    let mut interim = [0; 25];
    client.read_exact(&mut interim).expect("asked for the body");
    assert_eq!(text(&interim), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(gateway.reload(&file));
    client.write_all(body.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("answered");
    assert!(
        text(&answer).starts_with("HTTP/1.1 201 "),
        "{}",
        text(&answer)
    );
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
    let said = &gateway.process.said;
    assert!(!said.contains("before it is in force"), "{said}");
}

#[test]
fn a_request_goes_on_over_reloads_and_is_waited_for_at_the_end() {
    let (mut gateway, origin, mut client) = with_slow_request();
    let file = gateway.file();
    assert!(gateway.reload(&file));
    assert!(gateway.reload(&file));
    gateway.process.signal(Signal::QUIT);
    assert!(
        gateway
            .process
            .says("the gateway ends when the requests that were begun are done")
    );
    origin.answer.send(()).expect("origin waits");
    let (answer, goes_on) = response(&mut client);
    assert!(answer.ends_with("slow") && !goes_on, "{answer}");
    assert!(gateway.process.end().success());
    assert_eq!(gateway.logged(), "GET /slow 200\n");
}

#[test]
fn the_oldest_of_too_many_configurations_is_cut_short() {
    let (mut gateway, _origin, mut client): (Gateway, SlowOrigin, TcpStream) = with_slow_request();
    let mut others = Vec::new();
    let file = gateway.file();
    let cut = "the oldest is cut short";
    for number in 0..9 {
        assert!(!gateway.process.said.contains(cut), "after {number}");
        // One request that takes as long for each of them.
        let origin = SlowOrigin::start();
        let route = format!(
            r#"{{"uri": "/slow/{number}", "upstream": {{"type": "roundrobin", "timeout": {{"connect": 60, "send": 60, "read": 600}}, "nodes": {{"{}": 1}}}}}}"#,
            origin.address
        );
        let made = gateway.admin("PUT", &format!("routes/slow-{number}"), &route);
        assert!(made.starts_with("HTTP/1.1 201 "), "{made}");
        let mut other = connect(gateway.proxy);
        let request = format!("GET /slow/{number} HTTP/1.1\r\nHost: test\r\n\r\n");
        other.write_all(request.as_bytes()).expect("sent");
        origin.asked.recv_timeout(PATIENCE).expect("asked");
        others.push((other, origin));
        assert!(gateway.reload(&file), "{}", gateway.process.said);
    }
    assert!(gateway.process.says(cut));
    let ended = client.read(&mut [0]).map_err(|error| error.kind());
    assert!(
        matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)),
        "{ended:?}"
    );
    // The next one goes on.
    let (mut second, origin) = others.remove(1);
    origin.answer.send(()).expect("origin waits");
    assert!(response(&mut second).0.ends_with("slow"));
}

#[test]
fn the_end_does_not_wait_for_what_a_reload_left_behind() {
    let (mut gateway, _origin, _client): (Gateway, SlowOrigin, TcpStream) = with_slow_request();
    let file = gateway.file();
    assert!(gateway.reload(&file));
    gateway.process.signal(Signal::TERM);
    assert!(gateway.process.end().success());
}
