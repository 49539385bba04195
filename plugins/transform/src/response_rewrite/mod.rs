//! `response-rewrite`: changes the status, the fields and the body of responses.
//!
//! Runs in `header_filter`, where `vars` let it. The body is replaced as a whole, or held, decompressed and sent through patterns.
//! Differences from the reference are in `README.md`.

mod body;

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lockgate_expr::Expr;
use lockgate_plugin::{
    About, Compile, ConfigError, Exchange, FieldName, HeaderFilter, Hooks, Plugin,
};
use serde::Deserialize;
use serde_json::Value;

use crate::fields::Operations;
use body::{Filtered, Filters, Replaced};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The status to answer with.
    pub status_code: Option<u16>,
    /// The body to answer with.
    pub body: Option<String>,
    /// Whether the body is written in base64.
    pub body_base64: bool,
    /// Fields to add, set and remove.
    pub headers: Option<Value>,
    /// On which responses to act.
    pub vars: Option<Value>,
    /// Patterns in the body, and what they are replaced with.
    pub filters: Option<Vec<Filter>>,
    /// Bytes of a body that patterns are looked for in; what is beyond is cut off.
    pub max_resp_body_size: usize,
}

/// A pattern and what it is replaced with.
#[derive(Debug, Deserialize)]
pub struct Filter {
    /// The pattern.
    pub regex: String,
    /// How often it is replaced.
    pub scope: Scope,
    /// What it is replaced with.
    pub replace: String,
    /// How it is read: letters of `ngx.re`.
    pub options: String,
}

/// How often a pattern is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Where it is first found.
    Once,
    /// Wherever it is found.
    Global,
}

/// `response-rewrite`, compiled.
#[derive(Debug)]
pub struct ResponseRewrite {
    vars: Option<Expr>,
    status: Option<u16>,
    headers: Option<Operations>,
    body: Body,
}

/// What becomes of the body.
#[derive(Debug)]
enum Body {
    Kept,
    Replaced(Arc<[u8]>),
    Filtered(Arc<Filters>),
}

impl Plugin for ResponseRewrite {
    const ABOUT: About = About::new("response-rewrite", 899, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, _: &Compile<'_>) -> Result<Self, ConfigError> {
        let vars = config.vars.as_ref().map(Expr::compile).transpose();
        let headers = config.headers.as_ref().map(Operations::of_response);
        let body = match (config.body, config.filters) {
            (Some(body), _) => Body::Replaced(read(body, config.body_base64)?.into()),
            (None, _) if config.body_base64 => read(String::new(), true).map(|_| Body::Kept)?,
            (None, Some(filters)) => {
                let filters = Filters::compile(&filters, config.max_resp_body_size)?;
                Body::Filtered(Arc::new(filters))
            }
            (None, None) => Body::Kept,
        };
        Ok(Self {
            vars: vars.map_err(|error| {
                ConfigError(format!("failed to validate the 'vars' expression: {error}"))
            })?,
            status: config.status_code,
            headers: headers.transpose()?,
            body,
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if !matches!(self.body, Body::Kept) {
            on.body_filter();
        }
        on.header_filter(self);
    }
}

impl HeaderFilter for ResponseRewrite {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        if self.vars.as_ref().is_some_and(|vars| !vars.eval(ex)) {
            return;
        }
        if let Some(status) = self.status {
            ex.set_status(status);
        }
        match &self.body {
            Body::Kept => {}
            Body::Replaced(body) => {
                forget_body(ex);
                ex.filter_body(Replaced::new(body.clone()));
            }
            Body::Filtered(filters) => {
                let encoding = ex.response().headers.get(b"content-encoding");
                let encoding = encoding.map(<[u8]>::to_vec);
                forget_body(ex);
                ex.filter_body(Filtered::new(filters.clone(), encoding));
            }
        }
        if let Some(headers) = &self.headers {
            headers.change_response(ex);
        }
    }
}

/// Takes away what is said of a body that will be another (`clear_header_as_body_modified` in `apisix/core/response.lua`).
fn forget_body(ex: &mut Exchange<'_>) {
    const NAMES: [FieldName; 4] = [
        FieldName::from_static("Content-Length"),
        FieldName::from_static("Content-Encoding"),
        FieldName::from_static("Last-Modified"),
        FieldName::from_static("ETag"),
    ];
    for name in &NAMES {
        ex.set_response_header(name, None);
    }
}

fn read(body: String, is_base64: bool) -> Result<Vec<u8>, ConfigError> {
    if !is_base64 {
        return Ok(body.into_bytes());
    }
    let decoded = STANDARD.decode(&body).ok().filter(|_| !body.is_empty());
    decoded.ok_or_else(|| ConfigError::new("invalid base64 content"))
}

#[cfg(test)]
mod tests;
