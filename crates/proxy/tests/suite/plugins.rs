//! Plugins on the way of requests, as plugins of the tests' own see it.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use lockgate_plugin::{
    About, Access, AccessAsync, BeforeProxy, BodyFilter, Compile, ConfigError, Credential,
    CredentialType, Descriptor, Exchange, FieldName, Filtered, Flow, HeaderFilter, Hooks, Log,
    Node, Plugin, Reply, Rewrite, testing,
};
use lockgate_testkit::{Gateway, Origin, Setup, eventually};
use serde_json::{Value, json};

use crate::{GET, OK, route, upstream};

/// What the hooks note, in order.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const SET: FieldName = FieldName::from_static("X-Set");
const PROTO: FieldName = FieldName::from_static("X-Forwarded-Proto");
const FIELD: FieldName = FieldName::from_static("X-Field");

/// A plugin that does in each phase what its configuration says, and notes that it ran.
struct Actor<const N: usize> {
    config: Value,
    notes: Arc<Notes>,
}

const NAMES: [&str; 3] = ["first", "second", "third"];
const PRIORITIES: [i32; 3] = [3000, 2000, 1000];

impl<const N: usize> Plugin for Actor<N> {
    const ABOUT: About = About::new(NAMES[N], PRIORITIES[N], "{}");
    type Config = Value;

    fn compile(config: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        if config.get("broken").is_some() {
            return Err(ConfigError::new("it is broken"));
        }
        let notes = cx.node.shared(|_| Notes::default());
        Ok(Self { config, notes })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if self.config.get("waits").is_some() {
            on.access_async(self.clone());
        } else {
            on.access(self.clone());
        }
        on.rewrite(self.clone());
        on.before_proxy(self.clone());
        on.header_filter(self.clone());
        on.log(self);
    }
}

impl<const N: usize> Actor<N> {
    fn act(&self, phase: &str, ex: &mut Exchange<'_>) -> Flow {
        self.notes.add(format!("{} {phase}", NAMES[N]));
        let Some(acts) = self.config.get(phase).and_then(Value::as_object) else {
            return Flow::Next;
        };
        for (act, value) in acts {
            let text = value.as_str().unwrap_or_default();
            match act.as_str() {
                "method" => ex.set_method(text.as_bytes()),
                "uri" => ex.set_upstream_uri(text.into()),
                "query" => ex.set_query(text.into()),
                "host" => ex.set_upstream_host(text.into()),
                "header" => ex.set_header(&SET, Some(text.as_bytes())),
                "proto" => ex.set_header(&PROTO, Some(text.as_bytes())),
                "field" => ex.set_response_header(&FIELD, Some(text.as_bytes())),
                "status" => ex.set_status(value.as_u64().unwrap_or_default() as u16),
                "body" => ex.set_body(text.into()).expect("a body that was read"),
                "append" => ex.filter_body(Append(text.to_owned())),
                "panic" => panic!("the configuration says so"),
                "reply" => {
                    return Reply::bytes(
                        value.as_u64().unwrap_or_default() as u16,
                        b"mine".as_slice(),
                    )
                    .into();
                }
                other => panic!("no such act: {other}"),
            }
        }
        Flow::Next
    }
}

/// Appends a text to bodies.
struct Append(String);

impl BodyFilter for Append {
    fn filter(
        &mut self,
        _: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Filtered {
        out.extend_from_slice(piece);
        if is_last {
            out.extend_from_slice(self.0.as_bytes());
        }
        Filtered::More
    }
}

impl<const N: usize> Rewrite for Actor<N> {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        self.act("rewrite", ex)
    }
}

impl<const N: usize> Access for Actor<N> {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        self.act("access", ex)
    }
}

impl<const N: usize> AccessAsync for Actor<N> {
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        tokio::task::yield_now().await;
        let read = ex.read_body(1024).await;
        let body = ex.body().map(Cow::into_owned).unwrap_or_default();
        self.notes.add(format!("{:?}", read.map(|()| body)));
        self.act("access", ex)
    }
}

impl<const N: usize> BeforeProxy for Actor<N> {
    fn before_proxy(&self, ex: &mut Exchange<'_>) -> Flow {
        self.act("before_proxy", ex)
    }
}

impl<const N: usize> HeaderFilter for Actor<N> {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        let _flow = self.act("header_filter", ex);
    }
}

impl<const N: usize> Log for Actor<N> {
    fn log(&self, ex: &mut Exchange<'_>) {
        self.notes.add(format!("{} log {}", NAMES[N], ex.status()));
    }
}

/// Finds out who asks by the field `who`.
struct Who {
    consumers: Arc<lockgate_plugin::Consumers>,
}

struct Name;

impl Credential for Name {
    const KEY: &'static str = "name";

    type Config = Value;

    fn compile(_: Value, _: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Plugin for Who {
    const ABOUT: About = About::new("who", 5000, "{}").auth();
    const CREDENTIAL: Option<CredentialType> = Some(CredentialType::of::<Name>());
    type Config = Value;

    fn compile(_: Value, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let consumers = cx.consumers();
        Ok(Self { consumers })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

impl Rewrite for Who {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let found = ex.header("who").and_then(|who| self.consumers.find(who));
        match found {
            Some(consumer) => {
                ex.attach(consumer);
                Flow::Next
            }
            None => Flow::message(401, "who are you"),
        }
    }
}

static PLUGINS: [Descriptor; 4] = [
    Descriptor::of::<Actor<0>>(),
    Descriptor::of::<Actor<1>>(),
    Descriptor::of::<Actor<2>>(),
    Descriptor::of::<Who>(),
];

/// A gateway with the plugins of this file.
struct Acting {
    gateway: Gateway,
    notes: Arc<Notes>,
}

impl Acting {
    fn start(objects: &[(&str, Value)]) -> Self {
        let kit = testing::Kit::new();
        let node: Node = kit.node;
        let notes = node.shared(|_| Notes::default());
        let mut setup = Setup::new();
        setup.plugins = PLUGINS.iter().collect();
        setup.node = Some(node);
        for (key, object) in objects {
            setup = setup.put(key, object);
        }
        Self {
            gateway: setup.start(),
            notes,
        }
    }

    /// What was noted, once `count` hooks of `log` have run.
    fn notes(&self, logs: usize) -> Vec<String> {
        let mut notes = Vec::new();
        eventually("the hooks of log", || {
            notes.extend(self.notes.take());
            notes.iter().filter(|note| note.contains(" log ")).count() >= logs
        });
        notes
    }
}

/// A route to `origin` with these plugins.
fn with(origin: &Origin, plugins: Value) -> Value {
    let mut route = route("/*", origin);
    route["plugins"] = plugins;
    route
}

#[test]
fn hooks_run_by_priority_and_global_rules_first() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[
        (
            "routes/1",
            with(&origin, json!({"second": {}, "first": {}})),
        ),
        ("global_rules/1", json!({"plugins": {"third": {}}})),
    ]);
    assert_eq!(acting.gateway.ask(GET).status(), 200);
    let expected = [
        "third rewrite",
        "first rewrite",
        "second rewrite",
        "third access",
        "first access",
        "second access",
        "third before_proxy",
        "first before_proxy",
        "second before_proxy",
        "third header_filter",
        "first header_filter",
        "second header_filter",
        "third log 200",
        "first log 200",
        "second log 200",
    ];
    assert_eq!(acting.notes(3), expected);
    let missing = acting
        .gateway
        .ask("GET /x HTTP/1.1\r\nHost: a\r\n\r\n".replace("/x", "x"));
    assert_eq!(missing.status(), 400, "no plugin sees what is no request");
    acting.gateway.delete("routes/1");
    assert_eq!(acting.gateway.ask(GET).status(), 404);
    let expected = [
        "third rewrite",
        "third access",
        "third header_filter",
        "third log 404",
    ];
    assert_eq!(acting.notes(1), expected);
}

#[test]
fn own_priorities_filters_and_switches_count() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[(
        "routes/1",
        with(
            &origin,
            json!({
                "first": {"_meta": {"filter": [["arg_a", "==", "1"]]}},
                "second": {"_meta": {"priority": 9000}},
                "third": {"_meta": {"disable": true}},
            }),
        ),
    )]);
    for (request, expected) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            vec!["second rewrite", "second access"],
        ),
        (
            "GET /?a=1 HTTP/1.1\r\nHost: a\r\n\r\n",
            vec![
                "second rewrite",
                "first rewrite",
                "second access",
                "first access",
            ],
        ),
    ] {
        acting.gateway.ask(request);
        let logs = if expected.len() > 2 { 2 } else { 1 };
        let notes = acting.notes(logs);
        let before = notes
            .iter()
            .take_while(|note| !note.ends_with("before_proxy"));
        assert_eq!(
            before.collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>()
        );
    }
}

#[test]
fn an_answer_ends_the_way_and_error_response_replaces_its_body() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[(
        "routes/1",
        with(
            &origin,
            json!({
                "first": {"access": {"reply": 403}, "_meta": {"error_response": {"message": "no"}}},
                "second": {},
            }),
        ),
    )]);
    let answer = acting.gateway.ask(GET);
    assert_eq!(
        (answer.status(), answer.text()),
        (403, "{\"message\":\"no\"}\n".to_owned())
    );
    assert_eq!(origin.connections(), 0);
    let notes = acting.notes(2);
    assert!(!notes.contains(&"second access".to_owned()), "{notes:?}");
    assert!(notes.contains(&"second log 403".to_owned()), "{notes:?}");
}

#[test]
fn the_upstream_gets_what_plugins_say() {
    let origin = Origin::answering(OK);
    let check = |acts: Value, line: &str, name: &str, value: &str, body: &str| {
        let acting = Acting::start(&[(
            "routes/1",
            with(&origin, json!({"first": {"waits": true, "access": acts}})),
        )]);
        let request = "POST /p?q=1 HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: gopher\r\nContent-Length: 3\r\n\r\nabc";
        let answer = acting.gateway.ask(request);
        assert_eq!(answer.status(), 200);
        let sent = origin.last();
        assert_eq!(format!("{} {}", sent.method(), sent.target()), line);
        assert_eq!(sent.field(name), Some(value), "{name}");
        assert_eq!(sent.text(), body);
        assert!(acting.notes(1).contains(&"Ok([97, 98, 99])".to_owned()));
    };
    check(json!({}), "POST /p?q=1", "host", "a", "abc");
    check(
        json!({"method": "PUT", "uri": "/other?z=2"}),
        "PUT /other?z=2",
        "host",
        "a",
        "abc",
    );
    check(json!({"query": "b=2"}), "POST /p?b=2", "host", "a", "abc");
    check(
        json!({"host": "b.test"}),
        "POST /p?q=1",
        "host",
        "b.test",
        "abc",
    );
    check(
        json!({"header": "x\r\ny: z"}),
        "POST /p?q=1",
        "x-set",
        "x  y: z",
        "abc",
    );
    check(
        json!({"body": "longer than before"}),
        "POST /p?q=1",
        "content-length",
        "18",
        "longer than before",
    );
    check(json!({}), "POST /p?q=1", "x-forwarded-proto", "http", "abc");
    check(
        json!({"proto": "https"}),
        "POST /p?q=1",
        "x-forwarded-proto",
        "https",
        "abc",
    );
    // Nothing that is said can end the line of the request.
    check(
        json!({"uri": "/a b\r\nX: y"}),
        "POST /a%20b%0D%0AX:%20y",
        "host",
        "a",
        "abc",
    );
    check(json!({"method": "A B"}), "POST /p?q=1", "host", "a", "abc");
    check(
        json!({"host": "a\r\nX: y"}),
        "POST /p?q=1",
        "host",
        "aX:y",
        "abc",
    );
}

#[test]
fn responses_are_framed_by_what_plugins_make_of_them() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let none = "HTTP/1.1 204 No Content\r\n\r\n";
    // From the upstream, what plugins do, and to a client: status, length, body.
    for (theirs, acts, version, status, content_length, body) in [
        (length, json!({}), "1.1", 200, Some("2"), "ok"),
        (length, json!({"append": "!"}), "1.1", 200, None, "ok!"),
        (chunked, json!({"append": "!"}), "1.1", 200, None, "ok!"),
        (length, json!({"append": "!"}), "1.0", 200, None, "ok!"),
        (length, json!({"status": 204}), "1.1", 204, None, ""),
        (
            chunked,
            json!({"status": 204, "append": "!"}),
            "1.1",
            204,
            None,
            "",
        ),
        (length, json!({"status": 304}), "1.1", 304, Some("2"), ""),
        (none, json!({"status": 200}), "1.1", 200, Some("0"), ""),
        (length, json!({"status": 101}), "1.1", 200, Some("2"), "ok"),
        (length, json!({"status": 999}), "1.1", 200, Some("2"), "ok"),
    ] {
        let origin = Origin::answering(theirs);
        let acting = Acting::start(&[(
            "routes/1",
            with(&origin, json!({"first": {"header_filter": acts}})),
        )]);
        let mut client = acting.gateway.client();
        for _ in 0..2 {
            let answer = client.ask(format!(
                "GET / HTTP/{version}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
            ));
            let said = (
                answer.status(),
                answer.field("content-length"),
                answer.text(),
            );
            assert_eq!(
                said,
                (status, content_length, body.to_owned()),
                "{theirs} {acts} {version}"
            );
            if answer.closes() {
                break;
            }
        }
    }
}

#[test]
fn a_method_that_a_plugin_chose_keeps_connections_in_step() {
    let origin = Origin::start(|connection| {
        while let Some(request) = connection.request() {
            let body = format!("{} {}", request.method(), request.target());
            let is_head = request.method() == "HEAD";
            let sent = if is_head { "" } else { &body };
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{sent}",
                body.len()
            ));
        }
    });
    for (asked, sent, length, body) in [("HEAD", "GET", "6", ""), ("GET", "HEAD", "0", "")] {
        let acting = Acting::start(&[
            (
                "routes/1",
                with(&origin, json!({"first": {"rewrite": {"method": sent}}})),
            ),
            ("routes/2", route("/plain", &origin)),
        ]);
        let mut client = acting.gateway.client();
        for _ in 0..2 {
            client.send(format!("{asked} /a HTTP/1.1\r\nHost: a\r\n\r\n"));
            let answer = if asked == "HEAD" {
                client.response_to_head()
            } else {
                client.response()
            };
            assert_eq!(
                (answer.status(), answer.field("content-length")),
                (200, Some(length))
            );
            assert_eq!(answer.text(), body);
            assert_eq!(client.get("/plain").text(), "GET /plain");
        }
    }
}

#[test]
fn consumers_bring_plugins_along() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[
        ("routes/1", with(&origin, json!({"who": {}, "first": {}}))),
        (
            "consumer_groups/g",
            json!({"plugins": {"second": {"rewrite": {"header": "group"}}, "third": {}}}),
        ),
        (
            "consumers/plain",
            json!({"username": "plain", "plugins": {"who": {"name": "plain"}}}),
        ),
        (
            "consumers/own",
            json!({"username": "own", "plugins": {"second": {"rewrite": {"header": "own"}}}}),
        ),
        (
            "consumers/own/credentials/c",
            json!({"plugins": {"who": {"name": "o"}}}),
        ),
        (
            "consumers/member",
            json!({"username": "member", "group_id": "g", "plugins": {"who": {"name": "m"}, "third": {"_meta": {"disable": true}}}}),
        ),
        (
            "consumers/quiet",
            json!({"username": "quiet", "plugins": {"who": {"name": "q"}, "first": {"_meta": {"disable": true}}}}),
        ),
        (
            "consumers/lost",
            json!({"username": "lost", "group_id": "none", "plugins": {"who": {"name": "l"}}}),
        ),
    ]);
    for (who, status, set, before) in [
        ("plain", 200, None, vec!["first rewrite", "first access"]),
        (
            "o",
            200,
            Some("own"),
            vec![
                "first rewrite",
                "second rewrite",
                "first access",
                "second access",
            ],
        ),
        (
            "m",
            200,
            Some("group"),
            vec![
                "first rewrite",
                "second rewrite",
                "first access",
                "second access",
            ],
        ),
        ("q", 200, None, vec!["first rewrite"]),
        ("l", 503, None, vec!["first rewrite"]),
        ("nobody", 401, None, vec![]),
    ] {
        acting.notes.take();
        let answer = acting.gateway.ask(format!(
            "GET / HTTP/1.1\r\nHost: a\r\nwho: {who}\r\nX-Credential-Identifier: forged\r\n\r\n"
        ));
        assert_eq!(answer.status(), status, "{who}");
        let logs = match who {
            "o" | "m" => 2,
            "q" => 0,
            _ => 1,
        };
        let notes = acting.notes(logs);
        let ran = notes
            .iter()
            .filter(|note| note.ends_with("rewrite") || note.ends_with("access"));
        assert_eq!(
            ran.collect::<Vec<_>>(),
            before.iter().collect::<Vec<_>>(),
            "{who}"
        );
        if status == 200 {
            let sent = origin.last();
            assert_eq!(sent.field("x-set"), set, "{who}");
            assert_eq!(
                sent.field("x-credential-identifier"),
                (who == "o").then_some("c"),
                "{who}"
            );
            assert!(sent.field("x-consumer-username").is_some());
        }
    }
}

#[test]
fn a_key_that_changes_hands_is_lost_to_nobody() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[("routes/1", with(&origin, json!({"who": {}})))]);
    let put = |name: &str, key: &str| {
        let consumer = json!({"username": name, "plugins": {"who": {"name": key}}});
        acting.gateway.put(&format!("consumers/{name}"), &consumer);
    };
    let who = |key: &str| {
        let answer = acting
            .gateway
            .ask(format!("GET / HTTP/1.1\r\nHost: a\r\nwho: {key}\r\n\r\n"));
        (answer.status() == 200)
            .then(|| {
                origin
                    .last()
                    .field("x-consumer-username")
                    .map(str::to_owned)
            })
            .flatten()
    };
    put("a", "x");
    put("b", "y");
    // Both have it, and the one who had it first gives it up.
    put("a", "y");
    put("b", "z");
    for (key, expected) in [("x", None), ("y", Some("a")), ("z", Some("b"))] {
        assert_eq!(who(key).as_deref(), expected, "{key}");
    }
    acting.gateway.delete("consumers/a");
    assert_eq!(who("y"), None);
}

#[test]
fn a_credential_that_is_gone_is_gone_whatever_its_consumer_is() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[
        ("routes/1", with(&origin, json!({"who": {}}))),
        (
            "consumers/a",
            json!({"username": "a", "plugins": {"second": {"rewrite": {"header": "old"}}}}),
        ),
        (
            "consumers/a/credentials/1",
            json!({"plugins": {"who": {"name": "one"}}}),
        ),
        (
            "consumers/a/credentials/2",
            json!({"plugins": {"who": {"name": "two"}}}),
        ),
    ]);
    let ask = |who: &str| {
        let answer = acting
            .gateway
            .ask(format!("GET / HTTP/1.1\r\nHost: a\r\nwho: {who}\r\n\r\n"));
        answer.status()
    };
    assert_eq!((ask("one"), ask("two")), (200, 200));
    let broken = json!({"username": "a", "plugins": {"second": {"broken": true}}});
    acting.gateway.put("consumers/a", &broken);
    assert_eq!(ask("one"), 200);
    assert_eq!(origin.last().field("x-set"), Some("old"));
    acting.gateway.delete("consumers/a/credentials/1");
    assert_eq!((ask("one"), ask("two")), (401, 200));
    acting.gateway.put_text("consumers/a", "no object");
    acting.gateway.delete("consumers/a/credentials/2");
    assert_eq!(ask("two"), 401);
}

#[test]
fn what_cannot_be_honoured_lets_nothing_through() {
    let origin = Origin::answering(OK);
    let mut by_config = route("/config", &origin);
    by_config["plugin_config_id"] = json!("1");
    let broken = json!({"first": {"broken": true}});
    let acting = Acting::start(&[
        ("routes/1", with(&origin, broken.clone())),
        ("plugin_configs/1", json!({"plugins": broken})),
        ("routes/2", by_config),
    ]);
    assert_eq!(acting.gateway.get("/x").status(), 404);
    assert_eq!(acting.gateway.get("/config").status(), 503);
    let problems = acting.gateway.problems();
    assert_eq!(problems.len(), 2, "{problems:?}");
    // What was in force stays.
    acting.gateway.put(
        "routes/1",
        &with(&origin, json!({"first": {"access": {"reply": 403}}})),
    );
    acting
        .gateway
        .put("routes/1", &with(&origin, json!({"first": {"broken": 1}})));
    assert_eq!(acting.gateway.get("/x").status(), 403);
}

#[test]
fn a_panic_in_a_hook_is_that_requests_500() {
    let origin = Origin::answering(OK);
    for phase in ["rewrite", "access", "before_proxy", "header_filter"] {
        let acting = Acting::start(&[
            (
                "routes/1",
                with(
                    &origin,
                    json!({"first": {phase: {"field": "left", "append": "over", "panic": 1}}}),
                ),
            ),
            ("routes/2", route("/plain", &origin)),
        ]);
        let answer = acting.gateway.get("/x");
        assert_eq!(
            (answer.status(), answer.field("x-field")),
            (500, None),
            "{phase}"
        );
        assert_eq!(acting.gateway.get("/plain").status(), 200);
    }
}

#[test]
fn answers_of_a_global_rule_are_not_the_routes() {
    let origin = Origin::answering(OK);
    let acting = Acting::start(&[
        (
            "routes/1",
            with(
                &origin,
                json!({"second": {"header_filter": {"field": "route"}}}),
            ),
        ),
        (
            "global_rules/1",
            json!({"plugins": {"first": {"rewrite": {"reply": 418}}}}),
        ),
    ]);
    let answer = acting.gateway.get("/");
    assert_eq!(
        (answer.status(), answer.text(), answer.field("x-field")),
        (418, "mine".into(), None)
    );
    assert_eq!(
        acting.notes(1),
        ["first rewrite", "first header_filter", "first log 418"]
    );
}

#[test]
fn the_gateways_own_answers_are_filtered_and_logged() {
    let dead = {
        let origin = Origin::answering(OK);
        upstream(&[&origin])
    };
    let acting = Acting::start(&[(
        "routes/1",
        json!({"uri": "/*", "upstream": dead, "plugins": {"first": {
            "access": {"field": "early"},
            "header_filter": {"append": "<!-- seen -->", "status": 500},
        }}}),
    )]);
    let answer = acting.gateway.get("/");
    assert_eq!(
        (answer.status(), answer.field("x-field")),
        (500, Some("early"))
    );
    assert!(answer.text().ends_with("</html>\r\n<!-- seen -->"));
    let notes = acting.notes(1);
    assert_eq!(notes.last().map(String::as_str), Some("first log 500"));
}
