//! Interim responses of origins.

use lockgate_testkit::{Gateway, Origin};

#[test]
fn interim_responses_are_kept_from_the_client() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    for (count, status) in [(1, 200), (16, 200), (17, 502), (1000, 502)] {
        let origin = Origin::start(move |connection| {
            while connection.request().is_some() {
                connection.send(hints.repeat(count));
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let gateway = Gateway::to(&origin);
        let answer = gateway.get("/");
        assert_eq!(
            (answer.status(), answer.field("link")),
            (status, None),
            "{count}"
        );
    }
}

#[test]
fn interim_and_final_response_may_come_in_any_pieces() {
    let origin = Origin::start(|connection| {
        while connection.request().is_some() {
            let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n\
                        HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            for byte in text.as_bytes() {
                connection.send([*byte]);
            }
        }
    });
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
        assert_eq!(answer.field("a"), None);
    }
    assert_eq!(origin.connections(), 1);
}
