//! The plugin API: everything that a plugin is written against.
//!
//! A plugin implements [`Plugin`]: what is fixed about it ([`About`]), its configuration type, how a configuration is compiled, and
//! which hooks it has. A hook is a method of one of the small traits in `hooks.rs`; it gets an [`Exchange`], the request and its
//! response as plugins see them, and hooks that may answer return a [`Flow`]. One line in the list of its family
//! (`plugins/<family>/src/lib.rs`) makes a plugin known: `Descriptor::of::<key_auth::KeyAuth>()`.
//!
//! Nothing here knows the data plane. What it and the compiler of snapshots use is in [`host`]: the proxy implements [`host::Host`] for
//! its requests, [`testing`] for requests without sockets; configurations become [`host::Instance`]s and those [`Chain`]s.
//!
//! Read next: `plugin.rs`, `exchange.rs`, `chain.rs`; `docs/plugin-development.md` has a worked example.

mod chain;
mod compile;
mod consumer;
mod endpoint;
mod exchange;
mod filter;
mod hooks;
pub mod host;
mod instance;
mod limits;
mod metadata;
mod node;
mod plugin;
mod rate_limiting;
mod reply;
mod state;
pub mod testing;

pub use bytes::Bytes;
pub use chain::{Chain, Phase};
pub use compile::{Compile, CompileHost, ConfigError, Parent};
pub use consumer::{Consumer, Consumers, Credential, CredentialType, Removed, Secret};
pub use endpoint::{Endpoint, EndpointRequest, Handler};
pub use exchange::{BodyError, Exchange, RouteFacts, Timing};
pub use filter::{BodyFilter, Filtered};
pub use hooks::{
    Access, AccessAsync, BeforeProxy, BeforeProxyAsync, HeaderFilter, Hooks, Log, Rewrite,
    RewriteAsync,
};
pub use instance::PluginSet;
pub use lockgate_http::field::{FieldName, InvalidFieldName};
pub use metadata::{Metadata, MetadataHandle, MetadataType};
pub use node::{Endpoints, LogReopens, Making, Node, NodeOptions};
pub use plugin::{About, Check, Descriptor, Kind, Plugin};
pub use rate_limiting::RateLimiting;
pub use reply::{Body, BodyStream, Flow, Reply, StreamError};
pub use state::Destination;

use std::{future::Future, pin::Pin};

/// A future that stays on the thread of its worker.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A future that may go on on another thread.
pub type SendFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/plugin-development.md")]
struct Guide;
