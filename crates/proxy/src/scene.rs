//! Where a request is served: on which connection, by which route, with which plugins.

use lockgate_plugin::{Chain, host::Phase};
use lockgate_snapshot::{Snapshot, Target};

use crate::{client::Client, request::Matched, worker::Worker};

/// Everything about a request that is not the request's own.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// Who serves it.
    pub(crate) worker: &'a Worker,
    /// Who sent it.
    pub(crate) client: &'a Client,
    /// The route that it takes.
    pub(crate) matched: Option<Matched<'a>>,
    /// The plugins that run on every request.
    pub(crate) global: Option<&'a Chain>,
    /// The plugins of the route, or of the route and the consumer.
    pub(crate) chain: Option<&'a Chain>,
}

impl<'a> Scene<'a> {
    /// Before anything is known: no plugin runs.
    pub(crate) fn bare(worker: &'a Worker, client: &'a Client) -> Self {
        Self {
            worker,
            client,
            matched: None,
            global: None,
            chain: None,
        }
    }

    /// With what a snapshot says of the request.
    #[inline]
    pub(crate) fn new(
        worker: &'a Worker,
        client: &'a Client,
        snapshot: &'a Snapshot,
        matched: Option<Matched<'a>>,
    ) -> Self {
        Self {
            worker,
            client,
            matched,
            global: snapshot.global.as_deref(),
            chain: matched
                .filter(|matched| !is_dead_end(&matched.value().target))
                .and_then(|matched| matched.value().chain.as_deref()),
        }
    }

    /// Whether any plugin runs.
    #[inline]
    pub(crate) fn has_plugins(&self) -> bool {
        self.global.is_some() || self.chain.is_some()
    }

    /// Both chains, in the order in which they run, and the one beside the global rules.
    #[inline]
    pub(crate) fn chains(&self) -> impl Iterator<Item = (&'a Chain, Option<&'a Chain>)> + use<'a> {
        let global = self.global.map(|chain| (chain, self.chain));
        global
            .into_iter()
            .chain(self.chain.map(|chain| (chain, None)))
    }

    /// Whether a plugin has something to do in a phase.
    #[inline]
    pub(crate) fn runs(&self, phase: Phase) -> bool {
        self.chains().any(|(chain, _)| chain.runs(phase))
    }

    /// Whether a plugin looks at heads of responses.
    #[inline]
    pub(crate) fn filters_head(&self) -> bool {
        self.chains().any(|(chain, _)| chain.filters_head())
    }

    /// Whether a plugin takes note of exchanges that have ended.
    #[inline]
    pub(crate) fn logs(&self) -> bool {
        self.chains().any(|(chain, _)| chain.logs())
    }
}

/// Whether a route cannot be put together: no plugin of its own runs on such requests.
fn is_dead_end(target: &Target) -> bool {
    matches!(target, Target::NoService | Target::NoPluginConfig)
}
