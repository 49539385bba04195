//! An upstream between being compiled and being used.
//!
//! Objects can have several upstreams, and are taken as a whole or not at all. What is known of the nodes of an upstream belongs to
//! the one that is in force, and is handed over when its successor is sure to follow. How it is compiled says `compile.rs`.

use std::sync::Arc;

use lockgate_discovery::Subscription;
use tokio::sync::watch;

use crate::{
    Compiled, Upstream, Warning,
    health::{Checker, Settings},
    node::Common,
    refresh::{self, Lookup},
};

/// An upstream that is compiled. Until it is put in force the one before goes on with its checks; if it is dropped, nothing happens.
#[must_use = "nothing keeps the nodes current until it is put in force"]
#[derive(Debug)]
pub struct Prepared {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) common: Common,
    /// The health checks it shall have.
    pub(crate) checks: Option<Settings>,
    /// Those of the one before.
    pub(crate) checker_before: Option<Arc<Checker>>,
    pub(crate) following: Option<Following>,
}

/// How nodes are followed that change without an edit.
#[derive(Debug)]
pub(crate) struct Following {
    pub(crate) lookup: Lookup,
    pub(crate) subscription: Option<Subscription>,
    pub(crate) done: watch::Sender<bool>,
}

impl Prepared {
    /// The upstream: for what will use it, which must not serve before it is put in force.
    pub fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// Lets it follow the one before: health checks go on with its settings and its nodes, begin anew or end, and its nodes are kept
    /// current from now on.
    pub fn put_in_force(self) -> Compiled {
        let Self {
            upstream,
            warnings,
            mut common,
            checks,
            checker_before,
            following,
        } = self;
        let registry = &common.plan.registry;
        if let Some(settings) = checks {
            let before = checker_before.as_ref();
            let checking = registry.checker(&common.plan.key, settings, before);
            // Both are set here alone.
            let _unset = upstream.checker.set(checking.checker.clone());
            common.checking = Some(checking);
            common.check(&upstream.nodes());
        } else if let Some(before) = checker_before {
            before.retire();
        }
        if let Some(Following {
            lookup,
            subscription,
            done,
        }) = following
        {
            refresh::start(&upstream, common, lookup, subscription, done);
        }
        Compiled { upstream, warnings }
    }
}
