//! Bodies that plugins make piece by piece, and bodies that they end or cut.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lockgate_expr::Variable;
use lockgate_plugin::{
    About, Access, AccessAsync, BeforeProxy, Body, BodyFilter, BodyStream, Bytes, Compile,
    ConfigError, Descriptor, Destination, Exchange, FieldName, Filtered, Flow, HeaderFilter, Hooks,
    Plugin, Reply, SendFuture, StreamError, testing,
};
use lockgate_testkit::{Gateway, Origin, Setup, eventually};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{GET, OK, route};

/// How many streams were begun and not dropped.
#[derive(Default)]
struct Open(AtomicUsize);

/// Answers in `before_proxy`, or filters what others answer.
#[expect(clippy::struct_excessive_bools, reason = "one for each thing to do")]
#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    /// Whether it says ahead that it answers.
    takes_over: bool,
    pieces: Option<Vec<String>>,
    /// What comes behind the pieces in place of the end.
    then: Option<Then>,
    filter: Option<Filter>,
    /// The status of answers in pieces; 200 where there is none.
    status: Option<u16>,
    /// Whether it answers with the address of the node.
    tells_node: bool,
    /// Whether it waits in `access` for what never comes.
    waits: bool,
    /// Whether it tells in a field what it sees of the request's body when the response comes.
    tells_body: bool,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Then {
    Breaks,
    Waits,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Filter {
    /// Ends the body at its first `.`.
    Ends,
    /// The same, and says that bodies keep their length.
    EndsCounted,
    /// Cuts the body at its first `.`.
    Cuts,
    /// Doubles pieces, and says that bodies keep their length.
    Lies,
    /// Appends a `!` to the whole.
    Appends,
}

const BODY: FieldName = FieldName::from_static("X-Body");

struct Teller {
    config: Config,
    open: Arc<Open>,
}

impl Plugin for Teller {
    const ABOUT: About = About::new("teller", 1, "{}");
    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let open = cx.node.shared(|_| Open::default());
        Ok(Self { config, open })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if self.config.waits {
            on.access_async(self.clone());
        } else {
            on.access(self.clone());
        }
        on.before_proxy(self.clone());
        on.header_filter(self);
    }
}

impl Access for Teller {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        if self.config.takes_over {
            ex.set_destination(Destination::Plugin);
        }
        Flow::Next
    }
}

impl AccessAsync for Teller {
    async fn access(&self, _: &mut Exchange<'_>) -> Flow {
        let _open = Guard::new(&self.open);
        std::future::pending().await
    }
}

impl BeforeProxy for Teller {
    fn before_proxy(&self, ex: &mut Exchange<'_>) -> Flow {
        if self.config.tells_node {
            return Reply::bytes(200, format!("{:?}", ex.node())).into();
        }
        let Some(pieces) = self.config.pieces.clone() else {
            return Flow::Next;
        };
        let stream = Told {
            pieces: pieces.into_iter(),
            then: self.config.then,
            _open: Guard::new(&self.open),
        };
        Reply::new(self.config.status.unwrap_or(200), Body::stream(stream)).into()
    }
}

impl HeaderFilter for Teller {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        if self.config.tells_body {
            let body = ex.body().map(|body| body.len());
            ex.set_response_header(&BODY, Some(format!("{body:?}").as_bytes()));
        }
        if let Some(filter) = self.config.filter {
            ex.filter_body(filter);
        }
    }
}

impl BodyFilter for Filter {
    fn filter(
        &mut self,
        _: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Filtered {
        match self {
            Self::Lies => {
                out.extend_from_slice(piece);
                out.extend_from_slice(piece);
                return Filtered::More;
            }
            Self::Appends => {
                out.extend_from_slice(piece);
                if is_last {
                    out.push(b'!');
                }
                return Filtered::More;
            }
            Self::Ends | Self::EndsCounted | Self::Cuts => {}
        }
        let Some(stop) = piece.iter().position(|byte| *byte == b'.') else {
            out.extend_from_slice(piece);
            return Filtered::More;
        };
        if matches!(self, Self::Cuts) {
            return Filtered::Abort;
        }
        let counted = matches!(self, Self::EndsCounted);
        out.extend_from_slice(if counted { piece } else { &piece[..stop] });
        Filtered::End
    }

    fn keeps_length(&self) -> bool {
        matches!(self, Self::Lies | Self::EndsCounted)
    }
}

struct Told {
    pieces: std::vec::IntoIter<String>,
    then: Option<Then>,
    _open: Guard,
}

/// Counts as open until it is dropped.
struct Guard(Arc<Open>);

impl Guard {
    fn new(open: &Arc<Open>) -> Self {
        open.0.fetch_add(1, Ordering::SeqCst);
        Self(open.clone())
    }
}

impl BodyStream for Told {
    fn next(&mut self) -> SendFuture<'_, Result<Option<Bytes>, StreamError>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            match (self.pieces.next(), self.then) {
                (Some(piece), _) => Ok(Some(piece.into())),
                (None, None) => Ok(None),
                (None, Some(Then::Breaks)) => Err(StreamError("the source is gone".into())),
                (None, Some(Then::Waits)) => std::future::pending().await,
            }
        })
    }

    fn ended(&mut self, ex: &mut Exchange<'_>) {
        let left = self.pieces.len().to_string();
        ex.set_variable(&Variable::parse("told_left"), left.into());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

static PLUGINS: [Descriptor; 1] = [Descriptor::of::<Teller>()];

fn telling(mut route: Value, config: &Value) -> (Gateway, Arc<Open>) {
    let node = testing::Kit::new().node;
    let open = node.shared(|_| Open::default());
    route["plugins"] = json!({"teller": config});
    let mut setup = Setup::new().put("routes/1", &route);
    setup.log_format = "$status $told_left".into();
    setup.plugins = PLUGINS.iter().collect();
    setup.node = Some(node);
    (setup.start(), open)
}

#[test]
fn an_answer_is_sent_as_it_comes() {
    let origin = Origin::answering(OK);
    for (pieces, filter, version, expected, is_chunked) in [
        (
            json!(["one ", "", "two"]),
            Value::Null,
            "1.1",
            "one two",
            true,
        ),
        (json!(["one ", "two"]), Value::Null, "1.0", "one two", false),
        (json!([]), Value::Null, "1.1", "", true),
        // A filter is told the end, however many pieces there were.
        (json!([]), json!("appends"), "1.1", "!", true),
        (json!(["a", "b"]), json!("appends"), "1.1", "ab!", true),
        (json!(["a.", "b"]), json!("ends"), "1.1", "a", true),
    ] {
        let config = json!({"pieces": pieces, "filter": filter});
        let (gateway, open) = telling(route("/*", &origin), &config);
        let mut client = gateway.client();
        let answer = client.ask(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (200, expected),
            "{config}"
        );
        let coding = answer.field("transfer-encoding");
        assert_eq!(coding.is_some(), is_chunked, "{config}");
        if is_chunked {
            assert_eq!(client.ask(GET).text(), expected, "kept, {config}");
        }
        eventually("the streams are dropped", || {
            open.0.load(Ordering::SeqCst) == 0
        });
    }
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_stream_can_say_for_the_log_how_it_ended() {
    let origin = Origin::answering(OK);
    for (pieces, request, filter, expected) in [
        (json!(["a", "b"]), GET, Value::Null, "200 0"),
        (json!(["a.", "b"]), GET, json!("ends"), "200 1"),
        (
            json!(["a", "b"]),
            "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            Value::Null,
            "200 2",
        ),
    ] {
        let config = json!({"pieces": pieces, "filter": filter});
        let (gateway, _) = telling(route("/*", &origin), &config);
        let mut client = gateway.client();
        client.send(request);
        assert_eq!(client.head().status(), 200);
        assert_eq!(gateway.log_line(), expected);
    }
}

#[test]
fn a_response_that_has_no_body_gets_none() {
    let origin = Origin::answering(OK);
    let config = json!({"pieces": ["one"], "status": 204});
    let (gateway, _) = telling(route("/*", &origin), &config);
    let mut client = gateway.client();
    let answer = client.ask(GET);
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.field("transfer-encoding"), None);
    assert_eq!(client.ask(GET).status(), 204, "the connection is in step");
    // What would have come is said to who asks for the head alone.
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response_to_head().status(), 204);
    assert_eq!(client.ask(GET).status(), 204);
}

#[test]
fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let origin = Origin::answering(OK);
    let config = json!({"pieces": ["begun"], "then": "breaks"});
    let (gateway, _) = telling(route("/*", &origin), &config);
    let mut client = gateway.client();
    client.send(GET);
    assert_eq!(client.head().status(), 200);
    let rest = client.rest();
    assert_eq!(String::from_utf8_lossy(&rest), "5\r\nbegun\r\n");
}

#[test]
fn an_answer_that_the_end_of_the_connection_ends_is_reset_where_it_breaks_off() {
    let origin = Origin::answering(OK);
    let breaking = json!({"pieces": ["begun"], "then": "breaks"});
    for (config, is_clean) in [(breaking, false), (json!({"pieces": ["whole"]}), true)] {
        let (gateway, _) = telling(route("/*", &origin), &config);
        let mut client = gateway.client();
        client.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(client.head().status(), 200);
        assert_eq!(client.bytes(5).len(), 5);
        assert_eq!(client.ends_cleanly(), is_clean, "{config}");
    }
}

#[test]
fn an_old_client_gets_the_whole_answer_although_its_body_comes_late() {
    let origin = Origin::answering(OK);
    let (gateway, _) = telling(route("/*", &origin), &json!({"pieces": ["whole"]}));
    let mut client = gateway.client();
    client.send("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(client.head().status(), 200);
    client.send("12345");
    assert_eq!(client.bytes(5), b"whole");
    assert!(client.ends_cleanly());
}

#[test]
fn who_works_for_a_client_is_let_go_when_it_leaves() {
    let origin = Origin::answering(OK);
    let streaming = json!({"pieces": ["begun"], "then": "waits"});
    for config in [streaming, json!({"waits": true})] {
        // Also where there are bytes before the end that nobody reads.
        for behind in ["", "G"] {
            let (gateway, open) = telling(route("/*", &origin), &config);
            let mut client = gateway.client();
            client.send(GET);
            eventually("the plugin works", || open.0.load(Ordering::SeqCst) == 1);
            client.send(behind);
            client.finish();
            eventually("the plugin is let go", || {
                open.0.load(Ordering::SeqCst) == 0
            });
            assert_eq!(
                gateway.log_line(),
                if config["waits"] == true {
                    "499 -"
                } else {
                    "200 0"
                }
            );
        }
    }
}

#[test]
fn a_body_that_is_on_its_way_is_no_empty_one() {
    let origin = Origin::start(|connection| {
        while connection.head().is_some() {
            connection.send(OK);
            connection.rest();
        }
    });
    let (gateway, _) = telling(route("/*", &origin), &json!({"tells_body": true}));
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    assert_eq!(client.response().field("x-body"), Some("None"));
    // One that has been sent is not kept either.
    let origin = Origin::answering(OK);
    let (gateway, _) = telling(route("/*", &origin), &json!({"tells_body": true}));
    let answer = gateway.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n12");
    assert_eq!(answer.field("x-body"), Some("None"));
}

#[test]
fn a_plugin_that_answers_needs_no_upstream() {
    let (gateway, _) = telling(
        json!({"uri": "/*"}),
        &json!({"takes_over": true, "pieces": ["mine"]}),
    );
    let answer = gateway.ask(GET);
    assert_eq!((answer.status(), answer.text().as_str()), (200, "mine"));
    // It does not answer after all.
    let (gateway, _) = telling(json!({"uri": "/*"}), &json!({"takes_over": true}));
    assert_eq!(gateway.ask(GET).status(), 500);
    // Another plugin's upstream counts no more than the route's.
    let origin = Origin::answering(OK);
    let config = json!({"takes_over": true, "tells_node": true});
    let (gateway, _) = telling(route("/*", &origin), &config);
    assert_eq!(gateway.ask(GET).text(), "None");
    let (gateway, _) = telling(route("/*", &origin), &json!({"tells_node": true}));
    let node = format!("{:?}", Some(origin.address()));
    assert_eq!(gateway.ask(GET).text(), node);
}

#[test]
fn filters_end_and_cut_what_the_upstream_sends() {
    let endless = |head: &'static str, first: &'static str| {
        Origin::start(move |connection| {
            while connection.request().is_some() {
                connection.send(head);
                connection.send(first);
                connection.rest();
            }
        })
    };
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let open = "HTTP/1.1 200 OK\r\n\r\n";
    // From the upstream, by the filter, to the client: what comes behind the head.
    for (head, first, filter, expected, is_whole) in [
        (
            chunked,
            "4\r\nab.c\r\n",
            "ends",
            "2\r\nab\r\n0\r\n\r\n",
            true,
        ),
        (counted, "ab.c", "ends", "2\r\nab\r\n0\r\n\r\n", true),
        (open, "ab.c", "ends", "2\r\nab\r\n0\r\n\r\n", true),
        (counted, "ab.c", "ends_counted", "ab.c", false),
        (counted, "ab.c", "cuts", "", false),
        (chunked, "4\r\nab.c\r\n", "cuts", "", false),
        (counted, "ab", "lies", "", false),
    ] {
        let origin = endless(head, first);
        let (gateway, _) = telling(route("/*", &origin), &json!({"filter": filter}));
        let mut client = gateway.client();
        client.send(GET);
        if is_whole {
            assert_eq!(client.head().status(), 200);
            let bytes = client.bytes(expected.len());
            assert_eq!(String::from_utf8_lossy(&bytes), expected);
            // Nothing of it is in the way of the next request.
            client.send(GET);
            assert_eq!(client.head().status(), 200, "{head} {filter}");
        } else {
            let rest = String::from_utf8_lossy(&client.rest()).into_owned();
            let body = rest.split_once("\r\n\r\n").map(|(_, body)| body);
            assert_eq!(body.unwrap_or_default(), expected, "{head} {filter}");
        }
    }
}
