//! A naive reader of HTTP/1.1 messages, independent of the gateway's own.

use std::io::{self, Read};

/// Where bytes come from, with those read ahead.
pub(crate) struct Source<S> {
    pub(crate) stream: S,
    pub(crate) ahead: Vec<u8>,
}

/// A response, or a request as an origin sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The start line.
    pub start: String,
    /// The fields in order, as written.
    pub fields: Vec<(String, String)>,
    /// The body without its coding.
    pub body: Vec<u8>,
    /// The fields behind a chunked body.
    pub trailers: Vec<(String, String)>,
    /// The bytes of the head.
    pub head: String,
}

/// A request that arrived at an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Serial number of the connection, from 0.
    pub connection: usize,
    /// The request.
    pub message: Message,
}

impl Message {
    /// The status of a response; 0 where the start line is none of a response.
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0)
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request: path and query.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Value of the first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Values of all fields of this name.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    fn says(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|list| list.split(','))
            .any(|element| element.trim().eq_ignore_ascii_case(token))
    }

    /// Whether the sender closes the connection behind this message.
    pub fn closes(&self) -> bool {
        self.says("connection", "close")
    }

    fn length(&self) -> Option<usize> {
        self.field("content-length")?.parse().ok()
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    ResponseToHead,
}

impl<S: Read> Source<S> {
    pub(crate) fn new(stream: S) -> Self {
        let ahead = Vec::new();
        Self { stream, ahead }
    }

    /// Reads more; false at the end of the stream.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        let mut room = vec![0; 64 * 1024];
        let count = loop {
            match self.stream.read(&mut room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.ahead.extend(room.iter().take(count));
        Ok(count > 0)
    }

    /// Takes the bytes up to and with `end`; `None` when the stream ends before.
    pub(crate) fn until(&mut self, end: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|part| part == end) {
                return Ok(Some(self.ahead.drain(..at + end.len()).collect()));
            }
            if !self.more()? {
                return Ok(None);
            }
        }
    }

    /// Takes exactly `count` bytes, or what there is before the end.
    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            if !self.more()? {
                break;
            }
        }
        let count = count.min(self.ahead.len());
        Ok(self.ahead.drain(..count).collect())
    }

    /// Reads a head; `None` when the stream ends in front of it or within.
    pub(crate) fn head(&mut self) -> io::Result<Option<Message>> {
        let Some(bytes) = self.until(b"\r\n\r\n")? else {
            return Ok(None);
        };
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let mut lines = head.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(field).collect();
        Ok(Some(Message {
            start,
            fields,
            body: Vec::new(),
            trailers: Vec::new(),
            head: head.clone(),
        }))
    }

    /// Reads a whole message.
    pub(crate) fn message(&mut self, kind: Kind) -> io::Result<Option<Message>> {
        let Some(mut message) = self.head()? else {
            return Ok(None);
        };
        let is_empty = kind == Kind::ResponseToHead
            || (kind == Kind::Response && matches!(message.status(), 100..=199 | 204 | 304));
        if is_empty {
        } else if message.says("transfer-encoding", "chunked") {
            self.chunks(&mut message)?;
        } else if let Some(length) = message.length() {
            message.body = self.exactly(length)?;
        } else if kind == Kind::Response {
            while self.more()? {}
            message.body = std::mem::take(&mut self.ahead);
        }
        Ok(Some(message))
    }

    /// Reads chunks as far as they come; a body that is cut off ends where it was cut.
    fn chunks(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let Some(line) = self.until(b"\r\n")? else {
                return Ok(());
            };
            let line = String::from_utf8_lossy(&line).into_owned();
            let size = line.trim_end().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16).expect("a chunk size");
            if size == 0 {
                break;
            }
            message.body.extend(self.exactly(size)?);
            self.exactly(2)?;
        }
        while let Some(line) = self.until(b"\r\n")? {
            if line == b"\r\n" {
                break;
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            message.trailers.push(field(line.trim_end()));
        }
        Ok(())
    }
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}
