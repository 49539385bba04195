//! The port whose connections begin with a header of the PROXY protocol.

use std::time::Duration;

use lockgate_testkit::{Gateway, Origin, Setup, eventually};

use crate::{GET, route};

const LINE: &str = "PROXY TCP4 192.0.2.1 192.0.2.2 5000 80\r\n";

fn started(origin: &Origin, change: impl FnOnce(&mut Setup)) -> Gateway {
    Setup::new()
        .put("routes/1", &route("/*", origin))
        .with(|setup| {
            setup.options.listen_proxy_protocol = vec![([127, 0, 0, 1], 0).into()];
            setup.log_format =
                "$status $remote_addr $remote_port $realip_remote_addr $proxy_protocol_addr \
                $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port"
                    .into();
        })
        .with(change)
        .start()
}

/// A header of version 2: command, family, and what follows.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("short").to_be_bytes();
    let signature = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
    [signature, &[command, family], &len, rest].concat()
}

fn by_proxy(setup: &mut Setup) {
    setup.options.real_ip_header = "proxy_protocol".into();
}

#[test]
fn the_header_says_who_the_client_is() {
    let origin = Origin::saying("ok");
    let gateway = started(&origin, by_proxy);
    let mut six = [[0_u8; 15].as_slice(), &[1], &[0; 15], &[2]].concat();
    six.extend_from_slice(&[0x13, 0x88, 0, 80, 4, 0, 1, 0]);
    for (header, address, logged) in [
        (
            LINE.as_bytes().to_vec(),
            "192.0.2.1",
            "200 192.0.2.1 5000 127.0.0.1 192.0.2.1 5000 192.0.2.2 80",
        ),
        (
            binary(0x21, 0x21, &six),
            "::1",
            "200 ::1 5000 127.0.0.1 ::1 5000 ::2 80",
        ),
    ] {
        // In one piece with the request, and byte by byte.
        let mut client = gateway.proxied_client();
        client.send([&header, GET.as_bytes()].concat());
        assert_eq!(client.response().status(), 200);
        assert_eq!(gateway.log_line(), logged);
        let forwarded = origin.last();
        assert_eq!(forwarded.field("X-Real-IP"), Some(address));
        assert_eq!(forwarded.field("X-Forwarded-For"), Some(address));
        let mut client = gateway.proxied_client();
        for byte in header {
            client
                .send([byte])
                .hears_nothing_for(Duration::from_micros(100));
        }
        for _ in 0..2 {
            assert_eq!(client.ask(GET).status(), 200);
            assert_eq!(gateway.log_line(), logged);
        }
    }
}

#[test]
fn a_proxy_that_speaks_for_itself_is_the_client() {
    let origin = Origin::saying("ok");
    let gateway = started(&origin, by_proxy);
    for header in [binary(0x20, 0, &[]), b"PROXY UNKNOWN\r\n".to_vec()] {
        let mut client = gateway.proxied_client();
        client.send(&header);
        assert_eq!(client.ask(GET).status(), 200);
        let line = gateway.log_line();
        assert!(line.starts_with("200 127.0.0.1 "), "{line}");
        assert!(line.ends_with(" 127.0.0.1 - - - -"), "{line}");
        // A probe says no more than that.
        let mut client = gateway.proxied_client();
        client.send(&header).finish();
        assert_eq!(client.rest(), b"");
    }
}

#[test]
fn the_header_counts_where_real_ip_says_so_alone() {
    let origin = Origin::saying("ok");
    let client_is = |gateway: &Gateway, fields: &str| {
        let mut client = gateway.proxied_client();
        client.send(LINE);
        client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let line = gateway.log_line();
        let mut words = line.split(' ').skip(1).map(str::to_owned);
        (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        )
    };
    let gateway = started(&origin, |_| {});
    assert_eq!(client_is(&gateway, "").0, "127.0.0.1");
    // From a field, without a port and with one.
    let told = client_is(&gateway, "X-Real-IP: 9.9.9.9\r\n");
    assert_eq!(told, ("9.9.9.9".into(), String::new()));
    let told = client_is(&gateway, "X-Real-IP: 9.9.9.9:7\r\n");
    assert_eq!(told, ("9.9.9.9".into(), "7".into()));
    let gateway = started(&origin, |setup| {
        by_proxy(setup);
        setup.options.real_ip_from.clear();
    });
    assert_eq!(client_is(&gateway, "").0, "127.0.0.1");
    // The other port knows no header.
    let gateway = started(&origin, by_proxy);
    assert_eq!(gateway.ask(LINE).status(), 400);
    let line = gateway.log_line();
    assert!(line.starts_with("400 127.0.0.1 "), "{line}");
}

#[test]
fn what_is_no_header_ends_the_connection() {
    let origin = Origin::saying("ok");
    let gateway = started(&origin, |setup| {
        setup.options.header_timeout = Duration::from_millis(150);
    });
    for bytes in [
        GET.as_bytes().to_vec(),
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        binary(0x31, 0x11, &[0; 12]),
        binary(0x21, 0x11, &[0; 3]),
        binary(0x21, 0x11, &[0; 5000]),
        // Never whole.
        b"PROXY TCP4".to_vec(),
        Vec::new(),
    ] {
        let mut client = gateway.proxied_client();
        let _closed = client.try_send(&bytes);
        assert_eq!(client.rest(), b"", "{bytes:?}");
    }
    eventually("every connection is let go", || gateway.counts().open == 0);
    assert!(origin.requests().is_empty());
    let mut client = gateway.proxied_client();
    assert_eq!(client.send(LINE).ask(GET).status(), 200);
}
