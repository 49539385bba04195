//! What a plugin is.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Compile, ConfigError, CredentialType, Endpoint, Hooks, MetadataType, Node, compile};

/// A plugin: one configuration of it, compiled.
///
/// The type is the compiled configuration; one is made for every object that configures the plugin, and shared by all workers.
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What is fixed about the plugin.
    const ABOUT: About;

    /// The credentials that consumers have for it; authentication plugins have some.
    const CREDENTIAL: Option<CredentialType> = None;

    /// Its plugin metadata (`/apisix/admin/plugin_metadata/<name>`), where it reads any.
    const METADATA: Option<MetadataType> = None;

    /// What the schema cannot say of a configuration. The Admin API asks before it stores one, so that its author is told at once, and
    /// compiling asks again. It looks at the configuration alone, and must take references to secrets (`$secret://…`) for the values
    /// that they stand for: they are not resolved when the Admin API asks.
    const CHECK: Option<Check<Self::Config>> = None;

    /// What it serves through the `public-api` plugin and the gateway's own ports.
    ///
    /// Asked for by each configuration, and again whenever other plugins are switched on; the answer takes the place of the one before,
    /// while requests may still be at that. What must outlive it lies in [`Node::shared`], or [`Node::shared_until_reload`].
    const ENDPOINTS: Option<fn(&Node) -> Vec<Endpoint>> = None;

    /// The configuration as users write it, with the defaults of the schema filled in: plain data. What the schema requires or gives
    /// a default needs none here.
    type Config: DeserializeOwned;

    /// Compiles a configuration. All parsing happens here, none in hooks. It may run again for the same configuration, when something
    /// that it asked for changes; what was compiled before serves requests until then.
    ///
    /// # Errors
    /// The configuration cannot be honoured; the object that holds it is not put in force.
    fn compile(config: Self::Config, cx: &Compile<'_>) -> Result<Self, ConfigError>;

    /// Names the hooks: `on.access(self.clone()); on.log(self);`. A hook that is not named here does not run.
    fn hooks(self: Arc<Self>, on: &mut Hooks);
}

/// Says what is wrong with a configuration, in one sentence for whoever wrote it.
pub type Check<C> = fn(&C) -> Result<(), ConfigError>;

/// What is fixed about a plugin.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The name in configurations, such as `key-auth`.
    pub name: &'static str,
    /// Plugins of higher priority run first.
    pub priority: i32,
    /// Whether it authenticates.
    pub kind: Kind,
    /// Version, priority, type and schemas as the Admin API publishes them: the text of the plugin's `schema.json`.
    pub record: &'static str,
    /// Of a global rule, does not run where the route configures the plugin too (`run_policy = "prefer_route"`).
    pub prefers_route: bool,
}

/// Whether a plugin authenticates consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It does not.
    Plain,
    /// It does (`type = "auth"`): its `rewrite` hook attaches the consumer, and consumers hold credentials for it.
    Auth,
}

impl About {
    /// A plugin that does not authenticate. `record` is its `schema.json`, included.
    pub const fn new(name: &'static str, priority: i32, record: &'static str) -> Self {
        Self {
            name,
            priority,
            kind: Kind::Plain,
            record,
            prefers_route: false,
        }
    }

    /// The same, of a plugin that authenticates.
    #[must_use]
    pub const fn auth(self) -> Self {
        Self {
            kind: Kind::Auth,
            ..self
        }
    }

    /// The same, of a plugin that leaves requests to the route's own configuration of it where there is one.
    #[must_use]
    pub const fn prefers_route(self) -> Self {
        Self {
            prefers_route: true,
            ..self
        }
    }
}

/// A plugin without its type: what lists of plugins are made of.
#[derive(Clone, Copy)]
pub struct Descriptor {
    /// What is fixed about the plugin.
    pub about: &'static About,
    /// The credentials of its consumers.
    pub credential: Option<CredentialType>,
    /// Its metadata.
    pub metadata: Option<MetadataType>,
    /// What it serves.
    pub endpoints: Option<fn(&Node) -> Vec<Endpoint>>,
    check: Option<Check<Value>>,
    compile: fn(&Value, &Compile<'_>) -> Result<Hooks, ConfigError>,
}

impl std::fmt::Debug for Descriptor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_tuple("Descriptor")
            .field(&self.about.name)
            .finish()
    }
}

impl Descriptor {
    /// Describes a plugin.
    pub const fn of<P: Plugin>() -> Self {
        Self {
            about: const { &P::ABOUT },
            credential: P::CREDENTIAL,
            metadata: P::METADATA,
            endpoints: P::ENDPOINTS,
            check: if P::CHECK.is_some() {
                Some(|config| check::<P>(&compile::parse(config)?))
            } else {
                None
            },
            compile: |config, cx| {
                let config = compile::parse(config)?;
                check::<P>(&config)?;
                let mut hooks = Hooks::default();
                Arc::new(P::compile(config, cx)?).hooks(&mut hooks);
                Ok(hooks)
            },
        }
    }

    /// Checks what the schema cannot say of a configuration that has the defaults of the schema.
    ///
    /// # Errors
    /// One sentence for whoever wrote it.
    pub fn check(&self, config: &Value) -> Result<(), ConfigError> {
        self.check.map_or(Ok(()), |check| check(config))
    }

    /// Compiles a configuration and names its hooks.
    ///
    /// # Errors
    /// The configuration cannot be honoured.
    pub fn compile(&self, config: &Value, cx: &Compile<'_>) -> Result<Hooks, ConfigError> {
        (self.compile)(config, cx)
    }
}

fn check<P: Plugin>(config: &P::Config) -> Result<(), ConfigError> {
    P::CHECK.map_or(Ok(()), |check| check(config))
}
