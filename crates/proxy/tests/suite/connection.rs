//! Connections of clients: kept, pipelined, ended.

use lockgate_testkit::{Gateway, Origin};

#[test]
fn keeps_connections_on_both_sides() {
    let origin = Origin::saying("hello");
    let gateway = Gateway::to(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let answer = client.get("/a?b=1");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "hello"));
        assert_eq!(answer.field("connection"), Some("keep-alive"));
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests().len(), 3);
    assert_eq!(origin.last().start, "GET /a?b=1 HTTP/1.1");
}
