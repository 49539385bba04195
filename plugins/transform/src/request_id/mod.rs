//! `request-id`: gives requests an id, unless they bring one.
//!
//! `rewrite` puts it into a field of the request and into `$apisix_request_id`; `header_filter` into the response, where the upstream has not.

mod generate;

use std::sync::Arc;

use lockgate_expr::Variable;
use lockgate_plugin::{
    About, Compile, ConfigError, Exchange, FieldName, Flow, HeaderFilter, Hooks, InvalidFieldName,
    Plugin, Rewrite,
};
use serde::Deserialize;

use crate::{escape::escape_value, fields::response_name};
use generate::{Clocks, Generator};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// The field that holds the id.
    pub header_name: String,
    /// Whether responses have it too.
    pub include_in_response: bool,
    /// How ids are made.
    pub algorithm: Algorithm,
    /// What ids of `range_id` are made of.
    pub range_id: RangeId,
}

/// How ids are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// A random UUID (version 4).
    Uuid,
    /// A UUID that begins with the time (version 7).
    UuidV7,
    /// 21 characters of 64.
    Nanoid,
    /// Characters of a given set.
    #[serde(rename = "range_id")]
    RangeId,
    /// 27 characters that begin with the time.
    Ksuid,
}

/// What ids of `range_id` are made of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RangeId {
    /// Characters of an id.
    pub length: usize,
    /// What they are taken from.
    pub char_set: String,
}

/// `request-id`, compiled.
#[derive(Debug)]
pub struct RequestId {
    name: FieldName,
    response_name: FieldName,
    is_in_response: bool,
    generator: Generator,
    variable: Variable,
}

/// The id of a request.
#[derive(Default)]
struct Id(Vec<u8>);

impl Plugin for RequestId {
    const ABOUT: About = About::new("request-id", 12015, include_str!("schema.json"));

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        let invalid = |error: InvalidFieldName| ConfigError(error.to_string());
        let clocks = cx.node.shared(|node| Clocks::new(node.workers()));
        Ok(Self {
            name: FieldName::escaped(&config.header_name).map_err(invalid)?,
            response_name: response_name(&config.header_name).map_err(invalid)?,
            is_in_response: config.include_in_response,
            generator: Generator::new(config.algorithm, config.range_id, clocks),
            variable: Variable::parse("apisix_request_id"),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        if self.is_in_response {
            on.header_filter(self.clone());
        }
        on.rewrite(self);
    }
}

impl Rewrite for RequestId {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        let brought = ex.header(self.name.as_str()).filter(|id| !id.is_empty());
        let id = if let Some(id) = brought {
            id.to_vec()
        } else {
            let id = self.generator.generate(ex.worker(), ex.now());
            ex.set_header(&self.name, Some(&id));
            id
        };
        if self.is_in_response {
            let mut kept = Vec::with_capacity(id.len());
            escape_value(&id, &mut kept);
            ex.keep(self, Id(kept));
        }
        ex.set_variable(&self.variable, id);
        Flow::Next
    }
}

impl HeaderFilter for RequestId {
    fn header_filter(&self, ex: &mut Exchange<'_>) {
        let headers = &ex.response().headers;
        let sent = headers.get(self.response_name.as_str().as_bytes());
        if sent.is_some_and(|id| !id.is_empty()) {
            return;
        }
        let id = ex.kept::<_, Id>(self).map(std::mem::take);
        if let Some(id) = id {
            ex.set_response_header(&self.response_name, Some(&id.0));
            // There may be another response in place of this one.
            if let Some(kept) = ex.kept(self) {
                *kept = id;
            }
        }
    }
}

#[cfg(test)]
mod tests;
