//! `http-logger`: entries go to an HTTP server, in batches.
//!
//! Phases: `access` (has the request's body kept), `header_filter` (holds the response's), `log`. A worker queues an entry and goes
//! on; the control runtime sends. README.md is the user's page, and lists what differs from the reference
//! (`apisix/plugins/http-logger.lua`).

mod sender;

use std::sync::Arc;

use lockgate_batch::{Processor, Settings};
use lockgate_plugin::{
    About, Access, Compile, ConfigError, Exchange, Flow, HeaderFilter, Hooks, Log, MetadataType,
    Plugin,
};
use serde::Deserialize;

use crate::{
    batching,
    entry::{Broken, Entries, LogMetadata},
};
use sender::HttpSender;

/// The configuration as users write it, without what all loggers have.
#[derive(Debug, Deserialize)]
pub struct Config {
    uri: String,
    auth_header: Option<String>,
    timeout: u64,
    ssl_verify: bool,
    concat_method: Concat,
}

/// How the entries of a batch are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Concat {
    /// As one list.
    Json,
    /// One in a line.
    NewLine,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct HttpLogger {
    entries: Entries,
    processor: Arc<Processor<Vec<u8>>>,
    workers: usize,
}

impl Plugin for HttpLogger {
    const ABOUT: About = About::new("http-logger", 410, include_str!("schema.json"));
    const METADATA: Option<MetadataType> = Some(MetadataType::of::<LogMetadata>());

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let entries = Entries::compile(cx, Broken::Refused)?;
        let settings = Settings::read(cx.config, "http logger");
        // After a reload another processor, which sends through the new client; what the one before holds it sends itself.
        let configuration = cx.node.configuration();
        let identity = format!("{configuration} {} {}", cx.parent.key, cx.config);
        let is_single = settings.batch_max_size == 1;
        let processor =
            batching::processors(cx.node).get(Self::ABOUT.name, &identity, settings, || {
                HttpSender::new(&config, is_single, cx.node)
            })?;
        Ok(Self {
            entries,
            processor,
            workers: cx.node.workers(),
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

impl Access for HttpLogger {
    fn access(&self, ex: &mut Exchange<'_>) -> Flow {
        self.entries.keep_request_body(ex);
        Flow::Next
    }
}

impl HeaderFilter for HttpLogger {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        self.entries.hold_response_body(ex);
    }
}

impl Log for HttpLogger {
    fn log(&self, ex: &mut Exchange<'_>) {
        let entry = self.entries.entry(ex, Some("no-matched"));
        batching::push(&self.processor, &self.entries, self.workers, entry, ex);
    }
}

#[cfg(test)]
mod tests;
