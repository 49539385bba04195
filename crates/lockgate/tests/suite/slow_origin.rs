//! An origin that makes a request take as long as a test wants.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use crate::{
    gateway::{Gateway, UNBUFFERED},
    support::{PATIENCE, connect},
};

/// An origin that answers one request when it is told to.
pub(crate) struct SlowOrigin {
    pub(crate) address: SocketAddr,
    pub(crate) asked: mpsc::Receiver<()>,
    pub(crate) answer: mpsc::Sender<()>,
}

impl SlowOrigin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("free port");
        let address = listener.local_addr().expect("bound");
        let ((asked_in, asked), (answer, answer_out)) = (mpsc::channel(), mpsc::channel::<()>());
        thread::spawn(move || {
            // Others may still look for who had this port before; what they send is not what is waited for.
            let mut stream = loop {
                let (mut stream, _) = listener.accept().expect("asked");
                if read_head(&mut stream).is_some_and(|head| head.starts_with(b"GET /slow")) {
                    break stream;
                }
            };
            asked_in.send(()).expect("test runs");
            if answer_out.recv().is_ok() {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
                    .expect("answered");
            }
        });
        Self {
            address,
            asked,
            answer,
        }
    }
}

/// The head of a request; `None` where none comes.
fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .expect("set");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    Some(head)
}

/// A gateway with a request under way that its origin has not answered, and the client's side of it.
pub(crate) fn with_slow_request() -> (Gateway, SlowOrigin, TcpStream) {
    let gateway = Gateway::start(UNBUFFERED);
    let origin = SlowOrigin::start();
    let route = format!(
        r#"{{"uri": "/slow", "upstream": {{"type": "roundrobin", "timeout": {{"connect": 60, "send": 60, "read": 600}}, "nodes": {{"{}": 1}}}}}}"#,
        origin.address
    );
    gateway.put(&route);
    let mut client = connect(gateway.proxy);
    client
        .write_all(b"GET /slow HTTP/1.1\r\nHost: test\r\n\r\n")
        .expect("sent");
    origin.asked.recv_timeout(PATIENCE).expect("asked");
    (gateway, origin, client)
}
