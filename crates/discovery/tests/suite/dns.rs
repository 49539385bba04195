//! DNS, against a real server.

use crate::{
    dnsmasq::Dnsmasq,
    support::{Watched, start, started},
};

/// Names that do not change: `m1` has two addresses, `m2` one, `m6` one of IPv6.
const ZONE: &[&str] = &[
    "--host-record=m1.test,127.0.0.1",
    "--host-record=m1.test,127.0.0.2",
    "--host-record=m2.test,127.0.0.3",
    "--host-record=m6.test,::1",
    "--host-record=both.test,127.0.0.5,::5",
    "--cname=alias.test,m2.test",
    "--srv-host=_http._tcp.srv.test,m1.test,81,10,3",
    "--srv-host=_http._tcp.srv.test,m2.test,82,20,5",
    "--srv-host=_http._tcp.srv.test,m6.test,0,10,0",
    "--host-record=mixed.test,127.0.0.4",
    "--srv-host=mixed.test,m2.test,83,0,1",
];

fn with(server: &Dnsmasq, more: &str) -> String {
    format!("dns:\n  servers: ['127.0.0.1:{}']\n{more}", server.port)
}

#[tokio::test]
async fn finds_nodes_by_every_type_of_record() {
    let server = Dnsmasq::start(ZONE);
    let discovery = start(&with(&server, ""));
    for (service, expected) in [
        ("m2.test", &["127.0.0.3 1"][..]),
        ("m1.test:1980", &["127.0.0.1:1980 1", "127.0.0.2:1980 1"]),
        ("m6.test:1980", &["::1:1980 1"]),
        // IPv4 where there is both.
        ("both.test", &["127.0.0.5 1"]),
        ("alias.test:80", &["127.0.0.3:80 1"]),
        // A machine's addresses share its weight, a weight of 0 counts as 1, a port of 0 as none; less is more important.
        (
            "_http._tcp.srv.test",
            &[
                "127.0.0.1:81 3 !-10",
                "127.0.0.2:81 3 !-10",
                "127.0.0.3:82 10 !-20",
                "::1 2 !-10",
            ],
        ),
        (
            "_http._tcp.srv.test:9",
            &[
                "127.0.0.1:9 3 !-10",
                "127.0.0.2:9 3 !-10",
                "127.0.0.3:9 10 !-20",
                "::1:9 2 !-10",
            ],
        ),
        ("mixed.test", &["127.0.0.3:83 1"]),
        ("nowhere.test", &[]),
    ] {
        let mut watched = Watched::of(&discovery, "dns", service);
        watched.settled().await;
        assert_eq!(watched.now(), expected, "{service}");
    }
    assert!(discovery.show("dns", "dump").is_none());
}

#[tokio::test]
async fn asks_in_the_order_that_is_configured() {
    let server = Dnsmasq::start(ZONE);
    for (order, expected) in [
        ("[A, SRV]", "127.0.0.4 1"),
        ("[AAAA, CNAME, SRV, A]", "127.0.0.3:83 1"),
    ] {
        let discovery = start(&with(&server, &format!("  order: {order}\n")));
        let mut watched = Watched::of(&discovery, "dns", "mixed.test");
        watched.becomes(&[expected]).await;
    }
}

#[tokio::test]
async fn follows_changes_within_the_time_to_live() {
    let server = Dnsmasq::start(&[]);
    let discovery = start(&with(&server, ""));
    let mut watched = Watched::of(&discovery, "dns", "a.test:1");
    watched.settled().await;
    assert!(watched.now().is_empty(), "NXDOMAIN");
    server.hosts("127.0.0.1 a.test\n");
    watched.becomes(&["127.0.0.1:1 1"]).await;
    server.hosts("127.0.0.1 a.test\n127.0.0.2 a.test\n");
    watched.becomes(&["127.0.0.1:1 1", "127.0.0.2:1 1"]).await;
    server.hosts("");
    watched.becomes(&[]).await;
}

#[tokio::test]
async fn the_nodes_stay_while_the_server_is_away() {
    let mut server = Dnsmasq::start(ZONE);
    let discovery = start(&with(&server, ""));
    let mut watched = Watched::of(&discovery, "dns", "mixed.test");
    watched.becomes(&["127.0.0.3:83 1"]).await;
    server.stop();
    // Whoever asks for the first time is told that nobody answers; by then the other was asked for again as well.
    let mut late = Watched::of(&discovery, "dns", "m2.test");
    late.settled().await;
    assert!(late.now().is_empty());
    assert_eq!(watched.now(), ["127.0.0.3:83 1"]);
    server.start_again();
    late.becomes(&["127.0.0.3 1"]).await;
    assert_eq!(watched.now(), ["127.0.0.3:83 1"]);
}

#[tokio::test]
async fn reads_resolv_conf() {
    let files = tempfile::tempdir().expect("a directory");
    let path = files.path().join("resolv.conf");
    // Names are asked for on port 53, where nothing of the test can listen: that there is a server is what counts.
    for (text, is_good) in [("nameserver 127.0.0.1\n", true), ("search a\n", false)] {
        std::fs::write(&path, text).expect("written");
        let text = format!("dns:\n  resolv_conf: {}\n", path.display());
        let outcome = started(&text, None, &|_| None);
        assert_eq!(outcome.is_ok(), is_good, "{text}: {outcome:?}");
    }
    let error = started("dns:\n  servers: [a.test]\n", None, &|_| None).expect_err("a name");
    assert_eq!(
        error.to_string(),
        "discovery.dns: failed to init the dns client: \"a.test\" is no address of a name server"
    );
}
