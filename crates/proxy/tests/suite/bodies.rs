//! Routes that are chosen by what the body says: it is read when a candidate asks for it, and arrives all the same.

use std::time::Duration;

use lockgate_testkit::{Gateway, Message, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::gate;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const PARTS: &str = "multipart/form-data; boundary=b";

/// A gateway whose routes on `/x`, each with its condition, answer with their ids; `none` is the one without.
struct Started {
    gateway: Gateway,
    origins: Vec<(String, Origin)>,
}

fn started(conditions: &[(&str, Value)], change: impl FnOnce(&mut Setup)) -> Started {
    let mut setup = Setup::new().with(|setup| setup.log_format = "$status $route_id".into());
    let mut origins = Vec::new();
    let none = ("none", Value::Null);
    for (id, vars) in conditions.iter().chain([&none]) {
        let origin = Origin::saying(id);
        let mut route = json!({"uri": "/x", "upstream": {"nodes": {origin.node(): 1}}});
        if !vars.is_null() {
            route["vars"] = vars.clone();
            route["priority"] = json!(1);
        }
        setup = setup.put(&format!("routes/{id}"), &route);
        origins.push(((*id).to_owned(), origin));
    }
    let gateway = setup.with(change).start();
    Started { gateway, origins }
}

impl Started {
    /// The id of the route that answered, after a look at what its origin got.
    #[track_caller]
    fn taken(&self, answer: &Message, body: &[u8]) -> String {
        assert_eq!(answer.status(), 200, "{answer:?}");
        let id = answer.text();
        let (_, origin) = self
            .origins
            .iter()
            .find(|(known, _)| *known == id)
            .expect("one of the origins");
        assert!(origin.last().body == body, "the origin got another body");
        id
    }

    /// The same for a request that comes whole, in pieces, and in chunks.
    #[track_caller]
    fn check(&self, method: &str, content_type: &str, body: &str, expected: &str) {
        let bytes = body.as_bytes();
        let start = format!("{method} /x HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n");
        let plain = format!("{start}Content-Length: {}\r\n\r\n", body.len());
        let whole = self.gateway.ask(format!("{plain}{body}"));
        assert_eq!(self.taken(&whole, bytes), expected, "{content_type} {body}");

        let mut client = self.gateway.client();
        client.send(&plain);
        let (first, second) = body.split_at(body.len() / 2);
        client
            .send(first)
            .hears_nothing_for(Duration::from_millis(5));
        let answer = client.send(second).response();
        assert_eq!(self.taken(&answer, bytes), expected, "in pieces: {body}");

        let mut client = self.gateway.client();
        client.send(format!("{start}Transfer-Encoding: chunked\r\n\r\n"));
        for piece in [first, second]
            .into_iter()
            .filter(|piece| !piece.is_empty())
        {
            client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
        }
        let answer = client.send("0\r\n\r\n").response();
        assert_eq!(self.taken(&answer, bytes), expected, "in chunks: {body}");
    }
}

#[test]
fn fields_of_a_body_choose_the_route() {
    let started = started(
        &[
            ("model", json!([["post_arg.model", "==", "gpt"]])),
            ("nested", json!([["post_arg.user.name", "~~", "^jo"]])),
            ("number", json!([["post_arg.n", ">", 4]])),
            (
                "path",
                json!([["post_arg.messages[*].content[*].type", "has", "image_url"]]),
            ),
            ("form", json!([["post_arg_k", "==", "v w"]])),
            ("absent", json!([["post_arg.sure", "==", true]])),
        ],
        |_| {},
    );
    let part = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngpt\r\n--b--\r\n";
    for (content_type, body, expected) in [
        (JSON, r#"{"model": "gpt"}"#, "model"),
        (
            "application/json; charset=utf-8",
            r#"{"model": "gpt"}"#,
            "model",
        ),
        (JSON, r#"{"model": "other"}"#, "none"),
        (JSON, r#"{"model": null}"#, "none"),
        (JSON, r#"{"user": {"name": "joe"}}"#, "nested"),
        (JSON, r#"{"n": 5}"#, "number"),
        (JSON, r#"{"n": "5"}"#, "number"),
        (JSON, r#"{"n": 4}"#, "none"),
        (
            JSON,
            r#"{"messages": [{"content": [{"type": "text"}, {"type": "image_url"}]}]}"#,
            "path",
        ),
        (
            JSON,
            r#"{"messages": [{"content": [{"type": "text"}]}]}"#,
            "none",
        ),
        (JSON, r#"{"sure": true}"#, "absent"),
        (JSON, r#"{"sure": "true"}"#, "none"),
        (JSON, "{broken", "none"),
        (JSON, "", "none"),
        (FORM, "model=gpt&x=y", "model"),
        (FORM, "k=v+w", "form"),
        (FORM, "k=v%20w&k=x", "form"),
        (FORM, "K=v+w", "none"),
        (
            "application/x-www-form-urlencoded;charset=utf-8",
            "k=v%20w",
            "form",
        ),
        (PARTS, part, "model"),
        ("multipart/form-data", part, "none"),
        ("text/plain", r#"{"model": "gpt"}"#, "none"),
        (JSON, r#"{"k": "v w"}"#, "none"),
    ] {
        started.check("POST", content_type, body, expected);
    }
}

#[test]
fn graphql_operations_choose_the_route() {
    let started = started(
        &[
            (
                "both",
                json!([
                    ["graphql_operation", "==", "mutation"],
                    ["graphql_name", "==", "repo"]
                ]),
            ),
            ("name", json!([["graphql_name", "==", "repo"]])),
            (
                "anonymous",
                json!([
                    ["graphql_name", "==", ""],
                    ["graphql_root_fields", "has", "owner"]
                ]),
            ),
        ],
        |setup| setup.options.max_graphql_bytes = 200,
    );
    let graphql = "application/graphql";
    let padded = format!("query repo {{ a }} # {}", "x".repeat(200));
    for (content_type, body, expected) in [
        (graphql, "query repo { owner { name } }", "name"),
        ("text/plain", "query repo { owner { name } }", "name"),
        (
            graphql,
            "mutation repo($ep: Episode!) { createReview(episode: $ep) { stars } }",
            "both",
        ),
        (graphql, "query repo { a } mutation repo { b }", "name"),
        (
            graphql,
            "query { repo { stars } owner { name } }",
            "anonymous",
        ),
        (graphql, "{ owner { name } }", "anonymous"),
        (graphql, "query { repo { name } }", "none"),
        (graphql, "AA", "none"),
        (graphql, "", "none"),
        (graphql, &padded, "none"),
        (JSON, r#"{"query": "query repo { a }"}"#, "name"),
        (JSON, "{}", "none"),
        (JSON, "query repo { a }", "none"),
        (
            "application/json; charset=utf-8",
            r#"{"query": "query repo { a }"}"#,
            "none",
        ),
    ] {
        started.check("POST", content_type, body, expected);
    }
    started.check("PUT", graphql, "query repo { a }", "none");
    for (query, expected) in [
        ("?query=query%20repo%7Ba%7D", "name"),
        ("?query={owner{name}}&query={repo{name}}", "anonymous"),
        ("?query={repo{name}}&query={owner{name}}", "none"),
        ("?query", "none"),
        ("", "none"),
    ] {
        let answer = started
            .gateway
            .ask(format!("GET /x{query} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(started.taken(&answer, b""), expected, "{query}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_not_looked_at_and_still_arrives() {
    let started = started(
        &[("model", json!([["post_arg.model", "==", "gpt"]]))],
        |setup| {
            setup.options.max_post_args_bytes = 100_000;
        },
    );
    for (bytes, expected) in [(100_000, "model"), (100_001, "none"), (1_000_000, "none")] {
        let bare = r#"{"model":"gpt","pad":""}"#;
        let body = bare.replace(
            r#""}"#,
            &format!(r#"{}"}}"#, "a".repeat(bytes - bare.len())),
        );
        assert_eq!(body.len(), bytes);
        started.check("POST", JSON, &body, expected);
    }
    let mut client = started.gateway.client();
    let head = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ";
    let body = r#"{"model":"gpt"}"#;
    // The next request is where the body ends.
    for _ in 0..3 {
        let answer = client.ask(format!("{head}{}\r\n\r\n{body}", body.len()));
        assert_eq!(started.taken(&answer, body.as_bytes()), "model");
    }
    let mut client = started.gateway.client();
    client.send(format!("{head}{}\r\n\r\n", body.len()));
    client.hears_nothing_for(Duration::from_millis(5));
    client.send(format!("{body}GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_eq!(client.response().text(), "model");
    assert_eq!(client.response().text(), "none");
}

#[test]
fn a_client_is_asked_for_a_body_that_a_route_wants_and_for_no_other() {
    let started = started(
        &[("model", json!([["post_arg.model", "==", "gpt"]]))],
        |setup| {
            setup.options.max_post_args_bytes = 100;
        },
    );
    let head = |length: usize| {
        format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\
             Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
        )
    };
    let body = r#"{"model":"gpt"}"#;
    let mut client = started.gateway.client();
    client.send(head(body.len()));
    assert_eq!(client.head().status(), 100);
    let answer = client.send(body).response();
    assert_eq!(started.taken(&answer, body.as_bytes()), "model");

    started.gateway.delete("routes/none");
    let mut client = started.gateway.client();
    let answer = client.ask(head(101));
    assert_eq!((answer.status(), answer.closes()), (404, true));
}

#[test]
fn a_body_that_cannot_be_read_is_answered_for() {
    let started = started(
        &[("model", json!([["post_arg.model", "==", "gpt"]]))],
        |setup| {
            setup.options.max_body_bytes = 1000;
            setup.options.body_timeout = Duration::from_millis(150);
        },
    );
    let start = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
    for (rest, status) in [
        (
            "Transfer-Encoding: chunked\r\n\r\n2\r\n{\"|\r\nnonsense",
            400,
        ),
        ("Content-Length: 1001\r\n\r\n", 413),
        ("Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n|3e8\r\n", 413),
        ("Content-Length: 9\r\n\r\n{", 408),
    ] {
        let mut client = started.gateway.client();
        let (head, later) = rest.split_once('|').unwrap_or((rest, ""));
        client.send(format!("{start}{head}"));
        client.hears_nothing_for(Duration::from_millis(5));
        client.send(later);
        if status == 413 && !later.is_empty() {
            client.send("x".repeat(1000));
        }
        let answer = client.response();
        assert_eq!((answer.status(), answer.closes()), (status, true), "{rest}");
        assert_eq!(started.gateway.log_line(), format!("{status} -"));
    }
    let mut client = started.gateway.client();
    client.send(format!("{start}Content-Length: 9\r\n\r\n{{"));
    client.hears_nothing_for(Duration::from_millis(5));
    client.close();
    assert_eq!(started.gateway.log_line(), "499 -");
    assert!(
        started
            .origins
            .iter()
            .all(|(_, origin)| origin.requests().is_empty())
    );
}

#[test]
fn a_body_that_no_candidate_asks_for_is_not_waited_for() {
    let (seen, wait) = gate();
    let origin = Origin::start(move |connection| {
        if connection.head().is_some() {
            seen();
            connection.bytes(2);
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let upstream = json!({"nodes": {origin.node(): 1}});
    let vars = json!([["post_arg.model", "==", "gpt"]]);
    let gateway = Setup::new()
        .put("routes/plain", &json!({"uri": "/plain", "upstream": upstream}))
        .put("routes/a", &json!({"uri": "/a", "vars": vars, "upstream": upstream}))
        .put("routes/b", &json!({"uri": "/plain", "methods": ["PUT"], "vars": vars, "priority": 1, "upstream": upstream}))
        .start();
    let mut client = gateway.client();
    client.send(
        "POST /plain HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n",
    );
    // The origin has the head before the client sends a byte of the body.
    wait();
    assert_eq!(client.send("{}").response().status(), 200);
}

#[test]
fn a_body_that_was_read_can_be_sent_to_another_node() {
    let origin = Origin::saying("alive");
    let nodes = json!([
        {"host": "127.0.0.1", "port": 1, "weight": 1, "priority": 1},
        {"host": "127.0.0.1", "port": origin.address().port(), "weight": 1, "priority": 0},
    ]);
    let route = json!({"uri": "/x", "vars": [["post_arg.model", "==", "gpt"]],
        "upstream": {"nodes": nodes}});
    let gateway = Setup::new().put("routes/1", &route).start();
    let body = format!(r#"{{"model":"gpt","pad":"{}"}}"#, "a".repeat(300_000));
    let head = format!(
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = gateway.ask(format!("{head}{body}"));
    assert_eq!(answer.text(), "alive");
    assert!(origin.last().body == body.as_bytes());
}

#[test]
fn a_client_that_leaves_within_an_unread_body_is_noticed() {
    let started = started(
        &[("model", json!([["post_arg.model", "==", "gpt"]]))],
        |_| {},
    );
    let mut client = started.gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n");
    client.finish();
    assert_eq!(started.gateway.log_line(), "499 -");
    eventually("the connection is let go", || {
        started.gateway.counts().open == 0
    });
}
