//! `proxy-rewrite`: sends requests upstream with another path, method, `Host` or other fields.
//!
//! Runs in `rewrite`. The path comes from a text with variables, or from the first of several patterns that is found in the path of the request;
//! fields may hold groups of that pattern. Differences from the reference are in `README.md`.

use std::sync::Arc;

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
    /// A text without variables, as it is sent; and whether it has a query.
    Fixed(Box<[u8]>, bool),
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

impl Plugin for ProxyRewrite {
    const ABOUT: About = About::new("proxy-rewrite", 1008, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let rules = config.regex_uri.as_deref().map(compile_rules).transpose()?;
        Ok(Self {
            host: config.host.map(|host| host.into_bytes().into()),
            method: config.method.map(|method| method.into_bytes().into()),
            target: match (config.uri, rules) {
                (Some(uri), _) => Target::of(&uri, config.use_real_request_uri_unsafe),
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

impl Target {
    fn of(uri: &str, is_unsafe: bool) -> Self {
        let template = Template::parse(uri);
        match template.as_literal() {
            Some(text) if !is_unsafe => {
                let mut out = Vec::new();
                let has_query = escape(text.as_bytes(), true, &mut out);
                Self::Fixed(out.into(), has_query)
            }
            _ => Self::Text(template),
        }
    }
}

impl Rewrite for ProxyRewrite {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let mut memory = ex.take_scratch();
        let flow = self.rewrite_in(&mut memory, ex);
        ex.set_scratch(memory);
        flow
    }
}

impl ProxyRewrite {
    /// Rewrites a request; `memory` is for what comes in between.
    fn rewrite_in(&self, memory: &mut Vec<u8>, ex: &mut Exchange<'_>) -> Flow {
        let mut found = None;
        let uri = match &self.target {
            Target::Request => self.sent(self.source(ex), false, ex),
            Target::Fixed(text, has_query) => {
                let mut uri = Vec::with_capacity(text.len() + ex.query().len() + 1);
                uri.extend_from_slice(text);
                append_query(ex.query(), *has_query, &mut uri);
                uri
            }
            Target::Text(template) => {
                self.fill_in(template, ex, memory);
                self.sent(memory, true, ex)
            }
            Target::Rules(rules) => {
                // Copied, as what is found in it is needed while the request is changed.
                memory.extend_from_slice(self.source(ex));
                // Where it has a `?`, that came from the path of the client, as `%3F`.
                let has_separator = !memory.contains(&b'?');
                match find(rules, memory) {
                    Ok(Some((captures, replacement))) => {
                        let text = captures.replaced_in(memory, replacement);
                        found = Some(captures);
                        self.sent(&text, has_separator, ex)
                    }
                    Ok(None) => self.sent(memory, has_separator, ex),
                    Err((pattern, error)) => return failed(ex, pattern, error),
                }
            }
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
            headers.change_request(ex, found.as_ref());
        }
        if let Some(method) = &self.method {
            ex.set_method(method);
        }
        Flow::Next
    }

    /// What the client asks for.
    fn source<'e>(&self, ex: &'e Exchange<'_>) -> &'e [u8] {
        if self.is_unsafe {
            ex.request().path_and_query()
        } else {
            ex.uri()
        }
    }

    /// A target as it is sent. `has_separator` is whether its first `?` begins a query.
    fn sent(&self, text: &[u8], has_separator: bool, ex: &Exchange<'_>) -> Vec<u8> {
        let query = ex.query();
        let mut out = Vec::with_capacity(text.len() + query.len() + 8);
        if self.is_unsafe {
            escape_target(text, &mut out);
        } else {
            let has_query = escape(text, has_separator, &mut out);
            append_query(query, has_query, &mut out);
        }
        out
    }

    /// Appends the text with its variables. A `?` in a value begins no query; later ones of the same value are as in the reference, which
    /// replaces the first.
    fn fill_in(&self, template: &Template, ex: &Exchange<'_>, out: &mut Vec<u8>) {
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
                    let mut parts = value.splitn(2, |byte| *byte == b'?');
                    out.extend_from_slice(parts.next().unwrap_or_default());
                    if let Some(behind) = parts.next() {
                        out.extend_from_slice(b"%3F");
                        out.extend_from_slice(behind);
                    }
                }
            }
        }
        if self.is_unsafe {
            let query = ex.request().query().unwrap_or_default();
            append_query(query, out.contains(&b'?'), out);
        }
    }
}

/// Appends a target as it is sent, without the query of the request; whether it has one of its own.
fn escape(text: &[u8], has_separator: bool, out: &mut Vec<u8>) -> bool {
    let separator = text.iter().position(|byte| *byte == b'?');
    let separator = separator.filter(|_| has_separator);
    let (path, query) = text.split_at(separator.unwrap_or(text.len()));
    escape_path(path, out);
    escape_target(query, out);
    separator.is_some()
}

fn append_query(query: &[u8], has_query: bool, out: &mut Vec<u8>) {
    if !query.is_empty() {
        out.push(if has_query { b'&' } else { b'?' });
        out.extend_from_slice(query);
    }
}

type Found<'r, 's> = Option<(Captures<'s>, &'r Replacement)>;

/// Where the first pattern is found that is.
fn find<'r, 's>(
    rules: &'r [Rule],
    path: &'s [u8],
) -> Result<Found<'r, 's>, (&'r Pattern, StepsExceeded)> {
    for rule in rules {
        let captures = rule.pattern.captures(path);
        if let Some(captures) = captures.map_err(|error| (&rule.pattern, error))? {
            return Ok(Some((captures, &rule.replacement)));
        }
    }
    Ok(None)
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
