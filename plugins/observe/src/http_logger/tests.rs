use lockgate_net::dns::{DnsOptions, Resolver};
use lockgate_plugin::{
    NodeOptions,
    testing::{Kit, Request, Tested},
};
use lockgate_testkit::{Certificate, Message, Reply, Sink};
use serde_json::{Value, json};

use super::HttpLogger;

struct Logging {
    kit: Kit,
    plugin: Tested,
    sink: Sink,
}

/// A logger that sends to a sink, each entry at once unless `more` says otherwise.
fn logging(more: &Value) -> Logging {
    let (kit, sink) = (Kit::new(), Sink::start());
    let mut config = json!({"uri": sink.url("/logs?a=b"), "batch_max_size": 1, "retry_delay": 0});
    let members = config.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    let plugin = kit.plugin::<HttpLogger>(&config).expect("a configuration");
    Logging { kit, plugin, sink }
}

impl Logging {
    fn log(&self, mut request: Request) {
        assert!(self.plugin.access(&mut request).is_none());
        request.respond(200, &[]);
        self.plugin.log(&mut request);
    }
}

fn body(message: &Message) -> String {
    String::from_utf8(message.body.clone()).expect("UTF-8")
}

fn entry(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn posts_an_entry_by_itself_where_batches_have_one() {
    for (method, content_type) in [("json", "application/json"), ("new_line", "text/plain")] {
        let logging = logging(&json!({"concat_method": method, "auth_header": "Basic 123"}));
        logging.log(Request::get("/x?y=1"));
        let message = logging.sink.wait();
        assert!(
            message.start == "POST /logs?a=b HTTP/1.1",
            "{}",
            message.head
        );
        for (name, value) in [
            ("content-type", content_type),
            ("authorization", "Basic 123"),
            ("host", "127.0.0.1"),
        ] {
            assert_eq!(message.field(name), Some(value), "{name}");
        }
        let entry = entry(&body(&message));
        assert_eq!(entry["request"]["uri"], "/x?y=1");
        assert_eq!(entry["route_id"], "1");
    }
}

#[test]
fn posts_batches_as_a_list_or_in_lines() {
    for method in ["json", "new_line"] {
        let logging = logging(&json!({
            "concat_method": method, "batch_max_size": 2, "log_format": {"path": "$uri"},
        }));
        logging.log(Request::get("/a"));
        assert!(logging.sink.take().is_none());
        logging.log(Request::get("/b"));
        let body = body(&logging.sink.wait());
        let expected = [
            json!({"path": "/a", "route_id": "1"}),
            json!({"path": "/b", "route_id": "1"}),
        ];
        let sent: Vec<Value> = match method {
            "json" => serde_json::from_str(&body).expect("a list"),
            _ => body.split('\n').map(entry).collect(),
        };
        assert_eq!(sent, expected, "{method}");
    }
}

#[test]
fn a_batch_that_is_not_full_is_a_list_all_the_same() {
    let logging = logging(&json!({"batch_max_size": 2, "log_format": {}}));
    logging.log(Request::get("/a"));
    // As the end of the process has it sent.
    let node = logging.kit.node.clone();
    let runtime = node.runtime().clone();
    runtime.block_on(node.shut_down(std::time::Duration::from_secs(30)));
    assert_eq!(body(&logging.sink.wait()), "[{\"route_id\":\"1\"}]");
}

#[test]
fn sends_again_what_was_not_taken() {
    let logging = logging(&json!({"max_retry_count": 2, "log_format": {"path": "$uri"}}));
    logging.sink.replies([
        Reply::Says(500, "no".into()),
        Reply::Closes,
        Reply::status(399),
    ]);
    logging.log(Request::get("/a"));
    let sent = [(); 3].map(|()| body(&logging.sink.wait()));
    assert_eq!(
        sent,
        [(); 3].map(|()| "{\"path\":\"/a\",\"route_id\":\"1\"}")
    );
    logging.log(Request::get("/b"));
    assert!(body(&logging.sink.wait()).contains("/b"));
}

#[test]
fn a_reload_resolves_names_and_trusts_roots_anew() {
    let files = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let certificate = Certificate::of(&["sink.test"]);
    let other = Certificate::of(&["sink.test"]);
    // Each of them is what keeps the sink from being reached before the reload.
    for (address, roots) in [("127.0.0.9", &certificate), ("127.0.0.1", &other)] {
        let (mut kit, sink) = (Kit::new(), Sink::start_tls(&certificate));
        let mut options = NodeOptions::clone(&kit.node.options());
        options.resolver = Resolver::new(DnsOptions {
            hosts: write("before", &format!("{address} sink.test\n")),
            ..DnsOptions::default()
        });
        options.trusted = Some(write("roots.pem", &roots.pem));
        kit.node.set_options(options.clone());
        let port = sink.origin().address().port();
        let config = json!({
            "uri": format!("https://sink.test:{port}/"), "ssl_verify": true, "batch_max_size": 1, "max_retry_count": 0,
        });
        let _in_force = kit.plugin::<HttpLogger>(&config).expect("a configuration");
        options.resolver = Resolver::new(DnsOptions {
            hosts: write("after", "127.0.0.1 sink.test\n"),
            ..DnsOptions::default()
        });
        write("roots.pem", &certificate.pem);
        kit.node = kit.node.renewed(options);
        let plugin = kit.plugin::<HttpLogger>(&config).expect("a configuration");
        let logging = Logging { kit, plugin, sink };
        logging.log(Request::get("/a"));
        assert!(body(&logging.sink.wait()).contains("/a"));
    }
}

#[test]
fn entries_of_no_route_say_so() {
    for format in [json!({}), json!({"log_format": {"path": "$uri"}})] {
        let logging = logging(&format);
        let mut request = Request::get("/a");
        request.route = None;
        logging.log(request);
        assert_eq!(entry(&body(&logging.sink.wait()))["route_id"], "no-matched");
    }
}

#[test]
fn refuses_expressions_that_are_none() {
    let kit = Kit::new();
    for (name, expected) in [
        (
            "include_req_body_expr",
            "failed to validate the 'include_req_body_expr' expression: invalid operator '<>'",
        ),
        (
            "include_resp_body_expr",
            "failed to validate the 'include_resp_body_expr' expression: invalid operator '<>'",
        ),
    ] {
        let config = json!({"uri": "http://127.0.0.1", name: [["bar", "<>", "foo"]]});
        let error = kit.plugin::<HttpLogger>(&config).expect_err("a refusal");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn edits_that_leave_the_configuration_alone_keep_the_queue() {
    let logging = logging(&json!({"batch_max_size": 2, "log_format": {"path": "$uri"}}));
    logging.log(Request::get("/a"));
    let config = json!({
        "uri": logging.sink.url("/logs?a=b"), "batch_max_size": 2, "retry_delay": 0,
        "log_format": {"path": "$uri"},
    });
    let again = logging.kit.plugin::<HttpLogger>(&config);
    let logging = Logging {
        plugin: again.expect("a configuration"),
        ..logging
    };
    logging.log(Request::get("/b"));
    let body = body(&logging.sink.wait());
    assert!(body.contains("/a") && body.contains("/b"), "{body}");
}
