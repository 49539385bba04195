//! `lockgate echo`

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    sync::Arc,
};

use lockgate_net::tls::{ClientTls, client_config, server_name};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::support::{Process, connect, exchange, lockgate};

/// The address that an echo origin says it answers on.
pub(crate) fn address_of(origin: &mut Process) -> SocketAddr {
    let mut line = String::new();
    BufReader::new(origin.stdout())
        .read_line(&mut line)
        .expect("says where it is");
    let (_, address) = line.trim().rsplit_once("://").expect("an address");
    address.parse().expect("an address")
}

/// The JSON of a response.
fn body(response: &str) -> Value {
    let (head, body) = response.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    serde_json::from_str(body).expect("JSON")
}

#[test]
fn shows_what_it_was_sent() {
    let mut origin =
        Process::start(lockgate().args(["echo", "--listen", "127.0.0.1:0", "--name", "a"]));
    let address = address_of(&mut origin);
    let seen = body(&exchange(
        address,
        "GET /any/path?x=1 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n",
    ));
    let expected = json!({
        "name": "a",
        "method": "GET",
        "uri": "/any/path?x=1",
        "headers": {"host": "h", "x-a": "1, 2", "connection": "close"},
        "body": "",
        "body_bytes": 0,
    });
    assert_eq!(seen, expected);
    let seen = body(&exchange(
        address,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ));
    assert_eq!(
        (&seen["method"], &seen["body"], &seen["body_bytes"]),
        (&json!("POST"), &json!("abcde"), &json!(5))
    );
}

#[test]
fn keeps_connections_alive() {
    let mut origin = Process::start(lockgate().args(["echo", "--listen", "127.0.0.1:0"]));
    let mut stream = connect(address_of(&mut origin));
    for _ in 0..2 {
        stream
            .write_all(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            .expect("sent");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a head");
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 200 "));
    }
}

#[test]
fn speaks_tls_with_a_certificate_of_its_own() {
    let mut origin = Process::start(lockgate().args([
        "echo",
        "--listen",
        "127.0.0.1:0",
        "--tls",
        "--name",
        "secure.test",
    ]));
    let address = address_of(&mut origin);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let response = runtime.block_on(async {
        let config = client_config(&ClientTls::default()).expect("TLS");
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&config));
        let tcp = tokio::net::TcpStream::connect(address)
            .await
            .expect("connected");
        let mut stream = connector
            .connect(server_name("secure.test").expect("name"), tcp)
            .await
            .expect("TLS");
        stream
            .write_all(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await
            .expect("sent");
        let mut response = String::new();
        stream
            .read_to_string(&mut response)
            .await
            .expect("answered");
        response
    });
    assert_eq!(body(&response)["name"], json!("secure.test"));
}

#[test]
fn says_when_it_cannot_listen() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("free port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut origin = Process::start(lockgate().args(["echo", "--listen", &address]));
    assert_eq!(origin.end().code(), Some(1));
    assert!(
        origin
            .said
            .starts_with(&format!("lockgate: cannot listen on {address}: ")),
        "{}",
        origin.said
    );
}
