//! Objects that need others, while both change.

use lockgate_router::Params;
use lockgate_snapshot::Compiler;
use lockgate_store::{Change, Entry};
use serde_json::{Value, json};

use crate::{inactive::compiler, incremental::Get};

fn put(key: &str, value: &Value, revision: u64) -> Change {
    Change::Put(Entry {
        key: key.into(),
        value: value.to_string().into_bytes().into(),
        create_revision: 1,
        mod_revision: revision,
    })
}

/// A certificate of clients. None of these tests goes as far as to show it.
fn certificate(text: &str) -> Value {
    json!({"type": "client", "cert": text, "key": text})
}

/// An upstream that shows it.
fn upstream() -> Value {
    json!({"scheme": "https", "nodes": {"127.0.0.1:1": 1}, "tls": {"client_cert_id": "x"}})
}

fn is_routed(compiler: &mut Compiler, path: &str) -> bool {
    let get = Get {
        path,
        host: "a.test",
    };
    let snapshot = compiler.snapshot();
    snapshot.routes.find(&get, &mut Params::default()).is_some()
}

#[tokio::test]
async fn a_route_that_changes_with_what_it_needs_is_the_new_one() {
    let route = |uri: &str, revision| {
        let value = json!({"uri": uri, "upstream": upstream()});
        put("routes/r", &value, revision)
    };
    let ssl = |text: &str, revision| put("ssls/x", &certificate(text), revision);
    for batch in [
        [ssl("b", 3), route("/new", 4)],
        [route("/new", 3), ssl("b", 4)],
    ] {
        let mut compiler = compiler();
        compiler.apply(2, &[ssl("a", 1), route("/old", 2)]);
        assert!(is_routed(&mut compiler, "/old"));
        compiler.apply(4, &batch);
        assert!(!is_routed(&mut compiler, "/old"), "{batch:?}");
        assert!(is_routed(&mut compiler, "/new"), "{batch:?}");
        compiler.apply(5, &[ssl("c", 5)]);
        assert!(is_routed(&mut compiler, "/new"), "{batch:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_stays_a_problem_when_what_it_needed_changes() {
    for (key, value) in [
        ("routes/r", json!({"uri": "/", "upstream": upstream()})),
        ("services/s", json!({"upstream": upstream()})),
        ("upstreams/u", upstream()),
    ] {
        let mut compiler = compiler();
        let ssl = |text: &str, revision| put("ssls/x", &certificate(text), revision);
        compiler.apply(2, &[ssl("a", 1), put(key, &value, 2)]);
        compiler.apply(3, &[put(key, &json!([]), 3)]);
        compiler.apply(4, &[ssl("b", 4)]);
        let problem = compiler.problems().get(key).map(ToString::to_string);
        assert_eq!(problem.as_deref(), Some("it is not an object"), "{key}");
        // As soon as it can be read again, it follows.
        compiler.apply(5, &[put(key, &value, 5)]);
        let delete = Change::Delete {
            key: "ssls/x".into(),
            revision: 6,
        };
        compiler.apply(6, &[delete]);
        let problem = compiler.problems().get(key).map(ToString::to_string);
        assert_eq!(
            problem.as_deref(),
            Some("failed to get ssl cert: ssl id [x] not exits"),
            "{key}"
        );
    }
}
