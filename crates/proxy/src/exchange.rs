//! One request and its response: everything that is known about them, reused from request to request.

use std::{
    cell::{Cell, OnceCell},
    net::{IpAddr, SocketAddr},
};

use lockgate_http::{
    request::{Method, RequestHead},
    response::ResponseHead,
};
use lockgate_net::buffer::Buffer;
use lockgate_plugin::host::State;
use smallvec::SmallVec;

use crate::{
    normalize::Malformed, options::Options, reason::Reason, upload::Upload, uri::Uri, vars::Told,
};

/// The facts of one exchange.
///
/// Handed out by the worker and taken back, so that a request allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// The request's head.
    pub(crate) request: RequestHead,
    /// Head of the final response of the upstream.
    pub(crate) response: ResponseHead,
    /// Bytes read from the client behind the head: body, then the next request.
    pub(crate) unread: Option<Buffer>,
    /// The request's body.
    pub(crate) upload: Upload,
    /// Where the message to send next is put together.
    pub(crate) out: Vec<u8>,
    /// The forms of the request's path.
    uri: Uri,
    /// The request's authority in lower case.
    authority: Vec<u8>,
    host_len: usize,
    /// Address of the client as trusted proxies tell it, else the peer's.
    pub(crate) remote: Option<IpAddr>,
    /// The client's port; 0 where who told its address told none.
    pub(crate) remote_port: u16,
    /// When the head was complete, in microseconds of the worker's clock.
    pub(crate) began: u64,
    /// When the response had been sent.
    pub(crate) ended: u64,
    /// Status sent to the client; 0 before.
    pub(crate) status: u16,
    /// Bytes sent to the client, head included.
    pub(crate) bytes_sent: u64,
    /// Bytes of the response body sent, without chunk framing.
    pub(crate) body_bytes_sent: u64,
    /// The request's random id; 0 until somebody asks for it.
    pub(crate) id: Cell<u128>,
    /// Host field sent to the node used last.
    pub(crate) node_host: Vec<u8>,
    /// The node used last as the upstream names it; empty where nobody asks for it.
    pub(crate) node_name: Vec<u8>,
    /// `Set-Cookie` field of the gateway's own for the response; empty for none.
    pub(crate) set_cookie: Vec<u8>,
    /// The node that was picked last.
    pub(crate) node: Option<SocketAddr>,
    /// What was tried upstream, in order.
    pub(crate) attempts: SmallVec<[Attempt; 2]>,
    /// A head of the response has been sent, at least in part.
    pub(crate) has_answered: bool,
    /// Values of path parameters.
    pub(crate) params: lockgate_router::Params,
    /// How much of the body was asked for so that a route can be chosen; 0 where none was.
    pub(crate) looked_at: u64,
    /// What was found in the body.
    pub(crate) told: OnceCell<Box<Told>>,
    /// The answer that the gateway made itself and no plugin looked at.
    pub(crate) own: Option<Own>,
    /// Whose answer lies in `response`.
    pub(crate) answer: Answer,
    /// Plugins have seen the head of the response.
    pub(crate) is_filtered: bool,
    /// What strangers say of forwarding has been taken away, so that what is there now was said by plugins.
    pub(crate) is_cleaned: bool,
    /// What plugins have said.
    pub(crate) plugins: State,
    /// Why the status is the gateway's own; `None` where it is not.
    pub(crate) reason: Option<Reason>,
}

/// Whose answer lies in [`Exchange::response`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nobody's: there is none yet, or the gateway's own was written without it.
    #[default]
    None,
    /// An upstream's.
    Upstreams,
    /// The gateway's own.
    Own,
}

/// What is logged of an answer that the gateway made itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    pub(crate) content_type: &'static str,
    pub(crate) length: usize,
}

/// One attempt at an upstream node. Times are microseconds from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt {
    /// The node's address.
    pub(crate) address: SocketAddr,
    /// Clock reading at its start.
    pub(crate) began: u64,
    /// Status of its response, or the one its failure stands for.
    pub(crate) status: u16,
    /// Until the connection was there; `None` where a kept one was used or none was made.
    pub(crate) connect_us: Option<u64>,
    /// Until the response head was there.
    pub(crate) header_us: Option<u64>,
    /// Until the response was whole, or the attempt failed.
    pub(crate) response_us: Option<u64>,
    /// Bytes sent to the node.
    pub(crate) sent: u64,
    /// Bytes received from the node.
    pub(crate) received: u64,
    /// Bytes of the response's body, without chunk framing.
    pub(crate) body: u64,
}

impl Exchange {
    /// Makes room for the next request.
    pub(crate) fn clear(&mut self) {
        self.request.clear();
        self.response.clear();
        self.upload = Upload::default();
        self.out.clear();
        self.uri.clear();
        self.authority.clear();
        self.remote = None;
        self.remote_port = 0;
        self.began = 0;
        self.ended = 0;
        self.status = 0;
        self.bytes_sent = 0;
        self.body_bytes_sent = 0;
        self.id.set(0);
        self.node_host.clear();
        self.node_name.clear();
        self.set_cookie.clear();
        self.node = None;
        self.attempts.clear();
        self.has_answered = false;
        self.looked_at = 0;
        self.told.take();
        self.own = None;
        self.answer = Answer::None;
        self.is_filtered = false;
        self.is_cleaned = false;
        self.plugins.clear();
        self.reason = None;
    }

    /// The normalised path, as routes and plugins see it.
    #[inline]
    pub(crate) fn uri(&self) -> &[u8] {
        self.uri.plain(self.request.raw_path())
    }

    /// The path that routes are matched against and that their parameters lie in.
    #[inline]
    pub(crate) fn route_uri(&self) -> &[u8] {
        self.uri.route(self.request.raw_path())
    }

    /// The normalised path, whatever options take from it.
    #[inline]
    pub(crate) fn received_uri(&self) -> &[u8] {
        self.uri.received(self.request.raw_path())
    }

    /// The method, as plugins have left it.
    #[inline]
    pub(crate) fn method(&self) -> &[u8] {
        match &self.plugins.outgoing.method {
            Some(method) => method,
            None => self.request.method_name(),
        }
    }

    /// The method that the upstream gets.
    #[inline]
    pub(crate) fn sent_method(&self) -> Method {
        match &self.plugins.outgoing.method {
            Some(method) => Method::of(method),
            None => self.request.method(),
        }
    }

    /// The query without its `?`, as plugins have left it; empty where there is none.
    #[inline]
    pub(crate) fn query(&self) -> &[u8] {
        match &self.plugins.outgoing.query {
            Some(query) => query,
            None => self.request.query().unwrap_or_default(),
        }
    }

    /// The request's authority, in lower case.
    #[inline]
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// The request's host, in lower case, without port and trailing dot.
    #[inline]
    pub(crate) fn host(&self) -> &[u8] {
        self.authority.get(..self.host_len).unwrap_or_default()
    }

    /// Brings path and host into normal form.
    ///
    /// # Errors
    /// The path has none.
    #[inline]
    pub(crate) fn normalize(&mut self, options: &Options) -> Result<(), Malformed> {
        self.uri.set(self.request.raw_path(), options)?;
        let authority = self.request.authority();
        self.host_len = host_of(authority).len();
        self.authority.extend_from_slice(authority);
        self.authority.make_ascii_lowercase();
        Ok(())
    }
}

/// Host of an authority: without port, without the trailing dot of an absolute name.
pub(crate) fn host_of(authority: &[u8]) -> &[u8] {
    let host = match memchr::memrchr(b':', authority) {
        Some(colon) if !authority.ends_with(b"]") => authority.get(..colon).unwrap_or_default(),
        _ => authority,
    };
    host.strip_suffix(b".").unwrap_or(host)
}

/// Port of an authority, where it names one.
pub(crate) fn port_of(authority: &[u8]) -> Option<&[u8]> {
    if authority.ends_with(b"]") {
        return None;
    }
    memchr::memrchr(b':', authority)
        .and_then(|colon| authority.get(colon + 1..))
        .filter(|port| !port.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_authorities() {
        for (authority, host, port) in [
            ("a.com", "a.com", None),
            ("a.com.:80", "a.com", Some("80")),
            ("[::1]", "[::1]", None),
            ("[::1]:81", "[::1]", Some("81")),
            ("a:", "a", None),
        ] {
            assert_eq!(host_of(authority.as_bytes()), host.as_bytes());
            assert_eq!(port_of(authority.as_bytes()), port.map(str::as_bytes));
        }
    }
}
