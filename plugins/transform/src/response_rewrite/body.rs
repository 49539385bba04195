//! What becomes of the body of a response.

use std::sync::Arc;

use lockgate_pattern::{Flags, Pattern, Replacement};
use lockgate_plugin::{BodyFilter, ConfigError, Exchange, Filtered as Passed};

use super::{Filter, Scope};
use crate::decode::{DecodeError, decode};

/// Sends another body in place of the one that came.
pub(super) struct Replaced {
    body: Arc<[u8]>,
    is_sent: bool,
}

impl Replaced {
    pub(super) fn new(body: Arc<[u8]>) -> Self {
        Self {
            body,
            is_sent: false,
        }
    }
}

impl BodyFilter for Replaced {
    fn filter(&mut self, _: &mut Exchange<'_>, _: &[u8], _: bool, out: &mut Vec<u8>) -> Passed {
        if !self.is_sent {
            out.extend_from_slice(&self.body);
            self.is_sent = true;
        }
        Passed::More
    }
}

/// Patterns and what they are replaced with.
#[derive(Debug)]
pub(super) struct Filters {
    rules: Box<[Rule]>,
    limit: usize,
}

#[derive(Debug)]
struct Rule {
    /// Nothing where it is no pattern: the reference takes it, and finds out with each response.
    pattern: Option<(Pattern, Replacement)>,
    source: Box<str>,
    scope: Scope,
}

impl Filters {
    pub(super) fn compile(filters: &[Filter], limit: usize) -> Result<Self, ConfigError> {
        let compile = |filter: &Filter| {
            let flags = Flags::parse(&filter.options).map_err(|why| {
                let pattern = &filter.regex;
                ConfigError(format!("regex \"{pattern}\" validation failed: {why}"))
            })?;
            let pattern = Pattern::parse(&filter.regex, flags).ok();
            Ok(Rule {
                pattern: pattern.zip(Replacement::parse(&filter.replace).ok()),
                source: filter.regex.as_str().into(),
                scope: filter.scope,
            })
        };
        Ok(Self {
            rules: filters.iter().map(compile).collect::<Result<_, _>>()?,
            limit,
        })
    }

    fn apply(&self, mut body: Vec<u8>) -> Vec<u8> {
        for rule in &self.rules {
            let replaced = match (&rule.pattern, rule.scope) {
                (None, _) => {
                    tracing::error!(regex = &*rule.source, "the regex of a filter is none");
                    continue;
                }
                (Some((pattern, with)), Scope::Once) => pattern.replace_first(&body, with),
                (Some((pattern, with)), Scope::Global) => pattern.replace_all(&body, with),
            };
            match replaced {
                Ok(Some(replaced)) => body = replaced,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(regex = &*rule.source, %error, "a filter did not end");
                }
            }
        }
        body
    }
}

/// Holds a body and sends it through patterns.
pub(super) struct Filtered {
    filters: Arc<Filters>,
    encoding: Option<Vec<u8>>,
    held: Vec<u8>,
    is_done: bool,
}

impl Filtered {
    pub(super) fn new(filters: Arc<Filters>, encoding: Option<Vec<u8>>) -> Self {
        Self {
            filters,
            encoding,
            held: Vec::new(),
            is_done: false,
        }
    }

    fn readable(&self, body: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
        let Some(encoding) = self.encoding.as_deref() else {
            return Ok(body);
        };
        decode(encoding, &body, self.filters.limit).map_err(|error| {
            let encoding = String::from_utf8_lossy(encoding);
            match error {
                DecodeError::Unsupported => tracing::error!(
                    "filters may not work as expected due to unsupported compression encoding type: {encoding}"
                ),
                DecodeError::Broken(error) => {
                    tracing::error!(%error, %encoding, "filters may not work as expected");
                }
            }
            body
        })
    }
}

impl BodyFilter for Filtered {
    fn filter(
        &mut self,
        _: &mut Exchange<'_>,
        piece: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Passed {
        if self.is_done {
            return Passed::More;
        }
        let room = self.filters.limit - self.held.len();
        let taken = piece.get(..room).unwrap_or(piece);
        self.held.extend_from_slice(taken);
        self.is_done = is_last || self.held.len() == self.filters.limit;
        if !self.is_done {
            return Passed::More;
        }
        let held = std::mem::take(&mut self.held);
        match self.readable(held) {
            Ok(body) => out.extend(self.filters.apply(body)),
            // It goes on as it came.
            Err(body) => out.extend(body),
        }
        Passed::More
    }
}
