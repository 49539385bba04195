//! Entries of logs: what a request and its response look like in one, in the default form or in the users' own.
//!
//! Loggers share this: `log_format` and `log_format_extra` of a plugin's configuration and of its metadata, bodies, and the default
//! entry (`apisix/utils/log-util.lua`). An entry is written as JSON at once; whom it goes to is none of its business.
//!
//! Read next: [`Entries`]; `full.rs` has the default entry, `format.rs` the users' own, `bodies.rs` the bodies.

mod bodies;
mod format;
mod full;
mod json;

use std::sync::Arc;

use lockgate_plugin::{Compile, ConfigError, Exchange, Metadata, MetadataHandle};
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) use bodies::Broken;
use bodies::{Holding, Logged};
use format::Format;
use json::Object;

/// Metadata of loggers as users write it.
#[derive(Debug, Deserialize)]
pub struct LogMetadataConfig {
    log_format: Option<Map<String, Value>>,
    log_format_extra: Option<Map<String, Value>>,
    max_pending_entries: Option<u64>,
    path: Option<String>,
}

/// What metadata of loggers say.
#[derive(Debug, Default)]
pub struct LogMetadata {
    format: Option<Format>,
    extra: Option<Format>,
    /// `max_pending_entries`, of each worker.
    pub(crate) max_pending_entries: Option<usize>,
    /// `path` of `file-logger`.
    pub(crate) path: Option<Arc<str>>,
}

impl Metadata for LogMetadata {
    type Config = LogMetadataConfig;

    fn compile(config: LogMetadataConfig, _: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            // One without members is none.
            format: config
                .log_format
                .as_ref()
                .map(Format::compile)
                .filter(|format| !format.is_empty()),
            extra: config.log_format_extra.as_ref().map(Format::compile),
            max_pending_entries: config
                .max_pending_entries
                .map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
            path: config.path.map(Arc::from),
        })
    }
}

fn compiled(config: &Value, name: &str) -> Option<Format> {
    config.get(name)?.as_object().map(Format::compile)
}

/// Makes entries as one configuration of a logger asks for them.
#[derive(Debug)]
pub(crate) struct Entries {
    format: Option<Format>,
    extra: Option<Format>,
    metadata: MetadataHandle<LogMetadata>,
    request: Logged,
    response: Arc<Logged>,
    hostname: Arc<str>,
}

impl Entries {
    /// Reads the part of a logger's configuration that is about entries.
    pub(crate) fn compile(cx: &Compile<'_>, broken: Broken) -> Result<Self, ConfigError> {
        Ok(Self {
            format: compiled(cx.config, "log_format"),
            extra: compiled(cx.config, "log_format_extra"),
            metadata: cx.metadata(),
            request: Logged::compile(cx.config, "req", broken)?,
            response: Arc::new(Logged::compile(cx.config, "resp", broken)?),
            hostname: cx.node.options().hostname.clone(),
        })
    }

    /// Whether bodies of responses may be logged.
    pub(crate) fn has_response_body(&self) -> bool {
        self.response.is_on()
    }

    /// For `access` hooks: has so much of the request's body kept as is going to be logged.
    pub(crate) fn keep_request_body(&self, ex: &mut Exchange<'_>) {
        let wants = |format: &Option<Format>| format.as_ref().is_some_and(|it| it.wants_body);
        let is_wanted = self.request.applies(ex)
            || wants(&self.format)
            || wants(&self.extra)
            || self.metadata.with(|metadata| {
                metadata.is_some_and(|metadata| wants(&metadata.format) || wants(&metadata.extra))
            });
        if is_wanted {
            ex.keep_body(self.request.max_bytes);
        }
    }

    /// For `header_filter` hooks: holds the response's body.
    pub(crate) fn hold_response_body(&self, ex: &mut Exchange<'_>) {
        ex.filter_body(Holding::new(self.response.clone()));
    }

    /// Shows the plugin's metadata.
    pub(crate) fn metadata<R>(&self, look: impl FnOnce(Option<&LogMetadata>) -> R) -> R {
        self.metadata.with(look)
    }

    /// The entry of an exchange that has ended. Where it would have no `route_id`, because no route matched, it has `no_route`.
    pub(crate) fn entry(&self, ex: &Exchange<'_>, no_route: Option<&str>) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        self.metadata.with(|metadata| {
            let format = self.format.as_ref();
            if let Some(format) = format.or_else(|| metadata?.format.as_ref()) {
                self.custom(ex, format, no_route, &mut out);
            } else {
                let extra = self.extra.as_ref();
                let extra = extra.or_else(|| metadata?.extra.as_ref());
                self.full(ex, extra, no_route, &mut out);
            }
        });
        out
    }

    fn custom(
        &self,
        ex: &Exchange<'_>,
        format: &Format,
        no_route: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let max = self.request.max_bytes;
        let mut entry = Object::begin(out);
        if let Some(route) = ex.route() {
            // The gateway's own word on these counts.
            let skips = |name: &str| matches!(name, "route_id" | "service_id");
            format.write(ex, max, &mut entry, skips, "");
            if let Some(service) = route.service_id {
                json::string(entry.member("service_id"), service.as_bytes());
            }
            json::string(entry.member("route_id"), route.id.as_bytes());
        } else {
            let is_there = format.write(ex, max, &mut entry, |_| false, "route_id");
            if let (false, Some(no_route)) = (is_there, no_route) {
                json::string(entry.member("route_id"), no_route.as_bytes());
            }
        }
        entry.end();
    }

    fn full(
        &self,
        ex: &Exchange<'_>,
        extra: Option<&Format>,
        no_route: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let mut entry = Object::begin(out);
        let beside = full::Beside {
            hostname: &self.hostname,
            request_body: self.request.applies(ex).then_some(self.request.max_bytes),
            has_response_body: self.response.is_on(),
        };
        full::write(ex, &beside, &mut entry);
        let max = self.request.max_bytes;
        let has_route = extra.is_some_and(|extra| {
            let skips = |name: &str| full::has(ex, name);
            extra.write(ex, max, &mut entry, skips, "route_id")
        });
        if let (false, None, Some(no_route)) = (has_route, ex.route(), no_route) {
            json::string(entry.member("route_id"), no_route.as_bytes());
        }
        entry.end();
    }
}

#[cfg(test)]
mod tests;
