//! The immutable view of a table, and the walk from a request to its route.

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use lockgate_expr::Lookup;
use smallvec::SmallVec;

use crate::bucket::Bucket;
use crate::hash_trie::{HashTrie, Keyed};
use crate::host::HostRule;
use crate::limits::HOST_INLINE;
use crate::path::{Kind, Params, PathRule};
use crate::prefix_tree::PrefixTree;
use crate::route::Route;
use crate::{Methods, Mode};

/// What a request must tell to be routed, besides the values of its variables.
pub trait Request: Lookup {
    /// The path, percent-decoded and normalised, without arguments.
    fn path(&self) -> &[u8];
    /// The host, lower-cased, without its port.
    fn host(&self) -> Option<&[u8]>;
    /// The host as the client sent it, with a port if there was one, lower-cased.
    fn host_with_port(&self) -> Option<&[u8]>;
    /// The set of the one method; [`Methods::of`] what was sent.
    fn method(&self) -> Methods;
    /// The client's address.
    fn remote_addr(&self) -> Option<IpAddr>;
}

/// All routes of a table at one moment. Cheap to clone.
pub struct Routes<T> {
    pub(crate) mode: Mode,
    /// By host; [`Mode::HostUri`] only.
    pub(crate) hosts: Hosts<T>,
    /// Of routes without hosts; in the other modes, of all.
    pub(crate) any_host: Paths<T>,
    pub(crate) len: usize,
}

/// Routes by path.
pub(crate) struct Paths<T> {
    exact: HashTrie<Bucket<T>>,
    prefixes: PrefixTree<Bucket<T>>,
}

/// Routes by host and path.
pub(crate) struct Hosts<T> {
    exact: HashTrie<HostPaths<T>>,
    /// By the reversed suffix.
    wildcards: PrefixTree<HostPaths<T>>,
    /// How many entries of the two have a port.
    with_port: usize,
}

/// The routes of one host.
struct HostPaths<T> {
    host: Arc<str>,
    paths: Paths<T>,
}

/// The route that was found for a request.
pub struct Match<'r, T> {
    pub(crate) route: &'r Route<T>,
    pub(crate) rule: &'r PathRule,
    pub(crate) host: Option<&'r str>,
}

impl<'r, T> Match<'r, T> {
    /// The route's value.
    pub fn value(&self) -> &'r T {
        &self.route.value
    }

    /// The route's id.
    pub fn id(&self) -> &'r str {
        &self.route.id
    }

    /// The configured path that led here (`matched_uri` in the reference).
    pub fn path(&self) -> &'r str {
        self.rule.text()
    }

    /// The configured host that led here, without its port (`matched_host` in the reference).
    pub fn host(&self) -> Option<&'r str> {
        self.host.map(without_port)
    }

    /// The names and values of the path's parameters. `path` and `params` are those of the [`Routes::find`] that gave this match.
    pub fn params<'p>(
        &self,
        path: &'p [u8],
        params: &Params,
    ) -> impl Iterator<Item = (&'r str, &'p [u8])> {
        self.rule.params(path, params)
    }

    /// The value of one parameter of the path (`uri_param_name`). A nameless `*` is called `:ext`.
    pub fn param<'p>(&self, path: &'p [u8], params: &Params, name: &str) -> Option<&'p [u8]> {
        self.rule.param(path, params, name)
    }
}

impl<T> Clone for Match<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Match<'_, T> {}

impl<T> fmt::Debug for Match<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("id", &self.id())
            .field("path", &self.path())
            .field("host", &self.host())
            .finish()
    }
}

/// A route on the way of a request. Its host and the key of its path fit, its other conditions are not yet known to.
pub(crate) struct Candidate<'r, T> {
    pub(crate) route: &'r Route<T>,
    pub(crate) rule: &'r PathRule,
    pub(crate) host: Option<&'r str>,
}

/// The route takes other hosts.
pub(crate) struct OtherHost;

impl<T> Routes<T> {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            hosts: Hosts::default(),
            any_host: Paths::default(),
            len: 0,
        }
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The route of a request, or nothing. `params` gets the parameters of its path.
    pub fn find<'r, R: Request + ?Sized>(
        &'r self,
        request: &R,
        params: &mut Params,
    ) -> Option<Match<'r, T>> {
        let walked = self.walk(request, &mut |candidate: Candidate<'r, T>| {
            let Candidate { route, rule, .. } = candidate;
            let Ok(host) = self.host_of(&candidate, request) else {
                return ControlFlow::Continue(());
            };
            if route.accepts(rule, request, params) {
                ControlFlow::Break(Match { route, rule, host })
            } else {
                ControlFlow::Continue(())
            }
        });
        match walked {
            ControlFlow::Break(found) => Some(found),
            ControlFlow::Continue(()) => {
                params.clear();
                None
            }
        }
    }

    /// The configured host by which a candidate takes the request; `None` where it takes every host.
    #[inline]
    pub(crate) fn host_of<'r, R: Request + ?Sized>(
        &self,
        candidate: &Candidate<'r, T>,
        request: &R,
    ) -> Result<Option<&'r str>, OtherHost> {
        if self.mode == Mode::HostUri || candidate.route.hosts.is_empty() {
            return Ok(candidate.host);
        }
        match candidate.route.matching_host(request) {
            Some(rule) => Ok(Some(rule.text())),
            None => Err(OtherHost),
        }
    }

    /// Shows every route, one that has several paths or hosts several times, in no order that means anything.
    pub(crate) fn for_each<'r>(&'r self, visit: &mut impl FnMut(&'r Route<T>)) {
        let mut paths = vec![&self.any_host];
        let mut add = |found: &'r HostPaths<T>| paths.push(&found.paths);
        self.hosts.exact.for_each(&mut add);
        self.hosts.wildcards.for_each(&mut add);
        for paths in paths {
            let mut show = |bucket: &'r Bucket<T>| {
                for (route, _) in bucket.iter() {
                    visit(route);
                }
            };
            paths.exact.for_each(&mut show);
            paths.prefixes.for_each(&mut show);
        }
    }

    /// Shows `visit` every candidate in the order in which they are tried, until it breaks.
    pub(crate) fn walk<'r, R, F, B>(&'r self, request: &R, visit: &mut F) -> ControlFlow<B>
    where
        R: Request + ?Sized,
        F: FnMut(Candidate<'r, T>) -> ControlFlow<B>,
    {
        let path = request.path();
        let in_host = |found: &'r HostPaths<T>, visit: &mut F| {
            found.paths.walk(path, Some(&found.host), visit)
        };
        let host = if self.hosts.is_empty() {
            None
        } else {
            request.host()
        };
        // Entries with a port are few; they are asked first, and only if there are any.
        let with_port = if self.hosts.with_port > 0 {
            request.host_with_port()
        } else {
            None
        };
        let hosts = with_port
            .filter(|with_port| Some(*with_port) != host)
            .into_iter()
            .chain(host);
        for host in hosts.clone() {
            if let Some(found) = self.hosts.exact.get(host) {
                in_host(found, visit)?;
            }
        }
        if !self.hosts.wildcards.is_empty() {
            for host in hosts {
                let reversed: SmallVec<[u8; HOST_INLINE]> = host.iter().rev().copied().collect();
                for found in self
                    .hosts
                    .wildcards
                    .prefixes_of(&reversed)
                    .into_iter()
                    .rev()
                {
                    in_host(found, visit)?;
                }
            }
        }
        self.any_host.walk(path, None, visit)
    }
}

impl<T> Clone for Routes<T> {
    fn clone(&self) -> Self {
        Self {
            mode: self.mode,
            hosts: self.hosts.clone(),
            any_host: self.any_host.clone(),
            len: self.len,
        }
    }
}

impl<T> fmt::Debug for Routes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes")
            .field("mode", &self.mode)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl<T> Paths<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    fn walk<'r, F, B>(&'r self, path: &[u8], host: Option<&'r str>, visit: &mut F) -> ControlFlow<B>
    where
        F: FnMut(Candidate<'r, T>) -> ControlFlow<B>,
    {
        if let Some(bucket) = self.exact.get(path) {
            for (route, rule) in bucket.iter() {
                visit(Candidate { route, rule, host })?;
            }
        }
        if self.prefixes.is_empty() {
            return ControlFlow::Continue(());
        }
        for bucket in self.prefixes.prefixes_of(path).into_iter().rev() {
            for (route, rule) in bucket.iter() {
                visit(Candidate { route, rule, host })?;
            }
        }
        ControlFlow::Continue(())
    }

    pub(crate) fn insert(&mut self, route: &Arc<Route<T>>) {
        for (index, rule) in (0..).zip(&route.paths) {
            let known = match rule.kind() {
                Kind::Exact => self.exact.get_mut(rule.key()),
                Kind::Prefix | Kind::Tail => self.prefixes.get_mut(rule.key()),
            };
            if let Some(bucket) = known {
                bucket.insert(Arc::clone(route), index);
                continue;
            }
            let bucket = Bucket::new(Arc::clone(route), index);
            match rule.kind() {
                Kind::Exact => self.exact.insert(bucket),
                Kind::Prefix | Kind::Tail => self.prefixes.insert(rule.key(), bucket),
            }
        }
    }

    pub(crate) fn remove(&mut self, route: &Arc<Route<T>>) {
        for (index, rule) in (0..).zip(&route.paths) {
            match rule.kind() {
                Kind::Exact => {
                    if self
                        .exact
                        .get_mut(rule.key())
                        .is_some_and(|bucket| bucket.remove(route, index))
                    {
                        self.exact.remove(rule.key());
                    }
                }
                Kind::Prefix | Kind::Tail => {
                    if self
                        .prefixes
                        .get_mut(rule.key())
                        .is_some_and(|bucket| bucket.remove(route, index))
                    {
                        self.prefixes.remove(rule.key());
                    }
                }
            }
        }
    }
}

impl<T> Clone for Paths<T> {
    fn clone(&self) -> Self {
        Self {
            exact: self.exact.clone(),
            prefixes: self.prefixes.clone(),
        }
    }
}

impl<T> Default for Paths<T> {
    fn default() -> Self {
        Self {
            exact: HashTrie::default(),
            prefixes: PrefixTree::default(),
        }
    }
}

impl<T> Hosts<T> {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty()
    }

    pub(crate) fn insert(&mut self, route: &Arc<Route<T>>) {
        for rule in &route.hosts {
            let key = HostKey::new(rule);
            if let Some(known) = self.get_mut(&key) {
                known.paths.insert(route);
                continue;
            }
            let mut new = HostPaths {
                host: rule.text().into(),
                paths: Paths::default(),
            };
            new.paths.insert(route);
            self.with_port += usize::from(rule.has_port());
            match &key {
                HostKey::Exact(_) => self.exact.insert(new),
                HostKey::Wildcard(reversed) => self.wildcards.insert(reversed, new),
            }
        }
    }

    pub(crate) fn remove(&mut self, route: &Arc<Route<T>>) {
        for rule in &route.hosts {
            let key = HostKey::new(rule);
            let Some(known) = self.get_mut(&key) else {
                continue;
            };
            known.paths.remove(route);
            if !known.paths.is_empty() {
                continue;
            }
            self.with_port -= usize::from(rule.has_port());
            match &key {
                HostKey::Exact(host) => self.exact.remove(host),
                HostKey::Wildcard(reversed) => self.wildcards.remove(reversed),
            }
        }
    }

    fn get_mut(&mut self, key: &HostKey<'_>) -> Option<&mut HostPaths<T>> {
        match key {
            HostKey::Exact(host) => self.exact.get_mut(host),
            HostKey::Wildcard(reversed) => self.wildcards.get_mut(reversed),
        }
    }
}

impl<T> Clone for Hosts<T> {
    fn clone(&self) -> Self {
        Self {
            exact: self.exact.clone(),
            wildcards: self.wildcards.clone(),
            with_port: self.with_port,
        }
    }
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: HashTrie::default(),
            wildcards: PrefixTree::default(),
            with_port: 0,
        }
    }
}

/// Where a host is kept.
enum HostKey<'h> {
    Exact(&'h [u8]),
    /// The reversed suffix.
    Wildcard(Vec<u8>),
}

impl<'h> HostKey<'h> {
    fn new(rule: &'h HostRule) -> Self {
        match rule.suffix() {
            Some(suffix) => Self::Wildcard(suffix.iter().rev().copied().collect()),
            None => Self::Exact(rule.text().as_bytes()),
        }
    }
}

impl<T> Clone for HostPaths<T> {
    fn clone(&self) -> Self {
        Self {
            host: Arc::clone(&self.host),
            paths: self.paths.clone(),
        }
    }
}

impl<T> Keyed for HostPaths<T> {
    fn key(&self) -> &[u8] {
        self.host.as_bytes()
    }
}

/// A host without the port behind it; the colons of an IPv6 address in brackets are not one.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((bare, port)) if !port.contains(']') => bare,
        _ => host,
    }
}
