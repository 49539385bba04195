//! Large bodies: streamed, held back where a reader is slow, never collected.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lockgate_testkit::{Client, Gateway, Origin, eventually};

use crate::GET;

const MIB: usize = 1024 * 1024;

/// Bytes of a body that nobody could mistake for memory of something else.
const SIZE: usize = 200 * MIB;

/// Most bytes that may lie between a sender that is stuck and a reader that does not read: buffers of four sockets.
const BETWEEN: usize = 64 * MIB;

/// Memory in use by this process.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("linux");
    let pages = text
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("pages") * 4096
}

#[test]
fn a_slow_reader_holds_the_origin_back_and_costs_no_memory() {
    let before_stuck = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start({
        let before_stuck = before_stuck.clone();
        move |connection| {
            connection.request();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"));
            let piece = vec![b'x'; MIB];
            let sent = connection.send_until_stuck(&piece, SIZE, Duration::from_millis(500));
            before_stuck.store(sent, Ordering::Release);
            let mut left = SIZE - sent;
            while left > 0 && connection.send(&piece[..left.min(MIB)]) {
                left -= left.min(MIB);
            }
        }
    });
    let gateway = Gateway::to(&origin);
    let before = resident_bytes();
    let mut client = Client::connect_narrow(gateway.address, 64 * 1024);
    assert_eq!(client.send(GET).head().status(), 200);
    eventually("the origin is stuck", || {
        before_stuck.load(Ordering::Acquire) > 0
    });
    let sent = before_stuck.load(Ordering::Acquire);
    assert!(sent < BETWEEN, "{sent} bytes went somewhere");
    assert_eq!(client.skip(SIZE), SIZE);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SIZE / 2, "{grown} bytes of memory");
}

#[test]
fn a_slow_origin_holds_the_client_back_and_costs_no_memory() {
    let (release, released) = crate::gate();
    let received = Arc::new(AtomicUsize::new(0));
    let origin = Origin::start({
        let received = received.clone();
        move |connection| {
            connection.head();
            released();
            while received.load(Ordering::Relaxed) < SIZE {
                let count = connection.bytes(MIB).len();
                if count == 0 {
                    return;
                }
                received.fetch_add(count, Ordering::Relaxed);
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let gateway = Gateway::to(&origin);
    let before = resident_bytes();
    let mut client = gateway.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    let piece = vec![b'x'; MIB];
    let sent = client.send_until_stuck(&piece, SIZE, Duration::from_millis(500));
    assert!(sent < BETWEEN, "{sent} bytes went somewhere");
    release();
    let mut left = SIZE - sent;
    while left > 0 {
        client.send(&piece[..left.min(MIB)]);
        left -= left.min(MIB);
    }
    assert_eq!(client.response().text(), "ok");
    assert_eq!(received.load(Ordering::Relaxed), SIZE);
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SIZE / 2, "{grown} bytes of memory");
}

#[test]
fn every_byte_of_a_body_arrives_in_order() {
    let body: Vec<u8> = (0..5 * MIB as u32).map(|at| (at % 253) as u8).collect();
    let origin = Origin::start(|connection| {
        while let Some(request) = connection.request() {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for piece in request.body.chunks(70_001) {
                connection.send(format!("{:x}\r\n", piece.len()));
                connection.send(piece);
                connection.send("\r\n");
            }
            connection.send("0\r\n\r\n");
        }
    });
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    let mut sender = client.copy();
    for size in [1, 16_000, 65_536, 1_000_003, body.len()] {
        let body = &body[..size];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sender.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
                for piece in body.chunks(33_333) {
                    let head = format!("{:x}\r\n", piece.len());
                    sender.send([head.as_bytes(), piece, b"\r\n"].concat());
                }
                sender.send("0\r\n\r\n");
            });
            assert!(client.response().body == body, "{size}");
        });
        assert!(origin.last().body == body, "{size}");
    }
    assert_eq!(origin.connections(), 1);
}
