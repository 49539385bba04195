//! What loggers have in common: a logger says whom entries go to, and [`Logging`] makes a plugin of it; one that sends in batches says
//! how a batch is sent, and [`Batched`] makes a logger of it.
//!
//! Phases: `access` (has the request's body kept), `header_filter` (holds the response's), `log`.

use std::{marker::PhantomData, sync::Arc};

use lockgate_batch::{Processor, Sender, Settings};
use lockgate_plugin::{
    About, Access, Compile, ConfigError, Exchange, Flow, HeaderFilter, Hooks, Log, MetadataType,
    Plugin,
};
use serde::de::DeserializeOwned;

use crate::{
    batching,
    entry::{Broken, Entries, LogMetadata},
};

/// Whom entries go to, by one configuration.
pub(crate) trait Logger: Sized + Send + Sync + 'static {
    /// What is fixed about the plugin.
    const ABOUT: About;

    /// What becomes of a configuration whose expressions about bodies are none.
    const BROKEN: Broken;

    /// The configuration as users write it, without what all loggers have.
    type Config: DeserializeOwned;

    /// Compiles a configuration.
    ///
    /// # Errors
    /// It cannot be honoured.
    fn compile(config: Self::Config, cx: &Compile<'_>) -> Result<Self, ConfigError>;

    /// Takes note of an exchange that has ended.
    fn log(&self, entries: &Entries, ex: &mut Exchange<'_>);
}

/// A logger as a plugin.
#[derive(Debug)]
pub(crate) struct Logging<L> {
    entries: Entries,
    logger: L,
}

impl<L: Logger> Plugin for Logging<L> {
    const ABOUT: About = L::ABOUT;
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<LogMetadata>());

    type Config = L::Config;

    fn compile(config: L::Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            entries: Entries::compile(cx, L::BROKEN)?,
            logger: L::compile(config, cx)?,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.access(self.clone());
        if self.entries.has_response_body() {
            on.header_filter(self.clone());
        }
        on.body_filter();
        on.log(self);
    }
}

impl<L: Logger> Access for Logging<L> {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        self.entries.keep_request_body(ex);
        Flow::Next
    }
}

impl<L: Logger> HeaderFilter for Logging<L> {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        self.entries.hold_response_body(ex);
    }
}

impl<L: Logger> Log for Logging<L> {
    fn log(&self, ex: &mut Exchange<'_>) {
        self.logger.log(&self.entries, ex);
    }
}

/// How batches of a logger are sent.
pub(crate) trait BatchSender: Sender<Vec<u8>> + Sized {
    /// What is fixed about the plugin.
    const ABOUT: About;

    /// What the plugin is called in logs and metrics, such as `http logger`.
    const NAME: &'static str;

    /// What becomes of a configuration whose expressions about bodies are none.
    const BROKEN: Broken = Broken::Refused;

    /// The configuration as users write it, without what all loggers have.
    type Config: DeserializeOwned;

    /// A sender for a configuration. `is_single`: batches have one entry.
    ///
    /// # Errors
    /// The configuration cannot be honoured.
    fn new(config: &Self::Config, is_single: bool, cx: &Compile<'_>) -> Result<Self, ConfigError>;
}

/// A logger that sends in batches. A worker queues an entry and goes on; the control runtime sends.
#[derive(Debug)]
pub(crate) struct Batched<S> {
    processor: Arc<Processor<Vec<u8>>>,
    workers: usize,
    sender: PhantomData<fn() -> S>,
}

impl<S: BatchSender> Logger for Batched<S> {
    const ABOUT: About = S::ABOUT;
    const BROKEN: Broken = S::BROKEN;

    type Config = S::Config;

    fn compile(config: S::Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let settings = Settings::read(cx.config, S::NAME);
        // After a reload another processor, which sends through the new client; what the one before holds it sends itself.
        let configuration = cx.node.configuration();
        let identity = format!("{configuration} {} {}", cx.parent.key, cx.config);
        let is_single = settings.batch_max_size == 1;
        let processor =
            batching::processors(cx.node).get(S::ABOUT.name, &identity, settings, || {
                S::new(&config, is_single, cx)
            })?;
        Ok(Self {
            processor,
            workers: cx.node.workers(),
            sender: PhantomData,
        })
    }

    fn log(&self, entries: &Entries, ex: &mut Exchange<'_>) {
        let entry = entries.entry(ex, Some("no-matched"));
        batching::push(&self.processor, entries, self.workers, entry, ex);
    }
}
