//! What is fuzzed: one function per target, which panics when an invariant does not hold.
//!
//! The targets in `fuzz/` call these, and so do tests with every file of `fuzz/corpus/` and mutations of them.

use std::borrow::Cow;

use lockgate_content::{form, graphql, multipart};
use lockgate_declare::Document;
use lockgate_expr::{BodyPath, Expr, JsonPath, Lookup, Template, Value, Variable};
use lockgate_http::{
    chunked::Decoder,
    head::{Framing, HeadError},
    headers::Headers,
    request::RequestHead,
    response::{Asked, ResponseHead},
};
use lockgate_keyring::{Keyring, Part, PluginFields, PluginSecrets};
use lockgate_model::{
    boot::{Boot, File, with_admin_keys},
    document,
};
use lockgate_net::{buffer::Buffer, proxy_protocol};
use lockgate_plugins_auth::jwt_auth::token::Token;

use crate::naive::{self, Ends};

/// A function to fuzz.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Name of its file and of its corpus.
    pub name: &'static str,
    /// What it does with an input.
    pub run: fn(&[u8]),
    /// Whether the first byte of an input says where the rest is cut.
    pub is_cut: bool,
    /// How many mutations an ordinary test has time for.
    pub mutations: usize,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("request_head", request_head, true, 20_000),
    target("response_head", response_head, true, 20_000),
    target("chunked", chunked, true, 20_000),
    target("expr", expr, false, 10_000),
    target("keyring", keyring, false, 10_000),
    target("content", content, false, 10_000),
    target("json_path", json_path, false, 10_000),
    target("proxy_protocol", proxy_protocol, true, 20_000),
    // Reading a whole configuration takes a millisecond.
    target("config_yaml", config_yaml, false, 500),
    target("document", document, false, 500),
    target("declaration", declaration, false, 5_000),
    target("json_web_token", json_web_token, false, 20_000),
];

const fn target(name: &'static str, run: fn(&[u8]), is_cut: bool, mutations: usize) -> Target {
    Target {
        name,
        run,
        is_cut,
        mutations,
    }
}

/// Room for any input of a fuzzer.
const BUFFER_BYTES: usize = 64 * 1024;

/// The two pieces that the first byte of an input cuts the rest into.
fn cut(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((place, rest)) = data.split_first() else {
        return (data, data);
    };
    rest.split_at(usize::from(*place).min(rest.len()))
}

/// Fields as pairs.
fn pairs(headers: &Headers) -> Vec<(Vec<u8>, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect()
}

/// Any bytes as a request head: the same in one piece or two, and never accepted where the naive reader refuses.
///
/// # Panics
/// An invariant does not hold.
pub fn request_head(data: &[u8]) {
    type Read = Result<Option<(RequestHead, Vec<u8>)>, HeadError>;
    let read = |pieces: &[&[u8]]| -> Read {
        let mut head = RequestHead::default();
        let mut buffer = Buffer::new(BUFFER_BYTES);
        let mut is_complete = false;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            buffer.append(piece);
            if !is_complete {
                is_complete = head.feed(&mut buffer)?;
            }
        }
        Ok(is_complete.then(|| (head, buffer.filled().to_vec())))
    };
    let (first, second) = cut(data);
    let whole = [first, second].concat();
    if whole.len() > BUFFER_BYTES {
        return;
    }
    let at_once = read(&[&whole]);
    let in_pieces = read(&[first, second]);
    match (&at_once, &in_pieces) {
        (Ok(Some((a, a_rest))), Ok(Some((b, b_rest)))) => {
            assert_eq!(a_rest, b_rest);
            assert_eq!(pairs(&a.headers), pairs(&b.headers));
            assert_eq!(
                (
                    a.line(),
                    a.authority(),
                    a.raw_path(),
                    a.query(),
                    a.framing()
                ),
                (
                    b.line(),
                    b.authority(),
                    b.raw_path(),
                    b.query(),
                    b.framing()
                )
            );
        }
        // Of a head that came in pieces nothing is read before its empty line is there.
        (Ok(None) | Err(_), Ok(None)) | (Err(_), Err(_)) => {}
        _ => panic!("a cut changes the outcome: {at_once:?} {in_pieces:?}"),
    }
    let naive = naive::request(&whole);
    match at_once {
        Ok(Some((head, rest))) => {
            let naive = naive.expect("the naive reader refuses what was accepted");
            assert_eq!(naive.len, whole.len() - rest.len());
            assert_eq!(
                naive.start.first().map(Vec::as_slice),
                Some(head.method_name())
            );
            assert_eq!(naive.start.get(1).map(Vec::as_slice), Some(head.target()));
            let ends = match head.framing() {
                Framing::None => Ends::AtOnce,
                Framing::Length(length) => Ends::After(length),
                Framing::Chunked => Ends::Chunked,
                Framing::UntilClose => panic!("a request cannot end so"),
            };
            assert_eq!(naive.ends(), Some(ends));
            assert!(naive.all("host").len() <= 1);
            assert_eq!(head.headers.bytes().len(), naive.len);
        }
        // Beyond the empty line there is nothing to wait for.
        Ok(None) => assert_ne!(naive.map(|_| ()), Ok(())),
        Err(_) => {}
    }
}

/// Any bytes as a response head: as [`request_head`].
///
/// # Panics
/// An invariant does not hold.
pub fn response_head(data: &[u8]) {
    type Read = Result<Option<(ResponseHead, Vec<u8>)>, HeadError>;
    let asked = Asked {
        is_head: data.first().is_some_and(|first| first & 1 == 1),
        is_upgrade: data.first().is_some_and(|first| first & 2 == 2),
    };
    let read = |pieces: &[&[u8]]| -> Read {
        let mut head = ResponseHead::default();
        let mut buffer = Buffer::new(BUFFER_BYTES);
        let mut is_complete = false;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            buffer.append(piece);
            if !is_complete {
                is_complete = head.feed(&mut buffer, asked)?;
            }
        }
        Ok(is_complete.then(|| (head, buffer.filled().to_vec())))
    };
    let (first, second) = cut(data);
    let whole = [first, second].concat();
    if whole.len() > BUFFER_BYTES {
        return;
    }
    let at_once = read(&[&whole]);
    let in_pieces = read(&[first, second]);
    match (&at_once, &in_pieces) {
        (Ok(Some((a, a_rest))), Ok(Some((b, b_rest)))) => {
            assert_eq!(a_rest, b_rest);
            assert_eq!(pairs(&a.headers), pairs(&b.headers));
            assert_eq!(
                (a.status(), a.reason(), a.framing(), a.keeps_alive()),
                (b.status(), b.reason(), b.framing(), b.keeps_alive())
            );
        }
        // Of a head that came in pieces nothing is read before its empty line is there.
        (Ok(None) | Err(_), Ok(None)) | (Err(_), Err(_)) => {}
        _ => panic!("a cut changes the outcome: {at_once:?} {in_pieces:?}"),
    }
    if let Ok(Some((head, rest))) = at_once {
        let naive = naive::response(&whole).expect("the naive reader refuses what was accepted");
        assert_eq!(naive.len, whole.len() - rest.len());
        assert_eq!(
            naive.start.get(1).cloned(),
            Some(head.status().to_string().into_bytes())
        );
        match head.framing() {
            Framing::None => {}
            Framing::Length(length) => assert_eq!(naive.ends(), Some(Ends::After(length))),
            Framing::Chunked => assert!(!naive.all("transfer-encoding").is_empty()),
            Framing::UntilClose => assert!(!head.keeps_alive()),
        }
    }
}

/// Any bytes as a chunked body: the same in one piece or two, and as the naive decoder has it.
///
/// # Panics
/// An invariant does not hold.
pub fn chunked(data: &[u8]) {
    let decode = |pieces: &[&[u8]]| {
        let mut decoder = Decoder::default();
        let (mut out, mut used) = (Vec::new(), 0);
        for piece in pieces {
            let mut piece = piece.to_vec();
            let decoded = decoder.decode(&mut piece).ok()?;
            out.extend_from_slice(piece.get(decoded.data).unwrap_or_default());
            used += decoded.used;
        }
        let mut trailers = Vec::new();
        let are_fields = decoder.write_trailers(&mut trailers).is_ok();
        Some((out, used, decoder.is_done(), are_fields))
    };
    let (first, second) = cut(data);
    let whole = [first, second].concat();
    let at_once = decode(&[&whole]);
    assert_eq!(at_once, decode(&[first, second]));
    let done = at_once.filter(|(.., is_done, _)| *is_done);
    let naive = naive::chunked(&whole);
    if let Some((out, used, ..)) = done {
        assert_eq!(naive, Some((out, used)));
    }
    // Lines and trailers have limits that the naive decoder has not.
    else if whole.len() <= lockgate_http::limits::CHUNK_LINE_BYTES {
        assert_eq!(naive, None);
    }
}

struct Same<'d>(&'d [u8]);

impl Lookup for Same<'_> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        (!matches!(variable, Variable::Unknown(_))).then_some(Cow::Borrowed(self.0))
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        match variable {
            Variable::GraphqlRootFields => {
                Some(Value::List(vec![Value::Text(Cow::Borrowed(self.0))]))
            }
            _ => self.lookup(variable).map(Value::Text),
        }
    }
}

/// Any bytes as a `vars` expression, a template and a log format: compiling and evaluating them ends and never panics.
///
/// Input: up to the first zero byte the value every variable has, behind it the text to compile.
pub fn expr(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (value, text) = match (parts.next(), parts.next()) {
        (Some(value), Some(text)) => (value, text),
        _ => (&b"value"[..], data),
    };
    let request = Same(value);
    if let Ok(rules) = serde_json::from_slice(text)
        && let Ok(expr) = Expr::compile(&rules)
    {
        expr.eval(&request);
    }
    if let Ok(text) = std::str::from_utf8(text) {
        let mut out = Vec::new();
        Template::parse(text).render(&request, &mut out);
        if let Ok(format) = Template::parse_log_format(text) {
            format.render(&request, &mut out);
        }
    }
}

/// Any bytes as a body: reading it as a form, as parts and as a GraphQL document ends, and gives nothing that is not in it.
///
/// Input: the first byte is the boundary of the parts.
///
/// # Panics
/// An invariant does not hold.
pub fn content(data: &[u8]) {
    let (boundary, body) = data.split_at(data.len().min(1));
    for (name, value) in form::pairs(body) {
        assert!(name.len() + value.as_ref().map_or(0, |value| value.len()) <= body.len());
        let first = form::pairs(body).find(|(known, _)| *known == name);
        assert_eq!(form::first(body, &name), first.map(|(_, value)| value));
    }
    let mut left = body.len();
    for (name, content) in multipart::parts(body, boundary) {
        // Parts do not overlap.
        let taken = name.len() + content.len();
        assert!(taken <= left);
        left -= taken;
    }
    if let Some(named) = multipart::boundary(body) {
        assert!(!named.is_empty() && named.len() <= body.len());
    }
    if let Ok(text) = std::str::from_utf8(body)
        && let Ok(document) = graphql::parse(text)
    {
        assert!(document.definitions > 0);
        assert!(document.root_fields.iter().all(|name| text.contains(name)));
    }
}

/// Any text as a path into any JSON: walking it ends, and what it selects is there once.
///
/// Input: up to the first zero byte the path, behind it the JSON.
///
/// # Panics
/// An invariant does not hold.
pub fn json_path(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(path), Some(json)) = (parts.next(), parts.next()) else {
        return;
    };
    let (Ok(path), Ok(json)) = (std::str::from_utf8(path), serde_json::from_slice(json)) else {
        return;
    };
    if let Ok(path) = JsonPath::parse(path) {
        path.query(&json);
    }
    BodyPath::new(path).value(&json);
}

/// Any bytes as a header of the PROXY protocol: the same in one piece or two.
///
/// # Panics
/// An invariant does not hold.
pub fn proxy_protocol(data: &[u8]) {
    let (first, second) = cut(data);
    let whole = [first, second].concat();
    let at_once = proxy_protocol::parse(&whole);
    match proxy_protocol::parse(first) {
        // What is known from the first piece stays so.
        Ok(Some(header)) => assert_eq!(at_once, Ok(Some(header))),
        Ok(None) => {}
        Err(_) => assert!(at_once.is_err()),
    }
    match at_once {
        Ok(Some(header)) => {
            assert!((13..=proxy_protocol::V2_BYTES).contains(&header.len));
            assert!(header.len <= whole.len());
            let cut = whole.get(..header.len - 1).unwrap_or_default();
            assert_eq!(proxy_protocol::parse(cut), Ok(None));
        }
        // Whoever waits waits for a bounded time in bytes, too.
        Ok(None) => assert!(whole.len() < proxy_protocol::V2_BYTES),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Any text as a ciphertext, as a secret, and as the configuration of a plugin with secret fields: decrypting never panics, and takes back what
/// was encrypted.
///
/// # Panics
/// An invariant does not hold.
pub fn keyring(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let ring = Keyring::new(["edd1c9f0985e76a2", "qeddd145sfvddff3qeddd145sfvddff3"]);
    let _either = ring.decrypt(text);
    let encrypted = ring.encrypt(text);
    assert_eq!(ring.decrypt(&encrypted).as_deref(), Ok(text));
    let Ok(config) = serde_json::from_str::<serde_json::Value>(text) else {
        return;
    };
    let fields = PluginFields {
        plugin: ["a", "b.c", "d.e.f"].map(str::to_owned).into(),
        ..PluginFields::default()
    };
    let secrets = PluginSecrets::new(ring, [("p".to_owned(), fields)]);
    let mut stored = config.clone();
    secrets.encrypt("p", Part::Plugin, &mut stored);
    assert_eq!(secrets.decrypt("p", Part::Plugin, &mut stored), []);
    assert_eq!(stored, config);
    secrets.decrypt("p", Part::Plugin, &mut stored);
}

/// Any text as `config.yaml`: reading it ends and never panics, what is refused says why, and a key is only ever written
/// where the file keeps its meaning.
///
/// Input: the file. Variables of the environment are set when their name has an even length.
///
/// # Panics
/// An invariant does not hold.
pub fn config_yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let environment = |name: &str| name.len().is_multiple_of(2).then(|| "1".to_owned());
    let file = File { name: "f", text };
    match Boot::read(Some(file), &environment) {
        Ok(boot) => assert!(
            boot.warnings
                .iter()
                .all(|warning| !warning.message.is_empty())
        ),
        Err(error) => assert!(!error.message.is_empty()),
    }
    let _edited = with_admin_keys(text, &[(0, "KEY".to_owned())]);
}

/// Any text as a whole configuration, in YAML and in JSON: reading it ends and never panics, what is refused says why, and its objects have
/// ids.
///
/// Input: the text. Variables of the environment are set when their name has an even length.
///
/// # Panics
/// An invariant does not hold.
pub fn document(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let environment = |name: &str| name.len().is_multiple_of(2).then(|| "1".to_owned());
    for format in [document::Format::Yaml, document::Format::Json] {
        match document::read_file(text, format, &environment) {
            Ok(read) => {
                let lists = document::LISTS.iter();
                for item in lists
                    .flat_map(|list| document::items(&read, list))
                    .flatten()
                {
                    assert!(item.key.contains('/'));
                    assert!(
                        item.stored()
                            .get("id")
                            .is_some_and(serde_json::Value::is_string)
                    );
                }
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

/// Any bytes as the objects of a gateway in one file: what can be read can be written, and is the same when it is read again.
///
/// # Panics
/// An invariant does not hold.
pub fn declaration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(document) = Document::parse(text) else {
        return;
    };
    let again = document.to_yaml().map(|yaml| Document::parse(&yaml));
    assert_eq!(again, Ok(Ok(document)));
}

/// Any bytes as a token: taking it apart never panics, and what is signed is all that stands before the last dot.
///
/// # Panics
/// An invariant does not hold.
pub fn json_web_token(data: &[u8]) {
    let Ok(token) = Token::parse(data) else {
        return;
    };
    assert_eq!(data.split(|byte| *byte == b'.').count(), 3);
    let signature = data.strip_prefix(token.signed()).expect("the first parts");
    assert!(signature.len() > 1 && signature.starts_with(b"."));
    let _either = token.signature();
    let _either = token.algorithm();
    // Nothing in a token is changed on the way to who reads the claims.
    let claims: serde_json::Value =
        serde_json::from_slice(&token.into_payload()).expect("JSON as before");
    let again = Token::parse(data).expect("a token as before");
    assert_eq!(again.claim("exp"), claims.get("exp"));
}
