//! `redirect`: sends clients elsewhere.
//!
//! Runs in `rewrite`. Where to is a text with variables, what a pattern makes of the path, or the same over HTTPS.
//! Differences from the reference are in `README.md`.

mod target;

use std::sync::Arc;

use lockgate_expr::{Lookup as _, Variable};
use lockgate_pattern::{Flags, Pattern, Replacement};
use lockgate_plugin::{
    About, Body, Compile, ConfigError, Exchange, FieldName, Flow, Hooks, Plugin, Reply, Rewrite,
};
use serde::Deserialize;

use crate::escape::{escape_path, escape_value};
use target::Target;

const LOCATION: FieldName = FieldName::from_static("Location");

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The status to answer with.
    pub ret_code: u16,
    /// Where to, with variables.
    pub uri: Option<String>,
    /// A pattern, and what it becomes.
    pub regex_uri: Option<Vec<String>>,
    /// Whether requests without TLS are sent to the same target with it.
    pub http_to_https: Option<bool>,
    /// Whether the path is percent-encoded.
    pub encode_uri: bool,
    /// Whether the query of the request is appended.
    pub append_query_string: bool,
}

/// `plugin_attr.redirect` of `config.yaml`.
#[derive(Debug, Default, Deserialize)]
struct Attributes {
    https_port: Option<i64>,
}

/// `redirect`, compiled.
#[derive(Debug)]
pub struct Redirect {
    status: u16,
    rule: Rule,
    encodes: bool,
    appends_query: bool,
}

/// Whom to send where.
#[derive(Debug)]
enum Rule {
    /// Nobody (`http_to_https: false`).
    Nobody,
    /// Everybody.
    Target(Target),
    /// Those in whose path it is found.
    Pattern(Pattern, Replacement),
    /// Those without TLS, to one of these.
    Https(Proto, Box<[Target]>),
}

/// How a client came.
#[derive(Debug)]
struct Proto {
    /// `X-Forwarded-Proto`, as it goes to the upstream.
    told: Variable,
}

impl Plugin for Redirect {
    const ABOUT: About = About::new("redirect", 900, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let to_https = config.http_to_https == Some(true);
        if to_https && config.append_query_string {
            return Err(ConfigError::new(
                "only one of `http_to_https` and `append_query_string` can be configured.",
            ));
        }
        let rule = match (config.uri, config.regex_uri.as_deref()) {
            _ if to_https => {
                let told = Variable::parse("http_x_forwarded_proto");
                Rule::Https(Proto { told }, https_targets(cx)?)
            }
            (Some(uri), _) => Rule::Target(Target::parse(&uri)),
            (None, Some([pattern, replacement, ..])) => {
                let invalid = |why: &dyn std::fmt::Display| {
                    let sentence =
                        format!("invalid regex_uri ({pattern}, {replacement}), err:{why}");
                    ConfigError(sentence)
                };
                let compiled = Pattern::parse(pattern, Flags::default());
                let with = Replacement::parse(replacement);
                Rule::Pattern(
                    compiled.map_err(|why| invalid(&why))?,
                    with.map_err(|why| invalid(&why))?,
                )
            }
            (None, _) => Rule::Nobody,
        };
        Ok(Self {
            status: config.ret_code,
            rule,
            encodes: config.encode_uri,
            appends_query: config.append_query_string,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

/// The same target over HTTPS: at the port that `plugin_attr` names, else at one that the gateway listens on.
fn https_targets(cx: &Compile<'_>) -> Result<Box<[Target]>, ConfigError> {
    let configured = cx.attributes::<Attributes>()?.https_port;
    let options = cx.node.options();
    let ports = match configured {
        Some(port) => vec![port],
        None => options
            .https_ports
            .iter()
            .map(|port| i64::from(*port))
            .collect(),
    };
    let target = |port: &i64| match port {
        1..=65_535 if *port != 443 => Target::parse(&format!("https://$host:{port}$request_uri")),
        _ => Target::parse("https://$host$request_uri"),
    };
    Ok(if ports.is_empty() {
        [target(&443)].into()
    } else {
        ports.iter().map(target).collect()
    })
}

impl Rewrite for Redirect {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let mut location = Vec::new();
        let mut status = self.status;
        match &self.rule {
            Rule::Nobody => return Flow::Next,
            Rule::Target(target) => target.render(ex, &mut location),
            Rule::Pattern(pattern, replacement) => {
                match pattern.replace_first(ex.uri(), replacement) {
                    Ok(Some(replaced)) => location = replaced,
                    Ok(None) => return Flow::Next,
                    Err(error) => {
                        let regex = pattern.source();
                        tracing::error!(plugin = Self::ABOUT.name, regex, %error, "a path was not rewritten");
                        return Flow::page(500);
                    }
                }
            }
            Rule::Https(proto, targets) => {
                if proto.is_https(ex) {
                    return Flow::Next;
                }
                let place = rand::random_range(0..targets.len().max(1));
                if let Some(target) = targets.get(place) {
                    target.render(ex, &mut location);
                }
                status = if matches!(ex.method(), b"GET" | b"HEAD") {
                    301
                } else {
                    308
                };
            }
        }
        let location = self.finished(&location, ex.query());
        let reply = Reply::new(status, Body::Page).header(&LOCATION, location);
        reply.into()
    }
}

impl Redirect {
    fn finished(&self, target: &[u8], query: &[u8]) -> Vec<u8> {
        let separator = target.iter().position(|byte| *byte == b'?');
        let (path, own_query) = target.split_at(separator.unwrap_or(target.len()));
        let mut out = Vec::with_capacity(target.len() + query.len() + 1);
        if self.encodes {
            escape_path(path, &mut out);
        } else {
            escape_value(path, &mut out);
        }
        escape_value(own_query, &mut out);
        if self.appends_query && !query.is_empty() {
            out.push(if separator.is_some() { b'&' } else { b'?' });
            out.extend_from_slice(query);
        }
        out
    }
}

impl Proto {
    /// Whether the client came with TLS: what a proxy in front says that is trusted, else what is seen here.
    fn is_https(&self, ex: &Exchange<'_>) -> bool {
        let told = ex.lookup(&self.told);
        let scheme = told.or_else(|| ex.lookup(&Variable::Scheme));
        scheme.as_deref() == Some(b"https")
    }
}

#[cfg(test)]
mod tests;
