//! The hooks that a plugin may have, one trait per phase, in the order in which phases run.
//!
//! Two forms exist. The plain one never waits and costs one virtual call; most plugins need no other. The waiting one
//! (`…Async`) is for what has to ask somebody; its future is boxed, which costs an allocation per request.
//!
//! What every plugin can count on, and must put up with:
//!
//! - The hooks of a request run one after the other on the thread of its worker, all of them on the instance that was in force when the
//!   request came.
//! - A waiting hook may be dropped while it waits: when its client leaves, or the process ends. What must happen whatever comes is done in
//!   a `Drop`. It bounds its own waits.
//! - `rewrite` and `access` run once. `before_proxy` runs for each attempt at a node. `header_filter` runs for each response that is about
//!   to be sent: once more where the upstream's turns out to be none and the gateway answers in its place. `log` runs once for a request
//!   whose route was looked for, also when the client is gone.
//! - A hook may run without those before it: another plugin's answer ends a phase, and later plugins see only the response and the log.
//! - Work that goes on beside requests belongs to a value in an `Arc` that the plugin holds, made in `compile`; hooks get `&self` and clone
//!   that.

use std::sync::Arc;

use crate::{Exchange, Flow, LocalFuture};

/// `rewrite`: before anything is decided. Authentication happens here.
pub trait Rewrite: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// [`Rewrite`] that may wait.
#[expect(
    async_fn_in_trait,
    reason = "futures stay on the thread of their worker and need not be Send"
)]
pub trait RewriteAsync: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    async fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// `access`: who asked is known. Limits and permissions are checked here.
pub trait Access: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    fn access(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// [`Access`] that may wait.
#[expect(
    async_fn_in_trait,
    reason = "futures stay on the thread of their worker and need not be Send"
)]
pub trait AccessAsync: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    async fn access(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// `before_proxy`: the upstream and its first node have been chosen.
pub trait BeforeProxy: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    fn before_proxy(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// [`BeforeProxy`] that may wait.
#[expect(
    async_fn_in_trait,
    reason = "futures stay on the thread of their worker and need not be Send"
)]
pub trait BeforeProxyAsync: Send + Sync + 'static {
    /// Looks at the request, changes it or answers it.
    async fn before_proxy(&self, ex: &mut Exchange<'_>) -> Flow;
}

/// `header_filter`: the head of the response is known, whoever made it. A plugin that wants to see or change the body says so
/// here ([`Exchange::filter_body`]); for one that does not, bodies are passed on untouched.
pub trait HeaderFilter: Send + Sync + 'static {
    /// Looks at the head of the response or changes it.
    fn header_filter(&self, ex: &mut Exchange<'_>);
}

/// `log`: the response has been sent, or the client is gone.
pub trait Log: Send + Sync + 'static {
    /// Takes note of the exchange.
    fn log(&self, ex: &mut Exchange<'_>);
}

/// A hook that may answer.
#[derive(Clone)]
pub(crate) enum Answering {
    Plain(Arc<dyn Plain>),
    Waiting(Arc<dyn Waiting>),
}

/// A hook that may not.
pub(crate) type Noting = Arc<dyn Note>;

pub(crate) trait Plain: Send + Sync {
    fn call(&self, ex: &mut Exchange<'_>) -> Flow;
}

pub(crate) trait Waiting: Send + Sync {
    fn call<'a>(&'a self, ex: &'a mut Exchange<'_>) -> LocalFuture<'a, Flow>;
}

pub(crate) trait Note: Send + Sync {
    fn call(&self, ex: &mut Exchange<'_>);
}

/// Gives the hooks of each phase, which differ in name alone, one type.
macro_rules! adapt {
    ($($adapter:ident: $hook:ident::$method:ident => plain;)*) => {$(
        struct $adapter<P>(Arc<P>);
        impl<P: $hook> Plain for $adapter<P> {
            fn call(&self, ex: &mut Exchange<'_>) -> Flow {
                self.0.$method(ex)
            }
        }
    )*};
    ($($adapter:ident: $hook:ident::$method:ident => waiting;)*) => {$(
        struct $adapter<P>(Arc<P>);
        impl<P: $hook> Waiting for $adapter<P> {
            fn call<'a>(&'a self, ex: &'a mut Exchange<'_>) -> LocalFuture<'a, Flow> {
                Box::pin(self.0.$method(ex))
            }
        }
    )*};
    ($($adapter:ident: $hook:ident::$method:ident => note;)*) => {$(
        struct $adapter<P>(Arc<P>);
        impl<P: $hook> Note for $adapter<P> {
            fn call(&self, ex: &mut Exchange<'_>) {
                self.0.$method(ex);
            }
        }
    )*};
}

adapt! {
    OnRewrite: Rewrite::rewrite => plain;
    OnAccess: Access::access => plain;
    OnBeforeProxy: BeforeProxy::before_proxy => plain;
}
adapt! {
    OnRewriteAsync: RewriteAsync::rewrite => waiting;
    OnAccessAsync: AccessAsync::access => waiting;
    OnBeforeProxyAsync: BeforeProxyAsync::before_proxy => waiting;
}
adapt! {
    OnHeaderFilter: HeaderFilter::header_filter => note;
    OnLog: Log::log => note;
}

/// The hooks of a plugin, one at most per phase.
#[derive(Clone, Default)]
pub struct Hooks {
    pub(crate) rewrite: Option<Answering>,
    pub(crate) access: Option<Answering>,
    pub(crate) before_proxy: Option<Answering>,
    pub(crate) header_filter: Option<Noting>,
    pub(crate) log: Option<Noting>,
    /// Whether bodies are filtered, for the debug header alone.
    pub(crate) filters_body: bool,
}

impl Hooks {
    /// Runs in `rewrite`.
    pub fn rewrite<P: Rewrite>(&mut self, plugin: Arc<P>) {
        self.rewrite = Some(Answering::Plain(Arc::new(OnRewrite(plugin))));
    }

    /// Runs in `rewrite` and may wait.
    pub fn rewrite_async<P: RewriteAsync>(&mut self, plugin: Arc<P>) {
        self.rewrite = Some(Answering::Waiting(Arc::new(OnRewriteAsync(plugin))));
    }

    /// Runs in `access`.
    pub fn access<P: Access>(&mut self, plugin: Arc<P>) {
        self.access = Some(Answering::Plain(Arc::new(OnAccess(plugin))));
    }

    /// Runs in `access` and may wait.
    pub fn access_async<P: AccessAsync>(&mut self, plugin: Arc<P>) {
        self.access = Some(Answering::Waiting(Arc::new(OnAccessAsync(plugin))));
    }

    /// Runs in `before_proxy`.
    pub fn before_proxy<P: BeforeProxy>(&mut self, plugin: Arc<P>) {
        self.before_proxy = Some(Answering::Plain(Arc::new(OnBeforeProxy(plugin))));
    }

    /// Runs in `before_proxy` and may wait.
    pub fn before_proxy_async<P: BeforeProxyAsync>(&mut self, plugin: Arc<P>) {
        self.before_proxy = Some(Answering::Waiting(Arc::new(OnBeforeProxyAsync(plugin))));
    }

    /// Runs in `header_filter`.
    pub fn header_filter<P: HeaderFilter>(&mut self, plugin: Arc<P>) {
        self.header_filter = Some(Arc::new(OnHeaderFilter(plugin)));
    }

    /// Runs in `log`.
    pub fn log<P: Log>(&mut self, plugin: Arc<P>) {
        self.log = Some(Arc::new(OnLog(plugin)));
    }

    /// Says, for the debug header, that the `header_filter` hook asks for bodies.
    pub fn body_filter(&mut self) {
        self.filters_body = true;
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rewrite.is_none()
            && self.access.is_none()
            && self.before_proxy.is_none()
            && self.header_filter.is_none()
            && self.log.is_none()
    }

    /// The phases that have one, by the reference's names, in the order in which they run.
    pub fn phases(&self) -> impl Iterator<Item = &'static str> {
        [
            ("rewrite", self.rewrite.is_some()),
            ("access", self.access.is_some()),
            ("before_proxy", self.before_proxy.is_some()),
            ("header_filter", self.header_filter.is_some()),
            ("body_filter", self.filters_body),
            ("log", self.log.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_list().entries(self.phases()).finish()
    }
}
