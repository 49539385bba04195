//! A route: as it is described to the table, and as the table keeps it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use lockgate_expr::{AddressError, Expr, IpSet, Lookup, PartialLookup, Value, Variable};
use smallvec::SmallVec;

use crate::host::HostRule;
use crate::path::{Params, PathRule};
use crate::{Methods, Request};

/// How hosts and paths take part: `apisix.router.http` in config.yaml.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `radixtree_host_uri`: the host decides first, then the path. The default.
    #[default]
    HostUri,
    /// `radixtree_uri`: the path decides; hosts are a condition among others.
    Uri,
    /// `radixtree_uri_with_parameter`: as [`Self::Uri`], and `:name` in a path is a parameter.
    UriWithParameter,
}

impl Mode {
    /// The mode of this name in config.yaml.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "radixtree_host_uri" => Some(Self::HostUri),
            "radixtree_uri" => Some(Self::Uri),
            "radixtree_uri_with_parameter" => Some(Self::UriWithParameter),
            _ => None,
        }
    }
}

/// The description of a route.
#[derive(Debug, Clone)]
pub struct RouteSpec<T> {
    /// Unique in a table.
    pub id: String,
    /// Hosts as configured, of the route or of its service; empty for any host.
    pub hosts: Vec<String>,
    /// Paths as configured. A route without a path is never found.
    pub paths: Vec<String>,
    /// Empty for any method.
    pub methods: Methods,
    /// Addresses and networks of clients; empty for any.
    pub remote_addrs: Vec<String>,
    /// Further condition.
    pub vars: Option<Arc<Expr>>,
    /// The higher comes first, among routes on the same path. Default 0.
    pub priority: i64,
    /// When the route came to be, on any scale: among routes that are alike otherwise the earlier comes first. Those of the
    /// same moment are taken in the order of their first insertion.
    pub created: u64,
    /// What the route stands for.
    pub value: T,
}

impl<T> RouteSpec<T> {
    /// A route on one path without further conditions.
    pub fn new(id: impl Into<String>, path: impl Into<String>, value: T) -> Self {
        Self {
            id: id.into(),
            hosts: Vec::new(),
            paths: vec![path.into()],
            methods: Methods::NONE,
            remote_addrs: Vec::new(),
            vars: None,
            priority: 0,
            created: 0,
            value,
        }
    }

    /// The same for something else that it stands for.
    pub fn with_value<U>(self, value: U) -> RouteSpec<U> {
        RouteSpec {
            id: self.id,
            hosts: self.hosts,
            paths: self.paths,
            methods: self.methods,
            remote_addrs: self.remote_addrs,
            vars: self.vars,
            priority: self.priority,
            created: self.created,
            value,
        }
    }
}

/// Why a route cannot be put into a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// One of `remote_addrs` is no address.
    #[error("read the client addresses of route {id}")]
    RemoteAddress {
        /// Of the route.
        id: String,
        /// What is wrong.
        source: AddressError,
    },
}

/// A route, compiled.
pub(crate) struct Route<T> {
    pub(crate) id: Box<str>,
    pub(crate) priority: i64,
    /// As told by the route's owner.
    pub(crate) created: u64,
    /// Position among all routes of the table, by when the id was first inserted.
    pub(crate) sequence: u64,
    pub(crate) paths: SmallVec<[PathRule; 1]>,
    pub(crate) hosts: Box<[HostRule]>,
    pub(crate) remote_addrs: Option<Box<IpSet>>,
    pub(crate) vars: Option<Arc<Expr>>,
    pub(crate) methods: Methods,
    pub(crate) value: T,
}

impl<T> Route<T> {
    pub(crate) fn new(spec: RouteSpec<T>, sequence: u64, mode: Mode) -> Result<Self, RouteError> {
        let remote_addrs = if spec.remote_addrs.is_empty() {
            None
        } else {
            match IpSet::parse(spec.remote_addrs.iter().map(String::as_str)) {
                Ok(set) => Some(Box::new(set)),
                Err(source) => {
                    return Err(RouteError::RemoteAddress {
                        id: spec.id,
                        source,
                    });
                }
            }
        };
        let mut paths: SmallVec<[PathRule; 1]> = SmallVec::new();
        for text in &spec.paths {
            if paths.iter().all(|known| known.text() != text) {
                paths.push(PathRule::new(text, mode));
            }
        }
        let mut hosts: Vec<HostRule> = Vec::new();
        for text in &spec.hosts {
            let host = HostRule::new(text);
            if hosts.iter().all(|known| known.text() != host.text()) {
                hosts.push(host);
            }
        }
        Ok(Self {
            id: spec.id.into_boxed_str(),
            priority: spec.priority,
            created: spec.created,
            sequence,
            paths,
            hosts: hosts.into_boxed_slice(),
            remote_addrs,
            vars: spec.vars,
            methods: spec.methods,
            value: spec.value,
        })
    }

    /// Whether the conditions hold that are neither host nor key of the path. `rule` is one of this route's paths; fills in `params`.
    #[inline]
    pub(crate) fn accepts<R: Request + ?Sized>(
        &self,
        rule: &PathRule,
        request: &R,
        params: &mut Params,
    ) -> bool {
        self.takes_method(request)
            && self.takes_remote_addr(request)
            && rule.fits(request.path(), params)
            && match &self.vars {
                None => true,
                Some(vars) if params.is_empty() => vars.eval(request),
                Some(vars) => vars.eval(&WithParams::new(request, rule, params)),
            }
    }

    #[inline]
    pub(crate) fn takes_method<R: Request + ?Sized>(&self, request: &R) -> bool {
        self.methods.is_empty() || self.methods.intersects(request.method())
    }

    #[inline]
    pub(crate) fn takes_remote_addr<R: Request + ?Sized>(&self, request: &R) -> bool {
        self.remote_addrs.as_ref().is_none_or(|set| {
            request
                .remote_addr()
                .is_some_and(|address| set.contains(address))
        })
    }

    /// The first of the route's hosts that the request's host is.
    pub(crate) fn matching_host<R: Request + ?Sized>(&self, request: &R) -> Option<&HostRule> {
        self.hosts.iter().find(|rule| {
            let host = if rule.has_port() {
                request.host_with_port()
            } else {
                request.host()
            };
            host.is_some_and(|host| rule.is_match(host))
        })
    }
}

impl<T> fmt::Debug for Route<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("id", &self.id)
            .field("paths", &self.paths)
            .finish_non_exhaustive()
    }
}

/// A request that knows the parameters of the path that is being tried, so that `vars` may use `uri_param_name`.
pub(crate) struct WithParams<'a, R: ?Sized> {
    request: &'a R,
    rule: &'a PathRule,
    params: &'a Params,
}

impl<'a, R: ?Sized> WithParams<'a, R> {
    #[inline]
    pub(crate) fn new(request: &'a R, rule: &'a PathRule, params: &'a Params) -> Self {
        Self {
            request,
            rule,
            params,
        }
    }
}

impl<R: Request + PartialLookup + ?Sized> PartialLookup for WithParams<'_, R> {
    fn is_known(&self, variable: &Variable) -> bool {
        matches!(variable, Variable::UriParam(_)) || self.request.is_known(variable)
    }
}

impl<R: Request + ?Sized> Lookup for WithParams<'_, R> {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        match variable {
            Variable::UriParam(name) => self
                .rule
                .param(self.request.path(), self.params, name)
                .map(Cow::Borrowed),
            _ => self.request.lookup(variable),
        }
    }

    fn value<'a>(&'a self, variable: &Variable) -> Option<Value<'a>> {
        match variable {
            Variable::UriParam(_) => self.lookup(variable).map(Value::Text),
            _ => self.request.value(variable),
        }
    }
}
