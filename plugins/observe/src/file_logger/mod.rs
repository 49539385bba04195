//! `file-logger`: entries go to a file, one in a line.
//!
//! A worker hands its line to the one thread that writes (`writer.rs`), and waits for no disk. What it has in common with other loggers
//! is in `logger.rs`. README.md is the user's page, and lists what differs from the reference (`apisix/plugins/file-logger.lua`).

mod writer;

use std::sync::Arc;

use lockgate_expr::Expr;
use lockgate_plugin::{About, Compile, ConfigError, Exchange};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    entry::{Broken, Entries},
    logger::{Logger, Logging},
};
use writer::Writer;

/// The plugin.
pub(crate) type FileLogger = Logging<File>;

/// The configuration as users write it, without what all loggers have.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    path: Option<String>,
    r#match: Option<Vec<Value>>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub(crate) struct File {
    /// Else that of the metadata.
    path: Option<Arc<str>>,
    /// A request that none of these is true of is not logged; `None` where all are.
    matches: Option<Box<[Expr]>>,
    writer: Arc<Writer>,
}

impl Logger for File {
    const ABOUT: About = About::new("file-logger", 399, include_str!("schema.json"));
    const BROKEN: Broken = Broken::Ignored;

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        if let Some(rules) = cx.config.get("match") {
            Expr::compile(rules).map_err(|why| {
                ConfigError(format!("failed to validate the 'match' expression: {why}"))
            })?;
        }
        // One by one they may be none, which the check of them all does not see: such a one is true of no request.
        let matches = config.r#match.map(|rules| {
            let rules = rules.iter().filter_map(|rule| {
                Expr::compile(rule)
                    .map_err(|why| tracing::error!("a match of file-logger is none: {why}"))
                    .ok()
            });
            rules.collect()
        });
        Ok(Self {
            path: config.path.map(Arc::from),
            matches,
            writer: Writer::of(cx.node),
        })
    }

    fn log(&self, entries: &Entries, ex: &mut Exchange<'_>) {
        let is_wanted = |rules: &[Expr]| rules.iter().any(|rule| rule.eval(ex));
        if !self.matches.as_deref().is_none_or(is_wanted) {
            return;
        }
        let path = self.path.clone().or_else(|| {
            entries.metadata(|metadata| metadata.and_then(|metadata| metadata.path.clone()))
        });
        let Some(path) = path else {
            self.writer.complain_of_no_path();
            return;
        };
        let mut line = entries.entry(ex, None);
        line.push(b'\n');
        self.writer.write(path, line);
    }
}

#[cfg(test)]
mod tests;
