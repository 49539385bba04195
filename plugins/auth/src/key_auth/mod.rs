//! `key-auth`: consumers show a key, in a field or in the query.
//!
//! Phases: `rewrite`. Keys are found by their hash in the index of consumers, so the number of consumers does not matter.
//! README.md is the user's page, and lists what differs from the reference (`apisix/plugins/key-auth.lua`).

use std::sync::Arc;

use lockgate_plugin::{
    About, Compile, ConfigError, Consumer, Consumers, Credential, CredentialType, Exchange, Flow,
    Hooks, Plugin, Rewrite,
};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    fallback::Fallback,
    source::{Argued, Argument, Field},
};

/// The configuration as users write it.
#[derive(Debug, Deserialize)]
pub struct Config {
    header: String,
    query: String,
    hide_credentials: bool,
    realm: String,
    anonymous_consumer: Option<String>,
}

/// One configuration, compiled.
#[derive(Debug)]
pub struct KeyAuth {
    field: Field,
    argument: Argument,
    hides: bool,
    fallback: Fallback,
    consumers: Arc<Consumers>,
}

/// The key of a consumer. There is nothing to it but that the consumer is found by it.
#[derive(Debug)]
pub struct Key;

impl Credential for Key {
    const KEY: &'static str = "key";

    type Config = IgnoredAny;

    fn compile(_: IgnoredAny, _: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

impl Plugin for KeyAuth {
    const ABOUT: About = About::new("key-auth", 2500, include_str!("schema.json")).auth();
    const CREDENTIAL: Option<CredentialType> = Some(CredentialType::of::<Key>());

    type Config = Config;

    fn compile(config: Config, cx: &Compile<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            field: Field::new(config.header),
            argument: Argument::new(config.query),
            hides: config.hide_credentials,
            fallback: Fallback::new("apikey", &config.realm, config.anonymous_consumer, cx),
            consumers: cx.consumers(),
        })
    }

    fn hooks(self: Arc<Self>, on: &mut Hooks) {
        on.rewrite(self);
    }
}

/// Where a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Field,
    Query,
}

impl Rewrite for KeyAuth {
    fn rewrite(&self, ex: &mut Exchange<'_>) -> Flow {
        match self.find(ex) {
            Ok((consumer, source)) => {
                match source {
                    Source::Field if self.hides => self.field.hide(ex),
                    Source::Query if self.hides => self.argument.hide(ex),
                    Source::Field | Source::Query => {}
                }
                ex.attach(consumer);
                Flow::Next
            }
            Err(message) => {
                // A bad key is none of the upstream's business either.
                if self.hides && self.fallback.has_anonymous() {
                    self.field.hide(ex);
                    self.argument.hide(ex);
                }
                self.fallback.apply(ex, message)
            }
        }
    }
}

impl KeyAuth {
    /// The consumer whose key the request shows, and where; or what is wrong.
    fn find(&self, ex: &Exchange<'_>) -> Result<(Arc<Consumer>, Source), &'static str> {
        let (consumer, source) = match self.field.of(ex) {
            Some(key) => (self.consumers.find(key), Source::Field),
            None => match self.argument.of(ex) {
                Argued::Nothing => return Err("Missing API key in request"),
                Argued::Value(key) => (self.consumers.find(&key), Source::Query),
                Argued::Unfit => (None, Source::Query),
            },
        };
        consumer.map(|consumer| (consumer, source)).ok_or_else(|| {
            let reason = if self.consumers.is_empty() {
                "Missing related consumer"
            } else {
                "invalid api key"
            };
            tracing::warn!(plugin = "key-auth", reason, "failed to find consumer");
            "Invalid API key in request"
        })
    }
}

#[cfg(test)]
mod tests;
