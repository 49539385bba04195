//! Requests and routes with defaults.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use lockgate_expr::{Expr, Lookup, Variable};
use lockgate_router::{Methods, Request, RouteSpec};
use serde_json::Value;

/// A request; its only variables are one argument and the host field.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) remote_addr: IpAddr,
    /// `arg_k`.
    pub(crate) k: Option<&'static str>,
}

/// A GET of `url`, which is a host and a path, or a path alone.
pub(crate) fn get(url: &str) -> Get {
    let (host, path) = url.split_at(url.find('/').expect("a test's URL has a path"));
    Get {
        path: path.to_owned(),
        host: (!host.is_empty()).then(|| host.to_owned()),
        method: "GET",
        remote_addr: IpAddr::from([127, 0, 0, 1]),
        k: None,
    }
}

impl Lookup for Get {
    fn lookup<'a>(&'a self, variable: &Variable) -> Option<Cow<'a, [u8]>> {
        match variable {
            Variable::Arg(name) if &**name == "k" => self.k.map(|k| Cow::Borrowed(k.as_bytes())),
            Variable::Uri => Some(Cow::Borrowed(self.path.as_bytes())),
            _ => None,
        }
    }
}

impl Request for Get {
    fn path(&self) -> &[u8] {
        self.path.as_bytes()
    }

    fn host(&self) -> Option<&[u8]> {
        let host = self.host.as_deref()?;
        Some(
            host.rsplit_once(':')
                .map_or(host, |(host, _)| host)
                .as_bytes(),
        )
    }

    fn host_with_port(&self) -> Option<&[u8]> {
        self.host.as_deref().map(str::as_bytes)
    }

    fn method(&self) -> Methods {
        Methods::of(self.method.as_bytes())
    }

    fn remote_addr(&self) -> Option<IpAddr> {
        Some(self.remote_addr)
    }
}

pub(crate) type Spec = RouteSpec<u32>;

/// A route on one path; its value is its number, which is its id, too.
pub(crate) fn route(number: u32, path: &str) -> Spec {
    RouteSpec::new(number.to_string(), path, number)
}

/// Conditions of a test's route, each returning the route.
pub(crate) trait With: Sized {
    fn host(self, host: &str) -> Self;
    fn path(self, path: &str) -> Self;
    fn priority(self, priority: i64) -> Self;
    fn method(self, method: &str) -> Self;
    fn remote_addr(self, address: &str) -> Self;
    fn vars(self, vars: Value) -> Self;
}

impl With for Spec {
    fn host(mut self, host: &str) -> Self {
        self.hosts.push(host.to_owned());
        self
    }

    fn path(mut self, path: &str) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    fn priority(mut self, priority: i64) -> Self {
        self.priority = priority;
        self
    }

    fn method(mut self, method: &str) -> Self {
        self.methods = self.methods | Methods::of(method.as_bytes());
        self
    }

    fn remote_addr(mut self, address: &str) -> Self {
        self.remote_addrs.push(address.to_owned());
        self
    }

    fn vars(mut self, vars: Value) -> Self {
        self.vars = Some(Arc::new(
            Expr::compile(&vars).expect("a test's expression compiles"),
        ));
        self
    }
}
