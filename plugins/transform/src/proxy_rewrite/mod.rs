//! `proxy-rewrite`: sends requests upstream with another path, method, `Host` or other fields.
//!
//! Runs in `rewrite`. The path comes from a text with variables, or from the first of several patterns that is found in the path of the request;
//! fields may hold groups of that pattern. Differences from the reference are in `README.md`.

use std::{borrow::Cow, sync::Arc};

use lockgate_expr::{Lookup as _, Part, Template};
use lockgate_pattern::{Captures, Flags, Pattern, Replacement, StepsExceeded};
use lockgate_plugin::{About, Compile, ConfigError, Exchange, Flow, Hooks, Plugin, Rewrite};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    escape::{escape_path, escape_target},
    fields::Operations,
};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Path and query to send requests to, with variables.
    pub uri: Option<String>,
    /// The method to send.
    pub method: Option<String>,
    /// Patterns and what they are replaced with, in turns.
    pub regex_uri: Option<Vec<String>>,
    /// The `Host` to send.
    pub host: Option<String>,
    /// Fields to add, set and remove.
    pub headers: Option<Value>,
    /// Whether the target is taken as the client sent it.
    pub use_real_request_uri_unsafe: bool,
}

/// `proxy-rewrite`, compiled.
#[derive(Debug)]
pub struct ProxyRewrite {
    host: Option<Box<[u8]>>,
    method: Option<Box<[u8]>>,
    target: Target,
    is_unsafe: bool,
    headers: Option<Operations>,
}

/// Where the path comes from.
#[derive(Debug)]
enum Target {
    /// The request.
    Request,
    /// A text.
    Text(Template),
    /// The first pattern that is found.
    Rules(Box<[Rule]>),
}

#[derive(Debug)]
struct Rule {
    pattern: Pattern,
    replacement: Replacement,
}

/// A target before it is escaped.
struct Raw<'a> {
    text: Cow<'a, [u8]>,
    /// Whether its first `?` begins a query. Otherwise it came from the path of the client, as `%3F`.
    has_separator: bool,
    found: Option<Captures<'a>>,
}

impl Plugin for ProxyRewrite {
    const ABOUT: About = About::new("proxy-rewrite", 1008, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let rules = config.regex_uri.as_deref().map(compile_rules).transpose()?;
        Ok(Self {
            host: config.host.map(|host| host.into_bytes().into()),
            method: config.method.map(|method| method.into_bytes().into()),
            target: match (config.uri, rules) {
                (Some(uri), _) => Target::Text(Template::parse(&uri)),
                (None, Some(rules)) => Target::Rules(rules),
                (None, None) => Target::Request,
            },
            is_unsafe: config.use_real_request_uri_unsafe,
            headers: config
                .headers
                .as_ref()
                .map(Operations::of_request)
                .transpose()?,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

impl Rewrite for ProxyRewrite {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        // Copied, as what is found in it is needed while the request is changed.
        let source = match &self.target {
            Target::Text(_) => Vec::new(),
            _ if self.is_unsafe => ex.request().path_and_query().to_vec(),
            _ => ex.uri().to_vec(),
        };
        let raw = match self.raw(ex, &source) {
            Ok(raw) => raw,
            Err((pattern, error)) => return failed(ex, pattern, error),
        };
        let uri = if self.is_unsafe {
            let mut uri = Vec::with_capacity(raw.text.len());
            escape_target(&raw.text, &mut uri);
            uri
        } else {
            escaped(&raw, ex.query())
        };
        if uri.is_empty() {
            tracing::error!(
                plugin = Self::ABOUT.name,
                "the path to send a request to is empty"
            );
            return Flow::page(500);
        }
        if let Some(host) = &self.host {
            ex.set_upstream_host(host.to_vec());
        }
        ex.set_upstream_uri(uri);
        if let Some(headers) = &self.headers {
            headers.change_request(ex, raw.found.as_ref());
        }
        if let Some(method) = &self.method {
            ex.set_method(method);
        }
        Flow::Next
    }
}

impl ProxyRewrite {
    fn raw<'a>(
        &'a self,
        ex: &Exchange<'_>,
        source: &'a [u8],
    ) -> Result<Raw<'a>, (&'a Pattern, StepsExceeded)> {
        let rules = match &self.target {
            Target::Request => {
                return Ok(Raw {
                    text: source.into(),
                    has_separator: false,
                    found: None,
                });
            }
            Target::Text(template) => {
                return Ok(Raw {
                    text: self.filled_in(template, ex).into(),
                    has_separator: true,
                    found: None,
                });
            }
            Target::Rules(rules) => rules,
        };
        let has_separator = !source.contains(&b'?');
        for Rule {
            pattern,
            replacement,
        } in rules
        {
            let found = pattern.captures(source).map_err(|error| (pattern, error))?;
            if let Some(found) = found {
                return Ok(Raw {
                    text: found.replaced_in(source, replacement).into(),
                    has_separator,
                    found: Some(found),
                });
            }
        }
        Ok(Raw {
            text: source.into(),
            has_separator,
            found: None,
        })
    }

    /// The text with its variables. A `?` in a value begins no query; later ones of the same value would not either.
    fn filled_in(&self, template: &Template, ex: &Exchange<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut value = Vec::new();
        for part in template.parts() {
            match part {
                Part::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Part::Variable { variable, default } => {
                    value.clear();
                    match (ex.value(variable), default) {
                        (Some(known), _) => known.write_text(&mut value),
                        (None, Some(default)) => value.extend_from_slice(default.as_bytes()),
                        (None, None) => {}
                    }
                    match value.iter().position(|byte| *byte == b'?') {
                        Some(at) => {
                            let (before, behind) = value.split_at(at);
                            out.extend_from_slice(before);
                            out.extend_from_slice(b"%3F");
                            out.extend_from_slice(behind.get(1..).unwrap_or_default());
                        }
                        None => out.extend_from_slice(&value),
                    }
                }
            }
        }
        if self.is_unsafe
            && let Some(query) = ex.request().query()
        {
            out.push(if out.contains(&b'?') { b'&' } else { b'?' });
            out.extend_from_slice(query);
        }
        out
    }
}

/// The target as it is sent, with the query of the request.
fn escaped(raw: &Raw<'_>, query: &[u8]) -> Vec<u8> {
    let separator = raw.text.iter().position(|byte| *byte == b'?');
    let separator = separator.filter(|_| raw.has_separator);
    let (path, own_query) = raw.text.split_at(separator.unwrap_or(raw.text.len()));
    let mut out = Vec::with_capacity(raw.text.len() + query.len() + 8);
    escape_path(path, &mut out);
    escape_target(own_query, &mut out);
    if !query.is_empty() {
        out.push(if separator.is_some() { b'&' } else { b'?' });
        out.extend_from_slice(query);
    }
    out
}

fn failed(ex: &Exchange<'_>, pattern: &Pattern, error: StepsExceeded) -> Flow {
    let uri = String::from_utf8_lossy(ex.uri());
    let message = format!(
        "failed to match the uri {uri} ({})  : {error}",
        pattern.source()
    );
    tracing::error!(
        plugin = ProxyRewrite::ABOUT.name,
        message,
        "a path was not rewritten"
    );
    Flow::json(500, &json!({"error_msg": message}))
}

fn compile_rules(texts: &[String]) -> Result<Box<[Rule]>, ConfigError> {
    if !texts.len().is_multiple_of(2) {
        return Err(ConfigError::new(
            "The length of regex_uri should be an even number",
        ));
    }
    let pairs = texts.chunks_exact(2).filter_map(|pair| match pair {
        [pattern, replacement] => Some((pattern, replacement)),
        _ => None,
    });
    let compile = |(pattern, replacement): (&String, &String)| {
        let invalid = |why: &dyn std::fmt::Display| {
            ConfigError(format!(
                "invalid regex_uri({pattern}, {replacement}): {why}"
            ))
        };
        Ok(Rule {
            pattern: Pattern::parse(pattern, Flags::default()).map_err(|why| invalid(&why))?,
            replacement: Replacement::parse(replacement).map_err(|why| invalid(&why))?,
        })
    };
    pairs.map(compile).collect()
}

#[cfg(test)]
mod tests;
