//! A request that nobody sent: what the proxy would know of it before any plugin runs, for who asks which route it would take.
//!
//! Head, path and host go through the code that takes those of real requests. What depends on the connection is known as far as the
//! question says it; of the rest it is said that it is not known.

use std::{borrow::Cow, net::IpAddr};

use lockgate_expr::{Lookup, PartialLookup, Value, Variable};
use lockgate_net::buffer::Buffer;
use lockgate_router::{Methods, Request};
use lockgate_snapshot::Target;

use crate::{
    exchange::{Exchange, port_of},
    options::Options,
    reason::Reason,
    vars::text,
};

/// What is said of a request that nobody sent.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// The method.
    pub method: String,
    /// The target of the request line: path and query, or a whole URL.
    pub target: String,
    /// The `Host` field.
    pub host: Option<String>,
    /// Further fields, in order.
    pub headers: Vec<(String, String)>,
    /// The client's address, as trusted proxies tell it.
    pub remote_addr: Option<IpAddr>,
    /// The port that the client connected to.
    pub port: Option<u16>,
}

/// A request that nobody sent, as the proxy would see it.
#[derive(Debug)]
pub struct Imagined {
    exchange: Exchange,
    remote_addr: Option<IpAddr>,
    port: Option<u16>,
    /// Whether any peer's `X-Forwarded-*` would be believed.
    has_trusted: bool,
}

impl Imagined {
    /// Takes a request as the proxy takes one with these settings.
    ///
    /// # Errors
    /// It would be refused: status, and why.
    pub fn new(question: &Question, options: &Options) -> Result<Self, (u16, String)> {
        let mut exchange = Exchange::default();
        let bytes = head(question)?;
        let mut buffer = Buffer::new(bytes.len());
        if let Some(free) = buffer.free_mut().get_mut(..bytes.len()) {
            free.copy_from_slice(&bytes);
        }
        buffer.fill(bytes.len());
        match exchange.request.feed(&mut buffer) {
            Ok(true) => {}
            Ok(false) => return Err((400, "the head does not end".to_owned())),
            Err(error) => return Err((error.status(), error.to_string())),
        }
        exchange
            .normalize(options)
            .map_err(|_malformed| (400, "the path has no normal form".to_owned()))?;
        Ok(Self {
            exchange,
            remote_addr: question.remote_addr,
            port: question.port,
            has_trusted: !options.trusted_addresses.is_empty(),
        })
    }

    /// The method.
    pub fn method_name(&self) -> &[u8] {
        self.exchange.request.method_name()
    }

    /// The path in normal form, as plugins see it.
    pub fn uri(&self) -> &[u8] {
        self.exchange.uri()
    }

    /// The query, where there is one.
    pub fn query(&self) -> Option<&[u8]> {
        Some(self.exchange.query()).filter(|query| !query.is_empty())
    }

    /// A field that says what a proxy in front of the gateway has seen, by the part of its name behind `X-`; `None` for other fields.
    fn forwarding(name: &str) -> Option<&str> {
        match name {
            "forwarded" => Some(name),
            _ => name
                .strip_prefix("x-")
                .filter(|name| FORWARDING.contains(name)),
        }
    }

    /// A field of the request, those of forwarding as they are sent on for a client that is not trusted.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let request = &self.exchange.request;
        match Self::forwarding(name) {
            Some("forwarded") => None,
            Some("forwarded-proto") => text::bytes(b"http"),
            Some("forwarded-host") => text::filled(request.authority()),
            Some("forwarded-port") => self.forwarded_port(),
            _ => text::header(&request.headers, name),
        }
    }

    /// The port that the client speaks of, or the one that it connected to.
    fn forwarded_port(&self) -> Option<Cow<'_, [u8]>> {
        match port_of(self.exchange.request.authority()) {
            Some(port) => text::bytes(port),
            None => text::number(u64::from(self.port?)),
        }
    }

    fn knows_forwarded_port(&self) -> bool {
        self.port.is_some() || port_of(self.exchange.request.authority()).is_some()
    }

    fn find(&self, variable: &Variable) -> Option<Value<'_>> {
        let request = &self.exchange.request;
        let found = match variable {
            Variable::Arg(name) => return text::argument(self.exchange.query(), name),
            Variable::Uri => text::filled(self.exchange.route_uri()),
            Variable::RequestUri => match self.query() {
                None => text::filled(self.uri()),
                Some(query) => Some(Cow::Owned([self.uri(), b"?", query].concat())),
            },
            Variable::RealRequestUri => text::filled(request.path_and_query()),
            Variable::Args => self.query().map(Cow::Borrowed),
            Variable::IsArgs => text::bytes(if self.query().is_some() { b"?" } else { b"" }),
            Variable::Header(name) => self.header(name),
            Variable::Cookie(name) => text::cookie(&request.headers, name),
            Variable::Host if self.exchange.host().is_empty() => text::bytes(b"_"),
            Variable::Host => text::bytes(self.exchange.host()),
            Variable::ServerName => text::bytes(b"_"),
            Variable::Hostname => text::bytes(crate::access_log::hostname().as_bytes()),
            Variable::Scheme => text::bytes(b"http"),
            Variable::RemoteAddr => {
                let address = self.remote_addr?.to_string();
                Some(Cow::Owned(address.into_bytes()))
            }
            Variable::ServerPort => text::number(u64::from(self.port?)),
            Variable::RemoteUser => text::basic_user(&request.headers),
            Variable::RequestMethod => text::filled(request.method_name()),
            Variable::RequestType => text::bytes(b"traditional_http"),
            Variable::ContentType => text::header(&request.headers, "content-type"),
            Variable::ContentLength => text::header(&request.headers, "content-length"),
            Variable::VarXForwardedHost => text::filled(request.authority()).or(text::bytes(b"_")),
            Variable::VarXForwardedPort => self.forwarded_port(),
            Variable::OriginalXForwardedFor => text::header(&request.headers, "x-forwarded-for"),
            Variable::OriginalXForwardedProto => {
                text::header(&request.headers, "x-forwarded-proto")
            }
            Variable::OriginalXForwardedHost => text::header(&request.headers, "x-forwarded-host"),
            Variable::OriginalXForwardedPort => text::header(&request.headers, "x-forwarded-port"),
            Variable::OriginalForwarded => text::header(&request.headers, "forwarded"),
            _ => None,
        };
        found.map(Value::Text)
    }
}

/// What follows `X-` in the names of the fields that forwarding proxies write.
const FORWARDING: [&str; 4] = [
    "forwarded-for",
    "forwarded-proto",
    "forwarded-host",
    "forwarded-port",
];

impl Lookup for Imagined {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        text::plain(self.find(variable)?)
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        self.find(variable)
    }
}

impl PartialLookup for Imagined {
    fn is_known(&self, variable: &Variable) -> bool {
        match variable {
            Variable::Header(name) => match Self::forwarding(name) {
                // Whose word counts depends on the peer.
                Some(_) if self.has_trusted => false,
                Some("forwarded-port") => self.knows_forwarded_port(),
                None | Some(_) => true,
            },
            Variable::RemoteAddr => self.remote_addr.is_some(),
            Variable::ServerPort => self.port.is_some(),
            Variable::VarXForwardedPort => self.knows_forwarded_port(),
            Variable::Arg(_)
            | Variable::Uri
            | Variable::RequestUri
            | Variable::RealRequestUri
            | Variable::Args
            | Variable::IsArgs
            | Variable::Cookie(_)
            | Variable::Host
            | Variable::ServerName
            | Variable::Hostname
            | Variable::Scheme
            | Variable::RemoteUser
            | Variable::RequestMethod
            | Variable::RequestType
            | Variable::ContentType
            | Variable::ContentLength
            | Variable::VarXForwardedHost
            | Variable::OriginalXForwardedFor
            | Variable::OriginalXForwardedProto
            | Variable::OriginalXForwardedHost
            | Variable::OriginalXForwardedPort
            | Variable::OriginalForwarded
            // Absent while a route is looked for.
            | Variable::UriParam(_)
            | Variable::RouteId
            | Variable::RouteName
            | Variable::ServiceId
            | Variable::ServiceName
            | Variable::ConsumerName
            | Variable::ConsumerGroupId
            | Variable::Unknown(_) => true,
            _ => false,
        }
    }
}

impl Request for Imagined {
    fn path(&self) -> &[u8] {
        self.exchange.route_uri()
    }

    fn host(&self) -> Option<&[u8]> {
        Some(self.exchange.host()).filter(|host| !host.is_empty())
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        Some(self.exchange.authority()).filter(|authority| !authority.is_empty())
    }

    fn method(&self) -> Methods {
        Methods::of(self.exchange.request.method_name())
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        self.remote_addr
    }
}

/// The head of the request on the wire. A request without a host is one of HTTP/1.0, which may lack it.
fn head(question: &Question) -> Result<Vec<u8>, (u16, String)> {
    let Question {
        method,
        target,
        host,
        headers,
        ..
    } = question;
    let names_host = |(name, _): &(String, String)| name.eq_ignore_ascii_case("host");
    let has_host = host.is_some() || headers.iter().any(names_host);
    let version = if has_host { "HTTP/1.1" } else { "HTTP/1.0" };
    let host = host.iter().map(|host| ("Host", host.as_str()));
    let further = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    // What ends a line, or a word of the first, would make another request of it.
    let is_word = |text: &str| !text.bytes().any(|byte| byte <= b' ' || byte == 0x7f);
    if !is_word(method) || !is_word(target) {
        let fault = "the request line is malformed: neither method nor uri may hold spaces or control characters, which are written percent-encoded";
        return Err((400, fault.to_owned()));
    }
    let mut bytes = format!("{method} {target} {version}\r\n").into_bytes();
    for (name, value) in host.chain(further) {
        if [name, value]
            .iter()
            .any(|text| text.contains(['\r', '\n', '\0']))
        {
            return Err((400, "a header holds a control character".to_owned()));
        }
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    Ok(bytes)
}

/// The answer, and its reason, for requests whose route does not lead to an upstream; `None` for one that does.
pub fn dead_end(target: &Target) -> Option<(u16, String)> {
    Reason::of_target(target).map(|(status, reason)| (status, reason.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(target: &str) -> Question {
        Question {
            method: "GET".to_owned(),
            target: target.to_owned(),
            host: Some("A.com:81".to_owned()),
            ..Question::default()
        }
    }

    fn header(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn knows_what_the_question_says_and_that_it_does_not_know_the_rest() {
        let asked = Question {
            headers: vec![
                header("Cookie", "a=1; b=2"),
                header("X-Env", "canary"),
                header("X-Env", "prod"),
                header("Authorization", "Basic amFjazpzZWNyZXQ="),
                header("X-Forwarded-Proto", "https"),
            ],
            remote_addr: Some([10, 0, 0, 1].into()),
            ..question("//a/./b%41?x=1%202&y")
        };
        let request = Imagined::new(&asked, &Options::default()).expect("a request");
        for (name, expected) in [
            ("uri", Some("/a/bA")),
            ("request_uri", Some("/a/bA?x=1%202&y")),
            ("real_request_uri", Some("//a/./b%41?x=1%202&y")),
            ("args", Some("x=1%202&y")),
            ("arg_x", Some("1 2")),
            ("arg_y", Some("true")),
            ("arg_z", None),
            ("host", Some("a.com")),
            ("http_host", Some("A.com:81")),
            ("http_x_env", Some("canary, prod")),
            ("http_x_forwarded_proto", Some("http")),
            ("http_x_forwarded_host", Some("A.com:81")),
            ("http_x_forwarded_port", Some("81")),
            ("original_x_forwarded_proto", Some("https")),
            ("cookie_b", Some("2")),
            ("remote_user", Some("jack")),
            ("remote_addr", Some("10.0.0.1")),
            ("method", Some("GET")),
            ("scheme", Some("http")),
            ("route_id", None),
            ("no_such", None),
        ] {
            let variable = Variable::parse(name);
            assert!(request.is_known(&variable), "{name}");
            let value = request.lookup(&variable);
            let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
            assert_eq!(value.as_deref(), expected, "{name}");
        }
        for name in [
            "server_port",
            "post_arg_x",
            "graphql_name",
            "time_local",
            "http2",
            "remote_port",
        ] {
            assert!(!request.is_known(&Variable::parse(name)), "{name}");
        }
        assert_eq!(
            request.value(&Variable::parse("arg_y")),
            Some(Value::Bool(true))
        );
        // Whose word counts depends on the peer.
        let trusting = Options {
            trusted_addresses: vec!["10.0.0.0/8".parse().expect("network")],
            ..Options::default()
        };
        let request = Imagined::new(&asked, &trusting).expect("a request");
        assert!(!request.is_known(&Variable::parse("http_x_forwarded_proto")));
    }

    #[test]
    fn paths_and_hosts_are_those_of_real_requests() {
        let tail = Options {
            delete_uri_tail_slash: true,
            ..Options::default()
        };
        let bare = Question {
            host: None,
            ..question("/a/")
        };
        let whole = Question {
            host: None,
            ..question("http://B.net:8080/x?y")
        };
        for (asked, options, path, host) in [
            (question("/a/"), &tail, "/a", Some("a.com")),
            (question("/a/"), &Options::default(), "/a/", Some("a.com")),
            (bare, &tail, "/a", None),
            (whole, &tail, "/x", Some("b.net")),
        ] {
            let request = Imagined::new(&asked, options).expect("a request");
            let host = host.map(str::as_bytes);
            assert_eq!((request.path(), request.host()), (path.as_bytes(), host));
        }
    }

    #[test]
    fn what_would_be_refused_is_refused() {
        let with = |name: &str, value: &str| Question {
            headers: vec![header(name, value)],
            ..question("/")
        };
        let method = Question {
            method: "CONNECT".to_owned(),
            ..question("/")
        };
        for (asked, status) in [
            (question("/.."), 400),
            (question("a"), 400),
            (question("/a b"), 400),
            (question("/\r\nx: y"), 400),
            (with("a b", "c"), 400),
            (with("a", "b\r\nc: d"), 400),
            (with("Host", "other"), 400),
            (method, 405),
        ] {
            let refused = Imagined::new(&asked, &Options::default());
            assert_eq!(
                refused.map_err(|(status, _)| status).err(),
                Some(status),
                "{asked:?}"
            );
        }
    }
}
