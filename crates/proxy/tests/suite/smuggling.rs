//! Requests on which two readers could disagree: refused and never forwarded, or forwarded in one way only.

use lockgate_testkit::{Client, Origin, Setup, eventually};

use crate::{
    OK, route,
    smuggling_cases::{CASES, Expect},
};

#[test]
fn every_case_is_refused_or_forwarded_as_one_reader_reads_it() {
    for (name, text, expected) in CASES {
        let origin = Origin::answering(OK);
        let gateway = Setup::new().put("routes/1", &route("/*", &origin)).start();
        let mut client = Client::connect(gateway.address);
        // A gateway that refused may have closed already.
        let _refused = client.try_send(text);
        match expected {
            Expect::Refused(status) => {
                let answer = client.response();
                assert_eq!(
                    (answer.status(), answer.closes()),
                    (*status, true),
                    "{name}"
                );
                assert!(client.ends_cleanly(), "{name}");
                let seen = origin.bytes();
                assert!(seen.iter().all(Vec::is_empty), "{name}: {seen:?}");
            }
            Expect::Nothing => {
                client.finish();
                assert!(client.ends_cleanly(), "{name}");
                assert_eq!(origin.connections(), 0, "{name}");
            }
            Expect::Cut(status) => {
                let answer = client.response();
                assert_eq!(
                    (answer.status(), answer.closes()),
                    (*status, true),
                    "{name}"
                );
                assert!(client.ends_cleanly(), "{name}");
                assert!(origin.requests().is_empty(), "{name}");
            }
            Expect::Forwarded(requests) => {
                for _ in *requests {
                    assert_eq!(client.response().status(), 200, "{name}");
                }
                let seen: Vec<String> = origin
                    .requests()
                    .into_iter()
                    .map(|received| received.message)
                    .map(|request| {
                        let host = request.field("host").unwrap_or_default();
                        format!("{} @{host} {}", request.start, request.text())
                    })
                    .collect();
                assert_eq!(seen, *requests, "{name}");
                client.finish();
                assert!(client.ends_cleanly(), "{name}");
            }
        }
        drop(client);
        eventually("the connection is closed", || gateway.counts().open == 0);
    }
}

#[test]
fn the_corpus_is_large_and_its_names_are_unique() {
    let names: std::collections::BTreeSet<_> = CASES.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), CASES.len());
    assert!(names.len() >= 60, "{}", names.len());
}

#[test]
fn a_head_is_read_the_same_wherever_it_is_cut() {
    let origin = Origin::answering(OK);
    let gateway = Setup::new().put("routes/1", &route("/*", &origin)).start();
    let text = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let mut client = gateway.client();
    for place in 1..text.len() {
        let (start, end) = text.split_at(place);
        client.send(start);
        eventually("the first piece was read", || gateway.counts().waiting == 0);
        client.send(end);
        assert_eq!(client.response().status(), 200, "cut at {place}");
        assert_eq!(origin.last().text(), "abc");
    }
}
